"""One real socket: what arrives, what is refused, and that nothing is left behind."""

from __future__ import annotations

import asyncio
import contextlib
import os
import socket
import struct
import threading
from collections.abc import Callable

import pytest

from dope.feed.clock import Clock
from dope.feed.transport import ConnectFailed, Dialer, Socket
from tests.feed.loopback import Handler, answering, frame, read_frame, serving, shake, until


class Ear:
    """A listener that remembers."""

    def __init__(self) -> None:
        self.socket: Socket | None = None
        self.heard: list[bytes] = []
        self.ends: list[tuple[int, str]] = []

    def opened(self, socket: Socket) -> None:
        self.socket = socket

    def message(self, data: bytes) -> None:
        self.heard.append(data)

    def closed(self, code: int, reason: str) -> None:
        self.ends.append((code, reason))


def sends(*chunks: bytes) -> Handler:
    """A server that shakes hands, sends these bytes and then only listens."""

    async def handle(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await shake(reader, writer)
        for chunk in chunks:
            writer.write(chunk)
            await writer.drain()
        await reader.read()

    return handle


def hear(handler: Handler, enough: Callable[[Ear], bool], max_message: int = 4096) -> Ear:
    ear = Ear()

    async def main() -> None:
        async with serving(handler) as url:
            await Dialer(Clock(), max_message=max_message)(url, ear)
            await until(lambda: enough(ear))
            assert ear.socket is not None
            ear.socket.close()
            await asyncio.sleep(0.02)

    asyncio.run(main())
    return ear


def test_text_and_binary_come_whole_in_order_also_when_fragmented_or_sliced() -> None:
    whole = (
        frame(b"one") + frame(b"\x00\xff two", 2) + frame(b"thr", 1, fin=False) + frame(b"", 9) + frame(b"e", 0, fin=False)
        + frame(b"e", 0) + frame(b"four\xff")
    )
    ear = hear(sends(*(whole[i : i + 1] for i in range(len(whole)))), lambda ear: len(ear.heard) == 4)
    assert ear.heard == [b"one", b"\x00\xff two", b"three", b"four\xff"]


def test_a_protocol_ping_is_answered_with_its_own_payload() -> None:
    seen: list[tuple[int, bytes]] = []

    async def handle(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await shake(reader, writer)
        writer.write(frame(b"stamp 77", 9))
        seen.append(await read_frame(reader))
        writer.write(frame(b"go on"))
        await reader.read()

    ear = hear(handle, lambda ear: bool(ear.heard))
    assert seen == [(10, b"stamp 77")]
    assert ear.heard == [b"go on"]


@pytest.mark.parametrize("oversized", [frame(b"x" * 4097), frame(b"x" * 3000, 1, fin=False) + frame(b"x" * 3000, 0)])
def test_a_message_above_the_limit_ends_the_connection_and_is_not_delivered(oversized: bytes) -> None:
    ear = hear(sends(frame(b"before") + frame(b"mid") + oversized), lambda ear: bool(ear.ends))
    assert ear.ends[0][0] == 1009
    assert all(len(message) <= 4096 for message in ear.heard)


@pytest.mark.parametrize(("bit", "payload"), [(0x40, b"{}"), (0x20, b"{}"), (0x10, b"{}"), (0x40, b" " * 200)])
def test_a_frame_with_a_reserved_bit_ends_the_connection_and_is_not_delivered(bit: int, payload: bytes) -> None:
    strange = bytes([frame(payload)[0] | bit]) + frame(payload)[1:]
    ear = hear(sends(frame(b"before") + strange), lambda ear: bool(ear.ends))
    assert ear.heard == [b"before"] and ear.ends[0] == (1002, "a frame with a reserved bit set")


def test_endless_fragments_are_cut_at_the_limit() -> None:
    async def handle(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await shake(reader, writer)
        writer.write(frame(b"x", 1, fin=False))
        while True:
            writer.write(frame(b"x" * 100, 0, fin=False) * 20)
            await writer.drain()

    async def main() -> Ear:
        ear = Ear()
        async with serving(handle) as url:
            await Dialer(Clock(), max_message=4096)(url, ear)
            await until(lambda: ear.ends)
            assert ear.socket is not None
            ear.socket.close()
            await asyncio.sleep(0.02)
        return ear

    ear = asyncio.run(main())
    assert ear.ends[0] == (1009, "a message above 4096 bytes or 65536 fragments")
    assert ear.heard == []


@pytest.mark.parametrize("code", [1000, 1001, 1008, 1011, 1012, 1013, 3000, 4001])
def test_the_close_code_and_the_reason_of_the_venue_are_told(code: int) -> None:
    ear = hear(sends(frame(b"bye"), frame(code.to_bytes(2, "big") + b"see you", 8)), lambda ear: bool(ear.ends))
    assert ear.heard == [b"bye"]
    assert ear.ends[0] == (code, "see you")


def test_an_end_without_a_close_frame_is_1006() -> None:
    async def handle(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await shake(reader, writer)
        writer.transport.abort()

    assert hear(handle, lambda ear: bool(ear.ends)).ends[0] == (1006, "connection lost")


def refusal(handler: Handler, open_timeout_s: float = 5.0) -> ConnectFailed:
    async def main() -> ConnectFailed:
        async with serving(handler) as url:
            with pytest.raises(ConnectFailed) as caught:
                await Dialer(Clock(), open_timeout_s=open_timeout_s)(url, Ear())
            await asyncio.sleep(0.02)
            return caught.value

    return asyncio.run(main())


@pytest.mark.parametrize("status", [301, 400, 403, 404, 429, 451, 500, 503])
def test_an_http_answer_at_the_upgrade_is_told_with_its_status(status: int) -> None:
    answer = b"HTTP/1.1 %d No\r\nRetry-After: 17\r\nLocation: http://127.0.0.1:1/\r\nContent-Length: 2\r\n\r\nno" % status
    failure = refusal(answering(answer))
    assert (failure.status, failure.retry_after_s) == (status, 17.0)


def test_an_html_page_at_the_upgrade_is_a_plain_failure() -> None:
    page = b"<html><body>Under construction</body></html>"
    failure = refusal(answering(b"HTTP/1.1 200 OK\r\nContent-Type: text/html\r\nContent-Length: %d\r\n\r\n%b" % (len(page), page)))
    assert failure.status == 200
    assert "instead of a WebSocket" in failure.words


@pytest.mark.parametrize("answer", [b"", b"\x00\xff\xfe" * 50 + b"\r\n\r\n", b"HTTP/1.1 banana\r\n\r\n", b"SSH-2.0-x\r\n\r\n",
                                    b"HTTP/1.1 101 X\r\n\r\n", b"HTTP/1.1 101 X\r\nbad header\r\n\r\n", b"HTTP/1.1 999 X\r\n\r\n"])
def test_whatever_else_answers_is_a_failure_and_never_an_error(answer: bytes) -> None:
    assert refusal(answering(answer)).status == 0


async def _hangs(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    await reader.read()


def test_a_server_that_accepts_and_says_nothing_is_left_after_the_open_timeout() -> None:
    assert "no answer within 0.1 s" in refusal(_hangs, open_timeout_s=0.1).words


def test_a_refused_port_is_told_in_words() -> None:
    async def main() -> str:
        async with serving(_hangs) as url:
            pass  # closed again: the port is free, nobody listens
        with pytest.raises(ConnectFailed) as caught:
            await Dialer(Clock())(url, Ear())
        return caught.value.words

    assert "refused" in asyncio.run(main()).lower()


def resets(listening: socket.socket) -> None:
    """Accepts whoever comes and ends it with RST before a word."""
    with contextlib.suppress(OSError):  # closed: the end
        while True:
            client, _ = listening.accept()
            client.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            client.close()


def test_after_a_reset_before_the_handshake_whoever_gets_the_number_of_that_socket_is_heard() -> None:
    """The library may ask the loop about a socket that it closes: the loop then takes the next one of that number for known."""

    async def echo(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while data := await reader.read(100):
            writer.write(data)
        writer.close()

    async def main(url: str) -> int:
        server, failed = await asyncio.start_server(echo, "127.0.0.1", 0), 0
        for _ in range(100):
            with contextlib.suppress(ConnectFailed):
                await Dialer(Clock())(url, Ear())
                failed -= 1
            failed += 1
            reader, writer = await asyncio.open_connection(*server.sockets[0].getsockname())
            writer.write(b"are you there?")
            async with asyncio.timeout(10.0):
                assert await reader.read(100) == b"are you there?"
            writer.close()
            await writer.wait_closed()
        server.close()
        return failed

    with socket.create_server(("127.0.0.1", 0)) as listening:
        threading.Thread(target=resets, args=(listening,), daemon=True).start()
        try:
            assert asyncio.run(main(f"ws://127.0.0.1:{listening.getsockname()[1]}")) == 100
        finally:
            listening.shutdown(socket.SHUT_RDWR)


def descriptors() -> int:
    return len(os.listdir("/proc/self/fd"))


@pytest.mark.skipif(not os.path.isdir("/proc/self/fd"), reason="needs /proc to count descriptors")
def test_an_attempt_that_is_cut_short_leaves_no_descriptor() -> None:
    async def main() -> None:
        async with serving(_hangs) as url:
            before = descriptors()
            for _ in range(5):
                task = asyncio.ensure_future(Dialer(Clock())(url, Ear()))
                await asyncio.sleep(0.02)
                task.cancel()
                with pytest.raises(asyncio.CancelledError):
                    await task
            for _ in range(5):
                with pytest.raises(ConnectFailed):
                    await Dialer(Clock(), open_timeout_s=0.02)(url, Ear())
            await until(lambda: descriptors() <= before)

    asyncio.run(main())


