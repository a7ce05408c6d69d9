"""Evidence of SEV-SNP and TDX guests through the kernel's configfs-tsm, Linux 6.7 and newer.

Source: Documentation/ABI/testing/configfs-tsm-report of the kernel. Each request has a directory
of its own, and `generation` must have counted this request's writes and no other's, before and
after the report is read: otherwise the report may be the answer to somebody else.
"""

from __future__ import annotations

import contextlib
import errno
import os
import secrets
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

from sealtune.attestation.evidence import Evidence, EvidenceKind
from sealtune.core.limits import EVENT_LOG_BYTES_MAX
from sealtune.errors import SealtuneError
from sealtune.tee.machine import (
    attester_failed,
    attester_raced,
    check_report_data,
    pauses,
    read_optional,
    read_whole,
    reason,
    require_bound,
    tee_unavailable,
)
from sealtune.tee.snp_evidence import snp_evidence

ROOT = Path("/sys/kernel/config/tsm/report")
CCEL = Path("/sys/firmware/acpi/tables/data/CCEL")
PROVIDERS = {EvidenceKind.SEV_SNP: "sev_guest", EvidenceKind.TDX: "tdx_guest"}
_BLOB_BYTES_MAX = 32 * 1024  # what kernels allowed first; a TDX quote has about 8 KiB
_TEXT_BYTES_MAX = 4096
_PAGE_BYTES = 4096
# What passes by itself: a signal, another request at the hypervisor, a quoting service that starts.
_PASSING = frozenset({errno.EINTR, errno.EBUSY, errno.EAGAIN, errno.ETIMEDOUT})
_REMEDIES = {
    errno.ENOENT: "use Linux 6.7 or newer with CONFIG_TSM_REPORTS, and mount configfs:"
    " mount -t configfs none /sys/kernel/config",
    errno.ENXIO: "load the guest driver: modprobe sev-guest, or modprobe tdx-guest",
    errno.EACCES: "run as root",
    errno.EPERM: "run as root",
    errno.EINVAL: "ask for a privilege level (VMPL) between the provider's floor and 3",
    errno.EFBIG: "the host hands out an endorsement table that is too large: tell its operator",
    errno.ETIMEDOUT: "start the quote generation service on the host (for TDX: qgsd)",
}


class TsmFiles:
    """The four things that are done to configfs; a test puts its own in their place."""

    def make(self, directory: Path) -> None:
        """Make a request's directory; the kernel fills it."""
        directory.mkdir(mode=0o700)

    def remove(self, directory: Path) -> None:
        """Remove a request's directory with what the kernel put there."""
        directory.rmdir()

    def read(self, path: Path, *, limit: int) -> bytes:
        """Return an attribute's value."""
        return read_whole(path, limit=limit)

    def write(self, path: Path, data: bytes) -> None:
        """Set an attribute's value in one write; the kernel takes a blob over when it is closed."""
        descriptor = os.open(path, os.O_WRONLY | os.O_CLOEXEC)
        try:
            written = os.write(descriptor, data)
        finally:
            os.close(descriptor)
        if written != len(data):
            raise attester_failed(f"{path}: the kernel took {written} of {len(data)} bytes")


@dataclass(frozen=True, slots=True, kw_only=True)
class _Answer:
    report: bytes
    table: bytes


