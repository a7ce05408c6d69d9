"""Attestation results as tokens: what they say of an acceptance, of a refusal, of a simulation."""

from __future__ import annotations

import dataclasses
import json
import re
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from sealtune.attestation import appraisal, ear_vector
from sealtune.attestation.appraisal import AppraisalRefused, appraise
from sealtune.attestation.ear import (
    CLOCK_TOLERANCE,
    EAR_POLICY_ID_MAX,
    EAR_PROFILE,
    Ear,
    EarAppraisal,
    EarIssue,
    ear_of_refusal,
    ear_of_result,
    sign_ear,
    verify_ear,
)
from sealtune.attestation.ear_vector import Aspect, EarStatus, status_of, worst_status
from sealtune.attestation.endorsements import NO_ENDORSEMENTS
from sealtune.attestation.evidence import EvidenceKind
from sealtune.attestation.reference import AcceptedEnclave, DcapTerms, TpmTerms
from sealtune.attestation.result import AttestationResult, RuleResult, rule_result
from sealtune.attestation.steps import Steps
from sealtune.attestation.verified import Claims, VerifiedEvidence
from sealtune.attestation.verify import verify_evidence
from sealtune.core.digest import Digest
from sealtune.crypto.ecdsa import P256Key
from sealtune.crypto.jwt import sign_jwt
from sealtune.errors import Code, FormatError, FreshnessError, VerificationError
from sealtune.testing.mock_amd import MockAmd

REPORT_DATA = bytes(range(64))
ISSUED = datetime(2026, 11, 23, 12, 0, 0, tzinfo=UTC)
ISSUE = EarIssue(policy_id="sha256:policy", issued_at=ISSUED, lifetime=timedelta(minutes=5))
KEY = P256Key.generate()
DIGEST = Digest("sha256:" + "0" * 64)
EXAMPLE = "ear/coco-example.token.json"


def claims(**changes: Any) -> Claims:
    fields: dict[str, Any] = {
        "vendor": "AMD",
        "platform": "AMD SEV-SNP",
        "generation": "genoa",
        "signer": "VCEK",
        "tcb": {},
        "debug": False,
        "memory_protected": True,
        "measurement": "ab" * 48,
        "registers": {},
        "host_data": bytes(32),
        "identity": {"chip_id": "00"},
        "fields": {"version": 5, "launch_mit": 2**64 - 1},
    }
    return Claims(**{**fields, **changes})


def passed(*names: str) -> tuple[RuleResult, ...]:
    return tuple(
        rule_result(name, passed=True, reason="good", code=Code.APPRAISAL_POLICY) for name in names
    )


def enclave_of(kind: EvidenceKind, **changes: Any) -> AcceptedEnclave:
    fields: dict[str, Any] = {
        "name": "entry",
        "kind": kind,
        "measurements": frozenset({"ab" * 48}),
        "registers": {},
        "contract_at_launch": False,
        "snp": None,
        "dcap": None,
        "tpm": None,
        "devices": (),
        "insecure_accept_simulated": False,
        "simulated_root": None,
    }
    return AcceptedEnclave(**{**fields, **changes})


def result_of(enclave: AcceptedEnclave, **changes: Any) -> AttestationResult:
    fields: dict[str, Any] = {
        "kind": enclave.kind,
        "insecure": False,
        "enclave": enclave.name,
        "root": DIGEST,
        "claims": claims(),
        "devices": (),
        "rules": passed("root", "kind", "debug", "memory", "policy-known", "measurement"),
    }
    return AttestationResult(**{**fields, **changes})


@pytest.fixture
def snp(mock_amd: MockAmd) -> AcceptedEnclave:
    """An entry for real hardware with the terms of the mock's."""
    simulated = mock_amd.insecure_enclave()
    return dataclasses.replace(
        simulated,
        measurements=frozenset({"ab" * 48}),
        insecure_accept_simulated=False,
        simulated_root=None,
    )


