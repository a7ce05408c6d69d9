"""What authentic evidence of an Azure confidential VM says, layer by layer (spec/attestation §15).

Two layers: the hardware vouches for Microsoft's paravisor and, through it, for the vTPM's key; the
vTPM vouches for what booted inside. Only the second is the tenant's.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from sealtune.attestation.azure_hcl import HclReport, RuntimeClaims
from sealtune.attestation.dcap_claims import DcapClaims
from sealtune.attestation.tpm_claims import pcr_list
from sealtune.attestation.tpm_quote import QuotedPcrs, TpmQuote
from sealtune.attestation.verified import SnpClaims


@dataclass(frozen=True, slots=True, kw_only=True)
class VtpmClaims:
    """What the vTPM says, once the hardware vouches for its key.

    `ak` is the SHA-256 of that key's SubjectPublicKeyInfo; `explained` names the registers that
    the event log, where there was one, accounts for.
    """

    hcl: HclReport
    runtime: RuntimeClaims
    quote: TpmQuote
    pcrs: QuotedPcrs
    ak: str
    explained: tuple[str, ...]

    def identity(self) -> Mapping[str, str]:
        """Return what names this VM: its vTPM's key, and Azure's own id for it."""
        vm_id = self.runtime.vm_configuration.get("vmUniqueId")
        named = {"vm_unique_id": vm_id} if isinstance(vm_id, str) else {}
        return {"ak": self.ak, **named}


@dataclass(frozen=True, slots=True, kw_only=True)
class AzureClaims:
    """Authentic evidence of an Azure VM; `hardware` is what the TEE itself says."""

    hardware: SnpClaims | DcapClaims
    vtpm: VtpmClaims


def vtpm_fields(claims: VtpmClaims) -> dict[str, Any]:
    """Return every field of the vTPM's part for people and JSON."""
    runtime = claims.runtime
    return {
        "hcl": dict(claims.hcl.fields),
        "var_data_sha256": hashlib.sha256(claims.hcl.runtime).hexdigest(),
        "user_data": runtime.user_data,
        "vm_configuration": dict(runtime.vm_configuration),
        "ak_sha256": claims.ak,
        "tpm_quote": claims.quote.to_fields(),
        "tpm_signature": "ok RSASSA-PKCS1v15-SHA256",
        "pcrs_sha256": pcr_list(claims.pcrs),
        "pcr_digest": "ok",
        "event_log_explains": list(claims.explained),
    }
