"""What is shown beside a question: solved questions that are like it, and background that speaks of it.

A solved question is never shown to itself nor to a near-duplicate of its own: the members of a question's cluster are
struck out before anything is ranked, whatever is asked, and by the same clusters that the split keeps whole.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from quorum.ask.search.example import make_example
from quorum.ask.search.index import Embed, make_model_key, make_vector_index
from quorum.ask.search.search import DenseSearch, Hit, LexicalSearch, Rerank, Searcher, SearchIndex
from quorum.ask.search.sources import Passage, count_tokens, read_background
from quorum.ask.settings import RetrievalSettings
from quorum.console import Progress
from quorum.data.duplicates import cluster_duplicates, exact_key
from quorum.data.split import TrainingFolds
from quorum.question import Question

_BATCH = 1024  # questions searched for at a time


@dataclass(frozen=True, slots=True)
class RetrievedContext:
    """What stands before one question, the best last: next to the question. The hits say how each was found."""

    examples: tuple[Question, ...] = ()
    passages: tuple[Passage, ...] = ()
    example_hits: tuple[Hit, ...] = ()
    passage_hits: tuple[Hit, ...] = ()


class Retriever:
    """Solved questions and background, indexed.

    `solved` are the training folds, whose split knows the clusters, or questions whose clusters are found here (which
    takes some milliseconds a question). `load_embed` and `load_rerank` load a model by its name; they are called where
    the settings need them.

    Raises:
        BadInput: the background can't be read, or a model can't be loaded.
    """

    def __init__(
        self,
        settings: RetrievalSettings,
        solved: TrainingFolds | Sequence[Question],
        load_embed: Callable[[str], Embed],
        load_rerank: Callable[[str], Rerank],
    ) -> None:
        self.settings = settings
        self.split = solved.split if isinstance(solved, TrainingFolds) else None
        known = solved.questions if isinstance(solved, TrainingFolds) else solved
        self.solved = [question for question in known if question.answer is not None] if settings.examples else []
        self.background: list[Passage] = []
        if settings.passages and settings.background:
            self.background = list(read_background(settings.background, settings.piece, settings.overlap))
        embed = load_embed(settings.model) if settings.embeds else None
        self.model_key = make_model_key(settings.model) if embed and settings.cache else ""  # a hub's, once it is there
        self.rerank = load_rerank(settings.reranker) if settings.reranks else None
        self.example_shelf = self._shelf([_join_similarity_text(question) for question in self.solved], embed)
        self.passage_shelf = self._shelf([passage.searched for passage in self.background], embed)

    def shown(
        self, questions: Sequence[Question], progress: Progress | None = None, *, test: bool = False
    ) -> list[RetrievedContext]:
        """What is shown beside each question, in order; a question about a passage of its own gets no other.

        `test` says that these are the questions to submit, of which no score is taken: they may see near-duplicates
        where the setting says so.
        """
        kin = self._kin(questions, test)
        shown: list[RetrievedContext] = []
        for start in range(0, len(questions), _BATCH):
            batch, hidden = questions[start : start + _BATCH], kin[start : start + _BATCH]
            likenesses = [_join_similarity_text(question) for question in batch]
            examples = self.example_shelf.best(likenesses, self.settings.examples, hidden, self.rerank)
            wanted = [self._wanted(question) for question in batch]
            passages = self.passage_shelf.best(wanted, self.settings.passages, [()] * len(batch), self.rerank)
            shown += [self._within_budget(*each) for each in zip(batch, examples, passages, strict=True)]
            if progress is not None:
                progress(len(shown), len(questions))
        return shown

    def _shelf(self, texts: Sequence[str], embed: Embed | None) -> SearchIndex:
        settings, searches = self.settings, list[Searcher]()
        if texts and settings.search != "dense":
            searches.append(LexicalSearch(texts, settings.cache))
        if texts and embed is not None:
            searches.append(
                DenseSearch(make_vector_index(texts, embed, self.model_key, settings.cache, settings.index), embed)
            )
        return SearchIndex(texts, searches, settings.floor)

    def _wanted(self, question: Question) -> str:
        if question.context:
            return ""
        return "\n".join((question.text, *question.choices)) if self.settings.choices else question.text

    def _kin(self, questions: Sequence[Question], test: bool) -> list[frozenset[int]]:
        """For each question the places of the solved ones that it must not see: itself, its twins, its cluster."""
        if not self.solved or not questions:
            return [frozenset() for _ in questions]
        if self.split is not None and all(question.id in self.split.fold_of for question in questions):
            cluster = dict(self.split.frame.select("id", "cluster").iter_rows())
            numbers = [cluster[question.id] for question in (*self.solved, *questions)]
        else:
            numbers = cluster_duplicates([*self.solved, *questions])
        mates: dict[int | str, set[int]] = {}  # by cluster and by exact text
        for place, question in enumerate(self.solved):
            mates.setdefault(numbers[place], set()).add(place)
            mates.setdefault(exact_key(question), set()).add(place)
        return [
            frozenset(mates.get(exact_key(question) if test and self._is_free(question) else number, ()))
            for question, number in zip(questions, numbers[len(self.solved) :], strict=True)
        ]

    def _is_free(self, question: Question) -> bool:
        """Whether near-duplicates may be shown to a test question: to none that is answered or known to the split."""
        known = self.split is not None and question.id in self.split.fold_of
        return self.settings.near_duplicates and question.answer is None and not known

    def _within_budget(self, question: Question, examples: Sequence[Hit], passages: Sequence[Hit]) -> RetrievedContext:
        """What is left when the weakest, by rank, have given way; of equal rank the example goes first."""
        shown = [(make_example(self.solved[hit.place], question), hit) for hit in examples]
        texts = [(self.background[hit.place], hit) for hit in passages]
        while _count_context_tokens(shown, texts) > self.settings.tokens:
            (shown if len(shown) >= len(texts) else texts).pop()
        return RetrievedContext(
            tuple(example for example, _ in reversed(shown)),
            tuple(passage for passage, _ in reversed(texts)),
            tuple(hit for _, hit in reversed(shown)),
            tuple(hit for _, hit in reversed(texts)),
        )


def _join_similarity_text(question: Question) -> str:
    """What makes questions alike: passage, text and choices."""
    return "\n".join(part for part in (question.context, question.text, *question.choices) if part)


def _count_context_tokens(examples: Sequence[tuple[Question, Hit]], passages: Sequence[tuple[Passage, Hit]]) -> int:
    written = sum(
        count_tokens(f"{_join_similarity_text(example)}\n{example.rationale or ''}") for example, _ in examples
    )
    return written + sum(count_tokens(passage.shown) for passage, _ in passages)
