"""What the training engine is given and what it gives back; it knows no file, key or network.

Structural types only: whoever runs the engine (the worker, a test, a benchmark) implements them.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol


@dataclass(frozen=True, slots=True, kw_only=True)
class TensorInfo:
    """Type and shape of a stored tensor; `dtype` as safetensors spells it (`F32`, `BF16`, `I64`
    ...).
    """

    dtype: str
    shape: tuple[int, ...]


class WeightSource(Protocol):
    """A pre-trained model: its configuration, small files and tensors, each read on demand."""

    @property
    def config(self) -> Mapping[str, Any]:
        """The parsed config.json."""
        ...

    @property
    def files(self) -> Mapping[str, bytes]:
        """The other small files by name: tokenizer.json, tokenizer_config.json ..."""
        ...

    @property
    def tensors(self) -> Mapping[str, TensorInfo]:
        """Every stored tensor by name."""
        ...

    def read_into(self, name: str, destination: memoryview) -> None:
        """Write the bytes of tensor `name` (row-major, little-endian) into `destination`, which has
        their length.
        """
        ...

    def read_pieces(self, name: str, buffer: memoryview, *, multiple: int) -> Iterator[memoryview]:
        """Yield the bytes of tensor `name` in order, in pieces that `buffer` holds until the next.

        For a tensor that memory has no room for as a whole. Each piece but the last has a multiple
        of `multiple` bytes, the length of a row for instance; `buffer` holds that and 32 KiB more.
        What was computed from pieces is to be thrown away if the iterator raises, for only its end
        shows that the tensor is whole and the agreed one.
        """
        ...


class CheckpointSink(Protocol):
    """Keeps the newest training checkpoint of this run; how it is sealed and bound is the sink's
    business.
    """

    def save(self, step: int, blob: bytes) -> None:
        """Have `blob`, the state after optimizer step `step`, kept in place of any older one.

        It may be kept later, beside the steps that follow; what went wrong is raised by the next
        call of `save` or `drain`.
        """
        ...

    def drain(self) -> None:
        """Wait until all that was saved is kept."""
        ...

    def load(self) -> tuple[int, bytes] | None:
        """Return the newest step and blob, or None when the run starts afresh."""
        ...


class Scratch(Protocol):
    """Room beside memory for activations, until they are needed again; how it is kept from the
    host is its own business. Several threads may use different keys at once.
    """

    def write(self, key: int, parts: Sequence[memoryview]) -> None:
        """Keep the bytes of `parts` under `key`, in place of what was kept there."""
        ...

    def read_into(self, key: int, parts: Sequence[memoryview]) -> None:
        """Fill `parts`, of the lengths that were written, with what is kept under `key`."""
        ...

    def forget(self, key: int) -> None:
        """Keep nothing under `key` any more; its room is used again."""
        ...

    def close(self) -> None:
        """Give all room back; the scratch space is of no use from now on."""
        ...


class Telemetry(Protocol):
    """Hears how the run goes; whether any of it leaves the enclave is decided elsewhere."""

    def progress(self, step: int, total: int, tokens: int) -> None:
        """Optimizer step `step` of at most `total` is done; `tokens` were trained on so far, those
        of the steps before a resumption included, padding excluded.
        """
        ...

    def loss(self, step: int, value: float) -> None:
        """The mean training loss of optimizer step `step`."""
        ...

    def evaluation(self, step: int, metrics: Mapping[str, float]) -> None:
        """What the evaluation after optimizer step `step` (0: before training) gave."""
        ...

    def planned(self, plan: Mapping[str, Any]) -> None:
        """How the run is computed, as JSON values: choices, reasons, predicted memory."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class TrainResult:
    """The result of a run: a folder's files by name, what was measured and what was counted.

    `metrics`: `train_loss` (mean of the optimizer steps' losses) and, with evaluation records,
    `loss_before`, `loss_after` and for classification `accuracy_before`, `accuracy_after`.
    `counts`: `records` (trained on), `evaluation_records`, `optimizer_steps`, `tokens` (real ones
    seen in training, padding excluded), `truncated_records`, `trainable_parameters`, `threads`,
    `precision_bits` (16 or 32) of what was computed with, and in classification
    `classes_without_records`: labels that no training record has; `replaced_heads`: parts that the
    stored model had for another number of classes, in whose place new ones were trained.
    """

    files: Mapping[str, bytes]
    metrics: Mapping[str, float]
    counts: Mapping[str, int]


class NoCheckpoints:
    """A sink that keeps nothing: every run starts afresh."""

    def save(self, step: int, blob: bytes) -> None:
        """Forget `blob`."""

    def drain(self) -> None:
        """Return at once: nothing is ever kept."""

    def load(self) -> None:
        """Return None: there is never a checkpoint."""


class NoTelemetry:
    """Telemetry that nobody hears."""

    def progress(self, step: int, total: int, tokens: int) -> None:
        """Ignore it."""

    def loss(self, step: int, value: float) -> None:
        """Ignore it."""

    def evaluation(self, step: int, metrics: Mapping[str, float]) -> None:
        """Ignore it."""

    def planned(self, plan: Mapping[str, Any]) -> None:
        """Ignore it."""
