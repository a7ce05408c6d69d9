"""A tokenizer for random weights: one word for each id of the vocabulary, none left out.

The special tokens stand at the ids of the model's real tokenizer. A text of n words is n tokens,
which is what makes lengths exact; what the words mean is as random as the weights.
"""

from __future__ import annotations

import json
from typing import Any, Final

from sealtune.testing.bench.shapes import Shape

ROLES: Final = ("system", "user", "assistant")
UNKNOWN: Final = "<|unknown|>"
TEXT_END, TURN, TURN_END = "<|text_end|>", "<|turn|>", "<|turn_end|>"
# Each turn is opener, role, words, closer; the closer counts as the assistant's, as in ChatML.
TURN_TOKENS: Final = 3
CHAT_TEMPLATE: Final = (
    "{% for m in messages %}"
    f"{TURN} {{{{ m['role'] }}}} {{{{ m['content'] }}}} {TURN_END} "
    "{% endfor %}"
    f"{{% if add_generation_prompt %}}{TURN} assistant {{% endif %}}"
)


def vocabulary(shape: Shape) -> list[str]:
    """Return the token of each id."""
    words = [f"w{number}" for number in range(shape.config["vocab_size"])]
    marks = shape.marks
    words[marks.text_end], words[marks.turn], words[marks.turn_end] = TEXT_END, TURN, TURN_END
    free = [n for n in range(8) if n not in (marks.text_end, marks.turn, marks.turn_end)]
    for number, word in zip(free, (*ROLES, UNKNOWN), strict=False):
        words[number] = word
    return words


def plain_words(shape: Shape) -> list[str]:
    """Return the words that records are made of, most of the vocabulary."""
    special = {*ROLES, UNKNOWN, TEXT_END, TURN, TURN_END}
    return [word for word in vocabulary(shape) if word not in special]


def tokenizer_files(shape: Shape) -> dict[str, bytes]:
    """Return tokenizer.json and its configuration by name."""
    words = vocabulary(shape)
    document: dict[str, Any] = {
        "version": "1.0",
        "truncation": None,
        "padding": None,
        "added_tokens": [_added(words, text) for text in (TEXT_END, TURN, TURN_END)],
        "normalizer": None,
        "pre_tokenizer": {"type": "WhitespaceSplit"},
        "post_processor": None,
        "decoder": None,
        "model": {
            "type": "WordLevel",
            "vocab": {word: number for number, word in enumerate(words)},
            "unk_token": UNKNOWN,
        },
    }
    settings = {
        "tokenizer_class": "PreTrainedTokenizerFast",
        "eos_token": TEXT_END,
        "pad_token": TURN_END,  # as the real ones: a decoder's padding is one of its end tokens
        "unk_token": UNKNOWN,
        "chat_template": CHAT_TEMPLATE,
    }
    return {
        "tokenizer.json": json.dumps(document).encode(),
        "tokenizer_config.json": json.dumps(settings, indent=1).encode(),
    }


def _added(words: list[str], text: str) -> dict[str, Any]:
    return {
        "id": words.index(text),
        "content": text,
        "single_word": False,
        "lstrip": False,
        "rstrip": False,
        "normalized": False,
        "special": True,
    }
