"""What things are worth: an efficient price in USD for each asset and stable coin, from which every market's fair price follows.

A price moves by a diffusion whose variance wanders (its logarithm reverts to its mean) and by jumps; a stable coin reverts to
its peg. A market quoted in USDT is worth the asset's price over that of USDT, so all markets agree with each other. A planted
crash or de-peg is a displacement on top, which comes and goes. Only integers move prices: the same on every machine.
"""

from __future__ import annotations

import random
from collections.abc import Callable

from dope.sim.character import Character, chance
from dope.sim.journal import Value
from dope.sim.listings import BP, POINTS, AssetSpec

Note = Callable[[str, int, dict[str, Value]], None]  #: told (kind, steps it lasts, params) of what happens by chance

SECOND = 100  #: steps; how often the variance, the stable coins and the funding rates move
PAST = 16  #: steps that a price is remembered: room for a lag of 15
COOL_STEPS = 128  #: a heated flow loses one degree in this time
HEAT_OF_JUMP, HEAT_OF_BURST = 8, 5
JUMP_LOW, JUMP_RANGE = 2 * BP, 3 * BP  #: 2 to 5 bp, below every fee wall
BASIS_DECAY = 12  #: the basis comes back to its mean in about 2**12 steps
FUNDING_DECAY = 6  #: the premium that funding follows is averaged over about 2**6 s
FUNDING_SHARE = 4  #: funding per 8 h is this part of it

#: the logarithm of the volatility is counted in 1/4096; it comes back to its mean in about 128 s, with a deviation of 0.35
LOG_ONE, LOG_DECAY, LOG_NOISE = 4096, 7, 63
LOG_MOST = 5_000  #: further from the mean it does not go: 3.4 times up or down
_TABLE_STEP = 64
COIN_BITS = 10  #: how far a coin is from its peg is counted in micro-USD with so many bits behind the point


def _volatilities() -> tuple[int, ...]:
    """e**x in 1/1024 for x from −LOG_MOST to LOG_MOST in steps of 1/64, over e**(0.35**2): the mean of its square is one."""
    up = [885 * 10**9]
    down = [885 * 10**9]
    for _ in range(LOG_MOST // _TABLE_STEP + 1):
        up.append(up[-1] * 1_015_747_709 // 10**9)
        down.append(down[-1] * 10**9 // 1_015_747_709)
    return tuple(value * 1024 // 10**12 for value in (*reversed(down[1:]), *up))


VOLATILITIES = _volatilities()


class Asset:
    """One asset or stable coin: ``price`` in micro-USD, the premium of its perpetuals, its funding and how busy its markets are."""

    def __init__(self, spec: AssetSpec, rng: random.Random, character: Character, note: Note) -> None:
        self.spec = spec
        self.price = self._core = spec.start_e6
        self.shift = 0  #: points, set by what is planted: a crash, a de-peg
        self.stress = 0  #: percent of a crash's worst moment: thins the books and widens the spreads
        self.basis = spec.basis
        self.heat = 1  #: multiplies the trade flow: 1 calm, 5 to 8 in a burst
        self.stir = 1  #: multiplies trades and changes in depth while a burst is planted
        self.push = 0  #: +1 = what is planted buys, −1 = it sells
        self.trend = 0  #: the side that trades more while it is hot: the sign of the last jump
        self._premium = spec.basis << 8
        self._rng, self._note = rng, note
        self._log = 0
        self._cool_at = -1
        self.take(character)

    def take(self, character: Character) -> None:
        """Be like this from now on."""
        self._calm = self.spec.sigma * 1000 * character.volatility // 282_843  # the bit count of 32 random bits has deviation sqrt(8)
        self._wobble = self.spec.wobble * character.volatility // 100
        self._jumps = chance(character.jumps_per_minute)
        self._events = self._jumps + chance(character.bursts_per_minute)
        self._scale = self._calm * self._volatility() >> 10

    @property
    def funding_e8(self) -> int:
        """Funding rate per 8 h in 1e-8 of the notional: a part of the mean premium of the last minutes."""
        return (self._premium >> 8) // FUNDING_SHARE

    def step(self, step: int) -> None:
        """One step of 10 ms."""
        if step % SECOND == 0:
            self._second()
        if not self._calm:
            if self.shift or self.price != self._core:
                self.price = self._core + self._core * self.shift // POINTS
            return
        bits = self._rng.getrandbits(64)
        self._core += (self._core * ((bits & 0xFFFFFFFF).bit_count() - 16) * self._scale + 500_000_000) // 1_000_000_000
        bits >>= 32
        event = bits & 0xFFFFF
        if event < self._events:
            if event < self._jumps:
                self._chance_jump(step)
            elif self.heat == 1:
                self._heat(step, HEAT_OF_BURST)
        if step == self._cool_at:
            self.heat = max(1, self.heat - 1)
            self._cool_at = step + COOL_STEPS if self.heat > 1 else -1
        self.basis += ((bits >> 20).bit_count() - 6) * 100 - ((self.basis - self.spec.basis) >> BASIS_DECAY)
        self.price = self._core + self._core * self.shift // POINTS if self.shift else self._core

    def jump(self, points: int) -> None:
        """The efficient price is another one from here on."""
        self._core += self._core * points // POINTS

    def _chance_jump(self, step: int) -> None:
        draw = self._rng.getrandbits(32)
        points = JUMP_LOW + (draw >> 1) % JUMP_RANGE
        self.trend = 1 if draw & 1 else -1
        self.jump(self.trend * points)
        self._note("jump", 0, {"asset": self.spec.name, "bps": self.trend * points / BP})
        self._heat(step, HEAT_OF_JUMP, self.trend)

    def _heat(self, step: int, heat: int, trend: int = 0) -> None:
        self.trend = trend or (1 if self._rng.getrandbits(1) else -1)
        self.heat, self._cool_at = heat, step + COOL_STEPS
        self._note("burst", (heat - 1) * COOL_STEPS, {"asset": self.spec.name, "factor": heat})

    def _second(self) -> None:
        """What moves slowly: the variance of an asset, the peg of a stable coin."""
        bits = self._rng.getrandbits(32).bit_count() - 16
        if self.spec.pull:
            self._log += bits * self._wobble - (self._log >> self.spec.pull)
            self._core = self.spec.start_e6 + (self._log >> COIN_BITS)
            return
        self._log += bits * LOG_NOISE - (self._log >> LOG_DECAY)
        self._log = max(-LOG_MOST, min(LOG_MOST, self._log))
        self._scale = self._calm * self._volatility() >> 10
        self._premium += ((self.basis << 8) - self._premium) >> FUNDING_DECAY

    def _volatility(self) -> int:
        """In 1/1024 of the mean; a coin has none."""
        return 0 if self.spec.pull else VOLATILITIES[(self._log + LOG_MOST) // _TABLE_STEP]


class Line:
    """The efficient price of an asset in one currency, micro-units of it, with its recent past (a ring over the step number)."""

    def __init__(self, asset: Asset, currency: Asset | None) -> None:
        """``currency`` None = USD."""
        self._asset, self._currency = asset, currency
        self.past = [self._now()] * PAST

    def step(self, step: int) -> None:
        """After both have made this step."""
        self.past[step & 15] = self.price = self._now()

    def _now(self) -> int:
        currency = self._currency
        self.price = self._asset.price if currency is None else self._asset.price * 1_000_000 // currency.price
        return self.price

    @property
    def mark(self) -> int:
        """What a perpetual is worth: the price with the basis of the moment, micro-units."""
        return self.price + self.price * self._asset.basis // POINTS
