"""The life of one opportunity: opens at the enter level, stays above the leave level, closes as faded or stale.

Definition: open at the first net ≥ enter; open while net ≥ leave; below leave for more than ``debounce`` → closed
"faded" at the time it first fell; no usable figure (desync, stale leg) → closed "stale" then; silence longer than
``max_gap`` → closed "stale" at last + max_gap. One row per life, not one per tick.
"""

from __future__ import annotations

import msgspec


class LifeRules(msgspec.Struct, frozen=True):
    """Levels in bps, times in the unit of the caller's ``t`` (ns in the engine)."""

    enter: float
    leave: float
    debounce: int
    max_gap: int


class Life(msgspec.Struct):
    """One life; ``close`` None while open. ``reason`` is "open", "faded" or "stale"."""

    open: int
    peak_bps: float
    peak_t: int
    updates: int = 1
    close: int | None = None
    reason: str = "open"


class Lifecycle:
    """Follows one key. ``update`` returns the lives that this figure opened or closed (closed ones first)."""

    __slots__ = ("fell", "last", "life", "rules")

    def __init__(self, rules: LifeRules) -> None:
        self.rules = rules
        self.life: Life | None = None
        self.fell: int | None = None  #: when it first went below leave
        self.last = 0  #: when it was last updated

    @property
    def fading(self) -> bool:
        """Open, but below the leave level for less than the debounce time."""
        return self.life is not None and self.fell is not None

    def update(self, t: int, net: float | None) -> list[Life]:
        """A figure at time ``t``; None = it cannot be known now."""
        out: list[Life] = []
        if self.life is not None and t - self.last > self.rules.max_gap:
            out.append(self._close(self.last + self.rules.max_gap, "stale"))
        if self.life is not None:
            out += self._continue(self.life, t, net)
        elif net is not None and net >= self.rules.enter:
            self.life = Life(t, net, t)
            out.append(self.life)
        self.last = t
        return out

    def _continue(self, life: Life, t: int, net: float | None) -> list[Life]:
        if self.fell is not None and t - self.fell > self.rules.debounce:
            closed = self._close(self.fell, "faded")  # whatever became of it afterwards
            if net is None or net < self.rules.enter:
                return [closed]
            self.life = Life(t, net, t)
            return [closed, self.life]
        if net is None:
            return [self._close(t, "stale")]
        life.updates += 1
        if net < self.rules.leave:
            if self.fell is None:
                self.fell = t
            return []
        self.fell = None
        if net > life.peak_bps:
            life.peak_bps, life.peak_t = net, t
        return []

    def _close(self, t: int, reason: str) -> Life:
        life = self.life
        assert life is not None
        life.close, life.reason = t, reason
        self.life = self.fell = None
        return life
