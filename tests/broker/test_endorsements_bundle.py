"""The air gap: what was fetched on one side arrives on the other, whole or not at all."""

from __future__ import annotations

import json
from collections.abc import Callable
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from sealtune.attestation.anchors import Product
from sealtune.attestation.dcap_quote import Tee
from sealtune.attestation.snp_report import Signer
from sealtune.broker.endorsements import bundle as bundle_module
from sealtune.broker.endorsements.bundle import (
    BUNDLE_TYPE,
    export_bundle,
    import_bundle,
    open_bundle,
)
from sealtune.broker.endorsements.cache import EndorsementCache
from sealtune.broker.endorsements.items import Item, make_item
from sealtune.broker.endorsements.records import item_to_dict
from sealtune.broker.endorsements.subjects import amd_authorities, intel_set
from sealtune.core.canonical import canonical_json
from sealtune.core.clock import format_time
from sealtune.crypto.dsse import add_signature, envelope_from_dict, sign_envelope
from sealtune.crypto.signing import SigningKey
from sealtune.errors import Code, FormatError, SealtuneError, VerificationError
from sealtune.testing.mock_amd import MockAmd, MockVek
from sealtune.testing.mock_intel import MockIntel, MockPck, MockQuote

KEY = SigningKey.from_bytes(bytes(range(32)))
OTHER_KEY = SigningKey.from_bytes(bytes(32))
SECOND = timedelta(seconds=1)


@pytest.fixture(scope="module")
def intel(now: datetime) -> MockIntel:
    return MockIntel(now=now)


@pytest.fixture(scope="module")
def items(intel: MockIntel, mock_amd: MockAmd, now: datetime) -> tuple[Item, ...]:
    pck = MockPck()
    own = make_item(
        intel_set(Tee.TDX, fmspc=pck.fmspc, ca=pck.ca),
        intel.endorsement(MockQuote(pck=pck)),
        source="https://pcs.example",
        fetched_at=now,
    )
    authorities = zip(
        amd_authorities(Product.GENOA, Signer.VCEK), mock_amd.chain(MockVek())[1:], strict=True
    )
    return (
        own,
        *(
            make_item(subject, data, source="https://kds.example", fetched_at=now)
            for subject, data in authorities
        ),
    )


@pytest.fixture
def cache(tmp_path: Path) -> EndorsementCache:
    return EndorsementCache(tmp_path / "far" / "endorsements")


def payload_of(items: tuple[Item, ...], now: datetime) -> dict[str, Any]:
    return {
        "format": "sealtune-endorsements/1",
        "created": format_time(now),
        "items": sorted(map(item_to_dict, items), key=lambda item: item["subject"]),
    }


def signed(payload: object, *, key: SigningKey = KEY, payload_type: str = BUNDLE_TYPE) -> bytes:
    return sign_envelope(canonical_json(payload), payload_type=payload_type, keys=[key]).to_json()


def refusal(data: bytes, now: datetime) -> SealtuneError:
    with pytest.raises(SealtuneError) as caught:
        open_bundle(data, trusted_key=KEY.public, now=now)
    return caught.value


def test_what_was_exported_is_imported(
    cache: EndorsementCache, tmp_path: Path, items: tuple[Item, ...], now: datetime
) -> None:
    near = EndorsementCache(tmp_path / "near")
    near.put(items, now=now)
    path = tmp_path / "bundle.json"
    path.write_bytes(export_bundle(near.read().items, key=KEY, now=now))
    later = now + timedelta(days=5)
    bundle, stored = import_bundle(path, cache=cache, trusted_key=KEY.public, now=later)
    assert bundle.created_at == now
    assert bundle.signer == KEY.public
    assert set(stored.written) == set(items)
    assert cache.read() == near.read()
    assert set(cache.load(later).items) == {item.endorsement for item in items}


