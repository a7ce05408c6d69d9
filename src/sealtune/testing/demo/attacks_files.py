"""The operator opens sealed files with its own key, and passes off results and receipts."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

from sealtune.bundle.format import BundleKind
from sealtune.bundle.manifest import Media
from sealtune.bundle.open import open_to_folder
from sealtune.bundle.reader import open_bundle_file
from sealtune.bundle.writer import BundleWriter
from sealtune.core.canonical import canonical_json
from sealtune.core.files import atomic_writer
from sealtune.crypto.dsse import add_signature
from sealtune.crypto.secret import ContentKey
from sealtune.errors import Code
from sealtune.receipt.receipt import TrainingReceipt
from sealtune.testing.demo.attempts import Attempts
from sealtune.testing.demo.stage import Stage

Accept = Callable[[TrainingReceipt, Path], object]


def open_what_is_sealed(attempts: Attempts, stage: Stage, *, name: str, bundle: Path) -> None:
    """Open a bundle with the operator's own key."""
    target = stage.operator / f"opened-{name}"
    attempts.make(
        f"open-{name}",
        f"opens the sealed {name} with a key of its own",
        codes=frozenset({Code.BUNDLE_NO_SLOT}),
        action=lambda: open_to_folder(bundle, target, recipient=stage.identities["operator"]),
    )


def pass_off_results(
    attempts: Attempts, stage: Stage, *, receipt: TrainingReceipt, result: Path, accept: Accept
) -> None:
    """Hand the recipient another result or another receipt; `accept` is what the recipient does."""
    attempts.make(
        "forged-receipt",
        "writes a higher accuracy into the receipt",
        codes=frozenset({Code.SIGNATURE_INVALID}),
        action=lambda: accept(_embellished(receipt), result),
    )
    attempts.make(
        "receipt-signed-by-operator",
        "signs the changed receipt itself",
        codes=frozenset({Code.SIGNATURE_INVALID, Code.SIGNATURE_MISSING}),
        action=lambda: accept(_signed_by_operator(stage, _embellished(receipt)), result),
    )
    own = _own_result(stage)
    attempts.make(
        "swapped-result",
        "hands over a result of its own with the genuine receipt",
        codes=frozenset({Code.RECEIPT_OUTPUT}),
        action=lambda: accept(receipt, own),
    )
    flipped = _flipped(stage, result)
    attempts.make(
        "tampered-result",
        "flips one bit in the sealed result",
        codes=frozenset({Code.BUNDLE_BODY_DIGEST, Code.STREAM_FORGED}),
        action=lambda: accept(receipt, flipped),
    )


def _embellished(receipt: TrainingReceipt) -> TrainingReceipt:
    statement = json.loads(receipt.envelope.payload)
    statement["predicate"]["metrics"]["accuracy_after"] = 0.999
    envelope = replace(receipt.envelope, payload=canonical_json(statement))
    return replace(receipt, envelope=envelope)


def _signed_by_operator(stage: Stage, receipt: TrainingReceipt) -> TrainingReceipt:
    bare = replace(receipt.envelope, signatures=())
    envelope = add_signature(bare, stage.identities["operator"].signing)
    return replace(receipt, envelope=envelope)


def _own_result(stage: Stage) -> Path:
    path = stage.operator / "own-result.sealed"
    owner = stage.identities["operator"]
    recipient = stage.identities["recipient"].public.recipient
    with atomic_writer(path) as file:
        writer = BundleWriter(
            file, kind=BundleKind.RESULT, owner=owner.signing, key=ContentKey.generate()
        )
        writer.add_entry("adapter_config.json", b"{}", media=Media.FILE)
        writer.finish(facts={}, recipients=[recipient])
    return path


def _flipped(stage: Stage, result: Path) -> Path:
    path = stage.operator / "result-tampered.sealed"
    shutil.copyfile(result, path)
    with open_bundle_file(result) as bundle:
        middle = bundle.header.body_length // 2
    with path.open("r+b") as file:
        file.seek(middle)
        byte = file.read(1)
        file.seek(middle)
        file.write(bytes([byte[0] ^ 1]))
    return path
