"""How the families that have lean blocks name their parts, as data.

A family is in this table when a test finds outputs and gradients of its lean blocks equal to those
of the `transformers` module. Every other architecture runs as its own stock module.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from sealtune.training.engine.segments import Reach


@dataclass(frozen=True, slots=True, kw_only=True)
class Family:
    """Names within one block, and what the block does; empty names are parts that it lacks.

    `blocks` is the list of blocks within the base model. Norms: `before_attention` and
    `before_forward` feed a part's first projection; `after_attention` and `after_forward` stand
    behind a part and before the sum; `middle` and `last` behind the sums.
    """

    blocks: str
    qkv: tuple[str, ...]
    out: str
    up: tuple[str, ...]
    down: str
    gated: bool
    norm: str  # "rms" or "layer"
    before_attention: str = ""
    after_attention: str = ""
    middle: str = ""
    before_forward: str = ""
    after_forward: str = ""
    last: str = ""
    query_norm: str = ""
    key_norm: str = ""
    norm_offset: float = 0.0
    final_norm: str = ""
    embedding: str = ""


_LLAMA = Family(
    blocks="layers",
    qkv=("self_attn.q_proj", "self_attn.k_proj", "self_attn.v_proj"),
    out="self_attn.o_proj",
    up=("mlp.gate_proj", "mlp.up_proj"),
    down="mlp.down_proj",
    gated=True,
    norm="rms",
    before_attention="input_layernorm",
    before_forward="post_attention_layernorm",
    final_norm="norm",
    embedding="embed_tokens",
)


def _llama(**changes: Any) -> Family:
    values = {name: getattr(_LLAMA, name) for name in Family.__dataclass_fields__}
    return Family(**{**values, **changes})


_QUERY_KEY = {"query_norm": "self_attn.q_norm", "key_norm": "self_attn.k_norm"}
_SANDWICH = {
    "after_attention": "post_attention_layernorm",
    "before_forward": "pre_feedforward_layernorm",
    "after_forward": "post_feedforward_layernorm",
    "norm_offset": 1.0,
}

FAMILIES: Mapping[str, Family] = {
    "llama": _LLAMA,
    "mistral": _LLAMA,
    "qwen2": _LLAMA,
    "qwen3": _llama(**_QUERY_KEY),
    "gemma": _llama(norm_offset=1.0),
    "gemma2": _llama(**_SANDWICH),
    "gemma3_text": _llama(**_SANDWICH, **_QUERY_KEY),
    "phi3": _llama(qkv=("self_attn.qkv_proj",), up=("mlp.gate_up_proj",)),
}


def reach_of(config: Any, layer: int) -> Reach:
    """Return which keys the queries of decoder layer `layer` see."""
    kinds = getattr(config, "layer_types", None)
    window = getattr(config, "sliding_window", None) or 0
    sliding = kinds[layer] == "sliding_attention" if kinds else bool(window)
    return Reach(causal=True, window=window if sliding else 0)
