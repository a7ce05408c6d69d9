"""The production verifier against documents of real Nitro enclaves, at the times of their own."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import cbor2
import pytest

from sealtune.attestation.anchors import vendor_anchors
from sealtune.attestation.appraisal import AppraisalRefused, appraise
from sealtune.attestation.endorsements import NO_ENDORSEMENTS
from sealtune.attestation.evidence import Evidence, EvidenceKind
from sealtune.attestation.reference import AcceptedEnclave
from sealtune.attestation.steps import Outcome, Steps
from sealtune.attestation.verified import AuthenticEvidence, VerifiedEvidence
from sealtune.attestation.verifiers.nitro import CLOCK_TOLERANCE, verify_nitro
from sealtune.errors import Code, SealtuneError, VerificationError

NAMES = ("dstack-prod", "dstack-dbg")


@pytest.fixture(scope="module")
def folder(shared_dir: Path) -> Path:
    return shared_dir / "vectors"


@pytest.fixture(scope="module")
def entries(folder: Path) -> dict[str, dict[str, Any]]:
    listing = json.loads((folder / "expected.json").read_text())
    return {entry["id"]: entry for entry in listing}


def verified(report: bytes, now: datetime, steps: Steps | None = None) -> AuthenticEvidence:
    return verify_nitro(
        Evidence(kind=EvidenceKind.NITRO, report=report, certificates=()),
        anchors=vendor_anchors(),
        endorsements=NO_ENDORSEMENTS,
        now=now,
        steps=steps or Steps(),
    )


def document(folder: Path, name: str) -> bytes:
    return (folder / "nitro" / name / "document.cose").read_bytes()


@pytest.mark.parametrize("name", NAMES)
def test_a_real_document_verifies_and_says_what_is_expected(
    folder: Path, entries: dict[str, dict[str, Any]], name: str
) -> None:
    entry = entries[f"nitro/{name}/document.cose"]
    steps = Steps()
    found = verified(
        document(folder, name), datetime.fromtimestamp(entry["verify_time"], UTC), steps
    )
    assert {key: entry[key] for key in found.claims.fields} == found.claims.fields
    about = {"id", "tee", "verify_time", "signature", "chain", "policy_result"}
    assert entry.keys() - found.claims.fields.keys() == about
    assert found.claims.debug == ("debug" in entry["policy_result"])
    assert found.claims.measurement == entry["pcrs"]["0"] == found.claims.registers["pcr0"]
    assert (found.insecure, found.freshness, found.claims.host_data) == (False, b"", None)
    assert [step.name for step in steps.done] == ["format", "chain", "signature", "time"]
    assert {step.outcome for step in steps.done} == {Outcome.PASSED}


@pytest.mark.parametrize("name", NAMES)
def test_a_real_document_ends_with_its_key(
    folder: Path, entries: dict[str, dict[str, Any]], name: str
) -> None:
    entry = entries[f"nitro/{name}/document.cose"]
    made = datetime.fromtimestamp(entry["timestamp_ms"] / 1000, UTC)
    last = datetime.fromisoformat(entry["leaf_validity"][1])
    data = document(folder, name)
    for now in (made - CLOCK_TOLERANCE, last):
        # The instance's certificate may begin after the tolerated time, never the other way round.
        if now >= datetime.fromisoformat(entry["leaf_validity"][0]):
            assert verified(data, now)
    for now in (
        made - CLOCK_TOLERANCE - timedelta(milliseconds=1),
        last + timedelta(seconds=1),
    ):
        with pytest.raises(VerificationError) as refusal:
            verified(data, now)
        assert refusal.value.code is Code.EVIDENCE_CERTIFICATE_TIME


def test_the_tag_may_stand_before_a_real_document(
    folder: Path, entries: dict[str, dict[str, Any]]
) -> None:
    now = datetime.fromtimestamp(entries["nitro/dstack-prod/document.cose"]["verify_time"], UTC)
    data = document(folder, "dstack-prod")
    assert verified(b"\xd2" + data, now).claims == verified(data, now).claims


def test_any_bit_of_a_real_document_matters(
    folder: Path, entries: dict[str, dict[str, Any]]
) -> None:
    now = datetime.fromtimestamp(entries["nitro/dstack-prod/document.cose"]["verify_time"], UTC)
    data = document(folder, "dstack-prod")
    # Every byte would take minutes; every 7th meets headers, registers, certificates, signature.
    for place in (*range(0, len(data), 7), *range(80), *range(len(data) - 120, len(data))):
        changed = bytearray(data)
        changed[place] ^= 1 << place % 8
        with pytest.raises(SealtuneError):
            verified(bytes(changed), now)


def test_the_documents_of_two_real_enclaves_are_not_mixed(
    folder: Path, entries: dict[str, dict[str, Any]]
) -> None:
    now = datetime.fromtimestamp(entries["nitro/dstack-prod/document.cose"]["verify_time"], UTC)
    one, other = (cbor2.loads(document(folder, name)) for name in NAMES)
    one[3] = other[3]
    with pytest.raises(VerificationError) as refusal:
        verified(cbor2.dumps(one), now)
    assert refusal.value.code is Code.EVIDENCE_SIGNATURE


@pytest.mark.parametrize("name", NAMES)
def test_a_real_enclave_in_debug_mode_is_refused_for_that(
    folder: Path, entries: dict[str, dict[str, Any]], name: str
) -> None:
    entry = entries[f"nitro/{name}/document.cose"]
    found = verified(document(folder, name), datetime.fromtimestamp(entry["verify_time"], UTC))
    enclave = AcceptedEnclave(
        name="vector",
        kind=EvidenceKind.NITRO,
        measurements=frozenset({entry["pcrs"]["0"]}),
        registers={"pcr1": frozenset({entry["pcrs"]["1"]})},
        contract_at_launch=False,
        snp=None,
        dcap=None,
        tpm=None,
        devices=(),
        insecure_accept_simulated=False,
        simulated_root=None,
    )
    # These documents bind no nonce, so the door refuses them; the rules are asked directly.
    fresh = VerifiedEvidence(authentic=found)
    if entry["policy_result"] == "accept":
        assert appraise(fresh, accepted=[enclave], host_data=bytes(32)).kind is EvidenceKind.NITRO
    else:
        with pytest.raises(AppraisalRefused) as refusal:
            appraise(fresh, accepted=[enclave], host_data=bytes(32))
        assert refusal.value.code is Code.APPRAISAL_DEBUG
