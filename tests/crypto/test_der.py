"""The DER reader: one reading per encoding, and nothing but SealtuneError for the rest."""

from __future__ import annotations

import contextlib
from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sealtune.crypto import der
from sealtune.crypto.der import Element, Tag
from sealtune.errors import Code, FormatError, SealtuneError


def refused(action: object, *arguments: object, **keywords: object) -> None:
    assert callable(action)
    with pytest.raises(FormatError) as refusal:
        action(*arguments, **keywords)
    assert refusal.value.code is Code.DER_MALFORMED


def element(data: bytes) -> Element:
    return der.read_element(data, tag=data[0])


@pytest.mark.parametrize(
    "data",
    [
        "",
        "02",  # no length
        "0201",  # content cut
        "02820001",  # content cut behind a long length
        "020100ff",  # bytes after the end
        "0280010000",  # indefinite length
        "0280" + "00" * 128,  # the same, not a short form of 128
        "02810100",  # long form for a length below 128
        "0282008001" + "00" * 127,  # leading zero in a length
        "028401000000",  # length of four octets
        "0282",  # length cut
        "1f0100",  # tag number above 30
        "020000",  # more than one element
    ],
)
def test_headers_that_are_not_der_are_refused(data: str) -> None:
    refused(lambda raw: der.read_element(raw, tag=raw[0] if raw else 2), bytes.fromhex(data))


def test_another_tag_is_refused() -> None:
    refused(der.read_element, bytes.fromhex("020100"), tag=Tag.OCTET_STRING)
    refused(der.expect, element(bytes.fromhex("020100")), Tag.OCTET_STRING)


@pytest.mark.parametrize("content", ["0201", "020100040200", "0482", "048201", "30"])
def test_a_child_that_is_cut_is_refused(content: str) -> None:
    refused(element(der.encode(Tag.SEQUENCE, bytes.fromhex(content))).children)


@pytest.mark.parametrize("size", [0, 1, 127, 128, 129, 255, 256, 257, 65535, 65536])
def test_lengths_around_each_change_of_form(size: int) -> None:
    found = element(der.encode(Tag.OCTET_STRING, bytes(size)))
    assert found.content == bytes(size)


def test_more_children_than_any_certificate_has_are_refused() -> None:
    assert len(element(der.encode(Tag.SEQUENCE, b"\x05\x00" * 64)).children()) == 64
    refused(element(der.encode(Tag.SEQUENCE, b"\x05\x00" * 65)).children)


@pytest.mark.parametrize(
    ("data", "value"),
    [
        ("020100", 0),
        ("02017f", 127),
        ("02020080", 128),
        ("0201ff", -1),
        ("0202ff7f", -129),
        ("02020180", 384),
    ],
)
def test_integers(data: str, value: int) -> None:
    assert der.read_integer(element(bytes.fromhex(data))) == value
    assert der.encode_integer(value) == bytes.fromhex(data)


@pytest.mark.parametrize("data", ["0200", "02020001", "0202ff80", "0202007f", "040100"])
def test_integers_in_another_form_are_refused(data: str) -> None:
    refused(der.read_integer, element(bytes.fromhex(data)))


def test_an_integer_of_more_octets_than_any_key_has_is_refused() -> None:
    der.read_integer(element(der.encode(Tag.INTEGER, b"\x01" * 1024)))
    refused(der.read_integer, element(der.encode(Tag.INTEGER, b"\x01" * 1025)))


@pytest.mark.parametrize(
    ("data", "dotted"),
    [
        ("06082b0601040181bd7c", "1.3.6.1.4.1.24316"),
        ("0603551d13", "2.5.29.19"),
        ("06092a864886f70d01010a", "1.2.840.113549.1.1.10"),
        ("0603883703", "2.999.3"),
        ("060155", "2.5"),
        ("060455818001", "2.5.16385"),
        ("0620" + "55" * 32, "2.5" + ".85" * 31),
    ],
)
def test_object_identifiers(data: str, dotted: str) -> None:
    assert der.read_oid(element(bytes.fromhex(data))) == dotted
    assert der.encode_oid(dotted) == bytes.fromhex(data)


@pytest.mark.parametrize(
    "data",
    [
        "0600",  # no arc
        "0603558001",  # an arc with a leading zero
        "06025581",  # cut in an arc
        "0621" + "55" * 33,  # longer than any that is used
        "020155",  # another type
    ],
)
def test_object_identifiers_in_another_form_are_refused(data: str) -> None:
    refused(der.read_oid, element(bytes.fromhex(data)))


def test_booleans_are_00_or_ff() -> None:
    assert der.read_boolean(element(b"\x01\x01\xff")) is True
    assert der.read_boolean(element(b"\x01\x01\x00")) is False
    for data in (b"\x01\x01\x01", b"\x01\x00", b"\x01\x02\xff\xff", b"\x02\x01\x00"):
        refused(der.read_boolean, element(data))


