"""What goes wrong in a simulated run, drawn from its seed out of all kinds that the simulated venues can have."""

from __future__ import annotations

import random
from collections.abc import Iterable, Sequence

from dope.sim.journal import Fault, Value
from dope.sim.kinds import KINDS, Kind
from dope.sim.listings import ListingSpec
from dope.sim.world import World

HALT = "halt"  #: one more kind: nothing happens in a market
#: after these a venue or a book is left alone for half a minute or longer, as it should be: only in runs that are long enough
SLOW = frozenset((
    "ban", "checksum_liar", "maintenance", "snapshot_418", "sub_limit", "sub_partial", "sub_reject", "delist", "rename", "list_new",
))  # fmt: skip
STATUSES, SLOW_STATUSES = (429, 500, 502, 504), (403, 418, 451, 503)
CODES, SLOW_CODES = (1000, 1001, 1006, 1006, 1009, 1011, 1012), (1008, 1013, 4000)
#: a market says nothing while its connection goes on: its book may be older than the limit
SILENT = frozenset(("delist", "freeze_one", "list_new", "rename"))
#: these leave levels that no market had, and nothing in the stream that would tell
UNTOLD = frozenset(("snapshot_empty", "snapshot_one_sided"))
#: of these the first messages look like duplicates, or like a book that was right a while ago: s until enough of them tell
SLOWLY_TOLD = {"seq_reset": 10.0, "seq_scope": 10.0, "seq_wrap": 10.0, "snapshot_old": 3.0}
#: where nothing proves a book right these are all that may happen to it unnoticed
HARMLESS_GROUPS = frozenset(("lifecycle", "clock"))


def drawn(chance: random.Random, specs: Sequence[ListingSpec], seconds: float, *, unproved: frozenset[str], slow: bool) -> list[Fault]:
    """What goes wrong in a run of so many seconds: all of it is over after three quarters of them.

    ``unproved`` = venues at which nothing shows that a message was lost; ``slow`` = also what makes the feed wait for long.
    """
    found: list[Fault] = []
    last = 0.75 * seconds
    for venue in dict.fromkeys(spec.venue for spec in specs):
        symbols = [spec.symbol for spec in specs if spec.venue == venue]
        kinds = list(possible(venue, unproved=venue in unproved, slow=slow))
        at = chance.uniform(0.05, 0.3) * seconds
        while at < last:
            lasts = min(last - at, chance.choice((0.02, 0.05, 0.2)) * seconds * chance.uniform(0.5, 1.5))
            found.append(_drawn(chance, chance.choice(kinds), venue, symbols, at, lasts, slow=slow))
            at += chance.choice((0.0, lasts)) + chance.uniform(0.02, 0.3) * seconds
    return sorted(found, key=lambda fault: (fault.at_s, fault.venue, fault.kind))


def possible(venue: str, *, unproved: bool, slow: bool) -> Iterable[str]:
    """Names of the kinds that a venue may have here."""
    yield HALT
    for kind in KINDS.values():
        if not kind.at(venue) or kind.name in UNTOLD or (kind.name in SLOW and not slow):
            continue
        if not unproved or (kind.group in HARMLESS_GROUPS and kind.name not in SILENT):
            yield kind.name


def _drawn(chance: random.Random, name: str, venue: str, symbols: Sequence[str], at: float, lasts: float, *, slow: bool) -> Fault:
    kind = KINDS.get(name)
    whole = kind is not None and name not in SILENT and chance.random() < 0.5
    return Fault(
        kind=name, venue=venue, symbol="" if whole else chance.choice(symbols), at_s=round(at, 3), duration_s=max(0.05, round(lasts, 3)),
        p=chance.choice((1.0, 1.0, 0.3)), params=_params(chance, kind, slow=slow) if kind is not None else {}, seed=chance.randrange(10**6),
    )  # fmt: skip


def _params(chance: random.Random, kind: Kind, *, slow: bool) -> dict[str, Value]:
    rare = slow and chance.random() < 0.1
    params: dict[str, Value] = {}
    if "code" in kind.params and kind.name == "close":
        params["code"] = chance.choice(SLOW_CODES if rare else CODES)
    if kind.name in ("refuse", "http"):
        params["status"] = chance.choice(SLOW_STATUSES if rare else STATUSES)
    if "times" in kind.params:
        params["times"] = chance.choice((1, 1, 3))
    if "mib" in kind.params:
        params["mib"] = 5
    return params


def plant(world: World, plan: Sequence[Fault]) -> None:
    """All of it, at its time."""
    for fault in plan:
        if fault.kind == HALT:
            for at, halted in ((fault.at_s, True), (fault.at_s + fault.duration_s, False)):
                world.faults.later(at * 1000, lambda fault=fault, halted=halted: world.faults.halt(fault.venue, fault.symbol, halted))  # type: ignore[misc]
        else:
            world.faults.inject(fault)


def told(fault: Fault) -> str:
    """One of them in a line."""
    end = fault.at_s + fault.duration_s
    return f"{fault.at_s:.2f}–{end:.2f} s {fault.kind} {fault.venue} {fault.symbol} p={fault.p:g} {dict(fault.params)}"
