"""A small model for names, trained here, so that "rules and a model" can be measured at all.

Where no trained model can be fetched, this makes one: sentences of its own templates (clinical
notes, letters, mail, small talk), filled with names, places and firms of Faker in many locales and
with composed hospitals and employers; sentences of medical abstracts, if given, are text without
names. It is a stand-in: a model that learned from people's text knows more than these sentences
say. Nothing of it comes from the generator of `benchmarks/deid.py`, but that draws many of its
names from Faker as well, so a model that knows such names has an advantage there.

    python benchmarks/ner_model.py FOLDER [--engine transformers|spacy] [--abstracts FILE]
    python benchmarks/deid.py --only quality --ner FOLDER --minimum-score SCORE

transformers: the demo's sentence encoder all-MiniLM-L6-v2 (uncased: capitals tell it nothing) with
a head for words, its word embeddings frozen; spacy: a blank English pipeline, trained from nothing.
Every fifth template and every tenth name of each locale is held out. What is printed is measured
on those, through sealtune's own adapter: a name is found if every letter and digit of it is
covered, a finding is right if it overlaps a name. SCORE is the least score with the best F2 there,
which weighs recall twice.
"""

from __future__ import annotations

import argparse
import csv
import os
import random
import re
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

from faker import Faker
from tqdm import tqdm

from sealtune.deid.config import NerEngine
from sealtune.deid.entities import EntityType
from sealtune.deid.ner.engine import load_engine
from sealtune.testing.deid.generator import Note, Span
from sealtune.testing.deid.scoring import score
from sealtune.testing.demo.encoder import find_encoder

LABELS = ("O", "B-PER", "I-PER", "B-LOC", "I-LOC", "B-ORG", "I-ORG")
KINDS = {"PER": EntityType.PERSON, "LOC": EntityType.LOCATION, "ORG": EntityType.ORGANIZATION}
SPACY = {"PER": "PERSON", "LOC": "GPE", "ORG": "ORG"}
SLOTS = {
    **dict.fromkeys(("person", "first", "last", "formal"), "PER"),
    **dict.fromkeys(("city", "country", "street"), "LOC"),
    **dict.fromkeys(("firm", "hospital", "employer"), "ORG"),
}
LOCALES = (
    "en_US en_US en_US en_GB en_GB de_DE fr_FR es_ES ro_RO nl_NL sv_SE pl_PL pt_PT da_DK fi_FI "
    "cs_CZ en_IN"
).split()
LENGTH = 192  # tokens of a training text
BATCH = 16
RATE = 3e-4
SPACY_ROUNDS = 4
SCORES = (0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9)  # a configuration counts nothing below 0.3

