"""The check of a store against its own decision log, at each start.

The log is chained and its head signed; the tables are what the log says, entry by entry. Whoever
edits the database to win a run, to reopen one or to put an old training_checkpoint back has to
forge the log as well. Does not notice a whole folder put back to an older, consistent state: the
heads that workers hold (in receipts) show that.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from sealtune.broker.store import log_entries, stored_head
from sealtune.core.digest import sha256_digest
from sealtune.crypto.dsse import parse_envelope
from sealtune.crypto.signing import VerifyingKey
from sealtune.errors import Code, FormatError, SealtuneError, StorageError, VerificationError
from sealtune.translog.chain import ChainVerifier, LogEntry, LogHead, VerifiedHead, verify_head

_REMEDY = "restore the broker's folder from your backup and find out who changed it"
_Run = tuple[str, str]


@dataclass(slots=True)
class _Replay:
    """The tables as the log implies them."""

    bundles: set[tuple[str, str, str]] = field(default_factory=set)
    reports: dict[str, str] = field(default_factory=dict)
    contracts: set[str] = field(default_factory=set)
    resumes: dict[_Run, int] = field(default_factory=dict)
    workers: dict[_Run, tuple[str, str]] = field(default_factory=dict)
    anchors: dict[_Run, tuple[int, str]] = field(default_factory=dict)
    receipts: dict[_Run, str] = field(default_factory=dict)


def audit_store(
    connection: sqlite3.Connection, *, log: VerifyingKey, heads: tuple[VerifiedHead, ...] = ()
) -> LogHead:
    """Return the log's head once the log holds together and the tables agree with it.

    `heads` are further heads that somebody holds, for instance from receipts.

    Raises:
        StorageError: STORE_DAMAGED: they do not.
    """
    try:
        replay, head = _replay_log(connection, log=log, heads=heads)
    except SealtuneError as error:
        raise StorageError(
            Code.STORE_DAMAGED, f"the decision log is damaged: {error.message}", remedy=_REMEDY
        ) from error
    except (KeyError, TypeError) as error:
        raise _damaged("the decision log has entries of another form") from error
    _compare(connection, replay)
    return head


def _replay_log(
    connection: sqlite3.Connection, *, log: VerifyingKey, heads: tuple[VerifiedHead, ...]
) -> tuple[_Replay, LogHead]:
    envelope = stored_head(connection)
    own = () if envelope is None else (verify_head(envelope, log=log),)
    verifier = ChainVerifier(log=log, heads=(*own, *heads))
    replay = _Replay()
    for data in log_entries(connection):
        entry = verifier.add(data)
        _HANDLERS[entry.kind](replay, entry.body)
    head = verifier.finish()
    if head.size != (own[0].size if own else 0):
        raise VerificationError(Code.LOG_CUT, "entries follow the newest signed head")
    return replay, head


def _replay_key(replay: _Replay, body: Mapping[str, Any]) -> None:
    replay.bundles.add((body["bundle"], body["owner"], body["kind"]))
    if "deidentification" in body:
        replay.reports[body["bundle"]] = body["deidentification"]


def _replay_contract(replay: _Replay, body: Mapping[str, Any]) -> None:
    replay.contracts.add(body["contract"])


def _replay_release(replay: _Replay, body: Mapping[str, Any]) -> None:
    if not body["granted"]:
        return
    run = (body["contract"], body["run_id"])
    if body["run"] == "new":
        replay.resumes[run] = 0
    elif body["run"] == "resumed":
        replay.resumes[run] += 1
    replay.workers[run] = (body["worker"]["recipient"], body["worker"]["signing"])


def _replay_anchor(replay: _Replay, body: Mapping[str, Any]) -> None:
    replay.anchors[body["contract"], body["run_id"]] = (body["step"], body["digest"])


def _replay_receipt(replay: _Replay, body: Mapping[str, Any]) -> None:
    replay.receipts[body["contract"], body["run_id"]] = body["receipt"]


_HANDLERS: dict[str, Callable[[_Replay, Mapping[str, Any]], None]] = {
    "key": _replay_key,
    "contract": _replay_contract,
    "release": _replay_release,
    "anchor": _replay_anchor,
    "receipt": _replay_receipt,
}


def _compare(connection: sqlite3.Connection, replay: _Replay) -> None:
    bundles = set(connection.execute("SELECT digest, owner, kind FROM bundle"))
    contracts = {row[0] for row in connection.execute("SELECT digest FROM contract")}
    if bundles != replay.bundles or contracts != replay.contracts:
        raise _damaged("the registered keys or contracts are not those of the decision log")
    if _reports(connection) != replay.reports:
        raise _damaged("the de-identification reports are not those of the decision log")
    seen = 0
    rows = connection.execute(
        "SELECT contract, run_id, resumes, worker_recipient, worker_signing, anchor_step,"
        " anchor_digest, receipt_digest FROM run"
    )
    for row in rows:
        seen += 1
        run = (row[0], row[1])
        told = (
            replay.resumes.get(run),
            replay.workers.get(run),
            replay.anchors.get(run, (None, None)),
            replay.receipts.get(run),
        )
        workers = (sha256_digest(row[3]), sha256_digest(row[4]))
        if told != (row[2], workers, (row[5], row[6]), row[7]):
            raise _damaged(f"run {row[1]} is not as the decision log says")
    if seen != len(replay.resumes):
        raise _damaged("the counted runs are not those of the decision log")


def _reports(connection: sqlite3.Connection) -> dict[str, str]:
    try:
        return {
            row[0]: sha256_digest(parse_envelope(bytes(row[1])).payload)
            for row in connection.execute("SELECT bundle, envelope FROM report")
        }
    except FormatError as error:
        raise _damaged("a de-identification report is none") from error


def _damaged(reason: str) -> StorageError:
    return StorageError(Code.STORE_DAMAGED, f"the store was changed: {reason}", remedy=_REMEDY)


def read_log(connection: sqlite3.Connection, *, log: VerifyingKey) -> tuple[LogEntry, ...]:
    """Return the decision log, verified, for people to read.

    Raises:
        VerificationError, FormatError: the log is damaged.
    """
    envelope = stored_head(connection)
    heads = () if envelope is None else (verify_head(envelope, log=log),)
    verifier = ChainVerifier(log=log, heads=heads)
    entries = tuple(verifier.add(data) for data in log_entries(connection))
    verifier.finish()
    return entries
