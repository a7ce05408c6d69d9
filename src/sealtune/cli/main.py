"""The `sealtune` command: its overview, and the process edge where exceptions become exit statuses.

Loads no command until it is named; `sealtune --help` never loads torch, pydantic, rich or a server.
"""

from __future__ import annotations

import os
import signal
import sys
from collections.abc import Sequence
from typing import Final, NoReturn

import click

import sealtune
from sealtune.cli.failures import fail, fail_internal, fail_interrupted, fail_missing, fail_usage
from sealtune.cli.framework import LazyGroup
from sealtune.cli.output import colour
from sealtune.errors import SealtuneError

SECTIONS: Final = {
    "Owners and recipients": {
        "key": "sealtune.cli.key:key",
        "deidentify": "sealtune.cli.deidentify:deidentify",
        "deid-report": "sealtune.cli.deid_report:deid_report",
        "reidentify": "sealtune.cli.reidentify:reidentify",
        "seal": "sealtune.cli.seal:seal",
        "inspect": "sealtune.cli.inspect:inspect",
        "open": "sealtune.cli.open:open_",
        "rewrap": "sealtune.cli.rewrap:rewrap",
    },
    "Owners' brokers": {
        "broker": "sealtune.cli.broker:broker",
        "endorsements": "sealtune.cli.endorsements:endorsements",
    },
    "All parties": {
        "contract": "sealtune.cli.contract:contract",
        "receipt": "sealtune.cli.receipt:receipt",
        "policy": "sealtune.cli.policy:policy",
        "attest": "sealtune.cli.attest:attest",
    },
    "Operators": {
        "doctor": "sealtune.cli.doctor:doctor",
        "plan": "sealtune.cli.plan:plan",
        "run": "sealtune.cli.run:run",
        "worker": "sealtune.cli.worker:worker",
        "tee": "sealtune.cli.tee:tee",
        "measure": "sealtune.cli.measure:measure",
        "image": "sealtune.cli.image:image",
    },
    "Other": {
        "demo": "sealtune.cli.demo:demo",
        "bench": "sealtune.cli.bench:bench",
        "completion": "sealtune.cli.completion:completion",
        "version": "sealtune.cli.version:version",
    },
}


@click.command("sealtune", cls=LazyGroup, sections=SECTIONS)
@click.version_option(sealtune.__version__, message="%(prog)s %(version)s")
def cli() -> None:
    """Fine-tune a model on sealed data inside an enclave; keys go only where evidence is good.

    Owners seal their data and weights, all parties sign one contract, each owner's broker releases
    its key to an enclave that proves what it runs, and the result opens only for the recipients.
    """


def run(arguments: Sequence[str]) -> int:
    """Run one command line and return its exit status."""
    as_json = "--json" in arguments
    try:
        return _run(arguments)
    except SealtuneError as error:
        return fail(error, as_json=as_json)
    except click.ClickException as error:
        return fail_usage(error, as_json=as_json)
    except (click.Abort, KeyboardInterrupt):
        return fail_interrupted(as_json=as_json)
    except BrokenPipeError:
        # The reader went away (`| head`): nothing to say, and nobody to say it to.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 1
    except ModuleNotFoundError as error:
        return fail_missing(error, as_json=as_json)
    except Exception as error:  # noqa: BLE001 - the process edge
        return fail_internal(error, as_json=as_json)


def _run(arguments: Sequence[str]) -> int:
    status = cli.main(
        args=list(arguments), prog_name="sealtune", standalone_mode=False, color=colour()
    )
    return status if isinstance(status, int) else 0


def main() -> NoReturn:
    """Run the command line of this process and exit."""
    # As Ctrl-C: what the command started (a worker, the demo's brokers) ends with it.
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    sys.exit(run(sys.argv[1:]))


if __name__ == "__main__":
    main()
