"""What the documents name exists: symbols, tests, files, dependencies."""

from __future__ import annotations

import importlib
import re
import tomllib
from pathlib import Path

import pytest

REPOSITORY = Path(__file__).resolve().parents[2]
DOCUMENTS = [
    REPOSITORY / name
    for name in (
        "README.md",
        "SECURITY.md",
        "CONTRIBUTING.md",
        "docs/architecture.md",
        "docs/limitations.md",
        "docs/threat-model.md",
        "docs/tutorial.md",
        "docs/adr/0001-record-decisions.md",
        "docs/adr/0002-dependencies.md",
    )
]
_SYMBOL = re.compile(r"`(sealtune(?:\.\w+)+)`")
_TEST = re.compile(r"`(tests/[\w./:-]+)`")
_LINK = re.compile(r"\]\((?!https?:|#)([^)#]+)")


def _found(pattern: re.Pattern[str]) -> list[tuple[str, str]]:
    return [
        (path.name, match)
        for path in DOCUMENTS
        for match in sorted(set(pattern.findall(path.read_text())))
    ]


@pytest.mark.parametrize(("document", "symbol"), _found(_SYMBOL))
def test_a_symbol_that_a_document_names_exists(document: str, symbol: str) -> None:
    try:
        importlib.import_module(symbol)
    except ModuleNotFoundError:
        module, _, name = symbol.rpartition(".")
        if module.rpartition(".")[2][:1].isupper():  # a method of a class
            module, _, owner = module.rpartition(".")
            assert hasattr(getattr(importlib.import_module(module), owner), name)
        else:
            assert hasattr(importlib.import_module(module), name)


@pytest.mark.parametrize(("document", "test"), _found(_TEST))
def test_a_test_that_a_document_names_exists(document: str, test: str) -> None:
    path, _, name = test.partition("::")
    place = REPOSITORY / path
    assert list(place.iterdir()) if place.is_dir() else place.is_file()
    if name:
        assert f"def {name}(" in place.read_text()


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: path.name)
def test_a_file_that_a_document_links_exists(document: Path) -> None:
    broken = [
        link
        for link in _LINK.findall(document.read_text())
        if not (document.parent / link).exists()
    ]
    assert not broken


def test_each_dependency_has_its_reason() -> None:
    project = tomllib.loads((REPOSITORY / "pyproject.toml").read_text())["project"]
    extras = project["optional-dependencies"]
    wanted = [*project["dependencies"], *(item for extra in extras.values() for item in extra)]
    names = {re.split(r"[\[<>=!~ ]", item)[0] for item in wanted} - {"sealtune"}
    rows = [
        line.split("|")[1]
        for line in (REPOSITORY / "docs/adr/0002-dependencies.md").read_text().splitlines()
        if line.startswith("| `")
    ]
    explained = {name for row in rows for name in re.findall(r"`([\w-]+)`", row)}
    assert names == explained
