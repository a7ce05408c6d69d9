"""What is trained, how, and with which numbers: the part of a contract that the training engine
obeys.

Standard-library types only, so that a contract can be read, compared and signed without torch.
Every default is a field of its own and none depends on another field: what is written out is what
runs. It does not name inputs or parties.
"""

from __future__ import annotations

import math
from dataclasses import asdict, dataclass
from enum import StrEnum
from typing import Any

from sealtune.core.limits import LABELS_MAX

ALL_LINEAR = "all-linear"


class Task(StrEnum):
    """What the model learns."""

    CAUSAL_LM = "causal-lm"
    TEXT_CLASSIFICATION = "text-classification"
    TOKEN_CLASSIFICATION = "token-classification"  # noqa: S105 - a task, no password
    IMAGE_CLASSIFICATION = "image-classification"


class Method(StrEnum):
    """Which parameters are trained."""

    LORA = "lora"
    FULL = "full"


class Schedule(StrEnum):
    """How the learning rate goes from its peak, after warm-up, to the end of the run."""

    LINEAR = "linear"
    COSINE = "cosine"
    CONSTANT = "constant"


class Overflow(StrEnum):
    """What becomes of a record with more than `max_length` tokens; each is counted.

    `TRUNCATE`: cut at the end. `SPLIT`: becomes several examples, none longer than `max_length`;
    for tasks whose target is per token only. `REFUSE`: the run stops before it begins to train.
    """

    TRUNCATE = "truncate"
    SPLIT = "split"
    REFUSE = "refuse"


class Streaming(StrEnum):
    """Whether frozen weights are decrypted block by block at each pass or stay in memory.

    `AUTO`: only if the model does not fit into the memory that there is.
    """

    AUTO = "auto"
    ALWAYS = "always"
    NEVER = "never"


class Precision(StrEnum):
    """The arithmetic of the forward and backward pass.

    `AUTO`: `BF16` on a processor with instructions for it, `FP32` elsewhere; the plan says which.
    `FP32`: all weights, activations and gradients in 32 bits. `BF16`: what goes from block to block
    and into matrix products is bfloat16, scores and probabilities of attention among it; frozen
    weights are rounded once, when they are read, trained ones after each step for the products
    alone. Trained values, the sums of their gradients, the optimizer's state, statistics of
    normalization, sums of softmax and loss, and classification heads are in 32 bits. A stock
    module runs as torch's CPU autocast has it; with LoRA its frozen matrices are rounded once.
    """

    AUTO = "auto"
    FP32 = "fp32"
    BF16 = "bf16"


