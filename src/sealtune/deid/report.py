"""The de-identification report: what was found, done and left, signed by the data's owner.

An in-toto statement about the output in a DSSE envelope (docs/spec/deidentification.md §7). It
proves who says so and about which bytes, not that it is so: the owner measured its own data. Holds
no content of any record and no file name; does no I/O.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Annotated, Any, Final, Literal, Protocol, Self

from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

import sealtune
from sealtune.core.canonical import canonical_json, parse_json
from sealtune.core.clock import format_time, parse_time
from sealtune.core.digest import Digest, digest_bytes, sha256_digest
from sealtune.core.limits import MIB
from sealtune.crypto.dsse import Envelope, parse_envelope, sign_envelope, verify_envelope
from sealtune.crypto.signing import SigningKey, VerifyingKey
from sealtune.deid.config import PROFILES, Configuration
from sealtune.errors import Code, FormatError

STATEMENT_TYPE: Final = "https://in-toto.io/Statement/v1"
PREDICATE_TYPE: Final = "https://sealtune.dev/deidentification/v1"
PAYLOAD_TYPE: Final = "application/vnd.in-toto+json"
# 10x a report on a table with 200 fields; twice of it in base64 is well below a broker's message.
REPORT_BYTES_MAX: Final = MIB
_WHAT: Final = "de-identification report"

Hex = Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")]
Count = Annotated[int, Field(ge=0, le=2**53 - 1)]
Text = Annotated[str, Field(max_length=20_000)]
Counts = Annotated[dict[str, Count], Field(max_length=1_000)]


class Summary(Protocol):
    """What a report takes from a run's summary (`deid.summary.DeidSummary` has more)."""

    @property
    def configuration_digest(self) -> Digest: ...
    @property
    def key_id(self) -> str: ...
    @property
    def input_digest(self) -> Digest: ...
    @property
    def output_digest(self) -> Digest: ...
    @property
    def records_digest(self) -> Digest: ...
    @property
    def records(self) -> int: ...
    @property
    def changed_records(self) -> int: ...
    @property
    def counts(self) -> Mapping[str, int]: ...
    @property
    def confidence(self) -> Mapping[str, Sequence[int]]: ...
    @property
    def actions(self) -> Mapping[str, int]: ...
    @property
    def detectors(self) -> Mapping[str, int]: ...
    @property
    def modes(self) -> tuple[str, ...]: ...
    @property
    def notes(self) -> tuple[str, ...]: ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Measured:
    """What was measured on the output, as JSON: the residual risk, its words, the table's result.

    `table` is `{"k", "l", "t", "suppressed"}` where quasi-identifiers were generalized.
    """

    risk: Mapping[str, Any]
    statement: Mapping[str, Any]
    table: Mapping[str, Any] | None = None


class _Section(BaseModel):
    model_config = ConfigDict(strict=True, extra="forbid", frozen=True, allow_inf_nan=False)


class _Open(BaseModel):
    """Figures of which only those that decide have a fixed form; the others are for people."""

    model_config = ConfigDict(strict=True, extra="allow", frozen=True, allow_inf_nan=False)


class Quasi(_Open):
    """What the quasi-identifiers give away: the smallest group that shares them."""

    k: Count


class Risk(_Open):
    """The residual risk."""

    records: Count
    residual_per_10000: Annotated[float, Field(ge=0)]
    quasi: Quasi | None


class Statement(_Open):
    """The words of the risk; `word` is `anonymized` only where `test` names what passed."""

    word: Literal["de-identified", "anonymized"]
    test: Text
    text: Text
    not_looked_for: Annotated[tuple[Text, ...], Field(max_length=100)]

    @model_validator(mode="after")
    def _word_is_earned(self) -> Self:
        if self.word == "anonymized" and not self.test:
            raise ValueError("'anonymized' without the test that passed")
        return self


class SubjectDigest(_Section):
    """The output as a file, and as the lines that sealing makes of its records."""

    sha256: Hex
    records: Annotated[Hex, Field(alias="sealtuneRecords")]


class Subject(_Section):
    """The output; its file's name is nobody's business."""

    name: Literal["output"]
    digest: SubjectDigest


