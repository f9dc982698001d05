"""The de-peg alarm: a coin that is meant to be worth a dollar and is not, told once when it leaves and once when it is back.

Definition: the price of a coin = median of the mids of its LIVE markets against USD; without any, through a coin that has one;
without that either, against the other coin of the market as it stands. Off: away from 1 by ``level`` for ``hold``; back: nearer than
``leave`` for as long. Looked at once per second. A de-peg is never an opportunity: prices in two currencies are compared elsewhere.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from statistics import median
from typing import Annotated

import msgspec
from msgspec import Meta

from dope.market.market import Market
from dope.symbols import DOLLARS
from dope.types import LIVE, Event, Instrument, Listed, Signal, Tick

NS = 1_000_000_000
USD = "USD"
MAX_COINS = 64  #: coins or pairs of coins that are followed


class Parameters(msgspec.Struct, frozen=True):
    """When a coin counts as off its peg."""

    level: Annotated[float, Meta(ge=1.0, le=5000.0, title="bps", description="away from 1.0 by more than this: off its peg")] = 50.0
    leave: Annotated[float, Meta(ge=0.0, le=5000.0, title="bps", description="nearer to 1.0 than this: back at its peg")] = 25.0
    hold: Annotated[float, Meta(ge=0.0, le=3600.0, title="s", description="for so long, before either is told")] = 3.0


class Depeg(Signal, frozen=True):
    """``coin`` is worth ``price`` of ``against``, ``bps`` away from 1.0, since ``since`` (ns); ``off`` False = it is back.

    ``markets``: keys of those whose own mids say so, or that were asked for it.
    """

    KIND = "de-peg"

    symbol: str
    coin: str
    against: str
    off: bool
    price: float
    bps: float
    since: int
    markets: tuple[str, ...]

    def line(self, label: Callable[[str], str]) -> tuple[str, str, str]:
        venues = ", ".join(label(name) for name in dict.fromkeys(key.partition(":")[0] for key in self.markets))
        if not self.off:
            return f"{self.coin} is back at its peg, {self.price:.4f} {self.against}", f"{self.bps:+.0f} bps", "pos"
        return f"{self.coin} is off its peg: {self.price:.4f} {self.against} at {venues}", f"{self.bps:+.0f} bps", "warn"


class Price(msgspec.Struct, frozen=True):
    """What a coin is worth in ``against``, and (market, what that market alone says) behind it."""

    coin: str
    against: str
    price: float
    said: tuple[tuple[str, float], ...]

    @property
    def bps(self) -> float:
        """Away from 1.0."""
        return (self.price - 1.0) * 1e4


class _Watched:
    """One coin: whether it is off, and since when it seems to be otherwise."""

    __slots__ = ("off", "turned")

    def __init__(self) -> None:
        self.off, self.turned = False, 0


class Pegs:
    """The coins of all markets between two of them, or one of them and the dollar."""

    KINDS = (Listed, Tick)
    PARAMETERS = Parameters

    def __init__(self, parameters: Parameters = Parameters()) -> None:
        self.parameters = parameters
        self._markets: dict[str, Instrument] = {}
        self._coins: dict[tuple[str, str], _Watched] = {}
        self._second = 0

    def on(self, event: Event, market: Market) -> Sequence[Event]:
        if isinstance(event, Listed):
            i = event.instrument
            if i.kind == "spot" and i.base != USD and {i.base, i.quote} <= DOLLARS:
                self._markets[i.key] = i
        elif isinstance(event, Tick) and self._markets and event.ts // NS != self._second:
            self._second = event.ts // NS
            return self._look(market, event.ts)
        return ()

    def off(self) -> list[tuple[str, str]]:
        """(coin, against) of all that are off now."""
        return [key for key, watched in self._coins.items() if watched.off]

    def prices(self, market: Market) -> list[Price]:
        """What each coin is worth now; a coin without a LIVE market is left out."""
        direct: dict[str, list[tuple[str, float]]] = {}
        pairs: list[tuple[Instrument, float]] = []
        for key, i in self._markets.items():
            book = market.books[key]
            mid = book.mid() if book.state == LIVE else None
            if mid is None:
                continue
            if i.quote == USD:
                direct.setdefault(i.base, []).append((key, mid))
            else:
                pairs.append((i, mid))
        found = {(coin, USD): _price(coin, USD, said) for coin, said in direct.items()}
        hops: dict[tuple[str, str], list[tuple[str, float]]] = {}
        for i, mid in pairs:
            base, quote = found.get((i.base, USD)), found.get((i.quote, USD))
            if base is None and quote is None:
                hops.setdefault((i.base, i.quote), []).append((i.key, mid))
            elif quote is not None and base is None:
                hops.setdefault((i.base, USD), []).append((i.key, mid * quote.price))
            elif base is not None and quote is None:
                hops.setdefault((i.quote, USD), []).append((i.key, base.price / mid))
        return [*found.values(), *(_price(coin, against, said) for (coin, against), said in hops.items())]

    def _look(self, market: Market, now: int) -> list[Depeg]:
        told: list[Depeg] = []
        for price in self.prices(market):
            watched = self._coins.get((price.coin, price.against))
            if watched is None:
                if len(self._coins) == MAX_COINS:
                    continue
                watched = self._coins[(price.coin, price.against)] = _Watched()
            away = abs(price.bps)
            if away <= self.parameters.level if not watched.off else away >= self.parameters.leave:
                watched.turned = 0
                continue
            watched.turned = watched.turned or now
            if now - watched.turned >= self.parameters.hold * NS:
                told.append(self._turn(price, watched, now))
        return told

    def _turn(self, price: Price, watched: _Watched, now: int) -> Depeg:
        since, watched.turned, watched.off = watched.turned, 0, not watched.off
        beyond = tuple(key for key, mid in price.said if abs(mid - 1.0) * 1e4 > self.parameters.level)
        markets = beyond if watched.off and beyond else tuple(key for key, _ in price.said)
        return Depeg(
            ts=now, symbol=f"{price.coin}-{price.against}", coin=price.coin, against=price.against, off=watched.off, price=price.price,
            bps=price.bps, since=since, markets=markets,
        )  # fmt: skip


def _price(coin: str, against: str, said: list[tuple[str, float]]) -> Price:
    return Price(coin, against, median(mid for _, mid in said), tuple(said))
