"""What fuzzing found, each with the check that refuses it now (docs/fuzzing.md, section 4)."""

from __future__ import annotations

import json
from functools import partial
from pathlib import Path
from typing import Any

import fuzz_world
import pytest

from sealtune import explain
from sealtune.attestation.dcap_tcb import TCB_DOCUMENT_BYTES_MAX, parse_qe_identity
from sealtune.attestation.event_log import read_event_log
from sealtune.attestation.examine import Question, examine
from sealtune.attestation.forms.endorsement_files import read_endorsements
from sealtune.attestation.forms.octets import from_text
from sealtune.attestation.forms.read import read_evidence
from sealtune.attestation.rim_xml import parse_xml
from sealtune.cli import attest_lines
from sealtune.cli.attest_lines import explained_lines
from sealtune.cli.output import emit_json, printable
from sealtune.contract.policy import parse_policy
from sealtune.core.canonical import parse_foreign_json, parse_json
from sealtune.core.limits import FOREIGN_EVIDENCE_MARKS_MAX, JSON_MARKS_MAX, POLICY_BYTES_MAX
from sealtune.crypto import der
from sealtune.crypto.der import Tag, read_element
from sealtune.crypto.extensions import read_extensions
from sealtune.errors import Code, SealtuneError


def refused(parse: object, *args: object, **named: object) -> Code:
    assert callable(parse)
    with pytest.raises(SealtuneError) as refusal:
        parse(*args, **named)
    return refusal.value.code


@pytest.mark.parametrize("parse", [parse_json, parse_foreign_json])
@pytest.mark.parametrize(
    ("unit", "marks"), [(b"0,", 1), (b'"",', 5), (b"[],", 4), (b"{},", 4)], ids=repr
)
def test_json_of_more_values_than_its_size_lets_expect_is_refused(
    parse: object, unit: bytes, marks: int
) -> None:
    assert callable(parse)
    most = (JSON_MARKS_MAX - 3) // marks
    assert len(parse(b"[" + unit * most + b"0]", limit=1 << 24, what="test")) == most + 1
    too_many = b"[" + unit * (most + 1) + b"0]"
    assert refused(parse, too_many, limit=1 << 24, what="test") is Code.LIMIT_EXCEEDED


def test_evidence_may_list_its_octets_and_no_more_than_that() -> None:
    report = b'{"quote":[' + b"1," * FOREIGN_EVIDENCE_MARKS_MAX + b"0]}"
    assert refused(read_evidence, report, kind=None, what="test") is Code.LIMIT_EXCEEDED


# To a reader that guesses UTF-16 the second quotation mark is part of the first string.
HIDDEN = '["\\"",' + "[" * 40 + "]" * 40 + ',"\\""]'


@pytest.mark.parametrize("encoding", ["utf-16-le", "utf-16-be", "utf-32-le"])
def test_json_is_read_as_the_text_whose_brackets_were_counted(encoding: str) -> None:
    data = HIDDEN.encode(encoding)
    assert refused(parse_foreign_json, data, limit=4096, what="test") is Code.JSON_MALFORMED


def test_json_of_other_programs_may_begin_with_a_mark_of_its_encoding() -> None:
    assert parse_foreign_json(b"\xef\xbb\xbf[1]", limit=100, what="test") == [1]


def test_text_that_cannot_be_encoded_is_no_additional_evidence() -> None:
    message = {"primary_evidence": {"quote": "00" * 8}, "additional_evidence": "\ud800"}
    message["primary_evidence"] = {"quote": bytes.fromhex("0400020081000000").hex()}
    code = refused(read_evidence, json.dumps(message).encode(), kind=None, what="test")
    assert code is Code.JSON_MALFORMED


def test_space_within_text_is_passed_over() -> None:
    assert from_text(b" 0x4 1\t4\n2\r4\x0b3\x0c") == b"ABC"


@pytest.mark.parametrize(
    "text",
    [
        b"a=" + b"9" * 5000,
        b"a=0x" + b"f" * 5000,
        b"a=" + b"{a=" * 1500 + b"1" + b"}" * 1500,
    ],
    ids=["digits", "hexadecimal", "tables"],
)
def test_numbers_and_tables_beyond_what_python_takes_are_no_policy(text: bytes) -> None:
    assert refused(parse_policy, text, what="test") is Code.CONTRACT_MALFORMED


def test_a_policy_has_a_bound_and_few_dots_in_a_line() -> None:
    assert refused(parse_policy, b"#" * POLICY_BYTES_MAX, what="test") is Code.CONTRACT_FIELD
    assert refused(parse_policy, b"#" * (POLICY_BYTES_MAX + 1), what="test") is Code.LIMIT_EXCEEDED
    assert refused(parse_policy, b"#" + b"." * 256 + b"\n.", what="test") is Code.CONTRACT_MALFORMED
    assert refused(parse_policy, b"#" + b"." * 257, what="test") is Code.LIMIT_EXCEEDED


