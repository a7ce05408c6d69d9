"""What a de-identification did: digests, counts, what was looked with, what is to be known."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from sealtune.core.digest import Digest
from sealtune.deid.config import Configuration, Role
from sealtune.deid.records.shard import Format
from sealtune.deid.tally import Tally

_SHOWN_MAX: Final = 8


@dataclass(frozen=True, slots=True, kw_only=True)
class DeidSummary:
    """The outcome of a run.

    `records_digest` is what a bundle of the output has; for plain text, a paragraph is a record.
    `counts` and `confidence` are by type, the latter a histogram of ten bins. `resumed` shards were
    finished by an earlier run. `statement` says in words what risk remains, `table` what was
    reached for quasi-identifiers. `report` and `vault` are files, if there are such.
    """

    input: Path
    output: Path
    format: Format
    profile: str
    configuration_digest: Digest
    key_id: str
    input_digest: Digest
    output_digest: Digest
    records_digest: Digest
    input_bytes: int
    output_bytes: int
    records: int
    changed_records: int
    counts: Mapping[str, int]
    confidence: Mapping[str, Sequence[int]]
    actions: Mapping[str, int]
    detectors: Mapping[str, int]
    modes: tuple[str, ...]
    notes: tuple[str, ...]
    shards: int
    resumed: int
    residual_per_10000: float
    word: str
    statement: str
    not_looked_for: tuple[str, ...]
    table: Mapping[str, object] | None
    report: Path | None
    report_page: Path | None
    vault: Path | None


def notes_of(tally: Tally, configuration: Configuration) -> tuple[str, ...]:
    """Return what the owner should know of the fields of its records."""
    notes = []
    if tally.unnamed:
        names = sorted(tally.unnamed)
        text = f"fields that the configuration does not name were treated as text: {_some(names)}"
        notes.append(text)
    partial = [name for name, count in sorted(tally.unnamed.items()) if count < tally.records]
    if partial:
        notes.append(f"fields that only some records have: {_some(partial)}")
    for name, rule in configuration.fields.items():
        if name.partition(".")[0] not in tally.named and tally.records:
            notes.append(f"no record has the field {name!r}, which is named as {rule.role.value}")
    if untouched := _untouched(tally, configuration):
        text = "fields with the role quasi stay as they are, as [table] asks for nothing"
        notes.append(f"{text}: {_some(untouched)}")
    if tally.left_out:
        notes.append(f"{tally.left_out} records were left out, so that the table's terms hold")
    notes += [f"{what}: {count}" for what, count in sorted(tally.conversions.items()) if count]
    return tuple(notes)


def _untouched(tally: Tally, configuration: Configuration) -> list[str]:
    """Return the quasi-identifiers that neither a table nor the profile made coarse."""
    if configuration.table.asks:
        return []
    quasi = [name for name, rule in configuration.fields.items() if rule.role is Role.QUASI]
    return [n for n in quasi if n.partition(".")[0] in tally.named and not tally.coarse[n]]


def _some(names: Sequence[str]) -> str:
    shown = ", ".join(names[:_SHOWN_MAX])
    return f"{shown} and {len(names) - _SHOWN_MAX} more" if len(names) > _SHOWN_MAX else shown
