"""Named scenarios of the simulated market: each a character, a timeline of faults that comes round again, and what a viewer should see.

A timeline names the world's own events (``events``) and the faults of venues (``kinds``); those of venues, or of markets, that a world
does not have are left out. ``Director`` plays one of them in virtual time.
"""

from __future__ import annotations

import msgspec
from loguru import logger

from dope.errors import BadFault, UnknownName
from dope.sim import events
from dope.sim.character import USUAL, Character
from dope.sim.faults import Faults
from dope.sim.journal import Fault, Value
from dope.sim.market import SampleMarket

REMEMBERED = 100  #: faults of a scenario that are healed when another is played; older ones are long over


class Scenario(msgspec.Struct, frozen=True):
    """One scenario; ``every_s`` 0 = its timeline is played once."""

    id: str
    name: str
    see: str  #: one sentence: what a viewer should see
    character: Character = USUAL
    timeline: tuple[Fault, ...] = ()
    every_s: float = 0.0


def _asset(kind: str, at_s: float, duration_s: float, **params: Value) -> Fault:
    return Fault(kind=kind, at_s=at_s, duration_s=duration_s, params=params)


def _jump(at_s: float, asset: str, bps: float) -> Fault:
    return Fault(kind="jump", at_s=at_s, params={"asset": asset, "bps": bps})


def _venue(kind: str, venue: str, at_s: float, duration_s: float = 0.0, **params: Value) -> Fault:
    return Fault(kind=kind, venue=venue, at_s=at_s, duration_s=duration_s, params=params)


CALM = Character(
    volatility=25, flow=60, depth=150, noise=25, uneven=False, jumps_per_minute=0.0, bursts_per_minute=0.0, dislocations_per_minute=0.0
)  # fmt: skip
#: prices move all the time and each market follows them; what each does by itself would hide by how much
FOLLOWED = msgspec.structs.replace(CALM, volatility=300, flow=100, noise=0)
JUMPY = msgspec.structs.replace(CALM, flow=400)  #: nobody is silent for so long that it may be held too old
BUSY = Character(volatility=180, flow=300, jumps_per_minute=15.0, bursts_per_minute=20.0, dislocations_per_minute=50.0)
STORMED = ("okx", "binance_usdm", "binance_spot", "bybit", "kraken")
LIARS = ("kraken", "okx", "bitfinex")  #: those whose messages have checksums, and one that sends zeros

