"""Run one model over question files: open, answer, rehearse, refine, close."""

from collections.abc import Callable, Iterable, Sequence
from contextlib import AbstractContextManager
from dataclasses import asdict, replace
from functools import partial
from pathlib import Path
from typing import Any

from quorum.ask.asker import make_styled_asker
from quorum.ask.exact_match import check_no_duplicate, copy_answers
from quorum.ask.judge_prompt import BUILT_IN_VERDICT, render_verdict_prompt
from quorum.ask.prompt import BUILT_IN
from quorum.ask.retrieve import Retriever
from quorum.console import Progress
from quorum.data.layout import Layout
from quorum.data.read import read_records
from quorum.data.repair import read_clean_questions, repair_table
from quorum.files.cells import read_sample_ids
from quorum.files.kept_replies import ReplyLog, remove_kept
from quorum.files.manifest import make_manifest
from quorum.files.outputs import RunOutputs
from quorum.files.pass_result import PassResult
from quorum.files.run_folder import RunFolder
from quorum.files.sample import Sample, read_sample
from quorum.files.train_answers import collect_evidence
from quorum.judge.agent import Agent, FittedSettings, Rewording, draw_rehearsal
from quorum.judge.cascade import Cascade
from quorum.judge.keep import ReplyRecorder, ignore_pass
from quorum.judge.settings import RunSettings, check_rehearsal
from quorum.model.embed import load_embedder, load_reranker
from quorum.model.managed import ManagedBackend, open_managed
from quorum.question import Question, label_prior

REHEARSAL = "(rehearsal)"  # in the place of a question file's name: rehearsed questions are in none


