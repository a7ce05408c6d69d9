"""Event logs: read within bounds, replayed to registers, and compared with what was signed."""

from __future__ import annotations

import hashlib
import json
import struct
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sealtune.attestation.event_log import (
    EV_NO_ACTION,
    EVENTS_MAX,
    Bank,
    event_log_from_json,
    parse_event_log,
    read_event_log,
    replay,
    require_rtmrs,
)
from sealtune.errors import Code, SealtuneError

SHA256, SHA384 = 0x0B, 0x0C
SIZES = {0x04: 20, SHA256: 32, SHA384: 48, 0x0D: 64, 0x12: 32}
RUNTIME = 0x08000001


def header(
    algorithms: dict[int, int] | None = None, *, kind: int = EV_NO_ACTION, name: bytes = b""
) -> bytes:
    listed = {SHA384: 48} if algorithms is None else algorithms
    spec = (name or b"Spec ID Event03\0") + bytes(8) + struct.pack("<I", len(listed))
    spec += b"".join(struct.pack("<HH", *item) for item in listed.items()) + b"\0"
    return struct.pack("<II20sI", 0, kind, bytes(20), len(spec)) + spec


def event(
    register: int, digests: dict[int, bytes], *, kind: int = 1, data: bytes = b"", size: int = -1
) -> bytes:
    listed = b"".join(struct.pack("<H", number) + digest for number, digest in digests.items())
    length = len(data) if size < 0 else size
    front = struct.pack("<III", register, kind, len(digests))
    return front + listed + struct.pack("<I", length) + data


def sha384(*parts: bytes) -> bytes:
    return hashlib.sha384(b"".join(parts)).digest()


FIRST, SECOND = sha384(b"first"), sha384(b"second")
LOG = header() + event(1, {SHA384: FIRST}, data=b"a") + event(1, {SHA384: SECOND}, data=b"bc")
RTMR0 = sha384(sha384(bytes(48), FIRST), SECOND)
RTMRS = (RTMR0, bytes(48), bytes(48), b"\1" * 48)


def code_of(data: bytes) -> Code:
    with pytest.raises(SealtuneError) as refusal:
        require_rtmrs(read_event_log(data), RTMRS)
    return refusal.value.code


# -- replay ----------------------------------------------------------------------------------------


def test_a_log_replays_to_its_registers() -> None:
    log = parse_event_log(LOG)
    assert [(found.register, found.data) for found in log.events] == [(1, b"a"), (1, b"bc")]
    assert replay(log, bank=Bank.SHA384) == {1: RTMR0}
    assert require_rtmrs(log, RTMRS) == (0,)


def test_each_bank_is_replayed_by_itself() -> None:
    digests = {number: bytes((number,)) * size for number, size in SIZES.items()}
    log = parse_event_log(header(SIZES) + event(7, digests))
    assert log.banks == (Bank.SHA1, Bank.SHA256, Bank.SHA384, Bank.SHA512)
    for number, bank in ((0x04, "sha1"), (SHA256, "sha256"), (SHA384, "sha384"), (0x0D, "sha512")):
        size = SIZES[number]
        expected = hashlib.new(bank, bytes(size) + digests[number]).digest()
        assert replay(log, bank=Bank(bank)) == {7: expected}


def test_a_bank_that_the_log_does_not_have() -> None:
    with pytest.raises(SealtuneError) as refusal:
        replay(parse_event_log(LOG), bank=Bank.SHA256)
    assert refusal.value.code is Code.EVENT_LOG_MALFORMED


@pytest.mark.parametrize("padding", [b"", bytes(100), b"\xff" * 100], ids=["none", "0", "1"])
def test_what_firmware_reserves_and_does_not_use_is_passed_over(padding: bytes) -> None:
    assert require_rtmrs(parse_event_log(LOG + padding), RTMRS) == (0,)


def test_an_event_that_ends_like_the_padding_is_read_whole() -> None:
    for octet in (b"\0", b"\xff"):
        data = LOG + event(2, {SHA384: octet * 48}, data=octet * 9) + octet * 50
        log = parse_event_log(data)
        assert log.events[-1].data == octet * 9
        assert replay(log, bank=Bank.SHA384)[2] == sha384(bytes(48), octet * 48)


