"""Hyperliquid perpetuals: touch, depth of 20, trades, candles, funding and mark price on one socket.

Messages read:
    {"channel":"l2Book","data":{"coin":"BTC","time":1754899670709,"levels":[[{"px":"121366.0","sz":"11.41902","n":24},…],[…]]}}
    {"channel":"bbo","data":{"coin":"BTC","time":…,"bbo":[{"px":…,"sz":…,"n":…},null]}}          a side may be null or left out
    {"channel":"trades","data":[{"coin":…,"side":"B","px":…,"sz":…,"time":…,"hash":…,"tid":716095722814130,"users":[…]}]}
    {"channel":"candle","data":{"t":…,"T":…,"s":"BTC","i":"1m","o":…,"c":…,"h":…,"l":…,"v":…,"n":…}}
    {"channel":"activeAssetCtx","data":{"coin":…,"ctx":{"funding":"0.0000125","markPx":…,"oraclePx":…}}}
    {"channel":"subscriptionResponse","data":{"method":"subscribe","subscription":{"type":"l2Book","coin":"BTC","nSigFigs":null}}}
    {"channel":"error","data":"…text…"}   {"channel":"pong"}
    POST /info {"type":"metaAndAssetCtxs"} → [{"universe":[{"name":"BTC","szDecimals":5,"isDelisted":true|absent,…},…],…},
      [{"markPx":"121366.0",…},…]]                                                          the same markets in the same order

Book recipe: 1 every l2Book is the whole book as far as it is told: 20 levels a side, levels[0] the bids; it replaces ours; 2 one
that is older than ours is none; 3 there are neither numbers nor checksums, and nothing to miss: the next message is right again.
It comes each 5 s only (since 2026-07-25; "fast" has five levels), so the touch is that of ``bbo``, which comes with every change.
Levels are objects: each is read and written again, 40 of them in 5 s.
Trade side "B" = the taker bought, "A" = the taker sold. The first trades after subscribing may be a backlog (not verified):
of those only what is younger than 10 s counts. Funding is hourly (general knowledge). Client ping: {"method":"ping"}; the venue
closes a connection on which the client said nothing for 60 s. kPEPE trades a thousand PEPE at a time: the base is the coin, sizes
count thousands (``contract_value``), and prices, which are per thousand, are moved by three places. Prices have five significant
digits or are whole, and never more than 6 − szDecimals decimals: ``tick`` is the step at the price of when the list was read, which is
why the list with prices is asked for and not ``meta`` alone.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence

import msgspec

from dope.types import Bar, BookUpdate, Event, Fee, Fetch, Frame, Funding, Instrument, Limits, Notice, Quote, Trade
from dope.venues._written import decimals, funding_rate, least, number, step, volume
from dope.venues.base import LIST, MS, TRADING, Known, Venue

BACKLOG_NS = 10_000_000_000  #: trades older than this in the first message of a subscription are history
HOUR_NS = 3_600_000_000_000
MAX_MS = 1 << 43  #: ms: the year 2248
CHANNELS = ("bbo", "l2Book", "trades", "candle", "activeAssetCtx")
#: tick and lot of the default symbols, as of 2026-11 (general knowledge; the venue's list is the authority): prices have at most
#: five significant digits, so the tick moves with the price
KNOWN = {"BTC": (1.0, 0.00001), "ETH": (0.1, 0.0001), "SOL": (0.01, 0.01)}
MIN_NOTIONAL = 10.0
DIGITS, PLACES = 5, 6  #: significant digits of a price; its decimals and those of the size together
THOUSANDS = frozenset(("PEPE", "SHIB", "BONK", "FLOKI", "LUNC", "DOGS", "NEIRO"))  #: traded as kPEPE … (likewise)
_NATIVE = re.compile(r"(k?)([A-Z0-9]{1,20})")  # perpetuals of the venue itself: neither @107 nor PURR/USDC nor xyz:NVDA
_NO = msgspec.Raw(b"")


class Push(msgspec.Struct):
    channel: str
    data: msgspec.Raw = _NO


class Level(msgspec.Struct, gc=False):
    px: str
    sz: str


class L2Book(msgspec.Struct):
    coin: str
    time: int
    levels: tuple[list[Level], list[Level]]


class Bbo(msgspec.Struct):
    coin: str
    time: int
    bbo: list[Level | None]


class Deal(msgspec.Struct, gc=False):
    coin: str
    side: str
    px: str
    sz: str
    time: int
    tid: int


class Candle(msgspec.Struct):
    t: int
    T: int
    s: str
    i: str
    o: str
    h: str
    l: str  # noqa: E741 - the venue's own letter
    c: str
    v: str


class Context(msgspec.Struct):
    funding: str
    markPx: str
    oraclePx: str


class AssetContext(msgspec.Struct):
    coin: str
    ctx: Context


class Subscription(msgspec.Struct):
    type: str = ""
    coin: str = ""


class Response(msgspec.Struct):
    method: str
    subscription: Subscription


class Listing(msgspec.Struct):
    """A row of the list of perpetuals."""

    name: str
    szDecimals: int
    isDelisted: bool = False


class Priced(msgspec.Struct):
    markPx: str | None = None


class Meta(msgspec.Struct):
    universe: list[msgspec.Raw]


_meta = msgspec.json.Decoder(tuple[Meta, list[msgspec.Raw]])
_listing = msgspec.json.Decoder(Listing)
_priced = msgspec.json.Decoder(Priced)
_push = msgspec.json.Decoder(Push)
_book = msgspec.json.Decoder(L2Book)
_bbo = msgspec.json.Decoder(Bbo)
_deals = msgspec.json.Decoder(list[Deal])
_candle = msgspec.json.Decoder(Candle)
_context = msgspec.json.Decoder(AssetContext)
_response = msgspec.json.Decoder(Response)
_text = msgspec.json.Decoder(str)


class Hyperliquid(Venue):
    ID, LABEL, SHORT = "hyperliquid", "Hyperliquid", "HYPE"
    ENDPOINTS = {"ws": "wss://api.hyperliquid.xyz", "rest": "https://api.hyperliquid.xyz"}
    SOCKETS = (("public", "/ws"),)
    #: per address: 1000 subscriptions, 2000 messages a minute, 30 new connections a minute, 10 connections (or 100: sources disagree)
    LIMITS = Limits(connects_per_s=0.5, connects_per_5min=150, messages_per_s=20.0, topics_per_socket=200, rest_weight_per_min=1200)
    PING = (25.0, '{"method":"ping"}')
    IDLE_S = 12.0  #: two books and a little
    NUMBERED = False
    INTEGRITY = "snapshot"
    DEPTH = 20
    FEES = (Fee("hyperliquid", "perp", 1.5, 4.5, "quote", "ccxt 4.5.90", "2026-11-01", "medium"),)

    def __init__(self, symbols: Sequence[str], endpoints: dict[str, str] | None = None) -> None:
        super().__init__(symbols, endpoints)
        self._traded: set[tuple[int, str]] = set()  # (connection, coin) whose first trades have come

    # -- names -------------------------------------------------------------------------------------------------------
    def native(self, symbol: str) -> str | None:
        parts = symbol.split("-")
        if len(parts) != 3 or parts[1:] != ["USDC", "PERP"]:
            return None
        return "k" + parts[0] if parts[0] in THOUSANDS else parts[0]

    def instrument(self, native: str) -> Instrument | None:
        found = _NATIVE.fullmatch(native)
        if found is None:
            return None
        base, value = found[2], 1000.0 if found[1] else 1.0
        tick, lot = KNOWN.get(native, (0.0, 0.0))
        return Instrument(self.ID, f"{base}-USDC-PERP", native, base, "USDC", "perp", value, tick=tick, lot=lot, min_notional=MIN_NOTIONAL)

    def listings(self) -> list[Fetch]:
        asked = '{"type":"metaAndAssetCtxs"}'
        return [Fetch(0, LIST, f"{self.endpoints['rest']}/info", method="POST", body=asked, weight=20)]

    def listed(self, key: str, body: bytes) -> Iterable[Instrument]:
        meta, prices = _meta.decode(body)
        return self.each(list(zip(meta.universe, prices, strict=True)), self._listing)

    def _listing(self, raw: tuple[msgspec.Raw, msgspec.Raw]) -> Instrument | None:
        row, price = _listing.decode(raw[0]), least(_priced.decode(raw[1]).markPx or 0.0)
        found = _NATIVE.fullmatch(row.name)
        if found is None:
            return None
        most = PLACES - row.szDecimals
        places = most if not price else min(most, max(0, decimals(price, DIGITS)))
        value, moved = (1000.0, 3) if found[1] else (1.0, 0)
        return Instrument(
            self.ID, f"{found[2]}-USDC-PERP", row.name, found[2], "USDC", "perp", value, False, step(places + moved),
            step(row.szDecimals) * value, 0.0, MIN_NOTIONAL, "delisted" if row.isDelisted else TRADING,
        )  # fmt: skip

    # -- requests: one subscription each -----------------------------------------------------------------------------
    def topics(self, socket: str, native: str) -> list[str]:
        return [f"{channel}:{native}" for channel in CHANNELS]

    def requests(self, conn: int, wish: str, topics: Sequence[str]) -> Iterable[tuple[str, Sequence[str]]]:
        for topic in topics:
            kind, _, coin = topic.partition(":")
            wanted = {"type": kind, "coin": coin, **({"interval": "1m"} if kind == "candle" else {})}
            yield msgspec.json.encode({"method": wish, "subscription": wanted}).decode(), (topic,)

    def again(self, known: Known, ts: int) -> None:
        self.renew(known, ts, f"l2Book:{known.native}")

    # -- frames ------------------------------------------------------------------------------------------------------
    def read(self, frame: Frame, events: list[Event]) -> None:
        push = _push.decode(frame.data)
        match push.channel:
            case "bbo":
                self._on_quote(frame, _bbo.decode(push.data), events)
            case "l2Book":
                self._on_book(frame, _book.decode(push.data), events)
            case "trades":
                self._on_trades(frame, _deals.decode(push.data), events)
            case "candle":
                self._on_candle(frame, _candle.decode(push.data), events)
            case "activeAssetCtx":
                self._on_context(frame, _context.decode(push.data), events)
            case "subscriptionResponse":
                response = _response.decode(push.data)
                if response.method == "subscribe":
                    self.acked(frame, [f"{response.subscription.type}:{response.subscription.coin}"], events)
            case "error":
                self._on_error(frame, _text.decode(push.data), events)
            case "pong":
                pass
            case _:
                events.append(self.fault(frame, "unknown message"))

    def _on_book(self, frame: Frame, book: L2Book, events: list[Event]) -> None:
        known = self.entitled(frame, book.coin, events)
        if known is None or frame.conn < known.conn:
            return  # while an old connection hands over to a new one, the newer one counts
        if frame.conn == known.conn and known.last is not None and book.time < known.last:
            return
        places = _places(known)
        bids, asks = (msgspec.json.encode([(level.px + places, level.sz) for level in side]) for side in book.levels)
        update = BookUpdate(frame.ts, known.key, _ns(book.time), True, book.time, bids, asks)
        known.conn, known.last, known.asked = frame.conn, book.time, None
        events.append(update)

    def _on_quote(self, frame: Frame, quote: Bbo, events: list[Event]) -> None:
        known = self.entitled(frame, quote.coin, events)
        if known is None:
            return
        bid, ask = [*quote.bbo, None, None][:2]
        places = _places(known)
        sides = [(number(side.px + places), number(side.sz)) if side is not None else (0.0, 0.0) for side in (bid, ask)]
        events.append(Quote(frame.ts, known.key, _ns(quote.time), -1, *sides[0], *sides[1]))

    def _on_trades(self, frame: Frame, deals: list[Deal], events: list[Event]) -> None:
        for coin in dict.fromkeys(deal.coin for deal in deals):
            known = self.entitled(frame, coin, events)
            if known is None:
                continue
            places, value = _places(known), known.instrument.contract_value or 1.0
            first = (frame.conn, coin) not in self._traded
            self._traded.add((frame.conn, coin))
            for deal in deals:
                if deal.coin != coin or (first and frame.ts - _ns(deal.time) > BACKLOG_NS):
                    continue
                if deal.side not in ("A", "B"):
                    raise ValueError("a trade without a side")
                side = "buy" if deal.side == "B" else "sell"
                price, size = number(deal.px + places), number(deal.sz) * value
                events.append(Trade(frame.ts, known.key, _ns(deal.time), price, size, side, str(deal.tid)))

    def _on_candle(self, frame: Frame, candle: Candle, events: list[Event]) -> None:
        known = self.entitled(frame, candle.s, events)
        if known is None or candle.i != "1m":
            return
        places = _places(known)
        o, h, low, c = (number(text + places) for text in (candle.o, candle.h, candle.l, candle.c))
        traded = volume(candle.v, known.instrument.contract_value or 1.0)
        closed = frame.ts > _ns(candle.T)  # nothing marks the last one: what comes after the minute's end is final
        events.append(Bar(frame.ts, known.key, _ns(candle.t), 60, o, h, low, c, traded, closed))

    def _on_context(self, frame: Frame, asset: AssetContext, events: list[Event]) -> None:
        known = self.entitled(frame, asset.coin, events)
        if known is None:
            return
        rate = funding_rate(asset.ctx.funding)
        due = frame.ts - frame.ts % HOUR_NS + HOUR_NS
        mark, index = (number(text + _places(known)) for text in (asset.ctx.markPx, asset.ctx.oraclePx))
        events.append(Funding(frame.ts, known.key, 0, rate, due, mark, index, 1.0))

    def _on_error(self, frame: Frame, text: str, events: list[Event]) -> None:
        """The text quotes the request; a repeated subscription is an error too, and no refusal."""
        plain = text.replace(" ", "")
        for topic in self.waiting(frame.conn):
            kind, _, coin = topic.partition(":")
            if f'"type":"{kind}"' in plain and f'"coin":"{coin}"' in plain:
                self.acked(frame, [topic], events, ok="already subscribed" in text.lower(), reason=text)
        events.append(Notice(frame.ts, self.ID, "error", text[:200]))

    def on_closed(self, frame: Frame, events: list[Event]) -> None:
        self._traded = {entry for entry in self._traded if entry[0] != frame.conn}
        super().on_closed(frame, events)


def _places(known: Known) -> str:
    """What makes a price per thousand coins one per coin."""
    return "e-3" if known.instrument.contract_value == 1000.0 else ""


def _ns(ms: int) -> int:
    """The venue's ms as ns. Raises ValueError on what is no time."""
    if not 0 < ms < MAX_MS:
        raise ValueError(f"not a time: {ms}")
    return ms * MS
