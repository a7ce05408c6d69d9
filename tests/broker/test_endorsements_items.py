"""Bytes under a name: each way in which they can be something else, without any service's help."""

from __future__ import annotations

import json
from datetime import datetime, timedelta

import pytest

from broker.mock_vendors import amd_crl_of
from sealtune.attestation.anchors import Product
from sealtune.attestation.dcap_quote import Tee
from sealtune.attestation.snp_report import Signer
from sealtune.broker.endorsements.items import make_item
from sealtune.broker.endorsements.nvidia import ocsp_subject
from sealtune.broker.endorsements.subjects import (
    Subject,
    amd_authorities,
    amd_crl,
    amd_key,
    intel_set,
)
from sealtune.crypto import der
from sealtune.crypto.x509 import parse_certificate
from sealtune.crypto.x509_builder import (
    CertificateFields,
    authority_extensions,
    build_certificate,
    key_usage_extension,
)
from sealtune.errors import Code, FormatError, SealtuneError, VerificationError
from sealtune.testing.mock_amd import TURIN_VEK, MockAmd, MockVek, encode_tcb
from sealtune.testing.mock_intel import MockIntel, MockQuote
from sealtune.testing.mock_nvidia import HOPPER, MockDevice, MockNvidia

GENOA = MockVek()


def refusal(subject: Subject, data: bytes, now: datetime) -> SealtuneError:
    with pytest.raises(SealtuneError) as caught:
        make_item(subject, data, source="", fetched_at=now)
    return caught.value


def key_of(vek: MockVek) -> Subject:
    return amd_key(vek.product, chip_id=vek.hwid.ljust(64, b"\0"), tcb=encode_tcb(vek.tcb))


def test_a_key_under_the_intermediate_of_another_product(mock_amd: MockAmd, now: datetime) -> None:
    vek = MockVek(product=Product.MILAN, product_name="Genoa")
    assert refusal(key_of(GENOA), mock_amd.chain(vek)[0], now).code is Code.ENDORSEMENT_MISMATCH


def test_a_key_whose_hardware_id_is_wrapped(mock_amd: MockAmd, now: datetime) -> None:
    wrapped = der.encode(der.Tag.OCTET_STRING, GENOA.hwid)
    vek = MockVek(changes=(("1.3.6.1.4.1.3704.1.4", wrapped),))
    make_item(key_of(GENOA), mock_amd.chain(vek)[0], source="", fetched_at=now)


@pytest.mark.parametrize(
    "oid", ["2", "4", "3.1", "3.8"], ids=["product", "hardware-id", "bl", "ucode"]
)
def test_a_key_that_does_not_say_what_it_is_for(mock_amd: MockAmd, now: datetime, oid: str) -> None:
    vek = MockVek(changes=((f"1.3.6.1.4.1.3704.1.{oid}", None),))
    error = refusal(key_of(GENOA), mock_amd.chain(vek)[0], now)
    assert isinstance(error, FormatError)
    assert error.code is Code.ENDORSEMENT_MALFORMED


def test_turin_s_first_component_counts(mock_amd: MockAmd, now: datetime) -> None:
    data = mock_amd.chain(TURIN_VEK)[0]
    make_item(key_of(TURIN_VEK), data, source="", fetched_at=now)
    tcb = encode_tcb(TURIN_VEK.tcb)
    other = amd_key(Product.TURIN, chip_id=TURIN_VEK.hwid, tcb=bytes([tcb[0] + 1]) + tcb[1:])
    assert refusal(other, data, now).code is Code.ENDORSEMENT_MISMATCH


def authority(mock: MockAmd, now: datetime, *, issuer: str, may_issue: bool) -> bytes:
    fields = CertificateFields(
        serial=1,
        issuer=(("2.5.4.3", issuer),),
        subject=(("2.5.4.3", "SEV-Genoa"),),
        not_before=now,
        not_after=now + timedelta(days=1),
        spki=mock.ask_key.spki,
        extensions=authority_extensions(path_length=0) if may_issue else key_usage_extension(0),
    )
    return build_certificate(fields, key=mock.ark_key)


def test_an_authority_of_another_root_or_that_is_none(mock_amd: MockAmd, now: datetime) -> None:
    subject, _ = amd_authorities(Product.GENOA, Signer.VCEK)
    good = authority(mock_amd, now, issuer="ARK-Genoa", may_issue=True)
    make_item(subject, good, source="", fetched_at=now)
    for issuer, may_issue in (("ARK-Milan", True), ("ARK-Genoa", False)):
        data = authority(mock_amd, now, issuer=issuer, may_issue=may_issue)
        assert refusal(subject, data, now).code is Code.ENDORSEMENT_MISMATCH


def test_a_list_of_another_root(mock_amd: MockAmd, now: datetime) -> None:
    subject = amd_crl(Product.GENOA, Signer.VCEK)
    make_item(subject, amd_crl_of(mock_amd, GENOA, now=now), source="", fetched_at=now)
    other = amd_crl_of(mock_amd, GENOA, now=now, issuer="ARK-Milan")
    assert refusal(subject, other, now).code is Code.ENDORSEMENT_MISMATCH


def test_a_list_ends_before_the_next_one_begins(mock_amd: MockAmd, now: datetime) -> None:
    data = amd_crl_of(mock_amd, GENOA, now=now, days=30)
    subject = amd_crl(Product.GENOA, Signer.VCEK)
    item = make_item(subject, data, source="", fetched_at=now)
    item.require_valid_at(now + timedelta(days=30, seconds=-1))
    with pytest.raises(VerificationError):
        item.require_valid_at(now + timedelta(days=30))


def test_a_set_put_together_from_two_times(now: datetime) -> None:
    intel = MockIntel(now=now)
    quote = MockQuote()
    subject = intel_set(Tee.TDX, fmspc=quote.pck.fmspc, ca=quote.pck.ca)
    value = json.loads(intel.endorsement(quote))
    old = intel.crl(
        "Intel SGX PCK Platform CA", since=now - timedelta(days=60), until=now - timedelta(days=30)
    )
    value["pck_crl"] = old.hex()
    error = refusal(subject, json.dumps(value).encode(), now)
    assert error.code is Code.ENDORSEMENT_MISMATCH
    assert "never valid at the same time" in error.message


def test_a_status_about_another_certificate_or_none(now: datetime) -> None:
    nvidia = MockNvidia(now=now)
    chain = [parse_certificate(data) for data in nvidia.chain(HOPPER)]
    subject = ocsp_subject(chain[1], issuer=chain[2])
    good = nvidia.ocsp(HOPPER, 1)
    make_item(subject, good, source="", fetched_at=now)
    other = nvidia.ocsp(MockDevice(serial=HOPPER.serial + 1), 1)
    assert refusal(subject, other, now).code is Code.ENDORSEMENT_MISMATCH
    # The same number under another authority.
    elsewhere = ocsp_subject(chain[1], issuer=chain[3])
    assert refusal(elsewhere, good, now).code is Code.ENDORSEMENT_MISMATCH
    # [2] unknown in the place of [0] good, right after the number of the certificate.
    number = der.encode_integer(HOPPER.serial)
    unknown = good.replace(number + b"\x80\x00", number + b"\x82\x00")
    assert unknown != good
    assert refusal(subject, unknown, now).code is Code.ENDORSEMENT_MISMATCH
