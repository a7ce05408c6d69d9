"""OCSP responses: who may answer, about what, for how long, and what the answer is."""

from __future__ import annotations

import contextlib
import dataclasses
import hashlib
from datetime import datetime, timedelta

import mock_pki
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from mock_pki import Authority

from sealtune.crypto import der, ocsp
from sealtune.crypto.algorithms import OID_SHA384, SignatureAlgorithm, verify_signature
from sealtune.crypto.der import Tag
from sealtune.crypto.ecdsa import P256Key
from sealtune.crypto.ocsp import (
    OCSP_BYTES_MAX,
    OID_SHA1,
    parse_ocsp,
    public_key_bits,
    verify_ocsp,
)
from sealtune.crypto.x509 import OID_OCSP_SIGNING, Certificate
from sealtune.crypto.x509_builder import (
    OcspFields,
    build_ocsp_response,
    extended_key_usage_extension,
    key_usage_extension,
    ocsp_certificate_id,
    wrap_ocsp_response,
)
from sealtune.errors import Code, FormatError, SealtuneError, VerificationError

DAY = timedelta(days=1)
NULL = der.encode(Tag.NULL)


@pytest.fixture(scope="module")
def root(now: datetime) -> Authority:
    return mock_pki.root(now=now)


@pytest.fixture(scope="module")
def leaf(root: Authority, now: datetime) -> Certificate:
    return root.leaf("device", now=now, serial=41)


@pytest.fixture(scope="module")
def fixed(root: Authority, leaf: Certificate, now: datetime) -> bytes:
    return response(root, leaf, now)


def response(root: Authority, about: Certificate, now: datetime, **changes: object) -> bytes:
    fields = OcspFields(
        about=about,
        issuer=root.certificate,
        responder=root.certificate,
        this_update=now - DAY,
        next_update=now + DAY,
        revoked=None,
    )
    key = changes.pop("key", root.key)
    return build_ocsp_response(
        dataclasses.replace(fields, **changes),  # type: ignore[arg-type]
        key=key,  # type: ignore[arg-type]
    )


def refused(data: bytes, root: Authority, certificate: Certificate, now: datetime) -> SealtuneError:
    with pytest.raises(SealtuneError) as refusal:
        verify_ocsp(data, certificate=certificate, issuer=root.certificate, now=now)
    return refusal.value


def test_a_good_certificate_is_good(
    root: Authority, leaf: Certificate, fixed: bytes, now: datetime
) -> None:
    status = verify_ocsp(fixed, certificate=leaf, issuer=root.certificate, now=now)
    assert status.certificate == leaf
    assert status.responder_cn == "root"
    assert (status.this_update, status.next_update) == (now - DAY, now + DAY)


def test_a_response_is_read_and_its_signature_verified_once(
    root: Authority, leaf: Certificate, now: datetime, monkeypatch: pytest.MonkeyPatch
) -> None:
    good = response(root, leaf, now)
    assert parse_ocsp(good) is parse_ocsp(bytes(bytearray(good)))
    counted: list[bytes] = []

    def counting(algorithm: SignatureAlgorithm, **parts: bytes) -> None:
        counted.append(parts["signature"])
        verify_signature(algorithm, **parts)

    monkeypatch.setattr(ocsp, "verify_signature", counting)
    for _ in range(3):
        verify_ocsp(good, certificate=leaf, issuer=root.certificate, now=now)
    assert len(counted) == 1
    # A refusal is not kept, nor does what was found good vouch for anything else.
    spoilt = good[:-1] + bytes([good[-1] ^ 1])
    for _ in range(2):
        assert refused(spoilt, root, leaf, now).code is Code.ENDORSEMENT_SIGNATURE
    assert len(counted) == 3
    # Time and revocation are looked at each time.
    assert refused(good, root, leaf, now + 2 * DAY).code is Code.ENDORSEMENT_STALE


