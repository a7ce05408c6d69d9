"""The whole chain with real processes: sealed inputs in, an adapter for the recipient out."""

from __future__ import annotations

import json
import subprocess
import sys
import textwrap
from datetime import UTC, datetime
from pathlib import Path

import pytest

from chain.world import CANARY, LABELS, World
from sealtune.attestation.anchors import amd_anchors
from sealtune.attestation.appraisal import anchors_for
from sealtune.attestation.endorsements import NO_ENDORSEMENTS
from sealtune.bundle.open import open_to_folder
from sealtune.bundle.reader import registration
from sealtune.bundle.seal import seal_data, seal_model
from sealtune.contract.contract import verify_contract_signatures_ignoring_validity
from sealtune.core.limits import GIB, MIB
from sealtune.crypto.dsse import parse_envelope
from sealtune.errors import Code, SealtuneError
from sealtune.protocol.client import BrokerClient
from sealtune.receipt.outputs import verify_result_bundle, verify_result_folder
from sealtune.receipt.receipt import parse_receipt
from sealtune.receipt.verify import verify_receipt, verify_receipt_against_contract
from sealtune.tee.events import WorkerEvent
from sealtune.tee.launcher import Sandbox
from training.tiny_models import make_model


def test_from_contract_to_adapter(world: World, tiny_encoder: Path, tmp_path: Path) -> None:
    contract = world.agree("whole", recipe={"epochs": 20, "learning_rate": 1e-2, "lora_rank": 8})
    events: list[WorkerEvent] = []
    outcome = world.run(contract, tmp_path / "run", on_event=events.append)
    assert outcome.insecure
    assert outcome.reported
    assert all(event.insecure for event in events)
    assert CANARY.encode() not in outcome.result.read_bytes()

    # The recipient opens the result, with a key that nobody else has.
    opened = tmp_path / "opened"
    open_to_folder(outcome.result, opened, recipient=world.identities["clinic"])
    agreed = verify_contract_signatures_ignoring_validity(parse_envelope(contract.read_bytes()))
    receipt = parse_receipt(outcome.receipt.read_bytes())
    assert outcome.receipt_digest == receipt.digest
    verified = verify_receipt_against_contract(
        receipt,
        contract=agreed,
        anchors=anchors_for(agreed.contract.accepted_enclaves),
        now=datetime.now(UTC),
        endorsements=NO_ENDORSEMENTS,
    )
    assert verified.insecure
    verify_result_bundle(verified.receipt, outcome.result)
    verify_result_folder(verified.receipt, opened)
    predicate = verified.receipt.statement.predicate
    assert set(predicate.metrics) == {"accuracy_before", "accuracy_after"}
    assert predicate.metrics["accuracy_after"] > 0.9
    assert predicate.counts["records"] == 48

    # No vendor's root vouches for a simulation.
    with pytest.raises(SealtuneError) as caught:
        verify_receipt(
            receipt, anchors=amd_anchors(), now=datetime.now(UTC), endorsements=NO_ENDORSEMENTS
        )
    assert caught.value.code is Code.EVIDENCE_ROOT

    # Nothing of ours is needed to check the signature or to use the adapter.
    signature = [sys.executable, "-m", "model_signing", "verify", "key", str(opened)]
    signature += ["--signature", str(opened / "model.sig")]
    signature += ["--public_key", str(opened / "signer.pub")]
    done = subprocess.run(signature, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    script = f"""
        import sys
        sys.modules["sealtune"] = None
        import torch
        from peft import PeftModel
        from transformers import AutoModelForSequenceClassification, AutoTokenizer
        base = {str(tiny_encoder)!r}
        base = AutoModelForSequenceClassification.from_pretrained(base, num_labels=2)
        model = PeftModel.from_pretrained(base, {str(opened)!r}).eval()
        tokenizer = AutoTokenizer.from_pretrained({str(tiny_encoder)!r})
        tokenizer.backend_tokenizer.no_truncation()
        tokenizer.backend_tokenizer.no_padding()
        for text in ("flat quiet still mild clear", "gale thunder flood wreck rain"):
            with torch.no_grad():
                logits = model(**tokenizer(text, return_tensors="pt")).logits
            print(int(logits.argmax()))
    """
    done = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(script)], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    assert [LABELS[int(line)] for line in done.stdout.split()] == ["calm", "storm"]


