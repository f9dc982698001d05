"""The seam to the network: open one WebSocket, hand its messages to a listener, send, close at once.

Whatever is behind the seam gives the same promises: ``opened`` comes first and once, messages in order, ``closed``
last and at most once. Tests replace ``Dialer`` by any callable of the same form.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import os
import socket as sockets
import ssl
from collections.abc import Awaitable, Callable
from typing import Any, Protocol

import picows

from dope.feed.clock import Clock
from dope.feed.pace import retry_after_s
from dope.feed.resolve import Resolver

OPEN_TIMEOUT_S = 5.0  #: name look-up, TCP, TLS and handshake together
MAX_MESSAGE = 4 * 1024 * 1024  #: bytes of one message, also when it comes in fragments
FRAGMENTS_MAX = 65_536  #: of one message
READ_BUFFER = 256 * 1024  #: bytes offered to each read: fewer system calls in a burst
ADDRESS_S = 2.0  #: patience with one address while there are others

#: the library logs every connect and close; changes of state are logged by us
_LOG = logging.Logger("picows", level=logging.CRITICAL + 1)

CONTROL_MAX = 125  #: bytes; longest payload of a ping, pong or close frame (RFC 6455, 5.5)
TEXT, BINARY, CONTINUATION = picows.WSMsgType.TEXT, picows.WSMsgType.BINARY, picows.WSMsgType.CONTINUATION
CLOSE = picows.WSMsgType.CLOSE
NO_CLOSE_FRAME = 1006
PROTOCOL_ERROR, TOO_BIG = 1002, 1009


class Socket(Protocol):
    """An open WebSocket, as much of it as a connection needs."""

    def send(self, text: str) -> None:
        """Queue one text message for sending; never blocks."""

    def close(self, code: int = 1000) -> None:
        """Say goodbye if the peer listens, then abort: the descriptor is free within one turn of the loop."""


class Listener(Protocol):
    """Who hears what happens on a socket."""

    def opened(self, socket: Socket) -> None: ...

    def message(self, data: bytes) -> None: ...

    def closed(self, code: int, reason: str) -> None: ...


Connect = Callable[[str, Listener], Awaitable[None]]


class ConnectFailed(Exception):
    """No WebSocket came of it. ``status`` is the HTTP status given instead, 0 = none."""

    def __init__(self, words: str, status: int = 0, retry_after_s: float = 0.0) -> None:
        super().__init__(words)
        self.words, self.status, self.retry_after_s = words, status, retry_after_s


class Dialer:
    """Opens real sockets: compression is not offered, messages are bounded, protocol pings are answered below us."""

    def __init__(
        self, clock: Clock, *, resolver: Resolver | None = None, open_timeout_s: float = OPEN_TIMEOUT_S,
        max_message: int = MAX_MESSAGE,
    ) -> None:
        self._clock = clock
        self._resolver = resolver or Resolver()
        self._open_timeout_s = open_timeout_s
        self._max_message = max_message

    async def __call__(self, url: str, listener: Listener) -> None:
        """Open ``url`` and attach ``listener``; returns when it is open. Raises ConnectFailed."""
        held: list[sockets.socket] = []

        async def dial(parsed: Any) -> sockets.socket:
            held.append(await self._dial(parsed.host, parsed.port))
            return held[0]

        opened = False
        try:
            async with asyncio.timeout(self._open_timeout_s):
                _, receiver = await picows.ws_connect(
                    lambda: _Receiver(listener, self._max_message), url, socket_factory=dial, logger_name=_LOG,
                    websocket_handshake_timeout=None, max_frame_size=self._max_message, max_redirects=0,
                    read_buffer_init_size=READ_BUFFER, disconnect_on_exception=False,
                )
            opened = receiver is not None
        except TimeoutError:
            raise ConnectFailed(f"no answer within {self._open_timeout_s:g} s") from None
        except picows.WSHandshakeError as error:
            raise self._refusal(error) from None
        except OSError as error:
            raise ConnectFailed(_words(error)) from None
        finally:
            if not opened:
                # The library owns the transport but forgets it when the wait is cut short: an end of file makes it close.
                for sock in held:
                    with contextlib.suppress(OSError):
                        sock.shutdown(sockets.SHUT_RDWR)
        if not opened:
            raise ConnectFailed("closed during the handshake")

    async def _dial(self, host: str, port: int) -> sockets.socket:
        loop = asyncio.get_running_loop()
        addresses = await self._resolver.addresses(host, port)
        failure: OSError = OSError(f"{host} has no address")
        for index, (family, address) in enumerate(addresses):
            sock = _Leaving(family, loop)
            sock.setblocking(False)
            connected = False
            try:
                async with asyncio.timeout(ADDRESS_S if index + 1 < len(addresses) else None):
                    await loop.sock_connect(sock, address)
                connected, sock.peer = True, address
                return sock
            except OSError as error:  # TimeoutError is one
                failure = error
            finally:
                if not connected:
                    sock.close()
        raise failure

    def _refusal(self, error: picows.WSHandshakeError) -> ConnectFailed:
        if error.response is None or not hasattr(error.response, "status"):
            return ConnectFailed("the answer is not HTTP")
        status = int(error.response.status)
        if status == 101:
            return ConnectFailed(f"bad WebSocket handshake: {error}")
        utc_s = (self._clock.now() + self._clock.wall_offset()) / 1e9
        wait = retry_after_s(error.response.headers.get("Retry-After"), utc_s)
        return ConnectFailed(f"answered HTTP {status} instead of a WebSocket", status, wait)


class _Leaving(sockets.socket):
    """Leaves the loop when it is closed, and knows its peer as long as it lives.

    The library registers a new socket in the turn after it told its protocol, also if that has closed it by then (the peer had
    reset it), and does not take it back. The loop would go on taking its number for known, and never listen to the next socket of
    that number, whosever it is. And one that was reset before it is looked at would be connected anew, and then left open.
    """

    def __init__(self, family: int, loop: asyncio.AbstractEventLoop) -> None:
        super().__init__(family, sockets.SOCK_STREAM)
        self._loop = loop
        self.peer: Any = None  #: once connected

    def getpeername(self) -> Any:
        try:
            return super().getpeername()
        except OSError:
            if self.peer is None:
                raise
            return self.peer

    def close(self) -> None:
        if (number := self.fileno()) >= 0 and not self._loop.is_closed():
            self._loop.remove_reader(number)
            self._loop.remove_writer(number)
        super().close()


def _words(error: OSError) -> str:
    """A failed connect as a person would say it: asyncio's own text names the address and hides the cause."""
    if isinstance(error, ssl.SSLError):
        return f"TLS failed: {getattr(error, 'verify_message', '') or error.reason or error}"
    return os.strerror(error.errno).lower() if error.errno else str(error) or type(error).__name__


