"""List the words, in eight languages, with which replies state their answers.

English, German, French, Spanish, Vietnamese, Korean, Chinese and Japanese. Each constant is part of a pattern that
ignores case; every repetition in them is bounded.
"""

# A Latin letter before or after would make it another word; Chinese, Japanese and Korean have no spaces between words.
BEFORE_WORD, AFTER_WORD = r"(?<![a-zà-ỹ])", r"(?![a-zà-ỹ])"


def _join_words(latin: str, east: str = "") -> str:
    return f"(?:{BEFORE_WORD}(?:{latin}){AFTER_WORD}" + (f"|{east})" if east else ")")


ANSWER_WORDS = _join_words(
    r"(?<!/)(?:answers?|ans\.?|verdict|antwort(?:en)?|lösung|réponses?|reponse|respuestas?|đáp án|câu trả lời|trả lời)",
    r"정답|답변|해답|답(?=[은:이\s(])|答案|答え|正解|解答|回答|答(?=[:是为為はえ])|正确选项|正確選項",
)
CHOICE_WORDS = _join_words(
    "options?|choice|selection|statement|assertion|alternative|letter|conclusion|response|solution|claim"
    "|judge?ment|pick|label"
    "|prediction|opción|opcion|aussage|proposition|afirmación|lựa chọn|phương án",
    "选项|選項|보기|선택지|選択肢|选择|選擇",
)
LINK_WORDS = _join_words(
    "is|are|be|was|ist|lautet|wäre|sind|est|serait|es|sería|son|là|seems|becomes",
    r":|\|(?!\s{0,3}(?:\n|\Z))|[\]】]|(?<=\s)[-–—](?=\s)|=|->|→|⇒|(?<!=)>|은|는|이(?=\s)|(?:应该|應該|应|應|就)?(?:是|为|為)|は|が",
)
CHOOSE_WORDS = _join_words(
    "choose|chose|choosing|pick|select|selected|selecting|go(?:ing)? with|opt(?:ing)? for|vote for|settle on"
    "|answer with|corresponds? to|corresponding to|match(?:es|ing)?|(?:this|that|which|it) is|(?:that|it)['’]s"
    "|(?:that|this|which) leaves(?: us with| only)?|(?:it|this|that) (?:has to|must|can only) be"
    "|would say|i['’]d say|namely|supports?|makes?|making|points? to|leads? (?:us )?to"
    "|wähle|choisis|elijo|escojo|chọn",
    "故选|故選|应选|應選|选择|選擇|选|選",
)
DECIDING_WORDS = (  # "I'd go with", "nicht A, sondern": no noun with an article follows
    rf"{BEFORE_WORD}(?:i|we|let me|let us|let['’]s)(?:['’](?:d|ll|m|re))?\s(?:(?:would|will|am|are|shall)\s)?"
    r"(?:going to\s)?(?:choose|chose|pick(?:ed)?|select(?:ed)?|go(?:ing)? with|opt(?:ing)? for|vote for|settle on"
    r"|stick with)"
    rf"|{BEFORE_WORD}(?:sondern|sino){AFTER_WORD}|而是|아니라|ではなく"
)
BEST_WORDS = (  # "the most likely diagnosis is", "the author is best described as"
    rf"{BEFORE_WORD}(?:best|correct|closest|most (?:likely|plausible|probable|appropriate|accurate|suitable|reasonable"
    r"|fitting))\s(?:(?!not\s)[\w-]{2,20}\s){1,4}?(?:is|was|as|by|be)\s"
)
THEREFORE_WORDS = _join_words(
    "so|therefore|thus|hence|consequently|accordingly|in conclusion|also|daher|somit|folglich|donc|ainsi|por lo tanto"
    "|por tanto|entonces|así que|vậy|do đó|vì vậy",
    "∴|所以|因此|故|따라서|그러므로|したがって|よって",
)
GOOD_WORDS = "correct|right|best|accurate|appropriate|closest|nearest|suitable|answer"
GOOD_AFTER = (
    r"\s?(?:가|이|은|는)\s?(?:정답|맞|옳|올바)|\s?(?:が|は)\s?(?:正解|正しい|答え)|\s?是?(?:正确|正確)|\s?是答案"
    r"|\s(?:richtig|korrekt)(?=[.,!;])|\scomes closest"
    r"|\s(?:ist|est|es|là)\s(?:die |la |le )?(?:richtig|korrekt|correcte?|correct[oa]|juste|bonne|đúng|đáp án)"
)
# Words between the announcing word and the label: "the answer is clearly option (D)".
FILLING_WORDS = (
    "(?:(?:the|an|only|either|both|clearly|simply|therefore|thus|then|donc|also|somit|daher"
    "|entonces|vậy|most likely|more likely|likely|probably"
    "|definitely|approximately|about|indeed|still|closest to|best|correct|right|final|answer|option|choice|letter"
    "|number|statement|label|die|der|das|le|la|el|réponse|respuesta|opción|lettre|letra|buchstabe|lựa chọn|đáp án"
    rf"|phương án|câu|选项|選項|보기|選択肢){AFTER_WORD}[\s:,\"'(\[]{{0,4}}){{0,5}}"
)
AND_WORDS = rf"(?:[,/&;、]|(?:and/or|and|or|und|oder|et|ou|y|o|và|hoặc){AFTER_WORD}|和|或者|或|及|또는|または|と|와|과)"
BECAUSE_WORDS = (
    "because|since|due|given|here|which|with|and|or|but|not|rather|instead|based|porque|ya que|parce|car|puisque"
    "|weil|denn|da|vì"
    "|bởi|et|ou|und|oder|y|o|và|hoặc"
)
NONE_OF_THESE = (
    "none|not (?:listed|provided|given|available|present|included|among|in|on|one of|clear|possible)|cannot be"
    "|can['’]t be"
    rf"|no correct|undetermined|undefined|unknown|impossible|unclear|N/?A{AFTER_WORD}|neither|missing|null"
)

