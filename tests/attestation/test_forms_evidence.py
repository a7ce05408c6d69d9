"""Other people's forms of evidence: each read as what it is, or refused (spec/attestation §17)."""

from __future__ import annotations

import base64
import dataclasses
import json
from collections.abc import Callable
from datetime import UTC, datetime
from functools import cache
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sealtune.attestation.evidence import Evidence, EvidenceKind
from sealtune.attestation.explain import explain
from sealtune.attestation.forms.octets import from_text, octets
from sealtune.attestation.forms.read import is_device_list, read_evidence
from sealtune.core.limits import DEVICES_MAX, FOREIGN_EVIDENCE_BYTES_MAX
from sealtune.crypto.ecdsa import P256Key
from sealtune.crypto.jwt import sign_jwt
from sealtune.errors import Code, SealtuneError
from sealtune.testing.mock_amd import MockAmd
from sealtune.testing.mock_intel import SGX_QUOTE, MockIntel, MockQuote, pem
from sealtune.testing.mock_nitro import MockNitro
from sealtune.testing.mock_nvidia import MockNvidia
from sealtune.testing.mock_tpm import MockAzure, MockTpm

NOW = datetime(2026, 11, 23, 12, tzinfo=UTC)


def read(data: bytes | str | dict[str, Any] | list[Any], kind: str | None = None) -> Evidence:
    """The one piece of evidence in `data`."""
    (found,) = read_all(data, kind)
    return found


def read_all(
    data: bytes | str | dict[str, Any] | list[Any], kind: str | None = None
) -> tuple[Evidence, ...]:
    if not isinstance(data, bytes):
        data = (data if isinstance(data, str) else json.dumps(data)).encode()
    return read_evidence(data, kind=None if kind is None else EvidenceKind(kind), what="given")


def refusal(data: bytes | str | dict[str, Any] | list[Any], kind: str | None = None) -> Code:
    with pytest.raises(SealtuneError) as caught:
        read_all(data, kind)
    return caught.value.code


@cache
def intel() -> MockIntel:
    return MockIntel(now=NOW)


@cache
def nvidia() -> MockNvidia:
    return MockNvidia(now=NOW)


@cache
def tpm() -> MockTpm:
    return MockTpm.generate(now=NOW)


def raw(kind: str, amd: MockAmd) -> bytes:
    makers: dict[str, Callable[[], Evidence]] = {
        "sev-snp": amd.evidence,
        "tdx": lambda: intel().evidence(MockQuote()),
        "sgx": lambda: intel().evidence(SGX_QUOTE),
        "nitro": MockNitro(now=NOW).evidence,
        "nvidia-gpu": nvidia().evidence,
        "nvidia-switch": nvidia().switch,
        "tpm-vm": tpm().evidence,
    }
    return makers[kind]().report


RAW = ("sev-snp", "tdx", "sgx", "nitro", "nvidia-gpu", "nvidia-switch", "tpm-vm")
SPELLINGS: dict[str, Callable[[bytes], bytes]] = {
    "binary": bytes,
    "hexadecimal": lambda data: data.hex().encode(),
    "HEXADECIMAL": lambda data: data.hex().upper().encode() + b"\n",
    "0x": lambda data: b"0x" + data.hex().encode(),
    "base64": base64.b64encode,
    "base64url": lambda data: base64.urlsafe_b64encode(data).rstrip(b"="),
    "base64 in lines": base64.encodebytes,
}


# -- bare ------------------------------------------------------------------------------------------


@pytest.mark.parametrize("named", [False, True])
@pytest.mark.parametrize("spelling", SPELLINGS)
@pytest.mark.parametrize("kind", RAW)
def test_a_bare_report_in_any_spelling(
    mock_amd: MockAmd, kind: str, spelling: str, named: bool
) -> None:
    report = raw(kind, mock_amd)
    found = read(SPELLINGS[spelling](report), kind if named else None)
    assert (found.kind, found.report, found.certificates) == (kind, report, ())


