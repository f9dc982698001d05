"""The TCP proxy before a venue: each mode does what it says, to real sockets, each way apart and while they are open."""

from __future__ import annotations

import asyncio
import contextlib
import os
import random
import socket
from collections.abc import AsyncIterator, Callable
from typing import Any

import pytest

from dope.errors import BadFault, UnknownName
from dope.sim.journal import Fault
from dope.sim.kinds import LINKS
from dope.sim.modes import MODES, Mode
from dope.sim.proxy import Proxy
from dope.sim.proxy_end import LINGER_0
from tests.feed.loopback import until
from tests.sim.recipes import get, hear, open_ws, world


class Peer:
    """A server that keeps what it hears and whose connections are at hand, and the proxy before it."""

    def __init__(self) -> None:
        self.proxy = Proxy("peer")
        self.port = 0
        self.heard: list[bytearray] = []  #: of each connection
        self.ended: list[str] = []  #: how they ended, in order
        self.writers: list[asyncio.StreamWriter] = []
        self.clients: list[asyncio.StreamWriter] = []

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        heard = bytearray()
        self.heard.append(heard)
        self.writers.append(writer)
        try:
            while data := await reader.read(65_536):
                heard += data
            self.ended.append("fin")
        except ConnectionResetError:
            self.ended.append("rst")

    async def open(self) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        """A client through the proxy, once the server has it."""
        count = len(self.writers)
        streams = await self.dial()
        await until(lambda: len(self.writers) > count)
        return streams

    async def dial(self) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        """A client through the proxy."""
        reader, writer = await asyncio.open_connection("127.0.0.1", self.port)
        self.clients.append(writer)
        return reader, writer

    async def set(self, kind: str, **params: Any) -> Mode:
        mode = Mode(kind, params)
        await self.done(self.proxy.on(mode))
        return mode

    async def unset(self, mode: Mode) -> None:
        await self.done(self.proxy.off(mode))

    @staticmethod
    async def done(doing: Any) -> None:
        if doing is not None:
            await doing


