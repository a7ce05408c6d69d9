"""Rosters, custom patterns and words that the owner allows."""

from __future__ import annotations

from pathlib import Path

import pytest

from sealtune.deid.config import PROFILES, Recognizer, Roster
from sealtune.deid.detect import Pipeline
from sealtune.deid.entities import EntityType
from sealtune.deid.names.recognizers import recognizer_detector
from sealtune.deid.names.rosters import RosterDetector, read_roster
from sealtune.errors import Code, ConfigError


@pytest.mark.parametrize("text", ["xu, tsering", "Tsering  XU", "TSERING XU", "Xu Tsering"])
def test_values_of_a_roster_are_found_in_any_case_and_order(text: str) -> None:
    detector = RosterDetector("staff", EntityType.PERSON, ["Tsering Xu"])
    assert [(f.start, f.end) for f in detector.find(text)] == [(0, len(text))]


def test_a_roster_finds_whole_words_only() -> None:
    detector = RosterDetector("wards", EntityType.LOCATION, ["North 4"])
    assert not list(detector.find("north 42 and Northern 4"))


def test_a_roster_that_is_not_text_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "staff.txt"
    path.write_bytes(b"\xff\xfe\x00")
    with pytest.raises(ConfigError) as caught:
        read_roster(Roster(name="staff", entity=EntityType.PERSON, file=str(path)))
    assert caught.value.code is Code.CONFIG_INVALID


def test_a_pattern_needs_its_context() -> None:
    item = Recognizer(
        name="study", entity=EntityType.OTHER_ID, pattern=r"S-\d{4}", context=("study",)
    )
    detector = recognizer_detector(item)
    assert [f.start for f in detector.find("study S-1234")] == [6]
    assert not list(detector.find("S-1234"))


@pytest.mark.parametrize(
    "pattern", [r"(a+)+b", r"(?:\w*x){2,9}", r"(a)\1", r".*x.*y.*z", r"(a|b*)*"]
)
def test_patterns_that_could_run_away_are_refused(pattern: str) -> None:
    item = Recognizer(name="bad", entity=EntityType.OTHER_ID, pattern=pattern)
    with pytest.raises(ConfigError) as caught:
        recognizer_detector(item)
    assert caught.value.code is Code.CONFIG_INVALID


def test_allowed_words_stay(tmp_path: Path) -> None:
    allowed = PROFILES["hipaa-safe-harbor"].model_copy(update={"allow": ("Kowalczyk",)})
    assert not Pipeline.of(allowed).find("Dr. Kowalczyk")
    assert Pipeline.of(PROFILES["hipaa-safe-harbor"]).find("Dr. Kowalczyk")
