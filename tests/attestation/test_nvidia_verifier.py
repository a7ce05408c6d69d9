"""The verifier of NVIDIA devices under a mock hierarchy: one thing wrong at a time."""

from __future__ import annotations

import contextlib
import dataclasses
from datetime import datetime, timedelta
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sealtune.attestation import nvidia_status
from sealtune.attestation.anchors import RootUse, TrustAnchors, vendor_anchors
from sealtune.attestation.endorsements import (
    NO_ENDORSEMENTS,
    Endorsement,
    Endorsements,
    EndorsementType,
)
from sealtune.attestation.evidence import Evidence, EvidenceKind
from sealtune.attestation.nvidia_claims import NvidiaClaims, require_distinct
from sealtune.attestation.nvidia_device import OID_COMPOSITE_DEVICE, OID_TCB_INFO
from sealtune.attestation.nvidia_reference import rim_ids
from sealtune.attestation.rim import parse_rim, verify_rim
from sealtune.attestation.steps import Outcome, Steps
from sealtune.attestation.verified import AuthenticEvidence
from sealtune.attestation.verifiers.nvidia import verify_nvidia
from sealtune.core.digest import sha256_digest
from sealtune.crypto import der
from sealtune.crypto.der import Tag
from sealtune.crypto.ocsp import OcspResponse, parse_ocsp
from sealtune.crypto.x509 import parse_certificate
from sealtune.crypto.x509_builder import authority_extensions, key_usage_extension
from sealtune.errors import Code, FormatError, SealtuneError, VerificationError
from sealtune.testing.mock_nvidia import (
    BLACKWELL,
    HOPPER,
    SWITCH,
    SWITCH_REPORT,
    SWITCH_RIM,
    VBIOS_RIM,
    MockDevice,
    MockNvidia,
    MockReport,
    MockRim,
    dice_extension,
)

DIGEST = b"\x77" * 48


@pytest.fixture(scope="module")
def mock(now: datetime) -> MockNvidia:
    return MockNvidia(now=now)


def rims(*documents: bytes) -> Endorsements:
    return _endorsements(EndorsementType.NVIDIA_RIM, documents)


def ocsp(*responses: bytes) -> Endorsements:
    return _endorsements(EndorsementType.OCSP, responses)


def _endorsements(kind: EndorsementType, documents: tuple[bytes, ...]) -> Endorsements:
    return Endorsements(items=tuple(Endorsement(type=kind, data=data) for data in documents))


def verified(
    mock: MockNvidia,
    evidence: Evidence,
    now: datetime,
    endorsements: Endorsements = NO_ENDORSEMENTS,
    anchors: TrustAnchors | None = None,
    steps: Steps | None = None,
) -> AuthenticEvidence:
    return verify_nvidia(
        evidence,
        anchors=anchors or mock.anchors,
        endorsements=endorsements,
        now=now,
        steps=steps or Steps(),
    )


def claims_of(authentic: AuthenticEvidence) -> NvidiaClaims:
    assert isinstance(authentic.detail, NvidiaClaims)
    return authentic.detail


def refused(mock: MockNvidia, evidence: Evidence, now: datetime, *arguments: Any) -> Code:
    with pytest.raises(SealtuneError) as refusal:
        verified(mock, evidence, now, *arguments)
    return refusal.value.code


def skipped(steps: Steps) -> set[str]:
    return {step.name for step in steps.done if step.outcome is Outcome.SKIPPED}


# -- report and chain ------------------------------------------------------------------------------


@pytest.mark.parametrize(("device", "generation"), [(HOPPER, "hopper"), (BLACKWELL, "blackwell")])
def test_an_honest_gpu_verifies(
    mock: MockNvidia, now: datetime, device: MockDevice, generation: str
) -> None:
    report = MockReport(nonce=b"\x42" * 32)
    authentic = verified(mock, mock.evidence(report, device=device), now)
    assert authentic.insecure
    assert authentic.freshness == b"\x42" * 32
    assert (authentic.claims.platform, authentic.claims.generation) == ("NVIDIA GPU", generation)
    assert authentic.claims.tcb == {"driver": "550.90.07", "vbios": "96.00.5E.00.01"}
    assert authentic.claims.host_data is None
    assert authentic.claims.identity["pdi"] == "0123456789abcdef"
    assert claims_of(authentic).protected_pcie is True
    assert not authentic.claims.debug


def test_an_honest_switch_verifies(mock: MockNvidia, now: datetime) -> None:
    authentic = verified(mock, mock.switch(), now)
    assert authentic.claims.platform == "NVIDIA NVSwitch"
    assert authentic.claims.tcb == {"driver": None, "vbios": "96.10.55.00.01"}
    assert claims_of(authentic).protected_pcie is None


