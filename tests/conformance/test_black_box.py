"""Every recorded vector through `sealtune attest verify`, and the table of what came out.

`SEALTUNE_WRITE_DOCS=1 pytest tests/conformance` writes docs/conformance.md anew.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import pytest

from conformance.black_box import Case, cases
from conformance.variants import NO_EVIDENCE, VARIANTS, spoilt
from sealtune.cli.main import run

DOCUMENT = Path(__file__).resolve().parents[2] / "docs" / "conformance.md"
FAMILIES = {"evidence-malformed": 4, "evidence-signature": 5, "appraisal-debug": 6}
ENTRIES = (
    *(f"snp/{name}" for name in ("ms-milan", "ms-turin", "gsg-milan", "coco-milan")),
    *("snp/coco-milan-vlek", "snp/ars-genoa-v5", "snp/dstack-milan"),
    *("sgx/phala-v3/sgx_quote", "sgx/automata/quote_sgx.bin", "sgx/coco-occlum/occlum_quote.dat"),
    *(
        f"tdx/phala-v4/{name}"
        for name in ("tdx_quote", "tdx_quote_outdated", "tdx-quote.hex", "quote-from-tappd.hex")
    ),
    *("tdx/gtg-ccel/cos-113-tdx-quote.dat", "tdx/coco/tdx_quote_4.dat", "tdx/coco/tdx_quote_5.dat"),
    *("tdx/ars-live/tdx_quote_live.dat", "tdx/dstack/quote-report.quote.bin"),
    *("tdx/dstack/tdx-lite-getquote.quote.bin", "azure-vtpm/coco-tdx/td-quote.bin"),
    "azure-vtpm/coco-tdx/evidence-v1.td-quote.bin",
    *(f"azure-vtpm/coco-snp/evidence-{name}.json" for name in ("v0", "genoa", "v1", "v2")),
    "azure-vtpm/coco-tdx/evidence-v1.json",
    *("nitro/dstack-prod/document.cose", "nitro/dstack-dbg/document.cose"),
    "nvidia/nvtrust-samples/hopperAttestationReport.txt",
    *(
        f"nvidia/sdk-sample/gpu/{name}.txt"
        for name in (
            *("hopperAttestationReport", "blackwellAttestationReport"),
            *("hopperAttestationReportExpired", "hopperAttestationReportInvalidSignature"),
        )
    ),
    "nvidia/sdk-sample/switch/switchAttestationReport.txt",
    "nvidia/sdk-sample/switch/switchAttestationReportInvalidSignature.txt",
    "nvidia/sdk-serialized/hopper_evidence.json#0",
    "nvidia/sdk-serialized/hopper_evidence_cert_hold.json#0",
    *(f"nvidia/sdk-serialized/multi_gpu_hopper.json#{number}" for number in range(4)),
    *(f"nvidia/sdk-serialized/multi_switch_ls10.json#{number}" for number in range(4)),
    "nvidia/sdk-serialized/switch_evidence_ls10.json#0",
    "tpm/coco/tpm_evidence.json",
)
VMPL_1 = """
[[enclaves]]
name = "vmpl-1"
kind = "sev-snp"
measurements = ["{measurement}"]
contract_at_launch = false
vmpl = [1]
csp_ids = ["CN=cc-us-east-2.amazonaws.com"]
[enclaves.minimum_tcb.milan]
bl = 4
tee = 0
snp = 24
ucode = 217
"""
Answered = tuple[int, Mapping[str, Any]]
Verify = Callable[..., Answered]


@pytest.fixture(scope="module")
def folder(shared_dir: Path) -> Path:
    return shared_dir / "vectors"


@pytest.fixture(scope="module")
def all_cases(folder: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[str, list[Case]]:
    policy = tmp_path_factory.mktemp("policy") / "vmpl-1.toml"
    found: dict[str, list[Case]] = {}
    for case in cases(folder):
        if "VMPL1" in case.arguments:
            policy.write_text(VMPL_1.format(measurement=case.stated["measurement"]))
            arguments = tuple(str(policy) if a == "VMPL1" else a for a in case.arguments)
            case = Case(**{**_members(case), "arguments": arguments})
        found.setdefault(case.entry, []).append(case)
    return found


def _members(case: Case) -> dict[str, Any]:
    return {name: getattr(case, name) for name in case.__dataclass_fields__}


@pytest.fixture
def verify(capsys: pytest.CaptureFixture[str]) -> Verify:
    """The command line in this process: its status, and the one object that it prints."""

    def call(*arguments: str) -> Answered:
        capsys.readouterr()
        status = run(["attest", "verify", *arguments, "--json"])
        return status, json.loads(capsys.readouterr().out)

    return call


def _compared(case: Case, answered: Answered) -> int:
    """Return how many fields were compared; all of them were equal."""
    status, answer = answered
    assert (answer.get("verdict"), answer.get("code"), answer.get("type")) == (
        case.verdict,
        case.code,
        case.type,
    ), answer.get("reason", answer)
    assert (status == 0) == (case.code is None)
    assert status in (0, 5)
    passed = {step["step"] for step in answer["steps"] if step["outcome"] == "passed"}
    assert case.passed <= passed
    failed = [step for step in answer["steps"] if step["outcome"] == "failed"]
    assert bool(failed) == (case.code is not None)
    found = case.found(answer) if case.stated else {}
    assert {name: found.get(name, "absent") for name in case.stated} == dict(case.stated)
    return len(case.stated)


def test_every_entry_of_the_listing_is_tested(folder: Path) -> None:
    listing = json.loads((folder / "expected.json").read_text())
    assert [entry["id"] for entry in listing] == list(ENTRIES)


@pytest.mark.parametrize("entry", ENTRIES)
def test_each_entry_is_verified_or_refused_as_expected(
    all_cases: dict[str, list[Case]], verify: Verify, entry: str
) -> None:
    for case in all_cases[entry]:
        _compared(case, verify(*case.arguments))


def test_items_that_are_duplicates_of_earlier_ones(
    folder: Path, all_cases: dict[str, list[Case]], verify: Verify
) -> None:
    listing = json.loads((folder / "expected.json").read_text())
    seen: set[str] = set()
    for entry in listing:
        if "duplicate_of_earlier" in entry:
            (case,) = all_cases[entry["id"]]
            # No two reports have one nonce of the device's.
            nonce = case.found(verify(*case.arguments)[1])["resp_nonce"]
            assert (nonce in seen) == entry["duplicate_of_earlier"], entry["id"]
            seen.add(nonce)


@pytest.mark.parametrize(
    "variant", VARIANTS, ids=lambda one: f"{one.entry}: {one.name}".replace(" ", "-")
)
def test_spoilt_evidence_is_refused(
    folder: Path,
    all_cases: dict[str, list[Case]],
    tmp_path: Path,
    verify: Verify,
    variant: Any,
) -> None:
    case = all_cases[variant.entry][0]
    assert case.code is None
    status, answer = verify(*spoilt(variant, case, folder, tmp_path / "evidence"))
    assert answer["verdict"] == "refuse", answer
    assert answer["code"] in variant.codes, answer["reason"]
    assert status == 5
    assert answer["reason"]
    assert answer["remedy"]


@pytest.mark.parametrize("name", NO_EVIDENCE)
def test_what_is_no_evidence_is_refused(folder: Path, verify: Verify, name: str) -> None:
    _status, answer = verify(str(folder / name), "--at", "1750000000")
    assert answer["code"] == NO_EVIDENCE[name], answer["reason"]


def test_as_another_process(folder: Path, all_cases: dict[str, list[Case]]) -> None:
    """The black box itself: a process, its arguments, one line of JSON, its exit status."""
    for entry, status in (
        ("snp/ms-milan", 0),
        ("snp/gsg-milan", 5),
        ("tdx/coco/tdx_quote_4.dat", 5),
    ):
        case = all_cases[entry][0]
        command = [sys.executable, "-m", "sealtune.cli.main", "attest", "verify"]
        done = subprocess.run(
            [*command, *case.arguments, "--json"], capture_output=True, text=True, check=False
        )
        assert done.returncode == status
        assert done.stdout.count("\n") == 1
        _compared(case, (done.returncode, json.loads(done.stdout)))
    wrong = subprocess.run(
        [*command, "--no-such-option", "--json"], capture_output=True, text=True, check=False
    )
    assert wrong.returncode == 2


# -- the table -------------------------------------------------------------------------------------

_HEAD = """\
# Conformance

