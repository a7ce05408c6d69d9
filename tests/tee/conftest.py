"""Machines for the Attesters' tests: a TPM in software."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from tee.fakes_swtpm import SoftwareTpm, make_state, running


@pytest.fixture(scope="session")
def swtpm_state(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A manufactured TPM with certificates; skips where swtpm is missing. Copied for each test."""
    folder = tmp_path_factory.mktemp("swtpm")
    make_state(folder)
    return folder


@pytest.fixture
def swtpm(swtpm_state: Path) -> Iterator[SoftwareTpm]:
    """A running TPM of the test's own; its socket's path has to be short."""
    with (
        tempfile.TemporaryDirectory(prefix="tpm-") as folder,
        running(swtpm_state / "state", Path(folder)) as tpm,
    ):
        yield tpm
