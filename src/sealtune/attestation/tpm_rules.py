"""The rules by which a verified TPM quote is appraised (spec/attestation §13.4).

That its memory is not protected, and which registers it must have, are asked of every kind.
"""

from __future__ import annotations

from sealtune.attestation.reference import TpmTerms
from sealtune.attestation.result import RuleResult, rule_result
from sealtune.attestation.tpm_claims import TpmClaims
from sealtune.errors import Code


def tpm_rules(claims: TpmClaims, terms: TpmTerms) -> tuple[RuleResult, ...]:
    """Return every rule's result, in the order of spec/attestation §13.4."""
    return (_attestation_key(claims, terms),)


def _attestation_key(claims: TpmClaims, terms: TpmTerms) -> RuleResult:
    # Anybody can make a key and sign a quote of any registers with it. What makes it a TPM's is a
    # certificate, or that somebody looked when it was enrolled.
    certified = claims.certified and terms.accept_certified
    passed = certified or claims.ak in terms.ak_digests
    if certified:
        reason = f"the attestation key {claims.ak} is certified as a TPM's"
    elif passed:
        reason = f"the attestation key {claims.ak} is enrolled"
    else:
        kind = "certified" if claims.certified else "bare"
        reason = f"the {kind} attestation key {claims.ak} is not enrolled"
    return rule_result(
        "attestation-key", passed=passed, reason=reason, code=Code.APPRAISAL_PLATFORM
    )
