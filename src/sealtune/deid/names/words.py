"""Words that are no names, and words that may be one: data for the rules, typed for this purpose.

All are lower case. `COMMON` starts sentences, heads sections or names no one, here and elsewhere;
`AMBIGUOUS` are both word and name, so that only their surroundings decide; `MEDICAL` are eponyms,
drugs, organisms and abbreviations of notes. The word lists of `faker` come on top (`lists`).
"""

from __future__ import annotations

from typing import Final

# Words of which a German text has some and an English one hardly two.
GERMAN_SIGNS: Final = frozenset(
    """
    der die das und mit ist nicht wurde wurden wird von im zur zum bei beim auf ein eine einer
    einem einen eines keine kein keinen den dem des vom für über unter durch sich wir sie es auch
    oder aus nach seit sowie ihr ihre ihrer ihrem ihren sein seine seiner seinem hat haben sind
    zeigte zeigten
    """.split()
)

# What as many of an English text has speaks against that.
ENGLISH_SIGNS: Final = frozenset(
    """
    the of and was with to for is has been by from which that this are were at on he she his her
    """.split()
)

# German gives every noun a capital: words of letters and notes, and those that begin sentences.
GERMAN: Final = frozenset(
    """
    der die des dem den eine einer einem einen eines kein keine keiner keinem keinen keines
    und oder aber sondern denn doch jedoch sowie sowohl weder noch entweder auch nur schon erst
    bereits bisher derzeit aktuell aktuelle aktueller zurzeit zuletzt anschließend danach davor
    dabei daher dafür dagegen damit dann daneben daraufhin darunter darüber deshalb deswegen
    dennoch trotzdem ist sind waren wird werden wurde wurden worden hat haben hatte hatten habe
    sei seien wäre kann konnte können könnte soll sollte sollen muss musste müssen darf dürfen
    wollte ich er sie es wir ihr ihm ihn ihnen uns unser unsere unserer unserem unseren sein seine
    seiner seinem seinen ihre ihrer ihrem ihren mein meine meiner meinem meinen dein euch sich wer
    wie wo wann warum wenn weil dass daß ob als bis seit während nachdem bevor obwohl falls sofern
    sobald solange im auf aus bei beim mit nach von vom vor zu zum zur über unter ober zwischen
    durch für gegen ohne um wegen trotz laut gemäß bezüglich hinsichtlich aufgrund anhand mittels
    innerhalb außerhalb neben hinter entlang ab je pro nicht nichts mehr weniger viel viele wenig
    wenige alle aller allem alles andere anderer anderen jede jeder jedem jeden jedes dieser
    diese dieses diesem diesen jener jene welche welcher welches einige einiger mehrere mehrfach
    beide beider beiden beidseits beidseitig hier dort heute gestern morgen morgens mittags abends
    nachts immer oft manchmal wieder weiter weitere weiterer weiteren weiterhin ferner zudem
    außerdem insgesamt insbesondere somit etwa circa ungefähr ganz gar zwei drei vier fünf sechs
    sieben acht neun zehn erste ersten zweite zweiten dritte letzte letzten ja nein bitte danke
    wohl eher lediglich regelmäßig regelmäßige täglich wöchentlich zunächst klinisch auswärts
    ambulant stationär geehrte geehrten gez geb geboren herzlichen freundliche kollegiale
    kollegialen hochachtungsvoll berichten empfehlen bitten danken bedanken abdomen abklärung
    ableitung abnahme abschluss abstrich abszess alkohol allergie alter ambulanz amputation
    anamnese anästhesie anfall angaben angehörige angehörigen angst ansprechpartner anstieg
    antibiose antrieb antriebslosigkeit apotheke appetit arbeit arbeitsunfähigkeit arme arthrose
    arzt ärzte ärztin ärztlich arztbrief atem atemgeräusch atemnot atemwege atmung aufenthalt
    auffälligkeit auffälligkeiten auffällig aufklärung aufnahme aufnahmebefund auge augen
    ausschluss auskultation auto bauch bauchschmerzen becken bedarf bedarfsmedikation befinden
    befindens befunde befundes befunden beginn behandlung behandlungen bein beine beinen belastung
    belastungsdyspnoe beratung bereich bericht beruf beschwerden besserung besuch betreuung
    beurteilung beweglichkeit bewusstsein bild bildgebung blase blut blutbild blutdruck
    blutentnahme bluthochdruck blutung blutwerte bluttransfusion bronchitis brust
    brustschmerz brustschmerzen brustkorb chefarzt chirurgie computertomographie darm
    darmgeräusche dauer dauermedikation desinfektion diagnosen diagnostik dosierung dosis
    druckschmerz durchblutung durchfall dyspnoe echokardiographie ehefrau ehemann eingriff
    einnahme einstellung einweisung eisenmangel ekg eltern empfehlung empfehlungen ende endoskopie
    entfernung entlassmedikation entlassungsmedikation entzündung entzündungswerte epikrise
    erbrechen ereignis ergebnis ergebnisse ergotherapie erguss erhöhung erkrankung erkrankungen
    ernährung essen extremitäten fachabteilung fäden familie familienanamnese fieber flüssigkeit
    folge fraktur frage fragestellung frau fuß füße galle gallenblase gang gastroskopie
    geburt gefäße gefühl gehirn gelenk gelenke gelenkes gerät gesamteindruck gespräch gesundheit
    gewebe gewicht gewichtsverlust gewichtszunahme grund größe grübeln haltung hals hände
    harnwegsinfekt hausarzt hausärztin haut häuslichkeit heilung herr herz herzfrequenz
    herzinfarkt herzinsuffizienz herztöne herzrhythmusstörungen hilfe hilfsmittel hinweis hinweise
    husten hüfte hypertonie implantation impfung indikation infarkt infekt infektion infektzeichen
    innere inneren intensivstation jahr jahre jahren kardiologie katheter keime keimen kinder
    kinderarzt kindes kniegelenk knochen koloskopie kollege kollegin kolleginnen
    komplikation komplikationen komplikationslos kontrast kontrastmittel kontrolle kontrollen
    konsil konsum kopf kopfschmerz kopfschmerzen körper körpergewicht körperliche körperlicher
    krampfanfall krankengymnastik krankenhausaufenthalt krankenkasse
    krankenversicherung krankheit kreislauf kribbeln laborwerte lage lähmung leben leber
    leberwerte leiste leistenbruch leistung leitung leukozyten lunge lungen lungenentzündung
    lungenembolie lymphknoten magen magnetresonanztomographie mannes maßnahmen medikament
    medikamente medikamenten medikation menge milz minuten mobilisation mobilität monat monate
    monaten mund muskel muskeln muskulatur mutter müdigkeit nachbehandlung nachsorge nacht
    nachweis nachtschweiß narbe narkose nase nerven neurologie neurologisch neurologische niere
    nieren niereninsuffizienz nikotin nikotinabusus normalbefund normalstation notaufnahme notarzt
    notfall oberarm oberärztin oberarzt oberbauch oberschenkel oberkörper ödem ödeme ödemen
    operationen ohr ohren orientierung patienten patientin patientinnen pflege pflegedienst
    pflegegrad physiotherapie probe prozedere psychotherapie puls pumpfunktion punktion
    rasselgeräusche raucher raucherin reanimation reaktion reduktion reflexe reha rente rentner
    rentnerin resektion rezept risiko risikofaktoren röntgen röntgenaufnahme röntgenbild rücken
    rückenschmerzen rücksprache rückgang ruhe ruhedyspnoe schädel schilddrüse schlaf
    schlafstörungen schlaganfall schleimhaut schlüsselbein schmerz schmerzen schmerzmedikation
    schmerztherapie schritt schüttelfrost schulter schwäche schwangerschaft schwellung schwester
    schwindel seite sehstörung sehstörungen selbstständig senkung sicht sinusrhythmus sohn sohnes
    sonografie sonographie sozialanamnese sozialdienst sprache sprechstunde spülung stationsarzt
    stationsärztin stelle stimmung stoffwechsel stuhl stuhlgang sturz stunde stunden
    suizidgedanken suizidalität symptomatik symptome tabletten tachykardie tage tagen tätigkeit
    temperatur termin thorax thoraxschmerz thrombose thromboseprophylaxe tochter tod therapien
    übelkeit übergang überweisung ultraschall umfang umstellung unfall unfähigkeit unruhe
    untersuchung untersuchungen untersuchungsbefund unterarm unterarmgehstützen unterbauch
    unterschenkel unterstützung urin urologie ursache vater veränderung veränderungen verband
    verbesserung verdacht verdachtsdiagnose verdauung vergleich verlauf verlaufs verlaufskontrolle
    verlegung verletzung verletzungen verordnung verschlechterung verschluss versorgung
    verstopfung vitalzeichen vorbefund vorerkrankungen vorgeschichte vorhofflimmern vorstellung
    wache wasser weiterbehandlung wert werte wiedervorstellung wirbel wirbelsäule wirkung woche
    wohnung wunde wunden wundheilung wundinfektion wundversorgung zähne zehen zeichen zeit zelle
    zellen zentrum ziel zucker zunahme zunge zusammenfassung zusammenschau zustand zyste kilogramm
    milligramm milliliter tropfen stellte stellten
    vorstellig guter gute guten gutem reduzierter reduziertem wohlauf
    adipositas appendektomie auswurf blutzucker cholesterin cholezystektomie eiweiß entzündlich
    fadenzug ferritin gerinnung hämoglobin harnsäure harnstoff hämatokrit infiltrate junge kalium
    kalzium kreatinin kurzatmigkeit mädchen natrium nebenwirkungen normbereich normwerte procedere
    schonung stadium thrombozyten torasemid triglyceride zustand zeitpunkt befundung
    """.split()
)

