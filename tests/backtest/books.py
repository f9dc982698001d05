"""A stand-in engine for the backtest's tests: books and opportunities from plain lists, stepped by time."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import msgspec

from dope.detectors.arbitrage import Opportunity
from dope.types import TICK, Event, Frame, Instrument

Levels = list[tuple[float, float]]
MS = 1_000_000


@dataclass
class ListedBook:
    instrument: Instrument
    state: str = "SYNCING"
    sides: dict[str, Levels] = field(default_factory=lambda: {"bid": [], "ask": []})

    def levels(self, side: str, limit: int) -> Levels:
        return self.sides[side][:limit]


@dataclass
class ListedMarket:
    books: dict[str, ListedBook]


class ListedEngine:
    """Steps through ``states``: {key: [(ms, bids, asks)]}, bids None = not LIVE; and gives ``signals``: {ms: [event]}."""

    def __init__(self, states: Mapping[str, Sequence[tuple[int, Levels | None, Levels]]], signals: Mapping[int, Sequence[Event]]) -> None:
        self._states = {key: sorted(rows, key=lambda row: row[0]) for key, rows in states.items()}
        self._signals = dict(signals)
        self.market = ListedMarket({key: ListedBook(instrument(key)) for key in states})

    def step(self, frame: Frame) -> list[Event]:
        for key, rows in self._states.items():
            while rows and rows[0][0] * MS <= frame.ts:
                _, bids, asks = rows.pop(0)
                book = self.market.books[key]
                book.state = "LIVE" if bids is not None else "GAP"
                book.sides = {"bid": [(p, q) for p, q in bids or []], "ask": [(p, q) for p, q in asks]}
        return list(self._signals.get(frame.ts // MS, [])) if frame.ts % MS == 0 else []

    def drain(self) -> list[object]:
        return []


def instrument(key: str) -> Instrument:
    venue, _, symbol = key.partition(":")
    base, quote = symbol.split("-")[:2]
    return Instrument(venue=venue, symbol=symbol, native=symbol, base=base, quote=quote, kind="spot")


def frames(*times_ms: float) -> list[Frame]:
    return [Frame(ts=round(t * MS), venue="", conn=0, kind=TICK, data=b"0") for t in times_ms]


def opening(ms: int, buy: str, sell: str, *, number: int = 1, fee_bps: float = 10.0, indicative_pct: float = 0.4) -> Opportunity:
    """An opportunity that opens at ``ms``; only the fields that a backtest reads say anything."""
    zero = {name: 0.0 for name, kind in Opportunity.__annotations__.items() if kind == "float"}
    none = {name: None for name, kind in Opportunity.__annotations__.items() if "None" in kind}
    leg = instrument(buy)
    known = {
        "ts": ms * MS, "id": number, "state": "open", "reason": "", "symbol": leg.symbol, "base": leg.base, "quote": leg.quote,
        "kind": "spot", "buy": buy, "sell": sell, "buy_venue": leg.venue, "sell_venue": instrument(sell).venue, "opened": ms * MS,
        "peak_t": 0, "updates": 1, "levels": (), "fee_buy_bps": fee_bps, "fee_sell_bps": fee_bps, "indicative_profit_pct": indicative_pct,
    }  # fmt: skip
    return msgspec.convert({**zero, **none, **known}, Opportunity)
