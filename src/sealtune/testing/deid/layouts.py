"""How notes, letters, forms and messages are laid out: lines with slots, for `deid.generator`.

A line is its probability and its wordings. Slots are in braces: `{patient.last}` a person of the
note, `{id:mrn}` a label and a number, `{mrn}` the number alone, `{keep}` what must stay.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

Line = tuple[float, tuple[str, ...]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Layout:
    """One kind of document."""

    name: str
    language: str
    lines: tuple[Line, ...]
    joint: str = "\n"


def _line(probability: float, *wordings: str) -> Line:
    return probability, wordings


PROGRESS: Final = Layout(
    name="progress-note",
    language="en",
    lines=(
        _line(
            1,
            "PROGRESS NOTE  {date}",
            "Progress note - {org}",
            "Daily progress note, {date}, {org}",
        ),
        _line(
            1,
            "Patient: {patient}   {id:mrn}",
            "Name: {patient}\n{id:mrn}",
            "Pt: {patient} | {id:mrn}",
        ),
        _line(
            0.8,
            "DOB: {date}   Age/sex: {keepage}",
            "D.O.B. {date}",
            "Date of birth: {date}",
            "born {date}",
        ),
        _line(0.6, "Room: {ward}", "Location: {ward}"),
        _line(
            1,
            "S: {patient.title} {patient.last} slept poorly, {keep}.",
            "Subjective: {patient.first} reports feeling better; {keep}.",
            "Interval: seen with {relative.first} (daughter) at bedside. {keep}.",
        ),
        _line(
            0.5,
            "Spoke with the husband, {relative}, at {phone}.",
            "His sister {relative.first} can be reached on {phone}.",
            "Wife {relative} updated by telephone ({phone}).",
        ),
        _line(
            1,
            "O: {keep}; {keep}; {keep}.",
            "Exam: {keep}. {keep}.",
            "Vitals {keep}, {keep}, {keep}.",
        ),
        _line(0.7, "Labs: {keep}, {keep}, {keep}", "Data: {keep}; {keep}."),
        _line(
            0.5,
            "A/P: {keep}. Discussed with Dr. {doctor.last}.",
            "Plan: {keep}, {keep}. Dr. {doctor.last} agrees.",
            "Assessment: {keep}. Will ask {doctor}, MD to see {patient.title} {patient.last}.",
        ),
        _line(0.3, "Transfer to {org} on {date}.", "To be followed at {org} from {date} on."),
        _line(0.3, "She is a {age} widow from {city}.", "Lives alone in {city}, now {age}."),
        _line(
            1,
            "Signed: {doctor}, MD",
            "Electronically signed by {doctor} on {date}",
            "-- {nurse}, RN {id:license}",
            "Dictated by {doctor}; {id:npi}",
        ),
    ),
)
DISCHARGE: Final = Layout(
    name="discharge-summary",
    language="en",
    lines=(
        _line(
            1, "DISCHARGE SUMMARY", "Discharge Summary\n{org}\n{address}", "{org} - Summary of stay"
        ),
        _line(
            1,
            "Patient Name: {patient}\nAdmitted: {date}\nDischarged: {date}",
            "{patient} was in our care from {date} to {date}.",
            "NAME {patient}   ADM {date}   DISCH {date}",
        ),
        _line(0.9, "{id:mrn}\n{id:other}", "{id:mrn}; {id:account}", "{id:other}   {id:plan}"),
        _line(
            0.5, "{id:ssn}", "Insurance: {id:plan}, {id:mbi}", "Social security no {ssn} verified"
        ),
        _line(
            1,
            "HISTORY: {patient.title} {patient.last} is a {age} teacher from {city}. {keep}.",
            "History. This {keepage} worker at {org} came from {city} with {keep}.",
            "Brief history: {patient.first} {patient.last}, who lives in {city}, fell on {date}.",
        ),
        _line(
            1,
            "COURSE: {keep}. On {date} {keep}. {keep}.",
            "Hospital course: By {date}, {patient.last} was walking. {keep}. {keep}.",
        ),
        _line(
            0.5,
            "Implanted device: {id:serial}; {id:udi}.",
            "A pacemaker was placed, {id:serial}.",
            "The insulin pump ({id:serial}) was restarted; {id:mac}.",
        ),
        _line(1, "DISCHARGE MEDICATIONS: {keep}, {keep}, {keep}", "Meds: {keep}; {keep}."),
        _line(
            0.6,
            "Discharged to {org}, {address}.",
            "Home to {street}, {city}.",
            "Returned to the nursing home ({org}).",
        ),
        _line(
            0.7,
            "Follow-up with Dr. {doctor.last} on {date} at {org}.",
            "See {doctor}, DO, in two weeks; call {phone}.",
            "Clinic {date}, Dr {doctor.last}.",
        ),
        _line(
            0.4,
            "Next of kin: {relative}, {phone}, {email}",
            "Emergency contact {relative} ({phone}).",
        ),
        _line(1, "Attending: {doctor}, M.D.\ncc: {other}, MD, fax {fax}", "{doctor}, MD, {id:dea}"),
    ),
)
REFERRAL: Final = Layout(
    name="referral-letter",
    language="en",
    lines=(
        _line(
            1, "{org}\n{address}\n{id:phone}   {id:fax}", "{org}, {address}\n{id:fax}\n{id:email}"
        ),
        _line(1, "{date}", "Date: {date}", "{city}, {date}"),
        _line(
            1,
            "Dear Dr. {other.last},",
            "Dear Doctor {other.last},",
            "Dear {other.first},",
            "To: {other}, MD",
        ),
        _line(
            0.9,
            "RE: {patient}, DOB {date}",
            "Re: {patient} ({id:mrn}), {street}, {city}",
            "Regarding {patient}, born {date}, {id:plan}",
        ),
        _line(
            1,
            "Thank you for seeing {patient.title} {patient.last}, known since {year}. {keep}.",
            "I would be grateful for your opinion on {patient.first}, who has {keep}.",
            "Many thanks for agreeing to see {patient}, a {age} former miner from {county}.",
        ),
        _line(
            1,
            "The past history includes {keep} and {keep}. {keep}.",
            "On examination {keep}, {keep}. {keep}.",
        ),
        _line(
            0.5,
            "{patient.last} works for {org} and drives a truck ({id:plate}, {id:vin}).",
            "An accident on {date} near {city} involved a car, {id:plate}.",
            "{patient.first}'s employer, {org}, asks for a report; {id:vin}.",
        ),
        _line(
            0.5,
            "My colleague {nurse} took photographs ({id:photo}) and stored {id:biometric}.",
            "{id:photo}",
            "{id:biometric}",
        ),
        _line(
            0.4,
            "The family has moved from {foreign} in {year}.",
            "{patient.title} {patient.last} holds a passport of another country ({id:passport}).",
            "The national number is given as {national}.",
        ),
        _line(
            1,
            "Kind regards,\n{doctor}",
            "Yours sincerely,\n\n{doctor}, MD, FACP\n{id:npi}",
            "With best wishes\nDr {doctor}",
        ),
    ),
)
NURSING: Final = Layout(
    name="nursing-note",
    language="en",
    joint=" ",
    lines=(
        _line(0.7, "{date} {time}:", "{time} {date} RN note.", "Nsg note {date}."),
        _line(
            1,
            "Pt {patient.last} resting, {keep}.",
            "Rec'd {patient.title} {patient.last} from ED, {keep}.",
            "{patient.first} c/o pain 6/10, {keep}.",
        ),
        _line(0.8, "{keep}. {keep}.", "Given {keep} as ordered by Dr {doctor.last}."),
        _line(
            0.5,
            "Son {relative.first} visited, left number {phone}.",
            "Daughter {relative} called from {city}.",
            "Family ({relative}) wants call at {phone}.",
        ),
        _line(
            0.4,
            "Wristband {id:mrn} checked.",
            "Scanned {id:mrn}, {id:other}.",
            "Glucometer {id:serial} used.",
        ),
        _line(0.3, "Resident is {age}.", "Pt is {age}, very alert."),
        _line(
            0.5,
            "Handoff to {nurse.first} at {time}.",
            "Reported to {nurse}, RN.",
            "Will page Dr. {doctor.last}, {id:phone}.",
        ),
        _line(0.6, "{nurse}, RN", "- {nurse.last} RN", "Charted by {nurse}, {id:user}"),
    ),
)
RADIOLOGY: Final = Layout(
    name="radiology-report",
    language="en",
    lines=(
        _line(1, "{org} RADIOLOGY", "Department of Radiology, {org}", "IMAGING REPORT"),
        _line(1, "Patient: {patient}  {id:mrn}  {id:other}", "PATIENT {patient}\n{id:other}"),
        _line(1, "Exam date: {date}", "Performed {date}, read {date}", "EXAM DATE {date} {time}"),
        _line(
            0.8, "Ordering: {doctor}", "Referring physician: Dr. {doctor.last}", "Ref MD: {doctor}"
        ),
        _line(1, "INDICATION: {keepage} with {keep}.", "Indication: {age}, fall, {keep}."),
        _line(
            1,
            "TECHNIQUE: {imaging}. Comparison: {date}.",
            "Comparison is made with {date}. {imaging}.",
        ),
        _line(1, "FINDINGS: {imaging}. {imaging}. {keep}.", "Findings. {imaging}."),
        _line(
            1,
            "IMPRESSION: {imaging}.",
            "Impression: {imaging}. Findings told to Dr. {doctor.last} at {time}.",
        ),
        _line(
            0.6, "Images at {url}", "Workstation {ip}, {id:user}", "Scanner {id:serial}, {id:ip}"
        ),
        _line(1, "Read by: {other}, MD", "Dictated and signed: {other}"),
    ),
)
BILLING: Final = Layout(
    name="billing-form",
    language="en",
    lines=(
        _line(1, "STATEMENT OF ACCOUNT - {org}", "Claim form", "{org} Patient Financial Services"),
        _line(1, "Bill to: {patient}\n{address}", "Guarantor: {relative}\n{address}"),
        _line(1, "{id:account}\n{id:plan}", "{id:plan}\n{id:account}\n{id:other}"),
        _line(0.7, "{id:ssn}\n{id:license}", "{id:ssn}", "{id:license}\nDOB {date}"),
        _line(0.7, "{id:card}  exp {cardexp}", "{id:card}", "Paid with {card} on {date}"),
        _line(0.5, "IBAN {iban}", "Refund to IBAN: {iban}", "Wire to {iban}"),
        _line(0.5, "{tax}", "{national}", "{id:mbi}"),
        _line(
            1, "Service date {date}: {keep}, code {code}, ${amount}", "{date}  {code}  ${amount}"
        ),
        _line(0.5, "Provider {doctor}, {id:npi}", "Rendering provider: {doctor} {id:dea}"),
        _line(0.6, "Questions: {phone} or {email}", "{id:phone}\n{id:fax}\n{id:email}\n{id:url}"),
    ),
)
EMAIL: Final = Layout(
    name="e-mail",
    language="en",
    lines=(
        _line(1, "From: {doctor} <{email}>\nTo: {email}", "From: {email}\nTo: {other} <{email}>"),
        _line(
            1,
            "Subject: {patient.last} follow up",
            "Subject: appointment {date}",
            "Subject: your results",
        ),
        _line(1, "Hi {other.first},", "Hello {other.title} {other.last},", "{other.first} -"),
        _line(
            1,
            "{patient.first} {patient.last} called about the visit on {date}. {keep}.",
            "could you look at {patient.title} {patient.last}'s chart, {id:mrn}? {keep}.",
            "As discussed, {keep}. {patient} will travel to {city} on {date}.",
        ),
        _line(
            0.5,
            "Remote access: user {user}, {secret}",
            "{id:user}, {secret}",
            "The interface {secret}",
        ),
        _line(
            0.4, "Portal: {url}", "The monitor ({id:imei}, {id:mac}) is at {ip}.", "Logs show {ip}."
        ),
        _line(
            0.5, "Please send the bill to {street}, {city}.", "{patient.first} moved to {address}."
        ),
        _line(
            1,
            "Thanks,\n{doctor.first}",
            "Best,\n{doctor}\n{org}\n{id:phone}",
            "{doctor}\n{id:phone}",
        ),
    ),
)
SMS: Final = Layout(
    name="sms",
    language="en",
    joint=" ",
    lines=(
        _line(
            0.6,
            "hi its {relative.first},",
            "Hello {doctor.title} {doctor.last}",
            "Reminder for {patient.first}:",
        ),
        _line(
            1,
            "can u call me on {phone}",
            "mom ({patient.first} {patient.last}) fell again on {date}",
            "appt at {org} {date} {time}",
            "my new address is {street}, {city}",
            "{keep}",
        ),
        _line(
            0.6, "my email is {email}", "she turned {agevalue} last week", "{id:mrn}", "dob {date}"
        ),
        _line(0.4, "thx {relative.first}", "- {nurse.first}", "reply STOP to end"),
    ),
)
TRANSCRIPT: Final = Layout(
    name="chat",
    language="en",
    lines=(
        _line(
            1,
            "[{time}] {nurse.first}: hello, am I speaking with {patient}?",
            "Agent {nurse.first}: Thank you for calling {org}.",
        ),
        _line(
            1,
            "[{time}] {patient.first}: yes, my birthday is {date}",
            "Caller: this is {patient}, born {date}",
        ),
        _line(
            0.7, "Agent: please confirm your {id:ssn}", "Agent: and the {id:plan}?\nCaller: correct"
        ),
        _line(0.7, "Caller: I live at {street} in {city}", "Caller: we moved to {address}"),
        _line(0.6, "Caller: card is {card}", "Caller: send it to {email} please"),
        _line(0.6, "Caller: {keep}, and {keep}", "[{time}] {patient.first}: I take {keep}"),
        _line(
            0.8,
            "Agent: Dr. {doctor.last} can see you {date}",
            "Agent: I will ask {doctor} to call {phone}",
        ),
    ),
)
JSON: Final = Layout(
    name="json",
    language="en",
    joint=", ",
    lines=(
        _line(1, '{{"name": "{patient}"'),
        _line(0.8, '"birthDate": "{date}"'),
        _line(0.7, '"mrn": "{mrn}"'),
        _line(0.6, '"address": {{"line": "{street}", "city": "{city}", "postalCode": "{zip}"}}'),
        _line(0.6, '"telecom": ["{phone}", "{email}"]'),
        _line(0.4, '"ssn": "{ssn}"'),
        _line(0.4, '"device": {{"serial_number": "{serial}", "mac": "{mac}"}}'),
        _line(0.4, '"license_plate": "{plate}"'),
        _line(1, '"note": "Seen by Dr. {doctor.last}. {keep}."}}'),
    ),
)
HTML: Final = Layout(
    name="html",
    language="en",
    joint="",
    lines=(
        _line(1, "<h1>{org}</h1>", "<h2>Visit of {date}</h2>"),
        _line(
            1,
            "<p>Patient: <b>{patient}</b><br/>",
            "<table><tr><td>Name</td><td>{patient}</td></tr></table><p>",
        ),
        _line(0.8, "MRN: {mrn}<br/>", "Date of birth: {date}<br/>"),
        _line(0.6, 'Mail <a href="mailto:{email}">write</a>, phone {phone}<br/>'),
        _line(0.5, "Address: {address}<br/>"),
        _line(1, "{keep}, {keep}.</p><p>Dr. {doctor.last}</p>"),
    ),
)
GERMAN: Final = Layout(
    name="arztbrief",
    language="de",
    lines=(
        _line(1, "{org}\n{foreign}", "Entlassungsbrief, {org}"),
        _line(
            1,
            "Patient: {patient}, geb. am {date}",
            "Herr {patient.last}, geboren {date}",
            "Frau {patient}, geb. {date}, wohnhaft {foreign}",
        ),
        _line(
            1, "Sehr geehrter Herr Dr. {other.last},", "Sehr geehrte Frau Kollegin {other.last},"
        ),
        _line(
            1,
            "wir berichten über {patient.last}, stationär vom {date} bis {date}. {keepde}.",
            "o. g. Patientin stellte sich am {date} vor. {keepde}.",
        ),
        _line(0.6, "Tel. {phone}, {email}", "Telefon: {phone}", "Fax: {fax}"),
        _line(0.5, "IBAN {iban}", "{national}", "Versichertennummer {kvnr}"),
        _line(1, "{keepde}. {keepde}.", "Therapie: {keepde}."),
        _line(1, "Mit freundlichen Grüßen\nDr. med. {doctor}", "gez. Dr. {doctor.last}"),
    ),
)
FRENCH: Final = Layout(
    name="compte-rendu",
    language="fr",
    lines=(
        _line(1, "{org}\n{foreign}", "Compte rendu de consultation, {org}"),
        _line(
            1,
            "Patient : {patient}, né le {date}",
            "Madame {patient.last}, née le {date}",
            "M. {patient}, demeurant {foreign}",
        ),
        _line(
            1,
            "Cher confrère,\nJ'ai vu en consultation M. {patient.last} le {date}. {keepfr}.",
            "Mme {patient.last} a été hospitalisée du {date} au {date}. {keepfr}.",
        ),
        _line(0.6, "Tél. : {phone}", "Courriel : {email}", "Téléphone {phone}"),
        _line(0.5, "{national}", "IBAN : {iban}"),
        _line(1, "{keepfr}. {keepfr}."),
        _line(1, "Docteur {doctor}", "Dr {doctor.last}", "Bien confraternellement,\nDr {doctor}"),
    ),
)
SPANISH: Final = Layout(
    name="informe",
    language="es",
    lines=(
        _line(1, "{org}\n{foreign}", "Informe de alta, {org}"),
        _line(
            1,
            "Paciente: {patient}. Fecha de nacimiento: {date}",
            "D. {patient}, nacido el {date}",
            "Sra. {patient.last}, domicilio: {foreign}",
        ),
        _line(
            1,
            "Ingresa el {date} y es dada de alta el {date}. {keepes}.",
            "Acude a consulta el {date}. {keepes}.",
        ),
        _line(0.6, "Teléfono: {phone}", "Correo: {email}", "Tfno. {phone}"),
        _line(0.5, "{national}", "IBAN {iban}"),
        _line(1, "{keepes}. {keepes}."),
        _line(1, "Fdo.: Dra. {doctor}", "Dr. {doctor.last}"),
    ),
)
ENGLISH: Final = (
    PROGRESS,
    DISCHARGE,
    REFERRAL,
    NURSING,
    RADIOLOGY,
    BILLING,
    EMAIL,
    SMS,
    TRANSCRIPT,
    JSON,
    HTML,
)
OTHERS: Final = (GERMAN, FRENCH, SPANISH)
