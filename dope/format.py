"""What is on the screen: one form for each kind of number and time, the same on every page.

True minus sign, thin groups, no "−0.0", and an en dash for what is not known (never 0). Files and the API carry plain
ASCII numbers instead; the page's own script ``assets/00-format.js`` follows the same rules.
"""

from __future__ import annotations

import math
from datetime import UTC, datetime
from decimal import Decimal

UNKNOWN = "–"
THIN = "\u2009"  #: thin space between groups and before a unit
MINUS = "\u2212"
MAX_DECIMALS = 12
PLAIN_BELOW = 1e15  #: from here on a number is shown with an exponent
LAST_SECOND = 253_402_300_799  #: 9999-12-31T23:59:59Z, the last that ISO 8601 can say with four digits


def number(value: float | None, digits: int = 0) -> str:
    """91234.5 with one digit → "91 234.5"; what rounds to nothing has no sign."""
    if value is None or not math.isfinite(value):
        return UNKNOWN
    size = abs(value)
    text = f"{size:.3e}" if size >= PLAIN_BELOW else f"{size:,.{digits}f}".replace(",", THIN)
    return MINUS + text if value < 0 and text.strip("0.") else text


def signed(value: float | None, digits: int = 1) -> str:
    """Like ``number`` with a plus before what is above zero as shown."""
    text = number(value, digits)
    return "+" + text if value is not None and value > 0 and text != UNKNOWN and text.strip("0.") else text


def bps(value: float | None, digits: int = 2) -> str:
    """Signed basis points, without the unit."""
    return signed(value, digits)


def percent(value: float | None, digits: int = 1) -> str:
    """A value already in percent: 4.25 → "4.2 %"."""
    return _with(number(value, digits), "%")


def money(value: float | None, currency: str = "") -> str:
    """An amount with two decimals, and its currency if named."""
    return _with(number(value, 2), currency)


def _with(text: str, unit: str) -> str:
    return text if text == UNKNOWN or not unit else text + THIN + unit


def size(value: float | None) -> str:
    """An amount in whole units; from a million on three digits with M or B."""
    return _short(value, 999_999.5, ((1e6, "M"), (1e9, "B")))


def count(value: float | None) -> str:
    """How many: whole below ten thousand, then three digits with k, M or B."""
    return _short(value, 9_999.5, ((1e3, "k"), (1e6, "M"), (1e9, "B")))


def _short(value: float | None, whole_below: float, units: tuple[tuple[float, str], ...]) -> str:
    if value is None or not math.isfinite(value) or abs(value) < whole_below:
        return number(value)
    for scale, unit in units:
        scaled = value / scale
        if abs(scaled) < 999.5 or unit == units[-1][1]:
            magnitude = abs(scaled)
            return number(scaled, 2 if magnitude < 9.995 else 1 if magnitude < 99.95 else 0) + unit
    raise AssertionError("the last unit takes whatever is left")


def quantity(value: float | None) -> str:
    """A base amount with five significant digits at least, without trailing zeros."""
    if value is None or not math.isfinite(value) or value == 0:
        return number(value)
    if abs(value) < 10.0**-MAX_DECIMALS:
        return (MINUS if value < 0 else "") + f"{abs(value):.3e}"
    text = number(value, min(MAX_DECIMALS, max(0, 4 - math.floor(math.log10(abs(value))))))
    return text.rstrip("0").rstrip(".") if "." in text and "e" not in text else text


def file_size(value: float | None) -> str:
    """Bytes in decimal units: 4 294 967 296 → "4.3 GB"."""
    if value is None or not math.isfinite(value) or abs(value) < 999.5:
        return _with(number(value), "B")
    for scale, unit in ((1e3, "kB"), (1e6, "MB"), (1e9, "GB")):
        if abs(value) / scale < 999.95:
            return _with(number(value / scale, 1), unit)
    return _with(number(value / 1e12, 1), "TB")


def decimals(tick: float) -> int:
    """How many decimals a price with this tick has."""
    exponent = Decimal(repr(tick)).normalize().as_tuple().exponent
    return min(MAX_DECIMALS, max(0, -int(exponent)))


def price(value: float | None, tick: float = 0.0) -> str:
    """A price with the decimals of its tick; without one, two decimals or six significant digits."""
    if value is None or not math.isfinite(value):
        return UNKNOWN
    if tick > 0:
        return number(value, decimals(tick))
    digits = 5 - math.floor(math.log10(abs(value))) if value else 2
    return number(value, min(MAX_DECIMALS, max(2, digits)))


def age(seconds: float | None) -> str:
    """How long, with one decimal: s below 100, then m, h, d."""
    if seconds is None or not math.isfinite(seconds):
        return UNKNOWN
    for scale, unit in ((1, "s"), (60, "m"), (3600, "h")):
        if abs(seconds) / scale < 99.95:
            return _with(number(seconds / scale, 1), unit)
    return _with(number(seconds / 86_400, 1), "d")


def clock(ns: int | None) -> str:
    """Time of day in UTC, cut to tenths: "14:03:07.5"."""
    text = iso(ns)
    return text if text == UNKNOWN else text[11:21]


def iso(ns: int | None) -> str:
    """ISO 8601 in UTC to the nanosecond; "–" for what is no time of ours."""
    if ns is None or ns <= 0 or ns // 1_000_000_000 > LAST_SECOND:
        return UNKNOWN
    whole, rest = divmod(ns, 1_000_000_000)
    return datetime.fromtimestamp(whole, tz=UTC).strftime("%Y-%m-%dT%H:%M:%S") + f".{rest:09d}Z"
