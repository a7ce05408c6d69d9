"""The measurement of a simulated enclave: what the worker is made of, wherever it is installed."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

import sealtune
from sealtune.tee.measure import (
    EnclaveModule,
    enclave_modules,
    measure_enclave_code,
    measurement_of,
    modules_of,
)

PACKAGE = {
    "__init__.py": "",
    "errors.py": "class Error(Exception): pass\n",
    "core/__init__.py": "# only a comment\n",
    "core/digest.py": "import hashlib\n\nfrom sealtune.errors import Error\n",
    "worker/__init__.py": "",
    "worker/__main__.py": "import json\nimport sealtune.core.digest\nfrom sealtune.tee import a\n",
    "worker/plugin.py": "def late():\n    from sealtune.late.x import thing\n",
    "tee/__init__.py": "",
    "tee/a.py": "import os\n",
    "late/__init__.py": "",
    "late/x.py": "thing = 1\n",
    "broker/__init__.py": "from sealtune.worker import plugin\n",
    "broker/app.py": "import fastapi\n",
    "sealtuned.py": "",
}


@pytest.fixture
def package(tmp_path: Path) -> Path:
    root = tmp_path / "site" / "sealtune"
    for name, source in PACKAGE.items():
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(source)
    return root


def test_the_set_is_what_the_worker_imports(package: Path) -> None:
    assert [module.name for module in modules_of(package)] == [
        "sealtune",
        "sealtune.core",
        "sealtune.core.digest",
        "sealtune.errors",
        "sealtune.late",
        "sealtune.late.x",
        "sealtune.tee",
        "sealtune.tee.a",
        "sealtune.worker",
        "sealtune.worker.__main__",
        "sealtune.worker.plugin",
    ]


def test_lines_are_those_that_are_neither_empty_nor_a_comment(package: Path) -> None:
    lines = {module.name: module.lines for module in modules_of(package)}
    assert (lines["sealtune.core"], lines["sealtune.core.digest"]) == (0, 2)


def test_the_value_does_not_depend_on_the_place(package: Path, tmp_path: Path) -> None:
    elsewhere = shutil.copytree(package, tmp_path / "other" / "place" / "sealtune")
    assert measurement_of(modules_of(package)) == measurement_of(modules_of(elsewhere))


@pytest.mark.parametrize("name", ["errors.py", "worker/__main__.py", "late/x.py", "__init__.py"])
def test_a_changed_module_changes_the_value(package: Path, name: str) -> None:
    before = measurement_of(modules_of(package))
    path = package / name
    path.write_text(path.read_text() + "# one more byte\n")
    assert measurement_of(modules_of(package)) != before


def test_an_added_or_renamed_module_of_the_worker_changes_the_value(package: Path) -> None:
    before = measurement_of(modules_of(package))
    (package / "worker" / "plugin.py").rename(package / "worker" / "renamed.py")
    renamed = measurement_of(modules_of(package))
    (package / "worker" / "extra.py").write_text("")
    assert len({before, renamed, measurement_of(modules_of(package))}) == 3


def test_code_that_is_not_in_the_enclave_does_not_count(package: Path) -> None:
    before = measurement_of(modules_of(package))
    (package / "broker" / "app.py").write_text("import flask\n")
    assert measurement_of(modules_of(package)) == before


def test_a_change_of_the_same_length_changes_the_value(package: Path) -> None:
    before = measurement_of(modules_of(package))
    (package / "late" / "x.py").write_text("thing = 2\n")
    assert measurement_of(modules_of(package)) != before


def test_bytes_cannot_move_from_path_to_content() -> None:
    first = EnclaveModule(name="a", path="sealtune/a", source=b"b = 1")
    second = EnclaveModule(name="a", path="sealtune/ab", source=b" = 1")
    assert measurement_of((first,)) != measurement_of((second,))


def test_this_installation() -> None:
    modules = enclave_modules()
    names = {module.name for module in modules}
    assert "sealtune.worker" in names
    assert not {name for name in names if name.startswith(("sealtune.cli", "sealtune.broker"))}
    assert not any(name.startswith("sealtune.testing") for name in names)
    assert measure_enclave_code() == measurement_of(modules)
    assert len(bytes.fromhex(measure_enclave_code())) == 48
    root = Path(sealtune.__file__).parent.parent
    assert all((root / module.path).read_bytes() == module.source for module in modules)
