"""QEMU's command line, list by list, and what the installed QEMU says to it."""

from __future__ import annotations

import base64
import dataclasses
import json
import shutil
import socket
import subprocess
import tempfile
from pathlib import Path

import pytest

from sealtune.tee.qemu.arguments import (
    DISKS_MAX,
    Acceleration,
    Boot,
    HostDisk,
    Machine,
    MemoryEncryption,
    PlainVm,
    Profile,
    SevSnp,
    Tdx,
    UnixQuotes,
    VsockQuotes,
    qemu_arguments,
)

QEMU = Path("/usr/bin/qemu-system-x86_64")
CONTRACT = bytes(range(32))
CMDLINE = "panic=-1 quiet lockdown=confidentiality verity.roothash=ab verity.hashoffset=512"
PLAIN = PlainVm(
    acceleration=Acceleration.TCG,
    firmware=Path("/f/OVMF_CODE_4M.fd"),
    variables=Path("/r/vars.fd"),
    tpm=Path("/r/tpm"),
)
SNP = SevSnp(
    firmware=Path("/f/OVMF.amdsev.fd"),
    processor="EPYC-v4",
    encryption=MemoryEncryption(c_bit=51, reduced_bits=1),
    host_data=CONTRACT,
)
TDX = Tdx(
    firmware=Path("/f/OVMF.fd"),
    config_id=CONTRACT.ljust(48, b"\0"),
    quotes=VsockQuotes(cid=2, port=4050),
)
PROFILES = {"vm": PLAIN, "sev-snp": SNP, "tdx": TDX}


def machine(profile: Profile, **changes: object) -> Machine:
    made = Machine(
        profile=profile,
        boot=Boot(kernel=Path("/i/vmlinuz"), initrd=Path("/i/initrd.zst"), cmdline=CMDLINE),
        disks=(
            HostDisk(serial="root", path=Path("/i/root.squashfs")),
            HostDisk(serial="out", path=Path("/o/output.disk"), writable=True),
        ),
        channel=Path("/r/channel"),
        processors=2,
        memory_mib=3072,
        console=None,
    )
    return dataclasses.replace(made, **changes)


def node(name: str, path: str, *, read_only: str) -> str:
    return (
        f'{{"driver":"raw","node-name":"{name}","read-only":{read_only},'
        f'"file":{{"driver":"file","filename":"{path}","read-only":{read_only}}}}}'
    )


HEAD = [
    str(QEMU),
    *("-nodefaults", "-no-user-config", "-display", "none", "-no-reboot"),
    *("-sandbox", "on,obsolete=deny,elevateprivileges=deny,spawn=deny"),
    *("-smp", "2", "-m", "3072M"),
]
TAIL = [
    *("-kernel", "/i/vmlinuz", "-initrd", "/i/initrd.zst", "-append", CMDLINE),
    *("-blockdev", node("disk-root", "/i/root.squashfs", read_only="true")),
    "-device",
    "virtio-blk-pci,drive=disk-root,serial=root,addr=0x3.0,multifunction=on"
    ",werror=report,rerror=report",
    *("-blockdev", node("disk-out", "/o/output.disk", read_only="false")),
    "-device",
    "virtio-blk-pci,drive=disk-out,serial=out,addr=0x3.1,multifunction=on"
    ",werror=report,rerror=report",
    *("-chardev", "socket,id=channel,path=/r/channel"),
    *("-device", "virtio-serial-pci,id=ports,max_ports=2,addr=0x2"),
    *("-device", "virtserialport,bus=ports.0,nr=1,chardev=channel,name=sealtune.channel"),
]
VM = [
    *("-machine", "q35,vmport=off,pflash0=firmware,pflash1=variables"),
    *("-blockdev", node("firmware", "/f/OVMF_CODE_4M.fd", read_only="true")),
    *("-blockdev", node("variables", "/r/vars.fd", read_only="false")),
    *("-chardev", "socket,id=tpm,path=/r/tpm"),
    *("-tpmdev", "emulator,id=tpm0,chardev=tpm"),
    *("-device", "tpm-crb,tpmdev=tpm0"),
]


def test_an_emulated_machine() -> None:
    cpu = ["-accel", "tcg,thread=multi,tb-size=512", "-cpu", "max,-avx,-avx2,-fma,-f16c"]
    assert qemu_arguments(QEMU, machine(PLAIN)) == HEAD + cpu + VM + TAIL


def test_a_machine_under_kvm() -> None:
    profile = dataclasses.replace(PLAIN, acceleration=Acceleration.KVM)
    cpu = ["-accel", "kvm", "-cpu", "host"]
    assert qemu_arguments(QEMU, machine(profile)) == HEAD + cpu + VM + TAIL


def test_a_sev_snp_guest() -> None:
    profile = [
        *("-accel", "kvm", "-cpu", "EPYC-v4", "-machine"),
        "q35,vmport=off,confidential-guest-support=tee0,memory-backend=memory",
        "-object",
        '{"qom-type":"memory-backend-memfd","id":"memory","size":3221225472,"share":true,'
        '"prealloc":false}',
        "-object",
        '{"qom-type":"sev-snp-guest","id":"tee0","cbitpos":51,"reduced-phys-bits":1,'
        '"policy":196608,"kernel-hashes":true,'
        f'"host-data":"{base64.b64encode(CONTRACT).decode()}"}}',
        *("-bios", "/f/OVMF.amdsev.fd"),
    ]
    assert qemu_arguments(QEMU, machine(SNP)) == HEAD + profile + TAIL


