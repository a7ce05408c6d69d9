"""Whole chains: every link, path lengths, validity and what the leaf may be."""

from __future__ import annotations

import dataclasses
from datetime import datetime, timedelta

import mock_pki
import pytest
from mock_pki import Authority

from sealtune.crypto import der, x509
from sealtune.crypto.algorithms import SignatureAlgorithm
from sealtune.crypto.der import Tag
from sealtune.crypto.ecdsa import P256Key, P384Key
from sealtune.crypto.extensions import (
    OID_BASIC_CONSTRAINTS,
    OID_EXTENDED_KEY_USAGE,
    OID_KEY_USAGE,
    OID_SUBJECT_ALT_NAME,
    Constraints,
    Extension,
)
from sealtune.crypto.rsa import RsaKey
from sealtune.crypto.x509 import Certificate, verify_chain, verify_issued
from sealtune.crypto.x509_builder import (
    AuthorityKey,
    authority_extensions,
    extended_key_usage_extension,
    key_usage_extension,
)
from sealtune.errors import Code, FormatError, VerificationError
from sealtune.testing.mock_amd import MockAmd


@pytest.fixture(scope="module")
def root(now: datetime) -> Authority:
    return mock_pki.root(now=now)


@pytest.fixture(scope="module")
def rsa_2048() -> RsaKey:
    return RsaKey.generate(2048)


def refused(chain: list[Certificate], now: datetime) -> Code:
    with pytest.raises(VerificationError) as refusal:
        verify_chain(chain, now=now)
    return refusal.value.code


def test_a_chain_verifies_and_says_what_is_at_its_ends(root: Authority, now: datetime) -> None:
    middle = root.authority("middle", now=now, path_length=0)
    leaf = middle.leaf("leaf", now=now)
    chain = verify_chain([leaf, middle.certificate, root.certificate], now=now)
    assert (chain.leaf, chain.root) == (leaf, root.certificate)
    assert chain.certificates == (leaf, middle.certificate, root.certificate)


@pytest.mark.parametrize("algorithm", list(SignatureAlgorithm))
def test_every_algorithm_signs_a_link(
    algorithm: SignatureAlgorithm, mock_amd: MockAmd, rsa_2048: RsaKey, now: datetime
) -> None:
    keys: tuple[AuthorityKey, ...] = (P256Key.generate(), P384Key.generate())
    if algorithm is SignatureAlgorithm.PSS_SHA384:
        keys = (mock_amd.ark_key,)
    elif algorithm.endswith("with-rsa"):
        keys = (rsa_2048, mock_amd.ark_key)
    for key in keys:
        root = mock_pki.root(now=now, key=key)
        leaf = root.leaf("leaf", now=now, algorithm=algorithm)
        assert leaf.algorithm is algorithm
        verify_chain([leaf, root.certificate], now=now)
        forged = dataclasses.replace(leaf, tbs=leaf.tbs[:-1] + bytes([leaf.tbs[-1] ^ 1]))
        assert refused([forged, root.certificate], now) is Code.CERTIFICATE_SIGNATURE


def test_a_signature_is_verified_with_the_algorithm_that_is_named_and_no_other(
    mock_amd: MockAmd, rsa_2048: RsaKey, now: datetime
) -> None:
    for key in (P256Key.generate(), rsa_2048, mock_amd.ark_key):
        root = mock_pki.root(now=now, key=key)
        leaf = root.leaf("leaf", now=now)
        for algorithm in SignatureAlgorithm:
            if algorithm is leaf.algorithm:
                continue
            renamed = dataclasses.replace(leaf, algorithm=algorithm)
            assert refused([renamed, root.certificate], now) is Code.CERTIFICATE_SIGNATURE


@pytest.mark.parametrize("size", [0, 1, 9])
def test_chains_of_another_length_are_refused(root: Authority, now: datetime, size: int) -> None:
    assert refused([root.certificate] * size, now) is Code.EVIDENCE_CHAIN


def test_eight_certificates_are_not_too_many(root: Authority, now: datetime) -> None:
    verify_chain([root.certificate] * 8, now=now)


def test_every_link_counts(root: Authority, now: datetime) -> None:
    middle = root.authority("middle", now=now)
    leaf = middle.leaf("leaf", now=now)
    other_root = mock_pki.root(now=now)
    other_middle = other_root.authority("middle", now=now)
    for chain in (
        [leaf, other_middle.certificate, other_root.certificate],
        [leaf, middle.certificate, other_root.certificate],
    ):
        assert refused(chain, now) is Code.CERTIFICATE_SIGNATURE
    for chain in (
        [leaf, root.certificate],
        [leaf, root.certificate, middle.certificate],
        [middle.certificate, leaf, root.certificate],
    ):
        assert refused(chain, now) is Code.EVIDENCE_CHAIN


