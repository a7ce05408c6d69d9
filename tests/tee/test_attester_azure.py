"""The Attester for Azure confidential VMs: real tpm2-tools on a software TPM like Azure's."""

from __future__ import annotations

import json
import shutil
import stat
import tempfile
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

import pytest

from sealtune.attestation.binding import tpm_challenge
from sealtune.attestation.endorsements import NO_ENDORSEMENTS
from sealtune.attestation.evidence import Evidence, EvidenceKind
from sealtune.attestation.steps import Steps
from sealtune.attestation.verify import verify_evidence
from sealtune.core.limits import QUOTE_BYTES_MAX
from sealtune.crypto.encoding import b64encode
from sealtune.errors import Code, ConfigError, SealtuneError, VerificationError
from sealtune.tee import tpm_tools
from sealtune.tee.azure_vtpm import AzureVtpmAttester, Metadata
from sealtune.tee.tpm_tools import TpmTools
from sealtune.testing.mock_amd import MockAmd
from sealtune.testing.mock_intel import MockIntel, MockQuote, MockTd
from sealtune.testing.mock_tpm import tdreport
from tee.fakes_azure import (
    FakeMetadata,
    bound_report_data,
    make_attestation_key,
    metadata_service,
    pem,
    runtime_claims,
    write_hcl_report,
)
from tee.fakes_swtpm import SoftwareTpm, require_tools, running

REPORT_DATA = bytes(range(64))
HOST_DATA = bytes(32)
CERTIFICATION, TD_QUOTE = "/metadata/THIM/amd/certification", "/acc/tdquote"
TDREPORT = bytes([0x81]) + bytes(range(255)) * 4 + bytes(3)


@dataclass(frozen=True, slots=True)
class Machine:
    tpm: SoftwareTpm
    folder: Path
    fake: FakeMetadata
    metadata: Metadata

    def attest(self, **changes: object) -> Evidence:
        parts = {"tools": TpmTools(self.tpm.tcti), "metadata": self.metadata}
        attester = AzureVtpmAttester(**(parts | {"event_log": Path("/nonexistent")} | changes))  # type: ignore[arg-type]
        return attester.attest(REPORT_DATA, host_data=HOST_DATA)


