"""Makes attempts as the operator and keeps what came of each."""

from __future__ import annotations

from collections.abc import Callable

from sealtune.errors import Code, SealtuneError
from sealtune.testing.demo.outcome import AttackResult, DemoStep, OnStep


class Attempts:
    """The operator's attempts so far."""

    def __init__(self, on_step: OnStep) -> None:
        self._on_step = on_step
        self._results: list[AttackResult] = []

    @property
    def results(self) -> tuple[AttackResult, ...]:
        """What came of each attempt, in order."""
        return tuple(self._results)

    def make(
        self, name: str, story: str, *, codes: frozenset[Code], action: Callable[[], object]
    ) -> None:
        """Do `action` and record whether it was refused, and for one of the reasons `codes`.

        A refusal for another reason counts as none: it would hide that the rule in question is
        missing.
        """
        try:
            action()
        except SealtuneError as error:
            result = AttackResult(
                name=name,
                story=story,
                refused=error.code in codes,
                code=str(error.code),
                reason=error.message,
            )
        else:
            result = AttackResult(
                name=name, story=story, refused=False, code="", reason="nobody objected"
            )
        self._results.append(result)
        verdict = "refused" if result.refused else "NOT REFUSED"
        text = f"operator {story}: {verdict} ({result.code or result.reason})"
        self._on_step(DemoStep(phase="attack", text=text))
