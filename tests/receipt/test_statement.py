"""Forms of receipts and statements (spec/receipt §1, §2)."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sealtune.core.canonical import canonical_json
from sealtune.core.limits import RECEIPT_BYTES_MAX
from sealtune.crypto.dsse import Envelope
from sealtune.errors import Code, FormatError, SealtuneError
from sealtune.receipt.receipt import TrainingReceipt, parse_receipt, receipt_from_dict
from sealtune.receipt.schema import parse_statement
from sealtune.receipt.statement import build_statement
from sealtune.testing.finished_run import FILES, FinishedRun

Document = dict[str, Any]


def refused(data: bytes) -> FormatError:
    with pytest.raises(FormatError) as caught:
        parse_statement(data)
    return caught.value


def test_statement_is_an_in_toto_statement(run: FinishedRun) -> None:
    document = json.loads(run.statement())
    assert document["_type"] == "https://in-toto.io/Statement/v1"
    assert document["predicateType"] == "https://sealtune.dev/TrainingReceipt/v1"
    first, *files = document["subject"]
    assert (first["name"], list(first["digest"])) == ("result.sealed", ["sealtuneBundle"])
    assert {item["name"] for item in files} == {*FILES, "model.sig", "signer.pub"}
    assert document["predicate"]["recipe"]["model"] == "encoder"
    assert document["predicate"]["result"]["bytes"] == sum(map(len, FILES.values()))


def test_metrics_have_no_digits_to_say_something_else_in(run: FinishedRun) -> None:
    record = replace(run.record, metrics={"accuracy_after": 0.123456789})
    document = json.loads(build_statement(run.contract, run=record, output=run.output))
    assert document["predicate"]["metrics"] == {"accuracy_after": 0.1235}


def test_statement_needs_signed_files_and_sound_facts(run: FinishedRun) -> None:
    with pytest.raises(ValueError, match="no model signature"):
        build_statement(run.contract, run=run.record, output=replace(run.output, files=FILES))
    for record in (
        replace(run.record, run_id="1"),
        replace(run.record, metrics={"accuracy_after": -1.5}, software={"a b": "1"}),
        replace(run.record, finished=run.record.started.replace(year=2025)),
    ):
        with pytest.raises(FormatError) as caught:
            build_statement(run.contract, run=record, output=run.output)
        assert caught.value.code is Code.RECEIPT_MALFORMED


def put(*place: str | int, value: Any) -> Callable[[Document], None]:
    def change(document: Document) -> None:
        target: Any = document
        for step in place[:-1]:
            target = target[step]
        target[place[-1]] = value

    return change


def take(*place: str | int) -> Callable[[Document], None]:
    def change(document: Document) -> None:
        target: Any = document
        for step in place[:-1]:
            target = target[step]
        del target[place[-1]]

    return change


HEX = "ab" * 32
WRONG = {
    "another type": put("_type", value="https://in-toto.io/Statement/v0.1"),
    "another predicate": put("predicateType", value="https://slsa.dev/provenance/v1"),
    "an unknown field": put("note", value=1),
    "an unknown field of the predicate": put("predicate", "note", value=1),
    "no subject": put("subject", value=[]),
    "only the result": lambda document: document["subject"].__delitem__(slice(1, None)),
    "no result": lambda document: document["subject"].pop(0),
    "two results": lambda document: document["subject"].append(document["subject"][0]),
    "a result that is not first": lambda document: document["subject"].reverse(),
    "a file twice": lambda document: document["subject"].append(document["subject"][1]),
    "a result with a file's digest": put("subject", 0, "digest", value={"sha256": HEX}),
    "a digest of another algorithm": put("subject", 1, "digest", value={"md5": HEX}),
    "a digest that is none": put("subject", 1, "digest", "sha256", value="AB" * 32),
    "a file that leads out": put("subject", 1, "name", value="../adapter"),
    "a file that is absolute": put("subject", 1, "name", value="/etc/passwd"),
    "a file that hides": put("subject", 1, "name", value="a/.hidden"),
    "a file with a control character": put("subject", 1, "name", value="a\n"),
    "a file without name": put("subject", 1, "name", value=""),
    "a run id too short": put("predicate", "run_id", value="ab"),
    "a time with a zone": put("predicate", "started", value="2026-11-23T12:00:00+00:00"),
    "an end before the start": put("predicate", "finished", value="2026-01-01T00:00:00Z"),
    "no inputs": put("predicate", "inputs", value=[]),
    "no releases": put("predicate", "releases", value=[]),
    "a negative log": put("predicate", "releases", 0, "log_size", value=-1),
    "a count that is none": put("predicate", "counts", "records", value=1.5),
    "a metric that is none": put("predicate", "metrics", "accuracy_after", value="0.9"),
    "a version with an escape": put("predicate", "software", "python", value="3\x1b[2J"),
    "a worker key that is none": put("predicate", "worker", "signing_key", value="ed25519:"),
    "a recipe out of range": put("predicate", "recipe", "epochs", value=0),
    "a recipe with a default left out": take("predicate", "recipe", "seed"),
    "a signer that is no digest": put("predicate", "model_signer", value=HEX),
    "a flag left out": take("predicate", "insecure_simulated"),
    "a flag that is a number": put("predicate", "insecure_simulated", value=1),
    "a recipient twice": put("predicate", "result", "recipients", value=["clinic", "clinic"]),
}


@pytest.mark.parametrize("name", WRONG)
def test_statement_of_another_form(run: FinishedRun, name: str) -> None:
    assert refused(run.altered(WRONG[name])).code is Code.RECEIPT_MALFORMED


def test_statement_in_another_spelling(run: FinishedRun) -> None:
    data = run.statement()
    assert refused(data + b" ").code is Code.RECEIPT_MALFORMED
    assert refused(data.replace(b'":', b'": ', 1)).code is Code.RECEIPT_MALFORMED
    assert refused(data[:-1] + b',"_type":"x"}').code is Code.JSON_MALFORMED
    assert refused(b"[]").code is Code.RECEIPT_MALFORMED
    assert refused(b" " * (RECEIPT_BYTES_MAX + 1)).code is Code.LIMIT_EXCEEDED


def test_receipt_survives_the_trip(run: FinishedRun) -> None:
    receipt = run.receipt()
    assert parse_receipt(receipt.to_json()) == receipt
    assert receipt_from_dict(receipt.to_dict()).digest == receipt.digest


def test_receipt_of_another_form(run: FinishedRun) -> None:
    document = run.receipt().to_dict()
    for wrong in (
        [],
        {},
        {**document, "format": "sealtune-receipt/2"},
        {**document, "note": 1},
        {name: document[name] for name in ("format", "envelope")},
    ):
        with pytest.raises(FormatError) as caught:
            receipt_from_dict(wrong)
        assert caught.value.code is Code.RECEIPT_MALFORMED
    for field in ("envelope", "evidence"):
        with pytest.raises(FormatError):
            receipt_from_dict({**document, field: {}})


def test_receipt_of_too_many_bytes(run: FinishedRun) -> None:
    with pytest.raises(FormatError) as caught:
        parse_receipt(b" " * (RECEIPT_BYTES_MAX + 1))
    assert caught.value.code is Code.LIMIT_EXCEEDED
    envelope = run.receipt().envelope
    huge = Envelope(envelope.payload_type, b"a" * (5 << 20), envelope.signatures)
    with pytest.raises(FormatError) as caught:
        receipt_from_dict(replace(run.receipt(), envelope=huge).to_dict())
    assert caught.value.code is Code.LIMIT_EXCEEDED


@given(data=st.data())
def test_parser_raises_nothing_but_its_own_errors(run: FinishedRun, data: st.DataObject) -> None:
    receipt = bytearray(run.receipt().to_json())
    for _ in range(data.draw(st.integers(1, 3))):
        place = data.draw(st.integers(0, len(receipt) - 1))
        receipt[place] = data.draw(st.integers(0, 255))
    try:
        parsed = parse_receipt(bytes(receipt))
        parse_statement(parsed.envelope.payload)
    except SealtuneError:
        return
    assert isinstance(parsed, TrainingReceipt)


def test_errors_show_names_and_not_values(run: FinishedRun) -> None:
    secret = "patient 4711"

    def slip(document: Document) -> None:
        document["predicate"]["run_id"] = secret
        document["predicate"]["recipe"]["labels"] = [secret]

    error = refused(run.altered(slip))
    assert secret not in error.message
    assert canonical_json(secret).decode() not in error.message
