"""Key slots stripped, forged, transplanted.

Story: the operator removes the slot of a broker that would refuse, so that another one is asked, or
adds a slot of its own making whose key it knows, so that the enclave opens planted content; or it
takes slots from another bundle of the same owner.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from sealtune.bundle.format import Slot, slot_info, slots_payload
from sealtune.bundle.reader import open_bundle_file
from sealtune.bundle.registration import SealedRegistration, verify_blocks
from sealtune.crypto.dsse import Envelope, parse_envelope
from sealtune.crypto.hpke import RecipientKey
from sealtune.crypto.identity import Identity
from sealtune.crypto.secret import ContentKey
from sealtune.errors import Code, ConfigError, SealtuneError, VerificationError
from sealtune.testing.bundle_parts import BundleParts, HostileOwner

OWNER, OPERATOR, FIRST, SECOND = (Identity.generate(n) for n in ("owner", "operator", "b1", "b2"))
KEY = ContentKey.generate()
PLAIN = {"entries": [{"length": 1, "media": "file", "name": "a"}], "facts": {}}


def bundle(*, bundle_id: bytes = bytes(16), key: ContentKey = KEY) -> BundleParts:
    recipients = (FIRST.public.recipient, SECOND.public.recipient)
    factory = HostileOwner(
        signing=OWNER.signing, key=key, recipients=recipients, bundle_id=bundle_id
    )
    return factory.bundle([b"a"], PLAIN)


def sealed(parts: BundleParts) -> SealedRegistration:
    return verify_blocks(parts.header_block, parts.slots_block)


def refusal(parts: BundleParts, folder: Path, recipient: RecipientKey = SECOND.recipient) -> Code:
    path = parts.write(folder / "attacked.bundle")
    with pytest.raises(SealtuneError) as caught, open_bundle_file(path) as opened:
        opened.unlock(opened.unwrap(recipient))
    return caught.value.code


def with_slots(parts: BundleParts, change: Callable[[tuple[Slot, ...]], tuple[Slot, ...]]) -> None:
    """Put changed slots under the owner's old signature."""
    envelope = parse_envelope(parts.slots_block)
    payload = slots_payload(sealed(parts).digest, change(sealed(parts).slots))
    changed = Envelope(envelope.payload_type, payload, envelope.signatures)
    parts.slots_block = changed.to_json()


@pytest.mark.parametrize(
    "change", [lambda s: s[1:], lambda s: s[::-1], lambda s: (s[0], Slot(s[1].recipient, b""))]
)
def test_slots_stripped_reordered_or_emptied(
    change: Callable[[tuple[Slot, ...]], tuple[Slot, ...]], tmp_path: Path
) -> None:
    parts = bundle()
    with_slots(parts, change)
    assert refusal(parts, tmp_path) is Code.SIGNATURE_INVALID


def test_slots_signed_by_the_operator(tmp_path: Path) -> None:
    parts = bundle()
    digest = sealed(parts).digest
    wrapped = SECOND.public.recipient.seal(bytes(32), info=slot_info(digest))
    slots = (Slot(SECOND.public.recipient.key_id, wrapped),)
    parts.sign_slots(slots_payload(digest, slots), owner=OPERATOR.signing)
    assert refusal(parts, tmp_path) is Code.SIGNATURE_MISSING


def test_slots_of_another_bundle_of_the_owner(tmp_path: Path) -> None:
    parts = bundle()
    parts.slots_block = bundle(bundle_id=bytes(15) + b"\1", key=KEY).slots_block
    assert refusal(parts, tmp_path) is Code.BUNDLE_DIGEST


def test_header_and_slots_exchanged(tmp_path: Path) -> None:
    parts = bundle()
    parts.header_block, parts.slots_block = parts.slots_block, parts.header_block
    assert refusal(parts, tmp_path) is Code.BUNDLE_VERSION


def test_a_wrapped_key_does_not_open_for_another_bundle_or_purpose() -> None:
    first, second = sealed(bundle()), sealed(bundle(bundle_id=bytes(15) + b"\1"))
    wrapped = first.slots[0].wrapped
    assert FIRST.recipient.open(wrapped, info=slot_info(first.digest)) == KEY.reveal()
    for info in (slot_info(second.digest), b"sealtune/v1/release\0"):
        with pytest.raises(VerificationError) as caught:
            FIRST.recipient.open(wrapped, info=info)
        assert caught.value.code is Code.HPKE_OPEN_FAILED


def test_another_recipient_finds_no_slot_and_cannot_use_others(tmp_path: Path) -> None:
    parts = bundle()
    assert refusal(parts, tmp_path, OPERATOR.recipient) is Code.BUNDLE_NO_SLOT
    slot = sealed(parts).slots[0]
    with pytest.raises(VerificationError) as caught:
        OPERATOR.recipient.open(slot.wrapped, info=slot_info(sealed(parts).digest))
    assert caught.value.code is Code.HPKE_OPEN_FAILED
    with pytest.raises(ConfigError):
        sealed(parts).unwrap(OPERATOR.recipient)
