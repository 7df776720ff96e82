import pytest

from quorum.competition.folder import find_competition
from quorum.errors import BadInput


def folder(tmp_path, *names, description=None):
    for name in names:
        path = tmp_path / "my-competition" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text("id\n")
    if description is not None:
        (tmp_path / "my-competition" / "quorum.toml").write_text(description)
    return tmp_path / "my-competition"


def test_files_are_found_by_their_names(tmp_path):
    found = find_competition(
        folder(tmp_path, "b6_train_data.csv", "b6_test_data.csv", "sample_submission.csv", "x.txt")
    )
    assert found.name == "my-competition"
    assert [path and path.name for path in (found.train, found.test, found.sample)] == [
        "b6_train_data.csv",
        "b6_test_data.csv",
        "sample_submission.csv",
    ]
    assert (found.metric, found.form, found.solution) == (None, None, None)


def test_a_sample_submission_is_not_taken_for_the_test_file(tmp_path):
    found = find_competition(folder(tmp_path, "train.csv", "test.csv", "test_submission_sample.csv"))
    assert (found.test and found.test.name, found.sample and found.sample.name) == (
        "test.csv",
        "test_submission_sample.csv",
    )


def test_an_unlabelled_file_is_not_taken_for_the_labelled_one(tmp_path):
    found = find_competition(folder(tmp_path, "questions_labeled.csv", "questions_unlabeled.csv", "sample.csv"))
    assert (found.train.name, found.test.name) == ("questions_labeled.csv", "questions_unlabeled.csv")


def test_the_description_wins_over_names(tmp_path):
    text = 'name = "c"\ntrain = "old/a.jsonl"\nmetric = "map@3"\n[layout]\nid = "key"\n'
    found = find_competition(folder(tmp_path, "train1.csv", "train2.csv", "test.csv", "old/a.jsonl", description=text))
    assert (found.name, found.train.name, found.metric, found.layout.id) == ("c", "a.jsonl", "map@3", "key")
    assert found.sample is None


@pytest.mark.parametrize(
    ("names", "description", "message"),
    [
        (["train.csv"], None, "no file with 'test' in its name among train.csv; set test = 'FILE' in quorum.toml"),
        (["train1.csv", "train2.csv", "test.csv"], None, "train1.csv, train2.csv could each be the train file"),
        (["train.csv", "test.csv"], 'test = "nope.csv"', "file 'nope.csv' does not exist"),
        (["train.csv", "test.csv"], 'metric = "f2"', "quorum.toml: metric 'f2' is not among accuracy, map@K"),
        (["train.csv", "test.csv"], 'form = "index2"', "quorum.toml: form 'index2' is not among letter"),
        (["train.csv", "test.csv"], "[layout]\nanswr = 'x'", "unknown setting 'answr'; allowed are"),
    ],
)
def test_what_can_not_be_found_is_said_with_what_is_there(tmp_path, names, description, message):
    with pytest.raises(BadInput) as error:
        find_competition(folder(tmp_path, *names, description=description))
    assert message in str(error.value)


@pytest.mark.parametrize("name", ["../../x", "/tmp/x", "group/comp", ".hidden", "a\\u0000b"])
def test_a_name_that_is_no_plain_file_name_is_refused(tmp_path, name):
    described = folder(tmp_path, "train.csv", "test.csv", description=f'name = "{name}"\n')
    with pytest.raises(BadInput, match=r"quorum.toml: name .* expected is one plain file name"):
        find_competition(described)


@pytest.mark.parametrize("name", ["comp [1]", "ä 漢字 😀", "two  spaces", "*?"])
def test_a_folder_may_have_any_name_that_a_file_can_have(tmp_path, name):
    files = folder(tmp_path, "train.csv", "test.csv").rename(tmp_path / name)
    assert find_competition(files).name == name


def test_a_folder_whose_own_name_cannot_be_used_needs_a_name_in_its_description(tmp_path):
    files = folder(tmp_path, "train.csv", "test.csv").rename(tmp_path / ".hidden")
    with pytest.raises(BadInput, match=r"'.hidden' starts with a dot; .*; set a name in quorum.toml"):
        find_competition(files)
    (files / "quorum.toml").write_text('name = "shown"\n')
    assert find_competition(files).name == "shown"


def test_a_folder_that_is_not_there_is_refused(tmp_path):
    with pytest.raises(BadInput, match="no such folder"):
        find_competition(tmp_path / "none")


QUESTIONS = "id,question,A,B\n" + "".join(f"q{n},Which of these is number {n}?,one,two\n" for n in range(6))
SOLVED = "id,question,A,B,answer\n" + "".join(f"t{n},Which of those is number {n}?,one,two,A\n" for n in range(6))


@pytest.mark.parametrize(
    ("names", "roles"),
    [
        (["train.csv", "test.csv", "sample_submission.csv", "submission.csv"], "train test sample_submission -"),
        (["train.csv", "test.csv", "submission.csv"], "train test submission -"),
        (["train.csv", "test.csv", "sampleSubmission.csv"], "train test sampleSubmission -"),
        (["train.csv", "test.csv", "submission_format.csv", "my_submission.csv"], "train test submission_format -"),
        (["train.csv", "test_questions.csv", "sample_submission.csv"], "train test_questions sample_submission -"),
        (["train.csv", "eval.csv", "sample_submission.csv"], "train eval sample_submission -"),
        (["train.csv", "test.csv", "solution.csv"], "train test - solution"),
        (
            ["train.csv", "test.csv", "test_answers.csv", "sample_submission.csv"],
            "train test sample_submission test_answers",
        ),
        (["train.csv", "test.csv", "answer_key.csv"], "train test - answer_key"),
        (["train_questions.csv", "questions.csv"], "train_questions questions -  -"),
        (["학습.csv", "평가.csv", "sample_submission.csv"], "학습 평가 sample_submission -"),
    ],
)
def test_the_roles_of_files_are_found_by_their_names(tmp_path, names, roles):
    found = find_competition(folder(tmp_path, *names))
    files = (found.train, found.test, found.sample, found.solution)
    assert [path.stem if path else "-" for path in files] == roles.split()
    assert found.solution_is_named is False


def test_names_that_do_not_tell_leave_it_to_the_contents(tmp_path):
    files = folder(tmp_path, "a.csv", "b.csv", "sample_submission.csv")
    (files / "a.csv").write_text(QUESTIONS)
    (files / "b.csv").write_text(SOLVED)
    found = find_competition(files)
    assert (found.train.name, found.test.name) == ("b.csv", "a.csv")


def test_several_train_files_are_asked_for_with_a_hint(tmp_path):
    files = folder(tmp_path, "train.csv", "extra_train.csv", "test.csv")
    with pytest.raises(BadInput, match=r"name it in quorum.toml, as in train = 'extra_train.csv'"):
        find_competition(files)
    (files / "quorum.toml").write_text('train = "train.csv"\n')
    found = find_competition(files)
    assert found.train.name == "train.csv"
    assert [path.name for path in found.unused] == ["extra_train.csv"]


def test_a_form_is_set_in_the_description_or_by_the_caller(tmp_path):
    files = folder(tmp_path, "train.csv", "test.csv", description='form = "index1"\n')
    assert find_competition(files).form == "index1"
    assert find_competition(files, "letter").form == "letter"
