"""Looks for plaintext in what an untrusted host has seen.

A needle is one secret in one encoding. Bytes are fed in pieces of any size, so a secret that lies
across two reads of a socket is found as one that lies in a file. Finds raw bytes, hexadecimal,
base64 and base64url at every alignment (line breaks ignored) and UTF-16 and UTF-32 text. Does not
look into compressed or encrypted data.
"""

from __future__ import annotations

import base64
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from sealtune.core.limits import MIB

_PIECE_BYTES = 4 * MIB
_SECRET_BYTES_MIN = 12  # a shorter one turns up in random ciphertext by accident
_BLANKS = b" \t\r\n"


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """A secret found: its name, how it was encoded and where it was seen."""

    secret: str
    encoding: str
    where: str


@dataclass(frozen=True, slots=True, kw_only=True)
class _Needle:
    secret: str
    encoding: str
    content: bytes
    wrappable: bool  # may have line breaks inside


class CanarySearch:
    """Searches for a fixed set of secrets, given by name."""

    def __init__(self, secrets: Mapping[str, bytes]) -> None:
        """Take the secrets.

        Raises:
            ValueError: there is none, or one is so short that chance would find it.
        """
        if not secrets or min(map(len, secrets.values())) < _SECRET_BYTES_MIN:
            raise ValueError(f"a canary has at least {_SECRET_BYTES_MIN} bytes")
        self._needles = [
            needle for name, secret in secrets.items() for needle in _needles(name, secret)
        ]
        self._overlap = max(len(needle.content) for needle in self._needles) - 1

    def search_bytes(self, pieces: Iterable[bytes], *, where: str) -> list[Finding]:
        """Return each secret and encoding that occurs in the concatenated `pieces`, once."""
        found: dict[tuple[str, str], Finding] = {}
        plain_tail = joined_tail = b""
        for piece in _bundled(pieces):
            plain = plain_tail + piece
            joined = joined_tail + piece.translate(None, _BLANKS)
            for needle in self._needles:
                key = (needle.secret, needle.encoding)
                haystack = joined if needle.wrappable else plain
                if key not in found and needle.content in haystack:
                    found[key] = Finding(secret=key[0], encoding=key[1], where=where)
            plain_tail, joined_tail = plain[-self._overlap :], joined[-self._overlap :]
        return list(found.values())

    def search_file(self, path: Path) -> list[Finding]:
        """Return what the file's name or content gives away."""
        in_name = self.search_bytes([str(path).encode()], where=f"name of {path}")
        return in_name + self.search_bytes(_file_pieces(path), where=str(path))

    def search_folder(self, folder: Path) -> tuple[list[Finding], SearchedAmount]:
        """Return what all files under `folder` give away, and how much was searched."""
        findings: list[Finding] = []
        files = [path for path in sorted(folder.rglob("*")) if path.is_file()]
        for path in files:
            findings += self.search_file(path)
        searched = sum(path.stat().st_size for path in files)
        return findings, SearchedAmount(files=len(files), bytes=searched)


@dataclass(frozen=True, slots=True, kw_only=True)
class SearchedAmount:
    """How much a search looked at."""

    files: int
    bytes: int


def _needles(name: str, secret: bytes) -> Iterator[_Needle]:
    def needle(encoding: str, content: bytes, *, wrappable: bool = False) -> _Needle:
        return _Needle(secret=name, encoding=encoding, content=content, wrappable=wrappable)

    yield needle("raw", secret)
    yield needle("hex", secret.hex().encode(), wrappable=True)
    yield needle("HEX", secret.hex().upper().encode(), wrappable=True)
    for shift in range(3):
        content = _base64_inside(secret, shift)
        yield needle(f"base64+{shift}", content, wrappable=True)
        url_safe = content.replace(b"+", b"-").replace(b"/", b"_")
        if url_safe != content:
            yield needle(f"base64url+{shift}", url_safe, wrappable=True)
    if secret.isascii():
        text = secret.decode("ascii")
        for encoding in ("utf-16-le", "utf-16-be", "utf-32-le", "utf-32-be"):
            yield needle(encoding, text.encode(encoding))


def _base64_inside(secret: bytes, shift: int) -> bytes:
    """Return the base64 characters that depend on `secret` alone when `shift` bytes precede it."""
    encoded = base64.b64encode(bytes(shift) + secret)
    whole = (shift + len(secret)) * 8 // 6  # characters without a bit of what follows
    return encoded[-(-shift * 8 // 6) : whole]


def _file_pieces(path: Path) -> Iterator[bytes]:
    with path.open("rb") as file:
        while piece := file.read(_PIECE_BYTES):
            yield piece


def _bundled(pieces: Iterable[bytes]) -> Iterator[bytes]:
    # Many small reads of a socket are searched as few large pieces.
    waiting: list[bytes] = []
    size = 0
    for piece in pieces:
        waiting.append(piece)
        size += len(piece)
        if size >= _PIECE_BYTES:
            yield b"".join(waiting)
            waiting, size = [], 0
    if waiting:
        yield b"".join(waiting)
