"""NVIDIA's reference measurements (RIM): a signed swidtag (spec/attestation §16.5).

Sources: ISO/IEC 19770-2 as profiled by the TCG's RIM information model; NVIDIA's attestation-sdk.
A RIM names its product and version, not the id under which NVIDIA's service lists it. CoRIM, which
newer generations use, is not read.
"""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from types import MappingProxyType

from lxml import etree

from sealtune.attestation.anchors import Root, RootUse, TrustAnchors
from sealtune.attestation.endorsements import Endorsements
from sealtune.attestation.nvidia_chain import verify_rooted_chain
from sealtune.attestation.nvidia_status import Revocation, require_not_revoked
from sealtune.attestation.rim_xml import (
    SignedDocument,
    parse_signed_document,
    parse_xml,
    verify_document,
)
from sealtune.core.limits import ENDORSEMENTS_MAX, MIB
from sealtune.errors import Code, FormatError, VerificationError

_SWID = "{http://standards.iso.org/iso/19770/-2/2015/schema.xsd}"
_HASH = "{http://www.w3.org/2001/04/xmlenc#sha384}Hash"
_DIGEST_BYTES = 48
_INDEX_MAX = 254  # a report numbers its measurements from 1 to 255
_ALTERNATIVES_MAX = 32  # 8x the most in any RIM
_KEPT_BYTES_MAX = 32 * MIB  # 600 of the largest RIM, with what is read from it
_HEX = frozenset("0123456789abcdefABCDEF")
_PARTS = [f"{_SWID}{name}" for name in ("Entity", "Meta", "Payload")]


@dataclass(frozen=True, slots=True, kw_only=True)
class RimContent:
    """What a RIM says. `measurements` gives the accepted digests of each *active* index, from 0."""

    tag_id: str
    product: str
    edition: str
    version: str
    measurements: Mapping[int, tuple[bytes, ...]]


@dataclass(frozen=True, slots=True, kw_only=True)
class ParsedRim:
    """A RIM in its form; nothing about it is verified."""

    content: RimContent
    document: SignedDocument


@dataclass(frozen=True, slots=True, kw_only=True)
class Rim:
    """A RIM that NVIDIA signed and that is valid; only `verify_rim` makes it.

    `revocation` is about its signer and the authorities above.
    """

    content: RimContent
    root: Root
    valid_until: datetime
    revocation: Revocation


