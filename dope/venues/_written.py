"""Numbers, times and names as venues write them, made into ours; what is none of them is refused."""

from __future__ import annotations

import math
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import Annotated

import msgspec

#: a number by which a venue counts its messages; -1 = it gives none. One below is damage, and its message is refused
Count = Annotated[int, msgspec.Meta(ge=-1)]
MAX_DECIMALS = 30  #: of a price or size
MAX_VOLUME = 1e15  #: of a candle, base units

_EPOCH, _MICROSECOND = datetime(1970, 1, 1, tzinfo=UTC), timedelta(microseconds=1)


def _float(text: str | float) -> float:
    """As Python reads it, without what only Python writes: underscores, digits of other scripts, room around. Raises ValueError."""
    if isinstance(text, str) and (not text.isascii() or "_" in text or text[:1].isspace() or text[-1:].isspace()):
        raise ValueError(f"not a number: {text[:40]!r}")
    return float(text)


def number(text: str | float) -> float:
    """A positive finite decimal; raises ValueError on everything else, so that no NaN or negative ever gets in."""
    value = _float(text)
    if not 0.0 < value < math.inf:
        raise ValueError(f"not a positive number: {str(text)[:40]!r}")
    return value


def amount(text: str | float) -> float:
    """A finite decimal of 0 or more, as volumes and sizes that may be gone are told; raises ValueError on everything else."""
    value = _float(text)
    if not 0.0 <= value < math.inf:
        raise ValueError(f"not an amount: {str(text)[:40]!r}")
    return value


def volume(text: str | float, unit: float = 1.0) -> float:
    """What was traded in a candle, ``unit`` base units each; raises ValueError on what no market trades in a minute."""
    found = amount(text) * unit
    if not 0.0 <= found < MAX_VOLUME:
        raise ValueError("volume out of range")
    return found


def funding_rate(text: str | float) -> float:
    """A fraction of either sign; raises ValueError on everything else."""
    value = _float(text)
    if not -1.0 < value < 1.0:
        raise ValueError(f"funding rate out of range: {str(text)[:40]!r}")
    return value


def least(value: str | float) -> float:
    """A least size or value as lists tell it: 0.0 = no limit; raises ValueError on what is none."""
    found = _float(value)
    if not 0.0 <= found < math.inf:
        raise ValueError(f"not a limit: {str(value)[:40]!r}")
    return found


def step(decimals: int) -> float:
    """The step of numbers with so many decimals: 2 → 0.01; raises ValueError on what is no count of them."""
    if not 0 <= decimals <= MAX_DECIMALS:
        raise ValueError(f"not a count of decimals: {decimals}")
    return float(f"1e-{decimals}")


def decimals(price: float, significant: int) -> int:
    """Decimals of a price of so many significant digits: 140.25 of 5 → 2; below 0 where not even its ones count."""
    return significant - 1 - int(f"{price:.{significant - 1}e}".partition("e")[2])


def utc_ns(text: str) -> int:
    """An RFC 3339 time in ns, to the microsecond; 0 where it is none or from before 1970."""
    try:
        return max(0, (datetime.fromisoformat(text) - _EPOCH) // _MICROSECOND * 1000)
    except (ValueError, TypeError):  # TypeError: a time without its zone
        return 0


def split_quote(name: str, quotes: Sequence[str]) -> tuple[str, str] | None:
    """``BTCUSDT`` → (``BTC``, ``USDT``) by the longest known quote currency; None when none fits."""
    for quote in quotes:
        if name.endswith(quote) and len(name) > len(quote):
            return name[: -len(quote)], quote
    return None
