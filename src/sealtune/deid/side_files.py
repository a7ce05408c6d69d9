"""What a shard leaves beside its part: the state of its risk meter, and a sealed part of the vault.

A meter's state is bytes that Python would run, so it has a tag under the owner's key, without which
it is not read. It holds counters and keyed hashes, no text.
"""

from __future__ import annotations

import hmac
import pickle
from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Final

from sealtune.core.files import storage_errors
from sealtune.errors import Code, VerificationError

if TYPE_CHECKING:
    from sealtune.deid.key import DeidKey
    from sealtune.deid.risk import RiskMeter

RISK: Final = "risk"
VAULT: Final = "vault"
_TAG_BYTES: Final = 32


def seal_meter(meter: RiskMeter, *, key: DeidKey) -> bytes:
    """Return the state of `meter` behind its tag."""
    state = pickle.dumps(meter)
    return _tag(state, key) + state


def merge_meters(paths: Iterable[Path], meter: RiskMeter, *, key: DeidKey) -> RiskMeter:
    """Return `meter` with the meters in the files `paths` added, in their order.

    Raises:
        VerificationError: a file was changed, or is of another key.
        StorageError: one cannot be read.
    """
    for path in paths:
        with storage_errors(path):
            data = path.read_bytes()
        tag, state = data[:_TAG_BYTES], data[_TAG_BYTES:]
        if not hmac.compare_digest(tag, _tag(state, key)):
            message = f"{path}: changed since it was written"
            remedy = "run the same command with --restart"
            raise VerificationError(Code.SCRATCH_FORGED, message, remedy=remedy)
        meter.merge(pickle.loads(state))  # noqa: S301 - only what we wrote has the tag
    return meter


def _tag(state: bytes, key: DeidKey) -> bytes:
    return hmac.digest(key.subkey("meter-state").reveal(), state, "sha256")
