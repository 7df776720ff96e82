"""Runs, submissions and right answers are read by one reader, whichever verb asks for them."""

import json

import pytest

import quorum
from quorum.ballot import find_heaviest
from quorum.errors import BadInput
from quorum.files.answers import ballots_from_answers, make_answers, write_answers
from quorum.files.runs import ReadingOptions, read_ballots, read_runs, read_runs_and_solution
from quorum.files.solution import read_solution
from tests.support.verb import run_verb

RIGHT = "ABCDABCDABCD"
OPTIONS = ("moor", "vale", "reef", "dune")


def write(path, text):
    path.write_text(text, encoding="utf-8")
    return path


def run_text(cells, header="id,answer"):
    return f"{header}\n" + "".join(f"q{n},{cell}\n" for n, cell in enumerate(cells))


def one_hot(label, right="1", wrong="0"):
    return ",".join(right if label == each else wrong for each in "ABCD")


def shuffled(label):
    return OPTIONS["ABCD".index(label)]


# Runs that answer every question rightly, and that answer A everywhere.
FORMS = {
    "letters": (run_text, lambda label: label),
    "lower case": (run_text, str.lower),
    "brackets": (run_text, lambda label: f"({label})"),
    "dots": (run_text, lambda label: f"{label}."),
    "words before": (run_text, lambda label: f"Option {label}"),
    "indices from 0": (run_text, lambda label: str("ABCD".index(label))),
    "indices from 1": (run_text, lambda label: str("ABCD".index(label) + 1)),
    "floats": (run_text, lambda label: f"{'ABCD'.index(label)}.0"),
    "ranked": (run_text, lambda label: " ".join(sorted("ABC" if label in "ABC" else "DAB", key=lambda x: x != label))),
    "ranked, commas": (run_text, lambda label: f'"{label},{"B" if label == "A" else "A"}"'),
    "ranked columns": (
        lambda cells: run_text(cells, "id,pred_1,pred_2"),
        lambda label: f"{label},{'B' if label == 'A' else 'A'}",
    ),
    "probabilities": (lambda cells: run_text(cells, "id,A,B,C,D"), lambda label: one_hot(label, "0.7", "0.1")),
    "endings": (
        lambda cells: run_text(cells, "id,ending0,ending1,ending2,ending3"),
        lambda label: one_hot(label, "0.7", "0.1"),
    ),
    "numbered classes": (lambda cells: run_text(cells, "id,0,1,2,3"), lambda label: one_hot(label, "0.97", "0.01")),
    "one-hot": (lambda cells: run_text(cells, "id,A,B,C,D"), one_hot),
    "a data frame's index": (
        lambda cells: ",id,answer\n" + "".join(f"{n},q{n},{cell}\n" for n, cell in enumerate(cells)),
        lambda label: label,
    ),
    "a confidence": (lambda cells: run_text(cells, "id,confidence,answer"), lambda label: f"0.4,{label}"),
    "a reason": (lambda cells: run_text(cells, "id,answer,reason"), lambda label: f"{label},it is the only one"),
    "the model's name": (lambda cells: run_text(cells, "id,model,prediction"), lambda label: f"B,{label}"),
}
SOLUTIONS = {
    "letters": run_text(RIGHT),
    "lower case": run_text(RIGHT.lower()),
    "brackets": run_text([f"({label})" for label in RIGHT]),
    "indices from 0": run_text([str("ABCD".index(label)) for label in RIGHT], "id,label"),
    "Usage": run_text(
        [f"{label},{'Public' if n % 2 else 'Private'}" for n, label in enumerate(RIGHT)], "id,answer,Usage"
    ),
    "questions": "id,question,A,B,C,D,answer\n"
    + "".join(f"q{n},What is asked in question number {n}?,{','.join(OPTIONS)},{x}\n" for n, x in enumerate(RIGHT)),
    "questions, indices": "id,question,A,B,C,D,answer\n"
    + "".join(
        f"q{n},What is asked in question number {n}?,{','.join(OPTIONS)},{'ABCD'.index(x) + 1}\n"
        for n, x in enumerate(RIGHT)
    ),
}


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("solution", SOLUTIONS)
def test_a_run_is_scored_alike_in_every_form_against_every_solution(tmp_path, form, solution):
    make, write_cell = FORMS[form]
    path = write(tmp_path / "run.csv", make([write_cell(label) for label in RIGHT]))
    gold = read_solution(write(tmp_path / "gold.csv", SOLUTIONS[solution]))
    if (form, solution) == ("indices from 1", "indices from 0"):  # neither says where A is
        with pytest.raises(BadInput, match="one counts from 0, the other from 1"):
            read_ballots(path, gold)
        return
    ballots, rows = read_ballots(path, gold)
    assert [find_heaviest(ballots[row.id]) for row in rows] == [row.answer for row in rows]
    assert len(rows) == len(RIGHT)


