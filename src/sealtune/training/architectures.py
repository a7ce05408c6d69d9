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

    `causal_lm`, `classifier` (of texts), `token_classifier` and `image_classifier` are class names.
    `head` lists the classifiers' modules outside the base model, which are newly initialized where
    the stored model has none. `optional` lists modules inside the base model for which the same
    holds. `ignored` lists prefixes of tensors that belong to the head of another task and are left
    unread. `first_position` is the index of the first token's position embedding, which shortens
    the usable length. `spelling` has what stored names say and what the modules say instead, in
    the order in which to replace it. `patches`: each patch of an image is a token in every layer.
    """

    causal_lm: str = ""
    classifier: str = ""
    token_classifier: str = ""
    image_classifier: str = ""
    head: tuple[str, ...] = ("classifier",)
    optional: tuple[str, ...] = ()
    ignored: tuple[str, ...] = ()
    first_position: int = 0
    spelling: tuple[tuple[str, str], ...] = ()
    patches: bool = False


def _decoder(name: str, **changes: Any) -> Architecture:
    values: dict[str, Any] = {
        "causal_lm": f"{name}ForCausalLM",
        "classifier": f"{name}ForSequenceClassification",
        "token_classifier": f"{name}ForTokenClassification",
        "head": ("score",),
        "ignored": ("lm_head.", "score."),
    }
    return Architecture(**{**values, **changes})


def _encoder(name: str, **changes: Any) -> Architecture:
    values: dict[str, Any] = {
        "classifier": f"{name}ForSequenceClassification",
        "token_classifier": f"{name}ForTokenClassification",
    }
    return Architecture(**{**values, **changes})


def _roberta(name: str, *, base: str = "roberta") -> Architecture:
    ignored = ("lm_head.", "pooler.", f"{base}.pooler.")
    return _encoder(name, ignored=ignored, first_position=2)


def _vision(name: str, base: str, **changes: Any) -> Architecture:
    values: dict[str, Any] = {
        "image_classifier": f"{name}ForImageClassification",
        "ignored": (
            "decoder.",
            "pooler.",
            f"{base}.pooler.",
            "embeddings.mask_token",
            f"{base}.embeddings.mask_token",
        ),
    }
    return Architecture(**{**values, **changes})


_OUTPUTS = (
    ("attention.output.dense", "attention.o_proj"),
    ("intermediate.dense", "mlp.fc1"),
    ("output.dense", "mlp.fc2"),
)
_QUERY_KEY_VALUE = (
    ("attention.attention.query", "attention.q_proj"),
    ("attention.attention.key", "attention.k_proj"),
    ("attention.attention.value", "attention.v_proj"),
)
_VIT_SPELLING = (("encoder.layer.", "layers."), *_QUERY_KEY_VALUE, *_OUTPUTS)
_SWIN_SPELLING = (
    ("attention.self.query", "attention.q_proj"),
    ("attention.self.key", "attention.k_proj"),
    ("attention.self.value", "attention.v_proj"),
    (
        "attention.self.relative_position_bias_table",
        "attention.relative_position_bias.relative_position_bias_table",
    ),
    *_OUTPUTS,
)
_DINO_SPELLING = (*_QUERY_KEY_VALUE, ("attention.output.dense", "attention.o_proj"))

ARCHITECTURES: Mapping[str, Architecture] = {
    "bert": _encoder(
        "Bert", optional=("bert.pooler",), ignored=("cls.", "pooler.", "bert.pooler.")
    ),
    "distilbert": _encoder(
        "DistilBert",
        head=("pre_classifier", "classifier"),
        ignored=(
            "vocab_transform.",
            "vocab_layer_norm.",
            "vocab_projector.",
            "qa_outputs.",
            "pre_classifier.",
        ),
    ),
    "roberta": _roberta("Roberta"),
    "xlm-roberta": _roberta("XLMRoberta"),
    "camembert": _roberta("Camembert"),
    "electra": _encoder(
        "Electra",
        ignored=("discriminator_predictions.", "generator_predictions.", "generator_lm_head."),
    ),
    "mpnet": _roberta("MPNet", base="mpnet"),
    "modernbert": _encoder("ModernBert", head=("head", "classifier"), ignored=("decoder.",)),
    "deberta-v2": _encoder(
        "DebertaV2",
        head=("pooler", "classifier"),
        ignored=("cls.", "lm_predictions.", "mask_predictions.", "pooler."),
    ),
    "albert": _encoder(
        "Albert",
        optional=("albert.pooler",),
        ignored=("predictions.", "sop_classifier.", "pooler.", "albert.pooler."),
    ),
    "llama": _decoder("Llama"),
    "mistral": _decoder("Mistral"),
    "qwen2": _decoder("Qwen2"),
    "qwen3": _decoder("Qwen3"),
    "phi3": _decoder("Phi3"),
    "smollm3": _decoder("SmolLM3"),
    "gemma": _decoder("Gemma"),
    "gemma2": _decoder("Gemma2"),
    "gemma3_text": Architecture(causal_lm="Gemma3ForCausalLM"),
    "olmo2": _decoder("Olmo2", token_classifier=""),
    "granite": Architecture(causal_lm="GraniteForCausalLM"),
    "starcoder2": _decoder("Starcoder2"),
    "stablelm": _decoder("StableLm"),
    "gpt_neox": _decoder(
        "GPTNeoX", head=("score", "classifier"), spelling=(("embed_out.", "lm_head."),)
    ),
    "opt": _decoder("OPT", token_classifier=""),
    "phi": _decoder("Phi"),
    "vit": _vision("ViT", "vit", spelling=_VIT_SPELLING, patches=True),
    "deit": _vision(
        "DeiT",
        "deit",
        spelling=_VIT_SPELLING,
        patches=True,
    ),
    "dinov2": _vision("Dinov2", "dinov2", spelling=_DINO_SPELLING, patches=True),
    "swin": _vision("Swin", "swin", spelling=_SWIN_SPELLING),
    "convnext": _vision("ConvNext", "convnext"),
    "convnextv2": _vision("ConvNextV2", "convnextv2"),
}

_CLASSES = {
    Task.CAUSAL_LM: "causal_lm",
    Task.TEXT_CLASSIFICATION: "classifier",
    Task.TOKEN_CLASSIFICATION: "token_classifier",
    Task.IMAGE_CLASSIFICATION: "image_classifier",
}
PATCH = 16  # the side of a patch, in pixels, where a model has none that stays a token


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
    return str(getattr(architecture, _CLASSES[task]))


def image_tokens(config: Mapping[str, Any], shape: tuple[int, int, int]) -> int:
    """Return what an image of `shape` counts towards a budget of tokens: its patches."""
    architecture = ARCHITECTURES.get(str(config.get("model_type")))
    patch = config.get("patch_size")
    if architecture is None or not architecture.patches or type(patch) is not int or patch < 1:
        patch = PATCH
    return max(1, (shape[1] // patch) * (shape[2] // patch)) + 1


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
