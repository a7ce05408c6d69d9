"""TPM structures: read within bounds, every field as it was written, nothing left over."""

from __future__ import annotations

import dataclasses
import hashlib
from collections.abc import Callable

import pytest
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, padding, rsa
from hypothesis import given
from hypothesis import strategies as st

from sealtune.attestation.tpm_public import parse_tpm2b_public, parse_tpmt_public
from sealtune.attestation.tpm_quote import open_pcrs, parse_tpm_quote
from sealtune.attestation.tpm_signature import (
    parse_tpm_signature,
    raw_rsassa,
    verify_tpm_signature,
)
from sealtune.attestation.tpm_wire import TpmHash, TpmReader
from sealtune.errors import Code, FormatError, SealtuneError, VerificationError
from sealtune.testing.mock_tpm import SHA256_REGISTERS, MockQuote, sized

QUOTE = MockQuote(registers={0: b"\x01" * 32, 9: b"\x02" * 32, 23: b"\x03" * 32}).encode()
SHA256 = TpmHash.SHA256


def code_of(call: Callable[[], object]) -> Code:
    with pytest.raises(SealtuneError) as refusal:
        call()
    return refusal.value.code


def test_a_reader_goes_no_further_than_its_structure() -> None:
    reader = TpmReader(b"\x00\x03ab", what="a test")
    with pytest.raises(FormatError):
        reader.take(5)
    with pytest.raises(FormatError):
        reader.sized(limit=3)
    assert reader.rest() == b"ab"


# -- the quote -------------------------------------------------------------------------------------


def test_every_field_is_read() -> None:
    quote = parse_tpm_quote(
        MockQuote(
            extra_data=b"asked",
            registers={1: bytes(32), 23: bytes(32)},
            signer=b"\x00\x0bname",
            clock=2**40,
            reset_count=7,
            restart_count=9,
            safe=0,
            firmware_version=2**63,
            digest=b"d" * 32,
        ).encode()
    )
    assert quote.to_fields() == {
        "extra": b"asked".hex(),
        "clock": 2**40,
        "reset": 7,
        "restart": 9,
        "safe": 0,
        "fw": "8000000000000000",
        "sels": [["0xb", "020080"]],
        "pcrdigest": (b"d" * 32).hex(),
        "trailing": 0,
    }
    assert quote.signer == b"\x00\x0bname"
    assert quote.selections[0].indices == (1, 23)


@pytest.mark.parametrize(
    "quote",
    [
        MockQuote(magic=0xFF544348),
        MockQuote(magic=0),
        MockQuote(kind=0x8017),
        MockQuote(safe=2),
        MockQuote(signer=bytes(67)),
        MockQuote(extra_data=bytes(67)),
        MockQuote(digest=bytes(65)),
        MockQuote(bitmap_bytes=5),
        MockQuote(bitmap_bytes=0, registers={}),
    ],
    ids=[
        "magic",
        "magic-zero",
        "certify",
        "safe",
        "name",
        "extra",
        "digest",
        "bitmap-long",
        "bitmap-none",
    ],
)
def test_another_structure_is_refused(quote: MockQuote) -> None:
    assert code_of(lambda: parse_tpm_quote(quote.encode())) is Code.EVIDENCE_MALFORMED


def test_every_truncation_and_a_byte_more_are_refused() -> None:
    for piece in (QUOTE[:size] for size in range(len(QUOTE))):
        with pytest.raises(FormatError) as refusal:
            parse_tpm_quote(piece)
        assert refusal.value.code is Code.EVIDENCE_MALFORMED
    assert code_of(lambda: parse_tpm_quote(QUOTE + b"\0")) is Code.EVIDENCE_MALFORMED
    assert code_of(lambda: parse_tpm_quote(QUOTE + bytes(1024))) is Code.LIMIT_EXCEEDED


def banks(*pairs: tuple[int, bytes], count: int | None = None) -> bytes:
    """A quote with these selections and an empty digest."""
    head = QUOTE[: QUOTE.index(b"\x00\x00\x00\x01\x00\x0b\x03")]
    listing = b"".join(bank.to_bytes(2, "big") + bytes([len(bits)]) + bits for bank, bits in pairs)
    number = len(pairs) if count is None else count
    return head + number.to_bytes(4, "big") + listing + sized(b"")


