"""What the planner predicts of a run's memory, beside what the run takes.

    python benchmarks/memory.py [--large] [--only NAME] [--json]

Each run is a process of its own in a worker's environment, with random weights that are made when
they are read. The peak is the resident memory that the kernel counted, pages of libraries among it.
The constants of `sealtune.training.memory` and `stock_memory` come from here. It ends with status 1
if a prediction for lean blocks is more than 15 % off, or one for a stock module is that much too
low; for those it may be higher.
"""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from sealtune.core.memory import size_text
from sealtune.testing.apart import Work, train_apart

ALLOWED = 0.15
CLASSIFIER = {"task": "text-classification", "labels": ["a", "b"], "streaming": "auto"}


def llama(width: int, inner: int, layers: int, words: int, **others: Any) -> dict[str, Any]:
    return {
        "model_type": "llama",
        "hidden_size": width,
        "intermediate_size": inner,
        "num_hidden_layers": layers,
        "num_attention_heads": width // 64,
        "num_key_value_heads": max(1, width // 192),
        "vocab_size": words,
        "max_position_embeddings": 4096,
        "tie_word_embeddings": True,
        **others,
    }


SMALL = llama(512, 1376, 8, 8192, num_key_value_heads=4)
UNTIED = llama(768, 2048, 8, 16384, tie_word_embeddings=False)
SMOLLM = llama(576, 1536, 30, 49152)
ELECTRA = {
    "model_type": "electra",
    "hidden_size": 384,
    "embedding_size": 128,
    "intermediate_size": 1536,
    "num_hidden_layers": 6,
    "num_attention_heads": 6,
    "vocab_size": 30522,
    "max_position_embeddings": 512,
}
BERT = {**ELECTRA, "model_type": "bert"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Case:
    """A run; `large` ones take minutes."""

    name: str
    work: Work
    large: bool = False


def case(
    name: str, config: dict[str, Any], lengths: list[int], *, large: bool = False, **changes: Any
) -> Case:
    forced = changes.pop("forced", {})
    recipe = {
        "task": "causal-lm",
        "method": "lora",
        "epochs": 1,
        "batch_size": 4,
        "max_length": max(lengths),
        "evaluation_fraction": 0.0,
        "precision": "bf16",
        **changes,
    }
    choices = {"precision": recipe["precision"], "tokens": 2048, **forced}
    work = Work(config=config, recipe=recipe, lengths=lengths, forced=choices if forced else None)
    return Case(name=name, work=work, large=large)


STREAMED = {"streamed": True, "tables_streamed": True, "keep_probabilities": False}
SPILLED = {**STREAMED, "spilled": 99}
ONE = llama(2048, 8192, 16, 128_256, num_key_value_heads=8)  # the shape of Llama 3.2 1B
AT_ONCE = {"batch_size": 8, "lora_rank": 16, "checkpoint_every_steps": 1}
CASES = (
    case("kept", SMALL, [512] * 8),
    case("without probabilities", SMALL, [512] * 8, forced={"keep_probabilities": False}),
    case("recomputed", SMALL, [512] * 8, forced={"recompute": True}),
    case("one long record", SMALL, [2048] * 2, batch_size=1),
    case("lengths that differ", SMALL, [1500, 300, 200, 100, 50, 60, 70, 80] * 3, batch_size=8),
    case("full", SMALL, [256] * 8, method="full", checkpoint_every_steps=1),
    case("32 bits", SMALL, [256] * 8, precision="fp32"),
    case("dropout", SMALL, [512] * 8, lora_dropout=0.1),
    case("streamed", UNTIED, [512] * 8, batch_size=8, forced=STREAMED),
    case("streamed, spilled", UNTIED, [512] * 8, batch_size=8, forced={**STREAMED, "spilled": 99}),
    case(
        "1b streamed, spilled",
        ONE,
        [512] * 8,
        large=True,
        **AT_ONCE,
        forced={**SPILLED, "tokens": 1024},
    ),
    case(
        "1b streamed, spilled, 512",
        ONE,
        [512] * 8,
        large=True,
        **AT_ONCE,
        forced={**SPILLED, "tokens": 512},
    ),
    case("evaluation", SMALL, [256] * 64, evaluation_fraction=0.9, forced=STREAMED),
    case("smollm2-135m", SMOLLM, [256] * 8),
    case("smollm2-135m, 2,048 tokens", SMOLLM, [512] * 8, large=True),
    case("electra", ELECTRA, [256] * 16, batch_size=8, **CLASSIFIER),
    case("bert", BERT, [256] * 16, batch_size=8, **CLASSIFIER),
)


def main() -> int:
    parser = argparse.ArgumentParser()
    parser.add_argument("--large", action="store_true", help="the large ones too")
    parser.add_argument("--only", default="", help="those whose names begin so")
    parser.add_argument("--json", action="store_true")
    arguments = parser.parse_args()
    chosen = [c for c in CASES if c.name.startswith(arguments.only)]
    rows = list(measured([c for c in chosen if arguments.large or not c.large]))
    if arguments.json:
        print(json.dumps(rows))
    else:
        print(f"{'':28}{'predicted':>12}{'measured':>12}{'ratio':>8}")
        for row in rows:
            sizes = f"{size_text(row['predicted']):>12}{size_text(row['measured']):>12}"
            print(f"{row['name']:28}{sizes}{row['ratio']:8.2f}")
    return 0 if all(row["within"] for row in rows) else 1


def measured(cases: list[Case]) -> Iterator[dict[str, Any]]:
    for each in cases:
        with tempfile.TemporaryDirectory() as folder:
            work = replace(each.work, scratch=folder if "spilled" in each.name else "")
            said = train_apart(work, Path(folder)).said
        ratio = said["predicted_peak_bytes"] / said["peak"]
        highest = 1 + ALLOWED if said["choices"]["lean"] else float("inf")
        yield {
            "name": each.name,
            "predicted": said["predicted_peak_bytes"],
            "measured": said["peak"],
            "ratio": ratio,
            "within": 1 - ALLOWED <= ratio <= highest,
        }


if __name__ == "__main__":
    sys.exit(main())
