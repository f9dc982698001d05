"""What can be done to the connections and the service of a venue: silence, refusals, closing, maintenance, its clock."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Awaitable
from http import HTTPStatus
from typing import Any

from dope.errors import BadFault
from dope.sim.dialogue import Client, Close, Reply
from dope.sim.effects import Act, Doing
from dope.sim.modes import Mode
from dope.sim.wires import MAINTENANCE, SHUTDOWN

HTML = "<!DOCTYPE html><html><head><title>Just a moment...</title></head><body>Checking your browser</body></html>"


class Freeze(Doing):
    """Nothing is sent nor read, not even pongs."""

    def __init__(self, act: Act) -> None:
        super().__init__()
        self._port = act.port

    def start(self) -> None:
        self._port.freeze()

    def stop(self) -> None:
        self._port.thaw()


class Mute(Doing):
    """Acks and pongs, no data."""

    def __init__(self, act: Act) -> None:
        super().__init__()
        self._port = act.port

    def start(self) -> None:
        self._port.muted = True

    def stop(self) -> None:
        self._port.muted = False


class Refuse(Doing):
    """An HTTP status for every handshake and request."""

    def __init__(self, act: Act) -> None:
        super().__init__()
        self._act = act

    def start(self) -> None:
        self._act.port.refusing = self._act.count("status")

    def stop(self) -> None:
        self._act.port.refusing = 0


class Kick(Doing):
    """Every connection closed with this code; 1006 = cut. ``refuse_ms`` = who comes back before is refused."""

    def __init__(self, act: Act) -> None:
        super().__init__()
        self._act = act
        self._until = 0.0

    def start(self) -> Awaitable[None]:
        self._act.did()
        self._until = self._act.sample.now_ms + self._act.number("refuse_ms")
        self._act.later(self._act.number("refuse_ms"), self._end)
        return self._act.port.kick(self._act.count("code"), str(self._act.params["reason"]))

    def _end(self) -> None:
        self._act.over = True

    def admit(self, path: str) -> Reply | None:
        return Reply(503, "{}") if self._act.sample.now_ms < self._until else None


class Age(Doing):
    """Every connection is closed at an age, one a little later than the other."""

    def __init__(self, act: Act) -> None:
        super().__init__()
        self._act = act

    def step(self) -> None:
        now, age = self._act.port.now(), self._act.number("age_s")
        for client in list(self._act.port.clients):
            if now - client.since >= age * (1.0 + 0.05 * (client.number % 5)):
                self._act.did()
                self._act.port.end(client, Close(1001, "24 hours"))


class Down(Doing):
    """Connections cut, and nobody listens."""

    def __init__(self, act: Act) -> None:
        super().__init__()
        self._act, self._port = act, act.port

    def start(self) -> Awaitable[None]:
        self._act.did()
        return self._port.down()

    def stop(self) -> Awaitable[None]:
        return self._port.up()


class Shutdown(Doing):
    """The venue announces the end of its connections, and ends those that are still there after ``grace_s``."""

    def __init__(self, act: Act) -> None:
        super().__init__()
        self._act = act
        self._warned: list[Client] = []

    def start(self) -> None:
        self._warned = list(self._act.port.clients)
        self._act.did()
        self._act.port.raw(SHUTDOWN[self._act.fault.venue])
        self._act.later(self._act.number("grace_s") * 1000, self._end)

    def _end(self) -> None:
        self._act.over = True
        for client in self._warned:
            if client in self._act.port.clients:
                self._act.port.end(client, Close(1012, "service restart"))


class Maintenance(Doing):
    """Said where the venue has words for it; then connections end with 1012 and all is 503."""

    def __init__(self, act: Act) -> None:
        super().__init__()
        self._act = act

    def start(self) -> Awaitable[None]:
        self._act.did()
        if self._act.fault.venue in MAINTENANCE:
            self._act.port.raw(MAINTENANCE[self._act.fault.venue])
        self._act.port.refusing = 503
        return self._act.port.kick(1012, "maintenance")

    def stop(self) -> None:
        self._act.port.refusing = 0


class AtUpgrade(Doing):
    """An HTTP status in place of a WebSocket, for all or for those beyond ``most``. Open ones are cut where ``cut``."""

    def __init__(self, act: Act) -> None:
        super().__init__()
        self._act = act

    def start(self) -> Awaitable[None] | None:
        return self._act.port.kick(1006) if self._act.params["cut"] else None

    def admit(self, path: str) -> Reply | None:
        if len(self._act.port.clients) < self._act.count("most") or not self._act.happens():
            return None
        self._act.did()
        wait, status = self._act.params["retry_after_s"], self._act.count("status")
        headers: tuple[tuple[str, str], ...] = (("Retry-After", str(wait)),) if wait else ()
        if status in (301, 302, 307, 308):
            headers += (("Location", "https://127.0.0.1:9/elsewhere"),)
        return Reply(status, HTML if status in (403, 451) else "{}", headers)


class Limited(Doing):
    """Every request is answered with this status and how long to wait."""

    def __init__(self, act: Act) -> None:
        super().__init__()
        self._act = act

    async def rest(self, target: str, reply: Reply) -> Reply:
        self._act.did()
        status = HTTPStatus(self._act.count("status"))
        return Reply(status.value, f'{{"msg":"{status.phrase}"}}', (("Retry-After", str(self._act.params["retry_after_s"])),))


class Deaf(Doing):
    """The venue does not hear pings of the application, nor answers to its own: it then ends the connection itself."""

    def __init__(self, act: Act) -> None:
        super().__init__()
        self._act = act

    def heard(self, client: Client, text: str) -> str | None:
        if len(text) < 200 and ("ping" in text.lower() or "pong" in text.lower()):
            self._act.did()
            return None
        return text


class Deadline(Doing):
    """The venue pings by the protocol and cuts who does not answer within ``s``."""

    def __init__(self, act: Act) -> None:
        super().__init__()
        self._act = act
        self._tasks: set[asyncio.Task[None]] = set()

    def step(self) -> None:
        if self._act.sample.steps % 100 == 0:
            for client in list(self._act.port.clients):
                task = asyncio.ensure_future(self._ping(client))
                self._tasks.add(task)
                task.add_done_callback(self._tasks.discard)

    async def _ping(self, client: Client) -> None:
        self._act.did()
        try:
            await asyncio.wait_for(await client.ws.ping(), self._act.number("s"))
        except TimeoutError:
            client.ws.transport.abort()
        except OSError:
            pass  # it is gone already

    def stop(self) -> None:
        for task in self._tasks:
            task.cancel()


class Skew(Doing):
    """The venue's clock is wrong: by ``s`` seconds, by ``ppm`` more each second, or by ``s`` every other ``every_s``."""

    def __init__(self, act: Act) -> None:
        super().__init__()
        self._act, self._clock = act, act.clock
        self._begun = act.sample.now_ms

    def step(self) -> None:
        self._act.did()
        passed = self._act.sample.now_ms - self._begun
        every = self._act.number("every_s") * 1000
        on = not every or int(passed // every) % 2 == 0
        self._clock.ahead_ms = int((self._act.number("s") * 1000 if on else 0) + passed * self._act.number("ppm") / 1e6)

    def stop(self) -> None:
        self._clock.ahead_ms = 0


def slow(act: Act, *, first: bool = False) -> Any:
    """Answers that come after ``ms``; ``first`` = the connections are cut meanwhile."""

    async def change(target: str, reply: Reply) -> Reply:
        came = asyncio.Event()
        if first:
            await act.port.kick(1006)
        act.later(act.number("ms"), came.set)
        await came.wait()
        return reply

    return change


def status(act: Act) -> Any:
    """Answers with another status."""

    async def change(target: str, reply: Reply) -> Reply:
        wait = act.params["retry_after_s"]
        body = HTML if act.params["html"] else json.dumps({"code": -1, "msg": "no"})
        return Reply(act.count("status"), body, (("Retry-After", str(wait)),) if wait else ())

    return change


def old(act: Act) -> Any:
    """The first answer, again and again."""
    kept: dict[str, Reply] = {}

    async def change(target: str, reply: Reply) -> Reply:
        return kept.setdefault(target, reply)

    return change


class OnLink(Doing):
    """A mode of the proxy before the venue. Raises BadFault where there is no proxy, or for one market alone."""

    def __init__(self, act: Act, *, kind: str) -> None:
        super().__init__()
        if act.port.proxy is None:
            raise BadFault(f"{kind} needs a proxy before {act.fault.venue}: start the market with --proxy")
        if act.market is not None:
            raise BadFault(f"{kind} happens to all connections of {act.fault.venue}, not to {act.market.spec.symbol} alone")
        self._act, self._proxy = act, act.port.proxy
        self._mode = Mode(kind, act.params, p=act.fault.p, rng=act.rng, did=act.did)

    def start(self) -> Awaitable[None] | None:
        self._act.over = self._mode.kind in ("tcp_reset", "tcp_eof") and not self._act.fault.duration_s
        return self._proxy.on(self._mode)

    def stop(self) -> Awaitable[None] | None:
        return self._proxy.off(self._mode)
