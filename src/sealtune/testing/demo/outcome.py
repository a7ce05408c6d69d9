"""What the demo tells while it goes and what it has to say at its end, as data."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from sealtune.core.files import write_atomic
from sealtune.errors import Code, SealtuneError
from sealtune.testing.demo.canaries import Finding

SUMMARY_NAME = "summary.json"


@dataclass(frozen=True, slots=True, kw_only=True)
class DemoStep:
    """One thing that happens; `total` is not 0 where `done` of it is a progress."""

    phase: str
    text: str
    done: int = 0
    total: int = 0


OnStep = Callable[[DemoStep], None]


@dataclass(frozen=True, slots=True, kw_only=True)
class AttackResult:
    """One attempt of the operator: what was done, who said no to it, and why."""

    name: str
    story: str
    refused: bool
    code: str
    reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class DemoSummary:
    """The demo's end: numbers of the model, and whether every promise was kept.

    `seconds` are of the demo's phases, which do not overlap; `worker_seconds` of those of the
    worker that finished the run. `insecure_simulated` is always true: the enclave was simulated,
    and protected nothing.
    """

    folder: Path
    accuracy_before: float
    accuracy_after: float
    records: int
    receipt_verified: bool
    receipt_digest: str
    sandboxed: bool
    searched_files: int
    searched_bytes: int
    findings: tuple[Finding, ...]
    attacks: tuple[AttackResult, ...]
    seconds: Mapping[str, float]
    worker_seconds: Mapping[str, float]
    insecure_simulated: bool = True

    @property
    def canaries_found_on_host(self) -> int:
        """How many secrets were seen outside the enclave, each counted once for each place."""
        return len(self.findings)

    @property
    def kept(self) -> bool:
        """Whether every promise that the demo checks was kept."""
        refused = all(attack.refused for attack in self.attacks)
        return refused and bool(self.attacks) and self.receipt_verified and not self.findings

    def to_dict(self) -> dict[str, Any]:
        """Return the content of summary.json."""
        return {
            "insecure_simulated": self.insecure_simulated,
            "accuracy_before": self.accuracy_before,
            "accuracy_after": self.accuracy_after,
            "records": self.records,
            "receipt_verified": self.receipt_verified,
            "receipt": self.receipt_digest,
            "worker_sandboxed": self.sandboxed,
            "canaries_found_on_host": self.canaries_found_on_host,
            "findings": [asdict(finding) for finding in self.findings],
            "searched": {"files": self.searched_files, "bytes": self.searched_bytes},
            "attacks": [asdict(attack) for attack in self.attacks],
            "attacks_refused": sum(attack.refused for attack in self.attacks),
            "seconds": _rounded(self.seconds),
            "worker_seconds": _rounded(self.worker_seconds),
        }


def _rounded(seconds: Mapping[str, float]) -> dict[str, float]:
    return {name: round(value, 2) for name, value in seconds.items()}


class PromiseBroken(SealtuneError):
    """The demo ended, and something that must never happen has happened; the summary says what."""

    exit_status = 5

    def __init__(self, summary: DemoSummary) -> None:
        broken = [attack.name for attack in summary.attacks if not attack.refused]
        if summary.findings:
            broken.append(f"plaintext found {len(summary.findings)} times")
        if not summary.receipt_verified:
            broken.append("the receipt did not verify")
        message = f"the demo FAILED: {', '.join(broken) or 'no attack was made'}"
        super().__init__(Code.INTERNAL, message, remedy=f"read {summary.folder / SUMMARY_NAME}")
        self.summary = summary


def write_summary(summary: DemoSummary) -> Path:
    """Write summary.json into the demo's folder and return its path."""
    path = summary.folder / SUMMARY_NAME
    write_atomic(path, json.dumps(summary.to_dict(), indent=2).encode() + b"\n")
    return path


@dataclass(slots=True)
class Stopwatch:
    """Seconds by phase, in the order in which the phases came."""

    seconds: dict[str, float] = field(default_factory=dict)

    @contextmanager
    def phase(self, name: str) -> Iterator[None]:
        """Count the block's time to phase `name`."""
        start = time.monotonic()
        try:
            yield
        finally:
            self.seconds[name] = self.seconds.get(name, 0.0) + time.monotonic() - start