@contextlib.asynccontextmanager
async def peering() -> AsyncIterator[Peer]:
    peer = Peer()
    server = await asyncio.start_server(peer.serve, "127.0.0.1", 0)
    found = await peer.proxy.before({"rest": f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}/x"})
    assert found["rest"].endswith("/x")
    peer.port = int(found["rest"].rsplit(":", 1)[1].removesuffix("/x"))
    try:
        yield peer
    finally:
        await peer.proxy.close()
        server.close()
        for writer in peer.writers + peer.clients:
            writer.transport.abort()
        await asyncio.sleep(0.01)


def tried(main: Callable[[Peer], Any]) -> None:
    async def run() -> None:
        async with peering() as peer:
            await main(peer)

    asyncio.run(run())


async def some(reader: asyncio.StreamReader, limit_s: float = 10.0) -> bytes:
    return await asyncio.wait_for(reader.read(65_536), limit_s)


async def silent(reader: asyncio.StreamReader) -> bool:
    """Nothing came for a while, not even an end; a machine that is too slow only makes this too kind."""
    try:
        await some(reader, 0.05)
    except TimeoutError:
        return True
    return False


def test_without_a_mode_it_carries_both_ways_and_tells_each_end_of_the_end() -> None:
    async def main(peer: Peer) -> None:
        reader, writer = await peer.open()
        big = random.Random(1).randbytes(3_000_000)
        writer.write(big)
        peer.writers[0].write(big[::-1])
        back = await asyncio.wait_for(reader.readexactly(len(big)), 20)
        await until(lambda: len(peer.heard[0]) == len(big))
        assert peer.heard[0] == big and back == big[::-1]
        writer.write_eof()
        await until(lambda: peer.ended == ["fin"])
        peer.writers[0].write(b"half a connection is enough")
        assert await some(reader) == b"half a connection is enough"
        peer.writers[0].close()
        assert await some(reader) == b""
        writer.close()
        await until(lambda: not peer.proxy.connections)
        assert peer.proxy.carried == {"up": len(big), "down": len(big) + 27}

    tried(main)


def test_latency_and_rate_are_kept_and_what_is_late_stays_in_order() -> None:
    async def main(peer: Peer) -> None:
        loop = asyncio.get_running_loop()
        reader, _ = await peer.open()
        late = await peer.set("tcp_latency", way="down", ms=120, jitter_ms=40)
        begun = loop.time()
        for n in range(50):
            peer.writers[0].write(b"%02d" % n)
            await asyncio.sleep(0.001)
        got = await reader.readexactly(100)
        assert got == b"".join(b"%02d" % n for n in range(50)) and loop.time() - begun >= 0.08
        await peer.unset(late)
        await peer.set("tcp_rate", way="down", bytes_s=100_000)
        begun = loop.time()
        peer.writers[0].write(bytes(10_000))
        peer.writers[0].write(bytes(20_000))
        await reader.readexactly(30_000)
        assert loop.time() - begun >= 0.3

    tried(main)


def test_slices_arrive_one_by_one() -> None:
    async def main(peer: Peer) -> None:
        reader, _ = await peer.open()
        await peer.set("tcp_slice", n=1)
        await peer.set("tcp_rate", bytes_s=250)
        text, parts = b"a message of a hundred and some more letters, which came in one piece on the other side " * 2, []
        peer.writers[0].write(text)
        while sum(map(len, parts)) < len(text):
            parts.append(await some(reader))
        assert b"".join(parts) == text and len(parts) > 20

    tried(main)


def test_a_black_hole_swallows_one_way_and_the_end_too_until_it_is_gone() -> None:
    async def main(peer: Peer) -> None:
        reader, writer = await peer.open()
        (other, _), (third, _) = await peer.open(), await peer.open()
        down = await peer.set("tcp_blackhole", way="down")
        writer.write(b"is anybody there?")
        await until(lambda: peer.heard[0] == b"is anybody there?")
        peer.writers[0].write(b"yes")
        peer.writers[1].transport.abort()
        peer.writers[2].get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, LINGER_0)
        peer.writers[2].transport.abort()
        assert await silent(reader) and await silent(other) and await silent(third)
        await peer.unset(down)
        assert await some(other) == b"" and await some(third) == b""  # what had happened is told
        peer.writers[0].write(b"again")
        assert await some(reader) == b"again"  # what was lost is lost
        peer.ended.clear()
        up = await peer.set("tcp_blackhole", way="up")
        writer.write(b"lost")
        writer.close()
        await asyncio.sleep(0.05)
        assert peer.heard[0] == b"is anybody there?" and peer.ended == []
        await peer.unset(up)
        await until(lambda: peer.ended)
        assert peer.heard[0] == b"is anybody there?"

    tried(main)


def test_who_sends_into_a_stall_has_to_wait_and_nothing_is_lost() -> None:
    async def main(peer: Peer) -> None:
        _, writer = await peer.open()
        stall = await peer.set("tcp_stall", way="up")
        writer.transport.set_write_buffer_limits(high=0)
        writer.write(bytes(20_000_000))
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(writer.drain(), 0.1)
        assert peer.heard[0] == b""
        await peer.unset(stall)
        await asyncio.wait_for(writer.drain(), 20)
        await until(lambda: len(peer.heard[0]) == 20_000_000)

    tried(main)


def test_what_waits_in_the_proxy_is_bounded() -> None:
    async def main(peer: Peer) -> None:
        await peer.open()
        await peer.set("tcp_latency", way="down", ms=1e6)
        peer.writers[0].write(bytes(30_000_000))
        (near,) = peer.proxy.connections
        await until(lambda: near.other._bytes > 1 << 20)
        await asyncio.sleep(0.1)
        assert near.other._bytes < 2 << 20 and peer.writers[0].transport.get_write_buffer_size() > 1_000_000

    tried(main)


