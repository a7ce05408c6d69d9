"""Puts originals back in the place of surrogates, for the owner: it takes the vault and its key.

A surrogate that stands for several originals stays and is counted, and so does what the vault does
not hold (what was redacted or generalized is gone). A moved date may stand for several; in a record
that names its subject it is moved back by that one's days. Whole words only, the longest surrogate
first.
Looks for surrogates wherever they stand, so that records written since, such as a model's answers,
are put back, too; a word that looks like a surrogate by chance is then taken for one.
"""

from __future__ import annotations

import csv
import io
import json
import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO, Final

from sealtune.core.canonical import parse_foreign_json
from sealtune.core.digest import sha256_file
from sealtune.core.files import PRIVATE_MODE, atomic_writer, storage_errors
from sealtune.core.limits import MIB
from sealtune.deid.key import DeidKey
from sealtune.deid.records.leaves import Leaf, leaves
from sealtune.deid.records.source import require_file
from sealtune.deid.transforms.choice import Chooser
from sealtune.deid.transforms.moving import Moving
from sealtune.deid.vault import ORIGINALS_MAX, Vault, open_vault
from sealtune.errors import Code, FormatError, StorageError

LINE_BYTES_MAX: Final = 16 * MIB  # of a record, or of a line of text
_WORD: Final = re.compile(r"\w+")
_DELIMITERS: Final = {".csv": ",", ".tsv": "\t"}


@dataclass(slots=True)
class Restored:
    """What was done: surrogates replaced, those left as ambiguous, and records or lines read."""

    records: int = 0
    replaced: int = 0
    ambiguous: int = 0
    same_output: bool = False  # whether the input is the very file that the vault was made with


class Reidentifier:
    """Puts originals back into texts and values, and counts."""

    def __init__(self, vault: Vault, counts: Restored, key: DeidKey) -> None:
        self._originals = vault.entries.originals
        self._counts = counts
        self._moving = Moving(vault.configuration, Chooser(key))
        self._subject_field = vault.configuration.subject_field
        self._subject: str | None = None
        # The first word of a surrogate -> where the word stands in it and how long the surrogate
        # is, the longest first: few lengths share a word, however many surrogates there are.
        places: dict[str, set[tuple[int, int]]] = {}
        for surrogate in self._originals:
            word = _WORD.search(surrogate)
            if word:
                places.setdefault(word.group(), set()).add((len(surrogate), word.start()))
        self._places = {word: sorted(found, reverse=True) for word, found in places.items()}

    def record(self, record: Any) -> Any:
        """Return a record of JSON with originals put back at any depth."""
        named = (leaf for leaf in leaves(record) if self._is_subject(leaf))
        self._of_subject(next((leaf.text for leaf in named), None))
        return self.value(record)

    def row(self, cells: Sequence[str], names: Sequence[str]) -> list[str]:
        """Return the cells of a row, whose columns have these names, with originals put back."""
        named = (
            cell for name, cell in zip(names, cells, strict=False) if name == self._subject_field
        )
        self._of_subject(next(named, None))
        return [self.text(cell) for cell in cells]

    def _is_subject(self, leaf: Leaf) -> bool:
        return self._subject_field in (leaf.name, *leaf.path[:1])

    def _of_subject(self, written: str | None) -> None:
        """Take whose dates follow, by what stands for the subject in the record."""
        known = self._originals.get(written or "", [])
        # Dates move by the name in whatever case.
        one = len({original.strip().casefold() for original in known}) == 1
        self._subject = known[0] if one else None

    def text(self, text: str) -> str:
        """Return `text` with originals put back."""
        pieces: list[str] = []
        done = 0
        for word in _WORD.finditer(text):
            if word.start() < done:
                continue
            for length, before in self._places.get(word.group(), ()):
                start = word.start() - before
                found = text[start : start + length] if start >= done else ""
                if found in self._originals and _whole(text, start, start + length):
                    pieces += [text[done:start], self._original(found)]
                    done = start + length
                    break
        return "".join([*pieces, text[done:]]) if pieces else text

    def value(self, value: Any) -> Any:
        """Return a value of JSON with originals put back at any depth."""
        if isinstance(value, str):
            return self.text(value)
        if isinstance(value, list):
            return [self.value(item) for item in value]
        if isinstance(value, dict):
            return {self.text(name): self.value(item) for name, item in value.items()}
        if isinstance(value, int) and not isinstance(value, bool):
            made = self.text(str(value))
            if made == str(value):
                return value
            return int(made) if made == made.lstrip("0") and made.isdecimal() else made
        return value

    def _original(self, surrogate: str) -> str:
        known = self._originals[surrogate]
        original = known[0] if len(known) == 1 else None
        if original is None and self._subject is not None:
            moved = self._moving.shift_back(surrogate, self._subject)
            # A code may look like a date; of a date that many share not all originals are kept.
            original = moved if moved in known or len(known) >= ORIGINALS_MAX else None
        if original is None:
            self._counts.ambiguous += 1
            return surrogate
        self._counts.replaced += 1
        return original


