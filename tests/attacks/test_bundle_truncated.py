"""Truncation.

Story: the operator serves the front of a bundle only, so that training sees the first shards and
takes them for all: cut anywhere, at entry borders and with the tail moved up, it must not open.
"""

from __future__ import annotations

from pathlib import Path

import pytest

from sealtune.bundle.reader import open_bundle_file, verify_body
from sealtune.bundle.seal import seal_data
from sealtune.crypto.identity import Identity
from sealtune.errors import Code, FormatError, SealtuneError
from sealtune.testing.bundle_parts import BundleParts

HOSPITAL = Identity.generate("hospital")


@pytest.fixture
def sealed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A dataset of ten shards."""
    monkeypatch.setattr("sealtune.bundle.seal.SHARD_BYTES", 50)
    source = tmp_path / "d.jsonl"
    source.write_text("".join(f'{{"text":"{"x" * 40}{i}"}}\n' for i in range(10)))
    output = tmp_path / "d.bundle"
    seal_data(source, output, owner=HOSPITAL, recipients=[], task=None)
    return output


def test_the_end_is_missing(sealed: Path) -> None:
    whole = sealed.read_bytes()
    for length in [*range(0, len(whole), 97), len(whole) - 1]:
        sealed.write_bytes(whole[:length])
        with pytest.raises(SealtuneError):
            open_bundle_file(sealed)


def test_the_last_shard_is_cut_out_and_the_tail_moved_up(sealed: Path) -> None:
    parts = BundleParts.read(sealed)
    lengths = [len(parts.body) // 10 - 72] * 10
    assert b"".join(parts.streams(lengths)) == parts.body
    parts.body = b"".join(parts.streams(lengths)[:-1])
    with pytest.raises(FormatError) as caught:
        open_bundle_file(parts.write(sealed))
    assert caught.value.code is Code.BUNDLE_TRUNCATED


def test_the_last_shard_is_cut_out_and_the_room_filled(sealed: Path) -> None:
    """The length fits, so the file opens; the shard does not, nor does the body's digest."""
    parts = BundleParts.read(sealed)
    missing = len(parts.body) // 10
    parts.body = parts.body[:-missing] + bytes(missing)
    parts.write(sealed)
    with open_bundle_file(sealed) as bundle:
        reader = bundle.unlock(bundle.unwrap(HOSPITAL.recipient))
        with pytest.raises(SealtuneError) as caught:
            reader.read(reader.entries[-1])
        assert caught.value.code is Code.STREAM_FORGED
    with pytest.raises(SealtuneError) as caught:
        verify_body(sealed)
    assert caught.value.code is Code.BUNDLE_BODY_DIGEST
