"""Attacks on signed XML, under a mock hierarchy: what is read is what was signed, or nothing."""

from __future__ import annotations

import base64
import contextlib
import dataclasses
import time
import tracemalloc
from datetime import datetime, timedelta
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sealtune.attestation import rim as rim_reader
from sealtune.attestation import rim_xml
from sealtune.attestation.anchors import vendor_anchors
from sealtune.attestation.endorsements import NO_ENDORSEMENTS
from sealtune.attestation.rim import Rim, parse_rim, verify_rim
from sealtune.attestation.rim_xml import (
    XML_BYTES_MAX,
    SignedDocument,
    parse_signed_document,
    verify_document,
)
from sealtune.crypto.ecdsa import P384Key, verify_ecdsa_p384
from sealtune.errors import Code, SealtuneError
from sealtune.testing import mock_nvidia
from sealtune.testing.mock_nvidia import MockNvidia, MockRim

DIGEST = b"\x77" * 48
SIGNED_INFO = mock_nvidia._SIGNED_INFO
BODY_END = b"</Payload>"
XMLNS = b' xmlns="http://standards.iso.org/iso/19770/-2/2015/schema.xsd"'


@pytest.fixture(scope="module")
def mock(now: datetime) -> MockNvidia:
    return MockNvidia(now=now)


@pytest.fixture(scope="module")
def honest(mock: MockNvidia) -> bytes:
    return mock.rim(MockRim())


def verified(mock: MockNvidia, data: bytes, now: datetime) -> Rim:
    return verify_rim(parse_rim(data), anchors=mock.anchors, endorsements=NO_ENDORSEMENTS, now=now)


def refused(mock: MockNvidia, data: bytes, now: datetime) -> Code:
    with pytest.raises(SealtuneError) as refusal:
        verified(mock, data, now)
    return refusal.value.code


def part(document: bytes, name: str) -> bytes:
    """Return the element `name` of a mock document as it stands there."""
    start = document.index(f"<{name}".encode())
    end = f"</{name.strip()}>".encode()
    return document[start : document.index(end) + len(end)]


# -- what an honest one says -----------------------------------------------------------------------


def test_an_honest_rim_verifies(mock: MockNvidia, now: datetime, honest: bytes) -> None:
    rim = verified(mock, honest, now)
    assert rim.content.product == "GH100"
    assert rim.content.version == "550.90.07"
    assert dict(rim.content.measurements) == dict(MockRim().measurements)
    assert rim.root.insecure
    assert rim.valid_until > now


def test_a_declaration_and_space_around_the_root_are_no_part_of_it(
    mock: MockNvidia, now: datetime, honest: bytes
) -> None:
    for data in (b'<?xml version="1.0" encoding="UTF-8"?>\n' + honest + b"\n", honest + b"\n\n"):
        verified(mock, data, now)


def test_another_spelling_of_the_same_document_verifies(
    mock: MockNvidia, now: datetime, honest: bytes
) -> None:
    # Canonical form is what is signed: quotes, order of attributes, empty elements do not matter.
    other = honest.replace(b"></Resource>", b"/>").replace(b'index="7"', b"index='7'")
    assert other != honest
    assert verified(mock, other, now).content == verified(mock, honest, now).content


def test_text_behind_the_signature_is_signed_too(
    mock: MockNvidia, now: datetime, honest: bytes
) -> None:
    # The enveloped transform removes the element, not what follows it.
    with_tail = honest.replace(b"</ds:Signature>", b"</ds:Signature>\n")
    assert refused(mock, with_tail, now) is Code.ENDORSEMENT_SIGNATURE
    moved = (
        mock.sign_rim(MockRim().body() + "\n")
        .replace(BODY_END + b"\n", BODY_END)
        .replace(b"</ds:Signature>", b"</ds:Signature>\n")
    )
    verified(mock, moved, now)


# -- content ---------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("old", "new"),
    [
        (b'active="True" alternatives="1" index="7"', b'active="False" alternatives="1" index="7"'),
        (b'index="7"', b'index="8"'),
        (b"550.90.07", b"550.90.08"),
        (b'product="GH100"', b'product="GB100"'),
        (b"<Payload>\n", b"<Payload>\n\n"),
        (b'tagId="00', b'tagId="01'),
        (b'name="x"', b'name="x" extra="y"'),
    ],
)
def test_changed_content_is_refused(
    mock: MockNvidia, now: datetime, honest: bytes, old: bytes, new: bytes
) -> None:
    assert old in honest
    assert refused(mock, honest.replace(old, new), now) is Code.ENDORSEMENT_SIGNATURE


