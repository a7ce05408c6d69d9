"""The table of certificates that a host attaches, as hosts make it and as attackers would."""

from __future__ import annotations

import base64
from uuid import UUID, uuid5

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sealtune.attestation.snp_cert_table import (
    CERT_TABLE_BYTES_MAX,
    CERT_TABLE_ENTRIES_MAX,
    CertTable,
    parse_cert_table,
    report_of_response,
)
from sealtune.core.limits import CERTIFICATE_BYTES_MAX
from sealtune.errors import Code, FormatError, SealtuneError

VCEK = "63da758d-e664-4564-adc5-f4b93be8accd"
VLEK = "a8074bc2-a25a-483e-aae6-39c045a0b8a1"
ASK = "4ab7b379-bbac-4fe4-a02f-05aef327c782"
ARK = "c0b406a4-a803-4952-9743-3fb6014cd0ae"
CRL = "92f81bc3-5811-4d3d-97ff-d19f88dc67ea"
NONE = CertTable(vcek=None, vlek=None, ask=None, ark=None)


def table(*entries: tuple[str, int, int], content: bytes = b"", end: bytes = bytes(24)) -> bytes:
    """A table with entries of (GUID, offset, length) and what follows them."""
    heads = b"".join(
        UUID(guid).bytes + offset.to_bytes(4, "little") + length.to_bytes(4, "little")
        for guid, offset, length in entries
    )
    return heads + end + content


def test_certificates_are_found_by_their_guid_in_any_order() -> None:
    content = b"the vcek" + b"the ask" + b"the ark" + b"a crl"
    start = 5 * 24
    data = table(
        (ARK, start + 15, 7),
        (CRL, start + 22, 5),
        (VCEK, start, 8),
        (ASK, start + 8, 7),
        content=content + bytes(100),
    )
    found = parse_cert_table(data)
    assert found == CertTable(vcek=b"the vcek", vlek=None, ask=b"the ask", ark=b"the ark")


def test_the_guids_are_in_the_byte_order_of_rfc_4122() -> None:
    # The first bytes of the table that a provider's host attaches.
    head = bytes.fromhex("a8074bc2a25a483eaae639c045a0b8a1" + "30000000" + "04000000")
    assert parse_cert_table(head + bytes(24) + b"vlek").vlek == b"vlek"
    swapped = UUID(VLEK).bytes_le + head[16:]
    assert parse_cert_table(swapped + bytes(24) + b"vlek") == NONE


@pytest.mark.parametrize("data", [b"", bytes(24), bytes(4096)], ids=["empty", "end", "zeros"])
def test_a_host_may_attach_nothing(data: bytes) -> None:
    assert parse_cert_table(data) == NONE


def test_pem_becomes_der() -> None:
    lines = base64.encodebytes(b"der").decode()
    pem = f"-----BEGIN CERTIFICATE-----\n{lines}-----END CERTIFICATE-----\n".encode()
    assert parse_cert_table(table((VCEK, 48, len(pem)), content=pem)).vcek == b"der"
    with pytest.raises(FormatError) as refusal:
        parse_cert_table(table((VCEK, 48, 2 * len(pem)), content=2 * pem))
    assert refusal.value.code is Code.EVIDENCE_MALFORMED


HOSTILE = {
    "shorter-than-one-entry": bytes(23),
    "no-terminator": table((VCEK, 48, 4), end=b""),
    "cut-terminator": table((VCEK, 48, 4), end=bytes(23)),
    "terminator-with-length": table((VCEK, 48, 4), end=bytes(20) + b"\1\0\0\0", content=b"vcek"),
    "offset-in-the-table-itself": table((VCEK, 0, 4), content=b"vcek"),
    "offset-in-the-terminator": table((VCEK, 47, 4), content=b"vcek"),
    "one-byte-too-long": table((VCEK, 48, 5), content=b"vcek"),
    "offset-beyond": table((VCEK, 53, 1), content=b"vcek"),
    "length-2-to-32": table((VCEK, 48, 2**32 - 1), content=b"vcek"),
    "offset-and-length-wrap": table((VCEK, 2**32 - 1, 2**32 - 1), content=b"vcek"),
    "empty-entry": table((VCEK, 48, 0), content=b"vcek"),
    "overlap": table((VCEK, 72, 4), (ASK, 75, 4), content=bytes(100)),
    "same-place": table((VCEK, 72, 4), (ASK, 72, 4), content=bytes(100)),
    "one-inside-the-other": table((VCEK, 72, 40), (ASK, 80, 4), content=bytes(100)),
    "twice": table((VCEK, 72, 4), (VCEK, 76, 4), content=bytes(100)),
    "unknown-twice": table((CRL, 72, 4), (CRL, 76, 4), content=bytes(100)),
    "unknown-leaves-the-table": table((CRL, 48, 5), content=b"vcek"),
}


@pytest.mark.parametrize("name", HOSTILE)
def test_a_hostile_table_is_refused(name: str) -> None:
    with pytest.raises(FormatError) as refusal:
        parse_cert_table(HOSTILE[name])
    assert refusal.value.code is Code.EVIDENCE_MALFORMED


def test_entries_are_counted() -> None:
    def entries(count: int) -> bytes:
        first = (count + 1) * 24
        heads = [(str(uuid5(UUID(VCEK), str(i))), first + i, 1) for i in range(count)]
        return table(*heads, content=bytes(count))

    assert parse_cert_table(entries(CERT_TABLE_ENTRIES_MAX)) == NONE
    with pytest.raises(FormatError) as refusal:
        parse_cert_table(entries(CERT_TABLE_ENTRIES_MAX + 1))
    assert refusal.value.code is Code.EVIDENCE_MALFORMED


def test_sizes_are_bounded() -> None:
    large = CERTIFICATE_BYTES_MAX + 1
    for data in (
        bytes(CERT_TABLE_BYTES_MAX + 1),
        table((VCEK, 48, large), content=bytes(large)),
    ):
        with pytest.raises(FormatError) as refusal:
            parse_cert_table(data)
        assert refusal.value.code is Code.LIMIT_EXCEEDED


@given(data=st.binary(max_size=200))
def test_no_bytes_raise_anything_else(data: bytes) -> None:
    try:
        parse_cert_table(data)
    except SealtuneError as error:
        assert error.code is Code.EVIDENCE_MALFORMED


def response(*, status: int = 0, size: int = 1184, room: int = 4000) -> bytes:
    head = status.to_bytes(4, "little") + size.to_bytes(4, "little") + bytes(24)
    return (head + bytes(range(256)) * 4 + bytes(160)).ljust(room, b"\0")[:room]


def test_the_report_is_taken_out_of_its_response() -> None:
    report = report_of_response(response())
    assert len(report) == 1184
    assert report.startswith(bytes(range(256)))
    assert report_of_response(response(room=32 + 1184)) == report


@pytest.mark.parametrize(
    "data",
    [
        b"",
        response(room=32 + 1183),
        response(status=0x16),
        response(size=1183),
        response(size=4000),
    ],
    ids=["empty", "cut", "refused", "shorter", "larger"],
)
def test_a_response_without_a_report_is_refused(data: bytes) -> None:
    with pytest.raises(FormatError) as refusal:
        report_of_response(data)
    assert refusal.value.code is Code.EVIDENCE_MALFORMED
