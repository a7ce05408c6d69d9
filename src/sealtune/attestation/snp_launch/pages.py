"""How the secure processor measures one page after the other (spec/attestation §5.8.1).

Source: AMD publication 56860, SNP_LAUNCH_UPDATE and the PAGE_INFO structure.
"""

from __future__ import annotations

import hashlib
from enum import IntEnum

PAGE_BYTES = 4096
DIGEST_BYTES = 48
EMPTY_DIGEST = bytes(DIGEST_BYTES)
_PAGE_INFO_BYTES = 0x70


class PageType(IntEnum):
    """PAGE_TYPE of SNP_LAUNCH_UPDATE."""

    NORMAL = 1
    VMSA = 2
    ZERO = 3
    UNMEASURED = 4
    SECRETS = 5
    CPUID = 6


_WITH_CONTENT = frozenset({PageType.NORMAL, PageType.VMSA})


def extend(digest: bytes, kind: PageType, address: int, *, content: bytes = b"") -> bytes:
    """Return the launch digest after `content`, whole pages, was added at `address`.

    A kind that is measured without its content takes one page and no `content`.

    Raises:
        ValueError: `content` is not whole pages, or given or missing against the kind.
    """
    if (kind in _WITH_CONTENT) != bool(content) or len(content) % PAGE_BYTES:
        raise ValueError(f"a page of kind {kind.name} with {len(content)} bytes")
    if not content:
        return _extend(digest, kind, address, EMPTY_DIGEST)
    for offset in range(0, len(content), PAGE_BYTES):
        page = hashlib.sha384(content[offset : offset + PAGE_BYTES]).digest()
        digest = _extend(digest, kind, address + offset, page)
    return digest


def extend_empty(digest: bytes, kind: PageType, address: int, *, size: int) -> bytes:
    """Return the launch digest after `size` bytes of pages whose content is not measured."""
    for offset in range(0, size, PAGE_BYTES):
        digest = extend(digest, kind, address + offset)
    return digest


def _extend(digest: bytes, kind: PageType, address: int, content: bytes) -> bytes:
    # PAGE_INFO: two digests, its length, the type, no IMI page, no permission for VMPL 1 to 3.
    head = _PAGE_INFO_BYTES.to_bytes(2, "little") + bytes((kind, 0, 0, 0, 0, 0))
    return hashlib.sha384(digest + content + head + address.to_bytes(8, "little")).digest()
