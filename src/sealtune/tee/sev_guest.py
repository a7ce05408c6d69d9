"""Evidence of an SEV-SNP guest through the ioctls of /dev/sev-guest: Linux 5.19 and newer.

The older way, where configfs-tsm is missing. Source: the kernel's
include/uapi/linux/sev-guest.h and AMD's GHCB specification (SNP Extended Guest Request).
"""

from __future__ import annotations

import ctypes
import errno
import fcntl
import os
import time
from collections.abc import Callable
from pathlib import Path

from sealtune.attestation.evidence import Evidence
from sealtune.attestation.snp_cert_table import report_of_response
from sealtune.errors import FormatError, SealtuneError
from sealtune.tee.machine import (
    attester_failed,
    check_report_data,
    pauses,
    reason,
    require_bound,
    tee_unavailable,
)
from sealtune.tee.snp_evidence import snp_evidence

DEVICE = Path("/dev/sev-guest")
GET_REPORT = 0xC0205300  # _IOWR('S', 0, 32 bytes)
GET_EXT_REPORT = 0xC0205302  # _IOWR('S', 2, 32 bytes)
_MESSAGE_VERSION = 1
_INVALID_LENGTH, _BUSY = 1, 2  # vmm_error: what the hypervisor says
_NO_FIRMWARE_CALL = 0xFF  # fw_error as Linux leaves it where it refuses by itself
_PAGE_BYTES = 4096
_TABLE_BYTES_MAX = 4 * _PAGE_BYTES  # SEV_FW_BLOB_MAX_SIZE, the kernel's own bound
_RESPONSE_BYTES = 4000
_PASSING = frozenset({errno.EINTR, errno.EAGAIN, errno.EBUSY})

Ioctl = Callable[[int, int, ctypes.Structure], int]


class GuestRequest(ctypes.Structure):
    """struct snp_guest_request_ioctl; the errors share the field exitinfo2."""

    _fields_ = (
        ("msg_version", ctypes.c_uint8),
        ("req_data", ctypes.c_uint64),
        ("resp_data", ctypes.c_uint64),
        ("fw_error", ctypes.c_uint32),
        ("vmm_error", ctypes.c_uint32),
    )


class ExtendedReportRequest(ctypes.Structure):
    """struct snp_ext_report_req; it begins with struct snp_report_req."""

    _fields_ = (
        ("user_data", ctypes.c_uint8 * 64),
        ("vmpl", ctypes.c_uint32),
        ("reserved", ctypes.c_uint8 * 28),
        ("certs_address", ctypes.c_uint64),
        ("certs_len", ctypes.c_uint32),
    )


class _TableTooSmall(Exception):
    """The host's certificate table needs this many bytes."""

    def __init__(self, needed: int) -> None:
        super().__init__(needed)
        self.needed = needed


class SevGuestAttester:
    """Attests with GET_EXT_REPORT, which brings the host's certificates, or GET_REPORT."""

    insecure = False

    def __init__(
        self,
        device: Path = DEVICE,
        *,
        vmpl: int = 0,
        ioctl: Ioctl = fcntl.ioctl,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        self._device = device
        self._vmpl = vmpl
        self._ioctl = ioctl
        self._sleep = sleep

    def attest(self, report_data: bytes, *, host_data: bytes) -> Evidence:  # noqa: ARG002
        """Return fresh evidence; the hardware reports its own HOST_DATA.

        Raises:
            ValueError: `report_data` is not 64 bytes.
            SealtuneError: the device is missing, or firmware or hypervisor refuse.
        """
        check_report_data(report_data)
        try:
            descriptor = os.open(self._device, os.O_RDWR | os.O_CLOEXEC)
        except OSError as error:
            remedy = "load the driver (modprobe sev-guest) in an SEV-SNP guest, and run as root"
            message = f"{self._device}: {reason(error)}"
            raise tee_unavailable(message, remedy=remedy) from error
        try:
            report, table = self._extended_report(descriptor, report_data)
        finally:
            os.close(descriptor)
        require_bound(report, report_data, what=str(self._device))
        return snp_evidence(report, table)

    def _extended_report(self, descriptor: int, report_data: bytes) -> tuple[bytes, bytes]:
        """Return the report and the host's table; the table is empty where the host has none."""
        room = _PAGE_BYTES
        while True:
            table = (ctypes.c_uint8 * room)()
            request = self._request(report_data)
            request.certs_address = ctypes.addressof(table)
            request.certs_len = room
            try:
                report = self._report(descriptor, GET_EXT_REPORT, request)
            except _TableTooSmall as refusal:
                # Each turn asks for more room than the last, up to the kernel's bound.
                if not room < refusal.needed <= _TABLE_BYTES_MAX:
                    raise attester_failed(
                        f"{self._device}: the host's certificate table has {refusal.needed} bytes",
                        remedy="tell the host's operator: Linux takes 16 KiB at most",
                    ) from None
                room = refusal.needed
            except OSError as error:
                if error.errno != errno.ENOTTY:
                    raise self._failed(error, 0, 0) from error
                request = self._request(report_data)
                return self._plain_report(descriptor, request), b""
            else:
                return report, bytes(table) if any(table) else b""

    def _plain_report(self, descriptor: int, request: ExtendedReportRequest) -> bytes:
        try:
            return self._report(descriptor, GET_REPORT, request)
        except OSError as error:
            raise self._failed(error, 0, 0) from error

    def _request(self, report_data: bytes) -> ExtendedReportRequest:
        request = ExtendedReportRequest(vmpl=self._vmpl)
        request.user_data[:] = report_data
        return request

    def _report(self, descriptor: int, code: int, request: ExtendedReportRequest) -> bytes:
        """Return the report that `code` gives for `request`.

        Raises:
            OSError: the kernel refuses before it asks the firmware.
            SealtuneError: firmware or hypervisor refuse.
        """
        failed: SealtuneError = attester_failed(f"{self._device}: no answer")
        for pause in pauses():
            self._sleep(pause)
            response = (ctypes.c_uint8 * _RESPONSE_BYTES)()
            call = GuestRequest(
                msg_version=_MESSAGE_VERSION,
                req_data=ctypes.addressof(request),
                resp_data=ctypes.addressof(response),
            )
            try:
                self._ioctl(descriptor, code, call)
            except OSError as error:
                if call.vmm_error == _INVALID_LENGTH:
                    raise _TableTooSmall(request.certs_len) from error
                firmware = call.fw_error if call.fw_error != _NO_FIRMWARE_CALL else 0
                failed = self._failed(error, firmware, call.vmm_error)
                if call.vmm_error != _BUSY and error.errno not in _PASSING:
                    if not firmware and not call.vmm_error:
                        raise
                    raise failed from error
            else:
                return self._opened(bytes(response))
        raise failed

    def _opened(self, response: bytes) -> bytes:
        try:
            return report_of_response(response)
        except FormatError as error:
            raise attester_failed(
                f"{self._device}: {error}", remedy="ask for a VMPL that this guest may use"
            ) from error

    def _failed(self, error: OSError, firmware: int, hypervisor: int) -> SealtuneError:
        message = f"{self._device}: {reason(error)}"
        # Linux answers ENOTTY to everything once it has given up the key to the firmware.
        remedy = "restart the guest: after a failed request Linux stops using its key"
        if firmware:
            message += f", firmware error {firmware:#x}"
        if hypervisor:
            message += f", hypervisor error {hypervisor:#x}"
        if hypervisor == _BUSY:
            remedy = "try again later: the host limits the rate of requests"
        return attester_failed(message, remedy=remedy)
