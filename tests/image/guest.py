"""Boots a real kernel in QEMU with a software TPM, and lets the host speak to that TPM from inside.

The guest is nothing but busybox: it hands over its firmware's event log and then relays TPM
commands between a serial port and /dev/tpm0. So whatever the TPM signs, it signs in a machine that
has really booted these files.
"""

from __future__ import annotations

import base64
import contextlib
import gzip
import os
import re
import shutil
import socket
import subprocess
import tarfile
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from sealtune.image.inputs import Cache, Use, default_cache, read_lock
from sealtune.image.pcr import BootFiles

QEMU, QEMU_MAJOR = "qemu-system-x86_64", 10
FIRMWARE = Path(os.environ.get("SEALTUNE_OVMF", "/usr/share/OVMF/OVMF_CODE_4M.fd"))
COMMAND_LINE = "console=ttyS0 panic=-1 quiet lockdown=confidentiality verity.roothash=00"
_BOOT_SECONDS = 240.0
_INIT = """#!/bin/busybox sh
/bin/busybox mount -t proc proc /proc
/bin/busybox mount -t sysfs sysfs /sys
/bin/busybox mount -t devtmpfs dev /dev
/bin/busybox mount -t securityfs securityfs /sys/kernel/security
/bin/busybox stty -F /dev/ttyS1 raw -echo
exec 0</dev/ttyS1 1>/dev/ttyS1 3<>/dev/tpm0
echo; echo ready
/bin/busybox base64 -w 0 /sys/kernel/security/tpm0/binary_bios_measurements
echo
while read -r line; do
    echo "$line" | /bin/busybox base64 -d >/command
    /bin/busybox dd if=/command bs=4096 count=1 2>/dev/null >&3
    /bin/busybox dd bs=4096 count=1 2>/dev/null <&3 >/answer
    /bin/busybox base64 -w 0 /answer
    echo
done
/bin/busybox poweroff -f
"""


@dataclass(frozen=True, slots=True)
class Guest:
    """A booted guest: its event log, and its TPM through `transmit`."""

    event_log: bytes
    _port: socket.socket

    def transmit(self, command: bytes) -> bytes:
        self._port.sendall(base64.b64encode(command) + b"\n")
        return base64.b64decode(_line(self._port), validate=True)


def require_everything() -> None:
    """Skip the test where a program or file is missing, and say which."""
    programs = (QEMU, "swtpm", "swtpm_setup", "busybox", "dpkg-deb")
    missing = [name for name in programs if shutil.which(name) is None]
    missing += [str(path) for path in (FIRMWARE, _variables()) if not path.is_file()]
    if missing:
        pytest.skip(
            f"no machine to boot: {', '.join(missing)} missing (tests/tee/install-tools.sh)"
        )
    said = subprocess.run([QEMU, "--version"], capture_output=True, text=True, check=True).stdout
    version = re.search(r"version (\d+)", said)
    if version is None or int(version[1]) < QEMU_MAJOR:
        pytest.skip(f"QEMU {QEMU_MAJOR}.0 or newer is needed: {said.splitlines()[0]}")


def boot_files(folder: Path) -> BootFiles:
    """Return the kernel that images have, with the relaying initrd; skip without the kernel."""
    return BootFiles(kernel=_kernel(folder), initrd=_initrd(), command_line=COMMAND_LINE)


@contextlib.contextmanager
def booted(files: BootFiles, folder: Path) -> Iterator[Guest]:
    """Boot `files` under `FIRMWARE` with a new TPM."""
    (folder / "vmlinuz").write_bytes(files.kernel)
    (folder / "initrd").write_bytes(files.initrd)
    shutil.copyfile(_variables(), folder / "variables.fd")
    # Socket paths have to be short.
    with tempfile.TemporaryDirectory() as short, contextlib.ExitStack() as stack:
        tpm, port = Path(short, "tpm"), Path(short, "port")
        stack.enter_context(_software_tpm(folder, tpm))
        command = [QEMU, "-machine", "q35", "-accel", "tcg", "-cpu", "max", "-smp", "1"]
        command += ["-m", "1024", "-nodefaults", "-display", "none", "-no-reboot"]
        command += [
            "-chardev",
            f"socket,id=tpm,path={tpm}",
            "-tpmdev",
            "emulator,id=tpm,chardev=tpm",
        ]
        command += ["-device", "tpm-crb,tpmdev=tpm", "-device", "virtio-rng-pci"]
        pflash = "if=pflash,format=raw,unit"
        command += ["-drive", f"{pflash}=0,readonly=on,file={FIRMWARE}"]
        command += ["-drive", f"{pflash}=1,file={folder / 'variables.fd'}"]
        command += ["-serial", f"file:{folder / 'console'}"]
        command += ["-serial", f"unix:{port},server=on,wait=off"]
        command += ["-kernel", str(folder / "vmlinuz"), "-initrd", str(folder / "initrd")]
        command += ["-append", files.command_line]
        machine = stack.enter_context(_running(command, folder / "qemu.log"))
        connection = stack.enter_context(_connected(port, machine))
        while _line(connection) != b"ready":  # the firmware clears this screen too
            pass
        yield Guest(base64.b64decode(_line(connection), validate=True), connection)


