"""What an authentic Intel quote says, in Intel's terms and in the common ones (§11.7)."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from sealtune.attestation.anchors import Root
from sealtune.attestation.dcap_pck import PckCa, PckFacts
from sealtune.attestation.dcap_quote import Quote, SgxReport, TdReport
from sealtune.attestation.dcap_tcb import Judgement, Level
from sealtune.attestation.verified import Claims


@dataclass(frozen=True, slots=True, kw_only=True)
class DcapClaims:
    """An authentic quote with what its PCK certificate and Intel's endorsements add.

    `evaluation` and `qe_evaluation` number Intel's evaluations (tcbEvaluationDataNumber) of
    platform and quoting enclave. `endorsements_age` is that of the oldest monthly document when the
    quote was verified. `explained_rtmrs` are those that an event log replays to; None without log.
    """

    quote: Quote
    pck: PckFacts
    pck_ca: PckCa
    pck_not_before: datetime
    pck_not_after: datetime
    judgement: Judgement
    evaluation: int
    qe_evaluation: int
    endorsements_issued: datetime
    endorsements_until: datetime
    endorsements_age: timedelta
    explained_rtmrs: tuple[int, ...] | None


def dcap_common_claims(detail: DcapClaims, root: Root) -> Claims:
    """Return what a quote says in the words that all kinds share."""
    body = detail.quote.body
    fmspc = detail.pck.fmspc.hex()
    identity = {"ppid": detail.pck.ppid.hex(), "fmspc": fmspc}
    if detail.pck.platform_instance_id is not None:
        identity["platform_instance_id"] = detail.pck.platform_instance_id.hex()
    if isinstance(body, TdReport):
        platform, measurement, host_data = "Intel TDX", body.mr_td, body.mr_config_id
    else:
        platform, measurement, host_data = "Intel SGX", body.mr_enclave, body.config_id
    return Claims(
        vendor=root.vendor,
        platform=platform,
        generation=f"FMSPC {fmspc.upper()}",
        signer=f"PCK of the {detail.pck_ca} CA",
        tcb=_tcb(detail),
        debug=body.debug,
        memory_protected=True,
        measurement=measurement.hex(),
        registers=_registers(body),
        host_data=host_data,
        identity=identity,
        fields=dcap_fields(detail),
    )


def _registers(body: SgxReport | TdReport) -> dict[str, str]:
    if isinstance(body, SgxReport):
        return {"mrsigner": body.mr_signer.hex()}
    return {
        **{f"rtmr{index}": value.hex() for index, value in enumerate(body.rt_mr)},
        "mrseam": body.mr_seam.hex(),
        "mrsignerseam": body.mr_signer_seam.hex(),
        "mrowner": body.mr_owner.hex(),
        "mrownerconfig": body.mr_owner_config.hex(),
    }


def _tcb(detail: DcapClaims) -> dict[str, Any]:
    judgement = detail.judgement
    module = judgement.module
    return {
        "status": str(judgement.status),
        "advisories": list(judgement.advisories),
        "evaluation": detail.evaluation,
        "qe_evaluation": detail.qe_evaluation,
        "platform": _level(judgement.platform),
        "module": None if module is None else _level(module),
        "quoting_enclave": _level(judgement.qe),
        "current": None if judgement.current is None else str(judgement.current),
        "endorsements_issued": detail.endorsements_issued.isoformat(),
        "endorsements_until": detail.endorsements_until.isoformat(),
    }


def _level(level: Level) -> dict[str, str]:
    return {"status": str(level.status), "date": level.date.date().isoformat()}


def dcap_fields(detail: DcapClaims) -> dict[str, Any]:
    """Return every decoded field of quote and PCK certificate as JSON values."""
    return {
        **quote_fields(detail.quote),
        **pck_fields(detail.pck),
        "pck_ca": str(detail.pck_ca),
        "pck_validity": [
            detail.pck_not_before.date().isoformat(),
            detail.pck_not_after.date().isoformat(),
        ],
        "tcb_status": str(detail.judgement.status),
        "advisories": list(detail.judgement.advisories),
        "tcb_evaluation": detail.evaluation,
        "qe_evaluation": detail.qe_evaluation,
        "explained_rtmrs": None if detail.explained_rtmrs is None else [*detail.explained_rtmrs],
    }


def quote_fields(quote: Quote) -> dict[str, Any]:
    """Return every field of a quote as JSON values."""
    body = quote.body
    return {
        "quote_version": quote.version,
        # By the name that dcap-qvl's Python classes have, which others compare with.
        "report_class": f"Py{quote.layout}",
        "qe_svn": quote.qe_svn,
        "pce_svn": quote.pce_svn,
        "qe_vendor_id": quote.qe_vendor_id.hex(),
        "user_data": quote.user_data.hex(),
        "fields": sgx_fields(body) if isinstance(body, SgxReport) else td_fields(body),
        "qe": sgx_fields(quote.qe),
    }


def pck_fields(pck: PckFacts) -> dict[str, Any]:
    """Return what a PCK certificate says of its platform as JSON values."""
    return {
        "fmspc": pck.fmspc.hex().upper(),
        "sgx_type": pck.sgx_type,
        "pck_cpusvn": pck.cpu_svn.hex(),
        "pcesvn": pck.pce_svn,
        "pce_id": pck.pce_id.hex(),
        "ppid": pck.ppid.hex(),
        "platform_instance_id": _hex(pck.platform_instance_id),
        "dynamic_platform": pck.dynamic_platform,
        "cached_keys": pck.cached_keys,
        "smt_enabled": pck.smt_enabled,
    }


def _hex(value: bytes | None) -> str | None:
    return None if value is None else value.hex()


def sgx_fields(report: SgxReport) -> dict[str, Any]:
    """Return every field of an SGX report as JSON values."""
    return {
        "cpu_svn": report.cpu_svn.hex(),
        "misc_select": report.misc_select,
        "isv_ext_prod_id": report.isv_ext_prod_id.hex(),
        "attributes": report.attributes.hex(),
        "mr_enclave": report.mr_enclave.hex(),
        "mr_signer": report.mr_signer.hex(),
        "config_id": report.config_id.hex(),
        "isv_prod_id": report.isv_prod_id,
        "isv_svn": report.isv_svn,
        "config_svn": report.config_svn,
        "isv_family_id": report.isv_family_id.hex(),
        "report_data": report.report_data.hex(),
        "debug": report.debug,
    }


def td_fields(report: TdReport) -> dict[str, Any]:
    """Return every field of a TD report as JSON values; those of 1.5 only where it has them."""
    newer = {"tee_tcb_svn2": report.tee_tcb_svn2, "mr_service_td": report.mr_service_td}
    return {
        "tee_tcb_svn": report.tee_tcb_svn.hex(),
        "mr_seam": report.mr_seam.hex(),
        "mr_signer_seam": report.mr_signer_seam.hex(),
        "seam_attributes": report.seam_attributes.hex(),
        "td_attributes": report.td_attributes.hex(),
        "xfam": report.xfam.hex(),
        "mr_td": report.mr_td.hex(),
        "mr_config_id": report.mr_config_id.hex(),
        "mr_owner": report.mr_owner.hex(),
        "mr_owner_config": report.mr_owner_config.hex(),
        **{f"rt_mr{index}": value.hex() for index, value in enumerate(report.rt_mr)},
        "report_data": report.report_data.hex(),
        **{name: value.hex() for name, value in newer.items() if value is not None},
        "debug": report.debug,
    }
