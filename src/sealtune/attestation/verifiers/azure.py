"""The verifiers of Azure confidential VMs, over SEV-SNP and over TDX (spec/attestation §15).

No I/O. The hardware measures Microsoft's paravisor, not the tenant's system: that is in the vTPM's
registers, which count only because each link from the hardware to them holds.
"""

from __future__ import annotations

import dataclasses
from datetime import datetime
from typing import Any

from sealtune.attestation.anchors import TrustAnchors
from sealtune.attestation.azure_claims import AzureClaims, VtpmClaims, vtpm_fields
from sealtune.attestation.azure_hcl import HardwareType, parse_hcl_report
from sealtune.attestation.azure_tdreport import require_same_domain
from sealtune.attestation.azure_vtpm import VTPM_PARTS, authenticate_vtpm
from sealtune.attestation.dcap_authentic import authenticate_quote
from sealtune.attestation.dcap_claims import dcap_common_claims
from sealtune.attestation.dcap_quote import TdReport, Tee, parse_quote
from sealtune.attestation.endorsements import Endorsements
from sealtune.attestation.evidence import Evidence, EvidenceKind
from sealtune.attestation.snp_authentic import authenticate_snp, snp_common_claims
from sealtune.attestation.steps import Steps
from sealtune.attestation.verified import AuthenticEvidence, Claims
from sealtune.crypto.x509 import parse_certificate
from sealtune.errors import Code, FormatError

_TD_QUOTE = "td_quote"
# What the report says for itself; all of its fields stand beside it.
_SNP_SUMMARY = (
    "version",
    "gen",
    "policy",
    "platform_info",
    "measurement",
    "id_key_digest",
    "vmpl",
    "reported_tcb",
    "chip_id",
    "report_data",
)


def verify_azure_snp(
    evidence: Evidence,
    *,
    anchors: TrustAnchors,
    endorsements: Endorsements,
    now: datetime,
    steps: Steps,
) -> AuthenticEvidence:
    """Verify that `evidence` is an authentic report and vTPM quote of an Azure VM on SEV-SNP.

    Raises:
        FormatError: a part is missing, unknown or cannot be read.
        VerificationError: the SNP report is not authentic, or a link from it to the quoted
            registers does not hold.
    """
    _require_parts(evidence, VTPM_PARTS)
    hcl = parse_hcl_report(evidence.report, hardware_type=HardwareType.SNP)
    steps.passed("HCL report", f"of version {hcl.fields['ver']}, around an SNP report")
    snp = authenticate_snp(
        hcl.hardware,
        evidence.certificates,
        anchors=anchors,
        endorsements=endorsements,
        now=now,
        steps=steps,
    )
    vtpm = authenticate_vtpm(evidence, hcl, report_data=snp.claims.report.report_data, steps=steps)
    common = snp_common_claims(snp)
    fields = {
        "snp": {name: common.fields[name] for name in _SNP_SUMMARY},
        "snp_report": dict(common.fields),
        "vcek_chain": str(snp.root.product),
        **_vek_validity(evidence),
        "binding": "ok report_data[0:32]==sha256(var_data), [32:64]==0",
    }
    return AuthenticEvidence(
        kind=EvidenceKind.AZURE_SNP,
        root=snp.root,
        claims=_azure_claims(common, vtpm, fields),
        detail=AzureClaims(hardware=snp.claims, vtpm=vtpm),
        freshness=vtpm.quote.extra_data,
        devices=(),
    )


def verify_azure_tdx(
    evidence: Evidence,
    *,
    anchors: TrustAnchors,
    endorsements: Endorsements,
    now: datetime,
    steps: Steps,
) -> AuthenticEvidence:
    """Verify that `evidence` is an authentic quote and vTPM quote of an Azure VM on TDX.

    Raises:
        AppraisalError: genuine, but the trust domain is debuggable or otherwise open.
        FormatError: a part is missing, unknown or cannot be read.
        VerificationError: the TD quote is not authentic, is of another trust domain than the HCL
            report, or a link from it to the quoted registers does not hold.
    """
    _require_parts(evidence, VTPM_PARTS | {_TD_QUOTE})
    hcl = parse_hcl_report(evidence.report, hardware_type=HardwareType.TDX)
    steps.passed("HCL report", f"of version {hcl.fields['ver']}, around a TDREPORT")
    data = evidence.part(_TD_QUOTE)
    # The links come before the quote's own verification, so that a trust domain which that refuses
    # for its attributes is known to be broken in nothing else. They count only if it passes.
    quoted = parse_quote(data).body
    if not isinstance(quoted, TdReport):
        raise FormatError(Code.EVIDENCE_KIND, "an SGX quote where one of a trust domain belongs")
    require_same_domain(hcl.hardware, quoted)
    steps.passed("TDREPORT", "says what the quote says of the trust domain")
    vtpm = authenticate_vtpm(evidence, hcl, report_data=quoted.report_data, steps=steps)
    # The log in this evidence is the vTPM's; the registers of the trust domain are not used here.
    tdx = authenticate_quote(
        data,
        tee=Tee.TDX,
        event_log=None,
        anchors=anchors,
        endorsements=endorsements,
        now=now,
        steps=steps,
    )
    common = dcap_common_claims(tdx.claims, tdx.root)
    fields = {
        "td_quote_report_data": quoted.report_data.hex(),
        "td_quote": dict(common.fields),
        "binding": "ok",
    }
    return AuthenticEvidence(
        kind=EvidenceKind.AZURE_TDX,
        root=tdx.root,
        claims=_azure_claims(common, vtpm, fields),
        detail=AzureClaims(hardware=tdx.claims, vtpm=vtpm),
        freshness=vtpm.quote.extra_data,
        devices=(),
    )


def _vek_validity(evidence: Evidence) -> dict[str, Any]:
    if not evidence.certificates:
        return {}
    vek = parse_certificate(evidence.certificates[0])
    return {"vcek_validity": [str(vek.not_before), str(vek.not_after)]}


def _require_parts(evidence: Evidence, known: frozenset[str]) -> None:
    if unknown := evidence.parts.keys() - known:
        raise FormatError(
            Code.EVIDENCE_MALFORMED,
            f"{evidence.kind} evidence with an unknown part {sorted(unknown)[0]}",
        )


def _azure_claims(hardware: Claims, vtpm: VtpmClaims, fields: dict[str, Any]) -> Claims:
    return dataclasses.replace(
        hardware,
        platform=f"Azure confidential VM on {hardware.platform}",
        registers={**hardware.registers, **vtpm.pcrs.registers},
        # The field exists in the hardware report, and it is Microsoft's paravisor's: no tenant can
        # have a contract put there.
        host_data=None,
        identity={**hardware.identity, **vtpm.identity()},
        fields={**vtpm_fields(vtpm), **fields},
    )
