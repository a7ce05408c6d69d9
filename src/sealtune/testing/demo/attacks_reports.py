"""The operator registers notes without their report, or asks by terms that it does not meet."""

from __future__ import annotations

import json
from dataclasses import replace

from sealtune.core.canonical import canonical_json
from sealtune.crypto.dsse import parse_envelope
from sealtune.errors import Code
from sealtune.testing.demo.attacks_keys import KeyThief
from sealtune.testing.demo.attempts import Attempts
from sealtune.testing.demo.prepared import Prepared
from sealtune.testing.demo.stage import BROKER_OF, Lines, Stage, post_registration
from sealtune.testing.demo.terms import Agreed

_OTHERS = frozenset({Code.DEID_OTHER_REPORT, Code.SIGNATURE_INVALID})


def do_without_the_report(
    attempts: Attempts, stage: Stage, lines: Lines, *, prepared: Prepared, stricter: Agreed
) -> None:
    """Try each way around the de-identification report of the notes."""
    notes, own = prepared.inputs["notes"], prepared.reports["notes"].read_bytes()

    def post(report: bytes | None) -> None:
        post_registration(stage, lines, owner="hospital", bundle=notes, report=report)

    attempts.make(
        "notes-without-report",
        "registers the notes without their de-identification report",
        codes=frozenset({Code.DEID_REPORT_MISSING}),
        action=lambda: post(None),
    )
    attempts.make(
        "another-datasets-report",
        "registers them with the report of other notes",
        codes=frozenset({Code.DEID_OTHER_REPORT}),
        action=lambda: post(prepared.reports["older-notes"].read_bytes()),
    )
    attempts.make(
        "embellished-report",
        "writes a detector into the report that never ran",
        codes=_OTHERS,
        action=lambda: post(_embellished(own)),
    )
    thief = KeyThief(stage=stage, client=lines.direct(BROKER_OF["hospital"]))
    attempts.make(
        "report-too-weak",
        "asks for the key by a contract that wants more of the report than it shows",
        codes=frozenset({Code.DENIED_DEIDENTIFICATION}),
        action=lambda: thief.ask(stricter),
    )


def _embellished(report: bytes) -> bytes:
    envelope = parse_envelope(report, what="report")
    statement = json.loads(envelope.payload)
    statement["predicate"]["modes"].append("presidio")
    return replace(envelope, payload=canonical_json(statement)).to_json()
