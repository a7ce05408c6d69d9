"""`sealtune run --tee vm` refuses an image that is not the one its image.json names."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from cli.said import Said, Sealtune
from image.folders import write_image
from sealtune.image.manifest import MANIFEST_NAME


@pytest.fixture
def image(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    # No program at all: whoever gets as far as starting a machine fails otherwise.
    monkeypatch.setenv("PATH", str(tmp_path))
    write_image(tmp_path / "image")
    (tmp_path / "contract.json").write_text("{}")
    return tmp_path / "image"


def run(sealtune_: Sealtune, image: Path) -> Said:
    output = image.parent / "run"
    said = sealtune_(
        "run",
        image.parent / "contract.json",
        "--tee",
        "vm",
        "--image",
        image,
        "-o",
        output,
        "--json",
    )
    assert not output.exists()
    return said


@pytest.mark.parametrize("name", ["vmlinuz", "initrd", "root", "sbom.json"])
def test_one_changed_byte_of_any_file(name: str, image: Path, sealtune_: Sealtune) -> None:
    content = bytearray((image / name).read_bytes())
    content[-1] ^= 1
    (image / name).write_bytes(content)
    said = run(sealtune_, image)
    assert (said.status, said.error["code"]) == (5, "image-mismatch")
    assert name in said.error["message"]


def test_a_missing_file(image: Path, sealtune_: Sealtune) -> None:
    (image / "root").unlink()
    assert run(sealtune_, image).error["code"] == "file-missing"


def test_a_command_line_that_names_another_root(image: Path, sealtune_: Sealtune) -> None:
    value = json.loads((image / MANIFEST_NAME).read_bytes())
    value["cmdline"] = value["cmdline"].replace("verity.roothash=ab", "verity.roothash=ba")
    canonical = json.dumps(value, sort_keys=True, separators=(",", ":"))
    (image / MANIFEST_NAME).write_text(canonical)
    assert run(sealtune_, image).error["code"] == "image-malformed"


def test_the_unchanged_image_is_not_what_stops_it(image: Path, sealtune_: Sealtune) -> None:
    assert run(sealtune_, image).error["code"] == "contract-malformed"