# What begins sentences in French, Spanish, Italian, Dutch, Portuguese, Polish and Swedish.
FOREIGN: Final = frozenset(
    """
    le la un une du au aux ce cet cette ces mon mes ta tes sa ses notre nos votre vos leur
    leurs il nous vous ils elles qui que quoi dont où et ou mais donc si quand comme lorsque
    puisque dans sur sous avec sans pour par vers chez entre depuis pendant avant après contre
    selon malgré aussi ainsi alors encore déjà toujours jamais très trop peu moins pas ne aucun
    aucune tout toute tous toutes autre autres même est sont était étaient être été avoir ont
    avait ait sera seront fait faire peut doit s'agit présence antécédents examen traitement
    douleur douleurs douloureux fièvre patiente évolution bilan sortie entrée hospitalisation
    compte rendu ordonnance suites aujourd'hui demain el los las una unos unas del al este esta
    estos estas ese esa eso sus mi mis nuestro nuestra yo tú él nosotros ellos ellas ustedes
    usted quien cual cuando donde como porque aunque pero sino también según sobre bajo con sin
    para por hasta desde hacia tras ante contra muy más menos ya aún todavía siempre nunca sí
    ningún ninguna todo toda todos todas otro otra otros otras mismo fue fueron era eran ser estar
    está están había haber hay tiene tienen puede debe presenta niega refiere acude realiza
    ingresa ingreso alta paciente exploración antecedentes tratamiento diagnóstico dolor fiebre
    estado evolución gli uno dei degli delle dello dell' allo ai agli dal dallo dalla dai dagli
    dalle nel nello nella nei negli nelle sul sullo sulla sui sugli sulle tra fra di questo questa
    questi queste quello quella suo sua suoi sue mio nostro nostra io noi voi loro chi che cui
    quando dove perché poiché mentre anche ancora già sempre molto più meno nessun nessuna
    nessuno tutto tutta tutti tutte altro altra altri altre è sono erano stato stata stati essere
    avere hanno aveva può deve viene dimissione ricovero esame esami terapia dolore febbre
    anamnesi diagnosi visita dopo senza contro secondo de het een en maar omdat dat deze dit
    daar hij zij ze wij jullie hun haar zijn mijn ons onze zonder voor na naar bij van uit op
    onder tussen tegen door tijdens sinds tot om te ook nog niet geen wel zeer meer minder elke
    werd wordt heeft hebben kan moet zal zou patiënt patiënte onderzoek behandeling opname ontslag
    voorgeschiedenis klachten pijn koorts beoordeling o os uma umas dos da nas ao aos à às pelo
    pela pelos pelas num numa isto esse isso aquele seu seus suas meu minha eu ele nós
    eles elas quem qual onde embora mas também segundo sob sem até após antes muito já ainda não
    nenhum nenhuma outro outra é são foi foram tem têm pode deverá nega apresenta doente utente
    exame exames tratamento internamento dor febre w z od przy dla bez nad pod przed przez między
    oraz lub albo ale więc że żeby aby jak jako gdy kiedy gdzie który która które tego tej tych
    jego jej się tak już jeszcze tylko także również bardzo jest są był była było były będzie
    zostało został została mają może należy badanie badania leczenie pacjent pacjentka wypis
    wypisie rozpoznanie zalecenia zalecono wywiad ogólny bólu gorączki wykonano och att det ett
    som på av för från vid hos över mellan mot utan efter före sedan inte ingen inget andra
    denna detta dessa jag hon hennes deras sitt mitt när där här hur vad vem eller också även
    mycket mer mindre är var varit bor blir blev har hade ska skulle får fick vidare undersökning
    undersökningen behandling smärta smärtor feber återbesök inskrivning utskrivning bedömning
    """.split()
)

