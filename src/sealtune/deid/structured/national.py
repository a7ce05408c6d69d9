"""Numbers of the United States and other countries that check digits or a strict form give away."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Final

from sealtune.deid.entities import EntityType
from sealtune.deid.patterns import any_of
from sealtune.deid.structured import checks
from sealtune.deid.structured.rules import LETTERS, Rule, checked

_END: Final = r"(?![A-Za-z0-9]|[-.]\d)"
_E: Final = EntityType
_BRANDS: Final = re.compile(
    r"4(?:\d{12}|\d{15}|\d{18})|5[0-9]\d{14}|2[2-7]\d{14}|3[47]\d{13}|3(?:0[0-59]|[689]\d)\d{11,13}"
    r"|6\d{11,18}|35\d{14}|1800\d{11}|2131\d{11}"
)


def _card(text: str) -> bool:
    return _BRANDS.fullmatch(text) is not None and checks.luhn(text)


def _strict(
    kind: str, entity: EntityType, form: str, starts: tuple[int, ...], check: Callable[[str], bool], *,
    confidence: float = 0.75, weak: float = 0.0,
) -> Rule:  # fmt: skip
    return Rule(
        kind=kind,
        entity=entity,
        pattern=re.compile(form + _END),
        confidence=confidence,
        starts=starts,
        check=checked(check),
        weak=weak,
    )


def _any(text: str) -> bool:
    return bool(text)


def _imei(text: str) -> bool:
    return text[0] in "013589" and checks.luhn(text)


def _itin_or_ssn(text: str) -> bool:
    return checks.ssn(text)


def _vat(text: str) -> bool:
    """Check the prefixed VAT numbers whose rule is known; other countries count by form."""
    known = {
        "FR": checks.vat_fr,
        "GB": checks.vat_gb,
        "PL": checks.pl_nip,
        "PT": checks.pt_nif,
        "DE": checks.mod11_10,
    }
    check = known.get(text[:2])
    return check is None or check(text[2:])


_VAT_FORM: Final = (
    r"(?:AT[ ]?U\d{8}|BE ?[01]\d{3}\.?\d{3}\.?\d{3}|BG ?\d{9,10}|CY ?\d{8}[A-Z]|CZ ?\d{8,10}|DE ?\d{3} ?\d{3} ?\d{3}"
    r"|DK ?\d{8}|EE ?\d{9}|EL ?\d{9}|ES ?[A-Z0-9]\d{7}[A-Z0-9]|FI ?\d{8}|FR ?[A-Z0-9]{2} ?\d{3} ?\d{3} ?\d{3}"
    r"|GB ?\d{3} ?\d{4} ?\d{2}(?:\d{3})?|HR ?\d{11}|HU ?\d{8}|IE ?\d[A-Z0-9+*]\d{5}[A-Z]{1,2}|IT ?\d{11}|LT ?\d{9,12}"
    r"|LU ?\d{8}|LV ?\d{11}|MT ?\d{8}|NL ?\d{9}B\d{2}|PL ?\d{3}-?\d{3}-?\d{2}-?\d{2}|PT ?\d{9}|RO ?\d{6,10}|SE ?\d{12}|SI ?\d{8}"
    r"|SK ?\d{10}|CHE-?\d{3}\.?\d{3}\.?\d{3})"
)
_IBAN_FORMS: Final = tuple(
    rf"(?i:{any_of('|'.join(c for c, n in checks.IBAN_LENGTHS.items() if n == length))})"
    rf"\d{{2}}(?:[ \-]{{0,2}}[A-Za-z0-9]){{{length - 4}}}"
    for length in sorted(set(checks.IBAN_LENGTHS.values()))
)
_N: Final = _E.NATIONAL_ID
_NINE: Final = r"\d{3}[ .\-]?\d{3}[ .\-]?\d{3}"
RULES: Final = (
    _strict(
        "ssn",
        _E.SSN,
        r"\d{3}(?P<sep>[- ])\d{2}(?P=sep)\d{4}",
        (3,),
        _itin_or_ssn,
        confidence=0.93,
        weak=0.6,
    ),
    _strict(
        "ssn-split",
        _E.SSN,
        r"\d{3}[ .\-\n]{1,3}\d{2}[ .\-\n]{1,3}\d{4}",
        (3,),
        checks.ssn,
        confidence=0.85,
    ),
    _strict("ssn-plain", _E.SSN, r"\d{9}", (9,), checks.ssn, confidence=0.5),
    _strict("ein", _E.TAX_ID, r"\d{2}-\d{7}", (2,), _any, confidence=0.8),
    _strict("npi", _E.LICENSE, r"\d{10}", (10,), checks.npi, confidence=0.7),
    _strict(
        "dea",
        _E.LICENSE,
        r"[A-Za-z][A-Za-z9]-?\d{7}",
        (LETTERS,),
        checks.dea,
        confidence=0.9,
        weak=0.5,
    ),
    _strict(
        "mbi",
        _E.HEALTH_PLAN,
        r"[1-9][AC-HJKMNP-RT-Yac-hjkmnp-rt-y][AC-HJKMNP-RT-Yac-hjkmnp-rt-y0-9]\d-?[AC-HJKMNP-RT-Yac-hjkmnp-rt-y][AC-HJKMNP-RT-Yac-hjkmnp-rt-y0-9]\d-?[AC-HJKMNP-RT-Yac-hjkmnp-rt-y]{2}\d{2}",
        (1,),
        _any,
        confidence=0.95,
    ),
    _strict(
        "card",
        _E.PAYMENT_CARD,
        r"\d{4}(?:[ \-\n]{0,2}\d{2,6}){2,5}",
        (4, 12, 13, 14, 15, 16, 17, 18, 19),
        _card,
        confidence=0.97,
        weak=0.0,
    ),
    _strict(
        "card-form",
        _E.PAYMENT_CARD,
        r"(?:[3-6]\d{3}(?:[ \-]?\d{4}){3}|3[47]\d{2}[ \-]?\d{6}[ \-]?\d{5})",
        (4, 15, 16),
        _any,
        confidence=0.6,
    ),
    _strict(
        "iban",
        _E.IBAN,
        r"[A-Za-z]{2}\d{2}(?:[ \-\n]{0,2}[A-Za-z0-9]{2,4}){3,9}?[A-Za-z0-9]{0,2}",
        (LETTERS,),
        checks.iban,
        confidence=0.98,
    ),
    Rule(
        kind="iban",
        entity=_E.IBAN,
        confidence=0.98,
        weak=0.6,
        starts=(LETTERS,),
        check=checked(checks.iban),
        pattern=re.compile(rf"(?=[A-Za-z]{{2}}\d{{2}})(?:{'|'.join(_IBAN_FORMS)})(?![A-Za-z0-9])"),
    ),
    _strict(
        "iban-form",
        _E.IBAN,
        r"[A-Z]{2}\d{2}(?: ?[A-Z0-9]{4}){3,7}(?: ?[A-Z0-9]{1,3})?",
        (LETTERS,),
        lambda text: text[:2] in checks.IBAN_LENGTHS,
        confidence=0.7,
    ),
    _strict("vat", _E.TAX_ID, _VAT_FORM, (LETTERS,), _vat, confidence=0.92, weak=0.5),
    _strict("imei", _E.DEVICE, r"\d{2}-?\d{6}-?\d{6}-?\d", (2, 8, 15), _imei, confidence=0.75),
    _strict("aba", _E.ACCOUNT, r"\d{9}", (9,), checks.aba, confidence=0.5),
    _strict(
        "de-tax-id",
        _E.TAX_ID,
        r"\d{2} ?\d{3} ?\d{3} ?\d{3}",
        (2, 11),
        checks.de_tax,
        confidence=0.85,
    ),
    _strict("de-health", _N, r"[A-Z]\d{9}", (LETTERS,), checks.de_health, confidence=0.9, weak=0.5),
    _strict("de-pension", _N, r"\d{2} ?\d{6} ?[A-Z] ?\d{3}", (2, 8), _any, confidence=0.85),
    _strict(
        "de-identity-card",
        _N,
        r"[CFGHJKLMNPRTVWXYZ][CFGHJKLMNPRTVWXYZ0-9]{8}\d",
        (LETTERS,),
        _any,
        confidence=0.6,
    ),
    _strict(
        "fr-nir",
        _N,
        r"[1-478] ?\d{2} ?\d{2} ?(?:\d{2}|2[AB]) ?\d{3} ?\d{3}(?: ?\d{2})?",
        (1, 5, 6, 13, 15),
        checks.fr_nir,
        confidence=0.93,
        weak=0.5,
    ),
    _strict(
        "es-dni",
        _N,
        r"(?:\d{8}[ \-]?[A-Z]|\d{2}\.\d{3}\.\d{3}[ \-]?[A-Z])",
        (2, 8),
        checks.es_dni,
        confidence=0.93,
        weak=0.5,
    ),
    _strict(
        "es-nie",
        _N,
        r"[XYZ][ \-]?\d{7}[ \-]?[A-Z]",
        (LETTERS,),
        checks.es_dni,
        confidence=0.93,
        weak=0.5,
    ),
    _strict(
        "es-cif",
        _E.TAX_ID,
        r"[ABCDEFGHJNPQRSUVW]-?\d{7}-?[0-9A-J]",
        (LETTERS,),
        _any,
        confidence=0.6,
    ),
    _strict(
        "it-fiscal",
        _N,
        r"[A-Za-z]{6} ?\d{2} ?[A-Za-z]\d{2} ?[A-Za-z]\d{3} ?[A-Za-z]",
        (LETTERS,),
        lambda text: checks.it_fiscal(text),
        confidence=0.97,
        weak=0.8,
    ),
    _strict("nl-bsn", _N, r"\d{4}\.?\d{2}\.?\d{3}", (4, 9), checks.nl_bsn, confidence=0.5),
    _strict(
        "be-national",
        _N,
        r"\d{2}\.?\d{2}\.?\d{2}-?\d{3}\.?-?\d{2}",
        (2, 6, 11),
        checks.be_national,
        confidence=0.9,
    ),
    _strict("pesel", _N, r"\d{11}", (11,), checks.pl_pesel, confidence=0.7),
    _strict(
        "pl-nip",
        _E.TAX_ID,
        r"\d{3}-\d{3}-\d{2}-\d{2}",
        (3,),
        checks.pl_nip,
        confidence=0.9,
        weak=0.5,
    ),
    _strict("pt-nif", _E.TAX_ID, _NINE, (3, 9), checks.pt_nif, confidence=0.5),
    _strict(
        "se-personal",
        _N,
        r"(?:19|20)?\d{6}[-+]\d{4}",
        (6, 8),
        checks.se_personal,
        confidence=0.93,
        weak=0.6,
    ),
    _strict(
        "fi-hetu", _N, r"\d{6}[-+ABCDEFYXWVU]\d{3}[0-9A-FHJ-NPR-Y]", (6,), _any, confidence=0.85
    ),
    _strict("no-national", _N, r"\d{6} ?\d{5}", (6, 11), checks.no_national, confidence=0.9),
    _strict("dk-cpr", _N, r"\d{6}-?\d{4}", (6,), checks.dk_cpr, confidence=0.75),
    _strict(
        "uk-nhs", _N, r"\d{3}[ \-]\d{3}[ \-]\d{4}|\d{10}", (3, 10), checks.uk_nhs, confidence=0.6
    ),
    _strict(
        "uk-nino",
        _N,
        r"[A-Za-z]{2} ?\d{2} ?\d{2} ?\d{2} ?[A-DFMPTa-dfmpt]",
        (LETTERS,),
        _any,
        confidence=0.93,
    ),
    _strict("ie-pps", _N, r"\d{7}[A-W][A-IW]?", (7,), checks.ie_pps, confidence=0.9, weak=0.5),
    _strict("at-social", _N, r"\d{4} ?\d{6}", (4, 10), checks.at_social, confidence=0.7),
    _strict(
        "ch-ahv",
        _N,
        r"756[. ]?\d{4}[. ]?\d{4}[. ]?\d{2}",
        (3, 13),
        checks.ch_ahv,
        confidence=0.97,
        weak=0.7,
    ),
    _strict("cz-birth", _N, r"\d{6}/\d{3,4}", (6,), _any, confidence=0.85),
    _strict("ro-cnp", _N, r"[1-9]\d{12}", (13,), checks.ro_cnp, confidence=0.85),
    _strict(
        "br-cpf", _N, r"\d{3}\.\d{3}\.\d{3}-\d{2}", (3,), checks.br_cpf, confidence=0.97, weak=0.8
    ),
    _strict("br-cpf-plain", _N, r"\d{11}", (11,), checks.br_cpf, confidence=0.8),
    _strict(
        "br-cnpj", _E.TAX_ID, r"\d{2}\.?\d{3}\.?\d{3}/\d{4}-\d{2}", (2, 8), _any, confidence=0.95
    ),
    _strict(
        "aadhaar",
        _N,
        r"\d{4}[ \-]?\d{4}[ \-]?\d{4}",
        (4, 12),
        checks.aadhaar,
        confidence=0.85,
        weak=0.45,
    ),
    _strict(
        "in-pan",
        _E.TAX_ID,
        r"[A-Z]{3}[ABCFGHLJPT][A-Z]\d{4}[A-Z]",
        (LETTERS,),
        _any,
        confidence=0.93,
    ),
    _strict("au-tfn", _E.TAX_ID, _NINE, (3, 9), checks.au_tfn, confidence=0.55),
    _strict(
        "au-medicare",
        _E.HEALTH_PLAN,
        r"[2-6]\d{3} ?\d{5} ?\d(?:[ /]?\d)?",
        (4, 10, 11),
        checks.au_medicare,
        confidence=0.75,
    ),
    _strict("ca-sin", _N, _NINE, (3, 9), checks.luhn, confidence=0.6),
    _strict(
        "sg-nric",
        _N,
        r"[STFGMstfgm]\d{7}[A-Za-z]",
        (LETTERS,),
        checks.sg_nric,
        confidence=0.95,
        weak=0.6,
    ),
    _strict("kr-rrn", _N, r"\d{6}-?[1-8]\d{6}", (6, 13), checks.kr_rrn, confidence=0.9, weak=0.5),
    _strict(
        "cn-resident", _N, r"\d{17}[\dXx]", (17, 18), checks.cn_resident, confidence=0.97, weak=0.5
    ),
    _strict("nine-spaced", _E.OTHER_ID, r"\d{3}[ \-.]\d{3}[ \-]\d{3}", (3,), _any, confidence=0.4),
)
