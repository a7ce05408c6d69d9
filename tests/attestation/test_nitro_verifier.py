"""Nitro documents with one thing wrong, under a mock hierarchy."""

from __future__ import annotations

import tracemalloc
from datetime import datetime, timedelta
from typing import Any

import cbor2
import pytest
from hypothesis import given
from hypothesis import strategies as st

from sealtune.attestation.anchors import TrustAnchors, vendor_anchors
from sealtune.attestation.appraisal import AppraisalRefused, anchors_for, appraise
from sealtune.attestation.endorsements import NO_ENDORSEMENTS
from sealtune.attestation.evidence import Evidence, EvidenceKind
from sealtune.attestation.nitro_cbor import CBOR_DEPTH_MAX, CBOR_ITEMS_MAX, decode_cbor
from sealtune.attestation.nitro_document import NitroDocument, parse_nitro_document
from sealtune.attestation.reference import AcceptedEnclave
from sealtune.attestation.steps import Steps
from sealtune.attestation.verified import AuthenticEvidence, VerifiedEvidence
from sealtune.attestation.verifiers.nitro import CLOCK_TOLERANCE, verify_nitro
from sealtune.attestation.verify import verify_evidence
from sealtune.core.limits import QUOTE_BYTES_MAX
from sealtune.crypto.ecdsa import P384_ORDER, P384Key
from sealtune.crypto.x509_builder import key_usage_extension
from sealtune.errors import Code, FormatError, FreshnessError, SealtuneError, VerificationError
from sealtune.testing.mock_nitro import MockNitro

_KEY_CERT_SIGN = 5
REPORT_DATA = bytes(range(64))


@pytest.fixture(scope="module")
def mock(now: datetime) -> MockNitro:
    return MockNitro(now=now)


def verified(
    mock: MockNitro,
    evidence: Evidence,
    *,
    now: datetime | None = None,
    anchors: TrustAnchors | None = None,
) -> AuthenticEvidence:
    return verify_nitro(
        evidence,
        anchors=anchors or mock.anchors,
        endorsements=NO_ENDORSEMENTS,
        now=now or mock.now,
        steps=Steps(),
    )


def refused(mock: MockNitro, evidence: Evidence, **settings: Any) -> Code:
    with pytest.raises(SealtuneError) as refusal:
        verified(mock, evidence, **settings)
    return refusal.value.code


def test_an_honest_document_is_authentic_and_insecure(mock: MockNitro) -> None:
    nonce = bytes(range(64))
    found = verified(mock, mock.evidence(nonce=nonce, user_data=b"u", public_key=b"k"))
    assert found.insecure
    assert found.kind is EvidenceKind.NITRO
    assert found.freshness == nonce
    assert isinstance(found.detail, NitroDocument)
    claims = found.claims
    assert not claims.debug
    assert claims.memory_protected
    assert claims.measurement == "01" * 48
    assert claims.registers["pcr15"] == "10" * 48
    assert claims.identity == {"module_id": "i-0insecuremock-enc0"}
    assert claims.fields["nonce"] == nonce.hex()
    assert (claims.fields["user_data"], claims.fields["public_key"]) == ("75", "6b")


@pytest.mark.parametrize("name", ["public_key", "user_data", "nonce"])
def test_an_optional_field_may_be_null_or_absent(mock: MockNitro, name: str) -> None:
    fields = mock.fields(**{name: None})
    del fields[name]
    for found in (
        verified(mock, mock.evidence(**{name: None})),
        verified(mock, mock.evidence_of(mock.sign(cbor2.dumps(fields)))),
    ):
        assert found.claims.fields[name] is None
        assert name != "nonce" or found.freshness == b""


@pytest.mark.parametrize("zeros", [(0,), (0, 1), (1, 2), (0, 2)], ids=str)
def test_debug_means_that_all_registers_of_the_image_are_zero(
    mock: MockNitro, zeros: tuple[int, ...]
) -> None:
    pcrs = mock.fields()["pcrs"]
    some = {**pcrs, **dict.fromkeys(zeros, bytes(48))}
    assert not verified(mock, mock.evidence(pcrs=some)).claims.debug
    every = {**pcrs, **dict.fromkeys((0, 1, 2), bytes(48))}
    assert verified(mock, mock.evidence(pcrs=every)).claims.debug


