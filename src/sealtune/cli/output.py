"""How results are printed: as one JSON object, or as short aligned text for people.

Colour goes to terminals only and never carries meaning alone; anything insecure has an icon and
the word. A value of a type that is not listed here is refused, so that no secret is printed by
accident.
"""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Callable, Iterable, Mapping, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import fields as dataclass_fields
from dataclasses import is_dataclass
from datetime import datetime
from enum import Enum
from pathlib import PurePath
from typing import Any, TypeVar

import click

from sealtune.cli.framework import JSON_MODE
from sealtune.core.clock import format_time

T = TypeVar("T")
_UNITS = ("B", "KiB", "MiB", "GiB", "TiB")


def json_mode() -> bool:
    """Return whether the running command was given `--json`."""
    context = click.get_current_context(silent=True)
    return bool(context and context.meta.get(JSON_MODE))


def emit(result: T, render: Callable[[T], Iterable[str]]) -> None:
    """Print `result`: as JSON if that was asked for, otherwise the lines that `render` makes."""
    if json_mode():
        emit_json(result)
    else:
        for line in render(result):
            say(line)


def emit_json(result: Any) -> None:
    """Print `result` as one JSON object on one line of standard output."""
    value = plain(result)
    if not isinstance(value, dict):
        raise TypeError("a command's result is one object")
    say(json.dumps(value, ensure_ascii=False, allow_nan=False))


def say(text: str) -> None:
    """Print `text` on standard output.

    Half of a surrogate pair, which JSON from elsewhere can hold and UTF-8 cannot, becomes its
    escape, which in JSON is the same text again.
    """
    click.echo(text.encode("utf-8", "backslashreplace").decode())


def printable(text: str) -> str:
    """Return `text` with whatever a terminal would act on, or could not show, as an escape."""
    return "".join(
        letter if letter.isprintable() else letter.encode("unicode_escape").decode()
        for letter in text
    )


def plain(value: Any) -> Any:
    """Return `value` as JSON types.

    Raises:
        TypeError: its type is not known to be safe to print.
    """
    if isinstance(value, Enum):
        return value.value
    if value is None or isinstance(value, str | bool | int | float):
        return value
    if isinstance(value, datetime):
        return format_time(value)
    if isinstance(value, PurePath):
        return str(value)
    return _composite(value)


def _composite(value: Any) -> Any:
    text = getattr(value, "text", None)
    if isinstance(text, str):  # public keys
        return text
    if isinstance(value, Mapping):
        return {str(plain(key)): plain(item) for key, item in value.items()}
    if isinstance(value, AbstractSet):
        return sorted(plain(item) for item in value)
    if isinstance(value, list | tuple):
        return [plain(item) for item in value]
    if is_dataclass(value) and not isinstance(value, type):
        names = [item.name for item in dataclass_fields(value)]
        return {name: plain(getattr(value, name)) for name in names}
    raise TypeError(f"a {type(value).__name__} is not printed")


def rows(pairs: Sequence[tuple[str, str]]) -> list[str]:
    """Return aligned `label  value` lines; a value of several lines stays in its column."""
    width = max(len(label) for label, _ in pairs)
    lines = []
    for label, value in pairs:
        first, *others = value.splitlines() or [""]
        lines.append(f"  {click.style(label.ljust(width), dim=True)}  {first}".rstrip())
        lines.extend(f"  {'':<{width}}  {other}" for other in others)
    return lines


def table(header: Sequence[str], body: Sequence[Sequence[str]]) -> list[str]:
    """Return aligned columns under a header."""
    widths = [max(len(row[i]) for row in (header, *body)) for i in range(len(header))]

    def line(cells: Sequence[str]) -> str:
        return "  " + "  ".join(c.ljust(w) for c, w in zip(cells, widths, strict=True)).rstrip()

    return [click.style(line(header), dim=True), *(line(row) for row in body)]


def colour() -> bool | None:
    """Return whether to colour: False where `NO_COLOR` says no, None where the stream decides."""
    # https://no-color.org: set and not empty means no colour, whatever the terminal can do.
    return False if os.environ.get("NO_COLOR") else None


def done(text: str) -> str:
    """Return the first line of a command that did something."""
    return f"{click.style(_mark('✓', '+'), fg='green')} {text}"


def refused(text: str) -> str:
    """Return a line that says that something was refused."""
    return f"{click.style(_mark('✗', 'x'), fg='red')} {text}"


def insecure(text: str) -> str:
    """Return a line that nobody overlooks: icon, the word, and what is insecure."""
    word = click.style(f" {_mark('⚠', '!!')} INSECURE ", fg="black", bg="yellow", bold=True)
    return f"{word} {text}"


def hint(text: str) -> str:
    """Return a line that says what comes next."""
    return f"{_mark('→', '->')} {text}"


def size(length: int) -> str:
    """Return a number of bytes for people."""
    value, unit = float(length), 0
    while value >= 1024 and unit < len(_UNITS) - 1:
        value, unit = value / 1024, unit + 1
    return f"{length} B" if unit == 0 else f"{value:.1f} {_UNITS[unit]}"


def count(number: int, one: str, many: str) -> str:
    """Return a number with its noun."""
    return f"{number:,} {one if number == 1 else many}"


def grouped_fingerprint(fingerprint: str) -> str:
    """Return a fingerprint in two lines, as `contract show` has them, to be read aloud."""
    groups = fingerprint.split()
    half = len(groups) // 2
    return " ".join(groups[:half]) + "\n" + " ".join(groups[half:])


def _mark(icon: str, ascii_only: str) -> str:
    encoding = sys.stdout.encoding or "ascii"
    try:
        icon.encode(encoding)
    except (UnicodeEncodeError, LookupError):
        return ascii_only
    return icon
