"""How well and how fast identifiers are found, beside Presidio as it comes.

    python benchmarks/deid.py [--annotated FILE] [--notes 500] [--seed N] [--ner FOLDER]
                              [--minimum-score 0.35] [--only quality|rate] [--pairs 5]
                              [--json FILE] [--failures]
    python benchmarks/deid.py --memory [--mb 10 100 1000]
    python benchmarks/deid.py --utility [--abstracts FILE]
    python benchmarks/deid.py --encoder [--notes 1200] [--seeds 0 1 2]

Quality: recall is over identifiers, each found if every letter and digit of it is covered by
findings of any type, since what matters is what remains; typed recall asks for the right type too.
Precision is over findings, each right if it overlaps an identifier; a finding in text that is
marked neutral (a title, a state, a time of day) counts neither way. F2 weighs recall twice. A
document leaks if one identifier in it was not found.

Rate: the same notes, one process pinned to one core, in alternation; seconds are those of the
processor, so that other programs on a busy machine do not count. Presidio as it comes fetches a
list of domains at run time: it gets the copy that its package carries instead, so nothing here
uses the network. Without a model it splits words with a blank spaCy pipeline for English.

Memory: the greatest resident set of `sealtune deidentify` and its processes, each on its own, over
inputs of growing size. A record is a note full of identifiers, a line with a person and numbers
that no other record has, and prose: an identifier every 200 characters or so.

Utility: a linear classifier over words, trained and tested on text as it is and on the same text
de-identified (rules, `hipaa-safe-harbor`), on the same split: the specialty of the demo's notes,
each under a header full of identifiers, and the condition of real abstracts, which name nobody.
With --encoder, the demo's own task: its notes with invented identifiers and its sentence encoder,
LoRA by sealtune's engine, on notes as they are and on the same notes de-identified, three seeds.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import random
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import asdict
from pathlib import Path

from sealtune.deid.config import PROFILES, Configuration, NerEngine
from sealtune.deid.detect import Pipeline
from sealtune.deid.entities import EntityType
from sealtune.deid.key import create_deid_key
from sealtune.deid.transforms import Transformer
from sealtune.testing.deid.generator import Note, Span, make_annotated_notes
from sealtune.testing.deid.plain_presidio import PlainPresidio
from sealtune.testing.deid.scoring import Find, Score, score
from sealtune.testing.deid.utility import Utility, compare, demo_records, read_abstracts
from sealtune.testing.notes import LABELS, make_notes, with_identifiers

MB = 1_000_000
BASE = PROFILES["hipaa-safe-harbor"]
MEMORY_MB = (10, 100, 1000)
# The types of presidio-research; titles are no identifiers here.
ANNOTATED_TYPES = {
    "PERSON": EntityType.PERSON,
    "ADDRESS": EntityType.ADDRESS,
    "LOCATION": EntityType.LOCATION,
    "ORGANIZATION": EntityType.ORGANIZATION,
    "PHONE_NUMBER": EntityType.PHONE,
    "CREDIT_CARD": EntityType.PAYMENT_CARD,
    "DATE_TIME": EntityType.DATE,
    "DOMAIN_NAME": EntityType.URL,
    "US_SSN": EntityType.SSN,
    "IP_ADDRESS": EntityType.IP_ADDRESS,
    "EMAIL_ADDRESS": EntityType.EMAIL,
    "US_DRIVER_LICENSE": EntityType.LICENSE,
    "AGE": EntityType.AGE,
    "IBAN_CODE": EntityType.IBAN,
    "ZIP_CODE": EntityType.POSTAL_CODE,
}


def read_annotated(path: Path) -> list[Note]:
    """Return the texts of a file in the format of presidio-research; other types are neutral."""
    notes = []
    for record in json.loads(path.read_text()):
        spans, neutral = [], []
        for item in record["spans"]:
            start, end = item["start_position"], item["end_position"]
            entity = ANNOTATED_TYPES.get(item["entity_type"])
            if entity is None:
                neutral.append((start, end))
            else:
                spans.append(Span(start, end, entity))
        notes.append(
            Note(
                text=record["full_text"],
                spans=tuple(spans),
                neutral=tuple(neutral),
                layout="annotated",
                language="en",
            )
        )
    return notes


def ner_engine(folder: Path, minimum: float) -> NerEngine:
    """Return how the model in `folder` is loaded, by the files that are in it."""
    kinds = {"meta.json": "spacy", "gliner_config.json": "gliner"}
    named = [kind for file, kind in kinds.items() if (folder / file).exists()]
    engine = named[0] if named else "transformers"
    return NerEngine(engine=engine, path=str(folder), minimum_score=minimum)


def systems(engine: NerEngine | None) -> dict[str, Callable[[], Find]]:
    """Return how each system is loaded, by its name."""

    def ours(configuration: Configuration) -> Callable[[], Find]:
        return lambda: Pipeline.of(configuration).find

    with_presidio = BASE.model_copy(update={"presidio": True})
    found = {
        "sealtune rules": ours(BASE),
        "sealtune rules + Presidio": ours(with_presidio),
        "Presidio, no model": lambda: PlainPresidio().find,
    }
    if engine is not None:
        found["sealtune + model"] = ours(BASE.model_copy(update={"ner": engine}))
        if engine.engine == "spacy":
            found["Presidio + model"] = lambda: PlainPresidio(Path(engine.path)).find
    return found


def quality(sets: dict[str, list[Note]], engine: NerEngine | None) -> list[dict]:
    """Return for each set and system its rows and leak rate."""
    results = []
    for name, load in systems(engine).items():
        find = load()
        for title, notes in sets.items():
            result = score(notes, find)
            results.append(
                {
                    "set": title,
                    "system": name,
                    "documents": result.documents,
                    "leak_rate": result.leak_rate,
                    "rows": result.rows(),
                    "score": result,
                }
            )
    return results


def _cell(value: float | None) -> str:
    return "-" if value is None else f"{100 * value:.1f}"


def show_quality(results: list[dict]) -> None:
    """Print a table in Markdown for each set."""
    for title in dict.fromkeys(item["set"] for item in results):
        of_set = [item for item in results if item["set"] == title]
        print(f"\n### {title}, {of_set[0]['documents']} documents\n")
        print("recall (typed recall) / precision / F2, in percent\n")
        print("| type | identifiers | " + " | ".join(item["system"] for item in of_set) + " |")
        print("|---|---:|" + "---|" * len(of_set))
        for rows in zip(*(item["rows"] for item in of_set), strict=True):
            cells = [
                f"{_cell(row['recall'])} ({_cell(row['typed_recall'])}) / "
                f"{_cell(row['precision'])} / {_cell(row['f2'])}"
                for row in rows
            ]
            print(f"| {rows[0]['type']} | {rows[0]['count']} | " + " | ".join(cells) + " |")
        leaks = [_cell(item["leak_rate"]) for item in of_set]
        print("| documents that leak |  | " + " | ".join(leaks) + " |")


def show_failures(result: Score) -> None:
    """Print what was missed and what was wrong; the texts are synthetic."""
    for title, items in (("missed", result.missed), ("wrong", result.wrong)):
        print(f"\n{title}:")
        for entity, text, around in sorted(items):
            print(f"  {entity.value:15} {text!r:40} {around}")


def rate(texts: list[str], pairs: int) -> dict:
    """Return megabytes per second of both and the ratio within each pair."""
    size = sum(len(text.encode()) for text in texts)
    finds = {"sealtune rules": Pipeline.of(BASE).find, "Presidio, no model": PlainPresidio().find}
    rates: dict[str, list[float]] = {name: [] for name in finds}
    for number in range(pairs + 1):
        for name, find in finds.items():
            begin = time.process_time()
            for text in texts:
                find(text)
            seconds = time.process_time() - begin
            if number:  # the first round warms up
                rates[name].append(size / seconds / MB)
    ours, theirs = rates.values()
    ratios = [one / other for one, other in zip(ours, theirs, strict=True)]
    return {
        "bytes": size,
        "pairs": pairs,
        "mb_per_second": {name: _summary(values) for name, values in rates.items()},
        "ratio": _summary(ratios),
    }


def _summary(values: list[float]) -> dict[str, float]:
    return {"median": statistics.median(values), "min": min(values), "max": max(values)}


def show_rate(name: str, result: dict) -> None:
    """Print rates and ratio."""
    print(f"\n### Rate, {result['bytes'] / MB:.2f} MB of {name}, {result['pairs']} pairs\n")
    for name, values in result["mb_per_second"].items():
        spread = f"({values['min']:.3f} to {values['max']:.3f})"
        print(f"{name:22}{values['median']:8.3f} MB/s per core  {spread}")
    ratio = result["ratio"]
    print(f"{'ratio':22}{ratio['median']:8.2f}  ({ratio['min']:.2f} to {ratio['max']:.2f})")


def memory(sizes: list[int], jobs: int) -> list[dict]:
    """Return the greatest resident set of the command over inputs of growing size."""
    rows = []
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        for size in (mb * MB for mb in sizes):
            source, output = folder / "notes.jsonl", folder / f"out-{size}.jsonl"
            with source.open("wb") as file:
                file.writelines(_letters(size))
            begin = time.perf_counter()
            _sealtune(
                *("deidentify", source, "-o", output, "--profile", BASE.profile),
                *("--key", folder / "deid.key", "--jobs", jobs),
            )
            seconds = time.perf_counter() - begin
            # Of all processes that this one waited for, and their own: the largest so far.
            peak = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss
            written = output.stat().st_size
            output.unlink()
            rate = size / MB / seconds
            rows.append({"mb": size / MB, "peak_mib": peak / 1024, "seconds": seconds})
            print(
                f"{size / MB:8.0f} MB in, {written / MB:.0f} MB out: peak {peak / 1024:7.0f} MiB, "
                f"{seconds:.0f} s, {rate:.2f} MB/s",
                flush=True,
            )
    return rows


def _letters(size: int) -> Iterator[bytes]:
    """Yield lines of about `size` bytes in all: each a note, somebody of its own, and prose."""
    draw = random.Random(5)
    notes = [note.text for note in make_annotated_notes(2_000, seed=99)]
    prose = [note["text"] for note in make_notes(4_000, seed=98)]
    vowels, consonants = "aeiou", "bdfgklmnprstv"
    written = 0
    while written < size:
        family = "".join(draw.choice(consonants) + draw.choice(vowels) for _ in range(4)).title()
        number = draw.randrange(10**9, 10**10)
        who = f"Patient: {draw.choice('ABCDEFGHJKLMNPRST')}. {family}, MRN {number}"
        call = f"call 555-{number % 900 + 100}-{number // 1000 % 10**4:04d}"
        body = "\n".join(draw.choices(prose, k=8))
        text = f"{draw.choice(notes)}\n{who}, {call}.\n{body}"
        line = json.dumps({"text": text}, ensure_ascii=False).encode() + b"\n"
        written += len(line)
        yield line


def _sealtune(*arguments: object) -> None:
    command = [sys.executable, "-m", "sealtune.cli.main", *map(str, arguments)]
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL)


def utility(abstracts: Path | None, seed: int) -> dict[str, dict]:
    """Return and print accuracies before and after, on the demo's notes and on abstracts."""
    sets = {"demo's notes": demo_records(2_000, seed=seed)}
    if abstracts is not None and abstracts.is_file():
        sets["medical abstracts"] = read_abstracts(abstracts)
    results = {}
    for name, (texts, labels) in sets.items():
        result = compare(texts, labels, cleaner())
        results[name] = {**asdict(result), "loss": result.loss}
        show_utility(name, result)
    return results


