"""The production verifiers against quotes from real processors, at the times they were valid."""

from __future__ import annotations

import json
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from attestation.dcap import at, authentic, collateral, evidence, recorded_bytes, refusal
from sealtune.attestation.anchors import vendor_anchors
from sealtune.attestation.dcap_claims import DcapClaims, sgx_fields, td_fields
from sealtune.attestation.dcap_pck import verify_pck_chain
from sealtune.attestation.dcap_quote import SgxReport, parse_quote
from sealtune.attestation.endorsements import NO_ENDORSEMENTS
from sealtune.attestation.evidence import EvidenceKind
from sealtune.attestation.steps import Steps
from sealtune.attestation.verify import verify_evidence
from sealtune.errors import Code, FreshnessError

IDS = (
    "sgx/phala-v3/sgx_quote",
    "sgx/automata/quote_sgx.bin",
    "sgx/coco-occlum/occlum_quote.dat",
    "tdx/phala-v4/tdx_quote",
    "tdx/phala-v4/tdx_quote_outdated",
    "tdx/phala-v4/tdx-quote.hex",
    "tdx/phala-v4/quote-from-tappd.hex",
    "tdx/gtg-ccel/cos-113-tdx-quote.dat",
    "tdx/coco/tdx_quote_4.dat",
    "tdx/coco/tdx_quote_5.dat",
    "tdx/ars-live/tdx_quote_live.dat",
    "tdx/dstack/quote-report.quote.bin",
    "tdx/dstack/tdx-lite-getquote.quote.bin",
    "azure-vtpm/coco-tdx/td-quote.bin",
    "azure-vtpm/coco-tdx/evidence-v1.td-quote.bin",
)
# What dcap-qvl says of a quote that it refuses, and which of our codes that must be.
REFUSALS = {
    "Debug mode is enabled": Code.APPRAISAL_DEBUG,
    "SEPT_VE_DISABLE is not enabled": Code.APPRAISAL_POLICY,
    "No matching TCB level found": Code.EVIDENCE_TCB_LEVEL,
}

_STATED = frozenset(
    {
        "quote_version",
        "report_class",
        "fmspc",
        "pck_ca",
        "sgx_type",
        "pck_cpusvn",
        "pcesvn",
        "pck_validity",
    }
)


@pytest.fixture(scope="module")
def folder(shared_dir: Path) -> Path:
    return shared_dir / "vectors"


@pytest.fixture(scope="module")
def entries(folder: Path) -> dict[str, dict[str, Any]]:
    listing = json.loads((folder / "expected.json").read_text())
    return {entry["id"]: entry for entry in listing}


def test_every_quote_that_is_expected_is_tested(entries: dict[str, dict[str, Any]]) -> None:
    assert {name for name, entry in entries.items() if entry["tee"] in ("sgx", "tdx")} == set(IDS)


@pytest.mark.parametrize("name", IDS)
def test_each_quote_is_verified_or_refused_as_expected(
    folder: Path, entries: dict[str, dict[str, Any]], name: str
) -> None:
    entry = entries[name]
    given = evidence(entry["tee"], recorded_bytes(folder, name))
    for outcome in entry["dcap_qvl"]:
        endorsements = collateral(folder, outcome["collateral"])
        if outcome["result"] == "ok":
            claims = authentic(given, endorsements, at(outcome["time"])).claims
            assert claims.tcb["status"] == outcome["status"]
            assert claims.tcb["advisories"] == outcome["advisories"]
            assert claims.vendor == "Intel"
        elif outcome["result"] == "error":
            expected = REFUSALS[outcome["error"]]
            assert refusal(given, endorsements, at(outcome["time"])) is expected
        else:
            # No time at which both this platform's certificate and the endorsement are valid.
            assert "not yet valid" in outcome["result"]
            until = json.loads((folder / outcome["collateral"]).read_text())["tcb_info"]
            now = at(1752000000) if "2025" in until[:80] else at(1772707803)
            assert refusal(given, endorsements, now) is Code.EVIDENCE_CERTIFICATE_TIME


