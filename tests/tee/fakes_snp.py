"""What a host attaches to SNP reports, and a driver of /dev/sev-guest."""

from __future__ import annotations

from collections.abc import Iterable
from uuid import UUID

VCEK = UUID("63da758d-e664-4564-adc5-f4b93be8accd")
VLEK = UUID("a8074bc2-a25a-483e-aae6-39c045a0b8a1")
ASK = UUID("4ab7b379-bbac-4fe4-a02f-05aef327c782")
ARK = UUID("c0b406a4-a803-4952-9743-3fb6014cd0ae")


def certificate_table(entries: Iterable[tuple[UUID, bytes]]) -> bytes:
    """Return the table of the GHCB specification: entries, a zero one, then the certificates."""
    listed = list(entries)
    offset = 24 * (len(listed) + 1)
    heads = b""
    for guid, content in listed:
        heads += guid.bytes + offset.to_bytes(4, "little") + len(content).to_bytes(4, "little")
        offset += len(content)
    return heads + bytes(24) + b"".join(content for _, content in listed)
