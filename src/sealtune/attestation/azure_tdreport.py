"""The TDREPORT inside an HCL report, and that it is of the trust domain which was quoted.

A TDREPORT carries a MAC that only its own processor can check, so it proves nothing here; the quote
does. They must agree, or the claims were bound by another trust domain than the quoted one.
Source: Intel TDX module specification, TDREPORT_STRUCT (spec/attestation §15.4).
"""

from __future__ import annotations

from sealtune.attestation.dcap_quote import TdReport
from sealtune.errors import Code, FormatError, VerificationError

TDREPORT_BYTES = 1024
_TYPE_TDX = 0x81

# Field of the quote's TD report: offset and size in a TDREPORT.
_FIELDS = {
    "report_data": (128, 64),
    "tee_tcb_svn": (264, 16),
    "mr_seam": (280, 48),
    "mr_signer_seam": (328, 48),
    "td_attributes": (512, 8),
    "xfam": (520, 8),
    "mr_td": (528, 48),
    "mr_config_id": (576, 48),
    "mr_owner": (624, 48),
    "mr_owner_config": (672, 48),
    # Of TDX 1.5; an older quote has none.
    "tee_tcb_svn2": (384, 16),
    "mr_service_td": (912, 48),
}
_RTMR_OFFSET, _RTMR_BYTES = 720, 48


def require_same_domain(hardware: bytes, quoted: TdReport) -> None:
    """Verify that the TDREPORT at the front of `hardware` says what the verified quote says.

    Raises:
        FormatError: no TDREPORT, or followed by something else than zeros.
        VerificationError: a field differs.
    """
    if hardware[:1] != bytes([_TYPE_TDX]) or any(hardware[TDREPORT_BYTES:]):
        raise FormatError(Code.EVIDENCE_MALFORMED, "HCL report: no TDREPORT where one belongs")
    different = [
        name
        for name, (offset, size) in _FIELDS.items()
        if getattr(quoted, name) not in (None, hardware[offset : offset + size])
    ]
    registers = b"".join(quoted.rt_mr)
    if hardware[_RTMR_OFFSET : _RTMR_OFFSET + 4 * _RTMR_BYTES] != registers:
        different.append("rt_mr")
    if different:
        raise VerificationError(
            Code.EVIDENCE_VTPM_BINDING,
            f"HCL report: its TDREPORT and the quote differ in {', '.join(different)}",
        )