@pytest.mark.parametrize(
    ("number", "reason"),
    [(1, "keyCompromise"), (6, "certificateHold"), (0, "unspecified"), (77, "reason 77")],
)
def test_a_revoked_certificate_is_refused_with_its_reason(
    root: Authority, leaf: Certificate, now: datetime, number: int, reason: str
) -> None:
    data = response(root, leaf, now, revoked=number)
    for moment in (now, now + 5 * DAY):
        error = refused(data, root, leaf, moment)
        assert isinstance(error, VerificationError)
        assert error.code is Code.EVIDENCE_REVOKED
        assert f"({reason})" in str(error)


def test_a_response_holds_from_its_update_to_the_next(
    root: Authority, leaf: Certificate, fixed: bytes, now: datetime
) -> None:
    second = timedelta(seconds=1)
    for moment in (now - DAY, now + DAY - second):
        verify_ocsp(fixed, certificate=leaf, issuer=root.certificate, now=moment)
    for moment in (now - DAY - second, now + DAY, now + DAY + second):
        assert refused(fixed, root, leaf, moment).code is Code.ENDORSEMENT_STALE
    endless = response(root, leaf, now, next_update=None)
    assert refused(endless, root, leaf, now).code is Code.ENDORSEMENT_STALE


def test_a_response_about_another_certificate_is_refused(
    root: Authority, leaf: Certificate, fixed: bytes, now: datetime
) -> None:
    other = root.leaf("another", now=now, serial=42)
    assert refused(fixed, root, other, now).code is Code.ENDORSEMENT_MISMATCH
    # The same serial number of another issuer: by name, then by key.
    middle = root.authority("middle", now=now)
    same_key = root.authority("root too", now=now, key=root.key)
    same_name = mock_pki.root(now=now)
    for issuer in (middle, same_key, same_name):
        about = response(root, leaf, now, issuer=issuer.certificate)
        assert refused(about, root, leaf, now).code is Code.ENDORSEMENT_MISMATCH


def test_a_response_signed_by_somebody_else_is_refused(
    root: Authority, leaf: Certificate, fixed: bytes, now: datetime
) -> None:
    same_name = mock_pki.root(now=now)
    forged = response(root, leaf, now, key=same_name.key)
    assert refused(forged, root, leaf, now).code is Code.ENDORSEMENT_SIGNATURE
    of_another_kind = response(root, leaf, now, key=P256Key.generate())
    assert refused(of_another_kind, root, leaf, now).code is Code.ENDORSEMENT_SIGNATURE
    unknown = response(root, leaf, now, responder=leaf)
    assert refused(unknown, root, leaf, now).code is Code.ENDORSEMENT_SIGNATURE


def delegate(
    root: Authority, now: datetime, key: P256Key, **changes: object
) -> tuple[Certificate, bytes]:
    extensions = {
        **key_usage_extension(0),
        **extended_key_usage_extension(OID_OCSP_SIGNING, critical=True),
    }
    given_ = {"spki": key.spki, "extensions": extensions, **changes}
    certificate = root.leaf("responder", now=now, **given_)
    return certificate, certificate.raw


def test_a_server_of_the_authority_may_answer(
    root: Authority, leaf: Certificate, now: datetime
) -> None:
    key = P256Key.generate()
    certificate, raw = delegate(root, now, key)
    for certificates in ((raw,), (leaf.raw, raw), (raw, b"\x30\x00")):
        data = response(root, leaf, now, responder=certificate, key=key, certificates=certificates)
        status = verify_ocsp(data, certificate=leaf, issuer=root.certificate, now=now)
        assert status.responder_cn == "responder"


PURPOSE = extended_key_usage_extension(OID_OCSP_SIGNING, critical=False)


