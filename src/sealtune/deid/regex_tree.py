"""The tree that `re` makes of a pattern: private there, and alike in Python 3.11 to 3.13."""

from __future__ import annotations

from re import _constants as codes  # type: ignore[attr-defined]
from re import _parser as parser  # type: ignore[attr-defined]

__all__ = ["codes", "parser"]
