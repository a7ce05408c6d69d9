"""A look at evidence: verdicts, what is left open, and that nothing is left open silently."""

from __future__ import annotations

import dataclasses
import json
from datetime import datetime
from functools import cache
from pathlib import Path
from typing import Any

import pytest

import sealtune
from sealtune.attestation.anchors import Product, RootUse, TrustAnchors
from sealtune.attestation.binding import device_challenge, tpm_challenge
from sealtune.attestation.endorsements import (
    NO_ENDORSEMENTS,
    Endorsement,
    Endorsements,
    EndorsementType,
)
from sealtune.attestation.evidence import Evidence
from sealtune.attestation.examine import (
    Examination,
    Question,
    Verdict,
    examine,
    refused_examination,
)
from sealtune.attestation.examine_default import default_enclave
from sealtune.attestation.reference import AcceptedEnclave
from sealtune.attestation.steps import Outcome, Steps
from sealtune.attestation.verify import authenticate_evidence
from sealtune.core.digest import sha256_digest
from sealtune.errors import Code, FormatError
from sealtune.testing.mock_amd import MockAmd, MockVek, changed_enclave
from sealtune.testing.mock_intel import MockIntel, MockQuote, MockTd, tcb_level
from sealtune.testing.mock_nitro import MockNitro
from sealtune.testing.mock_nvidia import MockDevice, MockNvidia, MockReport, MockRim
from sealtune.testing.mock_tpm import MockQuote as MockTpmQuote
from sealtune.testing.mock_tpm import MockTpm

BOUND = bytes(range(64))
NOTHING = Question(accepted=None, report_data=None, host_data=None)
ANSWERS = Question(accepted=None, report_data=BOUND, host_data=None)


@cache
def _nvidia(now: datetime, number: int) -> MockNvidia:
    return MockNvidia(now=now)


def nvidia(now: datetime, number: int = 1) -> MockNvidia:
    """A mock of NVIDIA; devices of one mock share their keys, so each number is a device."""
    return _nvidia(now, number)


def nvidia_anchors(now: datetime) -> TrustAnchors:
    anchors = nvidia(now).anchors
    root = sha256_digest(nvidia(now, 2).device_root)
    return anchors.with_insecure_root(root, use=RootUse.NVIDIA_DEVICE, product=None)


def with_root(anchors: TrustAnchors, amd: MockAmd) -> TrustAnchors:
    return anchors.with_insecure_root(amd.root, use=RootUse.AMD_ARK, product=Product.GENOA)


def look(
    *found: Evidence,
    anchors: TrustAnchors,
    now: datetime,
    question: Question = NOTHING,
    endorsements: Endorsements = NO_ENDORSEMENTS,
) -> Examination:
    result = examine(found, question=question, anchors=anchors, endorsements=endorsements, now=now)
    # Whatever came out can be printed, and says of a refusal which step it was.
    json.dumps(result.to_dict(), allow_nan=False)
    failed = [step for step in result.steps if step.outcome is Outcome.FAILED]
    assert bool(failed) == (result.verdict is Verdict.REFUSE) == (result.code is not None)
    return result


def outcome(examination: Examination, name: str) -> Outcome | None:
    """How the last step of that name ended."""
    found = [step.outcome for step in examination.steps if step.name == name]
    return found[-1] if found else None


# -- without a policy ------------------------------------------------------------------------------


@pytest.fixture
def snp(mock_amd: MockAmd, now: datetime) -> Any:
    def call(question: Question = NOTHING, **changes: Any) -> Examination:
        vek = changes.pop("vek", None)
        evidence = mock_amd.evidence(vek=vek, **changes)
        product = vek.product if vek else Product.GENOA
        return look(evidence, anchors=mock_amd.anchors(product), now=now, question=question)

    return call


