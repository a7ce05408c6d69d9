"""Names by the phrases of short sentences: chat, complaints, news, letters, tickets.

Each rule has words that it begins with, or a mark, so that it costs nothing where they are absent.
"""

from __future__ import annotations

import re
from typing import Final

from sealtune.deid.entities import EntityType
from sealtune.deid.names import firm_words, firms, words
from sealtune.deid.names.known import AGENCIES, COMPANIES
from sealtune.deid.structured.rules import Check, Rule

_P, _O, _L = EntityType.PERSON, EntityType.ORGANIZATION, EntityType.LOCATION
_A: Final = EntityType.ADDRESS
_UP: Final = r"[A-Z\u00c0-\u00de\u0100-\u017f]"
_C: Final = rf"{_UP}[\w'\u2019\-]{{1,30}}"
_PARTICLES: Final = (
    r"(?:(?:van(?: de[nr]?| het)?|von(?: de[nr])?|de(?: la| los)?|da|dos|der|ten|'t) )"
)
_S: Final = rf"(?:{_PARTICLES}?{firms.SEQUENCE})"
_WORDS: Final = re.compile(r"[^\W\d_]{2,40}")


def _everyday(word: str) -> bool:
    known = word in words.COMMON or word in words.MEDICAL or word in words.EPONYMS
    return known and word not in words.AMBIGUOUS


def _org(text: str) -> bool:
    """Whether `text` may be an organization; single words are none of every day."""
    parts = _WORDS.findall(text.lower())
    return firms.opens(text) and bool(parts) and not (len(parts) == 1 and _everyday(parts[0]))


def _unlike_term(text: str) -> bool:
    return _org(text) and not (text.isupper() and " " not in text)


def _eponym(text: str) -> bool:
    """Whether all words may be of a family name; only persons say something."""
    parts = _WORDS.findall(text.lower())
    return all(p in words.EPONYMS or not _everyday(p) for p in parts) and _org(text + " Xx")


def _street(text: str) -> bool:
    """Whether `Vlašimská 51` may be a street: a word before the number is long and no term."""
    parts = _WORDS.findall(text.lower())
    long = [part for part in parts if len(part) > 4]
    return bool(long) and not any(
        _everyday(part) or part.endswith(words.MEDICAL_ENDINGS) or part in firm_words.NO_OPENING
        for part in parts
    )


def _last(text: str) -> bool:
    parts = _WORDS.findall(text.lower())
    return bool(parts) and not _everyday(parts[-1])


def _any(text: str) -> bool:
    return bool(text)


def _rule(
    kind: str,
    confidence: float,
    pattern: str,
    *,
    leads: str = "",
    on: str = "",
    marks: str = "",
    gate: str = "",
    entity: EntityType = _O,
    check: Check = _org,
) -> Rule:
    return Rule(
        kind=kind,
        entity=entity,
        confidence=confidence,
        pattern=re.compile(pattern),
        words=frozenset((leads or on).split()),
        leads=bool(leads),
        marks=tuple(marks.split("|")) if marks else (),
        gate=re.compile(gate) if gate else None,
        reach=_REACH if gate else None,
        check=check,
    )


def _names(table: tuple[str, ...]) -> tuple[str, str]:
    """Return an alternation of the names and the words that they begin with."""
    longest = sorted(table, key=lambda name: (-len(name), name))
    firsts = {re.findall(r"[^\W\d_]+", name.lower())[0] for name in table}
    return "|".join(map(re.escape, longest)), " ".join(sorted(firsts))