ENGLISH = """
{person} was admitted to {hospital} on {date} with {illness}.
Patient: {formal}
Name: {person}   DOB: {date}   Sex: {sex}
Seen today by Dr. {last}, who agrees with the plan.
Mr. {last} is a {age}-year-old man from {city} who works for {employer}.
Mrs {last} lives with her son {first} in {city}, {country}.
Referred by {person}, MD, {hospital}.
{first} denies chest pain, fever or chills. No {illness} in the family.
Discussed with the daughter, {person}, by telephone ({phone}).
Discharged home on {drug} {dose}; follow-up at {hospital} in two weeks.
The patient was transferred from {hospital} in {city} for further care.
cc: {person}, {person}
Attending: {person}
Ms. {last}'s blood pressure was {dose} today, and {drug} was stopped.
Electronically signed by {person} on {date} at {time}
Next of kin: {person} (wife), {street}, {city}
Emergency contact: {person}, brother, {phone}
Address: {street}, {zip} {city}
Employer: {employer}
Insurance: {firm}, policy {code}
Social: retired from {employer}, widowed, never smoked, was born in {country}.
He moved here from {country} in {year} and has a sister in {city}.
Biopsy reviewed at {hospital}, pathologist {person}.
{formal}: routine visit, no complaints, continue {drug}.
Nurse {first} noted that the Foley catheter was removed at {time}.
I spoke to {first} about the risks of {drug}, and she wishes to think about it.
Dear Dr {last}, thank you for seeing this pleasant lady with {illness}.
Dear {first}, I hope that you and the children are well.
Dear Mr and Mrs {last}, your appointment is on {date} at {time}.
Kind regards, {person}
Yours sincerely, {person}, {firm}
Best, {first}
From: {person} <{email}>
To: {person}
Sent from my phone. {first}
Hi {first}, can you send {last} the figures for {firm} by {date}?
{firm} has signed the contract with {firm}, as {person} told us.
I am writing on behalf of {firm}, {street}, {city}.
Please make the cheque out to {person} and post it to {street}, {city}, {country}.
The meeting with {employer} was moved to {city}; {first} will bring the papers.
{person} joined {firm} in {year} as head of sales.
Shares of {firm} fell after {person} resigned.
We would like to invite {person} of {employer} to speak in {city}.
Your order from {firm} will be delivered to {street}, {zip} {city}.
My name is {person} and I want to close my account with {firm}.
this is {first}, is {first} at home?
have you heard from {first} lately? she moved to {city} last month
we met {person} at the airport in {city}
i used to work at {employer} before i came to {country}
{first} and {first} are getting married in {city}!
Tell {last} that the car is ready.
Do you know how I get from {city} to {city} by train?
The weather in {city} was terrible, so we drove on to {country}.
What does {firm} pay these days?
{person}, aged {age}, of {city}, was fined for speeding.
According to {person}, the factory in {city} will close in {year}.
The author studied at {employer} and lives in {country}.
Flights from {country} to {country} are cancelled until {date}.
{first}'s phone number is {phone}, or write to {email}.
Our colleague {person} has left the firm; please ask {person} instead.
Is {hospital} open on Saturdays? I need to see a dentist.
A parcel for {person}, c/o {firm}, {street}, {city} {zip}
Interpreter: {person}. Language: Polish.
Witness statement of {person}, {street}, {city}
"Sit down, {first}," said {last}, and closed the door.
School: {employer}; teacher: Ms {last}
Primary care: {person} / {hospital} / {phone}
Account holder {person}, card {code}, valid until {date}
Nobody at {firm} had seen {last} since Monday.
Visited {country}, {country} and {country} this year with my husband {first}.
Thanks {first} - {last} from {hospital} called again about the {drug}.
Consultant: {formal} | Ward: B4 | Bed: 12
"""
OTHER = """
Herr {last} wurde am {date} im {hospital} in {city} wegen {illness} aufgenommen.
Sehr geehrte Frau {last}, wir danken für Ihr Schreiben vom {date}.
Mit freundlichen Grüßen, {person}, {firm}
Die Patientin {person} wohnt in {city}, {street}.
Patient: {formal}, geb. {date}, Hausarzt Dr. {last}
Er arbeitet seit {year} bei {firm} in {city}.
M. {last} a été hospitalisé à {hospital} le {date}.
Chère {first}, nous serons à {city} demain.
Mme {person}, née le {date}, demeurant {street}, {city}
Cordialement, {person}
Il travaille chez {firm} depuis {year}.
La paciente {person} acude a {hospital} por {illness}.
Estimado Sr. {last}: le escribo desde {city}.
Un saludo, {person}
Trabaja en {firm} y vive en {city}, {country}.
La signora {last} abita a {city} e lavora per {firm}.
Il dottor {person} ha visto il paziente il {date}.
Mevrouw {last} is opgenomen in {hospital} te {city}.
"""
NOBODY = """
Past history: Parkinson's disease, Hodgkin lymphoma and a Colles fracture in {year}.
No acute distress. Lungs clear, abdomen soft, Babinski negative.
Glasgow Coma Scale 15, Apgar 9, Murphy sign absent.
Start {drug} {dose} twice daily; stop {drug}.
MRI of the brain with contrast: no evidence of {illness}.
MRN: {code}   Visit: {date} {time}   Account: {code}
Allergies: Penicillin, Latex. Medications: {drug}, {drug}, {drug}.
The Department of Cardiology will call you back on Monday.
Vital signs: BP {dose}, temperature 37, pulse {age}.
Please call {phone} between {time} and {time} to confirm.
Follow up in the Emergency Room if the pain returns. Happy Easter!
Chief Complaint: shortness of breath
Assessment and Plan: {illness}, improving on {drug}
Could you give me the price of a return ticket in May?
can you recommend a good film for friday night
The invoice {code} of {date} is still open.
She speaks English, German and Turkish; her religion is not known.
We thank you for your patience and remain at your service.
Der Patient ist wach und orientiert, kein Anhalt für {illness}.
Le patient se plaint de douleurs depuis {date}.
Your password expires on {date}. Your one-time code is {code}.
To whom it may concern: the bearer was under our care for {illness}.
Laboratory: Hemoglobin 12, Sodium 140, Creatinine 1, all within limits
Sex: {sex}   Age: {age}   Ward: North 3
"""
MONTHS = "Jan Feb March April May June July Aug Sept Oct Nov Dec".split()
FORMS = {
    "person": ("{first} {last}",) * 3 + ("{first} {letter}. {last}", "{initial}. {last}"),
    "formal": ("{last}, {first}", "{FIRST} {LAST}", "{LAST}, {first}"),
    "hospital": (
        "{last} Memorial Hospital;{city} General Hospital;St. {first} Hospital;"
        "{city} Medical Center;University Hospital {city};{last} Clinic;Klinikum {city};"
        "Hôpital {last};Hospital de {city};{last} Children's Hospital;"
        "{city} Community Health Centre;{last} & {last} Dental"
    ).split(";"),
    "employer": (
        "University of {city};{city} Public Library;{last} Motors;{last} & Sons;"
        "{city} City Council;{last} Elementary School;{made} Labs;{made} Foods;{made} Airlines;"
        "{made};{made} Group;Bank of {city};{city} High School;{last} Steel Works;"
        "the {city} Gazette"
    ).split(";"),
    "drug": (
        "Metformin Lisinopril aspirin Warfarin Zoloft Humira Eliquis Lantus ibuprofen Keppra"
    ).split(),
    "illness": (
        "pneumonia;Crohn's disease;type 2 diabetes;Alzheimer's disease;hip fracture;COPD;sepsis;"
        "Bell's palsy;asthma;atrial fibrillation;Graves disease;migraine;gout;Lyme disease"
    ).split(";"),
    "sex": ("M", "F"),
    "dose": ("20 mg", "500 mg", "120/80", "5 ml"),
}


