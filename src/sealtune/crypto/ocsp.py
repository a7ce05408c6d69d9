"""OCSP responses (RFC 6960): what an authority, or a server of its own, says about a certificate.

A response is an endorsement that somebody fetched earlier, so freshness is thisUpdate to nextUpdate
and no nonce. Reads one basic response; does not make requests, and does not ask whether the
responder's own certificate is revoked: like id-pkix-ocsp-nocheck, its short validity stands for it.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from functools import lru_cache

from sealtune.crypto import der
from sealtune.crypto.algorithms import (
    OID_SHA384,
    SignatureAlgorithm,
    read_algorithm,
    read_digest_oid,
    verify_signature,
)
from sealtune.crypto.crl import reason_text, require_current
from sealtune.crypto.der import Element, Tag
from sealtune.crypto.extensions import read_extensions
from sealtune.crypto.x509 import (
    OID_OCSP_SIGNING,
    Certificate,
    parse_certificate,
    read_serial,
    require_may_sign,
    require_valid_at,
    verify_issued,
)
from sealtune.errors import Code, FormatError, SealtuneError, VerificationError

OCSP_BYTES_MAX = 32 * 1024  # 4 certificates of the largest size
OCSP_RESPONSES_MAX = 64
OCSP_CERTIFICATES_MAX = 4
OID_BASIC_RESPONSE = "1.3.6.1.5.5.7.48.1.1"
OID_SHA1 = "1.3.14.3.2.26"
_SUCCESSFUL = 0
_BY_NAME, _BY_KEY = 0xA1, 0xA2
_GOOD, _REVOKED, _UNKNOWN = 0x80, 0xA1, 0x82


def _sha1(data: bytes) -> bytes:
    # Names a certificate's issuer, as RFC 6960 prescribes; the responder's signature protects it.
    return hashlib.sha1(data, usedforsecurity=False).digest()


_HASHES: dict[str, Callable[[bytes], bytes]] = {
    OID_SHA1: _sha1,
    "2.16.840.1.101.3.4.2.1": lambda data: hashlib.sha256(data).digest(),
    OID_SHA384: lambda data: hashlib.sha384(data).digest(),
    "2.16.840.1.101.3.4.2.3": lambda data: hashlib.sha512(data).digest(),
}


@dataclass(frozen=True, slots=True, kw_only=True)
class CertificateId:
    """Which certificate an answer is about: hashes of the issuer's name and key, and a serial."""

    digest: str
    issuer_name: bytes
    issuer_key: bytes
    serial: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """One answer of a response: `status` is the tag of its choice, `reason` a revocation's."""

    about: CertificateId
    status: int
    reason: str
    this_update: datetime
    next_update: datetime | None


