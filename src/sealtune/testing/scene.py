"""A whole release, ready to be played or attacked: parties, bundles, contract, brokers, mock TEE.

    scene = make_scene(folder, mock=mock, now=now)
    desk = scene.open_desk("hospital-broker", clock)
    release(desk, scene, session_terms)

Everything is real (keys, bundles, signatures, evidence, stores) but the hardware. INSECURE: for
tests and benchmarks only.
"""

from __future__ import annotations

import json
import secrets
import signal
import subprocess
import sys
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any, Self

from sealtune.attestation.endorsements import NO_ENDORSEMENTS
from sealtune.attestation.evidence import Evidence
from sealtune.broker.config import BrokerConfig, init_broker
from sealtune.broker.desk import Desk
from sealtune.broker.registration import register_contract, register_key
from sealtune.broker.release import issue_challenge, release_keys
from sealtune.broker.store import Store
from sealtune.broker.vault import load_vault
from sealtune.bundle.format import BundleKind
from sealtune.bundle.manifest import Media
from sealtune.bundle.reader import registration
from sealtune.bundle.writer import BundleWriter
from sealtune.contract.contract import (
    SignedContract,
    contract_from_document,
    verify_contract_signatures_ignoring_validity,
)
from sealtune.core.clock import Clock, format_time
from sealtune.core.digest import Digest, digest_bytes
from sealtune.crypto.dsse import Envelope
from sealtune.crypto.identity import save_identity
from sealtune.crypto.secret import ContentKey
from sealtune.protocol.session import (
    BrokerSession,
    ReleasedKeys,
    SessionTerms,
    VerifiedChallenge,
    WorkerSecrets,
)
from sealtune.testing.agreement import MEASUREMENT, SIGNERS, Agreement, make_agreement
from sealtune.testing.mock_amd import MockAmd

_SERVE = """
import json, sys
from pathlib import Path
from sealtune.broker.server import serve_broker
serve_broker(Path(sys.argv[1]), host="127.0.0.1", port=0, passphrase=None,
    insecure_accept_simulated=sys.argv[2] == "insecure",
    ready=lambda listening: print(json.dumps(listening.to_dict()), flush=True))
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class SealedInput:
    """One input bundle as its owner registers it, and the key that must come back."""

    digest: Digest
    registration: bytes
    key: ContentKey


@dataclass(frozen=True, slots=True, kw_only=True)
class Scene:
    """The parties' side of a job, in `folder`; the contract is signed by all."""

    folder: Path
    mock: MockAmd
    agreement: Agreement
    envelope: Envelope
    contract: SignedContract
    inputs: dict[str, SealedInput]

    def broker_folder(self, broker: str) -> Path:
        """Return the folder of a broker."""
        return self.folder / broker

    def open_desk(self, broker: str, clock: Clock, *, accepts_insecure: bool = True) -> Desk:
        """Return the broker in this process, with nothing registered yet."""
        identity = self.agreement.identities[broker]
        folder = self.broker_folder(broker)
        vault = load_vault(folder / "store.key")
        store = Store(folder / "store.sqlite3", vault=vault, key=identity.signing, clock=clock)
        owner = self.agreement.base["brokers"][broker]["owner"]
        return Desk(
            identity=identity,
            owners=frozenset({self.agreement.identities[owner].signing.public}),
            store=store,
            clock=clock,
            accepts_insecure=accepts_insecure,
            endorsements=lambda: NO_ENDORSEMENTS,
        )

    def registrations(self, broker: str) -> list[bytes]:
        """Return what the owner posts to `/v1/keys` of a broker."""
        return [
            self.inputs[entry["name"]].registration
            for entry in self.agreement.base["inputs"]
            if entry["broker"] == broker
        ]

    def terms(self, broker: str, *, run_id: str, worker: WorkerSecrets) -> SessionTerms:
        """Return an honest worker's terms with a broker."""
        return SessionTerms(
            broker=self.agreement.identities[broker].signing.public,
            contract=self.contract.digest,
            run_id=run_id,
            bundles=tuple(
                entry.bundle for entry in self.contract.contract.inputs if entry.broker == broker
            ),
            worker=worker,
        )

    def agree(self, **terms: Any) -> Scene:
        """Return this scene with another contract of the same parties, signed by all."""
        document = {**self.agreement.document(), **terms}
        agreement = Agreement(identities=self.agreement.identities, base=document)
        envelope = _sign(agreement)
        contract = verify_contract_signatures_ignoring_validity(envelope)
        return replace(self, agreement=agreement, envelope=envelope, contract=contract)

    def attest(self, challenge: VerifiedChallenge, **changes: Any) -> Evidence:
        """Return an honest enclave's evidence; `changes` are other fields of its report."""
        fields: dict[str, Any] = {
            "report_data": challenge.report_data,
            "host_data": digest_bytes(self.contract.digest),
            "measurement": bytes.fromhex(MEASUREMENT),
        }
        return self.mock.evidence(**{**fields, **changes})


