"""CoinCap v3 on a loopback port, over the sample market: averaged prices of the assets named in the address, about each second.

    /prices?assets=bitcoin,ethereum&apiKey=…   {"bitcoin":"91000.250000","ethereum":"3100.120000"}   the key is not asked for here
    none of the assets known                   {"error":"no such asset"}
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping

from dope.sim.dialogue import Client, Close, Reply, as_json
from dope.sim.digits import rescaled
from dope.sim.listings import ListingSpec
from dope.sim.market import SampleMarket
from dope.sim.quoting import Market
from dope.sim.venue import Message, VenueServer

#: its markets only say what the asset is worth; their books are not shown to anybody, so they move as little as possible
LISTINGS = tuple(
    ListingSpec("coincap", f"{coin}-USD", asset, coin, 10_000, 1_000_000, half_spread=10_000, pace=100)
    for asset, coin in (("bitcoin", "BTC"), ("ethereum", "ETH"), ("solana", "SOL"))
)
PRICE_STEPS = 100  #: each s


class Server(VenueServer):
    """CoinCap over the sample market."""

    def __init__(self, sample: SampleMarket, *, clock: Callable[[], float]) -> None:
        super().__init__(sample, "coincap", clock=clock)
        self._text = rescaled(6, 1, 6).text

    def admit(self, path: str, now: float) -> Reply | None:
        return None if path == "/prices" else Reply(404, "{}")

    def opened(self, client: Client) -> list[Message]:
        """What the address asks for."""
        for asset in client.query.get("assets", "").split(","):
            if asset in self.markets:
                client.topics[asset] = False
        return [] if client.topics else [as_json({"error": "no such asset"})]

    def heard(self, client: Client, text: str, now: float) -> list[Message] | Close:
        """Nothing that a client says means anything."""
        return []

    def changes(self, market: Market, wanted: Mapping[str, list[Client]]) -> Iterator[tuple[str, Message]]:
        if self.sample.steps % PRICE_STEPS == 0 and market.spec.native in wanted:
            yield market.spec.native, as_json({market.spec.native: self._text(market.line.price)})