@pytest.mark.parametrize(
    ("quotes", "service"),
    [
        (VsockQuotes(cid=2, port=4050), '{"type":"vsock","cid":"2","port":"4050"}'),
        (UnixQuotes(path=Path("/q/s")), '{"type":"unix","path":"/q/s"}'),
    ],
    ids=["vsock", "unix"],
)
def test_a_tdx_guest(quotes: UnixQuotes | VsockQuotes, service: str) -> None:
    config_id = base64.b64encode(CONTRACT + bytes(16)).decode()
    profile = [
        *("-accel", "kvm", "-cpu", "host", "-machine"),
        "q35,vmport=off,confidential-guest-support=tee0,kernel-irqchip=split",
        "-object",
        '{"qom-type":"tdx-guest","id":"tee0","sept-ve-disable":true,'
        f'"mrconfigid":"{config_id}","quote-generation-socket":{service}}}',
        *("-bios", "/f/OVMF.fd"),
    ]
    tdx = dataclasses.replace(TDX, quotes=quotes)
    assert qemu_arguments(QEMU, machine(tdx)) == HEAD + profile + TAIL


@pytest.mark.parametrize("tee", PROFILES)
def test_no_machine_has_a_network_card_a_monitor_or_a_console(tee: str) -> None:
    arguments = qemu_arguments(QEMU, machine(PROFILES[tee]))
    for option in ("-nic", "-netdev", "-net", "-monitor", "-mon", "-qmp", "-gdb", "-serial"):
        assert option not in arguments


def test_a_debug_image_has_a_console() -> None:
    with_console = qemu_arguments(QEMU, machine(PLAIN, console=Path("/r/console")))
    assert with_console[-4:] == [
        *("-chardev", "file,id=console,path=/r/console", "-serial", "chardev:console"),
    ]
    assert with_console[:-4] == qemu_arguments(QEMU, machine(PLAIN))


def test_a_path_is_one_value_whatever_is_in_it() -> None:
    evil = Path('/o/a,read-only=off,"x')
    profile = dataclasses.replace(PLAIN, tpm=evil)
    disks = (HostDisk(serial="out", path=evil),)
    arguments = qemu_arguments(QEMU, machine(profile, channel=evil, console=evil, disks=disks))
    for name in ("tpm", "channel"):
        assert f'socket,id={name},path=/o/a,,read-only=off,,"x' in arguments
    assert 'file,id=console,path=/o/a,,read-only=off,,"x' in arguments
    nodes = [json.loads(item) for item in arguments if item.startswith('{"driver"')]
    assert nodes[-1]["file"] == {"driver": "file", "filename": str(evil), "read-only": True}


def test_many_disks_have_places_of_their_own() -> None:
    disks = tuple(HostDisk(serial=f"in{n}", path=Path("/d")) for n in range(67))
    arguments = qemu_arguments(QEMU, machine(PLAIN, disks=disks))
    places = [item.split("addr=")[1].split(",")[0] for item in arguments if "virtio-blk" in item]
    assert len(set(places)) == 67
    assert places[:9] == [f"0x3.{n}" for n in range(8)] + ["0x4.0"]


@pytest.mark.parametrize(
    "changes",
    [
        {"disks": (HostDisk(serial="a", path=QEMU), HostDisk(serial="a", path=QEMU))},
        {"disks": tuple(HostDisk(serial=f"d{n}", path=QEMU) for n in range(DISKS_MAX + 1))},
        {"disks": (HostDisk(serial="", path=QEMU),)},
        {"disks": (HostDisk(serial="a,b", path=QEMU),)},
        {"disks": (HostDisk(serial="é", path=QEMU),)},
        {"disks": (HostDisk(serial="a" * 21, path=QEMU),)},
        {"processors": 0},
        {"memory_mib": 0},
        {"profile": dataclasses.replace(SNP, host_data=bytes(31))},
        {"profile": dataclasses.replace(TDX, config_id=CONTRACT)},
    ],
    ids=range(10),
)
def test_a_machine_that_cannot_be(changes: dict[str, object]) -> None:
    with pytest.raises(ValueError, match=r"disk|machine|HOST_DATA|MRCONFIGID"):
        qemu_arguments(QEMU, machine(**{"profile": PLAIN, **changes}))


# How far a host without the hardware gets: every word was understood, and then KVM said no.
UNDERSTOOD = ("SEV-SNP not supported by KVM", "TDX not supported by KVM", "Could not access KVM")


@pytest.mark.slow
@pytest.mark.parametrize("tee", ["sev-snp", "tdx"])
def test_the_installed_qemu_takes_the_arguments(tee: str, tmp_path: Path) -> None:
    # What an ordinary VM is given is tried where one boots (test_qemu_boot.py).
    qemu = shutil.which("qemu-system-x86_64")
    if qemu is None:
        pytest.skip("qemu-system-x86_64 missing: run tests/tee/install-tools.sh")
    objects = subprocess.run([qemu, "-object", "help"], capture_output=True, check=False)
    if tee == "tdx" and b"tdx-guest" not in objects.stdout:
        pytest.skip("this QEMU is older than 10.1 and knows no TDX guest")
    for name in ("kernel", "initrd", "disk", "out"):
        (tmp_path / name).write_bytes(bytes(1000))
    with tempfile.TemporaryDirectory(prefix="q-") as short, socket.socket(socket.AF_UNIX) as host:
        channel = Path(short, "channel")
        host.bind(str(channel))
        host.listen()
        made = machine(
            PROFILES[tee],
            boot=Boot(kernel=tmp_path / "kernel", initrd=tmp_path / "initrd", cmdline=CMDLINE),
            disks=(
                HostDisk(serial="root", path=tmp_path / "disk"),
                HostDisk(serial="out", path=tmp_path / "out", writable=True),
            ),
            channel=channel,
            memory_mib=64,
        )
        command = qemu_arguments(Path(qemu), made)
        done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 1
    assert any(text in done.stderr for text in UNDERSTOOD), done.stderr
