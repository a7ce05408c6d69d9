"""Tokens: what is signed, what is verified, and the tricks that are played with headers."""

from __future__ import annotations

import base64
import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sealtune.crypto.ecdsa import P256_ORDER, P256Key, P384Key
from sealtune.crypto.encoding import b64decode, b64encode
from sealtune.crypto.jwt import (
    TOKEN_BYTES_MAX,
    load_token_key,
    save_token_key,
    sign_jwt,
    verify_jwt,
)
from sealtune.errors import Code, ConfigError, SealtuneError, StorageError

CLAIMS = {"sub": "device", "level": 3, "nested": {"ok": [True, None]}}


@pytest.fixture(scope="module")
def key() -> P256Key:
    return P256Key.generate()


@pytest.fixture(scope="module")
def token(key: P256Key) -> str:
    return sign_jwt(CLAIMS, key=key, header={"typ": "JWT"})


def refused(token: str, spki: bytes, algorithm: str = "ES256") -> Code:
    with pytest.raises(SealtuneError) as refusal:
        verify_jwt(token, spki=spki, algorithm=algorithm)  # type: ignore[arg-type]
    return refusal.value.code


def signed(header: bytes, claims: bytes, key: P256Key | P384Key) -> str:
    text = f"{b64encode(header)}.{b64encode(claims)}"
    size = 32 if isinstance(key, P256Key) else 48
    r, s = key.sign(text.encode())
    return f"{text}.{b64encode(r.to_bytes(size, 'big') + s.to_bytes(size, 'big'))}"


def test_claims_survive_a_round_trip(key: P256Key, token: str) -> None:
    assert verify_jwt(token, spki=key.spki, algorithm="ES256") == CLAIMS
    header = json.loads(b64decode(token.split(".")[0], what="header"))
    assert header == {"alg": "ES256", "typ": "JWT"}


def test_es384_is_verified_too() -> None:
    key = P384Key.generate()
    token = signed(b'{"alg":"ES384","kid":"1"}', b'{"a":1}', key)
    assert verify_jwt(token, spki=key.spki, algorithm="ES384") == {"a": 1}
    assert refused(token, P384Key.generate().spki, "ES384") is Code.TOKEN_SIGNATURE
    # The caller's algorithm and its key do not fit.
    assert refused(token, P256Key.generate().spki, "ES384") is Code.TOKEN_SIGNATURE


def test_a_header_cannot_name_another_algorithm(key: P256Key) -> None:
    with pytest.raises(ValueError, match="algorithm"):
        sign_jwt({}, key=key, header={"alg": "none"})


def test_another_key_or_other_claims_are_refused(key: P256Key, token: str) -> None:
    assert refused(token, P256Key.generate().spki) is Code.TOKEN_SIGNATURE
    header, _, signature = token.split(".")
    other = b64encode(b'{"sub":"another"}')
    assert refused(f"{header}.{other}.{signature}", key.spki) is Code.TOKEN_SIGNATURE
    other = b64encode(b'{"alg":"ES256"}')
    assert refused(token.replace(header, other), key.spki) is Code.TOKEN_SIGNATURE


@pytest.mark.parametrize("name", ["none", "None", "NONE", "nOnE"])
@pytest.mark.parametrize("tail", ["", "AAAA", "real"])
def test_unsigned_tokens_are_refused_by_name(
    key: P256Key, token: str, name: str, tail: str
) -> None:
    _, claims, signature = token.split(".")
    header = b64encode(json.dumps({"alg": name}).encode())
    tail = signature if tail == "real" else tail
    assert refused(f"{header}.{claims}.{tail}", key.spki) is Code.EVIDENCE_UNSIGNED


@pytest.mark.parametrize(
    "name", ["HS256", "RS256", "ES384", "ES512", "es256", "EdDSA", "", "x" * 99]
)
def test_other_algorithms_are_refused(key: P256Key, name: str) -> None:
    token = signed(json.dumps({"alg": name}).encode(), b"{}", key)
    assert refused(token, key.spki) is Code.TOKEN_ALGORITHM


