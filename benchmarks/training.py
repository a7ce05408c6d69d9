"""How fast the training engine is: every figure that we set as a goal, in one table.

Each row is one call of `sealtune bench train` (docs/howto/measure-training.md), one after the other
and alone on the machine; the last asks benchmarks/medical_abstracts.py for accuracies. A row that
fails does not stop the others. Writes one Markdown table to standard output, and everything that
the calls gave to a JSON file.

    python benchmarks/training.py                    # hours
    python benchmarks/training.py --rows chat head   # rows whose names contain one of these
    python benchmarks/training.py --quick            # minutes: one pair of few steps; no figures
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

GIB = 2**30
SMOL, QWEN, ONE, EIGHT = "smollm2-135m", "qwen2.5-0.5b", "llama-3.2-1b", "llama-3.1-8b"
QUICK = ["--pairs", "1", "--steps", "1", "--records-per-step", "2"]
QUICK_PEER = "bf16-weights-autocast/micro-2/random"
ACCURACY = Path(__file__).with_name("medical_abstracts.py")
Report = dict[str, Any]


@dataclass(frozen=True, kw_only=True)
class Row:
    """A goal: what is called, which figure of it counts, and whether that reaches the goal."""

    name: str
    what: str
    arguments: list[str]
    figure: Callable[[Report], float]
    goal: float
    most: bool = False  # the figure may be at most the goal, instead of at least
    unit: str = "x"
    quick: bool = True
    script: list[str] = field(default_factory=list)  # instead of the command

    def reached(self, report: Report) -> bool:
        """Whether the goal is reached."""
        value = self.figure(report)
        return value <= self.goal if self.most else value >= self.goal

    def command(self, options: argparse.Namespace) -> list[str]:
        """Return the command line."""
        if self.script:
            return [sys.executable, *self.script]
        start = [sys.executable, "-m", "sealtune.cli.main", "bench", "train", "--json"]
        start += ["--work-dir", str(options.work_dir), *self.arguments]
        if options.data_dir:
            start += ["--data-dir", str(options.data_dir)]
        if not options.quick:
            return start
        checked = "--check" in self.arguments
        return start + (["--steps", "4"] if checked else [*QUICK, "--peer-setting", QUICK_PEER])


def _ratio(report: Report) -> float:
    return float(report["ratio"])


def _model(model: str, data: str, *rest: str) -> list[str]:
    return ["--model", model, "--data", data, *rest]


ROWS = (
    Row(
        name="fixed-135m",
        what="LoRA, smollm2-135m, fixed:512, sealed vs Trainer + PEFT in plaintext",
        arguments=_model(SMOL, "fixed:512"),
        figure=_ratio,
        goal=2.0,
    ),
    Row(
        name="chat-135m",
        what="the same, chat",
        arguments=_model(SMOL, "chat"),
        figure=_ratio,
        goal=3.0,
    ),
    Row(
        name="chat-qwen",
        what="LoRA, qwen2.5-0.5b, chat, sealed vs Trainer + PEFT in plaintext",
        arguments=_model(QWEN, "chat"),
        figure=_ratio,
        goal=2.5,
    ),
    Row(
        name="medical-minilm",
        what="minilm text classification, medical, sealed vs Trainer + PEFT in plaintext",
        arguments=_model("minilm", "medical"),
        figure=_ratio,
        goal=2.0,
    ),
    Row(
        name="gemm-qwen",
        what="share of the machine's bf16 GEMM rate, qwen2.5-0.5b, fixed:512",
        arguments=_model(QWEN, "fixed:512", "--compare", "none"),
        figure=lambda report: 100 * float(report["gemm_share"]),
        goal=45.0,
        unit=" %",
    ),
    Row(
        name="sealed-135m",
        what="sealed vs the same engine in plaintext, resident: slower by",
        arguments=_model(SMOL, "fixed:512", "--compare", "plaintext"),
        figure=lambda report: 100 * (1 / _ratio(report) - 1),
        goal=3.0,
        most=True,
        unit=" %",
    ),
    Row(
        name="streamed-1b",
        what="llama-3.2-1b streamed under a hard cap of 1.5 GiB vs resident: time",
        arguments=_model(
            ONE, "fixed:512", "--compare", "resident", "--memory-limit", str(3 * GIB // 2)
        ),
        figure=lambda report: 1 / _ratio(report),
        goal=1.15,
        most=True,
        quick=False,
    ),
    Row(
        name="streamed-8b",
        what="llama-3.1-8b under a hard cap of 4 GiB: optimizer steps that completed",
        arguments=[
            *_model(EIGHT, "fixed:512", "--compare", "none", "--memory-limit", str(4 * GIB)),
            *("--pairs", "1", "--steps", "1"),
        ],
        figure=lambda report: float(report["steps"] + report["settings"]["warmup_steps"]),
        goal=3.0,
        unit="",
        quick=False,
    ),
    Row(
        name="loss-135m",
        what="loss curve vs Trainer + PEFT in fp32, 200 steps, smollm2-135m: apart at most",
        arguments=["--model", SMOL, "--check", "loss"],
        figure=lambda report: 100 * float(report["largest_relative_difference"]),
        goal=1.0,
        most=True,
        unit=" %",
    ),
    Row(
        name="accuracy-minilm",
        what="minilm on medical, accuracy of ours less the peer's, points either way",
        arguments=[],
        script=[str(ACCURACY), "--sealed", "--json"],
        figure=lambda report: abs(float(report["accuracy_difference_points"])),
        goal=1.0,
        most=True,
        unit="",
        quick=False,
    ),
)


def main() -> int:
    """Run the rows and print the table; the status is 1 if a row failed."""
    options = _parse()
    rows = [row for row in ROWS if _chosen(row, options)]
    results = {}
    for row in rows:
        results[row.name] = _run(row, options)
        options.output.write_text(json.dumps(results, indent=1))
    print("\n".join(_table(rows, results, quick=options.quick)))
    return int(any("error" in result for result in results.values()))


def _parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--quick", action="store_true", help="only see that it works")
    parser.add_argument("--rows", nargs="+", default=[""], help="parts of the names of rows")
    parser.add_argument("--work-dir", type=Path, default=Path("bench-out"))
    parser.add_argument("--data-dir", type=Path, help="the folder of the medical abstracts")
    parser.add_argument("--output", type=Path, help="the JSON file  [WORK_DIR/training.json]")
    options = parser.parse_args()
    options.work_dir.mkdir(parents=True, exist_ok=True)
    options.output = options.output or options.work_dir / "training.json"
    return options


def _chosen(row: Row, options: argparse.Namespace) -> bool:
    named = any(part in row.name for part in options.rows)
    return named and (row.quick or not options.quick)


def _run(row: Row, options: argparse.Namespace) -> Report:
    command = row.command(options)
    print(f"{row.name}: {' '.join(command[1:])}", file=sys.stderr, flush=True)
    start = time.monotonic()
    done = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=False)
    try:
        # The command prints one line, the script one object over several.
        report: Report = json.loads(done.stdout)
    except ValueError:
        report = {"error": {"message": f"ended with status {done.returncode}"}}
    print(f"  {time.monotonic() - start:.0f} s", file=sys.stderr, flush=True)
    return report


def _table(rows: list[Row], results: dict[str, Report], *, quick: bool) -> list[str]:
    lines = [
        "| what | goal | measured | reached | tokens/s | peer's | peak GiB | peer's | peer |",
        "|---|---|---|---|---|---|---|---|---|",
    ]
    lines += [_line(row, results[row.name]) for row in rows]
    if quick:
        lines += ["", "One pair of very few steps: this shows that it works and measures nothing."]
    return lines


def _line(row: Row, report: Report) -> str:
    goal = f"{'at most' if row.most else 'at least'} {row.goal:g}{row.unit}"
    if "error" in report:
        return f"| {row.what} | {goal} | failed: {report['error']['message']} | no | | | | | |"
    cells = [
        row.what,
        goal,
        f"{row.figure(report):.2f}{row.unit}{_spread(report)}",
        "yes" if row.reached(report) else "no",
        _number(report, "tokens_per_second", 1, ".0f"),
        _number(report, "peer_tokens_per_second", 1, ".0f"),
        _number(report, "peak_memory_bytes", GIB, ".2f"),
        _number(report, "peer_peak_memory_bytes", GIB, ".2f"),
        str(report.get("peer_setting") or ""),
    ]
    return f"| {' | '.join(cells)} |"


def _spread(report: Report) -> str:
    if report.get("ratio") is None:
        return ""
    return f" (ratios {report['ratio_min']:.2f} to {report['ratio_max']:.2f})"


def _number(report: Report, name: str, unit: int, form: str) -> str:
    value = report.get(name)
    return "" if value is None else format(value / unit, form)


if __name__ == "__main__":
    sys.exit(main())
