"""Writes certificates, CRLs and OCSP responses for the insecure mock hierarchies.

No real authority's key belongs here. What it writes may be wrong in any field that a test wants to
be wrong.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime

from sealtune.crypto import der
from sealtune.crypto.algorithms import (
    ECDSA_DIGESTS,
    OID_MGF1,
    OID_SHA384,
    OIDS,
    RSA_DIGESTS,
    SALT_BYTES,
    SignatureAlgorithm,
)
from sealtune.crypto.der import Tag
from sealtune.crypto.ecdsa import P256Key, P384Key
from sealtune.crypto.extensions import (
    OID_BASIC_CONSTRAINTS,
    OID_EXTENDED_KEY_USAGE,
    OID_KEY_USAGE,
    Extension,
)
from sealtune.crypto.ocsp import OID_BASIC_RESPONSE, public_key_bits
from sealtune.crypto.rsa import RSA_BITS, RsaKey
from sealtune.crypto.x509 import EXTENSIONS_TAG, VERSION_TAG, Certificate

AuthorityKey = P256Key | P384Key | RsaKey
Name = Sequence[tuple[str, str]]


@dataclass(frozen=True, slots=True, kw_only=True)
class CertificateFields:
    """What a certificate of a mock hierarchy says; names are (attribute OID, text) pairs."""

    serial: int
    issuer: Name
    subject: Name
    not_before: datetime
    not_after: datetime
    spki: bytes
    extensions: Mapping[str, Extension]


@dataclass(frozen=True, slots=True, kw_only=True)
class CrlFields:
    """What a CRL of a mock hierarchy says; `revoked` are serial numbers with or without reason."""

    issuer: Name
    this_update: datetime
    next_update: datetime | None
    revoked: Mapping[int, int | None]
    extensions: Mapping[str, Extension] = field(default_factory=dict)
    entry_extensions: Mapping[str, Extension] = field(default_factory=dict)


def build_certificate(
    fields: CertificateFields, *, key: AuthorityKey, algorithm: SignatureAlgorithm | None = None
) -> bytes:
    """Return the certificate that `fields` describe, in DER, signed with `key`.

    Without `algorithm` it is the key's usual one: ECDSA with the digest of the curve's size,
    RSASSA-PSS SHA-384 for 4096 bits (AMD), PKCS #1 v1.5 SHA-256 for other RSA keys (TPM vendors).
    """
    algorithm = algorithm or usual_algorithm(key)
    tbs = der.encode(
        Tag.SEQUENCE,
        der.encode(VERSION_TAG, der.encode_integer(2)),
        der.encode_integer(fields.serial),
        encode_algorithm(algorithm),
        encode_name(fields.issuer),
        der.encode(Tag.SEQUENCE, _moment(fields.not_before), _moment(fields.not_after)),
        encode_name(fields.subject),
        fields.spki,
        der.encode(EXTENSIONS_TAG, encode_extensions(fields.extensions)),
    )
    return sign_structure(tbs, key=key, algorithm=algorithm)


def build_crl(
    fields: CrlFields, *, key: AuthorityKey, algorithm: SignatureAlgorithm | None = None
) -> bytes:
    """Return the version 2 CRL that `fields` describe, in DER, signed with `key`."""
    algorithm = algorithm or usual_algorithm(key)
    entries = b"".join(_revoked(fields, *entry) for entry in fields.revoked.items())
    tbs = der.encode(
        Tag.SEQUENCE,
        der.encode_integer(1),
        encode_algorithm(algorithm),
        encode_name(fields.issuer),
        _moment(fields.this_update),
        _moment(fields.next_update) if fields.next_update else b"",
        # RFC 5280 §5.1.2.6: left out when nothing is revoked.
        der.encode(Tag.SEQUENCE, entries) if entries else b"",
        der.encode(0xA0, encode_extensions(fields.extensions)) if fields.extensions else b"",
    )
    return sign_structure(tbs, key=key, algorithm=algorithm)


@dataclass(frozen=True, slots=True, kw_only=True)
class OcspFields:
    """What an OCSP response of a mock hierarchy says about the certificate `about` of `issuer`.

    `revoked` is the reason of a revocation, None for a certificate that is good.
    """

    about: Certificate
    issuer: Certificate
    responder: Certificate
    this_update: datetime
    next_update: datetime | None
    revoked: int | None
    certificates: tuple[bytes, ...] = ()


def build_ocsp_response(
    fields: OcspFields, *, key: AuthorityKey, algorithm: SignatureAlgorithm | None = None
) -> bytes:
    """Return the OCSP response that `fields` describe, in DER, signed with `key`."""
    answer = der.encode(
        Tag.SEQUENCE,
        ocsp_certificate_id(fields.about, issuer=fields.issuer),
        _status(fields),
        _generalized(fields.this_update),
        der.encode(0xA0, _generalized(fields.next_update)) if fields.next_update else b"",
    )
    tbs = der.encode(
        Tag.SEQUENCE,
        der.encode(0xA1, fields.responder.subject),
        _generalized(fields.this_update),
        der.encode(Tag.SEQUENCE, answer),
    )
    return wrap_ocsp_response(
        tbs, certificates=fields.certificates, key=key, algorithm=algorithm or usual_algorithm(key)
    )


def wrap_ocsp_response(
    tbs: bytes, *, certificates: tuple[bytes, ...], key: AuthorityKey, algorithm: SignatureAlgorithm
) -> bytes:
    """Return the successful basic response with the response data `tbs`, signed with `key`."""
    more = der.encode(0xA0, der.encode(Tag.SEQUENCE, *certificates)) if certificates else b""
    basic = sign_structure(tbs, key=key, algorithm=algorithm, more=more)
    content = der.encode(
        Tag.SEQUENCE, der.encode_oid(OID_BASIC_RESPONSE), der.encode(Tag.OCTET_STRING, basic)
    )
    return der.encode(Tag.SEQUENCE, der.encode(Tag.ENUMERATED, b"\x00"), der.encode(0xA0, content))


def ocsp_certificate_id(certificate: Certificate, *, issuer: Certificate) -> bytes:
    """Return the CertID of `certificate` with SHA-384, as NVIDIA's tools ask."""
    name, key = (
        hashlib.sha384(data).digest() for data in (issuer.subject, public_key_bits(issuer))
    )
    return der.encode(
        Tag.SEQUENCE,
        der.encode(Tag.SEQUENCE, der.encode_oid(OID_SHA384), der.encode(Tag.NULL)),
        der.encode(Tag.OCTET_STRING, name),
        der.encode(Tag.OCTET_STRING, key),
        der.encode_integer(certificate.serial),
    )


