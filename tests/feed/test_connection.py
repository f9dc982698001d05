"""A supervised connection over hours of virtual time: polite, patient, never giving up."""

from __future__ import annotations

import asyncio
import itertools
import random
from collections.abc import Awaitable, Callable

import msgspec

from dope.feed.backoff import Breaker
from dope.feed.clock import Clock
from dope.feed.connection import Connection, Shared, Timing, VenueDesk
from dope.feed.health import judge
from dope.feed.link import REFUSED, Link, LinkRules, Registry
from dope.feed.outbox import Outbox
from dope.feed.pace import ConnectPace
from dope.feed.transport import ConnectFailed, Listener
from dope.types import CLOSED, DATA, OPEN, SENT, UNWATCHED, ClosedInfo, Limits, Plan
from tests.feed.loopback import Recorder, in_virtual_time


class Peer:
    """The far side of the seam: ``behave`` decides what becomes of each attempt."""

    def __init__(self, clock: Clock, behave: Callable[[Peer, Listener], Awaitable[None]]) -> None:
        self.attempts: list[float] = []
        self.clock = clock
        self._behave = behave
        self._start = clock.now()
        self._tasks: list[asyncio.Task[None]] = []

    def s(self) -> float:
        """s since the start."""
        return (self.clock.now() - self._start) / 1e9

    async def __call__(self, url: str, listener: Listener) -> None:
        self.attempts.append(self.s())
        await self._behave(self, listener)

    def later(self, work: Awaitable[None]) -> None:
        self._tasks.append(asyncio.ensure_future(work))


class End:
    """The near side of an open socket; closing it costs nothing."""

    def send(self, text: str) -> None:
        pass

    def close(self, code: int = 1000) -> None:
        pass


async def refuse(peer: Peer, listener: Listener) -> None:
    raise ConnectFailed("connection refused")


async def accept_and_drop(peer: Peer, listener: Listener) -> None:
    listener.opened(End())
    listener.message(b"welcome")
    listener.closed(1006, "connection lost")


async def end_in_our_words(peer: Peer, listener: Listener) -> None:
    listener.opened(End())
    listener.closed(1000, UNWATCHED)


async def deliver(peer: Peer, listener: Listener) -> None:
    """Open and send a message each second, for ever."""
    listener.opened(End())

    async def stream() -> None:
        while True:
            listener.message(b"data")
            await asyncio.sleep(1.0)

    peer.later(stream())


async def no_address(plan: Plan) -> str:
    raise AssertionError("these plans have an address")


class House:
    """Connections of one venue over a peer."""

    def __init__(
        self, clock: Clock, peer: Peer, count: int = 1, *, seed: int = 1, timing: Timing | None = None, limits: Limits | None = None
    ) -> None:
        self.recorder = Recorder()
        outbox = Outbox(clock, self.recorder)
        self.breaker = Breaker(clock.now, random.Random(seed))
        desk = VenueDesk(LinkRules("wire", 5.0, 4.0), ConnectPace(limits or Limits(), clock.now), self.breaker, no_address)
        shared = Shared(outbox, clock, random.Random(seed), peer, Registry(), timing or Timing())
        self.connections = [Connection(Plan(f"p{i}", "ws://wire/", ()), desk, shared) for i in range(count)]
        self.tasks = [asyncio.ensure_future(connection.run()) for connection in self.connections]

    async def close(self, peer: Peer) -> None:
        for task in (*self.tasks, *peer._tasks):
            task.cancel()
        await asyncio.gather(*self.tasks, *peer._tasks, return_exceptions=True)
        for connection in self.connections:
            connection.close("over")


def most_in(times: list[float], window_s: float) -> int:
    return max(sum(start <= at < start + window_s - 1e-6 for at in times) for start in times)


def test_a_venue_that_refuses_is_tried_for_ever_and_never_hammered() -> None:
    async def main(clock: Clock) -> None:
        peer = Peer(clock, refuse)
        house = House(clock, peer)
        await asyncio.sleep(2 * 3600)
        gaps = [b - a for a, b in itertools.pairwise(peer.attempts)]
        assert peer.attempts[-1] > 2 * 3600 - 125
        assert len(peer.attempts) < 7200 / 30
        assert all(gap >= 29.9 for gap in gaps[5:])  # the breaker: one probe per cool-down
        assert max(gaps) <= 61.0
        assert len({round(gap, 3) for gap in gaps}) > 0.9 * len(gaps)  # jitter, also at the cap
        assert house.breaker.state == "open"
        assert house.connections[0].next_try > clock.now()
        await house.close(peer)

    in_virtual_time(main)