_SAYS: Final = (
    r" (?:said|replied|testified|explained|argued) (?:the|that|he|she|it|they|on|in|to)\b"
)
_REACH: Final = 64  # characters of a name
_KNOWN, _KNOWN_LEADS = _names(COMPANIES)
_AGENCIES, _AGENCY_LEADS = _names(AGENCIES)
# Places that are words, too: only behind a preposition of place.
WORD_PLACES: Final = (
    "Nice|Bath|Reading|Mobile|Split|Chad|Guinea|Georgia|Jersey|Turkey|Jordan|Cork|Hull|Orange|Mesa|Hue|Perm|Essen|Derby|Lima|Cali"
    "|Phoenix|Buffalo|Independence|Concord|Providence|Enterprise|Normal|Eureka|Surprise|Sandwich|Battle|Rugby|Deal|Ware|Wells|Rye|Poole"
)
_PLACE_BEFORE: Final = r"(?:(?<=\Win )|(?<=from )|(?<=\Wto )|(?<=near )|(?<=around )|(?<=visit )|(?<=visited )|(?<=mayor of )|(?<=city of )|(?<=outside ))"
_TOWN_ENDS: Final = "ville|ton|side|burgh|bury|mouth|fort|port|stad|shire|land|haven|chester|town|berg|furt|view|borough|field|ford|wood|ham|dale|worth"
# Companies with the name of a word.
_WORD_COMPANIES: Final = (
    "Target|Square|Total|Progressive|Nationwide|Delta|Visa|Shell|Gap|Subway|Apple|Orange|Chase|Sprint|Fidelity|Vanguard|Discover|Stripe"
    "|Slack|Zoom|Canon|Mars|Ford|Oracle|Caterpillar|Dove|Sky|Boots|Bolt|Grab|Twitch|Signal|Indeed|Southwest|Frontier|Spirit|Virgin|Three"
)
_OWNED: Final = (
    "account|accounts|card|cards|order|subscription|membership|policy|app|login|password|bill|invoice|delivery|booking|flight|loan|mortgage"
    "|gift card|credit card|debit card|reward points|points|voucher|newsletter|statement|refund|branch|store|contract|package|e-mails|emails"
)
RULES: Final = (
    _rule("known-too", 0.65, rf"(?<![\w])(?:{_KNOWN})(?![\w])", leads=_KNOWN_LEADS, check=_any),
    _rule("agency", 0.65, rf"(?<=[Tt]he )(?:{_AGENCIES})(?![\w])", leads=_AGENCY_LEADS, check=_any),
    _rule("known-sign", 0.65, r"(?<![\w])(?:(?:(?<=for )|(?<=at )|(?<=from )|(?<=of )|(?<=over )|(?<=with ))3M|U2|H&M|B&Q|S&P|P&G|M&S|C&A)(?![\w])", marks="3m|u2|&", check=_any),
    _rule("acronym", 0.55, r"(?:(?<=\Wat )|(?<=from )|(?<=for )|(?<=joined )|(?<=join )|(?<=cording to ))(?:MIT|SAP|HBO|ING|ANZ|HP|UPS|GE|GM|LG|ABC|PBS|NPR|CBS|NBC|MSNBC)(?![\w\-])(?= [a-z]|[.,!?\n]|$)", leads="mit sap hbo ing anz hp ups ge gm lg abc pbs npr cbs nbc msnbc", check=_any),
    _rule("brazilian-firm", 0.7, rf"(?<![\w]){_C}(?: (?:d[aeo]s? )?{_C}){{0,3}} - (?:ME|EI|EIRELI)(?![\w])", marks=" - me| - ei", check=_any),
    _rule("particle-pair", 0.6, rf"(?<![\w])(?:le )?{_C} & {_PARTICLES}{_C}", marks="& van|& von|& de ", check=_any),
    _rule("the-who", 0.6, r"(?<=[Tt]he )Who(?= (?:in|on|all|and|has|have|is|was|released|at|will|from|for)\b|[.,!?])", leads="who", check=_any),
    _rule("state-firm", 0.8, rf"(?<![\w])(?:PT|CV|UD|PD|Perum|Fa) {_C}(?: {_C}){{0,4}} (?:\(Persero\)(?: Tbk)?|Tbk)", leads="pt cv ud pd perum fa", check=_any),
    _rule("particle-firm", 0.7, rf"(?<![\w]){_PARTICLES}{_C}(?:(?:,? (?:&|en|y|e|und|et|and|i|de|da|do|van|von|den|der|la))*,? {_C}){{0,5}}? ?(?:(?<= )(?:{firm_words.SHORT})(?!\w)|(?<= )(?:&|en|y|und|et) (?:{_PARTICLES})?{_C}(?: {_C})?|,? ?(?:{firm_words.DOTTED}|S/A))", leads="van von de da dos der ten", check=_any),
    _rule("registered", 0.7, rf"(?<![\w]){_C}(?:[ \-]{_C}){{0,3}} ry(?!\w)", on="ry", check=_any),
    _rule("preferred", 0.4, rf"(?:[Pp]refer(?:red|s)?|[Hh]ate[sd]?|[Ll]ove[sd]?|[Tt]rust(?:s|ed)?|[Rr]ecommend(?:s|ed)?|[Bb]oycott|[Cc]hoose|[Cc]hose|[Bb]eware of|[Aa]way from|[Aa]pply (?:now )?(?:at|to)|[Aa]pplication (?:at|to)) (?:the )?(?P<v>{_S})", leads="prefer prefers preferred hate hates hated love loves loved trust trusts trusted recommend recommends recommended boycott choose chose beware away apply application"),
    _rule("compared", 0.4, rf"(?:[Cc]ompar(?:e|es|ed|ing)|[Ss]ponsors include|[Cc]lients (?:are|include)|[Pp]artners include) (?:the )?(?P<v>{_S}(?:, {_S}){{0,3}}(?:,? (?:and|or|to) {_S})?)", leads="compare compares compared comparing sponsors clients partners", check=_unlike_term),
    _rule("listed", 0.6, rf"(?:[Pp]artners|[Ss]ponsors|[Cc]lients|[Ss]uppliers|[Vv]endors|[Bb]idders|[Cc]ompetitors): (?P<v>{_S}(?:(?:,|,? and| &|;) {_S}){{1,5}})", leads="partners sponsors clients suppliers vendors bidders competitors"),
    _rule("over", 0.4, rf"over (?P<v>{_S})(?=[.!?,]|$)", leads="over"),
    _rule("or", 0.4, rf"(?<= )or (?P<v>{_S})(?=\?)", marks="?"),
    _rule("versus", 0.5, rf"v\. (?:the )?(?P<v>{_S})", leads="v"),
    _rule("word-company", 0.45, rf"(?:(?<=with )|(?<=from )|(?<=\Wat )|(?<=\Wby )|(?<=\Wof )|(?<=against )|(?<=love )|(?<=hate )|(?<=prefer )|(?<=over )|(?<=join )|(?<=half of )|(?<=\? - ))(?:{_WORD_COMPANIES})(?=[.!?,'\u2019\n]|$| (?:account|card|store|over|and|in|is|has|on|on|e-?mails|emails|flight)\b)", leads=_WORD_COMPANIES.lower().replace("|", " "), check=_any),
    _rule("before-versus", 0.5, rf"(?<![\w])(?P<v>{_S})(?= v\. (?:the )?{_UP})", marks=" v. "),
    _rule("paid-with", 0.45, rf"(?:[Pp]ay(?:s|ing)?|[Pp]aid|[Bb]ook(?:ed|ing)?|[Ff]l(?:y|ew|own|ying)) (?:with|via|through|by) (?:the )?(?P<v>{_S})", leads="pay pays paying paid book booked booking fly flew flown flying"),
    _rule("sent-by", 0.45, rf"(?:[Mm]oney|[Pp]ayments?(?: received)?|[Ff]unds|[Tt]ext(?: message)?|[Cc]alls?|[Ee]-?mails?|[Ll]etters?|[Mm]essages?|[Nn]ewsletters?|[Ii]nvoices?|[Bb]ill|[Oo]ffers?|[Rr]efund|[Pp]ackage|[Pp]arcel|[Rr]eceipt|[Rr]eply|[Aa]nswer|[Rr]esponse|[Cc]ards?|[Ss]ubscription|[Uu]nsubscribe|[Ff]light|[Ll]oan|[Mm]ortgage|[Qq]uote|[Ff]ine|[Nn]otice|[Ss]tatement|[Jj]ob) (?:from|with|by) (?:the )?(?P<v>{_S})", leads="money payment payments funds text call calls email emails letter letters message messages newsletter newsletters invoice invoices bill offer offers refund package parcel receipt reply answer response card cards subscription unsubscribe flight loan mortgage quote fine notice statement job"),
    _rule("transferred-to", 0.45, rf"(?:[Tt]ransfer|[Mm]ove|[Ss]witch|[Ss]witched)(?: [a-z$\u20ac\u00a3\d,.]{{1,12}}){{0,3}} from [^.,\n]{{2,40}}? to (?P<v>{_S})", leads="transfer move switch switched"),
    _rule("done-by", 0.45, rf"(?:issued|denied|investigated|questioned|fined|regulated|delivered|shipped|rejected|approved|bought|manufactured|serviced|insured|sold|audited|licensed|endorsed|banned|hacked|scammed|cheated|overcharged|charged|billed) by (?:the )?(?P<v>{_S})", leads="issued denied investigated questioned fined regulated delivered shipped rejected approved bought manufactured serviced insured sold audited licensed endorsed banned hacked scammed cheated overcharged charged billed"),
    _rule("some-at", 0.5, rf"(?:[Aa]nyone|[Aa]nybody|[Nn]obody|[Ss]omeone|[Ss]omebody|[Ee]veryone|[Bb]oss|[Cc]olleagues?|[Ss]taff|[Ss]upport team|[Ii]nternship|[Cc]oworkers?|[Ii]nterview) (?:at|from|with) (?:the )?(?P<v>{_S})", leads="anyone anybody nobody someone somebody everyone boss colleague colleagues staff support internship coworker coworkers interview"),
    _rule("thing-of", 0.5, rf"(?:[Ff]actory|[Ff]actories|[Pp]hone number|[Oo]pening hours|[Ww]ebsite|[Hh]otline|[Ww]arehouse|[Ll]ead singer|[Ss]inger|[Gg]uitarist|[Dd]rummer|[Ff]rontman|[Bb]assist|[Rr]ules|[Ff]an|[Cc]ofounder|[Cc]hairman|[Tt]reasurer|[Ss]upporter|[Ss]upporters|[Aa]ddress|[Hh]ours|[Ll]awyers|[Mm]enu) (?:of|for) (?:the )?(?P<v>{_S})", leads="factory factories phone opening website hotline warehouse lead singer guitarist drummer frontman bassist rules fan cofounder chairman treasurer supporter supporters address hours lawyers menu"),
    _rule("accused", 0.4, rf"(?:[Aa]ccus(?:e|es|ed|ing)|[Bb]lam(?:e|es|ed|ing)|[Cc]riticis(?:e|es|ed|ing)|[Cc]riticiz(?:e|es|ed|ing)|[Ff]in(?:es|ed)|[Ii]nquiry into|[Ii]nvestigation into|[Ii]nvestigates|[Ww]arn(?:s|ed) about|[Tt]weeted (?:that|about)|[Cc]omplain(?:s|ed)? (?:to|about|that)|[Rr]eport(?:ed)? (?:this|it|them|him|her) to|[Dd]onate(?:s|d)? to|[Vv]olunteers? (?:for|at|with)|[Cc]ase against|[Ll]awsuit against|[Ll]awsuits against|[Ss]uit against|[Mm]y application (?:at|to)) (?:the )?(?P<v>{_S})", leads="accuse accuses accused accusing blame blames blamed blaming criticise criticises criticised criticising criticize criticizes criticized criticizing fines fined inquiry investigation investigates warns warned tweeted complain complains complained report reported donate donates donated volunteer volunteers case lawsuit lawsuits suit my"),
    _rule("listened", 0.45, rf"[Ll]isten(?:s|ed|ing)? to (?:the )?[^.,\n]{{2,30}}? and (?P<v>{_S})", leads="listen listens listened listening"),
    _rule("scored-for", 0.5, rf"[Ss]cor(?:ed|es)(?: [a-z]{{2,12}}){{0,3}} (?:for|against) (?P<v>{_S})", leads="scored scores"),
    _rule("beaten", 0.45, rf"(?:[Bb]eat|[Dd]efeated|[Tt]hrashed|[Dd]rew with|[Ll]ost to) (?P<v>{_S})(?= (?:\d|in|on|at|by|after|last|to)\b|[.,!]|$)", leads="beat defeated thrashed drew lost"),
    _rule("from-here", 0.6, rf"(?:from|at|with) (?:the )?(?P<v>{_S})(?= here\b)", on="here"),
    _rule("your-thing", 0.5, rf"(?:[Yy]our|[Mm]y|[Oo]ur|[Hh]is|[Hh]er) (?P<v>{_S})(?= (?:{_OWNED})\b)", leads="your my our his her"),
    _rule("contact-brackets", 0.5, rf"(?:[Cc]ontact|[Cc]all) {_C}(?: {_C}){{1,3}} \((?P<v>{_S})\)", leads="contact call"),
    _rule("undelivered", 0.5, rf"(?:[Rr]eturn(?:ed)?|[Rr]emit(?: payment)?|[Pp]ayable|[Pp]aid) to:? (?P<v>{_S})", leads="return returned remit payable paid"),
    _rule("under-signature", 0.5, rf"(?:[Ss]incerely|[Rr]egards|[Ff]aithfully|[Tt]ruly|[Cc]heers|[Tt]hanks|[Bb]est),?\n{{1,2}}[^\n,]{{3,40}}\n(?:[a-z][^\n,]{{3,40}}\n)?(?P<v>{_S})(?=\n|$)", leads="sincerely regards faithfully truly cheers thanks best"),
    _rule("answered", 0.45, rf"(?<=\? - )(?P<v>{_S})(?=[.!\n]|$)", marks="? - "),
    _rule("organisation-label", 0.6, r"(?:Organi[sz]ation|Company|Employer|Bank|Insurer|Vendor|Supplier|Merchant|Payee|Retailer|Restaurant|Airline)(?: name)?: {0,3}(?P<v>[A-Z][^\n:;,]{1,50}?)(?=[\n;,]|$)", leads="organisation organization company employer bank insurer vendor supplier merchant payee retailer restaurant airline", check=_any),
    _rule("place-particle", 0.45, rf"{_PLACE_BEFORE}(?:da|de|do|dos|das) {_C}(?: (?:d[aeo]s? )?{_C}){{0,2}}", leads="da de do dos das", entity=_L, check=_last),
    _rule("place-joined", 0.6, rf"(?<![\w])(?:{_C} ){{1,3}}(?:nad|pod|los|las) (?:{_C}|altos|bajos)", on="nad pod altos bajos", entity=_L, check=_any),
    _rule("place-compass", 0.65, rf"(?<![\w])(?:New|North|South|East|West|Lake|Port|High) {_UP}[a-z'\-]{{2,20}}(?:{_TOWN_ENDS})(?![\w])", leads="new north south east west lake port high", entity=_L, check=_any),
    _rule("place-word", 0.5, rf"{_PLACE_BEFORE}(?:{WORD_PLACES})(?![\w\-])", leads=WORD_PLACES.lower().replace("|", " "), entity=_L, check=_any),
    _rule("country-word", 0.5, r"(?:(?<=[a-z], )|(?<=; )|(?<=irth: )|(?<=ity: )|(?<=ation: )|(?<=own: )|(?<=try: ))(?:Chad|Guinea|Georgia|Jersey|Jordan|Turkey|Split|Nice|Bath|Reading|Mobile|Cork)(?=[.,;!?\n]|$| [a-z])", leads="chad guinea georgia jersey jordan turkey split nice bath reading mobile cork", entity=_L, check=_any),
    _rule("place-hyphens", 0.6, rf"(?<![\w\-]){_UP}[\w']{{2,20}}(?:-[a-z\u00e0-\u017f]{{1,5}}){{1,2}}-{_C}", marks="-sur-|-près-|-la-|-les-|-le-", entity=_L, check=_last),
    _rule("place-river", 0.6, rf"(?<![\w]){_UP}[\w']{{2,20}} (?:am|an der|im|ob der|na|v) {_C}(?: gori\w+)?", marks=" am see| am inn| am main| am rhein| an der ", entity=_L, check=_last),
    _rule("brazilian-state", 0.6, r"(?<=[a-z\u00e0-\u00fa] / )(?:AC|AL|AP|AM|BA|CE|DF|ES|GO|MA|MT|MS|MG|PA|PB|PR|PE|PI|RJ|RN|RS|RO|RR|SC|SP|SE|TO)(?![\w])", marks=" / ", entity=_L, check=_any),
    _rule("place-based", 0.5, rf"(?<![\w]){_UP}[a-z]{{2,20}}(?: {_UP}[a-z]{{2,20}})?(?=-based (?:[a-z]{{3,16}} )?(?:company|firm|start-?up|bank|group|charity|band|retailer|manufacturer|airline|{_UP}))", marks="-based", entity=_L, check=_last),
    _rule("term-first", 0.6, rf"(?<![\w])(?:Ana|Ester|Elisa|Imam|Gerd|Heinz|Per|Tia|Tea|Urban|Dick|Christian|Chase|Norma|Iris|Cornea|Rose|Grace) (?:{_PARTICLES}|d[aoe]s? )?{_C}(?: {_C})?(?![\w])", leads="ana ester elisa imam gerd heinz per tia tea urban dick christian chase norma iris rose grace", entity=_P, check=_last),
    _rule("surname-saying", 0.5, rf"(?<![\w])(?:{_PARTICLES})?{_C}(?={_SAYS})", on="said replied testified explained argued", gate=_SAYS, entity=_P, check=_eponym),
    _rule("particle-last-first", 0.6, rf"(?<![\w]){_PARTICLES}{_C}, {_C}(?=[;.\n]|$)", leads="van von de da dos der ten", entity=_P, check=_last),
    _rule("capital-particle", 0.6, rf"(?<![\w]){_C} Van (?:den|der|de) {_C}", marks=" van d", entity=_P, check=_last),
    _rule("told", 0.45, r"(?:[Tt]ell|[Aa]sk|[Cc]all|[Dd]ocs to|[Mm]essage|[Tt]ext|[Pp]ing|[Ee]mail|[Ii]nvite|[Hh]ire|arrested|hired) (?P<v>(?:Ana|Ester|Elisa|Ole|Ruby|Dick|August|Tea|Angel|Frank|Chase|April|June|May|Mark|Will|Rose|Grace|Hope|Joy|Bill|Grant|Iris)(?: [A-Z][\w'\-]{1,24})?)(?![\w])", leads="tell ask call docs message text ping email invite hire arrested hired", entity=_P, check=_any),
    _rule("floor", 0.7, rf"\d{{1,2}}(?:st|nd|rd|th) Floor(?: {_C}){{1,3}}(?: \d)?", on="floor", entity=_A, check=_any),
    _rule("street-french", 0.6, rf"(?:rue|avenue|boulevard|chemin|quai|ruelle)(?: (?:de|du|des|la|le)){{0,2}}(?:[ \-]{_C}){{1,3}}(?![\w])", leads="rue avenue boulevard chemin quai ruelle", entity=_A, check=_last),
    _rule("lot", 0.8, rf"(?:Block|Blk\.?) \d{{1,3}},? Lot \d{{1,3}}(?: {_C}){{1,4}}(?: Phase)?(?: \d)?", leads="block blk", entity=_A, check=_any),
    _rule("before-number", 0.7, rf"(?:Flat|Level|Unit|Room|Apt\.?|Suite) \d{{1,4}}(?:(?: {_C}){{1,3}} (?:Building|Residences?|Suites|Towers?|Homes|Condominiums?|Centre|Center|Mansions?|Plaza)(?: \d)?|,? \d{{1,5}}(?:-[A-Z])?(?: {_C}){{1,3}})", leads="flat level unit room apt suite", entity=_A, check=_any),
    _rule("rural-delivery", 0.6, r"(?:(?<=, )|(?<=\n))RD \d{1,2}(?=[,\n])", leads="rd", entity=_A, check=_any),
    _rule("australian-state", 0.75, r"(?:NSW|VIC|QLD|ACT|TAS|WA|SA|NT),? \d{4}(?![\w.])", leads="nsw vic qld act tas wa sa nt", entity=_A, check=_any),
    _rule("street-behind", 0.55, rf"(?:at|near|outside|opposite|(?:[Tt]enant|[Oo]wner|[Ii]nstead|[Cc]orner) of|(?:[Tt]axi|[Gg]et|[Dd]irections|[Ww]ay|[Dd]rive|[Mm]oved|[Ww]alk) to|[Pp]arked in|[Ll]ives? in) (?P<v>(?:(?:Na|Pod|U|K|Ke|Nad|Za|V|Mezi|Pri|Ob|Gang|Gg\.|Pri|Do) )?{_C}(?:[ \-](?:{_C}|[a-z\u00e0-\u017e]{{3,12}})){{0,2}} (?:No\. ?)?\d{{1,4}} ?[A-Za-z]?(?:/\d{{1,3}})?)(?=[,.!?;\n]|$| (?:[a-z]{{2,}}))", leads="at near outside opposite tenant owner instead corner taxi get directions way drive moved walk parked live lives", entity=_A, check=_street),
)  # fmt: skip
