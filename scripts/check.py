"""Says what is wrong with a submission, before Kaggle does."""

import argparse
from pathlib import Path

from quorum.console import DONE, FOUND, print_json, run_program


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, epilog="exit code: 0 clean, 1 problems, 2 unreadable input")
    parser.add_argument("submission", type=Path, help="the CSV to check")
    parser.add_argument("sample", type=Path, help="the competition's sample submission: the law")
    parser.add_argument("--questions", type=Path, help="question file: answers must be labels of their own question")
    parser.add_argument("--form", help="how the sample writes an answer, where its cells do not tell")
    parser.add_argument("--json", action="store_true", help="one JSON document instead of text")
    given = parser.parse_args()

    from dataclasses import asdict

    from quorum.data.read import read_records
    from quorum.files.check import check_submission
    from quorum.files.submission import read_sample
    from quorum.question import letters

    sample = read_sample(given.sample, form=given.form)
    records = read_records(given.questions).records if given.questions else ()
    labels = {record.id: letters(len(record.choices)) for record in records}
    problems = check_submission(given.submission, sample, labels)
    if given.json:
        print_json({"submission": str(given.submission), "problems": [asdict(problem) for problem in problems]})
        return FOUND if problems else DONE
    for problem in problems:
        print(f"{problem.code}: {problem.message} ({problem.count})")
        for place in problem.places:
            row = "file" if place.row is None else f"row {place.row}"
            print(f"  {row}{'' if place.id is None else f' ({place.id})'}: {place.found}")
    rows = f"{len(sample.ids)} answers, form {sample.form}"
    print(f"{given.submission}: {f'{len(problems)} kinds of problems' if problems else f'clean ({rows})'}")
    return FOUND if problems else DONE


if __name__ == "__main__":
    run_program(main)