class _Kept:
    """RIMs that were read lately, by their bytes. Bounded by count and memory; thread-safe.

    Reading is pure, and each of a machine's devices meets the same RIMs. A refusal is not kept.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._known: OrderedDict[bytes, ParsedRim] = OrderedDict()
        self._size = 0

    def find(self, data: bytes) -> ParsedRim | None:
        with self._lock:
            parsed = self._known.get(data)
            if parsed is not None:
                self._known.move_to_end(data)
            return parsed

    def keep(self, data: bytes, parsed: ParsedRim) -> None:
        with self._lock:
            if data not in self._known:
                self._size += _kept_bytes(data, parsed)
            self._known[data] = parsed
            while self._size > _KEPT_BYTES_MAX or len(self._known) > ENDORSEMENTS_MAX:
                self._size -= _kept_bytes(*self._known.popitem(last=False))


def _kept_bytes(data: bytes, parsed: ParsedRim) -> int:
    # What else is read from a document is less than its canonical form.
    return len(data) + len(parsed.document.content)


_KEPT = _Kept()


def _malformed(reason: str) -> FormatError:
    return FormatError(Code.ENDORSEMENT_MALFORMED, f"RIM: {reason}")


def parse_rim(data: bytes) -> ParsedRim:
    """Return the RIM that `data` holds.

    Raises:
        FormatError: not a signed document of the one shape, or a swidtag of another than NVIDIA's.
    """
    kept = _KEPT.find(data)
    if kept is not None:
        return kept
    document = parse_signed_document(data)
    # From the canonical bytes, over which the signature goes, and from nowhere else.
    parsed = ParsedRim(content=_content(parse_xml(document.content)), document=document)
    _KEPT.keep(data, parsed)
    return parsed


def verify_rim(
    parsed: ParsedRim, *, anchors: TrustAnchors, endorsements: Endorsements, now: datetime
) -> Rim:
    """Verify the chain of the RIM's signer up to a root pinned for RIMs, and the signature.

    Each OCSP response about the signer or an authority above must be good; whether there must be
    one is appraisal.

    Raises:
        FormatError: a certificate or OCSP response cannot be read.
        VerificationError: a root that is not trusted for RIMs, a chain or signature that does not
            hold, a certificate that is not valid at `now` (`ENDORSEMENT_STALE`), or one that is
            revoked.
    """
    try:
        rooted = verify_rooted_chain(
            parsed.document.certificates,
            use=RootUse.NVIDIA_RIM,
            anchors=anchors,
            endorsements=endorsements,
            now=now,
        )
    except VerificationError as error:
        if error.code is not Code.EVIDENCE_CERTIFICATE_TIME:
            raise
        raise VerificationError(
            Code.ENDORSEMENT_STALE, f"RIM {parsed.content.version}: {error}"
        ) from error
    verify_document(parsed.document, spki=rooted.chain.leaf.spki)
    chain = rooted.chain.certificates
    return Rim(
        content=parsed.content,
        root=rooted.root,
        revocation=require_not_revoked(chain, endorsements=endorsements, now=now),
        valid_until=min(certificate.not_after for certificate in chain),
    )


def _content(root: etree._Element) -> RimContent:
    if root.tag != f"{_SWID}SoftwareIdentity":
        raise _malformed("not a SoftwareIdentity")
    # By position in the document, not by search: nothing deeper can stand in for them.
    if [child.tag for child in root] != _PARTS:
        raise _malformed("a SoftwareIdentity of other parts than Entity, Meta, Payload")
    _, meta, payload = root
    return RimContent(
        tag_id=_text(root, "tagId"),
        product=_text(meta, "product"),
        edition=_text(meta, "edition"),
        version=_text(meta, "colloquialVersion"),
        measurements=MappingProxyType(_measurements(payload)),
    )


def _text(element: etree._Element, name: str) -> str:
    text = str(element.get(name, ""))
    if not 1 <= len(text) <= 128 or not all(" " <= letter < "\x7f" for letter in text):
        raise _malformed(f"{name} is no short text")
    return text


def _measurements(payload: etree._Element) -> dict[int, tuple[bytes, ...]]:
    active: dict[int, tuple[bytes, ...]] = {}
    seen: set[int] = set()
    for resource in payload:
        if resource.tag != f"{_SWID}Resource" or resource.get("type") != "Measurement":
            raise _malformed("a reference value of a kind that is not known")
        index = _number(resource, "index", limit=_INDEX_MAX)
        if index in seen:
            raise _malformed(f"measurement {index} twice")
        seen.add(index)
        if _is_active(resource):
            active[index] = _digests(resource)
    if not active:
        raise _malformed("no active measurement, so that it would match anything")
    return active


def _is_active(resource: etree._Element) -> bool:
    active = resource.get("active")
    if active not in ("True", "False"):
        raise _malformed("a measurement that is neither active nor not")
    return bool(active == "True")


def _digests(resource: etree._Element) -> tuple[bytes, ...]:
    count = _number(resource, "alternatives", limit=_ALTERNATIVES_MAX)
    names = [name for name in resource.attrib if str(name).startswith(_HASH)]
    if count == 0 or set(names) != {f"{_HASH}{number}" for number in range(count)}:
        raise _malformed("a measurement with more or fewer digests than it says")
    if _number(resource, "size", limit=_DIGEST_BYTES) != _DIGEST_BYTES:
        raise _malformed("a measurement of another size than SHA-384's")
    return tuple(_digest(resource.get(f"{_HASH}{number}", "")) for number in range(count))


def _digest(text: str) -> bytes:
    if len(text) != 2 * _DIGEST_BYTES or not _HEX.issuperset(text):
        raise _malformed("a digest that is no SHA-384 in hexadecimal")
    return bytes.fromhex(text)


def _number(element: etree._Element, name: str, *, limit: int) -> int:
    text = element.get(name, "")
    if not 1 <= len(text) <= 3 or not (text.isascii() and text.isdigit()) or int(text) > limit:
        raise _malformed(f"{name} is no number up to {limit}")
    return int(text)