def test_a_digest_of_other_content_is_refused(
    mock: MockNvidia, now: datetime, honest: bytes
) -> None:
    # Content and digest exchanged together: the signature over the digest is the old one.
    other = mock.rim(dataclasses.replace(MockRim(), version="999.1"))
    spliced = other.replace(part(other, "ds:SignatureValue"), part(honest, "ds:SignatureValue"))
    assert refused(mock, spliced, now) is Code.ENDORSEMENT_SIGNATURE
    borrowed = other.replace(part(other, "ds:Signature "), part(honest, "ds:Signature "))
    assert refused(mock, borrowed, now) is Code.ENDORSEMENT_SIGNATURE


def test_a_key_that_nobody_certified_is_refused(mock: MockNvidia, now: datetime) -> None:
    other = MockNvidia(now=now)
    assert refused(mock, other.rim(MockRim()), now) is Code.EVIDENCE_ROOT
    # Its own signature under our certificates.
    mixed = other.sign_rim(MockRim().body(), certificates=mock.rim_chain())
    assert refused(mock, mixed, now) is Code.ENDORSEMENT_SIGNATURE
    # Our root behind its signer.
    chain = (other.rim_chain()[0], mock.rim_root)
    mixed = other.sign_rim(MockRim().body(), certificates=chain)
    assert refused(mock, mixed, now) is Code.CERTIFICATE_SIGNATURE


def test_the_root_of_devices_is_none_of_rims(mock: MockNvidia, now: datetime) -> None:
    chain = mock.chain(mock_nvidia.HOPPER)
    assert refused(mock, mock.sign_rim(MockRim().body(), certificates=chain), now) is (
        Code.EVIDENCE_ROOT
    )


def test_the_mock_root_is_not_a_vendors(mock: MockNvidia, now: datetime, honest: bytes) -> None:
    with pytest.raises(SealtuneError) as refusal:
        verify_rim(
            parse_rim(honest), anchors=vendor_anchors(), endorsements=NO_ENDORSEMENTS, now=now
        )
    assert refusal.value.code is Code.EVIDENCE_ROOT


@pytest.mark.parametrize(
    "validity",
    [{"not_after": -timedelta(days=1)}, {"not_before": timedelta(days=1)}],
    ids=["expired", "not-yet"],
)
def test_a_rim_out_of_its_time_is_stale(
    mock: MockNvidia, now: datetime, validity: dict[str, timedelta]
) -> None:
    moments = {name: now + by for name, by in validity.items()}
    assert refused(mock, mock.rim(MockRim(), **moments), now) is Code.ENDORSEMENT_STALE


# -- wrapping --------------------------------------------------------------------------------------


def _wrapped(honest: bytes) -> dict[str, bytes]:
    signature = part(honest, "ds:Signature ")
    evil = honest.replace(b"550.90.07", b"999.99.99").replace(signature, b"")
    meta = part(honest, "Meta")
    payload = part(honest, "Payload")
    entity = part(honest, "Entity")
    return {
        "signed-document-inside": evil.replace(BODY_END, BODY_END + honest),
        "signed-document-inside-the-payload": evil.replace(BODY_END, honest + BODY_END),
        "signature-with-the-document-inside": evil.replace(
            b"</SoftwareIdentity>",
            signature.replace(b"</ds:KeyInfo>", b"</ds:KeyInfo><ds:Object>" + honest)[
                : -len(b"</ds:Signature>")
            ]
            + b"</ds:Object></ds:Signature></SoftwareIdentity>",
        ),
        "two-signatures": honest.replace(signature, signature + signature),
        "two-signatures-apart": honest.replace(meta, signature + meta),
        "signature-first": honest.replace(signature, b"").replace(entity, signature + entity),
        "signature-deeper": honest.replace(signature, b"").replace(BODY_END, signature + BODY_END),
        "no-signature": honest.replace(signature, b""),
        "second-meta": honest.replace(meta, meta + meta.replace(b"550", b"999")),
        "second-payload": honest.replace(payload, payload + payload),
        "payload-in-meta": honest.replace(b"></Meta>", b">" + payload + b"</Meta>"),
        "another-root": b"<a" + XMLNS + b">" + honest + b"</a>",
        "root-of-another-name": honest.replace(b"SoftwareIdentity", b"SoftwareIdentify"),
    }


