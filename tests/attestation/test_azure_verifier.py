"""Azure's evidence over mock processors and a mock vTPM: each link broken alone, each refused."""

from __future__ import annotations

import dataclasses
import json
import re
from collections.abc import Callable, Mapping
from datetime import datetime
from pathlib import Path
from typing import Any

import pytest

from sealtune.attestation.anchors import RootUse, TrustAnchors
from sealtune.attestation.appraisal import appraise
from sealtune.attestation.azure_claims import AzureClaims
from sealtune.attestation.azure_hcl import (
    HardwareType,
    open_runtime_claims,
    parse_hcl_report,
)
from sealtune.attestation.azure_rules import azure_rules
from sealtune.attestation.azure_tdreport import require_same_domain
from sealtune.attestation.binding import tpm_challenge
from sealtune.attestation.dcap_claims import DcapClaims
from sealtune.attestation.dcap_quote import TdReport, parse_quote
from sealtune.attestation.endorsements import NO_ENDORSEMENTS, Endorsements
from sealtune.attestation.evidence import Evidence, EvidenceKind
from sealtune.attestation.reference import AcceptedEnclave, SnpTerms
from sealtune.attestation.snp_report import Generation
from sealtune.attestation.steps import Steps
from sealtune.attestation.tpm_rules import tpm_rules
from sealtune.attestation.verified import AuthenticEvidence, SnpClaims
from sealtune.attestation.verifiers.azure import verify_azure_snp, verify_azure_tdx
from sealtune.attestation.verify import verify_evidence
from sealtune.crypto.rsa import RsaKey
from sealtune.errors import AppraisalError, Code, FreshnessError, SealtuneError
from sealtune.testing import mock_intel
from sealtune.testing.mock_amd import MockAmd, MockVek
from sealtune.testing.mock_intel import MockIntel, MockTd
from sealtune.testing.mock_tpm import (
    SHA256_REGISTERS,
    MockAzure,
    MockHcl,
    MockQuote,
    MockTpm,
    bind_runtime,
    jwk,
    tdreport,
)

REPORT_DATA = bytes(range(64))


@pytest.fixture(scope="module")
def azure(mock_amd: MockAmd, now: datetime) -> MockAzure:
    return MockAzure(amd=mock_amd, intel=MockIntel(now=now), tpm=MockTpm.generate(now=now))


def anchors_of(azure: MockAzure) -> TrustAnchors:
    return azure.amd.anchors().with_insecure_root(
        azure.intel.root, use=RootUse.INTEL_SGX, product=None
    )


def endorsements_of(azure: MockAzure) -> Endorsements:
    return azure.intel.endorsements(mock_intel.MockQuote())


Make = Callable[..., Evidence]
Check = Callable[[Evidence], AuthenticEvidence]


@pytest.fixture(params=["snp", "tdx"])
def make(request: pytest.FixtureRequest, azure: MockAzure) -> Make:
    """What makes evidence, over either processor."""
    return azure.snp_evidence if request.param == "snp" else azure.tdx_evidence


@pytest.fixture(scope="module")
def check(azure: MockAzure, now: datetime) -> Check:
    anchors, endorsements = anchors_of(azure), endorsements_of(azure)

    def verify(evidence: Evidence) -> AuthenticEvidence:
        verifier = verify_azure_snp if evidence.kind is EvidenceKind.AZURE_SNP else verify_azure_tdx
        return verifier(
            evidence, anchors=anchors, endorsements=endorsements, now=now, steps=Steps()
        )

    return verify


def refusal_of(check: Check, evidence: Evidence) -> Code:
    with pytest.raises(SealtuneError) as refusal:
        check(evidence)
    return refusal.value.code


# -- what is accepted ------------------------------------------------------------------------------