@pytest.mark.parametrize(
    "data",
    [
        banks((0x0B, b"\1\0\0"), (0x0B, b"\2\0\0")),
        banks((0x99, b"\1\0\0")),
        banks((0x0B, b"\1\0\0"), count=2),
        banks((0x0B, b"\1\0\0"), count=6),
        banks((0x0B, b"\1\0\0"), count=2**32 - 1),
    ],
    ids=["twice", "unknown", "count", "too-many", "huge"],
)
def test_selections_out_of_bounds_are_refused(data: bytes) -> None:
    assert code_of(lambda: parse_tpm_quote(data)) is Code.EVIDENCE_MALFORMED


@given(st.binary(max_size=300))
def test_no_bytes_make_a_parser_fail_otherwise(data: bytes) -> None:
    for parse in (parse_tpm_quote, parse_tpm_signature, parse_tpm2b_public, parse_tpmt_public):
        for attempt in (data, QUOTE[:6] + data, b"\x00\x14\x00\x0b" + data):
            try:
                parse(attempt)
            except FormatError:
                continue


# -- registers -------------------------------------------------------------------------------------


def test_registers_are_opened_in_the_order_of_the_selection() -> None:
    quote = parse_tpm_quote(QUOTE)
    values = b"\x01" * 32 + b"\x02" * 32 + b"\x03" * 32
    pcrs = open_pcrs(quote, values, hashed_with=SHA256)
    assert dict(pcrs.registers) == {
        "pcr0": "01" * 32,
        "pcr9": "02" * 32,
        "pcr23": "03" * 32,
    }


@pytest.mark.parametrize(
    "values",
    [
        b"".join(SHA256_REGISTERS[number] for number in range(23)),
        b"".join(SHA256_REGISTERS[number] for number in range(24)) + bytes(32),
        b"".join(SHA256_REGISTERS[number] for number in reversed(range(24))),
        bytes(24 * 32),
        b"",
    ],
    ids=["23", "25", "order", "values", "none"],
)
def test_other_registers_than_were_quoted_are_refused(values: bytes) -> None:
    quote = parse_tpm_quote(MockQuote().encode())
    with pytest.raises(VerificationError) as refusal:
        open_pcrs(quote, values, hashed_with=SHA256)
    assert refusal.value.code is Code.EVIDENCE_PCR_DIGEST


@pytest.mark.parametrize("count", [23, 25])
def test_a_list_of_another_length_is_refused_even_under_its_own_digest(count: int) -> None:
    values = bytes(32 * count)
    quote = parse_tpm_quote(MockQuote(digest=hashlib.sha256(values).digest()).encode())
    with pytest.raises(VerificationError) as refusal:
        open_pcrs(quote, values, hashed_with=SHA256)
    assert refusal.value.code is Code.EVIDENCE_PCR_DIGEST


def test_the_digest_is_made_with_the_hash_of_the_signature() -> None:
    quote = parse_tpm_quote(MockQuote().encode(hashed_with=TpmHash.SHA384))
    values = MockQuote().values
    open_pcrs(quote, values, hashed_with=TpmHash.SHA384)
    with pytest.raises(VerificationError) as refusal:
        open_pcrs(quote, values, hashed_with=SHA256)
    assert refusal.value.code is Code.EVIDENCE_PCR_DIGEST


def test_banks_have_their_own_names_and_sha1_is_recorded_only() -> None:
    values = b"\1" * 20 + b"\2" * 32 + b"\3" * 48 + b"\4" * 64
    pairs = [(0x04, b"\1\0\0"), (0x0B, b"\1\0\0"), (0x0C, b"\1\0\0"), (0x0D, b"\0\1\0")]
    data = banks(*pairs)[:-2] + sized(hashlib.sha256(values).digest())
    pcrs = open_pcrs(parse_tpm_quote(data), values, hashed_with=SHA256)
    assert dict(pcrs.registers) == {
        "pcr0": "02" * 32,
        "pcr0_sha384": "03" * 48,
        "pcr8_sha512": "04" * 64,
    }
    assert pcrs.values[0].name == "pcr0_sha1"


