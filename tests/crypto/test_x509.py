"""Vendors' certificates: what is read, what is refused, and one verified link."""

from __future__ import annotations

import base64
import contextlib
import dataclasses
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sealtune.attestation.snp_report import Signer
from sealtune.core.limits import CERTIFICATE_BYTES_MAX
from sealtune.crypto import algorithms, der, x509, x509_builder
from sealtune.crypto import extensions as extensions_module
from sealtune.crypto.der import Tag
from sealtune.crypto.x509 import Certificate, Extension, parse_certificate
from sealtune.errors import Code, FormatError, SealtuneError, VerificationError
from sealtune.testing.mock_amd import MockAmd, MockVek

PSS = der.encode_oid("1.2.840.113549.1.1.10")
SHA384 = der.encode(Tag.SEQUENCE, der.encode_oid(algorithms.OID_SHA384), der.encode(Tag.NULL))
SHA384_BARE = der.encode(Tag.SEQUENCE, der.encode_oid(algorithms.OID_SHA384))
SHA256 = der.encode(Tag.SEQUENCE, der.encode_oid("2.16.840.1.101.3.4.2.1"), der.encode(Tag.NULL))
MGF1 = der.encode_oid(algorithms.OID_MGF1)


@pytest.fixture(scope="module")
def chain(mock_amd: MockAmd) -> tuple[bytes, bytes, bytes]:
    return mock_amd.chain(MockVek())


def pss(
    digest: bytes = SHA384,
    mask: bytes = MGF1,
    mask_digest: bytes = SHA384,
    salt: int = 48,
    trailer: int | None = None,
) -> bytes:
    fields = [
        der.encode(0xA0, digest),
        der.encode(0xA1, der.encode(Tag.SEQUENCE, mask, mask_digest)),
        der.encode(0xA2, der.encode_integer(salt)),
    ]
    if trailer is not None:
        fields.append(der.encode(0xA3, der.encode_integer(trailer)))
    return der.encode(Tag.SEQUENCE, PSS, der.encode(Tag.SEQUENCE, *fields))


def rebuilt(
    data: bytes,
    changes: dict[int, bytes | None],
    *,
    outer: bytes | None = None,
    more: bytes = b"",
) -> bytes:
    """Return the certificate with other fields in its signed part, without signing it again."""
    tbs, algorithm, signature = der.read_element(data, tag=Tag.SEQUENCE).children()
    fields: list[bytes | None] = [field.raw for field in tbs.children()]
    for index, raw in changes.items():
        fields[index] = raw
    kept = [field for field in fields if field is not None]
    return der.encode(
        Tag.SEQUENCE, der.encode(Tag.SEQUENCE, *kept), outer or algorithm.raw, signature.raw, more
    )


def test_a_certificate_says_what_was_put_in(mock_amd: MockAmd, now: datetime) -> None:
    vek = parse_certificate(mock_amd.chain(MockVek())[0])
    assert vek.serial == 0
    assert (vek.subject_cn, vek.issuer_cn) == ("SEV-VCEK", "SEV-Genoa")
    assert vek.not_before == now - timedelta(days=1)
    assert vek.spki == mock_amd.vek_key.spki
    assert not vek.may_issue
    assert len(vek.extensions) == 11


def test_serial_and_dates_beyond_2049_are_read(mock_amd: MockAmd) -> None:
    late = datetime(2051, 1, 1, tzinfo=UTC)
    vek = parse_certificate(mock_amd.chain(MockVek(not_after=late))[0])
    assert vek.not_after == late


@pytest.mark.parametrize(
    "algorithm",
    [pss(trailer=1), pss(digest=SHA384_BARE, mask_digest=SHA384_BARE)],
    ids=["trailer-spelled-out", "digest-without-null"],
)
def test_the_same_algorithm_spelled_otherwise_is_read(
    chain: tuple[bytes, ...], algorithm: bytes
) -> None:
    parse_certificate(rebuilt(chain[0], {2: algorithm}, outer=algorithm))


RSA_SHA1 = der.encode(Tag.SEQUENCE, der.encode_oid("1.2.840.113549.1.1.5"), der.encode(Tag.NULL))
RSA_SHA384 = der.encode_oid("1.2.840.113549.1.1.12")
ECDSA_SHA384 = der.encode_oid("1.2.840.10045.4.3.3")
PSS_DEFAULTS = der.encode(Tag.SEQUENCE, PSS, der.encode(Tag.SEQUENCE))
PSS_TWICE = der.encode(
    Tag.SEQUENCE,
    PSS,
    der.encode(
        Tag.SEQUENCE,
        der.encode(0xA0, SHA256),
        der.encode(0xA0, SHA384),
        der.encode(0xA1, der.encode(Tag.SEQUENCE, MGF1, SHA384)),
        der.encode(0xA2, der.encode_integer(48)),
    ),
)


