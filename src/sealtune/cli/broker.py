"""`sealtune broker`: an owner's key broker."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

import sealtune
from sealtune.cli.framework import Group
from sealtune.cli.output import count, done, emit, grouped_fingerprint, hint, insecure, rows, table
from sealtune.cli.parameters import PATH, passphrase_file_option
from sealtune.cli.passphrases import passphrase_for
from sealtune.cli.places import about

if TYPE_CHECKING:
    from sealtune import BrokerStatus, Listening, LogEntry, Registered

_folder = click.option("--dir", "folder", type=PATH, required=True, help="The broker's folder.")
_address = click.option(
    "--at", "address", required=True, metavar="URL", help="Where it listens: http://HOST:PORT."
)
_public = click.option(
    "--broker", "public", type=PATH, required=True, metavar="PUB", help="The broker's .pub file."
)
_INSECURE = "this broker releases keys to simulated enclaves, which protect nothing"


@click.group("broker", cls=Group)
def broker() -> None:
    """Run the broker that holds your keys and releases them."""


@broker.command(
    "init",
    examples=[
        "sealtune broker init --dir broker --key hospital-broker.key --owner hospital.pub",
    ],
)
@_folder
@click.option("--key", type=PATH, required=True, help="The broker's own .key file; it stays there.")
@click.option(
    "--owner",
    "owners",
    type=PATH,
    multiple=True,
    required=True,
    metavar="PUB",
    help="Whose keys it holds: the owner's .pub file. Give it once for each.",
)
@passphrase_file_option
def init(folder: Path, key: Path, owners: tuple[Path, ...], passphrase_file: Path | None) -> None:
    """Make a broker's folder: configuration, store and store key.

    A broker has an identity of its own, not its owner's. Back up the folder as a whole.
    """
    passphrase = passphrase_for(key, passphrase_file)
    config = sealtune.init_broker(folder, identity=key, owners=owners, passphrase=passphrase)
    made = {"folder": config.folder, "name": config.name, "owners": [o.text for o in config.owners]}
    emit(made, _made)


@broker.command("serve", examples=["sealtune broker serve --dir broker --port 8701"])
@_folder
@click.option("--host", default="127.0.0.1", help="Address to listen on.")
@click.option("--port", type=click.IntRange(0, 65535), default=8701, help="0 takes a free one.")
@click.option(
    "--insecure-accept-simulated",
    is_flag=True,
    help="INSECURE, for trials: also serve contracts that accept simulated enclaves.",
)
@passphrase_file_option
def serve(
    folder: Path,
    host: str,
    port: int,
    insecure_accept_simulated: bool,
    passphrase_file: Path | None,
) -> None:
    """Serve keys until stopped (Ctrl-C).

    Says on standard output when it listens; its running log goes to standard error, one JSON object
    a line. There is no TLS: answers are signed, and keys are sealed to the attested worker.
    """
    with about(folder):
        config = sealtune.load_config(folder)
    sealtune.serve_broker(
        folder,
        host=host,
        port=port,
        insecure_accept_simulated=insecure_accept_simulated,
        passphrase=passphrase_for(config.identity, passphrase_file),
        ready=lambda listening: emit(listening.to_dict(), lambda _: _listening(listening)),
    )


@broker.command(
    "add-key",
    examples=[
        "sealtune broker add-key notes.sealed --at http://127.0.0.1:8701 \\\n"
        "    --broker hospital-broker.pub"
    ],
)
@click.argument("file", type=PATH)
@_address
@_public
@click.option(
    "--deidentification",
    "report",
    type=PATH,
    metavar="REPORT",
    help="The de-identification report that the file was sealed with.",
)
def add_key(file: Path, address: str, public: Path, report: Path | None) -> None:
    """Give a running broker the key of a sealed file.

    The file must have been sealed --to this broker. Only its signed header and key slots are sent,
    and the report that it was sealed with, if any.
    """
    key = sealtune.load_public_identity(public).signing
    with about(file):
        registered = sealtune.register_bundle_file(file, address=address, broker=key, report=report)
    emit(registered, _registered)


@broker.command(
    "add-contract",
    examples=[
        "sealtune broker add-contract contract.json --at http://127.0.0.1:8701 \\\n"
        "    --broker hospital-broker.pub"
    ],
)
@click.argument("file", type=PATH)
@_address
@_public
def add_contract(file: Path, address: str, public: Path) -> None:
    """Give a running broker a contract that everybody has signed.

    From then on it releases by it, as often as the contract says.
    """
    key = sealtune.load_public_identity(public).signing
    with about(file):
        registered = sealtune.register_contract_file(file, address=address, broker=key)
    emit(registered, _registered)


@broker.command("log", examples=["sealtune broker log --dir broker"])
@_folder
@passphrase_file_option
def log(folder: Path, passphrase_file: Path | None) -> None:
    """Show the decision log, verified: what was released, refused and why.

    Works while the broker runs. An edited, cut or reordered log is refused.
    """
    config = sealtune.load_config(folder)
    passphrase = passphrase_for(config.identity, passphrase_file)
    entries = sealtune.read_broker_log(folder, passphrase=passphrase)
    shown = {"name": config.name, "size": len(entries), "entries": [_entry(e) for e in entries]}
    emit(shown, _log)


@broker.command("status", examples=["sealtune broker status --dir broker"])
@_folder
@passphrase_file_option
def status(folder: Path, passphrase_file: Path | None) -> None:
    """Show which keys and contracts a broker holds, and runs used.

    The store is audited against the decision log first. Works while the broker runs.
    """
    config = sealtune.load_config(folder)
    passphrase = passphrase_for(config.identity, passphrase_file)
    emit(sealtune.broker_status(folder, passphrase=passphrase), _status)


def _made(made: Mapping[str, Any]) -> Iterator[str]:
    yield done(f"broker {made['name']} in {made['folder']}")
    yield from rows([("owners", "\n".join(made["owners"]))])
    yield hint(f"start it: sealtune broker serve --dir {made['folder']}")


def _listening(listening: Listening) -> Iterator[str]:
    if listening.insecure_accept_simulated:
        yield insecure(_INSECURE)
    yield done(f"broker {listening.name} listens on {listening.address}")
    yield from rows(
        [("signing key", listening.signing_key), ("decision log", _entries(listening.log_size))]
    )
    yield hint("stop it with Ctrl-C")


def _registered(registered: Registered) -> Iterator[str]:
    if registered.insecure:
        yield insecure("the contract accepts a simulated enclave")
    what = "key of the bundle" if registered.kind == "bundle" else "contract"
    yield done(f"the broker keeps the {what}")
    yield from rows(
        [("digest", registered.digest), ("decision log", _entries(registered.log_size))]
    )


def _entry(entry: LogEntry) -> dict[str, Any]:
    return {"index": entry.index, "time": entry.time, "kind": entry.kind, "body": entry.body}


def _log(shown: Mapping[str, Any]) -> Iterator[str]:
    entries = shown["entries"]
    yield done(f"decision log of {shown['name']}: {_entries(shown['size'])}, unbroken")
    if any(entry["body"].get("insecure") for entry in entries):
        yield insecure("entries so marked concern simulated enclaves")
    body = [(str(e["index"]), f"{e['time']:%Y-%m-%d %H:%M:%S}", *_told(e)) for e in entries]
    if body:
        yield from table(("#", "time (UTC)", "kind", "what"), body)


def _told(entry: Mapping[str, Any]) -> tuple[str, str]:
    kind, body = entry["kind"], entry["body"]
    mark = "INSECURE " if body.get("insecure") else ""
    if kind == "release":
        return ("granted" if body["granted"] else "REFUSED"), mark + _decision(body)
    if kind == "key":
        return kind, f"{body['kind']} {body['bundle'][:19]}…"
    about_what = body.get("contract", "")
    run = f", run {body['run_id'][:8]}…" if "run_id" in body else ""
    step = f", step {body['step']}" if "step" in body else ""
    return kind, f"{mark}contract {about_what[:19]}…{run}{step}"


def _decision(body: Mapping[str, Any]) -> str:
    run = f"run {body['run_id'][:8]}…"
    if body["granted"]:
        return f"{run} ({body['run']}), {count(len(body['bundles']), 'key', 'keys')}"
    failed = [rule for rule in body["rules"] if not rule["passed"]]
    return f"{run}: {failed[0]['rule']}: {failed[0]['reason']}" if failed else run


def _status(status: BrokerStatus) -> Iterator[str]:
    yield f"broker {status.name}"
    yield from rows(
        [
            ("fingerprint", grouped_fingerprint(status.fingerprint)),
            ("owners", "\n".join(status.owners)),
            ("decision log", f"{_entries(status.log_size)}, audited"),
            ("decisions", f"{status.granted} granted, {status.refused} refused"),
        ]
    )
    if status.keys:
        yield ""
        yield from table(("keys", "bundle"), [(key.kind, key.bundle) for key in status.keys])
    if status.contracts:
        yield ""
        body = [
            (c.name, f"{c.runs} of {c.max_runs}", c.valid_until, "INSECURE" if c.insecure else "")
            for c in status.contracts
        ]
        yield from table(("contract", "runs", "valid until", ""), body)


def _entries(number: int) -> str:
    return count(number, "entry", "entries")