def test_a_vm_on_snp_says_both_layers(azure: MockAzure, check: Check) -> None:
    result = check(azure.snp_evidence(MockQuote(extra_data=b"asked")))
    claims = result.claims
    assert result.kind is EvidenceKind.AZURE_SNP
    assert result.root.digest == azure.amd.root
    assert result.freshness == b"asked"
    assert claims.platform == "Azure confidential VM on AMD SEV-SNP"
    assert claims.memory_protected
    assert claims.measurement == "00" * 48
    assert claims.registers == {
        f"pcr{number}": value.hex() for number, value in SHA256_REGISTERS.items()
    }
    # The field is the paravisor's, so it is nobody's to bind a contract with.
    assert claims.host_data is None
    assert claims.identity["vm_unique_id"] == "INSECURE-MOCK"
    assert claims.identity["chip_id"] == MockVek().hwid.hex()
    assert isinstance(result.detail, AzureClaims)
    assert isinstance(result.detail.hardware, SnpClaims)
    assert claims.identity["ak"] == result.detail.vtpm.ak


@pytest.mark.parametrize("td", [MockTd(), MockTd(mr_service_td=bytes(48))], ids=["v4", "v5"])
def test_a_vm_on_tdx_says_both_layers(azure: MockAzure, check: Check, td: MockTd) -> None:
    td = dataclasses.replace(td, mr_td=b"\x24" * 48)
    result = check(azure.tdx_evidence(MockQuote(extra_data=b"asked"), td=td))
    claims = result.claims
    assert result.kind is EvidenceKind.AZURE_TDX
    assert result.root.digest == azure.intel.root
    assert result.freshness == b"asked"
    assert claims.platform == "Azure confidential VM on Intel TDX"
    assert claims.measurement == "24" * 48
    assert claims.registers["pcr7"] == SHA256_REGISTERS[7].hex()
    assert claims.registers["rtmr0"] == "00" * 48
    assert claims.host_data is None
    assert claims.fields["td_quote_report_data"] == bind_runtime(azure.runtime()).hex()
    assert isinstance(result.detail, AzureClaims)
    assert isinstance(result.detail.hardware, DcapClaims)


def test_an_attestation_key_of_2023_is_taken(make: Make, azure: MockAzure, check: Check) -> None:
    keys = [jwk(azure.tpm.ak.spki, key_ops=["encrypt"])]
    runtime = azure.runtime(keys=keys, user_data=None)
    result = check(make(runtime=runtime, hcl={"version": 1}))
    assert result.claims.fields["user_data"] == ""
    assert result.claims.fields["hcl"]["ver"] == 1


def test_other_keys_beside_it_are_nobodys_business(
    make: Make, azure: MockAzure, check: Check
) -> None:
    other = jwk(RsaKey.generate(2048).spki, kid="HCLEkPub", key_ops=["encrypt"])
    check(make(runtime=azure.runtime(keys=[other, jwk(azure.tpm.ak.spki)])))


def test_settings_that_are_not_told_are_none(azure: MockAzure, check: Check) -> None:
    result = check(azure.snp_evidence(runtime=azure.runtime(vm_configuration=None)))
    assert isinstance(result.detail, AzureClaims)
    assert result.detail.vtpm.runtime.setting("secure-boot") is None
    assert "vm_unique_id" not in result.claims.identity


def test_freshness_is_what_the_vtpm_quoted(azure: MockAzure, now: datetime) -> None:
    def verify(extra_data: bytes) -> None:
        verify_evidence(
            azure.snp_evidence(MockQuote(extra_data=extra_data)),
            report_data=REPORT_DATA,
            anchors=anchors_of(azure),
            endorsements=NO_ENDORSEMENTS,
            now=now,
            steps=Steps(),
        )

    expected = tpm_challenge(REPORT_DATA)
    verify(expected)
    for other in (expected[:-1], expected + b"\0", b"", REPORT_DATA, bytes(32)):
        with pytest.raises(FreshnessError) as refusal:
            verify(other)
        assert refusal.value.code is Code.FRESHNESS


