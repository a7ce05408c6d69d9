"""A device that is not there: its tensors are the processor's, every copy to it or from it counts.

Operations give true results, because the processor computes them. As on an accelerator, a tensor
there and one here do not go into one operation, and what asks the device for a number, or for how
many rows a result has, is a crossing. Torch's unused device `lazy` lends its name: torch can
differentiate on it without a driver.
"""

from __future__ import annotations

from typing import Any

import torch
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves, tree_map

FAR = "lazy"
UP, DOWN = "up", "down"
# The result's size is in the data: the host waits for it.
_ASKS = {
    "aten::_local_scalar_dense",
    "aten::nonzero",
    "aten::masked_select",
    "aten::repeat_interleave",
}


class Far(torch.Tensor):
    """A tensor there; `near` is where its numbers really are."""

    near: torch.Tensor

    @staticmethod
    def __new__(cls, near: torch.Tensor) -> Far:
        made = torch.Tensor._make_wrapper_subclass(
            cls,
            near.shape,
            strides=near.stride(),
            storage_offset=near.storage_offset(),
            dtype=near.dtype,
            device=torch.device(FAR, 0),
        )
        made.near = near
        return made

    def __init__(self, near: torch.Tensor) -> None:
        pass

    @classmethod
    def __torch_dispatch__(cls, func: Any, *_: Any, **__: Any) -> Any:
        raise AssertionError(f"{func} outside of `with FarDevice()`")

    def __repr__(self, **_: Any) -> str:
        return f"Far({tuple(self.shape)})"


class FarDevice(TorchDispatchMode):
    """While it is entered the device is there. `crossings` lists direction and bytes of each."""

    def __init__(self) -> None:
        super().__init__()
        self.crossings: list[tuple[str, int]] = []

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        kwargs = dict(kwargs or {})
        leaves = tree_leaves((args, kwargs))
        far = [leaf for leaf in leaves if isinstance(leaf, Far)]
        name = func.overloadpacket._qualified_op_name
        target = kwargs.get("device")
        goes_there = bool(far) if target is None else torch.device(target).type == FAR
        self._count(name, args, kwargs, far)
        if not name.endswith(("copy_", "_to_copy")):
            near = [x for x in leaves if isinstance(x, torch.Tensor) and not isinstance(x, Far)]
            mixed = [x for x in near if x.dim()] if far else []
            assert not mixed, f"{name}: one tensor there, another here"
        if target is not None and goes_there:
            kwargs["device"] = torch.device("cpu")
        known = {id(tensor.near): tensor for tensor in far}
        inner_args, inner_kwargs = tree_map(_near, (args, kwargs))
        if name == "aten::_to_copy" and target is not None:
            # Where both are the processor, torch would return the same memory.
            inner_args = (inner_args[0].clone(), *inner_args[1:])
        result = func(*inner_args, **inner_kwargs)
        if name == "aten::copy_":
            return args[0]

        def wrap(value: Any) -> Any:
            if not isinstance(value, torch.Tensor) or not goes_there:
                return value
            return known[id(value)] if id(value) in known else Far(value)

        return tree_map(wrap, result)

    def _count(self, name: str, args: Any, kwargs: Any, far: list[Far]) -> None:
        target = kwargs.get("device")
        masked = name == "aten::index" and any(map(_is_mask, args[1]))
        sized = name == "aten::repeat_interleave" and kwargs.get("output_size") is not None
        if far and not sized and (name in _ASKS or masked):
            self.crossings.append((DOWN, 8))
        elif name == "aten::_to_copy" and target is not None:
            goes_up = torch.device(target).type == FAR
            if isinstance(args[0], Far) != goes_up:
                self.crossings.append((UP if goes_up else DOWN, _bytes(args[0])))
        elif name == "aten::copy_" and isinstance(args[0], Far) != isinstance(args[1], Far):
            self.crossings.append((UP if isinstance(args[0], Far) else DOWN, _bytes(args[1])))


def _near(value: Any) -> Any:
    return value.near if isinstance(value, Far) else value


def _is_mask(index: Any) -> bool:
    return isinstance(index, Far) and index.dtype in (torch.bool, torch.uint8)


def _bytes(tensor: torch.Tensor) -> int:
    return tensor.numel() * tensor.element_size()