@dataclass(frozen=True, slots=True, kw_only=True)
class Recipe:
    """A complete, resolved description of one fine-tuning run.

    Records. Text classification takes `text_field` and `label_field` (a name out of `labels` or its
    0-based index); image classification `image_field` (the bytes of a JPEG or PNG file in base64)
    and `label_field`; token classification `tokens_field` (a list of words) and `tags_field` (a
    list of as many labels, each a name or an index), of which a word's first token bears the loss.
    Causal language modelling takes, whichever the record has first: `messages_field` (loss on the
    assistant's tokens only); `prompt_field` and `completion_field` (loss on the completion's tokens
    and the tokenizer's end token, which is appended); `text_field` (loss on every token, the end
    token appended). What has more than `max_length` tokens is treated as `overflow` says: cut at
    the end, refused, or split: a text where `max_length` is reached, words between two words, a
    chat between two turns. A text or an image with one label cannot be split, and images have no
    length.

    Optimization. One optimizer step is `gradient_accumulation` times `batch_size` records, in as
    many micro-batches as memory asks for; its loss is the mean over all its supervised tokens (text
    and image classification: records), not a mean of means. AdamW, decoupled weight decay, none on
    biases and normalization. The rate rises linearly over `warmup_ratio` of all steps to
    `learning_rate`, then follows `schedule` to 0 (`constant`: stays). `max_grad_norm` 0 switches
    clipping off.

    Evaluation. `evaluation_fraction` of the records, drawn with `seed`, is set apart (0: none); it
    is evaluated before the first step, every `evaluation_every_steps` optimizer steps (0: at each
    epoch's end) and after the last. With `early_stopping_patience` n > 0 training stops after n
    evaluations in a row without a lower loss and the weights with the lowest loss are the result;
    with 0 the last weights are.

    `checkpoint_every_steps` 0 writes no training checkpoint. `threads` 0 uses every core that the
    process may use; equal bytes are promised on the same CPU with the same number of threads and
    the same plan, which depends on the memory that there is.

    `lora_targets` is `all-linear` (every linear layer of the base model, its head excepted) or a
    tuple of module names, matched as PEFT matches them. `rslora` scales an adapter's product by
    alpha over the square root of its rank instead of alpha over rank. With method full, `frozen`
    names modules that are not trained: a whole dotted name, or whole parts of one at its beginning
    or end.

    Memory. `memory_limit_bytes` 0 means what the enclave has; `micro_batch_tokens` 0 lets the
    planner choose how many tokens go through a block at once, which changes no result beyond
    rounding. `frozen_int8` keeps the frozen matrices of the blocks in memory in 8 bits, half of
    bfloat16's, which changes results; a run is refused where it moves the first step's loss by more
    than 0.5 %.
    """

    task: Task
    method: Method
    seed: int = 0
    epochs: int = 3
    batch_size: int = 8
    gradient_accumulation: int = 1
    max_length: int = 512
    learning_rate: float = 2e-4
    weight_decay: float = 0.0
    adam_beta1: float = 0.9
    adam_beta2: float = 0.999
    adam_epsilon: float = 1e-8
    warmup_ratio: float = 0.0
    schedule: Schedule = Schedule.LINEAR
    max_grad_norm: float = 1.0
    precision: Precision = Precision.FP32
    threads: int = 0
    evaluation_fraction: float = 0.1
    evaluation_every_steps: int = 0
    early_stopping_patience: int = 0
    checkpoint_every_steps: int = 0
    lora_rank: int = 16
    lora_alpha: int = 32
    lora_dropout: float = 0.0
    lora_targets: tuple[str, ...] | str = ALL_LINEAR
    rslora: bool = False
    frozen: tuple[str, ...] = ()
    memory_limit_bytes: int = 0
    micro_batch_tokens: int = 0
    streaming: Streaming = Streaming.AUTO
    frozen_int8: bool = False
    labels: tuple[str, ...] = ()
    overflow: Overflow = Overflow.TRUNCATE
    text_field: str = "text"
    label_field: str = "label"
    messages_field: str = "messages"
    prompt_field: str = "prompt"
    completion_field: str = "completion"
    tokens_field: str = "tokens"
    tags_field: str = "tags"
    image_field: str = "image"

    def __post_init__(self) -> None:
        # object.__setattr__: a frozen dataclass has no other way to normalize what it was given.
        for name, kind in (
            ("task", Task),
            ("method", Method),
            ("schedule", Schedule),
            ("precision", Precision),
            ("overflow", Overflow),
            ("streaming", Streaming),
        ):
            object.__setattr__(self, name, kind(getattr(self, name)))
        for name in _FLOATS:
            object.__setattr__(self, name, float(getattr(self, name)))
        object.__setattr__(self, "labels", tuple(self.labels))
        object.__setattr__(self, "frozen", tuple(self.frozen))
        if not isinstance(self.lora_targets, str):
            object.__setattr__(self, "lora_targets", tuple(self.lora_targets))
        _check_bounds(self)
        _check_labels(self)
        _check_method(self)
        _check_names(self)

    def to_dict(self) -> dict[str, Any]:
        """Return every field, defaults included, as JSON values (tuples as lists)."""
        values = asdict(self)
        return {
            name: list(value) if isinstance(value, tuple) else _plain(value)
            for name, value in values.items()
        }


def recipe_from_dict(values: dict[str, Any]) -> Recipe:
    """Return the Recipe that `values`, as `Recipe.to_dict` writes them, describe.

    Raises:
        ValueError: an unknown field, or a value out of bounds.
        TypeError: a required field is missing.
    """
    unknown = sorted(set(values) - set(Recipe.__dataclass_fields__))
    if unknown:
        raise ValueError(f"unknown recipe fields: {', '.join(unknown)}")
    return Recipe(**values)


