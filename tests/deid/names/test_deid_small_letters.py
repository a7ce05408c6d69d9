"""Names in text that is written in small letters throughout."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sealtune.deid.config import PROFILES
from sealtune.deid.detect import Pipeline
from sealtune.deid.names.small_letters import SmallLetters
from sealtune.testing.deid.generator import make_annotated_notes
from sealtune.testing.deid.scoring import score

PIPELINE = Pipeline.of(PROFILES["hipaa-safe-harbor"])
SMALL = SmallLetters()


@pytest.mark.parametrize(
    ("text", "names"),
    [
        ("i am jose garcia lopez and live in springfield", ["jose garcia lopez", "springfield"]),
        ("zorvald shouted at janet", ["zorvald", "janet"]),
        ("as promised, here's arne's address", ["arne"]),
        ("jakobine, can i please speak to somebody?", ["jakobine"]),
        ("tell mrs. amy kupcová that we called", ["amy kupcová"]),
        ("i work for geoscape now", ["geoscape"]),
        ("they met in palhais, and it rained", ["palhais"]),
        ("the new office of acme widgets inc in denver", ["acme widgets inc", "denver"]),
        ("born in new york, then at stanford university", ["new york", "stanford university"]),
        ("google and microsoft both declined", ["google", "microsoft"]),
        ("seen by dr. d. vandersmissen today", ["d. vandersmissen"]),
        ("will smith met grace jones", ["smith", "grace jones"]),
        ("lincoln memorial hospital\n12 main street", ["lincoln memorial hospital"]),
        ("(copper ridge credit union) sent a letter", ["copper ridge credit union"]),
        ("transferred to high meadow eye institute on monday", ["high meadow eye institute"]),
        ("works for tall pines school district", ["tall pines school district"]),
    ],
)  # fmt: skip
def test_finds_names_in_small_letters(text: str, names: list[str]) -> None:
    found = PIPELINE.find(text)
    for name in names:
        start = text.index(name)
        wanted = set(range(start, start + len(name)))
        covered = {at for item in found for at in range(item.start, item.end)}
        assert {at for at in wanted if text[at].isalnum()} <= covered, (text, name)


@pytest.mark.parametrize(
    "text",
    [
        "i will call you tomorrow, the price of the ticket may rise",
        "please refund my order, the package never arrived",
        "patient is doing well, afebrile, tolerating diet, will follow up in two weeks",
        "blood pressure was stable and the wound is clean",
        "seen at primary care clinic, then at follow up clinic and at home health",
        "reviewed labs.\nphysical therapy\noutpatient pain clinic\nwound care",
        "straight leg raise limited to 20 degrees, power limited by pain",
        "",
        "\n\n",
    ],
)
def test_leaves_ordinary_text(text: str) -> None:
    assert PIPELINE.find(text) == []


def test_a_paragraph_with_capitals_stays_as_it_is() -> None:
    text = "Seen by janet.\n\nseen by janet smith"
    assert SMALL.restored(text) == "Seen by janet.\n\nseen by Janet Smith"
    for written in ("DISCHARGE SUMMARY: JANET SMITH", "mrs. Smith and janet", "İstanbul'da janet"):
        assert SMALL.restored(written) == written


def test_a_long_line_is_looked_at_piece_by_piece() -> None:
    text = ("zorvald shouted at janet smith, " * 4_000).strip()
    made = SMALL.restored(text)
    assert made.lower() == text
    assert made.count("Janet Smith") > 3_990  # a cut may fall into a name
    assert SMALL.restored("x" * 100_000) == "x" * 100_000
    assert max(map(len, SMALL._seen)) <= 40  # no memory for what will not come again


@given(st.text(max_size=200))
def test_is_as_long_as_the_text_and_differs_in_case_alone(text: str) -> None:
    made = SMALL.restored(text)
    assert len(made) == len(text)
    assert all(a == b or a.upper() == b for a, b in zip(text, made, strict=True))


def test_most_names_of_notes_in_small_letters_are_found() -> None:
    from dataclasses import replace

    notes = make_annotated_notes(40, seed=5)
    small = [
        replace(note, text=note.text.lower())
        for note in notes
        if len(note.text.lower()) == len(note.text)
    ]
    rows = {row["type"]: row for row in score(small, PIPELINE.find).rows()}
    assert rows["person"]["recall"] > 0.8
    assert rows["location"]["recall"] > 0.85
    assert rows["organization"]["recall"] > 0.6
    assert rows["all"]["recall"] > 0.9
    assert rows["all"]["precision"] > 0.9
