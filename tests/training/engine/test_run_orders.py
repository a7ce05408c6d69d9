"""Kept, computed again, streamed, spilled: every order gives the same losses and gradients."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import torch
from tiny_learners import MemoryScratch, gradients_of, make_learner, packed, wake_adapters
from tiny_models import LABELS, FolderWeights, make_model

from sealtune.errors import Code, VerificationError
from sealtune.training.packing import PackedBatch
from sealtune.training.recipe import Precision, Recipe

LANGUAGE = Recipe(task="causal-lm", method="lora", lora_rank=4, lora_alpha=12, seed=3)
CLASSIFY = Recipe(task="text-classification", method="lora", labels=LABELS, lora_rank=4)
DROPPING = Recipe(**{**LANGUAGE.to_dict(), "lora_dropout": 0.25})
FULL = Recipe(task="causal-lm", method="full")
LENGTHS = ((40, 17, 17, 5), (30, 9), (1, 2, 23))

KEPT: dict[str, Any] = {}
AGAIN = {"recompute": True}
FORGETFUL = {"keep_probabilities": False}
STREAMED = {"streamed": True, "ring": 3}
TABLES = {"streamed": True, "tables_streamed": True}
SPILLED = {"streamed": True, "spilled": 10_000}
HALF_SPILLED = {"streamed": True, "spilled": 1}
ORDERS = {
    "again": AGAIN,
    "forgetful": FORGETFUL,
    "again-forgetful": AGAIN | FORGETFUL,
    "streamed": STREAMED,
    "tables": TABLES,
    "spilled": SPILLED,
    "half-spilled": HALF_SPILLED,
}
# Sums in the same order have the same bits: one micro-batch after the other with its own head, or
# all of them through one.
ALIKE = {
    "kept": [KEPT, AGAIN, FORGETFUL, AGAIN | FORGETFUL],
    "streamed": [STREAMED, SPILLED, HALF_SPILLED, SPILLED | FORGETFUL, STREAMED | FORGETFUL],
}
Computed = tuple[list[float], dict[str, torch.Tensor], list[float]]


@pytest.fixture(scope="module", params=["llama", "qwen3", "mistral"])
def folder(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Models with dropout in attention; one with a window, one with normalized heads."""
    extra = {"sliding_window": 8} if request.param == "mistral" else {}
    return make_model(
        tmp_path_factory.mktemp(request.param),
        model_type=request.param,
        auto_class="AutoModelForCausalLM",
        num_hidden_layers=3,
        attention_dropout=0.25,
        **extra,
    )


def compute(folder: Path, recipe: Recipe, *, step: int = 1, **choices: Any) -> Computed:
    """Losses of a step, its gradients, and losses in evaluation."""
    scratch = MemoryScratch() if choices.get("spilled") else None
    learner = make_learner(folder, recipe, scratch=scratch, **choices)
    wake_adapters(learner)
    batches = [packed(lengths, recipe=recipe, seed=i) for i, lengths in enumerate(LENGTHS)]
    try:
        outcomes = learner.gradients(batches, scale=0.05, step=step)
        gradients = gradients_of(learner)
        evaluated = learner.losses(batches)
    finally:
        learner.close()
    if scratch is not None:
        assert len(scratch.written) == len(batches) * min(choices["spilled"], 3)
        assert scratch.kept == {}
    assert not any(thread.name.startswith("sealtune-") for thread in threading.enumerate())
    return [o.loss for o in outcomes], gradients, [o.loss for o in evaluated]


def assert_same(one: Computed, other: Computed, *, within: float = 1e-6) -> None:
    assert one[0] == pytest.approx(other[0], rel=within)
    assert one[2] == pytest.approx(other[2], rel=within)
    assert one[1].keys() == other[1].keys()
    largest = max(float(value.abs().max()) for value in other[1].values())
    for name, value in one[1].items():
        assert value.any(), name
        difference = float((value - other[1][name]).abs().max())
        own = float(other[1][name].abs().max())
        assert difference <= within * max(10 * own, largest), (name, difference, own)


def assert_equal(one: Computed, other: Computed) -> None:
    assert (one[0], one[2]) == (other[0], other[2])
    assert one[1].keys() == other[1].keys()
    for name, value in one[1].items():
        assert torch.equal(value, other[1][name]), name