class Text(NamedTuple):
    """A text and where names are in it: start, end, PER, LOC or ORG."""

    text: str
    spans: tuple[tuple[int, int, str], ...]


class Writer:
    """Makes texts; those held out share neither templates nor names with the others."""

    def __init__(self, seed: int, *, names: int, held_out: bool, prose: list[str]) -> None:
        """Draw names, and keep the part of templates and prose that is asked for."""
        self._draw = random.Random(f"{seed}-{held_out}")
        drawn = {locale: _names(locale, seed, names) for locale in set(LOCALES)}
        self._pools = {
            locale: {kind: _part(values, held_out) for kind, values in kinds.items()}
            for locale, kinds in drawn.items()
        }
        named = ENGLISH.strip().splitlines() * 3 + OTHER.strip().splitlines()
        self._named = [t for t in named if (named.index(t) % 5 == 0) == held_out]
        self._nobody = _part(NOBODY.strip().splitlines(), held_out, every=5)
        cut = len(prose) * 9 // 10
        self._prose = prose[cut:] if held_out else prose[:cut]

    def write(self) -> Text:
        """Return one to six sentences, one in seven texts in small letters throughout."""
        draw, text, spans = self._draw, "", []
        for _ in range(draw.randint(1, 6)):
            text += draw.choice((" ", " ", "\n")) if text else ""
            sentence = self._sentence()
            spans += [(len(text) + a, len(text) + b, kind) for a, b, kind in sentence.spans]
            text += sentence.text
        small = text.lower()
        use = draw.random() < 0.15 and len(small) == len(text)
        return Text(small if use else text, tuple(spans))

    def _sentence(self) -> Text:
        kind = self._draw.random()
        if self._prose and kind < 0.15:
            return Text(self._draw.choice(self._prose), ())
        template = self._draw.choice(self._nobody if kind < 0.3 else self._named)
        pools = self._pools[self._draw.choice(LOCALES)]
        text, spans = "", []
        for piece in re.split(r"(\{\w+\})", template):
            slot = piece[1:-1] if piece.startswith("{") else ""
            value = self._value(slot, pools) if slot else piece
            if slot in SLOTS:
                spans.append((len(text), len(text) + len(value), SLOTS[slot]))
            text += value
        return Text(text, tuple(spans))

    def _value(self, slot: str, pools: dict[str, list[str]]) -> str:
        draw = self._draw
        if slot in pools:
            return draw.choice(pools[slot])
        names = {key: draw.choice(pools[key]) for key in ("first", "last", "city")}
        made = "".join(draw.choice("bdfgklmnprstv") + draw.choice("aeiou") for _ in range(3))
        first, last = names["first"], names["last"]
        names |= {"made": made.title(), "FIRST": first.upper(), "LAST": last.upper()}
        if slot == "person":
            names |= {"letter": draw.choice("ABCDEGHJKLMRST"), "initial": first[0]}
        if slot in FORMS:
            return draw.choice(FORMS[slot]).format_map(names)
        if slot == "email":
            return f"{first}.{last}@example.com".lower().replace(" ", "")
        return self._number(slot)

    def _number(self, slot: str) -> str:
        draw = self._draw
        if slot == "time":
            return f"{draw.randint(7, 19)}:{draw.randint(0, 59):02}"
        if slot == "date":
            day, month, year = draw.randint(1, 28), draw.randint(1, 12), draw.randint(1935, 2026)
            named = f"{day} {MONTHS[month - 1]} {year}"
            return draw.choice((f"{month:02}/{day:02}/{year}", named, f"{day}.{month}.{year}"))
        low, high = {"age": (1, 99), "year": (1950, 2026)}.get(slot, (10**4, 10**8))
        return str(draw.randint(low, high))