# -- the HCL report --------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("hcl", "code"),
    [
        ({"version": 0}, Code.EVIDENCE_VERSION),
        ({"version": 3}, Code.EVIDENCE_VERSION),
        ({"data_version": 2}, Code.EVIDENCE_VERSION),
        ({"request_type": 1}, Code.EVIDENCE_MALFORMED),
        ({"report_type": 1}, Code.EVIDENCE_KIND),
        ({"report_type": 3}, Code.EVIDENCE_KIND),
        ({"hash_type": 0}, Code.EVIDENCE_MALFORMED),
        ({"hash_type": 2}, Code.EVIDENCE_MALFORMED),
        ({"hash_type": 3}, Code.EVIDENCE_MALFORMED),
        ({"status": 1}, Code.EVIDENCE_MALFORMED),
        ({"reserved": b"\1" + bytes(11)}, Code.EVIDENCE_MALFORMED),
        ({"tail": bytes(99) + b"\1"}, Code.EVIDENCE_MALFORMED),
        ({"report_size": 1236}, Code.EVIDENCE_MALFORMED),
        ({"data_size": 20}, Code.EVIDENCE_MALFORMED),
        ({"variable_size": 0}, Code.EVIDENCE_MALFORMED),
        ({"variable_size": 2**32 - 1}, Code.EVIDENCE_MALFORMED),
        ({"tail": bytes(8192)}, Code.LIMIT_EXCEEDED),
    ],
    ids=lambda value: str(value)[:32],
)
def test_another_form_is_refused(
    make: Make, check: Check, hcl: Mapping[str, Any], code: Code
) -> None:
    assert refusal_of(check, make(hcl=hcl)) is code


def test_evidence_of_one_processor_does_not_pass_for_the_other(
    azure: MockAzure, check: Check
) -> None:
    snp, tdx = azure.snp_evidence(), azure.tdx_evidence()
    assert refusal_of(check, azure.snp_evidence(hcl={"report_type": 4})) is Code.EVIDENCE_KIND
    assert refusal_of(check, azure.tdx_evidence(hcl={"report_type": 2})) is Code.EVIDENCE_KIND
    swapped = dataclasses.replace(tdx, report=snp.report)
    assert refusal_of(check, swapped) is Code.EVIDENCE_KIND
    relabelled = azure.tdx_evidence(hardware=azure.amd.evidence().report)
    assert refusal_of(check, relabelled) is Code.EVIDENCE_MALFORMED
    stretched = azure.tdx_evidence(hardware=tdreport(MockTd()) + b"\1")
    assert refusal_of(check, stretched) is Code.EVIDENCE_MALFORMED


def test_a_longer_digest_input_is_refused(azure: MockAzure) -> None:
    # The claims with the zeros after them, as a reader that takes data_size would hash them.
    runtime = azure.runtime()
    padded = MockHcl(hardware=bytes(1184), runtime=runtime + bytes(20), tail=bytes(80)).encode()
    hcl = parse_hcl_report(padded, hardware_type=HardwareType.SNP)
    with pytest.raises(SealtuneError) as refusal:
        open_runtime_claims(hcl, report_data=bind_runtime(runtime))
    assert refusal.value.code is Code.EVIDENCE_VTPM_BINDING


def test_a_cut_report_is_refused(check: Check, make: Make) -> None:
    evidence = make()
    for size in (0, 3, 32, 1216, 1235, 1236, len(evidence.report) - 101):
        cut = dataclasses.replace(evidence, report=evidence.report[:size])
        assert refusal_of(check, cut) is Code.EVIDENCE_MALFORMED
    renamed = dataclasses.replace(evidence, report=b"HCLB" + evidence.report[4:])
    assert refusal_of(check, renamed) is Code.EVIDENCE_MALFORMED


# -- report_data binds the claims ------------------------------------------------------------------


