"""The vault: which original each surrogate stands for, encrypted under the owner's key.

Written only where the configuration is reversible. A file is one line of JSON that says what it is,
then one encrypted stream, to which that line is bound: the configuration, then entries. Each shard
of a run seals its own part; the parts are merged once the run is done. Says to somebody without the
key how much is in it, and for which dataset, but nothing else. Whoever has the key can read all of
it: keep them apart.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

from sealtune.core.canonical import canonical_json, parse_json
from sealtune.core.digest import Digest, parse_digest
from sealtune.core.files import PRIVATE_MODE, atomic_writer, read_bounded
from sealtune.core.limits import GIB, KIB
from sealtune.crypto.secret import ContentKey
from sealtune.crypto.stream import StreamOpener, StreamSealer
from sealtune.deid.config import Action, Configuration
from sealtune.deid.key import DeidKey
from sealtune.deid.transforms.replaced import Change
from sealtune.errors import Code, ConfigError, FormatError, VerificationError

VAULT_ENTRIES_MAX: Final = 4_000_000  # about 1 GiB of memory while it is merged or read
VAULT_BYTES_MAX: Final = 1 * GIB
ORIGINALS_MAX: Final = 8  # of one surrogate: with two it is ambiguous already
_HEADER_BYTES_MAX: Final = 4 * KIB
_FORMAT: Final = "sealtune-deid-vault/2"
_SIGNS_MIN: Final = 3  # letters and digits: a shorter surrogate (an initial) is found everywhere
_REVERSIBLE: Final = frozenset({Action.SURROGATE, Action.TOKEN, Action.SHIFT})
_STEP_BYTES: Final = 64 * KIB


@dataclass(slots=True)
class Entries:
    """Originals by surrogate; `left_out` counts what had no room among an entry's originals."""

    originals: dict[str, list[str]] = field(default_factory=dict, repr=False)
    left_out: int = 0

    def see(self, changes: Iterable[Change]) -> None:
        """Note what `changes` replaced, where that can be told from the surrogate.

        Raises:
            FormatError: more surrogates than a vault may hold.
        """
        for change in changes:
            signs = sum(map(str.isalnum, change.replacement))
            if change.action not in _REVERSIBLE or signs < _SIGNS_MIN:
                continue
            if change.replacement.startswith("[") or change.replacement == change.original:
                continue
            self.add(change.replacement, change.original)

    def add(self, surrogate: str, original: str) -> None:
        """Note that `surrogate` stands for `original`."""
        known = self.originals.setdefault(surrogate, [])
        if original not in known:
            if len(known) < ORIGINALS_MAX:
                known.append(original)
            else:
                self.left_out += 1
        if len(self.originals) > VAULT_ENTRIES_MAX:
            message = f"vault: more than {VAULT_ENTRIES_MAX} different surrogates"
            remedy = "de-identify the input in several files, or with reversible = false"
            raise FormatError(Code.LIMIT_EXCEEDED, message, remedy=remedy)


@dataclass(frozen=True, slots=True)
class Vault:
    """An opened vault: the digest of the output it belongs to, how that was made, the entries."""

    dataset: Digest
    configuration: Configuration = field(repr=False)
    entries: Entries = field(repr=False)


def seal_part(entries: Entries, *, key: DeidKey, index: int) -> bytes:
    """Return the entries of the shard `index`, sealed for `merge_parts` of the same run."""
    sealer = StreamSealer(_part_key(key), context=_part_context(index))
    return b"".join(map(sealer.update, _lines(entries))) + sealer.finalize()


def merge_parts(parts: Iterable[bytes], *, key: DeidKey) -> Entries:
    """Return the entries of all `parts`, which are in the order of their shards from 0 on.

    Raises:
        VerificationError: a part was changed, moved, or sealed under another key.
        FormatError: together they are more than a vault may hold.
    """
    merged = Entries()
    for index, part in enumerate(parts):
        opener = StreamOpener(_part_key(key), context=_part_context(index))
        data = opener.update(part) + opener.finalize()
        _read_lines(data, merged, what=f"vault: part {index}")
    return merged


