"""A machine's whole life with a program in QEMU's place: limits, ends of every kind, no remains."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import pytest

from sealtune.errors import Code, SealtuneError
from sealtune.tee.events import WorkerEvent
from sealtune.tee.qemu import machine as machine_module
from sealtune.tee.qemu.arguments import Acceleration, Boot, HostDisk, MemoryEncryption, SevSnp
from sealtune.tee.qemu.machine import Limits, OrdinaryVm, Plan, run_machine
from sealtune.tee.qemu.tpm import make_tpm
from tee.fakes_qemu import make_fake_qemu, running, started, wait_until
from tee.fakes_swtpm import require_tools

PATIENT = Limits(greeting_seconds=30, total_seconds=60)


@dataclass
class Place:
    """A short folder for everything that a machine makes, and the fake that plays it."""

    folder: Path
    notes: Path
    qemu: Path

    def plan(self, mode: str, **changes: object) -> Plan:
        snp = SevSnp(
            firmware=self.qemu,
            processor="EPYC-v4",
            encryption=MemoryEncryption(c_bit=51, reduced_bits=1),
            host_data=bytes(32),
        )
        plan = Plan(
            qemu=self.qemu,
            platform=snp,
            boot=Boot(kernel=self.qemu, initrd=self.qemu, cmdline=f"{mode} {self.notes}"),
            disks=(HostDisk(serial="root", path=self.qemu),),
            brokers={"hospital-broker": "http://127.0.0.1:9"},
            processors=1,
            memory_mib=64,
            debug=False,
        )
        return replace(plan, **changes)

    def nothing_remains(self) -> bool:
        """No process of the machine's, and no file."""
        alive = [number for number in started(self.notes) if Path(f"/proc/{number}").exists()]
        return not alive and not running(str(self.folder / "t")) and not self.left()

    def left(self) -> list[Path]:
        return list((self.folder / "t").iterdir())


@pytest.fixture
def place(monkeypatch: pytest.MonkeyPatch) -> Iterator[Place]:
    with tempfile.TemporaryDirectory(prefix="q-") as name:
        folder = Path(name)
        (folder / "notes").mkdir()
        (folder / "t").mkdir()
        monkeypatch.setattr(tempfile, "tempdir", str(folder / "t"))
        monkeypatch.setattr(machine_module, "_POWER_OFF_SECONDS", 0.5)
        monkeypatch.setattr(machine_module, "_STOP_SECONDS", 0.5)
        yield Place(folder=folder, notes=folder / "notes", qemu=make_fake_qemu(folder))


def run(plan: Plan, limits: Limits = PATIENT) -> tuple[int, list[WorkerEvent]]:
    events: list[WorkerEvent] = []
    return run_machine(plan, limits=limits, on_event=events.append), events


@pytest.mark.parametrize(("mode", "status"), [("ok", 0), ("failed", 7), ("mute", 3)])
def test_the_status_comes_from_the_channel(place: Place, mode: str, status: int) -> None:
    got, events = run(place.plan(mode))
    assert got == status
    assert events[0] == WorkerEvent(event="phase", phase="attest")
    assert place.nothing_remains()


@pytest.mark.parametrize(
    ("mode", "code", "text"),
    [
        ("refuse", Code.LAUNCH_FAILED, "no such machine"),
        ("panic", Code.GUEST_FAILED, "before it said anything"),
        ("gone", Code.GUEST_FAILED, "while it ran the worker"),
        ("killed", Code.GUEST_FAILED, "while it ran the worker"),
        ("torn", Code.GUEST_FAILED, "while it ran the worker"),
        ("garbage", Code.CHANNEL_MALFORMED, "unknown frame type"),
    ],
)
def test_ends_without_a_status(place: Place, mode: str, code: Code, text: str) -> None:
    with pytest.raises(SealtuneError, match=text) as error:
        run(place.plan(mode))
    assert error.value.code is code
    assert place.nothing_remains()


def test_a_guest_that_says_nothing(place: Place) -> None:
    with pytest.raises(SealtuneError, match="said nothing in 1 seconds") as error:
        run(place.plan("silent"), Limits(greeting_seconds=0.6, total_seconds=None))
    assert error.value.code is Code.GUEST_SILENT
    assert "console ends" not in error.value.message
    assert place.nothing_remains()


