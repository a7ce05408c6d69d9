"""Loss on the assistant's tokens only, whatever the chat template looks like."""

from __future__ import annotations

from typing import Any

import pytest
from tiny_models import CHAT_TEMPLATE, make_tokenizer_files

from sealtune.errors import Code, FormatError
from sealtune.training.encode import IGNORED, encode_records
from sealtune.training.recipe import Recipe
from sealtune.training.tokens import load_tokenizer

RECIPE = Recipe(task="causal-lm", method="lora", max_length=200)
CHAT = [
    {"role": "user", "content": "How is the sea?"},
    {"role": "assistant", "content": "calm, 🌊 calm"},
    {"role": "user", "content": "calm?"},
    {"role": "assistant", "content": "yes"},
]
MARKED = (
    "{% for m in messages %}<|{{ m['role'] }}|>{% if m['role'] == 'assistant' %}"
    "{%- generation -%}{{ m['content'] }}{% endgeneration %}{% else %}{{ m['content'] }}"
    "{% endif %}<|end|>{% endfor %}"
)
# Drops the last assistant message's end mark: earlier ones look different once more follow.
INCONSISTENT = (
    "{% for m in messages %}<|{{ m['role'] }}|>{{ m['content'] }}"
    "{% if loop.last and m['role'] == 'assistant' %}!{% else %}<|end|>{% endif %}{% endfor %}"
    "{% if add_generation_prompt %}<|assistant|>{% endif %}"
)


def learned(template: str, messages: list[dict[str, Any]]) -> str:
    """What the loss is computed on, as text, `|` between what is not adjacent."""
    files = {**make_tokenizer_files(), "chat_template.jinja": template.encode()}
    tokenizer = load_tokenizer(files)
    encoded = encode_records(
        [{"messages": messages}], recipe=RECIPE, tokenizer=tokenizer, what="record"
    )
    example = encoded.examples[0]
    whole = tokenizer.backend.decode(example.ids.tolist(), skip_special_tokens=False)
    assert whole.startswith("<|user|>How is the sea?<|end|>")
    pieces: list[list[int]] = [[]]
    for token, target in zip(example.ids.tolist(), example.targets.tolist(), strict=True):
        if target == IGNORED:
            pieces.append([])
        else:
            assert target == token
            pieces[-1].append(token)
    return "|".join(
        tokenizer.backend.decode(piece, skip_special_tokens=False) for piece in pieces if piece
    )


def test_template_without_marks() -> None:
    assert learned(CHAT_TEMPLATE, CHAT) == "calm, 🌊 calm<|end|>|yes<|end|>"


def test_template_with_marks_is_believed() -> None:
    assert learned(MARKED, CHAT) == "calm, 🌊 calm|yes"


def test_template_without_generation_prompt_includes_the_role() -> None:
    template = CHAT_TEMPLATE.partition("{% if add")[0]
    assert learned(template, CHAT) == ("<|assistant|>calm, 🌊 calm<|end|>|<|assistant|>yes<|end|>")


def test_inconsistent_template_is_refused_for_several_turns_only() -> None:
    assert learned(INCONSISTENT, CHAT[:2]) == "calm, 🌊 calm!"
    with pytest.raises(FormatError) as caught:
        learned(INCONSISTENT, CHAT)
    assert caught.value.code is Code.TOKENIZER_MALFORMED
    assert "record 0" in str(caught.value)
    assert "generation" in caught.value.remedy


def test_template_that_raises_does_not_leak_the_conversation() -> None:
    template = "{{ raise_exception(messages[0]['content']) }}"
    with pytest.raises(FormatError) as caught:
        learned(template, CHAT)
    assert caught.value.code is Code.TOKENIZER_MALFORMED
    assert "sea" not in repr(caught.value)
    assert caught.value.__suppress_context__


def test_template_cannot_reach_python() -> None:
    template = "{{ ''.__class__.__mro__[1].__subclasses__() }}"
    with pytest.raises(FormatError) as caught:
        learned(template, CHAT)
    assert caught.value.code is Code.TOKENIZER_MALFORMED
