"""The verifier of NVIDIA GPUs and NVSwitches (spec/attestation §16). Does no I/O.

Decides whether a device's report is authentic: its signature, chain, firmware, and whatever OCSP
responses and reference measurements are given. Whether those must be given, and which versions and
modes are accepted, is `device_rules`. A report proves that a genuine device answered, not that it
is attached to this machine: the measured software that collects it has to see to that.
"""

from __future__ import annotations

from datetime import datetime

from sealtune.attestation.anchors import Root, RootUse, TrustAnchors
from sealtune.attestation.endorsements import Endorsements
from sealtune.attestation.evidence import DEVICE_KINDS, Evidence, EvidenceKind
from sealtune.attestation.nvidia_chain import RootedChain, verify_rooted_chain
from sealtune.attestation.nvidia_claims import (
    NvidiaClaims,
    common_claims,
    read_protected_pcie,
    read_versions,
)
from sealtune.attestation.nvidia_device import Architecture, DeviceIdentity, identify_device
from sealtune.attestation.nvidia_reference import Match, References, compare_references
from sealtune.attestation.nvidia_spdm import FWID, SpdmReport, parse_spdm_report
from sealtune.attestation.nvidia_status import Revocation, require_not_revoked
from sealtune.attestation.steps import Steps
from sealtune.attestation.verified import AuthenticEvidence
from sealtune.crypto.ecdsa import verify_ecdsa_p384
from sealtune.errors import Code, FormatError, SealtuneError, VerificationError


def verify_nvidia(
    evidence: Evidence,
    *,
    anchors: TrustAnchors,
    endorsements: Endorsements,
    now: datetime,
    steps: Steps,
) -> AuthenticEvidence:
    """Verify that `evidence` is the authentic report of an NVIDIA device.

    Raises:
        FormatError: the report, a certificate or an endorsement cannot be read, or there are parts
            that nobody reads.
        VerificationError: a root that is not in `anchors`, a chain, signature or firmware digest
            that does not hold, a certificate that is revoked or not valid at `now`, or measurements
            that differ from the reference values given.
        ValueError: `now` has no time zone.
    """
    if now.tzinfo is None:
        raise ValueError("a time without zone is ambiguous")
    if evidence.kind not in DEVICE_KINDS:
        raise FormatError(Code.EVIDENCE_KIND, f"{evidence.kind} is no evidence of a device")
    if evidence.parts:
        # What is not read is not signed either, and must not travel under a device's name.
        raise FormatError(Code.EVIDENCE_MALFORMED, f"{evidence.kind}: evidence with parts")
    report = parse_spdm_report(evidence.report)
    steps.passed("format", f"SPDM 1.1 report with {len(report.blocks)} measurements")
    rooted = verify_rooted_chain(
        evidence.certificates,
        use=RootUse.NVIDIA_DEVICE,
        anchors=anchors,
        endorsements=endorsements,
        now=now,
    )
    steps.passed("chain", f"{rooted.chain.leaf.subject_cn} up to {rooted.root.vendor}'s root")
    identity = identify_device(rooted.chain, kind=evidence.kind)
    steps.passed("identity", f"{identity.hwmodel}, {identity.architecture}, {identity.ueid}")
    _verify_signature(report, rooted)
    steps.passed("signature", "ECDSA P-384 over request and response by the device's key")
    _require_firmware(report, identity, steps=steps)
    claims = _claims(
        evidence.kind,
        report,
        rooted,
        identity,
        anchors=anchors,
        endorsements=endorsements,
        now=now,
        steps=steps,
    )
    return AuthenticEvidence(
        kind=evidence.kind,
        root=_weakest(rooted.root, claims.references),
        claims=common_claims(claims, kind=evidence.kind, leaf=rooted.chain.leaf),
        detail=claims,
        freshness=report.request_nonce,
        devices=(),
    )


def _verify_signature(report: SpdmReport, rooted: RootedChain) -> None:
    # spec/attestation §16.3: over the request too, so that a response cannot be put behind another
    # question; and over the bytes as they came.
    try:
        verify_ecdsa_p384(
            rooted.chain.leaf.spki,
            r=report.signature_r,
            s=report.signature_s,
            message=report.signed,
        )
    except SealtuneError as error:
        raise VerificationError(
            Code.EVIDENCE_SIGNATURE, "SPDM report: not signed, as it stands, by this device"
        ) from error


def _require_firmware(report: SpdmReport, identity: DeviceIdentity, *, steps: Steps) -> None:
    fwid = report.opaque.get(FWID)
    if fwid is None:
        # Drivers of Hopper before 550 and switches do not report it; Blackwell always does.
        if identity.architecture is Architecture.BLACKWELL:
            raise VerificationError(
                Code.DEVICE_FWID, "SPDM report: without the digest of the device's firmware"
            )
        steps.skipped("firmware", "this driver or BIOS does not report its FWID")
        return
    if fwid != identity.fwid:
        raise VerificationError(
            Code.DEVICE_FWID, "SPDM report: of other firmware than the leaf was issued for"
        )
    steps.passed("firmware", "the report's FWID is the one that the leaf was issued for")


def _claims(
    kind: EvidenceKind,
    report: SpdmReport,
    rooted: RootedChain,
    identity: DeviceIdentity,
    *,
    anchors: TrustAnchors,
    endorsements: Endorsements,
    now: datetime,
    steps: Steps,
) -> NvidiaClaims:
    # The leaf is issued by the device itself; NVIDIA knows the status of what is above it.
    authorities = rooted.chain.certificates[1:]
    revocation = require_not_revoked(authorities, endorsements=endorsements, now=now)
    _note_status("revocation", revocation, steps=steps)
    versions = read_versions(report, identity, kind=kind)
    references = compare_references(
        report, versions, endorsements=endorsements, anchors=anchors, now=now
    )
    if versions.driver is not None:
        _note("driver RIM", references.driver, version=versions.driver, steps=steps)
    _note("VBIOS RIM", references.vbios, version=versions.vbios, steps=steps)
    return NvidiaClaims(
        report=report,
        identity=identity,
        versions=versions,
        protected_pcie=read_protected_pcie(report),
        revocation=revocation,
        references=references,
    )


def _note(name: str, match: Match | None, *, version: str, steps: Steps) -> None:
    if match is None:
        steps.skipped(name, f"none given for {version}: measurements are NOT compared")
        return
    without = f", without {list(match.skipped)} (decoder disabled)" if match.skipped else ""
    steps.passed(name, f"all {len(match.compared)} measurements of {version} match{without}")
    _note_status(f"{name} revocation", match.revocation, steps=steps)


def _note_status(name: str, revocation: Revocation, *, steps: Steps) -> None:
    if revocation.complete:
        steps.passed(name, f"good by OCSP: {', '.join(revocation.good)}")
    else:
        steps.skipped(name, f"no OCSP response about {', '.join(revocation.unknown)}")


def _weakest(root: Root, references: References) -> Root:
    # Reference values under a mock root prove nothing, whoever made the device.
    roots = [match.root for match in references.matches]
    return next((other for other in (root, *roots) if other.insecure), root)
