"""Signatures of hardware vendors over raw bytes: ECDSA P-384 and RSA-PSS, both with SHA-384.

Keys come as SubjectPublicKeyInfo in DER. Our own statements are signed with Ed25519 (`signing`),
not with these; `P384Key` and `RsaKey` exist for the insecure mock hierarchy and know no passphrase.
"""

from __future__ import annotations

from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, padding, rsa
from cryptography.hazmat.primitives.asymmetric.utils import (
    decode_dss_signature,
    encode_dss_signature,
)

from sealtune.errors import Code, FormatError, VerificationError

P384_ORDER = int(
    "ffffffffffffffffffffffffffffffffffffffffffffffffc7634d81f4372ddf581a0db248b0a77aecec196accc52973",
    16,
)
RSA_BITS = 4096
_SALT_BYTES = 48
_PSS = padding.PSS(mgf=padding.MGF1(hashes.SHA384()), salt_length=_SALT_BYTES)
_ECDSA = ec.ECDSA(hashes.SHA384())


def _load(spki: bytes) -> object:
    try:
        return serialization.load_der_public_key(spki)
    except (ValueError, UnsupportedAlgorithm) as error:
        raise FormatError(Code.PUBLIC_KEY_MALFORMED, "a public key that is none") from error


def verify_ecdsa_p384(spki: bytes, *, r: int, s: int, message: bytes) -> None:
    """Verify the ECDSA P-384 SHA-384 signature (`r`, `s`) over `message` with the key `spki`.

    Raises:
        FormatError: `spki` is not a P-384 public key.
        VerificationError: `r` or `s` is out of range, or the signature is of something or someone
            else.
    """
    key = _load(spki)
    if not isinstance(key, ec.EllipticCurvePublicKey) or not isinstance(key.curve, ec.SECP384R1):
        raise FormatError(Code.PUBLIC_KEY_MALFORMED, "not a P-384 public key")
    if not (1 <= r < P384_ORDER and 1 <= s < P384_ORDER):
        raise VerificationError(Code.SIGNATURE_INVALID, "ECDSA: R or S is out of range")
    try:
        key.verify(encode_dss_signature(r, s), message, _ECDSA)
    except InvalidSignature:
        raise VerificationError(
            Code.SIGNATURE_INVALID, "ECDSA: the signature does not match"
        ) from None


def verify_rsa_pss(spki: bytes, *, signature: bytes, message: bytes) -> None:
    """Verify the RSA-4096 PSS signature (SHA-384, MGF1 SHA-384, 48 bytes of salt) over `message`.

    Raises:
        FormatError: `spki` is not an RSA public key of 4096 bits.
        VerificationError: the signature is of something or someone else.
    """
    key = _load(spki)
    if not isinstance(key, rsa.RSAPublicKey) or key.key_size != RSA_BITS:
        raise FormatError(Code.PUBLIC_KEY_MALFORMED, f"not an RSA public key of {RSA_BITS} bits")
    try:
        key.verify(signature, message, _PSS, hashes.SHA384())
    except InvalidSignature:
        raise VerificationError(
            Code.SIGNATURE_INVALID, "RSA-PSS: the signature does not match"
        ) from None


class P384Key:
    """An ECDSA P-384 private key of the insecure mock hierarchy."""

    def __init__(self, key: ec.EllipticCurvePrivateKey) -> None:
        self._key = key
        self.spki = _spki(key)

    @classmethod
    def generate(cls) -> P384Key:
        """Return a new key."""
        return cls(ec.generate_private_key(ec.SECP384R1()))

    @classmethod
    def from_der(cls, data: bytes) -> P384Key:
        """Return the key that `reveal` gave away.

        Raises:
            FormatError: `data` is not such a key.
        """
        key = _load_private(data)
        if not isinstance(key, ec.EllipticCurvePrivateKey) or not isinstance(
            key.curve, ec.SECP384R1
        ):
            raise FormatError(Code.KEY_FILE_MALFORMED, "not a P-384 private key")
        return cls(key)

    def reveal(self) -> bytes:
        """Return the key in PKCS #8, in clear."""
        return _reveal(self._key)

    def sign(self, message: bytes) -> tuple[int, int]:
        """Return R and S of the signature over `message`."""
        return decode_dss_signature(self._key.sign(message, _ECDSA))


class RsaKey:
    """An RSA-4096 private key of the insecure mock hierarchy."""

    def __init__(self, key: rsa.RSAPrivateKey) -> None:
        self._key = key
        self.spki = _spki(key)

    @classmethod
    def generate(cls) -> RsaKey:
        """Return a new key; takes seconds."""
        return cls(rsa.generate_private_key(public_exponent=65537, key_size=RSA_BITS))

    @classmethod
    def from_der(cls, data: bytes) -> RsaKey:
        """Return the key that `reveal` gave away.

        Raises:
            FormatError: `data` is not such a key.
        """
        key = _load_private(data)
        if not isinstance(key, rsa.RSAPrivateKey) or key.key_size != RSA_BITS:
            raise FormatError(Code.KEY_FILE_MALFORMED, f"not an RSA private key of {RSA_BITS} bits")
        return cls(key)

    def reveal(self) -> bytes:
        """Return the key in PKCS #8, in clear."""
        return _reveal(self._key)

    def sign(self, message: bytes) -> bytes:
        """Return the RSA-PSS SHA-384 signature over `message`."""
        return self._key.sign(message, _PSS, hashes.SHA384())


def _load_private(data: bytes) -> object:
    try:
        return serialization.load_der_private_key(data, password=None)
    except (ValueError, TypeError, UnsupportedAlgorithm) as error:
        raise FormatError(Code.KEY_FILE_MALFORMED, "a private key that is none") from error


def _spki(key: ec.EllipticCurvePrivateKey | rsa.RSAPrivateKey) -> bytes:
    return key.public_key().public_bytes(
        serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo
    )


def _reveal(key: ec.EllipticCurvePrivateKey | rsa.RSAPrivateKey) -> bytes:
    return key.private_bytes(
        serialization.Encoding.DER,
        serialization.PrivateFormat.PKCS8,
        serialization.NoEncryption(),
    )
