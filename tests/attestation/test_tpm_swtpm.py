"""A real TPM 2.0 in software (swtpm): its quotes and certificates, verified by the verifier.

Everything is made by other programs: TPM, attestation keys and quotes by swtpm and tpm2-tools, the
endorsement key's certificate by swtpm's own authority.
"""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

import pytest

from sealtune.attestation.anchors import RootUse, TrustAnchors, vendor_anchors
from sealtune.attestation.endorsements import NO_ENDORSEMENTS
from sealtune.attestation.evidence import Evidence, EvidenceKind
from sealtune.attestation.steps import Steps
from sealtune.attestation.tpm_claims import TpmClaims
from sealtune.attestation.tpm_public import parse_tpm2b_public
from sealtune.attestation.verified import AuthenticEvidence
from sealtune.attestation.verifiers.tpm import verify_tpm
from sealtune.core.digest import sha256_digest
from sealtune.crypto.x509 import certificates_from_pem
from sealtune.errors import Code, SealtuneError

TOOLS = ("swtpm", "swtpm_setup", "swtpm_localca", "tpm2_createak", "tpm2_quote", "tpm2_nvread")
MISSING = [tool for tool in TOOLS if shutil.which(tool) is None]
pytestmark = pytest.mark.skipif(
    bool(MISSING), reason=f"no TPM in software: {', '.join(MISSING)} not installed"
)

EK_HANDLE, EK_CERTIFICATE_INDEX = "0x81010001", "0x01c00002"
NONCE = bytes(range(32))
EXTENDED = {"16": "11" * 32, "4": "22" * 32}


@dataclass(frozen=True, kw_only=True)
class SoftwareTpm:
    """A running swtpm, its folder, and how tpm2-tools reach it."""

    folder: Path
    environment: dict[str, str]

    def run(self, *command: str) -> None:
        """Run one of the tools in the folder."""
        done = subprocess.run(
            command,
            cwd=self.folder,
            env=self.environment,
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )
        assert done.returncode == 0, f"{command}: {done.stderr}"

    def flush(self) -> None:
        """Empty the TPM's three slots, which no resource manager does here."""
        for kind in ("-t", "-l"):
            self.run("tpm2_flushcontext", kind)

    def read(self, name: str) -> bytes:
        return (self.folder / name).read_bytes()


def write_authority(folder: Path) -> None:
    """Configure an authority for endorsement keys that lives in `folder`."""
    ca = folder / "ca"
    ca.mkdir()
    (folder / "localca.conf").write_text(
        f"statedir = {ca}\nsigningkey = {ca}/signkey.pem\n"
        f"issuercert = {ca}/issuercert.pem\ncertserial = {ca}/certserial\n"
    )
    (folder / "localca.options").write_text(
        "--platform-manufacturer Test\n--platform-version 1\n--platform-model none\n"
    )
    (folder / "setup.conf").write_text(
        f"create_certs_tool = {shutil.which('swtpm_localca')}\n"
        f"create_certs_tool_config = {folder}/localca.conf\n"
        f"create_certs_tool_options = {folder}/localca.options\n"
        "active_pcr_banks = sha256,sha384\n"
    )


