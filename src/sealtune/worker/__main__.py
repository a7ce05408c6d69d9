"""`python -m sealtune.worker`: one process, threads only, told locations and a contract.

Started by a launcher. Its standard output carries the classified events of `exits` and nothing
else.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from sealtune.core.clock import SystemClock
from sealtune.errors import Code, ConfigError
from sealtune.tee.attester import Attester
from sealtune.tee.select import make_attester
from sealtune.tee.simulated import InsecureSimulatedAttester
from sealtune.worker.exits import Exits, close_standard_streams
from sealtune.worker.job import Job, run_job
from sealtune.worker.outbox import KeptInFolder
from sealtune.worker.process import keep_memory_private, let_threads_take_turns

_SIMULATED = "simulated"


def main() -> int:
    """Run one job and return its exit status."""
    arguments = _parser().parse_args()
    exits = Exits(close_standard_streams(), insecure=arguments.tee == _SIMULATED)
    keep_memory_private()
    let_threads_take_turns()
    try:
        run_job(
            _job(arguments),
            attester=_attester(arguments.tee, arguments.tee_files),
            clock=SystemClock(),
            exits=exits,
            outbox=KeptInFolder(),
        )
    except BaseException as error:  # noqa: BLE001 - the process edge: nothing may print itself
        return exits.failed(error)
    return 0


def _attester(tee: str, files: Path | None) -> Attester:
    if tee != _SIMULATED:
        return make_attester(tee)
    if files is None:
        raise ConfigError(Code.CONFIG_INVALID, "a simulated TEE needs the folder of its keys")
    return InsecureSimulatedAttester(files)


def _job(arguments: argparse.Namespace) -> Job:
    return Job(
        contract=arguments.contract,
        inputs={name: Path(place) for name, place in map(_pair, arguments.input)},
        brokers=dict(map(_pair, arguments.broker)),
        output=arguments.output,
        run_id=arguments.run_id,
        scratch=arguments.output,
    )


def _pair(text: str) -> tuple[str, str]:
    name, _, place = text.partition("=")
    if not name or not place:
        raise ConfigError(Code.CONFIG_INVALID, "inputs and brokers are given as NAME=PLACE")
    return name, place


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="sealtune.worker", allow_abbrev=False)
    parser.add_argument("--contract", type=Path, required=True)
    parser.add_argument("--input", action="append", default=[], metavar="NAME=FILE")
    parser.add_argument("--broker", action="append", default=[], metavar="NAME=ADDRESS")
    parser.add_argument("--output", type=Path, required=True)
    parser.add_argument("--run-id", required=True)
    parser.add_argument("--tee", required=True)
    parser.add_argument("--tee-files", type=Path)
    return parser


if __name__ == "__main__":
    sys.exit(main())