DCAP = DcapTerms(
    tcb_statuses=frozenset({"UpToDate"}),
    denied_advisories=frozenset(),
    minimum_evaluation=0,
    platform_ids=None,
    platform_flags=frozenset(),
    td_attributes=frozenset(),
    minimum_tee_tcb_svn=(),
    endorsements_max_age_days=30,
    isv_prod_id=None,
    minimum_isv_svn=0,
)


def vector_of(ear: Ear, name: str = "cpu0") -> dict[str, int]:
    return {str(aspect): value for aspect, value in ear.submodules[name].vector.items() if value}


def accepted(result: AttestationResult, enclave: AcceptedEnclave) -> Ear:
    return ear_of_result(result, accepted=[enclave], issue=ISSUE)


# -- what an acceptance says -----------------------------------------------------------------------


def test_an_accepted_machine_is_affirmed_where_it_was_looked_at(snp: AcceptedEnclave) -> None:
    ear = accepted(result_of(snp), snp)
    assert vector_of(ear) == {
        "hardware": 2,
        "configuration": 2,
        "executables": 3,
        "runtime-opaque": 2,
    }
    assert ear.submodules["cpu0"].status is EarStatus.AFFIRMING
    assert not ear.insecure


def test_what_nobody_asked_for_is_no_claim(snp: AcceptedEnclave) -> None:
    # Any measurement was accepted: who reads only the status must not take that for approval.
    anything = dataclasses.replace(snp, measurements=None)
    ear = accepted(result_of(anything), anything)
    assert vector_of(ear)["executables"] == 33
    assert ear.submodules["cpu0"].status is EarStatus.WARNING
    few = result_of(snp, rules=passed("root", "kind", "debug", "memory", "host-data"))
    assert "configuration" not in vector_of(accepted(few, snp))


def test_an_instance_is_known_where_it_was_enrolled(snp: AcceptedEnclave) -> None:
    assert snp.snp is not None
    enrolled = dataclasses.replace(
        snp, snp=dataclasses.replace(snp.snp, chip_ids=frozenset({"00" * 64}))
    )
    assert vector_of(accepted(result_of(enrolled), enrolled))["instance-identity"] == 2
    lent = result_of(enrolled, claims=claims(identity={"chip_id": "00", "csp_id": "CN=x"}))
    assert "instance-identity" not in vector_of(accepted(lent, enrolled))
    intel = enclave_of(EvidenceKind.TDX, dcap=DCAP)
    assert "instance-identity" not in vector_of(accepted(result_of(intel), intel))
    known = dataclasses.replace(
        intel, dcap=dataclasses.replace(DCAP, platform_ids=frozenset({"00"}))
    )
    assert vector_of(accepted(result_of(known), known))["instance-identity"] == 2


@pytest.mark.parametrize(
    ("status", "value"), [("UpToDate", 2), ("SWHardeningNeeded", 32), ("OutOfDate", 32)]
)
def test_an_accepted_platform_that_needs_mending_is_a_warning(status: str, value: int) -> None:
    intel = enclave_of(EvidenceKind.TDX, dcap=DCAP)
    ear = accepted(result_of(intel, claims=claims(tcb={"status": status})), intel)
    assert vector_of(ear)["hardware"] == value
    wanted = EarStatus.AFFIRMING if value == 2 else EarStatus.WARNING
    assert ear.submodules["cpu0"].status is wanted


def test_a_virtual_machines_tpm_says_nothing_of_hardware_and_protects_no_memory() -> None:
    keys = TpmTerms(ak_digests=frozenset({"0" * 64}), accept_certified=False)
    tpm = enclave_of(
        EvidenceKind.TPM_VM,
        measurements=frozenset(),
        registers={"pcr4": frozenset({"00"})},
        tpm=keys,
    )
    rules = passed("root", "kind", "debug", "memory", "attestation-key", "registers")
    found = result_of(tpm, claims=claims(memory_protected=False), rules=rules)
    ear = accepted(found, tpm)
    assert vector_of(ear) == {"executables": 3, "runtime-opaque": 32, "instance-identity": 2}
    assert ear.submodules["cpu0"].status is EarStatus.WARNING
    certified = dataclasses.replace(
        tpm, tpm=TpmTerms(ak_digests=frozenset(), accept_certified=True)
    )
    assert "instance-identity" not in vector_of(accepted(found, certified))
    anything = dataclasses.replace(tpm, measurements=None, registers={})
    assert vector_of(accepted(found, anything))["executables"] == 33