class Predicate(_Section):
    """What a report states (spec/deidentification §7.2)."""

    configuration: dict[str, Any]
    configuration_digest: Hex
    input: Hex
    records: Annotated[int, Field(ge=1, le=2**53 - 1)]
    changed_records: Count
    found: Counts
    confidence: Annotated[dict[str, tuple[Count, ...]], Field(max_length=100)]
    actions: Counts
    detectors: Counts
    modes: Annotated[tuple[Text, ...], Field(min_length=1, max_length=64)]
    notes: Annotated[tuple[Text, ...], Field(max_length=1_000)]
    risk: Risk
    statement: Statement
    table: dict[str, Any] | None
    key_id: Text
    reversible: bool
    sealtune: Text
    time: str

    @model_validator(mode="after")
    def _agree(self) -> Self:
        parse_time(self.time)
        if self.risk.records != self.records:
            raise ValueError("the risk was measured on another number of records")
        if (
            sha256_digest(canonical_json(self.configuration))
            != f"sha256:{self.configuration_digest}"
        ):
            raise ValueError("configuration_digest is not that of the configuration")
        return self


class Document(_Section):
    """An in-toto Statement v1 about one output."""

    type: Annotated[Literal["https://in-toto.io/Statement/v1"], Field(alias="_type")]
    subject: Annotated[tuple[Subject, ...], Field(min_length=1, max_length=1)]
    predicate_type: Annotated[
        Literal["https://sealtune.dev/deidentification/v1"], Field(alias="predicateType")
    ]
    predicate: Predicate


@dataclass(frozen=True, slots=True, kw_only=True)
class DeidReport:
    """A report whose fields agree with each other; who signed it, nobody has asked."""

    document: Document
    deidentification: Configuration
    payload: bytes

    @property
    def digest(self) -> Digest:
        """The digest by which a bundle's header names the report: of what is signed."""
        return sha256_digest(self.payload)

    @property
    def records_digest(self) -> Digest:
        """The digest over the lines of all records in order, as shards hold them."""
        return Digest(f"sha256:{self.document.subject[0].digest.records}")

    @property
    def output_digest(self) -> Digest:
        """The digest of the output's file."""
        return Digest(f"sha256:{self.document.subject[0].digest.sha256}")

    @property
    def predicate(self) -> Predicate:
        """What it states."""
        return self.document.predicate

    @property
    def modes(self) -> tuple[str, ...]:
        """The detectors that ran."""
        return self.predicate.modes

    @property
    def residual_per_10000(self) -> float:
        """How many identifiers are held to be left in 10,000 records."""
        return self.predicate.risk.residual_per_10000

    @property
    def k(self) -> int | None:
        """The smallest group that shares its quasi-identifiers, if there are any.

        Of records, or of subjects where a table counted those and they are fewer: one person with
        many records hides nobody.
        """
        quasi, table = self.predicate.risk.quasi, self.predicate.table
        if quasi is None:
            return None
        counted = None if table is None else table.get("k")
        return min(quasi.k, counted) if isinstance(counted, int) else quasi.k

    @property
    def k_of(self) -> str:
        """What `k` counts: `records` or `subjects`."""
        quasi, table = self.predicate.risk.quasi, self.predicate.table
        if quasi is None or table is None or self.deidentification.subject_field is None:
            return "records"
        counted = table.get("k")
        return "subjects" if isinstance(counted, int) and counted <= quasi.k else "records"

    def to_dict(self) -> dict[str, Any]:
        """Return the statement as JSON."""
        return self.document.model_dump(mode="json", by_alias=True)


@dataclass(frozen=True, slots=True, kw_only=True)
class VerifiedReport:
    """A report that `owner` signed."""

    report: DeidReport
    owner: VerifyingKey
    envelope: Envelope


