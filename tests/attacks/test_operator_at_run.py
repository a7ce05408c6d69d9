"""The operator, who runs the worker, against a run: real processes, real files.

Each test is one story. The contract, the sealed files and the brokers are honest; whoever starts
the worker is not.
"""

from __future__ import annotations

import base64
import contextlib
import json
import shutil
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from chain.world import CANARY, World, kill_worker, write_records
from sealtune.attestation.appraisal import anchors_for
from sealtune.attestation.endorsements import NO_ENDORSEMENTS
from sealtune.bundle.open import open_to_folder
from sealtune.bundle.seal import seal_data
from sealtune.contract.contract import verify_contract_signatures_ignoring_validity
from sealtune.core.canonical import canonical_json
from sealtune.crypto.dsse import parse_envelope
from sealtune.crypto.hpke import RecipientKey
from sealtune.crypto.identity import Identity
from sealtune.errors import Code, SealtuneError
from sealtune.receipt.outputs import verify_result_bundle
from sealtune.receipt.receipt import parse_receipt
from sealtune.receipt.verify import verify_receipt
from sealtune.tee.events import WorkerEvent

# Long enough that a signal is quicker than the end of the run.
CHECKPOINTS = {"checkpoint_every_steps": 1, "epochs": 20}


def refused(world: World, contract: Path, output: Path, **changes: Any) -> Code:
    with pytest.raises(SealtuneError) as caught:
        world.run(contract, output, **changes)
    assert not (output / "receipt.json").exists()
    return caught.value.code


def changed(contract: Path, target: Path, **changes: Any) -> Path:
    """Write `contract` with other terms and the old signatures."""
    value = json.loads(contract.read_bytes())
    document = json.loads(parse_envelope(contract.read_bytes()).payload) | changes
    value["payload"] = base64.b64encode(canonical_json(document)).decode()
    target.write_bytes(canonical_json(value))
    return target


def test_another_recipe(world: World, tmp_path: Path) -> None:
    """The operator wants a model that remembers more and writes 1,000 epochs into the contract."""
    contract = world.agree("recipe")
    document = json.loads(parse_envelope(contract.read_bytes()).payload)
    other = changed(contract, tmp_path / "c.json", recipe=document["recipe"] | {"epochs": 1000})
    assert refused(world, other, tmp_path / "run") is Code.SIGNATURE_INVALID


def test_another_recipient(world: World, tmp_path: Path) -> None:
    """The operator writes its own key in the recipient's place, to open the result itself."""
    contract = world.agree("recipient")
    document = json.loads(parse_envelope(contract.read_bytes()).payload)
    own = RecipientKey.generate().public.text
    parties = document["parties"] | {
        "clinic": document["parties"]["clinic"] | {"recipient_key": own}
    }
    other = changed(contract, tmp_path / "c.json", parties=parties)
    assert refused(world, other, tmp_path / "run") is Code.SIGNATURE_INVALID


def test_a_contract_that_only_strangers_signed(world: World, tmp_path: Path) -> None:
    """The operator invents parties of its own over the owners' bundles and signs for all of them.

    The contract is consistent, so the worker starts. No broker knows it, since no broker's owner
    is named in it by the right key.
    """
    names = ("hospital", "modelworks", "clinic")
    honest = dict(world.identities)
    try:
        for name in names:
            world.identities[name] = Identity.generate(name)
        envelope = world.sign(world.document(name="invented"))
    finally:
        world.identities.update(honest)
    contract = tmp_path / "invented.json"
    contract.write_bytes(envelope.to_json())
    # The files are the owners', not the strangers' whom this contract calls owners.
    assert refused(world, contract, tmp_path / "run") is Code.BUNDLE_OWNER


def test_an_older_dataset_put_back(world: World, tmp_path: Path) -> None:
    """The operator kept last month's sealed notes, with a patient who has since withdrawn."""
    old = seal_data(
        write_records(tmp_path / "old.jsonl", count=20, seed=9),
        tmp_path / "old.sealed",
        owner=world.identities["hospital"],
        recipients=[world.identities["hospital-broker"].public],
        task="text-classification",
        labels=("calm", "storm"),
    )
    inputs = world.inputs | {"notes": old.path}
    assert (
        refused(world, world.agree("older"), tmp_path / "run", inputs=inputs) is Code.BUNDLE_DIGEST
    )


def test_a_flipped_byte_of_a_record(world: World, tmp_path: Path) -> None:
    """The operator flips one bit somewhere in the records: training must not see any of them."""
    copy = tmp_path / "notes.sealed"
    data = bytearray(world.inputs["notes"].read_bytes())
    data[200] ^= 1
    copy.write_bytes(data)
    code = refused(
        world, world.agree("flipped"), tmp_path / "run", inputs=world.inputs | {"notes": copy}
    )
    # Each shard is compared with what the signed digest covered, before it is opened.
    assert code is Code.BUNDLE_BODY_DIGEST