_ENGLISH: Final = frozenset(
    """
    competitive mountain bike bikes price prices sales shares trending
    directors trustees governors breaking financial scanned wristband subsidiary returned hiring
    vena cava gaba eber corp accordingly
    beneficiary subscriber member pager facsimile fingerprint voiceprint retina docket vehicle
    scanner specimen telefax template certificate med rec ref birthday regards best wishes
    sincerely
    supervisor tech summer python pizza java beginning sundays mondays saturdays fridays
    reporters journalists investors analysts lawmakers officers police parliament customers shoppers
    tablet tablets walking sitting smokes restarted confirm ordered needed cardiomegaly slices
    degrees grüsse geehrter sehr rechten links liebe lieber tourists residents voters fans readers
    wife's husband's coffee lunch dinner brunch wine beer tea movie song album band concert football
    basketball baseball hockey soccer tennis golf olympics championship season episode netizens
    website blog forum app software hardware laptop phone iphone smartphone shipping refund discount
    coupon gift voucher delivery parcel package checkout cart password username login browser
    subscription invoice receipt payment deposit withdrawal mortgage loan transfer balance atm
    tenant landlord lease rent salary bonus payroll vacation resume cv vacancy engineer developer
    designer consultant assistant coordinator specialist representative accountant cashier
    receptionist plumber electrician
    ward wards afebrile febrile physiotherapy sec bien grüßen grüsse freundlichen kollegen wochen
    entlassungsbrief entlassung befund diagnose wohnhaft allgemeinzustand allergien knie j'ai
    j'avais cher confrère madame
    iban bic swift blz plz ssn mrn npi dea vin dob dod tel fax imei udi uuid vat nif cif nie dni
    cpf ein itin pin url mac nhs bsn pesel cpr cnp nir
    guinea saline proven gland outer split borne fascia scala gut gauge powder delta echo ester
    burr gall cereal rice inner manual registry childhood migraine anxiety nausea aging patent
    ii iii iv vi vii viii ix xi xii meta princess prince king queen guilty pleasures supposed
    shadow dimensions you're i'm don't it's we're they're he's she's can't won't
    a about above abroad absence absent abstract academic accept access accident according
    account accounts achieve across act action actions active activities activity actual
    actually acute add added addition additional additionally additive address addresses
    adequate adjusted admission admit admitted adult adults advanced advantage adverse advice
    affected after afternoon afterwards again against age aged agency agent agents ago agree
    agreed agreement aid aim aims air alert algorithm all allergies allergy allow almost alone
    along already also alternative although always am ambulance ambulatory american among amount
    an analyses analysis analyzed and angina animal animals annual another answer anterior any
    anybody anyone anything anyway apart apartment appear appears application applied apply
    appointment appointments approach appropriate approximately are area areas argument arm arms
    around arrange arrest arrived art arterial artery article as aside ask asked aspect assay
    assess assessed assessment assigned assist assistance assistant associated association at
    attack attempt attempts attending attention august author authority available average avoid
    aware away back background bad balance bank based baseline basic basis be bear became
    because become bed been before began begin behavior behind being believe below beneath
    benefit benefits benign beside besides better between beyond bilateral bill billing biopsy
    birth bit black bladder bleeding block blood blue board bodies body bone bones book both
    bottom bowel box boy boys brain branch breakfast breast breath brief bring british broad
    brother brown building business but button buy by calculated call called calls can cancel
    cancer cannot capacity capital capitalized captain car carcinoma card cardiac cardiology
    care careful carefully carried case cases category cath cause caused causes caution cell
    cells cellular center central centre cerebral certain certainly chair chance change changed
    changes chapter characteristics charge charity chart check chemotherapy chest chief child
    children chinese choice choose chronic church circle circulation cities city claim class
    clear clearly clinic clinical clinically clinics close closed closure club co coagulation
    code cohort cold collected college colon color combined come comes comfortable coming
    comment comments committee common commonly communication community company comparative
    compare compared comparing comparison complaint complaints complete completed completely
    complex complication complications computed computer concentration concentrations concern
    concerning conclusion conclusions condition conditions conference confidential confirmed
    congenital congestive consent consequently consider considerable considered consistent
    constant consult consultant consultation consulted contact contains content context continue
    continued continues contrary contrast control controlled controls conversely cooperation
    coordinator copy coronary correct correction correlation cost costs cough could council
    country county couple course court cover created credit criteria critical cross culture
    cultures current currently customer cut cystic daily damage data database date dates
    daughter day days dead deal dear death deaths debt decade december decided decision decrease
    decreased decreases deep defect defects deficiency defined definite definition degree delay
    delayed deliver delivery demand denied denies dental deny department dependent depression
    describe described description design designed despite detail detailed details detected
    detection determination determine determined develop developed development device diabetes
    diabetic diagnose diagnosed diagnoses diagnosis diagnostic diastolic dictated did died diet
    differ difference differences different difficult difficulty diffuse digital direct
    direction directly director disability discharge discharged discipline discontinue discuss
    discussed discussion disease diseases disk disorder disorders disposition distal distance
    distribution district division do doctor doctors document documented does doing domain
    dominant done donor doppler dosage dose doses double doubt down drainage draw drive driver
    drivers driving drug drugs due duodenal duplex duration during duties duty each ear earlier
    early east eastern easy eat ed edema editor education effect effective effects efficacy
    efficient effort eight eighteen eighth eighty either elderly elective electrical electron
    electronic elevated elevation eleven eligible else elsewhere email emergency employee
    employees employer employment enalapril encounter end endocrine ends enemy energy english
    enjoy enough enter entire entirely environment enzyme epidemiology episode episodes equal
    equally error errors especially essential established estimated etiology european evaluate
    evaluated evaluation even evening event events eventually ever every everybody everyone
    everything evidence exact exactly exam examination examine examined example excellent except
    exclude excluded excuse exercise exist expected experience experimental experiments expert
    expired explain exposure expression extended extensive extent external extra extracted
    extremely eye eyes face facilities facility fact factor factors failed failure fair false
    families family far fast father fatigue favor fax feature features february federal fee feel
    feet felt female females femoral fetal fetus fever few fibers field fifteen fifth fifty
    figure figures file files film final finally finance find finding findings fine finger
    finish fire firm first fit five flow fluid follow followed following follows followup food
    foot for force foreign forget form formation former formerly forms forty forward found four
    fourteen fourth fraction fracture free freedom french frequency frequent frequently fresh
    friday friend friends from front full fully function functional functions fund further
    furthermore future gain game garden gas gastric gave gene general generally generated genes
    genetic german get getting girl give given gives giving glad go goal god goes going gold
    good got government grade gradient gradually graduate graft great greater green ground group
    groups grow growth guarantee guard guess guest guide guideline guidelines guy guys had hair
    half hall hand handle hands happen happened happy hard has have having he head headache
    health healthy hear heard hearing heart heat heavy height hello help helped hemoglobin hence
    hepatic hepatitis her here hereditary hereby herein hers herself hi high higher highest
    highly him himself his histologic history hold hole home hormone hospital hospitalization
    hospitals hospitalized host hot hotel hour hours house household how however human humans
    hundred husband hyperlipidemia hypertension hypertensive hypothesis i idea ideal
    identification identified identify if ill illness illnesses image images imaging immediate
    immediately immune impact implant implication implications importance important importantly
    impossible impression improve improved improvement in inability inc incidence incident
    include included includes including income incomplete increase increased increases
    increasing indeed independence independent index indian indicate indicated indicates
    indication indications indirect individual individuals induced induction industry infant
    infants infarction infection infections infiltration influence inform information infusion
    inhibition initial initially inject injection injured injuries injury inpatient input insert
    inside instead institute institution institutional instruction instructions instrument
    insulin insurance intake integration intensive intent inter interaction interest interesting
    interestingly interferon internal international internet interpretation intervention
    interview into intracranial intraoperative intravenous introduced introduction invasive
    investigate investigated investigation investigations involved involvement irrespective is
    ischemia ischemic isolated isolation issue issues it italian items its itself january
    japanese job joint journal july june junior just keep kept key kidney kids kind kingdom knee
    knew know knowledge known lab labor laboratory labs lack lady language large larger laser
    last late later latest lateral latter law lead leader leading leads learn least leave led
    left leg legal legs lesion lesions less let lethal letter letters leukemia level levels
    library license life lift light like likelihood likely likewise limb limit limitation
    limitations limited line linear lines link lipid list listed little live liver lives living
    local located location long longer look looking lord loss lost lot low lower lung lungs
    lymph lymphocyte lymphoma machine made magnetic mail main maintenance major majority make
    makes making male males malignancies malignancy malignant man manage managed management
    manager many march mark marked marker market markers married marrow mass material materials
    maternal matter maximal maximum may maybe me mean meaning means measure measured measurement
    measurements measures mechanical mechanism mechanisms media medial median medical medicare
    medicaid medication medications medicine medium meet meeting member members membrane memory
    men mental mention message met metabolic metastases metastatic method methods microscopic
    mid middle might mild military milk million mind mine minimal minimum minister minor minute
    minutes miss missed mission mixed mobile mode model models moderate modern modified
    molecular moment monday money monitor monitoring monoclonal month monthly months mood moral
    more moreover morning mortality most mother mouth move moved movement mr mrs ms much mucosal
    multicenter multiple multivariate muscle music must mutation mutations my myocardial myself
    name named namely names narrow nasal nation national native natural nature near nearly
    necessary neck need needs negative neither neonatal nerve nerves network neurologic
    neurology neuro neuropsychological neutrophil never nevertheless new newborn newly news next
    nice night nine nineteen ninety ninth no nobody nodal node nodes non none nonetheless nor
    normal normally north northern nose not note noted notes nothing notice notify november now
    nowhere nuclear number numbers numerous nurse nurses nursing object objective objectives
    observation observational observations observe observed obstruction obstructive obtain
    obtained obviously occasional occasionally occupation occurred occurrence occurs ocean
    october ocular odd of off offer office officer often oh oil ok okay old older on once
    oncology one ones only onset open operating operation operations operative opinion
    opportunity option optimal or oral order orders ordinary organ organic organization organs
    original orthopedic other others otherwise our ours ourselves out outcome outcomes
    outpatient outside over overall own oxygen page paid pain painful pair pancreatic paper
    paralysis parent parents park part partial participants particular particularly parties
    partner parts party pass passed passing past paternal pathologic pathological pathology
    pathway patient patients pattern patterns pay payment peak pediatric pending people per
    percent percentage percutaneous perfect performance performed perfusion perhaps period
    periods peripheral permanent permission persistent person personal persons pharmacy phase
    phone photo physical physician physicians physiologic picture piece pituitary place placed
    placebo placement plain plan plans plant plasma plate platelet play please pleased plus
    pneumonia point points police policy poor poorly popular population portal portion position
    positive possibility possible possibly post posterior postoperative postpartum potential
    potentially power practice practitioner precious predicted prediction predictive pregnancy
    pregnant preliminary preoperative prepare prepared prescribe prescribed prescription
    presence present presentation presented presents president press pressure prevalence prevent
    prevention previous previously price primarily primary prime principal principle prior
    priority private probability probable probably problem problems procedure procedures proceed
    process processes produce produced product production products professional professor
    profile prognosis prognostic program progress progression progressive project prolonged
    prominent promptly promise promised properties property prophylactic prophylaxis proportion
    prospective prospectively prostate protect protein proteins protocol prove provide provided
    provider providers provides provisional proximal psychiatric psychological public published
    pulmonary pulse pump purpose push put quality quantitative question questions quick quickly
    quiet quite rabbit race radiation radical radio radiographic radiography radiology
    radiotherapy raised random randomized range rapid rapidly rare rarely rate rates rather
    ratio reach reaction reactions read readers ready real realize really reason reasonable
    reasons receive received receiving recent recently receptor receptors recipient recipients
    recommend recommendation recommendations recommended record records recovery recurrence
    recurrent red reduce reduced reduction refer reference referral referred reflect reflux
    refused regard regarding regardless regards region regional registered registration
    regression regular rehabilitation rejection relapse related relation relations relationship
    relative relatively relatives release relevant reliability reliable relief religious remain
    remained remaining remains remarks remember remote removal remove removed renal repair
    repeat repeated replace replacement report reported reporting reports represent
    representative request require required requires research resection reserve residence
    resident resistance resistant resolution resource resources respect respectively respiratory
    response responses rest restaurant restriction result resulted resulting results retired
    retrospective return returned reveal revealed reversible review reviewed reviews revision
    rhythm rich right ring rise risk risks river road role room root round route routine row
    royal rule rules run rural sad safe safety said sale same sample samples satisfactory
    saturday saw say says scan scans scar schedule scheduled school science sciences score
    scores screening sea search season seat second secondary secret secretary section sections
    security see seek seem seems seen segment select selected selection selective self send
    senior sensation sensitivity sent separate sepsis september sequence sequential serial
    series serious serum serve service services session set setting seven seventeen seventh
    seventy several severe severity sex sexual shall share sharp she shift ship shock shop short
    shortly should shoulder show showed showing shown shows sick side sided sides sign signal
    signed significant significantly signs similar similarly simple simply simultaneous since
    sincerely single sir sister site sites situation six sixteen sixth sixty size skeletal skill
    skin sleep slight slightly slow slowly small smaller smoke smoker smoking smooth so social
    society sodium soft software soldier sole solid solution some somebody someone something
    sometimes somewhat somewhere son song soon sorry sort sought sound source south southern
    spanish special specialist specialty specific specifically specimen specimens spectrum
    speech spend spent spinal spine spleen spontaneous spouse spring square stable staff stage
    stages staging standard stand staphylococcus star start started state stated statement
    states station statistical statistically status statute stay stenosis step steps sterile
    steroid still stimulated stimulation stock stomach stone stop storage story strain strange
    strategies strategy street strength streptococcus stress strict strip stroke strong strongly
    structure structural student students studied studies study subject subjective subjects
    submit subsequent subsequently subset substance substantial success successful successfully
    such sudden suddenly suffered sufficient suggest suggested suggesting suggestion suggestions
    suggests suite suitable sulfate sum summary summer sunday superior supplement supply support
    supported suppose sure surface surgeon surgeons surgery surgical surprised surprisingly
    surrounding survey survival surviving suspected sustained switch swelling symptom
    symptomatic symptoms syndrome syndromes synthesis syphilis system systematic systemic
    systems systolic table tachycardia take taken takes taking talk target task tax teacher
    teaching team technical technician technique techniques technology telephone tell
    temperature temporal temporary ten tend tender tension term terminal terms test tested
    testing tests text than thank thanks that the their them themselves then theory therapeutic
    therapies therapist therapy there thereafter therefore thereby these they thick thin thing
    things think third thirteen thirty this thorough those though thought thousand thousands
    threatening three threshold thrombolytic thrombosis through throughout thursday thus thyroid
    ticket time times tissue tissues title to tobacco today together told tomography tomorrow
    tonight too took tool top topic topical total totally touch toward towards town toxic
    toxicity trace tracheal track traditional traffic train training transfer transferred
    transformation transfusion transient translocation transmission transplant transplantation
    trauma traumatic travel treat treated treating treatment treatments tremor trend trial
    trials trip triage triple trouble true trust truth try tube tuberculosis tuesday tumor
    tumors tumour turn turned twelve twenty twice twin two type types typical typically ulcer
    ulcers ultimately ultrasonic ultrasonography ultrasound unable uncle unclear uncommon under
    undergoing underlying understand understanding underwent unexpected unfortunately uniform
    unilateral union unique unit united units universal university unknown unless unlike
    unrelated unstable until unusual up update upon upper urban urethral urgent urinary urine us
    usage use used useful user users uses using usual usually utility utilization vaccine
    vaginal valid value values valve variable variables variant variation variety various
    vascular vein venous ventricular version versus very vessel vessels via victim video view
    viral virtually virus visit visiting visual vital vitamin vitals volume voluntary volunteers
    wait waiting walk wall want wants war ward warm warning was wash waste watch water wave way
    ways we weak weakness wednesday week weekend weekly weeks weight welcome well were west
    western what whatever when whenever where whereas wherever whether which while white who
    whole whom whose why wide widely wife will window winter wisdom wise wish with withdrawal
    within without witness woman women wonder word words work worked worker workers working
    workup world worse would wound write writer writing written wrong x yard yeah year years
    yellow yes yesterday yet yield you young younger your yours yourself zero zip zone
    accompanied acid activation alcohol allograft alpha amino amplitude aneurysm angiographic
    angiography angioplasty anomalies antibiotic antibiotics antibodies antibody antigen
    antigens aortic apnea arrhythmia arrhythmias arthritis aspiration aspirin asthma
    asymptomatic atrial attenuated autopsy axillary bacterial barrier beta bile biliary bypass
    calcium carotid catheter catheterization causal cerebrospinal cervical cesarean cholesterol
    cirrhosis colorectal computerized conservative cyst cytokine decompression dementia
    detecting dialysis dilatation discrimination doppler dysfunction dysplasia echocardiography
    ejection electrocardiogram electrophysiologic embolism endoscopic endoscopy endothelial
    epidermal epidural epilepsy epithelial esophageal exacerbation eyelid factorial fibrillation
    fibrosis focal follicular forearm gallbladder gastrointestinal glucose hematoma hemodynamic
    hemorrhage hernia histology hypoxia immunodeficiency immunoglobulin incubation inflammation
    inflammatory intestinal intraocular laparoscopic lipoprotein localized logistic lumbar
    mammography mediastinal melanoma meningitis mice microscopy mitral mononuclear morphologic
    morphology motor mouse murine myelin myocardium necrosis neoplasms nephropathy neurological
    neuronal neurons neuropathy neurosurgical nonsmall occlusion odds oophorectomy optic orbital
    osteoporosis ovarian pacemaker palliative palsy pancreatitis parasite pelvic pericardial
    peritoneal phenotype plaque pleural polymerase polyps potassium prednisone prophylactically
    psoriasis puncture rat rats rectal refractory regulation reperfusion residual retinal
    rheumatoid salvage sarcoma schizophrenia seizure seizures selenium septic sinus spasm
    sphincter squamous stent sucralfate supraventricular suture syncope thoracic thrombus toxin
    tracheostomy transesophageal transverse tumorigenic ulceration ureteral urological uterine
    vagal vasculitis vasodilation ventilation warfarin wedge wound apt avenue blvd boulevard
    court drive floor hwy lane ln parkway pkwy po rd route st ste street suite terrace unit way
    number no nr tel tag id ids ssn dob mrn fax cell ext inc llc ltd plc username password login
    website url link click page http https www com org net select from where users user admin
    null nan none true false json xml html csv sql api key token server client visa mastercard
    amex paypal google facebook twitter youtube instagram linkedin windows linux android iphone
    internet wifi bluetooth english french german spanish italian chinese japanese latin greek
    russian arabic african asian american european british canadian mexican indian caucasian
    hispanic white black christian jewish muslim catholic protestant buddhist hindu internet
    article treaty act congress senate parliament house mission answer question celebrating
    disclaimer invoice receipt order shipping billed sold item qty total subtotal bot boss kid
    mom dad aunt uncle cousin grandma grandpa grandmother grandfather nephew niece spoke met
    sees called brought reports notes states lives works stays moved born says asked told posted
    shouted listed directed starring dr prof gave given received went came left looks seems
    hobbits zombie guitar album band riff movie film concert tale tales cautionary pleasures
    secretly hate love musicians entertainment lounge awesome weird cool boogie snake
    """.split()
)


