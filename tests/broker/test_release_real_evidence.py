"""A broker releases on evidence of real hardware, and on nothing that differs from it.

Real evidence answers challenges of long ago. Here, and only here, one honest request (challenge,
broker, worker and contract) is declared to be the one that the recorded evidence answered; every
other request is bound as always, so whatever differs is refused.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from sealtune.attestation import verify
from sealtune.attestation.binding import device_challenge, release_report_data
from sealtune.attestation.endorsements import NO_ENDORSEMENTS, Endorsements
from sealtune.attestation.evidence import Evidence
from sealtune.attestation.forms.endorsement_files import read_endorsements
from sealtune.attestation.forms.read import read_evidence
from sealtune.broker import release as release_module
from sealtune.broker.audit import read_log
from sealtune.broker.desk import Desk
from sealtune.broker.registration import register_contract
from sealtune.broker.release import RequestRefused, issue_challenge, release_keys
from sealtune.crypto.x509 import certificates_from_pem
from sealtune.errors import Code
from sealtune.protocol.session import BrokerSession, ReleasedKeys, WorkerSecrets
from sealtune.testing.clock import VirtualClock
from sealtune.testing.mock_amd import MockAmd
from sealtune.testing.scene import Scene, make_scene, new_run_id, register_all

BROKER = "hospital-broker"
CLOUD_FLAGS = ["cached-keys", "dynamic-platform", "smt"]


@dataclass(frozen=True, kw_only=True)
class Case:
    """Recorded evidence, what it needs, when it was valid, and the entry that accepts it."""

    evidence: Evidence
    endorsements: Endorsements
    at: int
    report_data: bytes
    enclave: dict[str, Any]

    @property
    def now(self) -> datetime:
        return datetime.fromtimestamp(self.at, UTC)


def _read(folder: Path, name: str) -> Evidence:
    (found,) = read_evidence((folder / name).read_bytes(), kind=None, what=name)
    return found


def _chain(folder: Path, *names: str) -> tuple[bytes, ...]:
    return tuple(
        certificate
        for name in names
        for certificate in certificates_from_pem((folder / name).read_bytes())
    )[:3]


def _endorsements(folder: Path, *names: str) -> Endorsements:
    files = [(name, (folder / name).read_bytes()) for name in names]
    return read_endorsements(files, chain=())


def _snp(folder: Path) -> Case:
    evidence = dataclasses.replace(
        _read(folder, "snp/ms-turin/report.bin"),
        certificates=_chain(folder, "snp/ms-turin/vcek.pem", "roots/amd/ask_ark_turin_vcek.pem"),
    )
    return Case(
        evidence=evidence,
        endorsements=NO_ENDORSEMENTS,
        at=1790000000,
        report_data=evidence.report[0x50:0x90],
        enclave={
            "kind": "sev-snp",
            "measurements": [evidence.report[0x90:0xC0].hex()],
            "minimum_tcb": {"turin": {"fmc": 1, "bl": 1, "tee": 1, "snp": 4, "ucode": 81}},
            "vmpl": [0],
            "required_platform": ["alias-check-complete", "ecc"],
        },
    )


def _tdx(folder: Path) -> Case:
    evidence = _read(folder, "tdx/gtg-ccel/cos-113-tdx-quote.dat")
    log = (folder / "tdx/gtg-ccel/ccel_data.dat").read_bytes()
    evidence = dataclasses.replace(evidence, parts={"event_log": log})
    return Case(
        evidence=evidence,
        endorsements=_endorsements(folder, "intel-collateral/composed/tdx-00806f05-2025-07.json"),
        at=1753175614,
        report_data=evidence.report[568:632],
        enclave={
            "kind": "tdx",
            "measurements": [evidence.report[184:232].hex()],
            "registers": {
                "rtmr1": [evidence.report[424:472].hex()],
                "rtmr2": [evidence.report[472:520].hex()],
            },
            "tcb_statuses": ["UpToDate"],
            "minimum_evaluation": 17,
            "platform_flags": CLOUD_FLAGS,
        },
    )


def _sgx(folder: Path) -> Case:
    evidence = _read(folder, "sgx/phala-v3/sgx_quote")
    return Case(
        evidence=evidence,
        endorsements=_endorsements(folder, "sgx/phala-v3/sgx_quote_collateral.json"),
        at=1751624924,
        report_data=evidence.report[368:432],
        enclave={
            "kind": "sgx",
            "measurements": [evidence.report[112:144].hex()],
            "registers": {"mrsigner": [evidence.report[176:208].hex()]},
            "tcb_statuses": ["ConfigurationAndSWHardeningNeeded"],
            "platform_flags": CLOUD_FLAGS,
        },
    )


def _composite(folder: Path) -> Case:
    machine = _snp(folder)
    switch = dataclasses.replace(
        _read(folder, "nvidia/sdk-unit/switchAttestationReport.txt"),
        certificates=certificates_from_pem(
            (folder / "nvidia/sdk-unit/switchCertChain.txt").read_bytes()
        ),
    )
    rim = "switchVBIOSRim_NV_SWITCH_BIOS_5612_0002_890_9610550001.xml"
    devices = {
        "kind": "nvidia-switch",
        "count": 1,
        "architectures": ["ls10"],
        "ocsp": False,
    }
    return dataclasses.replace(
        machine,
        evidence=dataclasses.replace(machine.evidence, devices=(switch,)),
        endorsements=_endorsements(
            folder, f"nvidia/sdk-unit/{rim}", "roots/nvidia/verifier_RIM_root.pem"
        ),
        enclave={**machine.enclave, "devices": [devices]},
    )


CASES: dict[str, Callable[[Path], Case]] = {
    "snp": _snp,
    "tdx": _tdx,
    "sgx": _sgx,
    "composite": _composite,
}


@dataclass(frozen=True, kw_only=True)
class Stage:
    """A broker that knows one contract, and the one request that the evidence answers."""

    case: Case
    scene: Scene
    desk: Desk
    clock: VirtualClock
    honest: WorkerSecrets

    def ask(
        self, *, evidence: Evidence | None = None, worker: WorkerSecrets | None = None
    ) -> ReleasedKeys:
        """Play a session with the recorded evidence, or with `evidence`."""
        terms = self.scene.terms(BROKER, run_id=new_run_id(), worker=worker or self.honest)
        session = BrokerSession(terms)
        session.on_challenge(issue_challenge(self.desk, session.start()))
        request = session.request(evidence or self.case.evidence)
        return session.on_release(release_keys(self.desk, request))

    def refusal(self, **changes: Any) -> Code:
        """Return the code with which the broker refuses."""
        with pytest.raises(RequestRefused) as caught:
            self.ask(**changes)
        return caught.value.code


@pytest.fixture(params=list(CASES))
def case(request: pytest.FixtureRequest, shared_dir: Path) -> Case:
    return CASES[request.param](shared_dir / "vectors")


@pytest.fixture(scope="module")
def amd(now: datetime) -> MockAmd:
    return MockAmd.generate(now=now)


@pytest.fixture
def stage(
    case: Case, amd: MockAmd, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Iterator[Stage]:
    yield from _stage(case, amd, tmp_path, monkeypatch)


def _stage(
    case: Case,
    amd: MockAmd,
    folder: Path,
    monkeypatch: pytest.MonkeyPatch,
    **changes: Any,
) -> Iterator[Stage]:
    enclave = {"name": "recorded", "contract_at_launch": False, **case.enclave, **changes}
    scene = make_scene(folder, mock=amd, now=case.now, enclaves=[enclave])
    clock = VirtualClock(case.now)
    desk = dataclasses.replace(
        scene.open_desk(BROKER, clock, accepts_insecure=False),
        endorsements=lambda: case.endorsements,
    )
    register_all(desk, scene, BROKER)
    honest = WorkerSecrets.generate()
    _declare(monkeypatch, case, contract=scene.contract.digest, honest=honest)
    yield Stage(case=case, scene=scene, desk=desk, clock=clock, honest=honest)
    desk.store.close()


def _declare(
    monkeypatch: pytest.MonkeyPatch, case: Case, *, contract: str, honest: WorkerSecrets
) -> None:
    def bound(**parts: Any) -> bytes:
        asked = (parts["contract"], parts["worker"].signing)
        if asked == (contract, honest.signing.public):
            return case.report_data
        return release_report_data(**parts)

    def challenge(report_data: bytes) -> bytes:
        if report_data == case.report_data and case.evidence.devices:
            return case.evidence.devices[0].report[4:36]
        return device_challenge(report_data)

    monkeypatch.setattr(release_module, "release_report_data", bound)
    monkeypatch.setattr(verify, "device_challenge", challenge)


def test_the_key_is_released_on_real_evidence(stage: Stage) -> None:
    released = stage.ask()
    notes = stage.scene.inputs["notes"]
    assert released.keys[notes.digest].reveal() == notes.key.reveal()
    assert not released.insecure


def test_a_worker_with_other_keys_is_refused(stage: Stage) -> None:
    assert stage.refusal(worker=WorkerSecrets.generate()) is Code.FRESHNESS


def test_another_contract_is_refused(stage: Stage) -> None:
    other = stage.scene.agree(name="another-job")
    register_contract(stage.desk, other.envelope.to_json())
    assert dataclasses.replace(stage, scene=other).refusal() is Code.FRESHNESS


@pytest.mark.parametrize("place", [0.3, 0.6, 0.9])
def test_one_byte_is_enough_for_a_refusal(stage: Stage, place: float) -> None:
    report = bytearray(stage.case.evidence.report)
    signed = {"sev-snp": 0x2A0, "tdx": 632, "sgx": 432}[str(stage.case.evidence.kind)]
    report[int(signed * place)] ^= 1
    changed = dataclasses.replace(stage.case.evidence, report=bytes(report))
    with pytest.raises(RequestRefused):
        stage.ask(evidence=changed)


def test_one_byte_of_what_comes_with_it_is_enough(stage: Stage) -> None:
    evidence = stage.case.evidence
    if evidence.devices:
        report = bytearray(evidence.devices[0].report)
        report[-1] ^= 1
        device = dataclasses.replace(evidence.devices[0], report=bytes(report))
        changed = dataclasses.replace(evidence, devices=(device,))
        assert stage.refusal(evidence=changed) is Code.EVIDENCE_SIGNATURE
    elif evidence.parts:
        log = bytearray(evidence.parts["event_log"])
        log[-200_000] ^= 1
        changed = dataclasses.replace(evidence, parts={"event_log": bytes(log)})
        with pytest.raises(RequestRefused):
            stage.ask(evidence=changed)
    elif evidence.certificates:
        leaf = bytearray(evidence.certificates[0])
        leaf[-1] ^= 1
        chain = (bytes(leaf), *evidence.certificates[1:])
        changed = dataclasses.replace(evidence, certificates=chain)
        assert stage.refusal(evidence=changed) is Code.CERTIFICATE_SIGNATURE


def test_another_time_is_refused(
    case: Case, amd: MockAmd, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # Nine years on, certificates or Intel's documents have ended; the contract is of that time.
    later = dataclasses.replace(case, at=case.at + 9 * 365 * 86_400)
    for stage in _stage(later, amd, tmp_path, monkeypatch):
        expected = {Code.EVIDENCE_CERTIFICATE_TIME, Code.ENDORSEMENT_STALE}
        assert stage.refusal() in expected


def test_another_measurement_is_refused(
    case: Case, amd: MockAmd, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    other = ["00" * (len(case.enclave["measurements"][0]) // 2)]
    for stage in _stage(case, amd, tmp_path, monkeypatch, measurements=other):
        assert stage.refusal() is Code.APPRAISAL_MEASUREMENT


def test_a_contract_that_asks_for_itself_at_launch_is_not_satisfied(
    case: Case, amd: MockAmd, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for stage in _stage(case, amd, tmp_path, monkeypatch, contract_at_launch=True):
        assert stage.refusal() is Code.APPRAISAL_HOST_DATA


POLICIES: dict[str, tuple[dict[str, Any], Code]] = {
    "snp": ({"vmpl": [1]}, Code.APPRAISAL_VMPL),
    "tdx": ({"tcb_statuses": ["OutOfDate"]}, Code.APPRAISAL_TCB_STATUS),
    "sgx": ({"tcb_statuses": ["UpToDate"]}, Code.APPRAISAL_TCB_STATUS),
    "composite": ({"devices": []}, Code.APPRAISAL_DEVICES),
}


@pytest.mark.parametrize("name", list(POLICIES))
def test_another_policy_is_refused(
    name: str, shared_dir: Path, amd: MockAmd, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    changes, code = POLICIES[name]
    recorded = CASES[name](shared_dir / "vectors")
    for stage in _stage(recorded, amd, tmp_path, monkeypatch, **changes):
        assert stage.refusal() is code


def test_fewer_devices_than_agreed_are_refused(
    shared_dir: Path, amd: MockAmd, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    recorded = _composite(shared_dir / "vectors")
    (device,) = recorded.enclave["devices"]
    two = [{**device, "count": 2}]
    for stage in _stage(recorded, amd, tmp_path, monkeypatch, devices=two):
        assert stage.refusal() is Code.APPRAISAL_DEVICES
        twice = dataclasses.replace(recorded.evidence, devices=recorded.evidence.devices * 2)
        assert stage.refusal(evidence=twice) is Code.DEVICE_DUPLICATE
        alone = dataclasses.replace(recorded.evidence, devices=())
        assert stage.refusal(evidence=alone) is Code.APPRAISAL_DEVICES


def test_endorsements_that_are_missing_are_named(
    shared_dir: Path, amd: MockAmd, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    recorded = dataclasses.replace(_tdx(shared_dir / "vectors"), endorsements=NO_ENDORSEMENTS)
    for stage in _stage(recorded, amd, tmp_path, monkeypatch):
        assert stage.refusal() is Code.ENDORSEMENT_MISSING


def test_the_log_names_the_platform(stage: Stage) -> None:
    stage.ask()
    entries = stage.desk.store.inspect(lambda connection: read_log(connection, log=stage.desk.key))
    facts = entries[-1].body["evidence"]
    assert facts["kind"] == stage.case.enclave["kind"]
    assert facts["measurement"] in stage.case.enclave["measurements"]
    assert facts["identity"]
    assert len(facts["devices"]) == len(stage.case.evidence.devices)


def test_time_moves_within_the_window(stage: Stage) -> None:
    stage.clock.advance(3600)
    assert stage.ask().run == "new"


def test_copied_evidence_does_not_buy_the_verification_of_devices(
    shared_dir: Path, amd: MockAmd, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Anybody can send public evidence; what is not fresh must be cheap to refuse."""
    recorded = _composite(shared_dir / "vectors")
    junk = dataclasses.replace(recorded.evidence.devices[0], report=bytes(4000))
    many = dataclasses.replace(recorded.evidence, devices=(junk,) * 20)
    for stage in _stage(recorded, amd, tmp_path, monkeypatch):
        # Not fresh: no device is looked at, or junk would be the complaint.
        assert stage.refusal(worker=WorkerSecrets.generate(), evidence=many) is Code.FRESHNESS
        # Fresh, but its devices were asked something else.
        assert stage.refusal(evidence=many) is Code.FRESHNESS
