"""Honest, INSECURE input of every kind, signed with mock keys: what mutations start from.

Everything is made when it is asked for. No vendor's data is read.
"""

from __future__ import annotations

import base64
import dataclasses
import hashlib
import json
import struct
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import cache
from typing import Any
from uuid import UUID

import cbor2

from sealtune.attestation.anchors import TrustAnchors
from sealtune.attestation.dcap_quote import Tee
from sealtune.attestation.endorsements import Endorsement, Endorsements, EndorsementType
from sealtune.attestation.event_log import Bank, parse_event_log, replay
from sealtune.attestation.evidence import Evidence
from sealtune.broker.endorsements.bundle import export_bundle
from sealtune.broker.endorsements.items import Item, make_item
from sealtune.broker.endorsements.subjects import intel_set
from sealtune.crypto.ecdsa import P256Key, P384Key
from sealtune.crypto.encoding import b64encode
from sealtune.crypto.rsa import RsaKey
from sealtune.crypto.signing import SigningKey
from sealtune.testing import mock_intel
from sealtune.testing.mock_amd import MockAmd, MockVek
from sealtune.testing.mock_intel import SGX_QUOTE, MockIntel, MockTd
from sealtune.testing.mock_intel import MockQuote as MockTdQuote
from sealtune.testing.mock_nitro import MockNitro
from sealtune.testing.mock_nvidia import (
    HOPPER,
    SWITCH_REPORT,
    SWITCH_RIM,
    VBIOS_RIM,
    MockNvidia,
    MockReport,
    MockRim,
)
from sealtune.testing.mock_tpm import MockAzure, MockHcl, MockQuote, MockTpm, bind_runtime, sized

__all__ = ["b64encode", "cache", "mock_intel"]

NOW = datetime(2026, 11, 23, 12, 0, 0, tzinfo=UTC)
TD_QUOTE = MockTdQuote()
TD15_QUOTE = MockTdQuote(body=MockTd(mr_service_td=bytes(48)), version=5)
BUNDLE_KEY = SigningKey.from_bytes(bytes(range(32)))


@dataclass(frozen=True, slots=True, kw_only=True)
class Base:
    """Honest evidence, and how to make such evidence of another signed part."""

    evidence: Evidence
    anchors: TrustAnchors
    endorsements: Endorsements
    signed: bytes
    rebuild: Callable[[bytes], Evidence]


@cache
def amd() -> MockAmd:
    """The mock AMD; one key for both authorities, for 4096 bits take seconds to make."""
    key = RsaKey.generate()
    return MockAmd(ark=key, ask=key, vek=P384Key.generate(), now=NOW)


@cache
def intel() -> MockIntel:
    """The mock Intel."""
    return MockIntel(now=NOW)


@cache
def nitro() -> MockNitro:
    """The mock AWS."""
    return MockNitro(now=NOW)


@cache
def nvidia() -> MockNvidia:
    """The mock NVIDIA."""
    return MockNvidia(now=NOW)


@cache
def tpm() -> MockTpm:
    """The mock TPM, with an RSA key."""
    return MockTpm.generate(now=NOW)


@cache
def tpm_ecc() -> MockTpm:
    """The mock TPM, with an ECC key."""
    return MockTpm(ak=P256Key.generate(), authority=P384Key.generate(), now=NOW)


@cache
def azure() -> MockAzure:
    """The mock Azure VM."""
    return MockAzure(amd=amd(), intel=intel(), tpm=tpm())


def event_log() -> bytes:
    """Return a small log in TCG's binary form, with two banks."""
    sizes = {0x0B: 32, 0x0C: 48}
    spec = b"Spec ID Event03\0" + bytes(8) + struct.pack("<I", len(sizes))
    spec += b"".join(struct.pack("<HH", *item) for item in sizes.items()) + b"\0"
    log = struct.pack("<II20sI", 0, 3, bytes(20), len(spec)) + spec
    log += _event(0, 3, sizes, b"StartupLocality\0\3")
    for register in (0, 1, 4, 7, 9, 17):
        log += _event(register, 8, sizes, b"insecure mock event %d" % register)
    return log + bytes(64)


