"""Numbers with check digits, computed from the public rules of those who issue them.

Written for the generator and for nothing else, so that a mistake in a detector's arithmetic is not
made twice.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from sealtune.testing.deid.draw import DIGITS, UPPER, Draw


def _weighted(digits: str, weights: tuple[int, ...]) -> int:
    return sum(int(digit) * weight for digit, weight in zip(digits, weights, strict=True))


def luhn(digits: str) -> str:
    """Return `digits` and the digit that ISO/IEC 7812 asks for."""
    total = 0
    for place, digit in enumerate(reversed(digits)):
        value = int(digit) * (2 if place % 2 == 0 else 1)
        total += value - 9 if value > 9 else value
    return digits + str(-total % 10)


def iban(draw: Draw) -> str:
    """Return an IBAN of one of twelve countries (ISO 13616), in groups of four or in one piece."""
    country, form = draw.one(IBANS)
    body = draw.form(form)
    number = "".join(str(int(mark, 36)) for mark in body + country + "00")
    whole = f"{country}{98 - int(number) % 97:02d}{body}"
    if draw.chance(0.6):
        return " ".join(whole[place : place + 4] for place in range(0, len(whole), 4))
    return whole


IBANS: Final = (
    ("DE", "#" * 18),
    ("FR", "#" * 10 + "*" * 11 + "##"),
    ("ES", "#" * 20),
    ("GB", "@@@@" + "#" * 14),
    ("NL", "@@@@" + "#" * 10),
    ("IT", "@" + "#" * 10 + "*" * 12),
    ("CH", "#" * 5 + "*" * 12),
    ("AT", "#" * 16),
    ("BE", "#" * 12),
    ("PL", "#" * 24),
    ("SE", "#" * 20),
    ("PT", "#" * 21),
)


def payment_card(draw: Draw) -> str:
    """Return a card's number of four issuers with its Luhn digit."""
    start, length = draw.one((("4", 16), ("5" + draw.one("12345"), 16), ("37", 15), ("6011", 16)))
    whole = luhn(start + draw.text(DIGITS, length - 1 - len(start)))
    joint = draw.one((" ", "-", ""))
    if length == 15:
        return joint.join((whole[:4], whole[4:10], whole[10:]))
    return joint.join(whole[place : place + 4] for place in range(0, 16, 4))


def ssn(draw: Draw) -> str:
    """Return a number that the Social Security Administration could have issued."""
    area = draw.one([number for number in range(1, 899) if number != 666])
    parts = (f"{area:03d}", f"{draw.between(1, 99):02d}", f"{draw.between(1, 9999):04d}")
    return draw.one(("-", "-", "-", " ", ".")).join(parts)


def vin(draw: Draw) -> str:
    """Return a vehicle identification number with its check character (49 CFR 565)."""
    letters = "ABCDEFGHJKLMNPRSTUVWXYZ"
    values = dict(zip(letters, map(int, "12345678123457923456789"), strict=True))
    body = draw.one("1245JKW") + draw.form("@*****").replace("I", "1") + draw.form("*")
    body = body.replace("Q", "R").replace("O", "P")
    tail = draw.form("@@######").replace("Q", "R")
    whole = f"{body}0{tail}"
    weights = (8, 7, 6, 5, 4, 3, 2, 10, 0, 9, 8, 7, 6, 5, 4, 3, 2)
    total = sum(
        (int(mark) if mark.isdigit() else values[mark]) * weight
        for mark, weight in zip(whole, weights, strict=True)
    )
    rest = total % 11
    return whole[:8] + ("X" if rest == 10 else str(rest)) + whole[9:]


def imei(draw: Draw) -> str:
    """Return the number of a mobile device with its Luhn digit."""
    return luhn(draw.form("35############", "86############"))


def udi(draw: Draw) -> str:
    """Return a unique device identifier: a GTIN with its check digit (GS1), a serial number."""
    body = draw.form("00###########")
    check = -_weighted(body, (3, 1) * 6 + (3,)) % 10
    lot = draw.form("(17)27####", "(10)@###", "")
    return f"(01){body}{check}{lot}{draw.form('(21)@#######', '(21)########')}"


