"""RSASSA-PSS as a TPM signs with it: the salt as long as it fits, or as long as the digest.

TPM 2.0 Library, part 1, annex B.7: the specification says the longest, FIPS 186-4 at most the
digest, and each vendor follows one of them. Certificates have one length; `rsa` verifies those.
"""

from __future__ import annotations

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import padding, rsa

from sealtune.crypto.key_encoding import load_public_key
from sealtune.crypto.rsa import RSA_BITS_MAX, RSA_BITS_MIN, DigestName
from sealtune.errors import Code, FormatError, VerificationError

_DIGESTS: dict[DigestName, hashes.HashAlgorithm] = {
    "sha256": hashes.SHA256(),
    "sha384": hashes.SHA384(),
    "sha512": hashes.SHA512(),
}


def verify_rsa_pss_tpm(
    spki: bytes, *, signature: bytes, message: bytes, digest: DigestName
) -> None:
    """Verify the RSASSA-PSS signature with `digest`, also in MGF1, over `message`.

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
    algorithm = _DIGESTS[digest]
    scheme = padding.PSS(mgf=padding.MGF1(algorithm), salt_length=padding.PSS.AUTO)
    try:
        key.verify(signature, message, scheme, algorithm)
    except InvalidSignature:
        raise VerificationError(
            Code.SIGNATURE_INVALID, "RSA-PSS: the signature does not match"
        ) from None
