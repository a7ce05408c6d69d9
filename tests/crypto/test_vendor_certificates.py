"""Certificates and CRLs of real vendors parse, verify, and chain to what signed them."""

from __future__ import annotations

import base64
import json
import shutil
import subprocess
from datetime import UTC, datetime
from pathlib import Path

import pytest

from sealtune.crypto.algorithms import SignatureAlgorithm
from sealtune.crypto.crl import parse_crl, verify_crl
from sealtune.crypto.x509 import (
    Certificate,
    VerifiedChain,
    certificates_from_pem,
    parse_certificate,
    require_may_sign,
    verify_chain,
    verify_issued,
)
from sealtune.errors import Code, VerificationError

DEVICE_CHAINS = (
    "nvtrust-samples/hopperCertChain.txt",
    "sdk-sample/gpu/hopperCertChain.txt",
    "sdk-sample/gpu/hopperCertChainExpired.txt",
    "sdk-sample/gpu/blackwellCertChain.txt",
    "sdk-sample/switch/switchCertChain.txt",
    "sdk-unit/hopperCertChain.txt",
    "sdk-unit/switchCertChain.txt",
)
DEVICE_EVIDENCE = (
    "hopper_evidence.json",
    "hopper_evidence_cert_hold.json",
    "multi_gpu_hopper.json",
    "multi_switch_ls10.json",
    "switch_evidence_ls10.json",
)
QUOTES = (
    "sgx/phala-v3/sgx_quote",
    "sgx/automata/quote_sgx.bin",
    "sgx/coco-occlum/occlum_quote.dat",
    "tdx/phala-v4/tdx_quote",
    "tdx/phala-v4/tdx_quote_outdated",
    "tdx/gtg-ccel/cos-113-tdx-quote.dat",
    "tdx/coco/tdx_quote_4.dat",
    "tdx/coco/tdx_quote_5.dat",
    "tdx/ars-live/tdx_quote_live.dat",
    "tdx/dstack/quote-report.quote.bin",
    "tdx/dstack/tdx-lite-getquote.quote.bin",
)
NITRO = {"prod": 1766668537, "dbg": 1766650846}
INTEL_ROOT = "sha256:44a0196b2b99f889b8e149e95b807a350e7424964399e885a7cbb8ccfab674d3"


@pytest.fixture(scope="module")
def folder(shared_dir: Path) -> Path:
    return shared_dir / "vectors"


def parsed(data: bytes) -> tuple[Certificate, ...]:
    return tuple(map(parse_certificate, certificates_from_pem(data)))


def pem(data: bytes) -> bytes:
    return data if b"BEGIN" in data else base64.b64decode(data)


def at_latest_start(chain: tuple[Certificate, ...]) -> VerifiedChain:
    """Verify `chain` at the first moment that all of it is valid."""
    return verify_chain(chain, now=max(certificate.not_before for certificate in chain))


@pytest.mark.parametrize("name", DEVICE_CHAINS)
def test_device_chains_of_nvidia(folder: Path, name: str) -> None:
    chain = at_latest_start(parsed(pem((folder / "nvidia" / name).read_bytes())))
    (root,) = parsed((folder / "roots/nvidia/verifier_device_root.pem").read_bytes())
    assert chain.root.digest == root.digest
    assert chain.leaf.algorithm is SignatureAlgorithm.ECDSA_SHA384
    assert "2.23.133.5.4.1" in "".join(chain.leaf.extensions)
    require_may_sign(chain.leaf)


@pytest.mark.parametrize("name", DEVICE_EVIDENCE)
def test_device_chains_in_evidence_of_nvidia(folder: Path, name: str) -> None:
    items = json.loads((folder / "nvidia/sdk-serialized" / name).read_text())
    for item in items if isinstance(items, list) else [items]:
        chain = at_latest_start(parsed(base64.b64decode(item["certificate"])))
        assert chain.root.subject_cn == "NVIDIA Device Identity CA"


@pytest.mark.parametrize("name", QUOTES)
def test_pck_chains_in_quotes_of_intel(folder: Path, name: str) -> None:
    quote = (folder / name).read_bytes()
    chain = at_latest_start(parsed(quote[quote.index(b"-----BEGIN") :]))
    assert chain.root.digest == INTEL_ROOT
    assert chain.leaf.subject_cn == "Intel SGX PCK Certificate"
    assert chain.leaf.algorithm is SignatureAlgorithm.ECDSA_SHA256
    require_may_sign(chain.leaf)


@pytest.mark.parametrize("name", NITRO)
def test_chains_in_documents_of_nitro(folder: Path, name: str) -> None:
    cbor2 = pytest.importorskip("cbor2")
    signed = cbor2.loads((folder / f"nitro/dstack-{name}/document.cose").read_bytes())
    document = cbor2.loads(getattr(signed, "value", signed)[2])
    data = (document["certificate"], *reversed(document["cabundle"]))
    chain = tuple(map(parse_certificate, data))
    verified = verify_chain(chain, now=datetime.fromtimestamp(NITRO[name], UTC))
    (root,) = parsed((folder / "roots/aws/AWS_NitroEnclaves_Root-G1.pem").read_bytes())
    assert verified.root.digest == root.digest
    # The path lengths of AWS leave no room for one authority more.
    with pytest.raises(VerificationError) as refusal:
        verify_chain((chain[1], *chain), now=datetime.fromtimestamp(NITRO[name], UTC))
    assert refusal.value.code is Code.EVIDENCE_CHAIN


