"""The simulated market or a played-back tape, in a process of its own, so that its cost is not paid by the ingest loop.

``python -m dope.worlds --tape FILE …`` serves recorded frames on loopback; without a tape the seeded sample market runs.
The process prints its endpoints as one JSON line and ends when its stdin is closed: it never outlives its parent.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

from dope.errors import DopeError
from dope.sim.playback import Playback
from dope.tape.read import Tape, merge

START_S = 30.0  #: s until the process must have printed its endpoints
STOP_S = 2.0


class WorldProcess:
    """A child process that serves venues on loopback."""

    def __init__(self, *, seed: int, speed: float, tapes: Sequence[Path] = ()) -> None:
        self.tapes = tuple(tapes)
        module = ["dope.worlds", *(f"--tape={path}" for path in tapes)] if tapes else ["dope.sim", "--with-parent", f"--seed={seed}"]
        self._command = [sys.executable, "-m", *module, f"--speed={speed}"]
        self._process: subprocess.Popen[str] | None = None
        self.endpoints: dict[str, dict[str, str]] = {}

    async def start(self) -> dict[str, dict[str, str]]:
        """Start it and wait for its endpoints. Raises DopeError when it does not come up."""
        root = Path(__file__).parent.parent
        self._process = subprocess.Popen(self._command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, cwd=root)
        assert self._process.stdout is not None
        try:
            line = await asyncio.wait_for(asyncio.to_thread(self._process.stdout.readline), START_S)
            self.endpoints = json.loads(line)
        except (TimeoutError, ValueError) as error:
            self.stop()
            raise DopeError("the simulated market did not start") from error
        return self.endpoints

    def alive(self) -> bool:
        """Whether the process is running."""
        return self._process is not None and self._process.poll() is None

    def stop(self) -> None:
        """End it: first by closing its stdin, then by force."""
        process, self._process = self._process, None
        if process is None:
            return
        for pipe in (process.stdin, process.stdout):
            if pipe is not None:
                pipe.close()
        try:
            process.wait(STOP_S)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait(STOP_S)


async def _serve(tapes: list[Path], speed: float) -> None:
    over = asyncio.Event()
    reader = asyncio.StreamReader()
    await asyncio.get_running_loop().connect_read_pipe(lambda: asyncio.StreamReaderProtocol(reader), sys.stdin)
    asyncio.create_task(reader.read()).add_done_callback(lambda _: over.set())
    opened = [Tape(path) for path in tapes]
    venues = sorted({venue for tape in opened for venue in tape.meta.venues})
    playback = Playback(merge(opened), venues, speed=speed)
    print(json.dumps(await playback.start()), flush=True)
    await over.wait()
    await playback.stop()


def main() -> None:
    """Read the options and serve."""
    options = argparse.ArgumentParser(prog="python -m dope.worlds", description=__doc__)
    options.add_argument("--tape", type=Path, action="append", required=True, help="a recording; several are merged by time")
    options.add_argument("--speed", type=float, default=1.0, help="recorded seconds per second")
    chosen = options.parse_args()
    asyncio.run(_serve(chosen.tape, chosen.speed))


if __name__ == "__main__":
    main()