def test_what_no_policy_asks_is_skipped_and_said(snp: Any) -> None:
    found = snp(measurement=b"\x5e" * 48)
    assert found.verdict is Verdict.ACCEPT
    assert found.code is None
    assert found.insecure  # the mock's root
    for name in ("measurement", "registers", "host-data", "generation", "tcb", "identity"):
        assert outcome(found, name) is Outcome.SKIPPED, name
    for name in ("signature", "debug", "migration", "vmpl", "memory", "root"):
        assert outcome(found, name) is Outcome.PASSED, name
    assert outcome(found, "freshness") is Outcome.SKIPPED
    assert found.claims["authenticated"] is True
    assert found.claims["measurement"] == "5e" * 48
    assert found.claims["fields"]["measurement"] == "5e" * 48
    assert found.claims["freshness"] == "00" * 64
    assert found.type == "sev-snp"


POLICY_DEBUG, POLICY_MIGRATE = 1 << 19, 1 << 18


@pytest.mark.parametrize(
    ("changes", "code"),
    [
        ({"policy": 0x30000 | POLICY_DEBUG}, Code.APPRAISAL_DEBUG),
        ({"policy": 0x30000 | POLICY_MIGRATE}, Code.APPRAISAL_POLICY),
        ({"policy": 0x30000 | 1 << 40}, Code.APPRAISAL_POLICY),
        ({"vmpl": 1}, Code.APPRAISAL_VMPL),
        ({"vmpl": 3}, Code.APPRAISAL_VMPL),
    ],
)
def test_what_is_asked_without_a_policy(snp: Any, changes: dict[str, Any], code: Code) -> None:
    found = snp(**changes)
    assert found.verdict is Verdict.REFUSE
    assert found.code is code
    # Genuine all the same, and said so; what came before stays listed.
    assert found.claims["authenticated"] is True
    assert outcome(found, "signature") is Outcome.PASSED
    assert outcome(found, "measurement") is Outcome.SKIPPED
    assert found.result is None


def test_any_provider_of_vleks_and_any_product(snp: Any) -> None:
    from sealtune.attestation.snp_report import Signer

    vlek = MockVek(signer=Signer.VLEK, csp_id="CN=somebody.example")
    assert snp(vek=vlek).verdict is Verdict.ACCEPT


def test_a_challenge_is_compared_if_given(snp: Any) -> None:
    fresh = snp(ANSWERS, report_data=BOUND)
    assert fresh.verdict is Verdict.ACCEPT
    assert outcome(fresh, "freshness") is Outcome.PASSED
    stale = snp(ANSWERS, report_data=BOUND[:63] + b"\0")
    assert stale.code is Code.FRESHNESS
    assert stale.claims["authenticated"] is True


def test_what_is_not_authentic_is_shown_and_not_vouched_for(
    mock_amd: MockAmd, now: datetime
) -> None:
    evidence = mock_amd.evidence()
    report = bytearray(evidence.report)
    report[0x090] ^= 1
    changed = dataclasses.replace(evidence, report=bytes(report))
    found = look(changed, anchors=mock_amd.anchors(), now=now)
    assert found.code is Code.EVIDENCE_SIGNATURE
    assert found.claims["authenticated"] is False
    assert found.claims["fields"]["measurement"].startswith("01")
    assert "measurement" not in found.claims
    assert not found.insecure
    assert found.verified is None
    assert [step.name for step in found.steps][-1] == "evidence-signature"


def test_a_root_that_nobody_named_is_refused(mock_amd: MockAmd, now: datetime) -> None:
    found = look(mock_amd.evidence(), anchors=sealtune.vendor_anchors(), now=now)
    assert found.code is Code.EVIDENCE_ROOT


def test_what_cannot_be_read_is_a_result_too() -> None:
    found = refused_examination(FormatError(Code.EVIDENCE_MALFORMED, "no"), type_="unknown")
    assert found.to_dict() == {
        "verdict": "refuse",
        "code": "evidence-malformed",
        "type": "unknown",
        "insecure": False,
        "claims": {"authenticated": False, "fields": {}},
        "steps": [{"step": "evidence-malformed", "outcome": "failed", "reason": "no"}],
    }


def test_nothing_is_nothing(now: datetime) -> None:
    with pytest.raises(ValueError, match="nothing"):
        look(anchors=sealtune.vendor_anchors(), now=now)


# -- Intel -----------------------------------------------------------------------------------------


@cache
def intel(now: datetime) -> MockIntel:
    return MockIntel(now=now)


