import json
import random
import re
from dataclasses import replace

import pytest

from quorum.competition.folder import find_competition
from quorum.competition.prepare import prepare_competition
from quorum.competition.record import accept_entries, record_run
from quorum.competition.run import find_kernel_toml, run_prior
from quorum.competition.workspace import Workspace
from quorum.disk import fingerprint
from quorum.evaluation.ledger import read_ledger
from tests.support.real import real_data
from tests.support.tiny import tiny_model
from tests.support.verb import run_verb

NEIGHBOUR = ("--member", find_kernel_toml("neighbour"))
THINGS = {"fruit": ["apple", "pear", "plum", "fig"], "tool": ["hammer", "saw", "drill", "file"]}


def submit(folder, cwd, *more):
    return run_verb("submit", folder, *more, cwd=cwd)


def competition(folder, rows=60):
    """A small competition whose questions a sentence encoder can answer; half a dozen are dirty."""
    draw, lines = random.Random(1), []
    names = [f"{colour} {place}" for colour in ("red", "blue", "old", "new", "big") for place in range(20)]
    for number, name in zip(range(rows), names, strict=False):
        kind, other = draw.sample(sorted(THINGS), 2)
        right, wrong = draw.choice(THINGS[kind]), draw.choice(THINGS[other])
        choices = [right, wrong] if draw.random() < 0.6 else [wrong, right]
        answer = "AB"[choices.index(right)]
        lines.append((f"k{number:03}", f"In {name} house: which is a {kind}?", choices, answer))
    folder.mkdir()
    train = [f'{id},"{text}","{choices}",{answer}' for id, text, choices, answer in lines[:-20]]
    train[0] = train[0].rpartition(",")[0] + ",ANSWER: " + lines[0][3]
    train[1] = train[1].rpartition(",")[0] + ","
    test = [f'{id},"{text}","{choices}"' for id, text, choices, _ in lines[-20:]]
    (folder / "train.csv").write_text("id,question,choices,answer\n" + "\n".join(train) + "\n")
    (folder / "test.csv").write_text("id,question,choices\n" + "\n".join(test) + "\n")
    ids = [id for id, *_ in lines[-20:]][::-1]
    (folder / "sample_submission.csv").write_text("id,answer\n" + "".join(f"{id},A\n" for id in ids))
    return ids


@pytest.mark.slow
def test_a_folder_becomes_checked_scored_submissions_and_a_leaderboard(tmp_path):
    ids = competition(tmp_path / "toys")
    done = submit(tmp_path / "toys", tmp_path)
    assert done.returncode == 0, done.stderr
    for name in ("prior", "encoder", "neighbour", "encoder-tuned", "vote"):
        lines = (tmp_path / "submissions" / f"toys-{name}.csv").read_text().splitlines()
        assert [line.split(",")[0] for line in lines] == ["id", *ids]
        assert name in done.stdout
    entries = [json.loads(line) for line in (tmp_path / "submissions" / "ledger.jsonl").read_text().splitlines()]
    by_name = {entry["name"]: entry for entry in entries}
    assert by_name["vote"]["members"] == ["encoder", "neighbour", "encoder-tuned"]
    assert by_name["encoder"]["held_out"]["value"] > by_name["prior"]["held_out"]["value"]
    assert len({entry["split"] for entry in entries}) == 1
    assert "train.csv: 40 rows, 39 usable, 1 labels repaired, 1 dropped; details: quorum doctor" in done.stderr
    assert "checked against the sample submission: 5 files, 0 problems" in done.stderr
    assert re.search(r"^encoder: \d+ answers in \d+ s$", done.stderr, re.MULTILINE)
    assert "\nfine-tuned " in done.stdout
    assert re.search(r"not tried: calibrated, wordings, shuffled \(the model sees no letters", done.stdout)
    assert done.stdout.splitlines()[-1].startswith("next: quorum report ")
    tables = re.findall(r"^(?:\d≈? .*±.*|base .*|fine-tuned .* to .*)$", done.stdout, re.MULTILINE)
    assert len(tables) == 7  # five runs, and two rungs of the ladder
    assert max(map(len, tables)) <= 80
    card = (tmp_path / "runs" / "toys" / "train-encoder" / "model" / "README.md").read_text()
    assert entries[0]["split"] in card


@pytest.mark.slow
def test_no_held_out_answer_is_in_a_file_that_a_member_reads(tmp_path):
    competition(tmp_path / "toys")
    done = submit(tmp_path / "toys", tmp_path, *NEIGHBOUR, "--json")
    assert done.returncode == 0, done.stderr
    from quorum.data.read import read_questions

    folder = tmp_path / "data" / "split" / "toys"
    held, learnt = (read_questions(folder / f"{name}.parquet") for name in ("heldout", "train"))
    assert held
    assert all(question.answer is None for question in held)
    assert not {question.id for question in held} & {question.id for question in learnt}
    assert [entry["name"] for entry in json.loads(done.stdout)] == ["prior", "neighbour"]


