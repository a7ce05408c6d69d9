"""A program in QEMU's place that plays a guest; the kernel's command line says which one.

It takes QEMU's arguments as they are, connects where QEMU would, and leaves its process number.
"""

from __future__ import annotations

import os
import stat
import sys
import time
from collections.abc import Callable
from pathlib import Path

PROGRAM = """#!{python} -IB
import json, os, signal, socket, sys, time
from pathlib import Path

if "--version" in sys.argv:
    print("QEMU emulator version {version} (fake)")
    raise SystemExit
arguments = dict(zip(sys.argv[1:], sys.argv[2:]))
mode, notes = arguments["-append"].split()
Path(notes, f"pid-{{os.getpid()}}").touch()
Path(notes, "arguments.json").write_text(json.dumps(sys.argv))
if mode == "refuse":
    raise SystemExit("qemu: no such machine")
if "-serial" in arguments:
    place = next(a for a in sys.argv if a.startswith("file,id=console,path="))
    console = Path(place.removeprefix("file,id=console,path="))
    console.write_text("Kernel panic\\x1b[2J: not syncing")
channel = next(a for a in sys.argv if a.startswith("socket,id=channel,path="))
guest = socket.socket(socket.AF_UNIX)
guest.connect(channel.removeprefix("socket,id=channel,path="))

from sealtune.tee.frames import PROTOCOL, Channel, Frame, FrameType, Side, exit_payload
rules = Channel(Side.GUEST)

def send(kind, payload=b"", stream=0):
    guest.sendall(rules.send(Frame(type=kind, stream=stream, payload=payload)))

def frames():
    while data := guest.recv(65536):
        yield from rules.receive(data)

def event(**fields):
    send(FrameType.EVENT, json.dumps(fields).encode())

if mode == "panic":
    raise SystemExit
if mode == "silent":
    time.sleep(60)
if mode == "no-kvm" and "kvm" in sys.argv:
    print("KVM internal error. Suberror: 1", file=sys.stderr, flush=True)
    time.sleep(60)
if mode == "kvm-dies" and "kvm" in sys.argv:
    raise SystemExit("qemu: kvm run failed")
if mode == "slow":
    time.sleep(0.7)
send(FrameType.HELLO, PROTOCOL)
answers = frames()
next(answers)
event(event="phase", phase="attest")
if mode == "kvm-late":
    print("KVM internal error. Suberror: 3", file=sys.stderr, flush=True)
if mode in ("hang", "kvm-late"):
    time.sleep(60)
if mode == "gone":
    raise SystemExit
if mode == "killed":
    os.kill(os.getpid(), signal.SIGKILL)
if mode == "torn":
    guest.sendall(b"\\x05\\0\\0")
    raise SystemExit
if mode == "garbage":
    guest.sendall(b"\\xff" * 20)
    time.sleep(60)
if mode == "flood":
    while True:
        event(event="phase", phase="train")
if mode == "deaf":
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
if mode in ("store", "spoil"):
    from sealtune.tee.output_disk import OutputDisk
    nodes = [json.loads(a) for a in sys.argv if a.startswith('{{"driver"')]
    place = Path(next(n["file"]["filename"] for n in nodes if n["node-name"] == "disk-out"))
if mode == "spoil":
    with place.open("r+b") as disk:
        disk.write(bytes(2 * 64 * 1024))
if mode == "store":
    with OutputDisk(place, writable=True) as disk:
        disk.write_file("checkpoint-00000001.sealed", b"state")
        disk.write_file("result.sealed", b"result")
        disk.write_file("receipt.json", b"receipt")
if mode == "failed":
    event(event="failed", code="denied-runs", phase="attest", message="no more runs")
    send(FrameType.EXIT, exit_payload(7))
elif mode in ("mute", "silent-success"):
    send(FrameType.EXIT, exit_payload(3 if mode == "mute" else 0))
else:
    event(event="finished", receipt="sha256:0", reported=True)
    send(FrameType.EXIT, exit_payload(3 if mode == "odd" else 0))
if mode == "deaf":
    time.sleep(60)
"""


def make_fake_qemu(folder: Path, *, version: str = "10.0.2") -> Path:
    """Write the program as `qemu-system-x86_64` into `folder`."""
    path = folder / "qemu-system-x86_64"
    path.write_text(PROGRAM.format(python=sys.executable, version=version))
    path.chmod(path.stat().st_mode | stat.S_IXUSR)
    return path


def started(notes: Path) -> list[int]:
    """The processes that the program was."""
    return [int(path.name.removeprefix("pid-")) for path in notes.glob("pid-*")]


def running(needle: str) -> list[int]:
    """The processes of this machine whose command line holds `needle`."""
    found = []
    for entry in Path("/proc").iterdir():
        if entry.name.isdecimal() and int(entry.name) != os.getpid():
            try:
                command = (entry / "cmdline").read_bytes()
            except OSError:
                continue
            if needle.encode() in command:
                found.append(int(entry.name))
    return found


def wait_until(ready: Callable[[], object], *, seconds: float = 20.0) -> None:
    """Wait for what another process does."""
    until = time.monotonic() + seconds
    while not ready():
        assert time.monotonic() < until, "it does not happen"
        time.sleep(0.02)