@pytest.mark.parametrize("form", FORMS)
def test_scores_of_every_form_are_1_of_the_right_run_and_a_quarter_of_a_constant_one(tmp_path, form):
    make, write_cell = FORMS[form]
    gold = write(tmp_path / "gold.csv", SOLUTIONS["letters"])
    right = write(tmp_path / "right.csv", make([write_cell(label) for label in RIGHT]))
    assert quorum.score(right, gold).overall.value == 1
    if "indices" not in form and form != "floats":  # 0 or 1 alone does not show its base
        constant = write(tmp_path / "constant.csv", make([write_cell("A")] * len(RIGHT)))
        assert quorum.score(constant, gold).overall.value == 0.25


def test_option_texts_are_read_with_a_question_file(tmp_path):
    questions = write(tmp_path / "questions.csv", SOLUTIONS["questions"])
    run = write(tmp_path / "run.csv", run_text([shuffled(label).upper() for label in RIGHT]))
    assert quorum.score(run, questions).overall.value == 1
    gold = write(tmp_path / "gold.csv", SOLUTIONS["letters"])
    assert quorum.score(run, gold, questions=questions).overall.value == 1
    with pytest.raises(BadInput, match="none of its answers is ever given"):
        quorum.score(run, gold)


@pytest.mark.parametrize(
    ("run", "solution"),
    [
        (["18.0", "1,200", "0.5"], ["18", "1200", "0.50"]),
        (["18", "1200", ".5"], ["18.0", "1,200", "1/2"]),
        (["$18", "1200.00", "0.5"], ["18", "1200", "0.5"]),
        (["0.25", "0.5", "1"], ["0.25", "0.5", "1"]),  # no probabilities: the right answers are numbers
        (["Paris", "ROME", "bonn"], ["paris", "Rome", "Bonn"]),
        (["True", "False", "True"], ["yes", "no", "yes"]),
        (["1", "0", "1"], ["True", "False", "True"]),
        (["yes", "no", "yes"], ["1", "0", "1"]),
        (["correct", "incorrect", "correct"], ["yes", "no", "yes"]),
        (["0.9", "0.2", "0.7"], ["1", "0", "1"]),  # the probability of yes
        (["0.9", "0.2", "0.7"], ["True", "False", "True"]),
    ],
)
def test_answers_that_mean_the_same_are_equal(tmp_path, run, solution):
    cells = [f'"{cell}"' for cell in run], [f'"{cell}"' for cell in solution]
    own, gold = (write(tmp_path / f"{n}.csv", run_text(each)) for n, each in enumerate(cells))
    assert quorum.score(own, gold).overall.value == 1


