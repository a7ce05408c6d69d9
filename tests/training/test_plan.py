"""What the planner chooses, obeys and refuses. How near it is to real runs: test_memory_peak."""

from __future__ import annotations

import base64
import dataclasses
import functools
import json
import re
from dataclasses import replace
from io import BytesIO
from typing import Any

import pytest
from PIL import Image

from sealtune.core.limits import GIB, MIB
from sealtune.errors import Code, TrainingError
from sealtune.testing.random_weights import RandomWeights, random_texts
from sealtune.training.corpus import build_corpus
from sealtune.training.engine.choices import Choices
from sealtune.training.images import ImageProcessor, load_image_processor
from sealtune.training.model import LoadedModel, load_skeleton
from sealtune.training.plan import Plan, examples_room, plan_run, room_in
from sealtune.training.prefetch import AHEAD_BYTES, ahead_bytes
from sealtune.training.recipe import Precision, Recipe, Task
from sealtune.training.records import ListedRecords
from sealtune.training.tokens import load_tokenizer
from sealtune.training.trained import find_trained
from sealtune.training.ways import ways
from sealtune.training.workload import Workload, workload_of, workload_of_recipe

# 1.1 billion parameters; nothing of it is ever made.
LARGE = {
    "model_type": "llama",
    "hidden_size": 2048,
    "intermediate_size": 8192,
    "num_hidden_layers": 16,
    "num_attention_heads": 32,
    "num_key_value_heads": 8,
    "vocab_size": 32000,
    "max_position_embeddings": 4096,
    "tie_word_embeddings": False,
}
ENCODER = {
    "model_type": "mpnet",
    "hidden_size": 256,
    "intermediate_size": 1024,
    "num_hidden_layers": 4,
    "num_attention_heads": 4,
    "vocab_size": 1000,
    "max_position_embeddings": 512,
}
LIMITS = [int(size * GIB) for size in (16, 8, 6, 5, 4, 3.5, 3, 2.5, 2, 1.75, 1.5, 1.4, 1.3)]


def plan(
    limit: int = 0,
    *,
    config: dict[str, Any] = LARGE,
    scratch: bool = True,
    fixed: Choices | None = None,
    **changes: Any,
) -> Plan:
    values = {"task": "causal-lm", "method": "lora", "max_length": 512, "precision": "bf16"}
    recipe = Recipe(**{**values, "evaluation_fraction": 0.0, **changes})
    weights, model = skeleton(config["model_type"], recipe.task)
    return plan_run(
        model,
        find_trained(model, recipe=recipe),
        weights=weights,
        recipe=recipe,
        workload=workload_of_recipe(recipe, length=recipe.max_length),
        has_scratch=scratch,
        memory_limit=limit,
        fixed=fixed,
    )


@functools.cache
def skeleton(model_type: str, task: Task) -> tuple[RandomWeights, LoadedModel]:
    config = LARGE if model_type == "llama" else ENCODER
    labels = () if task is Task.CAUSAL_LM else ("a", "b")
    weights = RandomWeights(config, task=task)
    recipe = Recipe(task=task, method="lora", labels=labels)
    return weights, load_skeleton(weights, recipe=recipe)


def refusal(**changes: Any) -> TrainingError:
    with pytest.raises(TrainingError) as caught:
        plan(**changes)
    return caught.value


def test_without_a_limit_everything_stays_in_memory() -> None:
    found = plan()
    choices = found.choices
    assert (choices.tokens, choices.streamed, choices.recompute) == (2048, False, False)
    assert choices.keep_probabilities
    assert found.peak == sum(found.parts.values()) > 2 * GIB
    assert "no limit" in " ".join(found.reasons)


def test_what_is_chosen_fits_and_less_memory_never_takes_more() -> None:
    peaks = []
    for limit in LIMITS:
        try:
            found = plan(limit)
        except TrainingError:
            break
        assert found.peak <= room_in(limit)
        peaks.append(found.peak)
    assert len(peaks) > 6
    assert peaks == sorted(peaks, reverse=True)


def test_weights_are_streamed_only_if_they_do_not_fit() -> None:
    streamed = [plan(limit).choices.streamed for limit in (16 * GIB, 4 * GIB, 2 * GIB)]
    assert streamed == [False, False, True]


def test_scratch_is_used_where_there_is_some() -> None:
    assert plan(2 * GIB).choices.spilled
    assert not plan(2 * GIB, scratch=False).choices.spilled


