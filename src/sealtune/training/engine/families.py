"""How the families that have lean blocks name their parts, as data.

A family is in this table when a test finds outputs and gradients of its lean blocks equal to those
of the `transformers` module. Every other architecture runs as its own stock module.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from enum import Enum
from typing import Any

from sealtune.training.engine.attention import Attention
from sealtune.training.engine.segments import Reach


class Kind(Enum):
    """What goes into a family's blocks, and which way they look."""

    DECODER = "decoder"
    ENCODER = "encoder"
    VISION = "vision"


@dataclass(frozen=True, slots=True, kw_only=True)
class Family:
    """Names within one block, and what the block does; empty names are parts that it lacks.

    `blocks` is the list of blocks within the base model, `embedding` its table of words. Norms:
    `before_attention` and `before_forward` feed a part's first projection; `after_attention` and
    `after_forward` stand behind a part and before the sum; `middle` and `last` behind the sums.

    `embeddings` is the module that adds positions to words (or makes patches of images), to which
    `projection` may be applied.

    From `activation` on the names are the configuration's. A key that is not named here is one
    that the family's `transformers` module does not read, whatever a configuration says under it;
    `kinds_rotate` says that each kind of layer has its own rotation, `partly_rotated` that a part
    of a head's width may be left as it is. Nothing in `without` may be
    set in the configuration: blocks do not do it.
    """

    kind: Kind = Kind.DECODER
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
    embeddings: str = ""
    projection: str = ""
    activation: str = "hidden_act"
    head_width: str = ""
    kv_heads: str = ""
    query_scalar: str = ""
    score_cap: str = ""
    logit_cap: str = ""
    window: str = ""
    layer_kinds: str = ""
    kinds_rotate: bool = False
    rotated: str = ""
    partly_rotated: bool = False
    pooling: str = ""
    attention_dropout: str = "attention_dropout"
    out_dropout: str = ""
    down_dropout: str = ""
    without: tuple[str, ...] = ()


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
    head_width="head_dim",
    kv_heads="num_key_value_heads",
)
_WINDOW: Mapping[str, Any] = {"window": "sliding_window"}
_KINDS: Mapping[str, Any] = {**_WINDOW, "layer_kinds": "layer_types"}
_GEMMA = replace(_LLAMA, norm_offset=1.0, without=("use_bidirectional_attention",))
_QUERY_KEY: Mapping[str, Any] = {"query_norm": "self_attn.q_norm", "key_norm": "self_attn.k_norm"}
_SANDWICH: Mapping[str, Any] = {
    "after_attention": "post_attention_layernorm",
    "before_forward": "pre_feedforward_layernorm",
    "after_forward": "post_feedforward_layernorm",
    "activation": "hidden_activation",
    "query_scalar": "query_pre_attn_scalar",
    "logit_cap": "final_logit_softcapping",
}