@pytest.mark.parametrize("kind", ["sev-snp", "tdx", "nvidia-gpu"])
def test_another_kind_than_the_caller_says(mock_amd: MockAmd, kind: str) -> None:
    report = raw(kind, mock_amd)
    other = "sgx" if kind != "sgx" else "tdx"
    assert refusal(report, other) is Code.EVIDENCE_KIND
    assert refusal(report.hex().encode(), other) is Code.EVIDENCE_KIND


def test_of_a_device_the_caller_is_believed(mock_amd: MockAmd) -> None:
    report = raw("nvidia-gpu", mock_amd)
    assert read(report, "nvidia-switch").kind is EvidenceKind.NVIDIA_SWITCH


@pytest.mark.parametrize("kind", list(EvidenceKind))
def test_what_is_damaged_is_read_as_the_caller_says(kind: str) -> None:
    assert refusal(b"\x99damaged") is Code.EVIDENCE_MALFORMED
    assert read(b"\x99damaged", kind).report == b"\x99damaged"


def test_an_hcl_report_says_over_which_hardware() -> None:
    snp = b"HCLA" + bytes(1220) + b"\2" + bytes(40)
    tdx = b"HCLA" + bytes(1220) + b"\4" + bytes(40)
    assert read(snp).kind is EvidenceKind.AZURE_SNP
    assert read(tdx).kind is EvidenceKind.AZURE_TDX


def test_a_tagged_document(mock_amd: MockAmd) -> None:
    document = b"\xd2" + raw("nitro", mock_amd)
    assert read(document).kind is EvidenceKind.NITRO


@pytest.mark.parametrize("data", [b"", b" \n", b"\0" * 16, b"zz", b"hello world", b"\x7fELF"])
def test_what_is_nothing(data: bytes) -> None:
    assert refusal(data) is Code.EVIDENCE_MALFORMED


def test_more_than_any_evidence_is_not_looked_at() -> None:
    for octet in (b"[", b"\0", b"0"):
        assert refusal(octet * (FOREIGN_EVIDENCE_BYTES_MAX + 1)) is Code.LIMIT_EXCEEDED


# -- ours ------------------------------------------------------------------------------------------


def test_our_own(mock_amd: MockAmd) -> None:
    evidence = dataclasses.replace(mock_amd.evidence(), devices=(nvidia().evidence(),))
    assert read(evidence.to_dict()) == evidence
    assert read(evidence.to_dict(), "sev-snp") == evidence
    assert refusal(evidence.to_dict(), "tdx") is Code.EVIDENCE_KIND


def test_our_own_is_read_strictly(mock_amd: MockAmd) -> None:
    written = mock_amd.evidence().to_dict()
    assert refusal({**written, "more": 1}) is Code.EVIDENCE_MALFORMED
    assert refusal({**written, "kind": "sev"}) is Code.EVIDENCE_KIND
    assert refusal(json.dumps(written)[:-1] + ', "parts": {"a": "", "a": ""}}') is (
        Code.JSON_MALFORMED
    )
    twice = json.dumps(written).replace('"kind"', '"kind": "sgx", "kind"', 1)
    assert refusal(twice) is Code.JSON_MALFORMED


# -- Confidential Containers, dstack, Azure --------------------------------------------------------


def tcb(raw_tcb: bytes) -> dict[str, int | None]:
    return {
        "fmc": None,
        "bootloader": raw_tcb[0],
        "tee": raw_tcb[1],
        "snp": raw_tcb[6],
        "microcode": raw_tcb[7],
    }


def turin_tcb(raw_tcb: bytes) -> dict[str, int | None]:
    names = ("fmc", "bootloader", "tee", "snp")
    return {**dict(zip(names, raw_tcb[:4], strict=True)), "microcode": raw_tcb[7]}