def test_a_limit_in_the_recipe_counts_if_it_is_smaller() -> None:
    assert plan(16 * GIB, memory_limit_bytes=2 * GIB).limit == 2 * GIB
    assert plan(2 * GIB, memory_limit_bytes=16 * GIB).limit == 2 * GIB
    assert plan(0, memory_limit_bytes=2 * GIB) == plan(2 * GIB)


def test_the_recipe_is_obeyed() -> None:
    always = plan(streaming="always").choices
    assert always.streamed
    assert plan(16 * GIB, streaming="always").choices == always
    fixed = plan(16 * GIB, micro_batch_tokens=777).choices
    assert fixed.tokens == 777
    with pytest.raises(TrainingError):
        plan(2 * GIB, streaming="never")


@pytest.mark.parametrize(
    ("longest", "sizes"),
    [
        (100, {2048, 1024, 512, 256}),
        (256, {2048, 1024, 512, 256}),
        (700, {2048, 1024, 512}),
        (1024, {2048, 1024}),
        (1500, {2048, 1024}),
        (5000, {2048}),
    ],
)
def test_how_many_tokens_go_together_is_no_records_length(longest: int, sizes: set[int]) -> None:
    recipe = Recipe(task="causal-lm", method="lora")
    found = [
        way.choices.tokens
        for way in ways(
            recipe, precision=Precision.BF16, lean=True, longest=longest, has_scratch=True
        )
    ]
    # What is longer goes through alone; the choice leaves with the telemetry.
    assert set(found) == sizes
    assert found[0] == 2048


def test_the_recipes_own_number_of_tokens_is_taken() -> None:
    recipe = Recipe(task="causal-lm", method="lora", micro_batch_tokens=777)
    found = ways(recipe, precision=Precision.BF16, lean=True, longest=1500, has_scratch=True)
    assert {way.choices.tokens for way in found} == {777}


def test_what_does_not_fit_is_refused_with_figures() -> None:
    error = refusal(limit=700 * MIB)
    assert error.code is Code.MEMORY_TOO_SMALL
    needed, there = (float(f) for f in re.findall(r"([0-9.]+) GiB", error.message)[:2])
    assert there == pytest.approx(0.68, abs=0.01)
    assert needed > 1.0
    assert "activations" in error.message
    assert "max_length" in error.remedy
    # What it says is enough is enough, and not much less would be.
    plan(int((needed + 0.01) * GIB))
    assert refusal(limit=int((needed - 0.06) * GIB)).code is Code.MEMORY_TOO_SMALL


def test_a_refusal_says_what_the_recipe_forbids() -> None:
    error = refusal(limit=2 * GIB, streaming="never", micro_batch_tokens=512)
    assert "streaming" in error.remedy
    assert "micro_batch_tokens" in error.remedy


def test_each_reason_has_figures() -> None:
    reasons = plan(2 * GIB).reasons
    assert any("weights in memory" in reason and "too much" in reason for reason in reasons)
    assert "streamed" in reasons[-1]
    assert all(re.search(r"\d", reason) for reason in reasons)


def test_more_work_takes_more() -> None:
    base = plan(micro_batch_tokens=2048).peak
    assert plan(micro_batch_tokens=1024).peak < base
    assert plan(micro_batch_tokens=2048, lora_rank=128).peak > base
    assert plan(micro_batch_tokens=2048, precision="fp32").peak > base
    assert plan(micro_batch_tokens=2048, checkpoint_every_steps=1).peak > base
    assert plan(micro_batch_tokens=2048, lora_dropout=0.1).peak > base
    assert plan(method="full", micro_batch_tokens=2048).peak > base + 8 * GIB
    more = {"batch_size": 32, "streaming": "always"}
    assert plan(**more).peak > plan(streaming="always").peak


def test_layer_major_order_keeps_a_whole_step_of_boundaries() -> None:
    one, two = (plan(streaming="always", gradient_accumulation=n, scratch=False) for n in (1, 2))
    tokens = 8 * 512
    boundaries = 17 * tokens * 2048 * 2
    assert two.peak - one.peak > boundaries


def test_a_run_that_is_resumed_goes_on_as_it_began() -> None:
    began = plan(2 * GIB).choices
    found = plan(16 * GIB, fixed=began)
    assert found.choices == began
    assert "resumes" in found.reasons[0]
    error = refusal(limit=2 * GIB, fixed=plan().choices)
    assert error.code is Code.MEMORY_TOO_SMALL
    assert "begin it again" in error.remedy


