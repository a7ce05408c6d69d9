"""What owners hand to their broker: the key of a bundle, a contract that all have signed.

Both prove themselves by their signatures (docs/spec/protocol.md §8): whoever posts them gains
nothing, so the endpoints need no password.
"""

from __future__ import annotations

from typing import Literal

from sealtune.broker.desk import Desk
from sealtune.broker.events import log_event
from sealtune.broker.store import SignedHead, Transaction
from sealtune.bundle.registration import SealedRegistration, parse_registration
from sealtune.contract.contract import (
    SignedContract,
    verify_contract_signatures_ignoring_validity,
)
from sealtune.core.digest import Digest, sha256_digest
from sealtune.crypto.dsse import parse_envelope
from sealtune.deid.report import VerifiedReport, verify_report_envelope
from sealtune.errors import Code, ReleaseDenied, VerificationError
from sealtune.protocol.answers import sign_answer
from sealtune.protocol.messages import REGISTRATION_ANSWER_TYPE, RegistrationAnswer
from sealtune.release.decide import HeldBundle


def register_key(desk: Desk, body: bytes) -> bytes:
    """Keep the ContentKey of a bundle that one of this broker's owners sealed to it.

    Raises:
        FormatError, VerificationError: no registration, or its signatures do not hold; or the
            de-identification report is not that which the bundle names, or not its owner's.
        ReleaseDenied: NOT_AUTHORIZED: not signed by an owner of this broker.
        ConfigError: BUNDLE_NO_SLOT: the bundle is not sealed to this broker.
    """
    registration = parse_registration(body)
    if registration.owner not in desk.owners:
        raise ReleaseDenied(Code.NOT_AUTHORIZED, "the bundle is not of an owner of this broker")
    key = registration.unwrap(desk.identity.recipient)
    report = _verified_report(registration)
    held = HeldBundle(owner=registration.owner, kind=str(registration.kind), report=report)
    digest = registration.digest

    def keep(transaction: Transaction) -> SignedHead:
        if not transaction.add_bundle(digest, held, key):
            return transaction.current_head()
        entry = {"bundle": digest, "kind": held.kind, "owner": held.owner.text}
        if report is not None:
            entry["deidentification"] = report.report.digest
        return transaction.append("key", entry)

    return _answer(desk, body, kind="bundle", digest=digest, head=desk.store.write(keep))


def _verified_report(registration: SealedRegistration) -> VerifiedReport | None:
    # That it is the one which the header names, `parse_registration` has checked.
    if registration.report is None:
        return None
    return verify_report_envelope(registration.report, owner=registration.owner)


def register_contract(desk: Desk, body: bytes) -> bytes:
    """Keep a contract that everybody has signed and that names this broker as one of its owner's.

    Raises:
        FormatError, VerificationError: no contract, or its signatures do not hold, or it is over.
        ReleaseDenied: it names other brokers, an owner who is not this broker's, or simulated
            evidence, which this broker was not started for.
    """
    envelope = parse_envelope(body, what="contract")
    contract = verify_contract_signatures_ignoring_validity(envelope)
    _check_contract(desk, contract)
    data = envelope.to_json()

    def keep(transaction: Transaction) -> SignedHead:
        if not transaction.add_contract(contract.digest, data):
            return transaction.current_head()
        insecure = contract.contract.insecure
        return transaction.append("contract", {"contract": contract.digest, "insecure": insecure})

    head = desk.store.write(keep)
    return _answer(desk, body, kind="contract", digest=contract.digest, head=head)


def _check_contract(desk: Desk, contract: SignedContract) -> None:
    document = contract.contract
    # A contract may be registered before it begins, but not when it is over.
    if desk.clock.now() >= document.validity.end:
        raise VerificationError(
            Code.CONTRACT_EXPIRED, f"the contract ended at {document.validity.not_after}"
        )
    ours = [entry for entry in document.brokers.values() if entry.signing == desk.key]
    if not ours:
        raise ReleaseDenied(Code.DENIED_CONTRACT, "the contract does not name this broker")
    # The contract's parties vouch for each other; that the owner is ours, only we can know.
    if any(document.parties[entry.owner].signing not in desk.owners for entry in ours):
        raise ReleaseDenied(
            Code.NOT_AUTHORIZED, "the contract gives this broker to somebody who is not its owner"
        )
    if document.insecure and not desk.accepts_insecure:
        raise ReleaseDenied(
            Code.DENIED_INSECURE,
            "the contract accepts simulated evidence and this broker does not",
            remedy="for a trial, start the broker with --insecure-accept-simulated",
        )


def _answer(
    desk: Desk,
    body: bytes,
    *,
    kind: Literal["bundle", "contract"],
    digest: Digest,
    head: SignedHead,
) -> bytes:
    log_event("registered", kind=kind, digest=digest, log_size=head.head.size)
    answer = RegistrationAnswer(
        request=sha256_digest(body), kind=kind, digest=digest, log_head=head.envelope.to_dict()
    )
    return sign_answer(answer, payload_type=REGISTRATION_ANSWER_TYPE, key=desk.identity.signing)
