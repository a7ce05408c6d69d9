"""A training in a process of its own that can be killed at any moment."""

from __future__ import annotations

import multiprocessing
from collections.abc import Mapping
from dataclasses import dataclass, field
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

from tiny_learners import MemoryScratch, choosing
from tiny_models import FolderWeights, labelled_records, text_records

from sealtune.training.recipe import Recipe
from sealtune.training.sources import NoTelemetry
from sealtune.training.train import train

# One server imports torch; each run is a fork of it.
_CONTEXT = multiprocessing.get_context("forkserver")
_CONTEXT.set_forkserver_preload(
    [
        "sealtune.training.train",
        "transformers.models.llama.modeling_llama",
        "transformers.models.bert.modeling_bert",
    ]
)
PATIENCE = 120.0  # seconds; only a defect takes that long


@dataclass(frozen=True, slots=True, kw_only=True)
class Job:
    """What is trained; `plan` are choices that take the place of the planner's own."""

    model: Path
    recipe: Recipe
    checkpoints: Path
    scratch: bool = False
    plan: Mapping[str, Any] = field(default_factory=dict)


class FolderSink:
    """A CheckpointSink of files, each complete or absent."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def save(self, step: int, blob: bytes) -> None:
        part = self._folder / "part"
        part.write_bytes(blob)
        part.rename(self._folder / f"{step:06d}.checkpoint")

    def drain(self) -> None:
        pass

    def load(self) -> tuple[int, bytes] | None:
        found = sorted(self._folder.glob("*.checkpoint"))
        return (int(found[-1].stem), found[-1].read_bytes()) if found else None


class _Teller(NoTelemetry):
    def __init__(self, pipe: Connection | None) -> None:
        self._pipe = pipe
        self.plan: Mapping[str, Any] = {}

    def progress(self, step: int, total: int, tokens: int) -> None:
        if self._pipe is not None:
            self._pipe.send(step)

    def planned(self, plan: Mapping[str, Any]) -> None:
        self.plan = plan


def run(job: Job, pipe: Connection | None = None) -> dict[str, Any]:
    """Train to the end in this process; return the files, metrics, counts and choices."""
    records = labelled_records(40) if job.recipe.labels else text_records(40)
    teller = _Teller(pipe)
    with choosing(job.plan):
        result = train(
            job.recipe,
            weights=FolderWeights(job.model),
            records=records,
            checkpoints=FolderSink(job.checkpoints),
            telemetry=teller,
            scratch=MemoryScratch() if job.scratch else None,
        )
    return {
        "files": dict(result.files),
        "metrics": dict(result.metrics),
        "counts": dict(result.counts),
        "choices": teller.plan["choices"],
    }


def run_and_kill(job: Job, *, after: int) -> int:
    """Kill a run in a process of its own once it says that `after` steps are done.

    Returns the last step that it told of, or 0 if it came to its end.
    """
    receiver, sender = _CONTEXT.Pipe(duplex=False)
    process = _CONTEXT.Process(target=run, args=(job, sender))
    process.start()
    sender.close()
    told = 0
    try:
        while told < after and receiver.poll(PATIENCE):
            told = receiver.recv()
    except EOFError:
        told = 0
    process.kill()
    process.join()
    receiver.close()
    return told
