"""Intel's endorsements of a platform, as one consistent set (spec/attestation §11.4).

A DCAP endorsement is a JSON object in the field layout of dcap-qvl's QuoteCollateralV3: TCB info,
QE identity, both revocation lists and the chains that sign them. `compose_dcap` makes one from the
answers of Intel's PCS or a PCCS; the signed objects in it are cut out byte by byte, for their
signature is over the text and not over what it means.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from functools import lru_cache
from typing import Any, Final

from sealtune.attestation.dcap_pck import (
    TCB_SIGNING_NAME,
    PckCa,
    VerifiedPck,
)
from sealtune.attestation.dcap_quote import Tee
from sealtune.attestation.dcap_tcb import (
    TCB_DOCUMENT_BYTES_MAX,
    QeIdentity,
    TcbInfo,
    parse_qe_identity,
    parse_tcb_info,
)
from sealtune.attestation.endorsements import Endorsements, EndorsementType
from sealtune.core.canonical import parse_json
from sealtune.core.limits import KIB
from sealtune.crypto.crl import Crl, parse_crl, verify_crl
from sealtune.crypto.ecdsa import verify_ecdsa_p256
from sealtune.crypto.x509 import (
    Certificate,
    certificates_from_pem,
    parse_certificate,
    verify_issued,
)
from sealtune.errors import Code, FormatError, SealtuneError, VerificationError

DCAP_BYTES_MAX: Final = 128 * KIB  # 6x the largest set that we know
_TEXTS: Final = (
    "pck_crl_issuer_chain",
    "tcb_info_issuer_chain",
    "tcb_info",
    "qe_identity_issuer_chain",
    "qe_identity",
)
_OCTETS: Final = ("root_ca_crl", "pck_crl", "tcb_info_signature", "qe_identity_signature")
# dcap-qvl adds the chain of a quote that comes without one; ours carry theirs, so it is not read.
_IGNORED: Final = frozenset({"pck_certificate_chain"})
_SIGNATURE_BYTES = 64
_SPACE = r"[ \t\r\n]*+"
_SIGNATURE_MEMBER = re.compile(
    rf'{_SPACE},{_SPACE}"signature"{_SPACE}:{_SPACE}"([0-9A-Fa-f]{{128}})"{_SPACE}\}}{_SPACE}\Z'
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Signed:
    """A JSON text and Intel's signature (r || s) over its bytes."""

    text: str = field(repr=False)
    signature: bytes


