"""The two sides of a measurement, and one run of either."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Final, Self

from sealtune.errors import Code, TrainingError
from sealtune.testing.bench.cap import memory_cap
from sealtune.testing.bench.children import run_child
from sealtune.testing.bench.figures import RunFigures, steady
from sealtune.testing.bench.job import Job
from sealtune.testing.bench.parties import Parties
from sealtune.testing.bench.prepare import Prepared
from sealtune.testing.bench.settings import PeerSetting

CHECKPOINT_EVERY: Final = 2  # optimizer steps; far more often than anybody would


@dataclass(frozen=True, slots=True, kw_only=True)
class Side:
    """How one side is run: `program` on `job`, under a hard limit unless `memory_limit` is 0.

    It is to train on `tokens` tokens.
    """

    name: str
    label: str
    program: str
    job: Job
    tokens: int
    memory_limit: int = 0

    @classmethod
    def plain(cls, prepared: Prepared, *, name: str, memory_limit: int) -> Self:
        """Return the engine in plaintext."""
        recipe = _with_limit(prepared.job.recipe, memory_limit)
        return cls(
            name=name,
            label="sealtune in plaintext",
            program="plain",
            job=replace(prepared.job, recipe=recipe),
            tokens=sum(prepared.lengths),
            memory_limit=memory_limit,
        )

    @classmethod
    def sealed(
        cls, prepared: Prepared, parties: Parties, *, name: str, memory_limit: int, runs: int
    ) -> Self:
        """Return the engine in the sealed chain, under a contract that allows so many `runs`."""
        recipe = _with_limit(prepared.job.recipe, memory_limit)
        recipe["checkpoint_every_steps"] = CHECKPOINT_EVERY
        agreed = parties.agree(recipe, name=name, runs=runs)
        return cls(
            name=name,
            label="sealtune sealed",
            program="sealed",
            job=replace(prepared.job, recipe=recipe, **agreed),
            tokens=sum(prepared.lengths),
            memory_limit=memory_limit,
        )

    @classmethod
    def peer(cls, prepared: Prepared, setting: PeerSetting, *, steps: int) -> Self:
        """Return Trainer and PEFT at `setting`, for the first `steps` optimizer steps."""
        return cls(
            name="hf-peft",
            label=setting.text,
            program="peer",
            job=replace(prepared.job, peer=setting.text, steps=steps, tokens_per_step=None),
            tokens=sum(prepared.lengths[: steps * prepared.job.records_per_step]),
        )

    def run(self, folder: Path, *, warmup: int) -> RunFigures:
        """Run it once in the new `folder`; the clock starts after `warmup` optimizer steps.

        Raises:
            TrainingError: `BENCH_FAILED`: it stopped, or trained on other tokens than it was given.
        """
        with memory_cap(self.memory_limit) as cap:
            job = replace(self.job, cgroup=cap.cgroup, data_limit=cap.data_limit)
            result, start = run_child(self.program, job, folder=folder)
        per_step: list[int] = result["tokens_per_step"]
        trained_on = result.get("tokens", sum(per_step))
        if trained_on != self.tokens or per_step != (job.tokens_per_step or per_step):
            message = f"{self.name} did not train on the tokens that it was given, in their order"
            raise TrainingError(Code.BENCH_FAILED, message)
        tokens, seconds = steady(result["stamps"], per_step, warmup=warmup)
        return RunFigures(
            tokens=tokens,
            seconds=seconds,
            peak_memory_bytes=result["peak"],
            time_to_first_step_seconds=result["stamps"][0] - start,
            padding=_padding(result),
            memory_cap=cap.kind,
            plan=result.get("plan", {}),
        )


def _with_limit(recipe: Mapping[str, Any], limit: int) -> dict[str, Any]:
    # Without a limit the field is left out, so that the recipe's own default holds.
    return {**recipe, "memory_limit_bytes": limit} if limit else dict(recipe)


def _padding(result: Mapping[str, Any]) -> float:
    positions = sum(result.get("positions_per_step", ()))
    return 1.0 - sum(result["tokens_per_step"]) / positions if positions else 0.0
