"""Organizations by form, head noun, phrase and verb; what only looks like one stays."""

from __future__ import annotations

import pytest

from sealtune.deid.config import PROFILES
from sealtune.deid.detect import Pipeline
from sealtune.deid.names.firms import FirmDetector
from sealtune.deid.names.frames import frame_detector


@pytest.fixture(scope="module")
def pipeline() -> Pipeline:
    return Pipeline.of(PROFILES["hipaa-safe-harbor"])


def left(pipeline: Pipeline, text: str) -> str:
    """Return `text` with each letter of a finding replaced."""
    letters = list(text)
    for finding in pipeline.find(text):
        letters[finding.start : finding.end] = "#" * (finding.end - finding.start)
    return "".join(letters)


FORMS = [
    ("we buy from Kolibri Invest d.o.o. each year", "Kolibri Invest d.o.o"),
    ("Dvorana Plus s.r.o. delivers", "Dvorana Plus s.r.o"),
    ("paid by Costa Verde S/A in May", "Costa Verde S/A"),
    ("signed for Lindholm HB", "Lindholm HB"),
    ("see Ortega y Asociados about it", "Ortega y Asociados"),
    ("Brandl e figli makes chairs", "Brandl e figli"),
    ("from Mertens OHG mbH", "Mertens OHG mbH"),
    ("the lawyers Tamm, Grolle and Weiss", "Tamm, Grolle and Weiss"),
]
HEADS = [
    ("flew with Zephyria Airlines", "Zephyria Airlines"),
    ("the Northern Symphony played", "Northern Symphony"),
    ("the Ministry of Fisheries said no", "Ministry of Fisheries"),
    ("a letter of the University of Brumholt", "University of Brumholt"),
    ("she studies at Brumholts universitet", "Brumholts universitet"),
    ("Stichting Waterkant was founded", "Stichting Waterkant"),
    ("Technische Universität Brumholt opened", "Technische Universität Brumholt"),
    ("Oakenfell Construction built it", "Oakenfell Construction"),
]
PHRASES = [
    ("I have been a customer of Basket Case for years", "Basket Case"),
    ("she is an accountant with Quibble", "Quibble"),
    ("had lunch at The Leaning Tree", "The Leaning Tree"),
    ("they are suing Purple Door", "Purple Door"),
    ("Purple Door announced a loss", "Purple Door"),
    ("Quibble's profits doubled", "Quibble"),
    ("the Purple Door building burned", "Purple Door"),
    ("Does Purple Door deliver on Sundays?", "Purple Door"),
    ("Purple Door CEO Ann Lee left", "Purple Door"),
    ("I cancelled my Quibble card", "Quibble"),
    ("Thank you for calling Purple Door", "Purple Door"),
    ("Back to the nursing home (Purple Elm House).", "Purple Elm House"),
    ("Purple Elm House\n12 Long Street\nLeeds", "Purple Elm House"),
    ("my bank, HSBC, closed", "HSBC"),
]


@pytest.mark.parametrize(("text", "name"), [*FORMS, *HEADS, *PHRASES])
def test_is_found(pipeline: Pipeline, text: str, name: str) -> None:
    start = text.index(name)
    assert not any(map(str.isalnum, left(pipeline, text)[start : start + len(name)]))


@pytest.mark.parametrize(
    "text",
    [
        "The Board of Directors approved the Annual Report.",
        "Please call Customer Service or the Manager.",
        "Breaking News: markets rally on Tuesday.",
        "We measured activity against Gram-negative strains at L3-L4.",
        "Just posted a photo. Can You Help Me?",
        "Radiation Therapy was given; General Surgery was consulted.",
    ],
)
def test_ordinary_words_with_capitals_stay(pipeline: Pipeline, text: str) -> None:
    assert left(pipeline, text) == text


@pytest.mark.parametrize("piece", ["Ab ", "Ab, ", "Ab and ", "the Ab ", "Inc ", "Bank of ", "A. "])
def test_repeated_pieces_end(piece: str) -> None:
    # A pattern that is not linear would not end here.
    text = piece * 5_000
    for detector in (FirmDetector(), frame_detector()):
        assert all(item.end <= len(text) for item in detector.find(text))


@pytest.mark.parametrize(
    ("text", "name"),
    [
        ("seen by Vitamina B. Quorra today", "Vitamina B. Quorra"),
        ("Signed Quorra, Vitalia K", "Quorra, Vitalia K"),
        ("Wife Aldric Quorra called", "Aldric Quorra"),
        ("here with Aldric (son) today", "Aldric"),
        ("Zoltra c/o pain", "Zoltra"),
        ("then Chow Mei-ling left", "Chow Mei-ling"),
        ("we drove to North Quorrabury on Monday", "North Quorrabury"),
        ("he moved to Trinidad and Tobago", "Trinidad and Tobago"),
    ],
)
def test_persons_and_places_by_their_shape(pipeline: Pipeline, text: str, name: str) -> None:
    start = text.index(name)
    assert not any(map(str.isalnum, left(pipeline, text)[start : start + len(name)]))


def test_a_letter_between_terms_is_no_middle_initial(pipeline: Pipeline) -> None:
    text = "Vitamin B Complex and Hepatitis B Virus were tested."
    assert left(pipeline, text) == text
