"""The feed: every socket to every venue, and the one stream of frames that comes of them."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import httpx
from loguru import logger

from dope.feed.backoff import Breaker
from dope.feed.clock import Clock
from dope.feed.connection import Connection, Shared, Timing, VenueDesk
from dope.feed.fetch import Fetcher
from dope.feed.health import VenueHealth, errors_in_last_minute, judge
from dope.feed.inlet import Inlet
from dope.feed.link import REFUSED, LinkRules, Registry
from dope.feed.outbox import OnFrames, Outbox
from dope.feed.pace import ConnectPace, WeightPace
from dope.feed.polling import Polling
from dope.feed.resolve import Resolver
from dope.feed.transport import Connect, ConnectFailed, Dialer
from dope.types import UNWATCHED, Action, Fetch, Plan, Reconnect, Send
from dope.venues.base import UNREADABLE, Venue
from dope.watch import Watch

HEALTH_S = 1.0  #: period of the message rate and of the watch for changes of state
LISTS_NS = 24 * 3600 * 10**9  #: from one reading of a venue's list of instruments to the next
LISTS_AGAIN_S = 60.0  #: until a list that did not come is asked for again


def paces(venues: Mapping[str, Venue], clock: Clock) -> dict[str, ConnectPace]:
    """One connection pace per venue; give the same ones to the feed and to the probe, and both keep one limit."""
    return {venue_id: ConnectPace(venue.LIMITS, clock.now) for venue_id, venue in venues.items()}


class Network(NamedTuple):
    """Chance, sockets, requests and patience of a feed; None = those of the machine and the usual ones."""

    rng: random.Random
    connect: Connect | None = None
    client: httpx.AsyncClient | None = None
    timing: Timing | None = None


class Feed:
    """Connects all plans of ``venues`` and calls ``on_frames`` with the frames of each turn of the loop, in order.

    ``run()`` serves until ``stop()`` and raises what ``on_frames`` raises. All methods belong to the loop's thread.
    ``connect`` and ``client`` are the network seams; the feed closes ``client`` when it made it itself.
    """

    def __init__(
        self, venues: Mapping[str, Venue], on_frames: OnFrames, clock: Clock, rng: random.Random, *,
        connect: Connect | None = None, connect_paces: Mapping[str, ConnectPace] | None = None,
        client: httpx.AsyncClient | None = None, timing: Timing | None = None, watch: Watch | None = None, lists: bool = True,
    ) -> None:
        """``lists`` False = the venues' lists of instruments are not asked for."""
        self._lists = lists
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
        self._kept: dict[Connection | Polling, asyncio.Task[None]] = {}  # what runs for the venues
        self._stopping = asyncio.Event()
        self._stopped = asyncio.Event()
        self._running = False

    def _desk(self, venue: Venue, pace: ConnectPace, shared: Shared) -> _Desk:
        """All that is needed for one venue; what it connects to says ``replan``."""
        rules = rules_of(venue)
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
        found = _Desk(desk, shared, fetcher, venue)
        found.replan(venue.plan())
        return found

    # -- life ---------------------------------------------------------------------------------------------------------
    async def run(self) -> None:
        """Serve until ``stop()``. An error of ``on_frames`` or of our own code ends it and is raised."""
        self._running = True
        self._given_up: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        tasks: list[asyncio.Future[Any]] = [
            asyncio.create_task(self._outbox.failure(), name="feed failure"),
            asyncio.create_task(self._stopping.wait(), name="feed stop"),
            self._watch.kept("feed ticks", self._outbox.ticks),
            self._watch.kept("feed health", self._watch_health),
            self._watch.kept("feed lists", self._read_lists),
            self._given_up,
        ]
        for venue_id in self._desks:
            self._keep(venue_id)
        try:
            done, _ = await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
        finally:
            await self._close([*tasks, *self._kept.values()])
            self._stopped.set()
        for task in done:
            task.result()

    def _keep(self, venue_id: str) -> None:
        """Run what a desk has and does not run yet; let go of what it no longer has."""
        desk, kept = self._desks[venue_id], self._kept
        for each in desk.runs():
            if each in kept:
                continue
            if isinstance(each, Connection):
                kept[each] = self._watch.kept(f"connection {venue_id} {each.plan.name}", each.run)
            else:
                kept[each] = self._watch.kept(f"polling {venue_id}", each.run)
            kept[each].add_done_callback(self._ended)
        for left in [each for each in kept if each.venue == venue_id and each not in desk.runs()]:
            kept.pop(left).cancel()
            left.close(UNWATCHED)

    def _ended(self, task: asyncio.Task[None]) -> None:
        """One of those that must run for ever was given up, and with it the feed is."""
        if task not in self._kept.values() or self._given_up.done():
            return
        if task.cancelled():
            self._given_up.cancel()
        elif (error := task.exception()) is not None:
            self._given_up.set_exception(error)
        else:
            self._given_up.set_result(None)

    async def stop(self) -> None:
        """Close every socket; returns when ``run()`` has cleaned up. The last frames, CLOSED among them, are handed over."""
        self._stopping.set()
        if self._running:
            await self._stopped.wait()
        elif self._own_client:
            await self._client.aclose()

    async def _close(self, tasks: Sequence[asyncio.Future[Any]]) -> None:
        self._kept.clear()
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
                link.send_later(action.text, action.delay_s) if action.delay_s > 0 else link.send(action.text, first=action.urgent)
            elif isinstance(action, Reconnect) and action.planned:
                self._desks[venue_id].replace(action.conn)
            else:
                link.end(REFUSED if action.refused else 1000, action.reason)

    def tell(self, kind: int, data: bytes) -> None:
        """A frame of our own between those of the venues, handed over at once."""
        self._outbox.tell(kind, data)

    def inlet(self, venue_id: str) -> Inlet:
        """A connection without a socket, for messages of our own."""
        return Inlet(venue_id, self._outbox, self._registry)

    def replan(self, venue_id: str) -> None:
        """The venue's plan may be another one now: connections to the same markets stay, the others are replaced, opened or closed."""
        desk = self._desks[venue_id]
        desk.replan(self._venues[venue_id].plan())
        if self._running and not self._stopping.is_set():
            self._keep(venue_id)
            self._ask_lists(venue_id)

    # -- instruments ---------------------------------------------------------------------------------------------------
    async def _read_lists(self) -> None:
        """For ever: the list of instruments of each venue that is watched, once a day; one that did not come, soon again."""
        begun = self._clock.now()
        while True:
            again = self._clock.now() - begun >= LISTS_NS
            begun = self._clock.now() if again else begun
            for venue_id in self._desks:
                self._ask_lists(venue_id, again=again)
            await self._clock.sleep(LISTS_AGAIN_S)

    def _ask_lists(self, venue_id: str, *, again: bool = False) -> None:
        desk, venue = self._desks[venue_id], self._venues[venue_id]
        wanted = venue.listings() if self._lists and desk.connections else ()
        asked = [fetch for fetch in wanted if again or not venue.has_list(fetch.key)]
        for fetch in asked:
            if not desk.fetcher.asks(fetch.key):
                desk.fetcher.ask(fetch)

    def retry(self, venue_id: str) -> None:
        """A person wants to try now: ends waits of back-off and breaker; published limits are kept."""
        for connection in self._desks[venue_id].connections:
            connection.hurry()

    def _is_open(self, conn: int) -> bool:
        return conn == 0 or self._registry.find(conn) is not None

    # -- health -------------------------------------------------------------------------------------------------------
    def health(self) -> dict[str, VenueHealth]:
        """How each venue is right now."""
        return {venue_id: desk.health(venue_id) for venue_id, desk in self._desks.items() if desk.connections}

    async def _watch_health(self) -> None:
        while True:
            for venue_id, desk in self._desks.items():
                desk.measure()
                desk.health(venue_id)
            await self._clock.sleep(HEALTH_S)


