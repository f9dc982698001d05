"""Balances per venue and asset, and what they allow: no purchase without quote, no sale without base."""

from __future__ import annotations

import math
from collections.abc import Mapping

from dope.backtest.fills import Fill


class Portfolio:
    """``balances``: {venue: {asset: amount}}; None = not limited, every venue is assumed to hold enough of everything."""

    def __init__(self, balances: Mapping[str, Mapping[str, float]] | None = None) -> None:
        self.limited = balances is not None
        self.balances: dict[str, dict[str, float]] = {venue: dict(assets) for venue, assets in (balances or {}).items()}

    def room(self, venue: str, asset: str) -> float:
        """How much of ``asset`` may be spent at ``venue``."""
        return max(0.0, self.balances.get(venue, {}).get(asset, 0.0)) if self.limited else math.inf

    def bought(self, venue: str, base: str, quote: str, fill: Fill, fee: float) -> None:
        """Book a purchase: base that came in, value and the fee in quote (a fraction of the value) out."""
        self._add(venue, base, fill.qty)
        self._add(venue, quote, -fill.value * (1 + fee))

    def sold(self, venue: str, base: str, quote: str, fill: Fill, fee: float) -> None:
        """Book a sale: base out, value less the fee in."""
        self._add(venue, base, -fill.qty)
        self._add(venue, quote, fill.value * (1 - fee))

    def _add(self, venue: str, asset: str, amount: float) -> None:
        assets = self.balances.setdefault(venue, {})
        assets[asset] = assets.get(asset, 0.0) + amount
