"""Passphrases and the key files that they protect, as commands ask for them.

A passphrase comes from the terminal, without echo, or from a file; never from the command line or
the environment, where other processes could read it.
"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING

import click

import sealtune
from sealtune.core.files import read_bounded
from sealtune.errors import Code, ConfigError

if TYPE_CHECKING:
    from sealtune import Identity

_PASSPHRASE_BYTES_MAX = 4096


def load_key(path: Path, passphrase_file: Path | None) -> Identity:
    """Return the identity in the key file at `path`, asking for its passphrase if it has one.

    Raises:
        SealtuneError: as `sealtune.load_identity` does.
    """
    if passphrase_file is not None:
        return sealtune.load_identity(path, passphrase=read_passphrase(passphrase_file))
    try:
        return sealtune.load_identity(path, passphrase=None)
    except ConfigError as error:
        if error.code is not Code.KEY_PASSPHRASE or not sys.stdin.isatty():
            raise
    return sealtune.load_identity(path, passphrase=_ask(path))


def passphrase_for(path: Path, passphrase_file: Path | None) -> bytes | None:
    """Return the passphrase of the key file at `path`, asked for if it has one; None if it has not.

    Raises:
        SealtuneError: as `sealtune.load_identity` does.
    """
    if passphrase_file is not None:
        return read_passphrase(passphrase_file)
    try:
        sealtune.load_identity(path, passphrase=None)
    except ConfigError as error:
        if error.code is not Code.KEY_PASSPHRASE or not sys.stdin.isatty():
            raise
        return _ask(path)
    return None


def new_passphrase(*, ask: bool, file: Path | None) -> bytes | None:
    """Return the passphrase for a new key file, asked twice or read from `file`; None is none.

    Raises:
        ConfigError: the file is empty, or there is no terminal to ask on.
    """
    if file is not None:
        return read_passphrase(file)
    if not ask:
        return None
    if not sys.stdin.isatty():
        message = "--passphrase needs a terminal to ask on, and there is none"
        raise ConfigError(Code.KEY_PASSPHRASE, message, remedy="give --passphrase-file FILE")
    asked: str = click.prompt("New passphrase", hide_input=True, confirmation_prompt=True, err=True)
    return asked.encode()


def read_passphrase(path: Path) -> bytes:
    """Return the first line of the file at `path`.

    Raises:
        ConfigError: the line is empty.
        StorageError: the file is missing or cannot be read.
    """
    data = read_bounded(path, limit=_PASSPHRASE_BYTES_MAX, what="passphrase file")
    line = data.split(b"\n", 1)[0].removesuffix(b"\r")
    if not line:
        message = f"{path}: the first line, which should be the passphrase, is empty"
        raise ConfigError(Code.KEY_PASSPHRASE, message, remedy="write the passphrase on line 1")
    return line


def _ask(path: Path) -> bytes:
    asked: str = click.prompt(f"Passphrase of {path}", hide_input=True, err=True)
    return asked.encode()
