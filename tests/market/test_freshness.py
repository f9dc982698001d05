"""Fresh has one definition: excess delay above the best case, and a limit that follows volatility."""

from __future__ import annotations

import random
from collections.abc import Callable

import numpy as np
import pytest

from dope.market.delays import NS, DelayFloor
from dope.market.freshness import Rhythm, age_limit_ns, age_limits_ns, next_sigma

MS = 1_000_000


def test_a_recorder_clock_that_is_behind_makes_nothing_late() -> None:
    floor = DelayFloor()
    behind = -1_270_000_000
    assert [floor.excess(t + behind, t) for t in (0, NS, 2 * NS)] == [0, 0, 0]
    assert floor.excess(3 * NS + behind + 4_000_000, 3 * NS) == 4_000_000


def test_the_floor_forgets_after_five_minutes() -> None:
    floor = DelayFloor()
    floor.excess(1_000_000, 0)
    for minute in range(1, 7):
        t = minute * 60 * NS
        last = floor.excess(t + 9_000_000, t)
    assert last == 0
    assert floor.percentiles() is not None


class Feed:
    """Four streams of one venue over one connection: what is sent arrives in its order, after 5 ms and a little more, or later."""

    def __init__(self, seed: int, every_ms: float = 60.0) -> None:
        self.rand, self.floor, self.streams = random.Random(seed), DelayFloor(), np.zeros((4, 2), dtype=np.int64)
        self.now, self.ahead, self.held, self._every, self._arrived = 1_000 * NS, 0, 0, every_ms, 0
        self.late: list[tuple[float, float]] = []  #: of each message, ms: as it was, and as it was told

    def run(self, seconds: float) -> None:
        """So much time of the venue. ``ahead`` = what its clock is wrong by, ``held`` = ns that messages wait on their way."""
        end = self.now + int(seconds * NS)
        while (due := self.now + int(self.rand.expovariate(4.0 / self._every) * MS)) < end:
            self.now = due
            wait = self.held + int(self.rand.expovariate(0.5) * MS)
            self._arrived = ts = max(self._arrived, due + 5 * MS + wait)
            told = self.floor.heard(ts, due + self.ahead, (self.streams, self.rand.randrange(4), 0), 1)
            self.late.append(((ts - due) / MS - 5.0, told / MS))
        self.now = end

    def off(self) -> float:
        """Median of what the last messages were told to be late by, less what they were, ms."""
        return float(np.median([told - was for was, told in self.late[-20:]]))


@pytest.mark.parametrize("step_s", [-2.0, -0.3, 0.3, 2.0])
def test_a_venues_clock_that_is_set_makes_nothing_late_for_more_than_seconds(step_s: float) -> None:
    feed = Feed(1)
    feed.run(10.0)
    feed.ahead = int(step_s * NS)
    feed.run(0.8)
    assert feed.off() == pytest.approx(max(-step_s * 1e3, 0.0), abs=6.0), "at first a clock that is set back looks like a delay"
    feed.run(1.2)
    assert -6.0 < feed.off() < 60.0
    assert (feed.floor.percentiles() or (0.0,))[0] < 60.0, "and what came before it was known was not late"
    count, step = feed.floor.steps
    assert count == 1 and -6.0 < step / MS - step_s * 1e3 < 60.0
    assert max(feed.floor.minutes) - min(feed.floor.minutes) < 10 * MS, "what was measured by the clock of before is forgotten"
    feed.ahead = 0
    feed.run(3.0)
    assert -6.0 < feed.off() < 60.0, "there and back again"
    assert feed.floor.steps[0] == 2


@pytest.mark.parametrize("seed", range(3))
def test_what_waited_and_waits_no_more_sets_no_clock_forward(seed: int) -> None:
    """All that was ever heard had waited as long; then it comes sooner at once, and with it what was sent meanwhile."""
    feed = Feed(seed)
    feed.held = int(random.Random(f"held {seed}").uniform(0.3, 3.0) * NS)
    feed.run(10.0)
    feed.held = 0
    feed.run(5.0)
    assert -6.0 < feed.off() < 6.0, "fresh at once"
    assert feed.floor.steps == (0, 0)


