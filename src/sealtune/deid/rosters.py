"""Rosters count by their content: the configuration that a report binds has their digests."""

from __future__ import annotations

from pathlib import Path

from sealtune.core.digest import sha256_digest
from sealtune.core.files import read_bounded
from sealtune.deid.config import Configuration, Roster
from sealtune.deid.names.rosters import ROSTER_BYTES_MAX
from sealtune.errors import Code, ConfigError


def with_roster_digests(configuration: Configuration) -> Configuration:
    """Return `configuration` with the digest of each roster's file.

    Raises:
        ConfigError: a digest is given, and the file has another.
        StorageError: a file is missing or cannot be read.
    """
    if not configuration.rosters:
        return configuration
    rosters = tuple(map(_digested, configuration.rosters))
    return configuration.model_copy(update={"rosters": rosters})


def _digested(roster: Roster) -> Roster:
    path = Path(roster.file)
    digest = sha256_digest(read_bounded(path, limit=ROSTER_BYTES_MAX, what="roster"))
    if roster.digest not in ("", digest):
        message = f"{path}: not the file whose digest the configuration names"
        raise ConfigError(Code.CONFIG_INVALID, message)
    return roster.model_copy(update={"digest": digest})
