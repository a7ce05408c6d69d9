"""HKDF-SHA256 (RFC 5869): one key from another, separated by label."""

from __future__ import annotations

from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from sealtune.crypto.secret import CONTENT_KEY_BYTES, ContentKey


def derive_key(secret: bytes, *, label: bytes, context: bytes) -> ContentKey:
    """Return the key that `secret` (32 or more random bytes) gives for `label` and `context`.

    Raises:
        ValueError: `secret` is shorter than 32 bytes.
    """
    if len(secret) < CONTENT_KEY_BYTES:
        raise ValueError("key material is shorter than 32 bytes")
    info = len(label).to_bytes(2, "big") + label + context
    return ContentKey(HKDF(SHA256(), CONTENT_KEY_BYTES, salt=None, info=info).derive(secret))
