"""Retrieve context for a question: similar solved questions, and background passages about its topic.

A solved question is never shown to itself or to a near-duplicate of itself: all members of a question's cluster are
removed before ranking. The clusters are the same that the split keeps whole.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from quorum.ask.encoders import Embed, Rerank
from quorum.ask.example import make_example
from quorum.ask.search.index import make_model_key, make_vector_index
from quorum.ask.search.search import DenseSearch, Hit, LexicalSearch, Searcher, SearchIndex
from quorum.ask.search.sources import Passage, count_tokens, read_background
from quorum.ask.settings import RetrievalSettings
from quorum.console import Progress
from quorum.data.duplicates import cluster_duplicates, exact_key
from quorum.data.split import TrainingFolds
from quorum.question import Question

_BATCH = 1024  # questions in one search


@dataclass(frozen=True, slots=True)
class RetrievedContext:
    """Examples and passages to show before one question, the best last (next to the question), with their hits."""

    examples: tuple[Question, ...] = ()
    passages: tuple[Passage, ...] = ()
    example_hits: tuple[Hit, ...] = ()
    passage_hits: tuple[Hit, ...] = ()


class Retriever:
    """An index of solved questions and background passages.

    Args:
        settings: What to retrieve, and how.
        solved: Training folds, whose split holds the clusters, or plain questions, which are clustered on each call
            (a few milliseconds per question).
        load_embed: Loads a sentence encoder by name; called only if the settings need one.
        load_rerank: Loads a cross-encoder by name; called only if the settings need one.

    Raises:
        BadInput: the background cannot be read, or a model cannot be loaded.
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
        # after loading: a hub model's commit is known only once the model is in the cache
        # "whole": vectors of an older cache are those of the beginning of a long text
        kind = "whole bfloat16" if getattr(embed, "dtype", "") == "bfloat16" else "whole"
        self.model_key = f"{kind} {make_model_key(settings.model)}" if embed and settings.cache else ""
        self.rerank = load_rerank(settings.reranker) if settings.reranks else None
        self._models = (embed, self.rerank)
        self.example_index = self._make_index([_join_similarity_text(question) for question in self.solved], embed)
        self.passage_index = self._make_index([passage.search_text for passage in self.background], embed)

    @property
    def shortened(self) -> int:
        """Return the number of texts that were too long for the models and lost their middle, if the models count."""
        return sum(getattr(model, "shortened", 0) for model in self._models)

    def retrieve(
        self, questions: Sequence[Question], progress: Progress | None = None, *, test: bool = False
    ) -> list[RetrievedContext]:
        """Return the context of each question, in order; a question with a passage of its own gets no other passages.

        Args:
            questions: The questions to retrieve for.
            progress: Called with the number of questions done and their total.
            test: These are the questions to submit, of which no score is taken; they may see near-duplicates if
                `near_duplicates` is set.
        """
        hidden = self._find_hidden(questions, test)
        contexts: list[RetrievedContext] = []
        for start in range(0, len(questions), _BATCH):
            batch, batch_hidden = questions[start : start + _BATCH], hidden[start : start + _BATCH]
            queries = [_join_similarity_text(question) for question in batch]
            examples = self.example_index.search(queries, self.settings.examples, batch_hidden, self.rerank)
            queries = [self._make_background_query(question) for question in batch]
            passages = self.passage_index.search(queries, self.settings.passages, [()] * len(batch), self.rerank)
            contexts += [self._fit_budget(*each) for each in zip(batch, examples, passages, strict=True)]
            if progress is not None:
                progress(len(contexts), len(questions))
        return contexts

    def _make_index(self, texts: Sequence[str], embed: Embed | None) -> SearchIndex:
        settings, searches = self.settings, list[Searcher]()
        if texts and settings.search != "dense":
            searches.append(LexicalSearch(texts, settings.cache))
        if texts and embed is not None:
            searches.append(
                DenseSearch(make_vector_index(texts, embed, self.model_key, settings.cache, settings.index), embed)
            )
        return SearchIndex(texts, searches, settings.floor)

    def _make_background_query(self, question: Question) -> str:
        if question.context:
            return ""
        return "\n".join((question.text, *question.choices)) if self.settings.choices else question.text

    def _find_hidden(self, questions: Sequence[Question], test: bool) -> list[frozenset[int]]:
        """Return for each question the indices of the solved ones to hide: itself, its duplicates, its cluster."""
        if not self.solved or not questions:
            return [frozenset() for _ in questions]
        if self.split is not None and all(question.id in self.split.fold_of for question in questions):
            cluster = dict(self.split.frame.select("id", "cluster").iter_rows())
            clusters = [cluster[question.id] for question in (*self.solved, *questions)]
        else:
            clusters = cluster_duplicates([*self.solved, *questions])
        members: dict[int | str, set[int]] = {}  # by cluster and by exact text
        for index, question in enumerate(self.solved):
            members.setdefault(clusters[index], set()).add(index)
            members.setdefault(exact_key(question), set()).add(index)
        return [
            frozenset(members.get(exact_key(question) if test and self._may_see_similar(question) else number, ()))
            for question, number in zip(questions, clusters[len(self.solved) :], strict=True)
        ]

    def _may_see_similar(self, question: Question) -> bool:
        """Return whether a test question may see near-duplicates; never if it has an answer or is in the split."""
        in_split = self.split is not None and question.id in self.split.fold_of
        return self.settings.near_duplicates and question.answer is None and not in_split

    def _fit_budget(self, question: Question, examples: Sequence[Hit], passages: Sequence[Hit]) -> RetrievedContext:
        """Drop the lowest-ranked hits until the rest fits the budget; of equal ranks the example is dropped first."""
        kept = [(make_example(self.solved[hit.index], question), hit) for hit in examples]
        texts = [(self.background[hit.index], hit) for hit in passages]
        while _count_context_tokens(kept, texts) > self.settings.tokens:
            (kept if len(kept) >= len(texts) else texts).pop()
        return RetrievedContext(
            tuple(example for example, _ in reversed(kept)),
            tuple(passage for passage, _ in reversed(texts)),
            tuple(hit for _, hit in reversed(kept)),
            tuple(hit for _, hit in reversed(texts)),
        )


def _join_similarity_text(question: Question) -> str:
    """Return the text by which questions are compared: passage, text and choices."""
    return "\n".join(part for part in (question.context, question.text, *question.choices) if part)


def _count_context_tokens(examples: Sequence[tuple[Question, Hit]], passages: Sequence[tuple[Passage, Hit]]) -> int:
    texts = [f"{_join_similarity_text(example)}\n{example.rationale or ''}" for example, _ in examples]
    texts += [passage.prompt_text for passage, _ in passages]
    return sum(map(count_tokens, texts))
