"""Check digits: what tells an identifier from any other number of its length.

Each function takes the characters that carry meaning (separators gone, upper case) and says whether
they fit; none raises on foreign input. Sources: ISO 7064, ISO 13616, ISO/IEC 7812, 49 CFR 565, and
the issuing authorities' published rules.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from typing import Final

Check = Callable[[str], bool]


def luhn(text: str) -> bool:
    """Return whether the digits fit ISO/IEC 7812's formula."""
    if not text.isdigit():
        return False
    total = 0
    for place, letter in enumerate(reversed(text)):
        digit = int(letter)
        if place % 2:
            digit = digit * 2 - 9 if digit > 4 else digit * 2
        total += digit
    return total % 10 == 0


def mod97(text: str) -> bool:
    """Return whether an IBAN fits ISO 13616: moved by four, letters as numbers, rest 1 of 97."""
    if not text.isalnum() or not text.isascii():
        return False
    return int("".join(str(int(letter, 36)) for letter in text[4:] + text[:4])) % 97 == 1


_IBANS: Final = (
    "AD24AE23AL28AT20AZ28BA20BE16BG22BH22BI27BR29BY28CH21CR22CY28CZ24DE22DJ27DK18DO28EE20EG29ES24"
    "FI18FK18FO18FR27GB22GE22GI23GL18GR27GT28HR21HU28IE22IL23IQ23IS26IT27JO30KW30KZ20LB28LC32LI21"
    "LT20LU20LV21LY25MC27MD24ME22MK19MN20MR27MT31MU30NI28NL18NO15OM23PK24PL28PS29PT25QA29RO24RS22"
    "RU33SA24SC31SD18SE24SI19SK24SM27SO23ST25SV28TL23TN24TR26UA29VA22VG24XK20YE30"
)
IBAN_LENGTHS: Final = {
    _IBANS[i : i + 2]: int(_IBANS[i + 2 : i + 4]) for i in range(0, len(_IBANS), 4)
}


def iban(text: str) -> bool:
    """Return whether `text` has its country's length and fits."""
    return len(text) == IBAN_LENGTHS.get(text[:2]) and mod97(text)


def weighted(
    text: str, weights: Sequence[int], *, modulus: int, check: Callable[[int], int | str]
) -> bool:
    """Return whether the last character is `check` of the weighted sum of those before it."""
    body, last = text[:-1], text[-1:]
    if not body.isdigit() or len(body) != len(weights):
        return False
    total = sum(int(digit) * weight for digit, weight in zip(body, weights, strict=True))
    return str(check(total % modulus)) == last


def vin(text: str) -> bool:
    """Return whether the ninth character of a vehicle identification number fits (49 CFR 565)."""
    if len(text) != 17:
        return False
    values = {**{str(n): n for n in range(10)}}
    values |= dict(
        zip(
            "ABCDEFGHJKLMNPRSTUVWXYZ",
            (*range(1, 9), *range(1, 6), 7, 9, *range(2, 10)),
            strict=True,
        )
    )
    weights = (8, 7, 6, 5, 4, 3, 2, 10, 0, 9, 8, 7, 6, 5, 4, 3, 2)
    if not all(letter in values for letter in text):
        return False
    rest = sum(values[letter] * weight for letter, weight in zip(text, weights, strict=True)) % 11
    return text[8] == ("X" if rest == 10 else str(rest))


def npi(text: str) -> bool:
    """Return whether ten digits are a National Provider Identifier."""
    return len(text) == 10 and text[0] in "12" and luhn("80840" + text)


def dea(text: str) -> bool:
    """Return whether the last digit of a DEA number fits."""
    digits = text[2:]
    if len(digits) != 7 or not digits.isdigit():
        return False
    odd = sum(map(int, digits[0:6:2]))
    even = sum(map(int, digits[1:6:2]))
    return (odd + 2 * even) % 10 == int(digits[6])


def aba(text: str) -> bool:
    """Return whether nine digits are a routing number of the American Bankers Association."""
    if len(text) != 9 or not text.isdigit() or not 1 <= int(text[:2]) <= 92:
        return False
    return sum(int(d) * w for d, w in zip(text, (3, 7, 1) * 3, strict=True)) % 10 == 0


def ssn(text: str) -> bool:
    """Return whether nine digits can be a social security or individual taxpayer number."""
    area, group, serial = text[:3], text[3:5], text[5:]
    return len(text) == 9 and area not in ("000", "666") and group != "00" and serial != "0000"


_VERHOEFF_D: Final = (
    "0123456789", "1234067895", "2340178956", "3401289567", "4012395678",
    "5987604321", "6598710432", "7659821043", "8765932104", "9876543210",
)  # fmt: skip
_VERHOEFF_P: Final = (
    "0123456789", "1576283094", "5803796142", "8916043527",
    "9453126870", "4286573901", "2793806415", "7046913258",
)  # fmt: skip


