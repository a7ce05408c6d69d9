"""A job's disks, what is left after the machine, and one job with real brokers on the channel."""

from __future__ import annotations

import base64
import dataclasses
import json
import os
import socket
import tempfile
import threading
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import pytest

from attestation.ovmf import HASHES, SECTIONS, Ovmf
from sealtune.core.canonical import canonical_json
from sealtune.core.digest import digest_bytes
from sealtune.errors import Code, ConfigError, FormatError, SealtuneError, StorageError
from sealtune.protocol.client import BrokerClient
from sealtune.protocol.session import BrokerSession, WorkerSecrets
from sealtune.tee.events import WorkerError, WorkerEvent
from sealtune.tee.forwarder import Forwarder
from sealtune.tee.guest.channel import GuestChannel
from sealtune.tee.guest.disks import Disk, read_job
from sealtune.tee.output_disk import DATA_START, OutputDisk
from sealtune.tee.qemu import machine as machine_module
from sealtune.tee.qemu import run as run_module
from sealtune.tee.qemu.arguments import Boot, MemoryEncryption, UnixQuotes
from sealtune.tee.qemu.machine import Limits
from sealtune.tee.qemu.relay import Relay
from sealtune.tee.qemu.run import (
    Host,
    SnpHost,
    TdxHost,
    VmHost,
    VmImage,
    VmJob,
    VmSize,
    extract_finished,
    job_disk_content,
    prepare_output_disk,
    run_in_vm,
)
from sealtune.testing.mock_amd import MockAmd
from sealtune.testing.scene import BrokerProcess, Scene, make_scene
from tee.fakes_qemu import make_fake_qemu, started

SIZE = DATA_START + 64 * 1024
RUN_ID = "0123456789abcdef" * 2
LIMITS = Limits(greeting_seconds=30, total_seconds=60)


@pytest.fixture(scope="module")
def scene(tmp_path_factory: pytest.TempPathFactory, mock_amd: MockAmd) -> Scene:
    # At the real present, which is the only one that another process knows.
    folder = tmp_path_factory.mktemp("scene")
    return make_scene(folder, mock=mock_amd, now=datetime.now(UTC))


@pytest.fixture
def job(scene: Scene, tmp_path: Path) -> VmJob:
    output = tmp_path / "run"
    output.mkdir()
    return VmJob(
        contract=scene.envelope,
        contract_digest=scene.contract.digest,
        run_id=RUN_ID,
        inputs={name: scene.folder / f"{name}.sealed" for name in scene.inputs},
        brokers=dict.fromkeys(scene.contract.contract.brokers, "http://127.0.0.1:9"),
        output=output,
    )


