"""FF1 against the samples of NIST SP 800-38G, and its bounds."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sealtune.crypto.fpe import FF1

_KEY = "2B7E151628AED2A6ABF7158809CF4F3CEF4359D8D580AA4F7F036D6F04FC6A94"
_DIGITS = "0123456789abcdefghijklmnopqrstuvwxyz"
_TWEAK_10, _TWEAK_36 = "39383736353433323130", "3737373770717273373737"
# FF1samples.pdf of the standard's examples, samples 1 to 9: key bytes, radix, tweak, both texts.
_SAMPLES = [
    (16, 10, "", "0123456789", "2433477484"),
    (16, 10, _TWEAK_10, "0123456789", "6124200773"),
    (16, 36, _TWEAK_36, "0123456789abcdefghi", "a9tv40mll9kdu509eum"),
    (24, 10, "", "0123456789", "2830668132"),
    (24, 10, _TWEAK_10, "0123456789", "2496655549"),
    (24, 36, _TWEAK_36, "0123456789abcdefghi", "xbj3kv35jrawxv32ysr"),
    (32, 10, "", "0123456789", "6657667009"),
    (32, 10, _TWEAK_10, "0123456789", "1001623463"),
    (32, 36, _TWEAK_36, "0123456789abcdefghi", "xs8a0azh2avyalyzuwd"),
]


def _numerals(text: str) -> list[int]:
    return [_DIGITS.index(letter) for letter in text]


@pytest.mark.parametrize(("size", "radix", "tweak", "plain", "cipher"), _SAMPLES)
def test_samples_of_the_standard(
    size: int, radix: int, tweak: str, plain: str, cipher: str
) -> None:
    ff1 = FF1(bytes.fromhex(_KEY)[:size], radix=radix)
    made = ff1.encrypt(_numerals(plain), tweak=bytes.fromhex(tweak))
    assert made == _numerals(cipher)
    assert ff1.decrypt(made, tweak=bytes.fromhex(tweak)) == _numerals(plain)


@given(
    radix=st.integers(2, 300),
    data=st.data(),
    key=st.binary(min_size=32, max_size=32),
    tweak=st.binary(max_size=40),
)
def test_decrypts_what_it_encrypts(
    radix: int, data: st.DataObject, key: bytes, tweak: bytes
) -> None:
    ff1 = FF1(key, radix=radix)
    numeral = st.integers(0, radix - 1)
    numerals = data.draw(st.lists(numeral, min_size=20, max_size=60))
    made = ff1.encrypt(numerals, tweak=tweak)
    assert len(made) == len(numerals)
    assert all(0 <= item < radix for item in made)
    assert ff1.decrypt(made, tweak=tweak) == numerals


def test_a_domain_below_a_million_is_refused() -> None:
    ff1 = FF1(bytes(32), radix=10)
    assert not ff1.accepts(5)
    with pytest.raises(ValueError, match="million"):
        ff1.encrypt([1] * 5, tweak=b"")
    assert ff1.accepts(6)
    assert ff1.encrypt([1] * 6, tweak=b"") != [1] * 6


@pytest.mark.parametrize("numerals", [[10] * 8, [-1] * 8, [1] * 1_001])
def test_numerals_out_of_bounds_are_refused(numerals: list[int]) -> None:
    with pytest.raises(ValueError, match="FF1"):
        FF1(bytes(32), radix=10).encrypt(numerals, tweak=b"")


@pytest.mark.parametrize("radix", [1, 65_537])
def test_a_radix_out_of_bounds_is_refused(radix: int) -> None:
    with pytest.raises(ValueError, match="radix"):
        FF1(bytes(32), radix=radix)
