"""Revocation lists: what is read, whose they are, how long they hold, and what they revoke."""

from __future__ import annotations

import contextlib
import dataclasses
from datetime import datetime, timedelta

import mock_pki
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from mock_pki import Authority

from sealtune.crypto import der
from sealtune.crypto.algorithms import SignatureAlgorithm
from sealtune.crypto.crl import (
    CRL_BYTES_MAX,
    CRL_ENTRIES_MAX,
    Crl,
    parse_crl,
    verify_crl,
)
from sealtune.crypto.der import Tag
from sealtune.crypto.ecdsa import P256Key
from sealtune.crypto.extensions import Extension
from sealtune.crypto.x509 import Certificate
from sealtune.crypto.x509_builder import (
    CrlFields,
    authority_extensions,
    build_crl,
    key_usage_extension,
)
from sealtune.errors import Code, FormatError, SealtuneError, VerificationError
from sealtune.testing.mock_amd import MockAmd

DAY = timedelta(days=1)


@pytest.fixture(scope="module")
def root(now: datetime) -> Authority:
    return mock_pki.root(now=now)


def listing(root: Authority, now: datetime, **changes: object) -> bytes:
    fields = CrlFields(
        issuer=mock_pki.name(root.common_name),
        this_update=now - DAY,
        next_update=now + DAY,
        revoked={5: 1, 6: 6, 8: None, 2**159: 99},
    )
    return build_crl(dataclasses.replace(fields, **changes), key=root.key)  # type: ignore[arg-type]


@pytest.fixture(scope="module")
def fixed(root: Authority, now: datetime) -> bytes:
    return listing(root, now)


def not_verified(crl: Crl, issuer: Certificate, now: datetime) -> Code:
    with pytest.raises(VerificationError) as refusal:
        verify_crl(crl, issuer=issuer, now=now)
    return refusal.value.code


def test_a_list_says_what_was_put_in(root: Authority, now: datetime) -> None:
    crl = parse_crl(listing(root, now))
    assert crl.issuer_cn == "root"
    assert (crl.this_update, crl.next_update) == (now - DAY, now + DAY)
    assert crl.revoked == {5: "keyCompromise", 6: "certificateHold", 8: "", 2**159: "reason 99"}
    assert crl.algorithm is SignatureAlgorithm.ECDSA_SHA384


def test_a_listed_certificate_is_revoked_and_another_is_not(root: Authority, now: datetime) -> None:
    verified = verify_crl(parse_crl(listing(root, now)), issuer=root.certificate, now=now)
    verified.require_not_revoked(root.leaf("leaf", now=now, serial=7))
    for serial in (5, 6, 8, 2**159):
        with pytest.raises(VerificationError) as refusal:
            verified.require_not_revoked(root.leaf("leaf", now=now, serial=serial))
        assert refusal.value.code is Code.EVIDENCE_REVOKED
    assert "keyCompromise" not in str(refusal.value)


def test_a_list_says_nothing_about_certificates_of_others(root: Authority, now: datetime) -> None:
    verified = verify_crl(parse_crl(listing(root, now)), issuer=root.certificate, now=now)
    middle = root.authority("middle", now=now)
    for serial in (5, 7):
        with pytest.raises(VerificationError) as refusal:
            verified.require_not_revoked(middle.leaf("leaf", now=now, serial=serial))
        assert refusal.value.code is Code.ENDORSEMENT_MISMATCH


def test_an_empty_list_revokes_nothing(root: Authority, now: datetime) -> None:
    crl = parse_crl(listing(root, now, revoked={}))
    assert crl.revoked == {}
    verify_crl(crl, issuer=root.certificate, now=now).require_not_revoked(root.certificate)


def test_a_list_of_amd_is_signed_as_its_certificates_are(mock_amd: MockAmd, now: datetime) -> None:
    ark = mock_pki.root(now=now, key=mock_amd.ark_key)
    crl = parse_crl(listing(ark, now))
    assert crl.algorithm is SignatureAlgorithm.PSS_SHA384
    verify_crl(crl, issuer=ark.certificate, now=now)


