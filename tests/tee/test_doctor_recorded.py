"""Recording a machine and examining the record: same findings, nobody's names, no way out."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import pytest

from sealtune.errors import Code, FormatError, StorageError
from sealtune.tee.doctor.diagnose import diagnose
from sealtune.tee.doctor.machine import Access, LiveMachine
from sealtune.tee.doctor.recorded import RecordedMachine, RecordingMachine
from sealtune.tee.doctor.tree import write_tree
from tee import machines
from tee.machines import MACHINES

_UUID = "2d4c7a7e-4c7f-4c12-9d6c-0f1f6a2b3c4d"
_MAC = "52:54:00:ab:cd:ef"
_SERIAL = "4c6f6e67204e756d626572"


def _record(tree: machines.Tree, folder: Path) -> RecordedMachine:
    recording = RecordingMachine(RecordedMachine.load(tree.write()))
    diagnose(recording)
    recording.write(folder)
    return RecordedMachine.load(folder)


@pytest.mark.parametrize("name", MACHINES)
def test_a_recorded_machine_gets_the_same_diagnosis(name: str, tmp_path: Path) -> None:
    tree = MACHINES[name](tmp_path / "machine")
    recorded = _record(tree, tmp_path / "record")
    assert diagnose(recorded) == diagnose(RecordedMachine.load(tmp_path / "machine"))


def test_this_machine_recorded_gets_the_same_diagnosis(tmp_path: Path) -> None:
    recording = RecordingMachine(LiveMachine())
    diagnosis = diagnose(recording)
    recording.write(tmp_path / "record")
    again = diagnose(RecordedMachine.load(tmp_path / "record"))
    volatile = {"free-memory"}
    assert [f for f in diagnosis.findings if f.name not in volatile] == [
        f for f in again.findings if f.name not in volatile
    ]
    assert [(v.target, v.readiness) for v in diagnosis.verdicts] == [
        (v.target, v.readiness) for v in again.verdicts
    ]


def test_a_record_names_nobody(tmp_path: Path) -> None:
    tree = machines.gpu_guest(tmp_path / "machine")
    tree.file("/proc/cmdline", f"root=UUID={_UUID} ip=10.0.0.7 password=hunter2 mem_encrypt=on\n")
    tree.file("/proc/1/cgroup", f"0::/user.slice/alice/docker-{_SERIAL * 3}.scope\n")
    tree.file("/proc/swaps", "Filename Type\n/dev/mapper/alice-swap partition 1 0 -2\n")
    tree.file("/proc/mounts", f"//server/alice /home/alice cifs rw,addr={_MAC} 0 0\n")
    tree.file("/sys/class/dmi/id/chassis_asset_tag", "ACME-0042\n")
    tree.node("/dev/kvm", 0o660, "alice", "payroll")
    tree.command("swtpm --version", f"swtpm 0.7.1 on {_UUID} {_MAC} {_SERIAL}")
    _record(tree, tmp_path / "record")
    written = {
        path: path.read_bytes() for path in (tmp_path / "record").rglob("*") if path.is_file()
    }
    everything = b"\n".join([*written.values(), *(str(path).encode() for path in written)])
    everything = everything.replace(str(tmp_path).encode(), b"")
    words = ("alice", "hunter2", "ACME", "payroll", "10.0.0.7", _UUID, _MAC, _SERIAL, "9221d5d1")
    assert [word for word in words if word.encode() in everything] == []
    kept = (tmp_path / "record/proc/cmdline").read_text()
    assert kept == "mem_encrypt=on\n"


def test_a_record_holds_of_the_kernels_options_what_is_asked_for(tmp_path: Path) -> None:
    tree = machines.snp_guest(tmp_path / "machine")
    tree.kernel("6.14.0", options='CONFIG_SEV_GUEST=m\nCONFIG_BUILD_SALT="alice@host"\n')
    _record(tree, tmp_path / "record")
    text = (tmp_path / "record/boot/config-6.14.0").read_text()
    assert "CONFIG_SEV_GUEST=m\n" in text
    assert "alice" not in text


def test_what_was_denied_stays_denied(tmp_path: Path) -> None:
    tree = machines.tdx_guest(tmp_path / "machine", root_user=False)
    recorded = _record(tree, tmp_path / "record")
    path = "/sys/firmware/acpi/tables/data/CCEL"
    assert recorded.read(path).access is Access.DENIED
    assert recorded.present(path) is Access.DENIED


def test_what_failed_goes_on_failing(tmp_path: Path) -> None:
    tree = machines.plain_vm(tmp_path / "machine")
    tree.unreadable["/proc/meminfo"] = {"access": "failed", "why": "Input/output error"}
    recorded = _record(tree, tmp_path / "record")
    reading = recorded.read("/proc/meminfo")
    assert (reading.access, reading.why) == (Access.FAILED, "Input/output error")


def test_a_folder_that_was_only_seen_is_a_folder(tmp_path: Path) -> None:
    write_tree(
        tmp_path / "tree",
        files={"/sys/class/x/value": b"1"},
        folders={},
        seen={"/sys/class/x", "/dev/y"},
        sidecars={},
    )
    assert (tmp_path / "tree/sys/class/x").is_dir()
    assert (tmp_path / "tree/dev/y").read_bytes() == b""


def test_a_record_overwrites_nothing(tmp_path: Path) -> None:
    recording = RecordingMachine(LiveMachine())
    with pytest.raises(StorageError) as refused:
        recording.write(tmp_path)
    assert refused.value.code is Code.FILE_EXISTS


def test_a_link_does_not_lead_out_of_a_tree(tmp_path: Path) -> None:
    tree = machines.plain_vm(tmp_path / "machine")
    secret = tmp_path / "secret"
    secret.write_text("6.66.0-secret\n")
    place = tmp_path / "machine/proc/sys/kernel/osrelease"
    place.unlink()
    place.symlink_to(secret)
    (tmp_path / "machine/run").symlink_to(tmp_path)
    machine = RecordedMachine.load(tree.write())
    reading = machine.read("/proc/sys/kernel/osrelease")
    assert (reading.access, reading.text) == (Access.FAILED, "")
    assert machine.present("/run/secret") is Access.ABSENT
    assert machine.children("/run") == ()
    assert "secret" not in str(diagnose(machine))


def test_a_link_inside_a_tree_is_followed(tmp_path: Path) -> None:
    tree = machines.plain_vm(tmp_path / "machine")
    place = tmp_path / "machine/proc/sys/kernel/osrelease"
    place.rename(place.with_name("elsewhere"))
    place.symlink_to("elsewhere")
    machine = RecordedMachine.load(tree.write())
    assert machine.read("/proc/sys/kernel/osrelease").value == "6.12.95+deb13-cloud-amd64"


def test_a_pipe_does_not_keep_anybody_waiting(tmp_path: Path) -> None:
    tree = machines.plain_vm(tmp_path)
    os.mkfifo(tmp_path / "proc/1fifo")
    machine = RecordedMachine.load(tree.write())
    reading = machine.read("/proc/1fifo")
    assert (reading.access, reading.why) == (Access.FAILED, "not a regular file")


BROKEN: dict[str, tuple[str, Any]] = {
    "no-object": ("machine.json", []),
    "another-format": ("machine.json", {"format": "sealtune-machine/2"}),
    "unknown-field": ("machine.json", {"surprise": 1}),
    "mode-no-octal": (
        "machine.json",
        {"nodes": {"/dev/x": {"mode": "0999", "owner": "a", "group": "b", "usable": True}}},
    ),
    "usable-a-word": (
        "machine.json",
        {"nodes": {"/dev/x": {"mode": "0600", "owner": "a", "group": "b", "usable": "yes"}}},
    ),
    "register-too-large": ("machine.json", {"cpuid": {"80000000.0": [2**32, 0, 0, 0]}}),
    "registers-too-few": ("machine.json", {"cpuid": {"80000000.0": [0, 0, 0]}}),
    "leaf-no-number": ("machine.json", {"cpuid": {"eax": [0, 0, 0, 0]}}),
    "readable-unreadable": ("machine.json", {"unreadable": {"/x": {"access": "ok", "why": ""}}}),
    "command-no-status": ("commands.json", {"commands": {"swtpm --version": {"output": ""}}}),
    "commands-a-list": ("commands.json", {"commands": []}),
}


@pytest.mark.parametrize("case", BROKEN)
def test_broken_sidecars_are_refused(case: str, tmp_path: Path) -> None:
    name, change = BROKEN[case]
    machines.plain_vm(tmp_path).write()
    value = json.loads((tmp_path / name).read_text())
    changed = {**value, **change} if isinstance(change, dict) else change
    (tmp_path / name).write_text(json.dumps(changed))
    with pytest.raises(FormatError) as refused:
        RecordedMachine.load(tmp_path)
    assert refused.value.code is Code.JSON_MALFORMED


def test_a_sidecar_that_is_no_json_or_endless_is_refused(tmp_path: Path) -> None:
    machines.plain_vm(tmp_path).write()
    (tmp_path / "commands.json").write_bytes(b"\xff\xfe")
    with pytest.raises(FormatError) as broken:
        RecordedMachine.load(tmp_path)
    assert broken.value.code is Code.JSON_MALFORMED
    (tmp_path / "commands.json").write_bytes(b" " * (1 << 20) + b"{}")
    with pytest.raises(FormatError) as endless:
        RecordedMachine.load(tmp_path)
    assert endless.value.code is Code.LIMIT_EXCEEDED


@pytest.mark.parametrize("name", ["machine.json", "commands.json", ""])
def test_a_folder_that_is_no_record_is_refused(name: str, tmp_path: Path) -> None:
    machines.plain_vm(tmp_path / "machine").write()
    if name:
        (tmp_path / "machine" / name).unlink()
    with pytest.raises(StorageError) as refused:
        RecordedMachine.load(tmp_path / "machine" if name else tmp_path / "nowhere")
    assert refused.value.code is Code.FILE_MISSING


def test_a_command_that_was_not_recorded_is_not_run(tmp_path: Path) -> None:
    machines.plain_vm(tmp_path).write()
    (tmp_path / "commands.json").write_text('{"commands": {}}')
    machine = RecordedMachine.load(tmp_path)
    outcome = machine.run("swtpm --version")
    assert (outcome.status, outcome.why) == (None, "not recorded")
    with pytest.raises(ValueError, match="not one of the commands"):
        machine.run("cat /etc/shadow")
