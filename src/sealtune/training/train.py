"""The training loop: records and a pre-trained model in, the files of a result folder out.

Plain PyTorch in one process, threads only. It reads and writes nothing but what it is given, and
keeps no plaintext anywhere but in memory.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from sealtune.errors import Code, FormatError, TrainingError
from sealtune.training.arithmetic import fixed_arithmetic
from sealtune.training.batches import BatchPlan, collate, split_indices
from sealtune.training.encode import Encoded, Example, check_vocabulary, encode_records
from sealtune.training.export import export_adapter, export_model
from sealtune.training.lora import add_adapters
from sealtune.training.loss import evaluate
from sealtune.training.model import LoadedModel, load_model
from sealtune.training.optimizer import (
    build_optimizer,
    learning_rate,
    optimizer_step,
    require_finite,
    trainable_parameters,
)
from sealtune.training.recipe import Method, Recipe
from sealtune.training.sources import CheckpointSink, Telemetry, TrainResult, WeightSource
from sealtune.training.state import TrainingState, pack_state, run_fingerprint, unpack_state
from sealtune.training.tokens import TextTokenizer, load_tokenizer

Records = Sequence[Mapping[str, Any]]


def train(
    recipe: Recipe,
    *,
    weights: WeightSource,
    records: Records,
    checkpoints: CheckpointSink,
    telemetry: Telemetry,
    evaluation_records: Records = (),
) -> TrainResult:
    """Fine-tune the model in `weights` on `records` as `recipe` says and return the result.

    `evaluation_records` are evaluated on beside the recipe's fraction of `records`. Where
    `checkpoints` holds a state of the same run, the run goes on from there and ends with the same
    bytes as if it had never stopped.

    Raises:
        FormatError: a record, tensor, configuration or tokenizer is not what it should be; the
            message names its place and quotes no content.
        TrainingError: `MODEL_UNSUPPORTED`, `RECIPE_UNSUPPORTED`, `NOTHING_TO_TRAIN`,
            `LOSS_NOT_FINITE` or `CHECKPOINT_FOREIGN`.
    """
    with fixed_arithmetic(seed=recipe.seed, threads=recipe.threads) as threads:
        # Encode first: a bad record is found before the weights are read.
        tokenizer = load_tokenizer(weights.files)
        training, evaluation = _encode(recipe, tokenizer, records, evaluation_records)

        # Build.
        model = load_model(weights, recipe=recipe)
        padding, missing_padding = _padding(model, tokenizer)
        _check_fit(model, training, evaluation, recipe=recipe)
        targets = add_adapters(model, recipe=recipe) if recipe.method is Method.LORA else ()
        module = model.module.train()
        parameters = trainable_parameters(module)
        optimizer = build_optimizer(parameters, recipe=recipe)
        plan = BatchPlan(
            lengths=tuple(len(example.ids) for example in training.examples),
            batch_size=recipe.batch_size,
            accumulation=recipe.gradient_accumulation,
            epochs=recipe.epochs,
            seed=recipe.seed,
        )

        # Resume, or start with an evaluation of the model as it came.
        fingerprint = run_fingerprint(
            recipe, records=len(training.examples), evaluation_records=len(evaluation.examples)
        )
        saved = checkpoints.load()
        if saved is None:
            state = TrainingState()
            state.evaluation_before = _evaluate(module, evaluation.examples, recipe, padding)
            if evaluation.examples:
                telemetry.evaluation(0, state.evaluation_before)
        else:
            state = unpack_state(
                saved[1], parameters=parameters, optimizer=optimizer, fingerprint=fingerprint
            )

        for step, micro_batches in plan.steps(after=state.step):
            if state.stopped:
                break

            # Batch and step.
            batches = [
                collate([training.examples[index] for index in indices], padding=padding)
                for indices in micro_batches
            ]
            rate = learning_rate(recipe, step=step, total=plan.total_steps)
            loss = optimizer_step(module, batches, recipe=recipe, optimizer=optimizer, rate=rate)
            state.advance(loss=loss, tokens=sum(batch.tokens for batch in batches))
            telemetry.loss(step, loss)

            # Evaluate.
            if evaluation.examples and _evaluates(step, plan=plan, recipe=recipe):
                metrics = _evaluate(module, evaluation.examples, recipe, padding)
                state.judge(metrics, parameters, patience=recipe.early_stopping_patience)
                telemetry.evaluation(step, metrics)
            telemetry.progress(step, plan.total_steps, state.tokens)

            # Checkpoint.
            if recipe.checkpoint_every_steps and step % recipe.checkpoint_every_steps == 0:
                blob = pack_state(
                    state, parameters=parameters, optimizer=optimizer, fingerprint=fingerprint
                )
                checkpoints.save(step, blob)

        # Export.
        checkpoints.drain()
        state.restore_best(parameters)
        if recipe.method is Method.LORA:
            files = export_adapter(model, recipe=recipe, targets=targets, padding=missing_padding)
        else:
            files = export_model(model, recipe=recipe, weights=weights, padding=missing_padding)
        return TrainResult(
            files=files,
            metrics=_metrics(state),
            counts={
                "records": len(training.examples),
                "evaluation_records": len(evaluation.examples),
                "optimizer_steps": state.step,
                "tokens": state.tokens,
                "truncated_records": training.truncated + evaluation.truncated,
                "trainable_parameters": sum(p.numel() for p in parameters.values()),
                "threads": threads,
            },
        )


def _encode(
    recipe: Recipe, tokenizer: TextTokenizer, records: Records, evaluation_records: Records
) -> tuple[Encoded, Encoded]:
    """Return what to train on and what to evaluate on: the set apart, then the given records."""
    if not len(records):
        raise FormatError(Code.RECORDS_EMPTY, "there is no record to train on")
    encoded = encode_records(records, recipe=recipe, tokenizer=tokenizer, what="record")
    given = encode_records(
        evaluation_records, recipe=recipe, tokenizer=tokenizer, what="evaluation record"
    )
    kept, apart = split_indices(len(records), fraction=recipe.evaluation_fraction, seed=recipe.seed)
    training = tuple(encoded.examples[index] for index in kept)
    evaluation = tuple(encoded.examples[index] for index in apart) + given.examples
    if recipe.early_stopping_patience and not evaluation:
        raise TrainingError(
            Code.RECIPE_UNSUPPORTED,
            "early_stopping_patience needs records to evaluate on",
            remedy="raise evaluation_fraction or give evaluation records",
        )
    return (
        Encoded(examples=training, truncated=encoded.truncated),
        Encoded(examples=evaluation, truncated=given.truncated),
    )


def _padding(model: LoadedModel, tokenizer: TextTokenizer) -> tuple[int, int | None]:
    """Return the pad token id, and again if the model's own configuration lacks it.

    RoBERTa counts positions by it and decoders find a text's last token by it, so the
    configuration's comes first. A decoder without any gets the end token.
    """
    stored = model.config.pad_token_id
    if isinstance(stored, int) and stored >= 0:
        return stored, None
    candidates = (tokenizer.token_id("pad_token"), tokenizer.token_id("eos_token"), 0)
    padding = next(value for value in candidates if value is not None)
    model.config.pad_token_id = padding
    return padding, padding


def _check_fit(
    model: LoadedModel, training: Encoded, evaluation: Encoded, *, recipe: Recipe
) -> None:
    size = model.module.get_input_embeddings().weight.shape[0]
    check_vocabulary(training, size=size)
    check_vocabulary(evaluation, size=size)
    positions = getattr(model.config, "max_position_embeddings", None) or recipe.max_length
    usable = positions - model.architecture.first_position
    if recipe.max_length > usable:
        raise TrainingError(
            Code.RECIPE_UNSUPPORTED,
            f"max_length {recipe.max_length} is beyond the model's {usable} positions",
            remedy=f"use a max_length of at most {usable}",
        )


def _evaluates(step: int, *, plan: BatchPlan, recipe: Recipe) -> bool:
    interval = recipe.evaluation_every_steps or plan.steps_per_epoch
    return step % interval == 0 or step == plan.total_steps


def _evaluate(
    module: Any, examples: Sequence[Example], recipe: Recipe, padding: int
) -> dict[str, float]:
    metrics: dict[str, float] = evaluate(module, examples, recipe=recipe, padding=padding)
    if metrics:
        require_finite(metrics["loss"], what="the evaluation loss")
    return metrics


def _metrics(state: TrainingState) -> dict[str, float]:
    metrics = {"train_loss": state.loss_sum / state.step}
    metrics.update({f"{name}_before": float(v) for name, v in state.evaluation_before.items()})
    metrics.update({f"{name}_after": float(v) for name, v in state.evaluation_after.items()})
    return metrics
