"""Makes the bundle vectors with sealtune: `python tests/vectors/bundle/generate.py`.

Keys stay as they are in keys.json; ciphertexts differ at each run, since encryption is randomized.
Each failing vector has one fault, the error code of sealtune and the section of docs/spec/bundle.md
that it breaks.
"""

from __future__ import annotations

import hashlib
import io
import json
import struct
from collections.abc import Callable
from pathlib import Path
from typing import Any

from sealtune.bundle.format import (
    HEADER_TYPE,
    SLOTS_TYPE,
    BundleKind,
    entry_context,
    slots_payload,
)
from sealtune.bundle.manifest import Media
from sealtune.bundle.reader import open_bundle_file
from sealtune.bundle.registration import seal_slots, verify_blocks
from sealtune.bundle.writer import BundleWriter
from sealtune.core.canonical import canonical_json
from sealtune.core.digest import Digest, sha256_digest
from sealtune.crypto.dsse import parse_envelope, sign_envelope
from sealtune.crypto.hpke import RecipientKey
from sealtune.crypto.secret import ContentKey
from sealtune.crypto.signing import SigningKey
from sealtune.crypto.stream import seal_bytes
from sealtune.errors import Code
from sealtune.testing.bundle_parts import BundleParts, HostileOwner, flip

HERE = Path(__file__).resolve().parent
NAMES = ("owner", "broker", "recipient", "stranger")
Parts = BundleParts


def load_keys() -> dict[str, tuple[SigningKey, RecipientKey]]:
    """Return the keys in keys.json, made at the first run."""
    path = HERE / "keys.json"
    if not path.exists():
        made = {
            name: {
                "signing": SigningKey.generate().reveal().hex(),
                "recipient": RecipientKey.generate().reveal().hex(),
            }
            for name in NAMES
        }
        path.write_text(json.dumps(made, indent=1) + "\n")
    return {
        name: (
            SigningKey.from_bytes(bytes.fromhex(item["signing"])),
            RecipientKey.from_bytes(bytes.fromhex(item["recipient"])),
        )
        for name, item in json.loads(path.read_text()).items()
    }


KEYS = load_keys()
OWNER, STRANGER = KEYS["owner"][0], KEYS["stranger"][0]
BROKER, RECIPIENT = KEYS["broker"][1], KEYS["recipient"][1]
KEY = ContentKey(bytes(range(32)))
HOSTILE = HostileOwner(signing=OWNER, key=KEY, recipients=(BROKER.public,))


def sealed(
    kind: BundleKind, entries: list[dict[str, Any]], facts: dict[str, Any], **more: Any
) -> Parts:
    """Return the parts of an honest bundle."""
    file = io.BytesIO()
    key = more.get("key", KEY)
    writer = BundleWriter(
        file, kind=kind, owner=OWNER, key=key, bundle_id=more.get("bundle_id", bytes(16))
    )
    for entry in entries:
        writer.add_entry(**entry)
    writer.finish(facts=facts, recipients=more.get("recipients", [BROKER.public]))
    path = HERE / "scratch"
    path.write_bytes(file.getvalue())
    parts = Parts.read(path)
    path.unlink()
    return parts


def file_entry(name: str, data: bytes) -> dict[str, Any]:
    """Return a file entry's arguments."""
    return {"name": name, "data": data, "media": Media.FILE}


def result(**more: Any) -> Parts:
    """Return an honest result with two files of equal length."""
    entries = [file_entry("a.txt", b"first file"), file_entry("b.txt", b"other file")]
    return sealed(BundleKind.RESULT, entries, {"note": "vector"}, **more)