def test_only_a_pinned_root_of_aws_is_trusted(mock: MockNitro) -> None:
    assert refused(mock, mock.evidence(), anchors=vendor_anchors()) is Code.EVIDENCE_ROOT


@pytest.mark.parametrize(
    "parts", [{"certificates": (b"x",)}, {"parts": {"more": b"x"}}], ids=["certificates", "parts"]
)
def test_nothing_stands_beside_the_document(mock: MockNitro, parts: dict[str, Any]) -> None:
    fields = {"kind": EvidenceKind.NITRO, "report": mock.evidence().report, "certificates": ()}
    assert refused(mock, Evidence(**{**fields, **parts})) is Code.EVIDENCE_MALFORMED


# The chain.


def test_a_reordered_bundle_is_refused(mock: MockNitro) -> None:
    root, region = mock.fields()["cabundle"]
    assert refused(mock, mock.evidence(cabundle=[region, root])) is Code.EVIDENCE_ROOT
    assert refused(mock, mock.evidence(cabundle=[root, region, root])) is Code.EVIDENCE_CHAIN
    assert refused(mock, mock.evidence(cabundle=[region])) is Code.EVIDENCE_ROOT
    assert refused(mock, mock.evidence(cabundle=[root])) is Code.EVIDENCE_CHAIN


def test_a_key_of_another_authority_is_refused(mock: MockNitro) -> None:
    stranger = P384Key.generate()
    leaf = mock.leaf(signer=stranger)
    assert refused(mock, mock.evidence(certificate=leaf)) is Code.CERTIFICATE_SIGNATURE


def test_a_key_that_may_not_sign_documents_is_refused(mock: MockNitro) -> None:
    leaf = mock.leaf(extensions=key_usage_extension(_KEY_CERT_SIGN))
    assert refused(mock, mock.evidence(certificate=leaf)) is Code.EVIDENCE_CHAIN


def test_a_certificate_of_another_key_is_refused(mock: MockNitro) -> None:
    leaf = mock.leaf(key=P384Key.generate())
    assert refused(mock, mock.evidence(certificate=leaf)) is Code.EVIDENCE_SIGNATURE


# Time.


def test_the_chain_is_judged_at_the_given_time(mock: MockNitro) -> None:
    evidence = mock.evidence()
    assert verified(mock, evidence, now=mock.now + timedelta(hours=2))
    late = mock.now + timedelta(hours=2, seconds=1)
    assert refused(mock, evidence, now=late) is Code.EVIDENCE_CERTIFICATE_TIME


@pytest.mark.parametrize(
    ("ahead", "accepted"),
    [
        (timedelta(hours=-1), True),
        (timedelta(hours=-1, milliseconds=-1), False),
        (CLOCK_TOLERANCE, True),
        (CLOCK_TOLERANCE + timedelta(milliseconds=1), False),
    ],
    ids=str,
)
def test_a_document_is_made_while_its_key_is_valid_and_not_in_the_future(
    mock: MockNitro, ahead: timedelta, accepted: bool
) -> None:
    made = int((mock.now + ahead).timestamp() * 1000)
    evidence = mock.evidence(timestamp=made)
    if accepted:
        assert verified(mock, evidence)
    else:
        assert refused(mock, evidence) is Code.EVIDENCE_CERTIFICATE_TIME


def test_a_document_made_after_its_key_ended_is_refused(mock: MockNitro) -> None:
    # At a time at which the key still is valid, as the verifier's clock says.
    soon = mock.now + timedelta(hours=2)
    made = int((soon + timedelta(seconds=30)).timestamp() * 1000)
    assert refused(mock, mock.evidence(timestamp=made), now=soon) is Code.EVIDENCE_CERTIFICATE_TIME


# The signature.


