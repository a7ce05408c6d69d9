"""The model architectures that can be trained, as data.

A name is in this table when a test builds it, trains it, and loads the result with plain
`transformers` and `peft`. Anything else is refused by name: a model that loads but is trained
with the wrong head or positions would be worse than none.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from sealtune.errors import Code, TrainingError
from sealtune.training.recipe import Task


@dataclass(frozen=True, slots=True, kw_only=True)
class Architecture:
    """How `transformers` names a model family's parts.

    `causal_lm` and `classifier` are class names. `head` lists the classifier's modules outside the
    base model, which are newly initialized where the stored model has none. `optional` lists
    modules inside the base model for which the same holds. `ignored` lists prefixes of tensors
    that belong to the head of another task and are left unread. `first_position` is the index of
    the first token's position embedding, which shortens the usable length.
    """

    causal_lm: str = ""
    classifier: str = ""
    head: tuple[str, ...] = ("classifier",)
    optional: tuple[str, ...] = ()
    ignored: tuple[str, ...] = ()
    first_position: int = 0


def _decoder(name: str, *, ignored: tuple[str, ...] = ("lm_head.",)) -> Architecture:
    return Architecture(
        causal_lm=f"{name}ForCausalLM",
        classifier=f"{name}ForSequenceClassification",
        head=("score",),
        ignored=(*ignored, "score."),
    )


ARCHITECTURES: Mapping[str, Architecture] = {
    "bert": Architecture(
        classifier="BertForSequenceClassification",
        optional=("bert.pooler",),
        ignored=("cls.",),
    ),
    "distilbert": Architecture(
        classifier="DistilBertForSequenceClassification",
        head=("pre_classifier", "classifier"),
        ignored=("vocab_transform.", "vocab_layer_norm.", "vocab_projector.", "qa_outputs."),
    ),
    "roberta": Architecture(
        classifier="RobertaForSequenceClassification",
        ignored=("lm_head.", "pooler.", "roberta.pooler."),
        first_position=2,
    ),
    "xlm-roberta": Architecture(
        classifier="XLMRobertaForSequenceClassification",
        ignored=("lm_head.", "pooler.", "roberta.pooler."),
        first_position=2,
    ),
    "electra": Architecture(
        classifier="ElectraForSequenceClassification",
        ignored=("discriminator_predictions.", "generator_predictions.", "generator_lm_head."),
    ),
    "mpnet": Architecture(
        classifier="MPNetForSequenceClassification",
        ignored=("lm_head.", "pooler.", "mpnet.pooler."),
        first_position=2,
    ),
    "modernbert": Architecture(
        classifier="ModernBertForSequenceClassification",
        head=("head", "classifier"),
        ignored=("decoder.",),
    ),
    "llama": _decoder("Llama"),
    "mistral": _decoder("Mistral"),
    "qwen2": _decoder("Qwen2"),
    "qwen3": _decoder("Qwen3"),
    "phi3": _decoder("Phi3"),
    "smollm3": _decoder("SmolLM3"),
    "olmo2": Architecture(causal_lm="Olmo2ForCausalLM"),
}


def find_architecture(config: Mapping[str, Any], *, task: Task) -> tuple[Architecture, str]:
    """Return the architecture that `config` (a parsed config.json) names and its class for `task`.

    Raises:
        TrainingError: `MODEL_UNSUPPORTED`: it is not in the table, has no class for `task`, brings
            code of its own or is quantized.
    """
    _refuse_foreign_code(config)
    model_type = config.get("model_type")
    supported = ", ".join(sorted(name for name, a in ARCHITECTURES.items() if class_for(a, task)))
    remedy = f"models for {task}: {supported}"
    architecture = ARCHITECTURES.get(model_type) if isinstance(model_type, str) else None
    if architecture is None:
        raise TrainingError(
            Code.MODEL_UNSUPPORTED, f"model type {model_type!r} is not supported", remedy=remedy
        )
    class_name = class_for(architecture, task)
    if not class_name:
        raise TrainingError(
            Code.MODEL_UNSUPPORTED, f"{model_type} is not supported for {task}", remedy=remedy
        )
    return architecture, class_name


def class_for(architecture: Architecture, task: Task) -> str:
    """Return the `transformers` class that has `architecture` for `task`, or an empty string."""
    return architecture.causal_lm if task is Task.CAUSAL_LM else architecture.classifier


def _refuse_foreign_code(config: Mapping[str, Any]) -> None:
    if "auto_map" in config:
        raise TrainingError(
            Code.MODEL_UNSUPPORTED,
            "config.json has auto_map: the model brings code of its own, which is never run",
            remedy="use a model whose architecture transformers itself implements",
        )
    if config.get("quantization_config") is not None:
        raise TrainingError(
            Code.MODEL_UNSUPPORTED,
            "config.json has quantization_config: quantized weights cannot be trained",
            remedy="seal the model's unquantized weights",
        )
