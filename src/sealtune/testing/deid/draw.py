"""Choices from one seed, for the generator of annotated notes.

By `Random.random` alone: the only method that Python promises not to change between versions.
"""

from __future__ import annotations

import random
from collections.abc import Sequence
from typing import TypeVar

T = TypeVar("T")

DIGITS = "0123456789"
UPPER = "ABCDEFGHJKLMNPRSTUVWXYZ"
LOWER = "abcdefghijkmnopqrstuvwxyz"
_CLASSES = {"#": DIGITS, "%": "123456789", "@": UPPER, "&": LOWER, "*": DIGITS + UPPER}


class Draw:
    """The dice."""

    def __init__(self, seed: int) -> None:
        self._random = random.Random(seed)  # noqa: S311 - synthetic text, no secret

    def chance(self, probability: float) -> bool:
        """Return whether something of this probability happens."""
        return self._random.random() < probability

    def below(self, limit: int) -> int:
        """Return a number from 0 to `limit` - 1."""
        return int(self._random.random() * limit)

    def between(self, low: int, high: int) -> int:
        """Return a number from `low` to `high`, both included."""
        return low + self.below(high - low + 1)

    def one(self, choices: Sequence[T]) -> T:
        """Return one of `choices`."""
        return choices[self.below(len(choices))]

    def some(self, choices: Sequence[T], count: int) -> list[T]:
        """Return `count` of `choices` in an order of chance, none twice."""
        keyed = [(self._random.random(), index) for index in range(len(choices))]
        return [choices[index] for _, index in sorted(keyed)[:count]]

    def text(self, alphabet: str, length: int) -> str:
        """Return `length` characters of `alphabet`."""
        return "".join(self.one(alphabet) for _ in range(length))

    def form(self, *forms: str) -> str:
        """Return one of `forms`: `#` a digit, `%` one but 0, `@` and `&` letters, `*` either."""
        return "".join(
            self.one(_CLASSES[mark]) if mark in _CLASSES else mark for mark in self.one(forms)
        )

    def digits(self, text: str) -> str:
        """Return `text` with a digit in place of each `#`."""
        return "".join(self.one(DIGITS) if mark == "#" else mark for mark in text)
