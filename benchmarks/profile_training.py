"""Where a training step's time goes: the engine beside Trainer with PEFT, by kind of operator.

Both in plaintext, each a process of its own, after two steps of warm-up. Each operator is timed
where torch dispatches it; that takes time itself, the more of it the shorter operators are.
Prints a Markdown table of milliseconds per 1,000 tokens that are no padding, and with --operators
the longest operators of each. With --memory-limit ours runs under that hard cap, weights streamed
and activations in scratch space if they have to be, beside ours without it; weights are read in
plaintext, so decrypting them is not in the figures.

    python benchmarks/profile_training.py --model smollm2-135m --data chat \\
        --peer-setting bf16-weights-bf16-adapters/micro-4/grouped
"""

from __future__ import annotations

import argparse
import json
from collections import Counter
from dataclasses import replace
from pathlib import Path
from typing import Any

from sealtune.testing.bench.cap import memory_cap
from sealtune.testing.bench.children import run_child
from sealtune.testing.bench.prepare import BenchOptions, Compare, Prepared, prepare
from sealtune.testing.bench.profile import INTERPRETER, KINDS, OTHER, WARMUP, kind_of
from sealtune.testing.bench.run import run_folder
from sealtune.testing.bench.settings import PeerSetting
from sealtune.testing.bench.sides import Side
from sealtune.training.recipe import Precision


def main() -> None:
    """Profile and print."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--model", default="smollm2-135m")
    parser.add_argument("--data", default="fixed:512")
    parser.add_argument("--peer-setting", default="", help="without it ours alone is profiled")
    parser.add_argument("--steps", type=int, default=3, help="optimizer steps that count")
    parser.add_argument("--records-per-step", type=int, default=0)
    parser.add_argument("--memory-limit", type=int, default=0, help="bytes")
    parser.add_argument("--operators", type=int, default=0, help="how many of each side to list")
    parser.add_argument("--work-dir", type=Path, default=Path("bench-out"))
    parser.add_argument("--data-dir", type=Path, help="the folder of the medical abstracts")
    parser.add_argument("--json", type=Path, help="a file for all operators")
    arguments = parser.parse_args()
    sides = measure(arguments)
    for line in table(sides):
        print(line)
    if arguments.operators:
        for name, side in sides.items():
            print(f"\n{name}")
            for operator, value in Counter(side["operators"]).most_common(arguments.operators):
                print(f"  {per_thousand(side, value):8.1f}  {operator}")
    if arguments.json:
        arguments.json.write_text(json.dumps(sides, indent=1) + "\n")


def measure(arguments: argparse.Namespace) -> dict[str, dict[str, Any]]:
    """Return what each side's run gave."""
    options = BenchOptions(
        model=arguments.model,
        data=arguments.data,
        compare=Compare.NONE,
        sealed=False,
        work_dir=arguments.work_dir,
        data_dir=arguments.data_dir,
        steps=arguments.steps,
        records_per_step=arguments.records_per_step,
    )
    with run_folder(options.work_dir) as folder:
        prepared = prepare(
            options,
            folder,
            precision=Precision.BF16,
            warmup=WARMUP,
            progress=lambda _done, _total: None,
        )
        jobs = {"sealtune": prepared.job}
        if arguments.memory_limit:
            return _capped(prepared, folder, arguments.memory_limit)
        if arguments.peer_setting:
            setting = PeerSetting.parse(arguments.peer_setting).fill(prepared.job.records_per_step)
            jobs["Trainer with PEFT"] = replace(prepared.job, peer=setting.text)
        return {
            name: run_child("profile", job, folder=folder / name)[0] for name, job in jobs.items()
        }


def _capped(prepared: Prepared, folder: Path, limit: int) -> dict[str, dict[str, Any]]:
    """Return what ours gives under a hard cap on its memory, and without."""
    found = {}
    for name, bound in (("under the cap", limit), ("without a cap", 0)):
        side = Side.plain(prepared, name=name, memory_limit=bound)
        with memory_cap(bound) as cap:
            job = replace(side.job, cgroup=cap.cgroup, data_limit=cap.data_limit)
            found[name], _ = run_child("profile", job, folder=folder / name.replace(" ", "-"))
    return found


def per_thousand(side: dict[str, Any], seconds: float) -> float:
    """Return milliseconds per 1,000 tokens."""
    return 1e6 * seconds / float(side["tokens"])


def table(sides: dict[str, dict[str, Any]]) -> list[str]:
    """Return the lines of the table."""
    columns = []
    for side in sides.values():
        kinds = Counter[str]()
        for operator, seconds in side["operators"].items():
            kinds[kind_of(operator)] += seconds
        kinds[INTERPRETER] = side["seconds"] - sum(kinds.values())
        columns.append((side, kinds))
    lines = [f"| ms per 1,000 tokens | {' | '.join(sides)} |", "|---|" + "---:|" * len(sides)]
    for kind in (*KINDS, OTHER, INTERPRETER):
        cells = [f"{per_thousand(side, kinds[kind]):.0f}" for side, kinds in columns]
        lines.append(f"| {kind} | {' | '.join(cells)} |")
    totals = [f"{per_thousand(side, side['seconds']):.0f}" for side in sides.values()]
    return [*lines, f"| all | {' | '.join(totals)} |"]


if __name__ == "__main__":
    main()
