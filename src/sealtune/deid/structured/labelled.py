"""Numbers that a label gives away: records, plans, accounts, licences, devices, cases.

Labels are written in many ways (`MRN:`, `Med. Rec. No.`, `Patient ID #`, `policy number is`), and
what follows has no form of its own but a digit.
"""

from __future__ import annotations

import re
from typing import Final

from sealtune.deid.entities import EntityType
from sealtune.deid.structured.checks import vin
from sealtune.deid.structured.rules import DIGITS_MAX, LETTERS, Rule, checked, digits, words

_JOIN: Final = (
    r"(?:[ \-]{0,2}(?i:numbers?|num\.?|no\.?|nos\.?|nr\.?|nbr\.?|id|ids|identifiers?|identification"
    r"|code|card|ref\.?|#|№|n[º°])(?![A-Za-z])){0,3}\s{0,2}(?:(?i:is|was|of|ending in|reads)\b|[:#=(\-\u2116]|\"\s?:\s?\"?){0,3}"
    r"\s{0,3}(?i:#|no\.|\[|<)?\s{0,2}"
)
_VALUE: Final = (
    r"(?P<v>(?=[A-Za-z\-/._]{0,12}\d)[A-Za-z0-9]{1,40}(?:[\-/._][A-Za-z0-9]{1,40}){0,7}"
    r"(?:[ \n]\d[A-Z0-9\-]{2,12}(?![\d/%]|[.:]\d)){0,5})"
)
_ID: Final = r"[ \-]{0,2}(?i:numbers?|num|no|nr|nbr|id|ids|identifiers?|identification|code|ref|#|№|n[º°])\b?\.?"


def _labelled(
    kind: str, entity: EntityType, labels: str, triggers: str, confidence: float = 0.93
) -> Rule:
    pattern = re.compile(rf"(?<![A-Za-z])(?i:{labels})(?![A-Za-z])\.?{_JOIN}{_VALUE}")
    return Rule(
        kind=kind,
        entity=entity,
        pattern=pattern,
        confidence=confidence,
        words=words(triggers),
        leads=True,
        check=_is_number,
    )


# A year, a date and a dose are no number of anything.
_NO_NUMBER: Final = re.compile(
    r"(?:19|20)\d\d|(?:0?[1-9]|[12]\d|3[01])[-/.](?:0?[1-9]|[12]\d|3[01])[-/.]\d{2,4}"
    r"|\d{1,4}(?:mg|ml|mcg|kg|cm|mm)"
)


def _is_number(text: str) -> bool:
    if _NO_NUMBER.fullmatch(text):
        return False
    count = sum(map(str.isdigit, text))
    return 3 <= count <= DIGITS_MAX or (count == 2 and len(text) >= 5)


