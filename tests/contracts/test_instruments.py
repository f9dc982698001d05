"""What every venue makes of its own list of instruments: the same names as in the shipped table, and no row that spoils the others."""

from __future__ import annotations

from collections.abc import Sequence

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dope.types import REPLY, Event, Fault, Frame, Instrument, Instruments, Listed, ReplyInfo
from dope.venues import make
from dope.venues._written import least, step
from dope.venues.base import Venue
from tests.examples import some
from tests.frames import T0, play
from tests.venues import IDS, sample

LISTING = [venue for venue in IDS if make(venue, ()).listings()]


def answer(venue: str, key: str, body: bytes, status: int = 200) -> Frame:
    return Frame(T0, venue, 0, REPLY, msgspec.json.encode(ReplyInfo(key, status, "http://127.0.0.1/list")) + b"\n" + body)


def read(machine: Venue, lists: dict[str, bytes]) -> list[Event]:
    return [event for key, body in lists.items() for event in machine.receive(answer(machine.ID, key, body))]


def known(machine: Venue) -> Sequence[Instrument]:
    return tuple(machine.offers().values())


@pytest.mark.parametrize("venue", LISTING)
def test_its_list_is_read_row_by_row(venue: str) -> None:
    """``LISTS`` of the sample: Fetch key → body; ``LISTED``: what that says, without the rows that are not of our kinds."""
    machine = make(venue, ())
    assert [fetch.key for fetch in machine.listings()] == list(sample(venue).LISTS)
    events = read(machine, sample(venue).LISTS)
    assert not [event for event in events if isinstance(event, Fault)]
    assert sorted(known(machine), key=lambda i: i.native) == sorted(sample(venue).LISTED, key=lambda i: i.native)
    assert sum(event.count for event in events if isinstance(event, Instruments)) == len(sample(venue).LISTED)
    assert not any(event.unread for event in events if isinstance(event, Instruments)), "one of another kind is no unread row"
    assert any(instrument.status != "trading" for instrument in known(machine)) or venue in WITHOUT_STATUS
    for instrument in known(machine):
        assert instrument.venue == venue and instrument.tick > 0.0 and instrument.native


#: their lists name only what trades
WITHOUT_STATUS = {"bitfinex"}


@pytest.mark.parametrize("venue", LISTING)
def test_names_of_the_list_and_of_the_rule_are_the_same(venue: str) -> None:
    machine, by_rule = make(venue, ()), make(venue, ())
    read(machine, sample(venue).LISTS)
    key = sample(venue).KEY.partition(":")[2]
    assert machine.name_of(key) == by_rule.native(key), "the sample lists the market of its session"
    for instrument in known(machine):
        usual = by_rule.instrument(instrument.native)
        assert usual is None or (usual.symbol, usual.kind, usual.inverse) == (instrument.symbol, instrument.kind, instrument.inverse)
        if usual is not None and usual.tick and usual.contract_value is not None and not usual.inverse:
            assert usual.contract_value == instrument.contract_value


@pytest.mark.parametrize("venue", LISTING)
def test_what_is_watched_already_takes_what_the_list_says(venue: str) -> None:
    machine = make(venue, sample(venue).SYMBOLS)
    events = [event for frame in play(venue, sample(venue).script()) for event in machine.receive(frame)]
    before = next(event.instrument for event in events if isinstance(event, Listed))
    other = [msgspec.structs.replace(i, tick=i.tick * 5) if i.key == before.key else i for i in sample(venue).LISTED]
    machine.listed = lambda key, body: other  # type: ignore[method-assign]
    key = next(iter(sample(venue).LISTS))
    told = [event.instrument for event in machine.receive(answer(venue, key, b"{}")) if isinstance(event, Listed)]
    assert [instrument.key for instrument in told] == [before.key]
    assert machine.known[before.native].instrument == told[0] != before
    assert not [event for event in machine.receive(answer(venue, key, b"{}")) if isinstance(event, Listed)], "once"


@pytest.mark.parametrize("venue", LISTING)
def test_a_row_that_cannot_be_read_spoils_no_other(venue: str) -> None:
    for key, body in sample(venue).LISTS.items():
        for spoilt in (b"null", b"[]", b"{}", b'"x"', body[: len(body) // 2], b"\xff" + body):
            machine = make(venue, ())
            events = machine.receive(answer(venue, key, spoilt))
            assert [type(event) for event in events] == [Fault] and not known(machine)
        faults = make(venue, ()).receive(answer(venue, key, body, status=503))
        assert [type(event) for event in faults] == [Fault]


def test_one_spoilt_row_is_left_out_and_counted() -> None:
    machine, (key, body) = make("okx", ()), next(iter(sample("okx").LISTS.items()))
    events = machine.receive(answer("okx", key, body.replace(b'"tickSz":"0.1"', b'"tickSz":"-"')))
    assert [(event.count, event.unread) for event in events if isinstance(event, Instruments)] == [(1, 1)]
    assert [instrument.native for instrument in known(machine)] == ["OLD-USDT"]


@settings(max_examples=some(100), deadline=None)
@given(data=st.data())
@pytest.mark.parametrize("venue", LISTING)
def test_no_damaged_list_breaks_it(venue: str, data: st.DataObject) -> None:
    key = data.draw(st.sampled_from(list(sample(venue).LISTS)))
    body = bytearray(sample(venue).LISTS[key])
    for _ in range(data.draw(st.integers(1, 4))):
        body[data.draw(st.integers(0, len(body) - 1))] = data.draw(st.sampled_from(list(b'0"{}[],:-.eENa\xff')))
    machine = make(venue, ())
    read(machine, {other: text for other, text in sample(venue).LISTS.items() if other != key})
    machine.receive(answer(venue, key, bytes(body)))
    for instrument in known(machine):
        numbers = instrument.tick, instrument.lot, instrument.min_size, instrument.min_notional
        assert all(0.0 <= number < 1e300 for number in numbers) and instrument.tick > 0.0
        assert instrument.contract_value is None or 0.0 < instrument.contract_value < 1e300


@pytest.mark.parametrize("text", ["-1", "nan", "inf", "", "x"])
def test_what_is_no_limit_and_what_is_no_count_of_decimals(text: str) -> None:
    assert [least("0"), least("0.00005"), least(5)] == [0.0, 0.00005, 5.0]
    assert [step(decimals) for decimals in (0, 2, 5, 8)] == [1.0, 0.01, 0.00001, 1e-8]
    with pytest.raises(ValueError):
        least(text)
    for decimals in (-1, 400):
        with pytest.raises(ValueError):
            step(decimals)