def _event(register: int, kind: int, sizes: Mapping[int, int], data: bytes) -> bytes:
    digests = b"".join(
        struct.pack("<H", number) + hashlib.sha512(data).digest()[:size]
        for number, size in sizes.items()
    )
    front = struct.pack("<III", register, kind, len(sizes))
    return front + digests + struct.pack("<I", len(data)) + data


def tcg_log_of_a_domain() -> bytes:
    """Return a small log as the firmware of a trust domain writes it."""
    sizes = {0x0C: 48}
    spec = b"Spec ID Event03\0" + bytes(8) + struct.pack("<IHH", 1, 0x0C, 48) + b"\0"
    log = struct.pack("<II20sI", 0, 3, bytes(20), len(spec)) + spec
    return log + b"".join(_event(number, 8, sizes, b"event") for number in range(1, 5))


@cache
def items() -> tuple[Item, ...]:
    """The endorsements that a cache holds."""
    pck = TD_QUOTE.pck
    return tuple(
        make_item(
            intel_set(tee, fmspc=pck.fmspc, ca=pck.ca),
            intel().endorsement(quote),
            source="https://pcs.example",
            fetched_at=NOW,
        )
        for tee, quote in ((Tee.SGX, SGX_QUOTE), (Tee.TDX, TD_QUOTE))
    )


@cache
def bundle() -> bytes:
    """A signed bundle of endorsements."""
    return export_bundle(items(), key=BUNDLE_KEY, now=NOW)


def of(kind: EndorsementType, *items: bytes) -> Endorsements:
    """Return `items` as endorsements of one kind."""
    return Endorsements(items=tuple(Endorsement(type=kind, data=item) for item in items))


def _joined(*parts: Endorsements) -> Endorsements:
    return Endorsements(items=tuple(item for part in parts for item in part.items))


# -- evidence that can be signed anew --------------------------------------------------------------


def _snp() -> Base:
    evidence = amd().evidence()
    return Base(
        evidence=evidence,
        anchors=amd().anchors(),
        endorsements=of(EndorsementType.X509_CRL, amd().revocation_list(7)),
        signed=evidence.report[:0x2A0],
        rebuild=lambda signed: amd().evidence_of(signed, vek=MockVek()),
    )


def _quote(quote: MockTdQuote, *, log: bytes | None) -> Base:
    evidence = intel().evidence(quote, event_log=log)

    def rebuild(signed: bytes) -> Evidence:
        return dataclasses.replace(evidence, report=sign_quote(signed, quote))

    return Base(
        evidence=evidence,
        anchors=intel().anchors(),
        endorsements=intel().endorsements(quote),
        signed=mock_intel.signed_part(quote),
        rebuild=rebuild,
    )


def _explained() -> MockTdQuote:
    replayed = replay(parse_event_log(tcg_log_of_a_domain()), bank=Bank.SHA384)
    first, second, third, fourth = (replayed[register] for register in range(1, 5))
    return MockTdQuote(body=MockTd(rt_mr=(first, second, third, fourth)))


def sign_quote(signed: bytes, quote: MockTdQuote) -> bytes:
    """Return a quote with exactly `signed` as its signed part, else as `quote`."""
    mock = intel()
    key = mock_intel._point(mock.attestation_key)
    binding = hashlib.sha256(key + quote.qe_auth_data).digest().ljust(64, b"\0")
    qe = dataclasses.replace(mock_intel.mock_qe(is_td=quote.is_td), report_data=binding).to_bytes()
    return mock_intel.assemble_quote(
        signed,
        signature=mock_intel.raw_signature(mock.attestation_key, signed),
        key=key,
        qe=qe,
        qe_signature=mock_intel.raw_signature(mock.pck_key, qe),
        qe_auth_data=quote.qe_auth_data,
        chain=mock_intel.pem(*mock.pck_chain(quote.pck)).encode() + b"\0",
        nested=quote.version > 3,
    )


def _azure_snp() -> Base:
    runtime = azure().runtime()
    return Base(
        evidence=azure().snp_evidence(event_log=event_log()),
        anchors=amd().anchors(),
        endorsements=of(EndorsementType.X509_CRL, amd().revocation_list(7)),
        signed=runtime,
        rebuild=lambda claims: azure().snp_evidence(runtime=claims),
    )