@pytest.fixture(scope="module")
def azure_state(swtpm_state: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A TPM with the attestation key that Azure puts there; an RSA key takes a while to find."""
    require_tools("tpm2_nvread", "tpm2_quote")
    with tempfile.TemporaryDirectory(prefix="tpm-") as short:
        with running(swtpm_state / "state", Path(short)) as tpm:
            make_attestation_key(tpm, tmp_path_factory.mktemp("keys"))
        return shutil.copytree(Path(short, "state"), tmp_path_factory.mktemp("azure") / "state")


@pytest.fixture
def machine(azure_state: Path, tmp_path: Path) -> Iterator[Machine]:
    fake = FakeMetadata()
    with (
        tempfile.TemporaryDirectory(prefix="tpm-") as short,
        running(azure_state, Path(short)) as tpm,
        metadata_service(fake) as metadata,
    ):
        yield Machine(tpm, tmp_path, fake, metadata)


@pytest.fixture
def snp_machine(machine: Machine, mock_amd: MockAmd) -> Machine:
    claims = runtime_claims(machine.tpm)
    hardware = mock_amd.evidence(report_data=bound_report_data(claims))
    write_hcl_report(machine.tpm, machine.folder, hardware.report, claims, report_type=2)
    answer = {
        "vcekCert": pem(hardware.certificates[0]),
        "certificateChain": pem(*hardware.certificates[1:]),
        "tcbm": "DB18000000000004",
    }
    machine.fake.answers[CERTIFICATION] = (200, json.dumps(answer).encode())
    return machine


@pytest.fixture
def tdx_machine(machine: Machine) -> Machine:
    claims = runtime_claims(machine.tpm)
    write_hcl_report(machine.tpm, machine.folder, TDREPORT, claims, report_type=4)
    machine.fake.answers[TD_QUOTE] = (200, json.dumps({"quote": b64encode(b"quote")}).encode())
    return machine


def test_the_whole_chain_passes_the_production_verifier(
    snp_machine: Machine, mock_amd: MockAmd, now: datetime
) -> None:
    evidence = snp_machine.attest()
    assert evidence.kind is EvidenceKind.AZURE_SNP
    verified = verify_evidence(
        evidence,
        report_data=REPORT_DATA,
        anchors=mock_amd.anchors(),
        endorsements=NO_ENDORSEMENTS,
        now=now,
        steps=Steps(),
    )
    assert verified.authentic.claims.registers["pcr17"] == "ff" * 32
    assert snp_machine.fake.asked == [("GET", CERTIFICATION, b"", "true")]


def test_another_machines_hardware_report_does_not_pass(
    machine: Machine, mock_amd: MockAmd, now: datetime
) -> None:
    claims = runtime_claims(machine.tpm)
    hardware = mock_amd.evidence(report_data=bound_report_data(claims + b" "))
    write_hcl_report(machine.tpm, machine.folder, hardware.report, claims, report_type=2)
    chain = hardware.certificates
    answer = {"vcekCert": pem(chain[0]), "certificateChain": pem(*chain[1:])}
    machine.fake.answers[CERTIFICATION] = (200, json.dumps(answer).encode())
    with pytest.raises(VerificationError) as refusal:
        verify_evidence(
            machine.attest(),
            report_data=REPORT_DATA,
            anchors=mock_amd.anchors(),
            endorsements=NO_ENDORSEMENTS,
            now=now,
            steps=Steps(),
        )
    assert refusal.value.code is Code.EVIDENCE_VTPM_BINDING


def test_over_tdx_the_host_turns_the_report_into_a_quote(tdx_machine: Machine) -> None:
    evidence = tdx_machine.attest()
    assert evidence.kind is EvidenceKind.AZURE_TDX
    assert evidence.certificates == ()
    assert evidence.parts["td_quote"] == b"quote"
    assert tdx_machine.fake.asked == [
        ("POST", TD_QUOTE, json.dumps({"report": b64encode(TDREPORT)}).encode(), "true")
    ]


def test_over_tdx_the_whole_chain_passes_the_production_verifier(
    machine: Machine, now: datetime
) -> None:
    intel = MockIntel(now=now)
    claims = runtime_claims(machine.tpm)
    quote = MockQuote(body=MockTd(report_data=bound_report_data(claims)))
    hardware = tdreport(MockTd(report_data=bound_report_data(claims)))
    write_hcl_report(machine.tpm, machine.folder, hardware, claims, report_type=4)
    answer = json.dumps({"quote": b64encode(intel.quote(quote))}).encode()
    machine.fake.answers[TD_QUOTE] = (200, answer)
    verify_evidence(
        machine.attest(),
        report_data=REPORT_DATA,
        anchors=intel.anchors(),
        endorsements=intel.endorsements(quote),
        now=now,
        steps=Steps(),
    )


def test_padded_base64_is_the_same_quote(tdx_machine: Machine) -> None:
    text = b64encode(b"quote") + "=="
    tdx_machine.fake.answers[TD_QUOTE] = (200, json.dumps({"quote": text}).encode())
    with pytest.raises(SealtuneError) as refusal:
        tdx_machine.attest(metadata=Metadata(host="127.0.0.1", port=1))
    assert refusal.value.code is Code.ATTESTER_FAILED
    text = b64encode(b"quote!!") + "="
    tdx_machine.fake.answers[TD_QUOTE] = (200, json.dumps({"quote": text}).encode())
    assert tdx_machine.attest().parts["td_quote"] == b"quote!!"


BAD_ANSWERS = {
    "not-found": (404, b"{}"),
    "failed": (500, json.dumps({"quote": b64encode(b"quote")}).encode()),
    "no-quote": (200, b"{}"),
    "a-list": (200, b"[]"),
    "no-text": (200, b'{"quote":1}'),
    "not-ascii": (200, '{"quote":"é"}'.encode()),
    "not-base64": (200, b'{"quote":"!"}'),
    "no-json": (200, b"<html>"),
    "too-long": (200, json.dumps({"quote": "A" * 100_000}).encode()),
    "long-quote": (200, json.dumps({"quote": b64encode(bytes(QUOTE_BYTES_MAX + 1))}).encode()),
}


@pytest.mark.parametrize("name", BAD_ANSWERS)
def test_a_bad_answer_of_the_host_is_one_of_our_errors(tdx_machine: Machine, name: str) -> None:
    tdx_machine.fake.answers[TD_QUOTE] = BAD_ANSWERS[name]
    with pytest.raises(SealtuneError) as refusal:
        tdx_machine.attest()
    # The strict readers of JSON keep their own codes.
    codes = {"no-json": Code.JSON_MALFORMED, "too-long": Code.LIMIT_EXCEEDED}
    assert refusal.value.code is codes.get(name, Code.ATTESTER_FAILED)


def test_the_event_log_comes_along(snp_machine: Machine, tmp_path: Path) -> None:
    log = tmp_path / "log"
    log.write_bytes(b"log")
    assert snp_machine.attest(event_log=log).parts["event_log"] == b"log"
    assert "event_log" not in snp_machine.attest().parts


def test_another_type_of_hardware_is_no_confidential_vm(machine: Machine) -> None:
    claims = runtime_claims(machine.tpm)
    write_hcl_report(machine.tpm, machine.folder, b"", claims, report_type=1)
    with pytest.raises(ConfigError) as refusal:
        machine.attest()
    assert refusal.value.code is Code.TEE_UNAVAILABLE
    assert "confidential" in refusal.value.remedy


def test_another_requests_quote_is_refused(snp_machine: Machine) -> None:
    class Swapping(TpmTools):
        def run(
            self, tool: str, *arguments: str, outputs: Mapping[str, int], remedy: str
        ) -> tuple[bytes, ...]:
            asked = tpm_challenge(REPORT_DATA).hex()
            other = [bytes(32).hex() if item == asked else item for item in arguments]
            return super().run(tool, *other, outputs=outputs, remedy=remedy)

    with pytest.raises(SealtuneError) as refusal:
        snp_machine.attest(tools=Swapping(snp_machine.tpm.tcti))
    assert refusal.value.code is Code.ATTESTER_FAILED
    assert "report_data" in refusal.value.message


def test_a_vtpm_without_report_is_named(machine: Machine) -> None:
    with pytest.raises(SealtuneError) as refusal:
        machine.attest()
    assert refusal.value.code is Code.ATTESTER_FAILED
    assert "tpm2_nvread" in refusal.value.message
    assert "tpm-vm" in refusal.value.remedy


def test_wrong_length_is_the_callers_mistake() -> None:
    with pytest.raises(ValueError, match="64"):
        AzureVtpmAttester().attest(bytes(65), host_data=HOST_DATA)


def program(folder: Path, name: str, text: str) -> None:
    path = folder / name
    path.write_text(f"#!/bin/sh\n{text}\n")
    path.chmod(path.stat().st_mode | stat.S_IXUSR)


def run(tool: str, *arguments: str) -> tuple[bytes, ...]:
    return TpmTools("swtpm").run(tool, *arguments, outputs={"-o": 10, "-m": 20}, remedy="mend it")


@pytest.fixture
def tools(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setattr(tpm_tools, "_PATH", f"{tmp_path}:/usr/bin:/bin")
    return tmp_path


def test_a_tool_sees_an_environment_of_our_own(
    tools: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("LD_PRELOAD_X", "caller")
    program(tools, "tool", 'echo "$*" > "$4"; env > "$4"; printf ok > "$6"; touch here')
    environment, other = TpmTools("some:tcti").run(
        "tool", "a", "b c", outputs={"-o": 1000, "-m": 20}, remedy=""
    )
    assert b"TPM2TOOLS_TCTI=some:tcti" in environment
    assert b"LD_PRELOAD_X" not in environment
    assert other == b"ok"


def test_a_missing_tool_is_named(tools: Path) -> None:
    with pytest.raises(ConfigError) as refusal:
        run("no-such-tool")
    assert refusal.value.code is Code.DEPENDENCY_MISSING
    assert "tpm2-tools" in refusal.value.remedy


TROUBLE = {
    "fails": "echo Some  words >&2; exit 3",
    "talks-on": "yes words | head -c 100000 >&2; exit 3",
    "writes-nothing": "true",
    "writes-too-much": 'head -c 100 /dev/zero > "$2"; touch "$4"',
    "hangs": "exec sleep 60",
}


@pytest.mark.parametrize("name", TROUBLE)
def test_a_tool_in_trouble_is_one_of_our_errors(
    tools: Path, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    monkeypatch.setattr(tpm_tools, "_TIMEOUT_S", 0.3)
    program(tools, "tool", TROUBLE[name])
    with pytest.raises(SealtuneError) as refusal:
        run("tool")
    assert refusal.value.code is Code.ATTESTER_FAILED
    assert len(refusal.value.message) < 600
    if name == "fails":
        assert "status 3: Some words" in refusal.value.message
        assert refusal.value.remedy == "mend it"
