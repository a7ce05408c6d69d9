"""Replaces findings in a text, as the configuration has it for each type.

Surrogates and tokens depend on the key and the value alone: the same value gets the same one in
every record, process and run. Does no I/O after its lists of names are read.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from typing import Final

from sealtune.deid.config import Action, Configuration
from sealtune.deid.entities import EntityType, Finding
from sealtune.deid.key import DeidKey
from sealtune.deid.transforms.choice import Chooser
from sealtune.deid.transforms.contacts import Contacts
from sealtune.deid.transforms.moving import Moving
from sealtune.deid.transforms.people import People
from sealtune.deid.transforms.places import Places
from sealtune.deid.transforms.postal import region
from sealtune.deid.transforms.replaced import Change, Replaced, Seen
from sealtune.deid.transforms.tokens import Tokens

_BEFORE_CHARACTERS: Final = 40  # what stands before a finding and may say what it is

# None: the value is not understood, and what is not understood is redacted.
Transform = Callable[[Seen], str | None]


def tag(entity: EntityType) -> str:
    """Return what stands for a redacted finding, such as `[MEDICAL-RECORD]`."""
    return f"[{entity.value.upper()}]"


class Transformer:
    """Replaces findings and whole values under one configuration and one key."""

    def __init__(self, configuration: Configuration, key: DeidKey) -> None:
        """Prepare for any number of texts.

        Raises:
            ConfigError: surrogates are wanted and `faker`, which has the names, is not installed.
        """
        self._configuration = configuration
        self._chooser = Chooser(key)
        self._tokens = Tokens(key, self._chooser)
        self._moving = moving = Moving(configuration, self._chooser)
        self._transforms: dict[tuple[EntityType, Action], Transform] = {
            (EntityType.DATE, Action.SHIFT): moving.shift,
            (EntityType.DATE, Action.GENERALIZE): moving.year,
            (EntityType.AGE, Action.GENERALIZE): moving.age,
            (EntityType.POSTAL_CODE, Action.GENERALIZE): partial(
                region, locale=configuration.locale
            ),
        }
        if Action.SURROGATE in configuration.actions.values():
            self._add_surrogates(configuration)

    def _add_surrogates(self, configuration: Configuration) -> None:
        people = People(configuration.locale, self._chooser)
        places = Places(people, self._chooser)
        contacts = Contacts(configuration.locale, people, self._chooser)
        made: dict[EntityType, Transform] = {
            EntityType.PERSON: people.surrogate,
            EntityType.ORGANIZATION: places.organization,
            EntityType.LOCATION: places.location,
            EntityType.ADDRESS: places.address,
            EntityType.PHONE: contacts.phone,
            EntityType.FAX: contacts.phone,
            EntityType.EMAIL: contacts.email,
            EntityType.URL: contacts.url,
            EntityType.IP_ADDRESS: contacts.ip,
            EntityType.USERNAME: contacts.username,
            EntityType.DATE: self._moving.shift,
        }
        self._transforms |= {(entity, Action.SURROGATE): way for entity, way in made.items()}

    def apply(self, text: str, findings: Sequence[Finding], *, subject: str | None) -> Replaced:
        """Return `text` with `findings` (sorted, apart) replaced.

        `subject` is whose dates they are; without one the text is its own subject.

        Raises:
            ValueError: findings overlap, are out of order or outside of the text.
        """
        scope = text if subject is None else subject
        pieces: list[str] = []
        changes: list[Change] = []
        done = at = 0
        for finding in findings:
            if not done <= finding.start < finding.end <= len(text):
                raise ValueError("findings are sorted, not empty, and apart")
            pieces.append(text[done : finding.start])
            at += finding.start - done
            change = self._change(text, finding, scope, at)
            pieces.append(change.replacement)
            at, done = change.end, finding.end
            changes.append(change)
        pieces.append(text[done:])
        return Replaced("".join(pieces), tuple(changes))

    def value(self, entity: EntityType, value: str, *, subject: str | None) -> str:
        """Return what stands for a field that is an identifier as a whole."""
        action = self._configuration.action(entity)
        scope = value if subject is None else subject
        return self._replace(Seen(value, entity, scope=scope), action)

    def _change(self, text: str, finding: Finding, scope: str, at: int) -> Change:
        start, end = finding.start, finding.end
        action = self._configuration.action(finding.entity)
        seen = Seen(
            text[start:end],
            finding.entity,
            finding.kind,
            text[max(0, start - _BEFORE_CHARACTERS) : start],
            scope,
        )
        made = self._replace(seen, action)
        return Change(at, at + len(made), start, end, seen.value, made, finding.entity, action)

    def _replace(self, seen: Seen, action: Action) -> str:
        if action is Action.KEEP:
            return seen.value
        transform = self._transforms.get((seen.entity, action))
        made = transform(seen) if transform else self._otherwise(seen, action)
        return tag(seen.entity) if made is None else made

    def _otherwise(self, seen: Seen, action: Action) -> str | None:
        if action in (Action.SURROGATE, Action.TOKEN):
            return self._tokens.token(seen)
        return None
