"""Who leads whom: the contrast of all markets of one asset or symbol, pair by pair, on all clocks, from the paths of the last minutes.

The paths are copied between two turns of the engine (a tenth of a millisecond each); all reckoning runs in the asker's thread, most of it
without the interpreter's lock. An answer is kept for two seconds, and no answer reckons more than a fixed amount of work: pairs whose
result is oldest come first, the others stay as they were, each with its own time.
"""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Mapping
from itertools import combinations
from typing import Any, NamedTuple

import msgspec
import numpy as np

from dope.detectors.contrast import Finding, Grid, Series, common_span, contrast, observed, verdict
from dope.detectors.linker import Links
from dope.detectors.paths import Paths
from dope.engines import detector_of
from dope.market.freshness import resolution_ns
from dope.readings.asked import Asked
from dope.readings.evidence import average_paths, jump_links, jump_scores, jumps_of, shares
from dope.readings.following import followed
from dope.session import Session
from dope.types import SENTINEL

MS, NS = 1_000_000, 1_000_000_000
CLOCKS = ("receipt", "exchange", "corrected")
HOLD_MS = {"fine": 2000, "wide": 2000, "slow": 60_000}  #: how long a follower is held after a jump, by how far apart markets may be
GRIDS = {"fine": Grid(500, 5, 2000), "wide": Grid(2000, 10, 2000), "slow": Grid(60_000, 1000, 60_000)}  #: ms
SERIES = ("quotes", "trades")
LEAST_S, MOST_S = 30.0, 900.0  #: of the window
MARKETS = 12  #: of one answer, those whose prices change most often
KEEP_NS = 2 * NS  #: an answer is given again for so long
KEPT = 16  #: answers
SHARES_NS = 60 * NS  #: shares of the common price are given again for so long
FOLLOWED_NS = 15 * NS  #: and so what following would have brought
WORK = 20_000_000  #: products of one answer, some 0.1 s
PAIRS = 24  #: of one answer that are reckoned anew; a pair costs one or two ms besides its products


class Question(NamedTuple):
    """What was asked; equal questions get one answer."""

    run: tuple[str, int]  # source and start of the session
    symbol: str
    window_s: float
    series: str
    clock: str
    grid: str
    discovery: bool
    venues: tuple[str, ...]  # empty = all


