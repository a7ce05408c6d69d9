"""The PCK certificate: which platform Intel vouches for, at which TCB (spec/attestation §11.3).

Source: Intel, "SGX PCK Certificate and CRL Specification", rev. 1.5, §1.3.5 (the SGX extension).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from types import MappingProxyType
from typing import Final

from sealtune.attestation.anchors import Root, RootUse, TrustAnchors
from sealtune.crypto import der
from sealtune.crypto.der import Element, Tag
from sealtune.crypto.x509 import Certificate, parse_certificate, verify_chain
from sealtune.errors import Code, FormatError, VerificationError

SGX_OID: Final = "1.2.840.113741.1.13.1"
_SGX_TYPES = frozenset({0, 1, 2})  # standard, scalable, scalable with integrity
_COMPONENTS = 16
ROOT_NAME: Final = "Intel SGX Root CA"
PCK_NAME: Final = "Intel SGX PCK Certificate"
TCB_SIGNING_NAME: Final = "Intel SGX TCB Signing"


class PckCa(StrEnum):
    """The authority that issued a PCK certificate; each has its own revocation list."""

    PLATFORM = "platform"
    PROCESSOR = "processor"

    @property
    def common_name(self) -> str:
        """The name in its certificate."""
        return f"Intel SGX PCK {self.capitalize()} CA"


@dataclass(frozen=True, slots=True, kw_only=True)
class PckFacts:
    """What the SGX extension says; the last four exist for multi-package platforms only."""

    ppid: bytes
    components: tuple[int, ...]
    pce_svn: int
    cpu_svn: bytes
    pce_id: bytes
    fmspc: bytes
    sgx_type: int
    platform_instance_id: bytes | None
    dynamic_platform: bool | None
    cached_keys: bool | None
    smt_enabled: bool | None


@dataclass(frozen=True, slots=True, kw_only=True)
class VerifiedPck:
    """A PCK certificate under a pinned root, with its chain."""

    root: Root
    ca: PckCa
    facts: PckFacts
    leaf: Certificate
    issuer: Certificate
    root_certificate: Certificate


def verify_pck_chain(
    chain: tuple[bytes, ...], *, anchors: TrustAnchors, now: datetime
) -> VerifiedPck:
    """Verify the chain of a PCK certificate up to a pinned root; revocation is not looked at here.

    Raises:
        FormatError: not three certificates, or one that cannot be read.
        VerificationError: a root that is not trusted, a certificate of another role, out of its
            validity, or not signed by the next.
    """
    if len(chain) != 3:
        raise FormatError(
            Code.EVIDENCE_MALFORMED, f"quote: {len(chain)} certificates where 3 belong"
        )
    leaf, issuer, root_certificate = certificates = tuple(map(parse_certificate, chain))
    root = anchors.find(root_certificate.digest, use=RootUse.INTEL_SGX)
    ca = _require_roles(leaf, issuer, root_certificate)
    verify_chain(certificates, now=now)
    return VerifiedPck(
        root=root,
        ca=ca,
        facts=pck_facts(leaf),
        leaf=leaf,
        issuer=issuer,
        root_certificate=root_certificate,
    )


def _require_roles(leaf: Certificate, issuer: Certificate, root: Certificate) -> PckCa:
    # One root signs for PCKs and for TCB info: a certificate of the other role must not do.
    for ca in PckCa:
        if issuer.subject_cn == ca.common_name:
            break
    else:
        raise VerificationError(
            Code.EVIDENCE_CHAIN, f"quote: {issuer.subject_cn!r} issues no PCK certificates"
        )
    if leaf.subject_cn != PCK_NAME or root.subject_cn != ROOT_NAME or leaf.may_issue:
        raise VerificationError(
            Code.EVIDENCE_CHAIN,
            f"quote: the chain is of {leaf.subject_cn!r} under {root.subject_cn!r}",
        )
    return ca


def pck_facts(certificate: Certificate) -> PckFacts:
    """Return what the SGX extension of `certificate` says.

    Raises:
        FormatError: it has none, or one with a field missing, twice or of the wrong size.
    """
    extension = certificate.extensions.get(SGX_OID)
    if extension is None:
        raise _malformed("no SGX extension")
    fields = _listed(der.read_element(extension.value, tag=Tag.SEQUENCE), SGX_OID)
    tcb = _listed(der.expect(_required(fields, "2"), Tag.SEQUENCE), f"{SGX_OID}.2")
    components = (_number(tcb, str(index), limit=255) for index in range(1, _COMPONENTS + 1))
    configuration = _configuration(fields)
    return PckFacts(
        ppid=_octets(fields, "1", size=16),
        components=tuple(components),
        pce_svn=_number(tcb, "17", limit=0xFFFF),
        cpu_svn=_octets(tcb, "18", size=16),
        pce_id=_octets(fields, "3", size=2),
        fmspc=_octets(fields, "4", size=6),
        sgx_type=_sgx_type(_required(fields, "5")),
        platform_instance_id=_octets(fields, "6", size=16) if "6" in fields else None,
        dynamic_platform=_flag(configuration, "1"),
        cached_keys=_flag(configuration, "2"),
        smt_enabled=_flag(configuration, "3"),
    )


def _malformed(reason: str) -> FormatError:
    return FormatError(Code.CERTIFICATE_MALFORMED, f"PCK certificate: {reason}")


def _listed(element: Element, prefix: str) -> Mapping[str, Element]:
    """Return the values of a list of (OID, value), by the OID's part after `prefix`."""
    found: dict[str, Element] = {}
    for item in element.children():
        oid, value = der.fields(der.expect(item, Tag.SEQUENCE), 2)
        name = der.read_oid(oid).removeprefix(f"{prefix}.")
        if name in found:
            raise _malformed(f"field {name} twice")
        found[name] = value
    return MappingProxyType(found)


def _required(fields: Mapping[str, Element], name: str) -> Element:
    element = fields.get(name)
    if element is None:
        raise _malformed(f"field {name} is missing")
    return element


def _octets(fields: Mapping[str, Element], name: str, *, size: int) -> bytes:
    content = der.expect(_required(fields, name), Tag.OCTET_STRING).content
    if len(content) != size:
        raise _malformed(f"field {name} has {len(content)} bytes where {size} belong")
    return content


def _number(fields: Mapping[str, Element], name: str, *, limit: int) -> int:
    number = der.read_integer(_required(fields, name))
    if not 0 <= number <= limit:
        raise _malformed(f"field {name} is out of range")
    return number


def _sgx_type(element: Element) -> int:
    number = der.read_enumerated(element)
    if number not in _SGX_TYPES:
        raise _malformed(f"SGX type {number} is not known")
    return number


def _configuration(fields: Mapping[str, Element]) -> Mapping[str, Element]:
    if "7" not in fields:
        return MappingProxyType({})
    return _listed(der.expect(fields["7"], Tag.SEQUENCE), f"{SGX_OID}.7")


def _flag(configuration: Mapping[str, Element], name: str) -> bool | None:
    element = configuration.get(name)
    return None if element is None else der.read_boolean(element)
