"""Intel's ECDSA quotes of SGX enclaves and trust domains: bytes and fields (spec/attestation §11).

Source: Intel, "SGX ECDSA Quote Library Reference" (v3, appendix A.4) and "TDX DCAP Quoting Library
API" (v4 and v5, appendix A.3). Parses strictly; verifies nothing. A quote may end in zero padding;
every other byte belongs to a field whose length is known, so that nothing rides along unread.
"""

from __future__ import annotations

import base64
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Final

from sealtune.core.limits import QUOTE_BYTES_MAX
from sealtune.crypto.x509 import certificates_from_pem
from sealtune.errors import Code, FormatError

HEADER_BYTES: Final = 48
SGX_BODY_BYTES: Final = 384
TD10_BODY_BYTES: Final = 584
TD15_BODY_BYTES: Final = 648
INTEL_QE_VENDOR: Final = bytes.fromhex("939a7233f79c4ca9940a0db3957f0607")

_ECDSA_P256 = 2
_TEE_SGX, _TEE_TDX = 0x00, 0x81
_CERTIFICATION_PEM_CHAIN = 5
_CERTIFICATION_QE_REPORT = 6
_TD_DEBUG_BYTE = 0xFF  # bits 7:0 are the "TD under debug" group: any of them means debug
_SGX_DEBUG = 1 << 1


class Tee(StrEnum):
    """What a quote speaks for, as Intel's TCB info names it."""

    SGX = "SGX"
    TDX = "TDX"


class Body(StrEnum):
    """The layouts of a quote's body."""

    SGX = "SgxEnclaveReport"
    TD10 = "TdReport10"
    TD15 = "TdReport15"


@dataclass(frozen=True, slots=True, kw_only=True)
class SgxReport:
    """A REPORT body of 384 bytes: an enclave, or the quoting enclave itself."""

    cpu_svn: bytes
    misc_select: int
    isv_ext_prod_id: bytes
    attributes: bytes
    mr_enclave: bytes
    mr_signer: bytes
    config_id: bytes
    isv_prod_id: int
    isv_svn: int
    config_svn: int
    isv_family_id: bytes
    report_data: bytes

    @property
    def debug(self) -> bool:
        """Whether a debugger may read the enclave (ATTRIBUTES.DEBUG)."""
        return bool(self.attributes[0] & _SGX_DEBUG)


@dataclass(frozen=True, slots=True, kw_only=True)
class TdReport:
    """A TD report; `tee_tcb_svn2` and `mr_service_td` exist from 1.5 on and are None before."""

    tee_tcb_svn: bytes
    mr_seam: bytes
    mr_signer_seam: bytes
    seam_attributes: bytes
    td_attributes: bytes
    xfam: bytes
    mr_td: bytes
    mr_config_id: bytes
    mr_owner: bytes
    mr_owner_config: bytes
    rt_mr: tuple[bytes, bytes, bytes, bytes]
    report_data: bytes
    tee_tcb_svn2: bytes | None
    mr_service_td: bytes | None

    @property
    def debug(self) -> bool:
        """Whether the host may read the trust domain (TD_ATTRIBUTES.TUD)."""
        return bool(self.td_attributes[0] & _TD_DEBUG_BYTE)


@dataclass(frozen=True, slots=True, kw_only=True)
class Quote:
    """A parsed quote; nothing about it is verified.

    `signed` is what `signature` (r || s) is over; `attestation_key` the point (x || y) that made
    it; `qe_report` the raw report whose REPORTDATA binds that key, signed by the PCK with
    `qe_signature`; `pck_chain` the certificates in DER, leaf first.
    """

    version: int
    tee: Tee
    layout: Body
    qe_svn: int
    pce_svn: int
    qe_vendor_id: bytes
    user_data: bytes
    body: SgxReport | TdReport
    signed: bytes = field(repr=False)
    signature: bytes
    attestation_key: bytes
    qe: SgxReport
    qe_report: bytes = field(repr=False)
    qe_signature: bytes
    qe_auth_data: bytes
    pck_chain: tuple[bytes, ...] = field(repr=False)


