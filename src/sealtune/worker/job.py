"""The job, from contract to receipt, in the order in which it happens.

What the worker is given are locations and a signed contract; what decides are the signatures, the
digests in the contract and the brokers. Plaintext lives in this process's memory only.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from sealtune.contract.contract import verify_contract
from sealtune.core.clock import Clock
from sealtune.core.files import read_bounded
from sealtune.core.limits import ENVELOPE_BYTES_MAX
from sealtune.crypto.dsse import parse_envelope
from sealtune.tee.attester import Attester
from sealtune.worker.exits import Exits

RESULT_NAME = "result.sealed"
RECEIPT_NAME = "receipt.json"


@dataclass(frozen=True, slots=True, kw_only=True)
class Job:
    """Locations and the run's id; none of it is trusted."""

    contract: Path
    inputs: Mapping[str, Path]
    brokers: Mapping[str, str]
    output: Path
    run_id: str


def run_job(job: Job, *, attester: Attester, clock: Clock, exits: Exits) -> None:
    """Do the whole job and leave `result.sealed` and `receipt.json` in the output folder.

    Raises:
        SealtuneError: whatever stopped it; sealed files stay, and the same call resumes.
    """
    exits.phase("contract")
    data = read_bounded(job.contract, limit=ENVELOPE_BYTES_MAX, what="contract")
    contract = verify_contract(parse_envelope(data, what="contract"), now=clock.now())
    terms = contract.contract
    exits.allow(frozenset(item.value for item in terms.telemetry.allowed), insecure=terms.insecure)
