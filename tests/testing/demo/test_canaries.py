"""The search finds what it must: one that cannot find proves nothing by finding nothing."""

from __future__ import annotations

import base64
import os
from pathlib import Path

import pytest

from sealtune.testing.demo.canaries import CanarySearch
from sealtune.testing.notes import make_canary

BINARY = bytes.fromhex("fbefbeff00ff10fbefbe3ffff0a5c3e1")


def _encodings(secret: bytes) -> dict[str, bytes]:
    found = {
        "raw": secret,
        "hex": secret.hex().encode(),
        "HEX": secret.hex().upper().encode(),
        "escaped in JSON": b'{"text":"' + secret + b'"}',
        "MIME": base64.encodebytes(os.urandom(40) + secret + os.urandom(40)),
        "hex in lines": "\n".join(secret.hex()[i : i + 8] for i in range(0, 200, 8)).encode(),
    }
    for before in range(3):
        for after in range(3):
            wrapped = os.urandom(before) + secret + os.urandom(after)
            found[f"base64 {before} {after}"] = base64.b64encode(wrapped)
            found[f"base64url {before} {after}"] = base64.urlsafe_b64encode(wrapped)
    if secret.isascii():
        text = secret.decode()
        for name in ("utf-16", "utf-16-le", "utf-16-be", "utf-32-le", "utf-32-be"):
            found[name] = text.encode(name)
    return found


def _cases() -> list[tuple[str, bytes, bytes]]:
    secrets = {"digits": make_canary().encode(), "binary": BINARY}
    return [
        (f"{kind}: {name}", secret, content)
        for kind, secret in secrets.items()
        for name, content in _encodings(secret).items()
    ]


CASES = {name: (secret, planted) for name, secret, planted in _cases()}


# By name: the contents are random, and every process of a parallel run must see the same tests.
@pytest.mark.parametrize("name", CASES)
def test_a_planted_canary_is_found_in_every_encoding(name: str) -> None:
    secret, planted = CASES[name]
    search = CanarySearch({"it": secret})
    noise = os.urandom(10_000)
    found = search.search_bytes([noise + b"|" + planted + b"|" + noise], where="test")
    assert {finding.secret for finding in found} == {"it"}
    assert search.search_bytes([noise + noise], where="test") == []


@pytest.mark.parametrize("size", [1, 7, 1000])
def test_a_canary_split_across_reads_is_found(monkeypatch: pytest.MonkeyPatch, size: int) -> None:
    # As small pieces as the reads, so that every border is crossed.
    monkeypatch.setattr("sealtune.testing.demo.canaries._PIECE_BYTES", size)
    secret = make_canary().encode()
    for planted in (secret, base64.encodebytes(b"x" * 60 + secret), secret.hex().encode()):
        stream = os.urandom(500) + planted + os.urandom(500)
        pieces = [stream[i : i + size] for i in range(0, len(stream), size)]
        assert CanarySearch({"it": secret}).search_bytes(pieces, where="wire")


def test_a_folder_is_searched_to_the_last_file_and_its_names(tmp_path: Path) -> None:
    first, second, third = (make_canary() for _ in range(3))
    (tmp_path / "deep" / "deeper").mkdir(parents=True)
    (tmp_path / "deep" / "deeper" / ".hidden").write_text(f"x{first}")
    (tmp_path / f"log-{second}").touch()
    (tmp_path / "sealed").write_bytes(os.urandom(1000))
    secrets = {"first": first.encode(), "second": second.encode(), "third": third.encode()}
    found, amount = CanarySearch(secrets).search_folder(tmp_path)
    assert {finding.secret for finding in found} == {"first", "second"}
    assert amount.files == 3
    assert amount.bytes == 1031


def test_a_search_for_nothing_or_for_chance_finds_is_refused() -> None:
    for secrets in ({}, {"short": b"12345678901"}):
        with pytest.raises(ValueError, match="canary"):
            CanarySearch(secrets)
