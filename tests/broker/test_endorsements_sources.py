"""What each vendor's service is asked for, and that no wrong answer becomes an endorsement."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from broker.mock_vendors import (
    DRIVER_ID,
    VBIOS_ID,
    Workplace,
    amd_crl_of,
    bare,
    rim_answer,
    serve_amd,
    serve_intel,
    serve_nvidia,
    serve_thim,
    vcek_path,
)
from broker.vendor_services import Asked, Says, VendorServices
from sealtune.attestation.anchors import Product, TrustAnchors, vendor_anchors
from sealtune.attestation.dcap_pck import PckCa
from sealtune.attestation.evidence import Evidence, EvidenceKind
from sealtune.attestation.snp_report import Signer
from sealtune.attestation.steps import Steps
from sealtune.attestation.verifiers.nvidia import verify_nvidia
from sealtune.broker.endorsements.cache import EndorsementCache
from sealtune.broker.endorsements.items import Item, make_item
from sealtune.broker.endorsements.needs import Need, gaps_of, needs_of
from sealtune.broker.endorsements.nvidia import ocsp_subject
from sealtune.broker.endorsements.refresh import Refreshed, endorsements_for
from sealtune.broker.endorsements.subjects import Kind, nvidia_rim
from sealtune.broker.endorsements.window import Window
from sealtune.crypto import der
from sealtune.crypto.x509 import parse_certificate
from sealtune.errors import Code, SealtuneError, VerificationError
from sealtune.testing.clock import VirtualClock
from sealtune.testing.mock_amd import TURIN_VEK, MockAmd, MockVek
from sealtune.testing.mock_intel import SGX_QUOTE, MockIntel, MockPck, MockQuote, pem
from sealtune.testing.mock_nvidia import (
    BLACKWELL,
    RIM_SIGNER_SERIAL,
    MockNvidia,
    MockReport,
    MockRim,
)

GENOA = MockVek()
MILAN = MockVek(product=Product.MILAN, product_name="Milan-B0")
VLEK = MockVek(signer=Signer.VLEK)


@pytest.fixture
def services() -> Iterator[VendorServices]:
    with VendorServices() as running:
        yield running


@pytest.fixture(scope="module")
def intel(now: datetime) -> MockIntel:
    return MockIntel(now=now)


@pytest.fixture(scope="module")
def nvidia(now: datetime) -> MockNvidia:
    return MockNvidia(now=now)


@pytest.fixture
def workplace(tmp_path: Path, services: VendorServices, now: datetime) -> Callable[..., Workplace]:
    def make(anchors: TrustAnchors, **settings: Any) -> Workplace:
        return Workplace(
            cache=EndorsementCache(tmp_path / "endorsements"),
            services=services,
            clock=VirtualClock(now),
            anchors=anchors,
            **settings,
        )

    return make


def complete(place: Workplace, evidence: Evidence) -> Refreshed:
    return place.refresher().complete(evidence, note=lambda _: None)


def refusal(place: Workplace, evidence: Evidence) -> SealtuneError:
    with pytest.raises(SealtuneError) as caught:
        complete(place, evidence)
    return caught.value


# -- AMD -------------------------------------------------------------------------------------------


@pytest.mark.parametrize("vek", [GENOA, MILAN, TURIN_VEK], ids=["genoa", "milan", "turin"])
def test_a_chip_s_key_its_authorities_and_their_list_are_fetched(
    workplace: Callable[..., Workplace],
    services: VendorServices,
    mock_amd: MockAmd,
    now: datetime,
    vek: MockVek,
) -> None:
    place = workplace(mock_amd.anchors(vek.product))
    serve_amd(services, mock_amd, vek, now=now)
    evidence = mock_amd.evidence(vek=vek)
    done = complete(place, bare(evidence))
    assert sorted(item.subject.kind for item in done.fetched) == [
        "amd-authority",
        "amd-authority",
        "amd-crl",
        "amd-key",
    ]
    # Everything once: an answer that brings the chain along spares the question for it.
    assert sorted(services.paths) == sorted(set(services.paths))
    assert len(services.paths) == 3
    held = place.cache.read().items
    found = endorsements_for(bare(evidence), held, anchors=place.anchors, now=now)
    assert {item.data for item in found.items} > set(evidence.certificates)


def test_turin_is_asked_for_by_the_eight_bytes_of_its_certificates(
    workplace: Callable[..., Workplace],
    services: VendorServices,
    mock_amd: MockAmd,
    now: datetime,
) -> None:
    place = workplace(mock_amd.anchors(Product.TURIN))
    serve_amd(services, mock_amd, TURIN_VEK, now=now)
    complete(place, bare(mock_amd.evidence(vek=TURIN_VEK)))
    chip = TURIN_VEK.hwid.hex()
    assert len(chip) == 16
    path = f"/vcek/v1/Turin/{chip}?fmcSPL=01&blSPL=02&teeSPL=03&snpSPL=04&ucodeSPL=81"
    assert path in services.paths


def test_what_evidence_brings_is_not_asked_for(
    workplace: Callable[..., Workplace],
    services: VendorServices,
    mock_amd: MockAmd,
    now: datetime,
) -> None:
    place = workplace(mock_amd.anchors())
    serve_amd(services, mock_amd, GENOA, now=now)
    complete(place, mock_amd.evidence())
    assert vcek_path(GENOA) not in services.paths
    assert "/vcek/v1/Genoa/crl" in services.paths


def test_evidence_with_its_chain_needs_only_the_list(mock_amd: MockAmd, now: datetime) -> None:
    needs = needs_of(mock_amd.evidence(), [], anchors=mock_amd.anchors(), now=now)
    assert [option.text for need in needs for option in need.options] == ["amd-crl/Genoa/VCEK"]


def test_an_authority_that_is_held_and_stale_is_asked_for_again(
    workplace: Callable[..., Workplace],
    services: VendorServices,
    mock_amd: MockAmd,
    now: datetime,
) -> None:
    place = workplace(mock_amd.anchors())
    serve_amd(services, mock_amd, GENOA, now=now)
    complete(place, bare(mock_amd.evidence()))
    held = place.cache.read().items
    need = Need(options=tuple(item.subject for item in held if item.subject.kind == "amd-key"))
    before = len(services.asked)
    place.sources().fetch(need, held=held)
    assert services.paths[before:] == [vcek_path(GENOA)]
    past = Window(now - timedelta(days=2), now - timedelta(days=1))
    stale = [replace(item, window=past) for item in held]
    place.sources().fetch(need, held=stale)
    assert services.paths[-1] == "/vcek/v1/Genoa/cert_chain"


def test_a_second_time_nothing_is_asked(
    workplace: Callable[..., Workplace],
    services: VendorServices,
    mock_amd: MockAmd,
    now: datetime,
) -> None:
    place = workplace(mock_amd.anchors())
    serve_amd(services, mock_amd, GENOA, now=now)
    evidence = bare(mock_amd.evidence())
    complete(place, evidence)
    asked = len(services.asked)
    assert complete(place, evidence) == Refreshed(fetched=(), postponed=())
    assert len(services.asked) == asked


def test_an_old_report_is_of_the_product_that_knows_its_chip(
    workplace: Callable[..., Workplace],
    services: VendorServices,
    mock_amd: MockAmd,
    now: datetime,
) -> None:
    # Version 2 has no CPUID: Milan is asked first and does not know the chip.
    place = workplace(mock_amd.anchors())
    serve_amd(services, mock_amd, GENOA, now=now)
    evidence = bare(mock_amd.evidence(version=2, cpuid=(0, 0, 0)))
    assert len(complete(place, evidence).fetched) == 4
    assert services.paths[0] == vcek_path(GENOA).replace("Genoa", "Milan")
    held = place.cache.read().items
    assert gaps_of(evidence, held, anchors=place.anchors, now=now) == ()


def test_an_old_report_with_its_key_says_by_that_what_product_it_is(
    workplace: Callable[..., Workplace],
    services: VendorServices,
    mock_amd: MockAmd,
    now: datetime,
) -> None:
    place = workplace(mock_amd.anchors(Product.MILAN))
    serve_amd(services, mock_amd, MILAN, now=now)
    evidence = mock_amd.evidence(vek=MILAN, version=2, cpuid=(0, 0, 0))
    complete(place, replace(evidence, certificates=evidence.certificates[:1]))
    assert all("/Milan/" in path for path in services.paths)


def test_a_chip_that_no_product_knows_is_said_to_be_missing(
    workplace: Callable[..., Workplace], services: VendorServices, mock_amd: MockAmd
) -> None:
    evidence = bare(mock_amd.evidence(version=2, cpuid=(0, 0, 0)))
    error = refusal(workplace(mock_amd.anchors()), evidence)
    assert error.code is Code.FETCH_FAILED
    assert len(services.paths) == 2


def test_a_vlek_s_chain_and_list_come_from_places_of_their_own(
    workplace: Callable[..., Workplace],
    services: VendorServices,
    mock_amd: MockAmd,
    now: datetime,
) -> None:
    place = workplace(mock_amd.anchors())
    serve_amd(services, mock_amd, VLEK, now=now)
    evidence = mock_amd.evidence(vek=VLEK)
    complete(place, replace(evidence, certificates=evidence.certificates[:1]))
    assert sorted(services.paths) == ["/vlek/v1/Genoa/cert_chain", "/vlek/v1/Genoa/crl"]


@pytest.mark.parametrize(
    ("vek", "changes"),
    [(VLEK, {}), (GENOA, {"chip_id": bytes(64)})],
    ids=["vlek", "masked-chip"],
)
def test_a_key_that_no_service_hands_out_is_asked_of_the_machine(
    workplace: Callable[..., Workplace],
    services: VendorServices,
    mock_amd: MockAmd,
    vek: MockVek,
    changes: dict[str, Any],
) -> None:
    error = refusal(workplace(mock_amd.anchors()), bare(mock_amd.evidence(vek=vek, **changes)))
    assert error.code is Code.ENDORSEMENT_MISSING
    assert "attach" in error.remedy
    assert services.asked == []


def test_a_processor_of_no_product_line_is_refused(
    workplace: Callable[..., Workplace], services: VendorServices, mock_amd: MockAmd
) -> None:
    evidence = bare(mock_amd.evidence(cpuid=(0x17, 0x31, 0)))
    assert refusal(workplace(mock_amd.anchors()), evidence).code is Code.EVIDENCE_CHAIN
    assert services.asked == []


WRONG_KEYS = {
    "another-chip": MockVek(hwid=bytes(range(64))),
    "another-tcb": MockVek(tcb=dataclasses.replace(GENOA.tcb, ucode=91)),
    "another-component": MockVek(tcb=dataclasses.replace(GENOA.tcb, bl=11)),
    "another-product": MILAN,
    "another-product-name": MockVek(product_name="Milan-B0"),
    "a-vlek": VLEK,
    "another-name": MockVek(subject="SEV-OTHER"),
}


@pytest.mark.parametrize("wrong", WRONG_KEYS.values(), ids=WRONG_KEYS)
def test_the_wrong_certificate_for_a_chip_never_enters_the_cache(
    workplace: Callable[..., Workplace],
    services: VendorServices,
    mock_amd: MockAmd,
    now: datetime,
    wrong: MockVek,
) -> None:
    place = workplace(mock_amd.anchors())
    serve_amd(services, mock_amd, GENOA, now=now)
    services.routes[vcek_path(GENOA)] = Says(body=mock_amd.chain(wrong)[0])
    error = refusal(place, bare(mock_amd.evidence()))
    assert error.code is Code.ENDORSEMENT_MISMATCH
    assert "AMD VCEK" in error.message
    assert services.url in error.message
    assert place.names() == []


def test_a_certificate_that_is_out_of_its_validity_is_not_taken(
    workplace: Callable[..., Workplace],
    services: VendorServices,
    mock_amd: MockAmd,
    now: datetime,
) -> None:
    place = workplace(mock_amd.anchors())
    serve_amd(services, mock_amd, GENOA, now=now)
    old = MockVek(not_after=now - timedelta(seconds=1))
    services.routes[vcek_path(GENOA)] = Says(body=mock_amd.chain(old)[0])
    error = refusal(place, bare(mock_amd.evidence()))
    assert error.code is Code.ENDORSEMENT_STALE
    assert "stale since 2026-11-23T11:59:59Z" in error.message
    assert place.names() == []


def test_a_certificate_that_amd_did_not_sign_is_not_taken(
    workplace: Callable[..., Workplace],
    services: VendorServices,
    mock_amd: MockAmd,
    now: datetime,
) -> None:
    place = workplace(mock_amd.anchors())
    serve_amd(services, mock_amd, GENOA, now=now)
    data = bytearray(mock_amd.chain(GENOA)[0])
    data[-1] ^= 1
    services.routes[vcek_path(GENOA)] = Says(body=bytes(data))
    assert refusal(place, bare(mock_amd.evidence())).code is Code.ENDORSEMENT_SIGNATURE
    assert place.names() == []


def test_a_chain_under_another_root_is_not_taken(
    workplace: Callable[..., Workplace],
    services: VendorServices,
    mock_amd: MockAmd,
    now: datetime,
) -> None:
    place = workplace(vendor_anchors())
    serve_amd(services, mock_amd, GENOA, now=now)
    evidence = mock_amd.evidence()
    assert refusal(place, bare(evidence)).code is Code.ENDORSEMENT_SIGNATURE
    alone = replace(evidence, certificates=evidence.certificates[:1])
    assert refusal(place, alone).code is Code.ENDORSEMENT_SIGNATURE
    assert place.names() == []


def chains(mock: MockAmd) -> dict[str, bytes]:
    _, middle, root = mock.chain(GENOA)
    forged = bytearray(middle)
    forged[-1] ^= 1
    return {
        "one": pem(middle).encode(),
        "three": pem(middle, root, root).encode(),
        "swapped": pem(root, middle).encode(),
        "of-vlek": pem(mock.chain(VLEK)[1], root).encode(),
        "leaf-as-authority": pem(mock.chain(GENOA)[0], root).encode(),
        "another-product": pem(*mock.chain(MILAN)[1:]).encode(),
        "forged": pem(bytes(forged), root).encode(),
        "text": b"<html>Service unavailable</html>",
        "empty": b"",
    }


@pytest.mark.parametrize(
    "name",
    [
        *("one", "three", "swapped", "of-vlek", "leaf-as-authority", "another-product"),
        *("forged", "text", "empty"),
    ],
)
def test_a_wrong_chain_is_not_taken(
    workplace: Callable[..., Workplace],
    services: VendorServices,
    mock_amd: MockAmd,
    now: datetime,
    name: str,
) -> None:
    place = workplace(mock_amd.anchors())
    serve_amd(services, mock_amd, GENOA, now=now)
    services.routes["/vcek/v1/Genoa/cert_chain"] = Says(body=chains(mock_amd)[name])
    evidence = mock_amd.evidence()
    alone = replace(evidence, certificates=evidence.certificates[:1])
    error = refusal(place, alone)
    assert error.code in {
        Code.ENDORSEMENT_MALFORMED,
        Code.ENDORSEMENT_MISMATCH,
        Code.ENDORSEMENT_SIGNATURE,
    }
    assert place.names() == []


def test_a_list_of_another_root_or_signed_by_another_key_is_not_taken(
    workplace: Callable[..., Workplace],
    services: VendorServices,
    mock_amd: MockAmd,
    now: datetime,
) -> None:
    place = workplace(mock_amd.anchors())
    serve_amd(services, mock_amd, GENOA, now=now)
    good = amd_crl_of(mock_amd, GENOA, now=now)
    forged = good[:-1] + bytes([good[-1] ^ 1])
    wrong = {
        amd_crl_of(mock_amd, GENOA, now=now, issuer="ARK-Milan"): Code.ENDORSEMENT_MISMATCH,
        amd_crl_of(mock_amd, GENOA, now=now, days=-0.5): Code.ENDORSEMENT_STALE,
        forged: Code.ENDORSEMENT_SIGNATURE,
        good[:-10]: Code.ENDORSEMENT_MALFORMED,
        mock_amd.chain(GENOA)[2]: Code.ENDORSEMENT_MALFORMED,
    }
    for body, code in wrong.items():
        services.routes["/vcek/v1/Genoa/crl"] = Says(body=body)
        assert refusal(place, mock_amd.evidence()).code is code
        assert not any("amd-crl" in name for name in place.names())


def test_what_is_too_large_for_a_certificate_is_not_read(
    workplace: Callable[..., Workplace],
    services: VendorServices,
    mock_amd: MockAmd,
    now: datetime,
) -> None:
    place = workplace(mock_amd.anchors())
    serve_amd(services, mock_amd, GENOA, now=now)
    services.routes[vcek_path(GENOA)] = Says(body=bytes(8 * 1024 + 1))
    assert refusal(place, bare(mock_amd.evidence())).code is Code.FETCH_FAILED


def test_a_cut_certificate_is_not_taken_even_where_its_length_is_not_announced(
    workplace: Callable[..., Workplace],
    services: VendorServices,
    mock_amd: MockAmd,
    now: datetime,
) -> None:
    place = workplace(mock_amd.anchors())
    serve_amd(services, mock_amd, GENOA, now=now)
    leaf = mock_amd.chain(GENOA)[0]
    services.routes[vcek_path(GENOA)] = Says(body=leaf[:-7], announce=False)
    error = refusal(place, bare(mock_amd.evidence()))
    assert error.code is Code.ENDORSEMENT_MALFORMED
    assert place.names() == []


# -- Azure -----------------------------------------------------------------------------------------


def test_azure_s_metadata_service_answers_for_its_own_machine(
    workplace: Callable[..., Workplace],
    services: VendorServices,
    mock_amd: MockAmd,
    now: datetime,
) -> None:
    place = workplace(mock_amd.anchors(), thim=True)
    serve_amd(services, mock_amd, GENOA, now=now)
    serve_thim(services, mock_amd, GENOA)
    done = complete(place, bare(mock_amd.evidence()))
    assert len(done.fetched) == 4
    assert services.asked[0].headers["metadata"] == "true"
    assert sorted(services.paths) == ["/metadata/THIM/amd/certification", "/vcek/v1/Genoa/crl"]


def test_the_metadata_service_of_another_machine_is_not_taken(
    workplace: Callable[..., Workplace], services: VendorServices, mock_amd: MockAmd
) -> None:
    place = workplace(mock_amd.anchors(), thim=True)
    serve_thim(services, mock_amd, WRONG_KEYS["another-chip"])
    error = refusal(place, bare(mock_amd.evidence()))
    assert error.code is Code.ENDORSEMENT_MISMATCH
    assert place.names() == []


THIM_ANSWERS: dict[str, object] = {
    "list": [],
    "nothing": {},
    "number": {"vcekCert": 1, "certificateChain": ""},
    "swapped": None,
    "two-keys": None,
}


@pytest.mark.parametrize("name", THIM_ANSWERS)
def test_an_answer_that_is_no_metadata_is_refused(
    workplace: Callable[..., Workplace], services: VendorServices, mock_amd: MockAmd, name: str
) -> None:
    place = workplace(mock_amd.anchors(), thim=True)
    leaf, middle, root = mock_amd.chain(GENOA)
    answer = THIM_ANSWERS[name]
    if name == "swapped":
        answer = {"vcekCert": pem(leaf), "certificateChain": pem(root, middle)}
    if name == "two-keys":
        answer = {"vcekCert": pem(leaf, leaf), "certificateChain": pem(middle, root)}
    body = json.dumps(answer).encode()
    services.routes["/metadata/THIM/amd/certification"] = Says(body=body)
    error = refusal(place, bare(mock_amd.evidence()))
    assert error.code in {Code.ENDORSEMENT_MALFORMED, Code.ENDORSEMENT_MISMATCH}
    assert place.names() == []


# -- Intel -----------------------------------------------------------------------------------------

TD_QUOTE = MockQuote()
QUOTES = {
    "tdx": TD_QUOTE,
    "sgx": SGX_QUOTE,
    "processor-ca": MockQuote(pck=MockPck(ca=PckCa.PROCESSOR)),
}


@pytest.mark.parametrize("quote", QUOTES.values(), ids=QUOTES)
@pytest.mark.parametrize("is_pccs", [False, True], ids=["pcs", "pccs"])
def test_a_platform_s_set_is_composed_of_the_service_s_answers(
    workplace: Callable[..., Workplace],
    services: VendorServices,
    intel: MockIntel,
    now: datetime,
    quote: MockQuote,
    is_pccs: bool,
) -> None:
    place = workplace(intel.anchors(), pccs=(services.url,) if is_pccs else ())
    serve_intel(services, intel, quote, is_pccs=is_pccs)
    evidence = intel.evidence(quote)
    (item,) = complete(place, evidence).fetched
    tee = "TDX" if quote.is_td else "SGX"
    assert item.subject.text == f"intel-set/{tee}/00806f050000/{quote.pck.ca}"
    # Valid as long as the first of its parts.
    assert item.window.begins == now - timedelta(days=2)
    assert item.window.ends == now + timedelta(days=28) - timedelta(seconds=1)
    assert len(services.paths) == 4
    found = endorsements_for(evidence, [item], anchors=place.anchors, now=now)
    assert found.items == (item.endorsement,)


def test_azure_s_quote_is_read_where_it_is(
    workplace: Callable[..., Workplace], services: VendorServices, intel: MockIntel
) -> None:
    place = workplace(intel.anchors())
    serve_intel(services, intel, TD_QUOTE, is_pccs=False)
    evidence = Evidence(
        kind=EvidenceKind.AZURE_TDX,
        report=b"HCLA",
        certificates=(),
        parts={"td_quote": intel.quote(TD_QUOTE)},
    )
    assert len(complete(place, evidence).fetched) == 1


def test_the_next_pccs_is_asked_where_one_fails(
    workplace: Callable[..., Workplace], services: VendorServices, intel: MockIntel
) -> None:
    with VendorServices() as broken, VendorServices() as lying:
        other = MockQuote(pck=MockPck(fmspc=bytes(6)))
        serve_intel(lying, intel, other, is_pccs=True)
        lying.routes["/tdx/certification/v4/tcb?fmspc=00806f050000"] = lying.routes[
            "/tdx/certification/v4/tcb?fmspc=000000000000"
        ]
        place = workplace(intel.anchors(), pccs=(broken.url, lying.url, services.url))
        serve_intel(services, intel, TD_QUOTE, is_pccs=True)
        (item,) = complete(place, intel.evidence(TD_QUOTE)).fetched
        assert item.source == services.url
        assert len(broken.asked) == 1
        assert len(lying.asked) == 4


@pytest.mark.parametrize("fault", ["other-fmspc", "other-tee", "other-ca", "stale", "mixed"])
def test_a_set_of_something_else_or_of_two_times_is_not_taken(
    workplace: Callable[..., Workplace],
    services: VendorServices,
    intel: MockIntel,
    now: datetime,
    fault: str,
) -> None:
    place = workplace(intel.anchors())
    early = {"issueDate": "2026-01-01T00:00:00Z", "nextUpdate": "2026-01-31T00:00:00Z"}
    parts: dict[str, Any] = {
        "other-fmspc": {"tcb_info": intel.tcb_info(MockPck(fmspc=bytes(6)), is_td=True)},
        "other-tee": {"tcb_info": intel.tcb_info(TD_QUOTE.pck, is_td=False)},
        "other-ca": {"pck_crl": intel.crl(PckCa.PROCESSOR.common_name)},
        "stale": {
            "tcb_info": intel.tcb_info(TD_QUOTE.pck, is_td=True, **early),
            "qe_identity": intel.qe_identity(is_td=True, **early),
            "pck_crl": intel.crl(
                PckCa.PLATFORM.common_name, since=now - timedelta(days=330), until=now
            ),
            "root_crl": intel.crl("Intel SGX Root CA", since=now - timedelta(days=330), until=now),
        },
        "mixed": {"tcb_info": intel.tcb_info(TD_QUOTE.pck, is_td=True, **early)},
    }[fault]
    serve_intel(services, intel, TD_QUOTE, is_pccs=False, **parts)
    error = refusal(place, intel.evidence(TD_QUOTE))
    expected = Code.ENDORSEMENT_STALE if fault == "stale" else Code.ENDORSEMENT_MISMATCH
    assert error.code is expected
    assert place.names() == []


def test_a_set_under_another_root_or_signed_by_nobody_is_not_taken(
    workplace: Callable[..., Workplace],
    services: VendorServices,
    intel: MockIntel,
    now: datetime,
) -> None:
    place = workplace(vendor_anchors())
    serve_intel(services, intel, TD_QUOTE, is_pccs=False)
    assert refusal(place, intel.evidence(TD_QUOTE)).code is Code.ENDORSEMENT_SIGNATURE
    trusting = workplace(intel.anchors())
    path = "/tdx/certification/v4/qe/identity"
    said = services.routes[path]
    assert isinstance(said, Says)
    services.routes[path] = replace(
        said, body=said.body.replace(b'"isvprodid":2', b'"isvprodid":3')
    )
    assert refusal(trusting, intel.evidence(TD_QUOTE)).code is Code.ENDORSEMENT_SIGNATURE
    for place_of_list, name in (
        ("/IntelSGXRootCA.der", "Intel SGX Root CA"),
        ("/sgx/certification/v4/pckcrl?ca=platform&encoding=der", "Intel SGX PCK Platform CA"),
    ):
        serve_intel(services, intel, TD_QUOTE, is_pccs=False)
        said = services.routes[place_of_list]
        assert isinstance(said, Says)
        crl = intel.crl(name)
        services.routes[place_of_list] = replace(said, body=crl[:-1] + bytes([crl[-1] ^ 1]))
        error = refusal(trusting, intel.evidence(TD_QUOTE))
        assert error.code is Code.ENDORSEMENT_SIGNATURE
    assert trusting.names() == []


def test_an_answer_without_its_chain_is_refused(
    workplace: Callable[..., Workplace], services: VendorServices, intel: MockIntel
) -> None:
    place = workplace(intel.anchors())
    serve_intel(services, intel, TD_QUOTE, is_pccs=False)
    path = "/tdx/certification/v4/tcb?fmspc=00806f050000"
    said = services.routes[path]
    assert isinstance(said, Says)
    services.routes[path] = replace(said, headers={})
    error = refusal(place, intel.evidence(TD_QUOTE))
    assert error.code is Code.ENDORSEMENT_MALFORMED
    assert "tcb-info-issuer-chain" in error.message


# -- NVIDIA ----------------------------------------------------------------------------------------


def test_a_gpu_s_rims_and_the_status_of_its_authorities_are_fetched(
    workplace: Callable[..., Workplace],
    services: VendorServices,
    nvidia: MockNvidia,
    now: datetime,
) -> None:
    place = workplace(nvidia.anchors)
    serve_nvidia(services, nvidia)
    evidence = nvidia.evidence()
    done = complete(place, evidence)
    assert sorted(item.subject.kind for item in done.fetched) == [
        *["nvidia-ocsp"] * 4,
        *["nvidia-rim"] * 2,
    ]
    assert f"/v1/rim/{DRIVER_ID}" in services.paths
    assert f"/v1/rim/{VBIOS_ID}" in services.paths
    # The verifier makes of the status what it is for: of the device, and of who signed its RIMs.
    found = endorsements_for(evidence, place.cache.read().items, anchors=place.anchors, now=now)
    verified = verify_nvidia(
        evidence, anchors=place.anchors, endorsements=found, now=now, steps=Steps()
    )
    assert len(verified.detail.references.matches) == 2
    assert verified.detail.unknown_status == ()


def test_the_status_of_a_rim_s_signer_is_needed_once_it_is_known(
    workplace: Callable[..., Workplace],
    services: VendorServices,
    nvidia: MockNvidia,
    now: datetime,
) -> None:
    place = workplace(nvidia.anchors)
    serve_nvidia(services, nvidia)
    evidence = nvidia.evidence()
    complete(place, evidence)
    rims = [i for i in place.cache.read().items if i.subject.kind is Kind.NVIDIA_RIM]
    signer, root = map(parse_certificate, nvidia.rim_chain())
    status = Need(options=(ocsp_subject(signer, issuer=root),))

    def needed(held: list[Item], at: datetime) -> bool:
        return status in needs_of(evidence, held, anchors=place.anchors, now=at)

    assert not needed([], now)
    for rim in rims:
        assert needed([rim], now)
    # A RIM that is stale is asked for anew, and may come back from another signer.
    late = [replace(rim, window=replace(rim.window, ends=now)) for rim in rims]
    assert not needed(late, now + timedelta(seconds=1))
    # What a broker holds of other devices' RIMs is their business.
    other = nvidia.rim(MockRim(version="1"))
    named = nvidia_rim("NV_GPU_DRIVER_GH100_1")
    assert not needed([make_item(named, other, source="", fetched_at=now)], now)


def test_a_rim_whose_signer_is_revoked_is_kept_for_the_verifier_to_refuse(
    workplace: Callable[..., Workplace],
    services: VendorServices,
    nvidia: MockNvidia,
    now: datetime,
) -> None:
    place = workplace(nvidia.anchors)
    serve_nvidia(services, nvidia)
    status = services.routes["/"]
    assert callable(status)
    number = der.encode_integer(RIM_SIGNER_SERIAL)

    def revoked(asked: Asked) -> Says:
        if asked.body.endswith(number):
            return Says(body=nvidia.rim_ocsp(revoked=1))
        return status(asked)

    services.routes["/"] = revoked
    evidence = nvidia.evidence()
    complete(place, evidence)
    with pytest.raises(VerificationError) as caught:
        verify_nvidia(
            evidence,
            anchors=place.anchors,
            endorsements=place.cache.load(now),
            now=now,
            steps=Steps(),
        )
    assert caught.value.code is Code.EVIDENCE_REVOKED
    assert "mock RIM signer" in caught.value.message


def test_a_device_of_a_machine_is_looked_after_too(
    workplace: Callable[..., Workplace],
    services: VendorServices,
    nvidia: MockNvidia,
    intel: MockIntel,
    now: datetime,
) -> None:
    anchors = replace(intel.anchors(), roots={**intel.anchors().roots, **nvidia.anchors.roots})
    place = workplace(anchors)
    serve_nvidia(services, nvidia)
    serve_intel(services, intel, TD_QUOTE, is_pccs=False)
    gpu = nvidia.evidence()
    evidence = replace(intel.evidence(TD_QUOTE), devices=(gpu, gpu))
    assert len(complete(place, evidence).fetched) == 7


def test_a_name_that_may_differ_is_tried_in_turn(
    workplace: Callable[..., Workplace], services: VendorServices, nvidia: MockNvidia
) -> None:
    place = workplace(nvidia.anchors)
    report = MockReport().with_opaque(f3=b"575.32\0", f20=None)
    serve_nvidia(services, nvidia, device=BLACKWELL)
    rim = nvidia.rim(MockRim(product="GB100-CC", version="575.32"))
    services.routes["/v1/rim/NV_GPU_CC_DRIVER_GB100_575.32"] = Says(
        body=rim_answer("NV_GPU_CC_DRIVER_GB100_575.32", rim)
    )
    complete(place, nvidia.evidence(report, device=BLACKWELL))
    assert "nvidia-rim/NV_GPU_CC_DRIVER_GB100_575.32" in place.names()


def wrong_rims(nvidia: MockNvidia, now: datetime) -> dict[str, tuple[bytes, Code]]:
    good = nvidia.rim(MockRim())
    altered = good.replace(b'index="40"', b'index="42"')
    assert altered != good
    old = nvidia.rim(MockRim(), not_after=now - timedelta(seconds=1))
    malformed, mismatch = Code.ENDORSEMENT_MALFORMED, Code.ENDORSEMENT_MISMATCH
    return {
        "another-id": (rim_answer("NV_GPU_DRIVER_GH100_1", good), mismatch),
        "another-digest": (rim_answer(DRIVER_ID, good, sha256="00" * 32), malformed),
        "no-digest": (rim_answer(DRIVER_ID, good, sha256=None), malformed),
        "no-rim": (rim_answer(DRIVER_ID, good, rim=None), malformed),
        "not-base64": (rim_answer(DRIVER_ID, good, rim="?"), malformed),
        "list": (b"[]", malformed),
        "html": (b"<html>", malformed),
        "cut": (rim_answer(DRIVER_ID, good[:-30]), malformed),
        "another-version": (
            rim_answer(DRIVER_ID, nvidia.rim(MockRim(version="550.90.08"))),
            mismatch,
        ),
        "another-product": (rim_answer(DRIVER_ID, nvidia.rim(MockRim(product="LS100"))), mismatch),
        "altered": (rim_answer(DRIVER_ID, altered), Code.ENDORSEMENT_SIGNATURE),
        "old": (rim_answer(DRIVER_ID, old), Code.ENDORSEMENT_STALE),
    }


WRONG_RIMS = (
    *("another-id", "another-digest", "no-digest", "no-rim", "not-base64", "list", "html", "cut"),
    *("another-version", "another-product", "altered", "old"),
)


@pytest.mark.parametrize("name", WRONG_RIMS)
def test_a_wrong_rim_never_enters_the_cache(
    workplace: Callable[..., Workplace],
    services: VendorServices,
    nvidia: MockNvidia,
    now: datetime,
    name: str,
) -> None:
    place = workplace(nvidia.anchors)
    serve_nvidia(services, nvidia)
    body, code = wrong_rims(nvidia, now)[name]
    services.routes[f"/v1/rim/{DRIVER_ID}"] = Says(body=body)
    assert refusal(place, nvidia.evidence()).code is code
    assert not any(DRIVER_ID in held for held in place.names())


def test_a_rim_under_another_root_is_not_taken(
    workplace: Callable[..., Workplace], services: VendorServices, nvidia: MockNvidia
) -> None:
    other = MockNvidia(now=workplace(nvidia.anchors).clock.now())
    place = workplace(nvidia.anchors)
    serve_nvidia(services, nvidia)
    rim = other.rim(MockRim())
    services.routes[f"/v1/rim/{DRIVER_ID}"] = Says(body=rim_answer(DRIVER_ID, rim))
    assert refusal(place, nvidia.evidence()).code is Code.ENDORSEMENT_SIGNATURE


def test_a_vbios_rim_of_another_version_is_not_taken(
    workplace: Callable[..., Workplace], services: VendorServices, nvidia: MockNvidia
) -> None:
    place = workplace(nvidia.anchors)
    serve_nvidia(services, nvidia)
    rim = nvidia.rim(MockRim(version="96.00.5E.00.03"))
    services.routes[f"/v1/rim/{VBIOS_ID}"] = Says(body=rim_answer(VBIOS_ID, rim))
    assert refusal(place, nvidia.evidence()).code is Code.ENDORSEMENT_MISMATCH


@pytest.mark.parametrize(
    ("changes", "code"),
    [
        ({"next_update": None}, Code.ENDORSEMENT_MALFORMED),
        ({"next_update": "past"}, Code.ENDORSEMENT_STALE),
        ({"position": 2}, Code.ENDORSEMENT_MISMATCH),
        ({"body": b"junk"}, Code.ENDORSEMENT_MALFORMED),
    ],
    ids=["without-end", "stale", "another-certificate", "junk"],
)
def test_a_status_that_says_nothing_is_not_kept(
    workplace: Callable[..., Workplace],
    services: VendorServices,
    nvidia: MockNvidia,
    now: datetime,
    changes: dict[str, Any],
    code: Code,
) -> None:
    place = workplace(nvidia.anchors)
    if changes.get("next_update") == "past":
        changes = {"next_update": now - timedelta(minutes=1)}
    serve_nvidia(services, nvidia, **({} if "next_update" not in changes else changes))
    if "position" in changes:
        services.routes["/"] = Says(body=nvidia.ocsp(BLACKWELL, changes["position"]))
    if "body" in changes:
        services.routes["/"] = Says(body=changes["body"])
    assert refusal(place, nvidia.evidence()).code is code
    assert not any("ocsp" in name for name in place.names())


def test_a_revocation_is_kept_for_the_verifier_to_refuse(
    workplace: Callable[..., Workplace],
    services: VendorServices,
    nvidia: MockNvidia,
    now: datetime,
) -> None:
    place = workplace(nvidia.anchors)
    serve_nvidia(services, nvidia, revoked=1)
    evidence = nvidia.evidence()
    complete(place, evidence)
    with pytest.raises(VerificationError) as caught:
        verify_nvidia(
            evidence,
            anchors=place.anchors,
            endorsements=place.cache.load(now),
            now=now,
            steps=Steps(),
        )
    assert caught.value.code is Code.EVIDENCE_REVOKED


def test_a_device_that_nvidia_did_not_make_is_not_asked_for(
    workplace: Callable[..., Workplace], services: VendorServices, nvidia: MockNvidia
) -> None:
    error = refusal(workplace(vendor_anchors()), nvidia.evidence())
    assert error.code is Code.EVIDENCE_ROOT
    assert services.asked == []


@pytest.mark.parametrize("kind", [EvidenceKind.NITRO, EvidenceKind.TPM_VM])
def test_evidence_that_brings_everything_needs_nothing(
    workplace: Callable[..., Workplace], services: VendorServices, kind: EvidenceKind
) -> None:
    place = workplace(vendor_anchors())
    evidence = Evidence(kind=kind, report=b"", certificates=())
    assert complete(place, evidence) == Refreshed(fetched=(), postponed=())
    assert services.asked == []