@pytest.fixture
def folder(monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A short folder with a fake QEMU as the whole PATH, and every temporary file in it."""
    with tempfile.TemporaryDirectory(prefix="q-") as name:
        place = Path(name)
        (place / "t").mkdir()
        (place / "notes").mkdir()
        make_fake_qemu(place, version="10.1.0")
        monkeypatch.setattr(tempfile, "tempdir", str(place / "t"))
        monkeypatch.setenv("PATH", name)
        monkeypatch.setattr(machine_module, "_POWER_OFF_SECONDS", 0.5)
        encryption = MemoryEncryption(c_bit=51, reduced_bits=1)
        monkeypatch.setattr(run_module, "memory_encryption", lambda: encryption)
        monkeypatch.setattr(run_module, "require_kvm", lambda _target: None)
        (place / "fw").write_bytes(Ovmf().image())
        yield place


def launch(
    job: VmJob, folder: Path, mode: str, host: Host | None = None
) -> tuple[WorkerEvent, dict[str, float]]:
    return run_in_vm(
        job,
        image=VmImage(
            boot=Boot(kernel=folder, initrd=folder, cmdline=f"{mode} {folder}/notes"),
            root=folder / "root.squashfs",
            debug=False,
        ),
        host=host or SnpHost(firmware=folder / "fw", processor="EPYC-v4"),
        size=VmSize(processors=2, memory_mib=512, output_bytes=SIZE),
        limits=LIMITS,
        on_event=lambda _: None,
    )


def arguments(folder: Path) -> list[str]:
    return json.loads((folder / "notes" / "arguments.json").read_text())


def test_the_guest_reads_the_job_that_was_written(job: VmJob, tmp_path: Path) -> None:
    output = prepare_output_disk(job.output, SIZE)
    path = tmp_path / "job.disk"
    path.write_bytes(job_disk_content(job, tee="vm", output=output))
    assert path.stat().st_size % 512 == 0
    read = read_job(Disk(path=path, bytes=path.stat().st_size))
    assert (read.run_id, read.tee) == (RUN_ID, "vm")
    assert read.brokers == tuple(sorted(job.brokers))
    assert read.contract == job.contract.to_json()
    assert {name: extent.bytes for name, extent in read.inputs.items()} == {
        name: place.stat().st_size for name, place in job.inputs.items()
    }
    assert sorted(extent.serial for extent in read.inputs.values()) == [
        f"in{number}" for number in range(len(job.inputs))
    ]


def test_a_finished_run_leaves_its_files(job: VmJob, folder: Path) -> None:
    finish, seconds = launch(job, folder, "store")
    assert (finish.event, finish.receipt) == ("finished", "sha256:0")
    assert seconds.keys() == {"attest"}
    assert (job.output / "result.sealed").read_bytes() == b"result"
    assert (job.output / "receipt.json").read_bytes() == b"receipt"
    # The training checkpoint stays where the next machine looks for it.
    names = {path.name for path in job.output.iterdir()}
    assert names == {"result.sealed", "receipt.json", "output.disk"}
    assert list((folder / "t").iterdir()) == []


def test_the_machine_gets_the_right_disks(job: VmJob, folder: Path) -> None:
    launch(job, folder, "ok")
    nodes = [json.loads(item) for item in arguments(folder) if item.startswith('{"driver"')]
    given = {node["node-name"]: node for node in nodes}
    writable = [name for name, node in given.items() if not node["read-only"]]
    assert writable == ["disk-out"]
    assert given["disk-out"]["file"]["filename"] == str(job.output.resolve() / "output.disk")
    for number, (_, path) in enumerate(sorted(job.inputs.items())):
        assert given[f"disk-in{number}"]["file"]["filename"] == str(path.resolve())
    assert {"disk-root", "disk-job"} < given.keys()


def test_the_contract_is_fixed_at_launch(job: VmJob, folder: Path) -> None:
    launch(job, folder, "ok")
    digest = digest_bytes(job.contract_digest)
    snp = next(json.loads(a) for a in arguments(folder) if "sev-snp-guest" in a)
    assert base64.b64decode(snp["host-data"]) == digest
    assert (snp["cbitpos"], snp["reduced-phys-bits"]) == (51, 1)
    launch(job, folder, "ok", TdxHost(firmware=folder / "fw", quotes=UnixQuotes(path=folder / "q")))
    tdx = next(json.loads(a) for a in arguments(folder) if "tdx-guest" in a)
    assert base64.b64decode(tdx["mrconfigid"]) == digest + bytes(16)


def test_tdx_needs_a_newer_qemu(job: VmJob, folder: Path) -> None:
    make_fake_qemu(folder, version="10.0.2")
    with pytest.raises(ConfigError) as error:
        launch(job, folder, "ok", TdxHost(firmware=folder, quotes=UnixQuotes(path=folder)))
    assert error.value.code is Code.TOOL_TOO_OLD
    assert "10.1" in error.value.remedy


def test_a_firmware_that_would_measure_no_kernel_is_refused(job: VmJob, folder: Path) -> None:
    """An operator takes the distribution's usual OVMF, under which any kernel would look alike."""
    plain = Ovmf(
        sections=[section for section in SECTIONS if section[2] != 0x10],
        entries=[entry for entry in Ovmf().entries if entry[0] != HASHES],
    )
    (folder / "usual").write_bytes(plain.image())
    with pytest.raises(ConfigError, match="hashes of a kernel") as error:
        launch(job, folder, "ok", SnpHost(firmware=folder / "usual", processor="EPYC-v4"))
    assert error.value.code is Code.TOOL_TOO_OLD
    with pytest.raises(ConfigError, match="no such firmware") as error:
        launch(job, folder, "ok", SnpHost(firmware=folder / "lost", processor="EPYC-v4"))
    assert error.value.code is Code.TOOL_MISSING
    assert started(folder / "notes") == []


def test_an_ordinary_vm_without_swtpm(
    job: VmJob, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(run_module, "find_firmware", lambda *_: (folder, folder))
    with pytest.raises(ConfigError, match="swtpm") as error:
        launch(job, folder, "ok", VmHost(tpm=folder / "tpm"))
    assert error.value.code is Code.TOOL_MISSING


def test_a_worker_that_failed_keeps_its_code_and_status(job: VmJob, folder: Path) -> None:
    with pytest.raises(WorkerError, match="no more runs") as error:
        launch(job, folder, "failed")
    assert error.value.code is Code.DENIED_RUNS
    assert error.value.exit_status == 7


@pytest.mark.parametrize(("mode", "status"), [("mute", 3), ("odd", 3), ("silent-success", 0)])
def test_a_worker_that_ends_without_a_reason(
    job: VmJob, folder: Path, mode: str, status: int
) -> None:
    # Success is both: the last event, and the status.
    with pytest.raises(SealtuneError, match=f"status {status}") as error:
        launch(job, folder, mode)
    assert error.value.code is Code.WORKER_FAILED


@pytest.mark.parametrize("mode", ["gone", "garbage", "panic"])
def test_what_was_finished_before_a_crash_is_taken(job: VmJob, folder: Path, mode: str) -> None:
    path = prepare_output_disk(job.output, SIZE)
    with OutputDisk(path, writable=True) as disk:
        disk.write_file("checkpoint-00000007.sealed", b"state")
        disk.write_file("result.sealed", b"result")
    with pytest.raises(SealtuneError) as error:
        launch(job, folder, mode)
    assert error.value.code in (Code.GUEST_FAILED, Code.CHANNEL_MALFORMED)
    assert (job.output / "result.sealed").read_bytes() == b"result"
    # The next run starts from the same disk.
    launch(job, folder, "store")
    assert (job.output / "receipt.json").read_bytes() == b"receipt"


def test_an_output_disk_grows_and_never_shrinks(job: VmJob) -> None:
    path = prepare_output_disk(job.output, SIZE)
    with OutputDisk(path, writable=True) as disk:
        disk.write_file("receipt.json", b"kept")
    assert prepare_output_disk(job.output, 2 * SIZE).stat().st_size == 2 * SIZE
    assert prepare_output_disk(job.output, SIZE).stat().st_size == 2 * SIZE
    extract_finished(job.output)
    assert (job.output / "receipt.json").read_bytes() == b"kept"


def test_files_are_extracted_again_only_where_they_differ(job: VmJob) -> None:
    path = prepare_output_disk(job.output, SIZE)
    with OutputDisk(path, writable=True) as disk:
        disk.write_file("receipt.json", b"right")
    target = job.output / "receipt.json"
    target.write_bytes(b"wrong")
    extract_finished(job.output)
    assert target.read_bytes() == b"right"
    before = target.stat().st_mtime_ns
    extract_finished(job.output)
    assert target.stat().st_mtime_ns == before


def test_a_disk_that_is_none_is_refused_before_a_machine_starts(job: VmJob, folder: Path) -> None:
    path = prepare_output_disk(job.output, SIZE)
    path.write_bytes(os.urandom(SIZE))
    with pytest.raises(FormatError) as error:
        launch(job, folder, "ok")
    assert error.value.code is Code.OUTPUT_DISK_MALFORMED
    assert started(folder / "notes") == []


def test_a_guest_that_spoils_its_disk_is_found_out(job: VmJob, folder: Path) -> None:
    with pytest.raises(FormatError) as error:
        launch(job, folder, "spoil")
    assert error.value.code is Code.OUTPUT_DISK_MALFORMED


def test_an_input_that_is_not_there(job: VmJob, folder: Path) -> None:
    name = next(iter(job.inputs))
    lost = dataclasses.replace(job, inputs={**job.inputs, name: folder / "lost.sealed"})
    with pytest.raises(StorageError, match=r"lost\.sealed") as error:
        launch(lost, folder, "ok")
    assert error.value.code is Code.FILE_MISSING


def test_a_job_disk_is_canonical(job: VmJob) -> None:
    output = prepare_output_disk(job.output, SIZE)
    data = job_disk_content(job, tee="sev-snp", output=output)
    length = int.from_bytes(data[8:16], "little")
    content = data[16 : 16 + length]
    assert data[:8] == b"SEALJOB1"
    assert canonical_json(json.loads(content)) == content
    assert set(data[16 + length :]) <= {0}


class Linked:
    """A guest's channel and a relay on one socket pair, with Forwarders to real addresses."""

    def __init__(self, folder: Path, addresses: dict[str, str]) -> None:
        inside, outside = socket.socketpair()
        self.forwarders = []
        ways = {}
        for number, (name, address) in enumerate(addresses.items()):
            ways[name] = folder / f"broker{number}"
            self.forwarders.append(Forwarder(ways[name], address).__enter__())
        self.relay = Relay(outside, brokers=ways, on_event=lambda _: None)
        self.inside = inside
        self.failures: list[SealtuneError] = []
        self.thread = threading.Thread(target=self._run)
        self.thread.start()
        self.guest = GuestChannel(os.dup(inside.fileno()), on_failure=self.failures.append)
        for name in addresses:
            self.guest.listen(name, folder / f"{name}.sock")
        self.guest.start()

    def _run(self) -> None:
        with self.relay:
            while self.relay.status is None and not self.relay.ended:
                self.relay.step(0.05)

    def close(self) -> None:
        self.guest.exit(0)
        self.thread.join(10)
        assert not self.thread.is_alive()
        self.inside.close()
        for forwarder in self.forwarders:
            forwarder.__exit__()


def test_real_brokers_answer_through_the_channel_and_one_dies(
    scene: Scene, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.undo()
    names = sorted(scene.contract.contract.brokers)
    processes = {name: BrokerProcess(scene.broker_folder(name)) for name in names}
    linked = Linked(folder, {name: process.address for name, process in processes.items()})
    try:
        clients = {name: BrokerClient(f"unix:{folder}/{name}.sock") for name in names}
        for name, client in clients.items():
            for body in scene.registrations(name):
                client.post("/v1/keys", body)
            client.post("/v1/contracts", scene.envelope.to_json())

        def challenge(name: str) -> None:
            terms = scene.terms(name, run_id=RUN_ID, worker=WorkerSecrets.generate())
            session = BrokerSession(terms)
            session.on_challenge(clients[name].post("/v1/challenge", session.start()))

        for name in names:
            challenge(name)
        processes[names[0]].kill()
        with pytest.raises(SealtuneError) as error:
            challenge(names[0])
        assert error.value.code is Code.BROKER_UNREACHABLE
        # The other one is reached as before, and the machine goes on.
        challenge(names[1])
        assert linked.failures == []
    finally:
        linked.close()
        for process in processes.values():
            process.close()
