"""A small world for tests of the whole chain: parties, sealed inputs, a contract, real brokers.

Everything is real but the TEE: broker and worker are processes, files are files, evidence is signed
by a mock hierarchy that the contract accepts by name.
"""

from __future__ import annotations

import contextlib
import json
import os
import random
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from sealtune.broker.config import init_broker
from sealtune.bundle.reader import registration
from sealtune.bundle.seal import seal_data, seal_model
from sealtune.contract.contract import contract_from_document, sign_contract
from sealtune.core.clock import SystemClock, format_time
from sealtune.crypto.dsse import Envelope
from sealtune.crypto.identity import Identity, create_identity, load_identity
from sealtune.protocol.client import BrokerClient
from sealtune.tee.events import WorkerEvent
from sealtune.tee.launcher import LaunchSpec, RunOutcome, Sandbox, Tee, run_contract
from sealtune.tee.measure import measure_enclave_code

LABELS = ("calm", "storm")
CANARY = "CANARY-7f3a9c51e2b84d06"
_WORDS = {
    "calm": "flat quiet still mild clear soft",
    "storm": "wind rain gale thunder flood wreck",
}

_SERVE = """
import sys
from pathlib import Path
from sealtune.broker.server import serve_broker
def ready(listening):
    print(listening.address, flush=True)
serve_broker(Path(sys.argv[1]), host="127.0.0.1", port=int(sys.argv[2]),
             insecure_accept_simulated=True, passphrase=None, ready=ready)
"""


def write_records(path: Path, *, count: int, seed: int = 0) -> Path:
    """Write `count` classifiable records; one of them carries the canary."""
    draw = random.Random(seed)
    lines = []
    for number in range(count):
        label = LABELS[number % 2]
        words = " ".join(draw.choices(_WORDS[label].split(), k=draw.randint(3, 12)))
        text = f"{words} {CANARY}" if number == count // 2 else words
        lines.append(json.dumps({"text": text, "label": label}))
    path.write_text("\n".join(lines) + "\n")
    return path