def test_the_same_items_make_the_same_payload(items: tuple[Item, ...], now: datetime) -> None:
    forward = export_bundle(items, key=KEY, now=now)
    assert export_bundle(tuple(reversed(items)), key=KEY, now=now) == forward
    assert json.loads(forward)["payloadType"] == BUNDLE_TYPE


def test_every_altered_byte_is_refused(items: tuple[Item, ...], now: datetime) -> None:
    data = export_bundle(items, key=KEY, now=now).rstrip()
    for place in range(0, len(data), 211):
        changed = data[:place] + bytes([data[place] ^ 0x02]) + data[place + 1 :]
        assert isinstance(refusal(changed, now), FormatError | VerificationError)
    for cut in (0, 1, len(data) // 2, len(data) - 1):
        assert isinstance(refusal(data[:cut], now), FormatError)


def test_a_bundle_of_another_key_is_refused(items: tuple[Item, ...], now: datetime) -> None:
    data = export_bundle(items, key=OTHER_KEY, now=now)
    assert refusal(data, now).code is Code.SIGNATURE_MISSING
    renamed = json.loads(data)
    renamed["signatures"][0]["keyid"] = KEY.public.key_id
    assert refusal(canonical_json(renamed), now).code is Code.SIGNATURE_INVALID
    both = add_signature(
        envelope_from_dict(json.loads(export_bundle(items, key=KEY, now=now))), OTHER_KEY
    )
    assert refusal(both.to_json(), now).code is Code.SIGNATURE_INVALID


def test_something_else_that_the_key_signed_is_no_bundle(
    items: tuple[Item, ...], now: datetime
) -> None:
    data = signed(payload_of(items, now), payload_type="application/vnd.sealtune.contract+json")
    assert refusal(data, now).code is Code.ENVELOPE_TYPE


def test_an_item_taken_out_is_noticed(items: tuple[Item, ...], now: datetime) -> None:
    envelope = json.loads(export_bundle(items, key=KEY, now=now))
    fewer = json.loads(signed(payload_of(items[1:], now)))
    envelope["payload"] = fewer["payload"]
    assert refusal(canonical_json(envelope), now).code is Code.SIGNATURE_INVALID


def changed(payload: dict[str, Any], name: str) -> object:
    items = payload["items"]
    changes: dict[str, Callable[[], object]] = {
        "not-an-object": lambda: [],
        "another-version": lambda: payload | {"format": "sealtune-endorsements/2"},
        "one-more-member": lambda: payload | {"note": ""},
        "no-creation": lambda: payload | {"created": None},
        "another-creation": lambda: payload | {"created": "2026-11-23"},
        "no-list": lambda: payload | {"items": {}},
        "empty": lambda: payload | {"items": []},
        "too-many": lambda: payload | {"items": [items[0]] * 1025},
        "twice": lambda: payload | {"items": [items[0], *items]},
        "not-in-order": lambda: payload | {"items": items[::-1]},
        "item-no-object": lambda: payload | {"items": ["x", *items]},
        "another-subject": lambda: (
            payload | {"items": [{**items[0], "subject": "amd-authority/ARK-Milan"}, *items[1:]]}
        ),
        "another-end": lambda: (
            payload | {"items": [{**items[0], "ends": "2050-01-01T00:00:00Z"}, *items[1:]]}
        ),
        "cut-data": lambda: (
            payload | {"items": [{**items[0], "data": items[0]["data"][:-8]}, *items[1:]]}
        ),
        "long-data": lambda: (
            payload | {"items": [{**items[0], "data": "A" * (2 * 1024 * 1024)}, *items[1:]]}
        ),
        "long-source": lambda: (
            payload | {"items": [{**items[0], "source": "x" * 3000}, *items[1:]]}
        ),
    }
    return changes[name]()


@pytest.mark.parametrize(
    "name",
    [
        *("not-an-object", "another-version", "one-more-member", "no-creation"),
        *("another-creation", "no-list", "empty", "too-many", "twice", "not-in-order"),
        *("item-no-object", "another-subject", "another-end", "cut-data", "long-data"),
        "long-source",
    ],
)
def test_a_signed_bundle_is_examined_as_an_answer_of_a_service_is(
    cache: EndorsementCache,
    tmp_path: Path,
    items: tuple[Item, ...],
    now: datetime,
    name: str,
) -> None:
    path = tmp_path / "bundle.json"
    path.write_bytes(signed(changed(payload_of(items, now), name)))
    with pytest.raises(SealtuneError) as caught:
        import_bundle(path, cache=cache, trusted_key=KEY.public, now=now)
    assert caught.value.code in {Code.ENDORSEMENT_MALFORMED, Code.ENDORSEMENT_MISMATCH}
    assert cache.read().items == ()


def test_one_stale_item_refuses_the_whole_and_says_which(
    cache: EndorsementCache, tmp_path: Path, items: tuple[Item, ...], now: datetime
) -> None:
    path = tmp_path / "bundle.json"
    path.write_bytes(export_bundle(items, key=KEY, now=now))
    end = items[0].window.ends
    import_bundle(path, cache=cache, trusted_key=KEY.public, now=end)
    with pytest.raises(VerificationError) as caught:
        open_bundle(path.read_bytes(), trusted_key=KEY.public, now=end + SECOND)
    assert caught.value.code is Code.ENDORSEMENT_STALE
    assert "Intel TDX set" in caught.value.message
    assert "stale since" in caught.value.message


def test_a_bundle_of_the_future_is_refused(items: tuple[Item, ...], now: datetime) -> None:
    data = export_bundle(items, key=KEY, now=now)
    open_bundle(data, trusted_key=KEY.public, now=now - timedelta(minutes=10))
    error = refusal(data, now - timedelta(minutes=10, seconds=1))
    assert error.code is Code.ENDORSEMENT_STALE
    assert "clock" in error.remedy


def test_an_old_bundle_does_not_take_a_newer_document_s_place(
    cache: EndorsementCache,
    tmp_path: Path,
    intel: MockIntel,
    items: tuple[Item, ...],
    now: datetime,
) -> None:
    crl = intel.crl("Intel SGX PCK Platform CA", since=now - timedelta(hours=1))
    newer = make_item(
        items[0].subject, intel.endorsement(MockQuote(), pck_crl=crl), source="", fetched_at=now
    )
    cache.put([newer], now=now)
    path = tmp_path / "bundle.json"
    path.write_bytes(export_bundle(items, key=KEY, now=now))
    _, stored = import_bundle(path, cache=cache, trusted_key=KEY.public, now=now)
    assert stored.kept == (items[0],)
    assert newer in cache.read().items


def test_what_is_stale_or_nothing_is_not_exported(items: tuple[Item, ...], now: datetime) -> None:
    with pytest.raises(VerificationError) as caught:
        export_bundle(items, key=KEY, now=items[0].window.ends + SECOND)
    assert caught.value.code is Code.ENDORSEMENT_STALE
    with pytest.raises(VerificationError) as caught:
        export_bundle((), key=KEY, now=now)
    assert caught.value.code is Code.ENDORSEMENT_MISSING


def test_a_bundle_is_bounded_on_both_sides(
    cache: EndorsementCache,
    tmp_path: Path,
    items: tuple[Item, ...],
    now: datetime,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    data = export_bundle(items, key=KEY, now=now)
    path = tmp_path / "bundle.json"
    path.write_bytes(data)
    monkeypatch.setattr(bundle_module, "BUNDLE_BYTES_MAX", len(data) - 1)
    with pytest.raises(FormatError) as caught:
        export_bundle(items, key=KEY, now=now)
    assert caught.value.code is Code.LIMIT_EXCEEDED
    with pytest.raises(FormatError) as caught:
        import_bundle(path, cache=cache, trusted_key=KEY.public, now=now)
    assert caught.value.code is Code.LIMIT_EXCEEDED
    assert refusal(data, now).code is Code.LIMIT_EXCEEDED
