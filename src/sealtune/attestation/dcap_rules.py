"""The rules by which an authentic Intel quote is appraised (spec/attestation §11.8).

Each is a pure function of the claims and the terms, and says why it passed or failed.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import timedelta
from typing import Final

from sealtune.attestation.dcap_claims import DcapClaims
from sealtune.attestation.dcap_quote import SgxReport, TdReport
from sealtune.attestation.reference import DcapTerms
from sealtune.attestation.result import RuleResult, rule_result
from sealtune.errors import Code

_SEPT_VE_DISABLE = 28
_TD_OPTIONS: Final[Mapping[str, int]] = {"pks": 30, "kl": 31, "perfmon": 63}
_TD_DEBUG_GROUP = 0xFF
_TD_KNOWN = sum(1 << bit for bit in (_SEPT_VE_DISABLE, *_TD_OPTIONS.values())) | _TD_DEBUG_GROUP


def dcap_rules(detail: DcapClaims, terms: DcapTerms) -> tuple[RuleResult, ...]:
    """Return every rule's result, in the order of spec/attestation §11.8."""
    body = detail.quote.body
    special = _td_rules(body, terms) if isinstance(body, TdReport) else _sgx_rules(body, terms)
    return (
        *inherent_rules(body),
        _status(detail, terms),
        _advisories(detail, terms),
        _evaluation(detail, terms),
        _age(detail, terms),
        _flags(detail, terms),
        _identity(detail, terms),
        *special,
    )


def inherent_rules(body: SgxReport | TdReport) -> tuple[RuleResult, ...]:
    """Return the results of the rules that no terms can relax; they need no endorsement.

    A quote that fails one is refused when it is verified already (spec/attestation §11.6).
    """
    if isinstance(body, SgxReport):
        return (_debug(body),)
    return (_debug(body), _td_known(body), _sept_ve(body), _no_migration(body), _seam_signer(body))


def _debug(body: SgxReport | TdReport) -> RuleResult:
    # ATTRIBUTES are no part of MRENCLAVE or MRTD: a debug enclave has the same measurement.
    passed = not body.debug
    reason = "no debugger can look inside" if passed else "a debugger can look inside"
    return rule_result("dcap-debug", passed=passed, reason=reason, code=Code.APPRAISAL_DEBUG)


def _td_attributes(body: TdReport) -> int:
    return int.from_bytes(body.td_attributes, "little")


def _td_known(body: TdReport) -> RuleResult:
    # A bit that we do not know may be the next DEBUG; migration of the TD is among them.
    unknown = _td_attributes(body) & ~_TD_KNOWN
    reason = f"unknown attributes {unknown:#x}" if unknown else "no unknown attribute"
    return rule_result("td-known", passed=not unknown, reason=reason, code=Code.APPRAISAL_POLICY)


def _sept_ve(body: TdReport) -> RuleResult:
    # Without it the host can take a page away and have the guest's #VE handler run at any
    # instruction.
    passed = bool(_td_attributes(body) >> _SEPT_VE_DISABLE & 1)
    reason = f"SEPT_VE_DISABLE is {'set' if passed else 'not set'}"
    return rule_result("td-sept-ve", passed=passed, reason=reason, code=Code.APPRAISAL_POLICY)


def _no_migration(body: TdReport) -> RuleResult:
    # A service TD may export this one's memory to another machine; MRSERVICETD names it.
    passed = not any(body.mr_service_td or b"")
    reason = "no service TD is bound" if passed else "a service TD (migration) is bound"
    return rule_result("td-migration", passed=passed, reason=reason, code=Code.APPRAISAL_POLICY)


def _seam_signer(body: TdReport) -> RuleResult:
    # All zeros is Intel's production signer of the TDX module.
    passed = not any(body.mr_signer_seam)
    reason = f"the TDX module is {'' if passed else 'not '}signed by Intel for production"
    return rule_result("td-seam-signer", passed=passed, reason=reason, code=Code.APPRAISAL_POLICY)


def _status(detail: DcapClaims, terms: DcapTerms) -> RuleResult:
    status = str(detail.judgement.status)
    accepted = ", ".join(sorted(terms.tcb_statuses)) or "none"
    return rule_result(
        "tcb-status",
        passed=status in terms.tcb_statuses,
        reason=f"Intel says {status}, accepted are {accepted}",
        code=Code.APPRAISAL_TCB_STATUS,
    )


def _advisories(detail: DcapClaims, terms: DcapTerms) -> RuleResult:
    denied = sorted(terms.denied_advisories.intersection(detail.judgement.advisories))
    known = ", ".join(detail.judgement.advisories) or "none"
    reason = f"{', '.join(denied)} applies" if denied else f"none denied among: {known}"
    return rule_result(
        "tcb-advisories", passed=not denied, reason=reason, code=Code.APPRAISAL_ADVISORY
    )


