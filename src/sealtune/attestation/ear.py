"""Attestation results for other programs: EAR, a signed JWT (spec/attestation §18).

Source: draft-ietf-rats-ear-04, in the names of its profile that Veraison's and Trustee's readers
know. A token says what an appraisal found; it releases nothing, and nothing here trusts one.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any, Final

import sealtune
from sealtune.attestation.appraisal import AppraisalRefused
from sealtune.attestation.ear_vector import (
    Aspect,
    EarStatus,
    Vector,
    device_vector,
    insecure_vector,
    machine_vector,
    refused_device_vector,
    refused_vector,
    status_of,
    worst_status,
)
from sealtune.attestation.reference import AcceptedEnclave
from sealtune.attestation.result import AttestationResult, RuleResult
from sealtune.attestation.verified import Claims, VerifiedEvidence
from sealtune.crypto.ecdsa import P256Key
from sealtune.crypto.jwt import TOKEN_BYTES_MAX, sign_jwt, verify_jwt
from sealtune.errors import Code, FormatError, FreshnessError

EAR_PROFILE: Final = "tag:github.com,2023:veraison/ear"
EAR_DEVELOPER: Final = "https://sealtune.dev"
EAR_POLICY_ID_MAX: Final = 512
EAR_SUBMODULES_MAX: Final = 64  # a machine and 2x as many devices as one has
CLOCK_TOLERANCE: Final = timedelta(seconds=60)
_MACHINE: Final = "cpu0"
_DEVICE_NAMES: Final = {"NVIDIA GPU": "gpu", "NVIDIA NVSwitch": "nvswitch"}
_INTEGER_MAX: Final = 2**53 - 1
_TIMESTAMP_MAX: Final = 253_402_300_799  # the last second of the year 9999
_ORDER: Final = tuple(EarStatus)

_VERIFIER = "ear.verifier-id"
_STATUS = "ear.status"
_VECTOR = "ear.trustworthiness-vector"
_POLICY = "ear.appraisal-policy-id"
_EVIDENCE = "ear.veraison.annotated-evidence"
_CLAIMS = "sealtune.claims"
_RULES = "sealtune.rules"


@dataclass(frozen=True, slots=True, kw_only=True)
class EarAppraisal:
    """What was found about one machine or device.

    `evidence` holds every decoded field; `claims` and `rules` are ours. All three are for people.

    Raises:
        ValueError: `status` is better than the worst value of `vector`.
    """

    status: EarStatus
    vector: Vector
    policy_id: str
    evidence: Mapping[str, Any]
    claims: Mapping[str, Any]
    rules: tuple[Mapping[str, Any], ...]

    def __post_init__(self) -> None:
        if _ORDER.index(self.status) < _ORDER.index(worst_status(self.vector)):
            raise ValueError("a status that is better than its vector")

    def to_dict(self) -> dict[str, Any]:
        """Return the claims of the submodule."""
        return {
            _STATUS: str(self.status),
            _VECTOR: {str(aspect): value for aspect, value in self.vector.items()},
            _POLICY: self.policy_id,
            _EVIDENCE: self.evidence,
            _CLAIMS: self.claims,
            _RULES: list(self.rules),
        }


@dataclass(frozen=True, slots=True, kw_only=True)
class Ear:
    """An attestation result: who found what, when, about a machine and its devices by name.

    Raises:
        ValueError: something simulated that is not contraindicated.
    """

    build: str
    issued_at: datetime
    expires_at: datetime | None
    insecure: bool
    submodules: Mapping[str, EarAppraisal]

    def __post_init__(self) -> None:
        # Whoever reads the tiers alone must not take a simulation for hardware.
        if self.insecure and any(
            appraisal.status is not EarStatus.CONTRAINDICATED
            for appraisal in self.submodules.values()
        ):
            raise ValueError("a simulation is contraindicated")

    def to_dict(self) -> dict[str, Any]:
        """Return the claims of the token."""
        expiry = {} if self.expires_at is None else {"exp": int(self.expires_at.timestamp())}
        return {
            "eat_profile": EAR_PROFILE,
            "iat": int(self.issued_at.timestamp()),
            **expiry,
            _VERIFIER: {"developer": EAR_DEVELOPER, "build": self.build},
            "insecure": self.insecure,
            "submods": {name: one.to_dict() for name, one in self.submodules.items()},
        }


@dataclass(frozen=True, slots=True, kw_only=True)
class EarIssue:
    """What a verifier puts its result under: the policy's identifier, the time, and until when.

    Raises:
        ValueError: an identifier that is empty or too long, a time without zone, or no lifetime.
    """

    policy_id: str
    issued_at: datetime
    lifetime: timedelta | None

    def __post_init__(self) -> None:
        if not 1 <= len(self.policy_id) <= EAR_POLICY_ID_MAX:
            raise ValueError(f"a policy's identifier has 1 to {EAR_POLICY_ID_MAX} characters")
        if self.issued_at.tzinfo is None:
            raise ValueError("a time without zone is ambiguous")
        if self.lifetime is not None and self.lifetime < timedelta(seconds=1):
            raise ValueError("a result is valid for a second at least, or without an end")


def ear_of_result(
    result: AttestationResult, *, accepted: Sequence[AcceptedEnclave], issue: EarIssue
) -> Ear:
    """Return what `result` says; `accepted` are the reference values that it was appraised by.

    Raises:
        ValueError: `result` is of none of them.
    """
    enclave = next((entry for entry in accepted if entry.name == result.enclave), None)
    if enclave is None:
        raise ValueError(f"no accepted enclave is called {result.enclave!r}")
    vectors = [
        machine_vector(result, enclave),
        *(device_vector(device, insecure=result.insecure) for device in result.devices),
    ]
    return _ear(
        issue,
        insecure=result.insecure,
        machines=(result.claims, *result.devices),
        appraisals=[(worst_status(vector), vector) for vector in vectors],
        rules=result.rules,
    )


def ear_of_refusal(
    refusal: AppraisalRefused, *, verified: VerifiedEvidence, issue: EarIssue
) -> Ear:
    """Return what `refusal`, of `verified` evidence, says: contraindicated, and by which rules."""
    rules = refusal.rules
    device = insecure_vector() if verified.insecure else refused_device_vector(rules)
    vectors = [
        insecure_vector() if verified.insecure else refused_vector(rules),
        *(device for _ in verified.devices),
    ]
    return _ear(
        issue,
        insecure=verified.insecure,
        machines=(verified.claims, *(one.claims for one in verified.devices)),
        # Whatever failed, the policy said no: the status must not leave that to the reader.
        appraisals=[(EarStatus.CONTRAINDICATED, vector) for vector in vectors],
        rules=rules,
    )


def _ear(
    issue: EarIssue,
    *,
    insecure: bool,
    machines: Sequence[Claims],
    appraisals: Sequence[tuple[EarStatus, Vector]],
    rules: tuple[RuleResult, ...],
) -> Ear:
    found = {}
    for name, claims, (status, vector) in zip(_names(machines), machines, appraisals, strict=True):
        found[name] = EarAppraisal(
            status=status,
            vector=vector,
            policy_id=issue.policy_id,
            evidence=_portable(claims.fields),
            claims=_portable(claims.to_dict()),
            rules=tuple(rule.to_dict() for rule in rules) if name == _MACHINE else (),
        )
    lifetime = issue.lifetime
    return Ear(
        build=f"sealtune {sealtune.__version__}",
        issued_at=issue.issued_at,
        expires_at=None if lifetime is None else issue.issued_at + lifetime,
        insecure=insecure,
        submodules=found,
    )


def _names(machines: Sequence[Claims]) -> list[str]:
    names = [_MACHINE]
    for device in machines[1:]:
        kind = _DEVICE_NAMES[device.platform]
        names.append(f"{kind}{sum(name.startswith(kind) for name in names)}")
    return names


def _portable(value: Any) -> Any:
    """Return a JSON value whose numbers every reader of JSON can hold."""
    if isinstance(value, Mapping):
        return {str(name): _portable(item) for name, item in value.items()}
    if isinstance(value, list | tuple):
        return [_portable(item) for item in value]
    if isinstance(value, int) and not isinstance(value, bool) and abs(value) > _INTEGER_MAX:
        return f"{value:#x}"
    return value


def sign_ear(ear: Ear, *, key: P256Key) -> str:
    """Return `ear` as a token signed with ES256.

    Raises:
        FormatError: more fields than a token holds.
    """
    token = sign_jwt(ear.to_dict(), key=key, header={"typ": "JWT"})
    if len(token) > TOKEN_BYTES_MAX:
        raise FormatError(Code.LIMIT_EXCEEDED, f"a result of {len(token)} bytes as a token")
    return token


def verify_ear(token: str, *, spki: bytes, now: datetime) -> Ear:
    """Return the result in `token`, which `spki` signed as an EAR of ours, at `now`.

    Raises:
        FormatError: no token, or not an EAR in this profile.
        FreshnessError: it has ended, or is from the future.
        VerificationError: unsigned, or not signed by this key.
        ValueError: `now` has no time zone.
    """
    if now.tzinfo is None:
        raise ValueError("a time without zone is ambiguous")
    ear = _ear_from_dict(verify_jwt(token, spki=spki, algorithm="ES256"))
    if ear.issued_at > now + CLOCK_TOLERANCE:
        raise FreshnessError(Code.FRESHNESS, f"a result of {ear.issued_at}, and it is {now}")
    if ear.expires_at is not None and ear.expires_at <= now:
        raise FreshnessError(Code.FRESHNESS, f"a result that ended {ear.expires_at}")
    return ear


def _malformed(reason: str) -> FormatError:
    return FormatError(Code.TOKEN_MALFORMED, f"attestation result: {reason}")


def _ear_from_dict(value: Mapping[str, Any]) -> Ear:
    if value.get("eat_profile") != EAR_PROFILE:
        raise _malformed("of another profile")
    insecure, submodules = value.get("insecure"), value.get("submods")
    if not isinstance(insecure, bool):
        raise _malformed("without a word on whether it is insecure")
    if not isinstance(submodules, dict) or len(submodules) > EAR_SUBMODULES_MAX:
        raise _malformed("submods are an object of machines")
    if _MACHINE not in submodules:
        raise _malformed(f"without {_MACHINE}")
    try:
        return Ear(
            build=_text(_object(value.get(_VERIFIER)).get("build")),
            issued_at=_moment(value.get("iat")),
            expires_at=_moment(value["exp"]) if "exp" in value else None,
            insecure=insecure,
            submodules={name: _appraisal(item) for name, item in submodules.items()},
        )
    except ValueError as error:
        raise _malformed(str(error)) from None


def _appraisal(value: object) -> EarAppraisal:
    fields = _object(value)
    status, rules = fields.get(_STATUS), fields.get(_RULES)
    if not isinstance(status, str) or status not in set(EarStatus):
        raise _malformed("a status that is none")
    if not isinstance(rules, list):
        raise _malformed("rules are a list")
    return EarAppraisal(
        status=EarStatus(status),
        vector=_read_vector(_object(fields.get(_VECTOR))),
        policy_id=_text(fields.get(_POLICY)),
        evidence=_object(fields.get(_EVIDENCE)),
        claims=_object(fields.get(_CLAIMS)),
        rules=tuple(_object(rule) for rule in rules),
    )


def _read_vector(value: Mapping[str, Any]) -> Vector:
    if value.keys() != set(Aspect):
        raise _malformed("a vector with other than its eight values")
    for number in value.values():
        if not isinstance(number, int) or isinstance(number, bool):
            raise _malformed("a vector with a value that is no number")
        status_of(number)
    return {aspect: value[aspect] for aspect in Aspect}


def _object(value: object) -> dict[str, Any]:
    if not isinstance(value, dict):
        raise _malformed("something else than an object")
    return value


def _text(value: object) -> str:
    if not isinstance(value, str) or not 1 <= len(value) <= EAR_POLICY_ID_MAX:
        raise _malformed("something else than a text")
    return value


def _moment(value: object) -> datetime:
    if not isinstance(value, int) or isinstance(value, bool) or not 0 <= value <= _TIMESTAMP_MAX:
        raise _malformed("a time that is none")
    return datetime.fromtimestamp(value, UTC)