_E: Final = EntityType
_PLACE: Final = r"(?<![A-Za-z])"
RULES: Final = (
    _labelled(
        "medical-record",
        _E.MEDICAL_RECORD,
        r"m\.?r\.?n|m\.?r\.? ?(?:#|no|number)|(?:medical|med|health|clinical|hospital|patient)\.?[ \-]{1,2}(?:records?|rec|chart|file)"
        r"|(?:patient|pt|pat|hospital|chart|unit|record|clinic|patienten|case ?file|hosp)\.?[ \-]{0,2}(?:id|no|nr|num|number|identifier|#|nummer)"
        r"|chart|emr|ehr|epic ?id|fallnummer|aktenzeichen|ipp|nhc|nhcl|numéro de dossier|dossier|historia(?: cl[íi]nica)?|hist\.? ?cl[íi]n\.?|hc(?=[ :#nNoº.]{1,6}\d{4})",
        "mrn m mr medical med health clinical hospital hosp patient pt pat chart unit record clinic"
        " patienten patientennummer case casefile emr ehr epic fallnummer aktenzeichen ipp nhc nhcl"
        " numéro dossier historia hist hc",
    ),
    _labelled(
        "health-plan",
        _E.HEALTH_PLAN,
        r"(?:health|insurance|insurer|medical)[ \-]{1,2}(?:plan|policy|card|insurance|id|member)"
        r"|(?:member|policy|subscriber|beneficiary|group|grp|enrollee|insured|insurance|payer|plan|certificate holder|medicare|medicaid|hicn?|mbi|medi-?cal|champus|tricare|hmo|ppo|aetna|cigna|humana|kaiser|bcbs|blue cross(?: blue shield)?|united ?health(?:care)?)"
        r"(?:'s)?(?:[ \-]{1,2}(?:member|policy|subscriber|group|beneficiary|plan))?",
        "health insurance insurer medical member policy subscriber beneficiary group grp enrollee"
        " insured payer plan certificate medicare medicaid hic hicn mbi medi champus tricare hmo"
        " ppo aetna cigna humana kaiser bcbs blue united unitedhealth unitedhealthcare",
        0.88,
    ),
    _labelled(
        "account",
        _E.ACCOUNT,
        r"(?:bank|billing|checking|savings|current|patient|customer|client|guarantor|hospital|financial|loan|invoice|statement)?[ ]?"
        r"(?:accounts?|acct|acc|a/c|konto(?:nummer)?|cuenta|compte|rekening)|invoice|customer|client|guarantor|bill|sort code|blz|kundennummer|routing|transit|aba|swift|bic|bban",
        "account accounts acct acc a c konto kontonummer cuenta compte rekening invoice customer"
        " client guarantor bill sort blz kundennummer routing transit aba swift bic bban",
    ),
    _labelled(
        "license",
        _E.LICENSE,
        r"(?:driver'?s?|drivers'?|driving|medical|nursing|professional|state|rn|md|pharmacist|physician|board|dental|pilot|marriage|business|commercial|operator'?s?)?[ ]?"
        r"(?:licen[sc]es?|lic|permit|certificates?|cert|certification|registration|credential)"
        r"|dl|d\.l|cdl|dea|npi|gmc|nmc|ahpra|rpps|upin|f[üu]hrerschein|birth certificate|rijbewijs|permis de conduire",
        "license licenses licence licences lic permit certificate certificates cert certification"
        " registration credential dl d cdl dea npi gmc nmc ahpra rpps upin führerschein"
        " rijbewijs permis",
    ),
    _labelled(
        "passport",
        _E.PASSPORT,
        r"passports?|pass(?:nummer|port-?nr)|reisepass|passeport|pasaporte|passaporto|paspoort|ppt",
        "passport passports passnummer reisepass passeport pasaporte passaporto paspoort ppt",
        0.95,
    ),
    _labelled(
        "device",
        _E.DEVICE,
        r"(?:serial|s/n|sn|ser|imei|imsi|iccid|meid|udi|lot|model|device|implant|pacemaker|icd|defibrillator|pump|prosthesis|lead|generator|stent|ventilator|cgm|catalog|ref|asset|equipment|seriennummer|batch|valve|stimulator|glucometer)"
        r"(?: (?:serial|lot|model|device))?(?=[ ]{0,2}(?:serial|number|num|no\b|nr|id\b|identifier|s/n|sn\b|#|:|is [A-Z0-9]*\d))(?: (?:serial|s/n|sn))?",
        "serial s sn ser imei imsi iccid meid udi lot model device implant pacemaker icd"
        " defibrillator pump prosthesis lead generator stent ventilator cgm catalog asset equipment"
        " seriennummer batch valve stimulator glucometer",
    ),
    _labelled(
        "serial",
        _E.DEVICE,
        r"serial|s/n|sn(?=\s?[:=#]| [A-Z0-9\-]*\d{4})|imei|imsi|iccid|meid|udi",
        "serial s sn imei imsi iccid meid udi",
    ),
    _labelled(
        "ssn-last-four",
        _E.SSN,
        r"(?:ssn|social(?: security)?(?: number)?|ss#)[ ,]{1,2}(?:ending|ends|end|last)(?: (?:in|with|of|four|4(?!\d)|digits)){0,4}",
        "ssn social ss",
    ),
    _labelled(
        "vehicle",
        _E.VEHICLE,
        r"vin|vehicle(?: identification)?|chassis|fin(?=[ :])|fahrgestellnummer",
        "vin vehicle chassis fin fahrgestellnummer",
    ),
    Rule(
        kind="plate",
        entity=_E.VEHICLE,
        check=lambda text: sum(letter.isalnum() for letter in text) > 3,  # no "agar plate 12"
        confidence=0.9,
        words=words(
            "plate plates tag registration reg kennzeichen matrícula targa kenteken license"
        ),
        pattern=re.compile(
            _PLACE
            + r"(?i:(?:licen[sc]e |number |registration |vehicle |car )?plates?|kennzeichen|matr[íi]cula|immatriculation|targa|kenteken|(?:vehicle|car) reg(?:istration)?|registration(?= ?(?:no|number|#|:))|tag(?= ?(?:no|number|#|:)))"
            r"(?:[ _]?(?i:number|no\.?|nr\.?|#))?\s{0,2}(?:(?i:is|was|reads)\b|[:#=(\-\u2013\"']){0,4}\s{0,2}[\"'(]?"
            r"(?P<v>(?=[A-ZÄÖÜ\- ·]{0,8}\d)[A-ZÄÖÜ0-9]{1,5}(?:[\- ·]{0,2}[A-ZÄÖÜ0-9]{1,5}){0,3}"
            r"|[a-z]{1,3}[\- ]?\d{2,4}[\- ]?[a-z]{0,3}|\d{1,4}[\- ]?[a-z]{2,3}[\- ]?\d{0,4}"
            r"|(?<=[\"'])(?=[a-z\- ]{0,8}\d)[a-z0-9]{1,5}(?:[\- ][a-z0-9]{1,5}){0,2}(?=[\"']))(?![A-Za-z0-9])"
        ),
    ),
    Rule(
        kind="vin",
        entity=_E.VEHICLE,
        confidence=0.95,
        starts=(LETTERS, 1, 2, 3, 4, 5, 6, 17),
        check=checked(vin),
        weak=0.6,  # its form alone: letters, and a serial number of digits at the end
        pattern=re.compile(
            r"(?=[0-9]{0,16}[A-Za-z])[A-HJ-NPR-Za-hj-npr-z0-9]{13}\d{4}(?![A-Za-z0-9])"
        ),
    ),
    Rule(
        kind="udi",
        entity=_E.DEVICE,
        confidence=0.97,
        marks=("(01)",),
        pattern=re.compile(r"\(01\) ?\d{14}(?: ?\(\d{2,3}\) ?[A-Za-z0-9\-/.]{1,30}){0,6}"),
    ),
    _labelled(
        "biometric",
        _E.BIOMETRIC,
        r"(?:finger ?prints?|thumb ?print|palm ?print|voice ?prints?|voice|retina(?:l)?|iris|face|facial|biometric|dna|gait|hand geometry)"
        r"(?: (?:scan|template|sample|profile|recognition|print|recording|enrol?lment|identifier|hash|record|file|image|id))?",
        "fingerprint fingerprints finger thumb thumbprint palm palmprint voiceprint voiceprints"
        " voice retina retinal iris face facial biometric dna gait hand",
    ),
    Rule(
        kind="photo",
        entity=_E.PHOTO,
        confidence=0.9,
        marks=(
            ".jp",
            ".png",
            ".heic",
            ".tif",
            ".gif",
            ".bmp",
            ".webp",
            ".raw",
            ".dng",
            ".mp4",
            ".mov",
        ),
        pattern=re.compile(
            r"(?<![\w/.-])(?:[A-Za-z]:)?[\w\-./\\]{1,160}\.(?i:jpe?g|png|heic|tiff?|gif|bmp|webp|raw|dng|mp4|mov)(?!\w)"
        ),
    ),
    _labelled(
        "photo-labelled",
        _E.PHOTO,
        r"(?:photo(?:graph)?s?|image|picture|headshot|portrait)(?: (?:file|id|attached|on file|stored as|reference))?",
        "photo photos photograph photographs image picture headshot portrait",
        0.8,
    ),
    _labelled(
        "national-id",
        _E.NATIONAL_ID,
        r"(?:national|citizen|resident|identity|personal|government|id|tribal|military|alien|state)[ \-]{1,2}(?:id|identity|identification|insurance|card|registration|number|code)"
        r"|personalausweis|ausweis|nino|nhs|bsn|dni|nie|nif|pesel|cpf|aadhaar|aadhar|nric|fin|cnp|ahv|avs|insee|nir|pps|personnummer|cpr|hetu|rrn|hkid|curp|codice fiscale|sozialversicherungsnummer|svnr|versichertennummer|krankenversichertennummer|sin|my ?number|a-?number",
        "national citizen resident identity personal government id tribal military alien state"
        " personalausweis ausweis nino nhs bsn dni nie nif pesel cpf aadhaar aadhar nric fin cnp"
        " ahv avs insee nir pps personnummer cpr hetu rrn hkid curp codice"
        " sozialversicherungsnummer svnr versichertennummer krankenversichertennummer sin my"
        " mynumber a",
        0.9,
    ),
    _labelled(
        "tax-id",
        _E.TAX_ID,
        r"(?:tax(?:payer)?|vat|ust|btw|tva|iva|steuer)[ \-.]{0,2}(?:id|identification|number|no|reg|nr|idnr|nummer|identifikationsnummer|file number)"
        r"|ein|itin|tin|fein|tfn|abn|vat|ust-?idnr|steuernummer|p\.? ?iva|partita iva|siren|siret|cnpj|nip|gstin|pan|cif|employer identification",
        "tax taxpayer vat ust btw tva iva steuer ein itin tin fein tfn abn steuernummer partita p"
        " siren siret cnpj nip gstin pan cif employer steueridnr",
        0.9,
    ),
    _labelled(
        "ssn-labelled",
        _E.SSN,
        r"ssn|s\.s\.n|ss ?#|ss no|soc(?:ial)?\.? sec(?:urity)?|social",
        "ssn s ss soc social",
        0.95,
    ),
    _labelled(
        "card-labelled",
        _E.PAYMENT_CARD,
        r"(?:credit|debit|payment|bank|visa|mastercard|amex|american express|discover|master)(?: ?card)?|card(?= (?:number|no|ending)|[:#])|cvv2?|cvc",
        "credit debit payment bank visa mastercard amex american discover master card cvv cvc",
        0.85,
    ),
    _labelled(
        "other-id",
        _E.OTHER_ID,
        r"(?:case|claim|order|accession|encounter|visit|specimen|sample|study|trial|subject|participant|protocol|docket|ticket|tracking|confirmation|reference|referral|requisition|prescription|rx|script|file|document|incident|report|badge|employee|staff|student|admission|episode|transaction|authori[sz]ation|auth|appointment|enrol?lment|registry|donor|slide|biopsy|pathology|path|case|court|warrant|voter|booking|reservation|membership|loyalty|locker|parking|room key|contract|csn|har|fin|barcode|contact serial|control|request|research|blood (?:bag|unit)|consent|union|proxy|key ?card|frequent flyer|library)"
        r"(?:[ \-]{1,2}(?:number|num|no|nr|nbr|id|identifier|code|ref|card|#)|(?=[ ]{0,2}[#:]|[ ][A-Z]{0,6}-?\d{4}))",
        "case claim order accession encounter visit specimen sample study trial subject participant"
        " protocol docket ticket tracking confirmation reference referral requisition prescription"
        " rx script file document incident report badge employee staff student admission episode"
        " transaction authorization authorisation auth appointment enrollment enrolment registry"
        " donor slide biopsy pathology path court warrant voter booking reservation membership"
        " loyalty locker parking contract csn har fin barcode control request research blood"
        " consent union proxy key keycard frequent library",
        0.85,
    ),
    _labelled(
        "reference",
        _E.OTHER_ID,
        r"ref|no|nr|id|identifier|uid|uuid|guid|number|code",
        "ref no nr id identifier uid uuid guid number code",
        0.6,
    ),
    Rule(
        kind="hash-number",
        entity=_E.OTHER_ID,
        confidence=0.6,
        marks=("#",),
        pattern=re.compile(r"#\s?(?P<v>[A-Z]{0,4}-?\d{4,20}(?:-\d{1,12}){0,4})(?!\w)"),
    ),
    Rule(
        kind="uuid",
        entity=_E.OTHER_ID,
        confidence=0.95,
        marks=("-",),
        gate=re.compile(r"-[0-9a-f]{4}-[0-9a-f]{4}-"),
        pattern=re.compile(
            r"(?<![\w-])[0-9A-Fa-f]{8}(?:-[0-9A-Fa-f]{4}){3}-[0-9A-Fa-f]{12}(?![\w-])"
        ),
    ),
    Rule(
        kind="long-number",
        entity=_E.OTHER_ID,
        confidence=0.45,
        starts=(7, 8, 9, *range(10, 32)),
        pattern=re.compile(
            r"\d{7,40}(?![\d]|[.,]\d| ?(?i:mg|ml|cells|copies|/|iu\b|units?\b))(?:-\d{1,6})?(?!\w)"
        ),
    ),
    Rule(
        kind="mixed-code",
        entity=_E.OTHER_ID,
        confidence=0.45,
        starts=(LETTERS,),
        check=digits(5),
        pattern=re.compile(r"[A-Z]{1,6}-?\d{2,14}(?:-?[A-Z0-9]{1,14}){0,4}(?![\w])"),
    ),
    Rule(
        kind="dashed-code",
        entity=_E.OTHER_ID,
        confidence=0.4,
        starts=(2, 3, 4, 5, 6),
        check=digits(7),
        pattern=re.compile(r"\d{2,10}(?:-[A-Z0-9]{1,12}){1,5}(?![\w-])"),
    ),
)
