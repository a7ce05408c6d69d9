"""Findings replaced: nothing else changes, and nobody without the key can tell from what."""

from __future__ import annotations

import re
from datetime import date

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sealtune.deid.config import PROFILES, Action, Configuration
from sealtune.deid.entities import EntityType, Finding
from sealtune.deid.key import DeidKey
from sealtune.deid.transforms import Change, Transformer

pytest.importorskip("faker", reason="surrogates need the extra deid")

_KEY, _OTHER = DeidKey(b"k" * 32), DeidKey(b"o" * 32)
_SECRET = Transformer(PROFILES["gdpr-pseudonymous"], _KEY)
_ELSEWHERE = Transformer(PROFILES["gdpr-pseudonymous"], _OTHER)
_SAFE_HARBOR = Transformer(
    PROFILES["hipaa-safe-harbor"].model_copy(update={"reference_year": 2026}), _KEY
)


def _value(entity: EntityType, value: str, *, by: Transformer = _SECRET) -> str:
    return by.value(entity, value, subject="subject")


def _names(by: Transformer, names: list[str]) -> list[str]:
    return [_value(EntityType.PERSON, name, by=by) for name in names]


_LAST = [
    "Smith",
    "Johnson",
    "Williams",
    "Brown",
    "Jones",
    "Garcia",
    "Miller",
    "Davis",
    "Rodriguez",
    "Martinez",
]
_LAST += [
    "Hernandez",
    "Lopez",
    "Gonzalez",
    "Wilson",
    "Anderson",
    "Thomas",
    "Taylor",
    "Moore",
    "Jackson",
    "Martin",
]


@st.composite
def _texts(draw: st.DrawFn) -> tuple[str, list[Finding]]:
    text = draw(st.text(min_size=1, max_size=120))
    cuts = draw(st.lists(st.integers(0, len(text)), unique=True, max_size=12).map(sorted))
    findings = [
        Finding(start, end, draw(st.sampled_from(EntityType)), 0.9, "test")
        for start, end in zip(cuts[::2], cuts[1::2], strict=False)
    ]
    return text, findings


@settings(deadline=None)
@given(_texts(), st.sampled_from([_SECRET, _SAFE_HARBOR]))
def test_what_is_no_finding_stays_and_places_are_exact(
    drawn: tuple[str, list[Finding]], by: Transformer
) -> None:
    text, findings = drawn
    replaced = by.apply(text, findings, subject=None)
    assert len(replaced.changes) == len(findings)
    rebuilt, done = [], 0
    for change, finding in zip(replaced.changes, findings, strict=True):
        assert replaced.text[change.start : change.end] == change.replacement
        assert text[finding.start : finding.end] == change.original
        rebuilt += [replaced.text[done : change.start], change.original]
        done = change.end
    assert "".join([*rebuilt, replaced.text[done:]]) == text


@pytest.mark.parametrize("spans", [[(0, 4), (2, 6)], [(4, 6), (0, 2)], [(3, 3)], [(0, 99)]])
def test_findings_that_overlap_are_refused(spans: list[tuple[int, int]]) -> None:
    findings = [Finding(*span, EntityType.PERSON, 0.9, "test") for span in spans]
    with pytest.raises(ValueError, match="apart"):
        _SECRET.apply("some text here", findings, subject=None)


def test_a_change_shows_neither_side() -> None:
    change = Change(0, 4, 0, 5, "Alice", "Mary", EntityType.PERSON, Action.SURROGATE)
    assert "Alice" not in repr(change)
    assert "Mary" not in repr(change)


def test_one_person_has_one_surrogate_however_it_is_written() -> None:
    first, last = _value(EntityType.PERSON, "Robert Johnson").split()
    assert _value(EntityType.PERSON, "Johnson") == last
    assert _value(EntityType.PERSON, "JOHNSON, ROBERT") == f"{last}, {first}".upper()
    assert _value(EntityType.PERSON, "Dr. Johnson's") == f"Dr. {last}'s"
    assert _value(EntityType.PERSON, "robert johnson") == f"{first} {last}".lower()
    mail = _value(EntityType.EMAIL, "robert.johnson@mercy.org")
    assert re.fullmatch(rf"{first}\.{last}@example\.(org|com|net)", mail, re.IGNORECASE)


def test_gender_and_script_stay() -> None:
    from faker.providers.person.en_US import Provider

    female, male = set(Provider.first_names_female), set(Provider.first_names_male)
    for name in ("Mary", "Jennifer", "Susan"):
        assert _value(EntityType.PERSON, f"{name} Smith").split()[0] in female - male
    for name in ("James", "Robert", "David"):
        assert _value(EntityType.PERSON, f"{name} Smith").split()[0] in male - female
    russian = _value(
        EntityType.PERSON, "\u0418\u0432\u0430\u043d \u041f\u0435\u0442\u0440\u043e\u0432"
    )
    assert re.fullmatch("[\u0400-\u04ff]+ [\u0400-\u04ff]+", russian)


def test_no_listed_name_shares_its_surrogate_or_keeps_its_own() -> None:
    from faker.providers.person.en_US import Provider

    names = sorted(set(Provider.last_names))
    made = [_SECRET.value(EntityType.PERSON, f"Mr. {name}", subject=None) for name in names]
    changed = [pair for pair in zip(names, made, strict=True) if pair[1] == f"Mr. {pair[0]}"]
    assert changed == []
    assert len(set(made)) > 0.97 * len(names)  # some last names are first names, too


