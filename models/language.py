"""The language of a short text, without a model: by its script, and by function words of languages in Latin letters.

A text of few words is often of no certain language; then the answer is `und` (undetermined), and a reader takes it for
its own. `zxx` is a text without letters: emoji, numbers, marks. `mis` is a script that is not listed here.
"""

from __future__ import annotations

import re
from collections import Counter

READ_AT_MOST = 1000
UNDETERMINED, WITHOUT_WORDS, OTHER_SCRIPT = "und", "zxx", "mis"
ALWAYS_READ = frozenset({UNDETERMINED, WITHOUT_WORDS})
FOREIGN_SHARE = 0.5
"""A text with this share of its letters in another script than Latin is in a language of that script."""
WORDS_PER_VOTE = 5
"""A language has at least one of its function words for so many words of the text."""

# Function words that are no English words, some dozens for each language.
_FUNCTION_WORDS = {
    "de": "der das und ist nicht ich ein eine einen mit auf für von zu den dem sie es wir ihr mein meine bitte danke "
    "sehr auch noch nur aber wie wenn oder bei nach haben habe wurde wird kann keine kein immer schon warum wo mir "
    "mich ihre ihren sind seit zum zur über möchte guten",
    "fr": "le les des est et je ne pas une pour dans que qui vous nous avec sur mon ma mes votre vos merci bonjour "
    "très suis ai été pourquoi quand où mais ou au aux du ce cette j'ai c'est n'est il elle ils toujours encore bien "
    "tout s'il",
    "es": "el los las una es y no que en por para con mi su muy gracias hola está pero como más ya este esta cuando "
    "donde porque quiero tengo del al lo se me yo usted nosotros sin buenos buenas días estoy ha mal servicio",
    "pt": "o os uma é e não que em por para com meu minha muito obrigado obrigada olá está mas como mais já este esta "
    "quando onde porque quero tenho do da ao na eu você nós sem bom dia estou foi pela pelo",
    "it": "il lo gli una è e non che di per con mio mia molto grazie ciao sono ma come più già questo questa quando "
    "dove perché voglio ho del della al nel io lei noi senza buongiorno ancora anche ordine",
    "nl": "het een van ik niet dat voor met mijn zijn heel dank bedankt hallo ook nog maar hoe waar waarom als of "
    "bij naar heb hebben wordt kan geen altijd al mij jullie uw wij deze er wil graag",
    "pl": "nie jest się na że do dla mój moja bardzo dziękuję proszę cześć ale jak już ten ta kiedy gdzie dlaczego "
    "chcę mam czy po za od jestem dzień dobry jeszcze tylko zamówienie",
    "sv": "och är inte jag en ett det som för med mitt mycket tack hej men hur när var varför eller från har kan "
    "inga ingen alltid mig ni på till",
    "da": "og er ikke jeg en et det som med mit meget tak hej men hvordan hvornår hvor hvorfor eller fra har kan "
    "ingen altid mig på til af",
    "fi": "ja ei on en minä se että mutta kuin kun missä miksi kiitos hei hyvä minun olen ole vielä myös tämä",
    "tr": "ve bir bu için değil çok teşekkürler merhaba ama ne zaman nerede neden ben benim istiyorum var yok "
    "lütfen sipariş daha",
    "id": "dan yang tidak saya ini itu untuk dengan ada sudah belum terima kasih tolong kenapa bagaimana kapan di ke "
    "dari anda kami sangat",
}
_ENGLISH_WORDS = (
    "the and is are was were be been i you he she it we they my your his her its our their this that these those a an "
    "of to in on at for with from by as but or not no do does did have has had will would can could should what when "
    "where why how who which there here if than then so very just about into out up down please thanks thank hello "
    "hi i'm i've it's don't can't won't didn't isn't me us them am all any more some"
)
_ENGLISH = frozenset(_ENGLISH_WORDS.split())
_LANGUAGES: dict[str, tuple[str, ...]] = {}
for _language, _words in _FUNCTION_WORDS.items():
    for _word in set(_words.split()) - _ENGLISH:
        _LANGUAGES[_word] = (*_LANGUAGES.get(_word, ()), _language)
