"""Choices that the key decides: the same value gives the same choice, and only with the key.

Each is HMAC-SHA256 of the purpose and the value, so that without the key a choice is as good as
random, and two keys have nothing in common.
"""

from __future__ import annotations

import hashlib
import hmac
from collections.abc import Sequence
from typing import Final, TypeVar

from sealtune.deid.key import DeidKey

_T = TypeVar("_T")
_UPPER: Final = "ABCDEFGHIJKLMNOPQRSTUVWXYZ"
_TRIES: Final = 16  # until a choice differs from what it replaces: the odds are 10 to 1 at worst


class Chooser:
    """Makes keyed choices; `purpose` keeps those of one kind apart from those of another."""

    __slots__ = ("_secret",)

    def __init__(self, key: DeidKey) -> None:
        self._secret = key.subkey("surrogates").reveal()

    def number(self, purpose: str, value: str, below: int) -> int:
        """Return a number in 0 to `below` - 1 (below 2**64: the bias is under 2**-64)."""
        return int.from_bytes(self._stream(purpose, value, 16), "big") % below

    def pick(self, purpose: str, value: str, options: Sequence[_T]) -> _T:
        """Return one of `options`, of which there is at least one."""
        return options[self.number(purpose, value, len(options))]

    def order(self, purpose: str, options: Sequence[str]) -> list[str]:
        """Return `options` in an order that only the key tells."""
        return sorted(options, key=lambda option: self._stream(purpose, option, 16))

    def alike(self, purpose: str, value: str, *, identity: str | None = None) -> str:
        """Return other digits and letters in the form of `value`; signs between them stay.

        `identity` is what decides instead of `value`, so that two spellings get one choice. A
        single sign aside, the result is never `value`.
        """
        key = value if identity is None else identity
        made = value
        for attempt in range(_TRIES):
            stream = self._stream(f"{purpose}/{attempt}" if attempt else purpose, key, len(value))
            made = "".join(map(_like, value, stream))
            if made != value:
                break
        return made

    def _stream(self, purpose: str, value: str, length: int) -> bytes:
        head = purpose.encode() + b"\0"
        # Text from a broken file may hold lone surrogates: they count like any other letter.
        message = head + value.encode("utf-8", "surrogatepass")
        seed = hmac.digest(self._secret, message, "sha256")
        return seed[:length] if length <= len(seed) else hashlib.shake_256(seed).digest(length)


def _like(letter: str, byte: int) -> str:
    if letter.isdecimal():
        return str(byte % 10)
    if letter.isalpha():
        made = _UPPER[byte % 26]
        return made.lower() if letter.islower() else made
    return letter
