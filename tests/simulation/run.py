"""One simulated run of a seed: faults at random from the wire to the API's JSON, what must always hold, and a digest of all of it."""

from __future__ import annotations

import asyncio
import hashlib
import random
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

from loguru import logger

from dope.api.delta import Differ, whole
from dope.api.live import encode, event_ns
from dope.board import Board
from dope.feed.clock import Clock
from dope.feed.connection import Timing
from dope.feed.fetch import PENDING_MAX
from dope.picture import EVENTS_KEPT
from dope.sim.journal import Fault
from dope.sim.listings import ListingSpec
from dope.sim.venue import listings
from dope.types import LIVE
from dope.venues import VENUES
from tests.simulation.faults import HALT, SILENT, SLOWLY_TOLD, drawn, plant, told
from tests.simulation.loop import VirtualLoop
from tests.simulation.stage import Stage

EVERY = tuple(venue.ID for venue in VENUES if venue.BOOKS)
UNPROVED = frozenset(venue.ID for venue in VENUES if not venue.INTEGRITY)  #: nothing in the stream would show that a message was lost
PUBLISH_S = 0.1
TASKS_MAX = 150  #: of the loop at once
GRACE_S = 2.0  #: beyond a venue's own silence limit: sums of the stream's pace, the way, and the look at silence
CALM_S = 1.0  #: that everything must stay right at the end


class Broken(AssertionError):
    """Something that must always hold did not."""


class Outcome(NamedTuple):
    """What became of a run."""

    digest: str  #: of all JSON, signals and books
    healed_s: float  #: from the end of the last fault until everything was LIVE again
    faults: int
    frames: int
    opportunities: int
    seconds: float  #: of virtual time


def patience(seconds: float) -> Timing:
    """The usual patience, in proportion to a run that is shorter than the minute for which it is made."""
    share = min(1.0, seconds / 60.0)
    return Timing(
        settle_s=2.0 * share, reset_s=10.0 * share, base_s=1.0 * share, cap_s=6.0 * share, life_s=max(8.0, 30.0 * share),
        check_s=10.0 * share,
    )  # fmt: skip


def cast(seed: int) -> list[ListingSpec]:
    """Two or three venues, one to three markets of each; neighbouring seeds go through all venues."""
    chance = random.Random(f"{seed}/cast")
    others = [venue for venue in EVERY if venue != EVERY[seed % len(EVERY)]]
    venues = [EVERY[seed % len(EVERY)], *chance.sample(others, chance.choice((1, 1, 2)))]
    found = []
    for venue in venues:
        specs = sorted(listings((venue,)), key=lambda spec: (spec.asset != "BTC", spec.symbol))
        found += specs[: chance.choice((1, 1, 2, 3))]
    return found


