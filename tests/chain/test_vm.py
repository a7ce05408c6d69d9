"""A whole job in a measured VM: real image, real firmware, real TPM in software, real brokers."""

from __future__ import annotations

import json
import secrets
import shutil
import socket
import struct
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from chain.measured import MeasuredVm
from chain.world import CANARY, World, make_world, open_world
from sealtune.attestation.anchors import vendor_anchors
from sealtune.attestation.endorsements import NO_ENDORSEMENTS
from sealtune.bundle.open import open_to_folder
from sealtune.contract.contract import verify_contract_signatures_ignoring_validity
from sealtune.core.clock import SystemClock
from sealtune.crypto.dsse import parse_envelope
from sealtune.receipt.receipt import parse_receipt
from sealtune.receipt.verify import verify_receipt_against_contract
from sealtune.tee.events import WorkerEvent
from sealtune.tee.qemu import machine
from sealtune.tee.qemu.relay import Relay
from sealtune.testing.demo.canaries import CanarySearch, Finding

pytestmark = pytest.mark.slow
# Two checkpoints on the way, so that the disk holds what a run writes at most.
RECIPE = {"epochs": 1, "batch_size": 16, "max_length": 16, "checkpoint_every_steps": 1}


@dataclass(frozen=True, slots=True, kw_only=True)
class Planted:
    """A world whose owners' files hold known strings, by the place where each stands."""

    world: World
    model: Path
    secrets: dict[str, bytes]


@pytest.fixture(scope="module")
def planted(
    tmp_path_factory: pytest.TempPathFactory, chain_mock: tuple[Path, str], tiny_encoder: Path
) -> Iterator[Planted]:
    model = tmp_path_factory.mktemp("planted") / "model"
    shutil.copytree(tiny_encoder, model)
    found = {"record": CANARY.encode()}
    for name in ("vocabulary", "template", "weights"):
        found[name] = f"CANARY-{name:-<12}{secrets.token_hex(6)}-".encode()
    tokenizer = json.loads((model / "tokenizer.json").read_bytes())
    vocabulary = tokenizer["model"]["vocab"]
    vocabulary[found["vocabulary"].decode()] = max(vocabulary.values()) + 1
    (model / "tokenizer.json").write_text(json.dumps(tokenizer))
    settings = json.loads((model / "tokenizer_config.json").read_bytes())
    settings["chat_template"] += "{# " + found["template"].decode() + " #}"
    (model / "tokenizer_config.json").write_text(json.dumps(settings))
    plant_in_weights(model / "model.safetensors", found["weights"])
    mock_folder, mock_root = chain_mock
    folder = tmp_path_factory.mktemp("world")
    made = make_world(folder, model=model, mock_folder=mock_folder, mock_root=mock_root)
    with open_world(made):
        yield Planted(world=made, model=model, secrets=found)


def plant_in_weights(path: Path, text: bytes) -> None:
    """Write `text` over the embedding of a token that no record has: as floats it is finite."""
    data = bytearray(path.read_bytes())
    size = struct.unpack("<Q", data[:8])[0]
    table = json.loads(data[8 : 8 + size])["embeddings.word_embeddings.weight"]
    end = 8 + size + table["data_offsets"][1]
    data[end - len(text) : end] = text
    path.write_bytes(data)


@dataclass
class Host:
    """Everything that the host could have kept: the channel's bytes, and each temporary file."""

    folder: Path
    sent: list[bytes] = field(default_factory=list)
    received: list[bytes] = field(default_factory=list)


class Tapped:
    """The channel's socket, and a record of what passed it."""

    def __init__(self, inner: socket.socket, host: Host) -> None:
        self._inner = inner
        self._host = host

    def __getattr__(self, name: str) -> Any:
        return getattr(self._inner, name)

    def send(self, data: bytes) -> int:
        count = self._inner.send(data)
        self._host.sent.append(bytes(data[:count]))
        return count

    def recv(self, size: int) -> bytes:
        self._host.received.append(self._inner.recv(size))
        return self._host.received[-1]


