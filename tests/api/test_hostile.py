"""Hostile and slow clients over real sockets: floods, drips, endless messages. The others lose nothing, the server stays small."""

from __future__ import annotations

import asyncio
import socket
import threading
import time
from collections.abc import Iterator
from contextlib import ExitStack, closing, contextmanager, suppress
from typing import Any

import psutil
import pytest
from fastapi import FastAPI, Response

from dope.api import serve
from dope.api.serve import MAX_FRAGMENTS, MAX_HEAD, MAX_IDLE, MAX_URL, MAX_WS_MESSAGE
from tests.api.house import Browser, House, follow, serving
from tests.api.test_live import run_publisher, settled, silent_client
from tests.program import until

UPGRADE = "Upgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\n"


@pytest.fixture(scope="module")
def house() -> Iterator[House]:
    app = FastAPI()

    @app.get("/api/v1/export/endless.csv")
    def endless() -> Response:
        return Response(bytes(32 * 2**20), media_type="application/octet-stream")

    with serving(app=app) as running:
        yield running


@pytest.fixture(autouse=True)
def fresh(house: House) -> None:
    house.publisher.publish()


@contextmanager
def dialled(house: House, begin: str = "") -> Iterator[socket.socket]:
    with closing(socket.create_connection(("127.0.0.1", house.port), timeout=30)) as client:
        client.sendall(begin.format(port=house.port, url=house.url).encode())
        yield client


def ended(client: socket.socket, patience_s: float = 20.0) -> bytes:
    """All that the server says until it hangs up; AssertionError when it does not."""
    client.settimeout(patience_s)
    heard = b""
    try:
        while part := client.recv(65536):
            heard += part
    except ConnectionResetError:
        return heard
    except TimeoutError as error:
        raise AssertionError("the server still waits") from error
    return heard


# -- heads and bodies --------------------------------------------------------------------------------------------------
@pytest.mark.parametrize(
    ("begin", "drip"),
    [
        ("", b""),
        ("GET /health HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\n", b"X: 1\r\n"),
        ("GET /ws/v1/live HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\nOrigin: {url}\r\n" + UPGRADE, b"X: 1\r\n"),
        ("GET /hea", b"l"),
        ("GET /health HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\n\r\n", b"X"),
        ("POST /api/v1/commands HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\nContent-Type: application/json\r\nContent-Length: 999\r\n\r\n", b"x"),
    ],
    ids=["silent", "head", "handshake", "address", "second request", "body"],
)
def test_a_request_that_never_ends_is_cut(house: House, monkeypatch: pytest.MonkeyPatch, begin: str, drip: bytes) -> None:
    monkeypatch.setattr(serve, "HEAD_S", 0.4)
    monkeypatch.setattr(serve, "BODY_S", 0.4)
    with dialled(house, begin) as client:
        end = threading.Event()

        def feed() -> None:
            while drip and not end.wait(0.1):
                try:
                    client.sendall(drip)
                except OSError:
                    return

        thread = threading.Thread(target=feed)
        thread.start()
        try:
            ended(client)
        finally:
            end.set()
            thread.join()


def test_the_times_that_hold_in_earnest() -> None:
    assert (serve.HEAD_S, serve.BODY_S, serve.DRAIN_S, MAX_IDLE) == (5.0, 10.0, 15.0, 256)


@pytest.mark.parametrize(
    ("request_", "status"),
    [
        ("GET /" + "a" * MAX_URL + " HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\n\r\n", b"414"),
        ("GET /health?" + "a" * 200_000 + " HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\n\r\n", b"414"),
        ("GET /health HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\nX: " + "a" * MAX_HEAD + "\r\n\r\n", b"431"),
        ("GET /health HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\nX: " + "a" * 2_000_000, b"431"),
        ("GET /health HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\n" + "A: b\r\n" * 101 + "\r\n", b"431"),
        ("GET /health HTTP/1.1\r\n" + "A: b\r\n" * 100_000, b"431"),
        ("\x16\x03\x01\x02\x00\x01\x00\x01", b"400"),
        ("GET /health HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\nContent-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n", b"400"),
    ],
    ids=["address", "query", "header", "endless header", "many headers", "endless headers", "no HTTP", "two lengths"],
)
def test_heads_and_addresses_are_bounded(house: House, request_: str, status: bytes) -> None:
    with dialled(house) as client:
        with suppress(BrokenPipeError, ConnectionResetError):  # it may hang up while we still write
            client.sendall(request_.format(port=house.port).encode("latin-1"))
        heard = ended(client)
    assert not heard or heard.split()[1] == status, heard[:200]  # nothing: the answer was lost to our own unread bytes
    assert house.get("/health").status_code == 200