def test_evidence_of_a_machine_is_none_of_a_device(mock: MockNvidia, now: datetime) -> None:
    other = dataclasses.replace(mock.evidence(), kind=EvidenceKind.SEV_SNP, report=b"")
    assert refused(mock, other, now) is Code.EVIDENCE_KIND


@pytest.mark.parametrize("kind", [EvidenceKind.NVIDIA_GPU, EvidenceKind.NVIDIA_SWITCH])
def test_parts_that_nobody_reads_are_refused(
    mock: MockNvidia, now: datetime, kind: EvidenceKind
) -> None:
    evidence = mock.evidence() if kind is EvidenceKind.NVIDIA_GPU else mock.switch()
    more = dataclasses.replace(evidence, parts={"event_log": b"?"})
    with pytest.raises(FormatError) as refusal:
        verified(mock, more, now)
    assert refusal.value.code is Code.EVIDENCE_MALFORMED
    assert "parts" in refusal.value.message


def test_a_time_without_zone_is_a_callers_mistake(mock: MockNvidia, now: datetime) -> None:
    with pytest.raises(ValueError, match="zone"):
        verified(mock, mock.evidence(), now.replace(tzinfo=None))


def test_a_mock_root_is_not_trusted_by_itself(mock: MockNvidia, now: datetime) -> None:
    assert (
        refused(mock, mock.evidence(), now, NO_ENDORSEMENTS, vendor_anchors()) is Code.EVIDENCE_ROOT
    )


def test_a_root_of_another_use_is_not_trusted(mock: MockNvidia, now: datetime) -> None:
    anchors = vendor_anchors().with_insecure_root(
        sha256_digest(mock.device_root), use=RootUse.NVIDIA_RIM, product=None
    )
    assert refused(mock, mock.evidence(), now, NO_ENDORSEMENTS, anchors) is Code.EVIDENCE_ROOT


def test_no_certificates_are_refused(mock: MockNvidia, now: datetime) -> None:
    bare = dataclasses.replace(mock.evidence(), certificates=())
    assert refused(mock, bare, now) is Code.EVIDENCE_MALFORMED


def test_a_root_that_is_nowhere_is_named(mock: MockNvidia, now: datetime) -> None:
    short = dataclasses.replace(mock.evidence(), certificates=mock.chain(HOPPER)[:4])
    unrelated = _endorsements(EndorsementType.X509_CERTIFICATE, (mock.rim_root,))
    assert refused(mock, short, now, unrelated) is Code.ENDORSEMENT_MISSING
    root = _endorsements(EndorsementType.X509_CERTIFICATE, (mock.rim_root, mock.device_root))
    verified(mock, short, now, root)


@pytest.mark.parametrize(("before", "after"), [(1, 2), (-2, -1)], ids=["not-yet-valid", "expired"])
def test_a_leaf_out_of_its_validity_is_refused(
    mock: MockNvidia, now: datetime, before: int, after: int
) -> None:
    day = timedelta(days=1)
    device = MockDevice(not_before=now + before * day, not_after=now + after * day)
    assert refused(mock, mock.evidence(device=device), now) is Code.EVIDENCE_CERTIFICATE_TIME


def test_a_leaf_that_may_not_sign_is_refused(mock: MockNvidia, now: datetime) -> None:
    device = MockDevice(leaf_usage=4)
    assert refused(mock, mock.evidence(device=device), now) is Code.EVIDENCE_CHAIN


def test_an_authority_is_no_leaf(mock: MockNvidia, now: datetime) -> None:
    # The ROM's own certificate, with one more in the middle to have the right number.
    chain = mock.chain(HOPPER)
    shifted = dataclasses.replace(mock.evidence(), certificates=chain[1:])
    assert refused(mock, shifted, now) is Code.EVIDENCE_CHAIN


@pytest.mark.parametrize(
    ("chip", "provisioner"),
    [
        ("CX7", "NVIDIA CX7 Provisioner ICA 1"),
        ("GH100", "NVIDIA CX7 Provisioner ICA 1"),
        ("GH100", "NVIDIA GB100 Provisioner ICA 00000"),
        ("GB100", "NVIDIA GH100 Provisioner ICA 1"),
        ("GH1000", "NVIDIA GH100 Provisioner ICA 1"),
        ("GR100", "NVIDIA GR100 Provisioner ICA 1"),
        ("", "NVIDIA GH100 Provisioner ICA 1"),
    ],
)
def test_a_chip_that_its_provisioner_does_not_confirm_is_refused(
    mock: MockNvidia, now: datetime, chip: str, provisioner: str
) -> None:
    evidence = mock.evidence(device=MockDevice(chip=chip, provisioner=provisioner))
    assert refused(mock, evidence, now) is Code.EVIDENCE_CHAIN


