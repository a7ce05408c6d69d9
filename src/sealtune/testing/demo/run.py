"""The whole demo from top to bottom: prepare, agree, attack, run, open, verify, attack, search.

Everything is real but the hardware: brokers are processes, the worker is the production worker in
its sandbox, its evidence goes through the production verifier. INSECURE, since the enclave is
simulated: what is shown is that everything around the enclave does its part. The host's memory is
not searched; a simulated enclave's plaintext is there.
"""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from pathlib import Path

from sealtune.core.clock import Clock
from sealtune.core.files import read_bounded
from sealtune.core.limits import RECEIPT_BYTES_MAX
from sealtune.receipt.receipt import TrainingReceipt, parse_receipt
from sealtune.receipt.verify import AgreedReceipt
from sealtune.tee.events import WorkerEvent
from sealtune.tee.launcher import LaunchSpec, RunOutcome, Tee
from sealtune.testing.demo.attacks_files import open_what_is_sealed, pass_off_results
from sealtune.testing.demo.attacks_keys import (
    answer_as_a_broker,
    ask_after_the_end,
    ask_beyond_the_contract,
    ask_with_wrong_enclaves,
    repeat_what_was_heard,
)
from sealtune.testing.demo.attacks_reports import do_without_the_report
from sealtune.testing.demo.attacks_run import (
    finish_run,
    run_once_more,
    run_with_changed_contract,
    run_with_other_bundle,
    run_with_tampered_bundle,
    stop_and_roll_back,
)
from sealtune.testing.demo.attempts import Attempts
from sealtune.testing.demo.canaries import CanarySearch, Finding
from sealtune.testing.demo.outcome import (
    DemoStep,
    DemoSummary,
    OnStep,
    PromiseBroken,
    Stopwatch,
    write_summary,
)
from sealtune.testing.demo.prepared import (
    Prepared,
    hand_over,
    prepare_inputs,
    secrets_of_result,
)
from sealtune.testing.demo.recipient import accept_result, open_result
from sealtune.testing.demo.stage import (
    BROKER_OF,
    OWNERS,
    Lines,
    Stage,
    brokers_running,
    register_bundle,
    register_contract,
    set_stage,
)
from sealtune.testing.demo.terms import (
    Agreed,
    DemoSize,
    agree,
    agree_on_hardware,
    agree_on_stricter_reports,
)

INSECURE = "INSECURE: the enclave is simulated and protects nothing from its host"


def run_demo(
    folder: Path, *, encoder: Path, size: DemoSize, seed: int, clock: Clock, on_step: OnStep
) -> DemoSummary:
    """Run the demo in the new `folder` with the model in `encoder`; writes summary.json there.

    Raises:
        PromiseBroken: an attack was not refused, plaintext was found or the receipt did not verify;
            summary.json is written all the same.
        SealtuneError: what stopped the demo before its end.
    """
    watch = Stopwatch()
    attempts = Attempts(on_step)
    on_step(DemoStep(phase="start", text=INSECURE))
    with watch.phase("prepare"):
        on_step(
            DemoStep(
                phase="prepare", text="parties make keys, the notes are de-identified, owners seal"
            )
        )
        stage = set_stage(folder, clock=clock)
        prepared = prepare_inputs(stage, encoder=encoder, size=size, seed=seed)
    with brokers_running(stage) as lines:
        with watch.phase("agree"):
            on_step(DemoStep(phase="agree", text="all sign the contract, brokers get keys and it"))
            play = _agree(stage, lines, prepared, attempts, size=size, seed=seed, on_step=on_step)
        with watch.phase("attacks before"):
            play.attack_before()
        with watch.phase("run"):
            outcome = play.run()
        with watch.phase("recipient"):
            receipt, verified, result = play.receive(outcome)
        with watch.phase("attacks after"):
            play.attack_after(outcome, receipt)
    # The brokers have ended, so that their last lines are searched too.
    with watch.phase("search"):
        on_step(DemoStep(phase="search", text="search all that the host saw for plaintext"))
        searched = _search(stage, {**prepared.secrets, **secrets_of_result(result)})
    summary = _summary(folder, size, verified, outcome, attempts, searched, watch)
    write_summary(summary)
    if not summary.kept:
        raise PromiseBroken(summary)
    return summary


