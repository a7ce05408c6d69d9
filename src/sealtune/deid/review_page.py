"""A review as one HTML page that needs nothing else: no script, no font, no network."""

from __future__ import annotations

from collections.abc import Iterable
from html import escape
from pathlib import Path
from typing import Final

from sealtune.core.files import PRIVATE_MODE, write_atomic
from sealtune.deid.review import Review, ReviewedField, ReviewedRecord, Segment

_POLICY: Final = (
    "default-src 'none'; style-src 'unsafe-inline'; base-uri 'none'; form-action 'none'"
)
_STYLE: Final = """
:root { color-scheme: light dark; --line: #c9ced6; --soft: #f4f5f7; --old: #fde4e1;
  --new: #dcf3e0; --oldink: #7a1410; --newink: #0b4d1c; --warn: #fff3cd; --warnink: #5c4300; }
@media (prefers-color-scheme: dark) { :root { --line: #454b55; --soft: #1d2127; --old: #4a1d1a;
  --new: #143d20; --oldink: #ffc9c3; --newink: #b9f0c6; --warn: #4a3a0a; --warnink: #ffe9ad; } }
* { box-sizing: border-box; }
body { font: 1rem/1.55 system-ui, sans-serif; margin: 0 auto; max-width: 84rem; padding: 1.5rem; }
h1 { font-size: 1.6rem; margin: 0 0 .5rem; } h2 { font-size: 1rem; margin: 2rem 0 .5rem; }
.warn { background: var(--warn); color: var(--warnink); border-radius: .4rem;
  padding: .6rem .9rem; }
dl { display: grid; grid-template-columns: max-content 1fr; gap: .2rem 1rem; } dd { margin: 0; }
dt { font-weight: 600; }
table { border-collapse: collapse; table-layout: fixed; width: 100%; }
th, td { border: 1px solid var(--line); padding: .5rem .7rem; text-align: left;
  vertical-align: top; overflow-wrap: anywhere; white-space: pre-wrap; }
thead th, tbody th { background: var(--soft); font-weight: 600; } .name { width: 14%; }
del, ins { border-radius: .2rem; padding: 0 .2rem; }
del { background: var(--old); color: var(--oldink); text-decoration: line-through; }
ins { background: var(--new); color: var(--newink); text-decoration: underline; }
small { font-size: .72rem; letter-spacing: .02em; opacity: .85; margin-left: .25rem; }
.same { opacity: .7; }
@media (max-width: 44rem) { table, tbody, tr, td, tbody th { display: block; width: 100%; }
  thead { display: none; } td::before { content: attr(data-side) ": "; font-weight: 600; } }
"""


def write_review_page(review: Review, path: Path) -> None:
    """Write `review` as a page to `path`, readable by its owner alone.

    Raises:
        StorageError: the disk refuses or is full.
    """
    write_atomic(path, review_page(review).encode(), mode=PRIVATE_MODE)


def review_page(review: Review) -> str:
    """Return `review` as a page."""
    # A browser would decode a half of a surrogate pair, which JSON can spell, as an error.
    body = "".join(_body(review)).encode("utf-8", "replace").decode()
    return (
        '<!doctype html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n'
        f'<meta http-equiv="Content-Security-Policy" content="{_POLICY}">\n'
        '<meta name="viewport" content="width=device-width, initial-scale=1">\n'
        '<meta name="referrer" content="no-referrer">\n'
        f"<title>De-identification review</title>\n<style>{_STYLE}</style>\n</head>\n"
        f"<body>\n{body}</body>\n</html>\n"
    )


def _body(review: Review) -> Iterable[str]:
    shown = len(review.records)
    yield "<header>\n<h1>De-identification review</h1>\n"
    yield (
        '<p class="warn"><strong>⚠ This page holds originals.</strong> Keep it where the input'
        " is kept, and delete it after reading.</p>\n"
    )
    facts = [
        ("Input", review.source),
        ("Profile", review.profile),
        ("Looked with", ", ".join(review.modes)),
        ("Sample", f"{shown:,} of {review.total:,} records, drawn at random, the same each time"),
    ]
    yield "<dl>\n"
    yield from (f"<dt>{escape(name)}</dt><dd>{escape(value)}</dd>\n" for name, value in facts)
    yield "</dl>\n<p><strong>Legend:</strong> "
    yield "<del>- taken out</del> <small>type</small>, "
    yield "<ins>+ put in</ins> <small>what was done</small>"
    yield "; <span>…</span> unchanged text left out.</p>\n</header>\n<main>\n"
    for record in review.records:
        yield from _record(record)
    yield "</main>\n"


def _record(record: ReviewedRecord) -> Iterable[str]:
    changed = sum(field.changed for field in record.fields)
    words = (
        "nothing changed" if not changed else f"{changed} of {len(record.fields)} values changed"
    )
    yield f"<section>\n<h2>{escape(record.place)} · {words}</h2>\n<table>\n"
    yield '<thead><tr><th scope="col" class="name">Field</th><th scope="col">Before</th>'
    yield '<th scope="col">After</th></tr></thead>\n<tbody>\n'
    for field in record.fields:
        yield from _field(field)
    yield "</tbody>\n</table>\n</section>\n"


def _field(field: ReviewedField) -> Iterable[str]:
    kind = "" if field.changed else ' class="same"'
    before = "".join(_segment(segment, "del", "- ", segment.entity) for segment in field.before)
    after = "".join(_segment(segment, "ins", "+ ", segment.action) for segment in field.after)
    yield f'<tr{kind}><th scope="row">{escape(field.name)}</th>'
    yield f'<td data-side="Before">{before}</td><td data-side="After">{after}</td></tr>\n'


def _segment(segment: Segment, tag: str, mark: str, word: str) -> str:
    if not segment.entity:
        return escape(segment.text)
    return f"<{tag}>{mark}{escape(segment.text)}</{tag}><small>{escape(word)}</small>"
