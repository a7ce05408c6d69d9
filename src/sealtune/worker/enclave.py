"""`python -m sealtune.worker.enclave`: the worker as the program of an SGX enclave.

Gramine shows it one folder of the host's: a job, sealed inputs, and a place for sealed outputs. Its
brokers it reaches over TCP, through whatever the host has put there (spec/worker §6).
"""

from __future__ import annotations

import re
import sys
from pathlib import Path
from typing import Any, Final

from sealtune.core.canonical import parse_json
from sealtune.core.clock import SystemClock
from sealtune.core.files import read_bounded
from sealtune.core.limits import CONTRACT_BROKERS_MAX, CONTRACT_INPUTS_MAX, KIB
from sealtune.crypto.identity import NAME_PATTERN
from sealtune.errors import Code, FormatError
from sealtune.tee.attester import Attester
from sealtune.tee.gramine import GramineAttester
from sealtune.worker.exits import Exits, close_standard_streams
from sealtune.worker.job import Job, run_job
from sealtune.worker.outbox import KeptInFolder
from sealtune.worker.process import keep_memory_private, let_threads_take_turns

FOLDER: Final = Path("/job")
JOB_FORMAT: Final = "sealtune-enclave-job/1"
_JOB_BYTES_MAX: Final = 64 * KIB  # 64 inputs and 16 brokers with the longest names
_FIELDS: Final = {"format", "run_id", "inputs", "brokers"}
_RUN_ID: Final = re.compile(r"[0-9a-f]{32}")
_PORT_MAX: Final = 65_535


def main() -> int:
    """Do the enclave's one job and return its exit status."""
    exits = Exits(close_standard_streams(), insecure=False)
    keep_memory_private()
    let_threads_take_turns()
    return run_enclave(FOLDER, attester=GramineAttester(), exits=exits)


def run_enclave(folder: Path, *, attester: Attester, exits: Exits) -> int:
    """Do the job in `folder` and return its exit status; whatever stops it leaves by `exits`."""
    try:
        run_job(
            read_job(folder),
            attester=attester,
            clock=SystemClock(),
            exits=exits,
            outbox=KeptInFolder(),
        )
    except BaseException as error:  # noqa: BLE001 - the process edge: nothing may print itself
        return exits.failed(error)
    return 0


def read_job(folder: Path) -> Job:
    """Return the job that `folder` holds: nothing in it says more than where things are.

    Raises:
        FormatError: not a job of this version.
        StorageError: it is missing or cannot be read.
    """
    data = read_bounded(folder / "job", limit=_JOB_BYTES_MAX, what="job")
    value = parse_json(data, limit=_JOB_BYTES_MAX, what="job")
    if not isinstance(value, dict) or value.keys() != _FIELDS or value["format"] != JOB_FORMAT:
        raise _malformed("another format")
    run_id, inputs, brokers = value["run_id"], value["inputs"], value["brokers"]
    if not isinstance(run_id, str) or not _RUN_ID.fullmatch(run_id):
        raise _malformed("no run id")
    if not isinstance(inputs, list) or len(inputs) > CONTRACT_INPUTS_MAX:
        raise _malformed("no inputs, or too many")
    if not isinstance(brokers, dict) or len(brokers) > CONTRACT_BROKERS_MAX:
        raise _malformed("no brokers, or too many")
    places = {_name(name): folder / f"in{number}" for number, name in enumerate(inputs)}
    if len(places) != len(inputs):
        raise _malformed("an input twice")
    return Job(
        contract=folder / "contract",
        inputs=places,
        brokers={_name(name): _address(port) for name, port in brokers.items()},
        output=folder / "out",
        run_id=run_id,
    )


def _name(value: Any) -> str:
    if not isinstance(value, str) or not NAME_PATTERN.fullmatch(value):
        raise _malformed("a name that no contract has")
    return value


def _address(port: Any) -> str:
    if type(port) is not int or not 0 < port <= _PORT_MAX:
        raise _malformed("a broker without a port")
    return f"http://127.0.0.1:{port}"


def _malformed(how: str) -> FormatError:
    remedy = "start the enclave with the `sealtune run` of the version that built its image"
    return FormatError(Code.CONFIG_INVALID, f"the enclave's job: {how}", remedy=remedy)


if __name__ == "__main__":
    sys.exit(main())
