"""Links of jumps: who was first, how sure that is, and what is said of a pair."""

from __future__ import annotations

import json
from typing import Any

import pytest

from dope.detectors.jumps import PLAIN, Jump, Jumps
from dope.detectors.linker import KEPT, Linker, LinkParameters, linked, score, sign_test
from dope.types import Setting
from tests.detectors.moving import MS, T0, Moving

A, B, C = "okx:BTC-USDT", "gate:BTC-USDT", "htx:BTC-USDT"


def jump(key: str, t_ms: float, way: int = 1, bps: float = 10.0, *, base: str = "BTC", stamp_ms: int = 0, final_ms: float = 0.0) -> Jump:
    venue, _, symbol = key.partition(":")
    t = T0 + int(t_ms * MS)
    end = T0 + int(final_ms * MS) if final_ms else t
    return Jump(end, key, venue, symbol, base, t, t, t, end, T0 + stamp_ms * MS if stamp_ms else 0, way, bps, 9.0, 3.0)


class Told:
    """Stands where the detector of jumps does: says when the earliest one that is not over was detected."""

    def __init__(self) -> None:
        self.earliest = 2**62

    def pending(self) -> int:
        return self.earliest


def linker(**values: float) -> tuple[Moving, Linker, Told]:
    told = Told()
    one = Linker(told, LinkParameters(**values))  # type: ignore[arg-type]
    return Moving([one], keys=[A, B, C]), one, told


def links(found: list[Any]) -> list[tuple[str, str, float]]:
    return [(link.leader, link.follower, link.dt / MS) for link in found]


def test_a_jump_follows_the_earliest_one_of_its_direction_and_size_at_each_other_market() -> None:
    run, _, _ = linker()
    for one in (jump(A, 0), jump(C, 40, -1), jump(B, 60, 1, 4.0), jump(B, 100), jump(C, 130, 1, 12.0), jump(C, 2200)):
        run.give(one)
    run.tick(5000)
    assert links(run.told) == [(A, B, 100.0), (A, C, 130.0), (B, C, 30.0)]
    assert [link.ratio for link in run.told] == [1.0, 1.2, 1.2]
    text, value, tone = run.told[0].line(str.upper)
    assert (text, value, tone) == ("GATE BTC-USDT followed the jump of OKX BTC-USDT", "+100 ms", "")


def test_a_jump_leads_each_market_once_and_only_its_own_base() -> None:
    run, _, _ = linker()
    for one in (jump(A, 0), jump(B, 50), jump(B, 90), jump("gate:ETH-USDT", 95, base="ETH")):
        run.give(one)
    run.tick(5000)
    assert links(run.told) == [(A, B, 50.0)]


def test_a_link_waits_for_earlier_jumps_that_are_not_over() -> None:
    run, _, told = linker()
    told.earliest = T0 + 10 * MS
    run.give(jump(B, 60))
    run.tick(100)
    run.give(jump(C, 80))
    run.tick(200)
    assert run.told == []
    told.earliest = 2**62
    run.give(jump(A, 10))
    run.tick(300)
    assert links(run.told) == [(A, B, 50.0), (A, C, 70.0), (B, C, 20.0)]


def test_both_detectors_together_link_in_the_order_of_detection_whichever_is_over_first() -> None:
    jumps = Jumps(PLAIN)
    run = Moving([jumps, Linker(jumps)], keys=[A, B])
    for key in (A, B):
        run.touch(0, 100.0, key)
    for i in range(6):
        run.touch((1000 + 200 * i) * MS, 100.1 + 0.02 * i, A)  # goes on for a second
    run.touch(1050 * MS, 100.1, B)
    run.tick(1400 * MS)
    assert [type(one).__name__ for one in run.told] == ["Jump"] and run.told[0].key == B
    run.tick(4000 * MS)
    assert links(run.told[2:]) == [(A, B, 50.0)]


