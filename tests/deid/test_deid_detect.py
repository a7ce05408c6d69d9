"""From a text to its findings: overlaps, windows, and the way back to the original."""

from __future__ import annotations

from itertools import pairwise

import pytest

from sealtune.deid.config import PROFILES
from sealtune.deid.detect import WINDOW_CHARACTERS, Pipeline, iter_windows
from sealtune.deid.entities import EntityType, Finding
from sealtune.deid.overlaps import resolve_overlaps


@pytest.fixture(scope="module")
def pipeline() -> Pipeline:
    return Pipeline.of(PROFILES["hipaa-safe-harbor"])


def test_what_loses_stays_found_where_the_winner_is_not() -> None:
    text = "Ann Lee ann.lee@example.org"
    findings = [
        Finding(0, 11, EntityType.PERSON, 0.9, "a"),
        Finding(8, 27, EntityType.EMAIL, 0.9, "b"),
        Finding(12, 15, EntityType.PERSON, 0.6, "c"),
    ]
    spans = [(f.start, f.end, f.entity) for f in resolve_overlaps(text, findings)]
    assert spans == [(0, 7, EntityType.PERSON), (8, 27, EntityType.EMAIL)]


def test_neighbouring_parts_of_a_name_become_one() -> None:
    text = "Ann Lee"
    parts = [Finding(0, 3, EntityType.PERSON, 0.6, "a"), Finding(4, 7, EntityType.PERSON, 0.5, "a")]
    assert [(f.start, f.end) for f in resolve_overlaps(text, parts)] == [(0, 7)]


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("Mother's Day 2020 was nice", "Mother's Day 2020"),
        ("private key: abcdEFGH1234ijkl9", "abcdEFGH1234ijkl9"),
        ("mot de passe : Xy12!abcD", "Xy12!abcD"),
        ("access code: 99182AB7", "99182AB7"),
        ("télécopie 01 42 68 53 00", "01 42 68 53 00"),
    ],
)
def test_a_rule_is_tried_at_every_word_that_it_begins_with(
    pipeline: Pipeline, text: str, value: str
) -> None:
    assert value in [text[f.start : f.end] for f in pipeline.find(text)]


def test_a_street_is_not_the_surname_of_its_town(pipeline: Pipeline) -> None:
    text = "Billed to: 12 Oak Street, Boston, MA 02118."
    found = [(text[f.start : f.end], f.entity) for f in pipeline.find(text)]
    assert found[:2] == [
        ("12 Oak Street", EntityType.ADDRESS),
        ("Boston", EntityType.LOCATION),
    ]


def test_offsets_are_those_of_the_original(pipeline: Pipeline) -> None:
    text = "Dr. Kowal\u200bczyk &amp; Mrs. Bergstr&ouml;m"
    spans = [text[f.start : f.end] for f in pipeline.find(text)]
    assert spans == ["Kowal\u200bczyk", "Bergstr&ouml;m"]


def test_findings_are_sorted_and_do_not_overlap(pipeline: Pipeline) -> None:
    text = "Dr. Ana Souza, SOUZA, ana.souza@x.org of Lisbon Hospital in Lisbon, Lisbon\n" * 20
    found = pipeline.find(text)
    assert found
    assert all(a.end <= b.start for a, b in pairwise(found))


def test_windows_cover_a_long_text_and_cut_no_word() -> None:
    text = "word " * (WINDOW_CHARACTERS // 2)
    windows = list(iter_windows(text))
    assert len(windows) > 2
    assert windows[0][0] == 0
    assert windows[-1][1] == len(text)
    for (_, end), (start, _) in pairwise(windows):
        assert start < end
        assert text[start - 1] == " "


def test_names_at_the_border_of_windows_are_found_as_elsewhere(pipeline: Pipeline) -> None:
    text = "x" * 60 + " "
    text = text * (WINDOW_CHARACTERS // len(text)) + "Dr. Tomasz Kowalczyk " * 20
    covered = {i for f in pipeline.find(text) for i in range(f.start, f.end)}
    at = text.find("Kowalczyk")
    while at >= 0:
        assert at in covered
        at = text.find("Kowalczyk", at + 1)


def test_a_text_without_white_space_is_cut_too(pipeline: Pipeline) -> None:
    assert pipeline.find("a" * (3 * WINDOW_CHARACTERS)) == []


def test_a_weak_address_does_not_split_what_is_longer() -> None:
    text = "photo face_2034.jpg here"
    photo = Finding(6, 19, EntityType.PHOTO, 0.9, "rules", "photo")
    weak = Finding(11, 18, EntityType.URL, 0.5, "presidio", "url")
    assert resolve_overlaps(text, [weak, photo]) == [photo]


def test_one_letter_that_a_loser_covers_stays_found() -> None:
    text = "face_2034.jpg"
    sure = Finding(5, 12, EntityType.URL, 0.99, "rules", "url")
    whole = Finding(0, 13, EntityType.PHOTO, 0.5, "rules", "photo")
    found = resolve_overlaps(text, [whole, sure])
    assert [(one.start, one.end) for one in found] == [(0, 4), (5, 12), (12, 13)]
