"""The fetcher with bytes that vendors really signed, served by a local server."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from urllib.parse import quote as percent

import pytest

from broker.mock_vendors import Workplace, rim_answer
from broker.vendor_services import Says, VendorServices
from sealtune.attestation.anchors import vendor_anchors
from sealtune.attestation.evidence import Evidence, EvidenceKind
from sealtune.attestation.forms.read import read_evidence
from sealtune.attestation.rim import parse_rim
from sealtune.broker.endorsements.cache import EndorsementCache
from sealtune.broker.endorsements.needs import Need, needs_of
from sealtune.broker.endorsements.subjects import nvidia_rim
from sealtune.crypto.x509 import certificates_from_pem, parse_certificate
from sealtune.errors import Code, SealtuneError, TransportError
from sealtune.testing.clock import VirtualClock


@pytest.fixture(scope="module")
def folder(shared_dir: Path) -> Path:
    return shared_dir / "vectors"


@pytest.fixture(scope="module")
def entries(folder: Path) -> dict[str, dict[str, Any]]:
    listing = json.loads((folder / "expected.json").read_text())
    return {entry["id"]: entry for entry in listing}


@pytest.fixture
def place_at(tmp_path: Path) -> Iterator[Callable[[float], Workplace]]:
    """A place at a time, with AMD's, Intel's and NVIDIA's own roots and no others."""
    with VendorServices() as services:
        yield lambda seconds: Workplace(
            cache=EndorsementCache(tmp_path / "endorsements"),
            services=services,
            clock=VirtualClock(datetime.fromtimestamp(seconds, UTC)),
            anchors=vendor_anchors(),
        )


AMD = {
    "ms-milan": "Milan",
    "ms-turin": "Turin",
    "gsg-milan": "Milan",
    "coco-milan": "Milan",
    "ars-genoa-v5": "Genoa",
    "dstack-milan": "Milan",
}


@pytest.mark.parametrize("name", AMD)
def test_a_real_chip_s_key_is_asked_for_and_taken(
    folder: Path,
    entries: dict[str, dict[str, Any]],
    place_at: Callable[[float], Workplace],
    name: str,
) -> None:
    entry = entries[f"snp/{name}"]
    place = place_at(entry["verify_time"])
    report = (folder / entry["report"]).read_bytes()
    evidence = Evidence(kind=EvidenceKind.SEV_SNP, report=report, certificates=())
    data = (folder / entry["vek"]).read_bytes()
    leaf = certificates_from_pem(data)[0] if entry["vek"].endswith(".pem") else data
    levels = entry["report_fields"]["reported_tcb"]
    query = "&".join(
        f"{level}SPL={levels[level]:02d}"
        for level in ("fmc", "bl", "tee", "snp", "ucode")
        if level in levels
    )
    chip = entry["report_fields"]["chip_id"][: 16 if AMD[name] == "Turin" else 128]
    place.services.routes[f"/vcek/v1/{AMD[name]}/{chip}?{query}"] = Says(body=leaf)
    place.services.routes[f"/vcek/v1/{AMD[name]}/cert_chain"] = Says(
        body=(folder / entry["chain"]).read_bytes()
    )
    # No revocation list of AMD's is at hand: it is asked for last, and what came before stays.
    with pytest.raises(TransportError) as caught:
        place.refresher().complete(evidence, note=lambda _: None)
    assert f"/vcek/v1/{AMD[name]}/crl" in caught.value.message
    kinds = [item.subject.kind for item in place.cache.read().items]
    assert kinds == ["amd-authority", "amd-authority", "amd-key"]
    assert leaf in {item.endorsement.data for item in place.cache.read().items}


