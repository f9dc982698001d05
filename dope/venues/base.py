"""The contract of a venue: frames in, events out, actions asked for. Pure: no I/O, no clock, no threads.

A venue never raises on what it receives: a message that it cannot use is a ``Fault``, a hole in a sequence a ``Gap``
plus the action that mends it. One venue = one file that opens with the messages it reads and its book recipe.

What all venues do alike stands here: who may speak on a connection, subscriptions and their acknowledgements, the end of a
connection. A venue's file says how its names, requests and messages look: ``native``, ``instrument``, ``topics``, ``requests``, ``read``.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from itertools import zip_longest
from typing import TypeVar

import msgspec

from dope.types import (
    CLOSED,
    DATA,
    DEFAULT_SYMBOLS,
    OPEN,
    REPLY,
    TICK,
    Ack,
    Action,
    Event,
    Fault,
    Fee,
    Fetch,
    Frame,
    Gap,
    Instrument,
    Instruments,
    Limits,
    Listed,
    OpenInfo,
    Plan,
    Reconnect,
    ReplyInfo,
    Send,
)
from dope.venues._known import Known as Known  # venues have it from here
from dope.venues._refusals import Refusals
from dope.venues._room import Shards, spread

MS = 1_000_000
ACK_TIMEOUT_NS = 10_000_000_000  #: a subscription that is not confirmed, or a snapshot that does not come, is asked for again
CHECK_NS, RECHECK_NS = 60_000_000_000, 5_000_000_000  #: from one comparison with REST to the next, and to its repetition
BESIDE_NS = 60_000_000_000  #: least time between two connections opened for their snapshots
MAX_SOCKETS = 5  #: connections to one venue
LIST = "list"  #: keys of requests for a venue's list of instruments begin so
TRADING = "trading"  #: status of an instrument that trades
#: what reading a message may raise: it becomes a Fault
UNREADABLE = (msgspec.DecodeError, RecursionError, ValueError, OverflowError, IndexError, KeyError, TypeError, AttributeError)

R = TypeVar("R")

_open = msgspec.json.Decoder(OpenInfo)
_reply = msgspec.json.Decoder(ReplyInfo)


class Venue:
    """Base class and contract; the only base class in the house.

    ``ID`` names the venue everywhere; ``LABEL`` and ``SHORT`` are for people. ``ENDPOINTS`` holds the public hosts
    (``{"ws": "wss://…", "rest": "https://…"}``, without paths), replaced by ``endpoints`` for loopback servers.
    ``NUMBERED`` = any data on the connection proves its books current (sequence numbers or heartbeats).
    """

    ID = ""
    LABEL = ""
    SHORT = ""
    ENDPOINTS: dict[str, str] = {}
    SOCKETS: tuple[tuple[str, str], ...] = ()  #: (name of the plan, path after the ws endpoint), one connection or more each
    LIMITS = Limits()
    SPARE = 0  #: of a market's topics so many of the last are done without where connections have no room for all
    BOOKS = True  #: False: prices for reference only, no book ever goes LIVE; only watched when named
    NUMBERED = True
    MAX_MESSAGE = 4 * 1024 * 1024  #: bytes; a connection that brings a longer message is closed
    IDLE_S = 5.0  #: s without any data frame after which a connection counts as dead; pings and answers to ours are none
    PING: tuple[float, str] | None = None  #: (period s, text) of an application-level ping, sent by the feed
    RARE: tuple[str, ...] = ()  #: those of ``SOCKETS`` whose data come more rarely than ``IDLE_S``: there a ping of the venue must do
    CHECKSUM = ""  #: name of the rule by which the market checks BookUpdate.checksum
    INTEGRITY = "sequence"  #: what proves a book right: "sequence", "checksum", "snapshot" (each message is a whole book) or "" = nothing
    DEPTH = 0  #: levels per side that the venue keeps up to date: what falls out behind them is forgotten; 0 = all
    FIELDS = 0  #: elements of a level of its book messages where it has more than price and size; 0 = any number
    #: ordinary messages to the letter, for the fast lane: literals and field names (``market/lane.py``); () = none
    TEMPLATES: tuple[tuple[bytes | str, ...], ...] = ()
    FEES: tuple[Fee, ...] = ()  #: the default tier of each kind
    TIERS: tuple[Fee, ...] = ()  #: further tiers that a user may have

    def __init__(self, symbols: Sequence[str], endpoints: dict[str, str] | None = None) -> None:
        """``symbols``: canonical symbols wanted; those that this venue does not trade are left out of ``plan()``."""
        self.symbols = tuple(symbols)
        self.endpoints = {**self.ENDPOINTS, **(endpoints or {})}
        self.seen: dict[str, int] = {}  #: DATA frames about each market (by key) that could be read
        self.actions: list[Action] = []  #: appended by receive(); whoever runs the engine drains it
        self.known: dict[str, Known] = {}  #: by native name
        self.halted: set[int] = set()  #: connections on which the venue said that it takes no orders
        self.unread = 0  #: rows of the list being read that could not be used
        self._lists: dict[str, dict[str, Instrument]] = {}  # Fetch key → by native name
        self._listed: dict[str, Instrument] = {}  # by native name, all lists
        self._names: dict[str, str] = {}  # canonical symbol → native name
        self._accept: dict[int, frozenset[str] | None] = {}  # connection → native names, None = any
        self._opened_beside = 0
        self._unacked: dict[int, dict[str, int]] = {}  # connection → topic → when it was asked for
        self._refusals: dict[int, Refusals] = {}  # by connection
        self._free: dict[int, int] = {}  # connection → when all that is to be sent has left

    # -- what a venue's file says ------------------------------------------------------------------------------------
    def native(self, symbol: str) -> str | None:
        """The venue's name of a canonical symbol, None when it is of a kind that this venue does not trade."""
        raise NotImplementedError

    def instrument(self, native: str) -> Instrument | None:
        """The market behind the venue's own name, None when the name is none of this venue's."""
        raise NotImplementedError

    def topics(self, socket: str, native: str) -> Sequence[str]:
        """What to subscribe to for one market on this kind of connection, in words that ``requests`` understands."""
        raise NotImplementedError

    def requests(self, conn: int, wish: str, topics: Sequence[str]) -> Iterable[tuple[str, Sequence[str]]]:
        """The texts that ask for these topics, each with the topics it asks for. ``wish`` is "subscribe" or "unsubscribe"."""
        raise NotImplementedError

    def read(self, frame: Frame, events: list[Event]) -> None:
        """Understand one DATA frame; events in causal order. What it raises of ``UNREADABLE`` becomes a Fault."""
        raise NotImplementedError

    def answered(self, frame: Frame, info: ReplyInfo, body: bytes, events: list[Event]) -> None:
        """Understand the answer to a Fetch."""

    def again(self, known: Known, ts: int) -> None:
        """Ask for a new snapshot of this book."""
        raise NotImplementedError

    def check(self, known: Known) -> Fetch | None:
        """Where INTEGRITY is "": how to ask REST for this book's best levels; the answer becomes a ``Checked``."""
        return None

    def reply_key(self, url: str, natives: Sequence[str]) -> str:
        """The Fetch key that a recorded REST answer belongs to; ``natives`` = names seen in the same recording."""
        return "unknown"

    def address(self, plan: Plan, body: bytes) -> str:
        """The URL of a plan that has a ``fetch``, from the body of its answer. Raises one of ``UNREADABLE``."""
        return plan.url

    def listings(self) -> Sequence[Fetch]:
        """Where the venue's own list of instruments is: requests for connection 0 whose keys begin with LIST; () = nowhere."""
        return ()

    def listed(self, key: str, body: bytes) -> Iterable[Instrument] | None:
        """The instruments of such an answer, see ``each``; None = another part of the list has to come first.

        Raises one of ``UNREADABLE`` when it is none.
        """
        return ()

    def is_beat(self, data: bytes) -> bool:
        """Whether a short message answers our ping, or is a ping of the venue: it proves nothing about the data."""
        return b"pong" in data.lower()

    def proves(self, plan: str, data: bytes) -> bool:
        """Whether a short message on the connection of this plan shows that its data flow."""
        return not self.is_beat(data) or plan.partition(" ")[0] in self.RARE

    def verbatim(self, instrument: Instrument) -> bool:
        """Whether messages of this market mean what they say to the letter: the fast lane reads no others."""
        return True

    def bootstrap(self, path: str) -> Fetch | None:
        """What to fetch before a connection to this path can be opened."""
        return None

    def polls(self, conn: int, symbols: Sequence[str]) -> Sequence[Fetch]:
        """The books of these markets by REST: to live on while no socket delivers, else to compare with; () = not offered."""
        return ()

    # -- connections -------------------------------------------------------------------------------------------------
    def plan(self) -> tuple[Plan, ...]:
        """The connections to open. Each OPEN frame names its plan; the venue then asks to send its subscriptions.

        Symbols are spread over as few connections as ``LIMITS.topics_per_socket`` allows, ``MAX_SOCKETS`` in all. Where that is not
        enough the ``SPARE`` topics of all markets are left out, then the last symbols: see ``beyond``.
        """
        return tuple(
            Plan(name if number == 1 else f"{name} {number}", self.endpoints["ws"] + path, tuple(symbols), self.bootstrap(path))
            for (name, path), shards in zip(self.SOCKETS, self._spread()[0], strict=True) for number, symbols in enumerate(shards, 1)
        )  # fmt: skip

    def beyond(self) -> tuple[str, ...]:
        """Symbols of this venue for which its connections have no room: they are not asked for."""
        return self._spread()[1]

    def _spread(self) -> tuple[list[Shards], tuple[str, ...]]:
        names = [(s, n) for s in self.symbols if (n := self.name_of(s)) is not None and self._trades(s, n)]
        wanted = [(symbol, [len(self.topics(name, native)) for name, _ in self.SOCKETS]) for symbol, native in names]
        return spread(wanted, kinds=len(self.SOCKETS), topics=self.LIMITS.topics_per_socket, sockets=MAX_SOCKETS, spare=self.SPARE)

    def _trades(self, symbol: str, native: str) -> bool:
        """False for a default symbol that this venue is not known to trade; of any other symbol only the venue itself can tell."""
        instrument = self.market_of(native)
        known = instrument is not None and instrument.tick > 0.0 and instrument.status == TRADING
        return known or symbol not in DEFAULT_SYMBOLS

    def receive(self, frame: Frame) -> Sequence[Event]:
        """Understand one frame of any kind (TICK too: time-outs live there). Events in causal order."""
        events: list[Event] = []
        if frame.kind == DATA:
            try:
                self.read(frame, events)
            except UNREADABLE as error:
                events.append(self.fault(frame, f"unreadable: {error}"))
        elif frame.kind == TICK:
            self.on_tick(frame.ts, events)
        elif frame.kind == OPEN:
            self._on_open(frame, events)
        elif frame.kind == REPLY:
            self._on_reply(frame, events)
        elif frame.kind == CLOSED:
            self.on_closed(frame, events)
        return events

    def fault(self, frame: Frame, reason: str, key: str = "") -> Fault:
        """A message that could not be used."""
        return Fault(frame.ts, self.ID, key, reason[:200], frame.data[:200])

    def entitled(self, frame: Frame, native: str, events: list[Event]) -> Known | None:
        """The market, if it is ours and this connection carries it; tells of it when it is seen for the first time, and counts."""
        known = self.known.get(native)
        accept = self._accept.get(frame.conn)
        if accept is not None and native not in accept:
            known = None
        elif known is None:
            known = self._list(frame.ts, native, events)
        if known is None:
            events.append(self.fault(frame, "foreign symbol"))
            return None
        self.seen[known.key] = self.seen.get(known.key, 0) + 1
        return known

    def _list(self, ts: int, native: str, events: list[Event]) -> Known | None:
        known = self.known.get(native)
        instrument = self.market_of(native) if known is None else None
        if instrument is not None:
            known = self.known[native] = Known(instrument)
            events.append(Listed(ts, instrument))
        return known

    def _on_open(self, frame: Frame, events: list[Event]) -> None:
        info = _open.decode(frame.data)
        if info.symbols is None:
            self._accept[frame.conn] = None
            return
        natives = [n for s in info.symbols if (n := self.name_of(s)) is not None]
        self._accept[frame.conn] = frozenset(natives)
        for native in natives:
            self._list(frame.ts, native, events)
        self.opened(frame, info)
        socket = info.plan.partition(" ")[0]
        asked = [list(self.topics(socket, native)) for native in natives]
        if sum(map(len, asked)) > self.LIMITS.topics_per_socket:
            asked = [topics[: len(topics) - self.SPARE] for topics in asked]
        # what a market's topics begin with is needed most, its book: that of all markets comes first
        self.ask(frame.conn, frame.ts, "subscribe", [topic for rank in zip_longest(*asked) for topic in rank if topic is not None])

    def opened(self, frame: Frame, info: OpenInfo) -> None:
        """Before the subscriptions of a new connection are asked for."""

    def ask(self, conn: int, ts: int, wish: str, topics: Sequence[str]) -> None:
        """Send the requests for these topics; subscriptions then wait for ``acked``."""
        if not topics:
            return
        waiting = self._unacked.setdefault(conn, {}) if wish == "subscribe" else {}
        waiting.update(dict.fromkeys(topics, ts))
        for text, asked in self.requests(conn, wish, topics):
            self.actions.append(Send(conn, text, tuple(asked)))
            waiting.update(dict.fromkeys(asked, self.leaves(conn, ts)))

    def renew(self, known: Known, ts: int, topic: str) -> None:
        """Unsubscribe the topic of a book and subscribe it anew: its first message is a snapshot."""
        self.ask(known.conn, ts, "unsubscribe", [topic])
        self.ask(known.conn, ts, "subscribe", [topic])

    def leaves(self, conn: int, ts: int) -> int:
        """When a text that is to be sent now leaves: behind those before it, at the pace of ``LIMITS.messages_per_s``."""
        at = max(ts, self._free.get(conn, 0))
        self._free[conn] = at + int(1e9 / self.LIMITS.messages_per_s)
        return at

    def acked(self, frame: Frame, topics: Iterable[str], events: list[Event], *, ok: bool = True, reason: str = "") -> None:
        """The venue confirmed or refused these topics of this connection."""
        waiting, refusals = self._unacked.get(frame.conn, {}), self._refusals.setdefault(frame.conn, Refusals())
        for topic in topics:
            asked = waiting.pop(topic, None) is not None
            if ok:
                refusals.confirmed(topic)
            elif asked:
                refusals.refused(topic, frame.ts)
            events.append(Ack(frame.ts, self.ID, frame.conn, topic, ok, reason[:200]))

    def waiting(self, conn: int) -> list[str]:
        """Topics of this connection that are not confirmed yet."""
        return list(self._unacked.get(conn, ()))

    def on_tick(self, ts: int, events: list[Event]) -> None:
        """Ask again for what nobody confirmed or refused in time, what was refused a while ago, and snapshots that never came."""
        for conn, topics in self._unacked.items():
            late = [topic for topic, asked in topics.items() if ts - asked > ACK_TIMEOUT_NS]
            if late:
                events += [Ack(ts, self.ID, conn, topic, False, "not confirmed within 10 s") for topic in late]
                self.ask(conn, ts, "subscribe", late)
        for conn, refusals in self._refusals.items():
            self.ask(conn, ts, "subscribe", refusals.due(ts))
        for known in self.known.values():
            if known.asked is not None and ts - known.asked > ACK_TIMEOUT_NS:
                known.asked = ts
                self.again(known, ts)
        if not self.INTEGRITY:
            self._plan_checks(ts)

    def _plan_checks(self, ts: int) -> None:
        """Ask REST for the best levels of books that nothing else proves: twice in a row, each minute."""
        for rank, known in enumerate(self.known.values(), 1):
            if known.last is None or not known.check_ts:
                # one market after the other: all at once would be more than a venue answers in a second
                known.check_ts, known.rechecked = ts + CHECK_NS * rank // len(self.known), True
            elif ts >= known.check_ts and (fetch := self.check(known)) is not None:
                known.rechecked = not known.rechecked
                known.check_ts = ts + (CHECK_NS if known.rechecked else RECHECK_NS)
                self.actions.append(fetch)

    def on_closed(self, frame: Frame, events: list[Event]) -> None:
        """The connection has ended: nobody knows its books any more."""
        self._accept.pop(frame.conn, None)
        self.halted.discard(frame.conn)
        self._unacked.pop(frame.conn, None)
        self._refusals.pop(frame.conn, None)
        self._free.pop(frame.conn, None)
        for known in self.known.values():
            if known.conn == frame.conn:
                known.conn, known.last, known.asked = -1, None, None
                events.append(Gap(frame.ts, known.key, "disconnected"))

    def _on_reply(self, frame: Frame, events: list[Event]) -> None:
        head, _, body = frame.data.partition(b"\n")
        try:
            info = _reply.decode(head)
            if info.key.startswith(LIST):
                self._take_list(frame, info, body, events)
            else:
                self.answered(frame, info, body, events)
        except UNREADABLE as error:
            events.append(Fault(frame.ts, self.ID, "", f"unreadable reply: {error}"[:200], head[:200]))

    # -- instruments ---------------------------------------------------------------------------------------------------
    def name_of(self, symbol: str) -> str | None:
        """The venue's name of a canonical symbol: from its list once that was read, else by its rule for names."""
        return self._names.get(symbol) or self.native(symbol)

    def market_of(self, native: str) -> Instrument | None:
        """The market behind the venue's own name: from its list once that was read, else from the shipped table."""
        return self._listed.get(native) or self.instrument(native)

    def has_list(self, key: str) -> bool:
        """Whether the answer to this request for a list was read."""
        return key in self._lists

    def offers(self) -> dict[str, Instrument]:
        """All that the venue lists, by its own names; {} until its list was read. Never changed in place: any thread may read it."""
        return self._listed

    def each(self, rows: Iterable[R], read: Callable[[R], Instrument | None]) -> Iterable[Instrument]:
        """What ``read`` makes of each row of a list; None = not of our kinds. Rows that cannot be read are counted, the rest is kept."""
        for row in rows:
            try:
                instrument = read(row)
            except UNREADABLE:
                self.unread += 1
                continue
            if instrument is not None:
                yield instrument

    def _take_list(self, frame: Frame, info: ReplyInfo, body: bytes, events: list[Event]) -> None:
        """Keep a part of the venue's list; what it says otherwise than the shipped table holds from now on."""
        if info.status != 200:
            events.append(Fault(frame.ts, self.ID, "", f"{info.key} of instruments: HTTP {info.status}", body[:200]))
            return
        self.unread = 0
        rows = self.listed(info.key, body)
        if rows is None:
            return
        found = {instrument.native: instrument for instrument in rows}
        if not found:
            events.append(Fault(frame.ts, self.ID, "", f"{info.key} of instruments: empty", body[:200]))
            return
        self._lists[info.key] = found
        self._listed = {native: instrument for part in self._lists.values() for native, instrument in part.items()}
        names: dict[str, str] = {}
        for instrument in sorted(self._listed.values(), key=lambda i: (i.status != TRADING, i.native)):
            names.setdefault(instrument.symbol, instrument.native)
        self._names = names
        events.append(Instruments(frame.ts, self.ID, len(found), self.unread))
        for known in self.known.values():
            new = found.get(known.native)
            if new is not None and new.key == known.key and new != known.instrument:
                known.instrument = new
                events.append(Listed(frame.ts, new))

    # -- what the engine asks ----------------------------------------------------------------------------------------
    def lost(self, known: Known, ts: int, events: list[Event], reason: str = "sequence") -> None:
        """A message of this book is missing: tell it and ask for a new snapshot."""
        known.last, known.asked = None, ts
        events.append(Gap(ts, known.key, reason))
        self.again(known, ts)

    def begun(self, known: Known, frame: Frame, last: int, events: list[Event]) -> bool:
        """A snapshot of this book arrived; False = it is not to be used, because the venue takes no orders."""
        known.conn, known.last, known.asked = frame.conn, last, None
        if frame.conn in self.halted:
            known.last = None
            events.append(Gap(frame.ts, known.key, "halted"))
        return known.last is not None

    def unbegun(self, known: Known, frame: Frame) -> None:
        """A change came for a book without a snapshot, which will contain it: should that not come in time, it is asked for."""
        if known.last is None and known.asked is None and frame.conn not in self.halted:
            known.conn, known.asked = frame.conn, frame.ts

    def trading(self, frame: Frame, on: bool, events: list[Event]) -> None:
        """The venue says on this connection that it takes orders, or takes none: its books are halted, or asked for anew."""
        (self.halted.discard if on else self.halted.add)(frame.conn)
        for known in self.known.values():
            if known.conn != frame.conn:
                continue
            if not on and known.last is not None:
                known.last = None
                events.append(Gap(frame.ts, known.key, "halted"))
            elif on and known.last is None and known.asked is None:
                known.asked = frame.ts
                self.again(known, frame.ts)

    def resync(self, symbol: str, ts: int) -> Sequence[Event]:
        """The market no longer trusts this book: ask for a new snapshot. Events, if the venue has any to tell."""
        known = self._of(symbol)
        if known is not None and known.conn >= 0 and known.asked is None:
            known.last, known.asked = None, ts
            self.again(known, ts)
        return ()

    def reseed(self, symbol: str, ts: int) -> None:
        """The touch has walked out of the range that the snapshot covered: fetch a wider one while the book stays LIVE."""

    def open_beside(self, symbol: str, ts: int) -> None:
        """For ``reseed`` where a snapshot comes with a subscription only: a new connection brings it, at most one each minute."""
        known = self._of(symbol)
        if known is not None and known.conn >= 0 and ts - self._opened_beside > BESIDE_NS:
            self._opened_beside = ts
            self.actions.append(Reconnect(known.conn, "the market left the range that is kept", planned=True))

    def chain(self, symbol: str) -> tuple[str, int, int] | None:
        """(native name, connection, last sequence number) of an unbroken book that only waits for its next difference."""
        known = self._of(symbol)
        if known is None or known.conn < 0 or known.last is None or known.last < 0:
            return None
        return known.native, known.conn, known.last

    def advance(self, symbol: str, last: int) -> None:
        """Differences up to ``last`` were applied without passing through ``receive``."""
        known = self._of(symbol)
        if known is not None:
            known.last = last

    def _of(self, symbol: str) -> Known | None:
        return self.known.get(self.name_of(symbol) or symbol)

    def taker_bps(self, kind: str) -> float:
        """Default taker fee of a market kind in bps."""
        return next(fee.taker_bps for fee in self.FEES if fee.kind == kind)
