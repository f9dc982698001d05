"""The messages of a relay: what one channel says in one form, numbered, encoded once for all who listen to it.

``snapshot`` first, after a resync and when a row has gone: all rows. ``update``: the rows that changed, each whole and in
place of the one of the same key; at least one message a second. Both have ``channel``, ``seq`` (+1 each), ``t`` (ms UTC),
``source`` ("live" | "sim" | "tape"), ``trouble`` (why nothing is current, null while all is well) and
- of a venue: ``books`` and ``trades`` (each once, in order), in the form of ``dope/relay.py``; ``trades_total`` so far on this
  channel, so that a client that was too slow sees how many it missed; ``missed``: trades that nobody was told;
- of a symbol: ``venues`` [{venue, key, state, reason, bid, bid_size, ask, ask_size, age_ms}], and ``best`` of the LIVE ones:
  {bid: {venue, price, size}|null, ask, spread (ask − bid, quote currency; below 0 = the books of two venues cross), spread_bps}.
Only a LIVE row has prices.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, NamedTuple

import orjson

from dope.api.clients import KEEPALIVE_S, Outbox

LIVE, DOWN = "LIVE", "DOWN"
BOOK_SHOWN = ("state", "reason", "bids", "asks")  #: what a change of makes a book worth a message
TOUCH_SHOWN = ("state", "reason", "bid", "bid_size", "ask", "ask_size")
NO_PRICES: dict[str, Any] = {"bids": [], "asks": [], "exchange_ms": None, "venue_seq": None}
NO_TOUCH: dict[str, Any] = dict.fromkeys(("bid", "bid_size", "ask", "ask_size"))

Row = dict[str, Any]


class News(NamedTuple):
    """What a channel knows at one moment: all rows by key, and what happened since the moment before."""

    rows: Mapping[str, Row]
    source: str | None
    trouble: str | None
    trades: Sequence[Row] = ()
    missed: int = 0


class Form(NamedTuple):
    """What a client asked to see of a channel."""

    symbol: str = ""  #: "" = all
    depth: int = 0


class View:
    """One form of one channel: the same numbers and the same bytes for all its clients."""

    def __init__(self, channel: str, form: Form, *, of_venue: bool) -> None:
        self.form, self._channel, self._of_venue = form, channel, of_venue
        self.outboxes: set[Outbox] = set()
        self.seq = 0
        self.spoke = -KEEPALIVE_S  #: s, when it said something last
        self._trades = 0
        self._news = News({}, None, None)
        self._cached: tuple[int, str] = (-1, "")
        self._begun = asyncio.Event()
        self._t_ms = 0

    async def begun(self) -> None:
        """Until there is something to show."""
        await self._begun.wait()

    def snapshot(self) -> str:
        """The state after message ``seq``; encoded once for all who ask between two messages."""
        if self._cached[0] != self.seq:
            self._cached = (self.seq, self._message("snapshot", self._news.rows.values(), self._news._replace(trades=(), missed=0)))
        return self._cached[1]

    def step(self, news: News, t_ms: int, now: float) -> str | None:
        """Take what is new; the message for everybody, None when there is nothing to say yet. ``now`` in s, never falling."""
        before, news = self._news, self._cut(news)
        changed = [row for key, row in news.rows.items() if not self._same(before.rows.get(key), row)]
        gone = bool(before.rows.keys() - news.rows.keys())
        status = (news.source, news.trouble) != (before.source, before.trouble)
        quiet = not (changed or gone or status or news.trades or news.missed)
        self._t_ms = t_ms
        if quiet and self._begun.is_set() and now - self.spoke < KEEPALIVE_S:
            return None
        self._news, self.spoke = news, now
        self.seq += 1
        self._trades += len(news.trades)
        self._begun.set()
        return self._message("snapshot", news.rows.values(), news) if gone else self._message("update", changed, news)

    def hole(self) -> None:
        """Something may have been lost: the numbers say so."""
        self.seq += 1

    def _same(self, old: Row | None, new: Row) -> bool:
        return old is not None and all(old[name] == new[name] for name in (BOOK_SHOWN if self._of_venue else TOUCH_SHOWN))

    def _cut(self, news: News) -> News:
        """Of what the channel knows, what this form shows."""
        symbol, depth = self.form
        if not self._of_venue:
            return news
        rows = {key: _shallow(row, depth) for key, row in news.rows.items() if symbol in ("", row["symbol"])}
        return news._replace(rows=rows, trades=[row for row in news.trades if symbol in ("", row["symbol"])])

    def _message(self, kind: str, rows: Iterable[Row], news: News) -> str:
        head = {
            "type": kind, "channel": self._channel, "seq": self.seq, "t": self._t_ms, "source": news.source, "trouble": news.trouble,
        }  # fmt: skip
        if self._of_venue:
            body = {"books": list(rows), "trades": news.trades, "trades_total": self._trades, "missed": news.missed}
        else:
            body = {"venues": list(rows), "best": best(news.rows.values())}
        return orjson.dumps(head | body).decode()


def _shallow(row: Row, depth: int) -> Row:
    if max(len(row["bids"]), len(row["asks"])) <= depth:
        return row
    return {**row, "bids": row["bids"][:depth], "asks": row["asks"][:depth]}


def without_prices(rows: Mapping[str, Row], none: Mapping[str, Any], why: str) -> dict[str, Row]:
    """The same rows when nothing about them is known to be current."""
    return {key: {**row, **none, "state": DOWN, "reason": why} for key, row in rows.items()}


def touches(instruments: Iterable[Mapping[str, Any]], symbol: str) -> dict[str, Row]:
    """Rows of one symbol by venue, of the board's ``instruments``; prices of LIVE books only."""
    found = {}
    for row in instruments:
        if row["symbol"] == symbol:
            prices = {name: row.get(name) for name in NO_TOUCH} if row["state"] == LIVE else NO_TOUCH
            about = {name: row.get(name) for name in ("venue", "key", "state", "reason")}
            found[row["venue"]] = {**about, **prices, "age_ms": row.get("age_ms")}
    return found


def best(rows: Iterable[Row]) -> dict[str, Any]:
    """The highest bid and the lowest ask of all venues whose book is known to be right, and what lies between them."""
    live = [row for row in rows if row["state"] == LIVE]
    bid = max((row for row in live if row["bid"]), key=lambda row: row["bid"], default=None)
    ask = min((row for row in live if row["ask"]), key=lambda row: row["ask"], default=None)
    spread = ask["ask"] - bid["bid"] if ask and bid else None
    return {
        "bid": bid and {"venue": bid["venue"], "price": bid["bid"], "size": bid["bid_size"]},
        "ask": ask and {"venue": ask["venue"], "price": ask["ask"], "size": ask["ask_size"]},
        "spread": spread, "spread_bps": spread / ((ask["ask"] + bid["bid"]) / 2) * 1e4 if ask and bid and spread is not None else None,
    }  # fmt: skip
