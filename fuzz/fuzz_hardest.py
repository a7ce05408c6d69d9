"""Input that costs as much as the limits allow, as far as we could think of it.

Random changes hardly ever make 4 MiB of brackets; these do. Each is of the size that its parser
just takes.
"""

from __future__ import annotations

import json
import struct
from collections.abc import Iterable, Iterator
from datetime import timedelta

import fuzz_world as world

from sealtune.attestation.azure_hcl import HCL_BYTES_MAX
from sealtune.attestation.dcap_endorsements import DCAP_BYTES_MAX
from sealtune.attestation.dcap_tcb import TCB_DOCUMENT_BYTES_MAX
from sealtune.attestation.endorsements import EndorsementType
from sealtune.attestation.event_log import EVENTS_MAX
from sealtune.attestation.rim_xml import XML_BYTES_MAX
from sealtune.attestation.snp_cert_table import CERT_TABLE_BYTES_MAX
from sealtune.core.limits import (
    CERTIFICATE_BYTES_MAX,
    ENDORSEMENT_BYTES_MAX,
    ENVELOPE_BYTES_MAX,
    EVENT_LOG_BYTES_MAX,
    EVIDENCE_BYTES_MAX,
    FOREIGN_EVIDENCE_BYTES_MAX,
    FOREIGN_EVIDENCE_MARKS_MAX,
    JSON_MARKS_MAX,
    KIB,
    POLICY_BYTES_MAX,
)
from sealtune.crypto import der
from sealtune.crypto.crl import CRL_BYTES_MAX, CRL_ENTRIES_MAX
from sealtune.crypto.der import Tag
from sealtune.crypto.jwt import TOKEN_BYTES_MAX
from sealtune.crypto.x509_builder import CrlFields, build_crl


def _filled(unit: bytes, size: int, *, head: bytes = b"", tail: bytes = b"") -> bytes:
    count = (size - len(head) - len(tail)) // len(unit)
    return head + unit * count + tail


def _marks(unit: bytes) -> int:
    brackets = unit.count(b"[") + unit.count(b"{")
    return unit.count(b",") + 2 * unit.count(b'"') + 3 * brackets


