"""Kinds of history that are one SQL sentence over ``bbo`` or ``trade``: bars, and the four tables of the usual server schema.

``_n`` numbers the rows in the order in which they were made; sums are compensated and made in that order: the same answer each time.
The server schema's tables, as documents about such systems draw them, and what differs here:

order_book_snapshots   one row per change of a LIVE book's best prices; ``bids``/``asks`` hold that one level; no serial id, no
                       venue sequence number: both null. Deeper levels are on the tape (replay shows them), not in this history.
trade_events           the same trades; ``timestamp`` is our receive time; no serial id.
heatmap_data           size at the best level of each venue per price bucket and second. A full heat map needs the deeper
                       levels: nothing is made up for them.
ohlcv_data             one-minute bars over all venues together; bars of other lengths, per venue, are ohlcv_1s, ohlcv_5s,
                       ohlcv_5m, ohlcv_15m, ohlcv_1h, ohlcv_4h and ohlcv_1d.
Prices and sizes are double precision, not DECIMAL: they are compared and shown, never settled.
"""

from __future__ import annotations

BARS = """
select ts // $step * $step as ts, symbol, venue, min(ts) as first, max(ts) as last,
    arg_min(price, _n) as open, max(price) as high, min(price) as low, arg_max(price, _n) as close,
    fsum(size order by _n) as volume, coalesce(fsum(size order by _n) filter (side = 'buy'), 0) as bought,
    fsum(price * size order by _n) as value, coalesce(fsum(price * size order by _n) filter (side = 'buy'), 0) as bought_value,
    count(*) as trades
from trade group by all order by ts, symbol, venue
"""

ORDER_BOOK_SNAPSHOTS = """
select null::bigint as id, symbol, venue as exchange, make_timestamp(ts // 1000) as timestamp,
    to_json([[bid, bid_size]])::varchar as bids, to_json([[ask, ask_size]])::varchar as asks, null::bigint as sequence_id,
    (bid + ask) / 2 as mid_price, ask - bid as spread, bid_size as bid_volume, ask_size as ask_volume
from bbo where bid is not null and ask is not null order by _n
"""

TRADE_EVENTS = """
select null::bigint as id, symbol, venue as exchange, make_timestamp(ts // 1000) as timestamp, price, size, side, trade_id
from trade order by _n
"""

HEATMAP_DATA = """
with newest as (
    select symbol, venue, ts // 1000000000 * 1000000 as second,
        arg_max({'bid': bid, 'ask': ask, 'bid_size': bid_size, 'ask_size': ask_size}, _n) as book
    from bbo group by all
), levels as (
    select symbol, venue, second, 'bid' as side, book.bid as price, book.bid_size as size from newest
    union all
    select symbol, venue, second, 'ask' as side, book.ask as price, book.ask_size as size from newest
), buckets as (
    select *, pow(10, floor(log10(price)) - 3) as bucket_size from levels where price > 0 and size is not null
)
select symbol, make_timestamp(second) as timestamp, bucket_size, floor(price / bucket_size) * bucket_size as price_bucket,
    fsum(size order by venue) as volume, side, count(distinct venue) as exchange_count
from buckets group by symbol, second, bucket_size, price_bucket, side order by second, symbol, price_bucket, side
"""

OHLCV_DATA = """
select symbol, make_timestamp(ts // 60000000000 * 60000000) as timestamp, '1m' as timeframe,
    arg_min(price, _n) as open_price, max(price) as high_price, min(price) as low_price, arg_max(price, _n) as close_price,
    fsum(size order by _n) as volume, count(*) as trade_count
from trade group by all order by timestamp, symbol
"""

VIEWS = {
    "order_book_snapshots": ORDER_BOOK_SNAPSHOTS, "trade_events": TRADE_EVENTS, "heatmap_data": HEATMAP_DATA, "ohlcv_data": OHLCV_DATA,
    "ohlcv_1s": BARS, "ohlcv_5s": BARS, "ohlcv_1m": BARS, "ohlcv_5m": BARS,
    "ohlcv_15m": BARS, "ohlcv_1h": BARS, "ohlcv_4h": BARS, "ohlcv_1d": BARS,
}  # fmt: skip

#: name of a bar's length → s
LENGTHS = {"1s": 1, "1m": 60, "5m": 300, "15m": 900, "1h": 3600, "4h": 14_400, "1d": 86_400}


def server_tables() -> dict[str, str]:
    """The four tables of the server schema under their names, as SELECTs over ``bbo`` and ``trade``; bars of every length."""
    minute = ("ts // 60000000000 * 60000000", "'1m'")
    bars = []
    for name, seconds in LENGTHS.items():
        sentence = OHLCV_DATA.rpartition("order by")[0]
        sentence = sentence.replace(minute[0], f"ts // {seconds * 10**9} * {seconds * 10**6}").replace(minute[1], f"'{name}'")
        bars.append(sentence)
    names = ("order_book_snapshots", "trade_events", "heatmap_data")
    return {**{name: VIEWS[name] for name in names}, "ohlcv_data": " union all ".join(bars)}
