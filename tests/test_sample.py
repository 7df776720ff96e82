"""The sample competition: what its README promises, counted in its committed files."""

import ast
import csv
import re
import subprocess
import sys
from collections import Counter, defaultdict
from collections.abc import Callable
from itertools import combinations
from pathlib import Path
from random import Random

from sample import dirt
from sample.facts import make_world
from sample.files import FACT_SUBJECTS, make_sample_files
from sample.item import Item, compute_similarity, list_grams
from tests.support.paths import ROOT

SAMPLE = ROOT / "data" / "sample"
Table = list[dict[str, str]]


def table(name: str) -> Table:
    with (SAMPLE / name).open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


def choices(row: dict[str, str]) -> list[str]:
    return list(ast.literal_eval(row["choices"]))


def pairs_of_equal(rows: Table, key: Callable[[dict[str, str]], object]) -> list[list[dict[str, str]]]:
    by_key = defaultdict(list)
    for row in rows:
        by_key[key(row)].append(row)
    return [same for same in by_key.values() if len(same) > 1]


def test_the_script_makes_the_committed_bytes_again(tmp_path: Path) -> None:
    subprocess.run([sys.executable, "scripts/make_sample.py", str(tmp_path)], cwd=ROOT, check=True)
    made = {path.relative_to(tmp_path): path.read_bytes() for path in tmp_path.rglob("*") if path.is_file()}
    committed = {
        path.relative_to(SAMPLE): path.read_bytes()
        for path in SAMPLE.rglob("*")
        if path.is_file() and path.name != ".gitattributes"
    }
    assert made == committed


def test_another_seed_is_another_world() -> None:
    assert make_sample_files(1)["train.csv"] != make_sample_files(2)["train.csv"]


def test_all_of_it_stays_below_a_megabyte() -> None:
    assert sum(path.stat().st_size for path in SAMPLE.rglob("*") if path.is_file()) < 1_000_000


def test_the_sample_submission_and_the_solution_have_the_ids_of_test_and_the_former_in_another_order() -> None:
    ids = [row["id"] for row in table("test.csv")]
    sample = [row["id"] for row in table("sample_submission.csv")]
    solution = table("hidden/solution.csv")
    assert sample != ids
    assert sorted(sample) == sorted(ids) == sorted(row["id"] for row in solution)
    public = sum(row["Usage"] == "Public" for row in solution)
    assert abs(public / len(ids) - 0.3) < 0.01
    assert {row["Usage"] for row in solution} == {"Public", "Private"}


def test_test_has_no_answers_and_ids_are_unique_over_both_files() -> None:
    assert "answer" not in table("test.csv")[0]
    ids = [row["id"] for name in ("train.csv", "test.csv") for row in table(name)]
    assert len(ids) == len(set(ids))


def test_every_row_has_two_to_six_choices_but_two_of_test_that_have_none() -> None:
    assert {len(choices(row)) for row in table("train.csv")} == {2, 3, 4, 5, 6}
    counts = Counter(len(choices(row)) for row in table("test.csv"))
    assert counts[0] == dirt.NO_CHOICES_IN_TEST
    assert set(counts) == {0, 2, 3, 4, 5, 6}


def test_the_labels_are_as_dirty_as_promised() -> None:
    answers = [(row["answer"], len(choices(row))) for row in table("train.csv")]
    assert sum(answer.startswith("ANSWER: ") for answer, _ in answers) == dirt.PREFIXED_ANSWERS
    assert sum(answer == "" for answer, _ in answers) == dirt.MISSING_ANSWERS
    bare = [(answer.removeprefix("ANSWER: "), count) for answer, count in answers if answer]
    assert sum(answer not in "ABCDEF"[:count] for answer, count in bare) == dirt.OUT_OF_RANGE_ANSWERS


def test_equal_choices_and_crlf_cells_are_as_many_as_promised() -> None:
    for name in ("train", "test"):
        rows = table(f"{name}.csv")
        assert sum(len(set(choices(row))) < len(choices(row)) for row in rows) == dirt.EQUAL_CHOICES[name]
        assert sum("\r\n" in row["question"] for row in rows) == dirt.CRLF_CELLS[name]


def test_train_has_the_promised_duplicates_and_no_other() -> None:
    def same(row: dict[str, str]) -> tuple[str, tuple[str, ...], str]:
        return row["question"].removeprefix("Question: "), tuple(sorted(choices(row))), row["context"]

    pairs = pairs_of_equal(table("train.csv"), same)
    assert [len(pair) for pair in pairs] == [2] * len(pairs)
    near = [pair for pair in pairs if pair[0]["question"] != pair[1]["question"]]
    moved = [pair for pair in pairs if choices(pair[0]) != choices(pair[1])]
    assert len(pairs) == sum(
        (dirt.EXACT_DUPLICATES, dirt.REORDERED_DUPLICATES, dirt.NEAR_DUPLICATES, dirt.CONFLICTING_DUPLICATES)
    )
    assert (len(near), len(moved)) == (dirt.NEAR_DUPLICATES, dirt.REORDERED_DUPLICATES)


