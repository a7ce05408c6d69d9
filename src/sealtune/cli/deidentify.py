"""`sealtune deidentify`: records in, records without identifiers out."""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping
from pathlib import Path
from textwrap import wrap
from typing import TYPE_CHECKING, Any, Final

import click

import sealtune
from sealtune.cli.framework import Command
from sealtune.cli.output import count, done, emit, hint, insecure, json_mode, printable, rows, say
from sealtune.cli.output import size as bytes_size
from sealtune.cli.parameters import PATH, passphrase_file_option
from sealtune.cli.passphrases import load_key
from sealtune.cli.progress import bytes_progress, waiting
from sealtune.errors import Code, StorageError

if TYPE_CHECKING:
    from sealtune import (
        Configuration,
        DeidKey,
        DeidSummary,
        Identity,
        Review,
        ReviewedField,
        Segment,
    )

_WIDTH: Final = 80
_ENCODINGS: Final = ("utf-8", "utf-8-replace", "latin-1", "cp1252", "utf-16")


@click.command(
    "deidentify",
    cls=Command,
    examples=[
        "sealtune deidentify notes.jsonl -o clean.jsonl --profile hipaa-safe-harbor \\\n"
        "    --key hospital.deid-key --owner hospital.key",
        "sealtune deidentify visits.csv --profile hipaa-safe-harbor --propose > deid.toml",
        "sealtune deidentify notes.jsonl --profile deid.toml --key hospital.deid-key --review",
        "sealtune deidentify visits.csv -o clean.csv --profile deid.toml \\\n"
        "    --key hospital.deid-key --review-page review.html",
    ],
)
@click.argument("path", metavar="INPUT", type=PATH)
@click.option("-o", "--output", type=PATH, metavar="PATH", help="The new file; must not exist.")
@click.option(
    "--profile",
    required=True,
    metavar="NAME|FILE",
    help="hipaa-safe-harbor, gdpr-pseudonymous, or a TOML file that changes one of them.",
)
@click.option(
    "--key",
    type=PATH,
    metavar="FILE",
    help="The owner's key for replacements, made if there is no such file; keep it.",
)
@click.option(
    "--owner", type=PATH, metavar="KEY", help="The owner's .key file, which signs a report."
)
@click.option("--text-field", metavar="NAME", help="Field with the text, if not as configured.")
@click.option("--jobs", type=int, metavar="N", help="Processes; as many as there are cores.")
@click.option(
    "--encoding",
    type=click.Choice(_ENCODINGS),
    default="utf-8",
    help="Of a text file; with utf-8-replace, broken characters become U+FFFD.",
)
@click.option("--restart", is_flag=True, help="Begin anew instead of going on after a crash.")
@click.option("--review", "show", is_flag=True, help="Show some records, before and after.")
@click.option(
    "--review-page", "page", type=PATH, metavar="FILE", help="Write them as an HTML page, too."
)
@click.option(
    "--review-records", "sample", type=int, default=20, metavar="N", help="How many are shown."
)
@click.option(
    "--propose", is_flag=True, help="Print a role for each field, as a file for --profile."
)
@passphrase_file_option
def deidentify(path: Path, profile: str, text_field: str | None, **options: Any) -> None:
    """Replace identifiers in records or text; records keep their order.

    INPUT is JSON Lines, CSV, Parquet or plain text. Fields that the profile's file does not name
    are treated as text. After a crash the same command goes on where it stopped, and nothing is
    written under the output's name before all is done.

    --owner signs a report, PATH.report.json, for sealing and for the contract, with a page to read;
    a reversible profile leaves a vault, PATH.vault, for reidentify. Without --output, --review and
    --review-page show what would be changed. They show originals.
    """
    configuration = _configuration(profile, text_field)
    if options["propose"]:
        with waiting("reading records"):
            proposal = sealtune.propose_fields(
                path, configuration=configuration, encoding=options["encoding"]
            )
        emit(proposal, lambda made: made.toml.splitlines())
        return
    output, shows = options["output"], options["show"] or options["page"]
    if options["key"] is None or not (output or shows):
        raise click.UsageError("give --key, and --output, --review or --review-page; or --propose")
    _check(path, configuration, options)
    owner = None if options["owner"] is None else _owner(options)
    new, key = _key(options["key"])
    if output:
        summary = _run(path, configuration, key, owner, options)
    if shows:
        review = _review(path, configuration, key, options)
    if output:
        emit(summary, _lines)
    else:
        emit({"reviewed": len(review.records), "records": review.total}, _reviewed)
    if new:
        made = options["key"]
        _hint(f"{made} is new: keep it secret, and use it for all files of one project")


def _check(path: Path, configuration: Configuration, options: Mapping[str, Any]) -> None:
    """Refuse what can be refused before a key is made, which would be left behind."""
    from sealtune.deid.preflight import check_input, check_run

    if not options["output"]:
        check_input(path)
        return
    signed = options["owner"] is not None
    output, jobs = options["output"], _jobs(options)
    check_run(path, output, configuration=configuration, signed=signed, jobs=jobs)


