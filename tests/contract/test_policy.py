"""Policies: the presets, files, and that both become the reference values that they show."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from sealtune.attestation.evidence import EvidenceKind
from sealtune.attestation.reference import MEASUREMENT_DIGITS
from sealtune.attestation.snp_report import Generation
from sealtune.contract.policy import Policy, parse_policy
from sealtune.contract.policy_text import policy_rows, policy_toml
from sealtune.contract.presets import NOTES, PRESETS, find_policy, preset
from sealtune.errors import Code, ConfigError, FormatError, SealtuneError

MINIMAL = f"""
[[enclaves]]
name = "mine"
kind = "sev-snp"
measurements = ["{"5e" * 48}"]
vmpl = [0]
[enclaves.minimum_tcb.genoa]
bl = 1
tee = 0
snp = 23
ucode = 84
"""


@pytest.mark.parametrize("name", PRESETS)
def test_a_preset_accepts_any_measurement_and_no_simulation(name: str) -> None:
    for entry in preset(name).accepted():
        assert entry.measurements is None
        assert not entry.insecure_accept_simulated


def test_strict_excludes_milan_and_binds_the_contract_at_launch() -> None:
    for entry in preset("strict").accepted():
        assert entry.contract_at_launch
        if entry.snp is not None:
            assert Generation.MILAN not in entry.snp.minimum_tcb
            assert entry.snp.require_crl
        if entry.dcap is not None:
            assert entry.dcap.tcb_statuses == {"UpToDate"}
            assert not entry.dcap.platform_flags


def test_no_preset_accepts_readable_memory() -> None:
    kinds = {entry.kind for name in PRESETS for entry in preset(name).accepted()}
    assert EvidenceKind.TPM_VM not in kinds


def test_every_rule_is_shown_with_its_reason_and_what_it_answers() -> None:
    shown = {row.rule for name in PRESETS for row in policy_rows(preset(name))}
    assert shown <= NOTES.keys()
    assert NOTES.keys() - shown == {"ak_digests", "accept_certified_ak"}  # of tpm-vm entries
    assert all(note.reason and note.answers for note in NOTES.values())


@pytest.mark.parametrize("name", PRESETS)
def test_what_is_printed_for_a_contract_is_what_is_shown(name: str) -> None:
    text = policy_toml(preset(name))
    for kind, digits in MEASUREMENT_DIGITS.items():
        head = f'kind = "{kind}"\n# Put the measurements of your image here:\nmeasurements = []'
        text = text.replace(head, f'kind = "{kind}"\nmeasurements = ["{"5e" * (digits // 2)}"]')
    text = re.sub(r"^((?:rtmr|pcr)[0-9]+) = \[\]$", r'\1 = ["aa"]', text, flags=re.MULTILINE)
    parsed = parse_policy(text.encode(), what="printed")
    nothing = {"measurements": (), "registers": {}}
    without = [entry.model_copy(update=nothing) for entry in parsed.enclaves]
    assert tuple(without) == preset(name).enclaves


def test_a_file_is_a_policy(tmp_path: Path) -> None:
    path = tmp_path / "policy.toml"
    path.write_text(MINIMAL)
    found = find_policy(str(path))
    (entry,) = found.accepted()
    assert (entry.name, entry.measurements) == ("mine", {"5e" * 48})
    assert not found.any_measurement
    rows = {row.rule: row.value for row in policy_rows(found)}
    assert rows["measurements"] == ["5e" * 48]
    assert parse_policy(policy_toml(found).encode(), what="again").enclaves == found.enclaves


def test_neither_a_preset_nor_a_file() -> None:
    with pytest.raises(ConfigError) as refusal:
        find_policy("lenient")
    assert refusal.value.code is Code.CONFIG_INVALID
    assert "strict" in refusal.value.remedy


@pytest.mark.parametrize(
    ("text", "code"),
    [
        ("", Code.CONTRACT_FIELD),
        ("enclaves = []", Code.CONTRACT_FIELD),
        ("[[enclaves]\n", Code.CONTRACT_MALFORMED),
        (MINIMAL + "\n[other]\n", Code.CONTRACT_FIELD),
        (MINIMAL.replace("vmpl", "vmpls"), Code.CONTRACT_FIELD),
        (MINIMAL.replace("vmpl = [0]", ""), Code.CONTRACT_FIELD),
        (MINIMAL.replace("bl = 1\n", ""), Code.CONTRACT_FIELD),
        (MINIMAL.replace("5e" * 48, "5e" * 32), Code.CONTRACT_FIELD),
        (MINIMAL.replace(f'["{"5e" * 48}"]', "[]"), Code.CONTRACT_FIELD),
        (MINIMAL.replace('"sev-snp"', '"tdx"'), Code.CONTRACT_FIELD),
        (MINIMAL.replace('"sev-snp"', '"nvidia-gpu"'), Code.CONTRACT_FIELD),
        (MINIMAL.replace("vmpl = [0]", "vmpl = [0]\nisv_prod_id = 1"), Code.CONTRACT_FIELD),
        (MINIMAL.replace("vmpl = [0]", "vmpl = 2026-11-23"), Code.CONTRACT_FIELD),
    ],
    ids=[
        "nothing",
        "no entry",
        "no TOML",
        "another table",
        "a slip",
        "no VMPL",
        "a component left out",
        "a short measurement",
        "no measurement",
        "another family's fields",
        "a device",
        "a field of another family",
        "a date",
    ],
)
def test_files_that_are_no_policy(text: str, code: Code) -> None:
    with pytest.raises(SealtuneError) as refusal:
        parse_policy(text.encode(), what="policy.toml")
    assert refusal.value.code is code
    assert refusal.value.message.startswith("policy.toml: ")


def test_bytes_that_are_no_text() -> None:
    with pytest.raises(FormatError):
        parse_policy(b"\xff", what="policy.toml")


def test_a_policy_without_any_measurement_switch_keeps_its_list() -> None:
    policy = parse_policy(MINIMAL.encode(), what="x")
    assert isinstance(policy, Policy)
    assert policy.accepted()[0].measurements == {"5e" * 48}
