"""Records to measure with: all of one length, as long as conversations are, or real abstracts.

Seeded; the same seed gives the same records. Random words are drawn as Zipf has it, the most
frequent most often, because that is how an embedding is used.

`chat`: lengths are lognormal with a median of 250 tokens and a long tail, cut at 2,048; 1 to 4
exchanges; the assistant writes 60 % on average. Of public sets of conversations, the paper on
LMSYS-Chat-1M (arXiv 2309.11998) states means of 2.0 exchanges, 69.5 tokens of a prompt and 214.5 of
an answer, hence about 570 in all and three quarters the assistant's; single exchanges of
instruction sets are shorter. The share is set lower than theirs to be between both, and it matters:
only the assistant's tokens need the LM head.
"""

from __future__ import annotations

import csv
import json
from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import Any, Final

import numpy as np

from sealtune.errors import Code, ConfigError, StorageError
from sealtune.testing.bench.shapes import REAL_ENCODER
from sealtune.testing.bench.tokenizer import TURN_TOKENS

CHAT_MEDIAN: Final = 250.0
CHAT_SIGMA: Final = 1.0
CHAT_LENGTH_MAX: Final = 2_048
CHAT_ASSISTANT: Final = (0.45, 0.75)  # the share of a conversation, drawn evenly in between
_CHAT_EXCHANGES: Final = (0.5, 0.22, 0.15, 0.13)  # how often 1, 2, 3, 4: 1.9 on average
_LENGTH_MIN: Final = 8
_TOKENS_PER_STEP: Final = 4_096
_ABSTRACTS: Final = "abstracts.csv"
_DEFAULT_FOLDER: Final = Path("..") / "shared" / "data" / "medical-abstracts"
Record = dict[str, Any]


class DataKind(StrEnum):
    """Where records come from."""

    FIXED = "fixed"
    CHAT = "chat"
    MEDICAL = "medical"


@dataclass(frozen=True, slots=True, kw_only=True)
class DataSpec:
    """What is trained on, and the numbers that go with it unless others are asked for."""

    kind: DataKind
    text: str
    max_length: int
    records_per_step: int
    steps: int

    @property
    def varies(self) -> bool:
        """Whether records differ in length, so that grouping them can pay."""
        return self.kind is not DataKind.FIXED


