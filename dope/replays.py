"""All replays of the house: each a process of its own and a board of its own, beside the live market and never mixed with it.

Whoever asks (a route, in a thread of the web server) is answered at once; a thread per replay takes in what its process says
and publishes it. ``wish`` is the only way to change anything: {do: create|start|pause|resume|seek|speed|step|loop|stop|remove, …}.
"""

from __future__ import annotations

import contextlib
import json
import math
import os
import subprocess
import sys
import threading
from collections.abc import Mapping
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import IO, Any

from loguru import logger

from dope.board import Board
from dope.care.archive import contents
from dope.errors import DopeError, JobError, UnknownName
from dope.feed.clock import Clock
from dope.jobs import ONE_THREAD
from dope.projector import receive
from dope.recordings import bundle_path, choose
from dope.settings import Settings
from dope.shown import stopped

AT_ONCE = 4  #: replays whose process runs
REMEMBERED = 20  #: replays, ended ones included
IDLE_NS = 300 * 10**9  #: nobody looked and nobody asked for so long: the process is ended
END_S = 2.0  #: s that a process has to leave by itself
MS = 1_000_000
PLAY = {"start": "resume", "resume": "resume", "pause": "pause"}


class Replay:
    """One of them. ``status`` is the ``replay`` section of its board; every method may be called from any thread."""

    def __init__(self, number: int, plan: dict[str, Any], about: dict[str, Any], clock: Clock) -> None:
        """Starts the process; ``plan`` is its first line, ``about`` what is known before it has said anything."""
        self.id, self._clock = number, clock
        self.board = Board()
        self.touched = clock.now()
        self._reads = 0
        self._lock = threading.Lock()
        self._said = ""  # its own last words
        self._refused = ""  # why the last wish was not carried out
        self._ending = ""  # why we end it
        self._folder = TemporaryDirectory(prefix="dope-bundle-", ignore_cleanup_errors=True) if "bundle" in plan else None
        self.status: dict[str, Any] = {
            "id": number, "state": "created", "alive": True, "ready": False, "reason": "", "refused": "", "created": clock.now() // MS,
            "position": None, "position_ns": None, "reached": None, "digest": None, "frames": 0, "seeking": None,
            "books_live": 0, "books_total": 0, "holes": [], "problems": [], "whole": True, "bundle": "", "as_bundled": None, **about,
        }  # fmt: skip
        self._process = subprocess.Popen(
            [sys.executable, "-m", "dope.projector"], stdin=subprocess.PIPE, stdout=subprocess.PIPE, start_new_session=True,
            cwd=Path(__file__).parent.parent, env={**os.environ, **ONE_THREAD},
        )  # fmt: skip
        self._publish({})
        self._say(plan if self._folder is None else plan | {"folder": self._folder.name})
        self._thread = threading.Thread(target=self._listen, name=f"dope-replay {number}", daemon=True)
        self._thread.start()

    @property
    def alive(self) -> bool:
        """Whether its process runs and may be asked."""
        return bool(self.status["alive"]) and not self._ending

    def ask(self, wish: dict[str, Any]) -> None:
        """Hand a wish on. Raises DopeError when its process is gone."""
        self.touched = self._clock.now()
        if not self.alive:
            raise DopeError(f"this replay is over: {self.status['reason'] or self._ending or 'it has ended'}")
        self._refused = ""
        self._say(wish)

    def end(self, why: str) -> None:
        """Ask its process to leave; ``why`` is what people read."""
        with self._lock:
            if self._ending or not self.status["alive"]:
                return
            self._ending = why
            self._close_stdin()
        killer = threading.Timer(END_S, self._process.kill)
        killer.daemon = True
        killer.start()

    def kill(self) -> None:
        """End its process now and wait until it is gone."""
        self.end("the program ends")
        self._process.kill()
        self._thread.join()

    def idle(self, now: int) -> bool:
        """Whether nobody has looked or asked for a long time."""
        if self.board.reads != self._reads:
            self._reads, self.touched = self.board.reads, now
        return now - self.touched > IDLE_NS

    def _close_stdin(self) -> None:
        assert self._process.stdin is not None
        with contextlib.suppress(OSError):  # it has gone with something unread
            self._process.stdin.close()

    # -- what it says --------------------------------------------------------------------------------------------------
    def _say(self, wish: dict[str, Any]) -> None:
        with self._lock:
            stdin = self._process.stdin
            assert stdin is not None
            try:
                stdin.write(json.dumps(wish).encode() + b"\n")
                stdin.flush()
            except (OSError, ValueError):
                return  # it has ended in this moment: the listener tells why

    def _listen(self) -> None:
        stdout = self._process.stdout
        assert stdout is not None
        try:
            self._hear(stdout)
        except BaseException:
            self._said = "what its process said could not be used; see the log"
            self._process.kill()
            raise
        finally:
            self._over(stdout)

    def _hear(self, stdout: IO[bytes]) -> None:
        while (message := receive(stdout)) is not None:
            if "failed" in message:
                self._said = message["failed"]
            elif "refused" in message:
                self._refused = message["refused"]
            else:
                sections = message["sections"]
                self.status = {**self.status, **sections.pop("replay"), "ready": True, "refused": self._refused}
                self._publish(sections)

    def _over(self, stdout: IO[bytes]) -> None:
        """The last word: why there will be no other."""
        code = self._process.wait()
        stdout.close()
        if self._folder is not None:
            self._folder.cleanup()
        with self._lock:
            self._close_stdin()
            why = self._ending or self._said or f"the process of this replay ended by itself ({_how(code)}); see the log"
            state = "ended" if self._ending else "failed"
            self.status = {**self.status, "state": state, "alive": False, "reason": why, "reached": None, "seeking": None}
        logger.info("replay {} {}: {}", self.id, state, why)
        self._publish(_over(self.board.read().data, state, why))

    def _publish(self, sections: Mapping[str, Any]) -> None:
        self.board.publish(self._clock.now(), {**sections, "replay": self.status})


