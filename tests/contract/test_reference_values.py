"""Reference values: one form and one signer (spec/reference-values §2, §5)."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sealtune.attestation.evidence import EvidenceKind
from sealtune.contract.reference_values import (
    ENTRIES_MAX,
    PAYLOAD_TYPE,
    REFERENCE_VALUES_BYTES_MAX,
    ReferenceEntry,
    ReferenceValues,
    parse_reference_values,
    read_reference_values,
    sign_reference_values,
    verify_reference_values,
)
from sealtune.core.canonical import canonical_json
from sealtune.core.digest import sha256_digest
from sealtune.core.limits import CONTRACT_MEASUREMENTS_MAX
from sealtune.crypto.dsse import sign_envelope
from sealtune.crypto.signing import SigningKey
from sealtune.errors import Code, FormatError, SealtuneError

KEY, OTHER = SigningKey.generate(), SigningKey.generate()
SNP = ReferenceEntry(
    kind=EvidenceKind.SEV_SNP, measurements=("ab" * 48, "cd" * 48), registers={}, note="QEMU"
)
TPM = ReferenceEntry(
    kind=EvidenceKind.TPM_VM, measurements=(), registers={"pcr4": ("ef" * 32,)}, note=""
)
VALUES = ReferenceValues(
    image=sha256_digest(b"image.json"), entries={"sev-snp-EPYC-Genoa-4": SNP, "tpm-vm": TPM}
)


def payload(change: Callable[[dict[str, Any]], None] = lambda value: None) -> bytes:
    value = json.loads(canonical_json(VALUES.to_dict()))
    change(value)
    return canonical_json(value)


def code_of(data: bytes, *, key: SigningKey = KEY) -> Code:
    with pytest.raises(SealtuneError) as refusal:
        verify_reference_values(data, key=key.public)
    return refusal.value.code


def test_what_is_signed_is_what_is_read() -> None:
    data = sign_reference_values(VALUES, key=KEY)
    verified = verify_reference_values(data, key=KEY.public)
    assert verified.values == VALUES == read_reference_values(data)
    assert verified.signer == KEY.public


def test_only_the_expected_signer_counts_and_nobody_beside() -> None:
    assert code_of(sign_reference_values(VALUES, key=OTHER)) is Code.SIGNATURE_MISSING
    both = sign_envelope(payload(), payload_type=PAYLOAD_TYPE, keys=(KEY, OTHER))
    assert code_of(both.to_json()) is Code.SIGNATURE_INVALID


def test_another_documents_envelope_is_refused() -> None:
    kind = "application/vnd.sealtune.contract.v1+json"
    data = sign_envelope(payload(), payload_type=kind, keys=(KEY,)).to_json()
    assert code_of(data) is Code.ENVELOPE_TYPE
    with pytest.raises(FormatError) as refusal:
        read_reference_values(data)
    assert refusal.value.code is Code.IMAGE_MALFORMED


def test_a_payload_in_another_envelope_is_refused() -> None:
    mine = json.loads(sign_reference_values(VALUES, key=KEY))
    others = ReferenceValues(image=VALUES.image, entries={"tpm-vm": TPM})
    mine["payload"] = json.loads(sign_reference_values(others, key=KEY))["payload"]
    assert code_of(canonical_json(mine)) is Code.SIGNATURE_INVALID


def _set(*path: str | int, value: object) -> Callable[[dict[str, Any]], None]:
    def change(document: dict[str, Any]) -> None:
        place: Any = document
        for step in path[:-1]:
            place = place[step]
        place[path[-1]] = value

    return change


_SNP = ("entries", "sev-snp-EPYC-Genoa-4")
_TPM = ("entries", "tpm-vm")


@pytest.mark.parametrize(
    "change",
    [
        pytest.param(_set("format", value="sealtune-reference-values/2"), id="another-format"),
        pytest.param(_set("more", value=1), id="unknown-member"),
        pytest.param(lambda value: value.pop("format"), id="missing-member"),
        pytest.param(_set("entries", value={}), id="no-entry"),
        pytest.param(_set("entries", value=[]), id="entries-are-a-list"),
        pytest.param(_set("entries", "a b", value=SNP.to_dict()), id="name-with-a-space"),
        pytest.param(_set("entries", "", value=SNP.to_dict()), id="empty-name"),
        pytest.param(_set("entries", "n" * 65, value=SNP.to_dict()), id="long-name"),
        pytest.param(_set(*_SNP, value=[]), id="entry-is-a-list"),
        pytest.param(_set(*_SNP, "more", value=1), id="unknown-member-of-an-entry"),
        pytest.param(lambda value: value["entries"]["tpm-vm"].pop("note"), id="no-note"),
        pytest.param(_set(*_SNP, "kind", value="sev"), id="unknown-kind"),
        pytest.param(_set(*_SNP, "kind", value=["sev-snp"]), id="kind-is-a-list"),
        pytest.param(_set(*_SNP, "kind", value="nitro"), id="kind-without-an-image"),
        pytest.param(_set(*_TPM, "kind", value="nitro"), id="registers-without-an-image"),
        pytest.param(_set(*_SNP, "measurements", value=[]), id="no-value"),
        pytest.param(_set(*_SNP, "measurements", value="ab" * 48), id="text-for-a-list"),
        pytest.param(_set(*_SNP, "measurements", value=[7]), id="number-for-a-text"),
        pytest.param(_set(*_SNP, "measurements", 0, value="ab" * 32), id="short-measurement"),
        pytest.param(_set(*_SNP, "measurements", 0, value="AB" * 48), id="capitals"),
        pytest.param(_set(*_SNP, "measurements", 0, value="cd" * 48), id="twice"),
        pytest.param(
            _set(*_SNP, "measurements", value=[f"{n:096x}" for n in range(65)]), id="65-values"
        ),
        pytest.param(_set(*_TPM, "measurements", value=["ab" * 48]), id="measurement-of-a-vm"),
        pytest.param(_set(*_TPM, "registers", value=[]), id="registers-are-a-list"),
        pytest.param(_set(*_TPM, "registers", "pcr4", value=[]), id="register-without-a-value"),
        pytest.param(_set(*_TPM, "registers", "pcr4", value=["ef"]), id="short-register"),
        pytest.param(_set(*_TPM, "registers", "PCR9", value=["ef" * 32]), id="register-capitals"),
        pytest.param(_set(*_TPM, "registers", "p", value=["ef" * 32]), id="register-name-short"),
        pytest.param(
            _set(*_TPM, "registers", value={f"pcr{n}": ["ef" * 32] for n in range(33)}),
            id="33-registers",
        ),
        pytest.param(_set(*_TPM, "note", value=7), id="note-is-a-number"),
        pytest.param(_set(*_TPM, "note", value="\u202egood"), id="note-that-turns-around"),
        pytest.param(_set(*_TPM, "note", value="n" * 401), id="long-note"),
    ],
)
def test_other_payloads_are_refused(change: Callable[[dict[str, Any]], None]) -> None:
    data = sign_envelope(payload(change), payload_type=PAYLOAD_TYPE, keys=(KEY,)).to_json()
    assert code_of(data) is Code.IMAGE_MALFORMED


def test_one_spelling_only() -> None:
    data = payload().replace(b":", b": ", 1)
    envelope = sign_envelope(data, payload_type=PAYLOAD_TYPE, keys=(KEY,))
    assert code_of(envelope.to_json()) is Code.IMAGE_MALFORMED


def test_an_image_without_a_digest_is_refused() -> None:
    with pytest.raises(FormatError) as refusal:
        parse_reference_values(payload(_set("image", value="sha256:0")))
    assert refusal.value.code is Code.DIGEST_MALFORMED


def test_more_than_a_reader_takes_is_refused_before_it_is_read() -> None:
    data = sign_reference_values(VALUES, key=KEY)
    padded = data + b" " * (REFERENCE_VALUES_BYTES_MAX - len(data))
    assert verify_reference_values(padded, key=KEY.public).values == VALUES
    assert code_of(padded + b" ") is Code.LIMIT_EXCEEDED
    with pytest.raises(FormatError) as refusal:
        read_reference_values(padded + b" ")
    assert refusal.value.code is Code.LIMIT_EXCEEDED


def test_more_entries_than_allowed_are_refused() -> None:
    entries = {f"n{index}": TPM for index in range(ENTRIES_MAX + 1)}
    with pytest.raises(FormatError) as refusal:
        ReferenceValues(image=VALUES.image, entries=entries)
    assert refusal.value.code is Code.IMAGE_MALFORMED
    many = payload(_set("entries", value={name: TPM.to_dict() for name in entries}))
    with pytest.raises(FormatError) as refusal:
        parse_reference_values(many)
    assert refusal.value.code in {Code.IMAGE_MALFORMED, Code.LIMIT_EXCEEDED}


def test_what_no_reader_would_take_is_not_signed() -> None:
    values = tuple(f"{n:096x}" for n in range(CONTRACT_MEASUREMENTS_MAX))
    full = ReferenceEntry(
        kind=EvidenceKind.SEV_SNP, measurements=values, registers={}, note="n" * 400
    )
    many = ReferenceValues(image=VALUES.image, entries={f"n{n}": full for n in range(64)})
    with pytest.raises(FormatError) as refusal:
        sign_reference_values(many, key=KEY)
    assert refusal.value.code is Code.IMAGE_MALFORMED


def test_a_whole_image_is_less_than_a_reader_takes() -> None:
    values = tuple(f"{n:096x}" for n in range(CONTRACT_MEASUREMENTS_MAX))
    note = "QEMU, guest features 0x1"
    every = ReferenceEntry(kind=EvidenceKind.SEV_SNP, measurements=values, registers={}, note=note)
    single = {
        f"sev-snp-EPYC-Milan-v2-{n}": ReferenceEntry(
            kind=EvidenceKind.SEV_SNP, measurements=(value,), registers={}, note=note
        )
        for n, value in enumerate(values)
    }
    whole = ReferenceValues(image=VALUES.image, entries={"sev-snp": every, **single})
    data = sign_reference_values(whole, key=KEY)
    assert len(data) * 4 < REFERENCE_VALUES_BYTES_MAX
    assert verify_reference_values(data, key=KEY.public).values == whole


@given(st.binary(max_size=300))
def test_hostile_bytes_raise_nothing_else(data: bytes) -> None:
    with pytest.raises(SealtuneError):
        verify_reference_values(data, key=KEY.public)
    with pytest.raises(SealtuneError):
        parse_reference_values(data)
