"""Entries moved, exchanged, repeated.

Story: the operator cannot decrypt a hospital's shards but knows their borders from the sizes. It
puts shard 1 in the place of shard 0, repeats one to weigh it double, or takes one from another
bundle of the same hospital: even one under the same ContentKey (the strongest case) must not open.
"""

from __future__ import annotations

import io
from pathlib import Path

import pytest

from sealtune.bundle.format import BundleKind
from sealtune.bundle.manifest import Media
from sealtune.bundle.reader import open_bundle_file
from sealtune.bundle.writer import BundleWriter
from sealtune.crypto.identity import Identity
from sealtune.crypto.secret import ContentKey
from sealtune.errors import Code, VerificationError
from sealtune.testing.bundle_parts import BundleParts

HOSPITAL, BROKER = Identity.generate("hospital"), Identity.generate("broker")
KEY = ContentKey.generate()
SHARDS = (b'{"text":"a"}\n', b'{"text":"b"}\n')


def parts(path: Path, *, kind: BundleKind = BundleKind.DATASET) -> BundleParts:
    file = io.BytesIO()
    writer = BundleWriter(file, kind=kind, owner=HOSPITAL.signing, key=KEY)
    for index, shard in enumerate(SHARDS):
        writer.add_entry(f"shard-{index}", shard, media=Media.RECORDS, count=1)
    writer.finish(facts={}, recipients=[BROKER.public.recipient])
    path.write_bytes(file.getvalue())
    return BundleParts.read(path)


def refused_before_use(path: Path, name: str) -> Code:
    with open_bundle_file(path) as bundle:
        reader = bundle.unlock(bundle.unwrap(BROKER.recipient))
        room = bytearray(b"?" * len(SHARDS[0]))
        with pytest.raises(VerificationError) as caught:
            reader.read_into(reader.find(name), memoryview(room))
        assert room == bytes(len(room))
        return caught.value.code


@pytest.mark.parametrize(("order", "name"), [((1, 0), "shard-0"), ((0, 0), "shard-1")])
def test_shards_exchanged_or_repeated(order: tuple[int, ...], name: str, tmp_path: Path) -> None:
    attacked = parts(tmp_path / "d.bundle")
    streams = attacked.streams([len(shard) for shard in SHARDS])
    attacked.body = b"".join(streams[index] for index in order)
    assert refused_before_use(attacked.write(tmp_path / "d.bundle"), name) is Code.STREAM_FORGED


@pytest.mark.parametrize("kind", [BundleKind.DATASET, BundleKind.RESULT])
def test_a_shard_of_another_bundle_under_the_same_key(kind: BundleKind, tmp_path: Path) -> None:
    attacked = parts(tmp_path / "d.bundle")
    donor = parts(tmp_path / "donor.bundle", kind=kind)
    lengths = [len(shard) for shard in SHARDS]
    attacked.body = donor.streams(lengths)[0] + attacked.streams(lengths)[1]
    path = attacked.write(tmp_path / "d.bundle")
    assert refused_before_use(path, "shard-0") is Code.STREAM_FORGED
