"""A mock of NVIDIA's hierarchies for devices and RIMs: crypto-valid, and INSECURE.

Anybody can make one. Makes reports, certificates and reference measurements with any field changed,
so that an attack on the verifier is two lines.
"""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from typing import Any

from sealtune.attestation.anchors import RootUse, TrustAnchors, vendor_anchors
from sealtune.attestation.evidence import Evidence, EvidenceKind
from sealtune.attestation.nvidia_device import OID_COMPOSITE_DEVICE, OID_TCB_INFO
from sealtune.core.digest import sha256_digest
from sealtune.crypto import der
from sealtune.crypto.der import Tag
from sealtune.crypto.ecdsa import P384Key
from sealtune.crypto.extensions import Extension
from sealtune.crypto.x509 import parse_certificate
from sealtune.crypto.x509_builder import (
    CertificateFields,
    OcspFields,
    authority_extensions,
    build_certificate,
    build_ocsp_response,
    key_usage_extension,
)

_ORGANIZATION = "INSECURE sealtune mock, not NVIDIA"
_OID_SHA384 = "2.16.840.1.101.3.4.2.2"
_DIGITAL_SIGNATURE = 0
RIM_SIGNER_SERIAL = 4
_LIFETIME = timedelta(days=3650)
_SWID = "http://standards.iso.org/iso/19770/-2/2015/schema.xsd"
_DS = "http://www.w3.org/2000/09/xmldsig#"
_SHA384 = "http://www.w3.org/2001/04/xmlenc#sha384"
# Canonical as it stands, with the namespaces that it inherits.
_SIGNED_INFO = (
    '<ds:SignedInfo xmlns="{swid}" xmlns:ds="{ds}" xmlns:ns2="{sha384}">'
    '<ds:CanonicalizationMethod Algorithm="http://www.w3.org/2006/12/xml-c14n11">'
    "</ds:CanonicalizationMethod>"
    '<ds:SignatureMethod Algorithm="http://www.w3.org/2001/04/xmldsig-more#ecdsa-sha384">'
    "</ds:SignatureMethod>"
    '<ds:Reference URI=""><ds:Transforms>'
    '<ds:Transform Algorithm="http://www.w3.org/2000/09/xmldsig#enveloped-signature">'
    "</ds:Transform>"
    '<ds:Transform Algorithm="http://www.w3.org/2006/12/xml-c14n11"></ds:Transform>'
    "</ds:Transforms>"
    '<ds:DigestMethod Algorithm="http://www.w3.org/2001/04/xmldsig-more#sha384">'
    "</ds:DigestMethod>"
    "<ds:DigestValue>{digest}</ds:DigestValue></ds:Reference></ds:SignedInfo>"
)


@dataclass(frozen=True, slots=True, kw_only=True)
class MockDevice:
    """What the certificates of a mock device say; `serial` is the number of its ROM's key."""

    chip: str = "GH100"
    rom_chip: str | None = None
    provisioner: str = "NVIDIA GH100 Provisioner ICA 1"
    serial: int = 0x41_0123456789ABCDEF
    leaf_serial: int = 0x5A5A
    fwid: bytes = hashlib.sha384(b"INSECURE mock firmware").digest()
    leaf_extensions: Mapping[str, bytes] | None = None
    leaf_usage: int = _DIGITAL_SIGNATURE
    not_before: datetime | None = None
    not_after: datetime | None = None


HOPPER = MockDevice()
BLACKWELL = MockDevice(chip="GB20X", provisioner="NVIDIA GB202 Provisioner ICA 00000")
SWITCH = MockDevice(chip="LS_10", provisioner="NVIDIA LS_10 Provisioner ICA 1")


