"""`sealtune attest`: verify, show and collect, on evidence of mocks."""

from __future__ import annotations

import base64
import dataclasses
import io
import json
import sys
from datetime import datetime, timedelta
from pathlib import Path

import pytest

import sealtune as package
from cli.said import Sealtune
from sealtune.attestation.ear import EarStatus, verify_ear
from sealtune.attestation.evidence import Evidence
from sealtune.attestation.forms.read import read_evidence
from sealtune.cli.attest_lines import terminal_width
from sealtune.core.clock import format_time
from sealtune.core.digest import sha256_digest
from sealtune.core.limits import FOREIGN_EVIDENCE_BYTES_MAX
from sealtune.crypto.ecdsa import P256Key
from sealtune.errors import Code
from sealtune.tee import select
from sealtune.testing.mock_amd import MockAmd, MockVek
from sealtune.testing.mock_intel import MockIntel, MockQuote, MockTd, pem
from sealtune.testing.mock_nvidia import MockNvidia
from sealtune.testing.mock_tpm import MockTpm

BOUND = bytes(range(64))
CONTRACT = b"\5" * 32
POLICY = """
[[enclaves]]
name = "mine"
kind = "sev-snp"
measurements = ["{measurement}"]
contract_at_launch = {bound}
vmpl = [0]
insecure_accept_simulated = true
simulated_root = "{root}"
[enclaves.minimum_tcb.genoa]
bl = 0
tee = 0
snp = 0
ucode = 0
"""


@pytest.fixture
def evidence(mock_amd: MockAmd) -> Evidence:
    return mock_amd.evidence(report_data=BOUND, host_data=CONTRACT)


@pytest.fixture
def file(tmp_path: Path, evidence: Evidence) -> Path:
    path = tmp_path / "evidence.json"
    path.write_text(json.dumps(evidence.to_dict()))
    return path


@pytest.fixture
def trial(now: datetime, mock_amd: MockAmd) -> tuple[str, ...]:
    """The options without which nothing of a mock verifies."""
    return ("--at", format_time(now), "--insecure-root", mock_amd.root)


def policy(
    folder: Path, amd: MockAmd, *, measurement: str = "00" * 48, bound: bool = False
) -> Path:
    path = folder / "policy.toml"
    text = POLICY.format(measurement=measurement, root=amd.root, bound=str(bound).lower())
    path.write_text(text)
    return path


# -- verify ----------------------------------------------------------------------------------------


def test_one_object(file: Path, sealtune_: Sealtune, trial: tuple[str, ...], now: datetime) -> None:
    said = sealtune_("attest", "verify", file, *trial, "--json")
    assert said.status == 0
    answer = said.json
    assert answer.keys() == {
        *("verdict", "code", "type", "insecure", "claims", "steps"),
        *("reason", "remedy", "policy", "at", "path"),
    }
    assert (answer["verdict"], answer["code"], answer["type"]) == ("accept", None, "sev-snp")
    assert answer["at"] == format_time(now)
    assert answer["insecure"] is True
    assert answer["claims"]["measurement"] == "00" * 48
    assert {"step", "outcome", "reason"} == answer["steps"][0].keys()


def test_a_screen(file: Path, sealtune_: Sealtune, trial: tuple[str, ...]) -> None:
    said = sealtune_("attest", "verify", file, *trial)
    assert said.status == 0
    assert "INSECURE" in said.out
    assert "✓ signature" in said.out
    assert "- measurement" in said.out
    assert "no policy: any measurement is accepted" in said.out
    assert "✓ accepted;" in said.out
    assert not said.err


def test_a_screen_of_a_refusal(file: Path, sealtune_: Sealtune, now: datetime) -> None:
    said = sealtune_("attest", "verify", file, "--at", format_time(now))
    assert said.status == 5
    assert "✗ evidence-root" in said.out
    assert "code    evidence-root" in said.out
    assert "remedy" in said.out
    assert "accepted" not in said.out