# field: (lowest, highest), both allowed. The upper bounds only keep a typing error from starting an
# endless run.
_INTEGERS = {
    "seed": (0, 2**53 - 1),
    "epochs": (1, 10_000),
    "batch_size": (1, 65_536),
    "gradient_accumulation": (1, 65_536),
    "max_length": (2, 1_048_576),
    "threads": (0, 1_024),
    "evaluation_every_steps": (0, 2**31),
    "early_stopping_patience": (0, 10_000),
    "checkpoint_every_steps": (0, 2**31),
    "lora_rank": (1, 4_096),
    "lora_alpha": (1, 65_536),
    "memory_limit_bytes": (0, 2**50),
    "micro_batch_tokens": (0, 2**24),
}
_SWITCHES = ("rslora", "frozen_int8")
_TASKS_THAT_SPLIT = frozenset({Task.CAUSAL_LM, Task.TOKEN_CLASSIFICATION})
# field: (lowest, highest); the highest of a half-open range is the largest double below it.
_BELOW_ONE = math.nextafter(1.0, 0.0)
_TINY = 1e-30
_FLOATS = {
    "learning_rate": (_TINY, 10.0),
    "weight_decay": (0.0, 10.0),
    "adam_beta1": (0.0, _BELOW_ONE),
    "adam_beta2": (0.0, _BELOW_ONE),
    "adam_epsilon": (_TINY, 1.0),
    "warmup_ratio": (0.0, 1.0),
    "max_grad_norm": (0.0, 1e9),
    "evaluation_fraction": (0.0, 0.9),
    "lora_dropout": (0.0, 0.9),
}


def _check_bounds(recipe: Recipe) -> None:
    for name, (lowest, highest) in _INTEGERS.items():
        value = getattr(recipe, name)
        if type(value) is not int or not lowest <= value <= highest:
            raise ValueError(f"{name} must be a whole number from {lowest} to {highest}")
    for name, (low, high) in _FLOATS.items():
        # Written so that NaN fails too.
        if not low <= getattr(recipe, name) <= high:
            raise ValueError(f"{name} must be from {low:g} to {high:g}")
    for name in _SWITCHES:
        if type(getattr(recipe, name)) is not bool:
            raise ValueError(f"{name} must be true or false")


def _check_labels(recipe: Recipe) -> None:
    classification = recipe.task is not Task.CAUSAL_LM
    if classification and not 2 <= len(recipe.labels) <= LABELS_MAX:
        raise ValueError(f"labels must be 2 to {LABELS_MAX} names for {recipe.task}")
    if not classification and recipe.labels:
        raise ValueError("labels belong to classification only")
    if len(set(recipe.labels)) != len(recipe.labels):
        raise ValueError("labels has a name twice")
    if recipe.overflow is Overflow.SPLIT and recipe.task not in _TASKS_THAT_SPLIT:
        raise ValueError(f"overflow must not be split for {recipe.task}: one label is for all")


def _check_method(recipe: Recipe) -> None:
    if recipe.method is Method.LORA and recipe.frozen:
        raise ValueError("frozen belongs to method full: with lora the base model is frozen anyway")
    if recipe.method is Method.FULL and (recipe.rslora or recipe.frozen_int8):
        name = "rslora" if recipe.rslora else "frozen_int8"
        raise ValueError(f"{name} belongs to method lora")


def _check_names(recipe: Recipe) -> None:
    if isinstance(recipe.lora_targets, str) and recipe.lora_targets != ALL_LINEAR:
        raise ValueError(f"lora_targets is {ALL_LINEAR!r} or a list of module names")
    fields = [getattr(recipe, name) for name in Recipe.__dataclass_fields__ if _names_field(name)]
    for name in (*recipe.labels, *recipe.lora_targets, *recipe.frozen, *fields):
        if not isinstance(name, str) or not name:
            raise ValueError("labels, lora_targets, frozen and field names are non-empty strings")
    if not recipe.lora_targets:
        raise ValueError("lora_targets is empty: nothing would be trained")


def _names_field(name: str) -> bool:
    return name.endswith("_field")


def _plain(value: Any) -> Any:
    return value.value if isinstance(value, StrEnum) else value
