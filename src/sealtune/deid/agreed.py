"""What a contract asks of a dataset's de-identification (docs/spec/deidentification.md §8).

The enclave reads contracts, so nothing but thresholds is here; `terms` judges a report by them.
"""

from __future__ import annotations

from typing import Annotated, Final, Self

from pydantic import BaseModel, ConfigDict, Field, model_validator

NAMES_MAX: Final = 16
PROFILE_NAMES: Final = ("hipaa-safe-harbor", "gdpr-pseudonymous")

TermName = Annotated[str, Field(pattern=r"^[a-z][a-z0-9-]{0,40}$")]


class DeidTerms(BaseModel):
    """The thresholds of one input; only `min_k` and `detectors` may be left out."""

    model_config = ConfigDict(strict=True, extra="forbid", frozen=True, allow_inf_nan=False)

    profiles: Annotated[tuple[TermName, ...], Field(min_length=1, max_length=NAMES_MAX)]
    max_residual_per_10000: Annotated[float, Field(ge=0, le=10_000)]
    min_k: Annotated[int, Field(ge=1, le=10_000)] = 1
    detectors: Annotated[tuple[TermName, ...], Field(max_length=NAMES_MAX)] = ()

    @model_validator(mode="after")
    def _known(self) -> Self:
        for names in (self.profiles, self.detectors):
            if len(set(names)) != len(names):
                raise ValueError("an element occurs twice")
        for name in self.profiles:
            if name not in PROFILE_NAMES:
                # A name that no report can carry would be a contract that nobody can run.
                raise ValueError(f"profiles: {name!r} is none of {', '.join(PROFILE_NAMES)}")
        return self
