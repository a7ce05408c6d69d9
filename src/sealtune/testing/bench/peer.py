"""`python -m sealtune.testing.bench.peer JOB`: Hugging Face Trainer with PEFT, in plaintext.

The same records as token ids, the same records in an optimizer step, the same number of steps, the
same adapters, optimizer and schedule; padding to the longest of each micro-batch. It does not
evaluate, save or log. The engine's loss for a conversation is on the assistant's tokens; here the
other labels are -100.
"""

from __future__ import annotations

import resource
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import peft
import torch
import transformers

from sealtune.testing.bench.ids import load_rows
from sealtune.testing.bench.job import LORA_ALPHA, LORA_RANK, Job, read_job
from sealtune.testing.bench.settings import Arithmetic, PeerSetting
from sealtune.training.encode import IGNORED

_HALF_WEIGHTS = (Arithmetic.BF16, Arithmetic.BF16_AUTOCAST, Arithmetic.BF16_PURE)
_AUTOCAST = (Arithmetic.AUTOCAST, Arithmetic.BF16_AUTOCAST)


class StepTimes(transformers.TrainerCallback):  # type: ignore[misc]  # unseen by mypy here
    """Keeps the time at which each optimizer step ended."""

    def __init__(self, after_step: Callable[[], None]) -> None:
        self._after_step = after_step
        self.times: list[float] = []

    def on_step_end(self, *_: Any, **__: Any) -> None:
        """Note the time."""
        self.times.append(time.monotonic())
        self._after_step()


class LossKeeper(transformers.Trainer):  # type: ignore[misc]  # unseen by mypy here
    """The stock Trainer; keeps the loss of each micro-batch, without reading it in the step."""

    def __init__(self, *args: Any, **settings: Any) -> None:
        super().__init__(*args, **settings)
        self.kept: list[torch.Tensor] = []

    def training_step(self, *args: Any, **settings: Any) -> torch.Tensor:
        """Return what the stock Trainer returns."""
        loss: torch.Tensor = super().training_step(*args, **settings)
        self.kept.append(loss.detach())
        return loss


class Padder:
    """Pads a micro-batch to its longest record, and counts what it was given."""

    def __init__(self, padding: int) -> None:
        self._padding = padding
        self.tokens: list[int] = []
        self.positions: list[int] = []

    def __call__(self, rows: Sequence[Mapping[str, Any]]) -> dict[str, torch.Tensor]:
        """Return `rows` as one batch."""
        longest = max(len(row["input_ids"]) for row in rows)
        self.tokens.append(sum(len(row["input_ids"]) for row in rows))
        self.positions.append(longest * len(rows))
        ids = torch.full((len(rows), longest), self._padding)
        mask = torch.zeros((len(rows), longest), dtype=torch.long)
        labels = torch.full((len(rows), longest), IGNORED)
        for place, row in enumerate(rows):
            length = len(row["input_ids"])
            ids[place, :length] = row["input_ids"]
            mask[place, :length] = 1
            labels[place, : len(row["labels"])] = row["labels"]
        single = all(len(row["labels"]) == 1 for row in rows)
        return {
            "input_ids": ids,
            "attention_mask": mask,
            "labels": labels[:, 0] if single else labels,
        }


def main(job: Job, after_step: Callable[[], None] = lambda: None) -> dict[str, Any]:
    """Train as the job says, calling `after_step` after each optimizer step; return times, tokens
    and losses.
    """
    setting = PeerSetting.parse(job.peer)
    if job.recipe["threads"]:
        torch.set_num_threads(job.recipe["threads"])
    if setting.arithmetic is Arithmetic.FP32_MEDIUM:
        torch.set_float32_matmul_precision("medium")
    transformers.set_seed(job.recipe["seed"])
    model = _adapted(_load(job, setting), job, setting)
    rows = [
        {"input_ids": torch.from_numpy(ids), "labels": torch.from_numpy(targets)}
        for ids, targets in load_rows(Path(job.encoded))
    ]
    rows = rows[: job.records_per_step * job.steps]
    times, padder = StepTimes(after_step), Padder(_padding(model.config))
    trainer = LossKeeper(
        model=model,
        args=_arguments(job, setting),
        train_dataset=rows,
        data_collator=padder,
        callbacks=[times],
    )
    trainer.train()
    each = job.records_per_step // setting.micro
    return {
        "stamps": times.times,
        "tokens_per_step": by_optimizer_step(padder.tokens, each),
        "positions_per_step": by_optimizer_step(padder.positions, each),
        "losses": [float(loss) for loss in trainer.kept],
        "trainable": sum(p.numel() for p in model.parameters() if p.requires_grad),
        "peak": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024,
    }


def by_optimizer_step(values: Sequence[int], each: int) -> list[int]:
    """Return the sums of `each` micro-batches, which make up an optimizer step."""
    return [sum(values[start : start + each]) for start in range(0, len(values), each)]


def _load(job: Job, setting: PeerSetting) -> Any:
    kind = torch.bfloat16 if setting.arithmetic in _HALF_WEIGHTS else torch.float32
    labels = job.recipe["labels"]
    if not labels:
        return transformers.AutoModelForCausalLM.from_pretrained(job.model, dtype=kind)
    return transformers.AutoModelForSequenceClassification.from_pretrained(
        job.model, dtype=kind, num_labels=len(labels)
    )


def _adapted(model: Any, job: Job, setting: PeerSetting) -> Any:
    model.config.use_cache = False
    keep_type = setting.arithmetic is Arithmetic.BF16_PURE
    if job.adapter:
        return peft.PeftModel.from_pretrained(model, job.adapter, is_trainable=True)
    adapters = peft.LoraConfig(
        task_type="SEQ_CLS" if job.recipe["labels"] else "CAUSAL_LM",
        r=LORA_RANK,
        lora_alpha=LORA_ALPHA,
        lora_dropout=0.0,
        target_modules="all-linear",
    )
    return peft.get_peft_model(model, adapters, autocast_adapter_dtype=not keep_type)


def _arguments(job: Job, setting: PeerSetting) -> transformers.TrainingArguments:
    order = "group_by_length" if setting.grouped else "random"
    return transformers.TrainingArguments(
        output_dir=job.output,
        use_cpu=True,
        bf16=setting.arithmetic in _AUTOCAST,
        seed=job.recipe["seed"],
        max_steps=job.steps,
        learning_rate=job.recipe["learning_rate"],
        lr_scheduler_type=job.recipe["schedule"],
        weight_decay=job.recipe["weight_decay"],
        max_grad_norm=job.recipe["max_grad_norm"],
        per_device_train_batch_size=setting.micro,
        gradient_accumulation_steps=job.records_per_step // setting.micro,
        # An exported adapter comes with the engine's own order, in which the records stand.
        train_sampling_strategy="sequential" if job.adapter else order,
        gradient_checkpointing=False,
        dataloader_num_workers=0,
        dataloader_pin_memory=False,
        remove_unused_columns=False,
        logging_strategy="no",
        save_strategy="no",
        eval_strategy="no",
        report_to=[],
        disable_tqdm=True,
    )


def _padding(config: Any) -> int:
    for name in ("pad_token_id", "eos_token_id"):
        value = getattr(config, name, None)
        if isinstance(value, int):
            return value
    return 0


if __name__ == "__main__":
    this = read_job(sys.argv[1])
    this.finish(main(this))
