"""List the words with which replies state their answers.

English, German, French, Spanish, Italian, Portuguese, Polish, Turkish, Indonesian, Vietnamese, Russian, Hindi, Arabic,
Thai, Korean, Chinese and Japanese. Each constant is part of a pattern that ignores case; every repetition in them is
bounded.
"""

from quorum.ask.parse.places import LETTER, Alternatives

# A letter before or after would make it another word; Chinese, Japanese and Korean have no spaces between words.
BEFORE_WORD, AFTER_WORD = f"(?<!{LETTER})", f"(?!{LETTER})"

ANSWER_WORDS = Alternatives(
    r"answers?|ans\.?|verdict|antwort(?:en)?|lösung|réponses?|reponse|respuestas?|đáp án|câu trả lời|trả lời"
    r"|rispost[ae]|soluzione|respostas?|gabarito|solução|jawab(?:an(?:nya)?)?|odpowied(?:ź|zi"
    r"|zią)(?: to)?|rozwiązanie(?: to)?"
    r"|cevab(?:ı|ımız)|cevap|yanıt(?:ı|ımız)?|ответ(?:ом|а)?|उत्तर|जवाब|सही विकल्प|(?:właściw|poprawn"
    r"|prawidłow)[aą] opcj[aą](?: to)?|doğru (?:seçenek|şık)",
    r"정답|답변|해답|답(?=[은:이\s(])|答案|答え|正解|解答|回答|答(?=[:是为為はえ])|正确选项|正確選項|【答】"
    r"|إجابة|اجابة|الجواب|جوابي|คำตอบ|ตอบ|เฉลย",
    before=f"(?<!{LETTER})(?<!/)",
)
CHOICE_WORDS = Alternatives(
    "options?|choice|selection|statement|assertion|alternative|letter|conclusion|response|solution|claim"
    "|judge?ment|pick|label|prediction|opción|opcion|aussage|proposition|afirmación|lựa chọn|phương án"
    "|opzione|alternativa|affermazione|lettera|opção|letra|afirmação|pilihan|opsi|pernyataan"
    "|opcj[aąę](?: to)?|wariant(?: to)?|stwierdzenie"
    "|seçenek|seçeneği|şık|şıkkı|вариант(?:ом)?|утверждение|विकल्प|कथन",
    "选项|選項|보기|선택지|選択肢|选择|選擇|الخيار|الاختيار|العبارة|ตัวเลือก|ข้อ",
)
LINK_WORDS = Alternatives(
    "is|are|be|was|ist|lautet|wäre|sind|est|serait|es|sería|son|là|seems|becomes|è|sarebbe|sono|é|seria|são"
    "|adalah|ialah|yaitu|yakni|jest|będzie|brzmi|является|будет",
    r":|\|(?!\s{0,3}(?:\n|\Z))|[\]】]|(?<=\s)[-–—](?=\s)|=|->|→|⇒|(?<!=)>|['’]s(?=\s)|은|는|이(?=\s)|(?:应该|應該|应|應|就)?(?:是|为|為)|は|が"
    r"|(?<=\s)(?:هي|هو)(?=\s)|คือ|ได้แก่",
)
CHOOSE_WORDS = Alternatives(
    "choose|chose|choosing|pick|select|selected|selecting|go with|going with|opt for|opting for|vote for|settle on"
    "|answer with|corresponds? to|corresponding to|match(?:es|ing)?|(?:this|that|which) is|it is|it's|it’s|that['’]s"
    "|(?:that|this|which) leaves(?: us with| only)?|(?:this|that) (?:has to|must|can only) be|it has to be|it must be"
    "|it should be|it can only be|would say|i'd say|i’d say"
    "|namely|supports?|mak(?:es?|ing)|points? to|leads? (?:us )?to"
    "|wähle|choisis|elijo|escojo|chọn|scelgo|scegliamo|escolho|escolhemos|memilih|pilih|wybieram|выбираю|seçiyorum",
    "故选|故選|应选|應選|选择|選擇|选|選|أختار|نختار|เลือก",
)
DECIDING_WORDS = (  # "I'd go with", "nicht A, sondern": no noun with an article follows
    rf"{BEFORE_WORD}(?:i|we|let me|let us|let['’]s)(?:['’](?:d|ll|m|re))?\s(?:(?:would|will|am|are|shall)\s)?"
    r"(?:going to\s)?(?:choose|chose|pick(?:ed)?|select(?:ed)?|go(?:ing)? with|opt(?:ing)? for|vote for|settle on"
    r"|stick with|lean(?:ing)? (?:towards?|to))"
    rf"|{BEFORE_WORD}(?:sondern|sino|bensì|mas sim|melainkan|lecz){AFTER_WORD}|而是|아니라|ではなく|بل"
)
DECIDING_STEMS = (
    *(f"{word}{mark}" for word in ("i", "we", "let me", "let us", "let") for mark in (" ", "\n", "'", "’")),
    *("sondern", "sino", "bensì", "mas sim", "melainkan", "lecz", "而是", "아니라", "ではなく", "بل"),
)
BEST_WORDS = (  # "the most likely diagnosis is", "the author is best described as"
    rf"{BEFORE_WORD}(?:best|correct|closest|most (?:likely|plausible|probable|appropriate|accurate|suitable|reasonable"
    r"|fitting))\s(?:(?!not\s)[\w-]{2,20}\s){1,4}?(?:is|was|as|by|be)\s"
)
BEST_STEMS = ("best", "correct", "closest", "most ")
THEREFORE_WORDS = Alternatives(
    "so|therefore|thus|hence|consequently|accordingly|in conclusion|also|daher|somit|folglich|donc|ainsi|por lo tanto"
    "|por tanto|entonces|así que|vậy|do đó|vì vậy|quindi|dunque|pertanto|perciò|portanto|assim|jadi|maka"
    "|oleh karena itu"
    "|dengan demikian|zatem|więc|dlatego|następnie|dolayısıyla|bu nedenle|bu yüzden|поэтому|следовательно|итак|значит"
    "|таким образом|अतः|इसलिए",
    "∴|所以|因此|故|따라서|그러므로|したがって|よって|إذن|لذلك|لذا|ดังนั้น|เพราะฉะนั้น",
)
GOOD_WORDS = "correct|right|best|accurate|appropriate|closest|nearest|suitable|answer"
GOOD_AFTER = (
    r"\s?(?:가|이|은|는)\s?(?:정답|맞|옳|올바)|\s?(?:が|は)\s?(?:正解|正しい|答え)|\s?是?(?:正确|正確)|\s?是答案"
    r"|\s(?:richtig|korrekt)(?=[.,!;])|\scomes closest"
    r"|\s(?:ist|est|es|là|è|é|to|jest|adalah)\s(?:die |la |le |a |quella )?(?:risposta |resposta |alternativa |opção )?"
    r"(?:richtig|korrekt|correcte?|correct[oa]|juste|bonne|đúng|đáp án|corrett[ao]|giust[ao]|esatt[ao]"
    r"|corret[ao]|cert[ao]"
    r"|(?:poprawn|prawidłow)[ay]|jawaban(?:nya)? yang (?:benar|tepat)|jawaban(?:nya)?|yang benar)"
    r"|\s(?:benar|şıkkı doğru|doğru(?: cevap)?)(?=\w{0,4}[\s.,;!]|$)|\s(?:является )?(?:верн|правильн)\w{1,3}"
    r"|\sसही|\s(?:هو|هي)\s(?:الخيار |الإجابة |الجواب )?الصحيح|\s?(?:ถูกต้อง|เป็นคำตอบ|คือคำตอบ)"
)
# A verb or a suffix after a label: "उत्तर B है", "Cevap B'dir", "B şıkkıdır".
COPULA_AFTER = r"(?:\s?(?:है|होगा|होगी)|['’]?[dt][iıuü]r|\s(?:şıkkı|seçeneği)(?:d[iıuü]r)?(?=[\s.!]|$))"
# Words between the announcing word and the label: "the answer is clearly option (D)".
FILLING_WORDS = (
    "(?:(?:the|an|only|either|both|clearly|simply|therefore|thus|then|donc|also|somit|daher"
    "|entonces|vậy|most likely|more likely|likely|probably"
    "|definitely|actually|approximately|about|indeed|still|closest to|best|correct|right|final|answer|option|choice"
    "|letter|number|statement|label|die|der|das|le|la|el|réponse|respuesta|opción|lettre|letra|buchstabe|lựa chọn"
    "|đáp án|quindi|dunque|chiaramente|risposta|opzione|alternativa|lettera|l['’]opzione|a letra|a opção"
    "|a alternativa|(?<=é )a|l['’]alternativa|quella|portanto|opção"
    "|resposta|correta|corretta|giusta|pilihan|opsi|huruf|jawaban|opcja|odpowiedź|litera|wariant|şık"
    "|seçenek|вариант|ответ"
    "|буква|под буквой|пункт|विकल्प|उत्तर|स्पष्ट रूप से|الخيار|الإجابة|الاختيار|الحرف|ตัวเลือก|คำตอบ|ข้อ"
    rf"|phương án|câu|选项|選項|보기|選択肢){AFTER_WORD}[\s:,\"'(\[]{{0,4}}){{0,5}}"
)
AND_WORDS = (
    "(?:[,/&;、]|(?:and/or|and|or|und|oder|et|ou|y|o|và|hoặc|oppure|dan|atau|lub|albo|oraz|ve|veya|или|и|और|या)"
    rf"{AFTER_WORD}|أو|و(?=\s?[(A-Z])|หรือ|และ|和|或者|或|及|또는|または|と|와|과)"
)
BECAUSE_WORDS = (
    "because|since|due|given|here|which|with|and|or|but|not|rather|instead|over|based|porque|ya que|parce|car|puisque"
    "|weil|denn|da|vì"
    "|bởi|et|ou|und|oder|y|o|và|hoặc|perché|poiché|infatti|pois|visto que|uma vez que|karena|sebab"
    "|ponieważ|gdyż|bo|çünkü"
)
NONE_OF_THESE = (
    "none|not (?:listed|provided|given|available|present|included|among|in|on|one of|clear|possible)|cannot be"
    "|can['’]t be"
    rf"|no correct|undetermined|undefined|unknown|impossible|unclear|N/?A{AFTER_WORD}|neither|missing|null"
    "|nessun|nenhum|tidak ada|żadna|żaden|hiçbir|нет правильн|ни один|कोई नहीं|इनमें से कोई|لا شيء"
    "|لا يوجد|ไม่มี|以上都不|없음|ninguna"
    "|aucune|keine"
)

