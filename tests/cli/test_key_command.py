"""`sealtune key`, and where passphrases come from."""

from __future__ import annotations

import os
import pty
import stat
import sys
from pathlib import Path

import pytest

from cli.said import Sealtune
from sealtune.crypto.identity import load_identity, load_public_identity


def test_create_and_show_tell_the_same_fingerprint(tmp_path: Path, sealtune_: Sealtune) -> None:
    made = sealtune_("key", "create", "clinic", "--dir", tmp_path, "--json").json
    public = sealtune_("key", "show", tmp_path / "clinic.pub", "--json").json
    private = sealtune_("key", "show", tmp_path / "clinic.key", "--json").json
    assert made["fingerprint"] == public["fingerprint"]
    assert public == private
    assert stat.S_IMODE((tmp_path / "clinic.key").stat().st_mode) == 0o600


def test_no_output_holds_a_secret(tmp_path: Path, sealtune_: Sealtune) -> None:
    said = sealtune_("key", "create", "clinic", "--dir", tmp_path)
    secret = load_identity(tmp_path / "clinic.key", passphrase=None).signing.reveal()
    shown = sealtune_("key", "show", tmp_path / "clinic.key", "--json")
    text = said.out + said.err + shown.out
    assert secret.hex() not in text
    assert (tmp_path / "clinic.key").read_text() not in text


def test_a_key_is_never_overwritten(keys: Path, sealtune_: Sealtune) -> None:
    before = (keys / "owner.key").read_bytes()
    said = sealtune_("key", "create", "owner", "--dir", keys, "--json")
    assert (said.status, said.error["code"], said.error["family"]) == (9, "file-exists", "storage")
    assert (keys / "owner.key").read_bytes() == before


@pytest.mark.parametrize("name", ["Clinic", "a b", "../x", ""])
def test_a_bad_name_is_refused(tmp_path: Path, sealtune_: Sealtune, name: str) -> None:
    said = sealtune_("key", "create", name, "--dir", tmp_path, "--json")
    assert (said.status, said.error["code"]) == (3, "config-invalid")
    assert not list(tmp_path.iterdir())


def test_passphrase_from_a_file(tmp_path: Path, sealtune_: Sealtune) -> None:
    right, wrong = tmp_path / "right", tmp_path / "wrong"
    right.write_text("correct horse\nsecond line\n")
    wrong.write_text("battery staple\n")
    create = ("key", "create", "clinic", "--dir", tmp_path, "--passphrase-file", right, "--json")
    assert sealtune_(*create).json["passphrase"] is True
    key = tmp_path / "clinic.key"
    assert sealtune_("key", "show", key, "--passphrase-file", right).status == 0
    said = sealtune_("key", "show", key, "--passphrase-file", wrong, "--json")
    assert (said.status, said.error["code"]) == (5, "key-passphrase")
    assert "battery" not in said.out
    missing = sealtune_("key", "show", key, "--json")
    assert (missing.status, missing.error["code"]) == (3, "key-passphrase")
    assert "--passphrase-file" in missing.error["remedy"]


def test_an_empty_passphrase_file_makes_no_key(tmp_path: Path, sealtune_: Sealtune) -> None:
    (tmp_path / "empty").write_text("\n")
    create = ("key", "create", "clinic", "--dir", tmp_path, "--passphrase-file", tmp_path / "empty")
    assert sealtune_(*create, "--json").error["code"] == "key-passphrase"
    assert not (tmp_path / "clinic.key").exists()


def test_asking_needs_a_terminal(tmp_path: Path, sealtune_: Sealtune) -> None:
    said = sealtune_("key", "create", "clinic", "--dir", tmp_path, "--passphrase", "--json")
    assert said.error["code"] == "key-passphrase"
    assert not (tmp_path / "clinic.key").exists()


def test_no_command_takes_a_passphrase_as_an_argument(sealtune_: Sealtune) -> None:
    said = sealtune_("key", "create", "clinic", "--passphrase=secret", "--json")
    assert (said.status, said.error["family"]) == (2, "usage")
    assert "secret" not in said.out


def test_a_passphrase_is_asked_twice_and_not_echoed(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "sealtune.cli.main", "key", "create", "clinic"]
    child, terminal = pty.fork()
    if child == 0:
        os.execv(sys.executable, [*command, "--dir", str(tmp_path), "--passphrase"])
    seen = b""
    for prompt in (b"New passphrase:", b"confirmation:"):
        while prompt not in seen:
            seen += os.read(terminal, 1024)
        os.write(terminal, b"correct horse\n")
    try:
        while piece := os.read(terminal, 1024):
            seen += piece
    except OSError:  # how a terminal ends on Linux
        pass
    os.close(terminal)
    _, status = os.waitpid(child, 0)
    assert status == 0, seen
    assert b"correct horse" not in seen
    assert load_identity(tmp_path / "clinic.key", passphrase=b"correct horse").name == "clinic"


def test_show_refuses_what_is_no_public_file(keys: Path, sealtune_: Sealtune) -> None:
    (keys / "broken.pub").write_text("[parties.x]\nsigning_key = 1\n")
    said = sealtune_("key", "show", keys / "broken.pub", "--json")
    assert (said.status, said.error["code"]) == (4, "public-key-malformed")
    assert "broken.pub" in said.error["message"]


def test_the_public_file_is_what_was_made(keys: Path) -> None:
    identity = load_identity(keys / "owner.key", passphrase=None)
    assert load_public_identity(keys / "owner.pub") == identity.public
