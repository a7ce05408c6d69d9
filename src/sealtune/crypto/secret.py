"""ContentKey: the 32 bytes that encrypt one bundle, wrapped so that they do not leak by accident.

Does not protect against a reader of process memory; that is the TEE's work.
"""

from __future__ import annotations

import secrets
from typing import NoReturn

CONTENT_KEY_BYTES = 32


class ContentKey:
    """A key that encrypts exactly one bundle; `repr` and `str` hide it, pickling is refused."""

    __slots__ = ("_raw",)

    def __init__(self, raw: bytes) -> None:
        """Wrap 32 bytes.

        Raises:
            ValueError: `raw` has another length.
        """
        if len(raw) != CONTENT_KEY_BYTES:
            raise ValueError(f"a ContentKey has {CONTENT_KEY_BYTES} bytes")
        self._raw = bytes(raw)

    @classmethod
    def generate(cls) -> ContentKey:
        """Return a fresh key from the system's random source."""
        return cls(secrets.token_bytes(CONTENT_KEY_BYTES))

    def reveal(self) -> bytes:
        """Return the key's 32 bytes: call it only to encrypt with them or to wrap them."""
        return self._raw

    def __repr__(self) -> str:
        return "ContentKey(<hidden>)"

    def __reduce__(self) -> NoReturn:
        raise TypeError("a ContentKey is not pickled")