def test_bit_strings_are_whole_octets() -> None:
    assert der.read_bit_string(element(b"\x03\x03\x00\xab\xcd")) == b"\xab\xcd"
    for data in (b"\x03\x00", b"\x03\x02\x01\xfe", b"\x04\x02\x00\x01"):
        refused(der.read_bit_string, element(data))


def test_flags_are_numbered_from_the_first_bit() -> None:
    assert der.read_flags(element(b"\x03\x02\x02\x04")) == {5}
    assert der.read_flags(element(b"\x03\x03\x07\x00\x80")) == {8}
    assert der.read_flags(element(b"\x03\x01\x00")) == frozenset()
    assert der.read_flags(element(b"\x03\x05\x00\x00\x00\x00\x01")) == {31}
    for data in (b"\x03\x00", b"\x03\x02\x08\x00", b"\x03\x02\x02\x05", b"\x03\x01\x01"):
        refused(der.read_flags, element(data))
    refused(der.read_flags, element(b"\x03\x06\x00\x01\x02\x03\x04\x05"))


@pytest.mark.parametrize(
    ("tag", "text", "moment"),
    [
        (Tag.UTC_TIME, "260217230136Z", datetime(2026, 2, 17, 23, 1, 36, tzinfo=UTC)),
        (Tag.UTC_TIME, "491231235959Z", datetime(2049, 12, 31, 23, 59, 59, tzinfo=UTC)),
        (Tag.UTC_TIME, "500101000000Z", datetime(1950, 1, 1, tzinfo=UTC)),
        (Tag.GENERALIZED_TIME, "20500101000000Z", datetime(2050, 1, 1, tzinfo=UTC)),
    ],
)
def test_times(tag: Tag, text: str, moment: datetime) -> None:
    assert der.read_time(element(der.encode(tag, text.encode()))) == moment


@pytest.mark.parametrize(
    ("tag", "text"),
    [
        (Tag.UTC_TIME, "2602172301Z"),  # without seconds
        (Tag.UTC_TIME, "260217230136+"),
        (Tag.UTC_TIME, "260230230136Z"),  # 30 February
        (Tag.UTC_TIME, " 60217230136Z"),
        (Tag.UTC_TIME, "20260217230136Z"),
        (Tag.GENERALIZED_TIME, "260217230136Z"),
        (Tag.GENERALIZED_TIME, "00000101000000Z"),
        (Tag.UTF8_STRING, "260217230136Z"),
    ],
)
def test_times_in_another_form_are_refused(tag: Tag, text: str) -> None:
    refused(der.read_time, element(der.encode(tag, text.encode())))


READERS = (
    der.read_integer,
    der.read_boolean,
    der.read_oid,
    der.read_bit_string,
    der.read_flags,
    der.read_time,
    Element.children,
)


@given(st.sampled_from([*Tag]), st.binary(max_size=40))
def test_readers_raise_nothing_but_our_errors(tag: Tag, content: bytes) -> None:
    for reader in READERS:
        with contextlib.suppress(SealtuneError):
            reader(element(der.encode(tag, content)))


@given(st.binary(max_size=64))
def test_what_is_read_is_what_would_be_written(data: bytes) -> None:
    with contextlib.suppress(SealtuneError):
        found = der.read_element(data, tag=data[0] if data else 0)
        assert der.encode(found.tag, found.content) == data


@given(st.binary(max_size=70_000))
def test_round_trip_at_every_length(content: bytes) -> None:
    assert element(der.encode(Tag.OCTET_STRING, content)).content == content


def test_a_list_is_as_long_as_its_reader_expects() -> None:
    listing = der.encode(Tag.SEQUENCE, b"\x05\x00" * 65)
    assert len(der.read_element(listing, tag=Tag.SEQUENCE).children(limit=65)) == 65
    for limit in (0, 64):
        with pytest.raises(FormatError):
            der.read_element(listing, tag=Tag.SEQUENCE).children(limit=limit)


def test_fields_are_counted() -> None:
    pair = der.read_element(der.encode(Tag.SEQUENCE, b"\x05\x00" * 2), tag=Tag.SEQUENCE)
    assert len(der.fields(pair, 2)) == 2
    for count in (1, 3):
        with pytest.raises(FormatError):
            der.fields(pair, count)


def test_enumerated_numbers_are_read_like_integers() -> None:
    assert der.read_enumerated(der.read_element(b"\x0a\x01\x06", tag=Tag.ENUMERATED)) == 6
    for data, tag in ((b"\x02\x01\x06", 2), (b"\x0a\x02\x00\x06", 10), (b"\x0a\x00", 10)):
        with pytest.raises(FormatError):
            der.read_enumerated(der.read_element(data, tag=tag))