@pytest.mark.parametrize("columns", [60, 80, 120, 300])
def test_no_line_is_wider_than_the_terminal(
    file: Path,
    sealtune_: Sealtune,
    trial: tuple[str, ...],
    monkeypatch: pytest.MonkeyPatch,
    columns: int,
) -> None:
    monkeypatch.setenv("COLUMNS", str(columns))
    assert terminal_width() == min(120, columns)
    for command in (("verify", file, *trial), ("show", file)):
        lines = sealtune_("attest", *command).out.splitlines()
        # The path may be as long as it likes, and the words around it stay whole.
        wide = [line for line in lines if len(line) > terminal_width() and str(file) not in line]
        assert not wide, wide


@pytest.mark.parametrize("how", ["cut", "spoilt", "debug"])
def test_every_refusal_has_one_status(
    tmp_path: Path,
    mock_amd: MockAmd,
    sealtune_: Sealtune,
    trial: tuple[str, ...],
    how: str,
) -> None:
    evidence = mock_amd.evidence(policy=0xB0000 if how == "debug" else 0x30000)
    report = evidence.report[:-1] if how == "cut" else evidence.report
    if how == "spoilt":
        report = report[:0x90] + b"\1" + report[0x91:]
    path = tmp_path / "evidence"
    path.write_text(json.dumps(dataclasses.replace(evidence, report=report).to_dict()))
    said = sealtune_("attest", "verify", path, *trial, "--json")
    assert said.status == 5
    assert said.json["verdict"] == "refuse"
    assert said.json["remedy"]


def test_a_bare_report_with_files_of_certificates(
    tmp_path: Path, evidence: Evidence, sealtune_: Sealtune, trial: tuple[str, ...]
) -> None:
    (tmp_path / "report.hex").write_text(evidence.report.hex())
    folder = tmp_path / "endorsements" / "deeper"
    folder.mkdir(parents=True)
    vcek, ask, ark = evidence.certificates
    (tmp_path / "vcek.der").write_bytes(vcek)
    (folder / "chain.pem").write_text(pem(ask, ark))
    (folder / "README").write_text("no endorsement")
    (folder / "large").write_bytes(bytes(2 << 20))
    call = ("attest", "verify", tmp_path / "report.hex", *trial)
    assert sealtune_(*call).status == 5
    both = ("--endorsements", tmp_path / "vcek.der", "--endorsements", tmp_path / "endorsements")
    for options in ((), ("--type", "sev-snp"), ("--type", "snp"), ("--type", "SNP")):
        assert sealtune_(*call, *both, *options).status == 0
    assert "2 files in folders left out" in sealtune_(*call, *both).out


def test_a_named_file_that_is_no_endorsement(
    file: Path, tmp_path: Path, sealtune_: Sealtune, trial: tuple[str, ...]
) -> None:
    (tmp_path / "notes").write_text("no endorsement")
    said = sealtune_(
        "attest", "verify", file, *trial, "--endorsements", tmp_path / "notes", "--json"
    )
    assert said.status == 5
    assert said.json["code"] == "endorsement-malformed"
    assert said.json["type"] == "sev-snp"


def test_a_folder_with_too_many_files(
    file: Path,
    tmp_path: Path,
    sealtune_: Sealtune,
    trial: tuple[str, ...],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    from sealtune.cli import attest_files

    monkeypatch.setattr(attest_files, "_FOLDER_FILES_MAX", 2)
    folder = tmp_path / "many"
    folder.mkdir()
    for number in range(3):
        (folder / str(number)).touch()
    said = sealtune_("attest", "verify", file, *trial, "--endorsements", folder, "--json")
    assert said.json["code"] == "limit-exceeded"


def test_links_and_pipes_in_a_folder_are_left_out(
    file: Path, tmp_path: Path, sealtune_: Sealtune, trial: tuple[str, ...]
) -> None:
    import os

    folder = tmp_path / "odd"
    folder.mkdir()
    os.mkfifo(folder / "pipe")
    (folder / "nowhere").symlink_to(folder / "missing")
    (folder / "round").symlink_to(folder)
    assert sealtune_("attest", "verify", file, *trial, "--endorsements", folder).status == 0


def test_standard_input(
    evidence: Evidence, sealtune_: Sealtune, trial: tuple[str, ...], monkeypatch: pytest.MonkeyPatch
) -> None:
    def given(data: bytes) -> None:
        monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(data)))

    given(json.dumps(evidence.to_dict()).encode())
    assert sealtune_("attest", "verify", "-", *trial).status == 0
    given(bytes(FOREIGN_EVIDENCE_BYTES_MAX + 1))
    said = sealtune_("attest", "verify", "-", *trial, "--json")
    assert (said.status, said.json["code"], said.json["type"]) == (5, "limit-exceeded", "unknown")