def test_the_same_values_in_other_registers_are_another_measurement() -> None:
    # A register that software may reset can be brought to any value that another one reached.
    def measured(registers: dict[int, bytes]) -> tuple[bytes, str]:
        quote = MockQuote(registers=registers)
        parsed = parse_tpm_quote(quote.encode())
        return parsed.pcr_digest, open_pcrs(parsed, quote.values, hashed_with=SHA256).measurement

    digest, measurement = measured({0: b"\1" * 32, 7: b"\2" * 32})
    other_digest, other = measured({16: b"\1" * 32, 23: b"\2" * 32})
    assert digest == other_digest
    assert measurement != other


# -- signatures ------------------------------------------------------------------------------------

MESSAGE = b"what a TPM attested"


def spki_of(key: rsa.RSAPrivateKey | ec.EllipticCurvePrivateKey) -> bytes:
    return key.public_key().public_bytes(
        serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo
    )


@pytest.fixture(scope="module")
def rsa_key() -> rsa.RSAPrivateKey:
    return rsa.generate_private_key(public_exponent=65537, key_size=2048)


HASHES = {0x0B: hashes.SHA256(), 0x0C: hashes.SHA384(), 0x0D: hashes.SHA512()}


def tpmt_rsa(scheme: int, number: int, signature: bytes) -> bytes:
    return scheme.to_bytes(2, "big") + number.to_bytes(2, "big") + sized(signature)


@pytest.mark.parametrize("number", HASHES, ids=["sha256", "sha384", "sha512"])
@pytest.mark.parametrize("salt", ["digest", "longest"])
def test_rsapss_verifies_with_either_salt(
    rsa_key: rsa.RSAPrivateKey, number: int, salt: str
) -> None:
    algorithm = HASHES[number]
    length = padding.PSS.DIGEST_LENGTH if salt == "digest" else padding.PSS.MAX_LENGTH
    scheme = padding.PSS(mgf=padding.MGF1(algorithm), salt_length=length)
    signed = rsa_key.sign(MESSAGE, scheme, algorithm)
    signature = parse_tpm_signature(tpmt_rsa(0x0016, number, signed))
    verify_tpm_signature(signature, spki=spki_of(rsa_key), message=MESSAGE)
    with pytest.raises(VerificationError) as refusal:
        verify_tpm_signature(signature, spki=spki_of(rsa_key), message=MESSAGE + b"!")
    assert refusal.value.code is Code.EVIDENCE_SIGNATURE


@pytest.mark.parametrize("number", HASHES, ids=["sha256", "sha384", "sha512"])
def test_rsassa_verifies(rsa_key: rsa.RSAPrivateKey, number: int) -> None:
    signed = rsa_key.sign(MESSAGE, padding.PKCS1v15(), HASHES[number])
    signature = parse_tpm_signature(tpmt_rsa(0x0014, number, signed))
    verify_tpm_signature(signature, spki=spki_of(rsa_key), message=MESSAGE)
    with pytest.raises(VerificationError) as refusal:
        verify_tpm_signature(signature, spki=spki_of(rsa_key), message=MESSAGE + b"!")
    assert refusal.value.code is Code.EVIDENCE_SIGNATURE


def test_one_rsa_scheme_does_not_pass_for_the_other(rsa_key: rsa.RSAPrivateKey) -> None:
    signed = rsa_key.sign(MESSAGE, padding.PKCS1v15(), hashes.SHA256())
    signature = parse_tpm_signature(tpmt_rsa(0x0016, 0x0B, signed))
    with pytest.raises(VerificationError) as refusal:
        verify_tpm_signature(signature, spki=spki_of(rsa_key), message=MESSAGE)
    assert refusal.value.code is Code.EVIDENCE_SIGNATURE
    assert raw_rsassa(signed) == parse_tpm_signature(tpmt_rsa(0x0014, 0x0B, signed))