@dataclass(frozen=True, slots=True, kw_only=True)
class OcspResponse:
    """A parsed response; nothing about it is verified."""

    tbs: bytes
    algorithm: SignatureAlgorithm
    signature: bytes
    responder: Element
    answers: tuple[Answer, ...]
    certificates: tuple[bytes, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class GoodStatus:
    """A certificate that was not revoked from `this_update` to `next_update`.

    Only `verify_ocsp` makes it.
    """

    certificate: Certificate
    responder_cn: str
    this_update: datetime
    next_update: datetime


def _malformed(reason: str) -> FormatError:
    return FormatError(Code.ENDORSEMENT_MALFORMED, f"OCSP response: {reason}")


@lru_cache(maxsize=512)  # pure and immutable; the devices of a machine share their authorities
def parse_ocsp(data: bytes) -> OcspResponse:
    """Return the basic response that `data`, in DER, holds.

    Raises:
        FormatError: larger than 32 KiB, no successful basic response, more than 64 answers or 4
            certificates, or with a critical extension.
    """
    if len(data) > OCSP_BYTES_MAX:
        raise FormatError(Code.LIMIT_EXCEEDED, f"OCSP response: larger than {OCSP_BYTES_MAX} bytes")
    try:
        return _parse(data)
    except FormatError as error:
        raise _malformed(error.message) from error


def _parse(data: bytes) -> OcspResponse:
    parts = der.read_element(data, tag=Tag.SEQUENCE).children()
    if parts and der.read_enumerated(parts[0]) != _SUCCESSFUL:
        raise _malformed("the responder gave no answer")
    if len(parts) != 2:
        raise _malformed("no response, or more than one")
    (wrapped,) = der.fields(der.expect(parts[1], 0xA0), 1)
    kind, content = der.fields(der.expect(wrapped, Tag.SEQUENCE), 2)
    if der.read_oid(kind) != OID_BASIC_RESPONSE:
        raise _malformed("not a basic response")
    return _basic(der.expect(content, Tag.OCTET_STRING).content)


def _basic(data: bytes) -> OcspResponse:
    parts = der.read_element(data, tag=Tag.SEQUENCE).children()
    if len(parts) not in (3, 4):
        raise _malformed("a basic response with other than 3 or 4 fields")
    tbs, algorithm, signature = parts[:3]
    fields = list(der.expect(tbs, Tag.SEQUENCE).children())
    # Version 1 is the default, which DER leaves out; another one stands first under a tag of its
    # own and is refused as a responder that is none.
    if len(fields) not in (3, 4):
        raise _malformed("response data with other than 3 or 4 fields")
    responder, produced_at, listing = fields[:3]
    if responder.tag not in (_BY_NAME, _BY_KEY):
        raise _malformed("a responder that is neither a name nor a key")
    if fields[3:]:
        (extensions,) = der.fields(der.expect(fields[3], 0xA1), 1)
        read_extensions(extensions, understood=frozenset())
    der.read_time(produced_at)
    answers = der.expect(listing, Tag.SEQUENCE).children(limit=OCSP_RESPONSES_MAX)
    return OcspResponse(
        tbs=tbs.raw,
        algorithm=read_algorithm(algorithm),
        signature=der.read_bit_string(signature),
        responder=responder,
        answers=tuple(map(_answer, answers)),
        certificates=_certificates(parts[3]) if parts[3:] else (),
    )


def _certificates(element: Element) -> tuple[bytes, ...]:
    (listing,) = der.fields(der.expect(element, 0xA0), 1)
    found = der.expect(listing, Tag.SEQUENCE).children(limit=OCSP_CERTIFICATES_MAX)
    return tuple(certificate.raw for certificate in found)


def _answer(element: Element) -> Answer:
    parts = list(der.expect(element, Tag.SEQUENCE).children())
    if len(parts) < 3:
        raise _malformed("an answer with fewer than 3 fields")
    about, status, this_update = parts[:3]
    rest = parts[3:]
    next_update = None
    if rest and rest[0].tag == 0xA0:
        (moment,) = der.fields(rest.pop(0), 1)
        next_update = der.read_time(moment)
    if rest:
        (extensions,) = der.fields(der.expect(rest.pop(0), 0xA1), 1)
        read_extensions(extensions, understood=frozenset())
    if rest:
        raise _malformed("an answer with more fields than belong there")
    return Answer(
        about=_certificate_id(about),
        status=status.tag,
        reason=_reason(status),
        this_update=der.read_time(this_update),
        next_update=next_update,
    )


def _certificate_id(element: Element) -> CertificateId:
    digest, name, key, serial = der.fields(der.expect(element, Tag.SEQUENCE), 4)
    return CertificateId(
        digest=read_digest_oid(digest),
        issuer_name=der.expect(name, Tag.OCTET_STRING).content,
        issuer_key=der.expect(key, Tag.OCTET_STRING).content,
        serial=read_serial(serial),
    )


def _reason(status: Element) -> str:
    if status.tag in (_GOOD, _UNKNOWN) and not status.content:
        return ""
    if status.tag != _REVOKED:
        raise _malformed("a status that is neither good, revoked nor unknown")
    parts = status.children()
    if len(parts) not in (1, 2):
        raise _malformed("a revocation with other than 1 or 2 fields")
    der.read_time(parts[0])
    if not parts[1:]:
        return ""
    (reason,) = der.fields(der.expect(parts[1], 0xA0), 1)
    return reason_text(der.read_enumerated(reason))


def verify_ocsp(
    response: bytes, *, certificate: Certificate, issuer: Certificate, now: datetime
) -> GoodStatus:
    """Verify that `response` says, at `now`, that `certificate`, issued by `issuer`, is good.

    `issuer` is a certificate that the caller verified as the issuer of `certificate`. The responder
    is `issuer` or a server that it gave a certificate for OCSP (RFC 6960 §4.2.2.2).

    Raises:
        FormatError: `response` is no successful basic response.
        VerificationError: signed by somebody else, about other certificates, not current, or the
            certificate is revoked or on hold.
    """
    parsed = parse_ocsp(response)
    responder = _responder(parsed, issuer=issuer, now=now)
    try:
        _verify_signed(parsed.algorithm, responder.spki, parsed.signature, parsed.tbs)
    except SealtuneError as error:
        raise _unsigned(f"not signed by {responder.subject_cn!r}") from error
    answer = _answer_about(parsed, certificate=certificate, issuer=issuer)
    if answer.status == _REVOKED:
        # Whatever its dates: a revocation does not expire.
        raise VerificationError(
            Code.EVIDENCE_REVOKED,
            f"{issuer.subject_cn!r} revoked the certificate of {certificate.subject_cn!r}"
            + (f" ({answer.reason})" if answer.reason else ""),
        )
    if answer.status != _GOOD:
        raise VerificationError(
            Code.ENDORSEMENT_MISMATCH,
            f"OCSP response: the responder does not know {certificate.subject_cn!r}",
        )
    if answer.next_update is None:
        raise VerificationError(
            Code.ENDORSEMENT_STALE, "OCSP response: without an end, so it cannot be kept"
        )
    what = f"the OCSP response about {certificate.subject_cn!r}"
    require_current(what, answer.this_update, answer.next_update, now=now)
    return GoodStatus(
        certificate=certificate,
        responder_cn=responder.subject_cn,
        this_update=answer.this_update,
        next_update=answer.next_update,
    )


# Pure, and a refusal is not kept: one response serves all devices of an authority.
@lru_cache(maxsize=512)
def _verify_signed(
    algorithm: SignatureAlgorithm, spki: bytes, signature: bytes, message: bytes
) -> None:
    verify_signature(algorithm, spki=spki, signature=signature, message=message)


def _unsigned(reason: str) -> VerificationError:
    return VerificationError(Code.ENDORSEMENT_SIGNATURE, f"OCSP response: {reason}")


def _responder(response: OcspResponse, *, issuer: Certificate, now: datetime) -> Certificate:
    """Return the certificate of the key that should have signed `response`."""
    if _is_responder(response.responder, issuer):
        return issuer
    for data in response.certificates:
        try:
            candidate = parse_certificate(data)
        except FormatError as error:
            raise _malformed(error.message) from error
        if _is_responder(response.responder, candidate):
            _require_delegated(candidate, issuer=issuer, now=now)
            return candidate
    raise _unsigned("of a responder whose certificate is not in it")


def _is_responder(responder: Element, certificate: Certificate) -> bool:
    if responder.tag == _BY_NAME:
        return responder.content == certificate.subject
    return responder.content == der.encode(Tag.OCTET_STRING, _sha1(public_key_bits(certificate)))


def _require_delegated(certificate: Certificate, *, issuer: Certificate, now: datetime) -> None:
    # RFC 6960 §4.2.2.2: directly issued by the authority itself, for this purpose and by name.
    try:
        verify_issued(certificate, issuer=issuer)
        require_valid_at(certificate, now)
        require_may_sign(certificate)
    except VerificationError as error:
        raise _unsigned(f"its responder is not of {issuer.subject_cn!r} ({error})") from error
    if OID_OCSP_SIGNING not in (certificate.extended_key_usage or ()):
        raise _unsigned(f"{certificate.subject_cn!r} has no certificate for OCSP")


def _answer_about(
    response: OcspResponse, *, certificate: Certificate, issuer: Certificate
) -> Answer:
    found = [
        answer
        for answer in response.answers
        if _is_about(answer.about, certificate=certificate, issuer=issuer)
    ]
    if not found:
        raise VerificationError(
            Code.ENDORSEMENT_MISMATCH,
            f"OCSP response: nothing about the certificate of {certificate.subject_cn!r}",
        )
    if len(found) > 1:
        raise _malformed("two answers about one certificate")
    return found[0]


def _is_about(about: CertificateId, *, certificate: Certificate, issuer: Certificate) -> bool:
    digest = _HASHES.get(about.digest)
    return (
        digest is not None
        and about.serial == certificate.serial
        and about.issuer_name == digest(certificate.issuer)
        and about.issuer_key == digest(public_key_bits(issuer))
    )


def public_key_bits(certificate: Certificate) -> bytes:
    """Return the content of the subjectPublicKey BIT STRING, which OCSP hashes.

    Raises:
        FormatError: the key cannot be read.
    """
    _, key = der.fields(der.read_element(certificate.spki, tag=Tag.SEQUENCE), 2)
    return der.read_bit_string(key)
