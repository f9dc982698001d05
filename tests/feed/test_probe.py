"""Whether any venue is there, asked cheaply."""

from __future__ import annotations

import asyncio

import pytest

from dope.feed import Clock, paces, reachable
from dope.types import Limits
from tests.feed.loopback import Wire, answering, serving, shake, until

BLOCKED = answering(b"HTTP/1.1 451 Unavailable\r\nContent-Length: 0\r\n\r\n")


async def hang(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    await reader.read()


class Door:
    """A server that counts who came in and who left."""

    def __init__(self) -> None:
        self.came = self.left = 0

    async def __call__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await shake(reader, writer)
        self.came += 1
        await reader.read()
        self.left += 1


def test_the_venue_that_answers_is_named_and_left_again() -> None:
    async def main() -> None:
        door = Door()
        async with serving(hang) as silent, serving(BLOCKED) as blocked, serving(door) as open_:
            venues = {
                "silent": Wire(silent, venue_id="silent"), "blocked": Wire(blocked, venue_id="blocked"),
                "nobody": Wire("ws://127.0.0.1:1/", venue_id="nobody"), "idle": Wire(venue_id="idle"),
                "open": Wire(open_, open_, venue_id="open"),
            }
            assert await reachable(venues, Clock(), 5.0) == "open"
            await until(lambda: (door.came, door.left) == (1, 1))

    asyncio.run(main())


def test_none_where_nobody_answers_and_none_when_time_is_up() -> None:
    async def main() -> None:
        async with serving(hang) as silent, serving(BLOCKED) as blocked:
            nobody = {"nobody": Wire("ws://127.0.0.1:1/", venue_id="nobody"), "blocked": Wire(blocked, venue_id="blocked")}
            assert await reachable(nobody, Clock(), 5.0) is None
            assert await reachable({"silent": Wire(silent, venue_id="silent")}, Clock(), 0.1) is None
            assert await reachable({}, Clock(), 0.1) is None

    asyncio.run(main())


@pytest.mark.kills("knock")
def test_one_knock_that_is_ended_leaves_the_others() -> None:
    async def main() -> None:
        door = Door()
        async with serving(hang) as silent, serving(door) as open_:
            venues = {"silent": Wire(silent, venue_id="silent"), "open": Wire(open_, open_, venue_id="open")}
            asked = asyncio.create_task(reachable(venues, Clock(), 60.0))
            await asyncio.sleep(0)
            next(task for task in asyncio.all_tasks() if task.get_name() == "knock silent").cancel()
            assert await asked == "open"
            silence = asyncio.create_task(reachable({"silent": venues["silent"]}, Clock(), 60.0))
            await asyncio.sleep(0.05)
            silence.cancel()
            with pytest.raises(asyncio.CancelledError):
                await silence

    asyncio.run(main())


def test_the_probe_shares_the_connection_pace_with_the_feed() -> None:
    async def main() -> None:
        door = Door()
        async with serving(door) as url:
            clock = Clock()
            venues = {"slow": Wire(url, limits=Limits(connects_per_s=0.01), venue_id="slow")}
            shared = paces(venues, clock)
            assert await reachable(venues, clock, 5.0, connect_paces=shared) == "slow"
            assert await reachable(venues, clock, 0.1, connect_paces=shared) is None  # its turn is 100 s away
            await until(lambda: door.left == 1)
            assert door.came == 1

    asyncio.run(main())
