"""``python -m bench.watched``: what watching costs. Ingest with and without browsers, event → pixel, CPU per update of a client.

The program runs as a user starts it and is fed by ``bench.paced``; phases without watchers, with five browsers, and with twenty
watchers (one browser, the others plain WebSocket clients) take turns in one run. The browsers get what time is left over: they stand
for machines of their own. Pixel: from the receipt of the newest event that a message shows, and of every event in it, to the first
animation frame in which it stands in the page; clocks of server and page are compared when the page opens.
"""

from __future__ import annotations

import argparse
import asyncio
import os
import shutil
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import numpy as np
import psutil
from websockets.asyncio.client import connect
from websockets.typing import Origin

from bench import latency, slowest
from bench.figures import Figure, Machine, figure, publish, quantiles
from bench.pixels import HOOK, TAKE, Phase, pixels
from bench.run import ROOT
from bench.started import PATIENCE_S, started

RATE = 2_000.0  #: messages a second
BROWSERS, WATCHERS = 5, 20
WARM_S = 6.0
TURN_S = 10.0  #: of the stream before it begins anew
SWITCHES = ("no-sandbox", "disable-gpu", "no-first-run", "disable-background-networking", "disable-component-update", "disable-sync",
            "disable-renderer-backgrounding", "disable-background-timer-throttling", "disable-backgrounding-occluded-windows")  # fmt: skip


@contextmanager
def program(rate: float, folder: Path) -> Iterator[tuple[str, subprocess.Popen[str]]]:
    """Sender and program; gives the page's address and the program. Afterwards both have left their notes in ``folder``."""
    command = [sys.executable, "-m", "bench.paced", str(latency.stream(rate, TURN_S)), "0", str(rate), str(folder / "sent.npz")]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, cwd=ROOT) as sender:
        assert sender.stdin is not None and sender.stdout is not None
        port = sender.stdout.readline().strip()
        command = [sys.executable, "-m", "bench.served", port, str(folder / "done.npz"), str(folder)]
        with started(command) as (url, served):
            try:
                yield url, served
            finally:
                sender.stdin.close()
                sender.wait(PATIENCE_S)


class Plain:
    """Watchers that only read, in a thread of their own."""

    def __init__(self, url: str, count: int) -> None:
        self.messages = 0
        self._url, self._count = url.replace("http", "ws", 1) + "/ws/v1/live", count
        self._origin = Origin(url)
        self._stop = threading.Event()
        self._thread = threading.Thread(target=lambda: asyncio.run(self._run()), daemon=True)

    def __enter__(self) -> Plain:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        self._thread.join()

    async def _run(self) -> None:
        await asyncio.gather(*(self._watch() for _ in range(self._count)))

    async def _watch(self) -> None:
        async with connect(self._url, origin=self._origin, max_size=None, compression=None) as socket:
            while not self._stop.is_set():
                with suppress(TimeoutError):
                    async with asyncio.timeout(0.5):
                        await socket.recv()
                        self.messages += 1


class Chromium:
    """One headless browser; each page has a session of its own, as five users have."""

    def __init__(self, path: str, *, last: bool = True) -> None:
        """``last`` = it gets what processor time is left over, as if it ran on a machine of its own."""
        from playwright.sync_api import sync_playwright

        # a class of its own, which what it starts inherits: a browser that root runs lifts a mere nice value again
        before = os.sched_getscheduler(0)
        if last:
            os.sched_setscheduler(0, os.SCHED_IDLE, os.sched_param(0))
        try:
            self._play = sync_playwright().start()
            self._browser = self._play.chromium.launch(executable_path=path, args=[f"--{switch}" for switch in SWITCHES])
        finally:
            os.sched_setscheduler(0, before, os.sched_param(0))

    def open(self, url: str) -> Any:
        """A page that is drawn; its notes begin now."""
        page = self._browser.new_context(viewport={"width": 1680, "height": 1020}).new_page()
        page.goto(url + "/?tour=0", timeout=PATIENCE_S * 1e3)
        end = time.monotonic() + PATIENCE_S  # asked from outside: the library's own waiting needs eval, which our policy forbids
        while not page.evaluate("Boolean(window.DOPE && DOPE.link && DOPE.link.status === 'live')"):
            if time.monotonic() > end:
                raise RuntimeError(f"no live page at {url} after {PATIENCE_S} s")
            page.wait_for_timeout(50)
        page.evaluate(HOOK)
        page.clock_ms = min((self._compare(page) for _ in range(20)), key=lambda pair: pair[1])[0]
        return page

    @staticmethod
    def _compare(page: Any) -> tuple[float, float]:
        """(our clock minus the page's, how exactly), ms."""
        before = time.time() * 1e3
        there = page.evaluate("performance.timeOrigin + performance.now()")
        after = time.time() * 1e3
        return (before + after) / 2 - there, after - before

    @staticmethod
    def notes(page: Any) -> dict[str, Any]:
        """Delays in ms since the last call, by our clock; and what the page itself shows in its status bar."""
        px = page.evaluate(TAKE)
        delays = {name: [shown + page.clock_ms - stamp for stamp, shown, *_ in px[name]] for name in ("newest", "every")}
        way = [[drawn, encoded, sent + page.clock_ms, taken, frame] for drawn, encoded, sent, taken, frame in px["parts"]]
        waited = [wait for _, _, wait in px["every"]]
        return delays | {"own": [each for each in px["own"] if each is not None], "waited": waited, "way": way}

    def close(self) -> None:
        self._browser.close()
        self._play.stop()


