"""The TPM verifier under a mock authority: one thing wrong at a time, refused by its own rule."""

from __future__ import annotations

import dataclasses
import hashlib
from datetime import datetime, timedelta
from typing import Any

import pytest

from sealtune.attestation.anchors import TrustAnchors, vendor_anchors
from sealtune.attestation.binding import tpm_challenge
from sealtune.attestation.endorsements import (
    NO_ENDORSEMENTS,
    Endorsement,
    Endorsements,
    EndorsementType,
)
from sealtune.attestation.evidence import Evidence, EvidenceKind
from sealtune.attestation.reference import TpmTerms
from sealtune.attestation.steps import Outcome, Steps
from sealtune.attestation.tpm_claims import TpmClaims
from sealtune.attestation.tpm_rules import tpm_rules
from sealtune.attestation.tpm_wire import TpmHash
from sealtune.attestation.verified import AuthenticEvidence
from sealtune.attestation.verifiers.tpm import BARE_KEY, verify_tpm
from sealtune.attestation.verify import verify_evidence
from sealtune.crypto.ecdsa import P256Key, P384Key
from sealtune.crypto.rsa import RsaKey
from sealtune.crypto.x509_builder import authority_extensions
from sealtune.errors import Code, FormatError, FreshnessError, SealtuneError, VerificationError
from sealtune.testing.mock_tpm import (
    ENCIPHER,
    SHA256_REGISTERS,
    MockQuote,
    MockTpm,
    key_usage,
    sized,
)

REPORT_DATA = bytes(range(64))


@pytest.fixture(scope="module")
def tpm(now: datetime) -> MockTpm:
    return MockTpm.generate(now=now)


def verified(
    evidence: Evidence,
    anchors: TrustAnchors,
    now: datetime,
    steps: Steps | None = None,
    endorsements: Endorsements = NO_ENDORSEMENTS,
) -> AuthenticEvidence:
    return verify_tpm(
        evidence,
        anchors=anchors,
        endorsements=endorsements,
        now=now,
        steps=steps or Steps(),
    )


def refusal_of(
    evidence: Evidence,
    anchors: TrustAnchors,
    now: datetime,
    endorsements: Endorsements = NO_ENDORSEMENTS,
) -> Code:
    with pytest.raises(SealtuneError) as refusal:
        verified(evidence, anchors, now, endorsements=endorsements)
    return refusal.value.code


def certificates(*items: bytes) -> Endorsements:
    return Endorsements(
        items=tuple(Endorsement(type=EndorsementType.X509_CERTIFICATE, data=data) for data in items)
    )


def lists(*items: bytes) -> Endorsements:
    return Endorsements(
        items=tuple(Endorsement(type=EndorsementType.X509_CRL, data=data) for data in items)
    )


def event_log(*events: tuple[int, bytes], algorithm: int = 0x0B, size: int = 32) -> bytes:
    """A log of one bank whose events extend registers by the digest of their text."""

    def number(value: int, width: int = 4) -> bytes:
        return value.to_bytes(width, "little")

    inner = b"Spec ID Event03\0" + bytes(8) + number(1) + number(algorithm, 2) + number(size, 2)
    log = number(0) + number(3) + bytes(20) + number(len(inner + b"\0")) + inner + b"\0"
    name = {32: "sha256", 48: "sha384", 20: "sha1"}[size]
    for register, text in events:
        digest = hashlib.new(name, text).digest()
        log += number(register) + number(1) + number(1) + number(algorithm, 2) + digest
        log += number(len(text)) + text
    return log


def extended(*texts: bytes) -> bytes:
    value = bytes(32)
    for text in texts:
        value = hashlib.sha256(value + hashlib.sha256(text).digest()).digest()
    return value


# -- what is accepted ------------------------------------------------------------------------------


def test_a_certified_key_quotes_registers_and_protects_no_memory(
    tpm: MockTpm, now: datetime
) -> None:
    result = verified(tpm.evidence(MockQuote(extra_data=b"asked")), tpm.anchors(), now)
    assert result.kind is EvidenceKind.TPM_VM
    assert result.root.digest == tpm.root
    assert result.insecure
    assert result.freshness == b"asked"
    claims = result.claims
    assert claims.memory_protected is False
    assert claims.debug is False
    assert claims.host_data is None
    assert claims.registers["pcr23"] == SHA256_REGISTERS[23].hex()
    assert claims.identity == {
        "ak": hashlib.sha256(tpm.ak.spki).hexdigest(),
        "ak_subject": "INSECURE AK",
    }
    assert isinstance(result.detail, TpmClaims)
    assert result.detail.certified
    assert result.detail.endorsement_key is None