def test_the_last_must_have_signed_itself(root: Authority, now: datetime) -> None:
    middle = root.authority("middle", now=now)
    leaf = middle.leaf("leaf", now=now)
    assert refused([leaf, middle.certificate], now) is Code.EVIDENCE_CHAIN
    # Named as its own issuer, and signed by somebody else.
    crossed = root.authority("root", now=now, key=P256Key.generate())
    below = Authority("root", crossed.key, crossed.certificate).leaf("leaf", now=now)
    assert refused([below, crossed.certificate], now) is Code.CERTIFICATE_SIGNATURE


def test_an_issuer_must_be_an_authority(root: Authority, now: datetime) -> None:
    key = P256Key.generate()
    both = authority_extensions(path_length=None)
    for extensions in (
        {},
        {OID_BASIC_CONSTRAINTS: both[OID_BASIC_CONSTRAINTS]},
        {OID_KEY_USAGE: both[OID_KEY_USAGE]},
        {**both, **key_usage_extension(0, 6)},
    ):
        middle = root.issue("middle", now=now, spki=key.spki, extensions=extensions)
        leaf = Authority("middle", key, middle).leaf("leaf", now=now)
        assert refused([leaf, middle, root.certificate], now) is Code.EVIDENCE_CHAIN


@pytest.mark.parametrize(
    ("limits", "accepted"),
    [
        ((None, None, None), True),
        ((2, 1, 0), True),
        ((2, 2, 2), True),
        ((1, None, None), False),
        ((None, 0, None), False),
        ((0, None, None), False),
    ],
    ids=["unlimited", "exact", "ample", "root-one-short", "middle-none", "root-none"],
)
def test_path_lengths(limits: tuple[int | None, ...], accepted: bool, now: datetime) -> None:
    root = mock_pki.root(now=now, path_length=limits[0])
    first = root.authority("first", now=now, path_length=limits[1])
    second = first.authority("second", now=now, path_length=limits[2])
    chain = [
        second.leaf("leaf", now=now),
        second.certificate,
        first.certificate,
        root.certificate,
    ]
    if accepted:
        verify_chain(chain, now=now)
    else:
        assert refused(chain, now) is Code.EVIDENCE_CHAIN


def test_a_leaf_that_is_an_authority_is_not_counted(now: datetime) -> None:
    root = mock_pki.root(now=now, path_length=0)
    leaf = root.authority("leaf", now=now)
    verify_chain([leaf.certificate, root.certificate], now=now)


def test_an_authority_that_renewed_its_own_key_is_not_counted(now: datetime) -> None:
    root = mock_pki.root(now=now, path_length=0)
    renewed = root.authority("root", now=now, path_length=0)
    leaf = renewed.leaf("leaf", now=now)
    verify_chain([leaf, renewed.certificate, root.certificate], now=now)


@pytest.mark.parametrize("which", [0, 1, 2], ids=["leaf", "middle", "root"])
def test_each_must_be_valid(now: datetime, which: int) -> None:
    days = [30, 30, 30]
    days[which] = 10
    key = P384Key.generate()
    signer = Authority("root", key, None)  # type: ignore[arg-type]
    root = signer.authority("root", now=now, key=key, days=days[2])
    middle = root.authority("middle", now=now, days=days[1])
    leaf = middle.leaf("leaf", now=now, days=days[0])
    chain = [leaf, middle.certificate, root.certificate]
    verify_chain(chain, now=now + timedelta(days=10))
    late = now + timedelta(days=10, seconds=1)
    assert refused(chain, late) is Code.EVIDENCE_CERTIFICATE_TIME


@pytest.mark.parametrize("critical", [True, False], ids=["critical", "not-critical"])
def test_an_ocsp_responder_is_no_leaf(root: Authority, now: datetime, critical: bool) -> None:
    usage = extended_key_usage_extension(x509.OID_OCSP_SIGNING, critical=critical)
    leaf = root.leaf("responder", now=now, extensions=usage)
    assert refused([leaf, root.certificate], now) is Code.EVIDENCE_CHAIN
    ek = extended_key_usage_extension("2.23.133.8.1", critical=critical)
    leaf = root.leaf("endorsement key", now=now, extensions=ek)
    verify_chain([leaf, root.certificate], now=now)
    assert leaf.extended_key_usage == {"2.23.133.8.1"}


