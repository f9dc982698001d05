"""What excuses the session, by the truth alone: what was done to the venues, when each was silent, and in which order nobody knows.

An opportunity is due when it was above the enter level for DUE_MS in one piece, in which all its markets could be read, and nothing
was wrong with them while it lived. A market may be held too old when nothing has proved its book for OLD_MS. What proves a book is said by
the venue's file: at a venue that numbers its messages any of the connection that brings the levels, else levels of the very market.
After a time in which it may be too old, an opportunity is looked at again when a touch of it changes.
"""

from __future__ import annotations

from bisect import bisect_right
from collections import Counter
from collections.abc import Iterable, Sequence

from dope.sim.exact import Life
from dope.sim.journal import Planted
from dope.sim.kinds import KINDS
from dope.sim.market import STEP_MS
from dope.sim.truth_log import DEPTH, TOUCH
from dope.trial.finding import DUE_MS
from dope.trial.stage import MS, Played

RECOVERY_MS = 30_000  #: after a fault, in which a book may leave once more
OLD_MS = 250  #: nothing younger may be held stale
NEVER = 2**62

Span = tuple[int, int]  #: from, to; ms UTC


def faults_of(played: Played) -> list[Planted]:
    """What was done to the venues, oldest first."""
    return [entry for entry in played.world.journal.entries if entry.kind in KINDS]


def lasted(played: Played, entry: Planted) -> Span:
    """From when to when a fault was there."""
    over = entry.id not in played.world.faults.active
    return played.at(entry.start_ms), played.at(entry.end_ms or entry.start_ms + STEP_MS) if over else played.end_ms