# --- words that retract a claim --------------------------------------------------------------------------------------

CONDITION_WORDS = Alternatives(
    "if|whether|suppose|assume|assuming|unless|imagine|wenn|falls|nếu|jika|kalau|seandainya|jeśli|jeżeli|gdyby|eğer"
    "|если|यदि|अगर",
    "إذا|ถ้า|หาก",
)
HYPOTHETICAL_WORDS = Alternatives(  # "if she had sold all, it would be 3100"
    "would|wäre|hätte|serait|aurait|sería|habría|sarebbe|avrebbe|seria|teria|byłoby|был[оа]? бы|olurdu"
)
ABANDONED_WORDS = Alternatives(  # "I first thought the answer was", "most people would say"
    "thought|initially|originally|at first|first (?:guess|instinct|thought|impression)|tempt(?:ed|ing)"
    "|(?:many|most|some|others|one|you) (?:would|might|may|will|could|said|say|chose|choose|claim|pick|picked)"
    "|students|people|sources|textbooks|(?:user|key|textbook|student|author) (?:says|said|claims|suggests|thinks)"
    "|(?:common|frequent) (?:mistake|error|misconception)|ursprünglich|zuerst"
    "|au début|d['’]abord|al principio|inicialmente|ban đầu|lúc đầu|inizialmente|all['’]inizio|a princípio|awalnya"
    "|początkowo|başlangıçta|сначала|पहले",
    "一开始|起初|原以为|처음에는|最初は",
)
NOT_BEFORE = (  # "the wrong answer is", "if the answer is", "I do not think the answer is"
    rf"(?:{BEFORE_WORD}(?:wrong|incorrect|false|initial|previous|original|earlier|tentative|second|third|backup"
    r"|not (?:the|an?)|isn['’]t (?:the|an?)|falsche|mauvaise|incorrecta)\s"
    rf"|(?:{CONDITION_WORDS}|{ABANDONED_WORDS})\s[^.\n,;:]{{0,25}}"
    rf"|(?:n['’]t|{BEFORE_WORD}(?:not|never|doubt|cannot|neither))\s[^.\n,;:]{{0,25}}|不)\Z"
)
NOT_LINKED = (
    rf"(?:n['’]t\s|{BEFORE_WORD}(?:not|never|cannot|no|nicht|non|não|nao|bukan|bukanlah|nie|не)\s|không\s|không phải\s"
    r"|ليست?\s|لا\s|ไม่|不|并非|並非)\Z"
)
NOT_AFTER = (  # "the answer is (A) is wrong", "the answer is A, right?", "정답은 B가 아닙니다"
    r"[)\]\"'}]{0,2}\s?(?:(?:is|are|was|can|could|would|should)(?:\s(?:not|never|wrong|false|in(?:correct"
    r"|accurate|valid)"
    r"|eliminated|ruled out|also)|n['’]t)\b|(?:가|이|은|는)\s?(?:아[니닙]|틀|오답)"
    r"|(?:[选選]?[项項])?\s?(?:是|明显|显然)?(?:错|錯|不正|不对|不對|有误|有誤)"
    r"|(?:は|が)\s?(?:間違|誤|不正)|(?:является )?не(?:верн|правильн)|गलत|ผิด|ไม่ถูก|خطأ|خاطئ|غير صحيح"
    r"|ではな|ではあり|じゃな|nicht|नहीं|değil"
    r"|(?:,\s(?:right|correct|no|yes))?\?"
    r"|\.\s(?:but |however,? )?(?:that|this)(?:['’]s| is| was)(?: clearly| actually| also)?"
    r" (?:wrong|incorrect|not (?:right|correct))(?! (?:if|when|for)))"
)
REVISING_WORDS = Alternatives(
    r"wait|actually|however|but|no|sorry|correction|corrected|mistake|mistaken|instead|re-?check\w{0,4}"
    r"|reconsider\w{0,4}"
    r"|second thought|oops|hmm|rather|revis\w{1,5}|let me|moment|doch|mais|pero|nhưng|però|aspetta|anzi"
    r"|mas|porém|tapi|tetapi|namun|ale|jednak|ama|ancak|но|однако|लेकिन|परंतु",
    "不对|不對|等等|아니|잠깐|いや|待って|لكن|แต่",
)
DENYING_WORDS = Alternatives(
    r"not|never|wrong|incorrect|false|except|unlike|neither|nor|none|cannot|eliminat\w{1,5}|rul(?:e|es|ed"
    r"|ing) out|than|no|nicht|pas|không|non(?![-‐])|não|nao|bukan|tidak|nie|değil|не|नहीं|sbagliat[ao]|errad[ao]|salah",
    r"n['’]t|不|아니|ない|ません|ليس|ليست|ไม่ใช่|ผิด|خطأ",
)

