"""The measurement of a simulated enclave: SHA-384 over the code that the worker is made of.

The measured set is the transitive closure of the `sealtune` modules that those of `sealtune.worker`
import, read from their source without running it. Third-party packages and the interpreter are not
in it: a real enclave image measures those too, a simulation proves nothing anyway.
"""

from __future__ import annotations

import ast
import hashlib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import sealtune

_PACKAGE = "sealtune"
_START = "sealtune.worker"
_LABEL = b"sealtune/v1/enclave-code"


@dataclass(frozen=True, slots=True, kw_only=True)
class EnclaveModule:
    """One measured source file: `path` is relative to the folder that holds the package."""

    name: str
    path: str
    source: bytes

    @property
    def lines(self) -> int:
        """The number of lines that are neither empty nor a comment alone."""
        stripped = (line.strip() for line in self.source.splitlines())
        return sum(1 for line in stripped if line and not line.startswith(b"#"))


def measure_enclave_code() -> str:
    """Return the measurement of this installation's worker, 96 hexadecimal digits.

    The same source gives the same value wherever it is installed.
    """
    return measurement_of(enclave_modules())


def enclave_modules() -> tuple[EnclaveModule, ...]:
    """Return what `measure_enclave_code` measures, sorted by module name."""
    return modules_of(Path(sealtune.__file__).resolve().parent)


def measurement_of(modules: tuple[EnclaveModule, ...]) -> str:
    """Return the SHA-384 over path and content of `modules`, each with its length."""
    state = hashlib.sha384(_LABEL)
    for module in sorted(modules, key=lambda module: module.path):
        for part in (module.path.encode(), module.source):
            state.update(len(part).to_bytes(8, "big"))
            state.update(part)
    return state.hexdigest()


def modules_of(package: Path) -> tuple[EnclaveModule, ...]:
    """Return the modules of the worker in the `sealtune` package at the folder `package`."""
    available = dict(_available(package))
    # Every module of the worker, not `__main__` alone: one that is loaded by name only must not
    # escape the measurement.
    pending = [name for name in available if f"{name}.".startswith(f"{_START}.")]
    found: dict[str, EnclaveModule] = {}
    while pending:
        name = pending.pop()
        if name in found:
            continue
        path = available[name]
        source = path.read_bytes()
        found[name] = EnclaveModule(
            name=name, path=path.relative_to(package.parent).as_posix(), source=source
        )
        pending += [imported for imported in _imports(source) if imported in available]
    return tuple(found[name] for name in sorted(found))


def _available(package: Path) -> Iterator[tuple[str, Path]]:
    for path in package.rglob("*.py"):
        parts = path.relative_to(package.parent).with_suffix("").parts
        yield ".".join(parts[:-1] if parts[-1] == "__init__" else parts), path


def _imports(source: bytes) -> Iterator[str]:
    """Yield every name in `source` that an import may load, and the packages above each."""
    for node in ast.walk(ast.parse(source)):
        names: list[str] = []
        if isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom) and node.module:
            # `from a.b import c` loads a.b, and a.b.c if that is a module.
            names = [node.module, *(f"{node.module}.{alias.name}" for alias in node.names)]
        for name in names:
            parts = name.split(".")
            if parts[0] == _PACKAGE:
                yield from (".".join(parts[: end + 1]) for end in range(len(parts)))
