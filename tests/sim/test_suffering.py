"""Every kind of fault is suffered by the real feed and engine: no book is LIVE and wrong, what is due is noticed, and all is well again.

What can be carried by a network in memory is, in virtual time; broken frames go over real sockets. Each venue has one world in which
its faults follow one another; here each kind has one venue, in the full form some venues have all kinds.
"""

from __future__ import annotations

import asyncio
import functools
from collections.abc import Sequence

import pytest

from dope.feed.clock import Clock
from dope.sim.kinds import KINDS
from dope.sim.venue import listings
from tests.sim.many import HurriedLoop, hurried
from tests.sim.suffering import RAW, READERS, Ordeal, kinds_at, suffering, twins
from tests.simulation.loop import in_virtual_time

#: where a kind is suffered here: those that need something a venue has, at such a venue; the others in turn
AT = {
    "bad_checksum": "kraken", "checksum_liar": "kraken", "checksum_missing": "kraken", "depth_prune": "kraken", "gap": "okx", "dup": "okx",
    "reorder": "binance_usdm", "stale_delta": "binance_spot", "seq_reset": "binance_usdm", "seq_wrap": "kucoin", "seq_scope": "bybit",
    "sci_notation": "kraken", "zero_forms": "okx", "gzip_bomb": "htx", "freeze_one": "okx",
    "shutdown_notice": "okx", "maintenance": "bitfinex",
    "app_ping": "okx", "crossed": "bybit", "locked": "binance_spot", "surge": "okx", "list_new": "gate", "ack_never": "bitfinex",
}  # fmt: skip
TURN = ("okx", "binance_spot", "kraken", "bybit", "binance_usdm")
WHOLE = ("kraken", "binance_spot", "mexc")  #: suffer all kinds
SOCKETS = ("okx", "bybit", "kraken", "gate")
FEW = frozenset({"bomb", "garbage", "gzip_bomb", "huge", "masked_server_frame"})  #: of broken frames
SPEED = 3.0
BY_CHECKSUM = ("gap", "crossed", "locked")  #: what the checksum of every message shows first, where there is one
#: how the words of those begin who must notice it themselves: a checksum or a cross would tell of most of it, too, a little later
OWN = dict.fromkeys(
    ("nonfinite", "nonfinite_size", "nonfinite_price", "range", "range_size", "type_list", "null", "null_size", "missing_field", "bigint"),
    READERS,
) | {
    "gap": ("sequence",), "bad_checksum": ("GAP checksum",), "checksum_liar": ("GAP checksum", "INVALID suspended"),
    "truncated_json": READERS, "crossed": ("CROSSED",), "locked": ("CROSSED",),
}  # fmt: skip


def place(name: str) -> str:
    """The venue at which a kind is suffered here."""
    if name in RAW:
        at = [venue for venue in SOCKETS if KINDS[name].at(venue)]
        return AT.get(name) or at[sorted(RAW).index(name) % len(at)]
    at = [venue for venue in TURN if KINDS[name].at(venue)]
    return AT.get(name) or at[list(KINDS).index(name) % len(at)]


def in_memory(venue: str, names: Sequence[str]) -> dict[str, Ordeal]:
    """These faults at one venue, one after the other; after one that does not end well the rest has a new world."""
    came: dict[str, Ordeal] = {}

    async def main(clock: Clock) -> None:
        async with suffering(twins(venue, listings((venue,))), clock=clock, in_memory=True) as sufferer:
            for name in names:
                if name not in came:
                    came[name] = sufferer.ordeals[venue] = Ordeal(name, venue)
                    came[name] = await sufferer.suffer(KINDS[name], venue)

    while len(came) < len(names):
        try:
            in_virtual_time(main)
        except AssertionError as error:
            came[list(came)[-1]].wrong.append(str(error)[:400])
    return came


def over_sockets(places: dict[str, list[str]]) -> dict[tuple[str, str], Ordeal]:
    """These faults over real sockets, all venues at once."""
    came: dict[tuple[str, str], Ordeal] = {}

    async def main() -> None:
        loop = asyncio.get_running_loop()
        assert isinstance(loop, HurriedLoop)
        specs = [spec for venue in places for spec in twins(venue, listings((venue,)))]
        async with suffering(specs, clock=Clock(loop.ns, loop.ns), in_memory=False) as sufferer:

            async def at(venue: str) -> None:
                for name in places[venue]:
                    came[name, venue] = sufferer.ordeals[venue] = Ordeal(name, venue)
                    try:
                        came[name, venue] = await sufferer.suffer(KINDS[name], venue)
                    except AssertionError as error:  # of what comes after it at this venue nothing can be said
                        for each in places[venue][places[venue].index(name) :]:
                            came[each, venue] = came.get((each, venue), Ordeal(each, venue))
                            came[each, venue].wrong.append(str(error)[:400])
                        return

            await asyncio.gather(*(at(venue) for venue in places))

    hurried(main, SPEED)
    return came


@functools.cache
def ordeals(venue: str) -> dict[str, Ordeal]:
    return in_memory(venue, [name for name in KINDS if name not in RAW and place(name) == venue])


@functools.cache
def raw_ordeals(names: frozenset[str]) -> dict[tuple[str, str], Ordeal]:
    places: dict[str, list[str]] = {}
    for name in sorted(names):
        places.setdefault(place(name), []).append(name)
    return over_sockets(places)


def judge(ordeal: Ordeal) -> None:
    """No LIVE book was wrong, what is due was noticed, by what is there for it, and all was well again."""
    kind = KINDS[ordeal.kind]
    assert ordeal.wrong == [], ordeal
    assert ordeal.recovered, ordeal
    own = None if ordeal.venue == "kraken" and kind.name in BY_CHECKSUM else OWN.get(kind.name)
    assert own is None or any(said.startswith(own) for said in ordeal.gaps + ordeal.faults + ordeal.left), ordeal
    if kind.due == "noticed":
        assert ordeal.seen, ordeal
    elif kind.due == "silent":
        assert ordeal.left, ordeal
    elif kind.due == "closed":
        assert ordeal.closed, ordeal
    elif kind.due == "nothing":
        lost = [state for state in ordeal.left if "our own loop" not in state]  # a busy machine is no fault of the venue's
        assert (ordeal.gaps, ordeal.faults, lost, ordeal.closed) == ([], [], [], []), ordeal


@pytest.mark.parametrize("name", [name for name in KINDS if name not in RAW])
def test_no_live_book_is_wrong_and_what_is_due_is_noticed(name: str) -> None:
    judge(ordeals(place(name))[name])


@pytest.mark.parametrize("name", sorted(FEW))
def test_broken_frames_hurt_nothing_but_their_connection(name: str) -> None:
    judge(raw_ordeals(FEW)[name, place(name)])


@pytest.mark.full
@pytest.mark.parametrize("name", sorted(RAW - FEW))
def test_all_other_frames_hurt_nothing_but_their_connection(name: str) -> None:
    judge(raw_ordeals(RAW - FEW)[name, place(name)])


@pytest.mark.full
@pytest.mark.parametrize("venue", WHOLE)
def test_every_kind_at_a_venue_of_each_way_to_prove_a_book(venue: str) -> None:
    for ordeal in in_memory(venue, [kind.name for kind in kinds_at(venue, raw=False)]).values():
        judge(ordeal)
