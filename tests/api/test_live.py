"""The live stream over real sockets: exact, without holes, and no client can harm another."""

from __future__ import annotations

import asyncio
import socket
import threading
from typing import Any

import orjson
import pytest
from fastapi import FastAPI
from websockets.exceptions import ConnectionClosed, InvalidStatus

from dope.api.clients import QUEUE, Outbox
from dope.api.live import Hub
from tests.api.house import Browser, House, believed, follow, serving
from tests.api.publisher import Publisher, full, instrument, opportunity


def publish_many(publisher: Publisher, count: int, *, pause: threading.Event, filler: str = "") -> None:
    """Publish ``count`` changes as the runtime would, a few ms apart."""
    for i in range(count):
        rows = [opportunity(j, net_bps=i * 1.5 + j) for j in range(1 + i % 4)]
        pause.wait(0.004)
        publisher.publish({"opps": rows, "cards": {"total": i, "filler": filler}})


async def run_publisher(publisher: Publisher, count: int, **options: Any) -> None:
    await asyncio.to_thread(publish_many, publisher, count, pause=threading.Event(), **options)


async def settled(house: House, browser: Browser, connection: Any) -> None:
    """Publish one last state, read up to it and compare."""
    house.publisher.publish()
    data = house.publisher.board.read().data
    await follow(connection, browser, until_tick=data["sys"]["tick"])
    assert browser.state == believed(dict(data))


def test_two_browsers_rebuild_what_was_published_without_a_hole() -> None:
    async def scene(house: House) -> None:
        async with house.connect() as one, house.connect() as two:
            browsers = [(Browser(), one), (Browser(), two)]
            work = asyncio.create_task(run_publisher(house.publisher, 100))
            await asyncio.gather(*(follow(connection, browser, until_tick=101) for browser, connection in browsers))
            await work
            for browser, connection in browsers:
                await settled(house, browser, connection)
                assert (browser.holes, browser.snapshots) == (0, 1)

    with serving() as house:
        asyncio.run(scene(house))


def test_the_first_message_is_a_snapshot_and_a_resync_brings_another() -> None:
    async def scene(house: House) -> None:
        async with house.connect() as connection:
            browser = Browser()
            first = browser.receive(await connection.recv())
            assert first["type"] == "snapshot" and set(first) == {"type", "seq", "t", "age_ms", "event_ns", "data"}
            assert browser.state == believed(full() | {"sys": house.publisher.board.read().data["sys"]})
            house.publisher.publish({"opps": []})
            await follow(connection, browser, until_tick=2)
            await connection.send('{"type":"resync"}')
            while browser.snapshots < 2:
                browser.receive(await connection.recv())
            await settled(house, browser, connection)
            assert browser.holes == 0

    with serving() as house:
        asyncio.run(scene(house))


def test_a_log_that_was_cleared_reaches_everybody_as_a_snapshot() -> None:
    async def scene(house: House) -> None:
        async with house.connect() as connection:
            browser = Browser()
            browser.receive(await connection.recv())
            house.publisher.publish({"events": [], "mode": {"source": "live"}})
            await follow(connection, browser, until_tick=2)
            assert browser.snapshots == 2 and browser.holes == 0 and browser.state["events"] == []
            await settled(house, browser, connection)

    with serving() as house:
        asyncio.run(scene(house))


def test_a_silent_engine_still_sends_an_empty_delta_every_second() -> None:
    async def scene(house: House) -> None:
        async with house.connect() as connection:
            seqs = [orjson.loads(await connection.recv())["seq"]]
            for _ in range(2):
                message = orjson.loads(await connection.recv())
                assert (message["type"], message["data"]) == ("delta", {})
                seqs.append(message["seq"])
            assert seqs == [seqs[0], seqs[0] + 1, seqs[0] + 2]

    with serving() as house:
        asyncio.run(scene(house))


def test_a_ping_is_answered_with_its_own_time_and_ours() -> None:
    async def scene(house: House) -> None:
        async with house.connect() as connection:
            await connection.send('{"type":"ping","c":12.5}')
            while (message := orjson.loads(await connection.recv()))["type"] != "pong":
                pass
            assert message["c"] == 12.5 and message["t"] > 1.6e12

    with serving() as house:
        asyncio.run(scene(house))


@pytest.mark.parametrize(
    ("text", "code"),
    [
        ("hello", 1008),
        ("[]", 1008),
        ('{"type":"subscribe"}', 1008),
        ('{"type":"ping"}', 1008),
        ('{"type":"ping","c":"x"}', 1008),
        (b"\x00\xff", 1008),
        ("[" * 60_000, 1008),
        ('{"type":"ping","c":"' + "x" * 70_000 + '"}', 1009),
    ],
)
def test_what_is_no_message_of_ours_ends_the_connection(text: str | bytes, code: int) -> None:
    async def scene(house: House) -> int | None:
        async with house.connect() as connection:
            await connection.send(text)
            with pytest.raises(ConnectionClosed) as closed:
                while True:
                    await connection.recv()
            return closed.value.rcvd.code if closed.value.rcvd else None

    with serving() as house:
        assert asyncio.run(scene(house)) == code