@dataclass(frozen=True, slots=True, kw_only=True)
class Part:
    """One signed document of a set and when it is current; a CRL is not at `until` itself."""

    name: str
    since: datetime
    until: datetime
    until_included: bool

    def at(self, now: datetime) -> bool:
        """Whether the document is current at `now`."""
        return self.since <= now and (
            now < self.until or (self.until_included and now == self.until)
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class DcapEndorsement:
    """A parsed set; only `select_dcap` says that it is authentic, consistent and current."""

    ca: PckCa
    tcb_info: TcbInfo
    qe_identity: QeIdentity
    signed_tcb_info: Signed
    signed_qe_identity: Signed
    root_crl: Crl
    pck_crl: Crl
    tcb_info_chain: tuple[Certificate, Certificate]
    qe_identity_chain: tuple[Certificate, Certificate]
    crl_chain: tuple[Certificate, Certificate]

    @property
    def tee(self) -> Tee:
        """What it is for."""
        return self.tcb_info.tee

    @property
    def fmspc(self) -> bytes:
        """The kind of platform that it is for."""
        return self.tcb_info.fmspc

    @property
    def documents(self) -> tuple[Part, ...]:
        """The four documents that Intel issues anew every month or, the root's CRL, every year."""
        tcb, qe = self.tcb_info.validity, self.qe_identity.validity
        return (
            Part(name="TCB info", since=tcb.issued, until=tcb.next_update, until_included=True),
            Part(name="QE identity", since=qe.issued, until=qe.next_update, until_included=True),
            _crl_part(self.pck_crl),
            _crl_part(self.root_crl),
        )

    @property
    def parts(self) -> tuple[Part, ...]:
        """Everything in it that has an end, certificates included."""
        certificates = (*self.tcb_info_chain, *self.qe_identity_chain, *self.crl_chain)
        unique = {certificate.raw: certificate for certificate in certificates}
        return (*self.documents, *map(_certificate_part, unique.values()))

    @property
    def since(self) -> datetime:
        """From when on the whole is current."""
        return max(part.since for part in self.parts)

    @property
    def until(self) -> datetime:
        """Until when the whole is current."""
        return min(part.until for part in self.parts)

    @property
    def oldest_issue(self) -> datetime:
        """When the oldest of the monthly documents was issued."""
        return min(part.since for part in self.documents[:3])

    def __str__(self) -> str:
        return f"{self.tee} endorsement for FMSPC {self.fmspc.hex().upper()}, {self.ca} CA"


def _crl_part(crl: Crl) -> Part:
    return Part(
        name=f"CRL of {crl.issuer_cn}",
        since=crl.this_update,
        until=crl.next_update,
        until_included=False,
    )


def _certificate_part(certificate: Certificate) -> Part:
    return Part(
        name=f"certificate of {certificate.subject_cn}",
        since=certificate.not_before,
        until=certificate.not_after,
        until_included=True,
    )


def _malformed(reason: str) -> FormatError:
    return FormatError(Code.ENDORSEMENT_MALFORMED, f"DCAP endorsement: {reason}")


# -- reading ---------------------------------------------------------------------------------------


@lru_cache(maxsize=64)  # pure and immutable; one set serves every quote of its platforms
def parse_dcap(data: bytes) -> DcapEndorsement:
    """Return the set that `data`, JSON, holds; nothing in it is verified.

    Raises:
        FormatError: larger than 128 KiB, not exactly the members of a set, or one that cannot be
            read.
    """
    value = parse_json(data, limit=DCAP_BYTES_MAX, what="DCAP endorsement")
    if not isinstance(value, dict) or value.keys() - _IGNORED != {*_TEXTS, *_OCTETS}:
        raise _malformed("other members than a set has")
    if not all(isinstance(value[name], str) for name in (*_TEXTS, *_OCTETS)):
        raise _malformed("a member that is no text")
    try:
        return _dcap(value)
    except SealtuneError as error:
        # Whatever reader found it (DER, PEM, JSON): it is the endorsement that has to be replaced.
        if error.code in (Code.ENDORSEMENT_MALFORMED, Code.LIMIT_EXCEEDED):
            raise
        raise _malformed(error.message) from error


def _dcap(value: dict[str, Any]) -> DcapEndorsement:
    octets = {name: _hexadecimal(value[name], name) for name in _OCTETS}
    crl_chain = _chain(value["pck_crl_issuer_chain"])
    return DcapEndorsement(
        ca=_ca_of(crl_chain[0]),
        tcb_info=parse_tcb_info(_utf8(value["tcb_info"])),
        qe_identity=parse_qe_identity(_utf8(value["qe_identity"])),
        signed_tcb_info=_signed(value["tcb_info"], octets["tcb_info_signature"]),
        signed_qe_identity=_signed(value["qe_identity"], octets["qe_identity_signature"]),
        root_crl=parse_crl(octets["root_ca_crl"]),
        pck_crl=parse_crl(octets["pck_crl"]),
        tcb_info_chain=_chain(value["tcb_info_issuer_chain"]),
        qe_identity_chain=_chain(value["qe_identity_issuer_chain"]),
        crl_chain=crl_chain,
    )


def _hexadecimal(text: str, name: str) -> bytes:
    try:
        return bytes.fromhex(text)
    except ValueError:
        raise _malformed(f"{name} is not hexadecimal") from None


def _utf8(text: str) -> bytes:
    try:
        return text.encode()
    except UnicodeEncodeError:
        raise _malformed("a text that is not Unicode") from None


def _signed(text: str, signature: bytes) -> Signed:
    if len(signature) != _SIGNATURE_BYTES:
        raise _malformed(f"a signature of {len(signature)} bytes")
    return Signed(text=text, signature=signature)


def _chain(text: str) -> tuple[Certificate, Certificate]:
    chain = tuple(map(parse_certificate, certificates_from_pem(_utf8(text))))
    if len(chain) != 2:
        raise _malformed(f"an issuer chain of {len(chain)} certificates where 2 belong")
    return chain[0], chain[1]


def _ca_of(certificate: Certificate) -> PckCa:
    for ca in PckCa:
        if certificate.subject_cn == ca.common_name:
            return ca
    raise _malformed(f"a PCK revocation list of {certificate.subject_cn!r}")


# -- composing -------------------------------------------------------------------------------------


def compose_dcap(
    *,
    tcb_info: bytes,
    tcb_info_issuer_chain: bytes,
    qe_identity: bytes,
    qe_identity_issuer_chain: bytes,
    pck_crl: bytes,
    pck_crl_issuer_chain: bytes,
    root_ca_crl: bytes,
) -> bytes:
    """Return the DCAP endorsement made of a PCS's answers; its signatures are checked.

    `tcb_info` and `qe_identity` are the bodies as they came (`{"tcbInfo": {...}, "signature":
    "..."}`), the chains PEM (percent-decoded, issuer first), the lists DER. Whether its root is
    trusted and its parts are current is for the verification to find out.

    Raises:
        FormatError: a part that cannot be read.
        VerificationError: a signature does not hold, or parts of different TEEs.
    """
    info, info_signature = _cut(tcb_info, "tcbInfo")
    identity, identity_signature = _cut(qe_identity, "enclaveIdentity")
    value = {
        "pck_crl_issuer_chain": _ascii(pck_crl_issuer_chain),
        "root_ca_crl": root_ca_crl.hex(),
        "pck_crl": pck_crl.hex(),
        "tcb_info_issuer_chain": _ascii(tcb_info_issuer_chain),
        "tcb_info": info,
        "tcb_info_signature": info_signature,
        "qe_identity_issuer_chain": _ascii(qe_identity_issuer_chain),
        "qe_identity": identity,
        "qe_identity_signature": identity_signature,
    }
    data = json.dumps(value, indent=1).encode()
    parsed = parse_dcap(data)
    _require_signatures(data)
    _require_consistent(parsed)
    return data


def _ascii(pem: bytes) -> str:
    try:
        return pem.decode("ascii")
    except UnicodeDecodeError:
        raise _malformed("a chain that is not PEM") from None


def _cut(body: bytes, name: str) -> tuple[str, str]:
    """Return the exact text of the member `name` of the object `body`, and its signature."""
    parse_json(body, limit=TCB_DOCUMENT_BYTES_MAX, what=name)  # bounds depth and refuses doubles
    text = body.decode()
    start = re.match(rf'{_SPACE}\{{{_SPACE}"{name}"{_SPACE}:{_SPACE}', text)
    if start is None:
        raise _malformed(f"does not begin with {name}")
    _value, end = json.JSONDecoder().raw_decode(text, start.end())
    signature = _SIGNATURE_MEMBER.match(text, end)
    if signature is None:
        raise _malformed(f"{name} is not followed by its signature alone")
    return text[start.end() : end], signature[1]


# -- verifying -------------------------------------------------------------------------------------


def select_dcap(
    endorsements: Endorsements, *, tee: Tee, pck: VerifiedPck, now: datetime
) -> DcapEndorsement:
    """Return the set for a platform: authentic under its root, consistent and current at `now`.

    Among several the newest evaluation and the latest issue come first.

    Raises:
        FormatError: a set that cannot be read.
        VerificationError: no set at all, none for this platform and TEE, or one that is stale,
            mixed, not signed by Intel or under another root than the platform.
    """
    documents = endorsements.of(EndorsementType.DCAP)
    if not documents:
        raise VerificationError(
            Code.ENDORSEMENT_MISSING, f"no DCAP endorsement for {_wanted(tee, pck)} was given"
        )
    matching = [data for data in documents if _is_for(parse_dcap(data), tee, pck)]
    if not matching:
        given = "; ".join(sorted({str(parse_dcap(data)) for data in documents}))
        raise VerificationError(
            Code.ENDORSEMENT_MISMATCH,
            f"no endorsement for {_wanted(tee, pck)}, only: {given}"[:500],
        )
    matching.sort(key=_newest_first)
    refusals: list[SealtuneError] = []
    for data in matching:
        try:
            return _verified(data, pck=pck, now=now)
        except SealtuneError as refusal:
            # A revocation does not expire: an older set that does not know of it yet is no way
            # around it.
            if refusal.code is Code.EVIDENCE_REVOKED:
                raise
            refusals.append(refusal)
    raise refusals[0]


def _wanted(tee: Tee, pck: VerifiedPck) -> str:
    return f"{tee}, FMSPC {pck.facts.fmspc.hex().upper()}, {pck.ca} CA"


def _is_for(endorsement: DcapEndorsement, tee: Tee, pck: VerifiedPck) -> bool:
    return (endorsement.tee, endorsement.fmspc, endorsement.tcb_info.pce_id, endorsement.ca) == (
        tee,
        pck.facts.fmspc,
        pck.facts.pce_id,
        pck.ca,
    )


def _newest_first(data: bytes) -> tuple[int, float]:
    info = parse_dcap(data).tcb_info
    return -info.evaluation, -info.validity.issued.timestamp()


def _verified(data: bytes, *, pck: VerifiedPck, now: datetime) -> DcapEndorsement:
    endorsement = parse_dcap(data)
    _require_signatures(data)
    _require_root(endorsement, pck)
    _require_consistent(endorsement)
    _require_current(endorsement.parts, now=now, what=str(endorsement))
    _require_not_revoked(endorsement, pck, now=now)
    return endorsement


@lru_cache(maxsize=64)  # depends on the bytes alone; a set serves every quote of its platforms
def _require_signatures(data: bytes) -> None:
    """Verify every signature in the set up to the root that it brings; that one is not trusted."""
    endorsement = parse_dcap(data)
    for chain in (
        endorsement.tcb_info_chain,
        endorsement.qe_identity_chain,
        endorsement.crl_chain,
    ):
        _require_chain(chain)
    for name, signed, chain in (
        ("TCB info", endorsement.signed_tcb_info, endorsement.tcb_info_chain),
        ("QE identity", endorsement.signed_qe_identity, endorsement.qe_identity_chain),
    ):
        _require_signed(name, signed, chain[0])


def _forged(reason: str) -> VerificationError:
    return VerificationError(Code.ENDORSEMENT_SIGNATURE, f"DCAP endorsement: {reason}")


def _require_chain(chain: tuple[Certificate, Certificate]) -> None:
    issuer, root = chain
    try:
        verify_issued(issuer, issuer=root)
    except SealtuneError as error:
        raise _forged(error.message) from error


def _require_signed(name: str, signed: Signed, signer: Certificate) -> None:
    # One root signs for TCB info and for platforms: a platform's key must not judge itself.
    if signer.subject_cn != TCB_SIGNING_NAME:
        raise _forged(f"{signer.subject_cn!r} does not sign TCB info")
    half = _SIGNATURE_BYTES // 2
    try:
        verify_ecdsa_p256(
            signer.spki,
            r=int.from_bytes(signed.signature[:half], "big"),
            s=int.from_bytes(signed.signature[half:], "big"),
            message=signed.text.encode(),
        )
    except SealtuneError as error:
        raise _forged(f"{name} is not signed by {signer.subject_cn!r}") from error


def _require_root(endorsement: DcapEndorsement, pck: VerifiedPck) -> None:
    for chain in (
        endorsement.tcb_info_chain,
        endorsement.qe_identity_chain,
        endorsement.crl_chain,
    ):
        if chain[1].digest != pck.root.digest:
            raise VerificationError(
                Code.EVIDENCE_ROOT,
                f"DCAP endorsement: its root {chain[1].digest} is not the quote's",
            )


def _require_consistent(endorsement: DcapEndorsement) -> None:
    if endorsement.qe_identity.tee is not endorsement.tee:
        raise VerificationError(
            Code.ENDORSEMENT_MISMATCH,
            f"{endorsement}: the QE identity is for {endorsement.qe_identity.tee}",
        )
    # Documents that were never current at one time come from different fetches.
    last = max(endorsement.documents, key=lambda part: part.since)
    first = min(endorsement.documents, key=lambda part: part.until)
    if last.since > first.until:
        raise VerificationError(
            Code.ENDORSEMENT_MISMATCH,
            f"{endorsement}: {first.name} ended {first.until}, before {last.name} of {last.since}",
        )


def _require_current(parts: Iterable[Part], *, now: datetime, what: str) -> None:
    for part in parts:
        if not part.at(now):
            state = (
                f"valid from {part.since} on" if now < part.since else f"stale since {part.until}"
            )
            raise VerificationError(
                Code.ENDORSEMENT_STALE, f"{what}: {part.name} is {state}, and it is {now}"
            )


def _require_not_revoked(endorsement: DcapEndorsement, pck: VerifiedPck, *, now: datetime) -> None:
    # The list has to be of the authority that issued this PCK; names alone could be copied.
    if (endorsement.crl_chain[0].subject, endorsement.crl_chain[0].spki) != (
        pck.issuer.subject,
        pck.issuer.spki,
    ):
        raise VerificationError(
            Code.ENDORSEMENT_MISMATCH, f"{endorsement}: its CRL is of another {pck.ca} CA"
        )
    root = verify_crl(endorsement.root_crl, issuer=pck.root_certificate, now=now)
    for certificate in _below_root(endorsement, pck):
        root.require_not_revoked(certificate)
    verify_crl(endorsement.pck_crl, issuer=pck.issuer, now=now).require_not_revoked(pck.leaf)


def _below_root(endorsement: DcapEndorsement, pck: VerifiedPck) -> Sequence[Certificate]:
    return (
        pck.root_certificate,
        pck.issuer,
        endorsement.crl_chain[0],
        endorsement.tcb_info_chain[0],
        endorsement.qe_identity_chain[0],
    )
