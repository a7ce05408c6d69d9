"""Evidence of NVIDIA GPUs in confidential computing mode, through NVML's Python bindings.

The bindings (`nvidia-ml-py`, module `pynvml`) are loaded when they are used and only then. Source:
NVML API reference, "Confidential Computing". Switches answer through another library (NSCQ) that
has no bindings; their evidence is not collected here.
"""

from __future__ import annotations

import importlib
from collections.abc import Sequence
from typing import Any

from sealtune.attestation.evidence import Evidence, EvidenceKind
from sealtune.core.limits import DEVICES_MAX
from sealtune.crypto.pem import certificates_from_pem
from sealtune.errors import Code, ConfigError
from sealtune.tee.machine import attester_failed, require_bound, tee_unavailable

NONCE_BYTES = 32
_REMEDY = "set the GPU's CC mode on the host (nvtrust: gpu-admin-tools) and restart the VM"


class NvidiaGpuAttester:
    """Attests each GPU of the machine; `nvml` is the module `pynvml` or one that answers alike."""

    def __init__(self, nvml: Any = None) -> None:
        self._nvml = nvml

    def attest_devices(self, nonce: bytes) -> tuple[Evidence, ...]:
        """Return evidence of every GPU that this machine sees, all under `nonce` (32 bytes).

        Raises:
            ValueError: another length.
            ConfigError: bindings or driver are missing, there is no GPU, or it is not protected.
            SealtuneError: a GPU refuses.
        """
        if len(nonce) != NONCE_BYTES:
            raise ValueError(f"a nonce has {NONCE_BYTES} bytes")
        nvml = self._nvml or _bindings()
        try:
            nvml.nvmlInit()
        except nvml.NVMLError as error:
            raise tee_unavailable(
                f"NVML: {error}", remedy="install NVIDIA's driver and give the VM a GPU"
            ) from error
        try:
            return _attested(nvml, nonce)
        except nvml.NVMLError as error:
            raise attester_failed(f"NVML: {error}", remedy=_REMEDY) from error
        finally:
            nvml.nvmlShutdown()


def _bindings() -> Any:
    try:
        return importlib.import_module("pynvml")
    except ImportError as error:
        raise ConfigError(
            Code.DEPENDENCY_MISSING,
            "evidence of NVIDIA GPUs needs NVML's Python bindings",
            remedy="install them: pip install 'sealtune[nvidia]'",
        ) from error


def _attested(nvml: Any, nonce: bytes) -> tuple[Evidence, ...]:
    if nvml.nvmlSystemGetConfComputeState().ccFeature == nvml.NVML_CC_SYSTEM_FEATURE_DISABLED:
        raise tee_unavailable("NVML: confidential computing is off", remedy=_REMEDY)
    count = nvml.nvmlDeviceGetCount()
    if not 1 <= count <= DEVICES_MAX:
        raise tee_unavailable(f"NVML: {count} GPUs", remedy="give the VM 1 to 32 GPUs")
    handles = [nvml.nvmlDeviceGetHandleByIndex(index) for index in range(count)]
    return tuple(_device(nvml, handle, nonce) for handle in handles)


def _device(nvml: Any, handle: Any, nonce: bytes) -> Evidence:
    answer = nvml.nvmlDeviceGetConfComputeGpuAttestationReport(handle, nonce)
    chain = nvml.nvmlDeviceGetConfComputeGpuCertificate(handle)
    report = _filled(answer.attestationReport, answer.attestationReportSize)
    require_bound(report, nonce, what="NVIDIA GPU")
    pem = _filled(chain.attestationCertChain, chain.attestationCertChainSize)
    return Evidence(
        kind=EvidenceKind.NVIDIA_GPU, report=report, certificates=certificates_from_pem(pem)
    )


def _filled(buffer: Sequence[int], size: int) -> bytes:
    """Return the part of a fixed buffer that the driver says it filled."""
    if not 0 < size <= len(buffer):
        raise attester_failed(f"NVML: {size} bytes in a buffer of {len(buffer)}")
    return bytes(buffer[:size])