def test_a_key_that_may_not_sign_data_is_refused(root: Authority, now: datetime) -> None:
    for extensions in ({}, key_usage_extension(0), key_usage_extension(0, 1)):
        x509.require_may_sign(root.leaf("leaf", now=now, extensions=extensions))
    for bits in ((1,), (2,), (5, 6)):
        with pytest.raises(VerificationError) as refusal:
            x509.require_may_sign(root.leaf("leaf", now=now, extensions=key_usage_extension(*bits)))
        assert refusal.value.code is Code.EVIDENCE_CHAIN


# -- what one certificate may say ------------------------------------------------------------------


@pytest.mark.parametrize("serial", [0, 1, 2**159, 2**160 - 1])
def test_serial_numbers_up_to_160_bits_are_read(
    root: Authority, now: datetime, serial: int
) -> None:
    assert root.leaf("leaf", now=now, serial=serial).serial == serial


@pytest.mark.parametrize("serial", [-1, -(2**64), 2**160])
def test_other_serial_numbers_are_refused(root: Authority, now: datetime, serial: int) -> None:
    with pytest.raises(FormatError) as refusal:
        root.leaf("leaf", now=now, serial=serial)
    assert refusal.value.code is Code.CERTIFICATE_MALFORMED


def test_a_critical_name_of_a_subject_is_understood(root: Authority, now: datetime) -> None:
    another = Extension(critical=True, value=der.encode(Tag.SEQUENCE))
    verify_issued(
        root.leaf("leaf", now=now, extensions={OID_SUBJECT_ALT_NAME: another}),
        issuer=root.certificate,
    )


def constraints(*parts: bytes) -> dict[str, Extension]:
    return {OID_BASIC_CONSTRAINTS: Extension(critical=True, value=der.encode(Tag.SEQUENCE, *parts))}


TRUE, FALSE = der.encode(Tag.BOOLEAN, b"\xff"), der.encode(Tag.BOOLEAN, b"\x00")


@pytest.mark.parametrize(
    ("parts", "authority", "path_length"),
    [
        ((), False, None),
        ((FALSE,), False, None),
        ((TRUE,), True, None),
        ((TRUE, der.encode_integer(0)), True, 0),
        ((TRUE, der.encode_integer(255)), True, 255),
        ((FALSE, der.encode_integer(0)), False, 0),
        ((der.encode_integer(3),), False, 3),
    ],
    ids=["empty", "false", "true", "depth-0", "depth-255", "false-with-depth", "depth-alone"],
)
def test_basic_constraints(
    root: Authority,
    now: datetime,
    parts: tuple[bytes, ...],
    authority: bool,
    path_length: int | None,
) -> None:
    leaf = root.leaf("leaf", now=now, extensions=constraints(*parts))
    assert leaf.constraints == Constraints(authority=authority, path_length=path_length)


USAGE = OID_KEY_USAGE


@pytest.mark.parametrize(
    "extensions",
    [
        constraints(TRUE, der.encode_integer(-1)),
        constraints(TRUE, der.encode_integer(256)),
        constraints(TRUE, der.encode_integer(0), der.encode_integer(0)),
        constraints(TRUE, TRUE),
        {OID_BASIC_CONSTRAINTS: Extension(critical=False, value=b"\x05\x00")},
        {USAGE: Extension(critical=False, value=b"\x05\x00")},
        {USAGE: Extension(critical=False, value=b"\x03\x02\x01\xff")},
        {OID_EXTENDED_KEY_USAGE: Extension(critical=False, value=b"\x05\x00")},
        {OID_EXTENDED_KEY_USAGE: Extension(critical=False, value=b"\x30\x00")},
    ],
    ids=[
        "depth-negative",
        "depth-large",
        "more",
        "true-twice",
        "constraints-null",
        "usage-null",
        "usage-unused-bits",
        "purposes-null",
        "purposes-none",
    ],
)
def test_known_extensions_that_cannot_be_read_are_refused(
    root: Authority, now: datetime, extensions: dict[str, Extension]
) -> None:
    with pytest.raises(FormatError) as refusal:
        root.leaf("leaf", now=now, extensions=extensions)
    assert refusal.value.code in (Code.CERTIFICATE_MALFORMED, Code.DER_MALFORMED)


def test_without_extensions_a_key_is_for_anything(root: Authority, now: datetime) -> None:
    leaf = root.leaf("leaf", now=now, extensions={})
    assert (leaf.key_usage, leaf.extended_key_usage) == (None, None)
    assert not leaf.may_issue