def taken_apart(report: bytes, decode: Callable[[bytes], dict[str, int | None]] = tcb) -> Any:
    """A report as `virtee/sev` serializes it."""

    def number(offset: int, size: int) -> int:
        return int.from_bytes(report[offset : offset + size], "little")

    def listed(offset: int, size: int) -> list[int]:
        return list(report[offset : offset + size])

    def version(offset: int) -> dict[str, int]:
        build, minor, major = report[offset : offset + 3]
        return {"build": build, "minor": minor, "major": major}

    return {
        "version": number(0, 4),
        "guest_svn": number(4, 4),
        "policy": number(8, 8),
        "family_id": listed(0x10, 16),
        "image_id": listed(0x20, 16),
        "vmpl": number(0x30, 4),
        "sig_algo": number(0x34, 4),
        "current_tcb": decode(report[0x38:0x40]),
        "plat_info": number(0x40, 8),
        "key_info": number(0x48, 4),
        "report_data": listed(0x50, 64),
        "measurement": listed(0x90, 48),
        "host_data": listed(0xC0, 32),
        "id_key_digest": listed(0xE0, 48),
        "author_key_digest": listed(0x110, 48),
        "report_id": listed(0x140, 32),
        "report_id_ma": listed(0x160, 32),
        "reported_tcb": decode(report[0x180:0x188]),
        "cpuid_fam_id": number(0x188, 1),
        "cpuid_mod_id": number(0x189, 1),
        "cpuid_step": number(0x18A, 1),
        "chip_id": listed(0x1A0, 64),
        "committed_tcb": decode(report[0x1E0:0x1E8]),
        "current": version(0x1E8),
        "committed": version(0x1EC),
        "launch_tcb": decode(report[0x1F0:0x1F8]),
        "launch_mit_vector": number(0x1F8, 8),
        "current_mit_vector": number(0x200, 8),
        "signature": {"r": listed(0x2A0, 72), "s": listed(0x2E8, 72)},
    }


def test_a_report_taken_apart(mock_amd: MockAmd) -> None:
    evidence = mock_amd.evidence(report_data=bytes(range(64)))
    vcek, ask, ark = evidence.certificates
    chain = [
        {"cert_type": "ARK", "data": list(ark)},
        {"cert_type": "VCEK", "data": list(vcek)},
        {"cert_type": "ASK", "data": list(ask)},
    ]
    form = {"attestation_report": taken_apart(evidence.report), "cert_chain": chain}
    assert read(form) == evidence
    assert read({"platform": "snp", "evidence": form}) == evidence


def test_a_report_of_turin_taken_apart(mock_amd: MockAmd) -> None:
    report = bytearray(mock_amd.evidence().report)
    report[0x188] = 0x1A
    for offset in (0x38, 0x180, 0x1E0, 0x1F0):
        report[offset : offset + 8] = bytes((1, 2, 3, 4, 0, 0, 0, 5))
    form = {"attestation_report": taken_apart(bytes(report), turin_tcb), "cert_chain": None}
    assert read(form).report == bytes(report)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("version", -1),
        ("version", 2**32),
        ("version", True),
        ("version", "3"),
        ("version", None),
        ("policy", 2**64),
        ("report_data", [0] * 63),
        ("report_data", [256] * 64),
        ("report_data", [True] * 64),
        ("measurement", None),
        ("measurement", "zz"),
        ("current_tcb", None),
        ("current_tcb", {"bootloader": 1}),
        ("current", []),
        ("signature", {"r": [0] * 72}),
        ("cpuid_fam_id", 256),
    ],
)
def test_a_report_taken_apart_wrongly(mock_amd: MockAmd, name: str, value: Any) -> None:
    form = {**taken_apart(mock_amd.evidence().report), name: value}
    assert refusal({"attestation_report": form, "cert_chain": []}) is Code.EVIDENCE_MALFORMED


