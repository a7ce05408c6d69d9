"""Endorsements in files as vendors and tools serve them, read into ours (spec/attestation §17.4).

Certificates and revocation lists in PEM or DER, whole DCAP sets and the pieces that Intel's service
answers with, reference measurements (RIM), OCSP responses. Verifies nothing: a piece that does not
belong is refused when evidence is verified with it.
"""

from __future__ import annotations

import base64
import binascii
import json
import re
from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

from sealtune.attestation.dcap_endorsements import compose_dcap, parse_dcap
from sealtune.attestation.dcap_quote import parse_quote
from sealtune.attestation.dcap_tcb import (
    TCB_DOCUMENT_BYTES_MAX,
    TcbInfo,
    parse_qe_identity,
    parse_tcb_info,
)
from sealtune.attestation.endorsements import Endorsement, Endorsements, EndorsementType
from sealtune.attestation.evidence import Evidence
from sealtune.attestation.forms.octets import from_text
from sealtune.attestation.quote_header import quote_kind
from sealtune.core.canonical import parse_foreign_json
from sealtune.core.limits import ENDORSEMENT_BYTES_MAX, ENDORSEMENTS_MAX
from sealtune.crypto.crl import Crl, parse_crl
from sealtune.crypto.ocsp import parse_ocsp
from sealtune.crypto.x509 import Certificate, parse_certificate
from sealtune.errors import Code, FormatError, SealtuneError

_PEM = re.compile(
    rb"-----BEGIN (CERTIFICATE|X509 CRL)-----\s([A-Za-z0-9+/=\s]{1,1000000})"
    rb"-----END (?:CERTIFICATE|X509 CRL)-----"
)
_TCB_SIGNER = "Intel SGX TCB Signing"
_PCK_ISSUERS = ("Intel SGX PCK Platform CA", "Intel SGX PCK Processor CA")
_ROOT = "Intel SGX Root CA"
_SETS_MAX = 256
_BLOCKS_MAX = 256  # of one file; a thousand take a fifth of a second
_KEPT = "sealtune-endorsement/1"


@dataclass(slots=True)
class _Pieces:
    """What Intel's service answers with, until it is composed."""

    tcb_infos: list[bytes] = field(default_factory=list)
    identities: list[bytes] = field(default_factory=list)
    certificates: list[Certificate] = field(default_factory=list)
    crls: list[Crl] = field(default_factory=list)


def read_endorsements(
    files: Iterable[tuple[str, bytes]], *, chain: tuple[bytes, ...]
) -> Endorsements:
    """Return the endorsements in `files` (name, content); `chain` are certificates of the evidence.

    Raises:
        FormatError: a file that is none, or more than anybody needs.
    """
    found: dict[Endorsement, None] = {}
    pieces = _Pieces()
    for name, data in files:
        if len(data) > ENDORSEMENT_BYTES_MAX or len(found) > ENDORSEMENTS_MAX:
            raise FormatError(Code.LIMIT_EXCEEDED, f"{name}: too large, or too many files")
        for item in _read(data, pieces, name=name):
            found[item] = None
            _collect(item, pieces)
    pieces.certificates += [parse_certificate(item) for item in chain]
    for document in _compose(pieces):
        found[Endorsement(type=EndorsementType.DCAP, data=document)] = None
    return Endorsements(items=tuple(found))


def read_evidence_endorsements(
    files: Iterable[tuple[str, bytes]], *, evidence: tuple[Evidence, ...]
) -> Endorsements:
    """Return the endorsements in `files`, with what the certificates in `evidence` add to them.

    Raises:
        FormatError: as `read_endorsements`.
    """
    chain = [item for one in evidence for item in (*one.certificates, *_quoted_chain(one))]
    return read_endorsements(files, chain=tuple(filter(_is_certificate, chain)))


def _quoted_chain(evidence: Evidence) -> tuple[bytes, ...]:
    # Intel's service gives the issuers of its documents in headers, which files do not keep; a
    # quote brings two of them.
    quote = evidence.parts.get("td_quote", evidence.report)
    if quote_kind(quote) is None:
        return ()
    try:
        return parse_quote(quote).pck_chain
    except SealtuneError:
        return ()  # the verifier says what is wrong with the quote


def _is_certificate(data: bytes) -> bool:
    try:
        parse_certificate(data)
    except SealtuneError:
        return False
    return True


def is_endorsement(data: bytes) -> bool:
    """Return whether `data` can be read as an endorsement: of a file in a folder of others."""
    if len(data) > ENDORSEMENT_BYTES_MAX:
        return False
    try:
        _read(data, _Pieces(), name="")
    except SealtuneError:
        return False
    return True


def _read(data: bytes, pieces: _Pieces, *, name: str) -> list[Endorsement]:
    start = data.lstrip()[:1]
    if start == b"{":
        return _from_json(data, pieces, name=name)
    if start == b"<":
        return [Endorsement(type=EndorsementType.NVIDIA_RIM, data=data)]
    # A quote has PEM inside; it is no file of certificates.
    blocks = [] if b"\0" in data else _PEM.findall(data)
    if len(blocks) > _BLOCKS_MAX:
        raise FormatError(Code.LIMIT_EXCEEDED, f"{name}: more than {_BLOCKS_MAX} PEM blocks")
    if blocks:
        return [_from_der(_base64(text, name=name), name=name) for _label, text in blocks]
    if data[:1] != b"\x30":
        data = from_text(data) or data
    return [_from_der(data, name=name)]


def _base64(text: bytes, *, name: str) -> bytes:
    try:
        return base64.b64decode(b"".join(text.split()), validate=True)
    except binascii.Error:
        raise _unknown(name) from None


