"""`python -m sealtune.testing.bench.sealed JOB`: the launcher of one run with all protections on.

The worker is the production one: it attests to two brokers, gets its keys, checks and decrypts the
bundles, seals its training checkpoints and anchors them at the brokers, passes the gate, seals the
result and signs the receipt. Steps are timed by its progress events. This process stays small, so
that the largest of what it waited for is the worker.
"""

from __future__ import annotations

import resource
import sys
import time
from pathlib import Path
from typing import Any

from sealtune.core.clock import SystemClock
from sealtune.receipt.receipt import parse_receipt
from sealtune.receipt.schema import parse_statement
from sealtune.tee.events import WorkerEvent
from sealtune.tee.launcher import LaunchSpec, RunOutcome, Tee, run_contract
from sealtune.testing.bench.cap import enter
from sealtune.testing.bench.job import Job, read_job


def main(job: Job) -> dict[str, Any]:
    """Run the job's contract to its receipt."""
    enter(job)
    stamps: list[float] = []
    plan: dict[str, Any] = {}

    def hear(event: WorkerEvent) -> None:
        if event.event == "progress":
            stamps.append(time.monotonic())
        plan.update(event.plan)

    spec = LaunchSpec(
        contract=Path(job.contract),
        inputs={name: Path(path) for name, path in (job.inputs or {}).items()},
        brokers=job.brokers or {},
        output=Path(job.output),
        tee=Tee.SIMULATED,
        tee_files=Path(job.hardware),
    )
    outcome = run_contract(spec, clock=SystemClock(), on_event=hear)
    counts = _counts(outcome)
    return {
        "stamps": stamps,
        # A worker says how many there were in all, in the receipt, and never how many in a step.
        "tokens_per_step": job.tokens_per_step,
        "tokens": counts["tokens"],
        "plan": plan,
        "threads": counts["threads"],
        "seconds_by_phase": dict(outcome.seconds_by_phase),
        "sandboxed": outcome.sandboxed,
        "peak": resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss * 1024,
    }


def _counts(outcome: RunOutcome) -> dict[str, int]:
    receipt = parse_receipt(outcome.receipt.read_bytes())
    return dict(parse_statement(receipt.envelope.payload).predicate.counts)


if __name__ == "__main__":
    this = read_job(sys.argv[1])
    this.finish(main(this))
