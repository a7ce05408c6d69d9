"""The models that a benchmark can train without fetching any weights: true shapes, by name.

Each is the config.json that its makers publish, from which the tensors follow. Nothing here is
allocated; `weights.py` fills the shapes with random values.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any, Final

from sealtune.errors import Code, ConfigError

REAL_ENCODER: Final = "minilm"  # a real model out of an installed package, with real weights


@dataclass(frozen=True, slots=True, kw_only=True)
class Marks:
    """Ids of the tokens that open and close a message and end a text, as the real tokenizer has
    them.
    """

    text_end: int
    turn: int
    turn_end: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Shape:
    """A decoder's configuration; the ids of its special tokens are the real ones."""

    name: str
    config: Mapping[str, Any]
    marks: Marks

    @property
    def tied(self) -> bool:
        """Whether the LM head is the embedding."""
        return bool(self.config["tie_word_embeddings"])


def find_shape(name: str) -> Shape:
    """Return the random shape called `name`.

    Raises:
        ConfigError: there is none.
    """
    if name not in _SHAPES:
        known = ", ".join((*shape_names(), REAL_ENCODER))
        message = f"no model shape is called {name[:80]!r}"
        raise ConfigError(Code.CONFIG_INVALID, message, remedy=f"use one of {known}")
    return _SHAPES[name]


def shape_names() -> tuple[str, ...]:
    """Return the names for people; `tiny`, which only tests want, is not among them."""
    return tuple(name for name in _SHAPES if name != _TINY)


def tensor_shapes(shape: Shape) -> dict[str, tuple[int, ...]]:
    """Return every stored tensor's shape by name, in the order of the forward pass."""
    config = shape.config
    hidden, vocabulary = config["hidden_size"], config["vocab_size"]
    tensors: dict[str, tuple[int, ...]] = {"model.embed_tokens.weight": (vocabulary, hidden)}
    for layer in range(config["num_hidden_layers"]):
        prefix = f"model.layers.{layer}."
        tensors |= {prefix + name: size for name, size in _layer(config).items()}
    tensors["model.norm.weight"] = (hidden,)
    if not shape.tied:
        tensors["lm_head.weight"] = (vocabulary, hidden)
    return tensors


def parameter_count(shape: Shape) -> int:
    """Return the number of the model's parameters, tied ones once."""
    return sum(_product(size) for size in tensor_shapes(shape).values())


def multiplied_parameters(tensors: Mapping[str, tuple[int, ...]]) -> tuple[int, int]:
    """Return how many parameters each token, and each supervised token, is multiplied with.

    The first are the linear layers' of all blocks, the second the LM head's: an embedding is looked
    up and not multiplied, but a tied one is the LM head too. An encoder has no LM head.
    """
    matrices = {name: size for name, size in tensors.items() if len(size) == 2}
    # A pooler is applied once to a record, not to each token.
    others = [name for name in matrices if "embed" in name or "pooler" in name]
    decoder = "model.embed_tokens.weight" in matrices
    head = matrices.get("lm_head.weight", matrices.get("model.embed_tokens.weight", (0,)))
    linear = sum(
        _product(size)
        for name, size in matrices.items()
        if name not in others and name != "lm_head.weight"
    )
    return linear, _product(head) if decoder else 0


def _layer(config: Mapping[str, Any]) -> dict[str, tuple[int, ...]]:
    hidden, inner = config["hidden_size"], config["intermediate_size"]
    width = config.get("head_dim") or hidden // config["num_attention_heads"]
    queries = config["num_attention_heads"] * width
    keys = config["num_key_value_heads"] * width
    outputs = {"q_proj": queries, "k_proj": keys, "v_proj": keys}
    tensors: dict[str, tuple[int, ...]] = {"input_layernorm.weight": (hidden,)}
    for name, rows in outputs.items():
        tensors[f"self_attn.{name}.weight"] = (rows, hidden)
        if config["model_type"] == "qwen2":
            tensors[f"self_attn.{name}.bias"] = (rows,)
    return tensors | {
        "self_attn.o_proj.weight": (hidden, queries),
        "post_attention_layernorm.weight": (hidden,),
        "mlp.gate_proj.weight": (inner, hidden),
        "mlp.up_proj.weight": (inner, hidden),
        "mlp.down_proj.weight": (hidden, inner),
    }


def _product(size: tuple[int, ...]) -> int:
    total = 1
    for part in size:
        total *= part
    return total