def test_a_list_holds_from_its_update_to_the_next(root: Authority, now: datetime) -> None:
    crl = parse_crl(listing(root, now))
    second = timedelta(seconds=1)
    for moment in (now - DAY, now + DAY - second):
        verify_crl(crl, issuer=root.certificate, now=moment)
    for moment in (now - DAY - second, now + DAY, now + DAY + second):
        assert not_verified(crl, root.certificate, moment) is Code.ENDORSEMENT_STALE


def test_a_list_of_another_authority_is_refused(root: Authority, now: datetime) -> None:
    crl = parse_crl(listing(root, now))
    middle = root.authority("middle", now=now)
    assert not_verified(crl, middle.certificate, now) is Code.ENDORSEMENT_MISMATCH
    same_name = mock_pki.root(now=now)
    assert not_verified(crl, same_name.certificate, now) is Code.ENDORSEMENT_SIGNATURE
    of_another_kind = mock_pki.root(now=now, key=P256Key.generate())
    assert not_verified(crl, of_another_kind.certificate, now) is Code.ENDORSEMENT_SIGNATURE


@pytest.mark.parametrize("bits", [(5,), (0,)], ids=["signs-certificates", "signs-data"])
def test_an_authority_that_may_not_sign_lists_is_refused(
    root: Authority, now: datetime, bits: tuple[int, ...]
) -> None:
    extensions = {**authority_extensions(path_length=None), **key_usage_extension(*bits)}
    spki = root.key.spki
    for given_ in (extensions, {}):
        issuer = root.issue("root", now=now, spki=spki, extensions=given_)
        assert not_verified(parse_crl(listing(root, now)), issuer, now) is (
            Code.ENDORSEMENT_SIGNATURE
        )


def test_a_changed_list_is_refused(root: Authority, now: datetime) -> None:
    data = bytearray(listing(root, now))
    data[data.index(der.encode_integer(5)) + 2] = 4
    crl = parse_crl(bytes(data))
    assert 4 in crl.revoked
    assert not_verified(crl, root.certificate, now) is Code.ENDORSEMENT_SIGNATURE


def plain(value: bytes = b"\x02\x01\x01", *, critical: bool = False) -> Extension:
    return Extension(critical=critical, value=value)


@pytest.mark.parametrize(
    "changes",
    [
        {"next_update": None},
        {"next_update": None, "revoked": {}},
        {"extensions": {"2.5.29.20": plain(critical=True)}},
        {"extensions": {"2.5.29.27": plain()}},
        {"extensions": {"2.5.29.28": plain()}},
        {"entry_extensions": {"2.5.29.29": plain(critical=True)}},
        {"revoked": {-1: None}},
        {"revoked": {2**160: None}},
        {"revoked": {1: None}, "entry_extensions": {"2.5.29.21": plain()}},
    ],
    ids=[
        "no-next-update",
        "no-next-update-and-empty",
        "critical-extension",
        "delta-list",
        "list-of-a-part",
        "entry-of-another-issuer",
        "serial-negative",
        "serial-large",
        "reason-of-another-type",
    ],
)
def test_lists_of_another_form_are_refused(
    root: Authority, now: datetime, changes: dict[str, object]
) -> None:
    with pytest.raises(FormatError) as refusal:
        parse_crl(listing(root, now, **changes))
    assert refusal.value.code is Code.ENDORSEMENT_MALFORMED


def rebuilt(data: bytes, changes: dict[int, bytes], *, more: bytes = b"") -> bytes:
    tbs, algorithm, signature = der.read_element(data, tag=Tag.SEQUENCE).children()
    fields = [changes.get(index, field.raw) for index, field in enumerate(tbs.children())]
    return der.encode(
        Tag.SEQUENCE, der.encode(Tag.SEQUENCE, *fields, more), algorithm.raw, signature.raw
    )


def entries(*parts: bytes) -> bytes:
    return der.encode(Tag.SEQUENCE, der.encode(Tag.SEQUENCE, der.encode_integer(1), *parts))


