"""An amount of roubles in Russian words, as accountants write it under a total."""

from __future__ import annotations

from typing import Final

from shared.money import MAX_AMOUNT_MINOR

_WORDS: Final = (
    *("", "один", "два", "три", "четыре", "пять", "шесть", "семь", "восемь", "девять", "десять"),
    *("одиннадцать", "двенадцать", "тринадцать", "четырнадцать", "пятнадцать", "шестнадцать"),
    *("семнадцать", "восемнадцать", "девятнадцать"),
)
_TENS: Final = (
    *("", "", "двадцать", "тридцать", "сорок", "пятьдесят"),
    *("шестьдесят", "семьдесят", "восемьдесят", "девяносто"),
)
_HUNDREDS: Final = (
    *("", "сто", "двести", "триста", "четыреста", "пятьсот"),
    *("шестьсот", "семьсот", "восемьсот", "девятьсот"),
)
# (one, two to four, five and more); thousands are feminine
_SCALES: Final = (
    ("", "", ""),
    ("тысяча", "тысячи", "тысяч"),
    ("миллион", "миллиона", "миллионов"),
    ("миллиард", "миллиарда", "миллиардов"),
)
_ROUBLES: Final = ("рубль", "рубля", "рублей")
_KOPECKS: Final = ("копейка", "копейки", "копеек")


def form_of(count: int, forms: tuple[str, str, str]) -> str:
    """The noun's form after a number: 1 рубль, 2 рубля, 5 рублей, 11 рублей, 21 рубль."""
    if count % 100 in range(11, 20):
        return forms[2]
    return forms[0] if count % 10 == 1 else forms[1] if count % 10 in (2, 3, 4) else forms[2]


def roubles_in_words(amount_minor: int) -> str:
    """Kopecks 0 to 10^13 as ``Четыреста девяносто девять рублей 00 копеек``. ValueError outside."""
    if not 0 <= amount_minor <= MAX_AMOUNT_MINOR:
        raise ValueError("only amounts of 0 up to the largest are written in words")
    roubles, kopecks = divmod(amount_minor, 100)
    words: list[str] = []
    for scale in range(len(_SCALES) - 1, -1, -1):
        words += _group(roubles // 1000**scale % 1000, scale)
    text = " ".join([*(words or ["ноль"]), form_of(roubles, _ROUBLES)])
    return f"{text[0].upper()}{text[1:]} {kopecks:02d} {form_of(kopecks, _KOPECKS)}"


def _group(number: int, scale: int) -> list[str]:
    if number == 0:
        return []
    below = number % 100
    words = [_HUNDREDS[number // 100], *([_WORDS[below]] if below < 20 else _tens(below))]
    if scale == 1:
        words = [{"один": "одна", "два": "две"}.get(word, word) for word in words]
    return [word for word in [*words, form_of(number, _SCALES[scale])] if word]


def _tens(number: int) -> list[str]:
    return [_TENS[number // 10], _WORDS[number % 10]]
