"""Trains a model of any shape in a process of its own, under a hard limit of memory or none, and
measures its peak: what the planner's predictions are compared with.

`python -m sealtune.testing.apart JOB`; the weights are random, and made when they are read.
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Final

from sealtune.core.environment import Place, environment
from sealtune.testing.bench.cap import Cap

_ERROR_CHARACTERS: Final = 2000


@dataclass(frozen=True, slots=True, kw_only=True)
class Ended:
    """How the process ended: `said` is what it reported, empty if it was killed."""

    killed: bool
    said: dict[str, Any]


@dataclass(frozen=True, slots=True, kw_only=True)
class Work:
    """What is trained: a model's configuration, a recipe's values, the lengths of the records.

    `limit` is what the planner is told, 0 for nothing; `scratch` a folder, "" for none; `forced`
    are choices that the planner is not asked for.
    """

    config: Mapping[str, Any]
    recipe: Mapping[str, Any]
    lengths: Sequence[int]
    limit: int = 0
    scratch: str = ""
    forced: Mapping[str, Any] | None = None


def train_apart(work: Work, folder: Path, *, cap: Cap | None = None) -> Ended:
    """Do `work` in a new process, with a worker's environment, under `cap` if one is given.

    Raises:
        RuntimeError: it failed otherwise than by being killed or refused.
    """
    path = folder / "work.json"
    path.write_text(json.dumps({**asdict(work), "group": "" if cap is None else cap.cgroup}))
    code = os.pathsep.join(sys.path)
    done = subprocess.run(
        [sys.executable, "-m", "sealtune.testing.apart", str(path)],
        env={"PATH": os.environ["PATH"], "PYTHONPATH": code, **environment(Place.PROCESS)},
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode == -signal.SIGKILL:
        return Ended(killed=True, said={})
    if done.returncode:
        raise RuntimeError(done.stderr[-_ERROR_CHARACTERS:])
    return Ended(killed=False, said=json.loads(done.stdout.splitlines()[-1]))


def main(work: Work, group: str) -> dict[str, Any]:
    """Train in the control group `group`; return the plan and the peak, or the refusal's code."""
    if group:
        (Path(group) / "cgroup.procs").write_text(str(os.getpid()))
    from sealtune.errors import TrainingError
    from sealtune.testing.random_weights import RandomWeights, random_texts
    from sealtune.training import train as module
    from sealtune.training.recipe import Recipe
    from sealtune.training.sources import NoCheckpoints, NoTelemetry
    from sealtune.worker.scratch import open_scratch

    recipe = Recipe(**work.recipe)
    said: dict[str, Any] = {}

    class Keeper(NoCheckpoints):
        blob = b""

        def save(self, step: int, blob: bytes) -> None:
            del step
            self.blob = blob

    class Listener(NoTelemetry):
        def planned(self, plan: Mapping[str, Any]) -> None:
            said.update(plan)

    if work.forced is not None:
        _force(work.forced)
    texts = random_texts(work.lengths, vocabulary=work.config["vocab_size"])
    label = {"label": 0} if recipe.labels else {}
    try:
        with open_scratch(Path(work.scratch) if work.scratch else None) as scratch:
            result = module.train(
                recipe,
                weights=RandomWeights(work.config, task=recipe.task),
                records=[{"text": text, **label} for text in texts],
                checkpoints=Keeper(),
                telemetry=Listener(),
                scratch=scratch,
                memory_limit=work.limit,
            )
    except TrainingError as error:
        return {"code": error.code, "message": error.message}
    return {**said, "steps": result.counts["optimizer_steps"], "peak": _peak()}


def _force(choices: Mapping[str, Any]) -> None:
    from sealtune.training import train as module
    from sealtune.training.engine.choices import choices_from_dict
    from sealtune.training.plan import plan_run

    # As a run that is resumed takes over its choices, and without a limit to refuse them by.
    changed = {"fixed": choices_from_dict(dict(choices)), "memory_limit": 0}
    module.plan_run = lambda *given, **named: plan_run(*given, **{**named, **changed})  # type: ignore[attr-defined]


def _peak() -> int:
    # Not getrusage's: that one is inherited from whoever started this process.
    status = Path("/proc/self/status").read_text()
    line = next(line for line in status.splitlines() if line.startswith("VmHWM"))
    return int(line.split()[1]) * 1024


if __name__ == "__main__":
    this = json.loads(Path(sys.argv[1]).read_text())
    print(json.dumps(main(group=this.pop("group"), work=Work(**this))))
