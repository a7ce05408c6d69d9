"""X.509 certificates of hardware vendors: read, and verified link by link up to a root.

Tolerates serial number 0 (every AMD VCEK has it). Does not build or search chains, decide whether a
root is trusted, fetch anything, or read the clock: the caller names each link and pins the root.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import lru_cache

from sealtune.core.digest import Digest, sha256_digest
from sealtune.core.limits import CERTIFICATE_BYTES_MAX, CHAIN_CERTIFICATES_MAX
from sealtune.crypto import der
from sealtune.crypto.algorithms import SignatureAlgorithm, read_algorithm, verify_signature
from sealtune.crypto.der import Element, Tag
from sealtune.crypto.extensions import (
    DIGITAL_SIGNATURE,
    KEY_CERT_SIGN,
    OID_BASIC_CONSTRAINTS,
    OID_EXTENDED_KEY_USAGE,
    OID_KEY_USAGE,
    OID_SUBJECT_ALT_NAME,
    Constraints,
    read_constraints,
    read_extended_key_usage,
    read_extensions,
    read_key_usage,
)
from sealtune.crypto.extensions import Extension as Extension
from sealtune.crypto.pem import certificates_from_pem as certificates_from_pem
from sealtune.errors import Code, FormatError, SealtuneError, VerificationError

VERSION_TAG, EXTENSIONS_TAG = 0xA0, 0xA3
OID_OCSP_SIGNING = "1.3.6.1.5.5.7.3.9"
_OID_COMMON_NAME = "2.5.4.3"
# RFC 5280 §4.1.2.2 says at most 20 octets; Intel fills all 160 bits, which DER writes in 21.
_SERIAL_BITS_MAX = 160
_UNDERSTOOD = frozenset(
    {
        OID_BASIC_CONSTRAINTS,  # verify_issued and verify_chain
        OID_KEY_USAGE,  # verify_issued, require_may_sign, crl, ocsp
        # A restriction to one purpose. verify_chain refuses the one that would be dangerous under
        # the roots of hardware, a delegated OCSP responder; the caller asks for the one it needs.
        OID_EXTENDED_KEY_USAGE,
        # Critical where the subject is empty (RFC 5280 §4.2.1.6), as in the certificates of TPM
        # endorsement keys. Another name restricts nothing, and no check of ours goes by name alone.
        OID_SUBJECT_ALT_NAME,
    }
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Certificate:
    """A parsed certificate; nothing about it is verified.

    `tbs` is what the issuer signed; `issuer` and `subject` are names in DER, to be compared octet
    by octet; `subject_cn` and `issuer_cn` are their only common names ("" without one).
    """

    raw: bytes
    tbs: bytes
    algorithm: SignatureAlgorithm
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
    def constraints(self) -> Constraints:
        """Its basicConstraints."""
        return read_constraints(self.extensions)

    @property
    def key_usage(self) -> frozenset[int] | None:
        """The bits of its keyUsage; None without it."""
        return read_key_usage(self.extensions)

    @property
    def extended_key_usage(self) -> frozenset[str] | None:
        """The purposes in its extKeyUsage; None without it."""
        return read_extended_key_usage(self.extensions)

    @property
    def may_issue(self) -> bool:
        """Whether basicConstraints and keyUsage both let it sign certificates (RFC 5280 §4.2.1)."""
        return self.constraints.authority and KEY_CERT_SIGN in (self.key_usage or ())


def _malformed(reason: str) -> FormatError:
    return FormatError(Code.CERTIFICATE_MALFORMED, f"certificate: {reason}")


@lru_cache(maxsize=256)  # pure and immutable; a verifier meets the same chains again
def parse_certificate(data: bytes) -> Certificate:
    """Return the certificate that `data`, in DER, holds.

    Raises:
        FormatError: larger than 8 KiB, not a version 3 certificate in DER, a serial number that is
            negative or above 160 bits, signed with an algorithm that is not known here, an
            extension twice, or a critical extension that we do not understand.
    """
    if len(data) > CERTIFICATE_BYTES_MAX:
        raise FormatError(Code.LIMIT_EXCEEDED, f"certificate: larger than {CERTIFICATE_BYTES_MAX}")
    tbs, algorithm, signature = der.fields(der.read_element(data, tag=Tag.SEQUENCE), 3)
    der.expect(tbs, Tag.SEQUENCE)
    # version, serial, signature, issuer, validity, subject, key, extensions; unique identifiers are
    # not used.
    version, serial, inner, issuer, validity, subject, spki, extensions = der.fields(tbs, 8)
    # RFC 5280 §4.1.1.2: the algorithm inside must be the one outside, which is not signed.
    if inner.raw != algorithm.raw:
        raise _malformed("two different signature algorithms")
    if der.expect(version, VERSION_TAG).content != der.encode_integer(2):
        raise _malformed("not version 3")
    not_before, not_after = der.fields(der.expect(validity, Tag.SEQUENCE), 2)
    certificate = Certificate(
        raw=data,
        tbs=tbs.raw,
        algorithm=read_algorithm(algorithm),
        signature=der.read_bit_string(signature),
        serial=read_serial(serial),
        issuer=issuer.raw,
        issuer_cn=common_name(issuer),
        subject=subject.raw,
        subject_cn=common_name(subject),
        not_before=der.read_time(not_before),
        not_after=der.read_time(not_after),
        spki=der.expect(spki, Tag.SEQUENCE).raw,
        extensions=_extensions(extensions),
    )
    _require_readable(certificate)
    return certificate


def _require_readable(certificate: Certificate) -> None:
    # What we claim to understand must be readable, whether or not a later check looks at it.
    read_constraints(certificate.extensions)
    read_key_usage(certificate.extensions)
    read_extended_key_usage(certificate.extensions)


def read_serial(element: Element) -> int:
    """Return the serial number that `element` is.

    Raises:
        FormatError: it is no INTEGER, negative, or above 160 bits.
    """
    serial = der.read_integer(element)
    if not 0 <= serial < 1 << _SERIAL_BITS_MAX:
        raise _malformed(f"a serial number that is negative or above {_SERIAL_BITS_MAX} bits")
    return serial


def common_name(name: Element) -> str:
    """Return the common name in `name`, "" without one.

    Raises:
        FormatError: more than one, or one that is not printable ASCII.
    """
    found = []
    for relative in der.expect(name, Tag.SEQUENCE).children():
        for attribute in der.expect(relative, Tag.SET).children():
            oid, value = der.fields(der.expect(attribute, Tag.SEQUENCE), 2)
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
    (listing,) = der.fields(der.expect(element, EXTENSIONS_TAG), 1)
    return read_extensions(listing, understood=_UNDERSTOOD)


def verify_issued(certificate: Certificate, *, issuer: Certificate) -> None:
    """Verify that `issuer` is named in `certificate`, may sign certificates and signed this one.

    The algorithm is the one that the certificate names; the issuer's key must be one for it.

    Raises:
        VerificationError: one of the three does not hold.
    """
    if certificate.issuer != issuer.subject or not issuer.may_issue:
        raise VerificationError(
            Code.EVIDENCE_CHAIN,
            f"{issuer.subject_cn!r} did not issue the certificate of {certificate.subject_cn!r}",
        )
    try:
        _verify_link(certificate.algorithm, issuer.spki, certificate.signature, certificate.tbs)
    except SealtuneError as error:
        raise VerificationError(
            Code.CERTIFICATE_SIGNATURE,
            f"certificate of {certificate.subject_cn!r}: not signed by {issuer.subject_cn!r}",
        ) from error


# Pure, and a refusal is not kept: the chains of a vendor's machines share all links but the first.
@lru_cache(maxsize=256)
def _verify_link(
    algorithm: SignatureAlgorithm, spki: bytes, signature: bytes, message: bytes
) -> None:
    verify_signature(algorithm, spki=spki, signature=signature, message=message)


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


def require_may_sign(certificate: Certificate) -> None:
    """Verify that the key may sign data: keyUsage, where there is one, has digitalSignature.

    Raises:
        VerificationError: the key is for something else.
    """
    usage = certificate.key_usage
    if usage is not None and DIGITAL_SIGNATURE not in usage:
        raise VerificationError(
            Code.EVIDENCE_CHAIN, f"the key of {certificate.subject_cn!r} may not sign data"
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class VerifiedChain:
    """A chain whose links hold; only `verify_chain` makes it. Says nothing about its root."""

    certificates: tuple[Certificate, ...]

    @property
    def leaf(self) -> Certificate:
        """The first certificate, which is no authority's here."""
        return self.certificates[0]

    @property
    def root(self) -> Certificate:
        """The last certificate, signed by itself: the caller compares it with a pinned one."""
        return self.certificates[-1]


