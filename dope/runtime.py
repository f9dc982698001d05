"""The background thread: one asyncio loop that runs the session, publishes to the board and carries out commands."""

from __future__ import annotations

import asyncio
import gc
import sys
import threading
import time
from collections.abc import Callable, Sequence
from concurrent.futures import TimeoutError as NoAnswer
from pathlib import Path
from typing import Any, TypeVar

import psutil
from loguru import logger

from dope import __version__
from dope.audit import Audit
from dope.board import Board
from dope.commands import MUTED, TIERS, WATCHING, Commands
from dope.engines import fee_rows
from dope.errors import DopeError, NoEngine
from dope.feed.clock import Clock
from dope.history import Histories
from dope.jobs import Jobs, JobState
from dope.kept import muting_of, tiers_of, watching_of
from dope.market.ready import compile_all
from dope.model.predictor import load_library
from dope.promises import Promises
from dope.queries import Queries, scenario_row
from dope.replays import Replays
from dope.sealer import Sealer
from dope.session import Session
from dope.settings import Settings
from dope.shown import stopped
from dope.slices import Slices
from dope.sources import Sources
from dope.store.records import NAME, Records
from dope.training import Training
from dope.watch import Watch
from dope.watchdog import END_S, Watchdog

STOP_S = 4.5  #: s within which everything must be flushed and closed
STUCK_S = 0.5  #: the same for a loop that does not turn any more
LOOP = "runtime"  #: name of our loop at the watchdog
ALIVE_S = 2.0  #: s without a turn of the loop after which the runtime counts as dead
RESULTS_SHOWN = 5  #: results of finished jobs that travel with the board
SETTLED_S = 10.0  #: s after which everything that a session needs is loaded and compiled
SLICES_LEAST = 4  #: slices of what nobody waits for that are drawn after each publication
ANSWER_S = 5.0  #: s that a query waits for a turn of the loop
SWITCH_S = 0.001  #: s that the market waits for another thread to let go of the interpreter; the default of 5 ms was its longest stall
EXIT_ENGINE_DIED = 70

T = TypeVar("T")


