"""The OpenAPI description of each endpoint, from the same models that read and write messages."""

from __future__ import annotations

from typing import Any, Final

from sealtune.protocol.messages import (
    AnchorAnswer,
    AnchorRequest,
    ChallengeAnswer,
    ChallengeRequest,
    KeyRelease,
    KeyRequest,
    Message,
    ReceiptAnswer,
    ReceiptReport,
    Refusal,
    RegistrationAnswer,
)

_SUMMARIES: Final = {
    "/v1/keys": "Register the key of a bundle that an owner of this broker sealed to it",
    "/v1/contracts": "Register a contract that all parties have signed",
    "/v1/challenge": "Get a one-shot challenge for one run of one contract",
    "/v1/release": "Present Evidence and get ContentKeys, or the reason why not",
    "/v1/anchor": "Have the broker remember a run's newest training_checkpoint",
    "/v1/receipt": "Report a run's TrainingReceipt, which ends the run",
}
_ENVELOPE_FIELDS: Final[dict[str, Any]] = {
    "payload": {"type": "string", "contentEncoding": "base64"},
    "payloadType": {"type": "string"},
    "signatures": {"type": "array", "items": {"type": "object"}},
}
_ENVELOPE: Final = {
    "type": "object",
    "description": "DSSE envelope; its payload is base64",
    "required": ["payload", "payloadType", "signatures"],
    "properties": _ENVELOPE_FIELDS,
}
_REGISTRATION: Final = {
    "type": "object",
    "description": "docs/spec/bundle.md §8",
    "required": ["format", "header", "slots"],
    "properties": {"format": {"enum": ["sealtune-registration/1", "sealtune-registration/2"]}},
}


def describe(path: str) -> dict[str, Any]:
    """Return the keyword arguments for the framework's route at `path`."""
    request, answer = _BODIES[path]
    refusal = {"description": "Signed refusal: final", **_content(_signed(Refusal))}
    return {
        "summary": _SUMMARIES[path],
        "responses": {
            200: {"description": "Signed answer", **_content(_signed(answer))},
            400: refusal,
            403: refusal,
            404: refusal,
            409: refusal,
            408: {"description": "The body did not arrive in time"},
            413: {"description": "Too large; not read"},
            429: {"description": "Too many requests; try again later"},
            503: {"description": "Nothing was decided or counted; try again later"},
        },
        "openapi_extra": {"requestBody": {"required": True, **_content(request)}},
    }


def _signed(model: type[Message]) -> dict[str, Any]:
    payload = {"type": "string", "contentEncoding": "base64", "contentSchema": _schema(model)}
    return {**_ENVELOPE, "properties": {**_ENVELOPE_FIELDS, "payload": payload}}


def _schema(model: type[Message]) -> dict[str, Any]:
    return _inlined(model.model_json_schema())


def _inlined(schema: dict[str, Any]) -> dict[str, Any]:
    """Return `schema` with its own definitions in place: in an OpenAPI document they would dangle.

    The messages are not recursive, so this ends.
    """
    definitions = schema.pop("$defs", {})

    def resolve(value: Any) -> Any:
        if isinstance(value, dict):
            if "$ref" in value:
                return resolve(definitions[value["$ref"].rsplit("/", 1)[1]])
            return {name: resolve(item) for name, item in value.items()}
        if isinstance(value, list):
            return [resolve(item) for item in value]
        return value

    result: dict[str, Any] = resolve(schema)
    return result


def _content(schema: dict[str, Any]) -> dict[str, Any]:
    return {"content": {"application/json": {"schema": schema}}}


_BODIES: Final[dict[str, tuple[dict[str, Any], type[Message]]]] = {
    "/v1/keys": (_REGISTRATION, RegistrationAnswer),
    "/v1/contracts": (_ENVELOPE, RegistrationAnswer),
    "/v1/challenge": (_schema(ChallengeRequest), ChallengeAnswer),
    "/v1/release": (_signed(KeyRequest), KeyRelease),
    "/v1/anchor": (_signed(AnchorRequest), AnchorAnswer),
    "/v1/receipt": (_schema(ReceiptReport), ReceiptAnswer),
}
