"""Our SNP verifier beside an independent one, `omne-attest`, over real and over changed reports.

The other implementation reads no VLEK and not Turin's shorter hardware id, so it is asked about
VCEKs of Milan and Genoa alone. It loads certificates with `cryptography`, which warns of AMD's
serial number 0.
"""

from __future__ import annotations

import dataclasses
import hashlib
import json
import random
import warnings
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import omne_attest
import pytest

from sealtune.attestation.anchors import amd_anchors
from sealtune.attestation.endorsements import NO_ENDORSEMENTS
from sealtune.attestation.evidence import Evidence, EvidenceKind
from sealtune.attestation.steps import Steps
from sealtune.attestation.verify import authenticate_evidence
from sealtune.crypto.x509 import certificates_from_pem
from sealtune.errors import SealtuneError

NAMES = ("ms-milan", "gsg-milan", "coco-milan", "ars-genoa-v5", "dstack-milan")
FLIPS = 150


@pytest.fixture(params=NAMES)
def recorded(request: pytest.FixtureRequest, shared_dir: Path) -> tuple[Evidence, datetime]:
    folder = shared_dir / "vectors"
    entries = {item["id"]: item for item in json.loads((folder / "expected.json").read_text())}
    entry: dict[str, Any] = entries[f"snp/{request.param}"]
    evidence = Evidence(
        kind=EvidenceKind.SEV_SNP,
        report=(folder / entry["report"]).read_bytes(),
        certificates=(
            certificates(folder / entry["vek"])[0],
            *certificates(folder / entry["chain"])[:2],
        ),
    )
    return evidence, datetime.fromtimestamp(entry["verify_time"], UTC)


def certificates(path: Path) -> tuple[bytes, ...]:
    data = path.read_bytes()
    return certificates_from_pem(data) if path.suffix == ".pem" else (data,)


def ours(evidence: Evidence, now: datetime) -> bool:
    try:
        authenticate_evidence(
            evidence, anchors=amd_anchors(), endorsements=NO_ENDORSEMENTS, now=now, steps=Steps()
        )
    except SealtuneError:
        return False
    return True


def theirs(evidence: Evidence) -> bool:
    vcek, ask, ark = evidence.certificates
    report = evidence.report
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            policy = omne_attest.Policy(
                measurement=report[0x90:0xC0],
                report_data=report[0x50:0x90],
                max_vmpl=3,
                reject_debug=False,
            )
            omne_attest.verify(report, vcek, ask, ark, hashlib.sha256(ark).digest(), policy)
        except (omne_attest.Fail, ValueError, IndexError):
            return False
    return True


def test_both_accept_the_real_one(recorded: tuple[Evidence, datetime]) -> None:
    evidence, now = recorded
    assert ours(evidence, now)
    assert theirs(evidence)


def test_what_the_other_refuses_we_refuse(recorded: tuple[Evidence, datetime]) -> None:
    evidence, now = recorded
    chooser = random.Random(evidence.report)
    agreed = 0
    for _ in range(FLIPS):
        changed = flipped(evidence, chooser)
        if ours(changed, now):
            assert theirs(changed)
        else:
            agreed += not theirs(changed)
    # Where we are stricter (bytes that nothing signs), the other may accept; seldom.
    assert agreed > FLIPS * 2 // 3


def flipped(evidence: Evidence, chooser: random.Random) -> Evidence:
    report = bytearray(evidence.report)
    report[chooser.randrange(0x330)] ^= 1 << chooser.randrange(8)
    return dataclasses.replace(evidence, report=bytes(report))
