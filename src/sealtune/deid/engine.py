"""What a process needs to work on shards: detectors, transforms and a meter of what remains."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Self

from sealtune.core.digest import sha256_digest
from sealtune.deid.clean import Cleaned, Cleaner
from sealtune.deid.config import Configuration
from sealtune.deid.detect import Pipeline
from sealtune.deid.records.shard import Shard
from sealtune.deid.risk import RiskMeter, Smallest
from sealtune.deid.shard_work import work_on
from sealtune.deid.side_files import RISK, VAULT, seal_meter
from sealtune.deid.transforms import Transformer
from sealtune.deid.vault import Entries, seal_part
from sealtune.deid.work_folder import Finished, part_path, write_part

if TYPE_CHECKING:
    from sealtune.deid.key import DeidKey


class Engine:
    """Works on shards one after the other; `modes` says which detectors it has."""

    def __init__(self, configuration: Configuration, key: DeidKey, pipeline: Pipeline) -> None:
        """Take detectors; `of` makes them."""
        self._configuration = configuration
        self._key = key
        self.modes = pipeline.modes
        self._seen = Smallest()
        self.cleaner = Cleaner(configuration, pipeline, Transformer(configuration, key))

    @classmethod
    def of(cls, configuration: Configuration, key: DeidKey) -> Self:
        """Return the engine that `configuration` describes.

        Raises:
            ConfigError: an optional package, a model or a roster is missing.
        """
        return cls(configuration, key, Pipeline.of(configuration))

    def finish(self, shard: Shard, folder: Path) -> Finished:
        """Work on `shard`, write what comes of it into `folder` and return what is to be noted.

        Raises:
            FormatError: a record that cannot be read.
            StorageError: the disk refuses or is full.
        """
        meter = risk_meter(self._configuration, self._key, seen=self._seen)
        entries = Entries()

        def see(cleaned: Cleaned) -> None:
            changes = [item.change for item in cleaned.changes]
            meter.add(cleaned.before, cleaned.after, changes, findings=cleaned.findings)
            if self._configuration.reversible:
                entries.see(changes)

        part = work_on(shard, self.cleaner, see)
        files = {"part": part.data, RISK: seal_meter(meter, key=self._key)}
        if self._configuration.reversible:
            files[VAULT] = seal_part(entries, key=self._key, index=shard.index)
        for kind, data in files.items():
            write_part(part_path(folder, shard.index, kind), data)
        digests = {kind: sha256_digest(data) for kind, data in files.items()}
        return Finished(
            index=shard.index,
            shard=shard.digest,
            part=digests.pop("part"),
            size=len(part.data),
            header=part.header,
            tally=part.tally.to_dict(),
            modes=self.modes,
            sides=digests,
        )


def risk_meter(
    configuration: Configuration, key: DeidKey, *, seen: Smallest | None = None
) -> RiskMeter:
    """Return a meter for one run, or for a part of it."""
    return RiskMeter(configuration, key.subkey("risk").reveal(), seen=seen)