@pytest.mark.parametrize(
    ("run", "solution", "message"),
    [
        ("ABCD", ["moor", "vale", "reef", "dune"], "none of its answers is ever given"),
        (["yes", "no", "yes", "no"], "ABAB", "none of its answers is ever given"),
        (["0", "1", "2", "3"], ["1", "2", "3", "4"], "one counts from 0, the other from 1"),
        (["1", "2", "3", "2"], "ABCD", "--form index0 or --form index1"),
        (["0", "1", "2", "3"], ["104", "112", "44", "48"], "none of its answers is ever given"),
    ],
)
def test_labels_that_cannot_be_compared_are_refused_with_both(tmp_path, run, solution, message):
    own, gold = (write(tmp_path / f"{n}.csv", run_text(each)) for n, each in enumerate((run, solution)))
    with pytest.raises(BadInput, match=message):
        quorum.score(own, gold)


@pytest.mark.parametrize("cells", [["0"] * 4, ["10"] * 4, ["7", "300", "9", "12"]])
def test_numbers_that_are_all_wrong_score_0(tmp_path, cells):
    own, gold = (
        write(tmp_path / f"{n}.csv", run_text(each)) for n, each in enumerate((cells, ["104", "112", "44", "48"]))
    )
    assert quorum.score(own, gold).overall.value == 0


@pytest.mark.parametrize("ids", ["1 2 3 4", "q1 q2 q3 q4"])
def test_a_file_without_a_header_is_refused_and_loses_no_row(tmp_path, ids):
    headless = write(tmp_path / "run.csv", "".join(f"{id},A\n" for id in ids.split()))
    gold = write(tmp_path / "gold.csv", "id,answer\n" + "".join(f"{id},A\n" for id in ids.split()))
    for run, solution in ((headless, gold), (gold, headless)):
        with pytest.raises(BadInput, match=r"line 1: 'q?1' is an id; a header is expected"):
            quorum.score(run, solution)


@pytest.mark.parametrize("separator", [" ", ",", ", ", ";", "|", ">", " > ", "/"])
def test_a_ranking_may_have_any_separator(tmp_path, separator):
    cells = [f'"{separator.join(each)}"' for each in ("BAC", "BCA", "CAB", "DAB")]
    gold = write(tmp_path / "gold.csv", run_text("ABCD"))
    assert quorum.score(write(tmp_path / "run.csv", run_text(cells)), gold, "map@3").overall.value == 3.5 / 4


def test_numbers_as_column_names_are_a_header(tmp_path):
    run = write(tmp_path / "run.csv", "0,1\n0,A\n1,B\n")
    assert quorum.score(run, write(tmp_path / "gold.csv", "id,answer\n0,A\n1,B\n")).overall.value == 1


@pytest.mark.parametrize("cell", ["A,B", "A B", "['A', 'B']"])
def test_a_solution_with_two_answers_to_a_question_is_refused(tmp_path, cell):
    gold = write(tmp_path / "gold.csv", f'id,answer\nq0,A\nq1,"{cell}"\nq2,C\nq3,D\n')
    with pytest.raises(BadInput, match=r"row 2 \(q1\): .* has several answers; expected one"):
        quorum.score(write(tmp_path / "run.csv", run_text("ABCD")), gold)


def test_an_index_base_that_is_named_settles_it(tmp_path):
    own, gold = (write(tmp_path / f"{n}.csv", run_text(each)) for n, each in enumerate(("1232", "ABCB")))
    assert quorum.score(own, gold, form="index1").overall.value == 1
    gold = write(tmp_path / "0.csv", run_text("BCDC"))
    assert quorum.score(write(tmp_path / "own.csv", run_text("1232")), gold, form="index0").overall.value == 1


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("id,answer,label\nq0,A,B\nq1,B,A\n", "answer, label could each be the answer"),
        ("id,answer,second\nq0,A,B\nq1,B,A\n", "answer, second could each be the answer"),
        (
            "id,one,two\nq0,river in spate,high air\nq1,cold water,deep sea\n",
            "one, two could each be the answer",
        ),
    ],
)
def test_two_columns_that_fit_equally_are_asked_for(tmp_path, text, message):
    path = write(tmp_path / "run.csv", text)
    with pytest.raises(BadInput, match=message):
        read_runs([path])
    name = text.split(",")[2].split("\n")[0]
    assert read_ballots(path, options=ReadingOptions(column=name))[0]["q0"] == {text.split("\n")[1].split(",")[2]: 1.0}


