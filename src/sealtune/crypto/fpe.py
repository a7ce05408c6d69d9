"""FF1 (NIST SP 800-38G): encryption that keeps the length and the alphabet of a number's digits.

Small domains can be searched: fewer than a million values are refused, as revision 1 of the
standard has it. What a short number becomes is therefore the caller's affair.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes

DOMAIN_MIN: Final = 1_000_000
_ROUNDS: Final = 10
_BLOCK_BYTES: Final = 16
_RADIX_MAX: Final = 2**16
_NUMERALS_MAX: Final = 1_000  # far above any identifier; the standard's own bound is 2**32


class FF1:
    """Encrypts numerals of one radix under an AES key; holds no state between calls."""

    __slots__ = ("_cipher", "_radix")

    def __init__(self, key: bytes, *, radix: int) -> None:
        """Take an AES key of 16, 24 or 32 bytes and a radix of 2 to 65536.

        Raises:
            ValueError: another length or radix.
        """
        if not 2 <= radix <= _RADIX_MAX:
            raise ValueError("FF1's radix is 2 to 65536")
        # FF1 builds on single blocks of AES with a chaining of its own; every input to it is
        # prefixed by its lengths, so that this CBC-MAC is sound.
        self._cipher = Cipher(algorithms.AES(key), modes.ECB())  # noqa: S305
        self._radix = radix

    def encrypt(self, numerals: Sequence[int], *, tweak: bytes) -> list[int]:
        """Return other numerals, as many.

        Raises:
            ValueError: too few for a domain of a million, too many, or one not below the radix.
        """
        return self._run(numerals, tweak, range(_ROUNDS), 1)

    def decrypt(self, numerals: Sequence[int], *, tweak: bytes) -> list[int]:
        """Return what `encrypt` with the same tweak made `numerals` of.

        Raises:
            ValueError: as `encrypt`.
        """
        return self._run(numerals, tweak, range(_ROUNDS - 1, -1, -1), -1)

    def accepts(self, count: int) -> bool:
        """Whether `count` numerals are enough to be encrypted, and not too many."""
        return count <= _NUMERALS_MAX and self._radix**count >= DOMAIN_MIN and count >= 2

    def _run(
        self, numerals: Sequence[int], tweak: bytes, rounds: Sequence[int], sign: int
    ) -> list[int]:
        radix, count = self._radix, len(numerals)
        if not self.accepts(count) or not all(0 <= numeral < radix for numeral in numerals):
            raise ValueError("FF1 takes numerals below its radix, with a domain of a million")
        left = count // 2
        right = count - left
        width = ((radix**right - 1).bit_length() + 7) // 8
        head = _head(radix, left, count, len(tweak)) + tweak
        head += bytes((-len(tweak) - width - 1) % _BLOCK_BYTES)
        a, b = _number(numerals[:left], radix), _number(numerals[left:], radix)
        if sign < 0:
            a, b = b, a
        for number in rounds:
            # SP 800-38G, algorithms 7 and 8, step 6: a has as many digits as round `number` says.
            modulus = radix ** (left if number % 2 == 0 else right)
            mask = self._mask(head + bytes([number]) + b.to_bytes(width, "big"), width)
            a, b = b, (a + sign * mask) % modulus
        if sign < 0:
            a, b = b, a
        return _digits(a, radix, left) + _digits(b, radix, right)

    def _mask(self, message: bytes, width: int) -> int:
        encryptor = self._cipher.encryptor()
        block = bytes(_BLOCK_BYTES)
        for at in range(0, len(message), _BLOCK_BYTES):
            block = encryptor.update(_xor(block, message[at : at + _BLOCK_BYTES]))
        length = 4 * ((width + 3) // 4) + 4
        stream = block
        for number in range(1, (length + _BLOCK_BYTES - 1) // _BLOCK_BYTES):
            stream += encryptor.update(_xor(block, number.to_bytes(_BLOCK_BYTES, "big")))
        return int.from_bytes(stream[:length], "big")


def _head(radix: int, left: int, count: int, tweak: int) -> bytes:
    fixed = bytes([1, 2, 1]) + radix.to_bytes(3, "big") + bytes([_ROUNDS, left % 256])
    return fixed + count.to_bytes(4, "big") + tweak.to_bytes(4, "big")


def _xor(one: bytes, other: bytes) -> bytes:
    value = int.from_bytes(one, "big") ^ int.from_bytes(other, "big")
    return value.to_bytes(_BLOCK_BYTES, "big")


def _number(numerals: Sequence[int], radix: int) -> int:
    value = 0
    for numeral in numerals:
        value = value * radix + numeral
    return value


def _digits(value: int, radix: int, count: int) -> list[int]:
    digits = [0] * count
    for at in range(count - 1, -1, -1):
        value, digits[at] = divmod(value, radix)
    return digits