@pytest.mark.parametrize(
    "algorithm",
    [
        RSA_SHA1,
        der.encode(Tag.SEQUENCE, RSA_SHA384, der.encode(Tag.SEQUENCE)),
        der.encode(Tag.SEQUENCE, RSA_SHA384, der.encode(Tag.NULL), der.encode(Tag.NULL)),
        der.encode(Tag.SEQUENCE, ECDSA_SHA384, der.encode(Tag.NULL)),
        der.encode(Tag.SEQUENCE),
        der.encode(Tag.SEQUENCE, PSS),
        PSS_DEFAULTS,
        PSS_TWICE,
        pss(digest=SHA256),
        pss(mask_digest=SHA256),
        pss(mask=PSS),
        pss(salt=32),
        pss(trailer=2),
        pss(
            digest=der.encode(
                Tag.SEQUENCE, der.encode_oid(algorithms.OID_SHA384), der.encode_integer(1)
            )
        ),
        pss(digest=der.encode(Tag.SEQUENCE)),
    ],
    ids=[
        "rsa-sha1",
        "rsa-with-parameters",
        "rsa-with-more",
        "ecdsa-with-null",
        "nothing",
        "pss-without-parameters",
        "pss-defaults",
        "pss-digest-twice",
        "pss-sha256",
        "pss-mask-sha256",
        "pss-other-mask",
        "pss-salt-32",
        "pss-trailer-2",
        "pss-digest-with-parameters",
        "pss-digest-empty",
    ],
)
def test_other_signature_algorithms_are_refused(chain: tuple[bytes, ...], algorithm: bytes) -> None:
    with pytest.raises(FormatError) as refusal:
        parse_certificate(rebuilt(chain[0], {2: algorithm}, outer=algorithm))
    assert refusal.value.code is Code.CERTIFICATE_MALFORMED


def test_an_outer_algorithm_that_is_not_the_inner_one_is_refused(chain: tuple[bytes, ...]) -> None:
    with pytest.raises(FormatError) as refusal:
        parse_certificate(rebuilt(chain[0], {}, outer=pss(trailer=1)))
    assert refusal.value.code is Code.CERTIFICATE_MALFORMED


def extensions(*items: bytes) -> bytes:
    return der.encode(x509.EXTENSIONS_TAG, der.encode(Tag.SEQUENCE, *items))


def extension(oid: str, *parts: bytes) -> bytes:
    return der.encode(Tag.SEQUENCE, der.encode_oid(oid), *parts)


VALUE = der.encode(Tag.OCTET_STRING, b"\x05\x00")
TRUE = der.encode(Tag.BOOLEAN, b"\xff")


@pytest.mark.parametrize(
    "changes",
    [
        {0: der.encode(x509.VERSION_TAG, der.encode_integer(1))},
        {0: None},
        {7: None},
        {7: extensions(extension("2.5.29.14", VALUE), extension("2.5.29.14", VALUE))},
        {7: extensions(extension("1.2.3.4", TRUE, VALUE))},
        {7: extensions(extension("2.5.29.14"))},
        {7: extensions(extension("2.5.29.14", TRUE, VALUE, VALUE))},
        {7: der.encode(x509.EXTENSIONS_TAG)},
        {4: der.encode(Tag.SEQUENCE)},
        {
            3: der.encode(
                Tag.SEQUENCE,
                *2
                * (
                    der.encode(
                        Tag.SET,
                        der.encode(
                            Tag.SEQUENCE,
                            der.encode_oid("2.5.4.3"),
                            der.encode(Tag.UTF8_STRING, b"a"),
                        ),
                    ),
                ),
            )
        },
        {
            3: der.encode(
                Tag.SEQUENCE,
                der.encode(
                    Tag.SET,
                    der.encode(
                        Tag.SEQUENCE,
                        der.encode_oid("2.5.4.3"),
                        der.encode(Tag.UTF8_STRING, "ä".encode()),
                    ),
                ),
            )
        },
        {
            3: der.encode(
                Tag.SEQUENCE,
                der.encode(
                    Tag.SET,
                    der.encode(
                        Tag.SEQUENCE, der.encode_oid("2.5.4.3"), der.encode(Tag.OCTET_STRING, b"a")
                    ),
                ),
            )
        },
    ],
    ids=[
        "version-2",
        "no-version",
        "no-extensions",
        "extension-twice",
        "unknown-critical",
        "extension-without-value",
        "extension-with-more",
        "extensions-empty",
        "validity-empty",
        "two-common-names",
        "name-not-ascii",
        "name-of-another-type",
    ],
)
def test_fields_that_are_not_as_they_should_be_are_refused(
    chain: tuple[bytes, ...], changes: dict[int, bytes | None]
) -> None:
    with pytest.raises(FormatError) as refusal:
        parse_certificate(rebuilt(chain[0], changes))
    assert refusal.value.code in (Code.CERTIFICATE_MALFORMED, Code.DER_MALFORMED)