def _names(locale: str, seed: int, count: int) -> dict[str, list[str]]:
    fake = Faker(locale)
    fake.seed_instance(seed)
    makers = {"first": fake.first_name, "last": fake.last_name, "city": fake.city}
    makers |= {"firm": fake.company, "street": fake.street_address, "country": fake.country}
    return {
        kind: sorted({make().replace("\n", ", ") for _ in range(count)})
        for kind, make in makers.items()
    }


def _part(values: list[str], held_out: bool, every: int = 10) -> list[str]:
    return [value for at, value in enumerate(values) if (at % every == 0) == held_out]


def read_prose(path: Path | None) -> list[str]:
    """Return sentences of the abstracts in `path`, none if there is no such file."""
    if path is None or not path.is_file():
        return []
    with path.open(newline="") as file:
        texts = [row["medical_abstract"] for row in csv.DictReader(file)]
    sentences = (one for text in texts for one in re.split(r"(?<=\.) ", text))
    return [one for one in sentences if 20 < len(one) < 300]


def train_transformers(texts: list[Text], folder: Path, *, seed: int, minutes: float) -> None:
    """Train the demo's encoder with a head for words, and save it as safetensors."""
    import torch
    from transformers import AutoModelForTokenClassification, AutoTokenizer

    torch.manual_seed(seed)
    names = dict(enumerate(LABELS))
    source = find_encoder()
    tokenizer = AutoTokenizer.from_pretrained(source, model_max_length=512)
    model = AutoModelForTokenClassification.from_pretrained(
        source, id2label=names, label2id={name: at for at, name in names.items()}
    )
    # Frozen, so that the pieces of names that no sentence has keep their place among the others.
    model.get_input_embeddings().weight.requires_grad_(False)
    weights = [parameter for parameter in model.parameters() if parameter.requires_grad]
    optimizer = torch.optim.AdamW(weights, lr=RATE)
    batches = list(_batches(texts, seed))
    warm = len(batches) // 10 + 1
    schedule = torch.optim.lr_scheduler.LambdaLR(
        optimizer, lambda step: min((step + 1) / warm, 1 - step / (len(batches) + 1))
    )
    model.train()
    deadline = time.monotonic() + 60 * minutes
    for batch in (bar := tqdm(batches, disable=None)):
        inputs, labels = _encode(batch, tokenizer)
        loss = model(**inputs, labels=labels).loss
        loss.backward()
        torch.nn.utils.clip_grad_norm_(weights, 1.0)
        optimizer.step()
        schedule.step()
        optimizer.zero_grad()
        bar.set_postfix(loss=f"{loss.item():.3f}")
        if time.monotonic() > deadline:
            break
    model.save_pretrained(folder)
    tokenizer.save_pretrained(folder)


def _batches(texts: list[Text], seed: int) -> Iterator[list[Text]]:
    # Texts of like length together, so that little is padding; then in any order.
    ordered = sorted(texts, key=lambda item: len(item.text))
    batches = [ordered[at : at + BATCH] for at in range(0, len(ordered), BATCH)]
    random.Random(seed).shuffle(batches)
    return iter(batches)


