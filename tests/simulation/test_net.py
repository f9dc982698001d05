"""The network in memory behaves as a network does, as far as feed and venues can tell, and two runs over it are the same run."""

from __future__ import annotations

import asyncio
import random

import httpx
import pytest

from dope.feed.clock import Clock
from dope.feed.transport import ConnectFailed, Socket
from dope.sim.dialogue import Client, Close, Ping, Reply
from dope.sim.port import Port
from dope.sim.venue import listings
from dope.types import LIVE
from tests.simulation.loop import Stuck, VirtualLoop, in_virtual_time
from tests.simulation.net import Net, Requests
from tests.simulation.stage import staged


class Echo:
    """A venue that repeats what it hears."""

    def admit(self, path: str, now: float) -> Reply | None:
        return None if path == "/ws" else Reply(429, "", (("Retry-After", "7"),))

    def opened(self, client: Client) -> list[str]:
        return ["welcome"]

    def heard(self, client: Client, text: str, now: float) -> list[str] | Close:
        return Close(4001, "so you wished") if text == "bye" else [text]

    def rest(self, path: str, query: dict[str, str], now: float) -> Reply:
        return Reply(200, f"{path} {query}")

    def posted(self, path: str, body: bytes, now: float) -> Reply:
        return Reply(201, body)


class Ear:
    """A listener that remembers."""

    def __init__(self) -> None:
        self.said: list[str] = []
        self.socket: Socket

    def opened(self, socket: Socket) -> None:
        self.socket = socket

    def message(self, data: bytes) -> None:
        self.said.append(data.decode())

    def closed(self, code: int, reason: str) -> None:
        self.said.append(f"{code} {reason}")


async def made(ping: Ping = Ping(None, None), *, posts: bool = False) -> tuple[Net, Port]:
    echo, net = Echo(), Net(random.Random(1))
    port = Port("echo", echo, asyncio.get_running_loop().time, ping, posted=echo.posted if posts else None)
    port.inside(net)
    await port.up()
    return net, port


def test_what_is_said_arrives_later_and_in_order_and_a_close_code_is_told() -> None:
    async def main(clock: Clock) -> None:
        net, port = await made()
        ear = Ear()
        await net.connect(f"{port.endpoints['ws']}/ws?x=1", ear)
        assert ear.said == []
        for text in ("1", "2", "3"):
            ear.socket.send(text)
        await asyncio.sleep(1)
        assert ear.said == ["welcome", "1", "2", "3"]
        ear.socket.send("bye")
        await asyncio.sleep(1)
        assert ear.said[4:] == ["4001 so you wished"] and not port.clients
        other = Ear()
        await net.connect(f"{port.endpoints['ws']}/ws", other)
        await asyncio.sleep(1)
        await port.kick(1006)
        await asyncio.sleep(1)
        assert other.said == ["welcome", "1006 connection lost"] and not port.clients
        await net.close()

    in_virtual_time(main)


def test_a_refusal_a_closed_port_and_a_frozen_one_are_told_apart() -> None:
    async def main(clock: Clock) -> None:
        net, port = await made(Ping(20.0, 60.0))
        with pytest.raises(ConnectFailed) as refused:
            await net.connect(f"{port.endpoints['ws']}/elsewhere", Ear())
        assert (refused.value.status, refused.value.retry_after_s) == (429, 7.0)
        ear = Ear()
        await net.connect(f"{port.endpoints['ws']}/ws", ear)
        await asyncio.sleep(300)
        assert ear.said == ["welcome"], "pings are answered"
        port.freeze()
        ear.socket.send("is anybody there?")
        await asyncio.sleep(50)
        assert ear.said == ["welcome"]
        await asyncio.sleep(50)
        assert ear.said[1:] == ["1011 keepalive ping timeout"]
        await port.down()
        with pytest.raises(ConnectFailed, match="connection refused"):
            await net.connect(f"{port.endpoints['ws']}/ws", Ear())
        await net.close()

    in_virtual_time(main)


def test_requests_are_answered_by_the_port_that_they_are_for() -> None:
    async def main(clock: Clock) -> None:
        net, port = await made(posts=True)
        client = httpx.AsyncClient(transport=Requests(net, random.Random(1)))
        for place in port.endpoints["rest"], port.endpoints["ws"].replace("ws:", "http:"):
            answer = await client.get(f"{place}/book?a=b%20c")
            assert (answer.status_code, answer.text) == (200, "/book {'a': 'b c'}")
        answer = await client.post(f"{port.endpoints['rest']}/token", content=b"please")
        assert (answer.status_code, answer.text) == (201, "please")
        port.refusing = 503
        assert (await client.get(f"{port.endpoints['rest']}/book")).status_code == 503
        await port.down()
        with pytest.raises(httpx.ConnectError):
            await client.get(f"{port.endpoints['rest']}/book")
        assert len(net.asked) == 5
        await client.aclose()

    in_virtual_time(main)


def test_virtual_time_stands_still_while_something_is_ready_and_ends_where_nothing_is_left() -> None:
    async def main(clock: Clock) -> None:
        began, order = clock.now(), []
        loop = asyncio.get_running_loop()
        for n in range(20):
            loop.call_later(0.5, order.append, n)
        await asyncio.sleep(3600.0)
        assert clock.now() - began == 3600 * 10**9 and sorted(order) == list(range(20))
        with pytest.raises(NotImplementedError):
            await asyncio.open_connection("127.0.0.1", 9)

    in_virtual_time(main)
    loop = VirtualLoop()
    with pytest.raises(Stuck):
        loop.run_until_complete(loop.create_future())
    loop.close()


def test_the_whole_path_from_wire_to_signals_is_the_same_in_a_second_run_and_another_with_another_seed() -> None:
    def digest(seed: int) -> str:
        async def main(clock: Clock) -> str:
            specs = [spec for spec in listings(("okx", "kraken")) if spec.symbol in ("BTC-USDT", "BTC-USDT-PERP")]
            async with staged(seed, specs, clock) as stage:
                await asyncio.sleep(5)
                engine = stage.session.engine
                assert {book.state for book in engine.market.books.values() if book.instrument.symbol in stage.settings.symbols} == {LIVE}
                assert stage.watch.counts == {}
                return engine.digest()

        return in_virtual_time(main)

    assert digest(1) == digest(1) != digest(2)