def passing() -> dict[str, tuple[str, Parts, str]]:
    """Return name -> story, parts, who opens it."""
    lines = [b'{"label":"a","text":"one"}\n', b'{"label":"b","text":"two"}\n']
    shards = [
        {"name": f"shard-{i:05d}", "data": line, "media": Media.RECORDS, "count": 1}
        for i, line in enumerate(lines)
    ]
    tensors = [
        {
            "name": "model.norm/weight",
            "data": struct.pack("<2f", 1, 2),
            "dtype": "F32",
            "shape": [2],
        },
        {"name": "größe", "data": bytes(12), "dtype": "BF16", "shape": [2, 3]},
        {"name": "empty", "data": b"", "dtype": "I64", "shape": [0, 4]},
        {"name": "scalar", "data": b"\x01", "dtype": "BOOL", "shape": []},
    ]
    model = [file_entry("config.json", b"{}"), *({**row, "media": Media.TENSOR} for row in tensors)]
    facts = {"records": 2, "task": "text-classification", "labels": ["a", "b"]}
    slots = [BROKER.public, RECIPIENT.public, KEYS["stranger"][1].public]
    rewrapped = result()
    header = verify_blocks(rewrapped.header_block, rewrapped.slots_block).header
    rewrapped.slots_block = seal_slots(header, owner=OWNER, key=KEY, recipients=(RECIPIENT.public,))
    border = [file_entry("chunk", bytes(16384)), file_entry("less", bytes(16383))]
    checkpoint = [file_entry("state", b"\x00\x01\x02")]
    kind = BundleKind
    return {
        "dataset_ok": ("two shards with labels", sealed(kind.DATASET, shards, facts), "broker"),
        "model_ok": (
            "a file and tensors: matrix, scalar, empty, odd names",
            sealed(kind.MODEL, model, {"tensors": 4}),
            "broker",
        ),
        "result_ok": ("two files", result(), "broker"),
        "checkpoint_ok": (
            "a training checkpoint",
            sealed(kind.TRAINING_CHECKPOINT, checkpoint, {"step": 7}),
            "broker",
        ),
        "empty_entry_ok": (
            "an entry of no bytes",
            sealed(kind.RESULT, [file_entry("empty", b"")], {}),
            "broker",
        ),
        "chunk_border_ok": (
            "plaintexts of 16,384 and 16,383 bytes",
            sealed(kind.RESULT, border, {}),
            "broker",
        ),
        "three_slots_ok": ("the second of three slots", result(recipients=slots), "recipient"),
        "rewrapped_ok": (
            "sealed to the broker, rewrapped to the recipient",
            rewrapped,
            "recipient",
        ),
    }


def replaced(name: str) -> Callable[[Any], Parts]:
    """Return a function that makes an honest result with one part replaced."""

    def make(value: Any) -> Parts:
        parts = result()
        setattr(parts, name, value(parts))
        return parts

    return make


def resigned(change: Callable[[dict[str, Any]], bytes]) -> Parts:
    """Return a result whose header payload `change` makes, signed by the owner."""
    parts = result()
    parts.sign_header(change(parts.header), owner=OWNER)
    return parts


def slots_of(parts: Parts) -> tuple[Digest, Any]:
    """Return digest and slots of a bundle."""
    registration = verify_blocks(parts.header_block, parts.slots_block)
    return registration.digest, registration.slots


def outer_faults() -> dict[str, tuple[str, bytes | Parts, Code, str]]:
    """Return faults of the outer parts: name -> story, file, code, section."""
    whole = result().to_bytes()
    header_block = replaced("header_block")
    slots_block = replaced("slots_block")
    huge = whole[:-16] + struct.pack(">II8s", 65537, 100, b"1NUTLAES")
    beyond = whole[:-16] + struct.pack(">II8s", 65536, 2**20, b"1NUTLAES")

    def spaced(parts: Parts) -> bytes:
        return parts.header_block.replace(b'","', b'", "', 1)

    def spaced_slots(parts: Parts) -> bytes:
        return parts.slots_block + b"\n"

    cut = result()
    cut.body = cut.body[:-16]
    wrong, cut_code = Code.BUNDLE_MALFORMED, Code.BUNDLE_TRUNCATED
    return {
        "magic_fail": ("the first byte changed", flip(whole, 0), wrong, "7.1"),
        "version_fail": ("another version", flip(whole, 7, bit=1), Code.BUNDLE_VERSION, "7.1"),
        "cut_fail": ("the last byte is missing", whole[:-1], cut_code, "7.1"),
        "grown_fail": ("a byte follows the footer", whole + b"\0", cut_code, "7.1"),
        "huge_block_fail": ("a header of 64 KiB and a byte", huge, Code.LIMIT_EXCEEDED, "9"),
        "beyond_fail": ("blocks longer than the file", beyond, cut_code, "7.1"),
        "header_spelling_fail": ("a space in the header block", header_block(spaced), wrong, "2.3"),
        "slots_spelling_fail": (
            "a line end after the slots",
            slots_block(spaced_slots),
            wrong,
            "2.3",
        ),
        "body_cut_fail": ("16 bytes of the body are missing", cut, cut_code, "2.4"),
    }


