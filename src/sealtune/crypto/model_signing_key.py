"""The ECDSA P-256 key that signs a model for the OpenSSF Model Signing tools.

Those tools know no Ed25519. A worker makes one key per run and forgets it after one signature; what
binds it to the run is the receipt, not a name.
"""

from __future__ import annotations

from typing import NoReturn

from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat


class ModelSigningKey:
    """A private P-256 key; `repr` hides it, pickling is refused."""

    __slots__ = ("_key",)

    def __init__(self, key: ec.EllipticCurvePrivateKey) -> None:
        self._key = key

    @classmethod
    def generate(cls) -> ModelSigningKey:
        """Return a fresh key."""
        return cls(ec.generate_private_key(ec.SECP256R1()))

    @property
    def public_pem(self) -> bytes:
        """The public key as a PEM file of SubjectPublicKeyInfo."""
        return self._key.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)

    def sign(self, data: bytes) -> bytes:
        """Return the ECDSA signature with SHA-256 over `data`, in DER."""
        return self._key.sign(data, ec.ECDSA(hashes.SHA256()))

    def __repr__(self) -> str:
        return "ModelSigningKey(...)"

    def __reduce__(self) -> NoReturn:
        raise TypeError("a ModelSigningKey is not pickled")
