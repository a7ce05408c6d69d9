"""`python -m sealtune.testing.bench.encode JOB`: the records as token ids, before any clock runs.

Both sides train on these very ids: the peer reads them, the engine makes them again from the
records. Also says how many tokens each of the engine's optimizer steps has, which no telemetry of
an enclave tells.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from sealtune.testing.bench.data import read_records
from sealtune.testing.bench.ids import save_rows
from sealtune.testing.bench.job import Job, read_job
from sealtune.testing.bench.weights import FolderWeights
from sealtune.training.batches import BatchPlan
from sealtune.training.encode import encode_records
from sealtune.training.recipe import Recipe, recipe_from_dict
from sealtune.training.tokens import load_tokenizer


def main(job: Job) -> dict[str, Any]:
    """Write the job's encoded records; return the tokens of each step and who is supervised."""
    recipe = recipe_from_dict(job.recipe)
    tokenizer = load_tokenizer(FolderWeights(Path(job.model)).files)
    records = read_records(Path(job.records))
    encoded = encode_records(records, recipe=recipe, tokenizer=tokenizer, what="record")
    lengths = [len(example.ids) for example in encoded.examples]
    order = step_order(lengths, recipe)
    save_rows([(e.ids, e.targets) for e in encoded.examples], Path(job.encoded))
    return {
        "tokens_per_step": [sum(lengths[index] for index in step) for step in order],
        "order": order,
        "supervised_share": sum(e.supervised for e in encoded.examples) / sum(lengths),
        "truncated": encoded.truncated,
        "lengths": lengths,
    }


def step_order(lengths: Sequence[int], recipe: Recipe) -> list[list[int]]:
    """Return the records of each optimizer step, in the order in which the engine takes them."""
    plan = BatchPlan(
        lengths=tuple(lengths),
        batch_size=recipe.batch_size,
        accumulation=recipe.gradient_accumulation,
        epochs=recipe.epochs,
        seed=recipe.seed,
    )
    return [[i for batch in batches for i in batch] for _, batches in plan.steps(after=0)]


if __name__ == "__main__":
    this = read_job(sys.argv[1])
    this.finish(main(this))
