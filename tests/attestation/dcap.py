"""What the tests of Intel's evidence share: recorded quotes, a mock, attempts in one line."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from functools import cache
from pathlib import Path
from typing import Any

import pytest

from sealtune.attestation.anchors import TrustAnchors, vendor_anchors
from sealtune.attestation.endorsements import Endorsements
from sealtune.attestation.evidence import Evidence, EvidenceKind
from sealtune.attestation.steps import Steps
from sealtune.attestation.verified import AuthenticEvidence
from sealtune.attestation.verify import authenticate_evidence
from sealtune.errors import Code, SealtuneError
from sealtune.testing.mock_intel import MockIntel, MockQuote, dcap_endorsements

# (quote, collateral, seconds): genuine, and accepted at that time.
TDX = ("tdx/phala-v4/tdx_quote", "tdx/phala-v4/tdx_quote_collateral.json", 1751624191)
SGX = ("sgx/phala-v3/sgx_quote", "sgx/phala-v3/sgx_quote_collateral.json", 1751624924)
Recorded = tuple[str, str, int]
NOW = datetime(2026, 11, 23, 12, 0, 0, tzinfo=UTC)


@cache
def mock_intel() -> MockIntel:
    """A mock of Intel's hierarchy, valid around the tests' present."""
    return MockIntel(now=NOW)


def recorded_bytes(folder: Path, name: str) -> bytes:
    """The quote in the file `name`; some are written in hexadecimal."""
    data = (folder / name).read_bytes()
    return bytes.fromhex(data.decode().strip().removeprefix("0x")) if name.endswith("hex") else data


def collateral(folder: Path, name: str) -> Endorsements:
    """The recorded set in the file `name`."""
    return dcap_endorsements((folder / name).read_bytes())


def at(seconds: int) -> datetime:
    """That moment."""
    return datetime.fromtimestamp(seconds, UTC)


def evidence(kind: str, quote: bytes, event_log: bytes | None = None) -> Evidence:
    """Evidence of `kind` with that quote."""
    parts = {} if event_log is None else {"event_log": event_log}
    return Evidence(kind=EvidenceKind(kind), report=quote, certificates=(), parts=parts)


def authentic(
    given: Evidence,
    endorsements: Endorsements,
    now: datetime,
    *,
    anchors: TrustAnchors | None = None,
    steps: Steps | None = None,
) -> AuthenticEvidence:
    """Verify `given` under the vendors' roots, or under `anchors`."""
    return authenticate_evidence(
        given,
        anchors=anchors or vendor_anchors(),
        endorsements=endorsements,
        now=now,
        steps=steps or Steps(),
    )


def refusal(
    given: Evidence,
    endorsements: Endorsements,
    now: datetime,
    *,
    anchors: TrustAnchors | None = None,
) -> Code:
    """The code with which `given` is refused."""
    with pytest.raises(SealtuneError) as caught:
        authentic(given, endorsements, now, anchors=anchors)
    return caught.value.code


def mock_authentic(quote: MockQuote, **parts: Any) -> AuthenticEvidence:
    """Verify `quote` of the mock with its endorsements, of which `parts` are replaced."""
    mock = mock_intel()
    endorsements = mock.endorsements(quote, **parts)
    return authentic(mock.evidence(quote), endorsements, NOW, anchors=mock.anchors())


def mock_refusal(quote: MockQuote, **parts: Any) -> Code:
    """The code with which `quote` of the mock is refused."""
    with pytest.raises(SealtuneError) as caught:
        mock_authentic(quote, **parts)
    return caught.value.code


def edited(endorsement: bytes, **changes: str) -> Endorsements:
    """The set with some members replaced, signatures as they were."""
    return dcap_endorsements(json.dumps({**json.loads(endorsement), **changes}).encode())
