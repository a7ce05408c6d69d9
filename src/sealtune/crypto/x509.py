"""X.509 certificates of hardware vendors: read and verified one link at a time.

Tolerates serial number 0 (every AMD VCEK has it) and knows one signature algorithm, RSASSA-PSS with
SHA-384 and 48 bytes of salt. Does not build or search chains, fetch anything, or read the clock:
the caller names each link.
"""

from __future__ import annotations

import base64
import binascii
import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from functools import lru_cache
from types import MappingProxyType

from sealtune.core.digest import Digest, sha256_digest
from sealtune.core.limits import CERTIFICATE_BYTES_MAX, CHAIN_CERTIFICATES_MAX
from sealtune.crypto import der
from sealtune.crypto.der import Element, Tag
from sealtune.crypto.ecdsa import verify_rsa_pss
from sealtune.errors import Code, FormatError, SealtuneError, VerificationError

VERSION_TAG, EXTENSIONS_TAG = 0xA0, 0xA3
OID_PSS = "1.2.840.113549.1.1.10"
OID_MGF1 = "1.2.840.113549.1.1.8"
OID_SHA384 = "2.16.840.1.101.3.4.2.2"
_OID_COMMON_NAME = "2.5.4.3"
OID_BASIC_CONSTRAINTS = "2.5.29.19"
OID_KEY_USAGE = "2.5.29.15"
_KEY_CERT_SIGN = 5
SALT_BYTES = 48
# digest, mask, salt and, in the older certificates, the default trailer spelled out.
_PSS_PARAMETERS = ((0xA0, 0xA1, 0xA2), (0xA0, 0xA1, 0xA2, 0xA3))
_UNDERSTOOD = frozenset({OID_BASIC_CONSTRAINTS, OID_KEY_USAGE})
_PEM = re.compile(
    rb"-----BEGIN CERTIFICATE-----\s([A-Za-z0-9+/=\s]{1,16384})-----END CERTIFICATE-----"
)


@dataclass(frozen=True, slots=True)
class Extension:
    """A certificate extension: the content of its OCTET STRING, and its critical flag."""

    critical: bool
    value: bytes


@dataclass(frozen=True, slots=True, kw_only=True)
class Certificate:
    """A parsed certificate; nothing about it is verified.

    `tbs` is what the issuer signed; `issuer` and `subject` are names in DER, to be compared octet
    by octet; `subject_cn` and `issuer_cn` are their only common names ("" without one).
    """

    raw: bytes
    tbs: bytes
    signature: bytes
    serial: int
    issuer: bytes
    issuer_cn: str
    subject: bytes
    subject_cn: str
    not_before: datetime
    not_after: datetime
    spki: bytes
    extensions: Mapping[str, Extension]

    @property
    def digest(self) -> Digest:
        """SHA-256 of the DER."""
        return sha256_digest(self.raw)

    @property
    def may_issue(self) -> bool:
        """Whether basicConstraints and keyUsage both let it sign certificates (RFC 5280 §4.2.1)."""
        constraints = self.extensions.get(OID_BASIC_CONSTRAINTS)
        usage = self.extensions.get(OID_KEY_USAGE)
        if constraints is None or usage is None:
            return False
        flags = der.read_flags(der.read_element(usage.value, tag=Tag.BIT_STRING))
        fields = der.read_element(constraints.value, tag=Tag.SEQUENCE).children()
        authority = bool(fields) and fields[0].tag == Tag.BOOLEAN and der.read_boolean(fields[0])
        return authority and _KEY_CERT_SIGN in flags


def _malformed(reason: str) -> FormatError:
    return FormatError(Code.CERTIFICATE_MALFORMED, f"certificate: {reason}")


