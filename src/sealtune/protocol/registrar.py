"""How an owner hands files to a running broker: bundles' keys and contracts (spec/protocol §8).

The bundle itself stays with the owner: only its two signed blocks are sent.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Final

from sealtune.bundle.reader import registration
from sealtune.bundle.registration import REPORT_ENVELOPE_BYTES_MAX, parse_registration
from sealtune.contract.files import read_contract_file
from sealtune.core.digest import Digest
from sealtune.core.files import read_bounded
from sealtune.crypto.signing import VerifyingKey
from sealtune.errors import Code, VerificationError
from sealtune.protocol.client import BrokerClient
from sealtune.protocol.reports import open_registration_answer

_REPORT_MAX: Final = REPORT_ENVELOPE_BYTES_MAX
_REPORT: Final = "de-identification report"


@dataclass(frozen=True, slots=True, kw_only=True)
class Registered:
    """What a broker says, signed, that it keeps; `log_size` counts its decision log's entries."""

    kind: str
    digest: Digest
    address: str
    insecure: bool
    log_size: int


def register_bundle_file(
    path: Path, *, address: str, broker: VerifyingKey, report: Path | None = None
) -> Registered:
    """Hand the key of the bundle at `path` to the broker at `address`, whose key is `broker`.

    `report` is the de-identification report that the bundle was sealed with.

    Raises:
        VerificationError: DEID_REPORT_MISSING, DEID_OTHER_REPORT: `report` is not the one that the
            bundle names.
        StorageError, FormatError, VerificationError: the file is missing or no good bundle.
        TransportError: the broker was not reached.
        ReleaseDenied: the broker refuses: another owner's, or not sealed to it.
        VerificationError: BROKER_IDENTITY: the answer is not from `broker`.
    """
    envelope = None if report is None else read_bounded(report, limit=_REPORT_MAX, what=_REPORT)
    body = registration(path, report=envelope)
    digest = parse_registration(body).digest
    answer = BrokerClient(address).ask("/v1/keys", body)
    head = open_registration_answer(answer, request=body, digest=digest, broker=broker)
    return Registered(
        kind="bundle", digest=digest, address=address, insecure=False, log_size=head.size
    )


def register_contract_file(path: Path, *, address: str, broker: VerifyingKey) -> Registered:
    """Hand the signed contract at `path` to the broker at `address`, whose key is `broker`.

    Raises:
        StorageError, FormatError: the file is missing or no contract.
        VerificationError: CONTRACT_UNSIGNED: somebody has still to sign; BROKER_IDENTITY: the
            answer is not from `broker`.
        TransportError: the broker was not reached.
        ReleaseDenied: the broker refuses, for one because the contract does not name it.
    """
    read = read_contract_file(path)
    if read.envelope is None or read.missing:
        message = f"{path}: not signed by {', '.join(read.missing)}"
        remedy = "each of them runs `sealtune contract sign`"
        raise VerificationError(Code.CONTRACT_UNSIGNED, message, remedy=remedy)
    body = read.envelope.to_json()
    answer = BrokerClient(address).ask("/v1/contracts", body)
    head = open_registration_answer(answer, request=body, digest=read.digest, broker=broker)
    return Registered(
        kind="contract",
        digest=read.digest,
        address=address,
        insecure=read.contract.insecure,
        log_size=head.size,
    )
