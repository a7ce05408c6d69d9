"""Evidence of a measured VM through its TPM 2.0 at /dev/tpmrm0. It does not protect memory.

A quote says what was booted. The attestation key is the one that the provider certified, where its
template and certificate are in the TPM (Google Cloud), a persistent one that the caller names, or
one that this TPM derives each time from its endorsement seed; the last two need enrolment.
"""

from __future__ import annotations

import contextlib
import hashlib
import os
import time
from collections.abc import Callable, Iterator
from pathlib import Path

from sealtune.attestation.binding import tpm_challenge
from sealtune.attestation.evidence import Evidence, EvidenceKind
from sealtune.attestation.tpm_public import TpmPublic, parse_tpmt_public
from sealtune.attestation.tpm_wire import TpmHash, TpmReader
from sealtune.core.limits import EVENT_LOG_BYTES_MAX
from sealtune.tee.machine import (
    attester_failed,
    attester_raced,
    check_report_data,
    pauses,
    read_optional,
    reason,
    require_bound,
    tee_unavailable,
)
from sealtune.tee.tpm_commands import ANSWER_BYTES_MAX, TpmCommands, Transmit, selection

DEVICE = Path("/dev/tpmrm0")
EVENT_LOG = Path("/sys/kernel/security/tpm0/binary_bios_measurements")
# Google's reserved indices: certificate and template of the RSA and of the ECC key.
_CERTIFIED_KEYS = ((0x01C10000, 0x01C10001), (0x01C10002, 0x01C10003))
# TCG EK Credential Profile: RSA 2048, ECC P-256, and P-384 of the high range.
EK_CERTIFICATES = (0x01C00002, 0x01C0000A, 0x01C00016)
_PCRS = range(24)
_QUOTE_HASHES = frozenset({TpmHash.SHA256, TpmHash.SHA384, TpmHash.SHA512})
# TPMT_PUBLIC: ECC, SHA-256; fixedTPM, fixedParent, sensitiveDataOrigin, userWithAuth, noDA,
# restricted, sign; no policy, no symmetric; ECDSA with SHA-256 on P-256; no KDF, no unique.
_OWN_KEY = bytes.fromhex("0023 000b 00050472 0000 0010 0018 000b 0003 0010 0000 0000")


