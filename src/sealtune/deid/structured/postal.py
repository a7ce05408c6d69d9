"""Street addresses, boxes, units and postal codes of many countries; a city before its state."""

from __future__ import annotations

import re
from typing import Final

from sealtune.deid.entities import EntityType
from sealtune.deid.patterns import any_of
from sealtune.deid.structured.rules import BESIDE, LETTERS, Rule, words

_E: Final = EntityType
STATES: Final = (
    "AL|AK|AZ|AR|CA|CO|CT|DE|DC|FL|GA|HI|ID|IL|IN|IA|KS|KY|LA|ME|MD|MA|MI|MN|MS|MO|MT|NE|NV|NH|NJ"
    "|NM|NY|NC|ND|OH|OK|OR|PA|PR|RI|SC|SD|TN|TX|UT|VT|VA|WA|WV|WI|WY|GU|VI|AS|MP|AA|AE|AP"
)
_STATE_NAMES: Final = (
    "Alabama|Alaska|Arizona|Arkansas|California|Colorado|Connecticut|Delaware|Florida|Georgia"
    "|Hawaii|Idaho|Illinois|Indiana|Iowa|Kansas|Kentucky|Louisiana|Maine|Maryland|Massachusetts"
    "|Michigan|Minnesota|Mississippi|Missouri|Montana|Nebraska|Nevada|New Hampshire|New Jersey"
    "|New Mexico|New York|North Carolina|North Dakota|Ohio|Oklahoma|Oregon|Pennsylvania"
    "|Rhode Island|South Carolina|South Dakota|Tennessee|Texas|Utah|Vermont|Virginia|Washington"
    "|West Virginia|Wisconsin|Wyoming"
)
_SUFFIXES: Final = (
    "street|st|avenue|ave|av|road|rd|boulevard|blvd|lane|ln|drive|dr|court|ct|place|pl|square|sq"
    "|terrace|ter|circle|cir|parkway|pkwy|highway|hwy|way|trail|trl|alley|aly|plaza|plz|loop|row"
    "|crescent|cres|close|grove|gardens|mews|walk|hill|rise|parade|pike|turnpike|expressway|freeway"
    "|route|crossing|ridge|point|path|pass|run|view|mall|manor|heights|estate|estates|bypass|causeway"
    "|commons|cove|creek|bend|branch|bridge|brook|canyon|center|club|corner|courts|crest|curve|dale"
    "|drives|expy|extension|falls|ferry|field|fields|flat|flats|ford|forest|forge|fork|forks|fort"
    "|garden|gateway|glen|green|harbor|haven|hills|hollow|inlet|island|isle|junction|key|knoll|lake"
    "|landing|light|lock|lodge|meadow|meadows|mill|mills|mission|motorway|mountain|neck|orchard|oval"
    "|overpass|park|passage|pine|pines|plain|plains|port|prairie|radial|ramp|ranch|rapid|rest|river"
    "|shoal|shore|shores|spring|springs|spur|station|stravenue|stream|summit|throughway|trace|track"
    "|trafficway|tunnel|underpass|union|valley|via|viaduct|village|ville|vista|wall|well|wells"
    "|bluff|bluffs|bottom|burg|camp|cape|chase|circuit|cliff|cliffs|concourse|copse|corners|crossroads?"
    "|dam|dell|divide|esplanade|fall|glade|grange|isles|islands|lakes|land|lights|link|loaf|marg|motorway"
    "|mount|mountains|nagar|nook|outlook|parks|promenade|quadrant|quays?|rapids|reserve|retreat|ridgeway"
    "|shoals|skyway|reach|arcade|cutting|alleyway|amble|rotary|siding|footway|ganj|chowk|squares|centreway|strand|streets|tarn|vale|views?|waters|wharf|wynd|yard|beach|lookout"
)
# The last word of `12 Cedar Hollow Lane`, whose middle one is a suffix elsewhere.
_LAST: Final = (
    "street|st|avenue|ave|av|road|rd|boulevard|blvd|lane|ln|drive|dr|court|ct|place|pl|square|sq"
    "|terrace|ter|circle|cir|parkway|pkwy|highway|hwy|way|trail|trl|alley|plaza|loop|row|crescent"
    "|cres|close|grove|gardens|mews|walk|hill|turnpike|expressway|crossing|path|run|pike|circuit"
)
_SUFFIX: Final = any_of(_SUFFIXES)
_STATE: Final = any_of(f"{STATES}|{_STATE_NAMES}")
_UNIT: Final = (
    r"(?:,? {0,2}\n?(?i:apt|apartment|suite|ste|unit|flat|room|rm|floor|fl|bldg|building|lot|spc|space|trlr|trailer|ofc|office|penthouse|ph|level|suites|#|no)\.? ?#?"
    r" ?[A-Za-z]?-?\d{0,5}[A-Za-z]?(?![A-Za-z0-9]))?"
)
_WORD: Final = r"[A-Za-z0-9\u00c0-\u024f'.\-]{1,24}"
_CAPITAL: Final = r"[A-Z\u00c0-\u00de\u0100-\u017f][\w\u00c0-\u024f'.\-]{0,24}"
_COMMON_WORDS: Final = any_of(
    "hours?|minutes?|days?|weeks?|months?|years?|mg|ml|mcg|units?|times?|patients?|and|with"
    "|the|to|for|per|in|on|by|cm|mm|kg|percent|pounds?|dollars?|is|was|were|had|has|from|at|he|she"
    "|old|yo|tablets?|pills?|doses?|k?hz|mhz|kda|gy|mv|fold|kb|nm|received|given|underwent"
)
_COMMON: Final = re.compile(rf"(?i)\b{_COMMON_WORDS}\b")


