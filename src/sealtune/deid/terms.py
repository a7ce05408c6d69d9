"""What a contract asks of a dataset's de-identification, and whether a report meets it.

Part of the contract's schema and of a broker's release rules: pure, light, without I/O
(docs/spec/deidentification.md §8). A reason names thresholds and counts, never content.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, Final, Self

from pydantic import BaseModel, ConfigDict, Field, model_validator

from sealtune.deid.config import PROFILES, Action, Configuration

if TYPE_CHECKING:
    from sealtune.deid.report import DeidReport

NAMES_MAX: Final = 16
K_MAX: Final = 10_000

TermName = Annotated[str, Field(pattern=r"^[a-z][a-z0-9-]{0,40}$")]


class DeidTerms(BaseModel):
    """The thresholds of one input; only `min_k` and `detectors` may be left out."""

    model_config = ConfigDict(strict=True, extra="forbid", frozen=True, allow_inf_nan=False)

    profiles: Annotated[tuple[TermName, ...], Field(min_length=1, max_length=NAMES_MAX)]
    max_residual_per_10000: Annotated[float, Field(ge=0, le=10_000)]
    min_k: Annotated[int, Field(ge=1, le=K_MAX)] = 1
    detectors: Annotated[tuple[TermName, ...], Field(max_length=NAMES_MAX)] = ()

    @model_validator(mode="after")
    def _known(self) -> Self:
        for names in (self.profiles, self.detectors):
            if len(set(names)) != len(names):
                raise ValueError("an element occurs twice")
        for name in self.profiles:
            if name not in PROFILES:
                # A name that no report can carry would be a contract that nobody can run.
                raise ValueError(f"profiles: {name!r} is none of {', '.join(PROFILES)}")
        return self


@dataclass(frozen=True, slots=True)
class TermResult:
    """One threshold and whether the report meets it; `reason` is for people."""

    term: str
    passed: bool
    reason: str


def judge(report: DeidReport, terms: DeidTerms) -> tuple[TermResult, ...]:
    """Return for each threshold of `terms` whether `report` meets it, in their order."""
    return (
        _profile(report, terms),
        _strength(report.deidentification),
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