def test_a_spilled_run_that_is_resumed_without_scratch_counts_what_stays_then() -> None:
    began = plan(streaming="always").choices
    assert began.spilled
    whole, resumed = plan(fixed=began), plan(fixed=began, scratch=False)
    assert resumed.choices == began
    inputs = "inputs of all blocks"
    assert resumed.parts[inputs] > 3 * whole.parts[inputs]


def test_frozen_matrices_in_8_bits_take_half_the_memory() -> None:
    wide, narrow = plan(precision="bf16"), plan(precision="bf16", frozen_int8=True)
    assert narrow.choices.int8
    assert "8 bits" in narrow.reasons[-1]
    assert narrow.parts["frozen weights"] < 0.6 * wide.parts["frozen weights"]


def test_8_bits_and_streaming_exclude_each_other() -> None:
    error = refusal(frozen_int8=True, streaming="always")
    assert error.code is Code.RECIPE_UNSUPPORTED
    assert "frozen_int8" in error.message


STOCK = {"config": ENCODER, "task": "text-classification", "labels": ("a", "b")}


def test_a_stock_module_is_recomputed_before_it_is_refused() -> None:
    whole = plan(**STOCK)
    assert not whole.choices.lean
    assert "slower" in " ".join(whole.reasons)
    less = plan(560 * MIB, **STOCK)
    assert less.peak <= room_in(560 * MIB) < whole.peak
    assert refusal(limit=400 * MIB, **STOCK).code is Code.MEMORY_TOO_SMALL


def test_a_stock_module_is_never_streamed() -> None:
    error = refusal(streaming="always", **STOCK)
    assert error.code is Code.RECIPE_UNSUPPORTED
    assert "mpnet" in error.message


def test_a_plan_is_json_values() -> None:
    found = plan(2 * GIB)
    values = found.to_dict()
    assert values["predicted_peak_bytes"] == found.peak
    assert values["memory_limit_bytes"] == 2 * GIB
    assert values["choices"]["precision"] == "bf16"
    assert set(values["choices"]) == {field.name for field in dataclasses.fields(Choices)}
    assert found.choices.precision is Precision.BF16


def test_random_weights_hold_what_a_model_needs() -> None:
    weights = RandomWeights(LARGE, task=Task.CAUSAL_LM)
    info = weights.tensors["model.layers.3.mlp.up_proj.weight"]
    assert info.shape == (8192, 2048)
    first, second = bytearray(4096), bytearray(4096)
    weights.read_into("model.norm.weight", memoryview(first))
    assert not any(first)
    weights.read_into("model.embed_tokens.weight", memoryview(first))
    piece = next(weights.read_pieces("model.embed_tokens.weight", memoryview(second), multiple=2))
    assert bytes(piece) == bytes(first)


def test_a_small_limit_leaves_less_room_for_examples() -> None:
    recipe = Recipe(task="causal-lm", method="lora")
    assert examples_room(recipe, 0) == 256 * MIB
    assert examples_room(recipe, GIB) == 64 * MIB
    assert examples_room(dataclasses.replace(recipe, memory_limit_bytes=GIB), 4 * GIB) == 64 * MIB


def test_the_workload_is_that_of_the_largest_steps() -> None:
    lengths = [10, 400, 30, 30, 200, 200, 20, 20]
    recipe = Recipe(
        task="causal-lm", method="lora", batch_size=2, epochs=2, evaluation_fraction=0.0
    )
    files = RandomWeights({**LARGE, "vocab_size": 512}, task=Task.CAUSAL_LM).files
    tokenizer = load_tokenizer(files)
    texts = random_texts(lengths, vocabulary=512)
    records = ListedRecords([{"text": text} for text in texts])
    corpus = build_corpus(records, recipe=recipe, tokenizer=tokenizer)
    found = workload_of(corpus)
    assert found.longest == 400
    with corpus.steps(after=0, budget=300) as steps:
        real = [batch.tokens for _, batches in steps for batch in batches]
    assert max(b.tokens for step in found.batches(300) for b in step) == max(real) == 400
    with corpus.steps(after=0, budget=2048) as steps:
        whole = max(sum(b.tokens for b in batches) for _, batches in steps)
    assert max(sum(b.tokens for b in step) for step in found.batches(2048)) == whole


