"""Evidence in whatever form it comes, read into ours (spec/attestation §17). Verifies nothing."""

from __future__ import annotations

import dataclasses

from sealtune.attestation.evidence import DEVICE_KINDS, Evidence, EvidenceKind
from sealtune.attestation.forms.device_json import SPDM_REQUEST_BYTES, devices_from_json
from sealtune.attestation.forms.machine_json import OUR_MEMBERS, machine_from_json
from sealtune.attestation.forms.octets import from_text, malformed
from sealtune.attestation.quote_header import quote_kind
from sealtune.attestation.snp_report import REPORT_BYTES
from sealtune.core.canonical import parse_foreign_json, parse_json
from sealtune.core.limits import FOREIGN_EVIDENCE_BYTES_MAX, FOREIGN_EVIDENCE_MARKS_MAX
from sealtune.errors import Code, FormatError

_HCL_MAGIC = b"HCLA"
_HCL_HARDWARE, _HCL_TDX = 1224, b"\x04"
_TPM_MAGIC = b"\xff\x54\x43\x47"
_SNP_VERSIONS = range(1, 17)
_SPDM_REQUEST = b"\x11\xe0"
_SWITCH_BLOCKS = 31
# COSE_Sign1: an array of four, tagged 18 or not.
_COSE = (b"\x84", b"\xd2\x84")


def read_evidence(data: bytes, *, kind: EvidenceKind | None, what: str) -> tuple[Evidence, ...]:
    """Return the evidence in `data`: one machine's, or one or more devices'.

    Takes our own JSON, the JSON forms of spec/attestation §17.2, and raw reports and quotes in
    binary, hexadecimal or base64. `kind` is what it must be; None leaves that to its first bytes.

    Raises:
        FormatError: of no known form, of another kind than `kind`, or larger than any.
        FreshnessError, VerificationError: a list that contradicts itself, or a token.
    """
    if len(data) > FOREIGN_EVIDENCE_BYTES_MAX:
        raise FormatError(
            Code.LIMIT_EXCEEDED, f"{what}: larger than {FOREIGN_EVIDENCE_BYTES_MAX} bytes"
        )
    found = _read(data, kind=kind, what=what)
    if kind is not None and any(item.kind is not kind for item in found):
        raise FormatError(Code.EVIDENCE_KIND, f"{what}: {found[0].kind} evidence, not {kind}")
    return found


def _read(data: bytes, *, kind: EvidenceKind | None, what: str) -> tuple[Evidence, ...]:
    if data.lstrip()[:1] in (b"{", b"["):
        return _from_json(data, what=what)
    raw = _from_bytes(data, kind=kind)
    if raw is None:
        raise malformed(
            f"{what} is no report, quote or document that we know; name its kind with --type if it "
            "is damaged"
        )
    return (raw,)


def _from_json(data: bytes, *, what: str) -> tuple[Evidence, ...]:
    value = parse_foreign_json(
        data, limit=FOREIGN_EVIDENCE_BYTES_MAX, marks=FOREIGN_EVIDENCE_MARKS_MAX, what=what
    )
    if isinstance(value, dict) and value.keys() >= OUR_MEMBERS:
        # Our own is strict about names and numbers; others write 64 bits as a number.
        value = parse_json(data, limit=FOREIGN_EVIDENCE_BYTES_MAX, what=what)
    devices = devices_from_json(value)
    if devices is not None:
        return devices
    machine = _machine(value) if isinstance(value, dict) else None
    if machine is None:
        raise malformed(f"{what} is JSON of no form that we know")
    return (machine,)


def _machine(value: dict[str, object]) -> Evidence | None:
    """Return a machine's evidence, with its devices where it came in a CoCo message."""
    primary = value.get("primary_evidence")
    if not isinstance(primary, dict):
        return machine_from_json(value)
    machine = machine_from_json(primary)
    additional = value.get("additional_evidence")
    if machine is None or not additional:
        return machine
    text = additional.encode("utf-8", "replace") if isinstance(additional, str) else b""
    more = parse_foreign_json(text, limit=FOREIGN_EVIDENCE_BYTES_MAX, what="additional evidence")
    listings = more.values() if isinstance(more, dict) else ()
    devices = [device for item in listings for device in devices_from_json(item) or ()]
    if not devices:
        raise malformed("additional evidence that is of no device that we know")
    return dataclasses.replace(machine, devices=tuple(devices))


def _from_bytes(data: bytes, *, kind: EvidenceKind | None) -> Evidence | None:
    text = from_text(data)
    for spelled in (data, text):
        found = None if spelled is None else _kind_of(spelled)
        if found is not None and spelled is not None:
            # Of a device, its certificates decide which: until then the caller is believed.
            guessed = kind if {found, kind} <= DEVICE_KINDS else found
            return Evidence(kind=guessed or found, report=spelled, certificates=())
    if kind is None:
        return None
    # A report of Azure's or a TPM's quote alone has parts missing, and a damaged one no beginning:
    # the verifier of its kind says what is wrong.
    return Evidence(kind=kind, report=data if text is None else text, certificates=())


def _kind_of(data: bytes) -> EvidenceKind | None:
    if data.startswith(_HCL_MAGIC):
        is_tdx = data[_HCL_HARDWARE : _HCL_HARDWARE + 1] == _HCL_TDX
        return EvidenceKind.AZURE_TDX if is_tdx else EvidenceKind.AZURE_SNP
    if data.startswith(_TPM_MAGIC):
        return EvidenceKind.TPM_VM
    if data.startswith(_SPDM_REQUEST):
        return device_kind_of(data)
    quote = quote_kind(data)
    if quote is not None:
        return quote
    if int.from_bytes(data[:4], "little") in _SNP_VERSIONS and len(data) <= 4 * REPORT_BYTES:
        return EvidenceKind.SEV_SNP
    return EvidenceKind.NITRO if data.startswith(_COSE) else None


def device_kind_of(report: bytes) -> EvidenceKind:
    """Return which device an SPDM transcript is probably of; its certificates decide."""
    blocks = report[SPDM_REQUEST_BYTES + 4 : SPDM_REQUEST_BYTES + 5]
    is_switch = blocks == bytes((_SWITCH_BLOCKS,))
    return EvidenceKind.NVIDIA_SWITCH if is_switch else EvidenceKind.NVIDIA_GPU


def is_device_list(found: tuple[Evidence, ...]) -> bool:
    """Return whether `found` is devices without their machine."""
    return all(item.kind in DEVICE_KINDS for item in found)
