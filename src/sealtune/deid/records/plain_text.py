"""Plain text: paragraphs are documents; what is between them stays byte for byte.

A paragraph longer than a shard is cut at the end of a line, of a sentence or of a word, and each
piece is worked on with what surrounds it, so that memory is bounded and an identifier at the cut is
still seen whole.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from sealtune.bundle.records import Place
from sealtune.core.limits import KIB
from sealtune.deid.records.decoding import Utf8Stream, decode_line
from sealtune.deid.records.shard import SHARD_BYTES, Format, Shard

CONTEXT_BYTES: Final = 4 * KIB  # 20x the longest identifier with its label
_BLANK: Final = re.compile(r"(\r?\n(?:[ \t]{0,100}\r?\n)+)")
_PARAGRAPH_ENDS: Final = (b"\n\n", b"\n\r\n")
_CUTS: Final = (b"\n", b". ", b" ")


@dataclass(frozen=True, slots=True)
class Paragraph:
    """A document of plain text: `text[start:end]` is it, what is around only helps to read it.

    `gap` are the empty lines that follow.
    """

    place: Place
    text: str
    start: int
    end: int
    gap: str


class TextCutter:
    """Cuts the text of `stream`, which is at `path`, into shards."""

    def __init__(self, stream: Utf8Stream, path: Path) -> None:
        self._stream = stream
        self._path = path
        self._buffer = bytearray()
        self._before = b""
        self.windows = 0  # cuts inside a paragraph

    def shards(self) -> Iterator[Shard]:
        """Yield shards of whole paragraphs, or of pieces of one that is too long."""
        index, number = 0, 1
        for chunk in self._stream.chunks():
            self._buffer += chunk
            while len(self._buffer) >= SHARD_BYTES + CONTEXT_BYTES:
                shard = self._cut(index, number)
                yield shard
                index, number = index + 1, number + shard.data.count(b"\n")
        if self._buffer:
            yield self._shard(index, number, bytes(self._buffer), after=b"")

    def _cut(self, index: int, number: int) -> Shard:
        end = max(self._buffer.rfind(mark, 0, SHARD_BYTES) + len(mark) for mark in _PARAGRAPH_ENDS)
        if end > len(_PARAGRAPH_ENDS[0]):  # not found is -1, and at the very beginning is no cut
            shard = self._shard(index, number, bytes(self._buffer[:end]), after=b"")
            self._before = b""
        else:
            end = self._inside()
            after = _whole(self._buffer[end : end + CONTEXT_BYTES])
            shard = self._shard(index, number, bytes(self._buffer[:end]), after=after)
            self._before = _whole(shard.data[-CONTEXT_BYTES:])
            self.windows += 1
        del self._buffer[:end]
        return shard

    def _inside(self) -> int:
        for mark in _CUTS:
            end = self._buffer.rfind(mark, SHARD_BYTES // 2, SHARD_BYTES)
            if end >= 0:
                return end + len(mark)
        end = SHARD_BYTES
        while self._buffer[end] & 0xC0 == 0x80 and end > SHARD_BYTES - 4:
            end -= 1
        return end

    def _shard(self, index: int, number: int, data: bytes, *, after: bytes) -> Shard:
        return Shard(
            index=index,
            path=self._path,
            format=Format.TEXT,
            number=number,
            data=data,
            before=self._before,
            after=after,
        )


def read_paragraphs(shard: Shard) -> tuple[str, list[Paragraph]]:
    """Return what precedes the first paragraph of a shard, and its paragraphs.

    Raises:
        FormatError: not UTF-8; names the line.
    """
    text = _decoded(shard)
    before, after = shard.before.decode(), shard.after.decode()
    pieces = _BLANK.split(text)
    lead = ""
    if not pieces[0]:
        lead, pieces, before = "".join(pieces[:2]), pieces[2:], ""
    number = shard.number + lead.count("\n")
    found: list[Paragraph] = []
    for at in range(0, len(pieces), 2):
        body, gap = pieces[at], pieces[at + 1] if at + 1 < len(pieces) else ""
        if not body:
            continue
        head = "" if at else before
        tail = "" if at + 1 < len(pieces) else after
        place = Place(shard.path, "line", number, 0)
        end = len(head) + len(body)
        found.append(Paragraph(place, head + body + tail, len(head), end, gap))
        number += body.count("\n") + gap.count("\n")
    return lead, found


def _decoded(shard: Shard) -> str:
    try:
        text = shard.data.decode()
        if "\0" not in text:
            return text
    except UnicodeDecodeError:
        pass
    # Only now line by line, to name the one that is broken.
    for number, line in enumerate(shard.data.split(b"\n"), start=shard.number):
        decode_line(line, where=f"{shard.path}:{number}")
    raise AssertionError("a line of what is broken is broken")


def _whole(data: bytes | bytearray) -> bytes:
    """Return `data` without the halves of characters at its ends."""
    return bytes(data).decode(errors="ignore").encode()
