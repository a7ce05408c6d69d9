"""Code has taken the worker over, in the booted machine: what does it reach?

A probe image is the agreed one, but for the program in the worker's place: it prepares and confines
itself as the worker does, by the same code, and then tries. Its report stands in the place of the
run's receipt.
"""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path
from typing import Any

import pytest

from chain.measured import MeasuredVm
from chain.world import World
from image.built import built_image, plan
from sealtune.image.root import SourceFile
from tee.attempts import KILLED

pytestmark = pytest.mark.slow
GUEST = "sealtune/worker/guest.py"


@pytest.fixture(scope="module")
def found(
    world: World, measured_vm: MeasuredVm, tmp_path_factory: pytest.TempPathFactory
) -> dict[str, Any]:
    """What the probe reports from one boot."""
    agreed = plan()
    sources = {file.path: file.source for file in agreed.sources.files}
    sources["sealtune/worker/agreed_guest.py"] = sources[GUEST]
    sources[GUEST] = Path(__file__).with_name("probe_guest.py").read_bytes()
    sources["sealtune/worker/attempts.py"] = f"KILLED = {KILLED!r}\n".encode()
    files = tuple(SourceFile(path=path, source=source) for path, source in sources.items())
    image = built_image(
        dataclasses.replace(agreed, sources=dataclasses.replace(agreed.sources, files=files))
    )
    probe = dataclasses.replace(measured_vm, image=image)
    contract = world.agree("probe", enclaves=[measured_vm.enclave])
    output = tmp_path_factory.mktemp("probe") / "run"
    probe.run(world, contract, output, vm=probe.launch())
    report: dict[str, Any] = json.loads((output / "receipt.json").read_bytes())
    return report


def test_the_kernel_is_closed_before_the_worker_starts(found: dict[str, Any]) -> None:
    state = found["state"]
    assert state["/proc/sys/kernel/modules_disabled"] == "1\n"
    assert state["/proc/sys/kernel/kexec_load_disabled"] == "1\n"
    assert state["/proc/sys/user/max_user_namespaces"] == "0\n"
    assert state["/proc/sys/kernel/io_uring_disabled"] == "2\n"
    assert "[confidentiality]" in state["/sys/kernel/security/lockdown"]
    assert "console=" not in state["/proc/cmdline"]


def test_not_even_root_gets_into_the_kernel_or_changes_the_root(found: dict[str, Any]) -> None:
    assert found["as_root"] == {
        "write-root": "EROFS",
        "change-program": "EROFS",
        "module": "EPERM",
        "kexec": "EPERM",
        "ports": "EPERM",
        "memory-of-the-kernel": "EPERM",
        "modules-again": "EINVAL",
    }


def test_no_file_system_takes_programs_devices_or_rights(found: dict[str, Any]) -> None:
    mounts = [line.split() for line in found["state"]["/proc/mounts"].splitlines()]
    options = {place: set(flags.split(",")) for _, place, _, flags, *_ in mounts}
    root = [kind for _, place, kind, *_ in mounts if place == "/"]
    assert root == ["squashfs"]
    assert {"ro", "nosuid", "nodev"} <= options["/"]
    for place, flags in options.items():
        assert "nosuid" in flags, place
        assert flags & {"noexec", "ro"}, place
        assert place == "/dev" or "nodev" in flags, place


def test_there_is_no_network(found: dict[str, Any]) -> None:
    assert set(found["interfaces"]) <= {"lo"}
    assert len(found["state"]["/proc/net/route"].splitlines()) <= 1  # its heading


def test_only_the_output_disk_takes_a_byte(found: dict[str, Any]) -> None:
    disks = dict(found["disks"])
    assert disks.pop("out") == "done"
    assert set(disks) == {"root", "job", "in0", "in1"}
    assert "done" not in disks.values()


def test_worker_and_first_process_are_alone(found: dict[str, Any]) -> None:
    assert found["processes"] == ["1", "worker"]


def test_what_no_worker_needs_ends_it(found: dict[str, Any]) -> None:
    assert found["killed"] == dict.fromkeys(KILLED, "SIGSYS")


def test_it_opens_what_it_was_given_and_nothing_else(found: dict[str, Any]) -> None:
    """Every file and folder of the machine outside /usr was tried, devices and the rest alike.

    The event log is a copy; the brokers compare what it says with what the TPM signed.
    """
    assert found["tried"] > 2000
    files = {"/proc/cpuinfo", "/proc/meminfo", "/proc/stat", "/dev/null", "/dev/urandom"}
    own = {f"/run/sealtune/{name}" for name in ("out", "tmp", "private")}
    private = {f"/run/sealtune/private/{name}" for name in ("contract.json", "event-log")}
    image = ("/lib", "/sys/devices/system")
    read = {path for path in found["read"] if not path.startswith(image)}
    inputs = {path for path in read if path.startswith("/dev/vd")}
    assert read == files | own | private | inputs
    assert len(inputs) == 2
    assert set(found["write"]) == {"/dev/null", "/run/sealtune/private/event-log"}


def test_it_makes_no_file_outside_its_own_folder(found: dict[str, Any]) -> None:
    assert set(found["made"].values()) <= {"EACCES", "EROFS", "ENOENT"}


def test_every_thread_of_the_worker_is_caged(found: dict[str, Any]) -> None:
    assert len(found["threads"]) > 1
    for thread in found["threads"]:
        assert thread["Uid"] == thread["Gid"] == ["1000"] * 4
        assert thread["Groups"] == []
        assert thread["CapEff"] == thread["CapBnd"] == ["0" * 16]
        assert thread["NoNewPrivs"] == ["1"]
        assert thread["Seccomp"] == ["2"]
