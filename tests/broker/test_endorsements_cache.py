"""The cache: whole or not there, valid or not served, and shared by processes that may die."""

from __future__ import annotations

import copy
import json
import multiprocessing
import multiprocessing.context
import os
import signal
import stat
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from broker.cache_writers import write_for_ever, write_once
from broker.mock_vendors import Workplace, bare, serve_amd, serve_intel, serve_nvidia
from broker.vendor_services import Says, VendorServices
from sealtune.attestation.anchors import Product
from sealtune.attestation.dcap_quote import Tee
from sealtune.attestation.snp_report import Signer
from sealtune.broker.endorsements.cache import EndorsementCache
from sealtune.broker.endorsements.items import Item, make_item
from sealtune.broker.endorsements.records import item_to_dict
from sealtune.broker.endorsements.refresh import endorsements_for
from sealtune.broker.endorsements.subjects import (
    Subject,
    amd_authorities,
    amd_key,
    intel_set,
    nvidia_rim,
    parse_subject,
)
from sealtune.broker.endorsements.window import Window
from sealtune.core.canonical import canonical_json
from sealtune.core.digest import sha256_digest
from sealtune.errors import (
    Code,
    FormatError,
    SealtuneError,
    StorageError,
    TransportError,
    VerificationError,
)
from sealtune.testing.clock import VirtualClock
from sealtune.testing.mock_amd import MockAmd, MockVek, encode_tcb
from sealtune.testing.mock_intel import MockIntel, MockPck, MockQuote
from sealtune.testing.mock_nvidia import MockNvidia

QUOTE = MockQuote()
DAY = timedelta(days=1)


@pytest.fixture(scope="module")
def intel(now: datetime) -> MockIntel:
    return MockIntel(now=now)


@pytest.fixture
def cache(tmp_path: Path) -> EndorsementCache:
    return EndorsementCache(tmp_path / "endorsements")


def intel_item(intel: MockIntel, now: datetime, *, fmspc: int = 0, **parts: Any) -> Item:
    pck = MockPck(fmspc=fmspc.to_bytes(6, "big"))
    return make_item(
        intel_set(Tee.TDX, fmspc=pck.fmspc, ca=pck.ca),
        intel.endorsement(MockQuote(pck=pck), **parts),
        source="https://pcs.example",
        fetched_at=now,
    )


def amd_items(mock: MockAmd, now: datetime) -> tuple[Item, ...]:
    vek = MockVek()
    key = amd_key(Product.GENOA, chip_id=vek.hwid, tcb=encode_tcb(vek.tcb))
    subjects = (key, *amd_authorities(Product.GENOA, Signer.VCEK))
    return tuple(
        make_item(subject, data, source="https://kds.example", fetched_at=now)
        for subject, data in zip(subjects, mock.chain(vek), strict=True)
    )


def only_file(cache: EndorsementCache) -> Path:
    (path,) = cache.folder.glob("*.json")
    return path


# -- what is served --------------------------------------------------------------------------------


def test_what_was_put_is_loaded(
    cache: EndorsementCache, intel: MockIntel, mock_amd: MockAmd, now: datetime
) -> None:
    items = (intel_item(intel, now), *amd_items(mock_amd, now))
    stored = cache.put(items, now=now)
    assert (stored.written, stored.kept) == (items, ())
    contents = EndorsementCache(cache.folder).read()
    assert set(contents.items) == set(items)
    assert contents.damaged == ()
    assert contents.find(items[0].subject) == items[0]
    assert contents.find(nvidia_rim("NV_X")) is None
    assert set(cache.load(now).items) == {item.endorsement for item in items}


def test_a_cache_that_is_not_there_holds_nothing(cache: EndorsementCache, now: datetime) -> None:
    assert cache.load(now).items == ()
    assert not cache.folder.exists()


def test_only_what_is_valid_is_served(
    cache: EndorsementCache, intel: MockIntel, now: datetime
) -> None:
    item = intel_item(intel, now)
    cache.put([item], now=now)
    for moment in (item.window.begins, item.window.ends):
        assert cache.load(moment).items == (item.endorsement,)
    second = timedelta(seconds=1)
    for moment in (item.window.begins - second, item.window.ends + second):
        assert cache.load(moment).items == ()


