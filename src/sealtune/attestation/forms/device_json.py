"""Evidence of NVIDIA devices as lists in JSON, and tokens that are none (§17.2)."""

from __future__ import annotations

import hmac
from typing import Any

from sealtune.attestation.evidence import Evidence, EvidenceKind
from sealtune.attestation.forms.octets import malformed, octets
from sealtune.attestation.nvidia_eat import eat_tokens, refuse_tokens
from sealtune.core.limits import DEVICES_MAX
from sealtune.crypto.x509 import certificates_from_pem
from sealtune.errors import Code, FreshnessError

SPDM_REQUEST_BYTES = 37
_NONCE = slice(4, 36)
_SWITCHES = frozenset({"LS10"})


def devices_from_json(value: object) -> tuple[Evidence, ...] | None:
    """Return the evidence of each device in `value`; None if it is of no known form.

    Raises:
        FormatError: of a known form, and not right in it.
        FreshnessError: a device answered another nonce than the list says.
        VerificationError: it is a token: unsigned, or a third party's opinion.
    """
    listing = _listing(value.get("device_evidence_list") if isinstance(value, dict) else value)
    if listing is None:
        refuse_tokens_in(value)
        return None
    if len(listing) > DEVICES_MAX:
        raise malformed(f"more than {DEVICES_MAX} devices")
    return tuple(map(_device, listing))


def refuse_tokens_in(value: object) -> None:
    """Refuse `value` if it is a detached EAT, signed or not.

    Raises:
        FormatError, VerificationError: it is one.
    """
    inner = value.get("detached_eat") if isinstance(value, dict) else value
    is_eat = isinstance(inner, list) and bool(inner) and isinstance(inner[0], list)
    if is_eat:
        refuse_tokens(eat_tokens(inner))


def _listing(value: object) -> list[dict[str, Any]] | None:
    if not isinstance(value, list) or not value:
        return None
    items = [item for item in value if isinstance(item, dict) and "evidence" in item]
    return items if len(items) == len(value) else None


def _device(item: dict[str, Any]) -> Evidence:
    report = octets(item["evidence"], what="a device's evidence")
    architecture = str(item.get("arch", "")).upper()
    kind = EvidenceKind.NVIDIA_SWITCH if architecture in _SWITCHES else EvidenceKind.NVIDIA_GPU
    if "nonce" in item:
        _require_nonce(report, octets(item["nonce"], what="a device's nonce"))
    chain = certificates_from_pem(octets(item.get("certificate"), what="a device's certificates"))
    return Evidence(kind=kind, report=report, certificates=chain)


def _require_nonce(report: bytes, nonce: bytes) -> None:
    # The list's own nonce proves nothing; a list that contradicts itself is refused all the same.
    if not hmac.compare_digest(report[_NONCE], nonce):
        raise FreshnessError(Code.FRESHNESS, "a device answered another nonce than the list says")
