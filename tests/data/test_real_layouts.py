"""Real files as they are distributed: counts and checks of meaning that do not quote their text."""

import csv
import tarfile
from collections import Counter

import pytest

from quorum.data.read import read_questions, read_records
from quorum.data.repair import repair_table
from quorum.errors import BadInput
from tests.support.real import real_data


def sizes(found):
    return dict(sorted(Counter(len(q.choices) for q in found).items()))


def answers(found):
    return dict(sorted(Counter(q.answer for q in found).items()))


@pytest.mark.parametrize(
    ("name", "count", "of_size"),
    [
        ("arc/ARC-Challenge-Dev.jsonl", 299, {3: 3, 4: 295, 5: 1}),
        ("arc/ARC-Challenge-Test.jsonl", 1172, {3: 4, 4: 1165, 5: 3}),
        ("arc/arc_easy_official_test_with_para.jsonl", 2376, {3: 7, 4: 2365, 5: 4}),
        ("aqua/dev.json", 254, {5: 254}),
        ("aqua/test.json", 254, {5: 254}),
        ("boolq/dev.jsonl", 3270, {2: 3270}),
        ("medqa/phrases_no_exclude_test.jsonl", 1273, {4: 1273}),
        ("mmlu_pro_1k/questions.jsonl", 1000, {3: 3, 4: 44, 5: 4, 6: 13, 7: 13, 8: 29, 9: 59, 10: 835}),
        ("gsm8k/test.jsonl", 1319, {0: 1319}),
        ("gsm8k/train.jsonl", 7473, {0: 7473}),
    ],
)
def test_every_row_of_a_real_file_is_a_question(name, count, of_size):
    found = read_questions(real_data(name))
    assert (len(found), sizes(found)) == (count, of_size)
    assert all(question.answer for question in found)


def test_numbers_as_labels_in_arc_become_letters():
    found = read_records(real_data("arc/ARC-Challenge-Test.jsonl")).records
    numbered = [record for record in found if record.raw_answer in ("1", "2", "3", "4")]
    assert len(numbered) == 22
    assert all(record.answer == "ABCD"[int(record.raw_answer or "") - 1] for record in numbered)


def test_the_letters_before_aquas_choices_are_removed():
    found = read_questions(real_data("aqua/test.json"))
    assert not any(choice.startswith(f"{label})") for q in found for label, choice in zip(q.labels, q.choices))  # noqa: B905
    assert all(question.rationale for question in found)


def test_boolq_is_yes_or_no_about_a_passage():
    found = read_records(real_data("boolq/dev.jsonl")).records
    assert {(record.raw_answer, record.answer) for record in found} == {("true", "A"), ("false", "B")}
    assert sum(record.answer == "A" for record in found) == 2033  # 62.2 % yes, as its paper says
    assert all(record.context for record in found)


def test_medqas_answer_text_agrees_with_its_own_letter():
    import json

    path = real_data("medqa/phrases_no_exclude_test.jsonl")
    own = [json.loads(line)["answer_idx"] for line in path.read_text(encoding="utf-8").splitlines()]
    assert [question.answer for question in read_questions(path)] == own


def test_mmlu_pros_answer_letter_agrees_with_its_index():
    import json

    path = real_data("mmlu_pro_1k/questions.jsonl")
    rows = [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]
    found = read_questions(path)
    assert ["ABCDEFGHIJ".index(str(question.answer)) for question in found] == [row["answer_index"] for row in rows]
    assert [question.subject for question in found] == [row["category"] for row in rows]
    assert [question.id for question in found] == [str(row["question_id"]) for row in rows]


def test_gsm8ks_answer_is_its_number_and_its_rationale_the_solution():
    first, *rest = read_questions(real_data("gsm8k/test.jsonl"))
    assert first.answer == "18"
    assert all(
        str(question.answer).lstrip("-").isdigit() and "####" not in str(question.rationale) for question in rest
    )


@pytest.mark.parametrize(("split", "files", "rows"), [("dev", 57, 285), ("test", 57, None)])
def test_all_mmlu_files_are_read_without_a_header(split, files, rows):
    paths = sorted((real_data("mmlu_csv") / split).glob("*.csv"))
    found = {path: read_questions(path) for path in paths}
    assert len(found) == files
    with_csv = {path: sum(1 for _ in csv.reader(path.open(encoding="utf-8", newline=""))) for path in paths}
    assert {path: len(several) for path, several in found.items()} == with_csv
    assert rows is None or sum(with_csv.values()) == rows
    assert all(sizes(several) == {4: len(several)} for several in found.values())
    assert all(q.subject == path.stem.removesuffix(f"_{split}") and q.answer for path in found for q in found[path])


