import pytest

from quorum.ballot import find_heaviest
from quorum.files.answers import ballots_from_answers, read_answers
from tests.support.kernel_folder import TRAIN, run, vote_settings, write_run

SETTINGS = 'run = "r"\nquestions = ["test.csv"]\ntrain = "train.csv"\nsample = "sample.csv"\nout = "out"\n'


def test_infer_answers_every_question_and_fills_the_unread_from_the_prior(folder):
    done = run(folder, "infer", SETTINGS + 'prompt.style = "bare"\n[backend]\nname = "encoder"\n')
    assert done.returncode == 0, done.stderr
    assert (folder / "out" / "submission.csv").read_text() == "id,answer\nq3,A\nq1,B\nq2,A\n"
    ballots = ballots_from_answers(read_answers(folder / "out" / "test.parquet"))
    assert set(ballots) == {"q1", "q2", "q3"}
    assert ballots["q2"] == {}


def test_a_legal_submission_lies_there_before_a_model_that_can_not_load(folder):
    done = run(folder, "infer", SETTINGS + '[backend]\nname = "encoder"\nmodel = "./none"\n')
    assert done.returncode == 2
    assert "cannot be loaded" in done.stderr
    assert "Traceback" not in done.stderr
    assert (folder / "out" / "submission.csv").read_text() == "id,answer\nq3,A\nq1,A\nq2,A\n"


def test_several_question_files_are_answered_in_one_run_and_the_first_is_submitted(folder):
    (folder / "more.csv").write_text(TRAIN.replace("Which is item", "Name item"))
    questions = 'questions=["test.csv", "more.csv"]'
    done = run(folder, "infer", SETTINGS + '[backend]\nname = "fake"\naccuracy = 1.0\n', questions)
    assert done.returncode == 0, done.stderr
    answers = ballots_from_answers(read_answers(folder / "out" / "more.parquet"))
    assert [find_heaviest(ballot) for ballot in answers.values()] == list("AABAABAAB")
    assert (folder / "out" / "submission.csv").read_text().splitlines()[0] == "id,answer"


def test_a_setting_that_is_not_there_is_refused(folder):
    done = run(folder, "infer", SETTINGS + '[backend]\nname = "fake"\n', "bach=3")
    assert done.returncode == 2
    assert "unknown setting 'bach'; allowed are run, questions, out" in done.stderr


def test_the_kernel_tells_how_many_questions_the_deadline_left_unread_and_its_submission_is_whole(folder):
    done = run(folder, "infer", SETTINGS + 'limits.deadline = 0\n[backend]\nname = "fake"\n')
    assert done.returncode == 0, done.stderr
    assert "test: 3 of 3 questions are unread" in done.stderr
    assert "deadline of 0 minutes: 3 questions were not asked" in done.stderr
    assert (folder / "out" / "submission.csv").read_text() == "id,answer\nq3,A\nq1,A\nq2,A\n"


def test_with_minutes_enough_the_kernel_asks_all_that_it_asks_without_a_deadline(folder):
    settings = SETTINGS + '[backend]\nname = "fake"\n'
    for overrides in ((), ("limits.deadline=60", "out=out60")):
        assert run(folder, "infer", settings, *overrides).returncode == 0
    assert (folder / "out" / "test.parquet").read_bytes() == (folder / "out60" / "test.parquet").read_bytes()


def test_the_kernel_tells_of_a_broken_journal_and_goes_on(folder):
    (folder / "j.sqlite").write_text("no database at all\n" * 100)
    settings = SETTINGS + 'limits.journal = "j.sqlite"\n[backend]\nname = "fake"\n'
    for told in (True, False):
        done = run(folder, "infer", settings)
        assert done.returncode == 0, done.stderr
        assert ("warning: j.sqlite is broken; it was moved to j.sqlite.broken" in done.stderr) == told
    assert len((folder / "out" / "submission.csv").read_text().splitlines()) == 4


def test_one_run_is_a_vote_of_one(folder):
    write_run(folder, "a", [("q1", "B", 0.9), ("q1", "A", 0.1), ("q2", None, 0.0), ("q3", "A", 1.0)])
    done = run(folder, "vote", vote_settings("a.parquet"))
    assert done.returncode == 0, done.stderr
    assert (folder / "voted" / "submission.csv").read_text() == "id,answer\nq3,A\nq1,B\nq2,A\n"
    assert "v: 1 run over 3 questions: voted/test.parquet" in done.stderr


@pytest.mark.parametrize(
    ("files", "override", "message"),
    [((), "run=v", "runs is empty"), (("a.parquet",), "gold=train.csv", "labelled and gold go together")],
)
def test_a_vote_of_nothing_and_one_over_half_of_what_it_needs_are_refused(folder, files, override, message):
    done = run(folder, "vote", vote_settings(*files), override)
    assert (done.returncode, done.stderr.count("\n")) == (2, 1), done.stderr
    assert message in done.stderr


def test_the_surer_run_wins_the_mean_and_loses_the_majority(folder):
    for name, weight in (("a", 0.95), ("b", 0.4), ("c", 0.4)):
        rest = [("q2", None, 0.0), ("q3", "A", 1.0)]
        write_run(folder, name, [("q1", "A", weight), ("q1", "B", 1 - weight), *rest])
    runs = ("a.parquet", "b.parquet", "c.parquet")
    for method, answer in (("mean", "A"), ("majority", "B")):
        assert run(folder, "vote", vote_settings(*runs), f"method={method}").returncode == 0
        assert f"q1,{answer}" in (folder / "voted" / "submission.csv").read_text()
