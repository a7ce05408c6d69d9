"""A mock TPM 2.0 and the vTPM of a mock Azure VM: crypto-valid, and INSECURE: keys in software.

`MockTpm` signs quotes with any field changed and can have its keys certified by a mock authority;
`MockAzure` puts a report of a mock processor around it. An attack on the verifier is two lines.
"""

from __future__ import annotations

import dataclasses
import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

from sealtune.attestation.anchors import RootUse, TrustAnchors, vendor_anchors
from sealtune.attestation.azure_hcl import HARDWARE_BYTES
from sealtune.attestation.evidence import Evidence, EvidenceKind
from sealtune.attestation.tpm_wire import TpmHash
from sealtune.core.digest import Digest, sha256_digest
from sealtune.crypto import der
from sealtune.crypto.der import Tag
from sealtune.crypto.ecdsa import P256Key, P384Key
from sealtune.crypto.encoding import b64encode
from sealtune.crypto.extensions import OID_EXTENDED_KEY_USAGE, OID_KEY_USAGE, Extension
from sealtune.crypto.rsa import RsaKey
from sealtune.crypto.x509 import parse_certificate
from sealtune.crypto.x509_builder import (
    CertificateFields,
    CrlFields,
    authority_extensions,
    build_certificate,
    build_crl,
)
from sealtune.testing.mock_amd import MockAmd
from sealtune.testing.mock_intel import MockIntel, MockTd
from sealtune.testing.mock_intel import MockQuote as MockTdQuote

_ORGANIZATION = "INSECURE sealtune mock, no TPM vendor"
_ROOT_NAME = "INSECURE TPM root"
_RSASSA, _ECDSA = 0x0014, 0x0018
OID_EK_CERTIFICATE = "2.23.133.8.1"
SIGN, ENCIPHER = b"\x07\x80", b"\x05\x20"  # keyUsage: digitalSignature, keyEncipherment
SHA256_REGISTERS: Mapping[int, bytes] = {
    number: hashlib.sha256(b"INSECURE mock register %d" % number).digest() for number in range(24)
}


@dataclass(frozen=True, slots=True, kw_only=True)
class MockQuote:
    """What a mock TPM attests; `digest` None is the right one over `registers`."""

    extra_data: bytes = bytes(32)
    registers: Mapping[int, bytes] = field(default_factory=lambda: SHA256_REGISTERS)
    bank: TpmHash = TpmHash.SHA256
    magic: int = 0xFF544347
    kind: int = 0x8018
    signer: bytes = b"\x00\x0b" + bytes(32)
    clock: int = 1
    reset_count: int = 2
    restart_count: int = 0
    safe: int = 1
    firmware_version: int = 0x2020031200120003
    bitmap_bytes: int = 3
    digest: bytes | None = None

    def encode(self, *, hashed_with: TpmHash = TpmHash.SHA256) -> bytes:
        """Return the TPMS_ATTEST."""
        digest = self.digest
        if digest is None:
            digest = hashlib.new(hashed_with.label, self.values).digest()
        bits = sum(1 << number for number in self.registers)
        bitmap = bits.to_bytes(self.bitmap_bytes, "little")
        selection = _number(2, self.bank) + _number(1, len(bitmap)) + bitmap
        return b"".join(
            (
                _number(4, self.magic),
                _number(2, self.kind),
                sized(self.signer),
                sized(self.extra_data),
                _number(8, self.clock),
                _number(4, self.reset_count),
                _number(4, self.restart_count),
                _number(1, self.safe),
                _number(8, self.firmware_version),
                _number(4, 1),
                selection,
                sized(digest),
            )
        )

    @property
    def values(self) -> bytes:
        """The registers' values, joined in ascending order."""
        return b"".join(self.registers[number] for number in sorted(self.registers))


def sized(content: bytes) -> bytes:
    """Return `content` as a TPM2B."""
    return _number(2, len(content)) + content


def _number(size: int, value: int) -> bytes:
    return value.to_bytes(size, "big")


