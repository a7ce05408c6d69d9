"""Certificates in text form (RFC 7468): what stands between the lines, not what it says."""

from __future__ import annotations

import base64
import binascii
import re

from sealtune.core.limits import CERTIFICATE_BYTES_MAX, CHAIN_CERTIFICATES_MAX
from sealtune.errors import Code, FormatError

_PEM = re.compile(
    rb"-----BEGIN CERTIFICATE-----\s([A-Za-z0-9+/=\s]{1,16384})-----END CERTIFICATE-----"
)


def certificates_from_pem(data: bytes) -> tuple[bytes, ...]:
    """Return the DER of each CERTIFICATE block in `data`, in order, at most 8.

    Raises:
        FormatError: no block, too many, or one that is not base64.
    """
    if len(data) > 2 * CHAIN_CERTIFICATES_MAX * CERTIFICATE_BYTES_MAX:
        raise FormatError(Code.LIMIT_EXCEEDED, "certificates: too many bytes")
    blocks = _PEM.findall(data)
    if not 1 <= len(blocks) <= CHAIN_CERTIFICATES_MAX:
        raise _malformed(f"{len(blocks)} PEM blocks, 1 to {CHAIN_CERTIFICATES_MAX} belong there")
    try:
        return tuple(base64.b64decode(b"".join(block.split()), validate=True) for block in blocks)
    except binascii.Error:
        raise _malformed("a PEM block that is not base64") from None


def _malformed(reason: str) -> FormatError:
    return FormatError(Code.CERTIFICATE_MALFORMED, f"certificate: {reason}")
