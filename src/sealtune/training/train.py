"""The training loop: records and a pre-trained model in, the files of a result folder out.

One process, threads only. It reads and writes nothing but what it is given, and keeps no plaintext
anywhere but in memory.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from functools import partial
from typing import Any

import torch

from sealtune.errors import Code, FormatError, TrainingError
from sealtune.training.accelerator import find_accelerator
from sealtune.training.arithmetic import fixed_arithmetic
from sealtune.training.configuration import check_images
from sealtune.training.corpus import Corpus, build_corpus
from sealtune.training.engine.choices import Device
from sealtune.training.engine.crossing import read
from sealtune.training.export import export_adapter, export_model
from sealtune.training.images import ImageProcessor
from sealtune.training.learner import Learner
from sealtune.training.learners import build_learner
from sealtune.training.model import LoadedModel, load_skeleton
from sealtune.training.optimizer import Optimizer, learning_rate, require_finite
from sealtune.training.packing import PackedBatch
from sealtune.training.plan import examples_room, plan_run
from sealtune.training.readers import load_readers
from sealtune.training.recipe import Method, Recipe, Task
from sealtune.training.records import ListedRecords, RecordSource
from sealtune.training.sources import (
    CheckpointSink,
    Scratch,
    Telemetry,
    TrainResult,
    WeightSource,
)
from sealtune.training.state import TrainingState, pack_state, run_fingerprint, unpack_state
from sealtune.training.tokens import TextTokenizer
from sealtune.training.trained import find_trained
from sealtune.training.workload import EVALUATED_TOGETHER, workload_of

Records = Sequence[Mapping[str, Any]]
_NARROWING_MAX = 0.005  # of the loss: as far as two seeds are apart, or less


def train(
    recipe: Recipe,
    *,
    weights: WeightSource,
    records: Records | RecordSource,
    checkpoints: CheckpointSink,
    telemetry: Telemetry,
    evaluation_records: Records | RecordSource = (),
    scratch: Scratch | None = None,
    memory_limit: int = 0,
    device: Device = Device.CPU,
) -> TrainResult:
    """Fine-tune the model in `weights` on `records` as `recipe` says and return the result.

    `evaluation_records` are evaluated on beside the recipe's fraction of `records`. Where
    `checkpoints` holds a state of the same run, the run goes on from there and ends with the same
    bytes as if it had never stopped. `scratch` is room for activations that memory has none for.
    `memory_limit` is what the process may take in bytes, 0 for no limit beside the recipe's own.
    `device` is where plaintext may go, because the caller has its evidence; it is used if it is
    there and serves.

    Raises:
        FormatError: a record, tensor, configuration or tokenizer is not what it should be; the
            message names its place and quotes no content.
        TrainingError: `MODEL_UNSUPPORTED`, `RECIPE_UNSUPPORTED`, `NOTHING_TO_TRAIN`,
            `LOSS_NOT_FINITE`, `CHECKPOINT_FOREIGN` or `MEMORY_TOO_SMALL`.
    """
    with fixed_arithmetic(seed=recipe.seed, threads=recipe.threads) as threads, ExitStack() as held:
        # Read all records first: a bad one is found before the weights are read.
        readers = load_readers(weights, recipe=recipe)
        corpus = build_corpus(
            _source(records),
            _source(evaluation_records),
            recipe=recipe,
            tokenizer=readers.tokenizer,
            images=readers.images,
            image_tokens=readers.image_tokens,
            resident_bytes=examples_room(recipe, memory_limit),
        )

        # Plan, or take over the plan of the run that stopped.
        model = load_skeleton(weights, recipe=recipe)
        padding, missing_padding = _padding(model, readers.tokenizer)
        _check_fit(model, corpus, recipe=recipe, images=readers.images)
        trained = find_trained(model, recipe=recipe)
        fingerprint = run_fingerprint(
            recipe, records=corpus.counts["records"], evaluation_records=corpus.evaluation_count
        )
        blob = checkpoints.load()
        saved = None if blob is None else unpack_state(blob[1], fingerprint=fingerprint)
        plan = plan_run(
            model,
            trained,
            weights=weights,
            recipe=recipe,
            workload=workload_of(corpus),
            has_scratch=scratch is not None,
            memory_limit=memory_limit,
            fixed=None if saved is None else saved.choices,
            accelerator=find_accelerator(device),
        )
        telemetry.planned(plan.to_dict())

        # Build.
        learner = build_learner(
            model,
            trained,
            weights=weights,
            recipe=recipe,
            choices=plan.choices,
            padding=padding,
            scratch=scratch,
            normalize=None if readers.images is None else partial(_normalize, readers.images),
        )
        held.callback(learner.close)
        optimizer = Optimizer(learner.parameters, recipe=recipe)
        budget = plan.choices.tokens

        # Resume, or start with an evaluation of the model as it came.
        if saved is not None:
            state = saved.restore(parameters=learner.parameters, optimizer=optimizer)
            del saved, blob  # as much memory as the optimizer's own
        else:
            if plan.choices.int8:
                _check_narrowing(learner, corpus, budget)
            state = TrainingState()
            state.evaluation_before = _evaluate(learner, corpus, budget, recipe)
            if state.evaluation_before:
                telemetry.evaluation(0, state.evaluation_before)

        with corpus.steps(after=state.step, budget=budget) as steps:
            for step, batches in steps:
                if state.stopped:
                    break

                # Step.
                supervised = sum(batch.supervised for batch in batches)
                outcomes = learner.gradients(batches, scale=1 / supervised, step=step)
                *losses, norm = read([*(outcome.total for outcome in outcomes), optimizer.norm()])
                loss = _mean_loss(losses, batches, supervised)
                rate = learning_rate(recipe, step=step, total=corpus.total_steps)
                optimizer.step(rate=rate, norm=norm)
                state.advance(loss=loss, tokens=sum(batch.tokens for batch in batches))
                telemetry.loss(step, loss)

                # Evaluate.
                if corpus.evaluation_count and _evaluates(step, corpus=corpus, recipe=recipe):
                    metrics = _evaluate(learner, corpus, budget, recipe)
                    state.judge(
                        metrics, learner.parameters, patience=recipe.early_stopping_patience
                    )
                    telemetry.evaluation(step, metrics)
                telemetry.progress(step, corpus.total_steps, state.tokens)

                # Checkpoint.
                if recipe.checkpoint_every_steps and step % recipe.checkpoint_every_steps == 0:
                    if plan.choices.one_checkpoint:
                        checkpoints.drain()
                    checkpoints.save(
                        step,
                        pack_state(
                            state,
                            parameters=learner.parameters,
                            optimizer=optimizer,
                            choices=plan.choices,
                            fingerprint=fingerprint,
                        ),
                    )

        # Export.
        checkpoints.drain()
        state.restore_best(learner.parameters)
        if recipe.method is Method.LORA:
            files = export_adapter(
                model, learner, recipe=recipe, trained=trained, padding=missing_padding
            )
        else:
            files = export_model(
                model, learner, recipe=recipe, weights=weights, padding=missing_padding
            )
        return TrainResult(
            files=files,
            metrics=_metrics(state),
            counts={
                **corpus.counts,
                **_classes(model, corpus),
                "optimizer_steps": state.step,
                "tokens": state.tokens,
                "trainable_parameters": learner.parameters.count,
                "threads": threads,
                "precision_bits": 8 * plan.choices.dtype.itemsize,
            },
        )


def _source(records: Records | RecordSource) -> RecordSource:
    return records if not isinstance(records, Sequence) else ListedRecords(records)


def _normalize(images: ImageProcessor, pixels: torch.Tensor) -> torch.Tensor:
    return torch.from_numpy(images.normalized(pixels.numpy()))


def _classes(model: LoadedModel, corpus: Corpus) -> dict[str, int]:
    """Return how many classes no training record has, and how many heads were of other classes.

    Either is for whoever reads it to judge.
    """
    if not corpus.label_counts:
        return {}
    return {
        "classes_without_records": sum(not count for count in corpus.label_counts),
        "replaced_heads": len(model.replaced),
    }


def _padding(model: LoadedModel, tokenizer: TextTokenizer | None) -> tuple[int, int | None]:
    """Return the pad token id, and again if the model's own configuration lacks it.

    RoBERTa counts positions by it and decoders find a text's last token by it, so the
    configuration's comes first. A decoder without any gets the end token. An id that the model has
    no embedding for, as of a token added later, is none.
    """
    if tokenizer is None:
        return 0, None  # images have none
    stored, size = model.config.pad_token_id, model.module.get_input_embeddings().weight.shape[0]
    if isinstance(stored, int) and 0 <= stored < size:
        return stored, None
    candidates = (tokenizer.token_id("pad_token"), tokenizer.token_id("eos_token"), 0)
    padding = next(value for value in candidates if value is not None and value < size)
    model.config.pad_token_id = padding
    return padding, padding


def _check_fit(
    model: LoadedModel, corpus: Corpus, *, recipe: Recipe, images: ImageProcessor | None
) -> None:
    if images is not None:
        _check_images(model, images)
        return
    size = model.module.get_input_embeddings().weight.shape[0]
    if corpus.largest_id >= size:
        raise FormatError(
            Code.TOKENIZER_MALFORMED,
            f"the tokenizer gives id {corpus.largest_id}, the model knows {size} tokens",
            remedy="seal the model with the tokenizer that belongs to it",
        )
    positions = getattr(model.config, "max_position_embeddings", None) or recipe.max_length
    usable = positions - model.architecture.first_position
    if recipe.max_length > usable:
        raise TrainingError(
            Code.RECIPE_UNSUPPORTED,
            f"max_length {recipe.max_length} is beyond the model's {usable} positions",
            remedy=f"use a max_length of at most {usable}",
        )


def _check_images(model: LoadedModel, images: ImageProcessor) -> None:
    """Refuse images of another size than the model has positions for."""
    embeddings = getattr(model.module.base_model, "embeddings", None)
    size = getattr(embeddings, "image_size", None)  # those that have none take any size
    channels, *sides = images.shape
    if size is not None and list(size) != sides:
        raise FormatError(
            Code.MODEL_MALFORMED,
            f"the image processor makes {sides[0]}x{sides[1]} pixels, the model takes "
            f"{size[0]}x{size[1]}",
            remedy="seal the model with the image processor that belongs to it",
        )
    if getattr(model.config, "num_channels", channels) != channels:
        raise TrainingError(
            Code.MODEL_UNSUPPORTED,
            f"the model takes images of {model.config.num_channels} channels",
            remedy=f"use one for {channels} channels: red, green and blue",
        )
    check_images(model.module, images.shape)


def _check_narrowing(learner: Learner, corpus: Corpus, budget: int) -> None:
    """Refuse to go on where 8 bits change what the model predicts for the first step's records."""
    with corpus.steps(after=0, budget=budget) as steps:
        _, batches = next(iter(steps))
    change = learner.narrowing(batches)
    if not change <= _NARROWING_MAX:  # NaN too
        raise TrainingError(
            Code.NARROWING_TOO_COARSE,
            f"frozen matrices in 8 bits change the loss by {change:.1%}, more than "
            f"{_NARROWING_MAX:.1%}",
            remedy="set frozen_int8 to false; streaming needs less memory still",
        )