def _number(code: Any) -> int:
    """A close code as a number; codes without a name of their own (4000-4999) come as plain numbers."""
    return int(code)


class _Socket:
    """A picows transport behind the ``Socket`` form."""

    def __init__(self, transport: picows.WSTransport) -> None:
        self._transport = transport

    def send(self, text: str) -> None:
        self._transport.send(TEXT, text.encode())

    def close(self, code: int = 1000) -> None:
        if self._transport.is_disconnected:
            return
        if not self._transport.is_close_frame_sent:
            self._transport.send_close(picows.WSCloseCode(code))
        self._transport.disconnect(False)


class _Receiver(picows.WSListener):  # type: ignore[misc]
    """The hot path below ``Listener``: whole messages out of frames; fragments are joined within the size limit."""

    def __init__(self, listener: Listener, max_message: int) -> None:
        super().__init__()
        self._listener = listener
        self._message = listener.message
        self._max_message = max_message
        self._plain_max = max_message  #: 0 while the fragments of a message are being joined
        self._parts: list[bytes] = []
        self._size = 0

    def on_ws_connected(self, transport: picows.WSTransport) -> None:
        self._listener.opened(_Socket(transport))

    def on_ws_frame(self, transport: picows.WSTransport, frame: picows.WSFrame) -> None:
        # Reading the type costs 0.1 µs; a frame above 125 bytes cannot be a control frame, so most need not be asked.
        # The library reports a frame above the limit but may still deliver it before it closes: not passed on.
        # Of the reserved bits only the first has a meaning anywhere (packed); each costs 0.02 µs, so a usual frame is asked for that one.
        size = frame.payload_size
        if CONTROL_MAX < size <= self._plain_max and frame.fin and not frame.rsv1:
            self._message(frame.get_payload_as_bytes())
            return
        if frame.rsv1 or frame.rsv2 or frame.rsv3:  # no extension was agreed on: what these would mean nobody knows (RFC 6455, 5.2)
            self._parts = []
            self._listener.closed(PROTOCOL_ERROR, "a frame with a reserved bit set")
            return
        kind = frame.msg_type
        if kind is CLOSE:
            self._listener.closed(_number(frame.get_close_code()) or NO_CLOSE_FRAME, frame.get_close_reason() or "")
        elif kind is CONTINUATION or not frame.fin:
            self._fragment(frame)
        elif size <= self._max_message and (kind is TEXT or kind is BINARY):
            self._message(frame.get_payload_as_bytes())

    def _fragment(self, frame: picows.WSFrame) -> None:
        if frame.msg_type is not CONTINUATION:
            self._parts, self._size = [], 0
        self._size += frame.payload_size
        if self._size > self._max_message or len(self._parts) >= FRAGMENTS_MAX:
            self._parts = []
            self._listener.closed(TOO_BIG, f"a message above {self._max_message} bytes or {FRAGMENTS_MAX} fragments")
            return
        self._parts.append(frame.get_payload_as_bytes())
        self._plain_max = 0
        if frame.fin:
            whole, self._parts = b"".join(self._parts), []
            self._plain_max = self._max_message
            self._message(whole)

    def on_ws_disconnected(self, transport: picows.WSTransport) -> None:
        shaken = transport.close_handshake
        if shaken is not None and shaken.recv is None and shaken.sent is not None:
            self._listener.closed(_number(shaken.sent.code), shaken.sent.reason or "protocol error")
        else:
            self._listener.closed(NO_CLOSE_FRAME, "connection lost")
