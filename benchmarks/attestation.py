"""How long the verification of one piece of evidence takes, beside named peers in the same process.

    python benchmarks/attestation.py [--rounds 200] [--vectors DIR] [--json]

Every contender is run once per round, in turn, so that a busy machine slows all alike; ratios are
taken within a round. Real evidence is used where `--vectors` (default: ../shared/vectors) has it,
mock evidence of the same size elsewhere; the table says which.

"First" is a verification in a process that has met neither these certificates nor these
endorsements; the others find them parsed. A broker meets the same few chains again and again.

Peers: for Intel quotes `dcap-qvl` alone (our verifier checks everything itself and then asks it as
well); for SNP `omne-attest`, another pure Python verifier, for the chips that it can read.
"""

from __future__ import annotations

import argparse
import dataclasses
import hashlib
import json
import statistics
import time
import warnings
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import dcap_qvl
import omne_attest

from sealtune.attestation.anchors import TrustAnchors, vendor_anchors
from sealtune.attestation.endorsements import NO_ENDORSEMENTS, Endorsements
from sealtune.attestation.evidence import Evidence
from sealtune.attestation.forms.endorsement_files import read_endorsements
from sealtune.attestation.forms.read import read_evidence
from sealtune.attestation.steps import Steps
from sealtune.attestation.verify import authenticate_evidence
from sealtune.crypto.x509 import certificates_from_pem, parse_certificate
from sealtune.testing.mock_amd import MockAmd

Work = Callable[[], object]
TARGET_MS = 5.0


@dataclass(frozen=True, kw_only=True)
class Case:
    """One piece of evidence and, where there is one, a peer's verification of it."""

    name: str
    source: str
    work: Work
    peer: str = ""
    peer_work: Work | None = None


def verification(
    evidence: Evidence, endorsements: Endorsements, *, anchors: TrustAnchors, now: datetime
) -> Work:
    """Return our verification of `evidence`."""
    return lambda: authenticate_evidence(
        evidence, anchors=anchors, endorsements=endorsements, now=now, steps=Steps()
    )


def mock_cases() -> Iterator[Case]:
    """Yield what can be measured anywhere."""
    now = datetime.now(UTC)
    mock = MockAmd.generate(now=now)
    work = verification(mock.evidence(), NO_ENDORSEMENTS, anchors=mock.anchors(), now=now)
    yield Case(name="SEV-SNP", source="mock", work=work)


def real_cases(folder: Path) -> Iterator[Case]:
    """Yield the real evidence in `folder`."""
    yield from _snp(folder)
    yield from _dcap(folder)
    yield from _azure(folder)
    yield from _others(folder)


def _read(folder: Path, name: str) -> Evidence:
    return read_evidence((folder / name).read_bytes(), kind=None, what=name)[0]


def _at(seconds: int) -> datetime:
    return datetime.fromtimestamp(seconds, UTC)


def _chain(folder: Path, *names: str) -> tuple[bytes, ...]:
    return tuple(
        item for name in names for item in certificates_from_pem((folder / name).read_bytes())
    )[:3]


def _snp(folder: Path) -> Iterator[Case]:
    for name, leaf, chain in (
        ("ms-milan", "vcek.pem", "ask_ark_milan.pem"),
        ("ms-turin", "vcek.pem", "ask_ark_turin_vcek.pem"),
    ):
        evidence = dataclasses.replace(
            _read(folder, f"snp/{name}/report.bin"),
            certificates=_chain(folder, f"snp/{name}/{leaf}", f"roots/amd/{chain}"),
        )
        work = verification(
            evidence, NO_ENDORSEMENTS, anchors=vendor_anchors(), now=_at(1770339873)
        )
        generation = name.removeprefix("ms-").capitalize()
        case = Case(name=f"SEV-SNP, {generation}", source="real", work=work)
        if name == "ms-milan":
            case = dataclasses.replace(case, peer="omne-attest", peer_work=_omne(evidence))
        yield case


def _omne(evidence: Evidence) -> Work:
    vcek, ask, ark = evidence.certificates
    report = evidence.report
    root = hashlib.sha256(ark).digest()
    policy = omne_attest.Policy(
        measurement=report[0x90:0xC0],
        report_data=report[0x50:0x90],
        max_vmpl=3,
        reject_debug=True,
    )
    return lambda: omne_attest.verify(report, vcek, ask, ark, root, policy)


