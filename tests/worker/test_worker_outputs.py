"""What the receipt says of the software, in an image too: there sealtune is modules alone."""

from __future__ import annotations

from importlib import metadata

import pytest

import sealtune
from sealtune.worker.outputs import software_versions


def test_our_version_needs_no_installed_package(monkeypatch: pytest.MonkeyPatch) -> None:
    version = metadata.version

    def without_ours(name: str) -> str:
        if name == "sealtune":
            raise metadata.PackageNotFoundError(name)
        return version(name)

    monkeypatch.setattr(metadata, "version", without_ours)
    told = software_versions()
    assert told["sealtune"] == sealtune.__version__
    assert told["torch"] == version("torch")
    assert set(told) >= {"python", "transformers", "tokenizers", "safetensors", "cryptography"}
