"""Tiny models on disk, made once."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from tiny_models import make_model


@pytest.fixture(autouse=True)
def one_thread() -> None:
    """Two threads that wait for each other make tiny models slow on a busy machine."""
    torch.set_num_threads(1)


@pytest.fixture(scope="session")
def model_folder(tmp_path_factory: pytest.TempPathFactory) -> Callable[..., Path]:
    """Return a folder with a tiny model, made at its first use."""
    made: dict[tuple[str, str], Path] = {}

    def folder(model_type: str, auto_class: str) -> Path:
        if (model_type, auto_class) not in made:
            path = tmp_path_factory.mktemp(f"{model_type}-{auto_class}")
            made[model_type, auto_class] = make_model(
                path, model_type=model_type, auto_class=auto_class
            )
        return made[model_type, auto_class]

    return folder


@pytest.fixture(scope="session")
def llama(model_folder: Callable[..., Path]) -> Path:
    """A tiny Llama with a language modelling head."""
    return model_folder("llama", "AutoModelForCausalLM")


@pytest.fixture(scope="session")
def bert(model_folder: Callable[..., Path]) -> Path:
    """A tiny BERT without head, as sentence encoders are stored (no `bert.` prefix)."""
    return model_folder("bert", "AutoModel")
