"""The rules of a release, one function each (docs/spec/protocol.md §9).

Each returns a RuleResult that says in words why; a reason names nothing that the asking worker
does not know from its own contract.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from datetime import datetime
from typing import TYPE_CHECKING

from sealtune.attestation.result import AttestationResult, RuleResult
from sealtune.contract.contract import SignedContract
from sealtune.contract.schema import Input
from sealtune.core.digest import Digest
from sealtune.crypto.signing import VerifyingKey
from sealtune.deid.terms import judge
from sealtune.errors import Code
from sealtune.training.recipe import Recipe, Task

if TYPE_CHECKING:
    from sealtune.release.decide import HeldBundle, ReleaseRequest, Usage


def same_contract(request: ReleaseRequest, contract: SignedContract) -> RuleResult:
    """The request is about this contract."""
    return _rule(
        "contract.digest",
        request.contract == contract.digest,
        yes="the request names this contract",
        no="the request names another contract",
        code=Code.DENIED_CONTRACT,
    )


def names_broker(contract: SignedContract, broker: VerifyingKey) -> RuleResult:
    """The contract names this broker, by its signing key."""
    return _rule(
        "contract.broker",
        any(entry.signing == broker for entry in contract.contract.brokers.values()),
        yes="the contract names this broker",
        no="the contract does not name this broker",
        code=Code.DENIED_CONTRACT,
    )


def valid_now(contract: SignedContract, now: datetime) -> RuleResult:
    """The present lies in the contract's validity period: its start included, its end not."""
    validity = contract.contract.validity
    period = f"{validity.not_before} to {validity.not_after}"
    return _rule(
        "contract.validity",
        validity.start <= now < validity.end,
        yes=f"valid from {period}",
        no=f"valid only from {period}",
        code=Code.DENIED_VALIDITY,
    )


def insecure_agreed(
    result: AttestationResult, contract: SignedContract, *, accepted: bool
) -> RuleResult:
    """Simulated Evidence needs both: the contract's words and this broker's own switch."""
    agreed = contract.contract.insecure and accepted
    return _rule(
        "evidence.secure",
        not result.insecure or agreed,
        yes="INSECURE: simulated, as contract and broker agree" if result.insecure else "hardware",
        no="the evidence is simulated and this is not agreed",
        code=Code.DENIED_INSECURE,
    )


def bundles_named(
    request: ReleaseRequest, contract: SignedContract, broker: VerifyingKey
) -> RuleResult:
    """Every bundle asked for is an input of the contract, and its key is this broker's to give."""
    ours = _inputs_of(contract, broker)
    named = all(bundle in ours for bundle in request.bundles)
    return _rule(
        "bundle.named",
        named and 0 < len(request.bundles) == len(set(request.bundles)),
        yes="the contract names each bundle as an input of this broker",
        no="not each bundle, once, is an input of the contract with this broker",
        code=Code.DENIED_BUNDLE,
    )


def keys_held(request: ReleaseRequest, held: Mapping[Digest, HeldBundle]) -> RuleResult:
    """The owner has registered the ContentKey of every bundle asked for."""
    return _rule(
        "bundle.registered",
        all(bundle in held for bundle in request.bundles),
        yes="the owner has registered each key",
        no="the owner has not registered each key",
        code=Code.KEY_UNKNOWN,
    )


def bundles_as_agreed(
    request: ReleaseRequest, contract: SignedContract, held: Mapping[Digest, HeldBundle]
) -> RuleResult:
    """Whoever registered a bundle is its owner in the contract, and it is of the agreed kind."""
    agreed = {entry.bundle: entry for entry in contract.contract.inputs}
    parties = contract.contract.parties
    return _rule(
        "bundle.owner",
        all(
            bundle not in held
            or (
                bundle in agreed
                and held[bundle].owner == parties[agreed[bundle].owner].signing
                and held[bundle].kind == agreed[bundle].kind
            )
            for bundle in request.bundles
        ),
        yes="each bundle is of the owner and kind that the contract names",
        no="a bundle is of another owner or kind than the contract names",
        code=Code.DENIED_OWNER,
    )


def deidentified(
    request: ReleaseRequest, contract: SignedContract, held: Mapping[Digest, HeldBundle]
) -> RuleResult:
    """Each dataset of which the contract asks it has a report that meets the contract's terms."""
    found = [
        problem
        for entry in contract.contract.inputs
        if entry.bundle in request.bundles
        for problem in _unmet(entry, held, trained_on=text_fields(contract.contract.recipe))
    ]
    return _rule(
        "bundle.deidentified",
        not found,
        yes="each dataset is de-identified as far as the contract asks",
        no="; ".join(found),
        code=Code.DENIED_DEIDENTIFICATION,
    )


def text_fields(recipe: Recipe) -> tuple[str, ...]:
    """Return the fields of a record that hold what is trained on, classes and images apart."""
    return {
        Task.CAUSAL_LM: (
            recipe.text_field,
            recipe.messages_field,
            recipe.prompt_field,
            recipe.completion_field,
        ),
        Task.TEXT_CLASSIFICATION: (recipe.text_field,),
        Task.TOKEN_CLASSIFICATION: (recipe.tokens_field,),
        Task.IMAGE_CLASSIFICATION: (),
    }[recipe.task]


def _unmet(
    entry: Input, held: Mapping[Digest, HeldBundle], *, trained_on: Collection[str]
) -> list[str]:
    terms = entry.deidentification
    if terms is None:
        return []
    bundle = held.get(entry.bundle)
    if bundle is None or bundle.report is None:
        return [f"{entry.name}: there is no de-identification report"]
    if bundle.report.owner != bundle.owner:
        return [f"{entry.name}: the de-identification report is not signed by its owner"]
    results = judge(bundle.report.report, terms, trained_on=trained_on)
    return [f"{entry.name}: {one.term}: {one.reason}" for one in results if not one.passed]


def run_open(usage: Usage) -> RuleResult:
    """The run has not ended: no receipt of it was reported."""
    return _rule(
        "run.open",
        usage.run is None or not usage.run.closed,
        yes="the run is open" if usage.run else "the run is new",
        no="the run has ended: its receipt was reported",
        code=Code.DENIED_RUN_CLOSED,
    )


def run_quota(request: ReleaseRequest, contract: SignedContract, usage: Usage) -> RuleResult:
    """A new run is within max_runs; going on with an open one is within max_resumes."""
    terms = contract.contract
    if usage.run is None:
        return _quota("runs", usage.runs, terms.max_runs, Code.DENIED_RUNS)
    if usage.run.worker == request.worker:
        return RuleResult(
            rule="run.quota", passed=True, reason="the same worker asks again", code=None
        )
    return _quota("resumes", usage.run.resumes, terms.max_resumes, Code.DENIED_RESUMES)


def _quota(what: str, used: int, allowed: int, code: Code) -> RuleResult:
    return _rule(
        "run.quota",
        used < allowed,
        yes=f"{used} of {allowed} {what} were used before",
        no=f"all {allowed} {what} are used",
        code=code,
    )


def _inputs_of(contract: SignedContract, broker: VerifyingKey) -> dict[Digest, Input]:
    document = contract.contract
    names = {name for name, entry in document.brokers.items() if entry.signing == broker}
    return {entry.bundle: entry for entry in document.inputs if entry.broker in names}


def _rule(rule: str, passed: bool, *, yes: str, no: str, code: Code) -> RuleResult:
    return RuleResult(
        rule=rule, passed=passed, reason=yes if passed else no, code=None if passed else code
    )
