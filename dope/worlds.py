"""The simulated market or a played-back tape, in a process of its own, so that its cost is not paid by the ingest loop.

``python -m dope.worlds --tape FILE …`` serves recorded frames on loopback; without a tape the seeded sample market runs.
The process prints its endpoints as one JSON line (and ``"over"`` when a tape has been played) and ends when its stdin is
closed: it never outlives its parent; the sample market also takes wishes there (``dope/sim/__main__.py``). It has a session
of its own, so that Ctrl-C in the terminal is for its parent alone.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import json
import sys
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

from loguru import logger

from dope import logs
from dope.errors import DopeError
from dope.sim.playback import Playback
from dope.tape.read import Tape, merge
from dope.types import DATA, OPEN, Listed
from dope.venues import VENUES, make

START_S = 30.0  #: s until the process must have printed its endpoints
STOP_S = 2.0
ANSWER_S = 2.0  #: s in which the sample market must say that it plays another scenario; nothing is published meanwhile
SCANNED = 50_000  #: data frames of a tape that are read to find out which markets it holds
OVER = "over"
ONLY_SIMULATED = "scenarios are played only on the simulated market"


class WorldProcess:
    """A child process that serves venues on loopback; all methods belong to the loop that started it."""

    def __init__(self, *, seed: int, venues: Sequence[str] = (), speed: float, tapes: Sequence[Path] = (), scenario: str = "usual") -> None:
        files = [f"--tape={path.resolve()}" for path in tapes]
        listed = [f"--venues={','.join(venues)}"] if venues else []
        module = ["dope.worlds", *files] if files else ["dope.sim", "--with-parent", f"--seed={seed}", f"--scenario={scenario}", *listed]
        self._asked, self._answers = 0, dict[int, asyncio.Future[dict[str, Any]]]()
        self._simulated = not files
        self._command = [sys.executable, "-m", *module, f"--speed={speed}"]
        self._process: asyncio.subprocess.Process | None = None
        self._listener: asyncio.Task[None] | None = None
        self.over = False  #: the tape has been played to its end

    async def start(self) -> dict[str, dict[str, str]]:
        """Start it and wait for its endpoints per venue id. Raises DopeError when it does not come up."""
        process = await asyncio.create_subprocess_exec(
            *self._command, stdin=asyncio.subprocess.PIPE, stdout=asyncio.subprocess.PIPE, start_new_session=True,
            cwd=Path(__file__).parent.parent,
        )  # fmt: skip
        self._process, started = process, False
        assert process.stdout is not None
        try:
            async with asyncio.timeout(START_S):
                endpoints: dict[str, dict[str, str]] = json.loads(await process.stdout.readline())
            started = True
        except (TimeoutError, ValueError) as error:
            raise DopeError("the process of the simulated or recorded market did not start; see the log") from error
        finally:
            if not started:
                await self._end(process, patience_s=0.0)
        self._listener = asyncio.create_task(self._listen(process.stdout), name="market listener")
        return endpoints

    async def _listen(self, stdout: asyncio.StreamReader) -> None:
        try:
            while line := await stdout.readline():
                said = json.loads(line)
                self.over = self.over or said == OVER
                if isinstance(said, dict) and (answer := self._answers.pop(said["ask"], None)) is not None:
                    answer.set_result(said)
        finally:
            for answer in self._answers.values():
                answer.cancel()

    async def play(self, scenario: str) -> int:
        """Play this scenario from now on. Returns the virtual time, ms UTC. Raises DopeError for a tape, and when it is refused."""
        if not self._simulated:
            raise DopeError(ONLY_SIMULATED)
        if self._process is None or not self.alive:
            raise DopeError("the simulated market is not running")
        assert self._process.stdin is not None
        self._asked += 1
        answer = self._answers[self._asked] = asyncio.get_running_loop().create_future()
        try:
            self._process.stdin.write(json.dumps({"ask": self._asked, "play": scenario}).encode() + b"\n")
            await asyncio.wait((answer,), timeout=ANSWER_S)
        finally:
            self._answers.pop(self._asked, None)
        if not answer.done() or answer.cancelled():
            raise DopeError("the simulated market does not answer")
        said = answer.result()
        if "refused" in said:
            raise DopeError(str(said["refused"]))
        return int(said["since"])

    @property
    def alive(self) -> bool:
        """Whether the process is running and heard."""
        heard = self._listener is not None and not self._listener.cancelled() and (self.over or not self._listener.done())
        return self._process is not None and self._process.returncode is None and heard

    async def stop(self) -> None:
        """End it: first by closing its stdin, then by force."""
        process, self._process = self._process, None
        if self._listener is not None:
            self._listener.cancel()
        if process is not None:
            await self._end(process, patience_s=STOP_S)

    async def _end(self, process: asyncio.subprocess.Process, *, patience_s: float) -> None:
        assert process.stdin is not None
        process.stdin.close()
        try:
            async with asyncio.timeout(patience_s):
                await process.wait()
        except TimeoutError:
            with contextlib.suppress(ProcessLookupError):  # it ended in this very moment
                process.kill()
            await process.wait()


def symbols_of(tapes: Iterable[Tape]) -> tuple[str, ...]:
    """Canonical symbols of the markets in these tapes, sorted: what their first frames list. Raises TapeError."""
    found: set[str] = set()
    known = {venue.ID for venue in VENUES}
    for tape in tapes:
        machines = {venue: make(venue, ()) for venue in tape.meta.venues if venue in known}
        left = SCANNED
        for frame in tape:
            machine = machines.get(frame.venue)
            if machine is None or frame.kind not in (OPEN, DATA):
                continue
            found.update(event.instrument.symbol for event in machine.receive(frame) if isinstance(event, Listed))
            left -= 1
            if not left:
                break
    return tuple(sorted(found))


async def _serve(tapes: list[Path], speed: float) -> None:
    over = asyncio.Event()
    reader = asyncio.StreamReader()
    await asyncio.get_running_loop().connect_read_pipe(lambda: asyncio.StreamReaderProtocol(reader), sys.stdin)
    asyncio.create_task(reader.read()).add_done_callback(lambda _: over.set())
    opened = [Tape(path, tolerant=True) for path in tapes]
    venues = sorted({venue for tape in opened for venue in tape.meta.venues})
    playback = Playback(merge(opened), venues, speed=speed)
    print(json.dumps(await playback.start()), flush=True)
    played = asyncio.create_task(_play(playback, opened))
    await over.wait()
    played.cancel()
    await playback.stop()


async def _play(playback: Playback, tapes: list[Tape]) -> None:
    await playback.wait()
    for tape in tapes:
        for problem in tape.problems:
            logger.warning("left out: {}", problem)
    print(json.dumps(OVER), flush=True)


def main() -> None:
    """Read the options and serve."""
    options = argparse.ArgumentParser(prog="python -m dope.worlds", description=__doc__)
    options.add_argument("--tape", type=Path, action="append", required=True, help="a recording; several are merged by time")
    options.add_argument("--speed", type=float, default=1.0, help="recorded seconds per second")
    chosen = options.parse_args()
    logs.start_child()
    try:
        asyncio.run(_serve(chosen.tape, chosen.speed))
    except DopeError as error:
        logger.error("{}", error)
        sys.exit(1)


if __name__ == "__main__":
    main()
