"""Intel's documents about a kind of platform, composed of what a PCS or PCCS answers.

Source: Intel, "Provisioning Certification Service API", version 4.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Final
from urllib.parse import unquote_to_bytes

from sealtune.attestation.dcap_endorsements import Part, compose_dcap, parse_dcap
from sealtune.attestation.dcap_tcb import TCB_DOCUMENT_BYTES_MAX
from sealtune.broker.endorsements.fetch import HttpAnswer, Question
from sealtune.broker.endorsements.subjects import Subject
from sealtune.broker.endorsements.window import Window, half_open
from sealtune.crypto.crl import CRL_BYTES_MAX
from sealtune.errors import Code, FormatError, VerificationError

_TCB_CHAIN: Final = "tcb-info-issuer-chain"
_QE_CHAIN: Final = "sgx-enclave-identity-issuer-chain"
_CRL_CHAIN: Final = "sgx-pck-crl-issuer-chain"


def fetch_intel_set(
    subject: Subject, *, service: str, root_crl: str, ask: Callable[[Question], HttpAnswer]
) -> bytes:
    """Return the set `subject`, asked of one service and composed; its signatures are checked.

    Raises:
        TransportError: `service` did not answer.
        FormatError: an answer that cannot be read.
        VerificationError: an answer that Intel did not sign, or of another platform than asked for.
    """
    tee, fmspc, ca = subject.parts
    own, sgx = (f"{service}/{name}/certification/v4" for name in (tee.lower(), "sgx"))
    tcb = ask(Question(url=f"{own}/tcb?fmspc={fmspc}", limit=TCB_DOCUMENT_BYTES_MAX))
    qe = ask(Question(url=f"{own}/qe/identity", limit=TCB_DOCUMENT_BYTES_MAX))
    url = f"{sgx}/pckcrl?ca={ca}&encoding=der"
    crl = ask(Question(url=url, limit=2 * CRL_BYTES_MAX))
    root = ask(Question(url=root_crl, limit=2 * CRL_BYTES_MAX))
    return compose_dcap(
        tcb_info=tcb.body,
        tcb_info_issuer_chain=_chain(tcb, _TCB_CHAIN),
        qe_identity=qe.body,
        qe_identity_issuer_chain=_chain(qe, _QE_CHAIN),
        pck_crl=_der(crl.body),
        pck_crl_issuer_chain=_chain(crl, _CRL_CHAIN),
        root_ca_crl=_der(root.body),
    )


def examine_intel_set(subject: Subject, data: bytes) -> Window:
    """Return when all parts of the set `data` are current; the window of a mixed one is empty.

    Raises:
        FormatError: no such set.
        VerificationError: it is for another TEE, FMSPC or authority.
    """
    found = parse_dcap(data)
    about = f"{found.tee}/{found.fmspc.hex()}/{found.ca}"
    if about != subject.name:
        raise VerificationError(
            Code.ENDORSEMENT_MISMATCH, f"a set for {about}, which was not asked for"
        )
    first, *others = map(_window, found.parts)
    for other in others:
        first = first.within(other)
    return first


def _window(part: Part) -> Window:
    if part.until_included:
        return Window(part.since, part.until)
    return half_open(part.since, part.until)


def _chain(answer: HttpAnswer, name: str) -> bytes:
    text = answer.headers.get(name)
    if text is None:
        raise FormatError(Code.ENDORSEMENT_MALFORMED, f"{answer.url}: without the header {name}")
    return unquote_to_bytes(text)


def _der(body: bytes) -> bytes:
    # Intel's service has the list in DER; a PCCS spells the same bytes in hexadecimal, which no DER
    # of a list is: its second byte is not a digit.
    try:
        return bytes.fromhex(body.decode("ascii"))
    except ValueError:
        return body
