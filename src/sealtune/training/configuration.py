"""Checks a model's configuration before and after its skeleton is built from it.

`transformers` builds a module from nearly any numbers; many of them fail later, at the first batch,
or compute what nobody meant. What is wrong is told by the key's name, never by its value.
"""

from __future__ import annotations

import copy
import math
from collections.abc import Iterator, Mapping
from typing import Any

import torch

from sealtune.errors import Code, FormatError
from sealtune.training.engine.families import FAMILIES, Family, named

RATE_MAX = 0.99  # masks are drawn in steps of 1/256: of more, nothing might be left
LAYERS_MAX = 1_000  # about 8x the deepest model that is published
_LAYERS = ("num_hidden_layers", "n_layers", "n_layer", "num_layers", "depths")
_SIZES = (
    "hidden_size",
    "intermediate_size",
    "hidden_dim",
    "ffn_dim",
    "num_attention_heads",
    "num_key_value_heads",
    "head_dim",
    "vocab_size",
    "max_position_embeddings",
    "embedding_size",
    "embed_dim",
    "hidden_sizes",
    "num_heads",
    "window_size",
    "image_size",
    "patch_size",
    "num_channels",
    "local_attention",
)
_POSITIVE = ("rope_theta", "factor", "query_pre_attn_scalar")
_CAPS = ("attn_logit_softcapping", "final_logit_softcapping")
_KINDS = {"full_attention", "sliding_attention"}


def check_stored(stored: Mapping[str, Any]) -> None:
    """Return if no number of config.json is out of all bounds; it is not yet interpreted.

    Raises:
        FormatError: `MODEL_MALFORMED`.
    """
    for name, value in _leaves(stored):
        if isinstance(value, float) and not math.isfinite(value):
            raise _malformed(name, "is no finite number")
        if name in _POSITIVE + _CAPS and value is not None and not _number(value) > 0:
            raise _malformed(name, "is not above 0")
        if name.endswith("_eps") and value is not None and not _number(value) >= 0:
            raise _malformed(name, "is not 0 or more")
    for name in _LAYERS:
        given = stored.get(name, 1)
        counts = given if isinstance(given, list) else [given]
        if not counts or not all(_is_size(count) for count in counts) or sum(counts) > LAYERS_MAX:
            raise _malformed(name, f"is no number of layers from 1 to {LAYERS_MAX}")


def check_config(config: Any) -> None:
    """Return if sizes and rates of `config`, as `transformers` reads it, are some.

    Raises:
        FormatError: `MODEL_MALFORMED`.
    """
    for name in _SIZES:
        value = getattr(config, name, None)
        for each in value if isinstance(value, list | tuple) else [value]:
            if each is not None and not _is_size(each):
                raise _malformed(name, "is no whole number above 0")
    for name, value in vars(config).items():
        if _is_rate(name) and value is not None and not 0 <= _number(value) <= RATE_MAX:
            raise _malformed(name, f"is no rate from 0 to {RATE_MAX}")
    heads, groups = (named(config, f"num_{kind}_heads") for kind in ("attention", "key_value"))
    if isinstance(heads, int) and groups and heads % groups:
        raise _malformed("num_attention_heads", "is no multiple of num_key_value_heads")
    if config.model_type in FAMILIES:
        _check_layers(config, FAMILIES[config.model_type])


def check_blocks(module: Any) -> None:
    """Return if the projections of `module` are as wide as its configuration's heads together.

    Raises:
        FormatError: `MODEL_MALFORMED`.
    """
    config = module.config
    family = FAMILIES.get(config.model_type)
    if family is None:
        return
    base = module.get_submodule(module.base_model_prefix)
    width = named(config, family.head_width) or config.hidden_size // config.num_attention_heads
    groups = named(config, family.kv_heads) or config.num_attention_heads
    expected = (config.num_attention_heads + 2 * groups) * width
    block = base.get_submodule(family.blocks)[0]
    if sum(block.get_submodule(name).weight.shape[0] for name in family.qkv) != expected:
        raise _malformed("hidden_size", "does not go with the number and width of heads")
    rotations = getattr(base, "rotary_emb", None)
    for name, value in () if rotations is None else rotations.named_buffers():
        rotated = 2 * value.numel()
        partly = family.partly_rotated and 0 < rotated <= width
        if name.endswith("inv_freq") and rotated != width and not partly:
            raise _malformed("head_dim", "does not go with rotary positions")


def check_images(module: Any, shape: tuple[int, int, int]) -> None:
    """Return if `module` can compute an image of `shape` (channels, height, width).

    Tried on a copy without values: which sizes windows and patches allow, the module knows best.

    Raises:
        FormatError: `MODEL_MALFORMED`.
    """
    trial = copy.deepcopy(module).to("meta").eval()
    try:
        with torch.no_grad():
            trial(pixel_values=torch.empty(1, *shape, device="meta"))
    except (RuntimeError, ValueError, TypeError, IndexError, ZeroDivisionError) as error:
        raise FormatError(
            Code.MODEL_MALFORMED,
            f"the model cannot compute images of {shape[1]}x{shape[2]} pixels, which the image "
            f"processor makes ({type(error).__name__})",
            remedy="seal the model with the image processor that belongs to it",
        ) from error


def _check_layers(config: Any, family: Family) -> None:
    count, window = config.num_hidden_layers, named(config, family.window)
    if window is not None and not _is_size(window):
        raise _malformed(family.window, "is no whole number above 0")
    kinds, rotated = named(config, family.layer_kinds), named(config, family.rotated)
    for name, values in ((family.layer_kinds, kinds), (family.rotated, rotated)):
        if values is not None and not (isinstance(values, list | tuple) and len(values) == count):
            raise _malformed(name, "has not one entry for each layer")
    if kinds is None:
        return
    if not set(kinds) <= _KINDS:
        raise _malformed(family.layer_kinds, f"has other kinds than {', '.join(sorted(_KINDS))}")
    if "sliding_attention" in kinds and window is None:
        raise _malformed(family.window, f"is absent, though {family.layer_kinds} asks for one")


def _leaves(stored: Mapping[str, Any]) -> Iterator[tuple[str, Any]]:
    """Yield each value that is no list or object, with the key that it stands under."""
    waiting: list[tuple[str, Any]] = list(stored.items())
    while waiting:
        name, value = waiting.pop()
        if isinstance(value, Mapping):
            waiting += [(str(key), each) for key, each in value.items()]
        elif isinstance(value, list):
            waiting += [(name, each) for each in value]
        else:
            yield name, value


def _is_rate(name: str) -> bool:
    return "dropout" in name or name.endswith(("_pdrop", "drop_path_rate", "layerdrop"))


def _is_size(value: Any) -> bool:
    return type(value) is int and value >= 1


def _number(value: Any) -> float:
    """Return `value` if it is a number, and what no comparison finds true otherwise."""
    return float(value) if isinstance(value, int | float) else math.nan


def _malformed(name: str, problem: str) -> FormatError:
    return FormatError(Code.MODEL_MALFORMED, f"config.json: {name} {problem}")