@pytest.mark.parametrize(
    ("text", "accepted"), [(b" ~", True), (b"\x1f", False), (b"\x7f", False), (b"\xff", False)]
)
def test_text_is_printable_ascii(text: bytes, accepted: bool) -> None:
    element = der.read_element(der.encode(Tag.IA5_STRING, text), tag=Tag.IA5_STRING)
    if accepted:
        assert x509.read_text(element) == text.decode()
        return
    with pytest.raises(FormatError):
        x509.read_text(element)


def test_an_extension_that_says_not_critical_is_not(chain: tuple[bytes, ...]) -> None:
    spelled_out = extension("1.2.3.4", der.encode(Tag.BOOLEAN, b"\x00"), VALUE)
    found = parse_certificate(rebuilt(chain[0], {7: extensions(spelled_out)}))
    assert found.extensions["1.2.3.4"] == Extension(critical=False, value=b"\x05\x00")


def test_bytes_after_the_signature_are_refused(chain: tuple[bytes, ...]) -> None:
    for data in (chain[0] + b"\0", rebuilt(chain[0], {}, more=b"\x05\x00")):
        with pytest.raises(FormatError):
            parse_certificate(data)


def test_a_large_certificate_is_refused_unparsed() -> None:
    for size, code in (
        (CERTIFICATE_BYTES_MAX, Code.DER_MALFORMED),
        (CERTIFICATE_BYTES_MAX + 1, Code.LIMIT_EXCEEDED),
    ):
        with pytest.raises(FormatError) as refusal:
            parse_certificate(bytes(size))
        assert refusal.value.code is code


def test_a_signed_part_of_another_type_is_refused(chain: tuple[bytes, ...]) -> None:
    tbs, algorithm, signature = der.read_element(chain[0], tag=Tag.SEQUENCE).children()
    other = der.encode(Tag.SET, tbs.content)
    with pytest.raises(FormatError):
        parse_certificate(der.encode(Tag.SEQUENCE, other, algorithm.raw, signature.raw))


def test_each_link_verifies(chain: tuple[bytes, ...]) -> None:
    vek, ask, ark = map(parse_certificate, chain)
    x509.verify_issued(ark, issuer=ark)
    x509.verify_issued(ask, issuer=ark)
    x509.verify_issued(vek, issuer=ask)


def link_refused(certificate: Certificate, issuer: Certificate) -> Code:
    with pytest.raises(VerificationError) as refusal:
        x509.verify_issued(certificate, issuer=issuer)
    return refusal.value.code


def test_a_certificate_of_another_issuer_is_refused(chain: tuple[bytes, ...]) -> None:
    vek, ask, ark = map(parse_certificate, chain)
    assert link_refused(vek, ark) is Code.EVIDENCE_CHAIN
    # Named right, signed by another key.
    renamed = dataclasses.replace(ark, subject=ask.subject)
    assert link_refused(vek, renamed) is Code.CERTIFICATE_SIGNATURE


