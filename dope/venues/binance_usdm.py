"""Binance USDⓈ-M perpetuals: touch and depth on the public host, trades, candles and funding on the market host.

Messages read (each inside ``{"stream": …, "data": …}``):
    /public  btcusdt@bookTicker   {"e":"bookTicker","u":…,"s":"BTCUSDT","b":…,"B":…,"a":…,"A":…,"T":…,"E":…}
             btcusdt@depth@100ms  {"e":"depthUpdate","E":…,"T":…,"s":"BTCUSDT","U":…,"u":…,"pu":…,"b":[[…]],"a":[[…]]}
    /market  btcusdt@aggTrade     {"e":"aggTrade","E":…,"s":"BTCUSDT","a":…,"p":…,"q":…,"f":…,"l":…,"T":…,"m":true}
             btcusdt@kline_1m     as on spot
             btcusdt@markPrice@1s {"e":"markPriceUpdate","E":…,"s":…,"p":mark,"i":index,"r":funding rate,"T":next funding}
    recordings also hold btcusdt@trade with X = MARKET | INSURANCE_FUND | NA: only MARKET counts
    GET /fapi/v1/depth            {"lastUpdateId":…,"E":…,"T":…,"bids":[…],"asks":[…]}
    GET /fapi/v1/exchangeInfo     see `_binance_wire.py`; dated futures (contractType CURRENT_QUARTER, NEXT_QUARTER) are left out

Book recipe (`_depth_sync.py`): 1 subscribe and buffer; 2 snapshot after the first difference; 3 drop ``u`` <
lastUpdateId; 4 first kept has ``U`` ≤ lastUpdateId ≤ ``u`` (or ``pu`` == lastUpdateId); 5 then ``pu`` == previous ``u``.
The hosts were split in 2026 (announced 2026-03-06, the old ones retired 2026-04-23).
"""

from __future__ import annotations

from dope.types import Fee, Instrument, Limits
from dope.venues._binance_wire import BinanceVenue, Listing
from dope.venues._bundles import bundle
from dope.venues._written import split_quote

QUOTES = ("USDT", "USDC", "BUSD")
#: tick, lot, minimum notional of the default symbols, as of 2026-11 (general knowledge; the venue's list is the authority)
KNOWN = {"BTC-USDT-PERP": (0.1, 0.001, 100.0), "ETH-USDT-PERP": (0.01, 0.001, 20.0), "SOL-USDT-PERP": (0.01, 0.01, 5.0)}
#: coins that trade by the thousand and more, under the venue's own names (likewise)
BUNDLES = {
    "SHIB": "1000SHIB", "PEPE": "1000PEPE", "BONK": "1000BONK", "FLOKI": "1000FLOKI", "LUNC": "1000LUNC", "XEC": "1000XEC",
    "SATS": "1000SATS", "RATS": "1000RATS", "CAT": "1000CAT", "CHEEMS": "1000CHEEMS", "MOG": "1000000MOG", "BABYDOGE": "1MBABYDOGE",
}  # fmt: skip


class BinanceUsdm(BinanceVenue):
    ID, LABEL, SHORT = "binance_usdm", "Binance USD-M", "BINF"
    ENDPOINTS = {"ws": "wss://fstream.binance.com", "rest": "https://fapi.binance.com"}
    SOCKETS = (("public", "/public/stream"), ("market", "/market/stream"))
    LIMITS = Limits(connects_per_s=1.0, connects_per_5min=60, messages_per_s=8.0, topics_per_socket=200, rest_weight_per_min=1200)
    CHAINED = True
    TEMPLATES = (
        (b'{"stream":"', "word", b'","data":{"e":"bookTicker","u":', "seq", b',"s":"', "symbol",
         b'","b":', "bid", b',"B":', "bid size", b',"a":', "ask", b',"A":', "ask size", b',"T":', "stamp", b',"E":', "number", b"}}"),
        (b'{"stream":"', "word", b'","data":{"e":"depthUpdate","E":', "ms", b',"T":', "number", b',"s":"', "symbol",
         b'","U":', "number", b',"u":', "seq", b',"pu":', "prev", b',"b":', "bids", b',"a":', "asks", b"}}"),
        (b'{"stream":"', "word", b'","data":{"e":"aggTrade","E":', "number", b',"a":', "group id", b',"s":"', "symbol",
         b'","p":', "price", b',"q":', "size", b',"f":', "number", b',"l":', "number", b',"T":', "ms", b',"m":', "buyer made", b"}}"),
        (b'{"stream":"', "word", b'","data":{"e":"trade","E":', "number", b',"T":', "ms", b',"s":"', "symbol", b'","t":', "id",
         b',"p":', "price", b',"q":', "size", b',"X":"MARKET","m":', "buyer made", b"}}"),
    )  # fmt: skip
    SNAPSHOT_PATH = "/fapi/v1/depth"
    SNAPSHOT_WEIGHT = 20
    LIST_PATH = "/fapi/v1/exchangeInfo"
    FEES = (Fee("binance_usdm", "perp", 2.0, 5.0, "quote", "ccxt 4.5.90; newsgaged.com; traderssecondbrain.com", "2026-11-01", "high"),)
    TIERS = (
        Fee("binance_usdm", "perp", 1.8, 4.5, "quote", "the default tier with 10 % off, paid in BNB", "2026-11-01", "medium", "bnb"),
        Fee("binance_usdm", "perp", 1.6, 4.0, "quote", "general knowledge of the tiers, not checked", "2026-11-01", "low", "vip1"),
        Fee("binance_usdm", "perp", 1.4, 3.5, "quote", "general knowledge of the tiers, not checked", "2026-11-01", "low", "vip2"),
    )  # fmt: skip

    def topics(self, socket: str, native: str) -> list[str]:
        name = native.lower()
        if socket == "public":
            return [f"{name}@bookTicker", f"{name}@depth@100ms"]
        return [f"{name}@aggTrade", f"{name}@kline_1m", f"{name}@markPrice@1s"]

    def native(self, symbol: str) -> str | None:
        parts = symbol.split("-")
        return BUNDLES.get(parts[0], parts[0]) + parts[1] if len(parts) == 3 and parts[2] == "PERP" and parts[1] in QUOTES else None

    def instrument(self, native: str) -> Instrument | None:
        parts = split_quote(native, QUOTES)
        if parts is None:
            return None
        base, value = bundle(parts[0])
        symbol = f"{base}-{parts[1]}-PERP"
        tick, lot, notional = KNOWN.get(symbol, (0.0, 0.0, 0.0))
        return Instrument(self.ID, symbol, native, base, parts[1], "perp", value, tick=tick, lot=lot, min_notional=notional)

    def term(self, row: Listing) -> str | None:
        return "-PERP" if "PERPETUAL" in row.contractType else None