# Word and name at once: alone at the start of a sentence a word, beside a title or a name a name.
AMBIGUOUS: Final = frozenset(
    """
     ace amber angel april art ash aspen august autumn baker barber bear bell belle
    best bill bishop black blue blunt bond boots bow bowman branch brand brook
     brown buck burns bush butler candy cannon carpenter case cash chance
    chase chip church clay cliff coal cook crystal cross dawn day dean
    dell destiny diamond dick dolly duke dusty earl early east ebony faith fair farmer
     field fields fish fisher flora flowers forest fox
    frank frost gable garden gardener gay gene ginger glass gold golden good grace
    grant gray green grey grove guy hall hay heath heaven
    henna herb hill honey hood hope hunt hunter ivory jade
    jewel joy judge june jewel justice kay key kidd king knight lake lance
    lane lark law lee little lock long love low lucky major mark marsh
    marshal mason may melody mercy merry mickey miles mill misty moody
    moon moss neal nick noble north nova oak olive opal page paige
    palmer park parks pat patience patty pearl penny pepper peg petal
    poppy porter post potter power precious prince price prudence queen rain randy ray
    reed rich rob rock rod roman rose rosemary rowan ruby rush rusty sage sandy savage
    scarlet serene shade sharp shepherd short sierra skip skye sky small snow song spring
    star steel sterling stern stone storm stout strong sue summer summers sunny swan swift
       temple thorn tiger trinity trip van
    velvet victor victory violet wade wall waters west
    white wild will willow winter wise wolf wood woods worth wright young yale
    christian israel jordan chad georgia virginia carolina dakota
      brooklyn washington
    norma elle les della alla durante inga stan ella lei lui mina mia alba hans min ton sina
    mann kraft krebs bruder han till ma mai su ni tu lo das ha prima gabe essa ela silvester noël
    """.split()
)

