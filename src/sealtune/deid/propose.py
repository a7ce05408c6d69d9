"""Roles for the fields of a file, proposed from its first records for their owner to confirm."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from sealtune.bundle.records import Record
from sealtune.deid.config import Action, Configuration
from sealtune.deid.detect import Pipeline
from sealtune.deid.records.decoding import UTF8
from sealtune.deid.records.shard import Format, Shard
from sealtune.deid.records.source import find_format, open_source
from sealtune.deid.shard_work import shard_records
from sealtune.deid.tables.roles import propose_roles, roles_toml
from sealtune.errors import Code, FormatError


@dataclass(frozen=True, slots=True, kw_only=True)
class Proposal:
    """The role of each field, and the same as the lines of a configuration file with reasons."""

    fields: Mapping[str, str]
    toml: str


def propose_fields(path: Path, *, configuration: Configuration, encoding: str = UTF8) -> Proposal:
    """Return roles for the fields of the file at `path`.

    Raises:
        FormatError: a record that cannot be read, none at all, or plain text.
        ConfigError: what `configuration` names is missing.
    """
    if find_format(path) is Format.TEXT:
        raise FormatError(Code.RECORDS_FORMAT, f"{path}: plain text has no fields")
    find = Pipeline.of(configuration).find
    kept = {one for one, action in configuration.actions.items() if action is Action.KEEP}
    with open_source(path, encoding=encoding) as source:
        proposed = propose_roles(_records(source.shards()), find=find, kept=kept)
    if not proposed:
        raise FormatError(Code.RECORDS_EMPTY, f"{path}: holds no record")
    fields = {name: one.rule.role.value for name, one in proposed.items()}
    return Proposal(fields=fields, toml=roles_toml(proposed, profile=configuration.profile))


def _records(shards: Iterator[Shard]) -> Iterator[Record]:
    for shard in shards:
        for _, record in shard_records(shard):
            yield record
