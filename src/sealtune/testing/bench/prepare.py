"""Everything that is made before a clock runs: model, records, token ids, the recipe."""

from __future__ import annotations

from dataclasses import dataclass, replace
from enum import StrEnum
from pathlib import Path
from typing import Final

from sealtune.core.limits import SHARD_BYTES
from sealtune.errors import Code, ConfigError
from sealtune.testing.bench.children import run_child
from sealtune.testing.bench.data import (
    DataKind,
    DataSpec,
    Record,
    chat_records,
    check_fit,
    encoder_words,
    fixed_labelled_records,
    fixed_records,
    medical_records,
    parse_data,
    write_records,
)
from sealtune.testing.bench.job import LORA_ALPHA, LORA_RANK, Job
from sealtune.testing.bench.settings import AUTO
from sealtune.testing.bench.shapes import (
    REAL_ENCODER,
    Shape,
    find_shape,
    multiplied_parameters,
    tensor_shapes,
)
from sealtune.testing.bench.tokenizer import plain_words
from sealtune.testing.bench.weights import FolderWeights, Progress, make_model
from sealtune.testing.demo.encoder import find_encoder
from sealtune.training.recipe import Method, Precision, Recipe, Task

_SEED: Final = 0
_LEARNING_RATE: Final = 2e-4
_LABELS: Final = ("one", "two", "three", "four", "five")


class Compare(StrEnum):
    """Beside what the engine is measured."""

    HF_PEFT = "hf-peft"
    PLAINTEXT = "plaintext"
    RESIDENT = "resident"
    NONE = "none"


@dataclass(frozen=True, slots=True, kw_only=True)
class BenchOptions:
    """What is asked for; 0 takes the data's own number, and every core.

    `sealed` trains through the whole sealed chain, otherwise ours runs in plaintext too.
    `memory_limit` is in bytes, a hard limit for ours, 0 for none.
    """

    model: str
    data: str
    compare: Compare
    sealed: bool
    work_dir: Path
    data_dir: Path | None = None
    pairs: int = 5
    steps: int = 0
    records_per_step: int = 0
    max_length: int = 0
    threads: int = 0
    memory_limit: int = 0
    peer_setting: str = AUTO


@dataclass(frozen=True, slots=True, kw_only=True)
class Prepared:
    """What the runs of one measurement share."""

    job: Job
    data: DataSpec
    labels: tuple[str, ...]
    order: tuple[tuple[int, ...], ...]
    lengths: tuple[int, ...]
    supervised_share: float
    linear_parameters: int
    head_parameters: int

    @property
    def flop_per_token(self) -> float:
        """Four for each parameter that a token is multiplied with: forward, and the gradient of the
        input; a frozen weight has no gradient of its own. The LM head counts where it is needed.
        """
        return 4.0 * (self.linear_parameters + self.supervised_share * self.head_parameters)


def prepare(
    options: BenchOptions, folder: Path, *, precision: Precision, warmup: int, progress: Progress
) -> Prepared:
    """Make model and records and encode them, in `folder` and the options' `work_dir`.

    There are records for `warmup` optimizer steps beside those that are asked for.

    Raises:
        ConfigError: an unknown shape or data, data that the model cannot learn, or too few records.
        StorageError: the abstracts are not there.
    """
    data = parse_data(options.data)
    shape = None if options.model == REAL_ENCODER else find_shape(options.model)
    check_fit(data, model=options.model)
    per_step = options.records_per_step or data.records_per_step
    steps = warmup + (options.steps or data.steps)
    records, labels = _records(options, data, shape, count=per_step * steps)
    written = write_records(records, folder / "records.jsonl")
    _check_one_shard(written)
    model = _model(options, shape, progress)
    recipe = _recipe(options, data, labels, batch_size=per_step, precision=precision)
    job = Job(
        result="",
        output="",
        model=str(model.resolve()),
        records=str(written.resolve()),
        encoded=str(folder.resolve() / "encoded.npz"),
        recipe=recipe.to_dict(),
        records_per_step=per_step,
        steps=steps,
    )
    encoded, _ = run_child("encode", job, folder=folder / "encode")
    linear, head = _multiplied(model, shape)
    return Prepared(
        job=replace(job, tokens_per_step=encoded["tokens_per_step"]),
        data=data,
        labels=labels,
        order=tuple(map(tuple, encoded["order"])),
        lengths=tuple(encoded["lengths"]),
        supervised_share=encoded["supervised_share"],
        linear_parameters=linear,
        head_parameters=head,
    )


def _check_one_shard(records: Path) -> None:
    # Shards are shuffled before records are: with several, the sealed dataset's order would be
    # another than the one that is known here.
    if records.stat().st_size >= SHARD_BYTES:
        message = f"the records take more than the {SHARD_BYTES >> 20} MiB of one shard"
        remedy = "ask for fewer --steps or --records-per-step"
        raise ConfigError(Code.CONFIG_INVALID, message, remedy=remedy)


def _model(options: BenchOptions, shape: Shape | None, progress: Progress) -> Path:
    if shape is None:
        return find_encoder()
    return make_model(
        shape, options.work_dir / "models" / shape.name, seed=_SEED, progress=progress
    )


def _records(
    options: BenchOptions, data: DataSpec, shape: Shape | None, *, count: int
) -> tuple[list[Record], tuple[str, ...]]:
    if data.kind is DataKind.MEDICAL:
        records, labels = medical_records(options.data_dir)
        if count > len(records):
            message = f"{count} records are needed, {data.text} has {len(records)}"
            raise ConfigError(Code.CONFIG_INVALID, message, remedy="ask for fewer --steps")
        return records[:count], labels
    if shape is None:
        words = encoder_words((find_encoder() / "tokenizer.json").read_bytes())
        length, labels = data.max_length, _LABELS
        records = fixed_labelled_records(
            words, labels=len(labels), count=count, length=length, seed=_SEED
        )
        return records, labels
    words = plain_words(shape)
    if data.kind is DataKind.CHAT:
        return chat_records(words, count=count, seed=_SEED), ()
    return fixed_records(words, count=count, length=data.max_length, seed=_SEED), ()


def _recipe(
    options: BenchOptions,
    data: DataSpec,
    labels: tuple[str, ...],
    *,
    batch_size: int,
    precision: Precision,
) -> Recipe:
    return Recipe(
        task=Task.TEXT_CLASSIFICATION if labels else Task.CAUSAL_LM,
        method=Method.LORA,
        labels=labels,
        seed=_SEED,
        epochs=1,
        batch_size=batch_size,
        max_length=options.max_length or data.max_length,
        learning_rate=_LEARNING_RATE,
        precision=precision,
        threads=options.threads,
        evaluation_fraction=0.0,
        lora_rank=LORA_RANK,
        lora_alpha=LORA_ALPHA,
    )


def _multiplied(model: Path, shape: Shape | None) -> tuple[int, int]:
    if shape is not None:
        return multiplied_parameters(tensor_shapes(shape))
    tensors = FolderWeights(model).tensors
    return multiplied_parameters({name: info.shape for name, info in tensors.items()})
