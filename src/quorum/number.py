"""A number as people write it, and its one canonical form."""

import re
from fractions import Fraction

_GROUPED = r"\d{1,3}(?:[,']\d{3}){1,9}(?!\d)(?:\.\d{1,20})?"
_GROUPED_BY_SPACES = r"\d{1,3}(?:[\u00a0\u2009\u202f ]\d{3}){1,9}(?!\d)(?:[.,]\d{1,20})?"
_GROUPED_BY_POINTS = r"\d{1,3}(?:\.\d{3}){1,9},\d{1,20}(?![\d,.])|\d{1,3}(?:\.\d{3}){2,9}(?![\d,.])"
_PLAIN = r"\d{1,40}(?:\.\d{1,20})?|\.\d{1,20}"
_DECIMAL_COMMA = r"\d{1,20},\d{1,20}(?![\d,]|\.\d)"
_POWER = r"(?:\s?(?:\\times|\\cdot|[x×*·])\s?10\s?\^?\s?\{?\s?(?P<power>[-+]?\d{1,3})\}?|[eE](?P<e>[-+]?\d{1,3})(?!\w))"
_SCALES = {"hundred": 2, "thousand": 3, "million": 6, "billion": 9, "trillion": 12}

# What a number looks like inside a text; its groups are what `canonical_number` needs. Every repetition is bounded.
NUMBER = (
    r"(?P<sign>[-+\u2212]\s?)?(?:[$€£¥₩₫]\s?)?(?P<sign_after>[-\u2212])?(?:"
    r"\\[dt]?frac\s?\{\s?(?P<top>\d{1,20})\s?\}\s?\{\s?(?P<bottom>\d{1,20})\s?\}"
    rf"|(?P<amount>{_GROUPED_BY_POINTS}|{_GROUPED_BY_SPACES}|{_GROUPED}|{_DECIMAL_COMMA}|{_PLAIN})"
    rf"(?:\s?/\s?(?P<over>\d{{1,20}})(?![\d/])|\s(?P<part>\d{{1,9}})\s?/\s?(?P<whole>\d{{1,9}})(?![\d/])|{_POWER})?)"
    rf"(?:\s(?P<scale>{'|'.join(_SCALES)})\b)?"
)
_A_NUMBER = re.compile(NUMBER)
_AROUND = re.compile(r"^[\s$€£¥₩₫]{1,9}|[\s$€£¥₩₫%.]{1,9}$")


def canonical_number(text: str) -> str | None:
    """The number that `text` is, in canonical decimals ("1,234.50" is "1234.5", "3/4" is "0.75", "25%" is "25").

    Signs of currency and per cent count for nothing; a comma or a blank groups thousands where three digits follow, and
    is a decimal comma elsewhere. A fraction without an end ("1/3") stays a fraction in lowest terms. None: no number.
    """
    found = _A_NUMBER.fullmatch(_AROUND.sub("", text.replace("\\%", "%").replace("\\$", "$")))
    return None if found is None else canonical_match(found)


def canonical_match(found: re.Match[str]) -> str | None:
    """The canonical form of a match of `NUMBER`; None where it divides by zero."""
    try:
        value = _to_fraction(found)
    except ZeroDivisionError:
        return None
    if found["scale"]:
        value *= 10 ** _SCALES[found["scale"]]
    if found["sign"] and found["sign"][0] != "+" or found["sign_after"]:
        value = -value
    return _format_fraction(value)


def _to_fraction(found: re.Match[str]) -> Fraction:
    if found["top"]:
        return Fraction(int(found["top"]), int(found["bottom"]))
    value = _parse_amount(found["amount"])
    if found["over"]:
        return value / int(found["over"])
    if found["part"]:
        return value + Fraction(int(found["part"]), int(found["whole"]))
    power = found["power"] or found["e"]
    return value * Fraction(10) ** int(power) if power else value


def _parse_amount(digits: str) -> Fraction:
    if re.fullmatch(_GROUPED_BY_POINTS, digits):
        digits = digits.replace(".", "").replace(",", ".")
    elif re.fullmatch(_GROUPED, digits):
        digits = re.sub(r"[^\d.]", "", digits)
    digits = re.sub(r"\s", "", digits)
    return Fraction(digits.replace(",", "."))


def _format_fraction(value: Fraction) -> str:
    """As few decimals as say it exactly, or a fraction in lowest terms where none do."""
    rest = value.denominator
    for prime in (2, 5):
        while rest % prime == 0:
            rest //= prime
    if rest != 1:
        return f"{value.numerator}/{value.denominator}"
    places = value.denominator.bit_length() - 1  # 2**n needs n places, 5**n fewer than its bits
    scaled = str(abs(value.numerator) * 10**places // value.denominator).zfill(places + 1)
    whole, decimals = scaled[: len(scaled) - places], scaled[len(scaled) - places :].rstrip("0")
    return ("-" if value < 0 else "") + whole + ("." + decimals if decimals else "")
