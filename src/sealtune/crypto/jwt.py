"""Compact JSON Web Tokens (RFC 7519) signed with ECDSA: ES256 made, ES256 and ES384 verified.

The caller names the key and the one algorithm it expects; what a token says about either is only
compared. Knows no symmetric algorithm, no encryption, no key in a header, and judges no claim:
`exp` and `nbf` are the caller's.
"""

from __future__ import annotations

import stat
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Literal

from sealtune.core.canonical import canonical_json, parse_foreign_json, parse_json
from sealtune.core.files import PRIVATE_MODE, read_bounded, write_atomic
from sealtune.core.limits import KEY_FILE_BYTES_MAX
from sealtune.crypto.ecdsa import P256Key, verify_ecdsa_p256, verify_ecdsa_p384
from sealtune.crypto.encoding import b64decode, b64encode
from sealtune.errors import Code, ConfigError, FormatError, SealtuneError, VerificationError

JwtAlgorithm = Literal["ES256", "ES384"]
TOKEN_BYTES_MAX = 256 * 1024  # 50x a result of NVIDIA's service; a result for 32 devices fits
_HEADER_BYTES_MAX = 32 * 1024  # with a certificate chain in `x5c`
_SCALAR_BYTES = {"ES256": 32, "ES384": 48}


def _malformed(reason: str) -> FormatError:
    return FormatError(Code.TOKEN_MALFORMED, f"token: {reason}")


def sign_jwt(claims: Mapping[str, Any], *, key: P256Key, header: Mapping[str, Any]) -> str:
    """Return `claims` as a token signed with ES256; `header` is put beside `alg`.

    Raises:
        ValueError: `header` names an algorithm, or something is not JSON.
    """
    if "alg" in header:
        raise ValueError("the key decides the algorithm")
    parts = ({"alg": "ES256", **header}, dict(claims))
    signed = ".".join(b64encode(canonical_json(part)) for part in parts)
    r, s = key.sign(signed.encode())
    size = _SCALAR_BYTES["ES256"]
    return f"{signed}.{b64encode(r.to_bytes(size, 'big') + s.to_bytes(size, 'big'))}"


def verify_jwt(token: str, *, spki: bytes, algorithm: JwtAlgorithm) -> dict[str, Any]:
    """Return the claims of `token` when the key `spki` signed it with `algorithm`.

    Raises:
        FormatError: larger than 256 KiB, or not a compact token of one header, claims, signature.
        VerificationError: unsigned (`none`), another algorithm, or not this key's signature.
    """
    if len(token) > TOKEN_BYTES_MAX:
        raise FormatError(Code.LIMIT_EXCEEDED, f"token: larger than {TOKEN_BYTES_MAX} bytes")
    parts = token.split(".")
    if len(parts) != 3 or not token.isascii():
        raise _malformed(f"{len(parts)} parts, or text, where 3 parts of base64url belong")
    header_part, claims_part, signature_part = parts
    header = _read(header_part, what="header")
    _require_algorithm(header, algorithm)
    signature = b64decode(signature_part, what="token: signature", code=Code.TOKEN_MALFORMED)
    _verify(f"{header_part}.{claims_part}".encode(), signature, spki=spki, algorithm=algorithm)
    return _read(claims_part, what="claims")


def _read(part: str, *, what: str) -> dict[str, Any]:
    data = b64decode(part, what=f"token: {what}", code=Code.TOKEN_MALFORMED)
    try:
        if what == "header":
            # Strict, so that `alg` stands there once and nobody can read another one.
            value = parse_json(data, limit=_HEADER_BYTES_MAX, what="token: header")
        else:
            value = parse_foreign_json(data, limit=TOKEN_BYTES_MAX, what="token: claims")
    except FormatError as error:
        raise _malformed(error.message) from error
    if not isinstance(value, dict):
        raise _malformed(f"a {what} that is no object")
    return value


def _require_algorithm(header: Mapping[str, Any], algorithm: JwtAlgorithm) -> None:
    named = header.get("alg")
    if not isinstance(named, str):
        raise _malformed("a header without `alg`")
    # RFC 7515 appendix A.5, and the readers that compared with one spelling only.
    if named.lower() == "none":
        raise VerificationError(Code.EVIDENCE_UNSIGNED, "token: not signed (alg none)")
    if named != algorithm:
        raise VerificationError(
            Code.TOKEN_ALGORITHM, f"token: signed with {named[:32]!r}, not {algorithm}"
        )
    # RFC 7515 §4.1.11: extensions that must be understood; we understand none.
    if "crit" in header:
        raise _malformed("a header with `crit`")


def _verify(signed: bytes, signature: bytes, *, spki: bytes, algorithm: JwtAlgorithm) -> None:
    size = _SCALAR_BYTES[algorithm]
    if len(signature) != 2 * size:
        raise _malformed(f"a signature of {len(signature)} bytes, not {2 * size}")
    r, s = (int.from_bytes(half, "big") for half in (signature[:size], signature[size:]))
    verify = verify_ecdsa_p256 if algorithm == "ES256" else verify_ecdsa_p384
    try:
        verify(spki, r=r, s=s, message=signed)
    except SealtuneError as error:
        raise VerificationError(
            Code.TOKEN_SIGNATURE, "token: the signature does not match the key"
        ) from error


def save_token_key(path: Path, key: P256Key) -> None:
    """Write `key` to `path` in PKCS #8 (DER), mode 0600.

    Raises:
        StorageError: the file cannot be written.
    """
    write_atomic(path, key.reveal(), mode=PRIVATE_MODE)


def load_token_key(path: Path) -> P256Key:
    """Return the key that `save_token_key` wrote.

    Raises:
        StorageError: the file is missing.
        ConfigError: others may read the file.
        FormatError: it is no such key.
    """
    data = read_bounded(path, limit=KEY_FILE_BYTES_MAX, what="token key")
    if path.stat().st_mode & (stat.S_IRWXG | stat.S_IRWXO):
        message, remedy = f"{path}: other users may read this private key", f"chmod 600 {path}"
        raise ConfigError(Code.KEY_PERMISSIONS, message, remedy=remedy)
    return P256Key.from_der(data)
