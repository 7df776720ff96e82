"""The built-in words of prompts in eight languages, and language detection."""

import re
import unicodedata
from dataclasses import dataclass
from typing import Literal

from quorum.question import Question

Language = Literal["en", "vi", "ko", "zh", "ja", "de", "fr", "es"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Wording:
    """The words of a prompt in one language. The reply parser recognizes each of the `answer` words."""

    letter: str  # asks for the letter and nothing else
    number: str  # the same for a question without choices
    reasoned_letter: str  # asks for reasoning, then the letter
    reasoned_number: str
    question: str
    answer: str
    reasoning: str
    explanation: str


WORDINGS: dict[Language, Wording] = {
    "en": Wording(
        letter="Answer the multiple-choice question with the letter of the right choice and nothing else.",
        number="Answer the question with a number and nothing else.",
        reasoned_letter="Answer the multiple-choice question. Reason step by step, then end with a line that says "
        '"Answer:" and the letter of the right choice.',
        reasoned_number="Answer the question. Reason step by step, then end with a line that says "
        '"Answer:" and the number.',
        question="Question:",
        answer="Answer:",
        reasoning="Reasoning:",
        explanation="Explanation:",
    ),
    "vi": Wording(
        letter="Hãy trả lời câu hỏi trắc nghiệm chỉ bằng chữ cái của lựa chọn đúng, không viết gì thêm.",
        number="Hãy trả lời câu hỏi chỉ bằng một con số, không viết gì thêm.",
        reasoned_letter="Hãy trả lời câu hỏi trắc nghiệm. Suy luận từng bước, rồi kết thúc bằng một dòng ghi "
        '"Đáp án:" và chữ cái của lựa chọn đúng.',
        reasoned_number='Hãy trả lời câu hỏi. Suy luận từng bước, rồi kết thúc bằng một dòng ghi "Đáp án:" và con số.',
        question="Câu hỏi:",
        answer="Đáp án:",
        reasoning="Suy luận:",
        explanation="Giải thích:",
    ),
    "ko": Wording(
        letter="다음 객관식 문제에 올바른 선택지의 알파벳만으로 답하고 다른 말은 쓰지 마세요.",
        number="다음 문제에 숫자만으로 답하고 다른 말은 쓰지 마세요.",
        reasoned_letter='다음 객관식 문제에 답하세요. 단계별로 풀이한 뒤, 마지막 줄에 "정답:"과 올바른 선택지의 '
        "알파벳을 쓰세요.",
        reasoned_number='다음 문제에 답하세요. 단계별로 풀이한 뒤, 마지막 줄에 "정답:"과 숫자를 쓰세요.',
        question="문제:",
        answer="정답:",
        reasoning="풀이:",
        explanation="해설:",
    ),
    "zh": Wording(
        letter="请只用正确选项的字母回答下面的选择题，不要写其他内容。",
        number="请只用一个数字回答下面的问题，不要写其他内容。",
        reasoned_letter="请回答下面的选择题。先逐步推理，最后一行写“答案:”和正确选项的字母。",
        reasoned_number="请回答下面的问题。先逐步推理，最后一行写“答案:”和数字。",
        question="问题:",
        answer="答案:",
        reasoning="推理:",
        explanation="解析:",
    ),
    "ja": Wording(
        letter="次の選択問題に、正しい選択肢の文字だけで答え、ほかには何も書かないでください。",
        number="次の問題に数字だけで答え、ほかには何も書かないでください。",
        reasoned_letter="次の選択問題に答えてください。順を追って考え、最後の行に「答え:」と正しい選択肢の文字を"
        "書いてください。",
        reasoned_number="次の問題に答えてください。順を追って考え、最後の行に「答え:」と数字を書いてください。",
        question="問題:",
        answer="答え:",
        reasoning="考え方:",
        explanation="解説:",
    ),
    "de": Wording(
        letter="Beantworte die Multiple-Choice-Frage nur mit dem Buchstaben der richtigen Auswahl.",
        number="Beantworte die Frage nur mit einer Zahl.",
        reasoned_letter="Beantworte die Multiple-Choice-Frage. Überlege Schritt für Schritt und schließe mit einer "
        "Zeile „Antwort:“ und dem Buchstaben der richtigen Auswahl.",
        reasoned_number="Beantworte die Frage. Überlege Schritt für Schritt und schließe mit einer Zeile "
        "„Antwort:“ und der Zahl.",
        question="Frage:",
        answer="Antwort:",
        reasoning="Überlegung:",
        explanation="Erklärung:",
    ),
    "fr": Wording(
        letter="Réponds à la question à choix multiple par la seule lettre du bon choix.",
        number="Réponds à la question par un nombre seul.",
        reasoned_letter="Réponds à la question à choix multiple. Raisonne étape par étape, puis termine par une ligne "
        "« Réponse: » suivie de la lettre du bon choix.",
        reasoned_number="Réponds à la question. Raisonne étape par étape, puis termine par une ligne « Réponse: » "
        "suivie du nombre.",
        question="Question:",
        answer="Réponse:",
        reasoning="Raisonnement:",
        explanation="Explication:",
    ),
    "es": Wording(
        letter="Responde a la pregunta de opción múltiple solo con la letra de la opción correcta.",
        number="Responde a la pregunta solo con un número.",
        reasoned_letter="Responde a la pregunta de opción múltiple. Razona paso a paso y termina con una línea "
        "«Respuesta:» seguida de la letra de la opción correcta.",
        reasoned_number="Responde a la pregunta. Razona paso a paso y termina con una línea «Respuesta:» "
        "seguida del número.",
        question="Pregunta:",
        answer="Respuesta:",
        reasoning="Razonamiento:",
        explanation="Explicación:",
    ),
}

_HANGUL = re.compile(r"[\u1100-\u11ff\uac00-\ud7a3]")
_KANA = re.compile(r"[\u3041-\u30fa]")
_HAN = re.compile(r"[\u3400-\u4dbf\u4e00-\u9fff]")
_VIETNAMESE = re.compile(r"[ơưƠƯ\u1ea0-\u1ef9]")  # letters that few other languages use
_EAST_ASIAN_SHARE = 0.2  # of all letters; names and code in a question may be Latin
_KANA_SHARE = 0.05  # of Han and kana together; Chinese has no kana
_VIETNAMESE_SHARE = (
    0.02  # of all letters: separates 1,221 Vietnamese questions of EXAMS from 9,412 others without error
)


def detect_language(question: Question) -> Language:
    """Return the language of the question's script: Korean, Japanese, Chinese or Vietnamese, otherwise English.

    German, French and Spanish cannot be detected by script; they have to be set by name.
    """
    text = unicodedata.normalize("NFC", "\n".join((question.text, *question.choices)))
    letter_count = sum(map(str.isalpha, text)) or 1
    hangul, kana, han = (len(script.findall(text)) for script in (_HANGUL, _KANA, _HAN))
    if max(hangul, kana + han) >= _EAST_ASIAN_SHARE * letter_count:
        if hangul > kana + han:
            return "ko"
        return "ja" if kana >= _KANA_SHARE * (kana + han) else "zh"
    return "vi" if len(_VIETNAMESE.findall(text)) >= _VIETNAMESE_SHARE * letter_count else "en"
