"""Measures the residual risk record by record, in bounded memory, also in several processes.

Each worker meters its records; `merge` in the order of the records gives what one meter over all of
them would. The state holds counters and keyed hashes, no text, and pickles. It must be fed what is
written: records that a table plan leaves out are not added.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from typing import Final, Self

from sealtune.deid.config import Action, Configuration, Role
from sealtune.deid.entities import EntityType, Finding
from sealtune.deid.risk.combinations import ClassMeter, QuasiMeter
from sealtune.deid.risk.digits import tokens
from sealtune.deid.risk.leakage import LeakMeter
from sealtune.deid.risk.linkage import SAMPLE, LinkageMeter, Smallest
from sealtune.deid.risk.marks import Output, Span
from sealtune.deid.risk.residual import EntityFigures, ResidualRisk
from sealtune.deid.risk.second import SecondDetector
from sealtune.deid.risk.sketch import KeyedHash
from sealtune.deid.risk.words import Replacement, masked, texts, words

SMALL_CLASS_MIN: Final = 5  # records; more where the table's k is larger
_TENTHS: Final = 10
_THOUSAND: Final = 1_000


class RiskMeter:
    """What remains in the output of one run; `key` is 32 random bytes that stay with the owner.

    Meters of one process may share `seen`, which spares them work and changes no result.
    """

    def __init__(
        self,
        configuration: Configuration,
        key: bytes,
        *,
        sample: int = SAMPLE,
        seen: Smallest | None = None,
    ) -> None:
        hashed = KeyedHash(key)
        quasi = _named(configuration, Role.QUASI)
        kept = [kind for kind, action in configuration.actions.items() if action is Action.KEEP]
        small = max(SMALL_CLASS_MIN, configuration.table.k)
        self._records = 0
        self._unseen = 0
        self._quasi_fields = frozenset(quasi)  # generalized, and measured as combinations
        self._safe = frozenset(_named(configuration, Role.SAFE))
        self._entities = EntityMeter()
        self._second = SecondDetector(hashed, kept=kept)
        self._leaks = LeakMeter(hashed)
        self._quasi = QuasiMeter(hashed, quasi)
        self._classes = ClassMeter(hashed, _named(configuration, Role.SENSITIVE), below=small)
        self._linkage = LinkageMeter(hashed, size=sample, seen=seen)

    @property
    def records(self) -> int:
        """How many records were added."""
        return self._records

    def add(
        self,
        before: Mapping[str, object],
        after: Mapping[str, object],
        changes: Sequence[Replacement],
        *,
        findings: Iterable[Finding] = (),
    ) -> None:
        """Measure one record; `changes` are those of all its texts, whole fields included.

        `after` is the record as it is written. `findings` are all that the detectors gave for it.
        """
        self._records += 1
        number = self._records
        written = [
            (text, name in self._safe)
            for name, value in after.items()
            if name not in self._quasi_fields
            for text in texts({name: value})
        ]
        self._entities.add(findings, changes)
        self._text(written, changes, number)
        self._quasi.add(before, after, record=number)
        self._classes.add(after, record=number)
        self._linkage.add(before, [text for text, _ in written], changes, record=number)

    def _text(
        self, written: list[tuple[str, bool]], changes: Sequence[Replacement], number: int
    ) -> None:
        outputs = []
        seen: list[list[Span]] = []
        for text, safe in written:
            visible = masked(text, changes)
            found = words(visible)
            parts = tokens(visible)
            outputs.append(Output(visible, found, parts))
            if not safe:
                self._second.names(visible, found, record=number)
            sure = self._second.structured(visible, parts, record=number, safe=safe)
            seen.append([(item.start, item.end) for item in sure])
        leaks = self._leaks.add(outputs, changes, record=number)
        for mine, theirs in zip(leaks, seen, strict=True):
            self._unseen += sum(not _touched(span, theirs) for span in mine)

    def merge(self, other: Self) -> None:
        """Add what `other` measured of the records that follow these."""
        offset = self._records
        self._entities.merge(other._entities)
        self._second.merge(other._second, offset=offset)
        self._leaks.merge(other._leaks, offset=offset)
        self._quasi.merge(other._quasi, offset=offset)
        self._classes.merge(other._classes, offset=offset)
        self._linkage.merge(other._linkage, offset=offset)
        self._unseen += other._unseen
        self._records += other._records

    def result(self) -> ResidualRisk:
        """Return what was measured."""
        return ResidualRisk(
            records=self._records,
            entities=self._entities.result(),
            second=self._second.result(self._records),
            leaks=self._leaks.result(written_small=self._second.written_small),
            unseen_leaks=self._unseen,
            quasi=self._quasi.result(self._records),
            linkage=self._linkage.result(),
            small_classes=self._classes.result(),
        )


class EntityMeter:
    """Counts findings and changes by type, and how sure the detectors were."""

    def __init__(self) -> None:
        self._tenths: dict[EntityType, list[int]] = {}
        self._thousandths: Counter[EntityType] = Counter()  # whole numbers, so that sums merge
        self._changed: Counter[EntityType] = Counter()

    def add(self, findings: Iterable[Finding], changes: Iterable[Replacement]) -> None:
        """Count those of one record."""
        for finding in findings:
            tenths = self._tenths.setdefault(finding.entity, [0] * _TENTHS)
            tenths[min(_TENTHS - 1, int(finding.confidence * _TENTHS))] += 1
            self._thousandths[finding.entity] += round(finding.confidence * _THOUSAND)
        self._changed.update(change.entity for change in changes)

    def merge(self, other: EntityMeter) -> None:
        """Add what `other` counted."""
        for entity, tenths in other._tenths.items():
            mine = self._tenths.setdefault(entity, [0] * _TENTHS)
            self._tenths[entity] = [one + more for one, more in zip(mine, tenths, strict=True)]
        self._thousandths += other._thousandths
        self._changed += other._changed

    def result(self) -> dict[str, EntityFigures]:
        """Return the figures by the names of the types."""
        return {
            entity.value: self._figures(entity)
            for entity in EntityType
            if entity in self._tenths or self._changed[entity]
        }

    def _figures(self, entity: EntityType) -> EntityFigures:
        tenths = self._tenths.get(entity, [0] * _TENTHS)
        found = sum(tenths)
        return EntityFigures(
            found=found,
            changed=self._changed[entity],
            confidence_mean=self._thousandths[entity] / found / _THOUSAND if found else None,
            confidence=tuple(tenths),
        )


def _named(configuration: Configuration, role: Role) -> list[str]:
    return [name for name, rule in configuration.fields.items() if rule.role is role]


def _touched(span: Span, others: Sequence[Span]) -> bool:
    return any(start < span[1] and span[0] < end for start, end in others)