class MockTpm:
    """The keys of a mock TPM and of the authority that certifies them."""

    def __init__(
        self, *, ak: RsaKey | P256Key | P384Key, authority: P384Key, now: datetime
    ) -> None:
        self.ak = ak
        self.authority = authority
        self._now = now
        self._root = self.certificate(_ROOT_NAME, authority.spki, extensions=None)

    @classmethod
    def generate(cls, *, now: datetime) -> MockTpm:
        """Return a new TPM with an RSA-2048 attestation key, certified around `now`."""
        return cls(ak=RsaKey.generate(2048), authority=P384Key.generate(), now=now)

    @property
    def root(self) -> Digest:
        """The digest of the mock authority's certificate."""
        return sha256_digest(self._root)

    def anchors(self) -> TrustAnchors:
        """Return the vendors' roots and this mock's."""
        return vendor_anchors().with_insecure_root(self.root, use=RootUse.TPM, product=None)

    def certificate(
        self,
        subject: str,
        spki: bytes,
        *,
        extensions: Mapping[str, Extension] | None,
        issuer: str = _ROOT_NAME,
        not_after: datetime | None = None,
    ) -> bytes:
        """Return a certificate by the authority; without `extensions` an authority's own."""
        fields = CertificateFields(
            serial=int.from_bytes(hashlib.sha256(subject.encode() + spki).digest()[:4], "big"),
            issuer=_name(issuer),
            subject=_name(subject),
            not_before=self._now - timedelta(days=1),
            not_after=not_after or self._now + timedelta(days=3650),
            spki=spki,
            extensions=authority_extensions(path_length=None) if extensions is None else extensions,
        )
        return build_certificate(fields, key=self.authority)

    def ak_chain(self, *, usage: bytes = SIGN, **changes: Any) -> tuple[bytes, bytes]:
        """Return the attestation key's certificate and the root."""
        fields = {"subject": "INSECURE AK", "spki": self.ak.spki, "extensions": key_usage(usage)}
        return self.certificate(**{**fields, **changes}), self._root

    def ek_parts(self, *, purposes: tuple[str, ...] = (OID_EK_CERTIFICATE,)) -> dict[str, bytes]:
        """Return the parts that tell of an endorsement key."""
        extensions = key_usage(ENCIPHER)
        listing = der.encode(Tag.SEQUENCE, *map(der.encode_oid, purposes))
        extensions[OID_EXTENDED_KEY_USAGE] = Extension(critical=False, value=listing)
        spki = self.authority.spki  # any key will do: nothing is ever decrypted with it
        return {
            "ek_certificate": self.certificate("INSECURE EK", spki, extensions=extensions),
            "ek_issuer_1": self._root,
        }

    def crl(self, *revoked: bytes, key: P384Key | None = None, days: int = 30) -> bytes:
        """Return the authority's list of `revoked` certificates, current for `days` from now on."""
        fields = CrlFields(
            issuer=_name(_ROOT_NAME),
            this_update=self._now - timedelta(days=1),
            next_update=self._now + timedelta(days=days),
            revoked={parse_certificate(certificate).serial: 1 for certificate in revoked},
        )
        return build_crl(fields, key=key or self.authority)

    def sign(self, message: bytes) -> bytes:
        """Return the TPMT_SIGNATURE over `message`."""
        if isinstance(self.ak, RsaKey):
            signature = sized(self.ak.sign_pkcs1(message, digest="sha256"))
            return _number(2, _RSASSA) + _number(2, TpmHash.SHA256) + signature
        size = 32 if isinstance(self.ak, P256Key) else 48
        r, s = self.ak.sign(message)
        scalars = sized(_number(size, r)) + sized(_number(size, s))
        return _number(2, _ECDSA) + _number(2, self.signed_with) + scalars

    @property
    def signed_with(self) -> TpmHash:
        """The hash algorithm of its signatures."""
        return TpmHash.SHA384 if isinstance(self.ak, P384Key) else TpmHash.SHA256

    def evidence(
        self,
        quote: MockQuote | None = None,
        *,
        certificates: tuple[bytes, ...] | None = None,
        **parts: bytes,
    ) -> Evidence:
        """Return evidence of `quote` by a certified key; `parts` replace or add to its parts."""
        quote = quote or MockQuote()
        message = quote.encode(hashed_with=self.signed_with)
        usual = {
            "tpm_signature": self.sign(message),
            "pcrs": quote.values,
            "ak_public": self.ak.spki,
        }
        return Evidence(
            kind=EvidenceKind.TPM_VM,
            report=message,
            certificates=self.ak_chain() if certificates is None else certificates,
            parts={**usual, **parts},
        )


def key_usage(bits: bytes) -> dict[str, Extension]:
    """Return the extensions of a certificate whose key is for `bits` (a BIT STRING's content)."""
    return {OID_KEY_USAGE: Extension(critical=True, value=der.encode(Tag.BIT_STRING, bits))}


def _name(common_name: str) -> tuple[tuple[str, str], ...]:
    return (("2.5.4.10", _ORGANIZATION), ("2.5.4.3", common_name))


def jwk(spki: bytes, **changes: Any) -> dict[str, Any]:
    """Return the RSA key `spki` as the paravisor writes the attestation key; `changes` on top."""
    _algorithm, bits = der.read_element(spki, tag=Tag.SEQUENCE).children()
    numbers = der.read_element(der.read_bit_string(bits), tag=Tag.SEQUENCE).children()
    modulus, exponent = (number.content.lstrip(b"\0") for number in numbers)
    key = {
        "kid": "HCLAkPub",
        "key_ops": ["sign"],
        "kty": "RSA",
        "e": b64encode(exponent),
        "n": b64encode(modulus),
    }
    return {**key, **changes}


