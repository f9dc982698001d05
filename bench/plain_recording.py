"""Good plain Python that has the program's duties: receive stamps, sequence check, books, touch changes, a compressed log.

The log is what a plain collector writes: stamped raw messages, zstd level 1 with a checksum, in a thread, synced each second.
"""

from __future__ import annotations

import asyncio
import os
import queue
import struct
import sys
import tempfile
import threading
import time
import zlib
from pathlib import Path

import msgspec
import picows
import zstandard

from bench.meter import Meter
from bench.plain import Arg, Book, Level
from bench.server import PATH

BLOCK = 2_000  #: messages per block
HEAD = struct.Struct("<qI")


class Row(msgspec.Struct):
    bids: list[Level]
    asks: list[Level]
    prevSeqId: int
    seqId: int


class Push(msgspec.Struct):
    arg: Arg
    action: str
    data: list[Row]


class Log:
    """Packs, compresses and writes in a thread of its own."""

    def __init__(self, path: Path) -> None:
        self._blocks: queue.SimpleQueue[list[tuple[int, bytes]] | None] = queue.SimpleQueue()
        self._file = path.open("wb")
        self._thread = threading.Thread(target=self._run)
        self._thread.start()

    def put(self, block: list[tuple[int, bytes]]) -> None:
        self._blocks.put(block)

    def close(self) -> None:
        self._blocks.put(None)
        self._thread.join()

    def _run(self) -> None:
        pack, synced = zstandard.ZstdCompressor(level=1), time.monotonic()
        while (block := self._blocks.get()) is not None:
            data = pack.compress(b"".join([part for ts, text in block for part in (HEAD.pack(ts, len(text)), text)]))
            self._file.write(HEAD.pack(len(data), zlib.crc32(data)) + data)
            if time.monotonic() - synced > 1.0:
                self._file.flush()
                os.fdatasync(self._file.fileno())
                synced = time.monotonic()
        self._file.close()


class Listener(picows.WSListener):
    def __init__(self, meter: Meter, log: Log) -> None:
        self.books: dict[str, Book] = {}
        self.last: dict[str, int] = {}
        self.touches: dict[str, tuple[float, float, float, float]] = {}
        self.changed = self.gaps = 0
        self.done = asyncio.Event()
        self._meter, self._log = meter, log
        self._block: list[tuple[int, bytes]] = []
        self._decode = msgspec.json.Decoder(Push, strict=False).decode

    def on_ws_connected(self, transport: picows.WSTransport) -> None:
        transport.send(picows.WSMsgType.TEXT, b'{"op":"subscribe"}')

    def on_ws_frame(self, transport: picows.WSTransport, frame: picows.WSFrame) -> None:
        if self.done.is_set():
            return
        text = frame.get_payload_as_bytes()
        self._block.append((time.time_ns(), text))
        if len(self._block) == BLOCK:
            self._log.put(self._block)
            self._block = []
        push = self._decode(text)
        symbol, row = push.arg.instId, push.data[0]
        if push.action == "snapshot":
            self.books[symbol] = Book()
        elif self.last.get(symbol) != row.prevSeqId:
            self.gaps += 1
            return
        self.last[symbol] = row.seqId
        book = self.books[symbol]
        book.bids.apply(row.bids)
        book.asks.apply(row.asks)
        bid, ask = book.bids.prices[-1], book.asks.prices[0]
        touch = (bid, book.bids.sizes[bid], ask, book.asks.sizes[ask])
        if self.touches.get(symbol) != touch:
            self.touches[symbol] = touch
            self.changed += 1
        if self._meter.count():
            self._log.put(self._block)
            self.done.set()


async def run(port: int, meter: Meter, messages: int, folder: Path) -> str:
    log = Log(folder / "log")
    listener = Listener(meter, log)
    transport, _ = await picows.ws_connect(lambda: listener, f"ws://127.0.0.1:{port}{PATH}")
    await listener.done.wait()
    transport.disconnect()
    await asyncio.to_thread(log.close)  # what is recorded late costs too
    meter.seen(messages)
    return meter.report("plain", {symbol: book.levels() for symbol, book in listener.books.items()})


if __name__ == "__main__":
    with tempfile.TemporaryDirectory() as place:
        print(asyncio.run(run(int(sys.argv[1]), Meter(int(sys.argv[2]), int(sys.argv[3])), int(sys.argv[2]), Path(place))))
