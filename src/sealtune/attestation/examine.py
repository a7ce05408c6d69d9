"""A look at evidence: what it is, whether it is genuine, and whether it would do (§17.5).

For people and conformance tests. A refusal is a result here, not an exception, and every step is
told with its outcome. Nothing is ever released on an `Examination`; it does no I/O.
"""

from __future__ import annotations

import dataclasses
import hmac
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Any

from sealtune.attestation.anchors import TrustAnchors
from sealtune.attestation.appraisal import AppraisalRefused, appraise
from sealtune.attestation.binding import device_challenge
from sealtune.attestation.endorsements import Endorsements
from sealtune.attestation.evidence import Evidence, EvidenceKind
from sealtune.attestation.examine_default import default_enclave, unasked_of
from sealtune.attestation.explain_fields import decoded_fields
from sealtune.attestation.forms.device_chain import with_device_chain
from sealtune.attestation.forms.read import is_device_list
from sealtune.attestation.nvidia_claims import require_distinct
from sealtune.attestation.reference import AcceptedEnclave
from sealtune.attestation.result import AttestationResult, RuleResult
from sealtune.attestation.steps import Step, Steps
from sealtune.attestation.verified import AuthenticEvidence, VerifiedEvidence
from sealtune.attestation.verify import authenticate_evidence, require_fresh, without_challenge
from sealtune.errors import (
    AppraisalError,
    Code,
    FormatError,
    FreshnessError,
    SealtuneError,
    VerificationError,
)

# Evidence whose bytes show report_data as it was given, so that devices can be compared with it.
_SHOWS_REPORT_DATA = frozenset({EvidenceKind.SEV_SNP, EvidenceKind.TDX, EvidenceKind.SGX})
# A policy's own way to accept whatever was launched; a contract has none.
_ANY_MEASUREMENT = ("measurement", "boot", "secure-boot")


class Verdict(StrEnum):
    """What came out."""

    ACCEPT = "accept"
    REFUSE = "refuse"


@dataclass(frozen=True, slots=True, kw_only=True)
class Question:
    """What evidence is compared with; what is None is not compared, and the steps say so.

    `report_data` are the 64 bytes that it must bind, `host_data` the digest of the contract that
    the guest must have been launched for.
    """

    accepted: tuple[AcceptedEnclave, ...] | None
    report_data: bytes | None
    host_data: bytes | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Examination:
    """What a look at evidence found; `refusal` is None if it was accepted.

    `claims` are JSON values: those of the common vocabulary if the evidence is authentic, and
    `fields` either way. `result` and `verified` are there as far as it came.
    """

    verdict: Verdict
    type: str
    insecure: bool
    claims: Mapping[str, Any]
    steps: tuple[Step, ...]
    refusal: SealtuneError | None
    verified: VerifiedEvidence | None
    result: AttestationResult | None

    @property
    def code(self) -> Code | None:
        """Why it was refused."""
        return None if self.refusal is None else self.refusal.code

    def to_dict(self) -> dict[str, Any]:
        """Return the object of spec/attestation §17.5."""
        return {
            "verdict": str(self.verdict),
            "code": None if self.code is None else str(self.code),
            "type": self.type,
            "insecure": self.insecure,
            "claims": dict(self.claims),
            "steps": [step.to_dict() for step in self.steps],
        }


class _Seen:
    """What was reached before a refusal."""

    def __init__(self) -> None:
        self.steps = Steps()
        self.machine: AuthenticEvidence | None = None
        self.devices: list[AuthenticEvidence] = []
        self.verified: VerifiedEvidence | None = None
        self.result: AttestationResult | None = None
        # The rules that nobody asked about, and what they leave open.
        self.unasked: Mapping[str, str] = {}

    def note_rules(self, rules: tuple[RuleResult, ...]) -> None:
        for rule in rules:
            if not rule.passed:
                self.steps.failed(rule.rule, rule.reason)
            elif rule.rule in self.unasked:
                self.steps.skipped(rule.rule, self.unasked[rule.rule])
            else:
                self.steps.passed(rule.rule, rule.reason)


