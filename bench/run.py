"""``make bench``: the same stream through each contender, one process each, in turns; one table of medians and ratios.

CPU is user plus system time of the contender's whole process between two messages of the stream, after a warm-up. It is the
figure that holds on a shared machine; the rate beside it is what one such process would reach on one core of its own.
"""

from __future__ import annotations

import argparse
import importlib
import json
import platform
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from bench import stream
from bench.figures import Figure, Machine, figure, publish

CONTENDERS = {
    "naive": "websockets + json + sorted()",
    "books": "picows + msgspec + dict/bisect, books alone",
    "plain": "the same with the program's duties: stamp, sequence, recording",
    "engine": "DOPE: feed, tape, books, detectors",
}
MODULES = {"naive": "bench.naive", "books": "bench.plain", "plain": "bench.plain_recording", "engine": "bench.engine_runner"}
ROOT = Path(__file__).resolve().parent.parent
TIMEOUT_S = 600
TARGET_US = 3.5  #: promised for the whole engine with its tape


def measure(contender: str, file: Path, messages: int, warm: int) -> dict[str, Any]:
    """One run of one contender against a sender of its own."""
    serving = [sys.executable, "-m", "bench.server", str(file)]
    sender = subprocess.Popen(serving, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, cwd=ROOT)
    with sender:
        assert sender.stdin is not None and sender.stdout is not None
        try:
            port = sender.stdout.readline().strip()
            command = [sys.executable, "-m", MODULES[contender], port, str(messages), str(warm)]
            done = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True, timeout=TIMEOUT_S, cwd=ROOT)
        finally:
            sender.stdin.close()
            sender.terminate()
    result: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return result


def runnable(wanted: Sequence[str]) -> list[str]:
    """Those whose imports work; says of the others why they are left out."""
    found = []
    for contender in wanted:
        try:
            importlib.import_module(MODULES[contender])
        except ImportError as error:
            print(f"{contender} is left out: {error}")
        else:
            found.append(contender)
    return found


def figures(results: Sequence[dict[str, Any]]) -> list[Figure]:
    """Per contender CPU per message, messages seen per second, and how many times the CPU of the last one it takes."""
    names = list(dict.fromkeys(result["contender"] for result in results))
    cpu = {name: [r["cpu_s"] / r["messages"] * 1e6 for r in results if r["contender"] == name] for name in names}
    wall = {name: [r["messages"] / r["wall_s"] for r in results if r["contender"] == name] for name in names}
    count = {name: results[[r["contender"] for r in results].index(name)]["messages"] for name in names}
    told = []
    for name in names:
        target = TARGET_US if name == "engine" else None
        told.append(figure(f"{name}: CPU per message", "µs", cpu[name], count[name], target=target, note=CONTENDERS[name]))
        told.append(figure(f"{name}: messages seen", "1/s", wall[name], count[name]))
        if name != names[-1]:
            times = [one / other for one, other in zip(cpu[name], cpu[names[-1]], strict=True)]
            told.append(figure(f"{name} ÷ {names[-1]}: CPU", "×", times, count[name]))
    return told


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="python -m bench.run", description=__doc__.split("\n")[0] if __doc__ else "")
    parser.add_argument("--messages", type=int, default=200_000, help="measured and warm-up messages together")
    parser.add_argument("--warm", type=int, default=20_000, help="messages before the clock starts")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--contenders", default=",".join(CONTENDERS), help="comma-separated, of " + ", ".join(CONTENDERS))
    chosen, machine = parser.parse_args(arguments), Machine()
    contenders = runnable(chosen.contenders.split(","))
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "stream.jsonl"
        total = stream.write(file, chosen.messages - len(stream.SYMBOLS), seed=chosen.seed)
        print(f"{total:,} messages, {file.stat().st_size / total:.0f} B each, {len(stream.SYMBOLS)} symbols, seed {chosen.seed};", end=" ")
        print(f"{chosen.rounds} rounds, warm-up {chosen.warm:,}; Python {platform.python_version()} on {platform.machine()}", flush=True)
        results = [measure(contender, file, total, chosen.warm) for _ in range(chosen.rounds) for contender in contenders]
    publish("run", machine, figures(results))
    if len({result["books"] for result in results}) > 1:
        print("the contenders do not agree on the books:", {result["contender"]: result["books"] for result in results})
        return 1
    print("all contenders hold the same books")
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
