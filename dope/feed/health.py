"""What the feed knows about a venue's health, in the words of the venue table."""

from __future__ import annotations

from collections.abc import Sequence

import msgspec

from dope.feed.connection import Connection
from dope.feed.fetch import Fetcher

MINUTE_NS = 60_000_000_000


class VenueHealth(msgspec.Struct, frozen=True):
    """State of one venue's connections; times in ns of the feed's clock, 0 = none.

    ``state``: "connecting" (not all up yet, no failure) | "live" | "degraded" (some connections) | "rest" (no connection, but its
    books come by REST) | "down" | "blocked" (by law or network) | "refused" (our request is not accepted) | "maintenance".
    ``breaker``: "closed" | "open" | "half-open".
    """

    venue: str
    state: str = "connecting"
    since: int = 0
    connections: int = 0  #: open and delivering
    wanted: int = 0
    messages: int = 0  #: received in this run
    msgs_s: float = 0.0  #: over the last second
    errors_min: int = 0  #: failures of connections and requests in the last 60 s
    reconnects: int = 0
    last_error: str = ""  #: plain words; stays after recovery
    next_retry: int = 0
    breaker: str = "closed"
    rest_banned_until: int = 0


def judge(connections: Sequence[Connection], *, by_rest: bool = False) -> str:
    """The state of a venue from those of its connections; the most telling reason when none is up, unless its books come ``by_rest``."""
    live = sum(connection.live for connection in connections)
    if connections and live == len(connections):
        return "live"
    reasons = {connection.trouble.state for connection in connections if connection.trouble is not None and not connection.live}
    if live:
        return "degraded" if reasons else "connecting"  # at the start one connection comes after the other
    if by_rest and reasons:
        return "rest"
    return next((state for state in ("blocked", "maintenance", "refused", "down") if state in reasons), "connecting")


def errors_in_last_minute(connections: Sequence[Connection], fetcher: Fetcher, now: int) -> int:
    times = [at for connection in connections for at in connection.failed_at] + fetcher.errors
    return sum(at > now - MINUTE_NS for at in times)