def test_any_changed_byte_of_the_claims_is_refused(azure: MockAzure, check: Check) -> None:
    bound = bind_runtime(azure.runtime())
    for place in range(0, len(azure.runtime()), 37):
        runtime = bytearray(azure.runtime())
        runtime[place] ^= 1
        evidence = azure.snp_evidence(runtime=bytes(runtime), report_data=bound)
        assert refusal_of(check, evidence) is Code.EVIDENCE_VTPM_BINDING


@pytest.mark.parametrize("place", [0, 31, 32, 63])
def test_report_data_is_the_digest_and_zeros(azure: MockAzure, check: Check, place: int) -> None:
    bound = bytearray(bind_runtime(azure.runtime()))
    bound[place] ^= 1
    evidence = azure.snp_evidence(report_data=bytes(bound))
    assert refusal_of(check, evidence) is Code.EVIDENCE_VTPM_BINDING
    evidence = azure.tdx_evidence(td=MockTd(report_data=bytes(bound)))
    assert refusal_of(check, evidence) is Code.EVIDENCE_VTPM_BINDING


def test_the_hcl_report_of_another_vm_is_refused(
    azure: MockAzure, check: Check, make: Make, now: datetime
) -> None:
    other = MockAzure(amd=azure.amd, intel=azure.intel, tpm=MockTpm.generate(now=now))
    mine = make()
    theirs = other.snp_evidence() if mine.kind is EvidenceKind.AZURE_SNP else other.tdx_evidence()
    crossed = dataclasses.replace(mine, parts={**mine.parts, **other.parts()})
    assert refusal_of(check, crossed) is Code.EVIDENCE_SIGNATURE
    crossed = dataclasses.replace(theirs, parts={**theirs.parts, **azure.parts()})
    assert refusal_of(check, crossed) is Code.EVIDENCE_SIGNATURE


@pytest.mark.parametrize(
    ("runtime", "code"),
    [
        (b"", Code.EVIDENCE_MALFORMED),
        (b"[]", Code.EVIDENCE_MALFORMED),
        (b"{", Code.JSON_MALFORMED),
        (b'{"keys":[],"keys":[]}', Code.JSON_MALFORMED),
        (b"{}", Code.EVIDENCE_MALFORMED),
        (b'{"keys":{}}', Code.EVIDENCE_MALFORMED),
        (b'{"keys":[]}', Code.EVIDENCE_MALFORMED),
        (b'{"keys":[1]}', Code.EVIDENCE_MALFORMED),
        (b'{"keys":[{}]}', Code.EVIDENCE_VTPM_BINDING),
        (b'{"keys":[{},{},{},{},{},{},{},{},{}]}', Code.EVIDENCE_MALFORMED),
    ],
    ids=["empty", "list", "cut", "twice", "none", "object", "no-key", "number", "unnamed", "many"],
)
def test_claims_without_one_attestation_key_are_refused(
    make: Make, check: Check, runtime: bytes, code: Code
) -> None:
    if not runtime:
        # No claims at all: the report says so in its own lengths, and binds the empty digest.
        code = Code.JSON_MALFORMED
    assert refusal_of(check, make(runtime=runtime)) is code


@pytest.mark.parametrize(
    ("changes", "code"),
    [
        ({"kid": "HCLEkPub"}, Code.EVIDENCE_VTPM_BINDING),
        ({"kid": None}, Code.EVIDENCE_VTPM_BINDING),
        ({"kty": "EC"}, Code.EVIDENCE_VTPM_BINDING),
        ({"key_ops": ["decrypt"]}, Code.EVIDENCE_VTPM_BINDING),
        ({"key_ops": "sign"}, Code.EVIDENCE_VTPM_BINDING),
        ({"key_ops": []}, Code.EVIDENCE_VTPM_BINDING),
        ({"e": "AQAB="}, Code.EVIDENCE_MALFORMED),
        ({"e": 65537}, Code.EVIDENCE_MALFORMED),
        ({"e": "AQABAQE"}, Code.EVIDENCE_MALFORMED),
        ({"e": "AA"}, Code.PUBLIC_KEY_MALFORMED),
        ({"n": "AQAB"}, Code.PUBLIC_KEY_MALFORMED),
        ({"n": None}, Code.EVIDENCE_MALFORMED),
    ],
    ids=str,
)
def test_a_key_that_is_no_attestation_key_is_refused(
    azure: MockAzure, check: Check, changes: dict[str, Any], code: Code
) -> None:
    runtime = azure.runtime(keys=[jwk(azure.tpm.ak.spki, **changes)])
    assert refusal_of(check, azure.snp_evidence(runtime=runtime)) is code