def test_large_but_ordinary_requests_pass(house: House) -> None:
    assert house.client.get("/health", params={"q": "a" * 6000}, headers={"Cookie": "b" * 16_000}).status_code == 200
    with dialled(house, "GET /health HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\n\r\n" * 20) as client:  # twenty at once, in one connection
        heard = b""
        while heard.count(b"HTTP/1.1 200") < 20:
            heard += client.recv(65536)


def test_an_answer_that_nobody_takes_is_dropped(house: House, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(serve, "DRAIN_S", 0.5)
    with dialled(house) as client:
        client.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        before = len(house._server.server_state.connections)
        client.sendall(f"GET /api/v1/export/endless.csv HTTP/1.1\r\nHost: 127.0.0.1:{house.port}\r\n\r\n".encode())
        until(lambda: len(house._server.server_state.connections) < before, "an end of the connection")


# -- many --------------------------------------------------------------------------------------------------------------
def asked(house: House) -> tuple[float, float]:
    """One /health on a connection of its own: seconds until the answer, and seconds of CPU that it cost the server."""
    clock = time.pthread_getcpuclockid(house.thread.ident or 0)
    spent, began = time.clock_gettime(clock), time.perf_counter()
    with dialled(house, "GET /health HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\n\r\n") as client:
        assert client.recv(65536).split()[1] == b"200"
    return time.perf_counter() - began, time.clock_gettime(clock) - spent


def test_a_thousand_idle_sockets_shut_nobody_out(house: House, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setattr(serve, "HEAD_S", 1e6)  # no deadline: only the newcomers make the oldest go
    idle = []
    try:
        for _ in range(1000):
            idle.append(socket.create_connection(("127.0.0.1", house.port)))
        until(lambda: len(house._server.server_state.connections) <= MAX_IDLE + 10, "room made by the oldest", 20.0)
        house.publisher.publish()
        waits, costs = (sorted(column) for column in zip(*(asked(house) for _ in range(200)), strict=True))
        with capsys.disabled():
            print(f"\n/health beside 1,000 idle sockets: p99 {waits[197] * 1e3:.1f} ms, of it CPU of the server {costs[197] * 1e3:.1f} ms")
        assert costs[197] < 0.1, "CPU, not time: a busy machine changes nothing"
    finally:
        for client in idle:
            client.close()


@pytest.mark.parametrize(("many", "head_s"), [(30, 0.5), pytest.param(200, serve.HEAD_S, marks=pytest.mark.full)])
def test_many_slow_handshakes_are_all_cut(
    house: House, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], many: int, head_s: float
) -> None:
    """Each adds a byte to its last header now and then, for ever; meanwhile others are answered."""
    monkeypatch.setattr(serve, "HEAD_S", head_s)
    connections = house._server.server_state.connections
    until(lambda: len(connections) < 10, "an empty house")
    with ExitStack() as stack:
        began = time.monotonic()
        head = "GET /ws/v1/live HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\nOrigin: {url}\r\n" + UPGRADE + "X: "
        slow = {stack.enter_context(dialled(house, head)) for _ in range(many)}
        while slow:
            gone = {client for client in slow if not dripped(client)}
            slow -= gone
            assert asked(house)[0] > 0
            house.publisher.publish()
            assert time.monotonic() - began < 20 * head_s + 60, f"{len(slow)} are still there"
            time.sleep(0.1)
    with capsys.disabled():
        print(f"\n{many} slow handshakes were cut within {time.monotonic() - began:.1f} s of the first")


def dripped(client: socket.socket) -> bool:
    """One more byte of a header; False when the server has hung up."""
    try:
        client.sendall(b"x")
        client.setblocking(False)
        return client.recv(1) != b""
    except BlockingIOError:
        return True
    except OSError:
        return False
    finally:
        client.setblocking(True)


def test_a_flood_of_streams_fills_the_places_and_no_more() -> None:
    async def scene(house: House) -> None:
        async with house.connect(local_addr=("127.0.1.1", 0)) as mine:
            browser = Browser()
            browser.receive(await mine.recv())
            dialling = (house.connect(local_addr=(f"127.0.2.{i % 4 + 1}", 0)) for i in range(80))
            others = await asyncio.gather(*dialling, return_exceptions=True)
            inside = [other for other in others if not isinstance(other, BaseException)]
            assert len(inside) == 19 and house.app.state.hub.clients == 20
            assert house.get("/health").status_code == 200
            house.publisher.publish()
            await settled(house, browser, mine)
            await asyncio.gather(*(other.close() for other in inside))

    with serving(max_clients=20, max_clients_per_address=8) as house:
        asyncio.run(scene(house))


@pytest.mark.parametrize("many", [6, pytest.param(20, marks=pytest.mark.full)])
def test_clients_that_never_read_cost_the_others_nothing(many: int) -> None:
    """Half never read, half do: these lose no message, those are closed, and little is kept for them."""
    updates = 60 if many < 20 else 600

    async def scene(house: House) -> None:
        hub = house.app.state.hub
        hub.manager.drain_s = 1.0 if many < 20 else hub.manager.drain_s
        before = psutil.Process().memory_info().rss
        for _ in range(many):
            stack.enter_context(closing(silent_client(house)))
        browsers = [(Browser(), await house.connect()) for _ in range(many - 1)]
        number = 0
        while hub.counts["evicted"] < many or number < updates:
            number += 1
            house.publisher.publish({"cards": {"total": number, "filler": f"{number:09}" * 20_000}})
            tick = house.publisher.board.read().data["sys"]["tick"]
            await asyncio.gather(*(follow(connection, browser, until_tick=tick) for browser, connection in browsers))
        grown = (psutil.Process().memory_info().rss - before) / 2**20
        for browser, connection in browsers:
            await settled(house, browser, connection)
            assert (browser.holes, browser.snapshots) == (0, 1)
        assert grown < 40 + many, f"{grown:.0f} MiB"
        while house.connections() > len(browsers):  # what was sent to the silent ones was never taken, and is let go
            await asyncio.sleep(0.05)
        await asyncio.gather(*(connection.close() for _, connection in browsers))

    with ExitStack() as stack, serving(max_clients_per_address=256) as house:
        asyncio.run(scene(house))


def test_one_that_pauses_too_long_and_then_reads_on_finds_the_reason_at_the_end(house: House, monkeypatch: pytest.MonkeyPatch) -> None:
    """Behind all that was written for it before stands the close frame: 1013, come back later."""
    monkeypatch.setattr(serve, "LINGER_S", 60.0)  # however slowly the test itself reads
    monkeypatch.setattr(house.app.state.hub.manager, "drain_s", 0.5)
    evicted = house.app.state.hub.counts["evicted"]
    with dialled(house, "GET /ws/v1/live HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\nOrigin: {url}\r\n" + UPGRADE + "\r\n") as client:

        def hurry() -> bool:
            house.publisher.publish({"cards": {"total": 1, "filler": f"{time.monotonic_ns()}" * 20_000}})
            return bool(house.app.state.hub.counts["evicted"] > evicted)

        until(hurry, "its end")
        heard = ended(client)
    head, _, frames = heard.partition(b"\r\n\r\n")
    assert head.split()[1] == b"101" and len(frames) > 300_000, "first comes what was on its way"
    assert close_code(frames) == 1013
    until(lambda: house.app.state.hub.clients == 0, "a place given back")


# -- frames ------------------------------------------------------------------------------------------------------------
def frame(opcode: int, payload: bytes = b"", *, fin: bool = True, rsv: int = 0) -> bytes:
    """One client frame; its mask is zero, so that the payload is as it is written."""
    size = len(payload)
    length = (
        bytes([0x80 | size]) if size < 126 else b"\xfe" + size.to_bytes(2, "big") if size < 65536 else b"\xff" + size.to_bytes(8, "big")
    )
    return bytes([(0x80 if fin else 0) | rsv | opcode]) + length + bytes(4) + payload


def told(house: House, *parts: bytes, endless: bytes = b"") -> int:
    """The close code after these bytes, repeating the last for ever; 0 = it only hung up."""
    with dialled(house, "GET /ws/v1/live HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\nOrigin: {url}\r\n" + UPGRADE + "\r\n") as client:
        heard = b""
        while b"\r\n\r\n" not in heard:
            heard += client.recv(1)
        reader: list[bytes] = []
        listening = threading.Thread(target=lambda: reader.append(ended(client)))
        listening.start()
        try:
            client.sendall(b"".join(parts))
            while endless and listening.is_alive():
                client.sendall(endless)
        except OSError:
            pass  # it hung up
        listening.join()
        return close_code(reader[0] if reader else b"")


def close_code(heard: bytes) -> int:
    """The code in the close frame of a server's frames."""
    while len(heard) >= 2:
        opcode, size, at = heard[0] & 15, heard[1] & 127, 2
        if size > 125:
            wide = 2 if size == 126 else 8
            size, at = int.from_bytes(heard[2 : 2 + wide], "big"), 2 + wide
        if opcode == 8:
            return int.from_bytes(heard[at : at + 2], "big")
        heard = heard[at + size :]
    return 0


MANY = 2000
FRAMES: dict[str, tuple[tuple[bytes, ...], bytes, set[int]]] = {
    "64 KiB and one": ((frame(1, b" " * (MAX_WS_MESSAGE + 1)),), b"", {1009}),
    "a length of 2^62": ((b"\x81\xff" + (2**62).to_bytes(8, "big") + bytes(4),), b"", {1009}),
    "many parts, too much in all": ((frame(1, b" " * 40_000, fin=False), frame(0, b" " * 40_000)), b"", {1009}),
    "endless empty parts": ((frame(1, b" ", fin=False),), frame(0, b"", fin=False) * 10, {1009, 1008, 0}),
    "endless small parts": ((frame(1, b" ", fin=False), frame(0, b" ", fin=False) * (MAX_FRAGMENTS + 1)), b"", {1009}),
    "pings": ((frame(9, b"x") * MANY,), b"", {1008}),
    "endless pings": ((), frame(9, b"x") * MANY, {1008, 0}),
    "pongs": ((frame(10, b"x") * MANY,), b"", {1008}),
    "empty messages": ((frame(1) * MANY,), b"", {1008}),
    "compressed, though never agreed": ((frame(1, b"x" * 100, rsv=0x40),), b"", {1002}),
    "a bomb, compressed": ((frame(1, b"\0" * 60_000, rsv=0x40, fin=False),), frame(0, b"\0" * 60_000, fin=False), {1002, 0}),
    "unknown kind": ((frame(3),), b"", {1002}),
    "a ping in parts": ((frame(9, fin=False),), b"", {1002}),
    "no text": ((frame(1, b"\xff\xfe"),), b"", {1007}),
}


@pytest.mark.parametrize("name", FRAMES)
def test_hostile_frames_end_their_connection_and_nothing_else(house: House, name: str) -> None:
    parts, endless, codes = FRAMES[name]
    before = psutil.Process().memory_info().rss
    assert told(house, *parts, endless=endless) in codes
    assert (psutil.Process().memory_info().rss - before) < 16 * 2**20
    until(lambda: house.app.state.hub.clients == 0, "a place given back")
    assert house.get("/health").status_code == 200


def test_a_flood_of_pings_does_not_hold_up_the_others(house: House) -> None:
    async def scene() -> None:
        async with house.connect() as connection:
            browser = Browser()
            browser.receive(await connection.recv())
            floods = [asyncio.create_task(asyncio.to_thread(told, house, frame(9, b"x") * 40_000)) for _ in range(3)]
            work = asyncio.create_task(run_publisher(house.publisher, 50))
            await work
            await asyncio.gather(*floods)
            await settled(house, browser, connection)
            assert (browser.holes, browser.snapshots) == (0, 1)

    asyncio.run(scene())


def test_ordinary_clients_do_none_of_this(house: House) -> None:
    async def scene() -> list[Any]:
        async with house.connect(ping_interval=0.05) as connection:
            for _ in range(30):
                await connection.send('{"type":"ping","c":1}')
                await asyncio.sleep(0.03)
            browser = Browser()
            await settled(house, browser, connection)
            return [browser.snapshots]

    assert asyncio.run(scene()) == [1]
