"""Fuzzes every parser of foreign bytes, guided by coverage (docs/fuzzing.md).

    python fuzz/harness.py TARGET [--seconds N]
    python fuzz/harness.py --all --seconds N --jobs J
    python fuzz/harness.py TARGET --input FILE

A run has two parts. A process whose code is instrumented looks for input (atheris); it notes
whatever raises something else than `SealtuneError` and keeps the slowest, the largest and a sample.
Then a process without instrumentation measures those, the seeds and the hardest that we know.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import os
import random
import re
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass, field
from pathlib import Path

_HERE = Path(__file__).resolve().parent
FINDINGS = _HERE / "findings"
REGRESSIONS = _HERE / "regressions"
_KEPT = 20  # slowest and largest inputs that are measured again
_SAMPLE = 200
_FINDINGS_MAX = 50  # of one run: a parser that fails everywhere fails often
_COVERAGE = re.compile(r"cov: (\d+)")
_INSTRUMENTED_SECONDS_MAX = 20  # one input; libFuzzer then stops and keeps it


@dataclass(slots=True, kw_only=True)
class Report:
    """What came of one target's run; times in seconds, memory in bytes."""

    target: str
    executions: int = 0
    seconds: float = 0.0
    edges: int = 0
    slowest: float = 0.0
    allocated: int = 0
    grown: int = 0
    largest: int = 0
    measured: int = 0
    findings: list[str] = field(default_factory=list)


# -- looking for input -----------------------------------------------------------------------------


class _Search:
    """What libFuzzer calls with each input; ends the process when its time is over."""

    def __init__(self, name: str, seconds: float, out: Path) -> None:
        from fuzz_measure import run_once
        from fuzz_targets import BY_NAME

        self._target, self._run_once = BY_NAME[name], run_once
        self._out = out
        self._end = time.monotonic() + seconds
        self._start = time.monotonic()
        self._executions = 0
        self._escaped: set[str] = set()
        self._slow: list[tuple[float, bytes]] = []
        self._large: list[tuple[float, bytes]] = []
        self._sample: list[bytes] = []
        self._random = random.Random(0)  # noqa: S311 - chooses a sample, no key

    def __call__(self, data: bytes) -> None:
        self._executions += 1
        run = self._run_once(self._target, data)
        if run.escaped and run.escaped not in self._escaped:
            self._escaped.add(run.escaped)
            _keep(self._target.name, data, run.escaped)
        _offer(self._slow, run.seconds, data)
        _offer(self._large, len(data), data)
        self._choose(data)
        if time.monotonic() > self._end or len(self._escaped) > _FINDINGS_MAX:
            self._finish()

    def _choose(self, data: bytes) -> None:
        if len(self._sample) < _SAMPLE:
            self._sample.append(data)
        elif (place := self._random.randrange(self._executions)) < _SAMPLE:
            self._sample[place] = data

    def _finish(self) -> None:
        kept = {*self._sample, *(data for _, data in (*self._slow, *self._large))}
        for data in kept:
            (self._out / hashlib.sha256(data).hexdigest()[:32]).write_bytes(data)
        found = {
            "executions": self._executions,
            "seconds": time.monotonic() - self._start,
            "escaped": sorted(self._escaped),
        }
        (self._out / "search.json").write_text(json.dumps(found))
        # libFuzzer would never return.
        os._exit(0)


def _offer(best: list[tuple[float, bytes]], value: float, data: bytes) -> None:
    if len(best) < _KEPT or value > best[-1][0]:
        best.append((value, data))
        best.sort(key=lambda item: item[0], reverse=True)
        del best[_KEPT:]


def _keep(name: str, data: bytes, why: str) -> str:
    folder = FINDINGS / name
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / hashlib.sha256(data).hexdigest()[:16]
    path.write_bytes(data)
    path.with_suffix(".txt").write_text(why + "\n")
    return f"{why}: {path.relative_to(_HERE.parent)}"


def search(name: str, seconds: float, out: Path) -> None:
    """Look for input for `seconds`, and end the process."""
    import atheris

    with atheris.instrument_imports(include=["sealtune"]):
        import fuzz_targets  # noqa: F401
    corpus = out / "corpus"
    corpus.mkdir()
    found = _Search(name, seconds, out)
    target = found._target
    for number, seed in enumerate((*target.seeds(), *regressions(name))):
        (corpus / f"seed-{number}").write_bytes(seed)
    # The clock starts when the seeds are made.
    found._start = time.monotonic()
    found._end = found._start + seconds
    options = [
        f"-max_len={target.max_len}",
        f"-timeout={_INSTRUMENTED_SECONDS_MAX}",
        "-rss_limit_mb=2048",  # of the whole search, its corpus included
        f"-artifact_prefix={_artifacts(name)}",
    ]
    atheris.Setup([sys.argv[0], *options, str(corpus)], found, enable_python_coverage=True)
    atheris.Fuzz()


def _artifacts(name: str) -> str:
    folder = FINDINGS / name
    folder.mkdir(parents=True, exist_ok=True)
    return f"{folder}{os.sep}"


def regressions(name: str) -> list[bytes]:
    """Return the input that a target once failed on, by name of its file."""
    folder = REGRESSIONS / name
    return [path.read_bytes() for path in sorted(folder.iterdir())] if folder.is_dir() else []


# -- measuring -------------------------------------------------------------------------------------


