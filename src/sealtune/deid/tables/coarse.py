"""What a profile makes coarse in columns of quasi-identifiers, whatever the table's terms ask for.

Where the action of a type is `generalize`, as under Safe Harbor, ages over 89 are one class, of
dates only the year stays, of postal codes only the area.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import date
from typing import Any, Final

from sealtune.deid.config import Action, Configuration, FieldRule, Role
from sealtune.deid.entities import EntityType
from sealtune.deid.tables.ages import is_age, top_coded
from sealtune.deid.tables.kinds import as_zip, is_zip_name

_KINDS: Final = (EntityType.AGE, EntityType.POSTAL_CODE, EntityType.DATE)


@dataclass(frozen=True, slots=True)
class Coarse:
    """How the values of one column become coarse."""

    entity: EntityType
    of: Callable[[Any], Any]
    sure: bool  # all of the column is of that type; else only what has the form of a whole date


def coarse_fields(configuration: Configuration) -> Mapping[str, Coarse]:
    """Return the quasi-identifiers that become coarse, by their type, their name, or their form."""
    found = {}
    for name, rule in configuration.fields.items():
        entity = _entity(name, rule) if rule.role is Role.QUASI else None
        if entity in _KINDS and configuration.action(entity) is Action.GENERALIZE:
            sure = rule.entity is not None or entity is not EntityType.DATE
            found[name] = Coarse(entity, _maker(entity, configuration, sure=sure), sure)
    return found


def _entity(name: str, rule: FieldRule) -> EntityType:
    if rule.entity is not None:
        return rule.entity
    if is_age(name):
        return EntityType.AGE
    return EntityType.POSTAL_CODE if is_zip_name(name) else EntityType.DATE


def _maker(entity: EntityType, configuration: Configuration, *, sure: bool) -> Callable[[Any], Any]:
    # Imported where it is needed: the lists of surrogates are not wanted to plan a table.
    from sealtune.deid.transforms.moving import Years
    from sealtune.deid.transforms.postal import US_LOCALES, region
    from sealtune.deid.transforms.replaced import Seen

    years = Years(configuration)

    american = configuration.locale in US_LOCALES

    def area(value: Any) -> Any:
        text = (as_zip(value) if american else None) or _text(value)
        if not text or not any(map(str.isdecimal, text)):
            return value
        seen = Seen(text, EntityType.POSTAL_CODE)
        return region(seen, locale=configuration.locale) or _gone(entity)

    def year(value: Any) -> Any:
        text = value.isoformat() if isinstance(value, date) else _text(value)
        if not text or not (sure or (isinstance(value, date | str) and not text.isdecimal())):
            return value
        read = years.read(text)
        if read is None or not (sure or (read.has_year and read.has_month)):
            return _gone(entity) if sure else value
        return years.of(read) or _gone(entity)

    return {EntityType.AGE: top_coded, EntityType.POSTAL_CODE: area, EntityType.DATE: year}[entity]


def _text(value: Any) -> str:
    if isinstance(value, bool) or not isinstance(value, str | int | float):
        return ""
    return str(value).strip()


def _gone(entity: EntityType) -> str:
    return f"[{entity.value.upper()}]"
