"""The hash chain: whole logs pass, every other form of one is refused with its own code."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sealtune.core.canonical import canonical_json
from sealtune.crypto.dsse import Envelope, sign_envelope
from sealtune.crypto.signing import SigningKey, VerifyingKey
from sealtune.errors import Code, FormatError, SealtuneError, VerificationError
from sealtune.translog.chain import (
    HEAD_PAYLOAD_TYPE,
    LogHead,
    append_entry,
    empty_head,
    sign_head,
    verify_chain,
    verify_head,
)

NOW = datetime(2026, 11, 23, 12, 0, 0, tzinfo=UTC)
KEEPER = SigningKey.from_bytes(bytes(32))
OTHER = SigningKey.from_bytes(bytes(range(32)))


def build(
    count: int, *, log: VerifyingKey = KEEPER.public, tag: str = "a"
) -> tuple[list[bytes], list[LogHead]]:
    head = empty_head(log)
    entries, heads = [], [head]
    for number in range(count):
        data, head = append_entry(head, kind="test", body={"n": number, "tag": tag}, now=NOW)
        entries.append(data)
        heads.append(head)
    return entries, heads


def held(head: LogHead, *, key: SigningKey = KEEPER):
    return verify_head(sign_head(head, key=key), log=key.public)


def test_a_whole_log_verifies_with_every_head_it_ever_had():
    entries, heads = build(5)
    log = verify_chain(entries, log=KEEPER.public, heads=[held(head) for head in heads])
    assert log.head == heads[-1]
    assert [entry.body["n"] for entry in log.entries] == [0, 1, 2, 3, 4]
    assert log.entries[0].time == NOW


def test_an_empty_log_verifies():
    assert verify_chain([], log=KEEPER.public, heads=[]).head == empty_head(KEEPER.public)


def broken_logs():
    entries, _ = build(4)
    other, _ = build(4, log=OTHER.public)
    return {
        "dropped": [entries[0], *entries[2:]],
        "first dropped": entries[1:],
        "swapped": [entries[0], entries[2], entries[1], entries[3]],
        "repeated": [entries[0], entries[0], *entries[1:]],
        "edited": [entries[0], entries[1].replace(b'"tag":"a"', b'"tag":"b"'), *entries[2:]],
        "of another keeper": other,
    }


@pytest.mark.parametrize("how", sorted(broken_logs()))
def test_a_changed_log_does_not_chain(how: str):
    with pytest.raises(VerificationError) as caught:
        verify_chain(broken_logs()[how], log=KEEPER.public, heads=[])
    assert caught.value.code is Code.LOG_BROKEN


def test_a_renumbered_entry_does_not_chain():
    entries, heads = build(1)
    forged, _ = append_entry(LogHead(size=2, hash=heads[1].hash), kind="test", body={}, now=NOW)
    with pytest.raises(VerificationError) as caught:
        verify_chain([*entries, forged], log=KEEPER.public, heads=[])
    assert caught.value.code is Code.LOG_BROKEN


def test_a_cut_log_contradicts_a_head_that_somebody_holds():
    entries, heads = build(4)
    with pytest.raises(VerificationError) as caught:
        verify_chain(entries[:3], log=KEEPER.public, heads=[held(heads[4])])
    assert caught.value.code is Code.LOG_CUT


def test_a_forked_log_contradicts_a_head_that_somebody_holds():
    _, heads = build(4)
    fork, _ = build(6, tag="b")
    with pytest.raises(VerificationError) as caught:
        verify_chain(fork, log=KEEPER.public, heads=[held(heads[4])])
    assert caught.value.code is Code.LOG_FORKED


def test_a_head_of_another_keeper_is_no_evidence_for_this_log():
    entries, heads = build(2)
    with pytest.raises(VerificationError) as caught:
        verify_chain(entries, log=KEEPER.public, heads=[held(heads[2], key=OTHER)])
    assert caught.value.code is Code.LOG_FORKED


def test_a_head_signed_by_another_key_is_refused():
    with pytest.raises(VerificationError) as caught:
        verify_head(sign_head(empty_head(KEEPER.public), key=OTHER), log=KEEPER.public)
    assert caught.value.code is Code.SIGNATURE_MISSING


@pytest.mark.parametrize(
    "fields",
    [
        {"log": OTHER.public.text, "size": 0, "hash": empty_head(KEEPER.public).hash},
        {"log": KEEPER.public.text, "size": -1, "hash": empty_head(KEEPER.public).hash},
        {"log": KEEPER.public.text, "size": True, "hash": empty_head(KEEPER.public).hash},
        {"log": KEEPER.public.text, "size": 0, "hash": "sha256:00"},
        {"log": KEEPER.public.text, "size": 0},
        [],
    ],
)
def test_a_malformed_head_is_refused_though_signed(fields: object):
    envelope = sign_envelope(canonical_json(fields), payload_type=HEAD_PAYLOAD_TYPE, keys=[KEEPER])
    with pytest.raises(SealtuneError):
        verify_head(envelope, log=KEEPER.public)


def test_a_head_is_signed_as_a_head():
    good = sign_head(empty_head(KEEPER.public), key=KEEPER)
    other = Envelope("application/other", good.payload, good.signatures)
    with pytest.raises(VerificationError) as caught:
        verify_head(other, log=KEEPER.public)
    assert caught.value.code is Code.ENVELOPE_TYPE


@pytest.mark.parametrize(
    ("old", "new"),
    [
        (b'"index":0', b'"index": 0'),
        (b'"index":0', b'"index":false'),
        (b'"kind":"test"', b'"kind":1'),
        (b'"time":"2026', b'"time":"x026'),
        (b'"previous":"sha256', b'"previous":"sha257'),
        (b'{"body"', b'{"other":1,"body"'),
    ],
)
def test_an_entry_has_one_form(old: bytes, new: bytes):
    entries, _ = build(1)
    assert old in entries[0]
    with pytest.raises(FormatError):
        verify_chain([entries[0].replace(old, new)], log=KEEPER.public, heads=[])


def test_an_entry_is_bounded():
    with pytest.raises(ValueError, match="bytes"):
        append_entry(empty_head(KEEPER.public), kind="x", body={"x": "y" * 300_000}, now=NOW)


@settings(max_examples=60, deadline=None)
@given(st.data())
def test_any_flipped_bit_is_refused(data: st.DataObject):
    entries, heads = build(3)
    which = data.draw(st.integers(0, 2))
    place = data.draw(st.integers(0, len(entries[which]) - 1))
    changed = bytearray(entries[which])
    changed[place] ^= 1 << data.draw(st.integers(0, 7))
    entries[which] = bytes(changed)
    with pytest.raises(SealtuneError):
        verify_chain(entries, log=KEEPER.public, heads=[held(heads[3])])
