"""Comparing what came out with the receipt (spec/receipt §5.3)."""

from __future__ import annotations

import os
from datetime import datetime
from pathlib import Path

import pytest

from sealtune.attestation.endorsements import NO_ENDORSEMENTS
from sealtune.bundle.format import BundleKind
from sealtune.core.digest import sha256_digest
from sealtune.core.limits import RECEIPT_FILES_MAX
from sealtune.crypto.model_signing_key import ModelSigningKey
from sealtune.errors import Code, SealtuneError
from sealtune.receipt.modelsig import sign_model_folder
from sealtune.receipt.outputs import verify_result_bundle, verify_result_folder
from sealtune.receipt.verify import VerifiedReceipt, verify_receipt
from sealtune.testing.finished_run import FILES, FinishedRun


def verified(run: FinishedRun, now: datetime, statement: bytes | None = None) -> VerifiedReceipt:
    return verify_receipt(
        run.receipt(statement), anchors=run.mock.anchors(), now=now, endorsements=NO_ENDORSEMENTS
    )


def bundle_refused(receipt: VerifiedReceipt, path: Path) -> Code:
    with pytest.raises(SealtuneError) as caught:
        verify_result_bundle(receipt, path)
    return caught.value.code


def folder_refused(receipt: VerifiedReceipt, folder: Path) -> str:
    with pytest.raises(SealtuneError) as caught:
        verify_result_folder(receipt, folder)
    assert caught.value.code is Code.RECEIPT_OUTPUT
    return caught.value.message


def test_sealed_result_of_the_run(run: FinishedRun, now: datetime, tmp_path: Path) -> None:
    path = tmp_path / "result.sealed"
    verify_result_bundle(verified(run.sealed(path), now), path)


def test_sealed_result_of_another_run(run: FinishedRun, now: datetime, tmp_path: Path) -> None:
    path = tmp_path / "result.sealed"
    receipt = verified(run.sealed(path), now)
    run.sealed(path)
    assert bundle_refused(receipt, path) is Code.RECEIPT_OUTPUT


def test_bundle_of_another_kind(run: FinishedRun, now: datetime, tmp_path: Path) -> None:
    path = tmp_path / "result.sealed"
    other = run.sealed(path, kind=BundleKind.TRAINING_CHECKPOINT)
    assert bundle_refused(verified(other, now), path) is Code.RECEIPT_OUTPUT


def test_bundle_of_another_worker(run: FinishedRun, now: datetime, tmp_path: Path) -> None:
    path = tmp_path / "result.sealed"
    stranger = run.again().sealed(path)

    def name_it(document: dict[str, object]) -> None:
        digest = stranger.output.bundle.removeprefix("sha256:")
        document["subject"][0]["digest"]["sealtuneBundle"] = digest  # type: ignore[index]

    receipt = verified(run, now, run.altered(name_it))
    assert bundle_refused(receipt, path) is Code.RECEIPT_OUTPUT


def test_damaged_body(run: FinishedRun, now: datetime, tmp_path: Path) -> None:
    path = tmp_path / "result.sealed"
    receipt = verified(run.sealed(path), now)
    data = bytearray(path.read_bytes())
    data[100] ^= 1
    path.write_bytes(data)
    assert bundle_refused(receipt, path) is Code.BUNDLE_BODY_DIGEST


def test_opened_result(run: FinishedRun, now: datetime, tmp_path: Path) -> None:
    verify_result_folder(verified(run, now), run.opened(tmp_path / "adapter"))


def test_file_changed_missing_or_added(run: FinishedRun, now: datetime, tmp_path: Path) -> None:
    receipt, folder = verified(run, now), run.opened(tmp_path / "adapter")
    config = folder / "adapter_config.json"
    config.write_bytes(b"[]")
    assert "adapter_config.json was changed" in folder_refused(receipt, folder)
    config.unlink()
    assert "adapter_config.json is missing" in folder_refused(receipt, folder)
    config.write_bytes(FILES["adapter_config.json"])
    (folder / "more").mkdir()
    (folder / "more" / "evil.py").write_bytes(b"")
    assert "'more/evil.py' is no file of this result" in folder_refused(receipt, folder)


def test_link_in_the_place_of_a_file(run: FinishedRun, now: datetime, tmp_path: Path) -> None:
    receipt, folder = verified(run, now), run.opened(tmp_path / "adapter")
    path = folder / "adapter_config.json"
    path.rename(tmp_path / "elsewhere")
    path.symlink_to(tmp_path / "elsewhere")
    assert "is a link" in folder_refused(receipt, folder)
    path.unlink()
    os.mkfifo(path)
    assert "is a link or no plain file" in folder_refused(receipt, folder)


def test_linked_folder(run: FinishedRun, now: datetime, tmp_path: Path) -> None:
    receipt, folder = verified(run, now), run.opened(tmp_path / "adapter")
    (folder / "more").symlink_to(tmp_path)
    assert "is a link" in folder_refused(receipt, folder)


def test_folder_of_endless_files(run: FinishedRun, now: datetime, tmp_path: Path) -> None:
    receipt, folder = verified(run, now), run.opened(tmp_path / "adapter")
    for number in range(RECEIPT_FILES_MAX):
        (folder / f"a{number}").touch()
    assert "holds more than" in folder_refused(receipt, folder)


def test_folder_that_cannot_be_read(
    run: FinishedRun, now: datetime, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = run.opened(tmp_path / "adapter")

    def refuse(path: object) -> None:
        raise PermissionError(13, "Permission denied")

    receipt = verified(run, now)
    monkeypatch.setattr(os, "scandir", refuse)
    with pytest.raises(SealtuneError) as caught:
        verify_result_folder(receipt, folder)
    assert caught.value.code is Code.IO_FAILED


def test_no_folder(run: FinishedRun, now: datetime, tmp_path: Path) -> None:
    assert "is no folder" in folder_refused(verified(run, now), tmp_path / "absent")


def test_folder_signed_anew(run: FinishedRun, now: datetime, tmp_path: Path) -> None:
    folder = run.opened(tmp_path / "adapter")
    again = sign_model_folder(FILES, name="adapter", key=ModelSigningKey.generate())
    (folder / "model.sig").write_bytes(again["model.sig"])
    (folder / "signer.pub").write_bytes(again["signer.pub"])
    assert "model.sig was changed" in folder_refused(verified(run, now), folder)


def test_signer_that_the_predicate_does_not_name(
    run: FinishedRun, now: datetime, tmp_path: Path
) -> None:
    def name_another(document: dict[str, dict[str, str]]) -> None:
        document["predicate"]["model_signer"] = sha256_digest(b"another key")

    receipt = verified(run, now, run.altered(name_another))
    message = folder_refused(receipt, run.opened(tmp_path / "adapter"))
    assert "not the key that the receipt binds" in message
