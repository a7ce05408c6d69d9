"""Poisoned header and manifest.

Story: the header is what everybody parses first, so the operator aims there: it relabels a result
as a dataset, moves lengths, nests JSON to exhaust the parser, announces gigabytes, or signs the
whole as its own. An owner whom the recipient does not trust signs a manifest whose file names climb
out of the folder.
"""

from __future__ import annotations

import json
import struct
import tracemalloc
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from sealtune.bundle.format import HEADER_TYPE, slots_payload
from sealtune.bundle.open import open_to_folder
from sealtune.bundle.reader import open_bundle_file
from sealtune.bundle.registration import verify_blocks
from sealtune.core.canonical import canonical_json
from sealtune.core.digest import sha256_digest
from sealtune.crypto.dsse import Envelope, parse_envelope, sign_envelope
from sealtune.crypto.identity import Identity
from sealtune.crypto.secret import ContentKey
from sealtune.errors import Code, SealtuneError
from sealtune.testing.bundle_parts import BundleParts, HostileOwner

OWNER, OPERATOR, RECIPIENT = (Identity.generate(n) for n in ("owner", "operator", "recipient"))
FACTORY = HostileOwner(
    signing=OWNER.signing, key=ContentKey.generate(), recipients=(RECIPIENT.public.recipient,)
)
ROW = {"length": 1, "media": "file", "name": "a"}


def genuine() -> BundleParts:
    return FACTORY.bundle([b"a"], {"entries": [ROW], "facts": {}})


def refusal(parts: BundleParts, folder: Path) -> Code:
    path = parts.write(folder / "attacked.bundle")
    with pytest.raises(SealtuneError) as caught:
        open_to_folder(path, folder / "out", recipient=RECIPIENT)
    assert not (folder / "out").exists()
    return caught.value.code


@pytest.mark.parametrize(
    "change",
    [
        {"kind": "dataset"},
        {"body_length": 0},
        {"manifest_length": 1},
        {"body_digest": "blake3:" + "0" * 64},
        {"manifest_digest": "sha256:" + "0" * 64},
        {"bundle_id": "0" * 32},
        {"owner": OPERATOR.signing.public.text},
    ],
)
def test_a_field_changed_without_the_owners_signature(
    change: dict[str, Any], tmp_path: Path
) -> None:
    parts = genuine()
    envelope = parse_envelope(parts.header_block)
    payload = canonical_json(parts.header | change)
    changed = Envelope(envelope.payload_type, payload, envelope.signatures)
    parts.header_block = changed.to_json()
    assert refusal(parts, tmp_path) in (Code.SIGNATURE_INVALID, Code.SIGNATURE_MISSING)


def test_a_bundle_adopted_by_somebody_who_lacks_its_key(tmp_path: Path) -> None:
    """The operator signs header and slots anew as its own, keeping the wrapped keys."""
    parts = genuine()
    slots = verify_blocks(parts.header_block, parts.slots_block).slots
    payload = canonical_json(parts.header | {"owner": OPERATOR.signing.public.text})
    parts.sign_header(payload, owner=OPERATOR.signing)
    parts.sign_slots(slots_payload(sha256_digest(payload), slots), owner=OPERATOR.signing)
    assert refusal(parts, tmp_path) is Code.HPKE_OPEN_FAILED


def test_deeply_nested_json(tmp_path: Path) -> None:
    parts = genuine()
    deep = b'{"a":' * 5000 + b"1" + b"}" * 5000
    parts.header_block = sign_envelope(
        deep, payload_type=HEADER_TYPE, keys=[OWNER.signing]
    ).to_json()
    assert refusal(parts, tmp_path) is Code.JSON_MALFORMED
    parts.header_block = deep
    assert refusal(parts, tmp_path) is Code.JSON_MALFORMED


@pytest.mark.parametrize("change", [{"body_length": 2**53 - 1}, {"manifest_length": 64 * 2**20}])
def test_gigabytes_announced_cost_nothing(change: dict[str, Any], tmp_path: Path) -> None:
    parts = FACTORY.bundle([b"a"], {"entries": [ROW], "facts": {}}, header_changes=change)
    tracemalloc.start()
    try:
        assert refusal(parts, tmp_path) is Code.BUNDLE_TRUNCATED
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert peak < 2**20


def test_blocks_announced_larger_than_allowed(tmp_path: Path) -> None:
    path = tmp_path / "attacked.bundle"
    path.write_bytes(genuine().to_bytes()[:-16] + struct.pack(">II8s", 2**32 - 1, 1, b"1NUTLAES"))
    with pytest.raises(SealtuneError) as caught:
        open_bundle_file(path)
    assert caught.value.code is Code.LIMIT_EXCEEDED


@pytest.mark.parametrize(
    "name", ["../../.ssh/authorized_keys", "/etc/cron.d/x", "a/b", ".bashrc", "a\0.txt", ".."]
)
def test_a_file_name_that_climbs_out(name: str, tmp_path: Path) -> None:
    parts = FACTORY.bundle([b"a"], {"entries": [ROW | {"name": name}], "facts": {}})
    assert refusal(parts, tmp_path) is Code.ENTRY_NAME_UNSAFE


@pytest.mark.parametrize(
    ("rows", "code"),
    [
        ([ROW | {"length": 2**53 - 1}], Code.MANIFEST_MALFORMED),
        ([ROW, ROW], Code.MANIFEST_MALFORMED),
        ([ROW | {"offset": 0}], Code.MANIFEST_MALFORMED),
        ([], Code.MANIFEST_MALFORMED),
    ],
)
def test_a_manifest_that_lies(rows: list[Any], code: Code, tmp_path: Path) -> None:
    parts = FACTORY.bundle([b"a"], {"entries": rows, "facts": {}})
    assert refusal(parts, tmp_path) is code


@pytest.mark.parametrize(
    "respell",
    [
        lambda block: block + b" ",
        lambda block: block.replace(b'"payload"', b'"\\u0070ayload"'),
        lambda block: json.dumps(json.loads(block)).encode(),
    ],
)
def test_a_block_in_another_spelling(respell: Callable[[bytes], bytes], tmp_path: Path) -> None:
    """Two files for one digest would let two parties see the same name for other bytes."""
    for block in ("header_block", "slots_block"):
        parts = genuine()
        setattr(parts, block, respell(getattr(parts, block)))
        assert refusal(parts, tmp_path) is Code.BUNDLE_MALFORMED
