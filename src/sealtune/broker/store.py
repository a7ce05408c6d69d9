"""What a broker remembers: keys, contracts, runs and its decision log, in one SQLite file.

Everything that changes something takes a `Transaction` and appends to the log in the same
transaction, so that state and log never disagree (`audit` compares them at each start). Decides
nothing: that is `release`.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final, TypeVar

from sealtune.attestation.binding import WorkerKeys
from sealtune.broker.database import Database, create_database
from sealtune.broker.vault import Vault
from sealtune.core.clock import Clock
from sealtune.core.digest import Digest, parse_digest
from sealtune.crypto.dsse import Envelope, parse_envelope
from sealtune.crypto.hpke import RecipientPublicKey
from sealtune.crypto.secret import ContentKey
from sealtune.crypto.signing import SigningKey, VerifyingKey
from sealtune.deid.report import VerifiedReport, verify_report
from sealtune.errors import Code, StorageError
from sealtune.protocol.session import Anchor
from sealtune.release.decide import HeldBundle, RunKind, RunUsage, Usage
from sealtune.translog.chain import LogHead, append_entry, empty_head, entry_hash, sign_head

STORE_VERSION: Final = 2
T = TypeVar("T")

_REPORT_TABLE = "CREATE TABLE report (bundle TEXT PRIMARY KEY, envelope BLOB NOT NULL) STRICT;"
SCHEMA = f"""
BEGIN;
CREATE TABLE bundle (digest TEXT PRIMARY KEY, owner TEXT NOT NULL, kind TEXT NOT NULL,
    sealed_key BLOB NOT NULL) STRICT;
{_REPORT_TABLE}
CREATE TABLE contract (digest TEXT PRIMARY KEY, envelope BLOB NOT NULL) STRICT;
CREATE TABLE run (contract TEXT NOT NULL, run_id TEXT NOT NULL, sealed_share BLOB NOT NULL,
    resumes INTEGER NOT NULL, worker_recipient BLOB NOT NULL, worker_signing BLOB NOT NULL,
    anchor_step INTEGER, anchor_digest TEXT, receipt_digest TEXT, receipt BLOB,
    PRIMARY KEY (contract, run_id)) STRICT, WITHOUT ROWID;
CREATE TABLE log (number INTEGER PRIMARY KEY, entry BLOB NOT NULL) STRICT;
CREATE TABLE head (one INTEGER PRIMARY KEY CHECK (one = 1), envelope BLOB NOT NULL) STRICT;
PRAGMA user_version = {STORE_VERSION};
COMMIT;
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class RunState:
    """One run as the store has it; `share` are 32 secret bytes."""

    contract: Digest
    run_id: str
    share: bytes = field(repr=False)
    resumes: int
    worker: WorkerKeys
    anchor: Anchor | None
    receipt: Digest | None


@dataclass(frozen=True, slots=True, kw_only=True)
class SignedHead:
    """The log's head after an entry, and the broker's signature on it."""

    head: LogHead
    envelope: Envelope


