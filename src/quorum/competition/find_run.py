"""Find a run by its name or its folder, and the files in which it answered a question."""

import os
from collections.abc import Iterable
from dataclasses import dataclass
from difflib import get_close_matches
from pathlib import Path

from quorum.ballot import Ballot
from quorum.competition.workspace import GOLD, Workspace, is_part
from quorum.data.read import read_questions
from quorum.errors import BadInput, list_some
from quorum.evaluation.ledger import read_ledger
from quorum.evaluation.question_view import ViewPart, format_ballot, make_question_views
from quorum.files.answers import ballots_from_answers, read_answers
from quorum.files.run_folder import RunFolder

_MOST_NAMED = 5  # near matches in a message


@dataclass(frozen=True, slots=True)
class ShownQuestion:
    """The view of a question in one file that a run answered."""

    run: str
    file: str
    id: str
    parts: list[ViewPart]


def find_run(workspace: Workspace, name: str) -> RunFolder:
    """Return the folder of a run that is named by its name, by COMPETITION/NAME, or by its folder.

    Raises:
        BadInput: there is no such run, or several; the message lists runs with a similar name.
    """
    folder = RunFolder(Path(name))
    if name and os.path.isdir(name) and folder.list_answered():  # noqa: PTH112  # a name may be too long for a path
        return folder
    runs = {str(run.path.relative_to(workspace.runs)): run for run in workspace.list_runs()}
    named = [key for key in runs if key == name or (key.endswith(f"/{name}") and not _names_part(key, name))]
    if len(named) > 1 and name not in named:
        raise BadInput(f"run {name!r}: {len(named)} runs have this name; name one of {list_some(named)}")
    if named:
        return runs[name if name in named else named[0]]
    if not runs:
        raise BadInput(f"run {name!r}: no runs in {workspace.runs}, and no folder with answers has this name")
    short = dict.fromkeys(key.rpartition("/")[2] for key in runs)
    raise BadInput(f"run {name!r}: no such run or folder; {_name_near(name, [*short, *runs])}")


def _names_part(key: str, name: str) -> bool:
    """Return whether a part of the competition is among the folders above `name`; the whole run is not in a part."""
    return any(map(is_part, key.removesuffix(name).split("/")))


def show_question(workspace: Workspace, folder: RunFolder, id: str) -> list[ShownQuestion]:
    """Return the view of a question in each file of the run that has it, usually one.

    Raises:
        BadInput: the run did not answer such a question; the message lists similar ids.
    """
    answered = {file: ballots_from_answers(read_answers(folder.answers(file))) for file in folder.list_answered()}
    files = [file for file, ballots in answered.items() if id in ballots]
    if not files:
        known = dict.fromkeys(id for ballots in answered.values() for id in ballots)
        raise BadInput(f"question {id!r}: not among the {len(known):,} of {folder.path}; {_name_near(id, known)}")
    return [
        ShownQuestion(
            folder.path.name,
            file,
            id,
            [
                *_describe_question(folder, file, id),
                *_describe_members(workspace, folder, file, id),
                *make_question_views(folder, file, [id])[id],
            ],
        )
        for file in files
    ]


def _describe_question(folder: RunFolder, file: str, id: str) -> list[ViewPart]:
    """Return the question with its right answer, if it is a held-out one of the workspace."""
    if file != folder.held_out.stem:
        return []
    golds = [RunFolder(parent / GOLD).held_out for parent in list(folder.path.resolve().parents)[:2]]
    questions = [each for gold in golds if gold.is_file() for each in read_questions(gold) if each.id == id]
    if not questions:
        return []
    question = questions[0]
    choices = [f"{label}. {question.choice(label)}" for label in question.labels]
    return [ViewPart("Question", f"right answer {question.answer}", "\n".join([question.text, *choices]))]


def _describe_members(workspace: Workspace, folder: RunFolder, file: str, id: str) -> list[ViewPart]:
    """Return the ballots of a vote's members, as far as they are beside it."""
    entries = [entry for entry in read_ledger(workspace.ledger) if entry.name == folder.path.name and entry.members]
    lines = []
    for member in entries[-1].members if entries else ():
        path = RunFolder(folder.path.parent / member).answers(file)
        ballot: Ballot | None = ballots_from_answers(read_answers(path)).get(id) if path.is_file() else None
        lines.append(f"{member}: {'not on disk' if ballot is None else format_ballot(ballot)}")
    return [ViewPart("Members", "ballots that were voted on", "\n".join(lines))] if lines else []


def _name_near(name: str, known: Iterable[str]) -> str:
    """Return the names that are most similar, or the first ones."""
    names = list(known)
    near = get_close_matches(name, names, _MOST_NAMED, cutoff=0.5)
    near += [each for each in names if name and name.casefold() in each.casefold() and each not in near]
    if near:
        return f"did you mean {list_some([repr(each) for each in near], _MOST_NAMED)}?"
    return f"there are {list_some([repr(each) for each in names], _MOST_NAMED)}"
