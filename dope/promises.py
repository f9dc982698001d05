"""What the program promises of itself, and how it stands: each promise with its figure, what was measured, of how many, since when.

Measured is what is there anyway, once a batch, a publication or a second, never per message. A promise of which too few samples
were seen is neither kept nor broken: it says so, and how many it needs.
"""

from __future__ import annotations

import gc
import math
from collections.abc import Mapping
from typing import Any

import msgspec

from dope.audit import ARRIVED_NS, Audit
from dope.board import Board
from dope.feed.clock import Clock
from dope.growth import Slope
from dope.promise import Row, at_most, in_words, judged, within
from dope.quantiles import Quantiles
from dope.session import Session
from dope.types import GAP
from dope.watchdog import Watchdog

MS, NS = 1_000_000, 1_000_000_000
STALE_SLACK_MS = 300.0  #: silence is looked at every 0.1 s, and the row was drawn a moment ago
GAP_S = 65.0  #: s after which a book that was lost must be whole again while its venue is there
MEMORY_MESSAGES = 20_000_000  #: fewer say nothing about growth
MEMORY_SLOPE = 0.05  #: MiB per million messages
REFUSED = 1e-4  #: share of messages that may be unreadable
WAITING = 50_000  #: frames that may wait for the disk


class Promises:
    """Belongs to the runtime's loop but for ``rows``, which any thread may ask for."""

    def __init__(self, board: Board, audit: Audit, watchdog: Watchdog, clock: Clock, *, push_hz: float) -> None:
        self._board, self._audit, self._watchdog, self._clock = board, audit, watchdog, clock
        self.started = clock.now()
        self.pauses, self.gaps, self.waiting = Quantiles(), Quantiles(), Quantiles()
        self.memory = Slope()
        self._period = 1 / push_hz
        self._paused = self._published = 0
        self.looked = self.stale = 0
        self._worst_gap_s = 0.0
        self._of: Session | None = None
        self._session_since = self.started

    # -- measuring -----------------------------------------------------------------------------------------------------
    def start(self) -> None:
        """Listen to the collector of garbage."""
        gc.callbacks.append(self._collecting)

    def stop(self) -> None:
        if self._collecting in gc.callbacks:
            gc.callbacks.remove(self._collecting)

    def _collecting(self, phase: str, info: Mapping[str, Any]) -> None:
        now = self._clock.monotonic()
        if phase == "start":
            self._paused = now
        elif self._paused:
            self.pauses.add(now - self._paused)

    def published(self) -> None:
        """The board has something new."""
        now = self._clock.monotonic()
        if self._published:
            self.gaps.add(now - self._published)
        self._published = now

    def second(self, session: Session, sections: Mapping[str, Any], rss_mib: float) -> None:
        """Once a second, with what was just drawn."""
        if session is not self._of:
            self._of, self._session_since = session, session.picture.started_ns
        market = session.engine.market
        for row in sections.get("instruments", ()):
            if row["bid"] is None and row["ask"] is None:
                continue
            self.looked += 1
            idle_ms = market.idle_ns.get(row["venue"], 0) / MS
            self.stale += row["state"] != "LIVE" or (row["age_ms"] or 0.0) > idle_ms + STALE_SLACK_MS
        for row in sections.get("opps", ()):
            if row["state"] in ("open", "fading"):
                self.looked += 1
                self.stale += max(row["buy_age_ms"], row["sell_age_ms"]) > row["max_age_ms"]
        now = market.now
        live = {venue for venue, health in session.feed.health().items() if health.state == "live"}
        lost = [(now - b.since) / NS for b in market.books.values() if b.state == GAP and b.instrument.venue in live]
        self._worst_gap_s = max(lost, default=0.0)
        self.memory.add(_messages(session), rss_mib)
        if session.journal is not None:
            self.waiting.add(session.journal.status()["waiting"])

    # -- telling -------------------------------------------------------------------------------------------------------
    def rows(self, session: Session | None) -> list[dict[str, Any]]:
        """All promises, as they stand."""
        found = [*self._fast(session), *self._tested(), *self._loops(), self._grows()]
        if session is not None:
            found += [self._shown(), self._holes(session), self._refused(session), *self._recorded(session)]
        return [msgspec.to_builtins(row) for row in found]

    def _fast(self, session: Session | None) -> list[Row]:
        detect = within(
            Row(id="tick_signal", promise="A message is judged as soon as it is here", promised="99 % within 50 ms", limit=50.0, unit="ms",
                needed=1000, of="batches of messages",
                how="From the stamp at the socket to the end of all detectors, of the oldest message of each batch",
                test="tests/bench/test_latency.py"),
            session.took if session is not None else Quantiles(), self._session_since,
        )  # fmt: skip
        screen = Row(
            id="tick_screen", promise="What happened is on the screen at once", promised="99 % within 250 ms", limit=250.0, unit="ms",
            needed=600, of="updates painted", since=self.started // MS, how="From the stamp at the socket to the end of the paint, "
            "as a page that is looked at measures it over its last 600 updates; no page, no samples",
            test="tests/bench/test_watched.py",
        )  # fmt: skip
        if self._board.screen is not None:
            screen.p50, screen.p99, screen.samples = self._board.screen
            screen.measured, screen.state = in_words(screen), judged(screen, screen.p99 <= screen.limit)
        published = within(
            Row(id="published", promise="The picture is drawn anew all the time", promised=f"99 % within {3 * self._period * 1e3:.0f} ms",
                limit=3 * self._period * 1e3, unit="ms", needed=100, of="publications", how="From one publication of the board to the next",
                test="tests/test_runtime.py"),
            self.gaps, self.started,
        )  # fmt: skip
        return [detect, screen, published]

    def _tested(self) -> list[Row]:
        status = self._audit.status()
        run, found = status["run"], status["found"]
        row = Row(
            id="self_test", promise="A known opportunity is found once, priced to the tick, shown and closed", promised="every one",
            limit=1.0, unit="share", value=found / run if run else None, samples=run, of="self-tests", since=self.started // MS,
            how="Hidden books get messages of known content on the way that all messages go; what must come of them is reckoned "
            "beforehand in fractions. One in a hundred may come too late", test="tests/trust/test_self_test.py",
        )  # fmt: skip
        bad = {name: status[name] for name in ("missed", "mispriced", "late", "unclosed") if status[name]}
        row.measured = f"{found} of {run}" + "".join(f", {many} {name}" for name, many in bad.items()) if run else ""
        if status["state"] == "off":
            row.measured, row.needed = "switched off (DOPE_SELF_TEST_S=0)", 1
        wrong = sum(bad.values()) - bad.get("late", 0)
        row.state = judged(row, status["state"] != "failed" and not wrong and bad.get("late", 0) <= max(1.0, run / 100))
        stages = (
            ("self_test_signal", "… from its message to the signal", 250.0, self._audit.to_signal),
            ("self_test_board", "… from the signal to the board", 1000.0 + 2000.0 * self._period, self._audit.to_board),
            ("self_test_browser", "… from the board to a browser", ARRIVED_NS / MS, self._audit.to_browser),
        )
        how = ("Message stamped → signal told by the engine", "Signal told → its row published", "Row published → the page's script has it")
        return [row, *(
            within(Row(id=name, promise=words, promised=f"within {limit:.0f} ms", limit=limit, unit="ms", needed=100, of="self-tests",
                        how=text, test="tests/trust/test_self_test.py"), figures, self.started)
            for (name, words, limit, figures), text in zip(stages, how, strict=True)
        )]  # fmt: skip

    def _loops(self) -> list[Row]:
        names = {"runtime": "The market's loop never stands still", "web": "The web server's loop never stands still"}
        rows = [
            within(Row(id=f"loop_{name}", promise=names[name], promised="99 % within 50 ms", limit=50.0, unit="ms",
                        needed=600, of="probes",
                        how="A thread knocks at the loop ten times a second and measures how late it answers",
                        test="tests/test_supervision.py"), figures, self.started)
            for name, figures in self._watchdog.figures().items() if name in names
        ]  # fmt: skip
        pauses = within(
            Row(id="gc", promise="Collecting garbage stops nothing for long", promised="99 % within 20 ms", limit=20.0, unit="ms",
                needed=50, of="collections", how="Told by the interpreter at the beginning and the end of each collection",
                test="tests/trust/test_promises.py"),
            self.pauses, self.started,
        )  # fmt: skip
        return [*rows, pauses]

    def _grows(self) -> Row:
        slope, half, span, samples = self.memory.found()
        row = Row(
            id="memory", promise="Memory does not grow with the messages", promised=f"at most {MEMORY_SLOPE:g} MiB per million messages",
            limit=MEMORY_SLOPE, unit="MiB per million messages", value=slope if math.isfinite(half) else None, samples=span,
            needed=MEMORY_MESSAGES, of="messages", since=self.started // MS, how="Least squares over samples of the process's size, "
            "without the first third of the run; kept or broken only when the whole 95 % interval says so",
            test="tests/bench/test_memory.py",
        )  # fmt: skip
        if math.isfinite(half):
            row.measured = f"{slope:+.3f} ± {half:.3f} of {samples} samples"
            if span >= MEMORY_MESSAGES and not slope - half <= MEMORY_SLOPE <= slope + half:
                row.state = "kept" if slope + half < MEMORY_SLOPE else "broken"
        return row

    def _shown(self) -> Row:
        return at_most(
            Row(id="stale", promise="A price that is not known to be current is never shown", promised="never", limit=0.0, unit="rows",
                needed=60, of="rows looked at", how="Each second all rows that show a price: is the book LIVE, and its age within the "
                "silence limit of its venue, and both legs of what is open within theirs", test="tests/market/test_freshness.py"),
            self.stale, self.looked, self.started, f"{self.stale} of {self.looked}",
        )  # fmt: skip

    def _holes(self, session: Session) -> Row:
        gaps = sum(book.gaps for book in list(session.engine.market.books.values()))
        row = Row(
            id="gaps", promise="A lost message is found, and its book hidden until it is whole again",
            promised=f"whole within {GAP_S:.0f} s", limit=GAP_S, unit="s", value=self._worst_gap_s,
            samples=gaps, of="gaps found", since=self._session_since // MS,
            how="Books that are in a gap although their venue is live, and for how long the longest",
            test="tests/contracts/test_venue_contract.py",
        )  # fmt: skip
        row.measured = f"{gaps} found, the longest open one for {self._worst_gap_s:.0f} s" if gaps else ""
        row.state = judged(row, self._worst_gap_s <= GAP_S)
        return row

    def _refused(self, session: Session) -> Row:
        refused, messages = sum(session.engine.faults.values()), _messages(session)
        return at_most(
            Row(id="refused", promise="Messages are read; those that cannot be are refused as a whole and counted",
                promised=f"at most 1 in {1 / REFUSED:,.0f} refused", limit=REFUSED * messages, unit="messages", needed=10_000,
                of="messages", how="Faults told by the readers of the venues' formats", test="tests/contracts/test_parsers.py"),
            refused, messages, self._session_since, f"{refused} of {messages}",
        )  # fmt: skip

    def _recorded(self, session: Session) -> list[Row]:
        if session.journal is None:
            return []
        status = session.journal.status()
        lost, all_of_them = status["lost"] + status["rows_lost"], status["frames"] + status["waiting"] + status["rows"]
        whole = at_most(
            Row(id="recorded", promise="Everything that reaches the engine is recorded", promised="nothing lost", limit=0.0,
                unit="frames and rows", needed=1000, of="frames and rows", how="Counted by the recorder",
                test="tests/tape/test_journal.py"),
            lost, all_of_them, self._session_since, f"{lost} of {all_of_them} lost",
        )  # fmt: skip
        queue = within(
            Row(id="queue", promise="The disk keeps up", promised=f"99 % below {WAITING:,} frames", limit=float(WAITING), unit="frames",
                needed=60, of="looks", how="Frames that wait for the disk, once a second", test="tests/tape/test_journal.py"),
            self.waiting, self.started, scale=1,
        )  # fmt: skip
        return [whole, queue]


def _messages(session: Session) -> int:
    return sum(health.messages for health in session.feed.health().values())
