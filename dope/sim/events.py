"""What happens in the sample market on purpose: displaced markets and assets, bursts, jumps, halts; by chance or as planned.

A displacement comes in equal parts over its first steps, stays, and goes in equal parts over its last ones:

    dislocation  of one market     bps > 0 = too dear          params bps
    crash        of an asset       it falls and comes back     params asset, bps (> 0), fall_s, recover_s; books thin, spreads widen
    depeg        of a stable coin  the same, slowly            params asset (USDT, USDC), bps (> 0 = below), fall_s, recover_s
    jump         of an asset       at once and for good        params asset, bps
    burst        of an asset, or of one market                 params factor, asset unless a market is named, side unless both trade
    halt         of one market     nothing happens in it, for the duration or until ``resume``
"""

from __future__ import annotations

import itertools
import math
import random
from collections import deque
from collections.abc import Mapping, Sequence
from typing import NamedTuple

import msgspec

from dope.errors import BadFault, UnknownName
from dope.sim.assets import Asset
from dope.sim.character import STEPS_PER_MINUTE, Character
from dope.sim.journal import Fault, Journal, Planted, Value
from dope.sim.listings import BP, STEP_MS, taker_bp
from dope.sim.quoting import Market

STEPS_PER_S = 1_000 // STEP_MS
RAMP = 5  #: steps in which a dislocation builds up and fades
PLANTED_KEPT = 10_000
SENTENCES = {
    "dislocation": "one market is too dear by bps, or too cheap where bps is negative",
    "crash": "the price of an asset falls by bps within fall_s and is back after recover_s",
    "depeg": "a stable coin is worth bps less than it should be, and comes back",
    "jump": "the price of an asset is another one at once and for good, by bps",
    "burst": "factor times as much happens, to an asset or in one market; with a side all orders are larger and buy, or sell",
    "halt": "nothing happens in one market",
    "resume": "a market that is halted goes on",
}
KINDS = tuple(SENTENCES)
USUAL_S = {"dislocation": 2.0, "crash": 30.0, "depeg": 120.0, "burst": 10.0}  #: where no duration is asked for
CRASH_STIR = 8  #: how much more is traded in a crash
FADE_STEPS = 200  #: what is ended early goes within this many steps
MOST_BPS = 5_000.0  #: no displacement is larger
MOST_FACTOR = 1_000
SIDES = {"buy": 1, "sell": -1, "": 0}  #: of a burst
MOST_S = 7 * 86_400.0
MOST_WAITING = 1_000  #: events that have not begun
FAR_WALL_BP = 60.0  #: above such fees nobody displaces a market as far as that


class Dislocation(msgspec.Struct, frozen=True):
    """One planted displacement of one market from its fair price: ``start`` and ``end`` are step numbers, ``end``
    exclusive; ``bps`` > 0 = too dear. For ``RAMP`` steps at either end it is only partly there."""

    id: int
    key: str
    start: int
    end: int
    bps: float


class Slope(NamedTuple):
    """A displacement over time: ``points`` reached in ``rise`` steps from ``start``, gone after ``fall`` steps at ``end`` (exclusive)."""

    start: int
    end: int
    rise: int
    fall: int
    points: int

    def at(self, step: int) -> int:
        """Points at this step."""
        here = self.points
        if step - self.start + 1 < self.rise:
            here = self.points * max(step - self.start + 1, 0) // self.rise
        if self.end - step < self.fall:
            left = self.points * max(self.end - step, 0) // self.fall
            here = left if abs(left) < abs(here) else here
        return here

    def ended(self, step: int) -> Slope:
        """The same, fading from what it is at this step."""
        left = min(FADE_STEPS, max(self.end - step, 1))
        return Slope(step, step + left, 1, left, self.at(step))


class Going:
    """One event that lasts: what it does to whom, while it is there."""

    def __init__(self, kind: str, target: Asset | Market, slope: Slope, push: int = 0) -> None:
        """``push`` = the side of a burst."""
        self.kind, self.target, self.slope, self.push = kind, target, slope, push


