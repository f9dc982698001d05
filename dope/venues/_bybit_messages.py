"""The messages of the Bybit V5 venues: their shapes, and what becomes of levels, trades and candles.

Messages read (the category is in the URL: spot and linear use the same names; the order of keys differs between them):
    {"topic":"orderbook.50.BTCUSDT","type":"snapshot|delta","ts":…,"data":{"s":"BTCUSDT","b":[["63982.70","6.408"],…],"a":[…],
      "u":53935309,"seq":760578520138},"cts":…}                    cts = time in the matching engine, ts = time of sending, ms
    {"topic":"orderbook.1.BTCUSDT",…}     the touch: snapshots only; until 2023 deltas, too (recordings); without a change the
                                          same again after 3 s
    {"topic":"publicTrade.BTCUSDT",…,"data":[{"T":…,"s":…,"S":"Buy|Sell","v":size,"p":price,"i":id,"BT":false}]}   S = the taker
    {"topic":"tickers.BTCUSDT","type":"snapshot|delta",…}          linear: a delta has the changed fields only
    {"topic":"kline.1.BTCUSDT",…,"data":[{"start":…,"open":…,"confirm":false,…}]}
    acknowledgement {"success":true,"ret_msg":"","conn_id":…,"req_id":"1","op":"subscribe"}      pong: ret_msg or op "pong"
    refusal         {"success":false,"ret_msg":"Invalid topic: …",…}
    GET /v5/market/orderbook    {"retCode":0,"retMsg":"OK","result":{"s":…,"b":[[…]],"a":[[…]],"ts":…,"u":…,"seq":…},…}
    GET /v5/market/instruments-info, the list of instruments: see `_bybit_list.py`
"""

from __future__ import annotations

import msgspec

from dope.types import Bar, BookUpdate, Instrument, Trade
from dope.venues._bundles import exponent_of, moved
from dope.venues._written import Count, amount, number, volume
from dope.venues.base import MS, Known

NO = msgspec.Raw(b"")  #: what was not sent


class Levels(msgspec.Struct, gc=False):
    s: str
    b: msgspec.Raw = NO
    a: msgspec.Raw = NO
    u: Count = -1
    seq: Count = -1
    ts: int = 0  #: of REST only


class BookPush(msgspec.Struct, gc=False):
    topic: str
    type: str
    data: Levels
    ts: int = 0
    cts: int = 0


class RestBook(msgspec.Struct):
    retCode: int
    result: msgspec.Raw = NO
    retMsg: str = ""


class Push(msgspec.Struct):
    """Anything else; ``op`` is set in answers only."""

    topic: str = ""
    type: str = ""
    ts: int = 0
    data: msgspec.Raw = NO
    op: str = ""
    success: bool | None = None
    ret_msg: str = ""
    req_id: str = ""


class Deal(msgspec.Struct, gc=False):
    T: int
    s: str
    S: str
    v: str
    p: str
    i: str
    BT: bool = False  #: a block trade: agreed outside the book


class Candle(msgspec.Struct, gc=False):
    start: int
    open: str
    high: str
    low: str
    close: str
    volume: str
    confirm: bool


class Ticker(msgspec.Struct):
    """What is used of a ticker; "" = not in this message."""

    symbol: str
    markPrice: str = ""
    indexPrice: str = ""
    fundingRate: str = ""
    nextFundingTime: str = ""
    fundingIntervalHour: str = ""


BOOK_PUSH = msgspec.json.Decoder(BookPush)
REST_BOOK = msgspec.json.Decoder(RestBook)
LEVELS = msgspec.json.Decoder(Levels)
PUSH = msgspec.json.Decoder(Push)
DEALS = msgspec.json.Decoder(list[Deal])
CANDLES = msgspec.json.Decoder(list[Candle])
TICKER = msgspec.json.Decoder(Ticker)
_pairs = msgspec.json.Decoder(list[tuple[str, str]])


def update(ts: int, known: Known, ts_exch: int, data: Levels, *, snapshot: bool) -> BookUpdate:
    """The levels of a message, with prices per coin."""
    exponent = exponent_of(known.instrument)
    bids, asks = moved(bytes(data.b), exponent), moved(bytes(data.a), exponent)
    return BookUpdate(ts, known.key, ts_exch, snapshot, data.seq, bids, asks)


def best(side: msgspec.Raw, instrument: Instrument, old: tuple[float, float]) -> tuple[float, float]:
    """Price and size of the one level of this side; ``old`` where it has not changed; zeros where it is gone."""
    rows = _pairs.decode(side)
    for price, size in rows:
        if amount(size) != 0.0:
            return number(price + exponent_of(instrument)), number(size)
    return (0.0, 0.0) if rows else old


def trade(ts: int, instrument: Instrument, deal: Deal) -> Trade:
    """One trade, in coins. Raises ValueError."""
    if deal.S not in ("Buy", "Sell"):
        raise ValueError("a trade without a side")
    price, size = number(deal.p + exponent_of(instrument)), number(deal.v) * (instrument.contract_value or 1.0)
    return Trade(ts, instrument.key, deal.T * MS, price, size, deal.S.lower(), deal.i)


def bar(ts: int, instrument: Instrument, candle: Candle) -> Bar:
    """One candle, in coins. Raises ValueError."""
    o, h, low, c = (number(text + exponent_of(instrument)) for text in (candle.open, candle.high, candle.low, candle.close))
    traded = volume(candle.volume, instrument.contract_value or 1.0)
    return Bar(ts, instrument.key, candle.start * MS, 60, o, h, low, c, traded, candle.confirm)