class Session:
    """A run of one model, step by step; a legal submission is on disk from the first step on.

    Call `open`, `answer`, `rehearse`, `refine` and `close`, in this order.

    Args:
        clock: seconds, for the deadline, which counts from `begun`.
        report: takes a line for the log.
        show_progress: gives a progress callback for a caption.
    """

    def __init__(
        self,
        settings: RunSettings,
        *,
        clock: Callable[[], float],
        report: Callable[[str], None],
        show_progress: Callable[[str], AbstractContextManager[Progress]],
    ) -> None:
        self.settings, self._clock, self._report, self._show_progress = settings, clock, report, show_progress
        self._begun = clock()
        self.files: dict[str, list[Question]] = {}
        self.solved: list[Question] = []
        self.results: dict[str, PassResult] = {}
        self._models: dict[str, ManagedBackend] = {}
        self._agents: dict[str, Agent] = {}
        self._logs: dict[str, ReplyLog] = {}

    def open(self) -> None:
        """Read the files, refuse leaks, write the first legal submission, and load the models.

        Raises:
            BadInput: a file cannot be read, a question to score is solved in train, or a model cannot be loaded.
        """
        settings = self.settings
        train = read_records(settings.train, settings.layout) if settings.train else None
        self.solved = repair_table(train).questions if train else []
        self._solved_table = train
        like = train.layout if train else Layout()
        ids = read_sample_ids(settings.sample) if settings.sample else frozenset[str]()
        self.files = {}
        for path in map(Path, settings.questions):
            asked_for = ids if not self.files else frozenset[str]()  # the first file is submitted
            self.files[path.stem] = read_clean_questions(path, settings.layout, like, asked_for)
        self._submitted = next(iter(self.files)) if settings.sample else ""
        for stem, questions in self.files.items():
            if stem != self._submitted:  # it may be scored
                check_no_duplicate(stem, questions, self.solved)
        self._outputs = RunOutputs(
            run=settings.run,
            out=settings.out,
            submitted=self._submitted,
            sample=self._read_sample(),
            prior=label_prior(self.solved),
        )
        self._cascade = Cascade(settings.limits.cascade, self.files)
        self._asked = {stem: list(questions) for stem, questions in self.files.items()}
        self.results = {stem: PassResult(dict(self._cascade.cheap[stem])) for stem in self.files}
        for stem, questions in self.files.items():
            self._outputs.save(stem, questions, self.results[stem])
        for stem in (*self.files, REHEARSAL):
            remove_kept(RunFolder(settings.out), stem)
        check_rehearsal(settings.refine, self.solved, settings.backend)
        self._retriever = Retriever(settings.retrieval, self.solved, load_embedder, load_reranker)
        self._models = self._open_models()
        self._agents = {stem: self._agent(questions, stem) for stem, questions in self.files.items()}

    def _read_sample(self) -> Sample | None:
        """Read the sample submission; train and the submitted questions show what its cells leave open."""
        settings = self.settings
        if settings.sample is None:
            return None
        questions = self.files[self._submitted]
        choices = {question.id: question.choices for question in questions if question.choices}
        evidence = collect_evidence(self._solved_table, choices)
        return read_sample(settings.sample, settings.form, evidence)

    def answer(self) -> None:
        """Ask every question once, or those that a cheap run leaves open."""
        cascade, gold = self._cascade, self._read_gold()
        for stem in cascade.order_files():
            questions, result = self.files[stem], self.results[stem]
            self._asked[stem] = cascade.list_asked(stem, questions)
            self._follow(stem, self._agents[stem].first_answers(self._asked[stem], dict(result.ballots)))
            if rule := cascade.fit(stem, questions, result.ballots, gold):
                self._report(f"{self.settings.run}: {rule.summary}")
            if taken := len(questions) - len(self._asked[stem]):
                self._report(f"{self.settings.run}, {stem}: {taken} of {len(questions)} answers are the cheap run's")

    def _read_gold(self) -> dict[str, str]:
        path = self.settings.limits.cascade.gold
        solved = read_clean_questions(path, self.settings.layout) if path else []
        return {question.id: question.answer for question in solved if question.answer is not None}

    def rehearse(self) -> FittedSettings:
        """Fit what has to be fitted, on solved questions."""
        refine = self.settings.refine
        rehearsed = draw_rehearsal(self.solved, refine.rehearse) if refine.to_fit else []
        fitted = self._agent(rehearsed, REHEARSAL).rehearse(rehearsed)
        if fitted.reasoning:
            self._report(f"{self.settings.run}: {fitted.reasoning.summary}")
        if set(refine.to_fit) - {"reason"}:
            self._report(f"{self.settings.run}: {fitted.summary}")
        return fitted

    def refine(self, fitted: FittedSettings) -> None:
        """Refine the answers as the settings say, and copy those of exact duplicates in train where that is allowed."""
        gold = self._read_gold()
        for stem, questions in self.files.items():
            asked, result = self._asked[stem], self.results[stem]
            first = {question.id: result.ballots[question.id] for question in asked}
            self._follow(stem, self._agents[stem].refine(asked, first, fitted))
            taken = self._cascade.cross_fit(stem, questions, result.ballots, gold)
            self._follow(stem, [PassResult(taken)] if taken else [])
            # only the submitted file may have duplicates in train
            copied = copy_answers(questions, self.solved) if self.settings.refine.copy_exact else {}
            if copied:
                self._follow(stem, [PassResult(copied)])
                self._report(
                    f"{self.settings.run}, {stem}: {len(copied)} of {len(questions)} answers copied from identical"
                    " questions in train"
                )

    def close(self, fitted: FittedSettings) -> None:
        """Report what was noticed, and write the manifest."""
        for log in self._logs.values():
            log.close()
        settings, models = self.settings, self._models
        for stem, result in self.results.items():
            for line in result.summary:
                self._report(f"{settings.run}, {stem}: {line}")
        if unasked := sum(model.unasked for model in models.values()):
            self._report(f"deadline of {settings.limits.deadline:g} minutes: {unasked} questions were not asked")
        if shortened := self._retriever.shortened:
            self._report(f"{settings.run}: {shortened} texts were too long for a retrieval model and lost their middle")
        for part, model in models.items():
            name = settings.run if part == "answerer" else f"{settings.run}, {part}"
            if model.warning:
                self._report(f"warning: {name}: {model.warning}")
            for note in model.notes:
                self._report(f"{name}: {note}")
        if reused := sum(model.reused for model in models.values()):
            self._report(f"note: {settings.run}: {reused} replies were already in {settings.limits.journal}")
        count = sum(map(len, self.files.values()))
        self._report(f"{settings.run}: {count} questions, answers in {settings.out}")
        calls = {part: model.calls for part, model in models.items()}
        reasoning = fitted.reasoning.record if fitted.reasoning else None
        self._outputs.close(
            make_manifest(
                settings.run,
                self.files,
                prompt=_describe_prompt(settings),
                backend=models["answerer"].table,
                calls=calls,
                replies={part: model.counts.record for part, model in models.items()},
                results=self.results,
                reasoning=reasoning,
                failed=sum(model.failed + model.unasked for model in models.values()),
            )
        )

    def _open_models(self) -> dict[str, ManagedBackend]:
        settings, limits = self.settings, self.settings.limits
        models = open_managed(
            {
                "answerer": settings.backend,
                "verifier": settings.refine.verify.backend,
                "reader": settings.refine.reader,
            },
            self.solved,
            clock=self._clock,
            until=None if limits.deadline is None else self._begun + 60 * limits.deadline,
            most=limits.batch,
            journal=limits.journal,
            files=[settings.train] if settings.train else [],
            report=self._report,
        )
        for dropped in filter(None, (model.dropped for model in models.values())):
            self._report(
                f"warning: {limits.journal} is broken; it was moved to {dropped}, and everything is asked again"
            )
        return models

    def _agent(self, questions: Sequence[Question], stem: str) -> Agent:
        settings = self.settings
        prompt, verdict = settings.prompt, settings.refine.verdict
        recorder = self._make_recorder(questions, stem)
        ask = make_styled_asker(
            self._retriever,
            questions,
            prompt.examples,
            test=stem == self._submitted,
            on_retrieved=recorder.record_background if recorder else None,
        )
        wordings = [
            Rewording(
                partial(ask, prompt.style, template),
                # the template's own instruction and question ask for an answer
                partial(ask, "cot", replace(template, instruction=None, question=None)),
            )
            for template in prompt.list_templates()
        ]
        return Agent(
            answerer=self._models["answerer"],
            ask=wordings[0].ask,
            settings=settings.refine,
            verifier=self._models.get("verifier", self._models["answerer"]),
            reader=self._models.get("reader"),
            batch=settings.limits.batch,
            ask_verdict=partial(render_verdict_prompt, template=verdict),
            ask_reasoned=wordings[0].ask_reasoned,
            rewordings=wordings[1:],
            in_pass=recorder.in_pass if recorder else ignore_pass,
        )

    def _make_recorder(self, questions: Sequence[Question], stem: str) -> ReplyRecorder | None:
        if self.settings.limits.keep == "answers" or not questions:
            return None
        self._logs[stem] = ReplyLog(RunFolder(self.settings.out), stem)
        return ReplyRecorder(self._logs[stem], {question.id: question for question in questions})

    def _follow(self, stem: str, results: Iterable[PassResult]) -> None:
        """Save each result as it comes."""
        done: set[str] = set()
        with self._show_progress(f"{self.settings.run}: {stem}") as progress:
            for result in results:
                self.results[stem].update(result)
                self._outputs.save(stem, self.files[stem], self.results[stem])
                if stem in self._logs:
                    self._logs[stem].save()
                done |= result.ballots.keys()
                progress(len(done), len(self.files[stem]))


def _describe_prompt(settings: RunSettings) -> dict[str, Any]:
    """Return what prompts are made of, defaults left out, for the manifest."""
    prompt, refine = settings.prompt, settings.refine
    described: dict[str, Any] = {"style": prompt.style}
    described |= _changed_fields(prompt.template, BUILT_IN)
    if len(prompt.list_templates()) > 1:
        described |= {"wordings": prompt.wordings, "instructions": prompt.instructions}
    described |= {f"examples.{name}": value for name, value in _changed_fields(prompt.examples, None).items()}
    described |= {f"verdict.{name}": value for name, value in _changed_fields(refine.verdict, BUILT_IN_VERDICT).items()}
    return described | ({"reason": True} if refine.reason else {})


def _changed_fields(settings: Any, default: Any) -> dict[str, Any]:
    plain = asdict(default if default is not None else type(settings)())
    return {name: value for name, value in asdict(settings).items() if value != plain[name]}
