"""Evidence of machines as JSON of Confidential Containers, dstack and Azure tools (§17.2).

Recognized by the members that an object has. Certificates that come along stay with the evidence;
whatever the sender says it has checked is ignored.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Final

from sealtune.attestation.evidence import Evidence, EvidenceKind, evidence_from_dict
from sealtune.attestation.forms.octets import malformed, octets
from sealtune.attestation.forms.snp_json import report_from_json
from sealtune.attestation.quote_header import quote_kind
from sealtune.core.limits import CHAIN_CERTIFICATES_MAX
from sealtune.crypto.x509 import certificates_from_pem

OUR_MEMBERS: Final = frozenset({"kind", "report", "certificates"})
_PCRS_MAX = 32


def machine_from_json(value: Mapping[str, Any]) -> Evidence | None:
    """Return the evidence that `value` holds; None if its members are of no known form.

    Raises:
        FormatError: of a known form, and not right in it.
    """
    for members, read in _FORMS:
        if members <= value.keys():
            return read(value)
    return None


def _azure(value: Mapping[str, Any], *, quote: str, hcl: str) -> Evidence:
    tpm = value[quote]
    if not isinstance(tpm, dict):
        raise malformed(f"{quote} is no object")
    parts = {
        "tpm_quote": octets(tpm.get("message"), what="the TPM quote's message"),
        "tpm_signature": octets(tpm.get("signature"), what="the TPM quote's signature"),
        "pcrs": _pcrs(tpm.get("pcrs")),
    }
    certificates: tuple[bytes, ...] = ()
    kind = EvidenceKind.AZURE_SNP
    if "td_quote" in value:
        kind = EvidenceKind.AZURE_TDX
        parts["td_quote"] = octets(value["td_quote"], what="the TD quote")
    elif "vcek" in value:
        certificates = _certificates(value["vcek"], what="vcek")
    report = octets(value[hcl], what="the HCL report")
    return Evidence(kind=kind, report=report, certificates=certificates, parts=parts)


def _azure_v0(value: Mapping[str, Any]) -> Evidence:
    return _azure(value, quote="quote", hcl="report")


def _azure_v1(value: Mapping[str, Any]) -> Evidence:
    return _azure(value, quote="tpm_quote", hcl="hcl_report")


def _tpm(value: Mapping[str, Any]) -> Evidence:
    tpm = value["tpm_quote"]
    if not isinstance(tpm, dict):
        raise malformed("tpm_quote is no object")
    return Evidence(
        kind=EvidenceKind.TPM_VM,
        report=octets(tpm.get("message"), what="the TPM quote's message"),
        certificates=(),
        parts={
            "tpm_signature": octets(tpm.get("signature"), what="the TPM quote's signature"),
            "pcrs": _pcrs(tpm.get("pcrs")),
            "ak_public": octets(value["ak_public"], what="the attestation key"),
        },
    )


def _pcrs(value: object) -> bytes:
    if not isinstance(value, list) or len(value) > _PCRS_MAX:
        raise malformed(f"pcrs are a list of at most {_PCRS_MAX}")
    return b"".join(octets(item, what="a PCR") for item in value)


def _snp(value: Mapping[str, Any]) -> Evidence:
    report = value["attestation_report"]
    return Evidence(
        kind=EvidenceKind.SEV_SNP,
        report=report_from_json(report)
        if isinstance(report, dict)
        else octets(report, what="the SNP report"),
        certificates=_chain(value.get("cert_chain")),
    )


def _chain(value: object) -> tuple[bytes, ...]:
    """Return a VCEK or VLEK, its intermediate and its root, as far as they are there."""
    named: dict[str, bytes] = {}
    if isinstance(value, dict):
        items = [(str(name).upper(), data) for name, data in value.items()]
    elif isinstance(value, list) and len(value) <= CHAIN_CERTIFICATES_MAX:
        items = [
            (str(item.get("cert_type")).upper(), item.get("data"))
            for item in value
            if isinstance(item, dict)
        ]
    elif value is None:
        items = []
    else:
        raise malformed("cert_chain is neither an object nor a short list")
    for name, data in items:
        if data is not None:
            (named[name], *_) = _certificates(data, what="a certificate of cert_chain")
    order = ("VCEK", "VLEK", "ASK", "ASVK", "ARK")
    return tuple(named[name] for name in order if name in named)


def _certificates(value: object, *, what: str) -> tuple[bytes, ...]:
    if isinstance(value, str) and "BEGIN CERTIFICATE" in value:
        return certificates_from_pem(value.encode("utf-8", "replace"))
    return (octets(value, what=what),)


def _quote(value: Mapping[str, Any]) -> Evidence:
    quote = octets(value["quote"], what="the quote")
    kind = quote_kind(quote)
    if kind is None:
        raise malformed("the quote is neither of TDX nor of SGX")
    log = value.get("cc_eventlog") or value.get("event_log")
    parts: dict[str, bytes] = {}
    if log is not None and kind is EvidenceKind.TDX:
        # dstack lists events in JSON; Confidential Containers send the firmware's own log.
        is_json = isinstance(log, str) and log.lstrip().startswith("[")
        parts["event_log"] = (
            str(log).encode("utf-8", "replace") if is_json else octets(log, what="the event log")
        )
    return Evidence(kind=kind, report=quote, certificates=(), parts=parts)


def _wrapped(value: Mapping[str, Any]) -> Evidence:
    inner = value["evidence"]
    found = machine_from_json(inner) if isinstance(inner, dict) else None
    if found is None:
        raise malformed(f"evidence of platform {ascii(value['platform'])[:40]} in an unknown form")
    return found


_FORMS: Final[tuple[tuple[frozenset[str], Callable[[Mapping[str, Any]], Evidence]], ...]] = (
    (OUR_MEMBERS, evidence_from_dict),
    (frozenset({"hcl_report", "tpm_quote"}), _azure_v1),
    (frozenset({"quote", "report"}), _azure_v0),
    (frozenset({"ak_public", "tpm_quote"}), _tpm),
    (frozenset({"attestation_report"}), _snp),
    (frozenset({"platform", "evidence"}), _wrapped),
    (frozenset({"quote"}), _quote),
)
