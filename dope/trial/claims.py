"""Which market was said to lead which by its jumps: the session is asked once a second, as by somebody who looks at the page."""

from __future__ import annotations

import msgspec

from dope.detectors.linker import LEADS_N, Linker, Score, scored


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