@pytest.mark.parametrize("targets", [("q_proj",), ("down_proj",), ("layers.2.mlp.down_proj",)])
def test_blocks_before_the_first_adapter_need_no_gradient(
    folder: Path, targets: tuple[str, ...]
) -> None:
    recipe = Recipe(**{**LANGUAGE.to_dict(), "lora_targets": list(targets)})
    assert_same(compute(folder, recipe), compute(folder, recipe, **AGAIN))


@pytest.mark.parametrize("choices", [KEPT, AGAIN, STREAMED], ids=["kept", "again", "streamed"])
def test_all_adapters_may_lie_behind_the_blocks(tmp_path: Path, choices: dict[str, Any]) -> None:
    bert = make_model(
        tmp_path / "bert", model_type="bert", auto_class="AutoModelForSequenceClassification"
    )
    recipe = Recipe(**{**CLASSIFY.to_dict(), "lora_targets": ["pooler.dense"]})
    losses, gradients, _ = compute(bert, recipe, **choices)
    assert all(loss > 0 for loss in losses)
    assert all(gradient.any() for gradient in gradients.values())


@pytest.mark.parametrize("order", ORDERS)
@pytest.mark.parametrize("recipe", [DROPPING, CLASSIFY], ids=["language", "classify"])
def test_every_order_gives_the_same(folder: Path, recipe: Recipe, order: str) -> None:
    assert_same(compute(folder, recipe, **ORDERS[order]), compute(folder, recipe))


@pytest.mark.parametrize("order", ["again", "streamed", "spilled"])
def test_every_order_gives_the_same_for_all_weights(folder: Path, order: str) -> None:
    assert_same(compute(folder, FULL, **ORDERS[order]), compute(folder, FULL))


@pytest.mark.parametrize("kind", ALIKE)
@pytest.mark.parametrize("precision", [Precision.FP32, Precision.BF16])
def test_the_same_order_of_sums_gives_the_same_bits(
    folder: Path, kind: str, precision: Precision
) -> None:
    first, *others = (
        compute(folder, DROPPING, precision=precision, **choices) for choices in ALIKE[kind]
    )
    for other in others:
        assert_equal(other, first)


def test_dropout_is_of_the_step_and_not_in_evaluation(folder: Path) -> None:
    one, other = (compute(folder, DROPPING, step=step) for step in (1, 2))
    assert one[0] != other[0]
    assert one[2] == other[2]
    plain = compute(folder, LANGUAGE)
    assert plain[2] == one[2]
    assert plain[0] != one[0]


@pytest.mark.parametrize("choices", [KEPT, STREAMED], ids=["kept", "streamed"])
def test_an_evaluation_in_between_changes_no_step(folder: Path, choices: dict[str, Any]) -> None:
    batches = [packed(lengths, recipe=DROPPING, seed=i) for i, lengths in enumerate(LENGTHS)]
    found = []
    for evaluated in (False, True):
        learner = make_learner(folder, DROPPING, **choices)
        wake_adapters(learner)
        if evaluated:
            learner.losses(batches)
        learner.gradients(batches, scale=0.05, step=1)
        found.append(learner.parameters.gradients)
    assert torch.equal(found[0], found[1])


def test_one_block(tmp_path: Path) -> None:
    folder = make_model(
        tmp_path / "m", model_type="llama", auto_class="AutoModelForCausalLM", num_hidden_layers=1
    )
    kept = compute(folder, LANGUAGE)
    learner = make_learner(folder, LANGUAGE, streamed=True)
    wake_adapters(learner)
    batches = [packed(lengths, recipe=LANGUAGE, seed=i) for i, lengths in enumerate(LENGTHS)]
    losses = [o.loss for o in learner.gradients(batches, scale=0.05, step=1)]
    assert_same((losses, gradients_of(learner), kept[2]), kept)


def test_records_of_a_micro_batch_do_not_meet(llama: Path) -> None:
    """Together they give what they give one by one."""
    together = packed((40, 17, 5), recipe=LANGUAGE)
    borders = zip(together.bounds, together.bounds[1:], strict=False)
    alone = [one_segment(together, start, end) for start, end in borders]
    found = []
    for batches in ([together], alone):
        learner = make_learner(llama, LANGUAGE)
        wake_adapters(learner)
        losses = learner.gradients(batches, scale=0.1, step=1)
        evaluated = learner.losses(batches)
        sums = [[sum(o.loss for o in outcomes)] for outcomes in (losses, evaluated)]
        found.append((sums[0], gradients_of(learner), sums[1]))
    assert_same(found[0], found[1])