_BERT = Family(
    kind=Kind.ENCODER,
    blocks="encoder.layer",
    qkv=("attention.self.query", "attention.self.key", "attention.self.value"),
    out="attention.output.dense",
    up=("intermediate.dense",),
    down="output.dense",
    gated=False,
    norm="layer",
    middle="attention.output.LayerNorm",
    last="output.LayerNorm",
    embedding="embeddings.word_embeddings",
    embeddings="embeddings",
    attention_dropout="attention_probs_dropout_prob",
    out_dropout="hidden_dropout_prob",
    down_dropout="hidden_dropout_prob",
    without=("is_decoder", "add_cross_attention"),
)
_DISTILBERT = replace(
    _BERT,
    blocks="transformer.layer",
    qkv=("attention.q_lin", "attention.k_lin", "attention.v_lin"),
    out="attention.out_lin",
    up=("ffn.lin1",),
    down="ffn.lin2",
    middle="sa_layer_norm",
    last="output_layer_norm",
    activation="activation",
    attention_dropout="attention_dropout",
    out_dropout="",
    down_dropout="dropout",
)
_MODERNBERT = Family(
    kind=Kind.ENCODER,
    blocks="layers",
    qkv=("attn.Wqkv",),
    out="attn.Wo",
    up=("mlp.Wi",),
    down="mlp.Wo",
    gated=True,
    norm="layer",
    before_attention="attn_norm",
    before_forward="mlp_norm",
    final_norm="final_norm",
    embedding="embeddings.tok_embeddings",
    embeddings="embeddings",
    activation="hidden_activation",
    window="sliding_window",
    layer_kinds="layer_types",
    kinds_rotate=True,
    pooling="classifier_pooling",
    out_dropout="attention_dropout",
    without=("mlp_dropout",),
)
_VIT = Family(
    kind=Kind.VISION,
    blocks="layers",
    qkv=("attention.q_proj", "attention.k_proj", "attention.v_proj"),
    out="attention.o_proj",
    up=("mlp.fc1",),
    down="mlp.fc2",
    gated=False,
    norm="layer",
    before_attention="layernorm_before",
    before_forward="layernorm_after",
    final_norm="layernorm",
    embeddings="embeddings",
    head_width="head_dim",
    attention_dropout="attention_probs_dropout_prob",
    out_dropout="hidden_dropout_prob",
    down_dropout="hidden_dropout_prob",
)

FAMILIES: Mapping[str, Family] = {
    "llama": _LLAMA,
    "mistral": replace(_LLAMA, **_WINDOW),
    "qwen2": replace(_LLAMA, **_KINDS),
    "qwen3": replace(_LLAMA, **_KINDS, **_QUERY_KEY),
    "smollm3": replace(_LLAMA, **_KINDS, rotated="no_rope_layers"),
    "gemma": _GEMMA,
    "gemma2": replace(_GEMMA, **_KINDS, **_SANDWICH, score_cap="attn_logit_softcapping"),
    "gemma3_text": replace(_GEMMA, **_KINDS, **_SANDWICH, **_QUERY_KEY, kinds_rotate=True),
    "phi3": replace(
        _LLAMA,
        qkv=("self_attn.qkv_proj",),
        up=("mlp.gate_up_proj",),
        window="sliding_window",
        partly_rotated=True,
        without=("resid_pdrop", "embd_pdrop"),
    ),
    "bert": _BERT,
    "roberta": _BERT,
    "xlm-roberta": _BERT,
    "camembert": _BERT,
    "electra": replace(_BERT, projection="embeddings_project"),
    "distilbert": _DISTILBERT,
    "modernbert": _MODERNBERT,
    "vit": _VIT,
    "deit": _VIT,
}


def reach_of(config: Any, family: Family, layer: int) -> Reach:
    """Return which keys the queries of layer `layer` see."""
    kinds = named(config, family.layer_kinds)
    window = named(config, family.window) or 0
    sliding = kinds[layer] == "sliding_attention" if kinds else bool(window)
    return Reach(causal=family.kind is Kind.DECODER, window=window if sliding else 0)


def attention_of(config: Any, family: Family, layer: int, **options: Any) -> Attention:
    """Return the attention of layer `layer`; `options` are more of its fields."""
    heads = config.num_attention_heads
    width = named(config, family.head_width) or config.hidden_size // heads
    scalar = named(config, family.query_scalar)
    return Attention(
        heads=heads,
        kv_heads=named(config, family.kv_heads) or heads,
        width=width,
        scale=(scalar or width) ** -0.5,
        reach=reach_of(config, family, layer),
        soft_cap=setting(config, family.score_cap),
        dropout_rate=setting(config, family.attention_dropout),
        **options,
    )


def activation_of(config: Any, family: Family) -> str:
    """Return the name of the activation between the two feed-forward projections."""
    return str(named(config, family.activation))


def named(config: Any, name: str) -> Any:
    """Return what the configuration has under `name`, None for what is absent or has no name."""
    return getattr(config, name, None) if name else None


def setting(config: Any, name: str) -> float:
    """Return the number `name` of the configuration, 0 for one that is absent or has no name."""
    return float(named(config, name) or 0.0)