def npi(draw: Draw) -> str:
    """Return a National Provider Identifier: Luhn over 80840 and nine digits."""
    return luhn("80840" + draw.form("1########", "2########"))[5:]


def dea(draw: Draw) -> str:
    """Return a prescriber's registration with the DEA: two letters, six digits, their check."""
    digits = draw.text(DIGITS, 6)
    odd = sum(int(mark) for mark in digits[0::2])
    even = sum(int(mark) for mark in digits[1::2])
    return draw.one("ABFM") + draw.one(UPPER) + digits + str((odd + 2 * even) % 10)


def mbi(draw: Draw) -> str:
    """Return a Medicare Beneficiary Identifier: fixed kinds of characters, some letters unused."""
    letters = "ACDEFGHJKMNPQRTUVWXY"
    kinds = "CAXNAXNAANN"
    sets = {"C": DIGITS[1:], "A": letters, "N": DIGITS, "X": DIGITS + letters}
    whole = "".join(draw.one(sets[kind]) for kind in kinds)
    return f"{whole[:4]}-{whole[4:7]}-{whole[7:]}" if draw.chance(0.5) else whole


def _de_tax(draw: Draw) -> str:
    # ISO 7064 MOD 11,10; among the first ten digits exactly one occurs twice.
    ten = draw.some(DIGITS, 9)
    ten.insert(draw.between(2, 9), ten[0])
    if ten[0] == "0":
        ten = ["7" if mark == "0" else "0" if mark == "7" else mark for mark in ten]
    product = 10
    for mark in ten:
        total = (int(mark) + product) % 10 or 10
        product = total * 2 % 11
    check = (11 - product) % 10
    whole = "".join(ten) + str(check)
    return draw.one((whole, f"{whole[:2]} {whole[2:5]} {whole[5:8]} {whole[8:]}"))


def _fr_nir(draw: Draw) -> str:
    body = f"{draw.between(1, 2)}{draw.between(30, 99)}{draw.between(1, 12):02d}"
    body += f"{draw.between(10, 95):02d}{draw.between(1, 900):03d}{draw.between(1, 900):03d}"
    check = f"{97 - int(body) % 97:02d}"
    pieces = (body[0], body[1:3], body[3:5], body[5:7], body[7:10], body[10:], check)
    return draw.one((" ", "")).join(pieces)


def _es_dni(draw: Draw) -> str:
    number = draw.text(DIGITS, 8)
    letter = "TRWAGMYFPDXBNJZSQVHLCKE"[int(number) % 23]
    return draw.one((f"{number}{letter}", f"{number}-{letter}"))


def _es_nie(draw: Draw) -> str:
    first, rest = draw.below(3), draw.text(DIGITS, 7)
    letter = "TRWAGMYFPDXBNJZSQVHLCKE"[int(f"{first}{rest}") % 23]
    return draw.one((f"{'XYZ'[first]}{rest}{letter}", f"{'XYZ'[first]}-{rest}-{letter}"))


def _it_fiscal(draw: Draw) -> str:
    consonants = "BCDFGLMNPRSTVZ"
    body = draw.text(consonants, 6) + f"{draw.between(30, 99)}{draw.one('ABCDEHLMPRST')}"
    body += f"{draw.between(1, 28):02d}{draw.one('ABDFHL')}{draw.between(100, 899)}"
    odd = (
        1,
        0,
        5,
        7,
        9,
        13,
        15,
        17,
        19,
        21,
        2,
        4,
        18,
        20,
        11,
        3,
        6,
        8,
        12,
        14,
        16,
        10,
        22,
        25,
        24,
        23,
    )
    total = 0
    for place, mark in enumerate(body):
        value = int(mark) if mark.isdigit() else ord(mark) - ord("A")
        total += odd[value] if place % 2 == 0 else value
    return body + chr(ord("A") + total % 26)


def _uk_nhs(draw: Draw) -> str:
    while True:
        body = draw.form("%########")
        check = 11 - _weighted(body, (10, 9, 8, 7, 6, 5, 4, 3, 2)) % 11
        if check != 10:
            whole = body + str(0 if check == 11 else check)
            return draw.one((f"{whole[:3]} {whole[3:6]} {whole[6:]}", whole))