def one_segment(batch: PackedBatch, start: int, end: int) -> PackedBatch:
    changes: dict[str, Any] = {"bounds": (0, end - start), "tokens": end - start, "records": (0,)}
    for name in ("ids", "positions", "targets"):
        changes[name] = getattr(batch, name)[start:end]
    changes["supervised"] = int((changes["targets"] != -100).sum())
    return PackedBatch(**changes)


class Changed(FolderWeights):
    """A model of which a tensor turns out to be changed from its second reading on."""

    def __init__(self, folder: Path, name: str, *, readings: int) -> None:
        super().__init__(folder)
        self.name, self.left = name, readings

    def _read(self, name: str) -> None:
        if name == self.name:
            self.left -= 1
            if self.left < 0:
                raise VerificationError(Code.BUNDLE_BODY_DIGEST, f"{name} was changed")

    def read_into(self, name: str, destination: memoryview) -> None:
        self._read(name)
        super().read_into(name, destination)

    def read_pieces(self, name: str, buffer: memoryview, *, multiple: int) -> Iterator[memoryview]:
        yield from super().read_pieces(name, buffer, multiple=multiple)
        self._read(name)


@pytest.mark.parametrize("readings", [0, 1])
@pytest.mark.parametrize(
    "name",
    [
        "model.layers.1.mlp.down_proj.weight",
        "model.embed_tokens.weight",
        "lm_head.weight",
    ],
)
def test_a_changed_tensor_stops_the_step(folder: Path, name: str, readings: int) -> None:
    weights = Changed(folder, name, readings=readings)
    learner = make_learner(weights, LANGUAGE, **TABLES)
    wake_adapters(learner)
    before = learner.parameters.values.clone()
    batches = [packed(lengths, recipe=LANGUAGE, seed=i) for i, lengths in enumerate(LENGTHS)]
    with pytest.raises(VerificationError) as caught:
        for step in (1, 2):
            learner.gradients(batches, scale=0.05, step=step)
    # No thread waits for who holds the error.
    assert not any(thread.name.startswith("sealtune-") for thread in threading.enumerate())
    assert caught.value.code is Code.BUNDLE_BODY_DIGEST
    assert torch.equal(learner.parameters.values, before)


@pytest.mark.parametrize("fault", [{"fail_write": 2}, {"fail_read": 2}])
def test_scratch_that_fails_stops_the_step(llama: Path, fault: dict[str, int]) -> None:
    learner = make_learner(llama, LANGUAGE, scratch=MemoryScratch(**fault), **SPILLED)
    batches = [packed(lengths, recipe=LANGUAGE, seed=i) for i, lengths in enumerate(LENGTHS)]
    with pytest.raises((OSError, VerificationError)):
        learner.gradients(batches, scale=0.05, step=1)
    learner.close()
    assert not any(thread.name.startswith("sealtune-") for thread in threading.enumerate())


@pytest.mark.parametrize("choices", [KEPT, AGAIN, SPILLED], ids=["kept", "again", "spilled"])
def test_bf16_follows_fp32(folder: Path, choices: dict[str, Any]) -> None:
    exact = compute(folder, LANGUAGE, **choices)
    half = compute(folder, LANGUAGE, precision=Precision.BF16, **choices)
    assert half[0] != exact[0]
    assert half[0] == pytest.approx(exact[0], rel=0.01)
    assert half[2] == pytest.approx(exact[2], rel=0.01)
    for name, value in half[1].items():
        cosine = torch.cosine_similarity(value.flatten(), exact[1][name].flatten(), dim=0)
        assert float(cosine) > 0.99, name


def test_gradients_add_up_over_calls_and_change_no_value(folder: Path) -> None:
    learner = make_learner(folder, LANGUAGE)
    wake_adapters(learner)
    before = learner.parameters.values.clone()
    batch = packed(LENGTHS[0], recipe=LANGUAGE)
    learner.losses([batch])
    assert not learner.parameters.gradients.any()
    learner.gradients([batch], scale=0.1, step=1)
    once = learner.parameters.gradients.clone()
    learner.gradients([batch], scale=0.1, step=1)
    torch.testing.assert_close(learner.parameters.gradients, 2 * once)
    learner.parameters.clear()
    learner.gradients([batch], scale=0.2, step=1)
    torch.testing.assert_close(learner.parameters.gradients, 2 * once)
    assert torch.equal(learner.parameters.values, before)
