"""What the Bybit V5 venues share: subscriptions, books, REST beside them; their files hold names, limits and fees.

The messages stand in `_bybit_messages.py`.
Book recipe: 1 the first message is a snapshot; 2 each delta has ``u`` == the last ``u`` + 1; the same ``u`` again is a
duplicate; 3 anything else: a message is missing: unsubscribe and subscribe again; 4 a later snapshot replaces the book;
``u`` == 1 is one whatever it is called (the service restarted: numbers begin anew); 5 size 0 removes. There is no checksum.
``seq`` orders messages of different depths, so it says whether the touch or the levels are newer.
While no socket delivers (before the first one, or while the breaker is open), each answer of REST is a whole book; it proves that
book only. Beside a socket, answers are compared: a touch that lies outside of those that we had just before and after its ``seq``
differs (the touch is told each 10 ms only, so once is no proof); three running, and the book is asked for anew.
Not verified: what one bad topic does to the others of its request. Here only the topics that a refusal names (all of the request
when it names none) count as refused; the others are asked for again at once without them, and "already subscribed" confirms them.
"""

from __future__ import annotations

import re
from abc import abstractmethod
from collections.abc import Iterable, Sequence

import msgspec

from dope.types import Event, Fetch, Frame, Funding, Gap, Instrument, Notice, OpenInfo, Quote, ReplyInfo
from dope.venues._bundles import exponent_of
from dope.venues._bybit_list import LISTING, PAGE, PAGES, Listing, with_limits
from dope.venues._bybit_messages import (
    BOOK_PUSH,
    CANDLES,
    DEALS,
    LEVELS,
    NO,
    PUSH,
    REST_BOOK,
    TICKER,
    BookPush,
    Levels,
    Push,
    Ticker,
    bar,
    best,
    trade,
    update,
)
from dope.venues._bybit_rest import Comparison
from dope.venues._requests import Requests
from dope.venues._written import funding_rate, number
from dope.venues.base import LIST, MS, Known, Venue

ARGS = 10  #: topics in one request: the limit of spot
BOOK, TOUCH = "50", "1"  #: depths that are subscribed to
POLL_PLAN = "rest"  #: name of the plan whose epoch has no socket
_WORD = re.compile(r"[A-Za-z0-9._-]+")


