"""The letters that are common in a language, to tell which encoding a file has."""

import re
from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class KnownLanguage:
    """A language, the encodings it is written in, its common characters and a pattern of all of its characters.

    `latin` is true if its characters are among ASCII letters, so that three of them rarely follow each other. `core` is
    an encoding of East Asian characters that does not have the rare ones.
    """

    name: str
    encodings: tuple[str, ...]
    common: frozenset[str]
    script: re.Pattern[str]
    latin: bool = False
    core: str | None = None


_COMMON_HANGUL = "이다는의에을가고은한지하로사를인도기그나아자서대시어리해일것들있수정주부전제과라보여니으스상장안만중와구조동공거원성우신경소생유요연국세때없면적개않위등미관내방음러분실남말마비무같입선계체문오물할산까치회민법식역학발용행단던교두모였당반차간현통명금진년월영재후추바양북심예결더불설감달력습옳르답번호질드데크트프레"  # noqa: E501
_SIMPLIFIED = "的一是不了在人有我他这个们中来上大为和国地到以说时要就出会可也你对生能而子那得于着下自之年过发后作里用道行所然家种事成方多经么去法学如都同现当没动面起看定天分还进好小部其些主样理心她本前开但因只从想实日军者意无力它与长把机十民第公此已工使情明性知全三又关点正业外将两高间由问很最重并物手应战向头文体政美相见被利什二等产或新己制身果加西月话合回特代内信表化老给世位次度门任常先海通教儿原东声提立及比员解水名真论处走义各入几口认条平系气题活更别打女变四神总何电数安少报结反受目太量再感建做接必场件计管期市直德资命山金指统区保至形社便空决治展科五基书非则白界达光强难且色路记南品住告类求据程北边交规万取术共确传师观清今列哪项选择错误答案属编号"  # noqa: E501
_TRADITIONAL = "的一是不了在人有我他這個們中來上大為和國地到以說時要就出會可也你對生能而子那得於著下自之年過發後作裡用道行所然家種事成方多經麼去法學如都同現當沒動面起看定天分還進好小部其些主樣理心她本前開但因只從想實日軍者意無力它與長把機十民第公此已工使情明性知全三又關點正業外將兩高間由問很最重並物手應戰向頭文體政美相見被利什二等產或新己制身果加西月話合回特代內信表化老給世位次度門任常先海通教兒原東聲提立及比員解水名真論處走義各入幾口認條平系氣題活更別打女變四神總何電數安少報結反受目太量再感建做接必場件計管期市直資命山金指統區保至形社空決科五基書非則白界達光強難色路記南品類求據程北邊交規萬取術共確傳師觀清今列哪項選擇錯誤答案屬編號台灣"  # noqa: E501
_COMMON_KANA = "".join(map(chr, (*range(0x3041, 0x3097), *range(0x30A1, 0x30FB)))) + "ー、。「」・"
_COMMON_KANJI = "日一国人年大十二本中長出三時行見月分後前生五間上東四今金九入学高円子外八六下来気小七山話女北午百書先名川千水半男西電校語土木聞食車何南万毎白天母火右読友左休父雨番号問題正解次選択肢答文化式光合成葉緑体素酸都京阪説明関係不適当最部事自社者地業方新場員立開手力代理度同目主発意体家現作通多定回数対物動性世実思戦産民法政治経済言葉歴史"  # noqa: E501
_HANZI = re.compile("[\u4e00-\u9fff\u3000-\u303f\uff00-\uff60]")
_ACCENTED = re.compile("[À-ÖØ-öø-ž\u0218-\u021b]")

LANGUAGES = (
    *(
        KnownLanguage(
            name=name,
            encodings=encodings,
            common=frozenset(letters + letters.upper()),
            script=_ACCENTED,
            latin=True,
        )
        for name, encodings, letters in (
            ("German", ("cp1252", "cp850", "mac_roman"), "äöüß"),
            ("French", ("cp1252", "cp850", "mac_roman"), "éèêëàâçîïôûùœ"),
            ("Spanish", ("cp1252", "cp850", "mac_roman"), "áéíóúñü¿¡ªº"),
            ("Portuguese", ("cp1252", "cp850", "mac_roman"), "ãõáéíóúâêôàç"),
            ("Italian", ("cp1252", "cp850", "mac_roman"), "àèéìòù"),
            ("Nordic", ("cp1252", "cp850", "mac_roman"), "åäöøæé"),
            ("Polish", ("cp1250", "iso8859_2"), "ąćęłńóśźż"),
            ("Czech", ("cp1250", "iso8859_2"), "áčďéěíňóřšťúůýž"),
            ("Hungarian", ("cp1250", "iso8859_2"), "áéíóöőúüű"),
            ("Romanian", ("cp1250", "iso8859_2"), "ăâîşţ"),
            ("Croatian", ("cp1250", "iso8859_2"), "čćđšž"),
            ("Turkish", ("cp1254",), "çğıöşüi̇âİ"),
        )
    ),
    KnownLanguage(
        name="Russian",
        encodings=("cp1251", "koi8_r", "cp866"),
        common=frozenset("оеаинтсрвлкмдпуяыьгз"),
        script=re.compile("[а-яА-ЯёЁ]"),
    ),
    KnownLanguage(
        name="Ukrainian",
        encodings=("cp1251", "koi8_u"),
        common=frozenset("оаниівртесклумдпзяь"),
        script=re.compile("[а-яА-ЯіїєґІЇЄҐ]"),
    ),
    KnownLanguage(
        name="Greek", encodings=("cp1253",), common=frozenset("αοιετσνηρπκμυλςάέήίόύώ"), script=re.compile("[Ά-ώ]")
    ),
    KnownLanguage(
        name="Hebrew", encodings=("cp1255",), common=frozenset("יוהלארתבמשנםד"), script=re.compile("[\u05b0-\u05ea]")
    ),
    KnownLanguage(
        name="Arabic", encodings=("cp1256",), common=frozenset("اليمونرتبةعدسف؟"), script=re.compile("[\u0600-\u06ff]")
    ),
    KnownLanguage(
        name="Thai", encodings=("cp874",), common=frozenset("านรอกเงมยลวดทสต่้ีัิ"), script=re.compile("[\u0e01-\u0e5b]")
    ),
    KnownLanguage(
        name="Korean",
        encodings=("cp949",),
        common=frozenset(_COMMON_HANGUL),
        script=re.compile("[\uac00-\ud7a3]"),
        core="euc_kr",
    ),
    KnownLanguage(
        name="Japanese",
        encodings=("cp932", "euc_jp"),
        common=frozenset(_COMMON_KANA + _COMMON_KANJI),
        script=_HANZI,
        core="shift_jis",
    ),
    KnownLanguage(
        name="simplified Chinese", encodings=("gb18030",), common=frozenset(_SIMPLIFIED), script=_HANZI, core="gb2312"
    ),
    KnownLanguage(
        name="traditional Chinese", encodings=("cp950",), common=frozenset(_TRADITIONAL), script=_HANZI, core="big5"
    ),
)