class Runtime:
    """Owns the thread. ``start()`` returns at once; ``stop()`` waits until all is closed.

    ``on_death`` is called, from the thread, as soon as the loop has ended by itself; ``died`` then stays true.
    """

    def __init__(
        self, settings: Settings, board: Board, *, tapes: tuple[Path, ...] = (), on_death: Callable[[], None] | None = None
    ) -> None:
        self.settings, self.board = settings, board
        self.clock = Clock()
        self.died = False
        self._on_death = on_death
        self.watch = Watch()
        self.watchdog = Watchdog(self.watch)
        self._jobs = Jobs()
        self._sealer = Sealer(settings, self.clock, lambda: self.session)
        self.audit = Audit(
            lambda: self._sources.session, board, self.clock, period_s=settings.self_test_s, push_hz=settings.push_hz, seed=self.clock.now()
        )
        self.promises = Promises(board, self.audit, self.watchdog, self.clock, push_hz=settings.push_hz)
        self._training = Training(settings, self.clock, self._jobs)
        self.records = Records(settings.data_dir / NAME, clock_ms=lambda: self.clock.now() // 1_000_000)
        kept = self.records.kept()
        watching = watching_of(settings, kept.pop(WATCHING, {}))
        muting = muting_of(kept.pop(MUTED, {}))
        tiers = tiers_of(settings, kept.pop(TIERS, {}))
        self._sources = Sources(settings, self.clock, tapes, self._training.begin, kept, self.watch, watching, muting)
        self._sources.tiers = tiers
        self._histories = Histories(settings, self.clock, lambda: self._sources.session)
        self._replays = Replays(settings, self.clock)
        self._queries = Queries(self, self._histories, self._replays, self._sealer.sealing)
        self._commands = Commands(
            settings, self.clock, board, sources=self._sources, training=self._training, jobs=self._jobs, replays=self._replays,
            records=self.records,
        )  # fmt: skip
        self._thread = threading.Thread(target=self._run, name="dope-runtime", daemon=True)
        self._stopping = threading.Event()
        self._closing = False
        self._loop: asyncio.AbstractEventLoop | None = None
        self._task: asyncio.Task[Any] | None = None
        self._process = psutil.Process()
        self._rss_mb = 0.0
        self._slices = Slices()

    # -- from other threads ------------------------------------------------------------------------------------------
    def start(self) -> None:
        """Start the thread."""
        sys.setswitchinterval(SWITCH_S)
        self.board.serve(self._commands.ask, self._queries.query)
        self._thread.start()
        self.watchdog.start()

    def stop(self) -> None:
        """Flush and close everything; at most ``STOP_S`` seconds."""
        self._stopping.set()
        loop = self._loop
        if loop is not None and not loop.is_closed():
            loop.call_soon_threadsafe(self._cancel)
        self._thread.join(STOP_S if self.watchdog.fresh_s(LOOP) < END_S else STUCK_S)
        self.watchdog.stop()
        if self._thread.is_alive():
            logger.error("not closed in time: the last moments of the recording may be lost")

    def alive(self) -> bool:
        """Whether the loop turned within the last two seconds, or has only just been started."""
        return self._thread.is_alive() and not self.died and (self._loop is None or self.watchdog.fresh_s(LOOP) < ALIVE_S)

    def troubles(self) -> list[str]:
        """What failed within the last seconds and is being mended, in words; empty = all is well."""
        return self.watch.troubles()

    @property
    def session(self) -> Session | None:
        """What runs now; belongs to the loop."""
        return self._sources.session

    def between_turns(self, read: Callable[[], T]) -> T:
        """What ``read`` gives in the loop's own thread, where nothing changes meanwhile. Raises NoEngine."""
        loop = self._loop
        if loop is None or not self.alive():
            raise NoEngine("the engine is not running")

        async def turn() -> T:
            return read()

        try:
            return asyncio.run_coroutine_threadsafe(turn(), loop).result(ANSWER_S)
        except NoAnswer as error:
            raise NoEngine("the engine does not answer") from error

    # -- the thread ----------------------------------------------------------------------------------------------------
    def _run(self) -> None:
        try:
            self._make_ready()
            asyncio.run(self._main())
        except BaseException as error:  # noqa: BLE001 - the one supervising place: whatever ends the loop must be seen
            if not (self._stopping.is_set() and isinstance(error, asyncio.CancelledError)):
                logger.opt(exception=error).error("the engine has died: {}", error)
                self._die()

    def _make_ready(self) -> None:
        """Machine code and models first: once the market runs, a loop that stands still for so long would be given up."""
        began = time.monotonic()
        compile_all()
        load_library()
        if (took := time.monotonic() - began) > 1.0:
            logger.info("machine code made in {:.0f} s; from now on it is read from disk", took)

    def _die(self) -> None:
        if not self.died:
            self.died = True
            self.board.publish(self.clock.now(), stopped(self.board.read().data))
            if self._on_death is not None:
                self._on_death()

    def _cancel(self) -> None:
        if self._task is not None and not self._closing:
            self._task.cancel()

    async def _main(self) -> None:
        self._loop, task = asyncio.get_running_loop(), asyncio.current_task()
        assert task is not None
        task.set_name("runtime main")
        self._task = task
        self.watchdog.attend(LOOP, self._loop)
        self.promises.start()
        beside = [self.watch.kept("runtime probe", self._sources.probe), self.watch.kept("runtime sealing", self._sealer.run)]
        if self.settings.self_test_s:
            beside.append(self.watch.kept("runtime self-test", self.audit.run))
        for each in beside:
            each.add_done_callback(self._kept_no_more)
        try:
            if not self._stopping.is_set():
                await self._sources.open()
                await self._publish_for_ever()
        finally:
            self._closing = True
            self.promises.stop()
            if not self._stopping.is_set():
                self._die()  # at once: closing may take seconds
            for each in beside:
                each.cancel()
            await self._sources.close()
            workers = self._jobs, self._sealer.sealing, self._sealer.left, self._replays
            await asyncio.gather(*(asyncio.to_thread(each.close) for each in workers))
            self._histories.close()
            self.records.close()

    def _kept_no_more(self, task: asyncio.Task[None]) -> None:
        """A part that must run for ever ran for the last time: better dead and seen than silently incomplete."""
        if not self._closing and self._task is not None:
            logger.error("{} has ended for good", task.get_name())
            self._task.cancel()

    async def _publish_for_ever(self) -> None:
        second, shown, settled, period = 0, None, None, 1.0 / self.settings.push_hz
        due = time.monotonic()
        while True:
            due = max(due + period, time.monotonic())
            await asyncio.sleep(due - time.monotonic())
            await self._sources.look_after()
            self._replays.look_after()
            await self._commands.carry_out()
            states = self._jobs.poll()
            await self._commands.note_ended(states)
            await self._training.take(states, self.session)
            session = self.session
            if session is None:
                continue
            now = self.clock.now() // 1_000_000_000
            if now != second:
                session.second()
            full = now != second or session is not shown  # no section of one source beside those of another
            second, shown = now, session
            sections = await self._sections(session, full=full)
            sections["jobs"] = _job_rows(states)
            if self.died:
                raise DopeError("the engine stood still and was given up")
            if not self.board.read().seq:
                self.watchdog.arm(LOOP, self._die)  # not before: the first start may have to compile
            self.board.publish(self.clock.now(), sections)
            self.audit.published(sections.get("sentinel"))
            self.promises.published()
            if full:
                self.promises.second(session, sections, self._rss_mb * 1e6 / 2**20)
            await self._draw_more(session, due + period)
            if session is not settled and self.clock.now() - session.picture.started_ns > SETTLED_S * 1e9:
                settled = session
                gc.freeze()  # what is here by now stays: looking through all of it again stops the market for 0.15 s

    async def _draw_more(self, session: Session, until: float) -> None:
        """What nobody waits for is drawn while there is time, up to ``until`` (s, monotonic), and a little of it when there is none."""
        market, left = session.engine.market, SLICES_LEAST
        while (left > 0 or time.monotonic() < until) and session.picture.draw_more(lambda: market.now or self.clock.now()):
            left -= 1
            await self._slices.pause()

    async def _sections(self, session: Session, *, full: bool) -> dict[str, Any]:
        """What changes many times a second, and, when ``full``, what changes once. The market goes on in between."""
        market = session.engine.market
        sections: dict[str, Any] = {}
        shown = market.now  # what came later may or may not be in it
        slices = self._slices
        slices.begin()
        if full:
            await slices.pause()
            sections |= session.picture.slow()
            sections["pred"] = self._training.section(session)
            self._rss_mb = self._process.memory_info().rss / 1e6
        for part in session.picture.drawing(lambda: market.now or self.clock.now()):
            sections |= part
            await slices.pause()
        health = session.feed.health()
        sections["venues"] = session.picture.venue_rows(market.now or self.clock.now(), health)
        sections["mode"] = self._mode(session)
        lags = self.watchdog.lags()
        sections["sys"] = {
            "msgs_s": sum(venue.msgs_s for venue in health.values()), "frames": session.engine.frames,
            "loop_lag_ms": lags[LOOP].recent * 1e3, "rss_mb": self._rss_mb, "event_ns": shown, "tick": session.engine.frames,
            "loops": {name: {"lag_ms": lag.recent * 1e3, "p999_ms": lag.p999 * 1e3, "stalls": lag.stalls} for name, lag in lags.items()},
            "ends": dict(self.watch.counts),
        }  # fmt: skip
        return sections

    def _mode(self, session: Session) -> dict[str, Any]:
        rules, settings = session.arbitrage.rules, self.settings
        return {
            "source": session.source, "banner": self._sources.banner, "live_available": self._sources.live_available,
            "started": session.picture.started_ns // 1_000_000, "version": __version__,
            "recording": session.recording() | {"sealed": self._sealer.sealing.status()},
            "order_size": rules.order_size, "min_net_bps": rules.enter, "leave_net_bps": rules.leave,
            "min_notional": rules.min_notional, "transfer_cost": rules.transfer,
            "buffer_bps": rules.buffer_bps, "paused": False, "stopped": False, "troubles": self.watch.troubles(),
            "clock": session.clocks.trouble(session.engine.market),
            "scenario": scenario_row(*self._sources.scenario) if self._sources.scenario else None,
            "notices": self.records.troubles(), "self_test": self.audit.status(),
            "retrain_s": settings.retrain_s,
            "alert_pct": settings.min_profit_threshold,
            "fees": fee_rows(session.arbitrage.costs, rules),
        }  # fmt: skip


def _job_rows(states: Sequence[JobState]) -> list[dict[str, Any]]:
    """Jobs as the board shows them; results of the newest few only (a model stays here, an old report is a file's job)."""
    shown = {state.id for state in [s for s in states if s.kind != "train" and s.result is not None][-RESULTS_SHOWN:]}
    return [{**vars(state), "result": state.result if state.id in shown else None} for state in states]
