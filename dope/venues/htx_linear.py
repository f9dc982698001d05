"""HTX USDT-margined swaps: books, touch, trades and candles on one socket, mark prices on a second, funding on a third.

Every frame is packed with gzip; recordings of the texts are read, too. Messages read:
    {"ch":"market.BTC-USDT.depth.size_150.high_freq","ts":…,"tick":{"event":"snapshot|update","version":…,"asks":[[p,n]],"bids":[],…}}
    {"ch":"market.BTC-USDT.bbo","ts":…,"tick":{"bid":[p,n],"ask":[p,n],"ts":…,"version":…,…}}
    {"ch":"market.BTC-USDT.trade.detail","ts":…,"tick":{"data":[{"amount":contracts,"quantity":base,"price":…,"direction":…,"id":…,"ts":…}]}}
    {"ch":"market.BTC-USDT.kline.1min",…,"tick":{"id":s,"open":…,"close":…,"low":…,"high":…,"amount":base,"vol":contracts,…}}
    {"ch":"market.BTC-USDT.mark_price.1min",…,"tick":{"id":s,"close":"…",…}}   (socket of indices)
    {"op":"notify","topic":"public.BTC-USDT.funding_rate","ts":…,"data":[{"contract_code":…,"funding_rate":"…","funding_time":"ms",…}]}
    {"ping":ms} answered by {"pong":ms}; notifications {"op":"ping","ts":…} by {"op":"pong","ts":…}   {"op":"sub","topic":…,"err-code":0}
    GET /linear-swap-api/v1/swap_contract_info  {"status":"ok","data":[{"contract_code":"BTC-USDT","contract_size":0.001,"price_tick":0.1,
      "contract_status":1,"business_type":"swap",…}],"ts":…}   orders are of whole contracts

Book recipe: 1 subscribe with "data_type":"incremental"; 2 an event "snapshot" replaces the book; 3 each update has the version after the
last one; 4 else a message is missing: unsubscribe and subscribe again; 5 size 0 removes; 6 what falls out behind 150 levels is forgotten.
Sizes are contracts: 0.001 BTC, 0.01 ETH. A trade says both contracts and base units; where they disagree with the table it is refused.
Not verified: the form of mark prices, what a contract of SOL is worth, which settlement a funding rate belongs to (the time given, or
eight hours later when that has passed), the limits, and that levels which come back into the best 150 are sent again.
"""

from __future__ import annotations

from collections.abc import Iterable

import msgspec

from dope.types import BookUpdate, Event, Fee, Fetch, Frame, Funding, Instrument, Limits, Notice, Quote, Send
from dope.venues._htx_wire import Handler, HtxVenue, Message, rows_of
from dope.venues._written import funding_rate, number
from dope.venues.base import LIST, MS, TRADING, Known

#: base units per contract and tick of the default swaps, as of 2026-11 (general knowledge; the venue's list is the authority)
SWAPS = {"BTC-USDT": (0.001, 0.1), "ETH-USDT": (0.01, 0.01), "SOL-USDT": (1.0, 0.001)}
BOOK, FUNDING, MARK = "depth.size_150.high_freq", "funding_rate", "mark_price.1min"
#: of a listed contract; in settlement (5, 7), a minute of each eight hours, it is listed and trades on
STATES = {1: TRADING, 5: TRADING, 7: TRADING, 0: "delisted", 2: "pending", 3: "suspended", 4: "suspending", 6: "delivering", 8: "delivered",
          9: "trade suspended"}  # fmt: skip
INTERVAL_MS = 8 * 3600 * 1000
_NO = msgspec.Raw(b"")


class Listing(msgspec.Struct):
    """A row of the list of instruments."""

    contract_code: str
    contract_size: float
    price_tick: float
    contract_status: int


class Levels(msgspec.Struct):
    event: str
    version: int
    bids: msgspec.Raw = _NO
    asks: msgspec.Raw = _NO
    ts: int = 0


class Touch(msgspec.Struct):
    bid: tuple[float, float] | None = None
    ask: tuple[float, float] | None = None
    ts: int = 0


class Mark(msgspec.Struct):
    close: float | str


class Rate(msgspec.Struct):
    contract_code: str
    funding_rate: str
    funding_time: str


_listing = msgspec.json.Decoder(Listing, strict=False)
_levels = msgspec.json.Decoder(Levels)
_touch = msgspec.json.Decoder(Touch)
_mark = msgspec.json.Decoder(Mark)
_rates = msgspec.json.Decoder(list[Rate])


