"""The Attester for a plain TPM 2.0, on a real one in software, before the production verifier."""

from __future__ import annotations

import os
import pty
import threading
import tty
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from sealtune.attestation.anchors import RootUse, TrustAnchors, vendor_anchors
from sealtune.attestation.binding import tpm_challenge
from sealtune.attestation.endorsements import Endorsement, Endorsements, EndorsementType
from sealtune.attestation.evidence import Evidence, EvidenceKind
from sealtune.attestation.steps import Steps
from sealtune.attestation.tpm_wire import TpmHash
from sealtune.attestation.verified import AuthenticEvidence
from sealtune.attestation.verify import verify_evidence
from sealtune.core.digest import sha256_digest
from sealtune.core.limits import EVENT_LOG_BYTES_MAX
from sealtune.crypto.ecdsa import P384Key
from sealtune.crypto.x509 import certificates_from_pem
from sealtune.crypto.x509_builder import (
    CertificateFields,
    authority_extensions,
    build_certificate,
    key_usage_extension,
)
from sealtune.errors import Code, ConfigError, SealtuneError
from sealtune.tee import tpm_device
from sealtune.tee.attester import Attester
from sealtune.tee.machine import ATTEMPTS
from sealtune.tee.tpm_commands import TpmCommands, Transmit, selection
from sealtune.tee.tpm_device import EK_CERTIFICATES, TpmAttester
from tee.fakes_swtpm import SoftwareTpm

REPORT_DATA = bytes(range(64))
HOST_DATA = bytes(32)
AK_HANDLE = 0x81010002
PCR_READ, QUOTE, RETRY = 0x17E, 0x158, 0x922
PCRS_OF_SHA256 = 24 * 32


def attester_on(transmit: Transmit, **changes: object) -> TpmAttester:
    changes = {"event_log": Path("/nonexistent"), "sleep": lambda _: None} | changes
    return TpmAttester(transmit=transmit, **changes)  # type: ignore[arg-type]


def attest(transmit: Transmit, **changes: object) -> Evidence:
    return attester_on(transmit, **changes).attest(REPORT_DATA, host_data=HOST_DATA)


def verified(
    evidence: Evidence,
    now: datetime,
    *,
    anchors: TrustAnchors | None = None,
    issuers: tuple[bytes, ...] = (),
) -> AuthenticEvidence:
    kind = EndorsementType.X509_CERTIFICATE
    items = tuple(Endorsement(type=kind, data=issuer) for issuer in issuers)
    return verify_evidence(
        evidence,
        report_data=REPORT_DATA,
        anchors=anchors or vendor_anchors(),
        endorsements=Endorsements(items=items),
        now=now,
        steps=Steps(),
    ).authentic


def code_of(command: bytes) -> int:
    return int.from_bytes(command[6:10], "big")


def test_a_real_quote_passes_the_production_verifier(swtpm: SoftwareTpm, now: datetime) -> None:
    as_protocol: Attester = attester_on(swtpm.transmit)
    assert not as_protocol.insecure
    evidence = as_protocol.attest(REPORT_DATA, host_data=HOST_DATA)
    assert evidence.kind is EvidenceKind.TPM_VM
    assert len(evidence.parts["pcrs"]) == PCRS_OF_SHA256
    assert evidence.certificates == ()
    authentic = verified(evidence, now)
    assert authentic.freshness == tpm_challenge(REPORT_DATA)
    assert not authentic.claims.memory_protected
    # What the TPM's own tool reads of register 17, which no firmware has touched.
    assert authentic.claims.registers["pcr17"] == "ff" * 32


def test_the_key_stays_the_same_and_nothing_stays_loaded(swtpm: SoftwareTpm) -> None:
    keys = {attest(swtpm.transmit).parts["ak_public"] for _ in range(5)}
    assert len(keys) == 1
    assert swtpm.tool("tpm2_getcap", "handles-transient") == b""


def test_an_extended_register_shows(swtpm: SoftwareTpm, now: datetime) -> None:
    before = verified(attest(swtpm.transmit), now).claims
    swtpm.tool("tpm2_pcrextend", f"9:sha256={'ab' * 32}")
    after = verified(attest(swtpm.transmit), now).claims
    changed = {name for name in before.registers if before.registers[name] != after.registers[name]}
    assert changed == {"pcr9"}
    assert before.measurement != after.measurement


def test_a_register_that_changes_before_the_quote_is_read_again(
    swtpm: SoftwareTpm, now: datetime
) -> None:
    races = iter((True, True, False))

    def transmit(command: bytes) -> bytes:
        if code_of(command) == QUOTE and next(races):
            swtpm.tool("tpm2_pcrextend", f"16:sha256={'cd' * 32}")
        return swtpm.transmit(command)

    verified(attest(transmit), now)
    assert list(races) == []


