"""Simulated runs by seed: ``python -m tests.seeds 17`` repeats one, ``--count 1000`` runs that many from there on, each twice.

The second run is made in another process, in which nothing hashes as in the first. What breaks is printed with the one line that
repeats it, and the exit code is 1.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor

from dope.market.ready import compile_all
from tests.simulation.run import Outcome, cast, command, names, run

SHOWN_S = 10.0  #: s between two lines about progress


def one(seed: int, seconds: float) -> tuple[Outcome | None, str]:
    """The outcome of a seed, or why there is none."""
    try:
        return run(seed, seconds=seconds), ""
    except Exception as error:  # noqa: BLE001 - whatever it is, the seed is told with it
        notes = "".join(f"\n      {note}" for note in getattr(error, "__notes__", ()))
        return None, f"{type(error).__name__}: {error}{notes}"


def line(seed: int, seconds: float) -> tuple[str, bool]:
    """What is told of a seed, and whether all is well."""
    outcome, wrong = one(seed, seconds)
    if outcome is None:
        return f"{seed} failed ({names(cast(seed))})\n    {wrong}\n  again: {command(seed, seconds)}", False
    return f"{seed} {outcome.digest}", True


def child(first: int, count: int, seconds: float, hash_seed: int) -> list[str]:
    """The lines of a process of its own."""
    asked = [sys.executable, "-m", "tests.seeds", str(first), "--count", str(count), "--seconds", str(seconds), "--once"]
    told = subprocess.run(asked, env={**os.environ, "PYTHONHASHSEED": str(hash_seed)}, capture_output=True, text=True, check=False)
    if told.returncode not in (0, 1):
        raise RuntimeError(f"{' '.join(asked)} ended with {told.returncode}: {told.stderr[-2000:]}")
    return told.stdout.splitlines()


def digests(lines: Sequence[str]) -> dict[int, str]:
    """Those of the seeds that came to their end."""
    parts = [each.split(" ") for each in lines]
    return {int(part[0]): part[1] for part in parts if len(part) == 2 and part[0].isdigit()}


def twice(first: int, count: int, seconds: float) -> list[str]:
    """Run all of them in two processes at once; what is wrong, in words."""
    with ThreadPoolExecutor(2) as pool:
        told = list(pool.map(lambda hash_seed: child(first, count, seconds, hash_seed), (1, 2)))
    one, two = map(digests, told)
    wrong = [each for each in told[0] if len(each.split(" ")) != 2]
    wrong += [
        f"{seed} came to another end in another process ({names(cast(seed))})\n  again: {command(seed, seconds)}"
        for seed in range(first, first + count) if seed in one and one[seed] != two.get(seed)
    ]  # fmt: skip
    return wrong


def main(arguments: Sequence[str] | None = None) -> int:
    """Read the options and run. Returns the exit code."""
    options = argparse.ArgumentParser(prog="python -m tests.seeds", description=__doc__)
    options.add_argument("seed", type=int, help="the first seed")
    options.add_argument("--seconds", type=float, default=60.0, help="simulated seconds of each run; from 60 on the feed also waits long")
    options.add_argument("--count", type=int, default=1, help="how many seeds")
    options.add_argument("--once", action="store_true", help="in this process only, a line for each")
    chosen = options.parse_args(arguments)
    if not chosen.once:
        began = time.monotonic()
        wrong = twice(chosen.seed, chosen.count, chosen.seconds)
        print("\n".join(wrong) or f"{chosen.count} seeds, each twice the same, all well; {time.monotonic() - began:.0f} s")
        return int(bool(wrong))
    compile_all()
    good = True
    for seed in range(chosen.seed, chosen.seed + chosen.count):
        words, well = line(seed, chosen.seconds)
        print(words, flush=True)
        good = good and well
    return int(not good)


if __name__ == "__main__":
    sys.exit(main())
