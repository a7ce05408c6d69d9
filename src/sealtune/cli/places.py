"""Puts the file's name into errors that come from parsers, which know bytes only."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from pathlib import Path

from sealtune.errors import Code, ReleaseDenied, SealtuneError, TransportError

_NOT_ABOUT_FILES = (Code.CONFIG_INVALID, Code.BROKER_IDENTITY, Code.BROKER_ANSWER)


@contextlib.contextmanager
def about(path: Path) -> Iterator[None]:
    """Name `path` in an error of the block that does not name it, unless it is about a broker."""
    try:
        yield
    except (TransportError, ReleaseDenied):
        raise
    except SealtuneError as error:
        if str(path) not in error.message and error.code not in _NOT_ABOUT_FILES:
            error.message = f"{path}: {error.message}"
        raise