def test_devices_have_their_own_appraisals(snp: AcceptedEnclave) -> None:
    gpu = claims(vendor="NVIDIA", platform="NVIDIA GPU", measurement="", host_data=None)
    switch = dataclasses.replace(gpu, platform="NVIDIA NVSwitch", memory_protected=False)
    ear = accepted(result_of(snp, devices=(gpu, switch, gpu)), snp)
    assert list(ear.submodules) == ["cpu0", "gpu0", "nvswitch0", "gpu1"]
    assert vector_of(ear, "gpu1") == {"hardware": 2, "executables": 3, "runtime-opaque": 2}
    assert vector_of(ear, "nvswitch0") == {"hardware": 2}
    assert ear.submodules["gpu0"].rules == ()
    assert ear.submodules["cpu0"].rules


def test_the_names_of_devices_are_those_that_their_claims_have() -> None:
    source = (Path(appraisal.__file__).parent / "nvidia_claims.py").read_text()
    assert '"NVIDIA GPU" if' in source
    assert 'else "NVIDIA NVSwitch"' in source


def test_a_result_is_of_one_of_the_accepted_enclaves(snp: AcceptedEnclave) -> None:
    other = dataclasses.replace(snp, name="another")
    with pytest.raises(ValueError, match="no accepted enclave"):
        ear_of_result(result_of(snp), accepted=[other], issue=ISSUE)


# -- simulations -----------------------------------------------------------------------------------


@pytest.fixture
def verified(mock_amd: MockAmd, now: datetime) -> VerifiedEvidence:
    return verify_evidence(
        mock_amd.evidence(report_data=REPORT_DATA),
        report_data=REPORT_DATA,
        anchors=mock_amd.anchors(),
        endorsements=NO_ENDORSEMENTS,
        now=now,
        steps=Steps(),
    )


def test_an_accepted_simulation_is_contraindicated_and_says_insecure(
    mock_amd: MockAmd, verified: VerifiedEvidence
) -> None:
    enclave = mock_amd.insecure_enclave()
    result = appraise(verified, accepted=[enclave], host_data=bytes(32))
    ear = accepted(result, enclave)
    assert ear.insecure
    assert vector_of(ear) == {"hardware": 97, "runtime-opaque": 96}
    assert ear.submodules["cpu0"].status is EarStatus.CONTRAINDICATED
    assert json.loads(json.dumps(ear.to_dict()))["insecure"] is True
    gpu = claims(platform="NVIDIA GPU")
    with_device = accepted(dataclasses.replace(result, devices=(gpu,)), enclave)
    assert with_device.submodules["gpu0"].status is EarStatus.CONTRAINDICATED


def test_no_result_of_a_simulation_can_be_anything_else(snp: AcceptedEnclave) -> None:
    ear = accepted(result_of(snp), snp)
    with pytest.raises(ValueError, match="simulation"):
        dataclasses.replace(ear, insecure=True)


def test_a_status_is_not_better_than_its_vector(snp: AcceptedEnclave) -> None:
    one = accepted(result_of(snp), snp).submodules["cpu0"]
    worse = {**one.vector, Aspect.HARDWARE: 32}
    with pytest.raises(ValueError, match="better"):
        dataclasses.replace(one, vector=worse)
    assert dataclasses.replace(one, status=EarStatus.CONTRAINDICATED)


# -- refusals --------------------------------------------------------------------------------------


def test_a_refused_simulation_says_insecure_too(
    mock_amd: MockAmd, verified: VerifiedEvidence
) -> None:
    enclave = mock_amd.insecure_enclave(measurements=frozenset())
    with pytest.raises(AppraisalRefused) as refusal:
        appraise(verified, accepted=[enclave], host_data=bytes(32))
    ear = ear_of_refusal(refusal.value, verified=verified, issue=ISSUE)
    assert ear.insecure
    assert vector_of(ear) == {"hardware": 97, "runtime-opaque": 96}


