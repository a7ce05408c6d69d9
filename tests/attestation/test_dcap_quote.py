"""The quote parser: every length agrees, nothing rides along, one spelling."""

from __future__ import annotations

import time
from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from attestation.dcap import mock_intel
from sealtune.attestation.dcap_quote import Body, TdReport, Tee, parse_quote, parse_sgx_report
from sealtune.core.limits import QUOTE_BYTES_MAX
from sealtune.errors import Code, SealtuneError
from sealtune.testing.mock_intel import (
    SGX_QUOTE,
    MockQuote,
    MockSgx,
    MockTd,
    assemble_quote,
    pem,
    signed_part,
)

TD15 = MockQuote(version=5, body=MockTd(mr_service_td=bytes(48)))


def parts(quote: MockQuote, **changes: bytes) -> bytes:
    """A quote of which some parts are replaced; nothing is signed."""
    fields = {
        "signature": b"\1" * 64,
        "key": b"\2" * 64,
        "qe": MockSgx().to_bytes(),
        "qe_signature": b"\3" * 64,
        "qe_auth_data": b"auth",
        "chain": pem(*mock_intel().pck_chain(quote.pck)).encode(),
        **changes,
    }
    return assemble_quote(signed_part(quote), nested=quote.version > 3, **fields)


def code_of(data: bytes) -> Code:
    with pytest.raises(SealtuneError) as refusal:
        parse_quote(data)
    return refusal.value.code


@pytest.mark.parametrize(
    ("quote", "layout", "size"),
    [
        (SGX_QUOTE, Body.SGX, 432),
        (MockQuote(), Body.TD10, 632),
        (MockQuote(version=5), Body.TD10, 638),
        (TD15, Body.TD15, 702),
    ],
    ids=["v3", "v4", "v5-1.0", "v5-1.5"],
)
def test_each_form_is_read(quote: MockQuote, layout: Body, size: int) -> None:
    found = parse_quote(parts(quote))
    assert found.layout is layout
    assert found.tee is (Tee.TDX if quote.is_td else Tee.SGX)
    assert len(found.signed) == size
    assert found.signature == b"\1" * 64
    assert found.attestation_key == b"\2" * 64
    assert found.qe_report == MockSgx().to_bytes()
    assert found.qe_signature == b"\3" * 64
    assert found.qe_auth_data == b"auth"
    # The leaf is signed anew each time it is made, the authorities once.
    assert found.pck_chain[1:] == mock_intel().pck_chain(quote.pck)[1:]
    assert len(found.pck_chain) == 3


def test_a_report_1_0_has_no_fields_of_1_5() -> None:
    body = parse_quote(parts(MockQuote())).body
    assert isinstance(body, TdReport)
    assert body.tee_tcb_svn2 is None
    assert body.mr_service_td is None


def number(value: int, size: int) -> bytes:
    return value.to_bytes(size, "little")


def at(data: bytes, offset: int, value: bytes) -> bytes:
    return data[:offset] + value + data[offset + len(value) :]


@pytest.mark.parametrize(
    ("quote", "offset", "value", "code"),
    [
        (SGX_QUOTE, 0, number(4, 2), Code.EVIDENCE_MALFORMED),
        (MockQuote(), 0, number(3, 2), Code.EVIDENCE_MALFORMED),
        (MockQuote(), 2, number(3, 2), Code.EVIDENCE_MALFORMED),
        (MockQuote(), 4, number(0, 4), Code.EVIDENCE_MALFORMED),
        (MockQuote(), 12, bytes(16), Code.EVIDENCE_MALFORMED),
        (TD15, 48, number(1, 2), Code.EVIDENCE_VERSION),
        (TD15, 48, number(4, 2), Code.EVIDENCE_VERSION),
        (TD15, 48, number(2, 2), Code.EVIDENCE_MALFORMED),
        (TD15, 50, number(584, 4), Code.EVIDENCE_MALFORMED),
        (TD15, 50, number(2**32 - 1, 4), Code.EVIDENCE_MALFORMED),
        (SGX_QUOTE, 68, b"\1", Code.EVIDENCE_MALFORMED),
        (SGX_QUOTE, 144, b"\1", Code.EVIDENCE_MALFORMED),
        (SGX_QUOTE, 208, b"\1", Code.EVIDENCE_MALFORMED),
        (SGX_QUOTE, 310, b"\1", Code.EVIDENCE_MALFORMED),
        (MockQuote(), 632, number(2**32 - 1, 4), Code.EVIDENCE_MALFORMED),
        (MockQuote(), 632, number(0, 4), Code.EVIDENCE_MALFORMED),
        (MockQuote(), 764, number(5, 2), Code.EVIDENCE_MALFORMED),
        (MockQuote(), 1218, number(0, 2), Code.EVIDENCE_MALFORMED),
        (MockQuote(), 1224, number(1, 2), Code.EVIDENCE_MALFORMED),
        (MockQuote(), 1224, number(3, 2), Code.EVIDENCE_MALFORMED),
    ],
    ids=[
        "version-4-of-an-enclave",
        "version-3-of-a-td",
        "key-type",
        "tee-type",
        "qe-vendor",
        "v5-body-of-an-enclave",
        "v5-body-4",
        "v5-body-2-with-the-size-of-3",
        "v5-size",
        "v5-size-4-gib",
        "reserved-1",
        "reserved-2",
        "reserved-3",
        "reserved-4",
        "signature-data-4-gib",
        "signature-data-none",
        "certification-type-outside",
        "auth-data-shorter",
        "certification-type-1",
        "certification-type-3",
    ],
)
def test_a_field_that_is_not_as_it_must_be(
    quote: MockQuote, offset: int, value: bytes, code: Code
) -> None:
    assert code_of(at(parts(quote), offset, value)) is code


