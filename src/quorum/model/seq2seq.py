"""An encoder-decoder through the transformers library (T5, Flan-T5, BART): its letters, its options, or its text."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

from quorum.console import Progress
from quorum.engine.checkpoint import Checkpoint, choose_device, choose_dtype, load_checkpoint
from quorum.engine.generate import GenerationRequest, PromptSeeds, SamplingSettings, SeededSampler
from quorum.engine.prefixes import count_shared_tokens
from quorum.engine.scores import make_scored_reply
from quorum.engine.tokens import Continuation, PromptTokenizer, truncate_middle
from quorum.errors import BadInput
from quorum.question import Message, Prompt, Reply

# What the encoder reads, and what is asked about it: the decoder's context, and what may follow.
_Encoded = tuple[tuple[int, ...], Continuation]


@dataclass(frozen=True, kw_only=True)
class Seq2seqSettings:
    """Which encoder-decoder, how it is asked and how it samples."""

    model: str = field(metadata={"help": "Hub id or folder."})
    method: Literal["letter", "option", "generate"] = field(
        default="letter",
        metadata={
            "help": "letter: probability of each label. option: likelihood of each choice's text. generate: write text."
        },
    )
    normalise: Literal["sum", "token"] = field(
        default="sum", metadata={"help": "Of method option: the log-likelihood's sum or its mean a token."}
    )
    dtype: str = field(default="auto", metadata={"help": "Number type of weights; auto is never float16."})
    device: str = field(default="auto", metadata={"help": "Torch device; auto: a GPU where there is one."})
    revision: str | None = field(default=None, metadata={"help": "Branch, tag or commit at the hub."})
    batch_tokens: int = field(default=4096, metadata={"help": "Most tokens in work at once; bounds memory."})
    context_tokens: int | None = field(
        default=None, metadata={"help": "Longest prompt; the tokenizer's own limit when not set (512 for T5)."}
    )
    max_new_tokens: int = field(default=64, metadata={"help": "Longest generated text."})
    temperature: float = field(default=0.0, metadata={"help": "Sampling temperature; 0: greedy."})
    top_p: float = field(
        default=1.0, metadata={"help": "Sample from the likeliest tokens with this total probability."}
    )
    seed: int = field(default=0, metadata={"help": "Seed of sampling."})


class Seq2seq:
    """A backend: labels or options scored by the decoder's likelihood, or text generated, by a model held in memory.

    `method`: *letter* takes the log-probabilities of exactly the prompt's labels at the token where they part, mostly
    the decoder's first; where some share that too (10 and 11, beside 2) those of all their tokens and their end.
    *option* scores the whole text of each option, `normalise`d to its sum or its mean a token. *generate* writes up to
    `max_new_tokens`, greedily where `temperature` is 0. A prompt that has no labels, or options, to score is generated.

    Equal prompts are encoded once, whatever is asked of them. `context_tokens` is the longest that the encoder reads,
    what the tokenizer says where None (512 for T5, whose relative positions take more); of a longer prompt the middle
    is left out, and `shortened` counts them. `batch_tokens` bounds memory: at most so many are in work at once.
    `dtype` auto is never half precision, in which T5 overflows.

    Raises:
        BadInput: the model cannot be loaded, or has fewer positions than are asked for.
    """

    def __init__(self, settings: Seq2seqSettings, progress: Progress | None = None) -> None:
        self.settings = settings
        self.sampling = SamplingSettings(settings.max_new_tokens, settings.temperature, settings.top_p)
        self.shortened = 0
        self._seeds = PromptSeeds(settings.seed)
        self._progress = progress
        self.tokens, self.model = load_seq2seq(settings.model, settings.revision, settings.dtype, settings.device)
        self.context_tokens = longest_source(self.model, self.tokens, settings.context_tokens)

    def answer(self, prompts: Sequence[Prompt]) -> list[Reply]:
        """One reply for each prompt, in the same order."""
        asked = [self._asked(prompt) for prompt in prompts]
        logprobs = iter(self._logprobs([one for each in asked for one in each]))
        written = iter(self._written([prompt for prompt, each in zip(prompts, asked, strict=True) if not each]))
        return [
            make_scored_reply(prompt.labels, [self._score(next(logprobs)) for _ in each]) if each else next(written)
            for prompt, each in zip(prompts, asked, strict=True)
        ]

    def _asked(self, prompt: Prompt) -> list[_Encoded]:
        """What is to be scored; nothing where the prompt is to be generated."""
        texts = {"letter": prompt.labels, "option": prompt.options}.get(self.settings.method, ())
        if not texts:
            return []
        source, whole = self._source(prompt), [target_ids(self.tokens, text) for text in texts]
        start = (self.model.config.decoder_start_token_id,)
        if self.settings.method == "option":
            return [(source, Continuation(start, ids)) for ids in whole]
        # the first and the last in order differ earliest
        common = min(count_shared_tokens(min(whole), max(whole)), min(map(len, whole)) - 1)
        one_each = len({ids[common] for ids in whole}) == len(whole)
        end = common + 1 if one_each else None
        return [(source, Continuation(start + ids[:common], ids[common:end])) for ids in whole]

    def _source(self, prompt: Prompt) -> tuple[int, ...]:
        ids = source_ids(self.tokens, prompt.content)
        self.shortened += len(ids) > self.context_tokens
        return truncate_middle(ids, self.context_tokens)

    def _score(self, logprobs: Sequence[float]) -> float:
        return sum(logprobs) / (
            len(logprobs) if self.settings.method == "option" and self.settings.normalise == "token" else 1
        )

    def _logprobs(self, asked: Sequence[_Encoded]) -> list[list[float]]:
        """The log-probability of each following token."""
        by_source: dict[tuple[int, ...], list[Continuation]] = {}
        for source, continuation in asked:
            by_source.setdefault(source, []).append(continuation)
        sources, done = list(by_source), 0
        found: dict[_Encoded, list[float]] = {}
        for batch in self._batches([len(source) for source in sources]):
            found |= self._decoded({sources[place]: by_source[sources[place]] for place in batch})
            done += len(batch)
            self._tell(done, len(sources))
        return [found[each] for each in asked]

    def _decoded(self, batch: dict[tuple[int, ...], list[Continuation]]) -> dict[_Encoded, list[float]]:
        """One batch: encoded once, and the decoder reads one row for all that follows the same tokens."""
        import torch

        ids, mask = self._padded(list(batch))
        rows: dict[tuple[int, tuple[int, ...]], list[_Encoded]] = {}
        for place, (source, continuations) in enumerate(batch.items()):
            for each in continuations:
                rows.setdefault((place, each.context + each.following[:-1]), []).append((source, each))
        at_once = max(1, self.settings.batch_tokens // (mask.shape[1] + max(len(read) for _, read in rows)))
        found: dict[_Encoded, list[float]] = {}
        with torch.inference_mode():
            states = self.model.get_encoder()(input_ids=ids, attention_mask=mask).last_hidden_state
            for first in range(0, len(rows), at_once):
                chunk = list(rows)[first : first + at_once]
                places = torch.tensor([place for place, _ in chunk], device=mask.device)
                read, _ = self._padded([read for _, read in chunk])
                logits = self.model(
                    encoder_outputs=(states[places],), attention_mask=mask[places], decoder_input_ids=read
                ).logits
                for key, row in zip(chunk, logits, strict=True):
                    found |= {each: _following_logprobs(row, each[1]) for each in rows[key]}
        return found

    def _written(self, prompts: Sequence[Prompt]) -> list[Reply]:
        """Return what the decoder writes; the noise of a prompt does not depend on its batch."""
        with self._seeds.batch() as next_seed:
            sources = [self._source(prompt) for prompt in prompts]
            drafts = [
                GenerationRequest(source, next_seed(source, prompt.repeat))
                for source, prompt in zip(sources, prompts, strict=True)
            ]
            return [Reply(text) for text in self._generated_texts(drafts)]

    def _generated_texts(self, drafts: Sequence[GenerationRequest]) -> list[str]:
        import torch

        texts, done = [""] * len(drafts), 0
        for batch in self._batches([len(draft.context) + self.sampling.max_new_tokens for draft in drafts]):
            ids, mask = self._padded([drafts[place].context for place in batch])
            chance = SeededSampler([drafts[place] for place in batch], self.sampling, ids.device)
            with torch.inference_mode():
                made = self.model.generate(
                    input_ids=ids,
                    attention_mask=mask,
                    max_new_tokens=self.sampling.max_new_tokens,
                    num_beams=1,
                    do_sample=False,  # chance, where wanted, is in the logits already
                    logits_processor=[chance] if self.sampling.temperature > 0 else [],
                )
            for place, text in zip(
                batch, self.tokens.tokenizer.batch_decode(made, skip_special_tokens=True), strict=True
            ):
                texts[place] = text
            done += len(batch)
            self._tell(done, len(drafts))
        return texts

    def _padded(self, sequences: Sequence[tuple[int, ...]]) -> tuple[Any, Any]:
        """Token ids as rows of one length, and the mask that hides what was added behind."""
        import torch

        width = max(map(len, sequences))
        ids = [[*each, *[self.tokens.pad] * (width - len(each))] for each in sequences]
        mask = [[1] * len(each) + [0] * (width - len(each)) for each in sequences]
        return torch.tensor(ids, device=self.model.device), torch.tensor(mask, device=self.model.device)

    def _batches(self, lengths: Sequence[int]) -> list[list[int]]:
        """Their places, the longest first, in batches of at most `batch_tokens` with the padding, but at least one."""
        batches: list[list[int]] = []
        for place in sorted(range(len(lengths)), key=lambda place: -lengths[place]):
            if batches and (len(batches[-1]) + 1) * lengths[batches[-1][0]] <= self.settings.batch_tokens:
                batches[-1].append(place)
            else:
                batches.append([place])
        return batches

    def _tell(self, done: int, total: int) -> None:
        if self._progress is not None:
            self._progress(done, total)


def load_seq2seq(model: str, revision: str | None, dtype: str, device: str) -> tuple[PromptTokenizer, Any]:
    """The tokenizer and the model; `dtype` auto is bfloat16 where a GPU computes in it, else float32.

    Raises:
        BadInput: there is no such encoder-decoder, or no such dtype.
    """
    device = choose_device() if device == "auto" else device
    if dtype == "auto":
        dtype = "bfloat16" if choose_dtype(device) == "bfloat16" else "float32"
    tokenizer, loaded_model = load_checkpoint(Checkpoint(model, revision), dtype, device, "AutoModelForSeq2SeqLM")
    return PromptTokenizer(tokenizer), loaded_model


def longest_source(model: Any, tokens: PromptTokenizer, asked: int | None) -> int:
    """How many tokens the encoder reads: as many as are asked for, or else as its tokenizer says.

    Raises:
        BadInput: the model has fewer positions, or less than four tokens are asked for.
    """
    positions = int(getattr(model.config, "max_position_embeddings", None) or 2**30)  # T5 has none: they are relative
    room = min(int(tokens.tokenizer.model_max_length), positions) if asked is None else asked
    if not 4 <= room <= positions:
        raise BadInput(f"a context of {room} tokens; allowed are 4 to {positions}")
    return room


def source_ids(tokens: PromptTokenizer, content: str | tuple[Message, ...]) -> tuple[int, ...]:
    """A prompt as the encoder reads it, its end included; text that spells a special token is none."""
    return tuple(tokens.tokenizer(tokens.render(content).text).input_ids)


def target_ids(tokens: PromptTokenizer, text: str) -> tuple[int, ...]:
    """An answer as the decoder is to write it, its end included."""
    ids = tuple(tokens.tokenizer(text_target=tokens.escape_special_tokens(text)).input_ids)
    end = tokens.tokenizer.eos_token_id
    return ids if ids[-1:] == (end,) else (*ids, end)


def _following_logprobs(logits: Any, continuation: Continuation) -> list[float]:
    """Of each following token, from the logits at every place (places, vocabulary) of the tokens that were read."""
    first = len(continuation.context) - 1
    places = logits[first : first + len(continuation.following)].float().log_softmax(-1)
    return [float(place[token]) for place, token in zip(places, continuation.following, strict=True)]
