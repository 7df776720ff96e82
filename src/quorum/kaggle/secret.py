"""Find keys, tokens and passwords in a text before it is pushed: one click makes a kernel public."""

import math
import re
from collections import Counter

# The name of a secret, perhaps quoted as a key or with a type annotation, and a text of eight characters or more.
# Not secrets: a NAME_IN_CAPITALS, which is a variable with a secret, and a <token> of a vocabulary.
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
# Keys of Kaggle have 32 hexadecimal digits, those of Weights & Biases 40; so have checksums and commits, but their line
# names them.
_HEX = r"(?i)(?<![0-9a-f])(?=[a-f]*\d)(?=\d*[a-f])(?:[0-9a-f]{32}|[0-9a-f]{40})(?![0-9a-f])"
_CHECKSUM = r"(?i)md5|sha_?1|revision|commit|hash|digest|checksum|etag"
_KEY = r"(?i)key|token(?![a-z])|wandb|secret|passw"
_ALLOWED = r"#.*\bno secret\b"  # a comment on the line itself


def find_secrets(text: str) -> list[str]:
    """Return the possible secrets in `text`, found by form or randomness: "line 7: a GitHub token (ghp_…)".

    A line with the comment `# no secret` is skipped.
    """
    secrets = []
    for number, line in enumerate(text.splitlines(), 1):
        if re.search(_ALLOWED, line):
            continue
        for kind, shape in _SHAPES.items():
            secrets += [f"line {number}: {kind} ({match[0][:4]}…)" for match in re.finditer(shape, line)]
        secrets += [f"line {number}: a key in hexadecimal ({run[:4]}…)" for run in _find_hex_keys(line)]
        secrets += [f"line {number}: a random text ({run[:4]}…)" for run in _find_long_runs(line) if _is_random(run)]
    return list(dict.fromkeys(secrets))


def _find_hex_keys(line: str) -> list[str]:
    """Return all hexadecimal runs if the line names a key; otherwise those of 32 digits, unless it names a checksum."""
    names_key, names_checksum = re.search(_KEY, line), re.search(_CHECKSUM, line)
    return [run for run in re.findall(_HEX, line) if names_key or (len(run) == 32 and not names_checksum)]


def _find_long_runs(line: str) -> list[str]:
    return re.findall(r"[A-Za-z0-9+/_=-]{24,}", line)


def _is_random(run: str) -> bool:
    """Return whether a run of characters seems random; words joined by dashes or by their capitals do not.

    A random run has lower-case letters, capitals, digits, ten letters or digits in a row, and words of less than three
    characters on average. The Shannon entropy of its characters is at most 0.4 bits below that of random characters:
    n random characters out of 64 have log2(64 n / (64 + n)) + 0.25 bits (measured, n = 24 to 88).
    """
    mixed = all(re.search(kind, run) for kind in ("[a-z]", "[A-Z]", "[0-9]", "[A-Za-z0-9]{10}"))
    n = len(run)
    words = re.findall(r"[A-Z]?[a-z]+|[A-Z]+|[0-9]+|[+/_=-]", run)
    entropy = sum(-count / n * math.log2(count / n) for count in Counter(run).values())
    return mixed and n < 3 * len(words) and entropy > math.log2(64 * n / (64 + n)) - 0.15
