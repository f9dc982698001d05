"""Frames that break the rules of WebSocket, or that are too long, too deep or too many: bytes for the transport."""

from __future__ import annotations

import gzip
import struct
import zlib
from collections import deque
from collections.abc import Callable, Iterable

from websockets.frames import Opcode

from dope.sim.dialogue import Client, Said
from dope.sim.effects import Act, Doing, Memory

MIB = 1024 * 1024
ENDLESS = 2_000  #: fragments per step


def frame(
    payload: bytes, *, code: Opcode = Opcode.TEXT, fin: bool = True, rsv1: bool = False, rsv2: bool = False, masked: bool = False
) -> bytes:
    """One frame as a server sends it, or should not send it."""
    first = fin << 7 | rsv1 << 6 | rsv2 << 5 | code
    size, mask = len(payload), 0x80 if masked else 0
    if size < 126:
        head = bytes([first, mask | size])
    elif size < 1 << 16:
        head = bytes([first, mask | 126]) + struct.pack(">H", size)
    else:
        head = bytes([first, mask | 127]) + struct.pack(">Q", size)
    return head + bytes(4) + payload if masked else head + payload  # a mask of zeros changes nothing


def as_bytes(said: Said) -> bytes:
    """The payload of a message."""
    return said.payload if isinstance(said.payload, bytes) else said.payload.encode()


def code_of(said: Said) -> Opcode:
    """Text or binary."""
    return Opcode.BINARY if said.binary else Opcode.TEXT


# -- what is sent once to every client -----------------------------------------------------------------------------
def garbage(act: Act) -> bytes:
    """Text that is no JSON, an empty message, and bytes as they come."""
    noise = act.rng.randbytes(200)
    texts = [b"\x00garbage}{", b"", b"\xef\xbb\xbf{}", b"<html><body>502 Bad Gateway</body></html>", b"]", b"nan"]
    return b"".join(frame(each) for each in texts) + frame(noise, code=Opcode.BINARY)


def bad_utf8(act: Act) -> bytes:
    """A text message with bytes that are no UTF-8."""
    return frame(b'{"channel":"\xff\xfe\xc0\xaf","data":[]}')


def nest(act: Act) -> bytes:
    """Lists in lists, so many deep."""
    depth = act.count("depth")
    return frame(b"[" * depth + b"]" * depth) + frame(b'{"a":' * depth + b"1" + b"}" * depth)


def huge(act: Act) -> bytes:
    """The beginning of a message of so many MiB."""
    return bytes([0x80 | Opcode.TEXT, 127]) + struct.pack(">Q", act.count("mib") * MIB) + b" " * 65_536


def bomb(act: Act) -> bytes:
    """A compressed frame that nobody agreed on; it would unfold to so many MiB."""
    squeeze = zlib.compressobj(9, wbits=-15)
    chunk = bytes(MIB)
    body = b"".join(squeeze.compress(chunk) for _ in range(act.count("mib"))) + squeeze.flush(zlib.Z_SYNC_FLUSH)
    return frame(body[:-4], rsv1=True)


def gzip_bomb(act: Act) -> bytes:
    """A packed payload that unfolds to so many MiB."""
    return frame(gzip.compress(bytes(act.count("mib") * MIB), 1, mtime=0), code=Opcode.BINARY)


def rsv_bits(act: Act) -> bytes:
    """A frame with a reserved bit set."""
    return frame(b"{}", rsv2=True)


def masked(act: Act) -> bytes:
    """A frame that is masked, as only clients may send it."""
    return frame(b'{"event":"masked"}', masked=True)


class Once(Doing):
    """Bytes for every client, once."""

    def __init__(self, act: Act, make: Callable[[Act], bytes]) -> None:
        super().__init__()
        self._act, self._make = act, make

    def start(self) -> None:
        sent = self._make(self._act)
        for client in list(self._act.port.clients):
            client.write(sent)
            self._act.did()
        self._act.over = True


class Endless(Doing):
    """A message in fragments that never ends, to every client that is there when it begins; who comes back is spared."""

    def __init__(self, act: Act) -> None:
        super().__init__()
        self._act = act
        self._part = frame(b" " * act.count("size"), code=Opcode.CONT, fin=False) * ENDLESS
        self._suffering: list[Client] = []

    def start(self) -> None:
        self._suffering = list(self._act.port.clients)
        for client in self._suffering:
            if client.write(frame(b"[", fin=False)):
                self._act.did()

    def out(self, client: Client, said: Said) -> Iterable[Said]:
        return () if client in self._suffering else (said,)

    def step(self) -> None:
        for client in self._suffering:
            client.write(self._part)


class PingFlood(Doing):
    """So many pings of the protocol in every step."""

    def __init__(self, act: Act) -> None:
        super().__init__()
        self._act = act

    def step(self) -> None:
        flood = frame(b"flood", code=Opcode.PING) * self._act.count("n")
        for client in list(self._act.port.clients):
            if client.write(flood):
                self._act.did()


# -- what is done to every message ---------------------------------------------------------------------------------
def split(act: Act, memory: Memory, said: Said) -> list[Said]:
    """A message in ``n`` fragments."""
    body, n = as_bytes(said), act.count("n")
    size = max(1, -(-len(body) // n))
    parts = [body[at : at + size] for at in range(0, len(body), size)] or [b""]
    frames = [frame(part, code=Opcode.CONT if place else code_of(said), fin=place == len(parts) - 1) for place, part in enumerate(parts)]
    return [said._replace(payload=b"".join(frames), raw=True)]


def binary(act: Act, memory: Memory, said: Said) -> list[Said]:
    """A text message as a binary one."""
    return [said._replace(payload=as_bytes(said), binary=True)]


class Trickle(Doing):
    """All that goes out does so in pieces of so many bytes, one each step."""

    def __init__(self, act: Act) -> None:
        super().__init__()
        self._act, self._size = act, act.count("bytes")
        self._waiting: dict[Client, deque[bytes]] = {}

    def out(self, client: Client, said: Said) -> Iterable[Said]:
        whole = as_bytes(said) if said.raw else frame(as_bytes(said), code=code_of(said))
        waiting = self._waiting.setdefault(client, deque())
        waiting.extend(whole[at : at + self._size] for at in range(0, len(whole), self._size))
        return ()

    def step(self) -> None:
        for client, waiting in list(self._waiting.items()):
            if client not in self._act.port.clients:
                del self._waiting[client]
            elif waiting and client.write(waiting[0]):
                waiting.popleft()
                self._act.did()

    def stop(self) -> None:
        for client, waiting in self._waiting.items():
            if waiting and client in self._act.port.clients:
                client.write(b"".join(waiting))
        self._waiting.clear()
