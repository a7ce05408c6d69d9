"""The state of a meter is bytes that Python would run: nothing but our own is ever read."""

from __future__ import annotations

from pathlib import Path

import pytest

from sealtune.deid.config import PROFILES
from sealtune.deid.engine import risk_meter
from sealtune.deid.key import DeidKey
from sealtune.deid.side_files import merge_meters, seal_meter
from sealtune.errors import Code, VerificationError

HIPAA = PROFILES["hipaa-safe-harbor"]
KEY, OTHER = DeidKey(bytes(32)), DeidKey(bytes([1]) * 32)


def merged(path: Path, key: DeidKey = KEY):
    return merge_meters([path], risk_meter(HIPAA, key), key=key)


def test_what_was_sealed_is_added(tmp_path: Path) -> None:
    meter = risk_meter(HIPAA, KEY)
    meter.add({"text": "a"}, {"text": "a"}, [])
    path = tmp_path / "one.risk"
    path.write_bytes(seal_meter(meter, key=KEY))
    assert merged(path).result().records == 1


class _Planted:
    """Runs when it is unpickled, as an intruder's would."""

    def __reduce__(self) -> tuple[object, tuple[object, ...]]:
        return Path.touch, (Path(_Planted.place),)

    place = ""


@pytest.mark.parametrize("tag", ["none", "another key's", "cut"])
def test_what_was_not_sealed_is_refused_and_never_runs(tag: str, tmp_path: Path) -> None:
    _Planted.place = str(tmp_path / "ran")
    data = seal_meter(_Planted(), key=OTHER)  # type: ignore[arg-type]
    forged = {"none": bytes(32) + data[32:], "another key's": data, "cut": data[:20]}[tag]
    path = tmp_path / "one.risk"
    path.write_bytes(forged)
    with pytest.raises(VerificationError) as caught:
        merged(path)
    assert caught.value.code is Code.SCRATCH_FORGED
    assert not Path(_Planted.place).exists()
