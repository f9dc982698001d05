"""``python -m bench.latency``: from the planned sending of a message to the book and picture that hold it, and to its signal.

Sender and receiver are two processes; the sender keeps to a plan (``bench.paced``), so that a stall is charged to every message that
it delays. "due →" counts from the planned time, the sender's own lateness and the socket included; "sent →" from the moment the
sender gave the message to the socket: the difference is the machine's, not the program's. Repetitions of all rates are interleaved.
"""

from __future__ import annotations

import argparse
import resource
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import msgspec
import numpy as np
import psutil

from bench import plants, slowest
from bench.figures import OUT, Figure, Machine, figure, publish, quantiles
from bench.latency_runner import BUSY, settings
from bench.run import ROOT, TIMEOUT_S
from bench.stream import START_MS, SYMBOLS
from dope.session import build_engine
from dope.types import DATA, OPEN, TICK, Frame, OpenInfo

RATES = (1_000, 10_000, 50_000)
TARGETS_US = {10_000: 500.0, 50_000: 2_000.0}  #: p99 from due to signal
PLANTS_S = 50.0  #: planted opportunities a second, or one in LEAST_EVERY messages: more of them would be the load itself
LEAST_EVERY = 100


class Run(NamedTuple):
    """One repetition at one rate, µs after the warm-up: per message or per signal, from due or from sent."""

    book: dict[str, np.ndarray]
    signal: dict[str, np.ndarray]
    found: int
    planted: int
    parts: dict[str, np.ndarray]  #: where the time went: turn waited for, turn itself, collections, publishing
    slow: dict[str, np.ndarray]  #: (n, causes) of the slowest one percent, see ``bench.slowest``
    others: float = 0.0  #: % of all processors that neither sender nor receiver had


def measure(file: Path, rate: float, seconds: float, warm_s: float) -> Run:
    """One sender, one receiver."""
    count = len(SYMBOLS) + round(rate * (warm_s + seconds))
    used = Used()
    with tempfile.TemporaryDirectory() as folder:
        sent, done = Path(folder) / "sent.npz", Path(folder) / "done.npz"
        command = [sys.executable, "-m", "bench.paced", str(file), str(count), str(rate), str(sent)]
        with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, cwd=ROOT) as sender:
            assert sender.stdin is not None and sender.stdout is not None
            try:
                port = sender.stdout.readline().strip()
                receiver = [sys.executable, "-m", "bench.latency_runner", port, str(count), str(done)]
                subprocess.run(receiver, check=True, timeout=TIMEOUT_S, cwd=ROOT)
            finally:
                sender.stdin.close()
                sender.wait(TIMEOUT_S)
        others = used.by_others()
        with np.load(sent) as out, np.load(done) as seen:
            run = evaluate(dict(out), dict(seen), plants.read(file, count)[1], round(rate * warm_s))
            return run._replace(others=others)


class Used:
    """The machine's processors from now on."""

    def __init__(self) -> None:
        self._before = self._now()

    @staticmethod
    def _now() -> tuple[float, float, float]:
        times, ours = psutil.cpu_times(), resource.getrusage(resource.RUSAGE_CHILDREN)
        idle = times.idle + times.iowait
        return sum(times) - times.guest - times.guest_nice, idle, ours.ru_utime + ours.ru_stime

    def by_others(self) -> float:
        """% of all processors that were neither idle nor used by children of this process that have ended."""
        whole, idle, ours = (after - before for before, after in zip(self._before, self._now(), strict=True))
        return 100.0 * max(whole - idle - ours, 0.0) / whole if whole > 0 else 0.0


def evaluate(sent: dict[str, np.ndarray], done: dict[str, np.ndarray], letters: str, warm: int) -> Run:
    """Joins what sender and receiver noted, by the number of the message; the first ``warm`` messages are left out."""
    shift = len(SYMBOLS)
    upto, began, over = done["batches"].T
    started, ended = turns(sent, done)
    numbers, at = done["signals"].T
    numbers = numbers - shift
    kept = numbers >= warm
    numbers, at = numbers[kept], at[kept]
    planted = letters[shift + warm :].count("o")
    book = {name: (ended - sent[name])[warm:] / 1e3 for name in ("due", "sent")}
    signal = {name: (at - sent[name][numbers]) / 1e3 for name in ("due", "sent")}
    later, begins = upto > shift + warm, started[warm]
    pauses = {name: done[name][done[name][:, 0] >= begins, 1] / 1e3 for name in ("collections", "publishing")}
    parts = {
        "the sender's lateness": (sent["sent"] - sent["due"])[warm:] / 1e3, "waiting for its turn": (started - sent["sent"])[warm:] / 1e3,
        "one turn of the engine": (over - began)[later] / 1e3, "one collection of garbage": pauses["collections"],
        "one slice of a publication": pauses["publishing"],
    }  # fmt: skip
    rest = np.arange(warm, len(ended))
    slow = {"slowest 1 % of signals": slow_of(sent, done, numbers, at), "slowest 1 % of messages": slow_of(sent, done, rest, ended[warm:])}
    return Run(book, signal, len(numbers), planted, parts, slow)