def header_faults() -> dict[str, tuple[str, bytes | Parts, Code, str]]:
    """Return faults of the header."""
    deep = b'{"a":' * 33 + b"1" + b"}" * 33

    def nested(parts: Parts) -> bytes:
        return sign_envelope(deep, payload_type=HEADER_TYPE, keys=[OWNER]).to_json()

    def other_type(parts: Parts) -> bytes:
        payload = parse_envelope(parts.header_block).payload
        return sign_envelope(payload, payload_type=SLOTS_TYPE, keys=[OWNER]).to_json()

    def other_signer(parts: Parts) -> bytes:
        payload = parse_envelope(parts.header_block).payload
        return sign_envelope(payload, payload_type=HEADER_TYPE, keys=[STRANGER]).to_json()

    def relabelled(parts: Parts) -> bytes:
        envelope = parse_envelope(parts.header_block)
        payload = envelope.payload.replace(b'"result"', b'"dataset"')
        return type(envelope)(envelope.payload_type, payload, envelope.signatures).to_json()

    put = replaced("header_block")
    wrong = Code.BUNDLE_MALFORMED
    return {
        "header_version_fail": (
            "signed, but of format 2",
            resigned(lambda h: canonical_json(h | {"format": "sealtune-bundle/2"})),
            Code.BUNDLE_VERSION,
            "4.1",
        ),
        "header_field_fail": (
            "a field too many: the number of records in clear",
            resigned(lambda h: canonical_json(h | {"records": 3})),
            wrong,
            "4.1",
        ),
        "header_kind_fail": (
            "an unknown kind",
            resigned(lambda h: canonical_json(h | {"kind": "weights"})),
            wrong,
            "4.1",
        ),
        "header_spaces_fail": (
            "signed, but not in canonical form",
            resigned(lambda h: json.dumps(h, sort_keys=True).encode()),
            wrong,
            "4.2",
        ),
        "header_deep_fail": ("nested 33 levels", put(nested), Code.JSON_MALFORMED, "9"),
        "header_changed_fail": (
            "the kind changed after signing",
            put(relabelled),
            Code.SIGNATURE_INVALID,
            "4.3",
        ),
        "header_signer_fail": (
            "signed by another key than the owner it names",
            put(other_signer),
            Code.SIGNATURE_MISSING,
            "4.3",
        ),
        "header_type_fail": ("signed as slots", put(other_type), Code.ENVELOPE_TYPE, "4.3"),
    }