class ConfigfsTsmAttester:
    """Attests as `kind`, SEV-SNP or TDX, which the kernel's provider has to be.

    `privlevel` is the VMPL to ask for; None takes the lowest that the provider allows.
    """

    insecure = False

    def __init__(
        self,
        kind: EvidenceKind,
        root: Path = ROOT,
        *,
        privlevel: int | None = None,
        ccel: Path = CCEL,
        files: TsmFiles | None = None,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        """Take what configfs-tsm can serve.

        Raises:
            ValueError: `kind` is neither SEV-SNP nor TDX.
        """
        if kind not in PROVIDERS:
            raise ValueError(f"configfs-tsm serves no {kind} evidence")
        self._kind = kind
        self._provider = PROVIDERS[kind]
        self._root = root
        self._privlevel = privlevel
        self._ccel = ccel
        self._files = files or TsmFiles()
        self._sleep = sleep

    def attest(self, report_data: bytes, *, host_data: bytes) -> Evidence:  # noqa: ARG002
        """Return fresh evidence; the hardware reports its own HOST_DATA or MRCONFIGID.

        Raises:
            ValueError: `report_data` is not 64 bytes.
            SealtuneError: no provider, one that we do not know, a refusal, or a race.
        """
        check_report_data(report_data)
        answer = self._answer(report_data)
        require_bound(answer.report, report_data, what=str(self._root))
        if self._kind is EvidenceKind.TDX:
            return _tdx_evidence(answer.report, self._ccel)
        return snp_evidence(answer.report, answer.table)

    def _answer(self, report_data: bytes) -> _Answer:
        failed: SealtuneError = attester_raced(str(self._root))
        for pause in pauses():
            self._sleep(pause)
            try:
                with self._request() as request:
                    answer = self._ask(request, report_data)
            except OSError as error:
                failed = self._failed(error)
                if error.errno not in _PASSING:
                    raise failed from error
            else:
                if answer is not None:
                    return answer
                failed = attester_raced(str(self._root))
        raise failed

    @contextlib.contextmanager
    def _request(self) -> Iterator[Path]:
        # Nobody else knows the name: two requests in one directory overwrite each other.
        directory = self._root / f"sealtune-{secrets.token_hex(8)}"
        self._files.make(directory)
        try:
            yield directory
        finally:
            # What failed, if anything, is worth more than that its directory stays.
            with contextlib.suppress(OSError):
                self._files.remove(directory)

    def _ask(self, request: Path, report_data: bytes) -> _Answer | None:
        provider = self._text(request / "provider")
        if provider != self._provider:
            raise tee_unavailable(
                f"{self._root}: the provider is {provider[:40]!r}, not {self._provider!r}",
                remedy=f"ask for the TEE that this machine has, or start it as {self._kind}",
            )
        level = self._level(request)
        expected = self._generation(request)
        if level:
            self._files.write(request / "privlevel", b"%d" % level)
            expected += 1
        self._files.write(request / "inblob", report_data)
        expected += 1
        if self._generation(request) != expected:
            return None
        report = self._files.read(request / "outblob", limit=_BLOB_BYTES_MAX)
        table = self._table(request) if self._kind is EvidenceKind.SEV_SNP else b""
        after = (self._generation(request), self._text(request / "provider"))
        if after != (expected, provider):
            return None
        return _Answer(report=report, table=table)

    def _level(self, request: Path) -> int:
        if self._privlevel is not None:
            return self._privlevel
        try:
            return self._number(request / "privlevel_floor")
        except FileNotFoundError:
            return 0  # TDX has no levels, and its provider no such attribute

    def _table(self, request: Path) -> bytes:
        try:
            return self._files.read(request / "auxblob", limit=_BLOB_BYTES_MAX)
        except FileNotFoundError:
            return b""

    def _generation(self, request: Path) -> int:
        return self._number(request / "generation")

    def _number(self, path: Path) -> int:
        text = self._text(path)
        if not text.isascii() or not text.isdecimal() or len(text) > 20:
            raise attester_failed(f"{path}: no number")
        return int(text)

    def _text(self, path: Path) -> str:
        return self._files.read(path, limit=_TEXT_BYTES_MAX).decode("latin-1").strip()

    def _failed(self, error: OSError) -> SealtuneError:
        message = f"{self._root}: {reason(error)}"
        remedy = _REMEDIES.get(error.errno or 0, "")
        if error.errno in (errno.ENOENT, errno.ENXIO):
            return tee_unavailable(message, remedy=remedy)
        return attester_failed(message, remedy=remedy)


def _tdx_evidence(quote: bytes, ccel: Path) -> Evidence:
    log = used_part(read_optional(ccel, limit=EVENT_LOG_BYTES_MAX))
    parts = {"event_log": log} if log else {}
    return Evidence(kind=EvidenceKind.TDX, report=quote, certificates=(), parts=parts)


def used_part(area: bytes) -> bytes:
    """Return the TCG2 event log at the start of `area`, without what firmware left unused.

    The rest is all zeros or all ones, and the last event may end so too: a page of it stays.
    """
    used = min(len(area.rstrip(b"\0")), len(area.rstrip(b"\xff")))
    return area[: used + _PAGE_BYTES] if used else b""