def tdx(now: datetime, status: str, **td: Any) -> Examination:
    mock = intel(now)
    quote = MockQuote(body=MockTd(**td))
    levels = [tcb_level(quote.pck, is_td=True, status=status, advisories=("INTEL-SA-00001",))]
    info = mock.tcb_info(quote.pck, is_td=True, tcbLevels=levels)
    return look(
        mock.evidence(quote),
        anchors=mock.anchors(),
        endorsements=mock.endorsements(quote, tcb_info=info),
        now=now,
    )


@pytest.mark.parametrize(
    "status",
    ["UpToDate", "SWHardeningNeeded", "ConfigurationNeeded", "ConfigurationAndSWHardeningNeeded"],
)
def test_platforms_that_are_not_out_of_date(now: datetime, status: str) -> None:
    found = tdx(now, status)
    assert found.verdict is Verdict.ACCEPT, found.refusal
    assert found.claims["tcb"]["status"] == status
    for name in ("tcb-advisories", "tcb-evaluation", "endorsements-age", "platform-flags"):
        assert outcome(found, name) is Outcome.SKIPPED


@pytest.mark.parametrize("status", ["OutOfDate", "OutOfDateConfigurationNeeded", "Revoked"])
def test_platforms_that_are_out_of_date(now: datetime, status: str) -> None:
    assert tdx(now, status).code in (Code.APPRAISAL_TCB_STATUS, Code.EVIDENCE_TCB_LEVEL)


def test_debug_is_refused_and_decoded(now: datetime) -> None:
    found = tdx(now, "UpToDate", td_attributes=(1 << 28 | 1).to_bytes(8, "little"))
    assert found.code is Code.APPRAISAL_DEBUG
    assert found.claims["fields"]["fields"]["debug"] is True


def test_without_endorsements_intel_vouches_for_nothing(now: datetime) -> None:
    mock = intel(now)
    found = look(mock.evidence(MockQuote()), anchors=mock.anchors(), now=now)
    assert found.code is Code.ENDORSEMENT_MISSING


# -- TPM and Nitro ---------------------------------------------------------------------------------


@cache
def tpm(now: datetime) -> MockTpm:
    return MockTpm.generate(now=now)


@pytest.mark.parametrize("certified", [True, False])
def test_a_tpm_is_accepted_with_a_warning(now: datetime, certified: bool) -> None:
    mock = tpm(now)
    evidence = mock.evidence(certificates=None if certified else ())
    found = look(evidence, anchors=mock.anchors(), now=now)
    assert found.verdict is Verdict.ACCEPT
    assert outcome(found, "memory") is Outcome.SKIPPED
    assert any("NOT PROTECTED" in step.reason for step in found.steps)
    assert outcome(found, "key chain") is (Outcome.PASSED if certified else Outcome.SKIPPED)
    assert found.claims["memory_protected"] is False
    assert found.insecure is certified


def test_a_tpm_answers_the_digest_of_the_challenge(now: datetime) -> None:
    mock = tpm(now)
    quote = MockTpmQuote(extra_data=tpm_challenge(BOUND))
    found = look(mock.evidence(quote), anchors=mock.anchors(), now=now, question=ANSWERS)
    assert found.verdict is Verdict.ACCEPT
    raw = MockTpmQuote(extra_data=BOUND[:32])
    found = look(mock.evidence(raw), anchors=mock.anchors(), now=now, question=ANSWERS)
    assert found.code is Code.FRESHNESS


def test_a_nitro_enclave_in_debug_mode_is_refused(now: datetime) -> None:
    mock = MockNitro(now=now)
    assert look(mock.evidence(), anchors=mock.anchors, now=now).verdict is Verdict.ACCEPT
    zeros = {index: bytes(48) for index in range(16)}
    found = look(mock.evidence(pcrs=zeros), anchors=mock.anchors, now=now)
    assert found.code is Code.APPRAISAL_DEBUG


# -- devices ---------------------------------------------------------------------------------------


def devices(now: datetime, *serials: int, **report: Any) -> tuple[Evidence, ...]:
    return tuple(
        nvidia(now, serial).evidence(
            MockReport(**report), device=MockDevice(serial=serial, leaf_serial=serial)
        )
        for serial in serials
    )