@pytest.mark.parametrize(("split", "count"), [("dev", 2672), ("train", 7959)])
def test_exams_has_subjects_and_several_languages(tmp_path, split, count):
    with tarfile.open(real_data(f"exams/{split}.jsonl.tar.gz")) as archive:
        archive.extractall(tmp_path, filter="data")
    found = repair_table(read_records(tmp_path / f"{split}.jsonl")).questions
    assert len(found) == count
    assert all(question.subject and question.answer for question in found)
    assert any("\u0400" <= letter <= "\u04ff" for question in found for letter in question.text)


def test_exams_train_file_has_two_rows_that_strict_reading_refuses(tmp_path):
    with tarfile.open(real_data("exams/train.jsonl.tar.gz")) as archive:
        archive.extractall(tmp_path, filter="data")
    with pytest.raises(
        BadInput, match=r"2 of 7961 rows .* the text is empty, .* answer '@' is not among A, B, C, D, E"
    ):
        read_questions(tmp_path / "train.jsonl")


@pytest.mark.parametrize("name", ["b6_train_data.csv", "b6_test_data.csv"])
def test_polars_keeps_the_line_ends_in_codemmlus_cells_as_the_csv_module_does(name):
    path = real_data("codemmlu_kaggle") / name
    with path.open(encoding="utf-8", newline="") as file:
        own = [row["question"] for row in csv.DictReader(file)]
    assert [record.text for record in read_records(path).records] == own
    assert any("\r\r\n" in text for text in own)


ARC = "columns: id=id question=question.stem choices=question.choices answer=answerKey; unused: none"
EXAMS = f"{ARC.partition(';')[0]} subject=info.subject; unused: none"
AQUA = "columns: question=question choices=options answer=correct rationale=rationale; unused: none"
GSM8K = "columns: question=question answer=answer; unused: none"
MMLU = "columns: question=column_1 choices=column_2,column_3,column_4,column_5 answer=column_6; unused: none"


@pytest.mark.parametrize(
    ("name", "rows", "usable", "roles"),
    [
        ("aqua/dev.json", 254, 254, AQUA),
        ("aqua/test.json", 254, 254, AQUA),
        ("arc/ARC-Challenge-Dev.jsonl", 299, 299, ARC),
        ("arc/ARC-Challenge-Test.jsonl", 1172, 1172, ARC),
        ("arc/arc_easy_official_test_with_para.jsonl", 2376, 2376, ARC),
        (
            "boolq/dev.jsonl",
            3270,
            3270,
            "columns: question=question passage=passage answer=answer choices of every question: yes/no answers as "
            "boolean; unused: title",
        ),
        (
            "codemmlu_kaggle/b6_train_data.csv",
            3963,
            3947,
            "columns: id=task_id question=question choices=choices answer=answer; unused: none",
        ),
        (
            "codemmlu_kaggle/b6_test_data.csv",
            1253,
            1253,
            "columns: id=task_id question=question choices=choices; unused: none",
        ),
        ("exams/dev.jsonl.tar.gz", 2672, 2672, EXAMS),
        ("exams/train.jsonl.tar.gz", 7961, 7959, EXAMS),
        ("gsm8k/test.jsonl", 1319, 1319, GSM8K),
        ("gsm8k/train.jsonl", 7473, 7473, GSM8K),
        (
            "medqa/phrases_no_exclude_test.jsonl",
            1273,
            1273,
            "columns: question=question choices=options answer=answer answers as text; unused: meta_info, answer_idx, "
            "metamap_phrases",
        ),
        ("mmlu_csv/dev", 285, 285, MMLU),
        ("mmlu_csv/test", 14042, 14042, MMLU),
        (
            "mmlu_pro_1k/questions.jsonl",
            1000,
            1000,
            "columns: id=question_id question=question choices=options answer=answer subject=category; unused: "
            "answer_index, src",
        ),
        (
            "safety/xstest/xstest_prompts.csv",
            450,
            450,
            "columns: id=id question=prompt answer=label choices of every question: safe/unsafe answers as text; "
            "unused: type, focus, note",
        ),
    ],
)
def test_the_roles_of_a_real_files_columns_are_found(name, rows, usable, roles):
    table = read_records(real_data(name))
    assert (len(table.records), table.roles) == (rows, roles)
    assert len(repair_table(table).questions) == usable


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("codemmlu_kaggle/sample_submission.csv", "no question column among 'task_id', 'answer'"),
        ("safety/xstest/labels_5models.csv", "no question column among"),
        ("safety/ailuminate_demo/filtered_spc_ipv_en_us.csv", "no choices among the columns"),
        ("safety/ailuminate_demo/metadata_only_fr_fr.csv", "no question column among"),
        ("llama13b_option_probs/llm_probs_gpt.zip", "the archive has 32 tables"),
    ],
)
def test_a_real_file_without_questions_is_refused(name, message):
    with pytest.raises(BadInput, match=message):
        read_records(real_data(name))
