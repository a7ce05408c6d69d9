"""Starts a worker with a contract and locations, and relays what it says.

Runs on the untrusted host and holds no secret. A run lives in one folder: `run.json` (its id),
sealed training checkpoints, `result.sealed` and `receipt.json`. Launching again with the same
folder resumes the run.
"""

from __future__ import annotations

import contextlib
import fcntl
import re
import secrets
import sys
import tempfile
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import Final

from sealtune.contract.contract import VerifiedContract
from sealtune.contract.files import verify_contract_file
from sealtune.core.canonical import canonical_json, parse_json
from sealtune.core.clock import Clock
from sealtune.core.digest import Digest
from sealtune.core.files import read_bounded, storage_errors, write_atomic
from sealtune.core.limits import ENVELOPE_BYTES_MAX
from sealtune.core.memory import size_text
from sealtune.crypto.dsse import parse_envelope
from sealtune.errors import Code, ConfigError, FormatError, SealtuneError, StorageError
from sealtune.tee.events import WorkerEvent
from sealtune.tee.forwarder import Forwarder
from sealtune.tee.memory_cap import MemoryCap, group_shown, memory_cap
from sealtune.tee.qemu.machine import Limits
from sealtune.tee.qemu.run import Host, VmImage, VmJob, VmSize, run_in_vm
from sealtune.tee.sandbox import sandbox_available, sandboxed, worker_environment
from sealtune.tee.select import make_attester
from sealtune.tee.sgx.run import SgxJob, SgxLaunch, run_in_enclave
from sealtune.tee.supervise import RESUMES, WorkerProcess, supervise

RECEIPT_NAME = "receipt.json"
RESULT_NAME = "result.sealed"
_RUN_NAME = "run.json"
_RUN_BYTES_MAX = 4096
_RUN_ID = re.compile("[0-9a-f]{32}")


class Tee(StrEnum):
    """Where the worker runs; `HERE` is this machine itself, which is a confidential VM already."""

    SIMULATED = "simulated"
    HERE = "here"
    VM = "vm"
    SEV_SNP = "sev-snp"
    TDX = "tdx"
    SGX = "sgx"


VIRTUAL_MACHINES: Final = frozenset({Tee.VM, Tee.SEV_SNP, Tee.TDX})


class Sandbox(StrEnum):
    """Whether the worker process is confined on the host: where it works, always, or never."""

    AUTO = "auto"
    REQUIRE = "require"
    OFF = "off"


@dataclass(frozen=True, slots=True, kw_only=True)
class VmLaunch:
    """The machine of a run in a VM: its image, checked by the caller, its size and our patience."""

    image: VmImage
    host: Host
    size: VmSize
    greeting_seconds: float


@dataclass(frozen=True, slots=True, kw_only=True)
class LaunchSpec:
    """Everything that a launch needs: the contract's file and where things are.

    A simulated TEE needs `tee_files`; `Tee.HERE` the `attester`, as `make_attester` takes it;
    a virtual machine its `vm`, an SGX enclave its `sgx`. `memory_limit`, in bytes, is for a worker
    that is a process of this machine.
    """

    contract: Path
    inputs: Mapping[str, Path]
    brokers: Mapping[str, str]
    output: Path
    tee: Tee
    tee_files: Path | None = None
    attester: str = ""
    vm: VmLaunch | None = None
    sgx: SgxLaunch | None = None
    sandbox: Sandbox = Sandbox.AUTO
    timeout_seconds: float | None = None
    memory_limit: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class RunOutcome:
    """A finished run, as the operator sees it; `memory_cap` says what limited it, if anything."""

    tee: Tee
    run_id: str
    contract: Digest
    receipt: Path
    receipt_digest: str
    result: Path
    reported: bool
    insecure: bool
    sandboxed: bool
    memory_cap: str
    seconds_by_phase: Mapping[str, float]


