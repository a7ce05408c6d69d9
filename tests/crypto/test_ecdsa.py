"""Vendors' signatures: ECDSA and RSA-PSS, over raw bytes."""

from __future__ import annotations

import pickle

import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from sealtune.crypto.ecdsa import (
    P256_ORDER,
    P384_ORDER,
    P256Key,
    P384Key,
    p256_spki,
    verify_ecdsa_der,
    verify_ecdsa_p256,
    verify_ecdsa_p384,
)
from sealtune.crypto.rsa import RsaKey, verify_rsa_pss
from sealtune.errors import Code, FormatError, VerificationError
from sealtune.testing.mock_amd import MockAmd


def spki(key: ec.EllipticCurvePrivateKey | rsa.RSAPrivateKey) -> bytes:
    return key.public_key().public_bytes(
        serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo
    )


def pkcs8(key: ec.EllipticCurvePrivateKey | rsa.RSAPrivateKey | Ed25519PrivateKey) -> bytes:
    return key.private_bytes(
        serialization.Encoding.DER,
        serialization.PrivateFormat.PKCS8,
        serialization.NoEncryption(),
    )


def test_ecdsa_verifies_what_was_signed_and_nothing_else() -> None:
    key = P384Key.generate()
    r, s = key.sign(b"message")
    verify_ecdsa_p384(key.spki, r=r, s=s, message=b"message")
    others = ((r, s, b"massage"), (s, r, b"message"), (r ^ 1, s, b"message"))
    for other_r, other_s, message in others:
        with pytest.raises(VerificationError) as refusal:
            verify_ecdsa_p384(key.spki, r=other_r, s=other_s, message=message)
        assert refusal.value.code is Code.SIGNATURE_INVALID
    with pytest.raises(VerificationError):
        verify_ecdsa_p384(P384Key.generate().spki, r=r, s=s, message=b"message")


@pytest.mark.parametrize(
    ("r_change", "s_change"),
    [
        (lambda r: 0, lambda s: s),
        (lambda r: r, lambda s: 0),
        (lambda r: r + P384_ORDER, lambda s: s),
        (lambda r: r, lambda s: s + P384_ORDER),
        (lambda r: P384_ORDER, lambda s: s),
        (lambda r: r, lambda s: P384_ORDER),
        (lambda r: -r, lambda s: s),
    ],
)
def test_ecdsa_refuses_scalars_out_of_range(r_change: object, s_change: object) -> None:
    assert callable(r_change)
    assert callable(s_change)
    key = P384Key.generate()
    r, s = key.sign(b"message")
    with pytest.raises(VerificationError) as refusal:
        verify_ecdsa_p384(key.spki, r=r_change(r), s=s_change(s), message=b"message")
    assert "out of range" in str(refusal.value)


def test_ecdsa_judges_the_smallest_scalar_by_the_signature() -> None:
    key = P384Key.generate()
    r, s = key.sign(b"message")
    for other_r, other_s in ((1, s), (r, 1)):
        with pytest.raises(VerificationError) as refusal:
            verify_ecdsa_p384(key.spki, r=other_r, s=other_s, message=b"message")
        assert "does not match" in str(refusal.value)


def test_keys_of_another_kind_are_refused(mock_amd: MockAmd) -> None:
    p256 = spki(ec.generate_private_key(ec.SECP256R1()))
    rsa2048 = spki(rsa.generate_private_key(public_exponent=65537, key_size=2048))
    ed25519 = Ed25519PrivateKey.generate().public_key()
    edwards = ed25519.public_bytes(
        serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo
    )
    for key in (p256, edwards, rsa2048, b"", b"\x30\x00", mock_amd.ark_key.spki):
        with pytest.raises(FormatError) as refusal:
            verify_ecdsa_p384(key, r=1, s=1, message=b"")
        assert refusal.value.code is Code.PUBLIC_KEY_MALFORMED
    for key in (p256, edwards, rsa2048, b"", mock_amd.vek_key.spki):
        with pytest.raises(FormatError) as refusal:
            verify_rsa_pss(key, signature=b"", message=b"")
        assert refusal.value.code is Code.PUBLIC_KEY_MALFORMED


def test_rsa_verifies_what_was_signed_and_nothing_else(mock_amd: MockAmd) -> None:
    key = mock_amd.ark_key
    signature = key.sign(b"message")
    verify_rsa_pss(key.spki, signature=signature, message=b"message")
    for other, message in ((signature, b"massage"), (signature[:-1], b"message"), (b"", b"")):
        with pytest.raises(VerificationError) as refusal:
            verify_rsa_pss(key.spki, signature=other, message=message)
        assert refusal.value.code is Code.SIGNATURE_INVALID


