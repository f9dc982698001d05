"""The table of parts is made of work that was really done."""

from __future__ import annotations

from itertools import pairwise

from bench import parts, several
from bench.stream import SYMBOLS
from dope.detectors import Arbitrage, Basis, CrossQuote, Triangles
from dope.engines import detector_of
from dope.types import TICK


def test_every_part_is_measured_and_the_compiled_calls_take_every_message() -> None:
    made = parts.frames(600)
    calls = parts.prepare(made)  # raises unless the calls go on to the end of their portions
    calls()
    told = parts.measure(count=600, rounds=1)
    differences = [parts.RECORDING, parts.DETECTORS, parts.SEVERAL]
    assert [each.name for each in told] == [*parts.parts(made), parts.ALL_4, parts.NONE_4, *differences]
    assert all(each.value > 0 for each in told[:-3]), "the last three are differences"
    many = {parts.ALL_4, parts.NONE_4, parts.SEVERAL}
    assert {each.samples for each in told if each.name not in many} == {600 + len(SYMBOLS) + 1}
    assert {each.samples >= 600 for each in told if each.name in many} == {True}
    assert [each.name for each in told if each.target] == differences


def test_where_four_venues_quote_the_same_opportunities_triangles_and_bases_are_looked_at() -> None:
    told = several.conversation(6000)
    assert {key.partition(":")[0] for key in told.keys} == set(several.VENUES) and len(told.keys) > 15
    fresh = told.fresh()
    fresh.step_many(parts.ticking(told.frames))
    arbitrage = detector_of(fresh, Arbitrage)
    assert fresh.counts["Opportunity"] > 0 and len(arbitrage.pairs) > 30
    assert detector_of(fresh, Triangles).ways and detector_of(fresh, CrossQuote).pairs and detector_of(fresh, Basis).pairs
    assert fresh.counts.get("Fault", 0) == fresh.counts.get("Gap", 0) == 0
    again = several.hurried(told.frames[told.head :], 10)
    assert [frame.ts for frame in again[:3]] == [10, 20_010, 40_010]
    assert [frame.data for frame in again] == [frame.data for frame in told.frames[told.head :]]


def test_the_clock_ticks_as_often_as_the_stamps_of_the_messages_say() -> None:
    made = parts.frames(6000)
    clocked = parts.ticking(made)
    ticks = [frame.ts for frame in clocked if frame.kind == TICK]
    assert [frame for frame in clocked if frame.kind != TICK] == made
    assert len(ticks) == 3 and all(later - ts == parts.TICK_NS for ts, later in pairwise(ticks)), "24 ms of stamps, a tick each 10 ms"
    assert clocked == sorted(clocked, key=lambda frame: frame.ts)
