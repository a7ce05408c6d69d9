"""The how-tos, executed in order as one job with real processes; then its files, looked at."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from cli import howto
from cli.said import Said, Sealtune
from sealtune.core.digest import sha256_file

# This interpreter's `sealtune`, wherever it is installed, comes first.
_PATH = f"{Path(sys.executable).parent}:{os.environ['PATH']}"


@pytest.fixture(scope="module")
def job(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, str]:
    """The folder in which all how-tos were executed, and what they printed."""
    pytest.importorskip("torch")
    folder = tmp_path_factory.mktemp("job")
    howto.furnish(folder)
    (folder / "all.sh").write_text(howto.script(howto.order()))
    done = subprocess.run(
        ["bash", "all.sh"],
        cwd=folder,
        env=os.environ | {"PATH": _PATH},
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return folder, done.stdout


@pytest.fixture
def folder(job: tuple[Path, str], monkeypatch: pytest.MonkeyPatch) -> Path:
    """The job's folder; the test stands in it."""
    monkeypatch.chdir(job[0])
    return job[0]


def verify(sealtune_: Sealtune, *more: object, root: bool = True) -> Said:
    insecure = ("--insecure-root", sha256_file(Path("tee/ark.der"))) if root else ()
    return sealtune_("receipt", "verify", "run/receipt.json", *insecure, *more, "--json")


def test_the_result_is_a_peft_adapter(folder: Path) -> None:
    names = {path.name for path in (folder / "adapter").iterdir()}
    assert {"adapter_config.json", "adapter_model.safetensors", "model.sig"} <= names


def test_everything_that_is_simulated_says_so(job: tuple[Path, str], sealtune_: Sealtune) -> None:
    said = job[1].splitlines()
    for after in ("simulated TEE", "this run was protected", "this receipt proves nothing"):
        assert any("INSECURE" in line and after in line for line in said), after
    brokers = (job[0] / "brokers.out").read_text()
    assert brokers.count("INSECURE") == brokers.count("listens on") == 2


def test_receipt_against_contract_and_outputs(folder: Path, sealtune_: Sealtune) -> None:
    outputs = ("--output", "run/result.sealed", "--output", "adapter")
    report = verify(sealtune_, "--contract", "contract.json", *outputs).json
    assert (report["verified"], report["insecure"]) == (True, True)
    assert (
        report["contract_verified"]
        == sealtune_("contract", "verify", "contract.json", "--json").json["digest"]
    )
    assert report["outputs_verified"] == ["run/result.sealed", "adapter"]
    assert report["evidence"]["rules"]
    assert all(rule["passed"] for rule in report["evidence"]["rules"])
    metrics = report["statement"]["predicate"]["metrics"]
    assert metrics.keys() == {"accuracy_before", "accuracy_after"}


def test_receipt_alone_says_what_was_not_compared(folder: Path, sealtune_: Sealtune) -> None:
    assert verify(sealtune_).json["contract_verified"] is None
    root = sha256_file(Path("tee/ark.der"))
    said = sealtune_("receipt", "verify", "run/receipt.json", "--insecure-root", root).out
    assert "INSECURE" in said.splitlines()[0]
    assert "--contract" in said
    assert "--output" in said


def test_a_simulated_receipt_needs_its_root_named(folder: Path, sealtune_: Sealtune) -> None:
    # The contract names the root as well; that alone must not make a verifier trust it.
    said = verify(sealtune_, "--contract", "contract.json", root=False)
    assert (said.status, said.error["code"]) == (5, "evidence-root")
    assert "run/receipt.json" in said.error["message"]


def test_receipt_of_another_contract(folder: Path, sealtune_: Sealtune) -> None:
    sealtune_("contract", "draft", "contract-2.toml", "-o", "other.json")
    unsigned = verify(sealtune_, "--contract", "other.json")
    assert unsigned.error["code"] == "contract-unsigned"
    for name in ("hospital", "modelworks", "clinic"):
        sealtune_("contract", "sign", "other.json", "--key", f"{name}.key")
    said = verify(sealtune_, "--contract", "other.json")
    assert (said.status, said.error["code"]) == (5, "receipt-contract")


def test_receipt_of_another_output(folder: Path, sealtune_: Sealtune) -> None:
    for output in ("notes.sealed", "notes-again"):
        said = verify(sealtune_, "--output", output)
        assert (said.status, said.error["code"]) == (5, "receipt-output"), output


@pytest.mark.parametrize(("content", "code"), [("", "json-malformed"), ("{}", "receipt-malformed")])
def test_what_is_no_receipt(folder: Path, sealtune_: Sealtune, content: str, code: str) -> None:
    Path("x.json").write_text(content)
    for verb in ("verify", "show"):
        said = sealtune_("receipt", verb, "x.json", "--json")
        assert (said.status, said.error["code"]) == (4, code)
        assert "x.json" in said.error["message"]


def test_an_insecure_root_has_to_be_a_digest(folder: Path, sealtune_: Sealtune) -> None:
    said = sealtune_("receipt", "verify", "run/receipt.json", "--insecure-root", "ab", "--json")
    assert said.error["code"] == "digest-malformed"


def test_a_vendors_root_cannot_be_called_insecure(folder: Path, sealtune_: Sealtune) -> None:
    genoa = "sha256:4c6598d19c18719c5dfd4a7d335f674e5bfe1d8f800cea2cf270c10d103db2f1"
    said = sealtune_("receipt", "verify", "run/receipt.json", "--insecure-root", genoa, "--json")
    assert (said.status, said.error["code"]) == (3, "config-invalid")


def test_brokers_tell_what_they_did(folder: Path, sealtune_: Sealtune) -> None:
    status = sealtune_("broker", "status", "--dir", "hospital-store", "--json").json
    assert (status["granted"], status["refused"]) == (1, 0)
    assert [(item["runs"], item["max_runs"]) for item in status["contracts"]] == [(1, 2)]
    log = sealtune_("broker", "log", "--dir", "hospital-store", "--json").json
    assert [entry["kind"] for entry in log["entries"]] == ["key", "contract", "release", "receipt"]
    assert [entry["index"] for entry in log["entries"]] == [0, 1, 2, 3]
    lines = sealtune_("broker", "log", "--dir", "hospital-store").out
    assert "INSECURE" in lines
    assert "granted" in lines


def test_the_folder_of_one_run_serves_no_other_contract(folder: Path, sealtune_: Sealtune) -> None:
    run = ("--tee", "simulated", "--tee-files", "tee", "-o", "run", "--json")
    said = sealtune_("run", "contract.json", *run)
    assert (said.status, said.error["code"]) == (3, "config-invalid")
    assert "--input" in said.error["remedy"]


def test_an_unreachable_broker(folder: Path, sealtune_: Sealtune) -> None:
    inputs = ("--input", "notes=notes.sealed", "--input", "encoder=encoder.sealed")
    brokers = [f"--broker={name}-broker=http://127.0.0.1:9" for name in ("hospital", "modelworks")]
    run = ("--tee", "simulated", "--tee-files", "tee", "-o", "run-2", "--json")
    said = sealtune_("run", "contract.json", *inputs, *brokers, *run)
    assert (said.status, said.error["code"]) == (8, "broker-unreachable")