class _Reader:
    """Takes fields off the front of bytes; refuses to read past their end."""

    def __init__(self, data: bytes, *, what: str) -> None:
        self._data = data
        self._what = what
        self.offset = 0

    def take(self, size: int) -> bytes:
        piece = self._data[self.offset : self.offset + size]
        if len(piece) != size:
            raise _malformed(f"cut in {self._what}")
        self.offset += size
        return piece

    def number(self, size: int) -> int:
        return int.from_bytes(self.take(size), "little")

    def zeros(self, size: int) -> None:
        # A reserved byte that is set is a field that we do not know.
        if any(self.take(size)):
            raise _malformed(f"reserved bytes of {self._what} are not zero")

    def rest(self) -> bytes:
        return self.take(len(self._data) - self.offset)

    def finish(self) -> None:
        if self.offset != len(self._data):
            raise _malformed(f"{self._what} is longer than its fields")


def _malformed(reason: str) -> FormatError:
    return FormatError(Code.EVIDENCE_MALFORMED, f"quote: {reason}")


def parse_quote(data: bytes) -> Quote:
    """Return the quote that `data` holds.

    Raises:
        FormatError: larger than 16 KiB, of a version, body or key type that is not known, lengths
            that do not agree, reserved bytes that are set, or bytes other than zeros after it.
    """
    if len(data) > QUOTE_BYTES_MAX:
        raise FormatError(Code.LIMIT_EXCEEDED, f"quote: larger than {QUOTE_BYTES_MAX} bytes")
    reader = _Reader(data, what="the header or body")
    version, key_type, tee_type = reader.number(2), reader.number(2), reader.number(4)
    if version not in (3, 4, 5):
        raise FormatError(Code.EVIDENCE_VERSION, f"quote: version {version} is not known")
    if key_type != _ECDSA_P256:
        raise _malformed(f"attestation key type {key_type} is not ECDSA P-256")
    qe_svn, pce_svn = reader.number(2), reader.number(2)
    qe_vendor_id, user_data = reader.take(16), reader.take(20)
    if qe_vendor_id != INTEL_QE_VENDOR:
        raise _malformed("its quoting enclave is not Intel's")
    layout = _layout(version, tee_type, reader)
    body = _sgx_report(reader) if layout is Body.SGX else _td_report(reader, layout)
    signed = data[: reader.offset]
    signature_data = reader.take(reader.number(4))
    # Firmware and clouds hand out fixed-size buffers, so zeros may follow; anything else would be a
    # second spelling of the same quote, or a place to smuggle.
    if any(reader.rest()):
        raise _malformed("bytes after the signature data are not zero")
    parts = _signature_data(signature_data, nested=version > 3)
    return Quote(
        version=version,
        tee=Tee.SGX if layout is Body.SGX else Tee.TDX,
        layout=layout,
        qe_svn=qe_svn,
        pce_svn=pce_svn,
        qe_vendor_id=qe_vendor_id,
        user_data=user_data,
        body=body,
        signed=signed,
        signature=parts.signature,
        attestation_key=parts.attestation_key,
        qe=parse_sgx_report(parts.qe_report),
        qe_report=parts.qe_report,
        qe_signature=parts.qe_signature,
        qe_auth_data=parts.qe_auth_data,
        pck_chain=_pck_chain(parts.chain),
    )


def _layout(version: int, tee_type: int, reader: _Reader) -> Body:
    # v3 speaks for SGX only, v4 and v5 are read for TDX only: no SGX platform issues them.
    expected = _TEE_SGX if version == 3 else _TEE_TDX
    if tee_type != expected:
        raise _malformed(f"TEE type {tee_type:#x} in a quote of version {version}")
    if version == 3:
        return Body.SGX
    if version == 4:
        return Body.TD10
    body_type, size = reader.number(2), reader.number(4)
    known = {2: (Body.TD10, TD10_BODY_BYTES), 3: (Body.TD15, TD15_BODY_BYTES)}.get(body_type)
    if known is None:
        raise FormatError(Code.EVIDENCE_VERSION, f"quote: body type {body_type} is not known")
    if size != known[1]:
        raise _malformed(f"a {known[0]} of {size} bytes")
    return known[0]


