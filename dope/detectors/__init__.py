"""The room of judgement: one file per detector, in the order in which they see events. Adding one = its file and one line."""

from __future__ import annotations

from dope.detectors.arbitrage import Arbitrage, Cost, Rules
from dope.detectors.bars import Bars
from dope.detectors.clocks import Clocks
from dope.detectors.conversion import CrossQuote
from dope.detectors.depeg import Pegs
from dope.detectors.depth import DepthHistory
from dope.detectors.paths import Paths
from dope.detectors.spreads import Spreads

__all__ = ["Arbitrage", "Clocks", "Cost", "CrossQuote", "Paths", "Pegs", "Rules", "Spreads", "default_detectors"]


Default = Arbitrage | Spreads | CrossQuote | Pegs | Bars | Clocks | DepthHistory | Paths


def default_detectors(costs: dict[tuple[str, str], Cost], rules: Rules) -> list[Default]:
    """The detectors that run by default, in order."""
    arbitrage = Arbitrage(costs, rules)
    return [
        arbitrage,
        Spreads(),
        CrossQuote(arbitrage),
        Pegs(),
        Clocks(),
        Paths(),
        DepthHistory(),
        Bars(),
    ]