class Kept:
    """A temporary folder that stays."""

    def __init__(self, *, prefix: str = "", dir: Path | None = None) -> None:
        self.name = tempfile.mkdtemp(prefix=prefix, dir=dir)

    def __enter__(self) -> str:
        return self.name

    def __exit__(self, *_: object) -> None:
        pass


@pytest.fixture
def host(measured_vm: MeasuredVm, monkeypatch: pytest.MonkeyPatch) -> Iterator[Host]:
    assert measured_vm  # made before temporary folders stay
    # A short path: sockets are in it.
    with tempfile.TemporaryDirectory(prefix="q-") as name:
        host = Host(Path(name))
        monkeypatch.setattr(tempfile, "tempdir", name)
        monkeypatch.setattr(tempfile, "TemporaryDirectory", Kept)
        tapped = lambda guest, **given: Relay(Tapped(guest, host), **given)  # noqa: E731
        monkeypatch.setattr(machine, "Relay", tapped)
        yield host
        monkeypatch.undo()


def test_a_whole_job_in_a_measured_vm(
    planted: Planted, measured_vm: MeasuredVm, host: Host, tmp_path: Path
) -> None:
    """It runs to a receipt that verifies, and its host has seen nothing of what went in.

    The host's view is all but the guest's memory, which is the host's in this kind of machine
    (docs/spec/vm.md §1.2): the channel both ways, the disks, what QEMU and swtpm print and keep,
    the run's folder, and the brokers' stores and logs.
    """
    world = planted.world
    contract = world.agree("vm", enclaves=[measured_vm.enclave], recipe=RECIPE)
    events: list[WorkerEvent] = []
    output = tmp_path / "run"
    outcome = measured_vm.run(
        world, contract, output, vm=measured_vm.launch(), on_event=events.append
    )
    assert outcome.reported
    assert not outcome.insecure
    assert [event.event for event in events][-1] == "finished"
    signed = verify_contract_signatures_ignoring_validity(parse_envelope(contract.read_bytes()))
    receipt = parse_receipt((output / "receipt.json").read_bytes())
    agreed = verify_receipt_against_contract(
        receipt,
        contract=signed,
        anchors=vendor_anchors(),
        endorsements=NO_ENDORSEMENTS,
        now=SystemClock().now(),
    )
    assert not agreed.result.claims.memory_protected
    opened = tmp_path / "adapter"
    open_to_folder(output / "result.sealed", opened, recipient=world.identities["clinic"])
    assert (opened / "adapter_model.safetensors").stat().st_size > 0

    search = CanarySearch(planted.secrets)
    assert seen(search, host, planted, output) == []
    # A search that finds nothing has to be one that finds: the files that went in, and what must
    # be in each of the places.
    plain = [world.folder / "hospital" / "notes.jsonl", planted.model]
    assert {finding.secret for path in plain for finding in look(search, path)} == set(
        planted.secrets
    )
    expected = {"digest": signed.digest.encode(), "run": outcome.run_id.encode()}
    places = {finding.where for finding in seen(CanarySearch(expected), host, planted, output)}
    assert {"to the host", "to the guest"} <= places
    assert any(place.endswith("job.disk") for place in places)
    assert any(str(output) in place for place in places)
    left = {path.name for path in host.folder.rglob("*")}
    assert {"qemu.log", "swtpm.log", "job.disk", "tpm-state", "variables"} <= left
    assert "console" not in left


def seen(search: CanarySearch, host: Host, planted: Planted, output: Path) -> list[Finding]:
    """Look through all that is the host's after the run."""
    world = planted.world
    found = search.search_bytes(host.received, where="to the host")
    found += search.search_bytes(host.sent, where="to the guest")
    places = [host.folder, output, *world.inputs.values()]
    for broker in world.brokers.values():
        places += [broker.folder, broker.log]
    for place in places:
        found += look(search, place)
    return found


def look(search: CanarySearch, place: Path) -> list[Finding]:
    return search.search_folder(place)[0] if place.is_dir() else search.search_file(place)
