"""One mock hierarchy and one run for all receipt tests: its RSA keys take seconds to make."""

from __future__ import annotations

from datetime import datetime

import pytest

from sealtune.testing.finished_run import FinishedRun, make_finished_run
from sealtune.testing.mock_amd import MockAmd


@pytest.fixture(scope="session")
def mock(now: datetime) -> MockAmd:
    return MockAmd.generate(now=now)


@pytest.fixture(scope="session")
def run(mock: MockAmd, now: datetime) -> FinishedRun:
    return make_finished_run(mock, now=now)
