"""A second reader of SealedBundles, written from docs/spec/bundle.md alone; imports no sealtune.

Uses `cryptography` and the standard library; BLAKE3 is its own, slow and short. Refuses with the
section of the specification that a file breaks:

    python tests/bundle/independent_reader.py FILE KEYS.json RECIPIENT
"""

from __future__ import annotations

import base64
import hashlib
import json
import re
import struct
import sys
from pathlib import Path

from cryptography.cobblestone import Cobblestone256Decryptor
from cryptography.exceptions import InvalidSignature, InvalidTag
from cryptography.hazmat.primitives import hpke
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
from cryptography.hazmat.primitives.asymmetric.mlkem import MLKEM768PrivateKey
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey

TYPES = "application/vnd.sealtune.bundle-{}+json"
SIZES = {
    **dict.fromkeys(["BOOL", "U8", "I8", "F8_E5M2", "F8_E4M3", "F8_E8M0"], 1),
    **dict.fromkeys(["I16", "U16", "F16", "BF16"], 2),
    **dict.fromkeys(["I32", "U32", "F32"], 4),
    **dict.fromkeys(["F64", "I64", "U64", "C64"], 8),
}
FIELDS = {
    "tensor": {"name", "media", "length", "dtype", "shape"},
    "records": {"name", "media", "length", "count"},
    "file": {"name", "media", "length"},
}
HEADER = {
    "format": r"sealtune-bundle/1",
    "kind": r"dataset|model|training_checkpoint|result",
    "bundle_id": r"[0-9a-f]{32}",
    "owner": r"ed25519:[A-Za-z0-9_-]{43}",
    "body_digest": r"blake3:[0-9a-f]{64}",
    "manifest_digest": r"sha256:[0-9a-f]{64}",
}


class Refused(Exception):
    """The file breaks the section of the specification that `args[0]` names."""


def demand(condition: object, section: str) -> None:
    """Refuse the file unless `condition` holds."""
    if not condition:
        raise Refused(section)


def read_bundle(data: bytes, *, recipient: bytes, expected: str | None = None) -> dict:
    """Return kind, digest, facts and plaintexts of the bundle `data`; `recipient` is 96 bytes."""
    header, digest, slots, manifest_stream = read_outside(data)
    demand(expected in (None, digest), "4.3")
    key = open_slot(slots, digest, recipient)
    prefix = b"sealtune/v1/bundle\0" + bytes.fromhex(header["bundle_id"])
    prefix += header["kind"].encode() + b"\0"
    manifest = parse(decrypt(key, manifest_stream, prefix + b"manifest"), "6")
    rows = entries(manifest, header["body_length"])
    body = data[8 : 8 + header["body_length"]]
    plaintexts, at = {}, 0
    for index, row in enumerate(rows):
        stream = body[at : at + stream_length(row["length"])]
        context = prefix + b"entry" + struct.pack(">I", index)
        plaintexts[row["name"]] = decrypt(key, stream, context)
        at += len(stream)
    demand("blake3:" + blake3(body).hex() == header["body_digest"], "7.4")
    facts = manifest["facts"]
    return {"kind": header["kind"], "digest": digest, "facts": facts, "entries": plaintexts}


def read_outside(data: bytes) -> tuple[dict, str, list, bytes]:
    """Do all of §7.1 and §7.2 that needs no key."""
    demand(data[:8] == b"SEALTUN1" and len(data) >= 24, "7.1")
    header_length, slots_length, end = struct.unpack(">II8s", data[-16:])
    demand(end == b"1NUTLAES", "7.1")
    demand(header_length <= 65536 and slots_length <= 2**20, "9")
    slots_at = len(data) - 16 - slots_length
    header_at = slots_at - header_length
    demand(header_at >= 8, "7.1")
    header_envelope = envelope(data[header_at:slots_at])
    slots_envelope = envelope(data[slots_at:-16])
    payload = base64.b64decode(header_envelope["payload"])
    header = parse_header(payload)
    owner = header["owner"]
    verify(header_envelope, owner, TYPES.format("header"), "4.3")
    digest = "sha256:" + hashlib.sha256(payload).hexdigest()
    verify(slots_envelope, owner, TYPES.format("slots"), "5.1")
    block = parse(base64.b64decode(slots_envelope["payload"]), "5.1")
    demand(block.keys() == {"bundle", "slots"} and 1 <= len(block["slots"]) <= 256, "5.1")
    names = [slot["recipient"] for slot in block["slots"]]
    demand(len(set(names)) == len(names), "5.1")
    demand(block["bundle"] == digest, "5.3")
    end_of_manifest = 8 + header["body_length"] + header["manifest_length"]
    demand(end_of_manifest == header_at, "2.4")
    manifest = data[8 + header["body_length"] : end_of_manifest]
    demand("sha256:" + hashlib.sha256(manifest).hexdigest() == header["manifest_digest"], "7.2")
    return header, digest, block["slots"], manifest


