"""`sealtune doctor` as a person and as a program meet it."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from cli.said import Sealtune
from sealtune.cli.main import run
from sealtune.tee.doctor.verdicts import TARGETS
from tee import machines
from tee.machines import MACHINES


@pytest.mark.parametrize("columns", ["40", "80", "120", "400"])
@pytest.mark.parametrize("name", MACHINES)
def test_the_report_fits_the_terminal(
    name: str,
    columns: str,
    tmp_path: Path,
    sealtune_: Sealtune,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("COLUMNS", columns)
    folder = MACHINES[name](tmp_path).write()
    said = sealtune_("doctor", "--root", folder)
    assert (said.status, said.err) == (0, "")
    width = max(60, min(120, int(columns)))
    # A name or a path that is longer than the line is not broken.
    wide = [line for line in said.out.splitlines() if len(line) > width]
    assert not wide
    for heading in ("It could run as", "Looked at"):
        assert heading in said.out.splitlines()
    assert all(f" {target} " in said.out for target in TARGETS)


def test_the_report_says_state_by_icon_and_word(tmp_path: Path, sealtune_: Sealtune) -> None:
    out = sealtune_("doctor", "--root", machines.gpu_in_the_open(tmp_path).write()).out
    assert "✓ ready       tpm-vm" in out
    assert "! ready       simulated  simulated enclave (INSECURE: protects nothing)" in out
    assert "! fixable     gpu-cc" in out
    assert "✗ impossible  tdx        impossible on this processor: AMD, not Intel" in out
    assert "To mend" in out.splitlines()
    assert "gpu-cc-mode: confidential-computing mode is off (for gpu-cc)" in out


def test_where_nothing_is_to_mend_there_is_no_such_part(
    tmp_path: Path, sealtune_: Sealtune
) -> None:
    out = sealtune_("doctor", "--root", machines.snp_guest(tmp_path).write()).out
    assert "To mend" not in out
    assert "as root" not in out


def test_what_root_would_see_is_said(tmp_path: Path, sealtune_: Sealtune) -> None:
    out = sealtune_("doctor", "--root", machines.laptop_intel(tmp_path).write()).out
    assert out.splitlines()[-1] == "→ run as root to learn more about lockdown, tpm-event-log"


def test_json_is_the_whole_diagnosis(tmp_path: Path, sealtune_: Sealtune) -> None:
    said = sealtune_("doctor", "--root", machines.snp_guest(tmp_path).write(), "--json")
    assert said.status == 0
    value = said.json
    assert value.keys() == {"kind", "root", "verdicts", "findings"}
    verdicts = {item["target"]: item for item in value["verdicts"]}
    assert list(verdicts) == list(TARGETS)
    assert verdicts["sev-snp"]["readiness"] == "ready"
    assert verdicts["simulated"]["insecure"] is True
    states = {item["state"] for item in value["findings"]}
    assert states <= {"ok", "degraded", "missing", "not-applicable", "unknown"}
    assert "not-applicable" in states


def test_for_fails_unless_the_machine_is_ready(tmp_path: Path, sealtune_: Sealtune) -> None:
    folder = machines.snp_guest(tmp_path).write()
    assert sealtune_("doctor", "--root", folder, "--for", "sev-snp").status == 0
    ready = sealtune_("doctor", "--root", folder, "--for", "sev-snp", "--json")
    assert (ready.status, ready.json["kind"]) == (0, "confidential VM on Google Cloud (SEV-SNP)")
    refused = sealtune_("doctor", "--root", folder, "--for", "tdx")
    assert refused.status == 3
    assert "It could run as" in refused.out
    assert "not ready for tdx" in refused.err
    as_json = sealtune_("doctor", "--root", folder, "--for", "tdx", "--json")
    assert (as_json.status, as_json.error["code"]) == (3, "tee-unavailable")


def test_this_machine_is_examined_and_recorded(tmp_path: Path, sealtune_: Sealtune) -> None:
    live = sealtune_("doctor", "--json")
    assert live.status == 0
    folder = tmp_path / "mine"
    made = sealtune_("doctor", "--record", folder, "--json").json
    assert made["folder"] == str(folder)
    assert {"machine.json", "commands.json", "proc/cpuinfo"} <= set(made["files"])
    assert sealtune_("doctor", "--root", folder, "--json").json["kind"] == live.json["kind"]
    again = sealtune_("doctor", "--record", folder, "--json")
    assert (again.status, again.error["code"]) == (9, "file-exists")
    said = sealtune_("doctor", "--record", tmp_path / "again")
    assert said.out.splitlines()[0].startswith("✓ recorded this machine in")


@pytest.mark.parametrize("other", [("--root", "x"), ("--for", "tdx")], ids=["root", "for"])
def test_record_stands_alone(other: tuple[str, str], tmp_path: Path, sealtune_: Sealtune) -> None:
    said = sealtune_("doctor", "--record", tmp_path / "new", *other, "--json")
    assert (said.status, said.error["code"]) == (2, "usage")
    assert not (tmp_path / "new").exists()


def test_a_folder_that_is_no_record_is_refused(tmp_path: Path, sealtune_: Sealtune) -> None:
    assert sealtune_("doctor", "--root", tmp_path, "--json").error["code"] == "file-missing"
    (tmp_path / "machine.json").write_text("{}")
    refused = sealtune_("doctor", "--root", tmp_path, "--json")
    assert (refused.status, refused.error["code"]) == (4, "json-malformed")


def test_a_terminal_without_unicode_gets_letters(
    tmp_path: Path, capfdbinary: pytest.CaptureFixture[bytes], monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = machines.gpu_in_the_open(tmp_path).write()
    monkeypatch.setattr("sys.stdout", open(1, "w", encoding="ascii", closefd=False))  # noqa: SIM115
    assert run(["doctor", "--root", str(folder)]) == 0
    out = capfdbinary.readouterr().out
    assert b"+ ready" in out
    assert b"x impossible" in out


def test_json_of_every_machine_is_small_and_plain(tmp_path: Path, sealtune_: Sealtune) -> None:
    for name, build in MACHINES.items():
        said = sealtune_("doctor", "--root", build(tmp_path / name).write(), "--json")
        assert len(said.out) < 64 * 1024
        assert json.loads(said.out)["kind"]