@pytest.mark.parametrize(
    "changes",
    [
        {"extensions": key_usage_extension(0)},
        {"extensions": extended_key_usage_extension("1.3.6.1.5.5.7.3.2", critical=False)},
        {"extensions": {**PURPOSE, **key_usage_extension(1)}},
        {"days": -1},
    ],
    ids=["no-purpose", "another-purpose", "may-not-sign", "expired"],
)
def test_a_server_without_the_right_certificate_may_not(
    root: Authority, leaf: Certificate, now: datetime, changes: dict[str, object]
) -> None:
    key = P256Key.generate()
    certificate, raw = delegate(root, now, key, **changes)
    data = response(root, leaf, now, responder=certificate, key=key, certificates=(raw,))
    moment = now + timedelta(hours=1)
    assert refused(data, root, leaf, moment).code is Code.ENDORSEMENT_SIGNATURE


def test_a_server_of_another_authority_may_not_answer(
    root: Authority, leaf: Certificate, now: datetime
) -> None:
    key = P256Key.generate()
    for other in (mock_pki.root(now=now), root.authority("middle", now=now)):
        certificate, raw = delegate(other, now, key)
        data = response(root, leaf, now, responder=certificate, key=key, certificates=(raw,))
        assert refused(data, root, leaf, now).code is Code.ENDORSEMENT_SIGNATURE


def test_another_device_may_not_answer(root: Authority, leaf: Certificate, now: datetime) -> None:
    key = P256Key.generate()
    device = root.leaf("device", now=now, spki=key.spki)
    data = response(root, leaf, now, responder=device, key=key, certificates=(device.raw,))
    assert refused(data, root, leaf, now).code is Code.ENDORSEMENT_SIGNATURE


def test_certificates_in_a_response_must_be_readable(
    root: Authority, leaf: Certificate, now: datetime
) -> None:
    data = response(root, leaf, now, responder=leaf, certificates=(b"\x30\x00",))
    assert refused(data, root, leaf, now).code is Code.ENDORSEMENT_MALFORMED
    data = response(root, leaf, now, certificates=(leaf.raw,) * 5)
    assert refused(data, root, leaf, now).code is Code.ENDORSEMENT_MALFORMED


# -- the form --------------------------------------------------------------------------------------


def time(moment: datetime) -> bytes:
    return der.encode(Tag.GENERALIZED_TIME, moment.strftime("%Y%m%d%H%M%SZ").encode())


GOOD = der.encode(0x80)


def answer(about: bytes, now: datetime, *, status: bytes = GOOD, more: bytes = b"") -> bytes:
    next_update = der.encode(0xA0, time(now + DAY))
    return der.encode(Tag.SEQUENCE, about, status, time(now - DAY), next_update, more)


def data_of(
    root: Authority, now: datetime, *answers: bytes, responder: bytes = b"", more: bytes = b""
) -> bytes:
    return der.encode(
        Tag.SEQUENCE,
        responder or der.encode(0xA1, root.certificate.subject),
        time(now),
        der.encode(Tag.SEQUENCE, *answers),
        more,
    )


def signed(root: Authority, tbs: bytes) -> bytes:
    return wrap_ocsp_response(
        tbs, certificates=(), key=root.key, algorithm=SignatureAlgorithm.ECDSA_SHA384
    )


def test_a_responder_may_be_named_by_its_key(
    root: Authority, leaf: Certificate, now: datetime
) -> None:
    about = ocsp_certificate_id(leaf, issuer=root.certificate)
    digest = hashlib.sha1(public_key_bits(root.certificate)).digest()
    by_key = der.encode(0xA2, der.encode(Tag.OCTET_STRING, digest))
    data = signed(root, data_of(root, now, answer(about, now), responder=by_key))
    verify_ocsp(data, certificate=leaf, issuer=root.certificate, now=now)
    by_other = der.encode(0xA2, der.encode(Tag.OCTET_STRING, bytes(20)))
    data = signed(root, data_of(root, now, answer(about, now), responder=by_other))
    assert refused(data, root, leaf, now).code is Code.ENDORSEMENT_SIGNATURE