def _jobs(options: Mapping[str, Any]) -> int:
    return options["jobs"] or len(os.sched_getaffinity(0))


def _owner(options: Mapping[str, Any]) -> Identity:
    path = options["owner"]
    if not path.exists():
        message = f"{path}: no such key file"
        remedy = f"`sealtune key create {path.stem} --dir {path.parent}` makes one"
        raise StorageError(Code.FILE_MISSING, message, remedy=remedy)
    return load_key(path, options["passphrase_file"])


def _run(
    path: Path,
    configuration: Configuration,
    key: DeidKey,
    owner: Identity | None,
    options: Mapping[str, Any],
) -> DeidSummary:
    with bytes_progress("de-identifying") as progress:
        return sealtune.deidentify(
            path,
            options["output"],
            configuration=configuration,
            key=key,
            owner=owner,
            jobs=_jobs(options),
            encoding=options["encoding"],
            restart=options["restart"],
            progress=progress,
        )


def _review(
    path: Path, configuration: Configuration, key: DeidKey, options: Mapping[str, Any]
) -> Review:
    with waiting("reading a sample"):
        review = sealtune.review_records(
            path,
            configuration=configuration,
            key=key,
            records=options["sample"],
            encoding=options["encoding"],
        )
    _show(review, page=options["page"], terminal=options["show"])
    return review


def _show(review: Review, *, page: Path | None, terminal: bool) -> None:
    if page is not None:
        sealtune.write_review_page(review, page)
        _hint(f"{page} holds originals: keep it where the input is kept")
    if terminal and not json_mode():
        for line in review_lines(review):
            say(line)


def _hint(text: str) -> None:
    if not json_mode():
        say(hint(text))


def _configuration(profile: str, text_field: str | None) -> Configuration:
    found = sealtune.find_configuration(profile)
    return found if text_field is None else found.model_copy(update={"text_field": text_field})


def _key(path: Path) -> tuple[bool, DeidKey]:
    if path.exists():
        return False, sealtune.load_deid_key(path)
    return True, sealtune.create_deid_key(path)


def _lines(summary: DeidSummary) -> Iterable[str]:
    yield done(f"de-identified {summary.input} into {summary.output}")
    found = ", ".join(f"{number:,} {name}" for name, number in summary.counts.items())
    changed = f"{count(summary.records, 'record', 'records')}, {summary.changed_records:,} changed"
    yield from rows(
        [
            ("holds", f"{changed}, {bytes_size(summary.output_bytes)}"),
            ("found", found or "nothing"),
            ("looked with", ", ".join(summary.modes)),
            ("what remains", "\n".join(wrap(summary.statement, _WIDTH))),
            ("input", summary.input_digest),
            ("records", summary.records_digest),
            *(
                [("resumed", f"{summary.resumed} of {summary.shards} shards")]
                * bool(summary.resumed)
            ),
            *[(name, str(file)) for name, file in _files(summary) if file],
            *(("note", printable(note)) for note in summary.notes),
        ]
    )
    yield hint("what was not found is still there: read some of it with --review")


def _files(summary: DeidSummary) -> list[tuple[str, Path | None]]:
    report, page = summary.report, summary.report_page
    return [("report", report), ("to read", page), ("vault", summary.vault)]


def _reviewed(result: dict[str, int]) -> Iterable[str]:
    yield done(f"reviewed {result['reviewed']:,} of {result['records']:,} records")


def review_lines(review: Review) -> Iterable[str]:
    """Yield `review` as lines for a terminal; marks say what colours say."""
    yield insecure("what follows shows originals")
    yield (
        "  "
        + click.style("[-taken out-]", fg="red", strikethrough=True)
        + "  "
        + click.style("{+put in+}", fg="green", underline=True)
    )
    for record in review.records:
        yield ""
        yield click.style(printable(record.place), bold=True)
        for field in record.fields:
            yield from _field_lines(field)


def _field_lines(field: ReviewedField) -> Iterable[str]:
    name = printable(field.name) or "(no name)"
    if not field.changed:
        yield click.style(f"  = {name}  {_plain(field.before)}", dim=True)
        return
    yield f"  {click.style('-', fg='red')} {name}  " + "".join(map(_old, field.before))
    yield f"  {click.style('+', fg='green')} {name}  " + "".join(map(_new, field.after))


def _plain(segments: Iterable[Segment]) -> str:
    return "".join(printable(segment.text) for segment in segments)


def _old(segment: Segment) -> str:
    text = printable(segment.text)
    if not segment.entity:
        return text
    return click.style(f"[-{text}-]", fg="red", strikethrough=True)


def _new(segment: Segment) -> str:
    text = printable(segment.text)
    if not segment.entity:
        return text
    marked = click.style(f"{{+{text}+}}", fg="green", underline=True)
    return marked + click.style(f" {segment.entity}: {segment.action}", dim=True)
