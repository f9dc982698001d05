"""One supervised connection: keeps a link open for a plan, for ever, politely."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Awaitable, Callable

import msgspec

from dope.feed import backoff
from dope.feed.backoff import Backoff, Breaker, Trouble
from dope.feed.clock import Clock
from dope.feed.fetch import ANSWER_S
from dope.feed.link import REFUSED, Link, LinkRules, Registry
from dope.feed.outbox import Outbox
from dope.feed.pace import ConnectPace
from dope.feed.transport import NO_CLOSE_FRAME, OPEN_TIMEOUT_S, Connect, ConnectFailed
from dope.types import REPLACED, Plan

REFUSED_SETTLES = 3  #: times ``Timing.settle_s`` after a refusal: all that is asked for must have been answered

Address = Callable[[Plan], Awaitable[str]]


class Timing(msgspec.Struct, frozen=True):
    """Patience of the feed, s. Tests pass shorter ones."""

    settle_s: float = 5.0  #: up with data for this long = a success for the breaker
    reset_s: float = backoff.RESET_AFTER_S  #: good data for this long forgets earlier failures
    base_s: float = backoff.BASE_S  #: upper bound of the first back-off delay
    cap_s: float = backoff.CAP_S  #: upper bound of any back-off delay and breaker cool-down
    overlap_s: float = 2.0  #: a planned replacement and the old link run side by side this long after its first data and its last request
    open_s: float = OPEN_TIMEOUT_S  #: patience with one attempt to connect
    answer_s: float = ANSWER_S  #: patience with one REST request, body included
    poll_s: float = 1.0  #: between two rounds of REST while no socket of a venue delivers
    check_s: float = 30.0  #: between two rounds of REST beside sockets that do
    life_s: float = 23 * 3600.0  #: a link is replaced by itself at 90 to 100 % of this age (venues cut at 24 h)


class VenueDesk:
    """What the connections of one venue share: limits, breaker, and how to find the address of a plan that has a fetch."""

    def __init__(self, rules: LinkRules, pace: ConnectPace, breaker: Breaker, address: Address) -> None:
        """``address`` raises ConnectFailed where there is none to be had."""
        self.rules = rules
        self.pace = pace
        self.breaker = breaker
        self.address = address


class Shared(msgspec.Struct, frozen=True):
    """What all connections of a feed share."""

    outbox: Outbox
    clock: Clock
    rng: random.Random
    connect: Connect
    registry: Registry
    timing: Timing


class Connection:
    """The life of one plan: wait its turn, open, stay, learn from the end, again. Never gives up."""

    def __init__(self, plan: Plan, desk: VenueDesk, shared: Shared) -> None:
        self.plan = plan
        self.venue = desk.rules.venue
        self.link: Link | None = None
        self.trouble: Trouble | None = None  #: why the newest attempt or link failed; None while all is well
        self.last_error = ""  #: the words of the newest trouble, also after recovery
        self.opens = 0
        self.count_ended = 0  #: messages of links that have ended
        self.failed_at: list[int] = []  #: ns of the newest failures, at most 100
        self.next_try = 0  #: ns, 0 = not waiting
        self._desk = desk
        self._shared = shared
        self._backoff = Backoff(shared.rng, base_s=shared.timing.base_s, cap_s=shared.timing.cap_s)
        self._changed = asyncio.Event()  #: the link ended, or is to be replaced, or somebody is in a hurry
        self._due = 0  # ns, end of the wait of back-off
        self._refusals = 0  # links in a row on which the venue took nothing that was asked for
        self._replace = False
        self._hurry = False
        self._leaving: Link | None = None

    @property
    def live(self) -> bool:
        """An open link that has delivered data, be it the one that is about to be replaced; after a refusal only one that has settled."""
        links = (self._leaving,) if self._refusals and self.trouble is not None else (self.link, self._leaving)
        return any(link is not None and not link.over and link.last > 0 for link in links)

    def messages(self) -> int:
        """Messages received so far over all epochs."""
        links = (self.link, self._leaving)
        return self.count_ended + sum(link.count for link in links if link is not None and not link.over)

    async def run(self) -> None:
        """Until cancelled."""
        delay = 0.0
        try:
            while True:
                await self._pause(delay)
                link = await self._open()
                if link is None:
                    delay = self._next_delay()
                    continue
                await self._stay(link)
                delay = 0.0 if self._replace else self._next_delay()
        except BaseException:
            self._desk.breaker.abandon()  # a probe that nobody carries on must not keep the others waiting
            raise

    def replace(self) -> None:
        """Open a new link first, then close this one. What was refused says nothing about what is asked for now."""
        self._replace = True
        if self._refusals and not self._has_old():
            self._due = 0
        self._changed.set()

    def hurry(self) -> None:
        """A person asks to try now: waits are cut short, published limits are kept."""
        self._hurry = True
        self._desk.breaker.hurry()
        self._changed.set()

    def close(self, reason: str) -> None:
        """End whatever is open."""
        for link in (self._leaving, self.link):
            if link is not None:
                link.end(1000, reason)

    # -- the steps of a life ------------------------------------------------------------------------------------------
    async def _pause(self, delay: float) -> None:
        """Wait out back-off and breaker, then the connection pace, and all of it anew if the breaker opened meanwhile.

        ``hurry`` ends the first two.
        """
        self._due = self._shared.clock.now() + int(delay * 1e9)
        while True:
            await self._wait_turn()
            if self._has_old() or self._desk.breaker.state != "open":
                return

    async def _wait_turn(self) -> None:
        clock, breaker = self._shared.clock, self._desk.breaker
        while not self._hurry and (self._due > clock.now() or (not self._has_old() and breaker.wait_s() > 0)):
            cooling = 0.0 if self._has_old() else breaker.wait_s()
            left = max((self._due - clock.now()) / 1e9, min(cooling, 1.0))
            self.next_try = max(self._due, breaker.until if breaker.state == "open" else 0)
            await self._changed_within(left)
        self._hurry = False
        if not self._has_old():
            breaker.attempt()
        wait = self._desk.pace.reserve()
        self.next_try = clock.now() + int(wait * 1e9)
        await clock.sleep(wait)
        self.next_try = 0

    async def _changed_within(self, seconds: float) -> None:
        self._changed.clear()
        try:
            async with asyncio.timeout(seconds):
                await self._changed.wait()
        except TimeoutError:
            pass

    async def _open(self) -> Link | None:
        shared, plan = self._shared, self.plan
        try:
            if plan.fetch is not None:
                plan = msgspec.structs.replace(plan, url=await self._desk.address(plan))
        except ConnectFailed as failure:
            self._note(backoff.of_status(failure.status, failure.words, failure.retry_after_s))
            return None
        link = Link(plan, self._desk.rules, shared.outbox, shared.clock, shared.registry, self)
        try:
            await shared.connect(plan.url + plan.secret, link)
        except ConnectFailed as failure:
            link.end(NO_CLOSE_FRAME, failure.words)
            self._note(backoff.of_status(failure.status, failure.words, failure.retry_after_s))
            return None
        except asyncio.CancelledError:
            link.end(1000, "stopped")
            raise
        return link

    def link_opened(self, link: Link) -> None:
        """A new epoch; what it replaces stays until the new one delivers."""
        self.opens += 1
        old, self.link = self.link, link
        if old is not None and not old.over:
            if self._leaving is not None:
                self._leaving.end(1000, REPLACED)
            self._leaving = old
        self._replace = False

    async def _stay(self, link: Link) -> None:
        """Until the link has ended or is to be replaced."""
        timing, clock = self._shared.timing, self._shared.clock
        ends = clock.now() + int(timing.life_s * self._shared.rng.uniform(0.9, 1.0) * 1e9)
        settled, patience = False, timing.settle_s * (REFUSED_SETTLES if self._refusals else 1)
        while not link.over and not self._replace:
            if link.last and self._leaving is not None and min(link.good_s(), link.asked_s()) >= timing.overlap_s:
                self._leaving.end(1000, REPLACED)
            if not settled and link.last and clock.now() - link.opened_at >= patience * 1e9:
                settled, self.trouble = True, None
                self._desk.breaker.success()
            if clock.now() >= ends:
                self._replace = True
                break
            busy = self._leaving is not None or not settled
            await self._changed_within(min(0.1, timing.settle_s) if busy else (ends - clock.now()) / 1e9)
        if link.over and link.code == REFUSED and not link.by_peer:
            self._desk.breaker.success()  # it is there, and answers
            self._note(backoff.of_refusal(self._refusals, link.reason))
            self._refusals += 1
        elif link.over:
            self._refusals = 0
            self._note(backoff.of_close(link.code, link.reason) if link.by_peer else Trouble(link.reason))

    def link_ended(self, link: Link) -> None:
        """An epoch is over, for whatever reason; good data forgets earlier failures."""
        self.count_ended += link.count
        self._backoff.held(link.good_s(), self._shared.timing.reset_s)
        if link is self._leaving:
            self._leaving = None
        self._changed.set()

    def _has_old(self) -> bool:
        """A planned replacement is under way and the old link still delivers: nothing is broken."""
        return self.link is not None and not self.link.over

    def _note(self, trouble: Trouble) -> None:
        self.trouble, self.last_error = trouble, trouble.words
        self.failed_at = [*self.failed_at[-99:], self._shared.clock.now()]
        if self._has_old():
            self._desk.breaker.abandon()
            return
        self._desk.breaker.failure()
        if trouble.all:
            self._desk.breaker.rest(trouble.wait_s)

    def _next_delay(self) -> float:
        least = self.trouble.wait_s if self.trouble is not None else 0.0
        # Jitter on top of a demanded wait: everybody else was told the same moment.
        return least + self._backoff.next() if least else self._backoff.next()