def _nl_bsn(draw: Draw) -> str:
    while True:
        body = draw.form("%#######")
        check = _weighted(body, (9, 8, 7, 6, 5, 4, 3, 2)) % 11
        if check != 10:
            return body + str(check)


def _pl_pesel(draw: Draw) -> str:
    body = f"{draw.between(30, 99)}{draw.between(1, 12):02d}{draw.between(1, 28):02d}"
    body += draw.text(DIGITS, 4)
    return body + str(-_weighted(body, (1, 3, 7, 9, 1, 3, 7, 9, 1, 3)) % 10)


def _se_personnummer(draw: Draw) -> str:
    body = f"{draw.between(30, 99)}{draw.between(1, 12):02d}{draw.between(1, 28):02d}"
    whole = luhn(body + draw.text(DIGITS, 3))
    return f"{draw.one(('', '19'))}{whole[:6]}-{whole[6:]}"


def _fi_hetu(draw: Draw) -> str:
    born = f"{draw.between(1, 28):02d}{draw.between(1, 12):02d}{draw.between(30, 99)}"
    own = f"{draw.between(2, 899):03d}"
    return f"{born}-{own}{'0123456789ABCDEFHJKLMNPRSTUVWXY'[int(born + own) % 31]}"


def _br_cpf(draw: Draw) -> str:
    body = draw.text(DIGITS, 9)
    for length in (9, 10):
        rest = _weighted(body, tuple(range(length + 1, 1, -1))) * 10 % 11 % 10
        body += str(rest)
    return draw.one((f"{body[:3]}.{body[3:6]}.{body[6:9]}-{body[9:]}", body))


def _in_aadhaar(draw: Draw) -> str:
    # Verhoeff: the dihedral group of ten elements and powers of one permutation.
    def product(left: int, right: int) -> int:
        if left < 5:
            return (left + right) % 5 if right < 5 else 5 + (left + right) % 5
        return 5 + (left - right) % 5 if right < 5 else (left - right) % 5

    permutation = (1, 5, 7, 6, 2, 8, 3, 0, 9, 4)
    body = draw.form("2##########", "7##########", "9##########")
    total = 0
    for place, mark in enumerate(reversed(body), 1):
        value = int(mark)
        for _ in range(place % 8):
            value = permutation[value]
        total = product(total, value)
    inverse = (0, 4, 3, 2, 1, 5, 6, 7, 8, 9)[total]
    whole = f"{body}{inverse}"
    return draw.one((f"{whole[:4]} {whole[4:8]} {whole[8:]}", whole))


def _au_medicare(draw: Draw) -> str:
    body = draw.form("2#######", "4#######", "5#######")
    check = _weighted(body, (1, 3, 7, 9, 1, 3, 7, 9)) % 10
    return f"{body[:4]} {body[4:]}{check} {draw.between(1, 5)}"


def _be_rrn(draw: Draw) -> str:
    born = (draw.between(30, 99), draw.between(1, 12), draw.between(1, 28))
    own = draw.between(1, 997)
    number = int(f"{born[0]}{born[1]:02d}{born[2]:02d}{own:03d}")
    return f"{born[0]}.{born[1]:02d}.{born[2]:02d}-{own:03d}.{97 - number % 97:02d}"


def _ch_ahv(draw: Draw) -> str:
    body = "756" + draw.text(DIGITS, 9)
    check = -_weighted(body, (1, 3) * 6) % 10
    whole = f"{body}{check}"
    return f"{whole[:3]}.{whole[3:7]}.{whole[7:11]}.{whole[11:]}"


def _ca_sin(draw: Draw) -> str:
    whole = luhn(draw.form("1#######", "4#######", "6#######"))
    return draw.one((" ", "-")).join((whole[:3], whole[3:6], whole[6:]))