@dataclass(frozen=True, slots=True, kw_only=True)
class MockReport:
    """A report field by field; `blocks` and `opaque` are (number, value) in the order written."""

    nonce: bytes = bytes(32)
    response_nonce: bytes = b"\x11" * 32
    request: tuple[int, int, int, int] = (0x11, 0xE0, 0x01, 0xFF)
    slot: int = 0
    response: tuple[int, int, int, int] = (0x11, 0x60, 0x00, 0x00)
    count: int | None = None
    blocks: tuple[tuple[int, bytes], ...] = tuple(
        (index, hashlib.sha384(bytes((index,))).digest()) for index in range(1, 65)
    )
    opaque: tuple[tuple[int, bytes], ...] = (
        (6, bytes.fromhex("005e009601000000")),
        (15, b"882\0\0"),
        (17, b"1010\0"),
        (18, b"0200\0"),
        (3, b"550.90.07\0"),
        (11, b"\x55"),
        (20, HOPPER.fwid),
        (21, b"\xaa"),
    )
    opaque_head: bytes = b""
    opaque_tail: bytes = b""

    def with_opaque(self, **values: bytes | None) -> MockReport:
        """Return the report with fields `f3=...` replaced or, where None, left out."""
        changes = {int(name[1:]): value for name, value in values.items()}
        kept = dict(self.opaque) | changes
        return replace(
            self,
            opaque=tuple((number, value) for number, value in kept.items() if value is not None),
        )

    def signed_bytes(self) -> bytes:
        """Return request and response without the signature."""
        record = b"".join(
            bytes((index, 1))
            + (len(value) + 3).to_bytes(2, "little")
            + b"\x01"
            + len(value).to_bytes(2, "little")
            + value
            for index, value in self.blocks
        )
        wide = b"\x01\x00" if self.opaque_head else b""
        fields = b"".join(
            number.to_bytes(2, "little") + wide + len(value).to_bytes(2, "little") + value
            for number, value in self.opaque
        )
        opaque = self.opaque_head + fields + self.opaque_tail
        count = len(self.blocks) if self.count is None else self.count
        return b"".join(
            (
                bytes(self.request),
                self.nonce,
                bytes((self.slot,)),
                bytes(self.response),
                bytes((count,)),
                len(record).to_bytes(3, "little"),
                record,
                self.response_nonce,
                len(opaque).to_bytes(2, "little"),
                opaque,
            )
        )


SWITCH_REPORT = replace(
    MockReport(), blocks=MockReport().blocks[:31], opaque=((6, b"96.10.55.00.01"), (22, bytes(8)))
)


@dataclass(frozen=True, slots=True, kw_only=True)
class MockRim:
    """A RIM: the accepted digests by index, and the `inactive` indices that are not compared."""

    product: str = "GH100"
    edition: str = "GPU"
    version: str = "550.90.07"
    tag_id: str = "00" * 48
    measurements: Mapping[int, tuple[bytes, ...]] = field(
        default_factory=lambda: {
            index: (dict(MockReport().blocks)[index + 1],) for index in (7, 21, 22, 35)
        }
    )
    inactive: tuple[int, ...] = (40, 41)

    def body(self) -> str:
        """Return what is in the document beside its signature, in canonical form."""
        listed = {index: (bytes(48),) for index in self.inactive} | dict(self.measurements)
        resources = "".join(
            self._resource(index, values) for index, values in sorted(listed.items())
        )
        return (
            '<Entity name="INSECURE mock" role="tagCreator"></Entity>'
            f'<Meta colloquialVersion="{self.version}" edition="{self.edition}" '
            f'product="{self.product}"></Meta><Payload>\n{resources}</Payload>'
        )

    def _resource(self, index: int, values: tuple[bytes, ...]) -> str:
        active = index in self.measurements
        hashes = " ".join(f'ns2:Hash{n}="{value.hex()}"' for n, value in enumerate(values))
        return (
            f'<Resource active="{active}" alternatives="{len(values)}" index="{index}" '
            f'name="Measurement_{index}" size="48" type="Measurement" {hashes}></Resource>\n'
        )


VBIOS_RIM = MockRim(
    version="96.00.5E.00.01",
    measurements={index: (dict(MockReport().blocks)[index + 1],) for index in range(4)},
)
SWITCH_RIM = replace(VBIOS_RIM, product="LS10", edition="SWITCH", version="96.10.55.00.01")


