"""The export gate: what may be sealed to the recipients is exactly what the contract lets out.

Checked on the files that will leave, not on what produced them: kind, names, size, and that every
safetensors file holds finite tensors of the agreed kind and nothing hidden beside them.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import torch
from safetensors import SafetensorError
from safetensors.torch import load as load_safetensors

from sealtune.contract.contract import VerifiedContract
from sealtune.contract.schema import OutputKind
from sealtune.errors import Code, VerificationError
from sealtune.training.recipe import Method
from sealtune.training.sources import TrainResult

_WEIGHTS = {OutputKind.ADAPTER: "adapter_model.safetensors", OutputKind.MODEL: "model.safetensors"}
_CONFIGS = {OutputKind.ADAPTER: "adapter_config.json", OutputKind.MODEL: "config.json"}
_TEXT_FILES = frozenset(
    {
        "README.md",
        "added_tokens.json",
        "chat_template.jinja",
        "generation_config.json",
        "merges.txt",
        "special_tokens_map.json",
        "tokenizer.json",
        "tokenizer.model",
        "tokenizer_config.json",
        "vocab.json",
        "vocab.txt",
    }
)


@dataclass(frozen=True, slots=True, kw_only=True)
class GatedOutput:
    """Files that have passed the gate, and what kind of result they are."""

    kind: OutputKind
    files: Mapping[str, bytes]


def pass_gate(result: TrainResult, contract: VerifiedContract) -> GatedOutput:
    """Return the result's files if the contract lets them out.

    Raises:
        VerificationError: OUTPUT_REFUSED: another kind, another file, too large, or not finite.
    """
    recipe, outputs = contract.contract.recipe, contract.contract.outputs
    kind = OutputKind.ADAPTER if recipe.method is Method.LORA else OutputKind.MODEL
    if kind not in outputs.kinds:
        raise _refused(f"the contract lets out no {kind.value}")
    required = {_WEIGHTS[kind], _CONFIGS[kind]}
    if missing := required - result.files.keys():
        raise _refused(f"{sorted(missing)[0]} is missing")
    if foreign := result.files.keys() - required - _TEXT_FILES:
        raise _refused(f"{len(foreign)} files are none that a {kind.value} has")
    size = sum(len(content) for content in result.files.values())
    if size > outputs.max_bytes:
        raise _refused(f"{size} bytes, the contract lets out {outputs.max_bytes}")
    _check_tensors(result.files[_WEIGHTS[kind]], kind)
    return GatedOutput(kind=kind, files=dict(result.files))


def _check_tensors(content: bytes, kind: OutputKind) -> None:
    try:
        tensors = load_safetensors(content)
    except (SafetensorError, ValueError):
        raise _refused("the weights are no safetensors file") from None
    if not tensors:
        raise _refused("the weights hold no tensor")
    # The format has no gaps, but its header may carry free text and padding.
    header = int.from_bytes(content[:8], "little")
    payload = sum(tensor.numel() * tensor.element_size() for tensor in tensors.values())
    if 8 + header + payload != len(content):
        raise _refused("the weights hold bytes that belong to no tensor")
    for name, tensor in tensors.items():
        if kind is OutputKind.ADAPTER and not name.startswith("base_model.model."):
            raise _refused("a tensor is no adapter's")
        if tensor.is_floating_point() and not bool(torch.isfinite(tensor).all()):
            raise _refused("a trained tensor is not finite")


def _refused(reason: str) -> VerificationError:
    return VerificationError(Code.OUTPUT_REFUSED, f"the result may not leave: {reason}")
