"""The worker opens the agreed inputs and no others, and believes no manifest without looking."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from sealtune.bundle.format import MAGIC, BundleKind
from sealtune.bundle.manifest import Media
from sealtune.bundle.reader import open_bundle_file
from sealtune.bundle.writer import BundleWriter
from sealtune.core.digest import sha256_digest
from sealtune.core.limits import RECORD_BYTES_MAX, SHARD_BYTES
from sealtune.crypto.hpke import RecipientKey
from sealtune.crypto.secret import ContentKey
from sealtune.crypto.signing import SigningKey
from sealtune.errors import Code, SealtuneError
from sealtune.worker.inputs import find_inputs, open_model, open_record_source

OWNER, KEY = SigningKey.generate(), ContentKey.generate()
RECIPIENT = RecipientKey.generate().public


def sealed(path: Path, *, kind: BundleKind, entries: list[tuple[str, bytes, Media, int]]) -> Path:
    with path.open("wb") as file:
        writer = BundleWriter(file, kind=kind, owner=OWNER, key=KEY)
        for name, data, media, count in entries:
            writer.add_entry(name, data, media=media, count=count)
        writer.finish(facts={}, recipients=[RECIPIENT])
    return path


def dataset(path: Path, text: bytes, *, count: int) -> Path:
    return sealed(path, kind=BundleKind.DATASET, entries=[("shard", text, Media.RECORDS, count)])


def contract(path: Path, **changes: Any) -> Any:
    with open_bundle_file(path) as bundle:
        values = {"name": "notes", "bundle": bundle.digest, "kind": BundleKind.DATASET}
    item = SimpleNamespace(**values | {"owner": "hospital"} | changes)
    owner = SimpleNamespace(signing=OWNER.public)
    stranger = SimpleNamespace(signing=SigningKey.generate().public)
    parties = {"hospital": owner, "stranger": stranger}
    return SimpleNamespace(contract=SimpleNamespace(inputs=[item], parties=parties))


def test_the_agreed_bundle_is_found(tmp_path: Path) -> None:
    path = dataset(tmp_path / "b", b'{"text":"a"}\n{"text":"b"}\n', count=2)
    found = find_inputs(contract(path), {"notes": path})["notes"]
    assert open_record_source([found], {found.digest: KEY}).read(0) == [
        {"text": "a"},
        {"text": "b"},
    ]


@pytest.mark.parametrize(
    ("changes", "code"),
    [
        ({"bundle": sha256_digest(b"another")}, Code.BUNDLE_DIGEST),
        ({"owner": "stranger"}, Code.BUNDLE_OWNER),
        ({"kind": BundleKind.MODEL}, Code.BUNDLE_KIND),
    ],
)
def test_any_other_is_refused(tmp_path: Path, changes: dict[str, Any], code: Code) -> None:
    path = dataset(tmp_path / "b", b"{}\n", count=1)
    with pytest.raises(SealtuneError) as caught:
        find_inputs(contract(path, **changes), {"notes": path})
    assert caught.value.code is code


@pytest.mark.parametrize(
    ("text", "count", "code"),
    [
        (b'{"text":"a"}\n', 2, Code.RECORD_MALFORMED),
        (b"[1]\n", 1, Code.RECORD_MALFORMED),
        (b'{"text":\n', 1, Code.JSON_MALFORMED),
        (b'{"a":1,"a":2}\n', 1, Code.JSON_MALFORMED),
    ],
)
def test_records_that_are_none(tmp_path: Path, text: bytes, count: int, code: Code) -> None:
    """A hostile owner seals what `sealtune seal` would not."""
    path = dataset(tmp_path / "b", text, count=count)
    with open_bundle_file(path) as bundle, pytest.raises(SealtuneError) as caught:
        open_record_source([bundle], {bundle.digest: KEY}).read(0)
    assert caught.value.code is code


def test_a_dataset_without_records(tmp_path: Path) -> None:
    entries = [("notes.txt", b"x", Media.FILE, 0)]
    path = sealed(tmp_path / "b", kind=BundleKind.DATASET, entries=entries)
    with open_bundle_file(path) as bundle, pytest.raises(SealtuneError) as caught:
        open_record_source([bundle], {bundle.digest: KEY})
    assert caught.value.code is Code.RECORDS_EMPTY


def test_a_model_without_configuration(tmp_path: Path) -> None:
    entries = [("vocab.txt", b"x", Media.FILE, 0)]
    path = sealed(tmp_path / "b", kind=BundleKind.MODEL, entries=entries)
    with open_bundle_file(path) as bundle, pytest.raises(SealtuneError) as caught:
        open_model(bundle, {bundle.digest: KEY})
    assert caught.value.code is Code.MODEL_MALFORMED


LINES = b'{"text":"a"}\n{"text":"b"}\n'


def shards(path: Path, *entries: tuple[bytes, int]) -> Path:
    named = [(f"shard-{i}", text, Media.RECORDS, n) for i, (text, n) in enumerate(entries)]
    return sealed(path, kind=BundleKind.DATASET, entries=named)


def test_records_shard_by_shard(tmp_path: Path) -> None:
    """Datasets follow each other; each shard is read when it is wanted, as often as it is."""
    first = shards(tmp_path / "1", (LINES, 2), (b"{}\n", 1))
    with (
        open_bundle_file(first) as one,
        open_bundle_file(shards(tmp_path / "2", (LINES, 2))) as two,
    ):
        source = open_record_source([one, two], {one.digest: KEY, two.digest: KEY})
        assert source.shards == (2, 1, 2)
        assert source.read(1) == [{}]
        assert source.read(2) == source.read(0) == [{"text": "a"}, {"text": "b"}]


def test_a_shard_damaged_while_the_run_goes_on(tmp_path: Path) -> None:
    path = shards(tmp_path / "agreed", (LINES, 2), (b'{"text":"c"}\n', 1))
    with open_bundle_file(path) as bundle:
        source = open_record_source([bundle], {bundle.digest: KEY})
        source.read(0)
        data = bytearray(path.read_bytes())
        data[len(MAGIC) + 40] ^= 1
        path.write_bytes(data)
        with pytest.raises(SealtuneError) as caught:
            source.read(0)
        assert caught.value.code is Code.STREAM_FORGED
        assert source.read(1) == [{"text": "c"}]


@pytest.mark.parametrize("change", ["flipped", "cut"])
def test_a_dataset_that_is_not_the_agreed_one_is_refused_before_any_record(
    change: str, tmp_path: Path
) -> None:
    path = shards(tmp_path / "b", (LINES, 2), (LINES, 2))
    with open_bundle_file(path) as bundle:
        data = bytearray(path.read_bytes())
        data[len(MAGIC) + 40] ^= 1
        path.write_bytes(data if change == "flipped" else data[: len(MAGIC) + 20])
        with pytest.raises(SealtuneError):
            open_record_source([bundle], {bundle.digest: KEY})


@pytest.mark.parametrize(
    ("text", "count", "code"),
    [
        (b"{}\n{}\n", 3, Code.RECORD_MALFORMED),
        (b"", 2**52, Code.RECORD_MALFORMED),
        (b"x" * (SHARD_BYTES + RECORD_BYTES_MAX + 1), 1, Code.LIMIT_EXCEEDED),
    ],
)
def test_a_manifest_that_cannot_be_true(
    text: bytes, count: int, code: Code, tmp_path: Path
) -> None:
    """Nothing is sized by a count that the shard has no room for."""
    with open_bundle_file(shards(tmp_path / "b", (text, count))) as bundle:
        with pytest.raises(SealtuneError) as caught:
            open_record_source([bundle], {bundle.digest: KEY})
        assert caught.value.code is code


def test_a_shard_with_fewer_records_than_its_manifest_says(tmp_path: Path) -> None:
    with open_bundle_file(shards(tmp_path / "b", (LINES, 3))) as bundle:
        source = open_record_source([bundle], {bundle.digest: KEY})
        with pytest.raises(SealtuneError) as caught:
            source.read(0)
        assert caught.value.code is Code.RECORD_MALFORMED


def test_no_dataset_may_be_without_records(tmp_path: Path) -> None:
    full, empty = shards(tmp_path / "1", (LINES, 2)), shards(tmp_path / "2", (b"", 0))
    with open_bundle_file(full) as one, open_bundle_file(empty) as two:
        with pytest.raises(SealtuneError) as caught:
            open_record_source([one, two], {one.digest: KEY, two.digest: KEY})
        assert caught.value.code is Code.RECORDS_EMPTY
