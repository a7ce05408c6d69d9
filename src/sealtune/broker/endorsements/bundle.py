"""A cache in one signed file, for a broker that no network reaches.

The file is a DSSE envelope; its payload, in canonical JSON:

    format    "sealtune-endorsements/1"
    created   when it was made
    items     the endorsements (`records`), sorted by subject

Whoever imports names the key that they expect. What is inside is examined as if it had been fetched
now, and all of it or nothing is taken.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any, Final

from sealtune.broker.endorsements.cache import EndorsementCache, Stored
from sealtune.broker.endorsements.items import Item
from sealtune.broker.endorsements.records import item_from_dict, item_to_dict
from sealtune.core.canonical import canonical_json, parse_json
from sealtune.core.clock import format_time, parse_time
from sealtune.core.files import read_bounded
from sealtune.core.limits import ENDORSEMENTS_MAX, MIB
from sealtune.crypto.dsse import envelope_from_dict, sign_envelope, verify_envelope
from sealtune.crypto.signing import SigningKey, VerifyingKey
from sealtune.errors import Code, FormatError, VerificationError

BUNDLE_TYPE: Final = "application/vnd.sealtune.endorsements.v1+json"
# A full cache in base64 twice: once for each item, once for the payload.
BUNDLE_BYTES_MAX: Final = 64 * MIB
CLOCK_SKEW: Final = timedelta(minutes=10)
_FORMAT: Final = "sealtune-endorsements/1"


@dataclass(frozen=True, slots=True, kw_only=True)
class EndorsementBundle:
    """The endorsements of a bundle whose signature has been verified."""

    created_at: datetime
    signer: VerifyingKey
    items: tuple[Item, ...]


def export_bundle(items: Sequence[Item], *, key: SigningKey, now: datetime) -> bytes:
    """Return `items`, each valid at `now`, as one signed file.

    Raises:
        VerificationError: one is stale, or there are none: an import would refuse the file.
        FormatError: they are more than a bundle holds.
    """
    if not items:
        message = "there is no valid endorsement to export"
        remedy = "fetch some with `sealtune endorsements fetch`"
        raise VerificationError(Code.ENDORSEMENT_MISSING, message, remedy=remedy)
    for item in items:
        item.require_valid_at(now)
    payload = {
        "format": _FORMAT,
        "created": format_time(now),
        "items": [item_to_dict(item) for item in sorted(items, key=lambda i: i.subject.text)],
    }
    envelope = sign_envelope(canonical_json(payload), payload_type=BUNDLE_TYPE, keys=[key])
    data = envelope.to_json() + b"\n"
    if len(data) > BUNDLE_BYTES_MAX:
        message = f"a bundle of {len(data)} bytes, at most {BUNDLE_BYTES_MAX} allowed"
        raise FormatError(Code.LIMIT_EXCEEDED, message)
    return data


def open_bundle(data: bytes, *, trusted_key: VerifyingKey, now: datetime) -> EndorsementBundle:
    """Return what the bundle in `data`, signed by `trusted_key`, holds.

    Raises:
        FormatError: no bundle, or an endorsement in it that cannot be read.
        VerificationError: signed by another key, made in the future, or an endorsement in it that
            is stale or not what it is called.
    """
    what = "endorsement bundle"
    value = parse_json(data, limit=BUNDLE_BYTES_MAX, what=what)
    envelope = envelope_from_dict(value, what=what)
    # Before anything in the payload is read.
    verified = verify_envelope(envelope, payload_type=BUNDLE_TYPE, required=[trusted_key])
    payload = parse_json(verified.payload, limit=BUNDLE_BYTES_MAX, what=what)
    created_at, listing = _members(payload)
    if created_at > now + CLOCK_SKEW:
        message = f"endorsement bundle: made at {format_time(created_at)}, which is in the future"
        raise VerificationError(Code.ENDORSEMENT_STALE, message, remedy="check the clocks")
    items = tuple(map(item_from_dict, listing))
    for item in items:
        item.require_valid_at(now)
    texts = [item.subject.text for item in items]
    if texts != sorted(set(texts)):
        raise _malformed("endorsements twice, or not in order")
    return EndorsementBundle(created_at=created_at, signer=trusted_key, items=items)


def import_bundle(
    path: Path, *, cache: EndorsementCache, trusted_key: VerifyingKey, now: datetime
) -> tuple[EndorsementBundle, Stored]:
    """Put what the bundle at `path` holds into `cache`; all of it or, with an error, nothing.

    Raises:
        StorageError: the file is missing or the disk refuses.
        FormatError, VerificationError: as `open_bundle`.
    """
    data = read_bounded(path, limit=BUNDLE_BYTES_MAX, what="endorsement bundle")
    bundle = open_bundle(data, trusted_key=trusted_key, now=now)
    return bundle, cache.put(bundle.items, now=now)


def _members(payload: Any) -> tuple[datetime, list[Any]]:
    if not isinstance(payload, dict) or payload.keys() != {"format", "created", "items"}:
        raise _malformed("other members than format, created and items")
    if payload["format"] != _FORMAT:
        raise _malformed("of another version")
    listing = payload["items"]
    if not isinstance(listing, list) or not 1 <= len(listing) <= ENDORSEMENTS_MAX:
        raise _malformed(f"other than 1 to {ENDORSEMENTS_MAX} endorsements")
    try:
        return parse_time(payload["created"]), listing
    except (TypeError, ValueError):
        raise _malformed("a time of another form") from None


def _malformed(reason: str) -> FormatError:
    return FormatError(Code.ENDORSEMENT_MALFORMED, f"endorsement bundle: {reason}")
