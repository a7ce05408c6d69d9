"""The job, from contract to receipt, in the order in which it happens (spec/worker §2).

What the worker is given are locations and a signed contract; what decides are the signatures, the
digests in the contract and the brokers. Plaintext lives in this process's memory only.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path

from sealtune.contract.contract import VerifiedContract, verify_contract
from sealtune.core.clock import Clock
from sealtune.core.files import read_bounded, write_atomic
from sealtune.core.limits import ENVELOPE_BYTES_MAX, RECEIPT_BYTES_MAX
from sealtune.core.memory import memory_available
from sealtune.crypto.dsse import parse_envelope
from sealtune.protocol.client import BrokerClient
from sealtune.protocol.session import Anchor, WorkerSecrets
from sealtune.receipt.receipt import TrainingReceipt, parse_receipt
from sealtune.receipt.statement import ReleaseRecord, RunRecord
from sealtune.tee.attester import Attester
from sealtune.worker.background import BackgroundCheckpoints
from sealtune.worker.brokers import Brokers
from sealtune.worker.checkpoints import SealedCheckpoints
from sealtune.worker.exits import Exits
from sealtune.worker.inputs import find_inputs, open_model, open_record_source
from sealtune.worker.keys import RunKeys, gather_keys
from sealtune.worker.outbox import Outbox
from sealtune.worker.outputs import receipt_of, seal_result, software_versions
from sealtune.worker.scratch import open_scratch

RESULT_NAME = "result.sealed"
RECEIPT_NAME = "receipt.json"


@dataclass(frozen=True, slots=True, kw_only=True)
class Job:
    """Locations and the run's id; none of it is trusted.

    `lengths` says of an input on a disk of its own how many bytes of the disk are the bundle.
    `scratch` is a folder for encrypted room beside memory; None where there is no such disk.
    """

    contract: Path
    inputs: Mapping[str, Path]
    brokers: Mapping[str, str]
    output: Path
    run_id: str
    lengths: Mapping[str, int] = field(default_factory=dict)
    scratch: Path | None = None


def run_job(job: Job, *, attester: Attester, clock: Clock, exits: Exits, outbox: Outbox) -> None:
    """Do the whole job and leave `result.sealed` and `receipt.json` in the output folder.

    Each of its files is in `outbox` too before the next step relies on it.

    Raises:
        SealtuneError: whatever stopped it; sealed files stay, and the same call resumes.
    """
    exits.phase("contract")
    started = clock.now()
    contract = _read_contract(job, now=started)
    terms = contract.contract
    exits.allow(frozenset(terms.telemetry.allowed))
    clients = {name: BrokerClient(address) for name, address in job.brokers.items()}
    brokers = Brokers(contract=contract, run_id=job.run_id, clients=clients)

    receipt_path = job.output / RECEIPT_NAME
    if receipt_path.exists():
        # spec/worker §2.11: the run is over, only its receipt may still be unknown to a broker.
        data = read_bounded(receipt_path, limit=RECEIPT_BYTES_MAX, what="receipt")
        return _report(parse_receipt(data), brokers=brokers, exits=exits)

    exits.phase("inputs")
    bundles = find_inputs(contract, job.inputs, lengths=job.lengths)

    exits.phase("attest")
    secrets = WorkerSecrets.generate()
    keys = gather_keys(
        contract, run_id=job.run_id, clients=clients, attester=attester, secrets=secrets
    )
    released = clock.now()
    exits.keys_released()

    exits.phase("open")
    content_keys = keys.content_keys
    weights = open_model(bundles[terms.recipe.model], content_keys)
    datasets = [bundles[name] for name in terms.recipe.datasets]
    records = open_record_source(datasets, content_keys)

    exits.phase("train")

    def anchor(newest: Anchor) -> bool:
        reached = brokers.anchor(newest, signing=secrets.signing)
        if not reached:
            exits.not_anchored()
        return reached

    sealed = SealedCheckpoints(
        job.output,
        contract=contract.digest,
        run_id=job.run_id,
        keys=keys,
        secrets=secrets,
        outbox=outbox,
        anchor=anchor,
    )
    # torch comes with these two; until here the worker does without it.
    from sealtune.training.train import train
    from sealtune.worker.gate import pass_gate

    with BackgroundCheckpoints(sealed) as checkpoints, open_scratch(job.scratch) as scratch:
        trained = train(
            terms.recipe.training,
            weights=weights,
            records=records,
            checkpoints=checkpoints,
            telemetry=exits,
            scratch=scratch,
            memory_limit=memory_available(),
        )

    exits.phase("gate")
    gated = pass_gate(trained, contract)

    exits.phase("seal")
    output = seal_result(
        gated,
        path=job.output / RESULT_NAME,
        contract=contract,
        run_id=job.run_id,
        owner=secrets,
    )

    outbox.publish(job.output / RESULT_NAME)

    exits.phase("receipt")
    run = RunRecord(
        run_id=job.run_id,
        started=started,
        finished=clock.now(),
        insecure_simulated=attester.insecure,
        worker=secrets.public,
        releases=_releases(keys, contract, time=released),
        metrics=trained.metrics,
        counts=trained.counts,
        software=software_versions(),
    )
    receipt = receipt_of(contract, run=run, output=output, attester=attester, secrets=secrets)
    write_atomic(receipt_path, receipt.to_json())
    outbox.publish(receipt_path)
    sealed.remove_all()

    _report(receipt, brokers=brokers, exits=exits)


def _read_contract(job: Job, *, now: datetime) -> VerifiedContract:
    data = read_bounded(job.contract, limit=ENVELOPE_BYTES_MAX, what="contract")
    return verify_contract(parse_envelope(data, what="contract"), now=now)


def _report(receipt: TrainingReceipt, *, brokers: Brokers, exits: Exits) -> None:
    exits.phase("report")
    reported = brokers.report(receipt.to_dict(), digest=receipt.digest)
    exits.finished(receipt.digest, reported=reported)


def _releases(keys: RunKeys, contract: VerifiedContract, *, time: datetime) -> list[ReleaseRecord]:
    return [
        ReleaseRecord(
            broker=name,
            signing=contract.contract.brokers[name].signing,
            log_size=released.log_head.size,
            log_head=released.log_head.hash,
            time=time,
        )
        for name, released in sorted(keys.released.items())
    ]
