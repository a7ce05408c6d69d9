"""dcap-qvl as a second opinion on what we verified ourselves (spec/attestation §11.6).

The only module that imports it. It is asked last, about bytes that Intel's keys are known to have
signed, and can only refuse: its words choose no code of ours, and where its verdict and ours differ
the evidence is refused. It has its own network client, which nothing here calls.
"""

from __future__ import annotations

import base64
import json
import textwrap
from datetime import datetime

import dcap_qvl  # type: ignore[import-untyped]

from sealtune.attestation.dcap_endorsements import DcapEndorsement
from sealtune.attestation.dcap_pck import VerifiedPck
from sealtune.attestation.dcap_tcb import Judgement
from sealtune.crypto.x509 import Certificate
from sealtune.errors import Code, VerificationError


def require_second_opinion(
    quote: bytes,
    *,
    endorsement: DcapEndorsement,
    pck: VerifiedPck,
    judgement: Judgement,
    now: datetime,
) -> None:
    """Verify that dcap-qvl accepts `quote` under the same root and judges it as we do.

    Raises:
        VerificationError: it refuses, or finds another TCB status or other advisories.
    """
    seconds = int(now.timestamp())
    try:
        verifier = dcap_qvl.QuoteVerifier(pck.root_certificate.raw)
        # Policy is ours (dcap_rules): the library is asked for facts only.
        claims = verifier.verify_with_policy(
            quote, _collateral(endorsement), seconds, dcap_qvl.QuotePolicy.claims_only(seconds)
        )
        found = json.loads(claims.to_json())["tcb"]
    except ValueError as error:
        raise VerificationError(
            Code.EVIDENCE_SIGNATURE, "quote: refused by the second verifier"
        ) from error
    ours = (str(judgement.status), sorted(judgement.advisories))
    theirs = (found["status"], sorted(found["advisory_ids"]))
    if ours != theirs:
        raise VerificationError(
            Code.EVIDENCE_TCB_LEVEL,
            f"quote: two verifiers judge it differently, {ours[0]} and another",
        )


def _collateral(endorsement: DcapEndorsement) -> dcap_qvl.QuoteCollateralV3:
    return dcap_qvl.QuoteCollateralV3(
        pck_crl_issuer_chain=_pem(endorsement.crl_chain),
        root_ca_crl=endorsement.root_crl.raw,
        pck_crl=endorsement.pck_crl.raw,
        tcb_info_issuer_chain=_pem(endorsement.tcb_info_chain),
        tcb_info=endorsement.signed_tcb_info.text,
        tcb_info_signature=endorsement.signed_tcb_info.signature,
        qe_identity_issuer_chain=_pem(endorsement.qe_identity_chain),
        qe_identity=endorsement.signed_qe_identity.text,
        qe_identity_signature=endorsement.signed_qe_identity.signature,
    )


def _pem(chain: tuple[Certificate, ...]) -> str:
    # From what we parsed, so that the library reads no text that we did not.
    return "".join(
        "\n".join(
            (
                "-----BEGIN CERTIFICATE-----",
                *textwrap.wrap(base64.b64encode(certificate.raw).decode(), 64),
                "-----END CERTIFICATE-----\n",
            )
        )
        for certificate in chain
    )
