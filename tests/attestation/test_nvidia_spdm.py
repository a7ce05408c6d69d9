"""The form of an SPDM report: one thing wrong at a time, refused before anything is verified."""

from __future__ import annotations

import contextlib
import dataclasses
import time
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sealtune.attestation.nvidia_claims import spdm_fields
from sealtune.attestation.nvidia_spdm import (
    DRIVER,
    SPDM_BYTES_MAX,
    SpdmReport,
    parse_spdm_report,
    vbios_version,
)
from sealtune.errors import Code, FormatError, SealtuneError
from sealtune.testing.mock_nvidia import MockReport

SIGNATURE = bytes(range(1, 97))
BLOCK = bytes(48)


def parsed(report: MockReport) -> SpdmReport:
    return parse_spdm_report(report.signed_bytes() + SIGNATURE)


def refused(data: bytes) -> Code:
    with pytest.raises(SealtuneError) as refusal:
        parse_spdm_report(data)
    return refusal.value.code


def test_every_part_is_read() -> None:
    report = parsed(MockReport(nonce=b"\xaa" * 32, response_nonce=b"\xbb" * 32))
    assert report.request_nonce == b"\xaa" * 32
    assert report.response_nonce == b"\xbb" * 32
    assert report.signature_r == int.from_bytes(SIGNATURE[:48], "big")
    assert report.signature_s == int.from_bytes(SIGNATURE[48:], "big")
    assert list(report.blocks) == list(range(1, 65))
    assert report.text(DRIVER) == "550.90.07"
    assert report.text(99) is None
    fields = spdm_fields(report)
    assert fields["opaque"]["nvdec0_status"] == "55"
    assert fields["switch_pdis"] is None


WRONG = {
    "request-version": ({"request": (0x12, 0xE0, 1, 0xFF)}, Code.EVIDENCE_VERSION),
    "request-code": ({"request": (0x11, 0xE1, 1, 0xFF)}, Code.EVIDENCE_MALFORMED),
    "request-unsigned": ({"request": (0x11, 0xE0, 0, 0xFF)}, Code.DEVICE_SPLICED),
    "request-for-a-count": ({"request": (0x11, 0xE0, 1, 0)}, Code.DEVICE_SPLICED),
    "request-for-one": ({"request": (0x11, 0xE0, 1, 7)}, Code.DEVICE_SPLICED),
    "response-version": ({"response": (0x10, 0x60, 0, 0)}, Code.EVIDENCE_VERSION),
    "response-error": ({"response": (0x11, 0x7F, 0, 0)}, Code.EVIDENCE_MALFORMED),
    "response-of-another-slot": ({"response": (0x11, 0x60, 0, 1)}, Code.DEVICE_SPLICED),
    "request-of-another-slot": ({"slot": 1}, Code.DEVICE_SPLICED),
    "fewer-blocks-than-said": ({"count": 65}, Code.EVIDENCE_MALFORMED),
    "more-blocks-than-said": ({"count": 63}, Code.EVIDENCE_MALFORMED),
    "no-blocks": ({"blocks": ()}, Code.EVIDENCE_MALFORMED),
    "block-twice": ({"blocks": ((1, BLOCK), (1, BLOCK))}, Code.EVIDENCE_MALFORMED),
    "blocks-out-of-order": ({"blocks": ((2, BLOCK), (1, BLOCK))}, Code.EVIDENCE_MALFORMED),
    "block-zero": ({"blocks": ((0, BLOCK),)}, Code.EVIDENCE_MALFORMED),
    "field-twice": ({"opaque": ((3, b"1"), (3, b"2"))}, Code.EVIDENCE_MALFORMED),
    "too-many-fields": (
        {"opaque": tuple((number, b"") for number in range(65))},
        Code.EVIDENCE_MALFORMED,
    ),
    "cut-field": ({"opaque_tail": b"\x09\x00\x05\x00abcd"}, Code.EVIDENCE_MALFORMED),
    "cut-field-header": ({"opaque_tail": b"\x09\x00\x00"}, Code.EVIDENCE_MALFORMED),
}


@pytest.mark.parametrize("name", sorted(WRONG))
def test_a_report_of_another_form_is_refused(name: str) -> None:
    changes: dict[str, Any]
    changes, code = WRONG[name]
    report = dataclasses.replace(MockReport(), **changes)
    assert refused(report.signed_bytes() + SIGNATURE) is code