def test_a_leaf_of_another_chip_than_its_rom_is_refused(mock: MockNvidia, now: datetime) -> None:
    evidence = mock.evidence(device=MockDevice(rom_chip="GH200"))
    assert refused(mock, evidence, now) is Code.EVIDENCE_CHAIN


@pytest.mark.parametrize("more", [False, True], ids=["shorter", "longer"])
def test_a_chain_of_another_length_is_refused(mock: MockNvidia, now: datetime, more: bool) -> None:
    leaf, device, _, identity, root = mock.chain(HOPPER)
    above = "mock extra" if more else "mock device root"
    key = "identity" if more else "root"
    provisioner = mock._authority(HOPPER.provisioner, above, "provisioner", key)
    extra = mock._authority("mock extra", "mock identity", "identity", "identity")
    chain = (leaf, device, provisioner, extra, identity, root)
    if not more:
        chain = (leaf, device, provisioner, root)
    evidence = dataclasses.replace(mock.evidence(), certificates=chain)
    assert refused(mock, evidence, now) is Code.EVIDENCE_CHAIN


@pytest.mark.parametrize(
    ("device", "kind"),
    [(HOPPER, EvidenceKind.NVIDIA_SWITCH), (SWITCH, EvidenceKind.NVIDIA_GPU)],
    ids=["gpu-as-switch", "switch-as-gpu"],
)
def test_the_certificates_say_which_kind_a_device_is(
    mock: MockNvidia, now: datetime, device: MockDevice, kind: EvidenceKind
) -> None:
    assert refused(mock, mock.evidence(device=device, kind=kind), now) is Code.EVIDENCE_KIND


def test_every_bit_of_the_signed_part_counts(mock: MockNvidia, now: datetime) -> None:
    evidence = mock.evidence()
    for at in range(0, len(evidence.report), 53):
        data = evidence.report
        changed = data[:at] + bytes((data[at] ^ 0x40,)) + data[at + 1 :]
        refused(mock, dataclasses.replace(evidence, report=changed), now)


def test_the_request_is_signed_too(mock: MockNvidia, now: datetime) -> None:
    ours, theirs = (mock.evidence(MockReport(nonce=bytes((n,)) * 32)) for n in (1, 2))
    spliced = dataclasses.replace(ours, report=theirs.report[:37] + ours.report[37:])
    assert refused(mock, spliced, now) is Code.EVIDENCE_SIGNATURE


@pytest.mark.parametrize("field", ["f3", "f6"])
def test_a_gpu_says_what_it_runs(mock: MockNvidia, now: datetime, field: str) -> None:
    for value in (None, b"", b"\0"):
        if field == "f6" and value == b"\0":
            continue
        report = MockReport().with_opaque(**{field: value})
        assert refused(mock, mock.evidence(report), now) is Code.EVIDENCE_MALFORMED


# -- firmware --------------------------------------------------------------------------------------


def test_other_firmware_than_the_leafs_is_refused(mock: MockNvidia, now: datetime) -> None:
    report = MockReport().with_opaque(f20=DIGEST)
    for device in (HOPPER, BLACKWELL):
        assert refused(mock, mock.evidence(report, device=device), now) is Code.DEVICE_FWID


def test_a_report_without_firmware_is_an_older_hoppers_or_a_switchs_alone(
    mock: MockNvidia, now: datetime
) -> None:
    report = MockReport().with_opaque(f20=None)
    steps = Steps()
    verified(mock, mock.evidence(report), now, steps=steps)
    assert "firmware" in skipped(steps)
    assert refused(mock, mock.evidence(report, device=BLACKWELL), now) is Code.DEVICE_FWID


def _fwid(value: bytes, oid: str = "2.16.840.1.101.3.4.2.2") -> bytes:
    return der.encode(Tag.SEQUENCE, der.encode_oid(oid), der.encode(Tag.OCTET_STRING, value))