@pytest.mark.parametrize("version", [0, 1, 2, 6, 0xFFFF])
def test_a_version_that_is_not_known(version: int) -> None:
    for quote in (SGX_QUOTE, MockQuote()):
        assert code_of(at(parts(quote), 0, number(version, 2))) is Code.EVIDENCE_VERSION


@pytest.mark.parametrize("tail", [b"\1", bytes(100) + b"\1", b"\xff" * 70])
def test_only_zeros_may_follow(tail: bytes) -> None:
    for quote in (SGX_QUOTE, MockQuote(), TD15):
        assert parse_quote(parts(quote) + bytes(len(tail)))
        assert code_of(parts(quote) + tail) is Code.EVIDENCE_MALFORMED


@pytest.mark.parametrize("delta", [-1, 1])
@pytest.mark.parametrize("offset", [632, 766, 1226], ids=["signature", "outer", "chain"])
def test_lengths_that_disagree(offset: int, delta: int) -> None:
    data = parts(MockQuote()) + bytes(4)
    size = int.from_bytes(data[offset : offset + 4], "little") + delta
    assert code_of(at(data, offset, number(size, 4))) is Code.EVIDENCE_MALFORMED


@pytest.mark.parametrize(
    "chain",
    [
        b"",
        b"not PEM",
        b"-----BEGIN CERTIFICATE-----\n" * 8,
        pem(b"\0" * 20).encode().replace(b"AAAA", b"A=AA", 1),
        b"text\n" + pem(b"\0" * 20).encode(),
        pem(b"\0" * 20).encode() + b"text",
        pem(b"\0" * 20).encode() + b"\0\0",
        pem(*[b"\0" * 20] * 9).encode(),
    ],
    ids=["empty", "text", "begins", "base64", "before", "after", "two-nul", "nine"],
)
def test_a_chain_that_is_not_only_certificates(chain: bytes) -> None:
    code = code_of(parts(MockQuote(), chain=chain))
    assert code in (Code.EVIDENCE_MALFORMED, Code.CERTIFICATE_MALFORMED)


@pytest.mark.parametrize("end", [b"", b"\0", b"\n", b"\r\n\0"], ids=repr)
def test_a_chain_may_end_as_clouds_end_it(end: bytes) -> None:
    chain = pem(*mock_intel().pck_chain(MockQuote().pck)).encode().rstrip() + end
    assert len(parse_quote(parts(MockQuote(), chain=chain)).pck_chain) == 3


def test_the_bound_is_checked_first() -> None:
    data = parts(MockQuote())
    assert parse_quote(data + bytes(QUOTE_BYTES_MAX - len(data)))
    assert code_of(data + bytes(QUOTE_BYTES_MAX - len(data) + 1)) is Code.LIMIT_EXCEEDED


@pytest.mark.parametrize("size", [0, 383, 385])
def test_an_sgx_report_has_384_bytes(size: int) -> None:
    with pytest.raises(SealtuneError) as refusal:
        parse_sgx_report(bytes(size))
    assert refusal.value.code is Code.EVIDENCE_MALFORMED


def test_every_truncation_is_refused() -> None:
    for quote in (SGX_QUOTE, MockQuote(), TD15):
        data = parts(quote)
        for size in (*range(1400), len(data) - 1):
            assert code_of(data[:size]) is Code.EVIDENCE_MALFORMED


@settings(max_examples=200, deadline=None)
@given(
    st.sampled_from([parts(quote) for quote in (SGX_QUOTE, MockQuote(), TD15)]),
    st.integers(0, 4999),
    st.binary(min_size=1, max_size=8),
)
def test_any_change_raises_only_our_errors_and_quickly(
    data: bytes, offset: int, value: bytes
) -> None:
    started = time.perf_counter()
    try:
        parse_quote(at(data, min(offset, len(data) - 1), value))
    except SealtuneError:
        pass
    assert time.perf_counter() - started < 0.1


def test_debug_of_the_quoting_enclave_is_read_as_of_any_other() -> None:
    qe = replace(MockSgx(), attributes=b"\2" + bytes(15)).to_bytes()
    assert parse_quote(parts(MockQuote(), qe=qe)).qe.debug is True
    assert parse_quote(parts(MockQuote())).qe.debug is False
