"""Names by the phrases of short sentences; what only looks like one stays."""

from __future__ import annotations

import pytest

from sealtune.deid.config import PROFILES
from sealtune.deid.detect import Pipeline
from sealtune.deid.names.sentences import RULES


@pytest.fixture(scope="module")
def pipeline() -> Pipeline:
    return Pipeline.of(PROFILES["hipaa-safe-harbor"])


def left(pipeline: Pipeline, text: str) -> str:
    """Return `text` with each letter of a finding replaced."""
    letters = list(text)
    for finding in pipeline.find(text):
        letters[finding.start : finding.end] = "#" * (finding.end - finding.start)
    return "".join(letters)


FOUND = [
    ("we compared Brivanto, Quelmark and Sodrano last week", "Brivanto Quelmark Sodrano"),
    ("I prefer Brivanto over Quelmark.", "Brivanto Quelmark"),
    ("my parcel from Brivanto never came", "Brivanto"),
    ("can I pay with Quelmark in the shop", "Quelmark"),
    ("the permit was issued by Brivanto in spring", "Brivanto"),
    ("nobody at Quelmark could help me", "Quelmark"),
    ("Brivanto refuses to refund my money", "Brivanto"),
    ("Partners: Brivanto, Quelmark", "Brivanto Quelmark"),
    ("Organisation: Brivanto", "Brivanto"),
    ("see Oxbridge Farmers v. the FCC", "FCC"),
    ("the new rules of the DMV", "DMV"),
    ("PT Melati Jaya (Persero) Tbk answered", "PT Melati Jaya (Persero) Tbk"),
    ("Koskela Laine ry meets on Monday", "Koskela Laine ry"),
    ("a letter by Barreto Lobo - ME came", "Barreto Lobo - ME"),
    ("the train to North Wilmaside leaves", "North Wilmaside"),
    ("we spent a week in Bath with friends", "Bath"),
    ("the bus to Kamenice nad Lipou is late", "Kamenice nad Lipou"),
    ("the Bremsk-based company closed", "Bremsk"),
    ("the party is at Jasminova 14b tonight", "Jasminova 14b"),
    ("send it to Block 7 Lot 12 Jacinth Street", "Block 7 Lot 12 Jacinth Street"),
    ("he moved to B7 L12 Jacinth Street", "B7 L12 Jacinth Street"),
    ("the fire in rue de Valbrun spread", "rue de Valbrun"),
    ("deliver to Strada Fagului, Baneasa", "Strada Fagului"),
    ("Level 4, 88 Kowhai Alleyway", "Level 4 88 Kowhai Alleyway"),
    ("ask Ester Novotna for the key", "Ester Novotna"),
    ("von Quast, Ottilie; born in May", "von Quast Ottilie"),
    ("the factory of Oracle in our street", "Oracle"),
    ("goods of Tamm GmbH & Co. KGaA are sold", "Tamm GmbH & Co. KGaA"),
    ("he lives in Strada Fagului, Baneasa, 417733", "Strada Fagului Baneasa 417733"),
    ("12 Kowhai Alleyway, RD 4, Harrisvale", "12 Kowhai Alleyway RD 4"),
    ("Hansen said that it was late", "Hansen"),
]
KEPT = [
    "we compared HEF and the mean of both groups",
    "hyperbaric oxygen (HBO) therapy was used",
    "125I-SAP turnover over Time was measured",
    "he is reading in bed and likes to split wood",
    "a nice bath and a mobile phone",
    "at Stage 3 the tumor had grown",
    "tell it to me, mark the page and hope",
    "the orange is near normal",
]


@pytest.mark.parametrize(("text", "gone"), FOUND)
def test_phrases_tell_names(pipeline: Pipeline, text: str, gone: str) -> None:
    rest = left(pipeline, text)
    assert not [word for word in gone.split() if word in rest], rest


@pytest.mark.parametrize("text", KEPT)
def test_terms_and_words_stay(pipeline: Pipeline, text: str) -> None:
    assert left(pipeline, text) == text


def test_each_rule_waits_for_a_word_or_a_mark() -> None:
    assert [rule.kind for rule in RULES if not (rule.words or rule.marks)] == []
