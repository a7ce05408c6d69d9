"""What a transform made of a text, and what it saw of each finding."""

from __future__ import annotations

from dataclasses import dataclass, field

from sealtune.deid.config import Action
from sealtune.deid.entities import EntityType


@dataclass(frozen=True, slots=True)
class Change:
    """One finding replaced: `start` and `end` are places in the output, the rest says of what.

    `repr` shows neither the original nor its replacement.
    """

    start: int
    end: int
    original_start: int
    original_end: int
    original: str = field(repr=False)
    replacement: str = field(repr=False)
    entity: EntityType
    action: Action


@dataclass(frozen=True, slots=True)
class Replaced:
    """A text with its findings replaced; `changes` are in order."""

    text: str = field(repr=False)
    changes: tuple[Change, ...]


@dataclass(frozen=True, slots=True)
class Seen:
    """One value to be replaced and what stands around it.

    `scope` is whose it is, for dates: the subject, or without one the text that it stands in.
    """

    value: str = field(repr=False)
    entity: EntityType
    kind: str = ""
    before: str = field(default="", repr=False)
    scope: str = field(default="", repr=False)
