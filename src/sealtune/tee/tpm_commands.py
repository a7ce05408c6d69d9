"""The seven TPM 2.0 commands that attestation needs, in their wire form, over any transport.

Source: TPM 2.0 Library, part 3 (Commands). All authorizations are empty passwords: nothing here is
secret, and a TPM whose owner has set one is refused with that reason.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence

from sealtune.attestation.tpm_wire import TpmHash, TpmReader
from sealtune.tee.machine import attester_failed, pauses

Transmit = Callable[[bytes], bytes]

ANSWER_BYTES_MAX = 4096
NULL_ALGORITHM = 0x0010
ENDORSEMENT_HIERARCHY = 0x4000000B
_OWNER_HIERARCHY = 0x40000001
_PASSWORD_SESSION = 0x40000009
_WITHOUT_SESSIONS, _WITH_SESSIONS = 0x8001, 0x8002
_CREATE_PRIMARY, _NV_READ, _QUOTE, _FLUSH = 0x131, 0x14E, 0x158, 0x165
_NV_READ_PUBLIC, _READ_PUBLIC, _PCR_READ = 0x169, 0x173, 0x17E
_READABLE_WITH_OWN_AUTH, _WRITTEN = 1 << 18, 1 << 29  # TPMA_NV_AUTHREAD, TPMA_NV_WRITTEN
_NV_PIECE_BYTES = 512  # every TPM hands out that much at once
_NV_BYTES_MAX = 8 * 1024
_BUFFER_MAX = 2048
# TPM_RC_YIELDED, TPM_RC_TESTING, TPM_RC_RETRY: ask again.
_PASSING = frozenset({0x908, 0x90A, 0x922})
_WRONG_HANDLE = 0x08B  # TPM_RC_HANDLE


class TpmCommands:
    """Sends commands one at a time; `transmit` returns the answer to each."""

    def __init__(self, transmit: Transmit, *, sleep: Callable[[float], None] = time.sleep) -> None:
        self._transmit = transmit
        self._sleep = sleep

    def nv_read(self, index: int) -> bytes:
        """Return the content of the NV index; nothing where there is none, or none yet."""
        answer = self._answer(_NV_READ_PUBLIC, handles=[index], what="NV_ReadPublic")
        if answer is None:
            return b""
        public = TpmReader(answer.sized(limit=_BUFFER_MAX), what="TPM NV index")
        public.take(6)  # its number and the hash algorithm of its name
        attributes = public.number(4)
        public.sized(limit=_BUFFER_MAX)  # authPolicy
        size = public.number(2) if attributes & _WRITTEN else 0
        if size > _NV_BYTES_MAX:
            raise attester_failed(f"TPM NV index {index:#x}: {size} bytes")
        reader = index if attributes & _READABLE_WITH_OWN_AUTH else _OWNER_HIERARCHY
        content = b""
        while len(content) < size:
            piece = min(size - len(content), _NV_PIECE_BYTES)
            parameters = _number(2, piece) + _number(2, len(content))
            got = self._authorized(_NV_READ, [reader, index], parameters, "NV_Read")
            if len(got.rest()) != 2 + piece:
                raise attester_failed(f"TPM NV index {index:#x}: another length than asked for")
            content += got.sized(limit=piece)
        return content

    def create_primary(self, template: bytes) -> tuple[int, bytes]:
        """Make the endorsement hierarchy's key of `template` (TPMT_PUBLIC) anew.

        The same template gives the same key each time. Returns its handle, to be flushed, and its
        TPMT_PUBLIC.
        """
        no_secret = _sized(_sized(b"") + _sized(b""))
        parameters = no_secret + _sized(template) + _sized(b"") + _number(4, 0)
        reader = self._command(
            _CREATE_PRIMARY, [ENDORSEMENT_HIERARCHY], parameters, "CreatePrimary"
        )
        handle = reader.number(4)
        reader.take(4)  # the size of what follows
        return handle, reader.sized(limit=_BUFFER_MAX)

    def read_public(self, handle: int) -> bytes:
        """Return the TPMT_PUBLIC of the key at `handle`; nothing where the TPM has none there."""
        answer = self._answer(_READ_PUBLIC, handles=[handle], what="ReadPublic")
        return answer.sized(limit=_BUFFER_MAX) if answer else b""

    def quote(self, handle: int, *, extra: bytes, selection: bytes) -> tuple[bytes, bytes]:
        """Return TPMS_ATTEST and TPMT_SIGNATURE over the registers of `selection`."""
        parameters = _sized(extra) + _number(2, NULL_ALGORITHM) + selection
        answer = self._authorized(_QUOTE, [handle], parameters, "Quote")
        return answer.sized(limit=_BUFFER_MAX), answer.rest()

    def pcr_values(self, bank: TpmHash, indices: Sequence[int]) -> bytes:
        """Return the values of the registers, joined in the order of their numbers."""
        values: dict[int, bytes] = {}
        # A TPM answers with as many registers as it likes, but at least one.
        for _ in indices:
            missing = [index for index in indices if index not in values]
            if not missing:
                break
            answer = self._answer(_PCR_READ, parameters=selection(bank, missing), what="PCR_Read")
            if answer is None:
                break
            values |= _registers(answer)
        if values.keys() != set(indices):
            raise attester_failed(
                f"TPM: no {bank.label} values of registers {indices[0]} to {indices[-1]}",
                remedy=f"allocate the TPM's {bank.label} bank: tpm2_pcrallocate {bank.label}:all",
            )
        return b"".join(values[index] for index in sorted(indices))

    def flush(self, handle: int) -> None:
        """Free the memory of a key that `create_primary` made."""
        self._command(_FLUSH, [], _number(4, handle), "FlushContext", authorized=False)

    def _authorized(self, code: int, handles: list[int], parameters: bytes, what: str) -> TpmReader:
        """Return the parameters of the answer to a command with empty passwords."""
        answer = self._command(code, handles, parameters, what)
        return TpmReader(answer.take(answer.number(4)), what=f"TPM2_{what}")

    def _command(
        self,
        code: int,
        handles: list[int],
        parameters: bytes,
        what: str,
        *,
        authorized: bool = True,
    ) -> TpmReader:
        session = _number(4, _PASSWORD_SESSION) + bytes(5)  # no nonce, no attributes, no password
        area = _number(4, len(session)) + session if authorized else b""
        answer = self._answer(
            code, handles=handles, parameters=area + parameters, what=what, sessions=authorized
        )
        if answer is None:
            raise attester_failed(f"TPM2_{what}: the TPM has no such key or index")
        return answer

    def _answer(
        self,
        code: int,
        *,
        what: str,
        handles: Sequence[int] = (),
        parameters: bytes = b"",
        sessions: bool = False,
    ) -> TpmReader | None:
        """Return what follows the header of the answer; None where a handle does not exist."""
        tag = _WITH_SESSIONS if sessions else _WITHOUT_SESSIONS
        body = b"".join(_number(4, handle) for handle in handles) + parameters
        command = _number(2, tag) + _number(4, 10 + len(body)) + _number(4, code) + body
        status = 0
        for pause in pauses():
            self._sleep(pause)
            reader = TpmReader(self._transmit(command), what=f"TPM2_{what}")
            reader.take(6)  # tag and size
            status = reader.number(4)
            if status not in _PASSING:
                break
        if status == 0:
            return reader
        # The number of the wrong handle is in bits 6 and 8 to 11.
        if status & 0xBF == _WRONG_HANDLE:
            return None
        raise attester_failed(
            f"TPM2_{what}: the TPM answers {status:#x}",
            remedy="look the code up with tpm2_rc_decode; an owner's password must be empty",
        )


def selection(bank: TpmHash, indices: Sequence[int]) -> bytes:
    """Return the TPML_PCR_SELECTION of registers 0 to 23 of one bank."""
    bitmap = sum(1 << index for index in indices)
    return _number(4, 1) + _number(2, bank) + b"\x03" + bitmap.to_bytes(3, "little")


def _registers(answer: TpmReader) -> dict[int, bytes]:
    answer.take(4)  # update counter
    if answer.number(4) != 1:
        return {}  # the TPM has no such bank
    answer.take(2)
    bitmap = int.from_bytes(answer.take(answer.number(1)), "little")
    chosen = [index for index in range(24) if bitmap >> index & 1]
    count = answer.number(4)
    # zip stops where one of them ends; the caller counts.
    return {index: answer.sized(limit=64) for index, _ in zip(chosen, range(count), strict=False)}


def _number(size: int, value: int) -> bytes:
    return value.to_bytes(size, "big")


def _sized(content: bytes) -> bytes:
    return _number(2, len(content)) + content
