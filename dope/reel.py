"""The frames of one recording as a reel: looked at one ahead, wound back to where an engine may begin."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from dope.tape.read import Tape, merge
from dope.types import Frame

FOR_EVER = 2**63 - 1
MS = 1_000_000
STRETCHES = 200  #: parts of a recording, each with at most one mark of a kind
Mark = tuple[int, str, str]  #: ms UTC, kind ("opp" | "book" | "signal"), what happened


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

    def marks(self) -> list[Mark]:
        """What happened in all of the recording, by the rows that were recorded with it (none on old and imported tapes).

        Of each of ``STRETCHES`` parts the strongest of a kind, with the number of the others.
        """
        width = max(1, (self.last - self.first) // STRETCHES + 1)
        best: dict[tuple[str, int], tuple[float, int, str]] = {}
        count: Counter[tuple[str, int]] = Counter()
        for tape in self.tapes:
            for kind, new, fact in _facts(tape):
                where = kind, min(STRETCHES - 1, max(0, fact[1] - self.first) // width)
                count[where] += new
                best[where] = max(best.get(where, fact), fact)
        return sorted((at // MS, where[0], _and_more(text, count[where] - 1)) for where, (_, at, text) in best.items())

    def problems(self) -> list[str]:
        """Damaged places met so far, in words."""
        return [problem for tape in self.tapes for problem in dict.fromkeys(tape.problems)]


def hole_rows(tape: Tape) -> list[dict[str, Any]]:
    """Where frames were lost while recording, as rows: from, to (ms UTC), lost (0 = not known how many), reason."""
    return [{"from": hole.first // MS, "to": hole.last // MS, "lost": hole.lost, "reason": hole.reason} for hole in tape.holes()]


def _facts(tape: Tape) -> Iterator[tuple[str, bool, tuple[float, int, str]]]:
    """(kind, the first row of this fact, (weight, ns, text)) of what is worth a look; holes of the tape itself are told as such."""
    for _, batch in tape.rows("opportunity"):
        for row in batch.select(["opened", "state", "symbol", "buy_venue", "sell_venue", "peak_bps"]).to_pylist():
            text = f"{row['symbol']} {row['buy_venue']} → {row['sell_venue']} {row['peak_bps']:+.2f} bps"
            yield "opp", row["state"] == "open", (row["peak_bps"], row["opened"], text)
    for _, batch in tape.rows("gap"):
        for row in batch.to_pylist():
            if row["what"] in ("book", "connection"):
                length = float((row["until"] or row["ts"]) - row["ts"])
                yield "book", row["until"] is None, (length, row["ts"], " ".join(filter(None, (row["venue"], row["symbol"], row["why"]))))
    for _, batch in tape.rows("signal"):
        for row in batch.select(["ts", "symbol", "kind"]).to_pylist():
            yield "signal", True, (0.0, row["ts"], f"{row['kind']} {row['symbol']}".strip())


def _and_more(text: str, others: int) -> str:
    return f"{text} (and {others} more near it)" if others > 0 else text


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