@pytest.mark.parametrize(
    ("extensions", "code"),
    [
        ({}, Code.DEVICE_FWID),
        ({OID_COMPOSITE_DEVICE: der.encode(Tag.SEQUENCE)}, Code.DEVICE_FWID),
        ({OID_TCB_INFO: der.encode(Tag.SEQUENCE)}, Code.DEVICE_FWID),
        ({OID_TCB_INFO: der.encode(Tag.SEQUENCE, der.encode(0xA6))}, Code.DEVICE_FWID),
        (
            {
                OID_TCB_INFO: der.encode(
                    Tag.SEQUENCE, *(der.encode(0xA6, _fwid(HOPPER.fwid)) for _ in range(2))
                )
            },
            Code.DEVICE_FWID,
        ),
        (
            {OID_COMPOSITE_DEVICE: der.encode(Tag.SEQUENCE, _fwid(HOPPER.fwid[:47]))},
            Code.CERTIFICATE_MALFORMED,
        ),
        (
            {
                OID_COMPOSITE_DEVICE: der.encode(
                    Tag.SEQUENCE, _fwid(HOPPER.fwid, "2.16.840.1.101.3.4.2.1")
                )
            },
            Code.CERTIFICATE_MALFORMED,
        ),
        (
            {
                OID_COMPOSITE_DEVICE: der.encode(
                    Tag.SEQUENCE,
                    der.encode(Tag.SEQUENCE, der.encode_oid("2.16.840.1.101.3.4.2.2")),
                )
            },
            Code.CERTIFICATE_MALFORMED,
        ),
        ({OID_COMPOSITE_DEVICE: b"\x30\x01"}, Code.DER_MALFORMED),
    ],
    ids=[
        "none",
        "empty",
        "no-tcb",
        "no-fwids",
        "fwids-twice",
        "short",
        "sha256",
        "no-digest",
        "cut",
    ],
)
def test_a_leaf_says_which_firmware_it_was_issued_for(
    mock: MockNvidia, now: datetime, extensions: dict[str, bytes], code: Code
) -> None:
    device = MockDevice(leaf_extensions=extensions)
    assert refused(mock, mock.evidence(device=device), now) is code


@pytest.mark.parametrize(
    ("flags", "debug"),
    [
        (b"\x00\x80\x00\x00\x01", False),
        (b"\x00\x10", True),
        (b"\x00\x40", True),
        (b"\x00\x20", False),
    ],
    ids=["as-sold", "debug", "not-secure", "recovery"],
)
def test_blackwells_leaf_says_whether_it_can_be_debugged(
    mock: MockNvidia, now: datetime, flags: bytes, debug: bool
) -> None:
    extensions = dice_extension(BLACKWELL, flags=flags)
    device = dataclasses.replace(BLACKWELL, leaf_extensions=extensions)
    assert verified(mock, mock.evidence(device=device), now).claims.debug is debug


def test_a_leaf_without_flags_says_nothing_about_debugging(mock: MockNvidia, now: datetime) -> None:
    info = der.encode(Tag.SEQUENCE, der.encode(0xA6, _fwid(BLACKWELL.fwid)))
    device = dataclasses.replace(BLACKWELL, leaf_extensions={OID_TCB_INFO: info})
    assert claims_of(verified(mock, mock.evidence(device=device), now)).identity.debug is None


# -- identity --------------------------------------------------------------------------------------


def test_one_rom_under_two_leaves_is_one_device(mock: MockNvidia, now: datetime) -> None:
    first = verified(mock, mock.evidence(), now)
    second = verified(mock, mock.evidence(device=MockDevice(leaf_serial=77)), now)
    assert first.claims.identity["ueid"] != second.claims.identity["ueid"]
    with pytest.raises(VerificationError) as refusal:
        require_distinct((first, second))
    assert refusal.value.code is Code.DEVICE_DUPLICATE


def test_two_roms_are_two_devices(mock: MockNvidia, now: datetime) -> None:
    other = MockNvidia(now=now)
    require_distinct((verified(mock, mock.evidence(), now), verified(other, other.evidence(), now)))


def test_a_number_of_another_length_is_no_identifier(mock: MockNvidia, now: datetime) -> None:
    authentic = verified(mock, mock.evidence(device=MockDevice(serial=0x1234)), now)
    assert "pdi" not in authentic.claims.identity


def test_distinctness_is_asked_of_devices(mock: MockNvidia, now: datetime) -> None:
    machine = dataclasses.replace(verified(mock, mock.evidence(), now), kind=EvidenceKind.TDX)
    with pytest.raises(ValueError, match="no device"):
        require_distinct((machine,))


# -- revocation ------------------------------------------------------------------------------------

REVOKED_ON_HOLD = 6


def test_a_chain_is_good_when_each_authority_is(mock: MockNvidia, now: datetime) -> None:
    steps = Steps()
    responses = ocsp(*(mock.ocsp(HOPPER, position) for position in (1, 2, 3)))
    authentic = verified(mock, mock.evidence(), now, responses, steps=steps)
    revocation = claims_of(authentic).revocation
    assert len(revocation.good) == 3
    assert revocation.complete
    assert "revocation" not in skipped(steps)


@pytest.mark.parametrize("missing", [1, 2, 3])
def test_one_authority_without_a_response_is_named(
    mock: MockNvidia, now: datetime, missing: int
) -> None:
    steps = Steps()
    responses = ocsp(*(mock.ocsp(HOPPER, position) for position in {1, 2, 3} - {missing}))
    authentic = verified(mock, mock.evidence(), now, responses, steps=steps)
    assert len(claims_of(authentic).revocation.unknown) == 1
    assert not claims_of(authentic).revocation.complete
    assert "revocation" in skipped(steps)


