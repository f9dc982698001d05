"""Basis and carry, live: perpetuals against spot and against each other, in one currency; what holding them would pay.

Definition: for two markets of the same base and quote, b a perpetual, basis = (mid b / mid a − 1)·1e4 bps, sampled every 10 s while
both are LIVE and kept for an hour; its deviation from the median of that hour is what ranks. ``CarryFound`` when a side pays
``enter`` after four fees within ``hold`` hours, in at the executable sides, out at the median, each trade at the fee of its role there
(``Rules.role``) although prices are those of taking; never an opportunity: funding is a forecast. What was settled is kept per
perpetual. An interval that the venue does not tell is learned from two settlements. Pairs take turns, a few each tick, so that no
tick is long.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Sequence
from typing import Annotated, Any, NamedTuple

import msgspec
import numpy as np
from msgspec import Meta

from dope.detectors.arbitrage import Arbitrage
from dope.detectors.carry import BPS, HOUR_NS, NO_FUND, Fund, Hold, Outcome, apr_pct, basis_bps, first_after
from dope.detectors.opportunity import LEGS, Leg, Role, cost_as
from dope.market.market import Market
from dope.types import LIVE, Event, Funding, Instrument, Listed, Signal, Tick

NS = 1_000_000_000
EVERY_NS = 10 * NS  #: from one sample of a pair to the next
SAMPLES = 360  #: of them: an hour
ENOUGH = 30  #: samples below which there is no median: five minutes
SETTLED = 300  #: rates kept per perpetual
MAX_PAIRS = 4096  #: pairs that are followed
SHORTEST_H, LONGEST_H = 0.5, 24.0  #: an interval outside is not believed


class Parameters(msgspec.Struct, frozen=True):
    """What a carry is reckoned for, and from when it is told."""

    hold: Annotated[float, Meta(ge=1.0, le=2160.0, title="h", description="a carry is held for so long")] = 24.0
    enter: Annotated[float, Meta(ge=-100.0, le=1000.0, title="bps", description="net after four fees from which it is told")] = 5.0
    leave: Annotated[float, Meta(ge=-1000.0, le=1000.0, title="bps", description="below it, it is over")] = 0.0


class CarryFound(Signal, frozen=True):
    """Holding this basis pays, or no longer does (``on`` False); bps of one leg's notional, ``entry`` at the executable sides.

    ``roles`` = as what the four fees are paid: buying a, selling a, buying b, selling b.
    """

    KIND = "carry"

    symbol: str
    a: str
    b: str
    long: str
    on: bool
    hold_h: float
    entry_bps: float
    exit_bps: float
    funding_bps: float
    fees_bps: float
    net_bps: float
    roles: tuple[str, ...]

    def line(self, label: Callable[[str], str]) -> tuple[str, str, str]:
        other = self.b if self.long == self.a else self.a
        names = [f"{label(key.partition(':')[0])} {key.partition(':')[2]}" for key in (self.long, other)]
        word = f"pays over {self.hold_h:g} h" if self.on else "no longer pays"
        return f"Carry: long {names[0]}, short {names[1]} {word}", f"{self.net_bps:+.1f} bps", "pos" if self.on else ""


class _Perp:
    """Funding of one perpetual: what is due, and what was settled."""

    __slots__ = ("due", "interval_ns", "rate", "settled", "told")

    def __init__(self) -> None:
        self.rate: float | None = None
        self.due = self.told = self.interval_ns = 0
        self.settled: deque[tuple[int, float]] = deque(maxlen=SETTLED)  # (when, rate)

    def see(self, now: int, funding: Funding) -> None:
        """The clock and what the venue tells; a settlement that the clock has crossed is kept at the last rate told before it."""
        if self.rate is not None and self.due and now >= self.due:
            self.settled.append((self.due, self.rate))
            self.due = 0
        if funding.rate is None:
            return
        told = funding.next_ts
        apart = (told - self.told) / HOUR_NS
        if self.told and told > self.told and now >= self.told and SHORTEST_H <= apart <= LONGEST_H:
            self.interval_ns = told - self.told
        hours = min(max(funding.interval_h, SHORTEST_H), LONGEST_H)
        self.told, self.rate, self.interval_ns = told, funding.rate, self.interval_ns or int(hours * HOUR_NS)
        self.due = first_after(now, self.fund)

    @property
    def fund(self) -> Fund:
        """As it stands; without a rate it pays nothing."""
        return NO_FUND if self.rate is None else Fund(self.rate, self.told, self.interval_ns)


Touch = tuple[float, float]  #: (bid, ask)


class TradeFee(NamedTuple):
    """What one trade of a holding pays: ``fee`` is a fraction."""

    market: str
    side: Leg
    role: Role
    fee: float


class Seen(NamedTuple):
    """A pair at one instant: touches None where a book is not LIVE, ``median`` of the last hour (bps), None while it is not known."""

    number: int
    a: Touch | None
    b: Touch | None
    median: float | None
    samples: int


def _touch(market: Market, each: Instrument) -> Touch | None:
    book = market.books[each.key]
    bid, _, ask, _ = book.touch()
    return (bid, ask) if book.state == LIVE and bid > 0.0 and ask > 0.0 else None


class Basis:
    """All pairs of a perpetual and another market of its base and quote. ``arbitrage`` has the fees and the roles."""

    KINDS = (Listed, Tick)
    PARAMETERS = Parameters

    def __init__(self, arbitrage: Arbitrage, parameters: Parameters = Parameters()) -> None:
        self.arbitrage, self.parameters = arbitrage, parameters
        self.pairs: list[tuple[Instrument, Instrument]] = []  #: (a, b)
        self.perps: dict[str, _Perp] = {}
        self.on_now: set[tuple[int, int]] = set()  # (number of a pair, side) that pays
        self._markets: dict[str, Instrument] = {}
        self._past = np.full((0, SAMPLES), np.nan)  # basis, bps, a row per pair
        self._median: list[float | None] = []
        self._second = self._period = self._at = 0

    def on(self, event: Event, market: Market) -> Sequence[Event]:
        if isinstance(event, Listed):
            self._list(event.instrument)
        elif isinstance(event, Tick):
            if event.ts // NS != self._second:
                self._second = event.ts // NS
                self._see_funding(market, event.ts)
            return self._turn(market, event.ts) if self.pairs else ()
        return ()

    def _list(self, new: Instrument) -> None:
        if new.kind not in ("spot", "perp") or new.key in self._markets or (new.venue, new.kind) not in self.arbitrage.costs:
            return
        for old in self._markets.values():
            if (old.base, old.quote) == (new.base, new.quote) and "perp" in (old.kind, new.kind) and len(self.pairs) < MAX_PAIRS:
                a, b = (new, old) if (new.kind, old.kind) == ("spot", "perp") else (old, new)
                self.pairs.append((a, b))
        self._markets[new.key] = new
        if new.kind == "perp":
            self.perps[new.key] = _Perp()
        grown = np.full((len(self.pairs), SAMPLES), np.nan)
        grown[: len(self._past)] = self._past
        self._past = grown
        self._median += [None] * (len(self.pairs) - len(self._median))

    # -- in time ---------------------------------------------------------------------------------------------------------
    def _see_funding(self, market: Market, now: int) -> None:
        for key, perp in self.perps.items():
            if (funding := market.funding.get(key)) is not None:
                perp.see(now, funding)

    def _turn(self, market: Market, now: int) -> list[CarryFound]:
        """Visit the pairs whose turn has come since the last tick: each once in ``EVERY_NS``."""
        period, total = now // EVERY_NS, len(self.pairs)
        upto = total * (now % EVERY_NS) // EVERY_NS
        turn = range(self._at, upto) if period == self._period else [*range(self._at, total), *range(upto)]
        column = self._period % SAMPLES
        told: list[CarryFound] = []
        for k, number in enumerate(turn):
            if period != self._period and k >= total - self._at:
                column = period % SAMPLES
            told += self._visit(number, column, market, now)
        self._period, self._at = period, upto
        return told

    def _visit(self, number: int, column: int, market: Market, now: int) -> list[CarryFound]:
        a, b = (_touch(market, each) for each in self.pairs[number])
        past = self._past[number]
        past[column] = np.nan if a is None or b is None else basis_bps(sum(a) / 2.0, sum(b) / 2.0)
        known = past[~np.isnan(past)]
        self._median[number] = float(np.median(known)) if len(known) >= ENOUGH else None
        return [] if a is None or b is None or self._median[number] is None else self._judge(number, (a, b), now)

    def _judge(self, number: int, touch: tuple[Touch, Touch], now: int) -> list[CarryFound]:
        a, b = self.pairs[number]
        hold = self.hold(number, now)
        told = []
        for side in (1, -1):
            entry = entry_bps(*touch, side)
            found = hold.outcome(entry, side)
            paying = (number, side) in self.on_now
            if (found.net < self.parameters.leave) if paying else (found.net >= self.parameters.enter):
                (self.on_now.discard if paying else self.on_now.add)((number, side))
                told.append(CarryFound(
                    ts=now, symbol=b.symbol, a=a.key, b=b.key, long=a.key if side > 0 else b.key, on=not paying,
                    hold_h=self.parameters.hold, entry_bps=entry, exit_bps=hold.exit_bps, funding_bps=found.funding,
                    fees_bps=found.fees, net_bps=found.net, roles=tuple(fee.role for fee in self.fees(number)),
                ))  # fmt: skip
        return told

    # -- for who asks --------------------------------------------------------------------------------------------------
    def fees(self, number: int) -> list[TradeFee]:
        """What the four trades of a holding pay: buying a, selling a, buying b, selling b."""
        costs, rules = self.arbitrage.costs, self.arbitrage.rules
        return [
            TradeFee(each.key, leg, rules.role(each.venue, leg), cost_as(costs, rules, (each.venue, each.kind), leg).fee)
            for each in self.pairs[number] for leg in LEGS
        ]  # fmt: skip

    def hold(self, number: int, now: int, hours: float | None = None) -> Hold:
        """How this pair would be held from now on; out at the median of the last hour, at 0 while there is none."""
        a, b = self.pairs[number]
        funds = tuple(self.perps[each.key].fund if each.kind == "perp" else NO_FUND for each in (a, b))
        buy_a, sell_a, buy_b, sell_b = (each.fee for each in self.fees(number))
        until = now + int((hours or self.parameters.hold) * HOUR_NS)
        return Hold(now, until, (funds[0], funds[1]), (buy_a, sell_a, buy_b, sell_b), self._median[number] or 0.0)

    def seen(self, market: Market) -> list[Seen]:
        """Every pair as it stands. To be taken between two steps."""
        counts = np.count_nonzero(~np.isnan(self._past), axis=1).tolist()
        return [Seen(k, _touch(market, a), _touch(market, b), self._median[k], counts[k]) for k, (a, b) in enumerate(self.pairs)]

    def settled(self) -> dict[str, list[tuple[int, float]]]:
        """Per perpetual what was settled while it was watched, oldest first."""
        return {key: list(perp.settled) for key, perp in self.perps.items()}


def entry_bps(a: Touch, b: Touch, side: int) -> float:
    """The basis that this side gets in at: what is bought costs its ask, what is sold brings its bid."""
    return basis_bps(a[1], b[0]) if side > 0 else basis_bps(a[0], b[1])


def side_row(hold: Hold, entry: float, side: int, hold_h: float) -> dict[str, Any]:
    """One side of a pair for display: bps of one leg's notional; ``break_even_h`` None = not within 90 days."""
    found: Outcome = hold.outcome(entry, side)
    wait = hold.break_even_ns(entry, side)
    return {
        "entry_bps": entry, "settlements_a": found.events[0], "settlements_b": found.events[1], "funding_bps": found.funding,
        "convergence_bps": found.convergence, "fees_bps": found.fees, "net_bps": found.net, "apr_pct": apr_pct(found.net, hold_h),
        "break_even_h": None if wait is None else wait / HOUR_NS,
    }  # fmt: skip


def distribution(rates: Sequence[float]) -> dict[str, float | int | None]:
    """What was settled so far, bps per interval."""
    if not rates:
        return {"n": 0, "mean_bps": None, "p5_bps": None, "p50_bps": None, "p95_bps": None, "positive": None}
    values = np.array(rates) * BPS
    low, middle, high = np.quantile(values, (0.05, 0.5, 0.95)).tolist()
    return {
        "n": len(rates), "mean_bps": float(values.mean()), "p5_bps": low, "p50_bps": middle, "p95_bps": high,
        "positive": float((values > 0.0).mean()),
    }  # fmt: skip
