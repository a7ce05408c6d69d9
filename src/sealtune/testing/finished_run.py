"""A run that has ended, ready to be verified or attacked: contract, worker, files, receipt.

    run = make_finished_run(mock, now=now)
    verify_receipt_against_contract(run.receipt(), contract=run.contract.signed, ...)

Everything is real but the hardware and the training. INSECURE: for tests only.
"""

from __future__ import annotations

import copy
import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

from sealtune.attestation.evidence import Evidence
from sealtune.bundle.format import BundleKind
from sealtune.bundle.manifest import Media
from sealtune.bundle.writer import BundleWriter
from sealtune.contract.contract import VerifiedContract, contract_from_document, verify_contract
from sealtune.contract.schema import OutputKind
from sealtune.core.canonical import canonical_json
from sealtune.core.digest import Digest, digest_bytes, sha256_digest
from sealtune.crypto.model_signing_key import ModelSigningKey
from sealtune.crypto.secret import ContentKey
from sealtune.protocol.session import WorkerSecrets
from sealtune.receipt.modelsig import sign_model_folder
from sealtune.receipt.receipt import TrainingReceipt, make_receipt
from sealtune.receipt.statement import OutputRecord, ReleaseRecord, RunRecord, build_statement
from sealtune.testing.agreement import MEASUREMENT, SIGNERS, Agreement, make_agreement
from sealtune.testing.mock_amd import MockAmd

FILES = {"adapter_config.json": b"{}", "adapter_model.safetensors": bytes(1000)}


@dataclass(frozen=True, slots=True, kw_only=True)
class FinishedRun:
    """One run by one worker; `record` and `output` are what it states."""

    mock: MockAmd
    agreement: Agreement
    contract: VerifiedContract
    worker: WorkerSecrets
    record: RunRecord
    output: OutputRecord

    def statement(self) -> bytes:
        """Return the statement of this run."""
        return build_statement(self.contract, run=self.record, output=self.output)

    def altered(self, change: Callable[[dict[str, Any]], None]) -> bytes:
        """Return the statement with `change` applied to its document."""
        document = copy.deepcopy(json.loads(self.statement()))
        change(document)
        return canonical_json(document)

    def attest(self, report_data: bytes, /, **changes: Any) -> Evidence:
        """Return this worker's evidence; `changes` are other fields of its report."""
        fields: dict[str, Any] = {
            "report_data": report_data,
            "host_data": digest_bytes(self.contract.digest),
            "measurement": bytes.fromhex(MEASUREMENT),
        }
        return self.mock.evidence(**{**fields, **changes})

    def receipt(self, statement: bytes | None = None, **changes: Any) -> TrainingReceipt:
        """Return the receipt of `statement` (default: the honest one); `changes` as in `attest`."""

        def attest(report_data: bytes) -> Evidence:
            return self.attest(report_data, **changes)

        return make_receipt(
            self.statement() if statement is None else statement,
            key=self.worker.signing,
            attest=attest,
        )

    def again(self, **facts: Any) -> FinishedRun:
        """Return another run of the same contract by another worker; `facts` are of its record."""
        worker = WorkerSecrets.generate()
        record = replace(self.record, worker=worker.public, run_id="ff" * 16, **facts)
        return replace(self, worker=worker, record=record)

    def sealed(self, path: Path, *, kind: BundleKind = BundleKind.RESULT) -> FinishedRun:
        """Write the sealed result to `path` and return this run with its digest."""
        recipient = self.agreement.identities["clinic"].recipient.public
        with path.open("w+b") as file:
            writer = BundleWriter(
                file, kind=kind, owner=self.worker.signing, key=ContentKey.generate()
            )
            for name, content in self.output.files.items():
                writer.add_entry(name, content, media=Media.FILE)
            header = writer.finish(facts={}, recipients=[recipient])
        return replace(self, output=replace(self.output, bundle=header.digest))

    def opened(self, folder: Path) -> Path:
        """Write the files of the result to `folder`, as the recipient opens them."""
        for name, content in self.output.files.items():
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            (folder / name).write_bytes(content)
        return folder


def make_finished_run(mock: MockAmd, *, now: datetime, **terms: Any) -> FinishedRun:
    """Return a run that ended just before `now`; `terms` are other fields of its contract."""
    agreement = _agree(mock, terms)
    contract = agreement.contract()
    verified = verify_contract(agreement.sign(contract, signers=SIGNERS), now=now)
    worker = WorkerSecrets.generate()
    record = RunRecord(
        run_id="0123456789abcdef" * 2,
        started=now - timedelta(minutes=5),
        finished=now,
        insecure_simulated=True,
        worker=worker.public,
        releases=[
            ReleaseRecord(
                broker=name,
                signing=broker.signing,
                log_size=4,
                log_head=sha256_digest(name.encode()),
                time=now - timedelta(minutes=4),
            )
            for name, broker in contract.brokers.items()
        ],
        metrics={"accuracy_before": 0.25, "accuracy_after": 0.625, "train_loss": 0.5},
        counts={"records": 100, "tokens": 12_345},
        software={"python": "3.11.7", "sealtune": "0.1.0"},
    )
    return FinishedRun(
        mock=mock,
        agreement=agreement,
        contract=verified,
        worker=worker,
        record=record,
        output=_output(FILES),
    )


def _agree(mock: MockAmd, terms: Mapping[str, Any]) -> Agreement:
    agreement = make_agreement()
    document = {**agreement.document(), **terms}
    for enclave in document["enclaves"]:
        enclave["simulated_root"] = mock.root
    whole = contract_from_document(document, what="finished run").model_dump(mode="json")
    return Agreement(identities=agreement.identities, base=whole)


def _output(files: Mapping[str, bytes]) -> OutputRecord:
    signed = sign_model_folder(files, name="adapter", key=ModelSigningKey.generate())
    bundle = Digest(sha256_digest(b"the sealed result"))
    return OutputRecord(kind=OutputKind.ADAPTER, bundle=bundle, files=signed)