class Watchers:
    """Makes the phases."""

    def __init__(self, url: str, served: psutil.Process, browser: Chromium | None, settle_s: float, seconds: float) -> None:
        self._url, self._served, self._browser = url, served, browser
        self._settle_s, self._seconds = settle_s, seconds

    def phase(self, kind: str, pages: int, plain: int) -> Phase:
        """Open the watchers, let them settle, look for a while, close them."""
        opened = [self._browser.open(self._url) for _ in range(pages)] if self._browser else []
        with Plain(self._url, plain) as others:
            time.sleep(self._settle_s)
            for page in opened:
                Chromium.notes(page)
            start, cpu, got = time.monotonic_ns(), self._cpu(), others.messages
            time.sleep(self._seconds)
            end, cpu, got = time.monotonic_ns(), self._cpu() - cpu, others.messages - got
            noted = [Chromium.notes(page) for page in opened]
        for page in opened:
            page.context.close()
        names = ("newest", "every", "own", "waited")
        pixel = {name: [value for each in noted for value in each[name]] for name in names} if noted else {}
        return Phase(kind, start, end, cpu, got, pixel, [row for each in noted for row in each["way"]])

    def _cpu(self) -> float:
        times = self._served.cpu_times()
        return float(times.user + times.system)


def within(sent: dict[str, np.ndarray], phase: Phase) -> np.ndarray:
    """Numbers of the messages that were due within the phase."""
    return np.flatnonzero((sent["due"] >= phase.start) & (sent["due"] < phase.end))


def figures(phases: Sequence[Phase], sent: dict[str, np.ndarray], done: dict[str, np.ndarray]) -> list[Figure]:
    """What the phases tell."""

    def of(kind: str) -> list[Phase]:
        return [phase for phase in phases if phase.kind == kind]

    told: list[Figure] = []
    p99: dict[str, list[float]] = {}
    ended = latency.turns(sent, done)[1]
    for kind in dict.fromkeys(phase.kind for phase in phases):
        numbers = [within(sent, phase) for phase in of(kind)]
        values = [(ended - sent["due"])[each] / 1e3 for each in numbers]
        each, samples = [quantiles(one) for one in values], sum(map(len, values))
        p99[kind] = [e["p99"] for e in each if "p99" in e]
        told += [figure(f"ingest, {kind}: {q}", "µs", [e[q] for e in each if q in e], samples) for q in each[0]]
        cpu = [100 * phase.cpu_s / (phase.end - phase.start) * 1e9 for phase in of(kind)]
        told.append(figure(f"CPU of the program, {kind}", "%", cpu, len(cpu)))
        slow = [latency.slow_of(sent, done, each, ended[each]) for each in numbers]
        told += slowest.told(f"ingest, {kind}, slowest 1 %", slow)
    for kind in list(p99)[1:]:
        pairs = [watched / alone for watched, alone in zip(p99[kind], p99["nobody watches"], strict=False)]
        if pairs:
            told.append(figure(f"ingest p99, {kind} ÷ nobody", "×", pairs, len(pairs), target=1.5))
    told += pixels(of(f"{WATCHERS} watchers")) + pixels(of(f"{BROWSERS} browsers"))
    alone = np.median([phase.cpu_s for phase in of("nobody watches")])
    costs = [(phase.cpu_s - alone) * 1e3 / phase.updates for phase in of(f"{WATCHERS} watchers") if phase.updates]
    if costs:
        updates = sum(phase.updates for phase in of(f"{WATCHERS} watchers"))
        told.append(figure("dashboard CPU per client and update", "ms", costs, updates, target=0.2))
    for words, name in (("one collection of garbage", "collections"), ("one slice of a publication", "publishing")):
        kept = done[name][done[name][:, 0] >= phases[0].start, 1] / 1e6
        told += [figure(f"{words}: {q}", "ms", [value], len(kept)) for q, value in quantiles(kept).items()]
    return told


def chromium() -> str | None:
    """Where it is, None on a machine without one."""
    return next((found for name in ("chromium", "chromium-browser", "google-chrome") if (found := shutil.which(name))), None)


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="python -m bench.watched", description=__doc__.split("\n")[0] if __doc__ else "")
    parser.add_argument("--rate", type=float, default=RATE, help="messages a second")
    parser.add_argument("--seconds", type=float, default=6.0, help="measured, per phase")
    parser.add_argument("--settle", type=float, default=3.0, help="s before that")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--browsers", type=int, default=BROWSERS, help="0 = plain watchers only")
    chosen = parser.parse_args(arguments)
    path = chromium()
    if chosen.browsers and path is None:
        print("no Chromium on this machine: plain watchers only")
    pages = chosen.browsers if path else 0
    with tempfile.TemporaryDirectory() as place:
        folder, machine = Path(place), Machine()
        latency.compiled(folder)
        with program(chosen.rate, folder) as (url, served):
            browser = Chromium(path) if pages and path else None
            watchers = Watchers(url, psutil.Process(served.pid), browser, chosen.settle, chosen.seconds)
            time.sleep(WARM_S)
            phases: list[Phase] = []
            try:
                for _ in range(chosen.rounds):
                    phases.append(watchers.phase("nobody watches", 0, 0))
                    if pages:
                        phases.append(watchers.phase(f"{BROWSERS} browsers", pages, 0))
                    phases.append(watchers.phase(f"{WATCHERS} watchers", min(pages, 1), WATCHERS - min(pages, 1)))
            finally:
                if browser is not None:
                    browser.close()
        with np.load(folder / "sent.npz") as sent, np.load(folder / "done.npz") as done:
            publish("watched", machine, figures(phases, dict(sent), dict(done)))
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
