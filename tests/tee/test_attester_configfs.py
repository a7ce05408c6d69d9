"""The Attester for configfs-tsm before a model of the kernel's, through FUSE and by calls."""

from __future__ import annotations

import errno
from collections.abc import Callable, Iterator
from datetime import datetime
from pathlib import Path

import pytest

from sealtune.attestation.endorsements import NO_ENDORSEMENTS
from sealtune.attestation.event_log import parse_event_log
from sealtune.attestation.evidence import Evidence, EvidenceKind
from sealtune.attestation.snp_report import Signer
from sealtune.attestation.steps import Steps
from sealtune.attestation.verify import verify_evidence
from sealtune.core.limits import EVENT_LOG_BYTES_MAX
from sealtune.errors import Code, ConfigError, FormatError, SealtuneError
from sealtune.tee import configfs_tsm
from sealtune.tee.attester import Attester
from sealtune.tee.configfs_tsm import ConfigfsTsmAttester, TsmFiles, used_part
from sealtune.tee.machine import ATTEMPTS
from sealtune.testing.mock_amd import MockAmd, MockVek
from sealtune.testing.mock_intel import MockIntel, MockQuote, MockTd
from tee.fakes_fuse import mounted
from tee.fakes_snp import ARK, ASK, VCEK, VLEK, certificate_table
from tee.fakes_tsm import OUTBLOB_BYTES_MAX, FakeTsm, FakeTsmFiles

REPORT_DATA = bytes(range(64))
HOST_DATA = bytes(range(32))
# What the TDX provider does not have.
TDX_HIDES = frozenset({"auxblob", "privlevel", "privlevel_floor"})


def echo(inblob: bytes, privlevel: int) -> tuple[bytes, bytes]:
    """A report that says what was asked for, and nothing else."""
    return inblob + b"at VMPL %d" % privlevel, b""


def attester_of(tsm: FakeTsm, **changes: object) -> ConfigfsTsmAttester:
    kind = EvidenceKind.TDX if tsm.provider == "tdx_guest" else EvidenceKind.SEV_SNP
    parts = {"kind": kind, "files": FakeTsmFiles(tsm), "sleep": lambda _: None}
    return ConfigfsTsmAttester(**(parts | changes))  # type: ignore[arg-type]


def attest(tsm: FakeTsm, **changes: object) -> Evidence:
    evidence = attester_of(tsm, **changes).attest(REPORT_DATA, host_data=HOST_DATA)
    assert tsm.entries == {}
    return evidence


def refused(tsm: FakeTsm, **changes: object) -> SealtuneError:
    with pytest.raises(SealtuneError) as refusal:
        attest(tsm, **changes)
    assert tsm.entries == {}
    return refusal.value


def amd_tsm(mock_amd: MockAmd) -> FakeTsm:
    """A guest on a mock chip, whose host attaches its certificates."""

    def make_report(inblob: bytes, privlevel: int) -> tuple[bytes, bytes]:
        evidence = mock_amd.evidence(report_data=inblob, host_data=HOST_DATA, vmpl=privlevel)
        table = certificate_table(zip((VCEK, ASK, ARK), evidence.certificates, strict=True))
        return evidence.report, table

    return FakeTsm(make_report, floor=1)


@pytest.fixture
def mount(tmp_path: Path) -> Iterator[Callable[[FakeTsm], Path]]:
    """Mounts a model at a folder, for the Attester's own system calls."""
    contexts = []

    def enter(tsm: FakeTsm) -> Path:
        context = mounted(tsm, tmp_path)
        contexts.append(context)
        return context.__enter__()

    yield enter
    for context in contexts:
        context.__exit__(None, None, None)


def verify_fresh(evidence: Evidence, mock_amd: MockAmd, now: datetime) -> object:
    return verify_evidence(
        evidence,
        report_data=REPORT_DATA,
        anchors=mock_amd.anchors(),
        endorsements=NO_ENDORSEMENTS,
        now=now,
        steps=Steps(),
    )


def test_through_a_file_system_to_the_production_verifier(
    mount: Callable[[FakeTsm], Path], mock_amd: MockAmd, now: datetime
) -> None:
    tsm = amd_tsm(mock_amd)
    attester: Attester = ConfigfsTsmAttester(EvidenceKind.SEV_SNP, mount(tsm))
    assert not attester.insecure
    for _ in range(2):
        verify_fresh(attester.attest(REPORT_DATA, host_data=HOST_DATA), mock_amd, now)
    assert len(set(tsm.seen)) == 2
    assert tsm.entries == {}


