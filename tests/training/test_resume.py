"""A run that was cut ends with the bytes of one that was not; a run that fails says why."""

from __future__ import annotations

import contextlib
from pathlib import Path
from typing import Any

import pytest
import torch
from tiny_models import LABELS, FolderWeights, Recorder, labelled_records, text_records

from sealtune.errors import Code, FormatError, SealtuneError, TrainingError
from sealtune.training.encode import encode_records
from sealtune.training.engine.flat import FlatParameters, Slot
from sealtune.training.recipe import Recipe
from sealtune.training.sources import TrainResult
from sealtune.training.state import TrainingState
from sealtune.training.tokens import load_tokenizer
from sealtune.training.train import train


def labelled_recipe(**changes: Any) -> Recipe:
    values: dict[str, Any] = {
        "task": "text-classification",
        "method": "lora",
        "labels": LABELS,
        "epochs": 2,
        "batch_size": 4,
        "gradient_accumulation": 2,
        "max_length": 16,
        "learning_rate": 5e-3,
        "evaluation_fraction": 0.25,
        "checkpoint_every_steps": 2,
        "lora_dropout": 0.1,
        "lora_rank": 4,
        "threads": 1,
    }
    return Recipe(**{**values, **changes})


def run(
    recipe: Recipe,
    folder: Path,
    recorder: Recorder,
    records: list[dict[str, object]] | None = None,
) -> TrainResult:
    if records is None:
        records = labelled_records(40) if recipe.labels else text_records(40)
    return train(
        recipe,
        weights=FolderWeights(folder),
        records=records,
        checkpoints=recorder,
        telemetry=recorder,
    )


@pytest.mark.parametrize(
    "changes",
    [
        {},
        {"precision": "bf16"},
        {"method": "full", "learning_rate": 1e-3},
        {"early_stopping_patience": 2, "evaluation_every_steps": 1, "learning_rate": 2e-3},
    ],
    ids=["lora", "bf16", "full", "early-stopping"],
)
@pytest.mark.parametrize("cut", [3, 5])
def test_resumed_run_ends_with_the_same_bytes(
    changes: dict[str, Any], cut: int, bert: Path
) -> None:
    recipe = labelled_recipe(**changes)
    whole = run(recipe, bert, Recorder())
    first = Recorder(die_after=cut)
    with pytest.raises(KeyboardInterrupt):
        run(recipe, bert, first)
    second = Recorder()
    second.saved = first.saved
    resumed = run(recipe, bert, second)
    assert len(second.losses) < whole.counts["optimizer_steps"]
    assert resumed.files == whole.files
    assert resumed.metrics == whole.metrics
    assert resumed.counts == whole.counts


def test_language_model_resumes_alike(llama: Path) -> None:
    recipe = labelled_recipe(task="causal-lm", labels=(), weight_decay=0.01)
    whole = run(recipe, llama, Recorder())
    first = Recorder(die_after=4)
    with pytest.raises(KeyboardInterrupt):
        run(recipe, llama, first)
    second = Recorder()
    second.saved = first.saved
    assert run(recipe, llama, second).files == whole.files


def test_resume_after_the_last_step_only_exports(bert: Path) -> None:
    recipe = labelled_recipe()
    first = Recorder()
    whole = run(recipe, bert, first)
    assert max(first.saved) == whole.counts["optimizer_steps"]
    second = Recorder()
    second.saved = first.saved
    assert run(recipe, bert, second).files == whole.files
    assert not second.losses


def test_same_recipe_same_bytes_and_other_seed_other_bytes(bert: Path) -> None:
    recipe = labelled_recipe(epochs=1)
    torch.manual_seed(99)  # what the process did before must not matter
    one = run(recipe, bert, Recorder())
    torch.manual_seed(100)
    two = run(recipe, bert, Recorder())
    other = run(labelled_recipe(epochs=1, seed=1), bert, Recorder())
    assert one.files == two.files
    assert one.files["adapter_model.safetensors"] != other.files["adapter_model.safetensors"]


def test_process_wide_settings_are_put_back(bert: Path) -> None:
    torch.manual_seed(4)
    before = (torch.get_rng_state().tolist(), torch.get_num_threads())
    torch.use_deterministic_algorithms(False)
    result = run(labelled_recipe(epochs=1, threads=2), bert, Recorder())
    assert result.counts["threads"] == 2
    assert (torch.get_rng_state().tolist(), torch.get_num_threads()) == before
    assert not torch.are_deterministic_algorithms_enabled()


def test_checkpoint_of_another_run_is_refused(bert: Path) -> None:
    first = Recorder()
    run(labelled_recipe(epochs=1), bert, first)
    for recipe, records in [
        (labelled_recipe(epochs=1, seed=1), labelled_records(40)),
        (labelled_recipe(epochs=1), labelled_records(41)),
    ]:
        second = Recorder()
        second.saved = first.saved
        with pytest.raises(TrainingError) as caught:
            run(recipe, bert, second, records)
        assert caught.value.code is Code.CHECKPOINT_FOREIGN


@pytest.mark.parametrize("damage", [b"", b"junk", b"\x00" * 64, b"\xff" * 64])
def test_unreadable_checkpoint_is_refused(damage: bytes, bert: Path) -> None:
    recorder = Recorder()
    recorder.saved = {2: damage}
    with pytest.raises(TrainingError) as caught:
        run(labelled_recipe(), bert, recorder)
    assert caught.value.code is Code.CHECKPOINT_FOREIGN