def _azure_tdx() -> Base:
    return Base(
        evidence=azure().tdx_evidence(),
        anchors=intel().anchors(),
        endorsements=intel().endorsements(TD_QUOTE),
        signed=azure().runtime(),
        rebuild=lambda claims: azure().tdx_evidence(runtime=claims),
    )


def _tpm(mock: MockTpm) -> Base:
    evidence = mock.evidence(**mock.ek_parts())
    return Base(
        evidence=evidence,
        anchors=mock.anchors(),
        endorsements=of(EndorsementType.X509_CRL, mock.crl()),
        signed=evidence.report,
        rebuild=lambda message: dataclasses.replace(
            evidence,
            report=message,
            parts={**evidence.parts, "tpm_signature": mock.sign(message)},
        ),
    )


def _nitro() -> Base:
    return Base(
        evidence=nitro().evidence(),
        anchors=nitro().anchors,
        endorsements=Endorsements(items=()),
        signed=cbor2.dumps(nitro().fields()),
        rebuild=lambda payload: nitro().evidence_of(nitro().sign(payload)),
    )


@cache
def nvidia_endorsements() -> Endorsements:
    """The reference measurements and answers about certificates of the mock's devices."""
    mock = nvidia()
    rims = [mock.rim(rim) for rim in (MockRim(), VBIOS_RIM, SWITCH_RIM)]
    answers = [mock.ocsp(HOPPER, position) for position in range(4)]
    return _joined(of(EndorsementType.NVIDIA_RIM, *rims), of(EndorsementType.OCSP, *answers))


def _device(evidence: Evidence, report: MockReport) -> Base:
    return Base(
        evidence=evidence,
        anchors=nvidia().anchors,
        endorsements=nvidia_endorsements(),
        signed=report.signed_bytes(),
        rebuild=lambda signed: dataclasses.replace(evidence, report=signed + nvidia().sign(signed)),
    )


def _composite() -> Base:
    base = _quote(TD_QUOTE, log=None)
    devices = (nvidia().evidence(), nvidia().switch())
    anchors = TrustAnchors(roots={**base.anchors.roots, **nvidia().anchors.roots})

    def rebuild(signed: bytes) -> Evidence:
        return dataclasses.replace(base.rebuild(signed), devices=devices)

    return Base(
        evidence=dataclasses.replace(base.evidence, devices=devices),
        anchors=anchors,
        endorsements=_joined(base.endorsements, nvidia_endorsements()),
        signed=base.signed,
        rebuild=rebuild,
    )


@cache
def bases() -> Mapping[str, Base]:
    """Evidence of every kind, by name."""
    return {
        "sev-snp": _snp(),
        "tdx": _quote(_explained(), log=tcg_log_of_a_domain()),
        "tdx-1.5": _quote(TD15_QUOTE, log=None),
        "sgx": _quote(SGX_QUOTE, log=None),
        "azure-snp": _azure_snp(),
        "azure-tdx": _azure_tdx(),
        "tpm-vm": _tpm(tpm()),
        "tpm-vm-ecc": _tpm(tpm_ecc()),
        "nitro": _nitro(),
        "nvidia-gpu": _device(nvidia().evidence(), MockReport()),
        "nvidia-switch": _device(nvidia().switch(), SWITCH_REPORT),
        "composite": _composite(),
    }


# -- parts, as parsers take them -------------------------------------------------------------------


def cert_tables() -> Iterator[bytes]:
    """Yield what a host attaches to a report: certificates in DER and in PEM, and nothing."""
    names = (
        "63da758d-e664-4564-adc5-f4b93be8accd",
        "4ab7b379-bbac-4fe4-a02f-05aef327c782",
        "c0b406a4-a803-4952-9743-3fb6014cd0ae",
    )
    chain = amd().chain(MockVek())
    for form in (bytes, lambda der: mock_intel.pem(der).encode()):
        contents = [form(certificate) for certificate in chain]
        place = 24 * (len(names) + 1)
        table = b""
        for name, content in zip(names, contents, strict=True):
            table += UUID(name).bytes_le + struct.pack("<II", place, len(content))
            place += len(content)
        yield table + bytes(24) + b"".join(contents)
    yield bytes(24)
    report = bases()["sev-snp"].evidence.report
    yield struct.pack("<II", 0, len(report)) + bytes(24) + report