def measure(name: str, inputs: Iterable[bytes]) -> Report:
    """Return what `inputs`, the seeds, the regressions and the hardest input cost `name`."""
    from fuzz_measure import BYTES_MAX, SECONDS_MAX, allocated, grown, run_steadily
    from fuzz_targets import BY_NAME

    target = BY_NAME[name]
    report = Report(target=name)
    costly: list[tuple[float, bytes]] = []
    for data in (*target.seeds(), *regressions(name), *target.hardest(), *inputs):
        run = run_steadily(target, data)
        peak = allocated(target, data)
        report.measured += 1
        report.largest = max(report.largest, len(data))
        report.slowest = max(report.slowest, run.seconds)
        report.allocated = max(report.allocated, peak)
        _offer(costly, peak, data)
        for why in _reasons(run.escaped, run.seconds > SECONDS_MAX, peak > BYTES_MAX):
            note = f"{why} ({run.seconds * 1000:.0f} ms, {peak >> 20} MiB, {len(data)} bytes)"
            report.findings.append(_keep(name, data, note))
    for _, data in costly[:5]:
        report.grown = max(report.grown, grown(target, data))
    return report


def _reasons(escaped: str, slow: bool, large: bool) -> list[str]:
    said = ((escaped, bool(escaped)), ("over 100 ms", slow), ("over 64 MiB", large))
    return [text for text, holds in said if holds]


# -- running ---------------------------------------------------------------------------------------


def _run(name: str, seconds: float) -> Report:
    """Search and measure in processes of their own, and return what came of it."""
    with tempfile.TemporaryDirectory(prefix="sealtune-fuzz-") as folder:
        out, log = Path(folder), Path(folder) / "log"
        with log.open("wb") as stream:
            _call(("--search", folder, "--seconds", str(seconds)), name, stream.fileno())
        text = log.read_text(errors="replace")
        report = Report(target=name)
        try:
            found = json.loads((out / "search.json").read_text())
        except FileNotFoundError:
            report.findings.append(f"the search ended early: {text[-2000:]}")
            return report
        answer = out / "report.json"
        with log.open("wb") as stream:
            _call(("--measure", folder), name, stream.fileno())
        report = Report(**json.loads(answer.read_text()))
    report.executions, report.seconds = found["executions"], found["seconds"]
    report.edges = max(map(int, _COVERAGE.findall(text)), default=0)
    report.findings += [f"escaped: {why}" for why in found["escaped"]]
    return report


def _call(options: Sequence[str], name: str, stream: int) -> None:
    command = [sys.executable, str(_HERE / "harness.py"), name, *options]
    subprocess.run(command, stdout=stream, stderr=subprocess.STDOUT, check=False)


def _kept(folder: Path) -> list[bytes]:
    chosen = [path for path in folder.iterdir() if re.fullmatch("[0-9a-f]{32}", path.name)]
    corpus = folder / "corpus"
    return [path.read_bytes() for path in sorted((*chosen, *corpus.iterdir()))]


_HEAD = ("target", "executions", "s", "per s", "edges", "slowest ms", "peak MiB", "grown MiB")


def _row(report: Report) -> tuple[str, ...]:
    rate = report.executions / report.seconds if report.seconds else 0
    return (
        report.target,
        str(report.executions),
        f"{report.seconds:.0f}",
        f"{rate:.0f}",
        str(report.edges),
        f"{report.slowest * 1000:.1f}",
        f"{report.allocated / 2**20:.1f}",
        f"{report.grown / 2**20:.1f}",
    )


def _print(row: Sequence[str]) -> None:
    print(f"| {row[0]:20} |", " | ".join(f"{cell:>10}" for cell in row[1:]), "|", flush=True)


def main() -> int:
    """Do what the command line says; the exit status is 1 if there are findings."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=_Raw)
    parser.add_argument("target", nargs="?", help="one target")
    parser.add_argument("--all", action="store_true", help="every target")
    parser.add_argument("--seconds", type=float, default=60, help="how long to search, each")
    parser.add_argument("--jobs", type=int, default=1, help="how many at a time")
    parser.add_argument("--input", type=Path, help="measure this file alone")
    parser.add_argument("--json", type=Path, help="write the reports there, too")
    parser.add_argument("--search", type=Path, help=argparse.SUPPRESS)
    parser.add_argument("--measure", type=Path, help=argparse.SUPPRESS)
    given = parser.parse_args()
    sys.path.insert(0, str(_HERE))
    if given.search is not None:
        search(given.target, given.seconds, given.search)
    if given.measure is not None:
        report = measure(given.target, _kept(given.measure))
        (given.measure / "report.json").write_text(json.dumps(asdict(report)))
        return 0
    names = _names(given.target, every=given.all)
    if names is None:
        parser.error("name one target, or --all")
    if given.input is not None:
        reports = [measure(given.target, [given.input.read_bytes()])]
    else:
        reports = _run_all(names, given.seconds, given.jobs)
    if given.json is not None:
        given.json.write_text(json.dumps([asdict(report) for report in reports], indent=1))
    findings = [f"{report.target}: {text}" for report in reports for text in report.findings]
    print("\n".join(findings) or "no findings")
    return 1 if findings else 0


class _Raw(argparse.RawDescriptionHelpFormatter):
    pass


def _names(target: str | None, *, every: bool) -> list[str] | None:
    from fuzz_targets import BY_NAME

    if every:
        return list(BY_NAME)
    return [target] if target in BY_NAME else None


def _run_all(names: list[str], seconds: float, jobs: int) -> list[Report]:
    _print(_HEAD)
    reports: list[Report] = []
    with ThreadPoolExecutor(jobs) as pool:
        for report in pool.map(lambda name: _run(name, seconds), names):
            _print(_row(report))
            reports.append(report)
    return reports


if __name__ == "__main__":
    sys.exit(main())
