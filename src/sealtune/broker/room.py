"""How much of what is scarce one address may have at once: places, bytes.

A rate bounds how often an address asks; who asks seldom and then says nothing holds what it has.
"""

from __future__ import annotations

import contextlib
from collections import Counter
from collections.abc import Callable, Iterator

from sealtune.broker.rate import address_group

Take = Callable[[int], None]


class NoRoom(Exception):
    """Nothing is left, for this address (`own`) or for anybody."""

    def __init__(self, *, own: bool) -> None:
        super().__init__()
        self.own = own


class Room:
    """`total` units of something, of which one address gets `each` at most. Not thread-safe."""

    def __init__(self, *, total: int, each: int) -> None:
        self._total = total
        self._each = each
        self._taken: Counter[str] = Counter()

    @contextlib.contextmanager
    def hold(self, address: str) -> Iterator[Take]:
        """Give a function that takes so many units for `address`; at the end all are given back.

        It raises `NoRoom`, and takes nothing, when they are more than is left.
        """
        group = address_group(address)
        held = 0

        def take(units: int) -> None:
            nonlocal held
            if self._taken[group] + units > self._each:
                raise NoRoom(own=True)
            if self._taken.total() + units > self._total:
                raise NoRoom(own=False)
            self._taken[group] += units
            held += units

        try:
            yield take
        finally:
            self._taken[group] -= held
            if not self._taken[group]:
                # Addresses that are gone are forgotten.
                del self._taken[group]
