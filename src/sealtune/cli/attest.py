"""`sealtune attest`: evidence of hardware, collected, verified and explained."""

from __future__ import annotations

import secrets
from pathlib import Path
from typing import TYPE_CHECKING

import click

import sealtune
from sealtune.cli.attest_files import (
    Kind,
    Moment,
    ReportData,
    read_evidence_file,
    require_new,
    write_evidence,
)
from sealtune.cli.attest_lines import collected_lines, examined_lines, explained_lines
from sealtune.cli.attest_verify import Asked, examine_file, write_ear
from sealtune.cli.framework import Group
from sealtune.cli.output import emit, emit_json, json_mode, say
from sealtune.cli.parameters import PATH
from sealtune.core.clock import SystemClock, format_time
from sealtune.errors import VerificationError

if TYPE_CHECKING:
    from datetime import datetime

    from sealtune import EvidenceKind

_TYPE = click.option(
    "--type", "kind", type=Kind(), help="What the evidence must be; without it, its bytes tell."
)
_EVENT_LOG = click.option(
    "--event-log", type=PATH, metavar="FILE", help="The machine's event log (CCEL or TPM's)."
)


@click.group("attest", cls=Group)
def attest() -> None:
    """Collect, verify and explain evidence of hardware."""


@attest.command(
    "verify",
    examples=[
        "sealtune attest verify report.bin --endorsements vcek.pem --endorsements chain.pem",
        "sealtune attest verify quote.bin --endorsements collateral.json --at 1751624191 --json",
        "sealtune attest verify evidence.json --endorsements endorsements/ --policy cloud",
    ],
)
@click.argument("file", type=PATH)
@_TYPE
@click.option(
    "--endorsements",
    type=PATH,
    multiple=True,
    metavar="FILE|DIR",
    help="What vendors signed: certificates, revocation lists, DCAP documents, RIMs, OCSP "
    "responses. Of a folder, what is none of them is left out.",
)
@click.option("--at", "moment", type=Moment(), help="Verify as of then, not now.")
@click.option(
    "--policy", metavar="NAME|FILE", help="What must be satisfied; see `sealtune policy`."
)
@click.option(
    "--report-data", type=ReportData(), help="The 64 bytes that the evidence must answer."
)
@click.option(
    "--contract", metavar="DIGEST|FILE", help="The contract that it must have been launched for."
)
@_EVENT_LOG
@click.option(
    "--insecure-root",
    metavar="DIGEST",
    help="INSECURE, for trials: accept the mock root with this digest too.",
)
@click.option(
    "--ear",
    type=PATH,
    metavar="FILE",
    help="Write the result as a token (EAR, ES256); needs --ear-key, --policy and --report-data.",
)
@click.option("--ear-key", type=PATH, metavar="PEM", help="The P-256 key that signs the token.")
def verify(
    file: Path,
    kind: EvidenceKind | None,
    endorsements: tuple[Path, ...],
    moment: datetime | None,
    policy: str | None,
    report_data: bytes | None,
    contract: str | None,
    event_log: Path | None,
    insecure_root: str | None,
    ear: Path | None,
    ear_key: Path | None,
) -> int:
    """Verify evidence offline and tell each step with its outcome.

    FILE may be - for standard input. Takes what `attest collect` wrote; raw reports, quotes and
    documents in binary, hexadecimal or base64; and the JSON of Confidential Containers, Azure and
    NVIDIA tools.

    Without --policy it asks for authenticity, no debugging and a TCB that is not out of date, and
    accepts any measurement. Without --report-data the evidence may be old. Exits with 0 if it is
    accepted and with 5 if it is refused, for whatever reason; the code says which.
    """
    if (ear is None) != (ear_key is None):
        raise click.UsageError("--ear and --ear-key go together")
    if ear is not None and (policy is None or report_data is None):
        # A token that says "affirming" must not rest on old evidence or on no policy.
        raise click.UsageError("--ear needs --policy and --report-data")
    asked = Asked(
        kind=kind,
        endorsements=endorsements,
        now=moment or SystemClock().now(),
        policy=policy,
        report_data=report_data,
        contract=contract,
        event_log=event_log,
        insecure_root=insecure_root,
    )
    found = examine_file(file, asked)
    if ear is not None and ear_key is not None and policy is not None:
        write_ear(ear, found, key=ear_key, policy=policy, issued_at=SystemClock().now())
    emit(found.to_dict(), lambda _: examined_lines(found, asked))
    # One status for every refusal, so that a script need not know the families of codes.
    return 0 if found.examination.refusal is None else VerificationError.exit_status


@attest.command(
    "show", examples=["sealtune attest show quote.bin", "sealtune attest show report.hex --json"]
)
@click.argument("file", type=PATH)
@_TYPE
@_EVENT_LOG
def show(file: Path, kind: EvidenceKind | None, event_log: Path | None) -> None:
    """Show every field of evidence and what it means.

    Verifies nothing. FILE may be - for standard input.
    """
    found = read_evidence_file(file, kind=kind, event_log=event_log)
    explained = [sealtune.explain(one) for one in found]
    if json_mode():
        shown = [one.to_dict() for one in explained]
        emit_json({"path": file, "verified": False, "evidence": shown})
        return
    for line in explained_lines(file, explained):
        say(line)


@attest.command(
    "collect",
    examples=[
        "sealtune attest collect -o evidence.json",
        "sealtune attest collect --tee tdx+nvidia-gpu -o evidence.json",
    ],
)
@click.option(
    "--tee",
    default="auto",
    metavar="NAME",
    help="sgx, sev-snp, tdx, azure, tpm-vm, or auto; with +nvidia-gpu, its GPUs too.",
)
@click.option(
    "--report-data",
    type=ReportData(),
    help="The 64 bytes that the verifier wants bound; random ones without it.",
)
@click.option("-o", "--output", type=PATH, required=True, metavar="FILE", help="The new file.")
def collect(tee: str, report_data: bytes | None, output: Path) -> None:
    """Collect this machine's evidence from inside it.

    It runs in the enclave or confidential VM that the evidence is about. `auto` takes the TEE that
    protects memory, and never a simulated one; `sealtune doctor` says what is missing where there
    is none.
    """
    require_new(output)
    bound = report_data or secrets.token_bytes(64)
    evidence = sealtune.collect(tee, bound)
    write_evidence(output, evidence)
    made = {
        "path": output,
        "type": str(evidence.kind),
        "bytes": evidence.size,
        "devices": len(evidence.devices),
        "report_data": bound.hex(),
        "time": format_time(SystemClock().now()),
    }
    emit(made, collected_lines)