# Eponyms that stand for a disease, sign, test or device; with a name's context they are names.
EPONYMS: Final = frozenset(
    """
    neer
    achilles addison adie alport alzheimer apgar argyll arnold asperger babinski bacillus baker
    barrett barthel bartholin bartter basedow behcet behçet bell bence bernard billroth bouchard
    bowen bowman braden bright broca brudzinski brugada buerger burkitt carnett caroli celsius
    chagas charcot chauffard cheyne chiari child chvostek colles cooper coombs coopernail cotard
    creutzfeldt crohn cullen cushing dandy danlos darier dercum dix doppler down dressler
    duchenne dupuytren ebstein edwards ehlers eisenmenger epley erb ewing fabry fahrenheit
    fallot fanconi felty finkelstein fisher flack fleischer foley fontan fowler friedreich
    galeazzi gardner gaucher gilbert gilles glasgow gleason goodpasture gram graves grey
    guillain guyon hallpike hansen harris hartmann hashimoto heberden heimlich henoch hickman
    hirschsprung hodgkin hodgkins hoffmann holter horner huntington hurler hutchinson iowa jakob
    jarisch jendrassik jones kaplan kaposi kawasaki kayser kegel kernig killip klinefelter
    kocher koplik korotkoff korsakoff krukenberg kussmaul lachman langerhans laplace leadbetter
    leydig lhermitte libman lichtenberg lou gehrig ludwig lyme mallory marfan marjolin markle
    mcburney mcmurray meckel meigs menetrier meniere ménière merkel mobitz monro morton
    munchausen murphy nissen noonan osgood osler paget pancoast papanicolaou parkinson
    parkinsons patau peutz peyer peyronie phalen pick pott prader prinzmetal purkinje quincke
    ramsay ranson rathke raynaud reed reiter rett reye ringer rinne romberg rorschach roth roux
    rovsing schatzki schlatter schwann scheuermann seldinger sertoli sheehan shy sjogren sjögren
    sims snellen spurling stensen sternberg stevens still stokes strumpell sturge swan sydenham
    takayasu tay thompson tinel todd tourette trendelenburg trousseau turner valsalva virchow
    volkmann von wallenberg waterhouse weber wegener wernicke wharton whipple widal willebrand
    wilms wilson wolff yankauer zollinger ellison kaplan meier fisher student pearson spearman
    wilcoxon mann whitney cox tukey bonferroni dunnett kruskal wallis mcnemar mantel haenszel
    scheffe newman keuls michaelis menten scatchard northern southern western bonferroni wald
    kolmogorov smirnov gaussian bayesian poisson fourier markov boltzmann hill bland altman
    cronbach likert cohen rankin karnofsky hamilton beck minnesota multiphasic wechsler stroop
    framingham
    brackmann mallampati clavien dindo kellgren bosniak gustilo ilizarov ponseti
    lisfranc chopart maisonneuve monteggia bankart sachs lasegue lasègue homans
    toupet rouviere hasson veress bovie penrose giemsa ziehl neelsen coxsackie zika ebola marburg
    norwalk fraumeni cowden epworth breslow schirmer pfannenstiel zavanelli mcroberts ortolani
    galant zenker boerhaave hounsfield waddell frykman gaenslen yergason thessaly apley
    tzanck kleihauer betke bordetella bartonella warthin hurthle hürthle reinke pappenheimer dohle
    döhle birbeck lewy pelger chediak higashi digeorge nezelof swyer angelman gastaut
    kleffner menkes refsum zellweger gierke hartnup liddle gitelman sipple wermer
    kallmann taybi treacher klippel trenaunay moebius möbius millard gubler sequard dejerine
    klumpke gerstmann kluver bucy capgras fregoli ekbom sneddon churg susac moyamoya
    kartagener rendu dieulafoy rokitansky asherman mirizzi blatchford balthazar savary
    siewert bormann borrmann masaoka furhman fuhrman enneking spetzler leriche ceap debakey
    bentall senning rastelli blalock taussig amplatz palmaz gianturco judkins sones
    amplatzer broviac groshong tenckhoff mahurkar shiley bivona passy ambu guedel mapleson sellick
    whitacre sprotte schiotz ishihara amsler bjerrum bitot hollenhorst drusen brucke
    brücke bowditch poiseuille malpighi glisson treitz wirsung kupffer disse lieberkuhn lieberkühn
    vidian gasserian scarpa cloquet poupart hesselbach denonvilliers retzius shouldice bassini
    mcvay desarda stoppa spigelian littre amyand morgagni bochdalek puestow couinaud braasch
    thiersch kraske goodsall boari politano lich mitrofanoff bricker coude malecot pezzer
    nabothian hegar piskacek bandl naegele pinard mauriceau lovset løvset kielland shirodkar bakri
    vineland wais wisc osterrieth hachinski fagerstrom fagerström yesavage zarit tinetti tardieu
    fugl rivermead hendrich caprini khorana hestia chads euroscore parsonnet lichtiger maddrey
    meld lassa hantavirus dengue chikungunya mirena
    """.split()
)

