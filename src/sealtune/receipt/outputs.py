"""Comparing what came out with what a verified receipt says came out (docs/spec/receipt.md §5.3).

Reads the files; the receipt has been verified before.
"""

from __future__ import annotations

import os
from pathlib import Path

from sealtune.bundle.format import BundleKind
from sealtune.bundle.reader import verify_body
from sealtune.core.digest import Digest, sha256_file
from sealtune.core.files import storage_errors
from sealtune.core.limits import RECEIPT_FILES_MAX
from sealtune.errors import Code, VerificationError
from sealtune.receipt.modelsig import SIGNER_FILE
from sealtune.receipt.verify import VerifiedReceipt


def verify_result_bundle(receipt: VerifiedReceipt, path: Path) -> None:
    """Return when the file at `path` is the sealed result that `receipt` is about, whole.

    Raises:
        VerificationError: RECEIPT_OUTPUT: it is another bundle; or a damaged one.
        FormatError: it is no bundle.
        StorageError: it cannot be read.
    """
    header = verify_body(path)
    if header.kind is not BundleKind.RESULT:
        raise _other(f"{path} is a bundle of kind {header.kind.value!r}")
    if header.digest != receipt.statement.bundle:
        raise _other(f"{path} is the result of another run")
    if header.owner != receipt.statement.predicate.worker.signing:
        raise _other(f"{path} was not sealed by the worker of this run")


def verify_result_folder(receipt: VerifiedReceipt, folder: Path) -> None:
    """Return when `folder` holds exactly the files that `receipt` names, each unchanged.

    Raises:
        VerificationError: RECEIPT_OUTPUT: a file is missing, changed or not named, or is a link.
        StorageError: a file cannot be read.
    """
    expected = receipt.statement.files
    found = _digests(folder)
    for name in sorted(expected.keys() | found.keys()):
        if name not in found:
            raise _other(f"{folder / name} is missing")
        if name not in expected:
            raise _other(f"{folder}: {name!a} is no file of this result")
        if found[name] != expected[name]:
            raise _other(f"{folder / name} was changed")
    if found.get(SIGNER_FILE) != receipt.statement.predicate.model_signer:
        raise _other(f"{folder / SIGNER_FILE} is not the key that the receipt binds")


def _digests(folder: Path) -> dict[str, Digest]:
    with storage_errors(folder):
        if not folder.is_dir():
            raise _other(f"{folder} is no folder")
        return {str(path.relative_to(folder)): sha256_file(path) for path in _files(folder)}


def _files(folder: Path) -> list[Path]:
    found: list[Path] = []
    for root, folders, names in os.walk(folder, onerror=_raise):
        for name in [*folders, *names]:
            path = Path(root, name)
            if path.is_symlink() or not (path.is_file() or path.is_dir()):
                # A link could show the verifier one file and the next reader another.
                raise _other(f"{path} is a link or no plain file")
        found += [Path(root, name) for name in names]
        if len(found) > RECEIPT_FILES_MAX:
            raise _other(f"{folder} holds more than {RECEIPT_FILES_MAX} files")
    return found


def _raise(error: OSError) -> None:
    raise error


def _other(reason: str) -> VerificationError:
    return VerificationError(Code.RECEIPT_OUTPUT, reason)
