"""Builds the statement that a worker signs (docs/spec/receipt.md §2).

Takes inputs, recipe and recipients from the contract and the rest from the run, and leaves out
every number that the contract keeps in. Signs nothing.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sealtune.attestation.binding import WorkerKeys
from sealtune.contract.contract import VerifiedContract
from sealtune.contract.fields import json_document
from sealtune.contract.schema import Contract, OutputKind
from sealtune.core.clock import format_time
from sealtune.core.digest import Digest, sha256_digest
from sealtune.crypto.signing import VerifyingKey
from sealtune.receipt.modelsig import SIGNATURE_FILE, SIGNER_FILE
from sealtune.receipt.schema import PREDICATE_TYPE, RESULT_NAME, STATEMENT_TYPE, statement_bytes

METRIC_DECIMALS = 4  # as telemetry: further digits would be room to say something else in


@dataclass(frozen=True, slots=True, kw_only=True)
class ReleaseRecord:
    """A broker's release as its signed answer states it; `time` is by the worker's clock."""

    broker: str
    signing: VerifyingKey
    log_size: int
    log_head: Digest
    time: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class RunRecord:
    """What the worker knows of its run; metrics and counts may be more than may be told."""

    run_id: str
    started: datetime
    finished: datetime
    insecure_simulated: bool
    worker: WorkerKeys
    releases: Sequence[ReleaseRecord]
    metrics: Mapping[str, float]
    counts: Mapping[str, int]
    software: Mapping[str, str]


@dataclass(frozen=True, slots=True, kw_only=True)
class OutputRecord:
    """The result: the sealed bundle's digest and every file in it, signature included."""

    kind: OutputKind
    bundle: Digest
    files: Mapping[str, bytes]


def build_statement(contract: VerifiedContract, *, run: RunRecord, output: OutputRecord) -> bytes:
    """Return the canonical bytes of the statement about `run` (spec/receipt §2).

    Raises:
        FormatError: something in `run` or `output` has not the form that a receipt asks for.
        ValueError: the files have not been signed with `sign_model_folder`.
    """
    if not {SIGNATURE_FILE, SIGNER_FILE} <= output.files.keys():
        raise ValueError("the result's files carry no model signature")
    return statement_bytes(
        {
            "_type": STATEMENT_TYPE,
            "subject": _subjects(output),
            "predicateType": PREDICATE_TYPE,
            "predicate": _predicate(contract, run, output),
        }
    )


def _subjects(output: OutputRecord) -> list[dict[str, Any]]:
    sealed = {"sealtuneBundle": output.bundle.removeprefix("sha256:")}
    files = [
        {"name": name, "digest": {"sha256": sha256_digest(content).removeprefix("sha256:")}}
        for name, content in sorted(output.files.items())
    ]
    return [{"name": RESULT_NAME, "digest": sealed}, *files]


def _predicate(contract: VerifiedContract, run: RunRecord, output: OutputRecord) -> dict[str, Any]:
    terms = contract.contract
    return {
        "contract": {"name": terms.name, "digest": contract.digest},
        "run_id": run.run_id,
        "insecure_simulated": run.insecure_simulated,
        "started": format_time(run.started),
        "finished": format_time(run.finished),
        "inputs": contract_inputs(terms),
        "recipe": json_document(terms)["recipe"],
        # The contract says which numbers leave; all others stay, whatever the trainer measured.
        "metrics": {
            k: round(v, METRIC_DECIMALS)
            for k, v in run.metrics.items()
            if k in terms.receipt.metrics
        },
        "counts": {k: v for k, v in run.counts.items() if k in terms.receipt.counts},
        "software": dict(run.software),
        "worker": {
            "signing_key": run.worker.signing.text,
            "recipient_key": run.worker.recipient.text,
        },
        "releases": [_release(item) for item in run.releases],
        "result": {
            "kind": output.kind.value,
            "recipients": list(terms.outputs.recipients),
            "bytes": _size(output.files),
        },
        "model_signer": sha256_digest(output.files[SIGNER_FILE]),
    }


def _size(files: Mapping[str, bytes]) -> int:
    # As the contract counts: without the signature, which the worker adds to what it lets out.
    added = {SIGNATURE_FILE, SIGNER_FILE}
    return sum(len(content) for name, content in files.items() if name not in added)


def contract_inputs(contract: Contract) -> list[dict[str, str]]:
    """Return the inputs of `contract` as a receipt states them."""
    return [
        {
            "name": entry.name,
            "kind": entry.kind.value,
            "digest": entry.digest,
            "owner": entry.owner,
        }
        for entry in contract.inputs
    ]


def _release(record: ReleaseRecord) -> dict[str, Any]:
    return {
        "broker": record.broker,
        "signing_key": record.signing.text,
        "log_size": record.log_size,
        "log_head": record.log_head,
        "time": format_time(record.time),
    }