def examine(
    found: tuple[Evidence, ...],
    *,
    question: Question,
    anchors: TrustAnchors,
    endorsements: Endorsements,
    now: datetime,
) -> Examination:
    """Return what `found`, the evidence of a machine or of devices, amounts to at `now`.

    Without accepted enclaves it asks for authenticity, no debugging, VMPL 0 and a TCB status that
    is not out of date; what that leaves open is told in skipped steps.

    Raises:
        ValueError: no evidence, a value of another length, or `now` has no time zone.
    """
    if not found:
        raise ValueError("there is nothing to examine")
    seen = _Seen()
    refusal: SealtuneError | None = None

    def authenticate(evidence: Evidence, steps: Steps) -> AuthenticEvidence:
        return authenticate_evidence(
            evidence,
            anchors=anchors,
            endorsements=endorsements,
            now=now,
            steps=steps,
        )

    try:
        found = tuple(with_device_chain(one, endorsements=endorsements) for one in found)
        if is_device_list(found):
            _authenticate_devices(found, seen, authenticate)
            _look_at_devices(seen, question)
        else:
            (machine,) = found
            seen.machine = authenticate(dataclasses.replace(machine, devices=()), seen.steps)
            _authenticate_devices(machine.devices, seen, authenticate)
            _look_at_machine(seen.machine, seen, question)
    except (FormatError, VerificationError, AppraisalError) as error:
        refusal = error
        _note_refusal(error, seen)
    return _examination(found, seen, refusal)


def refused_examination(refusal: SealtuneError, *, type_: str) -> Examination:
    """Return what evidence or endorsements that cannot even be read amount to."""
    seen = _Seen()
    _note_refusal(refusal, seen)
    return Examination(
        verdict=Verdict.REFUSE,
        type=type_,
        insecure=False,
        claims={"authenticated": False, "fields": {}},
        steps=seen.steps.done,
        refusal=refusal,
        verified=None,
        result=None,
    )


# -- devices ---------------------------------------------------------------------------------------

_Authenticate = Callable[[Evidence, Steps], AuthenticEvidence]


def _authenticate_devices(
    devices: tuple[Evidence, ...], seen: _Seen, authenticate: _Authenticate
) -> None:
    for number, device in enumerate(devices):
        steps = Steps()
        try:
            seen.devices.append(authenticate(device, steps))
        finally:
            # Also those before a refusal; and of which device they are, for there are many.
            for step in steps.done:
                seen.steps.note(dataclasses.replace(step, name=f"device {number}: {step.name}"))


def _look_at_devices(seen: _Seen, question: Question) -> None:
    """Examine devices that came without their machine."""
    if question.accepted is not None:
        raise AppraisalError(
            Code.APPRAISAL_KIND, "a policy accepts devices with their machine only"
        )
    _require_one_challenge(seen, question.report_data)
    _require_sound(seen)


def _require_sound(seen: _Seen) -> None:
    require_distinct(seen.devices)
    seen.steps.passed("distinct devices", f"{len(seen.devices)}, no two of them the same")
    for number, device in enumerate(seen.devices):
        if device.claims.debug:
            raise AppraisalError(Code.APPRAISAL_DEBUG, f"device {number} can be debugged")
    # Only Blackwell's certificates have a word on it; RIMs tell the others (spec §16.9).
    seen.steps.passed("device debug", "no device says that it can be debugged")


def _require_one_challenge(seen: _Seen, report_data: bytes | None) -> None:
    nonces = [device.freshness for device in seen.devices]
    if any(not hmac.compare_digest(nonce, nonces[0]) for nonce in nonces):
        raise FreshnessError(Code.FRESHNESS, "the devices answered different challenges")
    if report_data is not None:
        for device in seen.devices:
            require_fresh(device, report_data=report_data, steps=Steps())
        seen.steps.passed("device freshness", "each answers the challenge that follows from this")
        return
    bound = seen.machine
    if bound is None:
        seen.steps.skipped("device freshness", "not compared, no challenge was given")
    elif bound.kind in _SHOWS_REPORT_DATA and hmac.compare_digest(
        nonces[0], device_challenge(bound.freshness)
    ):
        seen.steps.passed("device freshness", "the nonce follows from the machine's report_data")
    else:
        seen.steps.skipped(
            "device freshness",
            "the nonce does not follow from the machine's evidence: "
            "these devices may be another machine's",
        )


