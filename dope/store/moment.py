"""What stood at one moment: the newest best prices of many symbols at all venues, and what each venue then paid against each.

The same as the kind "spread" for the second that ends there, symbol by symbol, from one look at what is stored and one pass over it.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import duckdb
import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from dope.store.cut import Cut, ends
from dope.store.sealed import Part
from dope.store.spreads import gross_bps
from dope.tables import SCHEMA_VERSION, SPREAD

NAMES = ["symbol", "venue", "ts", "bid", "ask"]

#: the newest row of each market in each file: a file is in the order of symbol and time, and its own order breaks ties
_READ = """
select symbol, venue, max(ts) as ts, arg_max_null(bid, file_row_number) as bid, arg_max_null(ask, file_row_number) as ask
from read_parquet($files, file_row_number = true) where symbol in ({symbols}) and ts >= $start and ts < $end
group by file_index, symbol, venue order by file_index
"""

Quote = tuple[int, float, float]  #: ts in ns, bid, ask; NaN = none


def newest(
    cut: Cut, symbols: Sequence[str], start: int, end: int, *, connection: duckdb.DuckDBPyConnection, old: Callable[[Part], pa.Table]
) -> dict[str, dict[str, Quote]]:
    """Of each symbol and venue the newest row in [start, end), of those of one time the one made last. Raises duckdb.Error."""
    wanted = [part for part in cut.parts if part.first < end and part.last >= start]
    files = [str(part.path) for part in wanted if part.version == SCHEMA_VERSION]
    found: dict[str, dict[str, Quote]] = {symbol: {} for symbol in symbols}
    if files:
        names = {f"s{n}": symbol for n, symbol in enumerate(symbols)}
        sentence = _READ.format(symbols=", ".join(f"${name}" for name in names))
        _take(found, connection.sql(sentence, params={"files": files, "start": start, "end": end, **names}).to_arrow_table())
    for part in wanted:
        if part.version != SCHEMA_VERSION:
            _take(found, _last(old(part), symbols, start, end))
    for each in cut.open:
        if each.first < end and each.last >= start:
            _take(found, _last(each.rows, symbols, start, end))
    return found


def _take(found: dict[str, dict[str, Quote]], rows: pa.Table) -> None:
    """What is as new as what is there, or newer, takes its place."""
    for symbol, venue, ts, bid, ask in zip(*(rows[name].to_pylist() for name in NAMES), strict=True):
        venues = found[symbol]
        if venue not in venues or ts >= venues[venue][0]:
            venues[venue] = ts, np.nan if bid is None else bid, np.nan if ask is None else ask


def _last(rows: pa.Table, symbols: Sequence[str], start: int, end: int) -> pa.Table:
    """Of rows in the order in which they were made, the newest of each market in [start, end)."""
    ts = rows["ts"].to_numpy()
    if not len(ts):
        return rows.select(NAMES)
    rows = rows.select(NAMES).unify_dictionaries()
    codes, names = zip(*(_coded(rows[name]) for name in ("symbol", "venue")), strict=True)
    meant = np.array([name in symbols for name in names[0]], dtype=bool)
    places = np.flatnonzero((ts >= start) & (ts < end) & meant[codes[0]])
    if len(places) > 1 and bool((np.diff(ts[places]) < 0).any()):
        places = places[np.argsort(ts[places], kind="stable")]
    newest_of = np.full(len(names[0]) * len(names[1]), -1)
    newest_of[codes[0][places] * len(names[1]) + codes[1][places]] = places  # of several of one market the last one remains
    return rows.take(pa.array(newest_of[newest_of >= 0]))


def _coded(column: pa.ChunkedArray) -> tuple[np.ndarray, list[str]]:
    """Numbers of the names of a column, and these names."""
    whole = column.combine_chunks()
    if isinstance(whole, pa.ChunkedArray):  # of no or several chunks, as versions of the library differ
        whole = pa.concat_arrays(whole.chunks) if whole.num_chunks else pa.array([], column.type)
    if not pa.types.is_dictionary(whole.type):
        whole = whole.dictionary_encode()
    return whole.indices.to_numpy(zero_copy_only=False).astype(np.int64), whole.dictionary.to_pylist()


def cells(venues: dict[str, Quote], gaps: pa.Table, second: int) -> pa.Table:
    """SPREAD of one symbol at the end of that second (ns); a price that stood when something began to be missing stands no longer."""
    over = ends(gaps)
    names = sorted(name for name, (ts, _, _) in venues.items() if not any(at >= ts and whose in ("", name) for at, whose in over))
    bid, ask = (np.array([venues[name][k] for name in names]) for k in (1, 2))
    gross = gross_bps(bid[np.newaxis, :], ask[:, np.newaxis])
    np.fill_diagonal(gross, np.nan)
    buy, sell = np.nonzero(np.isfinite(gross))
    legs = [pa.DictionaryArray.from_arrays(pa.array(leg.astype(np.int32)), pa.array(names, pa.string())) for leg in (buy, sell)]
    return pa.Table.from_arrays([pa.array(np.full(len(buy), second), pa.int64()), *legs, pa.array(gross[buy, sell])], schema=SPREAD)


def concerning(gaps: pa.Table, symbol: str) -> pa.Table:
    """Those of the gaps that this symbol has a part in."""
    names = gaps["symbol"].cast(pa.string())
    return gaps.filter(pc.or_(pc.equal(names, ""), pc.equal(names, symbol)))
