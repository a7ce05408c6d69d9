"""How well and how fast identifiers are found, beside Presidio as it comes.

    python benchmarks/deid.py [--annotated FILE] [--notes 500] [--seed N] [--ner FOLDER]
                              [--only quality|rate] [--pairs 5] [--json FILE] [--failures]
    python benchmarks/deid.py --memory [--mb 10 100 1000]
    python benchmarks/deid.py --utility [--abstracts FILE]

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
inputs of growing size.

Utility: a linear classifier over words, trained and tested on text as it is and on the same text
de-identified (rules, `hipaa-safe-harbor`), on the same split: the specialty of the demo's notes,
each under a header full of identifiers, and the condition of real abstracts, which name nobody.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
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
from sealtune.testing.deid.generator import Note, Span, in_lines, make_annotated_notes
from sealtune.testing.deid.plain_presidio import PlainPresidio
from sealtune.testing.deid.scoring import Find, Score, score
from sealtune.testing.deid.utility import Utility, compare, demo_records, read_abstracts

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


def ner_engine(folder: Path) -> NerEngine:
    """Return how the model in `folder` is loaded, by the files that are in it."""
    kinds = {"meta.json": "spacy", "gliner_config.json": "gliner"}
    named = [kind for file, kind in kinds.items() if (folder / file).exists()]
    return NerEngine(engine=named[0] if named else "transformers", path=str(folder))


def systems(ner: Path | None) -> dict[str, Callable[[], Find]]:
    """Return how each system is loaded, by its name."""

    def ours(configuration: Configuration) -> Callable[[], Find]:
        return lambda: Pipeline.of(configuration).find

    with_presidio = BASE.model_copy(update={"presidio": True})
    found = {
        "sealtune rules": ours(BASE),
        "sealtune rules + Presidio": ours(with_presidio),
        "Presidio, no model": lambda: PlainPresidio().find,
    }
    if ner is not None:
        engine = ner_engine(ner)
        found["sealtune + model"] = ours(BASE.model_copy(update={"ner": engine}))
        if engine.engine == "spacy":
            found["Presidio + model"] = lambda: PlainPresidio(ner).find
    return found


def quality(sets: dict[str, list[Note]], ner: Path | None) -> list[dict]:
    """Return for each set and system its rows and leak rate."""
    results = []
    for name, load in systems(ner).items():
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
    lines = list(in_lines(make_annotated_notes(2_000, seed=99)))
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        for size in (mb * MB for mb in sizes):
            source, output = folder / "notes.jsonl", folder / f"out-{size}.jsonl"
            with source.open("wb") as file:
                for line in _repeated(lines, size):
                    file.write(line)
            begin = time.perf_counter()
            _sealtune(
                *("deidentify", source, "-o", output, "--profile", BASE.profile),
                *("--key", folder / "deid.key", "--jobs", jobs),
            )
            peak = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss
            seconds = time.perf_counter() - begin
            output.unlink()
            rows.append({"mb": size / MB, "peak_mib": peak / 1024, "seconds": seconds})
            print(f"{size / MB:8.0f} MB in: peak {peak / 1024:7.0f} MiB, {seconds:.0f} s")
    return rows


def _repeated(lines: list[bytes], size: int) -> Iterator[bytes]:
    written = 0
    while True:
        for line in lines:
            if written >= size:
                return
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
    arguments = parser.parse_args()
    result: dict = {"machine": f"{platform.machine()}, Python {platform.python_version()}"}
    if arguments.memory:
        result["memory"] = memory(arguments.mb, arguments.jobs)
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
        found = quality(sets, arguments.ner)
        show_quality(found)
        if arguments.failures:
            for item in found[: len(sets)]:
                show_failures(item["score"])
        result["quality"] = [{k: v for k, v in item.items() if k != "score"} for item in found]
    if arguments.only != "quality":
        # Notes full of identifiers, and prose with few: what most text lies between.
        texts = {"generated notes": [note.text for note in notes]}
        if arguments.abstracts and arguments.abstracts.is_file():
            texts["medical abstracts"] = read_abstracts(arguments.abstracts)[0][: arguments.notes]
        result["rate"] = {name: rate(each, arguments.pairs) for name, each in texts.items()}
        for name, each in result["rate"].items():
            show_rate(name, each)
    return result


if __name__ == "__main__":
    main()
