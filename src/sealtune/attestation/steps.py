"""What a verification did, step by step, for people and logs. Decides nothing.

A verifier notes each step when it has passed, so that the notes of a refused verification end
before the step that refused.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum


class Outcome(StrEnum):
    """How a step ended."""

    PASSED = "passed"
    SKIPPED = "skipped"
    FAILED = "failed"


@dataclass(frozen=True, slots=True, kw_only=True)
class Step:
    """One step: what was looked at, how it ended, and why."""

    name: str
    outcome: Outcome
    reason: str

    def to_dict(self) -> dict[str, str]:
        """Return the step as a JSON object."""
        return {"step": self.name, "outcome": str(self.outcome), "reason": self.reason}


class Steps:
    """The notes of one verification, in order."""

    def __init__(self) -> None:
        self._done: list[Step] = []

    def passed(self, name: str, reason: str) -> None:
        """Note that `name` holds."""
        self._note(name, Outcome.PASSED, reason)

    def skipped(self, name: str, reason: str) -> None:
        """Note that `name` was not looked at; `reason` says why that is no refusal."""
        self._note(name, Outcome.SKIPPED, reason)

    def failed(self, name: str, reason: str) -> None:
        """Note that `name` refused."""
        self._note(name, Outcome.FAILED, reason)

    @property
    def done(self) -> tuple[Step, ...]:
        """The steps so far."""
        return tuple(self._done)

    def note(self, step: Step) -> None:
        """Note a step of another verification that belongs to this one."""
        self._done.append(step)

    def _note(self, name: str, outcome: Outcome, reason: str) -> None:
        self.note(Step(name=name, outcome=outcome, reason=reason))
