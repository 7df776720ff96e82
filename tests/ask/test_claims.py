"""Claims of a reply: what follows a label, lists, numerals, repeated sentences, quoted options, cut replies."""

import pytest

from quorum.ask.reply import ballot_from_reply, parse_reply
from quorum.question import Prompt, ReasoningMarkers, Reply

FOUR, TEN = tuple("ABCD"), tuple("ABCDEFGHIJ")


def read(text: str, labels: tuple[str, ...] = FOUR, options: tuple[str, ...] = ()) -> str | None:
    return parse_reply(text, labels, options).label


@pytest.mark.parametrize(
    ("text", "label"),
    [
        ("【答案】A<eoa>", "A"),
        ("Option C is the past tense.<eor>\nAnswer: C <eoa>", "C"),
        ("B<eoa>", "B"),
        ("Final answer: B<|endofanswer|>", "B"),
        ("Answer: D<EOT>", "D"),
        (
            "A选项表示或者，B选项表示除非，C选项表示但是，D选项表示是否。"
            "所以这里只有B选项符合句子的意思。 <eor>\n【答案】B <eoa>",
            "B",
        ),
        ("Answer: C ★", "C"),
        ("Answer: C؛ the others are wrong", "C"),
        ("The answer is B†", "B"),
        ("Answer: B → so the river floods", None),
        ("Answer: A = 5", None),
        ("The answer is A+B", None),
        ("The answer is B cells", None),
    ],
)
def test_anything_but_a_word_or_a_formula_may_follow_a_label(text: str, label: str | None) -> None:
    assert read(text) == label


@pytest.mark.parametrize(
    "text",
    [
        "I would choose (C) here.\nFinal answer: 300,000 km/s",
        "(B) is the best choice so far.\nAnswer: E",
        "I would choose B.\n答案: X",
    ],
)
def test_an_announced_answer_that_cannot_be_parsed_is_not_replaced_by_a_weaker_claim_before_it(text: str) -> None:
    assert parse_reply(text, FOUR).reason in ("unclear answer", "no such label")
    assert read(text) is None


def test_a_choice_after_an_announcement_that_cannot_be_parsed_is_read() -> None:
    assert read("Answer: Let me think about E. coli first.\nI would choose B.") == "B"
    assert read("We solve for x to get the answer: x = $1,400 (C).") == "C"


@pytest.mark.parametrize(
    "text",
    [
        "Let's consider each choice:\n(A) means that the doctors are helpful",
        "Let's consider the choice:\n(A) means rude doctors.\n(B) means helpful doctors.",
        "These are the options:\nA. Paris\nB. Rome",
        "We check every option: A. Paris is large; B. Rome is old",
        "Possible answers:\nA. Paris\nB. Rome\n",
    ],
)
def test_a_list_of_options_is_not_a_choice(text: str) -> None:
    assert read(text) is None


def test_a_choice_with_its_own_text_is_no_list() -> None:
    assert read("The correct choice:\n(A) Paris", options=("Paris", "Rome", "Oslo", "Bonn")) == "A"
    assert read("Answer:\nC. Oslo") == "C"


@pytest.mark.parametrize(
    ("text", "label"),
    [
        ("The answer is I, II, and III.", None),
        ("The correct statements are I and II.", None),
        ("Statement I is correct, and statement II is false.", None),
        ("Only I is right; II and III are not.", None),
        ("Statements I and III hold. The answer is (I).", "I"),
        ("The answer is I.", "I"),
        ("The answer is (I).", "I"),
    ],
)
def test_a_roman_numeral_is_no_label(text: str, label: str | None) -> None:
    assert read(text, TEN) == label


@pytest.mark.parametrize(
    ("text", "number"),
    [
        ("The answer is x - 10.", None),
        ("The remaining amount is y - 7.", None),
        ("The answer is 10 - x.", None),
        ("The answer is 2x + 5.", None),
        ("The answer is 3(x+1).", None),
        ("The answer is n + 1.", None),
        ("The answer is -10.", "-10"),
        ("Answer: x = -10", "-10"),
        ("The answer is 15 - 5 = 10", "10"),
        ("If she had sold them all, it would be 3100.", None),
        ("It would be 3100 if he sold all of them.", None),
        ("If he had worked on all days, the answer would be 3100.", None),
        ("If x is 3, then the answer is 5.", "5"),
        ("The answer is 10:30.", None),
        ("The train leaves at 8:30 am and arrives at 5 pm.", None),
        ("Answer: She has 3*5=15 apples. She eats 4, so she has 15-4=11 apples.", "11"),
        ("Answer: 18. She makes 9*2=18 dollars.", "18"),
        (
            "Answer: There are 4 rows with 12 seats each, so there are 4*12=48 seats in the large hall in all. Of those"
            " 10 seats are broken, so there are 48-10=38 seats that people can use in the evening. Tonight 30 people"
            " came, and each of them brought one friend, so 30*2=60 people want seats, so 60-38=22 of them stand.",
            "22",
        ),
        ('{"work": "4*12=48", "answer": "4*12=48 and 48-10=38"}', "38"),
    ],
)
def test_a_number_is_read_only_where_it_is_the_answer(text: str, number: str | None) -> None:
    assert parse_reply(text, ()).label == number


