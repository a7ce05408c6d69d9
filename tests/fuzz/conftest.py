"""Puts the harness, which lies beside the tests, where they can import it."""

from __future__ import annotations

import sys
from pathlib import Path

HARNESS = Path(__file__).resolve().parents[2] / "fuzz"
sys.path.insert(0, str(HARNESS))