def test_a_venue_that_accepts_and_drops_is_not_hammered() -> None:
    async def main(clock: Clock) -> None:
        peer = Peer(clock, accept_and_drop)
        house = House(clock, peer)
        await asyncio.sleep(600)
        assert len(peer.attempts) < 30
        kinds = [frame.kind for frame in house.recorder.frames]
        assert kinds.count(OPEN) == kinds.count(CLOSED) == len(peer.attempts)
        await house.close(peer)

    in_virtual_time(main)


def test_after_an_outage_the_venue_is_back_within_65_s_of_its_return() -> None:
    for seed in range(12):

        async def main(clock: Clock, seed: int = seed) -> None:
            back_at = 600.0

            async def behave(peer: Peer, listener: Listener) -> None:
                await (deliver if peer.s() >= back_at else refuse)(peer, listener)

            peer = Peer(clock, behave)
            house = House(clock, peer, count=3, seed=seed)
            while not all(connection.live for connection in house.connections):
                await asyncio.sleep(0.5)
            assert peer.s() <= back_at + 65.0 + 3.0  # 3 s: three connections at one per second
            await asyncio.sleep(10)
            assert house.breaker.state == "closed"
            await house.close(peer)

        in_virtual_time(main)


def test_an_end_is_planned_when_we_say_so_and_not_when_the_venue_says_the_same_words() -> None:
    async def last(clock: Clock, behave: Callable[[Peer, Listener], Awaitable[None]]) -> ClosedInfo:
        peer = Peer(clock, behave)
        house = House(clock, peer)
        await asyncio.sleep(3.0)
        house.connections[0].close(UNWATCHED)
        await house.close(peer)
        return msgspec.json.decode(house.recorder.of(CLOSED)[-1].data, type=ClosedInfo)

    async def main(clock: Clock) -> None:
        assert await last(clock, deliver) == ClosedInfo(1000, UNWATCHED, planned=True)
        assert await last(clock, end_in_our_words) == ClosedInfo(1000, UNWATCHED)

    in_virtual_time(main)


def test_while_the_breaker_is_open_only_one_connection_probes() -> None:
    async def main(clock: Clock) -> None:
        peer = Peer(clock, refuse)
        house = House(clock, peer, count=10, limits=Limits(connects_per_s=100.0))
        await asyncio.sleep(900)
        late = [at for at in peer.attempts if at > 100]
        assert most_in(late, 29.0) <= 1
        assert len(late) >= 10
        await house.close(peer)

    in_virtual_time(main)


def test_a_hundred_connections_that_fall_at_once_come_back_within_the_limits() -> None:
    async def main(clock: Clock) -> None:
        ears: list[Listener] = []

        async def behave(peer: Peer, listener: Listener) -> None:
            ears.append(listener)
            await deliver(peer, listener)

        peer = Peer(clock, behave)
        house = House(clock, peer, count=100)
        await asyncio.sleep(900)
        assert all(connection.live for connection in house.connections)
        for ear in list(ears):
            ear.closed(1001, "restart")
        await asyncio.sleep(1200)
        assert all(connection.live for connection in house.connections)
        assert most_in(peer.attempts, 1.0) == 1
        assert most_in(peer.attempts, 300.0) <= 60
        await house.close(peer)

    in_virtual_time(main)


def test_a_trickle_just_below_the_idle_limit_is_no_silence_and_just_above_it_is() -> None:
    for period_s, ends in ((4.9, False), (5.1, True)):

        async def main(clock: Clock, period_s: float = period_s, ends: bool = ends) -> None:
            async def behave(peer: Peer, listener: Listener) -> None:
                listener.opened(End())

                async def stream() -> None:
                    while True:
                        listener.message(b"data")
                        await asyncio.sleep(period_s)

                peer.later(stream())

            peer = Peer(clock, behave)
            house = House(clock, peer)
            await asyncio.sleep(60)
            closed = [frame for frame in house.recorder.frames if frame.kind == CLOSED]
            assert bool(closed) == ends
            if closed:
                heard = max(frame.ts for frame in house.recorder.frames if frame.conn == 1 and frame.kind == DATA)
                assert 5.0 <= (closed[0].ts - heard) / 1e9 <= 5.001
            await house.close(peer)

        in_virtual_time(main)


