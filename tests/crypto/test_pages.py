"""Pages of scratch: what was changed does not open, and nothing stays in the room for it."""

from __future__ import annotations

import pytest

from sealtune.crypto.pages import PAGE_TAG_BYTES, PageCipher
from sealtune.errors import Code, VerificationError

PAGE = b"activations of patient 4711"


def sealed(cipher: PageCipher) -> tuple[memoryview, bytes]:
    room = memoryview(bytearray(len(PAGE) + PAGE_TAG_BYTES))
    return room, cipher.seal_into(memoryview(PAGE), room, context=b"c")


def test_what_was_sealed_opens() -> None:
    cipher = PageCipher()
    ciphertext, nonce = sealed(cipher)
    page = memoryview(bytearray(len(PAGE)))
    cipher.open_into(ciphertext, page, nonce=nonce, context=b"c")
    assert page == PAGE


@pytest.mark.parametrize("what", ["bit", "nonce", "context", "cipher"])
def test_anything_else_is_refused_and_leaves_zeros(what: str) -> None:
    cipher = PageCipher()
    ciphertext, nonce = sealed(cipher)
    context = b"c"
    if what == "bit":
        ciphertext[3] ^= 1
    elif what == "nonce":
        _, nonce = sealed(cipher)
    elif what == "context":
        context = b"d"
    else:
        cipher = PageCipher()
    page = memoryview(bytearray(b"x" * len(PAGE)))
    with pytest.raises(VerificationError) as refused:
        cipher.open_into(ciphertext, page, nonce=nonce, context=context)
    assert refused.value.code is Code.SCRATCH_FORGED
    assert page == bytes(len(PAGE))
