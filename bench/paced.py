"""Two venues on one loopback port, sending by the clock: ``python -m bench.paced FILE COUNT RATE SENT`` (COUNT 0 = over and over).

An open loop: each message has its planned time (a Poisson stream of RATE a second, the same for the same seed) before the first is
sent, and a receiver that stalls moves none of them. What is due goes out together; where the receiver does not keep up, that is too
late, and the planned time tells it. At the end SENT holds, in ns of the monotonic clock, when each message was due and when it went.

The busy venue speaks the messages of ``bench.plants`` to the first client of its public path; the other one has a snapshot, and
ten small changes a second. Prints the port; ends when its standard input does: SENT is there by then.
"""

from __future__ import annotations

import base64
import contextlib
import ctypes
import gc
import hashlib
import json
import random
import re
import socket
import sys
import threading
import time
from bisect import bisect_right
from collections.abc import Iterator, Sequence
from itertools import accumulate, islice
from pathlib import Path

import numpy as np

from bench.endless import Endless
from bench.plants import PLANTED, other_levels, read
from bench.server import MAGIC, PATH, framed
from bench.stream import SYMBOLS

BEAT_NS = 100_000_000  #: between two changes of the other venue's books
ALIVE = b'{"event":"channel-conn-count","channel":"candle1m","connCount":"1","connId":"1"}'
PIECE_S = 0.1  #: of an endless stream made ready at once
READY_S = 1.0  #: after the snapshots, before the first planned message
ID0 = 1_000  #: number of the other venue's snapshot
TIMER_SLACK = 29  #: prctl option: how late the system may wake us
NS = 1_000_000_000


def planned(rate: float, *, seed: int = 1) -> Iterator[int]:
    """Offsets in ns of a Poisson stream of ``rate`` messages a second, without end."""
    rng, at = random.Random(seed), 0.0
    while True:
        at += rng.expovariate(rate)
        yield int(at * 1e9)


class Peer:
    """One client after its request: an HTTP answer, or a WebSocket that is read and acknowledged in a thread of its own."""

    def __init__(self, sock: socket.socket) -> None:
        self._sock, self._sending = sock, threading.Lock()
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._rest = b""
        request = self._until(b"\r\n\r\n").decode()
        self.path = request.split()[1]
        self.key = re.search(r"(?i)^sec-websocket-key: *(\S+)", request, re.MULTILINE)

    def _until(self, end: bytes) -> bytes:
        while end not in self._rest:
            more = self._sock.recv(65_536)
            if not more:
                raise ConnectionError("gone")
            self._rest += more
        head, _, self._rest = self._rest.partition(end)
        return head

    def _exactly(self, count: int) -> bytes:
        while len(self._rest) < count:
            more = self._sock.recv(65_536)
            if not more:
                raise ConnectionError("gone")
            self._rest += more
        taken, self._rest = self._rest[:count], self._rest[count:]
        return taken

    def accept(self) -> None:
        """Answer the handshake."""
        assert self.key is not None
        accept = base64.b64encode(hashlib.sha1(self.key[1].encode() + MAGIC).digest()).decode()
        head = "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
        self.send(f"{head}Sec-WebSocket-Accept: {accept}\r\n\r\n".encode())

    def answer(self, body: bytes) -> None:
        """One HTTP answer, then the end."""
        head = b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nConnection: close\r\n"
        self.send(head + b"Content-Length: %d\r\n\r\n" % len(body) + body)
        self._sock.close()

    def send(self, data: bytes | memoryview) -> None:
        """Whole, also when another thread answers this client meanwhile."""
        with self._sending:
            self._sock.sendall(data)

    def hear(self) -> bytes:
        """One message of the client (RFC 6455, section 5.2: always masked)."""
        head = self._exactly(2)
        size = head[1] & 127
        if size == 126:
            size = int.from_bytes(self._exactly(2), "big")
        mask = self._exactly(4)
        return bytes(byte ^ mask[i & 3] for i, byte in enumerate(self._exactly(size)))


def acknowledged(text: bytes) -> list[bytes]:
    """What a venue answers to a subscription, whichever of the two it is; nothing to anything else."""
    try:
        wish = json.loads(text)
    except ValueError:
        return [b"pong"] if text == b"ping" else []
    if wish.get("op") == "subscribe":
        return [json.dumps({"event": "subscribe", "arg": arg, "connId": "1"}).encode() for arg in wish["args"]]
    return [json.dumps({"result": None, "id": wish["id"]}).encode()] if "method" in wish else []