def test_devices_without_their_machine(now: datetime) -> None:
    found = look(*devices(now, 1, 2), anchors=nvidia_anchors(now), now=now)
    assert found.verdict is Verdict.ACCEPT
    assert found.type == "nvidia-gpu"
    assert [one["identity"]["ueid"] for one in found.claims["devices"]] == ["1", "2"]
    assert "platform" not in found.claims
    assert outcome(found, "device freshness") is Outcome.SKIPPED
    assert outcome(found, "device 1: driver RIM") is Outcome.SKIPPED


def test_one_device_is_shown_as_a_machine_is(now: datetime) -> None:
    found = look(*devices(now, 1), anchors=nvidia_anchors(now), now=now)
    assert found.claims["platform"] == "NVIDIA GPU"
    assert len(found.claims["devices"]) == 1


def test_a_device_twice_is_refused(now: datetime) -> None:
    one, _other = devices(now, 1, 2)
    found = look(one, one, anchors=nvidia_anchors(now), now=now)
    assert found.code is Code.DEVICE_DUPLICATE
    assert len(found.claims["devices"]) == 2


def test_devices_that_answered_different_nonces_are_refused(now: datetime) -> None:
    one, two = *devices(now, 1), *devices(now, 2, nonce=b"\1" * 32)
    assert look(one, two, anchors=nvidia_anchors(now), now=now).code is Code.FRESHNESS


def test_devices_answer_the_challenge_that_follows(now: datetime) -> None:
    anchors = nvidia_anchors(now)
    good = devices(now, 1, 2, nonce=device_challenge(BOUND))
    found = look(*good, anchors=anchors, now=now, question=ANSWERS)
    assert found.verdict is Verdict.ACCEPT
    assert outcome(found, "device freshness") is Outcome.PASSED
    found = look(*devices(now, 1), anchors=anchors, now=now, question=ANSWERS)
    assert found.code is Code.FRESHNESS


def test_the_second_device_refuses_and_the_first_is_told(now: datetime) -> None:
    one, two = devices(now, 1, 2)
    spoilt = dataclasses.replace(two, report=two.report[:-1] + bytes((two.report[-1] ^ 1,)))
    found = look(one, spoilt, anchors=nvidia_anchors(now), now=now)
    assert found.code is Code.EVIDENCE_SIGNATURE
    assert [one["authenticated"] for one in found.claims["devices"]] == [True, False]
    assert outcome(found, "device 0: signature") is Outcome.PASSED
    assert outcome(found, "device 1: chain") is Outcome.PASSED
    assert found.insecure


def test_a_debuggable_device_is_refused(now: datetime, monkeypatch: pytest.MonkeyPatch) -> None:
    from sealtune.attestation import nvidia_device

    monkeypatch.setattr(nvidia_device, "_debug", lambda _: True)
    found = look(*devices(now, 1), anchors=nvidia_anchors(now), now=now)
    assert found.code is Code.APPRAISAL_DEBUG


def test_a_policy_is_not_satisfied_by_devices_alone(now: datetime, mock_amd: MockAmd) -> None:
    question = dataclasses.replace(NOTHING, accepted=(mock_amd.insecure_enclave(),))
    found = look(*devices(now, 1), anchors=nvidia_anchors(now), now=now, question=question)
    assert found.code is Code.APPRAISAL_KIND


@pytest.mark.parametrize("matches", [True, False])
def test_reference_values_count_where_they_are_given(now: datetime, matches: bool) -> None:
    mock = nvidia(now)
    rim = MockRim() if matches else MockRim(measurements={7: (b"\1" * 48,)})
    given = Endorsement(type=EndorsementType.NVIDIA_RIM, data=mock.rim(rim))
    found = look(
        *devices(now, 1),
        anchors=mock.anchors,
        now=now,
        endorsements=Endorsements(items=(given,)),
    )
    assert found.code is (None if matches else Code.RIM_MISMATCH)
    if matches:
        assert outcome(found, "device 0: driver RIM") is Outcome.PASSED
        assert outcome(found, "device 0: VBIOS RIM") is Outcome.SKIPPED