class HtxLinear(HtxVenue):
    ID, LABEL, SHORT = "htx_linear", "HTX swap", "HTX-L"
    ENDPOINTS = {"ws": "wss://api.hbdm.com", "rest": "https://api.hbdm.com"}
    SOCKETS = (("market", "/linear-swap-ws"), ("index", "/ws_index"), ("notify", "/linear-swap-notification"))
    RARE = ("notify",)  # funding, once a minute
    LIMITS = Limits(connects_per_s=1.0, connects_per_5min=60, messages_per_s=5.0, topics_per_socket=100, rest_weight_per_min=600)
    DEPTH = 150
    FEES = (Fee("htx_linear", "perp", 2.0, 5.0, "quote", "general knowledge of the regular tier, not checked", "2026-11-01", "low"),)

    def handlers(self) -> dict[str, Handler]:
        return {BOOK: self._on_book, "bbo": self._on_touch, MARK: self._on_mark}

    # -- names and requests ------------------------------------------------------------------------------------------
    def native(self, symbol: str) -> str | None:
        pair = symbol.removesuffix("-PERP")
        return pair if pair != symbol and pair.endswith("-USDT") else None

    def instrument(self, native: str) -> Instrument | None:
        base, _, rest = native.partition("-")
        quote, _, term = rest.partition("-")
        if not base or quote != "USDT":
            return None
        value, tick = SWAPS.get(f"{base}-{quote}", (None, 0.0))
        kind, symbol = ("future", native) if term else ("perp", f"{native}-PERP")
        return Instrument(self.ID, symbol, native, base, quote, kind, value, tick=tick, lot=value or 0.0, min_size=value or 0.0)

    def listings(self) -> list[Fetch]:
        return [Fetch(0, LIST, f"{self.endpoints['rest']}/linear-swap-api/v1/swap_contract_info")]

    def listed(self, key: str, body: bytes) -> Iterable[Instrument]:
        return self.each(rows_of(body), self._listing)

    def _listing(self, raw: msgspec.Raw) -> Instrument | None:
        row = _listing.decode(raw)
        usual, value = self.instrument(row.contract_code), number(row.contract_size)
        if usual is None:
            return None
        status = STATES.get(row.contract_status, f"status {row.contract_status}")
        return msgspec.structs.replace(usual, contract_value=value, tick=number(row.price_tick), lot=value, min_size=value, status=status)

    def topics(self, socket: str, native: str) -> list[str]:
        if socket == "notify":
            return [f"public.{native}.{FUNDING}"]
        channels = (MARK,) if socket == "index" else (BOOK, "bbo", "trade.detail", "kline.1min")
        return [f"market.{native}.{channel}" for channel in channels]

    def request(self, wish: str, topic: str) -> str:
        if topic.startswith("public."):
            return msgspec.json.encode({"op": wish, "cid": topic, "topic": topic}).decode()
        if topic.endswith(BOOK):
            return msgspec.json.encode({wish: topic, "data_type": "incremental", "id": topic}).decode()
        return super().request(wish, topic)

    def again(self, known: Known, ts: int) -> None:
        self.renew(known, ts, f"market.{known.native}.{BOOK}")

    # -- frames ------------------------------------------------------------------------------------------------------
    def _on_book(self, frame: Frame, known: Known, message: Message, events: list[Event]) -> None:
        levels = _levels.decode(message.tick)
        if levels.bids is _NO and levels.asks is _NO:
            raise ValueError("a book without sides")
        snapshot = levels.event == "snapshot"
        if snapshot:
            known.conn, known.asked = frame.conn, None
        elif levels.event != "update":
            raise ValueError("a book without its event")
        elif known.conn != frame.conn or known.last is None:
            self.unbegun(known, frame)
            return
        elif levels.version != known.last + 1:
            self.lost(known, frame.ts, events)
            return
        known.last = levels.version
        stamp = (levels.ts or message.ts) * MS
        events.append(BookUpdate(frame.ts, known.key, stamp, snapshot, levels.version, bytes(levels.bids), bytes(levels.asks)))

    def _on_touch(self, frame: Frame, known: Known, message: Message, events: list[Event]) -> None:
        touch = _touch.decode(message.tick)
        bid, bid_size = (number(x) for x in touch.bid) if touch.bid else (0.0, 0.0)
        ask, ask_size = (number(x) for x in touch.ask) if touch.ask else (0.0, 0.0)
        events.append(Quote(frame.ts, known.key, (touch.ts or message.ts) * MS, -1, bid, bid_size, ask, ask_size))

    def _on_mark(self, frame: Frame, known: Known, message: Message, events: list[Event]) -> None:
        events.append(Funding(frame.ts, known.key, message.ts * MS, None, 0, number(_mark.decode(message.tick).close)))

    def notified(self, frame: Frame, message: Message, events: list[Event]) -> None:
        if message.op == "ping":
            self.actions.append(Send(frame.conn, f'{{"op":"pong","ts":{message.ts}}}', urgent=True))
        elif message.op == "sub":
            good = message.err_code in (0, "0")
            text = f"{message.err_code} {message.err_msg}"[:200]
            self.acked(frame, [message.topic], events, ok=good, reason="" if good else text)
            if not good:
                events.append(Notice(frame.ts, self.ID, "error", text))
        elif message.op == "notify" and message.topic.endswith(FUNDING):
            for row in _rates.decode(message.data):
                self._on_rate(frame, row, message.ts, events)
        elif message.op != "unsub":
            events.append(self.fault(frame, "unknown message"))

    def _on_rate(self, frame: Frame, row: Rate, now: int, events: list[Event]) -> None:
        known = self.entitled(frame, row.contract_code, events)
        if known is None:
            return
        rate, due = funding_rate(row.funding_rate), int(row.funding_time)
        due += INTERVAL_MS if due <= now else 0
        events.append(Funding(frame.ts, known.key, now * MS, rate, due * MS, None))
