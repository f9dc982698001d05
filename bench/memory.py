"""``python -m bench.memory``: how memory grows per million messages, through engine, tape, picture and the stream to browsers.

A child process steps a generated market at full speed, with opportunities that come and go, and publishes once a second of market
time. Its memory (RSS) is read four times a second; what comes while caches and histories of fixed size fill (half, of a quick run
60 %) is left out; a line through the rest gives the growth, and the upper end of its 95 % interval is what is judged.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator, Sequence
from itertools import islice
from pathlib import Path

import msgspec
import numpy as np
import psutil
from loguru import logger

from bench import plants
from bench.endless import Endless
from bench.figures import OUT, Figure, Machine, figure, publish
from bench.latency_runner import BUSY, settings
from bench.paced import Other
from bench.run import ROOT
from bench.stream import SYMBOLS
from dope.api.delta import Differ, Discontinuity
from dope.api.live import encode
from dope.board import Board
from dope.feed.clock import Clock
from dope.heap import parts
from dope.sealer import SEAL_S
from dope.session import Session
from dope.tape.format import Meta
from dope.tape.journal import Journal
from dope.tape.writer import Bounds
from dope.types import DATA, OPEN, REPLY, TICK, Frame, OpenInfo, ReplyInfo

QUICK, FULL = 1_000_000, 20_000_000  #: messages
TARGET = 0.05  #: MiB per million
SECONDS_LEAST = 8_000  #: of market time: histories of an hour are full after 3,600 s, which is 9 M of 20 M messages
EVERY, EVERY_QUICK = 300, 45  #: messages between two planted opportunities
LIVELY = 1_000  #: messages in which at least one opportunity must have come
TURN = 30_000  #: messages of the stream before it begins anew
BATCH = 64  #: frames per turn of the loop
SAMPLE_S = 0.25
DROPPED, DROPPED_QUICK = 0.5, 0.6  #: 10,000 closed opportunities are kept, which takes 3 M messages, 450,000 of a quick run
TICK_NS = 10_000_000
NS = 1_000_000_000
MIB = 2**20
#: a disk that is never far behind: what waits for it is not growth
BOUNDS = Bounds(flush_s=0.005, sync_s=0.0, total_bytes=64 << 20, free_bytes=0)
BEHIND = 1_000  #: frames not yet on disk for which the market waits


def frames(messages: int) -> Iterator[Frame]:
    """Everything that the engine gets: both venues' books, clock ticks, ``messages`` messages of the busy one."""
    per_s = max(messages // SECONDS_LEAST, 20)
    other, ts, step = Other(), plants.START_MS * 1_000_000, NS // per_s
    yield Frame(ts, BUSY, 1, OPEN, msgspec.json.encode(OpenInfo(plan="public", url="", symbols=SYMBOLS)))
    yield Frame(ts, plants.OTHER, 2, OPEN, msgspec.json.encode(OpenInfo(plan="market", url="", symbols=plants.PLANTED)))
    yield from (Frame(ts, plants.OTHER, 2, DATA, text) for text in other.changes(plants.START_MS))
    for symbol in plants.PLANTED:
        info = ReplyInfo(key=f"depth:{symbol.replace('-', '')}", status=200, url="")
        yield Frame(ts, plants.OTHER, 2, REPLY, msgspec.json.encode(info) + b"\n" + other.snapshot())
    texts = [message.text for message in plants.messages(TURN, every=EVERY if messages >= FULL else EVERY_QUICK)]
    tick = beat = ts
    for text in islice(Endless(texts, per_s=per_s), messages):
        ts += step
        yield Frame(ts, BUSY, 1, DATA, text)
        while tick <= ts:
            tick += TICK_NS
            yield Frame(ts, "", 0, TICK, b"0")
        if beat <= ts:
            beat += NS // 10
            yield from (Frame(ts, plants.OTHER, 2, DATA, each) for each in other.changes(ts // 1_000_000))


class Growth:
    """Reads the memory of this process beside the count of messages, in a thread of its own."""

    def __init__(self) -> None:
        self.messages = 0
        self.samples: list[dict[str, int]] = []  #: messages, rss (bytes) and ``parts``
        self._process = psutil.Process()
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()

    def _run(self) -> None:
        while not self._over.wait(SAMPLE_S):
            self.samples.append({"messages": self.messages, "rss": self._process.memory_info().rss} | parts())

    def end(self) -> list[dict[str, int]]:
        self._over.set()
        self._thread.join()
        return self.samples


def child(messages: int, folder: Path) -> None:
    """Runs the market; prints samples, signals and messages as one line of JSON."""
    logger.remove()
    session = Session(settings(9, folder).model_copy(update={"record": False}), "live", {}, Clock())
    session.journal = journal = Journal(folder / "tapes", Meta("live", 0, venues=(BUSY, plants.OTHER)), bounds=BOUNDS)
    session.feed.actions = lambda asked: None  # type: ignore[method-assign] # nobody is there to be asked
    board, differ, second, growth = Board(), Differ({}), 0, Growth()
    stream = frames(messages)
    while batch := list(islice(stream, BATCH)):
        session.on_frames(batch)
        growth.messages += sum(frame.venue == BUSY for frame in batch)
        now = session.engine.market.now
        if now // NS != second:
            second = now // NS
            session.second()
            if second % SEAL_S == 0:  # as the program does beside sealing
                session.tail.tidy()
            board.publish(now, session.picture.fast(now) | session.picture.slow() | {"venues": session.picture.venue_rows(now, {})})
            try:
                encode("delta", second, 0, differ.step(board.read().data), event_ns=now, age_ms=0)
            except Discontinuity:
                differ = Differ(board.read().data)
        while journal.status()["waiting"] > BEHIND:
            time.sleep(0.002)
    samples = growth.end()
    journal.close()
    lost = journal.status()["lost"]
    told = {"samples": samples, "signals": session.picture.total, "messages": growth.messages, "lost": lost}
    print(json.dumps(told))


def slope(samples: Sequence[dict[str, int]], what: str, unit: int, dropped: float) -> tuple[float, float, int]:
    """(Growth of ``what`` per million messages, upper end of its 95 % interval, samples used), by least squares, without the first part."""
    last = samples[-1]["messages"]
    kept = np.array([(each["messages"] / 1e6, each[what] / unit) for each in samples if each["messages"] >= dropped * last])
    x, y = kept.T
    x = x - x.mean()
    spread = float((x * x).sum())
    growth = float((x * y).sum()) / spread
    rest = y - y.mean() - growth * x
    error = float(np.sqrt((rest * rest).sum() / max(len(x) - 2, 1) / spread))
    return growth, growth + 1.96 * error, len(x)


def measure(messages: int, kept: Path | None = None) -> list[Figure]:
    """One child; all its samples are left as JSON in ``kept``."""
    shm = Path("/dev/shm")
    with tempfile.TemporaryDirectory(dir=shm if shm.is_dir() else None) as folder:
        command = [sys.executable, "-m", "bench.memory", "--child", folder, "--messages", str(messages)]
        done = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True, cwd=ROOT)
    told = json.loads(done.stdout.splitlines()[-1])
    if told["signals"] < messages / LIVELY:
        raise RuntimeError(f"{told['signals']} opportunities in {messages:,} messages: this was not the market that is promised")
    if kept is not None:
        kept.parent.mkdir(parents=True, exist_ok=True)
        kept.write_text(json.dumps(told), encoding="utf-8")
    dropped = DROPPED if messages >= FULL else DROPPED_QUICK
    growth, upper, used = slope(told["samples"], "rss", MIB, dropped)
    name = f"memory over {told['messages'] / 1e6:g} M messages"
    target = TARGET if messages >= FULL else None

    def part(words: str, unit: str, what: str, size: int, note: str) -> Figure:
        grown = slope(told["samples"], what, size, dropped)[0]
        return figure(f"{name}: growth of {words}", f"{unit} per million", [grown], used, note=note)

    return [
        figure(f"{name}: growth", "MiB per million", [growth], used),
        figure(f"{name}: growth, upper 95 % bound", "MiB per million", [upper], used, target=target),
        part("what callers of malloc hold", "MiB", "used", MIB, "arrays, compiled code, libraries"),
        part("what malloc keeps for them", "MiB", "free", MIB, "room between what is held"),
        part("tables in columns", "MiB", "arrow", MIB, "rows that no sealed file holds yet"),
        part("Python's objects", "objects", "objects", 1, "small ones lie in areas of 1 MiB, which are given back when empty"),
        figure(f"{name}: largest RSS", "MiB", [max(each["rss"] for each in told["samples"]) / MIB], len(told["samples"])),
        figure(f"{name}: opportunities opened", "", [told["signals"]], told["messages"]),
        figure(f"{name}: frames not recorded", "", [told["lost"]], told["messages"], target=0.0),
    ]


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="python -m bench.memory", description=__doc__.split("\n")[0] if __doc__ else "")
    parser.add_argument("--messages", type=int, default=QUICK, help=f"{FULL:,} for the figure that is promised")
    parser.add_argument("--child", type=Path, help=argparse.SUPPRESS)
    chosen = parser.parse_args(arguments)
    if chosen.child:
        child(chosen.messages, chosen.child)
        return 0
    machine = Machine()
    publish("memory", machine, measure(chosen.messages, OUT / "memory-samples.json"))
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
