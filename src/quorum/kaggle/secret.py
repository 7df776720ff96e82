"""What looks like a key, a token or a password in a text: a pushed kernel can be made public with one click."""

import math
import re
from collections import Counter

# The name of what is kept secret, perhaps a key in quotes and perhaps with a type, and a text of eight signs or more.
# What is no secret: a NAME_IN_CAPITALS, which is a variable that holds one, and a <token> of a vocabulary.
_CONFIDENTIAL = r"(?i:passwo?r?d\w*|passphrase\w*|secret\w*|api_?key\w*|token(?![a-z]))"
_NAMED = rf"(?:['\"]\w*{_CONFIDENTIAL}['\"]\]?|{_CONFIDENTIAL})\s*(?::[\w\s|.]+=|[:=]=?)\s*"
_GIVEN = r"(?i:[fbru]{0,2})(?P<quote>['\"])(?![A-Z_]+['\"]|[\s,)\]}<\[])(?:(?!(?P=quote)).){8,}(?P=quote)"
_SHAPES = {
    "a private key": r"-----BEGIN [A-Z ]*PRIVATE KEY(?: BLOCK)?-----",
    "a Kaggle token": r"\bKGAT_\w{16,}",
    "a Hugging Face token": r"\bhf_[A-Za-z0-9]{20,}",
    "an API key": r"\bsk-[A-Za-z0-9_-]{20,}",
    "a GitHub token": r"\b(gh[opsur]_[A-Za-z0-9]{30,}|github_pat_\w{30,})",
    "a service's token": r"\b(glpat-|npm_|pypi-|dckr_pat_|[rs]k_live_)[\w-]{16,}",
    "a bearer's token": r"\bBearer\s+[\w.~+/-]{16,}",
    "an AWS key": r"\b(AKIA|ASIA)[0-9A-Z]{16}\b",
    "a Google key": r"\bAIza[\w-]{35}",
    "a Slack token": r"\bxox[abprs]-[\w-]{10,}",
    "a signed token": r"\beyJ[\w-]{10,}\.eyJ[\w-]{10,}",
    "a password in an address": r"://[^/\s:@'\"{}]*:[^/\s:@'\"{}]+@",
    "a token in an address": r"://(?=[^/@]*\d)[^/\s:@'\"{}]{8,}@",
    "a password": _NAMED + _GIVEN,
}
# Kaggle's keys are 32 hexadecimal digits, Weights & Biases' 40; so are checksums and commits, which say what they are.
_HEX = r"(?i)(?<![0-9a-f])(?=[a-f]*\d)(?=\d*[a-f])(?:[0-9a-f]{32}|[0-9a-f]{40})(?![0-9a-f])"
_CHECKSUM = r"(?i)md5|sha_?1|revision|commit|hash|digest|checksum|etag"
_KEY = r"(?i)key|token(?![a-z])|wandb|secret|passw"
_ALLOWED = r"#.*\bno secret\b"  # said on the line itself


def find_secrets(text: str) -> list[str]:
    """Where `text` holds what looks like a secret, by shape or by disorder: "line 7: a GitHub token (ghp_…)".

    A line with the comment `# no secret` is passed over.
    """
    found = []
    for number, line in enumerate(text.splitlines(), 1):
        if re.search(_ALLOWED, line):
            continue
        for kind, shape in _SHAPES.items():
            found += [f"line {number}: {kind} ({match[0][:4]}…)" for match in re.finditer(shape, line)]
        found += [f"line {number}: a key in hexadecimal ({run[:4]}…)" for run in _hex_keys(line)]
        found += [f"line {number}: a random text ({run[:4]}…)" for run in _runs(line) if _is_random(run)]
    return list(dict.fromkeys(found))


def _hex_keys(line: str) -> list[str]:
    """All that are called a key; of those of 32 digits also what is not called a checksum."""
    called, checksum = re.search(_KEY, line), re.search(_CHECKSUM, line)
    return [run for run in re.findall(_HEX, line) if called or (len(run) == 32 and not checksum)]


def _runs(line: str) -> list[str]:
    return re.findall(r"[A-Za-z0-9+/_=-]{24,}", line)


def _is_random(run: str) -> bool:
    """Whether a run is as mixed as chance makes it; words joined by dashes, or by their capitals, are not.

    It has small letters, capitals, digits, ten of them or more in one piece, words of less than three signs, and the
    Shannon entropy of its own signs is near the log2(64 n / (64 + n)) + 0.25 bits that n random signs out of 64 come
    to (measured, n = 24 to 88).
    """
    mixed = all(re.search(kind, run) for kind in ("[a-z]", "[A-Z]", "[0-9]", "[A-Za-z0-9]{10}"))
    n = len(run)
    words = re.findall(r"[A-Z]?[a-z]+|[A-Z]+|[0-9]+|[+/_=-]", run)
    entropy = sum(-count / n * math.log2(count / n) for count in Counter(run).values())
    return mixed and n < 3 * len(words) and entropy > math.log2(64 * n / (64 + n)) - 0.15
