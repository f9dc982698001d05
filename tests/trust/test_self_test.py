"""The self-test: what it lays out is found to the tick, leaves no trace anywhere, and goes red when any part on its way is broken."""

from __future__ import annotations

import asyncio
import contextlib
import json
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

import msgspec
import pytest

from dope.audit import Audit
from dope.board import Board
from dope.detectors import Cost, Rules
from dope.detectors.arbitrage import Opportunity
from dope.engines import build_engine
from dope.feed.clock import Clock
from dope.market.ready import compile_all
from dope.replay import replay, summary
from dope.scene import FEES, draw, numbered, out_of_reach
from dope.session import Session
from dope.settings import Settings
from dope.tables import TABLES
from dope.types import DATA, OPEN, SENTINEL, SET, Frame, OpenInfo, Setting
from dope.venues import SENTINELS, VENUES
from dope.venues.sentinel import KEYS, SYMBOL

NS = 1_000_000_000
T0 = 1_770_000_000 * NS
NAMED = [Rules(enter=1.5, leave=0.5), Rules(enter=-5.0, leave=-50.0), Rules(enter=900.0, leave=-900.0), Rules(min_notional=250_000.0)]
IMPOSSIBLE = [Rules(enter=5000.0), Rules(leave=-5000.0), Rules(min_notional=1e9), Rules(max_age_s=0.1), Rules(debounce=9 * NS)]


def settings(folder: Path, **changed: Any) -> Settings:
    places = {"data_dir": folder / "data", "model_dir": folder / "models"}
    return Settings(_env_file=None, venues=("okx",), symbols=("BTC-USDT",), **places, **changed)


# -- what is expected against what is found ----------------------------------------------------------------------------
@pytest.mark.parametrize("rules", [Rules(), *NAMED], ids=lambda rules: f"{rules.enter:g} {rules.leave:g} {rules.min_notional:g}")
def test_what_is_reckoned_in_fractions_is_what_the_detector_finds(rules: Rules, tmp_path: Path) -> None:
    engine = build_engine(settings(tmp_path), ("okx",), {})
    terms = engine.detectors[0].terms(rules)  # type: ignore[attr-defined]
    engine.step(Frame(T0, "", 0, SET, terms))
    ways = set()
    for number in range(1, 61):
        scene, ts = draw(5, number, rules), T0 + number * 60 * NS
        told = []
        for n, (venue, book) in enumerate(zip(scene.venues, scene.books, strict=True)):
            told += engine.step(Frame(ts, venue, 2 * number + n, OPEN, msgspec.json.encode(OpenInfo("", "", (SYMBOL,)))))
            told += engine.step(Frame(ts, venue, 2 * number + n, DATA, book.encode()))
        assert not [each for each in told if isinstance(each, Opportunity) and each.closed is None], "at rest nothing pays"
        mover = scene.venues[scene.mover], 2 * number + scene.mover
        (found,) = engine.step(Frame(ts + 1, *mover, DATA, numbered(scene.moved, 2).encode()))
        assert isinstance(found, Opportunity) and found.state == "open" and found.kind == SENTINEL
        wanted = scene.expected
        assert (found.buy_venue, found.sell_venue) == (wanted.buy, wanted.sell)
        assert abs(found.qty - wanted.qty) <= 1e-9 and abs(found.net - wanted.net) <= 1e-6 and abs(found.fees - wanted.fees) <= 1e-6
        assert abs(found.buy_cost - wanted.cost) <= 1e-5 and found.net_bps >= rules.enter and found.buy_cost >= rules.min_notional
        ways.add((wanted.buy, scene.mover))
        engine.step(Frame(ts + 2, *mover, DATA, numbered(scene.back, 3).encode()))
    assert len(ways) == 4, "either venue is bought at, and either one moves"
    assert engine.counts == {} and engine.faults == {}


