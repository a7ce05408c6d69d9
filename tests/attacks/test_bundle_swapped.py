"""Swapped bundle.

Story: the operator replaces the hospital's dataset by one of its own making, sealed with a key of
its own and with a slot for the broker (whose public key is public), so that training runs on data
that the contract does not name. Everything about the file is in order but its digest.
"""

from __future__ import annotations

from pathlib import Path

import pytest

from sealtune.bundle.reader import open_bundle_file, open_expected_bundle
from sealtune.bundle.seal import seal_data
from sealtune.crypto.identity import Identity
from sealtune.errors import Code, VerificationError

HOSPITAL, OPERATOR, BROKER = (Identity.generate(n) for n in ("hospital", "operator", "broker"))


def seal(folder: Path, name: str, *, owner: Identity, text: str) -> Path:
    source = folder / f"{name}.jsonl"
    source.write_text(f'{{"text":"{text}"}}\n')
    output = folder / f"{name}.bundle"
    seal_data(source, output, owner=owner, recipients=[BROKER.public], task=None)
    return output


def test_another_bundle_in_its_place_is_refused(tmp_path: Path) -> None:
    genuine = seal(tmp_path, "genuine", owner=HOSPITAL, text="a")
    with open_bundle_file(genuine) as bundle:
        named_in_contract = bundle.digest
    seal(tmp_path, "fake", owner=OPERATOR, text="b").replace(genuine)
    with pytest.raises(VerificationError) as caught:
        open_expected_bundle(genuine, digest=named_in_contract)
    assert caught.value.code is Code.BUNDLE_DIGEST


def test_a_bundle_of_another_owner_is_refused(tmp_path: Path) -> None:
    fake = seal(tmp_path, "fake", owner=OPERATOR, text="b")
    with open_bundle_file(fake) as bundle, pytest.raises(VerificationError) as caught:
        bundle.expect_owner(HOSPITAL.signing.public)
    assert caught.value.code is Code.BUNDLE_OWNER


def test_an_older_bundle_of_the_same_owner_put_back_is_refused(tmp_path: Path) -> None:
    """Rolled back: the owner withdrew records and sealed again; the operator kept the old file."""
    older = seal(tmp_path, "older", owner=HOSPITAL, text="with consent withdrawn")
    newer = seal(tmp_path, "newer", owner=HOSPITAL, text="without")
    with open_bundle_file(newer) as bundle:
        named_in_contract = bundle.digest
    older.replace(newer)
    with pytest.raises(VerificationError) as caught:
        open_expected_bundle(newer, digest=named_in_contract)
    assert caught.value.code is Code.BUNDLE_DIGEST
