"""The Attesters for NVIDIA's GPUs and for a machine with its GPUs, before NVML's bindings."""

from __future__ import annotations

import base64
import dataclasses
import json
import sys
from datetime import datetime

import pytest

from sealtune.attestation.anchors import Product, RootUse
from sealtune.attestation.binding import device_challenge
from sealtune.attestation.endorsements import NO_ENDORSEMENTS
from sealtune.attestation.evidence import Evidence, EvidenceKind
from sealtune.attestation.steps import Steps
from sealtune.attestation.verify import verify_evidence
from sealtune.core.limits import DEVICES_MAX
from sealtune.crypto.x509 import certificates_from_pem
from sealtune.errors import Code, ConfigError, SealtuneError
from sealtune.tee.attester import Attester
from sealtune.tee.composite import CompositeAttester
from sealtune.tee.nvidia_nvml import NvidiaGpuAttester
from sealtune.testing.mock_amd import MockAmd
from sealtune.testing.mock_nvidia import MockDevice, MockNvidia, MockReport
from tee.fakes_nvml import FakeNvml, Gpu

NONCE = bytes(range(32))
REPORT_DATA = bytes(range(64))
HOST_DATA = bytes(32)


def echo(nonce: bytes) -> tuple[bytes, tuple[bytes, ...]]:
    return b"report" + nonce, (b"leaf", b"root")


def refused(nvml: FakeNvml) -> SealtuneError:
    with pytest.raises(SealtuneError) as refusal:
        NvidiaGpuAttester(nvml).attest_devices(NONCE)
    return refusal.value


def test_each_gpu_answers_the_nonce() -> None:
    nvml = FakeNvml([echo] * 8)
    devices = NvidiaGpuAttester(nvml).attest_devices(NONCE)
    assert len(devices) == 8
    for device in devices:
        assert device.kind is EvidenceKind.NVIDIA_GPU
        assert device.report == b"report" + NONCE
        assert device.certificates == (b"leaf", b"root")
    assert nvml.open == 0


def test_real_reports_come_through_unchanged(shared_dir) -> None:
    path = shared_dir / "vectors/nvidia/sdk-serialized/multi_gpu_hopper.json"
    items = json.loads(path.read_text())
    gpus: list[Gpu] = []
    for item in items:
        report = base64.b64decode(item["evidence"])
        chain = certificates_from_pem(base64.b64decode(item["certificate"]))
        gpus.append(lambda _nonce, report=report, chain=chain: (report, chain))
    devices = NvidiaGpuAttester(FakeNvml(gpus)).attest_devices(bytes.fromhex(items[0]["nonce"]))
    assert [(device.report, device.certificates) for device in devices] == [
        gpu(NONCE) for gpu in gpus
    ]


CALLS = [
    "nvmlSystemGetConfComputeState",
    "nvmlDeviceGetCount",
    "nvmlDeviceGetHandleByIndex",
    "nvmlDeviceGetConfComputeGpuAttestationReport",
    "nvmlDeviceGetConfComputeGpuCertificate",
]


@pytest.mark.parametrize("call", CALLS)
def test_a_gpu_that_refuses_is_one_of_our_errors(call: str) -> None:
    nvml = FakeNvml([echo], fails=call)
    error = refused(nvml)
    assert error.code is Code.ATTESTER_FAILED
    assert "Not Supported" in error.message
    assert nvml.open == 0


def test_no_driver_is_unavailable() -> None:
    assert refused(FakeNvml([echo], fails="nvmlInit")).code is Code.TEE_UNAVAILABLE


def test_a_gpu_that_protects_nothing_is_unavailable() -> None:
    error = refused(FakeNvml([echo], cc_feature=0))
    assert error.code is Code.TEE_UNAVAILABLE
    assert "CC mode" in error.remedy


@pytest.mark.parametrize("count", [0, DEVICES_MAX + 1])
def test_no_gpu_and_too_many_are_refused(count: int) -> None:
    assert refused(FakeNvml([echo] * count)).code is Code.TEE_UNAVAILABLE


@pytest.mark.parametrize("what", ["report", "chain"])
@pytest.mark.parametrize("size", [0, 0x2001])
def test_a_size_that_leaves_the_buffer_is_refused(what: str, size: int) -> None:
    assert refused(FakeNvml([echo], sizes={what: size})).code is Code.ATTESTER_FAILED


def test_somebody_elses_answer_is_refused() -> None:
    assert refused(FakeNvml([lambda _: echo(bytes(32))])).code is Code.ATTESTER_FAILED


def test_without_bindings_it_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "pynvml", None)
    with pytest.raises(ConfigError) as refusal:
        NvidiaGpuAttester().attest_devices(NONCE)
    assert refusal.value.code is Code.DEPENDENCY_MISSING
    assert "sealtune[nvidia]" in refusal.value.remedy


def test_installed_bindings_are_used(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "pynvml", FakeNvml([echo]))  # type: ignore[arg-type]
    assert len(NvidiaGpuAttester().attest_devices(NONCE)) == 1


def test_wrong_length_is_the_callers_mistake() -> None:
    with pytest.raises(ValueError, match="32"):
        NvidiaGpuAttester(FakeNvml([echo])).attest_devices(bytes(31))


@dataclasses.dataclass(frozen=True, slots=True)
class MockMachine:
    mock_amd: MockAmd
    insecure: bool = False

    def attest(self, report_data: bytes, *, host_data: bytes) -> Evidence:
        return self.mock_amd.evidence(report_data=report_data, host_data=host_data)


def mock_gpu(mock: MockNvidia, device: MockDevice) -> Gpu:
    def gpu(nonce: bytes) -> tuple[bytes, tuple[bytes, ...]]:
        evidence = mock.evidence(MockReport(nonce=nonce), device=device)
        return evidence.report, evidence.certificates

    return gpu


def composite(mock_amd: MockAmd, *gpus: Gpu) -> Attester:
    return CompositeAttester(MockMachine(mock_amd), NvidiaGpuAttester(FakeNvml(gpus)))


def test_a_machine_with_gpus_passes_the_production_verifier(
    mock_amd: MockAmd, now: datetime
) -> None:
    mock = MockNvidia(now=now)
    gpus = [mock_gpu(mock, MockDevice(serial=serial, leaf_serial=serial)) for serial in (1, 2)]
    attester = composite(mock_amd, *gpus)
    assert not attester.insecure
    evidence = attester.attest(REPORT_DATA, host_data=HOST_DATA)
    assert evidence.kind is EvidenceKind.SEV_SNP
    anchors = mock.anchors.with_insecure_root(
        mock_amd.root, use=RootUse.AMD_ARK, product=Product.GENOA
    )
    verified = verify_evidence(
        evidence,
        report_data=REPORT_DATA,
        anchors=anchors,
        endorsements=NO_ENDORSEMENTS,
        now=now,
        steps=Steps(),
    )
    devices = verified.authentic.devices
    assert [device.freshness for device in devices] == [device_challenge(REPORT_DATA)] * 2


def test_a_simulated_machine_stays_insecure_with_gpus(mock_amd: MockAmd) -> None:
    machine = MockMachine(mock_amd, insecure=True)
    assert CompositeAttester(machine, NvidiaGpuAttester(FakeNvml([echo]))).insecure


def test_a_machine_without_its_gpus_gives_no_evidence(mock_amd: MockAmd) -> None:
    with pytest.raises(SealtuneError) as refusal:
        composite(mock_amd).attest(REPORT_DATA, host_data=HOST_DATA)
    assert refusal.value.code is Code.TEE_UNAVAILABLE