def verify_chain(chain: Sequence[Certificate], *, now: datetime) -> VerifiedChain:
    """Verify each link of `chain`, leaf first and self-signed root last (RFC 5280 §6.1).

    Whether the root is trusted is for the caller to find out, by its digest.

    Raises:
        VerificationError: fewer than 2 or more than 8 certificates, one that its successor did not
            or may not issue, more authorities than a path length allows, one that is not valid at
            `now`, or an OCSP responder's certificate as the leaf.
    """
    if not 2 <= len(chain) <= CHAIN_CERTIFICATES_MAX:
        raise VerificationError(
            Code.EVIDENCE_CHAIN,
            f"a chain of {len(chain)} certificates, not 2 to {CHAIN_CERTIFICATES_MAX}",
        )
    for certificate, issuer in zip(chain, (*chain[1:], chain[-1]), strict=True):
        verify_issued(certificate, issuer=issuer)
    _require_path_lengths(chain)
    # An authority under a hardware root may delegate OCSP to a server; that server is no hardware.
    if OID_OCSP_SIGNING in (chain[0].extended_key_usage or ()):
        raise VerificationError(
            Code.EVIDENCE_CHAIN, f"{chain[0].subject_cn!r} answers for an authority (OCSP)"
        )
    # After the signatures: the dates of a forged certificate mean nothing.
    for certificate in chain:
        require_valid_at(certificate, now)
    return VerifiedChain(certificates=tuple(chain))


def _require_path_lengths(chain: Sequence[Certificate]) -> None:
    # RFC 5280 §4.2.1.9: intermediates between this authority and the leaf, where one that issued
    # itself (a renewed key) does not count. The leaf never does.
    below = 0
    for authority in chain[1:]:
        limit = authority.constraints.path_length
        if limit is not None and below > limit:
            raise VerificationError(
                Code.EVIDENCE_CHAIN,
                f"{below} authorities below {authority.subject_cn!r}, which allows {limit}",
            )
        below += authority.issuer != authority.subject