def encoder(count: int, seeds: list[int]) -> dict[str, list[float]]:
    """Return and print accuracies of the demo's encoder, trained and tested before and after."""
    notes = with_identifiers(make_notes(count, seed=11), seed=12)
    clean = cleaner()
    sets = {
        "as they are": [note["text"] for note in notes],
        "de-identified": [clean(note["text"]) for note in notes],
    }
    labels = [LABELS.index(note["label"]) for note in notes]
    found: dict[str, list[float]] = {name: [] for name in sets}
    for seed in seeds:
        for name, texts in sets.items():
            found[name].append(_encoder_accuracy(texts, labels, seed))
            print(f"seed {seed}, notes {name}: accuracy {found[name][-1]:.2f} %", flush=True)
    before, after = (statistics.mean(values) for values in found.values())
    changed = sum(one != other for one, other in zip(*sets.values(), strict=True))
    print(
        f"{count} notes, {changed} changed, every fifth held out: accuracy {before:.2f} %, "
        f"de-identified {after:.2f} %, loss {before - after:+.2f} points (means of {len(seeds)})"
    )
    return found


def _encoder_accuracy(texts: list[str], labels: list[int], seed: int) -> float:
    # Of the neighbouring script, which is not part of the package.
    from medical_abstracts import SETTINGS, FolderWeights
    from sealtune.testing.demo.encoder import find_encoder
    from sealtune.training.recipe import Recipe
    from sealtune.training.sources import NoCheckpoints, NoTelemetry
    from sealtune.training.train import train

    records = [{"text": t, "label": label} for t, label in zip(texts, labels, strict=True)]
    recipe = Recipe(
        **(SETTINGS | {"epochs": 3}),
        task="text-classification",
        method="lora",
        labels=LABELS,
        seed=seed,
        precision="bf16",
        evaluation_fraction=0.0,
    )
    result = train(
        recipe,
        weights=FolderWeights(find_encoder()),
        records=[record for at, record in enumerate(records) if at % 5],
        checkpoints=NoCheckpoints(),
        telemetry=NoTelemetry(),
        evaluation_records=records[::5],
    )
    return 100 * result.metrics["accuracy_after"]


