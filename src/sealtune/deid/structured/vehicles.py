"""Number plates by their surroundings, and vehicle numbers whose check digit does not fit."""

from __future__ import annotations

import re
from typing import Final

from sealtune.deid.entities import EntityType
from sealtune.deid.structured.rules import LETTERS, Rule, words

_CARS: Final = (
    "car|cars|truck|van|vehicle|suv|motorcycle|motorbike|scooter|sedan|pickup|minivan|ambulance|taxi"
    "|bus|honda|toyota|ford|chevrolet|chevy|nissan|hyundai|kia|mazda|subaru|volkswagen|vw|bmw|audi"
    "|mercedes|volvo|tesla|jeep|dodge|ram|gmc|fiat|peugeot|renault|citroen|skoda|seat|opel|vauxhall"
    "|lexus|acura|buick|cadillac|chrysler|lincoln|mitsubishi|suzuki|porsche|yamaha|harley|prius"
    "|corolla|camry|civic|accord|golf|auto|voiture|coche|wagen|fahrzeug|véhicule"
)
# In small letters only what a word cannot be: with a hyphen, or letters and digits together.
_LOWER: Final = (
    r"(?=[a-zäöü\- ]{0,8}\d)[a-zäöü]{1,3}(?:-[a-z0-9]{1,4}){1,2}(?: \d{1,4})?"
    r"|[a-z]{1,3}\d{2,4}[a-z]{0,3}|\d{1,4}-?[a-z]{2,4}"
)
_FORM: Final = (
    rf"(?P<v>[A-Z0-9ÄÖÜ]{{1,8}}(?:[\- ·.•]{{1,2}}[A-Z0-9]{{1,5}}){{0,3}}|{_LOWER})(?![\w])"
)


def _plate(text: str) -> bool:
    letters = sum(letter.isalpha() for letter in text)
    digits = sum(letter.isdigit() for letter in text)
    return 4 <= letters + digits <= 11 and digits > 0 and (letters > 0 or digits > 4)


def _mixed(text: str) -> bool:
    return _plate(text) and sum(letter.isalpha() for letter in text) > 1


def _vin_form(text: str) -> bool:
    digits = sum(letter.isdigit() for letter in text)
    return digits >= 5 and len(text) - digits >= 3


RULES: Final = (
    Rule(
        kind="plate-labelled",
        entity=EntityType.VEHICLE,
        confidence=0.9,
        words=words(
            "plate plates license licence registration vehicle car number kennzeichen matrícula"
            " matricula targa kenteken immatriculation placa rego nummernschild"
        ),
        leads=True,
        check=_plate,
        pattern=re.compile(
            r"(?i:(?:licen[sc]e |number |registration |vehicle |car )?plates?|kennzeichen|rego"
            r"|matr[íi]cula|targa|kenteken|immatriculation|placa|nummernschild|(?:vehicle|car)"
            r" (?:reg(?:istration)?|tags?))(?: ?(?i:numbers?|no\.?|nr\.?|#|tag))?\s{0,2}"
            r"(?:(?i:is|was|reads|reading)\b|[:#=(\"']){0,2}\s{0,2}(?:[A-Z]{2} (?=[A-Z0-9]{5,8}\b))?"
            + _FORM
        ),
    ),
    Rule(
        kind="plate-of-car",
        entity=EntityType.VEHICLE,
        confidence=0.8,
        words=words("tag tags reg registered registration plated"),
        leads=True,
        check=_plate,
        context=re.compile(rf"(?i)\b(?:{_CARS}|drives|driving|drove|parked)\b"),
        pattern=re.compile(
            r"(?i:tags?|reg(?:istered|istration)?|plated)\.?(?: ?(?i:numbers?|no\.?|nr\.?|#|as))?"
            r"\s{0,2}[:#=(]{0,2}\s{0,2}" + _FORM
        ),
    ),
    Rule(
        kind="plate-beside-car",
        entity=EntityType.VEHICLE,
        confidence=0.6,
        words=words(_CARS.replace("|", " ")),
        leads=True,
        check=_mixed,
        pattern=re.compile(
            rf"(?i:{_CARS})\b(?: [A-Za-z]{{2,12}}){{0,3}}(?: \(|, |: )"
            r"(?P<v>(?=[A-Z\- ]{0,8}\d)[A-Z0-9]{1,4}(?:[\- ·]{1,2}[A-Z0-9]{1,5}){0,3}"
            r"|[A-Z]{1,3}\d{2,4}[A-Z]{0,3})(?![\w])"
        ),
    ),
    Rule(
        kind="vin-form",
        entity=EntityType.VEHICLE,
        confidence=0.7,
        starts=(LETTERS, 1, 2, 3, 4, 5, 6),
        check=_vin_form,
        pattern=re.compile(r"[A-HJ-NPR-Z0-9]{17}(?![A-Za-z0-9])"),
    ),
)