# Eponyms, terms and days of several words of which each is a name, too; `_` is a blank.
EPONYM_PHRASES: Final = frozenset(
    phrase.replace("_", " ")
    for phrase in """
    charcot-marie-tooth stevens-johnson li-fraumeni birt-hogg-dube mallory-weiss jackson-pratt
    salter-harris gustilo-anderson kellgren-lawrence essex-lopresti braxton_hicks braxton-hicks
    ivor-lewis west_nile rocky_mountain hunt-hess lund-mackay mini-cog steri-strips steri-strip
    guillain-barre hill-sachs house-brackmann clavien-dindo wolff-parkinson-white
    lown-ganong-levine blalock-taussig bland-white-garland brown-sequard klippel-trenaunay
    klippel-feil kasabach-merritt sturge-weber von_hippel-lindau hippel-lindau lawrence-moon
    bardet-biedl ellis-van_creveld pierre-robin smith-lemli-opitz smith-magenis williams-beuren
    prader-willi lesch-nyhan tay-sachs niemann-pick rubinstein-taybi beckwith-wiedemann
    wolf-hirschhorn jervell-lange-nielsen romano-ward lambert-eaton miller-fisher holmes-adie
    weber-christian churg-strauss henoch-schonlein peutz-jeghers rendu-osler-weber plummer-vinson
    paterson-kelly budd-chiari dubin-johnson crigler-najjar gilbert-meulengracht
    rokitansky-aschoff mayer-rokitansky-kuster-hauser stein-leventhal fitz-hugh-curtis
    zollinger-ellison verner-morrison waterhouse-friderichsen jarisch-herxheimer epstein-barr
    legg-calve-perthes osgood-schlatter sinding-larsen-johansson hill_sachs diamond-blackfan
    may-hegglin may-thurner klippel-trenaunay-weber bence_jones bence-jones reed-sternberg
    reed_sternberg rosai-dorfman hand-schuller-christian erdheim-chester creutzfeldt-jakob
    gerstmann-straussler steele-richardson-olszewski shy-drager dandy-walker arnold-chiari
    charcot-leyden cheyne-stokes stokes-adams adams-stokes swan-ganz sengstaken-blakemore
    rey-osterrieth montgomery-asberg montgomery_asberg mini-mental fugl-meyer gorlin-goltz
    hailey-hailey fox-fordyce ehlers-danlos loeys-dietz kimmelstiel-wilson
    marshall-marchetti-krantz roux-en-y nissen-rossetti rose_bengal congo_red sudan_black
    prussian_blue alcian_blue may-grunwald-giemsa ziehl-neelsen masson_trichrome mueller-hinton
    lowenstein-jensen tamm-horsfall michaelis-menten ouchterlony christmas_eve christmas_day
    new_year new_year's_eve boxing_day good_friday palm_sunday easter_monday easter_sunday
    ash_wednesday holy_week labor_day memorial_day independence_day veterans_day columbus_day
    martin_luther_king_day mother's_day father's_day eid_al-fitr eid_al-adha eid_ul-fitr
    yom_kippur rosh_hashanah rosh_hashana st._patrick's_day valentine's_day mardi_gras
    cinco_de_mayo muir-torre letterer-siwe hynes-anderson anderson-hynes heller-dor
    child_pugh child_pugh_a child_pugh_b child_pugh_c child_turcotte-pugh child-pugh
    """.split()
)

# People's whole names: eponyms only before a noun of `EPONYM_NOUNS`.
NAMED_PHRASES: Final = frozenset(
    phrase.replace("_", " ")
    for phrase in """
    pierre_robin miller_fisher parkes_weber austin_moore graham_steell austin_flint marcus_gunn
    argyll_robertson ivor_lewis cornelia_de_lange treacher_collins carey_coombs smith-petersen
    ann_arbor hunt_hess evans_blue
    """.split()
)

# Scores, grades and stages with the name of a person or a town: no names before a grade.
SCORES: Final = frozenset(
    """
    braden morse rome paris forrest norton apgar wells tanner garden tokyo boston vienna milan
    ottawa weber fontaine rutherford spetzler ramsay ranson bishop waterlow rockall geneva padua
    hess berg epworth nottingham
    """.split()
)

# Days and times of the year that people keep: no names by themselves.
HOLIDAYS: Final = frozenset(
    """
    ramadan ramadhan ramzan thanksgiving christmas xmas easter diwali deepavali hanukkah chanukah
    passover pesach purim sukkot shavuot kwanzaa halloween lent advent epiphany pentecost whitsun
    eid ashura muharram nowruz holi vesak navratri dussehra vaisakhi pongal onam songkran tet
    chuseok yule juneteenth shabbat sabbath michaelmas hogmanay mardi weihnachten ostern pfingsten
    neujahr heiligabend navidad pascua pâques natale pasqua carnaval karneval
    """.split()
)

# What follows an eponym.
EPONYM_NOUNS: Final = frozenset(
    """
    bengal sequence
    disease diseases syndrome syndromes sign signs test tests tube catheter lymphoma tumor
    tumour palsy phenomenon reflex procedure operation stain method analysis score scale index
    criteria classification maneuver manoeuvre position cell cells body bodies fracture
    contracture gland glands duct monitor antigen antibody virus ulcer node nodes esophagus
    oesophagus sarcoma chorea tetralogy anemia thyroiditis ataxia dystrophy ultrasound flow
    examination studies study echo type coma positive negative correction triad point factor
    regression model equation plot curves curve estimates estimate effect ganglion nerve canal
    fibers fistula pouch hernia diverticulum granulomatosis atrophy dementia patients medium
    solution agar buffer lactate inventory questionnaire protocol technique repair valve
    prosthesis scores blot blots
    grade class stage level scoring scales wire wires pin drain lesion lesions angle ratio
    staining incision incisions staple clip forceps retractor speculum chromosome gangrene angina
    esophagectomy oesophagectomy fundoplication gastrectomy resection hemicolectomy colostomy
    pancreaticoduodenectomy cystectomy myotomy hepaticojejunostomy anastomosis bypass shunt graft
    flap plasty osteotomy arthroplasty fixator nail screw casting splint brace trocar needle
    cannula cautery electrocautery balloon stent contractions maneuvers manoeuvres manoeuvers
    guidelines guideline grading staging stages dislocation deformity amputation laryngoscope
    spots nodules ring triangle ligament fascia recess membrane cyst cysts plexus arthropathy
    adenoma anomaly malformation spasm ptosis pupil aphasia dysplasia osteochondritis purpura
    bacillus fasciitis questionnaires checklist battery chart lens lenses tonometry perimetry
    microscope assay pouches murmur complex gradient formula disc disk tumors tumours tear ulcers
    esophagitis oesophagitis
    """.split()
)