@dataclass
class BrokerProcess:
    """One broker as a real process on loopback, which a test may kill and start again."""

    folder: Path
    port: int = 0
    process: subprocess.Popen[str] | None = None
    log: Path = field(init=False)

    def __post_init__(self) -> None:
        self.log = self.folder.with_suffix(".log")

    @property
    def address(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def start(self) -> None:
        with self.log.open("a") as log:
            self.process = subprocess.Popen(
                [sys.executable, "-c", _SERVE, str(self.folder), str(self.port)],
                stdout=subprocess.PIPE,
                stderr=log,
                text=True,
            )
        assert self.process.stdout is not None
        line = self.process.stdout.readline()
        assert line, self.log.read_text()
        self.port = int(line.rsplit(":", 1)[1])

    def kill(self) -> None:
        assert self.process is not None
        self.process.kill()
        self.close()

    def close(self) -> None:
        if self.process is not None:
            self.process.terminate()
            self.process.wait()
            if self.process.stdout is not None:
                self.process.stdout.close()
            self.process = None


@dataclass
class World:
    """The parties' folders and what each has made; `brokers` run while the world is open."""

    folder: Path
    mock_root: str
    mock_folder: Path
    identities: dict[str, Identity]
    inputs: dict[str, Path]
    digests: dict[str, str]
    brokers: dict[str, BrokerProcess]

    def document(self, **changes: Any) -> dict[str, Any]:
        """Return the contract's document; `recipe` and other top-level fields may be changed."""
        now = datetime.now(UTC)
        keys = {
            name: {
                "signing_key": identity.public.signing.text,
                "recipient_key": identity.public.recipient.text,
            }
            for name, identity in self.identities.items()
        }
        recipe = {
            "model": "encoder",
            "datasets": ["notes"],
            "task": "text-classification",
            "method": "lora",
            "labels": list(LABELS),
            "epochs": 2,
            "batch_size": 8,
            "max_length": 32,
            "learning_rate": 5e-3,
            "evaluation_fraction": 0.25,
            "lora_rank": 4,
            "threads": 1,
        } | changes.pop("recipe", {})
        return {
            "name": "weather-notes",
            "purpose": "Tests of the chain.",
            "parties": {
                "hospital": {"roles": ["data_owner"], **keys["hospital"]},
                "modelworks": {"roles": ["model_owner"], **keys["modelworks"]},
                "clinic": {"roles": ["recipient"], **keys["clinic"]},
            },
            "brokers": {
                "hospital-broker": {"owner": "hospital", **keys["hospital-broker"]},
                "modelworks-broker": {"owner": "modelworks", **keys["modelworks-broker"]},
            },
            "inputs": [
                self._input("notes", "dataset", "hospital"),
                self._input("encoder", "model", "modelworks"),
            ],
            "recipe": recipe,
            "enclaves": [
                {
                    "name": "simulated",
                    "kind": "sev-snp",
                    "measurements": [measure_enclave_code()],
                    "minimum_tcb": {"genoa": {"bl": 0, "tee": 0, "snp": 0, "ucode": 0}},
                    "vmpl": [0],
                    "insecure_accept_simulated": True,
                    "simulated_root": self.mock_root,
                }
            ],
            "outputs": {"kinds": ["adapter"], "max_bytes": 2**24, "recipients": ["clinic"]},
            "telemetry": {"allowed": ["progress"]},
            "receipt": {
                "metrics": ["accuracy_before", "accuracy_after"],
                "counts": ["records", "optimizer_steps"],
            },
            "validity": {
                "not_before": format_time(now - timedelta(days=1)),
                "not_after": format_time(now + timedelta(days=30)),
            },
            "max_runs": 20,
            "max_resumes": 5,
        } | changes

    def _input(self, name: str, kind: str, owner: str) -> dict[str, str]:
        digest = self.digests[name]
        entry = {"name": name, "kind": kind, "digest": digest, "owner": owner}
        return entry | {"broker": f"{owner}-broker"}

    def sign(self, document: dict[str, Any]) -> Envelope:
        """Return the contract of `document` signed by everybody who must."""
        contract = contract_from_document(document, what="test")
        envelope = sign_contract(contract, self.identities["hospital"])
        for name in ("modelworks", "clinic"):
            envelope = sign_contract(envelope, self.identities[name])
        return envelope

    def agree(self, title: str, /, **changes: Any) -> Path:
        """Make, sign and register a contract called `title`; return its file."""
        envelope = self.sign(self.document(name=title, **changes))
        for broker in self.brokers.values():
            BrokerClient(broker.address).ask("/v1/contracts", envelope.to_json())
        path = self.folder / f"{title}.json"
        path.write_bytes(envelope.to_json())
        return path

    def spec(self, contract: Path, output: Path, **changes: Any) -> LaunchSpec:
        """Return what the operator needs to run `contract`."""
        values: dict[str, Any] = {
            "contract": contract,
            "inputs": self.inputs,
            "brokers": {name: broker.address for name, broker in self.brokers.items()},
            "output": output,
            "tee": Tee.SIMULATED,
            "tee_files": self.mock_folder,
            "sandbox": Sandbox.AUTO,
        }
        return LaunchSpec(**values | changes)

    def run(
        self,
        contract: Path,
        output: Path,
        *,
        on_event: Callable[[WorkerEvent], None] = lambda event: None,
        **changes: Any,
    ) -> RunOutcome:
        """Run `contract` in a real worker process."""
        spec = self.spec(contract, output, **changes)
        return run_contract(spec, clock=SystemClock(), on_event=on_event)


def make_world(folder: Path, *, model: Path, mock_folder: Path, mock_root: str) -> World:
    """Make all parties and seal their inputs; brokers are not started yet."""
    names = ("hospital", "modelworks", "clinic", "hospital-broker", "modelworks-broker")
    for name in names:
        create_identity(name, folder=folder / name, passphrase=None)
    identities = {
        name: load_identity(folder / name / f"{name}.key", passphrase=None) for name in names
    }
    records = write_records(folder / "hospital" / "notes.jsonl", count=64)
    sealed = {
        "notes": seal_data(
            records,
            folder / "notes.sealed",
            owner=identities["hospital"],
            recipients=[identities["hospital-broker"].public],
            task="text-classification",
            labels=LABELS,
        ),
        "encoder": seal_model(
            model,
            folder / "encoder.sealed",
            owner=identities["modelworks"],
            recipients=[identities["modelworks-broker"].public],
        ),
    }
    brokers = {}
    for owner in ("hospital", "modelworks"):
        name = f"{owner}-broker"
        init_broker(
            folder / name / "store",
            identity=folder / name / f"{name}.key",
            owners=[folder / owner / f"{owner}.pub"],
            passphrase=None,
        )
        brokers[name] = BrokerProcess(folder / name / "store")
    return World(
        folder=folder,
        mock_root=mock_root,
        mock_folder=mock_folder,
        identities=identities,
        inputs={name: summary.path for name, summary in sealed.items()},
        digests={name: summary.digest for name, summary in sealed.items()},
        brokers=brokers,
    )


@contextlib.contextmanager
def open_world(world: World) -> Iterator[World]:
    """Start the world's brokers, hand them the keys, and stop them in the end."""
    try:
        for broker in world.brokers.values():
            broker.start()
        for name, path in world.inputs.items():
            owner = "hospital" if name == "notes" else "modelworks"
            address = world.brokers[f"{owner}-broker"].address
            BrokerClient(address).ask("/v1/keys", registration(path))
        yield world
    finally:
        for broker in world.brokers.values():
            broker.close()


def kill_worker(run_id: str) -> int:
    """Kill -9 every process whose command line names `run_id`; return how many there were."""
    killed = 0
    for entry in Path("/proc").iterdir():
        if not entry.name.isdigit() or int(entry.name) == os.getpid():
            continue
        with contextlib.suppress(OSError):
            if run_id.encode() in (entry / "cmdline").read_bytes():
                os.kill(int(entry.name), signal.SIGKILL)
                killed += 1
    return killed


def wait_until(condition: Callable[[], bool], *, seconds: float = 10) -> None:
    """Wait until `condition` holds; fail the test if it does not in time."""
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "it did not happen in time"
        time.sleep(0.01)
