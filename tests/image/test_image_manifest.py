"""`image.json`: what it says comes back, and nothing else is believed."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from image.folders import write_image
from sealtune.core.canonical import canonical_json
from sealtune.errors import Code, SealtuneError
from sealtune.image.manifest import MANIFEST_NAME, manifest_json, parse_manifest, read_image

Change = Callable[[dict[str, Any]], None]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    write_image(tmp_path / "image")
    return tmp_path / "image"


def _refused(folder: Path) -> Code:
    with pytest.raises(SealtuneError) as caught:
        read_image(folder)
    return caught.value.code


def test_what_was_written_is_read(folder: Path) -> None:
    image = read_image(folder)
    assert parse_manifest(manifest_json(image.manifest)) == image.manifest
    assert image.path(image.manifest.kernel) == folder / "vmlinuz"
    assert {file.name for file in image.manifest.files} == {
        "vmlinuz",
        "initrd",
        "root",
        "sbom.json",
    }


def test_the_digest_is_that_of_the_manifest(folder: Path) -> None:
    before = read_image(folder).digest
    other = dataclasses.replace(read_image(folder).manifest, created_epoch=2)
    (folder / MANIFEST_NAME).write_bytes(manifest_json(other))
    assert read_image(folder).digest != before


@pytest.mark.parametrize("name", ["vmlinuz", "initrd", "root", "sbom.json"])
def test_one_changed_byte_is_refused_by_name(folder: Path, name: str) -> None:
    path = folder / name
    path.write_bytes(bytes([path.read_bytes()[0] ^ 1]) + path.read_bytes()[1:])
    with pytest.raises(SealtuneError, match=name) as caught:
        read_image(folder)
    assert caught.value.code is Code.IMAGE_MISMATCH


def test_a_longer_file_is_refused(folder: Path) -> None:
    with (folder / "root").open("ab") as file:
        file.write(b"x")
    assert _refused(folder) is Code.IMAGE_MISMATCH


@pytest.mark.parametrize("name", ["vmlinuz", MANIFEST_NAME])
def test_a_missing_file_is_refused(folder: Path, name: str) -> None:
    (folder / name).unlink()
    assert _refused(folder) is Code.FILE_MISSING


def _set(*path: str, to: Any) -> Change:
    def change(value: dict[str, Any]) -> None:
        for name in path[:-1]:
            value = value[name]
        value[path[-1]] = to

    return change


def _remove(value: dict[str, Any]) -> None:
    del value["verity"]


def _two_inputs_and_a_half(value: dict[str, Any]) -> None:
    value["inputs"].append({"kind": "deb"})


MALFORMED: dict[str, Change] = {
    "another-format": _set("format", to="sealtune-image/2"),
    "another-tee": _set("tee", to="nitro"),
    "a-member-more": _set("more", to=1),
    "a-member-less": _remove,
    "a-file-more": _set("files", "more", to={}),
    "a-folder-up": _set("files", "kernel", "name", to="../vmlinuz"),
    "a-hidden-name": _set("files", "kernel", "name", to=".vmlinuz"),
    "one-name-twice": _set("files", "kernel", "name", to="root"),
    "the-manifest-itself": _set("files", "kernel", "name", to=MANIFEST_NAME),
    "no-hash": _set("files", "kernel", "sha256", to="AB" * 32),
    "a-negative-size": _set("files", "kernel", "bytes", to=-1),
    "a-true-size": _set("files", "kernel", "bytes", to=True),
    "a-huge-size": _set("files", "kernel", "bytes", to=2**40),
    "no-file": _set("files", "kernel", to=[]),
    "another-root-hash": _set("verity", "root_hash", to="ef" * 32),
    "another-offset": _set("verity", "hash_offset", to=8192),
    "a-long-command-line": _set("cmdline", to="x" * 2048),
    "a-command-line-of-lines": _set("cmdline", to="a\nb"),
    "a-command-line-of-numbers": _set("cmdline", to=1),
    "inputs-of-no-list": _set("inputs", to={}),
    "too-many-inputs": _set("inputs", to=[None] * 1025),
    "an-input-of-half": _two_inputs_and_a_half,
    "an-input-of-another-kind": _set(
        "inputs", to=[{"kind": "rpm", "name": "a", "version": "1", "sha256": "ef" * 32}]
    ),
    "tools-of-no-object": _set("tools", to=[]),
    "a-tool-of-no-name": _set("tools", to={"a b": "1"}),
    "a-tool-of-no-version": _set("tools", to={"a": ""}),
    "code-of-no-number": _set("enclave_code", "lines", to="1"),
}


@pytest.mark.parametrize("change", MALFORMED.values(), ids=MALFORMED.keys())
def test_another_manifest_is_refused(folder: Path, change: Change) -> None:
    value = json.loads((folder / MANIFEST_NAME).read_bytes())
    change(value)
    (folder / MANIFEST_NAME).write_bytes(canonical_json(value))
    assert _refused(folder) is Code.IMAGE_MALFORMED


def test_the_root_hash_stands_once_in_the_command_line(folder: Path) -> None:
    value = json.loads((folder / MANIFEST_NAME).read_bytes())
    value["cmdline"] += f" verity.roothash={value['verity']['root_hash']}"
    (folder / MANIFEST_NAME).write_bytes(canonical_json(value))
    assert _refused(folder) is Code.IMAGE_MALFORMED


def test_another_form_of_the_same_content_is_refused(folder: Path) -> None:
    value = json.loads((folder / MANIFEST_NAME).read_bytes())
    (folder / MANIFEST_NAME).write_text(json.dumps(value, indent=1))
    assert _refused(folder) is Code.IMAGE_MALFORMED


@pytest.mark.parametrize("data", [b"", b"[]", b"{", b"null"])
def test_what_is_no_object_is_refused(data: bytes) -> None:
    with pytest.raises(SealtuneError) as caught:
        parse_manifest(data)
    assert caught.value.code in (Code.IMAGE_MALFORMED, Code.JSON_MALFORMED)