WRAPPINGS = (
    "signed-document-inside",
    "signed-document-inside-the-payload",
    "signature-with-the-document-inside",
    "two-signatures",
    "two-signatures-apart",
    "signature-first",
    "signature-deeper",
    "no-signature",
    "second-meta",
    "second-payload",
    "payload-in-meta",
    "another-root",
    "root-of-another-name",
)


@pytest.mark.parametrize("name", WRAPPINGS)
def test_a_wrapped_signature_is_refused(
    mock: MockNvidia, now: datetime, honest: bytes, name: str
) -> None:
    wrapped = _wrapped(honest)
    assert wrapped.keys() == set(WRAPPINGS)
    assert wrapped[name] != honest
    code = refused(mock, wrapped[name], now)
    # A Payload inside Meta is signed content like any other; all else is another shape.
    inside = name == "payload-in-meta"
    assert code is (Code.ENDORSEMENT_SIGNATURE if inside else Code.ENDORSEMENT_MALFORMED)


# -- one algorithm of each kind --------------------------------------------------------------------

ALGORITHMS = {
    "c14n-1.0": (
        '<ds:CanonicalizationMethod Algorithm="http://www.w3.org/2006/12/xml-c14n11">',
        '<ds:CanonicalizationMethod Algorithm="http://www.w3.org/TR/2001/REC-xml-c14n-20010315">',
    ),
    "exclusive-c14n": (
        '<ds:Transform Algorithm="http://www.w3.org/2006/12/xml-c14n11">',
        '<ds:Transform Algorithm="http://www.w3.org/2001/10/xml-exc-c14n#">',
    ),
    "hmac": ("xmldsig-more#ecdsa-sha384", "xmldsig-more#hmac-sha384"),
    "ecdsa-sha1": ("xmldsig-more#ecdsa-sha384", "xmldsig-more#ecdsa-sha1"),
    "sha256-digest": ("xmldsig-more#sha384", "xmldsig-more#sha256"),
    "reference-to-a-part": ('<ds:Reference URI="">', '<ds:Reference URI="#x">'),
    "reference-to-a-file": ('<ds:Reference URI="">', '<ds:Reference URI="file:///etc/hostname">'),
    "reference-with-an-id": ('<ds:Reference URI="">', '<ds:Reference Id="x" URI="">'),
    "reference-without-uri": ('<ds:Reference URI="">', "<ds:Reference>"),
    "not-enveloped": (
        '<ds:Transform Algorithm="http://www.w3.org/2000/09/xmldsig#enveloped-signature">'
        "</ds:Transform>",
        "",
    ),
    "xslt": (
        "</ds:Transforms>",
        '<ds:Transform Algorithm="http://www.w3.org/TR/1999/REC-xslt-19991116"></ds:Transform>'
        "</ds:Transforms>",
    ),
    "xpath": (
        "enveloped-signature",
        "enveloped-signature-not",
    ),
    "nested-transform": ("</ds:Transform></ds:Transforms>", "</ds:Transforms></ds:Transform>"),
    "two-references": ("</ds:Reference>", '</ds:Reference><ds:Reference URI=""></ds:Reference>'),
    "no-transforms": ("<ds:Transforms>", "<ds:Transformz>"),
}


@pytest.mark.parametrize("name", sorted(ALGORITHMS))
def test_a_signed_info_of_another_form_is_refused(
    mock: MockNvidia, now: datetime, name: str
) -> None:
    old, new = ALGORITHMS[name]
    assert old in SIGNED_INFO
    document = mock.sign_rim(MockRim().body(), signed_info=SIGNED_INFO.replace(old, new))
    assert refused(mock, document, now) is Code.ENDORSEMENT_MALFORMED


def test_a_signed_info_whose_elements_are_nested_otherwise_is_refused(
    mock: MockNvidia, now: datetime
) -> None:
    digest = "<ds:DigestValue>{digest}</ds:DigestValue>"
    moved = SIGNED_INFO.replace("</ds:DigestMethod>" + digest, digest + "</ds:DigestMethod>")
    assert moved != SIGNED_INFO
    document = mock.sign_rim(MockRim().body(), signed_info=moved)
    assert refused(mock, document, now) is Code.ENDORSEMENT_MALFORMED