def test_a_self_test_is_the_same_for_a_seed_and_its_number_and_another_for_any_other() -> None:
    assert draw(1, 1, Rules()) == draw(1, 1, Rules())
    assert len({draw(seed, number, Rules()).moved for seed in range(5) for number in range(5)}) == 25
    assert {fee.in_base for fee in FEES} == {True, False}, "both ways of taking a fee are tried"


@pytest.mark.parametrize("rules", IMPOSSIBLE)
def test_rules_that_nothing_could_satisfy_are_told(rules: Rules) -> None:
    assert out_of_reach(rules) and not out_of_reach(Rules())


def test_a_hole_in_the_numbers_of_a_hidden_book_is_a_gap_until_the_next_whole_one(tmp_path: Path) -> None:
    engine = build_engine(settings(tmp_path), ("okx",), {})
    scene, venue = draw(1, 1, Rules()), SENTINELS[0].ID
    frames = [(OPEN, msgspec.json.encode(OpenInfo("", "", (SYMBOL,)))), (DATA, scene.books[0].encode()), (DATA, b'{"n":3}')]
    for kind, data in frames:
        engine.step(Frame(T0, venue, 1, kind, data))
    assert engine.market.books[KEYS[0]].state == "GAP"
    engine.step(Frame(T0, venue, 1, DATA, b'{"n":4}'))
    assert engine.market.books[KEYS[0]].state == "GAP"
    engine.step(Frame(T0, venue, 1, DATA, scene.books[0].encode()))
    assert engine.market.books[KEYS[0]].state == "LIVE"


# -- through a real session --------------------------------------------------------------------------------------------
class Stage:
    """A session whose venues nobody serves, a board that is published to, and the self-test."""

    def __init__(self, folder: Path, **changed: Any) -> None:
        self.settings, clock = settings(folder, **changed), Clock()
        nowhere = {venue.ID: {"ws": "ws://127.0.0.1:9", "rest": "http://127.0.0.1:9"} for venue in VENUES}
        self.session, self.board, self.publishing = Session(self.settings, "sim", nowhere, clock), Board(), True
        self.audit = Audit(lambda: self.session, self.board, clock, period_s=1.0, push_hz=20.0, seed=11, wait_s=1.0)
        self.clock = clock
        self.seen: list[str] = []
        self.on_published: Callable[[dict[str, Any]], None] = lambda sections: None

    async def _publish(self) -> None:
        while True:
            await asyncio.sleep(0.03)
            if self.publishing and (now := self.session.engine.market.now):
                self.session.second()
                sections = self.session.picture.fast(now) | self.session.picture.slow()
                sections["venues"] = self.session.picture.venue_rows(now, self.session.feed.health())
                self.board.publish(self.clock.now(), sections)
                self.audit.published(sections["sentinel"])
                self.on_published(sections)
                self.seen.append(json.dumps({name: part for name, part in sections.items() if name != "sentinel"}))

    @contextlib.asynccontextmanager
    async def open(self) -> AsyncIterator[Stage]:
        compile_all()
        tasks = [asyncio.create_task(self.session.feed.run()), asyncio.create_task(self._publish())]
        try:
            yield self
        finally:
            tasks[1].cancel()
            await self.session.stop()
            await asyncio.wait(tasks)

    async def once(self) -> str:
        """What became of the next one; those that the machine did not let run are tried again."""
        while (verdict := await self.audit.once(self.session)) == "void":
            pass
        return verdict


def late_only(stage: Stage) -> bool:
    """Whether all that was wrong is this machine's slowness."""
    return stage.audit.status()["text"].startswith("it reached the ")


