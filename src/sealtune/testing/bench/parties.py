"""The parties of a sealed run: keys, brokers, sealed inputs, and contracts that all have signed.

The enclave is simulated (INSECURE); all else is as in production.
"""

from __future__ import annotations

import contextlib
import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Any, Final

from sealtune.bundle.dataset import Task
from sealtune.bundle.seal import seal_data, seal_model
from sealtune.contract.contract import contract_digest
from sealtune.contract.draft import draft_contract
from sealtune.core.clock import SystemClock, format_time
from sealtune.core.limits import GIB
from sealtune.tee.measure import measure_enclave_code
from sealtune.testing.demo.stage import (
    BROKER_OF,
    OWNERS,
    Lines,
    Stage,
    brokers_running,
    register_bundle,
    register_contract,
    set_stage,
)
from sealtune.testing.demo.terms import sign_by

_OWNER_OF: Final = {"records": "hospital", "model": "modelvendor"}
_DAYS: Final = 7
_RESULT_BYTES_MAX: Final = 2 * GIB


@dataclass(frozen=True, slots=True, kw_only=True)
class Parties:
    """Where everything of a sealed run is, while the brokers run."""

    stage: Stage
    lines: Lines
    inputs: Mapping[str, Path]

    def agree(self, recipe: Mapping[str, Any], *, name: str, runs: int) -> dict[str, Any]:
        """Have all sign a contract about `recipe`; return what a Job says of a sealed run."""
        draft = self.stage.folder / f"{name}.toml"
        draft.write_text(_contract_text(self, recipe, runs=runs))
        contract = draft_contract(draft)
        envelope = sign_by(self.stage.identities, contract, (*OWNERS, "recipient"))
        path = self.stage.operator / f"{name}.json"
        path.write_bytes(envelope.to_json())
        for broker in self.lines.addresses:
            register_contract(
                self.stage,
                self.lines,
                broker=broker,
                envelope=envelope,
                digest=contract_digest(contract),
            )
        return {
            "contract": str(path.resolve()),
            "inputs": {key: str(value.resolve()) for key, value in self.inputs.items()},
            "brokers": dict(self.lines.addresses),
            "hardware": str(self.stage.hardware.resolve()),
        }


@contextlib.contextmanager
def sealed_parties(
    folder: Path, *, records: Path, model: Path, task: str, labels: tuple[str, ...]
) -> Iterator[Parties]:
    """Make the parties in the new `folder`, have them seal their inputs, and run their brokers."""
    stage = set_stage(folder, clock=SystemClock())
    inputs = {
        "records": stage.home("hospital") / "records.sealed",
        "model": stage.home("modelvendor") / "model.sealed",
    }
    seal_data(
        records,
        inputs["records"],
        owner=stage.identities["hospital"],
        recipients=[stage.brokers[BROKER_OF["hospital"]]],
        task=Task(task),
        labels=labels or None,
    )
    seal_model(
        model,
        inputs["model"],
        owner=stage.identities["modelvendor"],
        recipients=[stage.brokers[BROKER_OF["modelvendor"]]],
    )
    with brokers_running(stage) as lines:
        for name, path in inputs.items():
            register_bundle(stage, lines, owner=_OWNER_OF[name], bundle=path)
        yield Parties(stage=stage, lines=lines, inputs=inputs)


def _contract_text(parties: Parties, recipe: Mapping[str, Any], *, runs: int) -> str:
    stage = parties.stage
    now = stage.now
    # Numbers, texts and lists read alike in JSON and TOML.
    settings = "\n".join(f"{name} = {json.dumps(value)}" for name, value in recipe.items())
    return f"""\
name = "benchmark"
purpose = "A benchmark."
max_runs = {runs}
{_people()}
{_inputs(parties)}
[recipe]
model = "model"
datasets = ["records"]
{settings}
[[enclaves]]
name = "worker"
kind = "sev-snp"
measurements = ["{measure_enclave_code()}"]
vmpl = [0]
insecure_accept_simulated = true
simulated_root = "{stage.mock.root}"
[enclaves.minimum_tcb.genoa]
bl = 9
tee = 0
snp = 23
ucode = 72
[outputs]
recipients = ["recipient"]
max_bytes = {_RESULT_BYTES_MAX}
[telemetry]
allowed = ["progress", "rates"]
[receipt]
counts = ["tokens", "threads", "optimizer_steps"]
[validity]
not_before = {format_time(now - timedelta(hours=1))}
not_after = {format_time(now + timedelta(days=_DAYS))}
"""


def _people() -> str:
    roles = {"hospital": "data_owner", "modelvendor": "model_owner", "recipient": "recipient"}
    tables = [
        f'[parties.{name}]\nroles = ["{role}"]\npublic_key_file = "{name}/{name}.pub"'
        for name, role in roles.items()
    ]
    tables += [
        f'[brokers.{broker}]\nowner = "{owner}"\npublic_key_file = "{owner}/{broker}.pub"'
        for owner, broker in BROKER_OF.items()
    ]
    return "\n".join(tables)


def _inputs(parties: Parties) -> str:
    return "\n".join(
        f'[[inputs]]\nname = "{name}"\nowner = "{_OWNER_OF[name]}"\n'
        f'file = "{path.relative_to(parties.stage.folder)}"'
        for name, path in parties.inputs.items()
    )
