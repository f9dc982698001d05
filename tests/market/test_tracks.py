"""The paths of prices: one value a millisecond out of the rings, whatever the portions, with nothing lost unnoticed."""

from __future__ import annotations

import math
import random

from dope.market.lane import RING, Slots, remember
from dope.market.tracks import KEPT, Tracks

MS = 1_000_000


def changes(slots: Slots, slot: int, rows: list[tuple[int, float]]) -> None:
    """Touches one wide around these mids: (receive time ns, mid); not a number = left LIVE. The venue's stamp is 7 ms earlier."""
    for ts, mid in rows:
        remember(slot, ts, ts - 7 * MS, mid - 0.5, 1.0, mid + 0.5, 1.0, slots.rings)


def path(rows: list[tuple[int, float]]) -> list[tuple[int, float]]:
    """The same thinned by hand: the last of each millisecond, then what repeats left out."""
    found: list[tuple[int, float]] = []
    for ts, mid in rows:
        if found and (found[-1][1] == mid or (math.isnan(mid) and math.isnan(found[-1][1]))):
            continue
        if found and found[-1][0] // MS == ts // MS and not math.isnan(mid) and not math.isnan(found[-1][1]):
            found[-1] = (found[-1][0], mid)
        else:
            found.append((ts, mid))
    return found


def test_the_path_is_the_same_in_any_portions() -> None:
    rand = random.Random(4)
    rows, ts = [], 10**18
    for _ in range(1500):
        ts += rand.randint(0, 3 * MS)
        rows.append((ts, math.nan if rand.random() < 0.02 else 100.0 + rand.randint(0, 9)))
    for portion in (1500, 40):
        slots, tracks = Slots(), Tracks()
        quiet, busy = slots.add(), slots.add()
        for begin in range(0, len(rows), portion):
            changes(slots, busy, rows[begin : begin + portion])
            tracks.follow(slots)
        times, prices = tracks.mids.of(busy, 0)
        assert repr(list(zip(times[:, 0].tolist(), prices.tolist(), strict=True))) == repr(path(rows))
        assert (times[:, 0] - times[:, 1] == 7 * MS).all()
        assert tracks.mids.of(quiet, 0)[1].size == 0
        assert tracks.mids.lost.sum() == 0


def test_what_the_ring_had_lost_is_counted_and_what_is_old_goes() -> None:
    slots, tracks = Slots(), Tracks()
    slot = slots.add()
    changes(slots, slot, [(10**18 + i * MS, 100.0 + i % 7) for i in range(RING + 5)])
    tracks.follow(slots)
    assert tracks.mids.lost[slot] == 5
    for begin in range(RING, KEPT + RING, 1000):
        changes(slots, slot, [(10**18 + i * MS, 100.0 + i % 7) for i in range(begin + 5, begin + 1005)])
        tracks.follow(slots)
    assert tracks.mids.of(slot, 0)[1].size == KEPT
    since = 10**18 + 4000 * MS
    times, _ = tracks.mids.of(slot, since)
    assert times[0, 0] <= since < times[1, 0], "the value that held then comes first"
    for _ in range(40):
        slots.add()
    tracks.follow(slots)
    assert tracks.mids.of(slot, 0)[1].size == KEPT, "room for more books forgets nothing"