def test_columns_that_hold_no_answers_are_reported(tmp_path):
    lines: list[str] = []
    path = write(tmp_path / "run.csv", ",id,answer,reason,confidence\n0,q0,A,a story,0.5\n1,q1,B,another,0.25\n")
    read_runs([path], ReadingOptions(report=lines.append))
    assert lines == [f"{path}: answer read as answers; not used: unnamed, reason, confidence"]


def test_a_repeated_label_takes_a_place_as_on_kaggle(tmp_path):
    run = write(tmp_path / "run.csv", "id,answer\na,B B A\nb,A A B\n")
    gold = write(tmp_path / "gold.csv", "id,answer\na,A\nb,B\n")
    assert quorum.score(run, gold, "map@3").overall.value == pytest.approx(1 / 3)
    other = write(tmp_path / "other.csv", "id,answer\na,A B C\nb,B A C\n")
    found = quorum.compare([run, other], gold, "map@3")
    assert {each.run: round(each.value, 4) for each in found.runs} == {"run": 0.3333, "other": 1.0}
    answers = read_runs([run])
    assert set(answers["label"]) == {"A", "B"}, "a vote does not see the places of repeated labels"


def test_a_vote_reads_ranked_runs_probabilities_and_answers_files_together(tmp_path):
    write_answers(make_answers("ours", {"q0": {"A": 0.6, "B": 0.4}, "q1": {"C": 1.0}}), tmp_path / "ours.parquet")
    friend = write(tmp_path / "friend.csv", "id,prediction\nq0,E A D\nq1,B C A\n")
    shares = write(tmp_path / "shares.csv", "id,A,B,C\nq0,0.9,0.05,0.05\nq1,0.1,0.1,0.8\n")
    frames = read_runs([tmp_path / "ours.parquet", friend, shares]).partition_by("run", maintain_order=True)
    ballots = {frame["run"][0]: ballots_from_answers(frame) for frame in frames}
    assert ballots["friend"]["q0"] == {"E": 1.0, "A": 1 / 2, "D": 1 / 3}
    vote = quorum.vote([tmp_path / "ours.parquet", friend, shares], tmp_path / "out.csv", method="mean")
    assert vote.answers_by_id() == {"q0": "A", "q1": "C"}


def test_labels_of_several_files_are_brought_together_before_a_vote(tmp_path):
    files = {"letters": "ABCD", "lower": "abcd", "indices": "1234", "brackets": ["(A)", "(B)", "(C)", "(D)"]}
    paths = [write(tmp_path / f"{name}.csv", run_text(cells)) for name, cells in files.items()]
    answers = read_runs(paths)
    assert answers.group_by("id").agg(n=answers["label"].n_unique()).height == 4
    assert all(set(part["label"]) == {"ABCD"[int(part["id"][0][1])]} for part in answers.partition_by("id"))


def test_a_vote_over_words_keeps_their_writing(tmp_path):
    paths = [
        write(tmp_path / f"{n}.csv", run_text(["True", "False", word])) for n, word in enumerate(("True", "False"))
    ]
    quorum.vote(paths, tmp_path / "out.csv")
    assert [line.split(",")[1] for line in (tmp_path / "out.csv").read_text().split()[1:3]] == ["True", "False"]


def test_our_own_heldout_questions_are_a_solution_in_every_verb(tmp_path):
    from quorum.data.read import write_questions
    from quorum.question import Question

    questions = [
        Question(id=f"q{n}", text=f"What is number {n}?", choices=OPTIONS, answer=x, subject="law" if n % 2 else "art")
        for n, x in enumerate(RIGHT)
    ]
    gold = tmp_path / "heldout.parquet"
    write_questions(questions, gold)
    one = write(tmp_path / "one.csv", run_text(RIGHT))
    two = write(tmp_path / "two.csv", run_text("A" * 11 + "B"))
    scores = quorum.score(one, gold)
    assert (scores.overall.value, [each.subject for each in scores.subjects]) == (1, ["art", "law"])
    assert quorum.compare([one, two], gold).runs[0].run == "one"
    best = quorum.vote([one, two], gold=gold).rule.best_member
    assert best is not None
    assert best.name == "one"
    bias = run_verb("letter-bias", one, "--gold", gold, "--json")
    assert bias.returncode == 0, bias.stderr


