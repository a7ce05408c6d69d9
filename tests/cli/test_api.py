"""The typed functions that the package offers are those that its stub declares."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest

import sealtune


def _stub_names() -> dict[str, str]:
    stub = Path(sealtune.__file__).with_suffix(".pyi").read_text()
    imports = [node for node in ast.walk(ast.parse(stub)) if isinstance(node, ast.ImportFrom)]
    return {alias.name: str(node.module) for node in imports for alias in node.names}


def test_stub_and_lazy_table_agree() -> None:
    assert _stub_names() == sealtune._MODULES
    assert sorted(sealtune.__all__) == sorted(_stub_names())


@pytest.mark.parametrize("name", sealtune.__all__)
def test_each_name_is_there(name: str) -> None:
    assert getattr(sealtune, name) is not None


def test_an_unknown_name_is_an_attribute_error() -> None:
    with pytest.raises(AttributeError):
        _ = sealtune.golden_key  # type: ignore[attr-defined]


def test_the_enclave_image_carries_no_command_line() -> None:
    # The package's __init__ is measured with the worker: it must import nothing but by name.
    modules = {module.name for module in sealtune.enclave_modules()}
    assert "sealtune" in modules
    outside = {"sealtune.cli", "sealtune.broker", "sealtune.testing"}
    assert not {name for name in modules if ".".join(name.split(".")[:2]) in outside}
