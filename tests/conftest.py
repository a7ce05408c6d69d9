"""What every test may use: real data where a checkout has it, a fixed time, a mock of AMD."""

from __future__ import annotations

import os
from datetime import UTC, datetime
from pathlib import Path

import pytest
from hypothesis import settings

from sealtune.testing.mock_amd import MockAmd, make_mock_amd

REPOSITORY = Path(__file__).resolve().parent.parent
NOW = datetime(2026, 11, 23, 12, 0, 0, tzinfo=UTC)
# A busy machine is no error: no test asserts a time.
settings.register_profile("sealtune", deadline=None)
settings.load_profile("sealtune")


@pytest.fixture(scope="session")
def shared_dir() -> Path:
    """The folder with real evidence and real text, which a user's clone does not have."""
    folder = Path(os.environ.get("SEALTUNE_SHARED", REPOSITORY.parent / "shared"))
    if not folder.is_dir():
        pytest.skip(f"no real evidence or text: {folder} is absent (set SEALTUNE_SHARED)")
    return folder


@pytest.fixture(scope="session")
def now() -> datetime:
    """The fixed present of all tests."""
    return NOW


@pytest.fixture(scope="session")
def mock_amd_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of `mock_amd`, as `make_mock_amd` leaves it; read it only."""
    return tmp_path_factory.mktemp("mock-amd")


@pytest.fixture(scope="session")
def mock_amd(mock_amd_folder: Path) -> MockAmd:
    """A mock of AMD's key hierarchy, valid around `NOW`; made once, for RSA-4096 takes seconds."""
    return make_mock_amd(mock_amd_folder, now=NOW)
