"""What every route needs: the board, the settings, and whether the runtime is alive."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Annotated, Any

from fastapi import Depends, Request

from dope.api.tokens import address_of
from dope.board import Board, Snapshot
from dope.errors import DopeError, NoEngine
from dope.settings import Settings
from dope.watch import Watch

MAX_SILENCE_S = 5.0  #: s without a publication after which the runtime counts as dead, even if it says it lives


class Refusal(DopeError):
    """An answer other than success: HTTP status, what is wrong, what to do about it."""

    def __init__(self, status: int, error: str, hint: str = "", *, retry_after_s: int = 0) -> None:
        super().__init__(error)
        self.status, self.error, self.hint, self.retry_after_s = status, error, hint, retry_after_s


@dataclass(frozen=True)
class Web:
    """Handed to the routes; ``clock_ns`` is the clock by which the runtime stamps its snapshots (UTC, never falling)."""

    board: Board
    settings: Settings
    alive: Callable[[], bool]
    clock_ns: Callable[[], int]
    watch: Watch = field(default_factory=Watch)

    def age_s(self) -> float | None:
        """Seconds since the last publication, None before the first."""
        snapshot = self.board.read()
        return None if snapshot.seq == 0 else max(0.0, (self.clock_ns() - snapshot.t_ns) / 1e9)

    def trouble(self) -> str | None:
        """Why the runtime counts as dead, None while it lives (or has only just started)."""
        if not self.alive():
            return "the engine is not running"
        age = self.age_s()
        if age is not None and age > MAX_SILENCE_S:
            return f"the engine has published nothing for {age:.1f} s"
        return None


def web(request: Request) -> Web:
    """The context that ``mount`` left on the app."""
    context: Web = request.app.state.web
    return context


def current(context: Annotated[Web, Depends(web)]) -> Snapshot:
    """The newest snapshot; raises NoEngine while there is no living runtime behind it."""
    trouble = context.trouble()
    if trouble is not None:
        raise NoEngine(trouble)
    snapshot = context.board.read()
    if snapshot.seq == 0:
        raise NoEngine("the engine is still starting")
    return snapshot


TheWeb = Annotated[Web, Depends(web)]
Current = Annotated[Snapshot, Depends(current)]


def spend(request: Request) -> None:
    """One costly request of its address more. Raises Refusal when there were too many."""
    if wait := request.app.state.rates.take(address_of(request.scope), "costly"):
        raise Refusal(429, "too many costly requests from this address", "wait as long as Retry-After says", retry_after_s=wait)


def iso(t_ms: float | None) -> str | None:
    """Milliseconds UTC as ``2026-01-31T12:00:00.123Z``; None stays None."""
    if t_ms is None:
        return None
    return datetime.fromtimestamp(t_ms / 1000, UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def with_times(row: dict[str, Any], names: tuple[str, ...]) -> dict[str, Any]:
    """A copy in which each time is told twice: ``name`` ISO-8601 UTC and ``name_ms`` as int."""
    times = {name: row.get(name) for name in names}
    return {**row, **{name: iso(t) for name, t in times.items()}, **{f"{name}_ms": t for name, t in times.items()}}
