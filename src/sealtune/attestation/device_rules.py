"""The rules by which a machine's NVIDIA devices are appraised (spec/attestation §16.9).

Pure functions of authentic evidence and the terms for devices. A rule looks at every device of the
terms' kind and says of each that fails why. What nobody asks about is no rule: evidence of a
machine without devices, by terms without devices, yields none.
"""

from __future__ import annotations

from collections.abc import Callable

from sealtune.attestation.evidence import EvidenceKind
from sealtune.attestation.nvidia_claims import NvidiaClaims, require_distinct
from sealtune.attestation.reference import DeviceTerms
from sealtune.attestation.result import RuleResult, rule_result
from sealtune.attestation.verified import AuthenticEvidence
from sealtune.errors import Code, VerificationError


def device_rules(
    devices: tuple[AuthenticEvidence, ...], terms: tuple[DeviceTerms, ...]
) -> tuple[RuleResult, ...]:
    """Return every rule's result, in the order of spec/attestation §16.9.

    Raises:
        ValueError: evidence of something else than a device.
    """
    if not devices and not terms:
        return ()
    distinct = _distinct(devices)
    asked = _asked_for(devices, terms)
    found = [
        rule
        for term in terms
        for rule in _rules(tuple(device for device in devices if device.kind is term.kind), term)
    ]
    return (distinct, asked, *found)


def _distinct(devices: tuple[AuthenticEvidence, ...]) -> RuleResult:
    try:
        require_distinct(devices)
    except VerificationError as error:
        passed, reason = False, str(error)
    else:
        passed, reason = True, f"{len(devices)} devices, no two of them the same"
    return rule_result("devices", passed=passed, reason=reason, code=Code.DEVICE_DUPLICATE)


def _asked_for(
    devices: tuple[AuthenticEvidence, ...], terms: tuple[DeviceTerms, ...]
) -> RuleResult:
    # A device that the parties did not agree on would see the data as well.
    accepted = {term.kind for term in terms}
    others = sorted({str(device.kind) for device in devices if device.kind not in accepted})
    reason = f"not agreed on: {', '.join(others)}" if others else "no other devices than agreed on"
    return _rule("device-kinds", passed=not others, reason=reason)


def _rules(devices: tuple[AuthenticEvidence, ...], terms: DeviceTerms) -> tuple[RuleResult, ...]:
    claims = tuple(_claims(device) for device in devices)
    names = ", ".join(sorted(terms.architectures))
    return (
        _rule(
            "device-count",
            passed=len(devices) == terms.count,
            reason=f"{len(devices)} of kind {terms.kind}, agreed are {terms.count}",
        ),
        _each("device-architecture", claims, lambda one: _architecture(one, terms), names),
        _each("device-debug", claims, _debug, "no device says that it can be debugged"),
        _each("device-driver", claims, lambda one: _driver(one, terms), "versions as agreed"),
        _each("device-vbios", claims, lambda one: _vbios(one, terms), "versions as agreed"),
        _each("device-rim", claims, _reference, "measurements are NVIDIA's reference values"),
        _each(
            "device-pcie", claims, lambda one: _pcie(one, terms), _optional(terms.protected_pcie)
        ),
        _each("device-ocsp", claims, lambda one: _ocsp(one, terms), _optional(terms.ocsp)),
    )


def _optional(required: bool) -> str:
    return "as required" if required else "not required"


def _claims(device: AuthenticEvidence) -> NvidiaClaims:
    if not isinstance(device.detail, NvidiaClaims):
        raise ValueError(f"{device.kind} evidence without the claims of a device")
    return device.detail


def _rule(name: str, *, passed: bool, reason: str) -> RuleResult:
    return rule_result(name, passed=passed, reason=reason, code=Code.APPRAISAL_DEVICES)


def _each(
    name: str,
    devices: tuple[NvidiaClaims, ...],
    wrong: Callable[[NvidiaClaims], str],
    right: str,
) -> RuleResult:
    """Return the rule that `wrong` has nothing to say, "", about any device."""
    found = [(one.identity.ueid, wrong(one)) for one in devices]
    failed = "; ".join(f"device {ueid}: {reason}" for ueid, reason in found if reason)
    return _rule(name, passed=not failed, reason=failed or right)


def _architecture(claims: NvidiaClaims, terms: DeviceTerms) -> str:
    architecture = str(claims.identity.architecture)
    return "" if architecture in terms.architectures else f"{architecture} is not agreed on"


def _debug(claims: NvidiaClaims) -> str:
    # Only Blackwell's certificates have a word on debugging. Of the others nothing signed says it
    # outright: firmware that can be debugged has other measurements, which `device-rim` sees.
    return "its firmware can be debugged" if claims.identity.debug else ""


def _driver(claims: NvidiaClaims, terms: DeviceTerms) -> str:
    driver = claims.versions.driver
    if not terms.drivers or (driver is None and terms.kind is EvidenceKind.NVIDIA_SWITCH):
        return ""
    return "" if driver in terms.drivers else f"driver {driver} is not listed"


def _vbios(claims: NvidiaClaims, terms: DeviceTerms) -> str:
    vbios = claims.versions.vbios
    return "" if not terms.vbios or vbios in terms.vbios else f"VBIOS {vbios} is not listed"


def _reference(claims: NvidiaClaims) -> str:
    # There is no switch: without NVIDIA's reference values a version is a word, and a device that
    # lets the operator in looks like any other.
    missing = []
    if claims.versions.driver is not None and claims.references.driver is None:
        missing.append(f"driver {claims.versions.driver}")
    if claims.references.vbios is None:
        missing.append(f"VBIOS {claims.versions.vbios}")
    return f"no reference values for {' and '.join(missing)}" if missing else ""


def _pcie(claims: NvidiaClaims, terms: DeviceTerms) -> str:
    if not terms.protected_pcie or claims.protected_pcie:
        return ""
    return "protected PCIe is " + ("not stated" if claims.protected_pcie is None else "off")


def _ocsp(claims: NvidiaClaims, terms: DeviceTerms) -> str:
    # The signers of its reference values as well: whoever has the key of one that was revoked can
    # declare any measurement to be NVIDIA's.
    unknown = claims.unknown_status
    return f"no OCSP response about {', '.join(unknown)}" if terms.ocsp and unknown else ""
