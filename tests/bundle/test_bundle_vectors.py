"""Every vector, by our reader and by one that shares no code with it (spec/bundle §12)."""

from __future__ import annotations

import hashlib
import json
import runpy
from pathlib import Path
from typing import Any

import pytest

from sealtune.bundle.reader import open_bundle_file
from sealtune.core.digest import Digest
from sealtune.crypto.hpke import RecipientKey
from sealtune.errors import SealtuneError

VECTORS = Path(__file__).resolve().parent.parent / "vectors" / "bundle"
ROWS = json.loads((VECTORS / "vectors.json").read_text())
PASSING = [row for row in ROWS if "code" not in row]
FAILING = [row for row in ROWS if "code" in row]
INDEPENDENT = runpy.run_path(str(Path(__file__).with_name("independent_reader.py")))


def recipient_bytes(row: dict[str, Any]) -> bytes:
    keys = json.loads((VECTORS / "keys.json").read_text())
    return bytes.fromhex(keys[row["recipient"]]["recipient"])


def read_ours(row: dict[str, Any]) -> dict[str, Any]:
    with open_bundle_file(VECTORS / f"{row['name']}.bundle") as bundle:
        if "expected_digest" in row:
            bundle.expect_digest(Digest(row["expected_digest"]))
        reader = bundle.unlock(bundle.unwrap(RecipientKey.from_bytes(recipient_bytes(row))))
        entries = {entry.name: bytes(data) for entry, data in reader.read_all()}
        return {
            "kind": bundle.kind.value,
            "digest": bundle.digest,
            "facts": reader.facts,
            "entries": entries,
        }


def read_theirs(row: dict[str, Any]) -> dict[str, Any]:
    data = (VECTORS / f"{row['name']}.bundle").read_bytes()
    expected = row.get("expected_digest")
    return INDEPENDENT["read_bundle"](data, recipient=recipient_bytes(row), expected=expected)


@pytest.mark.parametrize("read", [read_ours, read_theirs])
@pytest.mark.parametrize("row", PASSING, ids=lambda row: row["name"])
def test_opens(row: dict[str, Any], read: Any) -> None:
    content = read(row)
    hashes = {name: hashlib.sha256(data).hexdigest() for name, data in content["entries"].items()}
    expected = {name: row[name] for name in ("kind", "digest", "facts")}
    assert content | {"entries": hashes} == expected | {"entries": row["entries"]}


@pytest.mark.parametrize("row", FAILING, ids=lambda row: row["name"])
def test_is_refused_with_its_code(row: dict[str, Any]) -> None:
    with pytest.raises(SealtuneError) as caught:
        read_ours(row)
    assert caught.value.code.value == row["code"]


@pytest.mark.parametrize("row", FAILING, ids=lambda row: row["name"])
def test_is_refused_independently_by_its_section(row: dict[str, Any]) -> None:
    with pytest.raises(INDEPENDENT["Refused"]) as caught:
        read_theirs(row)
    assert caught.value.args == (row["section"],)


def test_the_list_is_complete_and_more_fail_than_pass() -> None:
    assert {path.stem for path in VECTORS.glob("*.bundle")} == {row["name"] for row in ROWS}
    assert len(FAILING) >= len(PASSING)


def test_the_specification_lists_the_vectors() -> None:
    specification = VECTORS.parents[2] / "docs" / "spec" / "bundle.md"
    text = specification.read_text()
    assert [row["name"] for row in ROWS if f"`{row['name']}`" not in text] == []