@dataclass(frozen=True, slots=True, kw_only=True)
class MockHcl:
    """An HCL report; lengths that are None are the right ones."""

    hardware: bytes
    runtime: bytes
    version: int = 2
    report_size: int | None = None
    request_type: int = 2
    status: int = 0
    reserved: bytes = bytes(12)
    data_size: int | None = None
    data_version: int = 1
    report_type: int = 2
    hash_type: int = 1
    variable_size: int | None = None
    tail: bytes = bytes(100)

    def encode(self) -> bytes:
        """Return the report as it lies in the vTPM."""
        size = len(self.runtime) if self.variable_size is None else self.variable_size
        data_size = 20 + len(self.runtime) if self.data_size is None else self.data_size
        total = 1236 + len(self.runtime) if self.report_size is None else self.report_size
        header = (self.version, total, self.request_type, self.status)
        data = (data_size, self.data_version, self.report_type, self.hash_type, size)
        return b"".join(
            (
                b"HCLA",
                *(number.to_bytes(4, "little") for number in header),
                self.reserved,
                self.hardware.ljust(HARDWARE_BYTES, b"\0"),
                *(number.to_bytes(4, "little") for number in data),
                self.runtime,
                self.tail,
            )
        )


class MockAzure:
    """A mock Azure VM: a mock vTPM under the report of a mock AMD or Intel processor."""

    def __init__(self, *, amd: MockAmd, intel: MockIntel, tpm: MockTpm) -> None:
        self.amd = amd
        self.intel = intel
        self.tpm = tpm

    def runtime(self, **changes: Any) -> bytes:
        """Return the runtime claims as JSON; `changes` are members, None leaves one out."""
        members: dict[str, Any] = {
            "keys": [jwk(self.tpm.ak.spki)],
            "vm-configuration": {
                "console-enabled": True,
                "secure-boot": True,
                "tpm-enabled": True,
                "vmUniqueId": "INSECURE-MOCK",
            },
            "user-data": "00" * 64,
            **{name.replace("_", "-"): value for name, value in changes.items()},
        }
        present = {name: value for name, value in members.items() if value is not None}
        return json.dumps(present, separators=(",", ":")).encode()

    def snp_evidence(
        self,
        quote: MockQuote | None = None,
        *,
        runtime: bytes | None = None,
        report_data: bytes | None = None,
        hcl: Mapping[str, Any] | None = None,
        **parts: bytes,
    ) -> Evidence:
        """Return evidence of this VM.

        `runtime` are other claims, which the hardware binds all the same unless `report_data` is
        given; `hcl` are changes to the fields around them; `parts` replace or add to its parts.
        """
        runtime = self.runtime() if runtime is None else runtime
        bound = bind_runtime(runtime) if report_data is None else report_data
        snp = self.amd.evidence(report_data=bound)
        report = MockHcl(hardware=snp.report, runtime=runtime)
        return Evidence(
            kind=EvidenceKind.AZURE_SNP,
            report=dataclasses.replace(report, **(hcl or {})).encode(),
            certificates=snp.certificates,
            parts=self.parts(quote, **parts),
        )

    def tdx_evidence(
        self,
        quote: MockQuote | None = None,
        *,
        td: MockTd | None = None,
        runtime: bytes | None = None,
        hardware: bytes | None = None,
        hcl: Mapping[str, Any] | None = None,
        **parts: bytes,
    ) -> Evidence:
        """Return evidence of this VM on TDX, as `snp_evidence`.

        `td` are other fields of the trust domain; its report_data is bound unless it has one.
        `hardware` is another TDREPORT than that of the quoted trust domain.
        """
        runtime = self.runtime() if runtime is None else runtime
        td = td or MockTd()
        if not any(td.report_data):
            td = dataclasses.replace(td, report_data=bind_runtime(runtime))
        version = 4 if td.mr_service_td is None else 5
        quoted = self.intel.quote(MockTdQuote(body=td, version=version))
        report = MockHcl(hardware=hardware or tdreport(td), runtime=runtime, report_type=4)
        return Evidence(
            kind=EvidenceKind.AZURE_TDX,
            report=dataclasses.replace(report, **(hcl or {})).encode(),
            certificates=(),
            parts=self.parts(quote, **{"td_quote": quoted, **parts}),
        )

    def parts(self, quote: MockQuote | None = None, **changes: bytes) -> dict[str, bytes]:
        """Return the vTPM's parts of the evidence, with the signature as its bare octets."""
        quote = quote or MockQuote()
        message = quote.encode()
        usual = {
            "tpm_quote": message,
            "tpm_signature": self.tpm.sign(message)[6:],
            "pcrs": quote.values,
        }
        return {**usual, **changes}


def tdreport(td: MockTd) -> bytes:
    """Return the TDREPORT of `td`; its MAC is zeros, for nobody but the processor can check it."""
    pieces = {
        0: b"\x81",
        128: td.report_data,
        264: td.tee_tcb_svn,
        280: td.mr_seam,
        328: td.mr_signer_seam,
        384: td.tee_tcb_svn2,
        512: td.td_attributes,
        520: td.xfam,
        528: td.mr_td,
        576: td.mr_config_id,
        624: td.mr_owner,
        672: td.mr_owner_config,
        720: b"".join(td.rt_mr),
        912: td.mr_service_td or bytes(48),
    }
    report = bytearray(1024)
    for offset, piece in pieces.items():
        report[offset : offset + len(piece)] = piece
    return bytes(report)


def bind_runtime(runtime: bytes) -> bytes:
    """Return the report_data that binds `runtime`: its SHA-256 and 32 zeros."""
    return hashlib.sha256(runtime).digest() + bytes(32)
