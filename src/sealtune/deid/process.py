"""A process that works on shards for `pool`: `python -P -m sealtune.deid.process FD`.

The configuration and the key come through the inherited socket FD, never by arguments or the
environment, where other processes could read them. It ends when its parent does.
"""

from __future__ import annotations

import signal
import sys
import traceback
from multiprocessing.connection import Connection

from sealtune.core.process import forbid_core_dumps
from sealtune.deid.config import Configuration
from sealtune.deid.engine import Engine
from sealtune.deid.process_messages import Defect, Failure, Setup
from sealtune.deid.records.shard import Shard
from sealtune.errors import SealtuneError


def main(descriptor: int) -> None:
    """Answer each shard that comes through the socket `descriptor` until it is closed."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the parent decides
    forbid_core_dumps()
    with Connection(descriptor) as connection:
        try:
            _serve(connection)
        except (EOFError, BrokenPipeError, ConnectionResetError):
            return


def _serve(connection: Connection) -> None:
    from sealtune.deid.key import DeidKey

    setup: Setup = connection.recv()
    engine: Engine | None = None
    while True:
        shard: Shard = connection.recv()
        try:
            if engine is None:
                configuration = Configuration.model_validate(setup.configuration)
                engine = Engine.of(configuration, DeidKey(setup.key))
            connection.send(engine.finish(shard, setup.folder))
        except SealtuneError as error:
            kind = type(error).__name__
            connection.send(Failure(kind, error.code.value, error.message, error.remedy))
        except (EOFError, BrokenPipeError, ConnectionResetError):
            raise
        except Exception as error:  # noqa: BLE001 - the process edge
            frames = "".join(traceback.format_tb(error.__traceback__))
            connection.send(Defect(type(error).__name__, frames))


if __name__ == "__main__":
    main(int(sys.argv[1]))
