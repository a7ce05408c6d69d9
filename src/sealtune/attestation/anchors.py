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


@dataclass(frozen=True, slots=True, kw_only=True)
class Root:
    """A root certificate that is trusted for one product line."""

    digest: Digest
    vendor: str
    product: Product
    insecure: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class TrustAnchors:
    """The roots that a verification accepts, by SHA-256 of their DER."""

    roots: Mapping[Digest, Root]

    def find(self, digest: Digest) -> Root:
        """Return the root whose certificate has `digest`.

        Raises:
            VerificationError: no such root is trusted here.
        """
        root = self.roots.get(digest)
        if root is None:
            raise VerificationError(Code.EVIDENCE_ROOT, f"the root {digest} is not trusted here")
        return root

    def with_insecure_root(self, digest: Digest, *, product: Product) -> TrustAnchors:
        """Return these anchors and the root of a mock hierarchy, marked insecure.

        Raises:
            ValueError: `digest` is a root of these anchors already.
        """
        if digest in self.roots:
            raise ValueError("a vendor's root cannot be made an insecure one")
        root = Root(digest=digest, vendor="INSECURE mock", product=product, insecure=True)
        return TrustAnchors(roots=MappingProxyType({**self.roots, digest: root}))


# AMD's ARK certificates, https://kdsintf.amd.com/vcek/v1/{product}/cert_chain.
_AMD = {
    Product.MILAN: "69d063b45344d26a2e94e1f4210de49ef555308287d4c174445c95639a540bcd",
    Product.GENOA: "4c6598d19c18719c5dfd4a7d335f674e5bfe1d8f800cea2cf270c10d103db2f1",
    Product.TURIN: "1f084161a44bb6d93778a904877d4819cafa5d05ef4193b2ded9dd9c73dd3f6a",
}


def amd_anchors() -> TrustAnchors:
    """Return AMD's production roots and nothing else."""
    roots = {}
    for product, fingerprint in _AMD.items():
        digest = Digest(f"sha256:{fingerprint}")
        roots[digest] = Root(digest=digest, vendor="AMD", product=product, insecure=False)
    return TrustAnchors(roots=MappingProxyType(roots))
