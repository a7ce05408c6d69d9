"""Quasi-identifiers: planned over the whole input first, then put into each shard that goes out."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Self

from sealtune.bundle.records import Record
from sealtune.deid.config import Configuration, Role
from sealtune.deid.records.shard import Format, Shard
from sealtune.deid.records.source import find_format, open_source
from sealtune.deid.shard_work import shard_records
from sealtune.deid.tables.plan import TablePlan, plan_table
from sealtune.errors import Code, ConfigError


class TableStep:
    """Tells each shard what stands in the quasi-identifiers of its records."""

    def __init__(self, plan: TablePlan, names: tuple[str, ...]) -> None:
        self.plan = plan
        self._names = names
        self._next = 0

    @classmethod
    def of(cls, path: Path, *, encoding: str, configuration: Configuration) -> Self | None:
        """Return the step for the file at `path`, read once now; None if nothing is asked.

        Raises:
            ConfigError: what is asked for cannot be reached, or plain text is asked for a table.
            FormatError: a record that cannot be read.
        """
        if not configuration.table.asks:
            return None
        if find_format(path) is Format.TEXT:
            message = f"{path}: k, l or t is asked of plain text, which has no columns"
            raise ConfigError(Code.CONFIG_INVALID, message)
        plan = plan_table(_records(path, encoding), configuration)
        rules = configuration.fields.items()
        return cls(plan, tuple(name for name, rule in rules if rule.role is Role.QUASI))

    def annotated(self, shard: Shard) -> Shard:
        """Return `shard`, the next one, with the classes of its records.

        Raises:
            ConfigError: there are more records than when the table was planned.
        """
        table = []
        for _, record in shard_records(shard):
            try:
                row = self.plan.apply(self._next, {name: record.get(name) for name in self._names})
            except ValueError:
                message = f"{shard.path}: changed while it was read"
                raise ConfigError(Code.CONFIG_INVALID, message) from None
            table.append(row)
            self._next += 1
        return replace(shard, table=tuple(table))


def _records(path: Path, encoding: str) -> Iterator[Record]:
    with open_source(path, encoding=encoding) as source:
        for shard in source.shards():
            for _, record in shard_records(shard):
                yield record