@pytest.fixture(scope="module")
def tpm(tmp_path_factory: pytest.TempPathFactory) -> Iterator[SoftwareTpm]:
    folder = tmp_path_factory.mktemp("tpm")
    socket = folder / "sock"
    environment = {**os.environ, "TPM2TOOLS_TCTI": f"swtpm:path={socket}"}
    software = SoftwareTpm(folder=folder, environment=environment)
    write_authority(folder)
    state = folder / "state"
    state.mkdir()
    setup = ("swtpm_setup", "--tpm2", "--create-ek-cert", "--tpm-state", str(state))
    software.run(*setup, "--config", str(folder / "setup.conf"))
    server = subprocess.Popen(
        [
            "swtpm",
            "socket",
            "--tpm2",
            "--tpmstate",
            f"dir={state}",
            "--server",
            f"type=unixio,path={socket}",
            "--ctrl",
            f"type=unixio,path={socket}.ctrl",
            "--flags",
            "startup-clear",
        ],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    try:
        wait_for(software, server)
        for register, digest in EXTENDED.items():
            software.run("tpm2_pcrextend", f"{register}:sha256={digest}")
        yield software
    finally:
        server.kill()
        server.wait(timeout=30)


def wait_for(software: SoftwareTpm, server: subprocess.Popen[bytes]) -> None:
    """Wait until the TPM answers: each attempt takes as long as the tool takes."""
    for _ in range(100):
        assert server.poll() is None, "swtpm ended"
        done = subprocess.run(
            ["tpm2_pcrread", "sha256:0"],
            env=software.environment,
            capture_output=True,
            timeout=60,
            check=False,
        )
        if done.returncode == 0:
            return
    pytest.fail("swtpm does not answer")


KEYS = {
    "rsassa-sha256": ("rsa", "rsassa", "sha256"),
    "rsassa-sha384": ("rsa", "rsassa", "sha384"),
    "rsapss-sha256": ("rsa", "rsapss", "sha256"),
    "ecdsa-p256": ("ecc", "ecdsa", "sha256"),
    "ecdsa-p384": ("ecc384", "ecdsa", "sha384"),
}


def quoted(tpm: SoftwareTpm, name: str, selection: str = "sha256:0,4,7,16") -> Evidence:
    """Make an attestation key of the kind `name` under the EK, and evidence with it."""
    algorithm, scheme, digest = KEYS[name]
    key = ("-G", algorithm, "-s", scheme, "-g", digest, "-u", f"{name}.pub", "-c", f"{name}.ctx")
    tpm.run("tpm2_createak", "-C", EK_HANDLE, *key)
    tpm.flush()
    tpm.run("tpm2_readpublic", "-c", f"{name}.ctx", "-f", "der", "-o", f"{name}.der")
    tpm.flush()
    files = ("-m", f"{name}.msg", "-s", f"{name}.sig", "-o", f"{name}.pcrs", "-F", "values")
    what = ("-l", selection, "-q", NONCE.hex(), "--scheme", scheme, "-g", digest)
    tpm.run("tpm2_quote", "-c", f"{name}.ctx", *what, *files)
    tpm.flush()
    return Evidence(
        kind=EvidenceKind.TPM_VM,
        report=tpm.read(f"{name}.msg"),
        certificates=(),
        parts={
            "tpm_signature": tpm.read(f"{name}.sig"),
            "pcrs": tpm.read(f"{name}.pcrs"),
            "ak_public": tpm.read(f"{name}.der"),
        },
    )


def verified(evidence: Evidence, anchors: TrustAnchors, now: datetime) -> AuthenticEvidence:
    return verify_tpm(
        evidence, anchors=anchors, endorsements=NO_ENDORSEMENTS, now=now, steps=Steps()
    )


@pytest.mark.parametrize("name", KEYS)
def test_a_quote_by_every_kind_of_key_verifies(tpm: SoftwareTpm, name: str, now: datetime) -> None:
    evidence = quoted(tpm, name)
    result = verified(evidence, vendor_anchors(), now)
    assert result.freshness == NONCE
    assert set(result.claims.registers) == {"pcr0", "pcr4", "pcr7", "pcr16"}
    assert result.claims.registers["pcr7"] == "00" * 32
    assert result.claims.registers["pcr16"] != "00" * 32
    for part in ("tpm_signature", "pcrs"):
        changed = bytearray(evidence.parts[part])
        changed[-1] ^= 1
        parts = {**evidence.parts, part: bytes(changed)}
        with pytest.raises(SealtuneError) as refusal:
            verified(
                Evidence(kind=evidence.kind, report=evidence.report, certificates=(), parts=parts),
                vendor_anchors(),
                now,
            )
        assert refusal.value.code in (Code.EVIDENCE_SIGNATURE, Code.EVIDENCE_PCR_DIGEST)


def test_two_banks_are_quoted_side_by_side(tpm: SoftwareTpm, now: datetime) -> None:
    evidence = quoted(tpm, "rsassa-sha256", "sha256:4+sha384:0,4")
    claims = verified(evidence, vendor_anchors(), now).claims
    assert set(claims.registers) == {"pcr4", "pcr0_sha384", "pcr4_sha384"}


@pytest.mark.parametrize("name", KEYS)
def test_the_tpms_own_form_of_a_key_is_the_same_key(tpm: SoftwareTpm, name: str) -> None:
    evidence = quoted(tpm, name)
    public = parse_tpm2b_public(tpm.read(f"{name}.pub"))
    assert public.spki == evidence.parts["ak_public"]
    assert public.is_attestation_key


def test_a_key_that_signs_anything_is_told_from_an_attestation_key(tpm: SoftwareTpm) -> None:
    tpm.run("tpm2_createprimary", "-C", "o", "-G", "rsa", "-c", "primary.ctx")
    tpm.flush()
    key = ("-G", "rsa:rsassa:null", "-u", "any.pub", "-r", "any.priv")
    tpm.run("tpm2_create", "-C", "primary.ctx", *key)
    tpm.flush()
    assert not parse_tpm2b_public(tpm.read("any.pub")).is_attestation_key


def test_the_endorsement_keys_certificate_verifies_to_its_authority(tpm: SoftwareTpm) -> None:
    tpm.run("tpm2_nvread", EK_CERTIFICATE_INDEX, "-C", "o", "-o", "ek.der")
    issuers = [
        certificates_from_pem(tpm.read(f"ca/{name}"))[0]
        for name in ("issuercert.pem", "swtpm-localca-rootca-cert.pem")
    ]
    bare = quoted(tpm, "ecdsa-p256")
    evidence = Evidence(
        kind=bare.kind,
        report=bare.report,
        certificates=(),
        parts={
            **bare.parts,
            "ek_certificate": tpm.read("ek.der"),
            "ek_issuer_1": issuers[0],
            "ek_issuer_2": issuers[1],
        },
    )
    # swtpm's authority made these certificates a moment ago.
    now = datetime.now(UTC)
    anchors = vendor_anchors().with_insecure_root(
        sha256_digest(issuers[1]), use=RootUse.TPM, product=None
    )
    result = verified(evidence, anchors, now)
    assert isinstance(result.detail, TpmClaims)
    assert result.detail.endorsement_key is not None
    assert result.detail.endorsement_key.root == sha256_digest(issuers[1])
    assert not result.detail.certified
    with pytest.raises(SealtuneError) as refusal:
        verified(evidence, vendor_anchors(), now)
    assert refusal.value.code is Code.EVIDENCE_ROOT