def test_numbers_of_64_bits(mock_amd: MockAmd) -> None:
    form = {**taken_apart(mock_amd.evidence().report), "current_mit_vector": 2**64 - 1}
    assert read({"attestation_report": form}).report[0x200:0x208] == b"\xff" * 8


def test_older_forms_lack_fields(mock_amd: MockAmd) -> None:
    form = taken_apart(mock_amd.evidence().report)
    for name in ("cpuid_fam_id", "cpuid_mod_id", "cpuid_step"):
        form[name] = None
    del form["launch_mit_vector"]
    assert read({"attestation_report": form}).report[0x188:0x18B] == bytes(3)


@pytest.mark.parametrize(
    "chain",
    [
        lambda vcek: {"vcek": base64.b64encode(vcek).decode()},
        lambda vcek: {"VCEK": vcek.hex(), "ask": None},
        lambda vcek: {"vcek": pem(vcek)},
        lambda vcek: [{"cert_type": "VCEK", "data": list(vcek)}, "something"],
    ],
)
def test_a_whole_report_and_its_chain(mock_amd: MockAmd, chain: Callable[[bytes], Any]) -> None:
    evidence = mock_amd.evidence()
    vcek = evidence.certificates[0]
    text = base64.b64encode(evidence.report).decode()
    found = read({"attestation_report": text, "cert_chain": chain(vcek)})
    assert (found.report, found.certificates) == (evidence.report, (vcek,))


@pytest.mark.parametrize(
    "chain", [7, "text", [{}] * 9, {"vcek": 5}, {"vcek": "-----BEGIN CERTIFICATE-----"}]
)
def test_a_chain_in_no_form(mock_amd: MockAmd, chain: Any) -> None:
    report = mock_amd.evidence().report.hex()
    code = refusal({"attestation_report": report, "cert_chain": chain})
    assert code in (Code.EVIDENCE_MALFORMED, Code.CERTIFICATE_MALFORMED)


def test_a_quote_with_its_log() -> None:
    quote = intel().evidence(MockQuote()).report
    log = b"\1\2\3log"
    coco = read(
        {"quote": base64.b64encode(quote).decode(), "cc_eventlog": base64.b64encode(log).decode()}
    )
    assert (coco.kind, coco.report, coco.parts) == ("tdx", quote, {"event_log": log})
    dstack = read({"quote": quote.hex(), "event_log": '[{"imr": 0}]', "report_data": ""})
    assert dstack.parts == {"event_log": b'[{"imr": 0}]'}
    assert read({"quote": quote.hex(), "cc_eventlog": None}).parts == {}


def test_a_quote_of_an_enclave_has_no_log() -> None:
    quote = intel().evidence(SGX_QUOTE).report
    found = read({"quote": quote.hex(), "event_log": "00"})
    assert (found.kind, found.parts) == ("sgx", {})


@pytest.mark.parametrize("quote", ["00", 5, None, "", [300]])
def test_a_quote_that_is_none(quote: Any) -> None:
    assert refusal({"quote": quote}) is Code.EVIDENCE_MALFORMED


def test_a_log_in_no_form() -> None:
    quote = intel().evidence(MockQuote()).report.hex()
    assert refusal({"quote": quote, "event_log": 5}) is Code.EVIDENCE_MALFORMED


def azure(amd: MockAmd) -> MockAzure:
    return MockAzure(amd=amd, intel=intel(), tpm=tpm())


def vtpm(evidence: Evidence, encode: Callable[[bytes], Any]) -> dict[str, Any]:
    pcrs = evidence.part("pcrs")
    return {
        "message": encode(evidence.part("tpm_quote")),
        "signature": encode(evidence.part("tpm_signature")),
        "pcrs": [encode(pcrs[at : at + 32]) for at in range(0, len(pcrs), 32)],
    }


