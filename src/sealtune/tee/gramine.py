"""Evidence of an SGX enclave under Gramine, through its pseudo-files in /dev/attestation.

Source: Gramine's documentation, "Attestation and Secret Provisioning". The files belong to the
process: nobody else can write them.
"""

from __future__ import annotations

import os
import threading
from pathlib import Path

from sealtune.attestation.evidence import Evidence, EvidenceKind
from sealtune.core.limits import QUOTE_BYTES_MAX
from sealtune.tee.machine import (
    attester_failed,
    check_report_data,
    read_whole,
    reason,
    require_bound,
    tee_unavailable,
)

ROOT = Path("/dev/attestation")
_DCAP = b"dcap"
_TYPE_BYTES_MAX = 64
# Two threads of this process could mix their report_data and quotes.
_LOCK = threading.Lock()


class GramineAttester:
    """Attests with the DCAP quote that Gramine makes for `user_report_data`."""

    insecure = False

    def __init__(self, root: Path = ROOT) -> None:
        self._root = root

    def attest(self, report_data: bytes, *, host_data: bytes) -> Evidence:  # noqa: ARG002
        """Return fresh evidence; an SGX quote has no field for what the host fixed.

        Raises:
            ValueError: `report_data` is not 64 bytes.
            SealtuneError: not under Gramine with SGX and DCAP, or the quoting service refuses.
        """
        check_report_data(report_data)
        self._check_type()
        try:
            with _LOCK:
                self._write(report_data)
                quote = read_whole(self._root / "quote", limit=QUOTE_BYTES_MAX)
        except OSError as error:
            raise attester_failed(
                f"{self._root}/quote: {reason(error)}",
                remedy="start aesmd on the host, with a provisioning service configured",
            ) from error
        require_bound(quote, report_data, what=f"{self._root}/quote")
        return Evidence(kind=EvidenceKind.SGX, report=quote, certificates=())

    def _check_type(self) -> None:
        path = self._root / "attestation_type"
        try:
            found = read_whole(path, limit=_TYPE_BYTES_MAX).strip()
        except OSError as error:
            raise tee_unavailable(
                f"{path}: {reason(error)}", remedy="start the program with gramine-sgx"
            ) from error
        if found != _DCAP:
            text = found.decode("latin-1")
            raise tee_unavailable(
                f"{path}: {text!r}, not 'dcap'",
                remedy='set sgx.remote_attestation = "dcap" in the manifest and sign it again',
            )

    def _write(self, report_data: bytes) -> None:
        descriptor = os.open(self._root / "user_report_data", os.O_WRONLY | os.O_CLOEXEC)
        try:
            os.write(descriptor, report_data)
        finally:
            os.close(descriptor)