def test_a_register_that_always_changes_is_given_up(swtpm: SoftwareTpm) -> None:
    def transmit(command: bytes) -> bytes:
        if code_of(command) == QUOTE:
            swtpm.tool("tpm2_pcrextend", f"16:sha256={'cd' * 32}")
        return swtpm.transmit(command)

    pauses: list[float] = []
    with pytest.raises(SealtuneError) as refusal:
        attest(transmit, sleep=pauses.append)
    assert refusal.value.code is Code.ATTESTER_RACED
    assert sorted(pauses)[-1] <= 2
    assert swtpm.tool("tpm2_getcap", "handles-transient") == b""


@pytest.fixture
def persistent_ak(swtpm: SoftwareTpm, tmp_path: Path) -> int:
    """An RSA attestation key as tpm2-tools make it, at a handle."""
    swtpm.tool("tpm2_createek", "-G", "rsa", "-c", tmp_path / "ek.ctx")
    swtpm.tool("tpm2_flushcontext", "-t")
    key = ("-G", "rsa", "-g", "sha256", "-s", "rsassa", "-c", tmp_path / "ak.ctx")
    swtpm.tool("tpm2_createak", "-C", tmp_path / "ek.ctx", *key)
    swtpm.tool("tpm2_flushcontext", "-t")
    swtpm.tool("tpm2_evictcontrol", "-C", "o", "-c", tmp_path / "ak.ctx", hex(AK_HANDLE))
    swtpm.tool("tpm2_flushcontext", "-t")
    return AK_HANDLE


def test_a_persistent_key_signs_where_it_is_named(
    swtpm: SoftwareTpm, persistent_ak: int, now: datetime
) -> None:
    evidence = attest(swtpm.transmit, ak_handle=persistent_ak)
    assert evidence.parts["tpm_signature"][:2] == bytes.fromhex("0014")  # RSASSA
    verified(evidence, now)


def test_a_key_that_would_sign_anything_is_refused(swtpm: SoftwareTpm, tmp_path: Path) -> None:
    key = ("-G", "ecc256:ecdsa-sha256", "-a", "fixedtpm|fixedparent|sensitivedataorigin|sign")
    key = (*key[:3], key[3] + "|userwithauth", "-c", tmp_path / "key.ctx")
    swtpm.tool("tpm2_createprimary", "-C", "o", *key)
    swtpm.tool("tpm2_evictcontrol", "-C", "o", "-c", tmp_path / "key.ctx", hex(AK_HANDLE))
    with pytest.raises(SealtuneError) as refusal:
        attest(swtpm.transmit, ak_handle=AK_HANDLE)
    assert refusal.value.code is Code.ATTESTER_FAILED
    assert "tpm2_createak" in refusal.value.remedy


def test_a_key_that_signs_with_sha1_is_refused(swtpm: SoftwareTpm, tmp_path: Path) -> None:
    attributes = "fixedtpm|fixedparent|sensitivedataorigin|userwithauth|restricted|sign"
    key = ("-G", "ecc256:ecdsa-sha1:null", "-a", attributes, "-c", tmp_path / "key.ctx")
    swtpm.tool("tpm2_createprimary", "-C", "e", *key)
    swtpm.tool("tpm2_evictcontrol", "-C", "o", "-c", tmp_path / "key.ctx", hex(AK_HANDLE))
    with pytest.raises(SealtuneError) as refusal:
        attest(swtpm.transmit, ak_handle=AK_HANDLE)
    assert refusal.value.code is Code.ATTESTER_FAILED
    assert "SHA-256" in refusal.value.remedy


def test_a_handle_without_key_is_named(swtpm: SoftwareTpm) -> None:
    with pytest.raises(ConfigError) as refusal:
        attest(swtpm.transmit, ak_handle=0x81019999)
    assert refusal.value.code is Code.TEE_UNAVAILABLE
    assert "0x81019999" in refusal.value.message


