"""Quotes of real TPMs, in the production verifier."""

from __future__ import annotations

import base64
import json
from pathlib import Path
from typing import Any

import pytest

from sealtune.attestation.anchors import RootUse, vendor_anchors
from sealtune.attestation.endorsements import NO_ENDORSEMENTS
from sealtune.attestation.event_log import Bank, read_event_log
from sealtune.attestation.evidence import Evidence, EvidenceKind
from sealtune.attestation.steps import Steps
from sealtune.attestation.tpm_claims import TpmClaims
from sealtune.attestation.tpm_event_log import require_pcrs
from sealtune.attestation.tpm_quote import parse_tpm_quote
from sealtune.attestation.tpm_wire import TpmHash
from sealtune.attestation.verifiers.tpm import verify_tpm
from sealtune.core.digest import sha256_digest
from sealtune.crypto.x509 import certificates_from_pem, parse_certificate, verify_issued
from sealtune.errors import Code, VerificationError


@pytest.fixture(scope="module")
def folder(shared_dir: Path) -> Path:
    return shared_dir / "vectors"


def octets(text: str) -> bytes:
    return base64.b64decode(text + "=" * (-len(text) % 4))


@pytest.fixture(scope="module")
def evidence(folder: Path) -> Evidence:
    value = json.loads((folder / "tpm" / "coco" / "tpm_evidence.json").read_text())
    quote = value["tpm_quote"]
    return Evidence(
        kind=EvidenceKind.TPM_VM,
        report=octets(quote["message"]),
        certificates=(),
        parts={
            "tpm_signature": octets(quote["signature"]),
            "pcrs": b"".join(map(bytes.fromhex, quote["pcrs"])),
            "ak_public": octets(value["ak_public"]),
        },
    )


def verified(evidence: Evidence, now: Any) -> TpmClaims:
    result = verify_tpm(
        evidence, anchors=vendor_anchors(), endorsements=NO_ENDORSEMENTS, now=now, steps=Steps()
    )
    assert isinstance(result.detail, TpmClaims)
    return result.detail


def test_a_real_quote_verifies_and_every_stated_field_is_equal(
    folder: Path, evidence: Evidence, now: Any
) -> None:
    listing = json.loads((folder / "expected.json").read_text())
    (entry,) = (item for item in listing if item["id"] == "tpm/coco/tpm_evidence.json")
    result = verify_tpm(
        evidence, anchors=vendor_anchors(), endorsements=NO_ENDORSEMENTS, now=now, steps=Steps()
    )
    assert result.claims.memory_protected is False
    assert {name: result.claims.fields[name] for name in ("attest", "signature")} == {
        "attest": entry["attest"],
        "signature": entry["signature"],
    }
    assert result.freshness.hex() == entry["attest"]["extra"]


def test_a_real_event_log_is_not_that_of_another_machine(
    folder: Path, evidence: Evidence, now: Any
) -> None:
    log = (folder / "tpm" / "dstack" / "tpm_eventlog.bin").read_bytes()
    assert Bank.SHA256 in read_event_log(log).banks
    with pytest.raises(VerificationError) as refusal:
        require_pcrs(log, verified(evidence, now).pcrs)
    assert refusal.value.code is Code.EVENT_LOG_MISMATCH


def test_a_real_quote_of_some_registers_is_read(folder: Path) -> None:
    quote = parse_tpm_quote((folder / "tpm" / "dstack" / "tpm_quote_sample.bin").read_bytes())
    (chosen,) = quote.selections
    assert chosen.bank is TpmHash.SHA256
    assert chosen.indices == (0, 1, 2)
    assert quote.extra_data.hex() == "12345678"


def test_googles_root_is_the_one_that_is_pinned(folder: Path) -> None:
    (data,) = certificates_from_pem(
        (folder / "roots" / "gcp" / "gcp-vtpm-root-ca.pem").read_bytes()
    )
    root = vendor_anchors().find(sha256_digest(data), use=RootUse.TPM)
    assert (root.vendor, root.insecure) == ("Google", False)
    certificate = parse_certificate(data)
    verify_issued(certificate, issuer=certificate)
