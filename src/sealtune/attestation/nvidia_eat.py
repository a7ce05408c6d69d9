"""NVIDIA's attestation tokens (detached EAT): recognized, and refused (spec/attestation §16.8).

A token is somebody's opinion of evidence, not evidence. NVIDIA's local verifier does not sign its
tokens at all; its service (NRAS) does, with keys that are pinned nowhere here.
"""

from __future__ import annotations

from typing import NoReturn

from sealtune.core.canonical import parse_foreign_json
from sealtune.core.limits import DEVICES_MAX
from sealtune.crypto.encoding import b64decode
from sealtune.crypto.jwt import TOKEN_BYTES_MAX
from sealtune.errors import Code, FormatError, VerificationError

_HEADER_BYTES_MAX = 32 * 1024
_TYPE = "JWT"


def eat_tokens(value: object) -> tuple[str, ...]:
    """Return the tokens in the JSON `value`, none if it has not the form of a detached EAT.

    The forms: `["JWT", overall]` and an object of tokens by device in a list, with the overall
    token first; or an object that has this as `detached_eat`, as NVIDIA's local verifier writes it.

    Raises:
        FormatError: more tokens than there are devices in any machine.
    """
    if isinstance(value, dict):
        value = value.get("detached_eat")
    if not isinstance(value, list) or len(value) != 2:
        return ()
    overall, devices = value
    if not isinstance(overall, list) or len(overall) != 2 or overall[0] != _TYPE:
        return ()
    if not isinstance(devices, dict):
        return ()
    tokens = (overall[1], *devices.values())
    if len(tokens) > 1 + DEVICES_MAX:
        raise FormatError(Code.LIMIT_EXCEEDED, "EAT: more tokens than devices")
    return tuple(token for token in tokens if isinstance(token, str))


def refuse_tokens(tokens: tuple[str, ...]) -> NoReturn:
    """Refuse `tokens` as evidence, saying which of two reasons it is.

    Raises:
        FormatError: one that is no compact token; or all are signed, and still no evidence.
        VerificationError: one that nobody signed.
    """
    for token in tokens:
        _require_signed(token)
    raise FormatError(
        Code.EVIDENCE_KIND,
        "EAT: the verdict of a verification service about a device, not the device's evidence; "
        "no key of such a service is pinned here",
    )


def _require_signed(token: str) -> None:
    if len(token) > TOKEN_BYTES_MAX:
        raise FormatError(Code.LIMIT_EXCEEDED, f"EAT: a token larger than {TOKEN_BYTES_MAX} bytes")
    parts = token.split(".")
    if len(parts) != 3:
        raise _malformed("a token that is not header, claims and signature")
    header = parse_foreign_json(
        b64decode(parts[0], what="EAT", code=Code.TOKEN_MALFORMED),
        limit=_HEADER_BYTES_MAX,
        what="EAT",
    )
    if not isinstance(header, dict):
        raise _malformed("a token whose header is no object")
    algorithm = header.get("alg")
    # Whatever the spelling: RFC 7519 §6 has `none`, and other readers have taken `None` for more.
    unsigned = not isinstance(algorithm, str) or algorithm.lower() == "none"
    if unsigned or not parts[2]:
        raise VerificationError(
            Code.EVIDENCE_UNSIGNED, "EAT: a token that nobody signed (`alg: none`)"
        )


def _malformed(reason: str) -> FormatError:
    return FormatError(Code.TOKEN_MALFORMED, f"EAT: {reason}")
