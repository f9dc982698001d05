"""One of the two sockets of a connection through a proxy: what it hears waits here for as long as the modes want, then goes on."""

from __future__ import annotations

import asyncio
import socket
import struct
from collections import deque
from typing import Protocol

from dope.sim.modes import UP, Mode

HELD_MAX = 1 << 20  #: bytes of one way of a connection that wait here; then their sender has to
LINGER_0 = struct.pack("ii", 1, 0)  #: a socket that is closed with this sends RST
FIN, CUT, RST = "the end of one way", "a close", "a reset"


class Middle(Protocol):
    """The proxy, as its sockets know it."""

    on_way: dict[str, dict[str, Mode]]  #: way → kind → the mode that holds
    carried: dict[str, int]  #: way → bytes

    def accepted(self, near: End) -> None:
        """A client is there."""

    def forget(self, end: End) -> None:
        """A connection of which nothing is left."""


class End(asyncio.Protocol):
    """What it hears goes one ``way``, out at the ``other``; ``behind`` = host and port of the venue."""

    def __init__(self, proxy: Middle, way: str, behind: tuple[str, int]) -> None:
        self.proxy, self.way, self.behind = proxy, way, behind
        self.other: End
        self.transport: asyncio.Transport | None = None
        self.gone = self.heard_all = self.said_all = self.full = False
        self._on = proxy.on_way[way]
        self._loop = asyncio.get_running_loop()
        self._held: deque[tuple[float, bytes | str]] = deque()  # (when it goes on, what)
        self._bytes = self._passed = 0
        self._due = 0.0  # when the newest of them goes on
        self._timer: asyncio.TimerHandle | None = None

    # -- what the socket tells -----------------------------------------------------------------------------------------
    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self.transport = transport
        if self.way == UP:
            self.proxy.accepted(self)
        elif self.other.gone:
            transport.abort()
        else:
            self.other.flow()

    def data_received(self, data: bytes) -> None:
        on = self._on
        if "tcp_blackhole" in on:
            on["tcp_blackhole"].did()
            return
        if self.other.said_all or self.other.gone:
            return
        limit = on.get("tcp_limit")
        if limit is not None:
            data = data[: max(0, int(limit.number("n")) - self._passed)]
        self._passed += len(data)
        if "tcp_corrupt" in on and data:
            data = on["tcp_corrupt"].spoilt(data)
        size = int(on["tcp_slice"].number("n", 1)) if "tcp_slice" in on else len(data)
        late = on["tcp_latency"].late_s() if "tcp_latency" in on else 0.0
        for start in range(0, len(data), size or 1):
            self._hold(data[start : start + size], late)
        if limit is not None and self._passed >= limit.number("n"):
            limit.did()
            self._hold(CUT)
        self.flow()

    def eof_received(self) -> bool:
        self.heard_all = True
        if "tcp_blackhole" not in self._on:
            self._hold(FIN)
            self.flow()
        return self.other.transport is not None  # the other way goes on, where there is one

    def connection_lost(self, exc: Exception | None) -> None:
        self.gone = True
        if self.other.gone or self.other.transport is None:
            self.proxy.forget(self)
        elif "tcp_blackhole" not in self._on:
            self._hold(RST if exc is not None else CUT)
            self.flow()

    def pause_writing(self) -> None:
        self.full = True
        self.other.mind()

    def resume_writing(self) -> None:
        self.full = False
        self.other.mind()

    # -- what is done --------------------------------------------------------------------------------------------------
    def _hold(self, what: bytes | str, late_s: float = 0.0) -> None:
        self._due = max(self._due, self._loop.time() + late_s)
        if isinstance(what, bytes):
            self._bytes += len(what)
            if "tcp_rate" in self._on:
                self._due += len(what) / self._on["tcp_rate"].number("bytes_s", 1)
        self._held.append((self._due, what))

    def flow(self) -> None:
        """Let go on what is due."""
        if self.other.transport is None:
            return  # not connected yet
        now = self._loop.time()
        while self._held and self._held[0][0] <= now:
            what = self._held.popleft()[1]
            self.other.take(what)
            self._bytes -= len(what) if isinstance(what, bytes) else 0
        if self._held and self._timer is None:
            self._timer = self._loop.call_at(self._held[0][0], self._next)
        self.mind()

    def _next(self) -> None:
        self._timer = None
        self.flow()

    def take(self, what: bytes | str) -> None:
        """Say this."""
        assert self.transport is not None
        if self.transport.is_closing():
            return
        if isinstance(what, bytes):
            self.proxy.carried[self.other.way] += len(what)
            self.transport.write(what)
        elif what == FIN:
            self.said_all = True
            self.transport.write_eof()
            if self.other.said_all:
                self.close()
                self.other.close()
        elif what == RST:
            self.reset()
        else:
            self.close()

    def close(self) -> None:
        """Close it; what was written still goes out."""
        if self.transport is not None:
            self.transport.close()

    def reset(self) -> None:
        """Close it with RST."""
        if self.transport is not None and not self.gone:
            self.transport.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, LINGER_0)
            self.transport.abort()

    def mind(self) -> None:
        """Read on, or not."""
        if self.transport is None or self.heard_all or self.transport.is_closing():
            return
        if self._bytes > HELD_MAX or self.other.full or "tcp_stall" in self._on:
            self.transport.pause_reading()
        else:
            self.transport.resume_reading()

    def catch_up(self) -> None:
        """What was swallowed of the end of this socket is told now."""
        if self.gone or self.heard_all:
            self._hold(CUT if self.gone else FIN)
            self.flow()