@pytest.mark.parametrize("value", [0, P384_ORDER, 2**384 - 1], ids=["zero", "order", "ones"])
@pytest.mark.parametrize("half", [0, 48], ids=["r", "s"])
def test_a_scalar_out_of_range_is_refused(mock: MockNitro, half: int, value: int) -> None:
    message = cbor2.loads(mock.evidence().report)
    signature = bytearray(message[3])
    signature[half : half + 48] = value.to_bytes(48, "big")
    evidence = mock.evidence_of(cbor2.dumps([*message[:3], bytes(signature)]))
    assert refused(mock, evidence) is Code.EVIDENCE_SIGNATURE


def test_a_changed_payload_is_refused(mock: MockNitro) -> None:
    message = cbor2.loads(mock.evidence().report)
    message[2] = cbor2.dumps(mock.fields(user_data=b"another"))
    evidence = mock.evidence_of(cbor2.dumps(message))
    assert refused(mock, evidence) is Code.EVIDENCE_SIGNATURE


# COSE and CBOR.


def malformed(mock: MockNitro, document: bytes) -> None:
    assert refused(mock, mock.evidence_of(document)) is Code.EVIDENCE_MALFORMED


@pytest.mark.parametrize("algorithm", [-7, -36, -8, 0, 35, None, "ES384"], ids=str)
def test_no_other_algorithm_is_accepted(mock: MockNitro, algorithm: object) -> None:
    payload = cbor2.dumps(mock.fields())
    malformed(mock, mock.sign(payload, protected=cbor2.dumps({1: algorithm})))


@pytest.mark.parametrize(
    "protected",
    [b"", cbor2.dumps({}), cbor2.dumps({1: -35, 4: b"kid"}), cbor2.dumps([1, -35]), b"\xa1\x01"],
    ids=["nothing", "empty", "more", "array", "cut"],
)
def test_the_protected_header_is_the_algorithm_alone(mock: MockNitro, protected: bytes) -> None:
    malformed(mock, mock.sign(cbor2.dumps(mock.fields()), protected=protected))


def test_no_header_stands_outside_of_what_is_signed(mock: MockNitro) -> None:
    payload = cbor2.dumps(mock.fields())
    malformed(mock, mock.sign(payload, unprotected={4: b"kid"}))
    malformed(mock, mock.sign(payload, unprotected=[]))


@pytest.mark.parametrize("size", [0, 95, 97], ids=str)
def test_a_signature_of_another_size_is_refused(mock: MockNitro, size: int) -> None:
    malformed(mock, mock.sign(cbor2.dumps(mock.fields()), signature=bytes(size)))


def test_the_tag_of_a_signed_message_may_stand_once(mock: MockNitro) -> None:
    document = mock.evidence().report
    tagged = mock.evidence_of(b"\xd2" + document)
    assert verified(mock, tagged).claims == verified(mock, mock.evidence_of(document)).claims
    for tag in (b"\xd2\xd2", b"\xd8\x12", b"\xd1", b"\xd8\x62"):
        malformed(mock, tag + document)


def test_bytes_around_the_document_are_refused(mock: MockNitro) -> None:
    document = mock.evidence().report
    for data in (
        document + b"\0",
        b"\0" + document,
        document[:-1],
        b"",
        b"\xd2",
        # As dstack stores it: a length before, a configuration after it.
        len(document).to_bytes(4, "little") + document + b"{}",
    ):
        malformed(mock, data)
    with pytest.raises(FormatError) as refusal:
        parse_nitro_document(document + bytes(QUOTE_BYTES_MAX))
    assert refusal.value.code is Code.LIMIT_EXCEEDED


@pytest.mark.parametrize(
    "value",
    [[], [b"", {}, b""], [b"", {}, b"", b"", b""], {}, 7, None, ["", {}, b"", b""]],
    ids=["empty", "three", "five", "map", "number", "null", "text"],
)
def test_another_structure_is_refused(mock: MockNitro, value: object) -> None:
    malformed(mock, cbor2.dumps(value))


