"""Column names as hints for roles, in many languages."""

import re
import unicodedata
from collections.abc import Mapping
from functools import lru_cache


@lru_cache(maxsize=8192)
def plain_name(column: str) -> str:
    """Return a column's name for comparison: "Option A", "option_a" and "OptionA" are equal, accents are removed."""
    spread = unicodedata.normalize("NFKD", column.casefold())
    bare = "".join(letter for letter in spread if not 0x300 <= ord(letter) <= 0x36F)
    return re.sub(r"[^\w.]+|_+", "", unicodedata.normalize("NFC", bare))


@lru_cache(maxsize=8192)
def name_words(column: str) -> tuple[str, ...]:
    """Return the words of a column's name: "flores_passage" and "floresPassage" are "flores", "passage"."""
    spaced = re.sub(r"(?<=[a-z])(?=[A-Z])", " ", column)
    return tuple(word for word in map(plain_name, re.split(r"[\s_\-.:/()\[\]]+", spaced)) if word)


def list_words(text: str) -> tuple[str, ...]:
    """Return the words of a text that is separated by spaces."""
    return tuple(text.split())


def _names(text: str) -> tuple[str, ...]:
    return tuple(dict.fromkeys(plain_name(name) for name in re.split(r"[\s,]+", text) if name))


# In order of preference, in the form of `plain_name`.
COLUMN_NAMES: Mapping[str, tuple[str, ...]] = {
    "id": _names(
        """id taskid questionid qid rowid sampleid itemid recordid exampleid pubid promptid uid uuid guid key idx ind
        index idstring dialogueid nr no number questionnumber num frageid
        번호 문제번호 문항번호 문항id
        아이디 編號 编号 序号 题号 番号 問題番号 設問番号 题目编号 題目編號
        aufgabennummer fragennummer 問題id номер идентификатор ид رقم المعرف stt"""
    ),
    "question": _names(
        """question.stem question questiontext questionstem stem query problem prompt ctx sentence goal inputs input
        startphrase formattedquestion instruction statement claim hypothesis assertion
        aussage behauptung afirmacion afirmacao affirmation affermazione утверждение 진술 명제 陈述 陳述 命題
        frage fragentext aufgabe aufgabenstellung
        pregunta enunciado pergunta questao question enonce domanda quesito vraag pytanie zadanie otazka intrebare
        soru kerdes
        fraga sporsmal sporgsmal kysymys pitanje vprasanje erotisi ερώτηση вопрос питання въпрос питање
        질문 문제 문항 발문 問題 問題文 質問 設問 题目 问题 题干 試題 問題文本 câuhỏi cauhoi pertanyaan
        soal soalan tanong
        प्रश्न প্রশ্ন கேள்வி ప్రశ్న سؤال السؤال سوال پرسش שאלה คำถาม swali text"""
    ),
    "answer": _names(
        """answer answerkey correctanswer correctoption correctchoice correctlabel rightanswer rightoption
        correctanswernum answerletter answerlabel goldanswer goldlabel bestanswer finaldecision correct label target
        targets gold cop key solutionletter outputs output answeridx answerindex correctidx correctindex
        correctoptionidx labelidx ans y answers istrue iscorrect truth verdict veracity wahr
        antwort losung loesung richtigeantwort richtig korrekt korrekteantwort losungsbuchstabe
        respuesta respuestacorrecta correcta resposta respostacorreta alternativacorreta correta gabarito
        reponse bonnereponse reponsecorrecte rispostacorretta risposta corretta antwoord juisteantwoord odpowiedz
        poprawnaodpowiedz prawidlowaodpowiedz klucz odpoved spravnaodpoved raspuns raspunscorect cevap dogrucevap
        dogru helyesvalasz valasz svar rattsvar oikeavastaus odgovor απάντηση сωστήαπάντηση ответ правильныйответ
        верныйответ відповідь правильнавідповідь отговор верен
        정답 답 답안 정답번호 正解 答え 解答 正答 答案 正确答案 標準答案 正確答案 đápán dapan đápánđúng trảlời traloi
        jawaban jawabanbenar kunci kuncijawaban jawapan sagot उत्तर सहीउत्तर উত্তর சரியானபதில் విடై
        الإجابة الجواب الاجابة الإجابةالصحيحة جواب پاسخ گزینهصحیح תשובה תשובהנכונה คำตอบ เฉลย jibu"""
    ),
    "subject": _names(
        """subject info.subject subjectname category topic domain field discipline area subdomain
        fach thema kategorie fachgebiet bereich materia asignatura tema disciplina assunto matiere sujet categorie
        argomento vak onderwerp przedmiot kategoria predmet konu ders kategori предмет тема категория
        과목 분야 주제 카테고리 科目 分野 学科 科目名 科目类别 类别 领域 mônhọc chủđề matapelajaran mapel
        विषय الموضوع المادة موضوع נושא หมวด วิชา"""
    ),
    "group": _names("group groupid cluster parallelquestionid parallelid"),
    "context": _names(
        """context premise passage article paragraph background support narrative story dialogue dialog conversation
        document scenario vignette excerpt extract reading readingpassage material evidence casestudy hint sent1
        florespassage code codesnippet snippet contexts body passagetext contexttext text
        kontext absatz lesetext textabschnitt abschnitt passus contexto pasaje texto textobase passagem contexte
        passage extrait texte contesto brano testo tekst kontekst fragment metin paragraf parca szoveg
        контекст текст отрывок абзац пассаж
        지문 본문 문맥 상황 글 文章 本文 文脈 段落 材料 短文 阅读材料 背景 情景 đoạnvăn ngữcảnh konteks teks
        bacaan wacana
        संदर्भ अनुच्छेद النص السياق الفقرة متن טקסט קטע บทความ"""
    ),
    "rationale": _names(
        """rationale explanation explain exp explanationtext solution reasoning cotcontent cot analysis justification
        longanswer workedsolution lecture steps rationales
        erklarung begrundung losungsweg explicacion justificacion explicacao justificativa resolucao explication
        justification spiegazione uitleg wyjasnienie uzasadnienie vysvetleni aciklama cozum magyarazat
        объяснение пояснение решение обоснование
        해설 풀이 설명 解説 説明 解析 解释 分析 giảithích giaithich lờigiải penjelasan pembahasan
        व्याख्या شرح توضیح הסבר คำอธิบาย"""
    ),
}