Written by `SEALTUNE_WRITE_DOCS=1 pytest tests/conformance`, from what `sealtune attest verify
--json` answered; a test fails when it differs. Evidence that real hardware made, as recorded in
public projects; its listing says for each what must come out. The listing and the evidence are not
part of this repository.

Anyone can run another verifier against the same vectors: `tests/conformance/black_box.py` and
`variants.py` make command lines and expectations, and know nothing of sealtune. The protocol is

```text
sealtune attest verify FILE [--type KIND] [--endorsements FILE|DIR ...] [--at UNIX_SECONDS]
    [--policy NAME|FILE] [--report-data HEX] [--contract DIGEST|FILE] [--event-log FILE] --json
```

which prints one JSON object on one line: `verdict` (`accept` or `refuse`), `code` (null or one of
[errors.md](errors.md)), `type`, `insecure`, `claims`, `steps`, `reason`, `remedy`, `policy`, `at`,
`path`. The exit status is 0 for `accept` and 5 for `refuse`; 2, 3 and 9 say that the command, its
options or its files cannot be used. `claims.authenticated` says whether the evidence is genuine;
`claims.fields` are all decoded fields, of refused evidence too, and then nobody vouches for them.

"""


def _table(rows: Sequence[tuple[str, ...]], header: tuple[str, ...]) -> Iterator[str]:
    yield f"| {' | '.join(header)} |"
    yield "|" + "---|" * len(header)
    for row in rows:
        yield f"| {' | '.join(row)} |"


def _document(folder: Path, found: dict[str, list[Case]], verify: Verify, tmp: Path) -> str:
    rows = []
    for case in (case for entry in ENTRIES for case in found[entry]):
        answered = verify(*case.arguments)
        count = str(_compared(case, answered) or "")
        answer = answered[1]
        code = f"`{answer['code']}`" if answer["code"] else ""
        rows.append((f"`{case.entry}`", case.type, case.run, answer["verdict"], code, count))
    spoilt_rows = []
    for variant in VARIANTS:
        line = spoilt(variant, found[variant.entry][0], folder, tmp)
        code = verify(*line)[1]["code"]
        spoilt_rows.append((f"`{variant.entry}`", variant.name, f"`{code}`"))
    for name in NO_EVIDENCE:
        code = verify(str(folder / name), "--at", "1750000000")[1]["code"]
        spoilt_rows.append((f"`{name}`", "as it is", f"`{code}`"))
    accepted = sum(row[3] == "accept" for row in rows)
    return "\n".join(
        [
            _HEAD + "## Recorded evidence",
            "",
            f"{len(ENTRIES)} entries in {len(rows)} runs: {accepted} accepted, "
            f"{len(rows) - accepted} refused, all as expected. The last column counts the fields",
            "that the listing states and that were equal.",
            "",
            *_table(rows, ("evidence", "kind", "run", "verdict", "code", "fields")),
            "",
            "## Spoilt evidence",
            "",
            f"{len(spoilt_rows)} variants, each refused.",
            "",
            *_table(spoilt_rows, ("evidence", "what was done", "code")),
            "",
        ]
    )


def test_the_table_in_the_documents_is_what_came_out(
    folder: Path, all_cases: dict[str, list[Case]], verify: Verify, tmp_path: Path
) -> None:
    document = _document(folder, all_cases, verify, tmp_path / "evidence")
    assert str(folder) not in document
    if os.environ.get("SEALTUNE_WRITE_DOCS"):
        DOCUMENT.write_text(document)
    assert DOCUMENT.read_text() == document, "run with SEALTUNE_WRITE_DOCS=1"
