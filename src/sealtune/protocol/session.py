"""The worker's side of a key release, as a state machine without I/O (docs/spec/protocol.md §5).

    session = BrokerSession(terms)
    post(session.start())                  -> answer
    challenge = session.on_challenge(answer)
    evidence = attester.attest(challenge.report_data, ...)
    post(session.request(evidence))        -> answer
    released = session.on_release(answer)

One session is one attempt: a lost answer means a new session, which the broker does not count
again while the worker's keys are the same. It knows no address, no clock and no socket.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import Enum, auto
from types import MappingProxyType

from sealtune.attestation.binding import WorkerKeys, release_report_data
from sealtune.attestation.evidence import Evidence
from sealtune.core.digest import Digest, digest_bytes, parse_digest
from sealtune.crypto.dsse import envelope_from_dict, sign_envelope
from sealtune.crypto.encoding import b64decode, b64encode
from sealtune.crypto.hpke import RecipientKey
from sealtune.crypto.secret import ContentKey
from sealtune.crypto.signing import SigningKey, VerifyingKey
from sealtune.errors import Code, FormatError, VerificationError
from sealtune.protocol.answers import open_answer
from sealtune.protocol.messages import (
    CHALLENGE_TYPE,
    KEY_RELEASE_TYPE,
    KEY_REQUEST_TYPE,
    AnchorState,
    ChallengeAnswer,
    ChallengeRequest,
    KeyRelease,
    KeyRequest,
    Rule,
    WorkerPublicKeys,
)
from sealtune.translog.chain import VerifiedHead, verify_head

_KEY_LABEL = b"sealtune/v1/release\0"
_SHARE_LABEL = b"sealtune/v1/run-share\0"


@dataclass(frozen=True, slots=True, kw_only=True)
class WorkerSecrets:
    """The two keys that a worker makes when it starts and attests to every broker."""

    recipient: RecipientKey
    signing: SigningKey

    @classmethod
    def generate(cls) -> WorkerSecrets:
        """Return fresh keys; a worker that restarts makes others."""
        return cls(recipient=RecipientKey.generate(), signing=SigningKey.generate())

    @property
    def public(self) -> WorkerKeys:
        """The public halves, which report_data binds."""
        return WorkerKeys(recipient=self.recipient.public, signing=self.signing.public)


@dataclass(frozen=True, slots=True, kw_only=True)
class SessionTerms:
    """What one session is about: whom it asks, for which keys, for which run, as which worker."""

    broker: VerifyingKey
    contract: Digest
    run_id: str
    bundles: tuple[Digest, ...]
    worker: WorkerSecrets


@dataclass(frozen=True, slots=True, kw_only=True)
class VerifiedChallenge:
    """The broker's challenge, and the 64 bytes that the Evidence must carry in return."""

    challenge: bytes
    report_data: bytes


@dataclass(frozen=True, slots=True, kw_only=True)
class Anchor:
    """A training_checkpoint by its step and digest."""

    step: int
    digest: Digest


@dataclass(frozen=True, slots=True, kw_only=True)
class ReleasedKeys:
    """What one broker released, opened; `run_share` are 32 secret bytes."""

    broker: VerifyingKey
    keys: Mapping[Digest, ContentKey]
    run_share: bytes = field(repr=False)
    anchor: Anchor | None
    run: str
    insecure: bool
    rules: tuple[Rule, ...]
    log_head: VerifiedHead


class _State(Enum):
    NEW = auto()
    ASKED = auto()
    CHALLENGED = auto()
    REQUESTED = auto()
    DONE = auto()


