"""Which market jumps first: jumps of one base at different markets are linked, and every ordered pair is scored.

Definition: jumps that are over are taken in the order of their detection. A jump follows, at each other market of its base, the earliest
one there of the same direction that was detected at most ``max_lag`` before, whose size is alike (ratio within [r, 1/r]) and which it
was not linked with yet: one use per ordered pair. Up to ``simul`` apart they are simultaneous; closer than the receive clock can tell
(the greater of both venues' usual excess delay and ``resolution``) the link is not resolved and counts for nobody.
"""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Callable, Collection, Iterator, Sequence
from heapq import heappop, heappush
from typing import Annotated, Any

from msgspec import Meta, Struct

from dope.detectors.jumps import Jump, Jumps
from dope.detectors.shares import wilson
from dope.format import number
from dope.market.market import Market
from dope.types import Event, Signal, Tick

MS = 1_000_000
NS = 1_000_000_000
KEPT = 200  #: links of one pair of markets that its score is made of
RECENT = 64  #: jumps of one market that may still lead
LEADS_N, LEADS_P = 20, 0.01  #: "leads" is said of at least so many links, and at most this chance under equal odds


class LinkParameters(Struct, frozen=True):
    """What makes two jumps one move."""

    max_lag_ms: Annotated[float, Meta(ge=1, le=60_000, title="ms", description="a follower comes at most so much later")] = 2000.0
    ratio: Annotated[float, Meta(ge=0.01, le=1, title="share", description="the smaller size is at least this share of the larger")] = 0.5
    simul_ms: Annotated[float, Meta(ge=0, le=1000, title="ms", description="up to so far apart nobody led")] = 5.0
    resolution_ms: Annotated[float, Meta(ge=0, le=1000, title="ms", description="what our clock can tell at best")] = 1.0
    told: Annotated[
        float, Meta(ge=0, le=100, title="links", description="signals of one jump at most, earliest leaders first; all of them are scored")
    ] = 2.0


class JumpLink(Signal, frozen=True):
    """Two jumps that are one move. ``dt`` ns ≥ 0 from the leader's detection to the follower's, by our own receive clock.

    ``dt_stamped`` = the same by the venues' own clocks, which may differ by any amount, None where one of them gives no time;
    ``uncertainty`` ns = what ``dt`` must reach to say who was first. ``bps`` is the follower's size, ``ratio`` follower / leader.
    """

    KIND = "link"

    key: str
    symbol: str
    base: str
    leader: str
    follower: str
    leader_venue: str
    follower_venue: str
    dt: int
    dt_stamped: int | None
    dir: int
    bps: float
    ratio: float
    simultaneous: bool
    resolved: bool
    uncertainty: int

    def line(self, label: Callable[[str], str]) -> tuple[str, str, str]:
        names = [f"{label(venue)} {key.partition(':')[2]}" for venue, key in
                 ((self.leader_venue, self.leader), (self.follower_venue, self.follower))]  # fmt: skip
        if self.simultaneous:
            return f"{names[0]} and {names[1]} jumped together", f"{number(self.dt / MS)} ms", ""
        if not self.resolved:
            return f"{names[0]} and {names[1]} jumped, too close to say which first", f"{number(self.dt / MS)} ms", ""
        return f"{names[1]} followed the jump of {names[0]}", f"+{number(self.dt / MS)} ms", ""


class Found(Struct, frozen=True):
    """A leader found for a jump; ``dt`` ns, ``ratio`` follower / leader."""

    leader: Jump
    dt: int
    ratio: float


class _Past:
    """A jump that may still lead, and whom it led already."""

    __slots__ = ("jump", "led")

    def __init__(self, jump: Jump) -> None:
        self.jump, self.led = jump, set[str]()


