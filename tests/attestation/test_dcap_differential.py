"""Signatures of real quotes a second time, by code that shares nothing with the product's.

Reads the quote with `struct`, the certificates with `cryptography`, and follows the chain itself.
"""

from __future__ import annotations

import hashlib
import struct
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.utils import encode_dss_signature

from attestation.dcap import recorded_bytes
from attestation.test_dcap_vectors import IDS
from sealtune.attestation.dcap_quote import parse_quote

ROOT = "44a0196b2b99f889b8e149e95b807a350e7424964399e885a7cbb8ccfab674d3"
SGX_BODY, TD10_BODY = 384, 584
DIGEST = ec.ECDSA(hashes.SHA256())


@pytest.fixture(scope="module")
def folder(shared_dir: Path) -> Path:
    return shared_dir / "vectors"


def check(key: ec.EllipticCurvePublicKey, signature: bytes, message: bytes) -> None:
    r, s = int.from_bytes(signature[:32], "big"), int.from_bytes(signature[32:], "big")
    key.verify(encode_dss_signature(r, s), message, DIGEST)


def independent_check(quote: bytes) -> None:
    """Raise unless the quote hangs on Intel's root and every signature in it holds."""
    (version,) = struct.unpack_from("<H", quote)
    if version == 5:
        end = 54 + struct.unpack_from("<I", quote, 50)[0]
    else:
        end = 48 + (SGX_BODY if version == 3 else TD10_BODY)
    start = end + 4
    signature, point = quote[start : start + 64], quote[start + 64 : start + 128]
    position = start + 128 + (0 if version == 3 else 6)
    report, report_signature = quote[position : position + 384], quote[position + 384 :][:64]
    (auth_size,) = struct.unpack_from("<H", quote, position + 448)
    auth = quote[position + 450 :][:auth_size]
    kind, size = struct.unpack_from("<HI", quote, position + 450 + auth_size)
    assert kind == 5
    pem = quote[position + 456 + auth_size :][:size].rstrip(b"\0")
    leaf, authority, root = x509.load_pem_x509_certificates(pem)
    assert root.fingerprint(hashes.SHA256()).hex() == ROOT
    for issued, issuer in ((leaf, authority), (authority, root), (root, root)):
        issued.verify_directly_issued_by(issuer)
    pck = leaf.public_key()
    assert isinstance(pck, ec.EllipticCurvePublicKey)
    check(pck, report_signature, report)
    assert report[320:352] == hashlib.sha256(point + auth).digest()
    key = ec.EllipticCurvePublicKey.from_encoded_point(ec.SECP256R1(), b"\x04" + point)
    check(key, signature, quote[:end])


@pytest.mark.parametrize("name", IDS)
def test_an_independent_check_accepts_every_recorded_quote(folder: Path, name: str) -> None:
    independent_check(recorded_bytes(folder, name))


@pytest.mark.parametrize("name", IDS)
def test_an_independent_check_refuses_a_flipped_report_data(folder: Path, name: str) -> None:
    quote = bytearray(recorded_bytes(folder, name))
    offset = quote.index(parse_quote(bytes(quote)).body.report_data)
    quote[offset] ^= 1
    with pytest.raises(InvalidSignature):
        independent_check(bytes(quote))