class Other:
    """All that only beats: one deep level of each of the other venue's books, a sign of life on the busy venue's other connections."""

    def __init__(self) -> None:
        self.peer: Peer | None = None
        self.idle: Peer | None = None  #: a connection that has nothing to say
        self._number = ID0
        bids, asks = other_levels()
        self._bids, self._asks = ([[f"{price:.8f}", f"{size:.8f}"] for price, size in side] for side in (bids, asks))

    def snapshot(self) -> bytes:
        """Body of GET depth."""
        return json.dumps({"lastUpdateId": self._number, "bids": self._bids, "asks": self._asks}).encode()

    def beat(self) -> None:
        """Send one change of each book."""
        if self.idle is not None:
            self.idle.send(framed(ALIVE))
        if self.peer is not None:
            self.peer.send(b"".join(map(framed, self.changes(time.time_ns() // 1_000_000))))

    def changes(self, ms: int) -> list[bytes]:
        """The next change of each book, as a message."""
        self._number += 1
        number, level = self._number, [self._bids[-1][0], f"{1 + self._number % 7}.00000000"]
        told = []
        for symbol in PLANTED:
            native = symbol.replace("-", "")
            data = {"e": "depthUpdate", "E": ms, "s": native, "U": number, "u": number, "b": [level], "a": []}
            told.append(json.dumps({"stream": f"{native.lower()}@depth@100ms", "data": data}, separators=(",", ":")).encode())
        return told


class House:
    """Accepts clients; the first one of the busy venue's public path that has subscribed is the one that is measured."""

    def __init__(self) -> None:
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.other = Other()
        self.reader: Peer | None = None
        self.ready = threading.Event()

    def serve(self) -> None:
        """For ever, a thread a client."""
        while True:
            sock, _ = self.listener.accept()
            threading.Thread(target=self._client, args=(sock,), daemon=True).start()

    def _client(self, sock: socket.socket) -> None:
        try:
            peer = Peer(sock)
            if peer.key is None:
                peer.answer(self.other.snapshot() if "depth" in peer.path else b"{}")
                return
            peer.accept()
            while True:
                for answer in acknowledged(peer.hear()):
                    peer.send(framed(answer))
                if peer.path.startswith("/stream"):
                    self.other.peer = peer
                elif peer.path != PATH:
                    self.other.idle = peer
                elif self.reader is None:
                    self.reader = peer
                    self.ready.set()
        except OSError:
            return  # the client has gone


class Sending:
    """What was due when, and when it went. ``stop`` ends it between two messages."""

    def __init__(self, house: House) -> None:
        self.stop = threading.Event()
        self._house = house
        self._due: list[int] = []
        self._sent: list[tuple[int, int]] = [(0, 0)]  #: (messages out, ns)
        self._start = self._beat = 0

    def begin(self, snapshots: Sequence[bytes]) -> None:
        """Snapshots, and some changes of the other venue, whose books begin with a change and a snapshot over REST."""
        assert self._house.reader is not None
        self._house.reader.send(b"".join(map(framed, snapshots)))
        for _ in range(round(READY_S * NS / BEAT_NS)):
            self._house.other.beat()
            time.sleep(BEAT_NS / NS)
        self._start = time.monotonic_ns()

    def beat(self) -> None:
        """One sign of life of everything that only beats."""
        self._house.other.beat()

    def piece(self, texts: Sequence[bytes], due: Sequence[int]) -> None:
        """Send each message when it is due."""
        reader, other = self._house.reader, self._house.other
        assert reader is not None
        frames = [framed(text) for text in texts]
        ends, whole = list(accumulate(map(len, frames), initial=0)), memoryview(b"".join(frames))
        before, out, start = len(self._due), 0, self._start
        self._due += due
        while out < len(due) and not self.stop.is_set():
            now = time.monotonic_ns() - start
            upto = bisect_right(due, now)
            if upto > out:
                reader.send(whole[ends[out] : ends[upto]])
                self._sent.append((before + upto, now))
                out = upto
            if now >= self._beat:
                other.beat()
                self._beat += BEAT_NS
            if out < len(due):
                time.sleep(max(min(due[out], self._beat) - (time.monotonic_ns() - start), 0) / NS)

    def save(self, path: Path) -> None:
        """Write what was noted, at once or not at all."""
        sent, before = np.zeros(self._sent[-1][0], dtype=np.int64), 0
        for upto, now in self._sent:
            sent[before:upto], before = now, upto
        part = path.with_suffix(".part")
        with part.open("wb") as file:
            np.savez(file, due=np.array(self._due[: len(sent)], dtype=np.int64) + self._start, sent=sent + self._start)
        part.rename(path)


def _work(sending: Sending, ready: threading.Event, file: Path, count: int, rate: float) -> None:
    """All messages of the plan, then only signs of life."""
    texts, due = read(file, count or sys.maxsize)[0], planned(rate)
    stream: Iterator[bytes] = iter(texts) if count else iter(Endless(texts, per_s=rate))
    first = list(islice(stream, len(SYMBOLS)))
    ready.wait()
    with contextlib.suppress(OSError):  # the receiver has gone
        sending.begin(first)
        piece = len(texts) if count else max(1, round(rate * PIECE_S))
        while not sending.stop.is_set() and (some := list(islice(stream, piece))):
            sending.piece(some, list(islice(due, len(some))))
        while not sending.stop.wait(BEAT_NS / NS):
            sending.beat()


def main(file: Path, count: int, rate: float, result: Path) -> None:
    ctypes.CDLL(None).prctl(TIMER_SLACK, 1)  # a planned time is kept as well as the system can
    gc.disable()  # a collection here would be told as lateness there
    house = House()
    sending = Sending(house)
    threading.Thread(target=house.serve, daemon=True).start()
    work = threading.Thread(target=_work, args=(sending, house.ready, file, count, rate), daemon=True)
    work.start()
    print(house.listener.getsockname()[1], flush=True)
    sys.stdin.read()
    sending.stop.set()
    if house.ready.is_set():
        work.join()
        sending.save(result)


if __name__ == "__main__":
    main(Path(sys.argv[1]), int(sys.argv[2]), float(sys.argv[3]), Path(sys.argv[4]))