def test_what_is_not_signed_has_one_spelling(mock: MockNitro) -> None:
    message = cbor2.loads(mock.evidence().report)
    parts = [cbor2.dumps(part) for part in message]
    assert verified(mock, mock.evidence_of(b"\x84" + b"".join(parts)))
    payload = message[2]
    long_length = b"\x5a" + len(payload).to_bytes(4, "big") + payload
    indefinite = b"\x5f" + cbor2.dumps(payload[:9]) + cbor2.dumps(payload[9:]) + b"\xff"
    for document in (
        b"\x9f" + b"".join(parts) + b"\xff",
        b"\x98\x04" + b"".join(parts),
        b"\x84" + parts[0] + b"\xbf\xff" + parts[2] + parts[3],
        b"\x84" + parts[0] + b"\xb8\x00" + parts[2] + parts[3],
        b"\x84" + b"\x58\x04" + message[0] + b"".join(parts[1:]),
        b"\x84" + parts[0] + parts[1] + long_length + parts[3],
        b"\x84" + parts[0] + parts[1] + indefinite + parts[3],
    ):
        malformed(mock, document)


def test_aws_writes_the_payload_as_a_map_of_indefinite_length(mock: MockNitro) -> None:
    fields = mock.fields()
    pairs = b"".join(cbor2.dumps(key) + cbor2.dumps(value) for key, value in fields.items())
    signed = mock.sign(b"\xbf" + pairs + b"\xff")
    found = verified(mock, mock.evidence_of(signed))
    assert found.claims == verified(mock, mock.evidence(**fields)).claims
    for payload in (
        b"\xbf" + pairs,
        b"\xbf" + pairs + b"\xff\xff",
        b"\xbf" + pairs + cbor2.dumps("odd") + b"\xff",
        b"\xbf" + pairs + cbor2.dumps("digest") + cbor2.dumps("SHA384") + b"\xff",
        # Inside of it nothing else is indefinite.
        b"\xbf" + pairs.replace(cbor2.dumps("i-0insecuremock-enc0"), b"\x7f\x61i\xff") + b"\xff",
        b"\xbf" + pairs.replace(b"\x82", b"\x9f", 1) + b"\xff\xff",
    ):
        malformed(mock, mock.sign(payload))


HOSTILE = {
    "array-of-2-to-64": b"\x9b" + b"\xff" * 8,
    "array-of-2-to-32": b"\x9a" + b"\xff" * 4,
    "map-of-2-to-64": b"\xbb" + b"\xff" * 8,
    "bytes-of-2-to-64": b"\x5b" + b"\xff" * 8,
    "text-of-2-to-32": b"\x7a" + b"\xff" * 4,
    "deep": b"\x81" * 10_000 + b"\x00",
    "deep-tags": b"\xc1" * 10_000 + b"\x00",
    "wide": b"\x99\x10\x00" + b"\x00" * 4096,
    "bignum": b"\xc2\x59\x10\x00" + bytes(4096),
    "regular-expression": b"\xd8\x23\x64(a+)",
    "shared-reference": b"\xd8\x1c\x81\xd8\x1d\x00",
    "string-reference": b"\xd9\x01\x00\x81\x61a",
    "float": b"\xfb" + bytes(8),
    "true": b"\xf5",
    "undefined": b"\xf7",
    "simple-24": b"\xf8\xff",
    "break-alone": b"\xff",
    "reserved-length": b"\x1c",
    "indefinite-map-alone": b"\xbf",
    "key-twice": b"\xa2\x01\x00\x01\x00",
    "key-twice-spelled-twice": b"\xa2\x01\x00\x18\x01\x00",
    "text-not-utf-8": b"\x61\xff",
    "number-not-shortest": b"\x18\x17",
    "number-not-shortest-2": b"\x19\x00\xff",
    "number-not-shortest-4": b"\x1a\x00\x00\xff\xff",
    "number-not-shortest-8": b"\x1b\x00\x00\x00\x00\xff\xff\xff\xff",
}


@pytest.mark.parametrize("name", HOSTILE)
def test_hostile_cbor_is_refused_with_little_memory(mock: MockNitro, name: str) -> None:
    tracemalloc.start()
    malformed(mock, HOSTILE[name])
    malformed(mock, mock.sign(HOSTILE[name]))
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak < 2 * 1024 * 1024


