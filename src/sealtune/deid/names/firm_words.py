"""Words of organizations: legal forms, nouns that say what they are, phrases beside them.

Data for the rules of `firms`, typed for this purpose: general words of many countries, no names.
"""

from __future__ import annotations

from typing import Final

# ------------------------------------------------------------------ legal forms
DOTTED: Final = (
    r"s\.?r\.?o\.|a\.s\.|o\.s\.|k\.s\.|v\.o\.s\.|o\.p\.s\.|d\.o\.o\.|d\.d\.|j\.d\.o\.o\.|s\.p\.|e\.V\.|e\.K\.|e\.G\.|Sp\. z o\.o\.(?: Sp\.k\.)?"
    r"|Sp\. ?[jk]\.|sp\.k\.|s\.c\.|S\.C\.|S/A|A/S|S\.Com\.|S\.Coop\.|C\.B\.|Co\. (?:KGaA|KG|OHG)|S\.C\.P\.?|S\.A\.U\.?|S\. R\.L\. de C\.V\.|S\.L\.(?:U\.|L\.|N\.E)?|S\.A\.(?: de C\.V\.)?|S\.n\.c\.|S\.a\.s\."
    r"|[Ss]\.r\.l\.|[Ss]\.p\.[Aa]\.|s\.n\.c\.|s\.a\.s\.|& co\.|A\.\u015e\.|Ltd\. \u015eti\.|\u015eti\.|Bt\.|Kft\.|Zrt\.|Nyrt\.|Kkt\.|Rt\.|N\.V\.|B\.V\.|V\.O\.F\.|EIRL\.|Cía\.|Hnos\."
)
SHORT: Final = (
    "OHG mbH|GmbH & Co KG|GmbH & Co KGaA|AG & Co KG|HB|KB|AS|ASA|ANS|DA|BA|RFH|SF|IVS|ApS|OHG|mbH|UG|eG|GbR|SARL|SAS|SASU|SNC|SCS|EURL|SCI|PFA|SRL|SpA|SL|SLU|SA"
    "|UAB|OÜ|SIA|Oyj|Oy|Ky|Tmi|AB|AG|KGaA|KG|NV|BV|VOF|LP|LLP|LLC|PLC|plc|Inc|Incorporated|Corp|Corporation|Ltd"
    "|Limited|Co|Pty|Pvt|Bhd|Tbk|EPE|AE|EOOD|OOO|ZAO|PAO|Kft|Zrt|Bt|GmbH|LDA|Lda|Ltda|EIRELI|ME|Group|Groep|Gruppe|Gruppen|Konsern|Holdings?|CommV|GesbR|OG|VoG|CVBA|BVBA|Kht|Stiftung"
)
FAMILY: Final = (
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
LAST_HEADS: Final = (
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
NATIONAL: Final = (
    "National|Royal|British|American|European|International|Federal|Central|United|World|Imperial|Metropolitan|German"
    "|French|Italian|Spanish|Canadian|Australian|Swedish|Danish|Norwegian|Dutch|Swiss|Polish|Irish|Scottish|Welsh|Indian"
    "|Chinese|Japanese|Russian|African|Asian|Supreme|High|First|Second|Free|Modern|Natural|Global|Universal|General"
    "|Northern|Southern|Eastern|Western|North|South|East|West|Pacific|Atlantic|Old|New|Great|Grand|Golden|Public|Daily"
    "|Evening|Morning|Sunday|Financial|Social|Christian|Catholic|Lutheran|Baptist|Methodist|Jewish|Democratic|Republican"
    "|Labour|Labor|Liberal|Conservative|Green|People's|Women's|Children's|City|State|County|Union|Trinity|Best|Home|Red"
)
NATIONAL_HEADS: Final = (
    "Museum|University|Bank|Orchestra|Philharmonic|Symphony|Opera|Ballet|Airlines|Airways|Railways|Parliament|Ministry|Party"
    "|Times|Post|Herald|Tribune|Gazette|Chronicle|News|Reserve|Court|Embassy|Nations|Army|Navy|Cross|Church|Council|Commission"
    "|Assembly|Congress|Union|Theatre|Theater|Gallery|Library|Archives|Academy|Geographic|Club|Express|Depot|Motors|Electric"
    "|Oil|Telecom|Mail|Union|Guard|Police|Press|Insurance|Trust|Foundation|House|League|Organi[sz]ation"
)
FIRST_HEADS: Final = (
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
OF_HEADS: Final = (
    r"Bank|University|College|Ministry|Church|Museum|Academy|Chamber|Diocese|Archdiocese|Embassy|Consulate|House|Institute"
    r"|School|Borough|Bishop|Port Authority|Board|Bureau|Federation|Conference|Knights|Order|Friends|Legion"
)
GOVERNMENT: Final = (
    r"Justice|State|Defen[sc]e|Energy|Education|Labou?r|Commerce|Agriculture|Transport(?:ation)?|(?:the )?Treasury|Homeland Security"
    r"|Veterans Affairs|Health and (?:Human Services|Social Care)|Housing|(?:the )?Interior|Motor Vehicles|Public Works|Social Services"
    r"|Finance|Revenue|Corrections|Children and Families|Work and Pensions|Foreign Affairs|Immigration"
)

# ------------------------------------------------------------------ phrases
OBJECT: Final = (
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
OBJECT_WORDS: Final = (
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
VERBS: Final = (
    r"(?:has |have |had |will |would |is |was |are |were |also |recently |today |yesterday ){0,2}(?:announced|announces|announce|unveiled|launched"
    r"|launches|sued|sue|sues|hiring|employs|headquartered|declined to comment|laid off|rebranded|outsourced|acquired|acquires|acquire"
    r"|won the match|won the game|signed a deal|invested|filed for|posted (?:record|profits?|losses|a (?:loss|profit))|released (?:its|their|a new)|based in|sold out|open a"
    r"|is an? (?:[a-z\-]{2,14} ){0,2}(?:company|firm|charity|startup|manufacturer|retailer|newspaper|supermarket|airline|bank|band)"
    r"|spokes(?:man|woman|person)|shares|stock|employees|executives|headquarters|CEO|Chief|branch|customer service|customer support|store|website"
    r"|offered (?:me|us|him|her|them|(?=[A-Z\u00c0-\u017f]))|fined (?=[A-Z])|refuse[sd]? to (?:refund|pay|answer|help|send)|owes? (?:me|us|them)|beat (?=[A-Z])"
    r"|increased its|raised its|cut its|lowered its|reported (?:a |record |its |net |quarterly )|said (?:on|in a statement|that it|it)\b|(?:just )?hired"
    r"|close its|opened (?:a|an|its)\b|closed its|being (?:investigated|sued|acquired)|collecting|sent (?:me|us|doctors|aid|out)|charge[sd]? (?:me|us|my)"
    r"|ships? to|delivers? to|recalled|requires? (?:a|an|all|your)\b|denied (?:my|the)\b|rejected (?:my|the)\b|cancelled (?:my|our)|overcharged|scammed me"
    r"|lied|serves? the|keeps? (?:calling|sending|charging)|looking for an?\b|seeks? an?\b|agrees? to|owned by|e-?mails|lost my|deleted my|ruined my)\b"
)
VERB_WORDS: Final = (
    "announced announces announce unveiled launched launches sued sue sues hiring employs headquartered declined rebranded"
    " outsourced acquired acquires acquire won signed invested filed posted released laid based sold open opens company firm"
    " charity startup manufacturer retailer newspaper supermarket airline bank band spokesman spokeswoman spokesperson shares"
    " stock employees executives headquarters ceo chief branch customer store website"
    " offered fined refuse refuses refused owe owes beat increased raised lowered reported said hired close closed opened"
    " investigated collecting sent charge charges charged ship ships deliver delivers recalled require requires denied"
    " rejected cancelled overcharged scammed lied serves keeps keep looking seeks agrees owned mails emails lost deleted ruined"
)
NO_OPENING: Final = frozenset(
    """
    i he she it we they you my your his her our their this that these those a an no yes mr mrs ms miss dr prof sir
    monday tuesday wednesday thursday friday saturday sunday january february march april may june july august
    september october november december group groups table figure phase stage grade type level day week month
    year hospital the christmas easter what when where who why how if in on at to for from and or but so then there
    here section chapter part step english french german spanish italian chinese japanese once all any some both
    just also recently today yesterday then still even never always often now already finally
    directors trustees governors mom dad mum god america europe patient patients internet facebook
    """.split()
)
FORM_WORDS: Final = frozenset(
    """
    inc co corp ltd llc llp plc gmbh sp com coop sa sl srl spa sarl sas snc scs eurl sci pfa kft zrt bt kkt rt nyrt
    hb kb as asa ans da ba rfh sf ivs aps ohg mbh ug eg gbr ab ag kg nv bv vof lp pty pvt bhd tbk oy oyj ky tmi uab
    asociados hijos figli sønner söner söhne sohn syn synowie társa fia fiai fils cie associés associati partnere
    partner partners zonen zoon filhos pojat sons daughters company associates brothers bros group holding holdings
    limited incorporated corporation mean total level levels score rate value values
    """.split()
)