# Drugs, organisms, brands and other capitalized words of medical text.
MEDICAL: Final = frozenset(
    """
    prep
    advil aleve allegra ambien amaryl ativan augmentin avelox azithromycin bactrim benadryl
    botox bumex captopril cardizem celebrex celexa cialis cipro claritin clozaril colace
    compazine coreg coumadin cozaar crestor cymbalta decadron demerol depakote diamox dilantin
    dilaudid diovan ditropan dulcolax effexor eliquis enbrel epogen fentanyl flagyl flexeril
    flomax flonase fosamax glucophage glucotrol haldol heparin humalog humira humulin imdur
    imodium inderal januvia kayexalate keflex keppra klonopin lamictal lantus lasix levaquin
    levemir levitra lexapro lipitor lopressor lovenox lyrica maalox macrobid metamucil metformin
    miralax mobic motrin mucinex naprosyn narcan neurontin nexium norco norvasc novolog nystatin
    oxycontin paxil pepcid percocet phenergan plavix pravachol prednisone prevacid prilosec
    procardia prograf protonix prozac reglan remicade remeron risperdal ritalin robitussin
    rocephin roxicodone seroquel singulair solumedrol spiriva symbicort synthroid tegretol
    tenormin toprol toradol trazodone tylenol ultram valium valtrex vancomycin vasotec ventolin
    viagra vicodin voltaren wellbutrin xanax xarelto zantac zestril zithromax zocor zofran
    zoloft zosyn zyprexa zyrtec bacteroides candida aspergillus campylobacter chlamydia
    clostridium cryptococcus cytomegalovirus enterobacter enterococcus escherichia giardia
    haemophilus helicobacter klebsiella legionella listeria mycobacterium mycoplasma neisseria
    plasmodium pneumocystis proteus pseudomonas salmonella serratia shigella toxoplasma
    treponema trichomonas yersinia borrelia coli aureus medline pubmed embase cochrane medlars
    index swiss sprague dawley wistar hela aids hiv copd chf cad cabg icu nicu micu picu sicu
    ekg ecg eeg emg mri mra cbc cmp bmp bun wbc rbc hgb hct plt inr ptt aptt abg vbg tsh psa cea
    afp hcg crp esr ana anca hla dna rna pcr elisa rflp mrsa vre uti uri gerd ibs ibd dvt pvd
    pad tia cva mi nstemi stemi svt afib rvr pvc pac avr mvr ef lvef heent perrla eomi jvd rrr
    ctab nabs ntnd cta ct pet spect dexa npo bid tid qid qhs prn po iv im sc sq pr od os ou hs
    ac pc stat dnr dni poa pcp ob gyn ent ortho gi gu neuro cv pulm derm psych heme onc id endo
    renal ros hpi pmh psh fh sh meds allergies nkda nkma wnl sob doe cp ha n v d abd ext ams
    aox3 gcs moca mmse phq gad ptsd adhd ocd mdd bipolar bp hr rr spo o2 bmi ht wt temp tmax lbs
    kg lb ml mg mcg meq mmol er or pacu rn lpn np pa md do cna msw lcsw dds dpm phd pharmd crna
    facs facp pt ot slp rt anova sem sd se ns ci
    herceptin entresto oxycodone perjeta kadcyla enhertu keytruda opdivo yervoy tecentriq imfinzi
    bavencio avastin rituxan ocrevus kesimpta tysabri aubagio gilenya tecfidera copaxone avonex
    rebif plegridy betaseron erbitux vectibix cyramza zaltrap stivarga lonsurf xeloda temodar
    gleevec sprycel tasigna bosulif iclusig ibrance kisqali verzenio lynparza zejula rubraca
    talzenna tagrisso tarceva iressa gilotrif alecensa lorbrena xalkori zykadia tafinlar mekinist
    cotellic zelboraf braftovi mektovi lenvima nexavar sutent votrient cabometyx inlyta afinitor
    zytiga xtandi erleada nubeqa lupron zoladex firmagon orgovyx casodex arimidex femara aromasin
    faslodex nolvadex evista prolia xgeva zometa reclast forteo tymlos evenity actonel boniva
    revlimid pomalyst thalomid velcade kyprolis ninlaro darzalex empliciti sarclisa blincyto
    besponsa adcetris polivy imbruvica calquence brukinsa venclexta jakafi inrebic neulasta
    neupogen procrit aranesp nplate promacta doptelet orencia cimzia simponi remsima inflectra
    renflexis actemra kevzara cosentyx taltz stelara tremfya skyrizi otezla xeljanz rinvoq
    olumiant entyvio zeposia lialda asacol pentasa apriso uceris colazal imuran plaquenil arava
    rheumatrex trexall otrexup cellcept myfortic rapamune zortress envarsus nulojix simulect
    thymoglobulin ozempic wegovy rybelsus mounjaro zepbound trulicity victoza saxenda byetta
    bydureon jardiance farxiga invokana steglatro glyxambi synjardy xigduo janumet tradjenta
    jentadueto onglyza nesina avandia prandin starlix precose toujeo tresiba basaglar semglee
    apidra fiasp admelog lyumjev glucagon gvoke baqsimi brilinta effient pradaxa savaysa arixtra
    fragmin angiomax kengreal aggrenox pletal trental ranexa corlanor multaq tikosyn betapace
    rythmol tambocor pacerone cordarone lanoxin digoxin altace accupril lotensin benicar micardis
    avapro atacand edarbi teveten exforge azor twynsta tribenzor lotrel caduet bystolic tekturna
    catapres apresoline loniten minipress hytrin cardura aldactone inspra demadex edecrin
    zaroxolyn microzide lozol thalitone kerendia livalo zetia vytorin repatha praluent leqvio
    nexletol tricor lopid welchol vascepa niaspan verquvo camzyos vyndaqel adempas opsumit
    tracleer letairis revatio adcirca uptravi orenitram remodulin tyvaso advair breo trelegy anoro
    stiolto bevespi breztri dulera flovent pulmicort qvar asmanex arnuity alvesco serevent foradil
    combivent atrovent duoneb proair proventil xopenex accolate xolair nucala fasenra dupixent
    tezspire daliresp ofev esbriet pulmozyme trikafta kalydeco orkambi symdeko xyzal clarinex
    nasonex rhinocort astelin patanol zaditor abilify rexulti vraylar latuda geodon saphris fanapt
    invega caplyta clozapine haloperidol lithium lithobid eskalith vyvanse adderall focalin
    strattera intuniv qelbree provigil nuvigil xyrem sunosi belsomra dayvigo lunesta rozerem
    silenor restoril halcion librium tranxene buspar vistaril atarax desyrel viibryd trintellix
    pristiq fetzima savella luvox pamelor elavil tofranil anafranil sinequan nardil parnate emsam
    spravato topamax trileptal vimpat briviact fycompa xcopri banzel sabril zonegran gabitril
    felbatol mysoline cerebyx aptiom gralise horizant mirapex requip neupro sinemet rytary stalevo
    comtan azilect xadago nuplazid aricept namenda exelon razadyne leqembi aduhelm imitrex maxalt
    relpax zomig amerge frova nurtec ubrelvy qulipta aimovig ajovy emgality fioricet cafergot
    austedo ingrezza xenazine radicava rilutek evrysdi spinraza lioresal baclofen zanaflex robaxin
    skelaxin norflex ultracet nucynta opana hydrocodone hydromorphone oxymorphone morphine codeine
    methadone buprenorphine suboxone subutex naloxone naltrexone vivitrol tramadol tapentadol
    meperidine butrans duragesic actiq celecoxib meloxicam diclofenac ibuprofen naproxen ketorolac
    indocin relafen feldene daypro acetaminophen paracetamol metamizol novalgin novaminsulfon
    pantoprazol torasemid ramipril furosemid marcumar falithrom bisoprolol metoprolol simvastatin
    atorvastatin xipamid carvedilol dexilant aciphex zegerid carafate linzess amitiza trulance
    movantik relistor xifaxan dificid viberzi lomotil bentyl levsin donnatal pepto gaviscon tums
    rolaids senokot golytely suprep anusol lactulose creon zenpep ursodiol ocaliva epclusa harvoni
    mavyret sovaldi zepatier vosevi baraclude vemlidy viread biktarvy genvoya stribild triumeq
    dovato juluca tivicay isentress prezista prezcobix symtuza reyataz norvir kaletra truvada
    descovy epzicom combivir atripla complera odefsey cabenuva apretude tamiflu xofluza paxlovid
    lagevrio veklury valcyte zovirax famvir vfend noxafil cresemba diflucan sporanox cancidas
    mycamine eraxis ambisome zyvox cubicin teflaro vibativ dalvance merrem invanz primaxin unasyn
    maxipime fortaz ceftin omnicef suprax vantin duricef biaxin doryx minocin tygacil xerava
    baxdela ketek septra primsol pyridium monurol hiprex enoxaparin dalteparin fondaparinux
    clopidogrel ticagrelor prasugrel apixaban rivaroxaban dabigatran edoxaban amiodarone propofol
    ketamine midazolam etomidate rocuronium succinylcholine vecuronium cisatracurium sugammadex
    neostigmine glycopyrrolate atropine ephedrine epinephrine norepinephrine phenylephrine
    vasopressin dobutamine dopamine milrinone nitroglycerin nitroprusside levophed neosynephrine
    precedex diprivan ketalar amidate anectine bridion bupivacaine exparel marcaine naropin
    lidocaine xylocaine kenalog depomedrol medrol deltasone florinef cortef cytomel levoxyl
    unithroid tirosint tapazole cytotec pitocin methergine hemabate prepidil cervidil magnesium
    folate folic ferritin fluorescein thiamine niacin cobalamin ergocalciferol cholecalciferol
    calcitriol rocaltrol sensipar zemplar renvela renagel phoslo velphoro fosrenol auryxia
    veltassa lokelma premarin prempro estrace vivelle provera depoprovera nexplanon paragard
    kyleena liletta nuvaring yaz loestrin androgel testim proscar avodart rapaflo uroxatral
    myrbetriq vesicare detrol enablex toviaz oxytrol gemtesa stendra chantix nicorette nicoderm
    antabuse campral zyban shingrix prevnar pneumovax gardasil boostrix adacel havrix twinrix
    comirnaty spikevax fluzone zostavax menactra bexsero accutane retin differin epiduo tazorac
    elidel protopic eucrisa temovate lidex bactroban silvadene nizoral lamisil lotrimin xalatan
    lumigan travatan timoptic alphagan cosopt trusopt azopt combigan rhopressa vyzulta restasis
    xiidra lucentis eylea beovu vabysmo cisplatin carboplatin oxaliplatin paclitaxel docetaxel
    taxol taxotere abraxane gemcitabine gemzar doxorubicin adriamycin epirubicin cyclophosphamide
    cytoxan ifosfamide methotrexate fluorouracil capecitabine irinotecan camptosar topotecan
    etoposide vincristine vinblastine vinorelbine navelbine pemetrexed alimta bleomycin
    trastuzumab pertuzumab bevacizumab rituximab pembrolizumab nivolumab ipilimumab infliximab
    adalimumab etanercept tocilizumab imatinib folfox folfiri folfirinox letrozole anastrozole
    tamoxifen exemestane fulvestrant leuprolide hemovac dermabond pregabalin duloxetine
    venlafaxine sertraline citalopram escitalopram quetiapine olanzapine risperidone aripiprazole
    lorazepam mirtazapine bupropion empagliflozin dapagliflozin semaglutide liraglutide
    tirzepatide insulins sacubitril ivabradine ezetimibe levothyroxin pantoprazole esomeprazole
    allopurinol colchicine febuxostat uloric zyloprim colcrys krystexxa benlysta saphnelo lupkynis
    soliris ultomiris hemlibra advate kogenate novoseven bowel holter fitbit
    """.split()
)

