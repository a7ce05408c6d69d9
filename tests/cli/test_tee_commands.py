"""`sealtune tee simulate` and `sealtune measure`."""

from __future__ import annotations

import stat
from pathlib import Path

from cli.said import Sealtune
from sealtune.core.digest import sha256_file
from tee.fakes_swtpm import require_tools


def test_simulate_is_insecure_and_says_so(tmp_path: Path, sealtune_: Sealtune) -> None:
    folder = tmp_path / "tee"
    made = sealtune_("tee", "simulate", "--dir", folder, "--json").json
    assert made["insecure"] is True
    assert made["simulated_root"] == sha256_file(folder / "ark.der")
    assert made["measurement"] == sealtune_("measure", "--json").json["measurement"]
    for key in folder.glob("*.key.der"):
        assert stat.S_IMODE(key.stat().st_mode) == 0o600
    again = sealtune_("tee", "simulate", "--dir", folder, "--json")
    assert (again.status, again.error["code"]) == (9, "file-exists")


def test_measure_lists_what_it_covers(sealtune_: Sealtune) -> None:
    measured = sealtune_("measure", "--modules", "--json").json
    assert measured["insecure"] is True
    assert len(bytes.fromhex(measured["measurement"])) == 48
    assert sum(measured["module_lines"].values()) == measured["lines"]
    assert "sealtune.worker.job" in measured["module_lines"]
    lines = sealtune_("measure", "--modules").out
    assert "INSECURE" in lines.splitlines()[0]
    assert "sealtune.worker.job" in lines


def test_a_software_tpm_is_made_once_and_its_key_is_named(
    tmp_path: Path, sealtune_: Sealtune
) -> None:
    require_tools("swtpm", "swtpm_setup", "swtpm_localca")
    folder = tmp_path / "tpm"
    made = sealtune_("tee", "tpm", "--dir", folder, "--json").json
    assert made["memory_protected"] is False
    assert len(bytes.fromhex(made["ak_digest"])) == 32
    again = sealtune_("tee", "tpm", "--dir", folder)
    assert "INSECURE" in again.out.splitlines()[0]
    assert f'ak_digests = ["{made["ak_digest"]}"]' in again.out
    other = sealtune_("tee", "tpm", "--dir", tmp_path / "other", "--json").json
    assert other["ak_digest"] != made["ak_digest"]