class TpmAttester:
    """Attests with a quote over registers 0 to 23, what `report_data` gives in its extraData."""

    insecure = False

    def __init__(
        self,
        device: Path = DEVICE,
        *,
        ak_handle: int | None = None,
        ek_indices: tuple[int, ...] = (),
        event_log: Path = EVENT_LOG,
        transmit: Transmit | None = None,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        """Take the device, or `transmit` in its place; `ak_handle` is a persistent key's.

        The first certificate at `ek_indices` (usually `EK_CERTIFICATES`) is sent as the endorsement
        key's. Not by default: no quote binds it, and a verifier refuses it without its issuers.
        """
        self._device = device
        self._ak_handle = ak_handle
        self._ek_indices = ek_indices
        self._event_log = event_log
        self._transmit = transmit
        self._sleep = sleep

    def attest(self, report_data: bytes, *, host_data: bytes) -> Evidence:  # noqa: ARG002
        """Return fresh evidence; a TPM has no field for what the host fixed.

        Raises:
            ValueError: `report_data` is not 64 bytes.
            SealtuneError: no TPM, a key that is not for attestation, or the TPM refuses.
        """
        check_report_data(report_data)
        extra = tpm_challenge(report_data)
        with self._tpm() as tpm, self._key(tpm) as (handle, public, certificates):
            attest, signature, pcrs = self._quote(tpm, handle, extra)
            ek_certificate = _first_certificate(tpm, self._ek_indices)
        require_bound(attest, extra, what="TPM quote")
        parts = {"tpm_signature": signature, "pcrs": pcrs, "ak_public": public.spki}
        log = read_optional(self._event_log, limit=EVENT_LOG_BYTES_MAX)
        optional = {"event_log": log, "ek_certificate": ek_certificate}
        return Evidence(
            kind=EvidenceKind.TPM_VM,
            report=attest,
            certificates=certificates,
            parts=parts | {name: data for name, data in optional.items() if data},
        )

    @contextlib.contextmanager
    def _tpm(self) -> Iterator[TpmCommands]:
        if self._transmit is not None:
            yield TpmCommands(self._transmit, sleep=self._sleep)
            return
        try:
            descriptor = os.open(self._device, os.O_RDWR | os.O_CLOEXEC)
        except OSError as error:
            raise tee_unavailable(
                f"{self._device}: {reason(error)}",
                remedy="give the machine a TPM 2.0, and run as root or in the group tss",
            ) from error
        try:
            yield TpmCommands(lambda command: exchange(descriptor, command), sleep=self._sleep)
        finally:
            os.close(descriptor)

    @contextlib.contextmanager
    def _key(self, tpm: TpmCommands) -> Iterator[tuple[int, TpmPublic, tuple[bytes, ...]]]:
        if self._ak_handle is not None:
            public = _attestation_key(tpm.read_public(self._ak_handle), f"{self._ak_handle:#x}")
            yield self._ak_handle, public, ()
            return
        template, certificate = _certified_key(tpm)
        chain = (certificate,) if certificate else ()
        handle, encoded = tpm.create_primary(template)
        try:
            yield handle, _attestation_key(encoded, "the template"), chain
        finally:
            tpm.flush(handle)

    def _quote(self, tpm: TpmCommands, handle: int, extra: bytes) -> tuple[bytes, bytes, bytes]:
        """Return a quote, its signature and the values that it covers.

        Values and quote are two commands; a register that is extended between them is read again.
        """
        chosen = selection(TpmHash.SHA256, _PCRS)
        for pause in pauses():
            self._sleep(pause)
            pcrs = tpm.pcr_values(TpmHash.SHA256, _PCRS)
            attest, signature = tpm.quote(handle, extra=extra, selection=chosen)
            if attest.endswith(_pcr_digest(signature, pcrs)):
                return attest, signature, pcrs
        raise attester_raced("TPM registers")


def _pcr_digest(signature: bytes, pcrs: bytes) -> bytes:
    """Return the digest with which a quote that covers `pcrs` ends."""
    header = TpmReader(signature, what="TPM signature")
    header.take(2)  # its algorithm
    algorithm = header.hash()
    if algorithm not in _QUOTE_HASHES:
        raise attester_failed(
            f"TPM: the key signs with {algorithm.label}", remedy="use a key that signs with SHA-256"
        )
    return hashlib.new(algorithm.label, pcrs).digest()


def _certified_key(tpm: TpmCommands) -> tuple[bytes, bytes]:
    """Return the template of the key that the provider certified, and that certificate."""
    for certificate_index, template_index in _CERTIFIED_KEYS:
        template = tpm.nv_read(template_index)
        certificate = _first_certificate(tpm, (certificate_index,))
        if template and certificate:
            return template, certificate
    return _OWN_KEY, b""


def _attestation_key(encoded: bytes, what: str) -> TpmPublic:
    if not encoded:
        raise tee_unavailable(
            f"TPM: no key at {what}", remedy="make one persistent with tpm2_evictcontrol"
        )
    public = parse_tpmt_public(encoded)
    # Any other key would sign a quote that software made up.
    if not public.is_attestation_key:
        raise attester_failed(
            f"TPM: the key at {what} is no attestation key",
            remedy="use one that is restricted, for signing, and made by this TPM: tpm2_createak",
        )
    return public


def _first_certificate(tpm: TpmCommands, indices: tuple[int, ...]) -> bytes:
    for index in indices:
        content = tpm.nv_read(index)
        # SEQUENCE with a length of two bytes; an index may be larger than its certificate.
        if content.startswith(b"\x30\x82"):
            return content[: 4 + int.from_bytes(content[2:4], "big")]
    return b""


def exchange(descriptor: int, command: bytes) -> bytes:
    """Return the TPM's answer to `command`, through an open device.

    Raises:
        SealtuneError: the device refuses.
    """
    try:
        os.write(descriptor, command)
        return os.read(descriptor, ANSWER_BYTES_MAX)
    except OSError as error:
        raise attester_failed(f"TPM: {reason(error)}") from error