@pytest.mark.parametrize(("way", "client", "server"), [("both", "rst", "rst"), ("down", "rst", "fin"), ("up", "fin", "rst")])
def test_a_reset_is_a_reset_at_the_end_that_is_meant(way: str, client: str, server: str) -> None:
    async def main(peer: Peer) -> None:
        reader, _ = await peer.open()
        mode = await peer.set("tcp_reset", way=way)
        try:
            how = "fin" if await some(reader) == b"" else "data"
        except ConnectionResetError:
            how = "rst"
        await until(lambda: peer.ended)
        assert (how, peer.ended) == (client, [server])
        if way == "both":  # as long as it lasts newcomers are, too
            late, _ = await peer.dial()
            with pytest.raises(ConnectionResetError):
                await some(late)
            await peer.unset(mode)
            await peer.open()

    tried(main)


def test_the_end_of_one_way_leaves_the_other_open() -> None:
    async def main(peer: Peer) -> None:
        reader, writer = await peer.open()
        await peer.set("tcp_eof", way="down")
        assert await some(reader) == b""
        writer.write(b"still here")
        await until(lambda: peer.heard[0] == b"still here")
        writer.close()
        await until(lambda: peer.ended == ["fin"] and not peer.proxy.connections)

    tried(main)


def test_a_connection_ends_when_so_many_bytes_have_passed_and_not_before() -> None:
    async def main(peer: Peer) -> None:
        reader, _ = await peer.open()
        await peer.set("tcp_limit", n=1000)
        peer.writers[0].write(bytes(999))
        assert len(await reader.readexactly(999)) == 999 and await silent(reader)
        peer.writers[0].write(bytes(500))
        assert await asyncio.wait_for(reader.read(), 10) == bytes(1)
        await until(lambda: not peer.proxy.connections)

    tried(main)


def test_one_bit_is_turned_over_and_the_seed_says_which() -> None:
    text, came = b"the quick brown fox jumps over the lazy dog", list[bytes]()

    async def main(peer: Peer) -> None:
        reader, _ = await peer.open()
        assert peer.proxy.on(Mode("tcp_corrupt", {"way": "down"}, rng=random.Random(5))) is None
        peer.writers[0].write(text)
        came.append(await reader.readexactly(len(text)))

    tried(main)
    tried(main)
    assert came[0] == came[1]
    assert sum((ours ^ theirs).bit_count() for ours, theirs in zip(text, came[0], strict=True)) == 1
    assert Mode("tcp_corrupt", p=1e-9).spoilt(text) == text


def test_refused_means_refused_and_who_is_in_stays_in() -> None:
    async def main(peer: Peer) -> None:
        _, writer = await peer.open()
        mode = await peer.set("tcp_refuse")
        for _ in range(2):
            with pytest.raises(ConnectionRefusedError):
                await peer.dial()
        writer.write(b"still here")
        await until(lambda: peer.heard[0] == b"still here")
        await peer.unset(mode)
        await peer.open()

    tried(main)


def test_who_hangs_is_connected_and_never_hears_a_word() -> None:
    async def main(peer: Peer) -> None:
        mode = await peer.set("tcp_hang")
        reader, writer = await peer.dial()
        writer.write(b"GET / HTTP/1.1\r\n\r\n")
        assert await silent(reader) and not peer.writers
        await peer.unset(mode)
        with pytest.raises(ConnectionResetError):
            await some(reader)
        await peer.open()

    tried(main)


@pytest.mark.parametrize("url", ["ws://10.0.0.1:80", "http://example.com:80", "ws://localhost:80", "http://[2001:db8::1]:80", "nothing"])
def test_it_stands_before_nothing_but_loopback(url: str) -> None:
    with pytest.raises(BadFault, match="only before addresses on loopback"):
        asyncio.run(Proxy("far").before({"ws": url}))