@dataclass(frozen=True, slots=True, kw_only=True)
class _Play:
    """What all acts share."""

    stage: Stage
    lines: Lines
    prepared: Prepared
    attempts: Attempts
    agreed: Agreed
    on_hardware: Agreed
    stricter: Agreed
    spec: LaunchSpec
    older_notes: Path
    on_step: OnStep

    def attack_before(self) -> None:
        """What the operator tries before anything has run."""
        stage, agreed = self.stage, self.agreed
        for name, bundle in self.spec.inputs.items():
            open_what_is_sealed(self.attempts, stage, name=name, bundle=bundle)
        run_with_changed_contract(self.attempts, stage, agreed=agreed, spec=self.spec)
        ask_with_wrong_enclaves(
            self.attempts, stage, self.lines, agreed=agreed, on_hardware=self.on_hardware
        )
        ask_beyond_the_contract(
            self.attempts, stage, self.lines, agreed=agreed, other_bundle=self.older_notes
        )
        do_without_the_report(
            self.attempts, stage, self.lines, prepared=self.prepared, stricter=self.stricter
        )
        answer_as_a_broker(self.attempts, stage, agreed=agreed)
        run_with_other_bundle(
            self.attempts, stage, spec=self.spec, other=self.older_notes, on_event=self.hear
        )

    def run(self) -> RunOutcome:
        """The one run, which is attacked twice and survives both."""
        run_with_tampered_bundle(self.attempts, self.stage, spec=self.spec, on_event=self.hear)
        stop_and_roll_back(self.attempts, self.stage, spec=self.spec, on_event=self.hear)
        self.say("run", "the run is resumed honestly, from its newest training checkpoint")
        return finish_run(self.stage, spec=self.spec, on_event=self.hear)

    def receive(self, outcome: RunOutcome) -> tuple[TrainingReceipt, AgreedReceipt, Path]:
        """The recipient verifies the receipt offline and opens the result."""
        data = read_bounded(outcome.receipt, limit=RECEIPT_BYTES_MAX, what="receipt")
        receipt = parse_receipt(data)
        verified = accept_result(self.stage, self.agreed, receipt, outcome.result)
        self.say("recipient", f"receipt verified offline, {INSECURE}")
        return receipt, verified, open_result(self.stage, verified, outcome.result)

    def attack_after(self, outcome: RunOutcome, receipt: TrainingReceipt) -> None:
        """What the operator tries with what a finished run has left."""
        stage, agreed = self.stage, self.agreed
        repeat_what_was_heard(self.attempts, stage, self.lines, agreed=agreed)
        ask_after_the_end(self.attempts, stage, self.lines, agreed=agreed, run_id=outcome.run_id)
        run_once_more(self.attempts, stage, spec=self.spec, on_event=self.hear)
        open_what_is_sealed(self.attempts, stage, name="result", bundle=outcome.result)
        pass_off_results(
            self.attempts,
            stage,
            receipt=receipt,
            result=outcome.result,
            accept=lambda shown, file: accept_result(stage, agreed, shown, file),
        )

    def hear(self, event: WorkerEvent) -> None:
        """Keep what the worker says, as the operator would, and show it."""
        with (self.stage.operator / "worker-events.jsonl").open("a") as file:
            file.write(json.dumps(asdict(event)) + "\n")
        if event.event == "phase":
            self.say("run", f"worker: {event.phase}")
        elif event.event == "progress":
            step = DemoStep(phase="run", text="training", done=event.step, total=event.total)
            self.on_step(step)

    def say(self, phase: str, text: str) -> None:
        """Tell what happens."""
        self.on_step(DemoStep(phase=phase, text=text))


def _agree(
    stage: Stage,
    lines: Lines,
    prepared: Prepared,
    attempts: Attempts,
    *,
    size: DemoSize,
    seed: int,
    on_step: OnStep,
) -> _Play:
    agreed = agree(stage, inputs=prepared.inputs, size=size, seed=seed)
    on_hardware = agree_on_hardware(stage, inputs=prepared.inputs, size=size, seed=seed)
    stricter = agree_on_stricter_reports(stage, inputs=prepared.inputs, size=size, seed=seed)
    for name, bundle in (
        ("notes", prepared.inputs["notes"]),
        ("older-notes", prepared.older_notes),
    ):
        report = prepared.reports[name]
        register_bundle(stage, lines, owner="hospital", bundle=bundle, report=report)
    register_bundle(stage, lines, owner="modelvendor", bundle=prepared.inputs["encoder"])
    for broker in BROKER_OF.values():
        for contract in (agreed, on_hardware, stricter):
            register_contract(
                stage, lines, broker=broker, envelope=contract.envelope, digest=contract.digest
            )
    handed = hand_over(stage, {**prepared.inputs, "older": prepared.older_notes})
    older = handed.pop("older")
    spec = LaunchSpec(
        contract=agreed.path,
        inputs=handed,
        brokers=lines.addresses,
        output=stage.operator / "run",
        tee=Tee.SIMULATED,
        tee_files=stage.hardware,
    )
    return _Play(
        stage=stage,
        lines=lines,
        prepared=prepared,
        attempts=attempts,
        agreed=agreed,
        on_hardware=on_hardware,
        stricter=stricter,
        spec=spec,
        older_notes=older,
        on_step=on_step,
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class _Searched:
    findings: tuple[Finding, ...]
    files: int
    bytes: int


def _search(stage: Stage, secrets: dict[str, bytes]) -> _Searched:
    """Search the operator's folder, with all that the wiretaps heard, and the brokers' folders.

    Brokers hold keys and never plaintext, and their keys are encrypted at rest.
    """
    search = CanarySearch(secrets)
    findings: list[Finding] = []
    files = searched = 0
    for folder in (stage.operator, *(stage.home(owner) / "broker" for owner in OWNERS)):
        found, amount = search.search_folder(folder)
        findings += found
        files += amount.files
        searched += amount.bytes
    return _Searched(findings=tuple(findings), files=files, bytes=searched)


def _summary(
    folder: Path,
    size: DemoSize,
    verified: AgreedReceipt,
    outcome: RunOutcome,
    attempts: Attempts,
    searched: _Searched,
    watch: Stopwatch,
) -> DemoSummary:
    metrics = verified.receipt.statement.predicate.metrics
    return DemoSummary(
        folder=folder,
        accuracy_before=metrics["accuracy_before"],
        accuracy_after=metrics["accuracy_after"],
        records=size.records,
        receipt_verified=True,
        receipt_digest=verified.receipt.digest,
        sandboxed=outcome.sandboxed,
        searched_files=searched.files,
        searched_bytes=searched.bytes,
        findings=searched.findings,
        attacks=attempts.results,
        seconds=watch.seconds,
        worker_seconds=outcome.seconds_by_phase,
    )