class Transaction:
    """The store as one job sees it; valid only while that job runs."""

    def __init__(
        self, connection: sqlite3.Connection, *, vault: Vault, key: SigningKey, clock: Clock
    ) -> None:
        self._connection = connection
        self._vault = vault
        self._key = key
        self._clock = clock

    def append(self, kind: str, body: Mapping[str, Any]) -> SignedHead:
        """Append an entry to the decision log and sign its head (spec/translog §2, §3)."""
        data, head = append_entry(self._head(), kind=kind, body=body, now=self._clock.now())
        envelope = sign_head(head, key=self._key)
        execute = self._connection.execute
        execute("INSERT INTO log VALUES (?, ?)", (head.size - 1, data))
        execute("INSERT OR REPLACE INTO head VALUES (1, ?)", (envelope.to_json(),))
        return SignedHead(head=head, envelope=envelope)

    def current_head(self) -> SignedHead:
        """Return the head as it is, signed again (for a request that changes nothing)."""
        head = self._head()
        return SignedHead(head=head, envelope=sign_head(head, key=self._key))

    def log_hash(self, size: int) -> Digest | None:
        """Return the log's hash when it had `size` entries; None if it never had."""
        row = self._one("SELECT entry FROM log WHERE number = ?", (size - 1,))
        return entry_hash(row[0]) if row else None

    def add_bundle(self, bundle: Digest, held: HeldBundle, key: ContentKey) -> bool:
        """Keep the ContentKey of `bundle`; return whether it is new."""
        sealed = self._vault.seal_content_key(key, bundle=bundle)
        cursor = self._connection.execute(
            "INSERT OR IGNORE INTO bundle VALUES (?, ?, ?, ?)",
            (bundle, held.owner.text, held.kind, sealed),
        )
        if cursor.rowcount == 1 and held.report is not None:
            row = (bundle, held.report.envelope.to_json())
            self._connection.execute("INSERT INTO report VALUES (?, ?)", row)
        return cursor.rowcount == 1

    def held(self, bundles: tuple[Digest, ...]) -> dict[Digest, HeldBundle]:
        """Return those of `bundles` whose ContentKey is here."""
        found = {}
        for bundle in bundles:
            row = self._one("SELECT owner, kind FROM bundle WHERE digest = ?", (bundle,))
            if row:
                owner = VerifyingKey.parse(row[0])
                report = self._report(bundle, owner)
                found[bundle] = HeldBundle(owner=owner, kind=row[1], report=report)
        return found

    def _report(self, bundle: Digest, owner: VerifyingKey) -> VerifiedReport | None:
        row = self._one("SELECT envelope FROM report WHERE bundle = ?", (bundle,))
        # Verified each time: the file is not trusted more than whoever posted it.
        return verify_report(bytes(row[0]), owner=owner) if row else None

    def content_key(self, bundle: Digest) -> ContentKey:
        """Return the ContentKey of a bundle that is held."""
        row = self._one("SELECT sealed_key FROM bundle WHERE digest = ?", (bundle,))
        return self._vault.open_content_key(_found(row)[0], bundle=bundle)

    def add_contract(self, digest: Digest, envelope: bytes) -> bool:
        """Keep a contract; return whether it is new."""
        cursor = self._connection.execute(
            "INSERT OR IGNORE INTO contract VALUES (?, ?)", (digest, envelope)
        )
        return cursor.rowcount == 1

    def contract(self, digest: Digest) -> bytes | None:
        """Return the contract's envelope, if it is here."""
        row = self._one("SELECT envelope FROM contract WHERE digest = ?", (digest,))
        return bytes(row[0]) if row else None

    def usage(self, contract: Digest, run_id: str) -> Usage:
        """Return how much of `contract` is used, and the state of `run_id` if it is known."""
        row = self._one("SELECT count(*) FROM run WHERE contract = ?", (contract,))
        run = self.run(contract, run_id)
        if run is None:
            return Usage(runs=_found(row)[0], run=None)
        usage = RunUsage(resumes=run.resumes, closed=run.receipt is not None, worker=run.worker)
        return Usage(runs=_found(row)[0], run=usage)

    def run(self, contract: Digest, run_id: str) -> RunState | None:
        """Return a run, if the broker has released to it before."""
        row = self._one(
            "SELECT sealed_share, resumes, worker_recipient, worker_signing, anchor_step,"
            " anchor_digest, receipt_digest FROM run WHERE contract = ? AND run_id = ?",
            (contract, run_id),
        )
        if row is None:
            return None
        anchor = None if row[4] is None else Anchor(step=row[4], digest=parse_digest(row[5]))
        return RunState(
            contract=contract,
            run_id=run_id,
            share=self._vault.open_share(row[0], contract=contract, run_id=run_id),
            resumes=row[1],
            worker=WorkerKeys(recipient=RecipientPublicKey(row[2]), signing=VerifyingKey(row[3])),
            anchor=anchor,
            receipt=None if row[6] is None else parse_digest(row[6]),
        )

    def count_new(self, run: RunState) -> None:
        """Count a run that begins; its share is random and stays the same."""
        sealed = self._vault.seal_share(run.share, contract=run.contract, run_id=run.run_id)
        self._connection.execute(
            "INSERT INTO run VALUES (?, ?, ?, 0, ?, ?, NULL, NULL, NULL, NULL)",
            (run.contract, run.run_id, sealed, run.worker.recipient.raw, run.worker.signing.raw),
        )

    def count_resume(self, run: RunState, *, worker: WorkerKeys) -> None:
        """Count that `worker` goes on with `run`; the worker before it loses its say."""
        self._connection.execute(
            "UPDATE run SET resumes = resumes + 1, worker_recipient = ?, worker_signing = ?"
            " WHERE contract = ? AND run_id = ?",
            (worker.recipient.raw, worker.signing.raw, run.contract, run.run_id),
        )

    def set_anchor(self, run: RunState, anchor: Anchor) -> None:
        """Remember the newest training_checkpoint of `run`."""
        self._connection.execute(
            "UPDATE run SET anchor_step = ?, anchor_digest = ? WHERE contract = ? AND run_id = ?",
            (anchor.step, anchor.digest, run.contract, run.run_id),
        )

    def close_run(self, run: RunState, *, receipt: Digest, data: bytes) -> None:
        """Keep the run's receipt; nothing is released to this run any more."""
        self._connection.execute(
            "UPDATE run SET receipt_digest = ?, receipt = ? WHERE contract = ? AND run_id = ?",
            (receipt, data, run.contract, run.run_id),
        )

    def _head(self) -> LogHead:
        row = self._one("SELECT number, entry FROM log ORDER BY number DESC LIMIT 1", ())
        if row is None:
            return empty_head(self._key.public)
        return LogHead(size=row[0] + 1, hash=entry_hash(row[1]))

    def _one(self, query: str, values: tuple[object, ...]) -> tuple[Any, ...] | None:
        row: tuple[Any, ...] | None = self._connection.execute(query, values).fetchone()
        return row


