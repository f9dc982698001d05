"""The table of parts is made of work that was really done."""

from __future__ import annotations

from bench import parts
from bench.stream import SYMBOLS


def test_every_part_is_measured_and_the_compiled_calls_take_every_message() -> None:
    made = parts.frames(600)
    calls = parts.prepare(made)  # raises unless the calls go on to the end of their portions
    calls()
    told = parts.measure(count=600, rounds=1)
    assert [each.name for each in told] == [*parts.parts(made), parts.RECORDING]
    assert all(each.value > 0 for each in told[:-1]), "the last is a difference"
    assert {each.samples for each in told} == {600 + len(SYMBOLS) + 1}
    assert [each.name for each in told if each.target] == [parts.RECORDING]
