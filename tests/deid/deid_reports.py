"""Reports of runs that never were, for tests of what is done with reports."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import UTC, datetime

from sealtune.core.digest import Digest, sha256_digest
from sealtune.deid.config import PROFILES, Configuration
from sealtune.deid.report import DeidReport, Measured, build_report

NOW = datetime(2026, 11, 30, 12, tzinfo=UTC)
INPUT = sha256_digest(b"input")
OUTPUT = sha256_digest(b"output")
RECORDS = sha256_digest(b"records")
HIPAA = PROFILES["hipaa-safe-harbor"]


@dataclass(frozen=True, kw_only=True)
class Run:
    configuration_digest: Digest = HIPAA.digest
    key_id: str = "key-1"
    input_digest: Digest = INPUT
    output_digest: Digest = OUTPUT
    records_digest: Digest = RECORDS
    records: int = 100
    changed_records: int = 90
    counts: dict[str, int] = field(default_factory=lambda: {"person": 120})
    confidence: dict[str, list[int]] = field(default_factory=lambda: {"person": [0] * 9 + [120]})
    actions: dict[str, int] = field(default_factory=lambda: {"surrogate": 120})
    detectors: dict[str, int] = field(default_factory=lambda: {"names": 120})
    modes: tuple[str, ...] = ("rules", "names: lists")
    notes: tuple[str, ...] = ()


def make_report(
    *,
    configuration: Configuration = HIPAA,
    residual: float = 2.5,
    k: int | None = None,
    records: Digest = RECORDS,
    word: str = "de-identified",
) -> DeidReport:
    risk = {"records": 100, "residual_per_10000": residual, "quasi": k and {"k": k, "unique": 0.0}}
    statement = {"word": word, "test": "", "text": "Said.", "not_looked_for": ["images"]}
    return build_report(
        Run(configuration_digest=configuration.digest, records_digest=records),
        configuration=configuration,
        measured=Measured(risk=risk, statement=statement),
        now=NOW,
    )