def test_an_event_without_action_extends_nothing() -> None:
    quiet = event(1, {SHA384: b"\7" * 48}, kind=EV_NO_ACTION, data=b"hello")
    assert replay(parse_event_log(header() + quiet), bank=Bank.SHA384) == {}
    assert require_rtmrs(parse_event_log(LOG + quiet), RTMRS) == (0,)
    # Its register may be one that does not exist.
    nowhere = event(0xFFFFFFFF, {SHA384: bytes(48)}, kind=EV_NO_ACTION, data=b"x")
    assert require_rtmrs(parse_event_log(LOG + nowhere), RTMRS) == (0,)


@pytest.mark.parametrize("locality", [0, 3, 4])
def test_pcr_0_begins_with_the_locality_that_the_log_tells(locality: int) -> None:
    told = event(
        0,
        {SHA256: bytes(32)},
        kind=EV_NO_ACTION,
        data=b"StartupLocality\0" + bytes((locality,)),
    )
    log = header({SHA256: 32}) + told + event(0, {SHA256: b"\5" * 32})
    start = bytes(31) + bytes((locality,))
    expected = hashlib.sha256(start + b"\5" * 32).digest()
    assert replay(parse_event_log(log), bank=Bank.SHA256) == {0: expected}


@pytest.mark.parametrize("data", [b"\5", b"", b"\0\0"], ids=["5", "none", "two-bytes"])
def test_an_impossible_locality(data: bytes) -> None:
    told = event(0, {SHA384: bytes(48)}, kind=EV_NO_ACTION, data=b"StartupLocality\0" + data)
    with pytest.raises(SealtuneError) as refusal:
        replay(parse_event_log(header() + told), bank=Bank.SHA384)
    assert refusal.value.code is Code.EVENT_LOG_MALFORMED


def test_a_locality_after_pcr_0_was_extended() -> None:
    told = event(0, {SHA384: bytes(48)}, kind=EV_NO_ACTION, data=b"StartupLocality\0\3")
    late = header() + event(0, {SHA384: FIRST}) + told
    with pytest.raises(SealtuneError) as refusal:
        replay(parse_event_log(late), bank=Bank.SHA384)
    assert refusal.value.code is Code.EVENT_LOG_MALFORMED


def test_registers_of_a_dynamic_launch_begin_at_ones() -> None:
    log = parse_event_log(header() + event(17, {SHA384: FIRST}) + event(23, {SHA384: FIRST}))
    registers = replay(log, bank=Bank.SHA384)
    assert registers == {17: sha384(b"\xff" * 48, FIRST), 23: sha384(bytes(48), FIRST)}


# -- what is not the signed boot -------------------------------------------------------------------


@pytest.mark.parametrize(
    "data",
    [
        header() + event(1, {SHA384: SECOND}) + event(1, {SHA384: FIRST}),
        header() + event(1, {SHA384: FIRST}),
        LOG + event(1, {SHA384: FIRST}),
        LOG + event(2, {SHA384: FIRST}),
        header() + event(2, {SHA384: FIRST}) + event(2, {SHA384: SECOND}),
        header() + event(1, {SHA384: FIRST}, kind=EV_NO_ACTION) + event(1, {SHA384: SECOND}),
        header() + event(4, {SHA384: FIRST}),
    ],
    ids=["swapped", "dropped", "added", "another-register", "moved", "no-action", "unexplained"],
)
def test_another_log_than_the_signed_one(data: bytes) -> None:
    assert code_of(data) is Code.EVENT_LOG_MISMATCH


def test_the_refusal_names_the_registers() -> None:
    with pytest.raises(SealtuneError, match="RTMR1, RTMR3"):
        changed = LOG + event(2, {SHA384: FIRST}) + event(4, {SHA384: FIRST})
        require_rtmrs(parse_event_log(changed), RTMRS)


@pytest.mark.parametrize("register", [0, 5, 23])
def test_a_register_that_is_no_rtmr(register: int) -> None:
    assert code_of(LOG + event(register, {SHA384: FIRST})) is Code.EVENT_LOG_MALFORMED


