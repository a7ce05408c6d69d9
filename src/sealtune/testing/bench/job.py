"""What one run of a benchmark is told, as a file: each run is a process of its own."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any, Final, Self

# Named again here because PEFT and the recipe are to be given the same ones.
LORA_RANK: Final = 16
LORA_ALPHA: Final = 32


@dataclass(frozen=True, slots=True, kw_only=True)
class Job:
    """One run. Paths are texts; `recipe` is what `Recipe.to_dict` gives.

    `tokens_per_step` are those that the engine is to train on in each optimizer step (None: another
    program's business). `cgroup` is the control group that the program joins, "" for none, and
    `data_limit` the bytes of data that it may have where there is none (0: any number). `contract`,
    `inputs`, `brokers` and `hardware` are for a sealed run, `peer` (a setting's text) and `adapter`
    for the peer's.
    """

    result: str
    output: str
    model: str
    records: str
    encoded: str
    recipe: dict[str, Any]
    records_per_step: int
    steps: int
    tokens_per_step: list[int] | None = None
    cgroup: str = ""
    data_limit: int = 0
    contract: str = ""
    inputs: dict[str, str] | None = None
    brokers: dict[str, str] | None = None
    hardware: str = ""
    peer: str = ""
    adapter: str = ""

    def at(self, folder: Path, **changes: Any) -> Self:
        """Return this job with its result and output in `folder`, and `changes`."""
        result, output = folder / "result.json", folder / "output"
        return replace(self, result=str(result), output=str(output), **changes)

    def write(self, path: Path) -> Path:
        """Write it to `path` and return that."""
        path.write_text(json.dumps(asdict(self)))
        return path

    def finish(self, result: dict[str, Any]) -> None:
        """Write what the run gave where its starter looks for it."""
        Path(self.result).write_text(json.dumps(result))


def read_job(path: str) -> Job:
    """Return the job in the file at `path`."""
    return Job(**json.loads(Path(path).read_text()))
