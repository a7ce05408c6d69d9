"""A mock of AWS's hierarchy for Nitro enclaves: crypto-valid, and INSECURE: anybody can make one.

Makes documents with any field, header or certificate changed, so that an attack on the verifier is
two lines.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

import cbor2

from sealtune.attestation.anchors import RootUse, TrustAnchors, vendor_anchors
from sealtune.attestation.evidence import Evidence, EvidenceKind
from sealtune.core.digest import Digest, sha256_digest
from sealtune.crypto.ecdsa import P384Key
from sealtune.crypto.x509 import Extension
from sealtune.crypto.x509_builder import (
    CertificateFields,
    authority_extensions,
    build_certificate,
    key_usage_extension,
)

_ORGANIZATION = "INSECURE sealtune mock, not AWS"
_DIGITAL_SIGNATURE = 0
PROTECTED = cbor2.dumps({1: -35})
_HALF = 48


def _name(common_name: str) -> tuple[tuple[str, str], ...]:
    return (("2.5.4.10", _ORGANIZATION), ("2.5.4.3", common_name))


@dataclass(frozen=True, kw_only=True)
class MockNitro:
    """The keys of a mock hierarchy of root, region and enclave, valid around `now`."""

    now: datetime
    root_key: P384Key = field(default_factory=P384Key.generate)
    region_key: P384Key = field(default_factory=P384Key.generate)
    leaf_key: P384Key = field(default_factory=P384Key.generate)
    root_certificate: bytes = field(init=False)

    def __post_init__(self) -> None:
        # Issued once: ECDSA is randomized, and a root has to keep its digest.
        root = self.certificate("root", "root", key=self.root_key, signer=self.root_key)
        object.__setattr__(self, "root_certificate", root)

    @property
    def root(self) -> Digest:
        """The digest of the mock root."""
        return sha256_digest(self.root_certificate)

    @property
    def anchors(self) -> TrustAnchors:
        """The vendors' roots and this mock's."""
        return vendor_anchors().with_insecure_root(self.root, use=RootUse.AWS_NITRO, product=None)

    def certificate(
        self,
        subject: str,
        issuer: str,
        *,
        key: P384Key,
        signer: P384Key,
        lifetime: timedelta = timedelta(days=20),
        extensions: dict[str, Extension] | None = None,
    ) -> bytes:
        """Return the certificate of `key`, named `subject`; an authority's without `extensions`."""
        fields = CertificateFields(
            serial=1 + len(subject),
            issuer=_name(issuer),
            subject=_name(subject),
            not_before=self.now - timedelta(hours=1),
            not_after=self.now + lifetime,
            spki=key.spki,
            extensions=extensions or authority_extensions(path_length=None),
        )
        return build_certificate(fields, key=signer)

    def region(self) -> bytes:
        """Return the certificate of the authority between root and enclave."""
        return self.certificate("region", "root", key=self.region_key, signer=self.root_key)

    def leaf(self, **changes: Any) -> bytes:
        """Return the certificate of the key that signs documents, which lives for hours."""
        settings: dict[str, Any] = {
            "key": self.leaf_key,
            "signer": self.region_key,
            "lifetime": timedelta(hours=2),
            "extensions": key_usage_extension(_DIGITAL_SIGNATURE),
        }
        return self.certificate("enclave", "region", **{**settings, **changes})

    def fields(self, **changes: Any) -> dict[str, Any]:
        """Return an honest document's fields with `changes`."""
        honest = {
            "module_id": "i-0insecuremock-enc0",
            "digest": "SHA384",
            "timestamp": int(self.now.timestamp() * 1000),
            "pcrs": {index: bytes((index + 1,)) * 48 for index in range(16)},
            "certificate": self.leaf(),
            "cabundle": [self.root_certificate, self.region()],
            "public_key": None,
            "user_data": None,
            "nonce": bytes(64),
        }
        return {**honest, **changes}

    def evidence(self, **changes: Any) -> Evidence:
        """Return evidence of an enclave; `changes` are fields of its document."""
        return self.evidence_of(self.sign(cbor2.dumps(self.fields(**changes))))

    def evidence_of(self, document: bytes) -> Evidence:
        """Return evidence that is exactly `document`."""
        return Evidence(kind=EvidenceKind.NITRO, report=document, certificates=())

    def sign(self, payload: bytes, *, protected: bytes = PROTECTED, **parts: Any) -> bytes:
        """Return the COSE_Sign1 of `payload`; `parts` replaces what is not signed."""
        r, s = self.leaf_key.sign(cbor2.dumps(["Signature1", protected, b"", payload]))
        signature = r.to_bytes(_HALF, "big") + s.to_bytes(_HALF, "big")
        unsigned = {"unprotected": {}, "signature": signature, **parts}
        return cbor2.dumps([protected, unsigned["unprotected"], payload, unsigned["signature"]])
