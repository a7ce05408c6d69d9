"""Gates on what the detectors find in annotated notes, beside Presidio as it comes."""

from __future__ import annotations

import pytest

from sealtune.deid.config import PROFILES
from sealtune.deid.detect import Pipeline
from sealtune.deid.entities import EntityType
from sealtune.testing.deid.generator import Note, make_annotated_notes
from sealtune.testing.deid.scoring import Score, f2, score

NAMES = (
    EntityType.PERSON,
    EntityType.ORGANIZATION,
    EntityType.LOCATION,
    EntityType.ADDRESS,
)
STRUCTURED = tuple(one for one in EntityType if one not in NAMES)
# Aims are 0.995 and 0.95; docs/adr/0009 says what is reached and why the gates stand here. Raise
# them with the rules.
STRUCTURED_RECALL = 0.995
NAMES_RECALL = {
    EntityType.PERSON: 0.97,
    EntityType.ORGANIZATION: 0.955,
    EntityType.LOCATION: 0.97,
    EntityType.ADDRESS: 0.96,
}


@pytest.fixture(scope="module")
def notes() -> list[Note]:
    """Notes of a seed that nothing was tuned on."""
    return make_annotated_notes(300, seed=20_261_130)


@pytest.fixture(scope="module")
def ours(notes: list[Note]) -> Score:
    """What the rules find, without a model and without Presidio."""
    return score(notes, Pipeline.of(PROFILES["hipaa-safe-harbor"]).find)


@pytest.fixture(scope="module")
def theirs(notes: list[Note]) -> Score:
    """What Presidio finds by itself, without a model."""
    pytest.importorskip("presidio_analyzer", reason="presidio-analyzer is not installed")
    from sealtune.testing.deid.plain_presidio import PlainPresidio

    return score(notes, PlainPresidio().find)


def test_structured_identifiers_are_found(ours: Score) -> None:
    structured = [item for item in ours.missed if item[0] in STRUCTURED]
    recall = ours.recall(*STRUCTURED)
    assert recall is not None
    assert recall >= STRUCTURED_RECALL, structured


@pytest.mark.parametrize("entity", NAMES)
def test_names_and_places_are_found_without_a_model(ours: Score, entity: EntityType) -> None:
    recall = ours.recall(entity)
    assert recall is not None
    assert recall >= NAMES_RECALL[entity], [item for item in ours.missed if item[0] is entity]


@pytest.mark.parametrize("entity", EntityType)
def test_no_class_is_found_less_often_than_by_presidio(
    ours: Score, theirs: Score, entity: EntityType
) -> None:
    assert ours.there[entity]
    assert ours.covered[entity] >= theirs.covered[entity], ours.missed


def test_f2_is_well_above_presidios(ours: Score, theirs: Score) -> None:
    mine, other = (f2(item.precision(), item.recall()) for item in (ours, theirs))
    assert mine is not None
    assert other is not None
    assert mine > other + 0.2


def test_what_is_harmless_mostly_stays(ours: Score) -> None:
    precision = ours.precision()
    assert precision is not None
    assert precision >= 0.95, ours.wrong
