"""Which endorsements a piece of evidence needs, and which of them a cache does not have.

Reads evidence that nobody has verified, so what it asks for is a guess that costs at most a
question to a vendor; the verifier decides what it is worth.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from itertools import pairwise
from typing import Final

from sealtune.attestation.anchors import Product, RootUse, TrustAnchors
from sealtune.attestation.azure_hcl import HardwareType, parse_hcl_report
from sealtune.attestation.dcap_pck import PckCa, pck_facts
from sealtune.attestation.dcap_quote import parse_quote
from sealtune.attestation.endorsements import NO_ENDORSEMENTS
from sealtune.attestation.evidence import Evidence, EvidenceKind
from sealtune.attestation.nvidia_chain import verify_rooted_chain
from sealtune.attestation.nvidia_claims import read_versions
from sealtune.attestation.nvidia_device import identify_device
from sealtune.attestation.nvidia_reference import rim_ids
from sealtune.attestation.nvidia_spdm import parse_spdm_report
from sealtune.attestation.rim import parse_rim
from sealtune.attestation.snp_report import Signer, SnpReport, generation_of, parse_snp_report
from sealtune.broker.endorsements.items import Item
from sealtune.broker.endorsements.nvidia import ocsp_subject
from sealtune.broker.endorsements.subjects import (
    Subject,
    amd_authorities,
    amd_crl,
    amd_key,
    intel_set,
    nvidia_rim,
)
from sealtune.core.clock import format_time
from sealtune.crypto.x509 import Certificate, parse_certificate
from sealtune.errors import Code, VerificationError

# Version 2 of the report, the only one that does not say what processor made it, is older than
# Turin.
_WITHOUT_CPUID: Final = (Product.MILAN, Product.GENOA)


@dataclass(frozen=True, slots=True, kw_only=True)
class Need:
    """One endorsement that evidence needs: any of `options` will do, the first is the likeliest."""

    options: tuple[Subject, ...]

    def __str__(self) -> str:
        """Return the need for people."""
        return " or ".join(map(str, self.options))


@dataclass(frozen=True, slots=True, kw_only=True)
class Gap:
    """A need that is not met at a time; `stale` is the item that once met it."""

    need: Need
    stale: Item | None

    def require_closed(self, now: datetime) -> None:
        """Raise what the gap means at `now`.

        Raises:
            VerificationError: always; it names the endorsement, and since when it is stale.
        """
        if self.stale is not None:
            self.stale.require_valid_at(now)
        message = f"{self.need}: not among the endorsements at {format_time(now)}"
        raise VerificationError(Code.ENDORSEMENT_MISSING, message)


def needs_of(
    evidence: Evidence, held: Collection[Item], *, anchors: TrustAnchors, now: datetime
) -> tuple[Need, ...]:
    """Return what `evidence` and its devices need, each once.

    `held` tells which product a version 2 report of AMD is of, and who signed the RIMs of an NVIDIA
    device, once that is known; without it the needs that follow are not among those returned.

    Raises:
        FormatError: the evidence cannot be read.
        VerificationError: a device's chain that is not NVIDIA's, or a key that no service hands
            out: a VLEK, or the VCEK of a chip that does not name itself.
    """
    found: list[Need] = []
    for piece in (evidence, *evidence.devices):
        reader = _READERS.get(piece.kind)
        if reader is not None:
            found.extend(reader(piece, held, anchors, now))
    return tuple(dict.fromkeys(found))


def gaps_of(
    evidence: Evidence, held: Collection[Item], *, anchors: TrustAnchors, now: datetime
) -> tuple[Gap, ...]:
    """Return the needs of `evidence` that no item of `held` meets at `now`.

    Raises:
        FormatError, VerificationError: as `needs_of`.
    """
    by_subject = {item.subject: item for item in held}
    gaps = []
    for need in needs_of(evidence, held, anchors=anchors, now=now):
        known = [by_subject[option] for option in need.options if option in by_subject]
        if not any(item.window.holds(now) for item in known):
            gaps.append(Gap(need=need, stale=known[0] if known else None))
    return tuple(gaps)


Reader = Callable[[Evidence, Collection[Item], TrustAnchors, datetime], Iterator[Need]]


def _snp(
    evidence: Evidence, held: Collection[Item], _anchors: TrustAnchors, _now: datetime
) -> Iterator[Need]:
    report = parse_snp_report(_snp_report(evidence))
    given = {
        certificate.subject_cn: certificate
        for certificate in map(parse_certificate, evidence.certificates)
    }
    key = given.get(f"SEV-{report.signer}")
    candidates = _products(report, key, held)
    if key is None:
        _require_askable(report)
        yield _one(
            *(
                amd_key(product, chip_id=report.chip_id, tcb=report.reported_tcb)
                for product in candidates
            )
        )
    if len(candidates) == 1:
        (product,) = candidates
        for authority in amd_authorities(product, report.signer):
            if authority.name not in given:
                yield _one(authority)
        yield _one(amd_crl(product, report.signer))


def _snp_report(evidence: Evidence) -> bytes:
    if evidence.kind is EvidenceKind.AZURE_SNP:
        return parse_hcl_report(evidence.report, hardware_type=HardwareType.SNP).hardware
    return evidence.report


def _products(
    report: SnpReport, key: Certificate | None, held: Collection[Item]
) -> tuple[Product, ...]:
    if report.has_cpuid:
        return tuple(product for product in Product if _endorses(product, report))
    if key is not None:
        return tuple(p for p in _WITHOUT_CPUID if key.issuer_cn.endswith(f"-{p}"))
    # A chip is of one product: the one whose service has a certificate for it.
    subjects = {item.subject for item in held}
    known = tuple(
        product
        for product in _WITHOUT_CPUID
        if amd_key(product, chip_id=report.chip_id, tcb=report.reported_tcb) in subjects
    )
    return known or _WITHOUT_CPUID


def _endorses(product: Product, report: SnpReport) -> bool:
    try:
        generation_of(report, product=product)
    except VerificationError:
        return False
    return True


def _require_askable(report: SnpReport) -> None:
    if report.signer is Signer.VLEK:
        reason = "the VLEK certificate of this evidence: its cloud provider hands it out, AMD not"
    elif not any(report.chip_id):
        reason = "the VCEK certificate of this evidence: its report does not name the chip"
    else:
        return
    raise VerificationError(
        Code.ENDORSEMENT_MISSING,
        reason,
        remedy="have the machine that made the evidence attach the certificate",
    )


def _quote(
    evidence: Evidence, _held: Collection[Item], _anchors: TrustAnchors, _now: datetime
) -> Iterator[Need]:
    azure = evidence.kind is EvidenceKind.AZURE_TDX
    quote = parse_quote(evidence.part("td_quote") if azure else evidence.report)
    leaf = parse_certificate(quote.pck_chain[0])
    fmspc = pck_facts(leaf).fmspc
    for ca in PckCa:
        if leaf.issuer_cn == ca.common_name:
            yield _one(intel_set(quote.tee, fmspc=fmspc, ca=ca))
            return
    raise VerificationError(
        Code.EVIDENCE_CHAIN, f"quote: {leaf.issuer_cn!r} issues no PCK certificates"
    )


def _nvidia(
    evidence: Evidence, held: Collection[Item], anchors: TrustAnchors, now: datetime
) -> Iterator[Need]:
    report = parse_spdm_report(evidence.report)
    chain = verify_rooted_chain(
        evidence.certificates,
        use=RootUse.NVIDIA_DEVICE,
        anchors=anchors,
        endorsements=NO_ENDORSEMENTS,
        now=now,
    ).chain
    identity = identify_device(chain, kind=evidence.kind)
    ids = rim_ids(read_versions(report, identity, kind=evidence.kind))
    drivers = [rim for rim in ids if not rim.startswith(("NV_GPU_VBIOS_", "NV_SWITCH_"))]
    if drivers:
        yield _one(*map(nvidia_rim, drivers))
    for rim in ids:
        if rim not in drivers:
            yield _one(nvidia_rim(rim))
    # The leaf is issued by the device itself; NVIDIA knows the status of what is above it.
    yield from _statuses(chain.certificates[1:])
    wanted = set(map(nvidia_rim, ids))
    for item in held:
        # A stale one is about to be replaced, and NVIDIA need not know its signer any more.
        if item.subject in wanted and item.window.holds(now):
            document = parse_rim(item.endorsement.data).document
            yield from _statuses(tuple(map(parse_certificate, document.certificates)))


def _statuses(chain: Sequence[Certificate]) -> Iterator[Need]:
    """Yield what tells whether a certificate of `chain` is revoked; the last one only issues."""
    for certificate, issuer in pairwise(chain):
        yield _one(ocsp_subject(certificate, issuer=issuer))


def _one(*options: Subject) -> Need:
    if not options:
        raise VerificationError(
            Code.EVIDENCE_CHAIN, "evidence of a processor that none of AMD's product lines endorses"
        )
    return Need(options=options)


_READERS: Final[Mapping[EvidenceKind, Reader]] = {
    EvidenceKind.SEV_SNP: _snp,
    EvidenceKind.AZURE_SNP: _snp,
    EvidenceKind.SGX: _quote,
    EvidenceKind.TDX: _quote,
    EvidenceKind.AZURE_TDX: _quote,
    EvidenceKind.NVIDIA_GPU: _nvidia,
    EvidenceKind.NVIDIA_SWITCH: _nvidia,
}