def certificates_from_pem(data: bytes) -> tuple[bytes, ...]:
    """Return the DER of each CERTIFICATE block in `data`, in order, at most 8.

    Raises:
        FormatError: no block, too many, or one that is not base64.
    """
    if len(data) > 2 * CHAIN_CERTIFICATES_MAX * CERTIFICATE_BYTES_MAX:
        raise FormatError(Code.LIMIT_EXCEEDED, "certificates: too many bytes")
    blocks = _PEM.findall(data)
    if not 1 <= len(blocks) <= CHAIN_CERTIFICATES_MAX:
        raise _malformed(f"{len(blocks)} PEM blocks, 1 to {CHAIN_CERTIFICATES_MAX} belong there")
    try:
        return tuple(base64.b64decode(b"".join(block.split()), validate=True) for block in blocks)
    except binascii.Error:
        raise _malformed("a PEM block that is not base64") from None


@lru_cache(maxsize=64)  # pure and immutable; a verifier meets the same few chains again and again
def parse_certificate(data: bytes) -> Certificate:
    """Return the certificate that `data`, in DER, holds.

    Raises:
        FormatError: larger than 8 KiB, not a version 3 certificate in DER, signed with another
            algorithm than RSASSA-PSS SHA-384, an extension twice, or a critical extension that we
            do not understand.
    """
    if len(data) > CERTIFICATE_BYTES_MAX:
        raise FormatError(Code.LIMIT_EXCEEDED, f"certificate: larger than {CERTIFICATE_BYTES_MAX}")
    tbs, algorithm, signature = _fields(der.read_element(data, tag=Tag.SEQUENCE), 3)
    der.expect(tbs, Tag.SEQUENCE)
    # version, serial, signature, issuer, validity, subject, key, extensions; unique identifiers are
    # not used.
    version, serial, inner, issuer, validity, subject, spki, extensions = _fields(tbs, 8)
    # RFC 5280 §4.1.1.2: the algorithm inside must be the one outside, which is not signed.
    if inner.raw != algorithm.raw:
        raise _malformed("two different signature algorithms")
    _require_pss_sha384(algorithm)
    if der.expect(version, VERSION_TAG).content != der.encode_integer(2):
        raise _malformed("not version 3")
    not_before, not_after = _fields(der.expect(validity, Tag.SEQUENCE), 2)
    return Certificate(
        raw=data,
        tbs=tbs.raw,
        signature=der.read_bit_string(signature),
        serial=der.read_integer(serial),
        issuer=issuer.raw,
        issuer_cn=_common_name(issuer),
        subject=subject.raw,
        subject_cn=_common_name(subject),
        not_before=der.read_time(not_before),
        not_after=der.read_time(not_after),
        spki=der.expect(spki, Tag.SEQUENCE).raw,
        extensions=_extensions(extensions),
    )


def _fields(element: Element, count: int) -> tuple[Element, ...]:
    children = element.children()
    if len(children) != count:
        raise _malformed(f"{len(children)} fields where {count} belong")
    return children


def _require_pss_sha384(algorithm: Element) -> None:
    """RFC 4055 §3.1: compare the parameters by meaning; the default trailer may be spelled out."""
    oid, parameters = _fields(der.expect(algorithm, Tag.SEQUENCE), 2)
    if der.read_oid(oid) != OID_PSS:
        raise _malformed("signature algorithm is not RSASSA-PSS")
    given = der.expect(parameters, Tag.SEQUENCE).children()
    if tuple(field.tag for field in given) not in _PSS_PARAMETERS:
        raise _malformed("RSASSA-PSS parameters missing or unknown")
    (digest,) = _fields(given[0], 1)
    (mask,) = _fields(given[1], 1)
    (salt,) = _fields(given[2], 1)
    mask_oid, mask_digest = _fields(der.expect(mask, Tag.SEQUENCE), 2)
    if der.read_oid(mask_oid) != OID_MGF1 or der.read_integer(salt) != SALT_BYTES:
        raise _malformed("RSASSA-PSS without MGF1 or with another salt")
    if {_algorithm_oid(digest), _algorithm_oid(mask_digest)} != {OID_SHA384}:
        raise _malformed("RSASSA-PSS with another digest than SHA-384")
    if len(given) == 4 and given[3].content != der.encode_integer(1):
        raise _malformed("RSASSA-PSS with another trailer")


