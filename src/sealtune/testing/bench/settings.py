"""The stock settings of the peer that are tried, and the search for the fastest.

All can be chosen with public options of transformers and PEFT alone; none recomputes activations.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from enum import StrEnum
from typing import Final, Self

from sealtune.errors import Code, ConfigError, TrainingError

AUTO: Final = "auto"  # no setting, but the search for the fastest
_MICRO_FIRST: Final = 4
_GAIN: Final = 1.01  # less than 1 % faster is noise
_REMEDY: Final = "use auto, or ARITHMETIC/micro-N/random or .../grouped as a report names it"


class Arithmetic(StrEnum):
    """Types of the peer's weights, adapters and matrix products."""

    FP32_MEDIUM = "fp32-medium"
    AUTOCAST = "bf16-autocast"
    BF16 = "bf16-weights"
    BF16_AUTOCAST = "bf16-weights-autocast"
    BF16_PURE = "bf16-weights-bf16-adapters"
    FP32 = "fp32"

    @property
    def explained(self) -> str:
        """What it is, in words."""
        return _EXPLAINED[self]


_EXPLAINED: Final = {
    Arithmetic.FP32_MEDIUM: "fp32 weights, set_float32_matmul_precision('medium')",
    Arithmetic.AUTOCAST: "fp32 weights, TrainingArguments(bf16=True)",
    Arithmetic.BF16: "bf16 weights, fp32 adapters",
    Arithmetic.BF16_AUTOCAST: "bf16 weights, fp32 adapters, TrainingArguments(bf16=True)",
    Arithmetic.BF16_PURE: "bf16 weights, bf16 adapters (autocast_adapter_dtype=False)",
    Arithmetic.FP32: "fp32 throughout",
}
# fp32 without more is never the fastest and is for the comparison of losses.
_TRIED: Final = tuple(kind for kind in Arithmetic if kind is not Arithmetic.FP32)


@dataclass(frozen=True, slots=True, kw_only=True)
class PeerSetting:
    """How the peer is run; `micro` records at once, the rest by gradient accumulation."""

    arithmetic: Arithmetic
    micro: int
    grouped: bool

    @property
    def text(self) -> str:
        """The name that a report gives it and `parse` reads."""
        order = "grouped" if self.grouped else "random"
        return f"{self.arithmetic.value}/micro-{self.micro}/{order}"

    @classmethod
    def parse(cls, text: str) -> Self:
        """Return the setting that `text` names.

        Raises:
            ConfigError: it names none.
        """
        arithmetic, _, rest = text.partition("/")
        micro, _, order = rest.partition("/")
        number = micro.removeprefix("micro-")
        known = arithmetic in set(Arithmetic) and order in ("grouped", "random")
        if not known or not number.isdecimal() or not 1 <= int(number) <= 65_536:
            message = f"no setting of the peer is called {text[:80]!r}"
            raise ConfigError(Code.CONFIG_INVALID, message, remedy=_REMEDY)
        return cls(arithmetic=Arithmetic(arithmetic), micro=int(number), grouped=order == "grouped")

    def fill(self, records_per_step: int) -> Self:
        """Return this setting if its micro-batches fill a step exactly.

        Raises:
            ConfigError: they do not.
        """
        if records_per_step % self.micro:
            message = f"micro-batches of {self.micro} do not fill {records_per_step} records"
            sizes = ", ".join(map(str, micro_sizes(records_per_step)))
            raise ConfigError(Code.CONFIG_INVALID, message, remedy=f"use one of {sizes}")
        return self


@dataclass(frozen=True, slots=True, kw_only=True)
class Trial:
    """One setting that was tried, and its rate."""

    setting: str
    tokens_per_second: float


def fastest_setting(
    rate: Callable[[PeerSetting], float], *, records_per_step: int, varies: bool
) -> tuple[PeerSetting, tuple[Trial, ...]]:
    """Return the setting with the highest `rate` (tokens per second), and all that were tried.

    One thing at a time: the arithmetic, then larger and smaller micro-batches as long as they gain,
    then, where lengths differ, no grouping. One that is killed for memory has the rate 0.

    Raises:
        TrainingError: `MEMORY_EXCEEDED`: all that were tried are killed for memory.
    """
    tried: dict[PeerSetting, float] = {}

    def measured(setting: PeerSetting) -> float:
        if setting not in tried:
            try:
                tried[setting] = rate(setting)
            except TrainingError as error:
                if error.code is not Code.MEMORY_EXCEEDED:
                    raise
                # It cannot be the fastest on this machine; smaller micro-batches may be.
                tried[setting] = 0.0
        return tried[setting]

    sizes = micro_sizes(records_per_step)
    first = max(size for size in sizes if size <= _MICRO_FIRST)
    start = PeerSetting(arithmetic=Arithmetic.BF16, micro=first, grouped=varies)
    best = max((replace(start, arithmetic=kind) for kind in _TRIED), key=measured)
    for direction in (1, -1):
        best = _climb(best, sizes, direction, measured)
    if varies:
        best = max((best, replace(best, grouped=False)), key=measured)
    if not tried[best]:
        message = "the peer is killed for memory at every setting that was tried"
        remedy = "take a smaller model, or name a setting with --peer-setting"
        raise TrainingError(Code.MEMORY_EXCEEDED, message, remedy=remedy)
    trials = tuple(
        Trial(setting=setting.text, tokens_per_second=value) for setting, value in tried.items()
    )
    return best, trials


def micro_sizes(records_per_step: int) -> tuple[int, ...]:
    """Return the micro-batch sizes that fill a step exactly: powers of two that divide it."""
    powers = (2**exponent for exponent in range(records_per_step.bit_length()))
    return tuple(sorted({size for size in powers if records_per_step % size == 0}))


def _climb(
    best: PeerSetting,
    sizes: Sequence[int],
    direction: int,
    measured: Callable[[PeerSetting], float],
) -> PeerSetting:
    place = sizes.index(best.micro) + direction
    while 0 <= place < len(sizes):
        other = replace(best, micro=sizes[place])
        if measured(other) <= measured(best) * _GAIN:
            return best
        best = other
        place += direction
    return best