def test_two_attestation_keys_are_refused(make: Make, azure: MockAzure, check: Check) -> None:
    # Readers that take the first and readers that take the last would trust different keys.
    keys = [jwk(azure.tpm.ak.spki), jwk(RsaKey.generate(2048).spki)]
    for listing in (keys, keys[::-1], [keys[0], keys[0]]):
        evidence = make(runtime=azure.runtime(keys=listing))
        assert refusal_of(check, evidence) is Code.EVIDENCE_VTPM_BINDING


@pytest.mark.parametrize(
    "changes",
    [
        {"vm_configuration": []},
        {"user_data": 0},
        {"user_data": "0"},
        {"user_data": "zz"},
        {"user_data": "00" * 65},
    ],
    ids=str,
)
def test_other_claims_are_refused(azure: MockAzure, check: Check, changes: dict[str, Any]) -> None:
    evidence = azure.snp_evidence(runtime=azure.runtime(**changes))
    assert refusal_of(check, evidence) is Code.EVIDENCE_MALFORMED


# -- the vTPM's quote ------------------------------------------------------------------------------


@pytest.mark.parametrize("part", ["tpm_quote", "tpm_signature", "pcrs"])
def test_a_missing_part_is_refused(make: Make, check: Check, part: str) -> None:
    evidence = make()
    parts = {name: data for name, data in evidence.parts.items() if name != part}
    assert refusal_of(check, dataclasses.replace(evidence, parts=parts)) is Code.EVIDENCE_MALFORMED


def test_an_unknown_part_is_refused(make: Make, azure: MockAzure, check: Check) -> None:
    assert refusal_of(check, make(ak_public=b"x")) is Code.EVIDENCE_MALFORMED
    assert refusal_of(check, azure.snp_evidence(td_quote=b"x")) is Code.EVIDENCE_MALFORMED


def test_a_quote_with_another_nonce_than_was_signed_is_refused(
    make: Make, azure: MockAzure, check: Check
) -> None:
    signature = azure.parts()["tpm_signature"]
    evidence = make(MockQuote(extra_data=b"newer"), tpm_signature=signature)
    assert refusal_of(check, evidence) is Code.EVIDENCE_SIGNATURE


@pytest.mark.parametrize("size", [0, 255, 257, 262])
def test_a_signature_of_another_length_is_refused(
    make: Make, azure: MockAzure, check: Check, size: int
) -> None:
    signature = azure.parts()["tpm_signature"].ljust(size, b"\0")[:size]
    assert refusal_of(check, make(tpm_signature=signature)) is Code.EVIDENCE_SIGNATURE


@pytest.mark.parametrize("count", [23, 25])
def test_a_list_of_more_or_fewer_registers_is_refused(make: Make, check: Check, count: int) -> None:
    values = (MockQuote().values + bytes(32))[: 32 * count]
    assert refusal_of(check, make(pcrs=values)) is Code.EVIDENCE_PCR_DIGEST


def test_a_changed_register_is_refused(make: Make, check: Check) -> None:
    values = bytearray(MockQuote().values)
    values[7 * 32] ^= 1
    assert refusal_of(check, make(pcrs=bytes(values))) is Code.EVIDENCE_PCR_DIGEST


def test_an_event_log_must_give_the_registers(make: Make, check: Check) -> None:
    assert refusal_of(check, make(event_log=b"no log")) is Code.EVENT_LOG_MALFORMED


# -- the hardware ----------------------------------------------------------------------------------