def test_a_submission_that_the_competition_would_not_take_gets_no_line_in_the_ledger(tmp_path):
    competition(tmp_path / "toys")
    workspace = Workspace(tmp_path)
    told: list[str] = []
    prepared = prepare_competition(find_competition(tmp_path / "toys"), workspace)
    good = record_run(prepared, run_prior(prepared))
    short = workspace.submissions / "short.csv"
    short.write_text("id,answer\nk040,A\n")
    wrong = replace(good, name="short", submission=short.name, sha256=fingerprint(short))
    assert accept_entries(prepared, [wrong, good], told.append) == [good]
    assert read_ledger(workspace.ledger) == [good]
    assert told[0].startswith("short.csv: ids of the sample submission are missing")
    assert told[1] == "checked against the sample submission: 2 files, 1 problems"


def test_a_member_that_is_not_there_is_told_before_another_is_asked(tmp_path):
    competition(tmp_path / "toys")
    done = submit(tmp_path / "toys", tmp_path, *NEIGHBOUR, "--member", "nope.toml")
    assert (done.returncode, done.stderr) == (2, "error: nope.toml: No such file or directory\n")


def test_two_members_that_would_share_a_name_are_refused_before_one_is_asked(tmp_path):
    competition(tmp_path / "toys")
    for name in ("a.toml", "b.toml", "gold.toml", "more/a.toml"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        text = find_kernel_toml("neighbour").read_text()
        (tmp_path / name).write_text(text.replace('run = "neighbour"', 'run = "other"') if "more" in name else text)
    for members, told in (
        (("a.toml", "b.toml"), "a.toml and b.toml have the same run name 'neighbour'"),
        (("a.toml", "more/a.toml"), "a.toml and more/a.toml have the same name 'a'"),
        (("gold.toml",), "gold.toml: the name 'gold' is reserved for one of Quorum's own folders"),
    ):
        done = submit(tmp_path / "toys", tmp_path, *(word for name in members for word in ("--member", name)))
        assert (done.returncode, done.stderr.count("\n")) == (2, 1)
        assert told in done.stderr
        assert not (tmp_path / "runs").exists()


def test_a_name_in_quorum_toml_never_deletes_or_writes_outside_the_workspace(tmp_path):
    competition(tmp_path / "toys")
    victim = tmp_path / "victim" / "train-encoder"
    victim.mkdir(parents=True)
    (victim / "mine.txt").write_text("precious")
    (tmp_path / "work").mkdir()
    before = sorted(path for path in tmp_path.rglob("*") if "toys" not in path.parts)
    for name in (str(tmp_path / "victim"), "../victim", "../../victim"):
        (tmp_path / "toys" / "quorum.toml").write_text(f'name = "{name}"\n')
        done = submit(tmp_path / "toys", tmp_path / "work", "--member", find_kernel_toml("encoder-tuned"))
        assert (done.returncode, done.stderr.count("\n")) == (2, 1)
        assert "contains a path separator" in done.stderr
    assert sorted(path for path in tmp_path.rglob("*") if "toys" not in path.parts) == before


def test_a_folder_of_the_users_own_is_not_removed_for_a_training(tmp_path):
    competition(tmp_path / "toys")
    mine = tmp_path / "runs" / "toys" / "train-encoder"
    mine.mkdir(parents=True)
    (mine / "mine.txt").write_text("precious")
    done = submit(tmp_path / "toys", tmp_path, "--member", find_kernel_toml("encoder-tuned"))
    assert done.returncode == 2
    assert "runs/toys/train-encoder: this folder was not created by Quorum" in done.stderr
    assert [path.name for path in mine.iterdir()] == ["mine.txt"]


@pytest.mark.parametrize("name", ["comp [1]", "ä 漢字 😀"])
def test_a_competition_may_be_named_by_its_folder_whatever_that_is_called(tmp_path, name):
    competition(tmp_path / name)
    done = submit(tmp_path / name, tmp_path, *NEIGHBOUR, "--json")
    assert done.returncode == 0, done.stderr
    assert (tmp_path / "submissions" / f"{name}-neighbour.csv").exists()


def test_a_folder_without_a_test_file_is_refused(tmp_path):
    competition(tmp_path / "toys")
    (tmp_path / "toys" / "test.csv").unlink()
    done = submit(tmp_path / "toys", tmp_path)
    assert done.returncode == 2
    assert "no file with 'test' in its name among sample_submission.csv, train.csv" in done.stderr
    assert "Traceback" not in done.stderr


@pytest.mark.slow
def test_the_real_competition_goes_through_untouched(tmp_path):
    """From the raw files; with the member that takes seconds (the encoder takes minutes: docs/results.md)."""
    folder = real_data("codemmlu_kaggle")
    done = submit(folder, tmp_path, *NEIGHBOUR, "--json")
    assert done.returncode == 0, done.stderr
    entries = {entry["name"]: entry for entry in json.loads(done.stdout)}
    for name, known in (("prior", 0.277), ("neighbour", 0.316)):  # on another grouped split, the notes say
        held_out = entries[name]["held_out"]
        assert held_out["n"] > 900
        assert abs(held_out["value"] - known) < 3 * held_out["error"]
    assert entries["neighbour"]["unread_test"] == 0
    lines = (tmp_path / "submissions" / "codemmlu_kaggle-neighbour.csv").read_text().splitlines()
    sample = (folder / "sample_submission.csv").read_text().splitlines()
    assert [line.split(",")[0] for line in lines] == [line.split(",")[0] for line in sample]


@pytest.mark.slow
def test_a_second_run_reuses_everything_and_fresh_repeats_it(tmp_path):
    competition(tmp_path / "toys")
    members = (*NEIGHBOUR, "--member", write_tuned_member(tmp_path / "small-tuned.toml"))
    steps = ("neighbour", "train-small", "small-tuned", "vote")
    first = submit(tmp_path / "toys", tmp_path, *members)
    assert first.returncode == 0, first.stderr
    assert "reused" not in first.stderr
    submissions = {path.name: path.read_bytes() for path in (tmp_path / "submissions").iterdir()}
    again = submit(tmp_path / "toys", tmp_path, *members)
    reused = [line.partition(":")[0] for line in again.stderr.splitlines() if ", reused (runs/toys/" in line]
    assert tuple(reused) == steps
    assert "submissions/ledger.jsonl: 4 of 4 entries are in it already, none is repeated" in again.stderr
    assert {path.name: path.read_bytes() for path in (tmp_path / "submissions").iterdir()} == submissions
    assert again.stdout == first.stdout

    fresh = submit(tmp_path / "toys", tmp_path, *NEIGHBOUR, "--fresh")
    assert fresh.returncode == 0
    assert "neighbour: 30 answers in" in fresh.stderr
    assert "reused" not in fresh.stderr
    assert "note: " not in fresh.stderr, "the journal is fresh too"
    assert list(tmp_path.rglob("*.part")) == []


def write_tuned_member(toml):
    """A member whose model is trained for a step or two."""
    text = find_kernel_toml("encoder-tuned").read_text()
    toml.write_text(text.replace('run = "encoder-tuned"', 'run = "small-tuned"'))
    training = find_kernel_toml("train-encoder").read_text().replace("epochs = 4.0", "epochs = 0.5")
    toml.with_name("train-small.toml").write_text(training.replace('run = "train-encoder"', 'run = "train-small"'))
    return toml


@pytest.mark.slow
def test_a_language_model_answers_as_it_is_and_tuned_within_the_time(tmp_path):
    competition(tmp_path / "toys")
    model = tiny_model("qwen3", chat=True)
    done = submit(tmp_path / "toys", tmp_path, *NEIGHBOUR, "--model", model, "--hours", 1, "--folds", 1)
    assert done.returncode == 0, done.stderr
    name = model.name.lower()
    entries = {entry.name: entry for entry in read_ledger(tmp_path / "submissions" / "ledger.jsonl")}
    assert set(entries) == {"prior", "neighbour", name, f"{name}-tuned", "vote"}
    assert entries["vote"].members[0] == name  # it is expected to gain the most per second
    adapter = tmp_path / "runs" / "toys" / f"train-{name}" / "adapter"
    assert entries[f"{name}-tuned"].config["backend.adapter"] == str(adapter.relative_to(tmp_path))
    again = submit(tmp_path / "toys", tmp_path, *NEIGHBOUR, "--model", model)
    assert again.stderr.count("reused") == 5, again.stderr


def test_without_time_for_a_member_the_prior_is_a_legal_submission(tmp_path):
    competition(tmp_path / "toys")
    done = submit(tmp_path / "toys", tmp_path, *NEIGHBOUR, "--hours", 0.0001)
    assert done.returncode == 0, done.stderr
    assert "neighbour: not started" in done.stderr
    assert (tmp_path / "submissions" / "toys-prior.csv").is_file()
    assert [entry.name for entry in read_ledger(tmp_path / "submissions" / "ledger.jsonl")] == ["prior"]


@pytest.mark.slow
def test_with_folds_every_label_is_scored_and_a_second_call_repeats_nothing(tmp_path):
    competition(tmp_path / "toys")
    done = submit(tmp_path / "toys", tmp_path, *NEIGHBOUR, "--folds", "3", "--json")
    assert done.returncode == 0, done.stderr
    assert [(entry["name"], entry["held_out"]["n"], entry["folds"]) for entry in json.loads(done.stdout)] == [
        ("prior", 39, 3),
        ("neighbour", 39, 3),
    ]
    assert (
        "split: 39 labelled, each held out once in 3 folds (seed 42); near-duplicates kept in one fold" in done.stderr
    )
    assert "neighbour, fold-3-of-3: 13 answers in" in done.stderr
    assert "neighbour, all-labels: 20 answers in" in done.stderr
    again = submit(tmp_path / "toys", tmp_path, *NEIGHBOUR, "--folds", "3")
    assert again.returncode == 0, again.stderr
    assert again.stderr.count("reused") == 4
    assert "toys: accuracy, n = 39 out of 3 folds, evaluated" in again.stdout
    assert run_verb("report", tmp_path / "toys", cwd=tmp_path).returncode == 0
    shown = run_verb("show", "neighbour", "k003", cwd=tmp_path)
    assert shown.returncode == 0, shown.stderr


@pytest.mark.slow
def test_where_there_is_time_for_folds_they_are_used_and_one_fold_is_a_choice(tmp_path):
    competition(tmp_path / "toys")
    done = submit(tmp_path / "toys", tmp_path, *NEIGHBOUR, "--hours", "0.2", "--json")
    assert done.returncode == 0, done.stderr
    assert "folds: 5, because all members are expected to finish in time" in done.stderr
    assert {(entry["held_out"]["n"], entry["folds"]) for entry in json.loads(done.stdout)} == {(39, 5)}
    (tmp_path / "other").mkdir()
    few = submit(tmp_path / "toys", tmp_path / "other", *NEIGHBOUR, "--hours", "0.02", "--json")  # 72 s
    assert {entry["folds"] for entry in json.loads(few.stdout)} == {1}


def write_cascade(path, cheap, backend="fake"):
    path.write_text(
        f'run = "{path.stem}"\nquestions = ["test.csv"]\nout = "out"\n[backend]\nname = "{backend}"\n'
        f'[limits.cascade]\nrun = "{cheap}"\n'
    )
    return "--member", path


@pytest.mark.slow
@pytest.mark.parametrize(("folds", "backend"), [(1, "fake"), (3, "encoder")])
def test_a_cascade_asks_what_the_cheaper_members_leave_open(tmp_path, folds, backend):
    competition(tmp_path / "toys")
    words = (*write_cascade(tmp_path / "costly.toml", "neighbour", backend), *NEIGHBOUR, "--folds", folds)
    done = submit(tmp_path / "toys", tmp_path, *words)
    assert done.returncode == 0, done.stderr
    labelled = 39 if folds == 3 else 10
    assert f"of {labelled} labelled questions" in (tmp_path / "runs" / "toys" / "costly.log").read_text()
    entries = {entry.name: entry for entry in read_ledger(tmp_path / "submissions" / "ledger.jsonl")}
    assert set(entries) == {"prior", "neighbour", "costly", "vote"}
    assert entries["costly"].config["limits.cascade.run"] == "runs/toys/neighbour"
    again = submit(tmp_path / "toys", tmp_path, *words)
    assert "costly: unchanged" in again.stderr


@pytest.mark.slow
def test_a_cascade_from_the_vote_and_names_that_are_no_member(tmp_path):
    competition(tmp_path / "toys")
    costly = write_cascade(tmp_path / "costly.toml", "vote")
    fake = tmp_path / "other.toml"
    fake.write_text('run = "other"\nquestions = ["test.csv"]\nout = "out"\n[backend]\nname = "fake"\n')
    done = submit(tmp_path / "toys", tmp_path, *costly, *NEIGHBOUR, "--member", fake)
    assert done.returncode == 0, done.stderr
    assert "cheap-vote: 30 answers of 2 members" in done.stderr
    assert (tmp_path / "submissions" / "toys-costly.csv").is_file()
    alone = submit(tmp_path / "toys", tmp_path, *costly)
    assert (alone.returncode, alone.stdout) == (2, "")
    assert "costly.toml: limits.cascade.run needs another member without a cascade" in alone.stderr
    wrong = submit(tmp_path / "toys", tmp_path, *write_cascade(tmp_path / "odd.toml", "nobody"), *NEIGHBOUR)
    assert (wrong.returncode, wrong.stdout) == (2, "")
    assert "'nobody'; allowed are 'vote', the name of a member without a cascade (neighbour), or" in wrong.stderr


def test_a_number_of_folds_below_one_is_refused(tmp_path):
    done = submit(tmp_path / "toys", tmp_path, "--folds", "0")
    assert done.returncode == 2
    assert "--folds" in done.stderr
