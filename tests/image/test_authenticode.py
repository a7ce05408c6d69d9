"""Authenticode digests: what they cover, what they leave out, and the images that are refused."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from image.pe import CHECKSUM, COFF, KERNEL, OPTIONAL, Pe, by_the_specification
from sealtune.attestation.event_log import Bank
from sealtune.errors import Code, FormatError
from sealtune.image import authenticode as module
from sealtune.image.authenticode import KERNEL_BYTES_MAX, authenticode

SIGNED = Pe(certificates=b"C" * 64)


@pytest.mark.parametrize("bank", [Bank.SHA256, Bank.SHA384])
@pytest.mark.parametrize(
    "image",
    [
        pytest.param(KERNEL, id="unsigned"),
        pytest.param(SIGNED, id="signed"),
        pytest.param(Pe(between=b"x" * 8), id="bytes-behind-the-sections"),
        pytest.param(Pe(between=b"x" * 8, certificates=b"C" * 8), id="bytes-and-signatures"),
        pytest.param(Pe(reverse=True), id="table-in-another-order"),
        pytest.param(Pe(sections=(b"S" * 512, (0, 0), b"T" * 512)), id="a-section-without-bytes"),
        pytest.param(Pe(directories=16), id="all-directories"),
        pytest.param(Pe(directories=5), id="as-few-directories-as-may-be"),
    ],
)
def test_the_digest_is_that_of_the_specifications_steps(image: Pe, bank: Bank) -> None:
    data = image.image()
    assert authenticode(data, bank=bank).hex() == by_the_specification(data, bank)


def test_signing_and_its_checksum_leave_the_digest_alone() -> None:
    plain = authenticode(KERNEL.image(), bank=Bank.SHA256)
    assert authenticode(SIGNED.image(), bank=Bank.SHA256) == plain
    assert authenticode(KERNEL.but(checksum=0xFFFFFFFF), bank=Bank.SHA256) == plain


def test_every_other_byte_is_covered() -> None:
    data = KERNEL.image()
    plain = authenticode(data, bank=Bank.SHA256)
    left_out = {*range(CHECKSUM, CHECKSUM + 4)}
    left_out |= {*range(KERNEL.certificate_place, KERNEL.certificate_place + 8)}
    for place in range(0, len(data)):
        changed = bytearray(data)
        changed[place] ^= 1
        if place in left_out:
            continue
        try:
            assert authenticode(bytes(changed), bank=Bank.SHA256) != plain, place
        except FormatError:
            pass


@pytest.mark.parametrize(
    "changes",
    [
        pytest.param({"dos": b"ZM"}, id="no-dos-header"),
        pytest.param({"pe_offset": 0x3C}, id="pe-header-inside-the-first"),
        pytest.param({"pe_offset": 0xFFFFFFF0}, id="pe-header-behind-the-file"),
        pytest.param({"signature": b"PE\0\1"}, id="no-pe-signature"),
        pytest.param({"machine": 0x14C}, id="32-bit-machine"),
        pytest.param({"machine": 0xAA64}, id="another-machine"),
        pytest.param({"magic": 0x10B}, id="pe32"),
        pytest.param({"directories": 4}, id="no-certificate-directory"),
        pytest.param({"directories": 17}, id="too-many-directories"),
        pytest.param({"optional_size": 112 + 7 * 8}, id="another-optional-header-size"),
        pytest.param({"section_count": 0}, id="no-section"),
        pytest.param({"sections": ((0, 0),) * 97, "headers_size": 0x2000}, id="97-sections"),
        pytest.param({"headers_size": 0x100}, id="table-of-sections-outside-the-headers"),
        pytest.param(
            {"sections": ((0x400, 512),), "headers_size": 0x400}, id="section-behind-the-file"
        ),
        pytest.param({"sections": ((0x600, 512), b"x" * 1024)}, id="sections-overlap"),
        pytest.param({"sections": (b"x" * 512, (0x800, 8)), "between": b"x" * 1024}, id="gap"),
        pytest.param({"sections": ((0x3F0, 0x10), b"x" * 512)}, id="section-in-the-headers"),
        pytest.param({"certificate_entry": (0x400, 512)}, id="signatures-over-a-section"),
        pytest.param({"certificate_entry": (0xC00, 0)}, id="signatures-of-no-bytes"),
        pytest.param({"certificate_entry": (0, 8)}, id="signatures-at-the-beginning"),
        pytest.param({"certificates": b"C" * 8, "behind": b"x"}, id="bytes-behind-signatures"),
        pytest.param(
            {"certificates": b"C" * 8, "certificate_entry": (0xC00, 16)}, id="signatures-too-long"
        ),
    ],
)
def test_what_would_not_be_measured_alike_everywhere_is_refused(changes: dict[str, Any]) -> None:
    with pytest.raises(FormatError) as refusal:
        authenticode(KERNEL.but(**changes), bank=Bank.SHA256)
    assert refusal.value.code is Code.IMAGE_MALFORMED


def test_headers_longer_than_the_file_are_refused() -> None:
    # An image whose headers claim the whole file and more, and that has no section with bytes.
    data = KERNEL.but(sections=((0, 0),))[:-1]
    with pytest.raises(FormatError) as refusal:
        authenticode(data, bank=Bank.SHA256)
    assert refusal.value.code is Code.IMAGE_MALFORMED


def test_every_cut_is_refused_or_another_image() -> None:
    data = SIGNED.image()
    whole = authenticode(data, bank=Bank.SHA256)
    for length in range(len(data)):
        with pytest.raises(FormatError):
            assert authenticode(data[:length], bank=Bank.SHA256) == whole


def test_a_kernel_over_the_limit_is_refused_before_it_is_read(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(module, "KERNEL_BYTES_MAX", len(KERNEL.image()) - 1)
    with pytest.raises(FormatError) as refusal:
        authenticode(KERNEL.image(), bank=Bank.SHA256)
    assert refusal.value.code is Code.LIMIT_EXCEEDED
    assert KERNEL_BYTES_MAX == 64 * 1024 * 1024


@given(st.data())
def test_hostile_bytes_raise_nothing_else(data: st.DataObject) -> None:
    image = bytearray(KERNEL.image())
    for _ in range(data.draw(st.integers(1, 4))):
        place = data.draw(st.sampled_from([60, COFF, COFF + 2, COFF + 16, OPTIONAL, OPTIONAL + 60]))
        place += data.draw(st.integers(0, 180))
        image[place] = data.draw(st.integers(0, 255))
    try:
        authenticode(bytes(image), bank=Bank.SHA384)
    except FormatError as error:
        assert error.code is Code.IMAGE_MALFORMED