COMMON: Final = _ENGLISH | GERMAN | FOREIGN | HOLIDAYS

# Endings that drugs, diseases, organisms and terms have and names seldom do.
MEDICAL_ENDINGS: Final = tuple(
    """
    itis osis emia aemia oma omas pathy plasty ectomy otomy ostomy scopy scopic graphy graphic
    gram grams cillin mycin azole olol pril sartan statin idine amide azine zepam zolam barbital
    caine dipine floxacin cycline vir virus viruses coccus cocci bacter bacillus ella globulin
    globin ase ases ogen trophic tropic genic genesis lysis lytic toxin toxic emic uria algia
    plegia paresis rrhea rrhage sclerosis trophy plasia phagia phasia philia phobia penia cyte
    cytes cytic blast blastic ology ologic ologist ologists iatric metry metric meter static
    stasis tion tions sion sions ment ments ness ity ities ally edly ously fully ably ibly
    ically ance ances ence ences ancy ency ible able ous ful less ical ized izing ated ating
    ative sively tively ogical ological ings tory ular onal onic etic atic ectic ential ional
    ide ides amine amines sterone steroid steroids ergic chrome sulfate phosphate acetate sodium
    lipid lipids protein proteins glycan peptide peptides kinin kinins leukin feron parin
    plastin actone racetam therapy therapies febrile formin gliptin xaban triptan setron dronate
    ektomie tomie stomie skopie grafie graphie pathie insuffizienz stenose schmerz schmerzen
    therapie beschwerden storung storungen erkrankung erkrankungen entzundung untersuchung
    ierung tzung rkung igung derung keit keiten
    """.split()
)

PARTICLES: Final = frozenset(
    """
    van von der den de la le da do dos das di del della du des des los las el al bin ibn ben
    bint abu ter ten zu zur vom af av st san santa y e
    """.split()
)

# A name follows these, with a full stop between or without.
TITLES: Final = frozenset(
    """
    mr mrs ms miss mx dr drs doctor prof professor sir madam madame mme mlle monsieur herr frau
    fräulein señor señora señorita sr sra srta sig signor signora dott dottssa dra don doña
    senhor senhora rev reverend father sister nurse capt captain lt sgt sergeant officer judge
    hon lord lady rabbi imam pastor sheikh hr fru pan pani meneer mevrouw mevr dhr mw bay bayan
    """.split()
)

# Who is meant by the name that follows directly ("wife Mary", "RN Kim", "patient Lopez").
ROLES: Final = frozenset(
    """
    patient pt wife husband spouse son daughter mother father brother sister aunt uncle cousin
    nephew niece grandmother grandfather grandson granddaughter mom mum dad girlfriend boyfriend
    fiance fiancee partner friend kid neighbor neighbour nurse rn lpn np pa md attending surgeon
    resident intern fellow physician therapist anesthesiologist cardiologist radiologist
    neurologist oncologist psychiatrist psychologist pathologist caregiver guardian roommate
    boss colleague manager teacher lawyer attorney maid son-in-law ex-husband ex-wife widow
    widower client customer singer actor actress author director president senator minister
    detective inspector agent patientin kollege kollegin ehefrau ehemann hausarzt hausärztin
    oberarzt oberärztin chefarzt chefärztin stationsarzt stationsärztin sohn tochter bruder
    schwester pfleger
    """.split()
)

# What people do at the start of a sentence ("Delvis spent a year").
PERSON_VERBS: Final = frozenset(
    """
    said says told tells asked asks shouted shouts replied answered spent began started lives
    lived works worked moved went came called calls denies denied reports reported states stated
    admits complains complained presents endorses declines declined refuses refused wants wanted
    needs likes loves hates lost married graduated wrote writes studied thinks thought knows
    knew believes agrees agreed arrived left met invited visited smokes drinks takes signed
    ordered dictated will would can could and had has is was who may
    """.split()
)

ORGANIZATION_WORDS: Final = frozenset(
    """
    inc incorporated llc llp ltd limited plc corp corporation gmbh ag kg ohg sa sarl sas srl spa
    bv nv ab oy oyj asa aps kft sro zrt pty co company group holdings holding partners
    associates software technologies technology systems solutions consulting industries
    enterprises laboratories pharmaceuticals pharma therapeutics insurance bank bancorp capital
    ventures hospital hospitals clinic clinics infirmary hospice pharmacy center centre medical
    healthcare university college school academy institute church cathedral mosque synagogue
    temple foundation trust association society union council museum library airlines airways
    motors records studios media press restaurant hotel club sons bros brothers klinik
    krankenhaus universität krankenkasse stiftung hôpital clinique université hospice ospedale
    universidad universidade banco banca universitat hopital universite universitatsklinikum
    universitatsspital uniklinik uniklinikum klinikum fachklinik praxisklinik tagesklinik
    rehaklinik rehazentrum kreiskrankenhaus stadtkrankenhaus marienhospital pflegeheim
    seniorenheim gesundheitszentrum arztpraxis gemeinschaftspraxis
    """.split()
)