def test_a_real_vlek_is_not_asked_for(
    folder: Path, entries: dict[str, dict[str, Any]], place_at: Callable[[float], Workplace]
) -> None:
    entry = entries["snp/coco-milan-vlek"]
    place = place_at(entry["verify_time"])
    report = (folder / entry["report"]).read_bytes()
    evidence = Evidence(kind=EvidenceKind.SEV_SNP, report=report, certificates=())
    with pytest.raises(SealtuneError) as caught:
        place.refresher().complete(evidence, note=lambda _: None)
    assert caught.value.code is Code.ENDORSEMENT_MISSING
    assert place.services.asked == []


def serve_set(services: VendorServices, composed: dict[str, str], *, tee: str, fmspc: str) -> None:
    """Serve the parts of a composed set as Intel's service answers with them."""
    base = f"/{tee}/certification/v4"

    def signed(name: str, part: str) -> bytes:
        signature = composed[f"{part}_signature"]
        return f'{{"{name}":{composed[part]},"signature":"{signature}"}}'.encode()

    def chain(part: str) -> str:
        return percent(composed[f"{part}_issuer_chain"])

    services.routes[f"{base}/tcb?fmspc={fmspc}"] = Says(
        body=signed("tcbInfo", "tcb_info"),
        headers={"TCB-Info-Issuer-Chain": chain("tcb_info")},
    )
    services.routes[f"{base}/qe/identity"] = Says(
        body=signed("enclaveIdentity", "qe_identity"),
        headers={"SGX-Enclave-Identity-Issuer-Chain": chain("qe_identity")},
    )
    services.routes["/sgx/certification/v4/pckcrl?ca=platform&encoding=der"] = Says(
        body=bytes.fromhex(composed["pck_crl"]),
        headers={"SGX-PCK-CRL-Issuer-Chain": chain("pck_crl")},
    )
    services.routes["/IntelSGXRootCA.der"] = Says(body=bytes.fromhex(composed["root_ca_crl"]))


INTEL = {
    "gcp-tdx": (
        "tdx/gtg-ccel/cos-113-tdx-quote.dat",
        ("tdx-00806f05-2025-07", "tdx", "00806f050000", 1753175614),
    ),
    "dstack-tdx": (
        "tdx/dstack/quote-report.quote.bin",
        ("tdx-90c06f-2026-03", "tdx", "90c06f000000", 1774995607),
    ),
    "occlum-sgx": (
        "sgx/coco-occlum/occlum_quote.dat",
        ("sgx-00606a-2025-08", "sgx", "00606a000000", 1756530546),
    ),
}


def quote_evidence(folder: Path, path: str, tee: str) -> Evidence:
    kind = EvidenceKind(tee)
    return Evidence(kind=kind, report=(folder / path).read_bytes(), certificates=())


@pytest.mark.parametrize("name", INTEL)
def test_a_real_platform_s_set_is_composed_byte_for_byte(
    folder: Path, place_at: Callable[[float], Workplace], name: str
) -> None:
    quote, (composed, tee, fmspc, moment) = INTEL[name]
    text = (folder / "intel-collateral" / "composed" / f"{composed}.json").read_text()
    value = json.loads(text)
    place = place_at(moment)
    serve_set(place.services, value, tee=tee, fmspc=fmspc)
    done = place.refresher().complete(quote_evidence(folder, quote, tee), note=lambda _: None)
    (item,) = done.fetched
    assert item.subject.text == f"intel-set/{tee.upper()}/{fmspc}/platform"
    made = json.loads(item.endorsement.data)
    assert {name: made[name] for name in value if name in made} == {
        name: value[name] for name in value if name in made
    }


def test_a_real_set_of_two_months_is_not_taken(
    folder: Path, place_at: Callable[[float], Workplace]
) -> None:
    quote, (_, tee, fmspc, moment) = INTEL["dstack-tdx"]
    path = folder / "intel-collateral" / "composed" / "tdx-90c06f-2026-02.json"
    place = place_at(moment)
    serve_set(place.services, json.loads(path.read_text()), tee=tee, fmspc=fmspc)
    with pytest.raises(SealtuneError) as caught:
        place.refresher().complete(quote_evidence(folder, quote, tee), note=lambda _: None)
    assert caught.value.code is Code.ENDORSEMENT_MISMATCH
    assert place.names() == []


