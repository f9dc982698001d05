"""Which market was said to lead which, as somebody is told who looks at the page: by its jumps, asked once a second, and by its path."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from itertools import combinations
from typing import Any, NamedTuple

import msgspec

from dope.detectors.contrast import common_span, contrast, verdict
from dope.detectors.linker import LEADS_N, Linker, Score, scored
from dope.detectors.paths import Paths
from dope.engines import detector_of
from dope.readings.asked import Asked
from dope.readings.leadlag import GRIDS, LeadLag, Seen
from dope.session import Session
from dope.sim.listings import DOLLARS

MS = 1_000_000
WINDOW_S = 900.0  #: of the paths that are compared: as long as there is
ASKED = 6  #: times: an answer reckons so many pairs anew, and keeps the others
AGAIN_NS = 3_000_000_000  #: the same answer is given until then
STRANGERS = 40  #: pairs that have nothing to do with each other


class Lead(msgspec.Struct, frozen=True):
    """One market was said to lead another one: first at ``since_ms``; ``score`` = what it was said with last."""

    score: Score
    since_ms: int


class Leaders:
    """All that were ever said to lead, also if it was taken back."""

    def __init__(self, linker: Linker) -> None:
        self.said: dict[tuple[str, str], Lead] = {}  #: (leader, follower)
        self._linker = linker
        self._seen: dict[tuple[str, str], tuple[int | None, ...]] = {}  # of which links the score is known already

    def look(self, now_ms: int) -> None:
        """Ask."""
        for links in self._linker.links():
            pair = links.a, links.b
            if len(links.lags) < LEADS_N or self._seen.get(pair) == links.lags:
                continue
            self._seen[pair] = links.lags
            for score in scored([links]):
                if score.verdict == "leads":
                    order = score.leader, score.follower
                    self.said[order] = Lead(score, self.said[order].since_ms if order in self.said else now_ms)


class Said(NamedTuple):
    """What was said of two markets: ``leader`` "" = that nothing can be told; ahead by one of these lags, from … to, ms."""

    x: str
    y: str
    leader: str
    z: float | None
    lags: tuple[tuple[int, int], ...]

    @property
    def follower(self) -> str:
        """The other one."""
        return self.y if self.leader == self.x else self.x


def said(session: Session, now_ms: int) -> list[Said]:
    """What the session says of all pairs that a page shows, asset by asset, and of some that have nothing to do with each other."""
    reading, found = LeadLag(), []
    for base in sorted({book.instrument.base for book in session.engine.market.books.values()}):
        rows: list[dict[str, Any]] = []
        for turn in range(ASKED):
            asked = Asked(base, 0, 0, 0, {"window_s": WINDOW_S}, now_ms * MS + turn * AGAIN_NS, lambda read: read())
            rows = reading(session, asked)["pairs"]
        found += [_said(row["x"], row["y"], row["leader"] or "", row["z"], row["top_ms"]) for row in rows]
    return found + list(_of_strangers(session))


def _of_strangers(session: Session) -> Iterator[Said]:
    """The same of markets that have neither an asset nor a coin in common, STRANGERS pairs at most."""
    track, pairs = detector_of(session.engine, Paths).tracks.mids, []
    books = [book for _, book in sorted(session.engine.market.books.items()) if book.instrument.quote in DOLLARS]
    for x, y in combinations(books, 2):
        traded = [{book.instrument.base, book.instrument.quote} - {"USD"} for book in (x, y)]
        if not traded[0] & traded[1] and not {x.instrument.base, y.instrument.base} & set(DOLLARS):
            pairs.append((x, y))
    for x, y in pairs[:: max(1, len(pairs) // STRANGERS)]:
        copied = ((book.key, track.of(book.slot, 0)) for book in (x, y))
        one, two = (Seen(key, times, prices, 0.0, None).series("receipt") for key, (times, prices) in copied)
        found = contrast(*common_span(one, two), GRIDS["fine"])
        leads = verdict(found, 1.0)[0] == "leads"
        yield _said(x.key, y.key, (x.key if (found.lag or 0) > 0 else y.key) if leads else "", found.z, found.top)


def _said(x: str, y: str, leader: str, z: float | None, top: Iterable[Sequence[int]]) -> Said:
    return Said(x, y, leader, z, tuple((a, b) if leader == x else (-b, -a) for a, b in top))
