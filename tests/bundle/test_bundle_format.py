"""Header, footer, slots and registration, branch by branch (spec/bundle §2, §4, §5, §8)."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sealtune.bundle.format import (
    END_MAGIC,
    BundleKind,
    Footer,
    Slot,
    entry_context,
    manifest_context,
    parse_footer,
    parse_header,
    parse_magic,
    parse_slots,
    slots_payload,
)
from sealtune.bundle.reader import registration
from sealtune.bundle.registration import parse_registration, seal_slots
from sealtune.core.canonical import canonical_json
from sealtune.core.digest import sha256_digest
from sealtune.crypto.dsse import sign_envelope
from sealtune.crypto.identity import Identity
from sealtune.crypto.secret import ContentKey
from sealtune.crypto.signing import SigningKey
from sealtune.errors import Code, ConfigError, FormatError, SealtuneError, VerificationError
from sealtune.testing.bundle_parts import BundleParts

HEADER = {
    "body_digest": "blake3:" + "0" * 64,
    "body_length": 73,
    "bundle_id": "0" * 32,
    "format": "sealtune-bundle/1",
    "kind": "result",
    "manifest_digest": "sha256:" + "0" * 64,
    "manifest_length": 4168,
    "owner": SigningKey.from_bytes(bytes(32)).public.text,
}
DIGEST = sha256_digest(b"")
JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**53), 2**53) | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner),
    max_leaves=8,
)


def test_a_header_survives_the_round_trip() -> None:
    payload = canonical_json(HEADER)
    header = parse_header(payload)
    assert header.to_payload() == payload
    assert header.digest == sha256_digest(payload)


@pytest.mark.parametrize(
    ("changes", "code"),
    [
        ({"format": "sealtune-bundle/2"}, Code.BUNDLE_VERSION),
        ({"format": None}, Code.BUNDLE_VERSION),
        ({"kind": "weights"}, Code.BUNDLE_MALFORMED),
        ({"kind": ["result"]}, Code.BUNDLE_MALFORMED),
        ({"bundle_id": "0" * 31}, Code.BUNDLE_MALFORMED),
        ({"bundle_id": "A" * 32}, Code.BUNDLE_MALFORMED),
        ({"bundle_id": 7}, Code.BUNDLE_MALFORMED),
        ({"owner": "ed25519:AAAA"}, Code.PUBLIC_KEY_MALFORMED),
        ({"owner": 1}, Code.PUBLIC_KEY_MALFORMED),
        ({"body_length": -1}, Code.BUNDLE_MALFORMED),
        ({"body_length": True}, Code.BUNDLE_MALFORMED),
        ({"body_length": "73"}, Code.BUNDLE_MALFORMED),
        ({"body_digest": "sha256:" + "0" * 64}, Code.BUNDLE_MALFORMED),
        ({"manifest_length": 64 * 2**20 + 1}, Code.BUNDLE_MALFORMED),
        ({"manifest_digest": "sha256:0"}, Code.DIGEST_MALFORMED),
        ({"records": 1}, Code.BUNDLE_MALFORMED),
    ],
)
def test_a_header_of_another_form_is_refused(changes: dict[str, Any], code: Code) -> None:
    with pytest.raises(FormatError) as caught:
        parse_header(canonical_json(HEADER | changes))
    assert caught.value.code is code


@pytest.mark.parametrize("name", sorted(HEADER))
def test_a_header_without_one_of_its_fields_is_refused(name: str) -> None:
    fields = {key: value for key, value in HEADER.items() if key != name}
    with pytest.raises(FormatError):
        parse_header(canonical_json(fields))


def test_only_a_datasets_header_names_a_deidentification_report() -> None:
    named = HEADER | {"deidentification": DIGEST}
    assert parse_header(canonical_json(named | {"kind": "dataset"})).deidentification == DIGEST
    for kind in BundleKind:
        if kind is not BundleKind.DATASET:
            with pytest.raises(FormatError) as caught:
                parse_header(canonical_json(named | {"kind": kind.value}))
            assert caught.value.code is Code.BUNDLE_MALFORMED
    for value in (None, "", "sha256:0"):
        with pytest.raises(FormatError):
            parse_header(canonical_json(named | {"kind": "dataset", "deidentification": value}))


def test_a_header_in_another_spelling_is_refused() -> None:
    with pytest.raises(FormatError) as caught:
        parse_header(json.dumps(HEADER, sort_keys=True).encode())
    assert caught.value.code is Code.BUNDLE_MALFORMED


def test_a_header_that_is_no_object_is_refused() -> None:
    with pytest.raises(FormatError) as caught:
        parse_header(b"[]")
    assert caught.value.code is Code.BUNDLE_MALFORMED


def test_a_footer_survives_the_round_trip() -> None:
    footer = Footer(header_length=65536, slots_length=2**20)
    assert parse_footer(footer.to_bytes()) == footer


@pytest.mark.parametrize(
    ("data", "code"),
    [
        (b"", Code.BUNDLE_TRUNCATED),
        (bytes(8) + END_MAGIC[:-1] + b"0", Code.BUNDLE_TRUNCATED),
        ((65537).to_bytes(4, "big") + bytes(4) + END_MAGIC, Code.LIMIT_EXCEEDED),
        (bytes(4) + (2**20 + 1).to_bytes(4, "big") + END_MAGIC, Code.LIMIT_EXCEEDED),
    ],
)
def test_a_footer_beyond_its_limits_is_refused(data: bytes, code: Code) -> None:
    with pytest.raises(FormatError) as caught:
        parse_footer(data)
    assert caught.value.code is code


def test_another_magic_is_refused() -> None:
    parse_magic(b"SEALTUN1")
    for magic, code in ((b"PK\3\4aaaa", Code.BUNDLE_MALFORMED), (b"SEALTUN2", Code.BUNDLE_VERSION)):
        with pytest.raises(FormatError) as caught:
            parse_magic(magic)
        assert caught.value.code is code


def test_slots_survive_the_round_trip() -> None:
    slots = (Slot(DIGEST, b"abc"), Slot(sha256_digest(b"1"), b""))
    assert parse_slots(slots_payload(DIGEST, slots)) == (DIGEST, slots)


@pytest.mark.parametrize(
    "value",
    [
        [],
        {"bundle": DIGEST},
        {"bundle": DIGEST, "slots": []},
        {"bundle": DIGEST, "slots": {}},
        {"bundle": DIGEST, "slots": 5},
        {"bundle": "sha256:0", "slots": [{"recipient": DIGEST, "wrapped": ""}]},
        {"bundle": DIGEST, "slots": [{"recipient": DIGEST}]},
        {"bundle": DIGEST, "slots": [{"recipient": "x", "wrapped": ""}]},
        {"bundle": DIGEST, "slots": [{"recipient": DIGEST, "wrapped": "=="}]},
        {"bundle": DIGEST, "slots": [{"recipient": DIGEST, "wrapped": ""}] * 2},
        {"bundle": DIGEST, "slots": [{"recipient": DIGEST, "wrapped": ""}] * 257},
        {"bundle": DIGEST, "slots": [{"recipient": DIGEST, "wrapped": ""}], "more": 1},
    ],
)
def test_slots_of_another_form_are_refused(value: Any) -> None:
    with pytest.raises(FormatError):
        parse_slots(canonical_json(value))


def test_257_recipients_are_refused_before_the_list_is_parsed_further() -> None:
    rows = [{"recipient": sha256_digest(b"%d" % i), "wrapped": ""} for i in range(257)]
    with pytest.raises(FormatError) as caught:
        parse_slots(canonical_json({"bundle": DIGEST, "slots": rows}))
    assert caught.value.code is Code.BUNDLE_MALFORMED


@given(value=JSON)
def test_parsers_of_headers_and_slots_raise_only_our_errors(value: Any) -> None:
    data = json.dumps(value).encode()
    for parse in (parse_header, parse_slots, parse_registration):
        with pytest.raises(SealtuneError):
            parse(data)


@given(name=st.sampled_from(sorted(HEADER)), value=JSON)
def test_a_header_with_any_other_value_raises_only_our_errors(name: str, value: Any) -> None:
    try:
        parse_header(json.dumps(HEADER | {name: value}, sort_keys=True).encode())
    except SealtuneError:
        pass


def test_contexts_differ_by_bundle_kind_and_place() -> None:
    result, dataset = BundleKind.RESULT, BundleKind.DATASET
    contexts = {
        entry_context(bundle_id=bytes(16), kind=result, index=0),
        entry_context(bundle_id=bytes(16), kind=result, index=1),
        entry_context(bundle_id=bytes(16), kind=dataset, index=0),
        entry_context(bundle_id=b"1" * 16, kind=result, index=0),
        manifest_context(bundle_id=bytes(16), kind=result),
    }
    assert len(contexts) == 5
    assert entry_context(bundle_id=bytes(16), kind=result, index=258) == (
        b"sealtune/v1/bundle\0" + bytes(16) + b"result\0entry\0\0\1\2"
    )


def test_a_registration_gives_the_broker_its_key(
    make_bundle: Callable[..., Path], owner: Identity, broker: Identity, stranger: Identity
) -> None:
    key = ContentKey.generate()
    path = make_bundle(key=key)
    sealed = parse_registration(registration(path))
    assert sealed.unwrap(broker.recipient).reveal() == key.reveal()
    assert sealed.owner == owner.signing.public
    assert sealed.kind is BundleKind.RESULT
    assert sealed.digest == sealed.header.digest
    with pytest.raises(ConfigError) as caught:
        sealed.unwrap(stranger.recipient)
    assert caught.value.code is Code.BUNDLE_NO_SLOT


@pytest.mark.parametrize(
    ("change", "code"),
    [
        (lambda v: v | {"format": "sealtune-registration/3"}, Code.BUNDLE_VERSION),
        (lambda v: v | {"more": 1}, Code.BUNDLE_MALFORMED),
        (lambda v: [v], Code.BUNDLE_MALFORMED),
        (lambda v: v | {"header": v["slots"]}, Code.BUNDLE_VERSION),
        (lambda v: v | {"slots": v["header"]}, Code.ENVELOPE_TYPE),
        (lambda v: v | {"slots": {}}, Code.ENVELOPE_MALFORMED),
    ],
)
def test_a_registration_of_another_form_is_refused(
    change: Callable[[Any], Any], code: Code, make_bundle: Callable[..., Path]
) -> None:
    value = json.loads(registration(make_bundle()))
    with pytest.raises(SealtuneError) as caught:
        parse_registration(json.dumps(change(value)).encode())
    assert caught.value.code is code


def test_a_registration_whose_header_was_changed_is_refused(
    make_bundle: Callable[..., Path],
) -> None:
    parts = BundleParts.read(make_bundle())
    value = json.loads(registration(make_bundle("other.bundle")))
    value["header"]["signatures"] = json.loads(parts.header_block)["signatures"]
    with pytest.raises(VerificationError) as caught:
        parse_registration(json.dumps(value).encode())
    assert caught.value.code is Code.SIGNATURE_INVALID


def test_a_header_signed_as_something_else_is_refused(
    make_bundle: Callable[..., Path], owner: Identity
) -> None:
    value = json.loads(registration(make_bundle()))
    payload = canonical_json(BundleParts.read(make_bundle()).header)
    value["header"] = sign_envelope(
        payload, payload_type="text/plain", keys=[owner.signing]
    ).to_dict()
    with pytest.raises(VerificationError) as caught:
        parse_registration(json.dumps(value).encode())
    assert caught.value.code is Code.ENVELOPE_TYPE


def test_slots_need_one_to_256_different_recipients(owner: Identity, broker: Identity) -> None:
    header = parse_header(canonical_json(HEADER))
    key = broker.public.recipient
    for recipients in ((), (key, key), (key,) * 257):
        with pytest.raises(ValueError, match="recipient"):
            seal_slots(
                header, owner=owner.signing, key=ContentKey.generate(), recipients=recipients
            )