# --- words that retract a claim --------------------------------------------------------------------------------------

CONDITION_WORDS = _join_words("if|whether|suppose|assume|assuming|unless|imagine|wenn|falls|nếu")
ABANDONED_WORDS = _join_words(  # "I first thought the answer was", "most people would say"
    "thought|initially|originally|at first|first (?:guess|instinct|thought|impression)|tempt(?:ed|ing)"
    "|(?:many|most|some|others|one|you) (?:would|might|may|will|could|said|say|chose|choose|claim|pick|picked)"
    "|students|people|sources|textbooks|(?:user|key|textbook|student|author) (?:says|said|claims|suggests|thinks)"
    "|(?:common|frequent) (?:mistake|error|misconception)|ursprünglich|zuerst"
    "|au début|d['’]abord|al principio|inicialmente|ban đầu|lúc đầu",
    "一开始|起初|原以为|처음에는|最初は",
)
NOT_BEFORE = (  # "the wrong answer is", "if the answer is", "I do not think the answer is"
    rf"(?:{BEFORE_WORD}(?:wrong|incorrect|false|initial|previous|original|earlier|tentative"
    r"|not (?:the|an?)|isn['’]t (?:the|an?)|falsche|mauvaise|incorrecta)\s"
    rf"|(?:{CONDITION_WORDS}|{ABANDONED_WORDS})\s[^.\n,;:]{{0,25}}"
    rf"|(?:n['’]t|{BEFORE_WORD}(?:not|never|doubt|cannot|neither))\s[^.\n,;:]{{0,25}}|不)\Z"
)
NOT_LINKED = rf"(?:n['’]t\s|{BEFORE_WORD}(?:not|never|cannot|no|nicht)\s|không\s|không phải\s|不|并非|並非)\Z"
NOT_AFTER = (  # "the answer is (A) is wrong", "the answer is A, right?", "정답은 B가 아닙니다"
    r"[)\]\"'}]{0,2}\s?(?:(?:is|are|was|can|could|would|should)(?:\s(?:not|never|wrong|false|in(?:correct"
    r"|accurate|valid)"
    r"|eliminated|ruled out|also)|n['’]t)\b|(?:가|이|은|는)\s?아[니닙]|ではな|ではあり|じゃな|nicht"
    r"|(?:,\s(?:right|correct|no|yes))?\?"
    r"|\.\s(?:but |however,? )?(?:that|this)(?:['’]s| is| was)(?: clearly| actually| also)?"
    r" (?:wrong|incorrect|not (?:right|correct))(?! (?:if|when|for)))"
)
REVISING_WORDS = _join_words(
    r"wait|actually|however|but|no|sorry|correction|corrected|mistake|mistaken|instead|re-?check\w{0,4}"
    r"|reconsider\w{0,4}"
    r"|second thought|oops|hmm|rather|revis\w{1,5}|let me|moment|doch|mais|pero|nhưng",
    "不对|不對|等等|아니|잠깐|いや|待って",
)
DENYING_WORDS = _join_words(
    r"not|never|wrong|incorrect|false|except|unlike|neither|nor|none|cannot|eliminat\w{1,5}|rul(?:e|es|ed"
    r"|ing) out|than|no|nicht|pas|không",
    r"n['’]t|不|아니|ない|ません",
)

RETRACTING_WORDS = _join_words(
    "wait|actually|sorry|correction|on (?:second thought|closer inspection|reflection)|or (?:rather|maybe|perhaps"
    "|possibly)|moment|doch|en fait|en realidad",
    "不对|不對|아니|잠깐|いや|待って",
)
RECANTING_WORDS = (  # "wait, that's wrong", "hmm, I made a mistake": no other answer follows
    rf"{BEFORE_WORD}(?:wait|hmm|oops|no|actually|sorry|hold on|scratch that){AFTER_WORD}[^\n.]{{0,20}}?(?:{BEFORE_WORD}"
    r"(?:that|this|it)(?:(?:['’]s| is| was)(?: clearly| actually)? (?:wrong|incorrect|not (?:right|correct)|a mistake)"
    r"|(?: can['’]t be| isn['’]t| is not| wasn['’]t) (?:right|correct))"
    rf"|{BEFORE_WORD}i(?:['’]ve)? (?:made|have made) (?:a|an) (?:\w{{1,12}} )?(?:mistake|error))"
)

# --- words of texts without an answer --------------------------------------------------------------------------------

NEXT_QUESTION = (  # the model asks itself another question, or lists its answers to several
    r"\n[\s>*#\-]{0,6}(?:(?:question|q|problem|exercise|user|human|instruction|input|frage|pregunta|câu hỏi|câu|问题"
    r"|問題|문제|질문)\s{0,2}(?:\d{1,3}|no\.?\s?\d{1,3})?\s{0,2}[:.\n]"
    r"|(?:now|so),?\s[^\n]{0,60}\ball (?:the |of the |these )?(?:answers|questions)|[^\n]{0,30}总结[^\n]{0,12}答案)"
)
REFUSING_WORDS = (
    r"(?:can(?:not|['’]t|no)|unable to|won['’]t|not able to|will not) (?:\w{1,12} ){0,3}?(?:answer|provide"
    r"|assist|help|determine"
    r"|choose|comply|select|give)|i['’]m sorry|as an ai|not enough information|insufficient information"
    r"|无法|抱歉|죄송|申し訳|không thể|lo siento|leider|désolé"
)