class MockNvidia:
    """The keys of both mock hierarchies, valid around `now`, and anything signed with them."""

    def __init__(self, *, now: datetime) -> None:
        self._now = now
        names = ("root", "identity", "provisioner", "device", "leaf")
        self.keys = {name: P384Key.generate() for name in names}
        self.rim_keys = {name: P384Key.generate() for name in ("root", "signer")}
        self._chains: dict[str, tuple[bytes, ...]] = {}
        # Issued once: ECDSA is randomized, and a root has to keep its digest.
        self.device_root = self._authority("mock device root", "mock device root", "root", "root")
        self.rim_root = self._issue(
            subject="mock RIM root",
            issuer="mock RIM root",
            spki=self.rim_keys["root"].spki,
            key=self.rim_keys["root"],
            extensions=authority_extensions(path_length=None),
        )

    @property
    def anchors(self) -> TrustAnchors:
        """The vendors' roots and both mock roots."""
        device, rim = sha256_digest(self.device_root), sha256_digest(self.rim_root)
        anchors = vendor_anchors().with_insecure_root(
            device, use=RootUse.NVIDIA_DEVICE, product=None
        )
        return anchors.with_insecure_root(rim, use=RootUse.NVIDIA_RIM, product=None)

    def evidence(
        self,
        report: MockReport | None = None,
        *,
        device: MockDevice = HOPPER,
        kind: EvidenceKind = EvidenceKind.NVIDIA_GPU,
    ) -> Evidence:
        """Return evidence of `device` with `report`, by default an honest Hopper GPU's."""
        signed = (report or MockReport()).signed_bytes()
        return Evidence(
            kind=kind, report=signed + self.sign(signed), certificates=self.chain(device)
        )

    def switch(self, report: MockReport = SWITCH_REPORT) -> Evidence:
        """Return evidence of an honest switch."""
        return self.evidence(report, device=SWITCH, kind=EvidenceKind.NVIDIA_SWITCH)

    def sign(self, message: bytes) -> bytes:
        """Return the signature over a report, as a device writes it."""
        r, s = self.keys["leaf"].sign(message)
        return r.to_bytes(48, "big") + s.to_bytes(48, "big")

    def chain(self, device: MockDevice) -> tuple[bytes, ...]:
        """Return the certificates of a device, leaf first."""
        text = repr(device)
        if text not in self._chains:
            name = f"{device.rom_chip or device.chip} A01 GSP BROM"
            self._chains[text] = (
                self._leaf(device, issuer=name),
                self._authority(
                    name, device.provisioner, "device", "provisioner", serial=device.serial
                ),
                self._authority(
                    device.provisioner, "mock identity", "provisioner", "identity", serial=3
                ),
                self._authority("mock identity", "mock device root", "identity", "root", serial=2),
                self.device_root,
            )
        return self._chains[text]

    def _leaf(self, device: MockDevice, *, issuer: str) -> bytes:
        values = device.leaf_extensions
        if values is None:
            values = dice_extension(device)
        extensions = {oid: Extension(critical=False, value=value) for oid, value in values.items()}
        return self._issue(
            subject=f"{device.chip} A01 GSP FMC LF",
            issuer=issuer,
            spki=self.keys["leaf"].spki,
            key=self.keys["device"],
            serial=device.leaf_serial,
            not_before=device.not_before,
            not_after=device.not_after,
            extensions=extensions | key_usage_extension(device.leaf_usage),
        )

    def _authority(
        self, subject: str, issuer: str, key: str, signer: str, *, serial: int = 1
    ) -> bytes:
        return self._issue(
            subject=subject,
            issuer=issuer,
            spki=self.keys[key].spki,
            key=self.keys[signer],
            serial=serial,
            extensions=authority_extensions(path_length=None),
        )

    def _issue(
        self,
        *,
        subject: str,
        issuer: str,
        spki: bytes,
        key: P384Key,
        extensions: Mapping[str, Extension],
        serial: int = 1,
        not_before: datetime | None = None,
        not_after: datetime | None = None,
    ) -> bytes:
        return build_certificate(
            CertificateFields(
                serial=serial,
                issuer=_name(issuer),
                subject=_name(subject),
                not_before=not_before or self._now - _LIFETIME,
                not_after=not_after or self._now + _LIFETIME,
                spki=spki,
                extensions=extensions,
            ),
            key=key,
        )

    def rim(self, rim: MockRim, **signer: Any) -> bytes:
        """Return `rim`, signed; `signer` is its signer's `serial`, `not_before` or `not_after`."""
        return self.sign_rim(rim.body(), tag_id=rim.tag_id, certificates=self.rim_chain(**signer))

    def rim_chain(self, *, serial: int = RIM_SIGNER_SERIAL, **validity: Any) -> tuple[bytes, ...]:
        """Return the certificates of the RIM's signer and the mock root."""
        signer = self._issue(
            subject=f"mock RIM signer {serial}",
            issuer="mock RIM root",
            spki=self.rim_keys["signer"].spki,
            key=self.rim_keys["root"],
            serial=serial,
            extensions=key_usage_extension(_DIGITAL_SIGNATURE),
            **validity,
        )
        return (signer, self.rim_root)

    def sign_rim(
        self,
        body: str,
        *,
        tag_id: str = "00" * 48,
        certificates: tuple[bytes, ...] | None = None,
        signed_info: str = _SIGNED_INFO,
    ) -> bytes:
        """Return the document with `body` (canonical), signed; `signed_info` is a template."""
        head = f'<SoftwareIdentity xmlns="{_SWID}" xmlns:ns2="{_SHA384}" name="x" tagId="{tag_id}">'
        digest = hashlib.sha384(f"{head}{body}</SoftwareIdentity>".encode()).digest()
        names = {"swid": _SWID, "ds": _DS, "sha384": _SHA384}
        info = signed_info.format(digest=_base64(digest), **names)
        r, s = self.rim_keys["signer"].sign(info.encode())
        value = _base64(r.to_bytes(48, "big") + s.to_bytes(48, "big"))
        listed = "".join(
            f"<ds:X509Certificate>{_base64(item)}</ds:X509Certificate>"
            for item in (certificates or self.rim_chain())
        )
        return (
            f'{head}{body}<ds:Signature xmlns:ds="{_DS}">{info}'
            f"<ds:SignatureValue>{value}</ds:SignatureValue>"
            f"<ds:KeyInfo><ds:X509Data>{listed}</ds:X509Data></ds:KeyInfo></ds:Signature>"
            "</SoftwareIdentity>"
        ).encode()

    def ocsp(self, device: MockDevice, position: int, **changes: Any) -> bytes:
        """Return the response about the certificate at `position` of a device's chain."""
        pair = self.chain(device)[position : position + 2]
        signers = ("leaf", "device", "provisioner", "identity", "root")
        return self._status(pair, key=self.keys[signers[position + 1]], **changes)

    def rim_ocsp(self, *, serial: int = RIM_SIGNER_SERIAL, **changes: Any) -> bytes:
        """Return the response about the signer of RIMs with this serial number."""
        return self._status(self.rim_chain(serial=serial), key=self.rim_keys["root"], **changes)

    def _status(self, pair: tuple[bytes, ...], *, key: P384Key, **changes: Any) -> bytes:
        about, issuer = map(parse_certificate, pair)
        fields = OcspFields(
            about=about,
            issuer=issuer,
            responder=issuer,
            this_update=self._now - timedelta(hours=1),
            next_update=self._now + timedelta(hours=23),
            revoked=None,
        )
        return build_ocsp_response(replace(fields, **changes), key=key)


def dice_extension(
    device: MockDevice, *, flags: bytes = b"\x00\x80\x00\x00\x01"
) -> dict[str, bytes]:
    """Return the extension that says which firmware the leaf was issued for, as `device` has it.

    `flags` is the content of the BIT STRING of DICE's operational flags.
    """
    fwid = der.encode(
        Tag.SEQUENCE, der.encode_oid(_OID_SHA384), der.encode(Tag.OCTET_STRING, device.fwid)
    )
    if not device.chip.startswith("GB"):
        key = P384Key.generate().spki
        return {
            OID_COMPOSITE_DEVICE: der.encode(Tag.SEQUENCE, der.encode_integer(1), key, fwid),
        }
    info = (der.encode(0x80, b"NVIDIA"), der.encode(0xA6, fwid, fwid), der.encode(0x87, flags))
    return {OID_TCB_INFO: der.encode(Tag.SEQUENCE, *info)}


def _base64(data: bytes) -> str:
    return base64.b64encode(data).decode()


def _name(common_name: str) -> tuple[tuple[str, str], ...]:
    return (("2.5.4.10", _ORGANIZATION), ("2.5.4.3", common_name))
