"""Organizations by legal form, by the noun that says what they are, and by what is done with them.

Beside `organizations`, which knows the labels and phrases of notes: here are the forms of companies
of many countries, head nouns of several languages, and phrases of letters, news and talk.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Final

from sealtune.deid.entities import EntityType, Finding
from sealtune.deid.names import words
from sealtune.deid.names.known import KNOWN
from sealtune.deid.structured.rules import Check, Rule

_ORG: Final = EntityType.ORGANIZATION
_UP: Final = r"[A-Z\u00c0-\u00de\u0100-\u017f]"
_C: Final = rf"(?:{_UP}[\w'\u2019\-&]{{0,30}}|\d{{1,3}}(?=[ ]{_UP}))"
_LINK: Final = (
    r"(?:of|the|and|for|de|du|des|del|della|di|da|do|dos|la|le|les|las|los|von|van|der|den|und|et|y|e|i|og|och"
    r"|és|für|sur|am|&|\+)"
)
SEQUENCE: Final = rf"{_C}(?:(?: {_LINK}){{0,2}}(?: |, (?={_C},? (?:and|&|y|e|et|und|og|och|i) )){_C}){{0,6}}"
_CODED: Final = re.compile(r"\d|-[a-z]")
_WORDS: Final = re.compile(r"[^\W\d_][\w'\u2019]{1,40}")

# ------------------------------------------------------------------ legal forms
_DOTTED: Final = (
    r"s\.?r\.?o\.|a\.s\.|o\.s\.|k\.s\.|v\.o\.s\.|o\.p\.s\.|d\.o\.o\.|d\.d\.|j\.d\.o\.o\.|s\.p\.|e\.V\.|e\.K\.|e\.G\.|Sp\. z o\.o\.(?: Sp\.k\.)?"
    r"|Sp\. ?[jk]\.|sp\.k\.|s\.c\.|S\.C\.|S/A|A/S|S\.Com\.|S\.Coop\.|C\.B\.|S\.L\.(?:U\.|L\.|N\.E)?|S\.A\.(?: de C\.V\.)?|S\.n\.c\.|S\.a\.s\."
    r"|[Ss]\.r\.l\.|[Ss]\.p\.[Aa]\.|s\.n\.c\.|s\.a\.s\.|& co\.|A\.\u015e\.|Ltd\. \u015eti\.|\u015eti\.|Bt\.|Kft\.|Zrt\.|Nyrt\.|Kkt\.|Rt\.|N\.V\.|B\.V\.|V\.O\.F\.|EIRL\.|Cía\.|Hnos\."
)
_SHORT: Final = (
    "OHG mbH|GmbH & Co KG|GmbH & Co KGaA|AG & Co KG|HB|KB|AS|ASA|ANS|DA|BA|RFH|SF|IVS|ApS|OHG|mbH|UG|eG|GbR|SARL|SAS|SASU|SNC|SCS|EURL|SCI|PFA|SRL|SpA|SL|SLU|SA"
    "|UAB|OÜ|SIA|Oyj|Oy|Ky|Tmi|AB|AG|KGaA|KG|NV|BV|VOF|LP|LLP|LLC|PLC|plc|Inc|Incorporated|Corp|Corporation|Ltd"
    "|Limited|Co|Pty|Pvt|Bhd|Tbk|EPE|AE|EOOD|OOO|ZAO|PAO|Kft|Zrt|Bt|GmbH|LDA|Lda|Ltda|EIRELI|ME|Group|Groep|Gruppe|Konsern|Holdings?"
)
_FAMILY: Final = (
    r"(?:y|e|&|et|und|og|och|i|és|en|ja|and|ve) (?i:Asociados|Hijos|hijos|figli|Figli|Sønner|Söner|Söhne|Sohn|syn|synowie|Syn|társa"
    r"|Társa|fia|Fia|fiai|Fils|fils|Cie|Associés|Associati|Partnere|Partner|Partners|Zonen|Zoon|Filhos|filhos|pojat|Sons"
    r"|Daughters|Co|Company|Associates|Brothers|Bros|Töchter|Oğulları)"
)

# ------------------------------------------------------------------ head nouns
KINDS: Final = (
    "hospital|clinic|clinics|sanatorium|infirmary|hospice|polyclinic|medical center|medical centre|health center"
    "|healthcare|health system|behavioral health|home care|home health|nursing home|care home|care center|skilled nursing"
    "|assisted living|senior living|rehabilitation|rehab|physical therapy|dialysis|physicians|surgery center|pharmacy"
    "|credit union|savings bank|fire department|police department|school district|elementary school|middle school"
    "|high school|community college|university|college|academy|church|seafood|lumber|plumbing|roofing|freight lines"
    "|airlines|lines|foods|farms|dairy|brewery|bakery|logistics|trucking|outfitters|cooperative|co-op|guild|mills"
    "|insurance company|insurance|mutual|laboratories|labs|imaging|publishing|hardware|electric|supply|rentals|salon"
)
_LAST_HEADS: Final = (
    "construction builders contractors engineering architects properties realty estates homes energy petroleum oil"
    " gas power electric electronics telecom telecommunications wireless communications broadcasting television"
    " entertainment pictures studios records music magazine travel tours cruises resorts resort casino hotel hotels"
    " inn lodge hostel suites bar grill pub tavern bistro café cafe coffee diner bakery deli pizzeria steakhouse"
    " brewery brewing winery vineyards kitchen eatery cantina trattoria ristorante restaurant restaurants salon"
    " spa barbershop gym fitness gallery bookshop bookstore books toys sports games gaming software digital"
    " analytics networks semiconductors robotics biotech biosciences genetics diagnostics dental veterinary optical"
    " nursery daycare kindergarten preschool seminary monastery abbey priory cathedral chapel ministries fellowship"
    " charity charities foundation fund trust alliance coalition federation league club academy college university"
    " institute polytechnic museum theatre theater cinema orchestra philharmonic symphony opera ballet choir band"
    " quartet festival airlines airways railways railway shipping logistics freight couriers movers express stores"
    " supermarket supermarkets mart outlet boutique jewelers jewellers furniture interiors appliances auto automotive"
    " motors cars tires motorcycles cycles bank banking bancorp financial finance capital investments securities"
    " insurance assurance mutual brokers advisors advisers consulting consultants consultancy solutions systems"
    " technologies technology tech labs innovations ventures enterprises industries manufacturing products"
    " chemicals steel metals mining cement plastics textiles apparel fashion shoes footwear cosmetics foods beverages"
    " dairy farms seeds agency bureau authority council commission embassy consulate police newspaper newspapers"
    " times tribune gazette herald chronicle post observer telegraph courier news media press publishing"
    " publications advertising marketing staffing recruitment security services catering cleaners laundry plumbing"
    " roofing landscaping gardens nurseries florist flowers pharmacy pharmacies drugstore clinic hospital hospice"
    " healthcare medical wellness school schools church synagogue mosque temple society association union institution"
    " united rovers wanderers athletic fc cf afc"
    " practice pediatrics paediatrics orthopedics orthopaedics dermatology urology cardiology psychiatry oncology"
    " neurology ophthalmology obstetrics gynecology dentistry laboratory laboratories facility penitentiary jail"
    " shipyard boatyard boatworks glassworks ironworks steelworks waterworks foundry mill mills works refinery quarry"
    " ranch orchard orchards growers farmers cannery sawmill printing printers machining welding tooling fabrication"
    " care living rehabilitation hospice"
    " organization organisation instruments partners holdings group co-operative cooperative workshop garage dealership"
).split()
_NATIONAL: Final = (
    "National|Royal|British|American|European|International|Federal|Central|United|World|Imperial|Metropolitan|German"
    "|French|Italian|Spanish|Canadian|Australian|Swedish|Danish|Norwegian|Dutch|Swiss|Polish|Irish|Scottish|Welsh|Indian"
    "|Chinese|Japanese|Russian|African|Asian|Supreme|High|First|Second|Free|Modern|Natural|Global|Universal|General"
    "|Northern|Southern|Eastern|Western|North|South|East|West|Pacific|Atlantic|Old|New|Great|Grand|Golden|Public|Daily"
    "|Evening|Morning|Sunday|Financial|Social|Christian|Catholic|Lutheran|Baptist|Methodist|Jewish|Democratic|Republican"
    "|Labour|Labor|Liberal|Conservative|Green|People's|Women's|Children's|City|State|County|Union|Trinity|Best|Home|Red"
)
_NATIONAL_HEADS: Final = (
    "Museum|University|Bank|Orchestra|Philharmonic|Symphony|Opera|Ballet|Airlines|Airways|Railways|Parliament|Ministry|Party"
    "|Times|Post|Herald|Tribune|Gazette|Chronicle|News|Reserve|Court|Embassy|Nations|Army|Navy|Cross|Church|Council|Commission"
    "|Assembly|Congress|Union|Theatre|Theater|Gallery|Library|Archives|Academy|Geographic|Club|Express|Depot|Motors|Electric"
    "|Oil|Telecom|Mail|Union|Guard|Police|Press|Insurance|Trust|Foundation|House|League|Organi[sz]ation"
)
_FIRST_HEADS: Final = (
    r"Stichting|Fundaci[óo]n|Fondazione|Fundacja|Fondation|Stiftung|Stowarzyszenie|Grupo|Gruppo|Groupe|Grupa|Laboratorios|Laboratoires?"
    r"|Hermanos|Hnos\.?|Industrias|Corporaci[óo]n|Despacho|Proyectos|Compa[ñn][íi]a|Comercializadora|Supermercados|Autohaus|Bäckerei"
    r"|Apotheke|Gasthaus|Gasthof|Restaurante?|Ristorante|Trattoria|Osteria|Pizzeria|Brasserie|Bistro|Hotel|Hostal|Caf[ée]|Bar|Muse[oe]"
    r"|Musée|Muzeum|Galer[íi]a|Galerie|Galleria|Banco|Banca|Banque|Bank|Crédit|Caisse|Caixa|Cassa|Sparkasse|Volksbank|Raiffeisenbank"
    r"|Stadtwerke|Universität|Hochschule|Technische Universität|Freie Universität|Université|Universidad|Universidade|Università"
    r"|Uniwersytet|Univerzita|Universiteit|Universitetet|Politecnico|Politechnika|[ÉE]cole|Lycée|Collège|Liceo|Scuola|Colegio"
    r"|Escuela|Escola|Instituto|Istituto|Instytut|Institut|Minist[èe]re|Ministerio|Ministero|Ministerstwo|Ministério|Bundesministerium"
    r"|Bundesamt|Ayuntamiento|Comune|Mairie|Gemeinde|Iglesia|Église|Chiesa|Parroquia|Kirche|FPUH|PPUH|PHU|PPHU|PT|CV|UD|Fa\.|Firma"
    r"|Hospital|Ospedale|Hôpital|Krankenhaus|Klinikum|Szpital|Nemocnice|Clínica|Clinique|Farmacia|Pharmacie|Apteka|Radio|Rádio"
    r"|Club|Real|Atl[ée]tico|Deportivo|Association|Verein|Verlag|Editorial|Éditions|Edizioni|Teatro|Théâtre|Theater|Teatr|Opéra|Orchestre"
)
_OF_HEADS: Final = (
    r"Bank|University|College|Ministry|Church|Museum|Academy|Chamber|Diocese|Archdiocese|Embassy|Consulate|House|Institute"
    r"|School|Borough|Bishop|Port Authority|Board|Bureau|Federation|Conference|Knights|Order|Friends|Legion"
)
_GOVERNMENT: Final = (
    r"Justice|State|Defen[sc]e|Energy|Education|Labou?r|Commerce|Agriculture|Transport(?:ation)?|(?:the )?Treasury|Homeland Security"
    r"|Veterans Affairs|Health and (?:Human Services|Social Care)|Housing|(?:the )?Interior|Motor Vehicles|Public Works|Social Services"
    r"|Finance|Revenue|Corrections|Children and Families|Work and Pensions|Foreign Affairs|Immigration"
)

# ------------------------------------------------------------------ phrases
_OBJECT: Final = (
    r"(?:[Cc]ustomers?|[Cc]lients?|[Mm]embers?|[Bb]ehalf|[Hh]eadquarters|[Ss]hares|[Ss]tock|[Ss]ubsidiary|[Dd]ivision|[Oo]ffices?|[Bb]ranch(?:es)?"
    r"|[Cc]hief executive|CEO|CFO|CTO|[Cc]hair(?:man|woman|person)?|[Pp]resident|[Dd]irector|[Ff]ounders?|[Oo]wners?|[Aa]lumn(?:i|us|a)"
    r"|[Gg]raduates?|[Ee]mployees?|[Aa]cquisition|[Tt]akeover|[Ff]ans?|[Ff]ollowers?|[Ss]tudents?|[Mm]anager|[Vv]ice president|[Ee]ditor|[Hh]ead"
    r"|[Cc]o-founder|[Pp]rofits|[Cc]ritics?|[Dd]ean|[Pp]rovost) (?:of|at|from)"
    r"|[Ss]pokes(?:man|woman|person|people) (?:for|of|from)|[Tt]ickets (?:for|to)|[Ll]istened to|[Ll]istening to|[Bb]elongs? to|[Ll]oans? to"
    r"|[Dd]onat(?:ed|es|ions?|ing)(?: [\w$€£,.]{1,12}){0,3} to|[Ll]awsuit (?:by|against)|(?:[Ll]awsuit|[Ss]uit|[Cc]omplaint|[Cc]laim) (?:was |were )?filed (?:by|against)"
    r"|[Ss]ued(?: by)?|[Hh]ired by|[Aa]cquired by|[Oo]wned by|[Oo]perated by|[Ss]ponsored by|[Pp]ublished (?:by|in)|[Pp]roduced by|[Dd]eveloped by(?= [A-Z][a-z])"
    r"|[Ff]unded by|[Oo]rgani[sz]ed by|[Rr]eleased by|[Mm]ade by|[Bb]uilt by|[Ff]ired (?:by|from)|[Pp]artnership with|[Cc]ontracts? (?:with|between)|[Dd]eals? with"
    r"|[Mm]ergers? with|[Aa]ccounts? (?:with|at)|[Bb]anks? with|[Bb]anking with|(?:[Ii]nsured|[Ii]nsurance(?: is)?|[Pp]olicy(?: is)?|[Mm]ortgage(?: is)?) (?:with|by|through|from)"
    r"|[Bb]ought(?: [a-z]{1,8}){0,3} (?:at|from)|[Pp]urchased(?: [a-z]{1,10}){0,3} (?:at|from)|[Ss]hop(?:s|ped|ping)? (?:at|in)|(?:[Ee]at|[Aa]te|[Ee]aten|[Dd]inner|[Ll]unch|[Bb]runch|[Bb]reakfast|[Dd]rinks?|[Mm]eet|[Mm]et)(?: [a-z]{1,9}){0,2} at"
    r"|[Oo]rdered(?: [a-z]{1,10}){1,4} from|[Ss]tay(?:ed|s|ing)? at|[Rr]ead (?:it |about it |this |that )?in|[Aa]rticles? in|[Ii]nterview(?:ed|s)? (?:with|at|by)|[Ii]nterviewed at"
    r"|(?:[Dd]egree|[Dd]iploma|PhD|MBA|[Rr]etired|[Gg]raduated|[Rr]esigned|[Ff]unds(?: came)?|[Ee]mail|[Oo]ffer|[Tt]alked to [A-Z]\w{1,20}) from|[Ss]tudents at|[Pp]rofessor (?:at|of)|[Ee]nrolled (?:at|in)"
    r"|(?:[Ss]tudied|[Ss]tudies|[Ss]tudying)(?: [a-z]{2,14}){0,2} at|[Pp]lay(?:s|ed|ing)? for|[Ss]igned (?:for|with)|(?:[Aa]lbums?|[Ss]ongs?|[Hh]its?|[Cc]oncerts?) (?:by|from|of)|[Hh]eld at"
    r"|[Cc]omplain(?:ed|t|ing)? about|[Ww]orking (?:at|for|with)|[Ww]orks? (?:at|for)|[Ww]orked (?:at|for)|[Ww]ork(?: [a-z]{1,10}){1,5} (?:at|for)|[Ii]ntern(?:ed|ship)? (?:at|with)|[Jj]oined|[Jj]oining|[Jj]oins|[Ff]ounded"
    r"|[Bb]oard of|[Aa]gainst(?= [A-Z][a-z])|[Vv]ersus|vs\.?|[Mm]atch (?:with|against)|[Tt]he game|[Cc]ompany,|[Ff]irm,|[Ee]mployer,|[Bb]and,|[Cc]oncert at|[Tt]reated (?:at|in)|[Ii]nvest(?:ed|s|ing)? in"
    r"|(?:accountant|analyst|engineer|manager|nurse|doctor|lawyer|attorney|teacher|cook|chef|driver|designer|developer|programmer|consultant"
    r"|receptionist|cashier|clerk|assistant|officer|guard|janitor|plumber|technician|supervisor|secretary|waiter|waitress|bartender|barista"
    r"|scientist|researcher|lecturer|professor|intern|trainee|specialist|executive|director|editor|reporter|journalist|salesman|agent|pilot"
    r"|mechanic|pharmacist|therapist|administrator|coordinator|architect|banker|broker|trader|partner|associate|electrician|welder) (?:at|with|for)"
    r"|[Ss]uing|(?:[Mm]oney|[Ff]unds|[Pp]ayments?|[Dd]ollars|[Ee]uros|[Pp]ounds) to|[Rr]eports? by|(?:[Bb]ill|[Ii]nvoice|[Ss]hip|[Ss]old) to:"
    r"|[Cc]alling (?:from|on behalf of)|(?:[Tt]hank you|[Tt]hanks) for (?:calling|choosing|contacting|visiting|joining)|[Ww]elcome to(?= [A-Z][a-z]+ [A-Z])"
    r"|(?:[Aa]ppt|[Aa]ppointment|[Ff]ollowed|[Ss]een|[Vv]isit|[Cc]heck-?up) (?:at|with)(?= [A-Z][a-z]+ [A-Z])|(?:[Dd]ischarged|[Tt]ransfer(?:red)?|[Rr]eturned|[Rr]eferred|[Ss]ent) (?:back )?to(?= [A-Z][a-z]+ [A-Z])|[Yy]ou(?: guys)? from|[Ss]omeone from|[Pp]eople (?:at|from)|[Mm]oney from|[Ll]etters? from|[Jj]ob (?:at|with|for)|[Pp]osition (?:at|with)|[Oo]ffer from|[Cc]areer (?:at|with)"
    r"|[Ee]xhibition at|[Cc]ollections? of|[Ll]ists? of suppliers|[Aa]ccording to(?= (?:The |the )?[A-Z][a-z])|[Ss]ays? (?=[A-Z][a-z]{2,20},? (?:spokes|CEO))"
)
_OBJECT_WORDS: Final = (
    "customer customers client clients member members behalf headquarters shares stock subsidiary division office offices"
    " branch branches chief ceo cfo cto chair chairman chairwoman chairperson president director founder founders owner"
    " owners alumni alumnus alumna graduate graduates employee employees acquisition takeover fan fans follower followers"
    " student students manager vice editor head co profits critic critics dean provost spokesman spokeswoman spokesperson"
    " tickets listened listening belongs belong loan loans donated donates donation donations donating lawsuit suit complaint"
    " claim sued hired acquired owned operated sponsored published produced developed funded organized organised released made"
    " built fired partnership contract contracts deal deals merger mergers account accounts bank banks banking insured"
    " insurance policy mortgage bought purchased shop shops shopped shopping eat ate eaten dinner lunch brunch breakfast"
    " drink drinks meet met ordered stay stayed stays staying read article articles interview interviewed interviews"
    " degree diploma phd mba retired graduated resigned funds email offer talked professor enrolled studied studies studying"
    " play plays played playing signed album albums song songs hit hits concert concerts held complain complained complaint"
    " complaining working works work worked intern interned internship joined joining joins founded board against versus vs"
    " thank thanks welcome appt appointment followed seen visit checkup discharged transfer transferred returned referred sent"
    " accountant analyst engineer nurse doctor lawyer attorney teacher cook chef driver designer developer programmer consultant"
    " receptionist cashier clerk assistant officer guard janitor plumber technician supervisor secretary waiter waitress bartender barista"
    " scientist researcher lecturer trainee specialist executive reporter journalist salesman agent pilot mechanic pharmacist therapist"
    " administrator coordinator architect banker broker trader partner associate electrician welder"
    " suing funds payment payments dollars euros pounds report reports bill invoice ship sold"
    " match company firm employer band treated invest invested invests investing calling you someone people money letter"
    " letters job position career exhibition collection collections according"
)
_VERBS: Final = (
    r"(?:has |have |had |will |would |is |was |are |were |also |recently |today |yesterday ){0,2}(?:announced|announces|announce|unveiled|launched"
    r"|launches|sued|sue|sues|hiring|employs|headquartered|declined to comment|laid off|rebranded|outsourced|acquired|acquires|acquire"
    r"|won the match|won the game|signed a deal|invested|filed for|posted (?:record|profits?|losses|a (?:loss|profit))|released (?:its|their|a new)|based in|sold out|open a"
    r"|is an? (?:[a-z\-]{2,14} ){0,2}(?:company|firm|charity|startup|manufacturer|retailer|newspaper|supermarket|airline|bank|band)"
    r"|spokes(?:man|woman|person)|shares|stock|employees|executives|headquarters|CEO|Chief|branch|customer service|store|website)\b"
)
_VERB_WORDS: Final = (
    "announced announces announce unveiled launched launches sued sue sues hiring employs headquartered declined rebranded"
    " outsourced merged invested spokesman spokeswoman spokesperson shares stock executives headquarters ceo laid acquires"
    " based match deal filed website released posted opens signed"
    " open company firm charity startup manufacturer retailer newspaper supermarket airline"
)
_NO_OPENING: Final = frozenset(
    """
    i he she it we they you my your his her our their this that these those a an no yes mr mrs ms miss dr prof sir
    monday tuesday wednesday thursday friday saturday sunday january february march april may june july august
    september october november december group groups table figure phase stage grade type level day week month
    year hospital the christmas easter what when where who why how if in on at to for from and or but so then there
    here section chapter part step english french german spanish italian chinese japanese once all any some both
    just also recently today yesterday then still even never always often now already finally
    mom dad mum god america europe patient patients internet facebook
    """.split()
)


def _parts(text: str) -> list[str]:
    return [word.lower() for word in _WORDS.findall(text)]


def _everyday(word: str) -> bool:
    known = word in words.COMMON or word in words.MEDICAL or word in words.EPONYMS
    return (known and word not in words.AMBIGUOUS) or word in _NO_OPENING


def _telling(text: str) -> bool:
    """Whether a word before the last one is none of every day, and that one has a capital."""
    last = text.split()[-1]
    return last[0].isupper() and not all(map(_everyday, _parts(text)[:-1] or ["the"]))


def _formed(text: str) -> bool:
    """Whether a word that is not of a legal form is none of every day."""
    return not all(_everyday(part) or part in _FORM_WORDS for part in _parts(text))


def _kinded(text: str) -> bool:
    parts = _parts(text)
    return bool(parts) and parts[0] not in _DETERMINERS and text.split()[-1][0].isupper()


def _of_something(text: str) -> bool:
    """Whether `The Board of Directors` names one of many boards, rather than its own."""
    if text.isupper():
        return False
    before, _, after = text.partition(" of ")
    alone = before.split()[-1] in ("Ministry", "House", "Church", "Bank", "Department", "Museum")
    return alone or not all(map(_everyday, _parts(after)))


def _mixed(text: str) -> bool:
    return not text.isupper()


def _headed(text: str) -> bool:
    """Whether a heading may be a name: words that are not all of every day, the first one neither."""
    parts = _parts(text)
    return len(parts) > 1 and not all(map(_everyday, parts)) and parts[0] not in _NO_OPENING


def _opens(text: str) -> bool:
    """Whether `text` may be a name: capitals within a sentence, but no weekday, title, pronoun."""
    parts = _parts(text)
    if not parts or text.isupper() and len(text) > 6:
        return False
    if parts[0] == "the":
        parts = parts[1:]
    if not parts or parts[0] in _NO_OPENING or parts[0] in words.TITLES:
        return False
    medical = all(p in words.MEDICAL or p in words.EPONYMS for p in parts)
    # A bacterium, a cell marker: one word that ends like a term or holds a digit.
    term = len(parts) == 1 and (parts[0].endswith(words.MEDICAL_ENDINGS) or _CODED.search(text))
    return not medical and not (term and parts[0] not in words.AMBIGUOUS and text not in KNOWN)


def _rule(
    kind: str, confidence: float, pattern: str, *, leads: str = "", marks: str = "", check: Check = _opens
) -> Rule:
    return Rule(
        kind=kind,
        entity=_ORG,
        confidence=confidence,
        pattern=re.compile(pattern),
        words=frozenset(leads.lower().split()),
        leads=bool(leads),
        marks=tuple(marks.split()),
        check=check,
    )


_DETERMINERS: Final = frozenset(
    "the a an this that our your his her their my no any each every dear".split()
)
_FORM_WORDS: Final = frozenset(
    """
    inc co corp ltd llc llp plc gmbh sp com coop sa sl srl spa sarl sas snc scs eurl sci pfa kft zrt bt kkt rt nyrt
    hb kb as asa ans da ba rfh sf ivs aps ohg mbh ug eg gbr ab ag kg nv bv vof lp pty pvt bhd tbk oy oyj ky tmi uab
    asociados hijos figli sønner söner söhne sohn syn synowie társa fia fiai fils cie associés associati partnere
    partner partners zonen zoon filhos pojat sons daughters company associates brothers bros group holding holdings
    limited incorporated corporation mean total level levels score rate value values
    """.split()
)
_KNOWN: Final = sorted(KNOWN, key=lambda name: (-len(name), name))
RULES: Final = (
    _rule("head-first", 0.7, rf"(?<![\w])(?P<v>(?:{_FIRST_HEADS})(?: {_LINK}){{0,2}}(?:[ \-]{_C}){{1,4}})", leads=" ".join(re.findall(r"[^\W\d_]{2,}", re.sub(r"\[(.)[^\]]*\]", r"\1", _FIRST_HEADS).replace("s?", "s").replace("e?", "e"))) + " fundacion corporacion compania cafe musee galeria école restaurant laboratoire", check=lambda text: _telling(text + " X")),
    _rule("after-phrase", 0.55, rf"(?<![\w])(?:{_OBJECT})[ ](?:the )?(?P<v>{SEQUENCE})", leads=_OBJECT_WORDS),
    _rule("above-address", 0.5, rf"(?m)(?:^|>)[ \t?]{{0,4}}(?P<v>{_C}(?:(?: {_LINK}){{0,2}} {_C}){{0,5}})(?:,? ?\n[ \t?]{{0,4}}|, )(?=(?:\d{{1,6}}[A-Za-z]? (?:[NSEW]{{1,2}}\.? )?{_UP}|P\.? ?O\.? Box|Post Office Box))", marks="0 1 2 3 4 5 6 7 8 9", check=_headed),
    _rule("heading", 0.45, rf"\A(?:[^\n]{{0,40}}\n|<h1>|<[a-z]{{1,8}}>){{0,2}}(?P<v>{_C}(?:(?: {_LINK}){{0,2}} {_C}){{1,5}})(?=\n| - | \u2013 |</h1>)", marks="\n </h1>", check=_headed),
    _rule("in-heading", 0.5, rf"(?:[Nn]ote|NOTE|[Ss]ummary|SUMMARY|[Rr]eport|REPORT|[Ll]etter|LETTER|[Aa]ccount|ACCOUNT|[Ss]tatement|[Dd]epartment of \w{{4,14}}|DEPARTMENT OF \w{{4,14}})(?:, [^\n,A-Z]{{0,4}}[\w\-/. ]{{3,18}})?(?:, | - )(?P<v>{SEQUENCE})(?=\n|$)", leads="note summary report letter account statement department", check=_headed),
    _rule("in-brackets", 0.5, rf"(?:home|hospital|clinic|facility|employer|company|firm|school|hospice|bank|insurer|pharmacy|HOME|HOSPITAL|CLINIC) \((?P<v>(?:[Tt]he )?{SEQUENCE})\)", leads="home hospital clinic facility employer company firm school hospice bank insurer pharmacy", check=_headed),
    _rule("at", 0.4, rf"at(?<=[a-z] at) (?:the )?(?P<v>{SEQUENCE})", leads="at"),
    _rule("from", 0.4, rf"from(?<=[a-z] from) (?:the )?(?P<v>{_C}(?:(?: {_LINK})? {_C}){{1,4}})", leads="from"),
    _rule("known", 0.65, rf"(?<![\w])(?:{'|'.join(map(re.escape, _KNOWN))})(?![\w])", leads=" ".join(sorted({re.findall(r'[^\W\d_]+', name)[0].lower() for name in _KNOWN})), check=lambda _: True),
)  # fmt: skip

_LAST: Final = "|".join(sorted(_LAST_HEADS, key=len, reverse=True))
_RUN: Final = re.compile(SEQUENCE)
# Within a run of capitals: pattern, its confidence, kind and check.
_WITHIN: Final = (
    (re.compile(rf"(?<![\w])(?:{_C}|&)(?:[ \-](?:{_C}|{_LINK})){{0,4}} (?i:{KINDS})(?![\w])"), 0.8, "kind-last", _kinded),
    (re.compile(rf"(?<![\w])(?:The )?{_C}(?:(?:,|(?: {_LINK}){{1,2}})? {_C}){{0,6}},? (?:{_SHORT})(?![\w'\u2019])"), 0.75, "form", _formed),
    (re.compile(rf"(?<![\w])(?:The )?{_C}(?:(?: {_LINK})? {_C}){{0,4}}? (?i:{_LAST})(?:'s)?(?: (?:(?:of|for|&|and) )?{_C}){{0,2}}(?![\w])"), 0.7, "head-last", _telling),
    (re.compile(rf"(?<![\w])(?:The )?(?:{_C} ){{0,2}}(?:(?:{_NATIONAL}) ){{1,3}}(?:{_NATIONAL_HEADS})(?: (?:of|for) (?:the )?{_C}(?: {_C})?)?(?![\w])"), 0.65, "head-national", _opens),
    (re.compile(rf"(?<![\w])(?:The )?(?:{_C} ){{0,2}}(?:{_OF_HEADS}) of (?:the )?{_C}(?:(?: (?:of|and|&))? {_C}){{0,4}}(?![\w])|Department of (?:{_GOVERNMENT})(?![\w])"), 0.7, "head-of", _of_something),
    (re.compile(rf"(?:The )?{_C}(?:(?: {_LINK})? {_C}){{0,4}}?(?= (?:CEO|CFO|CTO|COO|Chairman|Chairwoman|President|Chief)\b)"), 0.5, "before-office", _opens),
    (re.compile(rf"{_C}(?: {_C})? (?:universitet|universiteit|universitets(?:sjukhus|sykehus)|högskola|høgskole|sjukhus|sykehus|kommune?|yliopisto|sairaala|ziekenhuis|egyetem|kórház)(?![\w])"), 0.7, "head-lower", _mixed),
)  # fmt: skip
_TRIGGERS: Final = frozenset(
    " ".join([*_LAST_HEADS, KINDS, _NATIONAL_HEADS, _OF_HEADS, _SHORT, "department authority ceo cfo cto coo chairman chairwoman president chief"]).lower().replace("|", " ").replace("?", "").split()
)  # fmt: skip
_FORM_AFTER: Final = re.compile(rf",? (?:{_DOTTED})(?!\w)")
_FAMILY_WITHIN: Final = re.compile(rf"{_C}(?:,? (?:{_LINK} )?{_C}){{0,5}} {_FAMILY}(?: (?:{_SHORT}|{_DOTTED}))?(?![\w])")
_PARTNERS: Final = re.compile(rf"(?:The )?{_C}, {_C},? (?:and|&|y|e|et|und|og|och|i) {_C}(?: (?:{_SHORT}))?")
_OWNERS: Final = frozenset(["my ", "ur ", "is ", "er ", "ir "])  # my, our, your, his, her, their
_OWNED: Final = re.compile(
    r" (?:cards?|account|polic(?:y|ies)|subscription|loan|mortgage|order|membership|points|credit card|debit card"
    r"|insurance|plan|voucher|receipt|statement|app|login|password|bill|branch|shares|stock|internship|interview)\b"
)
_AUXILIARIES: Final = frozenset("will does did has is can should do are was could would".split())
_LOWER_NEXT: Final = re.compile(r" [a-z]{2}")
_LOWER_OPENINGS: Final = frozenset(
    "unive högsk høgsk sjukh sykeh kommu yliop saira zieke egyet kórhá".split()
)
_FAMILY_LINKS: Final = frozenset(["y", "e", "&", "et", "und", "og", "och", "i", "és", "en", "ja", "and", "ve"])
_FAMILY_AFTER: Final = re.compile(rf" {_FAMILY}(?: (?:{_SHORT}|{_DOTTED}))?(?![\w])")
_FAMILY_OPENINGS: Final = frozenset(["y ", "e ", "& ", "i ", "og", "oc", "un", "et", "és", "en", "ja", "ve"])
_VERB_AFTER: Final = re.compile(rf"(?:['\u2019]s?)?,? {_VERBS}")
_VERB_MARKS: Final = tuple(_VERB_WORDS.split())
_POSSESSED: Final = re.compile(
    r" (?:profits?|revenues?|earnings|shares|stock|CEO|employees|customers|sales|products|headquarters|chief|board"
    r"|lawyers|spokes\w+|debut|album|website|store|stores|branches|offices|market share|warehouse|factory|logo|brand)\b"
)
_NOUN_AFTER: Final = re.compile(
    r" (?:building|store|branch|website|app|merger|album|concert|exhibition|headquarters|factory|plant|campus|board)\b"
)


class FirmDetector:
    """Organizations among runs of words with capitals, by a word in the run or right behind it."""

    name = "names"

    def find(self, text: str) -> Iterator[Finding]:
        """Yield what the rules find in `text`."""
        verbs = any(verb in text for verb in _VERB_MARKS)
        for run in _RUN.finditer(text):
            start, end = run.span()
            written = run.group()
            parts = written.lower().replace(",", "").replace("'s", "").split()
            if len(parts) > 1:
                yield from self._within(text, start, end, parts)
            behind = text[end : end + 9]
            if behind[:1] == " " and behind[1:6] in _LOWER_OPENINGS:
                for match in _WITHIN[-1][0].finditer(text, start, min(len(text), end + 24)):
                    yield self._found(*match.span(), 0.7, "head-lower")
            if behind[:1] in (" ", ",") and ("." in behind[2:] or "/" in behind):
                yield from self._formed(text, start, end, _FORM_AFTER)
            elif behind[:1] in (".", "/"):  # the run took `S` of `S/A`, `Sp` of `Sp. z o.o.`
                last = start + written.rfind(" ")
                if start < last > end - 5:
                    yield from self._formed(text, start, last, _FORM_AFTER)
            if behind[1:3] in _FAMILY_OPENINGS:
                yield from self._formed(text, start, end, _FAMILY_AFTER)
            if written.endswith(("'s", "s'")) and _POSSESSED.match(text, end) and _opens(written):
                yield self._found(start, end, 0.5, "before-noun")
            if verbs and _VERB_AFTER.match(text, end) and _opens(written):
                yield self._found(start, end, 0.5, "before-verb")
            before = text[max(0, start - 4) : start]
            if "the" in (before[:3].lower(), parts[0]) and _NOUN_AFTER.match(text, end) and _opens(written):
                yield self._found(start, end, 0.5, "before-noun")
            if before[-3:] in _OWNERS and _OWNED.match(text, end) and _opens(written):
                yield self._found(start, end, 0.5, "before-noun")
            if parts[0] in _AUXILIARIES and len(parts) > 1 and _LOWER_NEXT.match(text, end):
                yield from self._asked(start, written)
            if parts[0] == "the" and len(parts) > 1 and _within_sentence(before) and _opens(written):
                yield self._found(start, end, 0.5, "capital-article")
            if "," in written and _PARTNERS.fullmatch(written) and _mixed(written) and _all_telling(written):
                yield self._found(start, end, 0.5, "partners")

    def _within(self, text: str, start: int, end: int, parts: list[str]) -> Iterator[Finding]:
        if not _TRIGGERS.isdisjoint(parts):
            for pattern, confidence, kind, check in _WITHIN:
                for match in pattern.finditer(text, start, end):
                    if check(match.group()):
                        yield self._found(*match.span(), confidence, kind)
        if not _FAMILY_LINKS.isdisjoint(parts):
            for match in _FAMILY_WITHIN.finditer(text, start, min(len(text), end + 24)):
                if _formed(match.group()):
                    yield self._found(*match.span(), 0.75, "form-family")

    def _asked(self, start: int, written: str) -> Iterator[Finding]:
        """Yield who a question is about: `Does Acme deliver?`."""
        first, _, rest = written.partition(" ")
        if _opens(rest):
            begin = start + len(first) + 1
            yield self._found(begin, begin + len(rest), 0.4, "asked")

    def _formed(
        self, text: str, start: int, end: int, pattern: re.Pattern[str]
    ) -> Iterator[Finding]:
        form = pattern.match(text, end)
        if form and _formed(text[start:end]):
            yield self._found(start, form.end(), 0.8, "form-dotted")

    def _found(self, start: int, end: int, confidence: float, kind: str) -> Finding:
        return Finding(start, end, _ORG, confidence, self.name, kind)


def _within_sentence(before: str) -> bool:
    return before[-1:] == "(" or (before[-1:] == " " and (before[-2:-1].islower() or before[-2:-1] == ","))


def _all_telling(text: str) -> bool:
    return sum(map(_everyday, _parts(text))) < 2
