"""All that a venue says to a reader: a minute of its simulated market over real sockets, one or two messages of each shape."""

from __future__ import annotations

import asyncio
import functools
import re
from collections import Counter

from dope.engine import Engine
from dope.sim.venue import listings
from dope.types import CLOSED, OPEN, REPLY, Event, Frame
from dope.venues import make
from tests.sim.recipes import world
from tests.sim.test_understood import Wiring

STEPS, ROUNDS = 500, 14  #: of 10 ms, so many times: more than a minute, so that a candle ends
OF_A_SHAPE = 2
NUMBERS = re.compile(rb"[0-9.]+")


class Recorder(Wiring):
    """Keeps what it hears."""

    def __init__(self, endpoints: dict[str, dict[str, str]], symbols: list[str]) -> None:
        super().__init__(endpoints)
        self.engine = Engine({venue: make(venue, symbols, there) for venue, there in endpoints.items()})
        self.frames: list[Frame] = []

    def step(self, venue: str, conn: int, kind: int, data: bytes) -> None:
        super().step(venue, conn, kind, data)
        self.frames.append(Frame(self.now, venue, conn, kind, data))


@functools.cache
def overheard(venue: str) -> tuple[Frame, ...]:
    """A session in order, without what it repeats; book messages may be missing in between, which a reader must bear anyway."""
    return asyncio.run(_overheard(venue))


async def _overheard(venue: str) -> tuple[Frame, ...]:
    specs = listings((venue,))
    found = [next((spec for spec in specs if spec.perpetual == perpetual), None) for perpetual in (False, True)]
    few = [spec for spec in found if spec is not None]
    async with world(venues=(venue,), listings=few) as (running, endpoints):
        recorder = Recorder(endpoints, [spec.symbol for spec in few])
        await recorder.connect()
        for _ in range(ROUNDS):
            await recorder.act()
            running.advance(STEPS)
            await recorder.listen()
        await recorder.close()
    reader, kept, seen = make(venue, [spec.symbol for spec in few]), list[Frame](), Counter[object]()
    for frame in recorder.frames:
        told = sorted({type(event).__name__ for event in reader.receive(frame)})
        shape = (frame.conn, *told) if set(told) - {"Ack"} else (frame.conn, NUMBERS.sub(b"0", frame.data[:200]))
        seen[shape] += 1
        if frame.kind in (OPEN, REPLY, CLOSED) or seen[shape] <= OF_A_SHAPE:
            kept.append(frame)
    return tuple(kept)


def kinds(venue: str) -> set[type[Event]]:
    """What a reader makes of it."""
    reader = make(venue, ())
    return {type(event) for frame in overheard(venue) for event in reader.receive(frame)}
