"""What a process needs to work on shards: detectors and transforms, built once."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Self

from sealtune.core.digest import sha256_digest
from sealtune.deid.clean import Cleaned, Cleaner, Finds, Transforms
from sealtune.deid.config import Configuration
from sealtune.deid.records.shard import Shard
from sealtune.deid.shard_work import work_on
from sealtune.deid.work_folder import Finished, write_part

if TYPE_CHECKING:
    from sealtune.deid.key import DeidKey


class Engine:
    """Works on shards one after the other; `modes` says which detectors it has."""

    def __init__(
        self, configuration: Configuration, pipeline: Finds, transformer: Transforms
    ) -> None:
        self.modes: tuple[str, ...] = tuple(getattr(pipeline, "modes", ()))
        self.cleaner = Cleaner(configuration, pipeline, transformer)

    @classmethod
    def of(cls, configuration: Configuration, key: DeidKey) -> Self:
        """Return the engine that `configuration` describes.

        Raises:
            ConfigError: an optional package, a model or a roster is missing.
        """
        from sealtune.deid.detect import Pipeline
        from sealtune.deid.transforms import Transformer

        return cls(configuration, Pipeline.of(configuration), Transformer(configuration, key))

    def finish(self, shard: Shard, folder: Path) -> Finished:
        """Work on `shard`, write its part into `folder` and return what is to be noted.

        Raises:
            FormatError: a record that cannot be read.
            StorageError: the disk refuses or is full.
        """
        part = work_on(shard, self.cleaner, self._see)
        write_part(folder, shard.index, part.data)
        return Finished(
            index=shard.index,
            shard=shard.digest,
            part=sha256_digest(part.data),
            size=len(part.data),
            header=part.header,
            tally=part.tally.to_dict(),
            modes=self.modes,
        )

    def _see(self, cleaned: Cleaned) -> None:
        del cleaned
