"""Compares which markets the contrast of their price paths was said to lead with what was planted: who hears of prices first.

How long after a change of the efficient price a market shows it is known: its lag, its pace, and how long its streams wait, by the log.

  planted  two markets of one asset of which one hears first, of those that the session compares
  due      such a pair, where a plain reckoning over all published mids (``plain_contrast.py``) says so with room to spare: SURE times as
           far above chance as it must be, and in three of four parts of the time
  found    the session, asked at the end as by somebody who looks at the page, said that this one leads; what was said rightly of a pair
           that is not due counts for nothing
  false    it said so of one that never hears before the other, or of two that have neither an asset nor a coin in common
  off      no lag that was said lies within NEAR_MS of those by which the two may be apart
  unsure   nothing was said and nothing had to be: a play is too short for most pairs, and where prices hardly move nobody can know; or
           it was said of one that hears before the other now and then, but not on average; or what would be false or off is what the
           published paths hold by chance, by the plain reckoning, too: of one pair in CHANCE at most, else all of these are false
"""

from __future__ import annotations

from collections import Counter

from dope.detectors.contrast import MIN_CHANGES, RELATED_Z
from dope.sim.exact import Levels
from dope.sim.listings import STEP_MS, ListingSpec
from dope.sim.truth_log import Published
from dope.trial.claims import Said
from dope.trial.finding import Finding
from dope.trial.plain_contrast import Plain, path, plain
from dope.trial.seen import Seen
from dope.trial.stage import Played

NEAR_MS = 5 + STEP_MS  #: a step of the lags that are tried, and one of the market
SURE = 1.25
CHANCE = 20
SHARE = 20  #: of the waits of a market the shortest and the longest of so many are left out


class Waits:
    """How long changes of each market's mid wait until they are published. Told of all that is published, and of each step that is over."""

    def __init__(self) -> None:
        self.of: dict[str, Counter[int]] = {}  #: market → ms → how often
        self._stood: dict[str, tuple[int, int]] = {}  # market → (its mid, twice, in ticks; since when)
        self._mid = 0

    def moved(self, key: str, bids: Levels, asks: Levels) -> None:
        """The published book of this market from now on."""
        self._mid = bids[0][0] + asks[0][0] if bids and asks else 0

    def judge(self, key: str, now_ms: int) -> None:
        """It is so from this instant on: what did not stand before stands since this step."""
        mid, since = self._stood.get(key, (0, 0))
        if self._mid and (since or self._mid != mid):
            self.of.setdefault(key, Counter())[now_ms - since if self._mid == mid else 0] += 1
            self._stood[key] = self._mid, 0

    def over(self, published: Published, now_ms: int) -> None:
        """The step is over: what each market's book is now."""
        for key, market in published.twin.markets.items():
            bid, _, ask, _ = market.book.touch()
            if self._stood.get(key, (0, 0))[0] != bid + ask:
                self._stood[key] = bid + ask, now_ms

    def span(self, key: str) -> tuple[int, int]:
        """The least and the most, ms, but for a twentieth at both ends."""
        waits = sorted(self.of.get(key, Counter()).elements())
        return (waits[len(waits) // SHARE], waits[-1 - len(waits) // SHARE]) if waits else (0, 0)


class Contrasts:
    """All pairs of one play. ``seen`` and ``waits`` must have read what was published before anything is asked."""

    def __init__(self, played: Played, seen: Seen, waits: Waits) -> None:
        self.played = played
        self._waits = waits
        books = played.session.engine.market.books
        self._specs = {key: market.spec for key, market in played.world.sample.markets.items() if key in books}
        self._paths = {key: path(seen.mid_ms[key], seen.mids[key]) for key in self._specs if key in seen.mids}

    def finding(self) -> Finding:
        """What was planted against what was said."""
        finding, chance = Finding("leadlag contrast"), list[str]()
        for one in self.played.contrasts:
            if one.x not in self._specs or one.y not in self._specs:
                continue  # a market that was asked for and that this venue does not have
            alone = self._specs[one.x].base != self._specs[one.y].base
            leader, follower = (one.x, one.y) if (ahead := sum(self.apart(one.x, one.y))) > 0 else (one.y, one.x)
            planted = bool(ahead) and not alone
            due = planted and self._due(leader, follower)
            finding.injected += planted
            finding.due += due
            if not one.leader:
                finding.unsure += planted and not due
                if due:
                    low, high = self.apart(leader, follower)
                    finding.missed.append(f"{leader} leads {follower} by {low} … {high} ms: its path shows it, and nobody said so")
            elif wrong := "they have nothing in common" if alone else self._wrong(one):
                held = self._plain(one.leader, one.follower)
                if held.z * SURE >= RELATED_Z and any(a - NEAR_MS <= held.lag <= b + NEAR_MS for a, b in one.lags):
                    chance.append(f"{_words(one)}: {wrong}")
                else:
                    (finding.off if "instead" in wrong else finding.false).append(f"{_words(one)}: {wrong}")
            elif planted and one.leader == leader:
                finding.detected += due
            else:
                finding.unsure += 1
        if len(chance) * CHANCE <= len(self.played.contrasts):
            finding.unsure += len(chance)
        else:
            finding.false += chance
        return finding

    def _wrong(self, one: Said) -> str:
        """What is wrong with this one's lead; "" = nothing."""
        low, high = self.apart(one.leader, one.follower)
        if high <= 0:
            return f"it hears of prices {-high} … {-low} ms later"
        near = any(a <= high + NEAR_MS and b >= low - NEAR_MS for a, b in one.lags)
        return "" if near else f"instead of {low} … {high} ms"

    def hears(self, spec: ListingSpec) -> tuple[int, int]:
        """How long after a change of the efficient price this market shows it, the least and the most, ms."""
        least, most = self._waits.span(spec.key)
        return spec.lag * STEP_MS + least, (spec.lag + spec.pace - 1) * STEP_MS + most

    def apart(self, leader: str, follower: str) -> tuple[int, int]:
        """By how much the first of the two is ahead, the least and the most, ms."""
        (a, b), (c, d) = self.hears(self._specs[leader]), self.hears(self._specs[follower])
        return c - b, d - a

    def _due(self, leader: str, follower: str) -> bool:
        """Whether all that was published says so with room to spare."""
        found = self._plain(leader, follower)
        return found.n >= SURE * MIN_CHANGES and found.z >= SURE * RELATED_Z and _clear(found)

    def _plain(self, one: str, other: str) -> Plain:
        """By a plain reckoning, where it can say anything."""
        x, y = self._paths.get(one), self._paths.get(other)
        return Plain(0) if x is None or y is None or min(len(x[0]), len(y[0])) < MIN_CHANGES / SURE else plain(x, y)


def _clear(found: Plain) -> bool:
    return found.lag >= NEAR_MS and found.low is not None and found.low >= NEAR_MS


def _words(one: Said) -> str:
    by = ", ".join(f"{a}" if a == b else f"{a} … {b}" for a, b in one.lags)
    return f"{one.leader} is said to lead {one.follower} by {by} ms (z {one.z or 0.0:.1f})"
