"""Conversations as training text: rendered by the tokenizer's template, with the assistant's part.

Templates that mark it (`{% generation %}`) are believed. For all others the assistant's part of
message n is what rendering n messages adds to rendering the n - 1 before it with a generation
prompt; that needs a template that renders earlier messages alike whatever follows them, which is
checked for every conversation.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any

from transformers.utils.chat_template_utils import render_jinja_template

from sealtune.errors import Code, FormatError

_MARKED = re.compile(r"\{%-?\s*generation\s*-?%\}")
# The library's own strftime_now reads the clock, which is the operator's: the same records would
# give other tokens tomorrow. This is the day that templates name which know no clock. (The empty
# expression keeps a line end with which the template may begin.)
_NO_CLOCK = '{% macro strftime_now(format) %}26 Jul 2024{% endmacro %}{{ "" }}'
Span = tuple[int, int]
Message = Mapping[str, str]


def check_messages(value: Any, *, place: str) -> list[Message]:
    """Return `value` as messages: objects with text `role` and `content`, one of the assistant.

    Raises:
        FormatError: `RECORD_FIELD`, naming `place` and never the content.
    """
    if not isinstance(value, list) or not value:
        raise FormatError(Code.RECORD_FIELD, f"{place}: messages is not a non-empty list")
    for index, message in enumerate(value):
        well_formed = isinstance(message, dict) and set(message) == {"role", "content"}
        if not well_formed or not all(isinstance(text, str) for text in message.values()):
            raise FormatError(
                Code.RECORD_FIELD,
                f"{place}: message {index} is not an object with text role and content, alone",
            )
    if not any(message["role"] == "assistant" for message in value):
        raise FormatError(
            Code.RECORD_FIELD, f"{place}: no message of the assistant, so nothing to learn"
        )
    return value


def render_chat(
    messages: Sequence[Message], *, template: str, special: Mapping[str, str], place: str
) -> tuple[str, list[Span]]:
    """Return the rendered conversation and the character spans that the assistant wrote.

    Raises:
        FormatError: `TOKENIZER_MALFORMED`: the template refuses this conversation, or renders
            earlier messages differently when later ones follow.
    """
    if _MARKED.search(template):
        text, spans = _render(messages, template=template, special=special, place=place)
        return text, spans
    return _render_incrementally(messages, template=template, special=special, place=place)


def _render_incrementally(
    messages: Sequence[Message], *, template: str, special: Mapping[str, str], place: str
) -> tuple[str, list[Span]]:
    text, _ = _render(messages, template=template, special=special, place=place)
    spans = []
    for index, message in enumerate(messages):
        if message["role"] != "assistant":
            continue
        prompt = ""
        if index:
            prompt, _ = _render(
                messages[:index], template=template, special=special, place=place, prompt=True
            )
        answered, _ = _render(
            messages[: index + 1], template=template, special=special, place=place
        )
        if not (answered.startswith(prompt) and text.startswith(answered)):
            raise FormatError(
                Code.TOKENIZER_MALFORMED,
                f"{place}: the chat template renders messages before message {index + 1} "
                "differently when later ones follow, so the assistant's part is unknown",
                remedy="mark it in the template with {% generation %} ... {% endgeneration %}",
            )
        spans.append((len(prompt), len(answered)))
    return text, spans


def _render(
    messages: Sequence[Message],
    *,
    template: str,
    special: Mapping[str, str],
    place: str,
    prompt: bool = False,
) -> tuple[str, list[Span]]:
    marked = _MARKED.search(template) is not None
    try:
        texts, spans = render_jinja_template(
            [list(messages)],
            chat_template=_NO_CLOCK + template if "strftime_now" in template else template,
            return_assistant_tokens_mask=marked,
            add_generation_prompt=prompt,
            **special,
        )
    except Exception as error:  # noqa: BLE001 - a template is foreign code and may raise anything
        # Its own words may quote the conversation.
        raise FormatError(
            Code.TOKENIZER_MALFORMED,
            f"{place}: the chat template refuses this conversation ({type(error).__name__})",
        ) from None
    return texts[0], [(start, end) for start, end in spans[0]] if marked else []
