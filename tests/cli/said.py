"""What a command said, and the type of the function that runs one."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class Said:
    """How a command ended and what it printed."""

    status: int
    out: str
    err: str

    @property
    def json(self) -> dict[str, Any]:
        """The one JSON object on standard output."""
        value = json.loads(self.out)
        assert isinstance(value, dict)
        assert self.out.count("\n") == 1
        return value

    @property
    def error(self) -> dict[str, str]:
        """The error in the JSON object."""
        assert self.json.keys() == {"error"}
        error: dict[str, str] = self.json["error"]
        assert error.keys() == {"code", "family", "message", "remedy"}
        assert all(error.values())
        return error


Sealtune = Callable[..., Said]
