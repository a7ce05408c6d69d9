"""The Attester for SGX before Gramine's pseudo-files, whose quote follows what was written."""

from __future__ import annotations

import os
import threading
from collections.abc import Iterator
from datetime import datetime
from pathlib import Path

import pytest

from sealtune.attestation.evidence import EvidenceKind
from sealtune.attestation.steps import Steps
from sealtune.attestation.verify import verify_evidence
from sealtune.core.limits import QUOTE_BYTES_MAX
from sealtune.errors import Code, ConfigError, SealtuneError
from sealtune.tee.attester import Attester
from sealtune.tee.gramine import GramineAttester
from sealtune.testing.mock_intel import MockIntel, MockQuote, MockSgx

REPORT_DATA = bytes(range(64))
HOST_DATA = bytes(32)
REPORT_DATA_AT = 368


class FakeGramine:
    """/dev/attestation: `quote` is a pipe, fed with a quote over what `user_report_data` holds."""

    def __init__(self, root: Path, *, kind: bytes = b"dcap", size: int = 4734) -> None:
        self.root = root
        self.size = size
        self.template = bytes(size)
        (root / "attestation_type").write_bytes(kind)
        (root / "user_report_data").write_bytes(bytes(64))
        os.mkfifo(root / "quote")
        self._thread = threading.Thread(target=self._serve, daemon=True)
        self._thread.start()

    def _serve(self) -> None:
        # Opening waits for the Attester, which has written by then.
        with (self.root / "quote").open("wb") as pipe:
            data = (self.root / "user_report_data").read_bytes()
            quote = self.template[:REPORT_DATA_AT] + data + self.template[REPORT_DATA_AT + 64 :]
            try:
                pipe.write(quote)
            except BrokenPipeError:
                return

    def close(self) -> None:
        if self._thread.is_alive():
            os.close(os.open(self.root / "quote", os.O_RDONLY | os.O_NONBLOCK))
        self._thread.join()


@pytest.fixture
def gramine(tmp_path: Path) -> Iterator[FakeGramine]:
    fake = FakeGramine(tmp_path)
    yield fake
    fake.close()


def test_the_quote_follows_what_was_written(gramine: FakeGramine) -> None:
    attester: Attester = GramineAttester(gramine.root)
    assert not attester.insecure
    evidence = attester.attest(REPORT_DATA, host_data=HOST_DATA)
    assert evidence.kind is EvidenceKind.SGX
    assert evidence.report[REPORT_DATA_AT : REPORT_DATA_AT + 64] == REPORT_DATA
    assert len(evidence.report) == gramine.size


def test_its_quote_passes_the_production_verifier(gramine: FakeGramine, now: datetime) -> None:
    intel = MockIntel(now=now)
    quote = MockQuote(body=MockSgx(report_data=REPORT_DATA), version=3)
    gramine.template = intel.quote(quote)
    verify_evidence(
        GramineAttester(gramine.root).attest(REPORT_DATA, host_data=HOST_DATA),
        report_data=REPORT_DATA,
        anchors=intel.anchors(),
        endorsements=intel.endorsements(quote),
        now=now,
        steps=Steps(),
    )


def test_a_real_quote_comes_through_unchanged(gramine: FakeGramine, shared_dir: Path) -> None:
    quote = (shared_dir / "vectors/sgx/phala-v3/sgx_quote").read_bytes()
    gramine.template = quote
    data = quote[REPORT_DATA_AT : REPORT_DATA_AT + 64]
    assert GramineAttester(gramine.root).attest(data, host_data=HOST_DATA).report == quote


def test_a_quote_that_is_too_large_is_refused(tmp_path: Path) -> None:
    fake = FakeGramine(tmp_path, size=QUOTE_BYTES_MAX + 1)
    with pytest.raises(SealtuneError) as refusal:
        GramineAttester(tmp_path).attest(REPORT_DATA, host_data=HOST_DATA)
    fake.close()
    assert refusal.value.code is Code.ATTESTER_FAILED


@pytest.mark.parametrize("kind", [b"none", b"epid\n", b"\xff" * 60, b""])
def test_without_dcap_there_is_no_evidence(tmp_path: Path, kind: bytes) -> None:
    (tmp_path / "attestation_type").write_bytes(kind)
    with pytest.raises(ConfigError) as refusal:
        GramineAttester(tmp_path).attest(REPORT_DATA, host_data=HOST_DATA)
    assert refusal.value.code is Code.TEE_UNAVAILABLE
    assert "sgx.remote_attestation" in refusal.value.remedy


def test_outside_of_gramine_it_says_so(tmp_path: Path) -> None:
    with pytest.raises(ConfigError) as refusal:
        GramineAttester(tmp_path).attest(REPORT_DATA, host_data=HOST_DATA)
    assert refusal.value.code is Code.TEE_UNAVAILABLE
    assert "gramine-sgx" in refusal.value.remedy


@pytest.mark.parametrize("missing", ["quote", "user_report_data"])
def test_a_quoting_service_that_refuses_is_named(tmp_path: Path, missing: str) -> None:
    for name, content in (("attestation_type", b"dcap"), ("user_report_data", b""), ("quote", b"")):
        if name != missing:
            (tmp_path / name).write_bytes(content)
    with pytest.raises(SealtuneError) as refusal:
        GramineAttester(tmp_path).attest(REPORT_DATA, host_data=HOST_DATA)
    assert refusal.value.code is Code.ATTESTER_FAILED
    assert "aesmd" in refusal.value.remedy


def test_somebody_elses_quote_is_refused(tmp_path: Path) -> None:
    (tmp_path / "attestation_type").write_bytes(b"dcap\n")
    (tmp_path / "user_report_data").write_bytes(b"")
    (tmp_path / "quote").write_bytes(bytes(4734))
    with pytest.raises(SealtuneError) as refusal:
        GramineAttester(tmp_path).attest(REPORT_DATA, host_data=HOST_DATA)
    assert refusal.value.code is Code.ATTESTER_FAILED
    assert (tmp_path / "user_report_data").read_bytes() == REPORT_DATA


def test_wrong_length_is_the_callers_mistake(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="64"):
        GramineAttester(tmp_path).attest(bytes(63), host_data=HOST_DATA)