@pytest.mark.parametrize(
    ("old", "new"),
    [
        (b"<ds:Signature ", b'<ds:Signature Id="a" '),
        (b"<ds:SignatureValue>", b'<ds:SignatureValue Id="a">'),
        (b"<ds:SignatureValue>", b"<ds:SignatureValue><a/>"),
        (b"<ds:SignatureValue>", b"<ds:SignatureValue>!"),
        (b"<ds:SignatureValue>", b"<ds:SignatureValue>\xc3\xa9"),
        (b"<ds:SignatureValue>", b"<ds:SignatureValue>AAAA"),
        (b"<ds:X509Data>", b"<ds:KeyName>x</ds:KeyName><ds:X509Data>"),
        (b"<ds:X509Data>", b"<ds:X509Data><ds:X509SubjectName>x</ds:X509SubjectName>"),
        (b"</ds:X509Data>", b"</ds:X509Data><ds:KeyName>x</ds:KeyName>"),
        (b"</ds:X509Data>", b"<ds:X509SubjectName>AAAA</ds:X509SubjectName></ds:X509Data>"),
        (b"</ds:X509Certificate>", b"<a/></ds:X509Certificate>"),
        (b"</ds:SignatureValue>", b"<a/></ds:SignatureValue>"),
        (b"</ds:KeyInfo>", b"</ds:KeyInfo><ds:Object></ds:Object>"),
        (b"<ds:KeyInfo>", b"<ds:KeyInfo></ds:KeyInfo><ds:KeyInfo>"),
    ],
)
def test_a_signature_of_another_form_is_refused(
    mock: MockNvidia, now: datetime, honest: bytes, old: bytes, new: bytes
) -> None:
    changed = honest.replace(old, new, 1)
    assert changed != honest
    assert refused(mock, changed, now) is Code.ENDORSEMENT_MALFORMED


def test_a_signature_without_or_with_too_many_certificates_is_refused(
    mock: MockNvidia, now: datetime, honest: bytes
) -> None:
    none = honest.replace(part(honest, "ds:X509Data"), b"<ds:X509Data></ds:X509Data>")
    assert refused(mock, none, now) is Code.ENDORSEMENT_MALFORMED
    many = mock.sign_rim(MockRim().body(), certificates=mock.rim_chain() * 5)
    assert refused(mock, many, now) is Code.ENDORSEMENT_MALFORMED


def test_a_signature_of_zeros_is_refused(mock: MockNvidia, now: datetime, honest: bytes) -> None:
    zeros = b"<ds:SignatureValue>" + base64.b64encode(bytes(96)) + b"</ds:SignatureValue>"
    changed = honest.replace(part(honest, "ds:SignatureValue"), zeros)
    assert refused(mock, changed, now) is Code.ENDORSEMENT_SIGNATURE


# -- XML that is more than elements and text -------------------------------------------------------

BOMB = b"<!DOCTYPE a [" + b"".join(
    b'<!ENTITY e%d "%s">' % (n, (b"&e%d;" % (n - 1)) * 10 if n else b"x" * 10) for n in range(9)
)


