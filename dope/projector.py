"""The process of one replay, so that stepping at full speed takes nothing from the live market: ``python -m dope.projector``.

Read from stdin: one JSON object per line, first the plan {settings, paths or bundle and folder, speed, start, until, loop, run},
then wishes {do: resume|pause|seek|speed|step|loop, …}. Written to stdout: messages, each a length in four bytes and a pickle:
{"sections": …} for a board, {"refused": text}, or, last of all, {"failed": text}. When stdin closes the owner has gone, and so
does this process.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import pickle
import resource
import sys
from pathlib import Path
from typing import IO, Any

from dope import logs
from dope.care.archive import unpacked
from dope.errors import DopeError
from dope.feed.clock import Clock
from dope.jobs import MEMORY_BYTES, NICENESS
from dope.player import Player
from dope.reel import Mark, Reel
from dope.settings import Settings

NS = 1_000_000_000
HEAD = 4  #: bytes of a message's length
SLICE_S = 0.05  #: longest sleep while it runs
IDLE_S = 1.0  #: between two words of one that stands still


class Projector:
    """Turns the player's wheel, hears wishes, tells what is seen."""

    def __init__(
        self, player: Player, out: IO[bytes], *, clock: Clock, period_s: float, seekable: list[dict[str, Any]], bundled: str = ""
    ) -> None:
        """``bundled`` = the digest that this recording was bundled with, "" = it comes from no bundle."""
        self.player, self.wishes = player, asyncio.Queue[dict[str, Any] | None]()
        self._out, self._clock, self._period = out, clock, round(period_s * NS)
        self._holes, self._bundled = seekable, bundled
        self.marks: list[Mark] = []  #: of the whole recording, once they are known
        self._next = 0
        self._shown: tuple[object, int, str, int] = (None, -1, "", 0)
        self._digest: tuple[object, int, str] = (None, -1, "")
        self._pace = (clock.now(), player.position, 0.0)

    async def run(self) -> None:
        """Until the owner has gone."""
        while True:
            wait = self.player.turn(self._clock.now())
            self._tell(self._clock.now())
            wish = await self._wish(wait)
            if wish == {}:
                continue
            if wish is None:
                return
            try:
                carry_out(self.player, wish)
            except DopeError as error:
                send(self._out, {"refused": str(error)})
            self._next = 0  # at once

    async def look(self) -> None:
        """Read what happened in the whole recording, while it plays already. What cannot be read leaves the marks of what was played."""
        with contextlib.suppress(DopeError, OSError):
            self.marks = await asyncio.to_thread(self.player.reel.marks)
            self._shown = (None, -1, "", 0)

    async def _wish(self, wait: float) -> dict[str, Any] | None:
        """The next wish, {} when none comes in time."""
        try:
            async with asyncio.timeout(min(wait, SLICE_S if self.player.running or self.player.goal is not None else IDLE_S)):
                return await self.wishes.get()
        except TimeoutError:
            return {}

    def _tell(self, now: int) -> None:
        """Not more often than ``period``; while seeking only how far it is, standing still only that it lives."""
        if now < self._next:
            return
        self._next = now + self._period
        player = self.player
        shown = (player.engine, player.engine.frames, player.state(), player.position)
        sections = {} if player.goal is not None or shown == self._shown else player.sections()
        if player.goal is None:
            self._shown = shown
        if sections and self.marks:
            sections["marks"] = self.marks
        status = player.status()
        digest = self._sum()
        told = {"reached": self._reached(now), "digest": digest, "holes": self._holes, "as_bundled": self._same(digest)}
        sections["replay"] = status | told
        send(self._out, {"sections": sections})

    def _reached(self, now: int) -> float | None:
        """Recorded seconds per second over about the last one, None while it stands still."""
        then, position, speed = self._pace
        if not self.player.running or self.player.goal is not None or self.player.position < position:
            self._pace = (now, self.player.position, 0.0)
            return None
        if now - then > NS:
            speed = (self.player.position - position) / (now - then)
            self._pace = (now, self.player.position, speed)
        return speed or None

    def _sum(self) -> str | None:
        """The digest of the frames seen; None while it moves, and when the engine began later than the recording.

        It costs a look at every book: told more seldom than the number of frames, it would be of other frames than those.
        """
        engine, (of, frames, text) = self.player.engine, self._digest
        if self.player.goal is not None or self.player.state() == "running" or not self.player.reel.whole:
            return None
        if of is not engine or frames != engine.frames:
            text = engine.digest()
            self._digest = (engine, engine.frames, text)
        return text

    def _same(self, digest: str | None) -> bool | None:
        """Whether it came to the digest that it was bundled with; None before the end of all of it, and without a bundle."""
        player = self.player
        if not self._bundled or digest is None or player.state() != "ended" or player.engine.frames < player.reel.count:
            return None
        return digest == self._bundled


