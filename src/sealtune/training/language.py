"""Records for causal language modelling: conversations, prompts with completions, plain texts."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np

from sealtune.errors import Code, FormatError
from sealtune.training.chat import Message, check_messages, render_chat
from sealtune.training.examples import (
    IGNORED,
    Example,
    Pieces,
    Record,
    check_encodable,
    nothing_to_learn,
    read_text,
    token_array,
    too_long,
)
from sealtune.training.recipe import Overflow, Recipe
from sealtune.training.tokens import TextTokenizer

_Supervised = tuple[list[int], list[int]]  # ids, targets


def encode_language(
    group: Sequence[Record],
    places: Sequence[str],
    *,
    recipe: Recipe,
    tokenizer: TextTokenizer,
) -> Iterator[Pieces]:
    """Yield what each record of `group` becomes; `places` name them in errors.

    Raises:
        FormatError: as `encode_records`.
    """
    plain = [i for i, record in enumerate(group) if _is_plain(record, recipe)]
    texts = [read_text(group[i], recipe.text_field, place=places[i]) for i in plain]
    encoded = dict(zip(plain, tokenizer.encode_all(texts, recipe.max_length), strict=True))
    for index, (record, place) in enumerate(zip(group, places, strict=True)):
        if index in encoded:
            pieces = _plain(encoded[index], place, recipe, tokenizer)
        elif recipe.messages_field in record:
            pieces = _conversation(record, place, recipe, tokenizer)
        else:
            pieces = _completion(record, place, recipe, tokenizer)
        learned = tuple(example for example in pieces.examples if example.supervised)
        if not learned:
            raise nothing_to_learn(place, recipe=recipe)
        yield Pieces(examples=learned, cut=pieces.cut)


def _is_plain(record: Record, recipe: Recipe) -> bool:
    paired = recipe.prompt_field in record and recipe.completion_field in record
    return recipe.messages_field not in record and not paired


def _plain(
    windows: Sequence[list[int]], place: str, recipe: Recipe, tokenizer: TextTokenizer
) -> Pieces:
    split = recipe.overflow is Overflow.SPLIT
    kept = list(windows if split else windows[:1])
    cut = len(kept) < len(windows)
    end = tokenizer.token_id("eos_token")
    # The end token teaches the model where texts end; a cut text, which is max_length long, does
    # not end there.
    if end is not None and len(kept[-1]) < recipe.max_length and kept[-1][-1:] != [end]:
        kept[-1] = [*kept[-1], end]
    arrays = [token_array(ids, place=place) for ids in kept]
    return Pieces(examples=tuple(Example(ids, ids) for ids in arrays), cut=cut)


def _completion(record: Record, place: str, recipe: Recipe, tokenizer: TextTokenizer) -> Pieces:
    prompt = read_text(record, recipe.prompt_field, place=place)
    completion = read_text(record, recipe.completion_field, place=place)
    encoding = tokenizer.encode_one(prompt + completion)
    ids = list(encoding.ids)
    # A token that holds the end of the prompt and the beginning of the completion (a space and a
    # word, mostly) is learned: else the completion would lose its first word.
    targets = [
        token if end > len(prompt) else IGNORED
        for token, (_, end) in zip(ids, encoding.offsets, strict=True)
    ]
    last = tokenizer.token_id("eos_token")
    if last is not None and ids[-1:] == [last]:
        targets[-1] = last
    elif last is not None and len(ids) < recipe.max_length:
        ids, targets = [*ids, last], [*targets, last]
    if len(ids) > recipe.max_length and recipe.overflow is Overflow.SPLIT:
        subject = f"{place}: the prompt and its completion, which belong together, have"
        raise too_long(subject, recipe=recipe)
    return _cut((ids, targets), place, recipe)


def _conversation(record: Record, place: str, recipe: Recipe, tokenizer: TextTokenizer) -> Pieces:
    messages = check_messages(record[recipe.messages_field], place=place)
    for message in messages:
        check_encodable(message["content"], place=place)
    if tokenizer.chat_template is None:
        raise FormatError(
            Code.TOKENIZER_MALFORMED,
            f"{place}: has messages, but the model's tokenizer has no chat template",
            remedy="seal the model with a chat_template.jinja, or train on plain text",
        )
    whole = _rendered(messages, place, tokenizer)
    if len(whole[0]) > recipe.max_length and recipe.overflow is Overflow.SPLIT:
        parts = _parts(messages, place, recipe, tokenizer)
        return Pieces(examples=tuple(_example(part, place) for part in parts))
    return _cut(whole, place, recipe)


def _parts(
    messages: Sequence[Message], place: str, recipe: Recipe, tokenizer: TextTokenizer
) -> Iterator[_Supervised]:
    """Yield as many turns at a time as fit, each time behind the system's messages."""
    opening, turns = _turns(messages)
    fitting: _Supervised | None = None
    gathered: list[Message] = []
    for turn in turns:
        rendered = _rendered([*opening, *gathered, *turn], place, tokenizer)
        if len(rendered[0]) > recipe.max_length and fitting is not None:
            yield fitting
            gathered = []
            rendered = _rendered([*opening, *turn], place, tokenizer)
        if len(rendered[0]) > recipe.max_length:
            raise too_long(f"{place}: a turn of the conversation alone has", recipe=recipe)
        gathered += turn
        fitting = rendered
    if fitting is not None:
        yield fitting


def _turns(messages: Sequence[Message]) -> tuple[list[Message], list[list[Message]]]:
    """Return the system's opening and the turns, each of which ends with the assistant's answer.

    What follows the last answer teaches nothing and is left out.
    """
    first = next(i for i, message in enumerate(messages) if message["role"] != "system")
    turns: list[list[Message]] = [[]]
    for message in messages[first:]:
        answered = bool(turns[-1]) and turns[-1][-1]["role"] == "assistant"
        if answered and message["role"] != "assistant":
            turns.append([])
        turns[-1].append(message)
    if turns[-1][-1]["role"] != "assistant":
        turns.pop()
    return list(messages[:first]), turns


def _rendered(messages: Sequence[Message], place: str, tokenizer: TextTokenizer) -> _Supervised:
    text, spans = render_chat(
        messages, template=tokenizer.chat_template or "", special=tokenizer.special, place=place
    )
    encoding = tokenizer.encode_rendered(text)
    targets = [IGNORED] * len(encoding.ids)
    for index, (start, end) in enumerate(encoding.offsets):
        # A token that begins before the assistant does belongs to the prompt.
        if end > start and any(first <= start < last for first, last in spans):
            targets[index] = encoding.ids[index]
    return list(encoding.ids), targets


def _cut(tokens: _Supervised, place: str, recipe: Recipe) -> Pieces:
    ids, targets = tokens
    kept = ids[: recipe.max_length], targets[: recipe.max_length]
    return Pieces(examples=(_example(kept, place),), cut=len(ids) > recipe.max_length)


def _example(tokens: _Supervised, place: str) -> Example:
    ids, targets = tokens
    return Example(token_array(ids, place=place), np.array(targets, dtype=np.int64))
