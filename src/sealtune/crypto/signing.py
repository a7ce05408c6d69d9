"""Ed25519 signing keys (RFC 8032), as text and as opaque objects."""

from __future__ import annotations

from dataclasses import dataclass
from typing import NoReturn

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey

from sealtune.core.digest import Digest, sha256_digest
from sealtune.crypto.encoding import b64decode, b64encode
from sealtune.errors import Code, FormatError, VerificationError

_PREFIX = "ed25519:"
_KEY_BYTES = 32


@dataclass(frozen=True, slots=True)
class VerifyingKey:
    """A public Ed25519 key; equal when its 32 bytes are."""

    raw: bytes

    def __post_init__(self) -> None:
        if len(self.raw) != _KEY_BYTES:
            raise FormatError(Code.PUBLIC_KEY_MALFORMED, "a verifying key has 32 bytes")

    @classmethod
    def parse(cls, text: object) -> VerifyingKey:
        """Return the key that `text` (as `VerifyingKey.text`) spells.

        Raises:
            FormatError: it has another form.
        """
        if not isinstance(text, str) or not text.startswith(_PREFIX):
            raise FormatError(Code.PUBLIC_KEY_MALFORMED, f"a verifying key begins with {_PREFIX}")
        encoded = text.removeprefix(_PREFIX)
        return cls(b64decode(encoded, what="verifying key", code=Code.PUBLIC_KEY_MALFORMED))

    @property
    def text(self) -> str:
        """The key as text for documents: `ed25519:` and base64url."""
        return _PREFIX + b64encode(self.raw)

    @property
    def key_id(self) -> Digest:
        """The digest that names this key in signatures."""
        return sha256_digest(self.raw)

    def verify(self, signature: bytes, data: bytes) -> None:
        """Return when `signature` over `data` is this key's.

        Raises:
            VerificationError: it is not.
        """
        try:
            Ed25519PublicKey.from_public_bytes(self.raw).verify(signature, data)
        except (InvalidSignature, ValueError):
            message = "the signature does not match the key and the signed bytes"
            raise VerificationError(Code.SIGNATURE_INVALID, message) from None


class SigningKey:
    """A private Ed25519 key; `repr` hides it, pickling is refused."""

    __slots__ = ("_key",)

    def __init__(self, key: Ed25519PrivateKey) -> None:
        self._key = key

    @classmethod
    def generate(cls) -> SigningKey:
        """Return a fresh key."""
        return cls(Ed25519PrivateKey.generate())

    @classmethod
    def from_bytes(cls, raw: bytes) -> SigningKey:
        """Return the key whose 32 secret bytes are `raw` (ValueError on another length)."""
        return cls(Ed25519PrivateKey.from_private_bytes(raw))

    def reveal(self) -> bytes:
        """Return the 32 secret bytes: call it only to write a key file."""
        return self._key.private_bytes_raw()

    @property
    def public(self) -> VerifyingKey:
        """The key that verifies what this one signs."""
        return VerifyingKey(self._key.public_key().public_bytes_raw())

    def sign(self, data: bytes) -> bytes:
        """Return the 64-byte signature over `data`."""
        return self._key.sign(data)

    def __repr__(self) -> str:
        return f"SigningKey(public={self.public.text})"

    def __reduce__(self) -> NoReturn:
        raise TypeError("a SigningKey is not pickled")
