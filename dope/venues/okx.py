"""OKX spot and swap: touch, depth, trades, funding and mark price on the public socket, candles on the business one.

Messages read:
    {"arg":{"channel":"books","instId":"BTC-USDT"},"action":"snapshot|update","data":[{"asks":[["8476.98","415","0","13"],…],
      "bids":[…],"ts":"1597026383085","checksum":0,"seqId":123456,"prevSeqId":-1}]}
    {"arg":{"channel":"bbo-tbt",…},"data":[{"asks":[[…]],"bids":[[…]],"ts":"…","seqId":…}]}
    {"arg":{"channel":"trades",…},"data":[{"instId":…,"tradeId":…,"px":…,"sz":…,"side":"buy","ts":…,"count":"3"}]}
    funding-rate {"fundingRate":…,"fundingTime":…}   mark-price {"markPx":…,"ts":…}   candle1m rows [ts,o,h,l,c,vol,…,confirm]
    acknowledgement {"event":"subscribe","arg":{…},"connId":…}   error {"event":"error","code":"60018","msg":…}
    {"event":"notice","code":"64008",…} about 30 s before an upgrade: connect anew   text "pong"
    GET instruments {"code":"0","data":[{"instId":"BTC-USDT-SWAP","tickSz":"0.1","lotSz":"0.01","minSz":"0.01","ctVal":"0.01",
      "ctMult":"1","ctValCcy":"BTC","ctType":"linear","state":"live|suspend|preopen|…"}]}

Book recipe: 1 the first message is a snapshot (prevSeqId −1); 2 each update's prevSeqId equals the last seqId; equal ids
are a keep-alive; a smaller seqId with the right prevSeqId is a restart of numbers; 3 anything else: a message is missing:
unsubscribe and subscribe again; 4 size 0 removes; 5 a checksum other than 0 is verified: signed CRC32 over the best 25
ranks, bid and ask in turn (the venue has sent 0 since 2026; older recordings carry it and no ids).
Sizes of swaps are contracts. Client ping: text "ping" when nothing came for up to 30 s.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import msgspec

from dope.types import Bar, BookUpdate, Event, Fee, Fetch, Frame, Funding, Instrument, Limits, Notice, Quote, Reconnect, Trade
from dope.venues._written import Count, amount, funding_rate, number
from dope.venues.base import LIST, MS, TRADING, Known, Venue

UNNUMBERED = -2  #: prevSeqId of messages from before 2022, which have none
BOOKS = frozenset(("books", "books-l2-tbt", "books50-l2-tbt"))
#: base units per contract, tick and lot (base) of the default swaps, as of 2026-11 (general knowledge)
SWAPS = {"BTC-USDT-SWAP": (0.01, 0.1), "ETH-USDT-SWAP": (0.1, 0.01), "SOL-USDT-SWAP": (1.0, 0.01)}
SPOTS = {"BTC-USDT": (0.1, 0.00000001), "ETH-USDT": (0.01, 0.000001), "SOL-USDT": (0.01, 0.000001),
         "USDC-USDT": (0.0001, 0.0001), "ETH-BTC": (0.00001, 0.000001)}  # fmt: skip
_NO = msgspec.Raw(b"")


class Arg(msgspec.Struct, gc=False):
    channel: str = ""
    instId: str = ""


class Row(msgspec.Struct, gc=False):
    """Any other row that is an object: best bid and ask, a trade, a funding rate, a mark price."""

    asks: msgspec.Raw = _NO
    bids: msgspec.Raw = _NO
    ts: str = ""
    seqId: Count = -1
    instId: str = ""
    tradeId: str = ""
    px: str = ""
    sz: str = ""
    side: str = ""
    fundingRate: str = ""
    fundingTime: str = ""
    markPx: str = ""


class BookRow(msgspec.Struct, gc=False):
    """Only what a book message needs: most messages are such."""

    asks: msgspec.Raw = _NO
    bids: msgspec.Raw = _NO
    ts: int = 0
    checksum: int = 0
    seqId: Count = -1
    prevSeqId: int = UNNUMBERED


class BookPush(msgspec.Struct, gc=False):
    arg: Arg
    data: list[BookRow]
    action: str
    event: str = ""


class Push(msgspec.Struct):
    arg: Arg | None = None
    data: list[Row | list[str]] = []
    action: str = ""
    event: str = ""
    code: str = ""
    msg: str = ""


class Listing(msgspec.Struct):
    """A row of the list of instruments."""

    instId: str
    tickSz: str
    lotSz: str
    minSz: str
    state: str
    ctType: str = ""
    ctVal: str = ""
    ctMult: str = ""


class Answer(msgspec.Struct):
    code: str
    data: list[msgspec.Raw]
    msg: str = ""


_answer = msgspec.json.Decoder(Answer)
_listing = msgspec.json.Decoder(Listing)
_push = msgspec.json.Decoder(Push)
_book_push = msgspec.json.Decoder(BookPush, strict=False)  # times come as strings
_pairs = msgspec.json.Decoder(list[list[str]])


class Okx(Venue):
    ID, LABEL, SHORT = "okx", "OKX", "OKX"
    ENDPOINTS = {"ws": "wss://ws.okx.com:8443", "rest": "https://www.okx.com"}
    SOCKETS = (("public", "/ws/v5/public"), ("business", "/ws/v5/business"))
    LIMITS = Limits(connects_per_s=1.0, connects_per_5min=60, messages_per_s=3.0, topics_per_socket=240, rest_weight_per_min=600)
    PING = (15.0, "ping")
    IDLE_S = 5.0
    CHECKSUM = "interleaved25"
    FIELDS = 4  # price, size, "0", orders: without its size a level would be read as one that is gone
    TEMPLATES = (
        (b'{"arg":{"channel":"books","instId":"', "symbol", b'"},"action":"update","data":[{"asks":', "asks", b',"bids":', "bids",
         b',"ts":"', "ms", b'","checksum":0,"prevSeqId":', "prev", b',"seqId":', "seq", b"}]}"),
        (b'{"arg":{"channel":"bbo-tbt","instId":"', "symbol",
         b'"},"data":[{"asks":[[', "ask", b",", "ask size", b',"', "word", b'","', "word",
         b'"]],"bids":[[', "bid", b",", "bid size", b',"', "word", b'","', "word", b'"]],"ts":"', "ms", b'","seqId":', "seq", b"}]}"),
        (b'{"arg":{"channel":"trades","instId":"', "symbol", b'"},"data":[{"instId":"', "word", b'","tradeId":"', "id",
         b'","px":', "price", b',"sz":', "size", b',"side":"', "side", b'","ts":"', "ms", b'","count":"', "number", b'"}]}'),
    )  # fmt: skip
    FEES = (
        Fee("okx", "spot", 8.0, 10.0, "base", "hummingbot; newsgaged.com (ccxt 4.5.90 says 10/15)", "2026-11-01", "high"),
        Fee("okx", "perp", 2.0, 5.0, "quote", "hummingbot; newsgaged.com; traderssecondbrain.com", "2026-11-01", "high"),
    )

    def __init__(self, symbols: Sequence[str], endpoints: dict[str, str] | None = None) -> None:
        super().__init__(symbols, endpoints)
        self._channels: dict[str, str] = {}  # native → the channel that carries its book

    # -- names -------------------------------------------------------------------------------------------------------
    def native(self, symbol: str) -> str | None:
        """The venue's name of a canonical symbol."""
        return symbol[:-5] + "-SWAP" if symbol.endswith("-PERP") else symbol if symbol.count("-") == 1 else None

    def instrument(self, native: str) -> Instrument | None:
        parts = native.split("-")
        if len(parts) == 2 and all(parts):
            tick, lot = SPOTS.get(native, (0.0, 0.0))
            return Instrument(self.ID, native, native, parts[0], parts[1], "spot", tick=tick, lot=lot)
        if len(parts) == 3 and parts[2] == "SWAP":
            value, tick = SWAPS.get(native, (None, 0.0))
            inverse = parts[1] == "USD"
            lot = 0.0 if value is None else value / 100
            return Instrument(self.ID, f"{parts[0]}-{parts[1]}-PERP", native, parts[0], parts[1], "perp", value, inverse, tick, lot)
        if len(parts) in (3, 5) and parts[2].isdigit():
            kind = "future" if len(parts) == 3 else "option"
            return Instrument(self.ID, native, native, parts[0], parts[1], kind, None, parts[1] == "USD")
        return None

    def listings(self) -> list[Fetch]:
        """By their weight at most 20 a minute: the venue allows 20 of a type within 2 s."""
        place = f"{self.endpoints['rest']}/api/v5/public/instruments?instType="
        return [Fetch(0, f"{LIST} {kind}", place + kind, weight=30) for kind in ("SPOT", "SWAP")]

    def listed(self, key: str, body: bytes) -> Iterable[Instrument]:
        answer = _answer.decode(body)
        if answer.code != "0":
            raise ValueError(f"{answer.code} {answer.msg}")
        return self.each(answer.data, self._listing)

    def _listing(self, raw: msgspec.Raw) -> Instrument:
        """Of a swap, ``ctVal`` × ``ctMult`` of ``ctValCcy`` is one contract; lots and least sizes are counted in contracts."""
        row = _listing.decode(raw)
        base, quote, *swap = row.instId.split("-")
        tick, lot, least, status = number(row.tickSz), number(row.lotSz), number(row.minSz), TRADING if row.state == "live" else row.state
        if not swap:
            return Instrument(self.ID, row.instId, row.instId, base, quote, "spot", 1.0, False, tick, lot, least, status=status)
        inverse, value = row.ctType == "inverse", number(row.ctVal) * number(row.ctMult)
        unit = 0.0 if inverse else value
        return Instrument(
            self.ID, f"{base}-{quote}-PERP", row.instId, base, quote, "perp", value, inverse, tick, lot * unit, least * unit,
            least * value if inverse else 0.0, status,
        )  # fmt: skip

    # -- requests ----------------------------------------------------------------------------------------------------
    def topics(self, socket: str, native: str) -> list[str]:
        if socket == "business":
            return [f"candle1m:{native}"]
        swap = ["funding-rate", "mark-price"] if native.endswith("-SWAP") else []
        return [f"{channel}:{native}" for channel in ("books", "bbo-tbt", "trades", *swap)]

    def requests(self, conn: int, wish: str, topics: Sequence[str]) -> Iterable[tuple[str, Sequence[str]]]:
        args = [{"channel": c, "instId": i} for c, _, i in (t.partition(":") for t in topics)]
        yield msgspec.json.encode({"op": wish, "args": args}).decode(), topics

    def again(self, known: Known, ts: int) -> None:
        self.renew(known, ts, f"{self._channels.get(known.native, 'books')}:{known.native}")

    # -- frames ------------------------------------------------------------------------------------------------------
    def read(self, frame: Frame, events: list[Event]) -> None:
        # books alone have an action; which of the two shapes is tried is a matter of speed only
        if b'"action"' in frame.data:
            self._on_book(frame, events)
        elif frame.data != b"pong":
            self._on_data(frame, events)

    def _on_book(self, frame: Frame, events: list[Event]) -> None:
        push = _book_push.decode(frame.data)
        native = push.arg.instId
        known = self.known.get(native)
        if known is None or known.conn != frame.conn or push.action != "update":
            known = self.entitled(frame, native, events)
            if known is None or push.arg.channel not in BOOKS:
                return
        else:
            self.seen[known.key] = self.seen.get(known.key, 0) + 1
        ts, key, snapshot = frame.ts, known.key, push.action == "snapshot"
        for row in push.data:
            bids, asks, last = row.bids, row.asks, known.last
            if bids is _NO and asks is _NO:
                raise ValueError("a book without sides")
            if snapshot:
                known.conn, known.asked = frame.conn, None
                self._channels[native] = push.arg.channel
            elif push.action != "update":
                raise ValueError("a book without action")
            elif known.conn != frame.conn or last is None:
                self.unbegun(known, frame)
                continue
            elif row.prevSeqId != last and not _continues(row, last):
                self.lost(known, ts, events)
                break
            known.last = row.seqId
            events.append(BookUpdate(ts, key, row.ts * MS, snapshot, row.seqId, bytes(bids), bytes(asks), row.checksum or None))

    def _on_data(self, frame: Frame, events: list[Event]) -> None:
        push = _push.decode(frame.data)
        if push.arg is None or push.event:
            self._on_event(frame, push, events)
            return
        known = self.entitled(frame, push.arg.instId, events)
        if known is None:
            return
        if push.arg.channel in BOOKS:
            raise ValueError("a book without action")
        for row in push.data:
            events += self._on_row(frame, known.instrument, push.arg.channel, row)

    def _on_row(self, frame: Frame, instrument: Instrument, channel: str, row: Row | list[str]) -> list[Event]:
        if isinstance(row, list):
            if not channel.startswith("candle1m"):
                return []
            o, h, low, c = (number(x) for x in row[1:5])
            return [Bar(frame.ts, instrument.key, int(row[0]) * MS, 60, o, h, low, c, amount(row[5]), row[-1] == "1")]
        ts = int(row.ts) * MS if row.ts else 0
        if channel == "bbo-tbt":
            return self._on_quote(frame, instrument, row, ts)
        if channel in ("trades", "trades-all"):
            if row.side not in ("buy", "sell"):
                raise ValueError("a trade without a side")
            price = number(row.px)
            size = number(row.sz)
            if instrument.contract_value is not None:
                size = size * instrument.contract_value / (price if instrument.inverse else 1.0)
            return [Trade(frame.ts, instrument.key, ts, price, size, row.side, row.tradeId)]
        if channel == "funding-rate" and row.fundingRate:
            return [Funding(frame.ts, instrument.key, ts, funding_rate(row.fundingRate), int(row.fundingTime) * MS, None)]
        if channel == "mark-price" and row.markPx:
            return [Funding(frame.ts, instrument.key, ts, None, 0, number(row.markPx))]
        return []

    def _on_quote(self, frame: Frame, instrument: Instrument, row: Row, ts: int) -> list[Event]:
        bids, asks = _pairs.decode(row.bids or b"[]"), _pairs.decode(row.asks or b"[]")
        bid, bid_size = (number(bids[0][0]), number(bids[0][1])) if bids else (0.0, 0.0)
        ask, ask_size = (number(asks[0][0]), number(asks[0][1])) if asks else (0.0, 0.0)
        return [Quote(frame.ts, instrument.key, ts, row.seqId, bid, bid_size, ask, ask_size)]

    def _on_event(self, frame: Frame, push: Push, events: list[Event]) -> None:
        topic = f"{push.arg.channel}:{push.arg.instId}" if push.arg else ""
        if push.event == "subscribe":
            self.acked(frame, [topic], events)
        elif push.event == "error":
            named = [t for t in self.waiting(frame.conn) if t.replace(":", ",instId:") in push.msg or t in push.msg]
            text = f"{push.code} {push.msg}"[:200]
            self.acked(frame, [topic] if topic else named, events, ok=False, reason=text)
            events.append(Notice(frame.ts, self.ID, "error", text))
        elif push.event == "notice":
            self.actions.append(Reconnect(frame.conn, push.msg[:200], planned=True))
            events.append(Notice(frame.ts, self.ID, "shutdown", f"{push.code} {push.msg}"[:200]))
        elif not push.event:
            events.append(self.fault(frame, "unknown message"))


def _continues(row: BookRow, last: int) -> bool:
    """An update without numbers continues a book without numbers only."""
    if row.prevSeqId != UNNUMBERED:
        return False
    if last >= 0:
        raise ValueError("a book update without its numbers")
    return True