def test_the_chain_of_a_bare_report_is_found_by_its_signature(
    now: datetime, mock_amd: MockAmd
) -> None:
    mock, other = nvidia(now), nvidia(now, 2)
    (evidence,) = devices(now, 1)
    strangers = other.chain(MockDevice(serial=8))
    beside = tuple(
        Endorsement(type=EndorsementType.X509_CERTIFICATE, data=data)
        for data in (*strangers, *reversed(evidence.certificates))
    )
    bare = dataclasses.replace(evidence, certificates=())
    found = look(bare, anchors=mock.anchors, now=now, endorsements=Endorsements(items=beside))
    assert found.verdict is Verdict.ACCEPT, found.refusal
    assert found.claims["fields"]["ueid"] == "1"
    # A key of AMD's is P-384 too, and no device's.
    amd = (
        Endorsement(type=EndorsementType.X509_CERTIFICATE, data=data)
        for data in mock_amd.chain(MockVek())
    )
    only = Endorsements(items=(*amd, *beside[: len(strangers)]))
    refused = look(bare, anchors=nvidia_anchors(now), now=now, endorsements=only)
    assert refused.code is Code.EVIDENCE_SIGNATURE
    none = look(bare, anchors=mock.anchors, now=now)
    assert none.code is Code.ENDORSEMENT_MISSING
    assert none.claims["fields"]["driver"] == "550.90.07"


# -- composite -------------------------------------------------------------------------------------


@pytest.fixture
def composite(mock_amd: MockAmd, now: datetime) -> Any:
    def call(*given: Evidence, question: Question = NOTHING, **changes: Any) -> Examination:
        machine = mock_amd.evidence(report_data=BOUND, **changes)
        anchors = with_root(nvidia_anchors(now), mock_amd)
        whole = dataclasses.replace(machine, devices=given)
        return look(whole, anchors=anchors, now=now, question=question)

    return call


def test_devices_of_this_machine(composite: Any, now: datetime) -> None:
    found = composite(*devices(now, 1, 2, nonce=device_challenge(BOUND)))
    assert found.verdict is Verdict.ACCEPT
    assert found.type == "sev-snp"
    assert len(found.claims["devices"]) == 2
    assert outcome(found, "device freshness") is Outcome.PASSED
    assert outcome(found, "distinct devices") is Outcome.PASSED


def test_devices_of_nobody_knows_which_machine(composite: Any, now: datetime) -> None:
    found = composite(*devices(now, 1))
    assert found.verdict is Verdict.ACCEPT
    assert outcome(found, "device freshness") is Outcome.SKIPPED


def test_devices_beside_a_machine_are_held_to_the_challenge(composite: Any, now: datetime) -> None:
    good = devices(now, 1, nonce=device_challenge(BOUND))
    assert composite(*good, question=ANSWERS).verdict is Verdict.ACCEPT
    assert composite(*devices(now, 1), question=ANSWERS).code is Code.FRESHNESS
    assert composite(*good, *good).code is Code.DEVICE_DUPLICATE


def test_a_refused_device_leaves_the_machine_genuine(composite: Any, now: datetime) -> None:
    (one,) = devices(now, 1)
    found = composite(dataclasses.replace(one, report=one.report[:-1]))
    assert found.code is Code.EVIDENCE_MALFORMED
    assert found.claims["authenticated"] is True
    assert found.claims["devices"][0]["authenticated"] is False


# -- with a policy ---------------------------------------------------------------------------------


def by(*accepted: AcceptedEnclave, host_data: bytes | None = None) -> Question:
    return Question(accepted=accepted, report_data=None, host_data=host_data)


def test_each_rule_of_a_policy_is_a_step(snp: Any, mock_amd: MockAmd) -> None:
    enclave = mock_amd.insecure_enclave(contract_at_launch=False)
    found = snp(by(enclave))
    assert found.verdict is Verdict.ACCEPT
    assert found.result.enclave == "simulated"
    assert outcome(found, "measurement") is Outcome.PASSED
    assert outcome(found, "tcb") is Outcome.PASSED
    assert outcome(found, "policy") is Outcome.PASSED
    # Without a challenge that is still said.
    assert outcome(found, "freshness") is Outcome.SKIPPED