def parse_header(payload: bytes) -> dict:
    """Parse §4.1 and §4.2."""
    header = parse(payload, "4.1")
    demand(header.keys() == {*HEADER, "body_length", "manifest_length"}, "4.1")
    for name, pattern in HEADER.items():
        demand(re.fullmatch(pattern, str(header[name])), "4.1")
    for name in ("body_length", "manifest_length"):
        demand(type(header[name]) is int and header[name] >= 0, "4.1")
    demand(canonical(header) == payload, "4.2")
    return header


def envelope(block: bytes) -> dict:
    """Parse a block by §2.3."""
    value = parse(block, "2.3")
    demand(canonical(value) == block, "2.3")
    demand(value.keys() == {"payload", "payloadType", "signatures"}, "2.3")
    return value


def verify(value: dict, owner: str, payload_type: str, section: str) -> None:
    """Verify a DSSE envelope's one signature by `owner`."""
    demand(value["payloadType"] == payload_type and len(value["signatures"]) == 1, section)
    raw = base64.urlsafe_b64decode(owner.removeprefix("ed25519:") + "=")
    (signature,) = value["signatures"]
    demand(signature["keyid"] == "sha256:" + hashlib.sha256(raw).hexdigest(), section)
    kind, payload = payload_type.encode(), base64.b64decode(value["payload"])
    signed = b"DSSEv1 %d %b %d %b" % (len(kind), kind, len(payload), payload)
    try:
        Ed25519PublicKey.from_public_bytes(raw).verify(base64.b64decode(signature["sig"]), signed)
    except InvalidSignature:
        raise Refused(section) from None


def open_slot(slots: list, digest: str, recipient: bytes) -> bytes:
    """Open the recipient's slot by §5.2."""
    mlkem = MLKEM768PrivateKey.from_seed_bytes(recipient[:64])
    x25519 = X25519PrivateKey.from_private_bytes(recipient[64:])
    public = mlkem.public_key().public_bytes_raw() + x25519.public_key().public_bytes_raw()
    name = "sha256:" + hashlib.sha256(public).hexdigest()
    found = [slot["wrapped"] for slot in slots if slot["recipient"] == name]
    demand(found, "5.1")
    wrapped = base64.urlsafe_b64decode(found[0] + "=" * (-len(found[0]) % 4))
    info = b"sealtune/v1/content-key\0" + bytes.fromhex(digest.removeprefix("sha256:"))
    suite = hpke.Suite(hpke.KEM.MLKEM768_X25519, hpke.KDF.HKDF_SHA256, hpke.AEAD.AES_256_GCM)
    try:
        private = hpke.MLKEM768X25519PrivateKey(mlkem, x25519)
        key = suite.decrypt(wrapped, private, info=info)
    except InvalidTag:
        raise Refused("5.2") from None
    demand(len(key) == 32, "5.2")
    return key


def entries(manifest: dict, body_length: int) -> list[dict]:
    """Check a manifest by §6.1 to §6.3; return its rows."""
    demand(manifest.keys() == {"entries", "facts"} and manifest["entries"], "6.1")
    total = 0
    for row in manifest["entries"]:
        demand(row.keys() == FIELDS.get(row.get("media")), "6.1")
        name = row["name"]
        demand(1 <= len(name) <= 1024 and not re.search(r"[\x00-\x1f\x7f]", name), "6.2")
        plain = re.fullmatch(r"[A-Za-z0-9_][A-Za-z0-9._-]{0,254}", name)
        demand(row["media"] == "tensor" or plain, "6.2")
        if row["media"] == "tensor":
            size = SIZES.get(row["dtype"], -1)
            for extent in row["shape"]:
                size *= extent
            demand(size == row["length"], "6.3")
        total += stream_length(row["length"])
    demand(total == body_length, "6.1")
    demand(len({row["name"] for row in manifest["entries"]}) == len(manifest["entries"]), "6.2")
    return manifest["entries"]