class Stage:
    """Begins and ends events. ``step`` sets ``shift``, ``stress`` and ``stir`` of everything concerned, before the markets act."""

    def __init__(self, rng: random.Random, assets: Mapping[str, Asset], markets: Mapping[str, Market], journal: Journal) -> None:
        self.planted: deque[Dislocation] = deque(maxlen=PLANTED_KEPT)
        self.epoch_ms = 0
        self._assets, self._markets, self._journal = assets, markets, journal
        self._planner = Planner(rng, [market for market in markets.values() if not market.spec.cross])
        self._ids = itertools.count(1)
        self._waiting: list[tuple[int, Fault]] = []  # (first step, what), sorted
        self._going: list[Going] = []

    def take(self, character: Character, step: int) -> None:
        """Be like this from now on."""
        self._planner.take(character, step)

    # -- what is asked for ---------------------------------------------------------------------------------------------
    def plant(self, fault: Fault, step: int) -> Planted:
        """Do this in the steps after ``step``. Raises UnknownName or BadFault for what cannot be done."""
        self._check(fault)
        if len(self._waiting) + len(self._going) >= MOST_WAITING:
            raise BadFault(f"more than {MOST_WAITING} events at a time")
        start = step + 1 + round(fault.at_s * STEPS_PER_S)
        length = self._length(fault)
        self._waiting.append((start, fault))
        self._waiting.sort(key=lambda entry: entry[0])
        start_ms = self.epoch_ms + start * STEP_MS
        end_ms = start_ms + length * STEP_MS if length else 0
        return self._journal.note(fault.kind, fault.venue, fault.symbol, start_ms, end_ms=end_ms, params=fault.params)

    def clear(self, step: int) -> None:
        """Forget what has not begun; what is going on fades within two seconds, halts end."""
        self._waiting.clear()
        self._going = [going for going in self._going if going.kind != "halt"]
        for going in self._going:
            going.slope = going.slope.ended(step + 1)
        for market in self._markets.values():
            market.halted = False

    def _check(self, fault: Fault) -> None:
        if fault.kind not in KINDS:
            raise UnknownName("market event", fault.kind, KINDS)
        asset = fault.params.get("asset")
        if fault.kind in ("dislocation", "halt", "resume") or (fault.kind == "burst" and asset is None):
            key = f"{fault.venue}:{fault.symbol}"
            if key not in self._markets:
                raise UnknownName("market", key, self._markets)
        else:
            known = [name for name, each in self._assets.items() if bool(each.spec.pull) == (fault.kind == "depeg")]
            if asset not in known:
                raise UnknownName("asset", str(asset), known)
        if fault.kind in ("dislocation", "crash", "depeg", "jump") and not 0 < abs(_number(fault, "bps", 0.0)) <= MOST_BPS:
            raise BadFault(f"{fault.kind}: bps is a number other than 0, up to {MOST_BPS:g}, not {fault.params.get('bps')!r}")
        if fault.kind == "burst" and not 1 <= _number(fault, "factor", 8.0) <= MOST_FACTOR:
            raise BadFault(f"burst: factor is a number from 1 to {MOST_FACTOR}, not {fault.params.get('factor')!r}")
        if fault.kind == "burst" and fault.params.get("side", "") not in SIDES:
            raise BadFault(f"burst: side is buy or sell, not {fault.params['side']!r}")
        if not all(math.isfinite(seconds) and 0 <= seconds <= MOST_S for seconds in (fault.at_s, fault.duration_s)):
            raise BadFault(f"{fault.kind}: at_s and duration_s are seconds from 0 to {MOST_S:g}")

    @staticmethod
    def _length(fault: Fault) -> int:
        """Steps; 0 = a moment, or until it is ended."""
        seconds = 0.0 if fault.kind == "jump" else fault.duration_s or USUAL_S.get(fault.kind, 0.0)
        return max(1, round(seconds * STEPS_PER_S)) if seconds else 0

    # -- what happens --------------------------------------------------------------------------------------------------
    def step(self, step: int) -> None:
        """Once per step of 10 ms."""
        while self._waiting and self._waiting[0][0] <= step:
            self._begin(step, self._waiting.pop(0)[1])
        chosen = self._planner.step(step, self._going)
        if chosen is not None:
            self._displace(*chosen)
        if self._going:
            self._act(step)

    def _begin(self, step: int, fault: Fault) -> None:
        asset = self._assets.get(str(fault.params.get("asset", "")))
        market = self._markets.get(f"{fault.venue}:{fault.symbol}")
        target = asset or market
        assert target is not None
        bps, length = _number(fault, "bps", 0.0), self._length(fault)
        points = round(bps * BP)
        match fault.kind:
            case "jump":
                assert asset is not None
                asset.jump(points)
            case "halt" | "resume":
                assert market is not None
                market.halted = fault.kind == "halt"
                if length and market.halted:
                    self._going.append(Going("halt", market, Slope(step, step + length, 1, 1, 0)))
            case "burst":
                slope = Slope(step, step + length, 1, 1, round(_number(fault, "factor", 8.0)))
                self._going.append(Going("burst", target, slope, SIDES[str(fault.params.get("side", ""))]))
            case "dislocation":
                assert market is not None
                self._remember(market, Slope(step, step + length, RAMP, RAMP, points))
            case _:
                rise = max(1, min(length, round(_number(fault, "fall_s", length / STEPS_PER_S / 6) * STEPS_PER_S)))
                fall = max(1, min(length, round(_number(fault, "recover_s", length / STEPS_PER_S / 2) * STEPS_PER_S)))
                self._going.append(Going(fault.kind, target, Slope(step, step + length, rise, fall, -points)))

    def _displace(self, market: Market, slope: Slope) -> None:
        """A dislocation by chance."""
        bps = slope.points / BP
        start_ms = self.epoch_ms + slope.start * STEP_MS
        params: dict[str, Value] = {"bps": bps}
        self._journal.note(
            "dislocation", market.spec.venue, market.spec.symbol, start_ms, end_ms=self.epoch_ms + slope.end * STEP_MS, params=params
        )
        self._remember(market, slope)

    def _remember(self, market: Market, slope: Slope) -> None:
        self.planted.append(Dislocation(next(self._ids), market.key, slope.start, slope.end, slope.points / BP))
        self._going.append(Going("dislocation", market, slope))

    def _act(self, step: int) -> None:
        for going in self._going:
            going.target.shift, going.target.stir, going.target.push = 0, 1, 0
            if isinstance(going.target, Asset):
                going.target.stress = 0
        for going in self._going:
            target, here, over = going.target, going.slope.at(step), step >= going.slope.end
            match going.kind:
                case "burst":
                    target.stir = max(target.stir, 1 if over else going.slope.points)
                    target.push = target.push if over else going.push or target.push
                case "halt":
                    assert isinstance(target, Market)
                    target.halted = not over
                case "crash":
                    target.shift += here
                    assert isinstance(target, Asset)
                    worst = abs(here) * 100 // max(1, abs(going.slope.points))
                    target.stress = max(target.stress, worst)
                    target.stir = max(target.stir, 1 if over else CRASH_STIR)
                    target.trend = -1 if step - going.slope.start < going.slope.rise else 1
                case _:
                    target.shift += here
        self._going = [going for going in self._going if step < going.slope.end]