@pytest.mark.parametrize("position", [1, 2, 3])
@pytest.mark.parametrize("reason", [1, REVOKED_ON_HOLD], ids=["compromise", "hold"])
def test_a_revoked_authority_is_refused(
    mock: MockNvidia, now: datetime, position: int, reason: int
) -> None:
    responses = ocsp(mock.ocsp(HOPPER, position), mock.ocsp(HOPPER, position, revoked=reason))
    assert refused(mock, mock.evidence(), now, responses) is Code.EVIDENCE_REVOKED


def test_a_stale_response_is_refused(mock: MockNvidia, now: datetime) -> None:
    responses = ocsp(mock.ocsp(HOPPER, 1, next_update=now - timedelta(minutes=1)))
    assert refused(mock, mock.evidence(), now, responses) is Code.ENDORSEMENT_STALE


def test_a_response_that_another_signed_is_refused(mock: MockNvidia, now: datetime) -> None:
    ours, issuer = map(parse_certificate, mock.chain(HOPPER)[1:3])
    forged = MockNvidia(now=now).ocsp(HOPPER, 1, about=ours, issuer=issuer, responder=issuer)
    assert refused(mock, mock.evidence(), now, ocsp(forged)) is Code.ENDORSEMENT_SIGNATURE


def test_a_response_about_others_does_not_matter(mock: MockNvidia, now: datetime) -> None:
    others = (
        mock.ocsp(MockDevice(serial=0x41_FFFFFFFFFFFFFFFF), 1, revoked=1),
        mock.ocsp(SWITCH, 1, revoked=1),  # the same number and key, under another name
        MockNvidia(now=now).ocsp(HOPPER, 1, revoked=1),  # the same number and name
    )
    authentic = verified(mock, mock.evidence(), now, ocsp(*others))
    assert not claims_of(authentic).revocation.good


def test_a_response_that_is_none_is_refused(mock: MockNvidia, now: datetime) -> None:
    assert refused(mock, mock.evidence(), now, ocsp(b"\x30\x00")) is Code.ENDORSEMENT_MALFORMED


def test_responses_are_read_once_for_all_devices(
    mock: MockNvidia, now: datetime, monkeypatch: pytest.MonkeyPatch
) -> None:
    devices = [MockDevice(serial=HOPPER.serial + number) for number in range(4)]
    responses = ocsp(*(mock.ocsp(device, place) for device in devices for place in (1, 2, 3)))
    read: list[bytes] = []

    def parse(data: bytes) -> OcspResponse:
        read.append(data)
        return parse_ocsp(data)

    monkeypatch.setattr(nvidia_status, "parse_ocsp", parse)
    for device in devices:
        authentic = verified(mock, mock.evidence(device=device), now, responses)
        assert claims_of(authentic).revocation.complete
    assert read == [item.data for item in responses.items]


def test_responses_are_found_by_the_number_that_they_are_about(
    mock: MockNvidia, now: datetime
) -> None:
    both = (mock.ocsp(HOPPER, 2), mock.ocsp(BLACKWELL, 2), mock.ocsp(HOPPER, 3))
    found = nvidia_status._by_serial(both)
    assert [list(found[number]) for number in (3, 2)] == [list(both[:2]), list(both[2:])]


RIMS = {"driver": MockRim(), "vbios": VBIOS_RIM}


@pytest.mark.parametrize("name", RIMS)
@pytest.mark.parametrize("reason", [1, REVOKED_ON_HOLD], ids=["compromise", "hold"])
def test_a_rim_whose_signer_is_revoked_is_refused(
    mock: MockNvidia, now: datetime, name: str, reason: int
) -> None:
    rim = rims(mock.rim(RIMS[name]))
    good = mock.rim_ocsp()
    assert (
        not claims_of(verified(mock, mock.evidence(), now, rim.also(ocsp(good))))
        .references.matches[0]
        .revocation.unknown
    )
    responses = ocsp(good, mock.rim_ocsp(revoked=reason))
    assert refused(mock, mock.evidence(), now, rim.also(responses)) is Code.EVIDENCE_REVOKED
    # Of another signer, and of a signer whose RIM is of another device, it says nothing.
    verified(mock, mock.evidence(), now, rim.also(ocsp(mock.rim_ocsp(serial=5, revoked=1))))
    verified(mock, mock.switch(), now, rim.also(responses))