@pytest.mark.parametrize(
    ("moment", "status"),
    [
        ("1795435200", 0),
        ("2026-11-23T12:00:00Z", 0),
        ("2026-11-23T13:00:00+01:00", 0),
        ("2026-11-01T00:00:00Z", 5),
        ("2026-11-23T12:00:00", 2),
        ("yesterday", 2),
        ("-5", 2),
        ("9" * 30, 2),
        ("²", 2),
        ("", 2),
    ],
)
def test_times(
    file: Path, mock_amd: MockAmd, sealtune_: Sealtune, moment: str, status: int
) -> None:
    said = sealtune_(
        "attest", "verify", file, f"--at={moment}", "--insecure-root", mock_amd.root, "--json"
    )
    assert said.status == status, said.out


def test_now_is_the_machines(
    tmp_path: Path, sealtune_: Sealtune, monkeypatch: pytest.MonkeyPatch, file: Path
) -> None:
    from sealtune.core.clock import SystemClock

    later = datetime.fromisoformat("2049-01-01T00:00:00Z")
    monkeypatch.setattr(SystemClock, "now", lambda _: later)
    assert sealtune_("attest", "verify", file, "--json").json["at"] == format_time(later)


def test_a_challenge(file: Path, sealtune_: Sealtune, trial: tuple[str, ...]) -> None:
    call = ("attest", "verify", file, *trial)
    said = sealtune_(*call, "--report-data", BOUND.hex(), "--json")
    assert said.status == 0
    freshness = [step for step in said.json["steps"] if step["step"] == "freshness"]
    assert [step["outcome"] for step in freshness] == ["passed"]
    other = sealtune_(*call, "--report-data", "00" * 64, "--json")
    assert (other.status, other.json["code"]) == (5, "freshness")
    for wrong in ("00" * 63, "zz" * 64, "00 " * 64, ""):
        assert sealtune_(*call, "--report-data", wrong).status == 2


def test_a_policy_and_a_contract(
    file: Path, tmp_path: Path, mock_amd: MockAmd, sealtune_: Sealtune, now: datetime
) -> None:
    call = ("attest", "verify", file, "--at", format_time(now), "--json")
    # The policy names the mock's root itself.
    loose = policy(tmp_path, mock_amd)
    accepted = sealtune_(*call, "--policy", loose)
    assert (accepted.status, accepted.json["policy"]) == (0, str(loose))
    strict = policy(tmp_path, mock_amd, bound=True)
    assert sealtune_(*call, "--policy", strict).json["code"] == "appraisal-host-data"
    digest = f"sha256:{CONTRACT.hex()}"
    assert sealtune_(*call, "--policy", strict, "--contract", digest).status == 0
    other = sealtune_(*call, "--policy", strict, "--contract", f"sha256:{'00' * 32}")
    assert (other.status, other.json["code"]) == (5, "appraisal-host-data")
    wrong = policy(tmp_path, mock_amd, measurement="01" * 48)
    refused = sealtune_(*call, "--policy", wrong)
    assert (refused.status, refused.json["code"]) == (5, "appraisal-measurement")
    shipped = sealtune_(*call, "--policy", "strict")
    assert (shipped.status, shipped.json["code"]) == (5, "evidence-root")