def extension(number: int) -> bytes:
    oid, nothing = der.encode_oid(f"1.2.{number}"), der.encode(Tag.OCTET_STRING)
    return der.encode(Tag.SEQUENCE, oid, nothing)


MOMENT = der.encode(Tag.UTC_TIME, b"260101000000Z")
NOTHING, EMPTY = der.encode(Tag.NULL), der.encode(Tag.SEQUENCE)


@pytest.mark.parametrize(
    ("changes", "more"),
    [
        ({0: der.encode_integer(0)}, b""),
        ({0: b""}, b""),
        ({1: der.encode(Tag.SEQUENCE, der.encode_oid("1.2.840.10045.4.3.2"))}, b""),
        ({2: der.encode(Tag.NULL)}, b""),
        ({3: der.encode(Tag.NULL)}, b""),
        ({5: entries()}, b""),
        ({5: entries(NOTHING)}, b""),
        ({5: entries(MOMENT, NOTHING)}, b""),
        ({5: entries(MOMENT, EMPTY, EMPTY)}, b""),
        ({5: entries(MOMENT, der.encode(Tag.SEQUENCE, *map(extension, range(4))))}, b""),
        ({5: der.encode(Tag.SET)}, b""),
        ({}, der.encode(0xA1)),
        ({}, der.encode(0xA0)),
        ({}, der.encode(0xA0, der.encode(Tag.SEQUENCE)) * 2),
    ],
    ids=[
        "version-1",
        "no-version",
        "another-algorithm-inside",
        "issuer-null",
        "time-null",
        "entry-without-time",
        "entry-with-no-time",
        "entry-with-no-extensions",
        "entry-with-more",
        "entry-with-four-extensions",
        "entries-a-set",
        "another-field",
        "extensions-empty",
        "extensions-twice",
    ],
)
def test_fields_that_are_not_as_they_should_be_are_refused(
    root: Authority, now: datetime, changes: dict[int, bytes], more: bytes
) -> None:
    with pytest.raises(FormatError) as refusal:
        parse_crl(rebuilt(listing(root, now), changes, more=more))
    assert refusal.value.code is Code.ENDORSEMENT_MALFORMED


def test_entries_are_bounded(root: Authority, now: datetime) -> None:
    most = dict.fromkeys(range(CRL_ENTRIES_MAX))
    assert len(parse_crl(listing(root, now, revoked=most)).revoked) == CRL_ENTRIES_MAX
    with pytest.raises(FormatError) as refusal:
        parse_crl(listing(root, now, revoked={**most, CRL_ENTRIES_MAX: None}))
    assert refusal.value.code is Code.ENDORSEMENT_MALFORMED


def test_a_large_list_is_refused_unparsed() -> None:
    for size, code in (
        (CRL_BYTES_MAX, Code.ENDORSEMENT_MALFORMED),
        (CRL_BYTES_MAX + 1, Code.LIMIT_EXCEEDED),
    ):
        with pytest.raises(FormatError) as refusal:
            parse_crl(bytes(size))
        assert refusal.value.code is code


@given(st.data())
@settings(max_examples=200)
def test_a_changed_list_raises_nothing_but_our_errors_and_never_verifies(
    root: Authority, fixed: bytes, now: datetime, data: st.DataObject
) -> None:
    mutated = bytearray(fixed)
    index = data.draw(st.integers(0, len(mutated) - 1))
    mutated[index] ^= data.draw(st.integers(1, 255))
    with contextlib.suppress(FormatError):
        crl = parse_crl(bytes(mutated))
        with pytest.raises(SealtuneError):
            verify_crl(crl, issuer=root.certificate, now=now)


def test_an_independent_reader_agrees(root: Authority, now: datetime) -> None:
    from cryptography import x509 as reference
    from cryptography.hazmat.primitives.serialization import load_der_public_key

    data = listing(root, now)
    theirs, ours = reference.load_der_x509_crl(data), parse_crl(data)
    assert theirs.is_signature_valid(load_der_public_key(root.key.spki))  # type: ignore[arg-type]
    assert {entry.serial_number for entry in theirs} == set(ours.revoked)
    assert theirs.next_update_utc == ours.next_update