def _llama3_rope(factor: float) -> dict[str, Any]:
    return {
        "factor": factor,
        "high_freq_factor": 4.0,
        "low_freq_factor": 1.0,
        "original_max_position_embeddings": 8192,
        "rope_type": "llama3",
    }


_LLAMA: Final = {
    "architectures": ["LlamaForCausalLM"],
    "model_type": "llama",
    "hidden_act": "silu",
    "attention_bias": False,
    "mlp_bias": False,
    "attention_dropout": 0.0,
    "rms_norm_eps": 1e-5,
    "torch_dtype": "bfloat16",
}
_LLAMA3: Final = {
    **_LLAMA,
    "vocab_size": 128_256,
    "bos_token_id": 128_000,
    "eos_token_id": 128_001,
    "head_dim": 64,
    "max_position_embeddings": 131_072,
    "rope_theta": 500_000.0,
}
_LLAMA3_MARKS: Final = Marks(text_end=128_001, turn=128_006, turn_end=128_009)
_SMOLLM2_MARKS: Final = Marks(text_end=0, turn=1, turn_end=2)
_TINY: Final = "tiny"
_SHAPES: Final[Mapping[str, Shape]] = MappingProxyType(
    {
        shape.name: shape
        for shape in (
            Shape(
                name="smollm2-135m",
                marks=_SMOLLM2_MARKS,
                config={
                    **_LLAMA,
                    "vocab_size": 49_152,
                    "hidden_size": 576,
                    "intermediate_size": 1_536,
                    "num_hidden_layers": 30,
                    "num_attention_heads": 9,
                    "num_key_value_heads": 3,
                    "max_position_embeddings": 8_192,
                    "rope_theta": 100_000.0,
                    "tie_word_embeddings": True,
                    "bos_token_id": 0,
                    "eos_token_id": 0,
                },
            ),
            Shape(
                name="qwen2.5-0.5b",
                marks=Marks(text_end=151_643, turn=151_644, turn_end=151_645),
                config={
                    "architectures": ["Qwen2ForCausalLM"],
                    "model_type": "qwen2",
                    "hidden_act": "silu",
                    "attention_dropout": 0.0,
                    "vocab_size": 151_936,
                    "hidden_size": 896,
                    "intermediate_size": 4_864,
                    "num_hidden_layers": 24,
                    "num_attention_heads": 14,
                    "num_key_value_heads": 2,
                    "max_position_embeddings": 32_768,
                    "max_window_layers": 24,
                    "sliding_window": 32_768,
                    "use_sliding_window": False,
                    "rms_norm_eps": 1e-6,
                    "rope_theta": 1_000_000.0,
                    "tie_word_embeddings": True,
                    "bos_token_id": 151_643,
                    "eos_token_id": 151_643,
                    "torch_dtype": "bfloat16",
                },
            ),
            Shape(
                name="llama-3.2-1b",
                marks=_LLAMA3_MARKS,
                config={
                    **_LLAMA3,
                    "hidden_size": 2_048,
                    "intermediate_size": 8_192,
                    "num_hidden_layers": 16,
                    "num_attention_heads": 32,
                    "num_key_value_heads": 8,
                    "rope_scaling": _llama3_rope(32.0),
                    "tie_word_embeddings": True,
                },
            ),
            Shape(
                name="llama-3.1-8b",
                marks=_LLAMA3_MARKS,
                config={
                    **_LLAMA3,
                    "hidden_size": 4_096,
                    "intermediate_size": 14_336,
                    "num_hidden_layers": 32,
                    "num_attention_heads": 32,
                    "num_key_value_heads": 8,
                    "head_dim": 128,
                    "rope_scaling": _llama3_rope(8.0),
                    "tie_word_embeddings": False,
                },
            ),
            Shape(
                name=_TINY,
                marks=_SMOLLM2_MARKS,
                config={
                    **_LLAMA,
                    "vocab_size": 512,
                    "hidden_size": 64,
                    "intermediate_size": 128,
                    "num_hidden_layers": 2,
                    "num_attention_heads": 4,
                    "num_key_value_heads": 2,
                    "max_position_embeddings": 2_048,
                    "rope_theta": 10_000.0,
                    "tie_word_embeddings": True,
                    "bos_token_id": 0,
                    "eos_token_id": 0,
                },
            ),
        )
    }
)