def _status(fields: OcspFields) -> bytes:
    if fields.revoked is None:
        return der.encode(0x80)
    reason = der.encode(0xA0, der.encode(Tag.ENUMERATED, bytes((fields.revoked,))))
    return der.encode(0xA1, _generalized(fields.this_update), reason)


def _generalized(moment: datetime) -> bytes:
    return der.encode(Tag.GENERALIZED_TIME, moment.strftime("%Y%m%d%H%M%SZ").encode())


def _revoked(fields: CrlFields, serial: int, reason: int | None) -> bytes:
    extensions = dict(fields.entry_extensions)
    if reason is not None:
        extensions["2.5.29.21"] = Extension(
            critical=False, value=der.encode(Tag.ENUMERATED, bytes((reason,)))
        )
    return der.encode(
        Tag.SEQUENCE,
        der.encode_integer(serial),
        _moment(fields.this_update),
        encode_extensions(extensions) if extensions else b"",
    )


def usual_algorithm(key: AuthorityKey) -> SignatureAlgorithm:
    """Return the algorithm that authorities with such a key use."""
    if isinstance(key, RsaKey):
        pss = key.bits == RSA_BITS
        return SignatureAlgorithm.PSS_SHA384 if pss else SignatureAlgorithm.RSA_SHA256
    if isinstance(key, P256Key):
        return SignatureAlgorithm.ECDSA_SHA256
    return SignatureAlgorithm.ECDSA_SHA384


