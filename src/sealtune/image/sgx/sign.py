"""Signs an image for SGX with Gramine's own tools, and reads what they signed.

MRENCLAVE covers Gramine's loader too, so it follows from the image and the version of Gramine that
is installed here. The key may be anybody's: what a contract names is MRENCLAVE.
"""

from __future__ import annotations

import shutil
import tempfile
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

from sealtune.core.files import read_bounded, storage_errors, write_atomic
from sealtune.core.limits import MIB
from sealtune.errors import Code, ConfigError, StorageError
from sealtune.image.measure_sgx import SIGSTRUCT_BYTES, SgxMeasurement, parse_sigstruct
from sealtune.image.sgx.manifest import SgxImage
from sealtune.image.sgx.template import MANIFEST_STEM, TEMPLATE_BYTES_MAX, TEMPLATE_NAME
from sealtune.image.tools import run

MANIFEST_NAME: Final = f"{MANIFEST_STEM}.manifest.sgx"
SIGSTRUCT_NAME: Final = f"{MANIFEST_STEM}.sig"
MANIFEST_BYTES_MAX: Final = TEMPLATE_BYTES_MAX + MIB  # Gramine's own files are some hundred
_RENDERER, _SIGNER = "gramine-manifest", "gramine-sgx-sign"


@dataclass(frozen=True, slots=True, kw_only=True)
class SignedSgxImage:
    """What Gramine's signer signed: the image of this digest, which a quote shows as `sgx`."""

    image: str
    sgx: SgxMeasurement


def sign_image(image: SgxImage, *, key: Path) -> SignedSgxImage:
    """Sign `image` with the RSA key in the PEM file `key`; the results go into its folder.

    Raises:
        ConfigError: Gramine's tools are not installed.
        StorageError: they failed, or the disk refuses.
    """
    renderer, signer = require_gramine(_RENDERER), require_gramine(_SIGNER)
    if not key.is_file():
        remedy = "make one: openssl genrsa -3 -out sgx.pem 3072"
        raise StorageError(Code.FILE_MISSING, f"{key}: no such file", remedy=remedy)
    # A fixed day: the same image, key and Gramine then give the same files.
    day = datetime.fromtimestamp(image.manifest.contents.created_epoch, UTC).date().isoformat()
    with (
        storage_errors(image.folder),
        tempfile.TemporaryDirectory(prefix="sealtune-sign-") as folder,
    ):
        made, signed = Path(folder, f"{MANIFEST_STEM}.manifest"), Path(folder, MANIFEST_NAME)
        sigstruct = Path(folder, SIGSTRUCT_NAME)
        template = str(image.folder.resolve() / TEMPLATE_NAME)
        run([renderer, template, str(made)], what=_RENDERER, folder=image.folder)
        command = [signer, "--manifest", str(made), "--output", str(signed)]
        command += ["--sigfile", str(sigstruct), "--key", str(key.resolve()), "--date", day]
        run(command, what=_SIGNER, folder=image.folder)
        measured = _read_sigstruct(sigstruct)
        manifest = read_bounded(signed, limit=MANIFEST_BYTES_MAX, what="signed manifest")
        write_atomic(image.folder / MANIFEST_NAME, manifest)
        # Last: where there is a signature, there is what it signs.
        write_atomic(image.folder / SIGSTRUCT_NAME, sigstruct.read_bytes())
    return SignedSgxImage(image=image.digest, sgx=measured)


def measure_signed(image: SgxImage, *, sigstruct: Path | None) -> SignedSgxImage:
    """Return what the signed `image` shows in a quote; `sigstruct` None means the image's own.

    Raises:
        ConfigError: the image is not signed.
        FormatError, VerificationError: as `parse_sigstruct`.
    """
    path = sigstruct or image.folder / SIGSTRUCT_NAME
    if sigstruct is None and not path.exists():
        raise ConfigError(
            Code.CONFIG_INVALID,
            f"{image.folder}: not signed yet, and Gramine's signer is what computes MRENCLAVE",
            remedy=f"where Gramine is installed: sealtune image sign {image.folder} --key KEY.pem",
        )
    return SignedSgxImage(image=image.digest, sgx=_read_sigstruct(path))


def require_gramine(program: str) -> str:
    """Return where Gramine's `program` is.

    Raises:
        ConfigError: it is not installed.
    """
    path = shutil.which(program)
    if path is None:
        remedy = "install Gramine 1.9 or newer from its project's package repository"
        raise ConfigError(Code.TOOL_MISSING, f"{program} is not installed", remedy=remedy)
    return path


def _read_sigstruct(path: Path) -> SgxMeasurement:
    return parse_sigstruct(read_bounded(path, limit=SIGSTRUCT_BYTES, what="SIGSTRUCT"))
