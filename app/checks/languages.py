"""The language of a text, where it is one whose words the checks know."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field

from PySide6.QtCore import QLocale

LEAST_SHARE = 0.12
"""Of the words: so many are a language's commonest ones in any prose of it."""
LEAST_WORDS = 4
SAMPLE_CHARACTERS = 4_000
WORD = re.compile(r"[^\W\d_]+(?:['’][^\W\d_]+)*")


@dataclass(frozen=True, eq=False)
class Language:
    locale: QLocale.Language
    common: frozenset[str]
    """Its commonest words, none of which says anything alone."""
    twice: frozenset[str]
    """Words that may stand twice in a row."""
    doubles: bool = False
    """Other words may as well, for emphasis."""
    noun_capitals: bool = False
    numbers: Mapping[str, int] = field(default_factory=dict)
    """Number words that others are put together from."""


def _numbers(ones: str, tens: str, **others: int) -> dict[str, int]:
    """ones: from zero on. tens: from twenty on."""
    found = {word: value for value, word in enumerate(ones.split())}
    return found | {word: 10 * value for value, word in enumerate(tens.split(), 2)} | others


def _words(text: str) -> frozenset[str]:
    return frozenset(text.split())


ENGLISH = Language(
    QLocale.Language.English,
    _words(
        "the of and to a in that it is was he for on with as his her she they at be by this had not are but "
        "from or have an were which you we all their there been has when who will more no if so out what up "
        "its about into than them can only other then could some my me him would our your i do did how "
        "after before because where these those one over also any us very just"
    ),
    _words(
        "had that her is was very really so no many much long far never ever now well there "
        "oh ha ho bye hush knock tick yes please many more old little one"
    ),
    numbers=_numbers(
        "zero one two three four five six seven eight nine ten eleven twelve thirteen fourteen fifteen "
        "sixteen seventeen eighteen nineteen",
        "twenty thirty forty fifty sixty seventy eighty ninety",
        hundred=100,
        thousand=1_000,
        million=10**6,
        billion=10**9,
    ),
)
GERMAN = Language(
    QLocale.Language.German,
    _words(
        "der die das und in zu den ist nicht von sie mit des sich dem ein es er eine auf als auch an war wie "
        "für im einen einem einer dass aus am nach bei noch nur um wir ich so werden wurde hat haben sind "
        "aber oder wenn man ihr sein seine ihre über vor durch was wird kann schon zum zur mich mir uns"
    ),
    _words("der die das den dem sie ihr es war so sehr ganz viel viele ja nein na nie lange immer"),
    noun_capitals=True,
    numbers=_numbers(
        "null eins zwei drei vier fünf sechs sieben acht neun zehn elf zwölf dreizehn vierzehn fünfzehn "
        "sechzehn siebzehn achtzehn neunzehn",
        "zwanzig dreißig vierzig fünfzig sechzig siebzig achtzig neunzig",
        ein=1,
        hundert=100,
        tausend=1_000,
        million=10**6,
        millionen=10**6,
        milliarden=10**9,
    ),
)
FRENCH = Language(
    QLocale.Language.French,
    _words(
        "le la les de des du et à un une en que qui dans il elle est pour pas ne sur se au aux ce cette plus "
        "par avec je nous vous ils elles son sa ses mais ou sont était comme tout on leur y être avait d'un "
        "d'une qu'il c'est n'est"
    ),
    _words("nous vous elle faire très si non oui tout la bien plus"),
    doubles=True,
    numbers=_numbers(
        "zéro un deux trois quatre cinq six sept huit neuf dix onze douze treize quatorze quinze seize",
        "vingt trente quarante cinquante soixante",
        cent=100,
        cents=100,
        mille=1_000,
        million=10**6,
        millions=10**6,
    ),
)
SPANISH = Language(
    QLocale.Language.Spanish,
    _words(
        "el la los las de del y a en un una que es se no por con para su al lo como más pero sus le ya o fue "
        "este ha sí porque esta son entre cuando muy sin sobre también me hasta hay donde quien todo nos"
    ),
    _words("muy no sí ya nos la más todo"),
    doubles=True,
    numbers=_numbers(
        "cero uno dos tres cuatro cinco seis siete ocho nueve diez once doce trece catorce quince dieciséis "
        "diecisiete dieciocho diecinueve",
        "veinte treinta cuarenta cincuenta sesenta setenta ochenta noventa",
        cien=100,
        ciento=100,
        mil=1_000,
        millones=10**6,
    ),
)
ITALIAN = Language(
    QLocale.Language.Italian,
    _words(
        "il lo la gli le di del della e a in un una che è si non per con da al nel alla come più ma suo ha "
        "era sono anche se mi ci ho dei delle questo questa dal dalla quando o i"
    ),
    _words("sì no più così ci se la"),
    doubles=True,
)
PORTUGUESE = Language(
    QLocale.Language.Portuguese,
    _words(
        "o a os as de do da dos das e em um uma que é se não por com para no na ao como mais mas foi ele ela "
        "seu sua ou quando muito nos já eu também só pelo pela até isso entre era"
    ),
    _words("muito não já mais a nos"),
    doubles=True,
)
DUTCH = Language(
    QLocale.Language.Dutch,
    _words(
        "de het een en van in is dat op te zijn met voor niet aan er om ook als dan maar bij nog uit door "
        "naar over hij ze zij ik je we wij had was werd wordt kan of die hun haar deze dit"
    ),
    _words("die dat ze zij je was is heel zeer ja nee"),
    doubles=True,
)
_LANGUAGES = (ENGLISH, GERMAN, FRENCH, SPANISH, ITALIAN, PORTUGUESE, DUTCH)


def language_of(text: str) -> Language | None:
    """By its commonest words; None where it is another one, or too short to tell."""
    words = Counter(WORD.findall(text[:SAMPLE_CHARACTERS].casefold()))
    counts = [sum(map(words.__getitem__, language.common)) for language in _LANGUAGES]
    most = max(counts)
    if most < max(LEAST_WORDS, LEAST_SHARE * words.total()) or counts.count(most) > 1:
        return None
    return _LANGUAGES[counts.index(most)]
