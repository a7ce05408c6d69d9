"""What may follow a number: never less than what a pattern allows."""

from __future__ import annotations

import re

import pytest

from sealtune.deid.following import follows_number
from sealtune.deid.structured.all import structured_detectors
from sealtune.testing.deid.generator import make_annotated_notes


@pytest.mark.parametrize(
    ("pattern", "digits", "follows"),
    [
        (r"\d{2}/\d", 2, "/"),
        (r"\d{1,2}[/-]\d", 1, "/-"),
        (r"\d{1,2}[/-]\d", 3, ""),
        (r"(?:0?[1-9]|1[0-2])\.", 2, "."),
        (r"(?:\d{3}-)?\d{2}x", 3, "-"),
        (r"(?:\d{3}-)?\d{2}x", 2, "xX"),
        (r"\d{4}(?:[ ]?[a-c])", 4, " abcABC"),
        (r"(?<!x)\d(?=y)z", 1, "zZ"),
        (r"(?i:\d k)", 1, " "),
        (r"(?i:\dk)", 1, "kK\u212a"),
        (r"[a-z]\d", 1, ""),
        (r"[a-\uffff]x", 1, "xX"),  # digits of other scripts are in the range
    ],
)
def test_reads_it_from_the_pattern(pattern: str, digits: int, follows: str) -> None:
    assert follows_number(re.compile(pattern), digits) == set(follows)


@pytest.mark.parametrize(
    "pattern", [r"\d{2}", r"\d{2}(?:x)?", r"\d\w", r"\d.", r"\d[^x]", r"(\d)\1"]
)
def test_says_so_where_anything_may_follow(pattern: str) -> None:
    digits = 2 if "{2}" in pattern else 1
    assert follows_number(re.compile(pattern), digits) is None


def test_no_match_of_a_rule_in_notes_is_lost() -> None:
    (rules, *_) = structured_detectors()
    texts = [note.text for note in make_annotated_notes(60, seed=41)]
    matched = 0
    for rule in rules._rules:
        for digits in {start for start in rule.starts if 0 < start < 31}:
            follows = follows_number(rule.pattern, digits)
            for text in texts:
                for number in re.finditer(rf"(?<!\d)\d{{{digits}}}(?!\d)", text):
                    if rule.pattern.match(text, number.start()):
                        matched += 1
                        behind = text[number.end() : number.end() + 1]
                        assert follows is None or behind in follows, (rule.kind, behind)
    assert matched > 500