def aadhaar(text: str) -> bool:
    """Return whether twelve digits fit Verhoeff's formula."""
    if len(text) != 12 or not text.isdigit() or text[0] in "01":
        return False
    state = 0
    for place, digit in enumerate(reversed(text)):
        state = int(_VERHOEFF_D[state][int(_VERHOEFF_P[place % 8][int(digit)])])
    return state == 0


def mod11_10(text: str) -> bool:
    """Return whether the digits fit ISO 7064 MOD 11,10 (German tax identifiers, Croatian OIB)."""
    if not text.isdigit():
        return False
    product = 10
    for digit in text[:-1]:
        product = (int(digit) + product) % 10 or 10
        product = product * 2 % 11
    return (11 - product) % 10 == int(text[-1])


def de_tax(text: str) -> bool:
    """Return whether eleven digits are a German tax identifier: one digit repeats."""
    if len(text) != 11 or text[0] == "0":
        return False
    counts = sorted(text[:10].count(digit) for digit in set(text[:10]))
    return counts[-1] in (2, 3) and mod11_10(text)


def de_health(text: str) -> bool:
    """Return whether a letter and nine digits are a German health insurance number."""
    if not re.fullmatch(r"[A-Z]\d{9}", text):
        return False
    digits = f"{ord(text[0]) - 64:02d}{text[1:9]}"
    total = sum(sum(map(int, str(int(d) * (1 + i % 2)))) for i, d in enumerate(digits))
    return total % 10 == int(text[9])


def fr_nir(text: str) -> bool:
    """Return whether thirteen characters and a key are a French social security number."""
    body, key = text[:13].replace("2A", "19").replace("2B", "18"), text[13:]
    return len(text) == 15 and body.isdigit() and key.isdigit() and 97 - int(body) % 97 == int(key)


def es_dni(text: str) -> bool:
    """Return whether the letter of a Spanish DNI or NIE fits."""
    body = {"X": "0", "Y": "1", "Z": "2"}.get(text[0], text[0]) + text[1:-1]
    return body.isdigit() and "TRWAGMYFPDXBNJZSQVHLCKE"[int(body) % 23] == text[-1]


_IT_ODD: Final = (
    1, 0, 5, 7, 9, 13, 15, 17, 19, 21, 2, 4, 18, 20, 11, 3, 6, 8, 12, 14, 16, 10, 22, 25, 24, 23,
)  # fmt: skip


def it_fiscal(text: str) -> bool:
    """Return whether the last letter of an Italian codice fiscale fits."""
    values = [int(c) if c.isdigit() else ord(c) - 65 for c in text[:15]]
    total = sum(_IT_ODD[v] if place % 2 == 0 else v for place, v in enumerate(values))
    return len(text) == 16 and chr(65 + total % 26) == text[15]


def nl_bsn(text: str) -> bool:
    """Return whether nine digits pass the Dutch eleven test."""
    weights = (9, 8, 7, 6, 5, 4, 3, 2, -1)
    if len(text) != 9 or not text.isdigit() or not int(text):
        return False
    return sum(int(d) * w for d, w in zip(text, weights, strict=True)) % 11 == 0


def be_national(text: str) -> bool:
    """Return whether a Belgian national number fits, born before or after 2000."""
    if len(text) != 11 or not text.isdigit():
        return False
    key = 97 - int(text[9:])
    return key in (int(text[:9]) % 97, int("2" + text[:9]) % 97)


def pl_pesel(text: str) -> bool:
    """Return whether eleven digits are a Polish PESEL."""
    weights = (1, 3, 7, 9, 1, 3, 7, 9, 1, 3)
    return weighted(text, weights, modulus=10, check=lambda rest: -rest % 10)


def pl_nip(text: str) -> bool:
    """Return whether ten digits are a Polish tax number."""
    return weighted(text, (6, 5, 7, 2, 3, 4, 5, 6, 7), modulus=11, check=lambda rest: rest)


def pt_nif(text: str) -> bool:
    """Return whether nine digits are a Portuguese tax number."""
    return weighted(text, range(9, 1, -1), modulus=11, check=lambda r: 0 if r < 2 else 11 - r)


def se_personal(text: str) -> bool:
    """Return whether the last ten digits are a Swedish personal number."""
    return len(text) in (10, 12) and luhn(text[-10:])


def fi_hetu(text: str) -> bool:
    """Return whether a Finnish personal identity code fits."""
    body = text[:6] + text[7:10]
    return (
        len(text) == 11
        and body.isdigit()
        and "0123456789ABCDEFHJKLMNPRSTUVWXY"[int(body) % 31] == text[10]
    )


def no_national(text: str) -> bool:
    """Return whether eleven digits are a Norwegian national identity number."""
    first = weighted(text[:10], (3, 7, 6, 1, 8, 9, 4, 5, 2), modulus=11, check=lambda r: -r % 11)
    weights = (5, 4, 3, 2, 7, 6, 5, 4, 3, 2)
    return first and weighted(text, weights, modulus=11, check=lambda r: -r % 11)


def uk_nhs(text: str) -> bool:
    """Return whether ten digits are an NHS number."""
    return weighted(text, range(10, 1, -1), modulus=11, check=lambda r: -r % 11)


