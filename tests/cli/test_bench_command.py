"""What `sealtune bench train` passes on and prints; measurements have tests of their own."""

from __future__ import annotations

from pathlib import Path

import pytest

import sealtune
from cli.said import Sealtune
from sealtune.testing.bench.figures import Pair, RunFigures
from sealtune.testing.bench.report import BenchReport, LossReport
from sealtune.testing.bench.settings import Trial

KEYS = {
    "tokens_per_second",
    "peer_tokens_per_second",
    "ratio",
    "ratio_min",
    "ratio_max",
    "peak_memory_bytes",
    "peer_setting",
}
_RUN = RunFigures(tokens=90, seconds=3, peak_memory_bytes=2**30, time_to_first_step_seconds=4)
REPORT = BenchReport(
    model="smollm2-135m",
    data="chat",
    compare="hf-peft",
    sealed=True,
    insecure_simulated=True,
    tokens_per_second=1_234.0,
    peer_tokens_per_second=400.0,
    ratio=3.08,
    ratio_min=2.9,
    ratio_max=3.3,
    peak_memory_bytes=2**30,
    peer_peak_memory_bytes=5 * 2**30,
    peer_setting="bf16-autocast/micro-4/grouped",
    peer_trials=(Trial(setting="bf16-autocast/micro-4/grouped", tokens_per_second=401.0),),
    peer_padding=0.2,
    time_to_first_step_seconds=9.0,
    peer_time_to_first_step_seconds=11.0,
    pairs=1,
    steps=6,
    gemm_flops_per_second=1.5e12,
    gemm_share=0.47,
    settings={"threads": 2},
    machine={"processor": "a processor", "cores": 2},
    runs=(Pair(ours=_RUN, peer=_RUN),),
)
LOSSES = LossReport(
    model="smollm2-135m",
    data="fixed:128",
    steps=2,
    largest_relative_difference=0.004,
    mean_relative_difference=0.001,
    final_loss=7.0,
    peer_final_loss=7.01,
    losses=(8.0, 7.0),
    peer_losses=(8.0, 7.01),
    settings={},
    machine={},
)


@pytest.fixture
def asked(monkeypatch: pytest.MonkeyPatch) -> list[sealtune.BenchOptions]:
    """What the command asked to be measured; nothing is."""
    options: list[sealtune.BenchOptions] = []

    def measure(given: sealtune.BenchOptions, *, on_progress: object) -> BenchReport:
        options.append(given)
        return REPORT

    def check(given: sealtune.BenchOptions, *, on_progress: object) -> LossReport:
        options.append(given)
        return LOSSES

    monkeypatch.setattr(sealtune, "bench_train", measure)
    monkeypatch.setattr(sealtune, "check_losses", check)
    return options


def test_json_has_the_agreed_keys(asked: list[object], sealtune_: Sealtune) -> None:
    said = sealtune_("bench", "train", "--model", "smollm2-135m", "--data", "chat", "--json").json
    assert said.keys() >= KEYS
    assert said["ratio"] == 3.08
    assert said["insecure_simulated"] is True
    assert said["peer_trials"][0]["setting"] == REPORT.peer_setting
    assert said["runs"][0]["ours"]["tokens"] == 90


def test_people_read_a_table(asked: list[object], sealtune_: Sealtune) -> None:
    said = sealtune_("bench", "train", "--model", "smollm2-135m", "--data", "chat")
    for text in ("INSECURE", "1,234", "1.0 GiB", "5.0 GiB", "3.08 (2.90 to 3.30", "47%", "bf16-au"):
        assert text in said.out


def test_options_are_passed_on(asked: list[sealtune.BenchOptions], sealtune_: Sealtune) -> None:
    arguments = ["--compare", "resident", "--plain", "--pairs", "7", "--steps", "3"]
    arguments += ["--records-per-step", "8", "--threads", "2", "--memory-limit", str(2**30)]
    arguments += ["--work-dir", "there", "--data-dir", "here", "--data", "chat"]
    assert sealtune_("bench", "train", "--model", "minilm", *arguments).status == 0
    assert asked == [
        sealtune.BenchOptions(
            model="minilm",
            data="chat",
            compare=sealtune.Compare.RESIDENT,
            sealed=False,
            work_dir=Path("there"),
            data_dir=Path("here"),
            pairs=7,
            steps=3,
            records_per_step=8,
            threads=2,
            memory_limit=2**30,
        )
    ]


def test_losses_are_compared_over_200_steps(
    asked: list[sealtune.BenchOptions], sealtune_: Sealtune
) -> None:
    said = sealtune_("bench", "train", "--model", "smollm2-135m", "--check", "loss")
    assert (asked[0].steps, asked[0].data) == (200, "fixed:128")
    assert "0.4000%" in said.out
    assert "0.1000%" in said.out


def test_an_unknown_shape_is_refused_with_a_remedy(sealtune_: Sealtune, tmp_path: Path) -> None:
    said = sealtune_("bench", "train", "--model", "gpt-9", "--work-dir", tmp_path, "--json")
    assert said.status == 3
    assert said.error["code"] == "config-invalid"
    assert "smollm2-135m" in said.error["remedy"]


def test_missing_abstracts_are_an_error_with_a_remedy(sealtune_: Sealtune, tmp_path: Path) -> None:
    arguments = ["--model", "minilm", "--data", "medical", "--data-dir", tmp_path, "--json"]
    said = sealtune_("bench", "train", "--work-dir", tmp_path, *arguments)
    assert said.error["code"] == "file-missing"
    assert "--data-dir" in said.error["remedy"]


def test_comparisons_are_the_ones_that_there_are() -> None:
    from sealtune.cli.bench import _COMPARISONS

    assert set(sealtune.Compare) == set(_COMPARISONS)
