"""What history is made of: the rows of the tables of ``dope/tables.py``, collected from a running engine as they happen.

Best bids and asks are read in one go from the rings that the books keep anyway; trades and changes of state come through
the detector protocol, behind all detectors, and change nothing: signals and digests are the same with and without.
A gap is told when it opens (``until`` null) and once more when it is over: equal (ts, symbol, venue, what), the later row counts.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator, Sequence
from itertools import islice
from typing import Any

import msgspec
import numpy as np
import pyarrow as pa

from dope import tables
from dope.detectors.arbitrage import Opportunity
from dope.market import lane
from dope.market.market import FAR, Market
from dope.types import (
    LIVE,
    SENTINEL,
    Ack,
    BookState,
    ClosedInfo,
    Event,
    Fault,
    Gap,
    Instruments,
    Link,
    Listed,
    Notice,
    OpenInfo,
    Trade,
    of_sentinel,
)

WAITING = 100_000  #: rows of one table that wait to be taken; more are lost and counted
RECENT = 8192  #: trades kept for those who follow them, of all markets together
TOLD = (Listed, Instruments, Gap, Fault, Ack, Notice, BookState)  #: what an engine tells besides signals

_open = msgspec.json.Decoder(OpenInfo)
_closed = msgspec.json.Decoder(ClosedInfo)


class Collector:
    """``on`` and ``note`` are called as things happen, ``take`` some times a second; all belong to the engine's thread."""

    KINDS = (Trade, Listed, BookState, Link)
    TRADES_APART = True  #: a trade is kept as it is, whatever the books say meanwhile

    def __init__(self, session: str) -> None:
        """``session`` = the recording session, as in the description of its tapes."""
        self.session = session
        self.lost = 0  #: rows, for want of room
        self._trades: list[Trade] = []
        self._recent: deque[Trade] = deque(maxlen=RECENT)  # taken already
        self._taken = 0
        self._rows: dict[str, list[dict[str, Any]]] = {name: [] for name in ("opportunity", "signal", "gap")}
        self._lost: dict[str, list[int]] = {}  # table → [how many, first ts, last ts] since the last take
        self._gaps: dict[tuple[str, str, str], dict[str, Any]] = {}  # (what, venue, symbol or plan) → its row, while open
        self._fresh: list[tuple[str, str, str]] = []  # opened since the last take
        self._links: dict[tuple[str, str], set[int]] = {}  # (venue, plan) → connections that are open
        self._codes: dict[str, int] = {}  # key of a market → its number in the name columns
        self._names = _Names([], [])
        self._seen = np.zeros(0, dtype=np.int64)  # touches taken, per slot
        self._until = np.zeros(0, dtype=np.int64)  # ts of the last one of them
        self._slot_codes = np.zeros(0, dtype=np.int32)
        self._shown = np.zeros(0, dtype=np.bool_)  # slots of markets that have rows at all
        self._met = 0  # books learned of

    # -- as it happens -----------------------------------------------------------------------------------------------
    def on(self, event: Event, market: Market) -> Sequence[Event]:
        if type(event) is Trade:
            if len(self._trades) < WAITING:
                sound = abs(event.ts_exch) < FAR  # a venue may write any number as its time: what no column holds is none
                self._trades.append(event if sound else msgspec.structs.replace(event, ts_exch=0))
            else:
                self._lose("trade", event.ts)
        elif of_sentinel(event):
            pass
        elif isinstance(event, BookState):
            self._book(event.key, event.ts, event.state, event.reason)
        elif isinstance(event, Link):
            self._link(event)
        elif isinstance(event, Listed):
            book = market.books[event.instrument.key]
            self._book(book.key, event.ts, book.state, book.reason)
        return ()

    def note(self, event: Event) -> None:
        """One event that the engine told; signals among them become rows."""
        if of_sentinel(event):
            return
        if isinstance(event, Opportunity):
            self._opportunity(event)
        elif not isinstance(event, TOLD):
            self.signal(event)

    def trades_after(self, number: int) -> tuple[int, list[Trade]]:
        """How many trades there were so far, and those after the first ``number`` of them, oldest first, as far as they are kept."""
        newest = self._taken + len(self._trades)
        old = self._taken - number  # of them, so many were taken already
        if old <= 0:
            return newest, self._trades[max(0, number - self._taken) :]
        return newest, [*list(islice(reversed(self._recent), old))[::-1], *self._trades]

    def signal(self, event: Event) -> None:
        """A signal of another kind, from the engine or beside it."""
        symbol = getattr(event, "symbol", "") or getattr(event, "key", "").partition(":")[2]
        detail = msgspec.json.encode(event).decode()
        kind = getattr(event, "KIND", "") or type(event).__name__
        self._add("signal", {"ts": event.ts, "symbol": symbol, "kind": kind, "session": self.session, "detail": detail})

    def _opportunity(self, o: Opportunity) -> None:
        state = o.state if o.closed is not None else "open"
        names = ("ts", "symbol", "id", "kind", "buy_venue", "sell_venue", "opened", "closed")
        figures = ("gross_bps", "net_bps", "peak_bps", "size", "net")
        row = {name: getattr(o, name) for name in names + figures}
        self._add("opportunity", {**row, "session": self.session, "state": state, "detail": msgspec.json.encode(o).decode()})

    def _book(self, key: str, ts: int, state: str, reason: str) -> None:
        venue, _, symbol = key.partition(":")
        if state == LIVE:
            self._close_gap(("book", venue, symbol), ts)
        else:
            self._open_gap(("book", venue, symbol), tables.gap(ts, None, "book", reason or state, venue=venue, symbol=symbol))

    def _link(self, link: Link) -> None:
        """A plan without any open connection is a gap; one that is replaced before it closes is none, nor one no longer needed."""
        if link.up:
            about = _open.decode(link.about) if link.about else OpenInfo("", "")
            self._links.setdefault((link.venue, about.plan), set()).add(link.conn)
            self._close_gap(("connection", link.venue, about.plan), link.ts)
            return
        for (venue, plan), conns in self._links.items():
            if venue == link.venue and link.conn in conns:
                conns.discard(link.conn)
                why = _closed.decode(link.about) if link.about else ClosedInfo(1006, "")
                if not conns and not why.planned:
                    text = f"{plan}: {why.reason or f'closed with code {why.code}'}"
                    self._open_gap(("connection", venue, plan), tables.gap(link.ts, None, "connection", text, venue=venue))

    def _open_gap(self, name: tuple[str, str, str], row: dict[str, Any]) -> None:
        if name not in self._gaps:
            self._gaps[name] = row
            self._fresh.append(name)

    def _close_gap(self, name: tuple[str, str, str], ts: int) -> None:
        row = self._gaps.pop(name, None)
        if row is None:
            return
        never_told = name in self._fresh
        if never_told:
            self._fresh.remove(name)
        if ts > row["ts"] or not never_told:
            self._add("gap", {**row, "until": ts})

    def finish(self, ts: int) -> None:
        """The recording ends: so do the gaps in it."""
        for name in list(self._gaps):
            self._close_gap(name, ts)

    def _add(self, table: str, row: dict[str, Any]) -> None:
        rows = self._rows[table]
        if len(rows) < WAITING:
            rows.append(row)
        else:
            self._lose(table, row["ts"])

    def _lose(self, table: str, ts: int) -> None:
        lost = self._lost.setdefault(table, [0, ts, ts])
        lost[0], lost[2] = lost[0] + 1, ts

    # -- some times a second -----------------------------------------------------------------------------------------
    def hurry(self, market: Market) -> bool:
        """Whether a ring is half full of touches that were not taken yet."""
        count = market.slots.count
        if len(self._seen) < count:
            return True
        return bool(count) and bool((market.slots.ring_n[:count] - self._seen[:count]).max() > lane.RING // 2)

    def take(self, market: Market) -> dict[str, pa.RecordBatch]:
        """All rows since the last time, by table; tables without new rows are left out."""
        return dict(found for found in self.taking(market) if found is not None)

    def taking(self, market: Market) -> Iterator[tuple[str, pa.RecordBatch] | None]:
        """The same in pieces of a fraction of a millisecond, None between two of one table; the market may go on in between."""
        self._learn(market)
        touches = self._new_touches(market)
        if touches is not None:
            yield None
            yield "bbo", self._touch_rows(*touches)
        trades = self._take_trades()
        if trades is not None:
            yield "trade", trades
        for table, (count, first, last) in self._lost.items():
            self.lost += count
            self._rows["gap"].append(tables.gap(first, last, "rows", f"more than {WAITING} rows of {table} were waiting", lost=count))
        self._lost.clear()
        self._rows["gap"] += [self._gaps[name] for name in self._fresh]
        self._fresh.clear()
        for table, rows in self._rows.items():
            if rows:
                batch = tables.batch(table, rows)
                rows.clear()
                yield table, batch

    def _learn(self, market: Market) -> None:
        """New books get their numbers."""
        if len(market.books) == self._met:
            return
        for key, book in list(market.books.items())[self._met :]:
            if book.instrument.kind != SENTINEL:
                self._codes[key] = len(self._codes)
        self._met = len(market.books)
        self._names = _Names([key.partition(":")[2] for key in self._codes], [key.partition(":")[0] for key in self._codes])
        grown = np.zeros((2, market.slots.count), dtype=np.int64)
        grown[0, : len(self._seen)], grown[1, : len(self._until)] = self._seen, self._until
        self._seen, self._until = grown
        self._slot_codes = np.zeros(market.slots.count, dtype=np.int32)
        for key, code in self._codes.items():
            self._slot_codes[market.books[key].slot] = code
        self._shown = np.zeros(market.slots.count, dtype=np.bool_)
        self._shown[[market.books[key].slot for key in self._codes]] = True

    def _new_touches(self, market: Market) -> tuple[np.ndarray, np.ndarray, np.ndarray] | None:
        """(slot, received and stamped, touch) of each, copied: the rings go on."""
        slots = market.slots
        have = slots.ring_n[: len(self._seen)].copy()
        new = np.where(self._shown, have - self._seen, 0)
        if not new.any():
            self._seen = have
            return None
        for slot in np.flatnonzero(new > lane.RING).tolist():
            self._overran(slot, int(new[slot]) - lane.RING, int(slots.ring_t[slot, have[slot] & lane.RING - 1, 0]))
        new = np.minimum(new, lane.RING)
        slot_of = np.repeat(np.arange(len(new)), new)
        place = np.arange(int(new.sum())) - np.repeat(np.cumsum(new) - new, new) + np.repeat(have - new, new) & lane.RING - 1
        flat = slot_of * lane.RING + place
        times = np.ascontiguousarray(slots.ring_t.reshape(-1, 2).take(flat, axis=0).T)
        touch = np.ascontiguousarray(slots.ring.reshape(-1, 4).take(flat, axis=0).T)
        self._seen = have
        moved = new > 0
        self._until[moved] = times[0, np.cumsum(new)[moved] - 1]
        return slot_of, times, touch

    def _touch_rows(self, slot_of: np.ndarray, times: np.ndarray, touch: np.ndarray) -> pa.RecordBatch:
        no_bid, no_ask = ~(touch[0] > 0.0), ~(touch[2] > 0.0)
        columns = [
            pa.array(times[0]), *self._names.columns(self._slot_codes[slot_of]), _nullable(times[1], times[1] <= 0),
            _nullable(touch[0], no_bid), _nullable(touch[2], no_ask), _nullable(touch[1], no_bid), _nullable(touch[3], no_ask),
        ]  # fmt: skip
        return pa.RecordBatch.from_arrays(columns, schema=tables.BBO)

    def _overran(self, slot: int, count: int, until: int) -> None:
        self.lost += count
        code = int(self._slot_codes[slot])
        venue, symbol = self._names.venues[code], self._names.symbols[code]
        why = f"more than {lane.RING} changes of the touch at once"
        self._rows["gap"].append(tables.gap(int(self._until[slot]), until, "rows", why, lost=count, venue=venue, symbol=symbol))

    def _take_trades(self) -> pa.RecordBatch | None:
        trades, self._trades = self._trades, []
        if not trades:
            return None
        self._recent.extend(trades)
        self._taken += len(trades)
        codes = np.array([self._codes[trade.key] for trade in trades], dtype=np.int32)
        stamps = np.array([trade.ts_exch for trade in trades], dtype=np.int64)
        columns = [
            pa.array([trade.ts for trade in trades], type=pa.int64()), *self._names.columns(codes), _nullable(stamps, stamps <= 0),
            pa.array([trade.trade_id for trade in trades], type=pa.string()),
            pa.array([trade.price for trade in trades], type=pa.float64()), pa.array([trade.size for trade in trades], type=pa.float64()),
            pa.array([trade.side for trade in trades], type=tables.TRADE.field("side").type),
        ]  # fmt: skip
        return pa.RecordBatch.from_arrays(columns, schema=tables.TRADE)


class _Names:
    """Symbol and venue of every market by number, and as dictionary columns."""

    def __init__(self, symbols: list[str], venues: list[str]) -> None:
        self.symbols, self.venues = symbols, venues
        self._columns = [_coded(symbols), _coded(venues)]

    def columns(self, codes: np.ndarray) -> list[pa.DictionaryArray]:
        return [pa.DictionaryArray.from_arrays(pa.array(number[codes]), names) for number, names in self._columns]


def _nullable(values: np.ndarray, missing: np.ndarray) -> pa.Array:
    return pa.array(values, mask=missing) if missing.any() else pa.array(values)


def _coded(names: list[str]) -> tuple[np.ndarray, pa.Array]:
    """Market number → number of its name; and the names, each once."""
    order = {name: i for i, name in enumerate(dict.fromkeys(names))}
    return np.array([order[name] for name in names], dtype=np.int32), pa.array(list(order), type=pa.string())