def test_a_bare_key_is_its_own_root_and_says_so(tpm: MockTpm, now: datetime) -> None:
    steps = Steps()
    evidence = tpm.evidence(certificates=())
    result = verified(evidence, vendor_anchors(), now, steps)
    assert result.root.vendor == BARE_KEY
    assert result.root.digest not in tpm.anchors().roots
    assert isinstance(result.detail, TpmClaims)
    assert not result.detail.certified
    skipped = [step.name for step in steps.done if step.outcome is Outcome.SKIPPED]
    assert skipped == ["key chain", "endorsement key", "event log"]
    assert "bare public key" in result.claims.fields["signature"]


@pytest.mark.parametrize("key", [P256Key, P384Key], ids=["p256", "p384"])
def test_ecdsa_keys_quote_too(now: datetime, key: type[P256Key] | type[P384Key]) -> None:
    tpm = MockTpm(ak=key.generate(), authority=P384Key.generate(), now=now)
    result = verified(tpm.evidence(), tpm.anchors(), now)
    assert isinstance(result.detail, TpmClaims)
    assert result.detail.signature.hash is tpm.signed_with
    forged = bytearray(tpm.evidence().parts["tpm_signature"])
    forged[-1] ^= 1
    evidence = tpm.evidence(tpm_signature=bytes(forged))
    assert refusal_of(evidence, tpm.anchors(), now) is Code.EVIDENCE_SIGNATURE


def test_freshness_is_the_digest_of_report_data(tpm: MockTpm, now: datetime) -> None:
    def answer(extra_data: bytes) -> Evidence:
        return tpm.evidence(MockQuote(extra_data=extra_data))

    expected = tpm_challenge(REPORT_DATA)
    arguments: dict[str, Any] = {
        "report_data": REPORT_DATA,
        "anchors": tpm.anchors(),
        "endorsements": NO_ENDORSEMENTS,
        "now": now,
    }
    verify_evidence(answer(expected), steps=Steps(), **arguments)
    for other in (b"", expected[:-1], expected + b"\0", REPORT_DATA, bytes(32)):
        with pytest.raises(FreshnessError) as refusal:
            verify_evidence(answer(other), steps=Steps(), **arguments)
        assert refusal.value.code is Code.FRESHNESS


# -- signature and registers -----------------------------------------------------------------------


def test_any_changed_bit_of_the_quote_is_refused(tpm: MockTpm, now: datetime) -> None:
    evidence = tpm.evidence(certificates=())
    for place in range(len(evidence.report)):
        changed = bytearray(evidence.report)
        changed[place] ^= 1
        code = refusal_of(dataclasses.replace(evidence, report=bytes(changed)), tpm.anchors(), now)
        assert code in (Code.EVIDENCE_SIGNATURE, Code.EVIDENCE_MALFORMED)


def test_a_quote_by_another_key_is_refused(tpm: MockTpm, now: datetime) -> None:
    other = RsaKey.generate(2048)
    evidence = tpm.evidence(certificates=(), ak_public=other.spki)
    assert refusal_of(evidence, tpm.anchors(), now) is Code.EVIDENCE_SIGNATURE


def test_a_key_that_is_none_is_refused(tpm: MockTpm, now: datetime) -> None:
    evidence = tpm.evidence(ak_public=b"no key")
    assert refusal_of(evidence, tpm.anchors(), now) is Code.PUBLIC_KEY_MALFORMED


def test_what_software_could_have_made_up_is_refused(tpm: MockTpm, now: datetime) -> None:
    evidence = tpm.evidence(MockQuote(magic=0xFF544346))
    assert refusal_of(evidence, tpm.anchors(), now) is Code.EVIDENCE_MALFORMED


def test_changed_registers_are_refused(tpm: MockTpm, now: datetime) -> None:
    values = bytearray(MockQuote().values)
    values[40] ^= 1
    evidence = tpm.evidence(pcrs=bytes(values))
    assert refusal_of(evidence, tpm.anchors(), now) is Code.EVIDENCE_PCR_DIGEST