def turns(sent: dict[str, np.ndarray], done: dict[str, np.ndarray]) -> tuple[np.ndarray, np.ndarray]:
    """Of each message the beginning and the end of the turn that took it."""
    upto, began, over = done["batches"].T
    shift = len(SYMBOLS)
    batch = np.minimum(np.searchsorted(upto, np.arange(shift, shift + len(sent["due"])), side="right"), len(upto) - 1)
    return began[batch], over[batch]


def slow_of(sent: dict[str, np.ndarray], done: dict[str, np.ndarray], numbers: np.ndarray, ends: np.ndarray) -> np.ndarray:
    """µs by cause of the slowest among the messages of these numbers, which were done at ``ends``."""
    due, out, began = sent["due"][numbers], sent["sent"][numbers], turns(sent, done)[0][numbers]
    if not len(due):
        return np.zeros((0, len(slowest.CAUSES)))
    chosen, marks = slowest.slowest(ends - due), done["marks"]
    return np.array([slowest.split(int(due[i]), int(out[i]), int(began[i]), int(ends[i]), marks) for i in chosen]) / 1e3


def figures(runs: dict[float, list[Run]]) -> list[Figure]:
    """Every quantile as the median of its repetitions, or of all of them together where one alone is too short."""
    told: list[Figure] = []
    for rate, repeated in runs.items():
        name = f"{rate / 1000:g}k/s"
        for what in ("signal", "book"):
            for since in ("due", "sent"):
                values = [getattr(run, what)[since] for run in repeated]
                each, together = [quantiles(one) for one in values], quantiles(np.concatenate(values))
                samples = sum(map(len, values))
                for q, pooled in together.items():  # signals are few: a tail that no repetition can tell is told of all together
                    target = TARGETS_US.get(int(rate)) if (q, what, since) == ("p99", "signal", "due") else None
                    apart = [e[q] for e in each if q in e]
                    found = apart if len(apart) == len(each) else [pooled]
                    told.append(figure(f"{name} {since} → {what} {q}", "µs", found, samples, target=target))
        missed = [100.0 * (1 - run.found / run.planted) for run in repeated if run.planted]
        if missed:
            told.append(figure(f"{name} planted signals missed", "%", missed, sum(run.planted for run in repeated), target=0.0))
        for words in repeated[0].slow:
            told += slowest.told(f"{name} · {words}", [run.slow[words] for run in repeated])
        told.append(figure(f"{name} · processors used by others", "%", [run.others for run in repeated], len(repeated)))
        for part in repeated[0].parts:
            values = [run.parts[part] for run in repeated if len(run.parts[part])]
            for q in ("p50", "p99", "max"):
                found = [e[q] for e in map(quantiles, values) if q in e]
                if found:
                    told.append(figure(f"{name} · {part} {q}", "µs", found, sum(map(len, values))))
    return told


def compiled(folder: Path) -> None:
    """Step a few messages here, so that no measured process has to compile the kernels first (a minute, after they changed)."""
    engine = build_engine(settings(0, folder), (BUSY,), {})
    texts = [message.text for message in plants.messages(600, every=50)]
    info = msgspec.json.encode(OpenInfo(plan="public", url="", symbols=SYMBOLS))
    frames = [Frame(START_MS * 1_000_000, BUSY, 1, OPEN, info)]
    frames += [Frame(START_MS * 1_000_000 + i, BUSY, 1, DATA, text) for i, text in enumerate(texts)]
    for at in range(0, len(frames), 50):
        engine.step_many(frames[at : at + 50])
    for frame in (Frame(frames[-1].ts + 1, "", 0, TICK, b"0"), Frame(frames[-1].ts + 1, BUSY, 1, DATA, texts[-1])):
        engine.step(frame)


def stream(rate: float, seconds: float) -> Path:
    """The planted stream of that many seconds at this rate, made once."""
    every, updates = max(LEAST_EVERY, round(rate / PLANTS_S)), round(rate * seconds)
    path = OUT / f"planted-{updates}-{every}.jsonl"
    if not path.exists():
        OUT.mkdir(parents=True, exist_ok=True)
        part = path.with_suffix(".part")
        plants.write(part, updates, every=every)
        part.rename(path)
    return path


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="python -m bench.latency", description=__doc__.split("\n")[0] if __doc__ else "")
    parser.add_argument("--rates", default=",".join(map(str, RATES)), help="messages a second, comma-separated")
    parser.add_argument("--seconds", type=float, default=8.0, help="measured, per rate and repetition")
    parser.add_argument("--warm", type=float, default=3.0, help="s before that")
    parser.add_argument("--rounds", type=int, default=3)
    chosen = parser.parse_args(arguments)
    rates = [float(rate) for rate in chosen.rates.split(",")]
    compiled(OUT)
    files = {rate: stream(rate, chosen.warm + chosen.seconds) for rate in rates}
    machine = Machine()
    runs: dict[float, list[Run]] = {rate: [] for rate in rates}
    for _ in range(chosen.rounds):
        for rate in rates:
            runs[rate].append(measure(files[rate], rate, chosen.seconds, chosen.warm))
    publish("latency", machine, figures(runs))
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
