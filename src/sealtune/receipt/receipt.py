"""The TrainingReceipt as it travels: a signed statement and evidence (docs/spec/receipt.md §1, §3).

Made by a worker at the end of a run. Bounded and strict about form; says nothing about truth. That
is `verify`.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from sealtune.attestation.binding import receipt_report_data
from sealtune.attestation.evidence import Evidence, evidence_from_dict
from sealtune.core.canonical import canonical_json, parse_json
from sealtune.core.digest import Digest, sha256_digest
from sealtune.core.limits import ENVELOPE_BYTES_MAX, RECEIPT_BYTES_MAX
from sealtune.crypto.dsse import Envelope, envelope_from_dict, sign_envelope
from sealtune.crypto.signing import SigningKey
from sealtune.errors import Code, FormatError
from sealtune.receipt.schema import parse_statement

RECEIPT_FORMAT = "sealtune-receipt/1"
RECEIPT_PAYLOAD_TYPE = "application/vnd.in-toto+json"


@dataclass(frozen=True, slots=True, kw_only=True)
class TrainingReceipt:
    """A receipt that nobody has verified yet."""

    envelope: Envelope
    evidence: Evidence

    def to_dict(self) -> dict[str, Any]:
        """Return the JSON object of spec/receipt §1.1."""
        return {
            "format": RECEIPT_FORMAT,
            "envelope": self.envelope.to_dict(),
            "evidence": self.evidence.to_dict(),
        }

    def to_json(self) -> bytes:
        """Return the receipt as a file: canonical JSON."""
        return canonical_json(self.to_dict())

    @property
    def digest(self) -> Digest:
        """The digest that names this receipt (§1.2)."""
        return sha256_digest(self.to_json())


def make_receipt(
    statement: bytes, *, key: SigningKey, attest: Callable[[bytes], Evidence]
) -> TrainingReceipt:
    """Return `statement` signed by the worker's `key`, with the evidence that binds it (§3, §4).

    `attest` gets the 64 bytes of report_data and returns Evidence of the guest that runs this.

    Raises:
        FormatError: `statement` is none.
        ValueError: `key` is not the worker's key that it names.
    """
    predicate = parse_statement(statement).predicate
    if predicate.worker.signing != key.public:
        raise ValueError("the statement names another worker key")
    report_data = receipt_report_data(
        statement=sha256_digest(statement),
        worker=predicate.worker_keys,
        contract=predicate.contract_digest,
    )
    envelope = sign_envelope(statement, payload_type=RECEIPT_PAYLOAD_TYPE, keys=[key])
    return TrainingReceipt(envelope=envelope, evidence=attest(report_data))


def parse_receipt(data: bytes, *, what: str = "receipt") -> TrainingReceipt:
    """Return the receipt in `data`, unverified; `what` names it in errors.

    Raises:
        FormatError: too large, not JSON, not a receipt.
    """
    return receipt_from_dict(parse_json(data, limit=RECEIPT_BYTES_MAX, what=what), what=what)


def receipt_from_dict(value: object, *, what: str = "receipt") -> TrainingReceipt:
    """Return the receipt that the JSON object `value` is, unverified.

    Raises:
        FormatError: another format, or a field missing, unknown or of another form.
    """
    if not isinstance(value, dict) or value.get("format") != RECEIPT_FORMAT:
        reason = f"not a receipt of format {RECEIPT_FORMAT}"
        raise FormatError(Code.RECEIPT_MALFORMED, f"{what}: {reason}")
    if value.keys() != {"format", "envelope", "evidence"}:
        reason = "has exactly format, envelope and evidence"
        raise FormatError(Code.RECEIPT_MALFORMED, f"{what}: {reason}")
    envelope = envelope_from_dict(value["envelope"], what=what)
    if len(envelope.payload) > ENVELOPE_BYTES_MAX:
        raise FormatError(Code.LIMIT_EXCEEDED, f"{what}: its statement is too large")
    return TrainingReceipt(envelope=envelope, evidence=evidence_from_dict(value["evidence"]))
