"""What a host attaches to SNP reports, and a driver of /dev/sev-guest."""

from __future__ import annotations

import ctypes
import errno
import os
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from uuid import UUID

from sealtune.tee.sev_guest import (
    GET_EXT_REPORT,
    GET_REPORT,
    ExtendedReportRequest,
    GuestRequest,
)

VCEK = UUID("63da758d-e664-4564-adc5-f4b93be8accd")
VLEK = UUID("a8074bc2-a25a-483e-aae6-39c045a0b8a1")
ASK = UUID("4ab7b379-bbac-4fe4-a02f-05aef327c782")
ARK = UUID("c0b406a4-a803-4952-9743-3fb6014cd0ae")
PAGE = 4096
SEV_FW_BLOB_MAX_SIZE = 4 * PAGE


def certificate_table(entries: Iterable[tuple[UUID, bytes]]) -> bytes:
    """Return the table of the GHCB specification: entries, a zero one, then the certificates."""
    listed = list(entries)
    offset = 24 * (len(listed) + 1)
    heads = b""
    for guid, content in listed:
        heads += guid.bytes + offset.to_bytes(4, "little") + len(content).to_bytes(4, "little")
        offset += len(content)
    return heads + bytes(24) + b"".join(content for _, content in listed)


@dataclass(slots=True)
class FakeSevGuest:
    """The driver of /dev/sev-guest, called in place of `fcntl.ioctl`.

    It follows drivers/virt/coco/sev-guest: it reads and writes the caller's memory through the
    addresses in the request, and says NO_FW_CALL where it refuses before it asks the firmware.
    """

    make_report: Callable[[bytes, int], bytes]
    table: bytes = b""
    extended: bool = True
    key_given_up: bool = False
    busy: int = 0
    firmware_error: int = 0
    status: int = 0
    errors: list[int] = field(default_factory=list)
    calls: list[str] = field(default_factory=list)

    def __call__(self, descriptor: int, code: int, call: ctypes.Structure) -> int:
        os.fstat(descriptor)
        assert isinstance(call, GuestRequest)
        call.fw_error, call.vmm_error = 0xFF, 0
        self.calls.append("extended" if code == GET_EXT_REPORT else "plain")
        if self.errors:
            raise OSError(self.errors.pop(0), "sev-guest")
        known = code == GET_REPORT or (code == GET_EXT_REPORT and self.extended)
        if self.key_given_up or not known:
            raise OSError(errno.ENOTTY, "sev-guest")
        if call.msg_version != 1:
            raise OSError(errno.EINVAL, "msg_version")
        request = ExtendedReportRequest.from_address(call.req_data)
        if any(request.reserved):
            raise OSError(errno.EINVAL, "reserved")
        if code == GET_EXT_REPORT:
            self._attach_table(call, request)
        self._ask_firmware(call, request)
        call.fw_error = call.vmm_error = 0
        return 0

    def _attach_table(self, call: GuestRequest, request: ExtendedReportRequest) -> None:
        if request.certs_len > SEV_FW_BLOB_MAX_SIZE or request.certs_len % PAGE:
            raise OSError(errno.EINVAL, "certs_len")
        needed = -(-len(self.table) // PAGE) * PAGE
        if request.certs_len < needed:
            request.certs_len = needed
            call.vmm_error = 1
            raise OSError(errno.EIO, "certs_len")
        ctypes.memmove(request.certs_address, self.table, len(self.table))

    def _ask_firmware(self, call: GuestRequest, request: ExtendedReportRequest) -> None:
        if self.busy:
            self.busy -= 1
            call.fw_error, call.vmm_error = 0, 2
            raise OSError(errno.EAGAIN, "busy")
        if self.firmware_error:
            call.fw_error = self.firmware_error
            raise OSError(errno.EIO, "firmware")
        report = self.make_report(bytes(request.user_data), request.vmpl)
        size = 0 if self.status else len(report)
        head = self.status.to_bytes(4, "little") + size.to_bytes(4, "little") + bytes(24)
        answer = head + (report if size else b"")
        ctypes.memmove(call.resp_data, answer.ljust(4000, b"\0"), 4000)