RETRACTING_WORDS = Alternatives(
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

NEXT_WORDS = (
    "(?:question|q|problem|exercise|user|human|instruction|input|frage|pregunta|domanda|pergunta|questão"
    "|pertanyaan|soal"
    "|pytanie|soru|вопрос|प्रश्न|السؤال|سؤال|คำถาม|câu hỏi|câu|问题|問題|문제|질문)"
)
NEXT_QUESTION = (  # the model asks itself another question, or lists its answers to several
    rf"\n[ \t>*#\-]{{0,6}}(?:{NEXT_WORDS}\s{{0,2}}(?:\d{{1,3}}|no\.?\s?\d{{1,3}})?\s{{0,2}}[:.\n]"
    r"|(?:now|so),?\s[^\n]{0,60}\ball (?:the |of the |these )?(?:answers|questions)|[^\n]{0,30}总结[^\n]{0,12}答案)"
)
REFUSING_WORDS = (
    r"(?:cannot|can't|can’t|canno|unable to|won['’]t|not able to|will not) (?:\w{1,12} ){0,3}?(?:answer|provide"
    r"|assist|help|determine"
    r"|choose|comply|select|give)|i'm sorry|i’m sorry|as an ai|not enough information|insufficient information"
    r"|无法|抱歉|죄송|申し訳|không thể|lo siento|leider|désolé|non posso|não posso|tidak dapat|nie mogę|не могу"
    r"|لا أستطيع|ไม่สามารถ"
)
