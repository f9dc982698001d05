"""The contract of a venue: frames in, events out, actions asked for. Pure: no I/O, no clock, no threads.

A venue never raises on what it receives: a message that it cannot use is a ``Fault``, a hole in a sequence a ``Gap``
plus the action that mends it. One venue = one file that opens with the messages it reads and its book recipe.

What a venue's file says stands in ``_contract.py``, what all venues do alike with their markets in ``_markets.py``, and here what they
do alike with their connections: who may speak, subscriptions and their acknowledgements, the end.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from itertools import zip_longest

import msgspec

from dope.types import (
    CLOSED,
    DATA,
    DEFAULT_SYMBOLS,
    OPEN,
    REPLY,
    TICK,
    Ack,
    Event,
    Fault,
    Frame,
    Gap,
    Instruments,
    Listed,
    OpenInfo,
    Plan,
    Reconnect,
    ReplyInfo,
    Send,
)
from dope.venues._catalogue import TRADING as TRADING  # venues have these four from here
from dope.venues._contract import LIST as LIST
from dope.venues._contract import UNREADABLE as UNREADABLE
from dope.venues._known import Known as Known
from dope.venues._markets import Markets
from dope.venues._room import Shards, spread
from dope.venues._subscriptions import Subscriptions

MS = 1_000_000
ACK_TIMEOUT_NS = 10_000_000_000  #: a subscription that is not confirmed, or a snapshot that does not come, is asked for again
MAX_SOCKETS = 5  #: connections to one venue

_open = msgspec.json.Decoder(OpenInfo)
_reply = msgspec.json.Decoder(ReplyInfo)


class Venue(Markets):
    """Base class of all venues."""

    def __init__(self, symbols: Sequence[str], endpoints: dict[str, str] | None = None) -> None:
        """``symbols``: canonical symbols wanted; those that this venue does not trade are left out of ``plan()``."""
        super().__init__()
        self.symbols = tuple(symbols)
        self.endpoints = {**self.ENDPOINTS, **(endpoints or {})}
        self.seen: dict[str, int] = {}  #: DATA frames about each market (by key) that could be read
        self._accept: dict[int, frozenset[str] | None] = {}  # connection → native names, None = any
        self.subscriptions = Subscriptions()

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

    def ask(self, conn: int, ts: int, wish: str, topics: Sequence[str]) -> None:
        """Send the requests for these topics; subscriptions then wait for ``acked``."""
        if not topics:
            return
        if wish == "subscribe":
            self.subscriptions.asked(conn, topics, ts)
        for text, asked in self.requests(conn, wish, topics):
            self.actions.append(Send(conn, text, tuple(asked)))
            leaves = self.leaves(conn, ts)
            if wish == "subscribe":
                self.subscriptions.asked(conn, asked, leaves)

    def renew(self, known: Known, ts: int, topic: str) -> None:
        """Unsubscribe the topic of a book and subscribe it anew: its first message is a snapshot."""
        self.ask(known.conn, ts, "unsubscribe", [topic])
        self.ask(known.conn, ts, "subscribe", [topic])

    def leaves(self, conn: int, ts: int) -> int:
        """When a text that is to be sent now leaves: behind those before it, at the pace of ``LIMITS.messages_per_s``."""
        return self.subscriptions.leaves(conn, ts, self.LIMITS.messages_per_s)

    def acked(self, frame: Frame, topics: Iterable[str], events: list[Event], *, ok: bool = True, reason: str = "") -> None:
        """The venue confirmed or refused these topics of this connection."""
        refused = False
        for topic in topics:
            refused |= self.subscriptions.answered(frame.conn, topic, frame.ts, ok=ok, bare=topic in self.BARE)
            events.append(Ack(frame.ts, self.ID, frame.conn, topic, ok, reason[:200]))
        if refused and self.subscriptions.hopeless(frame.conn):
            self.actions.append(Reconnect(frame.conn, f"every subscription was refused: {reason}"[:200], refused=True))

    def waiting(self, conn: int) -> list[str]:
        """Topics of this connection that are not confirmed yet."""
        return self.subscriptions.waiting(conn)

    def on_tick(self, ts: int, events: list[Event]) -> None:
        """Ask again for what nobody confirmed or refused in time, what was refused a while ago, and snapshots that never came."""
        for conn, topics in self.subscriptions.late(ts - ACK_TIMEOUT_NS):
            events += [Ack(ts, self.ID, conn, topic, False, "not confirmed within 10 s") for topic in topics]
            self.ask(conn, ts, "subscribe", topics)
        for conn, topics in self.subscriptions.due(ts):
            self.ask(conn, ts, "subscribe", topics)
        for known in self.known.values():
            if known.asked is not None and ts - known.asked > ACK_TIMEOUT_NS:
                known.asked = ts
                self.again(known, ts)
        if not self.INTEGRITY:
            self.plan_checks(ts)

    def on_closed(self, frame: Frame, events: list[Event]) -> None:
        """The connection has ended: nobody knows its books any more."""
        self._accept.pop(frame.conn, None)
        self.halted.discard(frame.conn)
        self.subscriptions.closed(frame.conn)
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

    # -- the venue's own list ---------------------------------------------------------------------------------------------------
    def _take_list(self, frame: Frame, info: ReplyInfo, body: bytes, events: list[Event]) -> None:
        """Keep a part of the venue's list; what it says otherwise than the shipped table holds from now on."""
        if info.status != 200:
            events.append(Fault(frame.ts, self.ID, "", f"{info.key} of instruments: HTTP {info.status}", body[:200]))
            return
        self.unread = 0
        rows = self.listed(info.key, body)
        if rows is None:
            return
        found = self.catalogue.take(info.key, rows)
        if not found:
            events.append(Fault(frame.ts, self.ID, "", f"{info.key} of instruments: empty", body[:200]))
            return
        events.append(Instruments(frame.ts, self.ID, len(found), self.unread))
        for known in self.known.values():
            new = found.get(known.native)
            if new is not None and new.key == known.key and new != known.instrument:
                known.instrument = new
                events.append(Listed(frame.ts, new))

    def taker_bps(self, kind: str) -> float:
        """Default taker fee of a market kind in bps."""
        return next(fee.taker_bps for fee in self.FEES if fee.kind == kind)
