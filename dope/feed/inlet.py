"""A connection without a socket: what the program sends itself takes the way of all messages, from the outbox on."""

from __future__ import annotations

import msgspec

from dope.feed.link import Registry
from dope.feed.outbox import Outbox
from dope.types import CLOSED, DATA, OPEN, ClosedInfo, OpenInfo

PLAN, URL = "self-test", "internal"


class Inlet:
    """One epoch of ``venue``, from now until ``close``. Each call gives the stamp of its frame, ns UTC."""

    def __init__(self, venue: str, outbox: Outbox, registry: Registry) -> None:
        self.venue, self._outbox, self._registry = venue, outbox, registry
        self.conn = registry.enter(self)

    def open(self, symbol: str) -> int:
        """The connection carries this market."""
        return self._outbox.put(self.venue, self.conn, OPEN, msgspec.json.encode(OpenInfo(PLAN, URL, (symbol,))))

    def bring(self, text: str) -> int:
        """A message of the venue."""
        return self._outbox.put(self.venue, self.conn, DATA, text.encode())

    def close(self) -> int:
        """The connection has ended."""
        self._registry.leave(self.conn)
        return self._outbox.put(self.venue, self.conn, CLOSED, msgspec.json.encode(ClosedInfo(1000, "the self-test is over")))

    # -- what a venue may ask of a connection: nobody is behind this one -----------------------------------------------
    def send(self, text: str, *, first: bool = False) -> None:
        """Goes nowhere."""

    def send_later(self, text: str, delay_s: float) -> None:
        """Goes nowhere."""

    def end(self, code: int, reason: str) -> None:
        """It ends when the self-test does."""