def parse_data(text: str) -> DataSpec:
    """Return what `fixed:N`, `chat` or `medical` names.

    Raises:
        ConfigError: it names none of them.
    """
    if text == DataKind.CHAT:
        return DataSpec(
            kind=DataKind.CHAT, text=text, max_length=CHAT_LENGTH_MAX, records_per_step=16, steps=6
        )
    if text == DataKind.MEDICAL:
        return DataSpec(
            kind=DataKind.MEDICAL, text=text, max_length=128, records_per_step=16, steps=20
        )
    name, _, number = text.partition(":")
    limit = 32 * CHAT_LENGTH_MAX
    if name == DataKind.FIXED and number.isdecimal() and _LENGTH_MIN <= int(number) <= limit:
        length = int(number)
        return DataSpec(
            kind=DataKind.FIXED,
            text=text,
            max_length=length,
            records_per_step=max(1, _TOKENS_PER_STEP // length),
            steps=4,
        )
    message = f"no data is called {text[:80]!r}"
    remedy = f"use fixed:N (N from {_LENGTH_MIN} to {limit} tokens), chat or medical"
    raise ConfigError(Code.CONFIG_INVALID, message, remedy=remedy)


def check_fit(data: DataSpec, *, model: str) -> None:
    """Refuse data that a model cannot be trained on.

    Raises:
        ConfigError: conversations for an encoder, or English for a model that has random words.
    """
    if data.kind is DataKind.CHAT and model == REAL_ENCODER:
        message = f"{REAL_ENCODER} is an encoder and cannot learn conversations"
        raise ConfigError(Code.CONFIG_INVALID, message, remedy="use --data medical or fixed:N")
    if data.kind is DataKind.MEDICAL and model != REAL_ENCODER:
        message = f"the words of {model} are random: it cannot read English"
        raise ConfigError(
            Code.CONFIG_INVALID, message, remedy=f"use --model {REAL_ENCODER}, or another --data"
        )


def fixed_records(words: Sequence[str], *, count: int, length: int, seed: int) -> list[Record]:
    """Return texts of `length` tokens, the end token included."""
    draw = np.random.default_rng(seed)
    return [{"text": _text(words, length - 1, draw)} for _ in range(count)]


def fixed_labelled_records(
    words: Sequence[str], *, labels: int, count: int, length: int, seed: int
) -> list[Record]:
    """Return texts of `length` tokens, those at both ends included, with random labels."""
    draw = np.random.default_rng(seed)
    return [
        {"text": _text(words, length - 2, draw), "label": int(draw.integers(labels))}
        for _ in range(count)
    ]


def chat_records(words: Sequence[str], *, count: int, seed: int) -> list[Record]:
    """Return conversations whose lengths spread as this module's text says."""
    draw = np.random.default_rng(seed)
    return [{"messages": _conversation(words, draw)} for _ in range(count)]


def medical_records(folder: Path | None) -> tuple[list[Record], tuple[str, ...]]:
    """Return all labelled abstracts of the Medical-Abstracts-TC-Corpus, and the classes' names.

    Raises:
        StorageError: they are not in `folder` (None: beside this repository).
    """
    place = folder or _DEFAULT_FOLDER
    if not (place / _ABSTRACTS).is_file():
        remedy = "name the folder of the Medical-Abstracts-TC-Corpus with --data-dir"
        raise StorageError(Code.FILE_MISSING, f"{place} has no {_ABSTRACTS}", remedy=remedy)
    with (place / "labels.csv").open(newline="", encoding="utf-8") as file:
        labels = tuple(row["condition_name"] for row in csv.DictReader(file))
    with (place / _ABSTRACTS).open(newline="", encoding="utf-8") as file:
        records = [
            {"text": row["medical_abstract"], "label": int(row["condition_label"]) - 1}
            for row in csv.DictReader(file)
        ]
    return records, labels


def encoder_words(tokenizer: bytes) -> list[str]:
    """Return the words of a WordPiece tokenizer.json that are one token each, wherever they are."""
    words: dict[str, int] = json.loads(tokenizer)["model"]["vocab"]
    return [word for word in words if word.isascii() and word.isalpha() and word.islower()]


def write_records(records: Sequence[Record], path: Path) -> Path:
    """Write `records` as JSON Lines to `path` and return it."""
    path.write_text("".join(json.dumps(record) + "\n" for record in records), encoding="utf-8")
    return path


def read_records(path: Path) -> list[Record]:
    """Return the records that `write_records` wrote."""
    return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]


def _conversation(words: Sequence[str], draw: np.random.Generator) -> list[dict[str, str]]:
    exchanges = 1 + int(draw.choice(len(_CHAT_EXCHANGES), p=_CHAT_EXCHANGES))
    around = 2 * TURN_TOKENS * exchanges
    length = round(CHAT_MEDIAN * float(np.exp(CHAT_SIGMA * draw.standard_normal())))
    # At least a word for each message beside what the template adds.
    content = min(max(length, around + 4 * exchanges), CHAT_LENGTH_MAX) - around
    assistant = round(content * float(draw.uniform(*CHAT_ASSISTANT)))
    messages = []
    for asked, answered in zip(
        _parts(content - assistant, exchanges, draw),
        _parts(assistant, exchanges, draw),
        strict=True,
    ):
        messages.append({"role": "user", "content": _text(words, asked, draw)})
        messages.append({"role": "assistant", "content": _text(words, answered, draw)})
    return messages


def _parts(total: int, count: int, draw: np.random.Generator) -> list[int]:
    """Return `count` random numbers of at least 1 with the sum `total`, if that is enough."""
    shares = draw.dirichlet([2.0] * count)
    parts = [1 + int(share * max(0, total - count)) for share in shares]
    parts[-1] += max(0, total - sum(parts))
    return parts


def _text(words: Sequence[str], count: int, draw: np.random.Generator) -> str:
    # Zipf's law with exponent 1: the logarithm of a word's rank is spread evenly.
    ranks = np.exp(draw.uniform(0.0, np.log(len(words)), size=count)).astype(np.int64)
    return " ".join(words[rank - 1] for rank in ranks)