def _dcap(folder: Path) -> Iterator[Case]:
    for name, quote, collateral, at in (
        (
            "TDX, quote v4",
            "tdx/phala-v4/tdx_quote",
            "tdx/phala-v4/tdx_quote_collateral.json",
            1751624191,
        ),
        (
            "SGX, quote v3",
            "sgx/phala-v3/sgx_quote",
            "sgx/phala-v3/sgx_quote_collateral.json",
            1751624924,
        ),
    ):
        data = (folder / collateral).read_bytes()
        endorsements = read_endorsements([(collateral, data)], chain=())
        evidence = _read(folder, quote)
        document = dcap_qvl.QuoteCollateralV3.from_json(data.decode())
        yield Case(
            name=name,
            source="real",
            work=verification(evidence, endorsements, anchors=vendor_anchors(), now=_at(at)),
            peer="dcap-qvl",
            peer_work=lambda raw=evidence.report, doc=document, at=at: dcap_qvl.verify(
                raw, doc, at
            ),
        )


def _azure(folder: Path) -> Iterator[Case]:
    evidence = _read(folder, "azure-vtpm/coco-snp/evidence-v2.json")
    issuers = _chain(folder, "roots/amd/ask_ark_milan.pem")
    evidence = dataclasses.replace(evidence, certificates=(evidence.certificates[0], *issuers))
    leaf = parse_certificate(evidence.certificates[0])
    work = verification(evidence, NO_ENDORSEMENTS, anchors=vendor_anchors(), now=leaf.not_before)
    yield Case(name="Azure vTPM over SEV-SNP", source="real", work=work)


def _others(folder: Path) -> Iterator[Case]:
    nitro = _read(folder, "nitro/dstack-prod/document.cose")
    work = verification(nitro, NO_ENDORSEMENTS, anchors=vendor_anchors(), now=_at(1766668537))
    yield Case(name="AWS Nitro", source="real", work=work)
    gpu = _read(folder, "nvidia/sdk-serialized/hopper_evidence.json")
    work = verification(gpu, NO_ENDORSEMENTS, anchors=vendor_anchors(), now=_at(1790000000))
    yield Case(name="NVIDIA H100, no RIM", source="real", work=work)


def timed(work: Work) -> float:
    """Return how many milliseconds `work` takes."""
    start = time.perf_counter()
    work()
    return (time.perf_counter() - start) * 1000


def measure(case: Case, *, rounds: int) -> dict[str, Any]:
    """Return the figures of one case."""
    first = timed(case.work)
    if case.peer_work is not None:
        case.peer_work()
    own, peer = [], []
    for _ in range(rounds):
        own.append(timed(case.work))
        if case.peer_work is not None:
            peer.append(timed(case.peer_work))
    found = {
        "name": case.name,
        "source": case.source,
        "rounds": rounds,
        "first_ms": first,
        "median_ms": statistics.median(own),
        "quartiles_ms": statistics.quantiles(own, n=4)[::2],
        "under_target": statistics.median(own) < TARGET_MS,
    }
    if peer:
        ratios = [mine / theirs for mine, theirs in zip(own, peer, strict=True)]
        found |= {
            "peer": case.peer,
            "peer_median_ms": statistics.median(peer),
            "ratio": statistics.median(ratios),
            "ratio_quartiles": statistics.quantiles(ratios, n=4)[::2],
        }
    return found


def table(results: list[dict[str, Any]]) -> str:
    """Return the figures as Markdown."""
    lines = [
        "| evidence | source | median ms (quartiles) | first ms | peer | peer ms | ours / peer |",
        "|---|---|---|---|---|---|---|",
    ]
    for item in results:
        low, high = item["quartiles_ms"]
        cells = [item["name"], item["source"], f"{item['median_ms']:.2f} ({low:.2f}-{high:.2f})"]
        cells.append(f"{item['first_ms']:.2f}")
        if "peer" in item:
            low, high = item["ratio_quartiles"]
            cells += [item["peer"], f"{item['peer_median_ms']:.2f}"]
            cells.append(f"{item['ratio']:.2f} ({low:.2f}-{high:.2f})")
        else:
            cells += ["", "", ""]
        lines.append(f"| {' | '.join(cells)} |")
    return "\n".join(lines)


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--rounds", type=int, default=200)
    default = Path(__file__).resolve().parents[2] / "shared" / "vectors"
    parser.add_argument("--vectors", type=Path, default=default)
    parser.add_argument("--json", action="store_true")
    arguments = parser.parse_args()
    # AMD's certificates have serial number 0, which the peer's parser warns of at each call.
    warnings.simplefilter("ignore")
    cases = list(mock_cases())
    if arguments.vectors.is_dir():
        cases += real_cases(arguments.vectors)
    results = [measure(case, rounds=arguments.rounds) for case in cases]
    print(json.dumps(results) if arguments.json else table(results))


if __name__ == "__main__":
    main()
