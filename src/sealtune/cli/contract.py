"""`sealtune contract`: what the parties agree on."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

import sealtune
from sealtune.cli.framework import Group
from sealtune.cli.output import done, emit, hint, insecure, rows
from sealtune.cli.parameters import PATH, passphrase_file_option
from sealtune.cli.passphrases import load_key
from sealtune.core.clock import SystemClock

if TYPE_CHECKING:
    from sealtune import ContractFile

_SIMULATED = "accepts a simulated enclave: nothing in it is protected from the operator"


@click.group("contract", cls=Group)
def contract() -> None:
    """Write, read, sign and compare contracts."""


@contract.command("draft", examples=["sealtune contract draft contract.toml -o contract.json"])
@click.argument("file", metavar="TOML", type=PATH)
@click.option("-o", "--output", type=PATH, required=True, metavar="FILE", help="Where it goes.")
def draft(file: Path, output: Path) -> None:
    """Resolve a TOML file into the exact document that is signed.

    Keys and bundles that it names as files are read, and every default is written out. The fields
    are in docs/spec/contract.md.
    """
    emit(_summary(sealtune.write_contract_draft(file, output)), _drafted)


@contract.command("show", examples=["sealtune contract show contract.json"])
@click.argument("file", type=PATH)
def show(file: Path) -> None:
    """Show all that a contract says, and who has signed it.

    Read it before you sign. Compare at least one other party's fingerprint by voice. Signatures are
    listed here and checked by `verify`.
    """
    read = sealtune.read_contract_file(file)
    shown = {**_summary(read), "contract": read.contract.model_dump(mode="json")}
    emit(shown, lambda shown: _shown(shown, read))


@contract.command("sign", examples=["sealtune contract sign contract.json --key hospital.key"])
@click.argument("file", type=PATH)
@click.option("--key", type=PATH, required=True, help="The .key file of a party that must sign.")
@click.option(
    "-o", "--output", type=PATH, metavar="FILE", help="Where it goes.  [default: FILE itself]"
)
@passphrase_file_option
def sign(file: Path, key: Path, output: Path | None, passphrase_file: Path | None) -> None:
    """Add your signature to a contract.

    All parties sign the same document, in any order. Signatures that are there already are checked
    first.
    """
    identity = load_key(key, passphrase_file)
    signed = sealtune.sign_contract_file(file, output or file, identity=identity)
    emit({**_summary(signed), "signer": identity.name}, _signed)


@contract.command("verify", examples=["sealtune contract verify contract.json"])
@click.argument("file", type=PATH)
def verify(file: Path) -> None:
    """Check that everybody has signed and that the contract is valid now.

    This proves that the keys in the contract signed it. Whose keys they are, you know from
    elsewhere: compare fingerprints.
    """
    verified = sealtune.verify_contract_file(file, now=SystemClock().now())
    document = verified.contract
    found = {
        "path": file,
        "name": document.name,
        "digest": verified.digest,
        "insecure": document.insecure,
        "signed_by": sorted(document.signers),
        "valid_until": document.validity.not_after,
    }
    emit(found, _verified)


@contract.command("diff", examples=["sealtune contract diff contract-1.json contract-2.json"])
@click.argument("old", type=PATH)
@click.argument("new", type=PATH)
def diff(old: Path, new: Path) -> None:
    """Say in plain words what a new version changes.

    Changes that permit more than before come first.
    """
    before, after = sealtune.read_contract_file(old), sealtune.read_contract_file(new)
    changes = sealtune.diff_contracts(before.contract, after.contract)
    found = {
        "old": before.digest,
        "new": after.digest,
        "insecure": after.contract.insecure,
        "permits_more": any(change.permits_more for change in changes),
        "changes": changes,
    }
    emit(found, _differences)


def _summary(read: ContractFile) -> dict[str, Any]:
    return {
        "path": read.path,
        "name": read.contract.name,
        "digest": read.digest,
        "insecure": read.contract.insecure,
        "signed_by": sorted(set(read.contract.signers) - set(read.missing)),
        "missing": list(read.missing),
    }


def _signature_rows(summary: dict[str, Any]) -> list[tuple[str, str]]:
    return [
        ("signed by", ", ".join(summary["signed_by"]) or "nobody yet"),
        ("missing", ", ".join(summary["missing"]) or "nobody"),
    ]


def _drafted(summary: dict[str, Any]) -> Iterator[str]:
    if summary["insecure"]:
        yield insecure(_SIMULATED)
    yield done(f"drafted {summary['path']}")
    yield from rows([("digest", summary["digest"]), *_signature_rows(summary)])
    yield hint("each party reads it (contract show) and signs it (contract sign)")


def _shown(summary: dict[str, Any], read: ContractFile) -> Iterator[str]:
    first, *others = sealtune.contract_lines(read.contract)
    yield insecure(first.removeprefix("INSECURE: ")) if summary["insecure"] else first
    yield from others
    yield ""
    yield "Signatures (listed, not checked)"
    yield from rows(_signature_rows(summary))


def _signed(summary: dict[str, Any]) -> Iterator[str]:
    if summary["insecure"]:
        yield insecure(_SIMULATED)
    yield done(f"{summary['signer']} signed {summary['path']}")
    yield from rows([("digest", summary["digest"]), *_signature_rows(summary)])


def _verified(found: dict[str, Any]) -> Iterator[str]:
    if found["insecure"]:
        yield insecure(_SIMULATED)
    yield done(f"{found['path']}: signed by everybody who must, and valid now")
    yield from rows(
        [
            ("digest", found["digest"]),
            ("signed by", ", ".join(found["signed_by"])),
            ("valid until", found["valid_until"]),
        ]
    )


def _differences(found: dict[str, Any]) -> Iterator[str]:
    if found["insecure"]:
        yield insecure(f"the new version {_SIMULATED}")
    yield from _changes("Permits more", [c for c in found["changes"] if c.permits_more])
    yield from _changes("Other changes", [c for c in found["changes"] if not c.permits_more])
    if not found["changes"]:
        yield "no differences"


def _changes(title: str, changes: list[Any]) -> Iterable[str]:
    if changes:
        yield click.style(title, bold=True)
    for change in changes:
        yield f"  {'!' if change.permits_more else '-'} {change.words}"
        yield click.style(f"      {change.path}", dim=True)