@pytest.mark.parametrize(
    "data",
    [b"\xf4", b"\xf5", b"\xf7", b"\xe0", b"\xf8\x20", b"\xf9\x7e\x00", b"\xfb" + b"\x7f" * 8],
    ids=lambda data: data.hex(),
)
def test_no_float_and_no_simple_value_but_null_reaches_the_library(data: bytes) -> None:
    assert decode_cbor(b"\xf6") is None
    with pytest.raises(FormatError) as refusal:
        decode_cbor(data)
    assert refusal.value.code is Code.EVIDENCE_MALFORMED


def test_depth_and_items_are_counted() -> None:
    assert decode_cbor(b"\x81" * CBOR_DEPTH_MAX + b"\x00")
    assert decode_cbor(b"\x98" + bytes((CBOR_ITEMS_MAX - 1,)) + b"\x00" * (CBOR_ITEMS_MAX - 1))
    for data in (
        b"\x81" * (CBOR_DEPTH_MAX + 1) + b"\x00",
        b"\x99\x01\x00" + b"\x00" * CBOR_ITEMS_MAX,
    ):
        with pytest.raises(FormatError) as refusal:
            decode_cbor(data)
        assert refusal.value.code is Code.EVIDENCE_MALFORMED


@given(data=st.binary(max_size=300))
def test_no_bytes_raise_anything_else(data: bytes) -> None:
    for document in (data, cbor2.dumps([data, {}, data, bytes(96)])):
        with pytest.raises(FormatError) as refusal:
            parse_nitro_document(document)
        assert refusal.value.code is Code.EVIDENCE_MALFORMED


# The payload.

PCRS = {index: bytes(48) for index in range(16)}
WRONG: dict[str, tuple[Any, ...]] = {
    "module_id": (None, "", b"i-1", 7, "a" * 257, "i-\x00", "i-\u00e9"),
    "digest": (None, "SHA256", "SHA512", b"SHA384", "sha384"),
    "timestamp": (None, 0, -1, "1", 2**64 - 1, 253_402_300_800_000),
    "pcrs": (
        None,
        [],
        {},
        {**PCRS, 32: bytes(48)},
        {**PCRS, -1: bytes(48)},
        {**PCRS, "0": bytes(48)},
        {**PCRS, 0: bytes(47)},
        {**PCRS, 5: bytes(32)},
        {**PCRS, 5: bytes(64)},
        {**PCRS, 5: "0" * 48},
        {index: value for index, value in PCRS.items() if index != 0},
        {index: value for index, value in PCRS.items() if index != 2},
    ),
    "certificate": (None, b"", "x", bytes(1025), [b"x"]),
    "cabundle": (None, [], b"x", {}, [b"x"] * 8, [b""], ["x"], [bytes(1025)], [None]),
    "public_key": ("k", 7, bytes(1025), []),
    "user_data": ("u", 7, bytes(1025), {}),
    "nonce": ("n", 7, bytes(1025), []),
}


@pytest.mark.parametrize("name", WRONG)
def test_a_field_of_another_type_or_size_is_refused(mock: MockNitro, name: str) -> None:
    for value in WRONG[name]:
        assert refused(mock, mock.evidence(**{name: value})) is Code.EVIDENCE_MALFORMED, value


@pytest.mark.parametrize("name", ["module_id", "digest", "timestamp", "pcrs", "certificate"])
def test_a_missing_field_is_refused(mock: MockNitro, name: str) -> None:
    fields = mock.fields()
    del fields[name]
    malformed(mock, mock.sign(cbor2.dumps(fields)))


@pytest.mark.parametrize("value", [[], 7, None, b"", "x"], ids=str)
def test_a_payload_that_is_no_map_is_refused(mock: MockNitro, value: object) -> None:
    malformed(mock, mock.sign(cbor2.dumps(value)))


def test_an_unknown_field_is_refused(mock: MockNitro) -> None:
    # A TPM's document of AWS has its registers under another name, and protects no memory.
    malformed(mock, mock.evidence(nitrotpm_pcrs=PCRS).report)


