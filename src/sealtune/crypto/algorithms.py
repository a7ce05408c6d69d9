"""The signature algorithms that vendors' certificates, CRLs and OCSP responses name.

RSASSA-PSS is AMD's, with SHA-384 and 48 bytes of salt and nothing else; ECDSA and RSA PKCS #1 v1.5
come with SHA-256, SHA-384 and SHA-512. SHA-1 and MD5 are not known.
"""

from __future__ import annotations

from enum import StrEnum

from sealtune.crypto import der
from sealtune.crypto.der import Element, Tag
from sealtune.crypto.ecdsa import verify_ecdsa_der
from sealtune.crypto.rsa import DigestName, verify_rsa_pkcs1, verify_rsa_pss
from sealtune.errors import Code, FormatError

OID_PSS = "1.2.840.113549.1.1.10"
OID_MGF1 = "1.2.840.113549.1.1.8"
OID_SHA384 = "2.16.840.1.101.3.4.2.2"
SALT_BYTES = 48
NULL = b"\x05\x00"
# digest, mask, salt and, in the older certificates, the default trailer spelled out.
_PSS_PARAMETERS = ((0xA0, 0xA1, 0xA2), (0xA0, 0xA1, 0xA2, 0xA3))


class SignatureAlgorithm(StrEnum):
    """How an issuer signed, by the names of the RFCs."""

    PSS_SHA384 = "rsassa-pss-sha384"
    ECDSA_SHA256 = "ecdsa-with-sha256"
    ECDSA_SHA384 = "ecdsa-with-sha384"
    ECDSA_SHA512 = "ecdsa-with-sha512"
    RSA_SHA256 = "sha256-with-rsa"
    RSA_SHA384 = "sha384-with-rsa"
    RSA_SHA512 = "sha512-with-rsa"


ECDSA_DIGESTS: dict[SignatureAlgorithm, DigestName] = {
    SignatureAlgorithm.ECDSA_SHA256: "sha256",
    SignatureAlgorithm.ECDSA_SHA384: "sha384",
    SignatureAlgorithm.ECDSA_SHA512: "sha512",
}
RSA_DIGESTS: dict[SignatureAlgorithm, DigestName] = {
    SignatureAlgorithm.RSA_SHA256: "sha256",
    SignatureAlgorithm.RSA_SHA384: "sha384",
    SignatureAlgorithm.RSA_SHA512: "sha512",
}
OIDS = {
    SignatureAlgorithm.PSS_SHA384: OID_PSS,
    SignatureAlgorithm.ECDSA_SHA256: "1.2.840.10045.4.3.2",
    SignatureAlgorithm.ECDSA_SHA384: "1.2.840.10045.4.3.3",
    SignatureAlgorithm.ECDSA_SHA512: "1.2.840.10045.4.3.4",
    SignatureAlgorithm.RSA_SHA256: "1.2.840.113549.1.1.11",
    SignatureAlgorithm.RSA_SHA384: "1.2.840.113549.1.1.12",
    SignatureAlgorithm.RSA_SHA512: "1.2.840.113549.1.1.13",
}
_ALGORITHMS = {oid: algorithm for algorithm, oid in OIDS.items()}


def _malformed(reason: str) -> FormatError:
    return FormatError(Code.CERTIFICATE_MALFORMED, f"signature algorithm: {reason}")


def read_algorithm(element: Element) -> SignatureAlgorithm:
    """Return the algorithm that `element`, an AlgorithmIdentifier, names.

    Raises:
        FormatError: one that is not known here, or with other parameters than belong to it.
    """
    children = der.expect(element, Tag.SEQUENCE).children()
    if len(children) not in (1, 2):
        raise _malformed(f"{len(children)} fields")
    oid = der.read_oid(children[0])
    algorithm = _ALGORITHMS.get(oid)
    if algorithm is None:
        raise _malformed(f"{oid} is not known here")
    parameters = children[1:]
    if algorithm is SignatureAlgorithm.PSS_SHA384:
        _require_pss_sha384(parameters)
    elif algorithm in ECDSA_DIGESTS:
        # RFC 5758 §3.2: left out.
        if parameters:
            raise _malformed("ECDSA with parameters")
    elif any(parameter.raw != NULL for parameter in parameters):
        # RFC 4055 §5: NULL, and a reader accepts it left out.
        raise _malformed("RSA PKCS #1 with parameters")
    return algorithm


def verify_signature(
    algorithm: SignatureAlgorithm, *, spki: bytes, signature: bytes, message: bytes
) -> None:
    """Verify `signature` over `message` with the key `spki` and exactly `algorithm`.

    Raises:
        FormatError: `spki` is no key for this algorithm.
        VerificationError: the signature is of something or someone else.
    """
    if algorithm in ECDSA_DIGESTS:
        digest = ECDSA_DIGESTS[algorithm]
        verify_ecdsa_der(spki, signature=signature, message=message, digest=digest)
    elif algorithm in RSA_DIGESTS:
        digest = RSA_DIGESTS[algorithm]
        verify_rsa_pkcs1(spki, signature=signature, message=message, digest=digest)
    else:
        verify_rsa_pss(spki, signature=signature, message=message)


def _require_pss_sha384(parameters: tuple[Element, ...]) -> None:
    """RFC 4055 §3.1: compare the parameters by meaning; the default trailer may be spelled out."""
    if not parameters:
        raise _malformed("RSASSA-PSS without parameters, which stands for SHA-1")
    given = der.expect(parameters[0], Tag.SEQUENCE).children()
    if tuple(field.tag for field in given) not in _PSS_PARAMETERS:
        raise _malformed("RSASSA-PSS parameters missing or unknown")
    (digest,) = der.fields(given[0], 1)
    (mask,) = der.fields(given[1], 1)
    (salt,) = der.fields(given[2], 1)
    mask_oid, mask_digest = der.fields(der.expect(mask, Tag.SEQUENCE), 2)
    if der.read_oid(mask_oid) != OID_MGF1 or der.read_integer(salt) != SALT_BYTES:
        raise _malformed("RSASSA-PSS without MGF1 or with another salt")
    if {read_digest_oid(digest), read_digest_oid(mask_digest)} != {OID_SHA384}:
        raise _malformed("RSASSA-PSS with another digest than SHA-384")
    if len(given) == 4 and given[3].content != der.encode_integer(1):
        raise _malformed("RSASSA-PSS with another trailer")


def read_digest_oid(element: Element) -> str:
    """Return the OID of the digest that `element`, an AlgorithmIdentifier, names.

    Raises:
        FormatError: one with parameters other than NULL.
    """
    children = der.expect(element, Tag.SEQUENCE).children()
    if not children or any(child.raw != NULL for child in children[1:]):
        raise _malformed("a digest algorithm with parameters")
    return der.read_oid(children[0])