def test_of_two_queues_that_end_at_once_the_one_that_is_read_first_shows_no_clock() -> None:
    floor, streams, begin, held = DelayFloor(), np.zeros((4, 2), dtype=np.int64), 1_000 * NS, NS

    def send(numbers: range, arrive: Callable[[int], int]) -> None:
        """Each 20 ms a message; all but every fiftieth over one connection."""
        for number in numbers:
            sent, slot = begin + number * 20 * MS, 1 + number % 3 if number % 50 else 0
            floor.heard(arrive(sent), sent, (streams, slot, 0), 1 if slot else 2)

    send(range(500), lambda sent: sent + 5 * MS + held)
    over = begin + 500 * 20 * MS + held
    floor.heard(over, over - 25 * MS, (streams, 0, 0), 2)
    send(range(501, 550), lambda sent: over)
    send(range(551, 800), lambda sent: sent + 5 * MS)
    assert floor.steps == (0, 0)


def test_a_clock_that_is_set_forward_where_the_venue_is_silent_for_as_long_is_not_believed() -> None:
    feed = Feed(4, every_ms=4_000.0)
    feed.run(200.0)
    feed.ahead = 3 * NS
    feed.run(60.0)
    assert feed.floor.steps == (0, 0) and feed.off() < 6.0


def test_another_connection_whose_messages_come_sooner_sets_no_clock() -> None:
    feed = Feed(5)
    feed.held = NS
    feed.run(5.0)
    feed.floor.heard(feed.now, feed.now - 5 * MS, (feed.streams, 0, 0), 2)
    for i in range(200):
        received = feed.now + i * 20 * MS
        feed.floor.heard(received, received - 5 * MS, (feed.streams, i % 4, 0), 2)
    assert feed.floor.steps == (0, 0)


@pytest.mark.parametrize("seed", range(3))
def test_what_waits_on_its_way_never_looks_fresh_whatever_the_venues_clock_does_meanwhile(seed: int) -> None:
    """Queues that come and go, and steps back of the clock in the midst of them: what is told is never less than what was."""
    feed, rand = Feed(seed), random.Random(f"doings {seed}")
    feed.run(5.0)
    for _ in range(30):
        feed.held = rand.choice((0, int(rand.uniform(0.1, 4.0) * NS)))
        feed.run(rand.uniform(0.5, 3.0))
        feed.ahead -= rand.choice((0, 0, int(rand.uniform(0.05, 3.0) * NS)))
        feed.run(rand.uniform(0.5, 3.0))
    worst = min(told - was for was, told in feed.late[30:])
    assert worst > -3.0
    assert feed.floor.steps[0] >= 5


@pytest.mark.parametrize("wrong", [1, 3])
@pytest.mark.parametrize("by_s", [0.1, 0.3, 2.0, 100.0, 86_400.0, -0.3, -2.0, -86_400.0])
def test_stamps_that_are_wrong_by_themselves_set_no_clock_and_make_nothing_late(by_s: float, wrong: int) -> None:
    """Of one stream or of several, and whether that stream speaks again before the time that they tell has come, or after it."""
    for every_ms in (60.0, 3_000.0):
        feed = Feed(2, every_ms)
        feed.run(60.0)
        before = feed.floor.floor
        for stream in range(wrong):
            feed.floor.heard(feed.now, feed.now - 5 * MS + int(by_s * NS), (feed.streams, stream, 0), 1)
        feed.late.clear()
        feed.run(20.0)
        assert feed.floor.steps == (0, 0)
        assert max(told - was for was, told in feed.late) < 6.0, "not even at first"
        assert before is not None and abs((feed.floor.floor or 0) - before) < 5 * MS, "nor is the smallest delay another one"


def test_wrong_stamps_that_come_now_and_then_prove_nothing_either() -> None:
    """Each is followed by one of its stream that tells the time of before."""
    feed = Feed(2)
    feed.run(10.0)
    feed.late.clear()
    for number in range(20):
        feed.floor.heard(feed.now, feed.now - 5 * MS + 10 * NS, (feed.streams, number % 4, 0), 1)
        feed.run(2.0)
    assert feed.floor.steps == (0, 0)
    assert max(told - was for was, told in feed.late) < 6.0