def test_all_32_registers_are_read(mock: MockNitro) -> None:
    pcrs = {index: bytes((index + 1,)) * 48 for index in range(32)}
    found = verified(mock, mock.evidence(pcrs=pcrs))
    assert len(found.claims.registers) == 32
    assert list(found.claims.registers) == [f"pcr{index}" for index in range(32)]


def test_a_certificate_that_is_none_is_refused(mock: MockNitro) -> None:
    with pytest.raises((FormatError, VerificationError)):
        verified(mock, mock.evidence(certificate=b"\x30\x00"))


# Through the door, and appraised.


def enclave_of(mock: MockNitro, **changes: Any) -> AcceptedEnclave:
    fields: dict[str, Any] = {
        "name": "nitro",
        "kind": EvidenceKind.NITRO,
        "measurements": frozenset({"01" * 48}),
        "registers": {},
        "contract_at_launch": False,
        "snp": None,
        "dcap": None,
        "tpm": None,
        "devices": (),
        "insecure_accept_simulated": True,
        "simulated_root": mock.root,
    }
    return AcceptedEnclave(**{**fields, **changes})


def fresh(mock: MockNitro, **changes: Any) -> VerifiedEvidence:
    return verify_evidence(
        mock.evidence(**{"nonce": REPORT_DATA, **changes}),
        report_data=REPORT_DATA,
        anchors=anchors_for([enclave_of(mock)]),
        endorsements=NO_ENDORSEMENTS,
        now=mock.now,
        steps=Steps(),
    )


def test_an_enclave_that_answers_the_challenge_is_accepted_by_its_entry(mock: MockNitro) -> None:
    registers = {"pcr1": frozenset({"02" * 48}), "pcr8": frozenset({"09" * 48})}
    result = appraise(
        fresh(mock), accepted=[enclave_of(mock, registers=registers)], host_data=bytes(32)
    )
    assert result.insecure
    assert result.measurement == "01" * 48


@pytest.mark.parametrize("nonce", [None, b"", bytes(64), REPORT_DATA[:63], REPORT_DATA + b"\0"])
def test_another_nonce_answers_nothing(mock: MockNitro, nonce: bytes | None) -> None:
    with pytest.raises(FreshnessError) as refusal:
        fresh(mock, nonce=nonce)
    assert refusal.value.code is Code.FRESHNESS


def test_a_nonce_in_another_field_answers_nothing(mock: MockNitro) -> None:
    with pytest.raises(FreshnessError):
        fresh(mock, nonce=None, user_data=REPORT_DATA, public_key=REPORT_DATA)


DEBUG_PCRS = {**{index: bytes(48) for index in range(3)}, 3: b"\1" * 48}


@pytest.mark.parametrize(
    ("document", "entry", "code"),
    [
        ({"pcrs": DEBUG_PCRS}, {"measurements": frozenset({"00" * 48})}, Code.APPRAISAL_DEBUG),
        ({}, {"measurements": frozenset()}, Code.APPRAISAL_MEASUREMENT),
        ({}, {"measurements": frozenset({"02" * 48})}, Code.APPRAISAL_MEASUREMENT),
        ({}, {"registers": {"pcr8": frozenset({"08" * 48})}}, Code.APPRAISAL_REGISTER),
        ({}, {"registers": {"pcr31": frozenset({"08" * 48})}}, Code.APPRAISAL_REGISTER),
        (
            {},
            {"insecure_accept_simulated": False, "simulated_root": None},
            Code.APPRAISAL_INSECURE,
        ),
    ],
    ids=["debug", "no-measurement", "other-measurement", "register", "absent-register", "mock"],
)
def test_an_enclave_that_is_not_accepted(
    mock: MockNitro, document: dict[str, Any], entry: dict[str, Any], code: Code
) -> None:
    with pytest.raises(AppraisalRefused) as refusal:
        appraise(fresh(mock, **document), accepted=[enclave_of(mock, **entry)], host_data=bytes(32))
    assert refusal.value.code is code
    assert sum(not rule.passed for rule in refusal.value.rules) == 1