# -- machines --------------------------------------------------------------------------------------


def _look_at_machine(machine: AuthenticEvidence, seen: _Seen, question: Question) -> None:
    if question.accepted is None:
        _look_without_policy(machine, seen, question)
        return
    whole = dataclasses.replace(machine, devices=tuple(seen.devices))
    seen.verified = _fresh(whole, seen, question)
    seen.result = appraise(seen.verified, accepted=question.accepted, host_data=question.host_data)
    entry = next(one for one in question.accepted if one.name == seen.result.enclave)
    if entry.measurements is None:
        seen.unasked = dict.fromkeys(_ANY_MEASUREMENT, f"{entry.name!r} accepts anything")
    seen.note_rules(seen.result.rules)
    seen.steps.passed("policy", f"satisfies {entry.name!r} in every rule")


def _look_without_policy(machine: AuthenticEvidence, seen: _Seen, question: Question) -> None:
    seen.verified = _fresh(machine, seen, question)
    if seen.devices:
        _require_one_challenge(seen, question.report_data)
        _require_sound(seen)
    seen.unasked = unasked_of(machine)
    seen.result = appraise(seen.verified, accepted=(default_enclave(machine),), host_data=None)
    seen.note_rules(seen.result.rules)


def _fresh(machine: AuthenticEvidence, seen: _Seen, question: Question) -> VerifiedEvidence:
    if question.report_data is None:
        return without_challenge(machine, steps=seen.steps)
    return require_fresh(machine, report_data=question.report_data, steps=seen.steps)


# -- what came out ---------------------------------------------------------------------------------


def _note_refusal(refusal: SealtuneError, seen: _Seen) -> None:
    if isinstance(refusal, AppraisalRefused):
        seen.note_rules(refusal.rules)
    else:
        # A step is named by what it looked at; of one that refused, the code says that.
        seen.steps.failed(str(refusal.code), refusal.message)


def _examination(
    found: tuple[Evidence, ...], seen: _Seen, refusal: SealtuneError | None
) -> Examination:
    authentic = [one for one in (seen.machine, *seen.devices) if one is not None]
    return Examination(
        verdict=Verdict.ACCEPT if refusal is None else Verdict.REFUSE,
        type="+".join(dict.fromkeys(str(item.kind) for item in found)),
        insecure=any(one.insecure for one in authentic),
        claims=_claims(found, seen),
        steps=seen.steps.done,
        refusal=refusal,
        verified=seen.verified,
        result=seen.result,
    )


def _claims(found: tuple[Evidence, ...], seen: _Seen) -> Mapping[str, Any]:
    if not is_device_list(found):
        (machine,) = found
        devices = _all_claims(machine.devices, seen.devices)
        own = _claims_of(machine, seen.machine)
        return {**own, "devices": devices} if devices else own
    devices = _all_claims(found, seen.devices)
    # One device is shown as a machine is; of several, each.
    return {**devices[0], "devices": devices} if len(devices) == 1 else {"devices": devices}


def _all_claims(
    found: Sequence[Evidence], authentic: Sequence[AuthenticEvidence]
) -> list[Mapping[str, Any]]:
    given: list[AuthenticEvidence | None] = [*authentic]
    given += [None] * (len(found) - len(given))
    return [_claims_of(*pair) for pair in zip(found, given, strict=True)]


def _claims_of(evidence: Evidence, authentic: AuthenticEvidence | None) -> dict[str, Any]:
    if authentic is None:
        # What it says, believed by nobody: so that a person sees what was refused.
        return {"authenticated": False, "fields": decoded_fields(evidence)}
    return {
        "authenticated": True,
        **authentic.claims.to_dict(),
        "freshness": authentic.freshness.hex(),
        "fields": dict(authentic.claims.fields),
    }
