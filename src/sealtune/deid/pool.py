"""Shards worked on by several processes, each with at most one; results as they are finished.

Started, never forked: a fork would carry over whatever the caller's process holds. With one job all
is done in this process.
"""

from __future__ import annotations

import contextlib
import os
import socket
import subprocess
import sys
from collections.abc import Iterator
from functools import partial
from multiprocessing.connection import Connection, wait
from typing import TYPE_CHECKING, Any, Final

from sealtune import errors
from sealtune.core.environment import LIBRARY_SETTINGS
from sealtune.deid.config import Configuration
from sealtune.deid.engine import Engine
from sealtune.deid.process_messages import Defect, Failure, Setup
from sealtune.deid.records.shard import Shard
from sealtune.deid.work_folder import Finished, WorkFolder
from sealtune.errors import Code, SealtuneError

if TYPE_CHECKING:
    from sealtune.deid.key import DeidKey

_END_SECONDS: Final = 5
_AGAIN: Final = "run the same command again, with fewer --jobs if memory was short: it goes on"


def finish_shards(
    shards: Iterator[Shard],
    *,
    configuration: Configuration,
    key: DeidKey,
    jobs: int,
    work: WorkFolder,
) -> Iterator[Finished]:
    """Yield what became of each shard, in the order in which they are finished.

    Raises:
        SealtuneError: as `Engine.finish`, or `worker-failed`: a process was killed.
    """
    if jobs == 1:
        engine: Engine | None = None
        for shard in shards:
            engine = engine or Engine.of(configuration, key)
            yield engine.finish(shard, work.path)
        return
    setup = Setup(configuration.to_dict(), key.reveal(), work.path)
    with contextlib.ExitStack() as stack:
        start = partial(_process, setup, held=work.lock)
        yield from _distribute(shards, jobs, lambda: stack.enter_context(start()))


def _distribute(shards: Iterator[Shard], jobs: int, start: Any) -> Iterator[Finished]:
    idle: list[Connection] = []
    busy: list[Connection] = []
    for shard in shards:
        if not idle and len(busy) < jobs:
            idle.append(start())
        while not idle:
            for connection in _ready(busy):
                yield _receive(connection)
                busy.remove(connection)
                idle.append(connection)
        connection = idle.pop()
        _send(connection, shard)
        busy.append(connection)
    while busy:
        for connection in _ready(busy):
            yield _receive(connection)
            busy.remove(connection)


def _ready(busy: list[Connection]) -> list[Connection]:
    ready = wait(busy)
    return [connection for connection in busy if connection in ready]


@contextlib.contextmanager
def _process(setup: Setup, *, held: int) -> Iterator[Connection]:
    # With the folder's lock: should this process be killed, no run goes on there before its own
    # processes have ended, which write until they notice.
    ours, theirs = socket.socketpair()
    # -P: nothing is imported from the folder in which the command happens to run.
    command = [sys.executable, "-P", "-m", "sealtune.deid.process", str(theirs.fileno())]
    settings = {**os.environ, **LIBRARY_SETTINGS, "OMP_NUM_THREADS": "1"}
    with theirs:
        child = subprocess.Popen(
            command, pass_fds=(theirs.fileno(), held), stdin=subprocess.DEVNULL, env=settings
        )
    with Connection(ours.detach()) as connection:
        try:
            _send(connection, setup)
            yield connection
        finally:
            connection.close()
            _end(child)


def _end(child: subprocess.Popen[bytes]) -> None:
    """Wait for a process that has nothing to do; one amid a shard is not waited for."""
    child.terminate()
    try:
        child.wait(_END_SECONDS)
    except subprocess.TimeoutExpired:
        child.kill()
        child.wait()


def _send(connection: Connection, value: Setup | Shard) -> None:
    try:
        connection.send(value)
    except (BrokenPipeError, ConnectionResetError):
        raise _dead() from None


def _receive(connection: Any) -> Finished:
    try:
        answer = connection.recv()
    except (EOFError, ConnectionResetError):
        raise _dead() from None
    if isinstance(answer, Failure):
        kind: type[SealtuneError] = getattr(errors, answer.kind)
        raise kind(Code(answer.code), answer.message, remedy=answer.remedy)
    if isinstance(answer, Defect):
        raise RuntimeError(f"{answer.kind} in a process of the pool:\n{answer.frames}")
    finished: Finished = answer
    return finished


def _dead() -> SealtuneError:
    message = "a process of the de-identification was killed or ran out of memory"
    return SealtuneError(Code.WORKER_FAILED, message, remedy=_AGAIN)
