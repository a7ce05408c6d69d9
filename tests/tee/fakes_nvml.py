"""The module `pynvml` on a machine with GPUs in confidential computing mode."""

from __future__ import annotations

import ctypes
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from types import SimpleNamespace

from tee.fakes_azure import pem

# Answers a nonce with a report and a chain, DER: one for each GPU.
Gpu = Callable[[bytes], tuple[bytes, tuple[bytes, ...]]]
_REPORT_BYTES, _CHAIN_BYTES = 0x2000, 0x1400


class NVMLError(Exception):
    """As the bindings raise it."""


@dataclass(slots=True)
class FakeNvml:
    """What NvidiaGpuAttester uses of the bindings, with their fixed buffers and handles."""

    gpus: Sequence[Gpu]
    cc_feature: int = 1
    fails: str = ""
    sizes: dict[str, int] = field(default_factory=dict)
    open: int = 0
    NVMLError: type[Exception] = NVMLError
    NVML_CC_SYSTEM_FEATURE_DISABLED: int = 0

    def _enter(self, name: str) -> None:
        if self.fails == name:
            raise NVMLError("Not Supported")
        if name != "nvmlInit" and not self.open:
            raise NVMLError("Uninitialized")

    def nvmlInit(self) -> None:
        self._enter("nvmlInit")
        self.open += 1

    def nvmlShutdown(self) -> None:
        self._enter("nvmlShutdown")
        self.open -= 1

    def nvmlSystemGetConfComputeState(self) -> SimpleNamespace:
        self._enter("nvmlSystemGetConfComputeState")
        return SimpleNamespace(environment=2, ccFeature=self.cc_feature, devToolsMode=0)

    def nvmlDeviceGetCount(self) -> int:
        self._enter("nvmlDeviceGetCount")
        return len(self.gpus)

    def nvmlDeviceGetHandleByIndex(self, index: int) -> SimpleNamespace:
        self._enter("nvmlDeviceGetHandleByIndex")
        return SimpleNamespace(gpu=self.gpus[index])

    def nvmlDeviceGetConfComputeGpuAttestationReport(
        self, handle: SimpleNamespace, nonce: bytes
    ) -> SimpleNamespace:
        self._enter("nvmlDeviceGetConfComputeGpuAttestationReport")
        asked = bytes((ctypes.c_uint8 * len(nonce))(*nonce))  # as the bindings pass it on
        report, _ = handle.gpu(asked)
        return SimpleNamespace(
            attestationReport=_buffer(report, _REPORT_BYTES),
            attestationReportSize=self.sizes.get("report", len(report)),
        )

    def nvmlDeviceGetConfComputeGpuCertificate(self, handle: SimpleNamespace) -> SimpleNamespace:
        self._enter("nvmlDeviceGetConfComputeGpuCertificate")
        _, chain = handle.gpu(bytes(32))
        text = pem(*chain).encode()
        return SimpleNamespace(
            attestationCertChain=_buffer(text, _CHAIN_BYTES),
            attestationCertChainSize=self.sizes.get("chain", len(text)),
        )


def _buffer(content: bytes, size: int) -> ctypes.Array[ctypes.c_uint8]:
    return (ctypes.c_uint8 * size)(*content)