def test_a_forged_snp_report_is_refused(azure: MockAzure, check: Check) -> None:
    evidence = azure.snp_evidence()
    for place, code in (
        (32 + 0x90, Code.EVIDENCE_SIGNATURE),
        (32 + 0x330, Code.EVIDENCE_MALFORMED),
    ):
        changed = bytearray(evidence.report)
        changed[place] ^= 1
        assert refusal_of(check, dataclasses.replace(evidence, report=bytes(changed))) is code


def test_a_forged_td_quote_is_refused(azure: MockAzure, check: Check) -> None:
    evidence = azure.tdx_evidence()
    quote = bytearray(evidence.parts["td_quote"])
    quote[28] ^= 1  # user data, which the signature covers and nothing else reads
    changed = dataclasses.replace(evidence, parts={**evidence.parts, "td_quote": bytes(quote)})
    assert refusal_of(check, changed) is Code.EVIDENCE_SIGNATURE


def test_an_sgx_quote_is_no_trust_domain(azure: MockAzure, check: Check) -> None:
    quote = azure.intel.quote(mock_intel.SGX_QUOTE)
    assert refusal_of(check, azure.tdx_evidence(td_quote=quote)) is Code.EVIDENCE_KIND


def test_a_trust_domain_that_is_open_to_the_host_is_refused_last(
    azure: MockAzure, check: Check
) -> None:
    open_td = MockTd(td_attributes=bytes(8))
    assert refusal_of(check, azure.tdx_evidence(td=open_td)) is Code.APPRAISAL_POLICY
    broken = azure.tdx_evidence(td=open_td, pcrs=bytes(24 * 32))
    assert refusal_of(check, broken) is Code.EVIDENCE_PCR_DIGEST


@pytest.mark.parametrize(
    "changes",
    [
        {"tee_tcb_svn": b"\7" * 16},
        {"mr_seam": b"\7" * 48},
        {"mr_signer_seam": b"\7" * 48},
        {"td_attributes": b"\7" * 8},
        {"xfam": b"\7" * 8},
        {"mr_td": b"\7" * 48},
        {"mr_config_id": b"\7" * 48},
        {"mr_owner": b"\7" * 48},
        {"mr_owner_config": b"\7" * 48},
        {"rt_mr": (bytes(48), bytes(48), bytes(48), b"\7" * 48)},
        {"report_data": b"\7" * 64},
        {"tee_tcb_svn2": b"\7" * 16},
        {"mr_service_td": b"\7" * 48},
    ],
    ids=lambda changes: next(iter(changes)),
)
def test_a_tdreport_of_another_trust_domain_is_refused(
    azure: MockAzure, check: Check, changes: dict[str, Any]
) -> None:
    td = MockTd(report_data=bind_runtime(azure.runtime()), mr_service_td=bytes(48))
    other = tdreport(dataclasses.replace(td, **changes))
    evidence = azure.tdx_evidence(td=td, hardware=other)
    assert refusal_of(check, evidence) is Code.EVIDENCE_VTPM_BINDING
    if changes.keys() & {"tee_tcb_svn2", "mr_service_td"}:
        older = parse_quote(azure.intel.quote(mock_intel.MockQuote(body=MockTd()))).body
        assert isinstance(older, TdReport)
        require_same_domain(tdreport(MockTd(**changes)), older)


# -- appraisal -------------------------------------------------------------------------------------


def enclave_for(azure: MockAzure, **changes: Any) -> AcceptedEnclave:
    terms = SnpTerms(
        minimum_tcb={Generation.GENOA: {"bl": 0, "tee": 0, "snp": 0, "ucode": 0}},
        vmpl=frozenset({0}),
        chip_ids=None,
        csp_ids=frozenset(),
        required_policy=frozenset(),
        required_platform=frozenset(),
        minimum_mitigations=0,
        require_crl=False,
    )
    fields: dict[str, Any] = {
        "name": "simulated",
        "kind": EvidenceKind.AZURE_SNP,
        "measurements": frozenset({"00" * 48}),
        "registers": {
            "pcr4": frozenset({SHA256_REGISTERS[4].hex()}),
            "pcr9": frozenset({SHA256_REGISTERS[9].hex()}),
        },
        "contract_at_launch": False,
        "snp": terms,
        "dcap": None,
        "tpm": None,
        "devices": (),
        "insecure_accept_simulated": True,
        "simulated_root": azure.amd.root,
    }
    return AcceptedEnclave(**{**fields, **changes})


