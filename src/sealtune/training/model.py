"""Builds a model from its sealed configuration and fills it straight from a WeightSource.

The model is built on the meta device, so that no weight exists twice; each tensor is allocated,
read and cast by itself. Loading is strict. What may be absent: weights that the configuration ties
to another, and a classification head (or pooler) that the stored model does not have, which is
then newly initialized from the seed. What may be there and is left unread: the head of another
task, as `architectures` lists it, or of another number of classes, and buffers that the model
computes itself.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

import torch
import transformers
from huggingface_hub.errors import StrictDataclassError
from torch import nn

from sealtune.core.limits import MIB
from sealtune.errors import Code, FormatError
from sealtune.training.architectures import Architecture, find_architecture
from sealtune.training.configuration import check_blocks, check_config, check_stored
from sealtune.training.engine.layout import read_tensor, stored_dtype
from sealtune.training.recipe import Recipe, Task
from sealtune.training.sources import TensorInfo, WeightSource

_PIECE_BYTES = MIB
# Written into checkpoints by older versions of transformers; every model computes them itself.
_COMPUTED_BUFFERS = (".position_ids", ".rotary_emb.inv_freq", ".attention.masked_bias")
_COMPUTED_SUFFIXES = (*_COMPUTED_BUFFERS, ".attention.bias")
# Checkpoints of 2018 spell layer normalization as TensorFlow does.
_OLD_SPELLING = (("LayerNorm.gamma", "LayerNorm.weight"), ("LayerNorm.beta", "LayerNorm.bias"))


@dataclass(frozen=True, slots=True, kw_only=True)
class LoadedModel:
    """A model's module, whose weights are on the meta device until `fill_model` reads them.

    `new_modules` names the parts that the stored model did not have; they have their first values.
    `replaced` are those among them for which it had one of another number of classes. `placement`
    maps the module's tensor names to stored names.
    """

    module: Any
    architecture: Architecture
    new_modules: tuple[str, ...]
    replaced: tuple[str, ...]
    placement: Mapping[str, str]

    @property
    def config(self) -> Any:
        """The `transformers` configuration that the model was built from."""
        return self.module.config

    @property
    def base(self) -> str:
        """The attribute that holds the base model, without head (`bert`, `model` ...)."""
        return str(self.module.base_model_prefix)


def load_skeleton(weights: WeightSource, *, recipe: Recipe) -> LoadedModel:
    """Return the model that `weights` store for `recipe`'s task, without reading its weights.

    Raises:
        TrainingError: `MODEL_UNSUPPORTED`.
        FormatError: `MODEL_MALFORMED`: the configuration, a missing or superfluous tensor, one of
            another shape than the configuration says, or two that should be tied and differ.
    """
    architecture, class_name = find_architecture(weights.config, task=recipe.task)
    module = _build(getattr(transformers, class_name), weights.config, recipe=recipe)
    placement = _match(module, weights.tensors, architecture=architecture)
    replaced = _other_heads(module, placement, weights.tensors, architecture=architecture)
    beginnings = tuple(f"{name}." for name in replaced)
    placement = {k: v for k, v in placement.items() if not k.startswith(beginnings)}
    new_modules = _new_modules(module, placement, architecture=architecture)
    _check_shapes(module, placement, weights.tensors)
    _check_ties(module, placement, weights)
    _initialize(module, new_modules)
    return LoadedModel(
        module=module,
        architecture=architecture,
        new_modules=new_modules,
        replaced=replaced,
        placement=placement,
    )


def fill_model(model: LoadedModel, *, weights: WeightSource, half: bool) -> None:
    """Read all weights into `model`; with `half`, frozen matrices are kept in bfloat16.

    Raises:
        FormatError: `MODEL_MALFORMED`.
    """
    _fill(model.module, model.placement, weights=weights, half=half)
    _tie(model.module)
    left = [name for name, value in _all_tensors(model.module) if value.is_meta]
    if left:
        raise FormatError(Code.MODEL_MALFORMED, f"the model has no values for {_some(left)}")


def _build(model_class: Any, stored: Mapping[str, Any], *, recipe: Recipe) -> Any:
    check_stored(stored)
    values = {k: v for k, v in stored.items() if k not in ("dtype", "torch_dtype", "num_labels")}
    if recipe.task is not Task.CAUSAL_LM:
        values["id2label"] = dict(enumerate(recipe.labels))
        values["label2id"] = {name: index for index, name in enumerate(recipe.labels)}
        values["problem_type"] = "single_label_classification"
    values["use_cache"] = False
    values["return_dict"] = True
    # Named here, because a configuration could name a kernel that is downloaded.
    attention = "sdpa" if model_class._supports_sdpa else "eager"
    try:
        config = model_class.config_class.from_dict(values)
        check_config(config)
        with torch.device("meta"):
            module = model_class._from_config(
                config, dtype=torch.float32, attn_implementation=attention
            )
    except _CONFIG_ERRORS as error:
        kind = type(error).__name__
        raise FormatError(
            Code.MODEL_MALFORMED, f"config.json does not describe a {model_class.__name__} ({kind})"
        ) from error
    check_blocks(module)
    module.config.architectures = [model_class.__name__]
    return module


_CONFIG_ERRORS = (
    TypeError,
    ValueError,
    KeyError,
    IndexError,
    AttributeError,
    ZeroDivisionError,
    AssertionError,
    RuntimeError,
    OverflowError,
    StrictDataclassError,
)


def _match(
    module: Any, stored: Mapping[str, TensorInfo], *, architecture: Architecture
) -> dict[str, str]:
    """Return the stored name for each of the module's tensors that has one."""
    expected = module.state_dict()
    prefix = f"{module.base_model_prefix}."
    placement: dict[str, str] = {}
    unexpected: list[str] = []
    for name in stored:
        target = _modern(name, architecture.spelling)
        if target not in expected and prefix + target in expected:
            target = prefix + target  # stored from the base model alone, as sentence encoders are
        if target not in expected:
            if not _may_be_ignored(target, architecture=architecture):
                unexpected.append(name)
        elif target in placement:
            raise FormatError(
                Code.MODEL_MALFORMED, f"{name} and {placement[target]} are the same tensor"
            )
        else:
            placement[target] = name
    if unexpected:
        raise FormatError(
            Code.MODEL_MALFORMED,
            f"the model holds tensors that its configuration has no place for: {_some(unexpected)}",
        )
    return placement