def test_it_is_found_priced_and_published_and_a_replay_of_its_tape_says_the_same(tmp_path: Path) -> None:
    async def run() -> Stage:
        async with Stage(tmp_path).open() as stage:
            for _ in range(6):
                assert await stage.once() == "found" or late_only(stage), stage.audit.status()
        return stage

    stage = asyncio.run(run())
    engine, session = stage.session.engine, stage.session
    assert stage.audit.to_signal.count == 6 == stage.audit.to_board.count and stage.audit.to_browser.count == 0
    assert stage.audit.status()["run"] == 6 and stage.audit.status()["pages"] == 0
    assert session.arbitrage.probed == 6 and session.arbitrage.opened == session.arbitrage.closed == 0
    again, tapes = asyncio.run(replay(session.tape_paths(), stage.settings))
    assert again.digest() == engine.digest() and set(again.market.books) == set(KEYS)
    # no trace of it where anybody looks
    assert SENTINEL not in "".join(stage.seen) and len(stage.seen) > 3
    assert SENTINEL not in json.dumps(summary(again, tapes)) and summary(again, tapes)["opportunities"] == {"opened": 0, "closed": 0}
    rows = [row for name in TABLES for row in session.tail.table(name).to_pylist()]
    assert not [row for row in rows if SENTINEL in str(row)]
    assert session.predictor.rows == [] and "Opportunity" not in engine.counts and tapes[0].meta.venues == ("okx",)
    assert engine.venues.keys().isdisjoint(venue.ID for venue in SENTINELS)


def test_a_broken_part_makes_it_red_and_a_mended_one_green(tmp_path: Path) -> None:
    async def run() -> None:
        async with Stage(tmp_path, record=False).open() as stage:
            engine, audit, session = stage.session.engine, stage.audit, stage.session

            async def red(verdict: str, words: str) -> None:
                assert await stage.once() == verdict and words in audit.status()["text"], audit.status()
                assert audit.status()["state"] == "failed"

            async def green() -> None:
                assert await stage.once() == "found" or late_only(stage), audit.status()

            await green()
            wanting, engine._wanting = engine._wanting, {}  # the detectors hear nothing
            await red("missed", "found nothing")
            await red("missed", "expected net ")
            engine._wanting = wanting
            await green()

            costs = session.arbitrage.costs
            cheaper = {key: Cost(cost.fee / 2, cost.currency) for key, cost in costs.items()}
            session.arbitrage._set_costs(cheaper, engine.market)  # fees changed under it
            await red("mispriced", "found")
            session.arbitrage._set_costs(costs, engine.market)
            await green()

            stage.publishing = False
            await red("late", "it did not reach the board")
            stage.publishing = True
            stage.board.pages = 1  # a page watches, and never answers
            await red("late", "it did not reach the browser")
            stage.on_published = lambda sections: stage.board.arrived(sections["sentinel"]["opened"], stage.clock.now())
            await green()
            assert audit.to_browser.count == 1 and audit.status()["pages"] == 1

            rules = session.arbitrage.rules
            for pair in session.arbitrage.pairs.values():
                pair.life.rules = msgspec.structs.replace(pair.life.rules, leave=-1e9)  # never closes
            await red("unclosed", "is still open")
            session.arbitrage.set_rules(rules, engine.market)
            await green()

            session.arbitrage._set(Setting(0, session.arbitrage.terms(msgspec.structs.replace(rules, enter=1e6))), engine.market)
            assert await audit.once(session) == "" and audit.status()["state"] == "idle" and "±2000" in audit.status()["text"]
            counts = audit.status()
            assert (counts["missed"], counts["mispriced"], counts["unclosed"]) == (2, 1, 1)

    asyncio.run(run())


def test_a_loop_that_stood_still_is_tried_again_and_fails_the_third_time(tmp_path: Path) -> None:
    async def run() -> list[str]:
        async with Stage(tmp_path, record=False).open() as stage:
            real, ahead = stage.clock.monotonic, [0]
            stage.clock.monotonic = lambda: real() + ahead[0]
            sleep = stage.clock.sleep

            async def slow(seconds: float) -> None:
                await sleep(seconds)
                ahead[0] += 2 * NS

            stage.audit._clock = Clock(stage.clock.monotonic)
            stage.audit._clock.sleep = slow  # type: ignore[method-assign]
            return [f"{await stage.audit.once(stage.session)} {stage.audit.status()['state']}" for _ in range(3)]

    assert asyncio.run(run()) == ["void waiting", "void waiting", "void failed"]