def make_scene(folder: Path, *, mock: MockAmd, now: datetime, **terms: Any) -> Scene:
    """Return a scene whose contract is valid around `now`; `terms` are other contract fields."""
    folder.mkdir(parents=True, exist_ok=True)
    agreement = make_agreement()
    inputs = {
        entry["name"]: _seal_input(folder, agreement, entry) for entry in agreement.base["inputs"]
    }
    document = agreement.document()
    for entry in document["inputs"]:
        entry["digest"] = inputs[entry["name"]].digest
    document["enclaves"][0]["simulated_root"] = mock.root
    document["validity"] = {
        "not_before": format_time(now - timedelta(days=1)),
        "not_after": format_time(now + timedelta(days=30)),
    }
    document.update(terms)
    agreement = Agreement(identities=agreement.identities, base=document)
    envelope = _sign(agreement)
    for broker, fields in document["brokers"].items():
        _make_broker(folder, agreement, broker, owner=fields["owner"])
    return Scene(
        folder=folder,
        mock=mock,
        agreement=agreement,
        envelope=envelope,
        contract=verify_contract_signatures_ignoring_validity(envelope),
        inputs=inputs,
    )


def register_all(desk: Desk, scene: Scene, broker: str) -> None:
    """Register the scene's keys and contract with a broker."""
    for body in scene.registrations(broker):
        register_key(desk, body)
    register_contract(desk, scene.envelope.to_json())


def release(desk: Desk, scene: Scene, terms: SessionTerms, **changes: Any) -> ReleasedKeys:
    """Play one whole session; `changes` are fields of the report that the enclave gets.

    Raises:
        SealtuneError: what the broker would refuse with.
    """
    session = BrokerSession(terms)
    challenge = session.on_challenge(issue_challenge(desk, session.start()))
    request = session.request(scene.attest(challenge, **changes))
    return session.on_release(release_keys(desk, request))


def new_run_id() -> str:
    """Return a run id as a launcher chooses it."""
    return secrets.token_hex(16)


class BrokerProcess:
    """A broker in a process of its own, on a free port of the loopback interface."""

    def __init__(self, folder: Path, *, accepts_insecure: bool = True) -> None:
        mode = "insecure" if accepts_insecure else "secure"
        self._log = (folder / "broker.log").open("ab")
        self.process = subprocess.Popen(
            [sys.executable, "-c", _SERVE, str(folder), mode],
            stdout=subprocess.PIPE,
            stderr=self._log,
        )
        try:
            line = self.process.stdout.readline() if self.process.stdout else b""
            if not line:
                raise RuntimeError(f"the broker did not start: see {folder / 'broker.log'}")
            self.ready: dict[str, Any] = json.loads(line)
        except BaseException:
            # An interruption here would leave it running: nobody else knows of it yet.
            self.close()
            raise

    @property
    def address(self) -> str:
        """Where it listens, for a BrokerClient."""
        return str(self.ready["address"])

    def stop(self) -> int:
        """Ask it to end; return its exit status."""
        self.process.send_signal(signal.SIGTERM)
        status = self.process.wait(timeout=30)
        self.close()
        return status

    def kill(self) -> None:
        """End it at once, as a crash would."""
        self.process.kill()
        self.process.wait(timeout=30)
        self.close()

    def close(self) -> None:
        """Make sure that it has ended."""
        if self.process.poll() is None:
            self.process.kill()
        self.process.wait(timeout=30)
        if self.process.stdout:
            self.process.stdout.close()
        self._log.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


def _sign(agreement: Agreement) -> Envelope:
    contract = contract_from_document(agreement.base, what="scene")
    return agreement.sign(contract, signers=SIGNERS)


def _seal_input(folder: Path, agreement: Agreement, entry: dict[str, Any]) -> SealedInput:
    broker = agreement.identities[entry["broker"]]
    owner = agreement.identities[entry["owner"]]
    key = ContentKey.generate()
    path = folder / f"{entry['name']}.sealed"
    with path.open("w+b") as file:
        writer = BundleWriter(file, kind=BundleKind(entry["kind"]), owner=owner.signing, key=key)
        writer.add_entry("entry", b"content", media=Media.FILE)
        header = writer.finish(facts={}, recipients=[broker.recipient.public])
    return SealedInput(digest=header.digest, registration=registration(path), key=key)


def _make_broker(folder: Path, agreement: Agreement, broker: str, *, owner: str) -> BrokerConfig:
    keys = folder / "keys"
    keys.mkdir(parents=True, exist_ok=True)
    identity = keys / f"{broker}.key"
    save_identity(identity, agreement.identities[broker], passphrase=None)
    public = keys / f"{owner}.pub"
    public.write_text(agreement.identities[owner].public.to_toml())
    return init_broker(folder / broker, identity=identity, owners=[public], passphrase=None)