def test_early_stopping_reports_the_best_evaluation(bert: Path) -> None:
    # A rate at which the tiny model soon gets worse.
    recipe = labelled_recipe(
        epochs=10,
        learning_rate=0.2,
        early_stopping_patience=2,
        evaluation_every_steps=1,
        checkpoint_every_steps=0,
    )
    recorder = Recorder()
    result = run(recipe, bert, recorder)
    losses = [metrics["loss"] for step, metrics in recorder.evaluations if step]
    best = losses.index(min(losses))
    assert len(losses) == best + 3
    assert result.counts["optimizer_steps"] == best + 3
    assert recorder.steps[-1][0] < recorder.steps[-1][1]
    assert result.metrics["loss_after"] == min(losses)


def test_early_stopping_counts_evaluations_in_a_row() -> None:
    slot = Slot(name="weight", shape=(1,), scale=0.5)
    parameters = FlatParameters([slot], dtype=torch.float32, device=torch.device("cpu"))
    state = TrainingState()
    for loss in (3.0, 4.0, 2.0, 3.0):
        parameters.values.fill_(loss)
        state.judge({"loss": loss}, parameters, patience=2)
        assert not state.stopped
    state.judge({"loss": 2.0}, parameters, patience=2)  # no lower is no gain
    assert state.stopped
    state.restore_best(parameters)
    assert parameters.value("weight").item() == 2.0
    assert parameters.computed("weight").item() == 1.0
    assert state.evaluation_after == {"loss": 2.0}


def test_early_stopping_needs_something_to_evaluate(bert: Path) -> None:
    recipe = labelled_recipe(early_stopping_patience=1, evaluation_fraction=0.0)
    with pytest.raises(TrainingError) as caught:
        run(recipe, bert, Recorder())
    assert caught.value.code is Code.RECIPE_UNSUPPORTED


@pytest.mark.parametrize("fraction", [0.0, 0.25])
def test_loss_that_is_not_finite(fraction: float, bert: Path) -> None:
    weights = FolderWeights(bert)
    weights.put("encoder.layer.1.output.dense.bias", torch.full((32,), float("nan")))
    recorder = Recorder()
    with pytest.raises(TrainingError) as caught:
        train(
            labelled_recipe(evaluation_fraction=fraction),
            weights=weights,
            records=labelled_records(20),
            checkpoints=recorder,
            telemetry=recorder,
        )
    assert caught.value.code is Code.LOSS_NOT_FINITE
    assert not recorder.losses
    assert not recorder.evaluations
    assert not recorder.saved


def refusal(recipe: Recipe, folder: Path, records: list[dict[str, object]]) -> SealtuneError:
    with pytest.raises(SealtuneError) as caught:
        run(recipe, folder, Recorder(), records)
    return caught.value


def test_no_records(bert: Path) -> None:
    error = refusal(labelled_recipe(), bert, [])
    assert (type(error), error.code) == (FormatError, Code.RECORDS_EMPTY)


def test_longer_than_the_models_positions(bert: Path) -> None:
    error = refusal(labelled_recipe(max_length=131), bert, labelled_records(4))
    assert error.code is Code.RECIPE_UNSUPPORTED
    assert "130" in error.remedy


@pytest.mark.parametrize("held_out", [[], labelled_records(8)], ids=["training", "evaluation"])
@pytest.mark.parametrize("missing", [0, 1])
def test_tokenizer_of_another_model(
    missing: int, held_out: list[dict[str, object]], bert: Path
) -> None:
    weights = FolderWeights(bert)
    recipe = labelled_recipe(evaluation_fraction=0.0, epochs=1)
    everything = encode_records(
        labelled_records(8), recipe=recipe, tokenizer=load_tokenizer(weights.files), what="record"
    )
    known = max(int(e.ids.max()) for e in everything.examples) + 1 - missing
    weights.config["vocab_size"] = known
    name = "embeddings.word_embeddings.weight"
    weights.put(name, weights.get(name)[:known])
    with pytest.raises(FormatError) if missing else contextlib.nullcontext() as caught:
        train(
            recipe,
            weights=weights,
            records=[{"text": "a", "label": 0}] if held_out else labelled_records(8),
            checkpoints=Recorder(),
            telemetry=Recorder(),
            evaluation_records=held_out,
        )
    if caught is not None:
        assert caught.value.code is Code.TOKENIZER_MALFORMED


def test_model_without_pad_token(llama: Path) -> None:
    weights = FolderWeights(llama)
    weights.config["pad_token_id"] = None
    del weights.tensors["lm_head.weight"]
    recorder = Recorder()
    result = train(
        labelled_recipe(epochs=1),
        weights=weights,
        records=labelled_records(24),
        checkpoints=recorder,
        telemetry=recorder,
    )
    assert result.metrics["accuracy_after"] >= 0.0
    assert b"base.config.pad_token_id = 0" in result.files["README.md"]


def test_one_record_is_enough(llama: Path) -> None:
    recipe = labelled_recipe(task="causal-lm", labels=(), epochs=1)
    result = run(recipe, llama, Recorder(), text_records(1))
    assert result.counts["optimizer_steps"] == 1
    assert set(result.metrics) == {"train_loss"}
