"""A causal language model through the transformers library: any hub id or folder, on a CPU or a GPU."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Literal

from quorum.console import Progress
from quorum.engine.checkpoint import Checkpoint, find_max_length, load_checkpoint
from quorum.engine.generate import GenerationRequest, PromptSeeds, SamplingSettings, generate_after
from quorum.engine.likelihood import score_sequences
from quorum.engine.prefix_attention import score_with_shared_prefixes
from quorum.engine.probe import find_sharing_obstacle
from quorum.engine.scores import make_scored_reply
from quorum.engine.tokens import Continuation, PromptTokenizer, RenderedPrompt, truncate_middle
from quorum.errors import BadInput
from quorum.question import Prompt, Reply

# What stands before an option when its unconditional likelihood is asked: Holtzman et al. 2021, arXiv:2104.08315.
BARE_CUE = "Answer:"


@dataclass(frozen=True, kw_only=True)
class TransformersSettings:
    """Which causal language model, how it is asked and how it samples."""

    model: str = field(metadata={"help": "Hub id or folder."})
    method: Literal["letter", "option", "generate"] = field(
        default="letter",
        metadata={
            "help": "letter: probability of each label as the next token. option: likelihood of each choice's text."
            " generate: write text and parse it."
        },
    )
    normalise: Literal["sum", "token", "byte", "pmi"] = field(
        default="sum",
        metadata={
            "help": "Of method option: the log-likelihood's sum, mean a token or byte, or minus that after a cue."
        },
    )
    dtype: str = field(default="auto", metadata={"help": "Number type of weights: auto, float32, float16, bfloat16."})
    device: str = field(default="auto", metadata={"help": "Torch device; auto: a GPU where there is one."})
    adapter: str | None = field(default=None, metadata={"help": "Folder of a LoRA adapter that PEFT wrote."})
    revision: str | None = field(default=None, metadata={"help": "Branch, tag or commit at the hub."})
    trust_remote_code: bool = field(default=False, metadata={"help": "Run code that comes with the model."})
    batch_tokens: int = field(default=2048, metadata={"help": "Most tokens in work at once; bounds memory."})
    context_tokens: int | None = field(
        default=None, metadata={"help": "Longest prompt, answer included; the model's own limit when not set."}
    )
    max_new_tokens: int = field(default=256, metadata={"help": "Longest generated text."})
    temperature: float = field(default=0.0, metadata={"help": "Sampling temperature; 0: greedy."})
    top_p: float = field(
        default=1.0, metadata={"help": "Sample from the likeliest tokens with this total probability."}
    )
    seed: int = field(default=0, metadata={"help": "Seed of sampling."})


class Transformers:
    """A backend: letters or options scored by their log-likelihood, or text generated, by a model held in memory.

    `method`: *letter* scores the prompt's labels at the next token; *option* scores the text of each option after the
    prompt, `normalise`d to its sum, its mean a token or a byte (UTF-8), or minus its likelihood after a bare cue
    (pmi); *generate* writes up to `max_new_tokens`, greedily where `temperature` is 0. With letter and option a reply's
    text is the best label (a tie goes to the first), with generate what the model wrote.

    `context_tokens` is the longest prompt, answer included; the model's own limit where None. Of a longer one the
    middle is left out, so that instruction, question and cue survive; `shortened` counts them. `batch_tokens` bounds
    memory: at most so many tokens are in work at once. Beginnings that prompts share are read once; a model that cannot
    be read so is read plainly, one sequence at a time, and `find_sharing_obstacle` says why (None otherwise).

    Raises:
        BadInput: the model or its adapter cannot be loaded, a setting is none of those allowed.
    """

    def __init__(self, settings: TransformersSettings, progress: Progress | None = None) -> None:
        self.settings = settings
        self.shortened = 0
        self._seeds = PromptSeeds(settings.seed)
        self._progress = progress
        checkpoint = Checkpoint(settings.model, settings.revision, settings.adapter, settings.trust_remote_code)
        tokenizer, self.model = load_checkpoint(checkpoint, settings.dtype, settings.device)
        self.tokens = PromptTokenizer(tokenizer)
        self.context_tokens = find_max_length(self.model, tokenizer, settings.context_tokens)
        self.why_plain = find_sharing_obstacle(self.model)

    def answer(self, prompts: Sequence[Prompt]) -> list[Reply]:
        """One reply for each prompt, in the same order; a prompt without labels, or options, to score stays unread."""
        if self.settings.method == "generate":
            return self._generated(prompts)
        scored = [bool(prompt.labels if self.settings.method == "letter" else prompt.options) for prompt in prompts]
        replies = iter(self._scored([prompt for prompt, has in zip(prompts, scored, strict=True) if has]))
        return [next(replies) if has else Reply("") for has in scored]

    def logprobs(self, continuations: Sequence[Continuation]) -> list[list[float]]:
        """For each continuation, the log-probability of each of its following tokens."""
        if self.why_plain is None:
            return score_with_shared_prefixes(self.model, continuations, self.settings.batch_tokens, self._progress)
        return score_sequences(self.model, continuations, self._progress)

    def _by_letter(self, prompt: Prompt) -> list[Continuation]:
        return self._within_context(self.tokens.encode_labels(self.tokens.render(prompt.content), prompt.labels))

    def _by_option(self, prompt: Prompt) -> list[Continuation]:
        return self._within_context(self.tokens.encode_options(self.tokens.render(prompt.content), prompt.options))

    def _within_context(self, continuations: list[Continuation]) -> list[Continuation]:
        """The continuations of one prompt with the middle of their context left out where they are too long."""
        most = self.context_tokens // 2
        following = [each.following[:most] for each in continuations]
        context = truncate_middle(continuations[0].context, self.context_tokens - max(map(len, following)))
        if len(context) < len(continuations[0].context) or any(len(each.following) > most for each in continuations):
            self.shortened += 1
        return [Continuation(context, each) for each in following]

    def _scored(self, prompts: Sequence[Prompt]) -> list[Reply]:
        asked = [
            self._by_letter(prompt) if self.settings.method == "letter" else self._by_option(prompt)
            for prompt in prompts
        ]
        logprobs = iter(self.logprobs([each for continuations in asked for each in continuations]))
        per_label = [[next(logprobs) for _ in continuations] for continuations in asked]
        if self.settings.method == "letter":
            scores = [[sum(tokens) for tokens in labels] for labels in per_label]
        else:
            scores = self._normalised(prompts, per_label)
        return [make_scored_reply(prompt.labels, values) for prompt, values in zip(prompts, scores, strict=True)]

    def _normalised(self, prompts: Sequence[Prompt], per_label: list[list[list[float]]]) -> list[list[float]]:
        sums = [[sum(tokens) for tokens in labels] for labels in per_label]
        match self.settings.normalise:
            case "sum":
                return sums
            case "token":
                return [[sum(tokens) / len(tokens) for tokens in labels] for labels in per_label]
            case "byte":
                return [
                    [value / max(1, len(option.encode())) for value, option in zip(values, prompt.options, strict=True)]
                    for values, prompt in zip(sums, prompts, strict=True)
                ]
            case "pmi":
                alone = self._unconditional({option for prompt in prompts for option in prompt.options})
                return [
                    [value - alone[option] for value, option in zip(values, prompt.options, strict=True)]
                    for values, prompt in zip(sums, prompts, strict=True)
                ]

    def _unconditional(self, options: set[str]) -> dict[str, float]:
        cue = RenderedPrompt(BARE_CUE, False, " ")
        ordered = sorted(options)
        shortened = self.shortened  # the bare cue is not a prompt of the user's
        asked = [self._within_context(self.tokens.encode_options(cue, [option]))[0] for option in ordered]
        self.shortened = shortened
        return {option: sum(tokens) for option, tokens in zip(ordered, self.logprobs(asked), strict=True)}

    def _generated(self, prompts: Sequence[Prompt]) -> list[Reply]:
        room = self.context_tokens - self.settings.max_new_tokens
        if room < 1:
            raise BadInput(
                f"max_new_tokens {self.settings.max_new_tokens} leaves no room in {self.context_tokens} of context"
            )
        whole = [
            self.tokens.encode(self.tokens.render(prompt.content, thinking=True)) or (self.tokens.start,)
            for prompt in prompts
        ]
        self.shortened += sum(len(ids) > room for ids in whole)
        sampling = SamplingSettings(self.settings.max_new_tokens, self.settings.temperature, self.settings.top_p)
        # padding behind a shared beginning would count as distance in a sliding window
        share = self.why_plain is None and not getattr(self.model.config.get_text_config(), "sliding_window", None)
        with self._seeds.batch() as next_seed:
            contexts = [truncate_middle(ids, room) for ids in whole]
            requests = [
                GenerationRequest(context, next_seed(context, prompt.repeat))
                for context, prompt in zip(contexts, prompts, strict=True)
            ]
            written = generate_after(
                self.model, requests, self.tokens.pad, sampling, self.settings.batch_tokens, share, self._progress
            )
        return [Reply(text) for text in self.tokens.tokenizer.batch_decode(written, skip_special_tokens=True)]
