"""HPKE (RFC 9180), single-shot, with the hybrid KEM ML-KEM-768 + X25519.

Health data must stay secret for decades, so the KEM holds if either of its halves does. One suite,
no options: MLKEM768-X25519, HKDF-SHA256, AES-256-GCM. Every use passes an `info` that begins with
its own label, so that a ciphertext made for one purpose does not open for another.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import NoReturn

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives import hpke
from cryptography.hazmat.primitives.asymmetric.mlkem import MLKEM768PrivateKey, MLKEM768PublicKey
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey, X25519PublicKey

from sealtune.core.digest import Digest, sha256_digest
from sealtune.crypto.encoding import b64decode, b64encode
from sealtune.errors import Code, FormatError, VerificationError

_PREFIX = "mlkem768x25519:"
_MLKEM_PUBLIC_BYTES = 1184
_X25519_BYTES = 32
_MLKEM_SEED_BYTES = 64
PUBLIC_BYTES = _MLKEM_PUBLIC_BYTES + _X25519_BYTES
SEALED_OVERHEAD_BYTES = 1136  # encapsulated key 1120, tag 16

_SUITE = hpke.Suite(hpke.KEM.MLKEM768_X25519, hpke.KDF.HKDF_SHA256, hpke.AEAD.AES_256_GCM)


@dataclass(frozen=True, slots=True)
class RecipientPublicKey:
    """A public HPKE key: 1,184 bytes of ML-KEM-768, then 32 of X25519."""

    raw: bytes
    _key: hpke.MLKEM768X25519PublicKey = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        if len(self.raw) != PUBLIC_BYTES:
            message = f"a recipient key has {PUBLIC_BYTES} bytes"
            raise FormatError(Code.PUBLIC_KEY_MALFORMED, message)
        try:
            key = hpke.MLKEM768X25519PublicKey(
                MLKEM768PublicKey.from_public_bytes(self.raw[:_MLKEM_PUBLIC_BYTES]),
                X25519PublicKey.from_public_bytes(self.raw[_MLKEM_PUBLIC_BYTES:]),
            )
        except ValueError:
            raise FormatError(Code.PUBLIC_KEY_MALFORMED, "not a recipient key") from None
        object.__setattr__(self, "_key", key)

    @classmethod
    def parse(cls, text: object) -> RecipientPublicKey:
        """Return the key that `text` (as `RecipientPublicKey.text`) spells.

        Raises:
            FormatError: it has another form.
        """
        if not isinstance(text, str) or not text.startswith(_PREFIX):
            raise FormatError(Code.PUBLIC_KEY_MALFORMED, f"a recipient key begins with {_PREFIX}")
        encoded = text.removeprefix(_PREFIX)
        return cls(b64decode(encoded, what="recipient key", code=Code.PUBLIC_KEY_MALFORMED))

    @property
    def text(self) -> str:
        """The key as text for documents: `mlkem768x25519:` and base64url."""
        return _PREFIX + b64encode(self.raw)

    @property
    def key_id(self) -> Digest:
        """The digest that names this key in slots and messages."""
        return sha256_digest(self.raw)

    def seal(self, plaintext: bytes, *, info: bytes) -> bytes:
        """Return `plaintext` sealed to this key and bound to `info` (1,136 bytes longer)."""
        try:
            return _SUITE.encrypt(plaintext, self._key, info=info)
        except ValueError:
            # X25519 refuses points of small order only when it is used.
            raise FormatError(Code.PUBLIC_KEY_MALFORMED, "not a usable recipient key") from None


class RecipientKey:
    """A private HPKE key; `repr` hides it, pickling is refused."""

    __slots__ = ("_mlkem", "_x25519", "public")

    def __init__(self, mlkem: MLKEM768PrivateKey, x25519: X25519PrivateKey) -> None:
        self._mlkem = mlkem
        self._x25519 = x25519
        public = mlkem.public_key().public_bytes_raw() + x25519.public_key().public_bytes_raw()
        self.public = RecipientPublicKey(public)

    @classmethod
    def generate(cls) -> RecipientKey:
        """Return a fresh key."""
        return cls(MLKEM768PrivateKey.generate(), X25519PrivateKey.generate())

    @classmethod
    def from_bytes(cls, raw: bytes) -> RecipientKey:
        """Return the key whose secret bytes are `raw`: the 64-byte ML-KEM seed, then X25519's 32.

        Raises:
            ValueError: another length.
        """
        return cls(
            MLKEM768PrivateKey.from_seed_bytes(raw[:_MLKEM_SEED_BYTES]),
            X25519PrivateKey.from_private_bytes(raw[_MLKEM_SEED_BYTES:]),
        )

    def reveal(self) -> bytes:
        """Return the 96 secret bytes: call it only to write a key file."""
        return self._mlkem.private_bytes_raw() + self._x25519.private_bytes_raw()

    def open(self, ciphertext: bytes, *, info: bytes) -> bytes:
        """Return the plaintext of `ciphertext`, sealed to this key under `info`.

        Raises:
            VerificationError: another key, another `info` or a changed byte.
        """
        try:
            key = hpke.MLKEM768X25519PrivateKey(self._mlkem, self._x25519)
            return _SUITE.decrypt(ciphertext, key, info=info)
        except (InvalidTag, ValueError):
            message = "not sealed to this key for this purpose, or changed since"
            raise VerificationError(Code.HPKE_OPEN_FAILED, message) from None

    def __repr__(self) -> str:
        return f"RecipientKey(public={self.public.key_id})"

    def __reduce__(self) -> NoReturn:
        raise TypeError("a RecipientKey is not pickled")
