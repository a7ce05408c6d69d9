"""Signatures of hardware vendors with RSA: PSS with SHA-384, and PKCS #1 v1.5.

Keys come as SubjectPublicKeyInfo in DER. `RsaKey` exists for the insecure mock hierarchies and
knows no passphrase. Does not encrypt, and knows no SHA-1.
"""

from __future__ import annotations

from typing import Literal, NoReturn

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import padding, rsa

from sealtune.crypto.key_encoding import (
    encode_private_key,
    encode_public_key,
    load_private_key,
    load_public_key,
)
from sealtune.errors import Code, FormatError, VerificationError

DigestName = Literal["sha256", "sha384", "sha512"]
RSA_BITS = 4096  # AMD's authorities
RSA_BITS_MIN = 2048  # TPM attestation keys; NIST SP 800-131A allows nothing shorter
RSA_BITS_MAX = 8192  # twice the largest authority; the cost of a verification grows with the square
_SALT_BYTES = 48
_PSS = padding.PSS(mgf=padding.MGF1(hashes.SHA384()), salt_length=_SALT_BYTES)
_DIGESTS: dict[DigestName, hashes.HashAlgorithm] = {
    "sha256": hashes.SHA256(),
    "sha384": hashes.SHA384(),
    "sha512": hashes.SHA512(),
}


def verify_rsa_pss(spki: bytes, *, signature: bytes, message: bytes) -> None:
    """Verify the RSA-4096 PSS signature (SHA-384, MGF1 SHA-384, 48 bytes of salt) over `message`.

    Raises:
        FormatError: `spki` is not an RSA public key of 4096 bits.
        VerificationError: the signature is of something or someone else.
    """
    key = load_public_key(spki)
    if not isinstance(key, rsa.RSAPublicKey) or key.key_size != RSA_BITS:
        raise FormatError(Code.PUBLIC_KEY_MALFORMED, f"not an RSA public key of {RSA_BITS} bits")
    try:
        key.verify(signature, message, _PSS, hashes.SHA384())
    except InvalidSignature:
        raise VerificationError(
            Code.SIGNATURE_INVALID, "RSA-PSS: the signature does not match"
        ) from None


def verify_rsa_pkcs1(spki: bytes, *, signature: bytes, message: bytes, digest: DigestName) -> None:
    """Verify the RSASSA-PKCS1-v1_5 signature with `digest` over `message` (RFC 8017 §8.2).

    Raises:
        FormatError: `spki` is not an RSA public key of 2048 to 8192 bits.
        VerificationError: the signature is of something or someone else.
    """
    key = load_public_key(spki)
    if not isinstance(key, rsa.RSAPublicKey) or not RSA_BITS_MIN <= key.key_size <= RSA_BITS_MAX:
        raise FormatError(
            Code.PUBLIC_KEY_MALFORMED,
            f"not an RSA public key of {RSA_BITS_MIN} to {RSA_BITS_MAX} bits",
        )
    try:
        key.verify(signature, message, padding.PKCS1v15(), _DIGESTS[digest])
    except InvalidSignature:
        raise VerificationError(
            Code.SIGNATURE_INVALID, "RSA: the signature does not match"
        ) from None


def rsa_spki(*, modulus: int, exponent: int) -> bytes:
    """Return the public key of `modulus` and `exponent` as SubjectPublicKeyInfo.

    Raises:
        FormatError: no RSA key has these numbers, or one outside of 2048 to 8192 bits.
    """
    if not RSA_BITS_MIN <= modulus.bit_length() <= RSA_BITS_MAX:
        raise FormatError(
            Code.PUBLIC_KEY_MALFORMED,
            f"an RSA modulus of {modulus.bit_length()} bits, not {RSA_BITS_MIN} to {RSA_BITS_MAX}",
        )
    if modulus < 0 or exponent < 0:
        raise FormatError(Code.PUBLIC_KEY_MALFORMED, "negative numbers of no RSA key")
    try:
        return encode_public_key(rsa.RSAPublicNumbers(exponent, modulus).public_key())
    except ValueError as error:
        raise FormatError(Code.PUBLIC_KEY_MALFORMED, "numbers of no RSA key") from error


class RsaKey:
    """An RSA private key of an insecure mock hierarchy; `repr` hides it, pickling is refused."""

    def __init__(self, key: rsa.RSAPrivateKey) -> None:
        self._key = key
        self.bits = key.key_size
        self.spki = encode_public_key(key.public_key())

    @classmethod
    def generate(cls, bits: int = RSA_BITS) -> RsaKey:
        """Return a new key; 4096 bits take seconds."""
        return cls(rsa.generate_private_key(public_exponent=65537, key_size=bits))

    @classmethod
    def from_der(cls, data: bytes) -> RsaKey:
        """Return the key that `reveal` gave away.

        Raises:
            FormatError: `data` is not such a key.
        """
        key = load_private_key(data)
        if (
            not isinstance(key, rsa.RSAPrivateKey)
            or not RSA_BITS_MIN <= key.key_size <= RSA_BITS_MAX
        ):
            raise FormatError(
                Code.KEY_FILE_MALFORMED,
                f"not an RSA private key of {RSA_BITS_MIN} to {RSA_BITS_MAX} bits",
            )
        return cls(key)

    def reveal(self) -> bytes:
        """Return the key in PKCS #8, in clear."""
        return encode_private_key(self._key)

    def sign(self, message: bytes) -> bytes:
        """Return the RSA-PSS SHA-384 signature over `message`."""
        return self._key.sign(message, _PSS, hashes.SHA384())

    def sign_pkcs1(self, message: bytes, *, digest: DigestName) -> bytes:
        """Return the RSASSA-PKCS1-v1_5 signature with `digest` over `message`."""
        return self._key.sign(message, padding.PKCS1v15(), _DIGESTS[digest])

    def __repr__(self) -> str:
        return "RsaKey(...)"

    def __reduce__(self) -> NoReturn:
        raise TypeError("an RsaKey is not pickled")