CHOICE_LISTS = _names(
    """question.choices choices choice options option answerchoices endings candidates alternatives optionlist
    choicelist answeroptions multiplechoicetargets mc1targets targetscores
    antworten antwortmoglichkeiten optionen auswahl opciones opcoes alternativas propositions choix opzioni alternative
    antwoorden opties odpowiedzi opcje moznosti secenekler siklar варианты вариантыответов варианти ответы
    보기 선택지 선지 選択肢 选项 選項 各选项 lựachọn phươngán pilihan opsi pilihanjawaban विकल्प الخيارات الاختيارات
    گزینهها אפשרויות ตัวเลือก"""
)
# words that begin the names of one column per choice
CHOICE_NAME_WORDS = frozenset(
    _names(
        """option options choice choices opt op o ending endings answer answers ans sol solution candidate candidates
        alternative alternatives mcanswer answeroption answerchoice answertext
        antwort antwortoption auswahl opcion opcao alternativa respuesta resposta reponse choix proposition risposta
        opzione antwoord optie odpowiedz opcja moznost odpoved secenek sik cevap вариант ответ вариантответа варіант
        отговор 보기 선택지 선지 답 選択肢 解答 选项 選項 选择 答案 đápán dapan phươngán lựachọn pilihan opsi jawaban
        विकल्प خيار الخيار اختيار گزینه תשובה אפשרות ตัวเลือก"""
    )
)
WRONG_WORDS = frozenset(
    _names(
        """incorrect wrong false distractor distractors distracter bad negative incorrectanswer incorrectanswers
        wronganswer wronganswers incorrects
        falsch falsche falscheantwort distraktor incorrecta incorrecto incorrectas erronea errada incorreta distrator
        fausse faux mauvaise incorrecte distracteur mauvaisereponse errata sbagliata fout foute bledna niepoprawna
        yanlis celdirici неправильный неверный неверно дистрактор неправильныйответ неверныйответ
        오답 誤答 不正解 错误 错误答案 錯誤 干扰项 干擾項 sai đápánsai salah pengecoh गलत خاطئ خطأ غلط נכוןלא مسيح"""
    )
)
RIGHT_WORDS = frozenset(
    _names(
        """correct right true best gold positive key
        richtig richtige korrekt korrekte correcta correcto correta certa bonne juste vraie corretta giusta esatta
        juist juiste goede poprawna prawidlowa dogru правильный верный верно 정답 正解 正答 正确 正確 đúng benar सही
        صحيح الصحيح صحیح נכון"""
    )
)
# columns that describe a question or somebody else's answer: never an answer, however well their values fit
OTHER_WORDS = frozenset(
    _names(
        """difficulty level grade year score points version split fold page chapter count numoptions nchoices rating
        confidence prediction predicted pred guess human student annotator worker gpt model baseline majority
        time seconds minutes url source link locale language lang license hash length seed rank weight
        schwierigkeit stufe klasse jahr punkte niveau dificultad ano annee dificuldade trudnosc zorluk
        сложность уровень год класс 난이도 연도 학년 難易度 年度 学年 难度 年份 年级 độkhó kesulitan"""
    )
)


def name_rank(role: str, column: str) -> int | None:
    """Return the position of a column's name among a role's known names; None if it is not one of them."""
    names = COLUMN_NAMES[role]
    plain = plain_name(column)
    return names.index(plain) if plain in names else None


def name_strength(role: str, column: str) -> float:
    """Return how strongly a name hints at a role: 1 for a known name, 0.5 if a word of it is one, else 0."""
    if name_rank(role, column) is not None:
        return 1.0
    return 0.5 if set(name_words(column)) & set(COLUMN_NAMES[role]) else 0.0


def has_other_role(column: str, role: str) -> bool:
    """Return whether a column's name is a known name of another role, and not of this one."""
    return name_strength(role, column) < 1 and any(name_strength(other, column) == 1 for other in COLUMN_NAMES)


def is_other_name(column: str) -> bool:
    """Return whether a name says that a column is no answer, such as "difficulty" or "model_prediction"."""
    return bool({plain_name(column), *name_words(column)} & OTHER_WORDS)


def is_wrong_name(column: str) -> bool:
    """Return whether a column's name says that it holds a wrong answer."""
    words = {re.sub(r"\d+$", "", word) for word in (*name_words(column), plain_name(column))}
    return bool(words & WRONG_WORDS)


def rank_answer_name(column: str) -> int:
    """Return the position of a column's name among the known names of answers; other names come last."""
    rank = name_rank("answer", column)
    return len(COLUMN_NAMES["answer"]) if rank is None else rank