def test_the_solution_of_answers_and_of_questions_gives_the_same_comparison(tmp_path):
    paths = [write(tmp_path / f"{name}.csv", SOLUTIONS[name]) for name in ("letters", "questions")]
    runs = [write(tmp_path / "one.csv", run_text(RIGHT)), write(tmp_path / "two.csv", run_text("A" * 12))]
    assert quorum.compare(runs, paths[0]) == quorum.compare(runs, paths[1])


def test_the_verbs_report_what_they_set_aside_on_standard_error(tmp_path):
    run = write(tmp_path / "run.csv", ",id,answer\n0,q0,A\n1,q1,B\n")
    gold = write(tmp_path / "gold.csv", "id,answer\nq0,A\nq1,B\nq2,C\n")
    done = run_verb("score", run, gold, "--json")
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)["overall"]["unread"] == 1
    assert "not used: unnamed" in done.stderr
    assert "1 of 3 questions are not in the run" in done.stderr


def test_every_solution_can_be_named_by_its_column(tmp_path):
    path = write(tmp_path / "gold.csv", "id,first,second\nq0,A,B\n")
    rows = read_runs_and_solution([write(tmp_path / "r.csv", "id,x\nq0,B\n")], read_solution(path, "second"))[1]
    assert [row.answer for row in rows] == ["B"]


def test_a_folder_of_subject_files_is_a_solution(tmp_path):
    lines = {"law": "AB", "art": "CD"}
    for subject, answers in lines.items():
        rows = [
            f"What is asked of {subject} here under number {n}?,{','.join(OPTIONS)},{x}" for n, x in enumerate(answers)
        ]
        (tmp_path / "mmlu").mkdir(exist_ok=True)
        write(tmp_path / "mmlu" / f"{subject}_test.csv", "\n".join(rows) + "\n")
    gold = read_solution(tmp_path / "mmlu")
    run = write(tmp_path / "run.csv", "id,answer\n" + "".join(f"{row.id},{row.answer.lower()}\n" for row in gold.rows))
    scores = quorum.score(run, tmp_path / "mmlu")
    assert scores.overall.value == 1
    assert [each.subject for each in scores.subjects] == ["art", "law"]


def test_open_questions_are_a_solution_of_numbers(tmp_path):
    text = "id,question,answer\nq0,What is nine and nine here?,18\nq1,How long are twenty minutes in seconds?,1200\n"
    gold = write(tmp_path / "gold.csv", text)
    assert quorum.score(write(tmp_path / "run.csv", 'id,answer\nq0,18.0\nq1,"1,200"\n'), gold).overall.value == 1


def test_texts_that_answer_open_questions_are_no_questions(tmp_path):
    text = "id,answer,Usage\nq0,the river beside the old mill,Public\nq1,the hill behind the new church,Private\n"
    gold = write(tmp_path / "gold.csv", text)
    run = write(tmp_path / "run.csv", "id,answer\nq0,The river beside the old mill\nq1,the hill\n")
    assert quorum.score(run, gold).overall.value == 0.5


def test_a_test_file_with_an_answer_column_is_a_run_although_its_options_are_numbers(tmp_path):
    text = "id,question,A,B,answer\nq0,What is one and two?,3,4,A\nq1,What is two and two?,3,4,B\n"
    ballots, _ = read_ballots(write(tmp_path / "run.csv", text))
    assert ballots == {"q0": {"A": 1.0}, "q1": {"B": 1.0}}
