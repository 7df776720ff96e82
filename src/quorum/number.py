"""Convert numbers as people write them to one canonical form."""

import re
from fractions import Fraction

_GROUPED = (  # 1,234,567, or in Indian grouping 12,34,567
    r"(?:\d{1,3}(?:[,']\d{3}){1,9}|\d{1,2}(?:,\d{2}){1,9},\d{3})(?![\d,]\d)(?!\d)(?:\.\d{1,20})?"
)
_GROUPED_BY_SPACES = r"\d{1,3}(?:[\u00a0\u2009\u202f ]\d{3}){1,9}(?!\d)(?:[.,]\d{1,20})?"
_GROUPED_BY_POINTS = r"\d{1,3}(?:\.\d{3}){1,9},\d{1,20}(?![\d,.])|\d{1,3}(?:\.\d{3}){2,9}(?![\d,.])"
_PLAIN = r"\d{1,40}(?:\.\d{1,20})?|\.\d{1,20}"
_DECIMAL_COMMA = r"\d{1,20},\d{1,20}(?![\d,]|\.\d)"
_POWER = r"(?:\s?(?:\\times|\\cdot|[x×*·])\s?10\s?\^?\s?\{?\s?(?P<power>[-+]?\d{1,3})\}?|[eE](?P<e>[-+]?\d{1,3})(?!\w))"
_SCALES = {"hundred": 2, "thousand": 3, "million": 6, "billion": 9, "trillion": 12}

# Matches a number in a text; `canonical_match` uses the groups. Every repetition is bounded.
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
    """Return the number in `text` in canonical form, as decimals; None if it is not a number.

    "1,234.50" becomes "1234.5", "3/4" becomes "0.75" and "25%" becomes "25". Currency and percent symbols are ignored.
    A comma or a space before three digits groups thousands, and commas may group in the Indian way (12,34,567); any
    other comma is a decimal comma. A fraction with
    infinitely many decimals ("1/3") stays a fraction in lowest terms.
    """
    match = _A_NUMBER.fullmatch(_AROUND.sub("", text.replace("\\%", "%").replace("\\$", "$")))
    return None if match is None else canonical_match(match)


def canonical_match(match: re.Match[str]) -> str | None:
    """Return the canonical form of a match of `NUMBER`; None if it divides by zero."""
    try:
        value = _to_fraction(match)
    except ZeroDivisionError:
        return None
    if match["scale"]:
        value *= 10 ** _SCALES[match["scale"]]
    if match["sign"] and match["sign"][0] != "+" or match["sign_after"]:
        value = -value
    return _format_fraction(value)


def _to_fraction(match: re.Match[str]) -> Fraction:
    if match["top"]:
        return Fraction(int(match["top"]), int(match["bottom"]))
    value = _parse_amount(match["amount"])
    if match["over"]:
        return value / int(match["over"])
    if match["part"]:
        return value + Fraction(int(match["part"]), int(match["whole"]))
    power = match["power"] or match["e"]
    return value * Fraction(10) ** int(power) if power else value


def _parse_amount(digits: str) -> Fraction:
    if re.fullmatch(_GROUPED_BY_POINTS, digits):
        digits = digits.replace(".", "").replace(",", ".")
    elif re.fullmatch(_GROUPED, digits):
        digits = re.sub(r"[^\d.]", "", digits)
    digits = re.sub(r"\s", "", digits)
    return Fraction(digits.replace(",", "."))


def _format_fraction(value: Fraction) -> str:
    """Return the shortest exact decimals, or a fraction in lowest terms if there are infinitely many decimals."""
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
