"""NVIDIA's reference measurements (RIM) and the OCSP status of its certificates.

Sources: NVIDIA's RIM service API v1 (`{id, rim, sha256, ...}`, the digest over the decoded RIM);
RFC 6960 §4.1.1 for the request. A request carries no nonce, so that its answer can be kept.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
from typing import Final

from sealtune.attestation.rim import RimContent, parse_rim
from sealtune.broker.endorsements.subjects import Kind, Subject
from sealtune.broker.endorsements.window import Window, half_open
from sealtune.core.canonical import parse_foreign_json
from sealtune.core.limits import ENDORSEMENT_BYTES_MAX
from sealtune.crypto import der
from sealtune.crypto.algorithms import OID_SHA384
from sealtune.crypto.der import Tag
from sealtune.crypto.ocsp import Answer, parse_ocsp, public_key_bits
from sealtune.crypto.x509 import Certificate, parse_certificate
from sealtune.errors import Code, FormatError, VerificationError

RIM_ANSWER_BYTES_MAX: Final = ENDORSEMENT_BYTES_MAX * 3 // 2
_UNKNOWN: Final = 0x82  # RFC 6960 §4.2.1: the responder does not know the certificate


def rim_path(subject: Subject) -> str:
    """Return the path under which NVIDIA's service has the RIM `subject`."""
    return f"/v1/rim/{subject.name}"


def rim_of_answer(subject: Subject, body: bytes) -> bytes:
    """Return the RIM in the answer `body` to a question for `subject`.

    Raises:
        FormatError: no such answer, or a RIM that was damaged on the way.
        VerificationError: an answer about another RIM.
    """
    value = parse_foreign_json(body, limit=RIM_ANSWER_BYTES_MAX, what="RIM service")
    if not isinstance(value, dict) or not isinstance(value.get("rim"), str):
        raise _malformed("an answer without a RIM")
    if value.get("id") != subject.name:
        raise VerificationError(Code.ENDORSEMENT_MISMATCH, "RIM service: an answer for another id")
    try:
        rim = base64.b64decode(value["rim"], validate=True)
    except (binascii.Error, ValueError):
        raise _malformed("a RIM that is not base64") from None
    if value.get("sha256") != hashlib.sha256(rim).hexdigest():
        raise _malformed("a RIM whose digest differs")
    return rim


def examine_rim(subject: Subject, data: bytes) -> Window:
    """Return when the certificates of the RIM `data` are all valid.

    Raises:
        FormatError: no RIM.
        VerificationError: it is of another product or version than its id says.
    """
    parsed = parse_rim(data)
    if not _is_named(parsed.content, subject.name):
        about = f"{parsed.content.product} {parsed.content.version}"
        raise VerificationError(
            Code.ENDORSEMENT_MISMATCH, f"a RIM of {about}, which was not asked for"
        )
    certificates = map(parse_certificate, parsed.document.certificates)
    first, *others = (Window(item.not_before, item.not_after) for item in certificates)
    for other in others:
        first = first.within(other)
    return first


def ocsp_subject(certificate: Certificate, *, issuer: Certificate) -> Subject:
    """Return the subject of the status of `certificate`, which `issuer` issued.

    Raises:
        FormatError: a negative serial number, or a key that cannot be read.
    """
    name, key = (
        hashlib.sha384(data).hexdigest() for data in (issuer.subject, public_key_bits(issuer))
    )
    return Subject(Kind.NVIDIA_OCSP, f"{name}/{key}/{certificate.serial:x}")


def ocsp_request(subject: Subject) -> bytes:
    """Return the request for the status `subject`, in DER."""
    name, key, serial = subject.parts
    about = der.encode(
        Tag.SEQUENCE,
        der.encode(Tag.SEQUENCE, der.encode_oid(OID_SHA384), der.encode(Tag.NULL)),
        der.encode(Tag.OCTET_STRING, bytes.fromhex(name)),
        der.encode(Tag.OCTET_STRING, bytes.fromhex(key)),
        der.encode_integer(int(serial, 16)),
    )
    # OCSPRequest, TBSRequest, requestList, Request.
    return der.encode(
        Tag.SEQUENCE,
        der.encode(Tag.SEQUENCE, der.encode(Tag.SEQUENCE, der.encode(Tag.SEQUENCE, about))),
    )


def examine_ocsp(subject: Subject, data: bytes) -> Window:
    """Return from when until when the response `data` stands.

    A revocation is a good answer to the question: what it means, the verifier says.

    Raises:
        FormatError: no response, or one that cannot be kept.
        VerificationError: nothing in it is about the certificate, or its responder does not know.
    """
    answers = [answer for answer in parse_ocsp(data).answers if _is_about(answer, subject)]
    if len(answers) != 1 or answers[0].status == _UNKNOWN:
        raise VerificationError(
            Code.ENDORSEMENT_MISMATCH, "a response that says nothing about this certificate"
        )
    (answer,) = answers
    if answer.next_update is None:
        raise _malformed("an OCSP response without an end")
    return half_open(answer.this_update, answer.next_update)


def _is_about(answer: Answer, subject: Subject) -> bool:
    # Hashes of 48 bytes are those that were asked with; others have another length.
    about = answer.about
    name = f"{about.issuer_name.hex()}/{about.issuer_key.hex()}/{about.serial:x}"
    return name == subject.name


def _is_named(content: RimContent, rim_id: str) -> bool:
    # An id of a VBIOS has its version without dots and its board; what the RIM has of both is the
    # version. One of a driver has product and version as they are.
    if rim_id.startswith(("NV_GPU_VBIOS_", "NV_SWITCH_BIOS_")):
        return rim_id.upper().endswith(f"_{content.version.replace('.', '').upper()}")
    product = content.product.removesuffix("-CC")
    named = rim_id.removesuffix(f"_{content.version}").rpartition("_")[2]
    # X stands for a family of chips, on either side.
    same = len(named) == len(product) and all(
        left == right or "X" in (left, right) for left, right in zip(named, product, strict=True)
    )
    return same and rim_id.endswith(f"_{content.version}")


def _malformed(reason: str) -> FormatError:
    return FormatError(Code.ENDORSEMENT_MALFORMED, f"NVIDIA: {reason}")
