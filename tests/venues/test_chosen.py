"""Which venues are watched, and which of the default symbols at each: the venue's own table knows."""

from __future__ import annotations

import pytest

from dope.errors import UnknownName
from dope.types import DEFAULT_SYMBOLS
from dope.venues import VENUES, chosen, make


def test_all_means_every_venue_with_books_once_and_in_order() -> None:
    with_books = tuple(venue.ID for venue in VENUES if venue.BOOKS)
    assert chosen(["all"]) == with_books and len(with_books) >= 13
    assert chosen([with_books[2], "all"]) == (with_books[2], *(each for each in with_books if each != with_books[2]))


def test_a_venue_that_nobody_knows_is_told_with_the_nearest_names() -> None:
    with pytest.raises(UnknownName, match="unknown venue 'binance_sport'; did you mean binance_spot"):
        chosen(["okx", "binance_sport"])


def test_reference_prices_are_watched_only_when_they_are_named() -> None:
    reference = next(venue.ID for venue in VENUES if not venue.BOOKS)
    assert reference not in chosen(["all"]) and chosen(["okx", reference]) == ("okx", reference)


@pytest.mark.parametrize("venue", [venue for venue in VENUES if venue.BOOKS], ids=lambda venue: venue.ID)
def test_of_the_default_symbols_a_venue_is_asked_for_those_in_its_table_alone(venue: type) -> None:
    machine = make(venue.ID, (*DEFAULT_SYMBOLS, "DOGE-USDT", "DOGE-USDT-PERP", "DOGE-USDC-PERP", "DOGE-USD", "DOGE-USD-PERP"))
    asked = {symbol for plan in machine.plan() for symbol in plan.symbols}
    defaults = asked & set(DEFAULT_SYMBOLS)
    assert {symbol.partition("-")[0] for symbol in defaults} >= {"BTC", "ETH", "SOL"}
    assert all(machine.instrument(machine.native(symbol)).tick > 0.0 for symbol in defaults)
    assert any(symbol.startswith("DOGE") for symbol in asked), "of any other symbol only the venue itself can tell"
