"""What the first bytes of an Intel quote say about its kind (spec/attestation §11.1)."""

from __future__ import annotations

from sealtune.attestation.evidence import EvidenceKind

_VERSIONS = frozenset({3, 4, 5})
_ECDSA_P256 = 2
_TEES = {0x00: EvidenceKind.SGX, 0x81: EvidenceKind.TDX}


def quote_kind(data: bytes) -> EvidenceKind | None:
    """Return the kind of a quote that begins like one; None for anything else."""
    if len(data) < 8:
        return None
    version, key_type = (int.from_bytes(data[at : at + 2], "little") for at in (0, 2))
    if version not in _VERSIONS or key_type != _ECDSA_P256:
        return None
    return _TEES.get(int.from_bytes(data[4:8], "little")) if version > 3 else EvidenceKind.SGX
