"""Keeps a cache complete and current: for given evidence, or for what it holds."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator
from dataclasses import dataclass, field
from datetime import datetime

from sealtune.attestation.anchors import TrustAnchors
from sealtune.attestation.endorsements import Endorsements
from sealtune.attestation.evidence import Evidence
from sealtune.broker.endorsements.cache import EndorsementCache
from sealtune.broker.endorsements.items import Item
from sealtune.broker.endorsements.needs import Need, gaps_of, needs_of
from sealtune.broker.endorsements.sources import Sources
from sealtune.broker.endorsements.subjects import Subject
from sealtune.errors import SealtuneError

Note = Callable[[str], None]
_ROUNDS_MAX = 4  # a product that only AMD's service knows, then what follows from it


@dataclass(frozen=True, slots=True, kw_only=True)
class Refreshed:
    """What was fetched, and which due items could not be renewed but are valid still."""

    fetched: tuple[Item, ...]
    postponed: tuple[Postponed, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Postponed:
    """An item that is valid still and whose next one could not be fetched, and why."""

    item: Item
    reason: str


@dataclass(slots=True, kw_only=True)
class _Work:
    held: dict[Subject, Item]
    fetched: list[Item] = field(default_factory=list)
    postponed: list[Postponed] = field(default_factory=list)

    def done(self) -> Refreshed:
        return Refreshed(fetched=tuple(self.fetched), postponed=tuple(self.postponed))


class Refresher:
    """Fetches into one cache what is missing, stale or soon will be."""

    def __init__(
        self,
        cache: EndorsementCache,
        *,
        sources: Sources,
        anchors: TrustAnchors,
        now: Callable[[], datetime],
    ) -> None:
        self._cache = cache
        self._sources = sources
        self._anchors = anchors
        self._now = now

    def complete(self, evidence: Evidence, *, note: Note) -> Refreshed:
        """Fetch what `evidence` needs and the cache does not have, or has not for long.

        `note` is told what is being asked for. What was fetched before an error stays.

        Raises:
            FormatError, VerificationError: the evidence cannot be read, or asks for what no service
                has; or an answer is not what was asked for.
            TransportError: a service did not answer, and no valid item is held.
        """
        work = _Work(held=self._held())
        asked: set[Need] = set()
        for _ in range(_ROUNDS_MAX):
            held = work.held.values()
            needs = needs_of(evidence, held, anchors=self._anchors, now=self._now())
            due = [need for need in needs if need not in asked and self._due(need, work)]
            for need in due:
                asked.add(need)
                # An answer may have brought along what another need asks for.
                if self._due(need, work):
                    note(str(need))
                    self._renew(need, work)
            if not due:
                break
        return work.done()

    def renew(self, *, note: Note) -> Refreshed:
        """Fetch anew what the cache holds and is stale or soon will be; as `complete`."""
        work = _Work(held=self._held())
        for subject in tuple(work.held):
            need = Need(options=(subject,))
            if self._due(need, work):
                note(str(need))
                self._renew(need, work)
        return work.done()

    def _held(self) -> dict[Subject, Item]:
        return {item.subject: item for item in self._cache.read().items}

    def _due(self, need: Need, work: _Work) -> bool:
        now = self._now()
        return not any(
            item.window.holds(now) and not item.window.ends_soon(now)
            for item in _meeting(need, work.held.values())
        )

    def _renew(self, need: Need, work: _Work) -> None:
        try:
            items = self._sources.fetch(need, held=work.held.values())
        except SealtuneError as error:
            # Asked for early: what is held serves on, until its end and not longer.
            for item in _meeting(need, work.held.values()):
                if item.window.holds(self._now()):
                    work.postponed.append(Postponed(item=item, reason=error.message))
                    return
            raise
        new = [item for item in items if work.held.get(item.subject) != item]
        stored = self._cache.put(new, now=self._now())
        work.held.update({item.subject: item for item in stored.written})
        work.fetched.extend(stored.written)


def endorsements_for(
    evidence: Evidence, held: Collection[Item], *, anchors: TrustAnchors, now: datetime
) -> Endorsements:
    """Return exactly what `evidence` needs, all of it valid at `now`.

    Raises:
        FormatError: the evidence cannot be read.
        VerificationError: something is missing (`endorsement-missing`) or stale
            (`endorsement-stale`); the message says which and since when.
    """
    for gap in gaps_of(evidence, held, anchors=anchors, now=now):
        gap.require_closed(now)
    needs = needs_of(evidence, held, anchors=anchors, now=now)
    found = [
        item.endorsement
        for need in needs
        for item in _meeting(need, held)
        if item.window.holds(now)
    ]
    return Endorsements(items=tuple(dict.fromkeys(found)))


def _meeting(need: Need, held: Collection[Item]) -> Iterator[Item]:
    return (item for item in held if item.subject in need.options)
