"""One LoRA fine-tune through the whole sealed chain, for comparison with a plaintext one.

Seals records and model, has all parties sign, runs brokers and worker as processes, opens the
adapter as the recipient, and evaluates it with plain transformers and PEFT: nothing of ours is
between the adapter and its accuracy. The TEE is simulated (INSECURE); all else is as in production.
"""

from __future__ import annotations

import json
import time
from datetime import timedelta
from pathlib import Path
from typing import Any

from sealtune.bundle.open import open_to_folder
from sealtune.bundle.seal import seal_data, seal_model
from sealtune.contract.contract import contract_digest
from sealtune.contract.draft import draft_contract
from sealtune.core.clock import SystemClock, format_time
from sealtune.receipt.receipt import parse_receipt
from sealtune.receipt.schema import parse_statement
from sealtune.tee.launcher import LaunchSpec, RunOutcome, Tee, run_contract
from sealtune.tee.measure import measure_enclave_code
from sealtune.testing.demo.stage import (
    BROKER_OF,
    OWNERS,
    Stage,
    brokers_running,
    register_bundle,
    register_contract,
    set_stage,
)
from sealtune.testing.demo.terms import sign_by

Records = list[dict[str, Any]]


def run_sealed(
    training: Records,
    test: Records,
    *,
    labels: list[str],
    model: Path,
    recipe: dict[str, Any],
    folder: Path,
) -> dict[str, Any]:
    """Return accuracy on `test`, times and token count of one run in the new `folder`."""
    stage = set_stage(folder, clock=SystemClock())
    start = time.perf_counter()
    inputs = _seal(stage, training, labels=labels, model=model)
    sealing = time.perf_counter() - start
    start = time.perf_counter()
    outcome = _run(stage, inputs, labels=labels, recipe=recipe)
    seconds = time.perf_counter() - start
    opened = folder / "recipient" / "adapter"
    open_to_folder(outcome.result, opened, recipient=stage.identities["recipient"])
    receipt = parse_receipt(outcome.receipt.read_bytes())
    counts = parse_statement(receipt.envelope.payload).predicate.counts
    return {
        **evaluate_adapter(opened, test, model=model, labels=labels, recipe=recipe),
        "seconds": seconds,
        "sealing_seconds": sealing,
        "seconds_by_phase": dict(outcome.seconds_by_phase),
        "tokens": counts["tokens"],
        "trainable": counts["trainable_parameters"],
    }


def evaluate_adapter(
    adapter: Path, test: Records, *, model: Path, labels: list[str], recipe: dict[str, Any]
) -> dict[str, float]:
    """Return accuracy and loss of the opened `adapter`, with transformers and PEFT only."""
    import torch
    import transformers
    from peft import PeftModel

    tokenizer = transformers.AutoTokenizer.from_pretrained(model)
    base = transformers.AutoModelForSequenceClassification.from_pretrained(
        model, num_labels=len(labels)
    )
    tuned = PeftModel.from_pretrained(base, adapter).eval()
    hits, loss = 0, 0.0
    with torch.inference_mode():
        for start in range(0, len(test), 32):
            batch = test[start : start + 32]
            encoded = tokenizer(
                [record["text"] for record in batch],
                truncation=True,
                max_length=recipe["max_length"],
                padding=True,
                return_tensors="pt",
            )
            logits = tuned(**encoded).logits.float()
            targets = torch.tensor([record["label"] for record in batch])
            hits += int((logits.argmax(-1) == targets).sum())
            loss += float(torch.nn.functional.cross_entropy(logits, targets, reduction="sum"))
    return {"accuracy": hits / len(test), "loss": loss / len(test)}


def _seal(stage: Stage, training: Records, *, labels: list[str], model: Path) -> dict[str, Path]:
    hospital, vendor = stage.home("hospital"), stage.home("modelvendor")
    plain = hospital / "records.jsonl"
    plain.write_text("".join(json.dumps(record) + "\n" for record in training))
    seal_data(
        plain,
        hospital / "records.sealed",
        owner=stage.identities["hospital"],
        recipients=[stage.brokers[BROKER_OF["hospital"]]],
        task="text-classification",
        labels=labels,
    )
    seal_model(
        model,
        vendor / "model.sealed",
        owner=stage.identities["modelvendor"],
        recipients=[stage.brokers[BROKER_OF["modelvendor"]]],
    )
    return {"records": hospital / "records.sealed", "model": vendor / "model.sealed"}


def _run(
    stage: Stage, inputs: dict[str, Path], *, labels: list[str], recipe: dict[str, Any]
) -> RunOutcome:
    draft = stage.folder / "contract.toml"
    draft.write_text(_contract_text(stage, inputs, labels=labels, recipe=recipe))
    contract = draft_contract(draft)
    envelope = sign_by(stage.identities, contract, (*OWNERS, "recipient"))
    path = stage.operator / "contract.json"
    path.write_bytes(envelope.to_json())
    owner_of = {"records": "hospital", "model": "modelvendor"}
    with brokers_running(stage) as lines:
        for name, bundle in inputs.items():
            register_bundle(stage, lines, owner=owner_of[name], bundle=bundle)
        for broker in lines.addresses:
            digest = contract_digest(contract)
            register_contract(stage, lines, broker=broker, envelope=envelope, digest=digest)
        spec = LaunchSpec(
            contract=path,
            inputs=inputs,
            brokers=lines.addresses,
            output=stage.operator / "run",
            tee=Tee.SIMULATED,
            tee_files=stage.hardware,
        )
        return run_contract(spec, clock=SystemClock(), on_event=_ignore)


def _contract_text(
    stage: Stage, inputs: dict[str, Path], *, labels: list[str], recipe: dict[str, Any]
) -> str:
    now = stage.clock.now()
    settings = "\n".join(f"{name} = {json.dumps(value)}" for name, value in recipe.items())
    roles = {"hospital": "data_owner", "modelvendor": "model_owner", "recipient": "recipient"}
    parties = "\n".join(
        f'[parties.{name}]\nroles = ["{role}"]\npublic_key_file = "{name}/{name}.pub"'
        for name, role in roles.items()
    )
    brokers = "\n".join(
        f'[brokers.{broker}]\nowner = "{owner}"\npublic_key_file = "{owner}/{broker}.pub"'
        for owner, broker in BROKER_OF.items()
    )
    files = "\n".join(
        f'[[inputs]]\nname = "{name}"\nowner = "{owner}"\n'
        f'file = "{inputs[name].relative_to(stage.folder)}"'
        for name, owner in (("records", "hospital"), ("model", "modelvendor"))
    )
    return f"""\
name = "benchmark"
purpose = "A benchmark."
max_runs = 1
{parties}
{brokers}
{files}
[recipe]
model = "model"
datasets = ["records"]
task = "text-classification"
method = "lora"
labels = {json.dumps(labels)}
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
[receipt]
counts = ["tokens", "trainable_parameters", "optimizer_steps"]
[validity]
not_before = {format_time(now - timedelta(hours=1))}
not_after = {format_time(now + timedelta(days=2))}
"""


def _ignore(_event: object) -> None:
    """The benchmark shows no progress."""
