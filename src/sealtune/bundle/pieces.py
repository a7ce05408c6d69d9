"""Decrypting a stream in pieces of a small buffer, for plaintext larger than memory.

Each chunk is authenticated before its plaintext is seen; that the stream is whole shows only at its
end (spec/bundle §7.5).
"""

from __future__ import annotations

from collections.abc import Callable, Iterator

from sealtune.crypto.stream import CHUNK_BYTES, TAG_BYTES, StreamOpener

# A stream in its middle keeps back less than one chunk with its tag.
_KEPT_BYTES = CHUNK_BYTES + TAG_BYTES


def step_length(room: int, *, multiple: int) -> int:
    """Return how much ciphertext to decrypt at a time into `room` bytes, for such pieces.

    Raises:
        ValueError: `room` is too small, or `multiple` is none.
    """
    step = room - multiple - _KEPT_BYTES
    if multiple < 1 or step < CHUNK_BYTES - TAG_BYTES:
        raise ValueError(f"{room} bytes are no room for pieces that are multiples of {multiple}")
    return step


def decrypted_pieces(
    opener: StreamOpener,
    ciphertext: Iterator[memoryview],
    room: memoryview,
    *,
    multiple: int,
    seen: Callable[[memoryview], object],
    check: Callable[[], None],
) -> Iterator[memoryview]:
    """Yield what `ciphertext`, in steps of at most `step_length`, decrypts to; `room` is reused.

    `seen` looks at each step of ciphertext; `check` decides at the end, before the last piece.
    """
    filled = 0
    try:
        for step in ciphertext:
            seen(step)
            if filled + len(step) + _KEPT_BYTES > len(room):
                whole = filled - filled % multiple
                yield room[:whole]
                room[: filled - whole] = room[whole:filled]
                filled -= whole
            filled += opener.update_into(step, room[filled:])
        tail = opener.finalize()
        check()
        room[filled : filled + len(tail)] = tail
    except GeneratorExit:
        # The caller has enough; the room is its own again.
        raise
    except BaseException:
        room[:] = bytes(len(room))
        raise
    if filled + len(tail):
        yield room[: filled + len(tail)]
