"""What a job would take and how it would be computed, for whoever asks before it runs.

Without a key only the sizes of sealed files are known: an estimate on the safe side. Whoever can
open the model sees the plan that the worker will make, with records as large as the recipe lets
them be; who can open the records too, with those. The same code plans in the enclave; what differs
is the machine: its processor where the recipe's precision is auto, and its memory.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from pathlib import Path
from typing import Any

from sealtune.bundle.format import BundleKind
from sealtune.bundle.reader import SealedBundle, open_bundle_file
from sealtune.contract.schema import Contract, Input
from sealtune.core.digest import Digest
from sealtune.core.memory import size_text
from sealtune.crypto.identity import Identity
from sealtune.crypto.secret import ContentKey
from sealtune.errors import Code, ConfigError
from sealtune.tee.sgx.size import job_peak
from sealtune.worker.inputs import open_model, open_record_source


class Known(StrEnum):
    """What a plan was made from."""

    SIZES = "sizes of sealed files"
    MODEL = "the model, and records as long as the recipe lets them be"
    EVERYTHING = "the model and the records"


@dataclass(frozen=True, slots=True, kw_only=True)
class JobPlan:
    """The plan of a job. Bytes; `memory_limit_bytes` is 0 if there is none.

    `choices` is empty where only sizes are known.
    """

    known: Known
    memory_limit_bytes: int
    predicted_peak_bytes: int
    predicted_parts: Mapping[str, int]
    choices: Mapping[str, Any] = field(default_factory=dict)
    reasons: tuple[str, ...]


def plan_job(
    contract: Contract,
    inputs: Mapping[str, Path],
    *,
    keys: Sequence[Identity],
    memory_limit: int,
    has_scratch: bool,
) -> JobPlan:
    """Return how `contract` would be computed in `memory_limit` bytes, 0 for no limit beside its
    recipe's; `keys` open what of `inputs` they can.

    Raises:
        ConfigError: the place of an input is not given.
        StorageError, FormatError, VerificationError: it is missing, damaged or another one.
        TrainingError: `MEMORY_TOO_SMALL`, with figures; or what else stops the training.
    """
    _check_names(contract, inputs)
    with contextlib.ExitStack() as stack:
        bundles = {
            item.name: stack.enter_context(_agreed(item, inputs[item.name]))
            for item in contract.inputs
        }
        content_keys = dict(_unwrapped(bundles.values(), keys))
        opened = {name for name, bundle in bundles.items() if bundle.digest in content_keys}
        if contract.recipe.model not in opened:
            return _from_sizes(contract, inputs, memory_limit)
        # torch comes with this one; until here there is no need of it.
        from sealtune.training.preview import preview

        everything = opened.issuperset(contract.recipe.datasets)
        datasets = [bundles[name] for name in contract.recipe.datasets]
        plan = preview(
            contract.recipe.training,
            weights=open_model(bundles[contract.recipe.model], content_keys),
            records=open_record_source(datasets, content_keys) if everything else None,
            memory_limit=memory_limit,
            has_scratch=has_scratch,
        )
        return JobPlan(
            known=Known.EVERYTHING if everything else Known.MODEL,
            memory_limit_bytes=plan.limit,
            predicted_peak_bytes=plan.peak,
            predicted_parts=plan.parts,
            choices=plan.choices.to_dict(),
            reasons=plan.reasons,
        )


def _check_names(contract: Contract, inputs: Mapping[str, Path]) -> None:
    for name in sorted({item.name for item in contract.inputs} - inputs.keys()):
        raise ConfigError(
            Code.CONFIG_INVALID,
            f"the contract names input {name!r}, whose location is not given",
            remedy=f"add --input {name}=FILE",
        )


def _agreed(item: Input, path: Path) -> SealedBundle:
    bundle = open_bundle_file(path)
    bundle.expect_digest(item.bundle)
    return bundle.expect_kind(BundleKind(item.kind.value))


def _unwrapped(
    bundles: Iterable[SealedBundle], keys: Sequence[Identity]
) -> Iterator[tuple[Digest, ContentKey]]:
    for bundle in bundles:
        for key in keys:
            # Not sealed to this one: perhaps to the next, and if to none, less is known.
            with contextlib.suppress(ConfigError):
                yield bundle.digest, bundle.unwrap(key.recipient)


def _from_sizes(contract: Contract, inputs: Mapping[str, Path], memory_limit: int) -> JobPlan:
    recipe = contract.recipe
    limits = [size for size in (recipe.memory_limit_bytes, memory_limit) if size]
    limit = min(limits, default=0)
    peak = job_peak(contract, inputs)
    reasons = ["the model is sealed: from the sizes of files alone, on the safe side"]
    if limit and peak > limit:
        reasons.append(
            f"more than the {size_text(limit)} that there are: the worker, which sees the model, "
            "looks for a way that fits and refuses if there is none"
        )
    return JobPlan(
        known=Known.SIZES,
        memory_limit_bytes=limit,
        predicted_peak_bytes=peak,
        predicted_parts={"estimate": peak},
        reasons=tuple(reasons),
    )