def test_a_token_does_not_choose_between_our_algorithms(key: P256Key, token: str) -> None:
    assert refused(token, key.spki, "ES384") is Code.TOKEN_ALGORITHM


@pytest.mark.parametrize(
    "header",
    [
        b"{}",
        b'{"alg":null}',
        b'{"alg":["ES256"]}',
        b'{"alg":"ES256","alg":"ES256"}',
        b'{"alg":"none","alg":"ES256"}',
        b'{"alg":"ES256","crit":["b64"],"b64":false}',
        b'{"alg":"ES256","crit":[]}',
        b'["ES256"]',
        b'"ES256"',
        b"",
        b"{",
        b'{"alg":"ES256"}{}',
        b'\xff{"alg":"ES256"}',
        b'{"alg":"ES256","x5c":"' + b"A" * (32 * 1024) + b'"}',
    ],
    ids=[
        "no-alg",
        "alg-null",
        "alg-list",
        "alg-twice",
        "alg-two-of-them",
        "crit",
        "crit-empty",
        "list",
        "string",
        "empty",
        "cut",
        "two-values",
        "not-utf8",
        "large",
    ],
)
def test_other_headers_are_refused(key: P256Key, header: bytes) -> None:
    assert refused(signed(header, b"{}", key), key.spki) is Code.TOKEN_MALFORMED


@pytest.mark.parametrize("claims", [b"", b"[]", b"1", b"{", b"\xff", b"[" * 40 + b"]" * 40])
def test_claims_that_are_no_object_are_refused(key: P256Key, claims: bytes) -> None:
    token = signed(b'{"alg":"ES256"}', claims, key)
    assert refused(token, key.spki) is Code.TOKEN_MALFORMED


def test_other_forms_are_refused(key: P256Key, token: str) -> None:
    header, claims, signature = token.split(".")
    for other in (
        "",
        "..",
        f"{header}.{claims}",
        f"{token}.",
        f"{token}.{signature}",
        f"{token}=",
        f" {token}",
        f"{token}\n",
        f"{header}=.{claims}.{signature}",
        f"{header}.{claims}.",
        f"{header}.{claims}.{signature[:-4]}",
        f"{header}.{claims}.{signature}AAAA",
        f"{header}.{claims}\u00e4.{signature}",
        f"{header}.{claims}\ud800.{signature}",
    ):
        assert refused(other, key.spki) is Code.TOKEN_MALFORMED


def test_a_signature_in_der_is_refused(key: P256Key, token: str) -> None:
    text = token.rpartition(".")[0]
    encoded = key.sign_der(text.encode(), digest="sha256")
    assert refused(f"{text}.{b64encode(encoded)}", key.spki) is Code.TOKEN_MALFORMED


def test_a_second_spelling_of_a_signature_is_refused(key: P256Key, token: str) -> None:
    # 64 bytes leave 2 unused bits in the last character: other bits there mean the same bytes.
    last = token[-1]
    alphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"
    other = token[:-1] + alphabet[alphabet.index(last) | 1]
    assert base64.urlsafe_b64decode(other.rpartition(".")[2] + "==")
    assert refused(other, key.spki) is Code.TOKEN_MALFORMED


def test_scalars_out_of_range_are_refused(key: P256Key, token: str) -> None:
    text, _, signature = token.rpartition(".")
    s = b64decode(signature, what="signature")[32:]
    for r in (0, P256_ORDER):
        other = b64encode(r.to_bytes(32, "big") + s)
        assert refused(f"{text}.{other}", key.spki) is Code.TOKEN_SIGNATURE


def test_a_large_token_is_refused_unparsed(key: P256Key) -> None:
    assert refused("." * TOKEN_BYTES_MAX, key.spki) is Code.TOKEN_MALFORMED
    assert refused("." * (TOKEN_BYTES_MAX + 1), key.spki) is Code.LIMIT_EXCEEDED