def test_an_issuer_that_is_no_authority_is_refused(chain: tuple[bytes, ...]) -> None:
    vek, ask, _ = map(parse_certificate, chain)
    usage, constraints = extensions_module.OID_KEY_USAGE, extensions_module.OID_BASIC_CONSTRAINTS
    signs_crl = Extension(critical=True, value=b"\x03\x02\x01\x02")
    no_authority = Extension(critical=True, value=der.encode(Tag.SEQUENCE))
    said_no = Extension(
        critical=True, value=der.encode(Tag.SEQUENCE, der.encode(Tag.BOOLEAN, b"\x00"))
    )
    depth_alone = Extension(critical=True, value=der.encode(Tag.SEQUENCE, der.encode_integer(0)))
    variants = (
        {constraints: depth_alone, usage: ask.extensions[usage]},
        {usage: ask.extensions[usage]},
        {constraints: ask.extensions[constraints]},
        {constraints: ask.extensions[constraints], usage: signs_crl},
        {constraints: no_authority, usage: ask.extensions[usage]},
        {constraints: said_no, usage: ask.extensions[usage]},
    )
    for extensions_ in variants:
        issuer = dataclasses.replace(ask, extensions=extensions_)
        assert link_refused(vek, issuer) is Code.EVIDENCE_CHAIN


def test_an_issuer_whose_key_is_not_rsa_4096_is_refused(
    chain: tuple[bytes, ...], mock_amd: MockAmd
) -> None:
    vek, ask, _ = map(parse_certificate, chain)
    issuer = dataclasses.replace(ask, spki=mock_amd.vek_key.spki)
    assert link_refused(vek, issuer) is Code.CERTIFICATE_SIGNATURE


def test_validity_includes_both_ends(chain: tuple[bytes, ...]) -> None:
    vek = parse_certificate(chain[0])
    x509.require_valid_at(vek, vek.not_before)
    x509.require_valid_at(vek, vek.not_after)
    second = timedelta(seconds=1)
    for moment in (vek.not_before - second, vek.not_after + second):
        with pytest.raises(VerificationError) as refusal:
            x509.require_valid_at(vek, moment)
        assert refusal.value.code is Code.EVIDENCE_CERTIFICATE_TIME


def test_pem_blocks_are_read_in_order(chain: tuple[bytes, ...]) -> None:
    blocks = [
        b"-----BEGIN CERTIFICATE-----\n" + base64.encodebytes(data) + b"-----END CERTIFICATE-----\n"
        for data in chain
    ]
    assert x509.certificates_from_pem(b"text before\n" + b"".join(blocks)) == chain
    assert x509.certificates_from_pem(blocks[0] * 8) == chain[:1] * 8
    for data in (b"", b"".join(blocks * 3), blocks[0].replace(b"MII", b"M=I")):
        with pytest.raises(FormatError) as refusal:
            x509.certificates_from_pem(data)
        assert refusal.value.code is Code.CERTIFICATE_MALFORMED
    padded = blocks[0].ljust(2 * 8 * CERTIFICATE_BYTES_MAX)
    assert x509.certificates_from_pem(padded) == chain[:1]
    with pytest.raises(FormatError) as refusal:
        x509.certificates_from_pem(padded + b" ")
    assert refusal.value.code is Code.LIMIT_EXCEEDED


@given(st.data())
@settings(max_examples=200)
def test_a_changed_certificate_raises_nothing_but_our_errors_and_never_verifies(
    chain: tuple[bytes, ...], data: st.DataObject
) -> None:
    ask = parse_certificate(chain[1])
    mutated = bytearray(chain[0])
    for _ in range(data.draw(st.integers(1, 3))):
        index = data.draw(st.integers(0, len(mutated) - 1))
        mutated[index] ^= data.draw(st.integers(1, 255))
    if bytes(mutated) == chain[0]:
        return
    with contextlib.suppress(FormatError):
        certificate = parse_certificate(bytes(mutated))
        with pytest.raises(SealtuneError):
            x509.verify_issued(certificate, issuer=ask)


@given(st.binary(max_size=300))
def test_any_bytes_raise_nothing_but_our_errors(data: bytes) -> None:
    with contextlib.suppress(SealtuneError):
        parse_certificate(data)
    with contextlib.suppress(SealtuneError):
        x509.certificates_from_pem(data)


def test_a_builder_and_an_independent_reader_agree(mock_amd: MockAmd) -> None:
    from cryptography import x509 as reference

    # The authorities only: the loader refuses a VCEK's serial number 0 with a warning.
    ask = mock_amd.intermediate(MockVek().product, signer=Signer.VLEK)
    ark = mock_amd.chain(MockVek())[-1]
    theirs = reference.load_der_x509_certificate(ask)
    theirs.verify_directly_issued_by(reference.load_der_x509_certificate(ark))
    ours = parse_certificate(ask)
    assert theirs.tbs_certificate_bytes == ours.tbs
    assert theirs.not_valid_before_utc == ours.not_before
    assert x509_builder.authority_extensions(path_length=0).keys() == ours.extensions.keys()
