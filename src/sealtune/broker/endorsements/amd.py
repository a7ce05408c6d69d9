"""AMD's documents: what a certificate or revocation list is for, and how its service hands it out.

Source: AMD publication 57230 (VCEK certificate and KDS interface), chapters 3 and 4.
"""

from __future__ import annotations

from typing import Final

from sealtune.attestation.anchors import Product
from sealtune.attestation.snp_endorsement import (
    AMD_OID,
    OID_HWID,
    OID_PRODUCT_NAME,
    SPL,
)
from sealtune.attestation.snp_report import Signer, decode_tcb
from sealtune.broker.endorsements.subjects import Subject
from sealtune.broker.endorsements.window import Window, half_open
from sealtune.crypto import der
from sealtune.crypto.crl import parse_crl
from sealtune.crypto.der import Tag
from sealtune.crypto.x509 import Certificate, parse_certificate, read_text
from sealtune.errors import Code, FormatError, VerificationError

# In the order in which AMD's service documents them; fmc comes first, and from Turin on only.
_QUERY: Final = ("fmc", "bl", "tee", "snp", "ucode")


def vcek_path(subject: Subject) -> str:
    """Return the path and query under which AMD's service has the VCEK `subject`."""
    product, chip, tcb = subject.parts
    levels = decode_tcb(bytes.fromhex(tcb), product=Product(product))
    known = [(name, getattr(levels, name)) for name in _QUERY]
    query = "&".join(f"{name}SPL={level:02}" for name, level in known if level is not None)
    return f"/vcek/v1/{product}/{chip}?{query}"


def chain_path(product: Product, signer: Signer) -> str:
    """Return the path of the intermediate and the root."""
    return f"/{signer.lower()}/v1/{product}/cert_chain"


def crl_path(subject: Subject) -> str:
    """Return the path of the revocation list `subject`."""
    product, signer = subject.parts
    return f"/{signer.lower()}/v1/{product}/crl"


def examine_amd_key(subject: Subject, data: bytes) -> Window:
    """Return the validity of the VCEK `data`.

    Raises:
        FormatError: no such certificate.
        VerificationError: it is of another chip, product or TCB.
    """
    product, chip, tcb = subject.parts
    certificate = parse_certificate(data)
    if certificate.subject_cn != f"SEV-{Signer.VCEK}":
        raise _other(f"a certificate of {certificate.subject_cn!r}")
    if certificate.issuer_cn != f"SEV-{product}":
        raise _other(f"issued by {certificate.issuer_cn!r}")
    name = der.read_element(_value(certificate, OID_PRODUCT_NAME), tag=Tag.IA5_STRING)
    if read_text(name).partition("-")[0] != product:
        raise _other(f"of product {read_text(name)!r}")
    # Raw octets, or wrapped in one more OCTET STRING; the length tells which (spec/attestation §6).
    hwid = _value(certificate, OID_HWID)
    if len(hwid) != len(chip) // 2:
        hwid = der.read_element(hwid, tag=Tag.OCTET_STRING).content
    if hwid.hex() != chip:
        raise _other(f"of chip {hwid.hex()[:16]}")
    levels = decode_tcb(bytes.fromhex(tcb), product=Product(product))
    for component, number in SPL.items():
        level = getattr(levels, component)
        if level is not None and _level(certificate, number) != level:
            raise _other(f"for another TCB: {component} is {_level(certificate, number)}")
    return _validity(certificate)


def examine_amd_authority(subject: Subject, data: bytes) -> Window:
    """Return the validity of the ASK, ASVK or ARK `data`.

    Raises:
        FormatError: no certificate.
        VerificationError: it is another's, or may not issue certificates.
    """
    certificate = parse_certificate(data)
    if certificate.subject_cn != subject.name:
        raise _other(f"a certificate of {certificate.subject_cn!r}")
    product = subject.name.rpartition("-")[2]
    if certificate.issuer_cn != f"ARK-{product}" or not certificate.may_issue:
        raise _other(f"issued by {certificate.issuer_cn!r} for another use")
    return _validity(certificate)


def examine_amd_crl(subject: Subject, data: bytes) -> Window:
    """Return from when until when the revocation list `data` holds.

    Raises:
        FormatError: no revocation list.
        VerificationError: it is of another product's root.
    """
    product, _signer = subject.parts
    crl = parse_crl(data)
    if crl.issuer_cn != f"ARK-{product}":
        raise _other(f"a revocation list of {crl.issuer_cn!r}")
    return half_open(crl.this_update, crl.next_update)


def _validity(certificate: Certificate) -> Window:
    return Window(certificate.not_before, certificate.not_after)


def _other(reason: str) -> VerificationError:
    return VerificationError(Code.ENDORSEMENT_MISMATCH, f"{reason}, which was not asked for")


def _value(certificate: Certificate, oid: str) -> bytes:
    extension = certificate.extensions.get(oid)
    if extension is None:
        raise FormatError(Code.ENDORSEMENT_MALFORMED, f"extension {oid} is missing")
    return extension.value


def _level(certificate: Certificate, number: int) -> int:
    value = _value(certificate, f"{AMD_OID}.3.{number}")
    return der.read_integer(der.read_element(value, tag=Tag.INTEGER))
