"""The operator starts the worker with what is not agreed, stops it, and puts old files back."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path

from sealtune.contract.contract import canonical_contract, contract_from_document
from sealtune.crypto.dsse import Envelope, sign_envelope
from sealtune.errors import Code, SealtuneError
from sealtune.tee.events import WorkerError, WorkerEvent, parse_event
from sealtune.tee.launcher import LaunchSpec, RunOutcome, run_contract
from sealtune.tee.sandbox import worker_environment
from sealtune.testing.demo.attempts import Attempts
from sealtune.testing.demo.stage import Stage
from sealtune.testing.demo.terms import Agreed

_CHECKPOINTS = "checkpoint-*.sealed"
_WORKER_SECONDS = 120.0

OnEvent = Callable[[WorkerEvent], None]


class PulledPlug(Exception):
    """The operator stopped the worker; not an error of anybody's."""


def run_with_changed_contract(
    attempts: Attempts, stage: Stage, *, agreed: Agreed, spec: LaunchSpec
) -> None:
    """Start the worker with a recipe that trains longer and tells more than agreed."""
    changed = _changed_contract(agreed)
    stripped = replace(changed, signatures=())
    operator = stage.identities["operator"].signing
    resigned = sign_envelope(changed.payload, payload_type=changed.payload_type, keys=[operator])
    attempts.make(
        "other-recipe",
        "changes the signed recipe and starts the worker with it",
        codes=frozenset({Code.SIGNATURE_INVALID}),
        action=lambda: _start_worker(stage, spec, changed, name="changed"),
    )
    attempts.make(
        "other-recipe-without-signatures",
        "strips the signatures from the changed recipe",
        codes=frozenset({Code.CONTRACT_UNSIGNED, Code.ENVELOPE_MALFORMED}),
        action=lambda: _start_worker(stage, spec, stripped, name="stripped"),
    )
    attempts.make(
        "other-recipe-signed-by-operator",
        "signs the changed recipe itself",
        codes=frozenset({Code.CONTRACT_UNSIGNED, Code.CONTRACT_WRONG_SIGNER}),
        action=lambda: _start_worker(stage, spec, resigned, name="resigned"),
    )


def run_with_other_bundle(
    attempts: Attempts, stage: Stage, *, spec: LaunchSpec, other: Path, on_event: OnEvent
) -> None:
    """Start the worker with another bundle of the same owner in the place of the agreed one."""
    swapped = replace(
        spec,
        inputs={**spec.inputs, "notes": other},
        output=stage.operator / "run-with-swapped-bundle",
    )
    attempts.make(
        "swapped-bundle",
        "puts an older bundle of the hospital's in the place of the agreed one",
        codes=frozenset({Code.BUNDLE_DIGEST}),
        action=lambda: run_contract(swapped, clock=stage.clock, on_event=on_event),
    )