def as_base64(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


def test_azure_over_snp_in_both_versions(mock_amd: MockAmd) -> None:
    evidence = azure(mock_amd).snp_evidence()
    vcek = evidence.certificates[0]
    newer = {
        "version": 1,
        "hcl_report": as_base64(evidence.report),
        "tpm_quote": vtpm(evidence, as_base64),
        "vcek": as_base64(vcek),
    }
    older = {
        "report": list(evidence.report),
        "quote": vtpm(evidence, list),
        "vcek": pem(vcek),
    }
    for form in (newer, older):
        found = read(form)
        assert found == dataclasses.replace(evidence, certificates=(vcek,))


def test_azure_over_tdx(mock_amd: MockAmd) -> None:
    evidence = azure(mock_amd).tdx_evidence()
    form = {
        "hcl_report": list(evidence.report),
        "tpm_quote": vtpm(evidence, lambda data: data.hex()),
        "td_quote": as_base64(evidence.part("td_quote")),
    }
    assert read(form) == evidence


@pytest.mark.parametrize("quote", [5, {}, {"message": "00", "signature": "00", "pcrs": 5}])
def test_azure_in_no_form(quote: Any) -> None:
    assert refusal({"hcl_report": "00", "tpm_quote": quote}) is Code.EVIDENCE_MALFORMED


def test_more_registers_than_a_tpm_has() -> None:
    quote = {"message": "00", "signature": "00", "pcrs": ["00"] * 33}
    assert refusal({"hcl_report": "00", "tpm_quote": quote}) is Code.EVIDENCE_MALFORMED


def test_a_tpm() -> None:
    evidence = tpm().evidence(certificates=())
    pcrs = evidence.part("pcrs")
    form = {
        "ak_public": base64.b64encode(evidence.part("ak_public")).decode(),
        "tpm_quote": {
            "message": base64.b64encode(evidence.report).decode(),
            "signature": base64.b64encode(evidence.part("tpm_signature")).decode(),
            "pcrs": [pcrs[at : at + 32].hex() for at in range(0, len(pcrs), 32)],
        },
    }
    assert read(form) == evidence
    assert refusal({**form, "tpm_quote": "text"}) is Code.EVIDENCE_MALFORMED


@pytest.mark.parametrize("inner", [5, {}, {"platform": 1}])
def test_a_wrapper_around_nothing(inner: Any) -> None:
    assert refusal({"platform": "snp", "evidence": inner}) is Code.EVIDENCE_MALFORMED


def test_wrappers_are_bounded(mock_amd: MockAmd) -> None:
    form: Any = {"quote": intel().evidence(MockQuote()).report.hex()}
    for _ in range(20):
        form = {"platform": "x", "evidence": form}
    assert read(form).kind is EvidenceKind.TDX
    for _ in range(20):
        form = {"platform": "x", "evidence": form}
    assert refusal(form) is Code.JSON_MALFORMED


@pytest.mark.parametrize("value", [{}, {"a": 1}, [], [1], [{}], [{"evidence": "00"}, 5]])
def test_json_of_nothing_known(value: Any) -> None:
    assert refusal(value) is Code.EVIDENCE_MALFORMED


# -- devices ---------------------------------------------------------------------------------------


def item(device: Evidence, **changes: Any) -> dict[str, Any]:
    return {
        "arch": "HOPPER",
        "nonce": device.report[4:36].hex(),
        "evidence": base64.b64encode(device.report).decode(),
        "certificate": base64.b64encode(pem(*device.certificates).encode()).decode(),
        **changes,
    }


def test_lists_of_devices() -> None:
    gpu, switch = nvidia().evidence(), nvidia().switch()
    found = read_all([item(gpu), item(switch, arch="LS10")])
    assert found == (gpu, switch)
    assert is_device_list(found)
    assert read_all({"device_evidence_list": [item(gpu)]}) == (gpu,)
    assert read_all([item(gpu)], "nvidia-gpu") == (gpu,)
    assert refusal([item(gpu), item(switch, arch="LS10")], "nvidia-gpu") is Code.EVIDENCE_KIND


def test_a_list_without_a_nonce() -> None:
    gpu = nvidia().evidence()
    form = item(gpu)
    del form["nonce"]
    assert read_all([form]) == (gpu,)


@pytest.mark.parametrize(
    ("changes", "code"),
    [
        ({"nonce": "00" * 31}, Code.FRESHNESS),
        ({"nonce": "11" * 32}, Code.FRESHNESS),
        ({"nonce": 5}, Code.EVIDENCE_MALFORMED),
        ({"evidence": "%"}, Code.EVIDENCE_MALFORMED),
        ({"certificate": None}, Code.EVIDENCE_MALFORMED),
        ({"certificate": "00"}, Code.CERTIFICATE_MALFORMED),
    ],
)
def test_an_item_that_is_wrong(changes: dict[str, Any], code: Code) -> None:
    assert refusal([item(nvidia().evidence(), **changes)]) is code


def test_more_devices_than_any_machine_has() -> None:
    form = item(nvidia().evidence())
    assert refusal([form] * (DEVICES_MAX + 1)) is Code.EVIDENCE_MALFORMED


def test_a_machine_and_its_devices(mock_amd: MockAmd) -> None:
    machine, gpu = mock_amd.evidence(), nvidia().evidence()
    primary = {"attestation_report": machine.report.hex()}
    more = json.dumps({"nvidia": {"device_evidence_list": [item(gpu)]}})
    found = read({"primary_evidence": primary, "additional_evidence": more})
    assert (found.kind, found.report, found.devices) == ("sev-snp", machine.report, (gpu,))
    assert not is_device_list((found,))
    alone = read({"primary_evidence": primary, "additional_evidence": ""})
    assert alone.devices == ()


@pytest.mark.parametrize("more", ["{}", '{"a": 5}', "[]", '"text"', 5, {"a": 1}])
def test_devices_in_no_form_are_not_left_out(mock_amd: MockAmd, more: Any) -> None:
    primary = {"attestation_report": mock_amd.evidence().report.hex()}
    code = refusal({"primary_evidence": primary, "additional_evidence": more})
    assert code in (Code.EVIDENCE_MALFORMED, Code.JSON_MALFORMED)


def test_a_machine_in_no_form() -> None:
    assert refusal({"primary_evidence": {"x": 1}, "additional_evidence": ""}) is (
        Code.EVIDENCE_MALFORMED
    )


# -- tokens ----------------------------------------------------------------------------------------


def unsigned() -> str:
    parts = ({"alg": "none", "typ": "JWT"}, {"x-nvidia-gpu-attestation-report": "ok"})
    return ".".join(as_base64(json.dumps(part).encode()) for part in parts) + "."


def test_a_token_that_nobody_signed_is_no_evidence() -> None:
    eat = [["JWT", unsigned()], {"GPU-0": unsigned()}]
    for form in (eat, {"detached_eat": eat}):
        assert refusal(form) is Code.EVIDENCE_UNSIGNED


def test_a_token_that_somebody_signed_is_no_evidence_either() -> None:
    token = sign_jwt({"sub": "NVIDIA"}, key=P256Key.generate(), header={"typ": "JWT"})
    assert refusal([["JWT", token], {"GPU-0": token}]) is Code.EVIDENCE_KIND


# -- octets ----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "data"),
    [
        (b"00ff", b"\0\xff"),
        (b"0x00FF", b"\0\xff"),
        (b" 00\nff ", b"\0\xff"),
        (b"AP8=", b"\0\xff"),
        (b"AP8", b"\0\xff"),
        (b"-_-_", b"\xfb\xff\xbf"),
        (b"+/+/", b"\xfb\xff\xbf"),
        (b"", None),
        (b"0x", None),
        (b"abc!", None),
        (b"A", None),
        (b"=", None),
        (b"AP8===", None),
        (b"A=P8", None),
    ],
)
def test_texts_that_spell_bytes(text: bytes, data: bytes | None) -> None:
    assert from_text(text) == data


