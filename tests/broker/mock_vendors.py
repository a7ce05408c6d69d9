"""Vendors' services that serve mock hierarchies: what AMD, Intel and NVIDIA would answer."""

from __future__ import annotations

import base64
import hashlib
import json
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Any
from urllib.parse import quote as percent

from broker.vendor_services import Asked, Says, VendorServices
from sealtune.attestation.anchors import TrustAnchors
from sealtune.attestation.dcap_pck import ROOT_NAME
from sealtune.attestation.evidence import Evidence
from sealtune.attestation.snp_report import Signer, Tcb
from sealtune.broker.endorsements.cache import EndorsementCache
from sealtune.broker.endorsements.fetch import Fetcher, Manners
from sealtune.broker.endorsements.refresh import Refresher
from sealtune.broker.endorsements.sources import Services, Sources
from sealtune.crypto import der
from sealtune.crypto.x509_builder import CrlFields, build_crl
from sealtune.testing.clock import VirtualClock
from sealtune.testing.mock_amd import MockAmd, MockVek
from sealtune.testing.mock_intel import MockIntel, MockQuote, pem
from sealtune.testing.mock_nvidia import (
    HOPPER,
    RIM_SIGNER_SERIAL,
    VBIOS_RIM,
    MockDevice,
    MockNvidia,
    MockRim,
)

VBIOS_ID = "NV_GPU_VBIOS_1010_0200_882_96005E0001"
DRIVER_ID = "NV_GPU_DRIVER_GH100_550.90.07"
_MOCK_ORGANIZATION = ("2.5.4.10", "INSECURE sealtune mock, not AMD")


def vcek_path(vek: MockVek) -> str:
    """Return what AMD's service is asked for the VCEK of `vek`."""
    return f"/vcek/v1/{vek.product}/{vek.hwid.hex()}?{_levels(vek.tcb)}"


def _levels(tcb: Tcb) -> str:
    first = "" if tcb.fmc is None else f"fmcSPL={tcb.fmc:02d}&"
    rest = f"blSPL={tcb.bl:02d}&teeSPL={tcb.tee:02d}&snpSPL={tcb.snp:02d}&ucodeSPL={tcb.ucode:02d}"
    return first + rest


def amd_crl_of(
    mock: MockAmd, vek: MockVek, *, now: datetime, days: float = 30.0, issuer: str = ""
) -> bytes:
    """Return a revocation list of the mock ARK, with nothing in it, issued a day ago."""
    fields = CrlFields(
        issuer=(_MOCK_ORGANIZATION, ("2.5.4.3", issuer or f"ARK-{vek.product}")),
        this_update=now - timedelta(days=1),
        next_update=now + timedelta(days=days),
        revoked={},
    )
    return build_crl(fields, key=mock.ark_key)


def serve_amd(services: VendorServices, mock: MockAmd, vek: MockVek, *, now: datetime) -> None:
    """Serve the certificates of `vek` and the list of its root, as AMD's service does."""
    leaf, middle, root = mock.chain(vek)
    signer = vek.signer.lower()
    if vek.signer is Signer.VCEK:
        services.routes[vcek_path(vek)] = Says(body=leaf)
    services.routes[f"/{signer}/v1/{vek.product}/cert_chain"] = Says(
        body=pem(middle, root).encode()
    )
    services.routes[f"/{signer}/v1/{vek.product}/crl"] = Says(body=amd_crl_of(mock, vek, now=now))


def serve_thim(services: VendorServices, mock: MockAmd, vek: MockVek) -> None:
    """Serve the certificates of `vek` as Azure's metadata service does."""
    leaf, middle, root = mock.chain(vek)
    answer = {
        "vcekCert": pem(leaf),
        "certificateChain": pem(middle, root),
        "tcbm": "0000000000000000",
        "cacheControl": "86400",
    }
    services.routes["/metadata/THIM/amd/certification"] = Says(body=json.dumps(answer).encode())