def test_without_telemetry_the_operator_sees_phases_only(world: World, tmp_path: Path) -> None:
    contract = world.agree("silent", telemetry={"allowed": []})
    kinds: set[str] = set()
    world.run(contract, tmp_path / "run", on_event=lambda event: kinds.add(event.event))
    assert kinds == {"phase", "finished"}


def test_a_full_fine_tune_leaves_as_a_model(world: World, tmp_path: Path) -> None:
    contract = world.agree(
        "full",
        recipe={"method": "full", "learning_rate": 1e-3, "epochs": 1},
        outputs={"kinds": ["model"], "max_bytes": 2**24, "recipients": ["clinic"]},
    )
    outcome = world.run(contract, tmp_path / "run")
    opened = tmp_path / "opened"
    open_to_folder(outcome.result, opened, recipient=world.identities["clinic"])
    assert {"config.json", "model.safetensors", "tokenizer.json"} <= {
        path.name for path in opened.iterdir()
    }


def test_a_result_that_is_too_large_does_not_leave(world: World, tmp_path: Path) -> None:
    outputs = {"kinds": ["adapter"], "max_bytes": 1000, "recipients": ["clinic"]}
    contract = world.agree("large", outputs=outputs)
    with pytest.raises(SealtuneError) as caught:
        world.run(contract, tmp_path / "run")
    assert caught.value.code is Code.OUTPUT_REFUSED
    assert not (tmp_path / "run" / "result.sealed").exists()


def test_conversations_train_a_decoder(world: World, tmp_path: Path) -> None:
    model = make_model(tmp_path / "llama", model_type="llama", auto_class="AutoModelForCausalLM")
    lines = [
        {
            "messages": [
                {"role": "user", "content": f"what is the wind {number % 3}"},
                {"role": "assistant", "content": "calm" if number % 3 else "storm"},
            ]
        }
        for number in range(24)
    ]
    path = tmp_path / "chats.jsonl"
    path.write_text("".join(json.dumps(line) + "\n" for line in lines))
    hospital, vendor = world.identities["hospital"], world.identities["modelworks"]
    chats = seal_data(
        path,
        tmp_path / "chats.sealed",
        owner=hospital,
        recipients=[world.identities["hospital-broker"].public],
        task="causal-lm",
    )
    llama = seal_model(
        model,
        tmp_path / "llama.sealed",
        owner=vendor,
        recipients=[world.identities["modelworks-broker"].public],
    )
    for broker, file in (("hospital", chats.path), ("modelworks", llama.path)):
        address = world.brokers[f"{broker}-broker"].address
        BrokerClient(address).ask("/v1/keys", registration(file))
    document = world.document()
    notes, encoder = document["inputs"]
    contract = world.agree(
        "chats",
        inputs=[notes | {"digest": chats.digest}, encoder | {"digest": llama.digest}],
        recipe={"task": "causal-lm", "labels": [], "max_length": 64},
        receipt={"metrics": ["loss_before", "loss_after"], "counts": []},
    )
    outcome = world.run(
        contract, tmp_path / "run", inputs={"notes": chats.path, "encoder": llama.path}
    )
    receipt = parse_receipt(outcome.receipt.read_bytes())
    metrics = json.loads(receipt.envelope.payload)["predicate"]["metrics"]
    assert metrics["loss_after"] < metrics["loss_before"]


def test_without_a_sandbox_it_runs_and_says_so(world: World, tmp_path: Path) -> None:
    outcome = world.run(world.agree("bare-host"), tmp_path / "run", sandbox=Sandbox.OFF)
    assert outcome.reported
    assert not outcome.sandboxed


def test_a_memory_limit_holds_and_says_how(world: World, tmp_path: Path) -> None:
    contract = world.agree("limited")
    with pytest.raises(SealtuneError) as stopped:
        # torch alone needs more.
        world.run(contract, tmp_path / "run", memory_limit=48 * MIB)
    assert stopped.value.code in (Code.MEMORY_EXCEEDED, Code.WORKER_FAILED)
    outcome = world.run(contract, tmp_path / "run", memory_limit=8 * GIB)
    assert outcome.memory_cap.startswith("8.00 GiB by ")


def test_a_sandbox_that_is_required_and_absent_stops_the_launch(
    world: World, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("sealtune.tee.launcher.sandbox_available", lambda: "")
    contract = world.agree("required")
    with pytest.raises(SealtuneError) as caught:
        world.run(contract, tmp_path / "run", sandbox=Sandbox.REQUIRE)
    assert caught.value.code is Code.TEE_UNAVAILABLE
