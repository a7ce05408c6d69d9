"""The values of a record, each with where it stands, and a record made again from new ones.

Strings at any depth are text; numbers too, because a number can be a telephone's or a patient's.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any, Final

from sealtune.core.canonical import _INTEGER_MAX as INTEGER_MAX

PATH_SEPARATOR: Final = "."


@dataclass(frozen=True, slots=True)
class Leaf:
    """A text or number in a record: `path` are the names that lead to it, lists add none."""

    path: tuple[str, ...]
    value: str | int | float

    @property
    def name(self) -> str:
        """The whole path as configurations write it."""
        return PATH_SEPARATOR.join(self.path)

    @property
    def text(self) -> str:
        """The value as text."""
        return self.value if isinstance(self.value, str) else repr(self.value)


def leaves(value: Any, path: tuple[str, ...] = ()) -> Iterator[Leaf]:
    """Yield every text and number in `value`, in order; null and booleans identify nobody."""
    if isinstance(value, dict):
        for name, item in value.items():
            yield from leaves(item, (*path, name))
    elif isinstance(value, list):
        for item in value:
            yield from leaves(item, path)
    elif isinstance(value, str | int | float) and not isinstance(value, bool):
        yield Leaf(path, value)


def rebuild(value: Any, new: Iterator[Any], rename: Callable[[tuple[str, ...]], str]) -> Any:
    """Return `value` with its leaves taken from `new`, in the order in which `leaves` gave them.

    `rename` gives the new name of what stands at a path.
    """
    return _rebuild(value, new, rename, ())


def _rebuild(
    value: Any,
    new: Iterator[Any],
    rename: Callable[[tuple[str, ...]], str],
    path: tuple[str, ...],
) -> Any:
    if isinstance(value, dict):
        made: dict[str, Any] = {}
        for name, item in value.items():
            below = (*path, name)
            made[_free(rename(below), made)] = _rebuild(item, new, rename, below)
        return made
    if isinstance(value, list):
        return [_rebuild(item, new, rename, path) for item in value]
    if isinstance(value, str | int | float) and not isinstance(value, bool):
        return next(new)
    return value


def as_before(text: str, former: str | int | float) -> str | int | float:
    """Return `text` as a number where `former` was one and the text spells one."""
    if isinstance(former, str) or not text.isascii():
        return text
    if isinstance(former, int) and text.removeprefix("-").isdigit() and len(text) <= 17:
        number = int(text)
        # A leading zero is part of an identifier and would be lost.
        return number if str(number) == text and abs(number) <= INTEGER_MAX else text
    return text


def _free(name: str, taken: dict[str, Any]) -> str:
    """Return `name`, numbered if another field was given the same."""
    made, number = name, 2
    while made in taken:
        made, number = f"{name}_{number}", number + 1
    return made
