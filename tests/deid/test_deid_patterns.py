"""Patterns that are tried at few places only find what a search through all of the text finds."""

from __future__ import annotations

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sealtune.deid.names import context, organizations
from sealtune.deid.patterns import (
    LedPatterns,
    Remembered,
    Words,
    any_of,
    iter_led,
    iter_near,
    leading_words,
    line_starts,
    words_of,
)
from sealtune.deid.structured import all as structured
from sealtune.deid.structured import blocks, rules
from sealtune.testing.deid.generator import make_annotated_notes

NOTES = [note.text for note in make_annotated_notes(60, seed=8)]
LED = (blocks._LED, context._LED, organizations._LED)


@given(st.sets(st.text("abAé. ", min_size=1, max_size=4), min_size=1), st.text("abAé. "))
def test_a_tree_matches_the_longest_of_its_words(words: set[str], text: str) -> None:
    found = re.match(any_of("|".join(sorted(words))), text)
    longest = max((word for word in words if text.startswith(word)), key=len, default=None)
    assert (found[0] if found else None) == longest


def test_a_letter_of_a_tree_may_be_absent() -> None:
    assert all(re.fullmatch(any_of("thur?s?|x"), word) for word in ("thu", "thur", "thus", "thurs"))


@pytest.mark.parametrize(
    ("pattern", "words"),
    [
        (r"\b(?:the )?(?i:corner|road) of", {"the", "corner", "road"}),
        (r"(?<!\w)birth ?place|organi[sz]ation:", {"birth", "birthplace"} | {"organisation"}),
        (r"(?:apt|st)\b\.?\s\w", {"apt", "st"}),
        (r"works? at", {"work", "works"}),
    ],
)
def test_words_that_a_pattern_begins_with(pattern: str, words: set[str]) -> None:
    found = leading_words(re.compile(pattern))
    assert words <= found <= words | {"organization"}


@pytest.mark.parametrize(
    "pattern", [r"\w+ at", r"(?:mr )?[A-Z]", r"a+b", r"(?:at)? \d", r"st\.?\w"]
)
def test_a_pattern_that_can_begin_with_any_word_is_refused(pattern: str) -> None:
    with pytest.raises(ValueError, match=r"begin|letter"):
        leading_words(re.compile(pattern))


@pytest.mark.parametrize("led", LED)
def test_led_patterns_find_what_a_search_finds(led: LedPatterns) -> None:
    for text in NOTES:
        found = led.matches(text, words_of(text))
        patterns = {name: one for of_word in led._led.values() for name, one in of_word._patterns}
        assert patterns
        for name, pattern in patterns.items():
            spans = [match.span() for match in found.get(name, ())]
            assert spans == [match.span() for match in pattern.finditer(text)]


def test_rules_that_are_asked_at_once_match_as_each_alone() -> None:
    detector = structured.structured_detectors()[0]
    assert isinstance(detector, rules.RuleDetector)
    for text in NOTES:
        alone = [
            (rule.kind, *match.span(rule.group))
            for at, start in rules._tokens(text)
            if start in detector._anchored
            for rule in detector._anchored[start]._rules
            if (match := rule.pattern.match(text, at))
        ]
        assert [(rule.kind, *span) for rule, *span in detector._at_tokens(text)] == alone


@given(st.text())
def test_every_word_is_where_it_is_said_to_be(text: str) -> None:
    for word, places in Words(text).places.items():
        for place in places:
            assert text[place : place + len(word)].lower() in (word, word.lower())


@given(st.text(alphabet="ab@ .\n", max_size=60))
def test_near_an_anchor_and_at_lines_the_same_is_found_as_everywhere(text: str) -> None:
    near, anchor = re.compile(r"a{1,3}@b"), re.compile("@")
    anchors = [m.span() for m in anchor.finditer(text)]
    for unbroken in (False, True):
        found = [m.span() for m in iter_near(near, text, anchors, 3, unbroken=unbroken)]
        assert found == [m.span() for m in near.finditer(text)]
    lines = re.compile(r"(?m)^a+")
    found = [m.span() for m in iter_led(lines, text, line_starts(text))]
    assert found == [m.span() for m in lines.finditer(text)]


def test_what_is_remembered_is_answered_as_it_was_asked() -> None:
    asked: list[str] = []

    def ask(word: str) -> tuple[str, ...]:
        asked.append(word)
        return ("x",) if "x" in word else ()

    remembered = Remembered(ask)
    for _ in range(2):
        assert dict(remembered.answers({"ax", "b"})) == {"ax": ("x",)}
    assert sorted(asked) == ["ax", "b"]
