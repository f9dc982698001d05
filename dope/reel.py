"""The frames of one recording as a reel: looked at one ahead, wound back to where an engine may begin."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from dope.tape.read import Tape, merge
from dope.types import Frame

FOR_EVER = 2**63 - 1
MS = 1_000_000


class Reel:
    """``ahead`` is the frame that comes next, None at the end. Damage is stepped over and told in ``problems``."""

    def __init__(self, paths: Sequence[Path]) -> None:
        """Raises TapeError for a file that is no tape."""
        self.tapes = [Tape(path, tolerant=True) for path in paths]
        filled = [tape for tape in self.tapes if tape.count]
        self.first = min((tape.first for tape in filled), default=0)  #: ns UTC
        self.last = max((tape.last for tape in filled), default=0)
        self.count = sum(tape.count for tape in filled)  #: frames
        self.venues = tuple(sorted({venue for tape in self.tapes for venue in tape.meta.venues}))
        self.source = self.tapes[0].meta.source if self.tapes else ""  #: live, sim or import
        self._beginnings = _beginnings(filled)
        self._stream: Iterator[Frame] = iter(())
        self.ahead: Frame | None = None
        self.whole = True  #: wound to its very first frame

    def beginning(self, ts: int) -> int:
        """The latest moment at or before ``ts`` from which books can be built: where a run of the program began to record."""
        return max((at for at in self._beginnings if at <= ts), default=self.first)

    def wind(self, ts: int) -> None:
        """Go to the ``beginning`` of ``ts``."""
        at = self.beginning(ts)
        self.whole = at <= self.first
        self._stream = merge([tape.seek(at) if at > self.first else _rewound(tape) for tape in self.tapes if tape.last >= at])
        self.ahead = next(self._stream, None)

    def take(self, until: int, most: int) -> list[Frame]:
        """The next frames that were received at or before ``until``, at most so many."""
        taken: list[Frame] = []
        ahead = self.ahead
        while ahead is not None and ahead.ts <= until and len(taken) < most:
            taken.append(ahead)
            ahead = next(self._stream, None)
        self.ahead = ahead
        return taken

    def holes(self) -> list[dict[str, Any]]:
        """Where frames were lost while recording, ms UTC."""
        return [row for tape in self.tapes for row in hole_rows(tape)]

    def problems(self) -> list[str]:
        """Damaged places met so far, in words."""
        return [problem for tape in self.tapes for problem in dict.fromkeys(tape.problems)]


def hole_rows(tape: Tape) -> list[dict[str, Any]]:
    """Where frames were lost while recording, as rows: from, to (ms UTC), lost (0 = not known how many), reason."""
    return [{"from": hole.first // MS, "to": hole.last // MS, "lost": hole.lost, "reason": hole.reason} for hole in tape.holes()]


def _rewound(tape: Tape) -> Tape:
    return tape.seek(-FOR_EVER)


def _beginnings(tapes: Sequence[Tape]) -> list[int]:
    """First moments of the runs that begin while no other is recorded: there the live engine was new, too."""
    runs: dict[str, tuple[int, int]] = {}
    for tape in tapes:
        name = tape.meta.session or str(tape.path)
        first, last = runs.get(name, (tape.first, tape.last))
        runs[name] = (min(first, tape.first), max(last, tape.last))
    return sorted(first for name, (first, _) in runs.items() if not any(a < first <= b for other, (a, b) in runs.items() if other != name))
