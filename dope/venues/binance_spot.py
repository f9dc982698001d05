"""Binance spot: touch, depth, trades and 1-minute candles over one combined-stream socket, snapshots over REST.

Messages read (each inside ``{"stream": …, "data": …}``):
    btcusdt@bookTicker   {"u":50093239212,"s":"BTCUSDT","b":"61837.63","B":"3.788","a":"61837.64","A":"1.546"}
    btcusdt@depth@100ms  {"e":"depthUpdate","E":1723161255208,"s":"BTCUSDT","U":50093239189,"u":50093239202,"b":[[…]],"a":[[…]]}
    btcusdt@trade        {"e":"trade","E":…,"s":"BTCUSDT","t":3735683259,"p":"61837.63","q":"0.02","T":…,"m":true,"M":true}
    btcusdt@kline_1m     {"e":"kline","E":…,"s":"BTCUSDT","k":{"t":…,"o":…,"h":…,"l":…,"c":…,"v":…,"x":false}}
    acknowledgement      {"result":null,"id":1}      error {"code":2,"msg":"Invalid request: …","id":1}
    {"e":"serverShutdown","E":…}: open a new connection before this one goes
    GET /api/v3/depth    {"lastUpdateId":50093239218,"bids":[["61837.63","3.788"],…],"asks":[…]}
    GET /api/v3/exchangeInfo, without its sets of permissions, which are most of its bytes: see `_binance_wire.py`;
                         1000SATS is here a token of that name, traded one at a time

Book recipe (`_depth_sync.py`): 1 subscribe and buffer; 2 fetch the snapshot after the first difference; 3 drop
``u`` ≤ lastUpdateId; 4 first kept has ``U`` ≤ lastUpdateId+1 ≤ ``u``; 5 then ``U`` == previous ``u`` + 1. There is no
checksum. Protocol pings come every 20 s; 24 h per connection; 5 messages/s from us.
"""

from __future__ import annotations

from dope.types import Fee, Instrument, Limits
from dope.venues._binance_wire import BinanceVenue, Listing
from dope.venues._written import split_quote

QUOTES = ("FDUSD", "USDT", "USDC", "TUSD", "BUSD", "DAI", "USD1", "EUR", "TRY", "BRL", "RUB", "JPY", "BTC", "ETH", "BNB")
#: tick, lot, minimum notional of the default symbols, as of 2026-11 (general knowledge; the venue's list is the authority)
KNOWN = {"BTC-USDT": (0.01, 0.00001, 5.0), "ETH-USDT": (0.01, 0.0001, 5.0), "SOL-USDT": (0.01, 0.001, 5.0),
         "USDC-USDT": (0.00001, 1.0, 5.0), "ETH-BTC": (0.00001, 0.0001, 0.0001)}  # fmt: skip


class BinanceSpot(BinanceVenue):
    ID, LABEL, SHORT = "binance_spot", "Binance", "BIN"
    ENDPOINTS = {"ws": "wss://stream.binance.com:9443", "rest": "https://api.binance.com"}
    SOCKETS = (("market", "/stream"),)
    LIMITS = Limits(connects_per_s=1.0, connects_per_5min=60, messages_per_s=4.0, topics_per_socket=1024, rest_weight_per_min=3000)
    TEMPLATES = (
        (b'{"stream":"', "word", b'","data":{"u":', "seq", b',"s":"', "symbol",
         b'","b":', "bid", b',"B":', "bid size", b',"a":', "ask", b',"A":', "ask size", b"}}"),
        (b'{"stream":"', "word", b'","data":{"e":"depthUpdate","E":', "ms", b',"s":"', "symbol", b'","U":', "first", b',"u":', "seq",
         b',"b":', "bids", b',"a":', "asks", b"}}"),
        (b'{"stream":"', "word", b'","data":{"e":"trade","E":', "number", b',"s":"', "symbol", b'","t":', "id",
         b',"p":', "price", b',"q":', "size", b',"T":', "ms", b',"m":', "buyer made", b',"M":true}}'),
    )  # fmt: skip
    SNAPSHOT_PATH = "/api/v3/depth"
    LIST_PATH = "/api/v3/exchangeInfo?showPermissionSets=false"
    LIST_WEIGHT = 20
    FEES = (Fee("binance_spot", "spot", 10.0, 10.0, "base", "ccxt 4.5.90; newsgaged.com; traderssecondbrain.com", "2026-11-01", "high"),)
    TIERS = (
        Fee("binance_spot", "spot", 7.5, 7.5, "base", "the default tier with 25 % off, paid in BNB", "2026-11-01", "medium", "bnb"),
        Fee("binance_spot", "spot", 9.0, 10.0, "base", "general knowledge of the tiers, not checked", "2026-11-01", "low", "vip1"),
        Fee("binance_spot", "spot", 8.0, 10.0, "base", "general knowledge of the tiers, not checked", "2026-11-01", "low", "vip2"),
    )  # fmt: skip

    def topics(self, socket: str, native: str) -> list[str]:
        name = native.lower()
        return [f"{name}@bookTicker", f"{name}@depth@100ms", f"{name}@trade", f"{name}@kline_1m"]

    def native(self, symbol: str) -> str | None:
        base, _, quote = symbol.partition("-")
        return base + quote if quote and "-" not in quote else None

    def instrument(self, native: str) -> Instrument | None:
        parts = split_quote(native, QUOTES)
        if parts is None:
            return None
        symbol = "-".join(parts)
        tick, lot, notional = KNOWN.get(symbol, (0.0, 0.0, 0.0))
        return Instrument(self.ID, symbol, native, *parts, "spot", tick=tick, lot=lot, min_notional=notional)

    def term(self, row: Listing) -> str:
        return ""
