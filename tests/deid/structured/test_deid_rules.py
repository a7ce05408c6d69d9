"""What the rules find and leave, check digits, and text made to be slow or strange."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sealtune.deid.entities import EntityType, Finding
from sealtune.deid.folding import fold
from sealtune.deid.structured import checks
from sealtune.deid.structured.all import structured_detectors

E = EntityType
FOUND = [
    ("write to ann.lee@clinic.example.org today", "ann.lee@clinic.example.org", E.EMAIL),
    ("write to ann dot lee at clinic dot org", "lee at clinic dot org", E.EMAIL),
    ("Fax: 0171 555 0199", "0171 555 0199", E.FAX),
    ("reach me on (07) 5331 0577", "(07) 5331 0577", E.PHONE),
    ("+46-123-44-55 is his", "+46-123-44-55", E.PHONE),
    ("001-420-335-7509x38548", "001-420-335-7509x38548", E.PHONE),
    ("1-800-555-0199 x123", "1-800-555-0199 x123", E.PHONE),
    ("see heal-all.ie for more", "heal-all.ie", E.URL),
    ("from 98.85.59.159 at night", "98.85.59.159", E.IP_ADDRESS),
    ("host fe80::1ff:fe23:4567:890a up", "fe80::1ff:fe23:4567:890a", E.IP_ADDRESS),
    ("Med. Rec. No. 00-43-91", "00-43-91", E.MEDICAL_RECORD),
    ("Patient ID # AB4471", "AB4471", E.MEDICAL_RECORD),
    ("member number: XQ-88120-4", "XQ-88120-4", E.HEALTH_PLAN),
    ("SSN 531-21-7351", "531-21-7351", E.SSN),
    ("card 4532 2766 4457 7020", "4532 2766 4457 7020", E.PAYMENT_CARD),
    ("to DE89 3704 0044 0532 0130 00 by", "DE89 3704 0044 0532 0130 00", E.IBAN),
    ("driver's license H4937501", "H4937501", E.LICENSE),
    ("VIN 1HGCM82633A004352", "1HGCM82633A004352", E.VEHICLE),
    ("license plate 7ABC123", "7ABC123", E.VEHICLE),
    ("license plate: b-tk 7763.", "b-tk 7763", E.VEHICLE),
    ("my birthday is 11/23", "11/23", E.DATE),
    ("appt at the bay 4/24 18:42", "4/24", E.DATE),
    ("Spokane, 2/4\nDear Fernanda,", "2/4", E.DATE),
    ("serial no. PJN-204881", "PJN-204881", E.DEVICE),
    ("codice RSSMRA85T10A562S", "RSSMRA85T10A562S", E.NATIONAL_ID),
    ("admitted 3/14 with", "3/14", E.DATE),
    ("on 1998-06-28 14:48:14", "1998-06-28 14:48:14", E.DATE),
    ("am 3. März 2021 gesehen", "3. März 2021", E.DATE),
    ("le 14 février 2019", "14 février 2019", E.DATE),
    ("in October 2017 he", "October 2017", E.DATE),
    ("a 91-year-old man", "91", E.AGE),
    ("aged 103", "103", E.AGE),
    ("ninety-two years old", "ninety-two", E.AGE),
    ("at 12 Main St Apt 4B", "12 Main St Apt 4B", E.ADDRESS),
    ("wohnt Hauptstr. 12", "Hauptstr. 12", E.ADDRESS),
    ("12 rue de Rivoli", "12 rue de Rivoli", E.ADDRESS),
    ("Springfield, IL 62704", "62704", E.POSTAL_CODE),
    ("at SW1A 1AA now", "SW1A 1AA", E.POSTAL_CODE),
    ("quotes AB 12 34 56 C here", "AB 12 34 56 C", E.NATIONAL_ID),
    ("USt DE 136 695 976 an", "DE 136 695 976", E.TAX_ID),
    ("password: hunter2!x", "hunter2!x", E.SECRET),
    ("key AKIAIOSFODNN7EXAMPLE", "AKIAIOSFODNN7EXAMPLE", E.SECRET),
    ("see photograph IMG_2034.jpg", "IMG_2034.jpg", E.PHOTO),
    ("Drives a Honda, tag 7KLM 204, insured", "7KLM 204", E.VEHICLE),
    ("logged in as mtorres.", "mtorres", E.USERNAME),
    ("temporary password Welcome2024! given", "Welcome2024!", E.SECRET),
    ("IBAN de89 3704 0044 0532 0130 00", "de89 3704 0044 0532 0130 00", E.IBAN),
    ("from 03/04 to 03/09 she", "03/09", E.DATE),
    ("Date of birth: 4/19", "4/19", E.DATE),
    ('"birthDate": "4/19"', "4/19", E.DATE),
    ("compared with 4/19. Stable", "4/19", E.DATE),
    ("on 12 Nov 61 aspirin", "12 Nov 61", E.DATE),
    ("seen may 14", "may 14", E.DATE),
    ("mac:a1-b2-c3-d4-e5-f6.", "a1-b2-c3-d4-e5-f6", E.DEVICE),
    ("SN = QX-7741-B", "QX-7741-B", E.DEVICE),
    ("login - kq-zz81", "kq-zz81", E.USERNAME),
    ('"license_plate": "kq9 417"', "kq9 417", E.VEHICLE),
    ("quorra mn 55401", "55401", E.POSTAL_CODE),
    ("Christmas Day 2019", "Christmas Day 2019", E.DATE),
    ("postcode: 2000", "2000", E.POSTAL_CODE),
    ("return to Πλατεία Μαβίλη 170", "Πλατεία Μαβίλη 170", E.ADDRESS),
    ("I live in 22 Ibirapita, Montevideo", "22 Ibirapita", E.ADDRESS),
    ("45 Kerk Lis\nDurban\nnan\n7550", "45 Kerk Lis\nDurban\nnan\n7550", E.ADDRESS),
    ("accession no. S-19-04412", "S-19-04412", E.OTHER_ID),
]
LEFT = [
    "BP 120/80, HR 72, strength 5/5, pain 7/10",
    "potassium 4.1, sodium 138, glucose 104 mg/dL",
    "metformin 500 mg twice daily for 6 weeks",
    "ICD I10 and E11.9, CPT 99213",
    "a 54-year-old woman since 2011",
    "in 1998 and 2003, ratio 1:200",
    "she may return in 3 weeks",
    "During C to 170 the rate rose, 1-100 Hz. Relative ST changes",
    "blood agar plate 12 was positive, located at 3 cm",
]


@pytest.mark.parametrize(("text", "value", "entity"), FOUND)
def test_is_found(text: str, value: str, entity: EntityType) -> None:
    found = [item for item in _find(text) if item.entity is entity]
    start = text.index(value)
    assert any(item.start <= start and item.end >= start + len(value) for item in found)


@pytest.mark.parametrize("text", LEFT)
def test_what_only_looks_like_one_is_left(text: str) -> None:
    assert _find(text) == []


@pytest.mark.parametrize(
    ("check", "right"),
    [
        (checks.luhn, "4532276644577020"),
        (checks.iban, "DE89370400440532013000"),
        (checks.vin, "1HGCM82633A004352"),
        (checks.aba, "021000021"),
        (checks.npi, "1234567893"),
        (checks.uk_nhs, "9434765919"),
        (checks.pl_pesel, "44051401359"),
        (checks.it_fiscal, "RSSMRA85T10A562S"),
        (checks.es_dni, "12345678Z"),
        (checks.nl_bsn, "111222333"),
    ],
)
def test_another_last_digit_does_not_fit(check: checks.Check, right: str) -> None:
    assert check(right)
    last = "A" if right[-1].isalpha() and right[-1] != "A" else str((int(right[-1], 36) + 1) % 10)
    assert not check(right[:-1] + last)


@given(st.text(max_size=300))
def test_findings_lie_in_any_text(text: str) -> None:
    for item in _find(text):
        assert 0 <= item.start < item.end <= len(text)


@given(st.text(alphabet="a\u04051<b>/&#6490;\\u-\u200b\u00ad é", max_size=80))
def test_folded_places_are_places_of_the_original_in_order(text: str) -> None:
    folded = fold(text)
    spans = [folded.origin(i, i + 1) for i in range(len(folded.text))]
    assert all(0 <= start < end <= len(text) for start, end in spans)
    assert spans == sorted(spans)


@pytest.mark.parametrize(
    "piece",
    [
        "1",
        "1 ",
        "-",
        "@",
        "a@",
        "ab:",
        "MRN ",
        "January ",
        "12 a ",
        "12 Ab ",
        "1234 Ab\n",
        "99-628 Ab, ",
    ],
)
def test_repeated_pieces_end(piece: str) -> None:
    # A pattern that is not linear would not end here.
    _find(piece * 5_000)


def _find(text: str) -> list[Finding]:
    return [item for detector in structured_detectors() for item in detector.find(text)]


@pytest.mark.parametrize(
    ("text", "codes"),
    [
        ("Staging: T2N1M0 ER+", []),
        ("T1N0M0, later T3N2M1", []),
        ("Calgary, AB T2N 1M0", ["T2N 1M0"]),
        ("Calgary, AB T2P3K5", ["T2P3K5"]),
    ],
)
def test_stages_of_tumours_are_no_postal_codes(text: str, codes: list[str]) -> None:
    found = [text[f.start : f.end] for f in _find(text) if f.kind == "ca-postcode"]
    assert found == codes
