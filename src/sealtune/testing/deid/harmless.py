"""What must stay in the notes of `deid.generator`: doses, values, codes, eponyms, ratios.

`#` is a digit by chance, so that the numbers differ from note to note.
"""

from __future__ import annotations

from typing import Final


def _lines(text: str) -> tuple[str, ...]:
    return tuple(item.strip() for item in text.split("\n") if item.strip())


KEEP: Final = {
    "en": _lines(
        """BP 13#/7#
        blood pressure 13#/8# sitting
        pulse 6#, RR 1#, SpO2 9#% on room air
        temp 37.# C
        T 98.# F
        room temperature 21.# degrees
        weight 7#.# kg, height 16# cm
        BMI 2#.#
        metformin 500 mg BID
        lisinopril 10 mg daily
        warfarin 2.5 mg, INR 2.#
        atorvastatin 40 mg at bedtime
        furosemide 20 mg IV x 1
        acetaminophen 650 mg every 4-6 hours as needed
        Augmentin 875/125 mg twice a day
        sodium 13#, potassium 4.#, chloride 10#
        hemoglobin 1#.# g/dL
        creatinine 1.# mg/dL
        HbA1c 7.#%
        WBC 11.#, platelets 24#
        troponin less than 0.0#
        TSH 2.## mIU/L
        ejection fraction 55-60%
        E11.9, I10 and J45.909
        ICD-10 code K21.9
        Parkinson's disease, stable
        no Babinski sign
        Crohn's disease in remission
        Foley catheter in place
        Glasgow Coma Scale 15
        Hodgkin lymphoma, stage II
        mild Alzheimer's dementia
        Bell's palsy on the left
        history of Graves disease
        Heberden nodes of both hands
        Murphy's sign negative
        strength 5/5 throughout
        reflexes 2+ and equal
        pain 4/10
        visual acuity 20/40
        Apgar 8/9
        a 3:1 ratio
        L4/L5 disc protrusion
        NYHA class II symptoms
        gravida 3 para 2
        2 tablets with meals
        1/2 tablet in the morning
        half-life of 6 hours
        smokes 10 cigarettes a day
        quit smoking 12 years ago
        no known drug allergies
        normal sinus rhythm, rate 7#
        lungs clear to auscultation
        abdomen soft and not tender
        alert and oriented x 3
        wound clean, dry and intact
        tolerating a regular diet
        ambulating with a walker
        chest pain on exertion for 3 weeks
        cough for 5 days
        denies fever or chills
        sleeping better on trazodone
        physical therapy three times a week
        fluid restriction to 1500 mL
        will repeat in 6 months
        aged 6# at diagnosis
        father died of stroke at age 7#
        may discharge when stable
        will continue the current dose
        rose bengal stain negative
        hope to taper by half"""
    ),
    "de": _lines(
        """Blutdruck 13#/8# mmHg
        Ramipril 5 mg 1-0-0
        Temperatur 37,# Grad
        Herzfrequenz 7#/min
        Kreatinin 1,# mg/dl
        Morbus Crohn bekannt
        keine Allergien
        Kontrolle in 6 Wochen
        Hb 12,# g/dl
        ICD I10.90
        guter Allgemeinzustand
        Schmerzen im rechten Knie"""
    ),
    "fr": _lines(
        """tension 13#/8#
        paracétamol 1 g trois fois par jour
        température 37,# degrés
        maladie de Crohn connue
        créatinine 8# µmol/l
        aucune allergie
        contrôle dans 3 mois
        fréquence cardiaque 7#
        douleur du genou droit
        bon état général"""
    ),
    "es": _lines(
        """tensión arterial 13#/8#
        paracetamol 1 g cada 8 horas
        temperatura 37,#
        enfermedad de Crohn conocida
        creatinina 1,# mg/dl
        sin alergias conocidas
        revisión en 3 meses
        frecuencia cardiaca 7#
        dolor de rodilla derecha
        buen estado general"""
    ),
}
IMAGING: Final = _lines(
    """No acute fracture
    Heart size is normal
    T2-weighted images show a 1# mm lesion
    CT of the abdomen with 100 mL of contrast
    Two views of the chest
    Degenerative change at C5-C6
    No pleural effusion or pneumothorax
    Axial slices of 2.5 mm
    A 4 x 3 x 2 cm cyst of the left kidney
    Cobb angle of 1# degrees
    Baker's cyst behind the right knee
    BI-RADS 2
    Mild cardiomegaly, unchanged
    Hill-Sachs deformity of the humeral head"""
)
WARDS: Final = ("4 West bed 12", "ICU 3", "Rm 214", "Ward 7B", "ED bay 9")
CODES: Final = ("99213", "99232", "93010", "71046", "G0008", "J1885")
