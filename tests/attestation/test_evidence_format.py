"""Evidence on its way: strict, bounded, one text per value."""

from __future__ import annotations

import contextlib
import dataclasses
import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sealtune.attestation.evidence import Evidence, EvidenceKind, evidence_from_dict
from sealtune.core.limits import (
    CERTIFICATE_BYTES_MAX,
    CHAIN_CERTIFICATES_MAX,
    DEVICES_MAX,
    EVIDENCE_BYTES_MAX,
)
from sealtune.crypto.encoding import b64encode
from sealtune.errors import Code, FormatError, SealtuneError


def evidence(report: bytes = b"report", certificates: tuple[bytes, ...] = (b"vcek",)) -> Evidence:
    return Evidence(kind=EvidenceKind.SEV_SNP, report=report, certificates=certificates)


@given(st.binary(max_size=2000), st.lists(st.binary(max_size=100), max_size=8))
def test_round_trip(report: bytes, certificates: list[bytes]) -> None:
    original = evidence(report, tuple(certificates))
    assert evidence_from_dict(json.loads(json.dumps(original.to_dict()))) == original


@pytest.mark.parametrize(
    ("changes", "code"),
    [
        ({"kind": "sev-es"}, Code.EVIDENCE_KIND),
        ({"kind": "SEV-SNP"}, Code.EVIDENCE_KIND),
        ({"kind": 1}, Code.EVIDENCE_KIND),
        ({"kind": None}, Code.EVIDENCE_KIND),
        ({"kind": []}, Code.EVIDENCE_KIND),
        ({"report": "AA=="}, Code.EVIDENCE_MALFORMED),
        ({"report": "AB"}, Code.EVIDENCE_MALFORMED),  # a second spelling of one byte
        ({"report": "A+"}, Code.EVIDENCE_MALFORMED),
        ({"report": None}, Code.EVIDENCE_MALFORMED),
        ({"report": "A" * (EVIDENCE_BYTES_MAX * 2)}, Code.LIMIT_EXCEEDED),
        ({"certificates": "AA"}, Code.EVIDENCE_MALFORMED),
        ({"certificates": [1]}, Code.EVIDENCE_MALFORMED),
        ({"certificates": ["AA"] * (CHAIN_CERTIFICATES_MAX + 1)}, Code.EVIDENCE_MALFORMED),
        ({"certificates": ["A" * (CERTIFICATE_BYTES_MAX * 2)]}, Code.LIMIT_EXCEEDED),
        ({"policy": "none"}, Code.EVIDENCE_MALFORMED),
    ],
)
def test_other_forms_are_refused(changes: dict[str, Any], code: Code) -> None:
    with pytest.raises(FormatError) as refusal:
        evidence_from_dict({**evidence().to_dict(), **changes})
    assert refusal.value.code is code


@pytest.mark.parametrize("name", ["kind", "report", "certificates"])
def test_missing_fields_are_refused(name: str) -> None:
    value = evidence().to_dict()
    del value[name]
    with pytest.raises(FormatError) as refusal:
        evidence_from_dict(value)
    assert refusal.value.code is Code.EVIDENCE_MALFORMED


def test_the_bounds_themselves_are_allowed() -> None:
    full = (bytes(CERTIFICATE_BYTES_MAX),) * (CHAIN_CERTIFICATES_MAX - 1)
    rest = EVIDENCE_BYTES_MAX - sum(map(len, full))
    original = evidence(bytes(rest - 1), (*full, b"x"))
    assert evidence_from_dict(original.to_dict()) == original


@pytest.mark.parametrize(
    ("report", "certificates"),
    [
        (bytes(EVIDENCE_BYTES_MAX + 1), ()),
        (bytes(EVIDENCE_BYTES_MAX), (b"x",)),
        (b"", (bytes(CERTIFICATE_BYTES_MAX + 1),)),
        (b"", (b"",) * (CHAIN_CERTIFICATES_MAX + 1)),
    ],
    ids=["report", "together", "certificate", "certificates"],
)
def test_more_than_any_honest_evidence_has_is_refused(
    report: bytes, certificates: tuple[bytes, ...]
) -> None:
    with pytest.raises(FormatError) as refusal:
        evidence(report, certificates)
    assert refusal.value.code is Code.LIMIT_EXCEEDED


