"""Kill -9 of worker or broker at every phase: nothing sealed is lost, no run is counted twice."""

from __future__ import annotations

import json
import threading
from pathlib import Path

import pytest

from chain.world import World, kill_worker
from sealtune.bundle.open import open_to_folder
from sealtune.errors import Code, SealtuneError
from sealtune.tee.events import WorkerEvent
from sealtune.worker.exits import PHASES

CHECKPOINTS = {"checkpoint_every_steps": 2, "epochs": 3}


def run_id(output: Path) -> str:
    return json.loads((output / "run.json").read_text())["run_id"]


def adapter(world: World, output: Path, folder: Path) -> bytes:
    """What the recipient gets out of the result."""
    open_to_folder(output / "result.sealed", folder, recipient=world.identities["clinic"])
    return (folder / "adapter_model.safetensors").read_bytes()


@pytest.fixture(scope="module")
def uninterrupted(world: World, tmp_path_factory: pytest.TempPathFactory) -> bytes:
    """The adapter of a run that nobody disturbed."""
    folder = tmp_path_factory.mktemp("uninterrupted")
    world.run(world.agree("uninterrupted", recipe=CHECKPOINTS), folder / "run")
    return adapter(world, folder / "run", folder / "opened")


@pytest.mark.parametrize("phase", PHASES)
def test_a_killed_worker_is_run_again(
    world: World, tmp_path: Path, uninterrupted: bytes, phase: str
) -> None:
    # One run only: if the second attempt counted as another one, it would be denied.
    contract = world.agree(f"kill-{phase}", recipe=CHECKPOINTS, max_runs=1)
    output = tmp_path / "run"
    killed = []

    def kill(event: WorkerEvent) -> None:
        if event.event == "phase" and event.phase == phase:
            killed.append(kill_worker(run_id(output)))

    # A worker that is killed in its last phase may have ended well before the signal came.
    try:
        world.run(contract, output, on_event=kill)
    except SealtuneError as error:
        assert error.code is Code.WORKER_FAILED
        assert not (output / "receipt.json").exists() or phase == "report"
    assert killed
    outcome = world.run(contract, output)
    assert outcome.reported
    assert adapter(world, output, tmp_path / "opened") == uninterrupted
    assert not list(output.glob("checkpoint-*"))
    assert not list(output.glob(".*.part"))


def test_what_a_killed_worker_was_writing_is_cleared(world: World, tmp_path: Path) -> None:
    output = tmp_path / "run"
    output.mkdir()
    (output / ".result.sealed.0123456789ab.part").write_bytes(b"half")
    world.run(world.agree("cleared"), output)
    assert not list(output.glob(".*.part"))


def test_the_run_of_a_killed_worker_counts_once(world: World, tmp_path: Path) -> None:
    contract = world.agree("counted", max_runs=1)
    output = tmp_path / "run"

    def kill(event: WorkerEvent) -> None:
        if event.event == "phase" and event.phase == "open":
            kill_worker(run_id(output))

    with pytest.raises(SealtuneError):
        world.run(contract, output, on_event=kill)
    with pytest.raises(SealtuneError) as refused:
        world.run(contract, tmp_path / "another")
    assert refused.value.code is Code.DENIED_RUNS
    assert world.run(contract, output).reported