def _modern(name: str, spelling: Iterable[tuple[str, str]]) -> str:
    for old, new in spelling:
        name = name.replace(old, new)
    for old, new in _OLD_SPELLING:
        if name.endswith(old):
            return name.removesuffix(old) + new
    return name


def _may_be_ignored(name: str, *, architecture: Architecture) -> bool:
    computed = ("." + name).endswith(_COMPUTED_SUFFIXES)
    return computed or name.startswith(architecture.ignored)


def _other_heads(
    module: Any,
    placement: Mapping[str, str],
    stored: Mapping[str, TensorInfo],
    *,
    architecture: Architecture,
) -> tuple[str, ...]:
    """Return the heads that are stored for another number of classes, and otherwise alike."""
    expected = module.state_dict()
    found = []
    for head in architecture.head:
        pairs = [
            (tuple(stored[name].shape), tuple(expected[key].shape))
            for key, name in placement.items()
            if key.startswith(f"{head}.")
        ]
        alike = all(shape[1:] == like[1:] for shape, like in pairs)
        if alike and any(shape != like for shape, like in pairs):
            found.append(head)
    return tuple(found)


def _new_modules(
    module: Any, placement: Mapping[str, str], *, architecture: Architecture
) -> tuple[str, ...]:
    """Return the modules to initialize; each must be absent as a whole."""
    tied = set(getattr(module, "all_tied_weights_keys", {}))
    missing = [name for name in module.state_dict() if name not in placement and name not in tied]
    children = dict(module.named_modules())
    allowed = [n for n in (*architecture.head, *architecture.optional) if n in children]
    new = []
    for name in allowed:
        inside = [key for key in module.state_dict() if key.startswith(name + ".")]
        if inside and all(key in missing for key in inside):
            new.append(name)
            missing = [key for key in missing if key not in inside]
    if missing:
        raise FormatError(
            Code.MODEL_MALFORMED, f"the model lacks tensors of its architecture: {_some(missing)}"
        )
    return tuple(new)