@pytest.mark.parametrize(
    ("options", "status", "code"),
    [
        (("--policy", "no-such"), 3, "config-invalid"),
        (("--contract", "sha256:zz"), 4, "digest-malformed"),
        (("--contract", "no-such.json"), 9, "file-missing"),
        (("--endorsements", "no-such"), 9, "file-missing"),
        (("--event-log", "no-such"), 9, "file-missing"),
        (("--insecure-root", "text"), 4, "digest-malformed"),
        (("--type", "sev"), 2, "usage"),
        (("--ear", "out"), 2, "usage"),
        (("--ear-key", "key"), 2, "usage"),
        (("--ear", "out", "--ear-key", "key"), 2, "usage"),
        (("--ear", "out", "--ear-key", "key", "--policy", "strict"), 2, "usage"),
        (("--no-such",), 2, "usage"),
    ],
)
def test_wrong_use_is_no_verdict(
    file: Path, sealtune_: Sealtune, options: tuple[str, ...], status: int, code: str
) -> None:
    said = sealtune_("attest", "verify", file, *options, "--json")
    assert (said.status, said.error["code"]) == (status, code)


def test_a_file_that_is_not_there(tmp_path: Path, sealtune_: Sealtune) -> None:
    for command in ("verify", "show"):
        said = sealtune_("attest", command, tmp_path / "none", "--json")
        assert (said.status, said.error["code"]) == (9, "file-missing")


def test_a_vendors_root_is_not_made_insecure(file: Path, sealtune_: Sealtune) -> None:
    (root, *_) = package.vendor_anchors().roots
    said = sealtune_("attest", "verify", file, "--insecure-root", root, "--json")
    assert said.error["code"] == "config-invalid"


def test_an_event_log_beside_the_evidence(
    tmp_path: Path, now: datetime, sealtune_: Sealtune
) -> None:
    mock, quote = MockIntel(now=now), MockQuote(body=MockTd())
    (tmp_path / "quote").write_bytes(mock.quote(quote))
    (tmp_path / "set").write_bytes(mock.endorsement(quote))
    (tmp_path / "log").write_text("[]")
    (tmp_path / "junk").write_text("[5]")
    call = (
        *("attest", "verify", tmp_path / "quote", "--endorsements", tmp_path / "set"),
        *("--at", format_time(now), "--insecure-root", mock.root, "--json"),
    )
    assert sealtune_(*call).status == 0
    with_log = sealtune_(*call, "--event-log", tmp_path / "log")
    assert "event log" in {step["step"] for step in with_log.json["steps"]}
    assert sealtune_(*call, "--event-log", tmp_path / "junk").json["code"] == "event-log-malformed"


def test_devices_and_an_event_log(tmp_path: Path, now: datetime, sealtune_: Sealtune) -> None:
    mock = MockNvidia(now=now)
    gpu = mock.evidence()
    text = base64.b64encode(gpu.report).decode()
    chain = base64.b64encode(pem(*gpu.certificates).encode()).decode()
    item = {"arch": "HOPPER", "evidence": text, "certificate": chain}
    (tmp_path / "one").write_text(json.dumps([item]))
    (tmp_path / "two").write_text(json.dumps([item, item]))
    (tmp_path / "log").write_text("[]")
    root = sha256_digest(mock.device_root)
    at = ("--at", format_time(now), "--insecure-root", root)
    one = sealtune_("attest", "verify", tmp_path / "one", *at)
    assert one.status == 0
    assert "NVIDIA GPU" in one.out
    two = sealtune_("attest", "verify", tmp_path / "two", *at)
    assert two.status == 5
    assert "device 1: NVIDIA GPU, hopper" in two.out
    said = sealtune_(
        "attest", "verify", tmp_path / "two", *at, "--event-log", tmp_path / "log", "--json"
    )
    assert said.error["code"] == "config-invalid"


def test_memory_that_is_not_protected_is_said_aloud(
    tmp_path: Path, now: datetime, sealtune_: Sealtune
) -> None:
    mock = MockTpm.generate(now=now)
    path = tmp_path / "evidence"
    path.write_text(json.dumps(mock.evidence(certificates=()).to_dict()))
    said = sealtune_("attest", "verify", path, "--at", format_time(now))
    assert said.status == 0
    assert "NOT PROTECTED" in said.out
    assert "! the operator can read this machine's memory" in said.out
    assert "has no certificate" in said.out