def _mean_loss(losses: Sequence[float], batches: Sequence[PackedBatch], supervised: int) -> float:
    for loss, batch in zip(losses, batches, strict=True):
        first, last = min(batch.records), max(batch.records)
        what = f"the training loss of {len(batch.records)} records between {first} and {last}"
        require_finite(loss, what=what)
    return math.fsum(losses) / supervised


def _evaluates(step: int, *, corpus: Corpus, recipe: Recipe) -> bool:
    interval = recipe.evaluation_every_steps or corpus.steps_per_epoch
    return step % interval == 0 or step == corpus.total_steps


def _evaluate(learner: Learner, corpus: Corpus, budget: int, recipe: Recipe) -> dict[str, float]:
    """Return the mean `loss` and, in classification, `accuracy`; empty without examples."""
    if not corpus.evaluation_count:
        return {}
    losses: list[float] = []
    hits, count = 0.0, 0
    with corpus.evaluation_batches(budget) as batches:
        for group in _groups(batches):
            outcomes = learner.losses(group)
            right = [outcome.correct for outcome in outcomes if outcome.correct is not None]
            numbers = read([*(outcome.total for outcome in outcomes), *right])
            losses += numbers[: len(outcomes)]
            hits += sum(numbers[len(outcomes) :])
            count += sum(batch.supervised for batch in group)
    metrics = {"loss": math.fsum(losses) / count}
    require_finite(metrics["loss"], what="the evaluation loss")
    if recipe.task is not Task.CAUSAL_LM:
        metrics["accuracy"] = hits / count
    return metrics


def _groups(batches: Any) -> Any:
    """Yield `batches` in lists of a few: a streamed model opens its blocks once for each list."""
    group: list[PackedBatch] = []
    for batch in batches:
        group.append(batch)
        if len(group) == EVALUATED_TOGETHER:
            yield group
            group = []
    if group:
        yield group


def _metrics(state: TrainingState) -> dict[str, float]:
    metrics = {"train_loss": state.loss_sum / state.step}
    metrics.update({f"{name}_before": float(v) for name, v in state.evaluation_before.items()})
    metrics.update({f"{name}_after": float(v) for name, v in state.evaluation_after.items()})
    return metrics
