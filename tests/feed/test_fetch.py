"""REST on behalf of the venues: every request is answered by a frame, limits and bans are kept."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

import httpx
import msgspec
import pytest

from dope.feed.clock import Clock
from dope.feed.fetch import PENDING_MAX, Fetcher
from dope.feed.outbox import Outbox
from dope.feed.pace import WeightPace
from dope.types import OPEN, REPLY, Fetch, Frame, Limits, OpenInfo, Plan, Reconnect, ReplyInfo
from tests.feed.loopback import Handler, Recorder, Wire, feeding, frame, in_virtual_time, serving, shake, until


def read(reply: Frame) -> tuple[ReplyInfo, bytes]:
    line, _, body = reply.data.partition(b"\n")
    return msgspec.json.decode(line, type=ReplyInfo), body


def answers(*responses: bytes) -> Handler:
    """An HTTP server that gives these answers one after the other, the last one for ever; b"" = hangs up."""
    left = list(responses)

    async def handle(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(left.pop(0) if len(left) > 1 else left[0])
        await writer.drain()
        writer.close()
        await writer.wait_closed()

    return handle


def ok(body: bytes) -> bytes:
    return b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%b" % (len(body), body)


async def quiet(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    await shake(reader, writer)
    writer.write(frame(b"hello"))
    await reader.read()


def fetched(*responses: bytes, count: int = 1) -> list[tuple[ReplyInfo, bytes]]:
    """Ask a server with these answers ``count`` times through a running feed and return what came back."""

    async def main() -> list[tuple[ReplyInfo, bytes]]:
        async with serving(quiet) as socket, serving(answers(*responses), "http") as rest, feeding(Wire(socket)) as (feed, recorder):
            await recorder.until(lambda: recorder.of(OPEN))
            feed.actions([("wire", Fetch(1, f"book {i}", f"{rest}depth?symbol=BTCUSDT")) for i in range(count)])
            await recorder.until(lambda: len(recorder.of(REPLY)) == count)
            assert {reply.conn for reply in recorder.of(REPLY)} == {1}
            return [read(reply) for reply in recorder.of(REPLY)]

    return asyncio.run(main())


def test_an_answer_comes_as_a_reply_frame_with_its_key_and_raw_body() -> None:
    body = b'{"lastUpdateId":160,\n"bids":[["0.0024","10"]],"asks":[]}'
    [(info, got)] = fetched(ok(body))
    assert (info.key, info.status, got) == ("book 0", 200, body)
    assert info.url.endswith("depth?symbol=BTCUSDT")


@pytest.mark.parametrize("status", [301, 404, 500, 503])
def test_other_answers_are_told_with_their_status_and_body(status: int) -> None:
    [(info, body)] = fetched(b"HTTP/1.1 %d No\r\nContent-Length: 4\r\nRetry-After: 7\r\nLocation: http://x/\r\n\r\nhtml" % status)
    assert (info.status, info.retry_after_s, body) == (status, 7.0, b"html")


@pytest.mark.parametrize("garbage", [b"", b"\x00\xff" * 100, b"HTTP/1.1 200 OK\r\nContent-Length: 500\r\n\r\nshort"])
def test_no_usable_answer_is_status_0_with_words(garbage: bytes) -> None:
    [(info, body)] = fetched(garbage)
    assert info.status == 0
    assert body


def test_an_answer_for_an_epoch_that_ended_meanwhile_keeps_its_old_number() -> None:
    async def main() -> None:
        arrived, release = asyncio.Event(), asyncio.Event()

        async def slow(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            await reader.readuntil(b"\r\n\r\n")
            arrived.set()
            await release.wait()
            writer.write(ok(b"late"))
            await writer.drain()

        async with serving(quiet) as socket, serving(slow, "http") as rest, feeding(Wire(socket)) as (feed, recorder):
            await recorder.until(lambda: recorder.of(OPEN))
            feed.actions([("wire", Fetch(1, "book", rest))])
            await arrived.wait()
            feed.actions([("wire", Reconnect(1, "sequence broken"))])
            await recorder.until(lambda: len(recorder.of(OPEN)) == 2)
            release.set()
            reply = (await recorder.until(lambda: recorder.of(REPLY)))[0]
            assert (reply.conn, read(reply)[1]) == (1, b"late")

            feed.actions([("wire", Fetch(1, "book", rest))])  # asked by a dead epoch: answered without a request
            await recorder.until(lambda: len(recorder.of(REPLY)) == 2)
            info, words = read(recorder.of(REPLY)[1])
            assert (info.status, words) == (0, b"the connection that asked has ended")

    asyncio.run(main())


def test_health_shows_a_ban() -> None:
    async def main() -> None:
        ban = b"HTTP/1.1 418 I'm a teapot\r\nRetry-After: 5\r\nContent-Length: 0\r\n\r\n"
        async with serving(quiet) as socket, serving(answers(ban), "http") as rest, feeding(Wire(socket)) as (feed, recorder):
            await recorder.until(lambda: recorder.of(OPEN))
            feed.actions([("wire", Fetch(1, "book", rest))])
            await recorder.until(lambda: recorder.of(REPLY))
            health = feed.health()["wire"]
            assert health.rest_banned_until >= recorder.of(REPLY)[0].ts + 119e9
            assert health.errors_min == 1
            assert "418" in health.last_error

    asyncio.run(main())


# -- hours of virtual time, the network replaced at httpx's own seam --------------------------------------------------
class Desk:
    def __init__(self, clock: Clock, answer: Callable[[float], httpx.Response], limits: Limits | None = None) -> None:
        self.asked: list[float] = []
        self.recorder = Recorder()
        start = clock.now()

        def serve(request: httpx.Request) -> httpx.Response:
            self.asked.append((clock.now() - start) / 1e9)
            return answer(self.asked[-1])

        self.outbox = Outbox(clock, self.recorder)
        client = httpx.AsyncClient(transport=httpx.MockTransport(serve), timeout=None)
        pace = WeightPace((limits or Limits()).rest_weight_per_min, clock.now)
        self.fetcher = Fetcher("wire", client, self.outbox, clock, pace, lambda conn: True)

    def replies(self) -> list[tuple[ReplyInfo, bytes]]:
        self.outbox.flush()
        return [read(reply) for reply in self.recorder.of(REPLY)]


def test_weight_per_minute_is_kept() -> None:
    async def main(clock: Clock) -> None:
        desk = Desk(clock, lambda at: httpx.Response(200, text="{}"), Limits(rest_weight_per_min=1000))
        for i in range(30):
            desk.fetcher.ask(Fetch(1, f"book {i}", "http://wire/depth", weight=250))
        await asyncio.sleep(600)
        assert len(desk.asked) == len(desk.replies()) == 30
        for start in desk.asked:
            assert sum(start <= at < start + 60 for at in desk.asked) <= 4
        assert max(desk.asked) <= 7 * 60 + 1  # and no slower than needed

    in_virtual_time(main)


@pytest.mark.parametrize(("status", "header", "silence_s"), [(429, "30", 30), (429, None, 10), (418, "5", 120), (418, "600", 600)])
def test_nothing_is_asked_during_a_ban(status: int, header: str | None, silence_s: float) -> None:
    async def main(clock: Clock) -> None:
        def answer(at: float) -> httpx.Response:
            if at < 100:
                return httpx.Response(200, text="{}")
            if at < 101:
                return httpx.Response(status, headers={"Retry-After": header} if header else {})
            return httpx.Response(200, text="{}")

        desk = Desk(clock, answer)
        for i in range(200):
            desk.fetcher.ask(Fetch(1, f"book {i}", "http://wire/depth", delay_s=i * 5.0))
        await asyncio.sleep(2000)
        replies = desk.replies()
        assert len(replies) == 200
        banned = next(info for info, _ in replies if info.status == status)
        assert banned.retry_after_s == silence_s
        first = min(at for at in desk.asked if at >= 100)
        assert [at for at in desk.asked if first < at < first + silence_s] == []
        assert [at for at in desk.asked if at >= first + silence_s]

    in_virtual_time(main)


def test_a_delay_is_waited_and_too_many_requests_are_refused_at_once() -> None:
    async def main(clock: Clock) -> None:
        desk = Desk(clock, lambda at: httpx.Response(200, text="{}"), Limits(rest_weight_per_min=100_000))
        for i in range(PENDING_MAX + 10):
            desk.fetcher.ask(Fetch(1, f"book {i}", "http://wire/depth", delay_s=3.0))
        assert [body for _, body in desk.replies()] == [b"too many requests waiting"] * 10
        await asyncio.sleep(10)
        assert len(desk.asked) == PENDING_MAX
        assert min(desk.asked) >= 3.0
        assert len(desk.replies()) == PENDING_MAX + 10

    in_virtual_time(main)


def test_closing_drops_what_waits() -> None:
    async def main(clock: Clock) -> None:
        desk = Desk(clock, lambda at: httpx.Response(200, text="{}"))
        desk.fetcher.ask(Fetch(1, "book", "http://wire/depth", delay_s=30.0))
        await desk.fetcher.close()
        await asyncio.sleep(60)
        assert desk.asked == []

    in_virtual_time(main)


def test_a_body_above_the_limit_is_refused() -> None:
    async def main(clock: Clock) -> None:
        desk = Desk(clock, lambda at: httpx.Response(200, content=b"x" * (16 * 1024 * 1024 + 1)))
        desk.fetcher.ask(Fetch(1, "book", "http://wire/depth"))
        await until(desk.replies)
        [(info, body)] = desk.replies()
        assert (info.status, body) == (0, b"the answer is too large")

    in_virtual_time(main)


class Tokens(Wire):
    """A venue whose address is told by REST."""

    def __init__(self, socket: str, rest: str) -> None:
        super().__init__()
        self._socket = socket
        self._plans = (Plan("public", "", ("BTC-USDT",), Fetch(0, "token", rest, "POST")),)

    def address(self, plan: Plan, body: bytes) -> str:
        return f"{self._socket}?token={msgspec.json.decode(body)['token']}"


def test_an_address_that_must_be_asked_for_is_asked_for_before_each_connecting() -> None:
    async def brief(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await shake(reader, writer)
        writer.write(frame(b"hello"))
        await writer.drain()
        await asyncio.sleep(0.05)

    async def main() -> None:
        told = answers(b"HTTP/1.1 500 No\r\nContent-Length: 0\r\n\r\n", ok(b"oops"), ok(b'{"token":"one"}'), ok(b'{"token":"two"}'))
        async with serving(brief) as socket, serving(told, "http") as rest, feeding(Tokens(socket, rest)) as (feed, recorder):
            await recorder.until(lambda: len(recorder.of(OPEN)) >= 2)
            urls = [msgspec.json.decode(opened.data, type=OpenInfo).url for opened in recorder.of(OPEN)]
            assert [url.partition("?")[2] for url in urls[:2]] == ["token=one", "token=two"]
            statuses = [read(reply)[0].status for reply in recorder.of(REPLY)]
            assert statuses[:4] == [500, 200, 200, 200] and {reply.conn for reply in recorder.of(REPLY)} == {0}
            assert feed.health()["wire"].errors_min >= 2

    asyncio.run(main())
