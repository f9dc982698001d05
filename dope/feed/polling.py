"""A venue's books by REST: all of them while none of its sockets delivers, else now and then, for its venue to compare."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import msgspec
from loguru import logger

from dope.feed.connection import Connection, Shared
from dope.feed.fetch import Fetcher
from dope.types import CLOSED, DELIVERS, OPEN, PLANNED, ClosedInfo, Fetch, OpenInfo

PLAN = "rest"
LOOK_S = 0.2  #: period of the look whether a socket delivers

#: (epoch, symbols) → what to ask
Asks = Callable[[int, Sequence[str]], Sequence[Fetch]]


class RestEpoch:
    """From OPEN to CLOSED, as with a socket, but there is none: what is to be sent has nowhere to go."""

    def __init__(self, venue: str, symbols: tuple[str, ...], shared: Shared) -> None:
        self.over = False
        self.symbols = symbols
        self._venue, self._shared = venue, shared
        self.conn = shared.registry.enter(self)
        self._put(OPEN, OpenInfo(plan=PLAN, url="", symbols=symbols))

    def send(self, text: str, *, first: bool = False) -> None:
        """Nobody hears it."""

    def send_later(self, text: str, delay_s: float) -> None:
        """Nor this."""

    def end(self, code: int, reason: str) -> None:
        """The CLOSED frame is the last of this epoch. May be called more than once."""
        if not self.over:
            self.over = True
            self._shared.registry.leave(self.conn)
            self._put(CLOSED, ClosedInfo(code=code, reason=reason, planned=reason in PLANNED))

    def _put(self, kind: int, info: OpenInfo | ClosedInfo) -> None:
        self._shared.outbox.put(self._venue, self.conn, kind, msgspec.json.encode(info))


class Polling:
    """Runs beside the connections of one venue, which are not touched by it.

    It goes on for ``timing.settle_s`` after a socket began to deliver: by then every book has moved there, and none is missing meanwhile.
    Rounds follow each other at ``timing.poll_s``; after a round with a failure the wait doubles, up to ``timing.cap_s``.
    A round is left out while requests of this venue still wait, so that none pile up behind a ban.
    """

    def __init__(self, venue: str, asks: Asks, fetcher: Fetcher, connections: Sequence[Connection], shared: Shared) -> None:
        self.venue, self._asks, self._fetcher = venue, asks, fetcher
        self._connections, self._shared = connections, shared
        self._epoch: RestEpoch | None = None
        self._asked_at = self._began = 0

    async def run(self) -> None:
        """Until cancelled."""
        clock, timing = self._shared.clock, self._shared.timing
        check_at, poll_at, wait, since = clock.now() + int(timing.check_s * 1e9), 0, timing.poll_s, 0
        try:
            while True:
                now, live = clock.now(), [each for each in self._connections if each.live]
                since = (since or now) if live else 0
                if live and self._epoch is not None and now - since >= timing.settle_s * 1e9:
                    self.close(DELIVERS)
                    poll_at, check_at = 0, now + int(timing.check_s * 1e9)
                if live and self._epoch is None and now >= check_at:
                    for each in live:
                        if each.link is not None and each.link.last:
                            self._round(each.link.conn, each.plan.symbols)
                    check_at = now + int(timing.check_s * 1e9)
                elif (not live or self._epoch is not None) and now >= poll_at:
                    wait = min(2.0 * wait, timing.cap_s) if self._failed() else timing.poll_s
                    symbols = self._symbols()
                    if self._epoch is not None and self._epoch.symbols != symbols:
                        self.close("other symbols are watched")
                    if self._epoch is None or self._epoch.over:
                        self._epoch, self._began = RestEpoch(self.venue, symbols, self._shared), now
                        logger.info("{}: books by REST until a socket delivers", self.venue)
                    self._round(self._epoch.conn, symbols)
                    poll_at = now + int(wait * 1e9)
                await clock.sleep(min(LOOK_S, timing.poll_s))
        finally:
            self.close("stopped")

    @property
    def delivers(self) -> bool:
        """Books come by REST now: the newest answer was good, and of this epoch."""
        errors, good_at = self._fetcher.errors, self._fetcher.good_at
        return self._epoch is not None and good_at > self._began and (not errors or good_at > errors[-1])

    def close(self, reason: str) -> None:
        """End the epoch without a socket, if there is one."""
        if self._epoch is not None:
            self._epoch.end(1000, reason)
            self._epoch = None

    def _symbols(self) -> tuple[str, ...]:
        return tuple(dict.fromkeys(symbol for each in self._connections for symbol in each.plan.symbols))

    def _round(self, conn: int, symbols: Sequence[str]) -> None:
        if self._fetcher.waiting:
            return
        self._asked_at = self._shared.clock.now()
        for fetch in self._asks(conn, symbols):
            self._fetcher.ask(fetch)

    def _failed(self) -> bool:
        errors = self._fetcher.errors
        return bool(self._asked_at and (self._fetcher.waiting or (errors and errors[-1] >= self._asked_at)))
