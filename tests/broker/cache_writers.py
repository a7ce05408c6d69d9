"""What processes do that share a cache with a test; a module of its own, which is quick to load."""

from __future__ import annotations

from datetime import datetime
from pathlib import Path

from sealtune.broker.endorsements.cache import EndorsementCache
from sealtune.broker.endorsements.items import Item


def write_for_ever(folder: Path, items: list[Item], now: datetime) -> None:
    """Write `items` again and again, until killed."""
    cache = EndorsementCache(folder)
    while True:
        for item in items:
            cache.put([item], now=now)


def write_once(folder: Path, items: list[Item], now: datetime) -> None:
    """Write `items` one after the other."""
    for item in items:
        EndorsementCache(folder).put([item], now=now)
