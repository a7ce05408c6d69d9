"""A report as one HTML page for who has to decide: needs nothing else, no script, no network.

First what remains, in words, then the figures, what was not looked for, and what was run on which
bytes. Holds what the report holds, less the words of its allow list and its patterns, of which only
the numbers are shown: an owner may have named people there.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from html import escape
from itertools import chain
from pathlib import Path
from typing import Any, Final

from sealtune.core.files import write_atomic
from sealtune.deid.config import Configuration
from sealtune.deid.report import VerifiedReport
from sealtune.deid.report_figures import TENTHS, PageFigures, page_figures
from sealtune.deid.report_pictures import report_pictures
from sealtune.deid.terms import weaker_than_profile

_POLICY: Final = (
    "default-src 'none'; style-src 'unsafe-inline'; base-uri 'none'; form-action 'none'"
)
_STYLE: Final = """
:root { color-scheme: light dark; --ink: #1b1f24; --paper: #ffffff; --line: #c9ced6;
  --soft: #f4f5f7; --first: #2b6cb0; --second: #c9a227; --third: #b5443a;
  --warn: #fff3cd; --warnink: #5c4300; }
@media (prefers-color-scheme: dark) { :root { --ink: #e6e9ee; --paper: #14171b;
  --line: #454b55; --soft: #1d2127; --first: #6ba6e8; --second: #d8b84a; --third: #e58a80;
  --warn: #4a3a0a; --warnink: #ffe9ad; } }
* { box-sizing: border-box; }
body { font: 1rem/1.55 system-ui, sans-serif; margin: 0 auto; max-width: 54rem; padding: 1.5rem;
  color: var(--ink); background: var(--paper); overflow-wrap: break-word; }
h1 { font-size: 1.6rem; margin: 0 0 .3rem; } h2 { font-size: 1.25rem; margin: 2.2rem 0 .5rem; }
h3 { font-size: 1rem; margin: 1.6rem 0 .3rem; }
.said { border-left: .3rem solid var(--first); background: var(--soft); padding: .2rem 1rem;
  border-radius: .2rem; }
.warn { background: var(--warn); color: var(--warnink); border-radius: .4rem;
  padding: .6rem .9rem; }
.key { display: grid; grid-template-columns: repeat(auto-fit, minmax(9rem, 1fr)); gap: .8rem;
  padding: 0; margin: 1rem 0; }
.key div { border: 1px solid var(--line); border-radius: .4rem; padding: .5rem .8rem;
  display: flex; flex-direction: column-reverse; justify-content: flex-end; }
.key dt { font-size: .85rem; } .key dd { margin: 0; font-size: 1.5rem; font-weight: 600; }
.facts { display: grid; grid-template-columns: minmax(7rem, max-content) 1fr; gap: .2rem 1rem; }
.facts dt { font-weight: 600; } .facts dd { margin: 0; min-width: 0; overflow-wrap: anywhere; }
code { font: .85em ui-monospace, monospace; }
figure { margin: .5rem 0 1rem; } figure svg { width: 100%; height: auto; }
table { border-collapse: collapse; margin: .3rem 0; font-variant-numeric: tabular-nums; }
th, td { border: 1px solid var(--line); padding: .2rem .7rem; text-align: right; }
tbody th, thead th:first-child { text-align: left; } th { font-weight: 600; }
thead th { background: var(--soft); } summary { cursor: pointer; }
@media print { :root { color-scheme: light; --ink: #000; --paper: #fff; --line: #aaa;
  --soft: #f4f5f7; --first: #2b6cb0; --second: #c9a227; --third: #b5443a; --warn: #fff;
  --warnink: #000; }
  body { max-width: none; padding: 0; } .warn { border: 1px solid #000; }
  figure, .key, tr { break-inside: avoid; } h2, h3 { break-after: avoid; } }
"""
_NOT_MEASURED: Final = "<p>Not measured.</p>\n"


def write_report_page(verified: VerifiedReport, path: Path) -> None:
    """Write `verified` as a page to `path`.

    Raises:
        ConfigError: `matplotlib` is not installed.
        StorageError: the disk refuses or is full.
    """
    write_atomic(path, report_page(verified).encode())


def report_page(verified: VerifiedReport) -> str:
    """Return `verified` as a page; the same report gives the same bytes.

    Raises:
        ConfigError: `matplotlib` is not installed.
    """
    figures = page_figures(verified.report)
    parts = chain(
        _head(verified),
        _remains(verified),
        _figures(figures, report_pictures(figures)),
        _limits(verified),
        _made(verified),
    )
    # A browser would decode a half of a surrogate pair, which JSON can spell, as an error.
    body = "".join(parts).encode("utf-8", "replace").decode()
    return (
        '<!doctype html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n'
        f'<meta http-equiv="Content-Security-Policy" content="{_POLICY}">\n'
        '<meta name="viewport" content="width=device-width, initial-scale=1">\n'
        '<meta name="referrer" content="no-referrer">\n'
        f"<title>De-identification report</title>\n<style>{_STYLE}</style>\n</head>\n"
        f"<body>\n{body}</main>\n</body>\n</html>\n"
    )


def _head(verified: VerifiedReport) -> Iterable[str]:
    predicate = verified.report.predicate
    yield "<header>\n<h1>De-identification report</h1>\n"
    yield f"<p>Stated on {_text(predicate.time)} and signed by <code>"
    yield f"{_text(verified.owner.text)}</code>.</p>\n</header>\n<main>\n"


def _remains(verified: VerifiedReport) -> Iterable[str]:
    report = verified.report
    said, k = report.predicate.statement, report.k
    # The sentences count records; a table may have counted people, who are fewer.
    group = "smallest group (k)" + ("" if k is None else f", in {report.k_of}")
    word = said.word if said.word == "de-identified" else f"{said.word} ({said.test})"
    yield "<section>\n<h2>What remains</h2>\n"
    yield f"<p>The output is <strong>{_text(word)}</strong>.</p>\n"
    yield f'<div class="said">\n<p>{_text(said.text)}</p>\n</div>\n'
    numbers = [
        ("residual findings per 10,000 records", f"{report.residual_per_10000:g}"),
        ("records", f"{report.predicate.records:,}"),
        ("records changed", f"{report.predicate.changed_records:,}"),
        (group, "not measured" if k is None else f"{k:,}"),
    ]
    yield '<dl class="key">\n'
    yield from (f"<div><dt>{_text(n)}</dt><dd>{_text(v)}</dd></div>\n" for n, v in numbers)
    yield "</dl>\n"
    for weakness in weaker_than_profile(report.deidentification):
        yield '<p class="warn"><strong>⚠ Weaker than its profile:</strong> '
        yield f"{_text(weakness)}.</p>\n"
    if report.predicate.reversible:
        yield '<p class="warn"><strong>⚠ Reversible:</strong> whoever has the vault and its key '
        yield "can put originals back.</p>\n"
    yield "</section>\n"


def _figures(figures: PageFigures, pictures: Mapping[str, str]) -> Iterable[str]:
    tenths = [f"from {tenth / TENTHS:.1f}" for tenth in range(len(figures.confidence))]
    residual = ("Type", "Sure", "Possible", "Replaced, and there again")
    yield "<section>\n<h2>Figures</h2>\n"
    yield from _figure("found", "Found in the input, by type", pictures)
    yield from _table(("Type", "Findings"), figures.found)
    yield from _figure("confidence", "How sure the detectors were", pictures)
    bins = list(zip(tenths, figures.confidence, strict=True))
    yield from _table(("Confidence", "Findings"), bins)
    nothing = "Nothing was found." if figures.looked_again else ""
    yield from _figure("residual", "Found in the output", pictures, none=nothing)
    if figures.residual:
        yield "<p>By a second detector, built differently. What is only possible "
        yield "may be a word, and is not in the figure per 10,000 records.</p>\n"
    yield from _table(residual, figures.residual)
    yield from _figure("group_sizes", "Records by the size of their group", pictures)
    yield from _table(("Group of", "Records"), figures.group_sizes)
    yield from _figure("linkage", "How often a record is matched with its person", pictures)
    yield from _table(("Who", "Matched"), [(who, f"{s:.2%}") for who, s in figures.linkage])
    yield "</section>\n"


def _figure(name: str, title: str, pictures: Mapping[str, str], *, none: str = "") -> Iterable[str]:
    yield f'<h3 id="{name}">{title}</h3>\n'
    if name in pictures:
        yield f"<figure>\n{pictures[name]}</figure>\n"
    else:
        yield f"<p>{none}</p>\n" if none else _NOT_MEASURED


def _table(header: Sequence[str], rows: Sequence[Sequence[object]]) -> Iterable[str]:
    if not rows:
        return
    yield "<details>\n<summary>As a table</summary>\n<table>\n<thead><tr>"
    yield from (f'<th scope="col">{_text(name)}</th>' for name in header)
    yield "</tr></thead>\n<tbody>\n"
    for first, *others in rows:
        cells = "".join(f"<td>{_number(value)}</td>" for value in others)
        yield f'<tr><th scope="row">{_text(str(first))}</th>{cells}</tr>\n'
    yield "</tbody>\n</table>\n</details>\n"


def _limits(verified: VerifiedReport) -> Iterable[str]:
    predicate = verified.report.predicate
    yield "<section>\n<h2>What was not looked for</h2>\n"
    yield from _list(predicate.statement.not_looked_for)
    yield "<p>The owner measured its own data. This report proves who says so and about which "
    yield "bytes, not that it is so.</p>\n</section>\n"
    if predicate.notes:
        yield "<section>\n<h2>Notes</h2>\n"
        yield from _list(predicate.notes)
        yield "</section>\n"


def _made(verified: VerifiedReport) -> Iterable[str]:
    report = verified.report
    predicate = report.predicate
    yield "<section>\n<h2>How it was made</h2>\n"
    yield from _facts(_configured(report.deidentification))
    done = ", ".join(f"{action} {count:,}" for action, count in sorted(predicate.actions.items()))
    yield from _facts([("Looked with", ", ".join(predicate.modes)), ("Done", done or "nothing")])
    yield "<h3>Digests</h3>\n"
    yield from _facts(
        [
            ("Report", report.digest),
            ("Input", f"sha256:{predicate.input}"),
            ("Output", report.output_digest),
            ("Records", report.records_digest),
            ("Configuration", f"sha256:{predicate.configuration_digest}"),
            ("Key", predicate.key_id),
            ("Signed by", verified.owner.text),
            ("Version", f"sealtune {predicate.sealtune}"),
        ]
    )
    yield "</section>\n"


def _configured(configuration: Configuration) -> Iterable[tuple[str, str]]:
    table, ner = configuration.table, configuration.ner
    yield "Profile", configuration.profile
    roles = [f"{name}: {rule.role.value}" for name, rule in configuration.fields.items()]
    yield "Fields", ", ".join(roles) or "none named, all are text"
    actions = [f"{entity.value}: {act.value}" for entity, act in configuration.actions.items()]
    yield "Actions", ", ".join(sorted(actions))
    yield "Asked of fields", f"k = {table.k}, l = {table.l}, t = {table.t:g}"
    yield "Left below", f"a confidence of {configuration.minimum_confidence:g}"
    yield "Years", "kept" if configuration.keep_years else "removed"
    yield "Model for names", "none" if ner is None else ner.engine
    yield "Own patterns", _named([item.name for item in configuration.recognizers])
    yield "Rosters", _named([item.name for item in configuration.rosters])
    yield "Allowed words", f"{len(configuration.allow):,}"


def _named(names: Sequence[str]) -> str:
    return f"{len(names)}: {', '.join(names)}" if names else "none"


def _facts(facts: Iterable[tuple[str, str]]) -> Iterable[str]:
    yield '<dl class="facts">\n'
    for name, value in facts:
        shown = f"<code>{_text(value)}</code>" if value.startswith("sha256:") else _text(value)
        yield f"<dt>{name}</dt><dd>{shown}</dd>\n"
    yield "</dl>\n"


def _list(items: Iterable[str]) -> Iterable[str]:
    yield "<ul>\n"
    yield from (f"<li>{_text(item)}</li>\n" for item in items)
    yield "</ul>\n"


def _number(value: object) -> str:
    return f"{value:,}" if isinstance(value, int) else _text(str(value))


def _text(text: Any) -> str:
    # Marks that turn the direction of text would let a signer make words read as others.
    return escape("".join(letter if letter.isprintable() else "\ufffd" for letter in str(text)))