def test_a_single_reset_costs_a_second_or_so() -> None:
    costs: list[float] = []
    for seed in range(15):

        async def main(clock: Clock, seed: int = seed) -> None:
            ears: list[Listener] = []

            async def behave(peer: Peer, listener: Listener) -> None:
                ears.append(listener)
                await deliver(peer, listener)

            peer = Peer(clock, behave)
            house = House(clock, peer, seed=seed)
            await asyncio.sleep(120)
            ears[0].closed(1006, "connection lost")
            await asyncio.sleep(30)
            costs.append(peer.attempts[1] - 120)
            await house.close(peer)

        in_virtual_time(main)
    assert sorted(costs)[len(costs) // 2] <= 1.0
    assert max(costs) <= 1.1


def test_a_minute_of_good_data_and_not_a_handshake_resets_the_back_off() -> None:
    async def main(clock: Clock) -> None:
        async def behave(peer: Peer, listener: Listener) -> None:
            lives = 20.0 if len(peer.attempts) <= 8 else 70.0
            listener.opened(End())

            async def stream() -> None:
                for _ in range(int(lives)):
                    listener.message(b"data")
                    await asyncio.sleep(1.0)
                listener.closed(1006, "connection lost")

            peer.later(stream())

        peer = Peer(clock, behave)
        house = House(clock, peer)
        while len(peer.attempts) < 12:
            await asyncio.sleep(1.0)
        gaps = [b - a for a, b in itertools.pairwise(peer.attempts)]
        assert sum(gaps[4:8]) > 4 * 20 + 20  # eight short lives: the delays grew although every handshake worked
        assert all(gap <= 71.1 for gap in gaps[8:])  # a long life: again at most 1 s
        await house.close(peer)

    in_virtual_time(main)


def test_a_blocked_venue_is_asked_once_a_minute_or_less() -> None:
    async def main(clock: Clock) -> None:
        async def behave(peer: Peer, listener: Listener) -> None:
            raise ConnectFailed("HTTP", status=451)

        peer = Peer(clock, behave)
        house = House(clock, peer)
        await asyncio.sleep(3600)
        assert 20 <= len(peer.attempts) <= 60
        assert all(b - a >= 60 for a, b in itertools.pairwise(peer.attempts))
        trouble = house.connections[0].trouble
        assert trouble is not None and trouble.state == "blocked"
        await house.close(peer)

    in_virtual_time(main)


async def take_nothing(peer: Peer, listener: Listener) -> None:
    """Open and answer, but no subscription is taken: so we end it."""
    assert isinstance(listener, Link)
    link = listener
    link.opened(End())
    link.message(b"no such market")

    async def refused() -> None:
        await asyncio.sleep(1.0)
        link.end(REFUSED, "every subscription was refused: no such market")

    peer.later(refused())


def test_a_venue_that_takes_no_subscription_is_asked_ever_more_rarely_and_is_told_to_refuse() -> None:
    async def main(clock: Clock) -> None:
        takes = False

        async def behave(peer: Peer, listener: Listener) -> None:
            await (deliver if takes else take_nothing)(peer, listener)

        peer = Peer(clock, behave)
        house = House(clock, peer)
        await asyncio.sleep(2.0)
        states = set()
        for _ in range(6 * 3600):
            states.add(judge(house.connections))
            await asyncio.sleep(1.0)
        assert states == {"refused"}, "also while it is tried once more"
        waits = [b - a for a, b in itertools.pairwise(peer.attempts)]
        assert all(wait >= min(60.0 * 2**n, 3600.0) for n, wait in enumerate(waits)) and 8 <= len(peer.attempts) <= 12
        assert house.breaker.state == "closed", "the venue is there"
        takes = True
        await asyncio.sleep(3700.0)
        assert judge(house.connections) == "live"
        await house.close(peer)

    in_virtual_time(main)


def test_what_is_asked_for_anew_is_asked_at_once_although_the_last_wish_was_refused() -> None:
    async def main(clock: Clock) -> None:
        peer = Peer(clock, take_nothing)
        house = House(clock, peer)
        await asyncio.sleep(30.0)
        (connection,) = house.connections
        connection.plan = Plan("p0", "ws://wire/", ("ETH-USDT",))
        connection.replace()
        await asyncio.sleep(5.0)
        assert len(peer.attempts) == 2
        await asyncio.sleep(50.0)
        assert len(peer.attempts) == 2
        await house.close(peer)

    in_virtual_time(main)


def test_retry_after_at_the_upgrade_is_waited_out() -> None:
    async def main(clock: Clock) -> None:
        async def behave(peer: Peer, listener: Listener) -> None:
            raise ConnectFailed("HTTP", status=429, retry_after_s=30.0)

        peer = Peer(clock, behave)
        house = House(clock, peer)
        await asyncio.sleep(600)
        assert all(b - a >= 30 for a, b in itertools.pairwise(peer.attempts))
        await house.close(peer)

    in_virtual_time(main)


def test_what_one_connection_is_told_to_wait_all_of_the_venue_wait() -> None:
    async def main(clock: Clock) -> None:
        async def behave(peer: Peer, listener: Listener) -> None:
            if peer.s() < 300.0:
                raise ConnectFailed("HTTP", status=429, retry_after_s=100.0)
            await deliver(peer, listener)

        peer = Peer(clock, behave)
        house = House(clock, peer, count=5)
        await asyncio.sleep(300)
        assert 2 <= len(peer.attempts) <= 3 and all(b - a >= 100 for a, b in itertools.pairwise(peer.attempts))
        await asyncio.sleep(150)
        assert all(connection.live for connection in house.connections)
        await house.close(peer)

    in_virtual_time(main)


def test_a_link_is_replaced_before_the_venue_cuts_it_and_that_is_no_failure() -> None:
    async def main(clock: Clock) -> None:
        peer = Peer(clock, deliver)
        house = House(clock, peer, timing=Timing(life_s=1000.0, base_s=60.0))
        await asyncio.sleep(3000)
        gaps = [b - a for a, b in itertools.pairwise(peer.attempts)]
        assert gaps and all(895 <= gap <= 1000.2 for gap in gaps)  # at once: no back-off
        assert house.connections[0].failed_at == []
        assert house.breaker.failures == 0
        story = [(frame.kind, frame.conn) for frame in house.recorder.frames if frame.kind in (OPEN, CLOSED)]
        assert story[:4] == [(OPEN, 1), (OPEN, 2), (CLOSED, 1), (OPEN, 3)]
        await house.close(peer)

    in_virtual_time(main)


def test_the_old_link_stays_until_the_new_one_has_asked_for_everything() -> None:
    async def main(clock: Clock) -> None:
        peer = Peer(clock, deliver)
        house = House(clock, peer, timing=Timing(life_s=1000.0, base_s=60.0, overlap_s=2.0))
        connection = house.connections[0]
        await asyncio.sleep(60)
        old = connection.link
        connection.replace()
        while connection.link is old:
            await asyncio.sleep(0.01)
        assert connection.link is not None and old is not None
        for number in range(100):
            connection.link.send(f"subscribe {number}")
        busy_s = 100 / connection.link._rules.messages_per_s
        await asyncio.sleep(busy_s + 1.5)
        assert not old.over, "books asked for last have not begun on the new one"
        await asyncio.sleep(3.0)
        assert old.over
        await house.close(peer)

    in_virtual_time(main)


def test_a_text_for_later_waits_and_the_same_one_asked_for_again_waits_anew() -> None:
    async def main(clock: Clock) -> None:
        peer = Peer(clock, deliver)
        house = House(clock, peer)
        await asyncio.sleep(1)
        link = house.connections[0].link
        assert link is not None
        begin = clock.now()
        link.send_later("again", 2.0)
        link.send_later("other", 2.5)
        await asyncio.sleep(1.5)
        link.send_later("again", 2.0)
        await asyncio.sleep(3)
        sent = [(frame.data, round((frame.ts - begin) / 1e9, 1)) for frame in house.recorder.of(SENT)]
        assert sent == [(b"other", 2.5), (b"again", 3.5)]
        link.send_later("never", 1.0)
        link.end(1000, "over")
        link.send_later("never", 1.0)
        await asyncio.sleep(3)
        assert len(house.recorder.of(SENT)) == 2
        await house.close(peer)

    in_virtual_time(main)


def test_a_person_in_a_hurry_ends_the_wait() -> None:
    async def main(clock: Clock) -> None:
        peer = Peer(clock, refuse)
        house = House(clock, peer)
        await asyncio.sleep(300)
        before = len(peer.attempts)
        await asyncio.sleep(peer.attempts[-1] + 5 - peer.s())
        house.connections[0].hurry()
        await asyncio.sleep(1.5)
        assert len(peer.attempts) > before
        await house.close(peer)

    in_virtual_time(main)
