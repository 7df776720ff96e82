"""The wording that gives the model a role, answer and verdict, as the settings of a member."""

from collections.abc import Mapping

# The form of the two prompts of a published CodeMMLU entry (docs/forerunners/codemmlu.md), in our own words. Each has
# a golden file in tests/golden.
ROLE_ANSWER: Mapping[str, str] = {
    "prompt.template.instruction": (
        "You are an experienced programmer who takes a multiple-choice test about code.\n"
        "Study the question and its options, then pick the best one.\n\n"
        "### Format\n"
        "- Write only the letter of your choice ({labels}).\n"
        "- Do not explain it."
    ),
    "prompt.template.question": "{context}### Question\n{text}\n\n### Options\n{choices}\n### Reply\n",
}
ROLE_VERDICT: Mapping[str, str] = {
    "refine.verdict.instruction": (
        "You are an experienced programmer who checks a student's answer about code.\n"
        "Study the question, then decide whether the answer is right.\n\n"
        "### Format\n"
        "- Write only TRUE or FALSE.\n"
        "- Do not explain it."
    ),
    "refine.verdict.question": (
        "{context}### Question\n{text}\n\n### Options\n{choices}\n### Student's answer\n{proposed}\n\n### Reply\n"
    ),
}
