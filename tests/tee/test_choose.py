"""`--tee auto`: the strongest TEE that the contract accepts and the host can launch."""

from __future__ import annotations

from pathlib import Path

import pytest

from sealtune.attestation.evidence import EvidenceKind
from sealtune.errors import Code, ConfigError
from sealtune.tee.choose import choose_tee
from sealtune.tee.doctor.recorded import RecordedMachine
from sealtune.tee.launcher import Tee
from tee import machines

SNP, TDX, TPM = EvidenceKind.SEV_SNP, EvidenceKind.TDX, EvidenceKind.TPM_VM


def machine(made: machines.Tree) -> RecordedMachine:
    return RecordedMachine.load(made.write())


def test_the_host_launches_what_it_is_ready_for(tmp_path: Path) -> None:
    every = {SNP, TDX, TPM}
    assert choose_tee(every, machine=machine(machines.snp_host(tmp_path / "a"))) is Tee.SEV_SNP
    assert choose_tee(every, machine=machine(machines.tdx_host(tmp_path / "b"))) is Tee.TDX
    assert choose_tee(every, machine=machine(machines.laptop_intel(tmp_path / "c"))) is Tee.VM


def test_an_sgx_host_starts_an_enclave_for_a_contract_that_accepts_one(tmp_path: Path) -> None:
    host = machine(machines.sgx_host(tmp_path))
    assert choose_tee({EvidenceKind.SGX, TPM}, machine=host) is Tee.SGX
    assert choose_tee({TPM}, machine=host) is Tee.VM


def test_only_what_the_contract_accepts_is_launched(tmp_path: Path) -> None:
    host = machine(machines.snp_host(tmp_path))
    assert choose_tee({TPM}, machine=host) is Tee.VM
    with pytest.raises(ConfigError, match="tdx: ") as error:
        choose_tee({TDX}, machine=host)
    assert error.value.code is Code.TEE_UNAVAILABLE


def test_a_weaker_tee_is_never_taken_for_one_that_protects_memory(tmp_path: Path) -> None:
    """The parties agreed on SEV-SNP; the operator's host has it switched off in its BIOS."""
    host = machine(machines.snp_host_unprepared(tmp_path))
    with pytest.raises(ConfigError, match="sev-snp: missing") as error:
        choose_tee({SNP}, machine=host)
    assert "BIOS" in error.value.remedy


@pytest.mark.parametrize("kinds", [set(), {EvidenceKind.NITRO}, {EvidenceKind.AZURE_SNP}])
def test_what_no_launcher_starts_is_said(kinds: set[EvidenceKind], tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="does not launch") as error:
        choose_tee(kinds, machine=machine(machines.snp_host(tmp_path)))
    assert error.value.code is Code.TEE_UNAVAILABLE
    assert error.value.remedy
