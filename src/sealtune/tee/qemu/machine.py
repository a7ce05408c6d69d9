"""Runs one virtual machine to its end: QEMU, its vTPM, the way to the brokers, and the limits.

Nothing of it is left when `run_machine` returns or raises, whoever ended it: the guest, a limit, a
broken rule or a signal. What QEMU's exit code says counts for nothing (a guest that panics leaves
0); only the channel's EXIT does.
"""

from __future__ import annotations

import contextlib
import os
import shutil
import signal
import socket
import subprocess
import tempfile
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from sealtune.core.files import storage_errors
from sealtune.errors import Code, SealtuneError
from sealtune.tee.events import WorkerEvent
from sealtune.tee.forwarder import Forwarder
from sealtune.tee.qemu.arguments import (
    Acceleration,
    Boot,
    HostDisk,
    Machine,
    PlainVm,
    Profile,
    SevSnp,
    Tdx,
    qemu_arguments,
)
from sealtune.tee.qemu.relay import Relay
from sealtune.tee.qemu.tools import kvm_usable
from sealtune.tee.qemu.tpm import copy_state, tpm_command

_STEP_SECONDS = 0.2
_STOP_SECONDS = 5.0
_START_SECONDS = 20.0
_POWER_OFF_SECONDS = 20.0
_TAIL_BYTES = 1000
_CONSOLE_BYTES = 4000  # a kernel's panic with its trace
_RESUMES = "run the same command again: the run resumes from its last sealed training checkpoint"


@dataclass(frozen=True, slots=True, kw_only=True)
class OrdinaryVm:
    """A VM without memory protection; `acceleration` None: KVM where it works, else emulation."""

    acceleration: Acceleration | None
    firmware: Path
    variables: Path
    tpm_state: Path


Platform = OrdinaryVm | SevSnp | Tdx


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """How long a guest may be silent before its first word, and run in all."""

    greeting_seconds: float
    total_seconds: float | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """A machine to run; `debug` gives it a console whose end stands in error messages."""

    qemu: Path
    platform: Platform
    boot: Boot
    disks: Sequence[HostDisk]
    brokers: Mapping[str, str]
    processors: int
    memory_mib: int
    debug: bool


class _KvmFailedError(SealtuneError):
    """KVM made a machine and then could not run it."""

    def __init__(self) -> None:
        remedy = (
            "see the host's kernel log; an ordinary VM can be emulated instead, which is slower"
        )
        super().__init__(Code.LAUNCH_FAILED, "KVM cannot run this machine here", remedy=remedy)


class _Stop:
    """Whether somebody asked this process to end, while the signals are kept for that."""

    def __init__(self) -> None:
        self.asked = False

    def ask(self, *_: object) -> None:
        self.asked = True


def run_machine(plan: Plan, *, limits: Limits, on_event: Callable[[WorkerEvent], None]) -> int:
    """Run the machine to its end and return the exit status that its worker told.

    Raises:
        SealtuneError: QEMU did not start, the guest said nothing, broke a rule of the channel, ran
            too long or ended without a word.
        KeyboardInterrupt: somebody asked for the end, by SIGINT or SIGTERM.
    """
    with _signals_kept() as stop:
        platform = plan.platform
        if not isinstance(platform, OrdinaryVm) or platform.acceleration is not None:
            return _attempt(plan, limits, on_event, stop)
        if kvm_usable():
            accelerated = replace(platform, acceleration=Acceleration.KVM)
            try:
                return _attempt(replace(plan, platform=accelerated), limits, on_event, stop)
            except _KvmFailedError:
                # A nested KVM that lacks something: nothing of the guest has run yet.
                pass
        emulated = replace(platform, acceleration=Acceleration.TCG)
        return _attempt(replace(plan, platform=emulated), limits, on_event, stop)