@pytest.mark.parametrize(
    ("text", "number"),
    [
        ("The answer is 1,00,000.", "100000"),
        ("उत्तर: 12,34,567", "1234567"),
        ("Total = Rs. 1,50,000", "150000"),
        ("The answer is ₹2,50,000.50", "250000.5"),
        ("#### 1,00,000", "100000"),
        ("The answer is 1,234,567.", "1234567"),
        ("The answer is 1,2,3.", None),
        ("The answer is 1,23,45.", None),
    ],
)
def test_indian_grouping_of_digits_is_read(text: str, number: str | None) -> None:
    assert parse_reply(text, ()).label == number


def test_an_option_in_indian_grouping_is_found_by_its_text() -> None:
    options = ("1,00,000", "2,00,000", "3,00,000", "4,00,000")
    assert read("The answer is 200,000.", options=options) == "B"
    assert read("The answer is 3,00,000.", options=options) == "C"


def test_two_claims_share_one_vote() -> None:
    parsed = parse_reply("The answer is (A) or (C).", FOUR)
    assert (parsed.label, parsed.reason, parsed.ballot) == (None, "two claims", {"A": 0.5, "C": 0.5})
    prompt = Prompt(question_id="q", content="?", labels=FOUR)
    assert ballot_from_reply(Reply("The answer is (A) or (C)."), prompt) == {"A": 0.5, "C": 0.5}


def test_a_correction_shares_the_vote_with_what_it_corrects() -> None:
    assert parse_reply("The answer is A... no wait, it's C.", FOUR).ballot == {"A": 0.5, "C": 0.5}
    assert parse_reply("Answer: A\n\nWait, that's wrong. Let me recompute:", FOUR).ballot == {}


@pytest.mark.parametrize("text", ["A, B, C, D", "The answer is (A), (B), (C) and (D)."])
def test_a_claim_of_every_label_is_none(text: str) -> None:
    assert parse_reply(text, FOUR).ballot == {}


def test_the_last_claim_counts_where_one_sentence_is_repeated() -> None:
    parsed = parse_reply("The answer is (B).\n\nThe answer is (H).\n\nThe answer is (E).\n", TEN)
    assert (parsed.label, parsed.reason, parsed.ballot) == ("E", "repeated", {"E": 1.0})
    assert parse_reply("The answer is (B).\n\nFinal Answer: The answer is (H).", TEN).ballot == {"B": 0.5, "H": 0.5}


@pytest.mark.parametrize(
    "text",
    [
        "C. The answer is A",
        "**C. The answer is A**",
        'The correct option is C: "The answer is A"',
        "Answer: C) The answer is A",
    ],
)
def test_an_option_that_speaks_of_an_answer_is_no_claim(text: str) -> None:
    options = ("Paris", "Answer: B", "The answer is A", "none of the above")
    assert read(text, options=options) == "C"


@pytest.mark.parametrize(
    ("text", "label"),
    [
        ("정답은 ④", "D"),
        ("정답: ③", "C"),
        ("答案是②。", "B"),
        ("④", "D"),
        ("Answer: ❸", "C"),
        ("Answer: Ⓑ", "B"),
        ("정답은 ⓑ입니다.", "B"),
        ("Ⓒ", "C"),
        ("①③正确，②④错误。", None),
        ("正确的有①③，故选B。", "B"),
        ("Answer: ⑥", None),
    ],
)
def test_a_circled_digit_or_letter_is_a_label(text: str, label: str | None) -> None:
    assert read(text) == label


def test_a_circled_digit_is_no_label_where_options_have_them() -> None:
    assert read("答案是②。", options=("①②", "②", "③", "①③")) != "D"
    assert parse_reply("答案是②。", FOUR, ("①②", "①③", "③④", "②④")).label is None


CUT = [
    ("The answer is A\n\nBut wait, I have", {"A": 0.5}),
    ("The answer is (B) because the river", {"B": 0.5}),
    ("B. Rome, which was", {"B": 0.5}),
    ("B\nThe city was", {"B": 0.5}),
    ("B", {"B": 0.5}),
    ("So we see that (C) is correct. Now consider the", {}),
    ("Let us go through the options. The first", {}),
    ("", {}),
    ("The answer is (B).\n\nQuestion: What is the capital of", {"B": 1.0}),
]


@pytest.mark.parametrize(("text", "ballot"), CUT)
def test_a_cut_reply_is_read_only_where_it_announces_an_answer(text: str, ballot: dict[str, float]) -> None:
    prompt = Prompt(question_id="q", content="?", labels=FOUR)
    assert ballot_from_reply(Reply(text, finish="length"), prompt) == ballot
    if not ballot and text:
        assert parse_reply(text, FOUR, finish="length").reason == "cut off"


def test_a_finished_reply_is_a_whole_vote() -> None:
    prompt = Prompt(question_id="q", content="?", labels=FOUR)
    for finish in ("", "stop"):
        assert ballot_from_reply(Reply("The answer is (B) because of the river", finish=finish), prompt) == {"B": 1.0}


def test_a_prompts_markers_are_used() -> None:
    markers = ReasoningMarkers(start="<unused94>thought", end="<unused95>")
    prompt = Prompt(question_id="q", content="?", labels=FOUR, markers=markers)
    text = "<unused94>thought\nThe answer is A.<unused95>The answer is B."
    assert ballot_from_reply(Reply(text), prompt) == {"B": 1.0}
    assert ballot_from_reply(Reply("<unused94>thought\nThe answer is A."), prompt) == {}
