"""Binance COIN-M perpetuals, inverse: sizes are contracts of 100 USD (BTC) or 10 USD (all others), margined and settled in the coin.

Messages read (each inside ``{"stream": …, "data": …}``), those of USD-M with the pair ``ps`` added:
    btcusd_perp@bookTicker   {"e":"bookTicker","u":…,"s":"BTCUSD_PERP","ps":"BTCUSD","b":…,"B":contracts,"a":…,"A":…,"T":…,"E":…}
    btcusd_perp@depth@100ms  {"e":"depthUpdate","E":…,"T":…,"s":…,"ps":…,"U":…,"u":…,"pu":…,"b":[["9517.6","10"],…],"a":[[…]]}
    btcusd_perp@aggTrade     {"e":"aggTrade","E":…,"a":…,"s":…,"p":…,"q":contracts,"f":…,"l":…,"T":…,"m":true}
    btcusd_perp@kline_1m     as on USD-M, but ``v`` counts contracts and ``q`` the base currency
    btcusd_perp@markPrice@1s {"e":"markPriceUpdate","E":…,"s":…,"p":mark,"P":…,"r":funding rate,"T":next funding}, "i" where it is sent
    GET /dapi/v1/depth       {"lastUpdateId":…,"E":…,"T":…,"symbol":…,"pair":…,"bids":[…],"asks":[…]}
    GET /dapi/v1/exchangeInfo see `_binance_wire.py`: its status is "contractStatus", "contractSize" is in USD

Book recipe (`_depth_sync.py`): 1 subscribe and buffer; 2 snapshot after the first difference; 3 drop ``u`` <
lastUpdateId; 4 first kept has ``U`` ≤ lastUpdateId ≤ ``u`` (or ``pu`` == lastUpdateId); 5 then ``pu`` == previous ``u``.
Not verified: that the hosts of COIN-M were not split in 2026 as those of USD-M were (the undivided path is used here), the
limits (those of USD-M are kept to), and the whole of it on recordings: there are none.
"""

from __future__ import annotations

from dope.types import Fee, Instrument, Limits
from dope.venues._binance_wire import BinanceVenue, Listing

FACE = {"BTC": 100.0}  #: USD per contract; 10 for every other coin
#: tick of the default symbols, as of 2026-11 (general knowledge; the venue's list is the authority); the lot is one contract
TICKS = {"BTC": 0.1, "ETH": 0.01, "SOL": 0.01}


class BinanceCoinm(BinanceVenue):
    ID, LABEL, SHORT = "binance_coinm", "Binance COIN-M", "BINC"
    ENDPOINTS = {"ws": "wss://dstream.binance.com", "rest": "https://dapi.binance.com"}
    SOCKETS = (("market", "/stream"),)
    LIMITS = Limits(connects_per_s=1.0, connects_per_5min=60, messages_per_s=8.0, topics_per_socket=200, rest_weight_per_min=1200)
    CHAINED = True
    TEMPLATES = (
        (b'{"stream":"', "word", b'","data":{"e":"bookTicker","u":', "seq", b',"s":"', "symbol", b'","ps":"', "word",
         b'","b":', "bid", b',"B":', "bid size", b',"a":', "ask", b',"A":', "ask size", b',"T":', "stamp", b',"E":', "number", b"}}"),
        (b'{"stream":"', "word", b'","data":{"e":"depthUpdate","E":', "ms", b',"T":', "number", b',"s":"', "symbol", b'","ps":"', "word",
         b'","U":', "number", b',"u":', "seq", b',"pu":', "prev", b',"b":', "bids", b',"a":', "asks", b"}}"),
        (b'{"stream":"', "word", b'","data":{"e":"aggTrade","E":', "number", b',"a":', "group id", b',"s":"', "symbol",
         b'","p":', "price", b',"q":', "size", b',"f":', "number", b',"l":', "number", b',"T":', "ms", b',"m":', "buyer made", b"}}"),
    )  # fmt: skip
    SNAPSHOT_PATH = "/dapi/v1/depth"
    SNAPSHOT_WEIGHT = 20
    LIST_PATH = "/dapi/v1/exchangeInfo"
    FEES = (Fee("binance_coinm", "perp", 2.0, 5.0, "base", "general knowledge of the regular tier, not checked", "2026-11-01", "low"),)

    def topics(self, socket: str, native: str) -> list[str]:
        name = native.lower()
        return [f"{name}@{stream}" for stream in ("bookTicker", "depth@100ms", "aggTrade", "kline_1m", "markPrice@1s")]

    def native(self, symbol: str) -> str | None:
        base, _, rest = symbol.partition("-")
        return f"{base}USD_PERP" if base and rest == "USD-PERP" else None

    def instrument(self, native: str) -> Instrument | None:
        pair, _, term = native.partition("_")
        base = pair.removesuffix("USD")
        if not base or base == pair or not (term == "PERP" or term.isdigit()):
            return None
        kind = "perp" if term == "PERP" else "future"
        face, symbol = FACE.get(base, 10.0), f"{base}-USD-{term}"
        # the lot is one contract: its worth in the base currency moves with the price, so it is not stated here
        return Instrument(self.ID, symbol, native, base, "USD", kind, face, True, TICKS.get(base, 0.0), min_notional=face)

    def term(self, row: Listing) -> str | None:
        term = row.symbol.partition("_")[2]
        return f"-{term}" if (term == "PERP" and "PERPETUAL" in row.contractType) or term.isdigit() else None
