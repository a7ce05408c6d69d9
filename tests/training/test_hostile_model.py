"""What a model owner may not do through its tokenizer: draw lots, read the clock."""

from __future__ import annotations

import json

import tiny_models

from sealtune.training.chat import render_chat
from sealtune.training.tokens import load_tokenizer

MESSAGES = [{"role": "user", "content": "q"}, {"role": "assistant", "content": "a"}]


def test_a_template_cannot_read_the_clock() -> None:
    template = "\n{{ strftime_now('%Y-%m-%d %H:%M:%S') }}" + tiny_models.CHAT_TEMPLATE
    text, _ = render_chat(MESSAGES, template=template, special={}, place="record 1")
    assert text.startswith("\n26 Jul 2024<")


def test_random_merges_are_switched_off() -> None:
    files = tiny_models.make_tokenizer_files()
    document = json.loads(files["tokenizer.json"])
    document["model"]["dropout"] = 0.9
    honest = load_tokenizer(files)
    hostile = load_tokenizer(files | {"tokenizer.json": json.dumps(document).encode()})
    text = "the lighthouse keeper wrote down the wind"
    for _ in range(5):
        assert hostile.backend.encode(text).ids == honest.backend.encode(text).ids


def test_a_length_without_limit_is_read() -> None:
    """Hugging Face writes 10**30 for "no limit"."""
    files = tiny_models.make_tokenizer_files()
    config = json.loads(files["tokenizer_config.json"]) | {"model_max_length": int(1e30)}
    assert load_tokenizer(files | {"tokenizer_config.json": json.dumps(config).encode()})
