"""Signatures of hardware vendors with ECDSA on the curves P-256, P-384 and P-521.

Keys come as SubjectPublicKeyInfo in DER. Our own statements are signed with Ed25519 (`signing`),
not with these: `P256Key` signs what other programs' verifiers must read (tokens), and both keys
serve the insecure mock hierarchies. Neither knows a passphrase.
"""

from __future__ import annotations

from typing import NoReturn, Self

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.utils import (
    decode_dss_signature,
    encode_dss_signature,
)

from sealtune.crypto.key_encoding import (
    encode_private_key,
    encode_public_key,
    load_private_key,
    load_public_key,
)
from sealtune.crypto.rsa import DigestName
from sealtune.errors import Code, FormatError, VerificationError

P256_ORDER = 0xFFFFFFFF00000000FFFFFFFFFFFFFFFFBCE6FAADA7179E84F3B9CAC2FC632551
P384_ORDER = int(
    "ffffffffffffffffffffffffffffffffffffffffffffffffc7634d81f4372ddf581a0db248b0a77aecec196accc52973",
    16,
)
_ECDSA: dict[DigestName, ec.ECDSA] = {
    "sha256": ec.ECDSA(hashes.SHA256()),
    "sha384": ec.ECDSA(hashes.SHA384()),
    "sha512": ec.ECDSA(hashes.SHA512()),
}
_CURVES = (ec.SECP256R1, ec.SECP384R1, ec.SECP521R1)


def verify_ecdsa_p256(spki: bytes, *, r: int, s: int, message: bytes) -> None:
    """Verify the ECDSA P-256 SHA-256 signature (`r`, `s`) over `message` with the key `spki`.

    Raises:
        FormatError: `spki` is not a P-256 public key.
        VerificationError: `r` or `s` is out of range, or the signature is of something or someone
            else.
    """
    key = _ecdsa_key(spki)
    if not isinstance(key.curve, ec.SECP256R1):
        raise FormatError(Code.PUBLIC_KEY_MALFORMED, "not a P-256 public key")
    _require_in_range(r, s, order=P256_ORDER)
    _verify(key, encode_dss_signature(r, s), message, "sha256")


def verify_ecdsa_p384(spki: bytes, *, r: int, s: int, message: bytes) -> None:
    """Verify the ECDSA P-384 SHA-384 signature (`r`, `s`) over `message` with the key `spki`.

    Raises:
        FormatError: `spki` is not a P-384 public key.
        VerificationError: `r` or `s` is out of range, or the signature is of something or someone
            else.
    """
    key = _ecdsa_key(spki)
    if not isinstance(key.curve, ec.SECP384R1):
        raise FormatError(Code.PUBLIC_KEY_MALFORMED, "not a P-384 public key")
    _require_in_range(r, s, order=P384_ORDER)
    _verify(key, encode_dss_signature(r, s), message, "sha384")


def verify_ecdsa_der(spki: bytes, *, signature: bytes, message: bytes, digest: DigestName) -> None:
    """Verify an ECDSA signature in DER, as certificates carry it, over `message`.

    A certificate's algorithm names the digest and not the curve (RFC 5758 §3.2): the key does that.

    Raises:
        FormatError: `spki` is not a P-256, P-384 or P-521 public key.
        VerificationError: the signature is none, or of something or someone else.
    """
    _verify(_ecdsa_key(spki), signature, message, digest)


def p256_spki(point: bytes) -> bytes:
    """Return the P-256 public key whose X and Y, 32 bytes each, `point` is.

    Raises:
        FormatError: another length, or no point of the curve.
    """
    try:
        key = ec.EllipticCurvePublicKey.from_encoded_point(ec.SECP256R1(), b"\x04" + point)
    except ValueError as error:
        raise FormatError(Code.PUBLIC_KEY_MALFORMED, "not a point of P-256") from error
    return encode_public_key(key)


def _ecdsa_key(spki: bytes) -> ec.EllipticCurvePublicKey:
    key = load_public_key(spki)
    if not isinstance(key, ec.EllipticCurvePublicKey) or not isinstance(key.curve, _CURVES):
        raise FormatError(Code.PUBLIC_KEY_MALFORMED, "not a P-256, P-384 or P-521 public key")
    return key


def _require_in_range(r: int, s: int, *, order: int) -> None:
    if not (1 <= r < order and 1 <= s < order):
        raise VerificationError(Code.SIGNATURE_INVALID, "ECDSA: R or S is out of range")


def _verify(
    key: ec.EllipticCurvePublicKey, signature: bytes, message: bytes, digest: DigestName
) -> None:
    try:
        key.verify(signature, message, _ECDSA[digest])
    except InvalidSignature:
        raise VerificationError(
            Code.SIGNATURE_INVALID, "ECDSA: the signature does not match"
        ) from None


class _EcdsaKey:
    """What the two kinds of private key share: a curve and the digest that belongs to it."""

    _curve: ec.EllipticCurve
    _digest: DigestName

    def __init__(self, key: ec.EllipticCurvePrivateKey) -> None:
        self._key = key
        self.spki = encode_public_key(key.public_key())

    @classmethod
    def generate(cls) -> Self:
        """Return a new key."""
        return cls(ec.generate_private_key(cls._curve))

    @classmethod
    def from_der(cls, data: bytes) -> Self:
        """Return the key that `reveal` gave away.

        Raises:
            FormatError: `data` is not such a key.
        """
        key = load_private_key(data)
        if not isinstance(key, ec.EllipticCurvePrivateKey) or key.curve.name != cls._curve.name:
            raise FormatError(Code.KEY_FILE_MALFORMED, f"not a {cls._curve.name} private key")
        return cls(key)

    def reveal(self) -> bytes:
        """Return the key in PKCS #8, in clear: call it only to write a key file."""
        return encode_private_key(self._key)

    def sign(self, message: bytes) -> tuple[int, int]:
        """Return R and S of the signature over `message`."""
        return decode_dss_signature(self.sign_der(message, digest=self._digest))

    def sign_der(self, message: bytes, *, digest: DigestName) -> bytes:
        """Return the signature with `digest` over `message` in DER."""
        return self._key.sign(message, _ECDSA[digest])

    def __repr__(self) -> str:
        return f"{type(self).__name__}(...)"

    def __reduce__(self) -> NoReturn:
        raise TypeError(f"a {type(self).__name__} is not pickled")


class P256Key(_EcdsaKey):
    """An ECDSA P-256 private key that signs with SHA-256."""

    _curve = ec.SECP256R1()
    _digest = "sha256"


class P384Key(_EcdsaKey):
    """An ECDSA P-384 private key that signs with SHA-384."""

    _curve = ec.SECP384R1()
    _digest = "sha384"
