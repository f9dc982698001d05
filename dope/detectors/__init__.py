"""The room of judgement: one file per detector, in the order in which they see events. Adding one = its file and one line."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

from dope.detectors.arbitrage import Arbitrage, Cost, Rules
from dope.detectors.bars import Bars
from dope.detectors.basis import Basis
from dope.detectors.bursts import Bursts
from dope.detectors.clocks import Clocks
from dope.detectors.conversion import CrossQuote
from dope.detectors.depeg import Pegs
from dope.detectors.depth import DepthHistory
from dope.detectors.jumps import Jumps
from dope.detectors.linker import Linker
from dope.detectors.openings import Openings
from dope.detectors.parameters import Tuning
from dope.detectors.paths import Paths
from dope.detectors.spreads import Spreads
from dope.detectors.triangles import Triangles
from dope.detectors.whales import Whales
from dope.market.market import Market
from dope.types import Event

__all__ = [
    "Arbitrage", "Bars", "Basis", "Bursts", "Clocks", "Cost", "CrossQuote", "DepthHistory", "Judge", "Jumps", "Linker", "Openings",
    "Paths", "Pegs", "Rules", "Spreads", "Triangles", "Tuning", "Whales", "default_detectors",
]  # fmt: skip


class Judge(Protocol):
    """What every detector is: the kinds that it wants to see, and what it makes of one event."""

    @property
    def KINDS(self) -> tuple[type[Event], ...]: ...

    def on(self, event: Event, market: Market) -> Sequence[Event]: ...


def default_detectors(costs: dict[tuple[str, str], Cost], rules: Rules) -> list[Judge]:
    """The detectors that run by default, in order."""
    arbitrage, jumps = Arbitrage(costs, rules), Jumps()
    judges: list[Judge] = [
        arbitrage,
        Spreads(),
        CrossQuote(arbitrage),
        Openings(arbitrage),
        Pegs(),
        Triangles(arbitrage),
        Basis(arbitrage),
        Clocks(),
        jumps,
        Bursts(),
        Whales(),
        Linker(jumps),
        Paths(),
        DepthHistory(),
        Bars(),
    ]
    return [*judges, Tuning(judges)]