def run_contract(
    spec: LaunchSpec, *, clock: Clock, on_event: Callable[[WorkerEvent], None]
) -> RunOutcome:
    """Run the contract to its receipt, or resume the run that `spec.output` holds.

    The contract is verified here only to fail early; the worker and every broker do it again.

    Raises:
        ConfigError: an input or broker of the contract is not given, or no sandbox where required.
        VerificationError: the contract is not fully signed or not valid now.
        WorkerError: the worker stopped; its code says why.
    """
    contract = verify_contract_file(spec.contract, now=clock.now())
    _check_names(spec, contract)
    _check_places(spec)
    _check_tee(spec)
    with storage_errors(spec.output):
        spec.output.mkdir(parents=True, exist_ok=True)
    with _locked(spec.output):
        # What a killed worker was writing; nobody else writes here while the lock is held.
        for unfinished in spec.output.glob(".*.part"):
            unfinished.unlink(missing_ok=True)
        run_id = _run_id(spec.output, contract.digest)
        bubblewrap = "" if spec.vm or spec.sgx else _bubblewrap(spec.sandbox)
        limited = ""
        if spec.sgx:
            finish, seconds = _in_enclave(spec, spec.sgx, contract, run_id, on_event)
        elif spec.vm:
            finish, seconds = _in_vm(spec, spec.vm, contract, run_id, on_event)
        else:
            with memory_cap(spec.memory_limit) as cap:
                limited = "" if cap is None else f"{size_text(cap.bytes)} by {cap.kind}"
                finish, seconds = _supervise(spec, run_id, bubblewrap, cap, on_event)
        _check_left(spec.output)
    return RunOutcome(
        tee=spec.tee,
        run_id=run_id,
        contract=contract.digest,
        receipt=spec.output / RECEIPT_NAME,
        receipt_digest=finish.receipt,
        result=spec.output / RESULT_NAME,
        reported=finish.reported,
        insecure=finish.insecure,
        sandboxed=bool(bubblewrap),
        memory_cap=limited,
        seconds_by_phase=seconds,
    )


def _in_vm(
    spec: LaunchSpec,
    vm: VmLaunch,
    contract: VerifiedContract,
    run_id: str,
    on_event: Callable[[WorkerEvent], None],
) -> tuple[WorkerEvent, dict[str, float]]:
    envelope = read_bounded(spec.contract, limit=ENVELOPE_BYTES_MAX, what="contract")
    job = VmJob(
        contract=parse_envelope(envelope, what="contract"),
        contract_digest=contract.digest,
        run_id=run_id,
        inputs=spec.inputs,
        brokers=spec.brokers,
        output=spec.output,
    )
    return run_in_vm(
        job,
        image=vm.image,
        host=vm.host,
        size=vm.size,
        limits=Limits(greeting_seconds=vm.greeting_seconds, total_seconds=spec.timeout_seconds),
        on_event=on_event,
    )


def _supervise(
    spec: LaunchSpec,
    run_id: str,
    bubblewrap: str,
    cap: MemoryCap | None,
    on_event: Callable[[WorkerEvent], None],
) -> tuple[WorkerEvent, dict[str, float]]:
    with contextlib.ExitStack() as stack:
        sockets = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="sealtune-")))
        for name, address in spec.brokers.items():
            stack.enter_context(Forwarder(sockets / f"{name}.sock", address))
        process = WorkerProcess(
            command=_command(spec, run_id, sockets, bubblewrap, cap),
            folder=Path("/"),
            environment=worker_environment(),
            cap=cap,
        )
        return supervise(process, timeout_seconds=spec.timeout_seconds, on_event=on_event)


def _in_enclave(
    spec: LaunchSpec,
    sgx: SgxLaunch,
    contract: VerifiedContract,
    run_id: str,
    on_event: Callable[[WorkerEvent], None],
) -> tuple[WorkerEvent, dict[str, float]]:
    job = SgxJob(
        contract=contract.contract,
        contract_file=spec.contract,
        run_id=run_id,
        inputs=spec.inputs,
        brokers=spec.brokers,
        output=spec.output,
    )
    return run_in_enclave(job, launch=sgx, timeout_seconds=spec.timeout_seconds, on_event=on_event)


def _command(
    spec: LaunchSpec, run_id: str, sockets: Path, bubblewrap: str, cap: MemoryCap | None
) -> list[str]:
    output, contract = spec.output.resolve(), spec.contract.resolve()
    tee_files = [] if spec.tee_files is None else [spec.tee_files.resolve()]
    inputs = {name: path.resolve() for name, path in spec.inputs.items()}
    # -I: neither the caller's environment nor the working folder adds code.
    command = [sys.executable, "-I", "-B", "-m", "sealtune.worker"]
    command += ["--contract", str(contract), "--output", str(output), "--run-id", run_id]
    command += ["--tee", spec.attester if spec.tee is Tee.HERE else spec.tee]
    command += [f"--tee-files={path}" for path in tee_files]
    for name, path in inputs.items():
        command += ["--input", f"{name}={path}"]
    for name in spec.brokers:
        command += ["--broker", f"{name}=unix:{sockets / name}.sock"]
    if not bubblewrap:
        return command
    readable = [contract, *tee_files, *inputs.values()]
    return sandboxed(
        command,
        bubblewrap=bubblewrap,
        readable=readable,
        writable=[output, sockets],
        group=group_shown(cap),
    )


