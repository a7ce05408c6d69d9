"""Certificate revocation lists of hardware vendors (RFC 5280 §5): complete version 2 lists.

Does not read delta lists or lists of a part of an authority's certificates, fetch anything, or read
the clock.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from functools import lru_cache
from types import MappingProxyType

from sealtune.core.digest import Digest, sha256_digest
from sealtune.crypto import der
from sealtune.crypto.algorithms import SignatureAlgorithm, read_algorithm, verify_signature
from sealtune.crypto.der import Element, Tag
from sealtune.crypto.extensions import CRL_SIGN, Extension, read_extensions
from sealtune.crypto.x509 import Certificate, common_name, read_serial
from sealtune.errors import Code, FormatError, SealtuneError, VerificationError

CRL_BYTES_MAX = 256 * 1024  # 80x Intel's list of the platform CA, and room for all entries
CRL_ENTRIES_MAX = 2048  # 25x that list
_ENTRY_EXTENSIONS_MAX = 3  # as many as RFC 5280 §5.3 has
_EXTENSIONS_TAG = 0xA0
_OID_REASON = "2.5.29.21"
# A delta list, and a list for some certificates or of another issuer. A reader who took either for
# the whole list would miss revocations. RFC 5280 §5.2 makes both critical; not all writers do.
_OIDS_INCOMPLETE = frozenset({"2.5.29.27", "2.5.29.28"})
REASONS = {
    0: "unspecified",
    1: "keyCompromise",
    2: "cACompromise",
    3: "affiliationChanged",
    4: "superseded",
    5: "cessationOfOperation",
    6: "certificateHold",
    8: "removeFromCRL",
    9: "privilegeWithdrawn",
    10: "aACompromise",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Crl:
    """A parsed list; nothing about it is verified. `revoked` has a reason ("" without) by serial.

    `issuer` is the name in DER, to be compared octet by octet.
    """

    raw: bytes
    tbs: bytes
    algorithm: SignatureAlgorithm
    signature: bytes
    issuer: bytes
    issuer_cn: str
    this_update: datetime
    next_update: datetime
    revoked: Mapping[int, str]
    extensions: Mapping[str, Extension]

    @property
    def digest(self) -> Digest:
        """SHA-256 of the DER."""
        return sha256_digest(self.raw)


@dataclass(frozen=True, slots=True, kw_only=True)
class VerifiedCrl:
    """A list that its issuer signed and that is current; only `verify_crl` makes it."""

    crl: Crl

    def require_not_revoked(self, certificate: Certificate) -> None:
        """Verify that `certificate`, of this list's issuer, is not in it.

        Raises:
            VerificationError: it is, or the list is another issuer's and says nothing about it.
        """
        if certificate.issuer != self.crl.issuer:
            raise VerificationError(
                Code.ENDORSEMENT_MISMATCH,
                f"the CRL of {self.crl.issuer_cn!r} says nothing about certificates of "
                f"{certificate.issuer_cn!r}",
            )
        reason = self.crl.revoked.get(certificate.serial)
        if reason is not None:
            raise VerificationError(
                Code.EVIDENCE_REVOKED,
                f"{self.crl.issuer_cn!r} revoked the certificate of {certificate.subject_cn!r}"
                + (f" ({reason})" if reason else ""),
            )


def _malformed(reason: str) -> FormatError:
    return FormatError(Code.ENDORSEMENT_MALFORMED, f"CRL: {reason}")


@lru_cache(maxsize=32)  # pure and immutable; the same few lists serve many verifications
def parse_crl(data: bytes) -> Crl:
    """Return the list that `data`, in DER, holds.

    Raises:
        FormatError: larger than 256 KiB, more than 2048 entries, not a complete version 2 list with
            a next update, signed with an algorithm that is not known here, or with a critical
            extension.
    """
    if len(data) > CRL_BYTES_MAX:
        raise FormatError(Code.LIMIT_EXCEEDED, f"CRL: larger than {CRL_BYTES_MAX} bytes")
    try:
        return _parse(data)
    except FormatError as error:
        raise _malformed(error.message) from error


def _parse(data: bytes) -> Crl:
    tbs, algorithm, signature = der.fields(der.read_element(data, tag=Tag.SEQUENCE), 3)
    parts = list(der.expect(tbs, Tag.SEQUENCE).children())
    if len(parts) < 5:
        raise _malformed("fields are missing, a next update for one")
    version, inner, issuer, this_update, next_update, *rest = parts
    if der.read_integer(version) != 1:
        raise _malformed("not version 2")
    # RFC 5280 §5.1.1.2, as in certificates.
    if inner.raw != algorithm.raw:
        raise _malformed("two different signature algorithms")
    revoked = _revoked(rest.pop(0)) if rest and rest[0].tag == Tag.SEQUENCE else {}
    extensions = _extensions(rest.pop(0)) if rest else {}
    if rest:
        raise _malformed("more fields than belong there")
    return Crl(
        raw=data,
        tbs=tbs.raw,
        algorithm=read_algorithm(algorithm),
        signature=der.read_bit_string(signature),
        issuer=issuer.raw,
        issuer_cn=common_name(issuer),
        this_update=der.read_time(this_update),
        next_update=der.read_time(next_update),
        revoked=MappingProxyType(revoked),
        extensions=extensions,
    )


def _extensions(element: Element) -> Mapping[str, Extension]:
    (listing,) = der.fields(der.expect(element, _EXTENSIONS_TAG), 1)
    extensions = read_extensions(listing, understood=frozenset())
    if not _OIDS_INCOMPLETE.isdisjoint(extensions):
        raise _malformed("a delta list, or one for some certificates only")
    return extensions


def _revoked(element: Element) -> dict[int, str]:
    # A serial number twice is revoked all the same, so nothing hangs on which entry is kept.
    return dict(map(_entry, element.children(limit=CRL_ENTRIES_MAX)))


def _entry(element: Element) -> tuple[int, str]:
    parts = der.expect(element, Tag.SEQUENCE).children()
    if len(parts) not in (2, 3):
        raise _malformed("an entry with other than 2 or 3 fields")
    der.read_time(parts[1])
    # No critical one is understood: certificateIssuer would make the entry another authority's.
    extensions = _read_few(parts[2]) if parts[2:] else {}
    reason = extensions.get(_OID_REASON)
    if reason is None:
        return read_serial(parts[0]), ""
    number = der.read_enumerated(der.read_element(reason.value, tag=Tag.ENUMERATED))
    return read_serial(parts[0]), reason_text(number)


def _read_few(listing: Element) -> Mapping[str, Extension]:
    # 2048 entries with as many as a certificate may have would take a fifth of a second.
    return read_extensions(listing, understood=frozenset(), limit=_ENTRY_EXTENSIONS_MAX)


def reason_text(number: int) -> str:
    """Return the name of the reason `number` (RFC 5280 §5.3.1); an unknown one is its number.

    A list must not fail to revoke because its reason is new to us.
    """
    return REASONS.get(number, f"reason {number}")


def verify_crl(crl: Crl, *, issuer: Certificate, now: datetime) -> VerifiedCrl:
    """Verify that `issuer` may sign and signed `crl`, and that it is current at `now`.

    `issuer` is a certificate that the caller verified. Current is from thisUpdate, which is
    included, to nextUpdate, which is not.

    Raises:
        VerificationError: it is another issuer's, not signed by it, or not current.
    """
    if crl.issuer != issuer.subject:
        raise VerificationError(
            Code.ENDORSEMENT_MISMATCH,
            f"a CRL of {crl.issuer_cn!r}, not of {issuer.subject_cn!r}",
        )
    if CRL_SIGN not in (issuer.key_usage or ()):
        raise VerificationError(
            Code.ENDORSEMENT_SIGNATURE, f"{issuer.subject_cn!r} may not sign CRLs"
        )
    try:
        verify_signature(crl.algorithm, spki=issuer.spki, signature=crl.signature, message=crl.tbs)
    except SealtuneError as error:
        raise VerificationError(
            Code.ENDORSEMENT_SIGNATURE, f"CRL: not signed by {issuer.subject_cn!r}"
        ) from error
    require_current(f"the CRL of {crl.issuer_cn!r}", crl.this_update, crl.next_update, now=now)
    return VerifiedCrl(crl=crl)


def require_current(
    what: str, this_update: datetime, next_update: datetime, *, now: datetime
) -> None:
    """Verify that `now` is from `this_update` on and before `next_update`; `what` names it.

    Raises:
        VerificationError: it is not.
    """
    if not this_update <= now < next_update:
        raise VerificationError(
            Code.ENDORSEMENT_STALE, f"{what} is for {this_update} to {next_update}, not {now}"
        )
