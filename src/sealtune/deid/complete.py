"""The end of a run: one file from all parts, its digests, its risk, its report and its vault.

All are written in the work folder first and named at the very end, the output last of all.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from sealtune.core.clock import SystemClock
from sealtune.core.digest import Digest, sha256_file
from sealtune.core.files import storage_errors, write_atomic
from sealtune.deid.assemble import assemble, publish, records_digest
from sealtune.deid.config import Configuration
from sealtune.deid.engine import risk_meter
from sealtune.deid.preflight import side_paths
from sealtune.deid.records.shard import Source
from sealtune.deid.report import Measured, build_report, sign_report, verify_report
from sealtune.deid.report_page import write_report_page
from sealtune.deid.risk import ResidualRisk, RiskStatement, risk_statement
from sealtune.deid.side_files import RISK, VAULT, merge_meters
from sealtune.deid.summary import DeidSummary, notes_of
from sealtune.deid.tally import Tally
from sealtune.deid.vault import merge_parts, write_vault
from sealtune.deid.work_folder import WorkFolder, mark_named

if TYPE_CHECKING:
    from sealtune.crypto.identity import Identity
    from sealtune.deid.key import DeidKey
    from sealtune.deid.tables.plan import TableResult


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """What the shards of a run came to."""

    source: Source
    work: WorkFolder
    tally: Tally
    header: tuple[str, ...]
    modes: tuple[str, ...]
    shards: int
    resumed: int
    table: TableResult | None


def complete(
    outcome: Outcome,
    given: Path,
    output: Path,
    *,
    configuration: Configuration,
    key: DeidKey,
    owner: Identity | None,
) -> DeidSummary:
    """Put the parts together, measure, and give everything its final name.

    Raises:
        StorageError: the disk refuses or is full, or a name is taken.
        VerificationError: a file of the work folder was changed.
    """
    work, kind = outcome.work, outcome.source.format
    whole = work.path / f"whole{output.suffix.lower()}"
    indexes = range(outcome.shards)
    assemble(whole, [work.part(at) for at in indexes], kind=kind, header=outcome.header)
    meters = [work.part(at, RISK) for at in indexes]
    risk = merge_meters(meters, risk_meter(configuration, key), key=key).result()
    statement = risk_statement(
        risk,
        configuration=configuration,
        table=outcome.table,
        modes=outcome.modes,
        unnamed=bool(outcome.tally.unnamed),
    )
    sides = side_paths(output, configuration=configuration, signed=owner is not None)
    summary = _summary(outcome, given, output, configuration, key.id) | {
        "output_digest": sha256_file(whole),
        "output_bytes": whole.stat().st_size,
        "records_digest": records_digest(whole, kind, text_field=configuration.text_field),
        "residual_per_10000": risk.residual_per_10000,
        "statement": statement.text,
        "word": statement.word,
        "not_looked_for": statement.not_looked_for,
        "table": None if outcome.table is None else outcome.table.to_dict(),
        "vault": sides.get(VAULT),
        "report": sides.get("report"),
        "report_page": sides.get("page"),
    }
    made = DeidSummary(**summary)
    if configuration.reversible:
        _vault(outcome, configuration, key, made.output_digest)
    if owner is not None:
        _report(outcome, made, configuration, _measured(risk, statement, outcome.table), owner)
    _publish(work, sides, whole, output)
    return made


def _summary(
    outcome: Outcome, given: Path, output: Path, configuration: Configuration, key_id: str
) -> dict[str, Any]:
    tally = outcome.tally
    notes = (*outcome.source.notes, *notes_of(tally, configuration))
    if outcome.work.discarded:
        notes += ("what an earlier run had finished was made under other terms and not used",)
    return {
        "input": given,
        "output": output,
        "format": outcome.source.format,
        "profile": configuration.profile,
        "configuration_digest": configuration.digest,
        "key_id": key_id,
        "input_digest": outcome.source.digest(),
        "input_bytes": outcome.source.total,
        "records": tally.records,
        "changed_records": tally.changed_records,
        "counts": tally.counts(),
        "confidence": dict(sorted(tally.confidence.items())),
        "actions": dict(sorted(tally.actions.items())),
        "detectors": dict(sorted(tally.detectors.items())),
        "modes": outcome.modes,
        "notes": notes,
        "shards": outcome.shards,
        "resumed": outcome.resumed,
    }


def _vault(outcome: Outcome, configuration: Configuration, key: DeidKey, dataset: Digest) -> None:
    work = outcome.work
    parts = (work.part(at, VAULT).read_bytes() for at in range(outcome.shards))
    with storage_errors(work.path):
        entries = merge_parts(parts, key=key)
    write_vault(work.path / VAULT, entries, key=key, dataset=dataset, configuration=configuration)


def _measured(risk: ResidualRisk, statement: RiskStatement, table: TableResult | None) -> Measured:
    return Measured(
        risk=risk.to_dict(),
        statement=statement.to_dict(),
        table=None if table is None else table.to_dict(),
    )


def _report(
    outcome: Outcome,
    summary: DeidSummary,
    configuration: Configuration,
    measured: Measured,
    owner: Identity,
) -> None:
    report = build_report(
        summary, configuration=configuration, measured=measured, now=SystemClock().now()
    )
    envelope = sign_report(report, owner=owner.signing)
    write_atomic(outcome.work.path / "report", envelope)
    verified = verify_report(envelope, owner=owner.signing.public)
    write_report_page(verified, outcome.work.path / "page")


def _publish(work: WorkFolder, sides: dict[str, Path], whole: Path, output: Path) -> None:
    """Name everything; after a crash amid it the next run knows by the mark what is its own."""
    if mark_named(work.path):
        for path in sides.values():
            path.unlink(missing_ok=True)
    for kind, path in sides.items():
        publish(work.path / kind, path)
    publish(whole, output)
