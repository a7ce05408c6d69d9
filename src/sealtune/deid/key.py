"""DeidKey: the owner's secret that decides every surrogate, shift and token.

32 random bytes in a JSON file, mode 0600. Who has it can tell which surrogate a known person got
and open the vault; without it, surrogates are as good as chance. Each purpose has a subkey of its
own, so that none of them says anything about another. A lost key cannot be made again.
"""

from __future__ import annotations

import secrets
import stat
from pathlib import Path
from typing import Any, Final, NoReturn, Self

from sealtune.core.canonical import canonical_json, parse_json
from sealtune.core.files import PRIVATE_MODE, read_bounded, write_atomic
from sealtune.core.limits import KEY_FILE_BYTES_MAX
from sealtune.crypto.encoding import b64decode, b64encode
from sealtune.crypto.kdf import derive_key
from sealtune.crypto.secret import ContentKey
from sealtune.errors import Code, ConfigError, FormatError, StorageError

DEID_KEY_BYTES: Final = 32
_FORMAT: Final = "sealtune-deid-key/1"
_LABEL: Final = b"sealtune/v1/deid/"
_ID_BYTES: Final = 8  # tells keys apart; nothing is decided on it


class DeidKey:
    """The key of a de-identification; `repr` and `str` hide it, pickling is refused."""

    __slots__ = ("_raw",)

    def __init__(self, raw: bytes) -> None:
        """Wrap 32 bytes.

        Raises:
            ValueError: `raw` has another length.
        """
        if len(raw) != DEID_KEY_BYTES:
            raise ValueError(f"a DeidKey has {DEID_KEY_BYTES} bytes")
        self._raw = bytes(raw)

    @classmethod
    def generate(cls) -> Self:
        """Return a fresh key; what is made with it cannot be made again once it is forgotten."""
        return cls(secrets.token_bytes(DEID_KEY_BYTES))

    @property
    def id(self) -> str:
        """What reports call the key: 16 hexadecimal digits that say nothing about its bytes."""
        return self.subkey("id").reveal()[:_ID_BYTES].hex()

    def subkey(self, purpose: str, *, context: bytes = b"") -> ContentKey:
        """Return the key for `purpose` (and `context`, such as a dataset's digest) alone."""
        return derive_key(self._raw, label=_LABEL + purpose.encode(), context=context)

    def reveal(self) -> bytes:
        """Return the 32 bytes: call it only to hand them to a worker process through a pipe."""
        return self._raw

    def __repr__(self) -> str:
        return "DeidKey(<hidden>)"

    def __reduce__(self) -> NoReturn:
        raise TypeError("a DeidKey is not pickled")


def create_deid_key(path: Path) -> DeidKey:
    """Make a key, write it to `path` (0600) and return it.

    Raises:
        StorageError: `path` exists (a key is never overwritten) or cannot be written.
    """
    if path.exists() or path.is_symlink():
        message = f"{path} exists already"
        remedy = "choose another name; a key file is never overwritten"
        raise StorageError(Code.FILE_EXISTS, message, remedy=remedy)
    key = DeidKey.generate()
    document = {"format": _FORMAT, "secret": b64encode(key.reveal())}
    write_atomic(path, canonical_json(document) + b"\n", mode=PRIVATE_MODE)
    return key


def load_deid_key(path: Path) -> DeidKey:
    """Return the key at `path`.

    Raises:
        ConfigError: other users may read the file.
        FormatError: it is no such key.
        StorageError: it is missing or cannot be read.
    """
    data = read_bounded(path, limit=KEY_FILE_BYTES_MAX, what="key file")
    if path.stat().st_mode & (stat.S_IRWXG | stat.S_IRWXO):
        message, remedy = f"{path}: other users may read this private key", f"chmod 600 {path}"
        raise ConfigError(Code.KEY_PERMISSIONS, message, remedy=remedy)
    document = parse_json(data, limit=KEY_FILE_BYTES_MAX, what=str(path))
    try:
        return DeidKey(_secret(document, path))
    except ValueError:
        raise _malformed(path) from None


def _secret(document: Any, path: Path) -> bytes:
    if not isinstance(document, dict) or document.get("format") != _FORMAT:
        raise _malformed(path)
    if document.keys() != {"format", "secret"}:
        raise _malformed(path)
    return b64decode(document["secret"], what=str(path), code=Code.KEY_FILE_MALFORMED)


def _malformed(path: Path) -> FormatError:
    remedy = "give the file that `sealtune deidentify --key FILE` made, whole"
    message = f"{path}: not a de-identification key"
    return FormatError(Code.KEY_FILE_MALFORMED, message, remedy=remedy)
