"""A data owner and the operator together put other records under the agreed digest.

As with a model (`test_model_exchanged`), the owner can make other bytes that are authentic under
its key. Shards are read again in each epoch, so there is time enough to put them there.
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
from sealtune.worker.inputs import open_record_source

RECORD, POISON = b'{"text":"calm"}\n', b'{"text":"oops"}\n'


@pytest.fixture
def sealed(tmp_path: Path) -> tuple[Path, Path, ContentKey]:
    """The agreed bundle of two shards, the one with another second shard, and their key."""
    honest, poisoned, key = tmp_path / "honest", tmp_path / "poisoned", ContentKey.generate()
    with honest.open("wb") as file:
        writer = BundleWriter(file, kind=BundleKind.DATASET, owner=SigningKey.generate(), key=key)
        for number in range(2):
            writer.add_entry(f"shard-{number}", RECORD, media=Media.RECORDS, count=1)
        header = writer.finish(facts={}, recipients=[RecipientKey.generate().public])
    parts = BundleParts.read(honest)

    def stream(index: int, data: bytes) -> bytes:
        context = entry_context(bundle_id=header.bundle_id, kind=BundleKind.DATASET, index=index)
        return seal_bytes(key, data, context=context)

    parts.body = parts.body[: len(parts.body) // 2] + stream(1, POISON)
    parts.write(poisoned)
    return honest, poisoned, key


def test_put_there_before_the_worker_opens_it(sealed) -> None:
    _, poisoned, key = sealed
    with open_bundle_file(poisoned) as bundle, pytest.raises(VerificationError) as caught:
        open_record_source([bundle], {bundle.digest: key})
    assert caught.value.code is Code.BUNDLE_BODY_DIGEST


def test_written_into_the_file_between_two_epochs(sealed) -> None:
    """They are authentic and were read once as agreed; the second reading is compared with that."""
    honest, poisoned, key = sealed
    with open_bundle_file(honest) as bundle:
        source = open_record_source([bundle], {bundle.digest: key})
        assert [source.read(shard) for shard in range(2)] == [[{"text": "calm"}]] * 2
        with honest.open("r+b") as file:
            file.write(poisoned.read_bytes())
        assert bundle.unlock(key).read(bundle.unlock(key).entries[1]) == POISON
        assert source.read(0) == [{"text": "calm"}]
        with pytest.raises(VerificationError) as caught:
            source.read(1)
    assert caught.value.code is Code.BUNDLE_BODY_DIGEST
