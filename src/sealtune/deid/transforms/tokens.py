"""Codes in the form of an identifier: digits for digits, letters for letters, signs as they were.

Digits, and letters, are encrypted with FF1 where there are enough of each for a domain of a
million; fewer are chosen by the key, so that two short ones may get one token (only the vault leads
back from those). Card numbers and IBANs get check digits that are wrong, so that nobody takes a
token for a real account; other tokens can by chance be somebody's number outside of the dataset.
"""

from __future__ import annotations

from typing import Final

from sealtune.crypto.fpe import FF1
from sealtune.deid.entities import EntityType
from sealtune.deid.key import DeidKey
from sealtune.deid.transforms.choice import Chooser
from sealtune.deid.transforms.replaced import Seen

_UPPER: Final = "ABCDEFGHIJKLMNOPQRSTUVWXYZ"
_TWEAK_LABEL: Final = "sealtune/v1/deid/token/"
_CARD_DIGITS_MIN: Final = 12


class Tokens:
    """Makes tokens; the type of an identifier is part of what decides."""

    def __init__(self, key: DeidKey, chooser: Chooser) -> None:
        secret = key.subkey("tokens").reveal()
        self._chooser = chooser
        self._digits = FF1(secret, radix=10)
        self._letters = FF1(secret, radix=len(_UPPER))

    def token(self, seen: Seen) -> str | None:
        """Return the token of a value, or None where nothing in it could be replaced."""
        value, entity = seen.value, seen.entity
        if entity is EntityType.IBAN and len(value) > 4 and value[:2].isalpha():
            # 02 to 98 are the check digits that ISO 13616 gives; 00 is never right.
            return f"{value[:2]}00{self._replaced(value[4:], entity)}"
        if not any(map(str.isalnum, value)):
            return None
        made = self._replaced(value, entity)
        return _with_wrong_check(made) if entity is EntityType.PAYMENT_CARD else made

    def _replaced(self, value: str, entity: EntityType) -> str:
        digits = [at for at, letter in enumerate(value) if letter.isdecimal()]
        letters = [at for at, letter in enumerate(value) if letter.isascii() and letter.isalpha()]
        made = list(self._chooser.alike(f"token/{entity}", value, identity=_identity(value)))
        tweak = (_TWEAK_LABEL + entity).encode()
        if self._digits.accepts(len(digits)):
            new = self._digits.encrypt([int(value[at]) for at in digits], tweak=tweak)
            for at, digit in zip(digits, new, strict=True):
                made[at] = str(digit)
        if self._letters.accepts(len(letters)):
            new = self._letters.encrypt(
                [_UPPER.index(value[at].upper()) for at in letters], tweak=tweak
            )
            for at, letter in zip(letters, new, strict=True):
                made[at] = _UPPER[letter] if value[at].isupper() else _UPPER[letter].lower()
        return "".join(made)


def _identity(value: str) -> str:
    """Return what two spellings of one number have in common."""
    return "".join(letter for letter in value.casefold() if letter.isalnum())


def _with_wrong_check(value: str) -> str:
    """Return `value` with another last digit if it passes for a card number (Luhn)."""
    places = [at for at, letter in enumerate(value) if letter.isdecimal()]
    if len(places) < _CARD_DIGITS_MIN or not _passes_luhn([int(value[at]) for at in places]):
        return value
    last = places[-1]
    return f"{value[:last]}{(int(value[last]) + 1) % 10}{value[last + 1 :]}"


def _passes_luhn(digits: list[int]) -> bool:
    doubled = [sum(divmod(2 * digit, 10)) for digit in digits[-2::-2]]
    return (sum(digits[-1::-2]) + sum(doubled)) % 10 == 0
