"""Proposes a role for each field from a sample of records, with the reasons in words.

A proposal, for a person to confirm: it errs towards roles under which more is hidden. The reasons
name figures and types, never a value.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable, Collection, Iterable, Mapping
from dataclasses import dataclass, field
from itertools import islice
from typing import Final

from sealtune.deid.config import FieldRule, Role
from sealtune.deid.entities import EntityType, Finding
from sealtune.deid.tables.columns import as_dates, as_numbers, plain_value
from sealtune.deid.tables.role_names import rule_of_name

SAMPLE_MAX: Final = 2_000  # records that are looked at
FIELDS_MAX: Final = 1_000
_INSPECTED_MAX: Final = 200  # values that detectors look at
_INSPECTED_CHARACTERS: Final = 200
_TEXT_CHARACTERS: Final = 40  # on average; longer is prose
_TEXT_WORDS: Final = 5
_FOUND_SHARE: Final = 0.5
_FEW_VALUES: Final = 30
_UNIQUE_SHARE: Final = 0.9
_UNIQUE_RECORDS_MIN: Final = 20  # fewer say nothing about uniqueness
Find = Callable[[str], Iterable[Finding]]


@dataclass(frozen=True, slots=True, kw_only=True)
class ProposedRole:
    """A rule for a field, and why."""

    rule: FieldRule
    reasons: tuple[str, ...]


@dataclass(slots=True)
class _Seen:
    """The values of one field in the sample."""

    values: list[str | int | float | bool | None] = field(default_factory=list)
    nested: bool = False

    def take(self, value: object) -> None:
        self.nested = self.nested or isinstance(value, dict | list)
        self.values.append(plain_value(value))

    @property
    def present(self) -> list[str | int | float | bool]:
        return [value for value in self.values if value is not None]


def propose_roles(
    records: Iterable[Mapping[str, object]],
    *,
    find: Find | None = None,
    kept: Collection[EntityType] = (),
) -> dict[str, ProposedRole]:
    """Return a role for every field of the first `SAMPLE_MAX` of `records`.

    `find` gives the findings in a text (`detect.Pipeline.find`); without it, names of fields and
    shapes of values decide. Places of a type that is `kept` need not go.
    """
    seen: dict[str, _Seen] = {}
    for record in islice(records, SAMPLE_MAX):
        for name, value in record.items():
            if name in seen or len(seen) < FIELDS_MAX:
                seen.setdefault(name, _Seen()).take(value)
    proposed = {name: _propose(name, values, find, kept) for name, values in seen.items()}
    return _one_subject(proposed)


def roles_toml(proposed: Mapping[str, ProposedRole], *, profile: str) -> str:
    """Return a configuration file under `profile`: all fields, with the reasons as comments."""
    lines = ["# Proposed from a sample of the records. Read each reason, correct, and keep."]
    lines.append(f"profile = {json.dumps(profile)}")
    for name, one in proposed.items():
        lines += ["", *(f"# {reason}" for reason in one.reasons)]
        # A TOML basic string is a JSON string, but for DEL.
        lines.append(f"[fields.{json.dumps(name, ensure_ascii=True)}]")
        lines.append(f'role = "{one.rule.role.value}"')
        if one.rule.entity is not None:
            lines.append(f'entity = "{one.rule.entity.value}"')
    return "\n".join(lines) + "\n"


def _propose(
    name: str, seen: _Seen, find: Find | None, kept: Collection[EntityType]
) -> ProposedRole:
    present = seen.present
    if not present:
        return _made(Role.TEXT, None, "every value in the sample is missing: read as text")
    if seen.nested:
        return _made(Role.TEXT, None, "holds nested values: all text in them is read")
    if _is_prose(present):
        mean = sum(len(str(value)) for value in present) / len(present)
        return _made(Role.TEXT, None, f"prose: {mean:.0f} characters on average")
    named = _by_name(name, kept)
    found = _by_findings(present, find, kept)
    if found is not None and (named is None or _outweighs(found.rule, named.rule)):
        return found
    return named or _by_values(present)


def _outweighs(found: FieldRule, named: FieldRule) -> bool:
    """Return whether what detectors found counts for more than the name of the field."""
    if named.role is Role.SUBJECT:
        return False
    if named.role is Role.DIRECT:
        # A number that has the form of a date, or an employer that reads like a person.
        return found.role is Role.DIRECT and found.entity not in _GUESSED
    # Of a state or a country, the name tells that it is not a smaller place.
    return named.role is not Role.QUASI or found.entity is not EntityType.LOCATION


def _by_name(name: str, kept: Collection[EntityType]) -> ProposedRole | None:
    rule = rule_of_name(name)
    if rule is None:
        return None
    if rule.entity is EntityType.LOCATION and rule.entity in kept:
        return _made(Role.QUASI, None, rule.reason)
    return _made(rule.role, rule.entity, rule.reason)


def _by_findings(
    present: list[str | int | float | bool], find: Find | None, kept: Collection[EntityType]
) -> ProposedRole | None:
    if find is None:
        return None
    inspected = [str(value)[:_INSPECTED_CHARACTERS] for value in present[:_INSPECTED_MAX]]
    counts: Counter[EntityType] = Counter()
    for text in inspected:
        wide = {one.entity for one in find(text) if 2 * (one.end - one.start) >= len(text)}
        counts.update(wide)
    for entity, count in sorted(counts.items(), key=lambda item: (-item[1], item[0])):
        if count < _FOUND_SHARE * len(inspected):
            break
        reason = f"detectors find {entity.value} in {count} of {len(inspected)} values"
        if entity in _QUASI_TYPES or (entity is EntityType.LOCATION and entity in kept):
            return _made(Role.QUASI, None, reason)
        return _made(Role.DIRECT, entity, reason)
    return None


_QUASI_TYPES: Final = frozenset({EntityType.DATE, EntityType.AGE, EntityType.POSTAL_CODE})
# Told by words, where other types have a form.
_GUESSED: Final = frozenset({EntityType.PERSON, EntityType.ORGANIZATION, EntityType.LOCATION})


def _by_values(present: list[str | int | float | bool]) -> ProposedRole:
    distinct = len(set(map(str, present)))
    share = distinct / len(present)
    many = len(present) >= _UNIQUE_RECORDS_MIN
    if as_dates(present) is not None:
        return _made(Role.QUASI, None, f"dates: {distinct} in {len(present)} records")
    figures = f"{distinct} values in {len(present)} records"
    fractions = any(isinstance(value, float) and not value.is_integer() for value in present)
    if share >= _UNIQUE_SHARE and many and not fractions:
        return _made(Role.DIRECT, EntityType.OTHER_ID, f"all but unique: {figures}")
    if as_numbers(present) is not None:
        return _made(Role.QUASI, None, f"numbers: {figures}; safe if nobody outside knows them")
    if distinct <= _FEW_VALUES and many:
        return _made(Role.QUASI, None, f"few values: {figures}; safe if nobody outside knows them")
    return _made(Role.TEXT, None, f"short text: {figures}")


def _is_prose(present: list[str | int | float | bool]) -> bool:
    texts = [value for value in present if isinstance(value, str)]
    if len(texts) < len(present) / 2:
        return False
    characters = sum(map(len, texts)) / len(texts)
    return characters >= _TEXT_CHARACTERS and (
        sum(len(text.split()) for text in texts) / len(texts) >= _TEXT_WORDS
    )


def _one_subject(proposed: dict[str, ProposedRole]) -> dict[str, ProposedRole]:
    """Keep the first subject; a configuration has one."""
    subjects = [name for name, one in proposed.items() if one.rule.role is Role.SUBJECT]
    for name in subjects[1:]:
        reason = f"names whose record it is, as {subjects[0]!r} does"
        proposed[name] = _made(Role.DIRECT, EntityType.OTHER_ID, reason)
    return proposed


def _made(role: Role, entity: EntityType | None, reason: str) -> ProposedRole:
    return ProposedRole(rule=FieldRule(role=role, entity=entity), reasons=(reason,))
