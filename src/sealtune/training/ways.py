"""The ways in which a run can be computed, the fastest first."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from sealtune.training.accelerator import Accelerator
from sealtune.training.engine.choices import Choices
from sealtune.training.recipe import Precision, Recipe, Streaming

# How many tokens go through a block at once. More than 2,048 gain nothing; with few, matrix
# products have too few rows for the processor.
_TOKENS = (2_048, 1_024, 512, 256)
# An accelerator wants more rows, and each micro-batch costs it the same calls; what suits one best
# was never measured.
_ACCELERATED_TOKENS = (16_384, 8_192, 4_096, *_TOKENS)
_EVERY_BLOCK = 10_000  # more than any model has


@dataclass(frozen=True, slots=True, kw_only=True)
class Way:
    """Choices; `words` say them, `kind` what they have in common with others."""

    choices: Choices
    kind: str
    words: str


def ways(
    recipe: Recipe, *, precision: Precision, lean: bool, longest: int, has_scratch: bool
) -> Iterator[Way]:
    """Yield what `recipe` leaves to choose from; each needs less memory than some before it.

    `longest` is the length of the longest example, which goes through alone where it must.
    """
    ladder = _ladder(recipe, longest)
    if recipe.frozen_int8:
        yield from _streamed(ladder, precision=precision, has_scratch=has_scratch, int8=True)
        return
    if recipe.streaming is not Streaming.ALWAYS:
        yield from _resident(ladder, precision=precision, lean=lean)
    if lean and recipe.streaming is not Streaming.NEVER:
        yield from _streamed(ladder, precision=precision, has_scratch=has_scratch)


def accelerated_ways(recipe: Recipe, accelerator: Accelerator, *, longest: int) -> Iterator[Way]:
    """Yield the ways that keep everything in the accelerator's memory."""
    ladder = _ladder(recipe, longest, _ACCELERATED_TOKENS)
    for recompute in (False, True):
        for tokens in ladder:
            choices = Choices(
                precision=accelerator.precision(recipe.precision),
                tokens=tokens,
                recompute=recompute,
                keep_probabilities=False,
                device=accelerator.device,
            )
            how = "computed again" if recompute else "kept"
            yield _way(choices, f"on {accelerator.device}, weights there, activations {how}")


def _ladder(recipe: Recipe, longest: int, sizes: Sequence[int] = _TOKENS) -> list[int]:
    if recipe.micro_batch_tokens:
        return [recipe.micro_batch_tokens]
    # The telemetry says which it is, so it never is a record's own length. Below the first that is
    # no more than the longest example the largest micro-batch would be that example all the same.
    above = sum(size > longest for size in sizes)
    return list(sizes[: above + 1])


def _resident(ladder: list[int], *, precision: Precision, lean: bool) -> Iterator[Way]:
    for tokens in ladder:
        base = Choices(precision=precision, tokens=tokens, lean=lean)
        yield _way(base, "weights in memory, activations kept")
        if lean:
            less = Choices(precision=precision, tokens=tokens, keep_probabilities=False)
            yield _way(less, "weights in memory, activations kept save attention's probabilities")
    for tokens in ladder:
        again = Choices(
            precision=precision, tokens=tokens, lean=lean, recompute=True, keep_probabilities=False
        )
        yield _way(again, "weights in memory, activations computed again")


def _streamed(
    ladder: list[int], *, precision: Precision, has_scratch: bool, int8: bool = False
) -> Iterator[Way]:
    for spilled in (_EVERY_BLOCK, 0) if has_scratch else (0,):
        for tokens in ladder:
            for tables in (False, True):
                choices = Choices(
                    precision=precision,
                    tokens=tokens,
                    keep_probabilities=False,
                    streamed=True,
                    tables_streamed=tables,
                    spilled=spilled,
                    ring=1 if int8 else 2,
                    int8=int8,
                )
                yield _way(choices, _streamed_words(choices))


def _streamed_words(choices: Choices) -> str:
    how = "kept in encrypted scratch" if choices.spilled else "computed again"
    if choices.int8:
        tables = ", embeddings streamed" if choices.tables_streamed else ""
        return f"weights in memory in 8 bits{tables}, activations {how}"
    what = "weights and embeddings" if choices.tables_streamed else "weights"
    return f"{what} streamed, activations {how}"


def _way(choices: Choices, kind: str) -> Way:
    words = f"{kind}, {choices.tokens:,} tokens at once"
    return Way(choices=choices, kind=kind, words=words)
