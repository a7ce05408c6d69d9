"""The demo's stage: four parties in a folder each, two brokers behind wiretaps, one contract.

hospital/       data owner: notes, sealed notes, its broker
modelvendor/    model owner: encoder, sealed encoder, its broker
recipient/      the key that opens the result; later the result
operator/       everything that the untrusted host gets to see
insecure-mock-hardware/   the simulated chip's keys
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from sealtune.broker.config import init_broker
from sealtune.bundle.open import inspect_bundle
from sealtune.bundle.reader import registration
from sealtune.core.clock import Clock
from sealtune.core.digest import Digest
from sealtune.crypto.dsse import Envelope
from sealtune.crypto.identity import Identity, PublicIdentity, create_identity, load_identity
from sealtune.errors import Code, StorageError
from sealtune.protocol.client import BrokerClient
from sealtune.protocol.reports import open_registration_answer
from sealtune.testing.demo.wiretap import Wiretap
from sealtune.testing.mock_amd import MockAmd, make_mock_amd
from sealtune.testing.scene import BrokerProcess

OWNERS = ("hospital", "modelvendor")
PARTIES = (*OWNERS, "recipient", "operator")
BROKER_OF = {owner: f"{owner}-broker" for owner in OWNERS}
HARDWARE = "insecure-mock-hardware"


@dataclass(frozen=True, slots=True, kw_only=True)
class Stage:
    """Who takes part and where their things are."""

    folder: Path
    clock: Clock
    identities: Mapping[str, Identity]
    brokers: Mapping[str, PublicIdentity]
    mock: MockAmd

    def home(self, party: str) -> Path:
        """Return the folder of `party`."""
        return self.folder / party

    @property
    def operator(self) -> Path:
        """The folder of the untrusted host."""
        return self.home("operator")

    @property
    def hardware(self) -> Path:
        """The folder of the simulated chip."""
        return self.folder / HARDWARE

    @property
    def now(self) -> datetime:
        """The present."""
        return self.clock.now()


@dataclass(frozen=True, slots=True, kw_only=True)
class Lines:
    """The brokers at work, and the operator's ear on the way to each."""

    processes: Mapping[str, BrokerProcess]
    taps: Mapping[str, Wiretap]

    @property
    def addresses(self) -> dict[str, str]:
        """Where the operator says that the brokers are: behind the wiretaps."""
        return {name: tap.address for name, tap in self.taps.items()}

    def direct(self, broker: str) -> BrokerClient:
        """Return a client that reaches `broker` without the wiretap."""
        return BrokerClient(self.processes[broker].address)


def set_stage(folder: Path, *, clock: Clock) -> Stage:
    """Make the parties, their brokers' folders and the mock hardware in the new `folder`.

    Raises:
        StorageError: `folder` is not new, or the disk refuses.
    """
    if folder.exists():
        message = f"{folder} exists already"
        remedy = "remove it or choose another folder with --dir"
        raise StorageError(Code.FILE_EXISTS, message, remedy=remedy)
    identities = {party: _party(folder / party, party) for party in PARTIES}
    brokers = {BROKER_OF[owner]: _broker(folder / owner, owner) for owner in OWNERS}
    mock = make_mock_amd(folder / HARDWARE, now=clock.now())
    return Stage(folder=folder, clock=clock, identities=identities, brokers=brokers, mock=mock)


@contextlib.contextmanager
def brokers_running(stage: Stage) -> Iterator[Lines]:
    """Start both brokers, each as a process behind a wiretap of the operator."""
    with contextlib.ExitStack() as stack:
        processes: dict[str, BrokerProcess] = {}
        taps: dict[str, Wiretap] = {}
        for owner in OWNERS:
            name, home = BROKER_OF[owner], stage.home(owner)
            processes[name] = stack.enter_context(BrokerProcess(home / "broker"))
            heard = stage.operator / "wiretap" / name
            tap = Wiretap(heard, target=processes[name].address)
            taps[name] = stack.enter_context(tap)
        yield Lines(processes=processes, taps=taps)


def register_bundle(
    stage: Stage, lines: Lines, *, owner: str, bundle: Path, report: Path | None = None
) -> None:
    """Have an owner hand the key of a bundle to its own broker, with its report if it has one."""
    data = None if report is None else report.read_bytes()
    post_registration(stage, lines, owner=owner, bundle=bundle, report=data)


def post_registration(
    stage: Stage, lines: Lines, *, owner: str, bundle: Path, report: bytes | None
) -> None:
    """Post a bundle's signed blocks, which anybody who has the file can do, and a report.

    Raises:
        VerificationError, ReleaseDenied: the broker refuses.
    """
    body = registration(bundle, report=report)
    digest = inspect_bundle(bundle).digest
    _register(stage, lines, broker=BROKER_OF[owner], path="/v1/keys", body=body, digest=digest)


def register_contract(
    stage: Stage, lines: Lines, *, broker: str, envelope: Envelope, digest: Digest
) -> None:
    """Hand a contract to a broker.

    Raises:
        ReleaseDenied: the broker refuses it.
        FormatError, VerificationError: it is no contract, or not signed by all.
    """
    body = envelope.to_json()
    _register(stage, lines, broker=broker, path="/v1/contracts", body=body, digest=digest)


def _register(
    stage: Stage, lines: Lines, *, broker: str, path: str, body: bytes, digest: Digest
) -> None:
    answer = lines.direct(broker).ask(path, body)
    key = stage.brokers[broker].signing
    open_registration_answer(answer, request=body, digest=digest, broker=key)


def _party(home: Path, name: str) -> Identity:
    create_identity(name, folder=home, passphrase=None)
    return load_identity(home / f"{name}.key", passphrase=None)


def _broker(home: Path, owner: str) -> PublicIdentity:
    name = BROKER_OF[owner]
    public = create_identity(name, folder=home, passphrase=None)
    init_broker(
        home / "broker",
        identity=home / f"{name}.key",
        owners=[home / f"{owner}.pub"],
        passphrase=None,
    )
    return public
