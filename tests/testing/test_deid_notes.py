"""The annotated notes: the same for a seed, every type of identifier, every span where it says."""

from __future__ import annotations

from itertools import pairwise

from sealtune.deid.entities import EntityType
from sealtune.testing.deid import numbers
from sealtune.testing.deid.draw import Draw
from sealtune.testing.deid.generator import make_annotated_notes

NOTES = make_annotated_notes(400, seed=3)


def test_the_same_seed_gives_the_same_notes_and_another_gives_others() -> None:
    assert make_annotated_notes(400, seed=3) == NOTES
    assert make_annotated_notes(400, seed=4) != NOTES


def test_a_note_does_not_depend_on_how_many_are_made() -> None:
    assert make_annotated_notes(7, seed=3) == NOTES[:7]


def test_every_type_of_identifier_occurs() -> None:
    assert {span.entity for note in NOTES for span in note.spans} == set(EntityType)


def test_spans_are_in_order_apart_and_without_space_around_them() -> None:
    for note in NOTES:
        assert all(one.end <= other.start for one, other in pairwise(note.spans))
        for span in note.spans:
            text = note.text[span.start : span.end]
            assert text
            assert text == text.strip()


def test_card_numbers_hold_the_check_of_a_textbook() -> None:
    assert numbers.luhn("7992739871") == "79927398713"


def test_iban_leaves_one_when_divided_by_97() -> None:
    draw = Draw(1)
    for _ in range(100):
        whole = numbers.iban(draw).replace(" ", "")
        turned = "".join(str(int(mark, 36)) for mark in whole[4:] + whole[:4])
        assert int(turned) % 97 == 1


def test_notes_come_in_all_languages_and_layouts() -> None:
    assert {note.language for note in NOTES} == {"en", "de", "fr", "es"}
    assert len({note.layout for note in NOTES}) == 14
