"""The report's bytes: what is read where, and what is refused before any signature is checked."""

from __future__ import annotations

import contextlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sealtune.attestation.anchors import Product
from sealtune.attestation.snp_report import (
    Generation,
    Signer,
    Tcb,
    decode_tcb,
    generation_of,
    parse_snp_report,
)
from sealtune.errors import Code, FormatError, SealtuneError, VerificationError
from sealtune.testing.mock_amd import MockAmd, MockVek


@pytest.fixture(scope="module")
def report(mock_amd: MockAmd) -> bytes:
    return mock_amd.evidence(report_data=bytes(range(64)), host_data=b"h" * 32).report


def patched(data: bytes, offset: int, content: bytes) -> bytes:
    return data[:offset] + content + data[offset + len(content) :]


def refusal_of(data: bytes) -> Code:
    with pytest.raises(SealtuneError) as refusal:
        parse_snp_report(data)
    return refusal.value.code


@pytest.mark.parametrize("size", [0, 1, 0x29F, 0x4A0 - 1, 0x4A0 + 1, 4000, 1 << 20])
def test_a_report_has_exactly_1184_bytes(report: bytes, size: int) -> None:
    data = (report * (size // len(report) + 1))[:size]
    assert refusal_of(data) is Code.EVIDENCE_MALFORMED


def test_a_report_behind_the_header_of_the_ioctl_is_refused(report: bytes) -> None:
    assert refusal_of(bytes(32) + report) is Code.EVIDENCE_MALFORMED
    assert refusal_of((bytes(32) + report)[: len(report)]) is Code.EVIDENCE_VERSION


@pytest.mark.parametrize("version", [0, 1, 6, 7, 0x10002, 0xFFFFFFFF])
def test_unknown_versions_are_refused(report: bytes, version: int) -> None:
    assert refusal_of(patched(report, 0, version.to_bytes(4, "little"))) is Code.EVIDENCE_VERSION


@pytest.mark.parametrize("version", [2, 3, 4, 5])
def test_known_versions_are_read(report: bytes, version: int) -> None:
    data = patched(report, 0, version.to_bytes(4, "little"))
    parsed = parse_snp_report(patched(data, 0x1F8, b"\1" * 16))
    assert parsed.version == version
    assert parsed.has_cpuid == (version > 2)
    # Bytes that a version does not define say nothing.
    assert bool(parsed.launch_mitigations) == bool(parsed.current_mitigations) == (version == 5)


@pytest.mark.parametrize("algorithm", [0, 2, 0x101, 1 << 24])
def test_other_signature_algorithms_are_refused(report: bytes, algorithm: int) -> None:
    data = patched(report, 0x34, algorithm.to_bytes(4, "little"))
    assert refusal_of(data) is Code.EVIDENCE_MALFORMED


@pytest.mark.parametrize("value", range(8))
def test_signing_keys(report: bytes, value: int) -> None:
    data = patched(report, 0x48, bytes([value << 2 | 0b11]))
    if value not in (0, 1):
        assert refusal_of(data) is Code.EVIDENCE_SIGNATURE
        return
    parsed = parse_snp_report(data)
    assert parsed.signer is (Signer.VLEK if value else Signer.VCEK)
    assert parsed.author_key_enabled
    assert parsed.mask_chip_key


@pytest.mark.parametrize("offset", [0x330, 0x400, 0x49F])
def test_bytes_after_the_signature_are_refused(report: bytes, offset: int) -> None:
    assert refusal_of(patched(report, offset, b"\x01")) is Code.EVIDENCE_MALFORMED


@pytest.mark.parametrize("offset", [0x2A0 + 48, 0x2A0 + 71, 0x2E8 + 48, 0x2E8 + 71])
def test_padding_of_r_and_s_is_zero(report: bytes, offset: int) -> None:
    assert refusal_of(patched(report, offset, b"\x01")) is Code.EVIDENCE_MALFORMED


def test_each_field_is_read_from_its_place() -> None:
    # Every byte differs from its neighbours, so that a shifted field shows.
    data = bytearray((7 * index + 3) % 251 for index in range(0x4A0))
    data[0:4] = (5).to_bytes(4, "little")
    data[0x34:0x38] = (1).to_bytes(4, "little")
    data[0x48] = 0b00111
    for start in (0x2A0 + 48, 0x2E8 + 48):
        data[start : start + 24] = bytes(24)
    data[0x330:] = bytes(0x4A0 - 0x330)
    raw = bytes(data)
    parsed = parse_snp_report(raw)
    octets = {
        "family_id": (0x10, 16),
        "image_id": (0x20, 16),
        "current_tcb": (0x38, 8),
        "report_data": (0x50, 64),
        "measurement": (0x90, 48),
        "host_data": (0xC0, 32),
        "id_key_digest": (0xE0, 48),
        "author_key_digest": (0x110, 48),
        "report_id": (0x140, 32),
        "report_id_ma": (0x160, 32),
        "reported_tcb": (0x180, 8),
        "chip_id": (0x1A0, 64),
        "committed_tcb": (0x1E0, 8),
        "launch_tcb": (0x1F0, 8),
        "signed": (0, 0x2A0),
    }
    for name, (offset, size) in octets.items():
        assert getattr(parsed, name) == raw[offset : offset + size], name
    numbers = {
        "guest_svn": (4, 4),
        "policy": (8, 8),
        "vmpl": (0x30, 4),
        "platform_info": (0x40, 8),
        "launch_mitigations": (0x1F8, 8),
        "current_mitigations": (0x200, 8),
        "signature_r": (0x2A0, 48),
        "signature_s": (0x2E8, 48),
    }
    for name, (offset, size) in numbers.items():
        expected = int.from_bytes(raw[offset : offset + size], "little")
        assert getattr(parsed, name) == expected, name
    assert parsed.cpuid == tuple(raw[0x188:0x18B])
    assert parsed.current_version == (raw[0x1EA], raw[0x1E9], raw[0x1E8])
    assert parsed.committed_version == (raw[0x1EE], raw[0x1ED], raw[0x1EC])
    assert parsed.author_key_enabled
    assert parsed.mask_chip_key


def test_tcb_layouts() -> None:
    raw = bytes([1, 2, 3, 4, 5, 6, 7, 8])
    early = Tcb(fmc=None, bl=1, tee=2, snp=7, ucode=8, reserved=bytes([3, 4, 5, 6]))
    assert decode_tcb(raw, product=Product.MILAN) == early
    assert decode_tcb(raw, product=Product.GENOA) == early
    turin = Tcb(fmc=1, bl=2, tee=3, snp=4, ucode=8, reserved=bytes([5, 6, 7]))
    assert decode_tcb(raw, product=Product.TURIN) == turin
    assert (str(early), str(turin)) == (
        "bl=1 tee=2 snp=7 ucode=8",
        "fmc=1 bl=2 tee=3 snp=4 ucode=8",
    )


@pytest.mark.parametrize(
    ("family", "model", "product", "generation"),
    [
        (0x19, 0x00, Product.MILAN, Generation.MILAN),
        (0x19, 0x0F, Product.MILAN, Generation.MILAN),
        (0x19, 0x10, Product.GENOA, Generation.GENOA),
        (0x19, 0x1F, Product.GENOA, Generation.GENOA),
        (0x19, 0xA0, Product.GENOA, Generation.SIENA_BERGAMO),
        (0x19, 0xAF, Product.GENOA, Generation.SIENA_BERGAMO),
        (0x1A, 0x02, Product.TURIN, Generation.TURIN),
        (0x1A, 0x11, Product.TURIN, Generation.TURIN),
        (0x19, 0x01, Product.GENOA, None),
        (0x19, 0x11, Product.MILAN, None),
        (0x19, 0xA0, Product.MILAN, None),
        (0x19, 0x02, Product.TURIN, None),
        (0x1A, 0x02, Product.GENOA, None),
        (0x1A, 0x20, Product.TURIN, None),
        (0x19, 0x20, Product.GENOA, None),
        (0x19, 0xB0, Product.GENOA, None),
        (0x17, 0x31, Product.MILAN, None),
        (0x00, 0x00, Product.MILAN, None),
    ],
)
def test_generation_by_cpuid(
    mock_amd: MockAmd, family: int, model: int, product: Product, generation: Generation | None
) -> None:
    report = parse_snp_report(mock_amd.evidence(cpuid=(family, model, 1)).report)
    if generation is not None:
        assert generation_of(report, product=product) is generation
        return
    with pytest.raises(VerificationError) as refusal:
        generation_of(report, product=product)
    assert refusal.value.code is Code.EVIDENCE_CHAIN


def test_without_cpuid_the_root_says_the_generation(mock_amd: MockAmd) -> None:
    report = parse_snp_report(mock_amd.evidence(version=2, cpuid=(0, 0, 0)).report)
    found = [generation_of(report, product=product) for product in Product]
    assert found == [Generation.MILAN, Generation.GENOA, Generation.TURIN]


@given(st.data())
def test_any_bytes_raise_nothing_but_our_errors(report: bytes, data: st.DataObject) -> None:
    noise = data.draw(st.binary(max_size=64))
    offset = data.draw(st.integers(0, len(report) - 1))
    for candidate in (noise, patched(report, offset, noise), patched(report, 0, noise)):
        with contextlib.suppress(SealtuneError):
            parsed = parse_snp_report(candidate)
            for product in Product:
                generation_of(parsed, product=product)


def test_malformed_reports_are_format_errors(report: bytes) -> None:
    with pytest.raises(FormatError):
        parse_snp_report(report[:-1])


def test_the_vek_of_a_mock_is_hashable_so_that_chains_are_made_once(mock_amd: MockAmd) -> None:
    assert mock_amd.chain(MockVek()) is mock_amd.chain(MockVek())