@pytest.mark.parametrize(
    ("oid", "name", "accepted"),
    [
        (OID_SHA1, "sha1", True),
        ("2.16.840.1.101.3.4.2.1", "sha256", True),
        (OID_SHA384, "sha384", True),
        ("2.16.840.1.101.3.4.2.3", "sha512", True),
        ("1.2.840.113549.2.5", "md5", False),
    ],
)
def test_a_certificate_is_named_with_a_known_digest(
    root: Authority, leaf: Certificate, now: datetime, oid: str, name: str, accepted: bool
) -> None:
    issuer = root.certificate
    parts = [hashlib.new(name, data) for data in (issuer.subject, public_key_bits(issuer))]
    about = der.encode(
        Tag.SEQUENCE,
        der.encode(Tag.SEQUENCE, der.encode_oid(oid)),
        *(der.encode(Tag.OCTET_STRING, part.digest()) for part in parts),
        der.encode_integer(leaf.serial),
    )
    data = signed(root, data_of(root, now, answer(about, now)))
    if accepted:
        verify_ocsp(data, certificate=leaf, issuer=issuer, now=now)
    else:
        assert refused(data, root, leaf, now).code is Code.ENDORSEMENT_MISMATCH


def test_an_answer_among_others_is_found_once(
    root: Authority, leaf: Certificate, now: datetime
) -> None:
    other = root.leaf("another", now=now, serial=42)
    one, two = (
        answer(ocsp_certificate_id(about, issuer=root.certificate), now) for about in (leaf, other)
    )
    data = signed(root, data_of(root, now, two, one))
    verify_ocsp(data, certificate=leaf, issuer=root.certificate, now=now)
    for answers in ((one, two, one), (one, *[two] * 64)):
        data = signed(root, data_of(root, now, *answers))
        assert refused(data, root, leaf, now).code is Code.ENDORSEMENT_MALFORMED
    nothing = signed(root, data_of(root, now))
    assert refused(nothing, root, leaf, now).code is Code.ENDORSEMENT_MISMATCH


def test_a_certificate_that_the_responder_does_not_know_is_refused(
    root: Authority, leaf: Certificate, now: datetime
) -> None:
    about = ocsp_certificate_id(leaf, issuer=root.certificate)
    data = signed(root, data_of(root, now, answer(about, now, status=der.encode(0x82))))
    assert refused(data, root, leaf, now).code is Code.ENDORSEMENT_MISMATCH


def test_a_revocation_without_reason_is_one(
    root: Authority, leaf: Certificate, now: datetime
) -> None:
    about = ocsp_certificate_id(leaf, issuer=root.certificate)
    revoked = der.encode(0xA1, time(now - DAY))
    data = signed(root, data_of(root, now, answer(about, now, status=revoked)))
    assert refused(data, root, leaf, now).code is Code.EVIDENCE_REVOKED


def extensions(critical: bool) -> bytes:
    flag = der.encode(Tag.BOOLEAN, b"\xff") if critical else b""
    nonce = der.encode(
        Tag.SEQUENCE,
        der.encode_oid("1.3.6.1.5.5.7.48.1.2"),
        flag,
        der.encode(Tag.OCTET_STRING, b"\x04\x00"),
    )
    return der.encode(0xA1, der.encode(Tag.SEQUENCE, nonce))


@pytest.mark.parametrize("critical", [False, True])
def test_extensions_are_read_and_refused_where_critical(
    root: Authority, leaf: Certificate, now: datetime, critical: bool
) -> None:
    about = ocsp_certificate_id(leaf, issuer=root.certificate)
    for tbs in (
        data_of(root, now, answer(about, now), more=extensions(critical)),
        data_of(root, now, answer(about, now, more=extensions(critical))),
    ):
        data = signed(root, tbs)
        if critical:
            assert refused(data, root, leaf, now).code is Code.ENDORSEMENT_MALFORMED
        else:
            verify_ocsp(data, certificate=leaf, issuer=root.certificate, now=now)