def _attempt(
    plan: Plan, limits: Limits, on_event: Callable[[WorkerEvent], None], stop: _Stop
) -> int:
    with contextlib.ExitStack() as stack:
        # Private, and short: a unix socket's path has 107 bytes at most.
        made = tempfile.TemporaryDirectory(prefix="sealtune-vm-")
        folder = Path(stack.enter_context(made))
        brokers = {}
        for number, (name, address) in enumerate(sorted(plan.brokers.items())):
            brokers[name] = folder / f"broker{number}"
            stack.enter_context(Forwarder(brokers[name], address))
        profile = _profile(plan.platform, folder, stack)
        listener = stack.enter_context(socket.socket(socket.AF_UNIX, socket.SOCK_STREAM))
        listener.bind(str(folder / "channel"))
        listener.listen(1)
        machine = Machine(
            profile=profile,
            boot=plan.boot,
            disks=plan.disks,
            channel=folder / "channel",
            processors=plan.processors,
            memory_mib=plan.memory_mib,
            console=folder / "console" if plan.debug else None,
        )
        command = qemu_arguments(plan.qemu, machine)
        qemu = stack.enter_context(_process(command, log=folder / "qemu.log"))
        watch = _Watch(qemu, folder=folder, profile=profile, limits=limits, stop=stop)
        channel = stack.enter_context(watch.accept(listener))
        relay = stack.enter_context(Relay(channel, brokers=brokers, on_event=on_event))
        while relay.status is None and not relay.ended:
            relay.step(_STEP_SECONDS)
            watch.check(greeted=relay.greeted)
        if relay.status is None:
            raise watch.gone(greeted=relay.greeted)
        # It has synced its disk before EXIT; powering off is a courtesy.
        with contextlib.suppress(subprocess.TimeoutExpired):
            qemu.wait(_POWER_OFF_SECONDS)
        return relay.status


class _Watch:
    """Looks after a machine that runs: limits, signals, and what it left when it went."""

    def __init__(
        self,
        qemu: subprocess.Popen[bytes],
        *,
        folder: Path,
        profile: Profile,
        limits: Limits,
        stop: _Stop,
    ) -> None:
        self._qemu = qemu
        self._folder = folder
        self._kvm = isinstance(profile, PlainVm) and profile.acceleration is Acceleration.KVM
        self._limits = limits
        self._stop = stop
        self._since = time.monotonic()

    def accept(self, listener: socket.socket) -> socket.socket:
        """Return QEMU's connection for the channel."""
        listener.settimeout(_STEP_SECONDS)
        while True:
            try:
                return listener.accept()[0]
            except TimeoutError:
                self.check(greeted=False)
            if self._qemu.poll() is not None:
                raise self.gone(greeted=False)

    def check(self, *, greeted: bool) -> None:
        """Raise what ends a machine that would otherwise go on."""
        if self._stop.asked:
            raise KeyboardInterrupt
        if b"KVM internal error" in self._log():
            # QEMU only pauses then.
            if not greeted:
                raise _KvmFailedError
            raise self._error(Code.GUEST_FAILED, "KVM stopped the virtual machine", _RESUMES)
        passed = time.monotonic() - self._since
        total = self._limits.total_seconds
        if total is not None and passed > total:
            message = f"the virtual machine was still running after {total:g} seconds"
            raise self._error(Code.GUEST_FAILED, message, _RESUMES)
        if not greeted and passed > self._limits.greeting_seconds:
            message = f"the virtual machine said nothing in {passed:.0f} seconds"
            remedy = "build the image again with a console to see where it stops, or allow more"
            raise self._error(Code.GUEST_SILENT, message, remedy + " time for its start")

    def gone(self, *, greeted: bool) -> SealtuneError:
        """Return the error of a machine that ended without EXIT."""
        with contextlib.suppress(subprocess.TimeoutExpired):
            self._qemu.wait(_STOP_SECONDS)
        log = self._log()
        if not greeted and self._kvm and b"kvm" in log.lower():
            return _KvmFailedError()
        if not greeted and self._qemu.returncode:
            said = log[-_TAIL_BYTES:].decode("utf-8", errors="replace").strip()
            message = f"QEMU ended with status {self._qemu.returncode}: {said}"
            return SealtuneError(Code.LAUNCH_FAILED, message)
        when = "while it ran the worker" if greeted else "before it said anything"
        message = f"the virtual machine stopped {when}, without saying why"
        return self._error(Code.GUEST_FAILED, message, _RESUMES)

    def _log(self) -> bytes:
        return _tail(self._folder / "qemu.log", 64 * _TAIL_BYTES)

    def _error(self, code: Code, message: str, remedy: str) -> SealtuneError:
        # Only a debug image has a console (spec/vm §1.4).
        console = _tail(self._folder / "console", _CONSOLE_BYTES)
        if console:
            said = console.decode("utf-8", errors="replace")
            kept = "".join(char if char.isprintable() or char == "\n" else " " for char in said)
            message += f"; its console ends with:\n{kept}"
        return SealtuneError(code, message, remedy=remedy)