def test_a_trust_domains_quote_passes_the_production_verifier(
    mount: Callable[[FakeTsm], Path], now: datetime
) -> None:
    intel = MockIntel(now=now)

    def make_report(inblob: bytes, _privlevel: int) -> tuple[bytes, bytes]:
        return intel.quote(MockQuote(body=MockTd(report_data=inblob))), b""

    root = mount(FakeTsm(make_report, provider="tdx_guest", hidden=TDX_HIDES))
    attester = ConfigfsTsmAttester(EvidenceKind.TDX, root, ccel=root / "no-log")
    verify_evidence(
        attester.attest(REPORT_DATA, host_data=HOST_DATA),
        report_data=REPORT_DATA,
        anchors=intel.anchors(),
        endorsements=intel.endorsements(MockQuote()),
        now=now,
        steps=Steps(),
    )


def test_by_calls_to_the_production_verifier(mock_amd: MockAmd, now: datetime) -> None:
    verified = verify_fresh(attest(amd_tsm(mock_amd)), mock_amd, now)
    assert verified.authentic.detail.report.vmpl == 1  # type: ignore[attr-defined]


def test_a_real_report_comes_through_unchanged(
    mount: Callable[[FakeTsm], Path], shared_dir: Path
) -> None:
    report = (shared_dir / "vectors/snp/ars-genoa-v5/report.bin").read_bytes()
    root = mount(FakeTsm(lambda *_: (report, b"")))
    evidence = ConfigfsTsmAttester(EvidenceKind.SEV_SNP, root).attest(
        report[0x50:0x90], host_data=HOST_DATA
    )
    assert evidence.report == report


def test_a_real_quote_comes_with_its_log(
    mount: Callable[[FakeTsm], Path], shared_dir: Path
) -> None:
    folder = shared_dir / "vectors/tdx/gtg-ccel"
    quote = (folder / "cos-113-tdx-quote.dat").read_bytes()
    root = mount(FakeTsm(lambda *_: (quote, b""), provider="tdx_guest", hidden=TDX_HIDES))
    attester = ConfigfsTsmAttester(EvidenceKind.TDX, root, ccel=folder / "ccel_data.dat")
    # TDREPORT.REPORTDATA in a quote of version 4.
    evidence = attester.attest(quote[48 + 520 : 48 + 584], host_data=HOST_DATA)
    assert evidence.kind is EvidenceKind.TDX
    assert evidence.report == quote
    assert len(evidence.parts["event_log"]) < 24 * 1024
    whole = parse_event_log((folder / "ccel_data.dat").read_bytes())
    assert parse_event_log(evidence.parts["event_log"]) == whole


def test_tdx_without_log_has_no_part(tmp_path: Path) -> None:
    tsm = FakeTsm(echo, provider="tdx_guest", hidden=TDX_HIDES)
    assert attest(tsm, ccel=tmp_path / "CCEL").parts == {}
    (tmp_path / "CCEL").write_bytes(b"\xff" * 4096)
    assert attest(tsm, ccel=tmp_path / "CCEL").parts == {}
    (tmp_path / "CCEL").write_bytes(bytes(EVENT_LOG_BYTES_MAX + 1))
    assert refused(tsm, ccel=tmp_path / "CCEL").code is Code.ATTESTER_FAILED


@pytest.mark.parametrize("rest", [b"\0", b"\xff"], ids=["zeros", "ones"])
def test_the_unused_part_of_a_log_goes_and_its_end_stays(rest: bytes) -> None:
    log = b"log" + rest * 9
    assert used_part(log + rest * 100_000).startswith(log)
    assert len(used_part(log + rest * 100_000)) < 5_000
    assert used_part(log) == log


def test_the_floor_of_the_privilege_level_is_asked_for() -> None:
    levels = []

    def note(inblob: bytes, privlevel: int) -> tuple[bytes, bytes]:
        levels.append(privlevel)
        return echo(inblob, privlevel)

    attest(FakeTsm(note))
    attest(FakeTsm(note, floor=2))
    attest(FakeTsm(note), privlevel=3)
    attest(FakeTsm(note, hidden=frozenset({"privlevel_floor"})))
    assert levels == [0, 2, 3, 0]


@pytest.mark.parametrize("through", ["calls", "file-system"])
def test_a_level_that_the_provider_forbids_is_named(
    mount: Callable[[FakeTsm], Path], through: str
) -> None:
    tsm = FakeTsm(echo, floor=2)
    where = {"root": mount(tsm), "files": None} if through == "file-system" else {}
    error = refused(tsm, privlevel=1, **where)
    assert error.code is Code.ATTESTER_FAILED
    assert "EINVAL" in error.message
    assert "VMPL" in error.remedy


