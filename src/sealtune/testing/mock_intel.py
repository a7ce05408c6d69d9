"""A mock of Intel's key hierarchy: crypto-valid, and INSECURE because anybody can make one.

`MockIntel` makes quotes, PCK certificates, TCB documents and revocation lists with any field
changed, so that an attack on the verifier, or a platform that no recorded evidence shows, is two
lines. dcap-qvl accepts what it makes once it is told this root.
"""

from __future__ import annotations

import base64
import hashlib
import json
import textwrap
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from typing import Any

from sealtune.attestation.anchors import RootUse, TrustAnchors, vendor_anchors
from sealtune.attestation.dcap_endorsements import compose_dcap
from sealtune.attestation.dcap_pck import PCK_NAME, ROOT_NAME, SGX_OID, TCB_SIGNING_NAME, PckCa
from sealtune.attestation.dcap_quote import INTEL_QE_VENDOR
from sealtune.attestation.endorsements import Endorsement, Endorsements, EndorsementType
from sealtune.attestation.evidence import Evidence, EvidenceKind
from sealtune.core.digest import Digest, sha256_digest
from sealtune.crypto import der
from sealtune.crypto.der import Tag
from sealtune.crypto.ecdsa import P256Key
from sealtune.crypto.x509 import Extension, parse_certificate
from sealtune.crypto.x509_builder import (
    CertificateFields,
    CrlFields,
    authority_extensions,
    build_certificate,
    build_crl,
    key_usage_extension,
)

_ORGANIZATION = "INSECURE sealtune mock, not Intel"
_OID_CRL_NUMBER = "2.5.29.20"
_OID_AUTHORITY_KEY = "2.5.29.35"
_OID_BASIC_CONSTRAINTS = "2.5.29.19"
_DIGITAL_SIGNATURE, _NON_REPUDIATION = 0, 1
_QE_SIGNER = hashlib.sha256(b"INSECURE mock quoting enclave").digest()
_SEPT_VE_DISABLE = 1 << 28
# What the quoting enclave's own ATTRIBUTES are: initialized, 64 bit, provisioning key.
_QE_ATTRIBUTES = bytes.fromhex("1500000000000000e700000000000000")


@dataclass(frozen=True, slots=True, kw_only=True)
class MockPck:
    """What a mock PCK certificate says; None leaves a field out.

    `extension` replaces the whole SGX extension, or leaves it out where it is b"". `issuer` is
    another name for its authority.
    """

    ca: PckCa = PckCa.PLATFORM
    ppid: bytes = hashlib.sha256(b"INSECURE mock platform").digest()[:16]
    components: tuple[int, ...] = (5,) * 16
    pce_svn: int = 11
    pce_id: bytes = bytes(2)
    fmspc: bytes = bytes.fromhex("00806f050000")
    sgx_type: int = 1
    platform_instance_id: bytes | None = bytes(range(16))
    dynamic_platform: bool | None = True
    cached_keys: bool | None = True
    smt_enabled: bool | None = True
    serial: int = 7001
    subject: str = PCK_NAME
    issuer: str = ""
    not_before: datetime | None = None
    not_after: datetime | None = None
    extension: bytes | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class MockTd:
    """The body of a mock TD report; one of TDX 1.5 where `mr_service_td` is not None."""

    tee_tcb_svn: bytes = bytes((5, 1, 5)) + bytes(13)
    mr_seam: bytes = b"\x5e" * 48
    mr_signer_seam: bytes = bytes(48)
    seam_attributes: bytes = bytes(8)
    td_attributes: bytes = _SEPT_VE_DISABLE.to_bytes(8, "little")
    xfam: bytes = bytes.fromhex("e702060000000000")
    mr_td: bytes = bytes(48)
    mr_config_id: bytes = bytes(48)
    mr_owner: bytes = bytes(48)
    mr_owner_config: bytes = bytes(48)
    rt_mr: tuple[bytes, bytes, bytes, bytes] = (bytes(48), bytes(48), bytes(48), bytes(48))
    report_data: bytes = bytes(64)
    tee_tcb_svn2: bytes = bytes((5, 1, 5)) + bytes(13)
    mr_service_td: bytes | None = None

    def to_bytes(self) -> bytes:
        """Return the report's 584 or 648 bytes."""
        base = b"".join(
            (
                self.tee_tcb_svn,
                self.mr_seam,
                self.mr_signer_seam,
                self.seam_attributes,
                self.td_attributes,
                self.xfam,
                self.mr_td,
                self.mr_config_id,
                self.mr_owner,
                self.mr_owner_config,
                *self.rt_mr,
                self.report_data,
            )
        )
        return base if self.mr_service_td is None else base + self.tee_tcb_svn2 + self.mr_service_td


