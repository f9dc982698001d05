"""Filling an immediate-or-cancel order against a recorded book, without using the same liquidity twice."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

Level = tuple[float, float]


@dataclass(frozen=True)
class Fill:
    """``qty`` in base, ``value`` = Σ price · quantity in quote, before fees."""

    qty: float = 0.0
    value: float = 0.0


NO_FILL = Fill()


class OwnFills:
    """What our orders have taken out of one market's recorded book.

    The recording does not know of our orders, so a level we have taken from stays smaller by that amount until the
    venue itself changes it: until then offering its full size again would be filling twice from the same quantity.
    """

    def __init__(self) -> None:
        self._taken: dict[str, dict[float, tuple[float, float]]] = {"ask": {}, "bid": {}}

    def fill(
        self, side: str, levels: Sequence[Level], *, qty: float, limit: float | None = None, max_base: float = math.inf,
        max_quote: float = math.inf, fee: float = 0.0,
    ) -> Fill:  # fmt: skip
        """Take up to ``qty`` from ``levels`` (best first) of ``side`` "ask" (we buy) or "bid" (we sell); the rest is cancelled.

        ``limit`` is the worst price accepted, None = at market. ``max_quote`` bounds value · (1 + ``fee``) of a purchase,
        ``max_base`` the quantity of a sale: what the balance allows.
        """
        taken = self._still_taken(side, levels)
        left, got, value = min(qty, max_base), 0.0, 0.0
        for price, size in levels:
            if left <= 0 or (limit is not None and (price > limit if side == "ask" else price < limit)):
                break
            already = taken[price][1] if price in taken else 0.0
            affordable = (max_quote - value * (1 + fee)) / (price * (1 + fee)) if max_quote < math.inf else math.inf
            part = min(left, size - already, affordable)
            if part <= 0:
                if affordable <= 0:
                    break
                continue
            taken[price] = (size, already + part)
            left, got, value = left - part, got + part, value + part * price
        return Fill(got, value) if got > 0 else NO_FILL

    def _still_taken(self, side: str, levels: Sequence[Level]) -> dict[float, tuple[float, float]]:
        sizes = dict(levels)
        kept = {price: item for price, item in self._taken[side].items() if sizes.get(price) == item[0]}
        self._taken[side] = kept
        return kept