_FOREIGN = frozenset(_LANGUAGES)
# Letters that English has none of.
_LETTERS = {
    **dict.fromkeys("ñ¿¡", "es"),
    **dict.fromkeys("ß", "de"),
    **dict.fromkeys("ãõ", "pt"),
    **dict.fromkeys("łżąęśźń", "pl"),
    **dict.fromkeys("ğş", "tr"),
    **dict.fromkeys("œ", "fr"),
}
_SCRIPTS = (
    ("ru", "\u0400-\u052f"),
    ("el", "\u0370-\u03ff"),
    ("ar", "\u0600-\u06ff\u0750-\u077f"),
    ("he", "\u0590-\u05ff"),
    ("hi", "\u0900-\u097f"),
    ("th", "\u0e00-\u0e7f"),
    ("ko", "\uac00-\ud7af\u1100-\u11ff"),
    ("ja", "\u3040-\u30ff"),
    ("zh", "\u4e00-\u9fff\u3400-\u4dbf"),
)
_OF_SCRIPT = [(language, re.compile(f"[{letters}]")) for language, letters in _SCRIPTS]
_UKRAINIAN, _PERSIAN = re.compile("[іїєґ]"), re.compile("[پچژگ]")
_LETTER = re.compile(r"[^\W\d_]")
_LATIN = re.compile("[A-Za-z\u00aa-\u024f\u1e00-\u1eff]")
_NO_WORDS = re.compile(r"<[^<>]{0,300}>|(?:https?://|www\.)\S+|[@#]\w+|&\w+;")
_WORD = re.compile(r"[^\W\d_]+(?:'[^\W\d_]+)?")


def identify(text: str) -> str:
    """Return the ISO 639 code of a text's language, or `und`, `zxx` or `mis`; its first 1,000 characters are read."""
    read = text[:READ_AT_MOST]
    if not read.isascii():
        read = read.replace("\u2019", "'")
        foreign = _identify_script(read)
        if foreign is not None:
            return foreign
    lowered = (_NO_WORDS.sub(" ", read) if _has_marks(read) else read).lower()
    words = _WORD.findall(lowered)
    if not words:
        return WITHOUT_WORDS
    distinct = set(words)
    english = len(distinct & _ENGLISH)
    others = distinct & _FOREIGN
    if not others and (english or lowered.isascii()):
        return "en" if english else UNDETERMINED
    return _vote(distinct, others, english, lowered)


def _has_marks(text: str) -> bool:
    return "<" in text or "@" in text or "#" in text or "&" in text or "://" in text or "www." in text


def _vote(distinct: set[str], others: set[str], english: int, lowered: str) -> str:
    votes = Counter(language for word in others for language in _LANGUAGES[word])
    if not lowered.isascii():
        votes.update(language for letter, language in _LETTERS.items() if letter in lowered)
    language, most = max(votes.items(), key=lambda each: (each[1], each[0]), default=("", 0))
    if most > english and most * WORDS_PER_VOTE >= len(distinct):
        return language
    return "en" if english else UNDETERMINED


def _identify_script(text: str) -> str | None:
    """Return the language of a text in another script; None where it is in Latin letters or has none."""
    letters = len(_LETTER.findall(text))
    others = letters - len(_LATIN.findall(text))
    if not others or others < FOREIGN_SHARE * letters:
        return None
    counts = [(len(pattern.findall(text)), language) for language, pattern in _OF_SCRIPT]
    most, language = max(counts, key=lambda each: each[0])
    if counts[_JAPANESE][0]:
        return "ja"
    if not most:
        return OTHER_SCRIPT
    if language == "ru" and _UKRAINIAN.search(text.lower()):
        return "uk"
    return "fa" if language == "ar" and _PERSIAN.search(text) else language


_JAPANESE = [language for language, _ in _SCRIPTS].index("ja")