def test_a_real_gpu_names_the_rims_that_it_needs(folder: Path) -> None:
    data = (folder / "nvidia" / "sdk-serialized" / "hopper_evidence.json").read_bytes()
    (evidence,) = read_evidence(data, kind=None, what="evidence")
    now = datetime(2026, 1, 1, tzinfo=UTC)
    needs = [str(need) for need in needs_of(evidence, [], anchors=vendor_anchors(), now=now)]
    assert needs[0] == "NVIDIA RIM NV_GPU_DRIVER_GH100_590.12"
    assert needs[1].startswith("NVIDIA RIM NV_GPU_VBIOS_")
    assert [need.startswith("NVIDIA OCSP status") for need in needs[2:]] == [True] * 3


RIMS = {
    "NV_GPU_VBIOS_1010_0200_882_96005E0001": (
        "nvtrust-samples/1010_0200_882_96005E0001_PROD.swidtag"
    ),
    "NV_GPU_DRIVER_GH100_550.144.03": "sdk-unit/NV_GPU_DRIVER_GH100_550.144.03.xml",
    "NV_SWITCH_BIOS_5612_0002_890_9610550001": (
        "sdk-unit/switchVBIOSRim_NV_SWITCH_BIOS_5612_0002_890_9610550001.xml"
    ),
}


@pytest.mark.parametrize("rim_id", RIMS)
def test_a_real_rim_is_taken_under_its_id_and_no_other(
    folder: Path, place_at: Callable[[float], Workplace], rim_id: str
) -> None:
    rim = (folder / "nvidia" / RIMS[rim_id]).read_bytes()
    first = certificates_of(rim)
    place = place_at(first)
    place.services.routes[f"/v1/rim/{rim_id}"] = Says(body=rim_answer(rim_id, rim))
    (item,) = place.sources().fetch(Need(options=(nvidia_rim(rim_id),)), held=())
    assert item.endorsement.data == rim
    other = rim_id[:-1] + "9"
    place.services.routes[f"/v1/rim/{other}"] = Says(body=rim_answer(other, rim))
    with pytest.raises(SealtuneError) as caught:
        place.sources().fetch(Need(options=(nvidia_rim(other),)), held=())
    assert caught.value.code is Code.ENDORSEMENT_MISMATCH


def certificates_of(rim: bytes) -> float:
    """Return a time at which all certificates of a RIM are valid."""
    certificates = map(parse_certificate, parse_rim(rim).document.certificates)
    return max(certificate.not_before for certificate in certificates).timestamp() + 86_400


@pytest.mark.parametrize(
    "path",
    [
        "sdk-rims/NV_GPU_DRIVER_GH100_535.86.09_measurement_mismatch.xml",
        "sdk-unit/incorrect_signature_driver_rim.xml",
        "sdk-unit/incorrect_cert_chain_driver_rim.xml",
    ],
    ids=["altered", "incorrect-signature", "incorrect-chain"],
)
def test_a_rim_that_nvidia_did_not_sign_is_not_taken(
    folder: Path, place_at: Callable[[float], Workplace], path: str
) -> None:
    rim = (folder / "nvidia" / path).read_bytes()
    place = place_at(certificates_of(rim))
    content = parse_rim(rim).content
    rim_id = f"NV_GPU_DRIVER_{content.product}_{content.version}"
    place.services.routes[f"/v1/rim/{rim_id}"] = Says(body=rim_answer(rim_id, rim))
    with pytest.raises(SealtuneError) as caught:
        place.sources().fetch(Need(options=(nvidia_rim(rim_id),)), held=())
    assert caught.value.code is Code.ENDORSEMENT_SIGNATURE