def test_a_policy_that_is_not_satisfied_says_by_which_rules(snp: Any, mock_amd: MockAmd) -> None:
    enclave = mock_amd.insecure_enclave(contract_at_launch=False, vmpl=frozenset({1}))
    found = snp(by(enclave), measurement=b"\1" * 48)
    assert found.code is Code.APPRAISAL_VMPL
    assert outcome(found, "vmpl") is Outcome.FAILED
    assert outcome(found, "measurement") is Outcome.FAILED
    assert outcome(found, "debug") is Outcome.PASSED
    assert found.verified is not None


def test_a_policy_for_any_measurement_says_so(snp: Any, mock_amd: MockAmd) -> None:
    enclave = mock_amd.insecure_enclave(contract_at_launch=False, measurements=None)
    found = snp(by(enclave), measurement=b"\1" * 48)
    assert found.verdict is Verdict.ACCEPT
    assert outcome(found, "measurement") is Outcome.SKIPPED
    assert outcome(found, "tcb") is Outcome.PASSED


def test_an_empty_policy_accepts_nothing(snp: Any) -> None:
    assert snp(by()).code is Code.APPRAISAL_KIND


def test_a_contract_that_is_asked_for_must_be_given_and_equal(snp: Any, mock_amd: MockAmd) -> None:
    enclave = mock_amd.insecure_enclave()
    assert enclave.contract_at_launch
    contract = b"\5" * 32
    assert snp(by(enclave, host_data=contract), host_data=contract).verdict is Verdict.ACCEPT
    assert snp(by(enclave, host_data=contract)).code is Code.APPRAISAL_HOST_DATA
    unasked = snp(by(enclave), host_data=contract)
    assert unasked.code is Code.APPRAISAL_HOST_DATA
    assert any("no contract was given" in step.reason for step in unasked.steps)
    # Not even one that says "none": zeros are what a guest without a contract has.
    assert snp(by(enclave)).code is Code.APPRAISAL_HOST_DATA


def test_a_policy_counts_devices(composite: Any, now: datetime, mock_amd: MockAmd) -> None:
    enclave = mock_amd.insecure_enclave(contract_at_launch=False)
    good = devices(now, 1, nonce=device_challenge(BOUND))
    assert composite(*good, question=by(enclave)).code is Code.APPRAISAL_DEVICES
    assert composite(question=by(enclave)).verdict is Verdict.ACCEPT


def test_a_policy_holds_devices_to_the_challenge(
    composite: Any, now: datetime, mock_amd: MockAmd
) -> None:
    enclave = mock_amd.insecure_enclave(contract_at_launch=False)
    question = dataclasses.replace(by(enclave), report_data=BOUND)
    assert composite(*devices(now, 1), question=question).code is Code.FRESHNESS


# -- the default itself ----------------------------------------------------------------------------


def test_the_default_accepts_a_mock_root_only_as_itself(mock_amd: MockAmd, now: datetime) -> None:
    authentic = authenticate_evidence(
        mock_amd.evidence(),
        anchors=mock_amd.anchors(),
        endorsements=NO_ENDORSEMENTS,
        now=now,
        steps=Steps(),
    )
    enclave = default_enclave(authentic)
    assert enclave.insecure_accept_simulated
    assert enclave.simulated_root == mock_amd.root
    genuine = dataclasses.replace(
        authentic, root=dataclasses.replace(authentic.root, insecure=False)
    )
    assert not default_enclave(genuine).insecure_accept_simulated
    assert changed_enclave(enclave).measurements is None


def test_nothing_else_takes_evidence_for_fresh() -> None:
    """`without_challenge` makes the type that appraisal takes: only a look may do that."""
    source = Path(sealtune.__file__).parent
    users = {
        path.relative_to(source).as_posix()
        for path in source.rglob("*.py")
        if "without_challenge" in path.read_text()
    }
    assert users == {"attestation/verify.py", "attestation/examine.py"}
    lookers = {
        path.relative_to(source).as_posix()
        for path in source.rglob("*.py")
        if "attestation.examine" in path.read_text()
    }
    assert lookers == {"__init__.py", "attestation/examine.py"}