@given(st.text(max_size=200))
def test_any_text_raises_nothing_but_our_errors(key: P256Key, text: str) -> None:
    refused(text, key.spki)


def test_an_independent_library_verifies_our_signature(key: P256Key, token: str) -> None:
    from cryptography.hazmat.primitives import hashes, serialization
    from cryptography.hazmat.primitives.asymmetric import ec, utils

    text, _, signature = token.rpartition(".")
    raw = base64.urlsafe_b64decode(signature + "==")
    r, s = int.from_bytes(raw[:32], "big"), int.from_bytes(raw[32:], "big")
    theirs: Any = serialization.load_der_public_key(key.spki)
    encoded = utils.encode_dss_signature(r, s)
    theirs.verify(encoded, text.encode(), ec.ECDSA(hashes.SHA256()))


def test_the_example_of_rfc_7515_verifies() -> None:
    # RFC 7515 appendix A.3: ES256.
    from sealtune.crypto.ecdsa import p256_spki

    x = b64decode("f83OJ3D2xF1Bg8vub9tLe1gHMzV76e8Tus9uPHvRVEU", what="x")
    y = b64decode("x_FEzRu9m36HLN_tue659LNpXW6pCyStikYjKIWI5a0", what="y")
    token = (
        "eyJhbGciOiJFUzI1NiJ9"
        ".eyJpc3MiOiJqb2UiLA0KICJleHAiOjEzMDA4MTkzODAsDQogImh0dHA6Ly9leGFt"
        "cGxlLmNvbS9pc19yb290Ijp0cnVlfQ"
        ".DtEhU3ljbEg8L38VWAfUAqOyKAM6-Xx-F4GawxaepmXFCgfTjDxw5djxLa8IS"
        "lSApmWQxfKTUJqPP3-Kg6NU1Q"
    )
    claims = verify_jwt(token, spki=p256_spki(x + y), algorithm="ES256")
    assert claims == {"iss": "joe", "exp": 1300819380, "http://example.com/is_root": True}


def test_real_unsigned_results_of_a_local_verifier_are_refused(
    shared_dir: Path, key: P256Key
) -> None:
    text = (shared_dir / "vectors/nvidia/dstack/gpu_attestation_h100.json").read_text()
    tokens = [part for part in text.split('"') if part.startswith("eyJ")]
    assert tokens
    for token in tokens:
        assert refused(token, key.spki, "ES384") is Code.EVIDENCE_UNSIGNED


# -- key files -------------------------------------------------------------------------------------


def test_a_key_file_is_private_and_survives_a_round_trip(tmp_path: Path, key: P256Key) -> None:
    path = tmp_path / "token.key"
    save_token_key(path, key)
    assert path.stat().st_mode & 0o777 == 0o600
    assert load_token_key(path).spki == key.spki


@pytest.mark.parametrize("mode", [0o640, 0o604, 0o660])
def test_a_key_file_that_others_may_read_is_refused(
    tmp_path: Path, key: P256Key, mode: int
) -> None:
    path = tmp_path / "token.key"
    save_token_key(path, key)
    path.chmod(mode)
    with pytest.raises(ConfigError) as refusal:
        load_token_key(path)
    assert refusal.value.code is Code.KEY_PERMISSIONS


def test_other_key_files_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "token.key"
    with pytest.raises(StorageError):
        load_token_key(path)
    for data in (b"", b"\x30\x00", P384Key.generate().reveal()):
        path.write_bytes(data)
        path.chmod(0o600)
        with pytest.raises(SealtuneError) as refusal:
            load_token_key(path)
        assert refusal.value.code is Code.KEY_FILE_MALFORMED
    path.write_bytes(bytes(64 * 1024 + 1))
    with pytest.raises(SealtuneError):
        load_token_key(path)