def test_a_flood_of_messages_ends_the_connection() -> None:
    async def scene(house: House) -> int | None:
        async with house.connect() as connection:
            with pytest.raises(ConnectionClosed) as closed:
                for _ in range(100_000):
                    await connection.send('{"type":"resync"}')
                while True:
                    await connection.recv()
            return closed.value.rcvd.code if closed.value.rcvd else None

    with serving() as house:
        assert asyncio.run(scene(house)) in (1008, None)  # None: it wrote on while the server had closed
        assert house.app.state.hub.counts["resyncs"] < 1000


def test_compression_is_not_offered() -> None:
    async def scene(house: House) -> str | None:
        async with house.connect(compression="deflate") as connection:
            assert connection.response is not None
            return connection.response.headers.get("Sec-WebSocket-Extensions")

    with serving() as house:
        assert asyncio.run(scene(house)) is None


def silent_client(house: House, path: str = "/ws/v1/live") -> socket.socket:
    """A client that asks for a stream and never reads it."""
    client = socket.create_connection(("127.0.0.1", house.port))
    client.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
    client.sendall(
        f"GET {path} HTTP/1.1\r\nHost: 127.0.0.1:{house.port}\r\nOrigin: {house.url}\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
        "Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\n\r\n".encode()
    )
    return client


def test_a_client_that_never_reads_costs_the_others_nothing_and_is_closed() -> None:
    async def scene(house: House) -> None:
        house.app.state.hub.manager.drain_s = 1.0
        silent = [silent_client(house) for _ in range(3)]
        async with house.connect() as connection:
            browser = Browser()
            work = asyncio.create_task(run_publisher(house.publisher, 250, filler="x" * 200_000))
            await follow(connection, browser, until_tick=251)
            await work
            await settled(house, browser, connection)
            assert (browser.holes, browser.snapshots) == (0, 1)
            messages = 0  # one a second while nothing is published
            while house.connections() > 1:  # the sockets too are let go, though what was sent to them was never taken
                await connection.recv()
                messages += 1
                assert messages < 30
        assert house.app.state.hub.counts["evicted"] == 3
        for client in silent:
            client.close()

    with serving() as house:
        asyncio.run(scene(house))


def test_a_client_that_pauses_gets_a_fresh_snapshot_instead_of_what_it_missed() -> None:
    outbox = Outbox(limit=3)

    async def scene() -> None:
        assert await outbox.take() is None  # the first thing is always a snapshot
        assert [outbox.put(text) for text in "abcd"] == [True, True, True, False]
        assert outbox.put("e")  # contained in the snapshot that is due
        assert await outbox.take() is None
        assert outbox.put("f")
        outbox.reply("pong")
        assert [await outbox.take(), await outbox.take()] == ["f", "pong"]

    asyncio.run(scene())


async def no_place(house: House) -> None:
    with pytest.raises(InvalidStatus) as refused:
        await house.connect()
    assert refused.value.response.status_code == 503 and refused.value.response.headers["Retry-After"] == "10"


def test_more_clients_than_allowed_are_told_to_come_back_later() -> None:
    async def scene(house: House) -> None:
        async with house.connect() as one, house.connect() as two:
            for connection in (one, two):
                assert orjson.loads(await connection.recv())["type"] == "snapshot"
            await no_place(house)
        while house.app.state.hub.clients:
            await asyncio.sleep(0.01)
        async with house.connect() as again:  # places are given back
            assert orjson.loads(await again.recv())["type"] == "snapshot"

    with serving(max_clients=2) as house:
        asyncio.run(scene(house))


def test_one_address_has_a_limit_of_its_own() -> None:
    async def scene(house: House) -> None:
        connections = [await house.connect() for _ in range(house.app.state.web.settings.max_clients_per_address)]
        await no_place(house)
        async with house.connect(local_addr=("127.0.0.9", 0)) as elsewhere:
            assert orjson.loads(await elsewhere.recv())["type"] == "snapshot"
        for connection in connections:
            await connection.close()

    with serving() as house:
        asyncio.run(scene(house))


def test_polling_gets_the_same_snapshot() -> None:
    with serving() as house:
        message = Browser().receive(house.get("/api/v1/live").content)
        assert message["type"] == "snapshot"
        browser = Browser()
        browser.receive(house.get("/api/v1/live").content)
        assert browser.state == believed(dict(house.publisher.board.read().data))
        house.publisher.publish({"instruments": [instrument("okx", "SOL-USDT")]})
        browser.receive(house.get("/api/v1/live").content)
        assert list(browser.state["instruments"]) == ["okx:SOL-USDT"]


def test_what_waits_for_a_client_is_bounded() -> None:
    outbox = Outbox(QUEUE)

    async def scene() -> None:
        await outbox.take()
        for i in range(100_000):
            outbox.put(str(i))
        assert len(outbox._texts) <= QUEUE

    asyncio.run(scene())


def test_the_broadcaster_rests_while_nobody_watches() -> None:
    async def scene(house: House) -> None:
        hub: Hub = house.app.state.hub
        async with house.connect() as connection:
            await connection.recv()
        while hub._task is not None and not hub._task.done():
            await asyncio.sleep(0.01)
        assert hub.clients == 0 and house.publisher.board._followers == ()
        async with house.connect() as connection:
            browser = Browser()
            browser.receive(await connection.recv())
            await settled(house, browser, connection)

    with serving(app=FastAPI()) as house:
        asyncio.run(scene(house))
