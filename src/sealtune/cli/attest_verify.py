"""What `sealtune attest verify` does between its options and its lines."""

from __future__ import annotations

import base64
import binascii
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import sealtune
from sealtune.cli.attest_files import (
    contract_digest_of,
    read_endorsement_files,
    read_evidence_file,
    with_insecure_root,
)
from sealtune.cli.guide import GUIDE
from sealtune.core.clock import format_time
from sealtune.core.files import read_bounded, write_atomic
from sealtune.core.limits import CONTRACT_BYTES_MAX, KEY_FILE_BYTES_MAX
from sealtune.errors import AppraisalError, FormatError, VerificationError

if TYPE_CHECKING:
    from sealtune import (
        AcceptedEnclave,
        Endorsements,
        Evidence,
        EvidenceKind,
        Examination,
        P256Key,
    )

_REFUSALS: Final = (FormatError, VerificationError, AppraisalError)
_UNKNOWN: Final = "unknown"
_EAR_LIFETIME: Final = timedelta(hours=1)
_PEM_BEGIN, _PEM_END = b"-----BEGIN PRIVATE KEY-----", b"-----END PRIVATE KEY-----"


@dataclass(frozen=True, slots=True, kw_only=True)
class Asked:
    """The options of one verification."""

    kind: EvidenceKind | None
    endorsements: tuple[Path, ...]
    now: datetime
    policy: str | None
    report_data: bytes | None
    contract: str | None
    event_log: Path | None
    insecure_root: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Examined:
    """What was found, of which file, and under which policy's entries."""

    path: Path
    at: datetime
    policy: str | None
    accepted: tuple[AcceptedEnclave, ...] | None
    files_skipped: int
    examination: Examination

    @property
    def remedy(self) -> str:
        """What to do about a refusal."""
        refusal = self.examination.refusal
        return "" if refusal is None else refusal.remedy or GUIDE[refusal.code].remedy

    def to_dict(self) -> dict[str, Any]:
        """Return the one JSON object of the command."""
        refusal = self.examination.refusal
        return {
            **self.examination.to_dict(),
            "reason": None if refusal is None else refusal.message,
            "remedy": self.remedy or None,
            "policy": self.policy,
            "at": format_time(self.at),
            "path": str(self.path),
        }


def examine_file(path: Path, asked: Asked) -> Examined:
    """Return what the evidence in the file at `path` amounts to.

    What is wrong with evidence or endorsements is a result; what is wrong with the command is not.

    Raises:
        ConfigError, StorageError: options or files that cannot be used.
        FormatError: a policy, contract or digest that is none.
    """
    accepted = None if asked.policy is None else sealtune.find_policy(asked.policy).accepted()
    contract = None if asked.contract is None else contract_digest_of(asked.contract)
    question = sealtune.Question(
        accepted=accepted, report_data=asked.report_data, host_data=contract
    )
    skipped = 0
    kind = asked.kind
    try:
        found = read_evidence_file(path, kind=kind, event_log=asked.event_log)
        kind = found[0].kind
        endorsements, skipped = _endorsements(asked, found)
    except _REFUSALS as refusal:
        type_ = _UNKNOWN if kind is None else str(kind)
        examination = sealtune.refused_examination(refusal, type_=type_)
    else:
        anchors = with_insecure_root(
            sealtune.anchors_for(accepted or ()), asked.insecure_root, kind=kind
        )
        examination = sealtune.examine(
            found, question=question, anchors=anchors, endorsements=endorsements, now=asked.now
        )
    return Examined(
        path=path,
        at=asked.now,
        policy=asked.policy,
        accepted=accepted,
        files_skipped=skipped,
        examination=examination,
    )


def _endorsements(asked: Asked, found: tuple[Evidence, ...]) -> tuple[Endorsements, int]:
    given = read_endorsement_files(asked.endorsements)
    return sealtune.read_evidence_endorsements(given.files, evidence=found), given.skipped


def write_ear(path: Path, found: Examined, *, key: Path, policy: str, issued_at: datetime) -> None:
    """Write what appraisal found as a token to `path`, signed with the key in the file `key`.

    Evidence that is not genuine was not appraised: there is no token about it.

    Raises:
        FormatError: the key is none.
        StorageError: a file cannot be read or written.
    """
    signing = _p256_key(key)
    issue = sealtune.EarIssue(
        policy_id=_policy_id(policy), issued_at=issued_at, lifetime=_EAR_LIFETIME
    )
    examination = found.examination
    refusal = examination.refusal
    if examination.result is not None:
        ear = sealtune.ear_of_result(examination.result, accepted=found.accepted or (), issue=issue)
    elif isinstance(refusal, sealtune.AppraisalRefused) and examination.verified is not None:
        ear = sealtune.ear_of_refusal(refusal, verified=examination.verified, issue=issue)
    else:
        return
    write_atomic(path, sealtune.sign_ear(ear, key=signing).encode() + b"\n")


def _policy_id(policy: str) -> str:
    """Return a name for a shipped policy, the digest of one in a file: its path means nothing."""
    if policy in sealtune.PRESETS:
        return f"sealtune:{policy}"
    data = read_bounded(Path(policy), limit=CONTRACT_BYTES_MAX, what="policy")
    return sealtune.sha256_digest(data)


def _p256_key(path: Path) -> P256Key:
    data = read_bounded(path, limit=KEY_FILE_BYTES_MAX, what="key")
    body = data.partition(_PEM_BEGIN)[2].partition(_PEM_END)[0]
    try:
        der = base64.b64decode(b"".join(body.split()), validate=True)
    except binascii.Error:
        der = b""
    try:
        return sealtune.P256Key.from_der(der)
    except FormatError as error:
        remedy = "openssl genpkey -algorithm EC -pkeyopt ec_paramgen_curve:P-256 -out ear.pem"
        raise FormatError(
            error.code, f"{path}: no P-256 private key in PEM", remedy=remedy
        ) from None