class BybitVenue(Venue):
    """Everything but hosts, names, limits and fees, which the two venue files state."""

    PING = (20.0, '{"op":"ping"}')
    CATEGORY = ""  #: in paths and queries
    DEPTH = int(BOOK)

    def __init__(self, symbols: Sequence[str], endpoints: dict[str, str] | None = None) -> None:
        super().__init__(symbols, endpoints)
        self._requests = Requests()
        self._quotes: dict[str, tuple[int, int, Quote]] = {}  # native → connection, number and last touch, for deltas of it
        self._tickers: dict[str, tuple[int, Ticker]] = {}  # native → connection and all fields so far
        self._polled: dict[int, dict[str, int]] = {}  # epoch without a socket → native → seq of its newest answer
        self._unknown: set[str] = set()  # natives that REST refused in this epoch
        self._comparison = Comparison()

    # -- instruments -------------------------------------------------------------------------------------------------
    def listings(self) -> list[Fetch]:
        return [Fetch(0, LIST, self._listed_at())]

    def _listed_at(self) -> str:
        return f"{self.endpoints['rest']}/v5/market/instruments-info?category={self.CATEGORY}&limit=1000"

    def listed(self, key: str, body: bytes) -> Iterable[Instrument]:
        answer = REST_BOOK.decode(body)
        if answer.retCode != 0:
            raise ValueError(f"{answer.retCode} {answer.retMsg}"[:200])
        page, turn = PAGE.decode(answer.result), int(key.removeprefix(LIST) or 1)
        if page.nextPageCursor and turn < PAGES:
            self.actions.append(Fetch(0, f"{LIST} {turn + 1}", f"{self._listed_at()}&cursor={page.nextPageCursor}"))
        return self.each(page.rows, self._listing)

    @abstractmethod
    def market(self, row: Listing) -> Instrument | None:
        """The market of a row without its steps and limits; None = of no kind that is read here. Raises ValueError."""

    def _listing(self, raw: msgspec.Raw) -> Instrument | None:
        row = LISTING.decode(raw)
        usual = self.market(row)
        return None if usual is None else with_limits(usual, row)

    # -- requests ----------------------------------------------------------------------------------------------------
    def topics(self, socket: str, native: str) -> list[str]:
        if socket == POLL_PLAN:
            return []
        return [f"orderbook.{BOOK}.{native}", f"orderbook.{TOUCH}.{native}", f"publicTrade.{native}", f"kline.1.{native}"]

    def requests(self, conn: int, wish: str, topics: Sequence[str]) -> Iterable[tuple[str, Sequence[str]]]:
        for at in range(0, len(topics), ARGS):
            some = topics[at : at + ARGS]
            number_ = self._requests.new(conn, some if wish == "subscribe" else ())
            yield msgspec.json.encode({"req_id": str(number_), "op": wish, "args": some}).decode(), some

    def again(self, known: Known, ts: int) -> None:
        if known.conn in self._polled:
            return  # the next answer is a whole book
        self.renew(known, ts, f"orderbook.{BOOK}.{known.native}")

    def on_closed(self, frame: Frame, events: list[Event]) -> None:
        self._requests.closed(frame.conn)
        for known in self.known.values():
            if known.conn == frame.conn:
                self._comparison.forget(known.native)
        self._polled.pop(frame.conn, None)
        super().on_closed(frame, events)

    # -- frames ------------------------------------------------------------------------------------------------------
    def read(self, frame: Frame, events: list[Event]) -> None:
        # which of the two shapes is tried is a matter of speed only: most messages are books
        if b'"orderbook.' in frame.data and b'"ret_msg"' not in frame.data:
            self._on_levels(frame, events)
            return
        push = PUSH.decode(frame.data)
        if push.op or push.success is not None:
            self._on_answer(frame, push, events)
            return
        channel = push.topic.partition(".")[0]
        if channel == "publicTrade":
            for deal in DEALS.decode(push.data):
                known = self.entitled(frame, deal.s, events)
                if known is not None and not deal.BT:
                    events.append(trade(frame.ts, known.instrument, deal))
        elif channel in ("tickers", "kline"):
            native = push.topic.rpartition(".")[2]
            known = self.entitled(frame, native, events)
            if known is not None and channel == "tickers":
                events += self._on_ticker(frame, known.instrument, push)
            elif known is not None and push.topic.startswith("kline.1."):
                events += [bar(frame.ts, known.instrument, candle) for candle in CANDLES.decode(push.data)]
        else:
            events.append(self.fault(frame, "unknown message"))

    def _on_levels(self, frame: Frame, events: list[Event]) -> None:
        push = BOOK_PUSH.decode(frame.data)
        data = push.data
        known = self.entitled(frame, data.s, events)
        if known is None:
            return
        if data.b is NO or data.a is NO or data.u < 0:
            raise ValueError("a book without sides or number")
        if push.type not in ("snapshot", "delta"):
            raise ValueError("a book without type")
        depth = push.topic.split(".", 2)[1]
        if depth == TOUCH:
            events += self._on_touch(frame, known.instrument, push)
        elif depth == BOOK:
            self._on_book(frame, known, push, events)
        else:
            raise ValueError("a depth that was not asked for")

    def _on_book(self, frame: Frame, known: Known, push: BookPush, events: list[Event]) -> None:
        data, last = push.data, known.last if known.conn == frame.conn else None
        snapshot = push.type == "snapshot" or data.u == 1
        if snapshot:
            if last is not None and data.u == 1:
                self._comparison.forget(known.native)
                events.append(Gap(frame.ts, known.key, "reset"))
            known.conn, known.asked = frame.conn, None
        elif last is None or data.u == last:
            self.unbegun(known, frame)  # or a duplicate
            return
        elif data.u != last + 1:
            self.lost(known, frame.ts, events)
            return
        known.last = data.u
        events.append(update(frame.ts, known, (push.cts or push.ts) * MS, data, snapshot=snapshot))

    def _on_touch(self, frame: Frame, instrument: Instrument, push: BookPush) -> list[Event]:
        data, native = push.data, instrument.native
        conn, last, old = self._quotes.get(native, (-1, -1, None))
        if push.type == "snapshot" or data.u == 1:
            old = Quote(0, instrument.key, 0, 0, 0.0, 0.0, 0.0, 0.0)
        elif conn != frame.conn or old is None or data.u != last + 1:
            self._quotes.pop(native, None)
            return []  # before its snapshot, or behind a hole: the next snapshot comes within 3 s
        bid, bid_size = best(data.b, instrument, (old.bid, old.bid_size))
        ask, ask_size = best(data.a, instrument, (old.ask, old.ask_size))
        quote = Quote(frame.ts, instrument.key, (push.cts or push.ts) * MS, data.seq, bid, bid_size, ask, ask_size)
        self._quotes[native] = frame.conn, data.u, quote
        self._comparison.note(native, (data.seq, bid, ask))
        return [quote]

    def _on_ticker(self, frame: Frame, instrument: Instrument, push: Push) -> list[Event]:
        new = TICKER.decode(push.data)
        if new.symbol != instrument.native:
            raise ValueError("a ticker of another symbol than its topic")
        conn, old = self._tickers.get(instrument.native, (-1, None))
        if push.type == "snapshot":
            merged = new
        elif conn != frame.conn or old is None:
            return []
        else:
            fields = zip(msgspec.structs.astuple(new), msgspec.structs.astuple(old), strict=True)
            merged = Ticker(*(value or before for value, before in fields))
        exponent = exponent_of(instrument)
        rate = funding_rate(merged.fundingRate) if merged.fundingRate else None
        mark, index = (number(text + exponent) if text else None for text in (merged.markPrice, merged.indexPrice))
        due, hours = int(merged.nextFundingTime or 0) * MS, number(merged.fundingIntervalHour or "8")
        self._tickers[instrument.native] = frame.conn, merged  # only what can be read is kept
        told = new.fundingRate or new.nextFundingTime or new.markPrice or new.indexPrice
        if not told or (rate is None and mark is None):
            return []
        return [Funding(frame.ts, instrument.key, push.ts * MS, rate, due, mark, index, hours)]

    def _on_answer(self, frame: Frame, push: Push, events: list[Event]) -> None:
        if push.op in ("ping", "pong") or push.ret_msg == "pong":
            return
        asked = self._requests.pop(frame.conn, push.req_id)
        if push.op == "unsubscribe":
            return  # what follows it, a subscription, has its own answer
        if push.success:
            self.acked(frame, asked, events)
            return
        words = set(_WORD.findall(push.ret_msg))
        named = [topic for topic in asked or self.waiting(frame.conn) if topic in words]
        done = "already subscribed" in push.ret_msg.lower()
        self.acked(frame, named or asked, events, ok=done, reason="" if done else push.ret_msg)
        if not done:
            events.append(Notice(frame.ts, self.ID, "error", push.ret_msg[:200]))
        waiting = self.waiting(frame.conn)  # at once: a connection without data is given up before time is up for them
        self.ask(frame.conn, frame.ts, "subscribe", [topic for topic in asked if topic in waiting])

    # -- REST: instead of a socket, or beside it -----------------------------------------------------------------------
    def polls(self, conn: int, symbols: Sequence[str]) -> Sequence[Fetch]:
        natives = [n for s in symbols if (n := self.name_of(s)) is not None and n not in self._unknown]
        url = f"{self.endpoints['rest']}/v5/market/orderbook?category={self.CATEGORY}&limit={BOOK}&symbol="
        return [Fetch(conn, f"book:{native}", url + native) for native in natives]

    def opened(self, frame: Frame, info: OpenInfo) -> None:
        self._unknown.clear()
        if info.plan == POLL_PLAN:
            self._polled[frame.conn] = {}

    def answered(self, frame: Frame, info: ReplyInfo, body: bytes, events: list[Event]) -> None:
        known = self.known.get(info.key.partition(":")[2])
        if known is None or info.status != 200:
            return  # refusals and failures are counted where they are asked
        answer = REST_BOOK.decode(body)
        if answer.retCode != 0:
            self._unknown.add(known.native)
            events.append(Notice(frame.ts, self.ID, "error", f"{known.native}: {answer.retCode} {answer.retMsg}"[:200]))
            return
        data, newest = LEVELS.decode(answer.result), self._polled.get(frame.conn)
        if data.s != known.native or data.b is NO or data.a is NO or data.seq < 0:
            raise ValueError("not the book that was asked for")
        if newest is None:
            if known.conn == frame.conn and known.last is not None:
                self._compare(frame, known, data, events)
        elif known.conn in (-1, frame.conn) and data.seq >= newest.get(known.native, -1):
            newest[known.native] = data.seq  # an answer that was overtaken is older than what is there
            known.conn, known.last, known.asked = frame.conn, -1, None
            events.append(update(frame.ts, known, data.ts * MS, data, snapshot=True))

    def _compare(self, frame: Frame, known: Known, data: Levels, events: list[Event]) -> None:
        bid, ask = (best(side, known.instrument, (0.0, 0.0))[0] for side in (data.b, data.a))
        if self._comparison.refutes(known.native, (data.seq, bid, ask)):
            self._comparison.forget(known.native)
            events.append(Notice(frame.ts, self.ID, "error", f"{known.native}: REST tells another book time and again"))
            self.lost(known, frame.ts, events, "snapshot")
