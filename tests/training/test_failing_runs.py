"""A run that cannot go on says why, keeps its last checkpoint and leaves no thread behind."""

from __future__ import annotations

import json
import re
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any, ClassVar

import pytest
import torch
from tiny_learners import MemoryScratch, choosing, make_learner
from tiny_models import FolderWeights, Recorder, text_records

from sealtune.errors import Code, FormatError, TrainingError, VerificationError
from sealtune.training.corpus import build_corpus
from sealtune.training.optimizer import Optimizer
from sealtune.training.recipe import Recipe, Streaming
from sealtune.training.records import ListedRecords
from sealtune.training.sources import TrainResult, WeightSource
from sealtune.training.tokens import load_tokenizer
from sealtune.training.train import train

BAD = 13  # the record with a token that no other has
ODD = "\u00a7"
ALWAYS = {"streaming": "always"}
RECORDS = text_records(40)
RECORDS[BAD] = {"text": ODD}


def recipe(**changes: Any) -> Recipe:
    values: dict[str, Any] = {
        "task": "causal-lm",
        "method": "lora",
        "epochs": 2,
        "batch_size": 4,
        "max_length": 16,
        "learning_rate": 5e-3,
        "lora_rank": 4,
        "checkpoint_every_steps": 1,
        "evaluation_fraction": 0.0,
        "micro_batch_tokens": 32,
        "threads": 1,
    }
    return Recipe(**{**values, **changes})


def run(
    weights: WeightSource, recipe: Recipe, recorder: Recorder, scratch: MemoryScratch | None = None
) -> TrainResult:
    with choosing({"tables_streamed": recipe.streaming is Streaming.ALWAYS}):
        return train(
            recipe,
            weights=weights,
            records=RECORDS,
            checkpoints=recorder,
            telemetry=recorder,
            scratch=scratch,
        )


def threads() -> list[str]:
    return [t.name for t in threading.enumerate() if t.name.startswith("sealtune-")]


def poisoned(folder: Path, value: float) -> FolderWeights:
    """A model whose embedding of the odd token is no number."""
    weights = FolderWeights(folder)
    ids = load_tokenizer(weights.files).encode_one(ODD).ids
    others = {
        i
        for record in text_records(40)
        for i in load_tokenizer(weights.files).encode_one(str(record["text"])).ids
    }
    name = "model.embed_tokens.weight"
    embedding = weights.get(name)
    embedding[sorted(set(ids) - others)] = value
    weights.put(name, embedding)
    return weights


def step_of(number: int, recipe: Recipe, folder: Path) -> int:
    tokenizer = load_tokenizer(FolderWeights(folder).files)
    corpus = build_corpus(ListedRecords(RECORDS), recipe=recipe, tokenizer=tokenizer)
    with corpus.steps(after=0, budget=10**6) as steps:
        return next(s for s, batches in steps if any(number in b.records for b in batches))


@pytest.mark.parametrize("value", [float("nan"), float("inf")])
@pytest.mark.parametrize("changes", [{}, ALWAYS, {"precision": "bf16"}])
def test_a_record_that_makes_the_loss_no_number(
    changes: dict[str, Any], value: float, llama: Path
) -> None:
    recorder, chosen = Recorder(), recipe(**changes)
    with pytest.raises(TrainingError) as caught:
        run(poisoned(llama, value), chosen, recorder)
    assert caught.value.code is Code.LOSS_NOT_FINITE
    # The micro-batch is named: some records, of which this is one.
    count, first, last = map(int, re.findall(r"\d+", caught.value.message))
    assert first <= BAD <= last
    assert count <= 4
    assert "wind" not in repr(caught.value)
    # What was good stays, and nothing after it.
    bad_step = step_of(BAD, chosen, llama)
    assert bad_step > 1
    assert len(recorder.losses) == bad_step - 1
    assert list(recorder.saved) == list(range(1, bad_step))
    assert threads() == []
    # From there a run without the fault goes on as if it had not been.
    whole = run(FolderWeights(llama), chosen, Recorder())
    again = Recorder()
    again.saved = recorder.saved
    resumed = run(FolderWeights(llama), chosen, again)
    assert len(again.losses) == 20 - (bad_step - 1)
    assert resumed.files == whole.files


def test_an_evaluation_that_is_no_number(llama: Path) -> None:
    recorder = Recorder()
    with pytest.raises(TrainingError) as caught:
        train(
            recipe(),
            weights=poisoned(llama, float("nan")),
            records=text_records(40),
            checkpoints=recorder,
            telemetry=recorder,
            evaluation_records=[{"text": ODD}],
        )
    assert caught.value.code is Code.LOSS_NOT_FINITE
    assert not recorder.saved
    assert not recorder.evaluations


@pytest.mark.parametrize("apart", [False, True])
def test_a_record_that_predicts_nothing_is_named(apart: bool, llama: Path) -> None:
    weights = FolderWeights(llama)
    document = json.loads(weights.files["tokenizer.json"]) | {"post_processor": None}
    weights.files["tokenizer.json"] = json.dumps(document).encode()
    del weights.files["tokenizer_config.json"]  # and with it the end token
    with pytest.raises(FormatError) as caught:
        train(
            recipe(),
            weights=weights,
            records=text_records(4) if apart else [{"text": "a"}],
            checkpoints=Recorder(),
            telemetry=Recorder(),
            evaluation_records=[{"text": "a"}] if apart else [],
        )
    assert caught.value.code is Code.RECORD_MALFORMED
    assert ("evaluation record 0" if apart else "record 0") in caught.value.message


