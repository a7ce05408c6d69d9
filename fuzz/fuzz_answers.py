"""What vendors' services answer, taken as `broker.endorsements` takes it, without a network."""

from __future__ import annotations

import base64
import hashlib
import json
from collections.abc import Callable, Iterator
from functools import cache, partial
from typing import Any
from urllib.parse import quote

import fuzz_world as world

from sealtune.attestation.anchors import Product, TrustAnchors
from sealtune.attestation.dcap_quote import Tee
from sealtune.attestation.endorsements import EndorsementType
from sealtune.attestation.snp_report import Signer
from sealtune.broker.endorsements.fetch import HttpAnswer, Question
from sealtune.broker.endorsements.items import Item, make_item
from sealtune.broker.endorsements.needs import Need
from sealtune.broker.endorsements.nvidia import ocsp_subject
from sealtune.broker.endorsements.sources import Services, Sources
from sealtune.broker.endorsements.subjects import (
    Subject,
    amd_authorities,
    amd_crl,
    amd_key,
    intel_set,
    nvidia_rim,
)
from sealtune.crypto.x509 import parse_certificate
from sealtune.errors import Code, TransportError
from sealtune.testing.clock import VirtualClock
from sealtune.testing.mock_amd import MockVek, encode_tcb
from sealtune.testing.mock_nvidia import HOPPER

_SPLIT = b"\n====\n"
_RIM_ID = "NV_GPU_DRIVER_GH100_550.90.07"
# Which part of the input answers which question, and in which header its chain stands.
_INTEL = (
    ("/tcb?", 0, "tcb-info-issuer-chain"),
    ("/qe/identity", 2, "sgx-enclave-identity-issuer-chain"),
    ("/pckcrl", 4, "sgx-pck-crl-issuer-chain"),
    ("", 6, ""),
)


class _Answers:
    """Answers every question with the input, or with the part of it that is meant for it."""

    def __init__(self, data: bytes) -> None:
        self._parts = (*data.split(_SPLIT, 6), *[b""] * 7)

    def ask(self, question: Question) -> HttpAnswer:
        body, headers = self._parts[0], {}
        if "/sgx/" in question.url or "/tdx/" in question.url or "SGXRoot" in question.url:
            place, name = next(item[1:] for item in _INTEL if item[0] in question.url)
            body, headers = self._parts[place], {name: self._parts[place + 1].decode("latin-1")}
        if len(body) > question.limit:
            raise TransportError(Code.FETCH_FAILED, "larger than was asked for")
        return HttpAnswer(url=question.url, body=body, headers=headers)


@cache
def _subjects() -> tuple[tuple[Subject, bool], ...]:
    """Return what is asked for, and whether of Azure's service."""
    vek = MockVek()
    key = amd_key(vek.product, chip_id=vek.hwid, tcb=encode_tcb(vek.tcb))
    leaf, issuer, *_ = map(parse_certificate, world.nvidia().chain(HOPPER))
    pck = world.TD_QUOTE.pck
    return (
        (key, True),
        (key, False),
        (amd_authorities(Product.GENOA, Signer.VCEK)[0], False),
        (amd_crl(Product.GENOA, Signer.VCEK), False),
        (intel_set(Tee.TDX, fmspc=pck.fmspc, ca=pck.ca), False),
        (nvidia_rim(_RIM_ID), False),
        (ocsp_subject(leaf, issuer=issuer), False),
    )


@cache
def _anchors() -> TrustAnchors:
    mocks = (world.amd().anchors(), world.intel().anchors(), world.nvidia().anchors)
    return TrustAnchors(
        roots={digest: root for mock in mocks for digest, root in mock.roots.items()}
    )


@cache
def _held() -> tuple[Item, ...]:
    """Return AMD's authorities, so that keys and lists are not asked together with their chain."""
    named = zip(
        amd_authorities(Product.GENOA, Signer.VCEK), world.amd().chain(MockVek())[1:], strict=True
    )
    return tuple(
        make_item(subject, data, source="https://kds.example", fetched_at=world.NOW)
        for subject, data in named
    )


def fetching(data: bytes) -> Callable[[], object]:
    """Return the fetching of an endorsement where all services answer with `data`.

    Its first byte says which endorsement.
    """
    subject, is_azure = _subjects()[data[0] % len(_subjects()) if data else 0]
    fetcher: Any = _Answers(data[1:])
    sources = Sources(
        fetcher,
        services=Services(thim="http://169.254.169.254" if is_azure else None),
        anchors=_anchors(),
        clock=VirtualClock(world.NOW),
    )
    return partial(sources.fetch, Need(options=(subject,)), held=_held())


def answers() -> Iterator[bytes]:
    """Yield an honest answer about each endorsement."""
    leaf, middle, root = world.amd().chain(MockVek())
    chain = world.mock_intel.pem(middle, root)
    thim = {"vcekCert": world.mock_intel.pem(leaf), "certificateChain": chain}
    yield b"\0" + json.dumps(thim).encode()
    yield b"\1" + leaf
    yield b"\2" + chain.encode()
    yield b"\3" + world.amd().revocation_list(7)
    yield b"\4" + _intel()
    (rim, *_) = world.nvidia_endorsements().of(EndorsementType.NVIDIA_RIM)
    answer = {
        "id": _RIM_ID,
        "rim": base64.b64encode(rim).decode(),
        "sha256": hashlib.sha256(rim).hexdigest(),
    }
    yield b"\5" + json.dumps(answer).encode()
    yield b"\6" + world.nvidia_endorsements().of(EndorsementType.OCSP)[0]


def _intel() -> bytes:
    mock, asked = world.intel(), world.TD_QUOTE
    ca = asked.pck.ca
    authority = mock.authority(ca.common_name, mock.ca_keys[ca])
    signing = quote(world.mock_intel.pem(mock.tcb_signing, mock.root_certificate)).encode()
    return _SPLIT.join(
        (
            mock.signed_body("tcbInfo", mock.tcb_info(asked.pck, is_td=True)),
            signing,
            mock.signed_body("enclaveIdentity", mock.qe_identity(is_td=True)),
            signing,
            mock.crl(ca.common_name),
            quote(world.mock_intel.pem(authority, mock.root_certificate)).encode(),
            mock.crl(world.mock_intel.ROOT_NAME),
        )
    )
