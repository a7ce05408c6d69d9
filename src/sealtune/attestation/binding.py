"""What the 64 bytes of report_data commit to (spec/attestation §3).

Each use has a protocol label, so that evidence made for one step is worthless in another.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass

from sealtune.core.digest import Digest, digest_bytes
from sealtune.crypto.hpke import RecipientPublicKey
from sealtune.crypto.signing import VerifyingKey

REPORT_DATA_BYTES = 64
CHALLENGE_BYTES = 32
_RELEASE_LABEL = b"sealtune/v1/release"
_RECEIPT_LABEL = b"sealtune/v1/receipt"
_DEVICE_LABEL = b"sealtune/v1/device"


@dataclass(frozen=True, slots=True, kw_only=True)
class WorkerKeys:
    """The keys that a worker made inside its enclave: one to receive, one to sign."""

    recipient: RecipientPublicKey
    signing: VerifyingKey


def release_report_data(
    *, challenge: bytes, broker: VerifyingKey, worker: WorkerKeys, contract: Digest
) -> bytes:
    """Return the report_data with which a worker asks `broker` for keys (spec/attestation §3.2).

    Raises:
        ValueError: `challenge` is not 32 bytes.
    """
    if len(challenge) != CHALLENGE_BYTES:
        raise ValueError(f"a challenge has {CHALLENGE_BYTES} bytes")
    return _bind(
        _RELEASE_LABEL,
        challenge,
        broker.raw,
        worker.recipient.raw,
        worker.signing.raw,
        digest_bytes(contract),
    )


def receipt_report_data(*, statement: Digest, worker: WorkerKeys, contract: Digest) -> bytes:
    """Return the report_data that binds a receipt's statement (spec/attestation §3.3)."""
    return _bind(
        _RECEIPT_LABEL,
        digest_bytes(statement),
        worker.recipient.raw,
        worker.signing.raw,
        digest_bytes(contract),
    )


def device_challenge(report_data: bytes) -> bytes:
    """Return the 32 bytes that each device of a machine answers (spec/attestation §3.5).

    They follow from what the machine's own evidence binds, so a device that answers them was asked
    for this challenge, key and contract.
    """
    return hashlib.sha256(_framed(_DEVICE_LABEL, report_data)).digest()


def tpm_challenge(report_data: bytes) -> bytes:
    """Return the 32 bytes that a TPM quote carries as extraData (spec/attestation §3.6).

    A TPM takes fewer than 64 bytes there.
    """
    return hashlib.sha256(report_data).digest()


def _bind(*parts: bytes) -> bytes:
    return hashlib.sha512(_framed(*parts)).digest()


def _framed(*parts: bytes) -> bytes:
    # spec/attestation §3.1: with their lengths, or bytes could move from one part to the next.
    return b"".join(len(part).to_bytes(8, "big") + part for part in parts)
