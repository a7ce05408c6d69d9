"""What the demo's parties agree on: a contract as a person would write it, then signed by all."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path

from sealtune.contract.contract import contract_digest, sign_contract
from sealtune.contract.draft import draft_contract
from sealtune.contract.schema import Contract
from sealtune.core.clock import format_time
from sealtune.core.digest import Digest
from sealtune.crypto.dsse import Envelope
from sealtune.crypto.identity import Identity
from sealtune.tee.measure import measure_enclave_code
from sealtune.testing.demo.stage import BROKER_OF, OWNERS, Stage
from sealtune.testing.notes import LABELS

MAX_RUNS = 1
MAX_RESIDUAL = 50.0  # what a second detector may still find in 10,000 of the notes
# One start that meets a tampered bundle, one that is stopped, one with an old training checkpoint
# and the one that finishes: the first is the run, the others resume it.
MAX_RESUMES = 3
_DAYS = 30


@dataclass(frozen=True, slots=True, kw_only=True)
class DemoSize:
    """How much is trained, and on what; the defaults take about a minute on two cores."""

    records: int = 3_000
    epochs: int = 1
    batch_size: int = 16
    max_length: int = 96
    checkpoint_every_steps: int = 40


@dataclass(frozen=True, slots=True, kw_only=True)
class Agreed:
    """A contract that all who must have signed."""

    contract: Contract
    digest: Digest
    envelope: Envelope
    path: Path


def agree(stage: Stage, *, inputs: Mapping[str, Path], size: DemoSize, seed: int) -> Agreed:
    """Draft the contract, have all parties sign it, and give it to the operator.

    `inputs` are the sealed files `notes` and `encoder`.
    """
    text = _contract_text(stage, inputs=inputs, size=size, seed=seed, enclave=_simulated(stage))
    return _signed_by_all(stage, text, name="contract")


def agree_on_hardware(
    stage: Stage, *, inputs: Mapping[str, Path], size: DemoSize, seed: int
) -> Agreed:
    """The same agreement without the words `insecure_accept_simulated`, signed by all."""
    text = _contract_text(stage, inputs=inputs, size=size, seed=seed, enclave="")
    return _signed_by_all(stage, text, name="contract-for-hardware")


def agree_on_stricter_reports(
    stage: Stage, *, inputs: Mapping[str, Path], size: DemoSize, seed: int
) -> Agreed:
    """The same agreement, but for a detector that the hospital's report does not name."""
    text = _contract_text(
        stage,
        inputs=inputs,
        size=size,
        seed=seed,
        enclave=_simulated(stage),
        detectors=("rules", "names", "presidio"),
    )
    return _signed_by_all(stage, text, name="contract-with-stricter-reports")


def sign_by(
    identities: Mapping[str, Identity], contract: Contract, signers: Sequence[str]
) -> Envelope:
    """Return `contract` signed by `signers`, who have the keys in `identities`."""
    envelope = sign_contract(contract, identities[signers[0]])
    for name in signers[1:]:
        envelope = sign_contract(envelope, identities[name])
    return envelope


def _signed_by_all(stage: Stage, text: str, *, name: str) -> Agreed:
    draft = stage.folder / f"{name}.toml"
    draft.write_text(text)
    contract = draft_contract(draft)
    envelope = sign_by(stage.identities, contract, (*OWNERS, "recipient"))
    path = stage.operator / f"{name}.json"
    path.write_bytes(envelope.to_json())
    return Agreed(contract=contract, digest=contract_digest(contract), envelope=envelope, path=path)


def _simulated(stage: Stage) -> str:
    return (
        "# INSECURE: the enclave is simulated, its evidence proves nothing.\n"
        "insecure_accept_simulated = true\n"
        f'simulated_root = "{stage.mock.root}"\n'
    )


def _contract_text(
    stage: Stage,
    *,
    inputs: Mapping[str, Path],
    size: DemoSize,
    seed: int,
    enclave: str,
    detectors: Sequence[str] = ("rules", "names"),
) -> str:
    wanted = ", ".join(f'"{name}"' for name in detectors)
    labels = ", ".join(f'"{label}"' for label in LABELS)
    now = stage.now
    return f"""\
name = "specialty-of-notes"
purpose = "Tell the specialty of a de-identified note, to route it; synthetic notes, for trial."
max_runs = {MAX_RUNS}
max_resumes = {MAX_RESUMES}

{_parties()}
[[inputs]]
name = "notes"
owner = "hospital"
file = "{inputs["notes"].relative_to(stage.folder)}"

[inputs.deidentification]
profiles = ["hipaa-safe-harbor"]
max_residual_per_10000 = {MAX_RESIDUAL}
detectors = [{wanted}]

[[inputs]]
name = "encoder"
owner = "modelvendor"
file = "{inputs["encoder"].relative_to(stage.folder)}"

[recipe]
model = "encoder"
datasets = ["notes"]
task = "text-classification"
method = "lora"
labels = [{labels}]
seed = {seed}
epochs = {size.epochs}
batch_size = {size.batch_size}
max_length = {size.max_length}
learning_rate = 1e-3
warmup_ratio = 0.06
precision = "bf16"
lora_rank = 8
lora_alpha = 16
evaluation_fraction = 0.15
checkpoint_every_steps = {size.checkpoint_every_steps}

[[enclaves]]
name = "worker"
kind = "sev-snp"
measurements = ["{measure_enclave_code()}"]
vmpl = [0]
{enclave}
[enclaves.minimum_tcb.genoa]
bl = 9
tee = 0
snp = 23
ucode = 72

[outputs]
recipients = ["recipient"]
max_bytes = {64 * 2**20}

[telemetry]
allowed = ["progress"]

[receipt]
metrics = ["accuracy_before", "accuracy_after"]
counts = ["records", "evaluation_records", "optimizer_steps"]

[validity]
not_before = {format_time(now - timedelta(hours=1))}
not_after = {format_time(now + timedelta(days=_DAYS))}
"""


def _parties() -> str:
    roles = {
        "hospital": "data_owner",
        "modelvendor": "model_owner",
        "recipient": "recipient",
        "operator": "operator",
    }
    tables = [
        f'[parties.{name}]\nroles = ["{role}"]\npublic_key_file = "{name}/{name}.pub"\n'
        for name, role in roles.items()
    ]
    tables += [
        f'[brokers.{broker}]\nowner = "{owner}"\npublic_key_file = "{owner}/{broker}.pub"\n'
        for owner, broker in BROKER_OF.items()
    ]
    return "\n".join(tables)