def test_training_resumes_from_its_newest_checkpoint(world: World, tmp_path: Path) -> None:
    # Long enough that a signal is quicker than the end of the run.
    contract = world.agree("resume", recipe={"checkpoint_every_steps": 2, "epochs": 30})
    whole, output = tmp_path / "whole", tmp_path / "run"
    world.run(contract, whole)

    seen: set[str] = set()

    def kill_late(event: WorkerEvent) -> None:
        if event.event == "progress":
            seen.update(path.name for path in output.glob("checkpoint-*.sealed"))
            # They are kept beside the training: once there is a second, brokers know the first.
            if len(seen) > 1:
                kill_worker(run_id(output))

    with pytest.raises(SealtuneError) as killed:
        world.run(contract, output, on_event=kill_late)
    assert killed.value.code is Code.WORKER_FAILED
    kept = sorted(output.glob("checkpoint-*.sealed"))
    assert kept
    known = int(min(seen)[-15:-7])
    steps: list[int] = []

    def remember(event: WorkerEvent) -> None:
        if event.event == "progress":
            steps.append(event.step)

    world.run(contract, output, on_event=remember)
    assert min(steps) > known
    resumed = adapter(world, output, tmp_path / "opened")
    assert resumed == adapter(world, whole, tmp_path / "opened-whole")


@pytest.mark.parametrize("phase", PHASES)
def test_a_killed_broker_comes_back(
    world: World, tmp_path: Path, uninterrupted: bytes, phase: str
) -> None:
    contract = world.agree(f"broker-{phase}", recipe=CHECKPOINTS, max_runs=1)
    output = tmp_path / "run"
    broker = world.brokers["hospital-broker"]
    restarts: list[threading.Timer] = []

    def kill(event: WorkerEvent) -> None:
        if event.event == "phase" and event.phase == phase:
            broker.kill()
            restarts.append(threading.Timer(0.5, broker.start))
            restarts[0].start()

    try:
        world.run(contract, output, on_event=kill)
    except SealtuneError as error:
        assert error.code is Code.BROKER_UNREACHABLE
    finally:
        restarts[0].join()
    outcome = world.run(contract, output)
    assert outcome.reported
    assert adapter(world, output, tmp_path / "opened") == uninterrupted


def test_a_broker_that_is_down_is_named(world: World, tmp_path: Path) -> None:
    contract = world.agree("down")
    brokers = {name: broker.address for name, broker in world.brokers.items()}
    brokers["modelworks-broker"] = "http://127.0.0.1:9"
    with pytest.raises(SealtuneError) as refused:
        world.run(contract, tmp_path / "run", brokers=brokers)
    assert refused.value.code is Code.BROKER_UNREACHABLE
    assert "modelworks-broker" in refused.value.message
    assert refused.value.remedy
    # The same folder, once the broker is there: the run that the other broker counted goes on.
    assert world.run(contract, tmp_path / "run").reported


def test_two_launchers_do_not_share_a_folder(world: World, tmp_path: Path) -> None:
    contract = world.agree("shared")
    output = tmp_path / "run"
    codes: list[Code] = []

    def again(event: WorkerEvent) -> None:
        if event.event == "phase" and event.phase == "inputs":
            with pytest.raises(SealtuneError) as refused:
                world.run(contract, output)
            codes.append(refused.value.code)

    world.run(contract, output, on_event=again)
    assert codes == [Code.CONFIG_INVALID]


def test_a_folder_holds_one_contracts_run(world: World, tmp_path: Path) -> None:
    first, second = world.agree("first"), world.agree("second")
    world.run(first, tmp_path / "run")
    with pytest.raises(SealtuneError) as refused:
        world.run(second, tmp_path / "run")
    assert refused.value.code is Code.CONFIG_INVALID


def test_a_stopped_launcher_leaves_nothing_running(world: World, tmp_path: Path) -> None:
    contract = world.agree("stopped")
    output = tmp_path / "run"

    def interrupt(event: WorkerEvent) -> None:
        if event.event == "phase" and event.phase == "train":
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        world.run(contract, output, on_event=interrupt)
    assert kill_worker(run_id(output)) == 0
    assert world.run(contract, output).reported


def test_a_time_limit_ends_the_worker(world: World, tmp_path: Path) -> None:
    contract = world.agree("limit")
    with pytest.raises(SealtuneError) as stopped:
        world.run(contract, tmp_path / "run", timeout_seconds=0.5)
    assert stopped.value.code is Code.WORKER_FAILED
    assert kill_worker(run_id(tmp_path / "run")) == 0
