"""What `sealtune endorsements` does with files: fetch for evidence, list, export, import."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from pathlib import Path

from sealtune.attestation.anchors import TrustAnchors
from sealtune.attestation.evidence import Evidence
from sealtune.attestation.forms.read import read_evidence
from sealtune.broker.endorsements.bundle import export_bundle, import_bundle
from sealtune.broker.endorsements.cache import EndorsementCache
from sealtune.broker.endorsements.fetch import Fetcher, Manners
from sealtune.broker.endorsements.items import Item
from sealtune.broker.endorsements.refresh import Refreshed, Refresher
from sealtune.broker.endorsements.sources import Services, Sources
from sealtune.core.clock import Clock
from sealtune.core.files import read_bounded, write_atomic
from sealtune.core.limits import FOREIGN_EVIDENCE_BYTES_MAX
from sealtune.crypto.signing import SigningKey, VerifyingKey
from sealtune.errors import Code, StorageError


class State(StrEnum):
    """What an endorsement is worth at a time."""

    VALID = "valid"
    DUE = "due"  # valid, and the next one should be fetched
    STALE = "stale"
    EARLY = "early"  # not valid yet


@dataclass(frozen=True, slots=True, kw_only=True)
class EndorsementRow:
    """One endorsement for people and scripts."""

    subject: str
    what: str
    state: State
    begins: datetime
    ends: datetime
    fetched: datetime
    source: str


@dataclass(frozen=True, slots=True, kw_only=True)
class EndorsementListing:
    """What a cache holds, and the files in it that are damaged, with the reason."""

    folder: Path
    at: datetime
    endorsements: tuple[EndorsementRow, ...]
    damaged: tuple[tuple[Path, str], ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class EndorsementsFetched:
    """What was fetched, and what was due, could not be renewed and is valid still, with reasons."""

    folder: Path
    fetched: tuple[EndorsementRow, ...]
    postponed: tuple[tuple[str, str], ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class EndorsementsExported:
    """What is in a bundle, and what of the cache is not because it was not valid."""

    file: Path
    created: datetime
    signing_key: VerifyingKey
    endorsements: tuple[EndorsementRow, ...]
    left_out: tuple[EndorsementRow, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class EndorsementsImported:
    """What a bundle brought, and what of it the cache had newer already."""

    folder: Path
    created: datetime
    signing_key: VerifyingKey
    written: tuple[EndorsementRow, ...]
    kept: tuple[EndorsementRow, ...]


def fetch_endorsements(
    evidence: Sequence[Path],
    *,
    folder: Path,
    services: Services,
    anchors: TrustAnchors,
    clock: Clock,
    authorities: Path | None,
    insecure_http: bool,
    note: Callable[[str], None],
) -> EndorsementsFetched:
    """Fetch what the evidence in files needs; without files, renew what the cache holds.

    `note` is told what is asked for. What was fetched before an error stays.

    Raises:
        StorageError: a file is missing, or the disk refuses.
        FormatError, VerificationError: evidence that cannot be read, or an answer of a service that
            is not what was asked for.
        TransportError: a service did not answer.
        ConfigError: an address that is not permitted.
    """
    fetcher = Fetcher(
        clock=clock, manners=Manners(), authorities=authorities, insecure_http=insecure_http
    )
    sources = Sources(fetcher, services=services, anchors=anchors, clock=clock)
    refresher = Refresher(EndorsementCache(folder), sources=sources, anchors=anchors, now=clock.now)
    # All files first: a mistyped name is found before anybody is asked for anything.
    pieces = [piece for path in evidence for piece in _read(path)]
    if evidence:
        done = [refresher.complete(piece, note=note) for piece in pieces]
    else:
        done = [refresher.renew(note=note)]
    return _fetched(done, folder=folder, now=clock.now())


def list_endorsements(folder: Path, *, at: datetime) -> EndorsementListing:
    """Return what the cache in `folder` holds and what it is worth at `at`.

    Raises:
        StorageError: the folder is missing or cannot be read.
    """
    contents = _existing(folder).read()
    return EndorsementListing(
        folder=folder,
        at=at,
        endorsements=_rows(contents.items, at),
        damaged=tuple((damaged.path, damaged.reason) for damaged in contents.damaged),
    )


def export_endorsements(
    folder: Path, *, key: SigningKey, output: Path, now: datetime
) -> EndorsementsExported:
    """Write what the cache in `folder` holds and is valid at `now` to a bundle, signed with `key`.

    Raises:
        StorageError: the folder is missing, `output` exists, or the disk refuses.
        VerificationError: nothing is valid.
        FormatError: more than a bundle holds.
    """
    if output.exists():
        raise StorageError(
            Code.FILE_EXISTS,
            f"{output} exists already",
            remedy="choose another name; what is exported may be on its way to a broker already",
        )
    items = _existing(folder).read().items
    valid = [item for item in items if item.window.holds(now)]
    write_atomic(output, export_bundle(valid, key=key, now=now))
    return EndorsementsExported(
        file=output,
        created=now,
        signing_key=key.public,
        endorsements=_rows(valid, now),
        left_out=_rows([item for item in items if item not in valid], now),
    )


def import_endorsements(
    path: Path, *, folder: Path, trusted_key: VerifyingKey, now: datetime
) -> EndorsementsImported:
    """Put the bundle at `path`, signed with `trusted_key`, into the cache in `folder`.

    Raises:
        StorageError: the file is missing, or the disk refuses.
        FormatError, VerificationError: no bundle, of another key, or something in it that is stale
            or not what it is called; then nothing is taken.
    """
    bundle, stored = import_bundle(
        path, cache=EndorsementCache(folder), trusted_key=trusted_key, now=now
    )
    return EndorsementsImported(
        folder=folder,
        created=bundle.created_at,
        signing_key=bundle.signer,
        written=_rows(stored.written, now),
        kept=_rows(stored.kept, now),
    )


def _read(path: Path) -> tuple[Evidence, ...]:
    data = read_bounded(path, limit=FOREIGN_EVIDENCE_BYTES_MAX, what="evidence")
    return read_evidence(data, kind=None, what=str(path))


def _existing(folder: Path) -> EndorsementCache:
    # A mistyped folder is no empty cache.
    if not folder.is_dir():
        raise StorageError(Code.FILE_MISSING, f"{folder}: no such folder")
    return EndorsementCache(folder)


def _fetched(done: Sequence[Refreshed], *, folder: Path, now: datetime) -> EndorsementsFetched:
    return EndorsementsFetched(
        folder=folder,
        fetched=_rows([item for part in done for item in part.fetched], now),
        postponed=tuple(
            (str(postponed.item.subject), postponed.reason)
            for part in done
            for postponed in part.postponed
        ),
    )


def _rows(items: Sequence[Item], at: datetime) -> tuple[EndorsementRow, ...]:
    return tuple(
        EndorsementRow(
            subject=item.subject.text,
            what=str(item.subject),
            state=_state(item, at),
            begins=item.window.begins,
            ends=item.window.ends,
            fetched=item.fetched_at,
            source=item.source,
        )
        for item in items
    )


def _state(item: Item, at: datetime) -> State:
    if at > item.window.ends:
        return State.STALE
    if at < item.window.begins:
        return State.EARLY
    return State.DUE if item.window.ends_soon(at) else State.VALID