def hard_json(size: int, *, name: bytes = b"x", marks: int = JSON_MARKS_MAX) -> Iterator[bytes]:
    """Yield JSON of `size` bytes whose values are many, large, deep or hard to tell apart.

    Where it would have more than `marks`, it comes twice: too long, and as long as is read.
    """
    front = b'{"' + name + b'":['
    for unit in (b"0,", b"[],", b"{},", b'"aa",', b"1.5,", b'{"a":1},', b"null,", b'"\\u00e4",'):
        yield _filled(unit, size, head=front, tail=b"0]}")
        room = (marks - 16) // _marks(unit) * len(unit)
        yield _filled(unit, min(size, room), head=front, tail=b"0]}")
    # All keys of an object differ, and their values are small.
    for count in (size // 12, min(size // 12, marks // 5 - 4)):
        yield b"{" + b",".join(b'"%06x":0' % n for n in range(count)) + b"}"
    for text in (b"\\\\", b'\\"', b"a", b" "):
        yield _filled(text, size, head=b'{"' + name + b'":"', tail=b'"}')
    yield _filled(b" ", size, head=b"{", tail=b"}")
    yield _filled(b"[", size)
    yield _filled(b'"', size)
    yield _filled(b'{"a":', size)
    yield _filled(b"9", size, head=b'{"' + name + b'":', tail=b"}")
    yield _filled(b"9", size, head=b'{"' + name + b'":0.', tail=b"}")


def tcb_documents() -> Iterator[bytes]:
    """Yield TCB info at its bounds."""
    yield from hard_json(TCB_DOCUMENT_BYTES_MAX)
    info = world.intel().tcb_info(world.TD_QUOTE.pck, is_td=True)
    info["tcbLevels"] = info["tcbLevels"] * 64
    yield json.dumps(info, separators=(",", ":")).encode()[:TCB_DOCUMENT_BYTES_MAX]


def dcap_sets() -> Iterator[bytes]:
    """Yield DCAP sets at their bounds."""
    yield from hard_json(DCAP_BYTES_MAX)
    value = json.loads(world.intel().endorsement(world.TD_QUOTE))
    for name, unit in (
        ("tcb_info", "[],"),
        ("pck_crl", "30"),
        ("tcb_info_issuer_chain", "-----BEGIN CERTIFICATE-----\n"),
        ("tcb_info_issuer_chain", "-----BEGIN CERTIFICATE-----\nAA"),
    ):
        room = DCAP_BYTES_MAX - len(json.dumps({**value, name: ""})) - 16
        escaped = len(json.dumps(unit)) - 2
        yield json.dumps({**value, name: unit * (room // escaped)}).encode()


def event_logs() -> Iterator[bytes]:
    """Yield event logs with as many events as fit, in both forms, and long tails."""
    yield from hard_json(EVENT_LOG_BYTES_MAX)
    spec = b"Spec ID Event03\0" + bytes(8) + struct.pack("<IHH", 1, 0x04, 20) + b"\0"
    head = struct.pack("<II20sI", 0, 3, bytes(20), len(spec)) + spec
    event = struct.pack("<IIIH20sI", 1, 8, 1, 4, b"\1" * 20, 0)
    yield head + event * EVENTS_MAX
    yield head + event * (EVENTS_MAX + 1)
    for tail in (b"\0", b"\xff", b"\0\xff"):
        yield _filled(tail, EVENT_LOG_BYTES_MAX, head=head + event)
    banks = {4: 20, 11: 32, 12: 48, 13: 64, 0x12: 32, 0x20: 1, 0x21: 1, 0x22: 1}
    spec = b"Spec ID Event03\0" + bytes(8) + struct.pack("<I", len(banks))
    spec += b"".join(struct.pack("<HH", *item) for item in banks.items()) + b"\0"
    digests = b"".join(struct.pack("<H", number) + bytes(size) for number, size in banks.items())
    event = struct.pack("<III", 1, 8, len(banks)) + digests + struct.pack("<I", 0)
    head = struct.pack("<II20sI", 0, 3, bytes(20), len(spec)) + spec
    yield _filled(event, EVENT_LOG_BYTES_MAX, head=head)
    runtime = {"imr": 3, "event_type": 0x08000001, "digest": "", "event": "", "event_payload": ""}
    text = json.dumps(runtime, separators=(",", ":")).encode()
    yield _filled(text + b",", EVENT_LOG_BYTES_MAX, head=b"[", tail=text + b"]")


def cbor() -> Iterator[bytes]:
    """Yield CBOR that claims much: counts, depth and lengths."""
    for unit in (b"\x81", b"\x9b\xff\xff\xff\xff\xff\xff\xff\xff", b"\xa1\x00", b"\x40", b"\x00"):
        yield _filled(unit, 16 * 1024)
    yield b"\x84" + b"\x9a\x00\x01\x00\x00" + bytes(16_000)
    yield b"\x84\x5b" + b"\xff" * 8 + bytes(16_000)


_DS = 'xmlns:ds="http://www.w3.org/2000/09/xmldsig#"'


def xml() -> Iterator[bytes]:
    """Yield XML with as many elements, levels, attributes, namespaces and entities as fit."""
    for unit in (b"<a/>", b"<a>", b"&amp;", b"&#65;", b"&lt;", b" ", b"]]", b"x"):
        yield _filled(unit, XML_BYTES_MAX, head=b"<r>", tail=b"</r>")
    yield _of_units("<r {}/>", (f'a{n}=""' for n in range(40_000)))
    yield _of_units("<r {}/>", (f'xmlns:a{n}="b"' for n in range(20_000)))
    yield _of_units("<r {}/>", (f'xmlns:a{n}="b" a{n}:c=""' for n in range(10_000)))
    # The same 15 prefixes at every level, so that an element's namespaces are few and far.
    names = " ".join(f'xmlns:p{n}="u"' for n in range(15))
    for depth in (100, 250):
        inner = "<b/>" * (1020 - depth)
        yield f"{f'<a {names}>' * depth}{inner}{'</a>' * depth}".encode()
        signature = f"<ds:Signature {_DS}/>"
        yield f"<r>{f'<a {names}>' * depth}{inner}{'</a>' * depth}{signature}</r>".encode()
    attributes = " ".join(f'a{n}=""' for n in range(60))
    yield ("<r>" + f"<a {attributes}/>" * 500 + f"<ds:Signature {_DS}/></r>").encode()
    body = "<Payload>" + '<Resource type="Measurement" index="1"/>' * 1000 + "</Payload>"
    yield world.nvidia().sign_rim(body)


def _of_units(form: str, units: Iterable[str]) -> bytes:
    room = XML_BYTES_MAX - len(form)
    chosen: list[str] = []
    for unit in units:
        room -= len(unit) + 1
        if room < 0:
            break
        chosen.append(unit)
    return form.format(" ".join(chosen)).encode()


def foreign_evidence() -> Iterator[bytes]:
    """Yield what `read_evidence` takes at its bound: JSON, text and raw bytes."""
    size = FOREIGN_EVIDENCE_BYTES_MAX
    marks = FOREIGN_EVIDENCE_MARKS_MAX
    for name in (b"x", b"quote", b"attestation_report", b"detached_eat", b"device_evidence_list"):
        yield from hard_json(size, name=name, marks=marks)
        yield _filled(b"255,", 4 * marks - 400, head=b'{"' + name + b'":[', tail=b"0]}")
    ours = b'{"kind":"tdx","report":"","certificates":[],"devices":['
    yield _filled(b"0,", 2 * marks - 400, head=ours, tail=b"0]}")
    for unit in (b"a ", b"A\n", b"a", b"AB+/", b" ", b"=", b"0x", b"\0", b"\x84", b"g", b"a\xff"):
        yield _filled(unit, size)
    yield b'{"quote":"\\ud800"}'
    yield b'{"primary_evidence":{"quote":"AAAA"},"additional_evidence":"\\ud800"}'
    yield b'{"platform":"' + b"x" * 1000 + b'","evidence":{"platform":1,"evidence":{}}}'
    yield json.dumps({"quote": list(world.intel().quote(world.TD_QUOTE))}).encode()
    yield from (text.encode(encoding) for text in _DISGUISED for encoding in _ENCODINGS)


# A JSON reader that guesses UTF-16 sees other strings than one that counts brackets in bytes.
_DISGUISED = ('{"quote":1}', '["\\"",' + "[" * 900 + "]" * 900 + ',"\\""]')
_ENCODINGS = ("utf-8-sig", "utf-16-le", "utf-16-be", "utf-32-le")


def endorsement_files() -> Iterator[bytes]:
    """Yield what `read_endorsements` takes at its bound."""
    size = ENDORSEMENT_BYTES_MAX
    for name in (b"tcbInfo", b"enclaveIdentity", b"rim"):
        yield from hard_json(size, name=name)
    for unit in (
        b"-----BEGIN CERTIFICATE-----\n",
        b"-----BEGIN CERTIFICATE-----\n-----END CERTIFICATE-----\n",
        b"-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n",
        b"\n",
        b"A",
        b"A ",
        b"30",
        b"30 ",
        b"MA==",
    ):
        yield _filled(unit, size)
        yield _filled(unit, size, head=b"-----BEGIN CERTIFICATE-----\n")
    root = world.nvidia().device_root
    for count in (256, 257, 1400):
        # Each another, so that none is known already: nobody reads the end of a signature yet.
        several = (root[:-3] + number.to_bytes(3, "big") for number in range(count))
        yield world.mock_intel.pem(*several).encode()
    for text in _DISGUISED:
        inner = '{"tcbInfo":' + text + "}"
        yield from (inner.encode(encoding) for encoding in _ENCODINGS)
    yield from crls()


def certificates() -> Iterator[bytes]:
    """Yield certificates and PEM texts at their bounds."""
    yield _filled(b"-----BEGIN CERTIFICATE-----\n", 2 * 8 * CERTIFICATE_BYTES_MAX)
    yield _filled(b"-----BEGIN CERTIFICATE-----\nA", 2 * 8 * CERTIFICATE_BYTES_MAX)
    yield _filled(b"\n", 2 * 8 * CERTIFICATE_BYTES_MAX, head=b"-----BEGIN CERTIFICATE-----\n")
    yield der.encode(Tag.SEQUENCE, *[der.encode(Tag.SEQUENCE)] * 4000)
    yield der.encode(Tag.SEQUENCE, der.encode(Tag.SEQUENCE, *[b"\x05\0"] * 64), b"", b"")


def crls() -> Iterator[bytes]:
    """Yield revocation lists with as many entries, and as much in them, as fit."""
    fields = CrlFields(
        issuer=(("2.5.4.3", "INSECURE"),),
        this_update=world.NOW - timedelta(days=1),
        next_update=world.NOW + timedelta(days=1),
        revoked=dict.fromkeys(range(1, CRL_ENTRIES_MAX + 1), 1),
    )
    yield build_crl(fields, key=world.tpm().authority)
    head, *rest = _crl_parts(build_crl(fields, key=world.tpm().authority))
    for count in (0, 3, 4, 10, 60):
        entry = _crl_entry(count)
        room = (CRL_BYTES_MAX - 2000) // len(entry)
        for entries in (min(room, CRL_ENTRIES_MAX), room):
            yield _crl(head, entry * entries, rest)


def _crl_entry(extensions: int) -> bytes:
    time = der.encode(Tag.UTC_TIME, b"260101000000Z")
    listing = b"".join(
        der.encode(Tag.SEQUENCE, der.encode(Tag.OID, bytes((42, number))), b"\x04\0")
        for number in range(extensions)
    )
    tail = der.encode(Tag.SEQUENCE, listing) if extensions else b""
    return der.encode(Tag.SEQUENCE, der.encode_integer(1), time, tail)


def _crl_parts(data: bytes) -> tuple[bytes, bytes, bytes]:
    tbs, algorithm, signature = der.read_element(data, tag=Tag.SEQUENCE).children()
    parts = tbs.children()
    return b"".join(part.raw for part in parts[:5]), algorithm.raw, signature.raw


def _crl(head: bytes, entries: bytes, rest: list[bytes]) -> bytes:
    tbs = der.encode(Tag.SEQUENCE, head, der.encode(Tag.SEQUENCE, entries))
    return der.encode(Tag.SEQUENCE, tbs, *rest)


def dsse() -> Iterator[bytes]:
    """Yield envelopes at their bound."""
    yield from hard_json(ENVELOPE_BYTES_MAX)
    front = b'{"payload":"'
    tail = b'","payloadType":"a","signatures":[{"keyid":"a","sig":"AAAA"}]}'
    yield _filled(b"AAAA", ENVELOPE_BYTES_MAX, head=front, tail=tail)


def policies() -> Iterator[bytes]:
    """Yield TOML that is long, deep or full of numbers beyond all bounds."""
    size = POLICY_BYTES_MAX
    for unit in (b"[[a]]\n", b"a.", b"[", b"a=1\n", b"#", b"\n", b"[a]\n", b"[[enclaves]]\n", b'"'):
        yield _filled(unit, size)
    yield b"a=" + b"9" * 5000
    yield b"a=0x" + b"f" * 5000
    yield b"a=1e" + b"9" * 5000
    yield b"a=" + b"[" * 900 + b"]" * 900
    deep = b".".join([b"a"] * 257)
    yield deep + b"=1"
    yield b"[" + deep + b"]\n" + deep + b"=" + b"{a=" * 250 + b"1" + b"}" * 250
    yield b".".join([b"a"] * 20_000) + b"=1"
    yield b"\n".join(b".".join([b"a%d" % line] * 257) + b"=1" for line in range(40))
    yield b"\n".join(b"[" + b".".join([b"a%d" % line] * 257) + b"]" for line in range(40))
    yield b"\n".join(b"a%d=1" % number for number in range(5_500))
    yield b"\n".join(b"[a.b%d.c]" % number for number in range(3_500))
    yield b"\n".join(b"a.b%d.c=1" % number for number in range(3_500))
    yield b'a="""' + b"\\\n " * 15_000 + b'"""'
    yield b"a = [" + b"1," * 24_000 + b"]"
    yield b"a = " + b"{a=1," * 9_000
    yield b"a=inf\nb=nan"
    yield b"a=1979-05-27T07:32:00Z\nb=07:32:00\nc=9999-12-31T23:59:59.999999+23:59"


def tokens() -> Iterator[bytes]:
    """Yield tokens and detached EATs at their bound."""
    yield from hard_json(TOKEN_BYTES_MAX // 4 * 3)
    yield _filled(b".", TOKEN_BYTES_MAX)
    yield _filled(b"A", TOKEN_BYTES_MAX - 3, tail=b".A.")
    for unit in (b".", b"A", b"A."):
        token = _filled(unit, TOKEN_BYTES_MAX).decode()
        yield json.dumps([["JWT", token], dict.fromkeys(map(str, range(32)), "A.A.A")]).encode()


def ocsp_answers() -> Iterator[bytes]:
    """Yield OCSP responses with as many answers, and as much in them, as fit."""
    (seed, *_) = world.nvidia_endorsements().of(EndorsementType.OCSP)
    status, wrapped = der.read_element(seed, tag=Tag.SEQUENCE).children()
    kind, octets = wrapped.children()[0].children()
    tbs, *rest = der.read_element(octets.content, tag=Tag.SEQUENCE).children()
    parts = list(tbs.children())
    place = next(at for at, part in enumerate(parts) if part.tag == Tag.SEQUENCE)
    answer = parts[place].children()[0].raw
    for count in (64, 65, 30_000 // len(answer)):
        listing = der.encode(Tag.SEQUENCE, answer * count)
        changed = [part.raw for part in parts]
        changed[place] = listing
        basic = der.encode(
            Tag.SEQUENCE, der.encode(Tag.SEQUENCE, *changed), *(part.raw for part in rest)
        )
        inner = der.encode(Tag.SEQUENCE, kind.raw, der.encode(Tag.OCTET_STRING, basic))
        yield der.encode(Tag.SEQUENCE, status.raw, der.encode(0xA0, inner))


def own_json() -> Iterator[bytes]:
    """Yield evidence in our form at its bound, and much else that is JSON."""
    yield from hard_json(EVIDENCE_BYTES_MAX // 3 * 4)
    front = b'{"kind":"tdx","certificates":[],"report":"'
    yield _filled(b"AAAA", EVIDENCE_BYTES_MAX // 3 * 4, head=front, tail=b'"}')


def records() -> Iterator[bytes]:
    """Yield JSON as large as a cache's file or a bundle of few endorsements."""
    yield from hard_json(256 * KIB)


def cert_tables() -> Iterator[bytes]:
    """Yield tables whose certificates are PEM, as far as it goes."""
    (table, *_) = world.cert_tables()
    for unit in (b"-----BEGIN CERTIFICATE-----\n", b"-----BEGIN CERTIFICATE-----\nA", b"A", b"\n"):
        yield _filled(unit, CERT_TABLE_BYTES_MAX, head=table[:16] + _WHOLE + bytes(24))


_WHOLE = struct.pack("<II", 48, CERT_TABLE_BYTES_MAX - 100)


def claims() -> Iterator[bytes]:
    """Yield runtime claims at their bound."""
    yield from hard_json(HCL_BYTES_MAX - 1300, name=b"keys")


def answers() -> Iterator[bytes]:
    """Yield what a service may answer at its bound: THIM, and the service for RIMs."""
    for first, name, size in ((0, b"vcekCert", 120 * KIB), (5, b"rim", ENDORSEMENT_BYTES_MAX)):
        yield from (bytes((first,)) + text for text in hard_json(size, name=name))
    for first in (2, 4):
        yield _filled(b"-----BEGIN CERTIFICATE-----\n", 120 * KIB, head=bytes((first,)))
    yield from (b"\3" + data for data in crls())
