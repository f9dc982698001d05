"""One replay: steps a fresh engine over a reel at any speed, to any moment, and gives the sections of a board.

Nothing here knows of processes or pipes: ``turn`` does what is due, ``snapshot`` says how things stand. What is shown is
always what an engine made of all frames since a run of the program began to record: never a book that is only half known.
"""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Iterator, Sequence
from typing import Any

from dope import __version__
from dope.detectors.arbitrage import Arbitrage, Opportunity
from dope.detectors.spreads import Spreads
from dope.engines import build_engine, detector_of, fee_rows
from dope.errors import DopeError
from dope.feed.health import VenueHealth
from dope.picture import Picture
from dope.reel import FOR_EVER, Reel
from dope.settings import Settings
from dope.types import CLOSED, DATA, OPEN, TICK, BookState, Event, Frame

MS, NS = 1_000_000, 1_000_000_000
MIN_SPEED, MAX_SPEED = 0.1, math.inf
BATCH = 512  #: frames stepped at once, so that buttons are felt
BEHIND_NS = 250 * MS  #: as far as recorded time may run ahead of an engine that cannot keep up (at ×1)
EMPTY_NS = 10 * NS  #: a longer stretch without any frame is passed over: nothing was recorded there
LEAST_NS = NS // 2  #: rates over less say nothing
MARKS = 1000  #: moments worth a look that are kept for the seek bar
RECENT = 4096  #: frames remembered, to step back by one


class Seen:
    """What the frames themselves say about the connections of the venues: there is no feed here that could be asked."""

    def __init__(self, venues: Sequence[str]) -> None:
        self._open: dict[str, set[int]] = {venue: set() for venue in venues}
        self._opened = dict.fromkeys(venues, 0)
        self._since = dict.fromkeys(venues, 0)
        self._count = dict.fromkeys(venues, 0)
        self._rate = dict.fromkeys(venues, 0.0)
        self._told: tuple[int, dict[str, int]] = (0, dict(self._count))

    def note(self, frames: Sequence[Frame]) -> None:
        """Count what comes; connections open and close."""
        count = self._count
        for frame in frames:
            if frame.kind == DATA:
                count[frame.venue] = count.get(frame.venue, 0) + 1
            elif frame.kind in (OPEN, CLOSED) and frame.venue in self._open:
                connections = self._open[frame.venue]
                before = bool(connections)
                (connections.add if frame.kind == OPEN else connections.discard)(frame.conn)
                self._opened[frame.venue] += frame.kind == OPEN
                if bool(connections) != before:
                    self._since[frame.venue] = frame.ts

    def second(self, now: int) -> None:
        """Messages per recorded second, since the last call."""
        then, old = self._told
        if now - then > LEAST_NS:
            self._rate = {venue: (n - old.get(venue, 0)) * NS / (now - then) if then else 0.0 for venue, n in self._count.items()}
            self._told = (now, dict(self._count))

    def health(self) -> dict[str, VenueHealth]:
        """In the words of the feed."""
        return {venue: self._of(venue) for venue in self._open}

    def _of(self, venue: str) -> VenueHealth:
        connections, opened = len(self._open[venue]), self._opened[venue]
        state = "live" if connections else "down" if opened else "connecting"
        return VenueHealth(
            venue, state, self._since[venue], connections=connections, messages=self._count[venue], msgs_s=self._rate.get(venue, 0.0),
            reconnects=max(0, opened - max(1, connections)),
        )  # fmt: skip