class Linking:
    """The rule alone: jumps in the order of detection in, their leaders out."""

    def __init__(self, max_lag: int, ratio: float) -> None:
        """``max_lag`` ns."""
        self.max_lag, self.ratio = max_lag, ratio
        self._past: dict[str, dict[str, deque[_Past]]] = {}  # base → market → its jumps, oldest first

    def add(self, jump: Jump) -> list[Found]:
        """One more jump; its leaders, one per market at most, by the names of the markets."""
        markets = self._past.setdefault(jump.base, {})
        found = []
        for key in sorted(markets):
            if key != jump.key and (past := self._leader(markets[key], jump)) is not None:
                past.led.add(jump.key)
                found.append(Found(past.jump, jump.t_detect - past.jump.t_detect, jump.bps / past.jump.bps))
        markets.setdefault(jump.key, deque(maxlen=RECENT)).append(_Past(jump))
        return found

    def _leader(self, past: deque[_Past], jump: Jump) -> _Past | None:
        while past and jump.t_detect - past[0].jump.t_detect > self.max_lag:
            past.popleft()
        for one in past:
            other = one.jump
            if other.dir == jump.dir and jump.key not in one.led and self.ratio <= jump.bps / other.bps <= 1.0 / self.ratio:
                return one
        return None


class Score(Struct, frozen=True):
    """How often ``leader`` jumped before ``follower``, of their last links; shares 0 … 1, lags in ms.

    ``share`` = led / n without the simultaneous and the unresolved ones, ``low`` and ``high`` its Wilson 95 % interval, ``p`` the chance of
    a share so far from one half under equal odds. Lags are those of the links in which ``leader`` led.
    ``verdict``: "leads" | "few" | "even".
    """

    base: str
    leader: str
    follower: str
    n: int
    led: int
    simultaneous: int
    unresolved: int
    share: float
    low: float
    high: float
    p: float
    lag_ms: float | None
    lag_q25_ms: float | None
    lag_q75_ms: float | None
    verdict: str


class Links(Struct, frozen=True):
    """The last links of two markets in the order of their names: lag in ns, above zero = ``a`` led; None = unresolved, 0 = simultaneous."""

    base: str
    a: str
    b: str
    lags: tuple[int | None, ...]


class _Pair:
    """The last links of two markets: lag in ns, above zero = the first one by name led; None = unresolved, 0 = simultaneous."""

    __slots__ = ("base", "lags")

    def __init__(self, base: str) -> None:
        self.base = base
        self.lags: deque[int | None] = deque(maxlen=KEPT)


class Linker:
    """Links jumps once no earlier one can still come: a jump is told when it is over, and longer ones began before shorter ones."""

    PARAMETERS = LinkParameters
    KINDS = (Jump, Tick)

    def __init__(self, jumps: Jumps, parameters: LinkParameters | None = None) -> None:
        """``jumps`` = who finds them: asked which are not over yet."""
        self.parameters = parameters or LinkParameters()
        self._jumps = jumps
        self._linking = Linking(int(self.parameters.max_lag_ms * MS), self.parameters.ratio)
        self._waiting: list[tuple[int, str, Jump]] = []  # by detection
        self._pairs: dict[tuple[str, str], _Pair] = {}  # markets in the order of their names
        self._usual: dict[str, tuple[int, int]] = {}  # venue → (second, its usual excess delay, ns)

    def on(self, event: Event, market: Market) -> Sequence[Event]:
        if isinstance(event, Jump):
            heappush(self._waiting, (event.t_detect, event.key, event))
        elif self._waiting and isinstance(event, Tick):
            return list(self._link(event.ts, market))
        return ()

    def take(self, new: LinkParameters) -> None:
        """Judge by these from now on."""
        self.parameters = new
        self._linking.max_lag, self._linking.ratio = int(new.max_lag_ms * MS), new.ratio

    def scores(self) -> list[Score]:
        """Every ordered pair of markets that was ever linked, by name."""
        return scored(self.links())

    def links(self, keys: Collection[str] | None = None) -> list[Links]:
        """What the scores of these markets (None = all) are made of, as copies: scoring takes longer than the engine should wait."""
        pairs = sorted(self._pairs.items())
        return [Links(pair.base, a, b, tuple(pair.lags)) for (a, b), pair in pairs if keys is None or (a in keys and b in keys)]

    def _link(self, now: int, market: Market) -> Iterator[JumpLink]:
        until = self._jumps.pending()
        while self._waiting and self._waiting[0][0] < until:
            jump = heappop(self._waiting)[2]
            links = [self._describe(now, found, jump, market) for found in self._linking.add(jump)]
            yield from sorted(links, key=lambda link: (-link.dt, link.leader))[: int(self.parameters.told)]

    def _describe(self, now: int, found: Found, jump: Jump, market: Market) -> JumpLink:
        p, leader = self.parameters, found.leader
        usual = [self._usual_excess(venue, now, market) for venue in (leader.venue, jump.venue)]
        uncertainty = max(int(p.resolution_ms * MS), *usual)
        simultaneous, resolved = found.dt <= p.simul_ms * MS, found.dt >= uncertainty
        a, b = sorted((leader.key, jump.key))
        lag = 0 if simultaneous else None if not resolved else found.dt if leader.key == a else -found.dt
        self._pairs.setdefault((a, b), _Pair(jump.base)).lags.append(lag)
        stamped = jump.stamp - leader.stamp if jump.stamp and leader.stamp else None
        return JumpLink(
            now, jump.key, jump.symbol, jump.base, leader.key, jump.key, leader.venue, jump.venue, found.dt, stamped,
            jump.dir, jump.bps, found.ratio, simultaneous, resolved and not simultaneous, uncertainty,
        )  # fmt: skip

    def _usual_excess(self, venue: str, now: int, market: Market) -> int:
        """The median excess delay of this venue, ns; taken once a second at most."""
        second = now // NS
        if self._usual.get(venue, (-1, 0))[0] != second:
            delays = market.delays.get(venue)
            known = delays.percentiles() if delays is not None else None
            self._usual[venue] = second, int(known[0] * MS) if known else 0
        return self._usual[venue][1]


