"""What travels between worker and broker, as strict pydantic models (docs/spec/protocol.md §3).

Bytes enter the program here: every field has a form and a bound, unknown fields are errors, and no
error echoes what was received. The models hold text; `session` and the broker turn it into types.
Does no cryptography.
"""

from __future__ import annotations

from typing import Annotated, Any, Literal, TypeVar

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from sealtune.core.canonical import canonical_json, parse_json
from sealtune.core.limits import CONTRACT_INPUTS_MAX, RUN_STEPS_MAX
from sealtune.errors import Code, FormatError

CHALLENGE_BYTES = 32

CHALLENGE_TYPE = "application/vnd.sealtune.challenge.v1+json"
KEY_REQUEST_TYPE = "application/vnd.sealtune.key-request.v1+json"
KEY_RELEASE_TYPE = "application/vnd.sealtune.key-release.v1+json"
ANCHOR_REQUEST_TYPE = "application/vnd.sealtune.anchor-request.v1+json"
ANCHOR_ANSWER_TYPE = "application/vnd.sealtune.anchor-answer.v1+json"
REGISTRATION_ANSWER_TYPE = "application/vnd.sealtune.registration-answer.v1+json"
RECEIPT_ANSWER_TYPE = "application/vnd.sealtune.receipt-answer.v1+json"
REFUSAL_TYPE = "application/vnd.sealtune.refusal.v1+json"

DigestText = Annotated[str, Field(pattern=r"^sha256:[0-9a-f]{64}$")]
RunId = Annotated[str, Field(pattern=r"^[0-9a-f]{32}$")]
Step = Annotated[int, Field(ge=0, le=RUN_STEPS_MAX)]
ChallengeText = Annotated[str, Field(pattern=r"^[A-Za-z0-9_-]{43}$")]
SigningKeyText = Annotated[str, Field(pattern=r"^ed25519:[A-Za-z0-9_-]{43}$")]
RecipientKeyText = Annotated[str, Field(pattern=r"^mlkem768x25519:[A-Za-z0-9_-]{1622}$")]
# HPKE of 32 bytes: 1,168 bytes, as base64url without padding.
WrappedText = Annotated[str, Field(pattern=r"^[A-Za-z0-9_-]{1558}$")]
# No control characters: a peer's text ends up on somebody's terminal.
PlainText = Annotated[str, Field(max_length=600, pattern=r"^[^\x00-\x1f\x7f-\x9f]*$")]
CodeText = Annotated[str, Field(max_length=64, pattern=r"^[a-z0-9-]*$")]
TimeText = Annotated[str, Field(pattern=r"^[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9:]{8}Z$")]


class Message(BaseModel):
    """Base of all messages: nothing is coerced, nothing unknown is accepted, nothing changes."""

    model_config = ConfigDict(strict=True, extra="forbid", frozen=True, hide_input_in_errors=True)

    def encode(self) -> bytes:
        """Return the message as canonical JSON."""
        return canonical_json(self.model_dump(mode="json"))


class Answer(Message):
    """Base of what the broker signs: each names the digest of the posted bytes it answers."""

    request: DigestText


class ChallengeRequest(Message):
    """A worker asks for a challenge for one run of one contract."""

    contract: DigestText
    run_id: RunId


class ChallengeAnswer(Answer):
    """The broker's challenge; `expires` is for people, the broker goes by its own clock."""

    challenge: ChallengeText
    contract: DigestText
    run_id: RunId
    expires: TimeText


class WorkerPublicKeys(Message):
    """The keys that a worker made for itself and has attested."""

    recipient_key: RecipientKeyText
    signing_key: SigningKeyText


class KeyRequest(Message):
    """A worker asks for the ContentKeys of bundles, with Evidence; signed by its signing key."""

    challenge: ChallengeText
    contract: DigestText
    run_id: RunId
    bundles: Annotated[list[DigestText], Field(min_length=1, max_length=CONTRACT_INPUTS_MAX)]
    worker: WorkerPublicKeys
    evidence: dict[str, Any]


class Rule(Message):
    """One rule of a decision and why it passed or not."""

    rule: Annotated[str, Field(max_length=80, pattern=r"^[a-z0-9._-]+$")]
    passed: bool
    reason: PlainText
    code: CodeText | None


class ReleasedKey(Message):
    """A bundle's ContentKey, sealed to the attested recipient key."""

    bundle: DigestText
    wrapped: WrappedText


class AnchorState(Message):
    """The newest training_checkpoint that a broker remembers for a run."""

    step: Step
    digest: DigestText


class KeyRelease(Answer):
    """The broker's grant: wrapped keys, the run's share, its newest anchor and the log's head."""

    contract: DigestText
    run_id: RunId
    run: Literal["new", "resumed", "repeated"]
    insecure: bool
    keys: Annotated[list[ReleasedKey], Field(min_length=1, max_length=CONTRACT_INPUTS_MAX)]
    run_share: WrappedText
    anchor: AnchorState | None
    rules: Annotated[list[Rule], Field(max_length=256)]
    log_head: dict[str, Any]


class AnchorRequest(Message):
    """A worker asks the broker to remember its newest training_checkpoint; signed."""

    contract: DigestText
    run_id: RunId
    step: Step
    digest: DigestText


class AnchorAnswer(Answer):
    """The broker's word that it remembers this training_checkpoint and none older."""

    contract: DigestText
    run_id: RunId
    anchor: AnchorState


class ReceiptReport(Message):
    """Anybody hands in the TrainingReceipt of a finished run; it proves itself."""

    contract: DigestText
    run_id: RunId
    receipt: dict[str, Any]


class ReceiptAnswer(Answer):
    """The broker's word that it verified the receipt and closed the run."""

    contract: DigestText
    run_id: RunId
    receipt: DigestText
    log_head: dict[str, Any]


class RegistrationAnswer(Answer):
    """The broker's word that it keeps a bundle's key or a contract, by digest."""

    kind: Literal["bundle", "contract"]
    digest: DigestText
    log_head: dict[str, Any]


class Refusal(Answer):
    """The broker's final no, bound to the request that it answers."""

    code: CodeText
    rule: Annotated[str, Field(max_length=80)]
    message: PlainText


M = TypeVar("M", bound=Message)


def parse_message(model: type[M], data: bytes, *, limit: int, what: str) -> M:
    """Return the message of type `model` in `data`; `what` names it in errors.

    Raises:
        FormatError: too large, not strict JSON, or a field missing, unknown or of another form.
    """
    return message_from(model, parse_json(data, limit=limit, what=what), what=what)


def message_from(model: type[M], value: Any, *, what: str) -> M:
    """Return the message of type `model` that the JSON value `value` is.

    Raises:
        FormatError: a field is missing, unknown or of another form.
    """
    try:
        return model.model_validate(value)
    except ValidationError as error:
        first = error.errors(include_url=False, include_input=False, include_context=False)[0]
        place = ".".join(str(part)[:40] for part in first["loc"][:6]) or "message"
        raise FormatError(
            Code.MESSAGE_MALFORMED, f"{what}: {_printable(place)}: {first['msg'][:120]}"
        ) from None


def _printable(text: str) -> str:
    # The place may be the name of an unknown field, which the sender chose.
    return "".join(character if character.isprintable() else "?" for character in text)
