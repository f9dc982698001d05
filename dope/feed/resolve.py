"""Host names to addresses without ever tying up the event loop: bounded look-ups, last good answer as a fallback."""

from __future__ import annotations

import asyncio
import contextlib
import ipaddress
import socket
import threading
from collections.abc import Callable
from typing import Any

LOOKUP_S = 2.0  #: patience with a look-up before the last good address is used
THREADS = 2  #: look-ups that may hang at once; getaddrinfo cannot be interrupted
HOSTS_KEPT = 256

Address = tuple[int, Any]  #: (address family, socket address)
Lookup = Callable[..., list[Any]]


class Resolver:
    """Asks the system anew for each connection, so that a fail-over is followed; remembers the last good answer."""

    def __init__(self, lookup: Lookup = socket.getaddrinfo, *, patience_s: float = LOOKUP_S) -> None:
        self._lookup = lookup
        self._patience_s = patience_s
        self._known: dict[tuple[str, int], list[Address]] = {}
        self._slots: asyncio.Semaphore | None = None

    async def addresses(self, host: str, port: int) -> list[Address]:
        """All addresses of ``host``, best first. Raises OSError when it has none and none is remembered."""
        try:
            literal = ipaddress.ip_address(host)
        except ValueError:
            pass
        else:
            return [(socket.AF_INET6 if literal.version == 6 else socket.AF_INET, (host, port))]
        known = self._known.get((host, port))
        try:
            async with asyncio.timeout(self._patience_s):
                found = await self._ask(host, port)
        except TimeoutError:
            if known is None:
                raise OSError(f"the name {host} could not be looked up within {self._patience_s:g} s") from None
            return known
        except socket.gaierror as error:
            if known is None:
                raise OSError(f"the name {host} is not known ({error.strerror})") from None
            return known
        if len(self._known) < HOSTS_KEPT:
            self._known[host, port] = found
        return found

    async def _ask(self, host: str, port: int) -> list[Address]:
        # Own daemon threads: a hung getaddrinfo would otherwise fill the loop's shared pool and delay the exit.
        if self._slots is None:
            self._slots = asyncio.Semaphore(THREADS)
        slots, loop = self._slots, asyncio.get_running_loop()
        await slots.acquire()
        answer: asyncio.Future[list[Address]] = loop.create_future()

        def deliver(found: list[Address], error: OSError | None) -> None:
            slots.release()
            if answer.done():
                return
            if error is not None:
                answer.set_exception(error)
            else:
                answer.set_result(found)

        def work() -> None:
            found: list[Address] = []
            failed: OSError | None = OSError("the look-up ended without an answer")
            try:
                rows = self._lookup(host, port, type=socket.SOCK_STREAM)
                found = list(dict.fromkeys((row[0], row[4]) for row in rows))
                failed = None
            except OSError as error:
                failed = error
            except UnicodeError:
                failed = socket.gaierror(socket.EAI_NONAME, "not a host name")
            finally:
                with contextlib.suppress(RuntimeError):  # the loop has ended meanwhile; nobody waits any more
                    loop.call_soon_threadsafe(deliver, found, failed)

        threading.Thread(target=work, name=f"lookup {host}", daemon=True).start()
        return await answer
