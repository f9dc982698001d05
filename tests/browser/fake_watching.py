"""What the fake engine lists and watches: ``watch`` and ``unwatch`` change what its snapshots show, a new book first SYNCING, then LIVE."""

from __future__ import annotations

from typing import Any

from dope.errors import DopeError

Row = dict[str, Any]
SYNCING_STEPS = 5  #: publications before a new book is LIVE
#: venue → (symbol, its own name) of what is listed beside the books that the market draws
MORE = {
    "okx": (("ETH-BTC", "ETH-BTC"), ("PEPE-USDT", "PEPE-USDT"), ("OLD-USDT", "OLD-USDT")),
    "binance_spot": (("ETH-BTC", "ETHBTC"), ("PEPE-USDT", "PEPEUSDT")),
    "binance_usdm": (("PEPE-USDT-PERP", "1000PEPEUSDT"), ("CHEEMS-USDT-PERP", "1000000CHEEMSUSDT")),
    "kraken": (("BTC-USD", "BTC/USD"), ("ETH-USD", "ETH/USD")),
}
LABELS = {"okx": "OKX", "binance_spot": "Binance", "binance_usdm": "Binance USD-M", "kraken": "Kraken"}


def listed(venue: str, symbol: str, native: str, *, watched: bool) -> Row:
    """One row as the engine tells it."""
    base, quote, *more = symbol.split("-")
    return {
        "venue": venue, "label": LABELS[venue], "symbol": symbol, "native": native, "base": base, "quote": quote,
        "kind": "perp" if more else "spot",
        "tick": 0.01, "lot": 0.0001, "min_size": 0.0, "min_notional": 5.0, "contract_value": 1000.0 if native.startswith("1000") else 1.0,
        "inverse": False, "status": "suspend" if base == "OLD" else "trading", "watched": watched,
        "source": "table" if venue == "kraken" else "list",
    }  # fmt: skip


class FakeWatching:
    """``drawn`` = keys of the books that the market draws. ``slow`` = a new book stays SYNCING; ``refusal`` = why nothing is done."""

    def __init__(self, drawn: list[str]) -> None:
        self.drawn, self.gone, self.added = drawn, set[str](), dict[str, int]()
        self.slow, self.refusal = False, ""
        self.asked: list[str] = []
        self._step = 0

    def watched(self) -> list[str]:
        return [key for key in (*self.drawn, *self.added) if key not in self.gone]

    def listed(self) -> list[Row]:
        """All that could be watched."""
        mine = set(self.watched())
        own = [(*key.split(":"), key.split(":")[1].replace("-", "")) for key in self.drawn]
        every = [*own, *((venue, symbol, native) for venue, more in MORE.items() for symbol, native in more)]
        return [listed(*row, watched=f"{row[0]}:{row[1]}" in mine) for row in every]

    def take(self, name: str, args: Row) -> None:
        """A command. Raises DopeError when it is refused."""
        if self.refusal:
            raise DopeError(self.refusal)
        venue, symbol = args.get("venue"), args.get("symbol")
        every = {f"{row['venue']}:{row['symbol']}" for row in self.listed()}
        meant = [key for key in every if (not venue or key.startswith(f"{venue}:")) and (not symbol or key.endswith(f":{symbol}"))]
        if not meant:
            raise DopeError(f"{venue} does not list {symbol}")
        for key in meant:
            if name == "unwatch":
                self.gone.add(key)
                self.added.pop(key, None)
            elif key in self.drawn:
                self.gone.discard(key)
            else:
                self.gone.discard(key)
                self.added[key] = self._step

    def instruments(self, rows: list[Row]) -> list[Row]:
        """The section as it stands: without what is not watched, with what was added."""
        self._step += 1
        kept = [row for row in rows if row["key"] not in self.gone]
        return kept + [self._book(rows[0], key, since) for key, since in self.added.items()]

    def venues(self, rows: list[Row]) -> list[Row]:
        books = self.watched()
        counts = {row["id"]: sum(key.startswith(row["id"] + ":") for key in books) for row in rows}
        new = {key.split(":")[0] for key in self.added} - set(counts)
        shown = [row for row in rows if counts[row["id"]]]
        return shown + [{**rows[0], "id": venue, "label": venue.title(), "short": venue[:3].upper()} for venue in sorted(new)]

    def _book(self, like: Row, key: str, since: int) -> Row:
        venue, symbol = key.split(":")
        base, quote, *more = symbol.split("-")
        live = not self.slow and self._step - since > SYNCING_STEPS
        state = {"state": "LIVE" if live else "SYNCING", "reason": "" if live else "waiting for a snapshot"}
        none = {} if live else dict.fromkeys(("bid", "ask", "bid_size", "ask_size", "mid"))
        return {**like, **state, **none, "key": key, "venue": venue, "symbol": symbol, "base": base, "quote": quote,
                "kind": "perp" if more else "spot"}  # fmt: skip
