"""The operator asks the brokers for keys in every way that is not agreed.

The operator of a simulated enclave holds the mock chip's keys and can sign any report. Only what
the rules of verification, appraisal and release refuse is refused here; a forged report that says
what the contract accepts would pass, which is why a simulation is insecure.
"""

from __future__ import annotations

import json
import secrets
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from sealtune.attestation.evidence import Evidence, evidence_from_dict
from sealtune.bundle.open import inspect_bundle
from sealtune.contract.contract import contract_digest, contract_from_document
from sealtune.core.canonical import parse_json
from sealtune.core.digest import Digest, digest_bytes, sha256_digest
from sealtune.core.limits import KEY_REQUEST_BYTES_MAX
from sealtune.crypto.dsse import parse_envelope
from sealtune.crypto.identity import Identity
from sealtune.errors import Code
from sealtune.protocol.answers import open_answer, sign_answer
from sealtune.protocol.client import BrokerClient
from sealtune.protocol.messages import (
    CHALLENGE_TYPE,
    KEY_RELEASE_TYPE,
    ChallengeAnswer,
    KeyRelease,
)
from sealtune.protocol.session import (
    BrokerSession,
    ReleasedKeys,
    SessionTerms,
    VerifiedChallenge,
    WorkerSecrets,
)
from sealtune.tee.measure import measure_enclave_code
from sealtune.testing.demo.attempts import Attempts
from sealtune.testing.demo.stage import BROKER_OF, Lines, Stage, register_contract
from sealtune.testing.demo.terms import Agreed, sign_by

_VICTIM = BROKER_OF["hospital"]
_DEBUG_POLICY = 0x30000 | 1 << 19


@dataclass(frozen=True, slots=True, kw_only=True)
class KeyThief:
    """The operator as a client of the hospital's broker, with fresh keys of its own."""

    stage: Stage
    client: BrokerClient
    worker: WorkerSecrets = field(default_factory=WorkerSecrets.generate)

    def ask(
        self,
        agreed: Agreed,
        *,
        run_id: str = "",
        bundles: tuple[Digest, ...] = (),
        evidence: Callable[[VerifiedChallenge], Evidence] | None = None,
        **report: Any,
    ) -> ReleasedKeys:
        """Ask for keys under `agreed` with a report that is honest but for the fields `report`.

        Raises:
            SealtuneError: the broker's refusal.
        """
        terms = SessionTerms(
            broker=self.stage.brokers[_VICTIM].signing,
            contract=agreed.digest,
            run_id=run_id or secrets.token_hex(16),
            bundles=bundles or bundles_of(agreed),
            worker=self.worker,
        )
        session = BrokerSession(terms)
        challenge = session.on_challenge(self.client.ask("/v1/challenge", session.start()))
        attest = evidence or (lambda got: self._report(got, agreed, report))
        request = session.request(attest(challenge))
        return session.on_release(self.client.post("/v1/release", request))

    def _report(
        self, challenge: VerifiedChallenge, agreed: Agreed, changes: Mapping[str, Any]
    ) -> Evidence:
        honest = {
            "report_data": challenge.report_data,
            "host_data": digest_bytes(agreed.digest),
            "measurement": bytes.fromhex(measure_enclave_code()),
        }
        return self.stage.mock.evidence(**{**honest, **changes})


def bundles_of(agreed: Agreed) -> tuple[Digest, ...]:
    """Return the hospital's inputs of a contract."""
    inputs = agreed.contract.inputs
    return tuple(item.bundle for item in inputs if item.broker == _VICTIM)


def ask_with_wrong_enclaves(
    attempts: Attempts, stage: Stage, lines: Lines, *, agreed: Agreed, on_hardware: Agreed
) -> None:
    """Ask with genuine evidence of enclaves that the contract does not accept."""
    thief = KeyThief(stage=stage, client=lines.direct(_VICTIM))
    attempts.make(
        "debug-enclave",
        "starts the agreed program with debugging on, to read its memory",
        codes=frozenset({Code.APPRAISAL_DEBUG}),
        action=lambda: thief.ask(agreed, policy=_DEBUG_POLICY),
    )
    attempts.make(
        "other-program",
        "starts a program of its own in the enclave",
        codes=frozenset({Code.APPRAISAL_MEASUREMENT}),
        action=lambda: thief.ask(agreed, measurement=bytes(48)),
    )
    attempts.make(
        "enclave-of-other-contract",
        "lets an enclave that was launched for another contract ask",
        codes=frozenset({Code.APPRAISAL_HOST_DATA}),
        action=lambda: thief.ask(agreed, host_data=digest_bytes(sha256_digest(b"other"))),
    )
    attempts.make(
        "simulated-as-hardware",
        "shows simulated evidence under a contract that does not say insecure_accept_simulated",
        codes=frozenset({Code.EVIDENCE_ROOT, Code.APPRAISAL_INSECURE}),
        action=lambda: thief.ask(on_hardware),
    )


