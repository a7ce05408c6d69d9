"""The key under which a broker's secrets lie in its store.

A copy of the database alone (a backup, a stolen disk image without this file) opens nothing. Each
secret is bound to what it is and belongs to, so that none can be put in another's place. Does not
protect against somebody who reads both files.
"""

from __future__ import annotations

import stat
from pathlib import Path

from sealtune.core.digest import Digest, digest_bytes
from sealtune.core.files import PRIVATE_MODE, read_bounded, write_atomic
from sealtune.crypto.secret import CONTENT_KEY_BYTES, ContentKey
from sealtune.crypto.stream import open_bytes, seal_bytes
from sealtune.errors import Code, ConfigError, StorageError, VerificationError

_KEY_LABEL = b"sealtune/v1/store/content-key\0"
_SHARE_LABEL = b"sealtune/v1/store/run-share\0"


class Vault:
    """Seals a broker's secrets for its store and opens them again."""

    __slots__ = ("_key",)

    def __init__(self, key: ContentKey) -> None:
        self._key = key

    def seal_content_key(self, key: ContentKey, *, bundle: Digest) -> bytes:
        """Return the ContentKey of `bundle` as the store may hold it."""
        return seal_bytes(self._key, key.reveal(), context=_KEY_LABEL + digest_bytes(bundle))

    def open_content_key(self, sealed: bytes, *, bundle: Digest) -> ContentKey:
        """Return the ContentKey of `bundle` (StorageError: changed, or another bundle's)."""
        return ContentKey(self._opened(sealed, _KEY_LABEL + digest_bytes(bundle)))

    def seal_share(self, share: bytes, *, contract: Digest, run_id: str) -> bytes:
        """Return the share of a run as the store may hold it."""
        return seal_bytes(self._key, share, context=_share_context(contract, run_id))

    def open_share(self, sealed: bytes, *, contract: Digest, run_id: str) -> bytes:
        """Return the share of a run (StorageError: changed, or another run's)."""
        return self._opened(sealed, _share_context(contract, run_id))

    def _opened(self, sealed: bytes, context: bytes) -> bytes:
        try:
            return open_bytes(self._key, sealed, context=context)
        except VerificationError as error:
            raise StorageError(
                Code.STORE_DAMAGED,
                "a key in the store was changed, moved, or is under another store key",
                remedy="restore the broker's folder, with its store.key, from your backup",
            ) from error


def create_vault(path: Path) -> None:
    """Write a fresh store key to `path`, readable by its owner alone."""
    write_atomic(path, ContentKey.generate().reveal(), mode=PRIVATE_MODE)


def load_vault(path: Path) -> Vault:
    """Return the vault whose key is at `path`.

    Raises:
        ConfigError: others may read the file, or it is no store key.
        StorageError: it is missing.
    """
    data = read_bounded(path, limit=CONTENT_KEY_BYTES, what="store key")
    if path.stat().st_mode & (stat.S_IRWXG | stat.S_IRWXO):
        raise ConfigError(
            Code.KEY_PERMISSIONS,
            f"{path}: other users may read the store's key",
            remedy=f"chmod 600 {path}",
        )
    if len(data) != CONTENT_KEY_BYTES:
        raise ConfigError(Code.KEY_FILE_MALFORMED, f"{path}: not a store key")
    return Vault(ContentKey(data))


def _share_context(contract: Digest, run_id: str) -> bytes:
    return _SHARE_LABEL + digest_bytes(contract) + bytes.fromhex(run_id)
