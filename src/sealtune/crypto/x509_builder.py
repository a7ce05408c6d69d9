"""Writes certificates for the insecure mock hierarchy; no real authority's key belongs here."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

from sealtune.crypto import der
from sealtune.crypto.der import Tag
from sealtune.crypto.ecdsa import RsaKey
from sealtune.crypto.x509 import (
    EXTENSIONS_TAG,
    OID_BASIC_CONSTRAINTS,
    OID_KEY_USAGE,
    OID_MGF1,
    OID_PSS,
    OID_SHA384,
    SALT_BYTES,
    VERSION_TAG,
    Extension,
)


@dataclass(frozen=True, slots=True, kw_only=True)
class CertificateFields:
    """What a certificate of the mock hierarchy says; names are (attribute OID, text) pairs."""

    serial: int
    issuer: Sequence[tuple[str, str]]
    subject: Sequence[tuple[str, str]]
    not_before: datetime
    not_after: datetime
    spki: bytes
    extensions: Mapping[str, Extension]


def build_certificate(fields: CertificateFields, *, key: RsaKey) -> bytes:
    """Return the certificate that `fields` describe, in DER, signed with `key`."""
    algorithm = _pss_sha384()
    tbs = der.encode(
        Tag.SEQUENCE,
        der.encode(VERSION_TAG, der.encode_integer(2)),
        der.encode_integer(fields.serial),
        algorithm,
        _name(fields.issuer),
        der.encode(Tag.SEQUENCE, _moment(fields.not_before), _moment(fields.not_after)),
        _name(fields.subject),
        fields.spki,
        der.encode(
            EXTENSIONS_TAG,
            der.encode(Tag.SEQUENCE, *(_extension(*item) for item in fields.extensions.items())),
        ),
    )
    signature = der.encode(Tag.BIT_STRING, b"\x00", key.sign(tbs))
    return der.encode(Tag.SEQUENCE, tbs, algorithm, signature)


def authority_extensions(*, path_length: int | None) -> dict[str, Extension]:
    """Return the extensions of a certificate authority: basicConstraints and keyUsage."""
    depth = b"" if path_length is None else der.encode_integer(path_length)
    constraints = der.encode(Tag.SEQUENCE, der.encode(Tag.BOOLEAN, b"\xff"), depth)
    usage = der.encode(Tag.BIT_STRING, b"\x02\x04")
    return {
        OID_KEY_USAGE: Extension(critical=True, value=usage),
        OID_BASIC_CONSTRAINTS: Extension(critical=True, value=constraints),
    }


def _pss_sha384() -> bytes:
    digest = der.encode(Tag.SEQUENCE, der.encode_oid(OID_SHA384), der.encode(Tag.NULL))
    mask = der.encode(Tag.SEQUENCE, der.encode_oid(OID_MGF1), digest)
    parameters = der.encode(
        Tag.SEQUENCE,
        der.encode(0xA0, digest),
        der.encode(0xA1, mask),
        der.encode(0xA2, der.encode_integer(SALT_BYTES)),
    )
    return der.encode(Tag.SEQUENCE, der.encode_oid(OID_PSS), parameters)


def _name(attributes: Sequence[tuple[str, str]]) -> bytes:
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
    return der.encode(Tag.GENERALIZED_TIME, moment.strftime("%Y%m%d%H%M%SZ").encode())


def _extension(oid: str, extension: Extension) -> bytes:
    critical = der.encode(Tag.BOOLEAN, b"\xff") if extension.critical else b""
    return der.encode(
        Tag.SEQUENCE,
        der.encode_oid(oid),
        critical,
        der.encode(Tag.OCTET_STRING, extension.value),
    )