def test_train_has_the_promised_rows_of_test_with_their_true_answers() -> None:
    answers = {row["id"]: row["answer"] for row in table("hidden/solution.csv")}
    train = {(row["question"], tuple(sorted(choices(row)))): row for row in table("train.csv")}
    exact = moved = 0
    for row in table("test.csv"):
        twin = train.get((row["question"], tuple(sorted(choices(row)))))
        if twin is None:
            continue
        exact += choices(twin) == choices(row)
        moved += choices(twin) != choices(row)
        said = twin["answer"].removeprefix("ANSWER: ")
        assert choices(twin)["ABCDEF".index(said)] == choices(row)["ABCDEF".index(answers[row["id"]])]
    assert (exact, moved) == (dirt.EXACT_LEAKS, dirt.REORDERED_LEAKS)


def test_no_group_straddles_train_and_test() -> None:
    groups = [{row["group"] for row in table(name)} - {""} for name in ("train.csv", "test.csv")]
    assert all(groups)
    assert not groups[0] & groups[1]


def test_facts_are_asked_in_five_languages_within_one_group() -> None:
    groups = [same for same in pairs_of_equal(table("train.csv"), lambda row: row["group"]) if same[0]["group"]]
    facts = [same for same in groups if same[0]["subject"] in FACT_SUBJECTS]
    assert facts
    assert all(len({row["question"] for row in same}) == 5 for same in facts)
    assert all(len({frozenset(choices(row)) for row in same}) == 1 for same in facts)
    assert any(re.search("[가-힣]", row["question"]) for same in facts for row in same)


def test_the_code_rows_print_what_their_key_says() -> None:
    answers = {row["id"]: row["answer"] for row in table("hidden/solution.csv")}
    rows = [row for row in table("test.csv") if row["subject"] == "code" and len(set(choices(row))) > 1]
    for row in rows:
        program = row["question"].replace("\r\n", "\n").partition("\n")[2]
        assert "import" not in program
        ran = subprocess.run([sys.executable, "-Sc", program], capture_output=True, text=True, check=True)
        assert ran.stdout.rstrip("\n") == choices(row)["ABCDEF".index(answers[row["id"]])], row["id"]
    assert len(rows) > 40


def test_the_largest_number_is_the_key_of_a_numbers_row() -> None:
    answers = {row["id"]: row["answer"] for row in table("hidden/solution.csv")}
    rows = [row for row in table("test.csv") if row["subject"] == "numbers"]
    for row in rows:
        numbers = [int(choice) for choice in choices(row)]
        assert numbers["ABCD".index(answers[row["id"]])] == max(numbers)
    assert len(rows) == 80


def words(text: str) -> set[str]:
    return set(re.findall(r"\w+", text.casefold()))


def test_every_choice_of_a_fact_stands_in_equally_many_paragraphs_of_the_background() -> None:
    facts, paragraphs = make_world(Random(42))
    texts = [words(paragraph.text) for paragraph in paragraphs]
    for pool in {fact.pool for fact in facts}:
        counts = {value: sum(words(value) <= text for text in texts) for value in pool}
        assert len(set(counts.values())) == 1, counts


def test_the_paragraph_about_a_thing_names_the_value_that_a_fact_gives_it_and_no_other() -> None:
    facts, paragraphs = make_world(Random(42))
    texts = {paragraph.title: words(paragraph.text) for paragraph in paragraphs}
    for fact in facts:
        assert [value for value in fact.pool if words(value) <= texts[fact.thing]] == [fact.value]


def test_different_facts_are_not_near_duplicates() -> None:
    for name in ("train.csv", "test.csv"):
        for subject in FACT_SUBJECTS:
            rows = [row for row in table(name) if row["subject"] == subject and not row["group"] and choices(row)]
            once = {row["question"].removeprefix("Question: "): row for row in rows}
            seen = [
                list_grams(Item(subject=subject, text=text, choices=tuple(choices(row)), right=0))
                for text, row in once.items()
            ]
            assert max(compute_similarity(one, two) for one, two in combinations(seen, 2)) < 0.6


def test_letters_are_roughly_uniform() -> None:
    counts = Counter(row["answer"] for row in table("hidden/solution.csv"))
    assert all(0.17 < counts[letter] / sum(counts.values()) < 0.33 for letter in "ABCD")
