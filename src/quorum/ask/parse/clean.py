"""Remove markup and later turns from a reply."""

import re
import unicodedata
from string import ascii_uppercase

_TURN_ENDS = re.compile(
    r"<\|(?:im_end|eot_id|eot|end|endoftext|end_of_text|return|user|im_start)\|>|</s>|<end_of_turn>|\[INST\]"
)
_OPENING = re.compile(r"^\s{0,9}(?:<\|im_start\|>(?:assistant)?|<\|assistant\|>|<s>|<bos>|\[/INST\])\s{0,9}")

_WIDE = re.compile(
    "[\uff01-\uff5e\u249c-\u24e9\U0001d400-\U0001d7ff\U0001f130-\U0001f149\U0001f150-\U0001f169\U0001f170-\U0001f189]+"
)
_CIRCLED_LETTERS = {  # Ⓐ ⓐ 🅐 🅰
    chr(base + place): letter
    for base in (0x24B6, 0x24D0, 0x1F150, 0x1F170)
    for place, letter in enumerate(ascii_uppercase)
}
_UNSEEN = re.compile("[\u200b-\u200f\u2060\ufeff\u00ad\ufe0f]+")
_FONT = re.compile(
    r"\\(?:text|textbf|textit|textrm|textsf|texttt|mathrm|mathbf|mathsf|mathit|mathtt|operatorname|boldsymbol|bm"
    r"|underline|emph|mbox)\s?\{([^{}]{0,300})\}"
)
_LATEX_MARKS = re.compile(
    r"\\[()\[\],;!: ]|\\(?:left|right|quad|qquad|displaystyle|bf|rm|Large|large)(?![A-Za-z])|\\\\"
)
_TAG = re.compile(r"</?(?:b|i|u|em|strong|p|div|span|code|pre|mark|h[1-6]|li|ul|ol|sub|center)(?:\s[^<>]{0,200})?>")
# Any other tag ends a line: a prompt's own marks of an end, such as <eoa>. <answer> and </answer> are read.
_OTHER_TAG = re.compile(r"(?<![A-Za-z]{2})</?[|｜]?(?!(?i:answer|true|false)\b)[A-Za-z][\w▁:-]{1,30}[|｜]?>")
_SUM = re.compile(r"<<[^<>\n]{1,100}>>")  # a calculator's note, as GSM8K writes it: 9 * 2 = <<9*2=18>>18
_SPECIES = re.compile(  # the E of E. coli is not a label
    r"[A-Z](?<![A-Za-z].)\.\s?(?=(?:coli|elegans|difficile|thaliana|melanogaster|subtilis|pylori|albicans|botulinum|cereus"
    r"|anthracis|fragilis|trachomatis|burgdorferi|jejuni|perfringens|diphtheriae|tetani|sapiens)\b)"
)
_BREAK = re.compile(r"<br\s?/?>|\r\n?")
# 3*4 and 2**3 are sums, not emphasis. Each alternative begins with its mark, because such a search is much faster.
_EMPHASIS = re.compile(
    r"\*\*\*?(?!\d)|\*(?<!\d\*)\*\*?|\*(?<!\w\*)(?=\S)|\*(?<=\S\*)(?!\w)|``?`?|~~|_(?<!\w_)_?_?(?=\w)|_(?<=\w_)_?_?(?!\w)"
)


def strip_markup(text: str) -> str:
    """Return `text` up to the end of the turn, without Markdown, HTML and LaTeX marks, and with plain ASCII letters."""
    if "<" in text or "INST]" in text:
        text = _OPENING.sub("", text, count=1)
        if (end := _TURN_ENDS.search(text)) is not None:
            text = text[: end.start()]
    if not text.isascii():
        text = fold_letters(text)
    if "<" in text or "\r" in text:
        text = _BREAK.sub("\n", text)
    text = _SPECIES.sub(_lower_match, text)
    if "<" in text:
        text = _OTHER_TAG.sub("\n", _TAG.sub("", _SUM.sub("", text)))
    if "\\" in text:
        text = text.replace("\\%", "%").replace("\\$", "$").replace("{,}", ",")
        for _ in range(3):  # fonts nest: \textbf{\text{B}}
            text = _FONT.sub(r"\1", text)
        text = _LATEX_MARKS.sub(" ", text)
    return _EMPHASIS.sub("", text) if any(mark in text for mark in "*_`~") else text


def fold_letters(text: str) -> str:
    """Return `text` with plain letters for wide, circled and mathematical ones, plain spaces, and nothing unseen."""
    text = _UNSEEN.sub("", _WIDE.sub(_normalise_wide, text))
    return text.replace("\u3000", " ").replace("\u00a0", " ")


def _normalise_wide(wide: re.Match[str]) -> str:
    return "".join(
        f"({_CIRCLED_LETTERS[one]})" if one in _CIRCLED_LETTERS else unicodedata.normalize("NFKC", one)
        for one in wide[0]
    )


def _lower_match(found: re.Match[str]) -> str:
    return found[0].lower()
