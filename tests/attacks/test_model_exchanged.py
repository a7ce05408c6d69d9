"""A model owner and the operator together put other weights under the agreed digest.

The owner has the ContentKey, so it can make other bytes that are authentic for the same header and
manifest; the operator chooses when to put them in the file's place. All parties signed the digest
of the first ones.
"""

from __future__ import annotations

from pathlib import Path

import pytest

from sealtune.bundle.format import BundleKind, entry_context
from sealtune.bundle.manifest import Media
from sealtune.bundle.reader import open_bundle_file
from sealtune.bundle.writer import BundleWriter
from sealtune.crypto.hpke import RecipientKey
from sealtune.crypto.secret import ContentKey
from sealtune.crypto.signing import SigningKey
from sealtune.crypto.stream import seal_bytes
from sealtune.errors import Code, VerificationError
from sealtune.testing.bundle_parts import BundleParts
from sealtune.worker.inputs import open_model

WEIGHTS, POISON = b"\1" * 40_000, b"\2" * 40_000


@pytest.fixture
def sealed(tmp_path: Path) -> tuple[Path, Path, ContentKey]:
    """The agreed bundle, the other one under the same signatures, and their key."""
    honest, poisoned, key = tmp_path / "honest", tmp_path / "poisoned", ContentKey.generate()
    with honest.open("wb") as file:
        writer = BundleWriter(file, kind=BundleKind.MODEL, owner=SigningKey.generate(), key=key)
        writer.add_entry("config.json", b"{}", media=Media.FILE)
        writer.add_entry("w", WEIGHTS, media=Media.TENSOR, dtype="U8", shape=[len(WEIGHTS)])
        header = writer.finish(facts={}, recipients=[RecipientKey.generate().public])
    parts = BundleParts.read(honest)

    def stream(index: int, data: bytes) -> bytes:
        context = entry_context(bundle_id=header.bundle_id, kind=BundleKind.MODEL, index=index)
        return seal_bytes(key, data, context=context)

    parts.body = stream(0, b"{}") + stream(1, POISON)
    parts.write(poisoned)
    return honest, poisoned, key


def test_the_other_bytes_are_authentic_under_the_key(sealed) -> None:
    """What makes the attack possible: only the body's digest tells the two apart."""
    honest, poisoned, key = sealed
    with open_bundle_file(honest) as one, open_bundle_file(poisoned) as other:
        assert one.digest == other.digest
        reader = other.unlock(key)
        assert reader.read(reader.find("w")) == POISON


def test_put_there_before_the_worker_opens_it(sealed) -> None:
    """The worker checks the whole body by the digest before it reads a tensor."""
    _, poisoned, key = sealed
    with open_bundle_file(poisoned) as bundle, pytest.raises(VerificationError) as caught:
        open_model(bundle, {bundle.digest: key})
    assert caught.value.code is Code.BUNDLE_BODY_DIGEST


def test_another_file_renamed_over_it_while_the_worker_attests(sealed) -> None:
    """The check must be of the file that is read, not of whatever lies at its path by then."""
    honest, poisoned, key = sealed
    with open_bundle_file(poisoned) as bundle:
        honest.rename(poisoned)
        with pytest.raises(VerificationError) as caught:
            open_model(bundle, {bundle.digest: key})
    assert caught.value.code is Code.BUNDLE_BODY_DIGEST


def test_written_into_the_file_after_the_check(sealed) -> None:
    """Between the check and the reading of a tensor the operator writes into the open file."""
    honest, poisoned, key = sealed
    with open_bundle_file(honest) as bundle:
        weights = open_model(bundle, {bundle.digest: key})
        with honest.open("r+b") as file:
            file.write(poisoned.read_bytes())
        destination = bytearray(b"x" * len(WEIGHTS))
        with pytest.raises(VerificationError) as caught:
            weights.read_into("w", memoryview(destination))
    assert caught.value.code is Code.BUNDLE_BODY_DIGEST
    assert destination == bytes(len(WEIGHTS))


def test_written_into_the_file_before_it_is_read_by_piece(sealed) -> None:
    """The same where a tensor has no room in memory: nobody sees its last piece."""
    honest, poisoned, key = sealed
    with open_bundle_file(honest) as bundle:
        weights = open_model(bundle, {bundle.digest: key})
        with honest.open("r+b") as file:
            file.write(poisoned.read_bytes())
        room, seen = memoryview(bytearray(40_000)), bytearray()
        with pytest.raises(VerificationError) as caught:
            for piece in weights.read_pieces("w", room, multiple=4):
                seen += piece
    assert caught.value.code is Code.BUNDLE_BODY_DIGEST
    assert len(seen) < len(WEIGHTS)
    assert room == bytes(len(room))
