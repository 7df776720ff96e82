"""How likely a model finds what may follow: the plain way, one sequence at a time.

Slow, and so simple that it is right: the reference that the shared-prefix way is tested against.
"""

from collections.abc import Sequence
from itertools import groupby
from typing import Any

from quorum.console import Progress
from quorum.engine.tokens import Continuation


def score_sequences(
    model: Any, continuations: Sequence[Continuation], progress: Progress | None = None
) -> list[list[float]]:
    """For each continuation, the natural log-probability of each of its following tokens, over the whole vocabulary.

    Neighbours that share all but their last token (the letters of a question) share one run.
    """
    import torch

    scores: list[list[float]] = []
    for (context, read), alike in groupby(continuations, key=lambda each: (each.context, each.following[:-1])):
        tokens = torch.tensor([context + read], device=model.device)
        with torch.inference_mode():
            logits = model(tokens, use_cache=False, logits_to_keep=len(read) + 1).logits[0]
        logprobs = logits.float().log_softmax(-1)
        for each in alike:
            asked = torch.tensor(each.following, device=logprobs.device)
            scores.append(logprobs.gather(1, asked[:, None])[:, 0].tolist())
        if progress is not None:
            progress(len(scores), len(continuations))
    return scores
