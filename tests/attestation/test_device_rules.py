"""Appraisal of devices: one thing other than agreed at a time, refused by its rule."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from datetime import datetime
from typing import Any

import pytest

from sealtune.attestation.device_rules import device_rules
from sealtune.attestation.endorsements import Endorsement, Endorsements, EndorsementType
from sealtune.attestation.evidence import Evidence, EvidenceKind
from sealtune.attestation.nvidia_device import OID_TCB_INFO
from sealtune.attestation.reference import DeviceTerms
from sealtune.attestation.steps import Steps
from sealtune.attestation.verified import AuthenticEvidence
from sealtune.attestation.verifiers.nvidia import verify_nvidia
from sealtune.errors import Code
from sealtune.testing.mock_nvidia import (
    BLACKWELL,
    HOPPER,
    SWITCH,
    SWITCH_RIM,
    VBIOS_RIM,
    MockNvidia,
    MockReport,
    MockRim,
    dice_extension,
)

GPUS = DeviceTerms(
    kind=EvidenceKind.NVIDIA_GPU,
    count=2,
    architectures=frozenset({"hopper"}),
    drivers=frozenset(),
    vbios=frozenset(),
    protected_pcie=False,
    ocsp=False,
)
ONE = dataclasses.replace(GPUS, count=1)
SWITCHES = dataclasses.replace(
    ONE, kind=EvidenceKind.NVIDIA_SWITCH, architectures=frozenset({"ls10"})
)


@pytest.fixture(scope="module")
def mocks(now: datetime) -> tuple[MockNvidia, MockNvidia]:
    """Two hierarchies, and so two devices that differ in every key."""
    return MockNvidia(now=now), MockNvidia(now=now)


def endorsements_of(mock: MockNvidia, *, rims: bool, ocsp: bool) -> Endorsements:
    items = []
    if rims:
        items += [
            Endorsement(type=EndorsementType.NVIDIA_RIM, data=mock.rim(rim))
            for rim in (
                MockRim(),
                VBIOS_RIM,
                SWITCH_RIM,
                dataclasses.replace(MockRim(), product="GB202"),
                dataclasses.replace(VBIOS_RIM, product="GB202"),
            )
        ]
    if ocsp:
        items += [
            Endorsement(type=EndorsementType.OCSP, data=mock.ocsp(device, position))
            for device in (HOPPER, SWITCH)
            for position in (1, 2, 3)
        ]
        items.append(Endorsement(type=EndorsementType.OCSP, data=mock.rim_ocsp()))
    return Endorsements(items=tuple(items))


def verified(
    mock: MockNvidia,
    now: datetime,
    evidence: Evidence | None = None,
    *,
    rims: bool = True,
    ocsp: bool = True,
) -> AuthenticEvidence:
    return verify_nvidia(
        evidence or mock.evidence(),
        anchors=mock.anchors,
        endorsements=endorsements_of(mock, rims=rims, ocsp=ocsp),
        now=now,
        steps=Steps(),
    )


def failed(devices: Sequence[AuthenticEvidence], *terms: DeviceTerms) -> dict[str, Code | None]:
    rules = device_rules(tuple(devices), terms)
    return {rule.rule: rule.code for rule in rules if not rule.passed}


def test_two_gpus_as_agreed_are_accepted(
    mocks: tuple[MockNvidia, MockNvidia], now: datetime
) -> None:
    devices = [verified(mock, now) for mock in mocks]
    rules = device_rules(tuple(devices), (GPUS,))
    assert all(rule.passed and rule.reason for rule in rules)
    assert [rule.rule for rule in rules] == [
        "devices",
        "device-kinds",
        "device-count",
        "device-architecture",
        "device-debug",
        "device-driver",
        "device-vbios",
        "device-rim",
        "device-pcie",
        "device-ocsp",
    ]


def test_gpus_and_switches_each_have_their_terms(
    mocks: tuple[MockNvidia, MockNvidia], now: datetime
) -> None:
    gpu = verified(mocks[0], now)
    switch = verified(mocks[1], now, mocks[1].switch())
    assert not failed([gpu, switch], ONE, SWITCHES)
    assert not failed([switch, gpu], ONE, SWITCHES)


def test_a_machine_without_devices_has_no_rules() -> None:
    assert device_rules((), ()) == ()


def test_one_device_twice_is_refused(mocks: tuple[MockNvidia, MockNvidia], now: datetime) -> None:
    device = verified(mocks[0], now)
    assert failed([device, device], GPUS) == {"devices": Code.DEVICE_DUPLICATE}


@pytest.mark.parametrize("count", [0, 1, 3])
def test_fewer_or_more_devices_than_agreed_are_refused(
    mocks: tuple[MockNvidia, MockNvidia], now: datetime, count: int
) -> None:
    devices = [verified(mock, now) for mock in (*mocks, MockNvidia(now=now))[:count]]
    assert failed(devices, GPUS) == {"device-count": Code.APPRAISAL_DEVICES}


def test_devices_that_nobody_asked_for_are_refused(
    mocks: tuple[MockNvidia, MockNvidia], now: datetime
) -> None:
    gpu = verified(mocks[0], now)
    switch = verified(mocks[1], now, mocks[1].switch())
    assert failed([gpu]) == {"device-kinds": Code.APPRAISAL_DEVICES}
    assert failed([gpu, switch], ONE) == {"device-kinds": Code.APPRAISAL_DEVICES}


@pytest.mark.parametrize(
    ("terms", "rule"),
    [
        ({"architectures": frozenset({"blackwell"})}, "device-architecture"),
        ({"drivers": frozenset({"550.90.08"})}, "device-driver"),
        ({"vbios": frozenset({"96.00.5E.00.02"})}, "device-vbios"),
    ],
)
def test_a_device_other_than_agreed_is_refused(
    mocks: tuple[MockNvidia, MockNvidia], now: datetime, terms: dict[str, Any], rule: str
) -> None:
    device = verified(mocks[0], now)
    other = dataclasses.replace(ONE, **terms)
    assert failed([device], other) == {rule: Code.APPRAISAL_DEVICES}


def test_listed_versions_are_accepted(mocks: tuple[MockNvidia, MockNvidia], now: datetime) -> None:
    terms = dataclasses.replace(
        ONE,
        drivers=frozenset({"550.90.07", "1"}),
        vbios=frozenset({"96.00.5E.00.01"}),
        architectures=frozenset({"hopper", "blackwell"}),
    )
    assert not failed([verified(mocks[0], now)], terms)


def test_a_switch_has_no_driver_to_list(
    mocks: tuple[MockNvidia, MockNvidia], now: datetime
) -> None:
    switch = verified(mocks[0], now, mocks[0].switch())
    terms = dataclasses.replace(SWITCHES, drivers=frozenset({"550.90.07"}))
    assert not failed([switch], terms)


def test_without_reference_values_a_device_is_refused(
    mocks: tuple[MockNvidia, MockNvidia], now: datetime
) -> None:
    mock = mocks[0]
    for evidence, terms in ((mock.evidence(), ONE), (mock.switch(), SWITCHES)):
        device = verified(mock, now, evidence, rims=False)
        assert failed([device], terms) == {"device-rim": Code.APPRAISAL_DEVICES}


@pytest.mark.parametrize("rim", [MockRim(), VBIOS_RIM], ids=["driver-alone", "vbios-alone"])
def test_one_of_two_reference_values_is_not_enough(
    mocks: tuple[MockNvidia, MockNvidia], now: datetime, rim: MockRim
) -> None:
    mock = mocks[0]
    item = Endorsement(type=EndorsementType.NVIDIA_RIM, data=mock.rim(rim))
    device = verify_nvidia(
        mock.evidence(),
        anchors=mock.anchors,
        endorsements=Endorsements(items=(item,)),
        now=now,
        steps=Steps(),
    )
    assert failed([device], ONE) == {"device-rim": Code.APPRAISAL_DEVICES}


@pytest.mark.parametrize(
    ("status", "accepted"),
    [(b"\xaa", True), (b"\x55", False), (None, False)],
    ids=["on", "off", "not-stated"],
)
def test_protected_pcie_is_on_where_it_is_required(
    mocks: tuple[MockNvidia, MockNvidia], now: datetime, status: bytes | None, accepted: bool
) -> None:
    evidence = mocks[0].evidence(MockReport().with_opaque(f21=status))
    device = verified(mocks[0], now, evidence)
    assert not failed([device], ONE)
    required = dataclasses.replace(ONE, protected_pcie=True)
    expected = {} if accepted else {"device-pcie": Code.APPRAISAL_DEVICES}
    assert failed([device], required) == expected


def test_the_feature_flag_is_no_substitute_for_protected_pcie(
    mocks: tuple[MockNvidia, MockNvidia], now: datetime
) -> None:
    evidence = mocks[0].evidence(MockReport().with_opaque(f21=None, f36=b"\x02\0"))
    required = dataclasses.replace(ONE, protected_pcie=True)
    assert "device-pcie" in failed([verified(mocks[0], now, evidence)], required)


def test_ocsp_is_good_where_it_is_required(
    mocks: tuple[MockNvidia, MockNvidia], now: datetime
) -> None:
    required = dataclasses.replace(ONE, ocsp=True)
    assert not failed([verified(mocks[0], now)], required)
    without = verified(mocks[0], now, ocsp=False)
    assert failed([without], required) == {"device-ocsp": Code.APPRAISAL_DEVICES}
    assert not failed([without], ONE)


@pytest.mark.parametrize("rim", [MockRim(), VBIOS_RIM], ids=["driver", "vbios"])
def test_ocsp_is_required_of_each_rim_s_signer_too(
    mocks: tuple[MockNvidia, MockNvidia], now: datetime, rim: MockRim
) -> None:
    mock = mocks[0]
    (other,) = {MockRim().version, VBIOS_RIM.version} - {rim.version}
    whole = endorsements_of(mock, rims=True, ocsp=True)
    kept = [
        item
        for item in whole.items
        if item.type is EndorsementType.OCSP or f'"{other}"'.encode() in item.data
    ]
    signed = Endorsement(type=EndorsementType.NVIDIA_RIM, data=mock.rim(rim, serial=77))
    required = dataclasses.replace(ONE, ocsp=True)

    def device(*more: Endorsement) -> AuthenticEvidence:
        return verify_nvidia(
            mock.evidence(),
            anchors=mock.anchors,
            endorsements=Endorsements(items=(*kept, signed, *more)),
            now=now,
            steps=Steps(),
        )

    assert failed([device()], required) == {"device-ocsp": Code.APPRAISAL_DEVICES}
    (rule,) = [r for r in device_rules((device(),), (required,)) if r.rule == "device-ocsp"]
    assert "mock RIM signer 77" in rule.reason
    assert not failed([device()], ONE)
    good = Endorsement(type=EndorsementType.OCSP, data=mock.rim_ocsp(serial=77))
    assert not failed([device(good)], required)


@pytest.mark.parametrize("missing", [1, 2, 3])
def test_ocsp_of_the_rims_signers_is_none_of_the_device(
    mocks: tuple[MockNvidia, MockNvidia], now: datetime, missing: int
) -> None:
    mock = mocks[0]
    whole = endorsements_of(mock, rims=True, ocsp=False)
    about = [mock.rim_ocsp(), *(mock.ocsp(HOPPER, place) for place in {1, 2, 3} - {missing})]
    items = [Endorsement(type=EndorsementType.OCSP, data=data) for data in about]
    device = verify_nvidia(
        mock.evidence(),
        anchors=mock.anchors,
        endorsements=Endorsements(items=(*whole.items, *items)),
        now=now,
        steps=Steps(),
    )
    required = dataclasses.replace(ONE, ocsp=True)
    assert failed([device], required) == {"device-ocsp": Code.APPRAISAL_DEVICES}


def test_a_device_that_can_be_debugged_is_refused(
    mocks: tuple[MockNvidia, MockNvidia], now: datetime
) -> None:
    extensions = dice_extension(BLACKWELL, flags=b"\x00\x10")
    assert OID_TCB_INFO in extensions
    device = dataclasses.replace(BLACKWELL, leaf_extensions=extensions)
    authentic = verified(mocks[0], now, mocks[0].evidence(device=device))
    terms = dataclasses.replace(ONE, architectures=frozenset({"blackwell"}))
    assert failed([authentic], terms) == {"device-debug": Code.APPRAISAL_DEVICES}


def test_each_device_that_fails_is_named(
    mocks: tuple[MockNvidia, MockNvidia], now: datetime
) -> None:
    devices = tuple(verified(mock, now, rims=False) for mock in mocks)
    rules = {rule.rule: rule for rule in device_rules(devices, (GPUS,))}
    for device in devices:
        assert device.claims.identity["ueid"] in rules["device-rim"].reason


def test_rules_are_asked_of_devices(mocks: tuple[MockNvidia, MockNvidia], now: datetime) -> None:
    device = verified(mocks[0], now)
    with pytest.raises(ValueError, match="claims of a device"):
        device_rules((dataclasses.replace(device, detail=None),), (ONE,))
    with pytest.raises(ValueError, match="no device"):
        device_rules((dataclasses.replace(device, kind=EvidenceKind.TDX),), (ONE,))
