"""`python -m sealtune.testing.bench.encode JOB`: the records as token ids, before any clock runs.

Both sides train on these very ids: the peer reads them, the engine makes them again from the
records. Also says which records, and so how many tokens, each of the engine's optimizer steps has:
a worker tells that nobody.
"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any, Final

from sealtune.testing.bench.data import read_records
from sealtune.testing.bench.ids import save_rows
from sealtune.testing.bench.job import Job, read_job
from sealtune.testing.bench.weights import FolderWeights
from sealtune.training.corpus import build_corpus
from sealtune.training.encode import encode_records
from sealtune.training.recipe import recipe_from_dict
from sealtune.training.records import ListedRecords
from sealtune.training.tokens import load_tokenizer

_BUDGET: Final = 8_192  # of tokens in a micro-batch; the order of the records is the same for any


def main(job: Job) -> dict[str, Any]:
    """Write the job's encoded records; return each step's records and tokens, and all lengths."""
    recipe = recipe_from_dict(job.recipe)
    tokenizer = load_tokenizer(FolderWeights(Path(job.model)).files)
    records = read_records(Path(job.records))
    encoded = encode_records(records, recipe=recipe, tokenizer=tokenizer, what="record")
    save_rows([(e.ids, e.targets) for e in encoded.examples], Path(job.encoded))
    lengths = [len(example.ids) for example in encoded.examples]
    corpus = build_corpus(ListedRecords(records), recipe=recipe, tokenizer=tokenizer)
    with corpus.steps(after=0, budget=_BUDGET) as steps:
        order = [[index for batch in batches for index in batch.records] for _, batches in steps]
    return {
        "order": order,
        "tokens_per_step": [sum(lengths[index] for index in step) for step in order],
        "supervised_share": sum(e.supervised for e in encoded.examples) / sum(lengths),
        "lengths": lengths,
    }


if __name__ == "__main__":
    this = read_job(sys.argv[1])
    this.finish(main(this))