def ask_beyond_the_contract(
    attempts: Attempts, stage: Stage, lines: Lines, *, agreed: Agreed, other_bundle: Path
) -> None:
    """Ask for a bundle that is not in the contract, and by a contract of the operator's own."""
    thief = KeyThief(stage=stage, client=lines.direct(_VICTIM))
    other = inspect_bundle(other_bundle).digest
    attempts.make(
        "bundle-not-in-contract",
        "asks for the key of another bundle that the broker holds",
        codes=frozenset({Code.DENIED_BUNDLE}),
        action=lambda: thief.ask(agreed, bundles=(other,)),
    )
    own = _own_contract(stage, agreed)
    attempts.make(
        "own-contract-registered",
        "hands the broker a contract in which all parties' keys are the operator's",
        codes=frozenset({Code.NOT_AUTHORIZED}),
        action=lambda: register_contract(
            stage, lines, broker=_VICTIM, envelope=own.envelope, digest=own.digest
        ),
    )
    attempts.make(
        "own-contract-used",
        "asks for keys by that contract",
        codes=frozenset({Code.CONTRACT_UNKNOWN}),
        action=lambda: thief.ask(own),
    )


def answer_as_a_broker(attempts: Attempts, stage: Stage, *, agreed: Agreed) -> None:
    """Stand between worker and broker, and answer with the operator's own signature."""
    attempts.make(
        "impersonated-broker",
        "answers the worker in the broker's place",
        codes=frozenset({Code.BROKER_IDENTITY}),
        action=lambda: _impersonate(stage, agreed),
    )


def repeat_what_was_heard(
    attempts: Attempts, stage: Stage, lines: Lines, *, agreed: Agreed
) -> None:
    """Use what the wiretap heard: the worker's request, and the evidence in it."""
    heard = lines.taps[_VICTIM].last("/v1/release").body
    attempts.make(
        "replayed-key-request",
        "sends the worker's recorded key request again",
        codes=frozenset({Code.CHALLENGE_UNKNOWN}),
        action=lambda: _replay(stage, lines, heard),
    )
    evidence = _evidence_in(heard)
    thief = KeyThief(stage=stage, client=lines.direct(_VICTIM))
    attempts.make(
        "relayed-evidence",
        "puts the worker's recorded evidence into a request with keys of its own",
        codes=frozenset({Code.FRESHNESS}),
        action=lambda: thief.ask(agreed, evidence=lambda _: evidence),
    )


def ask_after_the_end(
    attempts: Attempts, stage: Stage, lines: Lines, *, agreed: Agreed, run_id: str
) -> None:
    """Ask again for a run whose receipt the broker has."""
    thief = KeyThief(stage=stage, client=lines.direct(_VICTIM))
    attempts.make(
        "finished-run-resumed",
        "resumes the run after its end",
        codes=frozenset({Code.DENIED_RUN_CLOSED}),
        action=lambda: thief.ask(agreed, run_id=run_id),
    )


def _own_contract(stage: Stage, agreed: Agreed) -> Agreed:
    """Return the contract with the operator in everybody's place, signed by its keys."""
    document = json.loads(agreed.envelope.payload)
    doubles = {name: Identity.generate(name) for name in document["parties"]}
    for name, party in document["parties"].items():
        party["signing_key"] = doubles[name].public.signing.text
        party["recipient_key"] = doubles[name].public.recipient.text
    contract = contract_from_document(document, what="operator's contract")
    signers = [name for name, party in contract.parties.items() if party.must_sign]
    return Agreed(
        contract=contract,
        digest=contract_digest(contract),
        envelope=sign_by(doubles, contract, signers),
        path=stage.operator / "own-contract.json",
    )


def _impersonate(stage: Stage, agreed: Agreed) -> None:
    terms = SessionTerms(
        broker=stage.brokers[_VICTIM].signing,
        contract=agreed.digest,
        run_id=secrets.token_hex(16),
        bundles=bundles_of(agreed),
        worker=WorkerSecrets.generate(),
    )
    session = BrokerSession(terms)
    asked = session.start()
    answer = ChallengeAnswer(
        request=sha256_digest(asked),
        challenge=secrets.token_urlsafe(32),
        contract=agreed.digest,
        run_id=terms.run_id,
        expires="2030-01-01T00:00:00Z",
    )
    key = stage.identities["operator"].signing
    session.on_challenge(sign_answer(answer, payload_type=CHALLENGE_TYPE, key=key))


def _replay(stage: Stage, lines: Lines, heard: bytes) -> None:
    answer = lines.direct(_VICTIM).post("/v1/release", heard)
    broker = stage.brokers[_VICTIM].signing
    open_answer(KeyRelease, answer, payload_type=KEY_RELEASE_TYPE, broker=broker, request=heard)


def _evidence_in(heard: bytes) -> Evidence:
    payload = parse_envelope(heard, what="key request").payload
    request = parse_json(payload, limit=KEY_REQUEST_BYTES_MAX, what="key request")
    return evidence_from_dict(request["evidence"])
