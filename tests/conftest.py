"""What every test may use: real data where a checkout has it, a fixed time, no network beyond loopback."""

from __future__ import annotations

import os
from datetime import UTC, datetime
from pathlib import Path

import pytest

REPOSITORY = Path(__file__).resolve().parent.parent
NOW = datetime(2026, 11, 23, 12, 0, 0, tzinfo=UTC)


@pytest.fixture(scope="session")
def shared_dir() -> Path:
    """The folder with evidence from real hardware and real text, which a user's clone does not have."""
    folder = Path(os.environ.get("SEALTUNE_SHARED", REPOSITORY.parent / "shared"))
    if not folder.is_dir():
        pytest.skip(f"no real evidence or text: {folder} is absent (set SEALTUNE_SHARED)")
    return folder


@pytest.fixture(scope="session")
def now() -> datetime:
    """The fixed present of all tests."""
    return NOW