class Run:
    """One run; ``outcome()`` is there when it is over. Raises Broken at the first thing that does not hold."""

    def __init__(self, seed: int, clock: Clock, *, seconds: float, promise_s: float, plan: Sequence[Fault] | None = None) -> None:
        """``plan`` None = drawn from the seed."""
        self.seed, self.seconds, self.promise_s = seed, seconds, promise_s
        self.specs = cast(seed)
        self.slow = seconds >= 60.0
        self.plan = drawn(random.Random(f"{seed}/faults"), self.specs, seconds, unproved=UNPROVED, slow=self.slow) if plan is None else plan
        self.stage = Stage(seed, self.specs, clock, timing=patience(seconds))
        self.board = Board()
        self._differ = Differ({})
        self._sum = hashlib.sha256()
        self._now = asyncio.get_running_loop().time
        self._second = 0
        self._wrong: list[str] = []
        self._healed_s = 0.0

    async def live(self) -> Outcome:
        """The whole run."""
        stage = self.stage
        await stage.open()
        engine = stage.session.engine
        asyncio.get_running_loop().set_exception_handler(self._uncaught)
        plant(stage.world, self.plan)
        await self._publish_until(lambda: self._now() >= self.seconds)
        left = [told(each.fault) for each in stage.world.faults.active.values()]
        self._require(not left, f"faults that do not end: {left}")
        ended = max((each.at_s + each.duration_s for each in self.plan), default=0.0)
        hopeless = max(ended, self.seconds) + self.promise_s
        while True:  # what a fault has left behind may show a little later: it has as long as any other to be mended
            await self._publish_until(lambda: self._all_live() or self._now() >= hopeless)
            self._healed_s = self._now() - ended
            await self._publish_for(CALM_S)
            if self._all_live() or self._now() >= hopeless:
                break
        self._require(self._all_live(), f"not LIVE {self.promise_s:g} s after the last fault: {self._not_live()}")
        await stage.close()
        self._tell(whole(self.board.read().data))
        self._sum.update(engine.digest().encode())
        signals = engine.counts.get("Opportunity", 0)
        return Outcome(self._sum.hexdigest(), self._healed_s, len(self.plan), engine.frames, signals, self._now())

    # -- publications ----------------------------------------------------------------------------------------------------
    async def _publish_until(self, over: Callable[[], bool]) -> None:
        while not over():
            await asyncio.sleep(PUBLISH_S)
            self._publish()
            self._check()

    async def _publish_for(self, seconds: float) -> None:
        end = self._now() + seconds
        await self._publish_until(lambda: self._now() >= end)

    def _publish(self) -> None:
        """As the runtime does it, but of one instant; and what a client of the live stream would be sent."""
        session, clock = self.stage.session, self.stage.clock
        now = session.engine.market.now or clock.now()
        sections: dict[str, Any] = {}
        if now // 10**9 != self._second:
            self._second = now // 10**9
            session.second()
            sections |= session.picture.slow()
        sections |= session.picture.fast(now)
        sections["venues"] = session.picture.venue_rows(now, session.feed.health())
        sections["sys"] = {"frames": session.engine.frames, "event_ns": session.engine.market.now}
        self.board.publish(clock.now(), sections)
        if changes := self._differ.step(self.board.read().data):
            self._tell(changes)

    def _tell(self, sections: dict[str, Any]) -> None:
        data = self.board.read()
        self._sum.update(encode("delta", data.seq, data.t_ns // 10**6, sections, event_ns=event_ns(data.data), age_ms=0).encode())

    # -- what must hold ----------------------------------------------------------------------------------------------------
    def _check(self) -> None:
        stage, data = self.stage, self.board.read().data
        engine, step = stage.session.engine, stage.world.sample.steps
        self._require(not self._wrong and not stage.watch.counts, f"something ended: {self._wrong or dict(stage.watch.counts)}")
        self._require(not stage.running.done(), "the feed has ended")
        if (driving := stage.world._drive) is not None and driving.done():
            driving.result()
        for key, past in self.stage.ledger.pasts.items():
            book = engine.market.books.get(key)
            if book is not None and book.state == LIVE:
                limit = engine.market.idle_ns[book.instrument.venue] / 1e9 + GRACE_S + self._silence(key)
                wrong = past.wrong(book, step, round(limit * 100), lossy=self._touched(book.instrument.venue))
                self._require(not wrong or self._pardoned(key), f"{key} is LIVE and {wrong}")
        for row in data["opps"]:
            if row["state"] in ("open", "fading"):
                states = [engine.market.books[row[leg]].state for leg in ("buy", "sell")]
                self._require(states == [LIVE, LIVE], f"an opportunity between {row['buy']} and {row['sell']}, which are {states}")
                self._require(min(row["buy_age_ms"], row["sell_age_ms"]) >= 0, f"a leg younger than now: {row}")
        for row in data["instruments"]:
            self._require(row["age_ms"] is None or row["age_ms"] >= 0, f"{row['key']} is {row['age_ms']} ms old")
            self._require(row["state"] == LIVE or row["bid"] is None is row["ask"], f"{row['key']} is {row['state']} and has prices")
        self._bounds(data)

    def _touched(self, venue: str) -> bool:
        """Whether something was done to this venue."""
        return any(each.venue == venue and each.kind != HALT and each.at_s <= self._now() for each in self.plan)

    def _silence(self, key: str) -> float:
        """s for which this market alone may have said nothing."""
        return sum(each.duration_s for each in self.plan if each.kind in SILENT and f"{each.venue}:{each.symbol}" == key)

    def _pardoned(self, key: str) -> bool:
        """What happens to this venue now, or did a moment ago, cannot be seen at once."""
        venue, now = key.partition(":")[0], self._now()
        return any(
            each.venue == venue and each.at_s <= now <= each.at_s + each.duration_s + SLOWLY_TOLD[each.kind]
            for each in self.plan if each.kind in SLOWLY_TOLD
        )  # fmt: skip

    def _bounds(self, data: Any) -> None:
        stage = self.stage
        self._require(len(data["events"]) <= EVENTS_KEPT, "more events than are kept")
        self._require(len(asyncio.all_tasks()) <= TASKS_MAX, f"{len(asyncio.all_tasks())} tasks")
        for name, venue in stage.session.engine.venues.items():
            self._require(not venue.actions, f"wishes of {name} that nobody carries out: {venue.actions[:3]}")
            fetcher = stage.session.feed._desks[name].fetcher
            self._require(fetcher.waiting <= PENDING_MAX, f"{name} has {fetcher.waiting} requests waiting")
            clients, plans = len(stage.world.servers[name].port.clients), len(venue.plan())
            self._require(clients <= 2 * plans + 2, f"{clients} connections to {name} for {plans} plans")

    def _require(self, holds: bool, words: str) -> None:
        if not holds:
            raise Broken(f"at {self._now():.3f} s: {words}")

    def _uncaught(self, loop: asyncio.AbstractEventLoop, context: dict[str, Any]) -> None:
        error = context.get("exception")
        self._wrong.append(f"{context.get('message')}: {error!r}")

    def _not_live(self) -> list[str]:
        books = self.stage.session.engine.market.books
        states = {key: (books[key].state, books[key].reason) if key in books else ("no book", "") for key in self.stage.ledger.pasts}
        # a venue whose checksums were wrong time and again is left alone for longer than any promise
        return [f"{key} {state}: {reason}" for key, (state, reason) in states.items() if state != LIVE and "suspended" not in reason]

    def _all_live(self) -> bool:
        return not self._not_live()


def run(seed: int, *, seconds: float = 60.0, promise_s: float = 0.0, plan: Sequence[Fault] | None = None) -> Outcome:
    """The run of a seed, from beginning to end. Raises Broken, with what was done to the venues as a note."""
    logger.disable("dope")
    loop = VirtualLoop()
    made: list[Run] = []

    async def main() -> Outcome:
        made.append(Run(seed, loop.clock(), seconds=seconds, promise_s=promise_s or promised(seconds), plan=plan))
        return await made[0].live()

    try:
        return loop.run_until_complete(main())
    except BaseException as error:
        for each in made[0].plan if made else ():
            error.add_note(told(each))
        raise
    finally:
        for task in asyncio.all_tasks(loop):
            task.cancel()
        loop.run_until_complete(asyncio.sleep(0.1))
        loop.run_until_complete(loop.shutdown_asyncgens())
        loop.close()
        logger.enable("dope")


def promised(seconds: float) -> float:
    """s within which everything is LIVE again after the last fault: back-off and breaker at their caps, then the slowest start."""
    return 30.0 if seconds < 60.0 else 150.0


def command(seed: int, seconds: float) -> str:
    """The one line that repeats a run."""
    return f"python -m tests.seeds {seed} --seconds {seconds:g}"


def names(specs: Sequence[ListingSpec]) -> str:
    """The cast in one line."""
    return " ".join(spec.key for spec in specs)
