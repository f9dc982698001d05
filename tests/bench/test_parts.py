"""The table of parts is made of work that was really done."""

from __future__ import annotations

from itertools import pairwise

from bench import parts
from bench.stream import SYMBOLS
from dope.types import TICK


def test_every_part_is_measured_and_the_compiled_calls_take_every_message() -> None:
    made = parts.frames(600)
    calls = parts.prepare(made)  # raises unless the calls go on to the end of their portions
    calls()
    told = parts.measure(count=600, rounds=1)
    assert [each.name for each in told] == [*parts.parts(made), parts.RECORDING, parts.DETECTORS]
    assert all(each.value > 0 for each in told[:-2]), "the last two are differences"
    assert {each.samples for each in told} == {600 + len(SYMBOLS) + 1}
    assert [each.name for each in told if each.target] == [parts.RECORDING, parts.DETECTORS]


def test_the_clock_ticks_as_often_as_the_stamps_of_the_messages_say() -> None:
    made = parts.frames(6000)
    clocked = parts.ticking(made)
    ticks = [frame.ts for frame in clocked if frame.kind == TICK]
    assert [frame for frame in clocked if frame.kind != TICK] == made
    assert len(ticks) == 3 and all(later - ts == parts.TICK_NS for ts, later in pairwise(ticks)), "24 ms of stamps, a tick each 10 ms"
    assert clocked == sorted(clocked, key=lambda frame: frame.ts)