def _unknown(name: str) -> FormatError:
    return FormatError(
        Code.ENDORSEMENT_MALFORMED,
        f"{name}: no certificate, revocation list, DCAP document, RIM or OCSP response",
    )


def _from_der(data: bytes, *, name: str) -> Endorsement:
    for kind, parse in (
        (EndorsementType.X509_CERTIFICATE, parse_certificate),
        (EndorsementType.X509_CRL, parse_crl),
        (EndorsementType.OCSP, parse_ocsp),
    ):
        try:
            parse(data)
        except SealtuneError:
            continue
        return Endorsement(type=kind, data=data)
    raise _unknown(name)


def _from_json(data: bytes, pieces: _Pieces, *, name: str) -> list[Endorsement]:
    value: Any = parse_foreign_json(data, limit=ENDORSEMENT_BYTES_MAX, what=name)
    if "tcbInfo" in value:
        pieces.tcb_infos.append(data)
        return []
    if "enclaveIdentity" in value:
        pieces.identities.append(data)
        return []
    if value.get("format") == _KEPT:
        return _read(_kept(value.get("item"), name=name), pieces, name=name)
    if isinstance(value.get("rim"), str):
        # The answer of NVIDIA's service: the document in base64, beside its name and digest.
        rim = from_text(value["rim"].encode("utf-8", "replace"))
        if rim is not None:
            return [Endorsement(type=EndorsementType.NVIDIA_RIM, data=rim)]
    if "tcb_info" in value and "qe_identity" in value:
        parse_dcap(data)
        return [Endorsement(type=EndorsementType.DCAP, data=data)]
    raise _unknown(name)


def _kept(item: object, *, name: str) -> bytes:
    """Return the document in a file of the folder in which a broker keeps them.

    Its checksum is against accidents; here the document is verified as if it had come alone.
    """
    text = item.get("data") if isinstance(item, dict) else None
    data = from_text(text.encode("utf-8", "replace")) if isinstance(text, str) else None
    if data is None:
        raise _unknown(name)
    return data


def _collect(item: Endorsement, pieces: _Pieces) -> None:
    if item.type is EndorsementType.X509_CERTIFICATE:
        pieces.certificates.append(parse_certificate(item.data))
    elif item.type is EndorsementType.X509_CRL:
        pieces.crls.append(parse_crl(item.data))


# -- Intel's pieces --------------------------------------------------------------------------------


def _compose(pieces: _Pieces) -> list[bytes]:
    """Return one set for each TCB info and PCK issuer, of the documents nearest to it in time.

    Raises:
        SealtuneError: no set can be made, the first because of this.
    """
    sets: list[bytes] = []
    refusals: list[SealtuneError] = []
    for body in pieces.tcb_infos[:_SETS_MAX]:
        for issuer in _PCK_ISSUERS:
            try:
                found = _set(pieces, body, issuer=issuer)
            except SealtuneError as refusal:
                # A folder may hold the documents of years; what does not go together is left out.
                refusals.append(refusal)
                continue
            sets += [found] if found is not None else []
    if refusals and not sets:
        raise refusals[0]
    return sets


def _set(pieces: _Pieces, body: bytes, *, issuer: str) -> bytes | None:
    info = parse_tcb_info(_inner(body, "tcbInfo"))
    issued = info.validity.issued
    identity = _nearest_identity(pieces, info)
    root_crl, crl = _nearest_crl(pieces, _ROOT, issued), _nearest_crl(pieces, issuer, issued)
    signing, chain = (_chain_to_root(pieces, name, issued) for name in (_TCB_SIGNER, issuer))
    if identity is None or root_crl is None or crl is None or signing is None or chain is None:
        return None
    return compose_dcap(
        tcb_info=body,
        tcb_info_issuer_chain=signing,
        qe_identity=identity,
        qe_identity_issuer_chain=signing,
        pck_crl=crl.raw,
        pck_crl_issuer_chain=chain,
        root_ca_crl=root_crl.raw,
    )


def _nearest_identity(pieces: _Pieces, info: TcbInfo) -> bytes | None:
    def distance(body: bytes) -> timedelta:
        identity = parse_qe_identity(_inner(body, "enclaveIdentity"))
        return abs(identity.validity.issued - info.validity.issued)

    same = [
        body
        for body in pieces.identities
        if parse_qe_identity(_inner(body, "enclaveIdentity")).tee is info.tee
    ]
    return min(same, key=distance, default=None)


def _inner(body: bytes, name: str) -> bytes:
    # Spelled again, for choosing only: what is verified is cut from the bytes as they came.
    value = parse_foreign_json(body, limit=TCB_DOCUMENT_BYTES_MAX, what=name)
    return json.dumps(value[name]).encode()


def _nearest_crl(pieces: _Pieces, issuer: str, moment: datetime) -> Crl | None:
    lists = [crl for crl in pieces.crls if crl.issuer_cn == issuer]
    return min(lists, key=lambda crl: abs(crl.this_update - moment), default=None)


def _chain_to_root(pieces: _Pieces, name: str, moment: datetime) -> bytes | None:
    """Return the PEM of the certificate called `name` and of Intel's root."""
    leaf = _certificate(pieces, name, moment)
    root = _certificate(pieces, _ROOT, moment)
    return None if leaf is None or root is None else _pem(leaf) + _pem(root)


def _certificate(pieces: _Pieces, name: str, moment: datetime) -> Certificate | None:
    # Intel changes the signing certificate every few years: the one that was valid then.
    named = [item for item in pieces.certificates if item.subject_cn == name]
    valid = [item for item in named if item.not_before <= moment <= item.not_after]
    return next(iter(valid or named), None)


def _pem(certificate: Certificate) -> bytes:
    text = base64.encodebytes(certificate.raw)
    return b"-----BEGIN CERTIFICATE-----\n" + text + b"-----END CERTIFICATE-----\n"
