"""Signed XML of one shape: an enveloped xmldsig signature over a document (spec/attestation §16.5).

Sources: W3C XML Signature 1.1, Canonical XML 1.1. Not a library for xmldsig: one algorithm of each
kind, one Reference, one place for the signature. Everything else is refused, so that what is read
is what was signed. Knows nothing about who signed.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
from dataclasses import dataclass
from functools import lru_cache

from lxml import etree

from sealtune.core.limits import CHAIN_CERTIFICATES_MAX, KIB
from sealtune.crypto.ecdsa import verify_ecdsa_p384
from sealtune.errors import Code, FormatError, SealtuneError, VerificationError

XML_BYTES_MAX = 256 * KIB  # 10x the largest RIM
_ELEMENTS_MAX = 1024  # 10x a RIM's
_ATTRIBUTES_MAX = 64  # 3x the most in an element of a RIM
_NAMESPACES_MAX = 16  # in force in one place
_DECLARATIONS_MAX = 64  # 10x a RIM's
_DIGEST_BYTES, _SIGNATURE_BYTES = 48, 96
_DS = "{http://www.w3.org/2000/09/xmldsig#}"
_XML_ATTRIBUTE = "{http://www.w3.org/XML/1998/namespace}"
_C14N = "http://www.w3.org/2006/12/xml-c14n11"
_ENVELOPED = "http://www.w3.org/2000/09/xmldsig#enveloped-signature"
_ECDSA = "http://www.w3.org/2001/04/xmldsig-more#ecdsa-sha384"
_SHA384 = "http://www.w3.org/2001/04/xmldsig-more#sha384"
# spec/attestation §16.5: all elements of a SignedInfo in document order, with their attributes.
_SIGNED_INFO: tuple[tuple[str, dict[str, str]], ...] = (
    ("SignedInfo", {}),
    ("CanonicalizationMethod", {"Algorithm": _C14N}),
    ("SignatureMethod", {"Algorithm": _ECDSA}),
    ("Reference", {"URI": ""}),
    ("Transforms", {}),
    ("Transform", {"Algorithm": _ENVELOPED}),
    ("Transform", {"Algorithm": _C14N}),
    ("DigestMethod", {"Algorithm": _SHA384}),
    ("DigestValue", {}),
)
_DEPTHS = (0, 1, 1, 1, 2, 3, 3, 2, 2)


@dataclass(frozen=True, slots=True, kw_only=True)
class SignedDocument:
    """A document with its signature taken apart; nothing about it is verified.

    `content` is the canonical form of the document without its signature: the only bytes from
    which anything may be read after `verify_document`.
    """

    content: bytes
    signed_info: bytes
    digest: bytes
    signature: bytes
    certificates: tuple[bytes, ...]


def _malformed(reason: str) -> FormatError:
    return FormatError(Code.ENDORSEMENT_MALFORMED, f"RIM: {reason}")


def parse_xml(data: bytes) -> etree._Element:
    """Return the root of the document `data`: UTF-8, bounded, without DTD, comments or the like.

    Raises:
        FormatError: it is not such a document.
    """
    if len(data) > XML_BYTES_MAX:
        raise FormatError(Code.LIMIT_EXCEEDED, f"RIM: larger than {XML_BYTES_MAX} bytes")
    body = data.partition(b"?>")[2] if data.startswith(b"<?xml ") else data
    # Before any parser sees them: no DTD and so no entities; no comments, which canonical XML
    # drops from what is signed and which cut texts in two; no CDATA, no instructions.
    if b"<!" in data or b"<?" in body:
        raise _malformed("a DTD, comment, CDATA section or processing instruction")
    # One prefix declared at each of 250 levels is one namespace for each element below, found on a
    # walk past all of them.
    if data.count(b"xmlns") > _DECLARATIONS_MAX:
        raise _malformed("too many namespaces")
    parser = etree.XMLParser(
        encoding="utf-8",
        resolve_entities=False,
        load_dtd=False,
        no_network=True,
        huge_tree=False,
        strip_cdata=False,
    )
    try:
        root = etree.fromstring(data, parser)
    except (etree.XMLSyntaxError, ValueError):
        raise _malformed("not well-formed XML") from None
    _require_bounds(root)
    return root


def _require_bounds(root: etree._Element) -> None:
    for count, element in enumerate(root.iter()):
        if count == _ELEMENTS_MAX:
            raise _malformed(f"more than {_ELEMENTS_MAX} elements")
        if len(element.attrib) > _ATTRIBUTES_MAX or len(element.nsmap) > _NAMESPACES_MAX:
            raise _malformed("too many attributes or namespaces")
        # Canonical XML 1.1 §2.4: what 1.1 changed against 1.0 is the inheritance of these. Without
        # them both forms are the same, and 1.0 is the one that the parser's library has.
        if any(name.startswith(_XML_ATTRIBUTE) for name in element.attrib):
            raise _malformed("an attribute of the XML namespace")


def parse_signed_document(data: bytes) -> SignedDocument:
    """Return the document and the signature that `data` holds.

    Raises:
        FormatError: not bounded XML, not exactly one signature as the last child of the root, or a
            signature of another shape or algorithm.
    """
    root = parse_xml(data)
    signature = _the_signature(root)
    parts = list(signature)
    names = [part.tag for part in parts]
    if names != [f"{_DS}SignedInfo", f"{_DS}SignatureValue", f"{_DS}KeyInfo"]:
        raise _malformed("a signature of other parts than SignedInfo, SignatureValue, KeyInfo")
    signed_info, value, key_info = parts
    _require_signed_info(signed_info)
    return SignedDocument(
        signed_info=_canonical_part(signed_info),
        digest=_octets(signed_info[2][2], size=_DIGEST_BYTES),
        signature=_octets(value, size=_SIGNATURE_BYTES),
        certificates=_certificates(key_info),
        content=_without_signature(data),
    )


def verify_document(document: SignedDocument, *, spki: bytes) -> None:
    """Verify that the holder of `spki` signed the content of `document`.

    Raises:
        VerificationError: the content is not what was signed, or somebody else signed.
    """
    digest = hashlib.sha384(document.content).digest()
    if not hmac.compare_digest(digest, document.digest):
        raise _unsigned("its content is not what was signed")
    try:
        _verify_signature(spki, document.signature, document.signed_info)
    except SealtuneError as error:
        raise _unsigned("not signed by the key that its certificate names") from error


# Pure, and a refusal is not kept: the devices of a machine have the same RIMs.
@lru_cache(maxsize=256)
def _verify_signature(spki: bytes, signature: bytes, signed_info: bytes) -> None:
    verify_ecdsa_p384(
        spki,
        r=int.from_bytes(signature[:_DIGEST_BYTES], "big"),
        s=int.from_bytes(signature[_DIGEST_BYTES:], "big"),
        message=signed_info,
    )


def _unsigned(reason: str) -> VerificationError:
    return VerificationError(Code.ENDORSEMENT_SIGNATURE, f"RIM: {reason}")


def _the_signature(root: etree._Element) -> etree._Element:
    # spec/attestation §16.5: one signature, at one place. A second one, or one that is nested or
    # moved, is how a signed part is wrapped into a document that says something else.
    found = list(root.iter(f"{_DS}Signature"))
    if len(found) != 1 or len(root) == 0 or root[-1] is not found[0]:
        raise _malformed("not exactly one signature, as the last child of the root")
    if found[0].attrib:
        raise _malformed("a signature with attributes")
    return found[0]


def _require_signed_info(signed_info: etree._Element) -> None:
    elements = list(signed_info.iter())
    found = [(element.tag, dict(element.attrib)) for element in elements]
    if found != [(_DS + name, attributes) for name, attributes in _SIGNED_INFO]:
        raise _malformed("a SignedInfo of another form or with other algorithms")
    top = len(list(signed_info.iterancestors()))
    depths = tuple(len(list(element.iterancestors())) - top for element in elements)
    if depths != _DEPTHS:
        raise _malformed("a SignedInfo whose elements are nested otherwise")


def _canonical_part(element: etree._Element) -> bytes:
    # Serialized and read again, a part carries the namespaces of its ancestors itself; canonical
    # form (inclusive) has them too, and the library's forgets those of a part.
    return _canonical(parse_xml(etree.tostring(element, with_tail=False)))


def _without_signature(data: bytes) -> bytes:
    # From a tree of its own, so that nothing that was read before can have changed it.
    root = parse_xml(data)
    signature = root[-1]
    if signature.tail:
        # The enveloped transform takes the element away and leaves the text behind it.
        previous = signature.getprevious()
        if previous is None:
            root.text = (root.text or "") + signature.tail
        else:
            previous.tail = (previous.tail or "") + signature.tail
        signature.tail = None
    root.remove(signature)
    return _canonical(root)


def _canonical(root: etree._Element) -> bytes:
    try:
        return bytes(etree.tostring(root, method="c14n", exclusive=False, with_comments=False))
    except etree.C14NError:
        # A namespace whose name is relative, which canonical XML does not know.
        raise _malformed("it has no canonical form") from None


def _octets(element: etree._Element, *, size: int) -> bytes:
    data = _base64(element)
    if len(data) != size:
        raise _malformed(f"{len(data)} bytes where {size} belong")
    return data


def _base64(element: etree._Element) -> bytes:
    if len(element) or element.attrib:
        raise _malformed("something else than base64 text")
    try:
        return base64.b64decode("".join((element.text or "").split()), validate=True)
    except ValueError:
        raise _malformed("text that is not base64") from None


def _certificates(key_info: etree._Element) -> tuple[bytes, ...]:
    holders = list(key_info)
    if [holder.tag for holder in holders] != [f"{_DS}X509Data"]:
        raise _malformed("a KeyInfo of other parts than one X509Data")
    listing = list(holders[0])
    if any(item.tag != f"{_DS}X509Certificate" for item in listing):
        raise _malformed("an X509Data of other parts than certificates")
    if not 1 <= len(listing) <= CHAIN_CERTIFICATES_MAX:
        raise _malformed(f"{len(listing)} certificates, 1 to {CHAIN_CERTIFICATES_MAX} belong there")
    return tuple(map(_base64, listing))
