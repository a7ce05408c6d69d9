"""The whole demo with a tiny model: every attack refused, no plaintext, a receipt that verifies."""

from __future__ import annotations

import json
import shutil
from dataclasses import replace
from pathlib import Path

import pytest

from sealtune.core.clock import SystemClock
from sealtune.errors import Code, ReleaseDenied, StorageError
from sealtune.testing.demo.attempts import Attempts
from sealtune.testing.demo.canaries import CanarySearch, Finding
from sealtune.testing.demo.outcome import AttackResult, DemoStep, DemoSummary, PromiseBroken
from sealtune.testing.demo.prepared import secrets_of_result
from sealtune.testing.demo.run import run_demo
from sealtune.testing.demo.terms import DemoSize
from sealtune.testing.tiny_encoder import make_tiny_encoder

SMALL = DemoSize(records=100, batch_size=8, max_length=48, checkpoint_every_steps=2)
ATTACKS = {
    "open-notes": "bundle-no-slot",
    "open-encoder": "bundle-no-slot",
    "other-recipe": "signature-invalid",
    "other-recipe-without-signatures": "envelope-malformed",
    "other-recipe-signed-by-operator": "contract-unsigned",
    "debug-enclave": "appraisal-debug",
    "other-program": "appraisal-measurement",
    "enclave-of-other-contract": "appraisal-host-data",
    "simulated-as-hardware": "evidence-root",
    "bundle-not-in-contract": "denied-bundle",
    "own-contract-registered": "not-authorized",
    "own-contract-used": "contract-unknown",
    "impersonated-broker": "broker-identity",
    "swapped-bundle": "bundle-digest",
    "tampered-bundle": "bundle-body-digest",
    "old-training-checkpoint": "checkpoint-rollback",
    "notes-without-report": "deid-report-missing",
    "another-datasets-report": "deid-other-report",
    "embellished-report": "deid-other-report",
    "report-too-weak": "denied-deidentification",
    "replayed-key-request": "challenge-unknown",
    "relayed-evidence": "freshness",
    "finished-run-resumed": "denied-run-closed",
    "one-run-too-many": "denied-runs",
    "open-result": "bundle-no-slot",
    "forged-receipt": "signature-invalid",
    "receipt-signed-by-operator": "signature-missing",
    "swapped-result": "receipt-output",
    "tampered-result": "bundle-body-digest",
}


@pytest.fixture(scope="module")
def played(tmp_path_factory: pytest.TempPathFactory) -> tuple[DemoSummary, list[DemoStep]]:
    """One whole demo."""
    folder = tmp_path_factory.mktemp("demo")
    make_tiny_encoder(folder / "encoder", seed=0)
    steps: list[DemoStep] = []
    summary = run_demo(
        folder / "run",
        encoder=folder / "encoder",
        size=SMALL,
        seed=3,
        clock=SystemClock(),
        on_step=steps.append,
    )
    return summary, steps


Played = tuple[DemoSummary, list[DemoStep]]


def test_every_attack_is_refused_by_its_own_rule(played: Played) -> None:
    summary, _ = played
    assert {attack.name: attack.code for attack in summary.attacks} == ATTACKS
    assert all(attack.refused for attack in summary.attacks)


def test_the_summary_says_what_happened(played: Played) -> None:
    summary, _ = played
    written = json.loads((summary.folder / "summary.json").read_text())
    assert written == json.loads(json.dumps(summary.to_dict()))
    assert written["insecure_simulated"] is True
    assert written["receipt_verified"] is True
    assert written["canaries_found_on_host"] == 0
    assert 0 <= written["accuracy_before"] <= 1
    assert 0 <= written["accuracy_after"] <= 1
    assert {"name", "refused", "code"} <= written["attacks"][0].keys()
    assert written["seconds"]["run"] > 0


def test_every_phase_is_told_and_insecure_comes_first(played: Played) -> None:
    _, steps = played
    assert "INSECURE" in steps[0].text
    assert {"prepare", "agree", "attack", "run", "recipient", "search"} <= {s.phase for s in steps}
    assert any(step.total and step.done == step.total for step in steps)


def test_what_was_searched_holds_all_that_the_host_saw(played: Played) -> None:
    summary, _ = played
    operator = summary.folder / "operator"
    heard = [path.read_bytes() for path in (operator / "wiretap").rglob("*-request.bin")]
    for path in (b"/v1/challenge", b"/v1/release", b"/v1/anchor", b"/v1/receipt"):
        assert any(path in content for content in heard)
    for name in ("worker-events.jsonl", "inputs/notes.sealed", "run/result.sealed"):
        assert (operator / name).stat().st_size > 0
    assert summary.searched_files > 50


def test_the_search_would_have_found_what_was_planted(played: Played, tmp_path: Path) -> None:
    # The same secrets are found where they may be, hence would have been where they may not.
    summary, _ = played
    note = json.loads((summary.folder / "hospital" / "notes.jsonl").read_text().splitlines()[-1])
    secrets = secrets_of_result(summary.folder / "recipient" / "result")
    search = CanarySearch({**secrets, "note": note["text"].encode()})
    at_owner, _ = search.search_folder(summary.folder / "hospital")
    assert {finding.secret for finding in at_owner} == {"note"}
    at_recipient, _ = search.search_folder(summary.folder / "recipient")
    assert {finding.secret for finding in at_recipient} == set(secrets)
    shutil.copytree(summary.folder / "operator", tmp_path / "host")
    (tmp_path / "host" / "wiretap" / "leak.bin").write_bytes(b"x" * 999 + note["text"].encode())
    assert search.search_folder(tmp_path / "host")[0]


def test_an_existing_folder_is_left_alone(tmp_path: Path) -> None:
    with pytest.raises(StorageError) as caught:
        run_demo(
            tmp_path,
            encoder=tmp_path,
            size=SMALL,
            seed=0,
            clock=SystemClock(),
            on_step=lambda _: None,
        )
    assert caught.value.code is Code.FILE_EXISTS


def _attack(**changes: object) -> AttackResult:
    attack = AttackResult(name="try", story="tries", refused=True, code="x", reason="no")
    return replace(attack, **changes)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"attacks": (_attack(), _attack(name="won", refused=False))}, "won"),
        ({"attacks": ()}, "no attack"),
        ({"findings": (Finding(secret="s", encoding="raw", where="w"),)}, "plaintext"),
        ({"receipt_verified": False}, "receipt"),
    ],
)
def test_a_broken_promise_fails_the_demo(
    played: Played, changes: dict[str, object], said: str
) -> None:
    summary, _ = played
    assert summary.kept
    broken = replace(summary, **changes)  # type: ignore[arg-type]
    assert not broken.kept
    assert said in PromiseBroken(broken).message


def test_an_attempt_counts_as_refused_only_for_its_own_reason() -> None:
    attempts = Attempts(lambda _: None)

    def refuse() -> None:
        raise ReleaseDenied(Code.DENIED_RUNS, "all runs are used")

    attempts.make("right", "s", codes=frozenset({Code.DENIED_RUNS}), action=refuse)
    attempts.make("wrong", "s", codes=frozenset({Code.FRESHNESS}), action=refuse)
    attempts.make("passed", "s", codes=frozenset({Code.FRESHNESS}), action=lambda: None)
    assert [result.refused for result in attempts.results] == [True, False, False]
    with pytest.raises(ZeroDivisionError):
        attempts.make("defect", "s", codes=frozenset({Code.FRESHNESS}), action=lambda: 1 // 0)