def test_tcb_info_that_no_set_could_hold_is_not_read_again_and_again() -> None:
    body = b'{"tcbInfo":{}' + b" " * TCB_DOCUMENT_BYTES_MAX + b"}"
    assert refused(read_endorsements, [("a", body)], chain=()) is Code.LIMIT_EXCEEDED


@pytest.mark.parametrize("number", ["NaN", "1e999", "-Infinity"])
def test_what_is_shown_of_evidence_is_json(number: str) -> None:
    claims = f'{{"keys":[],"vm-configuration":{{"secure-boot":{number}}}}}'.encode()
    shown = examined(claims)
    assert shown["code"] == Code.JSON_MALFORMED
    json.dumps(shown, allow_nan=False)


def examined(claims: bytes) -> dict[str, Any]:
    evidence = fuzz_world.azure().tdx_evidence(runtime=claims)
    question = Question(accepted=None, report_data=None, host_data=None)
    base = fuzz_world.bases()["azure-tdx"]
    found = examine(
        (evidence,),
        question=question,
        anchors=base.anchors,
        endorsements=base.endorsements,
        now=fuzz_world.NOW,
    )
    return found.to_dict()


def test_evidence_cannot_end_or_steer_what_is_printed(capsys: pytest.CaptureFixture[str]) -> None:
    emit_json({"a": "\ud800"})
    assert json.loads(capsys.readouterr().out) == {"a": "\ud800"}
    assert printable("\ud800 \x1b[2J \n \u202e \u00e4") == "\\ud800 \\x1b[2J \\n \\u202e \u00e4"


def test_what_is_shown_to_people_holds_no_command_for_a_terminal(tmp_path: Path) -> None:
    text = "\\ud800\\u001b[2J"
    claims = f'{{"keys":[],"vm-configuration":{{"{text}":"{text}"}},"user-data":"{text}"}}'
    evidence = fuzz_world.azure().tdx_evidence(runtime=claims.encode())
    shown = "".join(explained_lines(tmp_path, [explain(evidence)]))
    assert "\\ud800\\x1b[2J" in shown
    assert "\x1b[2J" not in shown
    shown.encode()


def test_reasons_and_identities_hold_no_command_for_a_terminal() -> None:
    (line,) = attest_lines._wrapped("", 0, "no \x1b[2J", 80)
    assert line == "no \\x1b[2J"
    assert attest_lines._folded("a\x1b[2J", 80) == "a\\x1b[2J"


def test_a_message_repeats_little_of_what_it_refuses() -> None:
    level = {"tcbStatus": "x" * 5000, "tcb": {"isvsvn": 1}}
    identity = fuzz_world.intel().qe_identity(is_td=True)
    runtime = {"imr": 3, "event_type": 0x08000001, "digest": "00" * 48, "event": "x" * 1000}
    snp = {"attestation_report": "AAAA", "cert_chain": {"\x1b[2J": 1}}
    for parse, value in (
        (parse_qe_identity, {**identity, "id": "x" * 5000}),
        (parse_qe_identity, {**identity, "tcbLevels": [level]}),
        (read_event_log, [{**runtime, "event_payload": ""}]),
        (partial(read_evidence, kind=None, what="test"), snp),
    ):
        with pytest.raises(SealtuneError) as refusal:
            parse(json.dumps(value).encode())
        assert len(refusal.value.message) < 200
        assert refusal.value.message.isprintable()


def test_a_file_has_few_certificates() -> None:
    block = b"-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n"
    for count, code in ((256, Code.ENDORSEMENT_MALFORMED), (257, Code.LIMIT_EXCEEDED)):
        assert refused(read_endorsements, [("a", block * count)], chain=()) is code


def test_a_prefix_is_not_declared_again_and_again() -> None:
    def levels(count: int) -> bytes:
        return b"<r>" + b'<a xmlns:p="u">' * count + b"</a>" * count + b"</r>"

    assert len(parse_xml(levels(64))) == 1
    assert refused(parse_xml, levels(65)) is Code.ENDORSEMENT_MALFORMED


def test_extensions_may_be_bounded_below_what_a_certificate_has() -> None:
    one = der.encode(Tag.SEQUENCE, der.encode_oid("1.2.3"), der.encode(Tag.OCTET_STRING, b""))
    two = der.encode(Tag.SEQUENCE, der.encode_oid("1.2.4"), der.encode(Tag.OCTET_STRING, b""))
    listing = read_element(der.encode(Tag.SEQUENCE, one, two), tag=Tag.SEQUENCE)
    assert len(read_extensions(listing, understood=frozenset(), limit=2)) == 2
    code = refused(read_extensions, listing, understood=frozenset(), limit=1)
    assert code is Code.DER_MALFORMED