@pytest.mark.parametrize("part", ["tpm_signature", "pcrs", "ak_public"])
def test_a_missing_part_is_refused(tpm: MockTpm, now: datetime, part: str) -> None:
    evidence = tpm.evidence()
    parts = {name: data for name, data in evidence.parts.items() if name != part}
    evidence = dataclasses.replace(evidence, parts=parts)
    assert refusal_of(evidence, tpm.anchors(), now) is Code.EVIDENCE_MALFORMED


def test_an_unknown_part_is_refused(tpm: MockTpm, now: datetime) -> None:
    evidence = tpm.evidence(td_quote=b"x")
    assert refusal_of(evidence, tpm.anchors(), now) is Code.EVIDENCE_MALFORMED


# -- the key's certificate -------------------------------------------------------------------------


def test_a_root_that_is_not_anchored_is_refused(tpm: MockTpm, now: datetime) -> None:
    assert refusal_of(tpm.evidence(), vendor_anchors(), now) is Code.EVIDENCE_ROOT


def test_the_certificate_of_another_key_is_refused(tpm: MockTpm, now: datetime) -> None:
    chain = tpm.ak_chain(spki=RsaKey.generate(2048).spki)
    assert refusal_of(tpm.evidence(certificates=chain), tpm.anchors(), now) is Code.EVIDENCE_CHAIN


def test_an_endorsement_keys_certificate_does_not_certify_a_signing_key(
    tpm: MockTpm, now: datetime
) -> None:
    chain = tpm.ak_chain(usage=ENCIPHER)
    assert refusal_of(tpm.evidence(certificates=chain), tpm.anchors(), now) is Code.EVIDENCE_CHAIN


def test_an_authority_is_no_attestation_key(now: datetime) -> None:
    authority = P384Key.generate()
    tpm = MockTpm(ak=authority, authority=authority, now=now)
    may_sign_too = {**authority_extensions(path_length=None), **key_usage(b"\x02\x84")}
    for extensions in (None, may_sign_too):
        leaf = tpm.certificate("INSECURE below", authority.spki, extensions=extensions)
        evidence = tpm.evidence(certificates=(leaf, tpm.ak_chain()[1]))
        assert refusal_of(evidence, tpm.anchors(), now) is Code.EVIDENCE_CHAIN


def test_a_certificate_that_someone_else_signed_is_refused(tpm: MockTpm, now: datetime) -> None:
    stranger = MockTpm(ak=tpm.ak, authority=P384Key.generate(), now=now)
    chain = (stranger.ak_chain()[0], tpm.ak_chain()[1])
    code = refusal_of(tpm.evidence(certificates=chain), tpm.anchors(), now)
    assert code is Code.CERTIFICATE_SIGNATURE


def test_a_certificate_out_of_its_validity_is_refused(tpm: MockTpm, now: datetime) -> None:
    chain = tpm.ak_chain(not_after=now - timedelta(seconds=1))
    code = refusal_of(tpm.evidence(certificates=chain), tpm.anchors(), now)
    assert code is Code.EVIDENCE_CERTIFICATE_TIME


def test_a_lone_certificate_is_no_chain(tpm: MockTpm, now: datetime) -> None:
    evidence = tpm.evidence(certificates=tpm.ak_chain()[1:])
    assert refusal_of(evidence, tpm.anchors(), now) is Code.EVIDENCE_CHAIN


def test_issuers_that_are_missing_come_from_the_endorsements(tpm: MockTpm, now: datetime) -> None:
    leaf, root = tpm.ak_chain()
    evidence = tpm.evidence(certificates=(leaf,))
    given = certificates(b"another vendor's", tpm.certificate("other", b"0", extensions={}), root)
    assert verified(evidence, tpm.anchors(), now, endorsements=given).root.digest == tpm.root
    assert refusal_of(evidence, tpm.anchors(), now) is Code.ENDORSEMENT_MISSING
    # Delivered is not trusted.
    assert refusal_of(evidence, vendor_anchors(), now, given) is Code.EVIDENCE_ROOT