def certify(swtpm: SoftwareTpm, folder: Path, now: datetime) -> tuple[bytes, ...]:
    """Put template and certificate of a provider's key into the TPM; return its issuers."""
    ak = attest(swtpm.transmit).parts["ak_public"]
    key = P384Key.generate()
    names = [[("2.5.4.3", text)] for text in ("INSECURE cloud root", "INSECURE cloud AK")]
    fields = CertificateFields(
        serial=1,
        issuer=names[0],
        subject=names[0],
        not_before=now - timedelta(days=1),
        not_after=now + timedelta(days=365),
        spki=key.spki,
        extensions=authority_extensions(path_length=None),
    )
    root = build_certificate(fields, key=key)
    leaf = CertificateFields(
        serial=2,
        issuer=names[0],
        subject=names[1],
        not_before=fields.not_before,
        not_after=fields.not_after,
        spki=ak,
        extensions=key_usage_extension(0),
    )
    certificate = build_certificate(leaf, key=key)
    # Providers reserve more than they need.
    contents = ((0x01C10002, certificate + bytes(600)), (0x01C10003, tpm_device._OWN_KEY))
    for index, content in contents:
        (folder / "nv").write_bytes(content)
        attributes = "ownerread|ownerwrite|authread|no_da"
        if index == 0x01C10003:
            attributes = "ownerread|ownerwrite|no_da"
        size = ("-s", len(content), "-a", attributes)
        swtpm.tool("tpm2_nvdefine", "-C", "o", hex(index), *size)
        swtpm.tool("tpm2_nvwrite", "-C", "o", hex(index), "-i", folder / "nv")
    return (root,)


def test_a_providers_key_brings_its_certificate(
    swtpm: SoftwareTpm, tmp_path: Path, now: datetime
) -> None:
    issuers = certify(swtpm, tmp_path, now)
    evidence = attest(swtpm.transmit)
    assert len(evidence.certificates) == 1
    root = sha256_digest(issuers[0])
    anchors = vendor_anchors().with_insecure_root(root, use=RootUse.TPM, product=None)
    assert verified(evidence, now, anchors=anchors, issuers=issuers).root.digest == root


def test_the_endorsement_keys_certificate_comes_where_it_is_wanted(
    swtpm: SoftwareTpm, swtpm_state: Path, now: datetime
) -> None:
    authority = swtpm_state / "ca"
    files = ("issuer.pem", "swtpm-localca-rootca-cert.pem")
    issuers = tuple(certificates_from_pem((authority / name).read_bytes())[0] for name in files)
    evidence = attest(swtpm.transmit, ek_indices=EK_CERTIFICATES)
    certificate = evidence.parts["ek_certificate"]
    assert len(certificate) == 4 + int.from_bytes(certificate[2:4], "big")
    with pytest.raises(SealtuneError) as refusal:
        verified(evidence, now, issuers=issuers)
    assert refusal.value.code is Code.EVIDENCE_ROOT  # swtpm's CA is nobody's root
    root = sha256_digest(issuers[-1])
    anchors = vendor_anchors().with_insecure_root(root, use=RootUse.TPM, product=None)
    # swtpm issued them a moment ago by this machine's clock, not by the tests'.
    authentic = verified(evidence, datetime.now(UTC), anchors=anchors, issuers=issuers)
    assert authentic.detail.endorsement_key.root == root
    assert "ek_certificate" not in attest(swtpm.transmit).parts
    assert "ek_certificate" not in attest(swtpm.transmit, ek_indices=(0x01C00100,)).parts


def test_the_event_log_comes_along(swtpm: SoftwareTpm, tmp_path: Path) -> None:
    log = tmp_path / "log"
    log.write_bytes(b"log")
    assert attest(swtpm.transmit, event_log=log).parts["event_log"] == b"log"
    log.write_bytes(b"")
    assert "event_log" not in attest(swtpm.transmit, event_log=log).parts
    log.write_bytes(bytes(EVENT_LOG_BYTES_MAX + 1))
    with pytest.raises(SealtuneError) as refusal:
        attest(swtpm.transmit, event_log=log)
    assert refusal.value.code is Code.ATTESTER_FAILED
    with pytest.raises(SealtuneError) as refusal:
        attest(swtpm.transmit, event_log=tmp_path)  # a folder
    assert "EISDIR" in refusal.value.message


def test_a_busy_tpm_is_asked_again(swtpm: SoftwareTpm) -> None:
    busy = bytes.fromhex("8001 0000000a") + RETRY.to_bytes(4, "big")
    refusals = iter(range(ATTEMPTS - 1))

    def transmit(command: bytes) -> bytes:
        if code_of(command) == QUOTE and next(refusals, None) is not None:
            return busy
        return swtpm.transmit(command)

    assert attest(transmit)
    with pytest.raises(SealtuneError) as refusal:
        attest(lambda _: busy)
    assert refusal.value.code is Code.ATTESTER_FAILED
    assert "0x922" in refusal.value.message


def test_a_password_on_the_hierarchy_is_named(swtpm: SoftwareTpm) -> None:
    swtpm.tool("tpm2_changeauth", "-c", "endorsement", "password")
    with pytest.raises(SealtuneError) as refusal:
        attest(swtpm.transmit)
    assert refusal.value.code is Code.ATTESTER_FAILED
    assert "CreatePrimary" in refusal.value.message
    assert "password" in refusal.value.remedy


