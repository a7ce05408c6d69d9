"""What is computed ahead of a boot is what a TPM signs after it (spec/reference-values §3)."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime

import pytest

from image.guest import FIRMWARE, Guest, boot_files, booted, require_everything
from sealtune.attestation.anchors import vendor_anchors
from sealtune.attestation.appraisal import AppraisalRefused, appraise
from sealtune.attestation.endorsements import NO_ENDORSEMENTS
from sealtune.attestation.event_log import Bank, parse_event_log, replay
from sealtune.attestation.evidence import EvidenceKind
from sealtune.attestation.reference import AcceptedEnclave, TpmTerms
from sealtune.attestation.steps import Steps
from sealtune.attestation.verified import VerifiedEvidence
from sealtune.attestation.verify import verify_evidence
from sealtune.core.digest import sha256_digest
from sealtune.errors import Code
from sealtune.image.measure import TPM_ENTRY, tpm_entry
from sealtune.image.pcr import BootFiles, boot_digests
from sealtune.image.pcr_firmware import KNOWN_FIRMWARE, FirmwareProfile, recorded_firmware
from sealtune.tee.tpm_device import TpmAttester

pytestmark = pytest.mark.slow
REPORT_DATA = bytes(range(64))


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> BootFiles:
    require_everything()
    return boot_files(tmp_path_factory.mktemp("kernel"))


@pytest.fixture(scope="module")
def guest(files: BootFiles, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Guest]:
    with booted(files, tmp_path_factory.mktemp("guest")) as running:
        yield running


@pytest.fixture(scope="module")
def verified(guest: Guest, tmp_path_factory: pytest.TempPathFactory) -> VerifiedEvidence:
    log = tmp_path_factory.mktemp("log") / "event_log"
    log.write_bytes(guest.event_log)
    attester = TpmAttester(event_log=log, transmit=guest.transmit)
    return verify_evidence(
        attester.attest(REPORT_DATA, host_data=bytes(32)),
        report_data=REPORT_DATA,
        anchors=vendor_anchors(),
        endorsements=NO_ENDORSEMENTS,
        now=datetime.now(UTC),
        steps=Steps(),
    )


def recorded(files: BootFiles, log: bytes) -> FirmwareProfile:
    return recorded_firmware(
        log,
        name=str(FIRMWARE),
        digests=lambda family: boot_digests(files, load_options=family, bank=Bank.SHA256),
    )


def accepting(
    files: BootFiles, profile: FirmwareProfile, evidence: VerifiedEvidence
) -> AcceptedEnclave:
    entry = tpm_entry(files, profile)[TPM_ENTRY]
    key = evidence.claims.identity["ak"]
    return AcceptedEnclave(
        name="vm",
        kind=entry.kind,
        measurements=frozenset(),
        registers={name: frozenset(values) for name, values in entry.registers.items()},
        contract_at_launch=False,
        snp=None,
        dcap=None,
        tpm=TpmTerms(ak_digests=frozenset({key}), accept_certified=False),
        devices=(),
        insecure_accept_simulated=False,
        simulated_root=None,
    )


def test_a_tpm_signs_the_registers_that_were_computed_ahead(
    files: BootFiles, guest: Guest, verified: VerifiedEvidence
) -> None:
    profile = recorded(files, guest.event_log)
    entry = tpm_entry(files, profile)[TPM_ENTRY]
    assert entry.kind is EvidenceKind.TPM_VM
    found = {name: (verified.claims.registers[name],) for name in entry.registers}
    assert found == entry.registers
    assert set(found) == {"pcr0", "pcr2", "pcr4", "pcr7", "pcr9"}


def test_the_log_explains_what_the_tpm_signs(guest: Guest, verified: VerifiedEvidence) -> None:
    replayed = replay(parse_event_log(guest.event_log), bank=Bank.SHA256)
    for register in (0, 2, 4, 7, 9):
        assert verified.claims.registers[f"pcr{register}"] == replayed[register].hex()


def test_known_firmware_boots_to_its_known_values(files: BootFiles, guest: Guest) -> None:
    known = KNOWN_FIRMWARE.get(sha256_digest(FIRMWARE.read_bytes()))
    if known is None:
        pytest.skip(f"nothing is recorded for this version of {FIRMWARE}")
    profile = recorded(files, guest.event_log)
    assert (profile.pcr0, profile.pcr7) == (known.pcr0, known.pcr7)
    assert profile.load_options is known.load_options


def test_appraisal_accepts_this_image_and_no_other(
    files: BootFiles, guest: Guest, verified: VerifiedEvidence
) -> None:
    profile = recorded(files, guest.event_log)
    mine = accepting(files, profile, verified)
    assert appraise(verified, accepted=[mine], host_data=bytes(32)).enclave == "vm"
    lines = f"{files.command_line} init=/bin/sh", files.command_line[:-1] + "1"
    changed = [
        BootFiles(kernel=files.kernel, initrd=files.initrd, command_line=line) for line in lines
    ]
    changed.append(
        BootFiles(kernel=files.kernel, initrd=files.initrd + b"\0", command_line=files.command_line)
    )
    code = bytearray(files.kernel)
    code[0x8000] ^= 1
    changed.append(
        BootFiles(kernel=bytes(code), initrd=files.initrd, command_line=files.command_line)
    )
    for other in changed:
        accepted = accepting(other, profile, verified)
        with pytest.raises(AppraisalRefused) as refusal:
            appraise(verified, accepted=[accepted], host_data=bytes(32))
        assert refusal.value.code is Code.APPRAISAL_REGISTER