class Seen(NamedTuple):
    """One market as it was copied."""

    key: str
    times: np.ndarray  # (n, 2) ns: received, stamped
    prices: np.ndarray
    excess_ms: float  # median delay above the best case
    floor: int | None  # ns

    def series(self, clock: str) -> Series:
        """In ms, by that clock. What left LIVE has no stamp: it left when it was stamped last."""
        if clock == "receipt":
            return observed(self.times[:, 0] // MS, self.prices)
        stamps, at = self.times[:, 1], np.arange(len(self.times))
        filled = stamps[np.maximum.accumulate(np.where(stamps != 0, at, 0))] if len(at) else stamps
        stamps = np.where(np.isnan(self.prices), filled, stamps)
        told = stamps != 0
        shift = self.floor or 0 if clock == "corrected" else 0
        return observed((stamps[told] + shift) // MS, self.prices[told])

    def resolution_ms(self, clock: str) -> float:
        """Smallest difference of times that can be told."""
        return 1.0 if clock == "receipt" else (resolution_ns(self.times[:, 1]) or MS) / MS


class LeadLag:
    """Answers of ``Board.query("leadlag")``; ``args``: window_s, series, clock, grid, discovery, venues (none = all)."""

    def __init__(self) -> None:
        self._lock = threading.Lock()  # one reckoning at a time, whoever asks
        self._kept: OrderedDict[Question, tuple[int, dict[str, Any]]] = OrderedDict()
        self._rows: OrderedDict[tuple[Question, str, str], dict[str, Any]] = OrderedDict()
        self._shares: tuple[Question, int, list[dict[str, Any]]] | None = None
        self._followed: tuple[Question, int, dict[str, Any]] | None = None

    def __call__(self, session: Session, asked: Asked) -> dict[str, Any]:
        question = _question(session, asked)
        with self._lock:
            kept = self._kept.get(question)
            if kept is not None and 0 <= asked.now - kept[0] < KEEP_NS:
                return kept[1]
            answer = self._answer(session, asked, question)
            self._kept[question] = (asked.now, answer)
            while len(self._kept) > KEPT:
                self._kept.popitem(last=False)
            return answer

    def _answer(self, session: Session, asked: Asked, question: Question) -> dict[str, Any]:
        seen, links = asked.between_turns(lambda: _copied(session, question, asked.now))
        seen = sorted(sorted(seen, key=lambda one: -len(one.prices))[:MARKETS], key=lambda one: one.key)
        series = {clock: {one.key: one.series(clock) for one in seen} for clock in CLOCKS}
        pairs = sorted(combinations(seen, 2), key=lambda pair: self._rows.get((question, pair[0].key, pair[1].key), {"at": 0})["at"])
        work, rows = 0.0, []
        for number, (x, y) in enumerate(pairs):
            name = (question, x.key, y.key)
            if (work < WORK and number < PAIRS) or name not in self._rows:
                both = {clock: common_span(of[x.key], of[y.key]) for clock, of in series.items()}
                work += sum(_work(*pair, GRIDS[question.grid]) for pair in both.values())
                self._rows[name] = {"at": asked.now // MS} | _row(x, y, both, question)
                self._rows.move_to_end(name)
            rows.append(self._rows[name])
        while len(self._rows) > KEPT * MARKETS * MARKETS:
            self._rows.popitem(last=False)
        keys = [one.key for one in seen]
        jumps = jumps_of(session, keys, asked.now - int(question.window_s * NS))
        markets = [_market(session, one, series[question.clock][one.key]) for one in seen]
        return {
            "at": asked.now // MS, "symbol": question.symbol, "window_s": question.window_s, "series": question.series,
            "clock": question.clock, "grid": question.grid, "reach_ms": GRIDS[question.grid].reach, "step_ms": GRIDS[question.grid].step,
            "markets": markets, "pairs": sorted(rows, key=lambda row: (row["x"], row["y"])),
            "jumps": jump_scores(links, keys),
            "paths": average_paths(series["receipt"], jumps), "shares": self._discovered(session, question, keys, asked.now),
            "following": self._following(session, question, keys, asked.now),
        }  # fmt: skip

    def _discovered(self, session: Session, question: Question, keys: list[str], now: int) -> list[dict[str, Any]]:
        """Shares of the common price, anew once a minute: an hour of prices changes little in between."""
        if not question.discovery:
            return []
        kept = self._shares
        if kept is None or kept[0] != question or not 0 <= now - kept[1] < SHARES_NS:
            kept = self._shares = question, now, shares(session, keys, now)
        return kept[2]

    def _following(self, session: Session, question: Question, keys: list[str], now: int) -> dict[str, Any]:
        """Whether trading the follower would have paid, anew every few seconds: an hour of prices is looked through for it."""
        kept = self._followed
        if kept is None or kept[0] != question or not 0 <= now - kept[1] < FOLLOWED_NS:
            kept = self._followed = question, now, followed(session, keys, now, HOLD_MS[question.grid])
        return kept[2]


def _question(session: Session, asked: Asked) -> Question:
    args: Mapping[str, Any] = asked.args
    window = min(max(float(args.get("window_s", 300.0)), LEAST_S), MOST_S)
    run = session.source, session.picture.started_ns
    return Question(run, asked.symbol, window, args.get("series", "quotes"), args.get("clock", "receipt"), args.get("grid", "fine"),
                    bool(args.get("discovery")), tuple(sorted(args.get("venues") or ())))  # fmt: skip


def _copied(session: Session, question: Question, now: int) -> tuple[list[Seen], list[Links]]:
    """In the engine's thread: the paths of all markets of that symbol or asset, and the links of their jumps."""
    paths: Paths = detector_of(session.engine, Paths)
    track = paths.tracks.mids if question.series == "quotes" else paths.tracks.trades
    found = []
    for key, book in session.engine.market.books.items():
        instrument = book.instrument
        if instrument.kind in (SENTINEL, "reference") or question.symbol not in (instrument.symbol, instrument.base):
            continue
        if question.venues and instrument.venue not in question.venues:
            continue
        late = book.delay.percentiles()
        times, prices = track.of(book.slot, now - int(question.window_s * NS))
        found.append(Seen(key, times, prices, late[0] if late else 0.0, book.delay.floor))
    return found, jump_links(session, [one.key for one in found])


def _market(session: Session, one: Seen, series: Series) -> dict[str, Any]:
    venue, _, symbol = one.key.partition(":")
    span = float(series[0][-1] - series[0][0]) / 1e3 if len(series[0]) else 0.0
    return {"key": one.key, "venue": venue, "symbol": symbol, "label": session.picture.label(venue), "n": int(np.isfinite(series[1]).sum()),
            "span_s": span, "excess_p50_ms": one.excess_ms, "stamped": bool(np.any(one.times[:, 1]))}  # fmt: skip


def _work(x: Series, y: Series, grid: Grid) -> float:
    """Products that a contrast takes, about: those within reach, and once more for its sub-windows."""
    if not len(x[0]) or not len(y[0]):
        return 0.0
    span = max(float(x[0][-1] - x[0][0]), 1.0)
    return len(x[0]) * len(y[0]) * min(2.0 * (grid.reach + grid.around) / span, 1.0) * 2.0


def _row(x: Seen, y: Seen, both: Mapping[str, tuple[Series, Series]], question: Question) -> dict[str, Any]:
    """One pair: the whole finding by the clock asked for, and what the other clocks say."""
    row: dict[str, Any] = {"x": x.key, "y": y.key, "clocks": {}}
    for clock, (series_x, series_y) in both.items():
        found = contrast(series_x, series_y, GRIDS[question.grid])
        least = max(x.excess_ms, y.excess_ms, x.resolution_ms(clock), y.resolution_ms(clock))
        state, why = verdict(found, least)
        row["clocks"][clock] = {"state": state, "lag_ms": found.lag, "z": found.z, "llr": found.llr}
        if clock == question.clock:
            row |= _told(found) | {"state": state, "why": why, "least_ms": least}
            row["leader"] = None if state != "leads" else x.key if (found.lag or 0) > 0 else y.key
    return row


def _told(found: Finding) -> dict[str, Any]:
    told = msgspec.structs.asdict(found)
    return {
        "n_x": told["n_x"], "n_y": told["n_y"], "lag_ms": told["lag"], "contrast": told["rho"], "contrast_at_0": told["rho0"],
        "llr": told["llr"], "z": told["z"], "top_ms": [list(run) for run in found.top], "blocks_ms": list(found.blocks),
        "low_ms": found.low, "middle_ms": found.middle, "high_ms": found.high,
    }  # fmt: skip