def test_a_debug_image_tells_where_it_stopped(place: Place) -> None:
    with pytest.raises(SealtuneError, match="console ends with:\nKernel panic") as error:
        run(place.plan("silent", debug=True), Limits(greeting_seconds=0.6, total_seconds=None))
    # What a console writes reaches a terminal: nothing of it may steer one.
    assert "\x1b" not in error.value.message


@pytest.mark.parametrize("mode", ["hang", "flood", "silent"])
def test_a_guest_that_takes_too_long(place: Place, mode: str) -> None:
    with pytest.raises(SealtuneError, match="still running after 1 seconds") as error:
        run(place.plan(mode), Limits(greeting_seconds=30, total_seconds=1))
    assert error.value.code is Code.GUEST_FAILED
    assert place.nothing_remains()


def test_a_machine_that_does_not_power_off_is_ended(place: Place) -> None:
    assert run(place.plan("deaf"))[0] == 0
    assert place.nothing_remains()


def test_a_caller_that_fails_leaves_nothing(place: Place) -> None:
    def on_event(_: WorkerEvent) -> None:
        raise BrokenPipeError

    with pytest.raises(BrokenPipeError):
        run_machine(place.plan("hang"), limits=PATIENT, on_event=on_event)
    assert place.nothing_remains()


def test_qemu_gets_no_environment_and_none_of_our_files(
    place: Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SEALTUNE_SECRET", "x")
    seen = {}

    def on_event(_: WorkerEvent) -> None:
        (number,) = started(place.notes)
        seen["environment"] = Path(f"/proc/{number}/environ").read_bytes()
        seen["folder"] = Path(f"/proc/{number}/cwd").resolve().stat().st_mode & 0o777
        raise BrokenPipeError

    with pytest.raises(BrokenPipeError):
        run_machine(place.plan("hang"), limits=PATIENT, on_event=on_event)
    assert b"SEALTUNE_SECRET" not in seen["environment"]
    assert seen["folder"] == 0o700


def test_another_thread_may_run_a_machine(place: Place) -> None:
    got: list[int] = []
    thread = threading.Thread(target=lambda: got.append(run(place.plan("ok"))[0]))
    thread.start()
    thread.join(30)
    assert got == [0]


def test_the_callers_signal_handlers_come_back(place: Place) -> None:
    before = [signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)]
    run(place.plan("ok"))
    assert [signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)] == before