def sign_structure(
    tbs: bytes, *, key: AuthorityKey, algorithm: SignatureAlgorithm, more: bytes = b""
) -> bytes:
    """Return the SEQUENCE of `tbs`, the algorithm, the signature over `tbs`, and `more`."""
    signature = der.encode(Tag.BIT_STRING, b"\x00", _sign(tbs, key=key, algorithm=algorithm))
    return der.encode(Tag.SEQUENCE, tbs, encode_algorithm(algorithm), signature, more)


def _sign(message: bytes, *, key: AuthorityKey, algorithm: SignatureAlgorithm) -> bytes:
    if isinstance(key, RsaKey):
        if algorithm is SignatureAlgorithm.PSS_SHA384:
            return key.sign(message)
        return key.sign_pkcs1(message, digest=RSA_DIGESTS[algorithm])
    return key.sign_der(message, digest=ECDSA_DIGESTS[algorithm])


def authority_extensions(*, path_length: int | None) -> dict[str, Extension]:
    """Return the extensions of a certificate authority: basicConstraints and keyUsage."""
    depth = b"" if path_length is None else der.encode_integer(path_length)
    constraints = der.encode(Tag.SEQUENCE, der.encode(Tag.BOOLEAN, b"\xff"), depth)
    return {
        **key_usage_extension(5, 6),
        OID_BASIC_CONSTRAINTS: Extension(critical=True, value=constraints),
    }


def key_usage_extension(*bits: int) -> dict[str, Extension]:
    """Return a keyUsage extension with `bits` (RFC 5280 §4.2.1.3), 0 to 7."""
    octet = sum(0x80 >> bit for bit in set(bits))
    unused = 7 - max(bits)
    usage = der.encode(Tag.BIT_STRING, bytes((unused, octet)))
    return {OID_KEY_USAGE: Extension(critical=True, value=usage)}


def extended_key_usage_extension(*purposes: str, critical: bool) -> dict[str, Extension]:
    """Return an extKeyUsage extension with the OIDs `purposes`."""
    value = der.encode(Tag.SEQUENCE, *map(der.encode_oid, purposes))
    return {OID_EXTENDED_KEY_USAGE: Extension(critical=critical, value=value)}


def encode_algorithm(algorithm: SignatureAlgorithm) -> bytes:
    """Return the AlgorithmIdentifier of `algorithm`."""
    oid = der.encode_oid(OIDS[algorithm])
    if algorithm in ECDSA_DIGESTS:
        return der.encode(Tag.SEQUENCE, oid)
    if algorithm in RSA_DIGESTS:
        return der.encode(Tag.SEQUENCE, oid, der.encode(Tag.NULL))
    digest = der.encode(Tag.SEQUENCE, der.encode_oid(OID_SHA384), der.encode(Tag.NULL))
    mask = der.encode(Tag.SEQUENCE, der.encode_oid(OID_MGF1), digest)
    parameters = der.encode(
        Tag.SEQUENCE,
        der.encode(0xA0, digest),
        der.encode(0xA1, mask),
        der.encode(0xA2, der.encode_integer(SALT_BYTES)),
    )
    return der.encode(Tag.SEQUENCE, oid, parameters)


def encode_name(attributes: Name) -> bytes:
    """Return the Name of (attribute OID, text) pairs."""
    sets = (
        der.encode(
            Tag.SET,
            der.encode(
                Tag.SEQUENCE, der.encode_oid(oid), der.encode(Tag.UTF8_STRING, text.encode())
            ),
        )
        for oid, text in attributes
    )
    return der.encode(Tag.SEQUENCE, *sets)


def _moment(moment: datetime) -> bytes:
    if moment.year < 2050:
        return der.encode(Tag.UTC_TIME, moment.strftime("%y%m%d%H%M%SZ").encode())
    return _generalized(moment)


def encode_extensions(extensions: Mapping[str, Extension]) -> bytes:
    """Return the SEQUENCE of `extensions`."""
    return der.encode(Tag.SEQUENCE, *(_extension(*item) for item in extensions.items()))


def _extension(oid: str, extension: Extension) -> bytes:
    critical = der.encode(Tag.BOOLEAN, b"\xff") if extension.critical else b""
    return der.encode(
        Tag.SEQUENCE,
        der.encode_oid(oid),
        critical,
        der.encode(Tag.OCTET_STRING, extension.value),
    )
