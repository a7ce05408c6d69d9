"""A TPM's public key structures, for whoever collects evidence (TPMT_PUBLIC, TPM2B_PUBLIC).

Source: TPM 2.0 Library, part 2. Evidence carries the key as SubjectPublicKeyInfo; the attributes
that make it an attestation key are known to the TPM and its owner only, so an Attester checks them
before it uses the key and a Verifier relies on a certificate or on enrolment.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass

from sealtune.attestation.tpm_wire import TpmHash, TpmReader
from sealtune.crypto import der
from sealtune.crypto.der import Tag
from sealtune.crypto.rsa import rsa_spki
from sealtune.errors import Code, FormatError

_PUBLIC_BYTES_MAX = 2048  # 3x an RSA-4096 key with a policy
_RSA, _ECC, _NULL = 0x0001, 0x0023, 0x0010
_DEFAULT_EXPONENT = 65537
_RSA_BITS = frozenset({2048, 3072, 4096})
_BUFFER_MAX = 512
_SCHEMES_WITHOUT_DETAILS = frozenset({0x0015})  # RSAES
_ECDAA = 0x001A
_FIXED_TPM, _SENSITIVE_DATA_ORIGIN, _RESTRICTED, _SIGN = 1 << 1, 1 << 5, 1 << 16, 1 << 18

_OID_EC = "1.2.840.10045.2.1"
# TPM_ECC_CURVE: object identifier, bytes of a coordinate.
_CURVES = {0x0003: ("1.2.840.10045.3.1.7", 32), 0x0004: ("1.3.132.0.34", 48)}


@dataclass(frozen=True, slots=True, kw_only=True)
class TpmPublic:
    """A key in a TPM: its SubjectPublicKeyInfo in DER, its TPM name and what it may do."""

    spki: bytes
    name: bytes
    attributes: int

    @property
    def is_attestation_key(self) -> bool:
        """Whether it signs what this TPM generated and nothing that software made up.

        Restricted, for signing, made by the TPM and never leaving it (TPM 2.0 Library, part 1,
        section 25).
        """
        wanted = _FIXED_TPM | _SENSITIVE_DATA_ORIGIN | _RESTRICTED | _SIGN
        return self.attributes & wanted == wanted


def parse_tpm2b_public(data: bytes) -> TpmPublic:
    """Return the key in `data`, a TPM2B_PUBLIC: a TPMT_PUBLIC after its length.

    Raises:
        FormatError: as `parse_tpmt_public`, or another length.
    """
    reader = TpmReader(data, what="TPM public key")
    public = reader.sized(limit=_PUBLIC_BYTES_MAX)
    reader.end()
    return parse_tpmt_public(public)


def parse_tpmt_public(data: bytes) -> TpmPublic:
    """Return the key in `data`, a TPMT_PUBLIC.

    Raises:
        FormatError: neither RSA nor ECC on P-256 or P-384, or bytes missing, left over or beyond
            bounds.
    """
    if len(data) > _PUBLIC_BYTES_MAX:
        raise FormatError(Code.LIMIT_EXCEEDED, "TPM public key: too many bytes")
    reader = TpmReader(data, what="TPM public key")
    kind = reader.number(2)
    name_hash = reader.hash()
    if name_hash is TpmHash.SM3_256:
        raise reader.malformed("a name that is hashed with SM3")
    attributes = reader.number(4)
    reader.sized(limit=_BUFFER_MAX)  # authPolicy
    if kind == _RSA:
        spki = _read_rsa(reader)
    elif kind == _ECC:
        spki = _read_ecc(reader)
    else:
        raise reader.malformed(f"a key of type {kind:#06x}")
    reader.end()
    digest = hashlib.new(name_hash.label, data).digest()
    return TpmPublic(spki=spki, name=name_hash.to_bytes(2, "big") + digest, attributes=attributes)


def _skip_symmetric(reader: TpmReader) -> None:
    if reader.number(2) != _NULL:
        reader.take(4)  # key bits and mode


def _skip_scheme(reader: TpmReader) -> None:
    scheme = reader.number(2)
    if scheme == _NULL or scheme in _SCHEMES_WITHOUT_DETAILS:
        return
    reader.take(4 if scheme == _ECDAA else 2)  # hash algorithm, and a count for ECDAA


def _read_rsa(reader: TpmReader) -> bytes:
    _skip_symmetric(reader)
    _skip_scheme(reader)
    bits = reader.number(2)
    exponent = reader.number(4) or _DEFAULT_EXPONENT
    modulus = int.from_bytes(reader.sized(limit=_BUFFER_MAX), "big")
    if bits not in _RSA_BITS or modulus.bit_length() != bits:
        raise reader.malformed(f"an RSA key of {modulus.bit_length()} bits")
    return rsa_spki(modulus=modulus, exponent=exponent)


def _read_ecc(reader: TpmReader) -> bytes:
    _skip_symmetric(reader)
    _skip_scheme(reader)
    curve = _CURVES.get(reader.number(2))
    if curve is None:
        raise reader.malformed("an ECC key on another curve than P-256 and P-384")
    _skip_scheme(reader)  # the key derivation scheme has the same form
    oid, size = curve
    # A TPM leaves zeros in front of a coordinate away, or not: both are the same number.
    point = b"".join(_coordinate(reader, size) for _ in "xy")
    algorithm = der.encode(Tag.SEQUENCE, der.encode_oid(_OID_EC), der.encode_oid(oid))
    return der.encode(Tag.SEQUENCE, algorithm, der.encode(Tag.BIT_STRING, b"\x00\x04" + point))


def _coordinate(reader: TpmReader, size: int) -> bytes:
    return reader.sized(limit=size).rjust(size, b"\0")