def intruder(tsm: FakeTsm, moment: str, times: int) -> Callable[[str, str], None]:
    """Another process that writes into the same directory at `moment`, so many times."""
    left = [times]

    def before(step: str, name: str) -> None:
        if step == moment and left[0]:
            left[0] -= 1
            tsm.write(name, "inblob", bytes(64))

    return before


# Before its report is made, after it, and after its certificates.
MOMENTS = ["write inblob", "read outblob", "read auxblob"]


@pytest.mark.parametrize("moment", MOMENTS)
def test_another_writer_costs_an_attempt(moment: str) -> None:
    tsm = FakeTsm(echo)
    tsm.before = intruder(tsm, moment, 2)
    assert attest(tsm).report.startswith(REPORT_DATA)
    attempts = 2 if moment == "write inblob" else 3
    assert len(set(tsm.seen)) == attempts


@pytest.mark.parametrize("moment", MOMENTS[1:])
def test_a_writer_that_never_stops_is_named(moment: str) -> None:
    tsm = FakeTsm(echo)
    tsm.before = intruder(tsm, moment, 100)
    pauses: list[float] = []
    assert refused(tsm, sleep=pauses.append).code is Code.ATTESTER_RACED
    assert len(tsm.seen) == ATTEMPTS
    assert pauses == sorted(pauses)
    assert sum(pauses) < 10


def test_a_write_that_got_lost_is_noticed() -> None:
    class Losing(FakeTsmFiles):
        """configfs takes a blob over at close and tells nobody that it refused."""

        def write(self, path: Path, data: bytes) -> None: ...

    tsm = FakeTsm(echo)
    assert refused(tsm, files=Losing(tsm)).code is Code.ATTESTER_RACED


def test_a_provider_that_is_swapped_is_not_believed() -> None:
    tsm = FakeTsm(echo)

    def before(step: str, _name: str) -> None:
        if step == "read outblob":
            tsm.provider = "tdx_guest"

    tsm.before = before
    assert refused(tsm, kind=EvidenceKind.SEV_SNP).code is Code.TEE_UNAVAILABLE
    assert len(tsm.seen) == 2


@pytest.mark.parametrize("provider", ["tdx_guest", "arm_cca_guest", "x" * 5000])
def test_another_provider_is_named(provider: str) -> None:
    error = refused(FakeTsm(echo, provider=provider), kind=EvidenceKind.SEV_SNP)
    assert error.code is Code.TEE_UNAVAILABLE
    assert provider[:10] in error.message
    assert len(error.message) < 300


def failing(moment: str, number: int, times: int) -> Callable[[str, str], None]:
    left = [times]

    def before(step: str, _name: str) -> None:
        if step == moment and left[0]:
            left[0] -= 1
            raise OSError(number, moment)

    return before


@pytest.mark.parametrize("name", ["EINTR", "EBUSY", "EAGAIN", "ETIMEDOUT"])
@pytest.mark.parametrize("moment", ["make", "write inblob", "read outblob", "read auxblob"])
def test_what_passes_is_tried_again(name: str, moment: str) -> None:
    tsm = FakeTsm(echo, before=failing(moment, getattr(errno, name), ATTEMPTS - 1))
    attest(tsm)
    tsm = FakeTsm(echo, before=failing(moment, getattr(errno, name), ATTEMPTS))
    error = refused(tsm)
    assert error.code is Code.ATTESTER_FAILED
    assert name in error.message


@pytest.mark.parametrize("moment", ["read provider", "write inblob", "read outblob"])
def test_what_does_not_pass_is_not(moment: str) -> None:
    tsm = FakeTsm(echo, before=failing(moment, errno.EIO, 1))
    assert "EIO" in refused(tsm).message
    assert len(tsm.seen) == 1


def test_through_a_file_system_a_busy_kernel_is_asked_again(
    mount: Callable[[FakeTsm], Path],
) -> None:
    tsm = FakeTsm(echo, before=failing("read outblob", errno.EBUSY, 2))
    attester = ConfigfsTsmAttester(EvidenceKind.SEV_SNP, mount(tsm), sleep=lambda _: None)
    assert attester.attest(REPORT_DATA, host_data=HOST_DATA)
    assert len(tsm.seen) == 3


@pytest.mark.parametrize("through", ["calls", "file-system"])
def test_a_blob_that_is_too_large_is_named(mount: Callable[[FakeTsm], Path], through: str) -> None:
    tsm = FakeTsm(lambda inblob, _: (inblob, bytes(OUTBLOB_BYTES_MAX + 1)))
    where = {"root": mount(tsm), "files": None} if through == "file-system" else {}
    error = refused(tsm, **where)
    assert error.code is Code.ATTESTER_FAILED
    assert "EFBIG" in error.message
    assert "host" in error.remedy