@pytest.mark.parametrize(
    "change",
    [
        lambda data: BOMB + b"]>" + data.replace(b'name="x"', b'name="&e8;"'),
        lambda data: b'<!DOCTYPE a SYSTEM "file:///etc/hostname">' + data,
        lambda data: b'<!DOCTYPE a [<!ENTITY e SYSTEM "http://localhost/">]>' + data,
        lambda data: b"<!DOCTYPE a>" + data,
        lambda data: data.replace(b"<Payload>", b"<Payload><!-- comment -->"),
        lambda data: data.replace(b"<ds:SignatureValue>", b"<ds:SignatureValue>AA<!-- x -->"),
        lambda data: b"<!-- before -->" + data,
        lambda data: data + b"<!-- behind -->",
        lambda data: data.replace(b"<Payload>", b"<Payload><![CDATA[x]]>"),
        lambda data: data.replace(b"<Payload>", b"<Payload><?php x ?>"),
        lambda data: b'<?xml-stylesheet href="x"?>' + data,
        lambda data: b'<?xml version="1.0"?><?a b?>' + data,
        lambda data: data.replace(b"<Payload>", b'<Payload xml:base="http://x/">'),
        lambda data: data.replace(b"<Payload>", b'<Payload xml:id="a">'),
        lambda data: data.replace(b"<Payload>", b'<Payload xmlns:r="relative">'),
        lambda data: data.replace(b"<Payload>", b"<Payload>&undefined;"),
        lambda data: data.replace(b"<Payload>", b"<Payload>\0"),
        lambda data: data.decode().encode("utf-16"),
        lambda data: b'<?xml version="1.0" encoding="UTF-7"?>' + data.replace(b"<", b"+ADw-"),
        lambda data: data[:-1],
        lambda data: data + data,
        lambda data: b"",
        lambda data: b"\xff" + data,
    ],
    ids=[
        "entity-bomb",
        "external-dtd",
        "external-entity",
        "doctype",
        "comment",
        "comment-in-signature",
        "comment-before",
        "comment-behind",
        "cdata",
        "instruction",
        "instruction-before",
        "instruction-behind-declaration",
        "xml-base",
        "xml-id",
        "relative-namespace",
        "undefined-entity",
        "zero",
        "utf-16",
        "utf-7",
        "cut",
        "two-roots",
        "empty",
        "not-utf-8",
    ],
)
def test_xml_of_another_kind_is_refused(
    mock: MockNvidia, now: datetime, honest: bytes, change: Any
) -> None:
    assert refused(mock, change(honest), now) is Code.ENDORSEMENT_MALFORMED


# -- the swidtag -----------------------------------------------------------------------------------


def _signed(mock: MockNvidia, old: str, new: str) -> bytes:
    body = MockRim().body()
    assert old in body
    return mock.sign_rim(body.replace(old, new, 1))


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ('active="True"', 'active="true"'),
        ('active="True" ', ""),
        ('index="7"', 'index="21"'),
        ('index="7"', 'index="40"'),
        ('index="7"', 'index="255"'),
        ('index="7"', 'index="-1"'),
        ('index="7"', 'index=" 7"'),
        ('index="7"', 'index="\u0667"'),
        ('index="7"', 'index="7777"'),
        ('index="7"', 'index="0007"'),
        ('ns2:Hash0="', f'ns2:Hash1="{"00" * 48}" ns2:Hash0="'),
        ('product="GH100"', 'product="GH\u00e9"'),
        ('index="7" ', ""),
        ('alternatives="1"', 'alternatives="2"'),
        ('size="48"', 'size="32"'),
        ("ns2:Hash0", "ns2:Hash1"),
        ("ns2:Hash0", "Hash0"),
        ('type="Measurement"', 'type="Other"'),
        ("<Resource ", "<Resourze "),
        ('colloquialVersion="550.90.07"', 'colloquialVersion=""'),
        ('product="GH100"', f'product="{"G" * 129}"'),
        ('edition="GPU" ', ""),
        ("<Entity ", "<Entit "),
    ],
)
def test_a_signed_swidtag_of_another_form_is_refused(
    mock: MockNvidia, now: datetime, old: str, new: str
) -> None:
    document = (
        _signed(mock, old, new).replace(b"Resourze", b"Other").replace(b"<Entit ", b"<Other ")
    )
    for name in (b"Resource", b"Entity"):
        # An element that was renamed at its beginning is renamed at its end.
        if document.count(b"<" + name) != document.count(b"</" + name + b">"):
            document = document.replace(b"</" + name + b">", b"</Other>", 1)
    assert refused(mock, document, now) is Code.ENDORSEMENT_MALFORMED


@pytest.mark.parametrize(
    "digest", ["", "00" * 47, "00" * 49, "0x" + "00" * 47, "zz" * 48, " " * 96]
)
def test_a_digest_that_is_none_is_refused(mock: MockNvidia, now: datetime, digest: str) -> None:
    value = MockRim().measurements[7][0].hex()
    document = _signed(mock, f'ns2:Hash0="{value}"', f'ns2:Hash0="{digest}"')
    assert refused(mock, document, now) is Code.ENDORSEMENT_MALFORMED


def test_a_measurement_without_digests_is_refused(mock: MockNvidia, now: datetime) -> None:
    rim = dataclasses.replace(MockRim(), measurements={7: ()}, inactive=())
    assert refused(mock, mock.rim(rim), now) is Code.ENDORSEMENT_MALFORMED