class BrokerSession:
    """One attempt of one worker to get keys from one broker; every method is called once."""

    def __init__(self, terms: SessionTerms) -> None:
        self._terms = terms
        self._state = _State.NEW
        self._sent = b""
        self._challenge = b""

    def start(self) -> bytes:
        """Return the ChallengeRequest to post to `/v1/challenge`."""
        self._advance(_State.NEW, _State.ASKED)
        request = ChallengeRequest(contract=self._terms.contract, run_id=self._terms.run_id)
        self._sent = request.encode()
        return self._sent

    def on_challenge(self, answer: bytes) -> VerifiedChallenge:
        """Verify the broker's answer and return its challenge (spec/protocol §5.2).

        Raises:
            ReleaseDenied: the broker refuses.
            VerificationError: not the broker's answer, or one for another contract or run.
            FormatError: no answer of this protocol.
        """
        self._advance(_State.ASKED, _State.CHALLENGED)
        message = open_answer(
            ChallengeAnswer,
            answer,
            payload_type=CHALLENGE_TYPE,
            broker=self._terms.broker,
            request=self._sent,
        )
        self._about_this_run(message)
        self._challenge = b64decode(message.challenge, what="challenge")
        report_data = release_report_data(
            challenge=self._challenge,
            broker=self._terms.broker,
            worker=self._terms.worker.public,
            contract=self._terms.contract,
        )
        return VerifiedChallenge(challenge=self._challenge, report_data=report_data)

    def request(self, evidence: Evidence) -> bytes:
        """Return the signed KeyRequest to post to `/v1/release` (spec/protocol §5.3)."""
        self._advance(_State.CHALLENGED, _State.REQUESTED)
        worker = self._terms.worker
        message = KeyRequest(
            challenge=b64encode(self._challenge),
            contract=self._terms.contract,
            run_id=self._terms.run_id,
            bundles=list(self._terms.bundles),
            worker=WorkerPublicKeys(
                recipient_key=worker.recipient.public.text, signing_key=worker.signing.public.text
            ),
            evidence=evidence.to_dict(),
        )
        envelope = sign_envelope(
            message.encode(), payload_type=KEY_REQUEST_TYPE, keys=[worker.signing]
        )
        self._sent = envelope.to_json()
        return self._sent

    def on_release(self, answer: bytes) -> ReleasedKeys:
        """Verify the broker's answer and return the keys in it (spec/protocol §5.4).

        Raises:
            ReleaseDenied: the broker refuses; `code` names the rule that failed.
            VerificationError: not the broker's answer to this request, or sealed to another.
            FormatError: no answer of this protocol, or other keys than were asked for.
        """
        self._advance(_State.REQUESTED, _State.DONE)
        broker = self._terms.broker
        message = open_answer(
            KeyRelease, answer, payload_type=KEY_RELEASE_TYPE, broker=broker, request=self._sent
        )
        self._about_this_run(message)
        anchor = message.anchor
        return ReleasedKeys(
            broker=broker,
            keys=self._open_keys(message),
            run_share=self._open_share(message),
            anchor=None if anchor is None else anchor_from(anchor),
            run=message.run,
            insecure=message.insecure,
            rules=tuple(message.rules),
            log_head=verify_head(envelope_from_dict(message.log_head), log=broker),
        )

    def _open_keys(self, message: KeyRelease) -> Mapping[Digest, ContentKey]:
        keys = {}
        for item in message.keys:
            bundle = parse_digest(item.bundle)
            info = wrapped_key_info(self._challenge, contract=self._terms.contract, bundle=bundle)
            keys[bundle] = _opened(self._terms.worker.recipient, item.wrapped, info)
        if len(message.keys) != len(keys) or keys.keys() != set(self._terms.bundles):
            raise FormatError(Code.BROKER_ANSWER, "the broker sent other keys than were asked for")
        return MappingProxyType(keys)

    def _open_share(self, message: KeyRelease) -> bytes:
        terms = self._terms
        info = run_share_info(self._challenge, contract=terms.contract, run_id=terms.run_id)
        return _opened(terms.worker.recipient, message.run_share, info).reveal()

    def _about_this_run(self, message: ChallengeAnswer | KeyRelease) -> None:
        if (message.contract, message.run_id) != (self._terms.contract, self._terms.run_id):
            raise VerificationError(
                Code.BROKER_IDENTITY, "the broker's answer is about another contract or run"
            )

    def _advance(self, expected: _State, following: _State) -> None:
        # A challenge or an answer is used once: calling out of order is the caller's mistake.
        if self._state is not expected:
            raise RuntimeError(f"session is {self._state.name}, not {expected.name}")
        self._state = following


def anchor_from(state: AnchorState) -> Anchor:
    """Return the anchor that a message carries."""
    return Anchor(step=state.step, digest=parse_digest(state.digest))


def wrapped_key_info(challenge: bytes, *, contract: Digest, bundle: Digest) -> bytes:
    """Return the HPKE info of one wrapped ContentKey (spec/protocol §3.5)."""
    return _KEY_LABEL + challenge + digest_bytes(contract) + digest_bytes(bundle)


def run_share_info(challenge: bytes, *, contract: Digest, run_id: str) -> bytes:
    """Return the HPKE info of a wrapped run share (spec/protocol §3.5)."""
    return _SHARE_LABEL + challenge + digest_bytes(contract) + bytes.fromhex(run_id)


def _opened(recipient: RecipientKey, wrapped: str, info: bytes) -> ContentKey:
    raw = recipient.open(b64decode(wrapped, what="wrapped key"), info=info)
    try:
        return ContentKey(raw)
    except ValueError:
        raise FormatError(Code.BROKER_ANSWER, "a released key has another length") from None