def test_a_dictionary_does_not_invert_surrogates_under_another_key() -> None:
    # Story: somebody has the output, this program and a list of all names, but not the key. The
    # list is put through the program under a key of one's own, and looked up backwards.
    table = dict(zip(_names(_ELSEWHERE, _LAST), _LAST, strict=True))
    inverted = [table.get(made) for made in _names(_SECRET, _LAST)]
    hits = sum(guess == name for guess, name in zip(inverted, _LAST, strict=True))
    assert hits <= 1  # by chance: 20 names of a thousand
    with_key = dict(zip(_names(_SECRET, _LAST), _LAST, strict=True))
    assert [with_key[made] for made in _names(_SECRET, _LAST)] == _LAST


def test_two_datasets_under_two_keys_cannot_be_linked() -> None:
    # Story: two hospitals de-identify the same patients; somebody joins the outputs.
    assert len(set(_names(_SECRET, _LAST)) & set(_names(_ELSEWHERE, _LAST))) <= 2
    for entity, value in (
        (EntityType.MEDICAL_RECORD, "84713059"),
        (EntityType.EMAIL, "a.jones@mercy.org"),
        (EntityType.URL, "https://mercy.org/jones"),
    ):
        assert _value(entity, value) != _value(entity, value, by=_ELSEWHERE)


def test_dates_of_a_subject_keep_their_intervals_and_move_apart_from_others() -> None:
    days: dict[str, int] = {}
    for subject in map(str, range(60)):
        moved = [
            date.fromisoformat(_SECRET.value(EntityType.DATE, value, subject=subject))
            for value in ("2020-02-20", "2020-03-14")
        ]
        assert (moved[1] - moved[0]).days == 23
        days[subject] = (moved[0] - date(2020, 2, 20)).days
    assert 0 not in days.values()
    assert all(-183 <= shift <= 182 for shift in days.values())
    # Story: an event's date is known for one subject; that must not date the others.
    assert len(set(days.values())) > 40


def test_safe_harbor_keeps_years_and_hides_the_oldest() -> None:
    assert _value(EntityType.DATE, "03/14/1985", by=_SAFE_HARBOR) == "1985"
    assert _value(EntityType.DATE, "March 14", by=_SAFE_HARBOR) == "[DATE]"
    assert _value(EntityType.DATE, "May 3, 1931", by=_SAFE_HARBOR) == "1936 or earlier"
    assert _value(EntityType.DATE, "early spring", by=_SAFE_HARBOR) == "[DATE]"
    assert _value(EntityType.AGE, "91-year-old", by=_SAFE_HARBOR) == "90+-year-old"
    assert _value(EntityType.AGE, "ninety-two years old", by=_SAFE_HARBOR) == "90+ years old"
    assert _value(EntityType.AGE, "89 y/o", by=_SAFE_HARBOR) == "89 y/o"


@pytest.mark.parametrize(
    ("code", "area"),
    [
        ("02139-4307", "021**"),
        ("03601", "000**"),
        ("SW1A 1AA", "SW**"),
        ("K1A 0B1", "K**"),
        ("1234 AB", "12**"),
        ("nowhere", "[POSTAL-CODE]"),
    ],
)
def test_postal_codes_name_large_areas(code: str, area: str) -> None:
    assert _value(EntityType.POSTAL_CODE, code, by=_SAFE_HARBOR) == area


def test_numbers_and_addresses_are_nobodys() -> None:
    assert re.fullmatch(r"\(\d{3}\) 555-01\d\d", _value(EntityType.PHONE, "(617) 867-5309"))
    assert _value(EntityType.PHONE, "+44 20 7123 4567").startswith("+44 20 7946 0")
    assert _value(EntityType.IP_ADDRESS, "10.1.2.3").startswith(("192.0.2.", "198.51.", "203.0."))
    assert _value(EntityType.IP_ADDRESS, "fe80::1").startswith("2001:db8::")
    assert _value(EntityType.URL, "https://mercy.org/x").startswith("https://example.org/")
    assert _value(EntityType.IBAN, "DE89370400440532013000").startswith("DE00")


def test_tokens_keep_the_form() -> None:
    token = _value(EntityType.MEDICAL_RECORD, "AB-0012345/x")
    assert re.fullmatch(r"[A-Z]{2}-\d{7}/[a-z]", token)
    numbers = [f"{number:08}" for number in range(500)]
    assert len({_value(EntityType.ACCOUNT, number) for number in numbers}) == len(numbers)


def test_places_and_organizations_keep_their_kind() -> None:
    assert re.fullmatch(
        r"\w+ General Hospital", _value(EntityType.ORGANIZATION, "Mercy General Hospital")
    )
    assert re.fullmatch(r"\w+, [A-Z]{2}", _value(EntityType.LOCATION, "Boston, MA"))
    made = _value(EntityType.ADDRESS, "123 Main Street, Apt 4")
    assert re.fullmatch(r"\d{3} \w+ Street, Apt \d", made)
    assert "123" not in made
    assert "Main" not in made


def test_actions_decide() -> None:
    configuration = Configuration(
        profile="own", actions={EntityType.PERSON: Action.KEEP, EntityType.SSN: Action.REDACT}
    )
    by = Transformer(configuration, _KEY)
    assert by.value(EntityType.PERSON, "Ann", subject=None) == "Ann"
    assert by.value(EntityType.SSN, "123-45-6789", subject=None) == "[SSN]"
    assert by.value(EntityType.PHONE, "555", subject=None) == "[PHONE]"
