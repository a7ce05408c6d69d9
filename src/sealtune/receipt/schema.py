"""The receipt's statement as data (docs/spec/receipt.md §2): every field with its form and range.

This is where a receipt's bytes enter: frozen models, no unknown field, no conversion. Says nothing
about truth; that is `verify`.
"""

from __future__ import annotations

from typing import Annotated, Any, Final, Literal, Self

from pydantic import Field, ValidationError, model_validator

from sealtune.attestation.binding import WorkerKeys
from sealtune.contract.fields import (
    DigestText,
    Distinct,
    MetricName,
    Name,
    PrintableText,
    Section,
    Time,
)
from sealtune.contract.problems import field_problems
from sealtune.contract.schema import ContractRecipe, InputKind, Keys, OutputKind
from sealtune.core.canonical import canonical_json, parse_json
from sealtune.core.clock import parse_time
from sealtune.core.digest import Digest
from sealtune.core.limits import (
    CONTRACT_BROKERS_MAX,
    CONTRACT_INPUTS_MAX,
    CONTRACT_METRICS_MAX,
    CONTRACT_PARTIES_MAX,
    OUTPUT_BYTES_MAX,
    RECEIPT_BYTES_MAX,
    RECEIPT_FILES_MAX,
)
from sealtune.errors import Code, FormatError

STATEMENT_TYPE: Final = "https://in-toto.io/Statement/v1"
PREDICATE_TYPE: Final = "https://sealtune.dev/TrainingReceipt/v1"
RESULT_NAME: Final = "result.sealed"

RunId = Annotated[str, Field(pattern=r"^[0-9a-f]{32}$")]
Hex = Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")]
# No part begins with a dot, so that no name leads out of its folder or hides in it.
FileName = Annotated[
    str,
    Field(
        max_length=255,
        pattern=r"^[A-Za-z0-9_-][A-Za-z0-9._-]*(?:/[A-Za-z0-9_-][A-Za-z0-9._-]*)*$",
    ),
]
Count = Annotated[int, Field(ge=0)]


class BundleDigest(Section):
    """The digest of a sealed bundle; not the SHA-256 of a file, and not named as if it were."""

    bundle: Annotated[Hex, Field(alias="sealtuneBundle")]


class FileDigest(Section):
    """The SHA-256 of a file."""

    sha256: Hex


class ResultSubject(Section):
    """The sealed result."""

    name: Literal["result.sealed"]
    digest: BundleDigest


class FileSubject(Section):
    """One file of the opened result."""

    name: FileName
    digest: FileDigest


class ContractReference(Section):
    """The contract that the run obeyed."""

    name: Name
    digest: DigestText


class InputReference(Section):
    """One input, as the contract names it."""

    name: Name
    kind: InputKind
    digest: DigestText
    owner: Name


class Release(Section):
    """What a broker's signed answer said when it released its keys."""

    broker: Name
    signing_key: PrintableText
    log_size: Count
    log_head: DigestText
    time: Time


class Result(Section):
    """What was sealed to whom."""

    kind: OutputKind
    recipients: Annotated[
        tuple[Name, ...], Field(min_length=1, max_length=CONTRACT_PARTIES_MAX), Distinct
    ]
    bytes: Annotated[int, Field(ge=0, le=OUTPUT_BYTES_MAX)]


class Predicate(Section):
    """What a TrainingReceipt states (§2.2)."""

    contract: ContractReference
    run_id: RunId
    insecure_simulated: bool
    started: Time
    finished: Time
    inputs: Annotated[
        tuple[InputReference, ...], Field(min_length=1, max_length=CONTRACT_INPUTS_MAX)
    ]
    recipe: ContractRecipe
    metrics: Annotated[dict[MetricName, float], Field(max_length=CONTRACT_METRICS_MAX)]
    counts: Annotated[dict[MetricName, Count], Field(max_length=CONTRACT_METRICS_MAX)]
    software: Annotated[dict[Name, PrintableText], Field(max_length=64)]
    worker: Keys
    releases: Annotated[tuple[Release, ...], Field(min_length=1, max_length=CONTRACT_BROKERS_MAX)]
    result: Result
    model_signer: DigestText

    @model_validator(mode="after")
    def _in_order(self) -> Self:
        if parse_time(self.finished) < parse_time(self.started):
            raise ValueError("finished is earlier than started")
        return self

    @property
    def contract_digest(self) -> Digest:
        """The digest of the contract that the run obeyed."""
        return Digest(self.contract.digest)

    @property
    def worker_keys(self) -> WorkerKeys:
        """The keys that the worker made inside the enclave."""
        return WorkerKeys(recipient=self.worker.recipient, signing=self.worker.signing)


class Statement(Section):
    """An in-toto Statement v1 about one run."""

    type: Annotated[Literal["https://in-toto.io/Statement/v1"], Field(alias="_type")]
    subject: Annotated[
        tuple[ResultSubject | FileSubject, ...],
        Field(min_length=2, max_length=RECEIPT_FILES_MAX),
    ]
    predicate_type: Annotated[
        Literal["https://sealtune.dev/TrainingReceipt/v1"], Field(alias="predicateType")
    ]
    predicate: Predicate

    @model_validator(mode="after")
    def _subjects_are_named_once(self) -> Self:
        kinds = [isinstance(item, ResultSubject) for item in self.subject]
        if not kinds[0] or any(kinds[1:]):
            raise ValueError("the first subject and no other is the sealed result")
        if len({item.name for item in self.subject}) != len(self.subject):
            raise ValueError("a subject's name occurs twice")
        return self

    @property
    def bundle(self) -> Digest:
        """The digest of the sealed result."""
        result = next(item for item in self.subject if isinstance(item, ResultSubject))
        return Digest(f"sha256:{result.digest.bundle}")

    @property
    def files(self) -> dict[str, Digest]:
        """The digests of the opened result's files, by name."""
        files = (item for item in self.subject if isinstance(item, FileSubject))
        return {item.name: Digest(f"sha256:{item.digest.sha256}") for item in files}


def statement_bytes(document: Any) -> bytes:
    """Return the canonical bytes of a statement's JSON object, once it is a statement.

    Raises:
        FormatError: a field is unknown, missing or wrong.
    """
    data = canonical_json(document)
    parse_statement(data)
    return data


def parse_statement(data: bytes) -> Statement:
    """Return the statement whose canonical JSON is `data` (spec/receipt §2).

    Raises:
        FormatError: too large, not JSON, not a statement of this kind, or another spelling.
    """
    what = "receipt"
    parse_json(data, limit=RECEIPT_BYTES_MAX, what=what)  # strictly: names twice, depth, numbers
    try:
        statement = Statement.model_validate_json(data)
    except ValidationError as error:
        code = Code.RECEIPT_MALFORMED
        raise field_problems(error, model=Statement, what=what, code=code) from None
    if canonical_json(statement.model_dump(mode="json", by_alias=True)) != data:
        raise FormatError(Code.RECEIPT_MALFORMED, f"{what}: not its canonical JSON")
    return statement
