"""The verifier of TPM 2.0 quotes, for measured machines without a TEE (spec/attestation §13).

No I/O. Such evidence says what booted; it protects no memory, and its claims say so. A key without
a certificate is nobody's but its own until appraisal finds it enrolled.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable
from datetime import datetime

from sealtune.attestation.anchors import Root, RootUse, TrustAnchors
from sealtune.attestation.endorsements import Endorsements
from sealtune.attestation.evidence import Evidence, EvidenceKind
from sealtune.attestation.steps import Steps
from sealtune.attestation.tpm_chain import TpmKeyChain, verify_tpm_chain
from sealtune.attestation.tpm_claims import EndorsementKey, TpmClaims, tpm_fields
from sealtune.attestation.tpm_event_log import require_pcrs
from sealtune.attestation.tpm_quote import QuotedPcrs, open_pcrs, parse_tpm_quote
from sealtune.attestation.tpm_signature import parse_tpm_signature, verify_tpm_signature
from sealtune.attestation.verified import AuthenticEvidence, Claims
from sealtune.core.digest import digest_bytes, sha256_digest
from sealtune.crypto.x509 import require_may_sign
from sealtune.errors import Code, FormatError, VerificationError

BARE_KEY = "TPM (bare key)"
EK_CERTIFICATE, EK_ISSUER = "ek_certificate", "ek_issuer_"
_EK_ISSUERS_MAX = 3
_PARTS = frozenset(
    {
        "tpm_signature",
        "pcrs",
        "ak_public",
        "event_log",
        EK_CERTIFICATE,
        *(f"{EK_ISSUER}{number}" for number in range(1, _EK_ISSUERS_MAX + 1)),
    }
)
_OID_EK_CERTIFICATE = "2.23.133.8.1"  # tcg-kp-EKCertificate
_VerifyChain = Callable[[tuple[bytes, ...]], TpmKeyChain]


def verify_tpm(
    evidence: Evidence,
    *,
    anchors: TrustAnchors,
    endorsements: Endorsements,
    now: datetime,
    steps: Steps,
) -> AuthenticEvidence:
    """Verify that `evidence` is an authentic quote by its attestation key.

    Raises:
        FormatError: a part is missing, unknown or cannot be read.
        VerificationError: a signature, a chain, the registers or the event log do not hold, or a
            root is not in `anchors`.
    """
    if unknown := evidence.parts.keys() - _PARTS:
        raise FormatError(
            Code.EVIDENCE_MALFORMED, f"TPM evidence with an unknown part {sorted(unknown)[0]}"
        )
    quote = parse_tpm_quote(evidence.report)
    signature = parse_tpm_signature(evidence.part("tpm_signature"))
    steps.passed("format", f"a quote that a TPM generated, signed with {signature}")
    ak = evidence.part("ak_public")
    verify_tpm_signature(signature, spki=ak, message=quote.raw)
    steps.passed("signature", "by the attestation key over the quote's bytes")
    pcrs = open_pcrs(quote, evidence.part("pcrs"), hashed_with=signature.hash)
    steps.passed("registers", f"{len(pcrs.values)} values under the quote's digest")

    def verify(certificates: tuple[bytes, ...]) -> TpmKeyChain:
        return verify_tpm_chain(certificates, anchors=anchors, endorsements=endorsements, now=now)

    root, subject = _attestation_key_root(evidence, ak, verify=verify, steps=steps)
    claims = TpmClaims(
        quote=quote,
        signature=signature,
        pcrs=pcrs,
        ak=digest_bytes(sha256_digest(ak)).hex(),
        certified=bool(evidence.certificates),
        ak_subject=subject,
        endorsement_key=_endorsement_key(evidence, verify=verify, steps=steps),
        explained=_explained(evidence, pcrs, steps),
    )
    return AuthenticEvidence(
        kind=EvidenceKind.TPM_VM,
        root=root,
        claims=_common_claims(claims, root),
        detail=claims,
        freshness=quote.extra_data,
        devices=(),
    )


def _attestation_key_root(
    evidence: Evidence, ak: bytes, *, verify: _VerifyChain, steps: Steps
) -> tuple[Root, str]:
    """Return what the attestation key hangs on, and the name that a certificate gives it."""
    if not evidence.certificates:
        # The key stands for itself, by its digest, which is in no anchors. Whether it is a TPM's at
        # all only its enrolment says; appraisal asks for that.
        steps.skipped("key chain", "the attestation key has no certificate: it must be enrolled")
        root = Root(
            digest=sha256_digest(ak),
            vendor=BARE_KEY,
            use=RootUse.TPM,
            product=None,
            insecure=False,
        )
        return root, ""
    chain = verify(evidence.certificates)
    leaf = chain.leaf
    # The same authorities certify endorsement keys, which only decrypt, and each other.
    require_may_sign(leaf)
    if leaf.constraints.authority or leaf.spki != ak:
        raise VerificationError(
            Code.EVIDENCE_CHAIN, "the certificate is not that of the attestation key"
        )
    steps.passed(
        "key chain",
        f"the attestation key's certificate up to the root of {chain.root.vendor}, "
        f"{chain.lists} revocation lists consulted",
    )
    return chain.root, leaf.subject_cn


def _endorsement_key(
    evidence: Evidence, *, verify: _VerifyChain, steps: Steps
) -> EndorsementKey | None:
    issuers = [f"{EK_ISSUER}{number}" for number in range(1, _EK_ISSUERS_MAX + 1)]
    present = list(itertools.takewhile(lambda name: name in evidence.parts, issuers))
    if sum(name in evidence.parts for name in issuers) != len(present):
        raise FormatError(Code.EVIDENCE_MALFORMED, "TPM evidence: an EK issuer is left out")
    if EK_CERTIFICATE not in evidence.parts:
        if present:
            raise FormatError(
                Code.EVIDENCE_MALFORMED, "TPM evidence: issuers of an EK certificate without it"
            )
        steps.skipped("endorsement key", "none is given")
        return None
    chain = verify(tuple(evidence.part(name) for name in (EK_CERTIFICATE, *present)))
    leaf = chain.leaf
    purposes = leaf.extended_key_usage
    if leaf.constraints.authority or (purposes and _OID_EK_CERTIFICATE not in purposes):
        raise VerificationError(
            Code.EVIDENCE_CHAIN, "the certificate is not that of an endorsement key"
        )
    steps.passed(
        "endorsement key",
        f"of a TPM by {chain.root.vendor}; a quote does not bind it to the attestation key",
    )
    return EndorsementKey(
        digest=sha256_digest(leaf.spki),
        subject=leaf.subject_cn,
        root=chain.root.digest,
        vendor=chain.root.vendor,
    )


def _explained(evidence: Evidence, pcrs: QuotedPcrs, steps: Steps) -> tuple[str, ...]:
    if "event_log" not in evidence.parts:
        steps.skipped("event log", "none is given")
        return ()
    explained = require_pcrs(evidence.part("event_log"), pcrs)
    steps.passed("event log", f"replays to {', '.join(explained) or 'no register that is quoted'}")
    return explained


def _common_claims(claims: TpmClaims, root: Root) -> Claims:
    quote = claims.quote
    identity = {"ak": claims.ak}
    if claims.ak_subject:
        identity["ak_subject"] = claims.ak_subject
    return Claims(
        vendor=root.vendor,
        platform="TPM 2.0",
        generation="",
        signer="AK",
        tcb={
            "firmware": f"{quote.firmware_version:016x}",
            "reset_count": quote.reset_count,
            "restart_count": quote.restart_count,
        },
        debug=False,
        memory_protected=False,
        measurement=claims.pcrs.measurement,
        registers=claims.pcrs.registers,
        host_data=None,
        identity=identity,
        fields=tpm_fields(claims),
    )
