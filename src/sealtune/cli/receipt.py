"""`sealtune receipt`: what a run did, for third parties."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

import sealtune
from sealtune.cli.attest_files import Moment, read_endorsement_files
from sealtune.cli.framework import Group
from sealtune.cli.output import done, emit, hint, insecure, rows, size
from sealtune.cli.parameters import PATH
from sealtune.core.clock import SystemClock
from sealtune.errors import Code, ConfigError

if TYPE_CHECKING:
    from sealtune import ReceiptReport, TrustAnchors

_SIMULATED = "simulated hardware: this receipt proves nothing"
_UNPROTECTED = "measured VM: it proves what ran, its memory was NOT protected from the operator"


@click.group("receipt", cls=Group)
def receipt() -> None:
    """Verify and show what a run did."""


@receipt.command(
    "verify",
    examples=[
        "sealtune receipt verify run/receipt.json --contract contract.json \\\n"
        "    --output run/result.sealed --output adapter",
        "sealtune receipt verify run/receipt.json --contract contract.json \\\n"
        "    --insecure-root sha256:5f1c...",
    ],
)
@click.argument("file", type=PATH)
@click.option(
    "--contract", type=PATH, metavar="FILE", help="The signed contract that the run had to obey."
)
@click.option(
    "--output",
    "outputs",
    type=PATH,
    multiple=True,
    metavar="PATH",
    help="A sealed result, or the folder that it was opened into.",
)
@click.option(
    "--endorsements",
    type=PATH,
    multiple=True,
    metavar="FILE|DIR",
    help="What the vendor signed about the machine, where its evidence does not bring that along: "
    "Intel's documents, NVIDIA's RIMs, revocation lists.",
)
@click.option("--at", "moment", type=Moment(), help="Verify as of then, not now.")
@click.option(
    "--insecure-root",
    metavar="DIGEST",
    help="INSECURE, for trials: accept the simulated root with this digest.",
)
def verify(
    file: Path,
    contract: Path | None,
    outputs: tuple[Path, ...],
    endorsements: tuple[Path, ...],
    moment: datetime | None,
    insecure_root: str | None,
) -> None:
    """Verify a receipt offline, with the vendor's roots alone.

    Without --contract it says only that some genuine machine made the receipt, not which code ran.
    A receipt can be verified after its contract has ended; one of Intel's hardware as of a time at
    which the documents given with --endorsements were current.
    """
    report = sealtune.verify_receipt_file(
        file,
        contract=contract,
        outputs=outputs,
        anchors=_anchors(insecure_root),
        endorsement_files=read_endorsement_files(endorsements).files,
        now=moment or SystemClock().now(),
    )
    emit(report.to_dict(), lambda _: _verified(report))


@receipt.command("show", examples=["sealtune receipt show run/receipt.json"])
@click.argument("file", type=PATH)
def show(file: Path) -> None:
    """Show what a receipt says, without verifying it."""
    statement = sealtune.read_statement_unverified(file)
    document = statement.model_dump(mode="json", by_alias=True)
    shown = {
        "path": file,
        "verified": False,
        "insecure": statement.predicate.insecure_simulated,
        "statement": document,
    }
    emit(shown, _shown)


def _anchors(insecure_root: str | None) -> TrustAnchors:
    anchors = sealtune.vendor_anchors()
    if insecure_root is None:
        return anchors
    root = sealtune.parse_digest(insecure_root)
    if root in anchors.roots:
        message = "--insecure-root names a vendor's own root, which is trusted already"
        raise ConfigError(Code.CONFIG_INVALID, message, remedy="leave --insecure-root out")
    return anchors.with_insecure_root(
        root, use=sealtune.RootUse.AMD_ARK, product=sealtune.Product.GENOA
    )


def _verified(report: ReceiptReport) -> Iterator[str]:
    if report.insecure:
        yield insecure(_SIMULATED)
    elif not report.memory_protected:
        yield insecure(_UNPROTECTED)
    against = "" if report.contract is None else " against the contract"
    yield done(f"{report.path}: verified{against}")
    document = report.statement.model_dump(mode="json", by_alias=True)
    measured = [("TEE", str(report.kind)), ("measurement", report.measurement)]
    checked = [("compared", "\n".join(map(str, report.outputs)))] if report.outputs else []
    yield from rows([("receipt", report.digest), *_facts(document), *measured, *checked])
    if report.contract is None:
        yield hint("give --contract: without it, which code ran is not known")
    if not report.outputs:
        yield hint("give --output: without it, no result was compared")


def _shown(shown: dict[str, Any]) -> Iterator[str]:
    if shown["insecure"]:
        yield insecure(_SIMULATED)
    yield f"{shown['path']}: NOT verified; see `sealtune receipt verify`"
    yield from rows(_facts(shown["statement"]))


def _facts(document: dict[str, Any]) -> list[tuple[str, str]]:
    said = document["predicate"]
    result, recipe = said["result"], said["recipe"]
    inputs = [f"{i['name']}: {i['kind']} of {i['owner']}\n{i['digest']}" for i in said["inputs"]]
    releases = [
        f"{r['broker']} at {r['time']}, log entry {r['log_size']}" for r in said["releases"]
    ]
    sealed = document["subject"][0]["digest"]["sealtuneBundle"]
    return [
        ("contract", f"{said['contract']['name']}\n{said['contract']['digest']}"),
        ("run", said["run_id"]),
        ("time", f"{said['started']} to {said['finished']}"),
        ("inputs", "\n".join(inputs)),
        ("recipe", f"{recipe['method']} for {recipe['task']}, {recipe['epochs']} epochs"),
        ("keys from", "\n".join(releases)),
        (
            "result",
            f"{result['kind']}, {size(result['bytes'])}, for {', '.join(result['recipients'])}\n"
            f"sha256:{sealed}",
        ),
        *_numbers("metrics", said["metrics"]),
        *_numbers("counts", said["counts"]),
        ("software", ", ".join(f"{name} {text}" for name, text in said["software"].items())),
    ]


def _numbers(label: str, values: dict[str, float]) -> list[tuple[str, str]]:
    return (
        [(label, "\n".join(f"{name} {value:g}" for name, value in values.items()))]
        if values
        else []
    )