def event_logs() -> Iterator[bytes]:
    """Yield logs in both forms."""
    yield event_log()
    yield tcg_log_of_a_domain()
    digest = hashlib.sha384(b"event").hexdigest()
    first = {"imr": 0, "event_type": 1, "digest": digest, "event": "", "event_payload": "00"}
    runtime = {"imr": 3, "event_type": 0x08000001, "digest": "", "event": "app-id"}
    yield json.dumps([first, {**runtime, "event_payload": "c0ffee"}]).encode()


def tpm_structures() -> Iterator[bytes]:
    """Yield quotes, signatures and public keys of both algorithms."""
    for mock in (tpm(), tpm_ecc()):
        message = MockQuote().encode()
        yield message
        yield mock.sign(message)
    attributes = struct.pack(">I", 0x00050072)
    rsa = b"\x00\x01\x00\x0b" + attributes + sized(b"")
    rsa += struct.pack(">HHHHI", 0x10, 0x14, 0x0B, 2048, 0) + sized(b"\xc1" + b"\5" * 255)
    ecc = b"\x00\x23\x00\x0b" + attributes + sized(b"\1" * 32)
    ecc += struct.pack(">HHHHH", 0x10, 0x18, 0x0B, 3, 0x10) + sized(b"\1" * 32) + sized(b"\2" * 32)
    for public in (rsa, ecc):
        yield public
        yield sized(public)


def hcl_of(runtime: bytes) -> bytes:
    """Return an HCL report around `runtime`."""
    return MockHcl(hardware=bytes(1184), runtime=runtime).encode()


def mock_tpm_bind(runtime: bytes) -> bytes:
    """Return the report_data that binds `runtime`."""
    return bind_runtime(runtime)


def hcl_reports() -> Iterator[bytes]:
    """Yield HCL reports of both types, and runtime claims alone."""
    yield bases()["azure-snp"].evidence.report
    yield bases()["azure-tdx"].evidence.report
    yield azure().runtime()


def nitro_documents() -> Iterator[bytes]:
    """Yield documents with and without tag, and one whose payload is of indefinite length."""
    document = nitro().evidence().report
    yield document
    yield b"\xd2" + document
    fields = {**nitro().fields(), "public_key": b"key", "user_data": b"data"}
    pairs = b"".join(cbor2.dumps(name) + cbor2.dumps(value) for name, value in fields.items())
    yield nitro().sign(b"\xbf" + pairs + b"\xff")


def eats() -> Iterator[bytes]:
    """Yield detached EATs, signed and not."""
    head = b64encode(json.dumps({"alg": "ES384", "kid": "a"}).encode())
    unsigned = b64encode(json.dumps({"alg": "none"}).encode())
    for token in (f"{head}.{b64encode(b'{}')}.AAAA", f"{unsigned}.{b64encode(b'{}')}."):
        detached = [["JWT", token], {"GPU-0": token, "GPU-1": token}]
        yield json.dumps(detached).encode()
        yield json.dumps({"detached_eat": detached, "claims": [{}]}).encode()


def firmware() -> Iterator[bytes]:
    """Yield an image of one page with the tables of OVMF."""
    entries = (
        ("dc886566-984a-4798-a75e-5585a7bf67cc", struct.pack("<I", 0x540)),
        ("7255371f-3a3b-4b04-927b-1da6efa8d454", struct.pack("<II", 0x810C00, 0x400)),
        ("00f771de-1a7e-4fcb-890e-68c77e2fb44e", struct.pack("<I", 0x80B004)),
    )
    table = b"".join(
        content + struct.pack("<H", 18 + len(content)) + UUID(name).bytes_le
        for name, content in entries
    )
    footer = UUID("96b582de-1fb2-45f7-baea-a366c55a082d").bytes_le
    table += struct.pack("<H", len(table) + 18) + footer + bytes(32)
    sections = ((0x800000, 0x9000, 1), (0x80D000, 0x1000, 2), (0x80E000, 0x1000, 3))
    sections = (*sections, (0x80F000, 0x1000, 4), (0x810000, 0x1000, 0x10))
    listing = b"".join(struct.pack("<III", *section) for section in sections)
    metadata = b"ASEV" + struct.pack("<III", 16 + len(listing), 1, len(sections)) + listing
    image = bytearray(4096)
    image[4096 - 0x540 : 4096 - 0x540 + len(metadata)] = metadata
    image[4096 - len(table) :] = table
    yield bytes(image)
    yield bytes(4096) + bytes(image)


