"""One loopback port of one simulated venue: WebSocket clients, REST answers on the same port, and faults at will."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterable, Iterator
from contextlib import contextmanager
from http import HTTPStatus
from typing import Any, Protocol
from urllib.parse import parse_qsl, unquote, urlsplit

from loguru import logger
from websockets.asyncio.server import Server, ServerConnection, serve
from websockets.datastructures import Headers
from websockets.exceptions import ConnectionClosed
from websockets.http11 import Request, Response
from websockets.protocol import State

from dope.sim.dialogue import ANSWER, MAX_UNSENT, Client, Close, Dialogue, Ping, Reply, Said
from dope.sim.proxy import Proxy
from dope.sim.rest import RestPort

MAX_MESSAGE = 64 * 1024  #: bytes of one client message
CLOSE_TIMEOUT_S = 0.5  #: a client that does not answer the close is dropped after this


class Effect:
    """What one fault does at a port. Everything that is not overridden leaves things as they are; the port asks each in turn."""

    def out(self, client: Client, said: Said) -> Iterable[Said]:
        """What goes out to a client instead of this message."""
        return (said,)

    def heard(self, client: Client, text: str) -> str | None:
        """What the venue hears instead of this text; None = nothing."""
        return text

    def admit(self, path: str) -> Reply | None:
        """A Reply refuses a WebSocket."""
        return None

    async def rest(self, target: str, reply: Reply) -> Reply:
        """The answer to a request for this path and query instead of this one."""
        return reply


class Net(Protocol):
    """Where ports listen instead of the machine's loopback: both methods are those of the libraries, by the same names."""

    def serve(self, handler: Any, host: str, port: int, **options: Any) -> Awaitable[Server]: ...

    def start_server(self, client_connected_cb: Any, host: str, port: int, **options: Any) -> Awaitable[asyncio.Server]: ...