@pytest.mark.parametrize("value", [None, 5, "!", [256], [-1], [1.0], [True], {}, ["00"]])
def test_values_that_spell_none(value: Any) -> None:
    with pytest.raises(SealtuneError) as caught:
        octets(value, what="it")
    assert caught.value.code is Code.EVIDENCE_MALFORMED


# -- anything --------------------------------------------------------------------------------------

_MEMBERS = st.sampled_from(
    [
        *("kind", "report", "certificates", "parts", "devices", "hcl_report", "tpm_quote"),
        *("quote", "vcek", "td_quote", "ak_public", "attestation_report", "cert_chain"),
        *("platform", "evidence", "primary_evidence", "additional_evidence", "message"),
        *("signature", "pcrs", "device_evidence_list", "arch", "nonce", "certificate"),
        *("detached_eat", "cc_eventlog", "event_log", "cert_type", "data", "JWT"),
    ]
)
_VALUES = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-1, 300)
    | st.text(max_size=8)
    | st.binary(max_size=16).map(lambda data: data.hex())
    | st.sampled_from(["sev-snp", "nvidia-gpu", "LS10", "[]", "{}", "JWT", "a.b.c"]),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(_MEMBERS, inner, max_size=4),
    max_leaves=12,
)


@settings(max_examples=300, deadline=None)
@given(value=_VALUES)
def test_any_json_is_evidence_or_a_refusal(value: Any) -> None:
    _never_anything_else(json.dumps(value).encode(), None)


