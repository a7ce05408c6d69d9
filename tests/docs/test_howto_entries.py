"""The entries of `[[enclaves]]` that the how-tos print are ones that a contract may have."""

from __future__ import annotations

import json
import re
import tomllib
from pathlib import Path
from typing import Any

import pytest

from sealtune.contract.checks import check_enclaves
from sealtune.contract.enclave import Enclave

_HOWTO = Path(__file__).parents[2] / "docs" / "howto"
_ENTRY = re.compile(r"^```(?:text|toml)\n(\[\[enclaves\]\]\n.*?)^```$", re.DOTALL | re.MULTILINE)
# A placeholder says how many digits belong there; the others take the 96 of most.
_FILLED_IN = re.compile(r'"<(?:[^>"0-9]*)([0-9]+)?[^>"]*>"')
_PAGES = {page.name: _ENTRY.findall(page.read_text()) for page in _HOWTO.glob("*.md")}
_ENTRIES = [
    pytest.param(text, id=f"{name}-{number}")
    for name, found in sorted(_PAGES.items())
    for number, text in enumerate(found)
]


def test_there_are_some() -> None:
    assert len(_ENTRIES) >= 3


def _digits(placeholder: re.Match[str]) -> str:
    return f'"{"ab" * (int(placeholder[1] or 96) // 2)}"'


@pytest.mark.parametrize("text", _ENTRIES)
def test_an_entry_can_be_drafted(text: str) -> None:
    entry: dict[str, Any] = tomllib.loads(_FILLED_IN.sub(_digits, text))["enclaves"][0]
    if "reference_values" in entry:
        # What the draft writes out in their place (contract spec §7.3).
        del entry["reference_values"], entry["reference_values_key"]
        entry |= {"kind": entry.pop("entry"), "measurements": ["ab" * 48]}
    check_enclaves([Enclave.model_validate_json(json.dumps(entry))])