def test_each_authority_above_a_rim_s_signer_counts(mock: MockNvidia, now: datetime) -> None:
    between = mock._issue(
        subject="mock RIM authority",
        issuer="mock RIM root",
        spki=mock.rim_keys["root"].spki,
        key=mock.rim_keys["root"],
        serial=8,
        extensions=authority_extensions(path_length=None),
    )
    signer = mock._issue(
        subject="mock RIM signer",
        issuer="mock RIM authority",
        spki=mock.rim_keys["signer"].spki,
        key=mock.rim_keys["root"],
        serial=9,
        extensions=key_usage_extension(0),
    )
    chain = (signer, between, mock.rim_root)
    rim = rims(mock.sign_rim(VBIOS_RIM.body(), certificates=chain))
    key = mock.rim_keys["root"]

    def status(place: int, **changes: Any) -> bytes:
        return mock._status(chain[place : place + 2], key=key, **changes)

    whole = rim.also(ocsp(status(0), status(1)))
    match = claims_of(verified(mock, mock.evidence(), now, whole)).references.vbios
    assert match is not None
    assert match.revocation.good == ("mock RIM signer", "mock RIM authority")
    assert match.revocation.complete
    half = claims_of(verified(mock, mock.evidence(), now, rim.also(ocsp(status(0)))))
    assert "mock RIM authority" in half.unknown_status
    for place in (0, 1):
        revoking = rim.also(ocsp(status(place, revoked=1)))
        assert refused(mock, mock.evidence(), now, revoking) is Code.EVIDENCE_REVOKED


def test_a_response_about_a_rim_s_signer_is_verified(mock: MockNvidia, now: datetime) -> None:
    rim = rims(mock.rim(MockRim()))
    stale = ocsp(mock.rim_ocsp(next_update=now - timedelta(minutes=1)))
    assert refused(mock, mock.evidence(), now, rim.also(stale)) is Code.ENDORSEMENT_STALE
    ours, issuer = map(parse_certificate, mock.rim_chain())
    forged = MockNvidia(now=now).rim_ocsp(about=ours, issuer=issuer, responder=issuer)
    signature = refused(mock, mock.evidence(), now, rim.also(ocsp(forged)))
    assert signature is Code.ENDORSEMENT_SIGNATURE


def test_the_status_of_a_rim_s_signer_is_said(mock: MockNvidia, now: datetime) -> None:
    documents = rims(mock.rim(MockRim()), mock.rim(VBIOS_RIM, serial=77))
    steps = Steps()
    authentic = verified(
        mock, mock.evidence(), now, documents.also(ocsp(mock.rim_ocsp())), steps=steps
    )
    assert skipped(steps) == {"revocation", "VBIOS RIM revocation"}
    passed = {step.name for step in steps.done if step.outcome is Outcome.PASSED}
    assert "driver RIM revocation" in passed
    fields = authentic.claims.fields
    assert fields["driver_rim"]["ocsp"] == {"good": ["mock RIM signer 4"], "unknown": []}
    assert fields["vbios_rim"]["ocsp"] == {"good": [], "unknown": ["mock RIM signer 77"]}
    assert claims_of(authentic).unknown_status[-1] == "mock RIM signer 77"


# -- reference measurements ------------------------------------------------------------------------


def test_driver_and_vbios_match(mock: MockNvidia, now: datetime) -> None:
    steps = Steps()
    documents = rims(mock.rim(MockRim()), mock.rim(VBIOS_RIM))
    authentic = verified(mock, mock.evidence(), now, documents, steps=steps)
    claims = claims_of(authentic)
    assert claims.references.driver is not None
    assert claims.references.driver.compared == (7, 21, 22)
    # The mock's first decoder is disabled, as that of every real sample but one.
    assert claims.references.driver.skipped == (35,)
    assert claims.references.vbios is not None
    assert claims.references.vbios.compared == (0, 1, 2, 3)
    assert claims.referenced
    assert authentic.claims.memory_protected
    assert skipped(steps) == {"revocation", "driver RIM revocation", "VBIOS RIM revocation"}


def test_a_switch_has_a_bios_alone(mock: MockNvidia, now: datetime) -> None:
    authentic = verified(mock, mock.switch(), now, rims(mock.rim(SWITCH_RIM)))
    assert claims_of(authentic).referenced


def _rim_with(measurements: dict[int, tuple[bytes, ...]], **changes: Any) -> MockRim:
    return dataclasses.replace(MockRim(measurements=measurements), **changes)


@pytest.mark.parametrize("index", [7, 21, 22])
def test_each_active_measurement_counts(mock: MockNvidia, now: datetime, index: int) -> None:
    changed = dict(MockRim().measurements) | {index: (DIGEST,)}
    assert (
        refused(mock, mock.evidence(), now, rims(mock.rim(_rim_with(changed)))) is Code.RIM_MISMATCH
    )


