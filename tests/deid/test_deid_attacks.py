"""Identifiers in disguise: none may come through de-identification because of how it is written.

Each case hides one identifier as careless programs and hostile people do; what must not remain is
the identifier, folded back to plain letters and digits.
"""

from __future__ import annotations

import json
import unicodedata
from pathlib import Path

import pytest

from sealtune.deid.config import PROFILES
from sealtune.deid.detect import Pipeline
from sealtune.deid.key import create_deid_key
from sealtune.deid.run import deidentify

CONFIGURATION = PROFILES["hipaa-safe-harbor"]
SSN, MRN, MAIL, PHONE = "319-47-2086", "84713059", "o.brandvold@fjordpost.org", "608-555-2917"
FULL_WIDTH = {ord("0") + digit: 0xFF10 + digit for digit in range(10)}
ARABIC = {ord("0") + digit: 0x0660 + digit for digit in range(10)}
DEVANAGARI = {ord("0") + digit: 0x0966 + digit for digit in range(10)}
LIKE_LATIN = "\u0430\u0435\u043e\u0440\u0441\u0445"  # Cyrillic letters
CYRILLIC = str.maketrans("aeopcx", LIKE_LATIN)

DISGUISED = {
    "zero-width-space": (f"SSN: {SSN[:2]}\u200b{SSN[2:]} on file", SSN),
    "zero-width-joiners": ("SSN: " + "\u200d".join(SSN), SSN),
    "soft-hyphen": (f"MRN {MRN[:4]}\u00ad{MRN[4:]} seen", MRN),
    "byte-order-mark": (f"MRN: \ufeff{MRN[:3]}\ufeff{MRN[3:]}", MRN),
    "bidi-marks": (f"Phone \u202a{PHONE}\u202c today", PHONE),
    "full-width-digits": (f"SSN {SSN.translate(FULL_WIDTH)}", SSN),
    "arabic-digits": (f"SSN: {SSN.translate(ARABIC)}", SSN),
    "devanagari-digits": (f"Phone: {PHONE.translate(DEVANAGARI)}", PHONE),
    "bold-digits": (
        "SSN " + "".join(chr(0x1D7CE + int(c)) if c.isdigit() else c for c in SSN),
        SSN,
    ),
    "figure-dashes": ("SSN " + SSN.replace("-", "\u2012"), SSN),
    "cyrillic-letters": (f"E-mail {MAIL.translate(CYRILLIC)} please", MAIL),
    "no-break-spaces": ("SSN " + SSN.replace("-", "\u00a0"), SSN),
    "split-over-lines": (f"SSN: {SSN[:7]}\n{SSN[7:]} verified", SSN),
    "split-phone": (f"Phone: {PHONE[:4]}\n{PHONE[4:]}", PHONE),
    "html-entities": ("SSN: " + "".join(f"&#{ord(letter)};" for letter in SSN), SSN),
    "html-tags": (f"<p>SSN: <b>{SSN[:3]}</b>{SSN[3:]}</p>", SSN),
    "html-attribute": (f'<a href="mailto:{MAIL}">mail</a>', MAIL),
    "html-comment": (f"<p>fine</p><!-- MRN: {MRN} -->", MRN),
    "json-escapes": ('{"ssn": "' + "".join(f"\\u{ord(c):04x}" for c in SSN) + '"}', SSN),
    "json-in-json": (json.dumps(json.dumps({"note": f"SSN: {SSN}"})), SSN),
    "percent-at": (f"mail {MAIL.replace('@', '%40')} soon", MAIL),
}


def _plain(text: str) -> str:
    """Return letters and digits alone, as somebody who undoes the disguise reads them."""
    whole = unicodedata.normalize("NFKC", text.translate(str.maketrans(LIKE_LATIN, "aeopcx")))
    return "".join(
        str(unicodedata.digit(letter)) if letter.isdigit() else letter
        for letter in whole
        if letter.isalnum()
    )


@pytest.mark.parametrize("case", DISGUISED)
def test_a_disguised_identifier_is_found_whole(case: str) -> None:
    text, identifier = DISGUISED[case]
    kept = list(text)
    for finding in Pipeline.of(CONFIGURATION).find(text):
        kept[finding.start : finding.end] = " " * (finding.end - finding.start)
    left = "".join(kept)
    pieces = [piece for piece in _plain(identifier) if piece.isdigit()] or list(_plain(identifier))
    if "&#" in text or "\\u" in text:  # what is left must not hold the escapes of its digits
        assert not any(escape in left for escape in ("&#5", "\\u003"))
        return
    assert _plain(identifier) not in _plain(left)
    assert not any(piece in _plain(left) for piece in pieces if identifier != MAIL)


def test_identifiers_in_other_scripts_are_removed_where_a_label_or_form_says_what_they_are() -> (
    None
):
    text = "Телефон: +7 495 123-45-67, почта иван@почта.рф, 電話 03-1234-5678"
    found = {text[item.start : item.end] for item in Pipeline.of(CONFIGURATION).find(text)}
    digits = "".join("".join(filter(str.isdigit, piece)) for piece in sorted(found))
    assert "74951234567" in digits
    assert "0312345678" in digits


def test_neither_file_names_nor_what_is_beside_the_output_carry_an_identifier(
    tmp_path: Path,
) -> None:
    source = tmp_path / "in.jsonl"
    source.write_text(json.dumps({"text": f"SSN: {SSN}, MRN: {MRN}", f"note {MRN}": "x"}) + "\n")
    output = tmp_path / "out.jsonl"
    key = create_deid_key(tmp_path / "deid.key")
    summary = deidentify(source, output, configuration=CONFIGURATION, key=key)
    assert SSN not in repr(summary)
    assert MRN not in repr(summary)
    for path in tmp_path.rglob("*"):
        assert SSN not in path.name
        assert MRN not in path.name
        if path.is_file() and path != source:
            assert SSN.encode() not in path.read_bytes()


def test_a_very_long_hostile_text_is_read_in_one_pass() -> None:
    # No assertion on time: where a pattern is quadratic, this test does not end.
    for piece in ("a.", "1-", "@a", "St. ", "Dr. A", "((", "\u200b1", "&#4", "2001:", "eyJ"):
        Pipeline.of(CONFIGURATION).find(piece * 50_000)
