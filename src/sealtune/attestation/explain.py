"""Evidence in words: each decoded field, and what it means (spec/attestation §17.5).

Decodes and verifies nothing: whoever sent the evidence may have written all of it.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from sealtune.attestation.event_log import Bank, EventLog, read_event_log, replay
from sealtune.attestation.evidence import Evidence, EvidenceKind
from sealtune.attestation.explain_fields import decoded_fields
from sealtune.attestation.explain_words import meaning_of
from sealtune.errors import SealtuneError

EVENT_LOG = "event_log"
# The bank whose registers a kind's evidence has.
_BANKS = {EvidenceKind.TDX: Bank.SHA384}
_PCR_BANK = Bank.SHA256


@dataclass(frozen=True, slots=True, kw_only=True)
class Field:
    """One field by its path, its value as JSON has it, and what it means."""

    path: tuple[str, ...]
    value: str | int | float | bool | None
    meaning: str

    @property
    def name(self) -> str:
        """The path as one word."""
        return ".".join(self.path)


@dataclass(frozen=True, slots=True, kw_only=True)
class Explanation:
    """What one machine's or device's evidence says; nothing of it is verified."""

    kind: EvidenceKind
    size: int
    fields: Mapping[str, Any]
    rows: tuple[Field, ...]
    devices: tuple[Explanation, ...]

    def to_dict(self) -> dict[str, Any]:
        """Return the explanation as a JSON object."""
        written: dict[str, Any] = {
            "type": str(self.kind),
            "bytes": self.size,
            "fields": dict(self.fields),
            "meanings": {row.name: row.meaning for row in self.rows if row.meaning},
        }
        if self.devices:
            written["devices"] = [one.to_dict() for one in self.devices]
        return written


def explain(evidence: Evidence) -> Explanation:
    """Return every field of `evidence` that can be read, with a word on each; trusts none."""
    fields = dict(decoded_fields(evidence))
    if EVENT_LOG in evidence.parts:
        fields[EVENT_LOG] = _event_log(evidence.part(EVENT_LOG), kind=evidence.kind)
    return Explanation(
        kind=evidence.kind,
        size=evidence.size,
        fields=fields,
        rows=tuple(
            row
            for name, value in fields.items()
            for row in _rows(value, (name,), kind=evidence.kind)
        ),
        devices=tuple(map(explain, evidence.devices)),
    )


def _rows(value: Any, path: tuple[str, ...], *, kind: EvidenceKind) -> Iterator[Field]:
    inner: Iterator[tuple[str, Any]] | None = None
    if isinstance(value, Mapping) and value:
        inner = iter(value.items())
    elif isinstance(value, list) and any(isinstance(item, dict | list | str) for item in value):
        inner = ((str(index), item) for index, item in enumerate(value))
    if inner is not None:
        for name, item in inner:
            yield from _rows(item, (*path, name), kind=kind)
        return
    if isinstance(value, list | Mapping):
        value = ", ".join(map(str, value)) or "none"
    yield Field(path=path, value=value, meaning=meaning_of(path, kind=kind))


def _event_log(data: bytes, *, kind: EvidenceKind) -> dict[str, Any]:
    try:
        log = read_event_log(data)
        bank = _BANKS.get(kind, _PCR_BANK)
        replayed = _replayed(log, bank, kind=kind) if bank in log.banks else {}
    except SealtuneError as error:
        return {"error": error.message}
    return {
        "events": len(log.events),
        "banks": ", ".join(map(str, log.banks)),
        "replayed": replayed,
    }


def _replayed(log: EventLog, bank: Bank, *, kind: EvidenceKind) -> dict[str, str]:
    # In a confidential guest's log, register n is RTMR n-1.
    name, first = ("rtmr", 1) if kind is EvidenceKind.TDX else ("pcr", 0)
    return {
        f"{name}{register - first}": value.hex()
        for register, value in sorted(replay(log, bank=bank).items())
    }
