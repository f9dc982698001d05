"""What every contender counts the same way: CPU time of its process between two messages, and what its books hold at the end."""

from __future__ import annotations

import hashlib
import json
import time
from collections.abc import Mapping, Sequence

Levels = Sequence[tuple[float, float]]
DIGEST_LEVELS = 20


class Meter:
    """Call it once per message. The clock starts after ``warm`` messages, so that imports and compiling do not count."""

    def __init__(self, messages: int, warm: int) -> None:
        self._messages, self._warm = messages, warm
        self._seen = 0
        self._start = self._end = (0, 0.0, 0.0)

    def count(self) -> bool:
        """One more message is done; True when it was the last one."""
        self._seen += 1
        return self.seen(self._seen) if self._seen in (self._warm, self._messages) else False

    def seen(self, messages: int) -> bool:
        """``messages`` are done in all; True when these are all. For those that see them in batches."""
        now = (messages, time.process_time(), time.perf_counter())
        if messages >= self._warm and not self._start[0]:
            self._start = now
        self._end = now
        return messages >= self._messages

    def report(self, contender: str, books: Mapping[str, tuple[Levels, Levels]]) -> str:
        """One line of JSON for bench.run: messages measured, CPU and wall seconds, digest of the books."""
        count, cpu, wall = (end - start for start, end in zip(self._start, self._end, strict=True))
        return json.dumps({"contender": contender, "messages": count, "cpu_s": cpu, "wall_s": wall, "books": digest(books)})


def digest(books: Mapping[str, tuple[Levels, Levels]]) -> str:
    """SHA-256 over the best levels (bids, asks; best first) of all books: equal books, equal digest."""
    best = {name: [[[float(p), float(s)] for p, s in side[:DIGEST_LEVELS]] for side in books[name]] for name in sorted(books)}
    return hashlib.sha256(json.dumps(best).encode()).hexdigest()[:16]
