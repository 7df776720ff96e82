"""Training folds made smaller: by a list of ids, by length, or by folds that are put apart."""

from collections.abc import Callable, Collection

from quorum.data.split import HELD_OUT, TrainingFolds
from quorum.errors import BadInput, list_some
from quorum.question import Question
from quorum.train.rows.sampling import read_sample_file
from quorum.train.settings import SelectionSettings

Count = Callable[[str], int]  # how many tokens, or words, a text has


def select_folds(training: TrainingFolds, settings: SelectionSettings) -> TrainingFolds:
    """What is left of the training folds.

    Raises:
        BadInput: an id or a fold that is not theirs, no tokenizer, or nothing is left.
    """
    if settings.ids is not None:
        training = keep_ids(training, read_sample_file(settings.ids))
    if settings.validation:
        training, _ = hold_out_validation(training, settings.validation)
    if settings.longest:
        count = make_token_counter(settings.tokenizer) if settings.tokenizer else count_words
        training = drop_longer_than(training, settings.longest, count)
    return training


def keep_ids(training: TrainingFolds, ids: Collection[str]) -> TrainingFolds:
    """The training folds, cut down to the questions of these ids.

    Raises:
        BadInput: an id is none of theirs: held out, or unknown.
    """
    if strangers := sorted(set(ids) - {question.id for question in training.questions}):
        held = sum(training.split.fold_of.get(id) == HELD_OUT for id in strangers)
        raise BadInput(
            f"{len(strangers)} of {len(ids)} ids are not in the training folds ({held} of them are held out): "
            f"{list_some(strangers)}"
        )
    chosen = set(ids)
    return TrainingFolds(training.split, tuple(question for question in training.questions if question.id in chosen))


def drop_longer_than(training: TrainingFolds, most: int, count: Count) -> TrainingFolds:
    """The questions whose passage, text, choices and rationale come to at most `most` by `count`.

    Raises:
        BadInput: none is that short.
    """

    def length(question: Question) -> int:
        return sum(map(count, (question.context or "", question.text, *question.choices, question.rationale or "")))

    kept = tuple(question for question in training.questions if length(question) <= most)
    if not kept:
        raise BadInput(f"none of {len(training.questions)} questions has at most {most} tokens")
    return TrainingFolds(training.split, kept)


def count_words(text: str) -> int:
    """The number of words: what stands between blanks."""
    return len(text.split())


def make_token_counter(tokenizer: str) -> Count:
    """What counts a text's tokens, special ones left out, by the tokenizer of a hub id or in a folder.

    Raises:
        BadInput: it can't be loaded.
    """
    from transformers import AutoTokenizer

    try:
        loaded = AutoTokenizer.from_pretrained(tokenizer)
    except (OSError, ValueError) as error:
        raise BadInput(f"tokenizer {tokenizer!r} can't be loaded: {str(error).splitlines()[0]}") from None
    return lambda text: len(loaded(text, add_special_tokens=False)["input_ids"])


def hold_out_validation(training: TrainingFolds, folds: Collection[int]) -> tuple[TrainingFolds, list[Question]]:
    """The training folds without some of them, and the questions of these, to be watched while learning.

    With `split(questions, held_out=0.1, folds=9)` and fold 1 apart that is 80/10/10, stratified and clusters whole.

    Raises:
        BadInput: there is no such training fold.
    """
    if unknown := sorted(set(folds) - set(training.split.folds)):
        known = ", ".join(map(str, training.split.folds))
        raise BadInput(f"fold {list_some(list(map(str, unknown)))} is no training fold; allowed are {known}")
    fold_of = training.split.fold_of
    apart = [question for question in training.questions if fold_of[question.id] in folds]
    rest = tuple(question for question in training.questions if fold_of[question.id] not in folds)
    return TrainingFolds(training.split, rest), apart