def _algorithm_oid(element: Element) -> str:
    children = der.expect(element, Tag.SEQUENCE).children()
    if not children or any(child.raw != b"\x05\x00" for child in children[1:]):
        raise _malformed("a digest algorithm with parameters")
    return der.read_oid(children[0])


def _common_name(name: Element) -> str:
    found = []
    for relative in der.expect(name, Tag.SEQUENCE).children():
        for attribute in der.expect(relative, Tag.SET).children():
            oid, value = _fields(der.expect(attribute, Tag.SEQUENCE), 2)
            if der.read_oid(oid) == _OID_COMMON_NAME:
                found.append(value)
    if len(found) > 1:
        raise _malformed("more than one common name")
    return read_text(found[0]) if found else ""


def read_text(element: Element) -> str:
    """Return the ASCII text of the string type that `element` is.

    Raises:
        FormatError: another type, or other characters than printable ASCII.
    """
    if element.tag not in (Tag.UTF8_STRING, Tag.PRINTABLE_STRING, Tag.IA5_STRING):
        raise _malformed("text of another type")
    if not all(0x20 <= octet < 0x7F for octet in element.content):
        raise _malformed("text that is not printable ASCII")
    return element.content.decode("ascii")


def _extensions(element: Element) -> Mapping[str, Extension]:
    (listing,) = _fields(der.expect(element, EXTENSIONS_TAG), 1)
    extensions: dict[str, Extension] = {}
    for item in der.expect(listing, Tag.SEQUENCE).children():
        oid, *flag, value = _fields_of_extension(item)
        name = der.read_oid(oid)
        extension = Extension(
            critical=bool(flag) and der.read_boolean(flag[0]),
            value=der.expect(value, Tag.OCTET_STRING).content,
        )
        if name in extensions:
            raise _malformed(f"extension {name} twice")
        if extension.critical and name not in _UNDERSTOOD:
            raise _malformed(f"critical extension {name} that we do not understand")
        extensions[name] = extension
    return MappingProxyType(extensions)


def _fields_of_extension(item: Element) -> tuple[Element, ...]:
    fields = der.expect(item, Tag.SEQUENCE).children()
    if len(fields) not in (2, 3):
        raise _malformed("an extension with other than 2 or 3 fields")
    return fields


def verify_issued(certificate: Certificate, *, issuer: Certificate) -> None:
    """Verify that `issuer` is named in `certificate`, may sign certificates and signed this one.

    Raises:
        VerificationError: one of the three does not hold.
    """
    if certificate.issuer != issuer.subject or not issuer.may_issue:
        raise VerificationError(
            Code.EVIDENCE_CHAIN,
            f"{issuer.subject_cn!r} did not issue the certificate of {certificate.subject_cn!r}",
        )
    try:
        verify_rsa_pss(issuer.spki, signature=certificate.signature, message=certificate.tbs)
    except SealtuneError as error:
        raise VerificationError(
            Code.CERTIFICATE_SIGNATURE,
            f"certificate of {certificate.subject_cn!r}: not signed by {issuer.subject_cn!r}",
        ) from error


def require_valid_at(certificate: Certificate, now: datetime) -> None:
    """Verify that `now` is in the validity, both ends included (RFC 5280 §4.1.2.5).

    Raises:
        VerificationError: it is not.
    """
    if not certificate.not_before <= now <= certificate.not_after:
        raise VerificationError(
            Code.EVIDENCE_CERTIFICATE_TIME,
            f"certificate of {certificate.subject_cn!r} is valid from {certificate.not_before} "
            f"to {certificate.not_after}, not at {now}",
        )