SCENARIOS = {
    scenario.id: scenario
    for scenario in (
        Scenario("usual", "Usual", "Opportunities of a few basis points open and close every few seconds; all books stay live."),
        Scenario("calm", "Calm", "Prices hardly move, no opportunity ever opens, and all books stay live.", CALM),
        Scenario(
            "busy", "Busy", "Prices and trades run fast, and several opportunities are open at nearly any time; all books stay live.", BUSY
        ),
        Scenario(
            "burst", "Burst", "Every 30 s trades and updates of all assets come many times as often for 10 s; no book is lost.",
            timeline=tuple(_asset("burst", 5.0, 10.0, asset=asset, factor=20.0) for asset in ("BTC", "ETH", "SOL")), every_s=30.0,
        ),
        Scenario(
            "jumps", "Jumps",
            "Every 5 s each asset jumps by 10 bp, up and down in turn: markets follow one after the other, and soon it is said who leads.",
            JUMPY, tuple(_jump(at_s, asset, bps) for at, bps in ((0.5, 10.0), (5.5, -10.0)) for asset, at_s in
                        (("BTC", at), ("ETH", at + 1.5), ("SOL", at + 3.0))), every_s=10.0,
        ),
        Scenario(
            "leaders", "Leaders",
            "Prices move fast and each market follows after its own lag: within a minute the paths of prices say who leads, by how much.",
            FOLLOWED,
        ),
        Scenario(
            "flash-crash", "Flash crash",
            "Every 60 s bitcoin loses 6 % within 4 s and wins it back in 15 s: spreads widen, books thin, and slow venues lag behind.",
            timeline=(_asset("crash", 10.0, 24.0, asset="BTC", bps=600.0, fall_s=4.0, recover_s=15.0),), every_s=60.0,
        ),
        Scenario(
            "de-peg", "De-peg",
            "Every 2 minutes USDT loses 3 % against the dollar and comes back: prices in USDT rise over those in USD and USDC.",
            timeline=(_asset("depeg", 10.0, 80.0, asset="USDT", bps=300.0, fall_s=20.0, recover_s=30.0),), every_s=120.0,
        ),
        Scenario(
            "venue-freeze", "Venue freeze",
            "Every 40 s OKX falls silent for 12 s: its books turn stale, its opportunities close, then it reconnects and is live again.",
            timeline=(_venue("freeze", "okx", 8.0, 12.0),), every_s=40.0,
        ),
        Scenario(
            "clock-step", "Clock step",
            "Every 30 s the clock of Binance USD-M is 3 s wrong for 12 s: the age of its messages jumps, prices and books stay right.",
            timeline=(_venue("clock_step", "binance_usdm", 8.0, 12.0, s=-3.0),), every_s=30.0,
        ),
        Scenario(
            "maintenance", "Maintenance",
            "Every 60 s OKX closes for 20 s: its books are down, it is asked again ever less often, and it is live soon after it opens.",
            timeline=(_venue("maintenance", "okx", 8.0, 20.0),), every_s=60.0,
        ),
        Scenario(
            "reconnect-storm", "Reconnect storm",
            "Every 20 s several venues cut all connections at once: their books are down and come back one venue after the other.",
            timeline=tuple(_venue("kick_all", venue, 8.0) for venue in STORMED), every_s=20.0,
        ),
        Scenario(
            "liar-checksum", "Liar's checksum",
            "Every 30 s venues with checksums send wrong ones for 6 s: their books are doubted and fetched anew, never shown as live.",
            timeline=tuple(_venue("checksum_liar", venue, 8.0, 6.0) for venue in LIARS), every_s=30.0,
        ),
    )
}  # fmt: skip


def named(name: str) -> Scenario:
    """The scenario of this id. Raises UnknownName."""
    if name not in SCENARIOS:
        raise UnknownName("scenario", name, SCENARIOS)
    return SCENARIOS[name]


class Director:
    """Plays one scenario at a time in a world; ``step`` belongs to each step of its market."""

    def __init__(self, scenario: Scenario, sample: SampleMarket, faults: Faults) -> None:
        """``sample`` is new and has the character of the scenario."""
        self.playing = scenario
        self._sample, self._faults = sample, faults
        self._due: list[tuple[int, Fault]] = []  # (step, what), in its order
        self._again = 0  # step of the next round, 0 = none
        self._begun: list[int] = []  # numbers of the faults of this scenario
        self._round()

    def play(self, scenario: Scenario) -> None:
        """Play this from now on; what another one has done to venues is healed, what it did to the market fades."""
        logger.info("sim plays {}: {}", scenario.id, scenario.see)
        for number in self._begun:
            self._faults.heal(number)
        self._begun.clear()
        self._sample.clear()
        self._sample.take(scenario.character)
        self._faults.journal.note("scenario", "", "", self._sample.now_ms, params={"id": scenario.id})
        self.playing = scenario
        self._round()

    def step(self) -> None:
        """Begin what is due."""
        if self._again and self._sample.steps >= self._again:
            self._round()
        while self._due and self._due[0][0] <= self._sample.steps:
            self._begin(self._due.pop(0)[1])

    def _round(self) -> None:
        steps = self._sample.steps
        dated = (
            (steps + round(fault.at_s * events.STEPS_PER_S), msgspec.structs.replace(fault, at_s=0.0)) for fault in self.playing.timeline
        )
        self._due = sorted(dated, key=lambda entry: entry[0])
        every = round(self.playing.every_s * events.STEPS_PER_S)
        self._again = steps + every if every and self._due else 0

    def _begin(self, fault: Fault) -> None:
        try:
            number = self._faults.inject(fault).id
        except (UnknownName, BadFault):
            return  # a venue or market that this world does not have
        self._begun = [*self._begun, number][-REMEMBERED:]
