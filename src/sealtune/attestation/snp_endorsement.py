"""AMD's endorsement of an SNP report: VCEK or VLEK, intermediate, root (spec/attestation §6).

Source: AMD publication 57230 (VCEK certificate and KDS interface), tables 8 and 9.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from sealtune.attestation.anchors import Product, Root, RootUse, TrustAnchors
from sealtune.attestation.snp_report import Signer, Tcb
from sealtune.crypto import der
from sealtune.crypto.algorithms import SignatureAlgorithm
from sealtune.crypto.der import Tag
from sealtune.crypto.x509 import (
    Certificate,
    parse_certificate,
    read_text,
    require_valid_at,
    verify_issued,
)
from sealtune.errors import Code, FormatError, VerificationError

AMD_OID = "1.3.6.1.4.1.3704.1"
OID_STRUCT_VERSION = f"{AMD_OID}.1"
OID_PRODUCT_NAME = f"{AMD_OID}.2"
OID_HWID = f"{AMD_OID}.4"
OID_CSP_ID = f"{AMD_OID}.5"
_STRUCT_VERSIONS = frozenset({0, 1})

# Number n of the extension AMD_OID.3.n that carries a component's security patch level.
SPL = {"bl": 1, "tee": 2, "snp": 3, "ucode": 8, "fmc": 9}
_RESERVED_SPL = {Product.MILAN: range(4, 8), Product.GENOA: range(4, 8), Product.TURIN: range(5, 8)}
HWID_BYTES = {Product.MILAN: 64, Product.GENOA: 64, Product.TURIN: 8}


@dataclass(frozen=True, slots=True, kw_only=True)
class VekIdentity:
    """What a VCEK or VLEK says about itself; nothing of it is verified.

    `hwid` is empty for a VLEK, `csp_id` for a VCEK.
    """

    product: Product
    tcb: Tcb
    hwid: bytes
    csp_id: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Endorsement:
    """What AMD's verified chain says about the key that signs reports.

    `hwid` is empty for a VLEK, `csp_id` for a VCEK.
    """

    root: Root
    product: Product
    signer: Signer
    spki: bytes
    tcb: Tcb
    hwid: bytes
    csp_id: str
    intermediate: Certificate
    ark: Certificate


def verify_endorsement(
    certificates: tuple[bytes, ...], *, signer: Signer, anchors: TrustAnchors, now: datetime
) -> Endorsement:
    """Verify the chain of a VCEK or VLEK up to a pinned ARK (spec/attestation §6.1-6.3).

    `certificates` are the signing key's, the intermediate's and the root's, in this order.

    Raises:
        FormatError: not three certificates, or one that cannot be read.
        VerificationError: a root that is not trusted, a certificate of another role or product,
            out of its validity, or not signed by the next.
    """
    if len(certificates) != 3:
        raise FormatError(
            Code.EVIDENCE_MALFORMED, f"{len(certificates)} certificates where 3 belong"
        )
    vek, intermediate, ark = map(parse_certificate, certificates)
    root = anchors.find(ark.digest, use=RootUse.AMD_ARK)
    product = _product(root)
    _require_roles(vek, intermediate, ark, signer=signer, product=product)
    # spec/attestation §6.1: AMD signs with nothing else, so another algorithm is not AMD's.
    if any(c.algorithm is not SignatureAlgorithm.PSS_SHA384 for c in (vek, intermediate, ark)):
        raise VerificationError(
            Code.CERTIFICATE_SIGNATURE, "a certificate of AMD's chain not signed with RSASSA-PSS"
        )
    verify_issued(ark, issuer=ark)
    verify_issued(intermediate, issuer=ark)
    verify_issued(vek, issuer=intermediate)
    # After the signatures: the dates of a forged certificate mean nothing.
    for certificate in (vek, intermediate, ark):
        require_valid_at(certificate, now)
    # Compared before the rest is read, for the layout of a TCB depends on the product.
    if (name := _product_name(vek)) != product:
        raise VerificationError(
            Code.EVIDENCE_CHAIN, f"a {signer} of product {name!r} under ARK-{product}"
        )
    identity = _identity(vek, signer=signer, product=product)
    return Endorsement(
        root=root,
        product=product,
        signer=signer,
        spki=vek.spki,
        tcb=identity.tcb,
        hwid=identity.hwid,
        csp_id=identity.csp_id,
        intermediate=intermediate,
        ark=ark,
    )


def read_vek_identity(vek: Certificate, *, signer: Signer) -> VekIdentity:
    """Return what the certificate of a VCEK or VLEK says about itself (spec/attestation §6.4).

    Raises:
        FormatError: an extension is missing or malformed.
        VerificationError: it is of a product that we do not know.
    """
    name = _product_name(vek)
    if name not in set(Product):
        raise VerificationError(Code.EVIDENCE_CHAIN, f"a {signer} of product {name!r}")
    return _identity(vek, signer=signer, product=Product(name))


def _require_roles(
    vek: Certificate,
    intermediate: Certificate,
    ark: Certificate,
    *,
    signer: Signer,
    product: Product,
) -> None:
    # spec/attestation §6.2: a VLEK is lent to a provider, a VCEK belongs to one chip. Neither may
    # pass for the other, so each has its own intermediate (ASVK, ASK) and its own name.
    middle = f"SEV-{product}" if signer is Signer.VCEK else f"SEV-VLEK-{product}"
    wanted = (f"SEV-{signer}", middle, f"ARK-{product}")
    found = (vek.subject_cn, intermediate.subject_cn, ark.subject_cn)
    if found != wanted:
        raise VerificationError(
            Code.EVIDENCE_CHAIN, f"the chain is of {found}, a {signer} of {product} needs {wanted}"
        )


def _product(root: Root) -> Product:
    if root.product is None:
        raise VerificationError(Code.EVIDENCE_ROOT, f"the root {root.digest} is no ARK")
    return root.product


def _product_name(vek: Certificate) -> str:
    if _integer(vek, OID_STRUCT_VERSION, limit=255) not in _STRUCT_VERSIONS:
        raise _malformed("a struct version that is not known")
    # `Milan-B0` in older ones, `Genoa` in newer ones: the part before the stepping is the product.
    name = read_text(der.read_element(_value(vek, OID_PRODUCT_NAME), tag=Tag.IA5_STRING))
    return name.partition("-")[0]


def _identity(vek: Certificate, *, signer: Signer, product: Product) -> VekIdentity:
    is_vcek = signer is Signer.VCEK
    return VekIdentity(
        product=product,
        tcb=_tcb(vek, product=product),
        hwid=_hwid(vek, size=HWID_BYTES[product]) if is_vcek else b"",
        csp_id="" if is_vcek else _csp_id(vek),
    )


def _malformed(reason: str) -> FormatError:
    return FormatError(Code.CERTIFICATE_MALFORMED, f"VCEK or VLEK: {reason}")


def _value(certificate: Certificate, oid: str) -> bytes:
    extension = certificate.extensions.get(oid)
    if extension is None:
        raise _malformed(f"extension {oid} is missing")
    return extension.value


def _integer(certificate: Certificate, oid: str, *, limit: int) -> int:
    number = der.read_integer(der.read_element(_value(certificate, oid), tag=Tag.INTEGER))
    if not 0 <= number <= limit:
        raise _malformed(f"extension {oid} is out of range")
    return number


def _spl(certificate: Certificate, number: int) -> int:
    return _integer(certificate, f"{AMD_OID}.3.{number}", limit=255)


def _tcb(certificate: Certificate, *, product: Product) -> Tcb:
    return Tcb(
        bl=_spl(certificate, SPL["bl"]),
        tee=_spl(certificate, SPL["tee"]),
        snp=_spl(certificate, SPL["snp"]),
        ucode=_spl(certificate, SPL["ucode"]),
        fmc=_spl(certificate, SPL["fmc"]) if product is Product.TURIN else None,
        reserved=bytes(_spl(certificate, number) for number in _RESERVED_SPL[product]),
    )


def _hwid(certificate: Certificate, *, size: int) -> bytes:
    # spec/attestation §6.4: most carry the raw octets, some wrap them in one more OCTET STRING;
    # the length tells which, so no value can be read both ways.
    value = _value(certificate, OID_HWID)
    if len(value) != size:
        value = der.read_element(value, tag=Tag.OCTET_STRING).content
    if len(value) != size:
        raise _malformed(f"hardware id of {len(value)} bytes where {size} belong")
    return value


def _csp_id(certificate: Certificate) -> str:
    return read_text(der.read_element(_value(certificate, OID_CSP_ID), tag=Tag.IA5_STRING))