def test_what_is_closer_than_the_clock_can_tell_is_not_resolved_and_counts_for_nobody() -> None:
    run, one, _ = linker(simul_ms=2.0)
    floor = run.market.delays["gate"]
    for i in range(100):
        floor.excess(T0 + i, T0 + i - (0 if i == 0 else 40 * MS))  # usually 40 ms later than at best
    for t, late in ((0, 1), (10_000, 30), (20_000, 50)):
        run.give(jump(A, t))
        run.give(jump(B, t + late))
    run.tick(50_000)
    assert [(link.simultaneous, link.resolved) for link in run.told] == [(True, False), (False, False), (False, True)]
    assert run.told[1].uncertainty == 40 * MS
    row = next(row for row in one.scores() if row.leader == A)
    assert (row.n, row.led, row.simultaneous, row.unresolved, row.lag_ms) == (1, 1, 1, 1, 50.0)
    assert [link.line(str)[0].partition(" jumped")[2][:9] for link in run.told[:2]] == [" together", ", too clo"]


def test_the_venues_own_clocks_are_told_beside_and_decide_nothing() -> None:
    run, one, _ = linker()
    run.give(jump(A, 0, stamp_ms=5000))
    run.give(jump(B, 70, stamp_ms=4000))
    run.tick(1000)
    assert (run.told[0].leader, run.told[0].dt, run.told[0].dt_stamped) == (A, 70 * MS, -1000 * MS)
    assert [row.led for row in one.scores() if row.leader == A] == [1]


def test_no_jump_is_told_of_more_than_some_leaders_and_all_are_scored() -> None:
    run, one, _ = linker(told=1.0)
    for key, t in ((A, 0), (B, 40), (C, 90)):
        run.give(jump(key, t))
    run.tick(1000)
    assert links(run.told) == [(A, B, 40.0), (A, C, 90.0)]
    led = {(row.leader, row.follower): row.led for row in one.scores()}
    assert led == {(A, B): 1, (B, A): 0, (A, C): 1, (C, A): 0, (B, C): 1, (C, B): 0}


def test_leads_is_said_of_enough_links_that_are_too_one_sided_for_chance() -> None:
    def verdict(ahead: int, behind: int) -> str:
        return score("BTC", A, B, [30 * MS] * ahead + [-20 * MS] * behind + [0, None]).verdict

    assert [verdict(19, 0), verdict(20, 0), verdict(0, 20), verdict(15, 5), verdict(17, 3), verdict(60, 40), verdict(65, 35)] == [
        "few", "leads", "even", "even", "leads", "even", "leads",
    ]  # fmt: skip


def test_the_score_is_of_the_last_links() -> None:
    run, one, _ = linker()
    for i in range(KEPT + 50):
        run.give(jump(A if i < 50 else B, i * 10_000))
        run.give(jump(B if i < 50 else A, i * 10_000 + 40 + i % 3))
        run.tick((i * 10_000 + 5000) * MS)
    row = next(row for row in one.scores() if row.leader == B)
    assert (row.n, row.led, row.share, row.verdict) == (KEPT, KEPT, 1.0, "leads")
    assert (row.lag_ms, row.lag_q25_ms, row.lag_q75_ms) == (41.0, 40.0, 42.0)


def test_chances_are_those_of_the_books() -> None:
    assert sign_test(8, 10) == sign_test(2, 10) == pytest.approx(112 / 1024)
    assert sign_test(5, 10) == sign_test(0, 0) == 1.0


def test_parameters_change_while_it_runs() -> None:
    run, _, _ = linker()
    run.give(Setting(T0, json.dumps({"parameters": {"linker": {"max_lag_ms": 50}}}).encode()))
    run.give(jump(A, 0))
    run.give(jump(B, 60))
    run.tick(1000)
    assert run.told == []


def test_a_list_of_jumps_is_linked_as_the_detector_does_it() -> None:
    run, _, _ = linker(told=100.0)
    ones = [jump(A, 0), jump(B, 3), jump(C, 90), jump(A, 300, -1), jump(C, 420, -1, 7.0), jump(B, 421, -1)]
    for one in ones:
        run.give(one)
    run.tick(9000)
    found = linked(ones, LinkParameters())
    assert {(row["pair"][0], row["pair"][1], row["dt"] / MS) for row in found} == set(links(run.told)) and len(found) == len(run.told) == 6
    assert [row["leader"] for row in found] == [None, B, A, A, None, A]
