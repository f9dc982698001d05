"""The background thread: one asyncio loop that runs the session, publishes to the board and carries out commands."""

from __future__ import annotations

import asyncio
import queue
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import msgspec
import psutil
from loguru import logger

from dope import __version__
from dope.board import Board, Command
from dope.errors import DopeError, UnknownName
from dope.feed.clock import Clock
from dope.feed.probe import reachable
from dope.jobs import Jobs
from dope.model.predictor import SpreadPredictor
from dope.picture import finite, opportunity_row
from dope.session import Session, costs
from dope.settings import Settings
from dope.shelf import Shelf
from dope.tape.catalogue import list_tapes
from dope.venues import make
from dope.workers import backtest_worker, train_worker
from dope.worlds import WorldProcess

SIM_BANNER = "SIMULATED MARKET: no exchange can be reached"
DEMO_BANNER = "SIMULATED MARKET: started on request"
TAPE_BANNER = "RECORDED MARKET: a tape is played back over loopback"
STOP_S = 4.0  #: s within which everything must be flushed and closed
ALIVE_S = 2.0  #: s without a turn of the loop after which the runtime counts as dead
PROBE_S = 15.0  #: s between looks whether a live venue answers
EXIT_ENGINE_DIED = 70


class Runtime:
    """Owns the thread. ``start()`` returns at once; ``stop()`` waits until all is closed."""

    def __init__(
        self, settings: Settings, board: Board, *, tapes: tuple[Path, ...] = (), on_death: Callable[[], None] | None = None
    ) -> None:
        self.settings, self.board, self.tapes = settings, board, tapes
        self._on_death = on_death
        self.clock = Clock()
        self.session: Session | None = None
        self._commands: queue.SimpleQueue[tuple[int, Command]] = queue.SimpleQueue()
        self._thread = threading.Thread(target=self._run, name="dope-runtime", daemon=True)
        self._stopping = threading.Event()
        self._beat = time.monotonic()
        self._loop: asyncio.AbstractEventLoop | None = None
        self._world: WorldProcess | None = None
        self._banner: str | None = None
        self._live_available = False
        self._jobs: Jobs | None = None
        self._wanted: str | None = None  # a source that the user asked for
        self._model_error = ""
        self._versions: list[dict[str, Any]] = []
        self.shelf = Shelf(settings.model_dir)
        self._next_train = 0.0
        self._training: int | None = None
        self._process = psutil.Process()
        self._loop_lag_ms = 0.0
        self._rate: tuple[float, int, float] = (time.monotonic(), 0, 0.0)
        self.died = False

    # -- from other threads ------------------------------------------------------------------------------------------
    def start(self) -> None:
        """Start the thread."""
        self.board.serve(self._ask, self.query)
        self._thread.start()

    def stop(self) -> None:
        """Flush and close everything; at most ``STOP_S`` seconds."""
        self._stopping.set()
        self._thread.join(STOP_S)

    def alive(self) -> bool:
        """Whether the loop turned within the last two seconds."""
        return self._thread.is_alive() and time.monotonic() - self._beat < ALIVE_S

    def _ask(self, job: int, command: Command) -> None:
        if command.name == "set":
            session = self.session
            if session is None:
                raise DopeError("the engine is still starting")
            session.set_rules(dict(command.args))
            return
        if command.name == "source" and command.args.get("to") not in ("live", "sim"):
            raise ValueError("source needs to: live or sim")
        if command.name == "cancel" and not isinstance(command.args.get("job"), int):
            raise ValueError("cancel needs job: a number")
        if command.name == "train":
            self._check_enough()
        if command.name == "backtest":
            self._backtest_paths(command)
        self._commands.put((job, command))

    def _check_enough(self) -> None:
        session = self.session
        have = session.predictor.samples if session else 0
        if have < self.settings.min_samples:
            raise DopeError(f"not enough data to train: {have} of {self.settings.min_samples} samples")

    def query(self, kind: str, symbol: str, start: int, end: int) -> Any:
        """Answers of ``Board.query``; called from web threads, reads only copies."""
        session = self.session
        if session is None:
            return []
        if kind == "opportunities":
            rows = [opportunity_row(o) for o in [*session.arbitrage.rows(), *list(session.picture.closed)]]
            return [finite(r) for r in rows if (not symbol or r["symbol"] == symbol) and start <= r["opened"] * 1_000_000 <= (end or 2**63)]
        if kind == "events":
            return list(session.picture.events)
        if kind == "book":
            return [finite(self._book(session, key)) for key in sorted(session.engine.market.books) if key.partition(":")[2] == symbol]
        if kind == "spreads":
            return [finite(row) for row in session.picture.slow()["pairs"] if row["symbol"] == symbol]
        if kind == "tapes":
            return [msgspec.to_builtins(t) for t in list_tapes(self.settings.data_dir)]
        raise UnknownName("query", kind, ("opportunities", "events", "book", "spreads", "tapes"))

    def _book(self, session: Session, key: str) -> dict[str, Any]:
        book = session.engine.market.books[key]
        live = book.state == "LIVE"
        i = book.instrument
        return {
            "key": key, "venue": i.venue, "symbol": i.symbol, "kind": i.kind, "state": book.state, "reason": book.reason,
            "bids": book.levels("bid", 50) if live else [], "asks": book.levels("ask", 50) if live else [],
            "seq": book.seq, "age_ms": session.engine.market.age(book, self.clock.now()) / 1e6 if live else None,
            "received": book.own_ts // 1_000_000 or None,
        }  # fmt: skip

    # -- the thread ----------------------------------------------------------------------------------------------------
    def _run(self) -> None:
        try:
            asyncio.run(self._main())
        except BaseException:  # noqa: BLE001 - the one supervising place: whatever ends the loop must be seen
            self.died = True
            logger.exception("the engine has died")
            if self._on_death is not None:
                self._on_death()

    async def _main(self) -> None:
        self._loop = asyncio.get_running_loop()
        self._jobs = Jobs()
        pulse = asyncio.create_task(self._pulse())
        try:
            await self._open_source(self.settings.source)
            await self._serve()
        finally:
            pulse.cancel()
            self._jobs.close()
            await self._close_session()

    async def _pulse(self) -> None:
        """Shows that the loop turns, and how late."""
        while True:
            before = time.monotonic()
            await asyncio.sleep(0.1)
            self._beat = time.monotonic()
            self._loop_lag_ms = max((self._beat - before - 0.1) * 1e3, self._loop_lag_ms * 0.9)

    # -- sources -------------------------------------------------------------------------------------------------------
    async def _open_source(self, source: str) -> None:
        """Open what was asked for; "auto" tries the live venues and falls back on the simulated market."""
        if self.tapes:
            await self._open_world("tape", TAPE_BANNER)
        elif source == "sim":
            await self._open_world("sim", DEMO_BANNER)
        else:
            await self._open_live()
            if source == "auto" and not await self._any_live(self.settings.live_timeout_s):
                logger.warning("no exchange reached within {:.0f} s: starting the simulated market", self.settings.live_timeout_s)
                await self._close_session()
                await self._open_world("sim", SIM_BANNER)

    async def _open_live(self) -> None:
        self._banner = None
        self._begin(Session(self.settings, "live", {}, self.clock))

    async def _open_world(self, source: str, banner: str) -> None:
        self._world = WorldProcess(seed=self.settings.sim_seed, speed=self.settings.sim_rate, tapes=self.tapes)
        endpoints = await self._world.start()
        self._banner = banner
        self._begin(Session(self.settings, source, endpoints, self.clock))

    def _begin(self, session: Session) -> None:
        self.session = session
        self._next_train = time.monotonic() + self.settings.retrain_s
        self._load_model(session)
        session.picture.tell(self.clock.now(), "system", f"watching {len(session.engine.venues)} venues ({session.source})")
        self._feed_task = asyncio.create_task(session.feed.run())

    def _load_model(self, session: Session) -> None:
        self._model_error, self._versions = "", []
        if session.source == "tape":
            return  # models are kept for live and simulated markets only
        try:
            shelved = self.shelf.load(session.source)
            self._versions = self.shelf.versions(session.source)
            if shelved is not None:
                self._model_error = shelved.notice
                session.predictor.adopt(shelved.trained)
        except (DopeError, OSError) as error:
            self._model_error = str(error)
            logger.warning("model not used: {}", error)

    async def _close_session(self) -> None:
        session, self.session = self.session, None
        if session is not None:
            await session.stop()
            await asyncio.wait([self._feed_task], timeout=2.0)
        if self._world is not None:
            self._world.stop()
            self._world = None

    async def _any_live(self, seconds: float) -> bool:
        """Whether a book of the session went LIVE, or at least a venue sent data, within so many seconds."""
        end = time.monotonic() + seconds
        while time.monotonic() < end and not self._stopping.is_set():
            self._publish(full=True)
            if self.session is not None and any(h.state == "live" for h in self.session.feed.health().values()):
                return True
            await asyncio.sleep(0.2)
        return self._stopping.is_set()

    async def _switch(self, to: str) -> None:
        await self._close_session()
        self._live_available = False
        await (self._open_live() if to == "live" else self._open_world("sim", DEMO_BANNER))

    async def _probe(self) -> None:
        """While the simulated market runs: does a live venue answer now?"""
        while True:
            await asyncio.sleep(PROBE_S)
            if self.session is not None and self.session.source == "sim":
                venues = {v: make(v, self.settings.symbols, self.settings.endpoints.get(v)) for v in self.settings.venues}
                self._live_available = await reachable(venues, self.clock, 5.0) is not None

    # -- the publishing loop -------------------------------------------------------------------------------------------
    async def _serve(self) -> None:
        probe = asyncio.create_task(self._probe())
        second = 0
        period = 1.0 / self.settings.push_hz
        try:
            while not self._stopping.is_set():
                await asyncio.sleep(period)
                self._look_after()
                await self._carry_out()
                session = self.session
                if session is None:
                    continue
                now_second = self.clock.now() // 1_000_000_000
                full = now_second != second
                if full:
                    second = now_second
                    session.second()
                self._publish(full=full)
        finally:
            probe.cancel()

    def _look_after(self) -> None:
        """A task that ended by itself takes the runtime down: better dead and seen than silently wrong."""
        if self._feed_task.done() and self.session is not None:
            error = self._feed_task.exception()
            raise DopeError("the feed has ended") from error
        if self._world is not None and not self._world.alive():
            raise DopeError("the simulated market's process has ended")

    def _publish(self, *, full: bool) -> None:
        session = self.session
        if session is None:
            return
        now = self.clock.now()
        sections = session.picture.fast(session.engine.market.now or now)
        sections["venues"] = session.picture.venue_rows(session.engine.market.now or now, session.feed.health())
        sections["jobs"] = self._job_rows()
        if full:
            sections |= session.picture.slow()
            sections["mode"] = self._mode(session)
            sections["pred"] = self._pred(session)
        sections["sys"] = self._sys(session)
        self.board.publish(now, sections)

    def _mode(self, session: Session) -> dict[str, Any]:
        current = session.arbitrage.rules
        return {
            "source": session.source, "banner": self._banner, "live_available": self._live_available,
            "started": session.picture.started_ns // 1_000_000, "version": __version__, "recording": session.recording(),
            "order_size": current.order_size, "min_net_bps": current.enter, "leave_net_bps": current.leave,
            "min_notional": current.min_notional, "paused": False, "retrain_s": self.settings.retrain_s,
            "alert_pct": self.settings.min_profit_threshold,
            "fees": [
                {"venue": v, "kind": k, "taker_bps": c.fee * 1e4, "currency": c.currency, "source": c.source, "as_of": c.as_of}
                for (v, k), c in costs(self.settings).items()
            ],
        }  # fmt: skip

    def _pred(self, session: Session) -> dict[str, Any]:
        section = session.predictor.section()
        section["error"] = self._model_error
        section["next_train"] = int(time.time() * 1e3 + (self._next_train - time.monotonic()) * 1e3)
        section["versions"] = self._versions
        if self._training is not None:
            section["status"] = "training"
        elif self._model_error and section["status"] != "ready":
            section["status"] = "failed"
        return section

    def _sys(self, session: Session) -> dict[str, Any]:
        since, frames, rate = self._rate
        elapsed = time.monotonic() - since
        if elapsed >= 1.0:
            rate = (session.engine.frames - frames) / elapsed if session.engine.frames >= frames else 0.0
            self._rate = (time.monotonic(), session.engine.frames, rate)
        return {
            "msgs_s": sum(h.msgs_s for h in session.feed.health().values()), "frames": session.engine.frames,
            "loop_lag_ms": self._loop_lag_ms, "rss_mb": self._process.memory_info().rss / 1e6,
            "event_ns": session.engine.market.now, "tick": session.engine.frames,
        }  # fmt: skip

    # -- jobs and commands ---------------------------------------------------------------------------------------------
    def _job_rows(self) -> list[dict[str, Any]]:
        assert self._jobs is not None
        states = self._jobs.poll()
        rows = []
        for job in states:
            if job.kind == "train" and job.id == self._training and job.state in ("done", "failed", "cancelled"):
                self._trained(job)
            row = msgspec.to_builtins(job) if isinstance(job, msgspec.Struct) else dict(vars(job))
            if job.kind == "train":
                row["result"] = None
            rows.append(row)
        return rows

    def _trained(self, job: Any) -> None:
        self._training = None
        session = self.session
        if session is None:
            return
        now = self.clock.now()
        if job.state != "done":
            if job.state == "failed":
                self._model_error = f"training failed: {job.error}"
            session.picture.tell(now, "model", f"training {job.state}" + (f": {job.error}" if job.error else ""), "", "warn")
            return
        try:
            trained = job.result
            session.predictor.adopt(trained)
            if session.source != "tape":
                self.shelf.save(trained)
                self._versions = self.shelf.versions(session.source)
            self._model_error = ""
            card = trained.card
            session.picture.tell(now, "model", f"model trained on {card['rows']} rows: {card['verdict']}", card["in_use"])
        except (DopeError, OSError) as error:
            self._model_error = f"model not saved: {error}"
            logger.error("model not saved: {}", error)

    async def _carry_out(self) -> None:
        session = self.session
        due = time.monotonic() >= self._next_train
        if due:
            self._next_train = time.monotonic() + self.settings.retrain_s
            if session is not None and self._training is None and session.predictor.samples >= self.settings.min_samples:
                self._ask_again("train")
        while not self._commands.empty():
            job, command = self._commands.get()
            try:
                await self._do(job, command)
            except (DopeError, ValueError) as error:
                logger.warning("{} refused: {}", command.name, error)
                if self.session is not None:
                    self.session.picture.tell(self.clock.now(), "system", f"{command.name} refused: {error}", "", "warn")

    def _ask_again(self, name: str) -> None:
        self.board.ask(Command(name, {}))

    async def _do(self, job: int, command: Command) -> None:
        assert self._jobs is not None
        session = self.session
        if command.name == "source":
            await self._switch(str(command.args["to"]))
        elif command.name == "reconnect" and session is not None:
            venue = str(command.args.get("venue", ""))
            if venue not in session.engine.venues:
                raise UnknownName("venue", venue, session.engine.venues)
            session.feed.retry(venue)
        elif command.name == "cancel":
            self._jobs.cancel(int(command.args["job"]))
        elif command.name == "train" and session is not None:
            recipe = SpreadPredictor(min_samples=self.settings.min_samples)
            self._jobs.start("train", train_worker, (session.predictor.table(), recipe, self.clock.now(), session.source), job)
            self._training = job
            self._next_train = time.monotonic() + self.settings.retrain_s
        elif command.name == "backtest":
            paths = self._backtest_paths(command)
            options = {k: v for k, v in command.args.items() if k != "tape"}
            self._jobs.start("backtest", backtest_worker, ([str(p) for p in paths], options, self.settings.model_dump(mode="json")), job)

    def _backtest_paths(self, command: Command) -> list[Path]:
        name = command.args.get("tape")
        session = self.session
        if not name:
            paths = session.tape_paths() if session else []
            if not paths:
                raise DopeError("nothing is being recorded: choose a tape")
            return paths
        known = {t.name: self.settings.data_dir / t.name for t in list_tapes(self.settings.data_dir)}
        if name not in known:
            raise UnknownName("tape", str(name), known)
        return [known[name]]