def test_a_flipped_byte_of_a_weight(world: World, tmp_path: Path) -> None:
    """The operator plants a backdoor, bit by bit, in the encrypted model."""
    copy = tmp_path / "encoder.sealed"
    data = bytearray(world.inputs["encoder"].read_bytes())
    data[5000] ^= 1
    copy.write_bytes(data)
    code = refused(
        world, world.agree("weights"), tmp_path / "run", inputs=world.inputs | {"encoder": copy}
    )
    assert code is Code.BUNDLE_BODY_DIGEST


def test_an_old_training_checkpoint_put_back(world: World, tmp_path: Path) -> None:
    """The operator keeps an early checkpoint, stops the run and puts it back under the new name.

    So it could have the worker train a stretch again and again and compare the results. That the
    brokers are restarted in between, as by a power cut, helps it nothing.
    """
    contract = world.agree("rollback", recipe=CHECKPOINTS)
    output, kept = tmp_path / "run", tmp_path / "kept"
    kept.mkdir()

    def hoard(event: WorkerEvent) -> None:
        if event.event != "progress":
            return
        present = list(output.glob("checkpoint-*.sealed"))
        for path in present:
            with contextlib.suppress(FileNotFoundError):  # it was deleted meanwhile
                shutil.copy(path, kept / path.name)
        # The first is deleted when every broker knows a later one.
        if present and {path.name for path in kept.iterdir()} - {path.name for path in present}:
            kill_worker(json.loads((output / "run.json").read_text())["run_id"])

    with pytest.raises(SealtuneError):
        world.run(contract, output, on_event=hoard)
    # Killed before its brokers knew the newest one, it leaves the one before that as well.
    honest = {path: path.read_bytes() for path in output.glob("checkpoint-*.sealed")}
    old = min(kept.glob("checkpoint-*.sealed"))
    assert old.name < min(path.name for path in honest)

    for broker in world.brokers.values():
        broker.kill()
        broker.start()
    for path in honest:
        path.write_bytes(old.read_bytes())
    assert refused(world, contract, output) is Code.CHECKPOINT_ROLLBACK

    # Nor does it start afresh, which would be the oldest state of all.
    for path in honest:
        path.unlink()
    shutil.copy(old, output / old.name)
    assert refused(world, contract, output) is Code.CHECKPOINT_MISSING

    for path, content in honest.items():
        path.write_bytes(content)
    assert world.run(contract, output).reported


def test_a_result_without_its_receipt_is_not_accepted(world: World, tmp_path: Path) -> None:
    """The operator hands out the result of one run with the receipt of another.

    Both are genuine and of the same contract; the first run's receipt it keeps back.
    """
    contract = world.agree("bare")
    bare = world.run(contract, tmp_path / "first").result
    outcome = world.run(contract, tmp_path / "second")
    agreed = verify_contract_signatures_ignoring_validity(parse_envelope(contract.read_bytes()))
    receipt = verify_receipt(
        parse_receipt(outcome.receipt.read_bytes()),
        anchors=anchors_for(agreed.contract.accepted_enclaves),
        now=datetime.now(UTC),
        endorsements=NO_ENDORSEMENTS,
    )
    verify_result_bundle(receipt, outcome.result)
    with pytest.raises(SealtuneError) as caught:
        verify_result_bundle(receipt, bare)
    assert caught.value.code is Code.RECEIPT_OUTPUT


def test_nothing_readable_is_left_with_the_operator(world: World, tmp_path: Path) -> None:
    """The operator searches every file that it holds after a run, and the event stream."""
    lines: list[str] = []
    output = tmp_path / "run"
    world.run(world.agree("search"), output, on_event=lambda event: lines.append(repr(event)))
    held = [output, *world.inputs.values(), *(broker.log for broker in world.brokers.values())]
    for place in held:
        for path in [place] if place.is_file() else place.rglob("*"):
            if path.is_file():
                assert CANARY.encode() not in path.read_bytes(), path
    assert CANARY not in "".join(lines)
    opened = tmp_path / "opened"
    with pytest.raises(SealtuneError) as stranger:
        open_to_folder(
            output / "result.sealed", opened, recipient=world.identities["hospital-broker"]
        )
    assert stranger.value.code is Code.BUNDLE_NO_SLOT
    assert not opened.exists()


def test_evidence_of_other_code(world: World, tmp_path: Path) -> None:
    """The operator runs a worker with one line changed: its measurement is not the agreed one."""
    document = world.document()
    enclave = document["enclaves"][0] | {"measurements": ["5e" * 48]}
    contract = world.agree("other-code", enclaves=[enclave])
    assert refused(world, contract, tmp_path / "run") is Code.APPRAISAL_MEASUREMENT


def test_a_contract_without_the_insecure_switch(world: World, tmp_path: Path) -> None:
    """A production contract, and an operator who simulates the hardware."""
    enclave = world.document()["enclaves"][0]
    del enclave["insecure_accept_simulated"], enclave["simulated_root"]
    contract = world.agree("production", enclaves=[enclave])
    assert refused(world, contract, tmp_path / "run") is Code.EVIDENCE_ROOT