def refusal_by(verified: VerifiedEvidence, *names: str) -> Ear:
    """What a refusal of hardware by the rules `names` says; `verified` is taken for hardware."""
    root = dataclasses.replace(verified.root, insecure=False)
    real = VerifiedEvidence(authentic=dataclasses.replace(verified.authentic, root=root))
    failed = tuple(
        rule_result(name, passed=False, reason="bad", code=Code.APPRAISAL_POLICY) for name in names
    )
    refused = AppraisalRefused((*passed("vmpl"), *failed), failed[0])
    return ear_of_refusal(refused, verified=real, issue=ISSUE)


@pytest.mark.parametrize(
    ("names", "vector"),
    [
        (("root",), {"hardware": 97}),
        (("tcb",), {"hardware": 96}),
        (("tcb", "kind"), {"hardware": 97}),
        (("measurement",), {"executables": 33}),
        (("debug",), {"runtime-opaque": 96}),
        (("identity",), {"instance-identity": 97}),
        (("migration",), {"configuration": 96}),
        (("a-rule-of-tomorrow",), {"configuration": 96}),
        (("registers", "vmpl"), {"executables": 33, "configuration": 96}),
        (("device-count",), {}),
    ],
    ids=str,
)
def test_a_refusal_is_contraindicated_and_says_nothing_good(
    verified: VerifiedEvidence, names: tuple[str, ...], vector: dict[str, int]
) -> None:
    ear = refusal_by(verified, *names)
    assert vector_of(ear) == vector
    assert ear.submodules["cpu0"].status is EarStatus.CONTRAINDICATED
    assert not ear.insecure


def test_a_refusal_for_its_devices_is_one_of_the_devices(verified: VerifiedEvidence) -> None:
    device = dataclasses.replace(
        verified.authentic,
        root=dataclasses.replace(verified.root, insecure=False),
        claims=claims(platform="NVIDIA GPU"),
    )
    with_device = VerifiedEvidence(
        authentic=dataclasses.replace(verified.authentic, devices=(device,))
    )
    for names, hardware in ((("device-rim",), {"hardware": 96}), (("tcb",), {})):
        ear = refusal_by(with_device, *names)
        assert vector_of(ear, "gpu0") == hardware
        assert ear.submodules["gpu0"].status is EarStatus.CONTRAINDICATED


# Rules that are about configuration, or about devices; each other one has its line in the table.
CONFIGURATION = {
    "migration",
    "policy-known",
    "policy-required",
    "vmpl",
    "platform",
    "host-data",
    "platform-flags",
    "td-known",
    "td-sept-ve",
    "td-migration",
    "td-seam-signer",
    "td-attributes",
    "vtpm",
    "secure-boot",
}


def test_every_rule_of_appraisal_is_about_something_that_was_decided() -> None:
    names = set()
    for path in Path(appraisal.__file__).parent.glob("*_rules.py"):
        names |= set(re.findall(r'_rule\(\s*"([a-z-]+)"', path.read_text()))
        names |= set(re.findall(r'rule_result\(\s*"([a-z-]+)"', path.read_text()))
    assert len(names) > 30
    others = {name for name in names if not name.startswith("device")}
    assert others == CONFIGURATION | ear_vector._FAILED.keys()


# -- values ----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("value", "tier"),
    [
        (0, "none"),
        (1, "none"),
        (2, "affirming"),
        (31, "affirming"),
        (32, "warning"),
        (95, "warning"),
        (96, "contraindicated"),
        (127, "contraindicated"),
    ],
)
def test_tiers(value: int, tier: str) -> None:
    assert status_of(value) == tier
    assert worst_status({Aspect.HARDWARE: value, Aspect.SOURCED: 0}) == tier


