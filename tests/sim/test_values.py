"""Values that are none, at every venue: never taken for a level, alone or in a run of messages."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest

from dope.market.ready import compile_all
from dope.sim import edits
from dope.sim.effects import Edit
from dope.sim.journal import Fault
from dope.sim.kinds import KINDS
from dope.sim.venue import listings
from dope.sim.wires import WIRES, packed_like, read, unpacked, written
from dope.types import LIVE, Gap
from dope.types import Fault as Unusable
from dope.venues import VENUES
from tests.sim.by_hand import ByHand, Message, suffer
from tests.sim.suffering import twins

WRITTEN = tuple(venue.ID for venue in VENUES if venue.BOOKS and WIRES[venue.ID].text)
LACKING: dict[str, Edit] = {
    "size": edits.first_level(edits.removed, price=False),
    "price": edits.first_level(edits.removed),
}  # fmt: skip


def edited(hand: ByHand, message: Message, edit: Edit) -> Message | None:
    """The message with this done to it, of which nothing must be used; None where there is nothing to do it to."""
    packed: Any = message.data if message.data[:1] == b"\x1f" else message.data.decode()
    value = read(unpacked(packed) or "")
    if not edit(SimpleNamespace(wire=hand.wire), value):  # type: ignore[arg-type]
        return None
    new = packed_like(packed, written(value))
    return Message(new.encode() if isinstance(new, str) else new, "", message.step)


@pytest.mark.parametrize("together", [False, True], ids=["alone", "in a run"])
@pytest.mark.parametrize("what", LACKING)
@pytest.mark.parametrize("venue", WRITTEN)
def test_a_level_that_lacks_its_size_or_price_is_no_level(venue: str, what: str, together: bool) -> None:
    compile_all()
    hand = ByHand(venue, twins(venue, listings((venue,)), 1, pace=1))
    assert hand.begin()
    (key,) = hand.truths
    book = hand.engine.market.books[key]
    done = 0
    while done < 2:
        hand.told.clear()
        hand.move(20 if together else 3)
        for number, link in list(hand.links.items()):
            for place, message in enumerate(link.waiting):
                if message.key == key and (new := edited(hand, message, LACKING[what])) is not None:
                    link.waiting[place] = new
                    hand.hear(number, len(link.waiting), together=together)
                    done += 1
                    assert any(isinstance(event, Gap | Unusable) for event in hand.told), "nobody noticed"
                    assert book.state != LIVE or not hand.wrong(book), hand.wrong(book)
                    break
        hand.move(40)
        assert hand.settle(), (book.state, book.reason)
        assert not hand.wrong(book)


@pytest.mark.parametrize("kind", ["crossed", "locked"])
@pytest.mark.parametrize("venue", [venue.ID for venue in VENUES if venue.BOOKS and KINDS["crossed"].at(venue.ID)])
def test_a_book_that_is_crossed_is_not_live_until_it_is_no_more(venue: str, kind: str) -> None:
    compile_all()
    hand = ByHand(venue, twins(venue, listings((venue,)), 1))
    assert hand.begin()
    (key,) = hand.truths
    book = hand.engine.market.books[key]
    act = suffer(hand, Fault(kind=kind, venue=venue, symbol=key.partition(":")[2]))
    for _ in range(5_000):
        if act.done:
            break
        assert book.state == LIVE, "before anything happened"
        hand.all_heard()
        hand.move(1)
    hand.all_heard()
    assert act.done and book.state != LIVE, "the message that crosses it ends it"
    for _ in range(5_000):
        if act.over:
            break
        hand.move(1)
        hand.all_heard()
    assert act.over and act.sample.now_ms - act.first_ms >= 300
    assert hand.settle(), (book.state, book.reason)
    hand.move(40)
    hand.all_heard()
    assert book.state == LIVE and not hand.wrong(book), hand.wrong(book)
