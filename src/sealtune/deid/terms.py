"""Whether a report meets what a contract asks of a dataset's de-identification.

Part of a broker's release rules: pure, without I/O
(docs/spec/deidentification.md §8). A reason names thresholds and counts, never content.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING

from sealtune.deid.agreed import DeidTerms
from sealtune.deid.config import PROFILES, Action, Configuration, Role

if TYPE_CHECKING:
    from sealtune.deid.report import DeidReport


# Roles that leave a value as it is, or only coarser: no detector looks into it.
_NOT_LOOKED_INTO = frozenset({Role.SAFE, Role.SENSITIVE, Role.QUASI})


@dataclass(frozen=True, slots=True)
class TermResult:
    """One threshold and whether the report meets it; `reason` is for people."""

    term: str
    passed: bool
    reason: str


def judge(
    report: DeidReport, terms: DeidTerms, *, trained_on: Collection[str]
) -> tuple[TermResult, ...]:
    """Return for each threshold of `terms` whether `report` meets it, in their order.

    `trained_on` are the fields that the contract's recipe reads text from.
    """
    return (
        _profile(report, terms),
        _strength(report.deidentification),
        _fields(report.deidentification, trained_on),
        _residual(report, terms),
        _k(report, terms),
        _detectors(report, terms),
    )


def weaker_than_profile(configuration: Configuration) -> tuple[str, ...]:
    """Return in which respects `configuration` does less than the profile that it goes by.

    Redaction is the strongest action; any other than the profile's own counts as weaker.
    """
    return tuple(_weaknesses(configuration, PROFILES[configuration.profile]))


def _weaknesses(given: Configuration, profile: Configuration) -> Iterator[str]:
    for entity in profile.actions:
        action = given.action(entity)
        if action not in (profile.action(entity), Action.REDACT):
            yield f"{entity.value} is treated by {action.value}"
    for entity in given.actions.keys() - profile.actions.keys():
        if given.action(entity) is not Action.REDACT:
            yield f"{entity.value} is treated by {given.action(entity).value}"
    if given.reversible and not profile.reversible:
        yield "it can be reversed"
    if given.minimum_confidence > profile.minimum_confidence:
        yield f"findings below a confidence of {given.minimum_confidence:g} were left"


def _profile(report: DeidReport, terms: DeidTerms) -> TermResult:
    name = report.deidentification.profile
    accepted = ", ".join(terms.profiles)
    return TermResult("profile", name in terms.profiles, f"{name}, accepted: {accepted}")


def _strength(configuration: Configuration) -> TermResult:
    # A profile's name would be worth nothing if a configuration could keep what it removes.
    found = weaker_than_profile(configuration)
    reason = f"weaker than {configuration.profile}: {'; '.join(found)}" if found else "as strong"
    return TermResult("strength", not found, reason)


def _fields(configuration: Configuration, trained_on: Collection[str]) -> TermResult:
    # spec/deidentification §8.2: figures on text that the owner called safe would be figures on
    # nothing.
    found = [
        f"{name} is {rule.role.value}"
        for name, rule in configuration.fields.items()
        if rule.role in _NOT_LOOKED_INTO
        and any(name == field or name.startswith(f"{field}.") for field in trained_on)
    ]
    reason = f"trained on, not looked into: {', '.join(found)}" if found else "all looked into"
    return TermResult("fields", not found, reason)


def _residual(report: DeidReport, terms: DeidTerms) -> TermResult:
    found, limit = report.residual_per_10000, terms.max_residual_per_10000
    reason = f"{found:g} residual findings per 10,000 records, allowed: {limit:g}"
    return TermResult("max_residual_per_10000", found <= limit, reason)


def _k(report: DeidReport, terms: DeidTerms) -> TermResult:
    if terms.min_k == 1:
        return TermResult("min_k", True, "no k is asked for")
    found = report.k
    shown = "not measured" if found is None else str(found)
    passed = found is not None and found >= terms.min_k
    return TermResult("min_k", passed, f"k is {shown}, at least {terms.min_k} is asked for")


def _detectors(report: DeidReport, terms: DeidTerms) -> TermResult:
    # A mode may say more than its name (`spacy: en_core_web_sm 3.8`).
    ran = {mode.partition(":")[0].partition(" ")[0] for mode in report.modes} | set(report.modes)
    missing = [name for name in terms.detectors if name not in ran]
    reason = f"did not run: {', '.join(missing)}" if missing else "each required detector ran"
    return TermResult("detectors", not missing, reason)