@dataclass(frozen=True, slots=True, kw_only=True)
class MockSgx:
    """The body of a mock SGX report: an enclave, or with other values the quoting enclave."""

    cpu_svn: bytes = bytes(16)
    misc_select: int = 0
    reserved1: bytes = bytes(12)
    isv_ext_prod_id: bytes = bytes(16)
    attributes: bytes = bytes.fromhex("0500000000000000e700000000000000")
    mr_enclave: bytes = bytes(32)
    mr_signer: bytes = bytes(32)
    config_id: bytes = bytes(64)
    isv_prod_id: int = 0
    isv_svn: int = 0
    config_svn: int = 0
    isv_family_id: bytes = bytes(16)
    report_data: bytes = bytes(64)

    def to_bytes(self) -> bytes:
        """Return the report's 384 bytes."""
        return b"".join(
            (
                self.cpu_svn,
                self.misc_select.to_bytes(4, "little"),
                self.reserved1,
                self.isv_ext_prod_id,
                self.attributes,
                self.mr_enclave,
                bytes(32),
                self.mr_signer,
                bytes(32),
                self.config_id,
                self.isv_prod_id.to_bytes(2, "little"),
                self.isv_svn.to_bytes(2, "little"),
                self.config_svn.to_bytes(2, "little"),
                bytes(42),
                self.isv_family_id,
                self.report_data,
            )
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class MockQuote:
    """A mock quote: of an enclave (version 3) or a trust domain (4 or 5), and who vouches for it.

    `qe` is the quoting enclave's report; its report_data is filled in. `padding` follows the quote.
    """

    body: MockTd | MockSgx = field(default_factory=MockTd)
    version: int = 4
    pck: MockPck = field(default_factory=MockPck)
    qe: MockSgx | None = None
    qe_auth_data: bytes = bytes(range(32))
    user_data: bytes = bytes(20)
    padding: bytes = b""

    @property
    def is_td(self) -> bool:
        """Whether it speaks for a trust domain."""
        return isinstance(self.body, MockTd)


SGX_QUOTE = MockQuote(body=MockSgx(), version=3)


def mock_qe(*, is_td: bool) -> MockSgx:
    """Return the report of the quoting enclave that `MockIntel.qe_identity` names."""
    return MockSgx(
        attributes=_QE_ATTRIBUTES, mr_signer=_QE_SIGNER, isv_prod_id=2 if is_td else 1, isv_svn=8
    )


class MockIntel:
    """The keys of a mock hierarchy, and quotes and endorsements of any shape signed with them."""

    def __init__(self, *, now: datetime) -> None:
        self.root_key, self.tcb_key, self.pck_key, self.attestation_key = (
            P256Key.generate() for _ in range(4)
        )
        self.ca_keys = {ca: P256Key.generate() for ca in PckCa}
        self._now = now
        # Issued once: ECDSA is randomized, and a root has to keep its digest.
        self._certificates: dict[str, bytes] = {}

    # -- certificates ------------------------------------------------------------------------------

    @property
    def root_certificate(self) -> bytes:
        """The mock root."""
        return self.authority(ROOT_NAME, self.root_key)

    @property
    def root(self) -> Digest:
        """The digest of the mock root."""
        return sha256_digest(self.root_certificate)

    def anchors(self) -> TrustAnchors:
        """Return the vendors' roots and this mock's root."""
        return vendor_anchors().with_insecure_root(self.root, use=RootUse.INTEL_SGX, product=None)

    def authority(self, name: str, key: P256Key) -> bytes:
        """Return the certificate of the authority `name`, signed by the root."""
        if name not in self._certificates:
            extensions = authority_extensions(path_length=1 if name == ROOT_NAME else 0)
            self._certificates[name] = self._issue(name, key, extensions)
        return self._certificates[name]

    @property
    def tcb_signing(self) -> bytes:
        """The certificate of the key that signs TCB documents."""
        if TCB_SIGNING_NAME not in self._certificates:
            self._certificates[TCB_SIGNING_NAME] = self._issue(
                TCB_SIGNING_NAME, self.tcb_key, _leaf_extensions()
            )
        return self._certificates[TCB_SIGNING_NAME]

    def _issue(self, name: str, key: P256Key, extensions: Mapping[str, Extension]) -> bytes:
        fields = CertificateFields(
            serial=_serial(name),
            issuer=_name(ROOT_NAME),
            subject=_name(name),
            not_before=self._now - timedelta(days=400),
            not_after=self._now + timedelta(days=3650),
            spki=key.spki,
            extensions=extensions,
        )
        return build_certificate(fields, key=self.root_key)

    def pck_chain(self, pck: MockPck) -> tuple[bytes, bytes, bytes]:
        """Return the certificates of the PCK, its authority and the root."""
        issuer = pck.issuer or pck.ca.common_name
        extension = pck_extension(pck) if pck.extension is None else pck.extension
        sgx = {SGX_OID: Extension(critical=False, value=extension)} if extension else {}
        fields = CertificateFields(
            serial=pck.serial,
            issuer=_name(issuer),
            subject=_name(pck.subject),
            not_before=pck.not_before or self._now - timedelta(days=200),
            not_after=pck.not_after or self._now + timedelta(days=7 * 365),
            spki=self.pck_key.spki,
            extensions={**_leaf_extensions(), **sgx},
        )
        leaf = build_certificate(fields, key=self.ca_keys[pck.ca])
        return leaf, self.authority(issuer, self.ca_keys[pck.ca]), self.root_certificate

    # -- quotes ------------------------------------------------------------------------------------

    def quote(self, quote: MockQuote) -> bytes:
        """Return the bytes of `quote`, signed."""
        signed = signed_part(quote)
        key = _point(self.attestation_key)
        binding = hashlib.sha256(key + quote.qe_auth_data).digest().ljust(64, b"\0")
        qe = replace(quote.qe or mock_qe(is_td=quote.is_td), report_data=binding).to_bytes()
        chain = pem(*self.pck_chain(quote.pck)).encode() + b"\0"
        return (
            assemble_quote(
                signed,
                signature=raw_signature(self.attestation_key, signed),
                key=key,
                qe=qe,
                qe_signature=raw_signature(self.pck_key, qe),
                qe_auth_data=quote.qe_auth_data,
                chain=chain,
                nested=quote.version > 3,
            )
            + quote.padding
        )

    def evidence(self, quote: MockQuote, *, event_log: bytes | None = None) -> Evidence:
        """Return evidence with `quote` and, if given, an event log."""
        return Evidence(
            kind=EvidenceKind.TDX if quote.is_td else EvidenceKind.SGX,
            report=self.quote(quote),
            certificates=(),
            parts={} if event_log is None else {"event_log": event_log},
        )

    # -- endorsements ------------------------------------------------------------------------------

    def tcb_info(self, pck: MockPck, *, is_td: bool, **changes: Any) -> dict[str, Any]:
        """Return TCB info that finds the platform of `pck` up to date; `changes` are members."""
        level = tcb_level(pck, is_td=is_td)
        module = {
            "mrsigner": "00" * 48,
            "attributes": "00" * 8,
            "attributesMask": "FF" * 8,
        }
        identity = {"id": "TDX_01", **module, "tcbLevels": [isv_level(5)]}
        td = {"tdxModule": module, "tdxModuleIdentities": [identity]}
        return {
            "id": "TDX" if is_td else "SGX",
            "version": 3,
            **self._dates(),
            "fmspc": pck.fmspc.hex().upper(),
            "pceId": pck.pce_id.hex().upper(),
            "tcbType": 0,
            "tcbEvaluationDataNumber": 20,
            **(td if is_td else {}),
            "tcbLevels": [level],
            **changes,
        }

    def qe_identity(self, *, is_td: bool, **changes: Any) -> dict[str, Any]:
        """Return the identity of `mock_qe`, up to date; `changes` are members."""
        return {
            "id": "TD_QE" if is_td else "QE",
            "version": 2,
            **self._dates(),
            "tcbEvaluationDataNumber": 20,
            "miscselect": "00000000",
            "miscselectMask": "FFFFFFFF",
            "attributes": "11000000000000000000000000000000",
            "attributesMask": "FBFFFFFFFFFFFFFF0000000000000000",
            "mrsigner": _QE_SIGNER.hex().upper(),
            "isvprodid": 2 if is_td else 1,
            "tcbLevels": [isv_level(8)],
            **changes,
        }

    def _dates(self) -> dict[str, str]:
        return {
            "issueDate": moment(self._now - timedelta(days=2)),
            "nextUpdate": moment(self._now + timedelta(days=28)),
        }

    def crl(
        self,
        issuer: str,
        *,
        revoked: tuple[int, ...] = (),
        since: datetime | None = None,
        until: datetime | None = None,
    ) -> bytes:
        """Return the revocation list of the authority named `issuer`."""
        keys = {ROOT_NAME: self.root_key, **{ca.common_name: self.ca_keys[ca] for ca in PckCa}}
        key_id = hashlib.sha1(keys[issuer].spki, usedforsecurity=False).digest()
        fields = CrlFields(
            issuer=_name(issuer),
            this_update=since or self._now - timedelta(days=2),
            next_update=until or self._now + timedelta(days=28),
            revoked=dict.fromkeys(revoked, 1),
            extensions={
                _OID_CRL_NUMBER: Extension(critical=False, value=der.encode_integer(1)),
                _OID_AUTHORITY_KEY: Extension(
                    critical=False, value=der.encode(Tag.SEQUENCE, der.encode(0x80, key_id))
                ),
            },
        )
        return build_crl(fields, key=keys[issuer])

    def signed_body(self, name: str, value: Mapping[str, Any]) -> bytes:
        """Return `value` as a PCS answers: the member `name` and the signature over its text."""
        text = json.dumps(value, separators=(",", ":"))
        signature = raw_signature(self.tcb_key, text.encode()).hex()
        return f'{{"{name}":{text},"signature":"{signature}"}}'.encode()

    def endorsement(
        self,
        quote: MockQuote,
        *,
        tcb_info: Mapping[str, Any] | None = None,
        qe_identity: Mapping[str, Any] | None = None,
        pck_crl: bytes | None = None,
        root_crl: bytes | None = None,
    ) -> bytes:
        """Return the DCAP endorsement for the platform of `quote`, with parts replaced."""
        is_td, ca = quote.is_td, quote.pck.ca.common_name
        signing = pem(self.tcb_signing, self.root_certificate).encode()
        authority = self.authority(ca, self.ca_keys[quote.pck.ca])
        return compose_dcap(
            tcb_info=self.signed_body("tcbInfo", tcb_info or self.tcb_info(quote.pck, is_td=is_td)),
            tcb_info_issuer_chain=signing,
            qe_identity=self.signed_body(
                "enclaveIdentity", qe_identity or self.qe_identity(is_td=is_td)
            ),
            qe_identity_issuer_chain=signing,
            pck_crl=pck_crl or self.crl(ca),
            pck_crl_issuer_chain=pem(authority, self.root_certificate).encode(),
            root_ca_crl=root_crl or self.crl(ROOT_NAME),
        )

    def endorsements(self, quote: MockQuote, **parts: Any) -> Endorsements:
        """Return `endorsement` as the only one."""
        return dcap_endorsements(self.endorsement(quote, **parts))

    def serial_of(self, name: str) -> int:
        """Return the serial number of the authority `name`, or of the TCB signing certificate."""
        certificates = {
            TCB_SIGNING_NAME: self.tcb_signing,
            ROOT_NAME: self.root_certificate,
            **{ca.common_name: self.authority(ca.common_name, self.ca_keys[ca]) for ca in PckCa},
        }
        return parse_certificate(certificates[name]).serial


def dcap_endorsements(*documents: bytes) -> Endorsements:
    """Return `documents` as endorsements."""
    return Endorsements(
        items=tuple(Endorsement(type=EndorsementType.DCAP, data=data) for data in documents)
    )


def tcb_level(
    pck: MockPck, *, is_td: bool, status: str = "UpToDate", advisories: tuple[str, ...] = ()
) -> dict[str, Any]:
    """Return a TCB level that the platform of `pck` just reaches."""
    tdx = [{"svn": value} for value in MockTd().tee_tcb_svn]
    return {
        "tcb": {
            "sgxtcbcomponents": [{"svn": value} for value in pck.components],
            "pcesvn": pck.pce_svn,
            **({"tdxtcbcomponents": tdx} if is_td else {}),
        },
        "tcbDate": "2026-03-01T00:00:00Z",
        "tcbStatus": status,
        **({"advisoryIDs": [*advisories]} if advisories else {}),
    }


def isv_level(svn: int, *, status: str = "UpToDate") -> dict[str, Any]:
    """Return a level of a module or quoting enclave."""
    return {"tcb": {"isvsvn": svn}, "tcbDate": "2026-03-01T00:00:00Z", "tcbStatus": status}


def moment(value: datetime) -> str:
    """Return `value` as Intel's documents spell it."""
    return value.strftime("%Y-%m-%dT%H:%M:%SZ")


def pem(*certificates: bytes) -> str:
    """Return `certificates` in PEM."""
    return "".join(
        "\n".join(
            (
                "-----BEGIN CERTIFICATE-----",
                *textwrap.wrap(base64.b64encode(certificate).decode(), 64),
                "-----END CERTIFICATE-----\n",
            )
        )
        for certificate in certificates
    )


def pck_extension(pck: MockPck) -> bytes:
    """Return the SGX extension that says what `pck` says."""
    tcb = [
        *(
            (f"2.{index}", der.encode_integer(value))
            for index, value in enumerate(pck.components, 1)
        ),
        ("2.17", der.encode_integer(pck.pce_svn)),
        ("2.18", der.encode(Tag.OCTET_STRING, bytes(pck.components))),
    ]
    flags = [
        (f"7.{index}", der.encode(Tag.BOOLEAN, b"\xff" if flag else b"\0"))
        for index, flag in enumerate(
            (pck.dynamic_platform, pck.cached_keys, pck.smt_enabled), start=1
        )
        if flag is not None
    ]
    fields = [
        ("1", der.encode(Tag.OCTET_STRING, pck.ppid)),
        ("2", _listing(tcb)),
        ("3", der.encode(Tag.OCTET_STRING, pck.pce_id)),
        ("4", der.encode(Tag.OCTET_STRING, pck.fmspc)),
        ("5", der.encode(Tag.ENUMERATED, bytes((pck.sgx_type,)))),
    ]
    if pck.platform_instance_id is not None:
        fields.append(("6", der.encode(Tag.OCTET_STRING, pck.platform_instance_id)))
    if flags:
        fields.append(("7", _listing(flags)))
    return _listing(fields)


def _listing(fields: list[tuple[str, bytes]]) -> bytes:
    return der.encode(
        Tag.SEQUENCE,
        *(
            der.encode(Tag.SEQUENCE, der.encode_oid(f"{SGX_OID}.{arc}"), value)
            for arc, value in fields
        ),
    )


def assemble_quote(
    signed: bytes,
    *,
    signature: bytes,
    key: bytes,
    qe: bytes,
    qe_signature: bytes,
    qe_auth_data: bytes,
    chain: bytes,
    nested: bool,
) -> bytes:
    """Return a quote of these parts, whether or not they belong together."""
    auth = len(qe_auth_data).to_bytes(2, "little") + qe_auth_data
    inner = qe + qe_signature + auth + _certification(5, chain)
    data = signature + key + (_certification(6, inner) if nested else inner)
    return signed + len(data).to_bytes(4, "little") + data


def _certification(kind: int, data: bytes) -> bytes:
    return kind.to_bytes(2, "little") + len(data).to_bytes(4, "little") + data


def signed_part(quote: MockQuote) -> bytes:
    """Return the header and body of `quote`."""
    body = quote.body.to_bytes()
    header = b"".join(
        (
            quote.version.to_bytes(2, "little"),
            (2).to_bytes(2, "little"),
            (0x81 if quote.is_td else 0).to_bytes(4, "little"),
            bytes(4),
            INTEL_QE_VENDOR,
            quote.user_data,
        )
    )
    if quote.version < 5:
        return header + body
    kind = 2 if len(body) == len(MockTd().to_bytes()) else 3
    return header + kind.to_bytes(2, "little") + len(body).to_bytes(4, "little") + body


def _point(key: P256Key) -> bytes:
    # The point stands uncompressed at the end of a P-256 SubjectPublicKeyInfo.
    return key.spki[-64:]


def raw_signature(key: P256Key, message: bytes) -> bytes:
    """Return r || s of the signature of `key` over `message`."""
    r, s = key.sign(message)
    return r.to_bytes(32, "big") + s.to_bytes(32, "big")


def _serial(name: str) -> int:
    return int.from_bytes(hashlib.sha256(name.encode()).digest()[:8], "big") | 1


def _name(common_name: str) -> tuple[tuple[str, str], ...]:
    return (("2.5.4.3", common_name), ("2.5.4.10", _ORGANIZATION))


def _leaf_extensions() -> dict[str, Extension]:
    return {
        **key_usage_extension(_DIGITAL_SIGNATURE, _NON_REPUDIATION),
        _OID_BASIC_CONSTRAINTS: Extension(critical=True, value=der.encode(Tag.SEQUENCE)),
    }
