"""What looks like a key, a token or a password in a text: a pushed kernel can be made public with one click."""

import math
import re
from collections import Counter

_SHAPES = {
    "a private key": r"-----BEGIN [A-Z ]*PRIVATE KEY-----",
    "a Kaggle token": r"\bKGAT_\w{16,}",
    "a Hugging Face token": r"\bhf_[A-Za-z0-9]{20,}",
    "an API key": r"\bsk-[A-Za-z0-9_-]{20,}",
    "a GitHub token": r"\b(gh[opsur]_[A-Za-z0-9]{30,}|github_pat_\w{30,})",
    "an AWS key": r"\b(AKIA|ASIA)[0-9A-Z]{16}\b",
    "a Google key": r"\bAIza[\w-]{35}",
    "a Slack token": r"\bxox[abprs]-[\w-]{10,}",
    "a signed token": r"\beyJ[\w-]{10,}\.eyJ[\w-]{10,}",
    "a password in an address": r"://[^/\s:@'\"{}]+:[^/\s:@'\"{}]+@",
    "a password": r"(?i)\b\w*(passwo?r?d|secret|api_?key|auth_?token)\b['\"]?\s*[:=]\s*['\"][^'\"\s]{8,}['\"]",
    "a Kaggle key": r"(?<![0-9a-f])(?=[a-f]*\d)(?=\d*[a-f])[0-9a-f]{32}(?![0-9a-f])",  # 40 and 64 are digests
}


def find_secrets(text: str) -> list[str]:
    """Where `text` holds what looks like a secret, by shape or by disorder: "line 7: a GitHub token (ghp_…)"."""
    found = []
    for number, line in enumerate(text.splitlines(), 1):
        for kind, shape in _SHAPES.items():
            found += [f"line {number}: {kind} ({match[0][:4]}…)" for match in re.finditer(shape, line)]
        found += [f"line {number}: a random text ({run[:4]}…)" for run in _runs(line) if _is_random(run)]
    return list(dict.fromkeys(found))


def _runs(line: str) -> list[str]:
    return re.findall(r"[A-Za-z0-9+/_=-]{24,}", line)


def _is_random(run: str) -> bool:
    """Whether a run is as mixed as chance makes it; words joined by dashes are not.

    It has small letters, capitals, digits, ten of them or more in one piece, and the Shannon entropy of its own signs
    is near the log2(64 n / (64 + n)) + 0.25 bits that n random signs out of 64 come to (measured, n = 24 to 88).
    """
    mixed = all(re.search(kind, run) for kind in ("[a-z]", "[A-Z]", "[0-9]", "[A-Za-z0-9]{10}"))
    n = len(run)
    entropy = sum(-count / n * math.log2(count / n) for count in Counter(run).values())
    return mixed and entropy > math.log2(64 * n / (64 + n)) - 0.15