@pytest.mark.parametrize(
    ("attributes", "inside", "accepted"),
    [
        ("", "<a></a>" * 900, True),
        ("", "<a></a>" * 1020, False),
        (" ".join(f'a{n:02d}="x"' for n in range(60)), "", True),
        (" ".join(f'a{n:02d}="x"' for n in range(65)), "", False),
        (" ".join(f'xmlns:n{n:02d}="urn:{n}"' for n in range(10)), "", True),
        (" ".join(f'xmlns:n{n:02d}="urn:{n}"' for n in range(16)), "", False),
    ],
    ids=["elements", "elements+", "attributes", "attributes+", "namespaces", "namespaces+"],
)
def test_a_signed_document_has_bounds(
    mock: MockNvidia, now: datetime, attributes: str, inside: str, accepted: bool
) -> None:
    # Where nothing is read, so that only the bound refuses.
    body = MockRim().body()
    meta = f'<Meta colloquialVersion="1" edition="GPU" product="GH100">{inside}</Meta>'
    if attributes:
        meta = meta.replace("<Meta ", f"<Meta {attributes} ")
    document = mock.sign_rim(body.replace(part(body.encode(), "Meta").decode(), meta))
    if accepted:
        verified(mock, document, now)
    else:
        assert refused(mock, document, now) is Code.ENDORSEMENT_MALFORMED


def test_an_instruction_is_refused_even_where_it_is_signed(mock: MockNvidia, now: datetime) -> None:
    assert refused(mock, _signed(mock, "></Meta>", "><?a b?></Meta>"), now) is (
        Code.ENDORSEMENT_MALFORMED
    )


@pytest.mark.parametrize("inside", ["", "text"])
def test_a_document_of_a_signature_alone_is_refused(
    mock: MockNvidia, now: datetime, inside: str
) -> None:
    document = mock.sign_rim(inside)
    moved = document.replace(b"</ds:Signature>", b"</ds:Signature>behind")
    alone = part(document, "ds:Signature ")
    empty = b'<Signature xmlns="http://www.w3.org/2000/09/xmldsig#"/>'
    for data in (document, moved, alone, empty):
        assert refused(mock, data, now) is Code.ENDORSEMENT_MALFORMED


def test_a_rim_without_an_active_measurement_is_refused(mock: MockNvidia, now: datetime) -> None:
    empty = dataclasses.replace(MockRim(), measurements={})
    assert refused(mock, mock.rim(empty), now) is Code.ENDORSEMENT_MALFORMED


def test_digests_are_read_in_either_case(mock: MockNvidia, now: datetime) -> None:
    value = MockRim().measurements[7][0]
    document = _signed(mock, value.hex(), value.hex().upper())
    assert verified(mock, document, now).content.measurements[7] == (value,)


def test_all_alternatives_are_read(mock: MockNvidia, now: datetime) -> None:
    values = tuple(bytes((n,)) * 48 for n in range(4))
    rim = dataclasses.replace(MockRim(), measurements={7: values})
    assert verified(mock, mock.rim(rim), now).content.measurements == {7: values}


# -- what it costs ---------------------------------------------------------------------------------

