"""The verifier of AWS Nitro evidence (spec/attestation §14). Does no I/O.

Decides whether a document is authentic. Whether the enclave is acceptable (debug mode, registers)
is `appraisal`.
"""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any, Final

from sealtune.attestation.anchors import Root, RootUse, TrustAnchors
from sealtune.attestation.endorsements import Endorsements
from sealtune.attestation.evidence import Evidence, EvidenceKind
from sealtune.attestation.nitro_cbor import malformed
from sealtune.attestation.nitro_document import NitroDocument, parse_nitro_document
from sealtune.attestation.steps import Steps
from sealtune.attestation.verified import AuthenticEvidence, Claims
from sealtune.crypto.ecdsa import verify_ecdsa_p384
from sealtune.crypto.x509 import (
    Certificate,
    VerifiedChain,
    parse_certificate,
    require_may_sign,
    verify_chain,
)
from sealtune.errors import Code, SealtuneError, VerificationError

# How far the hypervisor's clock may be ahead of the verifier's.
CLOCK_TOLERANCE: Final = timedelta(seconds=60)


def verify_nitro(
    evidence: Evidence,
    *,
    anchors: TrustAnchors,
    endorsements: Endorsements,
    now: datetime,
    steps: Steps,
) -> AuthenticEvidence:
    """Verify that `evidence` is an authentic attestation document.

    Raises:
        FormatError: the document or a certificate cannot be read.
        VerificationError: a root that is not in `anchors`, a chain or signature that does not hold,
            or a certificate or document that is not valid at `now`.
    """
    del endorsements  # taken so that all kinds are called alike; the document has all it needs
    if evidence.certificates or evidence.parts:
        raise malformed("evidence with more than the document, which carries its own chain")
    document = parse_nitro_document(evidence.report)
    steps.passed("format", f"COSE_Sign1 of {document.module_id}, {len(evidence.report)} bytes")
    chain = tuple(map(parse_certificate, document.certificates))
    root = anchors.find(chain[-1].digest, use=RootUse.AWS_NITRO)
    verified = verify_chain(chain, now=now)
    steps.passed("chain", f"{len(chain)} certificates up to the pinned root of {root.vendor}")
    _verify_signature(document, verified)
    steps.passed("signature", "ECDSA P-384 over the document as received")
    _require_time(document, verified.leaf, now)
    steps.passed("time", f"made {document.time.isoformat()}, while its key was valid")
    return AuthenticEvidence(
        kind=EvidenceKind.NITRO,
        root=root,
        claims=_claims(document, root, verified.leaf),
        detail=document,
        freshness=document.nonce or b"",
        devices=(),
    )


def _verify_signature(document: NitroDocument, chain: VerifiedChain) -> None:
    require_may_sign(chain.leaf)
    try:
        verify_ecdsa_p384(
            chain.leaf.spki,
            r=document.signature_r,
            s=document.signature_s,
            message=document.signed,
        )
    except SealtuneError as error:
        raise VerificationError(
            Code.EVIDENCE_SIGNATURE, "Nitro document: not signed by the key of its certificate"
        ) from error


def _require_time(document: NitroDocument, leaf: Certificate, now: datetime) -> None:
    # spec/attestation §14.3: the key lives for hours; a document from outside that time was made
    # with a key that should not exist any more, or not yet.
    if not leaf.not_before <= document.time <= leaf.not_after:
        raise VerificationError(
            Code.EVIDENCE_CERTIFICATE_TIME,
            f"Nitro document: made {document.time}, its key is valid from {leaf.not_before} to "
            f"{leaf.not_after}",
        )
    if document.time > now + CLOCK_TOLERANCE:
        raise VerificationError(
            Code.EVIDENCE_CERTIFICATE_TIME, f"Nitro document: made {document.time}, it is {now}"
        )


def _claims(document: NitroDocument, root: Root, leaf: Certificate) -> Claims:
    return Claims(
        vendor=root.vendor,
        platform="AWS Nitro Enclaves",
        generation="nitro",
        signer="NSM",
        tcb={},
        debug=document.debug,
        memory_protected=True,
        measurement=document.pcrs[0].hex(),
        registers={f"pcr{index}": value.hex() for index, value in document.pcrs.items()},
        host_data=None,
        identity={"module_id": document.module_id},
        fields=_fields(document, leaf),
    )


def _fields(document: NitroDocument, leaf: Certificate) -> dict[str, Any]:
    optional = {
        name: None if value is None else value.hex()
        for name, value in (
            ("user_data", document.user_data),
            ("nonce", document.nonce),
            ("public_key", document.public_key),
        )
    }
    return {
        "module_id": document.module_id,
        "timestamp_ms": document.timestamp_ms,
        "leaf_validity": [str(leaf.not_before), str(leaf.not_after)],
        "pcrs": {str(index): value.hex() for index, value in document.pcrs.items()},
        **optional,
    }