def serve_intel(
    services: VendorServices, mock: MockIntel, quote: MockQuote, *, is_pccs: bool, **parts: Any
) -> None:
    """Serve Intel's documents for the platform of `quote`; `parts` replaces members of the JSON.

    A PCCS has the root's list under its own path, and spells lists in hexadecimal.
    """
    tee, ca = ("tdx" if quote.is_td else "sgx"), quote.pck.ca
    signing = percent(pem(mock.tcb_signing, mock.root_certificate))
    authority = mock.authority(ca.common_name, mock.ca_keys[ca])
    info = parts.get("tcb_info") or mock.tcb_info(quote.pck, is_td=quote.is_td)
    identity = parts.get("qe_identity") or mock.qe_identity(is_td=quote.is_td)
    crl = parts.get("pck_crl") or mock.crl(ca.common_name)
    root = parts.get("root_crl") or mock.crl(ROOT_NAME)
    base = f"/{tee}/certification/v4"
    services.routes[f"{base}/tcb?fmspc={quote.pck.fmspc.hex()}"] = Says(
        body=mock.signed_body("tcbInfo", info), headers={"TCB-Info-Issuer-Chain": signing}
    )
    services.routes[f"{base}/qe/identity"] = Says(
        body=mock.signed_body("enclaveIdentity", identity),
        headers={"SGX-Enclave-Identity-Issuer-Chain": signing},
    )
    services.routes[f"/sgx/certification/v4/pckcrl?ca={ca}&encoding=der"] = Says(
        body=crl.hex().encode() if is_pccs else crl,
        headers={"SGX-PCK-CRL-Issuer-Chain": percent(pem(authority, mock.root_certificate))},
    )
    place = "/sgx/certification/v4/rootcacrl" if is_pccs else "/IntelSGXRootCA.der"
    services.routes[place] = Says(body=root.hex().encode() if is_pccs else root)


def rim_answer(rim_id: str, document: bytes, **changes: Any) -> bytes:
    """Return what NVIDIA's service says about a RIM; `changes` replaces members."""
    answer = {
        "id": rim_id,
        "rim": base64.b64encode(document).decode(),
        "sha256": hashlib.sha256(document).hexdigest(),
        "last_updated": "2026-01-01T00:00:00.000000",
        "rim_format": "TCG",
        "request_id": "mock",
        **changes,
    }
    return json.dumps(answer).encode()


def serve_nvidia(
    services: VendorServices, mock: MockNvidia, *, device: MockDevice = HOPPER, **ocsp: Any
) -> None:
    """Serve RIMs and OCSP for an honest Hopper GPU; `ocsp` changes every OCSP answer."""
    rims = {
        DRIVER_ID: mock.rim(MockRim()),
        VBIOS_ID: mock.rim(VBIOS_RIM),
    }
    for rim_id, rim in rims.items():
        services.routes[f"/v1/rim/{rim_id}"] = Says(body=rim_answer(rim_id, rim))
    serials = {device.serial: 1, 3: 2, 2: 3, RIM_SIGNER_SERIAL: 0}

    def status(asked: Asked) -> Says:
        assert asked.headers["content-type"] == "application/ocsp-request"
        position = next(
            place
            for serial, place in serials.items()
            if asked.body.endswith(der.encode_integer(serial))
        )
        if position == 0:
            return Says(body=mock.rim_ocsp(**ocsp))
        return Says(body=mock.ocsp(device, position, **ocsp))

    services.routes["/"] = status


@dataclass(frozen=True, kw_only=True)
class Workplace:
    """A cache, the local services that fill it, and a clock under the test's hand."""

    cache: EndorsementCache
    services: VendorServices
    clock: VirtualClock
    anchors: TrustAnchors
    thim: bool = False
    pccs: tuple[str, ...] = ()

    def sources(self) -> Sources:
        url = self.services.url
        fetcher = Fetcher(
            clock=self.clock,
            manners=Manners(attempts=2, interval_s=0, sleep=self.clock.advance),
            authorities=None,
            insecure_http=True,
        )
        services = Services(
            kds=url,
            pcs=url,
            root_crl=f"{url}/IntelSGXRootCA.der",
            pccs=self.pccs,
            rim=url,
            ocsp=url,
            thim=url if self.thim else None,
        )
        return Sources(fetcher, services=services, anchors=self.anchors, clock=self.clock)

    def refresher(self) -> Refresher:
        return Refresher(
            self.cache, sources=self.sources(), anchors=self.anchors, now=self.clock.now
        )

    def names(self) -> list[str]:
        """Return the names of what the cache holds."""
        return [item.subject.text for item in self.cache.read().items]


def bare(evidence: Evidence) -> Evidence:
    """Return `evidence` as a machine sends it that attaches no certificates."""
    return replace(evidence, certificates=())
