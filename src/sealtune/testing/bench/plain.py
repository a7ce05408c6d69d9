"""`python -m sealtune.testing.bench.plain JOB`: the engine itself, in plaintext."""

from __future__ import annotations

import resource
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from sealtune.testing.bench.cap import enter
from sealtune.testing.bench.data import read_records
from sealtune.testing.bench.job import Job, read_job


class Stamps:
    """Telemetry that keeps when each optimizer step ended, the tokens so far, and its loss."""

    def __init__(self, after_step: Callable[[], None]) -> None:
        self._after_step = after_step
        self.times: list[float] = []
        self.tokens: list[int] = []
        self.losses: list[float] = []
        self.plan: dict[str, Any] = {}

    def progress(self, step: int, total: int, tokens: int) -> None:
        """Note time and tokens."""
        del step, total
        self.times.append(time.monotonic())
        self.tokens.append(tokens)
        self._after_step()

    def loss(self, step: int, value: float) -> None:
        """Note the loss."""
        del step
        self.losses.append(value)

    def evaluation(self, step: int, metrics: Mapping[str, float]) -> None:
        """Ignore it: nothing is evaluated."""

    def planned(self, plan: Mapping[str, Any]) -> None:
        """Note how the run is computed."""
        self.plan = dict(plan)


def by_step(so_far: Sequence[int]) -> list[int]:
    """Return the tokens of each step, from those that were trained on after each."""
    return [after - before for before, after in zip((0, *so_far), so_far, strict=False)]


def main(job: Job, after_step: Callable[[], None] = lambda: None) -> dict[str, Any]:
    """Train as the job says, calling `after_step` after each optimizer step; leave the files of the
    result in its output folder. Under a memory limit there is scratch space beside it, as a worker
    has.
    """
    # Under the cap before anything large is loaded: what was counted elsewhere stays there.
    enter(job)
    from sealtune.testing.bench.weights import FolderWeights
    from sealtune.training.recipe import recipe_from_dict
    from sealtune.training.sources import NoCheckpoints
    from sealtune.training.train import train
    from sealtune.worker.scratch import open_scratch

    stamps = Stamps(after_step)
    recipe, output = recipe_from_dict(job.recipe), Path(job.output)
    with open_scratch(output.parent if recipe.memory_limit_bytes else None) as scratch:
        result = train(
            recipe,
            weights=FolderWeights(Path(job.model)),
            records=read_records(Path(job.records)),
            checkpoints=NoCheckpoints(),
            telemetry=stamps,
            scratch=scratch,
        )
    output.mkdir()
    for name, data in result.files.items():
        (output / name).write_bytes(data)
    return {
        "stamps": stamps.times,
        "tokens_per_step": by_step(stamps.tokens),
        "tokens": result.counts["tokens"],
        "losses": stamps.losses,
        "plan": stamps.plan,
        "threads": result.counts["threads"],
        "peak": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024,
    }


if __name__ == "__main__":
    this = read_job(sys.argv[1])
    this.finish(main(this))
