"""Every family that has lean blocks computes what its stock module does: losses, hits, gradients.

In 32 bits and without dropout, where both are one function. Records differ in length, so that some
are computed together and filled up and some are alone.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import transformers
from tiny_models import LABELS, SHAPES, VISION_SHAPES, FolderWeights, make_model

from sealtune.errors import Code, TrainingError
from sealtune.training.architectures import ARCHITECTURES, class_for
from sealtune.training.encode import IGNORED, Example
from sealtune.training.engine.choices import Choices
from sealtune.training.engine.families import FAMILIES
from sealtune.training.engine.lean import why_not_lean
from sealtune.training.images import load_image_processor
from sealtune.training.learner import Learner
from sealtune.training.learners import build_learner
from sealtune.training.model import load_skeleton
from sealtune.training.packing import PackedBatch, TargetKind, pack, target_kind
from sealtune.training.recipe import Method, Precision, Recipe, Task
from sealtune.training.trained import find_trained

# Together with filling (24 to 21), together without (9, 9), alone (40, 3).
LENGTHS = (40, 24, 23, 23, 21, 9, 9, 3)
_RATES = (
    "hidden_dropout_prob",
    "attention_probs_dropout_prob",
    "attention_dropout",
    "dropout",
    "seq_classif_dropout",
    "classifier_dropout",
    "embedding_dropout",
)
_SLIDING = {"sliding_window": 8}
_MORE: dict[str, dict[str, Any]] = {
    "llama": {"attention_bias": True, "mlp_bias": True, "tie_word_embeddings": True},
    "mistral": _SLIDING,
    "qwen3": {"head_dim": 16},
    "gemma": {"head_dim": 16},
    "gemma2": {"head_dim": 16, "attn_logit_softcapping": 2.0, "final_logit_softcapping": 3.0}
    | _SLIDING,
    "gemma3_text": {"head_dim": 16, **_SLIDING},
    "smollm3": {"num_hidden_layers": 4},  # every fourth is not rotated
    "electra": {"embedding_size": 16},  # projected
    "modernbert": {"local_attention": 16, "num_hidden_layers": 3},
}
# What one family or another reads; most of it would change a lot. Lists are for two layers.
_KEYS: dict[str, Any] = {
    "sliding_window": 2,
    "layer_types": ["sliding_attention", "full_attention"],
    "attn_logit_softcapping": 0.5,
    "final_logit_softcapping": 0.5,
    "query_pre_attn_scalar": 1000,
    "no_rope_layers": [0, 1],
    "hidden_act": "relu",
    "hidden_activation": "silu",
    "activation": "silu",
    "head_dim": 4,
    "num_key_value_heads": 1,
    "classifier_pooling": "mean",
    "partial_rotary_factor": 0.5,
    "scalar_embed_scale": 3.0,
    "n_heads": 2,
    "local_attention": 4,
    "attention_chunk_size": 2,
}
_SIZES = {"head_dim", "num_key_value_heads"}  # of stored tensors, where a family reads them
CASES = [(name, task) for name in FAMILIES for task in Task if class_for(ARCHITECTURES[name], task)]


@dataclass(frozen=True)
class Computed:
    """What a learner gives for some batches."""

    losses: list[float]
    hits: list[int]
    gradients: dict[str, torch.Tensor]


Folder = Callable[..., Path]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Folder:
    """Return a folder with a tiny model of a family, without dropout unless told otherwise."""
    made: dict[tuple[str, str, str], Path] = {}

    def make(name: str, task: Task, **changes: Any) -> Path:
        auto = "AutoModelForCausalLM" if task is Task.CAUSAL_LM else "AutoModel"
        key = (name, auto, repr(changes))
        if key not in made:
            config = transformers.AutoConfig.for_model(name)
            rates = {rate: 0.0 for rate in _RATES if hasattr(config, rate)}
            if task is not Task.CAUSAL_LM:
                rates["classifier_dropout"] = 0.0  # decoders have one that no configuration names
            values = {**rates, **_MORE.get(name, {}), **changes}
            path = tmp_path_factory.mktemp(name)
            made[key] = make_model(path, model_type=name, auto_class=auto, **values)
        return made[key]

    return make


def recipe_for(task: Task, method: Method = Method.LORA, **changes: Any) -> Recipe:
    labels = () if task is Task.CAUSAL_LM else LABELS
    values = {"lora_rank": 4, "lora_alpha": 8, "max_length": 64, **changes}
    return Recipe(task=task, method=method, labels=labels, **values)


def build(source: Path | FolderWeights, recipe: Recipe, *, lean: bool, **choices: Any) -> Learner:
    """Return a learner whose adapters do something from the beginning."""
    weights = FolderWeights(source) if isinstance(source, Path) else source
    normalize = None
    if recipe.task is Task.IMAGE_CLASSIFICATION:
        images = load_image_processor(weights.files)
        normalize = lambda pixels: torch.from_numpy(images.normalized(pixels.numpy()))  # noqa: E731
    torch.manual_seed(0)
    model = load_skeleton(weights, recipe=recipe)
    trained = find_trained(model, recipe=recipe)
    if lean:
        assert why_not_lean(model, trained) == ""
    learner = build_learner(
        model,
        trained,
        weights=weights,
        recipe=recipe,
        choices=Choices(precision=Precision.FP32, tokens=2048, lean=lean, **choices),
        padding=0,
        scratch=None,
        normalize=normalize,
    )
    generator = torch.Generator().manual_seed(5)
    for name in sorted(learner.parameters.slots):
        if name.endswith((".lora_A", ".lora_B")):
            value = learner.parameters.value(name)
            value.copy_(torch.randn(value.shape, generator=generator) * 0.1)
    learner.parameters.refresh()
    return learner


def examples_for(task: Task, lengths: Sequence[int] = LENGTHS) -> list[Example]:
    generator = np.random.default_rng(3)
    kind = target_kind(task)
    made = []
    for length in lengths:
        label = generator.integers(0, 3, 1)
        if task is Task.IMAGE_CLASSIFICATION:
            pixels = generator.integers(0, 256, (3, 16, 16), dtype=np.uint8)
            made.append(Example(np.zeros(0, dtype=np.int64), label, pixels))
            continue
        ids = generator.integers(3, 300, length)
        targets = label
        if kind is not TargetKind.EACH_RECORD:
            targets = (
                ids.copy() if kind is TargetKind.NEXT_TOKEN else generator.integers(0, 3, length)
            )
            targets[: length // 3] = IGNORED
        made.append(Example(ids, targets))
    return made


def batch_of(task: Task, examples: Sequence[Example]) -> PackedBatch:
    return pack(examples, records=list(range(len(examples))), kind=target_kind(task))


def compute(learner: Learner, batches: Sequence[PackedBatch]) -> Computed:
    learner.parameters.clear()
    outcomes = learner.gradients(batches, scale=0.1, step=1)
    return Computed(
        losses=[outcome.loss for outcome in outcomes],
        hits=[outcome.hits for outcome in learner.losses(batches)],
        gradients={
            name: learner.parameters.gradient(name).clone() for name in learner.parameters.slots
        },
    )


def assert_same(mine: Computed, theirs: Computed) -> None:
    assert mine.losses == pytest.approx(theirs.losses, rel=1e-5)
    assert mine.hits == theirs.hits
    assert set(mine.gradients) == set(theirs.gradients)
    # Some gradients are 0 but for rounding (of a key's bias, say): those are compared with others.
    floor = 1e-6 * max(float(value.abs().max()) for value in theirs.gradients.values())
    for name, expected in theirs.gradients.items():
        tolerance = max(floor, 2e-5 * float(expected.abs().max()))
        torch.testing.assert_close(
            mine.gradients[name],
            expected,
            rtol=0,
            atol=tolerance,
            msg=lambda m, n=name: f"{n}: {m}",
        )


@pytest.mark.parametrize("method", list(Method))
@pytest.mark.parametrize(("name", "task"), CASES)
def test_lean_blocks_compute_what_the_stock_module_does(
    name: str, task: Task, method: Method, folder: Folder
) -> None:
    path, recipe = folder(name, task), recipe_for(task, method)
    examples = examples_for(task)
    batches = [batch_of(task, examples), batch_of(task, examples[2:5])]
    theirs = compute(build(path, recipe, lean=False), batches)
    assert_same(compute(build(path, recipe, lean=True), batches), theirs)
    assert_same(compute(build(path, recipe, lean=True, recompute=True), batches), theirs)


@pytest.mark.parametrize(("name", "task"), CASES)
def test_a_batch_gives_what_its_records_give_alone(name: str, task: Task, folder: Folder) -> None:
    """Nothing of one record reaches another: losses and gradients only add up."""
    learner = build(folder(name, task), recipe_for(task), lean=True)
    examples = examples_for(task)
    together = compute(learner, [batch_of(task, examples)])
    alone = compute(learner, [batch_of(task, [example]) for example in examples])
    summed = Computed([sum(alone.losses)], [sum(alone.hits)], alone.gradients)
    assert_same(together, summed)


@pytest.mark.parametrize("changes", [{"classifier_pooling": "mean"}, {"norm_bias": True}])
def test_variants_of_modernbert(changes: dict[str, Any], folder: Folder) -> None:
    task = Task.TEXT_CLASSIFICATION
    path = folder("modernbert", task, **changes)
    batches = [batch_of(task, examples_for(task))]
    for method in Method:
        recipe = recipe_for(task, method)
        theirs = compute(build(path, recipe, lean=False), batches)
        assert_same(compute(build(path, recipe, lean=True), batches), theirs)


def own_keys(name: str) -> set[str]:
    """The keys that the family called `name` reads."""
    return set(_KEYS) & set(map(str, asdict(FAMILIES[name]).values()))


def assert_obeyed_alike(name: str, keys: Iterable[str], folder: Folder) -> None:
    task = next(task for task in Task if (name, task) in CASES)
    weights = FolderWeights(folder(name, task))
    layers = int(weights.config.get("num_hidden_layers", 2))
    for key in keys:
        value = _KEYS[key]
        weights.config[key] = (value * layers)[:layers] if isinstance(value, list) else value
    if "layer_types" in keys:
        weights.config |= {"use_sliding_window": True, "sliding_window": 4}
    recipe = recipe_for(task)
    batches = [batch_of(task, examples_for(task))]
    theirs = compute(build(weights, recipe, lean=False), batches)
    assert_same(compute(build(weights, recipe, lean=True), batches), theirs)


@pytest.mark.parametrize("name", FAMILIES)
def test_keys_of_other_families_are_obeyed_where_the_stock_module_does(
    name: str, folder: Folder
) -> None:
    refused = {"head_dim"} if name == "modernbert" else set()  # its rotations alone would obey
    assert_obeyed_alike(name, set(_KEYS) - own_keys(name) - refused, folder)


@pytest.mark.parametrize(
    ("name", "key"), [(n, key) for n in FAMILIES for key in sorted(own_keys(n) - _SIZES)]
)
def test_a_familys_own_keys_are_obeyed(name: str, key: str, folder: Folder) -> None:
    assert_obeyed_alike(name, [key], folder)


@pytest.mark.parametrize("name", ["bert", "roberta", "llama", "modernbert", "vit"])
def test_streamed_classifiers_compute_the_same(name: str, folder: Folder) -> None:
    task = Task.IMAGE_CLASSIFICATION if name == "vit" else Task.TOKEN_CLASSIFICATION
    path, recipe = folder(name, task), recipe_for(task)
    batches = [batch_of(task, examples_for(task)), batch_of(task, examples_for(task)[:3])]
    theirs = compute(build(path, recipe, lean=False), batches)
    streamed = build(
        path, recipe, lean=True, streamed=True, tables_streamed=True, keep_probabilities=False
    )
    assert_same(compute(streamed, batches), theirs)


@pytest.mark.parametrize("name", ["bert", "llama"])
@pytest.mark.parametrize("streamed", [False, True])
def test_a_micro_batch_with_nothing_to_learn_changes_nothing(
    name: str, streamed: bool, folder: Folder
) -> None:
    """A long record may have its only label in what another micro-batch holds of it."""
    task = Task.TOKEN_CLASSIFICATION
    learner = build(folder(name, task), recipe_for(task), lean=True, streamed=streamed)
    examples = examples_for(task)
    batch = batch_of(task, examples)
    blank = batch_of(task, [Example(e.ids, np.full_like(e.targets, IGNORED)) for e in examples])
    alone, both = compute(learner, [batch]), compute(learner, [batch, blank])
    assert both.losses == [alone.losses[0], 0.0]
    assert both.hits == [alone.hits[0], 0]
    for name_, value in alone.gradients.items():
        torch.testing.assert_close(both.gradients[name_], value)


def test_padding_ids_within_a_text_count_as_in_the_stock_module(folder: Folder) -> None:
    """RoBERTa gives no position to them, and decoders that classify look for the last other one."""
    task = Task.TEXT_CLASSIFICATION
    examples = examples_for(task)
    for example in examples:
        example.ids[1:3] = 0
        example.ids[-1] = 0
    batches = [batch_of(task, examples)]
    for name in ("roberta", "llama"):
        path, recipe = folder(name, task), recipe_for(task)
        theirs = compute(build(path, recipe, lean=False), batches)
        assert_same(compute(build(path, recipe, lean=True), batches), theirs)


@pytest.mark.parametrize(
    ("name", "rate"),
    [
        ("bert", "hidden_dropout_prob"),
        ("bert", "attention_probs_dropout_prob"),
        ("bert", "classifier_dropout"),
        ("distilbert", "dropout"),
        ("distilbert", "attention_dropout"),
        ("distilbert", "seq_classif_dropout"),
        ("modernbert", "attention_dropout"),
        ("modernbert", "embedding_dropout"),
        ("vit", "hidden_dropout_prob"),
        ("vit", "attention_probs_dropout_prob"),
    ],
)
def test_dropout_is_for_training_only(name: str, rate: str, folder: Folder) -> None:
    task = Task.IMAGE_CLASSIFICATION if name == "vit" else Task.TEXT_CLASSIFICATION
    batches = [batch_of(task, examples_for(task))]
    without = build(folder(name, task), recipe_for(task), lean=True)
    dropping = build(folder(name, task, **{rate: 0.5}), recipe_for(task), lean=True)
    evaluated = [learner.losses(batches)[0].loss for learner in (without, dropping)]
    trained = [
        learner.gradients(batches, scale=1.0, step=1)[0].loss for learner in (without, dropping)
    ]
    assert evaluated[0] == evaluated[1] == pytest.approx(trained[0], rel=1e-6)
    assert trained[1] != trained[0]


@pytest.mark.parametrize("recompute", [False, True])
def test_a_step_drops_the_same_when_it_is_computed_again(recompute: bool, folder: Folder) -> None:
    task = Task.TEXT_CLASSIFICATION
    path = folder("bert", task, hidden_dropout_prob=0.3, attention_probs_dropout_prob=0.3)
    batches = [batch_of(task, examples_for(task))]
    results = []
    for _ in range(2):
        learner = build(path, recipe_for(task), lean=True, recompute=recompute)
        torch.manual_seed(1)
        results.append(compute(learner, batches))
    assert results[0].losses == results[1].losses
    for name, value in results[0].gradients.items():
        assert torch.equal(value, results[1].gradients[name])


@pytest.mark.parametrize(
    ("name", "changes", "reason"),
    [
        ("deberta-v2", {}, "no lean blocks"),
        ("bert", {"hidden_act": "tanh"}, "activation tanh"),
        ("modernbert", {"mlp_dropout": 0.1}, "mlp_dropout"),
        ("bert", {"is_decoder": True}, "is_decoder"),
        ("gemma", {"use_bidirectional_attention": True}, "use_bidirectional_attention"),
        ("llama", {"is_causal": False}, "is_causal"),
    ],
)
def test_what_lean_blocks_cannot_is_told(
    name: str, changes: dict[str, Any], reason: str, tmp_path: Path
) -> None:
    make_model(tmp_path, model_type=name, auto_class="AutoModel", **changes)
    recipe = recipe_for(Task.TEXT_CLASSIFICATION)
    model = load_skeleton(FolderWeights(tmp_path), recipe=recipe)
    assert reason in why_not_lean(model, find_trained(model, recipe=recipe))


def test_every_family_has_a_tiny_model_of_its_own_kind() -> None:
    encoders = {name for name in FAMILIES if not ARCHITECTURES[name].causal_lm}
    assert encoders <= set(SHAPES)
    assert set(VISION_SHAPES) >= {name for name in FAMILIES if ARCHITECTURES[name].image_classifier}


@pytest.mark.parametrize(
    ("config", "task", "listed"),
    [
        ({"model_type": "t5"}, Task.TEXT_CLASSIFICATION, "modernbert"),
        ({"model_type": "bert"}, Task.CAUSAL_LM, "llama"),
        ({"model_type": "llama"}, Task.IMAGE_CLASSIFICATION, "vit"),
        ({"model_type": "olmo2"}, Task.TOKEN_CLASSIFICATION, "bert"),
    ],
)
def test_errors_list_what_is_supported(
    config: dict[str, str], task: Task, listed: str, folder: Folder
) -> None:
    weights = FolderWeights(folder("bert", Task.TEXT_CLASSIFICATION))
    weights.config = config
    with pytest.raises(TrainingError) as caught:
        load_skeleton(weights, recipe=recipe_for(task))
    assert caught.value.code is Code.MODEL_UNSUPPORTED
    assert listed in str(caught.value.remedy)
