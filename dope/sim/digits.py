"""Numbers as a venue writes them: from integers, with the venue's own digits, without any float."""

from __future__ import annotations

from typing import NamedTuple


class Digits(NamedTuple):
    """``text(n)`` writes ``n * factor / 10**decimals``; ``strip`` drops trailing zeros, as OKX does."""

    factor: int
    decimals: int
    strip: bool = False

    def text(self, n: int) -> str:
        """``n`` as decimal text."""
        n *= self.factor
        decimals = self.decimals
        if decimals == 0:
            return str(n)
        sign, n = ("-", -n) if n < 0 else ("", n)
        raw = str(n).zfill(decimals + 1)
        out = f"{sign}{raw[:-decimals]}.{raw[-decimals:]}"
        return out.rstrip("0").rstrip(".") if self.strip else out


def rescaled(unit_exponent: int, unit: int, decimals: int, *, strip: bool = False) -> Digits:
    """Digits for counts of ``unit`` × 10**-unit_exponent, shown with ``decimals`` places.

    Raises ValueError where the unit needs more places than are shown.
    """
    if decimals >= unit_exponent:
        return Digits(unit * 10 ** (decimals - unit_exponent), decimals, strip)
    factor, rest = divmod(unit, 10 ** (unit_exponent - decimals))
    if rest:
        raise ValueError(f"{unit}e-{unit_exponent} does not fit {decimals} decimals")
    return Digits(factor, decimals, strip)
