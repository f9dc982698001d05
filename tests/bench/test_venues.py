"""The table of venues is made of frames that every venue's server really says, and of books that are LIVE."""

from __future__ import annotations

import pytest

from bench import venues
from dope.venues import VENUES

EVERY = [venue.ID for venue in VENUES if venue.BOOKS]


@pytest.mark.parametrize("venue", EVERY)
def test_the_frames_of_a_venue_begin_live_and_bring_levels(venue: str) -> None:
    told = venues.conversation(venue)
    told.run(400)
    spent, messages, levels = venues.cost(told)
    assert 0 < told.head <= len(told.frames) - 400 and spent > 0 and messages > 100 and levels > 0
    assert told.engine.counts.get("Fault", 0) == told.engine.counts.get("Gap", 0) == 0


def test_every_venue_stands_beside_one_and_only_named_reasons_excuse_it() -> None:
    told = {each.name: each for each in venues.measure([venues.BESIDE, "mexc", "kraken"], messages=100, rounds=1)}
    assert told["kraken ÷ okx, per message"].target == told["kraken ÷ okx, per level"].target == venues.LIMIT
    assert told["mexc ÷ okx, per level"].target is None and "protobuf" in told["mexc ÷ okx, per level"].note
    assert told["okx: CPU per message, best round"].value > 0 and not [name for name in told if name.startswith("okx ÷")]
    assert {venue for venue, _ in venues.REASONS} <= set(EVERY)
