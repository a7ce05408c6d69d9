"""Pages of scratch space: AES-256-GCM under a key that one object has, for as long as it lives.

For what one process writes to a disk that it does not trust and reads again itself. There is no
format: the writer remembers each page's nonce, so that an older content of the page, authentic as
it once was, does not open. Nothing can be read by anybody else, or after the process has ended.
"""

from __future__ import annotations

import threading
from typing import Final

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from sealtune.errors import Code, VerificationError

PAGE_TAG_BYTES: Final = 16
_NONCE_BYTES: Final = 12
_KEY_BITS: Final = 256


class PageCipher:
    """Seals and opens pages; from several threads, without holding up the interpreter meanwhile."""

    def __init__(self) -> None:
        self._aead = AESGCM(AESGCM.generate_key(_KEY_BITS))
        self._sealed = 0
        self._lock = threading.Lock()

    def seal_into(self, page: memoryview, destination: memoryview, *, context: bytes) -> bytes:
        """Encrypt `page` into `destination`, which is a tag longer; return the nonce.

        `context` says what the page is and where it belongs.
        """
        nonce = self._next_nonce()
        self._aead.encrypt_into(nonce, page, context, destination)
        return nonce

    def open_into(
        self, ciphertext: memoryview, page: memoryview, *, nonce: bytes, context: bytes
    ) -> None:
        """Decrypt `ciphertext` into `page`, which is a tag shorter. On failure `page` is zeroed.

        Raises:
            VerificationError: it is not what `seal_into` gave for this nonce and context.
        """
        try:
            self._aead.decrypt_into(nonce, ciphertext, context, page)
        except InvalidTag:
            page[:] = bytes(len(page))
            message = "scratch space was changed, or holds what was there before"
            raise VerificationError(Code.SCRATCH_FORGED, message) from None

    def _next_nonce(self) -> bytes:
        # A counter: under one key no nonce comes twice, and a random one might (SP 800-38D §8).
        with self._lock:
            self._sealed += 1
            return self._sealed.to_bytes(_NONCE_BYTES, "big")