def stream_length(plaintext: int) -> int:
    """Compute §3.1."""
    return plaintext + 56 + 16 * (plaintext // 16384 + 1)


def decrypt(key: bytes, stream: bytes, context: bytes) -> bytes:
    """Decrypt one stream by §3.2."""
    decryptor = Cobblestone256Decryptor(key, context)
    try:
        return decryptor.update(stream) + decryptor.finalize()
    except InvalidTag:
        raise Refused("3.2") from None


def parse(data: bytes, section: str) -> dict:
    """Parse a JSON object nested at most 32 levels."""
    try:
        value = json.loads(data)
    except (ValueError, RecursionError):
        raise Refused(section) from None
    demand(isinstance(value, dict), section)
    demand(depth(value) <= 32, "9")
    return value


def depth(value: object) -> int:
    """Count the levels of a JSON value."""
    inner = (
        value.values() if isinstance(value, dict) else value if isinstance(value, list) else None
    )
    return 0 if inner is None else 1 + max(map(depth, inner), default=0)


def canonical(value: dict) -> bytes:
    """Write canonical JSON; enough for blocks, whose texts are ASCII and whose numbers integers."""
    return json.dumps(value, separators=(",", ":"), sort_keys=True, ensure_ascii=False).encode()


IV = (
    0x6A09E667, 0xBB67AE85, 0x3C6EF372, 0xA54FF53A,
    0x510E527F, 0x9B05688C, 0x1F83D9AB, 0x5BE0CD19,
)  # fmt: skip
ORDER = (2, 6, 3, 10, 7, 0, 4, 13, 1, 11, 12, 5, 9, 14, 15, 8)
MASK = 0xFFFFFFFF


def compress(chaining: tuple, block: bytes, counter: int, flags: int, length: int) -> tuple:
    """Compress one block of BLAKE3; return the first eight words."""
    words = list(struct.unpack("<16I", block.ljust(64, b"\0")))
    state = [*chaining, *IV[:4], counter & MASK, counter >> 32, length, flags]
    columns = ((0, 4, 8, 12), (1, 5, 9, 13), (2, 6, 10, 14), (3, 7, 11, 15))
    diagonals = ((0, 5, 10, 15), (1, 6, 11, 12), (2, 7, 8, 13), (3, 4, 9, 14))
    for turn in range(7):
        for number, (a, b, c, d) in enumerate((*columns, *diagonals)):
            for word, first, second in ((words[2 * number], 16, 12), (words[2 * number + 1], 8, 7)):
                state[a] = (state[a] + state[b] + word) & MASK
                state[d] = rotate(state[d] ^ state[a], first)
                state[c] = (state[c] + state[d]) & MASK
                state[b] = rotate(state[b] ^ state[c], second)
        if turn < 6:
            words = [words[i] for i in ORDER]
    return tuple(state[i] ^ state[i + 8] for i in range(8))


def rotate(word: int, by: int) -> int:
    """Rotate a 32-bit word to the right."""
    return (word >> by | word << (32 - by)) & MASK


def blake3(data: bytes) -> bytes:
    """Compute BLAKE3-256."""
    return struct.pack("<8I", *tree(data, 0, root=True))


def tree(data: bytes, first_chunk: int, *, root: bool) -> tuple:
    """Compute the chaining value of a subtree; ROOT is flag 8, PARENT 4, CHUNK_END 2, START 1."""
    if len(data) <= 1024:
        value: tuple = IV
        blocks = [data[i : i + 64] for i in range(0, len(data), 64)] or [b""]
        for number, block in enumerate(blocks):
            last = number == len(blocks) - 1
            flags = (number == 0) | (2 | (8 if root else 0) if last else 0)
            value = compress(value, block, first_chunk, flags, len(block))
        return value
    left = 1024 << ((len(data) - 1) // 1024).bit_length() - 1
    halves = tree(data[:left], first_chunk, root=False) + tree(
        data[left:], first_chunk + left // 1024, root=False
    )
    return compress(IV, struct.pack("<16I", *halves), 0, 4 | (8 if root else 0), 64)


def main() -> None:
    """Read one bundle and print what it holds, or exit with the section that it breaks."""
    path, keys, name = sys.argv[1:]
    recipient = bytes.fromhex(json.loads(Path(keys).read_text())[name]["recipient"])
    try:
        content = read_bundle(Path(path).read_bytes(), recipient=recipient)
    except Refused as refused:
        sys.exit(f"refused by spec/bundle §{refused}")
    content["entries"] = {name: len(data) for name, data in content["entries"].items()}
    print(json.dumps(content, indent=1))


if __name__ == "__main__":
    main()
