"""The relying party's decision: may these keys go to this attested worker, for this run?

A decision is every rule with its reason (docs/spec/protocol.md §9); the same object feeds the
answer to the worker, the decision log and the report.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

from sealtune.attestation.binding import WorkerKeys
from sealtune.attestation.result import AttestationResult, RuleResult
from sealtune.contract.contract import SignedContract
from sealtune.core.digest import Digest
from sealtune.crypto.signing import VerifyingKey
from sealtune.deid.report import VerifiedReport
from sealtune.errors import SealtuneError
from sealtune.release import rules


class RunKind(StrEnum):
    """What a grant means for the count of runs."""

    NEW = "new"  # consumes a run
    RESUMED = "resumed"  # another worker goes on with an open run: counted against max_resumes
    REPEATED = "repeated"  # the same worker, whose answer was lost: not counted


@dataclass(frozen=True, slots=True, kw_only=True)
class ReleaseRequest:
    """What a worker asks for, parsed."""

    contract: Digest
    run_id: str
    bundles: tuple[Digest, ...]
    worker: WorkerKeys


@dataclass(frozen=True, slots=True, kw_only=True)
class HeldBundle:
    """A bundle whose ContentKey the broker holds, and its report, as its owner registered it."""

    owner: VerifyingKey
    kind: str
    report: VerifiedReport | None = None  # that its header names, signed by the same owner


@dataclass(frozen=True, slots=True, kw_only=True)
class RunUsage:
    """A run that the broker has released to before; `worker` got the latest release."""

    resumes: int
    closed: bool
    worker: WorkerKeys


@dataclass(frozen=True, slots=True, kw_only=True)
class Usage:
    """How much of a contract is used: its runs, and the run in question if it is known."""

    runs: int
    run: RunUsage | None


@dataclass(frozen=True, slots=True, kw_only=True)
class BrokerState:
    """The deciding broker: who it is, what it tolerates, what it holds, what it has counted."""

    broker: VerifyingKey
    accepts_insecure: bool
    held: Mapping[Digest, HeldBundle]
    usage: Usage


@dataclass(frozen=True, slots=True, kw_only=True)
class ReleaseDecision:
    """Every rule that was asked, in order; granted if all of them passed."""

    rules: tuple[RuleResult, ...]
    run: RunKind
    insecure: bool

    @property
    def granted(self) -> bool:
        """Whether the keys may go out."""
        return bool(self.rules) and all(rule.passed for rule in self.rules)

    @property
    def failed(self) -> RuleResult | None:
        """The first rule that said no."""
        return next((rule for rule in self.rules if not rule.passed), None)


def decide(
    result: AttestationResult,
    *,
    request: ReleaseRequest,
    contract: SignedContract,
    state: BrokerState,
    now: datetime,
) -> ReleaseDecision:
    """Return the decision on `request` of a worker that was appraised as `result`.

    Does no I/O. All rules are asked, so that the log and the owner see each reason; only where an
    earlier rule failed do later ones about the same thing say so too.
    """
    asked = (
        *result.rules,
        rules.same_contract(request, contract),
        rules.names_broker(contract, state.broker),
        rules.valid_now(contract, now),
        rules.insecure_agreed(result, contract, accepted=state.accepts_insecure),
        rules.bundles_named(request, contract, state.broker),
        rules.keys_held(request, state.held),
        rules.bundles_as_agreed(request, contract, state.held),
        rules.deidentified(request, contract, state.held),
        rules.run_open(state.usage),
        rules.run_quota(request, contract, state.usage),
    )
    return ReleaseDecision(
        rules=asked, run=run_kind(request, state.usage), insecure=result.insecure
    )


def refuse(rule: str, error: SealtuneError) -> ReleaseDecision:
    """Return the refusal of a request that failed at `rule` before there was anything to decide."""
    failed = RuleResult(rule=rule, passed=False, reason=error.message, code=error.code)
    return ReleaseDecision(rules=(failed,), run=RunKind.NEW, insecure=False)


def run_kind(request: ReleaseRequest, usage: Usage) -> RunKind:
    """Return what granting `request` would count as."""
    if usage.run is None:
        return RunKind.NEW
    # The same keys mean the same process, since a worker makes its keys when it starts: it asks
    # again because an answer was lost, and gets nothing that it was not given before.
    return RunKind.REPEATED if usage.run.worker == request.worker else RunKind.RESUMED
