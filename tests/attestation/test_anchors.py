"""Roots: pinned in code, and an insecure one stays insecure."""

from __future__ import annotations

from pathlib import Path

import pytest

from sealtune.attestation.anchors import Product, RootUse, amd_anchors, vendor_anchors
from sealtune.attestation.appraisal import anchors_for
from sealtune.core.digest import Digest, sha256_digest
from sealtune.crypto.x509 import certificates_from_pem
from sealtune.errors import Code, VerificationError
from sealtune.testing.mock_amd import MockAmd

MOCK = sha256_digest(b"mock")


def test_amds_roots_are_the_published_ones() -> None:
    fingerprints = {
        str(root.product): digest.removeprefix("sha256:")
        for digest, root in amd_anchors().roots.items()
    }
    assert fingerprints == {
        "Milan": "69d063b45344d26a2e94e1f4210de49ef555308287d4c174445c95639a540bcd",
        "Genoa": "4c6598d19c18719c5dfd4a7d335f674e5bfe1d8f800cea2cf270c10d103db2f1",
        "Turin": "1f084161a44bb6d93778a904877d4819cafa5d05ef4193b2ded9dd9c73dd3f6a",
    }
    assert not any(root.insecure for root in amd_anchors().roots.values())


def test_a_root_that_is_not_listed_is_refused() -> None:
    with pytest.raises(VerificationError) as refusal:
        amd_anchors().find(MOCK, use=RootUse.AMD_ARK)
    assert refusal.value.code is Code.EVIDENCE_ROOT


def test_an_added_root_is_insecure_and_leaves_the_others_alone() -> None:
    production = amd_anchors()
    anchors = production.with_insecure_root(MOCK, use=RootUse.AMD_ARK, product=Product.GENOA)
    assert anchors.find(MOCK, use=RootUse.AMD_ARK).insecure
    assert MOCK not in production.roots
    assert {**anchors.roots, MOCK: None} == {**production.roots, MOCK: None}
    with pytest.raises(TypeError):
        anchors.roots[MOCK] = None  # type: ignore[index]


def test_a_production_root_cannot_be_added_as_another() -> None:
    milan = next(iter(amd_anchors().roots))
    with pytest.raises(ValueError, match="insecure"):
        amd_anchors().with_insecure_root(Digest(milan), use=RootUse.AMD_ARK, product=Product.GENOA)


def test_only_entries_that_say_so_bring_a_mock_root(mock_amd: MockAmd) -> None:
    simulated = mock_amd.insecure_enclave()
    real = mock_amd.insecure_enclave(insecure_accept_simulated=False, simulated_root=None)
    assert anchors_for([]).roots == vendor_anchors().roots
    assert anchors_for([real]).roots == vendor_anchors().roots
    anchors = anchors_for([real, simulated, simulated])
    assert anchors.roots.keys() == vendor_anchors().roots.keys() | {mock_amd.root}
    assert anchors.find(mock_amd.root, use=RootUse.AMD_ARK).insecure


def test_a_root_of_one_use_is_nothing_under_another() -> None:
    for digest, root in vendor_anchors().roots.items():
        assert vendor_anchors().find(digest, use=root.use) is not None
        for use in set(RootUse) - {root.use}:
            with pytest.raises(VerificationError) as refusal:
                vendor_anchors().find(digest, use=use)
            assert refusal.value.code is Code.EVIDENCE_ROOT


@pytest.mark.parametrize(
    ("use", "product"), [(RootUse.AMD_ARK, None), (RootUse.INTEL_SGX, Product.GENOA)]
)
def test_an_ark_and_nothing_else_has_a_product_line(use: RootUse, product: Product | None) -> None:
    with pytest.raises(ValueError, match="product"):
        amd_anchors().with_insecure_root(MOCK, use=use, product=product)


def test_the_pinned_roots_are_the_vendors_certificates(shared_dir: Path) -> None:
    files = {
        "intel/TrustedRootCA.der": RootUse.INTEL_SGX,
        "nvidia/verifier_device_root.pem": RootUse.NVIDIA_DEVICE,
        "nvidia/verifier_RIM_root.pem": RootUse.NVIDIA_RIM,
        "aws/AWS_NitroEnclaves_Root-G1.pem": RootUse.AWS_NITRO,
        "gcp/gcp-vtpm-root-ca.pem": RootUse.TPM,
    }
    for name, use in files.items():
        data = (shared_dir / "vectors" / "roots" / name).read_bytes()
        der = data if name.endswith("der") else certificates_from_pem(data)[0]
        assert not vendor_anchors().find(sha256_digest(der), use=use).insecure