def test_the_root_of_google_signed_itself(folder: Path) -> None:
    (root,) = parsed((folder / "roots/gcp/gcp-vtpm-root-ca.pem").read_bytes())
    assert root.algorithm is SignatureAlgorithm.RSA_SHA256
    assert root.extended_key_usage == {"2.23.133.8.1"}
    verify_issued(root, issuer=root)


def test_the_chain_of_nvidias_service_mixes_rsa_and_ecdsa(folder: Path) -> None:
    text = (folder / "nvidia/ars/nras_gpu_x5c_chain.json").read_text()
    encoded = [part for part in text.split('"') if part.startswith("MII")]
    leaf, intermediate = (parse_certificate(base64.b64decode(part)) for part in encoded[:2])
    assert leaf.algorithm is SignatureAlgorithm.RSA_SHA256
    assert intermediate.algorithm is SignatureAlgorithm.ECDSA_SHA384
    verify_issued(leaf, issuer=intermediate)


@pytest.mark.skipif(shutil.which("swtpm_localca") is None, reason="swtpm_localca is not installed")
def test_certificates_of_endorsement_keys_of_a_software_tpm(tmp_path: Path) -> None:
    options = {
        "localca.conf": (
            f"statedir = {tmp_path}/ca\nsigningkey = {tmp_path}/ca/key.pem\n"
            f"issuercert = {tmp_path}/ca/ca.pem\ncertserial = {tmp_path}/ca/serial\n"
        ),
        "localca.options": "--tpm-manufacturer id:00001014\n--tpm-model swtpm\n"
        "--tpm-version 2\n--tpm-spec-family 2.0\n--tpm-spec-level 0\n"
        "--tpm-spec-revision 164\n",
    }
    (tmp_path / "ca").mkdir()
    for name, text in options.items():
        (tmp_path / name).write_text(text)
    modulus = "c3" + "5a" * 254 + "c5"
    command = [
        *("swtpm_localca", "--type", "ek", "--tpm2", "--ek", modulus, "--vmid", "test"),
        *("--dir", str(tmp_path), "--configfile", str(tmp_path / "localca.conf")),
        *("--optsfile", str(tmp_path / "localca.options")),
    ]
    done = subprocess.run(command, capture_output=True, timeout=120, check=False)
    assert done.returncode == 0, done.stderr + done.stdout
    endorsement = parse_certificate((tmp_path / "ek.cert").read_bytes())
    (issuer,) = parsed((tmp_path / "ca/ca.pem").read_bytes())
    (root,) = parsed(next((tmp_path / "ca").glob("*rootca-cert.pem")).read_bytes())
    chain = verify_chain((endorsement, issuer, root), now=endorsement.not_before)
    assert chain.leaf.extended_key_usage == {"2.23.133.8.1"}
    assert chain.leaf.extensions["2.5.29.17"].critical


CRLS = {
    "automata/1025_pck_crl.der": 44,
    "automata/pck_platform_crl.der": 44,
    "automata/0825_platform_crl.der": 44,
    "automata/zk_root_crl.der": 0,
    "automata/intel_root_ca_crl.der": 0,
    "gtg/pckcrl": 44,
    "gtg/rootcrl.der": 0,
    "ars-2026-03/pck_crl_platform.der": 57,
    "ars-2026-03/root_ca_crl.der": 0,
}


@pytest.mark.parametrize(("name", "entries"), CRLS.items(), ids=CRLS)
def test_lists_of_intel(folder: Path, name: str, entries: int) -> None:
    collateral = folder / "intel-collateral"
    platform, root, pck = (
        parse_certificate((collateral / f"automata/{part}.der").read_bytes())
        for part in ("platform", "root", "pck")
    )
    crl = parse_crl((collateral / name).read_bytes())
    assert len(crl.revoked) == entries
    is_root = crl.issuer_cn == "Intel SGX Root CA"
    issuer, certificate = (root, platform) if is_root else (platform, pck)
    verified = verify_crl(crl, issuer=issuer, now=crl.this_update)
    verified.require_not_revoked(certificate)
    with pytest.raises(VerificationError) as refusal:
        verify_crl(crl, issuer=issuer, now=crl.next_update)
    assert refusal.value.code is Code.ENDORSEMENT_STALE


@pytest.mark.parametrize("product", ["milan", "genoa", "turin_vcek"])
def test_authorities_of_amd(folder: Path, product: str) -> None:
    chain = parsed((folder / f"roots/amd/ask_ark_{product}.pem").read_bytes())
    verified = at_latest_start(chain)
    assert verified.leaf.constraints.path_length == 0
    assert {c.algorithm for c in chain} == {SignatureAlgorithm.PSS_SHA384}
