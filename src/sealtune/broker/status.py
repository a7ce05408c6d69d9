"""What an owner reads in its broker's folder: the decision log, and what it adds up to.

Opens the store as `serve` does, audit included, so that nothing is shown which the log does not
bear out. May be used while the broker runs.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from sealtune.broker.audit import read_log
from sealtune.broker.config import load_config
from sealtune.broker.desk import Desk
from sealtune.broker.server import open_desk
from sealtune.translog.chain import LogEntry


@dataclass(frozen=True, slots=True, kw_only=True)
class HeldKey:
    """A bundle whose ContentKey the broker holds."""

    bundle: str
    kind: str


@dataclass(frozen=True, slots=True, kw_only=True)
class HeldContract:
    """A contract that the broker releases by, and how many of its runs have started."""

    name: str
    digest: str
    insecure: bool
    valid_until: str
    runs: int
    max_runs: int


@dataclass(frozen=True, slots=True, kw_only=True)
class BrokerStatus:
    """A broker as its folder has it; `granted` and `refused` count decisions in the log."""

    name: str
    fingerprint: str
    owners: tuple[str, ...]
    log_size: int
    keys: tuple[HeldKey, ...]
    contracts: tuple[HeldContract, ...]
    granted: int
    refused: int


def read_broker_log(directory: Path, *, passphrase: bytes | None) -> tuple[LogEntry, ...]:
    """Return the decision log of the broker in `directory`, verified against its signed head.

    Raises:
        ConfigError, FormatError: the configuration or a key file cannot be used.
        StorageError: a file is missing, or STORE_DAMAGED: the store disagrees with its log.
    """
    desk = _open(directory, passphrase)
    try:
        return _entries(desk)
    finally:
        desk.store.close()


def broker_status(directory: Path, *, passphrase: bytes | None) -> BrokerStatus:
    """Return what the broker in `directory` holds and has decided.

    Raises:
        As `read_broker_log`.
    """
    desk = _open(directory, passphrase)
    try:
        return _status(desk, _entries(desk))
    finally:
        desk.store.close()


def _open(directory: Path, passphrase: bytes | None) -> Desk:
    # No key is released from here, so whether simulated evidence is accepted does not matter.
    return open_desk(load_config(directory), insecure_accept_simulated=False, passphrase=passphrase)


def _entries(desk: Desk) -> tuple[LogEntry, ...]:
    return desk.store.inspect(lambda connection: read_log(connection, log=desk.key))


def _status(desk: Desk, entries: Sequence[LogEntry]) -> BrokerStatus:
    public = desk.identity.public
    decisions = [entry.body for entry in entries if entry.kind == "release"]
    runs = Counter(body["contract"] for body in decisions if body["run"] == "new")
    granted = sum(bool(body["granted"]) for body in decisions)
    contracts = [entry.body["contract"] for entry in entries if entry.kind == "contract"]
    return BrokerStatus(
        name=public.name,
        fingerprint=public.fingerprint,
        owners=tuple(sorted(owner.text for owner in desk.owners)),
        log_size=len(entries),
        keys=tuple(_held_key(entry.body) for entry in entries if entry.kind == "key"),
        contracts=tuple(_held_contract(desk, digest, runs[digest]) for digest in contracts),
        granted=granted,
        refused=len(decisions) - granted,
    )


def _held_key(body: Any) -> HeldKey:
    return HeldKey(bundle=body["bundle"], kind=body["kind"])


def _held_contract(desk: Desk, digest: Any, runs: int) -> HeldContract:
    contract = desk.contracts.find(digest).contract
    return HeldContract(
        name=contract.name,
        digest=digest,
        insecure=contract.insecure,
        valid_until=contract.validity.not_after,
        runs=runs,
        max_runs=contract.max_runs,
    )
