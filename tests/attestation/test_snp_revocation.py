"""AMD's revocation lists under a mock hierarchy: what they revoke, and what they cannot."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any

import pytest

from sealtune.attestation.anchors import Product
from sealtune.attestation.appraisal import AppraisalRefused, appraise
from sealtune.attestation.endorsements import Endorsement, Endorsements, EndorsementType
from sealtune.attestation.snp_report import Signer
from sealtune.attestation.steps import Steps
from sealtune.attestation.verified import SnpClaims, VerifiedEvidence
from sealtune.attestation.verify import verify_evidence
from sealtune.core.digest import sha256_digest
from sealtune.crypto.x509 import parse_certificate
from sealtune.errors import Code, SealtuneError
from sealtune.testing.mock_amd import MockAmd, MockVek

REPORT_DATA = bytes(range(64))
VLEK = MockVek(signer=Signer.VLEK)


def verified(
    mock: MockAmd, now: datetime, *lists: bytes, vek: MockVek | None = None
) -> tuple[VerifiedEvidence, Steps]:
    steps = Steps()
    items = tuple(Endorsement(type=EndorsementType.X509_CRL, data=data) for data in lists)
    result = verify_evidence(
        mock.evidence(vek=vek, report_data=REPORT_DATA),
        report_data=REPORT_DATA,
        anchors=mock.anchors(),
        endorsements=Endorsements(items=items),
        now=now,
        steps=steps,
    )
    return result, steps


def refused(mock: MockAmd, now: datetime, *lists: bytes, **settings: Any) -> Code:
    with pytest.raises(SealtuneError) as refusal:
        verified(mock, now, *lists, **settings)
    return refusal.value.code


def serial_of(mock: MockAmd, signer: Signer) -> int:
    return parse_certificate(mock.intermediate(Product.GENOA, signer=signer)).serial


def crls(result: VerifiedEvidence) -> tuple[str, ...]:
    assert isinstance(result.detail, SnpClaims)
    return result.detail.crls


def test_a_list_that_revokes_nothing_of_the_chain_is_noted(
    mock_amd: MockAmd, now: datetime
) -> None:
    data = mock_amd.revocation_list(7)
    result, steps = verified(mock_amd, now, data)
    assert crls(result) == (sha256_digest(data),)
    assert result.claims.tcb["revocation_lists"] == [sha256_digest(data)]
    assert [(s.name, s.outcome) for s in steps.done if s.name == "revocation"] == [
        ("revocation", "passed")
    ]


def test_without_a_list_it_is_said_that_none_was_consulted(
    mock_amd: MockAmd, now: datetime
) -> None:
    result, steps = verified(mock_amd, now)
    assert crls(result) == ()
    assert result.claims.tcb["revocation_lists"] == []
    assert [s.outcome for s in steps.done if s.name == "revocation"] == ["skipped"]


@pytest.mark.parametrize("signer", Signer)
def test_a_revoked_intermediate_ends_all_below_it(
    mock_amd: MockAmd, now: datetime, signer: Signer
) -> None:
    data = mock_amd.revocation_list(7, serial_of(mock_amd, signer))
    vek = MockVek(signer=signer)
    assert refused(mock_amd, now, data, vek=vek) is Code.EVIDENCE_REVOKED
    # The other intermediate of the same root is another matter.
    other = mock_amd.revocation_list(
        serial_of(mock_amd, Signer.VLEK if signer is Signer.VCEK else Signer.VCEK)
    )
    assert crls(verified(mock_amd, now, other, vek=vek)[0])


def test_a_revoked_root_ends_all_below_it(mock_amd: MockAmd, now: datetime) -> None:
    serial = parse_certificate(mock_amd.chain(MockVek())[-1]).serial
    assert refused(mock_amd, now, mock_amd.revocation_list(serial)) is Code.EVIDENCE_REVOKED


def test_serial_number_zero_does_not_revoke_every_processor(
    mock_amd: MockAmd, now: datetime
) -> None:
    assert parse_certificate(mock_amd.chain(MockVek())[0]).serial == 0
    assert crls(verified(mock_amd, now, mock_amd.revocation_list(0))[0])


def test_one_of_several_lists_is_enough_to_revoke(mock_amd: MockAmd, now: datetime) -> None:
    # AMD hands out one beside the VCEKs and one beside the VLEKs, of the same issuer.
    harmless = mock_amd.revocation_list(7)
    revoking = mock_amd.revocation_list(serial_of(mock_amd, Signer.VCEK))
    assert len(crls(verified(mock_amd, now, harmless, mock_amd.revocation_list(8))[0])) == 2
    for lists in ((harmless, revoking), (revoking, harmless)):
        assert refused(mock_amd, now, *lists) is Code.EVIDENCE_REVOKED


@pytest.mark.parametrize(
    ("begins", "ends", "stale"),
    [
        (timedelta(0), timedelta(seconds=1), False),
        (timedelta(seconds=1), timedelta(days=1), True),
        (timedelta(days=-9), timedelta(0), True),
    ],
    ids=["first-second", "not-yet", "ended"],
)
def test_a_list_holds_for_its_time(
    mock_amd: MockAmd, now: datetime, begins: timedelta, ends: timedelta, stale: bool
) -> None:
    data = mock_amd.revocation_list(this_update=now + begins, next_update=now + ends)
    if stale:
        assert refused(mock_amd, now, data) is Code.ENDORSEMENT_STALE
        # A current one beside it does not make up for it.
        assert refused(mock_amd, now, mock_amd.revocation_list(), data) is Code.ENDORSEMENT_STALE
    else:
        assert crls(verified(mock_amd, now, data)[0])


def test_a_list_of_another_product_says_nothing(mock_amd: MockAmd, now: datetime) -> None:
    serial = serial_of(mock_amd, Signer.VCEK)
    data = mock_amd.revocation_list(serial, product=Product.MILAN, next_update=now)
    assert crls(verified(mock_amd, now, data)[0]) == ()


def test_a_forged_list_is_refused(mock_amd: MockAmd, now: datetime) -> None:
    data = bytearray(mock_amd.revocation_list(7))
    data[-1] ^= 1
    assert refused(mock_amd, now, bytes(data)) is Code.ENDORSEMENT_SIGNATURE


def test_what_is_no_list_is_refused(mock_amd: MockAmd, now: datetime) -> None:
    for data in (b"", b"0\0", mock_amd.chain(MockVek())[-1]):
        assert refused(mock_amd, now, data) is Code.ENDORSEMENT_MALFORMED


def test_terms_may_require_a_list(mock_amd: MockAmd, now: datetime) -> None:
    required = mock_amd.insecure_enclave(require_crl=True)
    without, _ = verified(mock_amd, now)
    with pytest.raises(AppraisalRefused) as refusal:
        appraise(without, accepted=[required], host_data=bytes(32))
    assert refusal.value.code is Code.APPRAISAL_ENDORSEMENT_AGE
    assert [rule.rule for rule in refusal.value.rules if not rule.passed] == ["revocation"]
    # One of another product is as good as none.
    other, _ = verified(mock_amd, now, mock_amd.revocation_list(product=Product.TURIN))
    with pytest.raises(AppraisalRefused):
        appraise(other, accepted=[required], host_data=bytes(32))
    with_list, _ = verified(mock_amd, now, mock_amd.revocation_list())
    assert appraise(with_list, accepted=[required], host_data=bytes(32))
    assert appraise(without, accepted=[mock_amd.insecure_enclave()], host_data=bytes(32))