class Port:
    """Listens on an ephemeral loopback port; all sending goes through here, so all faults act here."""

    def __init__(
        self, name: str, dialogue: Dialogue, clock: Callable[[], float], ping: Ping, *,
        posted: Callable[[str, bytes, float], Reply] | None = None,
    ) -> None:  # fmt: skip
        """``posted`` answers POST, given its path, its body and the time; REST then has a port of its own."""
        self.name = name
        self.clients: set[Client] = set()
        self.muted = False  #: acks and pongs only
        self.frozen = False  #: nothing at all, sockets stay open
        self.effects: list[Effect] = []  #: of the faults that are under way, in their order
        self.refusing = 0  #: HTTP status for every request and handshake; 0 = none
        self.connects = 0  #: handshakes accepted so far
        self.sent = 0  #: data messages sent so far
        self.said = 0  #: messages of all sorts given to sockets so far
        self._dialogue = dialogue
        self._clock = clock
        self._ping = ping
        self._server: Server | None = None
        self._listen: Callable[..., Awaitable[Server]] = serve
        self._port = 0
        self._rest = RestPort(self._answer) if posted is not None else None
        self._posted = posted
        self.proxy: Proxy | None = None  #: what stands before it
        self._closing: set[asyncio.Future[None]] = set()
        self._together: dict[ServerConnection, None] | None = None  # to whom something was sent since ``together`` began

    @property
    def endpoints(self) -> dict[str, str]:
        """``{"ws": "ws://127.0.0.1:PORT", "rest": "http://127.0.0.1:PORT"}``, or those of the proxy before it."""
        if self.proxy is not None and self.proxy.endpoints:
            return self.proxy.endpoints
        return {"ws": f"ws://127.0.0.1:{self._port}", "rest": f"http://127.0.0.1:{self._rest.port if self._rest else self._port}"}

    def inside(self, net: Net) -> None:
        """Listen in this network from the next ``up`` on."""
        self._listen = net.serve
        if self._rest is not None:
            self._rest.listen = net.start_server

    async def up(self) -> None:
        """Listen; after ``down`` on the same port as before. Raises OSError if another has taken it meanwhile."""
        self._server = await self._listen(
            self._serve, "127.0.0.1", self._port, process_request=self._request, compression=None, max_size=MAX_MESSAGE,
            ping_interval=self._ping.interval_s, ping_timeout=self._ping.timeout_s, close_timeout=CLOSE_TIMEOUT_S, server_header=None,
        )  # fmt: skip
        self._port = self._server.sockets[0].getsockname()[1]
        if self._rest is not None:
            await self._rest.up()
        logger.info("sim {} listens on port {}", self.name, self._port)

    async def stand_behind(self, proxy: Proxy) -> None:
        """From now on its address is that of this proxy. Once, while it listens."""
        await proxy.before(self.endpoints)
        self.proxy = proxy

    async def down(self) -> None:
        """Cut every client and stop listening: connecting is refused."""
        if self._server is None:
            return
        server, self._server = self._server, None
        self.thaw()
        if self._rest is not None:
            await self._rest.down()
        for client in self.clients:
            client.ws.transport.abort()
        server.close(code=1001)
        await server.wait_closed()
        logger.info("sim {} is down", self.name)

    # -- sending -------------------------------------------------------------------------------------------------------
    def send(self, clients: Iterable[Client], message: str | bytes, *, data: bool = True, binary: bool = False, topic: str = "") -> None:
        """Queue one message for some clients, as a text frame unless ``binary``; ``data`` False marks acks and pongs.

        ``topic`` = what it is about, in the venue's own words.
        """
        if self.frozen or (data and self.muted):
            return
        now = self._clock()
        payload = message.encode() if isinstance(message, str) else message
        for client in clients:
            if client.ws.transport.is_closing():
                continue  # gone, but its end is told only in the next turn of the loop: asyncio would warn of each write
            if client.ws.transport.get_write_buffer_size() > MAX_UNSENT:
                client.ws.transport.abort()
                continue
            client.last = now
            if self.effects:
                self.through(client, Said(message, data, binary, topic))
                continue
            self._frame(client.ws, payload, text=not binary)
            self.sent += data
            self.said += 1

    @contextmanager
    def together(self) -> Iterator[None]:
        """What is sent inside goes to the socket of each client at the end, in one piece, as a busy venue's own writes do.

        Bytes of a fault that are no frames of the library go at once, after all that was sent before them.
        """
        self._together = {}
        try:
            yield
        finally:
            waiting, self._together = self._together, None
            for ws in waiting:
                self._flush(ws)

    def _frame(self, ws: ServerConnection, payload: bytes, *, text: bool) -> None:
        """Queue one frame; one whose closing handshake has begun gets nothing more."""
        if ws.protocol.state is not State.OPEN:
            return
        if text:
            ws.protocol.send_text(payload)
        else:
            ws.protocol.send_binary(payload)
        if self._together is None:
            self._flush(ws)
        else:
            self._together[ws] = None

    def _flush(self, ws: ServerConnection) -> None:
        """All frames that wait, in one write."""
        if ws.protocol.state is State.OPEN and (data := b"".join(ws.protocol.data_to_send())):
            ws.transport.write(data)

    def through(self, client: Client, said: Said, *, behind: Effect | None = None) -> None:
        """Send what the effects make of a message, all of them or those ``behind`` one."""
        place = self.effects.index(behind) + 1 if behind in self.effects else 0
        going = [said]
        for effect in self.effects[place:]:
            going = [each for one in going for each in effect.out(client, one)]
        for each in going:
            if client.ws.transport.is_closing():
                return
            payload = each.payload.encode() if isinstance(each.payload, str) else each.payload
            if each.raw:
                self._flush(client.ws)
                client.write(payload)
            else:
                self._frame(client.ws, payload, text=not each.binary)
            self.sent += each.data
            self.said += not each.raw

    def raw(self, frame: str | bytes) -> None:
        """Send one arbitrary frame to every client: str as a text frame, bytes as a binary one."""
        for client in self.clients:
            if not client.ws.transport.is_closing():
                self._frame(client.ws, frame.encode() if isinstance(frame, str) else frame, text=isinstance(frame, str))
        self.said += len(self.clients)

    # -- faults --------------------------------------------------------------------------------------------------------
    async def kick(self, code: int = 1001, reason: str = "") -> None:
        """Close every connection with this close code; 1006 = cut without a close frame."""
        if code == 1006:
            for client in list(self.clients):
                client.ws.transport.abort()
            return
        await asyncio.gather(*(client.ws.close(code, reason) for client in list(self.clients)))

    def end(self, client: Client, close: Close) -> None:
        """Close one connection without waiting for it."""
        self.clients.discard(client)
        task = asyncio.ensure_future(client.ws.close(close.code, close.reason))
        self._closing.add(task)
        task.add_done_callback(self._closing.discard)

    def now(self) -> float:
        """The port's clock, s."""
        return self._clock()

    def freeze(self) -> None:
        """Nothing is sent nor read any more, not even pongs; the sockets stay open."""
        self.frozen = True
        for client in self.clients:
            client.ws.transport.pause_reading()

    def thaw(self) -> None:
        """End of ``freeze``: what the clients said meanwhile is read now."""
        self.frozen = False
        for client in self.clients:
            client.ws.transport.resume_reading()

    # -- what arrives --------------------------------------------------------------------------------------------------
    async def _request(self, ws: ServerConnection, request: Request) -> Response | None:
        parts = urlsplit(request.path)
        if self.refusing:
            return _response(Reply(self.refusing, "{}"))
        if request.headers.get("Upgrade", "").lower() == "websocket":
            refused = next((reply for effect in self.effects if (reply := effect.admit(parts.path)) is not None), None)
            refused = refused or self._dialogue.admit(parts.path, self._clock())
            return None if refused is None else _response(refused)
        answer = self._dialogue.rest(unquote(parts.path), dict(parse_qsl(parts.query)), self._clock())
        return _response(await self._instead(request.path, answer if isinstance(answer, Reply) else await answer))

    async def _instead(self, target: str, reply: Reply) -> Reply:
        for effect in list(self.effects):
            reply = await effect.rest(target, reply)
        return reply

    async def _answer(self, method: str, target: str, body: bytes) -> tuple[int, tuple[tuple[str, str], ...], bytes]:
        """Of the REST port."""
        parts, now = urlsplit(target), self._clock()
        if self.refusing:
            return self.refusing, (), b"{}"
        if method == "POST" and self._posted is not None:
            reply = self._posted(unquote(parts.path), body, now)
        else:
            answer = self._dialogue.rest(unquote(parts.path), dict(parse_qsl(parts.query)), now)
            reply = answer if isinstance(answer, Reply) else await answer
        reply = await self._instead(target, reply)
        return reply.status, reply.headers, reply.body.encode() if isinstance(reply.body, str) else reply.body

    async def _serve(self, ws: ServerConnection) -> None:
        self.connects += 1
        client = Client(ws, self.connects, self._clock())
        self.clients.add(client)
        if self.frozen:
            ws.transport.pause_reading()
        try:
            for text in self._dialogue.opened(client):
                self.send([client], text, data=False, binary=isinstance(text, bytes))
            async for message in ws:
                heard = self._understood(client, message if isinstance(message, str) else message.decode("utf-8", "replace"))
                if heard is None:
                    continue
                client.last = self._clock()
                answers = self._dialogue.heard(client, heard, client.last)
                if isinstance(answers, Close):
                    await ws.close(answers.code, answers.reason)
                    break
                for answer in answers:
                    self.send([client], answer, data=False, binary=isinstance(answer, bytes), topic=ANSWER)
        except ConnectionClosed:
            pass  # the client went away without a close frame: nothing to do for a server
        finally:
            self.clients.discard(client)

    def _understood(self, client: Client, text: str) -> str | None:
        for effect in self.effects:
            heard = effect.heard(client, text)
            if heard is None:
                return None
            text = heard
        return text


def _response(reply: Reply) -> Response:
    body = reply.body.encode() if isinstance(reply.body, str) else reply.body
    headers = Headers([("Content-Type", "application/json"), ("Content-Length", str(len(body))), ("Connection", "close"), *reply.headers])
    return Response(reply.status, HTTPStatus(reply.status).phrase, headers, body)
