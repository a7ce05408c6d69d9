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


@pytest.mark.parametrize(
    "text",
    [
        "Die Untersuchung zeigte keine Auffälligkeiten, die Aufnahme erfolgte zur stationären "
        "Behandlung. In der Echokardiographie war die Pumpfunktion bei bekannter Herzinsuffizienz "
        "eingeschränkt. Unter Gabe von Schleifendiuretika kam es zu einer raschen Besserung.",
        "Nach komplikationslosem Eingriff wurde der Patient auf die Normalstation verlegt. Der "
        "Drainageschlauch konnte entfernt werden, die Mobilisation mit Unterarmgehstützen gelang.",
        "Wir bitten um Kontrolle der Blutwerte durch den Hausarzt. Bei Fieber, Schüttelfrost oder "
        "Zunahme der Beschwerden sollte sich die Patientin in unserer Notaufnahme vorstellen. "
        "Leber und Milz nicht tastbar, keine Rasselgeräusche, Grübeln seit dem Tod ihres Mannes.",
        "Diagnosen: Akute Cholezystitis, Zustand nach Appendektomie, Adipositas",
        "Labor: Leukozyten 12,3, Kreatinin 1,1, Natrium und Kalium im Normbereich",
        "Les examens ont montré une légère anémie. Dans les suites, elle a reçu un traitement. "
        "L'évolution est favorable. Pas de fièvre.",
        "El paciente fue ingresado por dolor. Tras la cirugía evolucionó bien. Niega fiebre.",
        "Alla dimissione le condizioni erano buone. Durante il ricovero nessuna febbre.",
    ],
)
def test_ordinary_sentences_of_other_languages_stay(pipeline: Pipeline, text: str) -> None:
    assert found(pipeline, text) == text


@pytest.mark.parametrize(
    ("text", "names"),
    [
        ("Die Patientin lebt mit ihrem Sohn Jörg in einer Wohnung", ["Jörg"]),
        (
            "Es wurde mit der Patientin Quorrander und von Dr. med. Xylweit gesprochen",
            ["Quorrander"],
        ),
        ("Wir danken der Frau Kollegin von der Heide für die Zuweisung", ["Heide"]),
        ("Sie ist mit dem Zug aus Bonn zur Tante Hildegard gefahren", ["Bonn", "Hildegard"]),
        ("Entlassung aus dem Universitätsklinikum Quorrau, das ist nicht weit", ["Quorrau"]),
        ("Prof. Dr. med. K.-H. Xylweit hat unterschrieben", ["K.-H. Xylweit"]),
        (
            "Er lebt mit seiner Frau in Quorrau, sie ist in Xylstadt geboren",
            ["Quorrau", "Xylstadt"],
        ),
        ("Sie lebt mit der Tochter in Bad Quorrau und ist wohlauf", ["Bad Quorrau"]),
    ],
)
def test_names_in_german_sentences_are_found(
    pipeline: Pipeline, text: str, names: list[str]
) -> None:
    left = found(pipeline, text)
    assert not [name for name in names if name in left]


def test_unknown_words_are_names_where_nouns_have_no_capitals(pipeline: Pipeline) -> None:
    assert "Quorrander" not in found(pipeline, "She was seen and then Quorrander left")


@pytest.mark.parametrize(
    "text",
    [
        "Child-Pugh A cirrhosis, House-Brackmann III, Mallampati II, Clavien-Dindo IIIa",
        "Nottingham grade 2, Wells score 3, Forrest IIa ulcer, Rome IV criteria, Ann Arbor stage 3",
        "Braden 18; Morse fall scale 45; Ottawa ankle rules, Boston bowel prep 9",
        "Billroth II, Hartmann procedure, Jackson-Pratt drain, Kirschner wire, Hill-Sachs lesion",
        "Ivor Lewis esophagectomy, Austin Moore prosthesis, Ludwig angina, Fournier gangrene",
        "Ewing sarcoma, Burkitt, Philadelphia chromosome, West Nile virus, Ebola, Zika, Marburg",
        "Charcot-Marie-Tooth, Stevens-Johnson syndrome, Salter-Harris II, Mallory-Weiss tear",
        "Folate 12. Fluorescein and Rose bengal. Cobb angle 30. Braxton Hicks contractions.",
        "Rx: Oxycodone 5mg PO. Started Herceptin and Perjeta, Entresto 24/26 mg, on Ozempic.",
        "fasting for Ramadan, home on Thanksgiving, before Easter, after Diwali and Hanukkah",
    ],
)
def test_eponyms_drugs_and_holidays_stay(pipeline: Pipeline, text: str) -> None:
    assert found(pipeline, text) == text


@pytest.mark.parametrize(
    ("text", "name"),
    [
        ("Austin Moore came in", "Austin Moore"),
        ("Morse 45 yo with chest pain", "Morse"),
        ("Wells 67 F with cough", "Wells"),
        ("seen by Dr. Wells", "Wells"),
        ("spoke to Mr. Easter", "Easter"),
        ("Jordan Morse, Braden 18", "Jordan Morse"),
    ],
)
def test_people_with_the_name_of_an_eponym_are_found(
    pipeline: Pipeline, text: str, name: str
) -> None:
    assert name not in found(pipeline, text)
