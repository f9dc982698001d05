"""Compares lives of the truth with those that the session told, of any kind that says how its own are named and when they differ."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterable, Sequence
from typing import Protocol, TypeVar

from dope.sim.exact import Figure, Life
from dope.trial.doubts import Due, Torn
from dope.trial.finding import NEAR_MS, Finding, span
from dope.trial.stage import MS, Played

LOOKS = 4  #: of the truth, before the moment at which it was told, that its size and profit may be those of: ticks come each 10 ms


class Claim(Protocol):
    """One look at a life that was told: ``opened`` and ``closed`` in ns UTC, ``closed`` None = still open."""

    @property
    def id(self) -> int: ...
    @property
    def opened(self) -> int: ...
    @property
    def closed(self) -> int | None: ...


C = TypeVar("C", bound=Claim, contravariant=True)


class Kind(Protocol[C]):
    """What differs from kind to kind."""

    name: str  #: of the kind, as the report says it

    def named(self, claim: C) -> tuple[str, str]:
        """As the truth names it: ``(life.buy, life.sell)``."""
        ...

    def keys(self, life: Life) -> Sequence[str]:
        """The markets that it needs."""
        ...

    def pairs(self, claim: C) -> Iterable[tuple[str, str]]:
        """Markets of which it compares two and two."""
        ...

    def apart(self, life: Life, figure: Figure, claim: C) -> str:
        """How size or profit differ from this look at the truth; "" = they do not."""
        ...

    def said(self, claim: C) -> str:
        """It in words."""
        ...


def compared(played: Played, kind: Kind[C], lives: Sequence[Life], told: Iterable[C]) -> Finding:
    """Lives of the truth against those that were told."""
    finding = Finding(kind.name, injected=len(lives))
    due = Due(played)
    torn = Torn(played, due.silence)
    claims: dict[int, list[C]] = {}
    for each in told:
        claims.setdefault(each.id, []).append(each)
    matched: set[int] = set()
    for life in lives:
        end = played.end_ms if life.end_ms is None else life.end_ms
        hits = [rows for rows in claims.values() if kind.named(rows[0]) == (life.buy, life.sell) and _overlap(rows, life, end, played)]
        matched.update(rows[0].id for rows in hits)
        keys = kind.keys(life)
        lived = due.lived(life, keys)
        where = f"{life.buy} {life.sell} {span(played, life.start_ms, life.end_ms)}"
        if hits:
            first = hits[0][0]
            finding.due += lived
            finding.detected += lived
            finding.latency_ms.append(max(0, first.opened // MS - life.start_ms))
            if lived and (problem := _differs(kind, life, first)):
                if due.silence.excuses(keys, first.opened // MS):
                    finding.stale += 1
                else:
                    finding.off.append(f"{where}: {problem}")
        elif lived and due.pieces(life, keys):
            finding.due += 1
            finding.missed.append(f"{where}: {float(life.peak_bps):.2f} bps")
        elif lived:
            finding.stale += 1
    for id, rows in claims.items():
        if id in matched:
            continue
        if any(torn(one, other, rows[0].opened // MS) for one, other in kind.pairs(rows[0])):
            finding.unsure += 1
        else:
            finding.false.append(f"{kind.said(rows[0])}: the books held none")
    return finding


def _overlap(rows: Sequence[Claim], life: Life, end: int, played: Played) -> bool:
    last = rows[-1].closed
    return rows[0].opened // MS <= end + NEAR_MS and (played.end_ms if last is None else last // MS) >= life.start_ms - NEAR_MS


def _differs(kind: Kind[C], life: Life, claim: C) -> str:
    """How size or profit at the opening differ from all that were true just then; "" = they do not."""
    place = bisect_right([since for since, _ in life.looks], claim.opened // MS) - 1
    problems = [kind.apart(life, figure, claim) for _, figure in life.looks[max(0, place - LOOKS) : place + 1]]
    return problems[-1] if problems and all(problems) else ""