def test_private_keys_survive_a_round_trip(mock_amd: MockAmd) -> None:
    ecdsa, rsa4096 = mock_amd.vek_key, mock_amd.ark_key
    assert P384Key.from_der(ecdsa.reveal()).spki == ecdsa.spki
    assert RsaKey.from_der(rsa4096.reveal()).spki == rsa4096.spki
    p256 = pkcs8(ec.generate_private_key(ec.SECP256R1()))
    for wrong in (b"", b"\x30\x00", rsa4096.reveal(), p256):
        with pytest.raises(FormatError) as refusal:
            P384Key.from_der(wrong)
        assert refusal.value.code is Code.KEY_FILE_MALFORMED
    rsa1024 = pkcs8(rsa.generate_private_key(public_exponent=65537, key_size=1024))
    for wrong in (ecdsa.reveal(), rsa1024, pkcs8(Ed25519PrivateKey.generate())):
        with pytest.raises(FormatError) as refusal:
            RsaKey.from_der(wrong)
        assert refusal.value.code is Code.KEY_FILE_MALFORMED


def test_p256_verifies_what_was_signed_and_nothing_else() -> None:
    key = P256Key.generate()
    r, s = key.sign(b"message")
    verify_ecdsa_p256(key.spki, r=r, s=s, message=b"message")
    for other_r, other_s, message in (
        (r, s, b"massage"),
        (s, r, b"message"),
        (r ^ 1, s, b"message"),
        (0, s, b"message"),
        (r, 0, b"message"),
        (P256_ORDER, s, b"message"),
        (r, P256_ORDER, b"message"),
        (r + P256_ORDER, s, b"message"),
        (-r, s, b"message"),
    ):
        with pytest.raises(VerificationError) as refusal:
            verify_ecdsa_p256(key.spki, r=other_r, s=other_s, message=message)
        assert refusal.value.code is Code.SIGNATURE_INVALID
    for spki_ in (P384Key.generate().spki, b""):
        with pytest.raises(FormatError) as malformed:
            verify_ecdsa_p256(spki_, r=r, s=s, message=b"message")
        assert malformed.value.code is Code.PUBLIC_KEY_MALFORMED


@pytest.mark.parametrize("curve", [ec.SECP256R1(), ec.SECP384R1(), ec.SECP521R1()])
def test_a_certificates_signature_is_verified_on_each_curve(curve: ec.EllipticCurve) -> None:
    from cryptography.hazmat.primitives import hashes

    key = ec.generate_private_key(curve)
    signature = key.sign(b"message", ec.ECDSA(hashes.SHA512()))
    verify_ecdsa_der(spki(key), signature=signature, message=b"message", digest="sha512")
    longer = (
        signature[:1] + b"\x81" + signature[1:]
        if signature[1] < 0x80
        else b"0\x82\0" + (signature[2:])
    )
    for other, message, digest in (
        (signature, b"massage", "sha512"),
        (signature, b"message", "sha384"),
        (longer, b"message", "sha512"),
        (signature + b"\0", b"message", "sha512"),
        (b"", b"message", "sha512"),
    ):
        with pytest.raises(VerificationError):
            verify_ecdsa_der(spki(key), signature=other, message=message, digest=digest)  # type: ignore[arg-type]


def test_other_curves_are_refused() -> None:
    key = spki(ec.generate_private_key(ec.SECP256K1()))
    with pytest.raises(FormatError) as refusal:
        verify_ecdsa_der(key, signature=b"", message=b"", digest="sha256")
    assert refusal.value.code is Code.PUBLIC_KEY_MALFORMED


def test_a_point_becomes_a_key() -> None:
    key = P256Key.generate()
    point = key.spki[-64:]
    assert p256_spki(point) == key.spki
    off_curve = point[:-1] + bytes([point[-1] ^ 1])
    for wrong in (point[:-1], point + b"\0", b"", bytes(64), off_curve, b"\xff" * 64):
        with pytest.raises(FormatError) as refusal:
            p256_spki(wrong)
        assert refusal.value.code is Code.PUBLIC_KEY_MALFORMED


def test_private_keys_hide() -> None:
    for key, text in ((P256Key.generate(), "P256Key(...)"), (P384Key.generate(), "P384Key(...)")):
        assert repr(key) == text
        with pytest.raises(TypeError):
            pickle.dumps(key)
    with pytest.raises(FormatError):
        P256Key.from_der(P384Key.generate().reveal())
    key = P256Key.generate()
    assert P256Key.from_der(key.reveal()).spki == key.spki