def test_a_key_of_another_kind_is_refused(rsa_key: rsa.RSAPrivateKey) -> None:
    curve_key = ec.generate_private_key(ec.SECP256R1())
    signature = raw_rsassa(bytes(256))
    for scheme in ("rsassa", "rsapss"):
        if scheme == "rsapss":
            signature = parse_tpm_signature(tpmt_rsa(0x0016, 0x0B, bytes(256)))
        with pytest.raises(FormatError) as refusal:
            verify_tpm_signature(signature, spki=spki_of(curve_key), message=MESSAGE)
        assert refusal.value.code is Code.PUBLIC_KEY_MALFORMED
    ecdsa = parse_tpm_signature(b"\x00\x18\x00\x0b" + sized(b"\1") + sized(b"\1"))
    with pytest.raises(FormatError) as refusal:
        verify_tpm_signature(ecdsa, spki=spki_of(rsa_key), message=MESSAGE)
    assert refusal.value.code is Code.PUBLIC_KEY_MALFORMED


@pytest.mark.parametrize("scheme", [0x0014, 0x0016], ids=["rsassa", "rsapss"])
def test_a_short_key_is_refused(scheme: int) -> None:
    key = rsa.generate_private_key(public_exponent=65537, key_size=1024)
    form = (
        padding.PKCS1v15()
        if scheme == 0x0014
        else padding.PSS(mgf=padding.MGF1(hashes.SHA256()), salt_length=32)
    )
    signed = key.sign(MESSAGE, form, hashes.SHA256())
    signature = parse_tpm_signature(tpmt_rsa(scheme, 0x0B, signed))
    with pytest.raises(FormatError) as refusal:
        verify_tpm_signature(signature, spki=spki_of(key), message=MESSAGE)
    assert refusal.value.code is Code.PUBLIC_KEY_MALFORMED


@pytest.mark.parametrize(
    "data",
    [
        b"",
        tpmt_rsa(0x0015, 0x0B, bytes(256)),
        tpmt_rsa(0x0014, 0x04, bytes(256)),
        tpmt_rsa(0x0014, 0x12, bytes(256)),
        tpmt_rsa(0x0014, 0x0B, bytes(513)),
        tpmt_rsa(0x0014, 0x0B, bytes(256)) + b"\0",
        tpmt_rsa(0x0014, 0x0B, bytes(256))[:-1],
        b"\x00\x18\x00\x0d" + sized(b"\1") + sized(b"\1"),
        b"\x00\x18\x00\x0b" + sized(bytes(49)) + sized(b"\1"),
        b"\x00\x18\x00\x0b" + sized(b"\1"),
    ],
    ids=[
        "empty",
        "rsaes",
        "sha1",
        "sm3",
        "long",
        "trailing",
        "cut",
        "ecdsa-sha512",
        "scalar-long",
        "no-s",
    ],
)
def test_another_signature_is_refused(data: bytes) -> None:
    assert code_of(lambda: parse_tpm_signature(data)) is Code.EVIDENCE_MALFORMED


def test_huge_signatures_and_keys_are_refused_before_they_are_read() -> None:
    for parse in (parse_tpm_signature, raw_rsassa, parse_tpmt_public):
        with pytest.raises(FormatError) as refusal:
            parse(bytes(4096))
        assert refusal.value.code is Code.LIMIT_EXCEEDED


# -- public keys -----------------------------------------------------------------------------------

RESTRICTED_SIGNING = 0x00050072


@dataclasses.dataclass(frozen=True, kw_only=True)
class Template:
    """A TPMT_PUBLIC for RSA, field by field."""

    kind: int = 0x0001
    name_hash: int = 0x000B
    attributes: int = RESTRICTED_SIGNING
    policy: bytes = b""
    symmetric: bytes = b"\x00\x10"
    scheme: bytes = b"\x00\x14\x00\x0b"
    bits: int = 2048
    exponent: int = 0
    modulus: bytes = b""
    tail: bytes = b""

    def encode(self) -> bytes:
        head = self.kind.to_bytes(2, "big") + self.name_hash.to_bytes(2, "big")
        numbers = self.bits.to_bytes(2, "big") + self.exponent.to_bytes(4, "big")
        middle = self.attributes.to_bytes(4, "big") + sized(self.policy)
        return (
            head + middle + self.symmetric + self.scheme + numbers + sized(self.modulus) + self.tail
        )


