"""Vectors of books rebuilt from recorded messages by the program's own venues, engine and kernel."""

from __future__ import annotations

import gzip
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import msgspec
import numpy as np

from dope.engine import Engine
from dope.market import kernel
from dope.types import DATA, LIVE, OPEN, REPLY, Frame, OpenInfo, ReplyInfo
from dope.venues import make
from tests.vectors.case import Case, Document, near, same, within

VENUES = {"spot": ("binance_spot", "BTCUSDT"), "usdm": ("binance_usdm", "BTCUSDT"), "coinm": ("binance_coinm", "BTCUSD_PERP")}
CONN = 1
HEAD = 160  #: bytes of a message in which its kind stands
_quote = msgspec.json.Decoder(dict[str, Any])


def rebuilt(document: Document, market: Path) -> Iterator[Case]:
    """Differences joined to a snapshot: how many, without a gap or a cross, the levels at the end, how often it is the venue's quote."""
    for name, want in document["book"].items():
        venue_id, native = VENUES[name]
        file = next(market.rglob(f"raw_{document['files'][name]}.gz"))
        found = _rebuild(file, venue_id, native)
        book, told = found["book"], f"book {name}"
        yield same(f"{told} differences applied", book.book_updates - book.snapshots, want["diffs_applied"])
        yield same(f"{told} messages before the snapshot", found["before"], want["buffered_before_snapshot"])
        yield same(f"{told} gaps", book.gaps + book.faults, want["sequence_gaps"])
        yield same(f"{told} crossed", book.crossed, want["crossed_states"])
        kept = book.a[4, [kernel.N_BID, kernel.N_ASK]].tolist()
        for side, have, expected in zip(("bids", "asks"), kept, want["levels"], strict=True):
            if expected < kernel.CAPACITY * 3 // 4:
                yield same(f"{told} {side}", have, expected)
            else:  # of very deep books the worst quarter is let go
                yield within(f"{told} {side} kept of {expected}", have, kernel.THIN, min(kernel.CAPACITY, expected))
            best = [list(level) for level in want[f"final_{side}"]]
            yield same(f"{told} best {side} at the end", kernel.levels(book.a, side == "bids", len(best)).tolist(), best)
        yield near(f"{told} is the venue's own quote", found["share"], want["touch_equals_last_bookTicker_share"], rel_tol=1e-6)


def _rebuild(file: Path, venue_id: str, native: str) -> dict[str, Any]:
    """Step the depth messages of a recording; the quotes in it are only compared with."""
    engine = Engine({venue_id: make(venue_id, ())})
    about = msgspec.json.encode(ReplyInfo(f"depth:{native}", 200, ""))
    lines = before = quotes = equal = 0
    book = None
    with gzip.open(file, "rb") as stream:
        for line in stream:
            stamp, _, text = line.rstrip().partition(b" ")
            ts, head = int(stamp), text[:HEAD]
            if not lines:
                engine.step(Frame(ts, venue_id, CONN, OPEN, msgspec.json.encode(OpenInfo("", ""))))
            lines += 1
            if text.startswith(b'{"lastUpdateId"'):
                before = before or lines - 1
                engine.step(Frame(ts, venue_id, CONN, REPLY, about + b"\n" + text))
            elif b'"depthUpdate"' in head:
                engine.step(Frame(ts, venue_id, CONN, DATA, text))
            elif b"@bookTicker" in head and book is not None and book.state == LIVE:
                row = _quote.decode(text)["data"]
                quotes += 1
                equal += book.bid == float(row["b"]) and book.ask == float(row["a"])
            if book is None and engine.market.books:
                book = next(iter(engine.market.books.values()))
    assert book is not None
    return {"book": book, "before": before, "share": equal / quotes if quotes else float(np.nan)}
