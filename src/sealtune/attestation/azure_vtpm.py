"""The vTPM's half of Azure evidence: from a verified hardware report to registers.

The links, in order (spec/attestation §15.2): report_data binds the runtime claims, these name the
attestation key, that key signs the quote, the quote covers the registers and the challenge.
"""

from __future__ import annotations

from sealtune.attestation.azure_claims import VtpmClaims
from sealtune.attestation.azure_hcl import HclReport, open_runtime_claims
from sealtune.attestation.evidence import Evidence
from sealtune.attestation.steps import Steps
from sealtune.attestation.tpm_event_log import require_pcrs
from sealtune.attestation.tpm_quote import QuotedPcrs, open_pcrs, parse_tpm_quote
from sealtune.attestation.tpm_signature import raw_rsassa, verify_tpm_signature
from sealtune.core.digest import digest_bytes, sha256_digest

VTPM_PARTS = frozenset({"tpm_quote", "tpm_signature", "pcrs", "event_log"})


def authenticate_vtpm(
    evidence: Evidence, hcl: HclReport, *, report_data: bytes, steps: Steps
) -> VtpmClaims:
    """Return what the vTPM says, whose key the hardware's `report_data` vouches for.

    It counts only if that hardware report is verified, before this or after.

    Raises:
        FormatError: a part is missing or cannot be read.
        VerificationError: one of the links does not hold.
    """
    runtime = open_runtime_claims(hcl, report_data=report_data)
    steps.passed("runtime claims", "report_data is the digest of the claims, and zeros")
    quote = parse_tpm_quote(evidence.part("tpm_quote"))
    signature = raw_rsassa(evidence.part("tpm_signature"))
    verify_tpm_signature(signature, spki=runtime.ak_spki, message=quote.raw)
    steps.passed("vTPM quote", "signed by the attestation key that the claims name")
    pcrs = open_pcrs(quote, evidence.part("pcrs"), hashed_with=signature.hash)
    steps.passed("registers", f"{len(pcrs.values)} values under the quote's digest")
    return VtpmClaims(
        hcl=hcl,
        runtime=runtime,
        quote=quote,
        pcrs=pcrs,
        ak=digest_bytes(sha256_digest(runtime.ak_spki)).hex(),
        explained=_explained(evidence, pcrs, steps),
    )


def _explained(evidence: Evidence, pcrs: QuotedPcrs, steps: Steps) -> tuple[str, ...]:
    if "event_log" not in evidence.parts:
        steps.skipped("event log", "none is given")
        return ()
    explained = require_pcrs(evidence.part("event_log"), pcrs)
    steps.passed("event log", f"replays to {', '.join(explained) or 'no register that is quoted'}")
    return explained