# -- EAR -------------------------------------------------------------------------------------------


@pytest.fixture
def key(tmp_path: Path) -> P256Key:
    made = P256Key.generate()
    text = base64.encodebytes(made.reveal()).decode()
    (tmp_path / "key.pem").write_text(
        f"-----BEGIN PRIVATE KEY-----\n{text}-----END PRIVATE KEY-----\n"
    )
    return made


def ear_call(folder: Path, file: Path, now: datetime, terms: Path) -> tuple[object, ...]:
    return (
        *("attest", "verify", file, "--at", format_time(now), "--policy", terms),
        *("--report-data", BOUND.hex(), "--ear", folder / "ear.jwt"),
        *("--ear-key", folder / "key.pem", "--json"),
    )


@pytest.mark.parametrize("accepted", [True, False])
def test_a_token_says_what_was_found(
    file: Path,
    tmp_path: Path,
    mock_amd: MockAmd,
    sealtune_: Sealtune,
    now: datetime,
    key: P256Key,
    accepted: bool,
) -> None:
    terms = policy(tmp_path, mock_amd, measurement=("00" if accepted else "01") * 48)
    said = sealtune_(*ear_call(tmp_path, file, now, terms))
    assert said.status == (0 if accepted else 5)
    token = (tmp_path / "ear.jwt").read_text().strip()
    ear = verify_ear(token, spki=key.spki, now=datetime.now(now.tzinfo) + timedelta(minutes=1))
    appraisal = ear.submodules["cpu0"]
    # A simulation is contraindicated whatever the policy says.
    assert appraisal.status is EarStatus.CONTRAINDICATED
    assert ear.insecure
    assert appraisal.policy_id == sha256_digest(terms.read_bytes())
    assert str(tmp_path) not in json.dumps(ear.to_dict())


def test_there_is_no_token_about_what_is_not_genuine(
    file: Path, tmp_path: Path, mock_amd: MockAmd, sealtune_: Sealtune, now: datetime, key: P256Key
) -> None:
    assert key
    terms = policy(tmp_path, mock_amd)
    evidence = json.loads(file.read_text())
    file.write_text(json.dumps({**evidence, "certificates": evidence["certificates"][:2]}))
    assert sealtune_(*ear_call(tmp_path, file, now, terms)).status == 5
    assert not (tmp_path / "ear.jwt").exists()


@pytest.mark.parametrize(
    "text",
    ["", "text", "-----BEGIN PRIVATE KEY-----\n!\n-----END PRIVATE KEY-----"],
)
def test_a_key_that_is_none(
    file: Path, tmp_path: Path, mock_amd: MockAmd, sealtune_: Sealtune, now: datetime, text: str
) -> None:
    (tmp_path / "key.pem").write_text(text)
    said = sealtune_(*ear_call(tmp_path, file, now, policy(tmp_path, mock_amd)))
    assert said.status == 4
    assert "openssl" in said.error["remedy"]
    assert not (tmp_path / "ear.jwt").exists()


# -- show ------------------------------------------------------------------------------------------


def test_every_field_and_a_word_on_it(file: Path, sealtune_: Sealtune) -> None:
    said = sealtune_("attest", "show", file)
    assert said.status == 0
    assert said.out.startswith(" NOT VERIFIED ")
    assert "policy_bits.debug" in said.out
    assert "the host may debug the guest" in said.out
    answer = sealtune_("attest", "show", file, "--json").json
    assert answer["verified"] is False
    (shown,) = answer["evidence"]
    assert shown["fields"]["report_data"] == BOUND.hex()
    assert shown["meanings"]["report_data"]