class Planner:
    """Decides by chance when and where a market is displaced, each market before one has its second turn; crosses never are."""

    def __init__(self, rng: random.Random, markets: Sequence[Market]) -> None:
        self._rng, self._markets = rng, markets
        self._walls = {market.key: cheapest_wall_bp(market, markets) for market in markets}
        self._mean = 0
        self._next = -1
        self._deck: list[Market] = []  #: shuffled

    def take(self, character: Character, step: int) -> None:
        """So many a minute from now on; the first soon."""
        rate = character.dislocations_per_minute
        self._mean = max(2, round(STEPS_PER_MINUTE / rate)) if rate > 0 else 0
        self._next = step + self._mean // 4 + self._rng.randrange(max(1, self._mean // 2)) if self._mean else -1

    def step(self, step: int, going: Sequence[Going]) -> tuple[Market, Slope] | None:
        """What begins in this step; the same pair of markets is displaced once at a time."""
        if step != self._next:
            return None
        self._next = step + self._mean // 2 + self._rng.randrange(self._mean)
        busy = {(each.target.spec.asset, each.target.spec.perpetual) for each in going if isinstance(each.target, Market)}
        if not self._deck:
            self._deck = self._rng.sample(self._markets, len(self._markets))
        free = [market for market in self._deck if (market.spec.asset, market.spec.perpetual) not in busy and not market.halted]
        if not free:
            return None
        market = free[0]
        self._deck.remove(market)
        weak = self._rng.randrange(6) == 0  # one in six stays below the fees
        low, high = reach_bp(self._walls[market.key], weak=weak)
        points = self._rng.randrange(round(low * BP), round(high * BP)) * self._rng.choice((-1, 1))
        life = min(self._rng.randrange(40, 600), self._rng.randrange(40, 600))
        return market, Slope(step, step + life, RAMP, RAMP, points)


def cheapest_wall_bp(market: Market, markets: Sequence[Market]) -> float:
    """Both taker fees of the cheapest way to trade this market against another of the same symbol, bp; without one the double own fee."""
    others = [taker_bp(other.spec) for other in markets if other.spec.symbol == market.spec.symbol and other is not market]
    return taker_bp(market.spec) + min(others, default=taker_bp(market.spec))


def reach_bp(wall: float, *, weak: bool) -> tuple[float, float]:
    """Least and largest displacement in bp: a strong one beats the fees, a weak one does not, nor any where fees are too far away."""
    if wall > FAR_WALL_BP:
        return 0.3 * FAR_WALL_BP, 0.7 * FAR_WALL_BP
    return (0.5 * wall, 0.8 * wall) if weak else (wall + 4.0, wall + 22.0)


def _number(fault: Fault, name: str, otherwise: float) -> float:
    value = fault.params.get(name, otherwise)
    if isinstance(value, str | bool) or not math.isfinite(value):
        raise BadFault(f"{fault.kind}: {name} is a number, not {value!r}")
    return float(value)