class Replays:
    """Thread-safe; ``look_after`` and ``close`` belong to the loop."""

    def __init__(self, settings: Settings, clock: Clock) -> None:
        self._settings, self._clock = settings, clock
        self._known: dict[int, Replay] = {}
        self._lock = threading.Lock()

    def wish(self, number: int, args: Mapping[str, Any]) -> None:
        """Carry out ``args``; ``number`` is the id of a replay that is created.

        Raises UnknownName, JobError (too many at once), DopeError (not possible now) or ValueError (cannot be meant).
        """
        verb = str(args.get("do"))
        if verb == "create":
            self._create(number, args)
            return
        replay = self.of(args.get("id"))
        if verb in PLAY:
            replay.ask({"do": PLAY[verb]})
        elif verb == "seek":
            replay.ask({"do": "seek", "to": _moment(args, "to")})
        elif verb == "speed":
            replay.ask({"do": "speed", "speed": _speed(args)})
        elif verb == "step":
            replay.ask({"do": "step", "by": -1 if args.get("by") == -1 else 1})
        elif verb == "loop":
            replay.ask({"do": "loop", "loop": _loop(args)})
        elif verb == "stop":
            replay.end("stopped on request")
        elif verb == "remove":
            replay.end("removed")
            with self._lock:
                self._known.pop(replay.id, None)
        else:
            raise ValueError(f"unknown wish {verb!r}")

    def of(self, number: Any) -> Replay:
        """The replay of that id. Raises UnknownName."""
        replay = self._known.get(int(number)) if str(number).isascii() and str(number).isdigit() else None
        if replay is None:
            raise UnknownName("replay", str(number), map(str, self._known))
        return replay

    def board(self, number: str) -> Board:
        """What that replay shows. Raises UnknownName."""
        return self.of(number).board

    def statuses(self, number: str = "") -> list[dict[str, Any]]:
        """All of them, oldest first, or the one of that id: who asks for one watches it. Raises UnknownName."""
        if number:
            replay = self.of(number)
            replay.touched = self._clock.now()
            return [replay.status]
        with self._lock:
            return [replay.status for replay in self._known.values()]

    def look_after(self) -> None:
        """End those that nobody watches."""
        now = self._clock.now()
        for replay in list(self._known.values()):
            if replay.alive and replay.idle(now):
                replay.end(f"ended because nobody watched it for {IDLE_NS // (60 * 10**9)} min")

    def close(self) -> None:
        """End all processes; returns when they are gone."""
        with self._lock:
            for replay in self._known.values():
                replay.kill()

    def _create(self, number: int, args: Mapping[str, Any]) -> None:
        speed, loop = _speed(args), _loop(args)
        start, until = (_moment(args, name) if args.get(name) is not None else 0 for name in ("from", "until"))
        if until and until <= start:
            raise ValueError("until must lie behind from")
        if args.get("bundle"):
            what, about = self._of_bundle(str(args["bundle"]))
        else:
            what, about, start = self._of_tapes(str(args.get("tape") or ""), start, until)
        plan = what | {
            "settings": self._settings.model_dump(mode="json"), "speed": speed, "start": start, "until": until, "loop": loop,
            "run": bool(args.get("start", True)),
        }  # fmt: skip
        about |= {"speed": "max" if speed == math.inf else speed, "loop": loop and [at // MS for at in loop]}
        with self._lock:
            if sum(replay.alive for replay in self._known.values()) >= AT_ONCE:
                raise JobError(f"{AT_ONCE} replays run already: stop one of them first")
            self._known[number] = Replay(number, plan, about, self._clock)
            for old in [replay.id for replay in self._known.values() if not replay.alive][: max(0, len(self._known) - REMEMBERED)]:
                del self._known[old]
        logger.info("replay {} of {} created", number, about.get("bundle") or ", ".join(about["tapes"]))

    def _of_tapes(self, name: str, start: int, until: int) -> tuple[dict[str, Any], dict[str, Any], int]:
        """(what to open, what is known of it, where to begin) of the recording that is meant."""
        chosen = choose(self._settings.data_dir, name=name, at=start)
        named = next((info for info, _ in chosen if info.name == name), chosen[0][0])
        first, last = min(info.first for info, _ in chosen), max(info.last for info, _ in chosen)
        start = max(start or named.first, first)
        if start > last:
            raise DopeError("this recording ended before that moment")
        about = {
            "tapes": [info.name for info, _ in chosen], "source": named.source, "from": first // MS, "to": min(last, until or last) // MS,
            "frames_total": sum(info.frames for info, _ in chosen),
        }  # fmt: skip
        return {"paths": [str(path.resolve()) for _, path in chosen]}, about, start

    def _of_bundle(self, name: str) -> tuple[dict[str, Any], dict[str, Any]]:
        """The same of a bundle; its process checks every byte of it before it shows anything."""
        path = bundle_path(self._settings.data_dir, name)
        about = {"bundle": name, "tapes": contents(path), "source": "", "from": None, "to": None, "frames_total": 0}
        return {"bundle": str(path.resolve())}, about


def _moment(args: Mapping[str, Any], name: str) -> int:
    at = args.get(name)
    if not isinstance(at, int) or not 0 <= at < 2**63:
        raise ValueError(f"{name} is no moment")
    return at


def _speed(args: Mapping[str, Any]) -> float:
    speed = args.get("speed", 1.0)
    if speed == "max":
        return math.inf
    if not isinstance(speed, (int, float)) or not speed >= 0.1:
        raise ValueError("speed must be 0.1 or more, or max")
    return float(speed)


def _loop(args: Mapping[str, Any]) -> tuple[int, int] | None:
    ends = args.get("loop")
    if ends is None:
        return None
    a, b = (_moment({"loop": end}, "loop") for end in ends)
    if b <= a:
        raise ValueError("a loop must end behind its beginning")
    return a, b


def _how(code: int) -> str:
    return f"signal {-code}" if code < 0 else f"code {code}"


def _over(data: Mapping[str, Any], state: str, why: str) -> dict[str, Any]:
    """The last sections of a replay whose process is gone: nothing on it may be taken for a market."""
    banner = f"REPLAY {'FAILED' if state == 'failed' else 'ENDED'}: {why}"
    return {**stopped(data), "mode": {**data.get("mode", {}), "source": "replay", "banner": banner, "stopped": True}}
