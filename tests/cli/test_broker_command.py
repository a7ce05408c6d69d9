"""`sealtune broker` as a process of its own, and what it refuses."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from cli.said import Said, Sealtune


@pytest.fixture
def store(sealed: Path, sealtune_: Sealtune) -> Path:
    """A broker's folder, made for `owner`, beside the sealed file."""
    keys = sealed.parent
    said = init(sealtune_, keys / "store", key=keys / "broker.key", owner=keys / "owner.pub")
    assert said.status == 0, said.out
    return keys / "store"


def init(sealtune_: Sealtune, folder: Path, *, key: Path, owner: Path) -> Said:
    return sealtune_("broker", "init", "--dir", folder, "--key", key, "--owner", owner, "--json")


def test_serve_says_where_and_stops_when_told(store: Path, sealtune_: Sealtune) -> None:
    keys = store.parent
    command = [sys.executable, "-m", "sealtune.cli.main", "broker", "serve", "--dir", str(store)]
    broker = subprocess.Popen(
        [*command, "--port", "0", "--json"],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    assert broker.stdout is not None
    try:
        ready = json.loads(broker.stdout.readline())
        assert ready["event"] == "ready"
        at = ("--at", ready["address"], "--json")
        added = ("broker", "add-key", keys / "notes.sealed", *at)
        assert sealtune_(*added, "--broker", keys / "broker.pub").json["log_size"] == 1
        # Not the key that we were told: whoever answers there is not our broker.
        other = sealtune_(*added, "--broker", keys / "clinic.pub")
        assert (other.status, other.error["code"]) == (5, "broker-identity")
        nonsense = sealtune_(
            "broker", "add-contract", keys / "notes.jsonl", *at, "--broker", keys / "broker.pub"
        )
        assert nonsense.error["family"] == "format"
        status = sealtune_("broker", "status", "--dir", store, "--json").json
        assert [key["kind"] for key in status["keys"]] == ["dataset"]
    finally:
        broker.send_signal(signal.SIGINT)
        rest, log = broker.communicate(timeout=30)
    assert broker.returncode == 0
    assert rest == ""
    assert all(isinstance(json.loads(line), dict) for line in log.splitlines())


def test_init_needs_a_new_folder_and_keys_of_its_own(store: Path, sealtune_: Sealtune) -> None:
    keys = store.parent
    again = init(sealtune_, store, key=keys / "broker.key", owner=keys / "owner.pub")
    assert (again.status, again.error["code"]) == (9, "file-exists")
    same = init(sealtune_, keys / "s2", key=keys / "owner.key", owner=keys / "owner.pub")
    assert (same.status, same.error["code"]) == (3, "config-invalid")
    assert not (keys / "s2").exists()


@pytest.mark.parametrize("verb", ["serve", "log", "status"])
def test_no_broker_there(tmp_path: Path, sealtune_: Sealtune, verb: str) -> None:
    said = sealtune_("broker", verb, "--dir", tmp_path, "--json")
    assert (said.status, said.error["code"]) == (9, "file-missing")
    assert "broker.toml" in said.error["message"]


def test_a_protected_key_needs_its_passphrase(sealed: Path, sealtune_: Sealtune) -> None:
    keys = sealed.parent
    word = keys / "word"
    word.write_text("correct horse\n")
    sealtune_("key", "create", "safe", "--dir", keys, "--passphrase-file", word)
    make = ("broker", "init", "--dir", keys / "s", "--key", keys / "safe.key", "--json")
    make = (*make, "--owner", keys / "owner.pub")
    assert sealtune_(*make).error["code"] == "key-passphrase"
    assert sealtune_(*make, "--passphrase-file", word).status == 0
    for verb in ("log", "status", "serve"):
        said = sealtune_("broker", verb, "--dir", keys / "s", "--json")
        assert (said.status, said.error["code"]) == (3, "key-passphrase"), verb
    show = ("broker", "status", "--dir", keys / "s", "--passphrase-file", word, "--json")
    assert sealtune_(*show).json["name"] == "safe"


def test_a_broken_configuration_is_named(store: Path, sealtune_: Sealtune) -> None:
    (store / "broker.toml").write_text("name = \n")
    said = sealtune_("broker", "status", "--dir", store, "--json")
    assert (said.status, said.error["code"]) == (3, "config-invalid")
    assert "broker.toml" in said.error["message"]


def test_a_damaged_store_is_not_shown(store: Path, sealtune_: Sealtune) -> None:
    (store / "store.sqlite3").write_bytes(b"x" * 4096)
    for verb in ("log", "status", "serve"):
        said = sealtune_("broker", verb, "--dir", store, "--json")
        assert (said.status, said.error["code"]) == (9, "store-damaged"), verb


@pytest.mark.parametrize(
    ("address", "status", "code"),
    [("localhost:8701", 3, "config-invalid"), ("http://127.0.0.1:9", 8, "broker-unreachable")],
)
def test_addresses(sealed: Path, sealtune_: Sealtune, address: str, status: int, code: str) -> None:
    public = sealed.parent / "broker.pub"
    said = sealtune_("broker", "add-key", sealed, "--at", address, "--broker", public, "--json")
    assert (said.status, said.error["code"]) == (status, code)


def test_a_port_that_is_taken(store: Path, sealtune_: Sealtune) -> None:
    import socket

    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        said = sealtune_("broker", "serve", "--dir", store, "--port", port, "--json")
    assert (said.status, said.error["code"]) == (3, "config-invalid")
    assert str(port) in said.error["message"]