def write_vault(
    path: Path, entries: Entries, *, key: DeidKey, dataset: Digest, configuration: Configuration
) -> None:
    """Write the vault for the output whose file has the digest `dataset` (0600, whole or not).

    `configuration` is what it was made under.

    Raises:
        StorageError: it cannot be written.
    """
    header = canonical_json({"dataset": dataset, "format": _FORMAT, "key": key.id})
    with atomic_writer(path, mode=PRIVATE_MODE) as file:
        file.write(header + b"\n")
        sealer = StreamSealer(_vault_key(key), context=header)
        file.write(sealer.update(canonical_json(configuration.to_dict()) + b"\n"))
        for line in _lines(entries):
            file.write(sealer.update(line))
        file.write(sealer.finalize())


def open_vault(path: Path, *, key: DeidKey) -> Vault:
    """Return the vault at `path`.

    Raises:
        ConfigError: there is none, as where the profile did not allow one.
        VerificationError: it is under another key, or was changed.
        FormatError: it is no vault, or too large.
        StorageError: it cannot be read.
    """
    if not path.exists():
        message = f"{path}: no vault; a run writes one only if its configuration is reversible"
        remedy = "give the vault that `sealtune deidentify` wrote beside the output, if it did"
        raise ConfigError(Code.DEID_IRREVERSIBLE, message, remedy=remedy)
    data = read_bounded(path, limit=VAULT_BYTES_MAX, what="vault")
    header, mark, body = data.partition(b"\n")
    if not mark or len(header) > _HEADER_BYTES_MAX:
        raise _malformed(str(path))
    document = parse_json(header, limit=_HEADER_BYTES_MAX, what=str(path))
    dataset = _dataset(document, header, path)
    if document["key"] != key.id:
        message = f"{path}: under another key (its id is {document['key']}, not {key.id})"
        raise VerificationError(Code.STREAM_FORGED, message, remedy="give the key of that run")
    opener = StreamOpener(_vault_key(key), context=header)
    plaintext = opener.update(body) + opener.finalize()
    first, _, lines = plaintext.partition(b"\n")
    entries = Entries()
    _read_lines(lines, entries, what=str(path))
    return Vault(dataset, _configuration(first, path), entries)


def _dataset(document: Any, header: bytes, path: Path) -> Digest:
    if not isinstance(document, dict) or document.keys() != {"dataset", "format", "key"}:
        raise _malformed(str(path))
    if document["format"] != _FORMAT or canonical_json(document) != header:
        raise _malformed(str(path))
    if not isinstance(document["key"], str) or not document["key"].isalnum():
        raise _malformed(str(path))
    return parse_digest(document["dataset"])


def _configuration(data: bytes, path: Path) -> Configuration:
    try:
        return Configuration.model_validate_json(data)
    except ValueError:
        raise _malformed(str(path)) from None


def _lines(entries: Entries) -> Iterator[bytes]:
    """Yield the entries in pieces of many lines, sorted: where they stood tells nothing."""
    pieces: list[str] = []
    size = 0
    for surrogate in sorted(entries.originals):
        pieces.append(json.dumps([surrogate, *entries.originals[surrogate]]) + "\n")
        size += len(pieces[-1])
        if size >= _STEP_BYTES:
            yield "".join(pieces).encode()
            pieces, size = [], 0
    yield "".join(pieces).encode()


def _read_lines(data: bytes, entries: Entries, *, what: str) -> None:
    for line in data.splitlines():
        try:
            values = json.loads(line)
        except ValueError:
            raise _malformed(what) from None
        if not isinstance(values, list) or not all(isinstance(value, str) for value in values):
            raise _malformed(what)
        for original in values[1:]:
            entries.add(values[0], original)


def _vault_key(key: DeidKey) -> ContentKey:
    return key.subkey("vault")


def _part_key(key: DeidKey) -> ContentKey:
    return key.subkey("vault-part")


def _part_context(index: int) -> bytes:
    return b"sealtune/v1/deid/vault-part\0" + index.to_bytes(8, "big")


def _malformed(what: str) -> FormatError:
    message, remedy = f"{what}: not a vault", "give the file that `sealtune deidentify` wrote"
    return FormatError(Code.DEID_VAULT_MALFORMED, message, remedy=remedy)
