"""Fine-tune a model on sealed data inside an enclave, with keys released only on evidence.

The functions below are what the `sealtune` command calls. Each is loaded when it is first used:
importing this package loads no cryptography, no pydantic and no torch.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from sealtune.crypto.identity import (
        Identity,
        PublicIdentity,
        create_identity,
        load_identity,
        load_public_identity,
    )

__version__ = "0.1.0"

_PLACES = {
    "sealtune.crypto.identity": (
        "Identity",
        "PublicIdentity",
        "create_identity",
        "load_identity",
        "load_public_identity",
    ),
}
_MODULES = {name: module for module, names in _PLACES.items() for name in names}

__all__ = [
    "Identity",
    "PublicIdentity",
    "create_identity",
    "load_identity",
    "load_public_identity",
]


def __getattr__(name: str) -> Any:
    if name not in _MODULES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    value = getattr(import_module(_MODULES[name]), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