def test_what_is_no_value_has_no_tier() -> None:
    for value in (-1, 128):
        with pytest.raises(ValueError, match="0 to 127"):
            status_of(value)
    assert worst_status({}) is EarStatus.NONE


# -- tokens ----------------------------------------------------------------------------------------


@pytest.fixture
def ear(snp: AcceptedEnclave) -> Ear:
    gpu = claims(vendor="NVIDIA", platform="NVIDIA GPU", measurement="", host_data=None)
    return accepted(result_of(snp, devices=(gpu,)), snp)


def test_a_token_says_what_was_signed(ear: Ear) -> None:
    found = verify_ear(sign_ear(ear, key=KEY), spki=KEY.spki, now=ISSUED)
    assert found == ear
    assert found.submodules["cpu0"].evidence == {"version": 5, "launch_mit": "0xffffffffffffffff"}


def test_a_token_has_the_shape_of_the_public_example(ear: Ear, shared_dir: Path) -> None:
    example = json.loads((shared_dir / "vectors" / EXAMPLE).read_text())
    ours = ear.to_dict()
    assert ours.keys() == example.keys() | {"insecure"}
    assert ours["ear.verifier-id"].keys() == example["ear.verifier-id"].keys()
    theirs = example["submods"]["cpu0"]
    assert theirs.keys() < ours["submods"]["cpu0"].keys()
    name = "ear.trustworthiness-vector"
    assert theirs[name].keys() == ours["submods"]["cpu0"][name].keys()


def test_a_result_may_have_no_end(snp: AcceptedEnclave) -> None:
    issue = dataclasses.replace(ISSUE, lifetime=None)
    ear = ear_of_result(result_of(snp), accepted=[snp], issue=issue)
    assert "exp" not in ear.to_dict()
    late = ISSUED + timedelta(days=10_000)
    assert verify_ear(sign_ear(ear, key=KEY), spki=KEY.spki, now=late) == ear


def test_a_token_holds_for_its_time(ear: Ear) -> None:
    token = sign_ear(ear, key=KEY)
    for now in (ISSUED - CLOCK_TOLERANCE, ISSUED + timedelta(seconds=299)):
        assert verify_ear(token, spki=KEY.spki, now=now)
    for now in (
        ISSUED - CLOCK_TOLERANCE - timedelta(seconds=1),
        ISSUED + timedelta(seconds=300),
    ):
        with pytest.raises(FreshnessError) as refusal:
            verify_ear(token, spki=KEY.spki, now=now)
        assert refusal.value.code is Code.FRESHNESS
    with pytest.raises(ValueError, match="zone"):
        verify_ear(token, spki=KEY.spki, now=ISSUED.replace(tzinfo=None))


def test_another_key_or_a_changed_token_is_refused(ear: Ear) -> None:
    token = sign_ear(ear, key=KEY)
    with pytest.raises(VerificationError) as refusal:
        verify_ear(token, spki=P256Key.generate().spki, now=ISSUED)
    assert refusal.value.code is Code.TOKEN_SIGNATURE
    header, body, _ = token.split(".")
    with pytest.raises(VerificationError) as refusal:
        verify_ear(f"{header}.{body}." + "A" * 86, spki=KEY.spki, now=ISSUED)
    assert refusal.value.code is Code.TOKEN_SIGNATURE


def _changed(path: str, value: Any) -> Callable[[dict[str, Any]], None]:
    def change(token: dict[str, Any]) -> None:
        *parents, last = path.split("/")
        place = token
        for parent in parents:
            place = place[parent]
        if value is None:
            del place[last]
        else:
            place[last] = value

    return change


