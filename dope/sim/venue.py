"""What the servers of simulated venues share: who gets which message of the market step just made.

The server of a venue is the module of ``dope/sim`` that is named like its id. It holds ``LISTINGS`` (what trades there), and
``Server``: a ``VenueServer`` that says how requests are answered and what the market's changes look like in the venue's words.
Nothing here or there reads the code of ``dope/venues``: what they have in common is the venue's documentation.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Iterator, Mapping
from importlib import import_module
from types import ModuleType
from typing import Any

from dope.errors import UnknownName
from dope.sim.book import ASK, BID
from dope.sim.dialogue import Client, Close, Ping, Reply
from dope.sim.listings import ListingSpec
from dope.sim.market import SampleMarket
from dope.sim.port import Port
from dope.sim.quoting import Market
from dope.sim.truth_log import Voice, Words

Message = str | bytes  #: text frame or binary frame
Changed = tuple[dict[int, int], dict[int, int]]  #: per side: tick → lots now, 0 = gone


class VenueClock:
    """The market as one venue sees it: all of it as it is, but by a clock that may be wrong."""

    def __init__(self, sample: SampleMarket) -> None:
        self.sample = sample
        self.ahead_ms = 0  #: of the right time

    @property
    def now_ms(self) -> int:
        """What the venue believes the virtual time to be, ms UTC."""
        return self.sample.now_ms + self.ahead_ms

    def __getattr__(self, name: str) -> Any:
        return getattr(self.sample, name)


class VenueServer(ABC):
    """One venue over the sample market. A client's ``topics`` map what it subscribed to → whether its first message has gone out."""

    PING = Ping(None, None)  #: protocol pings of the venue
    POSTS = False  #: its REST takes POST, too
    READS: Words = ()  #: which topics carry depth, touch and trades: for the log of what was published

    def __init__(self, sample: SampleMarket, venue: str, *, clock: Callable[[], float]) -> None:
        self.sample, self.clock = sample, clock
        self.markets: dict[str, Market] = {m.spec.native: m for m in sample.markets.values() if m.spec.venue == venue}
        self.lose: dict[str, int] = dict.fromkeys(self.markets, 0)  #: book messages of each native name still to be lost
        self.port = Port(venue, self, clock, self.PING, posted=self.posted if self.POSTS else None)
        self.voice = Voice(self.READS, {m.spec.native: m.key for m in self.markets.values()})

    # -- what a venue's server says ------------------------------------------------------------------------------------
    @abstractmethod
    def admit(self, path: str, now: float) -> Reply | None:
        """None lets a WebSocket in at ``path``, a Reply refuses it."""

    def opened(self, client: Client) -> list[Message]:
        """What a client hears before it asks."""
        return []

    @abstractmethod
    def heard(self, client: Client, text: str, now: float) -> list[Message] | Close:
        """Answers to one text; new topics are in ``client.topics`` (as False) afterwards."""

    def rest(self, path: str, query: dict[str, str], now: float) -> Reply:
        """The answer to one GET."""
        return Reply(404, "{}")

    def posted(self, path: str, body: bytes, now: float) -> Reply:
        """The answer to one POST."""
        return Reply(404, "{}")

    def first(self, topic: str, client: Client) -> Iterable[Message] | None:
        """What a new subscription gets at once (a snapshot, or nothing); None = later, when its time has come."""
        return ()

    @abstractmethod
    def changes(self, market: Market, wanted: Mapping[str, list[Client]]) -> Iterator[tuple[str, Message]]:
        """``(topic, message)`` of this step for the wanted topics of one market; called once per market and step."""

    def deliver(self, clients: list[Client], topic: str, message: Message) -> None:
        """Send a message of a topic to those who want it; venues that number each connection write it for each."""
        self.port.send(clients, message, binary=isinstance(message, bytes), topic=topic)

    def beat(self) -> None:  # noqa: B027 - not every venue has such
        """Once per step, after all messages: heartbeats, pings of the venue, time-outs."""

    # -- what is done with it ------------------------------------------------------------------------------------------
    def publish(self) -> None:
        """Send what the market step just made means for the subscribed topics; new subscribers get their first message."""
        subscribed: dict[str, list[Client]] = {}
        for client in self.port.clients:
            for topic, begun in client.topics.items():
                if begun:
                    subscribed.setdefault(topic, []).append(client)
        for market in self.markets.values():
            for topic, message in self.changes(market, subscribed):
                for_whom = subscribed.get(topic)
                if for_whom:
                    sent = self.port.sent
                    self.deliver(for_whom, topic, message)
                    self.voice.said(topic, lost=self.port.sent == sent)
        for client in list(self.port.clients):
            for topic, begun in list(client.topics.items()):
                found = None if begun else self.first(topic, client)
                if found is not None:
                    client.topics[topic] = True
                    for message in found:
                        sent = self.port.sent
                        self.deliver([client], topic, message)
                        self.voice.said(topic, lost=self.port.sent == sent)
        self.beat()

    def drop(self, symbol: str) -> None:
        """Lose the next book message of a canonical symbol: its numbers pass, nobody gets it."""
        self.lose[next(native for native, market in self.markets.items() if market.spec.symbol == symbol)] += 1

    def lost(self, native: str) -> bool:
        """Whether the book message that is about to be sent is one of those to be lost."""
        if self.lose[native]:
            self.lose[native] -= 1
            return True
        return False


class Pending:
    """Changes of one book since its last message, for streams that speak less often than the market steps."""

    def __init__(self) -> None:
        self.sides: Changed = ({}, {})
        self.first_seq = self.last_seq = 0

    def add(self, market: Market) -> None:
        """The changes of the step just made."""
        for side, tick, lots, seq in market.book.changes:
            self.sides[side][tick] = lots
            self.first_seq = self.first_seq or seq
            self.last_seq = seq

    def take(self) -> tuple[list[tuple[int, int]], list[tuple[int, int]]]:
        """(bids, asks) as (tick, lots), best first; forgotten afterwards."""
        bids, asks = sorted(self.sides[BID].items(), reverse=True), sorted(self.sides[ASK].items())
        self.sides, self.first_seq, self.last_seq = ({}, {}), 0, 0
        return bids, asks

    def __bool__(self) -> bool:
        return bool(self.sides[BID] or self.sides[ASK])


def module(venue: str) -> ModuleType:
    """The module that serves this venue. Raises UnknownName."""
    if not venue.isidentifier():
        raise UnknownName("venue", venue, [])
    try:
        return import_module(f"dope.sim.{venue}")
    except ModuleNotFoundError as error:
        raise UnknownName("venue", venue, []) from error


def listings(venues: Iterable[str]) -> tuple[ListingSpec, ...]:
    """What trades at these venues."""
    return tuple(spec for venue in venues for spec in module(venue).LISTINGS)