def failed_rules(azure: MockAzure, check: Check, runtime: bytes, **changes: Any) -> set[str]:
    result = check(azure.snp_evidence(runtime=runtime))
    assert isinstance(result.detail, AzureClaims)
    rules = azure_rules(result.detail.vtpm, enclave_for(azure, **changes))
    assert all((rule.code is None) == rule.passed for rule in rules)
    return {rule.rule for rule in rules if not rule.passed}


PCR0 = {"pcr0": frozenset({"00" * 32})}
PCR7 = {"pcr7": frozenset({"00" * 32})}


@pytest.mark.parametrize(
    ("configuration", "changes", "failed"),
    [
        ({"secure-boot": True, "tpm-enabled": True}, {"registers": PCR0}, set()),
        ({"secure-boot": False}, {"registers": PCR0}, {"secure-boot"}),
        ({"secure-boot": "true"}, {"registers": PCR0}, {"secure-boot"}),
        ({}, {"registers": PCR0}, {"secure-boot"}),
        ({"secure-boot": False}, {"registers": PCR7}, set()),
        ({"secure-boot": True, "tpm-enabled": False}, {"registers": PCR7}, {"vtpm"}),
        ({"secure-boot": False}, {"registers": {}, "measurements": None}, set()),
    ],
    ids=[
        "as-agreed",
        "no-secure-boot",
        "no-boolean",
        "not-told",
        "measured-instead",
        "no-vtpm",
        "a-look",
    ],
)
def test_the_paravisors_own_words_are_heard(
    azure: MockAzure,
    check: Check,
    configuration: dict[str, Any],
    changes: dict[str, Any],
    failed: set[str],
) -> None:
    runtime = azure.runtime(vm_configuration=configuration)
    assert failed_rules(azure, check, runtime, **changes) == failed


def test_the_spec_has_every_rule() -> None:
    spec = (Path(__file__).resolve().parents[2] / "docs" / "spec" / "attestation.md").read_text()
    for module in (azure_rules, tpm_rules):
        source = Path(module.__code__.co_filename).read_text()
        names = re.findall(r'rule_result\(\s*"([a-z-]+)"', source)
        assert names
        assert all(f"`{name}`:" in spec for name in names)


def test_a_vm_is_accepted_by_its_registers_and_by_nothing_less(
    azure: MockAzure, now: datetime
) -> None:
    verified = verify_evidence(
        azure.snp_evidence(MockQuote(extra_data=tpm_challenge(REPORT_DATA))),
        report_data=REPORT_DATA,
        anchors=anchors_of(azure),
        endorsements=NO_ENDORSEMENTS,
        now=now,
        steps=Steps(),
    )
    result = appraise(verified, accepted=[enclave_for(azure)], host_data=bytes(32))
    assert result.insecure
    for registers, code in (
        ({}, Code.APPRAISAL_REGISTER),
        ({"pcr4": frozenset({"00" * 32})}, Code.APPRAISAL_REGISTER),
    ):
        with pytest.raises(AppraisalError) as refusal:
            appraise(
                verified, accepted=[enclave_for(azure, registers=registers)], host_data=bytes(32)
            )
        assert refusal.value.code is code


def test_fields_are_json(make: Make, check: Check) -> None:
    claims = check(make()).claims
    assert json.loads(json.dumps(dict(claims.fields)))["tpm_quote"]["trailing"] == 0
    assert json.dumps(claims.to_dict())
