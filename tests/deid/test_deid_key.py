"""The key of a de-identification: who can read it, and where it never shows."""

from __future__ import annotations

import pickle
import stat
from pathlib import Path

import pytest

from sealtune.deid.key import DeidKey, create_deid_key, load_deid_key
from sealtune.errors import Code, ConfigError, FormatError, StorageError


def test_a_key_is_the_same_when_it_is_loaded_again(tmp_path: Path) -> None:
    made = create_deid_key(tmp_path / "deid.key")
    assert load_deid_key(tmp_path / "deid.key").reveal() == made.reveal()


def test_nobody_else_may_read_a_key_file(tmp_path: Path) -> None:
    path = tmp_path / "deid.key"
    create_deid_key(path)
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    path.chmod(0o640)
    with pytest.raises(ConfigError) as caught:
        load_deid_key(path)
    assert caught.value.code is Code.KEY_PERMISSIONS


def test_a_key_is_never_overwritten(tmp_path: Path) -> None:
    path = tmp_path / "deid.key"
    before = create_deid_key(path)
    with pytest.raises(StorageError) as caught:
        create_deid_key(path)
    assert caught.value.code is Code.FILE_EXISTS
    assert load_deid_key(path).id == before.id


def test_a_key_shows_nowhere() -> None:
    key = DeidKey(b"0123456789abcdef0123456789abcdef")
    assert "0123" not in repr(key) + str(key) + f"{key}"
    with pytest.raises(TypeError):
        pickle.dumps(key)
    assert bytes.fromhex(key.id) not in key.reveal()


def test_each_purpose_has_a_key_of_its_own() -> None:
    key = DeidKey.generate()
    purposes = {key.subkey(purpose).reveal() for purpose in ("id", "tokens", "vault")}
    assert len(purposes | {key.reveal()}) == 4
    assert key.subkey("a", context=b"b").reveal() != key.subkey("ab").reveal()


@pytest.mark.parametrize(
    "content",
    [
        b'{"format":"sealtune-deid-key/2","secret":"' + b"A" * 43 + b'"}',
        b'{"format":"sealtune-deid-key/1","secret":"' + b"A" * 42 + b'"}',
        b'{"format":"sealtune-deid-key/1","secret":"AAAA"}',
        b'{"format":"sealtune-deid-key/1","secret":7}',
        b'{"format":"sealtune-deid-key/1","more":1,"secret":"' + b"A" * 43 + b'"}',
        b"[]",
    ],
)
def test_another_file_is_no_key_and_is_not_quoted(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "deid.key"
    path.write_bytes(content)
    path.chmod(0o600)
    with pytest.raises(FormatError) as caught:
        load_deid_key(path)
    assert caught.value.code is Code.KEY_FILE_MALFORMED
    assert "AAA" not in str(caught.value)