def test_issuers_that_lead_nowhere_are_not_followed_for_ever(now: datetime) -> None:
    authority = P384Key.generate()
    tpm = MockTpm(ak=authority, authority=authority, now=now)
    # Each was issued by the other: a ring without a root.
    ring = certificates(
        *(
            tpm.certificate(subject, authority.spki, extensions=None, issuer=issuer)
            for subject, issuer in (("a", "b"), ("b", "a"))
        )
    )
    leaf = tpm.certificate("leaf", authority.spki, extensions={}, issuer="a")
    evidence = tpm.evidence(certificates=(leaf,))
    assert refusal_of(evidence, tpm.anchors(), now, ring) is Code.EVIDENCE_ROOT


def test_a_revoked_key_is_refused(tpm: MockTpm, now: datetime) -> None:
    evidence = tpm.evidence()
    leaf, root = tpm.ak_chain()
    result = verified(evidence, tpm.anchors(), now, endorsements=lists(tpm.crl()))
    assert result.root.digest == tpm.root
    for revoked in (leaf, root):
        given = lists(tpm.crl(), tpm.crl(revoked))
        assert refusal_of(evidence, tpm.anchors(), now, given) is Code.EVIDENCE_REVOKED
    parts = tpm.ek_parts()
    evidence = tpm.evidence(certificates=(), **parts)
    given = lists(tpm.crl(parts["ek_certificate"]))
    assert refusal_of(evidence, tpm.anchors(), now, given) is Code.EVIDENCE_REVOKED


def test_a_revocation_list_must_hold_itself(tpm: MockTpm, now: datetime) -> None:
    evidence = tpm.evidence()
    stale = lists(tpm.crl(days=0))
    assert refusal_of(evidence, tpm.anchors(), now, stale) is Code.ENDORSEMENT_STALE
    forged = lists(tpm.crl(key=P384Key.generate()))
    assert refusal_of(evidence, tpm.anchors(), now, forged) is Code.ENDORSEMENT_SIGNATURE


# -- the endorsement key ---------------------------------------------------------------------------


def test_an_endorsement_key_is_told_and_binds_nothing(tpm: MockTpm, now: datetime) -> None:
    result = verified(tpm.evidence(certificates=(), **tpm.ek_parts()), tpm.anchors(), now)
    assert isinstance(result.detail, TpmClaims)
    key = result.detail.endorsement_key
    assert key is not None
    assert key.root == tpm.root
    assert result.claims.fields["ek"]["bound_to_ak"] is False
    # Nothing binds the two, so it is no identity of this machine, and vouches for no key.
    assert set(result.claims.identity) == {"ak"}
    assert not result.detail.certified
    assert result.root.vendor == BARE_KEY


def test_an_endorsement_key_of_nobody_we_know_is_refused(tpm: MockTpm, now: datetime) -> None:
    evidence = tpm.evidence(certificates=(), **tpm.ek_parts())
    assert refusal_of(evidence, vendor_anchors(), now) is Code.EVIDENCE_ROOT


def test_a_certificate_for_another_purpose_is_no_endorsement_key(
    tpm: MockTpm, now: datetime
) -> None:
    parts = tpm.ek_parts(purposes=("1.3.6.1.5.5.7.3.1",))
    evidence = tpm.evidence(certificates=(), **parts)
    assert refusal_of(evidence, tpm.anchors(), now) is Code.EVIDENCE_CHAIN
    authority = {**parts, "ek_certificate": parts["ek_issuer_1"]}
    evidence = tpm.evidence(certificates=(), **authority)
    assert refusal_of(evidence, tpm.anchors(), now) is Code.EVIDENCE_CHAIN


@pytest.mark.parametrize(
    "rename",
    [
        {"ek_issuer_1": "ek_issuer_2"},
        {"ek_issuer_1": "ek_issuer_4"},
        {"ek_certificate": "ek_issuer_2"},
    ],
    ids=["gap", "unknown", "no-leaf"],
)
def test_endorsement_parts_come_in_order(
    tpm: MockTpm, now: datetime, rename: dict[str, str]
) -> None:
    parts = {rename.get(name, name): data for name, data in tpm.ek_parts().items()}
    evidence = tpm.evidence(certificates=(), **parts)
    assert refusal_of(evidence, tpm.anchors(), now) is Code.EVIDENCE_MALFORMED


