"""Content digests as text: `sha256:` and 64 hexadecimal digits."""

from __future__ import annotations

import hashlib
import re
from pathlib import Path
from typing import NewType

from sealtune.core.limits import MIB
from sealtune.errors import Code, FormatError

Digest = NewType("Digest", str)

_PATTERN = re.compile(r"sha256:[0-9a-f]{64}")


def sha256_digest(data: bytes | bytearray | memoryview) -> Digest:
    """Return the digest of `data`."""
    return Digest("sha256:" + hashlib.sha256(data).hexdigest())


def sha256_file(path: Path) -> Digest:
    """Return the digest of the file at `path`, read in pieces."""
    state = hashlib.sha256()
    with path.open("rb") as file:
        while piece := file.read(4 * MIB):
            state.update(piece)
    return Digest("sha256:" + state.hexdigest())


def parse_digest(text: object) -> Digest:
    """Return `text` as a Digest.

    Raises:
        FormatError: it is not `sha256:` followed by 64 lower-case hexadecimal digits.
    """
    if not isinstance(text, str) or not _PATTERN.fullmatch(text):
        raise FormatError(Code.DIGEST_MALFORMED, "a digest reads sha256: and 64 hexadecimal digits")
    return Digest(text)


def digest_bytes(digest: Digest) -> bytes:
    """Return the 32 bytes that `digest` spells."""
    return bytes.fromhex(digest.removeprefix("sha256:"))