def test_devices_of_a_machine_are_shown_too(
    tmp_path: Path, evidence: Evidence, now: datetime, sealtune_: Sealtune
) -> None:
    whole = dataclasses.replace(evidence, devices=(MockNvidia(now=now).evidence(),))
    path = tmp_path / "whole"
    path.write_text(json.dumps(whole.to_dict()))
    said = sealtune_("attest", "show", path)
    assert "nvidia-gpu (device 0)" in said.out
    (shown,) = sealtune_("attest", "show", path, "--json").json["evidence"]
    assert shown["devices"][0]["fields"]["driver"] == "550.90.07"


def test_what_cannot_be_read_is_said(tmp_path: Path, sealtune_: Sealtune) -> None:
    (tmp_path / "junk").write_bytes(b"\x99junk")
    said = sealtune_("attest", "show", tmp_path / "junk", "--type", "sgx")
    assert said.status == 0
    assert "no field can be read" in said.out
    assert sealtune_("attest", "show", tmp_path / "junk").status == 4


# -- collect ---------------------------------------------------------------------------------------


@pytest.fixture
def machine(mock_amd: MockAmd, monkeypatch: pytest.MonkeyPatch) -> list[tuple[str, bytes]]:
    """A stand-in for this machine's TEE; the attesters have tests of their own."""
    asked: list[tuple[str, bytes]] = []

    def attest(tee: str, report_data: bytes) -> Evidence:
        asked.append((tee, report_data))
        return mock_amd.evidence(report_data=report_data)

    monkeypatch.setattr(package, "collect", attest)
    return asked


def test_what_is_collected_verifies(
    tmp_path: Path,
    machine: list[tuple[str, bytes]],
    sealtune_: Sealtune,
    trial: tuple[str, ...],
) -> None:
    path = tmp_path / "evidence.json"
    said = sealtune_("attest", "collect", "-o", path, "--report-data", BOUND.hex(), "--json")
    assert (said.status, said.json["type"], said.json["report_data"]) == (0, "sev-snp", BOUND.hex())
    assert machine == [("auto", BOUND)]
    found = sealtune_("attest", "verify", path, *trial, "--report-data", BOUND.hex())
    assert found.status == 0
    assert "wrote" in sealtune_("attest", "collect", "-o", tmp_path / "other").out
    assert machine[1][1] != BOUND
    assert read_evidence((tmp_path / "other").read_bytes(), kind=None, what="it")


def test_nothing_is_overwritten(
    tmp_path: Path, machine: list[tuple[str, bytes]], sealtune_: Sealtune
) -> None:
    path = tmp_path / "evidence.json"
    path.write_text("mine")
    said = sealtune_("attest", "collect", "-o", path, "--json")
    assert said.error["code"] == "file-exists"
    assert path.read_text() == "mine"
    assert not machine, "the machine was asked for nothing"


def test_a_machine_without_a_tee(
    tmp_path: Path, sealtune_: Sealtune, monkeypatch: pytest.MonkeyPatch
) -> None:
    detect = select.detect_attesters
    monkeypatch.setattr(select, "detect_attesters", lambda _: detect(tmp_path))
    path = tmp_path / "evidence.json"
    for tee in ("auto", "sev-snp", "tdx+nvidia-gpu"):
        said = sealtune_("attest", "collect", "--tee", tee, "-o", path, "--json")
        assert (said.status, said.error["code"]) == (3, "tee-unavailable")
        assert said.error["remedy"]
    unknown = sealtune_("attest", "collect", "--tee", "magic", "-o", path, "--json")
    assert unknown.error["code"] == Code.CONFIG_INVALID
    assert not path.exists()


def test_a_vcek_of_another_product_is_not_taken(
    tmp_path: Path, mock_amd: MockAmd, sealtune_: Sealtune, trial: tuple[str, ...]
) -> None:
    vek = MockVek(hwid=b"\7" * 64)
    (tmp_path / "report").write_bytes(mock_amd.evidence().report)
    (tmp_path / "chain.pem").write_text(pem(*mock_amd.chain(vek)))
    said = sealtune_(
        *("attest", "verify", tmp_path / "report", *trial),
        *("--endorsements", tmp_path / "chain.pem", "--json"),
    )
    assert said.json["code"] == "endorsement-missing"
