"""An item as JSON, in a cache's file and in a bundle: the same members, read by the same function.

subject   what it is (`subjects`)
type      how a verifier reads it
data      its bytes, base64url
source    the address that it came from
fetched   when
begins, ends   its validity: for people; what counts is read from the bytes
"""

from __future__ import annotations

from typing import Any, Final

from sealtune.broker.endorsements.items import Item, make_item
from sealtune.broker.endorsements.subjects import parse_subject
from sealtune.core.clock import format_time, parse_time
from sealtune.core.limits import ENDORSEMENT_BYTES_MAX
from sealtune.crypto.encoding import b64decode, b64encode
from sealtune.errors import Code, FormatError

_MEMBERS: Final = frozenset({"subject", "type", "data", "source", "fetched", "begins", "ends"})
_SOURCE_MAX: Final = 2_048
_DATA_TEXT_MAX: Final = ENDORSEMENT_BYTES_MAX // 3 * 4 + 4


def item_to_dict(item: Item) -> dict[str, Any]:
    """Return `item` as a JSON object."""
    return {
        "subject": item.subject.text,
        "type": str(item.endorsement.type),
        "data": b64encode(item.endorsement.data),
        "source": item.source,
        "fetched": format_time(item.fetched_at),
        "begins": format_time(item.window.begins),
        "ends": format_time(item.window.ends),
    }


def item_from_dict(value: object) -> Item:
    """Return the item that the JSON object `value` is, examined.

    Raises:
        FormatError: missing or unknown members, or bytes that cannot be read.
        VerificationError: the bytes are not what `subject`, `type`, `begins` and `ends` say.
    """
    if not isinstance(value, dict) or value.keys() != _MEMBERS:
        raise _malformed("other members than an endorsement has")
    source, data = value["source"], value["data"]
    if not isinstance(source, str) or len(source) > _SOURCE_MAX:
        raise _malformed("a source that is no short text")
    if not isinstance(data, str) or len(data) > _DATA_TEXT_MAX:
        raise _malformed("more bytes than an endorsement has")
    try:
        fetched_at = parse_time(value["fetched"])
    except (TypeError, ValueError):
        raise _malformed("a time of another form") from None
    item = make_item(
        parse_subject(value["subject"]),
        b64decode(data, what="endorsement", code=Code.ENDORSEMENT_MALFORMED),
        source=source,
        fetched_at=fetched_at,
    )
    # One spelling: what people read beside the bytes is what the bytes say.
    if item_to_dict(item) != value:
        raise _malformed("bytes that are not what is written beside them")
    return item


def _malformed(reason: str) -> FormatError:
    return FormatError(Code.ENDORSEMENT_MALFORMED, f"endorsement: {reason}")
