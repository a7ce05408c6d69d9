"""What an SNP guest's kernel hands out beside the report (spec/attestation §6.5).

The certificate table that the host attached to an extended report, and the response of the secure
processor around the report itself. Both pass through the host's hands: bounds and form are checked
here, what the certificates are worth by `snp_endorsement`.

Source: AMD publications 56421 (GHCB, SNP extended guest request) and 56860 (MSG_REPORT_RSP).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final
from uuid import UUID

from sealtune.attestation.snp_report import REPORT_BYTES
from sealtune.core.limits import CERTIFICATE_BYTES_MAX, KIB
from sealtune.crypto.pem import certificates_from_pem
from sealtune.errors import Code, FormatError

CERT_TABLE_BYTES_MAX: Final = 64 * KIB  # 4x what Linux takes from a host
CERT_TABLE_ENTRIES_MAX: Final = 16  # 3 are usual; AMD has names for 5
RESPONSE_HEAD_BYTES: Final = 32
_ENTRY_BYTES: Final = 24
_TERMINATOR: Final = bytes(_ENTRY_BYTES)
_PEM: Final = b"-----BEGIN "

# In the byte order of RFC 4122, unlike EFI's.
_VCEK: Final = UUID("63da758d-e664-4564-adc5-f4b93be8accd").bytes
_VLEK: Final = UUID("a8074bc2-a25a-483e-aae6-39c045a0b8a1").bytes
_ASK: Final = UUID("4ab7b379-bbac-4fe4-a02f-05aef327c782").bytes
_ARK: Final = UUID("c0b406a4-a803-4952-9743-3fb6014cd0ae").bytes


@dataclass(frozen=True, slots=True, kw_only=True)
class CertTable:
    """The certificates in a table, DER; None where the host attached none. `ask` may be an ASVK."""

    vcek: bytes | None
    vlek: bytes | None
    ask: bytes | None
    ark: bytes | None


@dataclass(frozen=True, slots=True)
class _Entry:
    guid: bytes
    start: int
    end: int


def parse_cert_table(data: bytes) -> CertTable:
    """Return the certificates in the table `data`; a host that attached nothing leaves it empty.

    Unknown GUIDs are passed over: hosts attach their own things.

    Raises:
        FormatError: too large, no terminator, an entry that leaves the table, overlaps another or
            is there twice, or a PEM text that is not one certificate.
    """
    if len(data) > CERT_TABLE_BYTES_MAX:
        raise FormatError(Code.LIMIT_EXCEEDED, f"certificate table: over {CERT_TABLE_BYTES_MAX}")
    found = {entry.guid: data[entry.start : entry.end] for entry in _entries(data)} if data else {}
    return CertTable(
        vcek=_certificate(found.get(_VCEK)),
        vlek=_certificate(found.get(_VLEK)),
        ask=_certificate(found.get(_ASK)),
        ark=_certificate(found.get(_ARK)),
    )


def report_of_response(data: bytes) -> bytes:
    """Return the report in a MSG_REPORT_RSP, which is what the ioctl of /dev/sev-guest yields.

    Raises:
        FormatError: the secure processor made no report, or one of another size.
    """
    status, size = (int.from_bytes(data[place : place + 4], "little") for place in (0, 4))
    if len(data) < RESPONSE_HEAD_BYTES + REPORT_BYTES or status or size != REPORT_BYTES:
        raise _malformed(f"no report in the response: status {status:#x}, {size} bytes")
    return data[RESPONSE_HEAD_BYTES : RESPONSE_HEAD_BYTES + REPORT_BYTES]


def _malformed(reason: str) -> FormatError:
    return FormatError(Code.EVIDENCE_MALFORMED, f"SNP certificate table: {reason}")


def _entries(data: bytes) -> list[_Entry]:
    entries: list[_Entry] = []
    while (head := data[len(entries) * _ENTRY_BYTES :][:_ENTRY_BYTES]) != _TERMINATOR:
        if len(head) < _ENTRY_BYTES or len(entries) == CERT_TABLE_ENTRIES_MAX:
            raise _malformed(f"no terminator after at most {CERT_TABLE_ENTRIES_MAX} entries")
        offset, length = (int.from_bytes(head[place : place + 4], "little") for place in (16, 20))
        entries.append(_Entry(head[:16], offset, offset + length))
    if len({entry.guid for entry in entries}) != len(entries):
        raise _malformed("an entry is there twice")
    end_of_last = (len(entries) + 1) * _ENTRY_BYTES
    for entry in sorted(entries, key=lambda entry: entry.start):
        if not end_of_last <= entry.start < entry.end <= len(data):
            raise _malformed("an entry is empty, leaves the table or overlaps another")
        end_of_last = entry.end
    return entries


def _certificate(data: bytes | None) -> bytes | None:
    if data is None:
        return None
    if len(data) > CERTIFICATE_BYTES_MAX:
        raise FormatError(Code.LIMIT_EXCEEDED, "certificate table: a certificate is too large")
    # Hosts' tools store either; what is verified later is always the DER.
    if not data.startswith(_PEM):
        return data
    certificates = certificates_from_pem(data)
    if len(certificates) != 1:
        raise _malformed("an entry with several certificates")
    return certificates[0]
