"""What an authentic TPM quote says, in a TPM's own terms (spec/attestation §13)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from sealtune.attestation.tpm_quote import QuotedPcrs, TpmQuote
from sealtune.attestation.tpm_signature import TpmSignature
from sealtune.attestation.tpm_wire import TpmHash
from sealtune.core.digest import Digest

_TPM_BANK = TpmHash.SHA256


@dataclass(frozen=True, slots=True, kw_only=True)
class EndorsementKey:
    """The endorsement key of a genuine TPM, by the digests of its key and its root.

    No quote binds it to the attestation key that signed: that takes an exchange with the TPM
    (TPM2_ActivateCredential) when the key is enrolled. So it is told, and nothing follows from it.
    """

    digest: Digest
    subject: str
    root: Digest
    vendor: str


@dataclass(frozen=True, slots=True, kw_only=True)
class TpmClaims:
    """An authentic quote, the key that signed it, and who vouches for that key.

    `ak` is the SHA-256 of the attestation key's SubjectPublicKeyInfo. Unless it is `certified`, the
    key vouches for itself: anybody can make one, and only enrolment tells a TPM's from software's.
    `explained` names the registers that the event log, where there was one, accounts for.
    """

    quote: TpmQuote
    signature: TpmSignature
    pcrs: QuotedPcrs
    ak: str
    certified: bool
    ak_subject: str
    endorsement_key: EndorsementKey | None
    explained: tuple[str, ...]


def tpm_fields(claims: TpmClaims) -> Mapping[str, Any]:
    """Return every field for people and JSON."""
    key = claims.endorsement_key
    chain = (
        "AK certificate chain to a pinned root"
        if claims.certified
        else "AK is a bare public key -> no EK/AK chain"
    )
    return {
        "attest": claims.quote.to_fields(),
        "signature": f"ok TPMT_SIGNATURE {claims.signature}; {chain}",
        "ak_sha256": claims.ak,
        "ak_certified": claims.certified,
        "ak_subject": claims.ak_subject,
        "ek": None
        if key is None
        else {
            "sha256": key.digest.removeprefix("sha256:"),
            "subject": key.subject,
            "vendor": key.vendor,
            "bound_to_ak": False,
        },
        "pcrs": {pcr.name: pcr.value.hex() for pcr in claims.pcrs.values},
        "event_log_explains": list(claims.explained),
    }


def pcr_list(pcrs: QuotedPcrs) -> list[str]:
    """Return the values of the SHA-256 bank in the order of the selection."""
    return [pcr.value.hex() for pcr in pcrs.values if pcr.bank is _TPM_BANK]