def _on_earth(text: str) -> bool:
    """Whether the numbers may be degrees; pairs of measurements are small, or have few decimals."""
    degrees = [float(number) for number in re.findall(r"\d{1,3}(?:\.\d{1,14})?", text)]
    return max(degrees) <= 180 and (max(degrees) > 20 or "°" in text)


def _street(text: str) -> bool:
    line = text.split("\n")[0]
    # "160 previously well": without a capital only words that mean a street and little else.
    named = any(letter.isupper() for letter in line) or _STRONG.search(line) is not None
    # "9 Old Quarry Road, Unit 2": what has a capital of its own is part of a name.
    mixed = not line.isupper() and not line.islower()
    plain = re.sub(r"\b(?:Old|Unit|Day|Month|Per|In|The|And)\b", "", line) if mixed else line
    return named and _COMMON.search(plain) is None and _SENTENCE.search(line) is None


_SENTENCE: Final = re.compile(r"[a-z]{4}\. ")  # one ends within
_STRONG: Final = re.compile(
    r"\b(?:street|st|avenue|ave|road|rd|boulevard|blvd|lane|ln|drive|dr|court|ct|place|square|terrace"
    r"|circle|parkway|pkwy|highway|hwy|way|trail|alley|plaza|crescent|close|grove|gardens|mews|hill)\b"
)
_GERMANIC: Final = any_of(
    "strass?e|straßs?e|str.|str|weg|gasse|platz|allee|ring|damm|ufer|laan|plein|straat|gade|vej|gata"
    "|gatan|vägen|veien|katu|utca|kade|kuja|tie|polku|gracht|dreef|singel|chaussee|steig"
)


def _house_last(text: str) -> bool:
    # "During the 1990s", "Monitoring 24 hours": words of English end like streets, too.
    word = text.split()[0].lower()
    if word in _NO_STREETS or (word.endswith("ring") and text[0].islower()):
        return False
    if _COMMON.search(text) or " during " in text:
        return False
    return re.search(r"(?<!\w)(?:ring|tie|weg|ufer|damm)\b", text) is None


_NUMBER_NEXT: Final = re.compile(r",? \d")
_NUMBER_BEHIND: Final = re.compile(r"\.?(?: [^\W\d_]{1,20}){0,2},? \d")
_PROSE: Final = re.compile(r"[a-z ,;()]*")
_PROSE_CHARACTERS: Final = 64


