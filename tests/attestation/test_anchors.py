"""Roots: pinned in code, and an insecure one stays insecure."""

from __future__ import annotations

import pytest

from sealtune.attestation.anchors import Product, RootUse, amd_anchors
from sealtune.attestation.appraisal import anchors_for
from sealtune.core.digest import Digest, sha256_digest
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
        amd_anchors().find(MOCK)
    assert refusal.value.code is Code.EVIDENCE_ROOT


def test_an_added_root_is_insecure_and_leaves_the_others_alone() -> None:
    production = amd_anchors()
    anchors = production.with_insecure_root(MOCK, use=RootUse.AMD_ARK, product=Product.GENOA)
    assert anchors.find(MOCK).insecure
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
    assert anchors_for([]).roots == amd_anchors().roots
    assert anchors_for([real]).roots == amd_anchors().roots
    anchors = anchors_for([real, simulated, simulated])
    assert anchors.roots.keys() == amd_anchors().roots.keys() | {mock_amd.root}
    assert anchors.find(mock_amd.root).insecure
