"""Looks after sealed history while a market runs: closed tapes are sealed in a worker process, what is too old is removed.

The worker's function lives here and not in ``workers``: its process then loads neither the engine nor the model.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import msgspec
from loguru import logger

from dope.errors import TapeError
from dope.jobs import Jobs
from dope.settings import Settings
from dope.tape.catalogue import SEALED
from dope.tape.retention import Keep, expire
from dope.tape.seal import seal, sealed_tapes

KIND = "seal"
EXPIRE_NS = 600 * 10**9  #: between two looks for what is too old
RETRY_NS = 10 * 10**9  #: after a failure; doubles with each
MAX_RETRY_NS = 600 * 10**9


def seal_worker(progress: Callable[[float, str], None], tape: str, folder: str) -> dict[str, Any]:
    """Seal one closed tape below ``folder``; rows per table and bytes."""
    progress(0.0, "Seal the recording")
    done = seal(Path(tape), Path(folder))
    return {"rows": done.rows, "bytes": done.bytes}


class _Trial(msgspec.Struct):
    """A tape whose sealing failed: how often, why, and when it is tried again (ns)."""

    failures: int
    reason: str
    again: int


def keep(settings: Settings) -> Keep:
    """The bounds of retention from the settings."""
    return Keep(
        tape_days=settings.tape_days,
        history_days=settings.history_days,
        history_bytes=settings.history_max_mb << 20,
        ledger_days=settings.ledger_days,
    )


class Sealing:
    """Seals one tape at a time, the oldest first, in a process of low priority. Call ``step`` every few seconds; one owner.

    A failure is told, and that tape tried again later and later; it holds up no other.
    """

    def __init__(self, bounds: Keep, *, clock_ns: Callable[[], int], jobs: Jobs | None = None) -> None:
        self._keep, self._clock_ns = bounds, clock_ns
        self._jobs = jobs or Jobs()
        self._folder: Path | None = None
        self._sealed: set[str] = set()  # stems in ``_folder``
        self._waiting: list[Path] = []
        self._trials: dict[Path, _Trial] = {}
        self._job = 0
        self.busy: Path | None = None  #: the tape that is being sealed
        self._expire_at = 0
        self._trouble = ""

    def status(self) -> dict[str, Any]:
        """``tapes`` = sealed so far, ``waiting`` = closed and not sealed, ``reason`` = what is wrong, "" = nothing."""
        trial = next(iter(self._trials.values()), None)
        return {"tapes": len(self._sealed), "waiting": len(self._waiting), "reason": trial.reason if trial else self._trouble}

    async def step(self, folder: Path, closed: Callable[[], Sequence[Path]]) -> list[str]:
        """``closed`` gives the tapes in ``folder`` that nobody writes any more; it is called in a thread.

        Names of the tapes that were sealed since the last call: nobody has to remember their rows any longer.
        """
        done = self._take()
        if self.busy is None:
            await self._look(folder, closed)
        return done

    async def _look(self, folder: Path, closed: Callable[[], Sequence[Path]]) -> None:
        """Begin with the oldest tape that waits, or remove what is too old."""
        now = self._clock_ns()
        try:
            if folder != self._folder:
                self._sealed = set(await asyncio.to_thread(sealed_tapes, folder / SEALED))
                self._folder, self._trials, self._expire_at = folder, {}, now
            found = await asyncio.to_thread(closed)
            self._waiting = [path for path in found if path.stem not in self._sealed]
            ready = [path for path in self._waiting if path not in self._trials or self._trials[path].again <= now]
            if ready:
                self._begin(ready[0])
            elif now >= self._expire_at:
                self._expire_at = now + EXPIRE_NS
                await asyncio.to_thread(expire, folder, self._keep, now=now)
            self._trials = {path: trial for path, trial in self._trials.items() if path in self._waiting}
            self._trouble = ""
        except (OSError, TapeError) as error:
            self._tell(f"sealed history cannot be looked after: {error}")

    def close(self) -> None:
        """End the worker; what it had begun is begun anew next time."""
        self._jobs.close()

    def _begin(self, path: Path) -> None:
        assert self._folder is not None
        self._job += 1
        self.busy = path
        self._jobs.start(KIND, seal_worker, (str(path), str(self._folder / SEALED)), self._job)

    def _take(self) -> list[str]:
        done: list[str] = []
        for state in self._jobs.poll():
            if self.busy is None or state.id != self._job or state.ended is None:
                continue
            path, self.busy = self.busy, None
            if state.state == "done":
                self._sealed.add(path.stem)
                done.append(path.name)
                self._trials.pop(path, None)
                self._expire_at = 0
                logger.info("sealed {}: {} rows", path.name, sum(state.result["rows"].values()))
            else:
                self._fail(path, state.error or state.state)
        return done

    def _fail(self, path: Path, error: str) -> None:
        failures = self._trials[path].failures + 1 if path in self._trials else 1
        wait = min(RETRY_NS << min(failures - 1, 20), MAX_RETRY_NS)
        self._trials[path] = _Trial(failures, f"{path.name} cannot be sealed: {error}", self._clock_ns() + wait)
        logger.warning("{}; trying again in {} s", self._trials[path].reason, wait // 10**9)

    def _tell(self, trouble: str) -> None:
        if trouble != self._trouble:
            logger.warning(trouble)
        self._trouble = trouble