def launch_inputs() -> Iterator[bytes]:
    """Yield a launch, as it is described beside an image."""
    section = {"gpa": 0x800000, "size": 0x9000, "section_type": 1}
    value = {
        "vcpus": 2,
        "vcpu_type": "EPYC-v4",
        "guest_features": 1,
        "ovmf_hash": "00" * 48,
        "ovmf_sections": [section, {"gpa": 0x810000, "size": 0x1000, "section_type": 16}],
        "sev_hashes_table_gpa": 0x810C00,
        "sev_es_reset_eip": 0x80B004,
        "kernel_hash": "11" * 32,
        "initrd_hash": "22" * 32,
        "base_cmdline": "console=ttyS0",
    }
    yield json.dumps(value).encode()


def foreign_forms() -> Iterator[Any]:
    """Yield evidence in the JSON of other tools."""
    tdx, snp = bases()["tdx"].evidence, bases()["sev-snp"].evidence
    log = json.loads(list(event_logs())[2])
    yield {"quote": tdx.report.hex(), "event_log": json.dumps(log)}
    yield {"quote": base64.b64encode(tdx.report).decode(), "cc_eventlog": b64encode(event_log())}
    yield {"platform": "tdx", "evidence": {"quote": list(tdx.report[:600])}}
    chain = [
        {"cert_type": name, "data": list(data[:40])}
        for name, data in zip(("VCEK", "ASK", "ARK"), snp.certificates, strict=True)
    ]
    report = {
        "version": 3,
        **dict.fromkeys(("guest_svn", "policy", "vmpl", "sig_algo", "plat_info", "key_info"), 1),
        **{name: [0] * size for name, size in _SNP_OCTETS},
        **dict.fromkeys(("current_tcb", "reported_tcb", "committed_tcb"), _SNP_TCB),
        "launch_tcb": _SNP_TCB,
        "cpuid_fam_id": 25,
        "current": {"build": 1, "minor": 2, "major": 3},
        "committed": {"build": 1, "minor": 2, "major": 3},
        "signature": {"r": [0] * 72, "s": [0] * 72},
    }
    yield {"attestation_report": report, "cert_chain": chain}
    yield {"attestation_report": list(snp.report)}
    device = nvidia().evidence()
    listed = {
        "arch": "HOPPER",
        "nonce": device.report[4:36].hex(),
        "evidence": base64.b64encode(device.report).decode(),
        "certificate": base64.b64encode(mock_intel.pem(*device.certificates).encode()).decode(),
    }
    yield [listed]
    yield {"device_evidence_list": [listed, {**listed, "arch": "LS10"}]}
    yield {
        "primary_evidence": {"quote": tdx.report.hex()},
        "additional_evidence": json.dumps({"nvidia": {"device_evidence_list": [listed]}}),
    }
    azure_snp = bases()["azure-snp"].evidence
    message = {
        "message": azure_snp.parts["tpm_quote"].hex(),
        "signature": azure_snp.parts["tpm_signature"].hex(),
        "pcrs": [list(bytes(32))] * 24,
    }
    hcl = b64encode(azure_snp.report)
    vcek = mock_intel.pem(azure_snp.certificates[0])
    yield {"tpm_quote": message, "hcl_report": hcl, "vcek": vcek}
    yield {"quote": message, "report": hcl, "td_quote": tdx.report.hex()}
    yield {"ak_public": tpm().ak.spki.hex(), "tpm_quote": message}
    yield json.loads(next(iter(eats())))


_SNP_TCB = {"bootloader": 1, "tee": 0, "snp": 2, "microcode": 3, "fmc": 0}
_SNP_OCTETS = (
    ("family_id", 16),
    ("image_id", 16),
    ("report_data", 64),
    ("measurement", 48),
    ("host_data", 32),
    ("id_key_digest", 48),
    ("author_key_digest", 48),
    ("report_id", 32),
    ("report_id_ma", 32),
    ("chip_id", 64),
)
