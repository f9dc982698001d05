"""The self-test: once a minute an opportunity of known size and net is laid into two hidden books, and has to come out.

Its messages enter where those of the venues do and go the whole way: stamped, recorded, stepped, judged by the same detector,
published on the board, sent to the browsers, whose script answers that it has arrived. What has to be found is reckoned
beforehand in fractions (``scene.py``). One state is kept: what became of the newest one that could be carried out.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Awaitable, Callable
from fractions import Fraction
from typing import Any

from loguru import logger

from dope.board import Board
from dope.detectors import Rules
from dope.detectors.arbitrage import Opportunity
from dope.feed.clock import Clock
from dope.feed.inlet import Inlet
from dope.quantiles import Quantiles
from dope.scene import IDS, Scene, beat, draw, numbered, out_of_reach
from dope.session import Session
from dope.types import Event
from dope.venues.sentinel import KEYS, LOT, SYMBOL, TICK

MS, NS = 1_000_000, 1_000_000_000
FIRST_S = 15.0  #: s until the first one at most
STEP_S = 0.025  #: between two looks while one runs
BEAT_NS = 50 * MS  #: the hidden books are proved current this often
WAIT_S = 5.0  #: longest wait for each stage
SLEPT_S = 1.0  #: a look that comes so late means that our own loop stood still: that says nothing about the way
AGAIN_S = 2.0  #: after one that could not be carried out
VOID_IN_A_ROW = 3  #: after so many of them the loop itself is what fails
FOUND_NS, SHOWN_NS, ARRIVED_NS = NS // 4, NS, NS  #: budgets: message → signal, signal → board (and two periods of it), board → browser
VERDICTS = ("found", "missed", "mispriced", "late", "unclosed", "void")


class Probe:
    """One self-test while it runs: what was heard of it, and when; ns UTC of our clock, 0 = not yet."""

    def __init__(self, scene: Scene, rules: Rules) -> None:
        self.scene, self.rules = scene, rules
        self.moved = self.back = 0  # stamps of the two messages
        self.opened: Opportunity | None = None
        self.closed: Opportunity | None = None
        self.heard = self.shown = self.arrived = 0
        self.extra = 0  # signals that should not have been
        self.row: dict[str, Any] | None = None  # as published

    @property
    def number(self) -> int:
        """Names the row on its way to the browsers: ms UTC when it opened."""
        return self.opened.opened // MS if self.opened is not None else 0


class Audit:
    """Belongs to the runtime's loop; ``status`` may be read by any thread. ``session`` gives the one that runs now."""

    def __init__(
        self, session: Callable[[], Session | None], board: Board, clock: Clock, *, period_s: float, push_hz: float, seed: int,
        wait_s: float = WAIT_S,
    ) -> None:  # fmt: skip
        """``period_s`` from one self-test to the next, 0 = none; ``wait_s`` for each stage: what has not come by then does not come."""
        self._session, self._board, self._clock = session, board, clock
        self._period_s, self._seed, self._wait_ns = period_s, seed, int(wait_s * NS)
        self._shown_ns = SHOWN_NS + int(2 * NS / push_hz)
        self.counts: Counter[str] = Counter()
        self.to_signal, self.to_board, self.to_browser = Quantiles(), Quantiles(), Quantiles()
        self.started = clock.now()
        self._state, self._failure, self._at = ("waiting" if period_s else "off"), "", 0
        self._number = self._voids = 0
        self._probe: Probe | None = None
        self._pages = 0  #: of the newest one: pages that watched it

    # -- how it stands -------------------------------------------------------------------------------------------------
    def status(self) -> dict[str, Any]:
        """The ``self_test`` part of the mode section (``dope/board.py``)."""
        return {
            "state": self._state, "text": self._failure, "at": self._at // MS or None, "pages": self._pages,
            "run": sum(self.counts.values()) - self.counts["void"],
            **{name: self.counts[name] for name in VERDICTS},
        }  # fmt: skip

    # -- what is heard -------------------------------------------------------------------------------------------------
    def heard(self, event: Event) -> None:
        """What the engine tells of the hidden markets."""
        probe = self._probe
        if probe is None or not isinstance(event, Opportunity):
            return
        if event.closed is not None:
            if probe.opened is not None and event.id == probe.opened.id:  # not that of the one before
                probe.closed = event
        elif probe.opened is None:
            probe.opened, probe.heard = event, self._clock.now()
        else:
            probe.extra += 1

    def published(self, row: dict[str, Any] | None) -> None:
        """The board has this row of the hidden markets now."""
        probe = self._probe
        if probe is not None and row is not None and not probe.shown and probe.opened is not None and row["opened"] == probe.number:
            probe.row, probe.shown = row, self._clock.now()

    # -- carrying out --------------------------------------------------------------------------------------------------
    async def run(self) -> None:
        """For ever: one self-test each period."""
        wait = min(FIRST_S, self._period_s)
        while True:
            await self._clock.sleep(wait)
            session = self._session()
            wait = AGAIN_S if session is None or await self.once(session) == "void" else self._period_s

    async def once(self, session: Session) -> str:
        """Carry one out; what became of it: one of VERDICTS, or "" when the rules in force allow none."""
        rules = session.arbitrage.rules
        if why := out_of_reach(rules):
            self._settle("idle", f"not possible with these rules: {why}")
            return ""
        self._number += 1
        probe = self._probe = Probe(draw(self._seed, self._number, rules), rules)
        session.on_probe = self.heard
        inlets = [session.feed.inlet(venue) for venue in IDS]
        try:
            slept = not await self._carry_out(session, inlets, probe)
        finally:
            for inlet in inlets if session is self._session() else ():  # a session that has ended hears nothing any more
                inlet.close()
            self._probe = None
        void = slept or session is not self._session() or session.arbitrage.rules != rules
        return self._judged("void", "our own loop stood still") if void else self._judged(*self._verdict(probe))

    async def _carry_out(self, session: Session, inlets: list[Inlet], probe: Probe) -> bool:
        """False = nothing can be said, because our own loop stood still."""
        scene = probe.scene
        numbers = [1, 1]
        for inlet, text in zip(inlets, scene.books, strict=True):
            inlet.open(SYMBOL)
            inlet.bring(text)

        def say(venue: int, text: str) -> int:
            numbers[venue] += 1
            return inlets[venue].bring(numbered(text, numbers[venue]))

        books = session.engine.market.books
        def wait(done: Callable[[], bool]) -> Awaitable[bool]:
            return self._until(done, say, lambda: session is self._session())

        if not await wait(lambda: all(key in books and books[key].state == "LIVE" for key in KEYS)):
            return False
        self._pages = self._board.pages
        for venue in (0, 1):
            say(venue, beat(0))
        probe.moved = say(scene.mover, scene.moved)
        if not await wait(lambda: self._through(probe)):
            return False
        probe.back = say(scene.mover, scene.back)
        return await wait(lambda: probe.opened is None or probe.closed is not None)

    def _through(self, probe: Probe) -> bool:
        """It has gone the whole way, as far as anybody is there: a page that leaves meanwhile is not waited for."""
        self._pages = min(self._pages, self._board.pages)
        if probe.shown and not probe.arrived and (at := self._board.arrivals.get(probe.number)) is not None:
            probe.arrived = max(at, probe.shown)
        return probe.closed is not None or bool(probe.shown and (probe.arrived or not self._pages))

    async def _until(self, done: Callable[[], bool], say: Callable[[int, str], int], runs: Callable[[], bool]) -> bool:
        """Wait for it, up to ``wait_s``, while the hidden books are kept current.

        False = our own loop stood still meanwhile, or what is tested no longer ``runs``.
        """
        now = self._clock.now
        end, beaten = now() + self._wait_ns, now()
        while now() < end:
            looked = now()
            await self._clock.sleep(STEP_S)
            if now() - looked > SLEPT_S * NS or not runs():
                return False
            if done():
                return True
            if now() - beaten >= BEAT_NS:
                beaten = now()
                for venue in (0, 1):
                    say(venue, beat(0))
        return True

    # -- judging -------------------------------------------------------------------------------------------------------
    def _verdict(self, probe: Probe) -> tuple[str, str]:
        """What became of it, and in words what was wrong."""
        wanted, found = probe.scene.expected, probe.opened
        asked = f"expected net {float(wanted.net):.2f}"
        if found is None:
            return "missed", f"{asked}, found nothing"
        if (wrong := _differs(probe)) or probe.extra:
            return "mispriced", f"{asked}, {wrong or 'found it more than once'}"
        stages = [
            ("signal", probe.moved, probe.heard, FOUND_NS, self.to_signal),
            ("board", probe.heard, probe.shown, self._shown_ns, self.to_board),
        ]
        if self._pages:
            stages.append(("browser", probe.shown, probe.arrived, ARRIVED_NS, self.to_browser))
        for place, since, at, budget, figures in stages:
            if not at:
                return "late", f"found, but it did not reach the {place}"
            figures.add(at - since)
            if at - since > budget:
                return "late", f"it reached the {place} after {(at - since) / NS:.2f} s, {budget / NS:g} s are allowed"
        if probe.row is None or probe.row["net"] != found.net:
            return "mispriced", f"{asked}, the board shows {'nothing' if probe.row is None else format(probe.row['net'], '.2f')}"
        closed = probe.closed
        if closed is None:
            return "unclosed", "the price came back, and the opportunity is still open"
        if closed.state == "closed" and closed.closed != probe.back:
            return "unclosed", f"it closed {((closed.closed or 0) - probe.back) / NS:.3f} s after the price had come back"
        if closed.ts < probe.back:
            return "unclosed", f"it ended before the price came back: {closed.reason or closed.state}"
        return "found", ""

    def _judged(self, verdict: str, text: str) -> str:
        self.counts[verdict] += 1
        self._at = self._clock.now()
        self._voids = self._voids + 1 if verdict == "void" else 0
        if verdict == "found":
            self._settle("ok", "")
        elif verdict != "void":
            self._settle("failed", text)
        elif self._voids >= VOID_IN_A_ROW:
            self._settle("failed", f"it could not be carried out {self._voids} times in a row: {text}")
        return verdict

    def _settle(self, state: str, text: str) -> None:
        """One line in the log per change of state."""
        if state != self._state:
            if state == "failed":
                logger.error("self-test failed: {}", text)
            elif self._state == "failed":
                logger.info("the self-test is well again")
            elif state == "idle":
                logger.warning("self-test: {}", text)
        self._state, self._failure = state, text


def _differs(probe: Probe) -> str:
    """In words how what was found differs from what must be found by more than a tick and a lot; "" = it does not."""
    wanted, found = probe.scene.expected, probe.opened
    assert found is not None
    if (found.buy_venue, found.sell_venue) != (wanted.buy, wanted.sell):
        return "found it the other way round"
    if abs(Fraction(found.qty) - wanted.qty) > Fraction(LOT):
        return f"found a size of {found.qty:.3f} instead of {float(wanted.qty):.3f}"
    for name, theirs, mine in (("net", found.net, wanted.net), ("cost", found.buy_cost, wanted.cost), ("fees", found.fees, wanted.fees)):
        if abs(Fraction(theirs) - mine) > Fraction(TICK):
            return f"found {name} {theirs:.2f} instead of {float(mine):.2f}"
    if found.opened != probe.moved:
        return f"found it {(found.opened - probe.moved) / NS:+.3f} s away from the message that made it"
    return ""