def test_a_venue_that_does_not_listen_resets_its_clients() -> None:
    async def main() -> None:
        proxy = Proxy("nobody")
        found = await proxy.before({"ws": "ws://127.0.0.1:1"})
        reader, _ = await asyncio.open_connection("127.0.0.1", int(found["ws"].rsplit(":", 1)[1]))
        with pytest.raises(ConnectionResetError):
            await some(reader)
        await proxy.close()

    asyncio.run(main())


@pytest.mark.skipif(not os.path.isdir("/proc/self/fd"), reason="needs /proc to count descriptors")
def test_no_descriptor_is_left_whatever_was_done() -> None:
    async def main(peer: Peer) -> None:
        def count() -> int:
            return len(os.listdir("/proc/self/fd"))

        before = count()
        for kind in MODES:
            mode = await peer.set(kind)
            clients = []
            if kind != "tcp_refuse":
                clients = [await peer.dial() for _ in range(5)]
            for _, writer in clients:
                writer.write(b"hello")
            await asyncio.sleep(0.02)
            for n, (_, writer) in enumerate(clients):
                writer.transport.abort() if n % 2 else writer.close()
            await asyncio.sleep(0.02)
            await peer.unset(mode)
            for writer in peer.writers:
                writer.transport.abort()
        await until(lambda: not peer.proxy.connections and count() <= before)

    tried(main)


# -- before the venues of a world ----------------------------------------------------------------------------------
def test_before_a_venue_sockets_and_requests_pass_and_what_is_done_is_in_the_journal() -> None:
    async def main() -> None:
        async with world(venues=("okx", "kucoin"), proxied=True) as (made, endpoints):
            port = made.servers["kucoin"].port
            assert port.proxy is not None and f":{port._port}" not in endpoints["kucoin"]["ws"]
            token = made.servers["kucoin"].posted("/api/v1/bullet-public", b"", 0.0)  # type: ignore[attr-defined]
            assert endpoints["kucoin"]["ws"] in token.body, "the address that it tells is the proxy's"
            answer = await get(endpoints["okx"]["rest"] + "/api/v5/public/time")
            assert answer.status_code == 200
            async with open_ws(endpoints["okx"]["ws"] + "/ws/v5/public") as ws:
                await ws.send("ping")
                assert await hear(ws) == "pong"
                hole = made.faults.inject(Fault(kind="tcp_blackhole", venue="okx", params={"way": "down"}, duration_s=0.5))
                await ws.send("ping")
                with pytest.raises(TimeoutError):
                    await asyncio.wait_for(ws.recv(), 0.1)
                made.advance(60)
                assert made.faults.journal_of(hole.id).end_ms == hole.start_ms + 500 and not made.faults.active
                await ws.send("ping")
                assert await hear(ws) == "pong"
                reset = made.faults.inject(Fault(kind="tcp_reset", venue="okx"))
                assert made.faults.journal_of(reset.id).end_ms == made.sample.now_ms, "once, and over"
                assert made.faults.journal_of(reset.id).params["done"] == 2
                await asyncio.wait_for(ws.wait_closed(), 10)

    asyncio.run(main())


def test_a_fault_on_the_way_needs_a_way_of_its_own_and_a_proxy() -> None:
    async def main() -> None:
        async with world(venues=("okx",)) as (made, _):
            with pytest.raises(BadFault, match="needs a proxy"):
                made.faults.inject(Fault(kind="tcp_stall", venue="okx"))
        async with world(venues=("okx",), proxied=True) as (made, _):
            with pytest.raises(BadFault, match="up, down or both"):
                made.faults.inject(Fault(kind="tcp_stall", venue="okx", params={"way": "sideways"}))
            with pytest.raises(BadFault, match="all connections"):
                made.faults.inject(Fault(kind="tcp_stall", venue="okx", symbol="BTC-USDT"))
            assert not made.faults.active and not made.journal.entries
        with pytest.raises(UnknownName):
            Mode("tcp_magic")
        assert set(LINKS) == set(MODES)

    asyncio.run(main())
