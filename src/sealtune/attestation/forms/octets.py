"""Bytes as people write them: hexadecimal, base64, or a list of numbers (spec/attestation §17).

Each text is taken in one way only, or refused.
"""

from __future__ import annotations

import base64
import binascii
import contextlib
import re

from sealtune.errors import Code, FormatError

_SPACE = b" \t\n\r\x0b\x0c"
_HEX = re.compile(rb"[0-9A-Fa-f]*")
_BASE64 = re.compile(rb"[A-Za-z0-9+/_-]+={0,2}")


def malformed(reason: str) -> FormatError:
    """Return the error for evidence that is in none of the known forms."""
    return FormatError(Code.EVIDENCE_MALFORMED, f"evidence: {reason}")


def from_text(data: bytes) -> bytes | None:
    """Return what `data` spells in hexadecimal or base64; None if it is no such text.

    Text that could be either is hexadecimal.
    """
    text = data.translate(None, _SPACE).removeprefix(b"0x")
    if not text:
        return None
    if len(text) % 2 == 0 and _HEX.fullmatch(text):
        return bytes.fromhex(text.decode())
    if not _BASE64.fullmatch(text):
        return None
    body = text.rstrip(b"=").replace(b"-", b"+").replace(b"_", b"/")
    try:
        return base64.b64decode(body + b"=" * (-len(body) % 4), validate=True)
    except binascii.Error:
        return None


def octets(value: object, *, what: str) -> bytes:
    """Return the bytes that a JSON value spells: text in hexadecimal or base64, or octets listed.

    Raises:
        FormatError: it spells none.
    """
    if isinstance(value, str):
        found = from_text(value.encode("utf-8", "replace"))
        if found is not None:
            return found
    # Half a million of them may be listed: their types are asked for at once. `True` is none.
    if isinstance(value, list) and set(map(type, value)) <= {int}:
        with contextlib.suppress(ValueError):
            return bytes(value)
    raise malformed(f"{what} is neither hexadecimal, base64 nor a list of octets")
