"""The Attester for /dev/sev-guest before a model of its driver."""

from __future__ import annotations

import ctypes
import errno
from datetime import datetime
from pathlib import Path

import pytest

from sealtune.attestation.endorsements import NO_ENDORSEMENTS
from sealtune.attestation.evidence import Evidence
from sealtune.attestation.steps import Steps
from sealtune.attestation.verify import verify_evidence
from sealtune.errors import Code, ConfigError, SealtuneError
from sealtune.tee.attester import Attester
from sealtune.tee.machine import ATTEMPTS
from sealtune.tee.sev_guest import ExtendedReportRequest, GuestRequest, SevGuestAttester
from sealtune.testing.mock_amd import MockAmd
from tee.fakes_snp import ARK, ASK, PAGE, VCEK, FakeSevGuest, certificate_table

REPORT_DATA = bytes(range(64))
HOST_DATA = bytes(range(32))
ENTRIES = {VCEK: b"vcek", ASK: b"ask", ARK: b"ark"}


def echo(user_data: bytes, vmpl: int) -> bytes:
    return (user_data + b"at VMPL %d" % vmpl).ljust(1184, b"\0")


def attest(driver: FakeSevGuest, **changes: object) -> Evidence:
    parts = {"device": Path("/dev/null"), "sleep": lambda _: None} | changes
    attester = SevGuestAttester(ioctl=driver, **parts)  # type: ignore[arg-type]
    return attester.attest(REPORT_DATA, host_data=HOST_DATA)


def refused(driver: FakeSevGuest) -> SealtuneError:
    with pytest.raises(SealtuneError) as refusal:
        attest(driver)
    return refusal.value


def test_its_evidence_passes_the_production_verifier(mock_amd: MockAmd, now: datetime) -> None:
    def make_report(user_data: bytes, vmpl: int) -> bytes:
        return mock_amd.evidence(report_data=user_data, host_data=HOST_DATA, vmpl=vmpl).report

    chain = mock_amd.evidence().certificates
    driver = FakeSevGuest(
        make_report, table=certificate_table(zip((VCEK, ASK, ARK), chain, strict=True))
    )
    attester: Attester = SevGuestAttester(Path("/dev/null"), ioctl=driver, vmpl=1)
    assert not attester.insecure
    verified = verify_evidence(
        attester.attest(REPORT_DATA, host_data=HOST_DATA),
        report_data=REPORT_DATA,
        anchors=mock_amd.anchors(),
        endorsements=NO_ENDORSEMENTS,
        now=now,
        steps=Steps(),
    )
    assert verified.authentic.detail.report.vmpl == 1  # type: ignore[attr-defined]


def test_the_structures_are_the_kernels() -> None:
    assert ctypes.sizeof(GuestRequest) == 32
    assert GuestRequest.req_data.offset == 8
    assert GuestRequest.fw_error.offset == 24
    assert ExtendedReportRequest.certs_address.offset == 96
    assert ExtendedReportRequest.certs_len.offset == 104


def test_a_table_of_several_pages_gets_its_room() -> None:
    table = certificate_table((ENTRIES | {ARK: b"a" * 7000}).items())
    driver = FakeSevGuest(echo, table=table)
    assert attest(driver).certificates == (b"vcek", b"ask", b"a" * 7000)
    assert driver.calls == ["extended"] * 2


def test_a_host_without_table_leaves_it_empty() -> None:
    driver = FakeSevGuest(echo)
    assert attest(driver).certificates == ()
    assert driver.calls == ["extended"]


@pytest.mark.parametrize("size", [0, PAGE, 5 * PAGE, 2**32 - PAGE], ids=["0", "1", "5", "many"])
def test_a_host_that_asks_for_nonsense_is_refused(size: int) -> None:
    class Hostile(FakeSevGuest):
        def _attach_table(self, call: GuestRequest, request: ExtendedReportRequest) -> None:
            request.certs_len = size
            call.vmm_error = 1
            raise OSError(errno.EIO, "certs_len")

    driver = Hostile(echo)
    assert refused(driver).code is Code.ATTESTER_FAILED
    assert len(driver.calls) == 1


def test_an_older_driver_gives_the_report_alone() -> None:
    driver = FakeSevGuest(echo, extended=False, table=certificate_table(ENTRIES.items()))
    assert attest(driver).certificates == ()
    assert driver.calls == ["extended", "plain"]


def test_a_host_that_is_busy_is_asked_again() -> None:
    pauses: list[float] = []
    assert attest(FakeSevGuest(echo, busy=ATTEMPTS - 1), sleep=pauses.append)
    assert pauses == sorted(pauses)
    error = refused(FakeSevGuest(echo, busy=ATTEMPTS))
    assert error.code is Code.ATTESTER_FAILED
    assert "hypervisor error 0x2" in error.message
    assert "later" in error.remedy


def test_a_signal_costs_an_attempt() -> None:
    driver = FakeSevGuest(echo, errors=[errno.EINTR])
    assert attest(driver)
    assert len(driver.calls) == 2


def test_a_firmware_error_is_named() -> None:
    driver = FakeSevGuest(echo, firmware_error=0x16)
    error = refused(driver)
    assert error.code is Code.ATTESTER_FAILED
    assert "firmware error 0x16" in error.message
    assert "restart" in error.remedy
    assert len(driver.calls) == 1


def test_a_driver_without_key_says_so() -> None:
    driver = FakeSevGuest(echo, key_given_up=True)
    error = refused(driver)
    assert error.code is Code.ATTESTER_FAILED
    assert "ENOTTY" in error.message
    assert "restart" in error.remedy
    assert driver.calls == ["extended", "plain"]


def test_a_refusal_of_the_kernel_is_not_asked_again() -> None:
    driver = FakeSevGuest(echo, errors=[errno.EPERM])
    error = refused(driver)
    assert "EPERM" in error.message
    assert "firmware" not in error.message
    assert driver.calls == ["extended"]


def test_a_status_of_the_firmware_is_no_report() -> None:
    error = refused(FakeSevGuest(echo, status=0x16))
    assert error.code is Code.ATTESTER_FAILED
    assert "0x16" in error.message
    assert "VMPL" in error.remedy


def test_somebody_elses_answer_is_refused() -> None:
    error = refused(FakeSevGuest(lambda *_: bytes(1184)))
    assert error.code is Code.ATTESTER_FAILED
    assert "report_data" in error.message


def test_a_missing_device_is_named(tmp_path: Path) -> None:
    with pytest.raises(ConfigError) as refusal:
        attest(FakeSevGuest(echo), device=tmp_path / "sev-guest")
    assert refusal.value.code is Code.TEE_UNAVAILABLE
    assert "modprobe sev-guest" in refusal.value.remedy


def test_another_device_is_no_sev_guest() -> None:
    with pytest.raises(SealtuneError) as refusal:
        SevGuestAttester(Path("/dev/null")).attest(REPORT_DATA, host_data=HOST_DATA)
    assert refusal.value.code is Code.ATTESTER_FAILED
    assert "ENOTTY" in refusal.value.message


def test_wrong_length_is_the_callers_mistake() -> None:
    with pytest.raises(ValueError, match="64"):
        SevGuestAttester().attest(bytes(63), host_data=HOST_DATA)
