"""The recipient: accepts a result only with a receipt of the agreed run, and opens it."""

from __future__ import annotations

from pathlib import Path

from sealtune.attestation.anchors import Product, RootUse, amd_anchors
from sealtune.attestation.endorsements import NO_ENDORSEMENTS
from sealtune.bundle.open import open_to_folder
from sealtune.contract.contract import verify_contract_signatures_ignoring_validity
from sealtune.receipt.outputs import verify_result_bundle, verify_result_folder
from sealtune.receipt.receipt import TrainingReceipt
from sealtune.receipt.verify import AgreedReceipt, verify_receipt_against_contract
from sealtune.testing.demo.stage import Stage
from sealtune.testing.demo.terms import Agreed


def accept_result(
    stage: Stage, agreed: Agreed, receipt: TrainingReceipt, result: Path
) -> AgreedReceipt:
    """Verify, offline, that `result` is what the agreed run made; the root is the mock's, INSECURE.

    Raises:
        SealtuneError: it is not.
    """
    anchors = amd_anchors().with_insecure_root(
        stage.mock.root, use=RootUse.AMD_ARK, product=Product.GENOA
    )
    contract = verify_contract_signatures_ignoring_validity(agreed.envelope)
    verified = verify_receipt_against_contract(
        receipt, contract=contract, anchors=anchors, endorsements=NO_ENDORSEMENTS, now=stage.now
    )
    verify_result_bundle(verified.receipt, result)
    return verified


def open_result(stage: Stage, verified: AgreedReceipt, result: Path) -> Path:
    """Open an accepted result and return its folder.

    Raises:
        SealtuneError: it is not sealed to the recipient, or a file is not what the receipt names.
    """
    folder = stage.home("recipient") / "result"
    open_to_folder(result, folder, recipient=stage.identities["recipient"])
    verify_result_folder(verified.receipt, folder)
    return folder
