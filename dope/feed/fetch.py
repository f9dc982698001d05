"""Performs what venues ask to fetch: within their weight budget, silent during a ban, every answer a REPLY frame."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

import httpx
import msgspec
from loguru import logger

from dope.feed.clock import Clock
from dope.feed.outbox import Outbox
from dope.feed.pace import WeightPace, retry_after_s
from dope.types import REPLY, Fetch, ReplyInfo

ANSWER_S = 10.0  #: patience with one request, body included
BODY_MAX = 16 * 1024 * 1024  #: bytes of one answer
PENDING_MAX = 256  #: requests of one venue that wait or run
AT_ONCE = 4  #: requests of one venue that run
LIMITED_S = 10.0  #: silence after a 429 without Retry-After
BANNED_S = 120.0  #: least silence after a 418


class Fetcher:
    """The REST side of one venue. ``alive(conn)`` tells whether an epoch is still open: nobody asks for a dead one."""

    def __init__(
        self, venue: str, client: httpx.AsyncClient, outbox: Outbox, clock: Clock, pace: WeightPace,
        alive: Callable[[int], bool], *, answer_s: float = ANSWER_S,
    ) -> None:
        self.errors: list[int] = []  #: ns of the newest failures, at most 100
        self.last_error = ""
        self.good_at = 0  #: ns of the newest good answer
        self._venue = venue
        self._client = client
        self._outbox = outbox
        self._clock = clock
        self._pace = pace
        self._alive = alive
        self._answer_s = answer_s
        self.on_loss: Callable[[str, str], object] = lambda name, words: None  #: told of a request that ended without an answer
        self._tasks: dict[asyncio.Task[None], Fetch] = {}
        self._closing = False
        self._running = asyncio.Semaphore(AT_ONCE)

    @property
    def banned_until(self) -> int:
        """ns until which nothing is asked; in the past = no ban."""
        return self._pace.banned_until

    @property
    def waiting(self) -> int:
        """Requests that wait or run."""
        return len(self._tasks)

    def asks(self, key: str) -> bool:
        """Whether a request of this key waits or runs."""
        return any(fetch.key == key for fetch in self._tasks.values())

    def ask(self, fetch: Fetch) -> None:
        """Accept a request; its REPLY frame comes later, whatever happens."""
        if len(self._tasks) >= PENDING_MAX:
            self._failed(f"more than {PENDING_MAX} requests waiting")
            self._reply(fetch, 0, 0.0, b"too many requests waiting")
            return
        task = asyncio.get_running_loop().create_task(self._perform(fetch), name=f"fetch {self._venue} {fetch.key}")
        self._tasks[task] = fetch
        task.add_done_callback(self._done)

    async def before(self, fetch: Fetch) -> tuple[int, float, bytes]:
        """What must be known before a connection can be opened: (status, s to wait, body); its REPLY frame has connection 0."""
        while (wait := self._pace.wait_s(fetch.weight)) > 0:
            await self._clock.sleep(wait)
        self._pace.spend(fetch.weight)
        return await self._settled(fetch)

    async def close(self) -> None:
        """Drop what is waiting or running."""
        self._closing = True
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    def _done(self, task: asyncio.Task[None]) -> None:
        fetch = self._tasks.pop(task)
        error = None if task.cancelled() else task.exception()
        if self._closing or (error is None and not task.cancelled()):
            return
        words = "cancelled" if error is None else f"{type(error).__name__}: {error}"
        self.on_loss(task.get_name(), f"ended ({words}); asked again")
        self._failed(words)
        self._reply(fetch, 0, 0.0, b"the request was lost here")  # its venue waits for an answer and will ask again

    async def _perform(self, fetch: Fetch) -> None:
        await self._clock.sleep(fetch.delay_s)
        async with self._running:
            while (wait := self._pace.wait_s(fetch.weight)) > 0:
                await self._clock.sleep(wait)
            if not self._alive(fetch.conn):
                self._reply(fetch, 0, 0.0, b"the connection that asked has ended")
                return
            self._pace.spend(fetch.weight)
            await self._settled(fetch)

    async def _settled(self, fetch: Fetch) -> tuple[int, float, bytes]:
        """Ask, learn from the answer, and hand it over."""
        status, headers, body = await self._request(fetch)
        wait = retry_after_s(headers.get("Retry-After"), (self._clock.now() + self._clock.wall_offset()) / 1e9)
        if status in (418, 429):
            wait = max(wait, BANNED_S) if status == 418 else wait or LIMITED_S
            self._pace.ban(wait)
            logger.warning("{}: HTTP {}: no REST requests for {:.0f} s", self._venue, status, wait)
        if status == 200:
            self.good_at = self._clock.now()
        else:
            self._failed(f"HTTP {status} for {fetch.key}" if status else body.decode(errors="replace"))
        self._reply(fetch, status, wait, body)
        return status, wait, body

    async def _request(self, fetch: Fetch) -> tuple[int, httpx.Headers, bytes]:
        """Status (0 = no answer, the body then says why), headers and body."""
        body = bytearray()
        kind = {"Content-Type": "application/json"} if fetch.body else {}
        try:
            async with asyncio.timeout(self._answer_s):
                async with self._client.stream(fetch.method, fetch.url, content=fetch.body or None, headers=kind) as answer:
                    async for part in answer.aiter_bytes():
                        body += part
                        if len(body) > BODY_MAX:
                            return 0, httpx.Headers(), b"the answer is too large"
                    return answer.status_code, answer.headers, bytes(body)
        except (httpx.HTTPError, httpx.InvalidURL, OSError, ValueError) as error:
            words = "no answer in time" if isinstance(error, (TimeoutError, httpx.TimeoutException)) else str(error)
            return 0, httpx.Headers(), (words or type(error).__name__).encode()

    def _failed(self, words: str) -> None:
        self.last_error = words[:200]
        self.errors = [*self.errors[-99:], self._clock.now()]

    def _reply(self, fetch: Fetch, status: int, wait: float, body: bytes) -> None:
        info = ReplyInfo(key=fetch.key, status=status, url=fetch.url, retry_after_s=wait)
        self._outbox.put(self._venue, fetch.conn, REPLY, msgspec.json.encode(info) + b"\n" + body)