def parse_sgx_report(data: bytes) -> SgxReport:
    """Return the REPORT body that `data`, 384 bytes, holds.

    Raises:
        FormatError: another length, or reserved bytes that are set.
    """
    reader = _Reader(data, what="an SGX report")
    report = _sgx_report(reader)
    reader.finish()
    return report


def _sgx_report(reader: _Reader) -> SgxReport:
    cpu_svn, misc_select = reader.take(16), reader.number(4)
    reader.zeros(12)
    isv_ext_prod_id, attributes, mr_enclave = reader.take(16), reader.take(16), reader.take(32)
    reader.zeros(32)
    mr_signer = reader.take(32)
    reader.zeros(32)
    config_id = reader.take(64)
    isv_prod_id, isv_svn, config_svn = reader.number(2), reader.number(2), reader.number(2)
    reader.zeros(42)
    return SgxReport(
        cpu_svn=cpu_svn,
        misc_select=misc_select,
        isv_ext_prod_id=isv_ext_prod_id,
        attributes=attributes,
        mr_enclave=mr_enclave,
        mr_signer=mr_signer,
        config_id=config_id,
        isv_prod_id=isv_prod_id,
        isv_svn=isv_svn,
        config_svn=config_svn,
        isv_family_id=reader.take(16),
        report_data=reader.take(64),
    )


def _td_report(reader: _Reader, layout: Body) -> TdReport:
    newer = layout is Body.TD15
    return TdReport(
        tee_tcb_svn=reader.take(16),
        mr_seam=reader.take(48),
        mr_signer_seam=reader.take(48),
        seam_attributes=reader.take(8),
        td_attributes=reader.take(8),
        xfam=reader.take(8),
        mr_td=reader.take(48),
        mr_config_id=reader.take(48),
        mr_owner=reader.take(48),
        mr_owner_config=reader.take(48),
        rt_mr=(reader.take(48), reader.take(48), reader.take(48), reader.take(48)),
        report_data=reader.take(64),
        tee_tcb_svn2=reader.take(16) if newer else None,
        mr_service_td=reader.take(48) if newer else None,
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class _SignatureData:
    signature: bytes
    attestation_key: bytes
    qe_report: bytes
    qe_signature: bytes
    qe_auth_data: bytes
    chain: bytes


def _signature_data(data: bytes, *, nested: bool) -> _SignatureData:
    reader = _Reader(data, what="the signature data")
    signature, attestation_key = reader.take(64), reader.take(64)
    if nested:
        # From v4 on the rest is certification data of type 6 around the same fields.
        reader = _certification(reader, kind=_CERTIFICATION_QE_REPORT)
    qe_report, qe_signature = reader.take(SGX_BODY_BYTES), reader.take(64)
    qe_auth_data = reader.take(reader.number(2))
    return _SignatureData(
        signature=signature,
        attestation_key=attestation_key,
        qe_report=qe_report,
        qe_signature=qe_signature,
        qe_auth_data=qe_auth_data,
        chain=_certification(reader, kind=_CERTIFICATION_PEM_CHAIN).rest(),
    )


def _certification(reader: _Reader, *, kind: int) -> _Reader:
    found = reader.number(2)
    if found != kind:
        raise _malformed(f"certification data of type {found} where {kind} belongs")
    inner = reader.take(reader.number(4))
    reader.finish()
    return _Reader(inner, what="the certification data")


def _pck_chain(text: bytes) -> tuple[bytes, ...]:
    # Some platforms count the terminating NUL of the C string in.
    text = text.removesuffix(b"\0")
    chain = certificates_from_pem(text)
    if b"".join(text.split()) != b"".join(map(_pem_without_spaces, chain)):
        raise _malformed("text between the certificates of its chain")
    return chain


def _pem_without_spaces(der: bytes) -> bytes:
    begin, end = b"-----BEGINCERTIFICATE-----", b"-----ENDCERTIFICATE-----"
    return begin + base64.b64encode(der) + end
