"""The signature of a TPM over a quote: TPMT_SIGNATURE, or the bare RSASSA bytes of Azure's vTPM.

Source: TPM 2.0 Library, part 2 (TPMT_SIGNATURE). SHA-1 is refused: it would let a quote be swapped
for another one with the same digest.
"""

from __future__ import annotations

import enum
from dataclasses import dataclass

from sealtune.attestation.tpm_wire import TpmHash, TpmReader
from sealtune.crypto.ecdsa import verify_ecdsa_p256, verify_ecdsa_p384
from sealtune.crypto.rsa import DigestName, verify_rsa_pkcs1
from sealtune.crypto.rsa_tpm import verify_rsa_pss_tpm
from sealtune.errors import Code, FormatError, VerificationError

_SIGNATURE_BYTES_MAX = 1024  # 2x RSA-4096
_RSA_BYTES_MAX = 512
_SCALAR_BYTES_MAX = 48
_ECDSA = {TpmHash.SHA256: verify_ecdsa_p256, TpmHash.SHA384: verify_ecdsa_p384}
_RSA_DIGESTS: dict[TpmHash, DigestName] = {
    TpmHash.SHA256: "sha256",
    TpmHash.SHA384: "sha384",
    TpmHash.SHA512: "sha512",
}


class TpmScheme(enum.IntEnum):
    """Signature schemes by their TPM_ALG_ID."""

    RSASSA = 0x0014
    RSAPSS = 0x0016
    ECDSA = 0x0018


@dataclass(frozen=True, slots=True, kw_only=True)
class TpmSignature:
    """A signature: `rsa` is empty for ECDSA, `r` and `s` are 0 for RSA."""

    scheme: TpmScheme
    hash: TpmHash
    rsa: bytes
    r: int
    s: int

    def __str__(self) -> str:
        return f"{self.scheme.name}({self.scheme:#06x}) {self.hash.name}({self.hash:#06x})"


def parse_tpm_signature(data: bytes) -> TpmSignature:
    """Return the signature that `data`, a TPMT_SIGNATURE, holds.

    Raises:
        FormatError: another scheme or hash than a quote may be signed with, or bytes missing, left
            over or beyond bounds.
    """
    if len(data) > _SIGNATURE_BYTES_MAX:
        raise FormatError(Code.LIMIT_EXCEEDED, "TPM signature: too many bytes")
    reader = TpmReader(data, what="TPM signature")
    number = reader.number(2)
    if number not in set(TpmScheme):
        raise reader.malformed(f"scheme {number:#06x} is not RSASSA, RSAPSS or ECDSA")
    scheme, digest = TpmScheme(number), reader.hash()
    if digest not in (_ECDSA if scheme is TpmScheme.ECDSA else _RSA_DIGESTS):
        raise reader.malformed(f"{scheme.name} with {digest.name}")
    rsa, r, s = b"", 0, 0
    if scheme is TpmScheme.ECDSA:
        r = int.from_bytes(reader.sized(limit=_SCALAR_BYTES_MAX), "big")
        s = int.from_bytes(reader.sized(limit=_SCALAR_BYTES_MAX), "big")
    else:
        rsa = reader.sized(limit=_RSA_BYTES_MAX)
    reader.end()
    return TpmSignature(scheme=scheme, hash=digest, rsa=rsa, r=r, s=s)


def raw_rsassa(data: bytes) -> TpmSignature:
    """Return the signature whose bare RSASSA-PKCS1-v1_5 SHA-256 octets `data` are (Azure).

    Raises:
        FormatError: longer than an RSA-4096 signature.
    """
    if len(data) > _RSA_BYTES_MAX:
        raise FormatError(Code.LIMIT_EXCEEDED, "TPM signature: too many bytes")
    return TpmSignature(scheme=TpmScheme.RSASSA, hash=TpmHash.SHA256, rsa=data, r=0, s=0)


def verify_tpm_signature(signature: TpmSignature, *, spki: bytes, message: bytes) -> None:
    """Verify `signature` over `message` with the attestation key `spki`.

    Raises:
        FormatError: `spki` is no key for this scheme.
        VerificationError: the signature is of something or someone else.
    """
    try:
        _verify(signature, spki=spki, message=message)
    except VerificationError as error:
        raise VerificationError(
            Code.EVIDENCE_SIGNATURE, "TPM quote: not signed by this attestation key"
        ) from error


def _verify(signature: TpmSignature, *, spki: bytes, message: bytes) -> None:
    if signature.scheme is TpmScheme.ECDSA:
        verify = _ECDSA[signature.hash]
        verify(spki, r=signature.r, s=signature.s, message=message)
        return
    digest = _RSA_DIGESTS[signature.hash]
    if signature.scheme is TpmScheme.RSAPSS:
        verify_rsa_pss_tpm(spki, signature=signature.rsa, message=message, digest=digest)
    else:
        verify_rsa_pkcs1(spki, signature=signature.rsa, message=message, digest=digest)
