"""Image files as text in a record: base64 of a JPEG or PNG file (spec/bundle §6.5).

Looks at the first bytes only, no decoder runs on the owner's machine: an image that is damaged
further on is refused by the enclave, which names its record.
"""

from __future__ import annotations

import base64
import binascii
from pathlib import Path

from sealtune.core.files import read_bounded
from sealtune.core.limits import IMAGE_BYTES_MAX
from sealtune.errors import Code, FormatError

IMAGE_SUFFIXES = frozenset({".jpg", ".jpeg", ".png"})
# Refused by name: left out in silence, they would be missing from the training.
OTHER_IMAGE_SUFFIXES = frozenset(
    {".avif", ".bmp", ".dcm", ".gif", ".heic", ".jp2", ".tif", ".tiff", ".webp"}
)
_BEGINNINGS = (b"\xff\xd8\xff", b"\x89PNG\r\n\x1a\n")
_REMEDY = "convert it to JPEG or PNG"
# A PNG's first chunk (its §11.2.1): after width and height a bit depth of 16, and grey.
_GREY_OF_16_BITS = bytes([16, 0])
_DEPTH = slice(24, 26)


def read_image(path: Path) -> tuple[str, int]:
    """Return the image file at `path` as text, and its size in bytes.

    Raises:
        FormatError: `RECORD_IMAGE` or `LIMIT_EXCEEDED`.
        StorageError: it cannot be read.
    """
    data = read_bounded(path, limit=IMAGE_BYTES_MAX, what="image")
    return image_text(data, where=str(path)), len(data)


def image_text(data: bytes, *, where: str) -> str:
    """Return the image file `data` as a record holds it; `where` names it in errors.

    Raises:
        FormatError: `RECORD_IMAGE`: neither JPEG nor PNG, or grey of 16 bits; `LIMIT_EXCEEDED`.
    """
    if len(data) > IMAGE_BYTES_MAX:
        raise FormatError(Code.LIMIT_EXCEEDED, f"{where}: larger than {IMAGE_BYTES_MAX} bytes")
    if not data.startswith(_BEGINNINGS):
        message = f"{where}: an image that is neither JPEG nor PNG"
        raise FormatError(Code.RECORD_IMAGE, message, remedy=_REMEDY)
    if data.startswith(_BEGINNINGS[1]) and data[_DEPTH] == _GREY_OF_16_BITS:
        message = f"{where}: a grey image of 16 bits, of which models take 8"
        remedy = "convert it to 8 bits, with the range of values that matters"
        raise FormatError(Code.RECORD_IMAGE, message, remedy=remedy)
    return base64.b64encode(data).decode()


def check_image_text(text: str, *, where: str) -> None:
    """Return if `text` is what `image_text` makes.

    Raises:
        FormatError: `RECORD_IMAGE` or `LIMIT_EXCEEDED`.
    """
    try:
        data = base64.b64decode(text, validate=True)
    except (binascii.Error, ValueError):
        message = f"{where}: an image that is not base64"
        raise FormatError(Code.RECORD_IMAGE, message, remedy="write its file's bytes so") from None
    image_text(data, where=where)