COSTLY = {
    "large": b"<a>" + b"x" * XML_BYTES_MAX + b"</a>",
    "full": b"<a>" + b"x" * (XML_BYTES_MAX - 7) + b"</a>",
    "elements": b"<a>" + b"<b/>" * ((XML_BYTES_MAX - 7) // 4) + b"</a>",
    "depth": b"<a>" * 30_000 + b"</a>" * 30_000,
    "attributes": b"<a " + b" ".join(b'a%d=""' % n for n in range(25_000)) + b"/>",
    "namespaces": b"<a " + b" ".join(b'xmlns:n%d="u:%d"' % (n, n) for n in range(10_000)) + b"/>",
    "same-attribute": b"<a " + b'b="" ' * 40_000 + b"/>",
    "character-references": b"<a>" + b"&#x41;" * 40_000 + b"</a>",
    "entities": BOMB + b"]><a>&e8;</a>",
}


@pytest.mark.parametrize("name", sorted(COSTLY))
def test_a_costly_document_is_refused_at_once(name: str) -> None:
    tracemalloc.start()
    begin = time.perf_counter()
    with pytest.raises(SealtuneError) as refusal:
        parse_rim(COSTLY[name])
    took = time.perf_counter() - begin
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    large = name == "large"
    assert refusal.value.code is (Code.LIMIT_EXCEEDED if large else Code.ENDORSEMENT_MALFORMED)
    assert took < 0.5  # 5x the bound, for a busy host under tracemalloc
    assert peak < 64 * 1024 * 1024


@given(st.data())
@settings(max_examples=150)
def test_any_changed_byte_is_refused_or_changes_nothing(
    mock: MockNvidia, now: datetime, honest: bytes, data: st.DataObject
) -> None:
    changed = bytearray(honest)
    changed[data.draw(st.integers(0, len(honest) - 1))] = data.draw(st.integers(0, 255))
    with contextlib.suppress(SealtuneError):
        assert verified(mock, bytes(changed), now).content == verified(mock, honest, now).content


@given(st.binary(max_size=400))
@settings(max_examples=100)
def test_any_bytes_raise_nothing_but_our_errors(data: bytes) -> None:
    for candidate in (data, b"<a>" + data + b"</a>"):
        with pytest.raises(SealtuneError):
            parse_rim(candidate)


# -- what is done once -----------------------------------------------------------------------------


def test_a_rim_is_read_once(mock: MockNvidia, monkeypatch: pytest.MonkeyPatch) -> None:
    documents = [mock.rim(MockRim(version=f"1.{number}")) for number in range(4)]
    read: list[bytes] = []

    def parse(data: bytes) -> SignedDocument:
        read.append(data)
        return parse_signed_document(data)

    monkeypatch.setattr(rim_reader, "parse_signed_document", parse)
    first = parse_rim(documents[0])
    assert parse_rim(bytes(bytearray(documents[0]))) is first
    assert len(read) == 1
    for _ in range(2):
        with pytest.raises(SealtuneError):
            parse_rim(documents[0][:-9])
    assert len(read) == 3


@pytest.mark.parametrize("bound", ["bytes", "count"])
def test_only_so_many_rims_are_kept(
    mock: MockNvidia, monkeypatch: pytest.MonkeyPatch, bound: str
) -> None:
    documents = [mock.rim(MockRim(version=f"2.{number}")) for number in range(4)]
    size = max(len(data) + len(parse_rim(data).document.content) for data in documents)
    monkeypatch.setattr(rim_reader, "_KEPT", rim_reader._Kept())
    if bound == "bytes":
        monkeypatch.setattr(rim_reader, "_KEPT_BYTES_MAX", 2 * size)
    else:
        monkeypatch.setattr(rim_reader, "ENDORSEMENTS_MAX", 2)
    for data in (*documents[:2], documents[0], documents[2]):
        parse_rim(data)
    # The one that nobody asked for longest went; those that are left are counted as they are.
    assert list(rim_reader._KEPT._known) == [documents[0], documents[2]]
    for data in documents * 3:
        parse_rim(data)
    assert list(rim_reader._KEPT._known) == documents[2:]
    assert rim_reader._KEPT._size == sum(
        rim_reader._kept_bytes(data, parse_rim(data)) for data in documents[2:]
    )


def test_a_signature_is_verified_once_and_a_refusal_every_time(
    mock: MockNvidia, now: datetime, monkeypatch: pytest.MonkeyPatch
) -> None:
    data = mock.rim(MockRim(version="3.0"))
    checked: list[bytes] = []

    def counting(spki: bytes, *, r: int, s: int, message: bytes) -> None:
        checked.append(message)
        verify_ecdsa_p384(spki, r=r, s=s, message=message)

    monkeypatch.setattr(rim_xml, "verify_ecdsa_p384", counting)
    for _ in range(3):
        verified(mock, data, now)
    assert len(checked) == 1
    # The signature of the good one, which is known, over other content; and another signature.
    altered = data.replace(b'index="40"', b'index="42"')
    assert altered != data
    value = data.index(b"<ds:SignatureValue>") + 30
    unsigned = (
        data[:value] + (b"A" if data[value : value + 1] != b"A" else b"B") + data[value + 1 :]
    )
    for _ in range(2):
        assert refused(mock, altered, now) is Code.ENDORSEMENT_SIGNATURE
        assert refused(mock, unsigned, now) is Code.ENDORSEMENT_SIGNATURE
    assert len(checked) == 3
    # Somebody else's key under the same bytes.
    with pytest.raises(SealtuneError):
        verify_document(parse_rim(data).document, spki=P384Key.generate().spki)
    assert len(checked) == 4
