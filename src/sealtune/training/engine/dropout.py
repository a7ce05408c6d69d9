"""Dropout whose masks come from counted seeds: what is computed again drops the same.

A mask takes one random byte for each value: rates are rounded to 1/256, the correction is exact.
"""

from __future__ import annotations

import numpy as np
import torch


class Dropout:
    """The random masks of one run; `begin` says which block of which micro-batch comes.

    They are made on the host, or on the `device` that is given, so that none is copied there. Those
    are others.
    """

    def __init__(self, device: torch.device | None = None) -> None:
        self._bits = np.random.SFC64(0)
        self._device = device
        self._numbers: tuple[int, ...] = (0,)
        self._generator: torch.Generator | None = None
        self.enabled = True

    def begin(self, *numbers: int) -> None:
        """Make the next masks a function of `numbers` alone."""
        if self._device is None:
            self._bits = np.random.SFC64(numbers)
        self._numbers, self._generator = numbers, None

    def mask(self, like: torch.Tensor, rate: float) -> torch.Tensor | None:
        """Return 1 for what stays in `like` and 0 for what is dropped, in its type.

        None at rate 0 or in evaluation.
        """
        if not rate or not self.enabled:
            return None
        random = self._on_host(like) if self._device is None else self._on_device(like)
        # Straight into a floating type: comparing to booleans and multiplying by them is slow.
        return torch.ge(random, round(rate * 256), out=torch.empty_like(like))

    def _on_host(self, like: torch.Tensor) -> torch.Tensor:
        count = like.numel()
        words = self._bits.random_raw((count + 7) // 8)
        return torch.from_numpy(words.view(np.uint8))[:count].view(like.shape)

    def _on_device(self, like: torch.Tensor) -> torch.Tensor:
        if self._generator is None:
            # A seed is a number of the host's: setting it copies nothing.
            seed = np.random.SeedSequence(self._numbers).generate_state(1, np.uint64)
            self._generator = torch.Generator(self._device).manual_seed(int(seed[0]))
        random = torch.empty(like.shape, dtype=torch.uint8, device=self._device)
        return random.random_(0, 256, generator=self._generator)

    def scale(self, rate: float) -> float:
        """Return what values that stay are multiplied by, so that the mean does."""
        return 256 / (256 - round(rate * 256)) if rate and self.enabled else 1.0


def dropped(x: torch.Tensor, mask: torch.Tensor | None, rate: float) -> torch.Tensor:
    """Return `x` where `mask` keeps it, scaled so that its mean stays; without a mask `x`."""
    if mask is None:
        return x
    return (x * mask).mul_(256 / (256 - round(rate * 256)))