def test_a_gradient_that_is_no_number_changes_no_weight(llama: Path) -> None:
    learner = make_learner(llama, recipe())
    optimizer = Optimizer(learner.parameters, recipe=recipe())
    before = learner.parameters.values.clone()
    learner.parameters.gradients[3] = float("nan")
    with pytest.raises(TrainingError) as caught:
        optimizer.step(rate=0.1)
    assert caught.value.code is Code.LOSS_NOT_FINITE
    assert torch.equal(learner.parameters.values, before)
    assert optimizer.moments() == {}


class Changed(FolderWeights):
    """A model in which one tensor turns out to be changed at one of its readings, from 0."""

    def __init__(self, folder: Path, name: str, *, reading: int) -> None:
        super().__init__(folder)
        self._name, self._left = name, reading
        self.readings = 0

    def _check(self, name: str) -> None:
        if name == self._name:
            self.readings += 1
            if self.readings == self._left + 1:
                raise VerificationError(Code.BUNDLE_BODY_DIGEST, f"{name} was changed")

    def read_into(self, name: str, destination: memoryview) -> None:
        self._check(name)
        super().read_into(name, destination)

    def read_pieces(self, name: str, buffer: memoryview, *, multiple: int) -> Iterator[memoryview]:
        yield from super().read_pieces(name, buffer, multiple=multiple)
        self._check(name)


BLOCK, TABLE, HEAD = (
    "model.layers.0.self_attn.k_proj.weight",
    "model.embed_tokens.weight",
    "lm_head.weight",
)


@pytest.mark.parametrize("scratch", [False, True])
@pytest.mark.parametrize(
    ("name", "reading", "good"), [(BLOCK, 4, 2), (BLOCK, 5, 2), (TABLE, 3, 3), (HEAD, 3, 3)]
)
def test_a_streamed_model_changed_on_the_way(
    name: str, reading: int, good: int, scratch: bool, llama: Path
) -> None:
    """A block is read twice in a step, a table once: a fault in the third or fourth step."""
    recorder, chosen = Recorder(), recipe(**ALWAYS)
    weights = Changed(llama, name, reading=reading)
    room = MemoryScratch() if scratch else None
    with pytest.raises(VerificationError) as caught:
        run(weights, chosen, recorder, room)
    assert caught.value.code is Code.BUNDLE_BODY_DIGEST
    assert list(recorder.saved) == list(range(1, good + 1))
    assert len(recorder.losses) == good
    assert threads() == []
    whole = run(FolderWeights(llama), chosen, Recorder(), MemoryScratch() if scratch else None)
    again = Recorder()
    again.saved = recorder.saved
    assert run(FolderWeights(llama), chosen, again, room and MemoryScratch()).files == whole.files


@pytest.mark.parametrize("name", [BLOCK, TABLE, "model.norm.weight", HEAD])
def test_a_resident_model_changed_is_found_before_the_first_step(name: str, llama: Path) -> None:
    recorder = Recorder()
    with pytest.raises(VerificationError):
        run(Changed(llama, name, reading=0), recipe(), recorder)
    assert not recorder.losses
    assert not recorder.saved


@pytest.mark.parametrize("fault", [{"fail_write": 9}, {"fail_read": 9}])
def test_scratch_that_fails_on_the_way(fault: dict[str, int], llama: Path) -> None:
    recorder = Recorder()
    with pytest.raises((OSError, VerificationError)):
        run(FolderWeights(llama), recipe(**ALWAYS), recorder, MemoryScratch(**fault))
    assert len(recorder.saved) == len(recorder.losses) > 0
    assert threads() == []


def test_a_checkpoint_that_cannot_be_kept_stops_the_run(llama: Path) -> None:
    class Full(Recorder):
        def save(self, step: int, blob: bytes) -> None:
            if step == 3:
                raise OSError("no space")
            super().save(step, blob)

    recorder = Full()
    with pytest.raises(OSError, match="no space"):
        run(FolderWeights(llama), recipe(**ALWAYS), recorder, MemoryScratch())
    assert list(recorder.saved) == [1, 2]
    assert threads() == []


def test_the_last_checkpoint_is_waited_for(llama: Path) -> None:
    class Lazy(Recorder):
        drained = False

        def drain(self) -> None:
            self.drained = True
            raise OSError("no space")

    recorder = Lazy()
    with pytest.raises(OSError, match="no space"):
        run(FolderWeights(llama), recipe(), recorder)
    assert recorder.drained


@pytest.mark.parametrize("streaming", ["always", "never"])
def test_where_memory_is_short_one_checkpoint_is_kept_before_the_next(
    streaming: str, llama: Path
) -> None:
    """The planner counts with it; where weights are in memory nothing waits but the end."""

    class Waited(Recorder):
        calls: ClassVar[list[str]] = []

        def save(self, step: int, blob: bytes) -> None:
            self.calls.append("save")
            super().save(step, blob)

        def drain(self) -> None:
            self.calls.append("drain")

    recorder = Waited()
    recorder.calls.clear()
    run(FolderWeights(llama), recipe(streaming=streaming), recorder, MemoryScratch())
    saves = len(recorder.saved)
    in_turn = ["drain", "save"] * saves + ["drain"]
    assert recorder.calls == (in_turn if streaming == "always" else ["save"] * saves + ["drain"])
