"""Questions in, answers out: one model over question files, with a legal submission on disk at every moment.

python kernels/infer.py kernels/encoder.toml [key=value ...]
"""

import time
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path
from typing import Any

from quorum.ask.prompt import Style
from quorum.config import from_table
from quorum.console import print_status, progress_bar, run_story
from quorum.errors import BadInput
from quorum.question import Question, label_prior


@dataclass(frozen=True)
class Infer:
    """The settings of one run."""

    run: str  # what its answers are called
    questions: tuple[str, ...]  # question files; the first is the one to submit, any other may be scored
    out: Path  # folder: answers go to OUT/<question file>.parquet, what was asked to OUT/run.json
    backend: Mapping[str, Any]  # its name and its settings
    train: Path | None = None  # solved questions; with a file that may be scored, those of the training folds
    sample: Path | None = None  # the competition's sample submission; with it, OUT/submission.csv is written
    prompt: Style = "letter"
    template: Mapping[str, Any] = field(default_factory=dict)  # the words around a question: language, hints …
    examples: Mapping[str, Any] = field(default_factory=dict)  # solved ones before every question, as in training
    batch: int = 256  # questions between two writes
    journal: Path | None = None  # a file that remembers replies: a killed run goes on where it stood
    deadline: float | None = None  # minutes from the start after which no more is asked
    retrieval: Mapping[str, Any] = field(default_factory=dict)  # what is shown beside a question; empty: nothing
    reader: Mapping[str, Any] = field(default_factory=dict)  # a backend that reads what the rules can't; empty: none
    shuffle: Mapping[str, Any] = field(default_factory=dict)  # other orders of the options
    votes: Mapping[str, Any] = field(default_factory=dict)  # sampled votes; empty: one answer
    calibrate: Mapping[str, Any] = field(default_factory=dict)  # the letters' prior, the temperature
    verify: Mapping[str, Any] = field(default_factory=dict)  # whether an answer is TRUE, and who says so
    verdict: Mapping[str, Any] = field(default_factory=dict)  # the words in which that is asked
    reason: bool = False  # reasoning first, as with cot, in the subjects where that pays on rehearsed questions
    rehearse: int = 0  # solved questions that are asked too, where one of these leaves something to be fitted
    transfer: bool = False  # copy the answers of questions to submit that stand solved in train, word for word
    layout: Mapping[str, Any] = field(default_factory=dict)  # column mapping, where detection needs help

    def __post_init__(self) -> None:
        if not self.questions or self.batch < 1:
            raise BadInput(
                f"{len(self.questions)} question files in batches of {self.batch}; at least one of each is needed"
            )


