"""The decoded fields of an SNP report as JSON values, for people (spec/attestation §5)."""

from __future__ import annotations

from typing import Any

from sealtune.attestation.anchors import Product
from sealtune.attestation.snp_report import Generation, SnpReport, Tcb, decode_tcb
from sealtune.attestation.verified import SnpClaims

_POLICY_BITS = {
    "smt": 16,
    "rsv1": 17,
    "migrate_ma": 18,
    "debug": 19,
    "single_socket": 20,
    "cxl": 21,
    "aes256xts": 22,
    "rapl_dis": 23,
    "cthide": 24,
    "pageswap_dis": 25,
}
_PLATFORM_BITS = {
    "smt": 0,
    "tsme": 1,
    "ecc": 2,
    "rapl_dis": 3,
    "cthide": 4,
    "alias_ok": 5,
    "tio": 7,
}
_IOMMU_WRITE_SAFE = 6
_GENERATIONS = {
    Generation.MILAN: "Milan",
    Generation.GENOA: "Genoa",
    Generation.SIENA_BERGAMO: "Siena/Bergamo",
    Generation.TURIN: "Turin",
}


def snp_fields(claims: SnpClaims) -> dict[str, Any]:
    """Return every field of the report that `claims` are of."""
    return {**report_fields(claims.report, generation=claims.generation), "csp_id": claims.csp_id}


def report_fields(report: SnpReport, *, generation: Generation) -> dict[str, Any]:
    """Return every field of `report`, read with the TCB layout of `generation`."""
    product = Product.TURIN if generation is Generation.TURIN else Product.GENOA
    tcbs = {
        "current_tcb": report.current_tcb,
        "reported_tcb": report.reported_tcb,
        "committed_tcb": report.committed_tcb,
        "launch_tcb": report.launch_tcb,
    }
    return {
        "version": report.version,
        "guest_svn": report.guest_svn,
        "policy": f"{report.policy:#x}",
        "policy_bits": {
            "abi": f"{report.policy >> 8 & 0xFF}.{report.policy & 0xFF}",
            **_bits(report.policy, _POLICY_BITS),
        },
        "family_id": report.family_id.hex(),
        "image_id": report.image_id.hex(),
        "vmpl": report.vmpl,
        "sigalgo": report.signature_algorithm,
        "platform_info": f"{report.platform_info:#x}",
        "plat_bits": _bits(report.platform_info, _PLATFORM_BITS),
        # Beside them: readers compare the group with what others list there.
        "iommu_write_safe": report.platform_info >> _IOMMU_WRITE_SAFE & 1,
        "flags": f"{_flags(report):#x}",
        "author_key_en": int(report.author_key_enabled),
        "mask_chip_key": int(report.mask_chip_key),
        "signing_key": str(report.signer),
        "report_data": report.report_data.hex(),
        "measurement": report.measurement.hex(),
        "host_data": report.host_data.hex(),
        "id_key_digest": report.id_key_digest.hex(),
        "author_key_digest": report.author_key_digest.hex(),
        "report_id": report.report_id.hex(),
        "report_id_ma": report.report_id_ma.hex(),
        "cpuid": bytes(report.cpuid).hex(),
        "chip_id": report.chip_id.hex(),
        "gen": _generation(report, generation),
        **{name: tcb_fields(decode_tcb(tcb, product=product)) for name, tcb in tcbs.items()},
        "current_ver": ".".join(map(str, report.current_version)),
        "committed_ver": ".".join(map(str, report.committed_version)),
        "launch_mit": report.launch_mitigations,
        "current_mit": report.current_mitigations,
        "rsv_0x208_nonzero": any(report.signed[0x208:]),
        # A report with bytes there is not parsed at all (spec/attestation §5.1).
        "rsv_sig_nonzero": False,
    }


def tcb_fields(tcb: Tcb) -> dict[str, Any]:
    """Return a TCB version by component."""
    first = {} if tcb.fmc is None else {"fmc": tcb.fmc}
    named = {name: getattr(tcb, name) for name in ("bl", "tee", "snp", "ucode")}
    return {**first, **named, "rsvd": tcb.reserved.hex()}


def _flags(report: SnpReport) -> int:
    return int.from_bytes(report.signed[0x048:0x04C], "little")


def _bits(value: int, names: dict[str, int]) -> dict[str, int]:
    return {name: value >> bit & 1 for name, bit in names.items()}


def _generation(report: SnpReport, generation: Generation) -> str:
    if not report.has_cpuid and generation is not Generation.TURIN:
        # A version 2 report does not say; the chain decides which of the two it was.
        return "Milan/Genoa?"
    return _GENERATIONS[generation]