class Store:
    """The broker's store: `write` runs a job on it, durably and one at a time."""

    def __init__(self, path: Path, *, vault: Vault, key: SigningKey, clock: Clock) -> None:
        """Open the store at `path`.

        Raises:
            StorageError: missing, damaged, or made by another version.
        """
        self._database = Database(path)
        self._vault = vault
        self._key = key
        self._clock = clock
        version = self._database.write(_upgraded)
        if version != STORE_VERSION:
            self._database.close()
            raise StorageError(
                Code.STORE_DAMAGED, f"{path}: a store of version {version}, not {STORE_VERSION}"
            )

    def write(self, job: Callable[[Transaction], T]) -> T:
        """Run `job` in a transaction; return its result once that is on the disk.

        Raises:
            StorageError: the disk refuses; nothing was changed.
        """

        def within(connection: sqlite3.Connection) -> T:
            return job(Transaction(connection, vault=self._vault, key=self._key, clock=self._clock))

        return self._database.write(within)

    def inspect(self, job: Callable[[sqlite3.Connection], T]) -> T:
        """Run a reading `job` on the tables themselves, without holding up the writer."""
        return self._database.read(job)

    def close(self) -> None:
        """Finish what waits and close the file."""
        self._database.close()


def create_store(path: Path) -> None:
    """Make an empty store at `path`, readable by its owner alone."""
    create_database(path, schema=SCHEMA)


def log_entries(connection: sqlite3.Connection) -> Iterator[bytes]:
    """Yield the decision log's entries in order."""
    for row in connection.execute("SELECT entry FROM log ORDER BY number"):
        yield bytes(row[0])


def stored_head(connection: sqlite3.Connection) -> Envelope | None:
    """Return the newest signed head in the store, unverified."""
    row = connection.execute("SELECT envelope FROM head").fetchone()
    return parse_envelope(bytes(row[0]), what="log head") if row else None


def count_grant(
    transaction: Transaction, run: RunState, *, kind: RunKind, worker: WorkerKeys
) -> None:
    """Count one grant for `run` as what it is; a repeated one counts nothing."""
    if kind is RunKind.NEW:
        transaction.count_new(run)
    elif kind is RunKind.RESUMED:
        transaction.count_resume(run, worker=worker)


def _upgraded(connection: sqlite3.Connection) -> int:
    """Return the store's version, once one of before has the table that it lacks."""
    if _version(connection) == 1:
        connection.execute(_REPORT_TABLE)
        connection.execute("PRAGMA user_version = 2")
    return _version(connection)


def _version(connection: sqlite3.Connection) -> int:
    version: int = connection.execute("PRAGMA user_version").fetchone()[0]
    return version


def _found(row: tuple[Any, ...] | None) -> tuple[Any, ...]:
    if row is None:
        raise RuntimeError("a row that must be there is not")
    return row