def ch_ahv(text: str) -> bool:
    """Return whether thirteen digits beginning with 756 are a Swiss AHV number (EAN-13)."""
    if not text.startswith("756"):
        return False
    return weighted(text, (1, 3) * 6, modulus=10, check=lambda r: -r % 10)


def cz_birth(text: str) -> bool:
    """Return whether ten digits are a Czech or Slovak birth number."""
    return len(text) == 10 and text.isdigit() and int(text) % 11 == 0


def ro_cnp(text: str) -> bool:
    """Return whether thirteen digits are a Romanian CNP."""
    weights = (2, 7, 9, 1, 4, 6, 3, 5, 8, 2, 7, 9)
    return weighted(text, weights, modulus=11, check=lambda r: 1 if r == 10 else r)


def at_social(text: str) -> bool:
    """Return whether ten digits are an Austrian social insurance number: the fourth checks."""
    weights = (3, 7, 9, 0, 5, 8, 4, 2, 1, 6)
    if len(text) != 10 or not text.isdigit():
        return False
    return sum(int(d) * w for d, w in zip(text, weights, strict=True)) % 11 == int(text[3])


def ie_pps(text: str) -> bool:
    """Return whether seven digits and letters are an Irish PPS number."""
    if not re.fullmatch(r"\d{7}[A-W][A-IW]?", text):
        return False
    total = sum(int(d) * w for d, w in zip(text[:7], range(8, 1, -1), strict=True))
    if len(text) == 9 and text[8] != "W":
        total += 9 * (ord(text[8]) - 64)
    return "WABCDEFGHIJKLMNOPQRSTUV"[total % 23] == text[7]


def br_cpf(text: str) -> bool:
    """Return whether eleven digits are a Brazilian CPF."""
    if len(set(text)) == 1:
        return False
    first = weighted(
        text[:10], range(10, 1, -1), modulus=11, check=lambda r: 0 if r < 2 else 11 - r
    )
    return first and weighted(
        text, range(11, 1, -1), modulus=11, check=lambda r: 0 if r < 2 else 11 - r
    )


def au_tfn(text: str) -> bool:
    """Return whether nine digits are an Australian tax file number."""
    weights = (1, 4, 3, 7, 5, 8, 6, 9, 10)
    if len(text) != 9 or not text.isdigit():
        return False
    return sum(int(d) * w for d, w in zip(text, weights, strict=True)) % 11 == 0


def au_medicare(text: str) -> bool:
    """Return whether ten digits are an Australian Medicare number: the ninth checks."""
    if len(text) not in (10, 11) or text[0] not in "23456":
        return False
    return weighted(text[:9], (1, 3, 7, 9, 1, 3, 7, 9), modulus=10, check=lambda r: r)


def sg_nric(text: str) -> bool:
    """Return whether a Singaporean NRIC or FIN fits."""
    if not re.fullmatch(r"[STFGM]\d{7}[A-Z]", text):
        return False
    total = sum(int(d) * w for d, w in zip(text[1:8], (2, 7, 6, 5, 4, 3, 2), strict=True))
    total += {"T": 4, "G": 4, "M": 3}.get(text[0], 0)
    letters = {"S": "JZIHGFEDCBA", "F": "XWUTRQPNMLK", "M": "XWUTRQPNJLK"}
    table = letters.get({"T": "S", "G": "F"}.get(text[0], text[0]), "")
    rest = total % 11
    return table[10 - rest if text[0] == "M" else rest] == text[8]


def kr_rrn(text: str) -> bool:
    """Return whether thirteen digits are a Korean resident registration number."""
    weights = (2, 3, 4, 5, 6, 7, 8, 9, 2, 3, 4, 5)
    return weighted(text, weights, modulus=11, check=lambda r: (11 - r) % 10)


def cn_resident(text: str) -> bool:
    """Return whether a Chinese resident identity number fits (ISO 7064 MOD 11-2)."""
    if not re.fullmatch(r"\d{17}[\dX]", text):
        return False
    total = sum(int(d) * pow(2, 17 - i, 11) for i, d in enumerate(text[:17])) % 11
    return "10X98765432"[total] == text[17]


def dk_cpr(text: str) -> bool:
    """Return whether ten digits begin with a date: newer Danish numbers have no check digit."""
    return len(text) == 10 and 1 <= int(text[:2]) <= 31 and 1 <= int(text[2:4]) <= 12


_GB_VAT: Final = (8, 7, 6, 5, 4, 3, 2)


def vat_gb(text: str) -> bool:
    """Return whether nine digits are a British VAT number, of either rule."""
    if len(text) not in (9, 12) or not text.isdigit():
        return False
    total = sum(int(d) * w for d, w in zip(text[:7], _GB_VAT, strict=True)) + int(text[7:9])
    return total % 97 in (0, 42)


def vat_fr(text: str) -> bool:
    """Return whether a key and a SIREN are a French VAT number."""
    return len(text) == 11 and text.isdigit() and (12 + 3 * int(text[2:])) % 97 == int(text[:2])