def reidentify(input: Path, output: Path, *, vault: Path, key: DeidKey) -> Restored:
    """Write `input` to `output` (0600, whole or not) with originals put back from `vault`.

    JSON Lines (`.jsonl`, `.json`) and tables (`.csv`, `.tsv`) are read as such, anything else as
    lines of text in UTF-8. Memory is the vault's; the input streams.

    Raises:
        ConfigError: there is no vault, as where the profile did not allow one.
        VerificationError: the vault is under another key, or was changed.
        FormatError: a line is not what the file's name says, too long, or not UTF-8.
        StorageError: a file is missing, `output` exists, or the disk refuses.
    """
    if output.exists():
        remedy = "choose another name, or move the existing file away"
        raise StorageError(Code.FILE_EXISTS, f"{output} exists already", remedy=remedy)
    if input.suffix.lower() in {".parquet", ".arrow"}:
        message = f"{input}: originals are put back into JSON Lines, CSV and text alone"
        raise FormatError(Code.RECORDS_FORMAT, message, remedy="convert it to JSON Lines")
    opened = open_vault(vault, key=key)
    counts = Restored()
    require_file(input)
    with storage_errors(input):
        counts.same_output = sha256_file(input) == opened.dataset
    work = Reidentifier(opened, counts, key)
    with (
        storage_errors(input),
        input.open("rb") as source,
        atomic_writer(output, mode=PRIVATE_MODE) as target,
    ):
        _restore(source, target, work, _Place(input, counts))
    return counts


@dataclass(frozen=True, slots=True)
class _Place:
    """Where in which file an error is."""

    path: Path
    counts: Restored

    def error(self, message: str) -> FormatError:
        """Return the error for the line that was read last."""
        return FormatError(
            Code.RECORD_MALFORMED, f"{self.path}: line {self.counts.records}: {message}"
        )

    def decode(self, data: bytes) -> str:
        """Return the text of a line (FormatError: not UTF-8)."""
        try:
            return data.decode()
        except UnicodeDecodeError:
            raise self.error("not UTF-8") from None


def _restore(source: BinaryIO, target: BinaryIO, work: Reidentifier, place: _Place) -> None:
    suffix = place.path.suffix.lower()
    if suffix in _DELIMITERS:
        _table(source, target, work, place, _DELIMITERS[suffix])
        return
    line = _json_line if suffix in {".jsonl", ".json", ".ndjson"} else _text_line
    for data in _lines(source, place):
        target.write(line(data, work, place))


def _lines(source: BinaryIO, place: _Place) -> Iterator[bytes]:
    while data := source.readline(LINE_BYTES_MAX + 1):
        place.counts.records += 1
        if len(data) > LINE_BYTES_MAX:
            raise place.error(f"longer than {LINE_BYTES_MAX} bytes")
        yield data


def _text_line(data: bytes, work: Reidentifier, place: _Place) -> bytes:
    return work.text(place.decode(data)).encode()


def _json_line(data: bytes, work: Reidentifier, place: _Place) -> bytes:
    if not data.strip():
        return data
    what = f"{place.path}: line {place.counts.records}"
    value = parse_foreign_json(data, limit=LINE_BYTES_MAX, what=what)
    return json.dumps(work.record(value), ensure_ascii=False).encode("utf-8", "replace") + b"\n"


def _table(
    source: BinaryIO, target: BinaryIO, work: Reidentifier, place: _Place, delimiter: str
) -> None:
    buffer = io.StringIO(newline="")
    writer = csv.writer(buffer, delimiter=delimiter)
    decoded: Callable[[bytes], str] = place.decode
    try:
        names: list[str] | None = None
        for row in csv.reader(map(decoded, _lines(source, place)), delimiter=delimiter):
            names = row if names is None else names
            writer.writerow(work.row(row, names))
            target.write(buffer.getvalue().encode())
            buffer.seek(0)
            buffer.truncate()
    except csv.Error:
        raise place.error("no row of a table") from None


def _whole(text: str, start: int, end: int) -> bool:
    """Whether no word is cut at either end."""
    before = start > 0 and text[start - 1].isalnum() and text[start].isalnum()
    after = end < len(text) and text[end].isalnum() and text[end - 1].isalnum()
    return not before and not after