def test_any_of_the_alternatives_matches(mock: MockNvidia, now: datetime) -> None:
    right = MockRim().measurements[7][0]
    for values in ((DIGEST, right), (right, DIGEST), (DIGEST, bytes(48), right)):
        verified(mock, mock.evidence(), now, rims(mock.rim(_rim_with({7: values}))))
    wrong = rims(mock.rim(_rim_with({7: (DIGEST, bytes(48))})))
    assert refused(mock, mock.evidence(), now, wrong) is Code.RIM_MISMATCH


def test_a_measurement_that_the_report_lacks_is_a_mismatch(mock: MockNvidia, now: datetime) -> None:
    rim = dataclasses.replace(SWITCH_RIM, measurements={31: (DIGEST,)}, inactive=())
    assert refused(mock, mock.switch(), now, rims(mock.rim(rim))) is Code.RIM_MISMATCH


def test_index_i_is_block_i_plus_one(mock: MockNvidia, now: datetime) -> None:
    shifted = {7: (dict(MockReport().blocks)[7],)}
    assert (
        refused(mock, mock.evidence(), now, rims(mock.rim(_rim_with(shifted)))) is Code.RIM_MISMATCH
    )


def test_two_rims_do_not_speak_for_one_measurement(mock: MockNvidia, now: datetime) -> None:
    both = _rim_with({3: (dict(MockReport().blocks)[4],)})
    documents = rims(mock.rim(both), mock.rim(VBIOS_RIM))
    assert refused(mock, mock.evidence(), now, documents) is Code.RIM_MISMATCH


def test_one_of_two_rims_of_a_version_has_to_match(mock: MockNvidia, now: datetime) -> None:
    wrong = mock.rim(_rim_with({7: (DIGEST,)}))
    verified(mock, mock.evidence(), now, rims(wrong, mock.rim(MockRim())))
    assert refused(mock, mock.evidence(), now, rims(wrong, wrong)) is Code.RIM_MISMATCH


@pytest.mark.parametrize(
    ("status", "code"),
    [(b"\xaa", Code.RIM_MISMATCH), (b"\x00", Code.RIM_MISMATCH), (None, Code.RIM_MISMATCH)],
    ids=["enabled", "unknown", "absent"],
)
def test_measurement_35_is_left_out_only_where_the_decoder_is_off(
    mock: MockNvidia, now: datetime, status: bytes | None, code: Code
) -> None:
    rim = rims(mock.rim(_rim_with({7: MockRim().measurements[7], 35: (DIGEST,)})))
    verified(mock, mock.evidence(), now, rim)
    report = MockReport().with_opaque(f11=status)
    assert refused(mock, mock.evidence(report), now, rim) is code


@pytest.mark.parametrize("status", [b"\x00", b"", None], ids=["unknown", "empty", "absent"])
def test_whether_measurement_35_applies_has_to_be_said(
    mock: MockNvidia, now: datetime, status: bytes | None
) -> None:
    report = MockReport().with_opaque(f11=status)
    rim = rims(mock.rim(MockRim()))
    assert refused(mock, mock.evidence(report), now, rim) is Code.RIM_MISMATCH


def test_measurement_35_of_a_switch_is_one_like_any_other(mock: MockNvidia, now: datetime) -> None:
    report = dataclasses.replace(SWITCH_REPORT, blocks=MockReport().blocks)
    rim = dataclasses.replace(SWITCH_RIM, measurements={35: (dict(report.blocks)[36],)})
    match = claims_of(verified(mock, mock.switch(report), now, rims(mock.rim(rim)))).references
    assert match.vbios is not None
    assert match.vbios.compared == (35,)


@pytest.mark.parametrize("field", ["f15", "f17", "f18"])
def test_a_gpu_that_does_not_state_its_board_has_no_id_of_a_vbios_rim(
    mock: MockNvidia, now: datetime, field: str
) -> None:
    report = MockReport().with_opaque(**{field: None})
    versions = claims_of(verified(mock, mock.evidence(report), now)).versions
    assert versions.board is None
    assert rim_ids(versions) == ("NV_GPU_DRIVER_GH100_550.90.07",)


def test_measurement_35_is_compared_where_the_decoder_is_on(
    mock: MockNvidia, now: datetime
) -> None:
    report = MockReport().with_opaque(f11=b"\xaa")
    authentic = verified(mock, mock.evidence(report), now, rims(mock.rim(MockRim())))
    match = claims_of(authentic).references.driver
    assert match is not None
    assert 35 in match.compared


@pytest.mark.parametrize(
    ("chip", "product", "concerns"),
    [
        ("GB20X", "GB202", True),
        ("GB20X", "GB20X", True),
        ("GB20X", "GB100", False),
        ("GB100", "GB100", True),
        ("GB100", "GB100-CC", True),
        ("GB100", "GH100", False),
        ("GB100", "GB10", False),
    ],
)
def test_a_rim_concerns_the_chip_that_it_names(
    mock: MockNvidia, now: datetime, chip: str, product: str, concerns: bool
) -> None:
    device = MockDevice(chip=chip, provisioner=f"NVIDIA {chip} Provisioner ICA 00000")
    rim = rims(mock.rim(dataclasses.replace(MockRim(), product=product)))
    authentic = verified(mock, mock.evidence(device=device), now, rim)
    assert (claims_of(authentic).references.driver is not None) is concerns


