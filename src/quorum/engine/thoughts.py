"""Find the tags of reasoning blocks in prompts and replies: <think>, [THINK], ◁think▷, <|start_thinking|>."""

import re

from quorum.errors import BadInput

_TAG_TEXT = r"[^\s<>\[\]◁▷/]{0,20}"
_TAG_NAME = f"(?!\\W?no){_TAG_TEXT}(?:think|thought|reason|reflect|scratchpad){_TAG_TEXT}"
_OPENED_TAG = re.compile(f"(?i)(?:[<\\[◁]{_TAG_NAME}[>\\]▷])\\s*\\Z")
_REASONING_TAG = re.compile(
    f"(?i)\\A\\s*[<\\[◁]{_TAG_NAME}[>\\]▷]|[<\\[◁]/{_TAG_NAME}[>\\]▷]|<\\|end_{_TAG_NAME}>|<\\|channel\\|>(?:analysis|commentary)"
)
_START_WORD = re.compile(r"(?i)(?<=<\|)(?:start|begin)(?=_)")
_LONGEST_TAG = 80  # characters at the end of a prompt in which a tag is searched


def find_opened_tag(prompt: str) -> str:
    """Return the tag of the reasoning block that a prompt opens at its end, with white space after it; or nothing."""
    found = _OPENED_TAG.search(prompt, max(0, len(prompt) - _LONGEST_TAG))
    return found[0] if found else ""


def begins_with_reasoning(reply: str) -> bool:
    """Return whether a reply opens a reasoning block at its start, or closes one that its prompt opened."""
    return _REASONING_TAG.search(reply) is not None


def make_closing_tag(opened: str) -> str:
    """Return the tag that closes a reasoning block: </think> for <think>, <|end_thinking|> for <|start_thinking|>.

    Raises:
        BadInput: the tag has another form.
    """
    tag = opened.strip()
    if not tag.startswith("<|"):
        return f"{tag[0]}/{tag[1:]}"
    closing, count = _START_WORD.subn(lambda word: "END" if word[0].isupper() else "end", tag)
    if count != 1:
        raise BadInput(
            f"the model's chat template ends in {tag}, inside a reasoning block, and it is not known how to close it:"
            " scores of letters would not be answers; use method generate"
        )
    return closing