STATUSES = {
    "status-of-another-kind": der.encode(0x83),
    "good-with-content": der.encode(0x80, b"\0"),
    "unknown-with-content": der.encode(0x82, b"\0"),
    "revoked-without-time": der.encode(0xA1),
    "revoked-with-more": der.encode(
        0xA1, *[der.encode(Tag.GENERALIZED_TIME, b"20260101000000Z")] * 3
    ),
    "revoked-with-more-than-a-reason": der.encode(
        0xA1,
        der.encode(Tag.GENERALIZED_TIME, b"20260101000000Z"),
        der.encode(0xA0, der.encode(Tag.ENUMERATED, b"\x01")),
        NULL,
    ),
    "revoked-at-no-time": der.encode(0xA1, NULL),
    "reason-of-another-type": der.encode(
        0xA1,
        der.encode(Tag.GENERALIZED_TIME, b"20260101000000Z"),
        der.encode(0xA0, der.encode_integer(1)),
    ),
}


@pytest.mark.parametrize("status", STATUSES.values(), ids=STATUSES)
def test_statuses_of_another_form_are_refused(
    root: Authority, leaf: Certificate, now: datetime, status: bytes
) -> None:
    about = ocsp_certificate_id(leaf, issuer=root.certificate)
    data = signed(root, data_of(root, now, answer(about, now, status=status)))
    assert refused(data, root, leaf, now).code is Code.ENDORSEMENT_MALFORMED


def test_answers_of_another_form_are_refused(
    root: Authority, leaf: Certificate, now: datetime
) -> None:
    about = ocsp_certificate_id(leaf, issuer=root.certificate)
    whole = der.read_element(answer(about, now), tag=Tag.SEQUENCE).children()
    parts = [part.raw for part in whole]
    id_parts = [part.raw for part in der.read_element(about, tag=Tag.SEQUENCE).children()]
    negative = der.encode(Tag.SEQUENCE, *id_parts[:3], der.encode_integer(-1))
    for fields in (
        parts[:2],
        [*parts, NULL],
        [*parts, extensions(False), NULL],
        [*parts[:3], NULL],
        [parts[0], parts[1], NULL, parts[3]],
        [der.encode(Tag.SEQUENCE, *id_parts[:3]), *parts[1:]],
        [negative, *parts[1:]],
    ):
        data = signed(root, data_of(root, now, der.encode(Tag.SEQUENCE, *fields)))
        assert refused(data, root, leaf, now).code is Code.ENDORSEMENT_MALFORMED


def test_response_data_of_another_form_is_refused(
    root: Authority, leaf: Certificate, now: datetime
) -> None:
    one = answer(ocsp_certificate_id(leaf, issuer=root.certificate), now)
    version = der.encode(0xA0, der.encode_integer(0))
    good = der.read_element(data_of(root, now, one), tag=Tag.SEQUENCE).content
    for tbs in (
        data_of(root, now, one, responder=der.encode(0xA3)),
        data_of(root, now, one, more=NULL),
        data_of(root, now, one, more=extensions(False) + NULL),
        der.encode(Tag.SEQUENCE, version, good),
        der.encode(Tag.SEQUENCE, good[: len(good) - len(der.encode(Tag.SEQUENCE, one))]),
        der.encode(
            Tag.SEQUENCE,
            der.encode(0xA1, root.certificate.subject),
            NULL,
            der.encode(Tag.SEQUENCE, one),
        ),
        der.encode(Tag.SET, good),
    ):
        assert refused(signed(root, tbs), root, leaf, now).code is Code.ENDORSEMENT_MALFORMED


def enumerated(number: int) -> bytes:
    return der.encode(Tag.ENUMERATED, bytes((number,)))