def _initialize(module: Any, new_modules: Iterable[str]) -> None:
    """Give values to new modules and to buffers that are never stored."""
    fresh = {id(m) for name in new_modules for m in module.get_submodule(name).modules()}
    for part in module.modules():
        names = list(part._non_persistent_buffers_set)
        for name in names:
            if part._buffers[name] is not None:
                part._buffers[name] = torch.empty_like(part._buffers[name], device="cpu")
        if id(part) in fresh:
            for name, parameter in part._parameters.items():
                if parameter is not None:
                    part._parameters[name] = nn.Parameter(torch.empty_like(parameter, device="cpu"))
        if names or id(part) in fresh:
            # Writes on tensors that are still on the meta device do nothing.
            module._init_weights(part)


def _check_shapes(
    module: Any, placement: Mapping[str, str], stored: Mapping[str, TensorInfo]
) -> None:
    expected = module.state_dict()
    for target, name in placement.items():
        shape, like = tuple(stored[name].shape), tuple(expected[target].shape)
        if shape != like:
            raise FormatError(
                Code.MODEL_MALFORMED, f"{name} has shape {shape}, its configuration says {like}"
            )
        stored_dtype(name, stored[name])


def _check_ties(module: Any, placement: Mapping[str, str], weights: WeightSource) -> None:
    for target, source in getattr(module, "all_tied_weights_keys", {}).items():
        if target in placement and source in placement:
            same = _digest(placement[target], weights) == _digest(placement[source], weights)
            if not same:
                raise FormatError(
                    Code.MODEL_MALFORMED,
                    f"the configuration ties {target} to {source}; they differ",
                )


def _digest(name: str, weights: WeightSource) -> bytes:
    """Return a digest of a stored tensor, read piece by piece: it may be larger than memory."""
    state = hashlib.sha256(weights.tensors[name].dtype.encode())
    buffer = memoryview(bytearray(_PIECE_BYTES))
    for piece in weights.read_pieces(name, buffer, multiple=1):
        state.update(piece)
    return state.digest()


def _fill(module: Any, placement: Mapping[str, str], *, weights: WeightSource, half: bool) -> None:
    expected = module.state_dict()
    tied = _tied_names(module)
    for target, stored in placement.items():
        owner, _, name = target.rpartition(".")
        part = module.get_submodule(owner)
        like = expected[target]
        # Frozen matrices live in bfloat16 alone (see Precision); tied ones also serve as embedding.
        frozen_matrix = half and isinstance(part, nn.Linear) and target not in tied
        dtype = torch.bfloat16 if frozen_matrix and not _in_head(module, target) else like.dtype
        value = torch.empty(like.shape, dtype=dtype)
        if value.numel():
            read_tensor(stored, value, weights=weights)
        if name in part._parameters:
            part._parameters[name] = nn.Parameter(value)
        else:
            part._buffers[name] = value


def _in_head(module: Any, target: str) -> bool:
    return not target.startswith(f"{module.base_model_prefix}.") and "lm_head" not in target


def _tied_names(module: Any) -> set[str]:
    pairs = getattr(module, "all_tied_weights_keys", {})
    return {*pairs, *pairs.values()}


def _tie(module: Any) -> None:
    for target, source in getattr(module, "all_tied_weights_keys", {}).items():
        owner, _, name = target.rpartition(".")
        module.get_submodule(owner)._parameters[name] = module.get_parameter(source)


def _all_tensors(module: Any) -> Iterable[tuple[str, torch.Tensor]]:
    yield from module.named_parameters()
    yield from module.named_buffers()


def _some(names: Iterable[str]) -> str:
    listed = sorted(names)
    more = f" and {len(listed) - 5} more" if len(listed) > 5 else ""
    return ", ".join(listed[:5]) + more
