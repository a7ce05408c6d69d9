"""A device's chain is found among certificates beside its report, with bounded work."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec

from sealtune.attestation.forms import device_chain
from sealtune.crypto.x509 import parse_certificate

NOW = datetime(2026, 11, 23, 12, tzinfo=UTC)
Key = ec.EllipticCurvePrivateKey
SIGNS = x509.KeyUsage(
    digital_signature=False,
    content_commitment=False,
    key_encipherment=False,
    data_encipherment=False,
    key_agreement=False,
    key_cert_sign=True,
    crl_sign=False,
    encipher_only=False,
    decipher_only=False,
)


def named(name: str) -> x509.Name:
    return x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, name)])


def certificate(subject: str, key: Key, issuer: str, signer: Key) -> bytes:
    builder = (
        x509.CertificateBuilder()
        .subject_name(named(subject))
        .issuer_name(named(issuer))
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(NOW)
        .not_valid_after(NOW + timedelta(days=1))
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .add_extension(SIGNS, critical=True)
    )
    made = builder.sign(signer, hashes.SHA384())
    return made.public_bytes(serialization.Encoding.DER)


def test_namesakes_of_an_issuer_are_tried_up_to_a_bound(monkeypatch: pytest.MonkeyPatch) -> None:
    """Somebody lays hundreds of certificates with the issuer's name beside a report."""
    root, leaf, other = (ec.generate_private_key(ec.SECP384R1()) for _ in range(3))
    issuer = certificate("root", root, "root", root)
    namesake = certificate("root", other, "root", other)
    below = parse_certificate(certificate("leaf", leaf, "root", root))
    tried = []
    verify = device_chain.verify_issued
    monkeypatch.setattr(
        device_chain, "verify_issued", lambda *a, **k: (tried.append(a), verify(*a, **k))
    )

    def chain(*pool: bytes) -> tuple[bytes, ...]:
        return device_chain._chain(below, tuple(map(parse_certificate, pool)))

    assert chain(*[namesake] * 63, issuer) == (below.raw, issuer)
    tried.clear()
    assert chain(*[namesake] * 500, issuer) == (below.raw,)
    assert len(tried) == 64
