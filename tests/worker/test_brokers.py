"""What the worker tells all brokers, and what it makes of what they tell it."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest

from sealtune.core.digest import sha256_digest
from sealtune.crypto.signing import SigningKey
from sealtune.errors import Code, ReleaseDenied, SealtuneError, TransportError, VerificationError
from sealtune.protocol.session import Anchor
from sealtune.worker.brokers import Brokers
from sealtune.worker.keys import _newest

ONE, OTHER = (Anchor(step=10, digest=sha256_digest(text)) for text in (b"1", b"2"))


class Line:
    """A way to a broker that answers with an error, and remembers having been asked."""

    def __init__(self, error: SealtuneError) -> None:
        self.error = error
        self.asked = 0

    def ask(self, path: str, body: bytes) -> bytes:
        self.asked += 1
        raise self.error


def brokers(**lines: Line) -> Brokers:
    named = {name: SimpleNamespace(signing=SigningKey.generate().public) for name in lines}
    contract: Any = SimpleNamespace(
        digest=sha256_digest(b""), contract=SimpleNamespace(brokers=named)
    )
    clients: Any = lines
    return Brokers(contract=contract, run_id="00" * 16, clients=clients)


def test_one_that_refuses_does_not_keep_the_others_from_hearing() -> None:
    malicious = Line(ReleaseDenied(Code.NOT_AUTHORIZED, "no"))
    honest = Line(TransportError(Code.BROKER_UNREACHABLE, "gone"))
    with pytest.raises(ReleaseDenied) as caught:
        brokers(aaa=malicious, honest=honest).report({}, digest=sha256_digest(b"r"))
    assert caught.value.code is Code.NOT_AUTHORIZED
    assert honest.asked == 1


def test_one_that_is_away_is_no_failure_but_said() -> None:
    gone = Line(TransportError(Code.BROKER_UNREACHABLE, "gone"))
    assert brokers(gone=gone).anchor(ONE, signing=SigningKey.generate()) is False


def test_the_newest_checkpoint_that_any_broker_knows_counts() -> None:
    later = Anchor(step=20, digest=sha256_digest(b"3"))
    assert _newest([None, ONE, later, ONE]) == later
    assert _newest([None]) is None


def test_two_histories_of_one_run_are_refused() -> None:
    """A malicious broker remembers a fork's checkpoint of the very step that an honest one does."""
    with pytest.raises(VerificationError) as caught:
        _newest([ONE, OTHER])
    assert caught.value.code is Code.CHECKPOINT_ROLLBACK