def test_a_block_in_another_specification_or_size_is_refused() -> None:
    data = MockReport().signed_bytes() + SIGNATURE
    first = 37 + 8
    for at, value in ((first + 1, 2), (first + 2, 0x34), (first + 5, 0x2F)):
        changed = data[:at] + bytes((value,)) + data[at + 1 :]
        assert refused(changed) is Code.EVIDENCE_MALFORMED


@pytest.mark.parametrize("cut", [0, 36, 37, 44, 45, 100, -97, -96, -95, -1])
def test_a_cut_report_is_refused(cut: int) -> None:
    data = MockReport().signed_bytes() + SIGNATURE
    assert refused(data[:cut]) is Code.EVIDENCE_MALFORMED


def test_bytes_after_the_end_are_refused() -> None:
    data = MockReport().signed_bytes() + SIGNATURE
    assert refused(data + b"\0") is Code.EVIDENCE_MALFORMED
    assert refused(data.ljust(SPDM_BYTES_MAX, b"\0")) is Code.EVIDENCE_MALFORMED
    assert refused(data.ljust(SPDM_BYTES_MAX + 1, b"\0")) is Code.LIMIT_EXCEEDED


def test_as_many_fields_as_are_allowed_are_read() -> None:
    fields = tuple((number, b"") for number in range(64))
    assert len(parsed(dataclasses.replace(MockReport(), opaque=fields)).opaque) == 64


def test_the_newer_form_of_opaque_data_is_read_as_the_older() -> None:
    head = b"NVDAOD\0\0\x02\0\0\0"
    report = parsed(dataclasses.replace(MockReport(), opaque_head=head))
    assert report.opaque == parsed(MockReport()).opaque
    for wrong in (b"NVDAOD\x01\0\x02\0\0\0", b"NVDAOD"):
        data = dataclasses.replace(MockReport(), opaque_head=wrong, opaque=()).signed_bytes()
        assert refused(data + SIGNATURE) is Code.EVIDENCE_MALFORMED


@pytest.mark.parametrize("text", [b"5\xff5", b"a b", b"\0a", b"a\nb"])
def test_text_that_is_none_is_refused(text: bytes) -> None:
    report = parsed(MockReport().with_opaque(f3=text))
    with pytest.raises(FormatError) as refusal:
        report.text(DRIVER)
    assert refusal.value.code is Code.EVIDENCE_MALFORMED


@pytest.mark.parametrize(
    ("data", "is_switch", "version"),
    [
        (bytes.fromhex("009f009601000000"), False, "96.00.9F.00.01"),
        (bytes.fromhex("008800970f000000"), False, "97.00.88.00.0F"),
        (b"96.10.55.00.01", True, "96.10.55.00.01"),
        (b"96.10.5a.00.01\0", True, "96.10.5A.00.01"),
    ],
)
def test_versions_are_written_as_nvidia_writes_them(
    data: bytes, is_switch: bool, version: str
) -> None:
    assert vbios_version(data, is_switch=is_switch) == version


@pytest.mark.parametrize(
    ("data", "is_switch"),
    [
        (bytes(7), False),
        (bytes(9), False),
        (b"\0" * 5 + b"\1\0\0", False),
        (b"", True),
        (b"x", True),
    ],
)
def test_versions_of_another_form_are_refused(data: bytes, is_switch: bool) -> None:
    with pytest.raises(FormatError) as refusal:
        vbios_version(data, is_switch=is_switch)
    assert refusal.value.code is Code.EVIDENCE_MALFORMED


@given(st.binary(max_size=600), st.integers(0, 4000))
@settings(max_examples=200)
def test_any_bytes_raise_nothing_but_our_errors(data: bytes, at: int) -> None:
    honest = MockReport().signed_bytes() + SIGNATURE
    for candidate in (data, honest[:at] + data, honest[:at] + data + honest[at + len(data) :]):
        with contextlib.suppress(SealtuneError):
            parse_spdm_report(candidate)


def test_the_costliest_report_is_refused_at_once() -> None:
    blocks = tuple((index, b"") for index in range(1, 256))
    opaque = tuple((number, b"") for number in range(2900))
    data = dataclasses.replace(MockReport(), blocks=blocks, opaque=opaque).signed_bytes()
    begin = time.perf_counter()
    assert refused(data + SIGNATURE) is Code.EVIDENCE_MALFORMED
    assert time.perf_counter() - begin < 0.1
