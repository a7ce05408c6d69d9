"""What may stand behind the beginning of a match: never less than a pattern allows."""

from __future__ import annotations

import re

import pytest

from sealtune.deid.following import Beginning, of_digits, of_word, shape
from sealtune.deid.names.frames import frame_detector
from sealtune.deid.patterns import begins_with, words_of
from sealtune.deid.structured.all import structured_detectors
from sealtune.deid.structured.rules import RuleDetector
from sealtune.testing.deid.generator import make_annotated_notes


def test_a_shape_has_one_letter_for_all_of_a_kind() -> None:
    assert shape("Ab9 é-Ω") == "Aa0 é-Ω"


@pytest.mark.parametrize(
    ("pattern", "digits", "allowed", "refused"),
    [
        (r"\d{2}/\d", 2, ["/", "/0"], ["-", "/a", " "]),
        (r"\d{1,2}[/-]\d", 1, ["/", "-0"], [" ", "/ "]),
        (r"\d{1,2}[/-]\d", 3, [], ["/", "-", "0"]),
        (r"(?:0?[1-9]|1[0-2])\.", 2, [".", ".a"], [",", "A"]),
        (r"(?:\d{3}-)?\d{2}x", 3, ["-0"], ["a", "-a"]),
        (r"(?:\d{3}-)?\d{2}x", 2, ["a"], ["-", "A"]),
        (r"\d{4}(?:[ ]?[a-c])", 4, [" a", "a", "a "], ["- ", " 0", "A", "  "]),
        (r"(?<!x)\d(?=y)z", 1, ["a"], ["0", " "]),
        (r"(?i:\dk)", 1, ["\u212a", "A"], [" ", "0"]),
        (r"\d{1,3}(?: [A-Z][a-z]{2}){2}", 2, [" Aa"], [" aa", " A ", "Aaa"]),
        (r"\d (?i:a(?-i:b)c)", 1, [" aac", " Aac", " AaA"], [" AAa", " aAA"]),
        (r"[a-z]\d", 1, [], ["a", "0"]),
        (r"[a-\uffff]x", 1, ["a"], [" "]),  # digits of other scripts are in the range
    ],
)
def test_reads_it_from_the_pattern(
    pattern: str, digits: int, allowed: list[str], refused: list[str]
) -> None:
    beginning = Beginning(re.compile(pattern), of_digits(digits))
    assert [behind for behind in allowed + refused if beginning.may_go_on(behind)] == allowed


def test_reads_it_for_words_in_any_case() -> None:
    beginning = Beginning(re.compile(r"(?i:pt|patient)\s{0,2}: ?[^\W\d_]\."), of_word("patient"))
    assert [b for b in (": A", ":A.", "  :", " A.", ":::") if beginning.may_go_on(b)] == [
        ": A",
        ":A.",
        "  :",
    ]
    assert not Beginning(re.compile(r"pt\b"), of_word("patient")).may_go_on(" ")


@pytest.mark.parametrize(
    "pattern", [r"\d{2}", r"\d{2}(?:x)?", r"\d\w", r"\d.", r"\d[^x]", r"(\d)\1", r"\d(?>a|b)"]
)
def test_says_yes_where_anything_may_follow(pattern: str) -> None:
    beginning = Beginning(re.compile(pattern), of_digits(2 if "{2}" in pattern else 1))
    assert all(beginning.may_go_on(behind) for behind in ("/", "aa", ""))


def _structured() -> RuleDetector:
    detector = structured_detectors()[0]
    assert isinstance(detector, RuleDetector)
    return detector


def test_no_match_of_a_rule_in_notes_is_lost() -> None:
    texts = [note.text for note in make_annotated_notes(60, seed=41)]
    matched = 0
    for rule in _structured()._rules:
        for digits in {start for start in rule.starts if 0 <= start < 31}:
            beginning = Beginning(rule.pattern, of_digits(digits))
            token = rf"(?<!\d)\d{{{digits}}}(?!\d)" if digits else r"\b[A-Za-z]"
            for text in texts:
                for at in (match.start() for match in re.finditer(token, text)):
                    if rule.pattern.match(text, at):
                        matched += 1
                        behind = shape(text[at + digits : at + digits + 4])
                        for end in range(5):
                            assert beginning.may_go_on(behind[:end]), (rule.kind, behind)
    assert matched > 500


def test_no_match_of_a_rule_behind_its_word_is_lost() -> None:
    texts = [note.text for note in make_annotated_notes(60, seed=42)]
    matched = 0
    for rule in (*_structured()._rules, *frame_detector()._rules):
        for word in rule.words | (begins_with(rule.pattern) or set()) if rule.leads else ():
            beginning = Beginning(rule.pattern, of_word(word))
            for text in texts:
                for at in words_of(text).places.get(word, ()):
                    if rule.pattern.match(text, at):
                        matched += 1
                        end = at + len(word)
                        assert beginning.may_go_on(shape(text[end : end + 3])), (rule.kind, word)
    assert matched > 300