def carry_out(player: Player, wish: dict[str, Any]) -> None:
    """One wish. Raises DopeError for what is not possible now."""
    match wish:
        case {"do": "resume"}:
            player.resume()
        case {"do": "pause"}:
            player.pause()
        case {"do": "seek", "to": int(to)}:
            player.seek(to)
        case {"do": "speed", "speed": int(speed) | float(speed)}:
            player.set_speed(speed)
        case {"do": "step", "by": int(by)}:
            player.step(by)
        case {"do": "loop", "loop": loop}:
            player.loop = None if loop is None else (loop[0], loop[1])
        case _:
            raise DopeError(f"not understood: {str(wish)[:80]}")


def send(out: IO[bytes], message: dict[str, Any]) -> None:
    """One message to the owner."""
    payload = pickle.dumps(message, pickle.HIGHEST_PROTOCOL)
    out.write(len(payload).to_bytes(HEAD, "little") + payload)
    out.flush()


def receive(pipe: IO[bytes]) -> dict[str, Any] | None:
    """The next message of a projector, None when there will be none."""
    head = pipe.read(HEAD)
    length = int.from_bytes(head, "little")
    payload = pipe.read(length) if len(head) == HEAD else b""
    message: dict[str, Any] | None = pickle.loads(payload) if payload and len(payload) == length else None
    return message


async def _serve(out: IO[bytes]) -> None:
    stdin = asyncio.StreamReader(limit=1 << 20)
    await asyncio.get_running_loop().connect_read_pipe(lambda: asyncio.StreamReaderProtocol(stdin), sys.stdin)
    line = await stdin.readline()
    if not line:
        return
    plan = json.loads(line)
    paths = [Path(path) for path in plan.get("paths", ())]
    rules: dict[str, Any] = {}
    seen: dict[str, Any] = {}
    if "bundle" in plan:
        paths, rules, seen = unpacked(Path(plan["bundle"]), Path(plan["folder"]))
    settings = Settings.model_validate(plan["settings"] | rules)
    reel = Reel(paths)
    player = Player(settings, reel, speed=plan["speed"], until=plan["until"])
    player.loop = tuple(plan["loop"]) if plan["loop"] else None
    if plan["start"] > reel.first:
        player.seek(plan["start"])
    if plan["run"]:
        player.resume()
    period = 1.0 / min(10.0, settings.push_hz)
    projector = Projector(player, out, clock=Clock(), period_s=period, seekable=reel.holes(), bundled=seen.get("digest", ""))
    listening = asyncio.create_task(_listen(stdin, projector.wishes), name="replay wishes")
    looking = asyncio.create_task(projector.look(), name="replay marks")
    await projector.run()
    looking.cancel()
    if listening.done():
        listening.result()  # not because the owner has gone, but because its words could not be understood
    listening.cancel()


async def _listen(stdin: asyncio.StreamReader, wishes: asyncio.Queue[dict[str, Any] | None]) -> None:
    try:
        while line := await stdin.readline():
            wishes.put_nowait(json.loads(line))
    finally:  # nobody else hears: whoever cannot be told anything does not go on
        wishes.put_nowait(None)


def main() -> None:
    """Bounds first, then the replay."""
    resource.setrlimit(resource.RLIMIT_AS, (MEMORY_BYTES, MEMORY_BYTES))
    os.sched_setscheduler(0, os.SCHED_BATCH, os.sched_param(0))  # whatever class the program runs in
    os.nice(NICENESS)
    logs.start_child()
    out = sys.stdout.buffer
    try:
        asyncio.run(_serve(out))
    except DopeError as error:
        send(out, {"failed": str(error)})
        sys.exit(1)
    except BrokenPipeError:
        os._exit(1)  # the owner has gone
    except OSError as error:  # a tape that was removed meanwhile, a disk that cannot be read
        send(out, {"failed": f"{error.filename or 'the recording'}: {error.strerror or error}"})
        sys.exit(1)


if __name__ == "__main__":
    main()
