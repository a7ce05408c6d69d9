"""Real evidence, spoilt: what a verifier must refuse, and with which code.

Each takes the command line of a run that is accepted and changes one thing.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from conformance.black_box import Case

Bytes = Callable[[bytes], bytes]
Options = Callable[[tuple[str, ...], Path], tuple[str, ...]]


@dataclass(frozen=True)
class Variant:
    """One spoilt run: of which entry, what was done to its bytes or options, which codes may come.

    Where parsers may notice a flipped bit before the signature does, several codes are right.
    """

    name: str
    entry: str
    codes: frozenset[str]
    data: Bytes = lambda data: data
    options: Options = lambda options, _: options


def flipped(offset: int, mask: int = 1) -> Bytes:
    """Return the change that flips bits of one byte."""

    def change(data: bytes) -> bytes:
        spoilt = bytearray(data)
        spoilt[offset] ^= mask
        return bytes(spoilt)

    return change


def cut(size: int) -> Bytes:
    """Return the change that keeps only the first bytes."""
    return lambda data: data[:size]


def followed(extra: bytes) -> Bytes:
    """Return the change that puts bytes after the end."""
    return lambda data: data + extra


def edited(edit: Callable[[Any], Any]) -> Bytes:
    """Return the change of a JSON value."""
    return lambda data: json.dumps(edit(json.loads(data))).encode()


def _hex_edited(data: bytes) -> bytes:
    # A report of NVIDIA's samples is text; its last digits are those of the signature.
    return data.rstrip()[:-2] + b"00"


def _twice(value: list[Any]) -> list[Any]:
    return [value[0], *value]


def _other_nonce(value: list[dict[str, Any]]) -> list[dict[str, Any]]:
    return [{**value[0], "nonce": "00" * 32}, *value[1:]]


def _other_pcr(value: dict[str, Any]) -> dict[str, Any]:
    quote = value["tpm_quote"]
    pcrs = ["11" * 32, *quote["pcrs"][1:]]
    return {**value, "tpm_quote": {**quote, "pcrs": pcrs}}


def with_endorsements(*names: str) -> Options:
    """Return the change that gives other files as endorsements."""

    def change(options: tuple[str, ...], folder: Path) -> tuple[str, ...]:
        rest = list(_without(options, "--endorsements"))
        for name in names:
            rest += ["--endorsements", str(folder / name)]
        return tuple(rest)

    return change


def with_options(**values: str) -> Options:
    """Return the change that gives other values, or none, to options."""

    def change(options: tuple[str, ...], _: Path) -> tuple[str, ...]:
        for name, value in values.items():
            flag = f"--{name.replace('_', '-')}"
            options = (*_without(options, flag), *((flag, value) if value else ()))
        return options

    return change


def _without(options: tuple[str, ...], flag: str) -> tuple[str, ...]:
    kept: list[str] = []
    skip = False
    for option in options:
        if skip or option == flag:
            skip = option == flag
        else:
            kept.append(option)
    return tuple(kept)


def _codes(*codes: str) -> frozenset[str]:
    return frozenset(codes)


SNP, SNP_2, TURIN = "snp/ms-milan", "snp/coco-milan", "snp/ms-turin"
TDX, SGX = "tdx/phala-v4/tdx_quote", "sgx/phala-v3/sgx_quote"
TDX_5 = "tdx/dstack/quote-report.quote.bin"
NITRO = "nitro/dstack-prod/document.cose"
AZURE, TPM = "azure-vtpm/coco-snp/evidence-v1.json", "tpm/coco/tpm_evidence.json"
GPU = "nvidia/sdk-sample/gpu/hopperAttestationReport.txt"
GPUS = "nvidia/sdk-serialized/hopper_evidence.json#0"
_MALFORMED, _SIGNATURE = "evidence-malformed", "evidence-signature"
_MISSING = "endorsement-missing"

VARIANTS = (
    # Any kind: form, size, name.
    Variant("empty", SNP, _codes(_MALFORMED), cut(0)),
    Variant("larger than any evidence", SNP, _codes("limit-exceeded"), followed(bytes(5 << 20))),
    Variant("noise", SNP, _codes(_MALFORMED), lambda _: bytes(range(256)) * 8),
    Variant("JSON of nothing known", SNP, _codes(_MALFORMED), lambda _: b'{"evidence": 1}'),
    Variant(
        "JSON, deeply nested",
        SNP,
        _codes("json-malformed", "limit-exceeded"),
        lambda _: b"[" * 100_000,
    ),
    Variant(
        "under another name",
        TDX,
        _codes("evidence-kind", _MALFORMED),
        options=with_options(type="sgx"),
    ),
    Variant(
        "answers another challenge",
        TDX,
        _codes("freshness"),
        options=with_options(report_data="5e" * 64),
    ),
    # AMD
    Variant("cut", SNP, _codes(_MALFORMED), cut(0x49F)),
    Variant("a byte after it", SNP, _codes(_MALFORMED), followed(b"\0")),
    Variant("version 6", SNP, _codes("evidence-version"), flipped(0, 5)),
    Variant("policy bit", SNP, _codes(_SIGNATURE), flipped(0x008)),
    Variant("measurement bit", SNP, _codes(_SIGNATURE), flipped(0x090)),
    Variant("report_data bit", SNP, _codes(_SIGNATURE), flipped(0x050)),
    Variant("chip bit", SNP, _codes(_MISSING, _SIGNATURE), flipped(0x1A0)),
    Variant("reported TCB bit", SNP, _codes(_MISSING, _SIGNATURE), flipped(0x180)),
    Variant("signature bit", SNP, _codes(_SIGNATURE), flipped(0x2A0)),
    Variant("unsigned tail", SNP, _codes(_MALFORMED), flipped(0x49F)),
    Variant("no certificates", SNP, _codes(_MISSING), options=with_endorsements()),
    Variant("no root", SNP, _codes(_MISSING), options=with_endorsements("snp/ms-milan/vcek.pem")),
    Variant(
        "key of another chip",
        SNP,
        _codes(_MISSING),
        options=with_endorsements("snp/dstack-milan/vcek.pem", "roots/amd/ask_ark_milan.pem"),
    ),
    Variant(
        "authority of another product",
        SNP,
        _codes(_MISSING),
        options=with_endorsements("snp/ms-milan/vcek.pem", "roots/amd/ask_ark_genoa.pem"),
    ),
    Variant(
        "authority of VLEKs",
        SNP,
        _codes(_MISSING),
        options=with_endorsements("snp/ms-milan/vcek.pem", "roots/amd/ask_ark_milan_vlek.pem"),
    ),
    Variant(
        "Turin, Milan's authority",
        TURIN,
        _codes(_MISSING),
        options=with_endorsements("snp/ms-turin/vcek.pem", "roots/amd/ask_ark_milan.pem"),
    ),
    Variant(
        "below the floor of a policy",
        SNP_2,
        _codes("appraisal-tcb", "appraisal-platform", "appraisal-policy"),
        options=with_options(policy="cloud"),
    ),
    Variant(
        "excluded by a policy",
        SNP,
        _codes("appraisal-policy", "appraisal-platform"),
        options=with_options(policy="strict"),
    ),
    Variant(
        "of a kind that the policy does not list",
        TPM,
        _codes("appraisal-kind", "appraisal-memory"),
        options=with_options(policy="cloud"),
    ),
    # Intel
    Variant("cut", TDX, _codes(_MALFORMED), cut(700)),
    Variant("bytes after it", TDX, _codes(_MALFORMED), followed(b"\1")),
    Variant("version 6", TDX, _codes(_MALFORMED, "evidence-version"), flipped(0, 2)),
    Variant("MRTD bit", TDX, _codes(_SIGNATURE), flipped(184)),
    Variant("report_data bit", TDX, _codes(_SIGNATURE), flipped(568)),
    Variant("signature bit", TDX, _codes(_SIGNATURE), flipped(636)),
    Variant("length of the signature", TDX, _codes(_MALFORMED), flipped(632)),
    Variant("type of the certification data", TDX, _codes(_MALFORMED), flipped(764)),
    Variant("quoting enclave bit", TDX, _codes(_SIGNATURE, "evidence-qe"), flipped(770)),
    Variant("enclave bit", SGX, _codes(_SIGNATURE), flipped(112)),
    Variant("no endorsements", TDX, _codes(_MISSING), options=with_endorsements()),
    Variant(
        "endorsements for SGX",
        TDX,
        _codes("endorsement-mismatch"),
        options=with_endorsements("sgx/phala-v3/sgx_quote_collateral.json"),
    ),
    Variant(
        "endorsements for another platform",
        TDX,
        _codes("endorsement-mismatch"),
        options=with_endorsements("intel-collateral/composed/tdx-90c06f-2026-03.json"),
    ),
    Variant(
        "endorsements of two months mixed",
        TDX_5,
        _codes("endorsement-stale", "endorsement-mismatch"),
        options=with_endorsements("intel-collateral/composed/tdx-90c06f-2026-02.json"),
    ),
    Variant(
        "evidence where endorsements belong",
        TDX,
        _codes("endorsement-malformed"),
        options=with_endorsements("tdx/phala-v4/tdx_quote"),
    ),
    Variant(
        "a year later", TDX, _codes("endorsement-stale"), options=with_options(at="1783160191")
    ),
    # Azure and TPM
    Variant("register changed", AZURE, _codes("evidence-pcr-digest"), edited(_other_pcr)),
    Variant("register changed", TPM, _codes("evidence-pcr-digest"), edited(_other_pcr)),
    Variant(
        "report alone",
        AZURE,
        _codes(_MALFORMED),
        edited(lambda value: {"hcl_report": value["hcl_report"]}),
    ),
    # AWS
    Variant("cut", NITRO, _codes(_MALFORMED), cut(4000)),
    Variant("signature bit", NITRO, _codes(_SIGNATURE), flipped(-1)),
    Variant("a byte after it", NITRO, _codes(_MALFORMED), followed(b"\0")),
    Variant(
        "an hour too late",
        NITRO,
        _codes("evidence-certificate-time"),
        options=with_options(at="1766682000"),
    ),
    # NVIDIA
    Variant("signature changed", GPU, _codes(_SIGNATURE), _hex_edited),
    Variant(
        "certificates of another device",
        GPU,
        _codes(_SIGNATURE),
        options=with_endorsements("nvidia/nvtrust-samples/hopperCertChain.txt"),
    ),
    Variant("no certificates", GPU, _codes(_MISSING), options=with_endorsements()),
    Variant(
        "offered as a switch",
        GPU,
        _codes("evidence-kind"),
        options=with_options(type="nvidia-switch"),
    ),
    Variant("a device twice", GPUS, _codes("device-duplicate"), edited(_twice)),
    Variant("a list with another nonce", GPUS, _codes("freshness"), edited(_other_nonce)),
)
# Files that are no evidence whatever they are offered as: (file, code).
NO_EVIDENCE: Mapping[str, str] = {
    "nvidia/dstack/gpu_attestation_h100.json": "evidence-unsigned",
    "nvidia/sdk-sample/hopperClaimsv3_detached_eat.json": "evidence-kind",
    "nvidia/sdk-sample/switch_detached_eat.json": "evidence-kind",
    "nvidia/sdk-serialized/multi_switch_ls10.json": "device-duplicate",
    "azure-vtpm/coco-tdx/hcl-report.bin": "evidence-malformed",
    "tpm/dstack/tpm_quote_sample.bin": "evidence-malformed",
    "snp/ms-milan/vcek.pem": "evidence-malformed",
}


def spoilt(variant: Variant, case: Case, folder: Path, file: Path) -> tuple[str, ...]:
    """Return the command line of `variant`, whose evidence it writes to `file`."""
    name, *options = case.arguments
    file.write_bytes(variant.data(Path(name).read_bytes()))
    return (str(file), *variant.options(tuple(options), folder))