class Player:
    """``position`` is the recorded time reached, ns UTC. Not thread-safe: its process has one loop."""

    def __init__(self, settings: Settings, reel: Reel, *, speed: float = 1.0, until: int = 0) -> None:
        """Raises DopeError for a reel without frames."""
        if not reel.count:
            raise DopeError("nothing is recorded on this tape")
        self.settings, self.reel = settings, reel
        self.until = min(until or FOR_EVER, FOR_EVER)
        self.loop: tuple[int, int] | None = None
        self.running = self.started = False
        self.goal: int | None = None  #: frames or moment that is being sought
        self._goal_is_frame = False
        self._goal_from = 0
        self.marks: deque[tuple[int, str, str]] = deque(maxlen=MARKS)
        self._marked = 0
        self._events = 0  # id of the last line of the event tape, which goes on when the engine is new
        self._last: int | None = None  # ns of the clock at the last turn; None = time begins to count now
        self._renew(reel.first)
        self.set_speed(speed)

    def _renew(self, ts: int) -> None:
        """A new engine, at the latest place at or before ``ts`` from which books can be built."""
        self.reel.wind(ts)
        engine = self.engine = build_engine(self.settings, self.reel.venues, {})
        self.arbitrage: Arbitrage = detector_of(engine, Arbitrage)
        spreads: Spreads = detector_of(engine, Spreads)
        ahead = self.reel.ahead
        self.position = self._due = ahead.ts if ahead is not None else self.reel.first
        alert = self.settings.min_profit_threshold
        self.picture = Picture(engine, self.arbitrage, spreads, started_ns=self.position, alert_pct=alert, first_event=self._events)
        self.seen = Seen(self.reel.venues)
        self._second = 0
        self._recent: deque[bool] = deque(maxlen=RECENT)  # of the last frames: is it more than a tick?
        self._fresh = True

    # -- buttons -----------------------------------------------------------------------------------------------------
    def set_speed(self, speed: float) -> None:
        """Recorded seconds per second, MIN_SPEED … MAX_SPEED (as fast as it goes). Raises DopeError outside of it."""
        if not MIN_SPEED <= speed <= MAX_SPEED:
            raise DopeError(f"replay speed must lie between {MIN_SPEED:g} and max, not {speed:g}")
        self.speed, self._last, self._due = speed, None, self.position

    def resume(self) -> None:
        """Go on; from the beginning when the end was reached."""
        self.running, self.started, self._last = True, True, None
        if self.over:
            self.seek(self.reel.first)

    def pause(self) -> None:
        """Stand still."""
        self.running = False

    def seek(self, ts: int) -> None:
        """Be at ``ts`` soon: ``turn`` goes there, with a new engine when it lies behind us."""
        ts = max(self.reel.first, min(ts, self.reel.last, self.until))
        self._events = self.picture.last_event
        if ts < self.position or (self.goal is not None and self._goal_is_frame):
            self._renew(ts)
        self.goal, self._goal_is_frame, self._goal_from = ts, False, self.position

    def step(self, by: int = 1) -> None:
        """Stand still, exactly one event (frame that is no tick) later or earlier."""
        self.running, self.started = False, True
        if by > 0:
            self._step_on()
            return
        events = [i for i, event in enumerate(self._recent) if event]
        if len(events) < 2:
            raise DopeError("there is no event before this one" if self.engine.frames <= RECENT else "no event within reach: seek instead")
        back = len(self._recent) - 1 - events[-2]
        frames = self.engine.frames - back
        self._events = self.picture.last_event
        self._renew(self.position)
        self.goal, self._goal_is_frame, self._goal_from = frames, True, 0

    def _step_on(self) -> None:
        while (ahead := self.reel.ahead) is not None and not self.over:
            self._show(self.reel.take(ahead.ts, 1))
            if ahead.kind != TICK:
                break

    # -- time --------------------------------------------------------------------------------------------------------
    @property
    def over(self) -> bool:
        """Everything has been shown."""
        return self.reel.ahead is None or self.reel.ahead.ts > self.until

    def turn(self, now: int) -> float:
        """Do what is due at ``now`` (ns of any clock), a bounded part of it; s until something is due, 0 = go on at once."""
        elapsed, self._last = now - (self._last or now), now
        if self.goal is not None:
            self._approach()
            self._last = None
            return 0.0
        if not self.running or self.over:
            self.running = False
            return math.inf
        if self.loop is not None and self.position >= self.loop[1]:
            self.seek(self.loop[0])
            return 0.0
        self._due = FOR_EVER if self.speed == MAX_SPEED else self._due + round(elapsed * self.speed)
        frames = self.reel.take(min(self._due, self.until), BATCH)
        self._show(frames)
        ahead = self.reel.ahead
        if ahead is None or ahead.ts > self.until:
            return 0.0
        if self.speed == MAX_SPEED:
            self._due = self.position
            return 0.0
        if ahead.ts - self._due > EMPTY_NS:
            self.picture.tell(self.position, "system", f"nothing was recorded for {(ahead.ts - self.position) / NS:.0f} s: passed over")
            self._due = ahead.ts
        self._due = min(self._due, ahead.ts + round(BEHIND_NS * self.speed))
        return max(0.0, (ahead.ts - self._due) / self.speed / NS)

    def _approach(self) -> None:
        """A bounded part of the way to what is sought."""
        assert self.goal is not None
        if self._goal_is_frame:
            self._show(self.reel.take(FOR_EVER, min(BATCH, self.goal - self.engine.frames)))
            there = self.engine.frames >= self.goal
        else:
            self._show(self.reel.take(self.goal, BATCH))
            there = self.reel.ahead is None or self.reel.ahead.ts > self.goal
        if there or self.reel.ahead is None:
            if not self._goal_is_frame:
                self.position = max(self.position, self.goal)
            self._due = self.position
            self.goal = None
            self._fresh = True

    def _show(self, frames: list[Frame]) -> None:
        for part in by_second(frames):
            second = part[0].ts // NS
            if second > self._second:
                if self._second:
                    self.picture.second(part[0].ts)
                    self.seen.second(part[0].ts)
                    self._fresh = True
                self._second = second
            self.seen.note(part)
            for event in self.engine.step_many(part):
                self.picture.note(event)
                self._mark(event)
            self.engine.drain()
        if frames:
            self.position = max(self.position, frames[-1].ts)
            self._recent.extend(frame.kind != TICK for frame in frames)

    def _mark(self, event: Event) -> None:
        """Moments worth a look, once each however often they are passed."""
        if isinstance(event, Opportunity) and event.state in ("open", "fading"):
            kind, text = "opp", f"{event.symbol} {event.buy_venue} → {event.sell_venue} {event.net_bps:+.2f} bps"
        elif isinstance(event, BookState) and event.was == "LIVE":
            kind, text = "book", f"{event.key} {event.state.lower()}: {event.reason}"
        else:
            return
        if event.ts > self._marked:
            self._marked = event.ts
            self.marks.append((event.ts // MS, kind, text))

    # -- how things stand --------------------------------------------------------------------------------------------
    def status(self) -> dict[str, Any]:
        """The ``replay`` section, without what only the house knows of this replay; times ms UTC."""
        books = list(self.engine.market.books.values())
        return {
            "state": self.state(), "source": self.reel.source, "position": self.position // MS, "position_ns": self.position,
            "from": self.reel.first // MS, "to": min(self.reel.last, self.until) // MS,
            "speed": "max" if self.speed == MAX_SPEED else self.speed, "frames": self.engine.frames, "frames_total": self.reel.count,
            "seeking": self._seeking(), "loop": None if self.loop is None else [at // MS for at in self.loop],
            "whole": self.reel.whole, "books_live": sum(book.state == "LIVE" for book in books), "books_total": len(books),
            "problems": self.reel.problems()[:20],
        }  # fmt: skip

    def state(self) -> str:
        """One of created, running, paused, ended."""
        if self.over and self.goal is None:
            return "ended"
        return "running" if self.running else "paused" if self.started else "created"

    def _seeking(self) -> dict[str, Any] | None:
        if self.goal is None:
            return None
        now = self.engine.frames if self._goal_is_frame else self.position
        way = max(1, self.goal - self._goal_from)
        return {"to": None if self._goal_is_frame else self.goal // MS, "done": min(1.0, max(0.0, (now - self._goal_from) / way))}

    def sections(self) -> dict[str, Any]:
        """All that a board needs, in the shape of ``dope/board.py``; what changes once a second only when it has changed."""
        now = self.engine.market.now or self.position
        health = self.seen.health()
        found = self.picture.fast(now) | {"venues": self.picture.venue_rows(now, health), "mode": self._mode(), "marks": list(self.marks)}
        if self._fresh:
            found |= self.picture.slow()
            self._fresh = False
        found["sys"] = {
            "msgs_s": sum(venue.msgs_s for venue in health.values()), "frames": self.engine.frames, "loop_lag_ms": 0.0, "rss_mb": None,
            "event_ns": self.engine.market.now, "tick": self.engine.frames,
        }  # fmt: skip
        return found

    def _mode(self) -> dict[str, Any]:
        rules = self.arbitrage.rules
        fees = fee_rows(self.arbitrage.costs, self.arbitrage.rules)  # those of then, once the tape has told them
        return {
            "source": "replay", "banner": None, "live_available": False, "started": self.picture.started_ns // MS, "version": __version__,
            "recording": {"on": False, "path": None, "bytes": 0, "reason": "this is a replay"}, "order_size": rules.order_size,
            "min_net_bps": rules.enter, "leave_net_bps": rules.leave, "min_notional": rules.min_notional, "transfer_cost": rules.transfer,
            "buffer_bps": rules.buffer_bps, "paused": False,
            "stopped": False, "retrain_s": None, "alert_pct": self.settings.min_profit_threshold, "fees": fees,
        }  # fmt: skip


def by_second(frames: list[Frame]) -> Iterator[list[Frame]]:
    """The same frames, cut where a second of recorded time begins."""
    start = 0
    for i in range(1, len(frames)):
        if frames[i].ts // NS > frames[i - 1].ts // NS:
            yield frames[start:i]
            start = i
    if start < len(frames):
        yield frames[start:]