def test_the_sum_of_parts_that_are_each_allowed_is_bounded() -> None:
    value = {
        "kind": "sev-snp",
        "report": b64encode(bytes(EVIDENCE_BYTES_MAX)),
        "certificates": [b64encode(b"x")],
    }
    with pytest.raises(FormatError) as refusal:
        evidence_from_dict(value)
    assert refusal.value.code is Code.LIMIT_EXCEEDED


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=4), inner),
    max_leaves=8,
)


@given(JSON, JSON, JSON)
def test_any_json_raises_nothing_but_our_errors(kind: Any, report: Any, certificates: Any) -> None:
    for value in (
        kind,
        {"kind": kind, "report": report, "certificates": certificates},
        {"kind": "sev-snp", "report": report, "certificates": certificates},
    ):
        with contextlib.suppress(SealtuneError):
            evidence_from_dict(value)


# -- parts and devices -----------------------------------------------------------------------------

GPU = Evidence(kind=EvidenceKind.NVIDIA_GPU, report=b"gpu", certificates=(b"leaf",))


def test_parts_and_devices_travel() -> None:
    original = dataclasses.replace(evidence(), parts={"event_log": b"log"}, devices=(GPU, GPU))
    again = evidence_from_dict(original.to_dict())
    assert again == original
    assert again.part("event_log") == b"log"
    assert again.size == evidence().size + 3 + 2 * GPU.size


def test_a_part_that_is_not_there_is_refused_by_name() -> None:
    with pytest.raises(FormatError, match="tpm_quote") as refusal:
        evidence().part("tpm_quote")
    assert refusal.value.code is Code.EVIDENCE_MALFORMED


@pytest.mark.parametrize(
    ("changes", "code"),
    [
        ({"parts": {}}, Code.EVIDENCE_MALFORMED),  # a second spelling of none
        ({"parts": []}, Code.EVIDENCE_MALFORMED),
        ({"parts": {"Log": "AA"}}, Code.EVIDENCE_MALFORMED),
        ({"parts": {"a" * 33: "AA"}}, Code.EVIDENCE_MALFORMED),
        ({"parts": {"log": "A+"}}, Code.EVIDENCE_MALFORMED),
        ({"parts": {f"p{number}": "AA" for number in range(9)}}, Code.EVIDENCE_MALFORMED),
        ({"devices": []}, Code.EVIDENCE_MALFORMED),
        ({"devices": {}}, Code.EVIDENCE_MALFORMED),
        ({"devices": [1]}, Code.EVIDENCE_MALFORMED),
        ({"devices": [GPU.to_dict()] * (DEVICES_MAX + 1)}, Code.EVIDENCE_MALFORMED),
        ({"devices": [{**GPU.to_dict(), "kind": "sev-snp"}]}, Code.EVIDENCE_MALFORMED),
        ({"kind": "nvidia-gpu", "devices": [GPU.to_dict()]}, Code.EVIDENCE_MALFORMED),
        (
            {"devices": [{**GPU.to_dict(), "devices": [GPU.to_dict()]}]},
            Code.EVIDENCE_MALFORMED,
        ),
    ],
    ids=[
        "no parts",
        "a list",
        "a capital",
        "a long name",
        "no base64url",
        "too many parts",
        "no devices",
        "an object",
        "no evidence",
        "too many devices",
        "a machine in a machine",
        "a device with devices",
        "a device's device",
    ],
)
def test_other_parts_and_devices_are_refused(changes: dict[str, Any], code: Code) -> None:
    with pytest.raises(FormatError) as refusal:
        evidence_from_dict({**evidence().to_dict(), **changes})
    assert refusal.value.code is code


def test_devices_and_parts_count_towards_the_bound() -> None:
    half = bytes(EVIDENCE_BYTES_MAX // 2)
    device = dataclasses.replace(GPU, report=half)
    for changes in ({"devices": (device, device)}, {"parts": {"a": half, "b": half}}):
        with pytest.raises(FormatError) as refusal:
            dataclasses.replace(evidence(b"xx"), **changes)
        assert refusal.value.code is Code.LIMIT_EXCEEDED


def test_too_many_parts_or_devices_are_refused() -> None:
    for changes in (
        {"parts": {f"p{number}": b"" for number in range(9)}},
        {"devices": (GPU,) * (DEVICES_MAX + 1)},
    ):
        with pytest.raises(FormatError) as refusal:
            dataclasses.replace(evidence(), **changes)
        assert refusal.value.code is Code.LIMIT_EXCEEDED