def test_files_are_their_owner_s(cache: EndorsementCache, intel: MockIntel, now: datetime) -> None:
    cache.put([intel_item(intel, now)], now=now)
    assert stat.S_IMODE(cache.folder.stat().st_mode) == 0o700


def test_what_another_process_wrote_is_seen_at_once(
    cache: EndorsementCache, intel: MockIntel, now: datetime
) -> None:
    other = EndorsementCache(cache.folder)
    for number in range(5):
        other.put([intel_item(intel, now, fmspc=number)], now=now)
        assert len(cache.read().items) == number + 1


def test_a_folder_that_has_not_changed_is_not_read_again(
    cache: EndorsementCache,
    intel: MockIntel,
    now: datetime,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    cache.put([intel_item(intel, now)], now=now)
    long_ago = time.time() - 60
    os.utime(cache.folder, (long_ago, long_ago))
    first = cache.read()
    assert cache.read() is first
    cache.put([intel_item(intel, now, fmspc=1)], now=now)
    assert len(cache.read().items) == 2


def test_two_writes_in_one_tick_of_the_clock_are_both_seen(
    cache: EndorsementCache, intel: MockIntel, now: datetime
) -> None:
    cache.put([intel_item(intel, now)], now=now)
    tick = cache.folder.stat().st_mtime_ns
    assert len(cache.read().items) == 1
    EndorsementCache(cache.folder).put([intel_item(intel, now, fmspc=1)], now=now)
    os.utime(cache.folder, ns=(tick, tick))
    assert len(cache.read().items) == 2


def test_a_folder_that_is_none_is_refused(tmp_path: Path, now: datetime) -> None:
    (tmp_path / "file").write_text("")
    cache = EndorsementCache(tmp_path / "file")
    with pytest.raises(StorageError):
        cache.load(now)
    with pytest.raises(StorageError):
        EndorsementCache(tmp_path / "file" / "below").load(now)


def test_an_item_that_is_not_valid_is_not_put_nor_are_those_beside_it(
    cache: EndorsementCache, intel: MockIntel, now: datetime
) -> None:
    good, stale = intel_item(intel, now), intel_item(intel, now, fmspc=1)
    later = stale.window.ends + timedelta(seconds=1)
    for moment in (later, stale.window.begins - timedelta(seconds=1)):
        with pytest.raises(VerificationError) as caught:
            cache.put([good, stale], now=moment)
        assert caught.value.code is Code.ENDORSEMENT_STALE
        assert not cache.folder.exists()


def test_a_newer_document_takes_the_older_one_s_place_and_never_the_reverse(
    cache: EndorsementCache, intel: MockIntel, now: datetime
) -> None:
    old = intel_item(intel, now)
    newer_crl = intel.crl("Intel SGX PCK Platform CA", since=now - timedelta(hours=1))
    new = intel_item(intel, now, pck_crl=newer_crl)
    assert new.subject == old.subject
    cache.put([old], now=now)
    assert cache.put([new], now=now).written == (new,)
    stored = cache.put([old], now=now)
    assert (stored.written, stored.kept) == ((), (old,))
    assert cache.read().items == (new,)


# -- damage ----------------------------------------------------------------------------------------


def rewrite(path: Path, change: Callable[[dict[str, Any]], object], *, checksum: bool) -> None:
    value = json.loads(path.read_bytes())
    change(value)
    if checksum:
        value["checksum"] = sha256_digest(canonical_json(value["item"]))
    path.write_bytes(canonical_json(value) + b"\n")


DAMAGE: dict[str, Callable[[Path], object]] = {
    "empty": lambda path: path.write_bytes(b""),
    "cut": lambda path: path.write_bytes(path.read_bytes()[:-40]),
    "zeros": lambda path: path.write_bytes(bytes(4096)),
    "huge": lambda path: path.write_bytes(b" " * (2 * 1024 * 1024)),
    "not-an-object": lambda path: path.write_bytes(b"[]"),
    "rotten-source": lambda path: rewrite(
        path, lambda v: v["item"].update(source="https://pcs.exbmple"), checksum=False
    ),
    "no-checksum": lambda path: rewrite(path, lambda v: v.pop("checksum"), checksum=False),
    "another-version": lambda path: rewrite(
        path, lambda v: v.update(format="sealtune-endorsement/2"), checksum=True
    ),
    "another-subject": lambda path: rewrite(
        path,
        lambda v: v["item"].update(subject="intel-set/TDX/000000000009/platform"),
        checksum=True,
    ),
    "another-end": lambda path: rewrite(
        path, lambda v: v["item"].update(ends="2030-01-01T00:00:00Z"), checksum=True
    ),
    "another-type": lambda path: rewrite(
        path, lambda v: v["item"].update(type="ocsp"), checksum=True
    ),
    "one-more-member": lambda path: rewrite(
        path, lambda v: v["item"].update(note=""), checksum=True
    ),
    "no-time": lambda path: rewrite(
        path, lambda v: v["item"].update(fetched="today"), checksum=True
    ),
    "no-base64": lambda path: rewrite(path, lambda v: v["item"].update(data="?"), checksum=True),
    "moved": lambda path: path.rename(path.with_name("intel-set-00.json")),
    "a-folder": lambda path: (path.unlink(), path.mkdir()),
}


@pytest.mark.parametrize("damage", DAMAGE.values(), ids=DAMAGE)
def test_a_damaged_file_is_reported_and_never_served(
    cache: EndorsementCache,
    intel: MockIntel,
    mock_amd: MockAmd,
    now: datetime,
    damage: Callable[[Path], object],
) -> None:
    item = intel_item(intel, now)
    cache.put([item], now=now)
    damage(only_file(cache))
    rest = amd_items(mock_amd, now)
    cache.put(rest, now=now)
    contents = cache.read()
    assert set(contents.items) == set(rest)
    (found,) = contents.damaged
    assert found.path.parent == cache.folder
    assert found.reason
    assert item.endorsement not in cache.load(now).items


def test_every_byte_counts(cache: EndorsementCache, intel: MockIntel, now: datetime) -> None:
    item = intel_item(intel, now)
    cache.put([item], now=now)
    path = only_file(cache)
    good = path.read_bytes()
    for place in range(0, len(good) - 1, 97):
        path.write_bytes(good[:place] + bytes([good[place] ^ 0x01]) + good[place + 1 :])
        contents = EndorsementCache(cache.folder).read()
        assert contents.items == ()
        assert len(contents.damaged) == 1


def test_a_damaged_file_is_replaced_by_the_next_fetch(
    cache: EndorsementCache, intel: MockIntel, now: datetime
) -> None:
    item = intel_item(intel, now)
    cache.put([item], now=now)
    only_file(cache).write_bytes(b"rotten")
    cache.put([item], now=now)
    assert cache.read().damaged == ()
    assert cache.read().items == (item,)


def test_other_files_are_left_alone(
    cache: EndorsementCache, intel: MockIntel, now: datetime
) -> None:
    cache.put([intel_item(intel, now)], now=now)
    (cache.folder / "README").write_text("mine")
    cache.put([intel_item(intel, now, fmspc=1)], now=now)
    contents = cache.read()
    assert len(contents.items) == 2
    assert contents.damaged == ()
    assert (cache.folder / "README").exists()


# -- bounds ----------------------------------------------------------------------------------------


def test_a_full_cache_lets_stale_items_go_first_and_then_the_oldest(
    tmp_path: Path, intel: MockIntel, now: datetime
) -> None:
    cache = EndorsementCache(tmp_path / "endorsements", items_max=3)
    short = intel.crl("Intel SGX PCK Platform CA", until=now + DAY)
    soon_stale = replace(intel_item(intel, now, fmspc=1, pck_crl=short), fetched_at=now + DAY)
    oldest, older = (
        replace(intel_item(intel, now, fmspc=2 + number), fetched_at=now - (2 - number) * DAY)
        for number in range(2)
    )
    cache.put([soon_stale, oldest, older], now=now)
    assert len(cache.read().items) == 3
    later = now + 2 * DAY
    first, second = (intel_item(intel, later, fmspc=4 + number) for number in range(2))
    cache.put([first], now=later)
    assert {item.subject for item in cache.read().items} == {
        oldest.subject,
        older.subject,
        first.subject,
    }
    cache.put([second], now=later)
    assert {item.subject for item in cache.read().items} == {
        older.subject,
        first.subject,
        second.subject,
    }


def test_bytes_are_bounded_too(tmp_path: Path, intel: MockIntel, now: datetime) -> None:
    one = intel_item(intel, now)
    size = len(one.endorsement.data)
    cache = EndorsementCache(tmp_path / "endorsements", bytes_max=2 * size + 200)
    for number in range(4):
        moment = now + number * timedelta(seconds=1)
        cache.put([intel_item(intel, moment, fmspc=number)], now=moment)
    assert [item.subject.parts[1][-1] for item in cache.read().items] == ["2", "3"]


def test_a_folder_that_somebody_else_filled_is_read_up_to_the_bounds(
    cache: EndorsementCache, intel: MockIntel, now: datetime
) -> None:
    items = [intel_item(intel, now, fmspc=number) for number in range(4)]
    cache.put(items, now=now)
    size = len(items[0].endorsement.data)
    for bounds in ({"items_max": 2}, {"bytes_max": 2 * size + 200}):
        contents = EndorsementCache(cache.folder, **bounds).read()
        assert len(contents.items) == 2
        (beyond,) = contents.damaged
        assert beyond.reason == "more than a cache holds"


# -- processes that write and die ------------------------------------------------------------------


@pytest.fixture(scope="module")
def processes() -> multiprocessing.context.ForkServerContext:
    """Starts processes that have none of this one's threads and need no second to load."""
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(["broker.cache_writers"])
    return context


def test_a_writer_that_is_killed_leaves_nothing_half(
    cache: EndorsementCache,
    intel: MockIntel,
    now: datetime,
    processes: multiprocessing.context.ForkServerContext,
) -> None:
    items = [intel_item(intel, now, fmspc=number) for number in range(3)]
    for attempt in range(12):
        cache.put(items, now=now)
        before = cache.folder.stat().st_mtime_ns
        writer = processes.Process(target=write_for_ever, args=(cache.folder, items, now))
        writer.start()
        deadline = time.monotonic() + 20
        while cache.folder.stat().st_mtime_ns == before and time.monotonic() < deadline:
            time.sleep(0.001)
        time.sleep(0.003 * attempt)
        assert writer.pid is not None
        os.kill(writer.pid, signal.SIGKILL)
        writer.join(20)
        contents = EndorsementCache(cache.folder).read()
        assert contents.damaged == ()
        assert set(contents.items) == set(items)
    # Its lock died with it, and what it left behind is cleared away.
    (cache.folder / ".intel-set-00.json.00.part").write_bytes(b"half")
    cache.put(items, now=now)
    assert not list(cache.folder.glob(".*.part"))
    assert set(cache.read().items) == set(items)


def test_writers_at_once_lose_nothing(
    cache: EndorsementCache,
    intel: MockIntel,
    now: datetime,
    processes: multiprocessing.context.ForkServerContext,
) -> None:
    groups = [
        [intel_item(intel, now, fmspc=4 * group + number) for number in range(4)]
        for group in range(4)
    ]
    writers = [
        processes.Process(target=write_once, args=(cache.folder, group, now)) for group in groups
    ]
    for writer in writers:
        writer.start()
    while any(writer.is_alive() for writer in writers):
        assert cache.read().damaged == ()
    for writer in writers:
        writer.join(20)
        assert writer.exitcode == 0
    assert set(cache.read().items) == {item for group in groups for item in group}


# -- what evidence finds in it ---------------------------------------------------------------------


def refusal(call: Callable[[], object]) -> SealtuneError:
    with pytest.raises(SealtuneError) as caught:
        call()
    return caught.value


def test_what_is_missing_is_named(intel: MockIntel, now: datetime) -> None:
    error = refusal(
        lambda: endorsements_for(intel.evidence(QUOTE), [], anchors=intel.anchors(), now=now)
    )
    assert error.code is Code.ENDORSEMENT_MISSING
    assert "Intel TDX set, FMSPC 00806f050000 (platform CA)" in error.message


def test_what_is_stale_is_named_with_the_time_since_when(intel: MockIntel, now: datetime) -> None:
    item = intel_item(intel, now, fmspc=int.from_bytes(QUOTE.pck.fmspc, "big"))
    evidence = intel.evidence(QUOTE)
    anchors = intel.anchors()
    assert endorsements_for(evidence, [item], anchors=anchors, now=now).items
    later = now + 40 * DAY
    error = refusal(lambda: endorsements_for(evidence, [item], anchors=anchors, now=later))
    assert error.code is Code.ENDORSEMENT_STALE
    assert "stale since 2026-12-21T11:59:59Z" in error.message
    assert "fetched 2026-11-23T12:00:00Z" in error.message
    before = now - 40 * DAY
    error = refusal(lambda: endorsements_for(evidence, [item], anchors=anchors, now=before))
    assert "not valid before 2026-11-21T12:00:00Z" in error.message


def test_amd_s_list_and_authorities_are_needed_as_the_key_is(
    mock_amd: MockAmd, now: datetime
) -> None:
    evidence = bare(mock_amd.evidence())
    items = amd_items(mock_amd, now)
    for held, missing in (
        (items[1:], "AMD VCEK, Genoa chip"),
        (items[:1], "AMD certificate SEV-Genoa"),
        (items[:2], "AMD certificate ARK-Genoa"),
        (items, "AMD revocation list of ARK-Genoa (VCEK)"),
    ):
        error = refusal(
            lambda held=held: endorsements_for(evidence, held, anchors=mock_amd.anchors(), now=now)
        )
        assert error.code is Code.ENDORSEMENT_MISSING
        assert missing in error.message


# -- renewing --------------------------------------------------------------------------------------


@pytest.fixture
def place(cache: EndorsementCache, intel: MockIntel, now: datetime) -> Iterator[Workplace]:
    with VendorServices() as services:
        serve_intel(services, intel, QUOTE, is_pccs=False)
        yield Workplace(
            cache=cache, services=services, clock=VirtualClock(now), anchors=intel.anchors()
        )


def advance(place: Workplace, days: float) -> None:
    place.clock.advance(days * 86_400)


def test_a_document_is_renewed_a_week_before_its_end(place: Workplace, intel: MockIntel) -> None:
    evidence = intel.evidence(QUOTE)
    refresher = place.refresher()
    noted: list[str] = []
    (first,) = refresher.complete(evidence, note=noted.append).fetched
    assert noted == ["Intel TDX set, FMSPC 00806f050000 (platform CA)"]
    advance(place, 20)
    assert refresher.complete(evidence, note=noted.append).fetched == ()
    advance(place, 1.5)
    again = copy.copy(intel)
    again._now = place.clock.now()
    serve_intel(place.services, again, QUOTE, is_pccs=False)
    (second,) = refresher.complete(evidence, note=noted.append).fetched
    assert second.window.ends > first.window.ends
    assert place.cache.read().items == (second,)


def test_what_cannot_be_renewed_yet_serves_until_its_end_and_not_longer(
    place: Workplace, intel: MockIntel
) -> None:
    evidence = intel.evidence(QUOTE)
    refresher = place.refresher()
    (item,) = refresher.complete(evidence, note=print).fetched
    place.services.routes.clear()
    advance(place, 25)
    done = refresher.complete(evidence, note=print)
    assert done.fetched == ()
    (postponed,) = done.postponed
    assert postponed.item == item
    assert "404" in postponed.reason
    advance(place, 3)
    assert refusal(lambda: refresher.complete(evidence, note=print)).code is Code.FETCH_FAILED
    assert place.cache.load(place.clock.now()).items == ()


def test_everything_held_is_renewed_without_evidence(
    place: Workplace, intel: MockIntel, mock_amd: MockAmd, now: datetime
) -> None:
    anchors = replace(intel.anchors(), roots={**intel.anchors().roots, **mock_amd.anchors().roots})
    place = replace(place, anchors=anchors)
    refresher = place.refresher()
    serve_amd(place.services, mock_amd, MockVek(), now=now)
    refresher.complete(bare(mock_amd.evidence()), note=print)
    refresher.complete(intel.evidence(QUOTE), note=print)
    asked = len(place.services.asked)
    assert refresher.renew(note=print).fetched == ()
    assert len(place.services.asked) == asked
    advance(place, 25)
    later = place.clock.now()
    serve_amd(place.services, mock_amd, MockVek(), now=later)
    noted: list[str] = []
    done = refresher.renew(note=noted.append)
    # The set and the list are due; certificates of years are not.
    assert [item.subject.kind for item in done.fetched] == ["amd-crl", "intel-set"]
    assert len(noted) == 2
    assert "/vcek/v1/Genoa/cert_chain" not in place.services.paths[asked:]


def test_a_status_of_a_day_is_renewed_after_three_quarters(
    cache: EndorsementCache, now: datetime
) -> None:
    nvidia = MockNvidia(now=now)
    with VendorServices() as services:
        serve_nvidia(services, nvidia)
        place = Workplace(
            cache=cache, services=services, clock=VirtualClock(now), anchors=nvidia.anchors
        )
        refresher = place.refresher()
        refresher.complete(nvidia.evidence(), note=print)
        asked = len(services.asked)
        advance(place, 16 / 24)
        refresher.renew(note=print)
        assert len(services.asked) == asked
        advance(place, 2 / 24)
        # The same answers again: newer they are not, so what is held stays what it is.
        assert len(refresher.renew(note=print).fetched) == 4
        assert len(services.asked) == asked + 4


def test_what_was_fetched_before_an_error_stays(
    place: Workplace, intel: MockIntel, now: datetime
) -> None:
    nvidia = MockNvidia(now=now)
    anchors = replace(intel.anchors(), roots={**intel.anchors().roots, **nvidia.anchors.roots})
    place = replace(place, anchors=anchors)
    evidence = replace(intel.evidence(QUOTE), devices=(nvidia.evidence(),))
    with pytest.raises(TransportError):
        place.refresher().complete(evidence, note=print)
    assert place.names() == ["intel-set/TDX/00806f050000/platform"]
    serve_nvidia(place.services, nvidia)
    asked = len(place.services.asked)
    place.refresher().complete(evidence, note=print)
    assert len(place.names()) == 7
    assert len(place.services.asked) == asked + 6


def test_a_service_that_asks_for_patience_is_said_to(place: Workplace, intel: MockIntel) -> None:
    path = "/tdx/certification/v4/tcb?fmspc=00806f050000"
    place.services.routes[path] = Says(status=429, headers={"Retry-After": "600"})
    error = refusal(lambda: place.refresher().complete(intel.evidence(QUOTE), note=print))
    assert error.code is Code.FETCH_THROTTLED
    assert "600 s" in error.message


# -- names and windows -----------------------------------------------------------------------------

NAMES = {
    "no-kind": "x",
    "unknown-kind": "amd/x",
    "no-name": "amd-crl/",
    "another-product": "amd-crl/Rome/VCEK",
    "another-signer": "amd-crl/Genoa/ASK",
    "chip-of-another-length": f"amd-key/Genoa/{'0' * 126}/{'0' * 16}",
    "upper-case": f"amd-key/Genoa/{'A' * 128}/{'0' * 16}",
    "path": "nvidia-rim/NV_../../x",
    "question": "nvidia-rim/NV_X?a=b",
    "newline": "nvidia-rim/NV_X\n",
    "another-authority": "amd-authority/ARK-Rome",
    "another-ca": "intel-set/TDX/00806f050000/root",
    "long": "nvidia-rim/NV_" + "X" * 400,
    "number": 1,
}


@pytest.mark.parametrize("text", NAMES.values(), ids=NAMES)
def test_a_name_of_another_form_is_refused(text: object) -> None:
    with pytest.raises(FormatError) as caught:
        parse_subject(text)
    assert caught.value.code is Code.ENDORSEMENT_MALFORMED


def test_a_name_reads_back(intel: MockIntel, mock_amd: MockAmd, now: datetime) -> None:
    for item in (intel_item(intel, now), *amd_items(mock_amd, now)):
        assert parse_subject(item.subject.text) == item.subject
        assert item_to_dict(item)["subject"] == item.subject.text


def test_a_kind_s_bytes_under_another_kind_s_name_are_refused(
    mock_amd: MockAmd, now: datetime
) -> None:
    key, middle, _root = amd_items(mock_amd, now)
    for subject in (
        Subject(middle.subject.kind, "ARK-Genoa"),
        Subject(middle.subject.kind, "SEV-VLEK-Genoa"),
        Subject(middle.subject.kind, "SEV-Milan"),
        key.subject,
    ):
        with pytest.raises(VerificationError) as caught:
            make_item(subject, middle.endorsement.data, source="", fetched_at=now)
        assert caught.value.code is Code.ENDORSEMENT_MISMATCH


def test_windows(now: datetime) -> None:
    month = Window(now, now + 28 * DAY)
    assert not month.ends_soon(now + 20 * DAY)
    assert month.ends_soon(now + 21 * DAY)
    day = Window(now, now + DAY)
    assert not day.ends_soon(now + 0.7 * DAY)
    assert day.ends_soon(now + 0.75 * DAY)
    assert month.within(day) == day
    never = day.within(Window(now + 2 * DAY, now + 3 * DAY))
    assert never.begins > never.ends
