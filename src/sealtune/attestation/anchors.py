"""The vendors' roots, pinned by digest in code (spec/attestation §4).

A root never comes from evidence or configuration. The one way to add a root marks it insecure, and
everything verified under it stays so.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from types import MappingProxyType

from sealtune.core.digest import Digest
from sealtune.errors import Code, VerificationError


class Product(StrEnum):
    """AMD's product lines as their ARKs name them; Siena and Bergamo are under Genoa's."""

    MILAN = "Milan"
    GENOA = "Genoa"
    TURIN = "Turin"


class RootUse(StrEnum):
    """What a root is trusted for; a root of one use is nothing under another."""

    AMD_ARK = "amd-ark"
    INTEL_SGX = "intel-sgx"
    NVIDIA_DEVICE = "nvidia-device"
    NVIDIA_RIM = "nvidia-rim"
    AWS_NITRO = "aws-nitro"
    TPM = "tpm"


@dataclass(frozen=True, slots=True, kw_only=True)
class Root:
    """A root certificate that is trusted for one use; `product` is the line of an ARK."""

    digest: Digest
    vendor: str
    use: RootUse
    product: Product | None
    insecure: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class TrustAnchors:
    """The roots that a verification accepts, by SHA-256 of their DER."""

    roots: Mapping[Digest, Root]

    def find(self, digest: Digest, *, use: RootUse) -> Root:
        """Return the root for `use` whose certificate has `digest`.

        Raises:
            VerificationError: no such root is trusted here for that.
        """
        root = self.roots.get(digest)
        if root is None or root.use is not use:
            raise VerificationError(
                Code.EVIDENCE_ROOT, f"the root {digest} is not trusted here as {use}"
            )
        return root

    def with_insecure_root(
        self, digest: Digest, *, use: RootUse, product: Product | None
    ) -> TrustAnchors:
        """Return these anchors and the root of a mock hierarchy, marked insecure.

        Raises:
            ValueError: `digest` is a root of these anchors already, or a product line is given for
                another use than an ARK's, or none for that.
        """
        if digest in self.roots:
            raise ValueError("a vendor's root cannot be made an insecure one")
        if (use is RootUse.AMD_ARK) != (product is not None):
            raise ValueError("an ARK, and nothing else, has a product line")
        root = Root(digest=digest, vendor="INSECURE mock", use=use, product=product, insecure=True)
        return TrustAnchors(roots=MappingProxyType({**self.roots, digest: root}))


# (vendor, use, product line, SHA-256 of the DER). AMD: https://kdsintf.amd.com/vcek/v1/{product}/
# cert_chain; Intel: certificates.trustedservices.intel.com/IntelSGXRootCA.der; NVIDIA: the verifier
# certificates in its nvtrust repository; AWS: AWS_NitroEnclaves_Root-G1; Google: the root of the
# attestation keys that a Shielded VM's TPM holds.
_PINNED = (
    (
        "AMD",
        RootUse.AMD_ARK,
        Product.MILAN,
        "69d063b45344d26a2e94e1f4210de49ef555308287d4c174445c95639a540bcd",
    ),
    (
        "AMD",
        RootUse.AMD_ARK,
        Product.GENOA,
        "4c6598d19c18719c5dfd4a7d335f674e5bfe1d8f800cea2cf270c10d103db2f1",
    ),
    (
        "AMD",
        RootUse.AMD_ARK,
        Product.TURIN,
        "1f084161a44bb6d93778a904877d4819cafa5d05ef4193b2ded9dd9c73dd3f6a",
    ),
    (
        "Intel",
        RootUse.INTEL_SGX,
        None,
        "44a0196b2b99f889b8e149e95b807a350e7424964399e885a7cbb8ccfab674d3",
    ),
    (
        "NVIDIA",
        RootUse.NVIDIA_DEVICE,
        None,
        "102bf659d5419614c9d8e6aecebc80454eb26b1df6a769ac720b9a690b167b48",
    ),
    (
        "NVIDIA",
        RootUse.NVIDIA_RIM,
        None,
        "12977b5115acb0381179279fffeb5a8c4d264971ebb32298023a465fa41df5d1",
    ),
    (
        "AWS",
        RootUse.AWS_NITRO,
        None,
        "641a0321a3e244efe456463195d606317ed7cdcc3c1756e09893f3c68f79bb5b",
    ),
    (
        "Google",
        RootUse.TPM,
        None,
        "594759594b9b61524f6c8ef668f7177f7b9066bc0674f2f49fe9e052be78beb2",
    ),
)


def vendor_anchors() -> TrustAnchors:
    """Return the vendors' production roots and nothing else."""
    return _anchors(frozenset(RootUse))


def amd_anchors() -> TrustAnchors:
    """Return AMD's production roots and nothing else."""
    return _anchors(frozenset({RootUse.AMD_ARK}))


def _anchors(uses: frozenset[RootUse]) -> TrustAnchors:
    roots = {}
    for vendor, use, product, fingerprint in _PINNED:
        if use in uses:
            digest = Digest(f"sha256:{fingerprint}")
            roots[digest] = Root(
                digest=digest, vendor=vendor, use=use, product=product, insecure=False
            )
    return TrustAnchors(roots=MappingProxyType(roots))