def _no_fnr(draw: Draw) -> str:
    while True:
        body = f"{draw.between(1, 28):02d}{draw.between(1, 12):02d}{draw.between(40, 99)}"
        body += f"{draw.between(0, 499):03d}"
        first = -_weighted(body, (3, 7, 6, 1, 8, 9, 4, 5, 2)) % 11
        second = -_weighted(f"{body}{first % 10}", (5, 4, 3, 2, 7, 6, 5, 4, 3, 2)) % 11
        if first < 10 and second < 10:
            whole = f"{body}{first}{second}"
            return draw.one((whole, f"{whole[:6]} {whole[6:]}"))


# How the number is called where it occurs, and how it is made.
NATIONAL: Final[tuple[tuple[tuple[str, ...], Callable[[Draw], str]], ...]] = (
    (("Steuer-ID", "IdNr.", "steuerliche Identifikationsnummer"), _de_tax),
    (("NIR", "n° de sécurité sociale", "numéro de sécu"), _fr_nir),
    (("DNI", "NIF", "DNI/NIF"), _es_dni),
    (("NIE",), _es_nie),
    (("codice fiscale", "C.F."), _it_fiscal),
    (("NHS number", "NHS no."), _uk_nhs),
    (("BSN", "burgerservicenummer"), _nl_bsn),
    (("PESEL",), _pl_pesel),
    (("personnummer", "pnr"), _se_personnummer),
    (("henkilötunnus", "HETU"), _fi_hetu),
    (("CPF",), _br_cpf),
    (("Aadhaar", "Aadhaar no"), _in_aadhaar),
    (("Medicare card (AU)", "AU Medicare no"), _au_medicare),
    (("rijksregisternummer", "numéro national"), _be_rrn),
    (("AHV-Nr.", "AVS"), _ch_ahv),
    (("SIN", "social insurance number"), _ca_sin),
    (("fødselsnummer", "fnr"), _no_fnr),
)


def _de_vat(draw: Draw) -> str:
    body = draw.form("%#######")
    product = 10
    for mark in body:
        total = (int(mark) + product) % 10 or 10
        product = total * 2 % 11
    return f"DE{body}{(11 - product) % 10}"


def _fr_vat(draw: Draw) -> str:
    siren = luhn(draw.form("3#######", "4#######", "5#######"))
    return f"FR{(12 + 3 * (int(siren) % 97)) % 97:02d}{siren}"


def _it_vat(draw: Draw) -> str:
    return f"IT{luhn(draw.form('0######0' + '##'))}"


def _nl_vat(draw: Draw) -> str:
    return f"NL{_nl_bsn(draw)}B{draw.between(1, 20):02d}"


def _gb_vat(draw: Draw) -> str:
    body = draw.form("%######")
    total = _weighted(body, (8, 7, 6, 5, 4, 3, 2))
    return f"GB{body}{97 - total % 97:02d}"


def _pl_vat(draw: Draw) -> str:
    while True:
        body = draw.form("%%%######")
        check = _weighted(body, (6, 5, 7, 2, 3, 4, 5, 6, 7)) % 11
        if check != 10:
            return f"PL{body}{check}"


def _at_vat(draw: Draw) -> str:
    body = draw.text(DIGITS, 7)
    total = 0
    for place, mark in enumerate(body):
        value = int(mark) * (2 if place % 2 else 1)
        total += value // 10 + value % 10
    return f"ATU{body}{(10 - (total + 4) % 10) % 10}"


def _us_ein(draw: Draw) -> str:
    return draw.form("20-#######", "36-#######", "47-#######", "81-#######")


def tax_id(draw: Draw) -> tuple[str, str]:
    """Return a label and a VAT number of seven countries or an employer's of the United States."""
    make = draw.one((_de_vat, _fr_vat, _it_vat, _nl_vat, _gb_vat, _pl_vat, _at_vat, _us_ein))
    labels = {
        _de_vat: ("USt-IdNr.", "VAT ID"),
        _fr_vat: ("n° TVA", "VAT no."),
        _it_vat: ("Partita IVA", "VAT"),
        _us_ein: ("EIN", "Federal Tax ID", "Employer tax id"),
    }
    return draw.one(labels.get(make, ("VAT number", "VAT reg. no.", "VAT"))), make(draw)