def rules_of(venue: Venue) -> LinkRules:
    """What this venue asks of its connections."""
    return LinkRules(venue.ID, venue.IDLE_S, venue.LIMITS.messages_per_s, venue.PING, venue.proves)


class _Desk:
    """All that the feed has of one venue."""

    def __init__(self, desk: VenueDesk, shared: Shared, fetcher: Fetcher, venue: Venue) -> None:
        self.connections: list[Connection] = []
        self.polling: Polling | None = None
        self.fetcher = fetcher
        self._desk, self._shared, self._venue = desk, shared, venue
        self._now = shared.clock.now
        self._state, self._since = "", 0
        self._measured = (self._now(), 0)
        self._rate = 0.0

    def runs(self) -> list[Connection | Polling]:
        """What has to run for this venue."""
        return [*self.connections, *([self.polling] if self.polling is not None else [])]

    def replan(self, plans: Sequence[Plan]) -> None:
        """Have a connection for each of these plans; one whose plan differs is replaced, the new link first."""
        old = {each.plan.name: each for each in self.connections}
        found = [old.get(plan.name) or Connection(plan, self._desk, self._shared) for plan in plans]
        for connection, plan in zip(found, plans, strict=True):
            if connection.plan != plan:
                connection.plan = plan
                connection.replace()
        self.connections[:] = found  # the polling knows this very list
        venue = self._venue
        if not found or not venue.polls(0, venue.symbols):
            self.polling = None
        elif self.polling is None:
            self.polling = Polling(venue.ID, venue.polls, self.fetcher, self.connections, self._shared)

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
        self._see(venue_id, judge(connections, by_rest=self.polling is not None and self.polling.delivers), now)
        errors = [(c.failed_at[-1], c.last_error) for c in connections if c.failed_at]
        errors += [(self.fetcher.errors[-1], self.fetcher.last_error)] if self.fetcher.errors else []
        waits = [c.next_try for c in connections if c.next_try]
        return VenueHealth(
            venue=venue_id, state=self._state, since=self._since, connections=sum(c.live for c in connections),
            wanted=len(connections), messages=sum(c.messages() for c in connections), msgs_s=self._rate,
            errors_min=errors_in_last_minute(connections, self.fetcher, now),
            reconnects=sum(max(0, c.opens - 1) for c in connections),
            last_error=max(errors)[1] if errors else "",
            next_retry=min(waits, default=0), breaker=self._desk.breaker.state,
            rest_banned_until=self.fetcher.banned_until if self.fetcher.banned_until > now else 0,
        )

    def _see(self, venue_id: str, state: str, now: int) -> None:
        if state == self._state:
            return
        self._state, self._since = state, now
        words = next((c.trouble.words for c in self.connections if c.trouble is not None), "")
        level = "INFO" if state in ("live", "connecting") else "WARNING"
        logger.log(level, "{}: {}{}", venue_id, state, f" ({words})" if words and level == "WARNING" else "")