# -- hostile form ----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "data",
    [
        b"",
        bytes(64),
        header()[:40],
        header(kind=1),
        header(name=b"Spec ID Event02\0"),
        header({}),
        header(dict.fromkeys(range(32, 41), 32)),
        header({SHA384: 32}),
        header({0x20: 0}),
        header({0x20: 65}),
        LOG + event(1, {}),
        LOG + event(1, {SHA256: bytes(32)}),
        LOG + event(1, {SHA384: FIRST, SHA256: bytes(32)}),
        LOG + event(24, {SHA384: FIRST}),
        LOG + event(1, {SHA384: FIRST[:47]}),
        LOG + event(1, {SHA384: FIRST}, size=2**31),
        LOG + event(1, {SHA384: FIRST}, size=2**32 - 1),
        LOG + event(1, {SHA384: FIRST}, data=b"abc", size=4),
        LOG[:-1],
        LOG + b"\1",
        LOG + bytes(60) + b"\1",
    ],
    ids=[
        "empty",
        "zeros",
        "cut-header",
        "header-of-another-type",
        "older-form",
        "no-algorithm",
        "too-many-algorithms",
        "digest-of-wrong-length",
        "digest-of-no-length",
        "digest-too-long",
        "event-without-digest",
        "event-of-another-algorithm",
        "event-with-one-more",
        "register-24",
        "short-digest",
        "2-gib",
        "4-gib",
        "a-byte-missing",
        "cut-event",
        "a-byte-too-many",
        "a-byte-in-the-padding",
    ],
)
def test_a_malformed_log(data: bytes) -> None:
    with pytest.raises(SealtuneError) as refusal:
        parse_event_log(data)
    assert refusal.value.code is Code.EVENT_LOG_MALFORMED


def test_the_most_events_that_are_read() -> None:
    one = event(1, {0x04: bytes(19) + b"1"}, data=b"1")
    data = header({0x04: 20}) + one * EVENTS_MAX
    assert len(parse_event_log(data).events) == EVENTS_MAX
    with pytest.raises(SealtuneError, match="more than 4096 events"):
        parse_event_log(data + one)


def test_an_algorithm_twice() -> None:
    spec = b"Spec ID Event03\0" + bytes(8) + struct.pack("<IHHHHB", 2, SHA384, 48, SHA384, 48, 0)
    data = struct.pack("<II20sI", 0, EV_NO_ACTION, bytes(20), len(spec)) + spec
    assert code_of(data) is Code.EVENT_LOG_MALFORMED
    two = header({SHA384: 48, SHA256: 32})
    listed = struct.pack("<H", SHA384) + FIRST
    doubled = struct.pack("<III", 1, 1, 2) + listed + listed + struct.pack("<I", 0)
    assert code_of(two + doubled) is Code.EVENT_LOG_MALFORMED


def test_a_log_beyond_its_bound() -> None:
    for data in (LOG + bytes(256 * 1024), b"[" + b" " * 256 * 1024 + b"]"):
        assert code_of(data) is Code.LIMIT_EXCEEDED


@given(st.binary(max_size=300))
def test_a_log_of_any_bytes_raises_only_our_errors(tail: bytes) -> None:
    for data in (tail, LOG + tail, b"[" + tail):
        try:
            require_rtmrs(read_event_log(data), RTMRS)
        except SealtuneError:
            continue


# -- dstack's form ---------------------------------------------------------------------------------


def item(**changes: Any) -> dict[str, Any]:
    fields = {"imr": 0, "event_type": 1, "digest": FIRST.hex(), "event": "", "event_payload": ""}
    return {**fields, **changes}


def written(*items: Any) -> bytes:
    return json.dumps([*items]).encode()


def test_dstacks_list_is_read() -> None:
    log = event_log_from_json(written(item(), item(digest=SECOND.hex())))
    assert require_rtmrs(log, RTMRS) == (0,)
    assert read_event_log(b" \n" + written(item(), item(digest=SECOND.hex()))) == log


def test_a_runtime_event_is_the_digest_of_its_name_and_payload() -> None:
    payload, name = b"\xab\xcd", "compose-hash"
    digest = sha384(struct.pack("<I", RUNTIME), b":", name.encode(), b":", payload)
    expected = (bytes(48), bytes(48), bytes(48), sha384(bytes(48), digest))
    given_ = {"imr": 3, "event_type": RUNTIME, "event": name, "event_payload": payload.hex()}
    for text in (digest.hex(), ""):
        log = event_log_from_json(written(item(**given_, digest=text)))
        assert require_rtmrs(log, expected) == (3,)
    for changes in ({"event": "compose-hasp"}, {"event_payload": "abce"}):
        with pytest.raises(SealtuneError) as refusal:
            event_log_from_json(written(item(**{**given_, **changes}, digest=digest.hex())))
        assert refusal.value.code is Code.EVENT_LOG_MISMATCH


