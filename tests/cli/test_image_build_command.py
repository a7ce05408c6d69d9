"""`sealtune image build`, `show`, `verify` and `lock`, as far as they need no tool."""

from __future__ import annotations

from pathlib import Path

import pytest

from cli.said import Sealtune
from image.folders import write_image
from sealtune.cli.image_plan import BuildProgress, build_plan, installed_sources
from sealtune.image.build import VM_PHASES
from sealtune.image.inputs import default_cache, own_file
from sealtune.image.manifest import read_image
from sealtune.tee.measure import enclave_modules


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    write_image(tmp_path / "image")
    return tmp_path / "image"


def test_an_image_is_shown(folder: Path, sealtune_: Sealtune) -> None:
    found = sealtune_("image", "show", folder, "--json").json
    assert found["image"] == f"sha256:{read_image(folder).digest}"
    assert found["input_counts"] == {"deb": 1}
    assert "inputs" not in found
    text = sealtune_("image", "show", folder).out
    assert found["image"] in text
    assert found["cmdline"] in text


def test_inputs_are_listed_where_that_is_asked_for(folder: Path, sealtune_: Sealtune) -> None:
    found = sealtune_("image", "show", folder, "--inputs", "--json").json
    assert found["inputs"][0]["sha256"] == "ef" * 32
    assert "ef" * 32 in sealtune_("image", "show", folder, "--inputs").out


def test_a_changed_image_is_not_shown(folder: Path, sealtune_: Sealtune) -> None:
    (folder / "initrd").write_bytes(b"another")
    said = sealtune_("image", "show", folder, "--json")
    assert said.status == 5
    assert said.error["code"] == "image-mismatch"


@pytest.mark.parametrize("command", ["show", "verify"])
def test_no_image_is_said(tmp_path: Path, sealtune_: Sealtune, command: str) -> None:
    said = sealtune_("image", command, tmp_path, "--json")
    assert said.error["code"] == "file-missing"


def test_nothing_is_built_over_an_image(folder: Path, sealtune_: Sealtune) -> None:
    said = sealtune_("image", "build", "-o", folder, "--json")
    assert said.error["code"] == "file-exists"
    assert read_image(folder)


def test_pinning_without_apt_names_the_package(
    tmp_path: Path, sealtune_: Sealtune, monkeypatch: pytest.MonkeyPatch
) -> None:
    if not Path("/usr/share/keyrings/debian-archive-keyring.gpg").is_file():
        pytest.skip("debian-archive-keyring is missing, and is asked for first")
    monkeypatch.setenv("PATH", str(tmp_path))
    said = sealtune_("image", "lock", "-o", tmp_path / "lock", "--json")
    assert said.error["code"] == "tool-missing"
    assert not (tmp_path / "lock").exists()


def test_options_change_the_plan_and_nothing_that_is_built(tmp_path: Path) -> None:
    plain = build_plan(cache=None, work=None, jobs=None, mirror=None, security_mirror=None)
    told = build_plan(
        cache=tmp_path, work=tmp_path, jobs=3, mirror="http://m", security_mirror="http://s"
    )
    assert plain.cache == default_cache()
    assert plain.jobs >= 1
    assert (told.cache, told.work, told.jobs) == (tmp_path, tmp_path, 3)
    assert plain.sources == told.sources == installed_sources()


def test_the_guests_first_process_is_counted_as_code() -> None:
    found, modules = installed_sources(), enclave_modules()
    assert len(found.files) == len(modules)
    assert found.code.modules == len(modules) + 1
    lines = found.code.lines - sum(module.lines for module in modules)
    assert 0 < lines <= len(own_file("guest_init.py").splitlines())


def test_nothing_is_drawn_where_nobody_looks(capsys: pytest.CaptureFixture[str]) -> None:
    with BuildProgress() as progress:
        for phase in VM_PHASES:
            progress(phase)
    assert capsys.readouterr() == ("", "")