def _numbered(text: str, start: int, end: int) -> bool:
    """Whether the word may be the last of a street with its number behind it."""
    if not _NUMBER_BEHIND.match(text, end):
        return False
    # "held during 24 hours": where no capital stands before it, a street would begin with the word.
    prose = text.endswith("ring", start, end) and text[end] == " " and text[start].islower()
    before = text[max(0, start - _PROSE_CHARACTERS) : start]
    return not (prose and before[-1:] == " " and _PROSE.fullmatch(before))


_GERMAN_TIME: Final = re.compile(
    r"(?i)tag|abend|morgen|mittag|nacht|woche|monat|jahr|alter|januar|februar|märz|april|mai|juni|juli"
    r"|august|september|oktober|november|dezember|montag|dienstag|mittwoch|sonntag|samstag|freitag"
)
_NO_STREETS: Final = words(
    "during spring string ring monitoring measuring occurring referring following bring wearing"
    " considering comparing recurring scoring hearing str bearing remaining offering tie weg"
    " registering administering steering engineering entering requiring"
)
# What a street begins with, a number behind it; and the words that one ends with.
_FIRSTS: Final = (
    "ladeira|canale|alameda|praça|contrada|borgo|rotonda|stretto|incrocio|estrada|calle|c/|avenida|avda.|av.|plaza"
    "|paseo|carrera|rua|travessa|via|viale|piazza|corso|largo|vicolo|ul.|ulica|al.|os.|strada|bulevardul|plac|pl."
    "|aleja|aleje|osiedle|rambla|ronda|vial|cañada|glorieta|cuesta|calzada|corredor|peatonal|privada|cerrada"
    "|callejón|camino|praia|favela|condomínio|parque|trevo|setor|residencial|fazenda|sítio|continuación|periférico|prolongación|circunvalación|andador|retorno|carretera|travesía|pasaje|intrarea|șoseaua|soseaua|drumul|aleea|calea|piața|praceta|r."
    "|lg.|tv.|beco|quinta|viela|rodovia|vereda|loteamento|chácara|conjunto|jardim|lungomare|piazzale|salita"
    "|strada provinciale|località|trg|cesta|nábřeží|náměstí|třída|ulice|boulevard|eje|diagonal|bulevar|rruga"
    "|lorong|jalan|jl.|jln.|gang|gg.|circuito|acceso|passarela|recanto|lago|pátio|quadra|distrito|núcleo|esplanada|túnel|morro|urbanización|área|colônia|vila|trecho|viaduto|ampliación"
)
_LASTS: Final = (
    "ulica|cesta|trg|nabrežje|náměstí|třída|ulice|nábřeží|utca|út|útja|tér|tere|köz|körút|sétány|fasor|rakpart"
    "|sokağı|sokak|caddesi|bulvarı|mahallesi|bulevardi|bulevarden|katu|gata|gatan|väg|vei|veg|plads|allé"
    "|plein|laan|straat|weg|platz|strasse|straße|allee"
)
# Compounds that English words hardly end with.
_ENDINGS: Final = (
    "torget|stigen|backen|gränd|svingen|bakken|vegen|torv|stræde|vænget|parken|bulevard|kaari|steeg|graben"
    "|zeile|flata|grenda|marka|gropa|toppen|vollen|kroken|jordet|tunet|haugen|gürtel|stieg|polku|kuja|tinget"
)
RULES: Final = (
    Rule(
        kind="postal-labelled",
        entity=_E.POSTAL_CODE,
        confidence=0.9,
        words=words("zip zipcode postal postcode plz cap código cp eircode pincode post"),
        leads=True,
        pattern=re.compile(
            r"(?i:zip ?(?:code)?|postal ?code|post ?code|plz|código postal|eircode|pin ?code)"
            r"\s?(?:[:=#]| is)\s{0,2}(?P<v>(?=[A-Za-z\- ]{0,4}\d)[A-Za-z0-9]{2,6}(?:[ \-][A-Za-z0-9]{3,4})?)(?!\w)"
        ),
        check=lambda text: sum(letter.isdigit() for letter in text) > 1,
    ),
    Rule(
        kind="street-ordinal",
        entity=_E.ADDRESS,
        confidence=0.85,
        starts=(1, 2, 3, 4, 5),
        pattern=re.compile(
            r"\d{1,5} (?:NE|NW|SE|SW|[NSEW]\.?|North|South|East|West) \d{1,3}(?:st|nd|rd|th)\b"
        ),
    ),
    Rule(
        kind="chome",
        entity=_E.ADDRESS,
        confidence=0.9,
        words=words("chome"),
        pattern=re.compile(
            r"(?i:\d{1,2}[ -]?ch[oō]me[ -]\d{1,3}(?:-\d{1,3}){0,2})(?: [A-Z][a-z]{2,20})?"
        ),
    ),
    Rule(
        kind="block-lot",
        entity=_E.ADDRESS,
        confidence=0.8,
        starts=(LETTERS,),
        pattern=re.compile(
            rf"B\d{{1,3}} L\d{{1,3}}(?: {_CAPITAL}){{1,3}}? (?i:{_SUFFIX})s?\b(?: Phase)?(?: \d(?!\w))?"
        ),
    ),
    Rule(
        kind="street-romanian",
        entity=_E.ADDRESS,
        confidence=0.7,
        words=words("drumul aleea intrarea bulevardul strada calea soseaua șoseaua"),
        leads=True,
        pattern=re.compile(
            rf"(?:Drumul|Aleea|Intrarea|Bulevardul|Strada|Calea|[S\u0218\u015e]oseaua) {_CAPITAL}(?: {_CAPITAL}){{0,2}}(?=, ?|\n)"
            rf"(?:[,\n] ?{_CAPITAL}(?:[ \-](?:{_CAPITAL}|[a-z]{{2,4}})){{0,3}}, \d{{6}}(?!\d))?"
        ),
    ),
    Rule(
        kind="street-hungarian",
        entity=_E.ADDRESS,
        confidence=0.7,
        words=words("utca út útja tér köz sétány"),
        pattern=re.compile(
            rf"(?<![\w]){_CAPITAL} [a-z\u00e1-\u017f]{{3,12}} (?:utca|út|útja|tér|köz|sétány) \d{{1,3}}\.?"
        ),
    ),
    Rule(
        kind="street",
        entity=_E.ADDRESS,
        confidence=0.9,
        starts=(1, 2, 3, 4, 5, 6),
        check=_street,
        pattern=re.compile(
            rf"\d{{1,6}}(?:-?[A-Za-z]|[-/]\d{{1,4}}[A-Za-z]?| ?1/2)?,?[ ](?!{_COMMON_WORDS}\b)(?:{_WORD}[ ]){{1,5}}?(?i:{_SUFFIX})s?\b\.?"
            rf"(?: (?:{_WORD} )?(?i:{any_of(_LAST)})\b\.?)?"
            r"(?: (?:N|S|E|W|NE|NW|SE|SW|North|South|East|West)\b\.?)?" + _UNIT
        ),
    ),
    Rule(
        kind="highway",
        entity=_E.ADDRESS,
        confidence=0.85,
        starts=(1, 2, 3, 4, 5),
        pattern=re.compile(
            r"\d{1,5} (?:(?:[NSEW]\.? )?(?i:county road|state route|highway|hwy|route|rural route|broadway|avenue|interstate)) ?[A-Z0-9]{0,6}\b"
            + _UNIT
        ),
    ),
    # The short ones are units and measures too (`HR 72 RR 14`, `BUN 12 CR 1`): only as a whole line
    # or clause, behind nothing but a word of place.
    Rule(
        kind="highway-short",
        entity=_E.ADDRESS,
        confidence=0.85,
        starts=(2, 3, 4, 5),
        pattern=re.compile(
            r"(?:\A|(?<=\n)|(?<=, )|(?<=at )|(?<=ddress: ))\d{2,5} (?:[NSEW]\.? )?(?:US|RR|FM|SR|CR) \d{1,4}[A-Z]?\b"
            r"(?=[ \t]{0,3}(?:,|\n|\Z)| (?i:box|apt|unit|lot|trlr)\b)" + _UNIT
        ),
    ),
    Rule(
        kind="coordinates",
        entity=_E.OTHER_ID,
        confidence=0.95,
        starts=(1, 2, 3),
        pattern=re.compile(
            r"\d{1,3}\.\d{4,14} ?°? ?(?:[NSns]\b)?(?:,\s{0,2}| ?/ ?|(?<=[NSns]) |;\s{0,2})-?\d{1,3}\.\d{4,14}(?!\d)(?: ?°? ?[EWew]\b)?"
            r"|\d{1,3}\.\d{2,14} ?° ?[NSEWnsew]\b"
            r"|\d{1,3} ?° ?\d{1,2} ?['\u2032] ?(?:\d{1,2}(?:\.\d{1,6})? ?(?:\"|''|\u2033) ?)?[NSEWnsew]\b"
        ),
        check=_on_earth,
    ),
    Rule(
        kind="coordinate-labelled",
        entity=_E.OTHER_ID,
        confidence=0.95,
        words=words("lat latitude lon lng long longitude geohash gps coordinates"),
        leads=True,
        pattern=re.compile(
            r"(?i:lat(?:itude)?|lon(?:g(?:itude)?)?|lng|gps|coordinates|geohash)(?:\s?[:=]\s?|\s)\"?"
            r"(?P<v>-?\d{1,3}\.\d{2,14}(?!\d)|(?<=[hH][:= \"])(?=[a-z]{0,8}\d)[0-9b-hjkmnp-z]{5,12}(?![A-Za-z0-9]))"
        ),
    ),
    Rule(
        kind="plus-code",
        entity=_E.OTHER_ID,
        confidence=0.95,
        marks=("+",),
        gate=re.compile(r"[23456789CFGHJMPQRVWX]{4}\+[23456789CFGHJMPQRVWX]{2}"),
        reach=4,
        pattern=re.compile(
            r"(?<![A-Za-z0-9])[23456789CFGHJMPQRVWX]{4,8}\+[23456789CFGHJMPQRVWX]{2,3}(?![A-Za-z0-9])"
        ),
        check=lambda text: any(map(str.isdigit, text)),
    ),
    Rule(
        kind="house-number-last",
        entity=_E.ADDRESS,
        check=_house_last,
        confidence=0.88,
        marks=(
            "str",
            "weg",
            "gasse",
            "platz",
            "allee",
            "ring",
            "damm",
            "ufer",
            "laan",
            "plein",
            "straat",
            "gade",
            "vej",
            "gata",
            "vägen",
            "katu",
            "tie",
            "utca",
            "kade",
            "gracht",
            "dreef",
            "singel",
            "chaussee",
            "steig",
        ),
        near=tuple(
            f"{end} "
            for end in "str strasse strase straße weg gasse platz allee ring damm ufer laan plein straat gade"
            " vej gata gatan vägen veien katu kuja tie polku utca kade gracht dreef singel chaussee steig".split()
        ),
        beside=_numbered,
        pattern=re.compile(
            r"(?<![^\W_])(?:[A-Z\u00c0-\u024f][\w\u00c0-\u024f\-]{0,24}[ \-]){0,3}[\w\u00c0-\u024f\-]{0,30}"
            rf"(?i:{_GERMANIC})"
            r"(?: [\w\u00c0-\u024f]{1,20}){0,2},? \d{1,4} ?[A-Za-z]?(?:[-/]\d{1,4})?(?![\w%]|[.,]\d)"
            + _UNIT
        ),
    ),
    Rule(
        kind="house-number-last-rare",
        entity=_E.ADDRESS,
        check=_house_last,
        confidence=0.85,
        marks=tuple(_ENDINGS.split("|")),
        near=tuple(
            f"{end}{case} " for end in _ENDINGS.split("|") for case in ("", "en", "et", "i")
        ),
        beside=lambda text, _start, end: _NUMBER_NEXT.match(text, end) is not None,
        pattern=re.compile(
            rf"(?<![^\W_])(?:{_CAPITAL}[ \-]){{0,3}}[\w\-]{{0,30}}(?i:{_ENDINGS})(?:en|et|i)?,? \d{{1,4}} ?[A-Za-z]?"
            r"(?:[-/]\d{1,4})?(?![\w%]|[.,]\d)"
        ),
    ),
    Rule(
        kind="street-romance",
        entity=_E.ADDRESS,
        confidence=0.9,
        words=words("rue avenue boulevard place chemin allée impasse quai cours route"),
        pattern=re.compile(
            r"(?<![\w])\d{1,4}(?: ?(?i:bis|ter|quater))?,? (?i:rue|avenue|av\.|boulevard|bd|place|chemin|allée|impasse|quai|cours|route)"
            rf"(?: (?i:de|du|des|la|le|les|d'|l'|of)){{0,3}}(?:(?:[ \-]?{_CAPITAL}){{1,5}}|(?: [^\W\d_]{{2,20}}){{1,4}}(?=,|\n|$))"
        ),
    ),
    Rule(
        kind="street-preposition",
        entity=_E.ADDRESS,
        confidence=0.8,
        words=words("am im der den dem zum zur beim alte alter neue neuer"),
        check=lambda text: _GERMAN_TIME.search(text) is None,
        pattern=re.compile(
            r"(?<!\w)(?i:am|an der|an den|im|in der|in den|auf dem|auf der|zum|zur|unter den|unter der"
            r"|hinter der|hinter dem|vor dem|beim|bei der|alter?|neuer?) (?:[A-Z\u00c0-\u00de][^\W\d_]{2,24}"
            r"(?:[ \-][A-Z\u00c0-\u00de][^\W\d_]{2,24})? \d{1,3} ?[A-Za-z]?(?=[,.\n]|$| in )|[^\W\d_]{4,24} \d{1,3}[a-z]?(?=, \d{5} ))"
        ),
    ),
    Rule(
        kind="street-no-number",
        entity=_E.ADDRESS,
        confidence=0.8,
        words=words("rue chemin avenue boulevard place impasse allée quai"),
        leads=True,
        pattern=re.compile(
            r"(?i:rue|chemin|avenue|boulevard|place|impasse|allée|quai)(?: (?:de|du|des|la|le|les)){0,2}"
            rf"(?:[ \-](?:d'|l')?{_CAPITAL}){{1,4}}(?:(?=,? ?\n?[ \t]{{0,8}}\d{{4,5}} [A-Z\u00c0-\u00de])| \d{{1,3}}(?![\w%]|[.,]\d))"
        ),
    ),
    Rule(
        kind="house-number-labelled",
        entity=_E.ADDRESS,
        confidence=0.8,
        words=words("h house door plot"),
        leads=True,
        pattern=re.compile(
            rf"(?i:h\.? ?no|house no|door no|plot no)[.:]{{0,2}} ?\d{{1,5}}[A-Za-z]?(?:[/-]\d{{1,4}}[A-Za-z]?)?(?:,? {_CAPITAL}){{0,4}}"
        ),
    ),
    Rule(
        kind="military",
        entity=_E.ADDRESS,
        confidence=0.9,
        words=words("psc cmr unit usns uss uscgc usnv apo fpo dpo"),
        leads=True,
        pattern=re.compile(
            r"(?:(?:PSC|CMR|Unit) \d{1,5},? Box \d{1,5}|(?:USNS|USS|USCGC|USNV) [A-Z][a-z]{1,20}(?=,?\s{1,4}(?:APO|FPO|DPO))"
            r"|(?:APO|FPO|DPO),? (?:AA|AE|AP)(?= \d{5}))"
        ),
    ),
    Rule(
        kind="unit-first",
        entity=_E.ADDRESS,
        confidence=0.85,
        words=words("flat apartment apt unit studio suite level"),
        leads=True,
        pattern=re.compile(
            r"(?i:flat|apartment|apt|unit|studio|suite|level)\.? ?#?\d{1,4}[A-Za-z]?,?[ \n]{1,3}(?:\d{1,4}[A-Za-z]?,? )?"
            rf"(?:{_CAPITAL},? ){{1,6}}?(?i:{_SUFFIX})s?\b\.?(?: (?i:{any_of(_LAST)})\b\.?)?"
        ),
    ),
    Rule(
        kind="street-first",
        entity=_E.ADDRESS,
        confidence=0.88,
        words=words(_FIRSTS.replace("|", " ").replace(".", "").replace("c/", "c")),
        leads=True,
        pattern=re.compile(
            rf"(?<![\w])(?i:{_FIRSTS.replace('.', chr(92) + '.?')})"
            rf"(?:,? (?i:{_FIRSTS.replace('.', chr(92) + '.?')}))?"
            r"(?: (?i:de|del|la|las|los|da|do|dos|das|di|della|dei|el|of|na|im)){0,3}"
            rf"(?:(?: (?:{_CAPITAL}|de|da|do|das|dos|del|di|la|las|los|i|y|e|d')(?![^\W_])){{1,6}}|(?: [^\W\d_]{{3,20}}){{1,3}}(?=,? \d{{1,4}}(?:,|\n|$| puerta| piso)))[,.]?"
            r"(?: (?i:n[º°o]\.?|nr\.?|núm\.?|no:?|#))? ?(?:\d{1,5} ?[A-Za-z]?(?:[/\-]\d{1,4}[A-Za-z]?)?|(?i:s/n))(?!\w|[.:]\d)(?:,? \d{1,2}[ºª°oa]\.? ?[A-Za-z]?(?!\w))?(?: \d{3}(?!\w|[.,-]\d))?"
        ),
    ),
    Rule(
        kind="street-word-last",
        entity=_E.ADDRESS,
        confidence=0.85,
        words=words(_LASTS.replace("|", " ")),
        pattern=re.compile(
            rf"(?<![\w])(?:{_CAPITAL}[ \-]){{1,4}}(?i:{_LASTS})\b\.?,?(?: (?i:no[:.]? ?|[ivxl]{{1,5}} ))? ?"
            r"\d{1,4}\.? ?[A-Za-z]?(?:[/\-]\d{1,4}[A-Za-z]?)?(?![\w%]|[.,]\d)"
        ),
    ),
    Rule(
        kind="box",
        entity=_E.ADDRESS,
        confidence=0.95,
        words=words("box postfach apartado postbus boîte skrzynka rr psc"),
        pattern=re.compile(
            r"(?<![A-Za-z])(?i:p\.? ?o\.? ?box|post(?:al)? office box|postfach|apartado(?: de correos)?|postbus|boîte postale|b\.?p\.|rr \d{1,3} box|psc \d{1,5},? box)"
            r"[ #:]{1,3}\d{1,7}[A-Za-z]?"
        ),
    ),
    Rule(
        kind="unit",
        entity=_E.ADDRESS,
        confidence=0.6,
        words=words("apt apartment suite ste"),
        pattern=re.compile(
            r"(?<![A-Za-z])(?i:apt|apartment|suite|ste)\.? {0,2}#? ?(?:\d{1,5}[A-Za-z]?|[A-Z]-?\d{0,4})(?!\w)"
        ),
    ),
    Rule(
        kind="zip",
        entity=_E.POSTAL_CODE,
        confidence=0.95,
        starts=(5,),
        window=BESIDE,
        context=re.compile(
            rf"(?:\b{_STATE}\.?,?|(?i:\b{any_of(STATES)},|,\s{{0,2}}{any_of(STATES)}|zip(?: ?code)?|postal ?code|postcode|plz|cap|code postal|código postal)[\s:#=\"']{{0,5}}(?: is)?)[ \n\"]{{0,3}}$"
        ),
        pattern=re.compile(r"\d{5}(?:-\d{4})?(?![\w]|[-.,]\d)"),
    ),
    Rule(
        kind="zip-lower",
        entity=_E.POSTAL_CODE,
        confidence=0.6,
        starts=(5,),
        window=len("bay, ca, \n"),
        context=re.compile(
            r"[^\W\d_]{3},? (?:ak|ar|az|ca|ct|dc|de|fl|ga|ia|il|ks|ky|ma|md|mn|mo|ms|mt|nc|nd|ne|nh|nj"
            r"|nm|nv|ny|ri|sc|sd|tn|tx|ut|va|vt|wa|wi|wv|wy),? $"
        ),
        pattern=re.compile(r"\d{5}(?:-\d{4})?(?![\w]|[-.,]\d)"),
    ),
    Rule(
        kind="zip-plus-four",
        entity=_E.POSTAL_CODE,
        confidence=0.8,
        starts=(5,),
        pattern=re.compile(r"\d{5}-\d{4}(?![\w-])"),
    ),
    Rule(
        kind="postcode-before-city",
        entity=_E.POSTAL_CODE,
        confidence=0.5,
        starts=(4, 5),
        context=re.compile(
            r"(?:\d[A-Za-z]?,?[ \n]{1,2}|,[ ]{1,2}|^|\n|\b(?:D|A|CH|F|I|B|L|E|DK|S|N)-)$"
        ),
        pattern=re.compile(
            r"(?!(?:19|20)\d\d )\d{4,5}(?= (?:[A-Z\u00c0-\u00de][a-z\u00df-\u024f]{2,}|[A-Z\u00c0-\u00de]{4,}))"
        ),
    ),
    Rule(
        kind="postcode-before-city-lower",
        entity=_E.POSTAL_CODE,
        confidence=0.5,
        starts=(5,),
        context=re.compile(r"(?:[^\W\d_] \d{1,4}[a-z]?|[^\W\d_]{4}), $"),
        pattern=re.compile(r"\d{5}(?= [^\W\d_]{3,24}(?:[.,]?\n|,|\.?$| in (?:1|2)))"),
    ),
    Rule(
        kind="uk-postcode",
        entity=_E.POSTAL_CODE,
        confidence=0.85,
        starts=(LETTERS,),
        pattern=re.compile(r"(?i:[A-Z]{1,2}\d[A-Z\d]? {1,2}\d[ABD-HJLNP-UW-Z]{2})(?![A-Za-z0-9])"),
    ),
    Rule(
        kind="ca-postcode",
        entity=_E.POSTAL_CODE,
        confidence=0.9,
        starts=(LETTERS,),
        # `T2N1M0` is the stage of a tumour; a code that begins like that has its blank.
        pattern=re.compile(
            r"(?!(?i:T[0-4]N[0-3]M[01]))(?i:[ABCEGHJ-NPRSTVXY]\d[A-Z][ \-]?\d[A-Z]\d)"
            r"(?![A-Za-z0-9])"
        ),
    ),
    Rule(
        kind="nl-postcode",
        entity=_E.POSTAL_CODE,
        confidence=0.7,
        starts=(4,),
        pattern=re.compile(r"[1-9]\d{3} ?(?!SA|SD|SS|MG|ML|CM|IU|KG|PM|AM)[A-Z]{2}(?![A-Za-z0-9])"),
    ),
    Rule(
        kind="city-state",
        entity=_E.LOCATION,
        confidence=0.85,
        marks=(", ",),
        gate=re.compile(rf", (?i:{any_of(f'{STATES}|{_STATE_NAMES}')})(?![A-Za-z])"),
        reach=66,  # three words
        pattern=re.compile(
            rf"[A-Z](?<!\w[A-Z])[a-z'.\-]{{1,20}}(?: [A-Z][a-z'.\-]{{1,20}}){{0,2}}(?=, {_STATE}(?![A-Za-z]))"
        ),
    ),
    Rule(
        kind="address-labelled",
        entity=_E.ADDRESS,
        confidence=0.7,
        words=words(
            "address lives live resides residing resided living adresse dirección indirizzo"
        ),
        leads=True,
        check=lambda text: any(letter.isdigit() for letter in text),
        pattern=re.compile(
            r"(?i:(?:home |street )?address(?: is)?\s{0,2}[: ]|adresse ?:|dirección ?:|indirizzo ?:|(?:lives?|resid(?:es|ing|ed)|living) at)"
            r"\s{0,3}(?P<v>(?!(?i:of|on|for|to|this|these|those|in|that|linked|associated|book|and|or|the|my|your|our|his|her)\b)"
            r"[^\s.;:][^\n.;:@]{2,79}?)(?=[.;\n]|,? (?:and|with|phone|tel|who)\b|$)"
        ),
    ),
)
