"""RSA: PKCS #1 v1.5 as TPMs and their vendors sign, keys made of numbers, and their sizes."""

from __future__ import annotations

import pickle

import pytest
from cryptography.hazmat.primitives.asymmetric import rsa

from sealtune.crypto.ecdsa import P256Key
from sealtune.crypto.key_encoding import encode_public_key, load_public_key
from sealtune.crypto.rsa import (
    DigestName,
    RsaKey,
    rsa_spki,
    verify_rsa_pkcs1,
    verify_rsa_pss,
)
from sealtune.errors import Code, FormatError, VerificationError

DIGESTS: tuple[DigestName, ...] = ("sha256", "sha384", "sha512")


@pytest.fixture(scope="module")
def key() -> RsaKey:
    return RsaKey.generate(2048)


@pytest.mark.parametrize("digest", DIGESTS)
def test_pkcs1_verifies_what_was_signed_and_nothing_else(key: RsaKey, digest: DigestName) -> None:
    signature = key.sign_pkcs1(b"message", digest=digest)
    verify_rsa_pkcs1(key.spki, signature=signature, message=b"message", digest=digest)
    other_digest = DIGESTS[DIGESTS.index(digest) - 1]
    for other, message, name in (
        (signature, b"massage", digest),
        (signature, b"message", other_digest),
        (signature[:-1], b"message", digest),
        (b"\0" + signature, b"message", digest),
        (b"", b"message", digest),
        (bytes(256), b"message", digest),
        (b"\xff" * 256, b"message", digest),
    ):
        with pytest.raises(VerificationError) as refusal:
            verify_rsa_pkcs1(key.spki, signature=other, message=message, digest=name)
        assert refusal.value.code is Code.SIGNATURE_INVALID


def test_pss_is_not_pkcs1(key: RsaKey) -> None:
    pss = key.sign(b"message")
    with pytest.raises(VerificationError):
        verify_rsa_pkcs1(key.spki, signature=pss, message=b"message", digest="sha384")
    # AMD's scheme is tied to AMD's size.
    with pytest.raises(FormatError):
        verify_rsa_pss(key.spki, signature=pss, message=b"message")


def numbers_of(key: RsaKey) -> tuple[int, int]:
    public = load_public_key(key.spki)
    assert isinstance(public, rsa.RSAPublicKey)
    numbers = public.public_numbers()
    return numbers.n, numbers.e


def modulus_of(bits: int) -> int:
    return (1 << (bits - 1)) | 1


def test_a_key_is_made_of_its_numbers(key: RsaKey) -> None:
    modulus, exponent = numbers_of(key)
    assert rsa_spki(modulus=modulus, exponent=exponent) == key.spki
    assert rsa_spki(modulus=modulus_of(8192), exponent=65537)


@pytest.mark.parametrize(
    ("modulus", "exponent"),
    [
        (modulus_of(2047), 65537),
        (modulus_of(8193), 65537),
        (0, 65537),
        (-modulus_of(2048), 65537),
        (modulus_of(2048), 0),
        (modulus_of(2048), 1),
        (modulus_of(2048), 65536),
        (modulus_of(2048), -3),
    ],
    ids=["2047", "8193", "zero", "negative", "e-0", "e-1", "e-even", "e-negative"],
)
def test_numbers_of_no_key_are_refused(modulus: int, exponent: int) -> None:
    with pytest.raises(FormatError) as refusal:
        rsa_spki(modulus=modulus, exponent=exponent)
    assert refusal.value.code is Code.PUBLIC_KEY_MALFORMED


@pytest.mark.parametrize("bits", [1024, 2047, 8193])
def test_keys_of_other_sizes_are_refused(bits: int) -> None:
    spki = encode_public_key(rsa.RSAPublicNumbers(65537, modulus_of(bits)).public_key())
    with pytest.raises(FormatError) as refusal:
        verify_rsa_pkcs1(spki, signature=bytes(bits // 8), message=b"", digest="sha256")
    assert refusal.value.code is Code.PUBLIC_KEY_MALFORMED


@pytest.mark.parametrize("bits", [2048, 3072, 8192])
def test_keys_of_these_sizes_are_taken(bits: int) -> None:
    spki = rsa_spki(modulus=modulus_of(bits), exponent=65537)
    with pytest.raises(VerificationError):
        verify_rsa_pkcs1(spki, signature=bytes(bits // 8), message=b"", digest="sha256")


def test_keys_of_another_kind_are_refused() -> None:
    for spki in (P256Key.generate().spki, b"", b"\x30\x00", bytes(8 * 1024 + 1)):
        with pytest.raises(FormatError) as refusal:
            verify_rsa_pkcs1(spki, signature=b"", message=b"", digest="sha256")
        assert refusal.value.code is Code.PUBLIC_KEY_MALFORMED


def test_a_key_larger_than_a_certificate_is_refused_unread() -> None:
    # 8 KiB are 65,536 bits; the header and the exponent take a few of them.
    for bits, accepted in ((64_000, True), (70_000, False)):
        spki = encode_public_key(rsa.RSAPublicNumbers(65537, modulus_of(bits)).public_key())
        if accepted:
            load_public_key(spki)
            continue
        with pytest.raises(FormatError) as refusal:
            load_public_key(spki)
        assert refusal.value.code is Code.PUBLIC_KEY_MALFORMED


def test_a_private_key_hides(key: RsaKey) -> None:
    assert repr(key) == "RsaKey(...)"
    assert RsaKey.from_der(key.reveal()).spki == key.spki
    with pytest.raises(TypeError):
        pickle.dumps(key)
