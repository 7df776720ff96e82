"""Select questions of the training folds: by a list of ids, by length, or without validation folds."""

from collections.abc import Callable, Collection

from quorum.data.split import HELD_OUT, TrainingFolds
from quorum.errors import BadInput, list_some
from quorum.question import Question
from quorum.train.sampling import read_sample_file
from quorum.train.settings import SelectionSettings

Count = Callable[[str], int]  # how many tokens, or words, a text has


def select_folds(training: TrainingFolds, settings: SelectionSettings) -> TrainingFolds:
    """Return the training folds with the questions that the settings select.

    Raises:
        BadInput: an id or a fold is not in the training folds, there is no such tokenizer, or no question is left.
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
    """Return the training folds with only the questions of these ids.

    Raises:
        BadInput: an id is not in the training folds: it is held out or unknown.
    """
    if unknown := sorted(set(ids) - {question.id for question in training.questions}):
        held_out = sum(training.split.fold_of.get(id) == HELD_OUT for id in unknown)
        raise BadInput(
            f"{len(unknown)} of {len(ids)} ids are not in the training folds ({held_out} of them are held out): "
            f"{list_some(unknown)}"
        )
    chosen = set(ids)
    return TrainingFolds(training.split, tuple(question for question in training.questions if question.id in chosen))


def drop_longer_than(training: TrainingFolds, most: int, count: Count) -> TrainingFolds:
    """Return the training folds without questions longer than `most`.

    Args:
        most: limit on passage, text, choices and rationale together.
        count: returns the length of a text.

    Raises:
        BadInput: every question is longer.
    """

    def length(question: Question) -> int:
        return sum(map(count, (question.context or "", question.text, *question.choices, question.rationale or "")))

    kept = tuple(question for question in training.questions if length(question) <= most)
    if not kept:
        raise BadInput(f"none of {len(training.questions)} questions has at most {most} tokens")
    return TrainingFolds(training.split, kept)


def count_words(text: str) -> int:
    """Return the number of words, separated by white space."""
    return len(text.split())


def make_token_counter(tokenizer: str) -> Count:
    """Return a function that counts a text's tokens, without special tokens.

    Args:
        tokenizer: hub id or folder.

    Raises:
        BadInput: the tokenizer cannot be loaded.
    """
    from transformers import AutoTokenizer

    try:
        loaded = AutoTokenizer.from_pretrained(tokenizer)
    except (OSError, ValueError) as error:
        raise BadInput(f"tokenizer {tokenizer!r} cannot be loaded: {str(error).splitlines()[0]}") from None
    return lambda text: len(loaded(text, add_special_tokens=False)["input_ids"])


def hold_out_validation(training: TrainingFolds, folds: Collection[int]) -> tuple[TrainingFolds, list[Question]]:
    """Return the training folds without the given folds, and the questions of the given folds, for validation.

    A split with held_out 0.1 and nine folds, one of them for validation, makes 80/10/10, stratified, with whole
    clusters.

    Raises:
        BadInput: there is no such training fold.
    """
    if unknown := sorted(set(folds) - set(training.split.folds)):
        known = ", ".join(map(str, training.split.folds))
        raise BadInput(f"fold {list_some(list(map(str, unknown)))} is not a training fold; allowed are {known}")
    fold_of = training.split.fold_of
    validation = [question for question in training.questions if fold_of[question.id] in folds]
    rest = tuple(question for question in training.questions if fold_of[question.id] not in folds)
    return TrainingFolds(training.split, rest), validation
