"""What the worker leaves: the result, sealed to the recipients, and the receipt that names it."""

from __future__ import annotations

import platform
from collections.abc import Mapping
from importlib import metadata
from pathlib import Path
from typing import TYPE_CHECKING

import sealtune
from sealtune.bundle.format import BundleKind
from sealtune.bundle.manifest import Media
from sealtune.bundle.writer import BundleWriter
from sealtune.contract.contract import VerifiedContract
from sealtune.core.digest import digest_bytes
from sealtune.core.files import atomic_writer
from sealtune.crypto.model_signing_key import ModelSigningKey
from sealtune.crypto.secret import ContentKey
from sealtune.protocol.session import WorkerSecrets
from sealtune.receipt.modelsig import sign_model_folder
from sealtune.receipt.receipt import TrainingReceipt, make_receipt
from sealtune.receipt.statement import OutputRecord, RunRecord, build_statement
from sealtune.tee.attester import Attester

if TYPE_CHECKING:
    # It brings torch, which a worker does without until it has its keys.
    from sealtune.worker.gate import GatedOutput

_SOFTWARE = ("torch", "transformers", "tokenizers", "safetensors", "cryptography")


def seal_result(
    output: GatedOutput,
    *,
    path: Path,
    contract: VerifiedContract,
    run_id: str,
    owner: WorkerSecrets,
) -> OutputRecord:
    """Sign the model folder, seal it to the contract's recipients at `path`, return what it is.

    Raises:
        StorageError: the disk is full or refuses; nothing half-written stays.
    """
    terms = contract.contract
    signer = ModelSigningKey.generate()
    files = sign_model_folder(output.files, name=terms.name, key=signer)
    recipients = [terms.parties[name].recipient for name in terms.outputs.recipients]
    with atomic_writer(path) as file:
        writer = BundleWriter(
            file, kind=BundleKind.RESULT, owner=owner.signing, key=ContentKey.generate()
        )
        for name, content in sorted(files.items()):
            writer.add_entry(name, content, media=Media.FILE)
        facts = {"contract": contract.digest, "kind": output.kind.value, "run_id": run_id}
        header = writer.finish(facts=facts, recipients=recipients)
    return OutputRecord(kind=output.kind, bundle=header.digest, files=files)


def receipt_of(
    contract: VerifiedContract,
    *,
    run: RunRecord,
    output: OutputRecord,
    attester: Attester,
    secrets: WorkerSecrets,
) -> TrainingReceipt:
    """Return the signed statement about `run`, bound into evidence of this enclave."""
    host_data = digest_bytes(contract.digest)
    return make_receipt(
        build_statement(contract, run=run, output=output),
        key=secrets.signing,
        attest=lambda report_data: attester.attest(report_data, host_data=host_data),
    )


def software_versions() -> Mapping[str, str]:
    """Return the versions of what computed the result."""
    versions = {name: metadata.version(name) for name in _SOFTWARE}
    # Ours from the code itself: an image holds modules of it, and no installed package.
    ours = {"python": platform.python_version(), "sealtune": sealtune.__version__}
    return {**ours, **versions}