def scored(links: Sequence[Links]) -> list[Score]:
    """The scores of both orders of each pair."""
    found = []
    for pair in links:
        turned = [None if lag is None else -lag for lag in pair.lags]
        found += [score(pair.base, pair.a, pair.b, pair.lags), score(pair.base, pair.b, pair.a, turned)]
    return found


def score(base: str, leader: str, follower: str, lags: Sequence[int | None]) -> Score:
    """The score of one ordered pair; lags in ns, above zero = ``leader`` was first, 0 = together, None = not resolved."""
    led = sorted(lag / MS for lag in lags if lag is not None and lag > 0)
    n = len(led) + sum(1 for lag in lags if lag is not None and lag < 0)
    low, high = wilson(len(led), n)
    p = sign_test(len(led), n)
    verdict = "few" if n < LEADS_N else "leads" if p < LEADS_P and 2 * len(led) > n else "even"
    return Score(
        base, leader, follower, n, len(led), sum(1 for lag in lags if lag == 0), sum(1 for lag in lags if lag is None),
        len(led) / n if n else 0.5, low, high, p, _quantile(led, 0.5), _quantile(led, 0.25), _quantile(led, 0.75), verdict,
    )  # fmt: skip


def sign_test(k: int, n: int) -> float:
    """Chance of a count as far from n/2 as k, or farther, when both signs are equally likely; two-sided, exact."""
    if n == 0:
        return 1.0
    tail = sum(math.comb(n, i) for i in range(max(k, n - k), n + 1))
    return min(1.0, float(2 * tail / 2**n))


def _quantile(ordered: Sequence[float], share: float) -> float | None:
    """Linear between neighbours; None of nothing."""
    if not ordered:
        return None
    at = share * (len(ordered) - 1)
    low = math.floor(at)
    high = min(low + 1, len(ordered) - 1)
    return ordered[low] + (at - low) * (ordered[high] - ordered[low])


def linked(jumps: Sequence[Jump], p: LinkParameters) -> list[dict[str, Any]]:
    """The links of a list of jumps: leader (None = simultaneous), pair, dt ns, dir, ratio, and both places in the order of detection."""
    linking, ordered = Linking(int(p.max_lag_ms * MS), p.ratio), sorted(jumps, key=lambda jump: (jump.t_detect, jump.key))
    place = {id(jump): number for number, jump in enumerate(ordered)}
    return [
        {"leader": found.leader.key if found.dt > p.simul_ms * MS else None, "pair": [found.leader.key, jump.key], "dt": found.dt,
         "dir": jump.dir, "ratio": found.ratio, "i": place[id(found.leader)], "j": place[id(jump)]}
        for jump in ordered for found in linking.add(jump)
    ]  # fmt: skip
