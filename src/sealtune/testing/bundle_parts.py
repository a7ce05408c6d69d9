"""Takes bundles apart and puts them together otherwise, as a hostile host or owner would.

For tests, vectors and the demo's attacks: an attack on a file is two lines. Checks nothing.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import blake3

from sealtune.bundle.file import BundleFile, signed_blocks
from sealtune.bundle.format import (
    END_MAGIC,
    FORMAT,
    HEADER_TYPE,
    MAGIC,
    SLOTS_TYPE,
    BundleKind,
    Slot,
    entry_context,
    manifest_context,
    parse_header,
    slot_info,
    slots_payload,
)
from sealtune.core.canonical import canonical_json
from sealtune.core.digest import Digest, sha256_digest
from sealtune.crypto.dsse import parse_envelope, sign_envelope
from sealtune.crypto.hpke import RecipientPublicKey
from sealtune.crypto.secret import ContentKey
from sealtune.crypto.signing import SigningKey
from sealtune.crypto.stream import ciphertext_length, seal_bytes


@dataclass(slots=True, kw_only=True)
class BundleParts:
    """The parts of a bundle's file, to be changed at will."""

    body: bytes
    manifest: bytes
    header_block: bytes
    slots_block: bytes

    @classmethod
    def read(cls, path: Path) -> BundleParts:
        """Return the parts of the bundle at `path`, whose signatures are not looked at."""
        file = BundleFile(path)
        header_block, slots_block = signed_blocks(file)
        header = parse_header(parse_envelope(header_block).payload)
        at = len(MAGIC) + header.body_length
        parts = cls(
            body=file.read(header.body_length, offset=len(MAGIC)),
            manifest=file.read(header.manifest_length, offset=at),
            header_block=header_block,
            slots_block=slots_block,
        )
        file.close()
        return parts

    def to_bytes(self) -> bytes:
        """Return the file, its footer with the lengths of the present blocks."""
        lengths = b"".join(
            len(block).to_bytes(4, "big") for block in (self.header_block, self.slots_block)
        )
        parts = (MAGIC, self.body, self.manifest, self.header_block, self.slots_block, lengths)
        return b"".join(parts) + END_MAGIC

    def write(self, path: Path) -> Path:
        """Write the file to `path`; return it."""
        path.write_bytes(self.to_bytes())
        return path

    def streams(self, lengths: Sequence[int]) -> list[bytes]:
        """Return the body cut into the streams of entries of `lengths` bytes of plaintext."""
        cuts, at = [], 0
        for length in lengths:
            cuts.append(self.body[at : at + ciphertext_length(length)])
            at += ciphertext_length(length)
        return cuts

    @property
    def header(self) -> dict[str, Any]:
        """The header's fields."""
        fields: dict[str, Any] = json.loads(parse_envelope(self.header_block).payload)
        return fields

    def sign_header(self, payload: bytes, *, owner: SigningKey) -> None:
        """Put a header of any payload in place, signed by `owner`."""
        envelope = sign_envelope(payload, payload_type=HEADER_TYPE, keys=[owner])
        self.header_block = envelope.to_json()

    def sign_slots(self, payload: bytes, *, owner: SigningKey) -> None:
        """Put slots of any payload in place, signed by `owner`."""
        envelope = sign_envelope(payload, payload_type=SLOTS_TYPE, keys=[owner])
        self.slots_block = envelope.to_json()


@dataclass(frozen=True, slots=True, kw_only=True)
class HostileOwner:
    """Makes bundles with good signatures whose content breaks the rules."""

    signing: SigningKey
    key: ContentKey
    recipients: tuple[RecipientPublicKey, ...]
    kind: BundleKind = BundleKind.RESULT
    bundle_id: bytes = bytes(range(16))

    def bundle(
        self,
        plaintexts: Sequence[bytes],
        manifest: Any,
        *,
        header_changes: dict[str, Any] | None = None,
        wrapped: bytes | None = None,
    ) -> BundleParts:
        """Return a bundle of `plaintexts` under the JSON value `manifest`.

        `header_changes` replace or add fields of the header; `wrapped` is sealed to the recipients
        in place of the ContentKey.
        """
        body = b"".join(self.stream(data, index=i) for i, data in enumerate(plaintexts))
        context = manifest_context(bundle_id=self.bundle_id, kind=self.kind)
        stream = seal_bytes(self.key, canonical_json(manifest), context=context)
        header: dict[str, Any] = {
            "body_digest": f"blake3:{blake3.blake3(body).hexdigest()}",
            "body_length": len(body),
            "bundle_id": self.bundle_id.hex(),
            "format": FORMAT,
            "kind": self.kind.value,
            "manifest_digest": sha256_digest(stream),
            "manifest_length": len(stream),
            "owner": self.signing.public.text,
        } | (header_changes or {})
        parts = BundleParts(body=body, manifest=stream, header_block=b"", slots_block=b"")
        payload = canonical_json(header)
        parts.sign_header(payload, owner=self.signing)
        secret = self.key.reveal() if wrapped is None else wrapped
        parts.sign_slots(self.slots(sha256_digest(payload), secret), owner=self.signing)
        return parts

    def stream(self, plaintext: bytes, *, index: int) -> bytes:
        """Return the stream of entry `index`."""
        context = entry_context(bundle_id=self.bundle_id, kind=self.kind, index=index)
        return seal_bytes(self.key, plaintext, context=context)

    def slots(self, digest: Digest, secret: bytes) -> bytes:
        """Return a slots payload that wraps `secret` for the bundle `digest`."""
        info = slot_info(digest)
        return slots_payload(
            digest, tuple(Slot(key.key_id, key.seal(secret, info=info)) for key in self.recipients)
        )


def flip(data: bytes, at: int, *, bit: int = 0) -> bytes:
    """Return `data` with one bit of the byte `at` (negative: from the end) flipped."""
    changed = bytearray(data)
    changed[at] ^= 1 << bit
    return bytes(changed)