def _encode(batch: list[Text], tokenizer: Any) -> tuple[Any, Any]:
    import torch

    inputs = tokenizer(
        [item.text for item in batch],
        truncation=True,
        max_length=LENGTH,
        padding=True,
        return_offsets_mapping=True,
        return_tensors="pt",
    )
    labels = torch.full(inputs["input_ids"].shape, -100)
    for row, (item, offsets) in enumerate(
        zip(batch, inputs.pop("offset_mapping").tolist(), strict=True)
    ):
        for column, (start, end) in enumerate(offsets):
            if end > start:
                labels[row, column] = LABELS.index(_label(item, start))
    return inputs, labels


def _label(item: Text, start: int) -> str:
    for first, last, kind in item.spans:
        if first <= start < last:
            return f"{'B' if start == first else 'I'}-{kind}"
    return "O"


def train_spacy(texts: list[Text], folder: Path, *, seed: int, minutes: float) -> None:
    """Train a blank English pipeline, and save it."""
    import spacy
    from spacy.training import Example
    from spacy.util import compounding, fix_random_seed, minibatch

    fix_random_seed(seed)
    model = spacy.blank("en")
    model.add_pipe("ner")
    examples = []
    for text, spans in texts:
        doc = model.make_doc(text)
        found = [doc.char_span(a, b, SPACY[kind], alignment_mode="expand") for a, b, kind in spans]
        kept = spacy.util.filter_spans([span for span in found if span])
        entities = [(span.start_char, span.end_char, span.label_) for span in kept]
        examples.append(Example.from_dict(doc, {"entities": entities}))
    optimizer = model.initialize(lambda: examples)
    deadline = time.monotonic() + 60 * minutes
    draw, sizes = random.Random(seed), compounding(8.0, 64.0, 1.01)
    for _ in tqdm(range(SPACY_ROUNDS), disable=None):
        draw.shuffle(examples)
        for batch in minibatch(examples, sizes):
            model.update(batch, sgd=optimizer, drop=0.2)
            if time.monotonic() > deadline:
                break
    model.to_disk(folder)


def hold_out(texts: list[Text], folder: Path, engine: str) -> float:
    """Print recall and precision over `texts`, and return the least score with the best F2."""
    values = {"engine": engine, "path": str(folder), "minimum_score": 0}
    detector = load_engine(NerEngine.model_validate(values))
    notes = [_note(item) for item in texts]
    found = {note.text: list(detector.find(note.text)) for note in tqdm(notes, disable=None)}
    best, least = -1.0, SCORES[0]
    print(f"{len(notes)} texts held out, in percent")
    print("score  recall  precision     F2   recall of persons, places, organizations")
    for minimum in SCORES:
        result = score(notes, lambda text, m=minimum: [f for f in found[text] if f.confidence >= m])
        row = result.rows()[-1]
        recall, precision, f2 = (row[name] or 0.0 for name in ("recall", "precision", "f2"))
        kinds = " ".join(f"{100 * (result.recall(kind) or 0.0):6.1f}" for kind in KINDS.values())
        print(f"{minimum:5.2f}{100 * recall:8.1f}{100 * precision:11.1f}{100 * f2:7.1f}  {kinds}")
        if f2 > best:
            best, least = f2, minimum
    return least


def _note(item: Text) -> Note:
    spans = tuple(Span(start, end, KINDS[kind]) for start, end, kind in item.spans)
    return Note(text=item.text, spans=spans, neutral=(), layout="held out", language="en")


def main() -> None:
    """Make sentences, train, measure on what was held out."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("folder", type=Path)
    parser.add_argument("--engine", choices=("transformers", "spacy"), default="transformers")
    parser.add_argument("--abstracts", type=Path)
    parser.add_argument("--texts", type=int, default=3_000)
    parser.add_argument("--names", type=int, default=400, help="of each kind and locale")
    parser.add_argument("--held-out", type=int, default=400)
    parser.add_argument("--minutes", type=float, default=30.0, help="stop training after that")
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    os.environ["HF_HUB_OFFLINE"] = "1"
    prose = read_prose(options.abstracts)
    writer = Writer(options.seed, names=options.names, held_out=False, prose=prose)
    texts = [writer.write() for _ in range(options.texts)]
    train = train_spacy if options.engine == "spacy" else train_transformers
    begin = time.monotonic()
    train(texts, options.folder, seed=options.seed, minutes=options.minutes)
    print(f"{len(texts)} texts, {time.monotonic() - begin:.0f} s of training")
    writer = Writer(options.seed, names=options.names, held_out=True, prose=prose)
    held = [writer.write() for _ in range(options.held_out)]
    print(f"minimum_score = {hold_out(held, options.folder, options.engine)}")


if __name__ == "__main__":
    main()