def slot_faults() -> dict[str, tuple[str, bytes | Parts, Code, str]]:
    """Return faults of the key slots."""
    three = [BROKER.public, RECIPIENT.public, KEYS["stranger"][1].public]

    def stripped() -> Parts:
        parts = result(recipients=three)
        envelope = parse_envelope(parts.slots_block)
        digest, slots = slots_of(parts)
        payload = slots_payload(digest, slots[1:])
        parts.slots_block = type(envelope)(
            envelope.payload_type, payload, envelope.signatures
        ).to_json()
        return parts

    def forged() -> Parts:
        parts = result()
        parts.sign_slots(parse_envelope(parts.slots_block).payload, owner=STRANGER)
        return parts

    def of_another() -> Parts:
        parts = result()
        parts.slots_block = result(bundle_id=bytes(15) + b"\1").slots_block
        return parts

    def twice() -> Parts:
        parts = result()
        digest, slots = slots_of(parts)
        parts.sign_slots(slots_payload(digest, slots * 2), owner=OWNER)
        return parts

    def none() -> Parts:
        parts = result()
        parts.sign_slots(slots_payload(slots_of(parts)[0], ()), owner=OWNER)
        return parts

    def transplanted() -> Parts:
        parts, other = result(), result(bundle_id=bytes(15) + b"\1")
        parts.sign_slots(slots_payload(slots_of(parts)[0], slots_of(other)[1]), owner=OWNER)
        return parts

    def adopted() -> Parts:
        parts = result()
        _, slots = slots_of(parts)
        payload = canonical_json(parts.header | {"owner": STRANGER.public.text})
        parts.sign_header(payload, owner=STRANGER)
        parts.sign_slots(slots_payload(sha256_digest(payload), slots), owner=STRANGER)
        return parts

    row = [{"length": 1, "media": "file", "name": "a"}]
    plain = {"entries": row, "facts": {}}
    short = HOSTILE.bundle([b"a"], plain, wrapped=bytes(31))
    other_key = HOSTILE.bundle([b"a"], plain, wrapped=bytes(32))
    wrong = Code.BUNDLE_MALFORMED
    return {
        "slots_stripped_fail": (
            "the first of three removed",
            stripped(),
            Code.SIGNATURE_INVALID,
            "5.1",
        ),
        "slots_forged_fail": ("signed by a stranger", forged(), Code.SIGNATURE_MISSING, "5.1"),
        "slots_of_another_fail": ("of another bundle", of_another(), Code.BUNDLE_DIGEST, "5.3"),
        "slot_twice_fail": ("one recipient twice", twice(), wrong, "5.1"),
        "slots_none_fail": ("an empty list", none(), wrong, "5.1"),
        "slot_transplanted_fail": (
            "a wrapped key of another bundle in a signed block",
            transplanted(),
            Code.HPKE_OPEN_FAILED,
            "5.2",
        ),
        "adopted_fail": (
            "a stranger signs another's bundle as its own",
            adopted(),
            Code.HPKE_OPEN_FAILED,
            "5.2",
        ),
        "slot_length_fail": ("a wrapped key of 31 bytes", short, wrong, "5.2"),
        "slot_key_fail": ("another ContentKey", other_key, Code.STREAM_FORGED, "3.2"),
    }


def body_faults() -> dict[str, tuple[str, bytes | Parts, Code, str]]:
    """Return faults of the body and of the manifest as bytes."""
    lengths = (10, 10)

    def with_body(change: Callable[[list[bytes]], list[bytes]]) -> Parts:
        parts = result()
        parts.body = b"".join(change(parts.streams(lengths)))
        return parts

    other = result(bundle_id=bytes(15) + b"\1").streams(lengths)
    as_manifest = seal_bytes(
        KEY,
        b"first file",
        context=entry_context(bundle_id=bytes(16), kind=BundleKind.DATASET, index=0),
    )
    changed = result()
    changed.manifest = flip(changed.manifest, 100)
    forged = Code.STREAM_FORGED
    row = {"length": 1, "media": "file", "name": "a"}
    digest = {"body_digest": "blake3:" + "0" * 64}
    lie = HOSTILE.bundle([b"a"], {"entries": [row], "facts": {}}, header_changes=digest)
    return {
        "manifest_changed_fail": ("one bit of the manifest", changed, Code.MANIFEST_DIGEST, "7.2"),
        "entry_changed_fail": (
            "one bit of an entry",
            with_body(lambda s: [flip(s[0], 60), s[1]]),
            forged,
            "3.2",
        ),
        "entries_swapped_fail": (
            "two entries of equal length exchanged",
            with_body(lambda s: s[::-1]),
            forged,
            "3.2",
        ),
        "entry_repeated_fail": (
            "the first entry in the place of the second",
            with_body(lambda s: [s[0], s[0]]),
            forged,
            "3.2",
        ),
        "entry_moved_fail": (
            "an entry of another bundle under the same key, at its place",
            with_body(lambda s: [other[0], s[1]]),
            forged,
            "3.2",
        ),
        "entry_of_kind_fail": (
            "an entry sealed for another kind of bundle",
            with_body(lambda s: [as_manifest, s[1]]),
            forged,
            "3.2",
        ),
        "body_digest_fail": (
            "each entry opens, the signed digest is of another body",
            lie,
            Code.BUNDLE_BODY_DIGEST,
            "7.4",
        ),
    }