@pytest.fixture(scope="module")
def template(rsa_key: rsa.RSAPrivateKey) -> Template:
    return Template(modulus=rsa_key.public_key().public_numbers().n.to_bytes(256, "big"))


def test_an_rsa_key_is_read(rsa_key: rsa.RSAPrivateKey, template: Template) -> None:
    data = template.encode()
    public = parse_tpm2b_public(sized(data))
    assert public.spki == spki_of(rsa_key)
    assert public.name == b"\x00\x0b" + hashlib.sha256(data).digest()
    assert public.is_attestation_key
    storage = dataclasses.replace(
        template, symmetric=b"\x00\x06\x00\x80\x00\x43", scheme=b"\x00\x10", exponent=65537
    )
    assert parse_tpmt_public(storage.encode()).spki == public.spki


@pytest.mark.parametrize("missing", [1 << 1, 1 << 5, 1 << 16, 1 << 18])
def test_a_key_that_may_sign_anything_else_is_no_attestation_key(
    template: Template, missing: int
) -> None:
    other = dataclasses.replace(template, attributes=RESTRICTED_SIGNING & ~missing)
    assert not parse_tpmt_public(other.encode()).is_attestation_key


@pytest.mark.parametrize(
    "changes",
    [
        {"kind": 0x0008},
        {"name_hash": 0x0012},
        {"name_hash": 0x9999},
        {"policy": bytes(513)},
        {"bits": 1024},
        {"bits": 3072},
        {"modulus": bytes(256)},
        {"tail": b"\0"},
    ],
    ids=["keyedhash", "sm3", "hash", "policy", "1024", "3072", "modulus", "tail"],
)
def test_another_public_key_is_refused(template: Template, changes: dict[str, object]) -> None:
    data = dataclasses.replace(template, **changes).encode()
    assert code_of(lambda: parse_tpmt_public(data)) is Code.EVIDENCE_MALFORMED


def ecc_public(curve: int, x: bytes, y: bytes, *, scheme: bytes = b"\x00\x18\x00\x0b") -> bytes:
    head = b"\x00\x23\x00\x0b" + RESTRICTED_SIGNING.to_bytes(4, "big") + sized(b"")
    return (
        head + b"\x00\x10" + scheme + curve.to_bytes(2, "big") + b"\x00\x10" + sized(x) + sized(y)
    )


@pytest.mark.parametrize(
    ("number", "curve", "size"),
    [(0x0003, ec.SECP256R1(), 32), (0x0004, ec.SECP384R1(), 48)],
    ids=["p256", "p384"],
)
def test_an_ecc_key_is_read(number: int, curve: ec.EllipticCurve, size: int) -> None:
    key = ec.derive_private_key(3, curve)
    numbers = key.public_key().public_numbers()
    x, y = (value.to_bytes(size, "big") for value in (numbers.x, numbers.y))
    public = parse_tpmt_public(ecc_public(number, x, y))
    assert public.spki == spki_of(key)
    assert parse_tpmt_public(ecc_public(number, x.lstrip(b"\0"), y)).spki == public.spki
    daa = ecc_public(number, x, y, scheme=b"\x00\x1a\x00\x0b\x00\x00")
    assert parse_tpmt_public(daa).spki == public.spki


def test_an_ecc_key_on_another_curve_is_refused() -> None:
    data = ecc_public(0x0010, bytes(32), bytes(32))
    assert code_of(lambda: parse_tpmt_public(data)) is Code.EVIDENCE_MALFORMED


def test_a_public_key_ends_where_its_length_says(template: Template) -> None:
    data = sized(template.encode())
    assert code_of(lambda: parse_tpm2b_public(data + b"\0")) is Code.EVIDENCE_MALFORMED
    assert code_of(lambda: parse_tpm2b_public(data[:-1])) is Code.EVIDENCE_MALFORMED