def _profile(platform: Platform, folder: Path, stack: contextlib.ExitStack) -> Profile:
    if not isinstance(platform, OrdinaryVm):
        return platform
    variables, state, path = folder / "variables", folder / "tpm-state", folder / "tpm"
    with storage_errors(variables):
        shutil.copyfile(platform.variables, variables)
    copy_state(platform.tpm_state, state)
    log = folder / "swtpm.log"
    swtpm = stack.enter_context(_process(tpm_command(state, path), log=log))
    _await_socket(path, swtpm, log)
    return PlainVm(
        acceleration=platform.acceleration or Acceleration.TCG,
        firmware=platform.firmware,
        variables=variables,
        tpm=path,
    )


def _await_socket(path: Path, process: subprocess.Popen[bytes], log: Path) -> None:
    until = time.monotonic() + _START_SECONDS
    while not path.is_socket():
        if process.poll() is not None or time.monotonic() > until:
            said = _tail(log, _TAIL_BYTES).decode("utf-8", errors="replace").strip()
            raise SealtuneError(Code.LAUNCH_FAILED, f"swtpm does not start: {said}")
        time.sleep(0.01)


@contextlib.contextmanager
def _process(command: list[str], *, log: Path) -> Iterator[subprocess.Popen[bytes]]:
    with log.open("wb") as output:
        process = subprocess.Popen(
            _dies_with_us(command),
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=output,
            env={"PATH": "/usr/bin:/bin", "LANG": "C.UTF-8", "HOME": str(log.parent)},
            cwd=log.parent,
            # A Ctrl-C on the terminal is ours to answer.
            start_new_session=True,
        )
    try:
        yield process
    finally:
        _end(process)


def _dies_with_us(command: list[str]) -> list[str]:
    # For the end that no code of ours sees: SIGKILL to the launcher.
    setpriv = shutil.which("setpriv")
    return [setpriv, "--pdeathsig", "KILL", "--", *command] if setpriv else command


def _end(process: subprocess.Popen[bytes]) -> None:
    if process.poll() is not None:
        # Its number may be somebody else's by now.
        return
    for number in (signal.SIGTERM, signal.SIGKILL):
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.killpg(process.pid, number)
        with contextlib.suppress(subprocess.TimeoutExpired):
            process.wait(_STOP_SECONDS)
            return


@contextlib.contextmanager
def _signals_kept() -> Iterator[_Stop]:
    """Turn SIGINT and SIGTERM into a request, so that none of them interrupts the clearing up."""
    stop = _Stop()
    if threading.current_thread() is not threading.main_thread():
        yield stop
        return
    before = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)}
    for number in before:
        signal.signal(number, stop.ask)
    try:
        yield stop
    finally:
        for number, handler in before.items():
            signal.signal(number, handler or signal.SIG_DFL)
    if stop.asked:
        # It came after the last look: the machine is down, and the caller still has to know.
        raise KeyboardInterrupt


def _tail(path: Path, size: int) -> bytes:
    try:
        with path.open("rb") as file:
            file.seek(max(0, os.fstat(file.fileno()).st_size - size))
            return file.read(size)
    except OSError:
        return b""
