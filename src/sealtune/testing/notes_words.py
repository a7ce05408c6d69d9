"""The words of the synthetic notes: five specialties, what they share, and what says nothing.

A data table; `notes` draws from it. Written for this project, after no patient.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class Specialty:
    """What a note of one specialty may say; `minor` is what other notes mention in passing."""

    complaints: tuple[str, ...]
    findings: tuple[str, ...]
    tests: tuple[str, ...]
    plans: tuple[str, ...]
    minor: tuple[str, ...]


SPECIALTIES = {
    "cardiology": Specialty(
        complaints=(
            "central chest tightness on climbing stairs",
            "palpitations that start and stop abruptly",
            "swelling of both ankles by the evening",
            "waking at night short of breath and needing three pillows",
            "a brief faint while walking uphill",
            "a racing irregular pulse since the weekend",
        ),
        findings=(
            "pulse irregularly irregular at {rate} per minute",
            "a soft systolic murmur at the apex",
            "raised venous pressure in the neck",
            "pitting oedema to the mid shin",
            "a third heart sound",
            "blood pressure {pressure} in both arms",
        ),
        tests=(
            "ECG showed inferior T wave inversion",
            "echocardiogram with an ejection fraction of {percent} percent",
            "troponin rose between the two samples",
            "24 hour tape recorded paroxysmal atrial fibrillation",
            "coronary angiography found a narrowed left anterior descending artery",
        ),
        plans=(
            "start bisoprolol and review the rhythm in clinic",
            "furosemide increased, weigh daily",
            "anticoagulation discussed and apixaban begun",
            "listed for cardioversion",
            "dual antiplatelet therapy after stenting",
            "ramipril titrated, renal function in one week",
        ),
        minor=(
            "known atrial fibrillation, rate controlled",
            "an old myocardial infarction",
            "treated high blood pressure",
            "a stent placed years ago",
        ),
    ),
    "neurology": Specialty(
        complaints=(
            "sudden weakness of the left arm and slurred speech",
            "a throbbing one-sided headache with flashing zigzag lines",
            "numbness creeping up both legs over a week",
            "a witnessed convulsion with tongue biting",
            "a resting tremor of the right hand",
            "double vision when looking to the side",
        ),
        findings=(
            "left pronator drift and an upgoing plantar",
            "reflexes brisk on the right",
            "reduced arm swing and a shuffling gait",
            "pinprick diminished in a glove and stocking pattern",
            "horizontal nystagmus on lateral gaze",
            "cogwheel rigidity at the wrist",
        ),
        tests=(
            "MRI brain showed several periventricular lesions",
            "CT head excluded haemorrhage",
            "EEG with temporal sharp waves",
            "nerve conduction slowed in both legs",
            "cerebrospinal fluid with oligoclonal bands",
        ),
        plans=(
            "levetiracetam started, no driving for now",
            "referred to the stroke rehabilitation ward",
            "a trial of levodopa",
            "topiramate for prevention and a headache diary",
            "intravenous immunoglobulin for five days",
            "steroid course for the relapse",
        ),
        minor=(
            "migraine since youth",
            "epilepsy, free of seizures for years",
            "a small stroke without lasting deficit",
            "a neuropathy of the feet",
        ),
    ),
    "orthopaedics": Specialty(
        complaints=(
            "a fall onto the outstretched hand with wrist deformity",
            "knee locking and giving way since a twisting injury",
            "groin pain on weight bearing, worse on stairs",
            "shoulder pain when lifting the arm overhead",
            "low back pain shooting into the calf",
            "ankle swelling after turning it on the pavement",
        ),
        findings=(
            "tender over the anatomical snuffbox",
            "joint line tenderness and a positive McMurray test",
            "leg shortened and externally rotated",
            "painful arc between 60 and 120 degrees",
            "straight leg raise limited to {angle} degrees",
            "an effusion with flexion to {angle} degrees only",
        ),
        tests=(
            "radiograph showed a displaced distal radius fracture",
            "MRI of the knee with a torn medial meniscus",
            "plain films with loss of hip joint space",
            "ultrasound found a full thickness cuff tear",
            "MRI with disc prolapse at the lumbosacral level",
        ),
        plans=(
            "manipulated under block, cast for six weeks",
            "listed for hip replacement",
            "arthroscopy offered",
            "physiotherapy and weight bearing as tolerated",
            "fixed with a plate, check film tomorrow",
            "injection of the joint with steroid",
        ),
        minor=(
            "an old hip replacement",
            "worn knees",
            "a healed fracture of the wrist",
            "chronic back pain",
        ),
    ),
    "gastroenterology": Specialty(
        complaints=(
            "burning behind the breastbone after meals",
            "bloody diarrhoea six times a day",
            "black tarry stools since yesterday",
            "food sticking halfway down",
            "yellow eyes and dark urine",
            "cramping right-sided belly pain with weight loss",
        ),
        findings=(
            "epigastric tenderness without guarding",
            "jaundiced with spider naevi",
            "shifting dullness in the flanks",
            "a liver edge two fingers below the margin",
            "a tender mass in the right iliac fossa",
            "perianal skin tags",
        ),
        tests=(
            "gastroscopy found a duodenal ulcer with a clean base",
            "colonoscopy with continuous inflammation to the splenic flexure",
            "bilirubin {rate} and a raised alkaline phosphatase",
            "faecal calprotectin well above the range",
            "ultrasound with stones in a dilated bile duct",
        ),
        plans=(
            "omeprazole twice daily and eradication of Helicobacter",
            "mesalazine and a tapering course of prednisolone",
            "ERCP on the next list",
            "spironolactone and a low salt diet",
            "transfused two units, repeat endoscopy",
            "biopsies sent, infliximab considered",
        ),
        minor=(
            "long-standing reflux",
            "a removed gallbladder",
            "coeliac disease on diet",
            "diverticular disease",
        ),
    ),
    "respiratory": Specialty(
        complaints=(
            "a productive cough with rusty sputum and fever",
            "wheeze and nocturnal cough since the pollen season",
            "breathlessness worsening over months with a dry cough",
            "coughing up streaks of blood",
            "sharp pain on breathing in after a long flight",
            "loud snoring and sleepiness at the wheel",
        ),
        findings=(
            "bronchial breathing at the right base",
            "widespread expiratory wheeze",
            "fine late inspiratory crackles and clubbing",
            "stony dull percussion on the left",
            "saturation {percent} percent on air",
            "hyperinflated chest, pursed lips",
        ),
        tests=(
            "chest film with right lower lobe consolidation",
            "spirometry obstructive with reversibility",
            "high resolution CT with honeycombing",
            "CT pulmonary angiogram with a segmental embolus",
            "sleep study with {rate} events per hour",
        ),
        plans=(
            "amoxicillin and clarithromycin, repeat film in six weeks",
            "inhaled beclometasone with a spacer",
            "pulmonary rehabilitation and long acting bronchodilators",
            "chest drain and fluid for cytology",
            "CPAP set up overnight",
            "home oxygen assessed",
        ),
        minor=(
            "asthma since childhood",
            "COPD on inhalers",
            "pneumonia last winter",
            "sleep apnoea with a mask",
        ),
    ),
}

# (complaint, specialties in which it is equally likely): what one note cannot decide alone.
SHARED_COMPLAINTS = (
    ("chest pain at rest", ("cardiology", "gastroenterology", "respiratory")),
    ("breathlessness on exertion", ("cardiology", "respiratory")),
    ("dizziness on standing", ("cardiology", "neurology")),
    ("leg pain on walking", ("orthopaedics", "neurology", "cardiology")),
    ("neck pain with tingling fingers", ("orthopaedics", "neurology")),
    ("nausea and general malaise", ("gastroenterology", "neurology", "respiratory")),
    ("a fall at home without recollection", ("neurology", "cardiology", "orthopaedics")),
    ("fatigue and loss of appetite", ("gastroenterology", "respiratory", "cardiology")),
    ("swelling of one calf", ("orthopaedics", "cardiology", "respiratory")),
)

OPENINGS = (
    "[DATE] [HOSPITAL] clinic letter.",
    "[DATE] Ward round, Dr [NAME].",
    "Seen with [NAME] on [DATE].",
    "Admission note [DATE], record [ID].",
    "Emergency department, [DATE], [LOCATION].",
    "Telephone review [DATE].",
    "Discharge summary, [HOSPITAL], [DATE].",
)
PATIENTS = (
    "A patient in the {decade} presents with {complaint}",
    "[NAME], [AGE], reports {complaint}",
    "[AGE] year old referred by Dr [NAME] because of {complaint}",
    "This patient from [LOCATION] came with {complaint}",
    "Known to us; now {complaint}",
)
DURATIONS = (
    "since this morning",
    "for {count} days",
    "for about {count} weeks",
    "on and off for {count} months",
    "after a holiday",
    "getting worse",
    "since [DATE]",
)
DECADES = ("thirties", "forties", "fifties", "sixties", "seventies", "eighties")
NEUTRAL = (
    "Non-smoker, lives with a partner in [LOCATION].",
    "Alcohol within limits.",
    "No known allergies.",
    "Medication list reviewed with [NAME].",
    "Afebrile and comfortable.",
    "Works as a [PROFESSION].",
    "Bloods sent.",
    "Family history unremarkable.",
    "Observations stable overnight.",
    "Information leaflet given.",
    "Plan explained and agreed.",
    "Copy to the general practitioner at [LOCATION].",
)
CLOSINGS = (
    "Review in {count} weeks. [NAME]",
    "Call [PHONE] if worse.",
    "Follow-up [DATE].",
    "Signed [NAME], [ID].",
    "To be discussed with the consultant.",
)