def test_a_venue_whose_very_first_stamp_is_wrong_has_not_set_its_clock() -> None:
    feed = Feed(2)
    feed.floor.heard(feed.now, feed.now + 2 * NS, (feed.streams, 0, 0), 1)
    feed.run(5.0)
    assert feed.floor.steps == (0, 0) and feed.off() < 60.0


@pytest.mark.parametrize("step_s", [-2.0, -0.3, 0.3, 2.0])
def test_a_clock_that_is_set_is_told_within_a_second(step_s: float) -> None:
    for seed in range(5):
        feed = Feed(seed)
        feed.run(10.0)
        feed.ahead = int(step_s * NS)
        feed.run(1.0)
        assert feed.floor.steps[0] == 1 and (feed.floor.steps[1] > 0) is (step_s > 0)


def test_the_smallest_delay_of_a_way_that_is_never_twice_as_long_is_found_all_the_same() -> None:
    """Messages of many connections, each as late as it likes: four of them that were much sooner suffice, in any order."""
    rand, floor = random.Random(6), DelayFloor()
    for number in range(600):
        sent = 1_000 * NS + number * 50 * MS
        floor.excess(sent + int(rand.uniform(5.0, 405.0) * MS), sent)
    assert floor.floor is not None and 5 * MS <= floor.floor < 60 * MS


def test_another_connection_that_is_late_is_late() -> None:
    """Its first stamps are before the last ones of the connection that it replaces: that shows no clock."""
    feed = Feed(3)
    feed.run(5.0)
    for i in range(200):
        received = feed.now + i * 20 * MS
        late = feed.floor.heard(received, received - 1505 * MS, (feed.streams, i % 4, 0), 2)
        assert late == pytest.approx(1500 * MS, abs=6 * MS)
    assert feed.floor.steps == (0, 0)


def test_the_limit_shrinks_with_volatility_between_its_bounds() -> None:
    assert age_limit_ns(20.0, 0.0) == 5 * NS
    assert age_limit_ns(20.0, 5.34) == pytest.approx(1.56 * NS, rel=0.01)
    assert age_limit_ns(5.0, 12.8) == int(0.25 * NS)
    assert age_limit_ns(20.0, 0.0, cap_s=2.0) == 2 * NS


def test_many_limits_at_once_are_the_single_ones() -> None:
    dice = random.Random(7)
    walls = [dice.choice((-3.0, 0.0, 5.0, dice.uniform(0, 80))) for _ in range(500)]
    sigmas = [dice.choice((0.0, dice.uniform(0, 20))) for _ in walls]
    for cap_s in (0.1, 2.0, 5.0, 9.0):
        found = age_limits_ns(np.array(walls), np.array(sigmas), cap_s)
        assert found.tolist() == [age_limit_ns(wall, sigma, cap_s) for wall, sigma in zip(walls, sigmas, strict=True)]


def test_volatility_follows_one_second_moves() -> None:
    sigma, mid = 0.0, 100.0
    for i in range(600):
        new = 100.0 * (1.0002 if i % 2 else 1.0)
        sigma, mid = next_sigma(sigma, mid, new), new
    assert sigma == pytest.approx(2.0, rel=0.01)


def test_a_leg_may_be_six_times_as_old_as_it_usually_is_and_a_silence_does_not_make_itself_usual() -> None:
    rhythm = Rhythm()
    assert rhythm.limit_ns() == 5 * NS, "nothing is known yet"
    for _ in range(600):
        rhythm.look(NS // 10)
    assert rhythm.limit_ns() == pytest.approx(0.6 * NS, rel=0.01)
    for k in range(30):
        rhythm.look(k * NS // 10)
    assert rhythm.limit_ns() < 0.9 * NS
    for _ in range(1200):
        rhythm.look(0)
    assert rhythm.limit_ns() == NS // 4