def cleaner() -> Callable[[str], str]:
    """Return what replaces identifiers in a text, with a fresh key."""
    pipeline = Pipeline.of(BASE)
    with tempfile.TemporaryDirectory() as folder:
        transformer = Transformer(BASE, create_deid_key(Path(folder) / "deid.key"))
    return lambda text: transformer.apply(text, pipeline.find(text), subject=None).text


def show_utility(name: str, result: Utility) -> None:
    """Print one comparison."""
    print(
        f"{name:20} {result.documents} documents, {result.changed} changed, {result.held_out} held "
        f"out: accuracy {result.before:.2f} %, de-identified {result.after:.2f} %, "
        f"loss {result.loss:+.2f} points"
    )


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--annotated", type=Path)
    parser.add_argument("--notes", type=int, default=500)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--ner", type=Path)
    parser.add_argument("--minimum-score", type=float, default=0.35)
    parser.add_argument("--only", choices=("quality", "rate"))
    parser.add_argument("--pairs", type=int, default=5)
    parser.add_argument("--core", type=int, default=max(os.sched_getaffinity(0)))
    parser.add_argument("--jobs", type=int, default=1)
    parser.add_argument("--json", type=Path)
    parser.add_argument("--failures", action="store_true")
    parser.add_argument("--memory", action="store_true")
    parser.add_argument("--mb", type=int, nargs="+", default=MEMORY_MB)
    parser.add_argument("--utility", action="store_true")
    parser.add_argument("--abstracts", type=Path)
    parser.add_argument("--encoder", action="store_true")
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2])
    arguments = parser.parse_args()
    result: dict = {"machine": f"{platform.machine()}, Python {platform.python_version()}"}
    if arguments.memory:
        result["memory"] = memory(arguments.mb, arguments.jobs)
    elif arguments.encoder:
        result["encoder"] = encoder(arguments.notes, arguments.seeds)
    elif arguments.utility:
        result["utility"] = utility(arguments.abstracts, arguments.seed)
    else:
        result |= measure(arguments)
    if arguments.json:
        arguments.json.write_text(json.dumps(result, indent=1, default=lambda _: None) + "\n")