def main(config: Infer) -> None:
    """Answers every question file of `config`: all of them once, and then with the second looks that are wanted."""
    begun = time.monotonic()
    from quorum.ask.asker import make_styled_asker
    from quorum.ask.exact_match import check_no_duplicate, copy_answers
    from quorum.ask.judge_prompt import VerdictTemplate, verdict_prompt
    from quorum.ask.retrieve import Retriever
    from quorum.ask.settings import ExampleSettings, RetrievalSettings
    from quorum.ask.template import Template
    from quorum.data.layout import Layout
    from quorum.data.read import read_records
    from quorum.data.repair import repair_table
    from quorum.files.manifest import make_manifest
    from quorum.files.outputs import RunOutputs
    from quorum.files.pass_result import PassResult
    from quorum.judge.agent import Agent, draw_rehearsal
    from quorum.judge.refine import make_refine_settings
    from quorum.model.around.managed import open_managed
    from quorum.model.embed import load_embedder, load_reranker

    layout, template = from_table(Layout, config.layout, "layout"), from_table(Template, config.template, "template")
    shots = from_table(ExampleSettings, config.examples, "examples")
    ask_verdict = partial(verdict_prompt, template=from_table(VerdictTemplate, config.verdict, "verdict"))
    looks = make_refine_settings(config.shuffle, config.calibrate, config.votes, config.verify, config.reason)
    looks.check_votes(config.backend)
    if config.reason and config.prompt == "cot":
        raise BadInput("reason: prompt is cot, which reasons about every question; allowed are letter, option, bare")
    if config.transfer and not config.sample:
        raise BadInput("transfer: answers are copied into the file to submit alone, and without a sample there is none")
    reasoned = replace(template, instruction=None, question=None)  # those of the template ask for an answer alone
    solved = repair_table(read_records(config.train, layout)).questions if config.train else []
    files = {path.stem: repair_table(read_records(path, layout)).questions for path in map(Path, config.questions)}
    if len(files) < len(config.questions):
        raise BadInput("questions: two files have the same name, and answers go to OUT/NAME.parquet")
    submitted = next(iter(files), "") if config.sample else ""
    for stem, questions in files.items():
        if stem != submitted:  # a score may be taken of it
            check_no_duplicate(stem, questions, solved)
    outputs = RunOutputs(config.run, config.out, submitted, config.sample, label_prior(solved))
    known = {stem: PassResult() for stem in files}
    for stem, questions in files.items():
        outputs.save(stem, questions, known[stem])  # legal from here on, whatever happens

    looks.check_rehearsal(config.rehearse, solved, config.backend.get("name"))
    retriever = Retriever(
        from_table(RetrievalSettings, config.retrieval, "retrieval"), solved, load_embedder, load_reranker
    )
    models = open_managed(
        {"answerer": config.backend, "verifier": config.verify.get("backend"), "reader": config.reader},
        solved,
        clock=time.monotonic,
        until=None if config.deadline is None else begun + 60 * config.deadline,
        most=config.batch,
        journal=config.journal,
        files=[config.train] if config.train else [],
    )
    for dropped in filter(None, (model.dropped for model in models.values())):
        print_status(f"{config.journal} is broken; it lies in {dropped} now, and all is asked again")

    def agent(questions: Sequence[Question], test: bool) -> Agent:
        ask = make_styled_asker(retriever, questions, shots, test)
        return Agent(
            models["answerer"],
            partial(ask, config.prompt, template),
            looks,
            verifier=models.get("verifier", models["answerer"]),
            reader=models.get("reader"),
            batch=config.batch,
            ask_verdict=ask_verdict,
            ask_reasoned=partial(ask, "cot", reasoned),
        )

    def follow(stem: str, seen: Iterable[PassResult]) -> None:
        done: set[str] = set()
        with progress_bar(f"{config.run}: {stem}") as progress:
            for look in seen:
                known[stem].take(look)
                outputs.save(stem, files[stem], known[stem])
                done |= look.ballots.keys()
                progress(len(done), len(files[stem]))

    agents = {stem: agent(questions, test=stem == submitted) for stem, questions in files.items()}
    for stem, questions in files.items():
        follow(stem, agents[stem].first_answers(questions))
    rehearsed = draw_rehearsal(solved, config.rehearse) if looks.to_fit else []
    fitted = agent(rehearsed, test=False).rehearsed(rehearsed)
    if fitted.reasoning:
        print_status(f"{config.run}: {fitted.reasoning.told}")
    for stem, questions in files.items():
        follow(stem, agents[stem].second_looks(questions, known[stem].ballots, fitted))
        if config.transfer and (copied := copy_answers(questions, solved)):  # none but the submitted file has a twin
            follow(stem, [PassResult(copied)])
            print_status(
                f"{config.run}, {stem}: {len(copied)} of {len(questions)} answers copied from train by their text"
            )
    if set(looks.to_fit) - {"reason"}:
        print_status(f"{config.run}: {fitted.told}")
    for stem, look in known.items():
        for line in look.told:
            print_status(f"{config.run}, {stem}: {line}")
    if unasked := sum(model.unasked for model in models.values()):
        print_status(f"the deadline of {config.deadline:g} minutes came before {unasked} questions were asked")
    if shortened := sum(model.shortened for model in models.values()):
        print_status(f"{config.run}: {shortened} prompts are longer than the model reads and lost their middle")
    print_status(f"{config.run}: {sum(map(len, files.values()))} questions, answers in {config.out}")
    calls = {part: model.calls for part, model in models.items()}
    beside = {"examples": config.examples, "verdict": config.verdict}
    words = {f"{name}.{setting}": value for name, table in beside.items() for setting, value in table.items()}
    prompt = {"style": config.prompt, **config.template, **words, **({"reason": True} if config.reason else {})}
    reasoning = fitted.reasoning.record if fitted.reasoning else None
    outputs.close(make_manifest(config.run, files, prompt, config.backend, calls, known, reasoning))


if __name__ == "__main__":
    run_story(Infer, main, __doc__)
