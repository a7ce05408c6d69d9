"""De-identifies a file: shards out to processes, parts back in order, one file at the end.

Nothing appears under the output's name until everything is done. A crash leaves the work folder,
from which the same command goes on at the first shard that was not finished.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

import sealtune
from sealtune.bundle.seal import no_progress
from sealtune.deid.complete import Outcome, complete
from sealtune.deid.config import Configuration
from sealtune.deid.pool import finish_shards
from sealtune.deid.preflight import check_names, check_run
from sealtune.deid.records.decoding import UTF8
from sealtune.deid.records.shard import Shard, Source
from sealtune.deid.records.source import open_source
from sealtune.deid.rosters import with_roster_digests
from sealtune.deid.summary import DeidSummary
from sealtune.deid.table_step import TableStep
from sealtune.deid.tally import Tally
from sealtune.deid.work_folder import (
    Finished,
    WorkFolder,
    open_work_folder,
    work_folder_of,
)
from sealtune.errors import Code, FormatError

if TYPE_CHECKING:
    from sealtune.crypto.identity import Identity
    from sealtune.deid.key import DeidKey

Progress = Callable[[int, int], None]  # bytes done, bytes in all


def deidentify(
    input: Path,
    output: Path,
    *,
    configuration: Configuration,
    key: DeidKey,
    owner: Identity | None = None,
    jobs: int = 1,
    encoding: str = UTF8,
    restart: bool = False,
    progress: Progress = no_progress,
) -> DeidSummary:
    """De-identify the records or the text in the file `input` into the new file `output`.

    With `owner`, who signs it, a report and a page of it are written beside `output`; where the
    configuration is reversible, a vault.

    Raises:
        FormatError: a record that cannot be read, or none at all; names file and line.
        StorageError: `output` exists, or the disk refuses or is full; what is finished is kept in
            a folder beside `output`, and the same call goes on from there.
        ConfigError: an optional package, a model or a roster is missing, or a name is unsuitable.
    """
    signed = owner is not None
    check_run(input, output, configuration=configuration, signed=signed, jobs=jobs)
    configuration = with_roster_digests(configuration)
    binding = {
        "sealtune": sealtune.__version__,
        "configuration": configuration.digest,
        "key": key.id,
    }
    # Before there is a folder: what cannot be reached leaves nothing behind.
    step = TableStep.of(input, encoding=encoding, configuration=configuration)
    with open_work_folder(work_folder_of(output), binding=binding, restart=restart) as work:
        # A run that had the folder before may have ended just now.
        check_names(output, configuration=configuration, signed=signed)
        with open_source(input, encoding=encoding) as source:
            run = _Run(source, work, step, progress)
            for finished in finish_shards(
                run.open_shards(),
                configuration=configuration,
                key=key,
                jobs=jobs,
                work=work,
            ):
                run.finish(finished)
        # Only now is it known that nobody changed the input meanwhile.
        if not run.tally.records:
            work.remove()
            raise FormatError(Code.RECORDS_EMPTY, f"{input}: holds no record")
        summary = complete(
            run.outcome(), input, output, configuration=configuration, key=key, owner=owner
        )
        work.remove()
    progress(source.total, source.total)
    return summary


@dataclass(slots=True)
class _Run:
    """What a run has done so far."""

    source: Source
    work: WorkFolder
    step: TableStep | None
    progress: Progress
    tally: Tally = field(default_factory=Tally)
    header: tuple[str, ...] = ()
    modes: tuple[str, ...] = ()
    shards: int = 0
    resumed: int = 0
    _positions: dict[int, int] = field(default_factory=dict)
    _done: int = 0
    _read: int = 0

    def open_shards(self) -> Iterator[Shard]:
        """Yield the shards that are not finished yet."""
        for cut in self.source.shards():
            shard = cut if self.step is None else self.step.annotated(cut)
            self.shards += 1
            self._positions[shard.index] = self.source.position - self._read
            self._read = self.source.position
            found = self.work.find(shard.index, shard.digest)
            if found is None:
                yield shard
            else:
                self.resumed += 1
                self._count(found)

    def finish(self, finished: Finished) -> None:
        """Note a shard that is finished now."""
        self.work.note(finished)
        self._count(finished)

    def outcome(self) -> Outcome:
        """Return what there is to put together."""
        return Outcome(
            source=self.source,
            work=self.work,
            tally=self.tally,
            header=self.header,
            modes=self.modes,
            shards=self.shards,
            resumed=self.resumed,
            table=None if self.step is None else self.step.plan.result,
        )

    def _count(self, finished: Finished) -> None:
        self.tally.add(Tally.from_dict(finished.tally))
        self.header = self.header or finished.header
        self.modes = self.modes or finished.modes
        self._done += self._positions.pop(finished.index)
        self.progress(self._done, self.source.total)
