"""base64url without padding, read strictly: one text per value."""

from __future__ import annotations

import base64
import binascii

from sealtune.errors import Code, FormatError


def b64encode(data: bytes) -> str:
    """Return `data` as base64url without padding."""
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


def b64decode(text: object, *, what: str, code: Code = Code.MESSAGE_MALFORMED) -> bytes:
    """Return the bytes that `text` encodes; `what` names it in errors.

    Raises:
        FormatError: `text` is no canonical unpadded base64url (a second spelling of the same bytes
            is refused, so that text can be compared).
    """
    if isinstance(text, str):
        try:
            data = base64.b64decode(text + "=" * (-len(text) % 4), altchars=b"-_", validate=True)
        except (binascii.Error, ValueError):
            pass
        else:
            if b64encode(data) == text:
                return data
    raise FormatError(code, f"{what}: not base64url without padding")