def test_a_bank_that_is_not_there_is_named(swtpm: SoftwareTpm) -> None:
    # A TPM leaves a bank that is not allocated out of its answer, or selects nothing in it.
    tpm = TpmCommands(swtpm.transmit)
    for bank in (TpmHash.SHA384, TpmHash.SM3_256):
        with pytest.raises(SealtuneError) as refusal:
            tpm.pcr_values(bank, range(24))
        assert refusal.value.code is Code.ATTESTER_FAILED
    assert len(tpm.pcr_values(TpmHash.SHA1, range(3))) == 60


def test_registers_are_selected_as_the_tpm_counts_them() -> None:
    assert selection(TpmHash.SHA256, [0, 9, 23]).hex() == "00000001000b03010280"


def test_an_index_that_was_never_written_is_empty(swtpm: SoftwareTpm) -> None:
    swtpm.tool("tpm2_nvdefine", "-C", "o", "0x01c10002", "-s", 10)
    tpm = TpmCommands(swtpm.transmit)
    assert tpm.nv_read(0x01C10002) == b""
    assert tpm.nv_read(0x01C1000F) == b""


def index_of(size: int, content: bytes) -> Transmit:
    """A TPM whose index says `size` and holds `content`."""
    number, attributes, ending = bytes(4), bytes.fromhex("22040004"), size.to_bytes(2, "big")
    public = number + bytes.fromhex("000b") + attributes + bytes(2) + ending
    answers = {
        0x169: len(public).to_bytes(2, "big") + public,
        0x14E: (2 + len(content)).to_bytes(4, "big") + len(content).to_bytes(2, "big") + content,
    }
    return lambda command: bytes.fromhex("8001 00000000 00000000") + answers[code_of(command)]


def test_an_index_is_read_to_its_end_and_no_further() -> None:
    assert TpmCommands(index_of(3, b"abc")).nv_read(0x01C10002) == b"abc"
    for size, content in ((3, b"ab"), (3, b"abcd"), (513, b"a" * 513), (63 * 512, b"a" * 512)):
        with pytest.raises(SealtuneError) as refusal:
            TpmCommands(index_of(size, content)).nv_read(0x01C10002)
        assert refusal.value.code is Code.ATTESTER_FAILED


@pytest.mark.parametrize("answer", [b"", b"\x80\x01", bytes(4096)], ids=["none", "short", "zeros"])
def test_nonsense_from_the_tpm_is_one_of_our_errors(answer: bytes) -> None:
    with pytest.raises(SealtuneError):
        attest(lambda _: answer)


def test_another_requests_quote_is_refused(swtpm: SoftwareTpm) -> None:
    def transmit(command: bytes) -> bytes:
        return swtpm.transmit(command.replace(tpm_challenge(REPORT_DATA), bytes(32)))

    with pytest.raises(SealtuneError) as refusal:
        attest(transmit)
    assert refusal.value.code is Code.ATTESTER_FAILED


def test_wrong_length_is_the_callers_mistake(swtpm: SoftwareTpm) -> None:
    with pytest.raises(ValueError, match="64"):
        attester_on(swtpm.transmit).attest(bytes(32), host_data=HOST_DATA)


@pytest.fixture
def device(swtpm: SoftwareTpm) -> Iterator[Path]:
    """A character device that carries commands, as /dev/tpmrm0 does: a terminal in raw mode."""
    inner, outer = pty.openpty()
    tty.setraw(outer)

    def serve() -> None:
        try:
            while command := os.read(inner, 4096):
                os.write(inner, swtpm.transmit(command))
        except OSError:
            return

    thread = threading.Thread(target=serve, daemon=True)
    thread.start()
    yield Path(os.ttyname(outer))
    os.close(outer)
    thread.join()
    os.close(inner)


def test_it_speaks_to_a_device(device: Path, now: datetime) -> None:
    attester = TpmAttester(device, event_log=Path("/nonexistent"))
    verified(attester.attest(REPORT_DATA, host_data=HOST_DATA), now)


def test_a_missing_device_is_named(tmp_path: Path) -> None:
    with pytest.raises(ConfigError) as refusal:
        TpmAttester(tmp_path / "tpmrm0").attest(REPORT_DATA, host_data=HOST_DATA)
    assert refusal.value.code is Code.TEE_UNAVAILABLE
    assert "tss" in refusal.value.remedy


def test_a_device_that_refuses_is_one_of_our_errors() -> None:
    with pytest.raises(SealtuneError) as refusal:
        TpmAttester(Path("/dev/full")).attest(REPORT_DATA, host_data=HOST_DATA)
    assert refusal.value.code is Code.ATTESTER_FAILED
    assert "ENOSPC" in refusal.value.message
