"""The whole chain with real processes: sealed inputs in, an adapter for the recipient out."""

from __future__ import annotations

from pathlib import Path

from chain.world import CANARY, World
from sealtune.tee.events import WorkerEvent


def test_run_to_receipt(world: World, tmp_path: Path) -> None:
    contract = world.agree("whole")
    events: list[WorkerEvent] = []
    outcome = world.run(contract, tmp_path / "run", on_event=events.append)
    print(outcome)
    assert outcome.insecure
    assert outcome.reported
    assert CANARY.encode() not in outcome.result.read_bytes()
    assert all(event.insecure for event in events[1:])
