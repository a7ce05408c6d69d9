"""Puts the file's name into errors that come from parsers, which know bytes only."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from pathlib import Path

from sealtune.errors import SealtuneError


@contextlib.contextmanager
def about(path: Path) -> Iterator[None]:
    """Name `path` in an error of the block that does not name it yet."""
    try:
        yield
    except SealtuneError as error:
        if str(path) not in error.message:
            error.message = f"{path}: {error.message}"
        raise
