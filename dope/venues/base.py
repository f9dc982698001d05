"""The contract of a venue: frames in, events out, actions asked for. Pure: no I/O, no clock, no threads.

A venue never raises on what it receives: a message that it cannot use is a ``Fault``, a hole in a sequence a ``Gap``
plus the action that mends it. One venue = one file that opens with the messages it reads and its book recipe.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

from dope.types import Action, Event, Fee, Frame, Instrument, Limits, Plan


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
    LIMITS = Limits()
    NUMBERED = True
    IDLE_S = 5.0  #: s without any data frame after which a connection counts as dead
    PING: tuple[float, str] | None = None  #: (period s, text) of an application-level ping, sent by the feed
    CHECKSUM = ""  #: name of the rule by which the market checks BookUpdate.checksum
    #: ordinary messages to the letter, for the fast lane: literals and field names (``market/lane.py``); () = none
    TEMPLATES: tuple[tuple[bytes | str, ...], ...] = ()
    FEES: tuple[Fee, ...] = ()

    def __init__(self, symbols: Sequence[str], endpoints: dict[str, str] | None = None) -> None:
        """``symbols``: canonical symbols wanted; those that this venue does not trade are left out of ``plan()``."""
        self.symbols = tuple(symbols)
        self.endpoints = {**self.ENDPOINTS, **(endpoints or {})}
        self.seen: dict[str, int] = {}  #: DATA frames about each market (by key) that could be read
        self.actions: list[Action] = []  #: appended by receive(); whoever runs the engine drains it

    def plan(self) -> tuple[Plan, ...]:
        """The connections to open. Each OPEN frame names its plan; the venue then asks to send its subscriptions."""
        raise NotImplementedError

    def receive(self, frame: Frame) -> Sequence[Event]:
        """Understand one frame of any kind (TICK too: time-outs live there). Events in causal order."""
        raise NotImplementedError

    def instrument(self, native: str) -> Instrument | None:
        """The market behind the venue's own name, None when the name is none of this venue's."""
        raise NotImplementedError

    def reply_key(self, url: str, natives: Sequence[str]) -> str:
        """The Fetch key that a recorded REST answer belongs to; ``natives`` = names seen in the same recording."""
        raise NotImplementedError

    def resync(self, symbol: str, ts: int) -> Sequence[Event]:
        """The market no longer trusts this book: ask for a new snapshot. Events, if the venue has any to tell."""
        raise NotImplementedError

    def reseed(self, symbol: str, ts: int) -> None:
        """The touch has walked out of the range that the snapshot covered: fetch a wider one while the book stays LIVE."""

    def chain(self, symbol: str) -> tuple[str, int, int] | None:
        """(native name, connection, last sequence number) of an unbroken book that only waits for its next difference."""
        return None

    def advance(self, symbol: str, last: int) -> None:
        """Differences up to ``last`` were applied without passing through ``receive``."""

    def taker_bps(self, kind: str) -> float:
        """Default taker fee of a market kind in bps."""
        return next(fee.taker_bps for fee in self.FEES if fee.kind == kind)


def number(text: str) -> float:
    """A positive finite decimal; raises ValueError on everything else, so that no NaN or negative ever gets in."""
    value = float(text)
    if not 0.0 < value < math.inf:
        raise ValueError(f"not a positive number: {text[:40]!r}")
    return value


def split_quote(name: str, quotes: Sequence[str]) -> tuple[str, str] | None:
    """``BTCUSDT`` → (``BTC``, ``USDT``) by the longest known quote currency; None when none fits."""
    for quote in quotes:
        if name.endswith(quote) and len(name) > len(quote):
            return name[: -len(quote)], quote
    return None
