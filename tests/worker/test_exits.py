"""What leaves the worker: only classified events, only what the contract lets out."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import textwrap

import pytest
import torch

from sealtune.contract.schema import TelemetryKind
from sealtune.errors import Code, FormatError, ReleaseDenied, TrainingError
from sealtune.worker.exits import Exits


@pytest.fixture
def pipe():
    reader, writer = os.pipe()
    yield reader, writer
    os.close(reader)


def events(pipe: tuple[int, int]) -> list[dict[str, object]]:
    os.close(pipe[1])
    with os.fdopen(os.dup(pipe[0])) as stream:
        return [json.loads(line) for line in stream]


def test_no_telemetry_means_phases_only(pipe) -> None:
    exits = Exits(pipe[1], insecure=False)
    exits.phase("train")
    exits.progress(1, 2, 100)
    exits.progress(2, 2, 200)
    exits.loss(1, 0.5)
    exits.evaluation(1, {"accuracy": 0.5})
    assert events(pipe) == [{"event": "phase", "phase": "train"}]


@pytest.mark.parametrize("allowed", ["progress", "rates", "loss", "evaluation"])
def test_only_the_agreed_telemetry_leaves(pipe, allowed: str) -> None:
    times = iter([0.0, 2.0])
    exits = Exits(pipe[1], insecure=False, seconds=lambda: next(times))
    exits.allow(frozenset({allowed}))
    exits.progress(1, 2, 100)
    if allowed == "rates":
        exits.progress(5, 9, 200)
    exits.loss(1, 0.123456)
    exits.evaluation(1, {"accuracy": 0.123456})
    assert [event["event"] for event in events(pipe)] == [allowed]


def test_every_kind_of_telemetry_that_a_contract_names_is_one_of_an_exit(pipe) -> None:
    times = iter([0.0, 2.0])
    exits = Exits(pipe[1], insecure=False, seconds=lambda: next(times))
    exits.allow(frozenset(TelemetryKind))
    exits.progress(1, 9, 100)
    exits.progress(5, 9, 100)
    exits.loss(1, 0.1)
    exits.evaluation(1, {})
    assert {event["event"] for event in events(pipe)} == set(TelemetryKind)


def test_rates_are_means_of_at_least_a_second_in_round_figures(pipe) -> None:
    times = iter([10.0, 10.5, 12.0, 12.9, 13.0])
    exits = Exits(pipe[1], insecure=False, seconds=lambda: next(times))
    exits.allow(frozenset({"rates"}))
    # A resumed run: what was trained on before is no speed.
    for step, tokens in enumerate([5000, 5100, 5301, 5400, 5500]):
        exits.progress(7 + 5 * step, 40, tokens)
    seen = events(pipe)
    assert [event["tokens_per_second"] for event in seen] == [150, 199]
    for event in seen:
        assert event.keys() == {"event", "tokens_per_second", "memory_bytes"}
        assert event["memory_bytes"] > 0
        assert event["memory_bytes"] % 2**20 == 0


def test_no_rate_tells_the_tokens_of_one_step(pipe) -> None:
    # Steps of two seconds: each alone would be its own mean.
    times = iter([2.0 * step for step in range(10)])
    exits = Exits(pipe[1], insecure=False, seconds=lambda: next(times))
    exits.allow(frozenset({"rates"}))
    totals = [0, 10, 30, 60, 100, 101, 103, 106, 110, 900]
    for step, tokens in enumerate(totals, start=1):
        exits.progress(step, 10, tokens)
    # (100 - 0) / 8 s and (110 - 100) / 8 s; the last step joins nothing yet.
    assert [event["tokens_per_second"] for event in events(pipe)] == [12, 1]


def test_unclassified_phases_are_a_mistake(pipe) -> None:
    with pytest.raises(ValueError, match="classified"):
        Exits(pipe[1], insecure=False).phase("row 17 of patients.csv")
    os.close(pipe[1])


def test_errors_that_may_describe_data_leave_as_codes_once_keys_are_here(pipe) -> None:
    exits = Exits(pipe[1], insecure=False)
    error = FormatError(Code.RECORD_MALFORMED, "record 17 says CANARY")
    exits.phase("open")
    assert exits.failed(error) == FormatError.exit_status
    exits.keys_released()
    exits.failed(error)
    exits.failed(TrainingError(Code.LOSS_NOT_FINITE, "CANARY"))
    exits.failed(RuntimeError("CANARY"))
    exits.failed(ReleaseDenied(Code.DENIED_RUNS, "no run is left"))
    seen = events(pipe)
    assert "CANARY" in seen[1]["message"]
    assert "CANARY" not in json.dumps(seen[2:])
    assert [event["code"] for event in seen[2:]] == [
        "record-malformed",
        "loss-not-finite",
        "internal",
        "denied-runs",
    ]
    assert seen[-1]["message"] == "no run is left"


def test_want_of_memory_has_a_code_of_its_own(pipe) -> None:
    exits = Exits(pipe[1], insecure=False)
    exits.failed(MemoryError())
    with pytest.raises(RuntimeError) as refused:
        torch.empty(2**50)
    exits.failed(refused.value)
    assert [event["code"] for event in events(pipe)] == ["memory-exceeded"] * 2


def test_a_simulated_run_says_so_on_every_line(pipe) -> None:
    exits = Exits(pipe[1], insecure=True)
    exits.phase("train")
    exits.finished("sha256:0", reported=True)
    assert all(event["insecure"] is True for event in events(pipe))


def test_a_reader_that_went_away_stops_nothing() -> None:
    reader, writer = os.pipe()
    os.close(reader)
    Exits(writer, insecure=False).phase("train")
    os.close(writer)


def test_libraries_cannot_print() -> None:
    script = """
        import os, sys, warnings
        from sealtune.worker.exits import Exits, close_standard_streams
        exits = Exits(close_standard_streams(), insecure=False)
        print("CANARY"); sys.stderr.write("CANARY"); os.write(2, b"CANARY"); warnings.warn("CANARY")
        exits.phase("train")
        sys.stdout.flush()
        raise RuntimeError("CANARY")
    """
    done = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(script)], capture_output=True, check=False
    )
    assert json.loads(done.stdout) == {"event": "phase", "phase": "train"}
    assert done.stderr == b""