def measure(arguments: argparse.Namespace) -> dict:
    """Measure and print quality, rate, or both."""
    os.sched_setaffinity(0, {arguments.core})
    notes = make_annotated_notes(arguments.notes, seed=arguments.seed)
    result: dict = {"seed": arguments.seed}
    if arguments.only != "rate":
        sets = {"generated notes": notes}
        if arguments.annotated and arguments.annotated.is_file():
            sets["annotated file"] = read_annotated(arguments.annotated)
        elif arguments.annotated:
            print(f"{arguments.annotated}: absent, skipped")
        ner = arguments.ner and ner_engine(arguments.ner, arguments.minimum_score)
        found = quality(sets, ner)
        show_quality(found)
        if arguments.failures:
            for item in found[: len(sets)]:
                show_failures(item["score"])
        result["quality"] = [{k: v for k, v in item.items() if k != "score"} for item in found]
    if arguments.only != "quality":
        # Notes of identifiers alone, notes in prose, and prose with hardly any.
        letters = [json.loads(line)["text"] for line in _letters(400_000)]
        texts = {"generated notes": [note.text for note in notes], "notes within prose": letters}
        if arguments.abstracts and arguments.abstracts.is_file():
            texts["medical abstracts"] = read_abstracts(arguments.abstracts)[0][: arguments.notes]
        result["rate"] = {name: rate(each, arguments.pairs) for name, each in texts.items()}
        for name, each in result["rate"].items():
            show_rate(name, each)
    return result


if __name__ == "__main__":
    main()