@pytest.mark.parametrize(
    "data",
    [
        b"[",
        b"{}",
        b'{"imr": 0}',
        written(1),
        written(item(imr=4)),
        written(item(imr=-1)),
        written(item(imr=True)),
        written(item(imr="0")),
        written(item(event_type=2**32)),
        written(item(digest="")),
        written(item(digest=FIRST.hex()[:-2])),
        written(item(digest="zz")),
        written(item(digest=None)),
        written(item(event=None)),
        written(item(event="n" * 1025)),
        written(item(event_payload=7)),
        written(item(event_type=RUNTIME, digest="", event="\ud800")),
        written(*[item()] * 2000),
    ],
    ids=[
        "cut",
        "an-empty-object",
        "an-object",
        "a-number",
        "imr-4",
        "imr-negative",
        "imr-boolean",
        "imr-text",
        "type-too-large",
        "no-digest",
        "short-digest",
        "no-hexadecimal",
        "no-text",
        "no-name",
        "long-name",
        "payload-number",
        "half-a-character",
        "too-large",
    ],
)
def test_a_malformed_list(data: bytes) -> None:
    with pytest.raises(SealtuneError) as refusal:
        event_log_from_json(data)
    assert refusal.value.code in (
        Code.EVENT_LOG_MALFORMED,
        Code.JSON_MALFORMED,
        Code.LIMIT_EXCEEDED,
    )


# -- real logs -------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def folder(shared_dir: Path) -> Path:
    return shared_dir / "vectors"


def rtmrs_of(quote: bytes) -> tuple[bytes, ...]:
    return tuple(quote[376 + 48 * index : 424 + 48 * index] for index in range(4))


def test_googles_log_replays_to_the_signed_registers(folder: Path) -> None:
    log = parse_event_log((folder / "tdx/gtg-ccel/ccel_data.dat").read_bytes())
    quote = (folder / "tdx/gtg-ccel/cos-113-tdx-quote.dat").read_bytes()
    assert len(log.events) == 43
    assert require_rtmrs(log, rtmrs_of(quote)) == (0, 1, 2)


def test_a_log_of_another_boot_is_refused_for_its_register(folder: Path) -> None:
    log = parse_event_log((folder / "tdx/ars-live/tdx_ccel_live.bin").read_bytes())
    quote = (folder / "tdx/ars-live/tdx_quote_live.dat").read_bytes()
    with pytest.raises(SealtuneError, match=r"other values of RTMR2\Z") as refusal:
        require_rtmrs(log, rtmrs_of(quote))
    assert refusal.value.code is Code.EVENT_LOG_MISMATCH


@pytest.mark.parametrize("name", ["quote-report", "tdx-lite-getquote"])
def test_dstacks_logs_replay_to_the_signed_registers(folder: Path, name: str) -> None:
    # The second one leaves the digests of RTMR3's events out; they follow from name and payload.
    value = json.loads((folder / f"tdx/dstack/{name}.json").read_text())
    log = event_log_from_json(value["event_log"].encode())
    assert require_rtmrs(log, rtmrs_of(bytes.fromhex(value["quote"]))) == (0, 1, 2, 3)


def test_each_change_to_a_real_log_is_noticed(folder: Path) -> None:
    value = json.loads((folder / "tdx/dstack/quote-report.json").read_text())
    rtmrs = rtmrs_of(bytes.fromhex(value["quote"]))
    items = json.loads(value["event_log"])
    swapped = [items[1], items[0], *items[2:]]
    renamed = [*items[:-1], {**items[-1], "event": "another"}]
    for changed in (swapped, items[1:], items[:-1], [*items, items[-1]], renamed):
        with pytest.raises(SealtuneError) as refusal:
            require_rtmrs(event_log_from_json(json.dumps(changed).encode()), rtmrs)
        assert refusal.value.code is Code.EVENT_LOG_MISMATCH


def test_a_real_tpm_log_has_three_banks(folder: Path) -> None:
    log = parse_event_log((folder / "tpm/dstack/tpm_eventlog.bin").read_bytes())
    assert log.banks == (Bank.SHA1, Bank.SHA256, Bank.SHA384)
    registers = replay(log, bank=Bank.SHA256)
    assert registers[0].hex().startswith("0cca9ec161b09288")
    assert set(registers) == {0, 1, 2, 3, 4, 5, 6, 7, 9, 11}