def test_wrappings_of_another_form_are_refused(
    root: Authority, leaf: Certificate, fixed: bytes, now: datetime
) -> None:
    whole = der.read_element(fixed, tag=Tag.SEQUENCE)
    status, wrapped = (part.raw for part in whole.children())
    basic = der.encode(Tag.OCTET_STRING, der.encode(Tag.SEQUENCE, NULL, NULL))
    kind = der.encode_oid(ocsp.OID_BASIC_RESPONSE)
    other = der.encode(Tag.SEQUENCE, der.encode_oid("1.2.3"), basic)
    for parts in (
        (),
        (enumerated(0),),
        (enumerated(1),),
        (enumerated(6), wrapped),
        (der.encode_integer(0), wrapped),
        (status, wrapped, wrapped),
        (status, der.encode(0xA0, other)),
        (status, der.encode(0xA0, der.encode(Tag.SEQUENCE, kind, basic))),
        (status, der.encode(0xA0, der.encode(Tag.SEQUENCE, kind))),
        (status, der.encode(0xA1)),
    ):
        error = refused(der.encode(Tag.SEQUENCE, *parts), root, leaf, now)
        assert isinstance(error, FormatError)
        assert error.code is Code.ENDORSEMENT_MALFORMED


def test_a_large_response_is_refused_unparsed(
    root: Authority, leaf: Certificate, now: datetime
) -> None:
    at_most = refused(bytes(OCSP_BYTES_MAX), root, leaf, now)
    assert at_most.code is Code.ENDORSEMENT_MALFORMED
    assert refused(bytes(OCSP_BYTES_MAX + 1), root, leaf, now).code is Code.LIMIT_EXCEEDED


@given(st.data())
@settings(max_examples=200)
def test_a_changed_response_never_verifies(
    root: Authority, leaf: Certificate, fixed: bytes, now: datetime, data: st.DataObject
) -> None:
    mutated = bytearray(fixed)
    index = data.draw(st.integers(0, len(mutated) - 1))
    mutated[index] ^= data.draw(st.integers(1, 255))
    refused(bytes(mutated), root, leaf, now)


@given(st.binary(max_size=200))
def test_any_bytes_raise_nothing_but_our_errors(data: bytes) -> None:
    with contextlib.suppress(SealtuneError):
        ocsp.parse_ocsp(data)


def test_responses_of_an_independent_writer_are_read(
    root: Authority, leaf: Certificate, now: datetime
) -> None:
    from cryptography import x509 as reference
    from cryptography.hazmat.primitives import hashes, serialization
    from cryptography.x509 import ocsp as reference_ocsp

    key = P256Key.generate()
    server, raw = delegate(root, now, key)
    issuer = reference.load_der_x509_certificate(root.certificate.raw)
    about = reference.load_der_x509_certificate(leaf.raw)
    private = serialization.load_der_private_key(key.reveal(), password=None)
    builder = (
        reference_ocsp.OCSPResponseBuilder()
        .add_response(
            cert=about,
            issuer=issuer,
            algorithm=hashes.SHA1(),
            cert_status=reference_ocsp.OCSPCertStatus.GOOD,
            this_update=now - DAY,
            next_update=now + DAY,
            revocation_time=None,
            revocation_reason=None,
        )
        .responder_id(
            reference_ocsp.OCSPResponderEncoding.HASH, reference.load_der_x509_certificate(raw)
        )
        .certificates([reference.load_der_x509_certificate(raw)])
        .add_extension(reference.OCSPNonce(b"nonce"), critical=False)
    )
    theirs = builder.sign(private, hashes.SHA256())  # type: ignore[arg-type]
    data = theirs.public_bytes(serialization.Encoding.DER)
    status = verify_ocsp(data, certificate=leaf, issuer=root.certificate, now=now)
    assert status.responder_cn == server.subject_cn


def test_what_we_write_is_read_by_an_independent_reader(fixed: bytes, leaf: Certificate) -> None:
    from cryptography.x509 import ocsp as reference_ocsp

    theirs = reference_ocsp.load_der_ocsp_response(fixed)
    assert theirs.certificate_status is reference_ocsp.OCSPCertStatus.GOOD
    assert theirs.serial_number == leaf.serial
