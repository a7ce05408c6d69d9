"""Appraisal: every rule refuses by itself, and what no entry allows is refused."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from datetime import datetime
from typing import Any

import pytest

from sealtune.attestation.anchors import Product, vendor_anchors
from sealtune.attestation.appraisal import (
    AcceptedEnclave,
    AppraisalRefused,
    anchors_for,
    appraise,
)
from sealtune.attestation.endorsements import NO_ENDORSEMENTS
from sealtune.attestation.evidence import EvidenceKind
from sealtune.attestation.general_rules import boot_rule, first_rules
from sealtune.attestation.reference import (
    PLATFORM_REQUIREMENTS,
    POLICY_REQUIREMENTS,
    DcapTerms,
    TpmTerms,
)
from sealtune.attestation.result import AttestationResult
from sealtune.attestation.snp_report import Generation, Signer
from sealtune.attestation.steps import Steps
from sealtune.attestation.verified import VerifiedEvidence
from sealtune.attestation.verify import verify_evidence
from sealtune.core.digest import sha256_digest
from sealtune.errors import AppraisalError, Code
from sealtune.testing.mock_amd import TURIN_VEK, MockAmd, MockVek, changed_enclave, encode_tcb

MEASUREMENT = bytes(range(48))
HOST_DATA = bytes(range(32))
BASE_POLICY = 0x30000
FLOOR = {"bl": 10, "tee": 0, "snp": 27, "ucode": 90}
VLEK = MockVek(signer=Signer.VLEK)
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

Verify = Callable[..., VerifiedEvidence]


@pytest.fixture(scope="module")
def verify(mock_amd: MockAmd, now: datetime) -> Verify:
    def verified(vek: MockVek | None = None, **changes: Any) -> VerifiedEvidence:
        vek = vek or MockVek()
        fields = {"measurement": MEASUREMENT, "host_data": HOST_DATA, **changes}
        return verify_evidence(
            mock_amd.evidence(vek=vek, **fields),
            report_data=bytes(64),
            anchors=mock_amd.anchors(vek.product),
            now=now,
            endorsements=NO_ENDORSEMENTS,
            steps=Steps(),
        )

    return verified


@pytest.fixture(scope="module")
def enclave(mock_amd: MockAmd) -> AcceptedEnclave:
    return mock_amd.insecure_enclave(
        measurements=frozenset({MEASUREMENT.hex()}),
        minimum_tcb={Generation.GENOA: FLOOR},
        required_platform=frozenset({"alias-check-complete"}),
    )


def refusal_of(verified: VerifiedEvidence, *accepted: AcceptedEnclave) -> AppraisalRefused:
    with pytest.raises(AppraisalRefused) as refusal:
        appraise(verified, accepted=accepted, host_data=HOST_DATA)
    assert isinstance(refusal.value, AppraisalError)
    assert refusal.value.code is next(rule.code for rule in refusal.value.rules if not rule.passed)
    return refusal.value


def code_of(verified: VerifiedEvidence, *accepted: AcceptedEnclave) -> Code:
    """Return the code of the refusal, and see that exactly one rule is behind it."""
    refusal = refusal_of(verified, *accepted)
    assert sum(not rule.passed for rule in refusal.rules) == 1, refusal.rules
    return refusal.code


def test_an_accepted_enclave_yields_a_result_with_every_rules_reason(
    verify: Verify, enclave: AcceptedEnclave, mock_amd: MockAmd
) -> None:
    result = appraise(verify(), accepted=[enclave], host_data=HOST_DATA)
    assert result.insecure
    assert (result.enclave, result.kind) == ("simulated", EvidenceKind.SEV_SNP)
    assert (result.measurement, result.claims.host_data) == (MEASUREMENT.hex(), HOST_DATA)
    assert result.root == mock_amd.root
    assert result.claims.tcb["reported"]["ucode"] == 90
    assert result.claims.tcb["firmware"] == "1.55.49"
    assert [rule.rule for rule in result.rules] == [
        "root",
        "kind",
        "debug",
        "memory",
        "migration",
        "policy-known",
        "policy-required",
        "vmpl",
        "generation",
        "tcb",
        "mitigations",
        "platform",
        "identity",
        "revocation",
        "measurement",
        "boot",
        "registers",
        "host-data",
    ]
    assert all(rule.passed and rule.reason and rule.code is None for rule in result.rules)
    written = result.to_dict()
    assert written["insecure"] is True
    assert written["rules"][0]["reason"].startswith("INSECURE")
    assert written["claims"]["vendor"] == "INSECURE mock"


def bit(number: int) -> int:
    return BASE_POLICY | 1 << number


@pytest.mark.parametrize(
    ("changes", "code"),
    [
        ({"policy": bit(19)}, Code.APPRAISAL_DEBUG),
        ({"policy": bit(18)}, Code.APPRAISAL_POLICY),
        ({"policy": 0x10000}, Code.APPRAISAL_POLICY),  # bit 17, which must be one, is zero
        *(({"policy": bit(number)}, Code.APPRAISAL_POLICY) for number in (26, 27, 31, 32, 63)),
        ({"vmpl": 1}, Code.APPRAISAL_VMPL),
        ({"vmpl": 3}, Code.APPRAISAL_VMPL),
        ({"vmpl": 0xFFFFFFFF}, Code.APPRAISAL_VMPL),  # a report that the host asked for
        ({"measurement": bytes(48)}, Code.APPRAISAL_MEASUREMENT),
        ({"measurement": MEASUREMENT[:47] + b"\0"}, Code.APPRAISAL_MEASUREMENT),
        ({"host_data": bytes(32)}, Code.APPRAISAL_HOST_DATA),
        ({"host_data": HOST_DATA[:31] + b"\0"}, Code.APPRAISAL_HOST_DATA),
        ({"platform_info": 0x05}, Code.APPRAISAL_PLATFORM),  # BadRAM: no alias check
    ],
)
def test_each_rule_refuses_by_itself(
    verify: Verify, enclave: AcceptedEnclave, changes: dict[str, Any], code: Code
) -> None:
    assert code_of(verify(**changes), enclave) is code


@pytest.mark.parametrize("which", ["reported", "committed", "launch"])
@pytest.mark.parametrize("component", ["bl", "snp", "ucode"])
def test_every_component_of_every_tcb_that_counts_has_the_floor(
    verify: Verify, enclave: AcceptedEnclave, which: str, component: str
) -> None:
    tcb = MockVek().tcb
    # All else newer: one number for the whole would hide the component that was rolled back.
    newer = dataclasses.replace(tcb, bl=99, tee=99, snp=99, ucode=99)
    low = dataclasses.replace(newer, **{component: FLOOR[component] - 1})
    vek = MockVek(tcb=low if which == "reported" else newer)
    changes = {
        f"{name}_tcb": encode_tcb(low if name == which else newer)
        for name in ("committed", "launch", "current")
    }
    refusal = refusal_of(verify(vek, **changes), enclave)
    assert refusal.code is Code.APPRAISAL_TCB
    assert f"{which} {component}" in str(refusal)


def test_the_tee_component_has_the_floor(verify: Verify, enclave: AcceptedEnclave) -> None:
    floor = {Generation.GENOA: {**FLOOR, "tee": 1}}
    strict = changed_enclave(enclave, minimum_tcb=floor)
    assert code_of(verify(), strict) is Code.APPRAISAL_TCB


def test_the_current_tcb_does_not_count(verify: Verify, enclave: AcceptedEnclave) -> None:
    # What runs now and may be rolled back again proves nothing.
    low = dataclasses.replace(MockVek().tcb, snp=0)
    verified = verify(current_tcb=encode_tcb(low))
    appraise(verified, accepted=[enclave], host_data=HOST_DATA)


@pytest.mark.parametrize("component", ["fmc", "bl", "tee", "snp", "ucode"])
def test_turin_has_a_floor_for_its_fmc(verify: Verify, mock_amd: MockAmd, component: str) -> None:
    tcb = TURIN_VEK.tcb
    floor = {name: getattr(tcb, name) for name in ("fmc", "bl", "tee", "snp", "ucode")}
    verified = verify(TURIN_VEK)
    enclave = mock_amd.insecure_enclave(
        measurements=frozenset({MEASUREMENT.hex()}),
        minimum_tcb={Generation.TURIN: floor},
        simulated_root=verified.root.digest,
    )
    appraise(verified, accepted=[enclave], host_data=HOST_DATA)
    above = {Generation.TURIN: {**floor, component: floor[component] + 1}}
    strict = changed_enclave(enclave, minimum_tcb=above)
    assert code_of(verified, strict) is Code.APPRAISAL_TCB


def test_a_generation_without_a_floor_is_not_accepted(
    verify: Verify, enclave: AcceptedEnclave
) -> None:
    siena = verify(cpuid=(0x19, 0xA0, 1))
    assert refusal_of(siena, enclave).code is Code.APPRAISAL_PLATFORM
    none = changed_enclave(enclave, minimum_tcb={})
    assert refusal_of(verify(), none).code is Code.APPRAISAL_PLATFORM


def test_what_is_not_listed_is_not_accepted(verify: Verify, enclave: AcceptedEnclave) -> None:
    verified = verify()
    nothing = changed_enclave(enclave, measurements=frozenset())
    assert code_of(verified, nothing) is Code.APPRAISAL_MEASUREMENT
    nowhere = changed_enclave(enclave, vmpl=frozenset())
    assert code_of(verified, nowhere) is Code.APPRAISAL_VMPL
    assert refusal_of(verified).code is Code.APPRAISAL_KIND


def test_another_kind_is_not_accepted(verify: Verify, enclave: AcceptedEnclave) -> None:
    other = dataclasses.replace(enclave, kind=EvidenceKind.TDX, snp=None, dcap=DCAP)
    assert code_of(verify(), other) is Code.APPRAISAL_KIND


# -- simulated evidence ----------------------------------------------------------------------------


def test_simulated_evidence_needs_an_entry_that_says_insecure(
    verify: Verify, enclave: AcceptedEnclave
) -> None:
    production = changed_enclave(enclave, insecure_accept_simulated=False, simulated_root=None)
    assert code_of(verify(), production) is Code.APPRAISAL_INSECURE
    result = appraise(verify(), accepted=[production, enclave], host_data=HOST_DATA)
    assert result.insecure


def test_simulated_evidence_needs_the_very_root_of_the_entry(
    verify: Verify, enclave: AcceptedEnclave
) -> None:
    other = changed_enclave(enclave, simulated_root=sha256_digest(b"another mock"))
    assert code_of(verify(), other) is Code.APPRAISAL_INSECURE


def test_an_entry_for_a_simulation_accepts_no_hardware(
    verify: Verify, enclave: AcceptedEnclave
) -> None:
    # As if a vendor had signed it: the same claims under a root that is not insecure.
    verified = verify()
    root = dataclasses.replace(verified.root, insecure=False)
    hardware = VerifiedEvidence(authentic=dataclasses.replace(verified.authentic, root=root))
    assert code_of(hardware, enclave) is Code.APPRAISAL_INSECURE
    production = changed_enclave(enclave, insecure_accept_simulated=False, simulated_root=None)
    assert not appraise(hardware, accepted=[production], host_data=HOST_DATA).insecure


def test_the_anchors_of_a_production_contract_know_no_mock(enclave: AcceptedEnclave) -> None:
    production = changed_enclave(enclave, insecure_accept_simulated=False, simulated_root=None)
    assert anchors_for([production]).roots == vendor_anchors().roots


# -- requirements ----------------------------------------------------------------------------------


@pytest.mark.parametrize("name", sorted(POLICY_REQUIREMENTS))
def test_a_required_policy_bit(verify: Verify, enclave: AcceptedEnclave, name: str) -> None:
    number, value = POLICY_REQUIREMENTS[name]
    strict = changed_enclave(enclave, required_policy=frozenset({name}))
    set_, clear = BASE_POLICY | 1 << number, BASE_POLICY & ~(1 << number)
    good, bad = (set_, clear) if value else (clear, set_)
    appraise(verify(policy=good), accepted=[strict], host_data=HOST_DATA)
    assert code_of(verify(policy=bad), strict) is Code.APPRAISAL_POLICY


@pytest.mark.parametrize("name", sorted(PLATFORM_REQUIREMENTS))
def test_a_required_platform_bit(verify: Verify, enclave: AcceptedEnclave, name: str) -> None:
    number, value = PLATFORM_REQUIREMENTS[name]
    strict = changed_enclave(enclave, required_platform=frozenset({name}))
    good, bad = (1 << number, 0) if value else (0, 1 << number)
    appraise(verify(platform_info=good), accepted=[strict], host_data=HOST_DATA)
    assert code_of(verify(platform_info=bad), strict) is Code.APPRAISAL_PLATFORM


def test_unknown_platform_bits_are_recorded_and_not_refused(
    verify: Verify, enclave: AcceptedEnclave
) -> None:
    verified = verify(platform_info=0x25 | 1 << 8 | 1 << 63)
    result = appraise(verified, accepted=[enclave], host_data=HOST_DATA)
    assert "unknown bits 0x8000000000000100" in _reason(result, "platform")


def _reason(result: AttestationResult, name: str) -> str:
    return next(rule.reason for rule in result.rules if rule.rule == name)


# -- identity --------------------------------------------------------------------------------------


def test_only_enrolled_chips(verify: Verify, enclave: AcceptedEnclave) -> None:
    verified = verify()
    enrolled = changed_enclave(enclave, chip_ids=frozenset({verified.claims.identity["chip_id"]}))
    appraise(verified, accepted=[enrolled], host_data=HOST_DATA)
    for chips in (frozenset({"00" * 64}), frozenset[str]()):
        other = changed_enclave(enclave, chip_ids=chips)
        assert code_of(verified, other) is Code.APPRAISAL_PLATFORM


def test_a_vlek_of_a_listed_provider_only(verify: Verify, enclave: AcceptedEnclave) -> None:
    verified = verify(VLEK)
    assert code_of(verified, enclave) is Code.APPRAISAL_PLATFORM
    other = changed_enclave(enclave, csp_ids=frozenset({"CN=another"}))
    assert code_of(verified, other) is Code.APPRAISAL_PLATFORM
    listed = changed_enclave(enclave, csp_ids=frozenset({VLEK.csp_id}))
    result = appraise(verified, accepted=[listed], host_data=HOST_DATA)
    assert result.claims.signer == "VLEK"


# -- which entry -----------------------------------------------------------------------------------


def test_the_first_entry_that_is_satisfied_is_named(
    verify: Verify, enclave: AcceptedEnclave
) -> None:
    other = changed_enclave(enclave, name="other", measurements=frozenset({"ff" * 48}))
    same = changed_enclave(enclave, name="same")
    result = appraise(verify(), accepted=[other, same, enclave], host_data=HOST_DATA)
    assert result.enclave == "same"


def test_a_refusal_is_that_of_the_entry_that_came_closest(
    verify: Verify, enclave: AcceptedEnclave
) -> None:
    far = changed_enclave(
        enclave, insecure_accept_simulated=False, simulated_root=None, vmpl=frozenset({3})
    )
    near = changed_enclave(enclave, measurements=frozenset({"ff" * 48}))
    assert code_of(verify(), far, near) is Code.APPRAISAL_MEASUREMENT


def test_host_data_of_another_length_is_the_callers_mistake(
    verify: Verify, enclave: AcceptedEnclave
) -> None:
    with pytest.raises(ValueError, match="32"):
        appraise(verify(), accepted=[enclave], host_data=b"")


@pytest.mark.parametrize(
    "change",
    [
        {"measurements": frozenset({"ab"})},
        {"measurements": frozenset({"AB" * 48})},
        {"chip_ids": frozenset({"00"})},
        {"vmpl": frozenset({4})},
        {"required_policy": frozenset({"debug"})},
        {"required_platform": frozenset({"ECC"})},
        {"minimum_tcb": {Generation.GENOA: {"bl": 1}}},
        {"minimum_tcb": {Generation.TURIN: FLOOR}},
        {"minimum_tcb": {Generation.GENOA: {**FLOOR, "fmc": 1}}},
        {"minimum_tcb": {Generation.GENOA: {**FLOOR, "snp": 256}}},
        {"minimum_tcb": {Generation.GENOA: {**FLOOR, "snp": -1}}},
        {"simulated_root": None},
        {"insecure_accept_simulated": False},
    ],
)
def test_reference_values_that_mean_nothing_are_the_callers_mistake(
    enclave: AcceptedEnclave, change: dict[str, Any]
) -> None:
    with pytest.raises(ValueError, match=r"\w"):
        changed_enclave(enclave, **change)


def test_the_highest_floor_can_be_demanded(enclave: AcceptedEnclave) -> None:
    highest = dict.fromkeys(FLOOR, 255)
    changed_enclave(enclave, minimum_tcb={Generation.GENOA: highest})


def test_a_mock_milan_is_refused_where_only_genoa_is_simulated(
    verify: Verify, enclave: AcceptedEnclave
) -> None:
    milan = verify(MockVek(product=Product.MILAN, product_name="Milan-B0"))
    assert refusal_of(milan, enclave).code is Code.APPRAISAL_INSECURE


# -- registers, launch, memory ---------------------------------------------------------------------


def with_claims(verified: VerifiedEvidence, **changes: Any) -> VerifiedEvidence:
    claims = dataclasses.replace(verified.claims, **changes)
    return VerifiedEvidence(authentic=dataclasses.replace(verified.authentic, claims=claims))


def test_each_register_that_is_asked_for_has_one_of_its_values(
    verify: Verify, enclave: AcceptedEnclave
) -> None:
    asked = changed_enclave(enclave, registers={"rtmr0": frozenset({"aa", "bb"})})
    for good in ("aa", "bb"):
        verified = with_claims(verify(), registers={"rtmr0": good, "rtmr1": "cc"})
        appraise(verified, accepted=[asked], host_data=HOST_DATA)
    for registers in ({"rtmr0": "cc"}, {"rtmr1": "aa"}, {}):
        verified = with_claims(verify(), registers=registers)
        assert code_of(verified, asked) is Code.APPRAISAL_REGISTER


def test_a_tee_without_host_data_satisfies_no_entry_that_asks_for_it(
    verify: Verify, enclave: AcceptedEnclave
) -> None:
    verified = with_claims(verify(), host_data=None)
    assert code_of(verified, enclave) is Code.APPRAISAL_HOST_DATA
    unbound = changed_enclave(enclave, contract_at_launch=False)
    appraise(verified, accepted=[unbound], host_data=HOST_DATA)


def test_longer_host_data_is_the_contract_and_zeros(
    verify: Verify, enclave: AcceptedEnclave
) -> None:
    padded = with_claims(verify(), host_data=HOST_DATA + bytes(16))
    appraise(padded, accepted=[enclave], host_data=HOST_DATA)
    other = with_claims(verify(), host_data=HOST_DATA + bytes(15) + b"\x01")
    assert code_of(other, enclave) is Code.APPRAISAL_HOST_DATA


def test_readable_memory_is_refused(verify: Verify, enclave: AcceptedEnclave) -> None:
    readable = with_claims(verify(), memory_protected=False)
    assert code_of(readable, enclave) is Code.APPRAISAL_MEMORY


def test_a_debug_device_is_refused_with_its_machine(
    verify: Verify, enclave: AcceptedEnclave
) -> None:
    authentic = verify().authentic
    debug = dataclasses.replace(authentic.claims, debug=True)
    device = dataclasses.replace(authentic, claims=debug)
    machine = VerifiedEvidence(authentic=dataclasses.replace(authentic, devices=(device,)))
    rules = {rule.rule: rule.code for rule in first_rules(machine, enclave)}
    assert rules["debug"] is Code.APPRAISAL_DEBUG


def test_any_measurement_is_said_aloud(verify: Verify, enclave: AcceptedEnclave) -> None:
    open_entry = changed_enclave(enclave, measurements=None)
    result = appraise(verify(), accepted=[open_entry], host_data=HOST_DATA)
    assert "ANY measurement" in _reason(result, "measurement")


def test_mitigations_that_are_asked_for_are_in_effect(
    verify: Verify, enclave: AcceptedEnclave
) -> None:
    asked = changed_enclave(enclave, minimum_mitigations=0b101)
    appraise(verify(mitigations=0b111), accepted=[asked], host_data=HOST_DATA)
    assert code_of(verify(mitigations=0b100), asked) is Code.APPRAISAL_TCB


# -- what booted above the firmware ----------------------------------------------------------------


def boot_code(kind: EvidenceKind, registers: dict[str, str]) -> Code | None:
    terms = TpmTerms(ak_digests=frozenset(), accept_certified=True)
    entry = AcceptedEnclave(
        name="entry",
        kind=kind,
        measurements=frozenset(),
        registers={name: frozenset({value}) for name, value in registers.items()},
        contract_at_launch=False,
        snp=None,
        dcap=None if kind is not EvidenceKind.TDX else DCAP,
        tpm=terms if kind is EvidenceKind.TPM_VM else None,
        devices=(),
        insecure_accept_simulated=False,
        simulated_root=None,
    )
    return boot_rule(entry).code


@pytest.mark.parametrize(
    ("kind", "registers", "passes"),
    [
        (EvidenceKind.TDX, {"rtmr1": "aa", "rtmr2": "aa"}, True),
        (EvidenceKind.TDX, {"rtmr1": "aa"}, False),
        (EvidenceKind.TDX, {"rtmr0": "aa", "rtmr3": "aa"}, False),
        (EvidenceKind.TDX, {}, False),
        (EvidenceKind.TPM_VM, {"pcr4": "aa", "pcr9": "aa"}, True),
        (EvidenceKind.TPM_VM, {"pcr4_sha384": "aa", "pcr9_sha384": "aa"}, True),
        (EvidenceKind.TPM_VM, {"pcr4": "aa", "pcr7": "aa"}, False),
        (EvidenceKind.TPM_VM, {"pcr11": "aa", "pcr14": "aa"}, False),
        (EvidenceKind.TPM_VM, {}, False),
    ],
)
def test_the_operators_own_kernel_under_the_agreed_firmware(
    kind: EvidenceKind, registers: dict[str, str], passes: bool
) -> None:
    assert (boot_code(kind, registers) is None) == passes


@pytest.mark.parametrize("name", ["pcr16", "pcr23", "pcr19_sha384"])
def test_a_register_that_anybody_in_the_machine_can_set_cannot_be_asked_for(name: str) -> None:
    with pytest.raises(ValueError, match="proves nothing"):
        boot_code(EvidenceKind.TPM_VM, {"pcr4": "aa", "pcr9": "aa", name: "aa"})


def test_a_lent_key_does_not_excuse_a_chip_that_is_not_enrolled(
    verify: Verify, enclave: AcceptedEnclave
) -> None:
    listed = changed_enclave(
        enclave, csp_ids=frozenset({VLEK.csp_id}), chip_ids=frozenset({"ab" * 64})
    )
    assert code_of(verify(VLEK), listed) is Code.APPRAISAL_PLATFORM
    any_chip = changed_enclave(listed, chip_ids=None)
    appraise(verify(VLEK), accepted=[any_chip], host_data=HOST_DATA)
