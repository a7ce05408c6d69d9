"""Public keys as SubjectPublicKeyInfo, private keys as PKCS #8, both in DER.

Which kind and which size of key is wanted is for `ecdsa` and `rsa` to say.
"""

from __future__ import annotations

from functools import lru_cache

from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec, rsa

from sealtune.core.limits import CERTIFICATE_BYTES_MAX
from sealtune.errors import Code, FormatError


@lru_cache(maxsize=64)  # immutable; a chain's authorities sign again and again
def load_public_key(spki: bytes) -> object:
    """Return the public key, of whatever kind, that `spki` holds.

    Raises:
        FormatError: it holds none.
    """
    if len(spki) > CERTIFICATE_BYTES_MAX:
        raise FormatError(Code.PUBLIC_KEY_MALFORMED, "a public key larger than a certificate")
    try:
        return serialization.load_der_public_key(spki)
    except (ValueError, UnsupportedAlgorithm) as error:
        raise FormatError(Code.PUBLIC_KEY_MALFORMED, "a public key that is none") from error


def load_private_key(data: bytes) -> object:
    """Return the private key, of whatever kind, that `data` holds without a passphrase.

    Raises:
        FormatError: it holds none.
    """
    try:
        return serialization.load_der_private_key(data, password=None)
    except (ValueError, TypeError, UnsupportedAlgorithm) as error:
        raise FormatError(Code.KEY_FILE_MALFORMED, "a private key that is none") from error


def encode_public_key(key: ec.EllipticCurvePublicKey | rsa.RSAPublicKey) -> bytes:
    """Return `key` as SubjectPublicKeyInfo."""
    return key.public_bytes(
        serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo
    )


def encode_private_key(key: ec.EllipticCurvePrivateKey | rsa.RSAPrivateKey) -> bytes:
    """Return `key` in PKCS #8, in clear."""
    return key.private_bytes(
        serialization.Encoding.DER,
        serialization.PrivateFormat.PKCS8,
        serialization.NoEncryption(),
    )