def manifest_faults() -> dict[str, tuple[str, bytes | Parts, Code, str]]:
    """Return manifests that a hostile owner signs."""
    file = {"length": 1, "media": "file", "name": "a"}
    tensor = {"length": 8, "media": "tensor", "name": "t", "dtype": "F32", "shape": [3]}

    def rows(*entries: Any) -> Parts:
        plaintexts = [bytes(entry["length"]) for entry in entries] or [b"a"]
        return HOSTILE.bundle(plaintexts, {"entries": list(entries), "facts": {}})

    gap = HOSTILE.bundle([b"a", b"unseen"], {"entries": [file], "facts": {}})
    wrong, unsafe = Code.MANIFEST_MALFORMED, Code.ENTRY_NAME_UNSAFE
    return {
        "no_entry_fail": ("no entry", rows(), wrong, "6.1"),
        "gap_fail": ("bytes that no entry names", gap, wrong, "6.1"),
        "field_fail": ("a field too many", rows(file | {"offset": 0}), wrong, "6.1"),
        "name_twice_fail": ("one name twice", rows(file, file), wrong, "6.2"),
        "name_parent_fail": ("../a", rows(file | {"name": "../a"}), unsafe, "6.2"),
        "name_absolute_fail": ("/etc/passwd", rows(file | {"name": "/etc/passwd"}), unsafe, "6.2"),
        "name_hidden_fail": (".bashrc", rows(file | {"name": ".bashrc"}), unsafe, "6.2"),
        "name_zero_fail": ("a zero byte", rows(file | {"name": "a\0b"}), unsafe, "6.2"),
        "shape_fail": ("a shape that gives another length", rows(tensor), wrong, "6.3"),
    }


def main() -> None:
    """Write all vectors and their list."""
    listed = []
    for name, (story, parts, who) in passing().items():
        data = parts.to_bytes()
        (HERE / f"{name}.bundle").write_bytes(data)
        listed.append(passing_row(name, story, who))
    failing = outer_faults() | header_faults() | slot_faults() | body_faults() | manifest_faults()
    for name, (story, made, code, section) in failing.items():
        (HERE / f"{name}.bundle").write_bytes(made if isinstance(made, bytes) else made.to_bytes())
        listed.append(failing_row(name, story, code, section))
    older, newer = result(), result(bundle_id=bytes(15) + b"\2")
    (HERE / "rolled_back_fail.bundle").write_bytes(older.to_bytes())
    row = failing_row("rolled_back_fail", "an older bundle put back", Code.BUNDLE_DIGEST, "4.3")
    listed.append(row | {"expected_digest": slots_of(newer)[0]})
    (HERE / "no_slot_fail.bundle").write_bytes(result().to_bytes())
    row = failing_row("no_slot_fail", "opened by somebody else", Code.BUNDLE_NO_SLOT, "5.1")
    listed.append(row | {"recipient": "stranger"})
    (HERE / "vectors.json").write_text(json.dumps(listed, indent=1, ensure_ascii=False) + "\n")


def passing_row(name: str, story: str, who: str) -> dict[str, Any]:
    """Return the list's row of a vector that opens."""
    with open_bundle_file(HERE / f"{name}.bundle") as bundle:
        reader = bundle.unlock(bundle.unwrap(KEYS[who][1]))
        return {
            "name": name,
            "story": story,
            "recipient": who,
            "kind": bundle.kind.value,
            "digest": bundle.digest,
            "facts": dict(reader.facts),
            "entries": {
                entry.name: hashlib.sha256(data).hexdigest() for entry, data in reader.read_all()
            },
        }


def failing_row(name: str, story: str, code: Code, section: str) -> dict[str, Any]:
    """Return the list's row of a vector that is refused."""
    return {
        "name": name,
        "story": story,
        "recipient": "broker",
        "code": code.value,
        "section": section,
    }


if __name__ == "__main__":
    main()