def _variables() -> Path:
    return FIRMWARE.with_name("OVMF_VARS_4M.fd")


def _kernel(folder: Path) -> bytes:
    (pinned,) = (item for item in read_lock() if Use.KERNEL in item.uses)
    cache = Cache(folder=default_cache())
    if cache.missing((pinned,)):
        pytest.skip(f"no kernel to boot: {pinned.file} is not in the cache of `image build`")
    unpacked = folder / "kernel.tar"
    with unpacked.open("wb") as file:
        subprocess.run(["dpkg-deb", "--fsys-tarfile", cache.path(pinned)], stdout=file, check=True)
    with tarfile.open(unpacked) as archive:
        (name,) = (name for name in archive.getnames() if name.startswith("./boot/vmlinuz-"))
        member = archive.extractfile(name)
        assert member is not None
        return member.read()


def _initrd() -> bytes:
    busybox = Path(shutil.which("busybox") or "").read_bytes()
    folders = b"".join(_entry(name, mode=0o40755) for name in ("bin", "dev", "proc", "sys"))
    files = _entry("bin/busybox", busybox) + _entry("init", _INIT.encode())
    console = _entry("dev/console", mode=0o20600, device=(5, 1))
    return gzip.compress(folders + console + files + _entry("TRAILER!!!", mode=0), mtime=0)


def _entry(
    name: str, data: bytes = b"", *, mode: int = 0o100755, device: tuple[int, int] = (0, 0)
) -> bytes:
    """Return a member of a newc archive."""
    encoded = name.encode() + b"\0"
    numbers = (0, mode, 0, 0, 1, 0, len(data), 0, 0, *device, len(encoded), 0)
    head = b"070701" + b"".join(b"%08x" % number for number in numbers) + encoded
    return head + bytes(-len(head) % 4) + data + bytes(-len(data) % 4)


@contextlib.contextmanager
def _software_tpm(folder: Path, path: Path) -> Iterator[None]:
    state = folder / "tpm-state"
    state.mkdir()
    setup = ["swtpm_setup", "--tpm2", "--tpmstate", str(state), "--pcr-banks", "sha256"]
    subprocess.run(setup, capture_output=True, check=True)
    command = ["swtpm", "socket", "--tpm2", "--tpmstate", f"dir={state}", "--terminate"]
    command += ["--ctrl", f"type=unixio,path={path}", "--flags", "startup-clear"]
    with _running(command, folder / "swtpm.log") as process:
        until = time.monotonic() + _BOOT_SECONDS
        while not path.exists():
            assert process.poll() is None, "swtpm does not start"
            assert time.monotonic() < until, "swtpm does not listen"
            time.sleep(0.02)
        yield


@contextlib.contextmanager
def _running(command: list[str], log: Path) -> Iterator[subprocess.Popen[bytes]]:
    with log.open("wb") as file, subprocess.Popen(command, stdout=file, stderr=file) as process:
        try:
            yield process
        finally:
            process.kill()


@contextlib.contextmanager
def _connected(path: Path, process: subprocess.Popen[bytes]) -> Iterator[socket.socket]:
    until = time.monotonic() + _BOOT_SECONDS
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as connection:
        connection.settimeout(_BOOT_SECONDS)
        while True:
            try:
                connection.connect(str(path))
            except OSError:
                assert process.poll() is None, "QEMU does not start"
                assert time.monotonic() < until, "QEMU does not listen"
                time.sleep(0.05)
            else:
                break
        yield connection


def _line(connection: socket.socket) -> bytes:
    data = bytearray()
    while not data.endswith(b"\n"):
        piece = connection.recv(1)
        assert piece, "the guest is gone"
        data += piece
        assert len(data) < 1_000_000
    return bytes(data).strip()