def test_a_stale_rim_of_this_version_is_refused_and_of_another_ignored(
    mock: MockNvidia, now: datetime
) -> None:
    old = {"not_after": now - timedelta(days=1)}
    ours = rims(mock.rim(MockRim(), **old))
    assert refused(mock, mock.evidence(), now, ours) is Code.ENDORSEMENT_STALE
    other = rims(mock.rim(dataclasses.replace(MockRim(), version="535.86.09"), **old))
    assert claims_of(verified(mock, mock.evidence(), now, other)).references.driver is None


def test_a_forged_rim_that_claims_this_device_is_refused(mock: MockNvidia, now: datetime) -> None:
    theirs = MockRim(version="535.86.09")
    forged = mock.rim(theirs).replace(b"535.86.09", b"550.90.07")
    assert refused(mock, mock.evidence(), now, rims(forged)) is Code.ENDORSEMENT_SIGNATURE
    assert (
        refused(mock, mock.evidence(), now, rims(mock.rim(MockRim()), forged))
        is Code.ENDORSEMENT_SIGNATURE
    )


def test_a_rim_of_another_device_is_not_verified(mock: MockNvidia, now: datetime) -> None:
    version = dataclasses.replace(MockRim(), version="535.86.09")
    others = (
        mock.rim(version).replace(b'index="7"', b'index="8"'),
        mock.rim(dataclasses.replace(MockRim(), product="GB202")).replace(b"40", b"42"),
        MockNvidia(now=now).rim(version),
    )
    for other in others:
        # It would be refused, if anybody asked.
        with pytest.raises(VerificationError):
            verify_rim(
                parse_rim(other), anchors=mock.anchors, endorsements=NO_ENDORSEMENTS, now=now
            )
    authentic = verified(mock, mock.evidence(), now, rims(*others, mock.rim(MockRim())))
    assert claims_of(authentic).references.driver is not None
    # What cannot be read does not say whom it is about.
    cut = rims(others[0][:-20])
    assert refused(mock, mock.evidence(), now, cut) is Code.ENDORSEMENT_MALFORMED


def test_reference_values_under_a_mock_root_make_the_result_insecure(
    mock: MockNvidia, now: datetime
) -> None:
    # A device that is trusted here for real, by a hierarchy of which nobody says "insecure".
    root = sha256_digest(mock.device_root)
    anchors = mock.anchors
    trusted = TrustAnchors(
        roots={**anchors.roots, root: dataclasses.replace(anchors.roots[root], insecure=False)}
    )
    assert not verified(mock, mock.evidence(), now, anchors=trusted).insecure
    with_rim = verified(mock, mock.evidence(), now, rims(mock.rim(MockRim())), anchors=trusted)
    assert with_rim.insecure


# -- properties ------------------------------------------------------------------------------------


@given(st.data())
@settings(max_examples=100)
def test_changed_evidence_raises_nothing_but_our_errors(
    mock: MockNvidia, now: datetime, data: st.DataObject
) -> None:
    evidence = mock.evidence()
    parts = [evidence.report, *evidence.certificates]
    position = data.draw(st.integers(0, 5))
    changed = bytearray(parts[position])
    changed[data.draw(st.integers(0, len(changed) - 1))] ^= data.draw(st.integers(1, 255))
    parts[position] = bytes(changed)
    altered = dataclasses.replace(evidence, report=parts[0], certificates=tuple(parts[1:]))
    with pytest.raises(SealtuneError):
        verified(mock, altered, now)


@given(st.binary(max_size=300), st.lists(st.binary(max_size=64), max_size=8))
def test_any_bytes_raise_nothing_but_our_errors(
    mock: MockNvidia, now: datetime, report: bytes, certificates: list[bytes]
) -> None:
    evidence = Evidence(
        kind=EvidenceKind.NVIDIA_GPU, report=report, certificates=tuple(certificates)
    )
    with contextlib.suppress(SealtuneError):
        verified(mock, evidence, now)


def test_errors_say_who_must_act(mock: MockNvidia, now: datetime) -> None:
    with pytest.raises(FormatError):
        verified(mock, dataclasses.replace(mock.evidence(), report=b""), now)
    with pytest.raises(VerificationError):
        verified(mock, mock.evidence(), now, anchors=vendor_anchors())
    assert SWITCH_REPORT.blocks[-1][0] == 31
