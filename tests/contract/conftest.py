"""One agreement for all contract tests: making keys anew for each would show nothing more."""

from __future__ import annotations

import pytest

from sealtune.testing.agreement import Agreement, make_agreement


@pytest.fixture(scope="session")
def agreement() -> Agreement:
    return make_agreement()