@pytest.mark.parametrize("name", IDS)
def test_every_stated_field_is_as_expected(
    folder: Path, entries: dict[str, dict[str, Any]], name: str
) -> None:
    entry = entries[name]
    quote = parse_quote(recorded_bytes(folder, name))
    not_before = at(1775100000) if "live" in name else at(1776214400)
    pck = verify_pck_chain(quote.pck_chain, anchors=vendor_anchors(), now=not_before)
    found = sgx_fields(quote.body) if isinstance(quote.body, SgxReport) else td_fields(quote.body)
    assert {name: found[name] for name in entry["fields"]} == entry["fields"]
    assert {
        "quote_version": quote.version,
        "report_class": f"Py{quote.layout}",
        "fmspc": pck.facts.fmspc.hex().upper(),
        "pck_ca": str(pck.ca),
        "sgx_type": pck.facts.sgx_type,
        "pck_cpusvn": pck.facts.cpu_svn.hex(),
        "pcesvn": pck.facts.pce_svn,
        "pck_validity": [
            pck.leaf.not_before.date().isoformat(),
            pck.leaf.not_after.date().isoformat(),
        ],
    } == {key: entry[key] for key in entry if key in _STATED}


@pytest.mark.parametrize("name", ["sgx/phala-v3/sgx_quote", "tdx/phala-v4/tdx_quote"])
def test_the_claims_carry_every_stated_field(
    folder: Path, entries: dict[str, dict[str, Any]], name: str
) -> None:
    entry = entries[name]
    (outcome,) = entry["dcap_qvl"]
    given = evidence(entry["tee"], recorded_bytes(folder, name))
    result = authentic(given, collateral(folder, outcome["collateral"]), at(outcome["time"]))
    fields = result.claims.fields
    assert {key: fields[key] for key in _STATED} == {key: entry[key] for key in _STATED}
    assert entry["fields"].items() <= fields["fields"].items()
    json.dumps(fields)
    body = entry["fields"]
    assert result.claims.measurement == body.get("mr_td", body.get("mr_enclave"))
    assert result.freshness.hex() == body["report_data"]
    assert result.claims.debug is False
    assert result.claims.memory_protected is True
    assert isinstance(result.detail, DcapClaims)


def test_common_claims_of_a_trust_domain(folder: Path) -> None:
    given = evidence("tdx", recorded_bytes(folder, "tdx/phala-v4/tdx_quote"))
    endorsements = collateral(folder, "tdx/phala-v4/tdx_quote_collateral.json")
    claims = authentic(given, endorsements, at(1751624191)).claims
    assert claims.platform == "Intel TDX"
    assert claims.generation == "FMSPC B0C06F000000"
    assert claims.registers["rtmr0"].startswith("44c0197b")
    assert claims.registers["mrseam"].startswith("5b38e33a")
    assert claims.host_data == bytes(48)
    # As dcap-qvl reads them from the same certificate.
    assert claims.identity == {
        "ppid": "811dca2a26b952e85bb6448b097ba4fd",
        "fmspc": "b0c06f000000",
        "platform_instance_id": "07828474603e7019dc930775ffe8cdd2",
    }
    assert claims.fields["smt_enabled"] is True
    assert claims.tcb["evaluation"] == 17
    assert claims.tcb["platform"] == {"status": "UpToDate", "date": "2024-03-13"}


def test_common_claims_of_an_enclave(folder: Path) -> None:
    given = evidence("sgx", recorded_bytes(folder, "sgx/phala-v3/sgx_quote"))
    endorsements = collateral(folder, "sgx/phala-v3/sgx_quote_collateral.json")
    claims = authentic(given, endorsements, at(1751624924)).claims
    assert claims.platform == "Intel SGX"
    assert set(claims.registers) == {"mrsigner"}
    assert claims.host_data == bytes(64)
    assert set(claims.identity) == {"ppid", "fmspc"}
    assert claims.fields["smt_enabled"] is None