# -- the event log ---------------------------------------------------------------------------------

LOG = event_log((0, b"firmware"), (4, b"loader"), (4, b"kernel"))
REGISTERS = {0: extended(b"firmware"), 4: extended(b"loader", b"kernel"), 7: b"\7" * 32}


def test_an_event_log_explains_the_registers_that_it_extends(tpm: MockTpm, now: datetime) -> None:
    evidence = tpm.evidence(MockQuote(registers=REGISTERS), event_log=LOG)
    result = verified(evidence, tpm.anchors(), now)
    assert isinstance(result.detail, TpmClaims)
    assert result.detail.explained == ("pcr0", "pcr4")


def test_a_log_may_tell_of_more_than_was_quoted(tpm: MockTpm, now: datetime) -> None:
    quote = MockQuote(registers={0: REGISTERS[0]})
    result = verified(tpm.evidence(quote, event_log=LOG), tpm.anchors(), now)
    assert isinstance(result.detail, TpmClaims)
    assert result.detail.explained == ("pcr0",)


@pytest.mark.parametrize(
    ("log", "code"),
    [
        (event_log((0, b"firmware"), (4, b"kernel"), (4, b"loader")), Code.EVENT_LOG_MISMATCH),
        (event_log((0, b"firmware"), (4, b"loader")), Code.EVENT_LOG_MISMATCH),
        (event_log((0, b"firmwarf")), Code.EVENT_LOG_MISMATCH),
        (event_log((0, b"x"), algorithm=0x0C, size=48), Code.EVENT_LOG_MALFORMED),
        (event_log((0, b"x"), algorithm=0x04, size=20), Code.EVENT_LOG_MALFORMED),
        (LOG[:-1], Code.EVENT_LOG_MALFORMED),
        (b"no log", Code.EVENT_LOG_MALFORMED),
    ],
    ids=["swapped", "dropped", "changed", "other-bank", "sha1", "cut", "none"],
)
def test_a_log_that_does_not_give_the_registers_is_refused(
    tpm: MockTpm, now: datetime, log: bytes, code: Code
) -> None:
    evidence = tpm.evidence(MockQuote(registers=REGISTERS), event_log=log)
    assert refusal_of(evidence, tpm.anchors(), now) is code


# -- appraisal -------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("certified", "enrolled", "accept_certified", "passed"),
    [
        (True, False, True, True),
        (True, False, False, False),
        (True, True, False, True),
        (False, False, True, False),
        (False, True, True, True),
        (False, True, False, True),
    ],
)
def test_a_key_is_certified_or_enrolled(
    tpm: MockTpm,
    now: datetime,
    certified: bool,
    enrolled: bool,
    accept_certified: bool,
    passed: bool,
) -> None:
    evidence = tpm.evidence() if certified else tpm.evidence(certificates=())
    result = verified(evidence, tpm.anchors(), now)
    assert isinstance(result.detail, TpmClaims)
    digest = result.detail.ak if enrolled else "00" * 32
    terms = TpmTerms(ak_digests=frozenset({digest}), accept_certified=accept_certified)
    (rule,) = tpm_rules(result.detail, terms)
    assert rule.rule == "attestation-key"
    assert rule.passed is passed
    assert rule.code is (None if passed else Code.APPRAISAL_PLATFORM)


def test_errors_are_of_the_right_family(tpm: MockTpm, now: datetime) -> None:
    with pytest.raises(VerificationError):
        verified(tpm.evidence(pcrs=b""), tpm.anchors(), now)
    with pytest.raises(FormatError):
        verified(tpm.evidence(tpm_signature=sized(b"")), tpm.anchors(), now)


def test_a_sha384_bank_is_quoted_under_its_own_names(tpm: MockTpm, now: datetime) -> None:
    quote = MockQuote(bank=TpmHash.SHA384, registers={7: b"\7" * 48})
    result = verified(tpm.evidence(quote), tpm.anchors(), now)
    assert dict(result.claims.registers) == {"pcr7_sha384": "07" * 48}


def test_a_certificate_without_key_usage_may_sign(tpm: MockTpm, now: datetime) -> None:
    chain = tpm.ak_chain(extensions={})
    assert verified(tpm.evidence(certificates=chain), tpm.anchors(), now).root.digest == tpm.root
