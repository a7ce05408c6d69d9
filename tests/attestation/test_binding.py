"""report_data: every part counts, and a label keeps one use from passing for another."""

from __future__ import annotations

import hashlib
from typing import Any

import pytest

from sealtune.attestation.binding import (
    WorkerKeys,
    receipt_report_data,
    release_report_data,
)
from sealtune.core.digest import digest_bytes, sha256_digest
from sealtune.crypto.hpke import RecipientKey
from sealtune.crypto.signing import SigningKey


def worker_keys() -> WorkerKeys:
    return WorkerKeys(
        recipient=RecipientKey.generate().public, signing=SigningKey.generate().public
    )


WORKER = worker_keys()
BROKER = SigningKey.generate().public
CONTRACT = sha256_digest(b"contract")
STATEMENT = sha256_digest(b"statement")
RELEASE: dict[str, Any] = {
    "challenge": bytes(range(32)),
    "broker": BROKER,
    "worker": WORKER,
    "contract": CONTRACT,
}
RECEIPT: dict[str, Any] = {"statement": STATEMENT, "worker": WORKER, "contract": CONTRACT}


def by_hand(*parts: bytes) -> bytes:
    return hashlib.sha512(b"".join(len(part).to_bytes(8, "big") + part for part in parts)).digest()


def test_the_release_binding_is_as_specified() -> None:
    assert release_report_data(**RELEASE) == by_hand(
        b"sealtune/v1/release",
        RELEASE["challenge"],
        BROKER.raw,
        WORKER.recipient.raw,
        WORKER.signing.raw,
        digest_bytes(CONTRACT),
    )


def test_the_receipt_binding_is_as_specified() -> None:
    assert receipt_report_data(**RECEIPT) == by_hand(
        b"sealtune/v1/receipt",
        digest_bytes(STATEMENT),
        WORKER.recipient.raw,
        WORKER.signing.raw,
        digest_bytes(CONTRACT),
    )


@pytest.mark.parametrize(
    "change",
    [
        {"challenge": bytes(32)},
        {"broker": SigningKey.generate().public},
        {"worker": WorkerKeys(recipient=worker_keys().recipient, signing=WORKER.signing)},
        {"worker": WorkerKeys(recipient=WORKER.recipient, signing=worker_keys().signing)},
        {"contract": sha256_digest(b"another")},
    ],
    ids=["challenge", "broker", "recipient-key", "signing-key", "contract"],
)
def test_every_part_of_a_release_counts(change: dict[str, Any]) -> None:
    assert release_report_data(**{**RELEASE, **change}) != release_report_data(**RELEASE)


@pytest.mark.parametrize(
    "change",
    [
        {"statement": sha256_digest(b"another")},
        {"worker": WorkerKeys(recipient=worker_keys().recipient, signing=WORKER.signing)},
        {"worker": WorkerKeys(recipient=WORKER.recipient, signing=worker_keys().signing)},
        {"contract": sha256_digest(b"another")},
    ],
    ids=["statement", "recipient-key", "signing-key", "contract"],
)
def test_every_part_of_a_receipt_counts(change: dict[str, Any]) -> None:
    assert receipt_report_data(**{**RECEIPT, **change}) != receipt_report_data(**RECEIPT)


@pytest.mark.parametrize("size", [0, 31, 33, 64])
def test_a_challenge_of_another_length_is_the_callers_mistake(size: int) -> None:
    with pytest.raises(ValueError, match="32"):
        release_report_data(**{**RELEASE, "challenge": bytes(size)})
