"""Whole measurements of the tiny model: every program runs, and the figures are of what ran."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

import sealtune
from sealtune.cli.output import plain
from sealtune.errors import Code, ConfigError, TrainingError

STEPS = 2


def _options(folder: Path, **changes: Any) -> sealtune.BenchOptions:
    values: dict[str, Any] = {
        "model": "tiny",
        "data": "fixed:16",
        "compare": sealtune.Compare.HF_PEFT,
        "sealed": False,
        "work_dir": folder,
        "pairs": 2,
        "steps": STEPS,
        "records_per_step": 4,
        "threads": 1,
        "peer_setting": "bf16-weights-autocast/micro-2/random",
    }
    return sealtune.BenchOptions(**(values | changes))


def _quiet(what: str, done: int, total: int) -> None:
    assert what
    assert 0 <= done <= total or not total


@pytest.mark.slow
def test_a_sealed_run_is_measured_beside_the_peer(tmp_path: Path) -> None:
    report = sealtune.bench_train(_options(tmp_path, sealed=True, data="chat"), on_progress=_quiet)
    assert report.insecure_simulated
    assert report.pairs == len(report.runs) == 2
    assert report.ratio_min <= report.ratio <= report.ratio_max
    assert report.tokens_per_second > 0 < report.peer_tokens_per_second
    assert report.peer_setting == "bf16-weights-autocast/micro-2/random"
    assert 0 < report.peer_padding < 1
    for pair in report.runs:
        assert pair.ours.peak_memory_bytes > 100 * 2**20 < pair.peer.peak_memory_bytes
        assert pair.ours.time_to_first_step_seconds > 0 < pair.peer.time_to_first_step_seconds
    assert report.settings["checkpoint_every_steps"] == 2
    assert report.gemm_share > 0
    # What `--json` prints.
    assert json.loads(json.dumps(plain(report)))["ratio"] == report.ratio
    assert [path.name for path in tmp_path.iterdir()] == ["models"]


def test_the_sealed_path_is_measured_beside_plaintext(tmp_path: Path) -> None:
    options = _options(tmp_path, sealed=True, compare=sealtune.Compare.PLAINTEXT, pairs=1)
    report = sealtune.bench_train(options, on_progress=_quiet)
    (pair,) = report.runs
    # Records of one length: both count the same tokens in the steps after the warm-up.
    assert pair.ours.tokens == pair.peer.tokens == STEPS * 4 * 16
    assert report.ratio == pair.ratio


def test_without_a_peer_there_is_no_ratio(tmp_path: Path) -> None:
    report = sealtune.bench_train(
        _options(tmp_path, compare=sealtune.Compare.NONE, pairs=1), on_progress=_quiet
    )
    assert report.ratio is report.peer_tokens_per_second is report.peer_setting is None
    assert not report.insecure_simulated


def test_a_profile_says_what_each_step_is_made_of(tmp_path: Path) -> None:
    script = Path(__file__).parents[3] / "benchmarks" / "profile_training.py"
    found = tmp_path / "found.json"
    options = ["--model", "tiny", "--data", "fixed:16", "--steps", "1", "--records-per-step", "4"]
    options += ["--peer-setting", "bf16-weights/micro-2/random", "--operators", "3"]
    command = [sys.executable, str(script), *options, "--work-dir", str(tmp_path)]
    done = subprocess.run(
        [*command, "--json", str(found)], capture_output=True, text=True, check=True
    )
    assert done.stdout.startswith("| ms per 1,000 tokens | sealtune | Trainer with PEFT |")
    for side in json.loads(found.read_text()).values():
        assert side["tokens"] == 4 * 16
        assert 0 < side["operators"]["mm"] < side["seconds"]
        assert sum(side["operators"].values()) < side["seconds"]


def test_both_learn_alike(tmp_path: Path) -> None:
    report = sealtune.check_losses(_options(tmp_path, steps=12), on_progress=_quiet)
    assert report.steps == len(report.losses) == len(report.peer_losses) == 12
    assert 0 < report.largest_relative_difference < 1e-3
    assert report.mean_relative_difference <= report.largest_relative_difference


def test_a_run_that_fails_says_what_it_said_and_keeps_its_log(tmp_path: Path) -> None:
    options = _options(tmp_path, compare=sealtune.Compare.NONE, max_length=4_096)
    with pytest.raises(TrainingError) as failed:
        sealtune.bench_train(options, on_progress=_quiet)
    assert failed.value.code is Code.BENCH_FAILED
    assert "positions" in failed.value.message
    log = Path(failed.value.remedy.removeprefix("see "))
    assert "4096" in log.read_text()


@pytest.mark.parametrize(
    "changes",
    [
        {"compare": sealtune.Compare.PLAINTEXT},
        {"compare": sealtune.Compare.RESIDENT},
        {"peer_setting": "fastest"},
        {"model": "tiny-er"},
        {"data": "chatter"},
        {"data": "medical"},
        {"data": "fixed:4096", "records_per_step": 64},
    ],
)
def test_what_makes_no_sense_is_refused_before_anything_runs(
    changes: dict[str, Any], tmp_path: Path
) -> None:
    with pytest.raises(ConfigError) as refused:
        sealtune.bench_train(_options(tmp_path, **changes), on_progress=_quiet)
    assert refused.value.code is Code.CONFIG_INVALID
    assert refused.value.remedy
    assert not list(tmp_path.rglob("job.json"))


def test_a_run_under_a_limit_is_measured_beside_one_without(tmp_path: Path) -> None:
    options = _options(tmp_path, compare=sealtune.Compare.RESIDENT, memory_limit=4 * 2**30, pairs=1)
    report = sealtune.bench_train(options, on_progress=_quiet)
    (pair,) = report.runs
    assert report.settings["memory_cap"] == pair.ours.memory_cap != "none"
    assert pair.peer.memory_cap == "none"
    assert report.peer_setting == "sealtune in plaintext, no memory limit"