@settings(max_examples=300, deadline=None)
@given(data=st.binary(max_size=200), kind=st.none() | st.sampled_from(list(EvidenceKind)))
def test_any_bytes_are_evidence_or_a_refusal(data: bytes, kind: EvidenceKind | None) -> None:
    _never_anything_else(data, kind)


@settings(max_examples=200, deadline=None)
@given(
    start=st.sampled_from([b"HCLA", b"\xff\x54\x43\x47\x80\x18", b"\x11\xe0\x01\xff", b"\xd2\x84",
                           b"\x03\0\x02\0\0\0\0\0", b"\x05\0\x02\0\x81\0\0\0", b"\x03\0\0\0"]),
    rest=st.binary(max_size=1400),
)  # fmt: skip
def test_anything_that_begins_like_evidence(start: bytes, rest: bytes) -> None:
    _never_anything_else(start + rest, None)


def _never_anything_else(data: bytes, kind: EvidenceKind | None) -> None:
    try:
        found = read_evidence(data, kind=kind, what="given")
    except SealtuneError:
        return
    for one in found:
        # What can be read at all can be explained, or at least says nothing.
        json.dumps(explain(one).to_dict(), allow_nan=False)


# -- real ------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "kind", "certificates", "parts"),
    [
        ("ear/coco-e2e-evidence.json", "sev-snp", 1, set()),
        ("snp/ars-genoa-v5/live-evidence-genoa.json", "sev-snp", 1, set()),
        ("tdx/dstack/quote-report.json", "tdx", 0, {"event_log"}),
        ("tdx/dstack/tdx-lite-getquote.json", "tdx", 0, {"event_log"}),
        ("tpm/coco/tpm_evidence.json", "tpm-vm", 0, {"tpm_signature", "pcrs", "ak_public"}),
        (
            "azure-vtpm/coco-tdx/evidence-v0.json",
            "azure-tdx",
            0,
            {"tpm_quote", "tpm_signature", "pcrs", "td_quote"},
        ),
    ],
)
def test_recorded_forms(
    shared_dir: Path, name: str, kind: str, certificates: int, parts: set[str]
) -> None:
    found = read((shared_dir / "vectors" / name).read_bytes())
    assert (found.kind, len(found.certificates), set(found.parts)) == (kind, certificates, parts)
