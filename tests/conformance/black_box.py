"""The recorded vectors as command lines of a verifier, and what each must answer.

Knows the command line and the vectors' listing and nothing of sealtune, so that another verifier
with the same options can be run against the same expectations.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

# Of the one verification that a test of the listing has no time for.
DEVICES_AT = 1_795_300_000
# What the library that made the listing says of a quote that it refuses.
REFUSALS = {
    "Debug mode is enabled": "appraisal-debug",
    "SEPT_VE_DISABLE is not enabled": "appraisal-policy",
    "No matching TCB level found": "evidence-tcb-level",
}
AZURE_TDX_COLLATERAL = "intel-collateral/composed/tdx-00806f05-2025-07.json"
AZURE_TDX_AT = 1_753_175_614
Answer = Mapping[str, Any]


@dataclass(frozen=True)
class Case:
    """One run: its arguments, the verdict and code that must come out, and what must be in it."""

    entry: str
    run: str
    arguments: tuple[str, ...]
    code: str | None
    type: str
    stated: Mapping[str, Any]
    found: Callable[[Answer], Mapping[str, Any]]
    passed: frozenset[str]

    @property
    def verdict(self) -> str:
        """What must come out."""
        return "accept" if self.code is None else "refuse"


def cases(folder: Path) -> Iterator[Case]:
    """Yield every run of every entry, in the order of the listing."""
    listing = json.loads((folder / "expected.json").read_text())
    makers = {
        "snp": _snp,
        "sgx": _dcap,
        "tdx": _dcap,
        "azure-vtpm-snp": _azure_snp,
        "azure-vtpm-tdx": _azure_tdx,
        "nitro": _nitro,
        "nvidia-gpu": _nvidia,
        "nvidia-switch": _nvidia,
        "tpm": _tpm,
    }
    duplicated = _files_with_duplicates(listing)
    for entry in listing:
        entry["duplicated"] = entry["id"].partition("#")[0] in duplicated
        yield from makers[entry["tee"]](folder, entry)


def fields(answer: Answer) -> Mapping[str, Any]:
    """Return the decoded fields of a machine's or single device's answer."""
    found: Mapping[str, Any] = answer["claims"]["fields"]
    return found


def _endorsed(folder: Path, *names: str) -> tuple[str, ...]:
    return tuple(part for name in names for part in ("--endorsements", str(folder / name)))


def _at(moment: object) -> tuple[str, str]:
    return "--at", str(moment)


# -- AMD -------------------------------------------------------------------------------------------

_SNP_CODES = {"accept": None, "reject: DEBUG policy bit 19": "appraisal-debug"}
_PRODUCTS = {"milan": "Milan", "genoa": "Genoa", "siena-bergamo": "Genoa", "turin": "Turin"}


def _snp(folder: Path, entry: dict[str, Any]) -> Iterator[Case]:
    given = (
        str(folder / entry["report"]),
        *_endorsed(folder, entry["vek"], entry["chain"]),
    )
    vmpl_1 = entry["policy_result"] == "accept only if VMPL 1 allowed"
    code = "appraisal-vmpl" if vmpl_1 else _SNP_CODES[entry["policy_result"]]
    assert (entry["signature"], entry["tcb_ext_match"]) == ("ok", True)
    assert entry["hwid_match"] in (True, "n/a (VLEK)")

    def found(answer: Answer) -> Mapping[str, Any]:
        claims = answer["claims"]
        return {
            **fields(answer),
            "vek_kind": claims["signer"],
            "generation": _PRODUCTS[claims["generation"]],
        }

    def case(run: str, moment: int, outcome: str | None, *options: str) -> Case:
        early_or_late = outcome == "evidence-certificate-time"
        stated = {
            **entry["report_fields"],
            "vek_kind": entry["vek_kind"],
            "generation": entry["generation"],
        }
        return Case(
            entry["id"],
            run,
            (*given, *_at(moment), *options),
            outcome,
            "sev-snp",
            {} if early_or_late else stated,
            found,
            frozenset() if early_or_late else frozenset({"chain", "signature", "tcb binding"}),
        )

    yield case("at its time", entry["verify_time"], code)
    if vmpl_1:
        yield case("by a policy for VMPL 1", entry["verify_time"], None, "--policy", "VMPL1")
    late = "evidence-certificate-time"
    yield case("before its key", entry["vek_not_before"] - 1, late)
    yield case("from its key on", entry["vek_not_before"], code)
    yield case("while its key", entry["vek_not_after"], code)
    yield case("after its key", entry["vek_not_after"] + 1, late)


# -- Intel -----------------------------------------------------------------------------------------

_QUOTE = (
    *("quote_version", "report_class", "fmspc", "pck_ca", "sgx_type", "pck_cpusvn", "pcesvn"),
    *("pck_validity",),
)
# Refused before Intel's documents are looked at: what they say of it is then not known.
_LINKS = frozenset({"format", "chain", "signature"})


def _dcap(folder: Path, entry: dict[str, Any]) -> Iterator[Case]:
    assert entry["signature_chain"].startswith("ok ")
    name = str(folder / entry["id"])
    stated = {
        **{key: entry[key] for key in _QUOTE},
        **{f"fields.{key}": value for key, value in entry["fields"].items()},
    }

    def found(answer: Answer) -> Mapping[str, Any]:
        all_ = fields(answer)
        body = {f"fields.{key}": value for key, value in all_["fields"].items()}
        tcb = answer["claims"].get("tcb", {})
        judged = {"status": tcb.get("status"), "advisories": tcb.get("advisories")}
        return {**all_, **body, **judged}

    def case(run: str, outcome: dict[str, Any], moment: int, code: str | None) -> Case:
        judged = {key: outcome[key] for key in ("status", "advisories") if code is None}
        arguments = (name, *_endorsed(folder, outcome["collateral"]), *_at(moment))
        return Case(
            entry["id"],
            run,
            arguments,
            code,
            entry["tee"],
            {**stated, **judged},
            found,
            _LINKS if code is None else frozenset({"format"}),
        )

    for outcome in entry["dcap_qvl"]:
        month = Path(outcome["collateral"]).stem
        if outcome["result"].startswith("n/a"):
            # The listing has no time: one at which the documents are current must do.
            text = (folder / outcome["collateral"]).read_text()
            issued = json.loads(json.loads(text)["tcb_info"])["issueDate"]
            moment = int(datetime.fromisoformat(issued).timestamp()) + 86_400
            yield case(f"with {month}", outcome, moment, "evidence-certificate-time")
            continue
        code = None if outcome["result"] == "ok" else REFUSALS[outcome["error"]]
        yield case(f"with {month}", outcome, outcome["time"], code)
        first, last = outcome["window"]
        stale = "endorsement-stale"
        if code is None:
            # A window begins with its latest part, which may be the platform's certificate.
            begins = datetime.fromtimestamp(first, UTC).date().isoformat()
            early = "evidence-certificate-time" if begins == entry["pck_validity"][0] else stale
            yield case(f"before {month}", outcome, first - 1, early)
            yield case(f"from {month} on", outcome, first, None)
            yield case(f"after {month}", outcome, last + 1, stale)


# -- Azure and TPM ---------------------------------------------------------------------------------

_VTPM = frozenset({"runtime claims", "vTPM quote", "registers"})


def _azure_snp(folder: Path, entry: dict[str, Any]) -> Iterator[Case]:
    assert entry["tpm_signature"].startswith("ok ")
    moment = int(datetime.fromisoformat(entry["vcek_validity"][0]).timestamp())
    chain = f"roots/amd/ask_ark_{entry['vcek_chain'].lower()}.pem"
    arguments = (str(folder / entry["id"]), *_endorsed(folder, chain), *_at(moment))
    stated = {key: value for key, value in entry.items() if key not in ("id", "tee", "duplicated")}
    passed = _VTPM | {"chain", "signature", "tcb binding"}
    yield Case(entry["id"], "at its time", arguments, None, "azure-snp", stated, fields, passed)


def _azure_tdx(folder: Path, entry: dict[str, Any]) -> Iterator[Case]:
    # These three say that a link holds: of a quote that is refused later, the steps say so.
    links = {"tpm_signature", "pcr_digest", "binding"}
    assert all(entry[name].startswith("ok") for name in links)
    stated = {
        key: value for key, value in entry.items() if key not in {"id", "tee", "duplicated", *links}
    }
    arguments = (
        str(folder / entry["id"]),
        *_endorsed(folder, AZURE_TDX_COLLATERAL),
        *_at(AZURE_TDX_AT),
    )
    yield Case(
        entry["id"],
        "with 2025-07",
        arguments,
        "appraisal-policy",
        "azure-tdx",
        stated,
        fields,
        _VTPM | {"TDREPORT"},
    )


def _tpm(folder: Path, entry: dict[str, Any]) -> Iterator[Case]:
    stated = {"attest": entry["attest"], "signature": entry["signature"]}
    arguments = (str(folder / entry["id"]), *_at(DEVICES_AT))
    yield Case(
        entry["id"],
        "at any time",
        arguments,
        None,
        "tpm-vm",
        stated,
        fields,
        frozenset({"signature", "registers"}),
    )


# -- AWS and NVIDIA --------------------------------------------------------------------------------

_NITRO_CODES = {"accept": None, "reject: debug enclave (PCR0-2 all zero)": "appraisal-debug"}
_NITRO_STATED = (
    *("module_id", "timestamp_ms", "leaf_validity", "pcrs", "user_data", "nonce", "public_key"),
)


def _nitro(folder: Path, entry: dict[str, Any]) -> Iterator[Case]:
    assert (entry["signature"], entry["chain"]) == ("ok ES384", "ok to AWS Nitro Root-G1")
    stated = {key: entry[key] for key in _NITRO_STATED}
    begin, end = (int(datetime.fromisoformat(text).timestamp()) for text in entry["leaf_validity"])
    late = "evidence-certificate-time"
    code = _NITRO_CODES[entry["policy_result"]]
    for run, moment, outcome in (
        ("at its time", entry["verify_time"], code),
        ("before its key", begin - 1, late),
        ("while its key", end, code),
        ("after its key", end + 1, late),
    ):
        yield Case(
            entry["id"],
            run,
            (str(folder / entry["id"]), *_at(moment)),
            outcome,
            "nitro",
            stated,
            fields,
            frozenset({"format"}) if outcome == late else frozenset({"chain", "signature"}),
        )


def _files_with_duplicates(listing: list[dict[str, Any]]) -> set[str]:
    # The listing calls an item a duplicate of one in any file; a file is refused for its own.
    items: dict[str, list[str]] = {}
    for entry in listing:
        path, _, number = entry["id"].partition("#")
        if number:
            items.setdefault(path, []).append(entry["id"])
    first = {path: _flag(listing, names[0]) for path, names in items.items()}
    return {
        path
        for path, names in items.items()
        if sum(_flag(listing, name) for name in names) - first[path] > 0
    }


def _flag(listing: list[dict[str, Any]], name: str) -> bool:
    return any(entry["id"] == name and entry["duplicate_of_earlier"] for entry in listing)


_NVIDIA_STATED = (
    *("req_nonce", "fwid_match", "driver", "vbios", "chip_sku", "project", "nblocks", "arch"),
)


def _nvidia(folder: Path, entry: dict[str, Any]) -> Iterator[Case]:
    path, _, number = entry["id"].partition("#")
    index = int(number or 0)
    beside = _endorsed(folder, entry["cert_chain"]) if "cert_chain" in entry else ()
    code = None if entry["signature"] == "OK" else "evidence-signature"
    assert entry["root"] is True
    assert entry.get("nonce_match") in (True, None)
    if entry["duplicated"]:
        code = "device-duplicate"

    def found(answer: Answer) -> Mapping[str, Any]:
        device: Mapping[str, Any] = answer["claims"]["devices"][index]["fields"]
        return device

    stated = {key: entry[key] for key in _NVIDIA_STATED if key in entry}
    steps = {"chain"} if code == "evidence-signature" else {"chain", "signature"}
    yield Case(
        entry["id"],
        "at any time",
        (str(folder / path), *beside, *_at(DEVICES_AT)),
        code,
        entry["tee"],
        stated,
        found,
        frozenset(f"device {index}: {step}" for step in steps),
    )