class Unreadable:
    """When which market could not be read by anybody: from a planted fault until the session has its book again."""

    def __init__(self, played: Played) -> None:
        self._spans: dict[str, list[Span]] = {}
        left: dict[str, list[Span]] = {}
        since: dict[str, int] = {}
        for state in played.witness.states:
            if state.state == "LIVE":
                left.setdefault(state.key, []).append((since.pop(state.key, 0), state.ts // MS))
            else:
                since.setdefault(state.key, state.ts // MS)
        for key, start in since.items():
            left.setdefault(key, []).append((start, played.end_ms))
        self.left = left  #: key → spans in which its book was not LIVE
        for entry in faults_of(played):
            for key, market in played.world.sample.markets.items():
                if entry.venue == market.spec.venue and entry.symbol in ("", market.spec.symbol):
                    start, end = lasted(played, entry)
                    ends = [stop for since, stop in left.get(key, ()) if since <= end + RECOVERY_MS and stop >= start]
                    self._spans.setdefault(key, []).append((start, max([end, *ends])))

    def within(self, key: str, start_ms: int, end_ms: int) -> bool:
        """Whether some of this time was such."""
        return any(start < end_ms and end > start_ms for start, end in self._spans.get(key, ()))


class Silence:
    """When which market may be held too old, from the log of what was published."""

    def __init__(self, played: Played) -> None:
        book, line = dict[str, list[int]](), dict[str, list[int]]()
        beside = {name: _beside(played, name) for name in played.world.servers}
        lines = {key: of for name in played.world.servers for key, of in _lines(played, name).items()}
        for row in played.world.log.rows():
            if row.lost:
                continue
            at, name = played.at_ms[row.step], row.key.partition(":")[0]
            if row.channel in beside[name] and row.key in lines:
                line.setdefault(lines[row.key], []).append(at)
            if row.channel == DEPTH:
                book.setdefault(row.key, []).append(at)
        self._proofs = {key: line.get(lines.get(key, ""), book[key]) for key in book}

    def excuses(self, keys: Iterable[str], at_ms: int) -> bool:
        """Whether one of these may be held too old at this instant."""
        return any(at_ms - self._proofs[key][bisect_right(self._proofs[key], at_ms) - 1] >= OLD_MS for key in keys if key in self._proofs)

    def readable(self, keys: Sequence[str], spans: Sequence[Span], turns: Sequence[int]) -> list[Span]:
        """What of these times nobody may hold any of these too old in, in pieces of DUE_MS or longer.

        After a time in which one may be too old, it is looked at again when one of its touches changes: ``turns``.
        """
        left = list(spans)
        for key in keys:
            left = [piece for span in left for piece in self._fresh(key, span)]
        looked = ((self._looked(keys, start, turns), end) for start, end in left)
        return [(start, end) for start, end in looked if end - start >= DUE_MS]

    def _looked(self, keys: Sequence[str], start: int, turns: Sequence[int]) -> int:
        if not self.excuses(keys, start - 1):
            return start
        place = bisect_right(turns, start)  # of one step nobody knows whether a touch changed before or after who was too old spoke
        return turns[place] if place < len(turns) else NEVER

    def _fresh(self, key: str, span: Span) -> Iterable[Span]:
        proofs = self._proofs.get(key)
        if proofs is None:
            return [span]
        start, end = span
        pieces: list[Span] = []
        for at in proofs[max(0, bisect_right(proofs, start) - 1) : bisect_right(proofs, end)]:
            since, until = max(at, start), min(at + OLD_MS, end)
            if pieces and since <= pieces[-1][1]:
                pieces[-1] = pieces[-1][0], max(until, pieces[-1][1])
            elif until > since:
                pieces.append((since, until))
        return pieces


def _sockets(played: Played, venue: str) -> dict[str, set[int]]:
    """Which channels a venue brings over which of its sockets; none where they do not prove its books."""
    told, server = played.session.engine.venues.get(venue), played.world.servers[venue]
    if told is None or not told.NUMBERED:
        return {}
    native = next(market.spec.native for market in played.world.sample.markets.values() if market.spec.venue == venue)
    return {name: {server.voice.channel(topic) for topic in told.topics(name, native)} for name, _ in told.SOCKETS}


def _beside(played: Played, venue: str) -> tuple[int, ...]:
    """Channels that come over the socket of the levels."""
    return tuple(next((channels for channels in _sockets(played, venue).values() if DEPTH in channels), ()))


def _lines(played: Played, venue: str) -> dict[str, str]:
    """Market → the connection that brings its levels: a venue may need several for all of them."""
    sockets = _sockets(played, venue)
    plans = played.session.engine.venues[venue].plan() if sockets else ()
    of_levels = [plan for plan in plans if DEPTH in sockets.get(plan.name.partition(" ")[0], ())]
    return {f"{venue}:{symbol}": f"{venue} {plan.name}" for plan in of_levels for symbol in plan.symbols}


class Due:
    """Which opportunities of the truth had to be told, and when."""

    def __init__(self, played: Played) -> None:
        self.silence = Silence(played)
        self._played, self._unreadable = played, Unreadable(played)

    def lived(self, life: Life, keys: Sequence[str]) -> bool:
        """Whether it was there for long enough, and nothing was wrong with its markets meanwhile."""
        played, end = self._played, self._played.end_ms if life.end_ms is None else life.end_ms
        dark = any(self._unreadable.within(key, life.start_ms, end) for key in keys)
        return life.above_ms >= DUE_MS and life.start_ms >= played.ready_ms and played.end_ms - life.start_ms >= DUE_MS and not dark

    def pieces(self, life: Life, keys: Sequence[str]) -> list[Span]:
        """The times in which it must be told: above the enter level, and no market of it may be held too old. None: it need not be."""
        return self.silence.readable(keys, life.above, life.turns)


class Torn:
    """Whether nobody can know what was true when an opportunity began.

    Either the order of what was published in that step is not known, or a book's messages were lost while its venue goes on: only the next
    one of that book shows it.
    """

    def __init__(self, played: Played, silence: Silence) -> None:
        self._played, self._silence = played, silence
        self._depth: Counter[tuple[str, int]] = Counter()
        self._any: set[tuple[str, int]] = set()
        self._told: dict[str, list[tuple[int, bool]]] = {}  # market → when its levels were told, and whether to nobody
        for row in played.world.log.rows():
            if row.channel == DEPTH:
                self._depth[row.key, row.step] += 1
                self._told.setdefault(row.key, []).append((played.at_ms[row.step], row.lost))
            if row.channel in (DEPTH, TOUCH):
                self._any.add((row.key, row.step))

    def __call__(self, one: str, other: str, start_ms: int) -> bool:
        """Of these two markets, at this instant."""
        newest = bisect_right(self._played.at_ms, start_ms) - 1
        for step in range(newest if self._played.stepped else newest - 1, newest + 1):
            if any(self._depth[key, step] > 1 for key in (one, other)):
                return True
            if not self._played.stepped and (one, step) in self._any and (other, step) in self._any:
                return True
        return any(self._lost(key, start_ms) and not self._silence.excuses([key], start_ms) for key in (one, other))

    def _lost(self, key: str, at_ms: int) -> bool:
        """Whether the newest message of these levels was lost."""
        told = self._told.get(key, [])
        place = bisect_right(told, (at_ms, True)) - 1
        return place >= 0 and told[place][1]
