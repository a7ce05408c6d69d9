"""Every field that evidence of any kind has, decoded and NOT verified (spec/attestation §17.5).

Named as the `fields` of verified claims are, so that a reader needs to know one vocabulary. For
people: nothing here may reach a decision.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping
from typing import Any

from sealtune.attestation.anchors import Product
from sealtune.attestation.azure_hcl import HCL_BYTES_MAX, HardwareType, parse_hcl_report
from sealtune.attestation.dcap_claims import pck_fields, quote_fields
from sealtune.attestation.dcap_pck import PckCa, pck_facts
from sealtune.attestation.dcap_quote import parse_quote
from sealtune.attestation.evidence import Evidence, EvidenceKind
from sealtune.attestation.nitro_document import parse_nitro_document
from sealtune.attestation.nvidia_claims import fwid_field, spdm_fields
from sealtune.attestation.nvidia_spdm import parse_spdm_report
from sealtune.attestation.snp_fields import report_fields
from sealtune.attestation.snp_report import (
    Generation,
    SnpReport,
    generation_of,
    parse_snp_report,
    product_of,
)
from sealtune.attestation.tpm_quote import TpmQuote, parse_tpm_quote
from sealtune.attestation.tpm_signature import parse_tpm_signature
from sealtune.core.canonical import parse_json
from sealtune.crypto.x509 import Certificate, parse_certificate
from sealtune.errors import SealtuneError

_PCR_BYTES = 32


def decoded_fields(evidence: Evidence) -> Mapping[str, Any]:
    """Return what `evidence` says, as far as it can be read; its devices are left out."""
    try:
        return _READERS[evidence.kind](evidence)
    except SealtuneError:
        return {}


def _read(part: Callable[[], dict[str, Any]]) -> dict[str, Any]:
    """Return what one part says; nothing if it cannot be read, for the others still can."""
    try:
        return part()
    except SealtuneError:
        return {}


# -- AMD -------------------------------------------------------------------------------------------


def _snp(evidence: Evidence) -> dict[str, Any]:
    return _snp_report(evidence.report)


def _snp_report(data: bytes) -> dict[str, Any]:
    report = parse_snp_report(data)
    return report_fields(report, generation=_generation(report))


def _generation(report: SnpReport) -> Generation:
    # A report of version 2 does not say; Turin, whose TCB reads differently, writes no such report.
    product = product_of(report)
    return Generation.MILAN if product is None else generation_of(report, product=Product(product))


# -- Intel -----------------------------------------------------------------------------------------


def _quote(evidence: Evidence) -> dict[str, Any]:
    return _quote_fields(evidence.report)


def _quote_fields(data: bytes) -> dict[str, Any]:
    quote = parse_quote(data)
    certificates = _read(lambda: _pck(*map(parse_certificate, quote.pck_chain[:2])))
    return {**quote_fields(quote), **certificates}


def _pck(leaf: Certificate, *issuers: Certificate) -> dict[str, Any]:
    named = [str(ca) for ca in PckCa for issuer in issuers if issuer.subject_cn == ca.common_name]
    return {
        **pck_fields(pck_facts(leaf)),
        "pck_ca": named[0] if named else None,
        "pck_validity": [
            leaf.not_before.date().isoformat(),
            leaf.not_after.date().isoformat(),
        ],
    }


# -- TPM and Azure ---------------------------------------------------------------------------------


def _tpm(evidence: Evidence) -> dict[str, Any]:
    quote = parse_tpm_quote(evidence.report)
    return {
        "attest": quote.to_fields(),
        **_read(lambda: {"signature": str(parse_tpm_signature(evidence.part("tpm_signature")))}),
        **_read(lambda: {"ak_sha256": _sha256(evidence.part("ak_public"))}),
        **_read(lambda: {"pcrs": _pcrs(quote, evidence.part("pcrs"))}),
    }


def _pcrs(quote: TpmQuote, values: bytes) -> dict[str, str]:
    found, offset = {}, 0
    for chosen in quote.selections:
        for index in chosen.indices:
            value = values[offset : offset + chosen.bank.size]
            if len(value) == chosen.bank.size:
                plain = chosen.bank.size == _PCR_BYTES
                name = f"pcr{index}" if plain else f"pcr{index}_{chosen.bank.label}"
                found[name] = value.hex()
            offset += chosen.bank.size
    return found


def _azure(evidence: Evidence, *, hardware: HardwareType) -> dict[str, Any]:
    hcl = parse_hcl_report(evidence.report, hardware_type=hardware)
    return {
        "hcl": dict(hcl.fields),
        "var_data_sha256": _sha256(hcl.runtime),
        **_read(lambda: _runtime(hcl.runtime)),
        **_read(lambda: _vtpm(evidence)),
    }


def _vtpm(evidence: Evidence) -> dict[str, Any]:
    quote = parse_tpm_quote(evidence.part("tpm_quote"))
    pcrs = _read(lambda: {"pcrs_sha256": list(_pcrs(quote, evidence.part("pcrs")).values())})
    return {"tpm_quote": quote.to_fields(), **pcrs}


def _runtime(data: bytes) -> dict[str, Any]:
    claims = parse_json(data, limit=HCL_BYTES_MAX, what="runtime claims")
    if not isinstance(claims, dict):
        return {}
    return {
        "user_data": claims.pop("user-data", ""),
        "vm_configuration": claims.pop("vm-configuration", {}),
        "var_data": claims,
    }


def _azure_snp(evidence: Evidence) -> dict[str, Any]:
    hcl = parse_hcl_report(evidence.report, hardware_type=HardwareType.SNP)
    report = _read(lambda: {"snp_report": _snp_report(hcl.hardware)})
    return {**_azure(evidence, hardware=HardwareType.SNP), **report}


def _azure_tdx(evidence: Evidence) -> dict[str, Any]:
    fields = _azure(evidence, hardware=HardwareType.TDX)
    quote = _read(lambda: {"td_quote": _quote_fields(evidence.part("td_quote"))})
    bound = {"td_quote_report_data": quote["td_quote"]["fields"]["report_data"]} if quote else {}
    return {**fields, **bound, **quote}


def _sha256(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()


# -- AWS and NVIDIA --------------------------------------------------------------------------------


def _nitro(evidence: Evidence) -> dict[str, Any]:
    document = parse_nitro_document(evidence.report)
    optional = ("user_data", "nonce", "public_key")
    values = {name: getattr(document, name) for name in optional}
    leaf = parse_certificate(document.certificates[0])
    return {
        "module_id": document.module_id,
        "timestamp_ms": document.timestamp_ms,
        "leaf_validity": [str(leaf.not_before), str(leaf.not_after)],
        "pcrs": {str(index): value.hex() for index, value in document.pcrs.items()},
        **{name: None if value is None else value.hex() for name, value in values.items()},
    }


def _nvidia(evidence: Evidence) -> dict[str, Any]:
    report = parse_spdm_report(evidence.report)

    def chain() -> dict[str, Any]:
        certificates = list(map(parse_certificate, evidence.certificates))
        return {
            "fwid_match": fwid_field(report, leaf=certificates[0]),
            "certificates": [item.subject_cn for item in certificates],
        }

    return {**spdm_fields(report), **(_read(chain) if evidence.certificates else {})}


_READERS: Mapping[EvidenceKind, Callable[[Evidence], dict[str, Any]]] = {
    EvidenceKind.SEV_SNP: _snp,
    EvidenceKind.TDX: _quote,
    EvidenceKind.SGX: _quote,
    EvidenceKind.AZURE_SNP: _azure_snp,
    EvidenceKind.AZURE_TDX: _azure_tdx,
    EvidenceKind.TPM_VM: _tpm,
    EvidenceKind.NITRO: _nitro,
    EvidenceKind.NVIDIA_GPU: _nvidia,
    EvidenceKind.NVIDIA_SWITCH: _nvidia,
}