def _evaluation(detail: DcapClaims, terms: DcapTerms) -> RuleResult:
    # Intel keeps publishing older evaluations for a year: valid documents that do not know newer
    # attacks. Whoever delivers them picks.
    number = min(detail.evaluation, detail.qe_evaluation)
    return rule_result(
        "tcb-evaluation",
        passed=number >= terms.minimum_evaluation,
        reason=f"evaluation {number}, required is {terms.minimum_evaluation}",
        code=Code.APPRAISAL_EVALUATION,
    )


def _age(detail: DcapClaims, terms: DcapTerms) -> RuleResult:
    limit = timedelta(days=terms.endorsements_max_age_days)
    return rule_result(
        "endorsements-age",
        passed=detail.endorsements_age <= limit,
        reason=f"issued {detail.endorsements_issued}, {detail.endorsements_age.days} days ago; "
        f"accepted are {terms.endorsements_max_age_days}",
        code=Code.APPRAISAL_ENDORSEMENT_AGE,
    )


def _flags(detail: DcapClaims, terms: DcapTerms) -> RuleResult:
    pck = detail.pck
    # A single-package platform has no such flags, and is none of the three.
    raised = {
        "dynamic-platform": pck.dynamic_platform,
        "cached-keys": pck.cached_keys,
        "smt": pck.smt_enabled,
    }
    refused = sorted(
        name for name, is_set in raised.items() if is_set and name not in terms.platform_flags
    )
    reason = f"the platform has {', '.join(refused)}" if refused else "no flag that is not accepted"
    return rule_result(
        "platform-flags", passed=not refused, reason=reason, code=Code.APPRAISAL_PLATFORM
    )


def _identity(detail: DcapClaims, terms: DcapTerms) -> RuleResult:
    ppid = detail.pck.ppid.hex()
    if terms.platform_ids is None:
        passed, reason = True, "any platform is accepted"
    else:
        passed = ppid in terms.platform_ids
        reason = f"platform {ppid} {'is' if passed else 'is not'} enrolled"
    return rule_result("identity", passed=passed, reason=reason, code=Code.APPRAISAL_PLATFORM)


def _td_rules(body: TdReport, terms: DcapTerms) -> tuple[RuleResult, ...]:
    return (_td_options(body, terms), _tee_tcb_svn(body, terms))


def _td_options(body: TdReport, terms: DcapTerms) -> RuleResult:
    attributes = _td_attributes(body)
    refused = sorted(
        name
        for name, bit in _TD_OPTIONS.items()
        if attributes >> bit & 1 and name not in terms.td_attributes
    )
    reason = f"the TD has {', '.join(refused)}" if refused else "no attribute that is not accepted"
    return rule_result(
        "td-attributes", passed=not refused, reason=reason, code=Code.APPRAISAL_POLICY
    )


def _tee_tcb_svn(body: TdReport, terms: DcapTerms) -> RuleResult:
    floor = terms.minimum_tee_tcb_svn
    # By component: one comparison of the whole would let a newer module hide older microcode.
    below = [
        f"component {index}: {have} < {want}"
        for index, (have, want) in enumerate(zip(body.tee_tcb_svn, floor, strict=False))
        if have < want
    ]
    reason = "; ".join(below) or f"TEE_TCB_SVN {body.tee_tcb_svn.hex()} is not below the floor"
    return rule_result("tee-tcb-svn", passed=not below, reason=reason, code=Code.APPRAISAL_TCB)


def _sgx_rules(body: SgxReport, terms: DcapTerms) -> tuple[RuleResult, ...]:
    return (_product(body, terms), _isv_svn(body, terms))


def _product(body: SgxReport, terms: DcapTerms) -> RuleResult:
    # One signer may have many products, and MRSIGNER does not tell them apart.
    passed = terms.isv_prod_id is None or body.isv_prod_id == terms.isv_prod_id
    wanted = "any" if terms.isv_prod_id is None else terms.isv_prod_id
    return rule_result(
        "isv-prod-id",
        passed=passed,
        reason=f"product {body.isv_prod_id}, accepted is {wanted}",
        code=Code.APPRAISAL_POLICY,
    )


def _isv_svn(body: SgxReport, terms: DcapTerms) -> RuleResult:
    return rule_result(
        "isv-svn",
        passed=body.isv_svn >= terms.minimum_isv_svn,
        reason=f"security version {body.isv_svn}, required is {terms.minimum_isv_svn}",
        code=Code.APPRAISAL_TCB,
    )