@pytest.mark.parametrize("model_type", ["mpnet", "bert"])
def test_logits_of_a_classifier_are_counted(model_type: str) -> None:
    def peak(labels: int) -> int:
        names = tuple(f"l{number}" for number in range(labels))
        recipe = Recipe(
            task="token-classification",
            method="lora",
            labels=names,
            max_length=512,
            micro_batch_tokens=2048,
            precision="fp32",
            evaluation_fraction=0.0,
        )
        weights = RandomWeights({**ENCODER, "model_type": model_type}, task=recipe.task)
        model = load_skeleton(weights, recipe=recipe)
        found = plan_run(
            model,
            find_trained(model, recipe=recipe),
            weights=weights,
            recipe=recipe,
            workload=workload_of_recipe(recipe, length=512),
            has_scratch=False,
            memory_limit=0,
        )
        assert found.choices.lean is (model_type == "bert")
        return found.peak

    # Logits, their softmax and the gradients of both, in 32 bits.
    assert peak(5_000) - peak(2) > 2048 * 4_998 * 16


def test_a_checkpoint_that_waits_for_another_is_counted() -> None:
    parts = plan(checkpoint_every_steps=1).parts
    assert parts["training checkpoint that waits"] == parts["training checkpoint being sealed"]
    assert "training checkpoint that waits" not in plan().parts


def image_workload(images: ImageProcessor, pixels: int, count: int, **changes: Any) -> Workload:
    recipe = Recipe(
        task="image-classification", method="lora", labels=("a", "b"), evaluation_fraction=0.0
    )
    buffer = BytesIO()
    Image.new("RGB", (pixels, 1)).save(buffer, "PNG")
    record = {"image": base64.b64encode(buffer.getvalue()).decode(), "label": "a"}
    records = ListedRecords([record] * count)
    return workload_of(
        build_corpus(records, recipe=recipe, tokenizer=None, images=images, **changes)
    )


def test_images_are_counted_while_they_are_decoded() -> None:
    size = {"image_processor_type": "ViTImageProcessor", "size": {"height": 8, "width": 8}}
    images = load_image_processor({"preprocessor_config.json": json.dumps(size).encode()})
    kept, again = (image_workload(images, 5_000, 9, resident_bytes=room) for room in (2**20, 0))
    assert kept.decoding == again.decoding == 5_000 * 12
    assert (kept.decodes_again, again.decodes_again) == (False, True)
    # A step has 8 of them: one in use, four that wait, one that is made of single images.
    assert kept.ahead == again.ahead == 7 * 8 * 3 * 8 * 8
    recipe = Recipe(task="image-classification", method="lora", labels=("a", "b"))
    unknown = workload_of_recipe(recipe, length=4, image_bytes=3 * 8 * 8)
    assert unknown.decoding == 600_000_000
    assert unknown.ahead == kept.ahead


@pytest.mark.parametrize("decodes_again", [True, False])
def test_an_image_is_decoded_beside_all_else_only_if_it_is_read_again(decodes_again: bool) -> None:
    recipe = Recipe(task="causal-lm", method="lora", max_length=512)
    workload = workload_of_recipe(recipe, length=512)
    weights, model = skeleton("llama", recipe.task)

    def peak(decoding: int) -> int:
        return plan_run(
            model,
            find_trained(model, recipe=recipe),
            weights=weights,
            recipe=recipe,
            workload=replace(workload, decoding=decoding, decodes_again=decodes_again),
            has_scratch=False,
            memory_limit=0,
        ).peak

    assert peak(MIB) - peak(0) == (MIB if decodes_again else 0)
    assert peak(16 * GIB) > 16 * GIB


def test_batches_that_wait_are_counted() -> None:
    recipe = Recipe(task="causal-lm", method="lora", max_length=512)
    workload = workload_of_recipe(recipe, length=512)
    assert workload.ahead == 7 * 8 * 512 * 24
    assert plan().parts["batches prepared ahead"] == workload.ahead
    # Of large ones one waits, beside the one in use and the one that is made.
    assert ahead_bytes(AHEAD_BYTES) == 4 * AHEAD_BYTES


def test_a_recipe_with_the_largest_steps_is_planned_all_the_same() -> None:
    recipe = Recipe(task="causal-lm", method="lora", batch_size=2**16, gradient_accumulation=2**16)
    lengths, _ = workload_of_recipe(recipe, length=512).steps[0]
    assert len(lengths) == 2**16