def _check_names(spec: LaunchSpec, contract: VerifiedContract) -> None:
    inputs = {item.name for item in contract.contract.inputs}
    brokers = set(contract.contract.brokers)
    for kind, given, wanted in (("input", spec.inputs, inputs), ("broker", spec.brokers, brokers)):
        for name in sorted(wanted - given.keys()):
            message = f"the contract names {kind} {name!r}, whose location is not given"
            remedy = f"add --{kind} {name}=" + ("FILE" if kind == "input" else "http://HOST:PORT")
            raise ConfigError(Code.CONFIG_INVALID, message, remedy=remedy)
        for name in sorted(given.keys() - wanted):
            message = f"{kind} {name!r} is not in the contract, which names {sorted(wanted)}"
            raise ConfigError(Code.CONFIG_INVALID, message)


def _check_places(spec: LaunchSpec) -> None:
    # Here, where the path is the operator's own; a sandbox would only say that it cannot bind it.
    places = {f"input {name}": path for name, path in spec.inputs.items()}
    if spec.tee_files is not None:
        places["the TEE's files"] = spec.tee_files
    for what, path in places.items():
        if not path.exists():
            raise StorageError(Code.FILE_MISSING, f"{what}: {path}: no such file or folder")


def _check_tee(spec: LaunchSpec) -> None:
    if spec.tee is Tee.SIMULATED and spec.tee_files is None:
        message = "a simulated TEE needs the folder of its keys"
        raise ConfigError(Code.CONFIG_INVALID, message, remedy="add --tee-files DIR")
    if spec.tee in VIRTUAL_MACHINES and spec.vm is None:
        message = "a run in a virtual machine needs an enclave image"
        raise ConfigError(Code.CONFIG_INVALID, message, remedy="add --image DIR")
    if spec.tee is Tee.SGX and spec.sgx is None:
        message = "a run in an SGX enclave needs a signed image"
        raise ConfigError(Code.CONFIG_INVALID, message, remedy="add --image DIR")
    if spec.memory_limit is not None and (spec.vm or spec.sgx):
        message = "a virtual machine and an enclave are as large as they are: no limit beside that"
        raise ConfigError(Code.CONFIG_INVALID, message, remedy="leave the memory limit out")
    if spec.tee is not Tee.HERE:
        return
    # What is wrong with this machine is said here, where a person reads it, and not in the worker.
    make_attester(spec.attester)
    if spec.sandbox is not Sandbox.OFF:
        # Without the devices of its TEE, which a sandbox hides, a worker cannot attest.
        raise ConfigError(Code.CONFIG_INVALID, "a worker that attests this machine has no sandbox")


def _check_left(output: Path) -> None:
    # What a guest says it has done is its word; what it left is looked at. The result may have been
    # taken away since: a run that is over is started again to report its receipt.
    if not (output / RECEIPT_NAME).is_file():
        message = f"the worker says that it is finished and left no {RECEIPT_NAME}"
        raise SealtuneError(Code.WORKER_FAILED, message, remedy=RESUMES)


def _bubblewrap(mode: Sandbox) -> str:
    path = "" if mode is Sandbox.OFF else sandbox_available()
    if mode is Sandbox.REQUIRE and not path:
        message = "bubblewrap does not work on this host, and --sandbox require was given"
        remedy = "install bubblewrap, or allow unprivileged user namespaces"
        raise ConfigError(Code.TEE_UNAVAILABLE, message, remedy=remedy)
    return path


def _run_id(output: Path, contract: Digest) -> str:
    path = output / _RUN_NAME
    if not path.exists():
        run_id = secrets.token_hex(16)
        write_atomic(path, canonical_json({"contract": contract, "run_id": run_id}) + b"\n")
        return run_id
    data = read_bounded(path, limit=_RUN_BYTES_MAX, what="run file")
    value = parse_json(data, limit=_RUN_BYTES_MAX, what=str(path))
    if not isinstance(value, dict) or not _RUN_ID.fullmatch(str(value.get("run_id"))):
        message = f"{path}: not a run file"
        remedy = "give a new folder with --output; this one's run cannot be resumed without its id"
        raise FormatError(Code.CONFIG_INVALID, message, remedy=remedy)
    if value.get("contract") != contract:
        message = f"{output} holds a run of another contract"
        remedy = "give this contract a folder of its own with --output"
        raise ConfigError(Code.CONFIG_INVALID, message, remedy=remedy)
    return str(value["run_id"])


@contextlib.contextmanager
def _locked(output: Path) -> Iterator[None]:
    with (output / ".lock").open("w") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            message = f"{output}: another launcher is running in this folder"
            raise ConfigError(Code.CONFIG_INVALID, message) from None
        yield
