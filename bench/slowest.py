"""Where the time of the slowest one percent went: from due to done, split into causes that sum.

A message waits for its sender, then for whatever the receiving thread does between sending and the message's end (``bench.marks``).
What the thread was ready for and got no processor is one cause, what it stood still for otherwise (the interpreter's lock held by
another thread, a page of memory) another; the rest is work, each by its name.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from bench.figures import Figure, figure
from bench.marks import ENGINE, GARBAGE, LOOP, PUBLISHING, ROWS, WAITING

SHARE = 0.01
SENDER, NO_CPU, LOCK, WOKEN = "the sender was late", "ready, no processor", "stood still: the interpreter's lock", "socket → awake"
EARLIER, OWN = "earlier turns of the engine", "its own turn"
WORK = {LOOP: "loop and sockets", ROWS: "rows for the tape", PUBLISHING: "publishing", GARBAGE: "collecting garbage"}
CAUSES = (SENDER, NO_CPU, LOCK, WOKEN, EARLIER, OWN, *WORK.values())


def slowest(delays: np.ndarray) -> np.ndarray:
    """Indices of the slowest one percent, of one at least."""
    count = min(len(delays), max(1, round(len(delays) * SHARE)))
    found: np.ndarray = np.argsort(delays, kind="stable")[len(delays) - count :]
    return found


def split(due: int, sent: int, began: int, done: int, marks: np.ndarray) -> np.ndarray:
    """ns by cause, in the order of CAUSES; they sum to ``done − due``. ``began`` is the beginning of the turn that did it."""
    causes = dict.fromkeys(CAUSES, 0.0)
    causes[SENDER] = float(min(sent, done) - due)
    ends = marks[:, 0]
    first = max(int(np.searchsorted(ends, sent, side="right")), 1)
    last = min(int(np.searchsorted(ends, done)), len(ends) - 1)
    known = 0.0
    for at in range(first, last + 1):
        opened, closed = int(ends[at - 1]), int(ends[at])
        within = float(min(closed, done) - max(opened, sent))
        if within <= 0.0:
            continue
        known += within
        span, doing = closed - opened, int(marks[at, 3])
        cpu, delay = (int(marks[at, column] - marks[at - 1, column]) for column in (1, 2))
        off = max(span - cpu, 0)
        if doing == WAITING:  # it was asleep, then ready, then awake: what is missing to the end of the span is the wait for a processor
            ready = min(float(min(delay, off)), within)
            causes[NO_CPU] += ready
            causes[WOKEN] += within - ready
            continue
        part = within / span
        ready, stood = min(delay, off) * part, max(off - delay, 0) * part
        causes[NO_CPU] += ready
        causes[LOCK] += stood
        work = within - ready - stood
        if doing == ENGINE:
            own = min(max((min(closed, done) - max(opened, sent, began)) / within, 0.0), 1.0)
            causes[OWN] += work * own
            causes[EARLIER] += work * (1.0 - own)
        else:
            causes[WORK[doing]] += work
    causes[WORK[LOOP]] += max(float(done - sent), 0.0) - known  # before the first mark, or after the last
    return np.array([causes[name] for name in CAUSES])


def told(name: str, splits: Sequence[np.ndarray]) -> list[Figure]:
    """``splits``: of each repetition, (n, causes) in µs. The mean over all that were slowest, and how much of it each cause is."""
    together = np.concatenate([each for each in splits if len(each)]) if any(map(len, splits)) else np.zeros((0, len(CAUSES)))
    if not len(together):
        return []
    means = together.mean(axis=0)
    whole = float(means.sum())
    found = [figure(f"{name}, mean", "µs", [whole], len(together))]
    for cause, value in sorted(zip(CAUSES, means.tolist(), strict=True), key=lambda pair: -pair[1]):
        found.append(figure(f"{name}: {cause}", "µs", [value], len(together), note=f"{100 * value / whole:.0f} %"))
    return found