def build_report(
    summary: Summary, *, configuration: Configuration, measured: Measured, now: datetime
) -> DeidReport:
    """Return the report on a run.

    Raises:
        FormatError: figures that disagree, or are too many for a report.
        ValueError: the run had another configuration.
    """
    if summary.configuration_digest != configuration.digest:
        raise ValueError("the run had another configuration")
    document = {
        "_type": STATEMENT_TYPE,
        "predicateType": PREDICATE_TYPE,
        "subject": [
            {
                "name": "output",
                "digest": {
                    "sha256": _hex(summary.output_digest),
                    "sealtuneRecords": _hex(summary.records_digest),
                },
            }
        ],
        "predicate": {
            **_run(summary),
            "configuration": configuration.to_dict(),
            "configuration_digest": _hex(configuration.digest),
            "risk": dict(measured.risk),
            "statement": dict(measured.statement),
            "table": None if measured.table is None else dict(measured.table),
            "reversible": configuration.reversible,
            "sealtune": sealtune.__version__,
            "time": format_time(now),
        },
    }
    return parse_report(canonical_json(document))


def parse_report(payload: bytes) -> DeidReport:
    """Return the report whose canonical JSON is `payload`, unverified.

    Raises:
        FormatError: too large, not JSON, no such statement, another spelling, or fields that
            disagree.
    """
    parse_json(payload, limit=REPORT_BYTES_MAX, what=_WHAT)  # strictly: names twice, depth, numbers
    try:
        document = Document.model_validate_json(payload)
        configuration = Configuration.model_validate(document.predicate.configuration)
    except ValidationError as error:
        first = error.errors(include_url=False, include_input=False, include_context=False)[0]
        place = ".".join(str(part) for part in first["loc"])
        # Not the value: a report of unknown make may hold anything.
        raise _malformed(f"{ascii(place)[1:-1][:80]}: {first['type']}") from None
    if configuration.profile not in PROFILES or configuration.digest != _configured(document):
        # Whatever a report leaves out of its configuration is not what ran.
        raise _malformed("configuration: of an unknown profile, or not every field of it")
    if configuration.reversible != document.predicate.reversible:
        raise _malformed("reversible: not as the configuration says")
    if canonical_json(document.model_dump(mode="json", by_alias=True)) != payload:
        raise _malformed("not its canonical JSON")
    return DeidReport(document=document, deidentification=configuration, payload=payload)


def sign_report(report: DeidReport, *, owner: SigningKey) -> bytes:
    """Return `report` in an envelope signed by `owner`."""
    return sign_envelope(report.payload, payload_type=PAYLOAD_TYPE, keys=[owner]).to_json()


def verify_report(data: bytes, *, owner: VerifyingKey) -> VerifiedReport:
    """Return the report in the envelope `data` once `owner`, and nobody else, has signed it.

    Raises:
        FormatError: too large, no envelope, or no report in it.
        VerificationError: another payload type; not signed by `owner`, or by others as well.
    """
    if len(data) > 2 * REPORT_BYTES_MAX:
        raise FormatError(Code.LIMIT_EXCEEDED, f"{_WHAT}: more than {2 * REPORT_BYTES_MAX} bytes")
    return verify_report_envelope(parse_envelope(data, what=_WHAT), owner=owner)


def verify_report_envelope(envelope: Envelope, *, owner: VerifyingKey) -> VerifiedReport:
    """Do what `verify_report` does, from the envelope on."""
    verified = verify_envelope(envelope, payload_type=PAYLOAD_TYPE, required=[owner])
    return VerifiedReport(report=parse_report(verified.payload), owner=owner, envelope=envelope)


def _run(summary: Summary) -> dict[str, Any]:
    return {
        "input": _hex(summary.input_digest),
        "records": summary.records,
        "changed_records": summary.changed_records,
        "found": dict(summary.counts),
        "confidence": {name: list(bins) for name, bins in summary.confidence.items()},
        "actions": dict(summary.actions),
        "detectors": dict(summary.detectors),
        "modes": list(summary.modes),
        "notes": list(summary.notes),
        "key_id": summary.key_id,
    }


def _configured(document: Document) -> str:
    return f"sha256:{document.predicate.configuration_digest}"


def _hex(digest: Digest) -> str:
    return digest_bytes(digest).hex()


def _malformed(reason: str) -> FormatError:
    return FormatError(Code.DEID_REPORT_MALFORMED, f"{_WHAT}: {reason}")