WINDOWS = [
    ("sgx/phala-v3/sgx_quote", 0),
    ("tdx/phala-v4/tdx_quote", 0),
    ("tdx/gtg-ccel/cos-113-tdx-quote.dat", 0),
    ("tdx/gtg-ccel/cos-113-tdx-quote.dat", 1),
    ("tdx/dstack/quote-report.quote.bin", 0),
    ("tdx/dstack/quote-report.quote.bin", 1),
]


@pytest.mark.parametrize(("name", "index"), WINDOWS)
def test_a_second_outside_the_window_is_stale(
    folder: Path, entries: dict[str, dict[str, Any]], name: str, index: int
) -> None:
    outcome = entries[name]["dcap_qvl"][index]
    endorsements = collateral(folder, outcome["collateral"])
    given = evidence(entries[name]["tee"], recorded_bytes(folder, name))
    first, last = outcome["window"]
    authentic(given, endorsements, at(first))
    authentic(given, endorsements, at(last - 1))
    assert refusal(given, endorsements, at(first - 1)) is Code.ENDORSEMENT_STALE
    assert refusal(given, endorsements, at(last + 1)) is Code.ENDORSEMENT_STALE


def test_the_refusal_names_the_stale_part_and_since_when(folder: Path) -> None:
    given = evidence("tdx", recorded_bytes(folder, "tdx/phala-v4/tdx_quote"))
    endorsements = collateral(folder, "tdx/phala-v4/tdx_quote_collateral.json")
    with pytest.raises(Exception, match=r"stale since 2025-07-19 .*it is 2027-01-15") as caught:
        authentic(given, endorsements, at(1800000000))
    assert "TCB info" in str(caught.value)


def test_dstacks_later_platform_is_refused_before_its_certificate_is_valid(folder: Path) -> None:
    given = evidence("tdx", recorded_bytes(folder, "tdx/dstack/tdx-lite-getquote.quote.bin"))
    endorsements = collateral(folder, "intel-collateral/composed/tdx-90c06f-2026-03.json")
    authentic(given, endorsements, at(1776214258))
    assert refusal(given, endorsements, at(1776214257)) is Code.EVIDENCE_CERTIFICATE_TIME


def test_real_quotes_answer_their_challenge_and_no_other(folder: Path) -> None:
    given = evidence("tdx", recorded_bytes(folder, "tdx/phala-v4/tdx_quote"))
    endorsements = collateral(folder, "tdx/phala-v4/tdx_quote_collateral.json")

    def attempt(report_data: bytes) -> EvidenceKind:
        return verify_evidence(
            given,
            report_data=report_data,
            anchors=vendor_anchors(),
            endorsements=endorsements,
            now=at(1751624191),
            steps=Steps(),
        ).kind

    bound = given.report[568:632]
    assert attempt(bound) is EvidenceKind.TDX
    with pytest.raises(FreshnessError):
        attempt(bound[:63] + bytes((bound[63] ^ 1,)))


def test_without_endorsements_nothing_is_authentic(folder: Path) -> None:
    given = evidence("tdx", recorded_bytes(folder, "tdx/phala-v4/tdx_quote"))
    assert refusal(given, NO_ENDORSEMENTS, at(1751624191)) is Code.ENDORSEMENT_MISSING


def test_endorsements_age_is_that_of_the_oldest_monthly_document(folder: Path) -> None:
    # Here the PCK revocation list, a minute before the QE identity.
    given = evidence("tdx", recorded_bytes(folder, "tdx/gtg-ccel/cos-113-tdx-quote.dat"))
    endorsements = collateral(folder, "intel-collateral/composed/tdx-00806f05-2025-10.json")
    detail = authentic(given, endorsements, at(1761920231)).detail
    assert isinstance(detail, DcapClaims)
    assert detail.endorsements_issued.isoformat() == "2025-10-13T10:45:32+00:00"
    assert detail.endorsements_age == at(1761920231) - detail.endorsements_issued
    assert detail.endorsements_age > timedelta(days=17)
