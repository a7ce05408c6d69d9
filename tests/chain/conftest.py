"""Worlds for the tests of the whole chain; the model and the mock hierarchy are made once."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import pytest

from chain.measured import MeasuredVm, make_measured_vm
from chain.world import World, make_world, open_world
from sealtune.testing.mock_amd import make_mock_amd
from training.tiny_models import make_model


@pytest.fixture(scope="session")
def chain_mock(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, str]:
    """A mock hierarchy that is valid at the real present, which real processes live in."""
    folder = tmp_path_factory.mktemp("mock")
    return folder, make_mock_amd(folder, now=datetime.now(UTC)).root


@pytest.fixture(scope="session")
def tiny_encoder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A random BERT small enough to train in a second."""
    folder = tmp_path_factory.mktemp("encoder")
    return make_model(folder, model_type="bert", auto_class="AutoModel")


@pytest.fixture(scope="module")
def world(
    tmp_path_factory: pytest.TempPathFactory, chain_mock: tuple[Path, str], tiny_encoder: Path
) -> Iterator[World]:
    """Parties with sealed inputs and running brokers; tests agree on contracts of their own."""
    folder = tmp_path_factory.mktemp("world")
    mock_folder, mock_root = chain_mock
    made = make_world(folder, model=tiny_encoder, mock_folder=mock_folder, mock_root=mock_root)
    with open_world(made):
        yield made


@pytest.fixture(scope="session")
def measured_vm(tmp_path_factory: pytest.TempPathFactory) -> MeasuredVm:
    """This working tree's image and a TPM of its own; the first use may build the image."""
    return make_measured_vm(tmp_path_factory.mktemp("tpm") / "tpm")
