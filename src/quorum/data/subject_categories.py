"""The categories of the subjects of MMLU, KMMLU and VMLU: STEM, HUMSS (humanities and social sciences) and others.

Sources: categories.py of MMLU's repository (its humanities and social sciences are one category here), the groups of
KMMLU's paper (arXiv:2402.11548), and the table in the README of VMLU's repository.
"""

import re
from collections.abc import Iterable, Mapping

STEM, HUMSS, APPLIED, OTHER = "STEM", "HUMSS", "applied science", "other"

_MMLU = {
    STEM: "abstract_algebra astronomy college_biology college_chemistry college_computer_science college_mathematics"
    " college_physics computer_security conceptual_physics electrical_engineering elementary_mathematics"
    " high_school_biology high_school_chemistry high_school_computer_science high_school_mathematics"
    " high_school_physics high_school_statistics machine_learning",
    HUMSS: "econometrics formal_logic high_school_european_history high_school_geography"
    " high_school_government_and_politics high_school_macroeconomics high_school_microeconomics"
    " high_school_psychology high_school_us_history high_school_world_history human_sexuality international_law"
    " jurisprudence logical_fallacies moral_disputes moral_scenarios philosophy prehistory professional_law"
    " professional_psychology public_relations security_studies sociology us_foreign_policy world_religions",
    OTHER: "anatomy business_ethics clinical_knowledge college_medicine global_facts human_aging management marketing"
    " medical_genetics miscellaneous nutrition professional_accounting professional_medicine virology",
}
_KMMLU = {
    STEM: "biology chemical_engineering chemistry civil_engineering computer_science ecology electrical_engineering"
    " information_technology materials_engineering math mechanical_engineering",
    HUMSS: "accounting criminal_law economics education korean_history law management political_science_and_sociology"
    " psychology social_welfare taxation",
    APPLIED: "aviation_engineering_and_maintenance electronics_engineering energy_management environmental_science"
    " gas_technology_and_engineering geomatics industrial_engineer machine_design_and_manufacturing"
    " maritime_engineering nondestructive_testing railway_and_automotive_engineering"
    " telecommunications_and_wireless_technology",
    OTHER: "agricultural_sciences construction fashion food_processing health interior_architecture_and_design"
    " marketing patent public_safety real_estate refrigerating_machinery",
}
# In the order of the numbers with which VMLU's ids begin: "28-0021" is about macroeconomics.
_VMLU_NAMES = (
    "elementary_mathematics elementary_science middle_school_biology middle_school_chemistry middle_school_mathematics"
    " middle_school_physics high_school_biology high_school_chemistry high_school_mathematics high_school_physics"
    " applied_informatics computer_architecture computer_network discrete_mathematics electrical_engineering"
    " introduction_to_chemistry introduction_to_physics introduction_to_programming metrology_engineer"
    " operating_system statistics_and_probability"
    " middle_school_civil_education middle_school_geography high_school_civil_education high_school_geography"
    " business_administration ho_chi_minh_ideology macroeconomics microeconomics principles_of_marxism_and_leninism"
    " sociology"
    " elementary_history middle_school_history middle_school_literature high_school_history high_school_literature"
    " administrative_law business_law civil_law criminal_law economic_law education_law history_of_world_civilization"
    " ideological_and_moral_cultivation introduction_to_laws introduction_to_vietnam_culture logic"
    " revolutionary_policy_of_the_communist_party vietnamese_language_and_literature"
    " accountant clinical_pharmacology environmental_engineering internal_basic_medicine preschool_pedagogy"
    " tax_accountant tax_civil_servant civil_servant driving_license_certificate"
)
_VMLU_SUBJECTS = _VMLU_NAMES.split()
_VMLU = {STEM: _VMLU_SUBJECTS[:21], HUMSS: _VMLU_SUBJECTS[21:49], OTHER: _VMLU_SUBJECTS[49:]}
_VMLU_ID = re.compile(r"(\d\d)-\d{4}")

_TABLES: tuple[Mapping[str, str], ...] = tuple(
    {
        subject: category
        for category, names in table.items()
        for subject in (names.split() if isinstance(names, str) else names)
    }
    for table in (_MMLU, _KMMLU, _VMLU)
)


def categorise_subjects(subjects: Iterable[str]) -> dict[str, str]:
    """Return the category of each subject in the benchmark that has most of them; empty if it has less than half."""
    names = {subject: re.sub(r"[^a-z0-9]+", "_", subject.lower()).strip("_") for subject in subjects}
    table = max(_TABLES, key=lambda each: sum(name in each for name in names.values()))
    found = {subject: table[name] for subject, name in names.items() if name in table}
    return found if 2 * len(found) > len(names) else {}


def find_vmlu_subject(id: str) -> str | None:
    """Return the subject of a question of VMLU, whose number begins its id; None for any other id."""
    found = _VMLU_ID.fullmatch(id)
    return _VMLU_SUBJECTS[int(found[1]) - 1] if found and 1 <= int(found[1]) <= len(_VMLU_SUBJECTS) else None
