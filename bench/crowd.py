"""``python -m bench.crowd``: the whole application under a full load, with its page open, all on this one machine.

Thirteen simulated venues of ten markets each send some ten thousand messages a second over loopback; the program watches, judges and
records them as a user runs it, and one browser shows the Live page at usual priority. Told: what came in, whether books stayed LIVE,
memory, processor time of each part, and event → pixel. Ten minutes are what is promised (``--seconds 600``).
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import psutil

from bench.figures import Figure, Machine, figure, publish, quantiles
from bench.pixels import Phase, ways
from bench.run import ROOT
from bench.started import PATIENCE_S, started
from bench.watched import Chromium, chromium
from dope.sim.crowd import many

VENUES = ("binance_spot", "binance_usdm", "okx", "bybit", "bybit_linear", "kraken", "coinbase_exchange", "gate", "kucoin", "htx",
          "bitfinex", "mexc", "hyperliquid")  # fmt: skip
MARKETS = 10  #: per venue
PACE = 1.4  #: steps of 10 ms: some 10,000 messages a second
LISTED = frozenset(f"{venue}:{spec.symbol}" for venue in VENUES for spec in many(venue, MARKETS))
EVERY_S = 5.0  #: s between two looks
START_S = 240.0  #: s until all books are LIVE
PARTS = {"used": "held by callers of malloc", "free": "kept by malloc for them", "arrow": "tables in columns"}
LATE_SHARE = 0.3  #: of the run, left out of the growth of memory: histories of fixed size fill


@contextmanager
def market(folder: Path, pace: float) -> Iterator[tuple[dict[str, dict[str, str]], psutil.Process]]:
    """The simulated venues: endpoints and process."""
    command = [sys.executable, "-m", "dope.sim", "--with-parent", f"--venues={','.join(VENUES)}", f"--symbols={MARKETS}", "--scenario=busy",
               f"--pace={pace}"]  # fmt: skip
    log = (folder / "market.log").open("w")
    with log, subprocess.Popen(command, stdin=-1, stdout=-1, stderr=log, text=True, cwd=ROOT) as process:
        try:
            assert process.stdout is not None
            yield json.loads(process.stdout.readline()), psutil.Process(process.pid)
        finally:
            assert process.stdin is not None
            process.stdin.close()
            process.wait(PATIENCE_S)


@contextmanager
def program(folder: Path, endpoints: dict[str, dict[str, str]]) -> Iterator[tuple[str, psutil.Process]]:
    """The program: address and process."""
    symbols = sorted({key.partition(":")[2] for key in LISTED})
    places = {"DOPE_DATA_DIR": str(folder / "data"), "DOPE_MODEL_DIR": str(folder / "models"), "DOPE_LOG_DIR": str(folder / "logs")}
    wanted = {"DOPE_ENDPOINTS": json.dumps(endpoints), "DOPE_VENUES": ",".join(VENUES), "DOPE_SYMBOLS": ",".join(symbols)}
    env = {**os.environ, **places, **wanted}
    command = [sys.executable, "app.py", "serve", "--source", "live", "--port", "0"]
    with started(command, env) as (url, process):
        yield url, psutil.Process(process.pid)


class Look:
    """What is read every few seconds."""

    def __init__(self, url: str, parts: dict[str, psutil.Process]) -> None:
        self.client, self.parts = httpx.Client(base_url=url, timeout=30.0, trust_env=False), parts
        self.rows: list[dict[str, float]] = []
        self.errors: list[str] = []

    def books(self) -> list[dict[str, Any]]:
        """All books that the market has, as the API tells them; none while the program starts."""
        answer = self.client.get("/api/v1/symbols")
        rows: list[dict[str, Any]] = answer.json() if answer.status_code == 200 else []
        return [row for row in rows if row["key"] in LISTED]

    def take(self) -> None:
        """One look."""
        seen, books = self.client.get("/api/v1/live").json()["data"], self.books()
        row = {"t": time.monotonic(), "rate": seen["sys"]["msgs_s"], "lag": seen["sys"]["loop_lag_ms"], "books": len(books),
               "live": sum(book["state"] == "LIVE" for book in books), "gaps": sum(book["gaps"] for book in books),
               "recording": float(seen["mode"]["recording"]["on"]), "opened": seen["cards"]["total"]}  # fmt: skip
        for name, process in self.parts.items():
            times = process.cpu_times()
            row |= {f"{name} cpu": times.user + times.system, f"{name} rss": process.memory_info().rss / 2**20}
        for line in self.client.get("/metrics").text.splitlines():
            if line.startswith(("dope_memory_bytes{", "dope_python_objects ")):
                words, _, value = line.rpartition(" ")
                row[words] = float(value)
        self.rows.append(row)

    def column(self, name: str) -> np.ndarray:
        """One column of all looks."""
        return np.array([row[name] for row in self.rows])

    def told(self, words: str, unit: str, name: str, *, factor: float = 1.0) -> Figure:
        """A column as a figure: its median, and each look."""
        return figure(words, unit, (factor * self.column(name)).tolist(), len(self.rows))


def growth(look: Look, column: str) -> float:
    """Of a column per minute by least squares, without the first part."""
    t, values = look.column("t"), look.column(column)
    kept = t >= t[0] + LATE_SHARE * (t[-1] - t[0])
    return float(np.polyfit(t[kept] / 60.0, values[kept], 1)[0]) if kept.sum() > 3 else float("nan")


def figures(look: Look, notes: dict[str, list[Any]]) -> list[Figure]:
    """What the run tells."""
    n, t = len(look.rows), look.column("t")
    still, share = int((look.column("recording") == 0.0).sum()), 100 * look.column("live") / look.column("books")
    told = [
        look.told("messages a second", "", "rate"),
        look.told("books", "", "books"),
        figure("books LIVE", "%", share.tolist(), n),
        figure("books LIVE, least", "%", [float(share.min())], n),
        figure("gaps", "", [look.column("gaps")[-1]], n, target=0.0),
        figure("opportunities opened", "", [look.column("opened")[-1]], n),
        look.told("loop lag, worst of a second: median", "ms", "lag"),
        figure("looks at which the recording stood still", "", [still], n, target=0.0),
    ]
    for name in look.parts:
        cpu = np.diff(look.column(f"{name} cpu")) / np.diff(t) * 100
        told += [
            figure(f"processor time, {name}", "%", cpu.tolist(), n),
            figure(f"memory, {name}: largest", "MiB", [float(look.column(f"{name} rss").max())], n),
            figure(f"memory, {name}: growth", "MiB per minute", [growth(look, f"{name} rss")], n),
        ]
    for part, words in PARTS.items():
        name = f'dope_memory_bytes{{use="{part}"}}'
        told += [
            figure(f"memory, program, {words}", "MiB", (look.column(name) / 2**20).tolist(), n),
            figure(f"memory, program, {words}: growth", "MiB per minute", [growth(look, name) / 2**20], n),
        ]
    told.append(figure("Python's objects: growth", "per minute", [growth(look, "dope_python_objects")], n))
    for name, words in (("newest", "newest event shown → pixel"), ("every", "any event → pixel")):
        if notes[name]:
            values = np.array(notes[name])
            p95 = figure(f"{words}: p95", "ms", [float(np.percentile(values, 95))], len(values), target=150.0 if name == "newest" else None)
            told += [figure(f"{words}: p50", "ms", [float(np.median(values))], len(values)), p95]
            told += [figure(f"{words}: {q}", "ms", [value], len(values)) for q, value in quantiles(values).items() if q == "p99"]
    told += ways([Phase("under load", 0, 0, 0.0, 0, {}, notes["way"])]) if notes["way"] else []
    return told


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="python -m bench.crowd", description=__doc__.split("\n")[0] if __doc__ else "")
    parser.add_argument("--seconds", type=float, default=60.0, help="measured; 600 for what is promised")
    parser.add_argument("--pace", type=float, default=PACE, help="steps of 10 ms from one action of a market to the next")
    parser.add_argument("--picture", type=Path, help="a screenshot of the page at the end")
    chosen = parser.parse_args(arguments)
    path = chromium()
    with tempfile.TemporaryDirectory() as place:
        folder, machine = Path(place), Machine()
        with market(folder, chosen.pace) as (endpoints, sender), program(folder, endpoints) as (url, served):
            look, page, browser = Look(url, {"program": served, "market": sender}), None, None
            end = time.monotonic() + START_S
            while not (rows := look.books()) or any(row["state"] != "LIVE" for row in rows) or len(rows) < len(LISTED):
                if time.monotonic() > end:
                    waiting = sorted(LISTED - {row["key"] for row in rows if row["state"] == "LIVE"})
                    print(f"not LIVE after {START_S:g} s: {', '.join(waiting)}")
                    break
                time.sleep(1.0)
            if path is not None:
                browser = Chromium(path, last=False)
                page = browser.open(url)
                page.on("console", lambda message: look.errors.append(message.text) if message.type == "error" else None)
            notes: dict[str, list[Any]] = {"newest": [], "every": [], "way": []}
            end = time.monotonic() + chosen.seconds
            while time.monotonic() < end:
                look.take()
                if page is not None:
                    page.wait_for_timeout(EVERY_S * 1e3)
                    taken = Chromium.notes(page)
                    for name, kept in notes.items():
                        kept += taken[name]
                else:
                    time.sleep(EVERY_S)
            if page is not None and browser is not None:
                if chosen.picture:
                    page.screenshot(path=str(chosen.picture))
                browser.close()
        publish("crowd", machine, [*figures(look, notes), figure("errors in the page's console", "", [len(look.errors)], 1, target=0.0)])
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
