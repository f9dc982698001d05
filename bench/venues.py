"""What a message and a price level of each venue cost the engine: CPU beside those of one venue, over frames of the simulated servers.

The same three coins trade at every venue at the same pace; each venue's server says it in its own words, and those frames are stepped
in portions as a busy socket brings them. The best of several rounds counts, rounds of all venues in turns, so that a busy machine
harms all alike. No socket is in it and no clock frames. A venue may cost up to ``LIMIT`` times the one it is compared with; of one
that costs more its reason stands beside it.
"""

from __future__ import annotations

import gc
import time
from collections.abc import Iterable

import msgspec

from bench.conversation import Conversation
from bench.figures import Figure, Machine, publish
from dope.engine import Engine
from dope.feed.outbox import PORTION
from dope.market import kernel
from dope.sim.venue import listings
from dope.types import DATA
from dope.venues import VENUES

ASSETS = ("BTC", "ETH", "SOL")
BESIDE = "okx"
LIMIT = 3.0  #: times the cost at BESIDE
MESSAGES = 6_000
ROUNDS = 7
#: why a venue costs more than LIMIT times as much: (venue, "message" | "level") → what of its wire form is the cause
REASONS = {
    ("bitfinex", "level"): "a message of its own for each level",
    ("bybit_linear", "level"): "few levels at a time, each 20 ms; a third of its messages are tickers, which carry none",
    ("coinbase", "message"): "each level is an object with its own side and time",
    ("htx", "message"): "each message is packed with gzip",
    ("htx_linear", "message"): "each message is packed with gzip",
    ("hyperliquid", "level"): "books come each 5 s only: nearly all messages are best prices, which carry none",
    ("mexc", "message"): "protobuf: fields and levels are cut out in Python, byte by byte",
    ("mexc", "level"): "protobuf: fields and levels are cut out in Python, byte by byte",
}

Costs = tuple[float, float]  #: µs per message, µs per level


def conversation(venue: str) -> Conversation:
    """One venue's market in each coin, all at the same pace."""
    firsts = [next(spec for spec in listings((venue,)) if spec.asset == asset) for asset in ASSETS]
    return Conversation([msgspec.structs.replace(spec, pace=1) for spec in firsts])


def levels(of: Engine) -> int:
    """Price levels that the market has read so far."""
    return sum(int(book.a[4, kernel.LEVELS]) for book in of.market.books.values())


def cost(told: Conversation) -> tuple[float, int, int]:
    """CPU s of a fresh engine over the frames behind the head, messages and levels of them."""
    fresh = told.fresh()
    fresh.step_many(told.frames[: told.head])
    fresh.drain()
    before, rest = levels(fresh), told.frames[told.head :]
    begin = time.process_time()
    for at in range(0, len(rest), PORTION):
        fresh.step_many(rest[at : at + PORTION])
        fresh.drain()
    spent = time.process_time() - begin
    return spent, sum(frame.kind == DATA for frame in rest), levels(fresh) - before


def measure(venues: Iterable[str], messages: int = MESSAGES, rounds: int = ROUNDS) -> list[Figure]:
    """Per venue CPU per message and per level, and how many times those of BESIDE."""
    told = {}
    for venue in venues:
        told[venue] = conversation(venue)
        told[venue].run(messages)
        cost(told[venue])  # loads the compiled code
    gc.freeze()
    found: dict[str, list[Costs]] = {}
    amount: dict[str, Costs] = {}
    for _ in range(rounds):
        for venue, talk in told.items():
            spent, count, changed = cost(talk)
            found.setdefault(venue, []).append((spent / count * 1e6, spent / changed * 1e6))
            amount[venue] = count, changed / count
    gc.unfreeze()
    figures: list[Figure] = []
    for venue, costs in found.items():
        for which, name in enumerate(("message", "level")):
            rows, other = [each[which] for each in costs], [each[which] for each in found[BESIDE]]
            count, each = int(amount[venue][0]), f"{amount[venue][1]:.1f} levels per message" if which == 0 else ""
            figures.append(_best(f"{venue}: CPU per {name}, best round", "µs", rows, count, note=each))
            if venue != BESIDE:
                times, reason = [min(rows) / min(other)], REASONS.get((venue, name), "")
                target = None if reason else LIMIT
                figures.append(_best(f"{venue} ÷ {BESIDE}, per {name}", "×", times, count, target=target, note=reason))
    return figures


def _best(name: str, unit: str, rounds: list[float], samples: int, *, target: float | None = None, note: str = "") -> Figure:
    return Figure(name=name, value=min(rounds), unit=unit, samples=samples, rounds=tuple(rounds), target=target, note=note)


if __name__ == "__main__":
    machine = Machine()
    publish("venues", machine, measure([BESIDE, *(venue.ID for venue in VENUES if venue.BOOKS and venue.ID != BESIDE)]))
