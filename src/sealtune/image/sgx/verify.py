"""Rebuilds an image for SGX and compares: does this image come from these sources?

What Gramine's signer added is not compared: MRENCLAVE is, by who agrees on a contract.
"""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from pathlib import Path

from sealtune.core.files import read_bounded, storage_errors
from sealtune.image.build import BuildPlan, Report
from sealtune.image.sgx.build import build_sgx_image
from sealtune.image.sgx.manifest import SgxImage, read_sgx_image
from sealtune.image.sgx.template import TEMPLATE_BYTES_MAX, TEMPLATE_NAME, read_template
from sealtune.image.verify import contents_differences, first_difference, refuse_first


def verify_sgx_image(folder: Path, plan: BuildPlan, *, report: Report) -> SgxImage:
    """Build the image in `folder` again, for an enclave of the same size, and compare.

    Raises:
        FormatError: as `read_sgx_image`.
        VerificationError: a file differs; the message names the first difference and its cause.
        ConfigError, StorageError: as `build_sgx_image`.
    """
    given = read_sgx_image(folder)
    place = folder.resolve().parent if plan.work is None else plan.work
    with (
        storage_errors(place),
        tempfile.TemporaryDirectory(dir=place, prefix=f".{folder.name}.") as scratch,
    ):
        again = Path(scratch) / "image"
        rebuilt = build_sgx_image(again, plan, enclave=given.manifest.enclave, report=report)
        compare_sgx_images(given, rebuilt)
    return given


def compare_sgx_images(given: SgxImage, rebuilt: SgxImage) -> None:
    """See that two images are the same, byte for byte.

    Raises:
        VerificationError: they are not; the message names the first difference, causes first.
    """
    refuse_first(given.folder, _differences(given, rebuilt))


def _differences(given: SgxImage, rebuilt: SgxImage) -> Iterator[str]:
    yield from contents_differences(given.manifest.contents, rebuilt.manifest.contents)
    theirs, ours = _listed(given), _listed(rebuilt)
    for path in sorted(theirs.keys() | ours.keys()):
        if path not in theirs or path not in ours:
            yield f"only {'the image' if path in theirs else 'this sealtune'} has the file {path}"
        elif theirs[path] != ours[path]:
            offset = first_difference(given.root / path, rebuilt.root / path)
            yield f"{path} differs from byte {offset} on"
    if given.manifest.template != rebuilt.manifest.template:
        yield f"{TEMPLATE_NAME} has other settings"
    if given.digest != rebuilt.digest:
        yield "image.json differs"


def _listed(image: SgxImage) -> dict[str, str]:
    path = image.path(image.manifest.template)
    return dict(read_template(read_bounded(path, limit=TEMPLATE_BYTES_MAX, what="template")).files)