WRONG = [
    ("eat_profile", None),
    ("eat_profile", "tag:github.com,2024:confidential-containers/Trustee"),
    ("insecure", None),
    ("insecure", 0),
    ("insecure", True),
    ("iat", None),
    ("iat", "1"),
    ("iat", True),
    ("iat", -1),
    ("iat", 2**52),
    ("exp", "soon"),
    ("exp", 2**52),
    ("ear.verifier-id", None),
    ("ear.verifier-id", {"developer": "x"}),
    ("submods", None),
    ("submods", []),
    ("submods", {}),
    ("submods/cpu0", []),
    ("submods/cpu0/ear.status", None),
    ("submods/cpu0/ear.status", "excellent"),
    ("submods/cpu0/ear.status", 2),
    ("submods/cpu0/ear.status", "none"),
    ("submods/gpu0/ear.trustworthiness-vector", None),
    ("submods/gpu0/ear.trustworthiness-vector/hardware", None),
    ("submods/gpu0/ear.trustworthiness-vector/more", 2),
    ("submods/gpu0/ear.trustworthiness-vector/hardware", "2"),
    ("submods/gpu0/ear.trustworthiness-vector/hardware", True),
    ("submods/gpu0/ear.trustworthiness-vector/hardware", 128),
    ("submods/gpu0/ear.trustworthiness-vector/hardware", -1),
    ("submods/gpu0/ear.trustworthiness-vector/hardware", 96),
    ("submods/cpu0/ear.appraisal-policy-id", None),
    ("submods/cpu0/ear.appraisal-policy-id", ""),
    ("submods/cpu0/ear.appraisal-policy-id", "x" * (EAR_POLICY_ID_MAX + 1)),
    ("submods/cpu0/ear.veraison.annotated-evidence", None),
    ("submods/cpu0/sealtune.claims", []),
    ("submods/cpu0/sealtune.rules", None),
    ("submods/cpu0/sealtune.rules", {}),
    ("submods/cpu0/sealtune.rules", ["rule"]),
]


@pytest.mark.parametrize(("path", "value"), WRONG, ids=lambda part: str(part)[:60])
def test_a_signed_token_of_another_form_is_refused(ear: Ear, path: str, value: Any) -> None:
    fields = json.loads(json.dumps(ear.to_dict()))
    _changed(path, value)(fields)
    with pytest.raises(FormatError) as refusal:
        verify_ear(sign_jwt(fields, key=KEY, header={}), spki=KEY.spki, now=ISSUED)
    assert refusal.value.code is Code.TOKEN_MALFORMED


def test_a_token_is_of_one_machine_and_at_most_63_devices(ear: Ear) -> None:
    fields = json.loads(json.dumps(ear.to_dict()))
    gpu, cpu = fields["submods"]["gpu0"], fields["submods"]["cpu0"]

    def found(submodules: dict[str, Any]) -> Ear:
        token = sign_jwt({**fields, "submods": submodules}, key=KEY, header={})
        return verify_ear(token, spki=KEY.spki, now=ISSUED)

    devices = {f"gpu{index}": gpu for index in range(63)}
    assert len(found({"cpu0": cpu, **devices}).submodules) == 64
    for submodules in ({"cpu0": cpu, **devices, "nvswitch0": gpu}, devices):
        with pytest.raises(FormatError) as refusal:
            found(submodules)
        assert refusal.value.code is Code.TOKEN_MALFORMED


def test_a_result_that_no_token_holds_is_refused(snp: AcceptedEnclave) -> None:
    large = result_of(snp, claims=claims(fields={"log": "x" * 300_000}))
    with pytest.raises(FormatError) as refusal:
        sign_ear(accepted(large, snp), key=KEY)
    assert refusal.value.code is Code.LIMIT_EXCEEDED


@pytest.mark.parametrize(
    "changes",
    [
        {"policy_id": ""},
        {"policy_id": "x" * (EAR_POLICY_ID_MAX + 1)},
        {"issued_at": ISSUED.replace(tzinfo=None)},
        {"lifetime": timedelta(0)},
    ],
    ids=["no-policy", "long-policy", "no-zone", "no-lifetime"],
)
def test_an_issue_is_complete(changes: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match=r"policy|zone|second"):
        dataclasses.replace(ISSUE, **changes)


def test_the_profile_is_that_of_the_names(ear: Ear) -> None:
    assert ear.to_dict()["eat_profile"] == EAR_PROFILE
    assert all(isinstance(one, EarAppraisal) for one in ear.submodules.values())
