"""What the file of a venue says: its hosts, limits and fees, its names, its requests, and how its messages are read.

All that has no value or body here is what a new venue must say; the rest is what usually holds.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterable, Sequence

import msgspec

from dope.types import Event, Fee, Fetch, Frame, Instrument, Limits, OpenInfo, Plan, ReplyInfo
from dope.venues._known import Known

LIST = "list"  #: keys of requests for a venue's list of instruments begin so
#: what reading a message may raise: it becomes a Fault
UNREADABLE = (msgspec.DecodeError, RecursionError, ValueError, OverflowError, IndexError, KeyError, TypeError, AttributeError)


class Contract(ABC):
    """One venue in its own words. ``ID`` names it everywhere; ``LABEL`` and ``SHORT`` are for people.

    ``ENDPOINTS`` holds the public hosts (``{"ws": "wss://…", "rest": "https://…"}``, without paths), replaced by ``endpoints`` for
    loopback servers. ``NUMBERED`` = any data on the connection proves its books current (sequence numbers or heartbeats).
    """

    ID = ""
    LABEL = ""
    SHORT = ""
    ENDPOINTS: dict[str, str] = {}
    SOCKETS: tuple[tuple[str, str], ...] = ()  #: (name of the plan, path after the ws endpoint), one connection or more each
    LIMITS = Limits()
    BARE: tuple[str, ...] = ()  #: topics that bring no data
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

    @abstractmethod
    def native(self, symbol: str) -> str | None:
        """The venue's name of a canonical symbol, None when it is of a kind that this venue does not trade."""

    @abstractmethod
    def instrument(self, native: str) -> Instrument | None:
        """The market behind the venue's own name, None when the name is none of this venue's."""

    @abstractmethod
    def topics(self, socket: str, native: str) -> Sequence[str]:
        """What to subscribe to for one market on this kind of connection, in words that ``requests`` understands."""

    @abstractmethod
    def requests(self, conn: int, wish: str, topics: Sequence[str]) -> Iterable[tuple[str, Sequence[str]]]:
        """The texts that ask for these topics, each with the topics it asks for. ``wish`` is "subscribe" or "unsubscribe"."""

    @abstractmethod
    def read(self, frame: Frame, events: list[Event]) -> None:
        """Understand one DATA frame; events in causal order. What it raises of ``UNREADABLE`` becomes a Fault."""

    @abstractmethod
    def again(self, known: Known, ts: int) -> None:
        """Ask for a new snapshot of this book."""

    def opened(self, frame: Frame, info: OpenInfo) -> None:  # noqa: B027 - most venues have nothing to do then
        """Before the subscriptions of a new connection are asked for."""

    def answered(self, frame: Frame, info: ReplyInfo, body: bytes, events: list[Event]) -> None:  # noqa: B027 - or fetch nothing
        """Understand the answer to a Fetch."""

    def reseed(self, symbol: str, ts: int) -> None:  # noqa: B027 - or have whole books
        """The touch has walked out of the range that the snapshot covered: fetch a wider one while the book stays LIVE."""

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
