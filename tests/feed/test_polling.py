"""Books by REST: instead of a venue's sockets while none of them delivers, beside them now and then."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Callable, Sequence

import httpx
import msgspec
import pytest

from dope.feed import Clock, Feed, Timing
from dope.feed.polling import PLAN
from dope.feed.transport import ConnectFailed, Listener
from dope.types import CLOSED, DATA, OPEN, REPLY, ClosedInfo, Fetch, Frame, OpenInfo, ReplyInfo, Send
from dope.watch import Watch
from tests.feed.loopback import FAST, Recorder, Wire, in_virtual_time
from tests.feed.test_connection import End

POLL_S, CHECK_S, SETTLE_S = 1.0, 30.0, 5.0


class Offering(Wire):
    """A venue that offers its books by REST."""

    def polls(self, conn: int, symbols: Sequence[str]) -> Sequence[Fetch]:
        return [Fetch(conn, f"book:{symbol}", f"http://wire/{symbol}") for symbol in symbols]


class House:
    """A feed in virtual time. ``up`` = sockets open and deliver; ``answer`` says what REST says."""

    def __init__(self, clock: Clock, *, answer: Callable[[], int] = lambda: 200, venue: Wire | None = None) -> None:
        self.up, self.recorder, self.asked = False, Recorder(), [0.0]
        self._clock, self._start, self._listeners = clock, clock.now(), list[Listener]()
        self.asked.clear()

        def reply(request: httpx.Request) -> httpx.Response:
            self.asked.append(self.s())
            return httpx.Response(answer(), text="{}")

        self._client = httpx.AsyncClient(transport=httpx.MockTransport(reply))
        wire = venue or Offering("ws://wire/", limits=FAST)
        timing = Timing(poll_s=POLL_S, check_s=CHECK_S, settle_s=SETTLE_S, cap_s=20.0)
        self.watch = Watch()
        self.feed = Feed(
            {"wire": wire}, self.recorder, clock, random.Random(1), connect=self._connect, client=self._client, timing=timing,
            watch=self.watch,
        )  # fmt: skip
        self._tasks = [asyncio.ensure_future(self.feed.run()), asyncio.ensure_future(self._stream())]

    def s(self) -> float:
        return (self._clock.now() - self._start) / 1e9

    async def _connect(self, url: str, listener: Listener) -> None:
        if not self.up:
            raise ConnectFailed("connection refused")
        listener.opened(End())
        self._listeners.append(listener)

    async def _stream(self) -> None:
        while True:
            for listener in self._listeners:
                listener.message(b"data")
            await asyncio.sleep(0.5)

    def cut(self) -> None:
        self.up = False
        for listener in self._listeners:
            listener.closed(1006, "cut")
        self._listeners.clear()

    async def stop(self) -> None:
        await self.feed.stop()
        self._tasks[1].cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        await self._client.aclose()

    def epochs(self) -> list[tuple[int, str]]:
        """(connection, plan) in order of opening."""
        return [(f.conn, msgspec.json.decode(f.data, type=OpenInfo).plan) for f in self.recorder.of(OPEN)]

    def replies(self, conn: int) -> list[Frame]:
        return [f for f in self.recorder.of(REPLY) if f.conn == conn]


def test_while_no_socket_opens_books_are_asked_for_each_second_in_an_epoch_without_socket() -> None:
    async def main(clock: Clock) -> None:
        house = House(clock)
        await asyncio.sleep(60.0)
        assert house.epochs() == [(1, PLAN)] and house.asked[0] < 0.5, "from the start on, as there is no book yet"
        assert 40 <= len(house.asked) <= 60 and len(house.replies(1)) == len(house.asked)
        info = msgspec.json.decode(house.replies(1)[0].data.partition(b"\n")[0], type=ReplyInfo)
        assert (info.key, info.status) == ("book:BTC-USDT", 200)
        house.feed.actions([("wire", Send(1, "nobody hears this")), ("wire", Send(1, "nor this", delay_s=1.0))])
        await house.stop()
        assert house.recorder.story()[0] == "open 1" and house.recorder.story()[-1] == "closed 1"

    in_virtual_time(main)


def test_a_socket_that_delivers_ends_it_and_is_compared_with_twice_a_minute_until_it_is_lost() -> None:
    async def main(clock: Clock) -> None:
        house = House(clock)
        await asyncio.sleep(10.0)
        house.up = True
        await asyncio.sleep(30.0)
        (closed,) = [msgspec.json.decode(f.data, type=ClosedInfo) for f in house.recorder.of(CLOSED)]
        assert house.epochs() == [(1, PLAN), (2, "plan0")] and closed == ClosedInfo(1000, "a socket delivers", planned=True)
        first = house.recorder.of(DATA)[0].ts
        handed = (house.recorder.of(CLOSED)[0].ts - first) / 1e9
        assert SETTLE_S - 0.5 <= handed < SETTLE_S + 1.0, "not before the socket has had time for every book"
        before = len(house.asked)
        await asyncio.sleep(300.0)
        assert 9 <= len(house.asked) - before <= 11 and len(house.replies(2)) == len(house.asked) - before
        house.cut()
        await asyncio.sleep(5.0)
        assert house.epochs()[2:] == [(3, PLAN)] and 3 <= len(house.replies(3)) <= 6
        await house.stop()

    in_virtual_time(main)


def test_failures_slow_the_rounds_down_and_success_makes_them_quick_again() -> None:
    async def main(clock: Clock) -> None:
        status = [500]
        house = House(clock, answer=lambda: status[0])
        await asyncio.sleep(200.0)
        assert 8 <= len(house.asked) <= 20
        status[0] = 200
        await asyncio.sleep(25.0)
        before = len(house.asked)
        await asyncio.sleep(20.0)
        assert len(house.asked) - before >= 12
        await house.stop()

    in_virtual_time(main)


def test_nothing_piles_up_behind_a_ban() -> None:
    async def main(clock: Clock) -> None:
        status = [418]
        house = House(clock, answer=lambda: status[0])
        await asyncio.sleep(1000.0)
        assert len(house.asked) <= 9, "one request each time that the ban is over"
        assert sum(task.get_name().startswith("fetch") for task in asyncio.all_tasks()) <= 1
        await house.stop()

    in_virtual_time(main)


@pytest.mark.kills("polling")
def test_a_polling_that_ends_is_told_and_runs_again() -> None:
    async def main(clock: Clock) -> None:
        house = House(clock)
        await asyncio.sleep(5.0)
        (task,) = [task for task in asyncio.all_tasks() if task.get_name() == "polling wire"]
        task.cancel()
        await asyncio.sleep(10.0)
        assert house.watch.counts["polling"] == 1
        assert house.epochs() == [(1, PLAN), (2, PLAN)] and house.replies(2), "in a new epoch"
        await house.stop()

    in_virtual_time(main)


def test_a_venue_without_sockets_is_by_rest_while_its_answers_are_good_and_down_otherwise() -> None:
    async def main(clock: Clock) -> None:
        status = [200]
        house = House(clock, answer=lambda: status[0])

        def state() -> str:
            return house.feed.health()["wire"].state

        await asyncio.sleep(10.0)
        assert state() == "rest"
        status[0] = 500
        await asyncio.sleep(5.0)
        assert state() == "down", "neither way"
        status[0] = 200
        await asyncio.sleep(60.0)
        assert state() == "rest"
        house.up = True
        await asyncio.sleep(60.0)
        assert state() == "live"
        house.cut()
        await asyncio.sleep(5.0)
        assert state() == "rest"
        await house.stop()

    in_virtual_time(main)


def test_a_venue_that_offers_none_is_not_asked() -> None:
    async def main(clock: Clock) -> None:
        house = House(clock, venue=Wire("ws://wire/", limits=FAST))
        await asyncio.sleep(60.0)
        assert house.asked == [] and house.epochs() == []
        await house.stop()

    in_virtual_time(main)