def test_a_kernel_without_bound_is_bounded(tmp_path: Path) -> None:
    (tmp_path / "blob").write_bytes(bytes(101))
    with pytest.raises(SealtuneError) as refusal:
        TsmFiles().read(tmp_path / "blob", limit=100)
    assert refusal.value.code is Code.ATTESTER_FAILED


def test_a_blob_that_is_half_written_is_an_error(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "inblob").touch()
    monkeypatch.setattr(configfs_tsm.os, "write", lambda *_: 32)
    with pytest.raises(SealtuneError) as refusal:
        TsmFiles().write(tmp_path / "inblob", REPORT_DATA)
    assert refusal.value.code is Code.ATTESTER_FAILED


def test_no_configfs_is_unavailable(tmp_path: Path) -> None:
    attester = ConfigfsTsmAttester(EvidenceKind.SEV_SNP, tmp_path / "report")
    with pytest.raises(ConfigError) as refusal:
        attester.attest(REPORT_DATA, host_data=HOST_DATA)
    assert refusal.value.code is Code.TEE_UNAVAILABLE
    assert "mount -t configfs" in refusal.value.remedy


def test_no_provider_is_unavailable() -> None:
    error = refused(FakeTsm(echo, provider=""))
    assert error.code is Code.TEE_UNAVAILABLE
    assert "modprobe" in error.remedy


def test_no_permission_says_what_to_do() -> None:
    error = refused(FakeTsm(echo, before=failing("make", errno.EACCES, 1)))
    assert error.code is Code.ATTESTER_FAILED
    assert "root" in error.remedy


def test_a_directory_that_stays_is_no_reason_to_fail() -> None:
    tsm = FakeTsm(echo, before=failing("remove", errno.EBUSY, 1))
    assert attester_of(tsm).attest(REPORT_DATA, host_data=HOST_DATA)


def test_somebody_elses_answer_is_refused() -> None:
    error = refused(FakeTsm(lambda *_: (bytes(1184), b"")))
    assert error.code is Code.ATTESTER_FAILED
    assert "report_data" in error.message


@pytest.mark.parametrize("text", [b"", b"-1\n", b"x\n", b"\xb2\n", b"1" * 30])
def test_a_generation_that_is_no_number_is_refused(text: bytes) -> None:
    class Garbled(FakeTsmFiles):
        def read(self, path: Path, *, limit: int) -> bytes:
            return text if path.name == "generation" else super().read(path, limit=limit)

    tsm = FakeTsm(echo)
    assert refused(tsm, files=Garbled(tsm)).code is Code.ATTESTER_FAILED


def with_table(mock_amd: MockAmd, table: bytes, signer: Signer = Signer.VCEK) -> FakeTsm:
    def make_report(inblob: bytes, _privlevel: int) -> tuple[bytes, bytes]:
        return mock_amd.evidence(vek=MockVek(signer=signer), report_data=inblob).report, table

    return FakeTsm(make_report)


@pytest.mark.parametrize(
    ("signer", "first"), [(Signer.VCEK, b"vcek"), (Signer.VLEK, b"vlek")], ids=["vcek", "vlek"]
)
def test_the_report_says_whose_certificate_belongs_to_it(
    mock_amd: MockAmd, signer: Signer, first: bytes
) -> None:
    entries = {VLEK: b"vlek", VCEK: b"vcek", ARK: b"ark", ASK: b"ask"}
    tsm = with_table(mock_amd, certificate_table(entries.items()), signer)
    assert attest(tsm).certificates == (first, b"ask", b"ark")


def test_what_the_host_leaves_out_is_left_out(mock_amd: MockAmd) -> None:
    tsm = with_table(mock_amd, certificate_table([(ASK, b"ask")]))
    assert attest(tsm).certificates == (b"ask",)
    tsm = FakeTsm(tsm.make_report, hidden=frozenset({"auxblob"}))
    assert attest(tsm).certificates == ()


def test_a_table_that_is_none_is_refused(mock_amd: MockAmd) -> None:
    with pytest.raises(FormatError):
        attest(with_table(mock_amd, b"\xff" * 48))


def test_wrong_length_is_the_callers_mistake() -> None:
    with pytest.raises(ValueError, match="64"):
        attester_of(FakeTsm(echo)).attest(bytes(63), host_data=HOST_DATA)


def test_only_what_configfs_serves_has_an_attester() -> None:
    with pytest.raises(ValueError, match="sgx"):
        ConfigfsTsmAttester(EvidenceKind.SGX)
