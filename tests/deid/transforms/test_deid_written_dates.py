"""Dates are read as people write them, and written again in the same form."""

from __future__ import annotations

from datetime import date, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sealtune.deid.transforms.dates import read_date

# What is written, in which locale, and the same 100 days earlier.
_MOVED = [
    ("03/14/1985", "en_US", "12/04/1984"),
    ("3/4/85", "en_US", "11/24/84"),
    ("14/03/1985", "en_US", "04/12/1984"),
    ("03/04/2020", "en_GB", "25/12/2019"),
    ("1985-03-14", "de_DE", "1984-12-04"),
    ("2020-03-14T10:22:00Z", "en_US", "2019-12-05T10:22:00Z"),
    ("2019-12-31 23:59:59.123+01:00", "en_US", "2019-09-22 23:59:59.123+01:00"),
    ("20200314", "en_US", "20191205"),
    ("20200314T102233", "en_US", "20191205T102233"),
    ("March 14, 2020", "en_US", "December 5, 2019"),
    ("14th of March 2020", "en_GB", "5th of December 2019"),
    ("3rd March", "en_US", "24th November"),
    ("MARCH 2020", "en_US", "DECEMBER 2019"),
    ("03/2020", "en_US", "12/2019"),
    ("3/14", "en_US", "12/5"),
    ("Monday, March 16, 2020", "en_US", "Saturday, December 7, 2019"),
    ("14-Mar-85", "en_US", "04-Dec-84"),
    ("14.03.2020", "de_DE", "05.12.2019"),
    ("14. M\u00e4rz 1985", "de_DE", "4. Dezember 1984"),
    ("1er janvier 2020", "fr_FR", "23 septembre 2019"),
    ("14 de marzo de 2020", "es_ES", "5 de diciembre de 2019"),
    ("luned\u00ec 3 febbraio 2020", "it_IT", "sabato 26 ottobre 2019"),
    ("14 maart 1985", "nl_NL", "4 december 1984"),
    ("03/14/20 10:22 PM", "en_US", "12/05/19 10:22 PM"),
    ("Mon", "en_US", "Sat"),
    ("2020", "en_US", "2020"),
]
_NO_DATES = [
    "Christmas 2020",
    "March 3-5, 2020",
    "31/31/2020",
    "2020-13-01",
    "2/30/2020",
    "the day after",
    "1/2/3/4",
    "14",
    "",
    "March " * 30,
]


@pytest.mark.parametrize(("text", "locale", "moved"), _MOVED)
def test_moves_in_the_form_it_was_written_in(text: str, locale: str, moved: str) -> None:
    read = read_date(text, locale=locale, latest_year=2026)
    assert read is not None
    assert read.moved(0) == text
    assert read.moved(-100) == moved


@pytest.mark.parametrize("text", _NO_DATES)
def test_what_is_not_understood_as_a_whole_is_no_date(text: str) -> None:
    assert read_date(text, locale="en_US", latest_year=2026) is None


def test_two_digits_are_the_last_such_year() -> None:
    years = [
        read_date(f"3/14/{short}", locale="en_US", latest_year=2026) for short in ("26", "27", "28")
    ]
    assert [read.day.year for read in years if read] == [2026, 2027, 1928]


@given(
    st.dates(date(1900, 1, 1), date(2099, 12, 31)),
    st.integers(-183, 182),
    st.sampled_from(["%Y-%m-%d", "%m/%d/%Y", "%B %d, %Y", "%d %b %Y", "%A, %B %d, %Y"]),
)
def test_any_date_moves_by_exactly_its_days(day: date, days: int, form: str) -> None:
    read = read_date(day.strftime(form), locale="en_US", latest_year=2026)
    assert read is not None
    again = read_date(read.moved(days), locale="en_US", latest_year=2026)
    assert again is not None
    assert again.day == day + timedelta(days=days)


@given(st.text(max_size=90))
def test_no_text_is_too_odd_to_be_looked_at(text: str) -> None:
    read = read_date(text, locale="en_US", latest_year=2026)
    assert read is None or isinstance(read.moved(0), str)
