"""What a look at evidence accepts when nobody gives a policy (spec/attestation §17.5).

Authenticity, debug mode and TCB status are asked; whatever was launched is accepted. Expressed as
reference values made for the evidence at hand, so that there is one appraisal, and a table of the
rules that these values leave open, which are told as skipped and never as passed. A broker has no
part in this: what it releases on stands in a contract.
"""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Final

from sealtune.attestation.azure_claims import AzureClaims
from sealtune.attestation.evidence import EvidenceKind
from sealtune.attestation.reference import (
    DCAP_KINDS,
    PLATFORM_FLAGS,
    SNP_KINDS,
    TD_ATTRIBUTES,
    AcceptedEnclave,
    DcapTerms,
    SnpTerms,
    TpmTerms,
    tcb_components,
)
from sealtune.attestation.snp_report import Generation
from sealtune.attestation.tpm_claims import TpmClaims
from sealtune.attestation.verified import AuthenticEvidence, SnpClaims

# Not out of date: what is left to mend is in the software or in how the platform is set up.
_STATUSES: Final = frozenset(
    {
        "UpToDate",
        "SWHardeningNeeded",
        "ConfigurationNeeded",
        "ConfigurationAndSWHardeningNeeded",
    }
)
_ANY_AGE_DAYS: Final = 36_500  # that they are current is verified; how new, a policy says

# What each rule leaves open where nobody gave a policy.
_UNASKED: Final[Mapping[str, str]] = MappingProxyType(
    {
        "measurement": "any measurement is accepted",
        "registers": "any registers are accepted",
        "host-data": "not compared with a contract",
        "generation": "any generation of the processor is accepted",
        "tcb": "any TCB version is accepted",
        "mitigations": "no mitigation is required",
        "policy-required": "nothing is required of the guest's policy beyond debug and migration",
        "platform": "nothing is required of the platform's settings",
        "identity": "any chip, platform and provider is accepted",
        "revocation": "no revocation list is required",
        "tcb-advisories": "no advisory is denied",
        "tcb-evaluation": "any current evaluation of Intel's is accepted",
        "endorsements-age": "endorsements of any age are accepted while they are current",
        "platform-flags": "SMT, cached keys and dynamic platforms are accepted",
        "td-attributes": "PKS, KL and PERFMON are accepted",
        "tee-tcb-svn": "any TDX module that Intel's TCB levels accept",
        "isv-prod-id": "any product of any signer is accepted",
        "isv-svn": "any security version of the enclave is accepted",
        "boot": "any system is accepted above the firmware",
        "secure-boot": "not required",
        "attestation-key": "any key is accepted",
    }
)


def unasked_of(authentic: AuthenticEvidence) -> Mapping[str, str]:
    """Return what each rule that `default_enclave` cannot fail leaves open."""
    told = {rule: f"no policy: {leaves_open}" for rule, leaves_open in _UNASKED.items()}
    if authentic.claims.memory_protected:
        return told
    return {**told, "memory": "NOT PROTECTED: the operator can read this machine's memory"}


def default_enclave(authentic: AuthenticEvidence) -> AcceptedEnclave:
    """Return the reference values that `authentic` evidence of a machine is looked at with."""
    kind = authentic.kind
    # An insecure root got among the anchors because the caller named it; it stays insecure.
    simulated = authentic.root.insecure
    return AcceptedEnclave(
        name="any",
        kind=kind,
        measurements=None,
        registers=MappingProxyType({}),
        contract_at_launch=False,
        snp=_snp(authentic.detail) if kind in SNP_KINDS else None,
        dcap=_dcap() if kind in DCAP_KINDS else None,
        tpm=_tpm(authentic.detail) if kind is EvidenceKind.TPM_VM else None,
        devices=(),
        insecure_accept_simulated=simulated,
        simulated_root=authentic.root.digest if simulated else None,
    )


def _snp(detail: object) -> SnpTerms:
    hardware = detail.hardware if isinstance(detail, AzureClaims) else detail
    provider = hardware.csp_id if isinstance(hardware, SnpClaims) else ""
    return SnpTerms(
        minimum_tcb={
            generation: dict.fromkeys(tcb_components(generation), 0) for generation in Generation
        },
        vmpl=frozenset({0}),
        chip_ids=None,
        csp_ids=frozenset({provider}),
        required_policy=frozenset(),
        required_platform=frozenset(),
        minimum_mitigations=0,
        require_crl=False,
    )


def _dcap() -> DcapTerms:
    return DcapTerms(
        tcb_statuses=_STATUSES,
        denied_advisories=frozenset(),
        minimum_evaluation=0,
        platform_ids=None,
        platform_flags=PLATFORM_FLAGS,
        td_attributes=TD_ATTRIBUTES,
        minimum_tee_tcb_svn=(),
        endorsements_max_age_days=_ANY_AGE_DAYS,
        isv_prod_id=None,
        minimum_isv_svn=0,
    )


def _tpm(detail: object) -> TpmTerms:
    # A bare key is accepted as itself, which the verifier's own step says: nobody certified it.
    keys = {detail.ak} if isinstance(detail, TpmClaims) else set()
    return TpmTerms(ak_digests=frozenset(keys), accept_certified=True)
