"""Names, places and organizations without a model; words that look like names stay."""

from __future__ import annotations

import pytest

from sealtune.deid.config import PROFILES
from sealtune.deid.detect import Pipeline


@pytest.fixture(scope="module")
def pipeline() -> Pipeline:
    return Pipeline.of(PROFILES["hipaa-safe-harbor"])


def found(pipeline: Pipeline, text: str) -> str:
    """Return what is left of `text`, each letter of a finding replaced."""
    letters = list(text)
    for finding in pipeline.find(text):
        letters[finding.start : finding.end] = "#" * (finding.end - finding.start)
    return "".join(letters)


@pytest.mark.parametrize(
    ("text", "names"),
    [
        ("My name is zoltan kerekesovics and I called", ["zoltan", "kerekesovics"]),
        ("Dear Mr. O'Rourke, thank you", ["O'Rourke"]),
        ("Pt. Alice B. Walters, seen by Dr. Pérez-Núñez, RN Tran", ["Walters", "Pérez", "Tran"]),
        ("JOHNSON, ROBERT was admitted", ["JOHNSON", "ROBERT"]),
        ("his wife Ingrid came along", ["Ingrid"]),
        ("Attending: Okonkwo", ["Okonkwo"]),
        ("Electronically signed by: K. L. Bergström, MD", ["Bergström"]),
        ("spoke with Jan van der Meer and Abdul al-Rahman", ["Jan van der Meer", "al-Rahman"]),
        ("Поступил Сергей Кузнецов", ["Сергей Кузнецов"]),
        ("\u039f ασθενής Νίκος Παπαδόπουλος", ["Νίκος Παπαδόπουλος"]),
        ("المريض أحمد محمد", ["أحمد"]),
        ("患者\uff1a佐藤明美さん", ["佐藤明美"]),
        ("He grew up in opatovice and works at Zyntherra", ["opatovice", "Zyntherra"]),
        ("Transferred from Mercy Valley Hospital", ["Mercy Valley Hospital"]),
        ("works as a cashier at Fresh Mart. Pharmacy: walgreens", ["Fresh Mart", "walgreens"]),
        ("seen by Ji-woo Park, RN; Hometown: Tyrnavos", ["Ji-woo Park", "Tyrnavos"]),
        ("born in Ohio, lives in Küsnacht", ["Ohio", "Küsnacht"]),
        ("Mein Name ist Hildegard", ["Hildegard"]),
        ("Ich heiße Xylander und komme", ["Xylander"]),
        ("Je m'appelle Zoubir", ["Zoubir"]),
        ("Me llamo Ximeno", ["Ximeno"]),
        ("Il paziente si chiama Ulderico", ["Ulderico"]),
    ],
)
def test_finds_names_of_many_countries_in_many_contexts(
    pipeline: Pipeline, text: str, names: list[str]
) -> None:
    left = found(pipeline, text)
    for name in names:
        assert name not in left


@pytest.mark.parametrize(
    "text",
    [
        "Patient with Parkinson disease, Crohn's disease and a Foley catheter.",
        "Babinski sign negative. Hodgkin lymphoma in remission.",
        "The will of the patient is strong. He may mark the white stone.",
        "HISTORY OF PRESENT ILLNESS: chest pain. EKG and CBC normal. Started Lipitor.",
        "Neutrophil function was assessed. Moreover, Staphylococcus aureus grew.",
        "My name isn't known",
        "Der Name ist bekannt",
    ],
)
def test_leaves_words_of_medicine_and_of_every_day(pipeline: Pipeline, text: str) -> None:
    assert found(pipeline, text) == text


def test_a_name_found_once_is_found_wherever_it_recurs(pipeline: Pipeline) -> None:
    text = "Maria Kowalczyk came. kowalczyk's son; KOWALCZYK said; user mkowalczyk; M. Kowalczyk"
    assert "kowalczyk" not in found(pipeline, text).lower()
