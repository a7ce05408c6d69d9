"""One record, or one paragraph, de-identified: detectors see it as one text, transforms act on it.

A record's fields are read together, each after its own name: the name of a field says what a bare
number is, and a name of a person found in one field is found in the others.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final, Protocol

from sealtune.bundle.records import Record
from sealtune.deid.config import Configuration, FieldRule, Role
from sealtune.deid.entities import EntityType, Finding
from sealtune.deid.records.leaves import Leaf, as_before, leaves, rebuild
from sealtune.deid.records.plain_text import Paragraph
from sealtune.deid.tables.coarse import coarse_fields
from sealtune.deid.tally import Tally

if TYPE_CHECKING:
    from sealtune.deid.transforms import Change, Replaced

_BETWEEN: Final = "\n\n"
_NAMES_MAX: Final = 10_000  # names of fields that are remembered
_COARSE: Final = {
    EntityType.AGE: "ages over 89 that became one class",
    EntityType.DATE: "dates in columns of which the year stays",
    EntityType.POSTAL_CODE: "postal codes in columns of which the area stays",
}
_NAME_PARTS: Final = frozenset(
    ["given", "family", "first", "last", "middle", "maiden", "surname", "forename"]
)
_NAME_TEXTS: Final = frozenset({"text", "prefix", "suffix"})
_PEOPLE: Final = (
    "subject",
    "patient",
    "practitioner",
    "performer",
    "author",
    "requester",
    "contact",
)
_KEPT: Final = frozenset({Role.SAFE, Role.QUASI, Role.SENSITIVE})
_WHOLE: Final = frozenset({Role.DIRECT, Role.SUBJECT})


class Finds(Protocol):
    """What finds identifiers: `detect.Pipeline`."""

    def find(self, text: str) -> list[Finding]:
        """Return the findings, sorted and apart; offsets are those of `text`."""


class Transforms(Protocol):
    """What replaces them: `transforms.Transformer`."""

    def apply(self, text: str, findings: Sequence[Finding], *, subject: str | None) -> Replaced:
        """Return `text` with every finding replaced."""

    def value(self, entity: EntityType, value: str, *, subject: str | None) -> str:
        """Return what stands for a whole value."""


@dataclass(frozen=True, slots=True)
class FieldChange:
    """What was changed in the field called `field`, its name before; `leaf` counts its values."""

    field: str
    leaf: int
    change: Change


@dataclass(frozen=True, slots=True)
class Cleaned:
    """A record before and after, what was found in it and what was changed."""

    before: Record
    after: Record
    changes: tuple[FieldChange, ...]
    findings: tuple[Finding, ...]  # their places mean nothing here: each is in some value


class Cleaner:
    """De-identifies records one by one and counts in `tally`."""

    def __init__(self, configuration: Configuration, pipeline: Finds, transformer: Transforms):
        self._configuration = configuration
        self._pipeline = pipeline
        self._transformer = transformer
        self.coarse = coarse_fields(configuration)
        self._renamed: dict[str, str] = {}
        self._found: list[Finding] = []
        self.tally = Tally()

    def record(self, record: Record) -> Cleaned:
        """Return `record` de-identified; the names of its fields keep their order."""
        parts = list(leaves(record))
        subject = self._subject(parts)
        new: list[Any] = [leaf.value for leaf in parts]
        changes: list[FieldChange] = []
        texts: list[int] = []
        for at, leaf in enumerate(parts):
            rule = self._rule(leaf)
            if rule is None or rule.role is Role.TEXT:
                texts.append(at)
            elif rule.role in _WHOLE:
                made = self._whole(leaf, rule, subject)
                new[at] = leaf.value if made is None else as_before(made.replacement, leaf.value)
                changes += [FieldChange(leaf.name, at, made)] if made else []
            elif rule.role is Role.QUASI and leaf.name in self.coarse:
                new[at] = self._made_coarse(leaf)
        for at, replaced in self._texts(parts, texts, subject):
            new[at] = as_before(replaced.text, parts[at].value)
            changes.extend(FieldChange(parts[at].name, at, change) for change in replaced.changes)
            self._count_conversion(parts[at], new[at])
        after = rebuild(record, iter(new), self._rename)
        self._count(record, changes)
        return Cleaned(record, after, tuple(changes), self._taken())

    def paragraph(self, paragraph: Paragraph) -> Cleaned:
        """Return a paragraph of plain text de-identified, as a record with the text field alone.

        An identifier that begins before the paragraph's own part was replaced with the piece
        before; one that goes on behind it is replaced here as a whole.
        """
        findings = self._pipeline.find(paragraph.text)
        start, end = paragraph.start, paragraph.end
        for finding in findings:
            if finding.start < paragraph.start < finding.end:
                start = min(finding.end, end)
            if start <= finding.start < end < finding.end:
                end = finding.end
        inside = [item for item in findings if start <= item.start and item.end <= end]
        own = paragraph.text[start:end]
        moved = [item.at(item.start - start, item.end - start) for item in inside]
        replaced = self._apply(own, moved, None)
        name = self._configuration.text_field
        changes = tuple(FieldChange(name, 0, change) for change in replaced.changes)
        self.tally.characters += len(own)
        self._count({}, changes)
        return Cleaned({name: own}, {name: replaced.text}, changes, self._taken())

    def header(self, names: Sequence[str]) -> tuple[str, ...]:
        """Return the names of columns as they are in the output."""
        made = rebuild(dict.fromkeys(names), iter(()), self._rename)
        return tuple(made)

    def _subject(self, parts: Sequence[Leaf]) -> str | None:
        name = self._configuration.subject_field
        if name is None:
            return None
        return next((leaf.text for leaf in parts if name in (leaf.name, leaf.path[0])), None)

    def _rule(self, leaf: Leaf) -> FieldRule | None:
        """Return the rule of the nearest field around a value that has one."""
        rules: Mapping[str, FieldRule] = self._configuration.fields
        for depth in range(len(leaf.path), 0, -1):
            rule = rules.get(".".join(leaf.path[:depth]))
            if rule is not None:
                return rule
        return None

    def _whole(self, leaf: Leaf, rule: FieldRule, subject: str | None) -> Change | None:
        """Return what becomes of a field that is an identifier as a whole; empty ones stay."""
        from sealtune.deid.transforms import Change

        text = leaf.text
        if not text.strip():
            return None
        entity = rule.entity or EntityType.OTHER_ID
        made = self._transformer.value(entity, text, subject=subject)
        self.tally.whole(entity)
        self._found.append(Finding(0, len(text), entity, 1.0, "field-role"))
        action = self._configuration.action(entity)
        return Change(0, len(made), 0, len(text), text, made, entity, action)

    def _made_coarse(self, leaf: Leaf) -> Any:
        coarse = self.coarse[leaf.name]
        made = coarse.of(leaf.value)
        self.tally.coarse[leaf.name] += coarse.sure or made != leaf.value
        self.tally.conversions[_COARSE[coarse.entity]] += made != leaf.value
        return made

    def _texts(
        self, parts: Sequence[Leaf], texts: Sequence[int], subject: str | None
    ) -> list[tuple[int, Replaced]]:
        """Return what becomes of the values at the places `texts` of `parts`, if they change."""
        pieces: list[str] = []
        spans: list[tuple[int, int, int]] = []
        length = 0
        for at in texts:
            leaf = parts[at]
            label = self._label(leaf)
            start = length + len(label)
            spans.append((at, start, start + len(leaf.text)))
            pieces.append(label + leaf.text)
            length = start + len(leaf.text) + len(_BETWEEN)
        whole = _BETWEEN.join(pieces)
        findings = self._pipeline.find(whole) if pieces else []
        # Without a subject the record is its own: its dates move together.
        subject = whole if subject is None else subject
        changed = []
        first = 0
        for at, start, end in spans:
            self.tally.characters += end - start
            first, inside = _clipped(findings, first, start, end)
            if inside:
                changed.append((at, self._apply(parts[at].text, inside, subject)))
        return changed

    def _label(self, leaf: Leaf) -> str:
        """Return what a value's field says of it; the text itself stands as its owner wrote it."""
        named = self._rule(leaf)
        if leaf.name == self._configuration.text_field or (named and named.role is Role.TEXT):
            return ""
        words = _spaced(leaf.path[-1])
        return f"{'name' if _is_name(leaf.path, words) else words}: " if words else ""

    def _apply(self, text: str, findings: Sequence[Finding], subject: str | None) -> Replaced:
        self._found += findings
        for finding in findings:
            self.tally.find(finding)
        return self._transformer.apply(text, findings, subject=subject)

    def _taken(self) -> tuple[Finding, ...]:
        found, self._found = tuple(self._found), []
        return found

    def _rename(self, path: tuple[str, ...]) -> str:
        """Return the new name of a field; one that the configuration names stays."""
        name = path[-1]
        if ".".join(path) in self._configuration.fields or name == self._configuration.text_field:
            return name
        made = self._new_name(name)
        self.tally.conversions["names of fields replaced"] += made != name
        return made

    def _new_name(self, name: str) -> str:
        if name not in self._renamed:
            if len(self._renamed) >= _NAMES_MAX:
                self._renamed.clear()
            findings = self._pipeline.find(name)
            self._renamed[name] = (
                self._transformer.apply(name, findings, subject=None).text if findings else name
            )
        return self._renamed[name]

    def _count(self, record: Record, changes: Sequence[FieldChange]) -> None:
        self.tally.records += 1
        self.tally.changed_records += bool(changes)
        for item in changes:
            self.tally.actions[item.change.action.value] += 1
        rules = self._configuration.fields
        for name in record:
            named = name == self._configuration.text_field or any(
                rule == name or rule.startswith(name + ".") for rule in rules
            )
            self.tally.see_field(name if named else self._new_name(name), named=named)

    def _count_conversion(self, leaf: Leaf, made: Any) -> None:
        if not isinstance(leaf.value, str) and isinstance(made, str):
            self.tally.conversions["numbers that became text"] += 1


def _spaced(name: str) -> str:
    """Return the name of a field as words: `ageAtDiagnosis`, `patient_id`."""
    return re.sub(r"(?<=[a-z])(?=[A-Z])", " ", name).replace("_", " ").strip()


def _is_name(path: Sequence[str], words: str) -> bool:
    """Return whether a field holds somebody's name, as in FHIR: `name.given`, `subject.display`."""
    last, above = words.lower(), " ".join(path[:-1]).lower()
    if last in _NAME_PARTS:
        return True
    return (last in _NAME_TEXTS and "name" in above) or (
        last == "display" and any(one in above for one in _PEOPLE)
    )


def _clipped(
    findings: Sequence[Finding], first: int, start: int, end: int
) -> tuple[int, list[Finding]]:
    """Return the parts of `findings` that lie in `start` to `end`, counted from `start`.

    Looks from the number `first` on, and returns where to go on: both are sorted, and a record can
    have a hundred thousand of each.
    """
    while first < len(findings) and findings[first].end <= start:
        first += 1
    inside, at = [], first
    while at < len(findings) and findings[at].start < end:
        item = findings[at]
        low, high = max(item.start, start) - start, min(item.end, end) - start
        inside.append(item.at(low, high))
        at += 1
    return first, inside