def run_with_tampered_bundle(
    attempts: Attempts, stage: Stage, *, spec: LaunchSpec, on_event: OnEvent
) -> None:
    """Flip one bit of the sealed notes; this start is the contract's run, which can be resumed."""
    tampered = stage.operator / "notes-tampered.sealed"
    content = bytearray(spec.inputs["notes"].read_bytes())
    content[len(content) // 3] ^= 1
    tampered.write_bytes(content)
    spec = replace(spec, inputs={**spec.inputs, "notes": tampered})
    attempts.make(
        "tampered-bundle",
        "flips one bit in the sealed notes",
        codes=frozenset({Code.STREAM_FORGED, Code.BUNDLE_BODY_DIGEST}),
        action=lambda: run_contract(spec, clock=stage.clock, on_event=on_event),
    )


def stop_and_roll_back(
    attempts: Attempts, stage: Stage, *, spec: LaunchSpec, on_event: OnEvent
) -> None:
    """Stop the worker in mid-training, put an old training checkpoint back, and start it again.

    Leaves the run's folder as the stop left it.
    """
    watcher = _CheckpointThief(spec.output, kept=stage.operator / "kept-checkpoints")

    def watch(event: WorkerEvent) -> None:
        on_event(event)
        watcher.look()

    try:
        run_contract(spec, clock=stage.clock, on_event=watch)
    except PulledPlug:
        pass
    else:
        message = "the demo's training ended before two training checkpoints were written"
        raise SealtuneError(Code.CONFIG_INVALID, message, remedy="train on more records")
    newest = watcher.replace_newest_with_oldest()
    attempts.make(
        "old-training-checkpoint",
        "stops the worker, and puts an older training checkpoint in the place of the newest",
        codes=frozenset({Code.CHECKPOINT_ROLLBACK}),
        action=lambda: run_contract(spec, clock=stage.clock, on_event=on_event),
    )
    for path, content in newest.items():
        path.write_bytes(content)


def run_once_more(attempts: Attempts, stage: Stage, *, spec: LaunchSpec, on_event: OnEvent) -> None:
    """Start another run of a contract whose only run is used."""
    again = replace(spec, output=stage.operator / "run-too-many")
    attempts.make(
        "one-run-too-many",
        "starts another run of the same contract",
        codes=frozenset({Code.DENIED_RUNS}),
        action=lambda: run_contract(again, clock=stage.clock, on_event=on_event),
    )


def finish_run(stage: Stage, *, spec: LaunchSpec, on_event: OnEvent) -> RunOutcome:
    """Resume the run honestly and return its end."""
    return run_contract(spec, clock=stage.clock, on_event=on_event)


class _CheckpointThief:
    """Keeps a copy of the first training checkpoint and stops the worker when it is out of date."""

    def __init__(self, run: Path, *, kept: Path) -> None:
        kept.mkdir(parents=True)
        self._run = run
        self._kept = kept

    def look(self) -> None:
        """Copy what there is; raise PulledPlug once a newer checkpoint has replaced the first."""
        present = {path.name for path in self._run.glob(_CHECKPOINTS)}
        kept = {path.name for path in self._kept.iterdir()}
        if present and not kept:
            first = min(present)
            shutil.copyfile(self._run / first, self._kept / first)
        # The worker deletes the first only when every broker knows a later one.
        if kept and present and not kept & present:
            raise PulledPlug

    def replace_newest_with_oldest(self) -> Mapping[Path, bytes]:
        """Overwrite what lies in the run's folder; return what lay there."""
        (oldest,) = self._kept.iterdir()
        genuine = {path: path.read_bytes() for path in self._run.glob(_CHECKPOINTS)}
        for path in genuine:
            shutil.copyfile(oldest, path)
        return genuine


def _changed_contract(agreed: Agreed) -> Envelope:
    document = json.loads(agreed.envelope.payload)
    document["recipe"]["epochs"] = 50
    document["telemetry"]["allowed"] = ["progress", "loss", "evaluation"]
    contract = contract_from_document(document, what="changed contract")
    return replace(agreed.envelope, payload=canonical_contract(contract))


def _start_worker(stage: Stage, spec: LaunchSpec, envelope: Envelope, *, name: str) -> None:
    """Start the worker without our launcher, which would refuse such a contract by itself."""
    contract = stage.operator / f"contract-{name}.json"
    contract.write_bytes(envelope.to_json())
    output = stage.operator / f"run-{name}"
    output.mkdir()
    command = [sys.executable, "-I", "-B", "-m", "sealtune.worker"]
    command += ["--contract", str(contract.resolve()), "--output", str(output.resolve())]
    command += ["--run-id", "00" * 16, "--tee", spec.tee]
    if spec.tee_files is not None:
        command += ["--tee-files", str(spec.tee_files.resolve())]
    for place, path in spec.inputs.items():
        command += ["--input", f"{place}={path.resolve()}"]
    for broker, address in spec.brokers.items():
        command += ["--broker", f"{broker}={address}"]
    done = subprocess.run(
        command,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        env=worker_environment(),
        cwd="/",
        timeout=_WORKER_SECONDS,
        check=False,
    )
    if done.returncode:
        last = done.stdout.splitlines()[-1:] or [b'{"event":"failed"}']
        raise WorkerError(parse_event(last[0]), done.returncode)