def test_a_signal_during_the_clearing_up_does_not_stop_it_and_is_told(
    place: Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    end = machine_module._end

    def interrupted(process: subprocess.Popen[bytes]) -> None:
        os.kill(os.getpid(), signal.SIGINT)
        end(process)

    monkeypatch.setattr(machine_module, "_end", interrupted)
    with pytest.raises(KeyboardInterrupt):
        run(place.plan("ok"))
    assert place.nothing_remains()


@pytest.fixture(scope="module")
def tpm_state(tmp_path_factory: pytest.TempPathFactory) -> Path:
    require_tools("swtpm", "swtpm_setup", "swtpm_localca")
    return make_tpm(tmp_path_factory.mktemp("vm-tpm") / "tpm")


def ordinary(place: Place, state: Path, acceleration: Acceleration | None) -> OrdinaryVm:
    variables = place.folder / "vars.fd"
    variables.write_bytes(bytes(1024))
    return OrdinaryVm(
        acceleration=acceleration, firmware=place.qemu, variables=variables, tpm_state=state
    )


def test_an_ordinary_vm_has_a_tpm_of_its_own(place: Place, tpm_state: Path) -> None:
    before = {path.name: path.read_bytes() for path in tpm_state.iterdir() if path.is_file()}
    seen: list[list[int]] = []
    platform = ordinary(place, tpm_state, Acceleration.TCG)

    def on_event(event: WorkerEvent) -> None:
        if event.event == "phase":
            seen.append(running(str(place.folder / "t")))

    assert run_machine(place.plan("ok", platform=platform), limits=PATIENT, on_event=on_event) == 0
    assert len(seen[0]) == 2  # QEMU's place and swtpm
    assert place.nothing_remains()
    assert all((tpm_state / name).read_bytes() == data for name, data in before.items())


@pytest.mark.parametrize("mode", ["no-kvm", "kvm-dies"])
def test_a_kvm_that_fails_gives_way_to_emulation(
    place: Place, tpm_state: Path, monkeypatch: pytest.MonkeyPatch, mode: str
) -> None:
    monkeypatch.setattr(machine_module, "kvm_usable", lambda: True)
    assert run(place.plan(mode, platform=ordinary(place, tpm_state, None)))[0] == 0
    assert len(started(place.notes)) == 2
    assert '"tcg,' in (place.notes / "arguments.json").read_text()
    assert place.nothing_remains()


def test_a_kvm_that_was_asked_for_does_not_give_way(place: Place, tpm_state: Path) -> None:
    platform = ordinary(place, tpm_state, Acceleration.KVM)
    with pytest.raises(SealtuneError, match="KVM") as error:
        run(place.plan("no-kvm", platform=platform))
    assert error.value.code is Code.LAUNCH_FAILED
    assert place.nothing_remains()


def test_a_kvm_that_fails_later_ends_the_run(
    place: Place, tpm_state: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # What the guest has done by then must not be done again behind its back.
    monkeypatch.setattr(machine_module, "kvm_usable", lambda: True)
    with pytest.raises(SealtuneError, match="KVM stopped") as error:
        run(place.plan("kvm-late", platform=ordinary(place, tpm_state, None)))
    assert error.value.code is Code.GUEST_FAILED
    assert len(started(place.notes)) == 1
    assert place.nothing_remains()


@pytest.mark.parametrize("usable", [True, False])
def test_kvm_is_taken_where_it_works(
    place: Place, tpm_state: Path, monkeypatch: pytest.MonkeyPatch, usable: bool
) -> None:
    monkeypatch.setattr(machine_module, "kvm_usable", lambda: usable)
    assert run(place.plan("slow", platform=ordinary(place, tpm_state, None)))[0] == 0
    assert len(started(place.notes)) == 1
    assert ('"kvm"' in (place.notes / "arguments.json").read_text()) is usable


LAUNCH = """
import sys, tempfile
from pathlib import Path
from sealtune.tee.qemu.machine import Limits, OrdinaryVm, Plan, run_machine
from sealtune.tee.qemu.arguments import Acceleration, Boot
qemu, notes, temporary, state = map(Path, sys.argv[1:])
tempfile.tempdir = str(temporary)
plan = Plan(
    qemu=qemu,
    platform=OrdinaryVm(
        acceleration=Acceleration.TCG, firmware=qemu, variables=qemu, tpm_state=state
    ),
    boot=Boot(kernel=qemu, initrd=qemu, cmdline=f"hang {notes}"),
    disks=(), brokers={}, processors=1, memory_mib=64, debug=False,
)
try:
    run_machine(plan, limits=Limits(greeting_seconds=30, total_seconds=60), on_event=print)
except KeyboardInterrupt:
    raise SystemExit(130)
"""


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGKILL], ids=str)
def test_no_process_outlives_the_launcher(
    place: Place, tpm_state: Path, number: signal.Signals
) -> None:
    if number is signal.SIGKILL and shutil.which("setpriv") is None:
        pytest.skip("setpriv (util-linux) missing: nothing else ends QEMU when we are killed")
    command = [sys.executable, "-c", LAUNCH, str(place.qemu), str(place.notes)]
    command += [str(place.folder / "t"), str(tpm_state)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, start_new_session=True) as launcher:
        assert launcher.stdout is not None
        assert b"attest" in launcher.stdout.readline()
        assert len(running(str(place.folder / "t"))) >= 2  # QEMU's place and swtpm
        # Impatience does not help: the second one must not stop the clearing up.
        os.kill(launcher.pid, number)
        os.kill(launcher.pid, number)
        assert launcher.wait(20) == (-9 if number is signal.SIGKILL else 130)
    if number is signal.SIGKILL:
        wait_until(lambda: len(running(str(place.folder / "t"))) == 0)
    else:
        assert place.nothing_remains()
