"""Which TEE is taken on which machine: recorded trees of /dev and /sys."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from sealtune.attestation.evidence import EvidenceKind
from sealtune.errors import Code, ConfigError
from sealtune.tee import select
from sealtune.tee.azure_vtpm import AzureVtpmAttester
from sealtune.tee.composite import CompositeAttester
from sealtune.tee.configfs_tsm import ConfigfsTsmAttester
from sealtune.tee.gramine import GramineAttester
from sealtune.tee.select import TeeName, collect, detect_attesters, make_attester
from sealtune.tee.sev_guest import SevGuestAttester
from sealtune.tee.tpm_device import TpmAttester

TSM = "sys/kernel/config/tsm/report/"
SNP = {"dev/sev-guest": b""}
TDX = {"dev/tdx_guest": b""}
TPM = {"dev/tpmrm0": b"", "dev/tpm0": b""}
AZURE = {"sys/class/dmi/id/chassis_asset_tag": b"7783-7084-3265-9085-8269-3286-77\n"}
GRAMINE = {"dev/attestation/attestation_type": b"dcap"}
OTHER = {"sys/class/dmi/id/chassis_asset_tag": b"No Asset Tag\n"}


@pytest.fixture
def tree(tmp_path: Path):
    """Returns a maker of a machine's tree."""

    def make(*parts: dict[str, bytes]) -> Path:
        for part in parts:
            for name, content in part.items():
                path = tmp_path / name
                if name.endswith("/"):
                    path.mkdir(parents=True)
                    continue
                path.parent.mkdir(parents=True, exist_ok=True)
                path.write_bytes(content)
        return tmp_path

    return make


MACHINES = {
    "snp": ((SNP, {TSM: b""}), TeeName.SEV_SNP, ConfigfsTsmAttester),
    "snp-with-vtpm": ((SNP, {TSM: b""}, TPM), TeeName.SEV_SNP, ConfigfsTsmAttester),
    "snp-older-kernel": ((SNP, OTHER), TeeName.SEV_SNP, SevGuestAttester),
    "tdx": ((TDX, {TSM: b""}), TeeName.TDX, ConfigfsTsmAttester),
    "tdx-with-vtpm": ((TDX, {TSM: b""}, TPM), TeeName.TDX, ConfigfsTsmAttester),
    "sgx": ((GRAMINE,), TeeName.SGX, GramineAttester),
    "sgx-on-a-host-with-tpm": ((GRAMINE, TPM), TeeName.SGX, GramineAttester),
    "azure": ((AZURE, TPM), TeeName.AZURE, AzureVtpmAttester),
    "measured": ((TPM, OTHER), TeeName.TPM_VM, TpmAttester),
}


@pytest.mark.parametrize("name", MACHINES)
def test_auto_takes_what_protects_memory(name: str, tree) -> None:
    parts, tee, kind = MACHINES[name]
    root = tree(*parts)
    for wanted in ("auto", tee):
        attester = make_attester(wanted, root=root)
        assert type(attester) is kind
        assert not attester.insecure


@pytest.mark.parametrize("wanted", ["auto", *TeeName])
def test_a_machine_with_nothing_says_how_to_mend_it(wanted: str, tree) -> None:
    with pytest.raises(ConfigError) as refusal:
        make_attester(wanted, root=tree(OTHER))
    assert refusal.value.code is Code.TEE_UNAVAILABLE
    assert refusal.value.remedy


UNUSABLE = {
    "tdx-without-configfs": ((TDX, TPM), "tdx", "configfs"),
    "sgx-without-dcap": (({"dev/attestation/attestation_type": b"none"}, TPM), "sgx", "dcap"),
}


@pytest.mark.parametrize("name", UNUSABLE)
def test_a_tee_that_is_unusable_is_no_reason_for_a_weaker_one(name: str, tree) -> None:
    parts, tee, word = UNUSABLE[name]
    with pytest.raises(ConfigError) as refusal:
        make_attester("auto", root=tree(*parts))
    assert refusal.value.code is Code.TEE_UNAVAILABLE
    assert refusal.value.message.startswith(f"{tee}: ")
    assert word in refusal.value.remedy


def test_no_permission_is_no_reason_for_a_weaker_one(tree, monkeypatch: pytest.MonkeyPatch) -> None:
    root = tree(SNP, {TSM: b""}, TPM)
    monkeypatch.setattr(select.os, "access", lambda path, mode: False)
    with pytest.raises(ConfigError) as refusal:
        make_attester("auto", root=root)
    assert "sev-snp: no permission" in refusal.value.message
    assert "root" in refusal.value.remedy


def test_a_weaker_one_may_be_asked_for(tree) -> None:
    root = tree(SNP, {TSM: b""}, TPM)
    assert type(make_attester("tpm-vm", root=root)) is TpmAttester


def test_gpus_are_asked_for_by_name(tree) -> None:
    root = tree(SNP, {TSM: b""})
    assert type(make_attester("auto+nvidia-gpu", root=root)) is CompositeAttester
    assert type(make_attester("sev-snp+nvidia-gpu", root=root)) is CompositeAttester


@pytest.mark.parametrize(
    "tee", ["", "simulated", "snp", "AUTO", "auto+", "+nvidia-gpu", "auto+nvidia-gpu+nvidia-gpu"]
)
def test_what_is_no_tee_is_refused(tee: str, tree) -> None:
    with pytest.raises(ConfigError) as refusal:
        make_attester(tee, root=tree(SNP, TPM))
    assert refusal.value.code is Code.CONFIG_INVALID


def test_each_tee_has_its_line(tree) -> None:
    found = detect_attesters(tree(SNP, AZURE, TPM))
    assert [line.tee for line in found] == list(TeeName)
    by_tee = {line.tee: line for line in found}
    assert by_tee[TeeName.SEV_SNP].path == "/dev/sev-guest"
    assert by_tee[TeeName.AZURE].present
    for tee in (TeeName.SGX, TeeName.TDX):
        assert not by_tee[tee].present
        assert by_tee[tee].missing
        assert by_tee[tee].remedy
    assert not by_tee[TeeName.TPM_VM].missing


def test_an_azure_vm_without_tpm_offers_none(tree) -> None:
    by_tee = {line.tee: line for line in detect_attesters(tree(AZURE))}
    assert not by_tee[TeeName.AZURE].present
    assert "tpmrm0" in by_tee[TeeName.AZURE].missing


def test_looking_opens_no_device(tree) -> None:
    root = tree()
    (root / "dev").mkdir()
    for name in ("sev-guest", "tdx_guest", "tpmrm0"):
        os.mkfifo(root / "dev" / name)  # opening one would wait for ever
    assert sum(line.present for line in detect_attesters(root)) == 3


def test_collecting_is_one_call(tree) -> None:
    report_data = bytes(range(64))
    quote = {"dev/attestation/user_report_data": b"", "dev/attestation/quote": report_data * 8}
    evidence = collect("auto", report_data, root=tree(GRAMINE, quote))
    assert evidence.kind is EvidenceKind.SGX
    with pytest.raises(ValueError, match="64"):
        collect("auto", bytes(63), root=tree())
