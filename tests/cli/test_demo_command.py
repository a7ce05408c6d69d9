"""What `sealtune demo` shows of its end; the demo itself has tests of its own."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from pathlib import Path

import pytest

import sealtune
from cli.said import Sealtune
from sealtune.testing.demo.outcome import AttackResult, DemoStep, DemoSummary, PromiseBroken

REFUSED = AttackResult(
    name="replay", story="replays", refused=True, code="freshness", reason="another challenge"
)
SUMMARY = DemoSummary(
    folder=Path("demo-run"),
    accuracy_before=0.25,
    accuracy_after=0.75,
    records=3000,
    receipt_verified=True,
    receipt_digest="sha256:00",
    sandboxed=True,
    searched_files=12,
    searched_bytes=4096,
    findings=(),
    attacks=(REFUSED,),
    seconds={"prepare": 1.0, "run": 20.0},
    worker_seconds={"train": 19.0},
)


@pytest.fixture
def end(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Callable[[DemoSummary], list[str]]:
    """Return a function that sets how the demo ends and returns the command's arguments."""

    def set_end(summary: DemoSummary) -> list[str]:
        def play(folder: Path, *, on_step: Callable[[DemoStep], None], **_: object) -> DemoSummary:
            on_step(DemoStep(phase="attack", text="operator replays: refused"))
            on_step(DemoStep(phase="run", text="training", done=1, total=2))
            if not summary.kept:
                raise PromiseBroken(summary)
            return summary

        monkeypatch.setattr(sealtune, "run_demo", play)
        return ["demo", "--dir", str(tmp_path / "d"), "--encoder", str(tmp_path)]

    return set_end


def test_the_end_is_a_table(end: Callable[[DemoSummary], list[str]], sealtune_: Sealtune) -> None:
    said = sealtune_(*end(SUMMARY))
    assert said.status == 0
    for word in ("INSECURE", "0.250 before, 0.750 after", "1 of 1 refused", "replay", "freshness"):
        assert word in said.out
    assert "operator replays" in said.out.splitlines()[0]


def test_json_is_the_summary(end: Callable[[DemoSummary], list[str]], sealtune_: Sealtune) -> None:
    said = sealtune_(*end(SUMMARY), "--json").json
    assert said == SUMMARY.to_dict()
    assert said["insecure_simulated"] is True


def test_a_broken_promise_is_a_failure_with_the_table(
    end: Callable[[DemoSummary], list[str]], sealtune_: Sealtune
) -> None:
    granted = dataclasses.replace(REFUSED, refused=False, code="", reason="nobody objected")
    arguments = end(dataclasses.replace(SUMMARY, attacks=(granted,)))
    said = sealtune_(*arguments)
    assert said.status == 5
    assert "NOT REFUSED" in said.out
    assert "BROKEN" in said.out
    assert "FAILED" in said.err
    assert sealtune_(*arguments, "--json").error["family"] == "verification"
