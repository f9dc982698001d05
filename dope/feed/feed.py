"""The feed: every socket to every venue, and the one stream of frames that comes of them."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import httpx
from loguru import logger

from dope.feed.backoff import Breaker
from dope.feed.clock import Clock
from dope.feed.connection import Connection, Shared, Timing, VenueDesk
from dope.feed.fetch import Fetcher
from dope.feed.health import VenueHealth, errors_in_last_minute, judge
from dope.feed.link import LinkRules, Registry
from dope.feed.outbox import OnFrames, Outbox
from dope.feed.pace import ConnectPace, WeightPace
from dope.feed.polling import Polling
from dope.feed.resolve import Resolver
from dope.feed.transport import Connect, ConnectFailed, Dialer
from dope.types import Action, Fetch, Plan, Reconnect, Send
from dope.venues.base import UNREADABLE, Venue
from dope.watch import Watch

HEALTH_S = 1.0  #: period of the message rate and of the watch for changes of state


def paces(venues: Mapping[str, Venue], clock: Clock) -> dict[str, ConnectPace]:
    """One connection pace per venue; give the same ones to the feed and to the probe, and both keep one limit."""
    return {venue_id: ConnectPace(venue.LIMITS, clock.now) for venue_id, venue in venues.items()}


class Feed:
    """Connects all plans of ``venues`` and calls ``on_frames`` with the frames of each turn of the loop, in order.

    ``run()`` serves until ``stop()`` and raises what ``on_frames`` raises. All methods belong to the loop's thread.
    ``connect`` and ``client`` are the network seams; the feed closes ``client`` when it made it itself.
    """

    def __init__(
        self, venues: Mapping[str, Venue], on_frames: OnFrames, clock: Clock, rng: random.Random, *,
        connect: Connect | None = None, connect_paces: Mapping[str, ConnectPace] | None = None,
        client: httpx.AsyncClient | None = None, timing: Timing | None = None, watch: Watch | None = None,
    ) -> None:
        self._watch = watch or Watch()
        self._venues = dict(venues)
        self._clock = clock
        self._outbox = Outbox(clock, on_frames)
        self._registry = Registry()
        self._own_client = client is None
        # Proxies from the environment are not used: the sockets beside it would not use them either.
        self._client = client or httpx.AsyncClient(trust_env=False, timeout=None, headers={"Accept-Encoding": "gzip"})
        resolver, timing = Resolver(), timing or Timing()

        def shared(venue: Venue) -> Shared:
            dial = connect or Dialer(clock, resolver=resolver, open_timeout_s=timing.open_s, max_message=venue.MAX_MESSAGE)
            return Shared(self._outbox, clock, rng, dial, self._registry, timing)

        pace = connect_paces or paces(venues, clock)
        self._desks = {name: self._desk(venue, pace[name], shared(venue)) for name, venue in self._venues.items()}
        self._stopping = asyncio.Event()
        self._stopped = asyncio.Event()
        self._running = False

    def _desk(self, venue: Venue, pace: ConnectPace, shared: Shared) -> _Desk:
        rules = LinkRules(venue.ID, venue.IDLE_S, venue.LIMITS.messages_per_s, venue.PING)
        weight = WeightPace(venue.LIMITS.rest_weight_per_min, self._clock.now)
        fetcher = Fetcher(venue.ID, self._client, self._outbox, self._clock, weight, self._is_open, answer_s=shared.timing.answer_s)
        fetcher.on_loss = self._watch.note

        async def address(plan: Plan) -> str:
            assert plan.fetch is not None
            status, wait, body = await fetcher.before(plan.fetch)
            if status != 200:
                raise ConnectFailed(f"HTTP {status} for {plan.fetch.key}" if status else body.decode(errors="replace")[:200], status, wait)
            try:
                return venue.address(plan, body)
            except UNREADABLE as error:
                raise ConnectFailed(f"{plan.fetch.key}: unreadable answer: {error}"[:200]) from error

        desk = VenueDesk(rules, pace, Breaker(self._clock.now, shared.rng, cap_s=shared.timing.cap_s), address)
        connections = [Connection(plan, desk, shared) for plan in venue.plan()]
        polling = Polling(venue.ID, venue.polls, fetcher, connections, shared) if venue.polls(0, venue.symbols) else None
        return _Desk(desk, connections, fetcher, self._clock.now, polling)

    # -- life ---------------------------------------------------------------------------------------------------------
    async def run(self) -> None:
        """Serve until ``stop()``. An error of ``on_frames`` or of our own code ends it and is raised."""
        self._running = True
        tasks: list[asyncio.Task[Any]] = [
            asyncio.create_task(self._outbox.failure(), name="feed failure"),
            asyncio.create_task(self._stopping.wait(), name="feed stop"),
            self._watch.kept("feed ticks", self._outbox.ticks),
            self._watch.kept("feed health", self._watch_health),
        ]
        for venue_id, desk in self._desks.items():
            tasks += [self._watch.kept(f"connection {venue_id} {each.plan.name}", each.run) for each in desk.connections]
            if desk.polling is not None:
                tasks.append(self._watch.kept(f"polling {venue_id}", desk.polling.run))
        try:
            done, _ = await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
        finally:
            await self._close(tasks)
            self._stopped.set()
        for task in done:
            task.result()

    async def stop(self) -> None:
        """Close every socket; returns when ``run()`` has cleaned up. The last frames, CLOSED among them, are handed over."""
        self._stopping.set()
        if self._running:
            await self._stopped.wait()
        elif self._own_client:
            await self._client.aclose()

    async def _close(self, tasks: Sequence[asyncio.Task[object]]) -> None:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        for desk in self._desks.values():
            for connection in desk.connections:
                connection.close("stopped")
            await desk.fetcher.close()
        if self._own_client:
            await self._client.aclose()
        # In the next turns of the loop the last frames are handed over and aborted transports free their descriptors.
        await asyncio.sleep(0.02)

    # -- what venues ask for ------------------------------------------------------------------------------------------
    def actions(self, asked: Sequence[tuple[str, Action]]) -> None:
        """Carry out what venues asked for, in order. Wishes for an epoch that has ended meanwhile are void."""
        for venue_id, action in asked:
            if isinstance(action, Fetch):
                self._desks[venue_id].fetcher.ask(action)
                continue
            link = self._registry.find(action.conn)
            if link is None:
                continue
            if isinstance(action, Send):
                link.send_later(action.text, action.delay_s) if action.delay_s > 0 else link.send(action.text)
            elif isinstance(action, Reconnect) and action.planned:
                self._desks[venue_id].replace(action.conn)
            else:
                link.end(1000, action.reason)

    def tell(self, kind: int, data: bytes) -> None:
        """A frame of our own between those of the venues, handed over at once."""
        self._outbox.tell(kind, data)

    def retry(self, venue_id: str) -> None:
        """A person wants to try now: ends waits of back-off and breaker; published limits are kept."""
        for connection in self._desks[venue_id].connections:
            connection.hurry()

    def _is_open(self, conn: int) -> bool:
        return self._registry.find(conn) is not None

    # -- health -------------------------------------------------------------------------------------------------------
    def health(self) -> dict[str, VenueHealth]:
        """How each venue is right now."""
        return {venue_id: desk.health(venue_id) for venue_id, desk in self._desks.items()}

    async def _watch_health(self) -> None:
        while True:
            for venue_id, desk in self._desks.items():
                desk.measure()
                desk.health(venue_id)
            await self._clock.sleep(HEALTH_S)


class _Desk:
    """All that the feed has of one venue."""

    def __init__(
        self, shared: VenueDesk, connections: list[Connection], fetcher: Fetcher, now: Callable[[], int], polling: Polling | None
    ) -> None:
        self.connections = connections
        self.polling = polling
        self.fetcher = fetcher
        self._breaker = shared.breaker
        self._now = now
        self._state, self._since = "", 0
        self._measured = (now(), 0)
        self._rate = 0.0

    def replace(self, conn: int) -> None:
        for connection in self.connections:
            if connection.link is not None and connection.link.conn == conn:
                connection.replace()

    def measure(self) -> None:
        """Message rate since the last call."""
        at, count = self._measured
        self._measured = (self._now(), sum(connection.messages() for connection in self.connections))
        passed = (self._measured[0] - at) / 1e9
        self._rate = (self._measured[1] - count) / passed if passed > 0 else 0.0

    def health(self, venue_id: str) -> VenueHealth:
        connections, now = self.connections, self._now()
        self._see(venue_id, judge(connections), now)
        errors = [(c.failed_at[-1], c.last_error) for c in connections if c.failed_at]
        errors += [(self.fetcher.errors[-1], self.fetcher.last_error)] if self.fetcher.errors else []
        waits = [c.next_try for c in connections if c.next_try]
        return VenueHealth(
            venue=venue_id, state=self._state, since=self._since, connections=sum(c.live for c in connections),
            wanted=len(connections), messages=sum(c.messages() for c in connections), msgs_s=self._rate,
            errors_min=errors_in_last_minute(connections, self.fetcher, now),
            reconnects=sum(max(0, c.opens - 1) for c in connections),
            last_error=max(errors)[1] if errors else "",
            next_retry=min(waits, default=0), breaker=self._breaker.state,
            rest_banned_until=self.fetcher.banned_until if self.fetcher.banned_until > now else 0,
        )

    def _see(self, venue_id: str, state: str, now: int) -> None:
        if state == self._state:
            return
        self._state, self._since = state, now
        words = next((c.trouble.words for c in self.connections if c.trouble is not None), "")
        level = "INFO" if state in ("live", "connecting") else "WARNING"
        logger.log(level, "{}: {}{}", venue_id, state, f" ({words})" if words and level == "WARNING" else "")
